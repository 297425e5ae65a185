//! What the built-in converters share: the generated bindings, the files of a job, long documents,
//! picture recognition, bounded warnings.
//!
//! Invariant: conversion code sees a job only through [`Files`], so that the same code runs in a
//! component and in a native test.

mod description;
mod files;
pub mod long_document;
mod picture;
mod text;
mod warnings;

/// The contract as Rust types, generated from `wit/v0.1.0`.
#[expect(missing_docs, reason = "generated: the WIT files carry the docs")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/v0.1.0",
        world: "file-converter",
        pub_export_macro: true,
        default_bindings_module: "kbhost_guest::bindings",
        additional_derives: [PartialEq, Eq],
    });
}

pub use bindings::exports::kbhost::converter::converter::Guest;
pub use bindings::kbhost::converter::types::{
    Asset, AssetReference, ConvertError, Description, Document, Heading, OutputFile, Request, Role,
    Source,
};
pub use description::parse_description;
pub use files::{Files, JobFiles, MAIN_PATH, MemoryFiles, read_input};
pub use picture::{Picture, put_on_page};
pub use text::{OUTPUT_LINK, one_line};
pub use warnings::Warnings;
