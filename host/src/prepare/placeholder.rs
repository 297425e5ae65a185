//! The links by which the pages of a document refer to its other outputs before anybody knows the
//! document's name: `kbhost-output:` and the path that the converter declared. Pure.

use std::collections::HashMap;

use super::{ReadyImage, ReadyMember};

/// What a placeholder starts with.
const SCHEME: &[u8] = b"kbhost-output:";

/// Whether `byte` can be part of a declared path: the policy of the converter contract.
pub(super) fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/')
}

/// How often a text refers to an output, be it one that there is or not.
pub(super) fn count(markdown: &str) -> usize {
    let mut rest = markdown.as_bytes();
    let mut count = 0;
    while let Some(at) = find(rest, SCHEME) {
        count += 1;
        rest = &rest[at + SCHEME.len()..];
    }
    count
}

/// What the directories of a document's outputs are called, seen from one of its pages: a prefix of
/// link targets that ends in `/`, or nothing for the page's own directory.
#[derive(Clone, Copy, Debug)]
pub struct Directories<'a> {
    /// Where the images lie.
    pub images: &'a str,
    /// Where the members lie.
    pub members: &'a str,
}

/// What the placeholders of a document stand for.
#[derive(Debug)]
pub struct Placeholders<'a> {
    published: HashMap<&'a [u8], Target<'a>>,
}

/// A published name, and in which of the directories it is one.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Image(&'a str),
    Member(&'a str),
}

impl<'a> Placeholders<'a> {
    pub(super) fn of(images: &'a [ReadyImage], members: &'a [ReadyMember]) -> Self {
        let images = images.iter().map(|image| {
            let target = Target::Image(&image.published_name);
            (image.placeholder.as_bytes(), target)
        });
        let members = members.iter().map(|member| {
            let target = Target::Member(&member.published_name);
            (member.placeholder.as_bytes(), target)
        });
        Self {
            published: images.chain(members).collect(),
        }
    }

    /// Whether there is nothing that a placeholder could stand for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// Replaces each `kbhost-output:PATH` of a page whose whole run of path characters is the
    /// declared path of an image or a member by the directory, seen from this page, and the published
    /// name. Everything else stays byte for byte.
    #[must_use]
    pub fn resolve(&self, markdown: &[u8], seen: Directories<'_>) -> Vec<u8> {
        let mut resolved = Vec::with_capacity(markdown.len());
        let mut rest = markdown;
        while let Some(at) = find(rest, SCHEME) {
            let (before, from_path) = rest.split_at(at + SCHEME.len());
            let end = from_path
                .iter()
                .position(|byte| !is_path_byte(*byte))
                .unwrap_or(from_path.len());
            if let Some(target) = self.published.get(&from_path[..end]) {
                let (directory, name) = match target {
                    Target::Image(name) => (seen.images, name),
                    Target::Member(name) => (seen.members, name),
                };
                resolved.extend_from_slice(&before[..at]);
                resolved.extend_from_slice(directory.as_bytes());
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
        let members = [ReadyMember {
            file: images[0].file.clone(),
            published_name: "0001-t.md".to_owned(),
            placeholder: "t.md".to_owned(),
            has_placeholders: false,
        }];
        let placeholders = Placeholders::of(&images, &members);
        let seen = Directories {
            images: "images/doc/",
            members: "members/doc/",
        };
        let check = |input: &str, expected: &str| {
            let resolved = placeholders.resolve(input.as_bytes(), seen);
            assert_eq!(String::from_utf8(resolved).unwrap(), expected);
        };
        check("[t](kbhost-output:t.md#a)", "[t](members/doc/0001-t.md#a)");
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

    #[test]
    fn references_are_counted() {
        let check = |text: &str, expected| assert_eq!(count(text), expected, "{text:?}");
        check("", 0);
        check("kbhost-output", 0);
        check("kbhost-output:a kbhost-output:kbhost-output:", 3);
    }
}
