//! The commands that read, and what all commands share: help, resolution of the KB, streams,
//! terminals.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Env, Nobody, copy_tree, everything, has, is_root, json, on_a_terminal, skip};

const COMMANDS: [&str; 8] = [
    "init", "add", "cloud", "convert", "list", "status", "show", "search",
];

/// A KB with a few small documents.
fn library() -> Env {
    let env = Env::new();
    env.doc(
        "tides.md",
        "# Tides\n\nThe moon pulls the sea.\n\n## Spring tides\n\nAt new moon the pull of the sun \
         adds up: quay walls are flooded.\n",
    );
    env.doc(
        "tide-tables.txt",
        "Tide tables\n\nHigh water at six, low water at noon.\n",
    );
    env.doc(
        "漢字.md",
        "# 港湾の記録\n\n満潮は六時です。東京湾の水位を毎時記録する。\n",
    );
    env.doc(
        "syntax.md",
        "# Search syntax\n\nWords such as AND, OR, NOT and NEAR stand in texts; so do \"quotes\", \
         a-b, x*y, col:umn and (brackets).\n",
    );
    let said = env.run(["add", "docs"]);
    assert_eq!((said.code, said.stdout.lines().count()), (0, 4), "{said:?}");
    env
}

#[test]
fn help_lists_what_is_built_and_nothing_else() {
    let env = Env::empty();
    let said = env.run(["--help"]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
    let listed: Vec<&str> = said
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed[..8], COMMANDS);
    assert_eq!(
        listed[8..],
        [
            "remove", "recover", "doctor", "lock", "registry", "verify", "cache", "trust",
            "plugin", "formats", "help"
        ]
    );
    for command in COMMANDS {
        let said = env.run([command, "--help"]);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{command}");
        let usage = format!("\nUsage: kbhost {command} ");
        assert!(said.stdout.contains(&usage), "{command}: {said:?}");
        assert_eq!(env.run(["help", command]).stdout, said.stdout);
        assert!(
            said.stdout.lines().all(|line| line.chars().count() <= 100),
            "{command}"
        );
    }
    // Help needs no KB and makes none.
    assert_eq!(fs::read_dir(env.root()).unwrap().count(), 3);
}

#[test]
fn help_of_add() {
    let said = Env::empty().run(["add", "--help"]);
    let own = said.stdout.split("Global options:").next().unwrap();
    assert_eq!(
        own,
        "\
Add files and folders

Usage: kbhost add [OPTIONS] <PATH>...
       kbhost add [OPTIONS] --from-pageindex-cloud <DOC_ID>...

Arguments:
  [PATH]...  Files, and folders to walk

Options:
  -j, --jobs <N>
          Workers: a number, or `auto` for one a core [default: `jobs` in config.yaml, else auto]
      --plugin <NAME|FILE>
          Convert everything with this converter: its name, or a component
      --from-pageindex-cloud <DOC_ID>...
          Import documents that PageIndex Cloud has, by their ids
      --via <SERVICE>
          Send PDFs to a service, `pageindex-cloud`, have it convert them, and import the result
      --pageindex-threshold <N>
          Keep pages and sections of documents from so many pages on [default: `pageindex_threshold`
          in config.yaml, else 20]
      --reconvert
          Convert again what is in already, where another converter, version or threshold made it
      --dry-run
          Say what would be done; convert and write nothing
      --no-cache
          Convert again what was converted before, and keep nothing for later [env: KBHOST_NO_CACHE]
      --strict
          Fail a document whose converter tried what it may not: a socket, a link, a way out
      --password-file <PATH>
          Open documents with the password in the first line of this file, `-` for standard input;
          built-in converters alone get it
      --lock-timeout <SECONDS>
          How long to wait for the lock [default: 60 on a terminal, else 10]
      --no-wait
          Do not wait for the lock
      --allow-network-fs
          Change a knowledge base on a network file system, whose locks may not hold
  -h, --help
          Print help
  -V, --version
          Print version

"
    );
}

#[test]
fn help_of_show() {
    let said = Env::empty().run(["show", "--help"]);
    let own = said.stdout.split("Global options:").next().unwrap();
    assert_eq!(
        own,
        "\
Print a document's text

Usage: kbhost show [OPTIONS] <DOC>

Arguments:
  <DOC>  Name, file name, or a part of either that only one document has

Options:
      --source                  The converted text; the default
      --summary                 The summary page
      --tree                    The section tree of a long document
      --pages <PAGES>           Pages of a long document, for example 3,10-14
      --node <ID>               A section of a long document with its text, by its id in the tree
      --lock-timeout <SECONDS>  How long to wait for the lock [default: 60 on a terminal, else 10]
      --no-wait                 Do not wait for the lock
  -h, --help                    Print help
  -V, --version                 Print version

"
    );
}

#[test]
fn version_and_missing_command() {
    let env = Env::empty();
    let version = format!("kbhost {}\n", env!("CARGO_PKG_VERSION"));
    assert_said!(env.run(["--version"]), code: 0, stdout: version, stderr: "");
    let said = env.run([""; 0]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(said.stderr.contains("Usage: kbhost [OPTIONS] <COMMAND>"));
    let said = env.run(["--json", "frobnicate"]);
    assert_eq!(said.code, 2);
    assert_eq!(json(&said)["error"]["code"], "usage");
}

#[test]
fn without_a_kb_every_command_says_what_to_do() {
    let env = Env::empty();
    env.doc("a.md", "# A\n");
    for words in [
        &["add", "docs/a.md"][..],
        &["list"],
        &["status"],
        &["show", "a"],
        &["search", "a"],
    ] {
        let mut command = env.command(words);
        let said = env.finish(command.env_remove("KBHOST_KB"));
        assert_said!(
            said,
            code: 2,
            stdout: "",
            stderr: "error: failed to find a knowledge base at `$ROOT`\n\nhint: make one with \
                     `kbhost init`, or name one with `--kb-dir DIR`\n",
        );
        // A name that leads nowhere is not replaced by something else.
        let mut command = env.command(["--json"]);
        let said = env.finish(command.args(words));
        assert_eq!(said.code, 2);
        assert_eq!(json(&said)["error"]["code"], "no-kb");
    }
    assert_eq!(fs::read_dir(env.root()).unwrap().count(), 3);
}

#[test]
fn the_kb_is_found_by_flag_then_environment_then_walking_up() {
    let env = Env::empty();
    for name in ["flag", "ours", "openkb", "above"] {
        assert_eq!(env.run(["init", name]).code, 0);
    }
    fs::create_dir_all(env.path("above/notes/deep")).unwrap();
    let check = |flag: Option<&str>, vars: &[(&str, &str)], dir: &str, expected: &str| {
        let mut command = env.command(["status"]);
        command.env_remove("KBHOST_KB").current_dir(env.path(dir));
        command.envs(vars.iter().map(|(name, kb)| {
            let path = if kb.is_empty() {
                Path::new("").into()
            } else {
                env.path(kb)
            };
            (name, path)
        }));
        if let Some(flag) = flag {
            command.arg("--kb-dir").arg(env.path(flag));
        }
        let said = env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        let first = said.stdout.lines().next().unwrap();
        assert_eq!(first, format!("Knowledge base: $ROOT/{expected}"));
    };
    let all = [("KBHOST_KB", "ours"), ("OPENKB_DIR", "openkb")];
    check(Some("flag"), &all, "above", "flag");
    check(None, &all, "above", "ours");
    check(None, &all[1..], "above", "openkb");
    check(None, &[], "above/notes/deep", "above");
    check(
        None,
        &[("KBHOST_KB", ""), ("OPENKB_DIR", "")],
        "above",
        "above",
    );
    check(
        None,
        &[("KBHOST_KB", ""), ("OPENKB_DIR", "openkb")],
        "above",
        "openkb",
    );
}

/// Somebody's folder above the current one must not steer our run; naming it is a choice.
#[test]
fn a_kb_of_another_user_is_not_walked_into() {
    if !is_root() {
        return skip("foreign KB", "only root can give a folder away");
    }
    let env = Env::new();
    chown(env.kb(), Some(4711), None).unwrap();
    let mut command = env.command(["status"]);
    command
        .env_remove("KBHOST_KB")
        .current_dir(env.kb().join("wiki"));
    assert_said!(
        env.finish(&mut command),
        code: 2,
        stdout: "",
        stderr: "error: failed to use the knowledge base `$ROOT/kb`, which belongs to another \
                 user\n\nhint: if you trust it, name it with `--kb-dir $ROOT/kb`\n"
            .replace("`--kb-dir $ROOT/kb`", &quoted(&env)),
    );
    assert_eq!(env.run(["--kb-dir", "kb", "status"]).code, 0);
    // Root's own KBs serve everybody.
    chown(env.kb(), Some(0), None).unwrap();
    let Some(nobody) = Nobody::in_env(&env, "root's KB") else {
        return;
    };
    let mut command = nobody.command(&env, ["status"]);
    command
        .env_remove("KBHOST_KB")
        .current_dir(env.kb().join("wiki"));
    assert_eq!(env.finish(&mut command).code, 0);
}

/// The hint with the path as a shell takes it: a temporary folder may have any name.
fn quoted(env: &Env) -> String {
    let path = env.kb().canonicalize().unwrap().display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    if path.chars().all(plain) {
        "`--kb-dir $ROOT/kb`".to_owned()
    } else {
        "`--kb-dir '$ROOT/kb'`".to_owned()
    }
}

#[test]
fn init_makes_a_kb_once() {
    let env = Env::empty();
    let said = env.run(["init", "kb"]);
    assert_eq!(said.code, 0);
    assert_eq!(said.stdout, "Created a knowledge base in $ROOT/kb\n");
    let before = everything(&env.kb());
    for made in [
        "/.openkb/config.yaml",
        "/raw",
        "/wiki/AGENTS.md",
        "/wiki/index.md",
        "/wiki/log.md",
        "/wiki/sources/images",
        "/wiki/summaries",
        "/wiki/concepts",
        "/wiki/entities",
    ] {
        assert!(before.contains_key(made), "{made}: {before:?}");
    }
    assert_said!(
        env.run(["init", "kb"]),
        code: 0,
        stdout: "There is a knowledge base in $ROOT/kb already; nothing was changed\n",
        stderr: "",
    );
    assert_eq!(everything(&env.kb()), before);
    let said = env.run(["init", "kb", "--json"]);
    let answer = json(&said);
    assert_eq!(
        (&answer["path"], &answer["created"]),
        (&"$ROOT/kb".into(), &false.into())
    );
    // Without DIR it is the named KB, else the current folder, and never the environment's.
    let mut command = env.command(["init", "--kb-dir", "other"]);
    assert_eq!(env.finish(&mut command).code, 0);
    assert!(env.path("other/.openkb").is_dir());
    fs::create_dir(env.path("here")).unwrap();
    let mut command = env.command(["init"]);
    assert_eq!(env.finish(command.current_dir(env.path("here"))).code, 0);
    assert!(env.path("here/.openkb").is_dir());
}

#[test]
fn init_keeps_what_is_there() {
    let env = Env::empty();
    fs::create_dir_all(env.kb().join("wiki")).unwrap();
    fs::write(env.kb().join("notes.txt"), "mine").unwrap();
    fs::write(env.kb().join("wiki/index.md"), "# My own index\n").unwrap();
    fs::write(env.kb().join("wiki/AGENTS.md"), "Mine.\n").unwrap();
    assert_eq!(env.run(["init", "kb", "--language", "pt-BR"]).code, 0);
    assert_eq!(env.kb_text("notes.txt"), "mine");
    assert_eq!(env.kb_text("wiki/index.md"), "# My own index\n");
    assert_eq!(env.kb_text("wiki/AGENTS.md"), "Mine.\n");
    assert!(
        env.kb_text(".openkb/config.yaml")
            .starts_with("language: pt-BR\n")
    );
    assert_eq!(env.run(["status"]).code, 0);
    // A file in the way is told, and stays.
    fs::write(env.path("file"), "x").unwrap();
    let said = env.run(["init", "file"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.starts_with("error: failed to "), "{said:?}");
    let said = env.run(["init", "new", "--language", "a\nmodel: x"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(!env.path("new").exists());
}

#[test]
fn list_in_both_forms() {
    let env = library();
    assert_said!(
        env.run(["list"]),
        code: 0,
        stdout: "Name         Type  Pages  Added       Title\n\
                 syntax       md           2025-06-15  Search syntax\n\
                 tide-tables  txt          2025-06-15  tide-tables\n\
                 tides        md           2025-06-15  Tides\n\
                 漢字         md           2025-06-15  港湾の記録\n",
        stderr: "",
    );
    let answer = json(&env.run(["list", "--json"]));
    assert_eq!(
        (&answer["kbhost"], &answer["command"]),
        (&1.into(), &"list".into())
    );
    let documents = answer["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 4);
    let tides = &documents[2];
    assert_eq!(tides["doc_name"], "tides");
    assert_eq!(tides["raw_path"], "raw/tides.md");
    assert_eq!(tides["source_path"], "wiki/sources/tides.md");
    assert_eq!(tides["added_at"], "2025-06-15T15:06:40Z");
    assert_eq!(tides["plugin"], "markdown 0.1.0");

    let env = Env::new();
    assert_said!(
        env.run(["list"]),
        code: 0,
        stdout: "",
        stderr: "No documents yet.\nhint: add some with `kbhost add PATH`\n",
    );
    assert_said!(env.run(["list", "-q"]), code: 0, stdout: "", stderr: "");
    assert_eq!(
        json(&env.run(["list", "--json"]))["documents"],
        Value::Array(vec![])
    );
}

#[test]
fn status_in_both_forms() {
    let env = library();
    let size: u64 = fs::read_dir(env.kb().join("raw"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert_said!(
        env.run(["status"]),
        code: 0,
        stdout: format!(
            "Knowledge base: $ROOT/kb\n\
             Documents: 4 ({size} bytes of originals)\n\
             Pages in wiki/sources: 4\n\
             Pages in wiki/summaries: 4\n\
             Pages in wiki/concepts: 0\n\
             Pages in wiki/entities: 0\n\
             Pages in wiki/explorations: 0\n\
             Pages in wiki/reports: 0\n\
             Last change: 2025-06-15T15:06:40Z\n"
        ),
        stderr: "",
    );
    let answer = json(&env.run(["status", "--json"]));
    assert_eq!(answer["path"], "$ROOT/kb");
    assert_eq!(
        (&answer["documents"], &answer["bytes"]),
        (&4.into(), &size.into())
    );
    assert_eq!(
        (&answer["journals"], &answer["quarantined"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn search_shows_where_and_what() {
    let env = library();
    assert_said!(
        env.run(["search", "sun"]),
        code: 0,
        stdout: "wiki/sources/tides.md > Spring tides\n    At new moon the pull of the sun adds \
                 up: quay walls are flooded.\n",
        stderr: "",
    );
    // All the words, in any order; the beginning of a longer word is enough.
    let said = env.run(["search", "flood", "moon"]);
    assert!(
        said.stdout
            .starts_with("wiki/sources/tides.md > Spring tides\n"),
        "{said:?}"
    );
    let answer = json(&env.run(["search", "--json", "sun"]));
    let hit = &answer["hits"][0];
    assert_eq!(
        (&hit["name"], &hit["heading"]),
        (&"tides".into(), &"Spring tides".into())
    );
    let snippet: Vec<char> = hit["snippet"].as_str().unwrap().chars().collect();
    let [start, end] = [0, 1].map(|at| hit["matches"][0][at].as_u64().unwrap() as usize);
    assert_eq!(snippet[start..end].iter().collect::<String>(), "sun");
    assert_eq!(answer["stale"], false);
    // A phrase, and the limit.
    assert_eq!(hits(&env, &["\"high water\""]), ["tide-tables"]);
    assert_eq!(hits(&env, &["\"water high\""]), [""; 0]);
    assert_eq!(hits(&env, &["--limit", "1", "tide"]).len(), 1);
    let said = env.run(["search", "nothing-of-this"]);
    assert_said!(said, code: 0, stdout: "", stderr: "No matches.\n");
    assert_eq!(
        json(&env.run(["search", "--json", "xyzzy"]))["hits"],
        Value::Array(vec![])
    );
}

/// The documents found, the best first, each once.
fn hits(env: &Env, words: &[&str]) -> Vec<String> {
    let mut command = env.command(["search", "--json"]);
    let said = env.finish(command.args(words));
    assert_eq!(said.code, 0, "{words:?}: {said:?}");
    let answer = json(&said);
    let names = answer["hits"].as_array().unwrap().iter();
    let mut names: Vec<String> = names
        .map(|hit| hit["name"].as_str().unwrap().to_owned())
        .collect();
    names.dedup();
    names
}

#[test]
fn search_takes_every_sign_for_text() {
    let env = library();
    for words in [
        &["AND"][..],
        &["OR", "NOT"],
        &["NEAR(stand"],
        &["quotes"],
        &["a-b"],
        &["x*y"],
        &["col:umn"],
        &["(brackets)"],
        &["and", "(", "\""],
    ] {
        assert_eq!(hits(&env, words), ["syntax"], "{words:?}");
    }
    for words in [
        &["\""][..],
        &["\"\"\""],
        &["*"],
        &["^"],
        &["title:"],
        &["{a b}:c"],
        &["');DROP TABLE sections;--"],
        &["\u{0}\u{1}"].map(|_| "\u{1}"),
        &[&"x".repeat(100_000)],
    ] {
        assert_eq!(hits(&env, words), [""; 0], "{words:?}");
    }
    assert_eq!(hits(&env, &["--", "-1", "x"]), [""; 0]);
}

#[test]
fn search_in_scripts_without_spaces() {
    let env = library();
    for word in ["満潮", "東京湾", "水位", "記録する", "港湾"] {
        assert_eq!(hits(&env, &[word]), ["漢字"], "{word}");
    }
    assert_eq!(hits(&env, &["京東"]), [""; 0]);
    let said = env.run(["search", "東京湾"]);
    assert!(
        said.stdout.contains("東京湾の水位を毎時記録する"),
        "{said:?}"
    );
}

#[test]
fn show_prints_the_one_that_is_meant() {
    let env = library();
    let text = env.kb_text("wiki/sources/tides.md");
    assert_said!(env.run(["show", "tides"]), code: 0, stdout: &text, stderr: "");
    assert_eq!(env.run(["show", "tides.md"]).stdout, text);
    assert_eq!(env.run(["show", "yntax"]).code, 0);
    assert_eq!(env.run(["show", "漢"]).code, 0);
    let summary = env.kb_text("wiki/summaries/tides.md");
    assert_eq!(env.run(["show", "--summary", "tides"]).stdout, summary);
    let answer = json(&env.run(["show", "tides", "--json"]));
    assert_eq!(answer["text"].as_str().unwrap(), text);
    assert_eq!(answer["page"], "wiki/sources/tides.md");
    assert_said!(
        env.run(["show", "tide"]),
        code: 2,
        stdout: "",
        stderr: "error: failed to choose one of 2 documents for `tide`\n  tide-tables\n  tides\n\n\
                 hint: name one of them in full: `kbhost show tide-tables`\n",
    );
    assert_said!(
        env.run(["show", "whales"]),
        code: 1,
        stdout: "",
        stderr: "error: failed to find a document for `whales`\n\nhint: `kbhost list` shows the \
                 names of all documents\n",
    );
    let answer = json(&env.run(["show", "--json", "tide"]));
    let choices = &answer["error"]["choices"];
    assert_eq!(choices, &serde_json::json!(["tide-tables", "tides"]));
    fs::remove_file(env.kb().join("wiki/sources/tides.md")).unwrap();
    let said = env.run(["show", "tides"]);
    assert_eq!(said.code, 1);
    assert!(
        said.stderr
            .contains("the page of document `tides` is missing"),
        "{said:?}"
    );
}

/// A document that tries to steer the terminal of whoever reads it.
fn hostile() -> Env {
    let env = Env::new();
    env.doc(
        "evil.md",
        "# Title\u{1b}]0;owned\u{7}\u{202e}\n\nplain \u{1b}[2Jcleared \u{9b}31mred \u{8}\u{8}back \
         user\u{2066}nimda\r\nmarker\n",
    );
    assert_eq!(env.run(["add", "docs/evil.md"]).code, 0);
    env
}

#[test]
fn a_pipe_gets_the_page_and_a_terminal_gets_what_is_safe() {
    let env = hostile();
    let page = fs::read(env.kb().join("wiki/sources/evil.md")).unwrap();
    let said = env.run(["show", "evil"]);
    assert_eq!(said.stdout.as_bytes(), page);
    assert!(said.stdout.contains('\u{1b}'), "the page is the document's");
    let dangerous = ['\u{1b}', '\u{9b}', '\u{7}', '\u{8}', '\u{202e}', '\u{2066}'];
    for line in [
        "show evil",
        "show evil --summary",
        "search --color never marker",
        "list --color never",
        "status",
    ] {
        let Some((text, code)) = on_a_terminal(&env, line, &[]) else {
            return;
        };
        assert_eq!(code, 0, "{line}: {text:?}");
        assert!(!text.is_empty(), "{line}");
        assert!(!text.contains(dangerous), "{line}: {text:?}");
    }
    let (text, _) = on_a_terminal(&env, "show evil", &[]).unwrap();
    assert!(text.contains("plain [2Jcleared 31mred back"), "{text:?}");
    let (text, code) = on_a_terminal(&env, r#"show "$(printf 'no\033[2Jne')""#, &[]).unwrap();
    assert_eq!(code, 1);
    let label = "\u{1b}[1;31merror:\u{1b}[0m failed to find a document for `no [2Jne`";
    assert!(text.contains(label), "{text:?}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let env = library();
    let check = |line: &str, vars: &[(&str, &str)], coloured: bool| {
        let Some((text, code)) = on_a_terminal(&env, line, vars) else {
            return;
        };
        assert_eq!(code, 0, "{line}: {text:?}");
        assert!(text.contains("Tides"), "{line}: {text:?}");
        assert_eq!(
            text.contains("\u{1b}["),
            coloured,
            "{line} {vars:?}: {text:?}"
        );
    };
    check("list", &[], true);
    check("list", &[("NO_COLOR", "1")], false);
    check("list", &[("NO_COLOR", "")], true);
    check("list", &[("TERM", "dumb")], false);
    check("list --color never", &[], false);
    check("list --color always", &[("NO_COLOR", "1")], true);
    let piped = env.run(["list"]).stdout;
    assert!(!piped.contains('\u{1b}'));
    let always = env.run(["list", "--color", "always"]).stdout;
    assert!(always.starts_with("\u{1b}[1mName"), "{always:?}");
}

#[test]
fn tables_fit_the_terminal() {
    let env = Env::new();
    env.doc(
        "a.md",
        format!("# {}\n", "A title that goes on ".repeat(10)),
    );
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let Some((text, _)) = on_a_terminal(&env, "list --color never", &[]) else {
        return;
    };
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert_eq!(widest, Some(100), "{text:?}");
    let piped = env.run(["list"]).stdout;
    assert!(
        piped.lines().any(|line| line.chars().count() > 200),
        "a pipe gets all of it"
    );
}

#[test]
fn progress_is_for_terminals() {
    let env = Env::new();
    for name in ["a", "b", "c"] {
        env.doc(&format!("{name}.md"), format!("# {name}\n"));
    }
    let Some((text, code)) = on_a_terminal(&env, "add docs", &[]) else {
        return;
    };
    assert_eq!(code, 0, "{text:?}");
    for line in [
        "added    a <- docs/a.md\n",
        "added    c <- docs/c.md\n",
        "3 added\n",
    ] {
        assert!(text.contains(line), "{text:?}");
    }
    let said = Env::new();
    said.doc("a.md", "# A\n");
    assert_said!(
        said.run(["add", "docs"]),
        code: 0,
        stdout: "added    a <- docs/a.md\n",
        stderr: "1 added\n",
    );
}

/// The reader of a pipe may go whenever it likes: no message, and the work is done all the same.
#[test]
fn a_closed_pipe_is_quiet() {
    let env = Env::new();
    for number in 0..40 {
        env.doc(
            &format!("doc{number:02}.md"),
            format!("# Document {number}\n"),
        );
    }
    let mut command = env.command(["add", "docs"]);
    let mut child = env.spawn(&mut command);
    drop(child.stdout.take());
    let said = env.wait(child);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, "40 added\n"),
        "{said:?}"
    );
    let mut command = env.command(["list"]);
    let mut child = env.spawn(&mut command);
    let mut first = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let said = env.wait(child);
    assert_eq!(
        (&first, said.code, said.stderr.as_str()),
        (b"Name", 0, ""),
        "{said:?}"
    );
    // A full device is trouble.
    if Path::new("/dev/full").exists() {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = env.command(["list"]);
        command.stdout(full).stderr(Stdio::piped());
        let said = env.wait(command.spawn().unwrap());
        assert_eq!(said.code, 1);
        assert_eq!(
            said.stderr,
            "error: failed to write to standard output\n  caused by: No space left on device (os \
             error 28)\n"
        );
    }
}

/// Both streams closed from the start: no panic, and the exit code tells.
#[test]
fn closed_streams() {
    if !has("sh") {
        return skip("closed streams", "no shell");
    }
    let env = library();
    let kbhost = env!("CARGO_BIN_EXE_kbhost");
    let check = |line: &str, code: i32| {
        let mut command = std::process::Command::new("sh");
        env.hermetic(&mut command);
        let said = env.finish(command.args(["-c", &format!("'{kbhost}' {line}")]));
        assert_eq!(said.code, code, "{line}: {said:?}");
    };
    check("list 2>&-", 0);
    check("show whales 2>&-", 1);
    check("show whales >&- 2>&-", 1);
    check("add docs >&-", 0);
}

/// A whole KB can be copied and used elsewhere.
#[test]
fn a_copied_kb_is_whole() {
    let env = library();
    copy_tree(&env.kb(), &env.path("copy"));
    let list = env.run(["list"]).stdout;
    assert_eq!(env.run(["--kb-dir", "copy", "list"]).stdout, list);
    let said = env.run(["--kb-dir", "copy", "search", "sun"]);
    assert!(said.stdout.contains("Spring tides"), "{said:?}");
    let log = env.path("copy/.openkb/kbhost/registry.db-wal");
    let left = log.metadata().map_or(0, |metadata| metadata.len());
    assert_eq!(left, 0, "the registry is one file between commands");
}
