//! Reads a file that a user named, which may be anything.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::PluginError;
use crate::kb::PathError;

/// Reads the regular file `path`, links followed; `unfit` makes the error of one that is none, or that
/// is longer than `bytes_max`, from the reason.
///
/// # Errors
/// Also if it cannot be read.
pub(super) fn read(
    path: &Path,
    bytes_max: u64,
    unfit: impl Fn(String) -> PluginError,
) -> Result<Vec<u8>, PluginError> {
    let failed = |error| PathError::new("read", path, error);
    // Opening a FIFO would wait for a writer, so the kind is asked first.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(unfit("it is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(unfit(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}
