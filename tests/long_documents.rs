//! Long documents: page texts and a section tree that a converter hands over become part of the
//! knowledge base, rewritten by the host, and are read again as if a stranger had written them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::consistency::violations;
use crate::support::{Env, Said, component, json, logical_registry, tree};

const JSON: &str = "wiki/sources/book.json";

const MAIN: &str = "<!-- page 1 -->\n\n# The Book of Rivers\n\nRivers carry water from the mountains down to \
    the sea.\n\n![map](kbhost-output:map.png)\n\n<!-- page 2 -->\n\nDeltas are made of what rivers leave \
    behind at their mouths.\n\n<!-- page 4 -->\n\nLakes are rivers that stand still for a while.\n";

const PAGES: &str = r##"[
    {"page": 1, "content": "# The Book of Rivers\n\nRivers carry water.\n\n![map](kbhost-output:map.png)\n",
     "images": [{"path": "kbhost-output:map.png", "box": [1, 2]}], "secret": "kept by nobody"},
    {"page": 2, "content": "  Deltas \"grow\".\u0007  "},
    {"page": 3, "content": " \n"},
    {"page": 4, "content": "Lakes stand still."}]"##;

const TREE: &str = r#"{"doc_name": "x", "toc_source": "bookmarks", "structure": [
    {"title": "Rivers", "node_id": "77", "start_index": 1, "end_index": 2, "text": "kept by nobody",
     "summary": "How they *run*.",
     "nodes": [{"title": "Deltas [[concepts/x]]", "start_index": 2, "end_index": 2}]},
    {"title": "Lakes", "start_index": 4, "end_index": 4}]}"#;

/// The input by which the guest hands over these files.
fn input(pages: &str, files: &[(&str, &str)]) -> String {
    let files = files.iter();
    let files = files.map(|(heading, text)| format!("\n=== {heading}\n{text}"));
    format!("long {pages}{}", files.collect::<String>())
}

fn book(env: &Env) {
    let files = [
        ("main main.md", MAIN),
        ("tree t.json", TREE),
        ("pages p.json", PAGES),
        ("image map.png", ""),
    ];
    env.doc("book.hostile", input("4", &files));
}

/// Adds documents with the converter that hands over what its input holds.
fn add(env: &Env, args: &[&str]) -> Said {
    let mut command = env.command(["add", "--plugin"]);
    env.finish(command.arg(component("hostile")).args(args))
}

fn with_book() -> Env {
    let env = Env::new();
    book(&env);
    env.doc("note.hostile", "ok # Note\n");
    let said = add(&env, &["docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

fn show(env: &Env, args: &[&str]) -> Said {
    let words = ["show"].into_iter().chain(args.iter().copied());
    env.run(words)
}

fn findings(env: &Env) -> Vec<Value> {
    let answer = json(&env.run(["doctor", "--json"]));
    answer["findings"].as_array().unwrap().clone()
}

#[test]
fn page_texts_are_published_in_the_peers_form() {
    let env = with_book();
    let expected = r##"[
  {
    "page": 1,
    "content": "# The Book of Rivers\n\nRivers carry water.\n\n![map](sources/images/book/img_001.png)",
    "images": [
      {
        "path": "sources/images/book/img_001.png"
      }
    ]
  },
  {
    "page": 2,
    "content": "Deltas \"grow\".\u0007"
  },
  {
    "page": 4,
    "content": "Lakes stand still."
  }
]"##;
    assert_eq!(env.kb_text(JSON), expected);
    assert!(
        env.kb()
            .join("wiki/sources/images/book/img_001.png")
            .is_file()
    );
    assert_eq!(violations(&env.kb()), [""; 0]);
    assert_eq!(findings(&env), [] as [Value; 0]);
    let listed = json(&env.run(["list", "--json"]));
    assert_eq!(listed["documents"][0]["pages"], 4);
    assert_eq!(listed["documents"][0]["type"], "long_pdf");
    assert_eq!(listed["documents"][1]["pages"], Value::Null);
}

#[test]
fn the_summary_page_has_the_tree() {
    let env = with_book();
    let summary = env.kb_text("wiki/summaries/book.md");
    let tree = "\n## Rivers (pages 1–2)\n\nSummary: How they \\*run\\*.\n\
        \n### Deltas \\[ \\[concepts/x\\] \\] (page 2)\n\n## Lakes (page 4)\n\n## Source\n\
        \n- [[sources/book|Full text]]\n";
    assert!(summary.contains(tree), "{summary}");
    assert!(
        summary.contains("\ndoc_type: pageindex\nfull_text: \"sources/book.json\"\npages: 4\n")
    );
    assert!(summary.contains("\nRivers carry water from the mountains down to the sea.\n"));
    assert!(
        env.kb_text("wiki/index.md")
            .contains("- [[summaries/book]] (pageindex)")
    );
    // The marks between pages are no text.
    for page in ["wiki/summaries/book.md", "wiki/index.md"] {
        assert!(!env.kb_text(page).contains("<!--"), "{page}");
    }
    let hits = json(&env.run(["search", "--json", "page"]));
    assert_eq!(hits["hits"], Value::Array(Vec::new()));
    let hits = json(&env.run(["search", "--json", "lakes"]));
    assert!(!hits.to_string().contains("<!--"), "{hits}");
    assert_eq!(hits["hits"][0]["page"], 4);
    let said = env.run(["search", "deltas", "mouths"]);
    assert!(
        said.stdout
            .starts_with("wiki/sources/book.md > The Book of Rivers (page 2)\n"),
        "{said:?}"
    );
}

#[test]
fn parts_of_a_long_document_are_shown() {
    let env = with_book();
    let said = show(&env, &["book", "--tree"]);
    let listing =
        "0001 Rivers (pages 1–2)\n  0002 Deltas [ [concepts/x] ] (page 2)\n0003 Lakes (page 4)\n";
    assert_eq!(
        (said.code, said.stdout.as_str(), said.stderr.as_str()),
        (0, listing, "")
    );

    let said = show(&env, &["book", "--pages", "4,2-3,9"]);
    assert_eq!(said.code, 0);
    assert_eq!(
        said.stdout,
        "--- page 2 ---\nDeltas \"grow\".\u{7}\n\n--- page 4 ---\nLakes stand still.\n"
    );
    assert!(
        said.stderr.contains("no text and no images on: 3\n"),
        "{said:?}"
    );
    assert!(
        said.stderr
            .contains("pages that there are not: 9; the document has 4\n"),
        "{said:?}"
    );

    let said = show(&env, &["book", "--node", "1"]);
    assert_eq!(said.code, 0);
    let start = "0001 Rivers (pages 1–2)\nSummary: How they *run*.\n  0002 Deltas [ [concepts/x] ] (page 2)\n\
        \n--- page 1 ---\n# The Book of Rivers\n";
    assert!(said.stdout.starts_with(start), "{said:?}");
    assert!(
        said.stdout
            .ends_with("\n\n--- page 2 ---\nDeltas \"grow\".\u{7}\n"),
        "{said:?}"
    );

    let answer = json(&show(&env, &["book", "--tree", "--json"]));
    assert_eq!(answer["command"], "show");
    assert_eq!(answer["tree"]["toc_source"], "bookmarks");
    assert_eq!(
        answer["tree"]["structure"][0]["nodes"][0]["node_id"],
        "0002"
    );
    assert_eq!(answer["pages"], Value::Null);
    let answer = json(&show(&env, &["book", "--pages", "1-6", "--json"]));
    assert_eq!(answer["path"], JSON);
    assert_eq!(
        answer["pages"][0]["images"][0],
        "sources/images/book/img_001.png"
    );
    assert_eq!(answer["pages"][2]["page"], 4);
    assert_eq!(
        (&answer["blank"], &answer["missing"]),
        (&"3".into(), &"5-6".into())
    );
    let answer = json(&show(&env, &["book", "--node", "0003", "--json"]));
    assert_eq!(answer["node"]["title"], "Lakes");
    assert_eq!(answer["pages"][0]["content"], "Lakes stand still.");
    assert_eq!(answer["tree"], Value::Null);
}

#[test]
fn what_is_not_there_is_said_with_a_hint() {
    let env = with_book();
    let check = |args: &[&str], code: i32, expected: &str| {
        let said = show(&env, args);
        assert_eq!(said.code, code, "{said:?}");
        assert_eq!(said.stdout, "");
        assert!(said.stderr.contains(expected), "{said:?}");
    };
    check(
        &["note", "--tree"],
        1,
        "find a section tree of document `note`",
    );
    check(
        &["note", "--pages", "1"],
        1,
        "find pages of document `note`: it is a short one",
    );
    check(&["note", "--pages", "1"], 1, "`kbhost show note`");
    check(
        &["note", "--node", "1"],
        1,
        "find a section tree of document `note`",
    );
    check(
        &["book", "--node", "9"],
        1,
        "find node `0009` in the section tree of document `book`",
    );
    check(&["book", "--node", "9"], 1, "`kbhost show book --tree`");
    check(
        &["book", "--pages", "5-9"],
        2,
        "find page 5-9 of document `book`: the last one is 4",
    );
    for bad in ["0", "3-1", "x", "1-", ""] {
        let said = show(&env, &["book", "--pages", bad]);
        assert_eq!(said.code, 2, "{bad}: {said:?}");
    }
    check(
        &["book", "--node", "x"],
        2,
        "an id is a number such as 0007",
    );
    check(
        &["book", "--tree", "--pages", "1"],
        2,
        "cannot be used with",
    );
    check(&["book", "--tree", "--summary"], 2, "cannot be used with");
    check(
        &["book", "--node", "1", "--source"],
        2,
        "cannot be used with",
    );
    fs::remove_file(env.kb().join(JSON)).unwrap();
    check(
        &["book", "--pages", "1"],
        1,
        "read `wiki/sources/book.json`",
    );
    fs::write(env.kb().join(JSON), "[{\"page\": 0, \"content\": \"\"}]").unwrap();
    check(
        &["book", "--pages", "1"],
        1,
        "read `wiki/sources/book.json`: it holds no page texts: page 0",
    );
}

#[test]
fn hostile_page_texts_and_trees_leave_nothing() {
    let env = with_book();
    let before = (tree(&env.kb()), logical_registry(&env.kb()));
    let page = |number: i64, more: &str| format!(r#"[{{"page":{number},"content":"x"{more}}}]"#);
    let structure = |nodes: &str| format!(r#"{{"structure":[{nodes}]}}"#);
    let deep = structure(&r#"{"title":"x","nodes":["#.repeat(2_000));
    let many = vec![r#"{"title":"x","start_index":1,"end_index":1}"#; 20_001].join(",");
    let good = page(1, "");
    for (pages, tree, expected) in [
        ("{}", None, "expected a list of pages"),
        ("[{\"page\":1,", None, "`p.json`: not JSON"),
        (&page(0, ""), None, "`p.json`: page 0 of 4 pages"),
        (&page(5, ""), None, "`p.json`: page 5 of 4 pages"),
        (
            &page(1, r#","images":[{"path":"../../../etc/passwd"}]"#),
            None,
            "an image that is none of the outputs",
        ),
        (&good, Some("[]".to_owned()), "`t.json`: invalid type"),
        (&good, Some(structure("{}")), "missing field `title`"),
        (&good, Some(deep), "`t.json`: more than 32 levels"),
        (
            &good,
            Some(structure(&many)),
            "`t.json`: more than 20000 nodes",
        ),
    ] {
        let tree = tree.unwrap_or_else(|| structure(""));
        let files = [
            ("main main.md", MAIN),
            ("tree t.json", &tree),
            ("pages p.json", pages),
        ];
        env.doc("bad.hostile", input("4", &files));
        let said = add(&env, &["docs/bad.hostile"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains(expected), "{expected}: {said:?}");
    }
    env.doc(
        "bad.hostile",
        input("4", &[("main main.md", MAIN), ("tree t.json", TREE)]),
    );
    let said = add(&env, &["docs/bad.hostile"]);
    assert!(
        said.stderr.contains("a section tree without page texts"),
        "{said:?}"
    );
    assert_eq!((tree(&env.kb()), logical_registry(&env.kb())), before);
}

#[test]
fn ranges_beyond_the_document_are_brought_in_with_a_warning() {
    let env = Env::new();
    let tree = r#"{"structure":[{"title":"All","start_index":0,"end_index":99}]}"#;
    let files = [
        ("main m.md", MAIN),
        ("pages p.json", PAGES),
        ("tree t.json", tree),
        ("image map.png", ""),
    ];
    // The converter does not say how many pages there are: the last one tells.
    env.doc("book.hostile", input("", &files));
    let said = add(&env, &["docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("were brought in: 1"), "{said:?}");
    assert_eq!(
        show(&env, &["book", "--tree"]).stdout,
        "0001 All (pages 1–4)\n"
    );
    assert_eq!(
        json(&env.run(["list", "--json"]))["documents"][0]["pages"],
        4
    );
}

#[test]
fn page_texts_and_tree_come_change_and_go_with_their_document() {
    let env = with_book();
    // Another text, and pages and a tree of its own.
    let files = [
        ("main main.md", "# Rivers, second edition\n"),
        ("pages p.json", r#"[{"page":1,"content":"Second."}]"#),
        (
            "tree t.json",
            r#"{"structure":[{"title":"Second","start_index":1,"end_index":1}]}"#,
        ),
    ];
    env.doc("book.hostile", input("1", &files));
    assert_eq!(add(&env, &["docs/book.hostile"]).code, 0);
    assert_eq!(
        show(&env, &["book", "--tree"]).stdout,
        "0001 Second (page 1)\n"
    );
    assert!(env.kb_text(JSON).contains("Second."));
    assert!(!env.kb().join("wiki/sources/images/book").exists());
    assert_eq!(findings(&env), [] as [Value; 0]);

    // A short one again: nothing of the long one is left.
    env.doc("book.hostile", "ok # Short\n");
    assert_eq!(add(&env, &["docs/book.hostile"]).code, 0);
    assert!(!env.kb().join(JSON).exists());
    assert_eq!(show(&env, &["book", "--tree"]).code, 1);
    assert_eq!(violations(&env.kb()), [""; 0]);
    assert_eq!(findings(&env), [] as [Value; 0]);

    // And long once more, then removed.
    book(&env);
    assert_eq!(add(&env, &["docs/book.hostile"]).code, 0);
    assert!(env.kb().join(JSON).is_file());
    assert_eq!(env.run(["remove", "book", "--yes"]).code, 0);
    assert!(!env.kb().join(JSON).exists());
    assert_eq!(violations(&env.kb()), [""; 0]);
    assert_eq!(findings(&env), [] as [Value; 0]);
}

#[test]
fn what_comes_out_does_not_depend_on_the_way() {
    let env = with_book();
    let (files, registry) = (tree(&env.kb()), logical_registry(&env.kb()));
    let cache = env.path("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    for kb in ["cold", "warm"] {
        assert_eq!(env.run(["init", kb]).code, 0);
        let mut command = env.command(["add", "-v", "docs", "--kb-dir", kb, "--plugin"]);
        command
            .arg(component("hostile"))
            .env_remove("KBHOST_NO_CACHE")
            .env("KBHOST_CACHE_DIR", &cache);
        let said = env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        let of_converter = |line: &&str| line.contains("convert{") && line.contains("plugin=");
        let called = said.stderr.lines().filter(of_converter).count();
        assert_eq!(called == 0, kb == "warm", "{said:?}");
        assert_eq!(tree(&env.path(kb)), files, "{kb}");
        assert_eq!(logical_registry(&env.path(kb)), registry, "{kb}");
        let shown = env.run(["show", "book", "--tree", "--kb-dir", kb]);
        assert_eq!(shown.stdout, show(&env, &["book", "--tree"]).stdout);
    }
}

#[test]
fn damage_is_found() {
    let env = with_book();
    let verify = || {
        let mut command = env.command(["verify", "book", "--plugin"]);
        env.finish(command.arg(component("hostile")))
    };
    let said = verify();
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "same       book\n"),
        "{said:?}"
    );
    let zero = "0".repeat(64);
    let registry = Connection::open(env.kb().join(".openkb/kbhost/registry.db")).unwrap();
    for (field, differing) in [
        ("pages", "page texts"),
        ("tree", "page texts, section tree"),
    ] {
        let forge = format!(
            "UPDATE documents SET provenance = json_set(provenance, '$.{field}', '{zero}') \
             WHERE doc_name = 'book'"
        );
        registry.execute_batch(&forge).unwrap();
        let said = verify();
        assert_eq!(said.code, 4, "{said:?}");
        assert_eq!(said.stdout, format!("different  book: {differing}\n"));
    }
    drop(registry);
    assert_eq!(findings(&env), [] as [Value; 0]);
    fs::remove_file(env.kb().join(JSON)).unwrap();
    let found = findings(&env);
    assert!(
        found.iter().any(|one| one.to_string().contains(JSON)),
        "{found:?}"
    );
}

#[test]
fn a_rebuild_says_that_no_file_has_the_tree() {
    let env = with_book();
    let summary = env.kb_text("wiki/summaries/book.md");
    for end in ["", "-wal", "-shm"] {
        let file = env.kb().join(format!(".openkb/kbhost/registry.db{end}"));
        fs::remove_file(&file).ok();
    }
    fs::remove_dir_all(env.kb().join(".openkb/kbhost/backup")).unwrap();
    let said = env.run(["registry", "rebuild"]);
    assert!(
        said.stdout.contains("section tree") || said.stderr.contains("section tree"),
        "{said:?}"
    );
    assert_eq!(env.kb_text("wiki/summaries/book.md"), summary);
    let said = show(&env, &["book", "--tree"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("find a section tree"), "{said:?}");
    assert_eq!(
        show(&env, &["book", "--pages", "4"]).stdout,
        "--- page 4 ---\nLakes stand still.\n"
    );
    assert!(show(&env, &["book"]).stdout.starts_with("<!-- page 1 -->"));
    assert_eq!(env.run(["registry", "rebuild", "--yes"]).code, 0);
}

#[test]
fn a_sound_registry_keeps_its_trees_when_it_is_rebuilt() {
    let env = with_book();
    let before = show(&env, &["book", "--tree"]).stdout;
    let said = env.run(["registry", "rebuild", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(show(&env, &["book", "--tree"]).stdout, before);
}

/// A long document as OpenKB has it: page texts and no tree, no Markdown page, no registry of ours.
#[test]
fn long_documents_of_the_peer_have_pages() {
    let env = Env::new();
    let kb = env.kb();
    let hash = "a".repeat(64);
    let hashes = format!(
        r#"{{"{hash}": {{"name": "tome.pdf", "doc_name": "tome", "type": "long_pdf", "path": "raw/tome.pdf",
            "raw_path": "raw/tome.pdf", "doc_id": "d-1"}}}}"#
    );
    for end in ["", "-wal", "-shm"] {
        fs::remove_file(kb.join(format!(".openkb/kbhost/registry.db{end}"))).ok();
    }
    fs::write(kb.join(".openkb/hashes.json"), hashes).unwrap();
    let pages =
        r#"[{"page": 1, "content": "Uno."}, {"page": 30, "content": "\u001b[31mTrenta\u202e"}]"#;
    fs::create_dir_all(kb.join("wiki/sources")).unwrap();
    fs::write(kb.join("wiki/sources/tome.json"), pages).unwrap();
    let said = show(&env, &["tome", "--pages", "1,30-31"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout
            .starts_with("--- page 1 ---\nUno.\n\n--- page 30 ---\n"),
        "{said:?}"
    );
    assert!(
        said.stderr
            .contains("pages that there are not: 31; the document has 30"),
        "{said:?}"
    );
    let said = show(&env, &["tome", "--pages", "30", "--json"]);
    assert!(!said.stdout.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    let said = show(&env, &["tome", "--tree"]);
    assert_eq!(said.code, 1);
    assert!(
        said.stderr.contains("`kbhost show tome --pages 1-3`"),
        "{said:?}"
    );
}
