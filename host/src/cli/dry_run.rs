//! `add --dry-run`: what would become of each input. Reads and hashes the inputs, asks the
//! registry; converts nothing, writes nothing, takes no lock.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::CommandError;
use super::plugin::stale::Present;
use super::report::{DocumentReport, Reporter, Status, already_in};
use crate::enumerate::{Inputs, Source, Unreadable};
use crate::kb::registry::Catalogue;
use crate::kb::{ContentHash, DocName, PathError, Seq, SourceKey};
use crate::prepare::PrepareError;

/// Bytes read at once: large enough that system calls do not show, small enough for the stack's
/// neighbour, the cache.
const BUFFER_BYTES: usize = 128 << 10;

/// What an input would become.
enum Outcome {
    Add,
    Update(DocName),
    Skip(Option<DocName>),
    Fail(Box<PrepareError>),
}

/// Tells in input order what would become of the inputs; what `reconvert` would make
/// otherwise is made again.
///
/// # Errors
/// If the registry cannot be read.
pub(super) fn tell(
    inputs: Inputs,
    catalogue: &Catalogue,
    bytes_max: u64,
    reconvert: Option<&Present>,
    reporter: &mut Reporter<'_>,
) -> Result<(), CommandError> {
    let mut known: HashMap<SourceKey, DocName> = catalogue
        .documents()?
        .into_iter()
        .map(|row| (row.source_key, row.doc_name))
        .collect();
    let mut seen: HashMap<ContentHash, Seq> = HashMap::new();
    let mut unreadable = inputs.unreadable.into_iter().peekable();
    for source in &inputs.sources {
        while let Some(earlier) = unreadable.next_if(|input| input.seq < source.seq) {
            refuse(earlier, reporter);
        }
        let outcome = outcome(
            source, catalogue, bytes_max, reconvert, &mut known, &mut seen,
        )?;
        let document = |status| DocumentReport::new(source.seq, source.display.clone(), status);
        match outcome {
            Outcome::Add => reporter.document(document(Status::WouldAdd), None),
            Outcome::Update(name) => {
                let mut document = document(Status::WouldUpdate);
                document.name = Some(name.to_string());
                reporter.document(document, None);
            }
            Outcome::Skip(name) => {
                let display = source.display.clone();
                let document = already_in(source.seq, display, Status::WouldSkip, name);
                reporter.document(document, None);
            }
            Outcome::Fail(error) => {
                reporter.not_prepared(source.seq, source.display.clone(), error);
            }
        }
    }
    unreadable.for_each(|input| refuse(input, reporter));
    for remote in inputs.remotes {
        let known = catalogue.by_remote_id(&remote.id)?;
        let (seq, display) = (remote.seq, remote.display);
        let document = match known {
            Some(row) => already_in(seq, display, Status::WouldSkip, Some(row.doc_name)),
            None => DocumentReport::new(seq, display, Status::WouldAdd),
        };
        reporter.document(document, None);
    }
    Ok(())
}

fn refuse(input: Unreadable, reporter: &mut Reporter<'_>) {
    let error = PrepareError::from(input.error);
    reporter.not_prepared(input.seq, input.display, error.into());
}

fn outcome(
    source: &Source,
    catalogue: &Catalogue,
    bytes_max: u64,
    reconvert: Option<&Present>,
    known: &mut HashMap<SourceKey, DocName>,
    seen: &mut HashMap<ContentHash, Seq>,
) -> Result<Outcome, CommandError> {
    let Some(media_type) = &source.media_type else {
        let error = PrepareError::Unsupported(source.display.clone());
        return Ok(Outcome::Fail(error.into()));
    };
    let hash = match hash_file(&source.path, &source.display, bytes_max) {
        Ok(hash) => hash,
        Err(error) => return Ok(Outcome::Fail(error)),
    };
    if let Some(row) = catalogue.by_hash(&hash)? {
        let made_anew = match reconvert {
            Some(present) if row.comes_from(&source.key) => {
                !present.made(catalogue, &row, media_type)?
            }
            _ => false,
        };
        if made_anew && seen.insert(hash, source.seq).is_none() {
            return Ok(Outcome::Update(row.doc_name));
        }
        return Ok(Outcome::Skip(Some(row.doc_name)));
    }
    if seen.insert(hash, source.seq).is_some() {
        return Ok(Outcome::Skip(None));
    }
    Ok(known
        .remove(&source.key)
        .map_or(Outcome::Add, Outcome::Update))
}

fn hash_file(path: &Path, display: &str, bytes_max: u64) -> Result<ContentHash, Box<PrepareError>> {
    let failed = |action| {
        move |error: std::io::Error| PrepareError::from(PathError::new(action, display, error))
    };
    let mut file = File::open(path).map_err(failed("open"))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer).map_err(failed("read"))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > bytes_max {
            return Err(Box::new(PrepareError::InputTooLarge {
                path: display.to_owned(),
                size: file.metadata().map_or(size, |metadata| metadata.len()),
                limit: bytes_max,
            }));
        }
        digest.update(&buffer[..count]);
    }
    if size == 0 {
        return Err(Box::new(PrepareError::Empty(display.to_owned())));
    }
    Ok(ContentHash::from_bytes(digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_are_hashed_within_bounds() {
        let file_of = |bytes: &[u8]| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            file
        };
        let file = file_of(b"text");
        let hash = hash_file(file.path(), "a", 4).unwrap();
        assert_eq!(hash, ContentHash::of(b"text"));
        let check = |path: &Path, bytes_max, expected: &str| {
            let error = hash_file(path, "a", bytes_max).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(file.path(), 3, "read `a`: 4 bytes; the limit is 3 bytes");
        check(file_of(b"").path(), 4, "convert `a`: the file is empty");
        check(Path::new("/nowhere/a"), 4, "open `a`");
    }
}
