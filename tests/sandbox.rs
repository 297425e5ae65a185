//! The sandbox against a hostile component: each attack fails alone, or comes to nothing, and says
//! who it was and what it did.

mod cache;
mod components;
mod crowd;
mod kit;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Env, Said, component, skip, staging_entries};

const CANARY: &str = "canary-0f9b1d7c";

/// A world with a secret beside the KB and one among the documents.
fn guarded() -> Env {
    let env = Env::new();
    fs::write(env.path("canary.txt"), CANARY).unwrap();
    env.doc("canary.txt", CANARY);
    env
}

/// What the hostile component is told to do, and what has to come of it.
#[derive(Clone, Copy)]
enum Attack {
    /// This page, and nothing else.
    Page(&'static str),
    /// An error with this code and, in its cause, these words.
    Error(&'static str, &'static str),
    /// The end of its CPU time; on a machine so loaded that it gets a fifth of a core, the ceiling
    /// of wall time comes first.
    #[cfg(feature = "fault-points")]
    Timeout,
}

/// Runs all attacks in one batch, between documents that do no harm; compares what each comes to,
/// and returns what was said.
fn batch(env: &Env, attacks: &[(&str, Attack)], vars: &[(&str, &str)]) -> Said {
    let mut inputs = vec!["docs/00-first.hostile".to_owned()];
    env.doc("00-first.hostile", "ok first");
    for (index, (line, _)) in attacks.iter().enumerate() {
        let name = format!("{:02}.hostile", index + 1);
        env.doc(&name, line);
        inputs.push(format!("docs/{name}"));
    }
    env.doc("99-last.hostile", "ok last");
    inputs.push("docs/99-last.hostile".to_owned());
    let mut command = env.command(["add", "--json", "--jobs", "2", "--plugin"]);
    command
        .arg(component("hostile"))
        .args(&inputs)
        .envs(vars.iter().copied());
    let said = env.finish(&mut command);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    let documents = answer["documents"].as_array().unwrap();
    assert_eq!(documents.len(), attacks.len() + 2, "{answer}");
    for honest in [&documents[0], &documents[documents.len() - 1]] {
        assert_eq!(honest["status"], "added", "{honest}");
    }
    for ((line, attack), document) in attacks.iter().zip(&documents[1..]) {
        check(env, line, *attack, document);
    }
    let failed = attacks
        .iter()
        .any(|(_, attack)| !matches!(attack, Attack::Page(_)));
    assert_eq!(said.code, i32::from(failed), "{said:?}");
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    assert_clean(&said);
    assert_unread(env);
    said
}

fn check(env: &Env, line: &str, attack: Attack, document: &Value) {
    match attack {
        Attack::Page(text) => {
            assert_eq!(document["status"], "added", "{line}: {document}");
            let name = document["name"].as_str().unwrap();
            let page = env.kb_text(&format!("wiki/sources/{name}.md"));
            assert_eq!(page.trim_end(), text, "{line}");
        }
        Attack::Error(code, cause) => {
            assert_eq!(failure(line, document), code, "{line}: {document}");
            let told = document["error"]["causes"][0].as_str().unwrap();
            assert!(told.contains(cause), "{line}: `{told}` lacks `{cause}`");
        }
        #[cfg(feature = "fault-points")]
        Attack::Timeout => {
            let code = failure(line, document);
            assert!(
                matches!(code, "limit-cpu" | "limit-wall"),
                "{line}: {document}"
            );
            let told = document["error"]["causes"][0].as_str().unwrap();
            assert!(told.starts_with("timeout: "), "{line}: {told}");
        }
    }
}

/// The code of a failure that names the plugin.
fn failure<'a>(line: &str, document: &'a Value) -> &'a str {
    assert_eq!(document["status"], "failed", "{line}: {document}");
    let path = document["path"].as_str().unwrap();
    let message = format!("failed to convert `{path}` with plugin `hostile 0.1.0`");
    assert_eq!(document["error"]["message"], message.as_str(), "{line}");
    document["error"]["code"].as_str().unwrap()
}

/// Nothing that steers a terminal, in text or in JSON.
fn assert_clean(said: &Said) {
    for text in [&said.stdout, &said.stderr] {
        let evil = text
            .chars()
            .find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(evil, None, "{text}");
        for escaped in ["\\u001b", "\\u0007", "\\u202e", "\\r"] {
            assert!(!text.contains(escaped), "{escaped}: {text}");
        }
    }
}

/// The canaries are as they were, and nothing of them, nor of the system, is in the KB.
fn assert_unread(env: &Env) {
    for canary in [env.path("canary.txt"), env.path("docs/canary.txt")] {
        assert_eq!(fs::read_to_string(canary).unwrap(), CANARY);
    }
    let mut pending = vec![env.kb()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            for secret in [CANARY, "root:x:0:0"] {
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "`{secret}` is in {}", path.display());
            }
        }
    }
}

/// The hostile plugin's provenance of a document, as the registry keeps it.
pub(crate) fn provenance(kb: &Path, name: &str) -> Value {
    let path = kb.join(".openkb/kbhost/registry.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let sql = "SELECT provenance FROM documents WHERE doc_name = ?1";
    let text: String = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

use Attack::{Error, Page};

#[test]
fn what_reaches_out_is_refused() {
    let env = guarded();
    let canary = format!("read {}", env.path("canary.txt").display());
    let beside = format!("read {}", env.path("docs/canary.txt").display());
    let staged = format!("read {}", env.kb().join(".openkb/config.yaml").display());
    let attacks = [
        ("read /etc/passwd", Page("refused: read: NotFound")),
        (&canary, Page("refused: read: NotFound")),
        (&beside, Page("refused: read: NotFound")),
        (&staged, Page("refused: read: NotFound")),
        ("read ../canary.txt", Page("refused: read: NotFound")),
        ("read-up", Page("refused: read-up")),
        ("socket", Page("refused: socket: PermissionDenied")),
        ("env", Page("nothing to see")),
        ("write-in", Page("refused: write-in: PermissionDenied")),
        (
            "symlink",
            Page("refused: symlink: Operation not permitted (os error 63)"),
        ),
        (
            "symlink /etc/passwd",
            Page("refused: symlink: Operation not permitted (os error 63)"),
        ),
        ("hardlink", Page("refused: hardlink")),
        ("names", Page("refused: names")),
        ("truncate-in", Page("refused: truncate: PermissionDenied")),
        ("rename-deep", Page("refused: rename-deep after 0")),
    ];
    batch(&env, &attacks, &[]);
    let denied = |name: &str, expected: Value| {
        let denied = &provenance(&env.kb(), name)["denied"];
        assert_eq!(denied, &expected, "{name}");
    };
    denied("05", serde_json::json!([]));
    denied("06", serde_json::json!([["wasi:filesystem/open-at", 8]]));
    denied("07", serde_json::json!([["wasi:sockets", 3]]));
    denied(
        "09",
        serde_json::json!([
            ["wasi:filesystem/open-at", 2],
            ["wasi:filesystem/rename-at", 1],
            ["wasi:filesystem/unlink-file-at", 1]
        ]),
    );
    denied("10", serde_json::json!([["wasi:filesystem/symlink-at", 1]]));
    denied("12", serde_json::json!([["wasi:filesystem/link-at", 1]]));
    denied("15", serde_json::json!([["wasi:filesystem/rename-at", 1]]));
    let quiet = provenance(&env.kb(), "00-first");
    assert_eq!(quiet["denied"], serde_json::json!([]));
    assert_eq!(quiet["plugin"]["name"], "hostile");
    assert_eq!(quiet["plugin"]["version"], "0.1.0");
}

/// The attempt is an error of its document alone, also when the conversion comes from the cache.
#[test]
fn strict_fails_what_was_denied() {
    let env = Env::new();
    env.doc("a.hostile", "symlink");
    env.doc("b.hostile", "socket");
    env.doc("c.hostile", "ok # Fine");
    let add = |more: &[&str]| {
        let mut command = env.command(["add", "docs"]);
        command.env_remove("KBHOST_NO_CACHE");
        command.env("KBHOST_CACHE_DIR", env.path("own-cache"));
        command.args(more).arg("--plugin");
        env.finish(command.arg(component("hostile")))
    };
    for _ in 0..2 {
        let said = add(&["--strict"]);
        assert_eq!(said.code, 1, "{said:?}");
        for denied in [
            "denied: wasi:filesystem/symlink-at\n",
            "denied: wasi:sockets (3 times)\n",
        ] {
            assert!(said.stderr.contains(denied), "{said:?}");
        }
        let listed = env.run(["list"]).stdout;
        assert_eq!(
            listed.lines().count(),
            2,
            "a header and one document: {listed}"
        );
    }
    let said = add(&[]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn what_is_not_so_is_noticed() {
    let invalid = |cause| Error("invalid-output", cause);
    let attacks = [
        ("undeclared", Page("# Page")),
        (
            "missing",
            invalid("`missing.png`: declared and not written"),
        ),
        (
            "outside",
            invalid("`../x`: not allowed as the path of an output"),
        ),
        (
            "absolute",
            invalid("`/etc/passwd`: not allowed as the path of an output"),
        ),
        ("no-main", invalid("no main page")),
        (
            "lie-image",
            invalid("`a.png`: not a png, jpeg, gif or webp image"),
        ),
        ("many-warnings", invalid("5000 warnings; the limit is 1000")),
        (
            "deep",
            invalid("a path beneath `/out` with more than 12 names"),
        ),
        (
            "assets-bad",
            invalid("10007 asset references; the limit is 1000"),
        ),
        (
            "assets-long",
            invalid("an asset reference: 5000 bytes; the limit is 4096"),
        ),
        (
            "assets-outside",
            Error("unsupported", "no behaviour `assets-outside`"),
        ),
        (
            "assets-out",
            Error("unsupported", "no behaviour `assets-out`"),
        ),
        ("refuse it", Error("malformed", "malformed input: it")),
    ];
    let env = guarded();
    batch(&env, &attacks, &[]);
    let undeclared = env.kb().join("wiki/sources/images/01");
    assert!(!undeclared.exists(), "an undeclared file was published");
}

#[test]
fn what_breaks_or_exhausts_breaks_alone() {
    let trap = |cause| Error("trap", cause);
    let attacks = [
        ("panic now", trap("trap: on purpose: now")),
        ("exit 3", trap("the plugin ended itself with status")),
        ("recursion", trap("call stack exhausted")),
        ("handles", trap("limit exceeded")),
        ("log-huge", trap("too much data")),
        ("answer-huge", trap("too much data")),
        (
            "output-sparse",
            Error("limit-output", "disk: more than 1073741824 bytes"),
        ),
        (
            "memory",
            Error("limit-memory", "memory: more than 536870912 bytes"),
        ),
        ("memory-careful", Page("did without")),
        ("stderr-flood", Page("still here")),
        ("log chatter", Page("checkpoint kept: false")),
        ("nap", Page("slept 3600 s")),
    ];
    batch(&guarded(), &attacks, &[]);
}

#[test]
#[cfg(feature = "fault-points")]
fn each_limit_fires() {
    let limits = [
        ("KBHOST_TEST_CPU_MS", "800"),
        ("KBHOST_TEST_MEMORY_MIB", "64"),
        ("KBHOST_TEST_OUTPUT_MIB", "4"),
    ];
    let memory = Error("limit-memory", "memory: more than 67108864 bytes");
    let attacks = [
        ("loop", Attack::Timeout),
        ("assets-loop", Attack::Timeout),
        ("sleep", Attack::Timeout),
        ("memory", memory),
        ("memory-mib 80", memory),
        ("memory-mib 20", Page("20971520 bytes")),
        (
            "output-flood",
            Error("limit-output", "disk: more than 4194304 bytes"),
        ),
    ];
    batch(&guarded(), &attacks, &limits);
    let files = [(
        "file-flood",
        Error("limit-output", "or 10000 files of output"),
    )];
    batch(&guarded(), &files, &[]);
}

/// What the reader of a terminal sees of a component that speaks in escape codes.
#[test]
fn escape_codes_reach_neither_terminal_nor_pages() {
    let env = guarded();
    for (name, line) in [
        ("a", "ansi"),
        ("b", "panic now"),
        ("c", "refuse it"),
        ("d", "ok fine"),
    ] {
        env.doc(&format!("{name}.hostile"), line);
    }
    let add = |options: &[&str]| {
        let mut command = env.command(["add", "--jobs", "1", "--plugin"]);
        command.arg(component("hostile")).args(options);
        let files = ["a", "b", "c", "d"].map(|name| format!("docs/{name}.hostile"));
        env.finish(command.args(files))
    };
    let said = add(&[]);
    assert_clean(&said);
    assert_said!(
        said,
        code: 1,
        stdout: "\
added    a <- docs/a.hostile
failed   - <- docs/b.hostile
failed   - <- docs/c.hostile
added    d <- docs/d.hostile
",
        stderr: "\
warning: docs/a.hostile: [31mred ]0;title [ [concepts/x] ] # heading \u{fffd}txt < !-- x
error: failed to convert `docs/b.hostile` with plugin `hostile 0.1.0`
  caused by: trap: on purpose: now [31m[ [x] ]

hint: report it to the author of the plugin, or try another one with `--plugin FILE.wasm`
error: failed to convert `docs/c.hostile` with plugin `hostile 0.1.0`
  caused by: malformed input: it [31m [ [x] ]

hint: `file docs/c.hostile` tells what it is; if it opens in its own program, save it anew from there, a text as UTF-8, and try again
2 added, 2 failed
",
    );
    for page in [
        "wiki/index.md",
        "wiki/log.md",
        "wiki/summaries/a.md",
        "wiki/sources/a.md",
    ] {
        let text = env.kb_text(page);
        let said = Said {
            stdout: text.clone(),
            stderr: String::new(),
            code: 0,
        };
        assert_clean(&said);
        let unescaped = text.lines().any(|line| line.contains("[[concepts/x"));
        assert!(!unescaped, "{page}: {text}");
        assert!(!text.contains("\n# heading"), "{page}: {text}");
    }
    for command in [
        &["list"][..],
        &["show", "--summary", "a"],
        &["search", "page"],
    ] {
        assert_clean(&env.run(command));
    }
    // What it wrote to its log and its streams is told to those who ask, and sanitised too.
    for format in ["text", "json"] {
        let env_again = guarded();
        env_again.doc("a.hostile", "ansi");
        let mut command = env_again.command(["add", "-vv", "--log-format", format, "--plugin"]);
        command.arg(component("hostile")).arg("docs/a.hostile");
        let said = env_again.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stderr.contains("[31mred"), "{said:?}");
        assert_clean(&said);
    }
}

#[test]
fn two_runs_see_the_same_clock_and_the_same_randomness() {
    let page = |input: &str| {
        let env = Env::new();
        env.doc("clock.hostile", input);
        let mut command = env.command(["add", "docs/clock.hostile", "--plugin"]);
        let said = env.finish(command.arg(component("hostile")));
        assert_eq!(said.code, 0, "{said:?}");
        env.kb_text("wiki/sources/clock.md")
    };
    let first = page("clock\n");
    assert!(first.contains("1.000007s"), "{first}");
    assert_eq!(first, page("clock\n"));
    assert_ne!(first, page("clock\n\n"), "randomness comes from the input");
}

/// Goal: the process itself reads nothing for the component. Method: the system calls of a whole
/// run with file names in them are searched for what must not be opened.
#[test]
fn nothing_else_is_opened() {
    let strace = Command::new("strace").arg("-V").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        return skip("strace of a hostile component", "no strace");
    }
    let env = guarded();
    let lines = [
        "read /etc/passwd".to_owned(),
        format!("read {}", env.path("canary.txt").display()),
        "socket".to_owned(),
        "assets-outside".to_owned(),
        "assets-bad".to_owned(),
        "read-up".to_owned(),
        "symlink".to_owned(),
    ];
    let log = env.path("strace.log");
    let mut command = Command::new("strace");
    env.hermetic(&mut command);
    command
        .args(["-f", "-y", "-qq", "-e", "trace=%file,%network", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(["add", "--plugin"])
        .arg(component("hostile"));
    for (index, line) in lines.iter().enumerate() {
        command.arg(env.doc(&format!("{index}.hostile"), line));
    }
    let output = command.output().unwrap();
    if output.status.code() != Some(1) {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("ptrace"), "{text}");
        return skip("strace of a hostile component", "ptrace is not allowed");
    }
    let calls = fs::read_to_string(log).unwrap();
    // Behind the last `=` stands the descriptor that a call gave, with the path that it leads to. A
    // component may ask for anything; what counts is that it is given nothing.
    let given = |call: &str, path: &str| {
        let result = call.rsplit_once(" = ").map(|(_, result)| result);
        result.is_some_and(|result| result.contains(path))
    };
    let sees = calls.lines().any(|call| given(call, "/docs/0.hostile>"));
    assert!(sees, "the rig sees nothing: {calls}");
    let asked = calls.lines().any(|call| call.contains("../etc/passwd"));
    assert!(asked, "the component did nothing: {calls}");
    let touched: Vec<_> = calls
        .lines()
        .filter(|call| {
            let network = ["socket(", "connect(", "bind("];
            call.contains("canary")
                || given(call, "/etc/")
                    && !["/etc/ld.so.cache>", "/etc/localtime>"]
                        .iter()
                        .any(|path| given(call, path))
                || network.iter().any(|name| call.contains(name))
        })
        .collect();
    assert_eq!(touched, [""; 0]);
    assert_unread(&env);
}
