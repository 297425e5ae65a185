//! How often an add waits for the disk.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::support::{Env, has, skip};

/// Calls that wait for a disk.
const CALLS: &str = "fsync,fdatasync,syncfs,sync_file_range,msync";

/// Syncs by thread; the first thread that is named is the one that commits.
struct Syncs {
    committer: u64,
    all: u64,
}

/// Runs `add` of everything in `docs` and counts; every document must be added.
fn count(env: &Env, dir: &str, documents: usize) -> Option<Syncs> {
    let rig = "the number of syncs";
    if !has("strace") {
        skip(rig, "strace is not installed");
        return None;
    }
    let trace = env.path("syncs");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e"])
        .arg(format!("trace={CALLS},execve"))
        .arg("-o")
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(["add", "--jobs", "2", dir]);
    env.hermetic(&mut command);
    let said = env.finish(&mut command);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout.matches("added ").count(), documents, "{said:?}");
    let text = fs::read_to_string(&trace).unwrap();
    let thread = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let main = thread(text.lines().next().unwrap());
    let mut by_thread = BTreeMap::<String, u64>::new();
    let begun = text
        .lines()
        .filter(|line| !line.contains("execve(") && !line.contains("<... "));
    for line in begun {
        *by_thread.entry(thread(line)).or_default() += 1;
    }
    let syncs = Syncs {
        committer: by_thread.get(&main).copied().unwrap_or(0),
        all: by_thread.values().sum(),
    };
    covered!(
        "syncs of an add of {documents}: {} in the committer, {} over all threads",
        syncs.committer,
        syncs.all
    );
    assert!(syncs.committer > 0, "the trace saw no sync: {text}");
    Some(syncs)
}

/// A KB whose registry is there and was backed up today.
fn warm() -> Env {
    let env = Env::new();
    env.doc("warm.md", "# Warm\n\nThe NASA report says so.\n");
    assert_eq!(env.run(["add", "docs/warm.md"]).code, 0);
    env
}

fn note(n: usize) -> String {
    format!("---\ntags: [storage]\n---\n# Note {n}\n\nThe NASA report says so, part {n}.\n")
}

#[test]
fn a_single_document_waits_at_most_twelve_times() {
    let env = warm();
    env.doc("one/a.md", note(1));
    let Some(syncs) = count(&env, "docs/one", 1) else {
        return;
    };
    assert!(syncs.all <= 12, "{}", syncs.all);
}

#[test]
fn a_document_of_a_batch_waits_less() {
    const BATCH: usize = 64;
    let env = warm();
    for n in 0..BATCH {
        env.doc(&format!("batch/{n:02}.md"), note(n));
    }
    let Some(syncs) = count(&env, "docs/batch", BATCH) else {
        return;
    };
    let batch = BATCH as u64;
    assert!(syncs.committer <= batch, "{}", syncs.committer);
    assert!(syncs.all <= 4 * batch, "{}", syncs.all);
}

/// Images are made durable together: by their worker, and by one call when they are published.
#[test]
fn images_cost_at_most_one_sync_each() {
    const IMAGES: usize = 20;
    let env = warm();
    let mut text = note(1);
    for n in 0..IMAGES {
        let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
        picture.resize(100 + n, 7);
        env.doc(&format!("one/img/{n:02}.png"), picture);
        text.push_str(&format!("![{n}](img/{n:02}.png)\n"));
    }
    env.doc("one/a.md", text);
    // What the text refers to are its images, not documents of their own.
    let Some(syncs) = count(&env, "docs/one/a.md", 1) else {
        return;
    };
    let images = fs::read_dir(env.kb().join("wiki/sources/images/a")).unwrap();
    assert_eq!(images.count(), IMAGES);
    assert!(syncs.all <= 12 + IMAGES as u64, "{}", syncs.all);
    assert!(
        syncs.committer <= 12,
        "{}: publishing images costs no sync each",
        syncs.committer
    );
}
