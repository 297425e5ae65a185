//! Sets of page numbers as people write them.

/// Longest list that a warning or a metadata value carries, in characters.
const CHARS_MAX: usize = 200;

/// `[1, 2, 3, 7]` as `1-3, 7`; ascending input; cut with `…` where it gets long.
pub(crate) fn ranges(pages: &[u32]) -> String {
    let mut text = String::new();
    let mut rest = pages;
    while let Some(first) = rest.first() {
        let follows = rest.iter().zip(*first..=u32::MAX);
        let follows = follows.take_while(|(page, expected)| **page == *expected);
        let length = follows.count();
        if !text.is_empty() {
            text.push_str(", ");
        }
        if text.len() > CHARS_MAX {
            text.push('…');
            break;
        }
        match length {
            1 => text.push_str(&first.to_string()),
            _ => text.push_str(&format!("{first}-{}", rest[length - 1])),
        }
        rest = &rest[length..];
    }
    text
}

/// `page 4` or `pages 1-3, 7`.
pub(crate) fn named(pages: &[u32]) -> String {
    let word = if pages.len() == 1 { "page" } else { "pages" };
    format!("{word} {}", ranges(pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_pages() {
        let check = |pages: &[u32], expected: &str| assert_eq!(named(pages), expected);
        check(&[4], "page 4");
        check(&[1, 2, 3, 7], "pages 1-3, 7");
        check(&[u32::MAX - 1, u32::MAX], "pages 4294967294-4294967295");
        let odd: Vec<u32> = (0..1_000).map(|n| 2 * n + 1).collect();
        assert!(ranges(&odd).ends_with(", …"));
        assert!(ranges(&odd).len() < CHARS_MAX + 20);
    }
}
