//! How sure an estimate is: bootstrap (of values BCa, Efron 1987; Efron and Tibshirani 1993, section 14.3; of differences the symmetric
//! bootstrap-t, Hall 1988), empirical Bernstein (Maurer and Pontil 2009, theorem 4), normal.
//!
//! Plain percentiles lie too low where rewards are rare and weights great, since the mean of few large terms leans: they missed the
//! truth above them twice as often as they may. Differences lean less and have two heavy tails, of which BCa makes too much.

use luopan_kernel::random::normal_quantile;

use super::bootstrap::replicates;
use super::{Error, Estimator, Terms};

/// How an interval is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Of a value, percentiles of resampled rows at levels that are corrected for how it leans; of a difference, around it as many of
    /// its standard errors as resamples are away from it by theirs. Needs rows enough that rewards are seen a dozen times and more; the
    /// same seed gives the same.
    Bootstrap {
        /// How many resamples, [`super::RESAMPLES_MIN`] to [`super::RESAMPLES_MAX`]; 1,000 and more for a level of 0.95.
        resamples: usize,
        /// Of the draws.
        seed: u64,
    },
    /// Plain percentiles of the same resampled rows (Efron 1979), which lie too low where rewards are rare and weights great.
    Percentiles {
        /// As of [`Method::Bootstrap`].
        resamples: usize,
        /// Of the draws.
        seed: u64,
    },
    /// Holds for any number of rows, for plain means of independent terms within a stated range; wide.
    EmpiricalBernstein(Range),
    /// Value and standard error; of ratios by the delta method.
    Normal,
}

/// The least and the most that a reward or a term can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Least.
    pub least: f64,
    /// Most.
    pub most: f64,
}

impl Range {
    /// The range of differences from what lies within `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            least: self.least - other.most,
            most: self.most - other.least,
        }
    }
}

impl Estimator {
    /// The range of its terms where rewards and predictions lie within `rewards` and no weight is above `weight_most`: what can
    /// be, not what was seen. With propensities of at least `p`, no weight is above `1 / p`; a clip is a bound as well. Nothing
    /// for ratios.
    pub fn range(&self, rewards: Range, weight_most: f64) -> Option<Range> {
        let width = rewards.most - rewards.least;
        let corrected = |most: f64| Range {
            least: rewards.least - most * width,
            most: rewards.most + most * width,
        };
        match self {
            Self::Ips { clip } => {
                let most = clip.map_or(weight_most, |clip| clip.min(weight_most));
                Some(Range {
                    least: (rewards.least * most).min(0.0),
                    most: (rewards.most * most).max(0.0),
                })
            }
            Self::Direct => Some(rewards),
            Self::DoublyRobust { clip } => Some(corrected(
                clip.map_or(weight_most, |clip| clip.min(weight_most)),
            )),
            Self::Switch(_) => Some(corrected(weight_most)),
            Self::SelfNormalised | Self::SelfNormalisedDoublyRobust => None,
        }
    }
}

/// Between which values the truth lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Probability with which it should hold: `(1 - level) / 2` is left on each side.
    pub level: f64,
    /// `bootstrap`, `empirical bernstein`, `normal`, or of fitted Q evaluation `refits`.
    pub method: &'static str,
}

/// The interval of one estimate.
///
/// # Errors
/// A level outside (0, 1), fewer than two rows, a number of resamples out of range; for empirical Bernstein terms that are no plain
/// mean or lie outside the range that was stated.
pub fn interval(terms: &Terms, method: &Method, level: f64) -> Result<Interval, Error> {
    let all = intervals(&[terms], method, level)?;
    all.first().copied().ok_or(Error::Empty)
}

/// The intervals of several estimates of the same rows, which a bootstrap resamples by the same draws: much cheaper than one
/// after the other.
///
/// # Errors
/// As [`interval`], and where they are not of as many rows.
pub fn intervals(all: &[&Terms], method: &Method, level: f64) -> Result<Vec<Interval>, Error> {
    checked(all, level)?;
    match method {
        Method::Bootstrap { resamples, seed } => {
            let found = replicates(all, *resamples, *seed)?;
            Ok((found.into_iter().zip(all))
                .map(|(values, terms)| corrected(values, terms.value(), &terms.deviations(), level))
                .collect())
        }
        Method::Percentiles { resamples, seed } => {
            let found = replicates(all, *resamples, *seed)?;
            Ok((found.into_iter())
                .map(|mut values| percentiles(&mut values, level))
                .collect())
        }
        Method::Normal => Ok(all
            .iter()
            .map(|terms| normal(terms.value(), &terms.deviations(), level))
            .collect()),
        Method::EmpiricalBernstein(range) => all
            .iter()
            .map(|terms| bernstein(plain(terms)?, *range, level))
            .collect(),
    }
}

/// The interval of the difference of two estimates on the same rows, `candidate` minus `champion`, row by row: what both have in
/// common does not widen it. The range of empirical Bernstein is that of the terms' difference ([`Range::minus`]).
///
/// # Errors
/// As [`interval`], and where rows or their weights differ.
pub fn difference(
    candidate: &Terms,
    champion: &Terms,
    method: &Method,
    level: f64,
) -> Result<Interval, Error> {
    checked(&[candidate, champion], level)?;
    candidate.paired(champion)?;
    let minus =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let value = candidate.value() - champion.value();
    let moved = || minus(&candidate.deviations(), &champion.deviations());
    match method {
        Method::Bootstrap { resamples, seed } => {
            // How far rows move the difference, in its unit, and its squares: their means tell the error of each resample.
            let moved = moved();
            let rows = moved.len() as f64;
            let moves = |of: &dyn Fn(f64) -> f64| {
                let terms = moved.iter().map(|m| of(m * rows)).collect();
                Terms::mean("difference", terms, None)
            };
            let (first, second) = (moves(&|m| m), moves(&|m| m * m));
            let all = [candidate, champion, &first, &second];
            let found = replicates(&all, *resamples, *seed)?;
            let error = |first: f64, second: f64| libm::sqrt((second - first * first).max(0.0));
            let away = (minus(&found[0], &found[1]).into_iter())
                .zip(found[2].iter().zip(&found[3]))
                .map(|(drawn, (first, second))| ((drawn - value).abs(), error(*first, *second)));
            Ok(symmetric(
                value,
                error(0.0, second.value()),
                away.collect(),
                level,
            ))
        }
        Method::Percentiles { resamples, seed } => {
            let found = replicates(&[candidate, champion], *resamples, *seed)?;
            Ok(percentiles(&mut minus(&found[0], &found[1]), level))
        }
        Method::Normal => Ok(normal(value, &moved(), level)),
        Method::EmpiricalBernstein(range) => {
            let terms = minus(plain(candidate)?, plain(champion)?);
            bernstein(&terms, *range, level)
        }
    }
}

fn checked(all: &[&Terms], level: f64) -> Result<(), Error> {
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Setting {
            what: "level",
            found: level,
            wanted: "above 0 and below 1, such as 0.95",
        });
    }
    match all.iter().find(|terms| terms.rows < 2) {
        None => Ok(()),
        Some(terms) => Err(Error::Few {
            rows: terms.rows,
            what: "an interval",
            least: 2,
        }),
    }
}

/// Percentiles of resampled values.
pub(crate) fn percentiles(values: &mut [f64], level: f64) -> Interval {
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Interval {
        lower: quantile(values, tail),
        upper: quantile(values, 1.0 - tail),
        level,
        method: "bootstrap",
    }
}

/// As far around a value, in its error, as the share `level` of resamples is away from it in theirs: a distance and an error each.
/// Resamples without an error but for rounding, in which nothing differs, are as far away as the farthest of the others.
fn symmetric(value: f64, error: f64, away: Vec<(f64, f64)>, level: f64) -> Interval {
    let least = 1e-6 * error;
    let mut ratios: Vec<f64> = (away.iter().filter(|(_, e)| *e > least))
        .map(|(away, e)| away / e)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let most = ratios.last().copied().unwrap_or(0.0);
    ratios.resize(away.len(), most);
    let around = quantile(&ratios, level) * error;
    Interval {
        lower: value - around,
        upper: value + around,
        level,
        method: "bootstrap",
    }
}

/// Quantiles of resampled values at the levels of BCa. `moved` is how far each row moves the value.
fn corrected(mut values: Vec<f64>, value: f64, moved: &[f64], level: f64) -> Interval {
    values.sort_by(f64::total_cmp);
    let resamples = values.len() as f64;
    // The share of resamples below the value, ties counting half; never none or all.
    let below = values.partition_point(|v| *v < value) as f64;
    let ties = values.partition_point(|v| *v <= value) as f64 - below;
    let share = (below + ties / 2.0 + 0.5) / (resamples + 1.0);
    let bias = normal_quantile(share);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for moved in moved {
        squares += moved * moved;
        cubes += moved * moved * moved;
    }
    let acceleration = match squares > 0.0 {
        true => cubes / (6.0 * squares * libm::sqrt(squares)),
        false => 0.0,
    };
    let at = |p: f64| {
        let from = bias + normal_quantile(p);
        let left = 1.0 - acceleration * from;
        // Beyond all bounds the estimate leans so much that the last resample is the bound.
        match left > 0.0 {
            true => 0.5 * libm::erfc(-(bias + from / left) / core::f64::consts::SQRT_2),
            false => f64::from(u8::from(acceleration > 0.0)),
        }
    };
    let tail = (1.0 - level) / 2.0;
    Interval {
        lower: quantile(&values, at(tail)),
        upper: quantile(&values, at(1.0 - tail)),
        level,
        method: "bootstrap",
    }
}

/// The `p` quantile of ascending numbers, linear between neighbours (Hyndman and Fan 1996, definition 7).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

fn normal(value: f64, moved: &[f64], level: f64) -> Interval {
    let rows = moved.len() as f64;
    let variance = moved.iter().map(|moved| moved * moved).sum::<f64>() * rows / (rows - 1.0);
    let around = normal_quantile(0.5 + level / 2.0) * libm::sqrt(variance);
    Interval {
        lower: value - around,
        upper: value + around,
        level,
        method: "normal",
    }
}

fn plain(terms: &Terms) -> Result<&[f64], Error> {
    let not = |what| Error::NotMean {
        estimator: terms.estimator,
        what,
    };
    if terms.weights.is_some() {
        return Err(not("a weighted mean"));
    }
    terms.plain().ok_or_else(|| not("a ratio of two means"))
}

fn bernstein(terms: &[f64], range: Range, level: f64) -> Result<Interval, Error> {
    let width = range.most - range.least;
    if !(width > 0.0 && width.is_finite()) {
        return Err(Error::Setting {
            what: "width of the stated range",
            found: width,
            wanted: "a finite number above zero",
        });
    }
    let outside = |found: &f64| !(*found >= range.least && *found <= range.most);
    if let Some(row) = terms.iter().position(outside) {
        return Err(Error::OutOfRange {
            row,
            found: terms[row],
            least: range.least,
            most: range.most,
        });
    }
    let rows = terms.len() as f64;
    let mean = terms.iter().sum::<f64>() / rows;
    let variance = terms.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (rows - 1.0);
    // Each side fails with half of what is left of the level.
    let log = libm::log(4.0 / (1.0 - level));
    let around = libm::sqrt(2.0 * variance * log / rows) + 7.0 * width * log / (3.0 * (rows - 1.0));
    Ok(Interval {
        lower: mean - around,
        upper: mean + around,
        level,
        method: "empirical bernstein",
    })
}
