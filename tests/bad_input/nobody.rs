//! What permissions forbid. As root they forbid nothing: these tests run as somebody else.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::{Nobody, give, is_root, tree};

fn forbid(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

/// The temporary folder must be removable again where the tests are not root's.
fn allow(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn files_and_folders_that_cannot_be_read() {
    let env = Env::new();
    let Some(nobody) = Nobody::in_env(&env, "unreadable input") else {
        return;
    };
    env.doc("a.md", "# A\n\nThe first.\n");
    env.doc("closed/b.md", "# B\n");
    let secret = env.doc("secret.md", "# Secret\n");
    env.doc("z.md", "# Z\n\nThe last.\n");
    let closed = env.path("docs/closed");
    give(&env.kb());
    forbid(&secret);
    forbid(&closed);
    let walked = env.finish(&mut nobody.command(&env, ["add", "docs"]));
    let words = ["add", "docs/secret.md", "docs/closed", "docs/closed/b.md"];
    let named = env.finish(&mut nobody.command(&env, words));
    allow(&closed);
    assert_said!(
        walked,
        code: 1,
        stdout: "added    a <- docs/a.md\nfailed   - <- docs/closed\n\
                 failed   - <- docs/secret.md\nadded    z <- docs/z.md\n",
        stderr: "error: failed to read `docs/closed`\n  caused by: Permission denied (os error \
                 13)\n\nhint: look at the permissions: `ls -ld docs/closed`\n\
                 error: failed to open `docs/secret.md`\n  caused by: Permission denied (os \
                 error 13)\n\nhint: look at the permissions: `ls -ld docs/secret.md`\n\
                 2 added, 2 failed\n",
    );
    assert_eq!(named.code, 1);
    assert_eq!(named.stderr.matches("Permission denied").count(), 3);
    only_a_and_z_are_in(&env);
}

#[test]
fn a_kb_that_cannot_be_written() {
    let env = Env::new();
    let Some(nobody) = Nobody::in_env(&env, "unwritable KB") else {
        return;
    };
    env.doc("a.md", "# A\n\nThe first.\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    if !is_root() {
        close_tree(&env.kb(), 0o500);
    }
    let before = everything(&env.kb());
    let added = env.finish(&mut nobody.command(&env, ["add", "docs/b.md"]));
    let read: Vec<Said> = [
        &["list"][..],
        &["status"],
        &["search", "first"],
        &["show", "a"],
    ]
    .iter()
    .map(|words| env.finish(&mut nobody.command(&env, *words)))
    .collect();
    let after = everything(&env.kb());
    if !is_root() {
        close_tree(&env.kb(), 0o700);
    }
    assert_said!(
        added,
        code: 1,
        stdout: "",
        stderr: "error: failed to prepare documents in `$ROOT/kb/.openkb/staging/prepare`\n  \
                 caused by: Permission denied (os error 13)\n\nhint: look at the permissions: \
                 `ls -ld $ROOT/kb/.openkb/staging/prepare`\n",
    );
    assert_eq!(after, before);
    for said in read {
        assert_eq!(
            said.code, 0,
            "a KB that is not ours to write is readable: {said:?}"
        );
    }
}

/// Official folders that refuse stop the run before anything is half in; what the folder holds
/// stays as it is.
#[test]
fn a_wiki_that_cannot_be_written() {
    let env = Env::new();
    let Some(nobody) = Nobody::in_env(&env, "unwritable wiki") else {
        return;
    };
    env.doc("a.md", "# A\n");
    env.doc("b.md", "# B\n");
    give(&env.kb());
    let sources = env.kb().join("wiki/sources");
    fs::set_permissions(&sources, fs::Permissions::from_mode(0o555)).unwrap();
    let before = tree(&env.kb());
    let said = env.finish(&mut nobody.command(&env, ["add", "docs"]));
    let after = tree(&env.kb());
    allow(&sources);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("Permission denied"), "{said:?}");
    assert!(said.stderr.contains("wiki/sources"), "{said:?}");
    assert!(said.stderr.ends_with("0 added, 2 not tried\n"), "{said:?}");
    assert_eq!(after, before);
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    assert_eq!(documents(&env), [""; 0]);
    // Once it may be written, the same command goes on.
    let said = env.finish(&mut nobody.command(&env, ["add", "docs"]));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(documents(&env), ["a", "b"]);
}

fn close_tree(dir: &Path, mode: u32) {
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            close_tree(&entry.path(), mode);
        }
    }
}
