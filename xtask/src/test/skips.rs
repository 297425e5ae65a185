//! What was skipped: tests append a line each to the file named by `KBHOST_TEST_SKIP_LOG`.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// Names the file to which a test that cannot run appends one line saying why.
pub(crate) const SKIP_LOG_VARIABLE: &str = "KBHOST_TEST_SKIP_LOG";

/// The file and what this program itself skipped.
#[derive(Debug)]
pub(crate) struct Skips {
    log: PathBuf,
    own: Vec<String>,
}

impl Skips {
    /// Starts with an empty file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn start(log: PathBuf) -> Result<Self> {
        if let Some(parent) = log.parent() {
            std::fs::create_dir_all(parent).map_err(Failure::io("create", parent))?;
        }
        std::fs::write(&log, "").map_err(Failure::io("write", &log))?;
        Ok(Self {
            log,
            own: Vec::new(),
        })
    }

    /// The file tests append to.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Records that this program skipped something.
    pub(crate) fn push(&mut self, reason: String) {
        self.own.push(reason);
    }

    /// Everything skipped, each reason once, in order.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn collect(self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.log).map_err(Failure::io("read", &self.log))?;
        let mut reasons: Vec<String> = Vec::new();
        for reason in self.own.into_iter().chain(text.lines().map(str::to_owned)) {
            let reason = reason.trim().trim_start_matches("skip:").trim().to_owned();
            if !reason.is_empty() && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        Ok(reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_counts_once() {
        let log = std::env::temp_dir().join(format!("xtask-skips-{}", std::process::id()));
        let mut skips = Skips::start(log.clone()).unwrap();
        skips.push("no wasm toolchain".to_owned());
        std::fs::write(skips.log(), "skip: no strace\n\nno strace\nno setpriv\n").unwrap();
        let reasons = skips.collect().unwrap();
        std::fs::remove_file(log).unwrap();
        assert_eq!(reasons, ["no wasm toolchain", "no strace", "no setpriv"]);
    }
}
