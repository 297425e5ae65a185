//! The mutation core on a real KB, with documents prepared by hand.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write what a user or a crash would"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::coordinator::{self, End};
use super::{LockOptions, Owner, OwnerOptions, Removal, guard, init, journal, plan};
use crate::commit::{SerialOwner as _, Verdict};
use crate::kb::clock::Clock;
use crate::kb::config::Config;
use crate::kb::registry::Catalogue;
use crate::kb::{ContentHash, KbRoot, PluginDigest, Seq, SourceKey, layout};
use crate::plugin::PluginIdentity;
use crate::prepare::{Original, PreparedDocument, ReadyFile, StagingRoot};

mod checkpoints;

/// The id of a mutation whose owner died.
const DEAD: &str = "000000000009-deadbeef";

fn after(text: &str) -> journal::After {
    journal::After {
        size: text.len() as u64,
        sha256: ContentHash::of(text.as_bytes()),
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    root: Arc<KbRoot>,
    staging: StagingRoot,
}

fn options(wait: Duration) -> OwnerOptions {
    OwnerOptions {
        lock: LockOptions::waiting(wait),
        clock: Clock::from_source_date_epoch(Some("1750000000")),
        config: Config::default(),
        command: "add",
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path(), "en").unwrap();
        let root = Arc::new(KbRoot::open(dir.path()).unwrap());
        let staging = StagingRoot::open(&root.join(&layout::prepare_dir())).unwrap();
        Self {
            _dir: dir,
            root,
            staging,
        }
    }

    fn path(&self, relative: &str) -> std::path::PathBuf {
        self.root.path().join(relative)
    }

    fn text(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative))
            .unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    fn owner(&self) -> Owner {
        Owner::new(Arc::clone(&self.root), options(Duration::from_secs(2)))
    }

    fn acquire(&self) -> Result<guard::MutationGuard, super::AcquireError> {
        guard::acquire(&self.root, &options(Duration::from_millis(50)))
    }

    /// A Markdown document as prepare hands it over.
    fn document(&self, seq: u64, path: &str, text: &str) -> PreparedDocument {
        let staging = self.staging.create().unwrap();
        let write = |dir: &Path, name: &str| {
            fs::create_dir_all(dir).unwrap();
            fs::write(dir.join(name), text).unwrap();
            ReadyFile {
                name: name.to_owned(),
                size: text.len() as u64,
                hash: ContentHash::of(text.as_bytes()),
            }
        };
        let original = write(&staging.input(), "input.md");
        let main = write(&staging.ready(), "main.md");
        let file_name = path.rsplit('/').next().unwrap().to_owned();
        let stem = crate::kb::identity::stem(&file_name).to_owned();
        PreparedDocument {
            seq: Seq(seq),
            staging,
            original: Original::of_file(original),
            cloud: None,
            display: path.to_owned(),
            key: SourceKey::new(path.to_owned()),
            file_name,
            extension: "md".to_owned(),
            media_type: "text/markdown".to_owned(),
            checkpoint: None,
            plugin: PluginIdentity {
                name: "markdown".to_owned(),
                version: "0.1.0".to_owned(),
                digest: PluginDigest(ContentHash::of(b"")),
                world: "test".to_owned(),
            },
            again: false,
            report: Default::default(),
            limits: Default::default(),
            options: Vec::new(),
            assets: Vec::new(),
            main,
            images: Vec::new(),
            members: Vec::new(),
            pages_json: None,
            tree_json: None,
            tree: None,
            page_count: None,
            needs_ocr: None,
            outline: Vec::new(),
            metadata: Vec::new(),
            warnings: Vec::new(),
            analysis: crate::compile::analyse(text, None, &[], &stem),
        }
    }

    /// A journal's entry that replaces the index as it is now.
    fn index_entry(&self, rendered: &str) -> journal::Entry {
        let index = self.text("wiki/index.md");
        let (size, sha256) = (index.len() as u64, ContentHash::of(index.as_bytes()));
        let before = journal::Before {
            size,
            sha256,
            mode: 0o644,
            image: "0".to_owned(),
        };
        journal::Entry {
            path: layout::index_page(),
            before: Some(before),
            after: Some(after(rendered)),
        }
    }

    /// Leaves what an owner leaves that dies after its snapshot; the index is the pre-image `0`.
    fn die_with(&self, entries: Vec<journal::Entry>) -> std::path::PathBuf {
        let dir = self.path(".openkb/kbhost/journal").join(DEAD);
        fs::create_dir_all(dir.join("pre")).unwrap();
        fs::copy(self.path("wiki/index.md"), dir.join("pre/0")).unwrap();
        let registry = super::registry::Registry::open(&self.root)
            .unwrap()
            .unwrap();
        // It planned from the epoch that its id tells, and nothing was committed since.
        registry
            .connection
            .execute("UPDATE meta SET value = 9 WHERE key = 'epoch'", [])
            .unwrap();
        let uuid = registry.uuid().unwrap();
        let mut found = journal::Journal::new(DEAD.to_owned(), uuid, "add", "now".to_owned());
        found.entries = entries;
        fs::write(dir.join("journal.json"), found.to_bytes()).unwrap();
        dir
    }

    /// Commits documents one group each; panics if one is not committed.
    fn commit(&self, documents: Vec<PreparedDocument>) -> Vec<String> {
        let mut owner = self.owner();
        let outcome = owner.commit(documents);
        assert!(outcome.stop.is_none(), "{outcome:?}");
        owner.finish().unwrap();
        outcome
            .verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Committed(receipt) => receipt.name.to_string(),
                Verdict::Duplicate(name) => format!("= {name}"),
                Verdict::Failed(error) => format!("! {error}"),
            })
            .collect()
    }
}

#[test]
fn a_document_is_committed_with_its_pages() {
    let bench = Bench::new();
    let names = bench.commit(vec![bench.document(
        0,
        "/in/a.md",
        "# Alpha\n\nThe first letter of them all.\n",
    )]);
    assert_eq!(names, ["a"]);
    assert_eq!(
        bench.text("raw/a.md"),
        "# Alpha\n\nThe first letter of them all.\n"
    );
    assert_eq!(bench.text("wiki/sources/a.md"), bench.text("raw/a.md"));
    assert!(bench.text("wiki/summaries/a.md").contains("# Alpha"));
    assert!(bench.text("wiki/index.md").contains("[[summaries/a]]"));
    assert!(
        bench
            .text("wiki/log.md")
            .contains("ingest | a.md → summaries/a")
    );
    assert!(
        bench
            .text(".openkb/hashes.json")
            .contains("\"doc_name\": \"a\"")
    );
    let left = fs::read_dir(bench.path(".openkb/kbhost/journal"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "the journal is retired");
}

#[test]
fn duplicates_collisions_and_updates_in_one_group() {
    let bench = Bench::new();
    let names = bench.commit(vec![
        bench.document(0, "/x/a.md", "one\n"),
        bench.document(1, "/y/a.md", "two\n"),
        bench.document(2, "/z/b.md", "one\n"),
        bench.document(3, "/z/A.md", "three\n"),
    ]);
    let suffixed = |key: &str| format!("-{}", &ContentHash::of(key.as_bytes()).to_hex()[..8]);
    assert_eq!(names[0], "a");
    assert_eq!(names[1], format!("a{}", suffixed("/y/a.md")));
    assert_eq!(names[2], "= a");
    assert_eq!(
        names[3],
        format!("A{}", suffixed("/z/A.md")),
        "names that differ in case only collide"
    );

    let again = bench.commit(vec![
        bench.document(0, "/x/a.md", "one, edited\n"),
        bench.document(1, "/z/b.md", "one\n"),
    ]);
    assert_eq!(
        again,
        ["a", "b"],
        "the update frees the old bytes for another source"
    );
    assert_eq!(bench.text("raw/a.md"), "one, edited\n");
    let catalogue = Catalogue::open(&bench.root).unwrap();
    let rows = catalogue.documents().unwrap();
    assert_eq!(
        rows.iter().map(|row| row.ordinal).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
}

#[test]
fn files_of_unknown_origin_are_not_overwritten() {
    let bench = Bench::new();
    fs::write(bench.path("wiki/summaries/a.md"), "mine").unwrap();
    let names = bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]);
    assert_ne!(names[0], "a");
    assert_eq!(bench.text("wiki/summaries/a.md"), "mine");
}

#[test]
fn a_hand_edited_page_is_set_aside_when_its_document_is_updated() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]);
    fs::write(bench.path("wiki/summaries/a.md"), "my own words\n").unwrap();
    let mut owner = bench.owner();
    let outcome = owner.commit(vec![bench.document(0, "/x/a.md", "two\n")]);
    let [Verdict::Committed(receipt)] = outcome.verdicts.as_slice() else {
        panic!("{outcome:?}")
    };
    let warning = receipt
        .warnings
        .first()
        .expect("the user is told")
        .to_string();
    let kept = warning.rsplit('`').nth(1).unwrap();
    assert_eq!(bench.text(kept), "my own words\n", "{warning}");
}

/// Goal: an update takes no file that is not its document's. Method: the registry claims a page of a
/// person and another document's original, as a row of `pages` and as paths of the document.
#[test]
fn files_of_others_do_not_go_with_an_update() {
    let bench = Bench::new();
    bench.commit(vec![
        bench.document(0, "/x/a.md", "one\n"),
        bench.document(1, "/x/b.md", "two\n"),
    ]);
    let mine = "wiki/explorations/mine.md";
    fs::write(bench.path(mine), "mine").unwrap();
    let registry = rusqlite::Connection::open(bench.path(".openkb/kbhost/registry.db")).unwrap();
    registry
        .execute_batch(
            "UPDATE documents SET raw_path = 'raw/b.md', source_path = 'wiki/explorations/mine.md' \
             WHERE ordinal = 1; \
             UPDATE pages SET ordinal = 1 WHERE path = 'raw/b.md'; \
             INSERT INTO pages (path, ordinal, sha256) \
             VALUES ('wiki/explorations/mine.md', 1, zeroblob(32))",
        )
        .unwrap();
    assert_eq!(
        bench.commit(vec![bench.document(0, "/x/a.md", "one, edited\n")]),
        ["a"]
    );
    assert_eq!(bench.text("raw/a.md"), "one, edited\n");
    assert_eq!(bench.text("raw/b.md"), "two\n");
    assert_eq!(bench.text(mine), "mine");

    let storage = super::storage::Storage::new(Arc::clone(&bench.root));
    let path = |path: &str| crate::kb::KbPath::new(path).unwrap();
    let files = super::survey::files(
        &storage,
        &crate::kb::DocName::new("a").unwrap(),
        Some(&path("raw/b.md")),
        Some(&path(mine)),
    );
    let files: Vec<String> = files
        .unwrap()
        .into_iter()
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(files, ["wiki/sources/a.md", "wiki/summaries/a.md"]);
}

/// Goal: a file of `raw/` that nobody registered is kept when a document takes its place. Method: an
/// entry of OpenKB without a path, and a person's file where its original would be; and the same with
/// the very bytes of the entry, of which no copy is needed.
#[test]
fn an_unregistered_original_is_set_aside_unless_it_is_the_documents() {
    let check = |found: &str, is_kept: bool| {
        let bench = Bench::new();
        fs::remove_dir_all(bench.path(".openkb/kbhost")).unwrap();
        let hash = ContentHash::of(b"old\n").to_hex();
        let entry = format!(
            "{{\"{hash}\": {{\"name\": \"notes.md\", \"doc_name\": \"notes\", \"type\": \"md\"}}}}"
        );
        fs::write(bench.path(".openkb/hashes.json"), entry).unwrap();
        fs::write(bench.path("raw/notes.md"), found).unwrap();
        let names = bench.commit(vec![bench.document(0, "/x/notes.md", "new\n")]);
        assert_eq!(names, ["notes"], "the entry is updated");
        assert_eq!(bench.text("raw/notes.md"), "new\n");
        let conflicts = bench.path(".openkb/kbhost/conflicts");
        let mut kept = Vec::new();
        for folder in fs::read_dir(conflicts).into_iter().flatten() {
            for file in fs::read_dir(folder.unwrap().path()).unwrap() {
                kept.push(fs::read_to_string(file.unwrap().path()).unwrap());
            }
        }
        let expected: &[&str] = if is_kept { &[found] } else { &[] };
        assert_eq!(kept, expected, "{found:?}");
    };
    check("mine\n", true);
    check("old\n", false);
}

/// Goal: what was acknowledged is on the medium, whatever a note about an export sets off. Method: the
/// level at which the note is written is seen from within, and again after a note that failed.
#[test]
fn a_note_about_an_export_never_turns_syncs_off() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]);
    let registry = super::registry::Registry::open(&bench.root)
        .unwrap()
        .unwrap();
    let level = || -> i64 {
        registry
            .connection
            .query_row("PRAGMA synchronous", [], |row| row.get(0))
            .unwrap()
    };
    let full = level();
    assert_eq!(full, 2);
    registry
        .batch(
            "DELETE FROM openkb_base; \
             INSERT INTO openkb_base (name_fold, digest, exported) VALUES ('a', NULL, 1); \
             CREATE TEMP TABLE seen (level INTEGER); \
             CREATE TEMP TRIGGER see AFTER UPDATE ON main.openkb_base BEGIN \
             INSERT INTO seen SELECT synchronous FROM pragma_synchronous; END",
        )
        .unwrap();
    registry.note_export_written();
    let seen: i64 = registry
        .connection
        .query_row("SELECT level FROM seen", [], |row| row.get(0))
        .unwrap();
    assert_eq!(seen, 1, "NORMAL: a checkpoint syncs");
    assert_eq!(level(), full);
    registry.batch("DROP TABLE openkb_base").unwrap();
    registry.note_export_written();
    assert_eq!(level(), full, "a note that failed changes nothing");
}

#[test]
fn a_second_guard_on_the_same_thread_is_an_error_at_once() {
    let bench = Bench::new();
    let guard = bench.acquire().unwrap();
    assert!(matches!(bench.acquire(), Err(super::AcquireError::Nested)));
    drop(guard);
    drop(bench.acquire().unwrap());
}

#[test]
fn a_held_lock_is_busy_and_names_its_holder() {
    let bench = Bench::new();
    drop(bench.acquire().unwrap());
    let file = fs::File::options()
        .write(true)
        .open(bench.path(".openkb/ingest.lock"))
        .unwrap();
    fs2::FileExt::lock_exclusive(&file).unwrap();
    let error = bench.acquire().unwrap_err();
    assert!(error.to_string().contains("`kbhost add`"), "{error}");
}

/// Goal: what a mutation changed is undone exactly, whichever way it ends before its commit point.
/// Method: fence it (another owner moves the epoch) is final; a directory in the way of one page
/// rolls the others back.
#[test]
fn a_failure_before_the_commit_point_leaves_everything_as_it_was() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(
        0,
        "/x/a.md",
        "# A\n\nABC (Alpha Beta Club) ABC.\n",
    )]);
    let before = (
        bench.text("wiki/index.md"),
        bench.text("wiki/log.md"),
        bench.text("wiki/summaries/a.md"),
    );
    fs::create_dir(bench.path("wiki/concepts/abc.md")).unwrap();
    let mut owner = bench.owner();
    let outcome = owner.commit(vec![
        bench.document(0, "/x/b.md", "# B\n\nABC (Alpha Beta Club) ABC.\n"),
        bench.document(1, "/x/c.md", "# C\n\nNothing shared.\n"),
    ]);
    assert!(outcome.stop.is_none(), "{outcome:?}");
    assert!(
        matches!(outcome.verdicts[0], Verdict::Failed(_)),
        "{outcome:?}"
    );
    assert!(
        matches!(outcome.verdicts[1], Verdict::Committed(_)),
        "the second is in: {outcome:?}"
    );
    assert!(!bench.path("raw/b.md").exists());
    assert_eq!(bench.text("wiki/summaries/a.md"), before.2);
    assert!(bench.text("wiki/index.md").contains("[[summaries/c]]"));
    assert!(!bench.text("wiki/index.md").contains("[[summaries/b]]"));
}

/// Goal: a committed registry and an uncommitted one lead to opposite recoveries of the same journal.
/// Method: stop a mutation after `register` by forgetting it, drop its transaction, drain.
#[test]
fn recovery_follows_the_registry() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]);
    let index = bench.text("wiki/index.md");
    let new = journal::Entry {
        path: crate::kb::KbPath::new("wiki/sources/new.md").unwrap(),
        before: None,
        after: Some(after("not this")),
    };
    let dir = bench.die_with(vec![bench.index_entry("half written"), new]);
    fs::write(bench.path("wiki/index.md"), "half written").unwrap();
    fs::write(bench.path("wiki/sources/new.md"), "new").unwrap();
    drop(bench.acquire().unwrap());
    assert_eq!(bench.text("wiki/index.md"), index);
    assert!(!bench.path("wiki/sources/new.md").exists());
    let digits = &ContentHash::of(b"new").to_hex()[..8];
    let kept = format!(".openkb/kbhost/conflicts/{DEAD}/{digits}-wiki__sources__new.md");
    assert_eq!(bench.text(&kept), "new", "an edit after the crash is kept");
    assert!(!dir.exists());
}

#[test]
fn journals_that_could_do_harm_are_refused_unread() {
    let bench = Bench::new();
    let uuid = super::registry::Registry::open(&bench.root)
        .unwrap()
        .unwrap()
        .uuid()
        .unwrap();
    let check = |id: &str, text: &str| {
        let dir = bench.path(".openkb/kbhost/journal").join(id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("journal.json"), text).unwrap();
        let error = bench.acquire().unwrap_err();
        assert!(
            matches!(error, super::AcquireError::NeedsAttention { .. }),
            "{id}: {error}"
        );
        // A person looked at it and moved it away.
        fs::remove_dir_all(&dir).ok();
        fs::remove_dir_all(bench.path(".openkb/kbhost/quarantine")).ok();
    };
    let journal = |id: &str, registry: &str, path: &str| {
        format!(
            r#"{{"format":1,"id":"{id}","registry":"{registry}","operation":"add","started":"","entries":[{{"path":"{path}","before":null,"after":null}}],"made_dirs":[]}}"#
        )
    };
    check("1-empty", "");
    check("2-torn", &journal("2-torn", &uuid, "raw/a")[..40]);
    check("3-absolute", &journal("3-absolute", &uuid, "/etc/passwd"));
    check("4-up", &journal("4-up", &uuid, "wiki/../../x"));
    check("5-state", &journal("5-state", &uuid, ".openkb/config.yaml"));
    check("6-other", &journal("6-other", "another registry", "raw/a"));
    check(
        "7-newer",
        &journal("7-newer", &uuid, "raw/a").replace("\"format\":1", "\"format\":2"),
    );
    drop(bench.acquire().unwrap());
}

#[test]
fn a_fenced_owner_touches_nothing_more() {
    let bench = Bench::new();
    let guard = bench.acquire().unwrap();
    let documents = [bench.document(0, "/x/a.md", "one\n")];
    let planned = plan::plan_add(&guard, &documents).unwrap();
    let index = bench.text("wiki/index.md");
    let other = rusqlite::Connection::open(bench.path(".openkb/kbhost/registry.db")).unwrap();
    other
        .execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'", [])
        .unwrap();
    let End::Dead(error) = coordinator::run(guard, planned) else {
        panic!("it must not go on")
    };
    assert!(
        matches!(error, super::MutationError::Fenced { .. }),
        "{error}"
    );
    // What it had published is still there, and so is the journal. Nobody undoes it by himself: what
    // would be restored is older than what the other owner committed.
    let journals = bench.path(".openkb/kbhost/journal");
    for _ in 0..2 {
        assert_eq!(bench.text("raw/a.md"), "one\n");
        assert_ne!(bench.text("wiki/index.md"), index);
        assert_eq!(fs::read_dir(&journals).unwrap().count(), 1);
        let error = bench.acquire().unwrap_err();
        assert!(error.to_string().contains("moved on"), "{error}");
    }
}

/// Goal: a pre-image that somebody wrote to through its hard link, or that was damaged, costs
/// neither version. Method: the recorded digest is another one than the image's.
#[test]
fn a_changed_pre_image_is_put_back_and_what_it_replaces_is_kept() {
    let bench = Bench::new();
    let dir = bench.die_with(vec![bench.index_entry("rendered")]);
    fs::write(dir.join("pre/0"), "edited in place").unwrap();
    fs::write(bench.path("wiki/index.md"), "rendered").unwrap();
    drop(bench.acquire().unwrap());
    assert_eq!(bench.text("wiki/index.md"), "edited in place");
    let digits = &ContentHash::of(b"rendered").to_hex()[..8];
    let kept = format!(".openkb/kbhost/conflicts/{DEAD}/{digits}-wiki__index.md");
    assert_eq!(bench.text(&kept), "rendered");
    assert!(!dir.exists());
}

/// Goal: a folder that went with its last file, as git does it, does not stop an undo.
#[test]
fn a_page_is_restored_into_a_folder_that_is_gone() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]);
    let page = crate::kb::KbPath::new("wiki/sources/a.md").unwrap();
    let mut entry = bench.index_entry("not this");
    entry.path = page;
    bench.die_with(vec![entry]);
    fs::remove_dir_all(bench.path("wiki/sources")).unwrap();
    drop(bench.acquire().unwrap());
    assert_eq!(
        bench.text("wiki/sources/a.md"),
        bench.text("wiki/index.md"),
        "the pre-image is the index"
    );
}

#[test]
fn an_openkb_kb_is_imported_by_the_first_mutation() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path(".openkb/kbhost")).unwrap();
    let hash = ContentHash::of(b"old\n").to_hex();
    let entry = format!(
        "{{\n  \"{hash}\": {{\n    \"name\": \"Old One.md\",\n    \"doc_name\": \"Old-One\",\n    \"type\": \"md\",\n    \"path\": \"/x/Old One.md\",\n    \"raw_path\": \"raw/Old-One.md\",\n    \"source_path\": \"wiki/sources/Old-One.md\"\n  }}\n}}\n"
    );
    fs::write(bench.path(".openkb/hashes.json"), &entry).unwrap();
    let catalogue = Catalogue::open(&bench.root).unwrap();
    assert!(catalogue.is_openkb());
    assert_eq!(
        catalogue.documents().unwrap()[0].doc_name.as_str(),
        "Old-One"
    );
    let names = bench.commit(vec![
        bench.document(0, "/y/same.md", "old\n"),
        bench.document(1, "/x/Old One.md", "old, edited\n"),
        bench.document(2, "/z/Old One.md", "another\n"),
    ]);
    assert_eq!(names[..2], ["= Old-One", "Old-One"]);
    assert!(names[2].starts_with("Old-One-"), "{names:?}");
    let exported = bench.text(".openkb/hashes.json");
    assert!(
        exported.starts_with("{\n  \"") && exported.ends_with("}\n"),
        "{exported}"
    );
    assert_eq!(exported.matches("\"doc_name\"").count(), 2);
    fs::write(
        bench.path(".openkb/hashes.json"),
        entry.replace("Old One", "Other"),
    )
    .unwrap();
    let error = bench.acquire().unwrap_err();
    assert!(
        matches!(error, super::AcquireError::NeedsAttention { .. }),
        "{error}"
    );
}

/// Goal: a registered document is replaced by one document of a group, never by two. Method: an
/// imported entry without a path matches any file of its name, and two such files come together.
#[test]
fn one_row_is_not_replaced_twice() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path(".openkb/kbhost")).unwrap();
    let hash = ContentHash::of(b"old\n").to_hex();
    let entry =
        format!(r#"{{"{hash}": {{"name": "report.md", "doc_name": "report", "type": "md"}}}}"#);
    fs::write(bench.path(".openkb/hashes.json"), entry).unwrap();
    let names = bench.commit(vec![
        bench.document(0, "/a/report.md", "first\n"),
        bench.document(1, "/b/report.md", "second\n"),
    ]);
    assert_eq!(names[0], "report");
    assert!(names[1].starts_with("report-"), "{names:?}");
    assert_eq!(bench.text("wiki/sources/report.md"), "first\n");
    assert_eq!(
        bench.text(&format!("wiki/sources/{}.md", names[1])),
        "second\n"
    );
}

/// Goal: an edit by hand that a neighbour's commit passed over is still known as one. Method: edit a
/// summary, let another document link to it, then update its own document.
#[test]
fn a_neighbours_commit_does_not_make_an_edit_ours() {
    let bench = Bench::new();
    let text = |word: &str| format!("# {word}\n\nABC (Alpha Beta Club) met. The ABC met again.\n");
    bench.commit(vec![bench.document(0, "/x/a.md", &text("A"))]);
    let summary = bench.text("wiki/summaries/a.md") + "\nMy own remark.\n";
    fs::write(bench.path("wiki/summaries/a.md"), summary).unwrap();
    bench.commit(vec![bench.document(0, "/x/b.md", &text("B"))]);
    let linked = bench.text("wiki/summaries/a.md");
    assert!(
        linked.contains("My own remark.") && linked.contains("[[concepts/abc"),
        "{linked}"
    );
    let mut owner = bench.owner();
    let outcome = owner.commit(vec![bench.document(0, "/x/a.md", &text("A, edited"))]);
    let [Verdict::Committed(receipt)] = outcome.verdicts.as_slice() else {
        panic!("{outcome:?}")
    };
    let warning = receipt
        .warnings
        .first()
        .expect("the user is told")
        .to_string();
    let kept = warning.rsplit('`').nth(1).unwrap();
    assert!(bench.text(kept).contains("My own remark."), "{warning}");
}

/// Goal: a save that comes while a change is under way stays where it is. Method: undo a journal
/// whose page was not replaced yet, and is neither what it was nor what it should become.
#[test]
fn a_save_before_its_page_was_replaced_is_not_undone() {
    let bench = Bench::new();
    let dir = bench.die_with(vec![bench.index_entry("rendered")]);
    fs::create_dir_all(dir.join("new")).unwrap();
    fs::write(dir.join("new/0"), "rendered").unwrap();
    fs::write(bench.path("wiki/index.md"), "saved by a person").unwrap();
    drop(bench.acquire().unwrap());
    assert_eq!(bench.text("wiki/index.md"), "saved by a person");
    assert!(!dir.exists());
}

#[test]
fn a_page_that_is_not_utf8_is_kept_before_it_is_rewritten() {
    let bench = Bench::new();
    let mut index = bench.text("wiki/index.md").into_bytes();
    index.extend(b"\nCaf\xe9\n");
    fs::write(bench.path("wiki/index.md"), &index).unwrap();
    bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]);
    let conflicts = bench.path(".openkb/kbhost/conflicts");
    let kept = fs::read_dir(conflicts)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let kept = fs::read_dir(kept).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(kept).unwrap(), index);
}

#[test]
fn a_kb_without_its_empty_directories_works() {
    let bench = Bench::new();
    fs::remove_dir(bench.path(".openkb/kbhost/journal")).unwrap();
    fs::remove_dir_all(bench.path("wiki/sources")).unwrap();
    assert_eq!(
        bench.commit(vec![bench.document(0, "/x/a.md", "one\n")]),
        ["a"]
    );
}

fn chosen(bench: &Bench) -> Vec<Removal> {
    let rows = Catalogue::open(&bench.root).unwrap().documents().unwrap();
    rows.iter().map(Removal::from).collect()
}

fn names(outcome: &super::RemovalOutcome) -> Vec<String> {
    let verdicts = outcome.verdicts.iter();
    verdicts
        .map(|verdict| match verdict {
            Ok(removed) => removed.name.to_string(),
            Err(error) => format!("! {error}"),
        })
        .collect()
}

#[test]
fn a_removal_leaves_nothing_of_a_document() {
    let bench = Bench::new();
    let text = |word: &str| format!("# {word}\n\nABC (Alpha Beta Club) met. The ABC met again.\n");
    let index = bench.text("wiki/index.md");
    bench.commit(vec![
        bench.document(0, "/x/a.md", &text("A")),
        bench.document(1, "/x/b.md", &text("B")),
    ]);
    assert!(bench.path("wiki/concepts/abc.md").exists());
    let outcome = bench.owner().remove(&chosen(&bench)[..1], false);
    assert_eq!(names(&outcome), ["a"], "{outcome:?}");
    let removed = outcome.verdicts[0].as_ref().unwrap();
    let files: Vec<&str> = removed.files.iter().map(|path| path.as_str()).collect();
    assert_eq!(
        files,
        ["raw/a.md", "wiki/sources/a.md", "wiki/summaries/a.md"]
    );
    for path in ["raw/a.md", "wiki/sources/a.md", "wiki/concepts/abc.md"] {
        assert!(!bench.path(path).exists(), "{path}");
    }
    assert!(!bench.text("wiki/summaries/b.md").contains("abc"));
    assert!(
        bench
            .text("wiki/log.md")
            .contains("] remove | a.md → removed summaries/a\n")
    );
    assert!(!bench.text(".openkb/hashes.json").contains("a.md"));
    let outcome = bench.owner().remove(&chosen(&bench), false);
    assert_eq!(names(&outcome), ["b"], "{outcome:?}");
    assert_eq!(bench.text("wiki/index.md"), index);
    assert_eq!(bench.text(".openkb/hashes.json"), "{}\n");
    let registry = super::registry::Registry::open(&bench.root)
        .unwrap()
        .unwrap();
    for table in ["documents", "terms"] {
        let count: i64 = registry
            .connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

/// Goal: what was not chosen is not removed. Method: a document is updated, and another removed,
/// after they were chosen and before the lock is had.
#[test]
fn a_document_that_changed_since_it_was_chosen_is_not_removed() {
    let bench = Bench::new();
    bench.commit(vec![
        bench.document(0, "/x/a.md", "one\n"),
        bench.document(1, "/x/b.md", "two\n"),
        bench.document(2, "/x/c.md", "three\n"),
    ]);
    let stale = chosen(&bench);
    bench.commit(vec![bench.document(0, "/x/a.md", "one, edited\n")]);
    bench.owner().remove(&stale[1..2], false);
    let outcome = bench.owner().remove(&stale, false);
    assert!(outcome.stop.is_none(), "{outcome:?}");
    assert!(
        matches!(
            &outcome.verdicts[..],
            [
                Err(super::MutationError::DocumentUpdated(_)),
                Err(super::MutationError::DocumentGone(_)),
                Ok(_)
            ]
        ),
        "{outcome:?}"
    );
    assert_eq!(bench.text("raw/a.md"), "one, edited\n");
    // The same name and bytes again are another document.
    bench.commit(vec![bench.document(0, "/x/b.md", "two\n")]);
    let outcome = bench.owner().remove(&stale[1..2], false);
    assert!(matches!(
        &outcome.verdicts[..],
        [Err(super::MutationError::DocumentGone(_))]
    ));
    assert!(bench.path("raw/b.md").exists());
}

/// Goal: a document that cannot be removed does not keep the others. Method: something that is no
/// file lies in the place of one of its files.
#[test]
fn one_document_in_the_way_does_not_stop_a_group() {
    let bench = Bench::new();
    bench.commit(vec![
        bench.document(0, "/x/a.md", "one\n"),
        bench.document(1, "/x/b.md", "two\n"),
        bench.document(2, "/x/c.md", "three\n"),
    ]);
    let source = bench.path("wiki/sources/b.md");
    fs::remove_file(&source).unwrap();
    fs::create_dir(&source).unwrap();
    let outcome = bench.owner().remove(&chosen(&bench), false);
    assert!(
        matches!(&outcome.verdicts[..], [Ok(_), Err(_), Ok(_)]),
        "{outcome:?}"
    );
    assert_eq!(chosen(&bench).len(), 1);
    assert!(bench.path("raw/b.md").exists());
    assert!(bench.text("wiki/index.md").contains("[[summaries/b]]"));
}

/// Goal: a registry from a stranger cannot name what goes. Method: it claims shared pages and another
/// document's files for a document, which is then removed.
#[test]
fn files_of_others_do_not_go_with_a_document() {
    let bench = Bench::new();
    bench.commit(vec![
        bench.document(0, "/x/a.md", "one\n"),
        bench.document(1, "/x/b.md", "two\n"),
    ]);
    let registry = rusqlite::Connection::open(bench.path(".openkb/kbhost/registry.db")).unwrap();
    registry
        .execute("UPDATE pages SET ordinal = 1", [])
        .unwrap();
    registry
        .execute(
            "UPDATE documents SET raw_path = 'raw/b.md', source_path = 'wiki/AGENTS.md' WHERE ordinal = 1",
            [],
        )
        .unwrap();
    let outcome = bench.owner().remove(&chosen(&bench)[..1], false);
    assert_eq!(names(&outcome), ["a"], "{outcome:?}");
    for path in [
        "raw/b.md",
        "wiki/sources/b.md",
        "wiki/summaries/b.md",
        "wiki/index.md",
        "wiki/AGENTS.md",
    ] {
        assert!(bench.path(path).exists(), "{path}");
    }
    assert!(!bench.path("raw/a.md").exists());
}
