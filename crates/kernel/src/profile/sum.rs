//! Exact sums: 128-bit fixed point with a count. Integers, money, durations and booleans are summed in whole units, numbers in
//! quanta of 1e-9 ([`crate::value::to_quanta`]), so a sum does not depend on the order of its parts. It never saturates.

use crate::codec::{Reader, Result, Writer};

/// A sum and how many values are in it. A sum beyond 128 bits is lost and stays so (at the largest allowed number that
/// takes 10^11 values).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    // Two words in place of an i128, whose alignment would make every state of a profile a third larger.
    high: i64,
    low: u64,
    count: u64,
    lost: bool,
}

impl Sum {
    /// Nothing summed.
    pub const ZERO: Self = Self {
        high: 0,
        low: 0,
        count: 0,
        lost: false,
    };

    /// One value.
    pub fn of(units: i128) -> Self {
        Self::from_parts(Some(units), 1)
    }

    fn from_parts(units: Option<i128>, count: u64) -> Self {
        let whole = units.unwrap_or(0);
        Self {
            high: (whole >> 64) as i64,
            low: whole as u64,
            count,
            lost: units.is_none(),
        }
    }

    /// The sum in units; none when it was lost to overflow.
    pub fn units(&self) -> Option<i128> {
        (!self.lost).then_some((i128::from(self.high) << 64) | i128::from(self.low))
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds one value.
    pub fn add(&mut self, units: i128) {
        self.merge(&Self::of(units));
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        let units = (self.units())
            .zip(other.units())
            .and_then(|(a, b)| a.checked_add(b));
        *self = Self::from_parts(units, self.count.saturating_add(other.count));
    }

    /// Appends the sum: a flag (0 fits 64 bits, 1 takes 128, 2 lost), the units, the count.
    pub(super) fn write(&self, w: &mut Writer) {
        match self.units() {
            Some(units) => w.int128(units),
            None => w.u8(2),
        }
        w.uint(self.count);
    }

    /// Reads what [`Sum::write`] wrote.
    #[inline]
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self> {
        let units = match r.u8()? {
            0 => {
                let units = r.int()?;
                let count = r.uint()?;
                return Ok(Self {
                    high: units >> 63,
                    low: units as u64,
                    count,
                    lost: false,
                });
            }
            1 => Some(i128::from_le_bytes(r.array()?)),
            2 => None,
            _ => return Err(r.malformed("a sum flag of 0 to 2")),
        };
        Ok(Self::from_parts(units, r.uint()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_beyond_128_bits_is_lost_and_stays_lost() {
        let mut sum = Sum::of(i128::MAX);
        assert_eq!(sum.units(), Some(i128::MAX));
        sum.add(1);
        assert_eq!((sum.units(), sum.count()), (None, 2));
        sum.add(-5);
        assert_eq!((sum.units(), sum.count()), (None, 3));
        let mut w = Writer::default();
        sum.write(&mut w);
        let bytes = w.into_bytes();
        assert_eq!(Sum::read(&mut Reader::new(&bytes)), Ok(sum));
    }

    #[test]
    fn negative_sums_keep_their_sign() {
        for units in [-1, i128::MIN, -(1i128 << 64), (1i128 << 64) - 1, 0] {
            assert_eq!(Sum::of(units).units(), Some(units));
        }
    }
}
