//! Goal: a component that was built from a released version of the contract converts today as on the
//! day of its release. Method: `wit/released.txt` names the versions, `wit/fixtures/VERSION/NAME/`
//! holds a component, an input and what came of it. Control: a fixture that expects something else,
//! and one of a world that nobody knows.

use std::fs;
use std::path::{Path, PathBuf};

use kbhost_cloud_server::{Doc, Script};

use crate::support::cloud::{Cloud, KEY};
use crate::support::{Env, component, repository};

/// The fixtures of every released version beneath `root`.
fn fixtures(root: &Path) -> Vec<PathBuf> {
    let released = fs::read_to_string(root.join("wit/released.txt")).unwrap_or_default();
    let mut fixtures = Vec::new();
    for line in released.lines() {
        let version = line.split(' ').next().unwrap();
        let folder = root.join("wit/fixtures").join(version);
        let found = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let before = fixtures.len();
        fixtures.extend(found.map(|entry| entry.unwrap().path()));
        assert!(fixtures.len() > before, "{version} has no fixture");
    }
    fixtures.sort();
    fixtures
}

/// What is wrong with a fixture today; empty: nothing.
fn trouble(fixture: &Path) -> String {
    let env = Env::empty();
    let mut inputs = fs::read_dir(fixture)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let input = inputs.find(|path| path.file_stem().is_some_and(|stem| stem == "input"));
    let input = input.unwrap();
    if input.extension().is_some_and(|extension| extension == "id") {
        let id = fs::read_to_string(&input).unwrap();
        return trouble_of_cloud(fixture, id.trim());
    }
    let mut convert = env.command(["convert", "--quiet", "--plugin"]);
    convert.arg(fixture.join("component.wasm")).arg(input);
    let said = env.finish(&mut convert);
    if said.code != 0 {
        return said.stderr;
    }
    let expected = fs::read_to_string(fixture.join("expected.md")).unwrap();
    match said.stdout == expected {
        true => String::new(),
        false => format!("expected:\n{expected}\nis:\n{}", said.stdout),
    }
}

/// What is wrong with a converter of a service today. Only a binary with the switches of the rigs takes
/// another one than its own.
fn trouble_of_cloud(fixture: &Path, id: &str) -> String {
    let script = Script::new(KEY).with(id, Doc::released());
    let cloud = Cloud::new(script);
    let mut command = cloud.command(["add", "--from-pageindex-cloud", id]);
    command.env("KBHOST_TEST_CLOUD_PLUGIN", fixture.join("component.wasm"));
    let said = cloud.env.finish(&mut command);
    if said.code != 0 {
        return said.stderr;
    }
    let expected = fs::read_to_string(fixture.join("expected.md")).unwrap();
    let page = cloud.env.kb_text("wiki/sources/released.md");
    match page == expected {
        true => String::new(),
        false => format!("expected:\n{expected}\nis:\n{page}"),
    }
}

#[test]
fn released_versions_convert_as_they_did() {
    let fixtures = fixtures(&repository());
    for fixture in &fixtures {
        assert_eq!(trouble(fixture), "", "{}", fixture.display());
    }
    covered!(
        "released versions of the contract: {} fixtures",
        fixtures.len()
    );
}

#[test]
fn a_fixture_that_no_longer_converts_is_found() {
    let root = tempfile::tempdir().unwrap();
    let fixture = root.path().join("wit/fixtures/v0.1.0/markdown");
    fs::create_dir_all(&fixture).unwrap();
    fs::write(root.path().join("wit/released.txt"), "v0.1.0 0\n").unwrap();
    fs::copy(component("markdown"), fixture.join("component.wasm")).unwrap();
    fs::write(fixture.join("input.md"), "# A\n\n- b\n").unwrap();
    fs::write(fixture.join("expected.md"), "# A\n\n- b\n").unwrap();
    assert_eq!(fixtures(root.path()), std::slice::from_ref(&fixture));
    assert_eq!(trouble(&fixture), "");
    fs::write(fixture.join("expected.md"), "# A\n\n* b\n").unwrap();
    assert!(trouble(&fixture).contains("is:\n# A\n\n- b\n"));
    let other = wat::parse_str("(component)").unwrap();
    fs::write(fixture.join("component.wasm"), other).unwrap();
    let trouble = trouble(&fixture);
    assert!(trouble.starts_with("error: "), "{trouble}");
}
