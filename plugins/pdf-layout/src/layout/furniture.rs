//! Running heads, running feet and page numbers: what repeats from page to page.

use crate::layout::block::PageBlocks;

/// Marks them.
pub fn mark(_pages: &mut [PageBlocks]) {}
