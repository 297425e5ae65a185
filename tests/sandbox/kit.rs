//! The hostile kit, `kbhost plugin selftest`: each case is claimed here, with what has to catch it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

#[cfg(target_os = "linux")]
use crate::support::without_openat2;
use crate::support::{Env, Said, has, json, skip};

/// Every case of the kit and what catches it. A case without a claim fails, and so does a claim without
/// a case. `/` parts the two ends of a race.
const CLAIMED: &[(&str, &str)] = &[
    ("read-system-file", "nothing-there"),
    ("read-proc", "nothing-there"),
    ("reach-canaries", "denied"),
    ("dot-dot", "denied"),
    ("trailing-slash", "denied"),
    ("symlink-relative", "denied"),
    ("symlink-absolute", "denied"),
    ("symlink-planted", "denied"),
    ("symlink-race", "denied"),
    ("swapped-before-collecting", "invalid-output"),
    ("swapped-while-collecting", "invalid-output/opened-once"),
    ("hard-link", "denied"),
    ("rename-across", "denied"),
    ("write-input", "denied"),
    ("truncate-input", "denied"),
    ("name-newline", "denied"),
    ("name-escape", "denied"),
    ("name-bidi", "denied"),
    ("name-invisible", "denied"),
    ("name-255-bytes", "denied"),
    ("twins-case", "named-by-host"),
    ("twins-normal-form", "invalid-output"),
    ("folders-deep", "invalid-output"),
    ("folders-deep-by-renames", "denied"),
    ("files-100000", "limit-output"),
    ("sparse-1-tib", "limit-output"),
    ("hole-1-tib", "limit-output"),
    ("output-flood", "limit-output"),
    ("unlinked-flood", "limit-output"),
    ("handle-flood", "trap"),
    ("loop-in-convert", "limit-cpu"),
    ("loop-in-assets", "limit-cpu"),
    ("loop-in-probe", "limit-cpu"),
    ("loop-in-describe", "plugin-describe"),
    ("loop-at-start", "plugin-describe"),
    ("loop-around-the-clock", "limit-cpu"),
    ("fill-without-end", "plugin-describe"),
    ("sleep", "virtual-clock"),
    ("sleep-without-end", "limit-cpu"),
    ("memory-flood", "limit-memory"),
    ("fill-4-gib", "plugin-describe"),
    ("initial-memory", "plugin-describe"),
    ("two-memories", "plugin-describe"),
    ("table-bomb", "plugin-describe"),
    ("many-tables", "plugin-describe"),
    ("recursion", "trap"),
    ("shared-memory", "plugin-compile"),
    ("several-memories", "plugin-compile"),
    ("memory64", "plugin-compile"),
    ("random-flood", "plugin-describe"),
    ("log-flood", "capped"),
    ("log-line-huge", "trap"),
    ("stdio-flood", "capped"),
    ("answer-huge", "trap"),
    ("warnings-flood", "invalid-output"),
    ("trap", "trap"),
    ("exit", "trap"),
    ("output-missing", "invalid-output"),
    ("output-outside", "invalid-output"),
    ("output-absolute", "invalid-output"),
    ("output-undeclared", "left-out"),
    ("output-none", "invalid-output"),
    ("svg-as-picture", "invalid-output"),
    ("html-as-picture", "invalid-output"),
    ("escape-codes", "sanitised"),
    ("escape-codes-in-error", "malformed"),
    ("escape-codes-in-name", "plugin-describe"),
    ("description-flood", "plugin-describe"),
    ("links-in-title", "sanitised"),
    ("front-matter-in-title", "sanitised"),
    ("asset-absolute", "nothing-there"),
    ("asset-dot-dot", "nothing-there"),
    ("asset-symlink", "nothing-there"),
    ("asset-flood", "invalid-output"),
    ("asset-writes", "unsupported"),
    ("sockets", "denied"),
    ("environment", "nothing-there"),
    ("real-clock", "virtual-clock"),
    ("traces-of-the-machine", "virtual-clock"),
    ("precompiled", "not-a-component"),
    ("core-module", "not-a-component"),
    ("half-a-component", "not-a-component"),
    ("script", "not-a-component"),
    ("http", "plugin-imports"),
    ("other-plugin", "plugin-imports"),
    ("endpoints", "plugin-imports"),
    ("hollow", "plugin-world"),
    ("cloud-second-host", "denied"),
    ("cloud-path-tricks", "denied"),
    ("cloud-methods", "denied"),
    ("cloud-headers", "denied"),
    ("cloud-made-up-address", "denied"),
    ("cloud-redirect", "not-followed"),
    ("cloud-key", "denied"),
    ("cloud-other-plugin", "denied"),
    ("cloud-sockets", "denied"),
    ("cloud-call-in-assets", "denied"),
    ("cloud-call-flood", "capped"),
    ("cloud-huge-body", "denied"),
    ("cloud-body-beyond", "trap"),
    ("cloud-huge-form", "denied"),
    ("cloud-hang", "limit-wait"),
    ("cloud-hang-on-and-on", "limit-cpu"),
    ("cloud-pauses", "limit-wait"),
    ("cloud-loop", "limit-cpu"),
    ("cloud-list-flood", "invalid-output"),
    ("cloud-another-document", "invalid-output"),
    ("cloud-hostile-words", "sanitised"),
];

/// Every case is there, claimed, and caught by what its claim says.
fn assert_all_caged(said: &Said, openat2: bool) {
    assert_eq!(said.code, 0, "{said:?}");
    let answer = json(said);
    let cases = answer["cases"].as_array().unwrap();
    assert!(cases.len() >= 40, "{}", cases.len());
    let caught = |case: &Value| (text(case, "case"), text(case, "caught"));
    let unclaimed: Vec<_> = cases
        .iter()
        .map(caught)
        .filter(|(name, caught)| {
            let claim = CLAIMED.iter().find(|(claimed, _)| claimed == name);
            !claim.is_some_and(|(_, by)| by.split('/').any(|by| by == caught))
        })
        .collect();
    assert!(unclaimed.is_empty(), "not as claimed: {unclaimed:?}");
    let run: Vec<_> = cases.iter().map(|case| text(case, "case")).collect();
    let claimed: Vec<_> = CLAIMED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(run, claimed);
    assert!(cases.iter().all(|case| case["caged"] == true), "{answer}");
    assert_eq!(answer["caged"], cases.len(), "{answer}");
    assert_eq!(answer["escaped"], 0, "{answer}");
    assert_eq!(answer["openat2"], openat2, "{answer}");
    let openat2 = if openat2 { "with" } else { "without" };
    covered!("hostile kit: {} cases caged {openat2} openat2", cases.len());
}

fn text(case: &Value, key: &str) -> String {
    case[key].as_str().unwrap().to_owned()
}

/// What the machine's own kernel does; other systems have no such call.
fn has_openat2() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

fn selftest(env: &Env, args: &[&str], vars: &[(&str, &str)]) -> Said {
    let mut command = env.command(["plugin", "selftest"]);
    command.args(args).envs(vars.iter().copied());
    let said = env.finish(&mut command);
    let left = fs::read_dir(env.path("tmp")).unwrap().count();
    assert_eq!(left, 0, "the scene stays: {said:?}");
    said
}

#[test]
fn all_are_caged() {
    let env = Env::empty();
    assert_all_caged(&selftest(&env, &["--json"], &[]), has_openat2());
}

/// Goal: the sandbox does not lean on the kernel's help. Method: the whole kit under a filter by which
/// `openat2` is a system call that this kernel does not have.
#[test]
#[cfg(target_os = "linux")]
fn all_are_caged_without_openat2() {
    let env = Env::empty();
    let said = without_openat2(|| {
        assert!(!has_openat2(), "the rig itself: the filter does not bite");
        selftest(&env, &["--json"], &[])
    });
    match said {
        Some(said) => assert_all_caged(&said, false),
        None => skip("the hostile kit without openat2", "seccomp is not allowed"),
    }
}

#[test]
fn a_table_is_told_to_people() {
    let env = Env::empty();
    let said = selftest(
        &env,
        &["--only", "loop-in-assets", "--only", "hard-link"],
        &[],
    );
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    let lines: Vec<_> = said.stdout.lines().collect();
    let cells = |line: &str, columns: usize| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        words[..columns].to_vec()
    };
    assert_eq!(cells(lines[0], 4), ["Verdict", "Case", "ms", "Caught"]);
    assert_eq!(cells(lines[1], 2), ["caged", "hard-link"]);
    assert!(
        lines[1].ends_with("denied: wasi:filesystem/link-at"),
        "{said:?}"
    );
    assert_eq!(cells(lines[2], 2), ["caged", "loop-in-assets"]);
    assert!(lines[2].contains("limit-cpu: timeout: "), "{said:?}");
    assert!(lines[4].starts_with("kernel   "), "{said:?}");
    let openat2 = if has_openat2() { "yes" } else { "no" };
    assert_eq!(lines[5], format!("openat2  {openat2}"));
    assert_eq!(lines[6..], ["2 caged, 0 escaped"]);

    let said = selftest(&env, &["--only", "nothing"], &[]);
    assert_said!(
        said,
        code: 2,
        stdout: "",
        stderr: "\
error: failed to find a case called `nothing`

hint: `kbhost plugin selftest` runs and names all cases
",
    );
}

/// Goal: the kit can fail. Method: a hole is opened in the sandbox, and the cases that go through it say
/// so; others stay caged.
#[test]
#[cfg(feature = "fault-points")]
fn a_hole_is_noticed() {
    let env = Env::empty();
    let check = |hole: &str, expected: &[(&str, &str)]| {
        let mut args = vec!["--json", "--only", "hard-link"];
        args.extend(expected.iter().flat_map(|(case, _)| ["--only", *case]));
        let said = selftest(&env, &args, &[("KBHOST_TEST_HOLE", hole)]);
        assert_eq!(said.code, 4, "{said:?}");
        let answer = json(&said);
        assert_eq!(answer["escaped"], expected.len(), "{answer}");
        assert_eq!(answer["caged"], 1, "{answer}");
        for case in answer["cases"].as_array().unwrap() {
            let name = text(case, "case");
            let escape = expected.iter().find(|(known, _)| *known == name);
            assert_eq!(case["caged"], escape.is_none(), "{case}");
            let told = case["escapes"].to_string();
            assert!(
                escape.is_none_or(|(_, words)| told.contains(words)),
                "{case}"
            );
        }
    };
    check(
        "links",
        &[("symlink-relative", "it came to something else: ")],
    );
    check(
        "preopen",
        &[("reach-canaries", "kbhost-canary-beside was changed")],
    );
    check(
        "endpoints",
        &[("cloud-second-host", "another host was called: ")],
    );
    // The converter finds the key by both of its ways, and the kit by itself.
    for words in [
        "in what it was told: true",
        "in its memory: true",
        "it has read the key",
    ] {
        check("credential", &[("cloud-key", words)]);
    }
    let said = selftest(
        &env,
        &["--only", "reach-canaries"],
        &[("KBHOST_TEST_HOLE", "preopen")],
    );
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.stdout.contains("ESCAPED  reach-canaries"), "{said:?}");
    assert!(said.stdout.ends_with("0 caged, 1 escaped\n"), "{said:?}");
}

/// The cases that go for files, but for those that make a flood of calls.
const FILE_CASES: &[&str] = &[
    "read-system-file",
    "read-proc",
    "reach-canaries",
    "dot-dot",
    "trailing-slash",
    "symlink-relative",
    "symlink-planted",
    "swapped-before-collecting",
    "hard-link",
    "rename-across",
    "write-input",
    "truncate-input",
    "output-outside",
    "output-absolute",
    "asset-absolute",
    "asset-dot-dot",
    "asset-symlink",
];

/// Runs the cases that go for files under strace; `None` if that is not to be had.
fn traced(env: &Env, vars: &[(&str, &str)]) -> Option<(Said, String)> {
    const RIG: &str = "strace of the hostile kit";
    if !has("strace") {
        skip(RIG, "no strace");
        return None;
    }
    let log = env.path("strace.log");
    let mut command = Command::new("strace");
    env.hermetic(&mut command);
    command
        .args(["-f", "-y", "-qq", "-e", "trace=%file", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(["plugin", "selftest", "--json"])
        .args(FILE_CASES.iter().flat_map(|case| ["--only", *case]))
        .envs(vars.iter().copied());
    let said = env.finish(&mut command);
    if said.stderr.contains("ptrace") {
        skip(RIG, "ptrace is not allowed");
        return None;
    }
    Some((said, fs::read_to_string(log).unwrap()))
}

/// The calls of a trace, each on one line: what another thread interrupted is joined again.
fn calls(trace: &str) -> Vec<String> {
    let mut calls = Vec::new();
    let mut begun = BTreeMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(char::is_whitespace).unwrap();
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, begin);
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let rest = rest.split_once("resumed>").unwrap().1;
            calls.push(format!("{}{rest}", begun.remove(thread).unwrap()));
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

/// The calls that got hold of a canary, or of the folder around all, while the kit ran. It holds its
/// canaries open and looks at them through these handles alone, so there is no innocent one: from the
/// making of the last canary to the removal of the first.
fn caught_reading(calls: &[String]) -> Vec<&String> {
    const MARK: &str = "kbhost-canary";
    let above = format!("/{MARK}-above.txt\"");
    let find = |call: &str, flag: &str| {
        let mut calls = calls.iter().enumerate();
        let found = calls.find(|(_, line)| {
            line.starts_with(call) && line.contains(&above) && line.contains(flag)
        });
        found.unwrap_or_else(|| panic!("no {call} in {calls:#?}"))
    };
    let (start, made) = find("open", "O_CREAT|O_EXCL");
    let (end, _) = find("unlink", " = 0");
    assert!(start < end);
    let root = made.split('"').nth(1).unwrap().rsplit_once('/').unwrap().0;
    let touched = calls[start + 1..end].iter().filter(|line| {
        let Some((_, result)) = line.rsplit_once(" = ") else {
            return false;
        };
        if result.starts_with("-1 ") {
            return false;
        }
        let name = line.split('(').next().unwrap();
        match name {
            // A link is only text that names a canary.
            "symlink" | "symlinkat" | "readlink" | "readlinkat" => false,
            // Behind the last `=` stands the handle, with the path that it leads to.
            open if open.starts_with("open") => {
                result.contains(MARK) || result.contains(&format!("<{root}>"))
            }
            _ => line.contains(MARK),
        }
    });
    touched.collect()
}

#[test]
fn canaries_are_not_even_read() {
    let env = Env::empty();
    let Some((said, trace)) = traced(&env, &[]) else {
        return;
    };
    assert_eq!(said.code, 0, "{said:?}");
    let calls = calls(&trace);
    assert_eq!(caught_reading(&calls), [""; 0]);
    let asked = |call: &&String| call.starts_with("open") && call.contains("../kbhost-canary");
    assert!(
        !has_openat2() || calls.iter().any(|call| asked(&call)),
        "no component tried: {calls:#?}"
    );
}

/// The same with the folder around all as a third directory of the guest: the trace shows it.
#[test]
#[cfg(feature = "fault-points")]
fn a_canary_that_is_read_is_seen_from_outside() {
    let env = Env::empty();
    let Some((said, trace)) = traced(&env, &[("KBHOST_TEST_HOLE", "preopen")]) else {
        return;
    };
    assert_eq!(said.code, 4, "{said:?}");
    let calls = calls(&trace);
    let read = caught_reading(&calls);
    assert!(
        read.iter()
            .any(|call| call.contains("kbhost-canary-beside")),
        "{read:#?}"
    );
}
