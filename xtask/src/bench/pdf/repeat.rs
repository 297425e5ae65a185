//! The same input gives the same bytes: on a second run, and with any number of workers.

use std::path::{Path, PathBuf};

use super::native::Native;
use crate::bench::report::Report;
use crate::bench::rig::Rig;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, CORPUS_SAMPLE_STEP, Repo};
use crate::sources_digest::sha256_hex;

/// Each run with its number of workers.
const RUNS: [u32; 3] = [1, 1, 2];

/// Natively twice; through the host into three knowledge bases.
///
/// # Errors
/// If a command fails.
pub(super) fn measure(
    repo: &Repo,
    rig: &Rig,
    native: &Native,
    quick: bool,
    report: &mut Report,
) -> Result<()> {
    let step = if quick { CORPUS_SAMPLE_STEP } else { 1 };
    let pdfs = repo.corpus_pdfs()?;
    let mut files: Vec<PathBuf> = pdfs.into_iter().step_by(step).collect();
    if let Some(long) = repo.corpus_long() {
        files.extend(repo::entries(&long)?);
    }
    let examples = repo::files_beneath(&repo.example_docs())?;
    files.extend(examples.into_iter().filter(|path| repo::has_pdf_name(path)));
    println!("Converting {} files again and again ...", files.len());
    let mut seen = Vec::new();
    for run in 0..2 {
        let out = rig.path(&format!("native-{run}"));
        native.convert(&files, &out)?;
        seen.push(digests(&out)?);
    }
    tell("repeat: natively, twice", &seen, report);
    let mut seen = Vec::new();
    for jobs in RUNS {
        let kb = rig.fresh_kb("kb-repeat")?;
        process::capture(rig.add(&kb, &files, jobs).arg("--quiet"))?;
        seen.push(digests(&kb.join("wiki/sources"))?);
    }
    tell("repeat: --jobs 1, again, --jobs 2", &seen, report);
    Ok(())
}

/// Every file beneath a folder: its place and the digest of its bytes.
fn digests(dir: &Path) -> Result<Vec<(PathBuf, String)>> {
    let files = repo::files_beneath(dir)?.into_iter().map(|path| {
        let bytes = std::fs::read(&path).map_err(Failure::io("read", &path))?;
        let name = path.strip_prefix(dir).unwrap_or(&path).to_owned();
        Ok((name, sha256_hex(&bytes)))
    });
    files.collect()
}

fn tell(what: &str, seen: &[Vec<(PathBuf, String)>], report: &mut Report) {
    let differing = differing(seen);
    for path in &differing {
        println!("    {} differs", path.display());
    }
    let files = seen.first().map_or(0, Vec::len);
    let what = format!("{what}: {files} files, differing");
    let goal = crate::bench::report::Goal::AtMost(0.0);
    match files {
        0 => report.skip(what, "no file was written"),
        _ => report.goal(what, differing.len() as f64, "", goal),
    }
}

/// The files that are not the same in every run, or not in every run.
fn differing(seen: &[Vec<(PathBuf, String)>]) -> Vec<&Path> {
    let mut paths: Vec<&Path> = seen
        .iter()
        .flatten()
        .filter(|file| !seen.iter().all(|run| run.contains(file)))
        .map(|(path, _)| path.as_path())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_or_is_missing_is_told() {
        let run = |files: &[(&str, &str)]| -> Vec<_> {
            let files = files.iter();
            files
                .map(|(path, digest)| (PathBuf::from(path), (*digest).to_owned()))
                .collect()
        };
        let one = run(&[("a", "1"), ("b", "2")]);
        assert!(differing(&[one.clone(), one.clone()]).is_empty());
        let two = run(&[("a", "3"), ("b", "2"), ("c", "4")]);
        assert_eq!(differing(&[one, two]), [Path::new("a"), Path::new("c")]);
    }
}
