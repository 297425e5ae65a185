//! Seeds, and the long runs of the rigs.
//!
//! A rig has a test that samples, and `torture_…`, ignored by default, which goes on with fresh
//! seeds until its time is used and prints one line `covered: …`. The seed of a failure is printed;
//! `KBHOST_TEST_SEED` repeats it.

use std::time::{Duration, Instant};

/// The seed of a test that was given none: the same cases in each run.
const TEST_SEED: u64 = 1;

/// The seed and the time of a long run.
#[derive(Clone, Copy, Debug)]
pub struct Torture {
    /// What the first seeds are derived from.
    pub seed: u64,
    /// When to begin no further case.
    pub deadline: Instant,
}

impl Torture {
    /// What `KBHOST_TORTURE_SEED` and `KBHOST_TORTURE_MINUTES` (of this rig, a fraction is fine)
    /// ask for; `None` without them.
    pub fn from_env() -> Option<Self> {
        let seed = variable("KBHOST_TORTURE_SEED")?;
        let minutes: f64 = variable("KBHOST_TORTURE_MINUTES")?;
        Some(Self {
            seed,
            deadline: Instant::now() + Duration::from_secs_f64(minutes * 60.0),
        })
    }

    /// Whether there is time for another case.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Tells what the run did, on the stream that `cargo xtask torture` reads.
    pub fn covered(&self, what: &str) {
        use std::io::Write as _;
        let line = format!("covered: {what} (seed {})\n", self.seed);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

/// The seed of a sampling test: `KBHOST_TEST_SEED`, or always the same.
pub fn test_seed() -> u64 {
    variable("KBHOST_TEST_SEED").unwrap_or(TEST_SEED)
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    match value.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name} is no number: {value}"),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0. The bias of the remainder is of no account here.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("it is below a usize")
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        // 53 bits: as many as a float tells apart.
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        unit < p
    }
}

#[test]
fn a_seed_gives_the_numbers_of_splitmix64() {
    let mut rng = Rng::new(1_234_567);
    assert_eq!(rng.next(), 6_457_827_717_110_365_317);
    assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    assert!((0..100).all(|_| rng.below(3) < 3));
    let heads = (0..10_000).filter(|_| rng.chance(0.25)).count();
    assert!((2_200..2_800).contains(&heads), "{heads}");
}
