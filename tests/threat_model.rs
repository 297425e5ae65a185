//! The tables of `docs/threat-model.md` are complete: what a component can import, what it returns and
//! which test watches over it. Control: a table with a row less, and one that names no test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::repository;

/// Records that the host hands to a component: nothing of them comes back.
const GIVEN: [&str; 4] = ["source-file", "source", "asset", "request"];

/// What the tables do not say, a sentence each.
fn gaps(model: &str) -> Vec<String> {
    let named = backticked(model);
    let mut gaps = Vec::new();
    for item in imports().into_iter().chain(returned()) {
        let has_row = model.lines().any(|line| {
            line.starts_with("| `")
                && line.starts_with(&format!("| `{}`", item.replace(' ', "` `")))
        });
        if !has_row {
            gaps.push(format!("{item} has no row"));
        }
    }
    let tests = functions();
    for row in model.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let tests_of_row = backticked(cells.last().unwrap());
        if cells.len() == 4 && !row.contains("| test |") && tests_of_row.is_empty() {
            gaps.push(format!("{} names no test", cells[0].trim()));
        }
    }
    // A word with underscores is a test's name, but for two files' and a rule's.
    for name in named.iter().filter(|name| is_test_name(name)) {
        if !tests.contains(*name) {
            gaps.push(format!("there is no test {name}"));
        }
    }
    gaps
}

fn is_test_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 2 && name.chars().all(plain)
}

/// What stands between backticks.
fn backticked(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The interfaces that are linked, as `wasi:cli/exit`, and the functions of `job`.
fn imports() -> Vec<String> {
    let source = fs::read_to_string(repository().join("host/src/plugin/wasi.rs")).unwrap();
    let (_, list) = source.split_once("INTERFACES: ").unwrap();
    let (list, _) = list.split_once("];\n").unwrap();
    let mut package = "";
    let mut imports = Vec::new();
    for word in list.split('"').skip(1).step_by(2) {
        match word.contains(':') {
            true => package = word,
            false => imports.push(format!("{package}/{word}")),
        }
    }
    assert!(imports.len() >= 25, "{imports:?}");
    for (wit, package, interface) in [
        (wit(), "kbhost:converter", "job"),
        (cloud_wit(), "kbhost:cloud", "endpoint"),
    ] {
        let (_, body) = wit
            .split_once(&format!("interface {interface} {{"))
            .unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        for line in body.lines().filter(|line| line.contains(": func(")) {
            let name = line.trim().split(':').next().unwrap();
            imports.push(format!("{package}/{interface} {name}"));
        }
    }
    imports
}

fn wit() -> String {
    fs::read_to_string(repository().join("wit/v0.1.0/types.wit")).unwrap()
}

fn cloud_wit() -> String {
    fs::read_to_string(repository().join("wit/v0.1.0/cloud/cloud.wit")).unwrap()
}

/// Every field of a record and every case of a variant or enum that a component returns.
fn returned() -> Vec<String> {
    let (wit, cloud) = (wit(), cloud_wit());
    let (types, _) = wit.split_once("interface job {").unwrap();
    let (_, catalog) = cloud.split_once("record remote-document {").unwrap();
    let (catalog, _) = catalog.split_once("\n  }").unwrap();
    let types = format!("{types}\nrecord remote-document {{{catalog}\n}}\n");
    let mut of = None;
    let mut returned = Vec::new();
    for line in types.lines().map(str::trim) {
        let mut words = line.split([' ', ':', '(', ',']);
        let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        match first {
            "record" | "variant" | "enum" => of = Some(second).filter(|it| !GIVEN.contains(it)),
            "}" => of = None,
            "" | "///" => {}
            item => returned.extend(of.map(|of| format!("{of}.{item}"))),
        }
    }
    assert!(returned.len() >= 30, "{returned:?}");
    returned
}

/// The names of all functions in the sources of host and tests.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["host/src", "tests"] {
        collect(&repository().join(folder), &mut names);
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for part in text
                .split("\n")
                .filter_map(|line| line.trim().strip_prefix("fn "))
            {
                names.insert(part.split('(').next().unwrap().to_owned());
            }
        }
    }
}

#[test]
fn everything_that_crosses_the_boundary_is_in_the_threat_model() {
    let model = fs::read_to_string(repository().join("docs/threat-model.md")).unwrap();
    assert_eq!(gaps(&model), [""; 0]);
    let (row, _) = model.split_once("| `heading.level`").unwrap();
    let without: String = model
        .lines()
        .filter(|line| !line.starts_with("| `heading.level`"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(row.len() < model.len());
    assert_eq!(gaps(&without), ["heading.level has no row"]);
    let renamed = model.replace("`a_manifest_is_strict`", "`a_manifest_is_lax`");
    assert_eq!(gaps(&renamed), ["there is no test a_manifest_is_lax"]);
    let unwatched = model.replace("| `a_manifest_is_strict` |", "| - |");
    assert_eq!(gaps(&unwatched), ["`kbhost-plugin.toml` names no test"]);
}
