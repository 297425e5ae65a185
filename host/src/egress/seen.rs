//! The addresses that a service gave to one job, so that its converter can make none of its own.

use std::collections::HashMap;

use url::Url;

use super::call::Location;
use super::service::Images;

/// Addresses of granted hosts that are looked at in all answers of a job: a book of 10,000 pages with some
/// images each.
const ADDRESSES_MAX: usize = 1 << 16;

/// Presigned addresses are some 1,500 bytes; servers take 8 KiB.
const ADDRESS_BYTES_MAX: usize = 8 << 10;

/// All addresses that are looked at, together: half a second's work.
const BYTES_MAX: usize = 64 << 20;

/// The addresses of granted image hosts that stood in answers.
#[derive(Debug, Default)]
pub(super) struct Seen {
    addresses: HashMap<String, Location>,
    looked_at: usize,
    bytes: usize,
}

impl Seen {
    /// Takes the addresses that stand in the strings of a JSON answer and lead to one of `images`. Beyond the
    /// limits none is kept.
    pub(super) fn gather(&mut self, answer: &[u8], images: &[Images]) {
        if images.is_empty() {
            return;
        }
        for literal in string_literals(answer) {
            if self.is_full() {
                return;
            }
            // Cheaper than to unescape every page of a book.
            if !literal.windows(4).any(|word| word == b"http") {
                continue;
            }
            if let Ok(text) = serde_json::from_slice::<String>(literal) {
                self.gather_text(&text, images);
            }
        }
    }

    /// Where `address` leads, if it stood in an answer.
    pub(super) fn locate(&self, address: &str) -> Option<&Location> {
        self.addresses.get(address)
    }

    fn is_full(&self) -> bool {
        self.looked_at >= ADDRESSES_MAX || self.bytes >= BYTES_MAX
    }

    fn gather_text(&mut self, text: &str, images: &[Images]) {
        let mut rest = text;
        while let Some(at) = rest.find("http")
            && !self.is_full()
        {
            rest = &rest[at..];
            let granted = images.iter().find(|images| {
                let behind = rest.strip_prefix(images.origin.as_str());
                behind.is_some_and(|behind| behind.starts_with('/'))
            });
            let Some(images) = granted else {
                rest = &rest["http".len()..];
                continue;
            };
            let end = |ends: fn(u8) -> bool| {
                let mut bytes = rest.as_bytes().iter().take(ADDRESS_BYTES_MAX);
                bytes.position(|byte| ends(*byte)).unwrap_or(rest.len())
            };
            let (longest, shortest) = (end(ends_address), end(may_end_address));
            self.looked_at += 1;
            self.bytes += shortest.min(ADDRESS_BYTES_MAX) + longest.min(ADDRESS_BYTES_MAX);
            let balanced = balanced(&rest[..longest.min(ADDRESS_BYTES_MAX)]);
            let mut ends = [shortest, balanced, longest];
            ends.sort_unstable();
            for (at, end) in ends.into_iter().enumerate() {
                if at == 0 || ends[at - 1] != end {
                    self.keep_as_read(&rest[..end], images);
                }
            }
            rest = &rest[shortest.min(ADDRESS_BYTES_MAX)..];
        }
    }

    /// Keeps an address as it stands, and as who reads the HTML entity in it has it.
    fn keep_as_read(&mut self, address: &str, images: &Images) {
        self.keep(address, images);
        if address.len() <= ADDRESS_BYTES_MAX && address.contains(AMPERSAND) {
            self.keep(&address.replace(AMPERSAND, "&"), images);
        }
    }

    fn keep(&mut self, address: &str, images: &Images) {
        if address.len() > ADDRESS_BYTES_MAX || self.addresses.contains_key(address) {
            return;
        }
        let Some(path) = path_of(address, images) else {
            return;
        };
        let location = Location {
            endpoint: images.id.clone(),
            path,
        };
        self.addresses.insert(address.to_owned(), location);
    }
}

/// How Markdown and HTML write `&`.
const AMPERSAND: &str = "&amp;";

/// Where a target of Markdown ends: at the first closing parenthesis that none in it opened.
fn balanced(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return at,
            b')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// What ends an address in a text for sure.
fn ends_address(byte: u8) -> bool {
    !byte.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&byte)
}

/// What ends an address in Markdown or HTML, though it might stand in one.
fn may_end_address(byte: u8) -> bool {
    ends_address(byte) || b")]'*".contains(&byte)
}

/// Path and query of `address`, if it is written as it would be sent.
fn path_of(address: &str, images: &Images) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let path = address.strip_prefix(images.origin.as_str())?;
    (url.as_str() == address && url.fragment().is_none()).then(|| path.to_owned())
}

/// What stands between quotation marks, them included.
fn string_literals(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = answer;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| *byte == b'"')?;
        let mut end = start + 1;
        loop {
            match rest.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let literal = &rest[start..=end];
        rest = &rest[end + 1..];
        Some(literal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::service::Service;

    fn images() -> Vec<Images> {
        let hosts = Some("img.example, other.example:8443");
        Service::from_values(None, hosts, &[])
            .unwrap()
            .images()
            .to_vec()
    }

    fn check(answer: &str, address: &str, path: Option<&str>) {
        let mut seen = Seen::default();
        seen.gather(answer.as_bytes(), &images());
        let located = seen.locate(address).map(|location| location.path.as_str());
        assert_eq!(located, path, "{answer}");
    }

    #[test]
    fn an_address_in_markdown_is_kept_as_who_reads_it_has_it() {
        let mut seen = Seen::default();
        let text = r#"["![a](https://img.example/c.png?x=1&amp;y=2) ![b](https://img.example/b(1).png) x"]"#;
        seen.gather(text.as_bytes(), &images());
        for address in [
            "https://img.example/c.png?x=1&y=2",
            "https://img.example/b(1).png",
        ] {
            assert!(seen.locate(address).is_some(), "{address}");
        }
        assert!(seen.locate("https://img.example/b(2).png").is_none());
    }

    #[test]
    fn an_address_stands_in_an_answer_as_it_is() {
        let address = "https://img.example/a/b.png?X-Sig=1%2F2&e=3";
        let path = Some("/a/b.png?X-Sig=1%2F2&e=3");
        for answer in [
            format!(r#"{{"url": "{address}"}}"#),
            format!(r#"{{"q": "\"", "url": "{}"}}"#, address.replace('/', "\\/")),
            format!(r#"{{"url": "{}"}}"#, address.replace('&', "\\u0026")),
            format!(r#"["text ![alt]({address}) more"]"#),
            format!(r#"["<img src=\"{address}\">"]"#),
            format!(r#"["[![x]({address})](https://img.example/c)"]"#),
            format!(r#"["https://evil.example/?u={address} x"]"#),
        ] {
            check(&answer, address, path);
        }
        check(
            r#"["[![x](https://img.example/a)](https://img.example/c)"]"#,
            "https://img.example/c",
            Some("/c"),
        );
        check(
            r#"["https://img.example/a(1).png"]"#,
            "https://img.example/a(1).png",
            Some("/a(1).png"),
        );
        check(
            r#"["https://other.example:8443/x"]"#,
            "https://other.example:8443/x",
            Some("/x"),
        );
    }

    #[test]
    fn other_addresses_are_not_kept() {
        for (answer, address) in [
            (r#"["https://img.example/a"]"#, "https://img.example/b"),
            (r#"["https://img.example/a"]"#, "https://img.example/a?x"),
            (r#"["https://img.example/aa"]"#, "https://img.example/a"),
            (r#"["https://evil.example/a"]"#, "https://evil.example/a"),
            (
                r#"["https://img.example.evil/a"]"#,
                "https://img.example.evil/a",
            ),
            (
                r#"["https://img.example:444/a"]"#,
                "https://img.example:444/a",
            ),
            (
                r#"["https://img.example@evil/a"]"#,
                "https://img.example@evil/a",
            ),
            (r#"["https://u@img.example/a"]"#, "https://u@img.example/a"),
            (r#"["http://img.example/a"]"#, "http://img.example/a"),
            (
                r#"["https://img.example/a/../b"]"#,
                "https://img.example/a/../b",
            ),
            (
                r#"["https://img.example/%2e%2e/b"]"#,
                "https://img.example/%2e%2e/b",
            ),
            (r#"["https://img.example/a#f"]"#, "https://img.example/a#f"),
            (r#"["https://IMG.example/a"]"#, "https://IMG.example/a"),
            ("https://img.example/a", "https://img.example/a"),
            (r#"["https://img.example/a"#, "https://img.example/a"),
        ] {
            check(answer, address, None);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut seen = Seen::default();
        let addresses: Vec<_> = (0..=ADDRESSES_MAX)
            .map(|n| format!("https://img.example/{n}"))
            .collect();
        seen.gather(
            serde_json::to_string(&addresses).unwrap().as_bytes(),
            &images(),
        );
        assert!(seen.locate(&addresses[ADDRESSES_MAX - 1]).is_some());
        assert!(seen.locate(&addresses[ADDRESSES_MAX]).is_none());
        let long = format!("https://img.example/{}", "x".repeat(ADDRESS_BYTES_MAX));
        check(&format!("[\"{long}\"]"), &long, None);
        let behind = format!("[\"{long} https://img.example/a\"]");
        check(&behind, "https://img.example/a", Some("/a"));
        let mut seen = Seen::default();
        let nested = format!("[\"{}\"]", "https://img.example/)".repeat(1 << 20));
        seen.gather(nested.as_bytes(), &images());
        assert_eq!(seen.addresses.len(), 1);
    }
}
