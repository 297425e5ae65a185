//! `cargo xtask release-wit VERSION`: freezes a version of the converter contract. From then on its
//! folder must not change, and a component that was built from it must convert as it did that day.

use std::path::Path;

use kbhost_cloud_server::{Doc, Script, Server};

use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::Repo;
use crate::tidy::released::{FIXTURES, LIST, digest};

/// The fixture: a converter of ours that uses most of the contract, and a document for it.
const COMPONENT: &str = "plugins/prebuilt/markdown.wasm";
const INPUT: &str = "tests/golden/input/blocks.md";

/// The fixture of the cloud world: our converter of a service, and a document that the service of the
/// tests always has.
const CLOUD_COMPONENT: &str = "plugins/prebuilt/pageindex-cloud.wasm";

/// Its id.
const RELEASED: &str = "pi-released";

/// The key of that service: nobody else's.
const KEY: &str = "pi-release-2b7d40c9";

/// What the converter of a service makes of the document.
fn import(repo: &Repo) -> Result<String> {
    let kb = repo.target().join("release-wit-kb");
    if kb.exists() {
        std::fs::remove_dir_all(&kb).map_err(Failure::io("remove", &kb))?;
    }
    let script = Script::new(KEY).with(RELEASED, Doc::released());
    let server = Server::start(script)
        .map_err(|error| Failure::new(format!("failed to serve on loopback: {error}")))?;
    let kbhost = |args: &[&str]| {
        let mut command = std::process::Command::new(repo.release_binary());
        command
            .args(args)
            .env("KBHOST_KB", &kb)
            .envs(server.variables());
        process::capture(&mut command)
    };
    let folder = kb.display().to_string();
    kbhost(&["init", &folder])?;
    kbhost(&["add", "--quiet", "--from-pageindex-cloud", RELEASED])?;
    let page = kb.join("wiki/sources/released.md");
    std::fs::read_to_string(&page).map_err(Failure::io("read", &page))
}

/// Freezes `version`, such as `v0.1.0`, with what is built now.
///
/// # Errors
/// If there is no such version or it is frozen already, or a file cannot be written.
pub(crate) fn run(repo: &Repo, version: &str) -> Result<()> {
    println!("Building kbhost (release) ...");
    repo.build_release()?;
    // What has no fixture is not frozen: the line comes last.
    let cloud = repo
        .root()
        .join(FIXTURES)
        .join(version)
        .join("pageindex-cloud");
    let imported = import(repo)?;
    release(repo.root(), version, |component, input| {
        let mut convert = std::process::Command::new(repo.release_binary());
        convert.args(["convert", "--no-cache", "--quiet", "--plugin"]);
        let markdown = process::capture(convert.arg(component).arg(input))?;
        std::fs::create_dir_all(&cloud).map_err(Failure::io("create", &cloud))?;
        let component = cloud.join("component.wasm");
        std::fs::copy(repo.root().join(CLOUD_COMPONENT), &component)
            .map_err(Failure::io("write", &component))?;
        for (name, text) in [
            ("input.id", format!("{RELEASED}\n")),
            ("expected.md", imported),
        ] {
            let path = cloud.join(name);
            std::fs::write(&path, text).map_err(Failure::io("write", &path))?;
        }
        Ok(markdown)
    })?;
    println!("{version} is frozen: commit {LIST} and {FIXTURES}/{version}");
    Ok(())
}

/// Writes the fixture of `version`, then its line, which is what makes it frozen.
fn release(
    root: &Path,
    version: &str,
    convert: impl FnOnce(&Path, &Path) -> Result<String>,
) -> Result<()> {
    let folder = root.join("wit").join(version);
    if !version.starts_with('v') || version.contains('/') || !folder.is_dir() {
        return Err(Failure::new(format!("no version `{version}` in wit/")));
    }
    let list = root.join(LIST);
    let mut lines = match std::fs::read_to_string(&list) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(Failure::io("read", &list))?,
    };
    if lines
        .lines()
        .any(|line| line.split(' ').next() == Some(version))
    {
        return Err(Failure::new(format!("`{version}` is frozen already")));
    }
    let fixture = root.join(FIXTURES).join(version).join("markdown");
    std::fs::create_dir_all(&fixture).map_err(Failure::io("create", &fixture))?;
    let component = fixture.join("component.wasm");
    let input = fixture.join("input.md");
    for (from, to) in [(COMPONENT, &component), (INPUT, &input)] {
        std::fs::copy(root.join(from), to).map_err(Failure::io("write", to))?;
    }
    let expected = fixture.join("expected.md");
    let markdown = convert(&component, &input)?;
    std::fs::write(&expected, markdown).map_err(Failure::io("write", &expected))?;
    lines.push_str(&format!("{version} {}\n", digest(&folder)?));
    std::fs::write(&list, lines).map_err(Failure::io("write", &list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::released;

    #[test]
    fn a_version_is_frozen_once_and_with_a_fixture() {
        let root = std::env::temp_dir().join(format!("xtask-release-wit-{}", std::process::id()));
        for (path, text) in [
            ("wit/v1/a.wit", "package x;"),
            (COMPONENT, "wasm"),
            (INPUT, "# A"),
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let freeze = |version: &str| release(&root, version, |_, _| Ok("# A\n".to_owned()));
        for wrong in ["v2", "../wit/v1", "v1/../v1", ""] {
            let failure = freeze(wrong).unwrap_err().to_string();
            assert!(failure.starts_with("no version"), "{failure}");
        }
        let failed = release(&root, "v1", |_, _| Err(Failure::new("no")));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(released::check(&root).unwrap(), [], "not frozen yet");
        freeze("v1").unwrap();
        assert_eq!(released::check(&root).unwrap(), []);
        let failure = freeze("v1").unwrap_err().to_string();
        assert_eq!(failure, "`v1` is frozen already");
        std::fs::write(root.join("wit/v1/a.wit"), "package y;").unwrap();
        assert_eq!(released::check(&root).unwrap().len(), 1);
        std::fs::remove_dir_all(root).unwrap();
    }
}
