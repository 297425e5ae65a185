//! Inputs that change or go while they are read. The rig stops after each copy, before the input is
//! looked at again.

use std::path::PathBuf;
use std::process::Child;
use std::time::Instant;

use super::*;

fn start(env: &Env, delay_ms: &str, words: &[&str]) -> Child {
    let mut command = env.command(["add", "--jobs", "1"]);
    command
        .args(words)
        .env("KBHOST_TEST_COPY_DELAY_MS", delay_ms);
    env.spawn(&mut command)
}

/// Waits for the staged copy of an input of `size` bytes to be complete.
fn wait_for_copy(env: &Env, size: u64) -> PathBuf {
    let prepare = env.kb().join(".openkb/staging/prepare");
    let deadline = Instant::now() + SOON;
    loop {
        for entry in fs::read_dir(&prepare).into_iter().flatten() {
            let copy = entry.unwrap().path().join("in/input.md");
            if copy.metadata().is_ok_and(|metadata| metadata.len() == size) {
                return copy;
            }
        }
        assert!(Instant::now() < deadline, "no copy of {size} bytes");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_file_that_changes_once_is_read_again() {
    let env = Env::new();
    let path = env.doc("a.md", "# Old\n\nThe old text.\n");
    let child = start(&env, "300", &["docs/a.md"]);
    wait_for_copy(&env, 21);
    fs::write(&path, "# New\n\nThe text that counts.\n").unwrap();
    let said = env.wait(child);
    assert_said!(
        said,
        code: 0,
        stdout: "added    a <- docs/a.md\n",
        stderr: "1 added\n",
    );
    let new = "# New\n\nThe text that counts.\n";
    assert_eq!(env.kb_text("raw/a.md"), new);
    assert_eq!(env.kb_text("wiki/sources/a.md"), new);
}

/// The same size, and even the old times put back: the change time tells.
#[test]
fn a_change_that_hides_is_seen() {
    let env = Env::new();
    let path = env.doc("a.md", "# One\n");
    let modified = path.metadata().unwrap().modified().unwrap();
    let child = start(&env, "300", &["docs/a.md"]);
    wait_for_copy(&env, 6);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, b"# Two\n").unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    assert_eq!(env.wait(child).code, 0);
    assert_eq!(env.kb_text("raw/a.md"), "# Two\n");
}

#[test]
fn a_file_that_keeps_changing_is_told() {
    let env = Env::new();
    let path = env.doc("restless.md", "# Restless\n");
    env.doc("a.md", "# A\n\nThe first.\n");
    env.doc("z.md", "# Z\n\nThe last.\n");
    let mut child = start(&env, "150", &["docs/a.md", "docs/restless.md", "docs/z.md"]);
    while child.try_wait().unwrap().is_none() {
        fs::write(&path, "# Restless\n").unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_said!(
        env.wait(child),
        code: 1,
        stdout: "added    a <- docs/a.md\nfailed   - <- docs/restless.md\n\
                 added    z <- docs/z.md\n",
        stderr: "error: failed to read `docs/restless.md`: it changed while it was read, \
                 twice\n\nhint: wait until the program that writes it is done, and add it \
                 again\n2 added, 1 failed\n",
    );
    only_a_and_z_are_in(&env);
}

/// While the first input is read, the second one goes; one worker reads them in order.
#[test]
fn a_file_that_vanishes_after_it_was_listed() {
    let env = Env::new();
    env.doc("a.md", "# A\n\nThe first.\n");
    let gone = env.doc("gone.md", "# Gone\n");
    env.doc("z.md", "# Z\n\nThe last.\n");
    let child = start(&env, "300", &["docs"]);
    wait_for_copy(&env, 16);
    fs::remove_file(&gone).unwrap();
    assert_said!(
        env.wait(child),
        code: 1,
        stdout: "added    a <- docs/a.md\nfailed   - <- docs/gone.md\n\
                 added    z <- docs/z.md\n",
        stderr: "error: failed to open `docs/gone.md`\n  caused by: No such file or directory \
                 (os error 2)\n\nhint: look for the right name near it: `ls docs`\n2 added, 1 \
                 failed\n",
    );
    only_a_and_z_are_in(&env);
}

/// A walked file that becomes a link, or a FIFO, before it is opened is neither followed nor
/// waited for.
#[test]
fn a_file_that_becomes_something_else() {
    let check = |become_other: &dyn Fn(&Path), error: &str| {
        let env = Env::new();
        env.doc("a.md", "# A\n\nThe first.\n");
        let other = env.doc("other.md", "# Other\n");
        env.doc("z.md", "# Z\n\nThe last.\n");
        let child = start(&env, "300", &["docs"]);
        wait_for_copy(&env, 16);
        fs::remove_file(&other).unwrap();
        become_other(&other);
        let said = env.wait(child);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.starts_with(error), "{said:?}");
        only_a_and_z_are_in(&env);
    };
    check(
        &|path| symlink("/etc/passwd", path).unwrap(),
        "error: failed to open `docs/other.md`\n  caused by: Too many levels of symbolic links",
    );
    check(
        &mkfifo,
        "error: failed to read `docs/other.md`: it is a FIFO, not a regular file\n",
    );
}
