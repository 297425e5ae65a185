//! `plugin test`: green over converters that keep the contract; red over those that do not, with the
//! reason.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Env, Said, component, everything, json, repository};

/// Tests `hostile` with one input, and the check called `name`.
fn trial(env: &Env, input: &str, options: &[&str]) -> (Said, Value) {
    let input = env.doc("a.hostile", input);
    let mut command = env.command(["plugin", "test", "--json"]);
    command.arg(component("hostile")).arg("--input").arg(input);
    let said = env.finish(command.args(options));
    let answer = json(&said);
    (said, answer)
}

fn check<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let checks = answer["checks"].as_array().unwrap();
    let mut found = checks.iter().filter(|check| check["name"] == name);
    let check = found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {answer}"));
    assert!(found.next().is_none(), "{name} twice: {answer}");
    check
}

/// Names of the checks with this verdict.
fn named<'a>(answer: &'a Value, verdict: &str) -> Vec<&'a str> {
    let checks = answer["checks"].as_array().unwrap();
    let checks = checks.iter().filter(|check| check["verdict"] == verdict);
    checks
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

fn reason<'a>(answer: &'a Value, name: &str) -> &'a str {
    check(answer, name)["reason"].as_str().unwrap()
}

#[test]
fn the_markdown_converter_passes_with_the_golden_files_of_this_project() {
    let env = Env::empty();
    let mut command = env.command(["plugin", "test", "--json", "--plugin", "markdown"]);
    command.args(["--mutations", "6", "--golden"]);
    let said = env.finish(command.arg(repository().join("tests/golden")));
    let answer = json(&said);
    assert_eq!(said.code, 0, "{answer:#}");
    assert_eq!(named(&answer, "fail"), [""; 0]);
    assert_eq!(named(&answer, "skip"), ["manifest"]);
    assert_eq!(answer["passed"], true);
    let inputs = answer["inputs"].as_array().unwrap();
    assert!(inputs.len() >= 12, "{answer:#}");
    for input in inputs {
        for key in [
            "memory_bytes_peak",
            "output_files_peak",
            "output_bytes_peak",
        ] {
            assert!(input[key].as_u64().unwrap() > 0, "{key}: {input}");
        }
    }
}

#[test]
fn the_pdf_converter_passes() {
    let env = Env::empty();
    let mut command = env.command(["plugin", "test", "--plugin", "pdf", "--mutations", "4"]);
    let input = repository().join("examples/docs/reports/harbour-data-q3.pdf");
    let said = env.finish(command.arg("--input").arg(input));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.contains("determinism   pass"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("harbour-data-q3.pdf"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("FAIL"), "{}", said.stdout);
}

#[test]
fn a_result_that_depends_on_its_surroundings_is_red_and_the_cause_is_named() {
    let env = Env::empty();
    let causes = ["the clock", "the random seed", "the order of directories"];
    for (word, cause) in ["tell-clock", "tell-random", "tell-order"]
        .iter()
        .zip(causes)
    {
        let (said, answer) = trial(&env, word, &["--mutations", "0"]);
        assert_eq!(said.code, 4, "{word}: {answer:#}");
        assert_eq!(named(&answer, "fail"), ["determinism"], "{word}");
        let reason = reason(&answer, "determinism");
        for other in causes {
            assert_eq!(reason.contains(other), other == cause, "{word}: {reason}");
        }
        assert!(reason.contains("main page, line 3: "), "{word}: {reason}");
        assert!(reason.contains(" against "), "{word}: {reason}");
    }
    let (_, answer) = trial(&env, "ok # Hello", &["--mutations", "0"]);
    assert_eq!(check(&answer, "determinism")["verdict"], "pass");
}

#[test]
fn a_trap_on_a_damaged_input_is_red_and_the_input_is_kept() {
    let env = Env::empty();
    let input = format!("fragile {}", "text that must stay as it is ".repeat(20));
    let (said, answer) = trial(&env, &input, &["--keep", "kept"]);
    assert_eq!(said.code, 4, "{answer:#}");
    assert_eq!(named(&answer, "fail"), ["mutations"], "{answer:#}");
    assert!(
        reason(&answer, "mutations").contains("trap: "),
        "{answer:#}"
    );
    let kept = answer["kept"].as_array().unwrap();
    assert!(!kept.is_empty());
    let first = kept[0].as_str().unwrap();
    let mut again = env.command(["convert", first, "--plugin"]);
    let again = env.finish(again.arg(component("hostile")));
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("trap: "), "{again:?}");

    let (_, same) = trial(&env, &input, &["--keep", "again"]);
    let names = |answer: &Value| -> Vec<String> {
        let kept = answer["kept"].as_array().unwrap().iter();
        let file_name = |path: &Value| {
            let path = Path::new(path.as_str().unwrap());
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        kept.map(file_name).collect()
    };
    assert_eq!(
        names(&answer),
        names(&same),
        "the damage is the same each time"
    );
}

#[test]
fn golden_files_are_written_compared_and_told_apart() {
    let env = Env::empty();
    env.doc("golden/input/a.hostile", "ok # Hello");
    env.doc("golden/input/b.hostile", "refuse this one");
    env.doc("golden/input/read.me", "not for this converter");
    let run = |options: &[&str]| {
        let mut command = env.command(["plugin", "test", "--golden", "docs/golden"]);
        command.args(["--mutations", "0"]).args(options);
        env.finish(command.arg(component("hostile")))
    };
    let said = run(&[]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.stdout.contains("`--bless` writes it"),
        "{}",
        said.stdout
    );

    let said = run(&["--bless"]);
    assert_eq!(said.code, 0, "{said:?}");
    let expected = env.path("docs/golden/expected");
    let page = fs::read_to_string(expected.join("a.hostile.md")).unwrap();
    assert_eq!(page, "# Hello");
    let refusal = fs::read_to_string(expected.join("b.hostile.error")).unwrap();
    assert!(
        refusal.starts_with("malformed input: this one"),
        "{refusal}"
    );
    assert_eq!(fs::read_dir(&expected).unwrap().count(), 2);
    assert_eq!(run(&[]).code, 0);

    fs::write(expected.join("a.hostile.md"), "# Bye\n").unwrap();
    fs::write(expected.join("c.hostile.md"), "").unwrap();
    let said = run(&[]);
    assert_eq!(said.code, 4, "{said:?}");
    for line in [
        "a.hostile: differs from what is expected",
        "c.hostile.md: there is no such input",
        "-# Bye",
        "+# Hello",
    ] {
        assert!(said.stdout.contains(line), "{line}: {}", said.stdout);
    }
}

#[test]
fn what_is_left_over_or_refused_is_red() {
    let env = Env::empty();
    let check = |input: &str, red: &str, expected: &str| {
        let (said, answer) = trial(&env, input, &["--mutations", "0"]);
        assert_eq!(said.code, 4, "{input}: {answer:#}");
        assert!(named(&answer, "fail").contains(&red), "{input}: {answer:#}");
        let reason = reason(&answer, red);
        assert!(reason.contains(expected), "{input}: {reason}");
    };
    check(
        "undeclared",
        "files",
        "`undeclared.txt` was written and not declared",
    );
    check("socket", "denied", "wasi:sockets");
    check("missing", "convert", "declared and not written");
    check("panic", "convert", "trap: ");
    check("refuse", "convert", "refused: malformed input");
}

#[test]
fn limits_and_cancellation_end_a_job_cleanly() {
    let env = Env::empty();
    let (said, answer) = trial(&env, "memory-mib 16", &["--mutations", "0"]);
    assert_eq!(said.code, 0, "{answer:#}");
    let memory = reason(&answer, "limit-memory");
    assert!(memory.contains("memory: more than "), "{memory}");
    let output = reason(&answer, "limit-output");
    assert!(output.contains("disk: more than "), "{output}");

    let (said, answer) = trial(&env, "busy-ms 300", &["--mutations", "0"]);
    assert_eq!(said.code, 0, "{answer:#}");
    let cpu = reason(&answer, "limit-cpu");
    assert!(cpu.contains("timeout: more than 1ms of CPU time"), "{cpu}");
    assert!(answer["inputs"][0]["cpu_ms"].as_u64().unwrap() > 20);
    assert!(reason(&answer, "cancellation").starts_with("over "));
}

#[test]
fn a_run_ends_in_time() {
    let env = Env::empty();
    let (said, answer) = trial(&env, "loop", &["--timeout", "1"]);
    assert_eq!(said.code, 4, "{answer:#}");
    assert_eq!(named(&answer, "fail"), ["time"]);
}

#[test]
fn what_is_no_converter_or_has_no_input_is_told() {
    let env = Env::empty();
    fs::write(env.path("x.wasm"), "no component").unwrap();
    let input = env.doc("a.md", "x");
    let mut command = env.command(["plugin", "test", "x.wasm", "--json", "--input"]);
    let said = env.finish(command.arg(&input));
    let answer = json(&said);
    assert_eq!((said.code, named(&answer, "fail")), (4, vec!["world"]));

    let said = env.run(["plugin", "test", "--plugin", "markdown"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("--input FILE"), "{said:?}");
    let mut command = env.command(["plugin", "test", "--plugin", "none", "--input"]);
    assert_eq!(env.finish(command.arg(&input)).code, 2);
    let mut command = env.command(["plugin", "test", "--plugin", "markdown", "--input"]);
    assert_eq!(env.finish(command.arg("none.md")).code, 1);
}

/// A project may be a stranger's: what its links lead to is nobody's to write or remove.
#[test]
fn nothing_is_written_or_removed_through_links() {
    let env = Env::empty();
    let golden = env.path("tests/golden");
    fs::create_dir_all(golden.join("input")).unwrap();
    fs::write(golden.join("input/a.md"), "# A\n").unwrap();
    fs::create_dir_all(env.path("mine")).unwrap();
    fs::write(env.path("mine/thesis.md"), "precious").unwrap();
    let bless = || {
        let mut command = env.command(["plugin", "test", "--plugin", "markdown", "--bless"]);
        command.args(["--mutations", "0", "--golden", "tests/golden"]);
        env.finish(&mut command)
    };
    let before = everything(&env.path("mine"));
    let check = |link: &str| {
        let link = golden.join(link);
        std::os::unix::fs::symlink(env.path("mine"), &link).unwrap();
        let said = bless();
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.stderr.contains("it is a link or no folder"),
            "{said:?}"
        );
        assert_eq!(everything(&env.path("mine")), before);
        fs::remove_file(link).unwrap();
    };
    check("expected");
    fs::create_dir(golden.join("expected")).unwrap();
    check("expected/a.md.images");
    check("expected/a.md.members");
    assert_eq!(bless().code, 0);
}

/// What is no regular file is not waited for, as an input or as an expectation.
#[test]
fn a_fifo_in_a_project_is_not_waited_for() {
    let env = Env::empty();
    let fifo = |path: &str| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            env.path(path),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
    };
    for folder in ["g/input", "g/expected"] {
        fs::create_dir_all(env.path(folder)).unwrap();
    }
    fs::write(env.path("g/input/a.md"), "# A\n").unwrap();
    fifo("g/input/b.md");
    fifo("g/expected/a.md.md");
    let mut command = env.command(["plugin", "test", "--plugin", "markdown", "--golden", "g"]);
    let said = env.finish(command.args(["--mutations", "2"]));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("it is no regular file"), "{said:?}");
}

/// Members are compared as the page is.
#[test]
fn members_are_golden_too() {
    let env = Env::empty();
    for folder in ["g/input", "g/expected"] {
        fs::create_dir_all(env.path(folder)).unwrap();
    }
    let sql = |column: &str| {
        let text = format!("CREATE TABLE t ({column});\n");
        fs::write(env.path("g/input/two.sql"), text).unwrap();
    };
    let test = |more: &[&str]| {
        let mut command = env.command(["plugin", "test"]);
        command.arg(component("sql-schema")).args(["--golden", "g"]);
        env.finish(command.args(["--mutations", "0"]).args(more))
    };
    sql("i int");
    assert_eq!(test(&["--bless"]).code, 0);
    let members = fs::read_dir(env.path("g/expected/two.sql.members")).unwrap();
    assert_eq!(members.count(), 1);
    assert_eq!(test(&[]).code, 0);
    sql("i bigint");
    let said = test(&[]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.stdout.contains("the member 0001-t.md differs"),
        "{said:?}"
    );
}
