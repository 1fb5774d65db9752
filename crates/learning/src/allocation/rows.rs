//! Customers as rows of tables, what each takes at given prices, and which of them take the same at all prices of a box. This room
//! must never know what a table means.

use std::borrow::Cow;

use super::lines::{Lines, Source};

/// No action.
pub(super) const NOTHING: u16 = u16::MAX;
/// Rows that are summed before the sum is added to that of those before, which keeps rounding small.
const CHUNK: usize = 1_024;

/// What amounts are multiplied with to tell what an action is worth.
#[derive(Debug, Clone)]
pub(super) struct Coefficients {
    pub(super) tables: Vec<f64>,
    /// What is alike for all customers, multiplied already.
    pub(super) actions: Vec<f64>,
}

impl Coefficients {
    pub(super) fn add(&mut self, source: &Source, by: f64) {
        match source {
            Source::Table(table) => self.tables[*table] += by,
            Source::Action(values) => {
                for (sum, value) in self.actions.iter_mut().zip(values) {
                    *sum += by * value;
                }
            }
        }
    }
}

/// Sums over choices.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    /// Of what the choices are worth at the prices.
    pub(super) best: f64,
    pub(super) tables: Vec<f64>,
    pub(super) counts: Vec<f64>,
}

impl Sums {
    pub(super) fn none(lines: &Lines<'_>) -> Self {
        Self {
            best: 0.0,
            tables: vec![0.0; lines.tables.len()],
            counts: vec![0.0; lines.actions],
        }
    }

    pub(super) fn of(&self, source: &Source) -> f64 {
        match source {
            Source::Table(table) => self.tables[*table],
            Source::Action(values) => self.counts.iter().zip(values).map(|(n, v)| n * v).sum(),
        }
    }
}

/// Some customers.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pub(super) count: usize,
    actions: usize,
    tables: Vec<Cow<'a, [f64]>>,
    eligible: Option<Cow<'a, [bool]>>,
}

impl<'a> Rows<'a> {
    pub(super) fn all(lines: &Lines<'a>, count: usize, eligible: Option<&'a [bool]>) -> Self {
        Self {
            count,
            actions: lines.actions,
            tables: lines
                .tables
                .iter()
                .map(|table| Cow::Borrowed(*table))
                .collect(),
            eligible: eligible.map(Cow::Borrowed),
        }
    }

    /// Some of the rows, laid down one after the other.
    pub(super) fn take(&self, rows: &[u32]) -> Rows<'static> {
        let width = self.actions;
        fn some<T: Copy>(from: &[T], rows: &[u32], width: usize) -> Vec<T> {
            let mut out = Vec::with_capacity(rows.len() * width);
            for row in rows {
                let start = *row as usize * width;
                out.extend_from_slice(&from[start..start + width]);
            }
            out
        }
        Rows {
            count: rows.len(),
            actions: width,
            tables: (self.tables.iter())
                .map(|table| Cow::Owned(some(table, rows, width)))
                .collect(),
            eligible: (self.eligible.as_ref()).map(|cells| Cow::Owned(some(cells, rows, width))),
        }
    }

    /// What each action is worth to a row; minus infinity where it may not be given.
    #[inline(always)]
    pub(super) fn scores(&self, row: usize, at: &Coefficients, out: &mut [f64]) {
        let width = self.actions;
        let cells = row * width..(row + 1) * width;
        let out = &mut out[..width];
        out.copy_from_slice(&at.actions[..width]);
        for (table, coefficient) in self.tables.iter().zip(&at.tables) {
            let cells = &table[cells.clone()];
            for (score, cell) in out.iter_mut().zip(cells) {
                *score += coefficient * cell;
            }
        }
        if let Some(eligible) = &self.eligible {
            for (score, may) in out.iter_mut().zip(&eligible[cells]) {
                if !may {
                    *score = f64::NEG_INFINITY;
                }
            }
        }
    }

    /// An amount of a row's action.
    #[inline(always)]
    pub(super) fn amount(&self, source: &Source, row: usize, action: u16) -> f64 {
        if action == NOTHING {
            return 0.0;
        }
        match source {
            Source::Table(table) => self.tables[*table][row * self.actions + usize::from(action)],
            Source::Action(values) => values[usize::from(action)],
        }
    }

    /// Sums what all rows take at the prices; `each` is told every row's choice.
    pub(super) fn choose(
        &self,
        lines: &Lines<'_>,
        at: &Coefficients,
        mut each: impl FnMut(usize, u16),
    ) -> Sums {
        let mut total = Sums::none(lines);
        let mut scores = vec![0.0; self.actions];
        for start in (0..self.count).step_by(CHUNK) {
            let mut best_sum = 0.0;
            let mut part = [0.0; 2 * super::LIMITS_MAX + 64];
            for row in start..self.count.min(start + CHUNK) {
                self.scores(row, at, &mut scores);
                let (best, chosen) = best(&scores);
                each(row, chosen);
                if chosen != NOTHING {
                    best_sum += best;
                    let cell = row * self.actions + usize::from(chosen);
                    for (sum, table) in part.iter_mut().zip(&self.tables) {
                        *sum += table[cell];
                    }
                    total.counts[usize::from(chosen)] += 1.0;
                }
            }
            total.best += best_sum;
            for (sum, part) in total.tables.iter_mut().zip(part) {
                *sum += part;
            }
        }
        total
    }

    /// Adds what a row's action amounts to.
    pub(super) fn add(&self, row: usize, action: u16, to: &mut Sums) {
        if action != NOTHING {
            let cell = row * self.actions + usize::from(action);
            for (sum, table) in to.tables.iter_mut().zip(&self.tables) {
                *sum += table[cell];
            }
            to.counts[usize::from(action)] += 1.0;
        }
    }

    /// Sums over choices; nothing adds nothing.
    pub(super) fn summed(&self, lines: &Lines<'_>, choices: &[u16]) -> Sums {
        let mut sums = Sums::none(lines);
        for (row, choice) in choices.iter().enumerate() {
            self.add(row, *choice, &mut sums);
        }
        sums
    }

    /// The choice of each row at prices in the middle of a box, or none where another price within `half` of them may change it.
    pub(super) fn settled(
        &self,
        lines: &Lines<'_>,
        middle: &[f64],
        half: &[f64],
    ) -> Vec<Option<u16>> {
        let at = lines.coefficients(true, middle);
        let mut scores = vec![0.0; self.actions];
        let moving: Vec<(&Source, f64)> = (lines.limits.iter().zip(half))
            .filter(|(_, half)| **half > 0.0)
            .map(|(line, half)| (&line.source, *half))
            .collect();
        let of = |row: usize| {
            self.scores(row, &at, &mut scores);
            let (most, chosen) = best(&scores);
            let rivals =
                (0..self.actions as u16).map(|action| (action, scores[usize::from(action)]));
            for (action, score) in rivals.chain([(NOTHING, 0.0)]) {
                if action == chosen || score == f64::NEG_INFINITY {
                    continue;
                }
                let reach: f64 = (moving.iter())
                    .map(|(source, half)| {
                        let (own, other) = (
                            self.amount(source, row, chosen),
                            self.amount(source, row, action),
                        );
                        (own - other).abs() * half
                    })
                    .sum();
                // Rounding must not settle what is tied.
                if most - score <= reach + 1e-12 * most.abs() {
                    return None;
                }
            }
            Some(chosen)
        };
        (0..self.count).map(of).collect()
    }
}

/// What is worth most, and more than nothing; of equal ones the first.
#[inline(always)]
fn best(scores: &[f64]) -> (f64, u16) {
    let (mut best, mut chosen) = (0.0, NOTHING);
    for (action, score) in scores.iter().enumerate() {
        if *score > best {
            best = *score;
            chosen = action as u16;
        }
    }
    (best, chosen)
}
