//! Installed plugins: agreed to, kept in the user's directory, verified at every load, and out of
//! a stranger's reach.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Env, Said, answered_on_a_terminal, component, json};

const STORE: &str = "home/.config/kbhost/plugins";

fn install(env: &Env, source: &Path) -> Said {
    let mut command = env.command(["plugin", "install", "--yes"]);
    env.finish(command.arg(source))
}

fn installed(env: &Env) -> Value {
    json(&env.run(["plugin", "list", "--json"]))["plugins"].clone()
}

/// The one component in the store.
fn kept(env: &Env) -> PathBuf {
    let entries = fs::read_dir(env.path(STORE)).unwrap();
    let mut wasm = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    let path = wasm.next().unwrap();
    assert_eq!(wasm.next(), None);
    path
}

/// The component with another byte in it, which changes its digest and nothing else.
fn changed_component(env: &Env) -> PathBuf {
    let mut bytes = fs::read(component("hostile")).unwrap();
    // An empty custom section named `x` at the end.
    bytes.extend([0, 2, 1, b'x']);
    let path = env.path("changed.wasm");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_plugin_is_installed_used_switched_and_removed() {
    let env = Env::new();
    env.doc("a.hostile", "ok # Hello");
    let said = env.run(["add", "docs/a.hostile"]);
    assert_eq!(said.code, 1, "nobody takes it: {said:?}");

    let said = install(&env, &component("hostile"));
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "installed hostile 0.1.0\n"),
        "{said:?}"
    );
    for part in [
        "digest ",
        "world ",
        "takes ",
        "wants    wasi:filesystem: ",
        "limits   the defaults",
    ] {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    let again = install(&env, &component("hostile"));
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, "unchanged hostile 0.1.0\n")
    );
    assert_eq!(installed(&env)[0]["name"], "hostile");
    assert_eq!(installed(&env)[0]["enabled"], true);

    assert_eq!(
        env.run(["plugin", "disable", "hostile"]).stdout,
        "disabled hostile 0.1.0\n"
    );
    assert_eq!(env.run(["add", "docs/a.hostile"]).code, 1);
    let forced = env.run(["add", "--plugin", "hostile", "docs/a.hostile"]);
    assert_eq!(forced.code, 2, "{forced:?}");
    assert!(
        forced.stderr.contains("kbhost plugin enable hostile"),
        "{forced:?}"
    );
    assert_eq!(
        env.run(["plugin", "disable", "hostile"]).stdout,
        "disabled already hostile 0.1.0\n"
    );
    assert_eq!(env.run(["plugin", "enable", "hostile"]).code, 0);
    let said = env.run(["add", "docs/a.hostile"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(env.kb_text("wiki/sources/a.md").contains("# Hello"));

    assert_eq!(
        env.run(["plugin", "remove", "hostile"]).stdout,
        "removed hostile 0.1.0\n"
    );
    let gone = env.run(["plugin", "remove", "hostile"]);
    assert_eq!(gone.code, 2, "{gone:?}");
    assert_eq!(installed(&env), Value::Array(Vec::new()));
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let env = Env::empty();
    let mut command = env.command(["plugin", "install"]);
    let said = env.finish(command.arg(component("hostile")));
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(
        said.stderr.contains("kbhost plugin install --yes"),
        "{said:?}"
    );
    assert!(!env.path(STORE).exists());
}

#[test]
fn what_cannot_be_a_plugin_is_refused_and_named() {
    let env = Env::empty();
    let http = wat::parse_str(r#"(component (import "wasi:http/types@0.2.0" (instance)))"#);
    fs::write(env.path("http.wasm"), http.unwrap()).unwrap();
    let said = install(&env, &env.path("http.wasm"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("it imports wasi:http/types@0.2.0\n"),
        "{said:?}"
    );
    let said = install(&env, &component("pdf"));
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.stderr.contains("a built-in converter has this name"),
        "{said:?}"
    );
    assert!(!env.path(STORE).exists());
}

#[test]
fn changed_bytes_and_limits_are_agreed_to_again() {
    let env = Env::empty();
    install(&env, &component("hostile"));
    let changed = changed_component(&env);
    let mut command = env.command(["plugin", "install"]);
    assert_eq!(env.finish(command.arg(&changed)).code, 2);
    let said = install(&env, &changed);
    assert_eq!(said.stdout, "updated hostile 0.1.0\n", "{said:?}");
    assert!(said.stderr.contains("change   digest "), "{said:?}");
    kept(&env);

    fs::create_dir(env.path("folder")).unwrap();
    fs::copy(&changed, env.path("folder/hostile.wasm")).unwrap();
    let manifest = |version: &str, limits: &str| {
        let text = format!(
            "format = 1\nname = \"hostile\"\nversion = \"{version}\"\n\
             component = \"hostile.wasm\"\n[limits]\n{limits}\n"
        );
        fs::write(env.path("folder/kbhost-plugin.toml"), text).unwrap();
        install(&env, &env.path("folder"))
    };
    let said = manifest("0.1.0", "cpu_seconds = 120");
    assert_eq!(said.stdout, "updated hostile 0.1.0\n", "{said:?}");
    assert!(
        said.stderr
            .contains("change   limit added: cpu_seconds 120"),
        "{said:?}"
    );
    assert_eq!(installed(&env)[0]["limits"]["cpu_seconds"], 120);
    for (version, limits, reason) in [
        ("9.9.9", "", "the component says `hostile 0.1.0`"),
        (
            "0.1.0",
            "cpu_seconds = 601",
            "`cpu_seconds` must be from 1 to 600",
        ),
        ("0.1.0", "network = true", "unknown field"),
    ] {
        let said = manifest(version, limits);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains(reason), "{reason}: {said:?}");
    }
}

/// Goal: who sits at a terminal is asked, sees what is wanted, and nothing is installed without a yes;
/// the same again asks nobody, and wider wishes ask again and say what is wider.
#[test]
fn a_terminal_is_asked() {
    let env = Env::empty();
    fs::create_dir(env.path("folder")).unwrap();
    fs::copy(component("hostile"), env.path("folder/hostile.wasm")).unwrap();
    let manifest = |limits: &str| {
        let text = format!(
            "format = 1\nname = \"hostile\"\nversion = \"0.1.0\"\ncomponent = \"hostile.wasm\"\n\
             [limits]\n{limits}\n"
        );
        fs::write(env.path("folder/kbhost-plugin.toml"), text).unwrap();
    };
    let answered = |answer: &str| {
        answered_on_a_terminal(&env, "plugin install --color never folder", &[], answer)
    };
    manifest("cpu_seconds = 120");
    for answer in ["n\n", "\n", "no\n", "yesterday\n"] {
        let Some((screen, code)) = answered(answer) else {
            return;
        };
        assert_eq!(code, 1, "{screen}");
        assert!(screen.contains("Nothing was installed."), "{screen}");
        for part in [
            "wants    wasi:filesystem: ",
            "limits   cpu_seconds 120",
            "Install it? [y/N] ",
        ] {
            assert!(screen.contains(part), "{part}: {screen}");
        }
        assert!(!env.path(STORE).join("plugins.lock").exists());
    }
    let (screen, code) = answered("y\n").unwrap();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("installed hostile 0.1.0"), "{screen}");
    let kept_before = installed(&env);
    assert_eq!(kept_before[0]["limits"]["cpu_seconds"], 120);

    let (screen, code) = answered("n\n").unwrap();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("Install it?"), "{screen}");

    manifest("cpu_seconds = 240\nmemory_mib = 1024");
    let (screen, code) = answered("n\n").unwrap();
    assert_eq!(code, 1, "{screen}");
    for part in [
        "change   limit added: cpu_seconds 240",
        "change   limit added: memory_mib 1024",
        "change   limit removed: cpu_seconds 120",
        "Install it? [y/N] ",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    assert_eq!(installed(&env), kept_before);
}

/// What is granted is what the manifest wants, within what the user grants at most, within what the
/// host allows; it is kept with the digest.
#[test]
fn grants_are_within_the_policy() {
    let env = Env::new();
    let policy = |text: &str| {
        let dir = env.path("home/.config/kbhost");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("policy.toml"), text).unwrap();
    };
    install_with_memory(&env, 1_024);
    assert_eq!(installed(&env)[0]["limits"]["memory_mib"], 1_024);
    policy("format = 1\n[limits]\nmemory_mib = 64\n");
    let said = install(&env, &env.path("folder"));
    assert_eq!(said.stdout, "updated hostile 0.1.0\n", "{said:?}");
    for part in [
        "limits   memory_mib 64\n",
        "change   limit added: memory_mib 64\n",
        "policy   memory_mib 64, where it wants 1024\n",
    ] {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    let kept = installed(&env);
    assert_eq!(kept[0]["limits"]["memory_mib"], 64);
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(limits_of(&env, "a")["memory_bytes_max"], 64 << 20);
    assert!(
        install(&env, &env.path("folder"))
            .stdout
            .starts_with("unchanged")
    );
    policy("format = 1\nwatever = 1\n");
    let said = install(&env, &env.path("folder"));
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("policy.toml"), "{said:?}");
    assert!(said.stderr.contains("watever"), "{said:?}");
    assert_eq!(installed(&env), kept);
}

/// Installs a folder whose manifest asks for this much memory, and writes a document for it.
fn install_with_memory(env: &Env, mib: u64) {
    fs::create_dir(env.path("folder")).unwrap();
    fs::copy(component("hostile"), env.path("folder/hostile.wasm")).unwrap();
    let text = format!(
        "format = 1\nname = \"hostile\"\nversion = \"0.1.0\"\n\
         component = \"hostile.wasm\"\n[limits]\nmemory_mib = {mib}\n"
    );
    fs::write(env.path("folder/kbhost-plugin.toml"), text).unwrap();
    assert_eq!(install(env, &env.path("folder")).code, 0);
    env.doc("a.hostile", "ok # Hello");
}

/// The limits of a manifest hold when the plugin runs.
#[test]
fn wanted_limits_are_those_of_the_call() {
    let env = Env::new();
    install_with_memory(&env, 1);
    let said = env.run(["add", "docs/a.hostile"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("1048576 bytes"), "{said:?}");
}

/// `verify` runs a document under the limits that it was converted under, the plugin's own.
#[test]
fn wanted_limits_are_those_of_a_verification() {
    let env = Env::new();
    install_with_memory(&env, 256);
    assert_eq!(env.run(["add", "docs/a.hostile"]).code, 0);
    let said = env.run(["verify", "--all"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "same       a\n"),
        "{said:?}"
    );
}

#[test]
fn a_component_that_changed_on_the_disk_is_refused() {
    let env = Env::new();
    env.doc("a.hostile", "ok # Hello");
    env.doc("b.md", "# Fine");
    install(&env, &component("hostile"));
    let path = kept(&env);
    fs::copy(changed_component(&env), &path).unwrap();
    let said = env.run(["add", "docs/a.hostile"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("is not what was installed"),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("kbhost plugin remove hostile"),
        "{said:?}"
    );
    assert_eq!(env.logical_registry(), "");
    // What does not need it is converted, and installing it again heals it.
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    assert_eq!(
        install(&env, &component("hostile")).stdout,
        "updated hostile 0.1.0\n"
    );
    assert_eq!(env.run(["add", "docs/a.hostile"]).code, 0);
}

#[test]
fn a_damaged_list_is_an_error_that_names_it() {
    let env = Env::new();
    env.doc("a.md", "# A");
    install(&env, &component("hostile"));
    fs::write(env.path(STORE).join("plugins.lock"), "{").unwrap();
    for args in [&["add", "docs/a.md"][..], &["plugin", "list"], &["formats"]] {
        let said = env.run(args);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("plugins.lock"), "{said:?}");
    }
}

#[test]
fn inspect_reads_the_binary() {
    let env = Env::empty();
    let mut command = env.command(["plugin", "inspect", "--json"]);
    let of_file = json(&env.finish(command.arg(component("hostile"))));
    assert_eq!(of_file["name"], "hostile");
    let size = fs::metadata(component("hostile")).unwrap().len();
    assert_eq!(of_file["size"], size);
    let has = |list: &str, part: &str| {
        let list = of_file[list].as_array().unwrap();
        list.iter()
            .any(|one| one.as_str().unwrap().starts_with(part))
    };
    assert!(has("imports", "wasi:filesystem/types@"), "{of_file}");
    assert!(has("exports", "kbhost:converter/converter@"), "{of_file}");
    install(&env, &component("hostile"));
    assert_eq!(
        json(&env.run(["plugin", "inspect", "--json", "hostile"])),
        of_file
    );
    assert_eq!(
        json(&env.run(["plugin", "inspect", "--json", "pdf"]))["name"],
        "pdf"
    );
    assert_eq!(env.run(["plugin", "inspect", "nobody"]).code, 2);
}

#[test]
fn a_preference_needs_a_plugin_that_takes_the_type() {
    let env = Env::empty();
    install(&env, &component("hostile"));
    let formats = json(&env.run(["formats", "--json"]))["formats"].clone();
    let of_hostile = formats
        .as_array()
        .unwrap()
        .iter()
        .find(|format| format["plugin"] == "hostile")
        .unwrap();
    assert_eq!(of_hostile["used"], true, "{formats}");
    let media_type = of_hostile["media_type"].as_str().unwrap();
    assert_eq!(env.run(["plugin", "prefer", media_type, "hostile"]).code, 0);
    assert_eq!(
        env.run(["plugin", "prefer", "text/markdown", "hostile"])
            .code,
        2
    );
    assert_eq!(
        env.run(["plugin", "prefer", "text/markdown", "nobody"])
            .code,
        2
    );
    assert_eq!(env.run(["plugin", "prefer", "nonsense", "hostile"]).code, 2);
    let preferred = || json(&env.run(["plugin", "list", "--json"]))["preferred"].clone();
    assert_eq!(preferred()[media_type], "hostile");
    assert_eq!(env.run(["plugin", "prefer", media_type, "--none"]).code, 0);
    assert_eq!(preferred(), serde_json::json!({}));
}

/// Goal: a stranger's knowledge base decides nothing of what runs. Method: it carries a whole
/// store of plugins, preferences and settings; what runs is compared with an honest one.
#[test]
fn a_strangers_kb_changes_nothing_of_what_runs() {
    let env = Env::new();
    // A store that would be valid in the user's directory, made by another user.
    let other = Env::empty();
    install(&other, &component("hostile"));
    let list = other.path(STORE).join("plugins.lock");
    let text = fs::read_to_string(&list).unwrap();
    let takes = text.replace("\"hostile\"\n", "\"hostile\", \"md\"\n");
    let prefers = takes.replace(
        "\"preferred\": {}",
        "\"preferred\": {\"text/markdown\": \"hostile\"}",
    );
    assert_ne!(prefers, takes);
    for folder in [
        ".openkb/kbhost/plugins",
        ".openkb/plugins",
        ".kbhost/plugins",
        "plugins",
    ] {
        let folder = env.kb().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("plugins.lock"), &prefers).unwrap();
        fs::copy(kept(&other), folder.join(kept(&other).file_name().unwrap())).unwrap();
        fs::write(folder.join("kbhost-plugin.toml"), "format = 1\n").unwrap();
    }
    fs::write(env.kb().join(".openkb/kbhost/plugins.lock"), &prefers).unwrap();
    fs::write(env.kb().join("hostile"), "").unwrap();
    env.doc("a.md", "# Title\n\ntext");
    env.doc("b.hostile", "ok # Hello");
    let mut command = env.command(["add", "--json", "--kb-dir"]);
    command
        .arg(env.kb())
        .args(["../docs/a.md", "../docs/b.hostile"]);
    let said = env.finish(command.current_dir(env.kb()));
    assert_eq!(said.code, 1, "{said:?}");
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(answer["documents"][0]["status"], "added", "{answer}");
    assert_eq!(answer["documents"][1]["status"], "failed", "{answer}");
    assert_eq!(
        json(&env.run(["list", "--json"]))["documents"][0]["plugin"],
        "markdown 0.1.0"
    );
    let mut command = env.command(["add", "--plugin", "hostile", "../docs/b.hostile"]);
    let said = env.finish(command.current_dir(env.kb()));
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(installed(&env), Value::Array(Vec::new()));
}

/// The limits that a document was converted under.
fn limits_of(env: &Env, document: &str) -> Value {
    let registry = env.kb().join(".openkb/kbhost/registry.db");
    let connection = rusqlite::Connection::open(registry).unwrap();
    let sql = "SELECT provenance FROM documents WHERE doc_name = ?1";
    let provenance: String = connection
        .query_row(sql, [document], |row| row.get(0))
        .unwrap();
    serde_json::from_str::<Value>(&provenance).unwrap()["limits"].clone()
}

/// Goal: the caches, grants and wide limits that a stranger's knowledge base carries change nothing of
/// what runs. Method: caches of another user in every place where they could be looked for, with a
/// store that grants; the limits of a document are those of an honest knowledge base.
#[test]
fn a_strangers_limits_and_caches_change_nothing() {
    let env = Env::new();
    env.doc("a.md", "# Title\n\ntext");
    let honest = Env::new();
    honest.doc("a.md", "# Title\n\ntext");
    assert_eq!(honest.run(["add", "docs"]).code, 0);
    // What another user keeps: compiled code, conversions and a plugin that was granted much.
    let other = Env::new();
    other.doc("a.md", "# Title\n\nother text");
    install_with_memory(&other, 4_096);
    let cache = other.path("cache");
    let cached = [
        ("KBHOST_CACHE_DIR", cache.to_str().unwrap()),
        ("KBHOST_NO_CACHE", ""),
    ];
    assert_eq!(other.run_with(&cached, ["add", "docs"]).code, 0);
    for folder in [
        ".openkb/kbhost",
        ".openkb",
        ".kbhost",
        ".cache/kbhost",
        "cache",
    ] {
        let folder = env.kb().join(folder);
        fs::create_dir_all(&folder).unwrap();
        crate::support::copy_tree(&cache, &folder);
        crate::support::copy_tree(&other.path(STORE), &folder.join("plugins"));
    }
    let wide = "kbhost:\n  limits:\n    cpu_ms: 600000\n    memory_mib: 4096\n    output_mib: 4096\n    \
                output_files: 100000\n    input_mib: 18446744073709551615\n";
    let config = env.kb_text(".openkb/config.yaml");
    fs::write(
        env.kb().join(".openkb/config.yaml"),
        format!("{config}\n{wide}"),
    )
    .unwrap();
    let mut command = env.command(["add", "../docs/a.md"]);
    let said = env.finish(command.current_dir(env.kb()));
    assert_eq!(said.code, 0, "{said:?}");
    let note = "note: `kbhost.limits.memory_mib` is 4096 in config.yaml, where 512 holds anyway: a \
                knowledge base can only narrow limits\n";
    assert!(said.stderr.contains(note), "{said:?}");
    assert_eq!(
        said.stderr.matches("can only narrow").count(),
        5,
        "{said:?}"
    );
    assert_eq!(limits_of(&env, "a"), limits_of(&honest, "a"));
    assert_eq!(
        env.kb_text("wiki/sources/a.md"),
        honest.kb_text("wiki/sources/a.md")
    );
    assert_eq!(env.run(["verify", "--all"]).code, 0);
}

#[test]
fn a_knowledge_base_narrows_limits() {
    let env = Env::new();
    install_with_memory(&env, 1_024);
    let honest = env.kb_text(".openkb/config.yaml");
    let limited = |limit: &str| {
        let text = format!("{honest}\nkbhost:\n  limits:\n    {limit}\n");
        fs::write(env.kb().join(".openkb/config.yaml"), text).unwrap();
    };
    let check = |limit: &str, expected: &str| {
        limited(limit);
        let said = env.run(["add", "docs"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains(expected), "{limit}: {said:?}");
    };
    env.doc("a.hostile", "loop");
    check("cpu_ms: 200", "timeout: more than 200ms of CPU time");
    env.doc("a.hostile", "ok # Hello");
    check("memory_mib: 1", "memory: more than 1048576 bytes");
    env.doc("a.hostile", format!("ok # {}", "x".repeat(2 << 20)));
    check("input_mib: 1", "the limit is 1048576 bytes");
    let said = env.run(["add", "--dry-run", "docs"]);
    assert!(
        said.stderr.contains("the limit is 1048576 bytes"),
        "{said:?}"
    );
    // It is on record, and what holds now is what is compared.
    env.doc("a.hostile", "ok # Hello");
    limited("memory_mib: 64");
    let said = env.run(["add", "docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(limits_of(&env, "a")["memory_bytes_max"], 64 << 20);
    assert!(env.run(["verify", "--all"]).stderr.contains("1 the same"));
    limited("memory_mib: 65");
    let said = env.run(["verify", "--all"]);
    assert!(
        said.stdout.contains("it was converted under other limits"),
        "{said:?}"
    );
    for (limit, key, reason) in [
        (
            "memory_mib: 0",
            "memory_mib",
            "must be a whole number from 1",
        ),
        ("cpu: 1", "cpu", "is no limit"),
    ] {
        limited(limit);
        let said = env.run(["add", "docs"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.stderr.contains(".openkb/config.yaml"), "{said:?}");
        assert!(
            said.stderr.contains(&format!("kbhost.limits.{key}")),
            "{said:?}"
        );
        assert!(said.stderr.contains(reason), "{said:?}");
    }
}
