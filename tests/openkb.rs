//! A KB that OpenKB made: read unchanged, imported by the first change, exported in its form; what
//! OpenKB has under way, or changed meanwhile, stops us.

use std::fs;

use serde_json::Value;

use crate::support::{Env, everything, json, staging_entries, tree};

const OPENKB_SOURCE: &str = "# Old report\n\nWritten by OpenKB about the WAL.\n";

/// A KB as OpenKB leaves it, made by hand.
pub(crate) fn openkb() -> Env {
    let env = Env::empty();
    let kb = env.kb();
    for dir in [
        "raw",
        "wiki/sources/images",
        "wiki/summaries",
        "wiki/concepts",
        "wiki/entities",
        ".openkb/journal",
    ] {
        fs::create_dir_all(kb.join(dir)).unwrap();
    }
    let write = |path: &str, text: &str| fs::write(kb.join(path), text).unwrap();
    write("raw/old-report.md", OPENKB_SOURCE);
    write("wiki/sources/old-report.md", OPENKB_SOURCE);
    write(
        "wiki/summaries/old-report.md",
        "---\ntype: \"Summary\"\nfull_text: \"sources/old-report.md\"\n---\n\n# Old report\n",
    );
    write("raw/long.pdf", "%PDF-1.4 long");
    write(
        "wiki/sources/long.json",
        "[{\"page\": 1, \"content\": \"Page one\", \"images\": []}]",
    );
    write(
        "wiki/summaries/long.md",
        "---\ntype: \"Summary\"\nfull_text: \"sources/long.json\"\n---\n\n# Long\n",
    );
    write(
        "wiki/index.md",
        "# Knowledge Base Index\n\n## Documents\n- [[summaries/long]] (pageindex) — A long one\n- \
         [[summaries/old-report]] (short) — An old one\n\nA note by hand.\n\n## Concepts\n\n## \
         Entities\n\n## Explorations\n",
    );
    write(
        "wiki/log.md",
        "# Operations Log\n\n## [2024-01-02 03:04:05] ingest | old-report.md\n\n",
    );
    write("wiki/AGENTS.md", "# Schema\n");
    write(
        ".openkb/config.yaml",
        "model: gpt-5.4\nlanguage: en\npageindex_threshold: 20\n",
    );
    write(".openkb/hashes.json", &openkb_hashes(""));
    env
}

fn openkb_hashes(more: &str) -> String {
    use sha2::Digest as _;
    let hash = |bytes: &[u8]| -> String {
        let digest = sha2::Sha256::digest(bytes);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (report, long) = (hash(OPENKB_SOURCE.as_bytes()), hash(b"%PDF-1.4 long"));
    format!(
        r#"{{
  "{report}": {{
    "name": "old report.md",
    "doc_name": "old-report",
    "type": "md",
    "path": "/home/someone/old report.md",
    "raw_path": "raw/old-report.md",
    "source_path": "wiki/sources/old-report.md"
  }},
  "{long}": {{
    "name": "long.pdf",
    "doc_name": "long",
    "type": "long_pdf",
    "path": "/home/someone/long.pdf",
    "raw_path": "raw/long.pdf",
    "source_path": "wiki/sources/long.json",
    "doc_id": "0123"
  }}{more}
}}
"#
    )
}

#[test]
fn an_openkb_kb_opens_for_reading_unchanged() {
    let env = openkb();
    let before = everything(&env.kb());
    assert_said!(
        env.run(["list"]),
        code: 0,
        stdout: "Name        Type      Pages  Added  Title\n\
                 old-report  md                      old report\n\
                 long        long_pdf                long\n",
        stderr: "",
    );
    let said = env.run(["status"]);
    assert!(
        said.stdout
            .starts_with("Knowledge base: $ROOT/kb\nDocuments: 2 "),
        "{said:?}"
    );
    assert!(said.stdout.contains("Made by OpenKB"), "{said:?}");
    assert_eq!(env.run(["show", "old-report"]).stdout, OPENKB_SOURCE);
    assert_eq!(env.run(["show", "long"]).stdout, "Page one\n");
    let said = env.run(["search", "WAL"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said:?}");
    assert!(said.stderr.contains("the search index lacks"), "{said:?}");
    env.doc("a.md", "# A\n");
    assert_eq!(env.run(["add", "--dry-run", "docs/a.md"]).code, 0);
    assert_eq!(everything(&env.kb()), before);
}

#[test]
fn the_first_add_imports_and_exports_an_openkb_kb() {
    let env = openkb();
    let pages_before = tree(&env.kb());
    env.doc("new.md", "# New\n\nOf the write-ahead log (WAL).\n");
    env.doc("copy-of-old.md", OPENKB_SOURCE);
    assert_said!(
        env.run(["add", "docs"]),
        code: 0,
        stdout: "skipped  old-report <- docs/copy-of-old.md (already in the knowledge base)\n\
                 added    new <- docs/new.md\n",
        stderr: "1 added, 1 skipped\n",
    );
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    let hashes: Value = serde_json::from_str(&env.kb_text(".openkb/hashes.json")).unwrap();
    let old: Value = serde_json::from_str(&openkb_hashes("")).unwrap();
    let entries = hashes.as_object().unwrap();
    assert_eq!(entries.len(), 3);
    for (hash, entry) in old.as_object().unwrap() {
        assert_eq!(&entries[hash], entry, "an entry of OpenKB stays as it was");
    }
    let new = entries.values().next_back().unwrap();
    assert_eq!(new["doc_name"], "new");
    assert_eq!(new["raw_path"], "raw/new.md");
    assert!(env.kb_text(".openkb/hashes.json").ends_with("  }\n}\n"));
    // Pages that are not ours to change stay byte for byte; index and log only grow.
    let pages = tree(&env.kb());
    for (path, digest) in &pages_before {
        if !matches!(path.as_str(), "wiki/index.md" | "wiki/log.md") {
            assert_eq!(pages.get(path), Some(digest), "{path}");
        }
    }
    let index = env.kb_text("wiki/index.md");
    for line in [
        "(pageindex) — A long one",
        "(short) — An old one",
        "A note by hand.",
    ] {
        assert!(index.contains(line), "{index}");
    }
    assert!(index.contains("[[summaries/new]]"), "{index}");
    assert!(
        env.kb_text("wiki/log.md")
            .starts_with("# Operations Log\n\n## [2024-01-02")
    );
    let said = env.run(["status"]);
    assert!(!said.stdout.contains("Made by OpenKB"), "{said:?}");
    assert_eq!(env.run(["list"]).stdout.lines().count(), 4);
    let answer = json(&env.run(["search", "--json", "WAL"]));
    assert_eq!(answer["stale"], false);
    assert_eq!(answer["hits"].as_array().unwrap().len(), 2, "{answer}");
}

#[test]
fn an_unfinished_change_of_openkb_is_a_barrier() {
    let env = openkb();
    env.doc("a.md", "# A\n");
    let journal = env
        .kb()
        .join(".openkb/journal/0123456789abcdef0123456789abcdef.json");
    fs::write(
        &journal,
        r#"{"version":1,"operation":"add","status":"active"}"#,
    )
    .unwrap();
    let before = everything(&env.kb());
    assert_said!(
        env.run(["add", "docs/a.md"]),
        code: 3,
        stdout: "",
        stderr: "error: failed to recover the knowledge base: OpenKB left an unfinished change, \
                 `.openkb/journal/0123456789abcdef0123456789abcdef.json`\n\nhint: `kbhost recover` \
                 settles it by OpenKB's own rules; `kbhost recover --dry-run` only tells what it \
                 would do\n0 added, 1 not tried\n",
    );
    let mut after = everything(&env.kb());
    // The lock files and the folder of preparations are nobody's state.
    after.retain(|path, _| before.contains_key(path));
    assert_eq!(after, before);
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    assert_eq!(env.run(["list"]).code, 0);
    fs::write(
        &journal,
        r#"{"version":1,"operation":"add","status":"committed"}"#,
    )
    .unwrap();
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
}

#[test]
fn a_foreign_change_of_hashes_json_is_a_barrier() {
    let env = openkb();
    env.doc("a.md", "# A\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let path = env.kb().join(".openkb/hashes.json");
    let ours = fs::read_to_string(&path).unwrap();
    fs::write(&path, ours.replace("\"old report.md\"", "\"renamed.md\"")).unwrap();
    let before = tree(&env.kb());
    assert_said!(
        env.run(["add", "docs/b.md"]),
        code: 3,
        stdout: "",
        stderr: "error: failed to recover the knowledge base: `.openkb/hashes.json` was changed \
                 by another program\n\nhint: `kbhost registry import` shows what differs, `kbhost \
                 registry import --merge` takes it over\n0 added, 1 not tried\n",
    );
    assert_eq!(tree(&env.kb()), before);
    assert_eq!(env.run(["list"]).code, 0);
    // What the hint says helps.
    assert_eq!(env.run(["registry", "import"]).code, 4);
    assert_eq!(env.run(["registry", "import", "--merge"]).code, 0);
    assert_eq!(env.run(["registry", "import"]).code, 0);
    let merged: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(merged.to_string().contains("\"renamed.md\""), "{merged}");
    // And a file that somebody removed is written anew.
    fs::remove_file(&path).unwrap();
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    let hashes: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(hashes.as_object().unwrap().len(), 4);
}

#[test]
fn a_hashes_json_that_is_none() {
    let env = openkb();
    env.doc("a.md", "# A\n");
    fs::write(env.kb().join(".openkb/hashes.json"), "{ half a file").unwrap();
    let before = everything(&env.kb());
    for words in [&["list"][..], &["status"], &["add", "docs/a.md"]] {
        let said = env.run(words);
        assert_eq!(said.code, 3, "{words:?}: {said:?}");
        assert!(
            said.stderr
                .contains("hint: correct `$ROOT/kb/.openkb/hashes.json`"),
            "{words:?}: {said:?}"
        );
    }
    assert_eq!(everything(&env.kb()), before);
}

/// What OpenKB alone knows of a document outlives our export: its index, where it came from. An
/// entry from before it kept paths gets none.
#[test]
fn an_export_keeps_what_only_openkb_understands() {
    let env = openkb();
    let (cloud, legacy) = ("a".repeat(64), "b".repeat(64));
    let more = format!(
        r#",
  "{cloud}": {{
    "name": "cloud.pdf",
    "doc_name": "cloud",
    "type": "pageindex_cloud",
    "path": "pageindex-cloud:42",
    "doc_id": "42",
    "origin": "cloud"
  }},
  "{legacy}": {{
    "name": "legacy.txt",
    "type": "txt"
  }}"#
    );
    let hashes = openkb_hashes(&more);
    fs::write(env.kb().join(".openkb/hashes.json"), &hashes).unwrap();
    env.doc("a.md", "# A\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let exported: Value = serde_json::from_str(&env.kb_text(".openkb/hashes.json")).unwrap();
    let mut expected: Value = serde_json::from_str(&hashes).unwrap();
    // The name under which the document is known from now on.
    expected[&legacy]["doc_name"] = "legacy".into();
    for (hash, entry) in expected.as_object().unwrap() {
        assert_eq!(&exported[hash], entry);
    }
    assert_eq!(exported.as_object().unwrap().len(), 5);
}
