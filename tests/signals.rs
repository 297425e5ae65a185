//! SIGINT and SIGTERM: the first ends `add` at the next document boundary, the second at once.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::{hold_lock, ready, until};
use crate::support::{Env, Said, component, staging_entries, tree};

/// Runs `add`, signals it when its first line is out, and returns what it said.
fn interrupted(env: &Env, signal: Signal) -> Said {
    let plugin = component("hostile");
    let args = [
        "add",
        "--jobs",
        "1",
        "docs",
        "--plugin",
        plugin.to_str().unwrap(),
    ];
    let mut child = env.spawn(&mut env.command(args));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    stdout.read_line(&mut lines).unwrap();
    kill_process(Pid::from_child(&child), signal).unwrap();
    stdout.read_to_string(&mut lines).unwrap();
    Said {
        stdout: lines,
        ..env.wait(child)
    }
}

#[test]
fn a_signal_ends_the_run_between_two_documents() {
    // Each long enough that the signal finds some undone, also when this process waits its turn.
    const DOCUMENTS: usize = 30;
    let write = |env: &Env| {
        for n in 0..DOCUMENTS {
            env.doc(&format!("{n:02}.hostile"), format!("busy-ms 40\n{n}\n"));
        }
    };
    let undisturbed = Env::new();
    write(&undisturbed);
    let plugin = component("hostile");
    let all = ["add", "docs", "--plugin", plugin.to_str().unwrap()];
    assert_eq!(undisturbed.run(all).code, 0);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let env = Env::new();
        write(&env);
        let said = interrupted(&env, signal);
        let added = said.stdout.lines().count();
        assert_eq!(said.code, code, "{said:?}");
        assert!((1..DOCUMENTS).contains(&added), "{said:?}");
        assert_eq!(
            said.stderr,
            format!("{added} added, {} not tried\n", DOCUMENTS - added)
        );
        assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
        assert_eq!(
            env.logical_registry().matches("|wiki/sources/").count(),
            added
        );
        let raw = fs::read_dir(env.kb().join("raw")).unwrap();
        assert_eq!(raw.count(), added);
        // The same command again does the rest, to the same end.
        assert_eq!(env.run(all).code, 0);
        assert_eq!(tree(&env.kb()), tree(&undisturbed.kb()));
        assert_eq!(env.logical_registry(), undisturbed.logical_registry());
    }
}

#[test]
fn a_signal_ends_the_wait_for_the_lock() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    let lock = hold_lock(&env);
    let child = env.spawn(&mut env.command(["add", "docs"]));
    until("the preparation", || ready(&env.kb()) == 1);
    // It tries to lock by now, or will in no time; both must end.
    std::thread::sleep(Duration::from_millis(200));
    let signalled = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let said = env.wait(child);
    assert!(signalled.elapsed() < Duration::from_secs(30), "{said:?}");
    assert_eq!((said.code, said.stdout.as_str()), (130, ""), "{said:?}");
    // On a slow machine a note of the wait stands before it.
    assert!(said.stderr.ends_with("0 added, 1 not tried\n"), "{said:?}");
    assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
    drop(lock);
    assert_eq!(env.run(["add", "docs"]).code, 0);
}

/// Goal: a second signal is no different from a crash: what the mutation had under way stays as its
/// journal, and the next command undoes it. Method: the mutation waits behind its snapshot, for longer
/// than anybody would; signals are sent until the process is gone.
#[cfg(feature = "fault-points")]
#[test]
fn a_second_signal_amid_a_mutation_leaves_its_journal_to_the_next_command() {
    use crate::support::oracle::{State, compare, debris};

    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let env = Env::new();
        for name in ["a", "b", "c"] {
            env.doc(
                &format!("{name}.md"),
                format!("---\ntags: [storage]\n---\n# {name}\n"),
            );
        }
        assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
        let before = State::of(&env.kb());
        // The same without the command that is ended.
        let undisturbed = env.path("undisturbed");
        crate::support::copy_tree(&env.kb(), &undisturbed);
        let mut command = env.command(["add", "docs/c.md"]);
        let said = env.finish(command.env("KBHOST_KB", &undisturbed));
        assert_eq!(said.code, 0, "{said:?}");

        let mut command = env.command(["add", "docs/b.md"]);
        let mut child = env.spawn(command.env("KBHOST_FAULT", "snapshot.after:delay-60000"));
        let active = || {
            let journals = fs::read_dir(env.kb().join(".openkb/kbhost/journal"));
            let mut journals = journals.into_iter().flatten();
            journals.any(|dir| dir.unwrap().path().join("journal.json").exists())
        };
        until("the journal", active);
        let signalled = Instant::now();
        let mut signals = 0;
        // Two that come at once are one to the kernel.
        while child.try_wait().unwrap().is_none() {
            assert!(signalled.elapsed() < Duration::from_secs(30), "no end");
            kill_process(Pid::from_child(&child), signal).unwrap();
            signals += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = env.wait(child);
        assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{said:?}");
        assert!(signals >= 2, "the first signal ended it");
        assert!(active(), "the journal is gone: {said:?}");

        let said = env.run(["add", "docs/c.md"]);
        assert_eq!(said.code, 0, "{said:?}");
        let after = State::of(&env.kb());
        compare("healed", &after, &State::of(&undisturbed)).unwrap();
        assert_ne!(after, before);
        assert_eq!(debris(&env.kb()), [""; 0]);
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let env = Env::new();
    env.doc("a.hostile", "loop\n");
    let plugin = component("hostile");
    let child = env.spawn(&mut env.command([
        "add",
        "docs",
        "--plugin",
        plugin.to_str().unwrap(),
        "--jobs",
        "1",
    ]));
    let staged = || fs::read_dir(env.kb().join(".openkb/staging/prepare"));
    until("the preparation", || {
        staged().is_ok_and(|entries| entries.count() >= 2)
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(env.wait(child).code, 143);
    // What such an end leaves is swept by the next command that changes the KB.
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
}
