//! The machine-readable answers: one JSON object for each command.

use std::fmt::Write;

use serde::Serialize;

use crate::kb::is_deceptive;

/// Version of all JSON answers. Fields may be added under one number; a field that changes its
/// meaning or goes away raises it.
pub(super) const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    kbhost: u32,
    command: Option<&'a str>,
    #[serde(flatten)]
    body: T,
}

/// One line of JSON: version and command first, then the fields of `body`. `command` is `None`
/// when none was understood.
pub(super) fn line(command: Option<&str>, body: impl Serialize) -> String {
    let envelope = Envelope {
        kbhost: JSON_VERSION,
        command,
        body,
    };
    let json = serde_json::to_string(&envelope)
        .expect("the answers are structs of strings, numbers and lists");
    escape(&json)
}

/// Writes what serde_json leaves as it is and a terminal would obey, C1 controls and deceptive
/// characters, as `\u` escapes. Such characters occur in strings only, so the value is the same.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() || is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Body {
        zebra: &'static str,
        apple: u32,
    }

    #[test]
    fn fields_keep_their_order() {
        let json = line(
            Some("list"),
            Body {
                zebra: "z",
                apple: 1,
            },
        );
        assert_eq!(
            json,
            r#"{"kbhost":1,"command":"list","zebra":"z","apple":1}"#
        );
    }

    #[test]
    fn strings_are_safe_to_print_and_mean_the_same() {
        let text = "a\u{9b}b\u{202e}c\u{e0041}d\x1be";
        #[derive(Serialize)]
        struct Text<'a> {
            text: &'a str,
        }
        let json = line(None, Text { text });
        assert!(json.is_ascii(), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["text"], text);
        assert!(value["command"].is_null());
    }
}
