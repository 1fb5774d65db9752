//! Probabilities that mean what they say: scores to probabilities by isotonic regression or by Platt's sigmoid, and how far
//! probabilities are from what happened.
//!
//! Fit on rows that the score's model has not seen. This room must never hand out a probability outside 0 to 1.

/// Why nothing was calibrated. Rows are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No rows, or none with a weight above zero.
    #[error("there are no rows with a weight above zero")]
    Empty,
    /// Columns of different length.
    #[error("{column} has {found} values: wanted are {wanted}")]
    Length {
        /// Which.
        column: &'static str,
        /// Found.
        found: usize,
        /// Wanted.
        wanted: usize,
    },
    /// A value that cannot be used.
    #[error("row {row}: {column} is {found}: write {wanted}")]
    Value {
        /// Of which column.
        column: &'static str,
        /// Its row.
        row: usize,
        /// Found.
        found: f64,
        /// What is taken.
        wanted: &'static str,
    },
    /// All outcomes are the same.
    #[error("every outcome is {found}: a sigmoid needs both")]
    OneOutcome {
        /// The outcome.
        found: f64,
    },
    /// A number of bins out of its range.
    #[error("{found} bins: write 1 to 1,000")]
    Bins {
        /// Found.
        found: usize,
    },
}

/// What is calibrated by, a value a row.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Scores, finite; probabilities for [`reliability`].
    pub scores: &'a [f64],
    /// What happened: 0 or 1, or a share.
    pub outcomes: &'a [f64],
    /// How much a row counts, zero or more; 1 each where there are none.
    pub weights: Option<&'a [f64]>,
}

impl Rows<'_> {
    fn check(&self) -> Result<(), Error> {
        let wanted = self.scores.len();
        let weights = self.weights.unwrap_or(&[]);
        let columns = [
            ("outcomes", self.outcomes),
            (
                "weights",
                if self.weights.is_some() {
                    weights
                } else {
                    self.scores
                },
            ),
        ];
        for (column, values) in columns {
            if values.len() != wanted {
                let found = values.len();
                return Err(Error::Length {
                    column,
                    found,
                    wanted,
                });
            }
        }
        refuse("score", self.scores, |x| x.is_finite(), "a finite number")?;
        refuse(
            "outcome",
            self.outcomes,
            |x| (0.0..=1.0).contains(x),
            "0 to 1",
        )?;
        refuse(
            "weight",
            weights,
            |x| *x >= 0.0 && x.is_finite(),
            "zero or a finite number above it",
        )?;
        if (0..wanted).all(|row| self.weight(row) == 0.0) {
            return Err(Error::Empty);
        }
        Ok(())
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |of| of[row])
    }
}

fn refuse(
    column: &'static str,
    values: &[f64],
    right: impl Fn(&f64) -> bool,
    wanted: &'static str,
) -> Result<(), Error> {
    match values.iter().position(|value| !right(value)) {
        None => Ok(()),
        Some(row) => Err(Error::Value {
            column,
            row,
            found: values[row],
            wanted,
        }),
    }
}

/// The rising function that is nearest to the outcomes in squares (Ayer et al. 1955, pool adjacent violators), linear between
/// what it was fitted to and level outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Isotonic {
    scores: Vec<f64>,
    values: Vec<f64>,
}

impl Isotonic {
    /// Fits it.
    ///
    /// # Errors
    /// No rows, columns of different length, scores that are not finite, outcomes outside 0 to 1, weights below zero.
    pub fn fit(rows: &Rows<'_>) -> Result<Self, Error> {
        rows.check()?;
        let mut order: Vec<usize> = (0..rows.scores.len())
            .filter(|row| rows.weight(*row) > 0.0)
            .collect();
        order.sort_by(|a, b| rows.scores[*a].total_cmp(&rows.scores[*b]));
        // Rows of one score are one point.
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for row in order {
            let (score, weight) = (rows.scores[row], rows.weight(row));
            let sum = weight * rows.outcomes[row];
            match points.last_mut() {
                Some(last) if last.0 == score => (last.1, last.2) = (last.1 + sum, last.2 + weight),
                _ => points.push((score, sum, weight)),
            }
        }
        // Blocks of points: where they begin, their sums and weights.
        let mut blocks: Vec<(usize, f64, f64)> = Vec::new();
        for (at, (_, sum, weight)) in points.iter().enumerate() {
            let mut block = (at, *sum, *weight);
            while let Some(last) = blocks.last() {
                if last.1 / last.2 < block.1 / block.2 {
                    break;
                }
                block = (last.0, last.1 + block.1, last.2 + block.2);
                blocks.pop();
            }
            blocks.push(block);
        }
        let (mut scores, mut values) = (Vec::new(), Vec::new());
        for (at, (start, sum, weight)) in blocks.iter().enumerate() {
            let end = blocks.get(at + 1).map_or(points.len(), |next| next.0) - 1;
            let value = (sum / weight).clamp(0.0, 1.0);
            scores.push(points[*start].0);
            values.push(value);
            if end > *start {
                scores.push(points[end].0);
                values.push(value);
            }
        }
        Ok(Self { scores, values })
    }

    /// One of points that were kept, as [`Isotonic::points`] gives them; none where they are not such: as many values as scores, at
    /// least one, finite scores that ascend, values from 0 to 1 that do not fall.
    pub fn of_points(scores: &[f64], values: &[f64]) -> Option<Self> {
        let is_one = !scores.is_empty()
            && scores.len() == values.len()
            && scores.iter().all(|s| s.is_finite())
            && scores.windows(2).all(|w| w[0] < w[1])
            && values.iter().all(|v| (0.0..=1.0).contains(v))
            && values.windows(2).all(|w| w[0] <= w[1]);
        is_one.then(|| Self {
            scores: scores.to_vec(),
            values: values.to_vec(),
        })
    }

    /// Scores between which it is linear, ascending, and its values there.
    pub fn points(&self) -> (&[f64], &[f64]) {
        (&self.scores, &self.values)
    }

    /// The probability at a score; of no number none.
    pub fn at(&self, score: f64) -> f64 {
        if score.is_nan() {
            return f64::NAN;
        }
        let above = self.scores.partition_point(|at| *at <= score);
        if above == 0 {
            return self.values[0];
        }
        let below = above - 1;
        if above == self.scores.len() {
            return self.values[below];
        }
        let share = (score - self.scores[below]) / (self.scores[above] - self.scores[below]);
        let (low, high) = (self.values[below], self.values[above]);
        (low + (high - low) * share).clamp(low, high)
    }
}

/// A logistic function of the score (Platt 1999), fitted by Newton's method with a line search (Lin, Lin and Weng 2007) to targets
/// that are drawn a little towards each other: `(n1 + 1) / (n1 + 2)` and `1 / (n0 + 2)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Platt {
    /// Of the score in the log odds; above zero where higher scores mean more.
    pub slope: f64,
    /// Log odds at score zero.
    pub intercept: f64,
}

impl Platt {
    /// Fits it.
    ///
    /// # Errors
    /// As [`Isotonic::fit`]; outcomes that are neither 0 nor 1, or all the same.
    pub fn fit(rows: &Rows<'_>) -> Result<Self, Error> {
        rows.check()?;
        refuse(
            "outcome",
            rows.outcomes,
            |x| *x == 0.0 || *x == 1.0,
            "0 or 1",
        )?;
        let count = |wanted: f64| -> f64 {
            (0..rows.scores.len())
                .filter(|row| rows.outcomes[*row] == wanted)
                .map(|row| rows.weight(row))
                .sum()
        };
        let (zeros, ones) = (count(0.0), count(1.0));
        if zeros == 0.0 || ones == 0.0 {
            let found = f64::from(u8::from(zeros == 0.0));
            return Err(Error::OneOutcome { found });
        }
        // Scores in units of their spread, so that steps are well scaled.
        let total = zeros + ones;
        let mean = (0..rows.scores.len())
            .map(|row| rows.weight(row) * (rows.scores[row] / total))
            .sum::<f64>();
        let variance: f64 = (0..rows.scores.len())
            .map(|row| {
                rows.weight(row) / total * (rows.scores[row] - mean) * (rows.scores[row] - mean)
            })
            .sum();
        let scale = if variance > 0.0 && variance.is_finite() {
            libm::sqrt(variance)
        } else {
            1.0
        };
        let targets = [1.0 / (zeros + 2.0), (ones + 1.0) / (ones + 2.0)];
        let each = |of: &mut dyn FnMut(f64, f64, f64)| {
            for (row, score) in rows.scores.iter().enumerate() {
                let target = targets[rows.outcomes[row] as usize];
                of((score - mean) / scale, target, rows.weight(row) / total);
            }
        };
        let loss = |slope: f64, intercept: f64| {
            let mut sum = 0.0;
            each(&mut |x, target, weight| {
                let log_odds = slope * x + intercept;
                let softplus = log_odds.max(0.0) + libm::log1p(libm::exp(-log_odds.abs()));
                sum += weight * (softplus - target * log_odds);
            });
            sum
        };
        let (mut slope, mut intercept) = (0.0, libm::log((ones + 1.0) / (zeros + 1.0)));
        let mut now = loss(slope, intercept);
        for _ in 0..100 {
            let (mut g, mut h) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
            each(&mut |x, target, weight| {
                let p = logistic(slope * x + intercept);
                let (off, curve) = (weight * (p - target), weight * p * (1.0 - p));
                g = [g[0] + off * x, g[1] + off];
                h = [h[0] + curve * x * x, h[1] + curve * x, h[2] + curve];
            });
            let determinant = h[0] * h[2] - h[1] * h[1];
            let step = [
                (h[1] * g[1] - h[2] * g[0]) / determinant,
                (h[1] * g[0] - h[0] * g[1]) / determinant,
            ];
            let promised = -(g[0] * step[0] + g[1] * step[1]);
            if promised.is_nan() || promised <= 1e-15 {
                break;
            }
            let mut share = 1.0;
            while share > 1e-10 {
                let tried = (slope + share * step[0], intercept + share * step[1]);
                let after = loss(tried.0, tried.1);
                if after <= now - 1e-4 * share * promised {
                    (slope, intercept, now) = (tried.0, tried.1, after);
                    break;
                }
                share /= 2.0;
            }
            if share <= 1e-10 {
                break;
            }
        }
        slope /= scale;
        Ok(Self {
            slope,
            intercept: intercept - slope * mean,
        })
    }

    /// The probability at a score.
    pub fn at(&self, score: f64) -> f64 {
        logistic(self.slope * score + self.intercept)
    }
}

fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

/// How probabilities are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Bins of equal width from 0 to 1.
    Width,
    /// Bins of about equally many rows.
    Rows,
}

/// Rows with about the same probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Mean probability.
    pub predicted: f64,
    /// Mean outcome.
    pub observed: f64,
    /// Sum of the rows' weights.
    pub weight: f64,
}

/// What probabilities said beside what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Reliability {
    /// Bins that have rows, ascending.
    pub bins: Vec<Bin>,
    /// Expected calibration error: the mean distance of the two over rows (Naeini, Cooper and Hauskrecht 2015).
    pub expected_error: f64,
    /// The greatest distance of a bin.
    pub maximum_error: f64,
    /// Mean squared distance of outcome and probability (Brier 1950).
    pub brier: f64,
}

/// How far probabilities are from outcomes, in `count` bins; a value on an edge belongs to the bin below it.
///
/// # Errors
/// As [`Isotonic::fit`], probabilities outside 0 to 1, no bins or more than 1,000.
pub fn reliability(rows: &Rows<'_>, count: usize, spacing: Spacing) -> Result<Reliability, Error> {
    rows.check()?;
    refuse(
        "probability",
        rows.scores,
        |x| (0.0..=1.0).contains(x),
        "0 to 1",
    )?;
    if !(1..=1_000).contains(&count) {
        return Err(Error::Bins { found: count });
    }
    let edges: Vec<f64> = match spacing {
        Spacing::Width => (1..count).map(|at| at as f64 / count as f64).collect(),
        Spacing::Rows => {
            let mut sorted = rows.scores.to_vec();
            sorted.sort_by(f64::total_cmp);
            let last = (sorted.len() - 1) as f64;
            let at = |share: f64| {
                let place = share * last;
                let below = place as usize;
                let above = (below + 1).min(sorted.len() - 1);
                sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
            };
            (1..count).map(|k| at(k as f64 / count as f64)).collect()
        }
    };
    let mut sums = vec![[0.0; 3]; count];
    let (mut brier, mut total) = (0.0, 0.0);
    for (row, score) in rows.scores.iter().enumerate() {
        let (weight, outcome) = (rows.weight(row), rows.outcomes[row]);
        let sum = &mut sums[edges.partition_point(|edge| edge < score)];
        *sum = [
            sum[0] + weight * score,
            sum[1] + weight * outcome,
            sum[2] + weight,
        ];
        brier += weight * (score - outcome) * (score - outcome);
        total += weight;
    }
    let bins: Vec<Bin> = (sums.iter())
        .filter(|sum| sum[2] > 0.0)
        .map(|[predicted, observed, weight]| Bin {
            predicted: predicted / weight,
            observed: observed / weight,
            weight: *weight,
        })
        .collect();
    let distance = |bin: &Bin| (bin.predicted - bin.observed).abs();
    Ok(Reliability {
        expected_error: bins
            .iter()
            .map(|bin| bin.weight / total * distance(bin))
            .sum(),
        maximum_error: bins.iter().map(distance).fold(0.0, f64::max),
        brier: brier / total,
        bins,
    })
}
