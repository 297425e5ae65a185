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
