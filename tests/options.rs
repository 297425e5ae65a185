//! Options of converters: from how many pages on a document is long. They come from the settings of the
//! knowledge base or the command line, decide what is converted again, and go to those who may use them.

use std::fs;

use crate::support::{Env, Said, component, json};

/// With a hostile converter, which tells its options on its page, and a document for it.
fn env() -> Env {
    let env = Env::new();
    let hostile = component("hostile");
    let said = env.run(["plugin", "install", "--yes", hostile.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    env.doc("a.hostile", "options\n");
    env
}

fn set(env: &Env, threshold: &str) {
    let config = format!("language: en\npageindex_threshold: {threshold}\n");
    fs::write(env.kb().join(".openkb/config.yaml"), config).unwrap();
}

/// What the converter of `a` was told.
fn told(env: &Env) -> String {
    let page = env.kb_text("wiki/sources/a.md");
    let (_, rest) = page.split_once("`pageindex_threshold` is `").unwrap();
    rest.split('`').next().unwrap().to_owned()
}

fn add(env: &Env, more: &[&str]) -> Said {
    let said = env.run([&["add", "docs"], more].concat());
    assert_eq!(said.code, 0, "{said:?}");
    said
}

/// Provenance of a document.
fn provenance(env: &Env, name: &str) -> serde_json::Value {
    let path = env.kb().join(".openkb/kbhost/registry.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT provenance FROM documents WHERE doc_name = ?1";
    let text: String = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_threshold_comes_from_the_command_line_else_the_settings() {
    let env = env();
    add(&env, &[]);
    assert_eq!(told(&env), "20");
    env.doc("a.hostile", "options 1\n");
    set(&env, "35");
    add(&env, &[]);
    assert_eq!(told(&env), "35");
    env.doc("a.hostile", "options 2\n");
    add(&env, &["--pageindex-threshold", "7"]);
    assert_eq!(told(&env), "7");
}

#[test]
fn a_threshold_that_is_none_is_refused() {
    let env = env();
    for bad in ["0", "-1", "1000001", "2.5", "many", "99999999999999999999"] {
        let typed = format!("--pageindex-threshold={bad}");
        let said = env.run(["add", "docs", &typed]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.stderr
                .contains("must be a number of pages from 1 to 1000000"),
            "{said:?}"
        );
        set(&env, bad);
        let said = env.run(["add", "docs"]);
        assert_ne!(said.code, 0, "{said:?}");
        for part in [
            "pageindex_threshold",
            "must be a number of pages from 1 to 1000000",
            "config.yaml",
        ] {
            assert!(said.stderr.contains(part), "{part}: {said:?}");
        }
    }
    let said = env.run(["list"]);
    assert!(said.stderr.contains("No documents yet."), "{said:?}");
}

/// Goal: another threshold converts again what may come out otherwise, and nothing else. Method: the cache of
/// conversions, and `--reconvert`.
#[test]
fn another_threshold_converts_again_what_it_may_change() {
    let env = env();
    env.doc("b.md", "# B\n");
    fs::create_dir(env.path("cache")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(env.path("cache"), mode).unwrap();
    let converted = |kb: &str, more: &[&str]| {
        let kb = env.path(kb);
        let said = env.run(["init", kb.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{said:?}");
        let args = ["add", "docs", "-v", "--kb-dir", kb.to_str().unwrap()];
        let mut command = env.command([&args, more].concat());
        command
            .env_remove("KBHOST_NO_CACHE")
            .env("KBHOST_CACHE_DIR", env.path("cache"));
        let said = env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        ["hostile", "markdown"].map(|plugin| {
            let mut lines = said.stderr.lines();
            lines.any(|line| {
                line.contains("convert{") && line.contains(&format!("plugin=\"{plugin}\""))
            })
        })
    };
    assert_eq!(converted("one", &[]), [true, true]);
    assert_eq!(converted("two", &[]), [false, false]);
    let other = ["--pageindex-threshold", "30"];
    assert_eq!(converted("three", &other), [true, false]);

    add(&env, &[]);
    set(&env, "30");
    let said = add(&env, &[]);
    assert!(said.stderr.contains("0 added, 2 skipped"), "{said:?}");
    let said = add(&env, &["--reconvert", "--dry-run"]);
    assert!(said.stdout.contains("would update a <- "), "{said:?}");
    assert!(said.stdout.contains("would skip   b <- "), "{said:?}");
    let said = add(&env, &["--reconvert"]);
    assert!(
        said.stderr.contains("0 added, 1 updated, 1 skipped"),
        "{said:?}"
    );
    assert_eq!(told(&env), "30");
    let said = add(&env, &["--reconvert"]);
    assert!(said.stderr.contains("0 added, 2 skipped"), "{said:?}");
}

/// A document is verified as it was converted, whatever the settings say now, and whatever a stranger's
/// registry says it was given.
#[test]
fn verification_takes_the_options_on_record() {
    let env = env();
    env.doc("b.md", "# B\n");
    add(&env, &["--pageindex-threshold", "7"]);
    let expected = serde_json::json!([["pageindex_threshold", "7"]]);
    assert_eq!(provenance(&env, "a")["options"], expected);
    assert!(provenance(&env, "b").get("options").is_none());
    let same = || {
        let said = env.run(["verify", "--all", "--json"]);
        json(&said)["same"].as_u64().unwrap()
    };
    assert_eq!(same(), 2);
    let plant = |options: &str| {
        let path = env.kb().join(".openkb/kbhost/registry.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        let sql = "UPDATE documents SET provenance = json_set(provenance, '$.options', json(?1)) \
                   WHERE doc_name = 'a'";
        assert_eq!(connection.execute(sql, [options]).unwrap(), 1);
    };
    plant(r#"[["pageindex_threshold","7"],["password","x"],["other","y"]]"#);
    assert_eq!(same(), 2, "only what may be given is given");
    plant(r#"[["pageindex_threshold","8"]]"#);
    assert_eq!(same(), 1, "the option on record counts");
}

#[test]
fn the_converter_of_pdfs_is_told_and_that_of_texts_is_not() {
    let env = Env::new();
    let pdf = crate::support::repository().join("tests/fixtures/no-password-aes.pdf");
    fs::copy(pdf, env.path("docs/p.pdf")).unwrap();
    env.doc("t.md", "# T\n");
    add(&env, &[]);
    let expected = serde_json::json!([["pageindex_threshold", "20"]]);
    assert_eq!(provenance(&env, "p")["options"], expected);
    assert!(provenance(&env, "t").get("options").is_none());
}
