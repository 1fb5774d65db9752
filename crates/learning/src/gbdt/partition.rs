//! The rows of each leaf, in one list: a leaf's rows lie together, in the order of the data. This room must never know why a row
//! goes where it goes.

use std::ops::Range;

use super::data::{Binned, LANES};

/// True at the bins that go left.
pub(super) type Goes = [bool; 256];

/// The answers for all bins.
pub(super) fn goes(left_bins: &[u64; 4]) -> Goes {
    std::array::from_fn(|bin| left_bins[bin / 64] >> (bin % 64) & 1 == 1)
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

    /// Leaves `leaf` what goes left by the column at `position`, and makes a new leaf of the rest.
    pub(super) fn split(&mut self, leaf: usize, data: &Binned, position: usize, goes: &Goes) {
        let range = self.leaves[leaf].clone();
        let rows = &mut self.rows[range.clone()];
        let aside = &mut self.aside[..rows.len()];
        let (block, lane) = (&data.blocks[position / LANES], position % LANES);
        let (mut left, mut right) = (0usize, 0usize);
        for at in 0..rows.len() {
            let row = rows[at];
            let stays = usize::from(goes[usize::from(block[row as usize][lane])]);
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
