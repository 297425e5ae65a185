//! What an add costs in a knowledge base of ten thousand documents, and what people find in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use kbhost_cloud_server::Script;

use crate::support::cloud::{Cloud, KEY};
use crate::support::strace::{self, Cost};
use crate::support::{Env, skip};

/// Documents before the first and before the second measurement.
const SIZES: [usize; 2] = [1_000, 10_000];

/// Single adds that are measured in each; the median counts.
const RUNS: usize = 5;

/// How much dearer an add may be with ten times as many documents.
const RATIO_MAX: f64 = 1.3;

/// Documents that share a term beside the one that fills a page.
const SHARED_BY: usize = 5;

/// Notes below this number fill the page of their common term.
const FILLING: usize = 1_000;

/// How far apart the notes are that have the common term once its page is full.
const STEP: usize = 20;

/// Goal: the cost of an add, of an update and of an import from a service, in system calls and in bytes written, is the same
/// whether a KB has 1,000 documents or 10,000; the export of `hashes.json`, which grows, is left
/// out. Method: one KB, filled by the program itself; `strace` counts five single adds and five
/// updates at each size. Every document is in a term page that is full at both sizes, joins one that
/// is not, and makes one. The control is an add with the export: the rig must see it grow.
#[test]
fn an_add_costs_the_same_with_ten_times_the_documents() {
    let rig = "the cost of an add";
    let probe = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=none", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return skip(rig, "strace is missing or may not trace");
    }
    let cloud = Cloud::of(Env::in_memory(), Script::new(KEY).with_reports(2 * RUNS));
    let env = &cloud.env;
    set_export(env, "never");
    let started = Instant::now();
    let mut measured = Vec::new();
    let (mut notes, mut probes, mut imports) = (0, 0, 0);
    for size in SIZES {
        let others = probes + imports;
        fill(env, notes..size - others);
        notes = size - others;
        // The first add of a day backs the registry up, and the section of documents is parted by
        // the one behind the thousandth: neither is what an add costs.
        add_probe(env, &mut probes);
        let adds: Vec<_> = (0..RUNS).map(|_| add_probe(env, &mut probes)).collect();
        let updates: Vec<_> = (0..RUNS)
            .map(|run| update_note(env, (notes / STEP - 5 - run) * STEP))
            .collect();
        let imported: Vec<_> = (0..RUNS).map(|_| import(&cloud, &mut imports)).collect();
        measured.push([median(&adds), median(&updates), median(&imported)]);
    }
    set_export(env, "always");
    let with_export = add_probe(env, &mut probes);
    covered!("{rig}: {:.0} s", started.elapsed().as_secs_f64());
    let mut dear = Vec::new();
    for (at, what) in ["add", "update", "cloud add"].into_iter().enumerate() {
        let [few, many] = [measured[0][at], measured[1][at]];
        covered!(
            "{what}: {few:?} with {} documents, {many:?} with {}",
            SIZES[0],
            SIZES[1]
        );
        for (unit, few, many) in [
            ("system calls", few.calls, many.calls),
            ("bytes written", few.bytes_written, many.bytes_written),
        ] {
            assert!(few > 0, "nothing was counted");
            let ratio = many as f64 / few as f64;
            covered!("{what}, {unit}: {ratio:.2}x");
            if ratio > RATIO_MAX {
                dear.push(format!("{what}, {unit}: {few} and {many}"));
            }
        }
    }
    assert_eq!(dear, [""; 0]);
    let export = with_export.bytes_written as f64 / measured[1][0].bytes_written as f64;
    assert!(export > RATIO_MAX, "the control was not seen: {export:.2}");
    check_pages(env, notes + probes + imports);
    check_commands(env);
}

/// Adds notes of these numbers at once.
fn fill(env: &Env, numbers: Range<usize>) {
    let folder = format!("fill-{}", numbers.end);
    for number in numbers {
        note(env, &folder, number, "something short");
    }
    let said = env.run(["add", "-q", "--jobs", "2", &format!("docs/{folder}")]);
    assert_eq!((said.code, said.stderr.as_str()), (0, ""));
}

fn note(env: &Env, folder: &str, number: usize, says: &str) -> PathBuf {
    let topic = number / SHARED_BY;
    let step = if number < FILLING { 2 } else { STEP };
    let scale = if number.is_multiple_of(step) {
        "scale, "
    } else {
        ""
    };
    env.doc(
        &format!("{folder}/note-{number:05}.md"),
        format!(
            "---\ntags: [{scale}topic-{topic}]\n---\n# Note {number}\n\nNote {number} says {says} of topic {topic}.\n"
        ),
    )
}

/// Adds the next single document: it joins a full term page and one that is not full, and makes one
/// together with the probe before it.
fn add_probe(env: &Env, probes: &mut usize) -> Cost {
    let number = *probes;
    *probes += 1;
    let text = format!(
        "---\ntags: [scale, topic-{number}, pair-{number}, pair-{}]\n---\n# Probe {number}\n\nProbe {number} says a word.\n",
        number + 1,
    );
    cost_of_add(env, &env.doc(&format!("probe-{number}.md"), text))
}

/// Changes a note and adds it again.
fn update_note(env: &Env, number: usize) -> Cost {
    let folders = fs::read_dir(env.path("docs")).unwrap();
    let name = format!("note-{number:05}.md");
    let folder = folders
        .map(|entry| entry.unwrap().path())
        .find(|folder| folder.join(&name).exists())
        .unwrap();
    let folder = folder.file_name().unwrap().to_str().unwrap().to_owned();
    cost_of_add(env, &note(env, &folder, number, "something else"))
}

/// Imports the next document of the service.
fn import(cloud: &Cloud, imports: &mut usize) -> Cost {
    *imports += 1;
    let id = format!("pi-{imports:04}");
    let args = [OsStr::new("--from-pageindex-cloud"), OsStr::new(&id)];
    cost_of(&cloud.env, &cloud.server.variables(), &args)
}

fn cost_of_add(env: &Env, document: &Path) -> Cost {
    cost_of(env, &[], &[document.as_os_str()])
}

/// What an add costs.
fn cost_of(env: &Env, vars: &[(&str, String)], args: &[&OsStr]) -> Cost {
    let trace = env.path("trace");
    let mut command = Command::new("strace");
    env.hermetic(&mut command);
    command.envs(vars.iter().map(|(name, value)| (name, value)));
    command.args(strace::COST_OPTIONS).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_kbhost"));
    command.args(["add", "--jobs", "1"]).args(args);
    let said = env.finish(&mut command);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.starts_with("added ") || said.stdout.starts_with("updated "),
        "{said:?}"
    );
    strace::cost(&fs::read_to_string(trace).unwrap())
}

fn median(costs: &[Cost]) -> Cost {
    let middle = |value: fn(&Cost) -> u64| {
        let mut values: Vec<u64> = costs.iter().map(value).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    Cost {
        calls: middle(|cost| cost.calls),
        bytes_written: middle(|cost| cost.bytes_written),
    }
}

fn set_export(env: &Env, when: &str) {
    let path = env.kb().join(".openkb/config.yaml");
    let config = fs::read_to_string(&path).unwrap();
    let kept = config
        .lines()
        .filter(|line| !line.starts_with("openkb_export:"));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    fs::write(path, format!("{kept}openkb_export: {when}\n")).unwrap();
}

/// Every document and every page of a term is in the shard of its kind, once; every link of the
/// index and of the shards leads to a page.
fn check_pages(env: &Env, documents: usize) {
    let wiki = env.kb().join("wiki");
    let index = env.kb_text("wiki/index.md");
    assert!(index.len() < 8_192, "{} bytes", index.len());
    let mut entries: BTreeMap<String, usize> = BTreeMap::new();
    let mut shards = 0;
    for target in targets(&index) {
        assert!(target.starts_with("index/"), "`{target}` is in no shard");
        let shard = env.kb_text(&format!("wiki/{target}.md"));
        assert!(shard.contains("[[index]]"), "{target}");
        let found = targets(&shard);
        assert!(
            (1..=250).contains(&found.len()),
            "{target}: {}",
            found.len()
        );
        for entry in found {
            assert!(
                wiki.join(format!("{entry}.md")).is_file(),
                "{target}: {entry}"
            );
            *entries.entry(entry).or_default() += 1;
        }
        shards += 1;
    }
    assert_eq!(fs::read_dir(wiki.join("index")).unwrap().count(), shards);
    assert!(entries.values().all(|count| *count == 1));
    let of = |folder: &str| {
        let found = entries.keys().filter(|entry| entry.starts_with(folder));
        found.count()
    };
    assert_eq!(of("summaries/"), documents);
    let concepts = fs::read_dir(wiki.join("concepts")).unwrap().count();
    assert!(concepts > 1_000);
    assert_eq!(of("concepts/"), concepts);
    covered!("{documents} documents and {concepts} concepts in {shards} shards");
}

/// The pages that the entries of a list link to.
fn targets(page: &str) -> Vec<String> {
    let links = page.lines().filter_map(|line| line.strip_prefix("- [["));
    links
        .map(|link| link.split("]]").next().unwrap().to_owned())
        .collect()
}

/// No command needs the index to find a document.
fn check_commands(env: &Env) {
    fs::remove_file(env.kb().join("wiki/index.md")).unwrap();
    fs::remove_dir_all(env.kb().join("wiki/index")).unwrap();
    for (words, found) in [
        (&["list"][..], "note-00007"),
        (&["search", "topic 1400"], "note-07000"),
        (
            &["show", "note-00007"],
            "Note 7 says something short of topic 1.",
        ),
    ] {
        let said = env.run(words);
        assert_eq!(said.code, 0, "{words:?}: {}", said.stderr);
        assert!(said.stdout.contains(found), "{words:?}: {found}");
    }
}
