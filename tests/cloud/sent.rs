//! Files that are sent to the service, converted there, and imported.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use kbhost_cloud_server::{Call, Doc, Fault, Script};

use crate::support::cloud::{Cloud, KEY};
use crate::support::consistency::violations;
use crate::support::wait::until;
use crate::support::{json, repository, staging_entries, tree};

/// What is sent: a PDF by its first bytes.
fn pdf(cloud: &Cloud, name: &str) {
    let sample = repository().join("examples/docs/papers/adaptive-checkpoints.pdf");
    cloud.env.doc(name, fs::read(sample).unwrap());
}

fn script() -> Script {
    let mut script = Script::new(KEY);
    script.upload = Doc::report("sent.pdf", 5).with_polls(1, 1);
    script
}

const VIA: [&str; 3] = ["add", "--via", "pageindex-cloud"];

/// A run that is killed while it waits for what it sent.
fn killed_in_its_wait(cloud: &Cloud, args: &[&str]) {
    let mut child = cloud.env.spawn(&mut cloud.command(args));
    until("the document is waited for", || {
        cloud.server.count(Call::Tree) >= 1
    });
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_file_is_sent_waited_for_and_imported() {
    let cloud = Cloud::new(script());
    pdf(&cloud, "paper.pdf");
    cloud.env.doc("note.md", "# A note\n\nThat goes nowhere.\n");
    let said = cloud.run(VIA.iter().chain(&["docs"]));
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout.matches("added    ").count(), 1, "{said:?}");
    let uploads: Vec<_> = cloud.server.requests();
    let upload = uploads
        .iter()
        .find(|seen| seen.call == Call::Upload)
        .unwrap();
    let file = upload
        .parts
        .iter()
        .find(|part| part.name == "file")
        .unwrap();
    assert_eq!(file.file_name.as_deref(), Some("paper.pdf"));
    let sent = fs::read(cloud.env.path("docs/paper.pdf")).unwrap();
    assert_eq!(file.length, sent.len() as u64);

    let listed = json(&cloud.env.run(["list", "--json"]));
    let row = &listed["documents"][0];
    assert_eq!(row["doc_name"], "paper");
    assert_eq!(row["type"], "pageindex_cloud");
    assert_eq!(row["raw_path"], "raw/paper.pdf");
    assert_eq!(row["pages"], 5);
    assert!(
        cloud
            .env
            .kb_text("wiki/sources/paper.md")
            .contains("<!-- page 5 -->")
    );
    assert_eq!(violations(&cloud.env.kb()), [""; 0]);
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);

    // Neither the file nor what it became at the service is taken in a second time.
    let exported = cloud.env.kb_text(".openkb/hashes.json");
    let id = exported
        .split("\"doc_id\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let before = tree(&cloud.env.kb());
    let again = cloud.run(VIA.iter().chain(&["docs/paper.pdf"]));
    let by_id = cloud.run(["add", "--from-pageindex-cloud", id]);
    for said in [&again, &by_id] {
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.starts_with("skipped  "), "{said:?}");
    }
    assert_eq!(tree(&cloud.env.kb()), before);
    assert_eq!(cloud.server.uploads(), 1);
}

#[test]
fn nothing_but_what_the_service_takes_is_sent() {
    let cloud = Cloud::new(script());
    cloud.env.doc("note.md", "# A note\n");
    cloud.env.doc("fake.pdf", "# Text under another name\n");
    let said = cloud.run(VIA.iter().chain(&["docs/note.md", "docs/fake.pdf"]));
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(cloud.server.requests().len(), 0, "{said:?}");
}

/// Goal: a wait that was killed goes on with the document that was sent. Method: SIGKILL while the
/// service is at work, then the same command.
#[test]
fn a_killed_wait_goes_on_with_the_same_remote_document() {
    let mut script = script();
    script.upload = Doc::report("sent.pdf", 5).with_polls(3, 0);
    let cloud = Cloud::new(script);
    pdf(&cloud, "paper.pdf");
    let args = [&VIA[..], &["docs/paper.pdf"]].concat();
    killed_in_its_wait(&cloud, &args);
    let said = cloud.run(&args);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(cloud.server.uploads(), 1, "it was sent again");
    // It is in, and nothing is kept: removed and added once more it is sent once more.
    assert_eq!(cloud.env.run(["remove", "--yes", "paper"]).code, 0);
    let said = cloud.run(&args);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(cloud.server.uploads(), 2);
}

#[test]
fn a_document_that_failed_is_sent_anew_the_next_time() {
    let mut script = script();
    script.upload = Doc::report("sent.pdf", 5).failing();
    let cloud = Cloud::new(script);
    pdf(&cloud, "paper.pdf");
    let args = [&VIA[..], &["docs/paper.pdf"]].concat();
    for uploads in 1..=2 {
        let said = cloud.run(&args);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains("failed"), "{said:?}");
        assert_eq!(cloud.server.uploads(), uploads);
    }
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
}

#[test]
fn an_upload_that_may_have_come_through_is_not_repeated() {
    let script = script().with_fault(Fault::Closed.on(Call::Upload));
    let cloud = Cloud::new(script);
    pdf(&cloud, "paper.pdf");
    let said = cloud.run(VIA.iter().chain(&["docs/paper.pdf"]));
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(cloud.server.count(Call::Upload), 1, "{said:?}");
}

#[test]
fn a_document_that_the_service_forgot_is_sent_again() {
    let mut script = script();
    script.upload = Doc::report("sent.pdf", 5).with_polls(1_000, 0);
    let cloud = Cloud::new(script);
    pdf(&cloud, "paper.pdf");
    let args = [&VIA[..], &["docs/paper.pdf"]].concat();
    killed_in_its_wait(&cloud, &args);
    let seen = cloud.server.requests();
    let poll = seen.iter().find(|seen| seen.call == Call::Tree).unwrap();
    let id = poll.target.split('/').nth(2).unwrap();
    cloud.server.remove(id);
    let mut child = cloud.env.spawn(&mut cloud.command(&args));
    until("it is sent again", || cloud.server.uploads() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Goal: an upload that cannot come good is not gone on with for ever. Method: the answers about it are wrong
/// for good; the next run sends the file anew, and with trouble that passes it does not.
#[test]
fn an_upload_that_cannot_come_good_is_sent_anew() {
    for (fault, uploads) in [
        (Fault::Status(400, "no".to_owned()).on(Call::Tree), 2),
        (Fault::WrongShape.on(Call::Pages), 2),
        (Fault::Status(500, "no".to_owned()).on(Call::Tree), 1),
        (Fault::Status(403, "no".to_owned()).on(Call::Tree), 1),
    ] {
        let name = format!("{fault:?}");
        let mut script = script();
        script.upload = Doc::report("sent.pdf", 2).with_fault(fault.times(3));
        let cloud = Cloud::new(script);
        pdf(&cloud, "paper.pdf");
        let args = [&VIA[..], &["docs/paper.pdf"]].concat();
        let said = cloud.run(&args);
        assert_eq!(said.code, 1, "{name}: {said:?}");
        cloud.run(&args);
        assert_eq!(cloud.server.uploads(), uploads, "{name}");
    }
}

#[test]
fn a_name_that_a_form_cannot_hold_is_sent_as_another() {
    let cloud = Cloud::new(script());
    pdf(&cloud, "a\\b\nc.pdf");
    let said = cloud.run(VIA.iter().chain(&["docs"]));
    assert_eq!(said.code, 0, "{said:?}");
    let seen = cloud.server.requests();
    let upload = seen.iter().find(|seen| seen.call == Call::Upload).unwrap();
    let file = upload
        .parts
        .iter()
        .find(|part| part.name == "file")
        .unwrap();
    assert_eq!(file.file_name.as_deref(), Some("a_b_c.pdf"));
}
