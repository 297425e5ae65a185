//! A server for tests: the PageIndex Cloud API over real sockets on loopback, with documents, delays
//! and faults as a [`Script`] says, and a second listener that hands out pictures by presigned address.
//!
//! It speaks HTTP/1.1 by hand, because a library would not let it misbehave. It keeps what it saw, but
//! never the key: not in [`Seen`], not in what its program prints.
//!
//! Invariant: threads, connections and bodies are bounded, and dropping the server ends all of them,
//! hanging answers included.

mod answer;
mod api;
mod http;
mod sample;
mod script;
mod serve;
mod stop;

#[cfg(test)]
mod tests;

pub use http::Part;
pub use sample::PNG;
pub use script::{
    Call, Doc, Echo, Fault, FaultAt, Fields, Node, Outcome, Page, Picture, PictureForm, Script,
};
pub use serve::{Seen, Server};
