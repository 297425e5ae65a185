//! Pictures of a PDF on their way into the output.
//!
//! Invariant: a picture is written once; names come from page and counter, never from the file; one
//! that no page shows is no output.

use std::collections::BTreeSet;

use kbhost_guest::{ConvertError, Files, OutputFile, Picture, Warnings, put_on_page};
use kbhost_pdf_layout::read::{EncodedPicture, MissingPictures, PictureFormat, PictureSink};

/// The pictures of one document, as they are read.
pub(crate) struct Pictures<'f> {
    sink: &'f mut dyn Files,
    files: Vec<OutputFile>,
    /// Why one could not be written: the conversion has failed.
    failure: Option<ConvertError>,
}

impl<'f> Pictures<'f> {
    pub(crate) fn new(sink: &'f mut dyn Files) -> Self {
        Self {
            sink,
            files: Vec::new(),
            failure: None,
        }
    }

    /// What was written, for placing it on pages.
    pub(crate) fn finish(self) -> Result<Placing, ConvertError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(Placing {
                files: self.files,
                placed: BTreeSet::new(),
            }),
        }
    }
}

impl PictureSink for Pictures<'_> {
    fn put(&mut self, page: u32, picture: &EncodedPicture) -> bool {
        let format = match picture.format {
            PictureFormat::Jpeg => Picture::Jpeg,
            PictureFormat::Png => Picture::Png,
        };
        let written = put_on_page(self.sink, &mut self.files, page, format, &picture.bytes);
        match written {
            Ok(_) => true,
            Err(failure) => {
                self.failure.get_or_insert(failure);
                false
            }
        }
    }
}

/// Pictures that wait for their place.
pub(crate) struct Placing {
    files: Vec<OutputFile>,
    placed: BTreeSet<u32>,
}

impl Placing {
    /// The path of a picture where it first appears; later, as on every slide, it is left out.
    pub(crate) fn place(&mut self, picture: u32) -> Option<&str> {
        let file = self.files.get(picture as usize)?;
        self.placed.insert(picture).then_some(file.path.as_str())
    }

    /// The files of those that were placed.
    pub(crate) fn into_files(self) -> Vec<OutputFile> {
        let files = (0_u32..).zip(self.files);
        let placed = files.filter(|(number, _)| self.placed.contains(number));
        placed.map(|(_, file)| file).collect()
    }
}

/// Says which pictures are missing.
pub(crate) fn warn_of_missing(missing: &MissingPictures, warnings: &mut Warnings) {
    if missing.unreadable > 0 {
        let count = missing.unreadable;
        warnings.push(&format!("{count} pictures could not be read"));
    }
    if missing.left_out > 0 {
        let count = missing.left_out;
        warnings.push(&format!("{count} pictures beyond the limits were left out"));
    }
}

#[cfg(test)]
mod tests {
    use kbhost_guest::MemoryFiles;

    use super::*;

    #[test]
    fn named_by_page_and_placed_once() {
        let mut files = MemoryFiles::default();
        let mut pictures = Pictures::new(&mut files);
        for (page, byte) in [(1, 1), (2, 2), (2, 3)] {
            let picture = EncodedPicture {
                bytes: vec![byte],
                format: PictureFormat::Png,
                width: 40,
                height: 40,
            };
            assert!(pictures.put(page, &picture));
        }
        let mut placing = pictures.finish().unwrap();
        assert_eq!(placing.place(2), Some("images/p002-02.png"));
        assert_eq!(placing.place(2), None);
        assert_eq!(placing.place(0), Some("images/p001-01.png"));
        assert_eq!(placing.place(9), None);
        let files = placing.into_files();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["images/p001-01.png", "images/p002-02.png"]);
    }
}
