//! `hashes.json` as OpenKB changes it: what a merge takes over, what it does not, what it keeps.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{HASHES, REGISTRY, hex, names, on, page, with_documents};
use crate::support::{Env, copy_tree, json, logical_registry, tree};

/// `hashes.json` as a value.
fn hashes(kb: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(kb.join(HASHES)).unwrap()).unwrap()
}

fn write_hashes(kb: &Path, hashes: &Value) {
    let text = serde_json::to_string_pretty(hashes).unwrap() + "\n";
    fs::write(kb.join(HASHES), text).unwrap();
}

/// The key of the entry of a document.
fn key_of(hashes: &Value, name: &str) -> String {
    let mut entries = hashes.as_object().unwrap().iter();
    let found = entries.find(|(_, entry)| entry["doc_name"] == name);
    found
        .unwrap_or_else(|| panic!("no `{name}` in {hashes}"))
        .0
        .clone()
}

/// What OpenKB leaves when it adds a document.
fn add_as_openkb(kb: &Path, hashes: &mut Value, name: &str, text: &str) {
    let write = |path: &str, text: &str| fs::write(kb.join(path), text).unwrap();
    write(&format!("raw/{name}.md"), text);
    write(&format!("wiki/sources/{name}.md"), text);
    let summary = format!(
        "---\ntype: \"Summary\"\ndescription: \"Of {name}\"\ndoc_type: short\nfull_text: \"sources/{name}.md\"\n---\n\n# {name}\n"
    );
    write(&format!("wiki/summaries/{name}.md"), &summary);
    let entries = hashes.as_object_mut().unwrap();
    entries.retain(|_, entry| entry["doc_name"] != name);
    let entry = json!({
        "name": format!("{name}.md"), "doc_name": name, "type": "md",
        "path": format!("/home/someone/{name}.md"), "raw_path": format!("raw/{name}.md"),
        "source_path": format!("wiki/sources/{name}.md"), "by": {"openkb": [1, 2]},
    });
    entries.insert(hex(text.as_bytes()), entry);
}

/// Where only OpenKB changed the KB its changes are taken over, whatever they are.
#[test]
fn changes_of_openkb_are_merged() {
    let env = with_documents(Env::new());
    let kb = env.kb();
    assert_said!(
        env.run(["registry", "import"]),
        code: 0,
        stdout: "",
        stderr: "`hashes.json` and the registry do not differ\n",
    );
    let mut theirs = hashes(&kb);
    add_as_openkb(&kb, &mut theirs, "theirs", "# Theirs\n\nOf OpenKB.\n");
    add_as_openkb(&kb, &mut theirs, "b", "# B anew\n\nOf OpenKB.\n");
    let removed = key_of(&theirs, "c");
    theirs.as_object_mut().unwrap().remove(&removed);
    for file in ["raw/c.md", "wiki/sources/c.md", "wiki/summaries/c.md"] {
        fs::remove_file(kb.join(file)).unwrap();
    }
    let renamed = key_of(&theirs, "d");
    theirs[&renamed]["name"] = "d of old.md".into();
    let rated = key_of(&theirs, "a");
    theirs[&rated]["rating"] = 5.into();
    write_hashes(&kb, &theirs);
    let files = tree(&kb);
    env.doc("e.md", page("e"));
    let said = env.run(["add", "docs/e.md"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("`kbhost registry import --merge`"),
        "{said:?}"
    );
    let listed = "a  hashes.json: changed, registry: same\n\
                  d  hashes.json: changed, registry: same\n\
                  theirs  hashes.json: added, registry: same\n\
                  b  hashes.json: changed, registry: same\n\
                  c  hashes.json: removed, registry: same\n";
    let mut sorted: Vec<&str> = listed.lines().collect();
    sorted.sort_unstable();
    let said = env.run(["registry", "import"]);
    assert_eq!(said.code, 4, "{said:?}");
    let mut lines: Vec<&str> = said.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, sorted);
    assert_eq!(hashes(&kb), theirs, "looking changes nothing");
    let said = env.run(["registry", "import", "--merge"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("1 added, 3 changed, 1 removed"),
        "{said:?}"
    );
    assert_eq!(tree(&kb), files, "a merge changes no page");
    assert_eq!(
        hashes(&kb),
        theirs,
        "the export says what OpenKB said, unknown keys included"
    );
    let connection = Connection::open(kb.join(REGISTRY)).unwrap();
    let title = "SELECT title || '|' || description FROM documents WHERE doc_name = 'theirs'";
    let title: String = connection.query_row(title, [], |row| row.get(0)).unwrap();
    assert_eq!(title, "Theirs|Of theirs");
    drop(connection);
    assert_eq!(env.run(["registry", "import"]).code, 0);
    let said = env.run(["add", "docs/e.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    let mut entries = theirs.as_object().unwrap().clone();
    for (key, entry) in hashes(&kb).as_object().unwrap() {
        let before = entries.shift_remove(key);
        assert!(
            before.as_ref() == Some(entry) || entry["doc_name"] == "e",
            "{entry}"
        );
    }
    assert!(entries.is_empty(), "{entries:?}");
    // Unknown keys stay with a document that we update.
    env.doc("a.md", format!("{}Changed.\n", page("a")));
    let said = env.run(["add", "docs/a.md"]);
    assert!(said.stdout.starts_with("updated  a"), "{said:?}");
    let exported = hashes(&kb);
    assert_eq!(exported[key_of(&exported, "a")]["rating"], 5);
    let listed = names(&env.run(["list"]).stdout);
    for name in ["a", "b", "d", "theirs", "e"] {
        assert!(listed.contains(&name.to_owned()), "{listed:?}");
    }
}

/// The cases of three ways, each with what the two sides did to one entry: `ours` with an export that
/// OpenKB never saw, as the settings `openkb_export: never` give it.
#[test]
fn three_ways() {
    let env = Env::new();
    env.doc("x.md", page("x"));
    env.doc("y.md", page("y"));
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let config = env.kb_text(".openkb/config.yaml") + "openkb_export: never\n";
    fs::write(env.kb().join(".openkb/config.yaml"), config).unwrap();
    let ours_text = format!("{}Changed by us.\n", page("x"));
    let mut cases = 0;
    // What we do and what OpenKB does to `x` (or `z`, which is new); the exit code of a merge; whose
    // bytes the document has in the end, with `--ours` and with `--theirs` for a conflict.
    let mut check = |what: &str,
                     ours: Option<(&str, &str)>,
                     theirs: &dyn Fn(&Path, &mut Value),
                     code: i32,
                     expected: [(&str, Option<&str>); 2]| {
        cases += 1;
        // Without a conflict the sides are not asked for.
        let sides = if code == 3 { 2 } else { 1 };
        for (index, (side, text)) in expected.iter().take(sides).enumerate() {
            let kb = env.path(&format!("{}-{index}/kb", what.replace(' ', "-")));
            copy_tree(&env.kb(), &kb);
            let mut hashes_now = hashes(&kb);
            if let Some((file, text)) = ours {
                // Our own change, of which `hashes.json` says nothing.
                let before = fs::read(env.path("docs").join(file)).ok();
                env.doc(file, text);
                let said = on(&env, &kb, &["add", &format!("docs/{file}")]);
                assert_eq!(said.code, 0, "{what}: {said:?}");
                assert_eq!(hashes(&kb), hashes_now, "{what}: nothing is exported");
                match before {
                    Some(bytes) => drop(env.doc(file, bytes)),
                    None => fs::remove_file(env.path("docs").join(file)).unwrap(),
                }
            }
            theirs(&kb, &mut hashes_now);
            write_hashes(&kb, &hashes_now);
            let registry = logical_registry(&kb);
            let said = on(&env, &kb, &["registry", "import", "--merge"]);
            assert_eq!(said.code, code, "{what}: {said:?}");
            if code == 3 {
                assert!(said.stdout.contains("conflict"), "{what}: {said:?}");
                assert_eq!(logical_registry(&kb), registry, "{what}: nothing is merged");
                assert_eq!(hashes(&kb), hashes_now, "{what}");
                let said = on(&env, &kb, &["registry", "import", "--merge", side]);
                assert_eq!(said.code, 0, "{what}: {said:?}");
            }
            let after = hashes(&kb);
            let name = if what.starts_with("both add") || what.starts_with("only") {
                "z"
            } else {
                "x"
            };
            let entries = after.as_object().unwrap();
            let found = entries.iter().find(|(_, entry)| entry["doc_name"] == name);
            assert_eq!(
                found.map(|(key, _)| key.clone()),
                text.map(|text| hex(text.as_bytes())),
                "{what} {side}"
            );
            assert_eq!(key_of(&after, "y"), hex(page("y").as_bytes()), "{what}");
            let said = on(&env, &kb, &["registry", "import"]);
            assert_eq!(said.code, 0, "{what}: afterwards nothing differs: {said:?}");
        }
    };
    let old = page("x");
    let update = |kb: &Path, hashes: &mut Value| add_as_openkb(kb, hashes, "x", "# Theirs\n");
    let lose = |_: &Path, hashes: &mut Value| {
        let key = key_of(hashes, "x");
        hashes.as_object_mut().unwrap().shift_remove(&key);
    };
    let remove = |kb: &Path, hashes: &mut Value| {
        lose(kb, hashes);
        for file in ["raw/x.md", "wiki/sources/x.md", "wiki/summaries/x.md"] {
            fs::remove_file(kb.join(file)).unwrap();
        }
    };
    let add = |kb: &Path, hashes: &mut Value| add_as_openkb(kb, hashes, "z", "# Their Z\n");
    let touch = |kb: &Path, hashes: &mut Value| add_as_openkb(kb, hashes, "w", "# Another\n");
    let both = |text| [("--ours", text), ("--theirs", text)];
    let ours = |text| Some(("x.md", text));
    check("they change", None, &update, 0, both(Some("# Theirs\n")));
    check("they remove", None, &remove, 0, both(None));
    check(
        "they lose the entry only",
        None,
        &lose,
        0,
        both(Some(old.as_str())),
    );
    check("only they add", None, &add, 0, both(Some("# Their Z\n")));
    check(
        "we change",
        ours(ours_text.as_str()),
        &touch,
        0,
        both(Some(ours_text.as_str())),
    );
    check(
        "only we add",
        Some(("z.md", "# Our Z\n")),
        &touch,
        0,
        both(Some("# Our Z\n")),
    );
    check(
        "both change",
        ours(ours_text.as_str()),
        &update,
        3,
        [
            ("--ours", Some(ours_text.as_str())),
            ("--theirs", Some("# Theirs\n")),
        ],
    );
    check(
        "we change and they remove",
        ours(ours_text.as_str()),
        &remove,
        3,
        [("--ours", Some(ours_text.as_str())), ("--theirs", None)],
    );
    check(
        "both add",
        Some(("z.md", "# Our Z\n")),
        &add,
        3,
        [
            ("--ours", Some("# Our Z\n")),
            ("--theirs", Some("# Their Z\n")),
        ],
    );
    let same_bytes = |kb: &Path, hashes: &mut Value| add_as_openkb(kb, hashes, "twin", "# Our Z\n");
    check(
        "only we add what they add under another name",
        Some(("z.md", "# Our Z\n")),
        &same_bytes,
        3,
        [("--ours", Some("# Our Z\n")), ("--theirs", None)],
    );
    check(
        "nothing but order",
        None,
        &|_, hashes| {
            let entries = hashes.as_object_mut().unwrap();
            let key = entries.keys().next().unwrap().clone();
            let entry = entries.shift_remove(&key).unwrap();
            entries.insert(key, entry);
        },
        0,
        both(Some(old.as_str())),
    );
    assert_eq!(cases, 11);
}

/// Goal: a hash is not believed where the original says otherwise. Method: an old `hashes.json` comes
/// back after an update, then the original becomes a version that neither side has.
#[test]
fn a_hash_that_the_original_contradicts_is_not_merged() {
    let env = Env::new();
    let kb = env.kb();
    env.doc("a.md", "# One\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let old = hashes(&kb);
    env.doc("a.md", "# Two\n");
    env.doc("c.md", "# C\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    write_hashes(&kb, &old);
    let said = env.run(["registry", "import"]);
    assert!(
        said.stdout
            .contains("a  hashes.json: stale, registry: same"),
        "{said:?}"
    );
    fs::write(kb.join("raw/a.md"), "# Three\n").unwrap();
    let said = env.run(["registry", "import", "--merge"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stdout.contains("neither side's version"), "{said:?}");
    fs::write(kb.join("raw/a.md"), "# Two\n").unwrap();
    let said = env.run(["registry", "import", "--merge"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("the registry's is kept"),
        "the user is told: {said:?}"
    );
    assert_eq!(key_of(&hashes(&kb), "a"), hex(b"# Two\n"));
    env.doc("a.md", "# One\n");
    let said = env.run(["add", "docs/a.md"]);
    assert!(said.stdout.starts_with("updated"), "{said:?}");
}

/// F1 of the peer, on our side: a command that dies between its commit and its export, and OpenKB that
/// then changes the file from before, must not make the merge take our newest document for removed.
#[cfg(feature = "fault-points")]
#[test]
fn an_export_that_was_not_written_is_no_removal() {
    let env = with_documents(Env::new());
    env.doc("e.md", page("e"));
    let said = env.run_with(
        &[("KBHOST_FAULT", "effects.export:abort")],
        ["add", "docs/e.md"],
    );
    assert_eq!(said.code, -1, "{said:?}");
    let mut theirs = hashes(&env.kb());
    assert!(!theirs.to_string().contains("\"e\""), "{theirs}");
    add_as_openkb(&env.kb(), &mut theirs, "theirs", "# Theirs\n");
    write_hashes(&env.kb(), &theirs);
    let said = env.run(["registry", "import", "--merge"]);
    assert_eq!(said.code, 0, "{said:?}");
    let listed = names(&env.run(["list"]).stdout);
    for name in ["a", "b", "c", "d", "e", "theirs"] {
        assert!(listed.contains(&name.to_owned()), "{listed:?}");
    }
    key_of(&hashes(&env.kb()), "e");
}

#[test]
fn an_export_can_be_asked_for() {
    let env = with_documents(Env::new());
    let exported = env.kb_text(HASHES);
    let config = env.kb_text(".openkb/config.yaml") + "openkb_export: never\n";
    fs::write(env.kb().join(".openkb/config.yaml"), config).unwrap();
    env.doc("e.md", page("e"));
    assert_eq!(env.run(["add", "docs/e.md"]).code, 0);
    assert_eq!(env.kb_text(HASHES), exported);
    assert_said!(
        env.run(["registry", "export"]),
        code: 0,
        stdout: ".openkb/hashes.json\n",
        stderr: "5 documents written\n",
    );
    key_of(&hashes(&env.kb()), "e");
    let answer = json(&env.run(["registry", "export", "--json"]));
    assert_eq!(answer["export"]["written"], false, "{answer}");
    assert_eq!(env.run(["registry", "import"]).code, 0);
    env.doc("f.md", page("f"));
    assert_eq!(env.run(["add", "docs/f.md"]).code, 0);
}

/// Goal: a merge that dies anywhere, or meets an error, can be made again and gives the same. Method:
/// as for a rebuild, at each point of a clean run from the first that is the merge's own.
#[cfg(feature = "fault-points")]
#[test]
fn a_merge_that_dies_anywhere_is_made_again() {
    let env = with_documents(Env::in_memory());
    // Something of ours that the file does not say yet.
    let config = env.kb_text(".openkb/config.yaml") + "openkb_export: never\n";
    fs::write(env.kb().join(".openkb/config.yaml"), config).unwrap();
    env.doc("e.md", page("e"));
    assert_eq!(env.run(["add", "docs/e.md"]).code, 0);
    let base = env.path("base/kb");
    copy_tree(&env.kb(), &base);
    let mut theirs = hashes(&base);
    add_as_openkb(&base, &mut theirs, "theirs", "# Theirs\n");
    add_as_openkb(&base, &mut theirs, "b", "# B anew\n");
    write_hashes(&base, &theirs);
    let run = |kb: &Path, fault: &str, trace: &Path| {
        let mut command = env.command(["registry", "import", "--merge"]);
        command
            .env("KBHOST_KB", kb)
            .env("KBHOST_FAULT", fault)
            .env("KBHOST_FAULT_TRACE", trace);
        env.finish(&mut command)
    };
    let (clean, trace) = (env.path("clean/kb"), env.path("trace"));
    copy_tree(&base, &clean);
    assert_eq!(run(&clean, "", &trace).code, 0);
    let expected = (logical_registry(&clean), hashes(&clean), tree(&clean));
    let trace = fs::read_to_string(trace).unwrap();
    let points: Vec<&str> = trace
        .lines()
        .skip_while(|point| *point != "merge.before")
        .collect();
    let mut cases = 0;
    for (index, point) in points.iter().enumerate() {
        for mode in ["abort", "error"] {
            let case = format!("{point}:{mode}");
            let kb = env.path(&format!("cases/{index}-{mode}/kb"));
            copy_tree(&base, &kb);
            let said = run(&kb, &case, Path::new("/dev/null"));
            let again = on(&env, &kb, &["registry", "import", "--merge"]);
            assert_eq!(again.code, 0, "{case}: {again:?}, after {said:?}");
            // Where the export alone was missing there was nothing to merge: the next one writes it.
            assert_eq!(on(&env, &kb, &["registry", "export"]).code, 0, "{case}");
            let left = (logical_registry(&kb), hashes(&kb), tree(&kb));
            assert_eq!(left, expected, "{case}: {again:?}, after {said:?}");
            cases += 1;
            fs::remove_dir_all(kb.parent().unwrap()).unwrap();
        }
    }
    covered!("merge: {} points, {cases} cases", points.len());
    assert!(cases >= 14, "only {cases} cases: {points:?}");
}
