//! One hostile converter among honest ones, and the end of the process while one runs.

use std::fs;

use crate::support::wait::until;
use crate::support::{Env, component, everything, staging_entries, tree};
#[cfg(target_os = "linux")]
use crate::support::{skip, without_openat2};

/// Documents of the built-in converter.
const HONEST: usize = 20;

/// A world with honest documents, and the hostile converter installed for files of its own.
fn crowd() -> Env {
    let env = Env::new();
    for n in 0..HONEST {
        let text = format!("# Harbour {n}\n\nThe tide of quay {n} turns at {n} past six.\n");
        env.doc(&format!("{n:02}.md"), text);
    }
    let plugin = component("hostile");
    let said = env.run(["plugin", "install", "--yes", plugin.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

/// Goal: whatever one converter does, the other documents commit, all of them, the same, in their order.
/// Method: the same twenty documents with a hostile one in their midst and without.
#[test]
#[cfg(feature = "fault-points")]
fn one_hostile_job_among_twenty_fails_alone() {
    one_hostile_among_twenty();
}

#[test]
#[cfg(all(feature = "fault-points", target_os = "linux"))]
fn one_hostile_job_among_twenty_fails_alone_without_openat2() {
    if without_openat2(one_hostile_among_twenty).is_none() {
        skip("a crowd without openat2", "seccomp is not allowed");
    }
}

#[cfg(feature = "fault-points")]
fn one_hostile_among_twenty() {
    let limits = [
        ("KBHOST_TEST_CPU_MS", "800"),
        ("KBHOST_TEST_MEMORY_MIB", "64"),
        ("KBHOST_TEST_OUTPUT_MIB", "4"),
    ];
    let add = |env: &Env| {
        let mut command = env.command(["add", "--jobs", "4", "docs"]);
        env.finish(command.envs(limits))
    };
    let undisturbed = crowd();
    let honest = add(&undisturbed);
    assert_eq!(honest.code, 0, "{honest:?}");
    let (expected, rows) = (tree(&undisturbed.kb()), undisturbed.logical_registry());
    let check = |line: &str, cause: &str| {
        let env = crowd();
        env.doc("10-hostile.hostile", line);
        let said = add(&env);
        assert_eq!(said.code, 1, "{line}: {said:?}");
        let (failed, added): (Vec<_>, Vec<_>) = said
            .stdout
            .lines()
            .partition(|line| line.starts_with("failed"));
        assert_eq!(added, honest.stdout.lines().collect::<Vec<_>>(), "{line}");
        assert_eq!(failed, ["failed   - <- docs/10-hostile.hostile"], "{line}");
        let error =
            "error: failed to convert `docs/10-hostile.hostile` with plugin `hostile 0.1.0`";
        assert_eq!(
            said.stderr.matches("error: ").count(),
            1,
            "{line}: {said:?}"
        );
        assert!(said.stderr.starts_with(error), "{line}: {said:?}");
        assert!(said.stderr.contains(cause), "{line}: {said:?}");
        assert_eq!(tree(&env.kb()), expected, "{line}");
        assert_eq!(env.logical_registry(), rows, "{line}");
        assert_eq!(staging_entries(&env.kb()), [""; 0], "{line}");
    };
    check("loop", "caused by: timeout: ");
    check("assets-loop", "caused by: timeout: ");
    check("memory", "caused by: memory: more than 67108864 bytes");
    check("output-flood", "caused by: disk: more than 4194304 bytes");
    check("panic now", "caused by: trap: on purpose: now");
    check("recursion", "call stack exhausted");
    check("exit 3", "the plugin ended itself with status");
    check("handles", "limit exceeded");
    check("picture svg", "not a png, jpeg, gif or webp image");
}

/// Goal: a process that is killed while a component runs leaves a KB as it was, and the next command
/// clears up. Method: the component has written files and waits for what never comes.
#[test]
fn a_kill_in_mid_job_leaves_the_kb_as_it_was() {
    kill_in_mid_job();
}

#[test]
#[cfg(target_os = "linux")]
fn a_kill_in_mid_job_leaves_the_kb_as_it_was_without_openat2() {
    if without_openat2(kill_in_mid_job).is_none() {
        skip("a kill without openat2", "seccomp is not allowed");
    }
}

fn kill_in_mid_job() {
    let env = crowd();
    let said = env.run(["add", "docs/00.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    let (before, rows) = (everything(&env.kb().join("wiki")), env.logical_registry());
    env.doc("x.hostile", "await-swap");
    let mut child = env.spawn(&mut env.command(["add", "--jobs", "4", "docs/x.hostile"]));
    let staging = env.kb().join(".openkb/staging/prepare");
    let is_amid = || {
        let entries = fs::read_dir(&staging).into_iter().flatten();
        let mut entries = entries.map(|entry| entry.unwrap().path());
        entries.any(|dir| dir.join("out/written").exists())
    };
    until("the component's files", is_amid);
    child.kill().unwrap();
    let said = env.wait(child);
    assert_eq!((said.code, said.stdout.as_str()), (-1, ""), "{said:?}");
    assert!(is_amid(), "a killed process cannot clear up");
    assert_eq!(everything(&env.kb().join("wiki")), before);
    assert_eq!(env.logical_registry(), rows);

    let said = env.run(["add", "docs/01.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    let undisturbed = crowd();
    for doc in ["docs/00.md", "docs/01.md"] {
        assert_eq!(undisturbed.run(["add", doc]).code, 0);
    }
    assert_eq!(tree(&env.kb()), tree(&undisturbed.kb()));
    assert_eq!(env.logical_registry(), undisturbed.logical_registry());
}
