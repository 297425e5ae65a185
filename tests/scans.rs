//! Pages without text that show a picture of it: told when a document comes in, and wherever it is looked at
//! later.

use crate::support::{Env, Said, component, json};

fn env() -> Env {
    let env = Env::new();
    let hostile = component("hostile");
    let said = env.run(["plugin", "install", "--yes", hostile.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

fn ok(said: Said) -> Said {
    assert_eq!(said.code, 0, "{said:?}");
    said
}

const HINT: &str = "hint: a program such as `ocrmypdf` adds the text to a file; then `kbhost add` the file again\n";

#[test]
fn documents_that_need_ocr_are_told_where_users_look() {
    let env = env();
    env.doc("book.hostile", "ocr 1-3, 7\n");
    env.doc("note.md", "# Note\n");
    env.doc("page.hostile", "ocr 2, 40\n");
    let said = ok(env.run(["add", "docs"]));
    assert_eq!(
        said.stderr,
        format!("3 added\n2 documents need OCR: book (pages 1-3,7), page (page 2)\n{HINT}")
    );
    let summary = env.kb_text("wiki/summaries/book.md");
    assert!(summary.contains("\nneeds-ocr: \"1-3,7\"\n"), "{summary}");

    let said = ok(env.run(["list"]));
    let lines: Vec<_> = said.stdout.lines().collect();
    assert!(lines[0].contains("Needs OCR"), "{said:?}");
    assert!(
        lines[1].starts_with("book") && lines[1].contains("1-3,7"),
        "{said:?}"
    );
    let said = ok(env.run(["list", "--needs-ocr"]));
    assert_eq!(said.stdout.lines().count(), 3, "{said:?}");
    assert!(!said.stdout.contains("note"), "{said:?}");
    let answer = json(&env.run(["list", "--json"]));
    let pages: Vec<_> = answer["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["needs_ocr"].as_str())
        .collect();
    assert_eq!(pages, [Some("1-3,7"), None, Some("2")]);

    let said = ok(env.run(["show", "book"]));
    assert_eq!(
        said.stderr,
        "note: no text on pages 1-3,7, which need OCR\n"
    );
    let said = ok(env.run(["show", "page", "--summary"]));
    assert_eq!(said.stderr, "note: no text on page 2, which needs OCR\n");
    let said = ok(env.run(["show", "note"]));
    assert_eq!(said.stderr, "");
    let answer = json(&env.run(["show", "book", "--json"]));
    assert_eq!(answer["document"]["needs_ocr"], "1-3,7");
    let answer = json(&env.run(["convert", "docs/book.hostile", "--json"]));
    assert_eq!(answer["needs_ocr"], "1-3,7");

    // Its text was added.
    env.doc("book.hostile", "ok # Book\n");
    let said = env.run(["add", "docs/book.hostile", "--json"]);
    assert_eq!(
        json(&said)["documents"][0]["needs_ocr"],
        serde_json::Value::Null
    );
    let answer = json(&env.run(["list", "--needs-ocr", "--json"]));
    assert_eq!(answer["documents"].as_array().unwrap().len(), 1);
    assert!(!env.kb_text("wiki/summaries/book.md").contains("needs-ocr"));
    ok(env.run(["remove", "page", "--yes"]));
    let said = ok(env.run(["list", "--needs-ocr"]));
    assert_eq!(
        (&*said.stdout, &*said.stderr),
        ("", "No document needs OCR.\n")
    );
}

#[test]
fn what_is_no_list_of_pages_flags_nothing() {
    let env = env();
    env.doc("a.hostile", "ocr all of them \u{1b}[31m\n");
    env.doc("b.hostile", "ocr 12-99\n");
    let said = ok(env.run(["add", "docs"]));
    assert_eq!(said.stderr, "2 added\n", "it has nine pages");
    let answer = json(&env.run(["list", "--needs-ocr", "--json"]));
    assert_eq!(answer["documents"].as_array().unwrap().len(), 0);
    assert!(!env.kb_text("wiki/summaries/a.md").contains("needs-ocr"));
}

/// What a registry says of a document may be a stranger's word.
#[test]
fn a_strangers_registry_flags_no_nonsense() {
    let env = env();
    env.doc("a.hostile", "ocr 1-3, 7\n");
    ok(env.run(["add", "docs"]));
    let flagged = |provenance: &str| {
        let path = env.kb().join(".openkb/kbhost/registry.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        let sql = "UPDATE documents SET provenance = ?1";
        connection.execute(sql, [provenance]).unwrap();
        let answer = json(&ok(env.run(["list", "--json"])));
        answer["documents"][0]["needs_ocr"]
            .as_str()
            .map(str::to_owned)
    };
    for nonsense in [
        "",
        "no json",
        "{}",
        "[1, 2]",
        r#"{"needs_ocr": null}"#,
        r#"{"needs_ocr": {"a": 1}}"#,
        r#"{"needs_ocr": "\u001b[31m"}"#,
        r#"{"needs_ocr": 4000000000}"#,
    ] {
        assert_eq!(flagged(nonsense), None, "{nonsense}");
    }
    assert_eq!(flagged(r#"{"needs_ocr": 7}"#).as_deref(), Some("7"));
    assert_eq!(flagged(r#"{"needs_ocr": "9, x"}"#).as_deref(), Some("9"));
}
