//! Lies about what the service has. The service's own list says which lie: what its first name holds.

use crate::bindings::exports::kbhost::cloud::catalog::{Guest, RemoteDocument, State};
use crate::bindings::exports::kbhost::converter::converter::ConvertError;
use crate::{HostileCloud, flood, get, spin};

/// Escape codes, line breaks, text that reads backwards, links and a mile of it.
fn text() -> String {
    format!("a\x1b[31m\n\u{202e}[[x]]\0\u{200b}{}", "y".repeat(20_000))
}

/// A document with hostile words.
fn entry(id: &str) -> RemoteDocument {
    RemoteDocument {
        name: text(),
        description: Some(text()),
        created: Some(text()),
        ..plain(id)
    }
}

/// A document without.
fn plain(id: &str) -> RemoteDocument {
    RemoteDocument {
        id: id.to_owned(),
        name: "plain".to_owned(),
        state: State::Completed,
        pages: Some(0),
        description: None,
        created: None,
    }
}

impl Guest for HostileCloud {
    fn documents(offset: u32, limit: u32) -> Result<Vec<RemoteDocument>, ConvertError> {
        let listed = get("/docs/?limit=1&offset=0");
        let listed = listed.map_err(|error| ConvertError::Network(format!("{error:?}")))?;
        let listed = String::from_utf8_lossy(&listed.body);
        let has = |word: &str| listed.contains(word);
        if has("lie-many") {
            return Ok((0..10_000).map(|n| plain(&format!("x{n}"))).collect());
        }
        if has("lie-huge") {
            return Ok((0..limit).map(|n| entry(&format!("x{n}"))).collect());
        }
        if has("lie-without-end") {
            let ids = (0..limit).map(|n| format!("x{}", offset + n));
            return Ok(ids.map(|id| plain(&id)).collect());
        }
        if has("lie-spin") {
            spin()
        }
        let long = "x".repeat(1_000);
        let ids = [
            "good", "", "../x", "a b", "a\nb", "\x1b[31m", "a/b", "\u{202e}", "pi_1-B", &long,
        ];
        Ok(ids.into_iter().map(entry).collect())
    }

    fn status(id: String) -> Result<RemoteDocument, ConvertError> {
        match id.as_str() {
            "another" => Ok(entry("good")),
            "no-id" => Ok(entry("../x")),
            "hang-on-and-on" => flood::hang_on_and_on(),
            "refuses" => Err(ConvertError::Upstream(text())),
            _ => Ok(entry(&id)),
        }
    }
}
