//! The crash scenarios of the mutation core over documents of a remote service: they have no original,
//! and are fetched before anything of the KB is touched. The service is a real server on loopback.

use kbhost_cloud_server::{Doc, Script};

use super::documents;
use super::matrix::{MODES, Rig};
use crate::support::cloud::{Cloud, KEY};
use crate::support::oracle::{State, compare};
use crate::support::{Env, staging_entries};

/// What is imported: a long document with a tree and a picture, and one whose name is taken.
const ADD: [&str; 4] = ["add", "--from-pageindex-cloud", "pi-long", "pi-taken"];

/// A KB with local documents, one of which has a name that an import would take, and the service.
fn cloud() -> Cloud {
    let env = documents::first(Env::in_memory());
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    let script = Script::new(KEY)
        .with("pi-long", Doc::report("Long report.pdf", 24))
        .with("pi-taken", Doc::report(r"C:\reports\b.pdf", 3));
    Cloud::of(env, script)
}

/// The variables of every run. The rig keeps them as long as the program runs.
fn vars(cloud: &Cloud) -> [(&'static str, &'static str); 3] {
    let variables = cloud.server.variables();
    variables.map(|(name, value)| (name, &*value.leak()))
}

/// Runs `test` on a rig whose service lives as long.
fn with_rig(args: &[&str], faults: &'static str, test: impl FnOnce(Rig)) {
    let Cloud { env, server } = cloud();
    let cloud = Cloud {
        env: Env::empty(),
        server,
    };
    let vars = vars(&cloud);
    test(Rig::with(env, args, faults, &vars));
}

#[test]
fn imports_are_whole_or_not_there() {
    with_rig(&ADD, "", |rig| {
        rig.place("publish.rename");
        rig.delayed();
        rig.matrix(&MODES, |_, _| true).finish("cloud add", 300);
    });
}

#[test]
fn a_rollback_of_an_import_that_fails() {
    with_rig(&ADD[..3], "registry.after:error", |rig| {
        let start = rig.place("registry.after");
        rig.matrix(&["abort", "error"], |index, _| index > start)
            .finish("cloud rollback", 20);
    });
}

#[test]
fn an_import_across_file_systems_goes_back() {
    let cloud = cloud();
    let old = State::of(&cloud.env.kb());
    let fault = "publish.rename:exdev,registry.after:error";
    let said = cloud
        .env
        .finish(cloud.command(&ADD[..3]).env("KBHOST_FAULT", fault));
    assert_eq!(said.code, 1, "{said:?}");
    compare("rolled back", &State::of(&cloud.env.kb()), &old).unwrap();
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
    let said = cloud.env.finish(
        cloud
            .command(&ADD[..3])
            .env("KBHOST_FAULT", "publish.rename:exdev"),
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
}

/// Goal: what an earlier run left is settled before an import. Method: a local add dies with everything
/// in place and nothing committed; the import follows, and is the only one in.
#[test]
fn a_seeded_journal_is_drained_before_an_import() {
    for (point, is_in) in [
        ("registry.after:abort", false),
        ("commit.after:abort", true),
    ] {
        let cloud = cloud();
        let said = cloud
            .env
            .run_with(&[("KBHOST_FAULT", point)], ["add", "docs/a.md"]);
        assert_eq!(said.code, -1, "{said:?}");
        assert!(!staging_entries(&cloud.env.kb()).is_empty());
        cloud.import(&["pi-long"]);
        assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
        let listed = cloud.env.run(["list"]).stdout;
        assert!(listed.contains("Long-report"), "{listed}");
        assert_eq!(
            listed.lines().any(|line| line.starts_with("a ")),
            is_in,
            "{listed}"
        );
    }
}
