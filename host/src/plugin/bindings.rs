//! The converter contract as Rust types, generated from `wit/`. One module for each released
//! version; nothing outside this room sees them.

/// Version 0.1.
mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1.0",
        world: "file-converter",
    });
}

/// Version 0.1 of what a cloud converter imports and exports beyond a file converter. It exports the
/// same `converter` interface: [`FileConverter`] finds it in either.
mod cloud_v0_1 {
    wasmtime::component::bindgen!({
        path: ["../wit/v0.1.0", "../wit/v0.1.0/cloud"],
        world: "kbhost:cloud/cloud-converter",
        with: {
            "kbhost:converter/types": super::v0_1::kbhost::converter::types,
            "kbhost:converter/job": super::v0_1::kbhost::converter::job,
        },
    });
}

pub(super) use cloud_v0_1::exports::kbhost::cloud::catalog;
pub(super) use cloud_v0_1::kbhost::cloud::endpoint;
pub(super) use cloud_v0_1::{CloudConverter, CloudConverterPre};
pub(super) use v0_1::kbhost::converter::{job, types};
pub(super) use v0_1::{FileConverter, FileConverterPre};

/// What a component is meant to run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum World {
    /// Nothing but its two directories.
    File,
    /// Endpoints of a remote service beside them.
    Cloud,
}

impl World {
    /// As provenance names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "kbhost:converter@0.1.0/file-converter",
            Self::Cloud => "kbhost:cloud@0.1.0/cloud-converter",
        }
    }
}

/// Whether provenance names the world of converters that go through a service.
pub(crate) fn is_cloud_world(name: &str) -> bool {
    name == World::Cloud.name()
}

/// The world of a file converter, as provenance names it.
pub(super) const WORLD: &str = World::File.name();

/// The interface that a converter must export, without its patch version.
pub(super) const CONVERTER: &str = "kbhost:converter/converter@0.1";
