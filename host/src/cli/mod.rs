//! The command line: the only room that prints. One file for each command.
//!
//! Reads the terminal, the arguments and the environment; asks the other rooms for everything
//! else. It writes nothing into a KB and knows nothing of WebAssembly.
//!
//! Invariant: stdout carries data, stderr talk, both in input order whatever the number of workers;
//! no text from a document, a plugin or a KB reaches a terminal without passing `terminal`.

mod add;
mod advice;
mod args;
mod cache;
mod cloud;
mod convert;
mod doctor;
mod dry_run;
mod engine;
mod error;
mod exit;
mod formats;
mod init;
mod json;
mod list;
mod lock;
mod logging;
mod notes;
mod password;
mod plugin;
mod recover;
mod registry;
mod removals;
mod remove;
mod report;
mod run;
mod search;
mod settings;
mod show;
mod signals;
mod status;
mod table;
mod terminal;
mod trust;
mod ui;
mod verify;

pub use run::main;
