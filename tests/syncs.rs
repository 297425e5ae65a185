//! How often an add waits for the disk, and for which one.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::support::{Env, Mount, has, skip};

/// Calls that wait for a disk.
const CALLS: &str = "fsync,fdatasync,syncfs,sync_file_range,msync";

/// Syncs by thread; the first thread that is named is the one that commits.
struct Syncs {
    committer: u64,
    all: u64,
    /// Syncs of a whole file system, which stand for any number of files.
    of_file_systems: u64,
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
    let of_file_systems = begun
        .clone()
        .filter(|line| line.contains("syncfs("))
        .count() as u64;
    for line in begun {
        *by_thread.entry(thread(line)).or_default() += 1;
    }
    let syncs = Syncs {
        of_file_systems,
        committer: by_thread.get(&main).copied().unwrap_or(0),
        all: by_thread.values().sum(),
    };
    covered!(
        "syncs of an add of {documents} ({dir}): {} in the committer, {} over all threads, {} of them \
         syncfs",
        syncs.committer,
        syncs.all,
        syncs.of_file_systems
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

/// A document in `dir` with pictures of its own.
fn illustrated(env: &Env, dir: &str, n: usize, images: usize) {
    let mut text = note(n);
    for image in 0..images {
        let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
        picture.resize(100 + 10 * n + image, 7);
        env.doc(&format!("{dir}/img/{n:02}-{image:02}.png"), picture);
        text.push_str(&format!("![{image}](img/{n:02}-{image:02}.png)\n"));
    }
    env.doc(&format!("{dir}/n{n:02}.md"), text);
}

fn stored_images(env: &Env, name: &str) -> usize {
    let images = env.kb().join("wiki/sources/images").join(name);
    fs::read_dir(images).unwrap().count()
}

/// Images are made durable together: by their worker, and by one call when they are published.
#[test]
fn images_cost_at_most_one_sync_each_or_one_for_all() {
    const IMAGES: usize = 20;
    let env = warm();
    illustrated(&env, "one", 1, IMAGES);
    let Some(syncs) = count(&env, "docs/one", 1) else {
        return;
    };
    assert_eq!(stored_images(&env, "n01"), IMAGES);
    let is_each = syncs.all <= 4 + IMAGES as u64;
    let is_together = syncs.of_file_systems > 0 && syncs.all <= 12;
    assert!(
        is_each || is_together,
        "{}, {} syncfs",
        syncs.all,
        syncs.of_file_systems
    );
    assert!(syncs.committer <= 12, "{}", syncs.committer);
}

#[test]
fn images_of_a_batch_cost_at_most_one_sync_each() {
    const BATCH: usize = 64;
    const IMAGES: usize = 3;
    let env = warm();
    for n in 0..BATCH {
        illustrated(&env, "batch", n, IMAGES);
    }
    let Some(syncs) = count(&env, "docs/batch", BATCH) else {
        return;
    };
    for n in 0..BATCH {
        assert_eq!(stored_images(&env, &format!("n{n:02}")), IMAGES);
    }
    assert!(syncs.committer <= BATCH as u64, "{}", syncs.committer);
    let allowed = (4 + IMAGES) * BATCH;
    assert!(syncs.all <= allowed as u64, "{}", syncs.all);
}

/// Goal: what was published is durable before the commit also where a part of the KB is a file system
/// of its own: `syncfs` reaches one only. Method: `raw/` is another one, on which nobody else writes;
/// the trace must show a sync of it between the original's rename and the registry's commit.
#[test]
fn a_part_on_another_disk_is_durable_before_the_commit() {
    let rig = "the sync of another disk";
    if !has("strace") {
        return skip(rig, "strace is not installed");
    }
    let env = Env::new();
    env.doc("a.md", note(1));
    let raw = env.kb().join("raw");
    let Some(mount) = Mount::tmpfs(&raw, "4m", rig) else {
        return;
    };
    let trace = env.path("syncs");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-qq", "-e", "signal=none", "-e"])
        .arg(format!("trace={CALLS},?rename,?renameat,?renameat2"))
        .arg("-o")
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(["add", "docs/a.md"]);
    env.hermetic(&mut command);
    let said = env.finish(&mut command);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(raw.join("a.md").exists());
    let text = fs::read_to_string(&trace).unwrap();
    let at = |what: &str, is_it: &dyn Fn(&str) -> bool| {
        let found = text.lines().enumerate().filter(|(_, line)| is_it(line));
        let numbers: Vec<usize> = found.map(|(number, _)| number).collect();
        assert!(!numbers.is_empty(), "no {what}: {text}");
        numbers
    };
    let whole = format!("<{}>", raw.canonicalize().unwrap().display());
    let is_sync = |line: &str| line.contains("sync(") || line.contains("syncfs(");
    let published = at("rename", &|line| {
        line.contains("rename") && line.contains(&whole) && line.contains("\"a.md\"")
    });
    let synced = at("sync of the other disk", &|line| {
        is_sync(line) && line.contains(&whole)
    });
    let committed = at("commit", &|line| {
        is_sync(line) && line.contains("registry.db-wal")
    });
    let (published, committed) = (published.last().unwrap(), committed.last().unwrap());
    assert!(
        synced
            .iter()
            .any(|sync| published < sync && sync < committed),
        "{text}"
    );
    covered!("syncs of another disk: {} in an add", synced.len());
    drop(mount);
}
