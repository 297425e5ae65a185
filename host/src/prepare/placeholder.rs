//! The links by which a main page refers to its images before anybody knows the document's name:
//! `kbhost-output:` and the path that the converter declared. Pure.

use std::collections::HashMap;

use super::ReadyImage;

/// What a placeholder starts with.
const SCHEME: &[u8] = b"kbhost-output:";

/// Whether `byte` can be part of a declared path: the policy of the converter contract.
pub(super) fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/')
}

/// Replaces each `kbhost-output:PATH` whose whole run of path characters is the declared path of an
/// image by `prefix` and the image's published name. Everything else stays byte for byte.
#[must_use]
pub fn resolve_placeholders(markdown: &[u8], images: &[ReadyImage], prefix: &str) -> Vec<u8> {
    let published: HashMap<&[u8], &str> = images
        .iter()
        .map(|image| (image.placeholder.as_bytes(), &*image.published_name))
        .collect();
    let mut resolved = Vec::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some(at) = find(rest, SCHEME) {
        let (before, from_path) = rest.split_at(at + SCHEME.len());
        let end = from_path
            .iter()
            .position(|byte| !is_path_byte(*byte))
            .unwrap_or(from_path.len());
        if let Some(name) = published.get(&from_path[..end]) {
            resolved.extend_from_slice(&before[..at]);
            resolved.extend_from_slice(prefix.as_bytes());
            resolved.extend_from_slice(name.as_bytes());
            rest = &from_path[end..];
        } else {
            resolved.extend_from_slice(before);
            rest = from_path;
        }
    }
    resolved.extend_from_slice(rest);
    resolved
}

/// Where `needle` starts in `haystack`. Looks for the rare `:` first: pages are large and have few.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let last = needle.len() - 1;
    let mut from = last;
    while from < haystack.len() {
        let colon = from
            + haystack[from..]
                .iter()
                .position(|byte| *byte == needle[last])?;
        if haystack[colon - last..=colon] == *needle {
            return Some(colon - last);
        }
        from = colon + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::ReadyFile;
    use super::*;
    use crate::kb::ContentHash;

    #[test]
    fn exact_paths_are_replaced() {
        let images: Vec<_> = [("a.png", "img_001.png"), ("sub/b-2.png", "p3_img2.png")]
            .into_iter()
            .map(|(placeholder, published_name)| ReadyImage {
                file: ReadyFile {
                    name: format!("images/{published_name}"),
                    size: 0,
                    hash: ContentHash::of(b""),
                },
                published_name: published_name.to_owned(),
                placeholder: placeholder.to_owned(),
            })
            .collect();
        let check = |input: &str, expected: &str| {
            let resolved = resolve_placeholders(input.as_bytes(), &images, "images/doc/");
            assert_eq!(String::from_utf8(resolved).unwrap(), expected);
        };
        check("", "");
        check("no link: none", "no link: none");
        check(
            "![x](kbhost-output:a.png) and ![](kbhost-output:sub/b-2.png)\n",
            "![x](images/doc/img_001.png) and ![](images/doc/p3_img2.png)\n",
        );
        check("kbhost-output:a.png", "images/doc/img_001.png");
        check(
            "kbhost-output:kbhost-output:a.png",
            "kbhost-output:images/doc/img_001.png",
        );
        check("(kbhost-output:a.pngx)", "(kbhost-output:a.pngx)");
        check("(kbhost-output:a.png/x)", "(kbhost-output:a.png/x)");
        check("(kbhost-output:other.png)", "(kbhost-output:other.png)");
        check("(kbhost-output:", "(kbhost-output:");
        check("host-output:a.png", "host-output:a.png");
        check("ü kbhost-output:a.pngü", "ü images/doc/img_001.pngü");
    }
}
