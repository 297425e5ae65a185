//! Numbers that look random and are the same everywhere.

/// A generator: SplitMix64, which any seed suits.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of a case: cases next to each other have nothing in common.
    pub(crate) fn of_case(seed: u64, case: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ case);
        let start = random.next() ^ random.next().rotate_left(17);
        Self(start)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        match end as u64 {
            0 => 0,
            end => (self.next() % end) as usize,
        }
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// From `from` on and less than `to`.
    pub(crate) fn float(&mut self, from: f32, to: f32) -> f32 {
        let share = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
        from + share * (to - from)
    }

    /// One of several.
    pub(crate) fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

#[test]
fn a_case_is_the_same_again_and_unlike_the_next() {
    let numbers = |seed, case| {
        let mut random = Random::of_case(seed, case);
        [random.next(), random.next(), random.next()]
    };
    assert_eq!(numbers(1, 2), numbers(1, 2));
    assert_ne!(numbers(1, 2), numbers(1, 3));
    assert_ne!(numbers(1, 2), numbers(2, 2));
    let mut random = Random::of_case(5, 5);
    for _ in 0..1_000 {
        assert!((2.0..3.0).contains(&random.float(2.0, 3.0)) && random.below(7) < 7);
    }
}
