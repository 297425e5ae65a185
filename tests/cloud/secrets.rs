//! The key is where the user put it, in one header of one service, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use kbhost_cloud_server::{Call, Doc, Echo, Fault, Script};

use crate::support::cloud::{Cloud, KEY};
use crate::support::wait::until;

fn cloud() -> Cloud {
    let script = Script::new(KEY)
        .with("pi-one", Doc::report("one.pdf", 3))
        .with("pi-bad", Doc::report("bad.pdf", 3).failing())
        .with(
            "pi-echo",
            Doc::report("echo.pdf", 3).with_fault(Fault::EchoKey(Echo::Exact).on(Call::Pages)),
        );
    Cloud::new(script)
}

/// The files beneath `dir` that hold the key, or its base64.
pub(super) fn holding(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                dirs.push(path);
            } else if entry.file_type().unwrap().is_file() {
                let bytes = fs::read(&path).unwrap();
                let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|at| at == needle);
                if holds(KEY.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    found
}

#[test]
fn the_key_is_in_no_file_and_no_word() {
    let cloud = cloud();
    let args = [
        "add",
        "-vv",
        "--from-pageindex-cloud",
        "pi-one",
        "pi-bad",
        "pi-echo",
        "pi-none",
    ];
    let mut command = cloud.command(args);
    let said = cloud.env.finish(command.env("KBHOST_LOG", "trace"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        !said.stdout.contains(KEY) && !said.stderr.contains(KEY),
        "{said:?}"
    );
    for args in [
        &["list", "--json"][..],
        &["cloud", "list", "--json"],
        &["registry", "export"],
    ] {
        let said = cloud.run(args);
        assert!(
            !said.stdout.contains(KEY) && !said.stderr.contains(KEY),
            "{said:?}"
        );
    }
    assert_eq!(holding(cloud.env.root()), [""; 0]);
    // The search finds what is there.
    fs::write(cloud.env.path("tmp/control"), format!("x{KEY}y")).unwrap();
    assert_eq!(holding(cloud.env.root()).len(), 1);

    let seen = cloud.server.requests();
    assert!(!seen.is_empty());
    for seen in seen {
        assert!(!seen.leaks_key, "{seen:?}");
        assert_eq!(seen.has_key, seen.call != Call::Image, "{seen:?}");
    }
}

/// Goal: a key that an answer holds in pieces is not put together by who reads it. Method: answers with the
/// key broken by what readers of Markdown, HTML and text leave out; none gets in, and no word of it is told.
#[test]
fn a_key_in_pieces_is_not_put_together() {
    let (one, two) = KEY.split_at(11);
    let dashed = KEY.replacen('-', "\\-", 1);
    let entity = KEY.replacen('-', "&#45;", 1);
    let pages: Vec<String> = vec![
        format!("{one}\u{1}{two}"),
        format!("{one}\u{85}{two}"),
        format!("{one}\u{200b}{two}"),
        format!("![{dashed}](x)"),
        format!("![{entity}](x)"),
        format!("![{one}*{two}*](x)"),
        format!("![{one}<b>{two}](x)"),
        format!("{one}![](x){two}"),
        format!("{one}<br>{two} is what the harbour is called in all its papers."),
        format!("{one}<!-- -->{two} is what the harbour is called in all its papers."),
        format!("{dashed} is what the harbour is called in all its papers."),
        format!("{entity} is what the harbour is called in all its papers."),
    ];
    let mut docs: Vec<Doc> = pages
        .into_iter()
        .map(|markdown| {
            let mut doc = Doc::report("one.pdf", 1);
            doc.pages[0].markdown = format!("# Harbour\n\n{markdown}\n");
            doc.pages[0].pictures.clear();
            doc
        })
        .collect();
    docs.push(Doc::report(&format!("{one}\u{1}{two}.pdf"), 1));
    let mut tree = Doc::report("tree.pdf", 1);
    tree.tree[0].title = format!("{one}\u{7f}{two}");
    docs.push(tree);
    let mut script = Script::new(KEY);
    let ids: Vec<String> = (0..docs.len())
        .map(|number| format!("pi-{number}"))
        .collect();
    for (id, doc) in ids.iter().zip(docs) {
        script = script.with(id, doc);
    }
    let said = format!("{{\"detail\": \"bad key {one}\u{1}{two}\"}}");
    let refused = Doc::report("r.pdf", 1).with_fault(Fault::Status(403, said).on(Call::Any));
    let cloud = Cloud::new(script.with("pi-refused", refused));
    for id in ids.iter().map(String::as_str).chain(["pi-refused"]) {
        let said = cloud.run(["add", "-vv", "--from-pageindex-cloud", id]);
        assert_eq!(said.code, 1, "{id}: {said:?}");
        assert!(
            !said.stdout.contains(KEY) && !said.stderr.contains(KEY),
            "{id}: {said:?}"
        );
        assert!(said.stderr.contains("held the key"), "{id}: {said:?}");
    }
    assert_eq!(holding(cloud.env.root()), [""; 0]);
    // What looks a little like it is no key.
    cloud
        .server
        .put("pi-fine", Doc::report(&format!("{one}.pdf"), 1));
    cloud.import(&["pi-fine"]);
}

/// Goal: a crash of the program writes no memory that holds the key. Method: a run that hangs is
/// aborted with cores allowed; it must not have been dumped, and none may lie there.
#[test]
fn a_crash_leaves_no_core() {
    let script = Script::new(KEY).with(
        "pi-one",
        Doc::report("one.pdf", 3).with_fault(Fault::Hang.on(Call::Pages)),
    );
    let cloud = Cloud::new(script);
    let inner = cloud.command(["add", "--from-pageindex-cloud", "pi-one"]);
    let mut shell = std::process::Command::new("sh");
    cloud.env.hermetic(&mut shell);
    shell.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]);
    shell.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let mut child = cloud.env.spawn(&mut shell);
    until("the call hangs", || cloud.server.count(Call::Pages) == 1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6), "{status:?}");
    assert!(!status.core_dumped(), "{status:?}");
    assert_eq!(holding(cloud.env.root()), [""; 0]);
}

#[test]
fn without_a_key_the_places_for_it_are_named() {
    let cloud = cloud();
    let mut command = cloud.command(["add", "--from-pageindex-cloud", "pi-one"]);
    let said = cloud.env.finish(command.env_remove("PAGEINDEX_API_KEY"));
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("PAGEINDEX_API_KEY"), "{said:?}");
    assert!(said.stderr.contains("credentials.toml"), "{said:?}");
    assert_eq!(cloud.server.requests().len(), 0);
}

/// Goal: a stranger's knowledge base sends documents to nobody's account. Method: its `.env` holds a
/// key and an address; before it is trusted neither counts, afterwards the key does.
#[test]
fn the_key_of_a_kb_counts_once_it_is_trusted_and_its_address_never() {
    let cloud = cloud();
    let elsewhere = Cloud::new(Script::new(KEY));
    let dotenv = cloud.env.kb().join(".env");
    let text = format!(
        "PAGEINDEX_API_KEY={KEY}\nKBHOST_PAGEINDEX_URL={}\n",
        elsewhere.server.url()
    );
    fs::write(&dotenv, text).unwrap();
    fs::set_permissions(&dotenv, fs::Permissions::from_mode(0o600)).unwrap();
    fs::copy(&dotenv, cloud.env.path(".env")).unwrap();
    let import = || {
        let mut command = cloud.command(["add", "--from-pageindex-cloud", "pi-one"]);
        cloud.env.finish(command.env_remove("PAGEINDEX_API_KEY"))
    };
    let said = import();
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("kbhost trust"), "{said:?}");
    assert_eq!(cloud.server.requests().len(), 0);
    let kb = cloud.env.kb();
    let said = cloud.env.run(["trust", kb.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = import();
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(elsewhere.server.requests().len(), 0);
}

#[test]
fn only_loopback_is_called_without_tls() {
    let cloud = cloud();
    for url in [
        "http://192.0.2.1/",
        "http://example.com",
        "ftp://127.0.0.1",
        "https://user:x@127.0.0.1",
    ] {
        let mut command = cloud.command(["add", "--from-pageindex-cloud", "pi-one"]);
        let said = cloud.env.finish(command.env("KBHOST_PAGEINDEX_URL", url));
        assert_eq!(said.code, 2, "{url}: {said:?}");
        assert!(
            said.stderr.contains("KBHOST_PAGEINDEX_URL"),
            "{url}: {said:?}"
        );
    }
    // Addresses of the machine's own network are none of a service.
    for url in [
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://[fd00:ec2::254]",
    ] {
        let mut command = cloud.command(["add", "--from-pageindex-cloud", "pi-one"]);
        let said = cloud.env.finish(command.env("KBHOST_PAGEINDEX_URL", url));
        assert!(matches!(said.code, 1 | 2), "{url}: {said:?}");
        assert!(said.stderr.contains("address"), "{url}: {said:?}");
    }
}
