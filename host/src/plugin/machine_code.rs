//! Compiled components as bytes, and the one place where bytes become code that runs with all rights of
//! the process.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this program made: what [`Engine::precompile_component`] returned, unchanged.
///
/// Invariant: a value is made only by who can vouch for that: `compile`, from this process or a child
/// of this program, and `cache`, from an entry that a key private to this user sealed.
pub(super) struct MachineCode(Vec<u8>);

impl MachineCode {
    /// The caller vouches for `bytes`, as the invariant says.
    pub(super) fn vouched_for(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Loads it.
    ///
    /// # Errors
    /// If it is of another version or configuration of the engine.
    #[expect(
        unsafe_code,
        reason = "the bytes are this program's own output: compiled by it and kept in memory or under \
                  a seal that only this user can make"
    )]
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: by the invariant the bytes are what `Engine::precompile_component` returned,
        // unchanged, and they are in memory that nobody else writes to. wasmtime itself refuses code
        // of another version or configuration of the engine.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}

/// [`MachineCode`] in an anonymous file of this process that is sealed against writing for good: it is
/// mapped instead of being copied.
#[cfg(target_os = "linux")]
pub(super) struct MachineCodeFile(std::fs::File);

#[cfg(target_os = "linux")]
impl MachineCodeFile {
    /// The caller vouches for what is in `file` as for [`MachineCode`], and for its seals.
    pub(super) fn vouched_for(file: std::fs::File) -> Self {
        Self(file)
    }

    /// Loads it.
    ///
    /// # Errors
    /// If it is of another version or configuration of the engine, or cannot be mapped.
    #[expect(
        unsafe_code,
        reason = "as for `MachineCode`: this user's seal was verified over the very file, after it \
                  was closed to writers"
    )]
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        use std::os::fd::AsRawFd as _;
        // wasmtime opens it by name only; the name of an open file is that file's alone.
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        // SAFETY: by the invariant the file holds what `Engine::precompile_component` returned,
        // unchanged, and nobody can write to it or cut it, now or while it is mapped. wasmtime itself
        // refuses code of another version or configuration of the engine.
        unsafe { Component::deserialize_file(engine, path) }
    }
}
