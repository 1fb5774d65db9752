//! What factors are trained from: items with their features, examples with the customer's features, and their division by
//! time. It must never put an example before another of an earlier time.

use super::Error;
use std::collections::BTreeSet;

/// Share of examples, in order of time, that are learned from, in tenths; a tenth then says when to stop.
const TRAINED_TENTHS: usize = 8;

/// Rows of few numbers that are not zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sparse {
    ends: Vec<usize>,
    positions: Vec<u32>,
    values: Vec<f32>,
}

impl Sparse {
    /// Adds a row: positions with their values.
    pub fn push(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        for (position, value) in row {
            self.positions.push(position);
            self.values.push(value as f32);
        }
        self.ends.push(self.positions.len());
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Positions and values of a row; nothing past the last.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let end = self.ends.get(row).copied().unwrap_or(0);
        let start = match row.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(end),
            None => 0,
        };
        (self.positions[start.min(end)..end].iter())
            .zip(&self.values[start.min(end)..end])
            .map(|(p, v)| (*p as usize, *v))
    }

    /// The first row that names a position from `positions` on, or holds a number that is not finite or too large.
    fn unsound(&self, positions: usize) -> Option<usize> {
        let wrong = (self.positions.iter().zip(&self.values))
            .position(|(p, v)| *p as usize >= positions || v.is_nan() || v.abs() > 1e6)?;
        Some(self.ends.partition_point(|end| *end <= wrong))
    }
}

/// Items that may be chosen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Items {
    /// Positions of an item's features.
    pub positions: usize,
    /// Keys, ascending.
    pub keys: Vec<String>,
    /// Features, a row an item.
    pub features: Sparse,
}

impl Items {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some(i) = self.keys.windows(2).position(|k| k[0] >= k[1]) {
            let why = "its key does not come after the one before it";
            return Err(Error::Item { item: i + 1, why });
        }
        if self.features.len() != self.len() {
            let item = self.features.len().min(self.len());
            let why = "there must be one row of features an item";
            return Err(Error::Item { item, why });
        }
        match self.features.unsound(self.positions) {
            Some(item) => Err(Error::Item {
                item,
                why: "a feature of a position that is not there, or not within a million",
            }),
            None => Ok(()),
        }
    }
}

/// What customers chose, one place an example in every list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Examples {
    /// Positions of the customer's features.
    pub positions: usize,
    /// The customer's features, as they were before she chose.
    pub features: Sparse,
    /// Whose, by any number.
    pub owners: Vec<u64>,
    /// What was chosen: an index into [`Items::keys`].
    pub items: Vec<u32>,
    /// How much it counts, above zero.
    pub weights: Vec<f32>,
    /// When, microseconds since 1970.
    pub at: Vec<i64>,
    /// Which kind of event it was, by any number. Those of the largest weight are what is reported on.
    pub sources: Vec<u16>,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True without examples.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of different customers.
    pub fn customers(&self) -> usize {
        self.owners.iter().collect::<BTreeSet<_>>().len()
    }

    pub(super) fn check(&self, items: usize) -> Result<(), Error> {
        let lengths = [
            self.features.len(),
            self.owners.len(),
            self.weights.len(),
            self.at.len(),
            self.sources.len(),
        ];
        let wrong = |example, why| Err(Error::Example { example, why });
        if let Some(other) = lengths.iter().find(|l| **l != self.len()) {
            return wrong(
                *other.min(&self.len()),
                "the lists are of different lengths",
            );
        }
        if let Some(e) = self.items.iter().position(|i| *i as usize >= items) {
            return wrong(e, "there is no such item");
        }
        let is_weight = |w: &f32| *w > 0.0 && *w <= 1e6;
        if let Some(e) = self.weights.iter().position(|w| !is_weight(w)) {
            return wrong(e, "a weight is above zero and at most a million");
        }
        match self.features.unsound(self.positions) {
            Some(e) => wrong(
                e,
                "a feature of a position that is not there, or not within a million",
            ),
            None => Ok(()),
        }
    }
}

/// Examples divided by time, each part in order of time.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) trained: Vec<u32>,
    pub(super) watched: Vec<u32>,
    pub(super) held_out: Vec<u32>,
    /// Where the second and the third part begin.
    pub(super) at: (i64, i64),
}

impl Split {
    pub(super) fn new(examples: &Examples) -> Result<Self, Error> {
        let mut order: Vec<u32> = (0..examples.len() as u32).collect();
        order.sort_by_key(|e| (examples.at[*e as usize], *e));
        let at = |tenths: usize| {
            let place = (order.len() * tenths / 10).min(order.len().saturating_sub(1));
            order.get(place).map_or(0, |e| examples.at[*e as usize])
        };
        // Those of one time stay together.
        let at = (at(TRAINED_TENTHS), at(TRAINED_TENTHS + 1));
        let from = |time: i64| order.partition_point(|e| examples.at[*e as usize] < time);
        let (first, second) = (from(at.0), from(at.1));
        if first == 0 || first == second || second == order.len() {
            return Err(Error::OneMoment {
                examples: order.len(),
                before: first,
            });
        }
        Ok(Self {
            trained: order[..first].to_vec(),
            watched: order[first..second].to_vec(),
            held_out: order[second..].to_vec(),
            at,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        (self
            .trained
            .iter()
            .chain(&self.watched)
            .chain(&self.held_out))
        .copied()
    }

    /// The kinds of events of the largest weight before the held-out time.
    pub(super) fn heaviest(&self, examples: &Examples) -> BTreeSet<u16> {
        let weight = |e: &u32| examples.weights[*e as usize];
        let seen = || self.trained.iter().chain(&self.watched);
        let most = seen().map(weight).fold(0.0, f32::max);
        (seen().filter(|e| weight(e) == most))
            .map(|e| examples.sources[*e as usize])
            .collect()
    }
}
