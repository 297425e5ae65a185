//! Checks one Rust file: what a room may not name, and what no file may contain.

use crate::tidy::run::Finding;

/// Text that only some folders may contain.
struct Fence {
    text: &'static str,
    /// Where the rule holds.
    within: &'static str,
    /// Where the text is at home.
    allowed: &'static [&'static str],
    why: &'static str,
    /// Whether it holds in tests as well.
    in_tests_too: bool,
}

/// Files that may write, besides the seam of the mutation room: each into what is not the KB's.
const WRITERS: &[&str] = &[
    "host/src/authoring/files.rs",
    "host/src/mutation/storage.rs",
    "host/src/prepare/staging.rs",
    "host/src/selftest/",
    "host/src/userdir.rs",
];

const FENCES: [Fence; 8] = [
    Fence {
        text: "wasmtime::",
        within: "host/src/",
        allowed: &["host/src/plugin/"],
        why: "only the plugin room names wasmtime",
        in_tests_too: false,
    },
    Fence {
        text: "wasmtime_wasi",
        within: "host/src/",
        allowed: &["host/src/plugin/"],
        why: "only the plugin room names wasmtime",
        in_tests_too: false,
    },
    Fence {
        text: "OfficialPath",
        within: "host/src/",
        allowed: &["host/src/mutation/"],
        why: "only the mutation room names official paths",
        in_tests_too: false,
    },
    Fence {
        text: "MutationGuard",
        within: "host/src/",
        allowed: &["host/src/mutation/"],
        why: "only the mutation room holds the guard",
        in_tests_too: false,
    },
    Fence {
        text: "clippy::disallowed_methods",
        within: "host/src/",
        allowed: WRITERS,
        why: "only the storage seam, staging, the user's and an author's directories write",
        in_tests_too: false,
    },
    Fence {
        text: "allow(clippy::",
        within: "",
        allowed: &[],
        why: "write `#[expect(lint, reason = \"...\")]`",
        in_tests_too: true,
    },
    Fence {
        text: concat!("to", "do!("),
        within: "",
        allowed: &[],
        why: "unfinished",
        in_tests_too: true,
    },
    Fence {
        text: concat!("unimple", "mented!("),
        within: "",
        allowed: &[],
        why: "unfinished",
        in_tests_too: true,
    },
];

/// This file names what it looks for.
const SELF: &str = "xtask/src/tidy/source.rs";

/// Checks a file; `path` is relative to the root, with `/`.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::new(
            path,
            None,
            "does not open with `//!`: what it owns",
        ));
    }
    if path == SELF {
        return findings;
    }
    let production = if is_test_file(path) {
        0
    } else {
        lines_before_tests(text)
    };
    for (number, line) in text.lines().enumerate() {
        let code = without_comment(line);
        for fence in &FENCES {
            let applies = path.starts_with(fence.within)
                && !fence
                    .allowed
                    .iter()
                    .any(|allowed| path.starts_with(allowed))
                && (number < production || fence.in_tests_too);
            if applies && code.contains(fence.text) {
                findings.push(Finding::new(path, Some(number + 1), fence.why));
            }
        }
    }
    findings
}

/// Whether the whole file is compiled for tests only, by the names in use for that.
fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["tests.rs", "testing.rs"].contains(&name) || name.ends_with("_tests.rs")
}

/// The number of lines before `#[cfg(test)] mod … {`, which ends a file.
fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let opens_module = |from: usize| {
        lines[from + 1..]
            .iter()
            .find(|line| line.starts_with("mod ") || line.ends_with(';') || line.is_empty())
            .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    lines
        .iter()
        .enumerate()
        .position(|(at, line)| *line == "#[cfg(test)]" && opens_module(at))
        .unwrap_or(lines.len())
}

/// The line up to `//`; a `//` within a string cuts too, which can only hide what stands behind it.
fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fence_holds() {
        let check = |path: &str, line: &str, expected: &[&str]| {
            let found = check(path, &format!("//! Doc.\n{line}\n"));
            let expected: Vec<_> = expected
                .iter()
                .map(|why| Finding(format!("{path}:2: {why}")))
                .collect();
            assert_eq!(found, expected);
        };
        let only_plugin = "only the plugin room names wasmtime";
        check(
            "host/src/cli/add.rs",
            "use wasmtime::Engine;",
            &[only_plugin],
        );
        check("host/src/plugin/engine.rs", "use wasmtime::Engine;", &[]);
        check("host/src/cli/add.rs", "// as wasmtime::Engine does", &[]);
        let only_mutation = "only the mutation room names official paths";
        check(
            "host/src/prepare/pool.rs",
            "fn f(path: OfficialPath) {}",
            &[only_mutation],
        );
        check(
            "host/src/mutation/plan.rs",
            "fn f(path: OfficialPath) {}",
            &[],
        );
        let writers =
            "only the storage seam, staging, the user's and an author's directories write";
        check(
            "host/src/effects.rs",
            "#![expect(clippy::disallowed_methods)]",
            &[writers],
        );
        check(
            "host/src/userdir.rs",
            "#![expect(clippy::disallowed_methods)]",
            &[],
        );
        check(
            "plugins/pdf/src/lib.rs",
            "fn f() { unimplemented!() }",
            &["unfinished"],
        );
    }

    #[test]
    fn a_file_says_what_it_owns() {
        assert_eq!(check("tests/main.rs", "mod a;\n").len(), 1);
        assert_eq!(check(SELF, "//! Doc.\nuse wasmtime::x;\n"), []);
    }
}
