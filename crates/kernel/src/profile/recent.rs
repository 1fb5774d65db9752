//! The latest acts of a customer, in the order in which they happened: what a model of her intention reads.
//!
//! The state must be a function of what happened alone: acts are ordered by the time they happened, then the event's rank, then the
//! word, so the latest so many of a union are the latest of the latest of its parts.

use crate::codec::{Reader, Result, Writer};
use crate::plan::tag::SEQUENCE_MAX;
use crate::time::Micros;

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Act {
    /// [`crate::event::Event::happened_at`].
    pub at: Micros,
    /// [`crate::event::Event::rank`].
    pub rank: u64,
    /// Number of the word.
    pub word: u8,
}

/// The latest acts, ascending, at most [`SEQUENCE_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    kept: Vec<Act>,
}

impl Recent {
    /// One act.
    pub fn of(act: Act) -> Self {
        Self { kept: vec![act] }
    }

    /// Adds one act and keeps the latest `keep`.
    pub fn add(&mut self, act: Act, keep: usize) {
        let place = self.kept.partition_point(|a| *a <= act);
        self.kept.insert(place, act);
        if self.kept.len() > keep.max(1) {
            self.kept.remove(0);
        }
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self, keep: usize) {
        for act in &other.kept {
            self.add(*act, keep);
        }
    }

    /// The acts, oldest first.
    pub fn acts(&self) -> &[Act] {
        &self.kept
    }

    /// Appends the acts: how many, then each with its time after the one before.
    pub(super) fn write(&self, w: &mut Writer, base: Micros) {
        w.uint(self.kept.len() as u64);
        let mut before = base;
        for act in &self.kept {
            w.int(act.at.0.wrapping_sub(before.0));
            before = act.at;
            w.raw(&act.rank.to_le_bytes());
            w.u8(act.word);
        }
    }

    /// Reads what [`Recent::write`] wrote.
    pub(super) fn read(r: &mut Reader<'_>, base: Micros) -> Result<Self> {
        let n = r.count(10)?;
        if n == 0 || n > SEQUENCE_MAX {
            return Err(r.malformed("1 to 32 acts"));
        }
        let mut kept: Vec<Act> = Vec::with_capacity(n);
        let mut before = base;
        for _ in 0..n {
            let act = Act {
                at: Micros(before.0.wrapping_add(r.int()?)),
                rank: u64::from_le_bytes(r.array()?),
                word: r.u8()?,
            };
            if kept.last().is_some_and(|last| *last > act) {
                return Err(r.malformed("acts in ascending order"));
            }
            before = act.at;
            kept.push(act);
        }
        Ok(Self { kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn act() -> impl Strategy<Value = Act> {
        (0i64..20, 0u64..3, 0u8..4).prop_map(|(at, rank, word)| Act {
            at: Micros(at),
            rank,
            word,
        })
    }

    proptest! {
        #[test]
        fn the_latest_of_a_union_are_kept_in_any_order_and_any_cut(
            (acts, shuffled) in proptest::collection::vec(act(), 1..80)
                .prop_flat_map(|a| (Just(a.clone()), Just(a).prop_shuffle())),
            keep in 1usize..=SEQUENCE_MAX, cut in 1usize..20,
        ) {
            let mut whole = Recent::default();
            acts.iter().for_each(|a| whole.add(*a, keep));
            let mut sorted = acts.clone();
            sorted.sort();
            prop_assert_eq!(whole.acts(), &sorted[sorted.len().saturating_sub(keep)..]);
            let mut merged = Recent::default();
            for part in shuffled.chunks(cut) {
                let mut one = Recent::default();
                part.iter().for_each(|a| one.add(*a, keep));
                merged.merge(&one, keep);
            }
            prop_assert_eq!(&merged, &whole);
            let mut w = Writer::default();
            whole.write(&mut w, Micros(5));
            let bytes = w.into_bytes();
            prop_assert_eq!(Recent::read(&mut Reader::new(&bytes), Micros(5)), Ok(whole));
        }
    }

    #[test]
    fn damaged_sequences_are_refused() {
        let mut w = Writer::default();
        let mut recent = Recent::default();
        for at in 0..3 {
            let act = Act {
                at: Micros(at),
                rank: 0,
                word: 0,
            };
            recent.add(act, 8);
        }
        recent.write(&mut w, Micros(0));
        let mut bytes = w.into_bytes();
        assert!(Recent::read(&mut Reader::new(&bytes[..20]), Micros(0)).is_err());
        // The last one a second earlier than the one before it.
        bytes[1 + 20] = 3;
        assert!(Recent::read(&mut Reader::new(&bytes), Micros(0)).is_err());
        assert!(Recent::read(&mut Reader::new(&[0]), Micros(0)).is_err());
    }
}
