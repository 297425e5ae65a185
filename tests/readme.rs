//! What the README tells people to type works, literally.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Env, Said, repository};

/// The lines of the first code block behind a heading.
fn block(heading: &str) -> Vec<String> {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, passage) = readme
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no `{heading}`"));
    let (_, code) = passage.split_once("```sh\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    code.lines().map(str::to_owned).collect()
}

/// Runs a line in a shell that finds the binary by its name.
fn shell(env: &Env, line: &str) -> Said {
    let binary = Path::new(env!("CARGO_BIN_EXE_kbhost")).parent().unwrap();
    let mut path = std::ffi::OsString::from(binary);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    env.hermetic(&mut command);
    command.env("PATH", path).env_remove("KBHOST_KB");
    env.finish(&mut command)
}

/// Follows "See it recover": each line succeeds, and what the dead command acknowledged is there.
#[test]
fn see_it_recover() {
    let env = Env::empty();
    let lines = block("## See it recover");
    assert!(lines.len() >= 8, "{lines:?}");
    let mut said = Vec::new();
    for line in &lines {
        let answer = shell(&env, line);
        assert_eq!(answer.code, 0, "{line}: {answer:?}");
        said.push(answer);
    }
    let of = |part: &str| {
        let at = lines.iter().position(|line| line.contains(part));
        &said[at.unwrap_or_else(|| panic!("no `{part}`"))]
    };
    assert_eq!(
        of("timeout").stdout,
        "killed\n",
        "it was killed before its end"
    );
    assert!(
        of("doctor").stderr.starts_with("Nothing is wrong"),
        "{said:?}"
    );
    assert_eq!(of("wc -l").stdout.trim(), "401");
    let listed = shell(&env, "kbhost --kb-dir library list").stdout;
    let acknowledged = fs::read_to_string(env.path("acknowledged.txt")).unwrap();
    let count = acknowledged.lines().count();
    covered!("see it recover: {count} documents acknowledged before the kill");
    assert!(count >= 1, "killed before anything was acknowledged");
    for line in acknowledged.lines() {
        let name = line.split_whitespace().nth(1).unwrap();
        assert!(
            listed
                .lines()
                .any(|row| row.split_whitespace().next() == Some(name)),
            "{line} is not there"
        );
    }
    // What the killed run had not reached is converted by the second one, and nothing twice.
    let second = of("# the rest").stdout.clone();
    let skipped = second
        .lines()
        .filter(|line| line.starts_with("skipped"))
        .count();
    assert!(skipped >= count, "{skipped}");
}
