//! From the PDF format to [`crate::page`]: the only room that names the parser's crates.
