//! Recognition of pictures by their first bytes. A name or a declared type proves nothing.

use crate::{ConvertError, Files, OutputFile, Role};

/// A picture format that may become an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
}

impl Picture {
    /// The format of `bytes`; `None` for anything else, SVG included.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }

    /// The file extension, without dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }
}

/// Writes a picture of a page as an output, named by the page and its place there, and adds it to `files`, which
/// are in the order of pages; returns its path.
///
/// # Errors
/// If it cannot be written.
pub fn put_on_page(
    sink: &mut dyn Files,
    files: &mut Vec<OutputFile>,
    page: u32,
    picture: Picture,
    bytes: &[u8],
) -> Result<String, ConvertError> {
    let of_page = files.iter().rev();
    let on_page = of_page.take_while(|file| file.page == Some(page)).count();
    let extension = picture.extension();
    let path = format!("images/p{page:03}-{:02}.{extension}", on_page + 1);
    sink.put(&path, bytes)?;
    files.push(OutputFile {
        path: path.clone(),
        role: Role::Image,
        media_type: picture.media_type().to_owned(),
        page: Some(page),
    });
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_by_magic_number() {
        let check = |bytes: &[u8], expected| assert_eq!(Picture::of(bytes), expected, "{bytes:?}");
        check(b"\x89PNG\r\n\x1a\n....", Some(Picture::Png));
        check(b"\xff\xd8\xff\xe0", Some(Picture::Jpeg));
        check(b"GIF89a", Some(Picture::Gif));
        check(b"RIFF\0\0\0\0WEBPVP8 ", Some(Picture::Webp));
        check(b"RIFF\0\0\0\0WAVE", None);
        check(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", None);
        check(b"", None);
    }
}
