//! What a fit cannot tell, found before it and named.

use super::fit::Rows;
use super::solve::Factor;
use super::{Column, Design, Error, Family, Settings, Term};

/// What a person should know of a fit.
#[derive(Debug, Clone, PartialEq)]
pub enum Flag {
    /// A column that has one value alone; its coefficients are 0.
    Constant {
        /// Its name.
        column: String,
    },
    /// A level that no row has; its coefficient is 0.
    NoRows {
        /// The level.
        term: Term,
    },
    /// A term that others add up to, so that its coefficient is 0.
    Aliased {
        /// The term.
        term: Term,
        /// The others; `intercept` where it takes one beside levels (a number's mean is not counted).
        by: Vec<String>,
    },
    /// A number or level that tells outcomes apart: without a penalty its coefficient has no bound, and where it stopped means
    /// nothing. Likely a leak, or a level too rare.
    Separated {
        /// The term.
        term: Term,
    },
    /// Nothing is left of the deviance: these columns together tell all outcomes, which is likely a leak.
    PerfectFit {
        /// Names of the columns: those of which none can be left out without the others' coefficients being changed.
        columns: Vec<String>,
    },
    /// The fit did not end within the iterations.
    NotConverged {
        /// How many there were.
        iterations: usize,
    },
}

/// Terms without rows or variation, and flags of these and of separation.
pub(super) fn look(
    design: &Design<'_>,
    rows: &Rows<'_>,
    settings: &Settings,
) -> Result<(Vec<bool>, Vec<Flag>), Error> {
    let mut out = vec![false; design.terms().len() + 1];
    let mut flags = Vec::new();
    let mut first = 0;
    for column in design.columns() {
        match column {
            Column::Numeric { name, values } => {
                let term = first;
                first += 1;
                let mut range = Span::default();
                let (mut zeros, mut ones) = (Span::default(), Span::default());
                for (row, x) in values
                    .iter()
                    .enumerate()
                    .filter(|(row, _)| rows.weight(*row) > 0.0)
                {
                    range.take(*x);
                    if rows.outcomes[row] == 0.0 {
                        zeros.take(*x);
                    } else if rows.outcomes[row] == 1.0 {
                        ones.take(*x);
                    }
                }
                if range.least == range.most {
                    out[term + 1] = true;
                    flags.push(Flag::Constant {
                        column: (*name).to_owned(),
                    });
                } else if settings.family == Family::Binomial && zeros.apart(&ones) {
                    separated(name, settings)?;
                    flags.push(Flag::Separated {
                        term: design.terms()[term].clone(),
                    });
                }
            }
            Column::Categorical {
                name,
                codes,
                levels,
                base,
            } => {
                // Weights of each level, of its outcomes, and of what they lack of one.
                let mut sums = vec![[0.0; 3]; levels.len()];
                for (row, code) in codes.iter().enumerate() {
                    let (weight, y) = (rows.weight(row), rows.outcomes[row]);
                    let sum = &mut sums[*code as usize];
                    sum[0] += weight;
                    sum[1] += weight * y;
                    sum[2] += weight * (1.0 - y);
                }
                let known = sums.iter().filter(|sum| sum[0] > 0.0).count();
                let pure = |sum: &[f64; 3]| match settings.family {
                    Family::Binomial => sum[1] == 0.0 || sum[2] == 0.0,
                    Family::Poisson | Family::Tweedie { .. } => sum[1] == 0.0,
                    Family::Gaussian | Family::Gamma => false,
                };
                let all = sums.iter().all(|sum| sum[0] == 0.0 || pure(sum));
                if known > 1 && all && settings.family == Family::Binomial {
                    separated(name, settings)?;
                }
                if known == 1 {
                    flags.push(Flag::Constant {
                        column: (*name).to_owned(),
                    });
                }
                for (_, sum) in (0u32..)
                    .zip(&sums)
                    .filter(|(level, _)| *base != Some(*level))
                {
                    let term = design.terms()[first].clone();
                    first += 1;
                    if sum[0] == 0.0 || known == 1 {
                        out[first] = true;
                        if known > 1 {
                            flags.push(Flag::NoRows { term });
                        }
                    } else if pure(sum) {
                        flags.push(Flag::Separated { term });
                    }
                }
            }
        }
    }
    Ok((out, flags))
}

/// Names of the columns that tell outcomes 0 and 1 apart together, by scaled coefficients and the predictors that they give: from the
/// least on, columns are left out as long as one cut still has every 0 below and every 1 above it.
pub(super) fn together(
    design: &Design<'_>,
    rows: &Rows<'_>,
    scaled: &[f64],
    predictors: &[f64],
) -> Vec<String> {
    let mut first = 1;
    let mut parts: Vec<(&str, Vec<f64>, f64)> = Vec::new();
    for column in design.columns() {
        let terms = match column {
            Column::Numeric { .. } => 1,
            Column::Categorical { levels, base, .. } => levels.len() - usize::from(base.is_some()),
        };
        let mut own = vec![0.0; scaled.len()];
        own[first..first + terms].copy_from_slice(&scaled[first..first + terms]);
        first += terms;
        let size: f64 = {
            let mut products = vec![0.0; design.rows()];
            design.add_products(&own, &mut products);
            let counted = products.iter().enumerate();
            let mean = products.iter().sum::<f64>() / products.len() as f64;
            counted
                .map(|(row, x)| rows.weight(row) * (x - mean) * (x - mean))
                .sum()
        };
        parts.push((column.name(), own, size));
    }
    parts.sort_by(|a, b| a.2.total_cmp(&b.2));
    // What rounding leaves of a column that was taken out tells nothing apart.
    let slack = 1e-9
        * predictors
            .iter()
            .fold(0.0, |most, x| libm::fmax(most, libm::fabs(*x)));
    let mut left = predictors.to_vec();
    let mut kept = Vec::new();
    for (name, own, size) in parts {
        let less: Vec<f64> = own.iter().map(|b| -b).collect();
        let mut without = left.clone();
        design.add_products(&less, &mut without);
        if size == 0.0 || cut(rows, &without, slack) {
            left = without;
        } else {
            kept.push(name.to_owned());
        }
    }
    // As they stand in the design.
    let place = |name: &String| design.columns().iter().position(|c| c.name() == name);
    kept.sort_by_key(place);
    kept
}

/// True when one number has the predictors of every outcome 0 below and of every 1 above it, by more than `slack`.
fn cut(rows: &Rows<'_>, predictors: &[f64], slack: f64) -> bool {
    let (mut zeros, mut ones) = (Span::default(), Span::default());
    for (row, x) in predictors.iter().enumerate() {
        if rows.weight(row) > 0.0 {
            let side = if rows.outcomes[row] < 0.5 {
                &mut zeros
            } else {
                &mut ones
            };
            side.take(*x);
        }
    }
    zeros.most + slack < ones.least
}

/// Separation ends a fit that nothing holds back.
fn separated(column: &str, settings: &Settings) -> Result<(), Error> {
    if settings.penalty.alpha > 0.0 {
        return Ok(());
    }
    Err(Error::Separated {
        column: column.to_owned(),
    })
}

struct Span {
    least: f64,
    most: f64,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
        }
    }
}

impl Span {
    fn take(&mut self, x: f64) {
        self.least = self.least.min(x);
        self.most = self.most.max(x);
    }

    /// True when both have something and no value of one lies among the other's.
    fn apart(&self, other: &Self) -> bool {
        let some = self.least <= self.most && other.least <= other.most;
        some && (self.most < other.least || other.most < self.least)
    }
}

/// Flags of the terms that a factor left out beyond those of `known`.
pub(super) fn aliased(
    design: &Design<'_>,
    matrix: &[f64],
    factor: &Factor,
    known: &[bool],
) -> Vec<Flag> {
    let size = design.terms().len() + 1;
    let mut flags = Vec::new();
    for left in (1..size).filter(|at| factor.aliased[*at] && !known[*at]) {
        let mut right: Vec<f64> = (0..size).map(|row| matrix[row * size + left]).collect();
        for (right, out) in right.iter_mut().zip(&factor.aliased) {
            if *out {
                *right = 0.0;
            }
        }
        let share = factor.solve(&right);
        let size_of = |at: usize| libm::sqrt(matrix[at * size + at]);
        let by = (0..size)
            .filter(|at| share[*at].abs() * size_of(*at) > 1e-6 * size_of(left))
            .map(|at| match at {
                0 => "intercept".to_owned(),
                _ => design.terms()[at - 1].to_string(),
            })
            .collect();
        let term = design.terms()[left - 1].clone();
        flags.push(Flag::Aliased { term, by });
    }
    flags
}
