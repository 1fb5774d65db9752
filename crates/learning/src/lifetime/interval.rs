//! Intervals over customers, who are drawn again with all their steps (cluster bootstrap; Davison and Hinkley 1997, section 3.8), by
//! the same draws as those of [`crate::ope`]. This room must never resample steps of one customer apart from each other.

use luopan_kernel::random::{Random, normal_quantile};

use super::Error;
use super::error::setting;
use crate::ope::{Interval, RESAMPLES_MAX, RESAMPLES_MIN, draw_counts, percentiles};

/// How often each customer was drawn, resample by resample.
pub(super) struct Draws {
    random: Random,
    counts: Vec<u32>,
}

impl Draws {
    pub(super) fn new(customers: usize, seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            counts: vec![0; customers],
        }
    }

    pub(super) fn next(&mut self) -> &[u32] {
        draw_counts(&mut self.random, &mut self.counts);
        &self.counts
    }
}

pub(super) fn check(resamples: usize, level: f64) -> Result<(), Error> {
    if !(RESAMPLES_MIN..=RESAMPLES_MAX).contains(&resamples) {
        let found = resamples as f64;
        return Err(setting("the number of resamples", found, "20 to 1,000,000"));
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(setting(
            "the level",
            level,
            "above 0 and below 1, such as 0.95",
        ));
    }
    Ok(())
}

pub(super) fn of_replicates(replicates: &[f64], level: f64) -> Interval {
    percentiles(&mut replicates.to_vec(), level)
}

/// Around an estimate, by the spread of those that were fitted anew.
pub(super) fn of_refits(value: f64, refits: &[f64], level: f64) -> Interval {
    let count = refits.len() as f64;
    let mean = refits.iter().sum::<f64>() / count;
    let squares: f64 = refits.iter().map(|x| (x - mean) * (x - mean)).sum();
    let around = normal_quantile(0.5 + level / 2.0) * libm::sqrt(squares / (count - 1.0));
    Interval {
        lower: value - around,
        upper: value + around,
        level,
        method: "refits",
    }
}
