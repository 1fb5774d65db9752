//! Drift: whether what a model or a policy meets, says and earns is still what it was. Each measure comes with what chance alone would give,
//! so that few rows raise no alarm and many rows none for what is too small to matter.
//!
//! - Features, scores and arms: the population stability index (Lewis 1994) over bins of the reference; without a change it is about
//!   `(1/n + 1/m)` times a chi-square of one degree less than there are bins (Yurdakul 2018).
//! - Calibration: rewards beside the scores that foretold them, in bins of the scores, each bin's difference less two standard errors.
//! - Rewards: the difference of means and its standard error (Welch 1947).
//!
//! Decisions of one customer are alike. So that a few who come often do not look like a change, chance is reckoned with how many independent rows
//! they are [`worth`].

use crate::scorecard::psi;
use libm::{fabs, sqrt};
use luopan_kernel::random::normal_quantile;

/// Bins of numbers, and of scores for calibration.
pub const BINS: usize = 10;
/// Texts that have a bin of their own; the others share one.
pub const LEVELS: usize = 20;
/// Least rows that either side must be worth; with fewer nothing is said.
pub const ROWS_LEAST: usize = 100;

/// How many independent rows these are worth, of so many each for a customer: as if all of one customer's were the same (Kish 1965), `(sum n)^2 / sum
/// n^2`. At least one and at most as many as there are customers; 0 of none.
pub fn worth(rows: impl IntoIterator<Item = u64>) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for n in rows {
        let n = n as f64;
        sum += n;
        squares += n * n;
    }
    if squares > 0.0 {
        sum * sum / squares
    } else {
        0.0
    }
}

/// How a distribution changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// Population stability index.
    pub psi: f64,
    /// What it would be at most had nothing changed, with the probability that was asked for.
    pub chance: f64,
    /// The bin that adds the most to it, in words.
    pub most: String,
    /// Its share of the rows before and now.
    pub shares: (f64, f64),
}

/// How far rewards are from what was foretold.
#[derive(Debug, Clone, PartialEq)]
pub struct Miscalibration {
    /// Mean over bins of the scores of how far mean reward and mean score lie apart, what chance explains taken off, in units of the reward.
    pub error: f64,
    /// Mean reward.
    pub observed: f64,
    /// Mean score.
    pub foretold: f64,
}

/// How a mean changed.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanChange {
    /// Mean before and now.
    pub means: (f64, f64),
    /// The mean now less the mean before.
    pub change: f64,
    /// What the change would be at most, up or down, had nothing changed, with the probability that was asked for.
    pub chance: f64,
}

/// What the chi-square of so many degrees of freedom stays below with probability `surely` (Wilson and Hilferty 1931; for 0.999 within 2 %).
fn chi_square(degrees: usize, surely: f64) -> f64 {
    let k = degrees as f64;
    let root = 1.0 - 2.0 / (9.0 * k) + normal_quantile(surely) * sqrt(2.0 / (9.0 * k));
    k * root * root * root
}

fn shift(counts: [Vec<f64>; 2], labels: &[String], worth: [f64; 2], surely: f64) -> Option<Shift> {
    let totals = [0, 1].map(|i| counts[i].iter().sum::<f64>());
    let worth = [0, 1].map(|i| worth[i].min(totals[i]));
    if !worth.iter().all(|w| *w >= ROWS_LEAST as f64) {
        return None;
    }
    // Half an independent row more in each bin (Krichevsky and Trofimov 1981): of the many rows to come some are beyond all that were seen, and none of it is a
    // change.
    let counts = [0, 1].map(|side: usize| -> Vec<f64> {
        let each = worth[side] / totals[side];
        counts[side].iter().map(|n| n * each + 0.5).collect()
    });
    let used: Vec<bool> = (0..labels.len())
        .map(|b| counts[0][b] + counts[1][b] > 1.0)
        .collect();
    let kept = |of: &[f64]| -> Vec<f64> {
        (of.iter().zip(&used))
            .filter(|(_, u)| **u)
            .map(|(n, _)| *n)
            .collect()
    };
    let found = psi(&kept(&counts[0]), &kept(&counts[1])).ok()?;
    let degrees = used.iter().filter(|u| **u).count().saturating_sub(1).max(1);
    let share = |side: usize, bin: usize| (counts[side][bin] - 0.5) / worth[side];
    let adds = |bin: &usize| {
        let [before, now] = [0, 1].map(|side| share(side, *bin).max(1e-4));
        (now - before) * libm::log(now / before)
    };
    let most = (0..labels.len()).fold(0, |best, b| if adds(&b) > adds(&best) { b } else { best });
    Some(Shift {
        psi: found,
        chance: (1.0 / worth[0] + 1.0 / worth[1]) * chi_square(degrees, surely),
        most: labels[most].clone(),
        shares: (share(0, most), share(1, most)),
    })
}

/// How a number changed; `worth` says how many independent rows each side is worth, `surely` (0.999) is the probability of what chance may make of it. Bins are
/// the tenths of `reference`, missing values (NaN) have one of their own. None where either side is worth fewer than [`ROWS_LEAST`] rows.
pub fn numbers(reference: &[f64], recent: &[f64], worth: [f64; 2], surely: f64) -> Option<Shift> {
    let mut known: Vec<f64> = reference.iter().copied().filter(|v| !v.is_nan()).collect();
    known.sort_unstable_by(f64::total_cmp);
    // A bin ends before each edge.
    let mut edges: Vec<f64> = Vec::new();
    for i in 1..BINS {
        if let Some(edge) = known.get(i * known.len() / BINS)
            && *edge > known[0]
            && edges.last().is_none_or(|last| edge > last)
        {
            edges.push(*edge);
        }
    }
    // Of a reference of one value, what is below and above it are changes.
    let least = known.first().copied().unwrap_or(0.0);
    edges.insert(0, least);
    let most = known.last().copied().unwrap_or(0.0);
    let count = |values: &[f64]| {
        let mut out = vec![0.0; edges.len() + 3];
        for v in values {
            let bin = match v.is_nan() {
                true => edges.len() + 2,
                false if *v > most => edges.len() + 1,
                false => edges.partition_point(|e| e <= v),
            };
            out[bin] += 1.0;
        }
        out
    };
    let mut labels: Vec<String> = vec![format!("below {least}")];
    for (i, edge) in edges.iter().enumerate() {
        labels.push(match edges.get(i + 1) {
            Some(next) => format!("{edge} to below {next}"),
            None => format!("{edge} to {most}"),
        });
    }
    labels.push(format!("above {most}"));
    labels.push("missing".to_owned());
    shift([count(reference), count(recent)], &labels, worth, surely)
}

/// How a text changed; `worth` and `surely` as for numbers. The [`LEVELS`] that are the most frequent in `reference` have bins of their own, the others one, missing
/// ones another. None where either side is worth fewer than [`ROWS_LEAST`] rows.
pub fn texts(
    reference: &[Option<&str>],
    recent: &[Option<&str>],
    worth: [f64; 2],
    surely: f64,
) -> Option<Shift> {
    let mut known: Vec<&str> = reference.iter().copied().flatten().collect();
    known.sort_unstable();
    let mut levels: Vec<(usize, &str)> = (known.chunk_by(|a, b| a == b))
        .map(|same| (same.len(), same[0]))
        .collect();
    levels.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    levels.truncate(LEVELS);
    let count = |values: &[Option<&str>]| {
        let mut out = vec![0.0; levels.len() + 2];
        for v in values {
            let bin = match v {
                None => levels.len() + 1,
                Some(v) => (levels.iter().position(|(_, l)| l == v)).unwrap_or(levels.len()),
            };
            out[bin] += 1.0;
        }
        out
    };
    let labels: Vec<String> = (levels.iter().map(|(_, l)| (*l).to_owned()))
        .chain(["others".to_owned(), "missing".to_owned()])
        .collect();
    shift([count(reference), count(recent)], &labels, worth, surely)
}

/// How far `rewards` are from the `scores` that foretold them, row by row, which are worth so many independent ones. None where they are worth fewer than
/// [`ROWS_LEAST`], or with another number of each.
pub fn calibration(scores: &[f64], rewards: &[f64], worth: f64) -> Option<Miscalibration> {
    let n = scores.len();
    let worth = worth.min(n as f64);
    if worth < ROWS_LEAST as f64
        || rewards.len() != n
        || scores.iter().chain(rewards).any(|v| !v.is_finite())
    {
        return None;
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut error = 0.0;
    let mut from = 0;
    for bin in 1..=BINS {
        // Rows of one score are in one bin.
        let mut to = bin * n / BINS;
        while to < n && to > from && scores[order[to]] == scores[order[to - 1]] {
            to += 1;
        }
        if to <= from {
            continue;
        }
        let rows = &order[from..to];
        let m = rows.len() as f64;
        let off = |row: &usize| rewards[*row] - scores[*row];
        let mean = rows.iter().map(off).sum::<f64>() / m;
        let spread: f64 = rows.iter().map(|r| (off(r) - mean) * (off(r) - mean)).sum();
        let standard_error = match rows.len() {
            1 => f64::INFINITY,
            _ => sqrt(spread / (m - 1.0) / (m * worth / n as f64)),
        };
        error += m / n as f64 * (fabs(mean) - 2.0 * standard_error).max(0.0);
        from = to;
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / n as f64;
    Some(Miscalibration {
        error,
        observed: mean(rewards),
        foretold: mean(scores),
    })
}

/// How the mean of rewards changed; `worth` and `surely` as for numbers. None where either side is worth fewer than [`ROWS_LEAST`] rows, or with a value that is not
/// finite.
pub fn rewards(
    reference: &[f64],
    recent: &[f64],
    worth: [f64; 2],
    surely: f64,
) -> Option<MeanChange> {
    let of = |values: &[f64], worth: f64| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let spread: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        (mean, spread / (n - 1.0) / worth)
    };
    let [a, b] = [
        worth[0].min(reference.len() as f64),
        worth[1].min(recent.len() as f64),
    ];
    if a.min(b) < ROWS_LEAST as f64 || reference.iter().chain(recent).any(|v| !v.is_finite()) {
        return None;
    }
    let ((before, a), (now, b)) = (of(reference, a), of(recent, b));
    Some(MeanChange {
        means: (before, now),
        change: now - before,
        chance: normal_quantile(0.5 + surely / 2.0) * sqrt(a + b),
    })
}
