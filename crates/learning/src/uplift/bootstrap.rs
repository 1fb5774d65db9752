//! Resampling of the rows of each arm among themselves, with replacement (Efron 1979), and percentile intervals of what comes of
//! it. What is resampled is the rows that judge, not the learning: an interval says how sure the figure of this ranking is.

use luopan_kernel::random::Random;

use super::error::setting;
use super::{Error, RESAMPLES_MAX};

/// How intervals are made. The same seed gives the same ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many resamples, 2 to [`RESAMPLES_MAX`]; 1,000 and more for a level of 0.95.
    pub resamples: usize,
    /// Of the draws.
    pub seed: u64,
    /// Probability with which an interval should hold the truth, above 0 and below 1.
    pub level: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 1_000,
            seed: 1,
            level: 0.95,
        }
    }
}

/// Between which values the truth lies: `(1 - level) / 2` is left on each side.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

impl Bootstrap {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(2..=RESAMPLES_MAX).contains(&self.resamples) {
            return Err(setting(
                "the number of resamples",
                self.resamples,
                "2 to 100,000",
            ));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(setting(
                "the level",
                self.level,
                "above 0 and below 1, such as 0.95",
            ));
        }
        Ok(())
    }

    /// Calls `take` with how often each row was drawn, once a resample. `arms` are the arms of the rows.
    pub(super) fn resample(&self, arms: &[u32], mut take: impl FnMut(&[u32])) {
        let count = arms.iter().max().map_or(0, |most| *most as usize + 1);
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); count];
        for (row, arm) in arms.iter().enumerate() {
            places[*arm as usize].push(row as u32);
        }
        let mut random = Random::new(self.seed);
        let mut counts = vec![0; arms.len()];
        for _ in 0..self.resamples {
            counts.fill(0);
            for rows in &places {
                let bound = rows.len() as u64;
                let mut halves = Halves(None);
                for _ in 0..bound {
                    counts[rows[halves.below(&mut random, bound as u32) as usize] as usize] += 1;
                }
            }
            take(&counts);
        }
    }

    /// The interval of one figure; none where a resample had none.
    pub(super) fn interval(&self, mut values: Vec<f64>) -> Option<Interval> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Some(Interval {
            lower: quantile(&values, tail),
            upper: quantile(&values, 1.0 - tail),
        })
    }

    /// The intervals of several figures, from a line of them a resample.
    pub(super) fn intervals(&self, lines: &[Vec<f64>]) -> Vec<Option<Interval>> {
        let width = lines.first().map_or(0, Vec::len);
        (0..width)
            .map(|at| self.interval(lines.iter().map(|line| line[at]).collect()))
            .collect()
    }
}

/// Two draws of one word.
struct Halves(Option<u32>);

impl Halves {
    /// A number below `bound`, each equally likely (Lemire 2019).
    fn below(&mut self, random: &mut Random, bound: u32) -> u32 {
        let least = bound.wrapping_neg() % bound;
        loop {
            let word = self.0.take().unwrap_or_else(|| {
                let bits = random.bits();
                self.0 = Some(bits as u32);
                (bits >> 32) as u32
            });
            let product = u64::from(word) * u64::from(bound);
            if product as u32 >= least {
                return (product >> 32) as u32;
            }
        }
    }
}

/// The `p` quantile of ascending numbers, linear between neighbours (Hyndman and Fan 1996, definition 7).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}
