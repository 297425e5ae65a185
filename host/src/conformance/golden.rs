//! Golden files: inputs with what they are expected to give.
//!
//! ```text
//! DIR/input/NAME.EXT            what is converted, with the files that it refers to
//! DIR/expected/NAME.EXT.md      what `kbhost convert` prints of it
//! DIR/expected/NAME.EXT.error   instead: how it is refused
//! DIR/expected/NAME.EXT.images/ its images; without this folder they are not compared
//! DIR/expected/NAME.EXT.members/ its members, likewise, with `kbhost-output:` links as they are
//! ```
//!
//! A project may be a stranger's: nothing is written or removed through a link.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::report::Check;
use super::result::{ready, unified};
use super::trial::{self, Input, Outcome};
use super::{Stop, counted};
use crate::authoring::files;
use crate::kb::PathError;
use crate::plugin::Plugin;
use crate::prepare::Rehearsal;

const NAME: &str = "golden";

/// Golden inputs that one run takes: far more would not end in time.
const INPUTS_MAX: usize = 500;

/// Bytes of an expectation: pages that a person reviews are small.
const EXPECTED_BYTES_MAX: u64 = 64 << 20;

/// A folder of golden files.
pub(super) struct Golden<'a> {
    dir: &'a Path,
}

impl<'a> Golden<'a> {
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir }
    }

    /// The inputs that `plugin` takes by their names, sorted: others belong to another converter, or
    /// are what an input refers to.
    pub(super) fn inputs(&self, plugin: &Plugin) -> Result<Vec<Input>, PathError> {
        let dir = self.dir.join("input");
        let names = names(&dir)?.into_iter();
        let is_file = |name: &String| dir.join(name).is_file();
        let taken = names.filter(|name| takes(plugin, name) && is_file(name));
        let inputs = taken.map(|name| Input::of(&dir.join(name)));
        Ok(inputs.take(INPUTS_MAX).collect())
    }

    fn expected(&self, input: &Input, ending: &str) -> PathBuf {
        let name = format!("{}.{ending}", input.file_name);
        self.dir.join("expected").join(name)
    }

    /// Whether an input is expected to be refused.
    pub(super) fn is_refusal(&self, input: &Input) -> bool {
        self.expected(input, "error").exists()
    }

    /// Compares what the inputs gave with what is expected.
    pub(super) fn check(
        &self,
        plugin: &Plugin,
        results: &[(&Input, &Outcome)],
    ) -> Result<Check, Stop> {
        let mut faults = Vec::new();
        let mut details = Vec::new();
        for (input, outcome) in results {
            if let Some((fault, lines)) = self.fault(input, outcome)? {
                faults.push(format!("{}: {fault}", input.file_name));
                details.extend(lines);
            }
        }
        for name in self.orphans(plugin, results)? {
            faults.push(format!("expected/{name}: there is no such input"));
        }
        let passed = format!("{} as expected", counted(results.len(), "input", "inputs"));
        Ok(Check::of_faults(NAME, passed, faults).with_details(details))
    }

    /// What an input gave that was not expected, and the difference.
    fn fault(
        &self,
        input: &Input,
        outcome: &Outcome,
    ) -> Result<Option<(String, Vec<String>)>, Stop> {
        let (ending, found) = answer(outcome)?;
        let path = self.expected(input, ending);
        let Some(expected) = read(&path)? else {
            let unexpected = match ending {
                "md" => "no expectation; `--bless` writes it".to_owned(),
                _ => format!("expected a document: {}", outcome.words()),
            };
            return Ok(Some((unexpected, Vec::new())));
        };
        if expected != found {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let lines = unified(&text(&expected), &text(&found));
            return Ok(Some(("differs from what is expected".to_owned(), lines)));
        }
        let fault = self.parts_fault(input, outcome)?;
        Ok(fault.map(|fault| (fault, Vec::new())))
    }

    fn parts_fault(&self, input: &Input, outcome: &Outcome) -> Result<Option<String>, Stop> {
        let Outcome::Document(rehearsal) = outcome else {
            return Ok(None);
        };
        for part in parts(rehearsal) {
            let dir = self.expected(input, part.ending);
            if !is_own_dir(&dir)? {
                continue;
            }
            let what = part.what;
            let mut expected: BTreeSet<String> = names(&dir)?.into_iter().collect();
            for (name, ready_name) in part.files {
                if !expected.remove(name) {
                    return Ok(Some(format!("the {what} {name} is not expected")));
                }
                if read(&dir.join(name))? != Some(ready(rehearsal, ready_name)?) {
                    return Ok(Some(format!("the {what} {name} differs")));
                }
            }
            if let Some(name) = expected.first() {
                return Ok(Some(format!("the {what} {name} is missing")));
            }
        }
        Ok(None)
    }

    /// Expectations without an input, of files that `plugin` takes: they would never be compared.
    fn orphans(
        &self,
        plugin: &Plugin,
        results: &[(&Input, &Outcome)],
    ) -> Result<Vec<String>, PathError> {
        let known: BTreeSet<&str> = results.iter().map(|(input, _)| &*input.file_name).collect();
        let dir = self.dir.join("expected");
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let orphans = names(&dir)?.into_iter().filter(|name| {
            let of_input = name.rsplit_once('.').map(|(input, _)| input);
            of_input.is_some_and(|input| takes(plugin, input) && !known.contains(input))
        });
        Ok(orphans.collect())
    }

    /// Takes what the inputs gave for what is expected; the files written and removed.
    ///
    /// # Errors
    /// If one of the folders is a link: it may lead to files of the user's.
    pub(super) fn bless(&self, results: &[(&Input, &Outcome)]) -> Result<Vec<String>, Stop> {
        if self.dir.ends_with("tests/golden") {
            is_own_dir(self.dir.parent().unwrap_or(self.dir))?;
            is_own_dir(self.dir)?;
        }
        let expected = self.dir.join("expected");
        if !is_own_dir(&expected)? {
            files::ensure_dir(&expected)?;
        }
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        let mut write = |path: PathBuf, bytes: &[u8]| {
            files::write(&path, bytes)?;
            written.push(path.display().to_string());
            Ok::<_, PathError>(())
        };
        for (input, outcome) in results {
            // What is broken is nothing to expect.
            if !outcome.is_orderly() {
                continue;
            }
            let (ending, found) = answer(outcome)?;
            let other = if ending == "md" { "error" } else { "md" };
            files::remove(&self.expected(input, other))?;
            write(self.expected(input, ending), &found)?;
            let Outcome::Document(rehearsal) = outcome else {
                continue;
            };
            for part in parts(rehearsal) {
                let dir = self.expected(input, part.ending);
                let old = match is_own_dir(&dir)? {
                    true => names(&dir)?,
                    false => Vec::new(),
                };
                for (name, ready_name) in &part.files {
                    files::ensure_dir(&dir)?;
                    write(dir.join(name), &ready(rehearsal, ready_name)?)?;
                }
                let is_gone = |name: &String| part.files.iter().all(|(kept, _)| kept != name);
                for name in old.iter().filter(|name| is_gone(name)) {
                    files::remove(&dir.join(name))?;
                    removed.push(format!("{} (removed)", dir.join(name).display()));
                }
            }
        }
        written.append(&mut removed);
        Ok(written)
    }
}

/// Files of one kind that a document has beside its page.
struct Parts<'a> {
    ending: &'static str,
    what: &'static str,
    /// Published name and name in `ready/` of each.
    files: Vec<(&'a str, &'a str)>,
}

fn parts(rehearsal: &Rehearsal) -> [Parts<'_>; 2] {
    let images = rehearsal.document.images.iter();
    let members = rehearsal.document.members.iter();
    [
        Parts {
            ending: "images",
            what: "image",
            files: images
                .map(|image| (&*image.published_name, &*image.file.name))
                .collect(),
        },
        Parts {
            ending: "members",
            what: "member",
            files: members
                .map(|member| (&*member.published_name, &*member.file.name))
                .collect(),
        },
    ]
}

/// Whether a folder is there, itself and not by a link.
fn is_own_dir(dir: &Path) -> Result<bool, PathError> {
    match std::fs::symlink_metadata(dir) {
        Ok(metadata) if metadata.is_dir() => Ok(true),
        Ok(_) => {
            let error =
                std::io::Error::other("it is a link or no folder: nothing is expected there");
            Err(PathError::new("use", dir, error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(PathError::new("use", dir, error)),
    }
}

/// What is compared: the ending of its file and its bytes.
fn answer(outcome: &Outcome) -> Result<(&'static str, Vec<u8>), Stop> {
    Ok(match outcome {
        Outcome::Document(rehearsal) => ("md", rehearsal.document.page()?),
        Outcome::Refused(error) => ("error", format!("{error}\n").into_bytes()),
        other => ("error", format!("{}\n", other.words()).into_bytes()),
    })
}

fn takes(plugin: &Plugin, file_name: &str) -> bool {
    let extension = Path::new(file_name).extension();
    let extension = extension.map(|extension| extension.to_string_lossy().to_lowercase());
    let mut known = plugin.accepts().iter().flat_map(|one| &one.extensions);
    extension.is_some_and(|extension| known.any(|known| *known == extension))
}

/// The names in a folder, sorted.
fn names(dir: &Path) -> Result<Vec<String>, PathError> {
    let failed = |error| PathError::new("list", dir, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        // A name that is no text cannot be one that this program wrote.
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A file's bytes; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    let mut bytes = Vec::new();
    let opened = trial::open(path);
    match opened.and_then(|file| file.take(EXPECTED_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PathError::new("read", path, error)),
    }
}
