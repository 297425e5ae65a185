//! The memory limit: the sum of all linear memories and tables of a store, initial sizes counted.
//! wasmtime's own limiter holds each memory to the limit apart, so two memories get twice of it.

use wasmtime::ResourceLimiter;

/// Core instances of one component: the module, its adapters and shims; composed components more.
const INSTANCES_MAX: usize = 64;

/// Tables of one component: about one for each instance.
const TABLES_MAX: usize = 64;

/// Linear memories of one component; a composed component has a few.
const MEMORIES_MAX: usize = 16;

/// What a table entry takes in the host: a pointer.
const TABLE_ENTRY_BYTES: u64 = size_of::<usize>() as u64;

/// Counts the memory of one store.
///
/// A growth that was granted and then failed in the host stays counted: wasmtime reports failures
/// that were never asked for in the same way, so giving back would let a guest lower the count.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    limit: u64,
    used: u64,
    refused: bool,
}

impl MemoryMeter {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            refused: false,
        }
    }

    /// Largest sum so far, bytes. Memories and tables never shrink.
    pub(super) fn peak(&self) -> u64 {
        self.used
    }

    /// Whether the guest ever asked for more than the limit, or than the machine has.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// Grants or refuses one growth. One beyond the memory's own maximum fails in any case and is
    /// not counted.
    fn grow(&mut self, current: u64, desired: u64, maximum: Option<u64>) -> bool {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = true;
            return false;
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        self.used = used;
        true
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(
            current as u64,
            desired as u64,
            maximum.map(|bytes| bytes as u64),
        ))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |entries: usize| (entries as u64).saturating_mul(TABLE_ENTRY_BYTES);
        Ok(self.grow(bytes(current), bytes(desired), maximum.map(bytes)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_limit() {
        let mut meter = MemoryMeter::new(1_000);
        assert!(meter.memory_growing(0, 600, None).unwrap());
        assert!(
            !meter.memory_growing(0, 600, None).unwrap(),
            "a second memory"
        );
        assert!(meter.refused());
        assert!(meter.memory_growing(600, 900, None).unwrap());
        assert!(
            !meter.table_growing(0, 100, None).unwrap(),
            "800 bytes of table"
        );
        assert!(meter.table_growing(0, 12, None).unwrap());
        assert_eq!(meter.peak(), 996);
    }

    #[test]
    fn a_failure_gives_nothing_back() {
        let mut meter = MemoryMeter::new(1_000);
        assert!(meter.memory_growing(0, 800, None).unwrap());
        meter
            .memory_grow_failed(wasmtime::Error::msg("overflow"))
            .unwrap();
        assert!(meter.refused());
        assert!(!meter.memory_growing(0, 800, None).unwrap());
    }

    #[test]
    fn the_own_maximum_of_a_memory_is_no_refusal_of_ours() {
        let mut meter = MemoryMeter::new(1_000);
        assert!(!meter.memory_growing(0, 500, Some(400)).unwrap());
        assert!(!meter.refused());
        assert_eq!(meter.peak(), 0);
        assert!(!meter.memory_growing(0, 5_000, Some(400)).unwrap());
        assert!(meter.refused());
    }
}
