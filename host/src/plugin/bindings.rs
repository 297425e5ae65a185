//! The converter contract as Rust types, generated from `wit/`. One module for each released
//! version; nothing outside this room sees them.

/// Version 0.1.
mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1.0",
        world: "file-converter",
    });
}

pub(super) use v0_1::kbhost::converter::{job, types};
pub(super) use v0_1::{FileConverter, FileConverterPre};

/// The world of a file converter, as provenance names it.
pub(super) const WORLD: &str = "kbhost:converter@0.1.0/file-converter";

/// The interface that a converter must export, without its patch version.
pub(super) const CONVERTER: &str = "kbhost:converter/converter@0.1";
