//! How values are spread, for quantiles of one's own: DDSketch (Masson, Rim and Lee, VLDB 2019) over whole units, with the
//! logarithm interpolated linearly between powers of two, as the authors' fast variant does, so that the bin of a value is
//! found by its bits and is the same on every target.
//!
//! The state must be a function of the multiset of values alone, whatever the order of arrival and however it was merged:
//! counts are whole, and what happens at the limit ([`BINS_KEPT`]) depends on which bins were ever met, not on when.

use crate::codec::{Reader, Result, Writer};
use crate::time::Micros;

/// Bins kept. Beyond it the lowest ones become one (the paper's rule), so that high quantiles keep their error: the bins kept
/// are the highest [`BINS_KEPT`] ever met, and all that was lower counts in the lowest of them.
pub const BINS_KEPT: usize = 256;

/// Bits of the magnitude within a power of two: 64 bins each.
const WITHIN: u32 = 6;

/// Largest relative error: a bin's upper end over a value within it is at most `1 + 1/64`. Whole values below 128 are exact.
pub const RELATIVE_ERROR: f64 = 1.0 / (1u32 << WITHIN) as f64;

/// Greatest number of a bin: that of 2^127 - 1.
const BIN_MAX: i32 = ((126 - WITHIN as i32) << WITHIN) + (2 << WITHIN) - 1;

/// The newest value, in the order in which `last` is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newest {
    /// [`crate::event::Event::happened_at`].
    pub at: Micros,
    /// [`crate::event::Event::rank`].
    pub rank: u64,
    /// The value, in units.
    pub units: i128,
}

/// Counts of values by bin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch {
    /// Bin and count, ascending, no count zero, at most [`BINS_KEPT`].
    bins: Vec<(i32, u64)>,
    /// The newest value, where it is to be left out.
    newest: Option<Box<Newest>>,
}

/// The bin of a value: 0 for zero, positive for values above it; ascending with the value.
pub fn bin_of(units: i128) -> i32 {
    let magnitude = units.unsigned_abs().min(i128::MAX as u128);
    let bin = match 127 - magnitude.leading_zeros() as i32 {
        top if top <= WITHIN as i32 => magnitude as i32,
        top => {
            let shift = top - WITHIN as i32;
            (shift << WITHIN) + (magnitude >> shift) as i32
        }
    };
    if units < 0 { -bin } else { bin }
}

/// The greatest value of a bin.
pub(super) fn upper_end(bin: i32) -> i128 {
    let lowest = |bin: i32| -> i128 {
        match (bin >> WITHIN) - 1 {
            shift if shift <= 0 => i128::from(bin),
            shift => i128::from(bin - (shift << WITHIN)) << shift,
        }
    };
    match bin {
        0 => 0,
        bin if bin < 0 => -lowest(-bin),
        bin if bin >= BIN_MAX => i128::MAX,
        bin => lowest(bin + 1) - 1,
    }
}

impl Sketch {
    /// One value, which may be told as the newest.
    pub fn of(units: i128, newest: Option<Newest>) -> Self {
        Self {
            bins: vec![(bin_of(units), 1)],
            newest: newest.map(Box::new),
        }
    }

    /// Adds another sketch.
    pub fn merge(&mut self, other: &Self) {
        for (bin, count) in &other.bins {
            match self.bins.binary_search_by_key(bin, |(b, _)| *b) {
                Ok(place) => self.bins[place].1 = self.bins[place].1.saturating_add(*count),
                Err(place) => self.bins.insert(place, (*bin, *count)),
            }
        }
        if let Some(over) = self.bins.len().checked_sub(BINS_KEPT).filter(|n| *n > 0) {
            let lower = self.bins.drain(..over).map(|(_, n)| n);
            let lower = lower.fold(0u64, u64::saturating_add);
            self.bins[0].1 = self.bins[0].1.saturating_add(lower);
        }
        if other.newest > self.newest {
            self.newest.clone_from(&other.newest);
        }
    }

    /// Number of values, all of them.
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(0, |n, (_, c)| n.saturating_add(*c))
    }

    /// Bins in use.
    pub fn bins(&self) -> usize {
        self.bins.len()
    }

    /// The `millionths` quantile by nearest rank (the value of rank `ceil(q n)`, at least the first) of all values, or, where the
    /// newest is told, of all but the newest: the upper end of its bin, so that what is greater than this is truly greater than
    /// the quantile. None without a value.
    pub fn quantile(&self, millionths: u32) -> Option<i128> {
        // The newest counts in its own bin, or in the lowest when that was made one with lower ones.
        let left_out = (self.newest.as_ref())
            .zip(self.bins.first())
            .map(|(newest, (lowest, _))| bin_of(newest.units).max(*lowest));
        let n = self.count().checked_sub(u64::from(left_out.is_some()))?;
        if n == 0 {
            return None;
        }
        let share = u128::from(millionths.min(1_000_000)) * u128::from(n);
        let rank = share.div_ceil(1_000_000).max(1);
        let mut below = 0u128;
        for (bin, count) in &self.bins {
            below += u128::from(*count) - u128::from(left_out == Some(*bin));
            if below >= rank {
                return Some(upper_end(*bin));
            }
        }
        None
    }

    /// Appends the sketch: bins twice, with one more when the newest is told; each bin's step and count; the newest.
    pub(super) fn write(&self, w: &mut Writer, base: Micros) {
        w.uint((self.bins.len() as u64) << 1 | u64::from(self.newest.is_some()));
        let mut before = 0i32;
        for (bin, count) in &self.bins {
            w.int(i64::from(*bin) - i64::from(before));
            before = *bin;
            w.uint(*count);
        }
        if let Some(newest) = &self.newest {
            w.int(newest.at.0.wrapping_sub(base.0));
            w.raw(&newest.rank.to_le_bytes());
            w.int128(newest.units);
        }
    }

    /// Reads what [`Sketch::write`] wrote.
    pub(super) fn read(r: &mut Reader<'_>, base: Micros) -> Result<Self> {
        let head = r.uint()?;
        let n = (head >> 1) as usize;
        if n == 0 || n > BINS_KEPT {
            return Err(r.malformed("1 to 256 bins"));
        }
        let mut bins: Vec<(i32, u64)> = Vec::with_capacity(n);
        let mut before = 0i64;
        for i in 0..n {
            let bin = before.saturating_add(r.int()?);
            let is_far = bin.unsigned_abs() > u64::from(BIN_MAX.unsigned_abs());
            if is_far || (i > 0 && bin <= before) {
                return Err(r.malformed("bins in ascending order"));
            }
            before = bin;
            let count = r.uint()?;
            if count == 0 {
                return Err(r.malformed("a count above zero"));
            }
            bins.push((bin as i32, count));
        }
        let mut newest = None;
        if head & 1 == 1 {
            let told = Newest {
                at: Micros(r.int()?.wrapping_add(base.0)),
                rank: u64::from_le_bytes(r.array()?),
                units: r.int128()?,
            };
            let bin = bin_of(told.units).max(bins[0].0);
            if bins.binary_search_by_key(&bin, |(b, _)| *b).is_err() {
                return Err(r.malformed("a newest value that was counted"));
            }
            newest = Some(Box::new(told));
        }
        Ok(Self { bins, newest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = i128> {
        prop_oneof![
            (-200i128..200),
            any::<i64>().prop_map(i128::from),
            (0u32..120, 0i128..128).prop_map(|(shift, m)| m << shift.min(119)),
            Just(i128::MAX),
            Just(i128::MIN),
        ]
    }

    #[test]
    fn a_bin_beyond_all_bounds_is_refused() {
        for bin in [i64::MIN, i64::MAX, i64::from(BIN_MAX) + 1] {
            let mut w = Writer::default();
            w.uint(2);
            w.int(bin);
            w.uint(1);
            let bytes = w.into_bytes();
            assert!(Sketch::read(&mut Reader::new(&bytes), Micros(0)).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bin_and_the_upper_end_is_near(a in value(), b in value()) {
            prop_assert!(bin_of(a).abs() <= BIN_MAX);
            prop_assert_eq!(a.cmp(&b) == core::cmp::Ordering::Less && bin_of(a) > bin_of(b), false);
            let end = upper_end(bin_of(a));
            prop_assert!(end >= a || a == i128::MIN);
            let over = (end - a.max(-i128::MAX)) as f64;
            prop_assert!(over <= RELATIVE_ERROR * a.unsigned_abs() as f64, "{a} in a bin up to {end}");
            // The end is of the bin, and one more is not.
            prop_assert_eq!(bin_of(end), bin_of(a));
            prop_assert!(end == i128::MAX || bin_of(end + 1) == bin_of(a) + 1);
        }

        #[test]
        fn any_order_and_any_cut_give_the_same_sketch(
            (values, shuffled) in proptest::collection::vec(value(), 1..400)
                .prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
            cut in 1usize..50,
        ) {
            let one = |v: &i128| Sketch::of(*v, Some(Newest { at: Micros((*v % 7) as i64), rank: (*v % 5) as u64, units: *v }));
            let all = |values: &[i128]| {
                let mut out = one(&values[0]);
                values[1..].iter().for_each(|v| out.merge(&one(v)));
                out
            };
            let whole = all(&values);
            let mut parts: Vec<Sketch> = shuffled.chunks(cut).map(all).collect();
            while let Some(last) = parts.pop() {
                match parts.first_mut() {
                    Some(first) => first.merge(&last),
                    None => prop_assert_eq!(&last, &whole),
                }
            }
            prop_assert_eq!(whole.count(), values.len() as u64);
            let mut w = Writer::default();
            whole.write(&mut w, Micros(9));
            let bytes = w.into_bytes();
            prop_assert_eq!(Sketch::read(&mut Reader::new(&bytes), Micros(9)), Ok(whole));
        }

        #[test]
        fn a_quantile_is_never_understated_and_within_the_error(
            values in proptest::collection::vec(1i128..100_000_000, 1..300), millionths in 1u32..=1_000_000
        ) {
            let mut sketch = Sketch::of(values[0], None);
            values[1..].iter().for_each(|v| sketch.merge(&Sketch::of(*v, None)));
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = (u64::from(millionths) as usize * sorted.len()).div_ceil(1_000_000).max(1);
            let (exact, found) = (sorted[rank - 1], sketch.quantile(millionths).unwrap());
            prop_assert!(found >= exact);
            // Of what was made one with higher bins only the first half of the statement holds.
            let distinct: std::collections::BTreeSet<i32> = values.iter().map(|v| bin_of(*v)).collect();
            if distinct.len() <= BINS_KEPT {
                prop_assert!((found - exact) as f64 <= RELATIVE_ERROR * exact as f64);
            }
        }
    }

    #[test]
    fn the_newest_is_left_out_and_what_repeats_is_not_above_itself() {
        let told = |at: i64, units: i128| {
            Sketch::of(
                units,
                Some(Newest {
                    at: Micros(at),
                    rank: 1,
                    units,
                }),
            )
        };
        let mut sketch = told(0, 1_000_000);
        assert_eq!(sketch.quantile(900_000), None);
        for at in 1..20 {
            sketch.merge(&told(at, 1_000_000));
        }
        let usual = sketch.quantile(900_000).unwrap();
        assert!((1_000_000..=1_015_625).contains(&usual), "{usual}");
        // One that is far above does not move its own measure; an older one that comes late does.
        sketch.merge(&told(30, 90_000_000));
        assert_eq!(sketch.quantile(1_000_000).unwrap(), usual);
        sketch.merge(&told(25, 50_000_000));
        assert!(sketch.quantile(1_000_000).unwrap() >= 50_000_000);
    }

    #[test]
    fn beyond_the_limit_the_lowest_become_one() {
        let values: Vec<i128> = (0..400).map(|i| i128::from(1u32) << (i / 8 + 8)).collect();
        let values: Vec<i128> = values
            .iter()
            .enumerate()
            .map(|(i, v)| v + (v >> 3) * (i as i128 % 8))
            .collect();
        let mut sketch = Sketch::of(values[0], None);
        values[1..]
            .iter()
            .for_each(|v| sketch.merge(&Sketch::of(*v, None)));
        assert_eq!((sketch.bins(), sketch.count()), (BINS_KEPT, 400));
        let high = sketch.quantile(900_000).unwrap();
        assert!(high >= values[359] && (high - values[359]) * 64 <= values[359]);
        // What is lower than the bins kept is told as the lowest of them.
        assert_eq!(sketch.quantile(1), Some(upper_end(bin_of(values[144]))));
    }

    #[test]
    fn damaged_sketches_are_refused() {
        let read = |bytes: &[u8]| Sketch::read(&mut Reader::new(bytes), Micros(0));
        assert!(read(&[0]).is_err());
        assert!(read(&[2, 4, 0]).is_err(), "a count of zero");
        assert!(read(&[4, 4, 1, 0, 1]).is_err(), "a bin twice");
        assert!(
            read(&[3, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8]).is_err(),
            "a newest value in no bin"
        );
        assert!(read(&[2, 4, 1]).is_ok());
    }
}
