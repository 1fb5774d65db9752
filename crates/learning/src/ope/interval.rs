//! How sure an estimate is: percentile bootstrap (Efron and Tibshirani 1993, section 13.3), empirical Bernstein (Maurer and Pontil
//! 2009, theorem 4), normal.

use luopan_kernel::random::normal_quantile;

use super::bootstrap::replicates;
use super::{Error, Estimator, Terms};

/// How an interval is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Percentiles of the values of resampled rows. Needs rows enough that the mean is near normal; the same seed gives the same.
    Bootstrap {
        /// How many resamples, 1 to [`super::RESAMPLES_MAX`]; 1,000 and more for a level of 0.95.
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
            let mut found = replicates(all, *resamples, *seed)?;
            Ok(found
                .iter_mut()
                .map(|values| percentiles(values, level))
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
    match method {
        Method::Bootstrap { resamples, seed } => {
            let found = replicates(&[candidate, champion], *resamples, *seed)?;
            Ok(percentiles(&mut minus(&found[0], &found[1]), level))
        }
        Method::Normal => {
            let moved = minus(&candidate.deviations(), &champion.deviations());
            Ok(normal(candidate.value() - champion.value(), &moved, level))
        }
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
