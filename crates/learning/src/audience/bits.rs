//! Sets of rows as bits.

/// A set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(pub(super) Vec<u64>);

impl Bits {
    /// Rows below `count` for which `of` is true.
    pub(super) fn of(count: usize, of: impl Fn(usize) -> bool) -> Self {
        let mut words = vec![0u64; count.div_ceil(64)];
        for row in (0..count).filter(|row| of(*row)) {
            words[row / 64] |= 1 << (row % 64);
        }
        Self(words)
    }

    pub(super) fn has(&self, row: usize) -> bool {
        self.0[row / 64] >> (row % 64) & 1 == 1
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & !b).collect())
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// How many rows are in both.
    pub(super) fn common(&self, other: &Self) -> u64 {
        let words = self.0.iter().zip(&other.0);
        words.map(|(a, b)| u64::from((a & b).count_ones())).sum()
    }

    /// How many rows of two sets are in both others as well.
    pub(super) fn common_of(&self, other: &Self, first: &Self, second: &Self) -> (u64, u64) {
        let words = self
            .0
            .iter()
            .zip(&other.0)
            .zip(first.0.iter().zip(&second.0));
        words.fold((0, 0), |sum, ((a, b), (first, second))| {
            let both = a & b;
            (
                sum.0 + u64::from((both & first).count_ones()),
                sum.1 + u64::from((both & second).count_ones()),
            )
        })
    }
}
