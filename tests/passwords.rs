//! Documents under a password: it opens what does not open without it, reaches the converters that come
//! with the program alone, and is in no file and no word.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use crate::support::{Env, Said, component, is_root, json, on_a_terminal, repository};

#[cfg(feature = "fault-points")]
mod secret;

/// A PDF under the password `secret`.
fn locked_pdf(env: &Env, name: &str) -> PathBuf {
    let from = repository().join("tests/fixtures/password-aes.pdf");
    let to = env.path("docs").join(name);
    fs::copy(from, &to).unwrap();
    to
}

fn check_hint(said: &Said, code: i32, cause: &str, hint: &str) {
    assert_eq!(said.code, code, "{said:?}");
    assert!(said.stderr.contains(cause), "`{cause}`: {said:?}");
    assert!(said.stderr.contains(hint), "`{hint}`: {said:?}");
}

#[test]
fn who_has_no_password_or_another_one_is_told_so() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    locked_pdf(&env, "b.pdf");
    env.doc("c.csv", "x,y\n1,2\n");
    fs::write(env.path("pw"), "wrong password\n").unwrap();
    let said = env.run(["add", "docs"]);
    check_hint(
        &said,
        1,
        "caused by: encrypted: the file needs a password",
        "with `--password-file PATH`",
    );
    assert!(said.stderr.ends_with("2 added, 1 failed\n"), "{said:?}");
    let said = env.run(["add", "docs", "--password-file", "pw"]);
    check_hint(
        &said,
        1,
        "caused by: encrypted: the password does not open it",
        "other passwords take a run each",
    );
    assert!(
        said.stderr.ends_with("0 added, 2 skipped, 1 failed\n"),
        "{said:?}"
    );
    let said = env.run(["convert", "docs/b.pdf", "--password-file", "pw", "--json"]);
    assert_eq!(json(&said)["error"]["code"], "encrypted", "{said:?}");
    let said = env.run(["convert", "docs/a.md", "--password-file", "pw"]);
    assert_said!(said, code: 0, stdout: "# A\n", stderr: "");
}

#[test]
fn the_right_one_opens_and_what_was_opened_is_read() {
    let env = Env::new();
    locked_pdf(&env, "locked.pdf");
    let rc4 = repository().join("tests/fixtures/password-rc4.pdf");
    fs::copy(rc4, env.path("docs/older.pdf")).unwrap();
    fs::write(env.path("pw"), "secret\n").unwrap();
    let said = env.run(["add", "docs", "--password-file", "pw"]);
    assert_eq!(said.code, 0, "{said:?}");
    for name in ["locked", "older"] {
        let page = env.kb_text(&format!("wiki/sources/{name}.md"));
        assert!(page.contains("The harbour opens at six."), "{page}");
    }
}

#[test]
fn what_is_no_password_is_told_before_anything_is_done() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    let file = |name: &str, bytes: &[u8]| fs::write(env.path(name), bytes).unwrap();
    file("empty", b"");
    file("blank", b"\nsecret\n");
    file("long", &[b'x'; 1_025]);
    file("latin", b"caf\xe9\n");
    file("fine", b"secret\r\nand more\n");
    for (name, code, cause, hint) in [
        ("empty", 2, "its first line is empty", "`head -n 1`"),
        ("blank", 2, "its first line is empty", "`head -n 1`"),
        (
            "long",
            2,
            "its first line is longer than 1,024 bytes",
            "`head -n 1`",
        ),
        ("latin", 2, "its first line is not UTF-8", "`head -n 1`"),
        ("docs", 2, "it is a folder", "--password-file PATH"),
        ("none", 1, "No such file", "`ls .`"),
        ("/dev/zero", 2, "its first line is longer", "`head -n 1`"),
    ] {
        for args in [
            &["add", "docs"][..],
            &["convert", "docs/a.md"],
            &["verify", "--all"],
        ] {
            let said = env.run([args, &["--password-file", name]].concat());
            check_hint(&said, code, cause, hint);
            assert!(said.stderr.contains("read the password from"), "{said:?}");
        }
    }
    if !is_root() {
        fs::set_permissions(env.path("fine"), fs::Permissions::from_mode(0o000)).unwrap();
        let said = env.run(["add", "docs", "--password-file", "fine"]);
        check_hint(&said, 1, "Permission denied", "`ls -ld fine`");
        fs::set_permissions(env.path("fine"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let said = env.run(["list"]);
    assert!(said.stderr.contains("No documents yet."), "{said:?}");
    let said = env.run(["add", "docs", "--password-file", "fine"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn standard_input_holds_it_too_but_no_terminal() {
    let env = Env::new();
    locked_pdf(&env, "b.pdf");
    let args = ["add", "docs", "--password-file", "-"];
    let mut command = env.command(args);
    let mut child = env.spawn(command.stdin(Stdio::piped()));
    // The end of the line is enough: the pipe stays open.
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"wrong\n").unwrap();
    let said = env.wait(child);
    drop(pipe);
    check_hint(&said, 1, "the password does not open it", "take a run each");
    let said = env.run(args);
    check_hint(&said, 2, "its first line is empty", "`head -n 1`");
    let Some((shown, code)) = on_a_terminal(&env, "add docs --password-file -", &[]) else {
        return;
    };
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("it is a terminal"), "{shown}");
    assert!(shown.contains("pipe it in"), "{shown}");
}

/// The file of the password lies where the documents lie: it is none of them.
#[test]
fn the_file_of_the_password_is_no_document() {
    let env = Env::new();
    env.doc("a.md", "# A\n\n![p](pw.txt) ![q](pw.png)\n");
    let file = env.doc("pw.txt", "a password of some length\n");
    fs::hard_link(&file, env.path("docs/pw.png")).unwrap();
    fs::hard_link(&file, env.path("docs/b.md")).unwrap();
    let said = env.run(["add", "docs", "--password-file", "docs/pw.txt"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, "added    a <- docs/a.md\n", "{said:?}");
    assert!(said.stderr.contains("it holds the password"), "{said:?}");
    for command in ["add", "convert"] {
        let said = env.run([command, "docs/pw.txt", "--password-file", "docs/pw.txt"]);
        check_hint(
            &said,
            1,
            "`docs/pw.txt`: it holds the password",
            "name the documents alone",
        );
    }
    // Without the option it is a text as any other.
    let said = env.run(["add", "docs/pw.txt"]);
    assert_eq!(said.code, 0, "{said:?}");
}

/// A converter of somebody else's is given no password, whoever chooses it.
#[test]
fn no_stranger_is_given_one() {
    let env = Env::new();
    let hostile = component("hostile");
    let hostile = hostile.to_str().unwrap();
    env.doc("locked.hostile", "locked 6\n");
    env.doc("options.hostile", "options\n");
    env.doc("other.hostile", "locked 6 x\n");
    fs::write(env.path("pw"), "secret\n").unwrap();
    for args in [
        &["add", "docs"][..],
        &["convert", "docs/locked.hostile"],
        &["verify", "--all"],
    ] {
        let said = env.run([args, &["--plugin", hostile, "--password-file", "pw"]].concat());
        check_hint(
            &said,
            2,
            "give the password to plugin `hostile`: it did not come with kbhost",
            "leave out `--plugin` or `--password-file`",
        );
    }
    let said = env.run(["plugin", "install", "--yes", hostile]);
    assert_eq!(said.code, 0, "{said:?}");
    for options in [&["--password-file", "pw"][..], &[]] {
        let said = env.run([&["add", "docs"], options].concat());
        check_hint(
            &said,
            1,
            "caused by: encrypted: the file needs a password",
            "only converters that come with kbhost are given passwords",
        );
    }
    let text = env.kb_text("wiki/sources/options.md");
    assert!(!text.contains("password"), "{text}");
    assert!(text.contains("`pageindex_threshold` is `20`"), "{text}");
}

#[test]
fn it_goes_to_no_service() {
    let env = Env::new();
    locked_pdf(&env, "b.pdf");
    fs::write(env.path("pw"), "secret\n").unwrap();
    for args in [
        &["add", "docs/b.pdf", "--via", "pageindex-cloud"][..],
        &["add", "--from-pageindex-cloud", "pi-1"],
    ] {
        let said = env.run([args, &["--password-file", "pw"]].concat());
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.stderr.contains("cannot be used with"), "{said:?}");
    }
}
