//! The files of one job: the input, its assets and the output directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};

use crate::{ConvertError, Request};

/// Path of the Markdown page beneath the output directory.
pub const MAIN_PATH: &str = "main.md";

/// What a conversion may read and write besides its input.
pub trait Files {
    /// The bytes of a local file that the input refers to; `None` if the host did not resolve it.
    ///
    /// # Errors
    /// If it was resolved and cannot be read, or is longer than `bytes_max`.
    fn asset(&self, reference: &str, bytes_max: u64) -> Option<io::Result<Vec<u8>>>;

    /// Writes an output file; `path` is relative to the output directory.
    ///
    /// # Errors
    /// If it cannot be written.
    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ConvertError>;
}

/// The files of a real job, beneath `/in` and `/out`.
pub struct JobFiles<'a> {
    output: &'a str,
    assets: BTreeMap<&'a str, &'a str>,
}

impl<'a> JobFiles<'a> {
    /// Takes the directories and the resolved assets from the request.
    #[must_use]
    pub fn new(request: &'a Request) -> Self {
        let assets = request.assets.iter();
        let assets = assets.map(|asset| (asset.reference.as_str(), asset.path.as_str()));
        Self {
            output: &request.output,
            assets: assets.collect(),
        }
    }
}

impl Files for JobFiles<'_> {
    fn asset(&self, reference: &str, bytes_max: u64) -> Option<io::Result<Vec<u8>>> {
        let path = self.assets.get(reference)?;
        Some(read_bounded(path, bytes_max))
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ConvertError> {
        let full = format!("{}/{path}", self.output);
        let folder = full
            .rsplit_once('/')
            .map_or(self.output, |(folder, _)| folder);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&full, bytes));
        written.map_err(|error| ConvertError::Internal(format!("write `{path}`: {error}")))
    }
}

/// Files in memory, for native tests.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    /// The assets that can be resolved, by reference.
    pub assets: BTreeMap<String, Vec<u8>>,
    /// What was written, by path.
    pub outputs: BTreeMap<String, Vec<u8>>,
}

impl MemoryFiles {
    /// The text of a written file; empty if there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> String {
        let bytes = self.outputs.get(path).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Files for MemoryFiles {
    fn asset(&self, reference: &str, bytes_max: u64) -> Option<io::Result<Vec<u8>>> {
        let bytes = self.assets.get(reference)?;
        if bytes.len() as u64 > bytes_max {
            return Some(Err(io::ErrorKind::FileTooLarge.into()));
        }
        Some(Ok(bytes.clone()))
    }

    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), ConvertError> {
        self.outputs.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// Reads the whole input of a request.
///
/// # Errors
/// `too-large` if it has more than `bytes_max` bytes, `internal` if it cannot be read.
pub fn read_input(request: &Request, bytes_max: u64) -> Result<Vec<u8>, ConvertError> {
    read_bounded(&request.input, bytes_max).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            ConvertError::TooLarge(format!("the file has more than {bytes_max} bytes"))
        }
        _ => ConvertError::Internal(format!("read the input: {error}")),
    })
}

fn read_bounded(path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    if size > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // The size is a hint only: the bound holds for what is read.
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
