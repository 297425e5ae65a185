//! Bad input: each gets a clear message of its own, the others are committed, nothing stays in
//! staging, and the registry does not know the one that failed.

#[cfg(feature = "fault-points")]
mod changing;
mod disk;
mod nobody;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::support::{Env, Said, everything, repository, staging_entries};

/// Far more than any of these takes; a hang is what it is about.
const SOON: Duration = Duration::from_secs(60);

const EXAMPLE_PDF: &str = "examples/docs/reports/harbour-data-q3.pdf";

/// What a file tells whose content a converter refuses; `$FILE` is the input.
const MALFORMED: &str = "hint: `file $FILE` tells what it is; if it opens in its own program, save \
                         it anew from there, a text as UTF-8, and try again\n";

/// Adds `input` between two good documents and checks everything that holds for any bad input.
/// `error` is what it is to be told, with `$FILE` for the input.
fn check(env: &Env, input: impl AsRef<OsStr>, error: &str) {
    let input = input.as_ref();
    let shown = input.to_string_lossy();
    let said = add_between(env, input);
    assert_said!(
        &said,
        code: 1,
        stdout: format!("added    a <- docs/a.md\nfailed   - <- {shown}\nadded    z <- docs/z.md\n"),
        stderr: format!("{}2 added, 1 failed\n", error.replace("$FILE", &shown)),
    );
    only_a_and_z_are_in(env);
}

fn add_between(env: &Env, input: &OsStr) -> Said {
    env.doc("a.md", "# A\n\nThe first.\n");
    env.doc("z.md", "# Z\n\nThe last.\n");
    let words: [&OsStr; 4] = [
        "add".as_ref(),
        "docs/a.md".as_ref(),
        input,
        "docs/z.md".as_ref(),
    ];
    env.finish_within(SOON, &mut env.command(words))
}

fn only_a_and_z_are_in(env: &Env) {
    assert_eq!(documents(env), ["a", "z"]);
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    let raw = names(&env.kb().join("raw"));
    assert_eq!(raw, ["a.md", "z.md"]);
    for folder in ["sources", "summaries"] {
        let pages = names(&env.kb().join("wiki").join(folder));
        let pages: Vec<_> = pages.iter().filter(|name| name.ends_with(".md")).collect();
        assert_eq!(pages, ["a.md", "z.md"], "{folder}");
    }
    let hashes: serde_json::Value =
        serde_json::from_str(&env.kb_text(".openkb/hashes.json")).unwrap();
    assert_eq!(hashes.as_object().unwrap().len(), 2);
}

/// The names of all documents, by the registry.
fn documents(env: &Env) -> Vec<String> {
    let said = env.run(["list", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let answer: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let documents = answer["documents"].as_array().unwrap().iter();
    documents
        .map(|document| document["doc_name"].as_str().unwrap().to_owned())
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn malformed(plugin: &str, cause: &str) -> String {
    format!(
        "error: failed to convert `$FILE` with plugin `{plugin} 0.1.0`\n  caused by: malformed \
         input: {cause}\n\n{MALFORMED}"
    )
}

fn mkfifo(path: &Path) {
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    );
    made.unwrap();
}

#[test]
fn what_only_claims_to_be_a_pdf() {
    let check = |name: &str, bytes: &[u8]| {
        let env = Env::new();
        env.doc(name, bytes);
        check(
            &env,
            format!("docs/{name}"),
            &malformed("pdf", "no PDF header"),
        );
    };
    check("text.pdf", b"just a text\n");
    let noise: Vec<u8> = (0..4000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    check("noise.pdf", &noise);
}

/// What exactly a PDF reader misses is its own business; that it says so is not.
#[test]
fn broken_pdfs() {
    let whole = fs::read(repository().join(EXAMPLE_PDF)).unwrap();
    let mut flipped = whole.clone();
    for byte in flipped.iter_mut().skip(200).step_by(3) {
        *byte ^= 0x55;
    }
    let cases: [(&str, &[u8]); 4] = [
        ("header.pdf", b"%PDF-1.7\n"),
        ("half.pdf", &whole[..whole.len() / 2]),
        ("stub.pdf", &whole[..300]),
        ("flipped.pdf", &flipped),
    ];
    for (name, bytes) in cases {
        let env = Env::new();
        let file = format!("docs/{name}");
        env.doc(name, bytes);
        let said = add_between(&env, file.as_ref());
        assert_eq!(said.code, 1, "{name}: {said:?}");
        let lines: Vec<&str> = said.stderr.lines().collect();
        let first = format!("error: failed to convert `{file}` with plugin `pdf 0.1.0`");
        assert_eq!(lines[0], first);
        assert!(
            lines[1].starts_with("  caused by: malformed input: "),
            "{said:?}"
        );
        assert_eq!(
            lines[2..],
            [
                "",
                MALFORMED.replace("$FILE", &file).trim_end(),
                "2 added, 1 failed"
            ]
        );
        only_a_and_z_are_in(&env);
    }
}

#[test]
fn pdfs_under_a_password() {
    for name in ["password-rc4.pdf", "password-aes.pdf"] {
        let env = Env::new();
        fs::copy(
            repository().join("tests/fixtures").join(name),
            env.path("docs").join(name),
        )
        .unwrap();
        check(
            &env,
            format!("docs/{name}"),
            "error: failed to convert `$FILE` with plugin `pdf 0.1.0`\n  caused by: encrypted: the \
             file needs a password\n\nhint: run the command again with `--password-file PATH`: the \
             first line of PATH, or of standard input where PATH is `-`, is the password\n",
        );
    }
}

/// Most encrypted PDFs only forbid printing: they open without a password, and so they convert.
#[test]
fn an_encrypted_pdf_that_opens_without_a_password_is_in() {
    let env = Env::new();
    let pdf = repository().join("tests/fixtures/no-password-aes.pdf");
    let said = env.run([OsStr::new("add"), pdf.as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    let text = env.kb_text("wiki/sources/no-password-aes.md");
    assert!(text.contains("The harbour opens at six."), "{text}");
}

#[test]
fn markdown_that_is_no_utf8() {
    let env = Env::new();
    env.doc("latin.md", b"# Caf\xe9\n");
    check(
        &env,
        "docs/latin.md",
        &malformed(
            "markdown",
            "the text is not UTF-8: invalid byte at offset 5",
        ),
    );
    let env = Env::new();
    env.doc("late.md", [&b"# A\n"[..], &[b'x'; 9000], b"\x80"].concat());
    check(
        &env,
        "docs/late.md",
        &malformed(
            "markdown",
            "the text is not UTF-8: invalid byte at offset 9004",
        ),
    );
}

#[test]
fn files_with_nothing_in_them() {
    for name in ["empty.md", "empty.pdf", "empty.csv"] {
        let env = Env::new();
        env.doc(name, "");
        check(
            &env,
            format!("docs/{name}"),
            "error: failed to convert `$FILE`: the file is empty\n\nhint: look at the file, `ls -l \
             $FILE`: its content may have been lost in a copy\n",
        );
    }
    for name in ["white.md", "white.txt"] {
        let env = Env::new();
        env.doc(name, " \n\t\n\u{a0}\r\n");
        check(
            &env,
            format!("docs/{name}"),
            &malformed("markdown", "the file has no content"),
        );
    }
}

#[test]
fn a_path_that_is_not_there() {
    let env = Env::new();
    check(
        &env,
        "docs/missing.md",
        "error: failed to read `$FILE`\n  caused by: No such file or directory (os error 2)\n\n\
         hint: look for the right name near it: `ls docs`\n",
    );
    let env = Env::new();
    check(
        &env,
        "docs/no/such/folder.md",
        "error: failed to read `$FILE`\n  caused by: No such file or directory (os error 2)\n\n\
         hint: look for the right name near it: `ls docs`\n",
    );
}

#[test]
fn a_kind_of_file_that_nobody_takes() {
    let env = Env::new();
    env.doc("thing.xyz", "x");
    check(
        &env,
        "docs/thing.xyz",
        "error: failed to convert `$FILE`: no converter takes this kind of file\n\nhint: \
         converters take files that end in: csv, htm, html, markdown, md, pdf, txt; `--plugin \
         FILE.wasm` names another one\n",
    );
    let env = Env::new();
    env.doc("README", "x");
    let said = env.run(["add", "docs/README"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (1, "failed   - <- docs/README\n")
    );
    // Found in a folder it is none of our business.
    env.doc("a.md", "# A\n");
    env.doc("b.xyz", "x");
    assert_said!(
        env.run(["add", "docs"]),
        code: 0,
        stdout: "added    a <- docs/a.md\n",
        stderr: "1 added; 2 files of other kinds skipped\n",
    );
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let hint = "hint: save what it delivers as a regular file, and `kbhost add` that\n";
    let env = Env::new();
    mkfifo(&env.path("docs/fifo.md"));
    check(
        &env,
        "docs/fifo.md",
        &format!("error: failed to read `$FILE`: it is a FIFO, not a regular file\n\n{hint}"),
    );
    let env = Env::new();
    let listener = UnixListener::bind(env.path("docs/socket.md")).unwrap();
    check(
        &env,
        "docs/socket.md",
        &format!("error: failed to read `$FILE`: it is a socket, not a regular file\n\n{hint}"),
    );
    drop(listener);
    for device in ["/dev/zero", "/dev/null"] {
        check(
            &Env::new(),
            device,
            &format!("error: failed to read `$FILE`: it is a device, not a regular file\n\n{hint}"),
        );
    }
    let env = Env::new();
    symlink("/dev/zero", env.path("docs/endless.md")).unwrap();
    check(
        &env,
        "docs/endless.md",
        &format!("error: failed to read `$FILE`: it is a device, not a regular file\n\n{hint}"),
    );
}

#[test]
fn links_in_a_circle() {
    let env = Env::new();
    symlink("loop.md", env.path("docs/loop.md")).unwrap();
    check(
        &env,
        "docs/loop.md",
        "error: failed to read `$FILE`\n  caused by: Too many levels of symbolic links (os error \
         40)\n\nhint: `ls -l $FILE` shows where the link leads\n",
    );
}

/// A walk takes regular files and nothing else, ends whatever the folder holds, and follows no
/// link out of it.
#[test]
fn a_folder_full_of_traps() {
    let env = Env::new();
    env.doc("outside.md", "# Outside\n");
    env.doc("box/a.md", "# A\n");
    env.doc("box/deep/z.md", "# Z\n");
    env.doc("box/thing.xyz", "x");
    env.doc("box/.hidden.md", "# Hidden\n");
    env.doc("box/ignored.md", "# Ignored\n");
    env.doc("box/.kbignore", "ignored.*\n");
    mkfifo(&env.path("docs/box/fifo.md"));
    let listener = UnixListener::bind(env.path("docs/box/socket.md")).unwrap();
    symlink("../outside.md", env.path("docs/box/link.md")).unwrap();
    symlink("/etc/passwd", env.path("docs/box/passwd.txt")).unwrap();
    symlink("..", env.path("docs/box/deep/up")).unwrap();
    symlink("circle", env.path("docs/box/circle")).unwrap();
    assert_said!(
        env.finish_within(SOON, &mut env.command(["add", "docs/box"])),
        code: 0,
        stdout: "added    a <- docs/box/a.md\nadded    z <- docs/box/deep/z.md\n",
        stderr: "2 added; 1 file of another kind skipped\n",
    );
    drop(listener);
    // An ignore file that would be waited for is told, and so is its folder.
    let env = Env::new();
    env.doc("box/a.md", "# A\n");
    env.doc("box/blocked/b.md", "# B\n");
    mkfifo(&env.path("docs/box/blocked/.kbignore"));
    assert_said!(
        env.finish_within(SOON, &mut env.command(["add", "docs/box"])),
        code: 1,
        stdout: "added    a <- docs/box/a.md\nfailed   - <- docs/box/blocked\n",
        stderr: "error: failed to read `docs/box/blocked/.kbignore`: it is a FIFO, not a regular \
                 file\n\nhint: save what it delivers as a regular file, and `kbhost add` that\n\
                 1 added, 1 failed\n",
    );
}

#[test]
fn the_longest_name_there_is() {
    let env = Env::new();
    let stem = "n".repeat(252);
    let path = env.doc(&format!("{stem}.md"), "# Long\n");
    let said = env.run([OsStr::new("add"), path.as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    let [name] = &documents(&env)[..] else {
        panic!("{said:?}")
    };
    assert!(name.len() <= 200 && name.starts_with("nnn"), "{name}");
    assert_eq!(names(&env.kb().join("raw")), [format!("{name}.md")]);
    // Longer than the system takes: an error of its own, and no panic.
    let said = env.run(["add", &format!("docs/{}.md", "n".repeat(300))]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("File name too long"), "{said:?}");
}

/// U+FDFA is one character of three bytes whose compatibility form has 33.
#[test]
fn a_name_that_grows_eleven_fold() {
    let env = Env::new();
    let path = env.doc(&format!("{}.md", "\u{fdfa}".repeat(80)), "# Grow\n");
    let said = env.run([OsStr::new("add"), path.as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    let [name] = &documents(&env)[..] else {
        panic!("{said:?}")
    };
    assert!(name.len() <= 200, "{} bytes: {name}", name.len());
    for page in [
        format!("raw/{name}.md"),
        format!("wiki/sources/{name}.md"),
        format!("wiki/summaries/{name}.md"),
    ] {
        assert!(env.kb().join(&page).is_file(), "{page}");
    }
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
}

/// A name reaches neither terminal nor log as it is: only as one line without escapes.
#[test]
fn a_name_with_control_characters() {
    let env = Env::new();
    let name = "one\ntwo\u{1b}[31m\u{7}\u{202e}fdp.md";
    let path = env.doc(name, "# Text\n");
    let said = env.run([OsStr::new("add"), path.as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    let [document] = &documents(&env)[..] else {
        panic!("{said:?}")
    };
    let line = format!("added    {document} <- $ROOT/docs/one two [31m");
    assert!(said.stdout.starts_with(&line), "{said:?}");
    assert_eq!(said.stdout.lines().count(), 1, "{said:?}");
    for text in [
        said.stdout,
        said.stderr,
        env.kb_text("wiki/log.md"),
        env.kb_text("wiki/index.md"),
        env.kb_text(&format!("wiki/summaries/{document}.md")),
        env.run(["list"]).stdout,
    ] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
    }
    let log = env.kb_text("wiki/log.md");
    assert_eq!(
        log.lines().filter(|line| line.starts_with("## ")).count(),
        1
    );
}

#[test]
fn a_name_that_is_no_utf8() {
    let env = Env::new();
    let name = OsStr::from_bytes(b"docs/caf\xe9.md");
    fs::write(env.root().join(name), "# Text\n").unwrap();
    check(
        &env,
        name,
        "error: failed to add `$FILE`: its name is not UTF-8\n\nhint: rename the file with `mv` to \
         a name in UTF-8\n",
    );
}

#[test]
fn wrong_usage_ends_with_2_and_changes_nothing() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    let before = everything(&env.kb());
    for words in [
        &["add"][..],
        &["add", "--jobs", "0", "docs/a.md"],
        &["add", "--jobs", "many", "docs/a.md"],
        &["add", "--no-such-option", "docs/a.md"],
        &["add", "--no-wait", "--lock-timeout", "1", "docs/a.md"],
        &["frobnicate"],
    ] {
        let said = env.run(words);
        assert_eq!(said.code, 2, "{words:?}: {said:?}");
        assert!(said.stderr.starts_with("error: "), "{words:?}: {said:?}");
        assert_eq!(said.stdout, "", "{words:?}");
    }
    assert_eq!(everything(&env.kb()), before);
}

#[test]
fn settings_that_are_none() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    let config = env.kb().join(".openkb/config.yaml");
    let check = |text: &[u8], error: &str| {
        fs::write(&config, text).unwrap();
        let before = everything(&env.kb());
        assert_said!(
            env.run(["add", "docs/a.md"]),
            code: 2,
            stdout: "",
            stderr: format!(
                "error: failed to read the {error}\n\nhint: correct the setting in \
                 `$ROOT/kb/.openkb/config.yaml`\n"
            ),
        );
        assert_eq!(everything(&env.kb()), before);
    };
    let file = "`$ROOT/kb/.openkb/config.yaml`";
    check(
        b"jobs: 0\n",
        &format!("setting `jobs` of {file}: must be `auto` or a number from 1 to 256, not `0`"),
    );
    check(
        b"jobs: many\n",
        &format!("setting `jobs` of {file}: must be `auto` or a number from 1 to 256, not `many`"),
    );
    check(
        b"file_processing_jobs: -3\n",
        &format!(
            "setting `file_processing_jobs` of {file}: must be `auto` or a number from 1 \
             to 256, not `-3`"
        ),
    );
    check(
        b"jobs: [\n",
        &format!("settings of {file}: line 1 column 7: unclosed bracket '['"),
    );
    // The flag stands above the file, but a file that cannot be read is told all the same.
    fs::write(&config, "jobs: 0\n").unwrap();
    assert_eq!(env.run(["add", "--jobs", "1", "docs/a.md"]).code, 2);
    // Reading needs no settings.
    assert_eq!(env.run(["list"]).code, 0);
}

#[test]
fn a_registry_that_is_damaged() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let registry = env.kb().join(".openkb/kbhost/registry.db");
    fs::write(&registry, [b"no database ".as_slice(); 2000].concat()).unwrap();
    let before = everything(&env.kb());
    for words in [
        &["add", "docs/b.md"][..],
        &["list"],
        &["status"],
        &["show", "a"],
        &["search", "a"],
    ] {
        assert_said!(
            env.run(words),
            code: 3,
            stdout: "",
            stderr: "error: failed to read the registry `$ROOT/kb/.openkb/kbhost/registry.db`\n  \
                     caused by: file is not a database\n\nhint: `kbhost registry rebuild` \
                     makes `$ROOT/kb/.openkb/kbhost/registry.db` anew from its newest backup and \
                     the files\n",
        );
    }
    assert_eq!(everything(&env.kb()), before);
}
