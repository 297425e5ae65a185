//! Lists: which blocks are items, and how deep.

use crate::layout::block::PageBlocks;

/// Marks the items of lists.
pub fn mark(_pages: &mut [PageBlocks]) {}
