//! The only room that opens a connection: calls of remote services for cloud converters, by endpoint id.
//!
//! Scheme, host, port, credential, retries and limits are decided here; a converter names an endpoint, a
//! method and a path. May touch the network and read the staged input that is sent; must not see the
//! KB, the registry, the lock, or wasmtime.
//!
//! Invariant: the credential goes into one header of one endpoint and nowhere else, and no answer that
//! holds it in any form leaves this room.

mod address;
mod call;
mod client;
mod error;
mod fault;
mod key;
mod limits;
mod origin;
mod policy;
mod resolve;
mod retry;
mod scan;
mod seen;
mod send;
mod service;
mod session;
#[cfg(test)]
mod tests;

pub use call::{Body, CallError, FormValue, Location, Method, Request, Response, Usage};
pub use client::Client;
pub use error::EgressError;
pub use key::ApiKey;
pub use service::Service;
pub use session::Session;
