//! Streams over files of the guest: every read and write is done at once, on the thread that runs
//! the guest, and every byte that makes a file longer is counted first.
//!
//! wasmtime's own streams hand writes to threads of a pool: how much a read returns then depends on
//! the machine, what is under way is memory of the host, and a write can outlive its guest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{FsError, InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::JobFailure;
use super::quota::Quota;

/// Bytes of one read: as much as guests ask for in practice, so that a greedy one takes no memory.
const READ_BYTES_MAX: usize = 256 << 10;

/// Bytes that a guest may write at once.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// Reads a file from a position on.
pub(super) struct FileReader {
    file: Arc<File>,
    position: u64,
}

impl FileReader {
    pub(super) fn new(file: Arc<File>, position: u64) -> Self {
        Self { file, position }
    }
}

#[async_trait]
impl Pollable for FileReader {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for FileReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut bytes = vec![0; size.min(READ_BYTES_MAX)];
        let read = loop {
            match self.file.read_at(&mut bytes, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(failed)?,
            }
        };
        if read == 0 {
            return Err(StreamError::Closed);
        }
        bytes.truncate(read);
        self.position += read as u64;
        Ok(bytes.into())
    }
}

/// Writes a file from a position on, or at its end.
pub(super) struct FileWriter {
    file: Arc<File>,
    /// `None`: always at the end.
    position: Option<u64>,
    quota: Quota,
}

impl FileWriter {
    pub(super) fn new(file: Arc<File>, position: Option<u64>, quota: Quota) -> Self {
        Self {
            file,
            position,
            quota,
        }
    }
}

#[async_trait]
impl Pollable for FileWriter {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for FileWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let written = write_at(&self.file, &bytes, self.position, &self.quota)?;
        if let Some(position) = &mut self.position {
            *position += written;
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

/// Why bytes were not written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The guest has written what it may: its end.
    Quota(JobFailure),
    /// The disk, or a handle that is not open for writing: the guest is told.
    Io(io::Error),
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Quota(failure) => Self::Trap(wasmtime::Error::new(failure)),
            WriteError::Io(error) => failed(error),
        }
    }
}

impl From<WriteError> for FsError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Quota(failure) => Self::trap(wasmtime::Error::new(failure)),
            WriteError::Io(error) => error.into(),
        }
    }
}

/// Writes all of `bytes` at `position`, or at the end of the file. The bytes by which the file
/// grows are counted before a single one is written, holes included.
///
/// # Errors
/// If that is more than allowed, or the system refuses.
pub(super) fn write_at(
    file: &File,
    bytes: &[u8],
    position: Option<u64>,
    quota: &Quota,
) -> Result<u64, WriteError> {
    let length = file.metadata().map_err(WriteError::Io)?.len();
    let position = position.unwrap_or(length);
    let end = position
        .checked_add(bytes.len() as u64)
        .ok_or_else(|| WriteError::Io(io::ErrorKind::FileTooLarge.into()))?;
    if end > length {
        quota.resize(length, end).map_err(WriteError::Quota)?;
    }
    file.write_all_at(bytes, position).map_err(WriteError::Io)?;
    Ok(bytes.len() as u64)
}

fn failed(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Limits;

    fn rig(bytes_max: u64) -> (tempfile::TempDir, Arc<File>, Quota) {
        let dir = tempfile::tempdir().unwrap();
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true);
        let file = file.open(dir.path().join("file")).unwrap();
        let quota = Quota::new(&Limits {
            output_bytes_max: bytes_max,
            ..Limits::default()
        });
        (dir, Arc::new(file), quota)
    }

    #[test]
    fn growth_is_counted_and_writing_over_is_not() {
        let (_dir, file, quota) = rig(10);
        let mut writer = FileWriter::new(Arc::clone(&file), Some(0), quota.clone());
        writer.write(Bytes::from_static(b"12345")).unwrap();
        let mut again = FileWriter::new(Arc::clone(&file), Some(0), quota.clone());
        again.write(Bytes::from_static(b"abcde")).unwrap();
        let mut end = FileWriter::new(Arc::clone(&file), None, quota.clone());
        end.write(Bytes::from_static(b"67890")).unwrap();
        assert_eq!(quota.peak().0, 10);
        assert!(matches!(
            end.write(Bytes::from_static(b"x")),
            Err(StreamError::Trap(_))
        ));
        let mut reader = FileReader::new(file, 3);
        assert_eq!(&reader.read(100).unwrap()[..], b"de67890");
        assert!(matches!(reader.read(1), Err(StreamError::Closed)));
    }

    #[test]
    fn a_hole_counts_in_full() {
        let (_dir, file, quota) = rig(1 << 20);
        let write = |position| write_at(&file, b"x", Some(position), &quota);
        assert!(matches!(write(1 << 40), Err(WriteError::Quota(_))));
        assert!(matches!(write(u64::MAX), Err(WriteError::Io(_))));
        assert_eq!(file.metadata().unwrap().len(), 0, "nothing was written");
        write((1 << 20) - 1).unwrap();
    }
}
