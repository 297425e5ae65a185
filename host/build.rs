//! Embeds the checked-in components: verifies them against their manifest and writes
//! `OUT_DIR/builtin.rs`. Needs no WebAssembly compiler.
#![expect(
    clippy::disallowed_methods,
    reason = "writes to cargo's OUT_DIR; no knowledge base is near"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

#[path = "../xtask/src/sources_digest.rs"]
mod sources_digest;

use sources_digest::{sha256_hex, source_files, sources_digest};

const PREBUILT: &str = "plugins/prebuilt";

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
    fs::write(Path::new(&out_dir).join("builtin.rs"), code).expect("OUT_DIR is writable");
}

/// Writes one entry, after comparing the component's bytes with its digest.
fn push_builtin(code: &mut String, root: &Path, component: &Value) {
    let path = root.join(PREBUILT).join(text(component, "file"));
    println!("cargo::rerun-if-changed={}", path.display());
    let bytes = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask guests`", path.display()));
    let digest = text(component, "sha256");
    assert!(
        sha256_hex(&bytes) == digest,
        "{} is not the component that the manifest beside it records; run `cargo xtask guests`",
        path.display()
    );
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
        "    Builtin {{ name: {:?}, version: {:?}, digest: {digest:?}, accepts: &[{accepts}], \
         wasm: include_bytes!({path:?}) }},",
        text(component, "name"),
        text(component, "version"),
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
