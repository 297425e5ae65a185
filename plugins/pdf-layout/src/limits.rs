//! Bounds of the work that one document may cause. Hostile files claim what they like; a bound that is
//! hit is a warning or the `too-large` error, never a trap.

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages of a document; more is `too-large`: no book has as many.
    pub pages: u32,
    /// Operators of the content streams of a page, forms within included.
    pub operators_per_page: u32,
    /// Glyphs of a page.
    pub glyphs_per_page: u32,
    /// Glyphs of a document; more is `too-large`: they are all in memory before a heading is known.
    pub glyphs: u64,
    /// Forms within forms.
    pub nesting: u32,
    /// Lines drawn and boxes filled that are kept of a page: a drawing has more, a table does not.
    pub rules_per_page: u32,
    /// Links and notes of a page.
    pub annotations_per_page: u32,
    /// Bookmarks of a document.
    pub bookmarks: u32,
    /// Named destinations of a document.
    pub names: u32,
    /// Elements of a structure tree.
    pub elements: u32,
    /// Fonts of a document.
    pub fonts: u16,
    /// Pixels of a picture.
    pub picture_pixels: u64,
    /// Pixels that are decoded in a document.
    pub pixels: u64,
    /// Pictures that are kept.
    pub pictures: u32,
    /// Bytes of the pictures that are kept.
    pub picture_bytes: u64,
    /// Bytes that the laid-out pages take together; more is `too-large`: what is left of the memory of a
    /// plugin has the file, a picture and the Markdown.
    pub held_bytes: u64,
    /// Bytes of Markdown; more is `too-large`.
    pub markdown_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: 20_000,
            operators_per_page: 2_000_000,
            glyphs_per_page: 200_000,
            glyphs: 16_000_000,
            nesting: 24,
            rules_per_page: 20_000,
            annotations_per_page: 5_000,
            bookmarks: 10_000,
            names: 100_000,
            elements: 500_000,
            fonts: 10_000,
            picture_pixels: 64_000_000,
            pixels: 1_000_000_000,
            pictures: 2_000,
            picture_bytes: 512 << 20,
            held_bytes: 320 << 20,
            markdown_bytes: 256 << 20,
        }
    }
}
