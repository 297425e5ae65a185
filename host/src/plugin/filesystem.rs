//! The guest's file system: wasmtime's, which keeps the guest beneath `/in` and `/out`, with what it
//! lacks around it.
//!
//! - Every byte and every entry is counted before it is made ([`super::quota`]); depth and names are
//!   bounded; symbolic and hard links are refused.
//! - What a guest could tell two runs apart by is virtual: times are those of the virtual clock's
//!   start, the metadata hash (inode and device to a C library) is that of the path, directories
//!   are listed by name and have no size, setting times does nothing.
//! - Nothing waits for the disk but reads and writes: the host syncs what it takes, so the guest's
//!   own syncs do nothing.
//!
//! Every refusal is counted under the name of the function that refused.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as Code;
use wasmtime_wasi::p2::bindings::sync::filesystem::types;
use wasmtime_wasi::p2::bindings::sync::io::streams;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::JobFailure;
use super::fault;
use super::file_streams::{self, FileReader, FileWriter};
use super::quota::{BadName, DEPTH_MAX, judge_name};
use super::state::JobState;

/// Directories that a guest lists at one time: one for each level of a walk. Each listing is memory of
/// the host.
const LISTINGS_MAX: usize = 16;

/// Where the guest's handles lead, and what of its listings is still to be read; by handle.
#[derive(Debug, Default)]
pub(super) struct Places {
    open: BTreeMap<u32, Place>,
    listings: BTreeMap<u32, VecDeque<types::DirectoryEntry>>,
}

/// Which of its two directories a guest means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    In,
    Out,
}

/// A place in the guest's file system, as named: there are no links that could lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    side: Side,
    names: Vec<String>,
}

impl Place {
    fn join(&self, path: &str) -> Self {
        let mut place = self.clone();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(place.names.pop()),
                name => place.names.push(name.to_owned()),
            }
        }
        place
    }

    /// What stands for inode and device: two runs see the same.
    fn hash(&self) -> types::MetadataHashValue {
        let mut digest = Sha256::new();
        digest.update(match self.side {
            Side::In => b"in",
            Side::Out => b"ou",
        });
        for name in &self.names {
            digest.update(b"/");
            digest.update(name);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let half = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        types::MetadataHashValue {
            lower: half(0),
            upper: half(8),
        }
    }
}

fn trap(failure: JobFailure) -> FsError {
    FsError::trap(wasmtime::Error::new(failure))
}

fn too_deep() -> FsError {
    trap(JobFailure::InvalidOutput(format!(
        "a path beneath `/out` with more than {DEPTH_MAX} names"
    )))
}

/// The times of every file: when the virtual clock started.
fn virtual_stat(mut stat: types::DescriptorStat, start: Datetime) -> types::DescriptorStat {
    let start = Some(start);
    stat.link_count = 1;
    stat.data_access_timestamp = start;
    stat.data_modification_timestamp = start;
    stat.status_change_timestamp = start;
    if stat.type_ == types::DescriptorType::Directory {
        // It depends on the file system of the host.
        stat.size = 0;
    }
    stat
}

impl JobState {
    /// Refuses, and counts it.
    fn forbid<T>(&mut self, function: &'static str, code: Code) -> FsResult<T> {
        self.deny(function);
        Err(code.into())
    }

    /// Counts what wasmtime refused: ways out of the two directories, and changes to `/in`.
    fn counted<T>(&mut self, function: &'static str, result: FsResult<T>) -> FsResult<T> {
        if let Err(error) = &result
            && let Some(Code::NotPermitted | Code::ReadOnly | Code::Access) = error.downcast_ref()
        {
            self.deny(function);
        }
        result
    }

    /// Where a handle leads. wasmtime's table has refused a handle that is not the guest's before.
    fn place(&self, fd: &Resource<Descriptor>) -> FsResult<&Place> {
        self.table.get(fd)?;
        let place = self.places.open.get(&fd.rep());
        place.ok_or_else(|| Code::BadDescriptor.into())
    }

    fn file(&self, fd: &Resource<Descriptor>) -> FsResult<(Arc<File>, bool)> {
        match self.table.get(fd)? {
            Descriptor::File(file) => {
                Ok((Arc::clone(&file.file), !file.perms.write_not_permitted()))
            }
            Descriptor::Dir(_) => Err(Code::IsDirectory.into()),
        }
    }

    fn writable_file(
        &mut self,
        function: &'static str,
        fd: &Resource<Descriptor>,
    ) -> FsResult<Arc<File>> {
        match self.file(fd)? {
            (file, true) => Ok(file),
            (_, false) => self.forbid(function, Code::NotPermitted),
        }
    }

    /// A stream that writes from `position` on, or at the end.
    fn writer(
        &mut self,
        function: &'static str,
        fd: &Resource<Descriptor>,
        position: Option<u64>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let file = self.writable_file(function, fd)?;
        let stream: DynOutputStream = Box::new(FileWriter::new(file, position, self.quota.clone()));
        Ok(self.table.push(stream)?)
    }

    /// Judges the place and name of something that is to be made. What is not beneath `/out`
    /// wasmtime refuses.
    fn judge_new(&mut self, function: &'static str, place: &Place) -> FsResult<()> {
        if place.side == Side::In {
            return Ok(());
        }
        if place.names.len() > DEPTH_MAX {
            return Err(too_deep());
        }
        let Some(name) = place.names.last() else {
            return Ok(());
        };
        match judge_name(name) {
            Ok(()) => Ok(()),
            Err(BadName::TooLong) => self.forbid(function, Code::NameTooLong),
            Err(BadName::Unprintable) => self.forbid(function, Code::IllegalByteSequence),
        }
    }

    /// What is at a path now; `None` if that cannot be told.
    fn stat_now(&mut self, fd: &Resource<Descriptor>, path: &str) -> Option<types::DescriptorStat> {
        let fd = Resource::new_borrow(fd.rep());
        let flags = types::PathFlags::empty();
        let stat =
            types::HostDescriptor::stat_at(&mut self.filesystem(), fd, flags, path.to_owned());
        stat.ok()
    }
}

impl preopens::Host for JobState {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let directories = preopens::Host::get_directories(&mut self.filesystem())?;
        for (fd, name) in &directories {
            let place = Place {
                side: if name == "/out" { Side::Out } else { Side::In },
                names: Vec::new(),
            };
            self.places.open.insert(fd.rep(), place);
        }
        Ok(directories)
    }
}

impl types::Host for JobState {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<types::ErrorCode> {
        types::Host::convert_error_code(&mut self.filesystem(), error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<streams::Error>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.filesystem(), error)
    }
}

impl types::HostDescriptor for JobState {
    fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        _: types::Filesize,
        _: types::Filesize,
        _: types::Advice,
    ) -> FsResult<()> {
        self.file(&fd).map(drop)
    }

    fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.place(&fd).map(drop)
    }

    fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.place(&fd).map(drop)
    }

    fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorFlags> {
        types::HostDescriptor::get_flags(&mut self.filesystem(), fd)
    }

    fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorType> {
        types::HostDescriptor::get_type(&mut self.filesystem(), fd)
    }

    fn set_size(&mut self, fd: Resource<Descriptor>, size: types::Filesize) -> FsResult<()> {
        let file = self.writable_file("wasi:filesystem/set-size", &fd)?;
        let before = file.metadata()?.len();
        self.quota.resize(before, size).map_err(trap)?;
        let set = types::HostDescriptor::set_size(&mut self.filesystem(), fd, size);
        if set.is_err() {
            // Back to what was counted before, which was allowed.
            self.quota.resize(size, before).map_err(trap)?;
        }
        set
    }

    fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        _: types::NewTimestamp,
        _: types::NewTimestamp,
    ) -> FsResult<()> {
        match self.place(&fd)?.side {
            Side::In => self.forbid("wasi:filesystem/set-times", Code::NotPermitted),
            Side::Out => Ok(()),
        }
    }

    fn read(
        &mut self,
        fd: Resource<Descriptor>,
        len: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        types::HostDescriptor::read(&mut self.filesystem(), fd, len, offset)
    }

    fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: types::Filesize,
    ) -> FsResult<types::Filesize> {
        let file = self.writable_file("wasi:filesystem/write", &fd)?;
        Ok(file_streams::write_at(
            &file,
            &bytes,
            Some(offset),
            &self.quota,
        )?)
    }

    /// Lists a directory by name, whatever order the file system has.
    fn read_directory(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<types::DirectoryEntryStream>> {
        if self.places.listings.len() >= LISTINGS_MAX {
            return Err(Code::InsufficientMemory.into());
        }
        let listed = types::HostDescriptor::read_directory(&mut self.filesystem(), fd)?;
        let mut entries = Vec::new();
        loop {
            let stream = Resource::new_borrow(listed.rep());
            let mut filesystem = self.filesystem();
            match types::HostDirectoryEntryStream::read_directory_entry(&mut filesystem, stream) {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => break,
                Err(error) => {
                    types::HostDirectoryEntryStream::drop(&mut filesystem, listed)
                        .map_err(FsError::trap)?;
                    return Err(error);
                }
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if self.reverse_listings {
            entries.reverse();
        }
        self.places.listings.insert(listed.rep(), entries.into());
        Ok(listed)
    }

    fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        const FUNCTION: &str = "wasi:filesystem/create-directory-at";
        let place = self.place(&fd)?.join(&path);
        self.judge_new(FUNCTION, &place)?;
        if place.side == Side::Out {
            self.quota.add_entry().map_err(trap)?;
        }
        let made = types::HostDescriptor::create_directory_at(&mut self.filesystem(), fd, path);
        if made.is_err() && place.side == Side::Out {
            self.quota.remove_entry();
        }
        self.counted(FUNCTION, made)
    }

    fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<types::DescriptorStat> {
        let start = self.clock.start();
        let stat = types::HostDescriptor::stat(&mut self.filesystem(), fd);
        stat.map(|stat| virtual_stat(stat, start))
    }

    fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        let stat = types::HostDescriptor::stat_at(&mut self.filesystem(), fd, flags, path);
        let start = self.clock.start();
        self.counted("wasi:filesystem/stat-at", stat)
            .map(|stat| virtual_stat(stat, start))
    }

    fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
        _: types::NewTimestamp,
        _: types::NewTimestamp,
    ) -> FsResult<()> {
        match self.place(&fd)?.side {
            Side::In => self.forbid("wasi:filesystem/set-times-at", Code::NotPermitted),
            Side::Out => types::HostDescriptor::stat_at(self, fd, flags, path).map(drop),
        }
    }

    fn link_at(
        &mut self,
        _: Resource<Descriptor>,
        _: types::PathFlags,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> FsResult<()> {
        self.forbid("wasi:filesystem/link-at", Code::NotPermitted)
    }

    fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        const FUNCTION: &str = "wasi:filesystem/open-at";
        let place = self.place(&fd)?.join(&path);
        let changes = types::OpenFlags::CREATE | types::OpenFlags::TRUNCATE;
        let before = if place.side == Side::Out && open_flags.intersects(changes) {
            self.stat_now(&fd, &path)
        } else {
            None
        };
        let is_new = place.side == Side::Out
            && open_flags.contains(types::OpenFlags::CREATE)
            && before.is_none();
        if is_new {
            self.judge_new(FUNCTION, &place)?;
            self.quota.add_entry().map_err(trap)?;
        }
        let mut filesystem = self.filesystem();
        let opened = types::HostDescriptor::open_at(
            &mut filesystem,
            fd,
            path_flags,
            path,
            open_flags,
            flags,
        );
        match &opened {
            Ok(opened) => {
                self.places.open.insert(opened.rep(), place);
                if let Some(before) = before
                    && before.type_ == types::DescriptorType::RegularFile
                    && open_flags.contains(types::OpenFlags::TRUNCATE)
                {
                    self.quota.resize(before.size, 0).map_err(trap)?;
                }
            }
            Err(_) if is_new => self.quota.remove_entry(),
            Err(_) => {}
        }
        self.counted(FUNCTION, opened)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.places.open.remove(&fd.rep());
        types::HostDescriptor::drop(&mut self.filesystem(), fd)
    }

    fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let link = types::HostDescriptor::readlink_at(&mut self.filesystem(), fd, path);
        self.counted("wasi:filesystem/readlink-at", link)
    }

    fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let removed = types::HostDescriptor::remove_directory_at(&mut self.filesystem(), fd, path);
        if removed.is_ok() {
            self.quota.remove_entry();
        }
        self.counted("wasi:filesystem/remove-directory-at", removed)
    }

    /// A directory never moves further down: what lies in it would outgrow the depth. The entry that
    /// a rename replaces stays counted.
    fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old_path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        const FUNCTION: &str = "wasi:filesystem/rename-at";
        let from = self.place(&fd)?.join(&old_path);
        let to = self.place(&new_fd)?.join(&new_path);
        self.judge_new(FUNCTION, &to)?;
        let directory = self
            .stat_now(&fd, &old_path)
            .is_none_or(|stat| stat.type_ == types::DescriptorType::Directory);
        if directory && to.names.len() > from.names.len() {
            return self.forbid(FUNCTION, Code::NotPermitted);
        }
        let mut filesystem = self.filesystem();
        let renamed =
            types::HostDescriptor::rename_at(&mut filesystem, fd, old_path, new_fd, new_path);
        self.counted(FUNCTION, renamed)
    }

    fn symlink_at(&mut self, fd: Resource<Descriptor>, old: String, new: String) -> FsResult<()> {
        if fault::has_hole("links") {
            return types::HostDescriptor::symlink_at(&mut self.filesystem(), fd, old, new);
        }
        self.forbid("wasi:filesystem/symlink-at", Code::NotPermitted)
    }

    fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let removed = types::HostDescriptor::unlink_file_at(&mut self.filesystem(), fd, path);
        if removed.is_ok() {
            self.quota.remove_entry();
        }
        self.counted("wasi:filesystem/unlink-file-at", removed)
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let (file, _) = self.file(&fd)?;
        let stream: DynInputStream = Box::new(FileReader::new(file, offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.writer("wasi:filesystem/write-via-stream", &fd, Some(offset))
    }

    fn append_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.writer("wasi:filesystem/append-via-stream", &fd, None)
    }

    fn is_same_object(
        &mut self,
        a: Resource<Descriptor>,
        b: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        types::HostDescriptor::is_same_object(&mut self.filesystem(), a, b)
    }

    fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<types::MetadataHashValue> {
        Ok(self.place(&fd)?.hash())
    }

    fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        let place = self.place(&fd)?.join(&path);
        types::HostDescriptor::stat_at(self, fd, flags, path)?;
        Ok(place.hash())
    }
}

impl types::HostDirectoryEntryStream for JobState {
    fn read_directory_entry(
        &mut self,
        stream: Resource<ReaddirIterator>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        self.table.get(&stream)?;
        let listing = self.places.listings.get_mut(&stream.rep());
        Ok(listing.and_then(VecDeque::pop_front))
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        self.places.listings.remove(&stream.rep());
        types::HostDirectoryEntryStream::drop(&mut self.filesystem(), stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_without_detours() {
        let out = Place {
            side: Side::Out,
            names: vec!["a".to_owned()],
        };
        let check = |path: &str, expected: &[&str]| {
            assert_eq!(out.join(path).names, expected, "{path}");
        };
        check("b/c", &["a", "b", "c"]);
        check("./b//c/", &["a", "b", "c"]);
        check("../b", &["b"]);
        check("../../../b", &["b"]);
        check(".", &["a"]);
    }

    #[test]
    fn the_hash_is_the_place() {
        let place = |side, path: &str| {
            let root = Place {
                side,
                names: Vec::new(),
            };
            let hash = root.join(path).hash();
            (hash.lower, hash.upper)
        };
        assert_eq!(place(Side::Out, "a/b"), place(Side::Out, "a/./b"));
        assert_ne!(place(Side::Out, "a/b"), place(Side::In, "a/b"));
        assert_ne!(place(Side::Out, "a/b"), place(Side::Out, "a"));
    }
}
