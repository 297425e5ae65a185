//! A hostile cloud converter in the place of the built-in one: it reaches nothing that was not granted,
//! does not see the key, ends in its time, and harms no other document. What it does is said by the id
//! of the document that it is asked for.

use std::process::Command;
use std::time::{Duration, Instant};

use kbhost_cloud_server::{Call, Doc, Echo, Fault, Script};

use super::secrets::holding;
use crate::sandbox::provenance;
use crate::support::cloud::{Cloud, KEY};
use crate::support::consistency::violations;
use crate::support::wait::until;
use crate::support::{Said, component, json, staging_entries, tree};

const CALL: &str = "kbhost:cloud/endpoint.call";
const LOCATE: &str = "kbhost:cloud/endpoint.locate";
const KEY_IN_ANSWER: &str = "kbhost:cloud/endpoint.credential-in-answer";

/// What ends early what would go on.
const SHORT: [(&str, &str); 3] = [
    ("KBHOST_TEST_CALL_MS", "1000"),
    ("KBHOST_TEST_CLOUD_MS", "1500"),
    ("KBHOST_TEST_CPU_MS", "500"),
];

/// A service with what the converter asks for.
fn cloud() -> Cloud {
    let report = || Doc::report("plain.pdf", 2);
    let elsewhere = "http://169.254.169.254/latest/meta-data/".to_owned();
    let script = Script::new(KEY)
        .with("plain", report())
        .with("pictures", Doc::gallery("pictures.pdf"))
        .with(
            "echo",
            report().with_fault(Fault::EchoKey(Echo::Exact).on(Call::Any)),
        )
        .with("hang", report().with_fault(Fault::Hang.on(Call::Any)))
        .with(
            "redirect",
            report().with_fault(Fault::Redirect(elsewhere).on(Call::Any)),
        );
    Cloud::new(script)
}

/// The binary with the hostile converter as the one of the cloud.
fn command(cloud: &Cloud, args: &[&str], vars: &[(&str, &str)]) -> Command {
    let mut command = cloud.command(args);
    command
        .env("KBHOST_TEST_CLOUD_PLUGIN", component("hostile-cloud"))
        .envs(vars.iter().copied());
    command
}

fn run(cloud: &Cloud, args: &[&str], vars: &[(&str, &str)]) -> Said {
    let said = cloud.env.finish(&mut command(cloud, args, vars));
    for text in [&said.stdout, &said.stderr] {
        assert!(!text.contains(KEY), "{said:?}");
        assert!(
            !text.contains('\u{1b}') && !text.contains("escaped: "),
            "{said:?}"
        );
    }
    said
}

fn import(cloud: &Cloud, word: &str, vars: &[(&str, &str)]) -> Said {
    run(cloud, &["add", "--from-pageindex-cloud", word], vars)
}

/// Imports what fails, and returns the error's code and words. Nothing of it stays.
fn fails(cloud: &Cloud, args: &[&str], vars: &[(&str, &str)]) -> (String, String) {
    let before = tree(&cloud.env.kb());
    let said = run(cloud, &[&["add", "--json"], args].concat(), vars);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(tree(&cloud.env.kb()), before);
    assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
    let error = &json(&said)["documents"][0]["error"];
    (
        error["code"].as_str().unwrap().to_owned(),
        error.to_string(),
    )
}

/// What the service saw is what was granted: reads, with the key in its place, and no picture.
fn assert_granted_only(cloud: &Cloud) {
    for seen in cloud.server.requests() {
        assert_eq!(seen.method, "GET", "{seen:?}");
        let granted = [Call::Metadata, Call::Tree, Call::Pages, Call::List];
        assert!(granted.contains(&seen.call), "{seen:?}");
        assert!(seen.has_key && !seen.leaks_key, "{seen:?}");
        assert_eq!(seen.body_bytes, 0, "{seen:?}");
        assert!(!seen.target.contains("loot"), "{seen:?}");
    }
}

#[test]
fn what_is_not_granted_comes_to_nothing() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("second-host", "refused: second-host 1", &[CALL]),
        ("path-tricks", "refused: path-tricks ", &[CALL]),
        ("methods", "refused: methods 7 times", &[CALL]),
        ("headers", "refused: headers ", &[CALL]),
        (
            "made-up-address",
            "refused: made-up-address ",
            &[CALL, LOCATE],
        ),
        ("redirect", "not followed: redirect", &[]),
        ("key", "no key: 3 answers withheld", &[KEY_IN_ANSWER]),
        ("other-plugin", "refused: other-plugin 8 times", &[CALL]),
        (
            "sockets",
            "refused: sockets: PermissionDenied",
            &["wasi:sockets"],
        ),
        ("call-in-assets", "refused: call-in-assets", &[CALL]),
        ("huge-body", "refused: huge-body", &[CALL]),
        ("huge-form", "refused: huge-form", &[CALL]),
        ("honest-1", "# honest-1", &[]),
    ];
    let cloud = cloud();
    for (word, page, denied) in cases {
        let said = import(&cloud, word, &[]);
        assert_eq!(said.code, 0, "{word}: {said:?}");
        let text = cloud.env.kb_text(&format!("wiki/sources/{word}.md"));
        assert!(text.contains(page), "{word}: {text}");
        let provenance = provenance(&cloud.env.kb(), word);
        let counted = provenance["denied"].as_array().unwrap();
        let counted: Vec<_> = counted
            .iter()
            .map(|entry| entry[0].as_str().unwrap())
            .collect();
        assert_eq!(counted, *denied, "{word}");
    }
    assert_granted_only(&cloud);
    assert!(cloud.server.count(Call::Pages) >= 2, "it did not even ask");
    assert_eq!(holding(cloud.env.root()), [""; 0]);
    assert_eq!(violations(&cloud.env.kb()), [""; 0]);

    // Whoever wants it so has each of them fail.
    let cloud = self::cloud();
    for (word, _, denied) in cases.iter().filter(|(_, _, denied)| !denied.is_empty()) {
        let args = ["--strict", "--from-pageindex-cloud", word];
        let (code, said) = fails(&cloud, &args, &[]);
        assert_eq!(code, "denied", "{word}: {said}");
        assert!(denied.iter().all(|name| said.contains(name)), "{said}");
    }
    let args = ["add", "--strict", "--from-pageindex-cloud", "honest-1"];
    let said = run(&cloud, &args, &[]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn floods_of_calls_and_bytes_are_bounded() {
    let cloud = cloud();
    let said = import(&cloud, "flood", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    let text = cloud.env.kb_text("wiki/sources/flood.md");
    assert!(text.contains("exhausted after 2000 calls"), "{text}");
    assert_eq!(cloud.server.requests().len(), 2_000);
    let (code, said) = fails(&cloud, &["--from-pageindex-cloud", "body-beyond"], &[]);
    assert_eq!(code, "trap", "{said}");
    assert_eq!(cloud.server.requests().len(), 2_000);
}

#[test]
fn what_it_says_of_a_document_is_no_name_and_no_identity() {
    let cloud = cloud();
    let said = import(&cloud, "lie", &[]);
    assert_eq!(said.code, 0, "{said:?}");
    let listed = json(&run(&cloud, &["list", "--json"], &[]));
    let row = &listed["documents"][0];
    assert_eq!(row["source_key"], "pageindex-cloud:lie", "{row}");
    assert_eq!(row["doc_name"], "passwd", "{row}");
    for path in tree(&cloud.env.kb()).keys() {
        assert!(!path.contains("..") && !path.contains("etc"), "{path}");
    }
    assert_eq!(violations(&cloud.env.kb()), [""; 0]);
}

#[test]
fn it_ends_in_its_time_also_while_a_call_hangs() {
    let cloud = cloud();
    for (word, page) in [
        ("hang", "timed out: hang"),
        ("pauses", "timed out after 0 pauses"),
    ] {
        let started = Instant::now();
        let said = import(&cloud, word, &SHORT);
        assert_eq!(said.code, 0, "{word}: {said:?}");
        assert!(started.elapsed() < Duration::from_secs(20), "{word}");
        let text = cloud.env.kb_text(&format!("wiki/sources/{word}.md"));
        assert!(text.contains(page), "{word}: {text}");
    }
    for word in ["hang-on-and-on", "spin"] {
        let started = Instant::now();
        let (code, said) = fails(&cloud, &["--from-pageindex-cloud", word], &SHORT);
        assert!(
            ["limit-cpu", "limit-wall"].contains(&&*code),
            "{word}: {said}"
        );
        assert!(started.elapsed() < Duration::from_secs(20), "{word}");
    }
    assert_granted_only(&cloud);
}

/// Goal: who waits can stop waiting, whatever the converter thinks of it. Method: SIGINT while its call
/// hangs, and while it pauses; it takes no error for an answer.
#[test]
fn an_interrupt_ends_one_that_does_not_listen() {
    for word in ["hang-on-and-on", "hang", "pauses", "spin"] {
        let cloud = cloud();
        let args = ["add", "--from-pageindex-cloud", "honest-1", word];
        let before = tree(&cloud.env.kb());
        let child = cloud.env.spawn(&mut command(&cloud, &args, &[]));
        let calls = if word.starts_with("hang") { 2 } else { 1 };
        until("it works", || cloud.server.requests().len() >= calls);
        std::thread::sleep(Duration::from_millis(200));
        let started = Instant::now();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let said = cloud.env.wait(child);
        assert_eq!(said.code, 130, "{word}: {said:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "{word}");
        assert_eq!(staging_entries(&cloud.env.kb()), [""; 0]);
        assert_eq!(violations(&cloud.env.kb()), [""; 0]);
        let after = tree(&cloud.env.kb());
        assert!(after.keys().all(|path| !path.contains(word)), "{word}");
        assert!(before.keys().all(|path| after.contains_key(path)), "{word}");
    }
}

/// Goal: a hostile job takes no other with it. Method: the same honest documents with and without
/// hostile ones between them come to the same knowledge base.
#[test]
fn hostile_jobs_harm_no_honest_one() {
    // Time enough for the honest ones, also where all tests run at once.
    let limits = [
        ("KBHOST_TEST_CALL_MS", "5000"),
        ("KBHOST_TEST_CLOUD_MS", "5000"),
        ("KBHOST_TEST_CPU_MS", "1000"),
    ];
    let honest: Vec<_> = (1..=6).map(|n| format!("honest-{n}")).collect();
    let hostile = [
        "hang-on-and-on",
        "spin",
        "body-beyond",
        "no-such",
        "lie-not",
    ];
    let state = |cloud: &Cloud| {
        let mut tree = tree(&cloud.env.kb());
        tree.remove("wiki/log.md");
        (tree, cloud.env.logical_registry())
    };
    let alone = cloud();
    let mut args = vec!["add", "--jobs", "4", "--from-pageindex-cloud"];
    args.extend(honest.iter().map(String::as_str));
    let said = run(&alone, &args, &limits);
    assert_eq!(said.code, 0, "{said:?}");

    let among = cloud();
    let mut args = vec!["add", "--jobs", "4", "--from-pageindex-cloud"];
    for (at, word) in honest.iter().enumerate() {
        args.push(word);
        args.extend(hostile.get(at));
    }
    let said = run(&among, &args, &limits);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.stdout.matches("added    ").count(), 6, "{said:?}");
    assert!(state(&alone) == state(&among), "another KB: {said:?}");
    assert_eq!(staging_entries(&among.env.kb()), [""; 0]);
    assert_granted_only(&among);
}

/// Endpoints are for what comes with the program: no component of a user gets them.
#[test]
fn a_component_of_a_user_gets_no_endpoints() {
    let cloud = cloud();
    cloud.env.doc("a.md", "# A\n");
    let file = component("hostile-cloud");
    let file = file.to_str().unwrap();
    for args in [
        &["add", "--plugin", file, "docs/a.md"][..],
        &["plugin", "install", "--yes", file],
        &["plugin", "inspect", file],
        &["plugin", "test", file, "--input", "docs/a.md"],
    ] {
        let said = cloud.run(args);
        assert_ne!(said.code, 0, "{args:?}: {said:?}");
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(
            text.contains("kbhost:cloud/endpoint@0.1.0"),
            "{args:?}: {said:?}"
        );
    }
    let listed = cloud.run(["plugin", "list", "--json"]);
    assert!(!listed.stdout.contains("hostile-cloud"), "{listed:?}");
    assert_eq!(cloud.server.requests().len(), 0);
}

/// A service whose list begins with a document of this name: it tells the converter how to lie.
fn listing(name: &str) -> Cloud {
    let hang = Doc::report("hang.pdf", 1).with_fault(Fault::Hang.on(Call::Any));
    let script = Script::new(KEY)
        .with("a", Doc::report(name, 1))
        .with("hang", hang);
    Cloud::new(script)
}

fn assert_plain(text: &str, chars_max: usize) {
    assert!(
        text.chars().count() <= chars_max,
        "{}",
        text.chars().count()
    );
    let deceptive = ['\u{202e}', '\u{200b}'];
    assert!(
        !text.contains(|c: char| c.is_control() || deceptive.contains(&c)),
        "{text:?}"
    );
    assert!(!text.contains("[["), "{text:?}");
}

#[test]
fn hostile_lists_are_bounded_and_safe() {
    // Entries are validated one by one.
    let cloud = listing("lie.pdf");
    let listed = json(&run(&cloud, &["cloud", "list", "--json"], &[]));
    let documents = listed["documents"].as_array().unwrap();
    let ids: Vec<_> = documents
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["good", "pi_1-B"], "{listed}");
    for row in documents {
        assert_plain(row["name"].as_str().unwrap(), 300);
        assert_plain(row["description"].as_str().unwrap(), 1_000);
        assert_plain(row["created"].as_str().unwrap(), 1_000);
        assert!(row["pages"].is_null(), "{row}");
        assert_eq!(row["state"], "completed", "{row}");
    }
    let said = run(&cloud, &["cloud", "list"], &[]);
    assert_eq!(said.code, 0, "{said:?}");
    said.stdout
        .lines()
        .for_each(|line| assert_plain(line, 1_000));

    // So are the lists.
    let list = |name: &str, vars: &[(&str, &str)]| {
        let started = Instant::now();
        let said = run(&listing(name), &["cloud", "list", "--json"], vars);
        assert!(started.elapsed() < Duration::from_secs(30), "{name}");
        said
    };
    let check = |said: Said, words: &str| {
        assert_eq!(said.code, 1, "{words}: {said:?}");
        let text = format!("{}{}", said.stdout, said.stderr);
        assert!(text.contains(words), "{words}: {said:?}");
    };
    check(
        list("lie-many", &[]),
        "10000 documents; asked for 100 at most",
    );
    check(list("lie-huge", &[]), "fuel allocated for hostcalls");
    check(list("lie-spin", &SHORT), "timeout: ");
    let endless = json(&list("lie-without-end", &[]));
    assert_eq!(endless["documents"].as_array().unwrap().len(), 10_000);
    assert_eq!(endless["complete"], false);

    // And what is told of one document is told of that one.
    let status = |id: &str, vars: &[(&str, &str)]| {
        let said = run(&cloud, &["cloud", "status", id], vars);
        said.stdout
            .lines()
            .for_each(|line| assert_plain(line, 1_000));
        said.stderr
            .lines()
            .for_each(|line| assert_plain(line, 1_000));
        said
    };
    assert_eq!(status("good", &[]).code, 0);
    check(status("another", &[]), "about another document");
    check(status("no-id", &[]), "about another document");
    check(status("refuses", &[]), "a [31m");
    check(status("hang-on-and-on", &SHORT), "timeout: ");
    assert_granted_only(&cloud);
}
