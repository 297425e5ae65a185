//! What follows a commit. An effect that fails is a warning: the document is in, and the command
//! succeeds.

use std::fs;

use crate::support::{Env, Said, staging_entries};

fn page(title: &str) -> String {
    format!("---\ntags: [storage]\n---\n# {title}\n\nSomething about {title} and harbours.\n")
}

/// A KB with one document, and others to be added.
fn with_one_document() -> Env {
    let env = Env::new();
    for name in ["ash", "birch", "cedar"] {
        env.doc(&format!("{name}.md"), page(name));
    }
    let said = env.run(["add", "docs/ash.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

/// Adds a document while an effect cannot be carried out; returns what was said.
fn add_with_warning(env: &Env, name: &str, warning: &str) -> Said {
    let said = env.run(["add", &format!("docs/{name}.md")]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, format!("added    {name} <- docs/{name}.md\n"));
    let warnings: Vec<_> = said
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(warnings.len(), 1, "{said:?}");
    assert!(
        warnings[0].starts_with(&format!("warning: could not {warning}: ")),
        "{said:?}"
    );
    assert!(said.stderr.ends_with("1 added\n"), "{said:?}");
    assert!(env.run(["list"]).stdout.contains(name));
    assert!(
        env.kb_text("wiki/index.md")
            .contains(&format!("[[summaries/{name}]]"))
    );
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    said
}

/// The documents that a search finds, by their pages.
fn found(env: &Env, words: &str) -> Vec<String> {
    let said = env.run(["search", words]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        !said.stderr.contains("lacks the newest documents"),
        "{said:?}"
    );
    let places = said
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("wiki/sources/"));
    let mut names: Vec<_> = places
        .filter_map(|place| place.split('.').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn replace_by_directory(env: &Env, path: &str) {
    let path = env.kb().join(path);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("somebody's"), "file").unwrap();
}

fn remove_directory(env: &Env, path: &str) {
    let path = env.kb().join(path);
    assert_eq!(fs::read_to_string(path.join("somebody's")).unwrap(), "file");
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_log_page_that_is_a_directory() {
    let env = with_one_document();
    replace_by_directory(&env, "wiki/log.md");
    let said = add_with_warning(&env, "birch", "append to the log page");
    assert!(said.stderr.contains("$ROOT/kb/wiki/log.md"), "{said:?}");
    assert_eq!(found(&env, "harbours"), ["ash", "birch"]);
    remove_directory(&env, "wiki/log.md");
    let said = env.run(["add", "docs/cedar.md"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
    assert_eq!(
        env.kb_text("wiki/log.md"),
        "# Operations Log\n\n## [2025-06-15 15:06:40] ingest | cedar.md → summaries/cedar\n\n"
    );
}

#[test]
fn a_damaged_search_index_heals() {
    let env = with_one_document();
    let index = env.kb().join(".openkb/kbhost/search.db");
    for garbage in ["no database ".repeat(1_000), "short".to_owned()] {
        fs::write(&index, garbage).unwrap();
        let said = env.run(["search", "harbours"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.stderr
                .starts_with("error: failed to read the search index `"),
            "{said:?}"
        );
        assert!(
            said.stderr.contains("the next `kbhost add` builds it anew"),
            "{said:?}"
        );
    }
    let said = add_with_warning(&env, "birch", "update the search index");
    assert!(said.stderr.contains("not a database"), "{said:?}");
    assert!(!said.stderr.contains("registry"), "{said:?}");
    let said = env.run(["add", "docs/cedar.md"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
    assert_eq!(found(&env, "harbours"), ["ash", "birch", "cedar"]);
}

/// An index that SQLite opens and finds broken inside.
#[test]
fn an_index_damaged_inside_heals() {
    let env = with_one_document();
    let index = env.kb().join(".openkb/kbhost/search.db");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() - 4096;
    bytes[100..middle].fill(0xa5);
    fs::write(&index, bytes).unwrap();
    add_with_warning(&env, "birch", "update the search index");
    let said = env.run(["add", "docs/cedar.md"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
    assert_eq!(found(&env, "harbours"), ["ash", "birch", "cedar"]);
}

/// After a power cut each page may be sound and contradict another: here a table of rows that the
/// text has, or no table at all.
#[test]
fn an_index_that_contradicts_itself_heals() {
    for damage in ["DELETE FROM rows", "DROP TABLE rows"] {
        let env = with_one_document();
        let index = env.kb().join(".openkb/kbhost/search.db");
        let connection = rusqlite::Connection::open(&index).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        add_with_warning(&env, "birch", "update the search index");
        let said = env.run(["add", "docs/cedar.md"]);
        assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
        assert_eq!(found(&env, "harbours"), ["ash", "birch", "cedar"]);
    }
}

/// A journal that a power cut left must not outlive the index that it is of.
#[test]
fn a_damaged_index_goes_with_its_journal() {
    let env = with_one_document();
    let index = env.kb().join(".openkb/kbhost/search.db");
    let journal = index.with_extension("db-journal");
    fs::write(&index, "no database ".repeat(1_000)).unwrap();
    fs::write(&journal, [0; 512]).unwrap();
    add_with_warning(&env, "birch", "update the search index");
    assert!(!index.exists() && !journal.exists());
}

#[test]
fn a_search_index_that_is_a_directory_heals_once_it_is_gone() {
    let env = with_one_document();
    replace_by_directory(&env, ".openkb/kbhost/search.db");
    add_with_warning(&env, "birch", "update the search index");
    let said = env.run(["search", "harbours"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr
            .contains("hint: remove `$ROOT/kb/.openkb/kbhost/search.db`"),
        "{said:?}"
    );
    remove_directory(&env, ".openkb/kbhost/search.db");
    let said = env.run(["search", "harbours"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            0,
            "No matches.\nnote: the search index lacks the newest documents\n\
             hint: the next `kbhost add` of something new brings it up to date\n"
        )
    );
    let said = env.run(["add", "docs/cedar.md"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
    assert_eq!(found(&env, "harbours"), ["ash", "birch", "cedar"]);
}

#[test]
fn a_search_says_when_the_index_is_stale() {
    let env = with_one_document();
    let index = env.kb().join(".openkb/kbhost/search.db");
    let old = fs::read(&index).unwrap();
    let said = env.run(["add", "docs/birch.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    fs::write(&index, old).unwrap();
    let said = env.run(["search", "harbours"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("wiki/sources/ash.md"), "{said:?}");
    assert!(!said.stdout.contains("wiki/sources/birch.md"), "{said:?}");
    assert!(
        said.stderr
            .contains("note: the search index lacks the newest documents"),
        "{said:?}"
    );
    let json = env.run(["search", "--json", "harbours"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["stale"], true);
    let said = env.run(["add", "docs/cedar.md"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
    assert_eq!(found(&env, "harbours"), ["ash", "birch", "cedar"]);
}

#[test]
fn an_export_that_cannot_be_written() {
    let env = with_one_document();
    replace_by_directory(&env, ".openkb/hashes.json");
    add_with_warning(&env, "birch", "export the registry for OpenKB");
    add_with_warning(&env, "cedar", "export the registry for OpenKB");
    remove_directory(&env, ".openkb/hashes.json");
    env.doc("elm.md", page("elm"));
    let said = env.run(["add", "docs/elm.md"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, "1 added\n"));
    let exported: serde_json::Value =
        serde_json::from_str(&env.kb_text(".openkb/hashes.json")).unwrap();
    assert_eq!(exported.as_object().unwrap().len(), 4, "{exported}");
}

#[test]
fn all_effects_fail_at_once() {
    let env = with_one_document();
    for path in [
        "wiki/log.md",
        ".openkb/hashes.json",
        ".openkb/kbhost/search.db",
    ] {
        replace_by_directory(&env, path);
    }
    let said = env.run(["add", "docs/birch.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, "added    birch <- docs/birch.md\n");
    assert_eq!(
        said.stderr.matches("warning: could not ").count(),
        3,
        "{said:?}"
    );
    let json = env.run(["add", "--json", "docs/cedar.md"]);
    assert_eq!(json.code, 0, "{json:?}");
    let answer: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 3, "{answer}");
    assert_eq!(answer["documents"][0]["status"], "added");
}

/// Before the commit point nothing of what follows it may be seen.
#[test]
#[cfg(feature = "fault-points")]
fn no_effect_runs_before_the_commit_point() {
    let env = with_one_document();
    let effects = ["wiki/log.md", ".openkb/hashes.json"];
    let before = effects.map(|path| env.kb_text(path));
    let official = (crate::support::tree(&env.kb()), env.logical_registry());
    for point in [
        "plan.after",
        "snapshot.after",
        "publish.after",
        "write.after",
        "registry.after",
    ] {
        let fault = format!("{point}:error");
        let said = env.run_with(&[("KBHOST_FAULT", &fault)], ["add", "docs/birch.md"]);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (1, ""),
            "{point}: {said:?}"
        );
        assert!(
            said.stderr.contains("error: failed to "),
            "{point}: {said:?}"
        );
        assert_eq!(effects.map(|path| env.kb_text(path)), before, "{point}");
        assert_eq!(
            (crate::support::tree(&env.kb()), env.logical_registry()),
            official,
            "{point}"
        );
        assert_eq!(found(&env, "harbours"), ["ash"], "{point}");
        assert_eq!(staging_entries(&env.kb()), [""; 0], "{point}");
    }
}
