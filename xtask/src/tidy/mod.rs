//! `cargo xtask tidy`: the fences between the rooms that neither types nor lints can see, checked
//! by looking at the text. Reads the tree, writes nothing.

pub(crate) mod released;
mod roadmap;
mod run;
mod source;

pub(crate) use run::run;
