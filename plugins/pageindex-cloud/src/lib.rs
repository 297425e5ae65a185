//! The converter of documents that PageIndex Cloud has: imports one by its id, or uploads a local PDF,
//! waits, and imports what became of it.
//!
//! Invariant: the service is seen only through [`service::Service`]: no address, no key. What it answers
//! is a stranger's: every number and length is bounded, and every wrong shape is an error that says so.

mod api;
mod catalog;
mod fault;
mod import;
mod pages;
mod pictures;
mod service;
mod tree;
mod upload;

#[cfg(test)]
#[path = "../tests/recorded/mod.rs"]
mod recorded;

/// The contract's cloud world as Rust types; what it shares with the other world is the shared crate's.
#[expect(
    unsafe_code,
    reason = "generated: the exports of a component are raw functions"
)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/v0.1.0", "../../wit/v0.1.0/cloud"],
        world: "kbhost:cloud/cloud-converter",
        with: {
            "kbhost:converter/types@0.1.0": kbhost_guest::bindings::kbhost::converter::types,
            "kbhost:converter/job@0.1.0": kbhost_guest::bindings::kbhost::converter::job,
        },
        additional_derives: [PartialEq, Eq],
    });

    use super::PageIndexCloud;

    export!(PageIndexCloud with_types_in self);
}

use bindings::exports::kbhost::cloud::catalog::{Guest as CatalogGuest, RemoteDocument};
use bindings::exports::kbhost::converter::converter::Guest;
use kbhost_guest::{
    AssetReference, ConvertError, Description, Document, JobFiles, Request, parse_description,
};

use api::Api;
use service::HostService;

struct PageIndexCloud;

impl Guest for PageIndexCloud {
    fn describe() -> Description {
        parse_description(include_str!("../description.json"))
    }

    fn probe(head: Vec<u8>, _name: String) -> u8 {
        if head.starts_with(b"%PDF-") { 50 } else { 0 }
    }

    fn assets(_request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        Ok(Vec::new())
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let mut files = JobFiles::new(&request);
        import::convert(&request, &mut HostService, &mut files)
    }
}

impl CatalogGuest for PageIndexCloud {
    fn documents(offset: u32, limit: u32) -> Result<Vec<RemoteDocument>, ConvertError> {
        catalog::documents(&mut Api::new(&mut HostService), offset, limit)
    }

    fn status(id: String) -> Result<RemoteDocument, ConvertError> {
        catalog::status(&mut Api::new(&mut HostService), &id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_is_of_this_version() {
        let description = PageIndexCloud::describe();
        assert_eq!(description.name, "pageindex-cloud");
        assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
    }
}
