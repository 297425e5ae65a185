//! Which converter an input gets: what is forced, what is preferred, what the content says, what is
//! built in, and who is surest.

use std::fs;

use serde_json::Value;

use crate::support::{Env, Said, component, json};

/// How a picture begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

/// Installs a contender under a name of nine letters that behaves like this when it is probed.
fn install(env: &Env, name: &str, behaviour: &str, version: u8) {
    let mut wasm = fs::read(component("contender")).unwrap();
    let marker = b"kbhost-test-self:";
    let at = wasm.windows(marker.len()).position(|part| part == marker);
    let at = at.unwrap() + marker.len();
    let own = format!("{name}:{behaviour}:{version}");
    assert_eq!(own.len(), 16, "{own}");
    wasm[at..at + own.len()].copy_from_slice(own.as_bytes());
    let path = env.path("contender.wasm");
    fs::write(&path, wasm).unwrap();
    let mut command = env.command(["plugin", "install", "--yes"]);
    let said = env.finish(command.arg(&path));
    assert_eq!(said.code, 0, "{said:?}");
}

fn add(env: &Env, args: &[&str]) -> (Said, Value) {
    let said = env.run([&["add", "--json"][..], args].concat());
    let answer = serde_json::from_str(&said.stdout).unwrap();
    (said, answer)
}

/// Who converted the document.
fn by(env: &Env, name: &str) -> String {
    let documents = json(&env.run(["list", "--json"]))["documents"].clone();
    let documents = documents.as_array().unwrap().clone();
    let mut found = documents.iter().filter(|one| one["doc_name"] == name);
    let document = found
        .next()
        .unwrap_or_else(|| panic!("{name}: {documents:?}"));
    document["plugin"].as_str().unwrap().to_owned()
}

fn example_pdf() -> Vec<u8> {
    let path = "examples/docs/reports/harbour-data-q3.pdf";
    fs::read(crate::support::repository().join(path)).unwrap()
}

#[test]
fn content_counts_before_the_name() {
    let env = Env::new();
    env.doc("report.md", example_pdf());
    env.doc("login.pdf", "<!doctype html><h1>Please log in</h1>\n");
    env.doc("half.md", "<html>is Markdown here\n");
    let (said, answer) = add(&env, &["docs"]);
    assert_eq!(said.code, 0, "{answer}");
    assert_eq!(by(&env, "report"), "pdf 0.1.0");
    assert_eq!(by(&env, "login"), "markdown 0.1.0");
    assert!(
        env.kb_text("wiki/sources/login.md")
            .contains("# Please log in")
    );
    let warnings = |name: &str| {
        let documents = answer["documents"].as_array().unwrap();
        let mut found = documents.iter().filter(|one| one["name"] == name);
        found.next().unwrap()["warnings"].to_string()
    };
    for (name, warning) in [
        (
            "report",
            "taken as application/pdf, which it is by its content; its name stands for text/markdown",
        ),
        (
            "login",
            "taken as text/html, which it is by its content; its name stands for application/pdf",
        ),
    ] {
        assert!(warnings(name).contains(warning), "{answer}");
    }
    assert!(!warnings("half").contains("by its content"), "{answer}");
    // The same comes out of it once more, though the original bears the wrong name.
    let said = env.run(["verify", "--all"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("3 the same"), "{said:?}");
    let said = env.run(["convert", "docs/login.pdf"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("# Please log in"), "{said:?}");
}

#[test]
fn names_that_say_nothing() {
    let env = Env::new();
    env.doc("walked/report", example_pdf());
    env.doc("walked/page.php", "<html><h1>A page</h1></html>");
    env.doc("walked/notes", "just text");
    let (said, answer) = add(&env, &["docs/walked"]);
    assert_eq!(said.code, 0, "{answer}");
    // Source code may begin like a page: only somebody who names it wants it converted.
    assert_eq!(answer["documents"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(by(&env, "report"), "pdf 0.1.0");
    let (said, answer) = add(&env, &["docs/walked/page.php"]);
    assert_eq!(said.code, 0, "{answer}");
    assert_eq!(by(&env, "page"), "markdown 0.1.0");
    let (said, answer) = add(&env, &["docs/walked/notes"]);
    assert_eq!(said.code, 1, "{answer}");
}

#[test]
fn what_nobody_takes_is_no_text() {
    let env = Env::new();
    env.doc("a.md", PNG);
    let said = env.run(["add", "docs"]);
    assert_eq!(said.code, 1, "{said:?}");
    let message = "failed to convert `docs/a.md`: it is image/png by its content, which no converter \
                   takes";
    assert!(said.stderr.contains(message), "{said:?}");
    assert_eq!(env.logical_registry(), "");
    // With a converter for it, it is one.
    install(&env, "first-one", "even", 1);
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(by(&env, "a"), "first-one 0.1.0");
    // One that was named takes everything.
    env.doc("b.md", [PNG, b"b"].concat());
    let said = env.run(["add", "--plugin", "markdown", "docs/b.md"]);
    assert_ne!(said.code, 70, "{said:?}");
    assert!(!said.stderr.contains("by its content"), "{said:?}");
}

/// Goal: of two installed converters the surer one is used, whatever the number of workers; what is
/// preferred or forced is not asked. Method: two that ask for what speaks of them.
#[test]
fn the_surest_contender_is_used() {
    let env = Env::new();
    install(&env, "first-one", "head", 1);
    install(&env, "other-one", "head", 1);
    for n in 0..6 {
        let whom = ["for first-one", "for other-one", "for nobody"][n % 3];
        env.doc(&format!("{n}.contest"), format!("{whom} {n}"));
    }
    let expected = ["first-one", "other-one", "first-one"];
    for jobs in ["1", "4"] {
        let kb = format!("kb-{jobs}");
        assert_eq!(env.run(["init", &kb]).code, 0);
        let said = env.run(["add", "--kb-dir", &kb, "--jobs", jobs, "docs"]);
        assert_eq!(said.code, 0, "{said:?}");
        for n in 0..6 {
            let page = fs::read_to_string(env.path(&format!("{kb}/wiki/sources/{n}.md"))).unwrap();
            let by = format!("# By {} 0.1.0", expected[n % 3]);
            assert!(page.contains(&by), "{n}: {page}");
        }
        let said = env.run(["verify", "--kb-dir", &kb, "--all"]);
        assert!(said.stderr.contains("6 the same"), "{said:?}");
    }
    let standing = |plugin: &str| {
        let formats = json(&env.run(["formats", "--json"]))["formats"].clone();
        let formats = formats.as_array().unwrap().clone();
        let mut found = formats
            .iter()
            .filter(|one| one["plugin"] == plugin && one["media_type"] == "text/x-contest");
        found.next().unwrap()["standing"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(standing("first-one"), "probed");
    assert!(env.run(["formats"]).stdout.contains("if surest"));

    let prefer = ["plugin", "prefer", "text/x-contest", "other-one"];
    assert_eq!(env.run(prefer).code, 0);
    assert_eq!(
        (standing("first-one"), standing("other-one")),
        ("unused".into(), "preferred".into())
    );
    assert_eq!(env.run(["add", "docs/0.contest"]).code, 0);
    assert_eq!(by(&env, "0"), "other-one 0.1.0");
    let forced = ["add", "--plugin", "first-one", "docs/1.contest"];
    assert_eq!(env.run(forced).code, 0);
    assert_eq!(by(&env, "1"), "first-one 0.1.0");
}

/// Goal: what is installed takes no format away from a built-in converter by being sure.
#[test]
fn a_built_in_converter_is_not_contended_with() {
    let env = Env::new();
    install(&env, "first-one", "sure", 1);
    env.doc("a.html", "<html><h1>A page</h1></html>");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(by(&env, "a"), "markdown 0.1.0");
}

/// A contender that does not answer loses the contest, not the document.
#[test]
fn a_probe_that_fails_counts_nothing() {
    let check = |behaviour: &str, said: &str| {
        let env = Env::new();
        install(&env, "first-one", behaviour, 1);
        install(&env, "other-one", "even", 1);
        env.doc("a.contest", "text");
        let (_, answer) = add(&env, &["docs"]);
        let document = &answer["documents"][0];
        assert_eq!(document["status"], "added", "{answer}");
        let expected = format!("plugin `first-one` could not say whether it reads this: {said}");
        let warnings = document["warnings"].to_string();
        assert!(warnings.contains(&expected), "{expected}: {answer}");
        assert_eq!(by(&env, "a"), "other-one 0.1.0");
    };
    check("loop", "timeout: more than 2s of CPU time");
    check("trap", "trap: ");
    check("full", "memory: more than ");
    check("lies", "invalid output: it is sure by 101 of 100");
}

/// What a contender tries in vain is counted with the document, though another converts it.
#[test]
fn a_probe_tries_nothing_unseen() {
    let env = Env::new();
    install(&env, "first-one", "link", 1);
    install(&env, "other-one", "sure", 1);
    env.doc("a.contest", "text");
    let said = env.run(["add", "--strict", "docs"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("denied: wasi:sockets"), "{said:?}");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(by(&env, "a"), "other-one 0.1.0");
}

/// The documents that `plugin list --stale` names.
fn stale(env: &Env) -> Vec<String> {
    let answer = json(&env.run(["plugin", "list", "--stale", "--json"]));
    let documents = answer["documents"].as_array().unwrap().iter();
    documents
        .map(|one| one["document"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_an_older_plugin_made_is_stale_and_made_again() {
    let env = Env::new();
    install(&env, "first-one", "even", 1);
    env.doc("a.contest", "text a");
    env.doc("b.contest", "text b");
    env.doc("c.md", "# C\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(stale(&env), [""; 0]);
    let said = env.run(["plugin", "list", "--stale"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("", "No document is stale.\n")
    );
    let before = env.kb_text("wiki/sources/c.md");

    install(&env, "first-one", "even", 2);
    assert_eq!(stale(&env), ["a", "b"]);
    let said = env.run(["plugin", "list", "--stale"]);
    assert!(said.stdout.contains("first-one 0.1.0 ("), "{said:?}");
    assert!(said.stdout.contains("first-one 0.2.0 ("), "{said:?}");
    assert!(said.stderr.contains("2 documents are stale."), "{said:?}");
    assert!(
        said.stderr
            .contains("add --reconvert $ROOT/docs/a.contest`"),
        "{said:?}"
    );
    // Without the option what is in stays as it is.
    let said = env.run(["add", "docs"]);
    assert!(said.stderr.contains("0 added, 3 skipped"), "{said:?}");
    let said = env.run(["add", "--reconvert", "--dry-run", "docs"]);
    assert!(
        said.stderr
            .contains("dry run: 0 added, 2 updated, 1 skipped"),
        "{said:?}"
    );
    assert_eq!(stale(&env), ["a", "b"]);

    // From its source, and, where that is gone, from its original.
    let said = env.run(["add", "--reconvert", "docs/a.contest", "docs/c.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("0 added, 1 updated, 1 skipped"),
        "{said:?}"
    );
    assert!(
        env.kb_text("wiki/sources/a.md")
            .contains("# By first-one 0.2.0")
    );
    assert_eq!(stale(&env), ["b"]);
    fs::remove_file(env.path("docs/b.contest")).unwrap();
    let said = env.run(["plugin", "list", "--stale"]);
    assert!(
        said.stderr
            .contains("add --reconvert $ROOT/kb/raw/b.contest`"),
        "{said:?}"
    );
    let said = env.run(["add", "--reconvert", "kb/raw/b.contest"]);
    assert!(said.stderr.contains("0 added, 1 updated"), "{said:?}");
    assert_eq!(stale(&env), [""; 0]);
    assert_eq!(by(&env, "b"), "first-one 0.2.0");
    assert_eq!(env.kb_text("wiki/sources/c.md"), before);
    // It is still the document of its source.
    env.doc("b.contest", "text b, changed");
    let said = env.run(["add", "docs"]);
    assert!(
        said.stderr.contains("0 added, 1 updated, 2 skipped"),
        "{said:?}"
    );
    assert_eq!(env.run(["verify", "--all"]).code, 0);
    let said = env.run(["doctor"]);
    assert_eq!(said.code, 0, "{said:?}");

    assert_eq!(env.run(["plugin", "remove", "first-one"]).code, 0);
    assert_eq!(stale(&env), ["a", "b"]);
    let said = env.run(["plugin", "list", "--stale"]);
    assert!(
        said.stdout.contains("no converter takes text/x-contest"),
        "{said:?}"
    );
    assert!(!said.stderr.contains("hint:"), "{said:?}");
}

/// What a forced converter took for its own is stale once another one would take it: `add --reconvert`
/// does what `plugin list --stale` said.
#[test]
fn what_was_forced_is_stale_as_what_it_is_today() {
    let env = Env::new();
    env.doc("c.md", "# C\n");
    let mut command = env.command(["add", "docs/c.md", "--plugin"]);
    command.arg(component("hostile"));
    env.doc("c.md", "ok forced");
    assert_eq!(env.finish(&mut command).code, 0);
    assert_eq!(stale(&env), ["c"]);
    let said = env.run(["add", "--reconvert", "docs/c.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("1 updated"), "{said:?}");
    assert_eq!(stale(&env), [""; 0]);
}
