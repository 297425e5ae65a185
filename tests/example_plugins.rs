//! Goal: somebody with nothing but the published contract and a registry of packages writes a
//! converter that installs and works. Method: `examples/plugins` is built the way its README says,
//! installed from a folder with its manifest, and used on the examples beside it.

mod members;
mod python;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::{Env, Said, component, json, repository};

/// A trial of a converter that carries an interpreter, on a loaded machine.
const TRIAL_MAX: std::time::Duration = std::time::Duration::from_secs(180);

fn example(name: &str) -> PathBuf {
    repository().join("examples/plugins").join(name)
}

/// A folder to install from: the example's manifest beside its component.
fn package(env: &Env, name: &str, wasm: &Path) -> PathBuf {
    let folder = env.path(name);
    fs::create_dir(&folder).unwrap();
    let manifest = "kbhost-plugin.toml";
    fs::copy(
        example(name).join("package").join(manifest),
        folder.join(manifest),
    )
    .unwrap();
    fs::copy(wasm, folder.join(format!("{name}.wasm"))).unwrap();
    folder
}

fn install(env: &Env, folder: &Path) -> Said {
    env.finish(env.command(["plugin", "install", "--yes"]).arg(folder))
}

/// The example's inputs, copied to `docs/`; their names.
fn inputs(env: &Env, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(example(name).join("examples")).unwrap() {
        let entry = entry.unwrap();
        let file = entry.file_name().into_string().unwrap();
        env.doc(&file, fs::read(entry.path()).unwrap());
        names.push(file);
    }
    names.sort();
    assert!(!names.is_empty());
    names
}

fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn examples_are_built_from_the_published_contract_alone() {
    let published = files_of(&repository().join("wit/v0.1.0"));
    assert!(!published.is_empty());
    for name in ["sql-schema", "ipynb-python"] {
        let vendored = files_of(&example(name).join("wit"));
        assert!(vendored == published, "{name}: copy wit/v0.1.0 to its wit/");
    }
    let manifest = fs::read_to_string(example("sql-schema").join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("[workspace]") && !manifest.contains("path = \".."),
        "{manifest}"
    );
}

/// A component with an interpreter in it is well within the size that is accepted; this one is not.
#[test]
fn a_component_that_is_too_large_is_refused() {
    let env = Env::empty();
    let wasm = fs::File::create(env.path("large.wasm")).unwrap();
    wasm.set_len((64 << 20) + 1).unwrap();
    let said = install(&env, &env.path("large.wasm"));
    assert_eq!(said.code, 1, "{said:?}");
    let reason = "it is larger than 67108864 bytes";
    assert!(said.stderr.contains(reason), "{said:?}");
}

/// A second KB takes what was converted for the first; the calls are told by `-v`.
fn second_kb_calls_no_converter(env: &Env) {
    fs::create_dir(env.path("cache")).unwrap();
    fs::set_permissions(env.path("cache"), fs::Permissions::from_mode(0o700)).unwrap();
    let calls = |kb: &str| {
        assert_eq!(env.run(["init", kb]).code, 0);
        let mut command = env.command(["add", "docs", "-v", "--kb-dir", kb]);
        command
            .env_remove("KBHOST_NO_CACHE")
            .env("KBHOST_CACHE_DIR", env.path("cache"));
        let said = env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        let calls = |line: &&str| line.contains("convert{") && line.contains("plugin=");
        said.stderr.lines().filter(calls).count()
    };
    assert!(calls("first") > 0, "the rig sees no calls");
    assert_eq!(calls("second"), 0);
}

/// Installed, inspected, used, verified, removed: what holds of every plugin.
fn a_life(env: &Env, name: &str, media_type: &str, wasm: &Path) {
    let documents = inputs(env, name);
    let said = env.run(["add", &format!("docs/{}", documents[0])]);
    assert_eq!(said.code, 1, "nobody takes it yet: {said:?}");
    let folder = package(env, name, wasm);
    let said = install(env, &folder);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, format!("installed {name} 0.1.0\n"));

    let inspected = json(&env.run(["plugin", "inspect", "--json", name]));
    assert_eq!(inspected["name"], name, "{inspected}");
    assert_eq!(inspected["size"], fs::metadata(wasm).unwrap().len());
    let formats = json(&env.run(["formats", "--json"]));
    let formats = formats["formats"].as_array().unwrap();
    let of_ours = |entry: &&serde_json::Value| entry["plugin"] == name && entry["used"] == true;
    let ours = formats.iter().find(of_ours);
    assert_eq!(ours.unwrap()["media_type"], media_type, "{formats:?}");

    let said = env.run(["add", "docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = env.run(["verify", "--all"]);
    assert_eq!(said.code, 0, "{said:?}");
    second_kb_calls_no_converter(env);
    passes_its_trial(env, name, &documents);
    for document in documents {
        let stem = document.rsplit_once('.').unwrap().0;
        assert!(env.kb_text("wiki/index.md").contains(stem), "{document}");
    }
}

/// `plugin test` over its examples: every check that can be made is green.
fn passes_its_trial(env: &Env, name: &str, documents: &[String]) {
    let mut command = env.command([
        "plugin",
        "test",
        "--json",
        "--plugin",
        name,
        "--mutations",
        "16",
    ]);
    for document in documents {
        command.arg("--input").arg(env.path("docs").join(document));
    }
    let said = env.finish_within(TRIAL_MAX, &mut command);
    assert_eq!(said.code, 0, "{said:?}");
    let answer = json(&said);
    let checks = answer["checks"].as_array().unwrap();
    assert!(checks.len() >= 12, "{answer}");
    for check in checks {
        let skipped = ["manifest", "golden"]
            .iter()
            .any(|name| check["name"] == **name);
        let expected = if skipped { "skip" } else { "pass" };
        assert_eq!(check["verdict"], expected, "{check}");
    }
}

fn removed(env: &Env, name: &str) {
    let said = env.run(["plugin", "remove", name]);
    assert_eq!(said.stdout, format!("removed {name} 0.1.0\n"));
}

#[test]
fn the_plugin_in_rust_is_installed_and_used() {
    let env = Env::new();
    let wasm = component("sql-schema");
    assert!(fs::metadata(&wasm).unwrap().len() < 1_500_000, "checked in");
    a_life(&env, "sql-schema", "application/sql", &wasm);
    let page = env.kb_text("wiki/sources/shop-postgres.md");
    for part in [
        "# Schema shop-postgres\n",
        "4 tables, 15 columns, 2 foreign keys, 1 view; a dump of PostgreSQL.",
        "\\[\\[privacy\\]\\] before &lt;export&gt;.",
        "on update cascade, on delete cascade",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    removed(&env, "sql-schema");
    env.doc("again.sql", "CREATE TABLE a (b int);");
    assert_eq!(env.run(["add", "docs/again.sql"]).code, 1);
}

/// What is deep, long or broken costs a warning; the sandbox's stack and memory are enough.
#[test]
fn the_plugin_in_rust_reads_hostile_and_large_dumps() {
    let env = Env::new();
    let folder = package(&env, "sql-schema", &component("sql-schema"));
    assert_eq!(install(&env, &folder).code, 0);
    let expressions = [
        "(".repeat(100_000),
        format!("{}1{}", "(".repeat(400), ")".repeat(400)),
        format!("{}1{}", "f(".repeat(300), ")".repeat(300)),
        "NOT ".repeat(900),
        "CASE WHEN ".repeat(400),
        "(SELECT * FROM ".repeat(200),
        vec!["1"; 480].join("+"),
        vec!["1"; 100_000].join("+"),
        format!("'{}'", "x".repeat(1 << 20)),
    ];
    let mut dump = String::new();
    for (number, expression) in expressions.iter().enumerate() {
        dump.push_str(&format!(
            "CREATE TABLE t{number} (a int DEFAULT {expression}, b int);\n"
        ));
    }
    dump.push_str(
        "CREATE TABLE open (a text DEFAULT 'never closed);\nCREATE TABLE last (z int);\n",
    );
    env.doc("hostile.sql", dump);
    let said = env.run(["add", "docs/hostile.sql"]);
    assert_eq!(said.code, 0, "{said:?}");
    let page = env.kb_text("wiki/sources/hostile.md");
    assert!(page.contains("[last]("), "{page}");
    assert!(said.stderr.contains("never closed"), "{said:?}");

    let path = env.doc(
        "large.sql",
        "CREATE TABLE big (id int, text varchar(80));\n",
    );
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    let row = "(1,'it''s ; \"a\" row of ordinary length, as dumps have them by the million'),\n";
    let insert = format!("INSERT INTO big VALUES\n{}(2,'');\n", row.repeat(6_000));
    for _ in 0..(64 << 20) / insert.len() + 1 {
        file.write_all(insert.as_bytes()).unwrap();
    }
    writeln!(file, "CREATE TABLE after_data (id int);").unwrap();
    drop(file);
    let said = env.run(["add", "docs/large.sql"]);
    assert_eq!(said.code, 0, "{said:?}");
    let page = env.kb_text("wiki/sources/large.md");
    assert!(page.contains("[after_data]("), "{page}");
}
