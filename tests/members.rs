//! Members: further documents that a converter found inside an input. Each is a page of the wiki that
//! comes, changes and goes with its document.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::support::consistency::violations;
use crate::support::{Env, Said, component, json, logical_registry, tree};

const DIR: &str = "wiki/sources/members/a";

/// Adds documents with the converter that makes members.
fn add(env: &Env, args: &[&str]) -> Said {
    let mut command = env.command(["add", "--plugin"]);
    env.finish(command.arg(component("hostile")).args(args))
}

/// A KB with one document of three members, and another one.
fn with_members() -> Env {
    let env = Env::new();
    env.doc("a.hostile", "members 3 alpha\n");
    env.doc("b.hostile", "ok # B\n");
    let said = add(&env, &["docs/a.hostile", "docs/b.hostile"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.stderr.contains("warning"), "{said:?}");
    env
}

/// The files in the folder of members.
fn members(kb: &Path) -> Vec<String> {
    let dir = fs::read_dir(kb.join(DIR)).into_iter().flatten();
    let names = dir.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// The targets of the links of a Markdown page of the KB, from the KB's root.
fn links(env: &Env, page: &str) -> Vec<String> {
    let text = env.kb_text(page);
    let targets = text.split("](").skip(1);
    let dir = env.kb().join(page).parent().unwrap().to_owned();
    targets
        .map(|rest| {
            let target = rest.split(')').next().unwrap();
            let path = dir.join(target).canonicalize();
            let path = path.unwrap_or_else(|error| panic!("{page}: {target}: {error}"));
            let kb = env.kb().canonicalize().unwrap();
            path.strip_prefix(kb).unwrap().display().to_string()
        })
        .collect()
}

/// The pages that a search finds.
fn found(env: &Env, word: &str) -> Vec<String> {
    let answer = json(&env.run(["search", "--json", word]));
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["path"].as_str().unwrap().to_owned())
        .collect()
}

fn findings(env: &Env) -> Vec<Value> {
    let answer = json(&env.run(["doctor", "--json"]));
    answer["findings"].as_array().unwrap().clone()
}

#[test]
fn members_are_pages_that_link_to_each_other() {
    let env = with_members();
    let names = ["0001-table-1.md", "0002-table-2.md", "0003-table-3.md"];
    assert_eq!(members(&env.kb()), names);
    let page = |number: usize| format!("{DIR}/{}", names[number - 1]);
    let picture = "wiki/sources/images/a/img_001.png".to_owned();
    assert_eq!(
        links(&env, "wiki/sources/a.md"),
        [picture.clone(), page(1), page(2), page(3)]
    );
    for number in [1, 3] {
        assert_eq!(links(&env, &page(number)), [page(1), picture.clone()]);
    }
    assert_eq!(
        env.kb_text(&page(2)),
        "# Table 2\n\nThe member2 of alpha.\n"
    );
    assert_eq!(found(&env, "member2"), [page(2)]);
    assert_eq!(found(&env, "alpha").len(), 3);
    assert_eq!(violations(&env.kb()), [""; 0]);
    assert_eq!(findings(&env), [] as [Value; 0]);
}

#[test]
fn what_comes_out_does_not_depend_on_the_way() {
    let env = with_members();
    let (files, registry) = (tree(&env.kb()), logical_registry(&env.kb()));
    fs::create_dir(env.path("cache")).unwrap();
    fs::set_permissions(env.path("cache"), fs::Permissions::from_mode(0o700)).unwrap();
    for (kb, calls) in [("cold", 2), ("warm", 0)] {
        assert_eq!(env.run(["init", kb]).code, 0);
        let mut command = env.command(["add", "-v", "docs", "--kb-dir", kb, "--plugin"]);
        command
            .arg(component("hostile"))
            .env_remove("KBHOST_NO_CACHE")
            .env("KBHOST_CACHE_DIR", env.path("cache"));
        let said = env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        let of_converter = |line: &&str| line.contains("convert{") && line.contains("plugin=");
        let called = said.stderr.lines().filter(of_converter).count();
        assert_eq!(called, calls, "{kb}: {said:?}");
        assert_eq!(tree(&env.path(kb)), files, "{kb}");
        assert_eq!(logical_registry(&env.path(kb)), registry, "{kb}");
    }
}

#[test]
fn an_update_takes_the_old_members_away() {
    let env = with_members();
    env.doc("a.hostile", "members 1 beta\n");
    let edited = env.kb_text(&format!("{DIR}/0003-table-3.md")) + "Mine.\n";
    fs::write(env.kb().join(DIR).join("0003-table-3.md"), &edited).unwrap();
    let said = add(&env, &["docs/a.hostile"]);
    assert!(said.stdout.starts_with("updated  a "), "{said:?}");
    assert_eq!(members(&env.kb()), ["0001-table-1.md"]);
    assert_eq!(found(&env, "alpha"), [""; 0]);
    assert_eq!(found(&env, "beta"), [format!("{DIR}/0001-table-1.md")]);
    let kept = said.stderr.rsplit('`').nth(1).unwrap();
    assert!(said.stderr.contains("was edited by hand"), "{said:?}");
    assert_eq!(env.kb_text(kept), edited, "an edit is not lost");
    let findings = findings(&env);
    assert!(
        findings.iter().all(|one| one["code"] == "conflicts"),
        "{findings:?}"
    );

    env.doc("a.hostile", "ok # No members\n");
    let said = add(&env, &["docs/a.hostile"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!env.kb().join(DIR).exists(), "its folder is left");
    fs::remove_dir_all(env.kb().join(".openkb/kbhost/conflicts")).unwrap();
    assert_eq!(violations(&env.kb()), [""; 0]);
}

#[test]
fn a_removal_takes_the_members_with_it() {
    let env = with_members();
    let said = env.run(["remove", "--yes", "--keep-raw", "a"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!env.kb().join(DIR).exists(), "its folder is left");
    assert_eq!(found(&env, "alpha"), [""; 0]);
    // What somebody put there stays, and its name is not given away.
    fs::create_dir_all(env.kb().join(DIR)).unwrap();
    fs::write(env.kb().join(DIR).join("mine.md"), "mine").unwrap();
    let found = findings(&env);
    let stray = found
        .iter()
        .find(|one| one["subject"] == format!("{DIR}/mine.md"));
    assert_eq!(stray.unwrap()["code"], "unregistered", "{found:?}");
    let said = add(&env, &["docs/a.hostile"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.stdout.starts_with("added    a "), "{said:?}");
    assert_eq!(members(&env.kb()), ["mine.md"]);
}

#[test]
fn a_member_that_is_gone_or_changed_is_found() {
    let env = with_members();
    let (gone, changed) = (
        format!("{DIR}/0001-table-1.md"),
        format!("{DIR}/0002-table-2.md"),
    );
    fs::remove_file(env.kb().join(&gone)).unwrap();
    fs::write(env.kb().join(&changed), "mine").unwrap();
    let told: Vec<(String, String)> = findings(&env)
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            (text("code"), text("subject"))
        })
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for expected in [("file-missing", gone), ("edited", changed)] {
        let expected = (expected.0.to_owned(), expected.1);
        assert!(told.contains(&expected), "{expected:?}: {told:?}");
    }
}

#[test]
fn members_are_verified() {
    let env = with_members();
    let verify = || {
        let mut command = env.command(["verify", "a", "--plugin"]);
        env.finish(command.arg(component("hostile")))
    };
    let said = verify();
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "same       a\n"),
        "{said:?}"
    );
    let registry = env.kb().join(".openkb/kbhost/registry.db");
    let connection = rusqlite::Connection::open(registry).unwrap();
    let sql = "UPDATE documents SET provenance = json_set(provenance, '$.members[1]', ?1) \
               WHERE doc_name = 'a'";
    assert_eq!(connection.execute(sql, ["0".repeat(64)]).unwrap(), 1);
    drop(connection);
    let said = verify();
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (4, "different  a: member 2\n"),
        "{said:?}"
    );
}

#[test]
fn a_rebuilt_registry_knows_the_members() {
    let env = with_members();
    for lost in [
        "registry.db",
        "registry.db-wal",
        "registry.db-shm",
        "search.db",
    ] {
        drop(fs::remove_file(env.kb().join(".openkb/kbhost").join(lost)));
    }
    let said = env.run(["registry", "rebuild"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(found(&env, "member3"), [format!("{DIR}/0003-table-3.md")]);
    let findings = findings(&env);
    let is_of_members = |one: &Value| one["subject"].as_str().unwrap().starts_with(DIR);
    assert!(!findings.iter().any(is_of_members), "{findings:?}");
    assert_eq!(env.run(["remove", "--yes", "a"]).code, 0);
    assert!(!env.kb().join(DIR).exists(), "its folder is left");
}

#[test]
fn convert_writes_members_beside_the_page() {
    let env = Env::new();
    env.doc("a.hostile", "members 2 alpha\n");
    let convert = |args: &[&str]| {
        let mut command = env.command(["convert", "docs/a.hostile", "--plugin"]);
        env.finish(command.arg(component("hostile")).args(args))
    };
    assert_said!(
        convert(&["-o", "out"]),
        code: 0,
        stdout: "out/a.md\nout/a_images/img_001.png\nout/a_members/0001-table-1.md\n\
                 out/a_members/0002-table-2.md\n",
        stderr: "",
    );
    let text = |path: &str| fs::read_to_string(env.path("out").join(path)).unwrap();
    assert!(text("a.md").contains("(a_members/0001-table-1.md)"));
    let member = text("a_members/0001-table-1.md");
    assert!(member.contains("[first](0001-table-1.md) ![p](../a_images/img_001.png)"));
    assert_said!(
        convert(&[]),
        code: 0,
        stdout: "# Members\n\n![p](img_001.png)\n\n- [Table 1](0001-table-1.md)\n\
                 - [Table 2](0002-table-2.md)\n",
        stderr: "note: 1 image and 2 member pages are not written; `kbhost convert \
                 docs/a.hostile -o DIR` writes text, images and member pages\n",
    );
    assert_eq!(json(&convert(&["--json"]))["members"], 2);
}

#[test]
fn what_is_no_member_is_refused_or_left_out() {
    let env = Env::new();
    for (name, command, why) in [
        ("bytes", "member-not-utf8 2", "`t/table-1.md`: not UTF-8"),
        ("many", "members 2001", "2001 members; the limit is 2000"),
    ] {
        env.doc(&format!("{name}.hostile"), command);
        let said = add(&env, &[&format!("docs/{name}.hostile")]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains(why), "{said:?}");
    }
    env.doc("csv.hostile", "member-csv 1\n");
    let said = add(&env, &["docs/csv.hostile"]);
    assert_eq!(said.code, 0, "{said:?}");
    let why = "`t/table-1.md` was left out: a member is kept only if it is `text/markdown`";
    assert!(said.stderr.contains(why), "{said:?}");
    assert!(!env.kb().join("wiki/sources/members").exists());
    assert_eq!(violations(&env.kb()), [""; 0]);
}

/// As many as there can be, in one commit.
#[test]
fn two_thousand_members_are_committed_and_removed() {
    let env = Env::in_memory();
    env.doc("a.hostile", "members 2000 alpha\n");
    let said = add(&env, &["docs/a.hostile"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(members(&env.kb()).len(), 2_000);
    assert_eq!(
        found(&env, "member2000"),
        [format!("{DIR}/2000-table-2000.md")]
    );
    assert_eq!(violations(&env.kb()), [""; 0]);
    assert_eq!(env.run(["remove", "--yes", "a"]).code, 0);
    assert!(!env.kb().join(DIR).exists(), "its folder is left");
}
