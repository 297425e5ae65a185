//! Damaged inputs and strange names: whatever comes, a converter answers with a document or with an
//! error of the contract.
//!
//! Invariant: the damage depends on the input's bytes and the number of the mutation alone, so that
//! what was found once is found again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::report::Check;
use super::trial::{self, Input, Outcome, Trial};
use super::{Stop, counted};
use crate::authoring::files;
use crate::kb::PathError;

const MUTATIONS: &str = "mutations";
const NAMES: &str = "names";

/// Mutated inputs that are kept of one run.
const KEPT_MAX: usize = 50;

/// An input that is larger is not mutated: each mutation is a copy.
const BYTES_MAX: u64 = 64 << 20;

/// Bytes in one run of damage.
const RUN_BYTES_MAX: usize = 64;

/// Reproducible numbers: SplitMix64 (Steele, Lea and Flood, 2014).
struct Numbers(u64);

impl Numbers {
    fn of(bytes: &[u8], number: usize) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let mut seed = [0; 8];
        seed.copy_from_slice(&digest[..8]);
        Self(u64::from_le_bytes(seed).wrapping_add(number as u64))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        let number = self.draw() % end as u64;
        usize::try_from(number).expect("below a usize")
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.draw().to_le_bytes()[0]).collect()
    }
}

/// The mutation with this number, and what it is. `bytes` are not empty, and neither is the result: an
/// empty file never reaches a converter.
fn mutate(bytes: &[u8], number: usize) -> (Vec<u8>, String) {
    let mut numbers = Numbers::of(bytes, number);
    let len = bytes.len();
    let at = numbers.below(len);
    let run = 1 + numbers.below(RUN_BYTES_MAX);
    let end = len.min(at + run);
    let mut mutated = bytes.to_vec();
    let what = match number {
        0 => {
            mutated.truncate(1);
            "the first byte alone".to_owned()
        }
        1 => {
            mutated = numbers.bytes(len.min(1 << 16));
            format!("{} random bytes", mutated.len())
        }
        2 => {
            mutated.extend_from_slice(bytes);
            "everything twice".to_owned()
        }
        _ => match number % 8 {
            0 => {
                mutated.truncate(at.max(1));
                format!("cut after byte {}", mutated.len())
            }
            1 => {
                let bit = numbers.below(8);
                mutated[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} flipped")
            }
            2 => {
                let flips = 16;
                for _ in 0..flips {
                    let at = numbers.below(len);
                    mutated[at] ^= 1 << numbers.below(8);
                }
                format!("{flips} bits flipped here and there")
            }
            3 => {
                drop(mutated.splice(at..at, bytes[at..end].to_vec()));
                format!("bytes {at} to {end} twice")
            }
            4 => {
                drop(mutated.splice(at..at, vec![0; run]));
                format!("{run} NUL bytes before byte {at}")
            }
            5 => {
                drop(mutated.splice(at..at, vec![0xff; run]));
                format!("{run} bytes 0xff before byte {at}")
            }
            6 => {
                let random = numbers.bytes(end - at);
                mutated[at..end].copy_from_slice(&random);
                format!("bytes {at} to {end} random")
            }
            _ => {
                drop(mutated.drain(at..end));
                format!("bytes {at} to {end} left out")
            }
        },
    };
    if mutated.is_empty() {
        mutated.push(0);
    }
    (mutated, what)
}

/// Converts `count` mutations of each input; keeps those that end badly in `keep`.
pub(super) fn check(
    trial: &Trial<'_>,
    inputs: &[Input],
    count: usize,
    keep: Option<&Path>,
    kept: &mut Vec<String>,
    done: &mut dyn FnMut(&str),
) -> Result<Check, Stop> {
    if inputs.is_empty() || count == 0 {
        return Ok(Check::skip(MUTATIONS, "nothing was to be mutated"));
    }
    let mut faults = Vec::new();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for input in inputs {
        let bytes = match read(&input.path)? {
            Some(bytes) if !bytes.is_empty() => bytes,
            _ => continue,
        };
        for number in 0..count {
            let (mutated, what) = mutate(&bytes, number);
            let failed = |error| PathError::new("write", trial.scratch, error);
            let mut file = tempfile::NamedTempFile::new_in(trial.scratch).map_err(failed)?;
            file.write_all(&mutated).map_err(failed)?;
            let outcome = trial.run_bytes_of(input, file.path(), &trial.usual())?;
            let end = match &outcome {
                Outcome::Document(_) => "documents",
                Outcome::Refused(_) => "refusals",
                Outcome::Broken(_) | Outcome::Cancelled => "faults",
            };
            *ends.entry(end).or_default() += 1;
            if !outcome.is_orderly() {
                let words = outcome.words();
                let mut fault = format!("{}, {what}: {words}", input.file_name);
                if let Some(dir) = keep.filter(|_| kept.len() < KEPT_MAX) {
                    let name = format!("{number:03}-{}", input.file_name);
                    let target = dir.join(&name);
                    files::ensure_dir(dir)?;
                    files::write(&target, &mutated)?;
                    fault.push_str(&format!("; kept as `{}`", target.display()));
                    kept.push(target.display().to_string());
                }
                faults.push(fault);
            }
        }
        done(&input.file_name);
    }
    let ends: Vec<String> = ends.iter().map(|(end, n)| format!("{n} {end}")).collect();
    Ok(Check::of_faults(MUTATIONS, ends.join(", "), faults))
}

/// Reads an input that is to be mutated; `None` if it is too large for that.
fn read(path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    let mut bytes = Vec::new();
    trial::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| PathError::new("read", path, error))?;
    Ok((bytes.len() as u64 <= BYTES_MAX).then_some(bytes))
}

/// File names that mean something to a shell, a terminal, a path or a wiki, with the extension of
/// `file_name`.
fn hostile_names(file_name: &str) -> Vec<String> {
    let extension = Path::new(file_name).extension();
    let dot_extension = extension.map_or(String::new(), |extension| {
        format!(".{}", extension.to_string_lossy())
    });
    let stems = [
        "line\nbreak",
        "\u{1b}[31mred\u{1b}]0;title\u{7}",
        "\u{202e}txt.exe\u{2066}",
        "..",
        "../../up",
        "/etc/passwd",
        "-rf --force",
        "[[concepts/x]] # | <!-- --- `",
        "e\u{301}\u{200b}\u{feff}",
        "漢字かな한글",
        "\u{fffd}\u{1f469}\u{200d}\u{1f4bb}",
        "CON",
        " ",
    ];
    let mut names: Vec<String> = stems.map(|stem| format!("{stem}{dot_extension}")).into();
    let long = "x".repeat(255 - dot_extension.len().min(254));
    names.push(format!("{long}{dot_extension}"));
    names
}

/// Converts an input under strange names: it must give a document under each.
pub(super) fn check_names(trial: &Trial<'_>, input: Option<&Input>) -> Result<Check, Stop> {
    let Some(input) = input else {
        return Ok(Check::skip(NAMES, "no input gave a document"));
    };
    let names = hostile_names(&input.file_name);
    let mut faults = Vec::new();
    for name in &names {
        let renamed = Input {
            path: input.path.clone(),
            file_name: name.clone(),
        };
        match trial.run(&renamed, &trial.usual())? {
            Outcome::Document(_) => {}
            outcome => faults.push(format!("called {name:?}: {}", outcome.words())),
        }
    }
    let passed = format!(
        "{} under {}",
        input.file_name,
        counted(names.len(), "name", "names")
    );
    Ok(Check::of_faults(NAMES, passed, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_the_same_each_time_and_never_empty() {
        for bytes in [&b"x"[..], b"key = value\n", &[0xff; 1_000]] {
            for number in 0..200 {
                let (mutated, what) = mutate(bytes, number);
                assert_eq!((mutated.clone(), what), mutate(bytes, number));
                assert!(!mutated.is_empty());
                assert!(mutated.len() <= 2 * bytes.len() + 64, "{number}");
            }
        }
        let distinct: std::collections::BTreeSet<_> = (0..64)
            .map(|number| mutate(&[7; 1_000], number).0)
            .collect();
        assert!(distinct.len() > 50, "{}", distinct.len());
    }

    #[test]
    fn strange_names_keep_the_extension() {
        let names = hostile_names("a.kv");
        assert!(names.iter().all(|name| name.ends_with(".kv")), "{names:?}");
        assert!(names.iter().any(|name| name.len() == 255));
        assert!(hostile_names("a").iter().any(|name| name.len() == 255));
    }
}
