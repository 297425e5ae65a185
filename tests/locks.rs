//! The lock: who has it, who waits for it, what readers see meanwhile; and the user's list of
//! knowledge bases, which has a lock of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use fs2::FileExt as _;

use crate::support::wait::{hold_lock, until};
use crate::support::{Env, Mount, Said, everything, has, json, skip, tree};

const LOCK: &str = ".openkb/ingest.lock";
const RECORD: &str = ".openkb/kbhost/holder.json";

/// A KB with one document, and a second one to add.
fn prepared() -> Env {
    let env = Env::new();
    env.doc("a.md", "# A\n\nThe first version.\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    env
}

/// Runs `kbhost lock`.
fn lock(env: &Env) -> Said {
    let said = env.run(["lock"]);
    assert_eq!(said.code, 0, "{said:?}");
    said
}

/// The name of this program, as the kernel tells it.
fn this_program() -> String {
    let program = std::env::current_exe().unwrap();
    program.file_name().unwrap().to_str().unwrap().to_owned()
}

/// When a process started, as the kernel tells it.
fn start_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().nth(19).unwrap().parse().unwrap()
}

fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    id.trim().to_owned()
}

fn record(pid: u32, started: u64, boot: &str) -> String {
    format!(
        r#"{{"pid":{pid},"started":{started},"boot":"{boot}","host":"h","command":"add\u001b[31m","since":"yesterday","phase":"plan","progress":"today"}}"#
    )
}

#[test]
fn a_wait_is_told_with_the_holder_and_goes_on() {
    let env = prepared();
    let held = hold_lock(&env);
    let mut child = env.spawn(&mut env.command(["add", "docs/b.md"]));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let (told, holder) = line.trim_end().split_once(" s: ").unwrap();
    let seconds = told
        .strip_prefix("note: waiting for the lock for ")
        .unwrap();
    assert!(seconds.parse::<f64>().unwrap() >= 0.5, "{line}");
    let pid = std::process::id();
    assert_eq!(
        holder,
        format!("`{}` (process {pid}) has it", this_program())
    );
    drop(held);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "1 added\n");
    assert_eq!(env.wait(child).code, 0);
    // Nobody is told who does not want to be.
    let held = hold_lock(&env);
    for flag in ["--quiet", "--json"] {
        let said = env.run(["add", "docs/a.md", "docs/b.md", "--lock-timeout", "1", flag]);
        assert!(!said.stderr.contains("waiting"), "{said:?}");
    }
    drop(held);
}

#[test]
fn a_record_is_believed_only_of_the_process_that_has_the_lock() {
    let env = prepared();
    let (pid, boot) = (std::process::id(), boot_id());
    let started = start_time(pid);
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let held = hold_lock(&env);
    let check = |text: &str, believed: bool| {
        fs::write(env.kb().join(RECORD), text).unwrap();
        let said = env.run(["add", "--no-wait", "docs/b.md"]);
        assert_eq!(said.code, 75, "{said:?}");
        let ours = format!(
            "`kbhost add [31m` (process {pid}) took it at yesterday, phase plan, last progress at today"
        );
        let its = format!("`{}` (process {pid}) has it", this_program());
        assert_eq!(said.stderr.contains(&ours), believed, "{text}: {said:?}");
        assert_eq!(said.stderr.contains(&its), !believed, "{text}: {said:?}");
    };
    check(&record(pid, started, &boot), true);
    check(&record(pid, started + 1, &boot), false);
    check(&record(pid, started, "another boot"), false);
    check(&record(gone.id(), started, &boot), false);
    check(
        &format!(r#"{{"pid":{pid},"command":"add","since":"x"}}"#),
        false,
    );
    check("{\"pid\":", false);
    check("", false);
    drop(held);
    // A record alone, also one of a process that lives, holds nothing.
    fs::write(env.kb().join(RECORD), record(pid, started, &boot)).unwrap();
    assert_eq!(lock(&env).stdout, "Knowledge base: $ROOT/kb\nLock: free\n");
    assert_eq!(env.run(["add", "--no-wait", "docs/b.md"]).code, 0);
}

#[test]
fn lock_tells_a_free_lock_and_a_foreign_holder() {
    let env = prepared();
    let before = everything(&env.kb());
    assert_said!(
        lock(&env),
        code: 0,
        stdout: "Knowledge base: $ROOT/kb\nLock: free\n",
        stderr: "",
    );
    let held = hold_lock(&env);
    let pid = std::process::id();
    let said = lock(&env);
    assert!(
        said.stdout.starts_with(&format!(
            "Knowledge base: $ROOT/kb\nLock: held for a change\nProcess: {pid}\n  Started as: "
        )),
        "{said:?}"
    );
    assert_eq!(
        said.stderr,
        format!(
            "hint: process {pid}, `{}`, is not kbhost but locks the same file, as `openkb` does: \
             wait until it is done, or end it with `kill {pid}`\n",
            this_program()
        )
    );
    let answer = json(&env.run(["lock", "--json"]));
    assert_eq!(answer["state"], "held");
    assert_eq!(answer["holders"][0]["pid"], pid);
    assert_eq!(answer["holders"][0]["exclusive"], true);
    assert_eq!(answer["holders"][0]["record"], serde_json::Value::Null);
    drop(held);
    assert_eq!(json(&env.run(["lock", "--json"]))["state"], "free");
    assert_eq!(before, everything(&env.kb()), "it only looks");
}

/// A process with a shared lock, ended with the value.
struct Sharing(Child);

impl Sharing {
    fn start(env: &Env) -> Self {
        let mut command = Command::new("flock");
        command
            .args(["--no-fork", "--shared"])
            .arg(env.kb().join(LOCK));
        let child = command.args(["sleep", "600"]).stdin(Stdio::null()).spawn();
        Self(child.unwrap())
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        // The test has failed already if it is gone.
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

#[test]
fn lock_tells_all_that_share_it() {
    if !has("flock") {
        return skip("shared holders", "flock is not installed");
    }
    let env = prepared();
    let sharing = [Sharing::start(&env), Sharing::start(&env)];
    let told = |said: &Said, child: &Sharing| {
        let line = format!("Process: {}\n  Started as: sleep 600\n", child.0.id());
        said.stdout.contains(&line)
    };
    until("both to be seen", || {
        let said = lock(&env);
        sharing.iter().all(|child| told(&said, child))
    });
    let said = lock(&env);
    assert!(
        said.stdout.contains("Lock: held by 2 processes\n"),
        "{said:?}"
    );
    // Who reads shares it with them; who writes does not.
    assert_eq!(env.run(["show", "a"]).code, 0);
    let said = env.run(["add", "--no-wait", "docs/b.md"]);
    assert_eq!(said.code, 75, "{said:?}");
    assert!(said.stderr.contains("has it; and 1 more"), "{said:?}");
}

#[test]
fn who_waits_takes_the_file_that_has_the_name() {
    let env = prepared();
    let path = env.kb().join(LOCK);
    let held = hold_lock(&env);
    let mut child = env.spawn(&mut env.command(["add", "docs/b.md"]));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("note: waiting"), "{line}");
    // Somebody removes the lock file, and another program makes and locks a new one.
    fs::remove_file(&path).unwrap();
    let new = File::create_new(&path);
    let said = match new {
        Ok(new) => {
            let locked = new.try_lock_exclusive().is_ok();
            drop(held);
            if locked {
                assert_eq!(child.try_wait().unwrap(), None, "it took the old file");
            }
            drop(new);
            env.wait(child)
        }
        // The one that waits was faster: it made the new file, and has it.
        Err(_) => env.wait(child),
    };
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn lock_files_that_are_links_are_refused() {
    for name in [LOCK, ".openkb/gate.lock"] {
        let env = prepared();
        let (file, victim) = (env.kb().join(name), env.path("victim"));
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&victim, &file).unwrap();
        let before = tree(&env.kb());
        for words in [&["add", "docs/b.md"][..], &["show", "a"]] {
            let said = env.run(words);
            assert_eq!(said.code, 1, "{said:?}");
            let why = format!("failed to open `{name}`: a symbolic link is in the way");
            assert!(said.stderr.contains(&why), "{said:?}");
        }
        assert!(!victim.exists());
        assert_eq!(before, tree(&env.kb()));
    }
}

#[test]
fn a_kb_that_nobody_can_write_is_read_without_a_lock() {
    let env = prepared();
    let read_only = env.path("read-only");
    let Some(mount) = Mount::read_only(&env.kb(), &read_only, "a read-only KB") else {
        return;
    };
    let run = |words: &[&str]| {
        let kb = read_only.to_str().unwrap();
        env.run(["--kb-dir", kb].iter().chain(words))
    };
    let page = "# A\n\nThe first version.\n";
    for words in [&["list"][..], &["status"], &["search", "first"], &["lock"]] {
        let said = run(words);
        assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    }
    assert_said!(run(&["show", "a"]), code: 0, stdout: page, stderr: "");
    // The same for one that came without its lock files.
    for name in [LOCK, ".openkb/gate.lock"] {
        fs::remove_file(env.kb().join(name)).unwrap();
    }
    assert_said!(run(&["show", "a"]), code: 0, stdout: page, stderr: "");
    assert!(run(&["lock"]).stdout.ends_with("Lock: free\n"));
    let said = run(&["add", "docs/b.md"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("Read-only file system"), "{said:?}");
    drop(mount);
}

#[test]
fn a_reader_waits_for_a_change_and_not_for_other_readers() {
    let env = prepared();
    let held = hold_lock(&env);
    let said = env.run(["show", "a", "--no-wait"]);
    assert_eq!((said.code, said.stdout.as_str()), (75, ""), "{said:?}");
    // These take no lock.
    for words in [&["list"][..], &["status"], &["search", "first"]] {
        assert_eq!(env.run(words).code, 0);
    }
    drop(held);
    let sharing = File::open(env.kb().join(LOCK)).unwrap();
    sharing.lock_shared().unwrap();
    assert_eq!(env.run(["show", "a", "--no-wait"]).code, 0);
}

/// The user's list of knowledge bases.
mod known {
    use super::*;

    const LIST: &str = "home/.config/kbhost/knowledge-bases.json";

    fn list(env: &Env) -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(env.path(LIST)).unwrap()).unwrap()
    }

    /// Runs a command in a folder that lies in no KB, with none named.
    fn run_nowhere(env: &Env, words: &[&str]) -> Said {
        env.finish(env.command(words).env_remove("KBHOST_KB"))
    }

    #[test]
    fn eight_commands_at_once_lose_no_entry() {
        let env = Env::empty();
        let names: Vec<String> = (0..8).map(|n| format!("kb-{n}")).collect();
        let children = names.iter().map(|name| {
            let mut command = env.command(["init", name]);
            env.spawn(&mut command)
        });
        let children: Vec<Child> = children.collect();
        for child in children {
            let said = env.wait(child);
            assert_eq!(said.code, 0, "{said:?}");
            assert!(!said.stderr.contains("warning"), "{said:?}");
        }
        let list = list(&env);
        let known = list["knowledge_bases"].as_array().unwrap();
        assert_eq!(known.len(), 8, "{list}");
        for name in names {
            let path = env.path(&name).canonicalize().unwrap();
            assert!(known.contains(&path.to_str().unwrap().into()), "{list}");
        }
        assert_eq!(list["default"], serde_json::Value::Null);
    }

    #[test]
    fn the_default_is_meant_where_none_is_named_or_found() {
        let env = prepared();
        let said = run_nowhere(&env, &["list"]);
        assert_eq!(said.code, 2, "{said:?}");
        let said = env.run(["init", "--default", "kb"]);
        assert_said!(
            said,
            code: 0,
            stdout: "There is a knowledge base in $ROOT/kb already; nothing was changed\n",
            stderr: "it is used now where no other one is named or found\n",
        );
        let status = run_nowhere(&env, &["status"]);
        assert!(
            status.stdout.starts_with("Knowledge base: $ROOT/kb\n"),
            "{status:?}"
        );
        // A new one takes its place; one that is named or found stands above it.
        assert_eq!(env.run(["init", "--default", "other"]).code, 0);
        let status = run_nowhere(&env, &["status"]);
        assert!(
            status.stdout.starts_with("Knowledge base: $ROOT/other\n"),
            "{status:?}"
        );
        let status = env.run(["status"]);
        assert!(
            status.stdout.starts_with("Knowledge base: $ROOT/kb\n"),
            "{status:?}"
        );
        assert_eq!(list(&env)["knowledge_bases"].as_array().unwrap().len(), 2);
        // One that is gone is named, and no other one is guessed.
        fs::remove_dir_all(env.path("other")).unwrap();
        let said = run_nowhere(&env, &["list"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.stderr.contains("`$ROOT/other`"), "{said:?}");
    }

    #[test]
    fn a_damaged_list_is_trouble_only_where_it_is_needed() {
        let env = prepared();
        for damage in ["", "no JSON", r#"{"format":1,"knowledge_bases":["up/.."]}"#] {
            fs::write(env.path(LIST), damage).unwrap();
            assert_eq!(env.run(["list"]).code, 0);
            let said = run_nowhere(&env, &["list"]);
            assert_eq!(said.code, 2, "{said:?}");
            assert!(said.stderr.contains("knowledge-bases.json`"), "{said:?}");
            let said = env.run(["init", "kb"]);
            assert_eq!(said.code, 0, "{said:?}");
            assert!(said.stderr.starts_with("warning: "), "{said:?}");
            assert!(said.stderr.contains("knowledge-bases.json"), "{said:?}");
            assert_eq!(env.run(["init", "kb", "--default"]).code, 2);
            // It may be mended by hand: nothing is written over it.
            assert_eq!(fs::read_to_string(env.path(LIST)).unwrap(), damage);
        }
    }
}

#[test]
fn init_leaves_whole_files_and_nothing_else() {
    let env = Env::empty();
    let children: Vec<Child> = (0..4)
        .map(|_| env.spawn(&mut env.command(["init", "kb"])))
        .collect();
    let said: Vec<Said> = children.into_iter().map(|child| env.wait(child)).collect();
    let created = |said: &&Said| said.stdout.starts_with("Created");
    assert!(said.iter().all(|said| said.code == 0), "{said:?}");
    assert_eq!(said.iter().filter(created).count(), 1, "{said:?}");
    let entries = everything(&env.kb());
    assert!(
        entries
            .iter()
            .all(|entry| !format!("{entry:?}").contains(".tmp")),
        "{entries:?}"
    );
    assert!(
        env.kb_text(".openkb/config.yaml")
            .starts_with("language: en\n")
    );
}

#[cfg(feature = "fault-points")]
mod faults {
    use std::path::Path;
    use std::time::Instant;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Asserts that a page reads as it did before a change that died.
    fn reads_old(env: &Env, kb: &Path) {
        let kb = kb.to_str().unwrap();
        let said = env.run(["show", "a", "--kb-dir", kb]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.stdout, "# A\n\nThe first version.\n", "{said:?}");
    }

    fn journals(env: &Env) -> usize {
        let dir = env.kb().join(".openkb/kbhost/journal");
        fs::read_dir(dir).unwrap().count()
    }

    /// Leaves a change of `a` and a new document that died just before its commit point.
    fn die(env: &Env) {
        env.doc("a.md", "# A\n\nThe second version.\n");
        let said = env.run_with(
            &[("KBHOST_FAULT", "registry.after:abort")],
            ["add", "docs/a.md", "docs/b.md"],
        );
        assert_eq!(said.code, -1, "{said:?}");
        assert_eq!(journals(env), 1);
        assert!(env.kb_text("wiki/sources/a.md").contains("second"));
    }

    #[test]
    fn a_reader_undoes_what_a_dead_change_left() {
        let env = prepared();
        let before = tree(&env.kb());
        die(&env);
        reads_old(&env, &env.kb());
        assert_eq!(journals(&env), 0);
        assert_eq!(before, tree(&env.kb()));
    }

    #[test]
    fn a_reader_that_cannot_undo_reads_what_was_before() {
        let env = prepared();
        die(&env);
        let half = everything(&env.kb());
        // Another reader keeps the exclusive lock away.
        let other = File::open(env.kb().join(LOCK)).unwrap();
        other.lock_shared().unwrap();
        reads_old(&env, &env.kb());
        let said = env.run(["show", "b"]);
        assert_eq!(said.code, 1, "it was never committed: {said:?}");
        assert_eq!(half, everything(&env.kb()));
        drop(other);
        let read_only = env.path("read-only");
        if let Some(mount) = Mount::read_only(&env.kb(), &read_only, "an unfinished change") {
            reads_old(&env, &read_only);
            assert_eq!(half, everything(&env.kb()));
            drop(mount);
        }
        // As soon as the lock is to be had, the next reader undoes it.
        reads_old(&env, &env.kb());
        assert_eq!(journals(&env), 0);
    }

    #[test]
    fn a_committed_change_reads_as_committed_before_it_is_cleaned_up() {
        let env = prepared();
        env.doc("a.md", "# A\n\nThe second version.\n");
        let fault = [("KBHOST_FAULT", "cleanup.before:abort")];
        assert_eq!(env.run_with(&fault, ["add", "docs/a.md"]).code, -1);
        assert_eq!(journals(&env), 1);
        let said = env.run(["show", "a"]);
        assert_said!(said, code: 0, stdout: "# A\n\nThe second version.\n", stderr: "");
        assert_eq!(journals(&env), 1, "it is the next owner's to clean up");
    }

    /// An `add` of b that stands still at a fault point while it has the lock.
    fn standing(env: &Env, point: &str) -> Child {
        let trace = env.path(&format!("points-{point}"));
        let mut command = env.command(["add", "docs/b.md"]);
        command.env("KBHOST_FAULT", format!("{point}:delay-2000"));
        command.env("KBHOST_FAULT_TRACE", &trace);
        let child = env.spawn(&mut command);
        until(point, || {
            let passed = fs::read_to_string(&trace).unwrap_or_default();
            passed.lines().any(|name| name == point)
        });
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        child
    }

    #[test]
    fn a_stopped_holder_is_the_holder_and_a_killed_one_frees_at_once() {
        let env = prepared();
        let mut child = standing(&env, "plan.before");
        let pid = child.id();
        let stat = format!("/proc/{pid}/stat");
        until("it to stand", || {
            fs::read_to_string(&stat).unwrap().contains(") T ")
        });
        let said = lock(&env);
        for line in [
            &format!("\nLock: held for a change\nProcess: {pid}, stopped\n  Started as: "),
            "\n  Command: kbhost add\n  Has it since: 2025-06-15T15:06:40Z\n  Phase: plan\n",
            "\n  Last progress: 2025-06-15T15:06:40Z\n  Host: ",
        ] {
            assert!(said.stdout.contains(line), "{line}: {said:?}");
        }
        assert!(
            said.stderr.contains(&format!("`kill -CONT {pid}`")),
            "{said:?}"
        );
        let said = env.run(["add", "--no-wait", "docs/b.md"]);
        assert_eq!(said.code, 75, "{said:?}");
        let named =
            format!("`kbhost add` (process {pid}) took it at 2025-06-15T15:06:40Z, phase plan");
        assert!(said.stderr.contains(&named), "{said:?}");
        assert!(said.stderr.contains("; it is stopped"), "{said:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = Instant::now();
        assert_eq!(lock(&env).stdout.lines().last(), Some("Lock: free"));
        let said = env.run(["add", "--no-wait", "docs/b.md"]);
        assert_eq!(said.code, 0, "{:?} {said:?}", killed.elapsed());
    }

    /// Goal: whoever hangs is seen where it hangs, and since when. Method: an add of a few
    /// milliseconds stands still in each of its phases.
    #[test]
    fn the_phase_is_the_one_in_which_the_holder_stands() {
        let env = prepared();
        for (point, phase) in [
            ("plan.before", "plan"),
            ("snapshot.after", "snapshot"),
            ("publish.after", "publish"),
            ("write.after", "write"),
            ("registry.after", "registry"),
            ("commit.before", "registry"),
            ("effects.before", "effects"),
        ] {
            let mut child = standing(&env, point);
            let said = lock(&env);
            child.kill().unwrap();
            child.wait().unwrap();
            let line = format!("\n  Phase: {phase}\n");
            assert!(said.stdout.contains(&line), "{point}: {said:?}");
            let trace = fs::read_to_string(env.path(&format!("points-{point}"))).unwrap();
            let writes = trace.lines().filter(|line| line.contains(" advisory:"));
            // Those of the recovery before it, and one for each phase.
            assert!(writes.count() <= 7, "{point}: {trace}");
        }
    }

    const NFS: (&str, &str) = ("KBHOST_TEST_FS_MAGIC", "6969");
    const FUSE: (&str, &str) = ("KBHOST_TEST_FS_MAGIC", "65735546");

    #[test]
    fn a_network_file_system_is_only_read_unless_the_user_vouches_for_it() {
        let env = prepared();
        let before = everything(&env.kb());
        let said = env.run_with(&[NFS], ["add", "docs/b.md"]);
        assert_said!(
            said,
            code: 2,
            stdout: "",
            stderr: "error: failed to lock the knowledge base `$ROOT/kb`: it lies on a NFS file \
                     system, whose locks other machines may not see\n\nhint: move the knowledge \
                     base to a local disk; if nobody changes it from another machine, vouch for \
                     that with `--allow-network-fs`\n0 added, 1 not tried\n",
        );
        assert_eq!(before, everything(&env.kb()));
        assert_eq!(env.run_with(&[NFS], ["init", "new"]).code, 2);
        for words in [&["show", "a"][..], &["list"], &["lock"], &["status"]] {
            let said = env.run_with(&[NFS], words);
            assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
        }
        let said = env.run_with(&[NFS], ["add", "docs/b.md", "--allow-network-fs"]);
        assert_eq!(
            (said.code, said.stderr.as_str()),
            (0, "1 added\n"),
            "{said:?}"
        );
        let said = env.run_with(&[NFS], ["init", "new", "--allow-network-fs"]);
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Goal: on a file system that another program serves the lock is tried out by a second process.
    /// Method: the real probe, on a file system that only claims to be of that kind; with locks that
    /// are none it must notice.
    #[test]
    fn a_relayed_file_system_is_tried_out_by_a_second_process() {
        let env = prepared();
        // Three groups: the probe and the warning come once.
        for n in 0..130 {
            env.doc(&format!("more/{n}.md"), format!("# N{n}\n"));
        }
        let said = env.run_with(&[FUSE], ["add", "docs/more"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.stderr.matches("warning:").count(), 1, "{said:?}");
        assert!(
            said.stderr.contains(
                "warning: the knowledge base lies on a FUSE or virtiofs file system: its lock held off \
                 a second process on this machine"
            ),
            "{said:?}"
        );
        let before = tree(&env.kb());
        let said = env.run_with(&[FUSE, ("KBHOST_TEST_NO_LOCK", "1")], ["add", "docs/b.md"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.stderr.contains("a second process got the same one"),
            "{said:?}"
        );
        assert!(said.stderr.contains("`--allow-network-fs`"), "{said:?}");
        assert_eq!(before, tree(&env.kb()));
        assert_eq!(env.run_with(&[FUSE], ["show", "a"]).code, 0);
    }
}
