//! Documents of a remote service: imported by id, or sent there and imported. The service is a real
//! server on loopback that speaks the API from its recorded shapes.

mod errors;
#[cfg(feature = "fault-points")]
mod hostile;
mod secrets;
mod sent;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kbhost_cloud_server::{Call, Doc, Fault, Fields, Script};

use crate::support::cloud::{Cloud, KEY};
use crate::support::consistency::violations;
use crate::support::wait::until;
use crate::support::{Env, json, staging_entries, tree};

fn three() -> Script {
    Script::new(KEY)
        .with("pi-tide", Doc::report("Tide tables 2026.pdf", 24))
        .with("pi-quay", Doc::report(r"C:\Users\Ada\Quay_survey.PDF", 3))
        .with("pi-gallery", Doc::gallery("gallery.pdf"))
}

#[test]
fn documents_are_imported_with_pages_tree_and_images() {
    let cloud = Cloud::new(three());
    let said = cloud.import(&["pi-tide", "pi-quay", "pi-gallery"]);
    let lines: Vec<_> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert!(
        lines[0] == "added    Tide-tables-2026 <- pi-tide",
        "{said:?}"
    );
    let env = &cloud.env;

    // Named after the file that the service has, whatever system its path is of.
    let listed = json(&env.run(["list", "--json"]));
    let documents = listed["documents"].as_array().unwrap();
    let told: Vec<_> = documents
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            (
                text("doc_name"),
                text("type"),
                text("source_key"),
                text("name"),
            )
        })
        .collect();
    let row = |name: &str, id: &str, file: &str| {
        let key = format!("pageindex-cloud:{id}");
        (
            name.to_owned(),
            "pageindex_cloud".to_owned(),
            key,
            file.to_owned(),
        )
    };
    assert_eq!(
        told,
        [
            row("Tide-tables-2026", "pi-tide", "Tide tables 2026.pdf"),
            row("Quay_survey", "pi-quay", "Quay_survey.PDF"),
            row("gallery", "pi-gallery", "gallery.pdf"),
        ]
    );
    assert!(documents.iter().all(|row| row["raw_path"].is_null()));
    assert_eq!(documents[0]["pages"], 24);
    let registry = env.logical_registry();
    assert!(registry.contains("cloud"), "{registry}");

    // The same files as a local long document has.
    let page = env.kb_text("wiki/sources/Tide-tables-2026.md");
    assert!(page.contains("<!-- page 12 -->"), "{page}");
    let pages: serde_json::Value =
        serde_json::from_str(&env.kb_text("wiki/sources/Tide-tables-2026.json")).unwrap();
    assert_eq!(pages.as_array().unwrap().len(), 24);
    assert_eq!(pages[11]["page"], 12);
    let image = pages[0]["images"][0]["path"].as_str().unwrap();
    assert!(env.kb().join("wiki").join(image).is_file(), "{image}");
    let summary = env.kb_text("wiki/summaries/Tide-tables-2026.md");
    assert!(summary.contains("doc_type: pageindex"), "{summary}");
    assert!(summary.contains("(pages 1–2)"), "{summary}");
    let shown = env.run(["show", "Tide-tables-2026", "--node", "0001"]);
    assert_eq!(shown.code, 0, "{shown:?}");

    // Metadata, tree and pages once each, whatever the number of pages.
    for call in [Call::Metadata, Call::Tree, Call::Pages] {
        assert_eq!(cloud.server.count(call), 3, "{call:?}");
    }
    assert_eq!(violations(&env.kb()), [""; 0]);
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
}

#[test]
fn every_variant_of_the_answers_gives_the_same_document() {
    let mut script = Script::new(KEY);
    let variants = Fields::variants();
    for (number, fields) in variants.iter().enumerate() {
        let doc = Doc::report("report.pdf", 6).with_fields(*fields);
        script = script.with(&format!("pi-{number}"), doc);
    }
    // What does not say where it ends goes on to where the next begins: another document, by that.
    let mut seen: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for (number, fields) in variants.iter().enumerate() {
        let cloud = Cloud::new(script.clone());
        cloud.import(&[&format!("pi-{number}")]);
        let mut tree = tree(&cloud.env.kb());
        // The log tells the id.
        tree.remove("wiki/log.md");
        seen.insert((fields.ends, format!("{tree:?}")), number);
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn a_known_document_costs_no_call() {
    let cloud = Cloud::new(three());
    cloud.import(&["pi-quay"]);
    let calls = cloud.server.requests().len();
    let before = tree(&cloud.env.kb());
    let said = cloud.import(&["pi-quay", "pi-quay"]);
    assert!(
        said.stdout.starts_with("skipped  Quay_survey <- pi-quay "),
        "{said:?}"
    );
    assert_eq!(said.stdout.lines().count(), 1, "{said:?}");
    assert_eq!(cloud.server.requests().len(), calls);
    assert_eq!(tree(&cloud.env.kb()), before);
    // What would be done is told without a call and without a key.
    let mut command = cloud
        .env
        .command(["add", "--dry-run", "--from-pageindex-cloud"]);
    let said = cloud.env.finish(command.args(["pi-quay", "pi-tide"]));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(cloud.server.requests().len(), calls);
}

/// Goal: what happened in the KB while the service was asked counts, not what was true before. Method:
/// two imports of the same ids, and an add of a file with the name that an import would take, run while
/// the service is slow.
#[test]
fn what_was_registered_meanwhile_is_seen_at_the_commit() {
    let script = three().with_delay(Duration::from_millis(300));
    let cloud = Cloud::new(script);
    let spawn = || {
        let args = ["add", "--from-pageindex-cloud", "pi-quay", "pi-tide"];
        cloud.env.spawn(&mut cloud.command(args))
    };
    let (one, other) = (spawn(), spawn());
    cloud
        .env
        .doc("Quay_survey.md", "# Another survey\n\nOf the same quay.\n");
    let local = cloud.env.run(["add", "docs/Quay_survey.md"]);
    let (one, other) = (cloud.env.wait(one), cloud.env.wait(other));
    assert_eq!(
        (local.code, one.code, other.code),
        (0, 0, 0),
        "{one:?} {other:?}"
    );
    let all = format!("{}{}", one.stdout, other.stdout);
    assert_eq!(all.matches("added    ").count(), 2, "{all}");
    assert_eq!(all.matches("skipped  ").count(), 2, "{all}");
    let listed = json(&cloud.env.run(["list", "--json"]));
    let names = listed["documents"].as_array().unwrap().iter();
    let mut names: Vec<_> = names.map(|row| row["doc_name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"Quay_survey"), "{names:?}");
    assert!(
        names.iter().any(|name| name.starts_with("Quay_survey-")),
        "{names:?}"
    );
    assert_eq!(violations(&cloud.env.kb()), [""; 0]);
}

#[test]
fn a_document_is_removed_without_a_call() {
    let cloud = Cloud::new(three());
    let empty = tree(&cloud.env.kb());
    cloud.import(&["pi-tide"]);
    let calls = cloud.server.requests().len();
    let said = cloud.env.run(["remove", "--yes", "Tide-tables-2026"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(cloud.server.requests().len(), calls);
    let left: Vec<_> = tree(&cloud.env.kb()).into_keys().collect();
    let before: Vec<_> = empty.into_keys().collect();
    assert_eq!(left, before);
    // It is still there to be imported again.
    cloud.import(&["pi-tide"]);
}

#[test]
fn commands_that_need_the_original_do_without() {
    let cloud = Cloud::new(three());
    cloud.import(&["pi-quay"]);
    let calls = cloud.server.requests().len();
    let said = cloud.env.run(["verify", "--all"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("a service made it"), "{said:?}");
    for args in [
        &["doctor"][..],
        &["plugin", "list", "--stale"],
        &["status"],
        &["show", "Quay_survey"],
    ] {
        let said = cloud.env.run(args);
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
    }
    assert_eq!(cloud.server.requests().len(), calls);
    // OpenKB knows it by what it writes itself.
    let exported = cloud.env.kb_text(".openkb/hashes.json");
    for field in [
        "\"type\": \"pageindex_cloud\"",
        "\"origin\": \"cloud\"",
        "\"doc_id\": \"pi-quay\"",
        "\"path\": \"pageindex-cloud:pi-quay\"",
    ] {
        assert!(exported.contains(field), "{field}: {exported}");
    }
}

/// Goal: a wait is not work: with eight workers on two cores, forty documents of a service that takes
/// 50 ms for each answer come at least five times as fast as with one, and the KB is the same.
#[test]
fn forty_documents_come_five_times_as_fast_with_eight_workers() {
    let ids: Vec<_> = (1..=40).map(|number| format!("pi-{number:04}")).collect();
    let run = |jobs: &str| {
        let script = Script::new(KEY)
            .with_reports(40)
            .with_delay(Duration::from_millis(50));
        let cloud = Cloud::of(Env::in_memory(), script);
        let mut command = cloud.command(["add", "--jobs", jobs, "--from-pageindex-cloud"]);
        let started = Instant::now();
        let said = cloud.env.finish(command.args(&ids));
        assert_eq!(said.code, 0, "{said:?}");
        let took = started.elapsed();
        let state = (tree(&cloud.env.kb()), cloud.env.logical_registry());
        (took, state, cloud.server.concurrent_max())
    };
    let (one, serial, alone) = run("1");
    let (eight, parallel, together) = run("8");
    let ratio = one.as_secs_f64() / eight.as_secs_f64();
    covered!("40 documents at 50 ms a call: {one:.2?} with 1 job, {eight:.2?} with 8: {ratio:.1}x");
    assert!(serial == parallel, "another KB");
    // The server has not always put an answer away when the next request comes.
    assert!(alone <= 2 && together > 4, "{alone} {together}");
    assert!(ratio >= 5.0, "{ratio:.2}");
}

#[test]
fn the_service_is_listed_and_asked() {
    let script = three().with("pi-bad", Doc::report("bad.pdf", 2).failing());
    let cloud = Cloud::new(script);
    cloud.import(&["pi-quay"]);
    let said = cloud.run(["cloud", "list"]);
    assert_eq!(said.code, 0, "{said:?}");
    let line = |id: &str| {
        let mut lines = said.stdout.lines();
        lines.find(|line| line.starts_with(id)).unwrap().to_owned()
    };
    assert!(line("pi-quay").contains("Quay_survey"), "{said:?}");
    assert!(line("pi-bad").contains("failed"), "{said:?}");
    assert!(
        said.stderr.contains("--from-pageindex-cloud=pi-"),
        "{said:?}"
    );
    let listed = json(&cloud.run(["cloud", "list", "--json"]));
    assert_eq!(listed["complete"], true);
    assert_eq!(listed["documents"].as_array().unwrap().len(), 4);

    let status = json(&cloud.run(["cloud", "status", "--json", "pi-quay"]));
    assert_eq!(status["documents"][0]["state"], "completed");
    assert_eq!(status["documents"][0]["name_in_kb"], "Quay_survey");
    let said = cloud.run(["cloud", "status", "pi-none"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("not found"), "{said:?}");
    let said = cloud.run(["cloud", "status", "pi-none", "pi-bad"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stdout.contains("pi-bad"), "{said:?}");
    let said = cloud.run(["cloud", "status", "--json", "pi-none", "pi-bad"]);
    let status = json(&said);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(status["failed"][0]["id"], "pi-none");
    assert_eq!(status["failed"][0]["error"]["code"], "not-found");
    assert_eq!(status["complete"], false);

    // Without a knowledge base too.
    let mut command = cloud.command(["cloud", "list"]);
    let said = cloud
        .env
        .finish(command.env_remove("KBHOST_KB").current_dir("/"));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn who_ends_a_list_knows_why() {
    let script = three().with_fault(Fault::Hang.on(Call::List));
    let cloud = Cloud::new(script);
    let child = cloud.env.spawn(&mut cloud.command(["cloud", "list"]));
    until("the call hangs", || cloud.server.count(Call::List) == 1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let said = cloud.env.wait(child);
    assert_eq!((said.code, said.stderr.as_str()), (130, ""), "{said:?}");
}

#[test]
fn a_registry_is_rebuilt_with_documents_of_a_service() {
    let cloud = Cloud::new(three());
    cloud.import(&["pi-quay", "pi-tide"]);
    let said = cloud.env.run(["registry", "rebuild"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!said.stderr.contains("original is missing"), "{said:?}");
    let listed = json(&cloud.env.run(["list", "--json"]));
    assert_eq!(listed["documents"].as_array().unwrap().len(), 2);
    let said = cloud.import(&["pi-quay"]);
    assert!(said.stdout.starts_with("skipped  Quay_survey"), "{said:?}");
}

#[test]
fn more_documents_than_one_answer_are_listed() {
    let cloud = Cloud::new(Script::new(KEY).with_reports(230));
    let listed = json(&cloud.run(["cloud", "list", "--json"]));
    assert_eq!(listed["documents"].as_array().unwrap().len(), 230);
    assert_eq!(listed["complete"], true);
    assert_eq!(cloud.server.count(Call::List), 3);
}
