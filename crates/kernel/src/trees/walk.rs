//! From roots to leaves. A step has no branch that depends on the row: it computes which of two neighbours comes next, and
//! several descents go on side by side, so that one waits while others load. This room must never add in another order than
//! tree after tree.

use super::{CATEGORICAL, DEFAULT_LEFT, Ensemble, Node, Root, ZERO_IS_MISSING, ZERO_MAX};

/// Descents side by side.
const LANES: usize = 8;
// What a step has to look at.
/// Only whether a value is at or below a threshold: no value is missing.
const THRESHOLDS: u8 = 0;
/// That, and where missing values go.
const MISSING: u8 = 1;
/// That, and categories.
const CATEGORIES: u8 = 2;
/// All that a split may ask.
const ALL: u8 = 3;
/// Values of rows that are taken through one tree after the other together: 32 KiB of them.
const VALUES_TOGETHER: usize = 4_096;

impl Ensemble {
    /// Adds the leaves of `row` to `out`, one place an output.
    pub(super) fn add_row(&self, row: &[f64], out: &mut [f64]) {
        match self.looking_at(row) {
            THRESHOLDS => self.add_row_by::<THRESHOLDS>(row, out),
            MISSING => self.add_row_by::<MISSING>(row, out),
            CATEGORIES => self.add_row_by::<CATEGORIES>(row, out),
            _ => self.add_row_by::<ALL>(row, out),
        }
    }

    /// Adds the leaves of each of `rows` to its places in `out`.
    pub(super) fn add_rows(&self, rows: &[f64], out: &mut [f64]) {
        let width = self.features.len();
        let together = (VALUES_TOGETHER / width).max(LANES);
        let blocks = rows.chunks(together * width);
        for (rows, out) in blocks.zip(out.chunks_mut(together * self.outputs)) {
            match self.looking_at(rows) {
                THRESHOLDS => self.add_block::<THRESHOLDS>(rows, out),
                MISSING => self.add_block::<MISSING>(rows, out),
                CATEGORIES => self.add_block::<CATEGORIES>(rows, out),
                _ => self.add_block::<ALL>(rows, out),
            }
        }
    }

    /// What steps have to look at for these values.
    fn looking_at(&self, values: &[f64]) -> u8 {
        if self.zeros {
            ALL
        } else if self.categories {
            CATEGORIES
        } else if any_missing(values) {
            MISSING
        } else {
            THRESHOLDS
        }
    }

    fn add_row_by<const LOOK: u8>(&self, row: &[f64], out: &mut [f64]) {
        let (groups, rest) = self.roots.as_chunks::<LANES>();
        let mut output = 0;
        let mut add = |value: f64| {
            out[output] += value;
            output += 1;
            if output == out.len() {
                output = 0;
            }
        };
        for group in groups {
            let depth = group.iter().map(|root| root.depth).max().unwrap_or(0);
            let mut at = group.map(|root| root.node);
            for _ in 0..depth {
                let mut moved = 0;
                for place in &mut at {
                    let next = self.step::<LOOK>(*place, row);
                    moved |= next ^ *place;
                    *place = next;
                }
                if LOOK >= CATEGORIES && moved == 0 {
                    break;
                }
            }
            for place in at {
                add(self.values[place as usize]);
            }
        }
        for root in rest {
            add(self.one::<LOOK>(*root, row));
        }
    }

    fn add_block<const LOOK: u8>(&self, rows: &[f64], out: &mut [f64]) {
        let width = self.features.len();
        let (outputs, mut output) = (self.outputs, 0);
        for root in &self.roots {
            let blocks = rows.chunks(LANES * width);
            for (rows, out) in blocks.zip(out.chunks_mut(LANES * outputs)) {
                if rows.len() == LANES * width {
                    let mut at = [root.node; LANES];
                    for _ in 0..root.depth {
                        let (mut start, mut moved) = (0, 0);
                        for place in &mut at {
                            let next = self.step::<LOOK>(*place, &rows[start..]);
                            moved |= next ^ *place;
                            *place = next;
                            start += width;
                        }
                        // Steps that look at more are worth an early end.
                        if LOOK >= CATEGORIES && moved == 0 {
                            break;
                        }
                    }
                    for (place, out) in at.iter().zip(out.chunks_exact_mut(outputs)) {
                        out[output] += self.values[*place as usize];
                    }
                } else {
                    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(outputs)) {
                        out[output] += self.one::<LOOK>(*root, row);
                    }
                }
            }
            output += 1;
            if output == outputs {
                output = 0;
            }
        }
    }

    /// The leaf of one row in one tree.
    fn one<const LOOK: u8>(&self, root: Root, row: &[f64]) -> f64 {
        let mut at = root.node;
        for _ in 0..root.depth {
            at = self.step::<LOOK>(at, row);
        }
        self.values[at as usize]
    }

    #[inline(always)]
    fn step<const LOOK: u8>(&self, at: u32, row: &[f64]) -> u32 {
        let node = &self.nodes[at as usize];
        let value = row[usize::from(node.feature)];
        let holds = match LOOK {
            THRESHOLDS => value <= node.threshold,
            MISSING => {
                let by_default = node.flags & DEFAULT_LEFT != 0;
                (value <= node.threshold) | (value.is_nan() & by_default)
            }
            CATEGORIES => {
                if node.flags & CATEGORICAL != 0 {
                    self.is_member(node, value)
                } else {
                    let by_default = node.flags & DEFAULT_LEFT != 0;
                    (value <= node.threshold) | (value.is_nan() & by_default)
                }
            }
            _ => self.holds(node, value),
        };
        node.first.wrapping_add(u32::from(!holds))
    }

    #[inline(always)]
    fn holds(&self, node: &Node, value: f64) -> bool {
        if node.flags & CATEGORICAL != 0 {
            return self.is_member(node, value);
        }
        let zero = (node.flags & ZERO_IS_MISSING != 0) & (value.abs() <= ZERO_MAX);
        let missing = value.is_nan() | zero;
        let by_default = node.flags & DEFAULT_LEFT != 0;
        (missing & by_default) | (!missing & (value <= node.threshold))
    }

    fn is_member(&self, node: &Node, value: f64) -> bool {
        // Cut towards zero; what is negative after it, missing or past every set is no member.
        if !(value > -1.0 && value < super::CATEGORIES_MAX as f64) {
            return false;
        }
        let category = value as u32;
        let place = node.threshold.to_bits();
        let (start, length) = ((place >> 32) as usize, place as u32);
        let word = category / 32;
        word < length && self.words[start + word as usize] >> (category % 32) & 1 == 1
    }
}

/// Written without an early end, which lets it be done several values at once.
fn any_missing(values: &[f64]) -> bool {
    values
        .iter()
        .fold(false, |found, value| found | value.is_nan())
}
