//! What the host asks of a conversion.

/// The name of the option with the password of encrypted files.
const PASSWORD: &str = "password";
/// The name of the option with the number of pages from which on a document is a long one.
const THRESHOLD: &str = "pageindex_threshold";
/// Pages of a long document, unless the host says otherwise.
const THRESHOLD_DEFAULT: u32 = 20;

/// The options of a conversion. No `Debug`: a password is in no message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// What opens an encrypted file.
    pub(crate) password: Option<String>,
    /// From as many pages on a document has its pages and a tree beside it.
    pub(crate) long_from_pages: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            password: None,
            long_from_pages: THRESHOLD_DEFAULT,
        }
    }
}

impl Options {
    /// Takes those of a request; what it does not know or cannot read counts as not given.
    pub(crate) fn of(given: &[(String, String)]) -> Self {
        let value = |name: &str| {
            let option = given.iter().find(|(key, _)| key == name);
            option.map(|(_, value)| value.as_str())
        };
        let threshold = value(THRESHOLD).and_then(|pages| pages.parse().ok());
        Self {
            password: value(PASSWORD).map(str::to_owned),
            long_from_pages: threshold.unwrap_or(THRESHOLD_DEFAULT).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_it_knows() {
        let given = |options: &[(&str, &str)]| {
            let options = options.iter();
            let options = options.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            Options::of(&options.collect::<Vec<_>>())
        };
        assert!(given(&[("x", "y")]) == Options::default());
        assert!(given(&[("pageindex_threshold", "many")]) == Options::default());
        let options = given(&[("pageindex_threshold", "5"), ("password", " s ")]);
        assert_eq!(options.long_from_pages, 5);
        assert_eq!(options.password.as_deref(), Some(" s "));
        assert_eq!(given(&[("pageindex_threshold", "0")]).long_from_pages, 1);
    }
}
