//! `--password-file`: reads the password of documents.
//!
//! Invariant: before it is in this process, nobody can make a core of it or look into it, and no buffer
//! on its way is left uncleared. It is told in no error.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use super::terminal::one_line;
use crate::kb::PathError;
use crate::plugin::{Password, PluginSet};
use crate::userdir::credentials;

/// Stands for standard input.
const STDIN: &str = "-";

/// The longest line that is looked at, with its end.
const LINE_BYTES_MAX: usize = Password::BYTES_MAX + 2;

/// Why there is no password to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum PasswordError {
    /// The file cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A folder.
    #[error("read the password from {0}: it is a folder")]
    Folder(String),
    /// What is typed would be shown.
    #[error("read the password from {0}: it is a terminal, which shows what is typed")]
    Terminal(String),
    /// No password.
    #[error("read the password from {place}: {reason}")]
    Invalid {
        /// Where it was looked for.
        place: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A converter that is given none takes every input.
    #[error("give the password to plugin `{0}`: it did not come with kbhost")]
    Foreign(String),
}

/// The password in the first line of the file that was typed, if one was.
///
/// # Errors
/// If there is none, or a converter takes all inputs that would not be given it.
pub(super) fn read(
    typed: Option<&Path>,
    plugins: &PluginSet,
) -> Result<Option<Arc<Password>>, PasswordError> {
    let Some(path) = typed else {
        return Ok(None);
    };
    if let Some(forced) = plugins.forced().filter(|forced| !forced.opens()) {
        return Err(PasswordError::Foreign(forced.identity().name.clone()));
    }
    credentials::seal();
    let is_stdin = path.as_os_str() == STDIN;
    let place = match is_stdin {
        true => "standard input".to_owned(),
        false => format!("`{}`", one_line(&path.display().to_string())),
    };
    let failed = |error| PathError::new("read the password from", path, error);
    let opened = match is_stdin {
        // Not through the buffer of the standard library, which nobody clears.
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => File::open(path),
    };
    let file = opened.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(PasswordError::Folder(place));
    }
    if file.is_terminal() {
        return Err(PasswordError::Terminal(place));
    }
    let mut buffer = Zeroizing::new([0; LINE_BYTES_MAX]);
    let line = first_line(file, &mut buffer).map_err(failed)?;
    let password = Password::new(line, (metadata.dev(), metadata.ino()));
    let password = password.map_err(|reason| PasswordError::Invalid { place, reason })?;
    Ok(Some(Arc::new(password)))
}

/// The first line without its end; as much of it as fits into `buffer`. Reads no further than it needs:
/// whoever writes into a pipe need not close it.
fn first_line(mut file: impl io::Read, buffer: &mut [u8; LINE_BYTES_MAX]) -> io::Result<&[u8]> {
    let mut filled = 0;
    let end = loop {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break filled,
            Ok(read) => {
                let new = filled..filled + read;
                filled = new.end;
                if let Some(at) = buffer[new.clone()].iter().position(|byte| *byte == b'\n') {
                    let end = new.start + at;
                    let has_return = end > 0 && buffer[end - 1] == b'\r';
                    break end - usize::from(has_return);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    Ok(&buffer[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(1).min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    #[test]
    fn the_first_line_counts_without_its_end() {
        let check = |text: &[u8], expected: &[u8]| {
            let mut buffer = [0; LINE_BYTES_MAX];
            assert_eq!(first_line(text, &mut buffer).unwrap(), expected);
            let mut buffer = [0; LINE_BYTES_MAX];
            assert_eq!(first_line(Slow(text), &mut buffer).unwrap(), expected);
        };
        check(b"", b"");
        check(b"\n", b"");
        check(b"\r\n", b"");
        check(b"a", b"a");
        check(b" a b \nc\n", b" a b ");
        check(b"a\r\nb", b"a");
        check(b"a\rb\n", b"a\rb");
        check(b"\na", b"");
        let longest = [&[b'x'; Password::BYTES_MAX][..], b"\r\n", b"more"].concat();
        check(&longest, &longest[..Password::BYTES_MAX]);
        let too_long = [b'x'; 2 * LINE_BYTES_MAX];
        check(&too_long, &too_long[..LINE_BYTES_MAX]);
    }
}
