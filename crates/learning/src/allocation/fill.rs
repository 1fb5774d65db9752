//! Whole choices brought within the limits, by the moves that lose least for what they relieve, and then filled up by moves that are
//! worth something and still fit. This room must never leave a limit that it was given less kept than it found it.

use super::dual::Scales;
use super::lines::Lines;
use super::rows::{NOTHING, Rows};

const ROUNDS_MAX: usize = 20;

/// Choices of rows, and what all customers take of each limit.
pub(super) struct Moves<'a> {
    pub(super) lines: &'a Lines<'a>,
    pub(super) rows: &'a Rows<'a>,
    pub(super) scales: &'a Scales,
    pub(super) prices: &'a [f64],
    /// What must not be exceeded.
    pub(super) limits: &'a [f64],
}

/// A move: its key, by which the least goes first, its row, and the action that is taken.
type Move = (f64, u32, u16);

impl Moves<'_> {
    /// What a move adds to each limit.
    fn change(&self, row: usize, from: u16, to: u16, out: &mut [f64]) {
        for (out, line) in out.iter_mut().zip(&self.lines.limits) {
            let (old, new) = (
                self.rows.amount(&line.source, row, from),
                self.rows.amount(&line.source, row, to),
            );
            *out = line.sign * (new - old);
        }
    }

    /// By how much limits are exceeded, as shares, after a change.
    fn excess(&self, used: &[f64], change: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (at, limit) in self.limits.iter().enumerate() {
            sum += (used[at] + change[at] - limit).max(0.0) / self.scales.limits[at];
        }
        sum
    }

    fn fits(&self, used: &[f64], change: &[f64]) -> bool {
        let limits = used.iter().zip(change).zip(self.limits);
        // What is exceeded already may not rise.
        limits
            .into_iter()
            .all(|((used, change), limit)| used + change <= *limit || *change <= 0.0)
    }

    /// All moves that `key` gives a key, least first.
    fn moves(
        &self,
        choices: &[u16],
        mut key: impl FnMut(usize, u16, f64) -> Option<f64>,
    ) -> Vec<Move> {
        let at = self.lines.coefficients(true, self.prices);
        let mut scores = vec![0.0; self.lines.actions];
        let mut found: Vec<Move> = Vec::new();
        for (row, own) in choices.iter().enumerate() {
            self.rows.scores(row, &at, &mut scores);
            let of = |action: u16| scores.get(usize::from(action)).copied().unwrap_or(0.0);
            let now = of(*own);
            for action in (0..self.lines.actions as u16).chain([NOTHING]) {
                let score = of(action);
                if action != *own
                    && score > f64::NEG_INFINITY
                    && let Some(key) = key(row, action, now - score)
                {
                    found.push((key, row as u32, action));
                }
            }
        }
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        found
    }

    /// Brings what is used within the limits; answers by what share they are exceeded still.
    pub(super) fn repair(&self, choices: &mut [u16], used: &mut [f64]) -> f64 {
        let none = vec![0.0; used.len()];
        let mut change = none.clone();
        let mut excess = self.excess(used, &none);
        for _ in 0..ROUNDS_MAX {
            if excess == 0.0 {
                break;
            }
            let before = excess;
            let moves = self.moves(choices, |row, action, loss| {
                self.change(row, choices[row], action, &mut change);
                let relief = excess - self.excess(used, &change);
                (relief > 0.0).then(|| loss.max(0.0) / relief)
            });
            let mut moved = vec![false; choices.len()];
            for (_, row, action) in moves {
                let row = row as usize;
                if moved[row] {
                    continue;
                }
                self.change(row, choices[row], action, &mut change);
                let after = self.excess(used, &change);
                if after < excess {
                    for (used, change) in used.iter_mut().zip(&change) {
                        *used += change;
                    }
                    choices[row] = action;
                    moved[row] = true;
                    excess = after;
                    if excess == 0.0 {
                        break;
                    }
                }
            }
            if excess >= before {
                break;
            }
        }
        excess
    }

    /// Makes moves that are worth something and fit.
    pub(super) fn fill(&self, choices: &mut [u16], used: &mut [f64]) {
        let free = vec![0.0; used.len()];
        let plain = self.lines.coefficients(true, &free);
        let mut worth = vec![0.0; self.lines.actions];
        let mut change = free;
        for _ in 0..ROUNDS_MAX {
            let mut last = usize::MAX;
            let moves = self.moves(choices, |row, action, loss| {
                if row != last {
                    self.rows.scores(row, &plain, &mut worth);
                    last = row;
                }
                let of = |action: u16| worth.get(usize::from(action)).copied().unwrap_or(0.0);
                if of(action) <= of(choices[row]) {
                    return None;
                }
                self.change(row, choices[row], action, &mut change);
                self.fits(used, &change).then_some(loss)
            });
            if moves.is_empty() {
                break;
            }
            let mut moved = vec![false; choices.len()];
            for (_, row, action) in moves {
                let row = row as usize;
                self.change(row, choices[row], action, &mut change);
                if !moved[row] && self.fits(used, &change) {
                    for (used, change) in used.iter_mut().zip(&change) {
                        *used += change;
                    }
                    choices[row] = action;
                    moved[row] = true;
                }
            }
        }
    }
}
