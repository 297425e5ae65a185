//! Code: blocks whose line breaks and gaps count.

use crate::layout::block::PageBlocks;

/// Marks code.
pub fn mark(_pages: &mut [PageBlocks]) {}
