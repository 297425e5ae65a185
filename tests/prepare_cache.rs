//! The cache of conversions: a second `add` of the same documents calls no converter and gives the
//! same KB; an entry that is not this user's own, or not of this very document, is never used.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::{self, Env, Said, component, logical_registry, tree};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

/// A world with a prepare cache of its own.
struct Rig {
    env: Env,
}

impl Rig {
    fn new() -> Self {
        let env = Env::empty();
        fs::create_dir(env.path("cache")).unwrap();
        fs::set_permissions(env.path("cache"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { env }
    }

    /// With documents of several kinds, one with a picture beside it.
    fn with_documents() -> Self {
        let rig = Self::new();
        for number in 0..6 {
            let text = format!("# Title {number}\n\nSome words of document {number}.\n");
            rig.env.doc(&format!("n{number}.md"), text);
        }
        rig.env
            .doc("pic.md", "# Pic\n\n![a](a.png) ![b](none.png)\n");
        rig.env.doc("a.png", PNG);
        rig.env.doc("t.csv", "a,b\n1,2\n");
        rig
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.env.command(args);
        command
            .env_remove("KBHOST_NO_CACHE")
            .env("KBHOST_CACHE_DIR", self.env.path("cache"));
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        self.env.finish(&mut self.command(args))
    }

    /// A new KB with everything of `docs` added; what `add` said.
    fn add(&self, kb: &str, options: &[&str]) -> Said {
        let said = self.run(&["init", kb]);
        assert_eq!(said.code, 0, "{said:?}");
        let mut command = self.command(&["add", "docs", "--kb-dir", kb]);
        command.args(options);
        let said = self.env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        said
    }

    /// The documents for which converters were called, by stage: `assets`, `convert`.
    fn calls(&self, kb: &str, options: &[&str]) -> [usize; 2] {
        let said = self.add(kb, &[&["-v"], options].concat());
        ["assets{", "convert{"].map(|stage| {
            let of_converter = |line: &&str| line.contains(stage) && line.contains("plugin=");
            said.stderr.lines().filter(of_converter).count()
        })
    }

    fn entries(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.env.path("cache/prepared")).unwrap();
        let mut entries: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == ending))
            .collect();
        entries.sort();
        entries
    }

    /// Everything official of a KB.
    fn official(&self, kb: &str) -> (BTreeMap<String, String>, String) {
        let kb = self.env.path(kb);
        (tree(&kb), logical_registry(&kb))
    }
}

#[test]
fn a_second_add_calls_no_converter() {
    let rig = Rig::with_documents();
    assert_eq!(rig.calls("first", &[]), [8, 8], "the rig sees no calls");
    assert_eq!(rig.calls("second", &[]), [0, 0]);
    assert_eq!(rig.official("second"), rig.official("first"));
    assert_eq!(rig.calls("third", &["--no-cache"]), [8, 8]);
    assert_eq!(rig.official("third"), rig.official("first"));
}

#[test]
fn warm_and_cold_one_worker_and_eight_are_the_same() {
    let rig = Rig::with_documents();
    let mut first: Option<(Said, _)> = None;
    for (kb, options) in [
        ("cold-1", &["--jobs", "1", "--no-cache"][..]),
        ("cold-8", &["--jobs", "8"]),
        ("warm-1", &["--jobs", "1"]),
        ("warm-8", &["--jobs", "8"]),
    ] {
        let said = rig.add(kb, options);
        let official = rig.official(kb);
        match &first {
            None => {
                assert!(said.stderr.contains("none.png"), "{said:?}");
                first = Some((said, official));
            }
            Some((before, expected)) => {
                let calm = |said: &Said| said.stderr.replace(kb, "KB").replace("cold-1", "KB");
                assert_eq!(said.stdout, before.stdout, "{kb}");
                assert_eq!(calm(&said), calm(before), "{kb}");
                assert_eq!(official, *expected, "{kb}");
            }
        }
    }
}

/// Every part of the key counts: a hit for another name, picture or plugin would be a wrong document.
#[test]
fn what_a_converter_sees_is_in_the_key() {
    let rig = Rig::new();
    rig.env.doc("a.md", "# A\n\n![a](a.png)\n");
    rig.env.doc("a.png", PNG);
    assert_eq!(rig.calls("1", &[]), [1, 1]);
    assert_eq!(rig.calls("2", &[]), [0, 0]);
    rig.env.doc("a.png", [PNG, b"other"].concat());
    assert_eq!(rig.calls("3", &[]), [0, 1], "another picture");
    fs::remove_file(rig.env.path("docs/a.png")).unwrap();
    assert_eq!(rig.calls("4", &[]), [0, 1], "no picture");
    fs::rename(rig.env.path("docs/a.md"), rig.env.path("docs/b.md")).unwrap();
    assert_eq!(rig.calls("5", &[]), [1, 1], "another name");
    rig.env.doc("b.md", "# B\n");
    assert_eq!(rig.calls("6", &[]), [1, 1], "other bytes");
    let plugin = component("markdown");
    let other = rig.env.path("other.wasm");
    // A custom section of one byte, its name of length 0: another component that does the same.
    let bytes = [&fs::read(plugin).unwrap()[..], &[0, 1, 0]].concat();
    fs::write(&other, bytes).unwrap();
    let options = ["--plugin", other.to_str().unwrap()];
    assert_eq!(rig.calls("7", &options), [1, 1], "another converter");
    assert_eq!(rig.calls("8", &options), [0, 0]);
}

/// Goal: no bytes but those that this user's key vouches for under this name reach a KB. Method: an
/// entry is changed in every way, and the conversion runs again with the same result.
#[test]
fn entries_that_are_not_ours_are_dropped_and_replaced() {
    let rig = Rig::new();
    rig.env.doc("a.md", "# A\n\nSome words.\n");
    assert_eq!(rig.calls("first", &[]), [1, 1]);
    let entry = rig.entries("document")[0].clone();
    let good = fs::read(&entry).unwrap();
    let mut kb = 0;
    let mut check = |what: &str, bytes: &[u8], expected: [usize; 2]| {
        fs::write(&entry, bytes).unwrap();
        kb += 1;
        assert_eq!(rig.calls(&format!("kb{kb}"), &[]), expected, "{what}");
        assert_eq!(
            rig.official(&format!("kb{kb}")),
            rig.official("first"),
            "{what}"
        );
        assert_eq!(fs::read(&entry).unwrap(), good, "{what}: not replaced");
    };
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    check("unchanged", &good, [0, 0]);
    check("seal", &flipped(0), [0, 1]);
    check("heading", &flipped(50), [0, 1]);
    check("last byte of the page", &flipped(good.len() - 2), [0, 1]);
    check("cut", &good[..good.len() / 2], [0, 1]);
    check("empty", b"", [0, 1]);
    check("longer", &[&good[..], b"x"].concat(), [0, 1]);
    fs::write(rig.env.path("cache/prepared.key"), [7; 32]).unwrap();
    assert_eq!(rig.calls("foreign", &[]), [1, 1], "another key");
}

/// An entry is bound to its name: another document's, vouched for by the same key, is none.
#[test]
fn entries_are_not_swapped() {
    let rig = Rig::new();
    rig.env.doc("a.md", "# A\n\nSome words.\n");
    rig.env.doc("b.md", "# B\n\nOther words.\n");
    assert_eq!(rig.calls("first", &[]), [2, 2]);
    let entries = rig.entries("document");
    fs::copy(&entries[0], &entries[1]).unwrap();
    assert_eq!(rig.calls("second", &[]), [0, 1]);
    assert_eq!(rig.official("second"), rig.official("first"));
}

#[test]
fn a_cache_that_cannot_be_used_stops_nothing() {
    let rig = Rig::with_documents();
    fs::remove_dir(rig.env.path("cache")).unwrap();
    fs::write(rig.env.path("cache"), "a file").unwrap();
    assert_eq!(rig.calls("first", &[]), [8, 8]);
    let said = rig.add("second", &[]);
    assert!(!said.stderr.contains("cache"), "{said:?}");
}

/// Failures are not kept, refused attempts are, with the document they belong to.
#[test]
fn successes_are_kept_with_what_was_denied() {
    let rig = Rig::new();
    let hostile = component("hostile");
    let hostile = hostile.to_str().unwrap();
    let convert = |text: &str| {
        rig.env.doc("a.hostile", text);
        let args = ["convert", "docs/a.hostile", "-v", "--plugin", hostile];
        let said = rig.run(&args);
        let called = said
            .stderr
            .lines()
            .any(|line| line.contains("convert{") && line.contains("plugin="));
        (said, called)
    };
    for _ in 0..2 {
        let (said, called) = convert("refuse x");
        assert_eq!((said.code, called), (1, true), "{said:?}");
        assert!(rig.entries("document").is_empty());
    }
    let (first, called) = convert("ok page");
    assert!(called && first.code == 0, "{first:?}");
    let (second, called) = convert("ok page");
    assert!(!called && second.code == 0, "{second:?}");
    assert_eq!(second.stdout, first.stdout);
    let stdout = Path::new(&first.stdout);
    assert_eq!(stdout, Path::new("page"));
}

#[test]
fn the_caches_are_counted_checked_and_cleared() {
    let rig = Rig::new();
    let json = |args: &[&str], code| {
        let said = rig.run(&[args, &["--json"]].concat());
        assert_eq!(said.code, code, "{said:?}");
        support::json(&said)
    };
    let counts = |answer: &serde_json::Value| -> Vec<u64> {
        let kinds = answer["kinds"].as_array().unwrap().iter();
        kinds
            .map(|kind| kind["entries"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(counts(&json(&["cache", "stats"], 0)), [0, 0]);
    assert_eq!(
        fs::read_dir(rig.env.path("cache")).unwrap().count(),
        0,
        "looking makes nothing"
    );
    rig.env.doc("a.md", "# A\n");
    rig.add("first", &[]);
    assert_eq!(counts(&json(&["cache", "stats"], 0)), [1, 2]);
    assert!(rig.run(&["cache", "stats"]).stdout.contains("prepared"));
    let sound = json(&["cache", "verify"], 0);
    assert_eq!(
        (&sound["sound"], &sound["damaged"]),
        (&json!(3), &json!([]))
    );

    let entry = rig.entries("document")[0].clone();
    let mut bytes = fs::read(&entry).unwrap();
    bytes[40] ^= 1;
    fs::write(&entry, bytes).unwrap();
    let found = json(&["cache", "verify"], 4);
    assert_eq!(found["damaged"][0]["kind"], "prepared");
    assert_eq!(found["damaged"][0]["removed"], false);
    let said = rig.run(&["cache", "verify"]);
    assert!(said.stdout.contains("damaged or not yours"), "{said:?}");
    assert!(said.stderr.contains("`kbhost cache verify --repair`"));
    assert!(entry.exists());
    assert_eq!(json(&["cache", "verify", "--repair"], 4)["sound"], 2);
    assert!(!entry.exists());
    json(&["cache", "verify"], 0);

    assert_eq!(rig.run(&["cache", "clear", "--prepared"]).code, 0);
    assert_eq!(counts(&json(&["cache", "stats"], 0)), [1, 0]);
    let cleared = json(&["cache", "clear"], 0);
    assert_eq!(cleared["removed"][0]["entries"], 1);
    assert_eq!(counts(&json(&["cache", "stats"], 0)), [0, 0]);
    assert_eq!(rig.calls("second", &[]), [1, 1]);
}
