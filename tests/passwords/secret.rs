//! With a converter that opens documents and tells the password wherever it can.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::wait::until;
use crate::support::{Env, Said, component, json, staging_entries};

/// Of letters, digits and the like alone, so that it can be a path; 24 bytes.
const PASSWORD: &str = "Tr0ub4dor-and_3.horsesXy";

/// A world with caches of its own, whose hostile converter is given passwords.
struct Rig {
    env: Env,
}

impl Rig {
    fn new() -> Self {
        let env = Env::new();
        fs::create_dir(env.path("cache")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(env.path("cache"), mode).unwrap();
        fs::write(env.path("pw"), format!("{PASSWORD}\n")).unwrap();
        fs::write(env.path("other"), "another one\n").unwrap();
        Self { env }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.env.command(args);
        command
            .env_remove("KBHOST_NO_CACHE")
            .env("KBHOST_CACHE_DIR", self.env.path("cache"))
            .env("KBHOST_TEST_OPENS", "hostile");
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        self.env.finish(&mut self.command(args))
    }

    /// With the hostile converter for everything.
    fn hostile(&self, args: &[&str]) -> Said {
        let hostile = component("hostile");
        self.run(&[args, &["--plugin", hostile.to_str().unwrap()]].concat())
    }

    /// How many conversions are kept.
    fn kept(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.env.path("cache/prepared")) else {
            return 0;
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".document")).count()
    }

    /// The files that hold the password, but for the one that it is read from.
    fn holding(&self) -> Vec<String> {
        let mut found = holding(self.env.root());
        found.retain(|path| path != "pw");
        found
    }
}

/// The files beneath `root` whose bytes, or whose name, hold the password; sorted.
fn holding(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                dirs.push(path.clone());
            }
            let bytes = match kind.is_file() {
                true => fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            let is_in = |bytes: &[u8]| {
                let needle = PASSWORD.as_bytes();
                bytes.windows(needle.len()).any(|at| at == needle)
            };
            if is_in(&bytes) || is_in(entry.file_name().as_encoded_bytes()) {
                let relative = path.strip_prefix(root).unwrap();
                found.push(relative.display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn is_told(said: &Said) -> bool {
    said.stdout.contains(PASSWORD) || said.stderr.contains(PASSWORD)
}

/// Goal: the password is in no log, message, answer, registry, journal, cache or page. Method: a converter
/// that opens documents with it and tells it in its log, on its streams, in warnings, metadata, errors of
/// every length, a panic, paths and names; with every log line on, in text and in JSON; then everything on
/// the disk and on both streams is searched.
#[test]
fn the_password_is_in_no_file_and_no_word() {
    let rig = Rig::new();
    let length = PASSWORD.len();
    for (name, how) in [
        ("fine", ""),
        ("error", "error"),
        ("long-error", "long-error"),
        ("trap", "trap"),
        ("path", "path"),
        ("attachment", "attachment"),
    ] {
        let text = format!("locked {length} {how}\n");
        rig.env.doc(&format!("{name}.hostile"), text);
    }
    rig.env.doc("wrong.hostile", "locked 5\n");
    rig.env.doc("free.hostile", "options\n");
    let with = ["--password-file", "pw"];
    let add = |more: &[&str]| {
        let hostile = component("hostile");
        let plugin = ["--plugin", hostile.to_str().unwrap()];
        let mut command = rig.command(&[&["add", "docs", "-vv"], more, &with, &plugin].concat());
        let command = command.env("KBHOST_LOG", "trace").env("RUST_LOG", "trace");
        rig.env.finish(command.env("RUST_BACKTRACE", "1"))
    };
    let said = add(&[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("3 added, 5 failed"),
        "the rig sees no conversions: {said:?}"
    );
    assert!(said.stderr.contains("TRACE") || said.stderr.contains("DEBUG"));
    let mut told = vec![said];
    told.push(add(&["--json", "--log-format", "json"]));
    told.push(add(&["--reconvert", "--log-format", "json"]));
    told.push(add(&["--strict", "--no-cache", "--jobs", "8"]));
    for name in ["fine", "error", "long-error", "trap", "path", "attachment"] {
        let file = format!("docs/{name}.hostile");
        told.push(rig.hostile(&[&["convert", &file, "-vv"][..], &with].concat()));
        told.push(rig.hostile(&[&["convert", &file, "--json"][..], &with].concat()));
    }
    told.push(rig.hostile(&[&["verify", "--all", "-vv"][..], &with].concat()));
    for args in [
        &["list", "--json"][..],
        &["show", "fine", "--json"],
        &["show", "fine", "--summary"],
        &["registry", "export"],
        &["registry", "backup"],
        &["status", "--json"],
        &["doctor", "--json"],
        &["cache", "stats", "--json"],
    ] {
        told.push(rig.run(args));
    }
    for said in &told {
        assert!(!is_told(said), "{said:?}");
    }
    assert_eq!(rig.holding(), [""; 0]);

    // What is said instead, and what is not lost by it.
    let first = &told[0];
    let cause = |of: &str| {
        let mut lines = first.stderr.lines();
        lines.find(|line| line.contains(&format!("docs/{of}.hostile` with")));
        let cause = lines.next().unwrap_or_default();
        cause.trim_start_matches("  caused by: ").to_owned()
    };
    let left_out = "a sentence that held the password is left out";
    assert_eq!(cause("error"), format!("malformed input: {left_out}"));
    assert_eq!(cause("long-error"), format!("too large: {left_out}"));
    assert_eq!(cause("path"), format!("internal: {left_out}"));
    assert_eq!(
        cause("wrong"),
        "encrypted: the password does not open it",
        "{first:?}"
    );
    assert!(cause("trap").starts_with("trap: "), "{first:?}");
    for line in ["fine.hostile: it was locked", "fine.hostile: a sentence"] {
        assert!(first.stderr.contains(line), "{line}: {first:?}");
    }
    let page = rig.env.kb_text("wiki/sources/fine.md");
    assert!(page.contains("`password` is `24 bytes`"), "{page}");
    let summary = rig.env.kb_text("wiki/summaries/fine.md");
    assert!(summary.contains("language: \"en\""), "{summary}");
    assert!(!summary.contains("author"), "{summary}");
    let page = rig.env.kb_text("wiki/sources/free.md");
    assert!(!page.contains("password"), "it opens without: {page}");
}

/// Control of the above: the same search finds a password that a document holds itself, wherever the
/// documents of the KB are kept, and on the streams.
#[test]
fn the_search_finds_a_password_that_is_there() {
    let rig = Rig::new();
    rig.env.doc("told.hostile", format!("ok {PASSWORD}\n"));
    let said = rig.hostile(&["add", "docs", "--password-file", "pw"]);
    assert_eq!(said.code, 0, "{said:?}");
    let found = rig.holding();
    for place in [
        "docs/told.hostile",
        "kb/raw/told.hostile",
        "kb/wiki/sources/told.md",
        "kb/.openkb/kbhost/registry.db",
        "kb/.openkb/kbhost/search.db",
        "cache/prepared/",
    ] {
        assert!(
            found.iter().any(|path| path.starts_with(place)),
            "{place} is not among {found:?}"
        );
    }
    assert!(is_told(&rig.run(&["show", "told"])));
}

/// Goal: who lacks the password gets nothing of what was opened with it, and who gives it later is not kept
/// from it. Method: two knowledge bases of one user, with the cache of conversions.
#[test]
fn what_a_password_opened_is_not_kept_for_others() {
    let rig = Rig::new();
    rig.env
        .doc("a.hostile", format!("locked {}\n", PASSWORD.len()));
    rig.env.doc("b.hostile", "options\n");
    let said = rig.run(&["init", "second"]);
    assert_eq!(said.code, 0, "{said:?}");
    let add = |kb: &str, more: &[&str]| {
        let hostile = component("hostile");
        let plugin = ["--plugin", hostile.to_str().unwrap(), "--kb-dir", kb];
        rig.run(&[&["add", "docs"], &plugin[..], more].concat())
    };
    let with = &["--password-file", "pw"];

    // Failed without it: nothing of that is kept either.
    let said = add("kb", &[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("1 added, 1 failed"), "{said:?}");
    assert_eq!(rig.kept(), 1, "what opens without a password is kept");
    let said = add("kb", with);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("1 added, 1 skipped"), "{said:?}");
    assert_eq!(rig.kept(), 1);

    let said = add("second", &[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("the file needs a password"),
        "{said:?}"
    );
    let said = add("second", &["--password-file", "other"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("does not open it"), "{said:?}");
    let said = add("second", with);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(rig.kept(), 1);

    // A new version, and the same bytes without the password: the first is converted, the second is in.
    rig.env
        .doc("a.hostile", format!("locked {} again\n", PASSWORD.len()));
    let said = add("kb", with);
    assert!(
        said.stdout.contains("updated  a <- docs/a.hostile"),
        "{said:?}"
    );
    let said = add("kb", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("0 added, 2 skipped"), "{said:?}");
    assert_eq!(rig.holding(), [""; 0]);
}

/// Goal: a crash of the program writes no memory that holds the password. Method: what the system says of a run
/// that hangs, started where cores of any size are allowed. Control: the same without a password.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_would_leave_no_core() {
    let hostile = component("hostile");
    let core_bytes_max = |more: &[&str]| {
        let rig = Rig::new();
        rig.env.doc("hang.hostile", "loop\n");
        let plugin = ["--plugin", hostile.to_str().unwrap()];
        let inner = rig.command(&[&["add", "docs"], &plugin[..], more].concat());
        let mut shell = Command::new("sh");
        rig.env.hermetic(&mut shell);
        shell.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]);
        shell.arg(inner.get_program()).args(inner.get_args());
        shell.env("KBHOST_TEST_OPENS", "hostile");
        let mut child = rig.env.spawn(&mut shell);
        until("the conversion hangs", || {
            !staging_entries(&rig.env.kb()).is_empty()
        });
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let mut lines = limits.lines();
        let line = lines.find(|line| line.starts_with("Max core file size"));
        line.unwrap().split_whitespace().nth(4).unwrap().to_owned()
    };
    assert_eq!(core_bytes_max(&["--password-file", "pw"]), "0");
    assert_eq!(core_bytes_max(&[]), "unlimited");
}

#[test]
fn a_document_under_a_password_is_verified_with_it() {
    let rig = Rig::new();
    let text = format!("locked {}\n", PASSWORD.len());
    rig.env.doc("a.hostile", text);
    let with = ["--password-file", "pw"];
    let said = rig.hostile(&[&["add", "docs"][..], &with].concat());
    assert_eq!(said.code, 0, "{said:?}");
    let verify = |more: &[&str]| {
        let said = rig.hostile(&[&["verify", "a", "--json"], more].concat());
        assert_eq!(said.code, 0, "{said:?}");
        let document = json(&said)["documents"][0].clone();
        let reason = document["reason"].as_str().unwrap_or_default().to_owned();
        (document["status"].as_str().unwrap().to_owned(), reason)
    };
    assert_eq!(verify(&with).0, "same");
    let (status, reason) = verify(&[]);
    assert_eq!(status, "not_verifiable");
    assert!(reason.contains("`--password-file PATH`"), "{reason}");
    let (status, reason) = verify(&["--password-file", "other"]);
    assert_eq!(status, "not_verifiable");
    assert!(reason.contains("does not open it"), "{reason}");
}
