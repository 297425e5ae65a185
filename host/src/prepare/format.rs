//! Recognises the few formats that a converter's files may have, by their bytes. Pure.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON value, thrown away. Unlike serde's own `IgnoredAny` it descends the way that a reader
/// of the file will, so that what is nested too deeply for that reader is refused here.
pub(super) struct AnyJson;

impl<'de> Deserialize<'de> for AnyJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = AnyJson;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<AnyJson, E> {
        Ok(AnyJson)
    }

    fn visit_i64<E>(self, _: i64) -> Result<AnyJson, E> {
        Ok(AnyJson)
    }

    fn visit_u64<E>(self, _: u64) -> Result<AnyJson, E> {
        Ok(AnyJson)
    }

    fn visit_f64<E>(self, _: f64) -> Result<AnyJson, E> {
        Ok(AnyJson)
    }

    fn visit_str<E>(self, _: &str) -> Result<AnyJson, E> {
        Ok(AnyJson)
    }

    fn visit_unit<E>(self) -> Result<AnyJson, E> {
        Ok(AnyJson)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyJson, A::Error> {
        while let Some(AnyJson) = seq.next_element()? {}
        Ok(AnyJson)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyJson, A::Error> {
        while let Some((AnyJson, AnyJson)) = map.next_entry()? {}
        Ok(AnyJson)
    }
}

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
    fn json_is_what_a_reader_accepts() {
        let check = |json: &str, expected: bool| {
            let parsed = serde_json::from_str::<AnyJson>(json);
            assert_eq!(parsed.is_ok(), expected, "{json:.40}");
        };
        check(
            r#"{"a":[null,true,-1,1.5,18446744073709551615,"\u00fc"],"b":{}}"#,
            true,
        );
        check("[1,]", false);
        check("nul", false);
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(100), true);
        check(&nested(200), false);
        assert!(serde_json::from_str::<serde_json::Value>(&nested(200)).is_err());
    }

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
