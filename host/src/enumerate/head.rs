//! Opens inputs, and reads how they begin.
//!
//! Invariant: never waits for anybody, never becomes anybody's terminal, reads nothing but regular
//! files, and follows a link only if it was named on the command line.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Opens an input. What it is has to be looked at before it is read.
///
/// # Errors
/// The system's, `NXIO` for a socket and a device without a driver.
pub(crate) fn open(path: &Path, named: bool) -> Result<File, Errno> {
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if !named {
        flags |= OFlags::NOFOLLOW;
    }
    rustix::fs::open(path, flags, Mode::empty()).map(File::from)
}

/// The first bytes of an input, at most `bytes_max`. Of what cannot be read there are none: that is
/// told when it is to be copied.
pub(crate) fn head(path: &Path, named: bool, bytes_max: usize) -> Vec<u8> {
    let mut head = Vec::new();
    let read = open(path, named)
        .map_err(std::io::Error::from)
        .and_then(|file| {
            if !file.metadata()?.is_file() {
                return Ok(0);
            }
            file.take(bytes_max as u64).read_to_end(&mut head)
        });
    if let Err(error) = read {
        tracing::debug!(%error, "how an input begins is not known");
    }
    head
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests make their own files")]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_have_a_head() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), "12345").unwrap();
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), fifo, Mode::RUSR, 0).unwrap();
        let check = |name: &str, named, expected: &[u8]| {
            assert_eq!(head(&at(name), named, 3), expected, "{name} {named}");
        };
        check("a", false, b"123");
        check("link", true, b"123");
        check("link", false, b"");
        check("fifo", true, b"");
        check("", true, b"");
        check("none", true, b"");
    }
}
