//! What an author is given: `plugin new`, `plugin build`, and a fresh project that passes its test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Env, Said, component, json, skip};

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_project_is_made_once_and_whole() {
    let env = Env::empty();
    let said = env.run(["plugin", "new", "my-kv"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "created my-kv\n"),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("kbhost plugin build my-kv --release"),
        "{said:?}"
    );
    let project = env.path("my-kv");
    assert_eq!(
        names(&project),
        [
            ".gitignore",
            "Cargo.toml",
            "README.md",
            "kbhost-plugin.toml",
            "src",
            "tests",
            "wit"
        ]
    );
    let again = env.run(["plugin", "new", "my-kv"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.stderr.contains("--dir FOLDER"), "{again:?}");

    let said = env.run([
        "plugin", "new", "kv2", "--lang", "python", "--dir", "a/b", "--json",
    ]);
    let answer = json(&said);
    assert_eq!(said.code, 0, "{answer}");
    assert_eq!(answer["language"], "python");
    assert_eq!(answer["dir"], "$ROOT/a/b");
    let files = answer["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file == "app.py"), "{answer}");
    for file in files {
        assert!(
            env.path("a/b").join(file.as_str().unwrap()).is_file(),
            "{file}"
        );
    }
    assert_eq!(names(&env.path("a")), ["b"], "nothing is left beside it");
}

#[test]
fn names_that_no_plugin_can_have_are_refused() {
    let env = Env::empty();
    for name in ["KV", "../up", "a b", "pdf"] {
        let said = env.run(["plugin", "new", name]);
        assert_eq!(said.code, 2, "{name}: {said:?}");
    }
    assert_eq!(names(env.root()), ["docs", "home", "tmp"]);
}

/// A tool of the test's own.
fn tool(env: &Env, name: &str, script: &str) -> PathBuf {
    let path = env.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_a_build_lacks_is_told() {
    let env = Env::empty();
    assert_eq!(env.run(["plugin", "new", "kv"]).code, 0);
    let build = |tools: &[(&str, &Path)]| {
        let mut command = env.command(["plugin", "build", "kv"]);
        for (variable, path) in tools {
            command.env(variable, path);
        }
        env.finish(&mut command)
    };
    let check = |said: &Said, parts: &[&str]| {
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
        for part in parts {
            assert!(said.stderr.contains(part), "{part}: {said:?}");
        }
    };
    let said = build(&[("RUSTC", Path::new("/nonexistent/rustc"))]);
    check(&said, &["failed to run `/nonexistent/rustc`", "rustup.rs"]);

    let poor = tool(&env, "poor-rustc", "echo /nonexistent");
    check(
        &build(&[("RUSTC", &poor)]),
        &["rustup target add wasm32-wasip2", "RUSTC=/path/to/rustc"],
    );

    let rich = tool(&env, "rich-rustc", "echo /");
    let broken = tool(&env, "broken-cargo", "echo 'said by the tool' >&2; exit 3");
    check(
        &build(&[("RUSTC", &rich), ("CARGO", &broken)]),
        &[
            "said by the tool\n",
            "broken-cargo` ended with exit status: 3",
        ],
    );
    let idle = tool(&env, "idle-cargo", "echo '{\"reason\":\"build-finished\"}'");
    check(&build(&[("RUSTC", &rich), ("CARGO", &idle)]), &["cdylib"]);
    assert!(!env.path("kv/kv.wasm").exists());

    assert_eq!(env.run(["plugin", "build", "docs"]).code, 1, "no manifest");
    fs::remove_file(env.path("kv/Cargo.toml")).unwrap();
    let said = env.run(["plugin", "build", "kv"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("kbhost plugin new NAME"), "{said:?}");
}

#[test]
fn a_python_project_is_built_by_the_tool_of_its_environment() {
    let env = Env::empty();
    let said = env.run(["plugin", "new", "hostile", "--lang", "python"]);
    assert_eq!(said.code, 0, "{said:?}");
    // The last argument is where the component belongs.
    let script = format!(
        "echo \"$@\" > asked; for last; do :; done; cp '{}' \"$last\"",
        component("hostile").display()
    );
    tool(&env, "hostile/.venv/bin/componentize-py", &script);
    let said = env.run(["plugin", "build", "hostile", "--json"]);
    let answer = json(&said);
    assert_eq!(said.code, 0, "{answer}");
    assert_eq!(answer["path"], "hostile/hostile.wasm");
    assert_eq!(answer["name"], "hostile");
    assert!(answer["imports"].as_array().unwrap().len() > 3, "{answer}");
    let asked = fs::read_to_string(env.path("hostile/asked")).unwrap();
    let arguments = "-d wit -w file-converter componentize app -o ";
    assert!(asked.starts_with(arguments), "{asked}");

    let manifest = env.path("hostile/kbhost-plugin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("0.1.0", "0.2.0")).unwrap();
    let said = env.run(["plugin", "build", "hostile"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("the component says `hostile 0.1.0`"),
        "{said:?}"
    );
}

/// A compiler with the target, as `cargo xtask guests` finds it.
pub fn rustc_with_target() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let named = std::env::var_os("KBHOST_WASM_RUSTC").map(PathBuf::from);
    let cached = home.map(|home| home.join(".cache/kbhost/wasm-toolchain/bin/rustc"));
    let candidates = [named, Some(PathBuf::from("rustc")), cached];
    candidates.into_iter().flatten().find(|rustc| {
        let mut command = Command::new(rustc);
        command.args(["--print", "target-libdir", "--target", "wasm32-wasip2"]);
        command.output().is_ok_and(|output| {
            let dir = String::from_utf8_lossy(&output.stdout);
            output.status.success() && Path::new(dir.trim()).is_dir()
        })
    })
}

/// A home of cargo or rustup: outside of the test's world, which has no tools.
pub fn home_of(variable: &str, usual: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(usual))
}

#[test]
fn a_fresh_project_builds_and_passes_its_test() {
    const RIG: &str = "a fresh plugin project";
    let Some(rustc) = rustc_with_target() else {
        return skip(RIG, "no compiler has the target wasm32-wasip2");
    };
    let env = Env::empty();
    assert_eq!(env.run(["plugin", "new", "my-kv"]).code, 0);
    let mut command = env.command(["plugin", "build", "my-kv"]);
    command
        .env("RUSTC", rustc)
        .env("CARGO_HOME", home_of("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup"))
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("fresh-plugin"),
        )
        .env("CARGO_NET_OFFLINE", "true");
    let mut said = env.finish(&mut command);
    if said.code != 0 && said.stderr.contains("offline") {
        said = env.finish(command.env_remove("CARGO_NET_OFFLINE"));
    }
    if said.code != 0 && said.stderr.contains("download") {
        return skip(
            RIG,
            "wit-bindgen is not in cargo's own store, and no registry answers",
        );
    }
    assert_eq!(said.code, 0, "{}", said.stderr);
    for part in [
        "built my-kv/my-kv.wasm\n",
        "takes    text/x-key-value (kv)\n",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }

    let mut command = env.command(["plugin", "test", "--mutations", "16"]);
    let said = env.finish(command.current_dir(env.path("my-kv")));
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    assert!(!said.stdout.contains("skip"), "{}", said.stdout);

    let said = env.run(["plugin", "install", "--yes", "my-kv"]);
    assert_eq!(said.code, 0, "{said:?}");
}
