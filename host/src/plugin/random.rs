//! Randomness that depends on the input alone: SHA-256 in counter mode, seeded with the digest of
//! the input. Good enough for hash tables and sampling; a converter has no secrets to draw.

use sha2::{Digest, Sha256};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use super::state::JobState;

/// Bytes of one request: hash tables want 16, key generators 32; nobody needs a megabyte.
const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// A reproducible stream of bytes.
#[derive(Debug)]
pub(super) struct SeededRandom {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl SeededRandom {
    /// The stream called `name` of an input.
    pub(super) fn new(name: &str, digest: &[u8; 32]) -> Self {
        let seed = Sha256::new().chain_update(name).chain_update(digest);
        Self {
            seed: seed.finalize().into(),
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.block.len() {
                let block = Sha256::new()
                    .chain_update(self.seed)
                    .chain_update(self.counter.to_le_bytes());
                self.block = block.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > REQUEST_BYTES_MAX {
            wasmtime::bail!("{len} random bytes at once; the limit is {REQUEST_BYTES_MAX}");
        }
        let len = usize::try_from(len).expect("at most a megabyte");
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        Ok(bytes)
    }
}

impl random::Host for JobState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.random.next_u64())
    }
}

impl insecure::Host for JobState {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.insecure_random.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.insecure_random.next_u64())
    }
}

impl insecure_seed::Host for JobState {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((
            self.insecure_random.next_u64(),
            self.insecure_random.next_u64(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_depends_on_name_and_input_alone() {
        let draw = |name, digest: u8| SeededRandom::new(name, &[digest; 32]).bytes(100).unwrap();
        assert_eq!(draw("a", 1), draw("a", 1));
        assert_ne!(draw("a", 1), draw("b", 1));
        assert_ne!(draw("a", 1), draw("a", 2));
        let drawn = draw("a", 1);
        assert_ne!(drawn[..32], drawn[32..64], "no cycle");
        let mut pieces = SeededRandom::new("a", &[1; 32]);
        let pieces = [pieces.bytes(33).unwrap(), pieces.bytes(67).unwrap()].concat();
        assert_eq!(pieces, drawn, "the size of a request does not matter");
    }

    #[test]
    fn a_request_is_bounded() {
        let mut random = SeededRandom::new("a", &[0; 32]);
        assert_eq!(random.bytes(REQUEST_BYTES_MAX).unwrap().len(), 1 << 20);
        assert!(random.bytes(REQUEST_BYTES_MAX + 1).is_err());
    }
}
