//! Pictures of a PDF on their way into the output.
//!
//! Invariant: a picture is written once and linked where it first appears; names come from page
//! and counter, never from the file.

use std::collections::BTreeSet;

use kbhost_guest::{ConvertError, Files, OutputFile, Picture, Warnings, put_on_page};
use sha2::{Digest, Sha256};
use unpdf::{Block, Page};

/// Pictures of one document; a scan has one a page.
const IMAGES_MAX: usize = 2_000;
/// Bytes of all pictures: half of what the host allows a document by default.
const IMAGE_BYTES_MAX: u64 = 512 << 20;

/// The pictures of one document.
pub(crate) struct Images<'a> {
    sink: &'a mut dyn Files,
    seen: BTreeSet<[u8; 32]>,
    bytes: u64,
    unsupported: u64,
    left_out: u64,
    pub(crate) files: Vec<OutputFile>,
}

impl<'a> Images<'a> {
    pub(crate) fn new(sink: &'a mut dyn Files) -> Self {
        Self {
            sink,
            seen: BTreeSet::new(),
            bytes: 0,
            unsupported: 0,
            left_out: 0,
            files: Vec::new(),
        }
    }

    /// Moves the pictures of a page to the output; its picture blocks then name output files, and
    /// those without one are gone.
    pub(crate) fn take_from(&mut self, page: &mut Page) -> Result<(), ConvertError> {
        self.unsupported += page.unsupported_image_count as u64;
        let images = std::mem::take(&mut page.images);
        let mut outputs = Vec::new();
        for (id, resource) in images {
            if let Some(path) = self.put(&resource.data, page.number)? {
                outputs.push((id, path));
            }
        }
        page.elements.retain_mut(|block| match block {
            Block::Image { resource_id, .. } => {
                let at = outputs.iter().position(|(id, _)| id == resource_id);
                at.map(|at| *resource_id = outputs.swap_remove(at).1)
                    .is_some()
            }
            _ => true,
        });
        Ok(())
    }

    fn put(&mut self, data: &[u8], page: u32) -> Result<Option<String>, ConvertError> {
        let Some(picture) = Picture::of(data) else {
            self.unsupported += 1;
            return Ok(None);
        };
        if !self.seen.insert(Sha256::digest(data).into()) {
            return Ok(None);
        }
        let bytes = self.bytes + data.len() as u64;
        if self.files.len() == IMAGES_MAX || bytes > IMAGE_BYTES_MAX {
            self.left_out += 1;
            return Ok(None);
        }
        self.bytes = bytes;
        put_on_page(self.sink, &mut self.files, page, picture, data).map(Some)
    }

    /// The files, after saying what was left out.
    pub(crate) fn finish(self, warnings: &mut Warnings) -> Vec<OutputFile> {
        if self.unsupported > 0 {
            let count = self.unsupported;
            warnings.push(&format!(
                "{count} pictures are in a format that cannot be kept"
            ));
        }
        if self.left_out > 0 {
            warnings.push(&format!(
                "{} pictures beyond the limits were left out",
                self.left_out
            ));
        }
        self.files
    }
}

#[cfg(test)]
mod tests {
    use kbhost_guest::MemoryFiles;
    use unpdf::Resource;

    use super::*;

    fn page(number: u32, images: &[(&str, &[u8])]) -> Page {
        let mut page = Page::letter(number);
        for (id, data) in images {
            page.add_block(Block::image(*id));
            page.images
                .push(((*id).to_owned(), Resource::png(data.to_vec())));
        }
        page
    }

    #[test]
    fn each_picture_once_and_named_by_page() {
        let (a, b) = (
            b"\x89PNG\r\n\x1a\nA".as_slice(),
            b"\x89PNG\r\n\x1a\nB".as_slice(),
        );
        let mut files = MemoryFiles::default();
        let mut images = Images::new(&mut files);
        let mut first = page(1, &[("x](y", a), ("jp2", b"\0\0\0\x0cjP  ")]);
        let mut second = page(2, &[("a", a), ("b", b)]);
        images.take_from(&mut first).unwrap();
        images.take_from(&mut second).unwrap();
        let ids = |page: &Page| -> Vec<String> {
            let blocks = page.elements.iter();
            let ids = blocks.filter_map(|block| match block {
                Block::Image { resource_id, .. } => Some(resource_id.clone()),
                _ => None,
            });
            ids.collect()
        };
        assert_eq!(ids(&first), ["images/p001-01.png"]);
        assert_eq!(ids(&second), ["images/p002-01.png"]);
        let mut warnings = Warnings::default();
        assert_eq!(images.finish(&mut warnings).len(), 2);
        assert_eq!(warnings.into_sentences().len(), 1);
        assert_eq!(files.outputs["images/p002-01.png"], b);
    }
}
