//! Removals under the crash matrix: undone or finished as a whole, like every other mutation.

use super::documents;
use super::matrix::Rig;
use crate::support::{Env, copy_tree};

/// Where the folder of a document's images is removed, empty by then.
const EMPTY_FOLDER: &str = "cleanup.part-dir";

#[test]
fn a_removal_of_shared_pages_images_and_hand_edits() {
    let rig = Rig::new(
        documents::shared(Env::in_memory()),
        &["remove", "--yes", "a"],
    );
    for point in [
        "snapshot.link",
        "conflict.copy",
        "write.rename",
        "write.unlink",
        EMPTY_FOLDER,
    ] {
        rig.place(point);
    }
    rig.delayed();
    // The folder that a failing clean-up leaves is the next test's.
    let modes = ["abort", "error", "enospc"];
    rig.matrix(&modes, |_, point| point != EMPTY_FOLDER)
        .finish("remove", 200);
    rig.matrix(&["abort"], |_, point| point == EMPTY_FOLDER)
        .finish("an empty folder", 1);
}

/// A document with members goes as a whole; its folders go with it.
#[test]
fn a_removal_of_members() {
    let rig = Rig::new(
        documents::members(Env::in_memory()),
        &["remove", "--yes", "m"],
    );
    rig.place("write.unlink");
    rig.place(EMPTY_FOLDER);
    rig.matrix(&["abort", "enospc"], |_, point| point != EMPTY_FOLDER)
        .finish("remove members", 80);
    rig.matrix(&["abort"], |_, point| point == EMPTY_FOLDER)
        .finish("empty folders", 2);
}

/// Goal: an image folder that could not be removed is removed by the next command, and in nobody's
/// way. Method: the removal of the folder fails once.
#[test]
fn an_empty_image_folder_goes_with_the_next_command() {
    let env = documents::shared(Env::in_memory());
    let fault = format!("{EMPTY_FOLDER}:error");
    let said = env.run_with(&[("KBHOST_FAULT", &fault)], ["remove", "--yes", "a"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr
            .contains("warning: could not clean up after a finished change: "),
        "{said:?}"
    );
    let folder = env.kb().join("wiki/sources/images/a");
    assert!(folder.exists());
    let said = env.run(["add", "docs/a.md"]);
    assert_eq!(said.stdout, "added    a <- docs/a.md\n", "{said:?}");
    assert_eq!(env.run(["remove", "--yes", "a"]).code, 0);
    assert!(!folder.exists());
}

/// A fault that is one document's: the two are removed one by one; a kill or a full disk is both's.
#[test]
fn a_removal_of_two_documents() {
    let rig = Rig::new(
        documents::shared(Env::in_memory()),
        &["remove", "--yes", "--keep-raw", "a", "b"],
    );
    rig.delayed();
    rig.matrix(&["abort", "enospc", "invalid"], |_, point| {
        point != EMPTY_FOLDER
    })
    .finish("remove two", 210);
}

/// The removal died between its commit and its effects: what it left is cleaned up by the next
/// command, the emptied image folder too.
#[test]
fn recovery_of_a_removal_that_died_after_its_commit() {
    let env = documents::shared(Env::in_memory());
    let (done, dead) = (env.path("done/kb"), env.path("dead/kb"));
    for (kb, fault, code) in [(&done, "", 0), (&dead, "commit.after:abort", -1)] {
        copy_tree(&env.kb(), kb);
        let vars = [("KBHOST_FAULT", fault), ("KBHOST_KB", kb.to_str().unwrap())];
        let said = env.run_with(&vars, ["remove", "--yes", "a"]);
        assert_eq!(said.code, code, "{said:?}");
    }
    assert!(dead.join("wiki/sources/images/a").exists());
    assert!(!done.join("wiki/sources/images/a").exists());
    let rig = Rig::recovering(env, &done, dead, &["add", "docs/c.md"]);
    let end = rig.place("drain.after");
    rig.place(EMPTY_FOLDER);
    rig.matrix(&["abort", "error"], |index, _| index <= end)
        .finish("cleanup after a removal", 30);
}

/// The removal died with everything gone and nothing committed.
#[test]
fn recovery_of_a_removal_that_died_before_its_commit() {
    let env = documents::shared(Env::in_memory());
    let (settled, dead) = (env.kb(), env.path("dead/kb"));
    copy_tree(&settled, &dead);
    let vars = [
        ("KBHOST_FAULT", "registry.after:abort"),
        ("KBHOST_KB", dead.to_str().unwrap()),
    ];
    let said = env.run_with(&vars, ["remove", "--yes", "a"]);
    assert_eq!(said.code, -1, "{said:?}");
    assert!(!dead.join("raw/a.md").exists());
    let rig = Rig::recovering(env, &settled, dead, &["add", "docs/c.md"]);
    let end = rig.place("drain.after");
    rig.place("undo.link");
    rig.matrix(&["abort"], |index, _| index <= end)
        .finish("recovery of a removal", 40);
}
