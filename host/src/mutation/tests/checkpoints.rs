//! Checkpoints in a real registry.

use super::*;
use crate::kb::CheckpointKey;
use crate::mutation::{
    Health, MutationError, Rebuilt, assess_registry, backup_now, rebuild_registry,
};

/// 1750000000 seconds after 1970.
const NOW: &str = "2025-06-15T15:06:40Z";

fn key(source: &str) -> CheckpointKey {
    let plugin = PluginDigest(ContentHash::of(b"plugin"));
    CheckpointKey::new(&ContentHash::of(source.as_bytes()), &plugin, None)
}

impl Bench {
    fn checkpoint(&self, source: &str) -> Option<String> {
        let state = Catalogue::open(&self.root)
            .unwrap()
            .checkpoint(&key(source))?;
        Some(String::from_utf8(state).unwrap())
    }

    fn sql<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let connection = rusqlite::Connection::open(self.path(".openkb/kbhost/registry.db"));
        let found = connection.unwrap().query_row(sql, [], |row| row.get(0));
        found.unwrap()
    }

    fn change(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path(".openkb/kbhost/registry.db"));
        connection.unwrap().execute_batch(sql).unwrap();
    }

    /// Everything that the registry says of the KB and its history.
    fn history(&self) -> String {
        self.sql(
            "SELECT (SELECT group_concat(key || '=' || value, ' ') FROM meta) || ' ' || \
             (SELECT count(*) FROM mutations) || ' ' || (SELECT count(*) FROM documents)",
        )
    }

    /// A document whose conversion kept checkpoints under the key of `source`.
    fn resumed(&self, seq: u64, path: &str, text: &str, source: &str) -> PreparedDocument {
        PreparedDocument {
            checkpoint: Some(key(source)),
            ..self.document(seq, path, text)
        }
    }
}

#[test]
fn the_last_bytes_count_and_none_forget_them() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(0, "/x/a.md", "# A\n")]);
    let before = bench.history();
    let mut owner = bench.owner();
    let mut keep = |source: &str, state: &str| {
        owner
            .keep_checkpoint(&key(source), state.as_bytes())
            .unwrap();
    };
    keep("a", "first");
    keep("b", "other");
    assert_eq!(bench.checkpoint("a").as_deref(), Some("first"));
    keep("a", "second");
    assert_eq!(bench.checkpoint("a").as_deref(), Some("second"));
    keep("a", "");
    keep("c", "");
    assert_eq!(bench.checkpoint("a"), None);
    assert_eq!(bench.checkpoint("b").as_deref(), Some("other"));
    let whole = "x".repeat(4_096);
    keep("a", &whole);
    assert_eq!(bench.checkpoint("a"), Some(whole));
    assert_eq!(bench.sql::<String>("SELECT max(at) FROM checkpoints"), NOW);
    owner.finish().unwrap();
    // Nothing was changed by it: no epoch, no mutation, no journal, and nothing to back up.
    assert_eq!(bench.history(), before);
    assert_eq!(
        fs::read_dir(bench.path(".openkb/kbhost/journal"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(bench.checkpoint("b").as_deref(), Some("other"));
}

#[test]
fn a_checkpoint_is_on_the_medium_when_it_is_told() {
    let bench = Bench::new();
    let guard = bench.acquire().unwrap();
    crate::mutation::checkpoints::keep(&guard, &key("a"), b"state").unwrap();
    let pragma = |name: &str| {
        let found = guard
            .registry
            .connection
            .query_row(name, [], |row| row.get(0));
        found.unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let full: i64 = pragma("PRAGMA synchronous");
    assert_eq!(full, 2, "FULL: the log is synced when COMMIT returns");
    assert!(guard.registry.connection.is_autocommit());
}

#[test]
fn a_run_that_only_kept_checkpoints_makes_no_backup() {
    let bench = Bench::new();
    let backups = || fs::read_dir(bench.path(".openkb/kbhost/backup")).map_or(0, Iterator::count);
    let before = backups();
    let mut owner = bench.owner();
    owner.keep_checkpoint(&key("a"), b"state").unwrap();
    owner.finish().unwrap();
    assert_eq!(backups(), before);
    // The log is folded in all the same: a copy of the database is whole.
    let log = fs::metadata(bench.path(".openkb/kbhost/registry.db-wal"));
    assert!(log.map_or(0, |log| log.len()) == 0);
}

#[test]
fn a_commit_forgets_what_its_documents_left() {
    let bench = Bench::new();
    let mut owner = bench.owner();
    for source in ["a", "b", "c", "d"] {
        owner.keep_checkpoint(&key(source), b"state").unwrap();
    }
    let named = bench.commit(vec![
        bench.resumed(0, "/x/a.md", "# A\n", "a"),
        bench.document(1, "/x/b.md", "# B\n"),
        // The same bytes as the first one's: what it left is of no use either.
        bench.resumed(2, "/x/c.md", "# A\n", "c"),
    ]);
    assert_eq!(named, ["a", "b", "= a"]);
    let kept = ["a", "b", "c", "d"].map(|source| bench.checkpoint(source).is_some());
    assert_eq!(kept, [false, true, false, true]);
    // Somebody else's commit was first: nothing is left to be changed.
    let before = bench.history();
    assert_eq!(
        bench.commit(vec![bench.resumed(0, "/x/d.md", "# A\n", "d")]),
        ["= a"]
    );
    assert_eq!(bench.checkpoint("d"), None);
    assert_eq!(bench.history(), before);
}

/// Goal: a document that is not in has its checkpoint. Method: a folder in the way of its page.
#[test]
fn a_commit_that_failed_forgets_nothing() {
    let bench = Bench::new();
    let mut owner = bench.owner();
    owner.keep_checkpoint(&key("b"), b"state").unwrap();
    fs::create_dir_all(bench.path("wiki/concepts/abc.md")).unwrap();
    let text = "# B\n\nABC (Alpha Beta Club) ABC.\n";
    bench.commit(vec![bench.document(
        0,
        "/x/a.md",
        "# A\n\nABC (Alpha Beta Club) ABC.\n",
    )]);
    let outcome = owner.commit(vec![bench.resumed(0, "/x/b.md", text, "b")]);
    assert!(
        matches!(outcome.verdicts[0], Verdict::Failed(_)),
        "{outcome:?}"
    );
    assert_eq!(bench.checkpoint("b").as_deref(), Some("state"));
    fs::remove_dir(bench.path("wiki/concepts/abc.md")).unwrap();
    bench.commit(vec![bench.resumed(0, "/x/b.md", text, "b")]);
    assert_eq!(bench.checkpoint("b"), None);
}

#[test]
fn what_is_old_goes_and_no_more_than_a_thousand_stay() {
    let bench = Bench::new();
    let mut owner = bench.owner();
    owner.keep_checkpoint(&key("first"), b"state").unwrap();
    let fill = |count: u32, at: &str| {
        bench.change(&format!(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
             INSERT INTO checkpoints SELECT randomblob(32), {at}, x'00' FROM n"
        ));
    };
    let count =
        |of: &str| bench.sql::<i64>(&format!("SELECT count(*) FROM checkpoints WHERE {of}"));
    fill(5, "'2025-05-16T15:06:39Z'");
    fill(7, "'2025-05-16T15:06:40Z'");
    fill(5, "'2025-06-16T15:06:41Z'");
    fill(5, "'a stranger''s'");
    owner.keep_checkpoint(&key("second"), b"state").unwrap();
    assert_eq!(
        count("true"),
        9,
        "a row of 30 days stays, an older one goes"
    );
    // As new as the one that comes, so that it could be taken for the oldest.
    fill(1_500, &format!("'{NOW}'"));
    owner.keep_checkpoint(&key("third"), b"state").unwrap();
    assert_eq!(count("true"), 1_000);
    assert_eq!(count("at < '2025-06-01'"), 0, "the oldest go first");
    assert_eq!(bench.checkpoint("third").as_deref(), Some("state"));
    // To forget one makes no room that has to be made.
    owner.keep_checkpoint(&key("third"), b"").unwrap();
    assert_eq!(count("true"), 999);
}

#[test]
fn a_table_of_another_shape_gives_way() {
    let bench = Bench::new();
    for shape in [
        "CREATE TABLE checkpoints (id)",
        "CREATE TABLE checkpoints (key, at, state, more)",
        "SELECT 1",
    ] {
        bench.change(&format!("DROP TABLE IF EXISTS checkpoints; {shape}"));
        assert_eq!(bench.checkpoint("a"), None, "{shape}");
        bench.owner().keep_checkpoint(&key("a"), b"state").unwrap();
        assert_eq!(bench.checkpoint("a").as_deref(), Some("state"), "{shape}");
    }
    // One that looks like ours and holds the same key twice.
    bench.change(
        "ALTER TABLE checkpoints RENAME TO old; CREATE TABLE checkpoints (key, at, state); \
         INSERT INTO checkpoints SELECT * FROM old; INSERT INTO checkpoints SELECT * FROM old; \
         DROP TABLE old",
    );
    bench.owner().keep_checkpoint(&key("a"), b"new").unwrap();
    assert_eq!(bench.checkpoint("a").as_deref(), Some("new"));
    bench.commit(vec![bench.resumed(0, "/x/a.md", "# A\n", "a")]);
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM checkpoints"), 0);
}

#[test]
fn a_busy_lock_is_not_waited_for_long() {
    let bench = Bench::new();
    let (held, done) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let guard = bench.acquire().unwrap();
            held.wait();
            done.wait();
            drop(guard);
        });
        held.wait();
        let mut owner = Owner::new(Arc::clone(&bench.root), options(Duration::from_secs(600)));
        let started = std::time::Instant::now();
        let refused = owner.keep_checkpoint(&key("a"), b"state");
        done.wait();
        assert!(
            matches!(refused, Err(MutationError::Acquire(_))),
            "{refused:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(9));
    });
    assert_eq!(bench.checkpoint("a"), None);
    bench.owner().keep_checkpoint(&key("a"), b"state").unwrap();
    assert_eq!(bench.checkpoint("a").as_deref(), Some("state"));
}

#[test]
fn a_rebuild_keeps_what_is_current_and_forgets_what_a_backup_remembers() {
    let bench = Bench::new();
    bench.commit(vec![bench.document(0, "/x/a.md", "# A\n")]);
    bench.owner().keep_checkpoint(&key("a"), b"state").unwrap();
    let rebuild = || {
        let options = options(Duration::from_secs(2));
        let rebuilt = rebuild_registry(&bench.root, &options, true).unwrap();
        assert!(matches!(rebuilt, Rebuilt::Done(_)), "{rebuilt:?}");
        let health = assess_registry(&bench.root).unwrap();
        assert_eq!(health, Health::Sound { documents: 1 });
    };
    rebuild();
    assert_eq!(bench.checkpoint("a").as_deref(), Some("state"));
    let clock = Clock::from_source_date_epoch(Some("1750000000"));
    backup_now(&bench.root, &clock).unwrap();
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(
            bench.path(&format!(".openkb/kbhost/registry.db{suffix}")),
        ));
    }
    fs::write(bench.path(".openkb/kbhost/registry.db"), "no database").unwrap();
    rebuild();
    assert_eq!(bench.checkpoint("a"), None);
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM documents"), 1);
}
