//! What the converters make of small inputs, compared with what is checked in under
//! `tests/golden/expected/`; `KBHOST_TEST_BLESS=1` writes it anew.
//!
//! With `KBHOST_TEST_COMPONENTS=DIR` the components rebuilt from source must give the same as the
//! embedded ones.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Env, component, repository};

/// Inputs outside of `tests/golden/input/`.
const EXAMPLES: [&str; 3] = [
    "manuals/tidegate-operator-manual.pdf",
    "papers/adaptive-checkpoints.pdf",
    "reports/harbour-data-q3.pdf",
];

fn golden(part: &str) -> PathBuf {
    repository().join("tests/golden").join(part)
}

/// All inputs, sorted by name.
fn inputs() -> Vec<PathBuf> {
    let entries = fs::read_dir(golden("input")).unwrap();
    let mut inputs: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    inputs.extend(EXAMPLES.map(|example| repository().join("examples/docs").join(example)));
    inputs.sort_by_key(|path| path.file_name().unwrap().to_owned());
    inputs
}

fn expected_path(input: &Path) -> PathBuf {
    let name = input.file_name().unwrap().to_str().unwrap();
    golden("expected").join(format!("{name}.md"))
}

/// The component that takes an input, rebuilt or as checked in.
fn fitting(input: &Path) -> PathBuf {
    let is_pdf = input
        .extension()
        .is_some_and(|extension| extension == "pdf");
    component(if is_pdf { "pdf" } else { "markdown" })
}

/// Converts an input with the embedded component, or with `plugin`.
fn convert(env: &Env, input: &Path, plugin: Option<&Path>) -> String {
    let mut words: Vec<OsString> = vec!["convert".into(), "-q".into(), input.into()];
    if let Some(plugin) = plugin {
        words.extend(["--plugin".into(), plugin.into()]);
    }
    let said = env.run(words);
    assert_eq!(said.code, 0, "{}: {}", input.display(), said.stderr);
    for line in said.stderr.lines() {
        assert!(line.starts_with("warning: "), "{}: {line}", input.display());
    }
    said.stdout
}

/// Where two texts part, for a message that can be read.
fn difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let same = expected
        .lines()
        .zip(found.lines())
        .take_while(|(expected, found)| expected == found)
        .count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    Some(format!(
        "line {}:\n  expected: {}\n  found:    {}",
        same + 1,
        line(expected),
        line(found)
    ))
}

fn check(plugin_of: impl Fn(&Path) -> Option<PathBuf>) {
    let env = Env::empty();
    let mut failed = Vec::new();
    for input in inputs() {
        let expected = fs::read_to_string(expected_path(&input)).unwrap_or_default();
        let found = convert(&env, &input, plugin_of(&input).as_deref());
        if let Some(difference) = difference(&expected, &found) {
            failed.push(format!("{}, {difference}", input.display()));
        }
    }
    assert!(
        failed.is_empty(),
        "{}\nKBHOST_TEST_BLESS=1 takes what was found; look at the diff",
        failed.join("\n")
    );
}

/// Whether this run writes the expectations; the tests beside the one that does have nothing to
/// compare with then.
fn is_blessing() -> bool {
    std::env::var("KBHOST_TEST_BLESS").as_deref() == Ok("1")
}

#[test]
fn golden_markdown_of_the_embedded_converters() {
    if is_blessing() {
        let env = Env::empty();
        for input in inputs() {
            fs::write(expected_path(&input), convert(&env, &input, None)).unwrap();
        }
    }
    check(|_| None);
}

/// The same through `--plugin`, with what the test command built if it could.
#[test]
fn golden_markdown_of_components_given_by_name() {
    if is_blessing() {
        return;
    }
    if std::env::var_os("KBHOST_TEST_COMPONENTS").is_some() {
        return check(|input| Some(fitting(input)));
    }
    // The files checked in are the embedded ones: one of each kind shows that the option works.
    let env = Env::empty();
    for name in ["pictures.md", "harbour-data-q3.pdf"] {
        let all = inputs();
        let input = all.iter().find(|path| path.ends_with(name)).unwrap();
        let expected = fs::read_to_string(expected_path(input)).unwrap();
        let found = convert(&env, input, Some(&fitting(input)));
        assert_eq!(difference(&expected, &found), None, "{name}");
    }
}

/// An expectation without its input would never be compared.
#[test]
fn golden_expectations_belong_to_an_input() {
    if is_blessing() {
        return;
    }
    let expected: BTreeSet<PathBuf> = inputs().iter().map(|path| expected_path(path)).collect();
    let found: BTreeSet<PathBuf> = fs::read_dir(golden("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found, expected);
    assert!(found.len() >= 12);
}

#[test]
fn golden_differences_are_found() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    for (expected, found) in [
        ("a\nb\n", "a\nc\n"),
        ("a\n", "a"),
        ("a\n", "a\nb\n"),
        ("", "x"),
    ] {
        assert!(
            difference(expected, found).is_some(),
            "{expected:?} {found:?}"
        );
    }
}
