//! `trust`: a knowledge base's `.env` counts only after its owner said so; and where a key never goes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Env, json};

const KEY: &str = "pi-0123456789-never-seen";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A KB with a key in its `.env`.
fn keyed() -> Env {
    let env = Env::new();
    set_mode(&env.kb(), 0o755);
    fs::write(env.kb().join(".env"), format!("PAGEINDEX_API_KEY={KEY}\n")).unwrap();
    set_mode(&env.kb().join(".env"), 0o600);
    env
}

#[test]
fn help_of_trust() {
    let said = Env::empty().run(["trust", "--help"]);
    let own = said.stdout.split("Global options:").next().unwrap();
    assert_eq!(
        own,
        "\
Let the `.env` of a knowledge base hold your keys

Usage: kbhost trust [OPTIONS] [DIR]

Arguments:
  [DIR]  The knowledge base [default: the one that every command means]

Options:
      --list     List those that are trusted
      --remove   Trust it no more
  -h, --help     Print help
  -V, --version  Print version

"
    );
}

#[test]
fn trust_is_given_listed_and_taken() {
    let env = keyed();
    let said = env.run(["trust", "--list"]);
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said:?}");
    let said = env.run(["trust"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "Trusted $ROOT/kb\n"),
        "{said:?}"
    );
    assert!(!format!("{said:?}").contains(KEY));
    let said = env.run(["trust", "kb"]);
    assert_eq!(said.code, 0);
    assert!(said.stdout.contains("trusted already"), "{said:?}");
    let said = env.run(["trust", "--list"]);
    assert_eq!(said.stdout, "$ROOT/kb\n");
    let said = env.run(["trust", "--list", "--json"]);
    let answer = json(&said);
    assert_eq!(answer["knowledge_bases"][0]["path"], "$ROOT/kb");
    assert_eq!(answer["knowledge_bases"][0]["holds"], true);
    let answer = json(&env.run(["trust", "kb", "--remove", "--json"]));
    assert_eq!(answer["path"], "$ROOT/kb");
    assert_eq!(answer["trusted"], false);
    assert_eq!(answer["changed"], true);
    let answer = json(&env.run(["trust", "kb", "--remove", "--json"]));
    assert_eq!(answer["changed"], false);
    let answer = json(&env.run(["trust", "kb", "--json"]));
    assert_eq!(answer["trusted"], true);
    assert_eq!(answer["changed"], true);
}

#[test]
fn the_list_is_private_and_outside_the_kb() {
    let env = keyed();
    let before = crate::support::everything(&env.kb());
    assert_eq!(env.run(["trust"]).code, 0);
    assert_eq!(crate::support::everything(&env.kb()), before);
    let list = env.path("home/.config/kbhost/trusted.json");
    let mode = fs::metadata(&list).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!fs::read_to_string(list).unwrap().contains(KEY));
}

#[test]
fn a_folder_that_was_moved_is_told_and_can_be_forgotten() {
    let env = keyed();
    assert_eq!(env.run(["trust"]).code, 0);
    fs::rename(env.kb(), env.path("elsewhere")).unwrap();
    let said = env.run(["trust", "--list"]);
    assert!(
        said.stdout.starts_with("$ROOT/kb  (not any more"),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("kbhost trust --remove $ROOT/kb"),
        "{said:?}"
    );
    let said = env.run(["trust", "--remove", "kb"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "No longer trusted: $ROOT/kb\n")
    );
    assert_eq!(env.run(["trust", "--list"]).stdout, "");
}

#[test]
fn what_others_may_change_or_read_is_refused_with_what_mends_it() {
    let env = keyed();
    let refused = |words: &str, hint: &str| {
        let said = env.run(["trust"]);
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
        assert!(said.stderr.contains(words), "{said:?}");
        assert!(said.stderr.contains(hint), "{said:?}");
        assert_eq!(env.run(["trust", "--list"]).stdout, "");
    };
    set_mode(&env.kb(), 0o775);
    refused("group or others may write to it", "`chmod go-w $ROOT/kb`");
    set_mode(&env.kb(), 0o755);
    set_mode(&env.kb().join(".env"), 0o644);
    refused(
        "group or others have access to it",
        "`chmod 600 $ROOT/kb/.env`",
    );
    let said = env.run(["trust", "docs"]);
    assert_eq!(said.code, 2, "{said:?}");
    let said = env.run(["trust", "--list", "kb"]);
    assert_eq!(said.code, 2, "{said:?}");
}

#[test]
fn tools_of_an_author_do_not_get_the_key() {
    let env = Env::empty();
    assert_eq!(env.run(["plugin", "new", "mine"]).code, 0);
    let tool = env.path("tool");
    let seen = env.path("seen");
    // Plays both: a compiler that has the target, and a cargo that builds nothing.
    let text = format!("#!/bin/sh\nenv >> '{}'\necho /\n", seen.display());
    fs::write(&tool, text).unwrap();
    set_mode(&tool, 0o755);
    let tool = tool.to_str().unwrap();
    let vars = [
        ("PAGEINDEX_API_KEY", KEY),
        ("CARGO", tool),
        ("RUSTC", tool),
        ("CONTROL", KEY),
    ];
    let said = env.run_with(&vars, ["plugin", "build", "mine"]);
    assert_eq!(said.code, 1, "{said:?}");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.matches("CONTROL=").count() == 2, "{seen}");
    assert!(!seen.contains("PAGEINDEX_API_KEY"), "{seen}");
}
