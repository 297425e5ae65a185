//! The cache of successful conversions, in the user's cache directory and never in a KB: a second
//! `add` of the same documents, into whatever KB, calls no converter.
//!
//! Two entries for a document, because its assets are known only once its references are: the
//! references by converter and input; what `convert` returned, with the bytes of the declared files,
//! by the same and the assets. A hit writes the files to `out/`, and the collector and the
//! validators judge them as they judge a converter's.
//!
//! Invariant: an entry is found only under the digest of everything that a converter can see or that
//! bounds it, sealed by the user's key; only what the collector accepted is kept. A cache that
//! cannot be read or written is never an error.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::collect::{self, Collected};
use super::{StagingDir, staging};
use crate::kb::{ContentHash, PathError};
use crate::plugin::{Converted, Job, JobReport, OutputRole, PluginIdentity};
use crate::userdir::sealed::{Kind, Loaded, SealedDir};

/// To be raised when the layout of an entry or of a key changes.
const FORMAT: &[u8] = b"kbhost prepared document 2";

/// To be raised when the host gives a converter something else to see, or takes something else of
/// what it returns: the sandbox, the collector, the validators.
const HOST_SEMANTICS: u32 = 3;

/// A larger document is not kept: every worker would hold it in memory.
const ENTRY_BYTES_MAX: u64 = 64 << 20;

/// Bytes of all entries: some ten thousand documents of usual size.
const TOTAL_BYTES_MAX: u64 = 2 << 30;

/// Entries kept: two for each of 100,000 documents; a directory of that size still lists in a
/// fraction of a second.
const ENTRIES_MAX: usize = 200_000;

/// Pruning lists the whole directory, so it waits until this much was written.
const PRUNE_EVERY_BYTES: u64 = 256 << 20;
const PRUNE_EVERY_ENTRIES: u64 = 4_096;

/// Bytes of the length in front of an entry's heading.
const LENGTH_BYTES: usize = 8;

/// The prepare cache of one user, opened. Shared by all workers.
#[derive(Debug)]
pub struct PrepareCache {
    dir: SealedDir,
    written_bytes: AtomicU64,
    written_entries: AtomicU64,
}

/// What a document's entry says in front of the files' bytes.
#[derive(Debug, Deserialize, Serialize)]
struct Heading {
    converted: Converted,
    report: JobReport,
    /// Length of each declared file, in the order declared.
    sizes: Vec<u64>,
}

/// A conversion as it was kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) converted: Converted,
    pub(super) report: JobReport,
    sizes: Vec<u64>,
    bytes: Vec<u8>,
}

/// The name of an entry: the digest of what it depends on.
#[derive(Clone, Debug)]
pub(super) struct Key {
    digest: Sha256,
}

impl Key {
    /// Of what a converter is, sees and may use, apart from assets.
    pub(super) fn of_input(plugin: &PluginIdentity, job: &Job) -> Self {
        let mut key = Self {
            digest: Sha256::new(),
        };
        key.part(FORMAT);
        key.part(env!("CARGO_PKG_VERSION").as_bytes());
        key.part(&HOST_SEMANTICS.to_le_bytes());
        key.part(plugin.digest.0.as_bytes());
        key.part(plugin.world.as_bytes());
        key.part(job.input.media_type.as_bytes());
        key.part(job.input.original_name.as_bytes());
        key.part(job.input.guest_name.as_bytes());
        key.part(&job.input.size.to_le_bytes());
        key.part(job.input.hash.as_bytes());
        // Whatever limits there are, each is in this form with name and value.
        key.part(format!("{:?}", job.limits).as_bytes());
        key.part(&(job.options.len() as u64).to_le_bytes());
        for (name, value) in &job.options {
            key.part(name.as_bytes());
            key.part(value.as_bytes());
        }
        key
    }

    /// Of the same and the assets that were found for it.
    pub(super) fn with_assets(&self, job: &Job, hashes: &[ContentHash]) -> Self {
        assert_eq!(
            job.assets.len(),
            hashes.len(),
            "BUG: an asset without a digest"
        );
        let mut key = self.clone();
        key.part(&(hashes.len() as u64).to_le_bytes());
        for (asset, hash) in job.assets.iter().zip(hashes) {
            key.part(asset.reference.as_bytes());
            key.part(asset.guest_path.as_bytes());
            key.part(hash.as_bytes());
        }
        key
    }

    /// Neighbours must not run together.
    fn part(&mut self, bytes: &[u8]) {
        self.digest.update((bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
    }

    fn name(&self, ending: &str) -> String {
        let digest = ContentHash::from_bytes(self.digest.clone().finalize().into());
        format!("{digest}.{ending}")
    }

    fn references(&self) -> String {
        self.name("references")
    }

    fn document(&self) -> String {
        self.name("document")
    }
}

impl PrepareCache {
    /// Opens the cache in the user's cache directory; without one, or with one that cannot be
    /// trusted, everything is converted.
    #[must_use]
    pub fn open(user_cache: Option<PathBuf>) -> Option<Self> {
        let dir = SealedDir::open(&user_cache?, Kind::Prepared)
            .inspect_err(|error| tell("conversions are not cached", error))
            .ok()?;
        Some(Self {
            dir,
            written_bytes: AtomicU64::new(0),
            written_entries: AtomicU64::new(0),
        })
    }

    /// The references of an input, and what finding them used.
    pub(super) fn references(&self, key: &Key) -> Option<(Vec<String>, JobReport)> {
        let name = key.references();
        let body = self.load(&name)?;
        self.parsed(&name, &body)
    }

    /// Keeps the references of an input.
    pub(super) fn keep_references(&self, key: &Key, references: &[String], report: &JobReport) {
        match serde_json::to_vec(&(references, report)) {
            Ok(body) => self.store(&key.references(), &body),
            Err(error) => tracing::debug!("references are not cached: {error}"),
        }
    }

    /// A conversion.
    pub(super) fn document(&self, key: &Key) -> Option<Kept> {
        let name = key.document();
        let mut body = self.load(&name)?;
        let heading = || -> Option<(usize, &[u8])> {
            let (length, rest) = body.split_first_chunk::<LENGTH_BYTES>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (heading, _) = rest.split_at_checked(length)?;
            Some((LENGTH_BYTES + length, heading))
        };
        let Some((start, heading)) = heading() else {
            self.drop_entry(&name, "it is cut short");
            return None;
        };
        let heading: Heading = self.parsed(&name, heading)?;
        body.drain(..start);
        let total = heading
            .sizes
            .iter()
            .try_fold(0_u64, |sum, size| sum.checked_add(*size));
        if heading.sizes.len() != heading.converted.files.len() || total != Some(body.len() as u64)
        {
            self.drop_entry(&name, "its files are not complete");
            return None;
        }
        Some(Kept {
            converted: heading.converted,
            report: heading.report,
            sizes: heading.sizes,
            bytes: body,
        })
    }

    /// Keeps a conversion that the collector accepted.
    pub(super) fn keep_document(
        &self,
        key: &Key,
        dir: &StagingDir,
        converted: &Converted,
        report: &JobReport,
        collected: &Collected,
    ) {
        match body(dir, converted, report, collected) {
            Ok(Some(body)) => self.store(&key.document(), &body),
            Ok(None) => tracing::debug!("a document is too large to be cached"),
            Err(error) => tell("a document is not cached", &error),
        }
    }

    /// Forgets a conversion that the collector refused.
    pub(super) fn forget_document(&self, key: &Key) {
        self.drop_entry(&key.document(), "its files break the contract");
    }

    fn load(&self, name: &str) -> Option<Vec<u8>> {
        match self.dir.load(name) {
            Ok(Loaded::Sound(body)) => {
                self.dir.entries().touch(name);
                Some(body)
            }
            Ok(Loaded::Missing) => None,
            Ok(Loaded::Damaged) => {
                self.drop_entry(name, "it is damaged or not ours");
                None
            }
            Err(error) => {
                self.drop_entry(name, &format!("{error}: {}", error.source));
                None
            }
        }
    }

    fn parsed<T: DeserializeOwned>(&self, name: &str, json: &[u8]) -> Option<T> {
        serde_json::from_slice(json)
            .inspect_err(|error| self.drop_entry(name, &error.to_string()))
            .ok()
    }

    fn drop_entry(&self, name: &str, why: &str) {
        tracing::info!(
            entry = name,
            "an entry of the prepare cache is dropped: {why}"
        );
        if let Err(error) = self.dir.entries().remove(name) {
            tell("an entry of the prepare cache is left", &error);
        }
    }

    fn store(&self, name: &str, body: &[u8]) {
        if let Err(error) = self.dir.store(name, body) {
            return tell("a document is not cached", &error);
        }
        let bytes = body.len() as u64;
        let bytes = bytes + self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        let entries = 1 + self.written_entries.fetch_add(1, Ordering::Relaxed);
        if bytes > PRUNE_EVERY_BYTES || entries > PRUNE_EVERY_ENTRIES {
            self.prune();
        }
    }

    fn prune(&self) {
        self.written_bytes.store(0, Ordering::Relaxed);
        self.written_entries.store(0, Ordering::Relaxed);
        let pruned = self.dir.entries().prune_to(ENTRIES_MAX, TOTAL_BYTES_MAX);
        if let Err(error) = pruned {
            tell("the prepare cache is not pruned", &error);
        }
    }
}

impl Drop for PrepareCache {
    fn drop(&mut self) {
        if self.written_entries.load(Ordering::Relaxed) > 0 {
            self.prune();
        }
    }
}

impl Kept {
    /// Writes the files to the empty `out/`. An error: the entry is of no use; some may be written.
    pub(super) fn write(&self, dir: &StagingDir) -> Result<(), String> {
        // What was accepted once names no path outside; the paths are judged again all the same.
        collect::check_declaration(&self.converted.files).map_err(|error| format!("{error:?}"))?;
        let out = dir.output();
        let mut rest = &self.bytes[..];
        for (file, size) in self.converted.files.iter().zip(&self.sizes) {
            let size = usize::try_from(*size).map_err(|error| error.to_string())?;
            let (bytes, after) = rest.split_at_checked(size).ok_or("it is cut short")?;
            rest = after;
            staging::write_beneath(&out, &file.path, bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// A document's entry; `None` if it is too large.
fn body(
    dir: &StagingDir,
    converted: &Converted,
    report: &JobReport,
    collected: &Collected,
) -> Result<Option<Vec<u8>>, PathError> {
    let mut files = Vec::new();
    let mut sizes = Vec::new();
    let mut images = collected.images.iter();
    let mut members = collected.members.iter();
    for file in &converted.files {
        // The collector's own copies, which no late write of the converter reaches.
        let ready = match file.role {
            OutputRole::Main => Some(&collected.main),
            OutputRole::Pages => collected.pages_json.as_ref(),
            OutputRole::Tree => collected.tree_json.as_ref(),
            OutputRole::Image => images.next().map(|image| &image.file),
            OutputRole::Member if collect::is_page(file) => members.next().map(|one| &one.file),
            OutputRole::Attachment | OutputRole::Member => None,
        };
        let before = files.len() as u64;
        let room = ENTRY_BYTES_MAX.saturating_sub(before);
        let path = match ready {
            Some(ready) if ready.size > room => return Ok(None),
            Some(ready) => dir.ready().join(&ready.name),
            // Left out by the collector, which looks only whether it is there: so is its content.
            None => {
                sizes.push(0);
                continue;
            }
        };
        append(&path, room, &mut files)?;
        sizes.push(files.len() as u64 - before);
    }
    let heading = Heading {
        converted: converted.clone(),
        report: report.clone(),
        sizes,
    };
    let heading = match serde_json::to_vec(&heading) {
        Ok(heading) => heading,
        Err(error) => return Err(PathError::new("describe", dir.path(), error)),
    };
    if (heading.len() + files.len()) as u64 > ENTRY_BYTES_MAX {
        return Ok(None);
    }
    let mut body = Vec::with_capacity(LENGTH_BYTES + heading.len() + files.len());
    body.extend_from_slice(&(heading.len() as u64).to_le_bytes());
    body.extend_from_slice(&heading);
    body.extend_from_slice(&files);
    Ok(Some(body))
}

fn append(path: &Path, bytes_max: u64, to: &mut Vec<u8>) -> Result<(), PathError> {
    let read = File::open(path).and_then(|file| file.take(bytes_max).read_to_end(to));
    read.map(drop)
        .map_err(|error| PathError::new("read", path, error))
}

/// Tells who asks: a cache that cannot be used costs time, and would be told with every document.
fn tell(what: &str, error: &PathError) {
    tracing::info!("{what}: {error}: {}", error.source);
}
