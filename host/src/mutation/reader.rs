//! Reading pages: a reader sees the KB as the last commit left it, never half of a change.
//!
//! A reader holds the shared lock, so no change is under way. What one left that died is undone
//! first, if the exclusive lock is to be had at once; else the pre-images of its journal stand for
//! the pages it touched. So do those of a journal in quarantine, until a person has decided; and the
//! reader is told. A KB that cannot be locked (read-only, or never locked by anybody) is read
//! without: then each page is read anew until no journal came or went meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::inspect::{self, Judge, Verdict};
use super::journal::{Entry, Found, Journal, Tally};
use super::storage::Storage;
use super::undo::is_unreplaced;
use super::{AcquireError, LockOptions, OwnerOptions, guard, lock};
use crate::kb::registry::Reader;
use crate::kb::{ContentHash, KbError, KbPath, KbRoot, PathError, SafeLine, layout};

/// Without a lock a page is read this often, this long apart, until no change meets it.
const UNLOCKED_READS_MAX: u32 = 100;
const UNLOCKED_PAUSE: Duration = Duration::from_millis(5);

/// The right to read the pages of one KB. Dropping it lets the lock go: a reader that prints to a
/// slow terminal drops it first.
#[derive(Debug)]
#[must_use = "dropping the reader lets the lock go"]
pub struct PageReader {
    storage: Storage,
    /// `None` where there is no lock to be had.
    lock: Option<lock::Held>,
    /// What unfinished changes touched.
    shadows: Shadows,
    /// What nobody has decided yet.
    warnings: Vec<SafeLine>,
}

/// The shared lock and nothing else: no change is under way while it is held, and what one left that
/// died stays as it is.
#[derive(Debug)]
#[must_use = "dropping it lets the lock go"]
pub struct ReadLock {
    _lock: Option<lock::Held>,
}

impl ReadLock {
    /// Takes the shared lock; of a KB that cannot be locked nothing is held.
    ///
    /// # Errors
    /// If the lock is not free in time, or this thread holds it already.
    pub fn take(root: &KbRoot, options: &LockOptions) -> Result<Self, AcquireError> {
        let lock = lock::shared(root, options)?;
        Ok(Self { _lock: lock })
    }
}

/// The oldest entry of an unfinished change for each path it touched.
type Shadows = BTreeMap<KbPath, Shadow>;

/// What unfinished changes touched, and what a reader has to know of them.
type Undecided = (Shadows, Vec<SafeLine>);

/// A page of an unfinished change.
#[derive(Debug)]
struct Shadow {
    /// Where its journal lies.
    dir: KbPath,
    index: usize,
    entry: Entry,
}

/// The journals at one moment.
#[derive(Debug)]
struct Journals {
    /// The newest first: what is in quarantine is newer than what is not.
    active: Vec<Left>,
    /// What is no whole journal, and where it lies.
    damaged: Vec<SafeLine>,
    /// When a journal last came or went, here and in quarantine.
    changed: [Option<(i64, i64)>; 2],
}

/// A whole journal.
#[derive(Debug)]
struct Left {
    journal: Journal,
    dir: KbPath,
    is_quarantined: bool,
}

impl PageReader {
    /// Takes the shared lock as `options` say, and undoes what a change left that died, if that can
    /// be done at once.
    ///
    /// # Errors
    /// If the lock is not free in time, this thread holds it already, or the KB cannot be read.
    pub fn open(root: &Arc<KbRoot>, options: &OwnerOptions) -> Result<Self, AcquireError> {
        let storage = Storage::new(Arc::clone(root));
        let (mut lock, (mut shadows, mut warnings)) = shared(&storage, options)?;
        // What is in quarantine waits for a person.
        let quarantine = layout::quarantine_dir();
        let is_curable = |shadow: &Shadow| !shadow.dir.starts_with(&quarantine);
        if lock.is_some() && shadows.values().any(is_curable) {
            drop(lock);
            heal(root, options);
            (lock, (shadows, warnings)) = shared(&storage, options)?;
        }
        Ok(Self {
            storage,
            lock,
            shadows,
            warnings,
        })
    }

    /// What a reader has to know: changes that nobody could undo or decide on yet.
    #[must_use]
    pub fn warnings(&self) -> &[SafeLine] {
        &self.warnings
    }

    /// Reads a page of at most `bytes_max` bytes as the last commit left it, or as people edited it
    /// since; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, is larger, or, without a lock, does not stand still.
    pub fn read(&self, path: &KbPath, bytes_max: u64) -> Result<Option<Vec<u8>>, KbError> {
        if self.lock.is_some() {
            return read_through(&self.storage, &self.shadows, path, bytes_max);
        }
        for _ in 0..UNLOCKED_READS_MAX {
            let before = Journals::scan(&self.storage)?;
            let (shadows, _) = before.shadows(self.storage.root());
            let read = read_through(&self.storage, &shadows, path, bytes_max);
            if Journals::scan(&self.storage)?.is_same(&before) {
                return read;
            }
            std::thread::sleep(UNLOCKED_PAUSE);
        }
        let error = io::Error::other("the knowledge base is changed all the time");
        Err(PathError::new("read", self.storage.root().join(path), error).into())
    }
}

fn shared(
    storage: &Storage,
    options: &OwnerOptions,
) -> Result<(Option<lock::Held>, Undecided), AcquireError> {
    let lock = lock::shared(storage.root(), &options.lock)?;
    Ok((lock, Journals::scan(storage)?.shadows(storage.root())))
}

/// Undoes what a dead owner left, unless somebody else is at it or nobody here may.
fn heal(root: &Arc<KbRoot>, options: &OwnerOptions) {
    let mut once = options.clone();
    once.lock.wait = Duration::ZERO;
    match guard::acquire(root, &once) {
        Ok(guard) => drop(guard.release()),
        Err(error) => tracing::debug!(%error, "pages are read by the journal's map"),
    }
}

impl Journals {
    fn scan(storage: &Storage) -> Result<Self, KbError> {
        let root = storage.root();
        let (journals, quarantine) = (layout::journal_dir(), layout::quarantine_dir());
        let mut found = Self {
            active: Vec::new(),
            damaged: Vec::new(),
            changed: [changed(root, &journals)?, changed(root, &quarantine)?],
        };
        let mut tally = Tally::default();
        for name in Journal::quarantined(root)? {
            let state = inspect::in_quarantine(root, &name)?;
            tally.count(&state, &quarantine)?;
            found.take(state, &quarantine, &name, true)?;
        }
        for id in Journal::ids(root)? {
            let state = Journal::find(root, &id)?;
            tally.count(&state, &journals)?;
            found.take(state, &journals, &id, false)?;
        }
        Ok(found)
    }

    fn take(
        &mut self,
        state: Found,
        parent: &KbPath,
        name: &str,
        is_quarantined: bool,
    ) -> Result<(), KbError> {
        match state {
            Found::Active(journal) => self.active.push(Left {
                journal,
                dir: parent.join(name)?,
                is_quarantined,
            }),
            // It never published anything.
            Found::Unfinished => {}
            Found::Malformed(_) => self
                .damaged
                .push(SafeLine::new(&format!("{parent}/{name}"))),
        }
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        let places = |journals: &Self| -> Vec<KbPath> {
            let active = journals.active.iter();
            active.map(|left| left.dir.clone()).collect()
        };
        self.changed == other.changed && places(self) == places(other)
    }

    /// What these journals touched, those that are committed left out, and what a reader has to know.
    /// Undoing goes from the newest to the oldest: what the oldest one found is what will be there.
    fn shadows(&self, root: &KbRoot) -> Undecided {
        let mut shadows = Shadows::new();
        let mut warnings: Vec<SafeLine> = self
            .damaged
            .iter()
            .map(|path| {
                warning(
                    path.as_str(),
                    "holds a damaged journal: pages may hold half of a change",
                )
            })
            .collect();
        if self.active.is_empty() {
            return (shadows, warnings);
        }
        // Where nobody can tell, all of the state before is at least one whole state.
        let opened = inspect::only_damage(Reader::open(root));
        let verdict = |journal: &Journal| {
            let opened = opened.as_ref().map_err(ToString::to_string)?;
            let verdict = Judge::of(opened, |reader| reader).verdict(journal);
            verdict.map_err(|error| error.to_string())
        };
        for left in &self.active {
            let told = match (verdict(&left.journal), left.is_quarantined) {
                (Ok(Verdict::Committed), false) => continue,
                (Ok(Verdict::Committed), true) => {
                    let what = "holds what is left of a change that is whole";
                    warnings.push(warning(left.dir.as_str(), what));
                    continue;
                }
                (Ok(Verdict::Uncommitted), false) => None,
                (Ok(Verdict::Uncommitted), true) => Some("could not be undone".to_owned()),
                (Ok(Verdict::Undecidable(reason)) | Err(reason), _) => {
                    Some(format!("cannot be decided on: {reason}"))
                }
            };
            if let Some(told) = told {
                let what = format!(
                    "holds a change that {told}; the pages it touched are read as they were before"
                );
                warnings.push(warning(left.dir.as_str(), &what));
            }
            for (index, entry) in left.journal.entries.iter().enumerate() {
                let shadow = Shadow {
                    dir: left.dir.clone(),
                    index,
                    entry: entry.clone(),
                };
                shadows.insert(entry.path.clone(), shadow);
            }
        }
        (shadows, warnings)
    }
}

fn warning(path: &str, what: &str) -> SafeLine {
    SafeLine::new(&format!(
        "`{path}` {what}; `kbhost recover` tells how to go on"
    ))
}

/// When something last came into a directory or went; `None` if there is none.
fn changed(root: &KbRoot, dir: &KbPath) -> Result<Option<(i64, i64)>, KbError> {
    let Some(fd) = root.open_dir(dir)? else {
        return Ok(None);
    };
    let stat = rustix::fs::fstat(&fd);
    let stat = stat.map_err(|e| PathError::new("look at", root.join(dir), e))?;
    Ok(Some((
        stat.st_mtime,
        stat.st_mtime_nsec.try_into().unwrap_or(0),
    )))
}

/// Reads what will be at `path` once unfinished changes are undone.
fn read_through(
    storage: &Storage,
    shadows: &Shadows,
    path: &KbPath,
    bytes_max: u64,
) -> Result<Option<Vec<u8>>, KbError> {
    let root = storage.root();
    let Some(shadow) = shadows.get(path) else {
        return root.read(path, bytes_max);
    };
    let Entry { before, after, .. } = &shadow.entry;
    let state_before = before.as_ref().map(|state| (state.size, state.sha256));
    let state_after = after.as_ref().map(|state| (state.size, state.sha256));
    let now = storage.digest(path)?;
    // As undoing does: a page that was not replaced yet and was saved since is somebody's edit, and
    // stays.
    let is_unreplaced = is_unreplaced(storage, &shadow.dir, shadow.index, after.is_none())?;
    let is_edit = now.is_some() && now != state_after && is_unreplaced;
    if now == state_before || is_edit {
        return root.read(path, bytes_max);
    }
    let Some(before) = before else {
        return Ok(None);
    };
    let image = Journal::image_in(&shadow.dir, &before.image)?;
    let bytes = root.read(&image, bytes_max)?;
    match bytes {
        Some(bytes) if ContentHash::of(&bytes) == before.sha256 => Ok(Some(bytes)),
        Some(_) | None => {
            let error = io::Error::other("the version before an unfinished change is not intact");
            Err(PathError::new("read", root.join(&image), error).into())
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests leave what a crash leaves"
)]
mod tests {
    use std::fs;

    use super::super::journal::{After, Before};
    use super::super::{LockOptions, init};
    use super::*;
    use crate::kb::clock::Clock;
    use crate::kb::config::Config;

    const DEAD: &str = "000000000009-deadbeef";

    fn options() -> OwnerOptions {
        OwnerOptions {
            lock: LockOptions::waiting(Duration::ZERO),
            clock: Clock::System,
            config: Config::default(),
            command: "show",
        }
    }

    fn after(text: &str) -> After {
        After {
            size: text.len() as u64,
            sha256: ContentHash::of(text.as_bytes()),
        }
    }

    /// A change of `path` from one text to another, with its pre-image.
    fn entry(dir: &std::path::Path, path: &str, image: &str, texts: (&str, &str)) -> Entry {
        fs::write(dir.join("pre").join(image), texts.0).unwrap();
        Entry {
            path: KbPath::new(path).unwrap(),
            before: Some(Before {
                size: texts.0.len() as u64,
                sha256: ContentHash::of(texts.0.as_bytes()),
                mode: 0o644,
                image: image.to_owned(),
            }),
            after: Some(after(texts.1)),
        }
    }

    /// Leaves a change that died: one page replaced, one new, one saved by hand before its turn, one
    /// damaged pre-image.
    fn die(root: &Arc<KbRoot>) {
        let dir = root.path().join(".openkb/kbhost/journal").join(DEAD);
        for name in ["pre", "new"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let uuid = Reader::open(root)
            .unwrap()
            .unwrap()
            .meta_text("uuid")
            .unwrap();
        let mut journal = Journal::new(
            DEAD.to_owned(),
            uuid.unwrap(),
            "add",
            "2025-06-15T15:06:40Z".to_owned(),
        );
        journal.entries = vec![
            entry(&dir, "wiki/concepts/old.md", "0", ("old\n", "half\n")),
            Entry {
                path: KbPath::fixed("wiki/concepts/new.md"),
                before: None,
                after: Some(after("half\n")),
            },
            entry(&dir, "wiki/concepts/mine.md", "2", ("old\n", "half\n")),
            entry(&dir, "wiki/concepts/torn.md", "3", ("old\n", "half\n")),
        ];
        fs::write(dir.join("journal.json"), journal.to_bytes()).unwrap();
        fs::write(dir.join("new/2"), "half\n").unwrap();
        fs::write(dir.join("pre/3"), "ol").unwrap();
        let page = |name: &str, text: &str| {
            fs::write(root.path().join("wiki/concepts").join(name), text).unwrap();
        };
        page("old.md", "half\n");
        page("new.md", "half\n");
        page("mine.md", "my own\n");
        page("torn.md", "half\n");
        page("other.md", "other\n");
    }

    fn check(reader: &PageReader) {
        let read = |name: &str| {
            let path = KbPath::new(&format!("wiki/concepts/{name}.md")).unwrap();
            let bytes = reader.read(&path, 100)?;
            Ok::<_, KbError>(bytes.map(|bytes| String::from_utf8(bytes).unwrap()))
        };
        assert_eq!(read("old").unwrap().as_deref(), Some("old\n"));
        assert_eq!(read("new").unwrap(), None);
        assert_eq!(read("mine").unwrap().as_deref(), Some("my own\n"));
        assert_eq!(read("other").unwrap().as_deref(), Some("other\n"));
        assert_eq!(read("none").unwrap(), None);
        let error = read("torn").unwrap_err();
        assert!(error.to_string().contains("pre/3"), "{error}");
    }

    #[test]
    fn pages_of_a_dead_change_read_as_before_it() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path(), "en").unwrap();
        let root = Arc::new(KbRoot::open(dir.path()).unwrap());
        die(&root);
        // Another reader keeps it from being undone.
        let lock = root.join(&layout::ingest_lock());
        let other = fs::File::open(&lock).unwrap();
        fs2::FileExt::lock_shared(&other).unwrap();
        let reader = PageReader::open(&root, &options()).unwrap();
        assert!(reader.lock.is_some());
        check(&reader);
        drop(reader);
        drop(other);
        // Where there is no lock the journals are asked for each page.
        fs::remove_file(lock).unwrap();
        let reader = PageReader::open(&root, &options()).unwrap();
        assert!(reader.lock.is_none());
        check(&reader);
    }
}
