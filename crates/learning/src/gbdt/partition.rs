//! The rows of each leaf, in one list: a leaf's rows lie together, in the order of the data. This room must never know why a row
//! goes where it goes.

use std::ops::Range;

use super::data::{Binned, LANES};
use super::split::LeftBins;

/// The answers of a split for all bins of its column: true at those that go left.
#[derive(Debug)]
pub(super) enum Goes {
    /// Of a column that is held in bytes: its block and lane.
    Narrow {
        block: usize,
        lane: usize,
        answers: Box<[bool; 256]>,
    },
    /// Of a wide column: its place among them.
    Wide { column: usize, answers: Vec<bool> },
}

impl Goes {
    /// The answers of a split by the column at `position`.
    pub(super) fn of(data: &Binned, position: usize, left_bins: &LeftBins) -> Self {
        let shape = &data.shape;
        match left_bins {
            LeftBins::Narrow(bits) => Self::Narrow {
                block: position / LANES,
                lane: position % LANES,
                answers: Box::new(std::array::from_fn(|bin| {
                    bits[bin / 64] >> (bin % 64) & 1 == 1
                })),
            },
            LeftBins::Wide(members) => {
                let mut answers = vec![false; shape.bins[shape.used[position]].count()];
                for bin in members {
                    answers[*bin] = true;
                }
                Self::Wide {
                    column: position - shape.narrow,
                    answers,
                }
            }
        }
    }

    /// Whether the rows of a bin go left.
    pub(super) fn bin(&self, bin: usize) -> bool {
        match self {
            Self::Narrow { answers, .. } => answers[bin],
            Self::Wide { answers, .. } => answers[bin],
        }
    }

    /// Whether a row goes left.
    #[inline]
    pub(super) fn row(&self, data: &Binned, row: usize) -> bool {
        match self {
            Self::Narrow {
                block,
                lane,
                answers,
            } => answers[usize::from(data.blocks[*block][row][*lane])],
            Self::Wide { column, answers } => answers[usize::from(data.wide[*column][row])],
        }
    }
}

/// Which rows are in which leaf.
#[derive(Debug)]
pub(super) struct Partition {
    rows: Vec<u32>,
    aside: Vec<u32>,
    leaves: Vec<Range<usize>>,
}

impl Partition {
    /// No rows yet.
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            aside: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// Puts `rows`, ascending, into leaf 0, and drops what was before.
    pub(super) fn reset(&mut self, rows: &[u32]) {
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        self.aside.resize(rows.len(), 0);
        self.leaves.clear();
        self.leaves.push(0..rows.len());
    }

    pub(super) fn rows(&self, leaf: usize) -> &[u32] {
        &self.rows[self.leaves[leaf].clone()]
    }

    /// Leaves `leaf` what goes left, and makes a new leaf of the rest.
    pub(super) fn split(&mut self, leaf: usize, data: &Binned, goes: &Goes) {
        match goes {
            Goes::Narrow {
                block,
                lane,
                answers,
            } => {
                let block = &data.blocks[*block];
                self.part(leaf, |row| answers[usize::from(block[row as usize][*lane])]);
            }
            Goes::Wide { column, answers } => {
                let column = &data.wide[*column];
                self.part(leaf, |row| answers[usize::from(column[row as usize])]);
            }
        }
    }

    #[inline(always)]
    fn part(&mut self, leaf: usize, goes: impl Fn(u32) -> bool) {
        let range = self.leaves[leaf].clone();
        let rows = &mut self.rows[range.clone()];
        let aside = &mut self.aside[..rows.len()];
        let (mut left, mut right) = (0usize, 0usize);
        for at in 0..rows.len() {
            let row = rows[at];
            let stays = usize::from(goes(row));
            rows[left] = row;
            aside[right] = row;
            left = left.wrapping_add(stays);
            right = right.wrapping_add(1 - stays);
        }
        rows[left..].copy_from_slice(&aside[..right]);
        let middle = range.start + left;
        self.leaves[leaf] = range.start..middle;
        self.leaves.push(middle..range.end);
    }
}
