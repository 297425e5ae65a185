//! Recognises the few formats that a converter's files may have, by their bytes. Pure.

/// The extension of an image by its first bytes; `None` for anything that is none of ours.
pub(super) fn image_extension(head: &[u8]) -> Option<&'static str> {
    let webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("png")
    } else if head.starts_with(b"\xff\xd8\xff") {
        Some("jpg")
    } else if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        Some("gif")
    } else if webp {
        Some("webp")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_by_their_first_bytes() {
        let check = |head: &[u8], expected| assert_eq!(image_extension(head), expected);
        check(b"\x89PNG\r\n\x1a\nrest", Some("png"));
        check(b"GIF89a..", Some("gif"));
        check(b"RIFF\0\0\0\0WEBPVP8 ", Some("webp"));
        check(b"RIFF\0\0\0\0WAVE", None);
        check(b"\xff\xd8", None);
        check(b"", None);
    }
}
