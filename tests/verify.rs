//! `verify`: what comes out of an original now is compared with what came out of it then.

use std::fs;

use crate::support::{Env, Said, component, everything, json};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

/// A KB with three documents, one of which has a picture.
fn three() -> Env {
    let env = Env::new();
    env.doc("a.md", "# A\n\nSome words.\n");
    env.doc("b.csv", "x,y\n1,2\n");
    env.doc("c.md", "# C\n\n![p](p.png) ![q](none.png)\n");
    env.doc("p.png", PNG);
    let said = env.run(["add", "docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

fn sql(env: &Env, statement: &str) {
    let path = env.kb().join(".openkb/kbhost/registry.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    assert!(connection.execute(statement, []).unwrap() > 0);
}

fn verify(env: &Env, args: &[&str]) -> Said {
    env.run([&["verify"], args].concat())
}

#[test]
fn what_was_not_touched_is_the_same() {
    let env = three();
    let before = everything(&env.kb());
    assert_said!(
        verify(&env, &["--all"]),
        code: 0,
        stdout: "same       a\nsame       b\nsame       c\n",
        stderr: "3 the same, 0 different, 0 cannot be verified.\n",
    );
    assert_eq!(
        everything(&env.kb()),
        before,
        "verification changes nothing"
    );
    let answer = json(&verify(&env, &["b", "a", "--json"]));
    assert_eq!(answer["same"], 2);
    assert_eq!(answer["documents"][0]["name"], "b");
    assert_eq!(answer["documents"][0]["status"], "same");
    assert_eq!(verify(&env, &[]).code, 2);
    assert_eq!(verify(&env, &["nothing-of-this-name"]).code, 1);
}

#[test]
fn a_difference_is_named() {
    let env = three();
    let zero = "0".repeat(64);
    for (document, field, named) in [
        ("a", "main", "main page"),
        ("b", "pages", "page texts"),
        ("c", "images[0]", "image 1"),
    ] {
        sql(
            &env,
            &format!(
                "UPDATE documents SET provenance = json_set(provenance, '$.{field}', '{zero}') \
                 WHERE doc_name = '{document}'"
            ),
        );
        assert_said!(
            verify(&env, &[document]),
            code: 4,
            stdout: format!("different  {document}: {named}\n"),
            stderr: "0 the same, 1 different, 0 cannot be verified.\n",
        );
    }
}

#[test]
fn a_changed_original_is_a_difference() {
    let env = three();
    fs::write(env.kb().join("raw/a.md"), "# A\n\nOther words.\n").unwrap();
    let said = verify(&env, &["--all"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.stdout.starts_with("different  a: original\n"),
        "{said:?}"
    );
    fs::remove_file(env.kb().join("raw/a.md")).unwrap();
    let said = verify(&env, &["a"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.stdout.contains("it fails now"), "{said:?}");
}

#[test]
fn what_cannot_be_verified_says_why() {
    let env = three();
    let check = |args: &[&str], reason: &str| {
        let said = verify(&env, args);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.contains("cannot be verified: "), "{said:?}");
        assert!(said.stdout.contains(reason), "{said:?}");
        assert!(said.stderr.contains("1 cannot be verified"), "{said:?}");
    };
    fs::write(env.path("docs/p.png"), [PNG, b"more"].concat()).unwrap();
    check(&["c"], "the files it refers to are gone or changed");
    fs::remove_dir_all(env.path("docs")).unwrap();
    check(&["c"], "the files it refers to are gone");
    let hostile = component("hostile");
    let other = ["a", "--plugin", hostile.to_str().unwrap()];
    check(&other, "it was converted by another converter, `markdown ");
    sql(
        &env,
        "UPDATE documents SET provenance = NULL WHERE doc_name = 'a'",
    );
    check(&["a"], "it has no provenance");
    sql(
        &env,
        "UPDATE documents SET provenance = '{}' WHERE doc_name = 'b'",
    );
    check(&["b"], "its provenance is of an older version, or damaged");
}
