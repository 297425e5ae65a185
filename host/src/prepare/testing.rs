//! Prepared documents for the tests of this room.

use super::{Analysis, Original, PreparedDocument, ReadyFile, StagingDir};
use crate::kb::{ContentHash, PluginDigest, Seq, SourceKey};
use crate::plugin::{JobReport, PluginIdentity};

/// A document in `staging` with a main page and nothing else.
#[expect(clippy::disallowed_methods, reason = "writes what a converter would")]
pub(super) fn document(seq: u64, staging: StagingDir, markdown: &str) -> PreparedDocument {
    let file = |name: &str| ReadyFile {
        name: name.to_owned(),
        size: markdown.len() as u64,
        hash: ContentHash::of(markdown.as_bytes()),
    };
    std::fs::write(staging.ready().join("main.md"), markdown).unwrap();
    PreparedDocument {
        seq: Seq(seq),
        staging,
        original: Original::of_file(file("input.md")),
        cloud: None,
        display: format!("{seq}.md"),
        key: SourceKey::new(format!("key-{seq}")),
        file_name: format!("{seq}.md"),
        extension: "md".to_owned(),
        media_type: "text/markdown".to_owned(),
        checkpoint: None,
        plugin: PluginIdentity {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            digest: PluginDigest(ContentHash::of(b"test")),
            world: "test".to_owned(),
        },
        again: false,
        report: JobReport::default(),
        limits: Default::default(),
        options: Vec::new(),
        assets: Vec::new(),
        main: file("main.md"),
        images: Vec::new(),
        members: Vec::new(),
        pages_json: None,
        tree_json: None,
        tree: None,
        page_count: None,
        needs_ocr: None,
        outline: Vec::new(),
        metadata: Vec::new(),
        warnings: Vec::new(),
        analysis: Analysis::default(),
    }
}
