//! Somebody on the host who changes files beneath the output directory while a converter runs: what a
//! component cannot do itself, because it can make no links.

#![expect(
    clippy::disallowed_methods,
    reason = "the files lie in a private temporary directory"
)]

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::case::Aid;

/// Between two looks for the converter's sign.
const POLL: Duration = Duration::from_millis(1);

/// Where an accomplice works, and what its links lead to.
#[derive(Debug)]
pub(super) struct Accomplice {
    pub(super) aid: Aid,
    /// The folder in which the output directory of the one running job will lie.
    pub(super) staging: PathBuf,
    pub(super) canary_file: PathBuf,
    pub(super) canary_folder: PathBuf,
}

impl Accomplice {
    /// Waits for the converter's sign, and does its work until `is_over`.
    pub(super) fn work(&self, is_over: &AtomicBool) -> io::Result<()> {
        let out = loop {
            if is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            match self.output()? {
                Some(out) => break out,
                None => std::thread::sleep(POLL),
            }
        };
        symlink(&self.canary_file, out.join("planted"))?;
        symlink(&self.canary_file, out.join("link"))?;
        symlink(&self.canary_folder, out.join("folder-link"))?;
        let exchanged: &[[&str; 2]] = match self.aid {
            Aid::Plant => &[],
            Aid::Flip => &[["changing", "link"], ["folder", "folder-link"]],
            Aid::Swap | Aid::SwapOnAndOn => &[["main.md", "link"]],
        };
        exchange(&out, exchanged)?;
        fs::write(out.join("changed"), "")?;
        if matches!(self.aid, Aid::Plant | Aid::Swap) {
            return Ok(());
        }
        while !is_over.load(Ordering::Relaxed) {
            match exchange(&out, exchanged) {
                // The job is over, and its directory gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                done => done?,
            }
        }
        Ok(())
    }

    /// The output directory whose converter waits.
    fn output(&self) -> io::Result<Option<PathBuf>> {
        for entry in fs::read_dir(&self.staging)? {
            let out = entry?.path().join("out");
            if out.join("written").exists() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }
}

/// Exchanges the two entries of each pair, at once.
fn exchange(out: &Path, pairs: &[[&str; 2]]) -> io::Result<()> {
    for [one, other] in pairs {
        let (one, other) = (out.join(one), out.join(other));
        rustix::fs::renameat_with(
            rustix::fs::CWD,
            one,
            rustix::fs::CWD,
            other,
            rustix::fs::RenameFlags::EXCHANGE,
        )?;
    }
    Ok(())
}
