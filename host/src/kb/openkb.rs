//! OpenKB's `hashes.json`: reading it, and writing it in its own form.
//!
//! An object of entries by the SHA-256 of the original, two-space indent, a newline at the end,
//! order of insertion kept (an updated entry moves to the end).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::registry::DocumentRow;
use super::{
    ContentHash, DocName, KbError, KbPath, KbRoot, SafeLine, SourceKey, identity, layout, names,
};

/// A million documents at 400 bytes each.
pub(crate) const HASHES_BYTES_MAX: u64 = 512 << 20;

/// One entry as OpenKB writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) doc_name: Option<String>,
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) doc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    /// Keys that mean nothing to us: they come back in the export.
    #[serde(flatten)]
    pub(crate) extra: Map<String, Value>,
}

impl Entry {
    /// What tells two versions of an entry apart, whatever the order of its unknown keys.
    pub(crate) fn digest(&self, hash: &ContentHash) -> ContentHash {
        let mut extra: Vec<(&String, &Value)> = self.extra.iter().collect();
        extra.sort_by_key(|(key, _)| *key);
        let known = Self {
            extra: Map::new(),
            ..self.clone()
        };
        let text = serde_json::to_string(&(hash, known, extra)).expect("an entry is JSON");
        ContentHash::of(text.as_bytes())
    }
}

/// An entry as the registry takes it over: the document, and what means nothing to us and must
/// come back in the export.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    pub(crate) row: DocumentRow,
    pub(crate) doc_id: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) extra: Map<String, Value>,
}

impl Imported {
    /// The entry as an export of its row would write it.
    pub(crate) fn entry(&self) -> Entry {
        let row = &self.row;
        let key = row.source_key.as_str();
        Entry {
            name: row.name.clone(),
            doc_name: Some(row.doc_name.to_string()),
            kind: row.kind.clone(),
            path: exported_path(key),
            raw_path: row.raw_path.as_ref().map(ToString::to_string),
            source_path: row.source_path.as_ref().map(ToString::to_string),
            doc_id: self.doc_id.clone(),
            origin: self.origin.clone(),
            extra: self.extra.clone(),
        }
    }
}

/// The `path` of an entry whose row has this source key: an entry of old had none, and the key that
/// stands for it is none.
pub(crate) fn exported_path(source_key: &str) -> Option<String> {
    (!source_key.starts_with(identity::LEGACY_PREFIX)).then(|| source_key.to_owned())
}

/// Reads `hashes.json`; `None` if there is none.
///
/// # Errors
/// If it cannot be understood as a whole. A path that could leave the KB is left out of its entry.
pub(crate) fn read(root: &KbRoot) -> Result<Option<Vec<Imported>>, KbError> {
    let Some(bytes) = root.read(&layout::hashes_json(), HASHES_BYTES_MAX)? else {
        return Ok(None);
    };
    let invalid = |reason: String| KbError::HashesJson {
        path: root.join(&layout::hashes_json()),
        reason,
    };
    let entries: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|e| invalid(e.to_string()))?;
    let mut rows = Vec::with_capacity(entries.len());
    let mut taken = std::collections::HashSet::new();
    let mut seen = std::collections::HashSet::new();
    for (index, (hash, value)) in entries.into_iter().enumerate() {
        let key = SafeLine::with_max(&hash, 80);
        let hash = ContentHash::from_hex(&hash)
            .ok_or_else(|| invalid(format!("`{key}` is no SHA-256")))?;
        // The same digest in other letters is the same entry.
        if !seen.insert(hash) {
            continue;
        }
        let entry: Entry =
            serde_json::from_value(value).map_err(|e| invalid(format!("entry `{key}`: {e}")))?;
        rows.push(Imported {
            doc_id: entry.doc_id.clone(),
            origin: entry.origin.clone(),
            extra: entry.extra.clone(),
            row: row(index, hash, entry, &mut taken),
        });
    }
    Ok(Some(rows))
}

/// Turns an entry into a row. Two entries whose names fold alike, or whose keys are the same, get
/// apart here: the second takes digits of its hash.
fn row(
    index: usize,
    hash: ContentHash,
    entry: Entry,
    taken: &mut std::collections::HashSet<String>,
) -> DocumentRow {
    let stem = identity::stem(&entry.name).to_owned();
    let doc_name = entry
        .doc_name
        .as_deref()
        .and_then(DocName::new)
        .unwrap_or_else(|| names::from_stem(&stem));
    let source_key = match entry.path {
        Some(path) if !path.is_empty() => SourceKey::new(path),
        _ => identity::legacy_key(&entry.name),
    };
    let legacy = |n: u32| SourceKey::new(format!("{}{hash}-{n}", identity::LEGACY_PREFIX));
    let source_key = std::iter::once(source_key)
        .chain((0..).map(legacy))
        .find(|key| taken.insert(format!("\u{0}{key}")))
        .expect("the numbers do not end");
    let hashed = |n: u32| SourceKey::new(format!("{hash}-{n}"));
    let doc_name = std::iter::once(doc_name.clone())
        .chain((0..).map(|n| names::with_suffix(&doc_name, &hashed(n), 16)))
        .find(|name| taken.insert(names::fold(name.as_str())))
        .expect("the numbers do not end");
    DocumentRow {
        ordinal: i64::try_from(index).map_or(i64::MAX, |index| index + 1),
        title: SafeLine::new(&stem).to_string(),
        doc_name,
        hash,
        source_key,
        name: entry.name,
        kind: entry.kind,
        raw_path: entry.raw_path.and_then(|path| KbPath::new(&path).ok()),
        source_path: entry.source_path.and_then(|path| KbPath::new(&path).ok()),
        description: String::new(),
        pages: None,
        size: None,
        added_at: None,
        updated_at: None,
        plugin: None,
        needs_ocr: None,
    }
}

/// Writes entries in OpenKB's form.
pub(crate) fn render(entries: &[(ContentHash, Entry)]) -> String {
    let mut object = Map::new();
    for (hash, entry) in entries {
        let value = serde_json::to_value(entry).expect("an entry is JSON");
        object.insert(hash.to_hex(), value);
    }
    let mut text = serde_json::to_string_pretty(&object).expect("a map of JSON serialises");
    text.push('\n');
    text
}
