//! What goes wrong at a service: one clear error for each, and nothing of it in the knowledge base.

use std::time::{Duration, Instant};

use kbhost_cloud_server::{Call, Doc, Echo, Fault, FaultAt, Script};

use crate::support::cloud::{Cloud, KEY};
use crate::support::wait::until;
use crate::support::{json, staging_entries, tree};

/// A service whose only document meets a fault.
fn with(fault: FaultAt) -> Cloud {
    let doc = Doc::report("report.pdf", 3).with_fault(fault);
    Cloud::new(Script::new(KEY).with("pi-one", doc))
}

/// Runs an import that fails, and returns the error's code, and all that was said.
fn fails(cloud: &Cloud, vars: &[(&str, &str)]) -> (String, String) {
    let before = tree(&cloud.env.kb());
    let mut command = cloud.command(["add", "--json", "--from-pageindex-cloud", "pi-one"]);
    let said = cloud
        .env
        .finish_within(Duration::from_secs(60), command.envs(vars.iter().copied()));
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(tree(&cloud.env.kb()), before);
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
    let answer = json(&said);
    let error = &answer["documents"][0]["error"];
    (
        error["code"].as_str().unwrap().to_owned(),
        error.to_string(),
    )
}

#[test]
fn each_fault_has_an_error_and_leaves_nothing() {
    let status = |status| Fault::Status(status, "{\"detail\": \"no\"}".to_owned());
    let cases: Vec<(FaultAt, &str, &str)> = vec![
        (status(401).on(Call::Any), "auth", "401"),
        (status(403).on(Call::Any), "auth", "403"),
        (status(404).on(Call::Any), "not-found", "pi-one"),
        (status(402).on(Call::Any), "quota", "402"),
        (status(429).on(Call::Any), "quota", "429"),
        (status(500).on(Call::Any), "upstream", "500"),
        (status(502).on(Call::Pages), "upstream", "502"),
        (
            Fault::RetryAfter {
                status: 429,
                after: "3600".to_owned(),
            }
            .on(Call::Tree),
            "quota",
            "429",
        ),
        (Fault::Closed.on(Call::Any), "network", ""),
        (Fault::CutOff(100).on(Call::Pages), "network", ""),
        (Fault::Announced(1 << 40).on(Call::Pages), "too-large", ""),
        (Fault::NotJson.on(Call::Metadata), "upstream", ""),
        (Fault::NotJson.on(Call::Tree), "upstream", ""),
        (Fault::WrongShape.on(Call::Pages), "upstream", ""),
        (Fault::Gzip.on(Call::Pages), "network", ""),
        (Fault::BadHead.on(Call::Any), "network", ""),
        (
            Fault::Redirect("http://169.254.169.254/latest/meta-data/".to_owned()).on(Call::Any),
            "upstream",
            "302",
        ),
    ];
    for (fault, code, text) in cases {
        let name = format!("{fault:?}");
        let cloud = with(fault);
        let (found, said) = fails(&cloud, &[]);
        assert_eq!(found, code, "{name}: {said}");
        assert!(said.contains(text), "{name}: {said}");
    }
    for echo in Echo::ALL {
        let cloud = with(Fault::EchoKey(echo).on(Call::Pages));
        let (found, said) = fails(&cloud, &[]);
        assert_eq!(found, "upstream", "{echo:?}: {said}");
        assert!(said.contains("held the key"), "{echo:?}: {said}");
        assert!(!said.contains(KEY), "{said}");
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let cloud = with(Fault::Oversized(1 << 30).on(Call::Pages));
    let (code, said) = fails(&cloud, &[]);
    assert_eq!(code, "too-large", "{said}");
}

#[test]
fn a_call_that_hangs_ends_in_its_time() {
    for fault in [
        Fault::Hang,
        Fault::HangInBody,
        Fault::Slow(Duration::from_secs(600)),
    ] {
        let cloud = with(fault.on(Call::Pages));
        let started = Instant::now();
        let (code, said) = fails(&cloud, &[("KBHOST_TEST_CALL_MS", "300")]);
        assert_eq!(code, "timeout", "{said}");
        assert!(started.elapsed() < Duration::from_secs(20), "{said}");
    }
}

#[test]
fn a_document_that_failed_there_is_told() {
    let doc = Doc::report("report.pdf", 3).failing();
    let cloud = Cloud::new(Script::new(KEY).with("pi-one", doc));
    let (code, said) = fails(&cloud, &[]);
    assert_eq!(code, "upstream", "{said}");
    assert!(said.contains("failed"), "{said}");
}

/// Others of the batch do not wait for a document that somebody else sent.
#[test]
fn a_document_that_is_not_done_is_told_at_once() {
    for (queued, processing) in [(1_000, 0), (0, 1_000)] {
        let doc = Doc::report("report.pdf", 3).with_polls(queued, processing);
        let cloud = Cloud::new(Script::new(KEY).with("pi-one", doc));
        let (code, said) = fails(&cloud, &[]);
        assert_eq!(code, "upstream", "{said}");
        assert!(said.contains("still at work"), "{said}");
        assert!(said.contains("kbhost cloud status"), "{said}");
        assert!(cloud.server.requests().len() <= 2);
    }
}

#[test]
fn the_network_is_down() {
    let cloud = with(Fault::Closed.on(Call::Any));
    // Nobody listens there: the port was somebody's a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let (code, said) = fails(&cloud, &[("KBHOST_PAGEINDEX_URL", &url)]);
    assert_eq!(code, "network", "{said}");
}

#[test]
fn trouble_that_passes_is_no_error() {
    let status = |status| Fault::Status(status, "wait".to_owned());
    for fault in [
        status(500).on(Call::Metadata).times(1),
        status(503).on(Call::Tree).times(2),
        Fault::RetryAfter {
            status: 429,
            after: "0".to_owned(),
        }
        .on(Call::Pages)
        .times(2),
        Fault::Closed.on(Call::Pages).times(1),
    ] {
        let name = format!("{fault:?}");
        let cloud = with(fault);
        let said = cloud.run(["add", "--from-pageindex-cloud", "pi-one"]);
        assert_eq!(said.code, 0, "{name}: {said:?}");
    }
}

#[test]
fn one_failed_document_takes_no_other_with_it() {
    let script = Script::new(KEY)
        .with_reports(4)
        .with("pi-bad", Doc::report("bad.pdf", 3).failing());
    let cloud = Cloud::new(script);
    let args = [
        "add",
        "--from-pageindex-cloud",
        "pi-0001",
        "pi-bad",
        "pi-0002",
        "pi-none",
        "pi-0003",
    ];
    let said = cloud.run(args);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.stdout.matches("added    ").count(), 3, "{said:?}");
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
}

#[test]
fn what_is_typed_wrong_is_a_matter_of_usage() {
    let cloud = Cloud::new(Script::new(KEY));
    for args in [
        &["add", "--from-pageindex-cloud", "../x"][..],
        &[
            "add",
            "--from-pageindex-cloud",
            "pi-one",
            "--via",
            "pageindex-cloud",
        ],
        &["add", "--from-pageindex-cloud"],
        &["add", "--via", "elsewhere", "docs"],
        &["cloud", "status", "a b"],
    ] {
        let said = cloud.run(args);
        assert_eq!(said.code, 2, "{args:?}: {said:?}");
    }
    assert_eq!(cloud.server.requests().len(), 0);
}

#[test]
fn pictures_that_cannot_be_had_are_left_out_with_a_warning() {
    let doc = || Doc::gallery("gallery.pdf");
    // The host of the pictures was not granted.
    let cloud = Cloud::new(Script::new(KEY).with("pi-one", doc()));
    let mut command = cloud.command(["add", "--from-pageindex-cloud", "pi-one"]);
    let said = cloud
        .env
        .finish(command.env_remove("KBHOST_PAGEINDEX_IMAGE_HOSTS"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("warning"), "{said:?}");
    assert_eq!(cloud.server.count(Call::Image), 0);
    // They are gone, or no pictures, or too large.
    for fault in [
        Fault::Status(404, "gone".to_owned()),
        Fault::NotJson,
        Fault::Oversized(1 << 30),
        Fault::Redirect("http://169.254.169.254/".to_owned()),
    ] {
        let name = format!("{fault:?}");
        let script = Script::new(KEY)
            .with("pi-one", doc())
            .with_fault(fault.on(Call::Image));
        let cloud = Cloud::new(script);
        let said = cloud.run(["add", "--from-pageindex-cloud", "pi-one"]);
        assert_eq!(said.code, 0, "{name}: {said:?}");
        assert!(said.stderr.contains("warning"), "{name}: {said:?}");
        // Nobody who serves pictures is shown the key.
        assert!(
            cloud.server.requests().iter().all(|seen| !seen.leaks_key),
            "{name}"
        );
    }
}

#[test]
fn hostile_answers_stay_text() {
    let script = Script::new(KEY)
        .with("pi-paths", Doc::hostile_paths())
        .with("pi-markdown", Doc::hostile_markdown());
    let cloud = Cloud::new(script);
    let said = cloud.run(["add", "--from-pageindex-cloud", "pi-paths", "pi-markdown"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        !said.stdout.contains('\x1b') && !said.stderr.contains('\x1b'),
        "{said:?}"
    );
    let tree = tree(&cloud.env.kb());
    for path in tree.keys() {
        assert!(!path.contains("..") && path.len() < 300, "{path}");
    }
    assert!(!cloud.env.path("x").exists());
    let said = cloud.env.run(["doctor"]);
    assert_eq!(said.code, 0, "{said:?}");
}

/// Goal: who waits can stop waiting. Method: SIGINT while calls hang.
#[test]
fn an_interrupt_ends_calls_that_hang() {
    let cloud = with(Fault::Hang.on(Call::Pages));
    let args = ["add", "--from-pageindex-cloud", "pi-one"];
    let child = cloud.env.spawn(&mut cloud.command(args));
    until("the call hangs", || cloud.server.count(Call::Pages) == 1);
    let started = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let said = cloud.env.wait(child);
    assert_eq!(said.code, 130, "{said:?}");
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
}
