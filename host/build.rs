//! Embeds the checked-in components: verifies them against their manifest and writes
//! `OUT_DIR/builtin.rs`. Assembles the guests of the hostile kit into `OUT_DIR/kit.rs`. Needs no
//! WebAssembly compiler.
#![expect(
    clippy::disallowed_methods,
    reason = "writes to cargo's OUT_DIR; no knowledge base is near"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

#[path = "../xtask/src/sources_digest.rs"]
mod sources_digest;

use sources_digest::{sha256_hex, source_files, sources_digest};

const PREBUILT: &str = "plugins/prebuilt";

/// Guests of the hostile kit, as text.
const KIT: &str = "host/src/selftest/guests";

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let root = root
        .canonicalize()
        .expect("the folder above a package exists");
    let manifest_path = root.join(PREBUILT).join("manifest.json");
    println!("cargo::rerun-if-changed={}", manifest_path.display());
    println!("cargo::rerun-if-env-changed=KBHOST_TEST_STRICT");
    let manifest = fs::read(&manifest_path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `cargo xtask guests`",
            manifest_path.display()
        )
    });
    let manifest: Value = serde_json::from_slice(&manifest)
        .unwrap_or_else(|error| panic!("{}: {error}", manifest_path.display()));
    assert!(
        manifest["format"] == 1,
        "{}: another format",
        manifest_path.display()
    );

    let mut code = String::from("pub(crate) static BUILTIN: &[Builtin] = &[\n");
    for component in array(&manifest, "components") {
        if component["embed"] == true {
            push_builtin(&mut code, &root, component);
            check_sources(&root, component);
        }
    }
    code.push_str("];\n");
    let out_dir = env::var("OUT_DIR").expect("cargo sets it");
    let out_dir = Path::new(&out_dir);
    fs::write(out_dir.join("builtin.rs"), code).expect("OUT_DIR is writable");
    let kit = kit(&root, &manifest, out_dir);
    fs::write(out_dir.join("kit.rs"), kit).expect("OUT_DIR is writable");
}

/// The components with which the sandbox is tried out: the hostile converters, and those that are
/// written as text.
fn kit(root: &Path, manifest: &Value, out_dir: &Path) -> String {
    let mut code = String::new();
    for (constant, name) in [("HOSTILE", "hostile"), ("HOSTILE_CLOUD", "hostile-cloud")] {
        let mut components = array(manifest, "components").iter();
        let component = components
            .find(|component| component["name"] == name)
            .expect("the manifest has the hostile guests");
        let path = verified(root, component);
        writeln!(code, "static {constant}: &[u8] = include_bytes!({path:?});")
            .expect("a string takes all");
    }
    code.push_str("static ASSEMBLED: &[(&str, &[u8])] = &[\n");
    let texts = root.join(KIT);
    println!("cargo::rerun-if-changed={}", texts.display());
    let mut paths: Vec<_> = fs::read_dir(&texts)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .unwrap_or_else(|error| panic!("{}: {error}", texts.display()));
    paths.sort();
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let wasm = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_stem().expect("an entry of a folder has a name");
        let assembled = out_dir.join(name).with_extension("wasm");
        fs::write(&assembled, wasm).expect("OUT_DIR is writable");
        writeln!(code, "    ({name:?}, include_bytes!({assembled:?})),")
            .expect("a string takes all");
    }
    code.push_str("];\n");
    code
}

/// Path of a checked-in component, after comparing its bytes with its digest.
fn verified(root: &Path, component: &Value) -> PathBuf {
    let path = root.join(PREBUILT).join(text(component, "file"));
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask guests`", path.display()));
    assert!(
        sha256_hex(&bytes) == text(component, "sha256"),
        "{} is not the component that the manifest beside it records; run `cargo xtask guests`",
        path.display()
    );
    path
}

/// Writes one entry.
fn push_builtin(code: &mut String, root: &Path, component: &Value) {
    let path = verified(root, component);
    let digest = text(component, "sha256");
    let mut accepts = String::new();
    for accepted in array(component, "accepts") {
        let extensions = array(accepted, "extensions").iter();
        let extensions: Vec<&str> = extensions.filter_map(Value::as_str).collect();
        write!(
            accepts,
            "({:?}, &{extensions:?}), ",
            text(accepted, "media_type")
        )
        .expect("a string takes all");
    }
    let path = path.to_str().expect("the path of the checkout is UTF-8");
    writeln!(
        code,
        "    Builtin {{ name: {:?}, version: {:?}, digest: {digest:?}, world: {:?}, \
         accepts: &[{accepts}], wasm: include_bytes!({path:?}) }},",
        text(component, "name"),
        text(component, "version"),
        text(component, "world"),
    )
    .expect("a string takes all");
}

/// Says when the sources of a component are not those it was built from: a build takes what is
/// checked in, a strict one fails.
fn check_sources(root: &Path, component: &Value) {
    let name = text(component, "name");
    let folder = format!("plugins/{name}");
    if !root.join(&folder).is_dir() {
        return;
    }
    let files = source_files(root, &folder).unwrap_or_else(|error| panic!("{error}"));
    for file in files {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let digest = sources_digest(root, &folder).unwrap_or_else(|error| panic!("{error}"));
    if digest != text(component, "sources_sha256") {
        let message = format!(
            "the sources of the plugin `{name}` changed after {PREBUILT}/{name}.wasm was built; \
             run `cargo xtask guests`"
        );
        assert!(
            env::var_os("KBHOST_TEST_STRICT").is_none_or(|strict| strict != "1"),
            "{message}"
        );
        println!("cargo::warning={message}");
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("the manifest lacks `{key}`"))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("the manifest lacks `{key}`"))
}
