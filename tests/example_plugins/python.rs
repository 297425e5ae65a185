//! The plugin in Python: built here by its own tools, since a component with an interpreter in it is
//! too large to be checked in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::{a_life, example, removed};
use crate::support::{Env, skip};

const NAME: &str = "ipynb-python";
const RIG: &str = "the example plugin in Python";

/// Installing some 50 MB of packages, or building.
const STEP_MAX: Duration = Duration::from_secs(240);

/// The component, built unless it is there for these very sources; `None` if it cannot be built here.
fn built(env: &Env) -> Option<PathBuf> {
    let folder = example(NAME);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-plugins");
    fs::create_dir_all(&cache).unwrap();
    let requirements = fs::read(folder.join("requirements.txt")).unwrap();
    let mut sources = requirements.clone();
    for part in ["app/app.py", "app/notebook.py", "wit/types.wit"] {
        sources.extend(fs::read(folder.join(part)).unwrap());
    }
    let wasm = cache.join(format!("{NAME}-{}.wasm", short_digest(&sources)));
    if wasm.is_file() {
        return Some(wasm);
    }
    let venv = cache.join(format!("venv-{}", short_digest(&requirements)));
    let tool = venv.join("bin/componentize-py");
    // Written last: an environment that was left half made is made anew.
    let complete = venv.join("complete");
    if !complete.is_file() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(&venv);
        ran(env, &mut make)?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(folder.join("requirements.txt"))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_NO_INPUT", "1");
        ran(env, &mut pip)?;
        fs::write(&complete, "").unwrap();
    }
    // The tool leaves nothing among the sources, which may be read-only.
    let output = env.path("built.wasm");
    let mut build = Command::new(&tool);
    build
        .args(["-d", "wit", "-w", "file-converter", "componentize"])
        .args(["-p", "app", "app", "-o"])
        .arg(&output)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&folder);
    let said = env.finish_within(STEP_MAX, &mut build);
    assert_eq!(said.code, 0, "{said:?}");
    let draft = wasm.with_extension("draft");
    fs::copy(output, &draft).unwrap();
    fs::rename(draft, &wasm).unwrap();
    Some(wasm)
}

/// Runs a step that needs what a machine may lack.
fn ran(env: &Env, command: &mut Command) -> Option<()> {
    let why = if command.get_program() == "python3" && !has_python() {
        "python3 is not installed".to_owned()
    } else {
        let said = env.finish_within(STEP_MAX, command);
        if said.code == 0 {
            return Some(());
        }
        let said = format!("{}{}", said.stdout, said.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    };
    skip(RIG, &why);
    None
}

fn has_python() -> bool {
    let version = Command::new("python3").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn short_digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_plugin_in_python_is_built_installed_and_used() {
    let env = Env::new();
    let started = Instant::now();
    let Some(wasm) = built(&env) else { return };
    let built = started.elapsed();
    a_life(&env, NAME, "application/x-ipynb+json", &wasm);
    crate::covered!(
        "example plugin in Python: {} MB, made in {} ms",
        fs::metadata(&wasm).unwrap().len() / 1_000_000,
        built.as_millis()
    );
    let page = env.kb_text("wiki/sources/tides.md");
    let picture = "(images/tides/img_001.png)";
    for part in [
        "# Tides of the harbour\n",
        "```python\nimport tides\n",
        picture,
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(page.matches(picture).count(), 2, "{page}");
    let bytes = fs::read(env.kb().join("wiki/sources/images/tides/img_001.png")).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));

    hostile_notebooks(&env);
    removed(&env, NAME);
}

/// What is no notebook is an error that says why, never a crash of the interpreter.
fn hostile_notebooks(env: &Env) {
    let check = |name: &str, notebook: Vec<u8>, reason: &str| {
        env.doc(name, notebook);
        let said = env.run(["add", &format!("docs/{name}")]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains(reason), "{reason}: {said:?}");
    };
    check("deep.ipynb", b"[".repeat(1_000_000), "nested too deeply");
    let nested = [b"{\"cells\":".repeat(99), b"1".to_vec(), b"}".repeat(99)].concat();
    check("types.ipynb", nested, "has no list of cells");
    check(
        "bytes.ipynb",
        b"{\"cells\": \xff\xfe".to_vec(),
        "it is no JSON",
    );
    check(
        "old.ipynb",
        b"{\"nbformat\": 3}".to_vec(),
        "notebook format 3",
    );
    check("huge.ipynb", b" ".repeat((48 << 20) + 1), "too large");
    env.doc(
        "odd.ipynb",
        r#"{"cells": [1, null, {"cell_type": "code", "source": 5}]}"#,
    );
    let said = env.run(["add", "docs/odd.ipynb"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("cell 3: it has no source"), "{said:?}");
}

/// Python's own tests of what is in the component.
#[test]
fn the_plugin_in_python_passes_its_own_tests() {
    let env = Env::empty();
    if !has_python() {
        return skip(RIG, "python3 is not installed");
    }
    let mut tests = Command::new("python3");
    tests
        .args(["-m", "unittest", "discover", "tests"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(example(NAME));
    let said = env.finish_within(STEP_MAX, &mut tests);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("Ran 9 tests"), "{said:?}");
}
