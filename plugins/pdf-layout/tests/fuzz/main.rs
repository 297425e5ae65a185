//! Hostile input, made up from seeds: hand-made PDFs of every construct, and files of the corpus where
//! it is there, changed as bytes and as objects; pages of glyphs that no reader would make.
//!
//! A case is a target, a seed and a number, and is the same wherever it runs. A part runs with the tests,
//! the rest in `cargo xtask torture pdf`, which also repeats one case: `--seed S --case N`.
//!
//! Invariant: no case panics, hangs or takes longer than its bound, and what comes out holds what
//! [`targets`] says of it.

mod bounds;
mod contents;
mod file;
mod fixtures;
mod mutate;
mod pages;
mod random;
mod rig;
mod seeds;
mod targets;
mod torture;
