//! The credential of a service.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Shorter ones would be found in any text; nobody hands out such keys.
const KEY_BYTES_MIN: usize = 8;

/// Longer ones are somebody's mistake.
const KEY_BYTES_MAX: usize = 512;

/// A key of a service. It is told to nobody: it is not printed, not compared and not written, and its
/// memory is cleared when it goes.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Takes a key: 8 to 512 visible ASCII characters.
    ///
    /// # Errors
    /// What is wrong with it, without its value.
    pub fn new(value: String) -> Result<Self, &'static str> {
        let value = SecretString::from(value);
        let text = value.expose_secret();
        if text.len() < KEY_BYTES_MIN {
            return Err("it is shorter than 8 characters");
        }
        if text.len() > KEY_BYTES_MAX {
            return Err("it is longer than 512 characters");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it holds something else than visible ASCII characters");
        }
        Ok(Self(value))
    }

    /// The key itself, for the header and for what looks for it.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A name for the account that this key opens at `origin`. The key is the MAC's key: who does not have it
    /// learns nothing from the name.
    pub(crate) fn account(&self, origin: &str) -> [u8; 32] {
        let key = blake3::derive_key("kbhost 2026 account of a service", self.expose().as_bytes());
        *blake3::keyed_hash(&key, origin.as_bytes()).as_bytes()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_of_some_length() {
        for (value, sound) in [
            ("12345678".to_owned(), true),
            ("!~#$%&/\\\"'".to_owned(), true),
            ("x".repeat(512), true),
            ("1234567".to_owned(), false),
            ("x".repeat(513), false),
            (String::new(), false),
            ("abc defgh".to_owned(), false),
            ("abcdefgh\n".to_owned(), false),
            ("abcdefgh\r\nx: y".to_owned(), false),
            ("abcdefgh\u{7f}".to_owned(), false),
            ("äbcdefgh".to_owned(), false),
        ] {
            assert_eq!(ApiKey::new(value.clone()).is_ok(), sound, "{value:?}");
        }
    }

    #[test]
    fn it_is_not_printed_and_its_accounts_differ() {
        let key = ApiKey::new("pi-0123456789".to_owned()).unwrap();
        let other = ApiKey::new("pi-0123456780".to_owned()).unwrap();
        assert!(!format!("{key:?}").contains("0123"));
        let accounts = [
            key.account("https://a"),
            key.account("https://b"),
            other.account("https://a"),
        ];
        assert_eq!(accounts[0], key.account("https://a"));
        assert_ne!(accounts[0], accounts[1]);
        assert_ne!(accounts[0], accounts[2]);
    }
}
