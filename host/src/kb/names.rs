//! Document names: how a file's stem becomes a name, and how a collision is resolved.

use unicode_normalization::UnicodeNormalization;

use super::{ContentHash, DocName, SourceKey};

/// A stem is cut to this many bytes: a hash, an extension and a temporary suffix fit beside it.
pub const STEM_BYTES_MAX: usize = 180;

/// Whether `c` is a word character in the sense of the peer's `\w`.
pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric() || is_mark(c)
}

/// Combining marks that scripts cannot do without (they are no `\w` in every engine; cutting them
/// would tear words of Indic scripts and decomposed accents apart).
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Turns the stem of a file name into a document name: NFKC, each run of characters that are no
/// word characters and no dash becomes one dash, dashes at both ends go; nothing left is
/// `document`. A stem over [`STEM_BYTES_MAX`] is cut there and gets eight digits of its own hash.
#[must_use]
pub fn from_stem(stem: &str) -> DocName {
    let mut name = String::new();
    // NFKC can make one character eleven: stop reading where the cut is certain.
    for c in stem.nfkc() {
        if is_word(c) || c == '-' {
            name.push(c);
        } else if !name.ends_with('\u{0}') {
            name.push('\u{0}');
        }
        if name.len() > 4 * STEM_BYTES_MAX {
            break;
        }
    }
    let name = name.replace('\u{0}', "-");
    let mut name = name.trim_matches('-').to_owned();
    if name.len() > STEM_BYTES_MAX {
        let digits = &ContentHash::of(stem.as_bytes()).to_hex()[..8];
        name.truncate(name.floor_char_boundary(STEM_BYTES_MAX));
        name = format!("{}-{digits}", name.trim_end_matches('-'));
    }
    if name.is_empty() {
        name = "document".to_owned();
    }
    DocName::new(&name).expect("the characters were filtered and the length cut above")
}

/// The name with the first `digits` hexadecimal digits of the SHA-256 of the source key behind it.
#[must_use]
pub fn with_suffix(name: &DocName, key: &SourceKey, digits: usize) -> DocName {
    let hash = ContentHash::of(key.as_str().as_bytes()).to_hex();
    let stem = name.as_str();
    let stem = &stem[..stem.floor_char_boundary(STEM_BYTES_MAX)];
    DocName::new(&format!("{stem}-{}", &hash[..digits]))
        .expect("a name cut to 180 bytes with at most 64 digits stays a name")
}

/// What two names are compared by: canonical case folding (fold, then NFC), so that they differ on
/// case-insensitive and on normalising file systems too.
#[must_use]
pub fn fold(name: &str) -> String {
    caseless::default_case_fold_str(&name.nfc().collect::<String>())
        .nfc()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_become_names() {
        let check = |stem: &str, name: &str| assert_eq!(from_stem(stem).as_str(), name);
        check("report", "report");
        check("My File (1)", "My-File-1");
        check("--a--b--", "a--b");
        check("注釈", "注釈");
        check("ﬁle", "file");
        check("...", "document");
        check("a\u{1b}[31m\nb", "a-31m-b");
        check("../../etc/passwd", "etc-passwd");
    }

    #[test]
    fn growing_and_long_stems_stay_names() {
        for stem in [
            "\u{fdfa}".repeat(80),
            "é".repeat(127),
            "a".repeat(255),
            "e\u{301}".repeat(90),
        ] {
            let name = from_stem(&stem);
            assert!(name.as_str().len() <= STEM_BYTES_MAX + 9, "{name}");
            assert_ne!(
                name,
                from_stem(&format!("{stem}x")),
                "two long stems must differ"
            );
            let key = SourceKey::new("k".to_owned());
            assert!(with_suffix(&name, &key, 64).as_str().len() <= DocName::BYTES_MAX);
        }
    }

    #[test]
    fn twins_fold_alike() {
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("caf\u{e9}"), fold("CAFE\u{301}"));
        assert_ne!(fold("a"), fold("b"));
    }
}
