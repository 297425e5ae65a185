//! Files given as a plugin that are none, or that misbehave before they are asked to convert.

use std::fs;
use std::path::Path;

use super::assert_clean;
use crate::support::{Env, Said, component};

fn use_as_plugin(env: &Env, plugin: &Path) -> Said {
    env.doc("a.hostile", "ok");
    let mut command = env.command(["add", "docs/a.hostile", "--plugin"]);
    let said = env.finish(command.arg(plugin));
    assert_eq!(env.logical_registry(), "", "{said:?}");
    assert_clean(&said);
    said
}

#[test]
fn what_is_no_component_is_refused() {
    let env = Env::new();
    let check = |name: &str, bytes: &[u8], reason: &str| {
        fs::write(env.path(name), bytes).unwrap();
        let said = use_as_plugin(&env, &env.path(name));
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
        let message = format!("error: failed to use `$ROOT/{name}` as a plugin: {reason}");
        assert!(said.stderr.starts_with(&message), "{said:?}");
    };
    let wat = |text: &str| wat::parse_str(text).unwrap();
    check("empty.wasm", b"", "it is no WebAssembly component\n");
    check(
        "text.wasm",
        b"#!/bin/sh\n",
        "it is no WebAssembly component\n",
    );
    check(
        "module.wasm",
        &wat("(module)"),
        "it is a core module, not a component\n",
    );
    check(
        "cut.wasm",
        &fs::read(component("hostile")).unwrap()[..20_000],
        "it is malformed: ",
    );
    check(
        "nothing.wasm",
        &wat("(component)"),
        "it does not export kbhost:converter",
    );
    let http = wat(r#"(component (import "wasi:http/types@0.2.0" (instance)))"#);
    check("http.wasm", &http, "it imports wasi:http/types@0.2.0\n");
    check(
        "code.wasm",
        &precompiled(&env),
        "it is precompiled code, which is never accepted from a file\n",
    );
}

#[test]
fn a_plugin_that_cannot_be_read_is_an_error() {
    let env = Env::new();
    let said = use_as_plugin(&env, &env.path("none.wasm"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr
            .starts_with("error: failed to read `$ROOT/none.wasm`\n"),
        "{said:?}"
    );
    let said = use_as_plugin(&env, &env.path("docs"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("it is no regular file"), "{said:?}");
}

/// What the compiler made of the component, as the cache keeps it behind its authentication.
fn precompiled(env: &Env) -> Vec<u8> {
    let cache = env.path("cache");
    env.doc("a.hostile", "ok");
    let mut command = env.command(["convert", "docs/a.hostile", "-o", "out", "--plugin"]);
    command
        .arg(component("hostile"))
        .env("KBHOST_CACHE_DIR", &cache);
    let said = env.finish(&mut command);
    assert_eq!(said.code, 0, "{said:?}");
    let mut entries = fs::read_dir(cache.join("compiled")).unwrap();
    let entry = fs::read(entries.next().unwrap().unwrap().path()).unwrap();
    entry[..entry.len() - 32].to_vec()
}

/// A component that hangs or lies when it is asked what it is stops the command before any input.
#[test]
fn a_description_is_not_believed() {
    let env = Env::new();
    let honest = fs::read(component("hostile")).unwrap();
    let word = b"kbhost-hostile-describe:fine";
    let at = honest
        .windows(word.len())
        .position(|part| part == word)
        .unwrap()
        + word.len()
        - 4;
    let check = |behaviour: &[u8; 4], reason: &str| {
        let mut changed = honest.clone();
        changed[at..at + 4].copy_from_slice(behaviour);
        let plugin = env.path("changed.wasm");
        fs::write(&plugin, changed).unwrap();
        let said = use_as_plugin(&env, &plugin);
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
        assert!(
            said.stderr.starts_with("error: failed to ask the plugin "),
            "{said:?}"
        );
        assert!(said.stderr.contains(reason), "{said:?}");
    };
    check(b"loop", "timeout: more than 2s of CPU time");
    check(b"name", "is no name: a-z, 0-9 and -, at most 64");
    check(b"many", "it accepts more than");
}

/// Goal: compiling a stranger's component has an end, in time and in memory, and harms nothing.
/// Method: the limits are lowered until the same component no longer fits.
#[test]
#[cfg(feature = "fault-points")]
fn compilation_is_limited() {
    let env = Env::new();
    env.doc("a.hostile", "ok # Fine\n");
    let add = |limit: Option<(&str, &str)>| {
        let mut command = env.command(["add", "docs/a.hostile", "--plugin"]);
        // Compiled code of other tests must not stand in.
        command.env("KBHOST_CACHE_DIR", env.path("own-cache"));
        command.envs(limit);
        env.finish(command.arg(component("hostile")))
    };
    let check = |limit, expected: &str| {
        let said = add(Some(limit));
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
        assert!(
            said.stderr
                .starts_with("error: failed to compile the plugin"),
            "{said:?}"
        );
        assert!(said.stderr.contains(expected), "{said:?}");
        assert_eq!(env.logical_registry(), "", "{said:?}");
    };
    check(("KBHOST_TEST_COMPILE_MS", "1"), "no end after 1ms");
    check(("KBHOST_TEST_COMPILE_MIB", "64"), "it may use 64 MiB");
    let said = add(None);
    assert_eq!(said.code, 0, "{said:?}");
}
