//! Newton's method with a line search over the design's products.

use super::check::{aliased, look, together};
use super::solve::{Net, descend, factor};
use super::{Design, Error, Family, Flag, Term};
use crate::columns;

/// What was observed, a value a row.
#[derive(Debug, Clone, Copy)]
pub struct Observations<'a> {
    /// The outcome, of which the family says what it may be.
    pub outcomes: &'a [f64],
    /// How much a row counts, zero or more; 1 each where there are none.
    pub weights: Option<&'a [f64]>,
    /// Added to the linear predictor.
    pub offset: Option<&'a [f64]>,
    /// For families with a log link: what the mean is proportional to, such as years insured; above zero.
    pub exposure: Option<&'a [f64]>,
}

/// An elastic net.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalty {
    /// Its weight, zero or more.
    pub alpha: f64,
    /// Share of the L1 penalty, 0 to 1.
    pub l1_ratio: f64,
}

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Of the outcomes.
    pub family: Family,
    /// On the coefficients, not on the intercept.
    pub penalty: Penalty,
    /// A step that promises less than this share of the null deviance is the last one.
    pub tolerance: f64,
    /// Most steps.
    pub iterations_max: usize,
}

impl Settings {
    /// A fit without a penalty.
    pub fn of(family: Family) -> Self {
        Self {
            family,
            penalty: Penalty {
                alpha: 0.0,
                l1_ratio: 0.0,
            },
            tolerance: 1e-9,
            iterations_max: 100,
        }
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Of the outcomes.
    pub family: Family,
    /// Linear predictor where everything else is zero or at its base level.
    pub intercept: f64,
    /// By term, in the columns' own units.
    pub coefficients: Vec<f64>,
    /// What they belong to.
    pub terms: Vec<Term>,
    /// Terms that are not estimated: their coefficients are 0.
    pub left_out: Vec<bool>,
    /// Deviance, summed over rows by their weights.
    pub deviance: f64,
    /// Deviance of the intercept alone, with the same offsets.
    pub null_deviance: f64,
    /// Steps made.
    pub iterations: usize,
    /// False where the last step still promised more than the tolerance.
    pub converged: bool,
    /// What should be known of it.
    pub flags: Vec<Flag>,
}

impl Fit {
    /// Means at the rows of a design with the same columns; see [`Observations`] for offset and exposure.
    ///
    /// # Errors
    /// A design with other terms, an offset or exposure that cannot be used.
    pub fn predict(
        &self,
        design: &Design<'_>,
        offset: Option<&[f64]>,
        exposure: Option<&[f64]>,
    ) -> Result<Vec<f64>, Error> {
        if design.terms() != self.terms {
            return Err(Error::Design {
                found: design.terms().len(),
                wanted: self.terms.len(),
            });
        }
        let mut out = base(self.family, design.rows(), offset, exposure)?;
        design.add_products(&design.scaled(&self.own()), &mut out);
        out.iter_mut().for_each(|x| *x = self.family.mean(*x));
        Ok(out)
    }

    /// The intercept and the coefficients.
    pub(super) fn own(&self) -> Vec<f64> {
        core::iter::once(self.intercept)
            .chain(self.coefficients.iter().copied())
            .collect()
    }
}

/// Checked observations.
pub(super) struct Rows<'a> {
    pub(super) outcomes: &'a [f64],
    weights: Option<&'a [f64]>,
    /// Sum of the weights.
    pub(super) total: f64,
    /// Offset and logarithm of the exposure.
    pub(super) base: Vec<f64>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        observations: &Observations<'a>,
        family: Family,
        rows: usize,
    ) -> Result<Self, Error> {
        family.check()?;
        length("outcome", observations.outcomes, rows)?;
        if let Some(weights) = observations.weights {
            length("weight", weights, rows)?;
            let wrong = |x: &f64| !(*x >= 0.0 && x.is_finite());
            refuse("weight", weights, wrong, "zero or a finite number above it")?;
        }
        refuse(
            "outcome",
            observations.outcomes,
            |y| !family.takes(*y),
            family.wanted(),
        )?;
        let total = observations
            .weights
            .map_or(rows as f64, |of| of.iter().sum());
        if total <= 0.0 {
            return Err(Error::Empty);
        }
        Ok(Self {
            outcomes: observations.outcomes,
            weights: observations.weights,
            total,
            base: base(family, rows, observations.offset, observations.exposure)?,
        })
    }

    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |of| of[row])
    }

    /// Deviance at linear predictors.
    fn deviance(&self, family: Family, predictors: &[f64]) -> f64 {
        (predictors.iter().enumerate())
            .map(|(row, x)| self.weight(row) * family.deviance(self.outcomes[row], family.mean(*x)))
            .sum()
    }

    /// The intercept that fits best alone.
    fn intercept(&self, family: Family) -> f64 {
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            (0..self.outcomes.len())
                .map(|row| self.weight(row) * of(self.outcomes[row], self.base[row]))
                .sum()
        };
        if family.has_log_link() {
            let (above, below) = (2.0 - family.power(), family.power() - 1.0);
            let earned = sum(&|y, base| y * libm::exp(-below * base));
            return libm::log(earned / sum(&|_, base| libm::exp(above * base)));
        }
        if family == Family::Gaussian {
            return sum(&|y, base| y - base) / self.total;
        }
        let mut at = family.link(sum(&|y, _| y) / self.total);
        for _ in 0..50 {
            let slope = sum(&|y, base| family.at(base + at, y).slope);
            let step = -slope / sum(&|y, base| family.at(base + at, y).curvature).max(1e-300);
            at += step.clamp(-5.0, 5.0);
            if step.abs() < 1e-12 {
                break;
            }
        }
        at
    }
}

fn length(column: &str, values: &[f64], wanted: usize) -> Result<(), Error> {
    if values.len() == wanted {
        return Ok(());
    }
    Err(Error::Columns(columns::Error::Length {
        column: column.to_owned(),
        found: values.len(),
        wanted,
    }))
}

fn refuse(
    column: &str,
    values: &[f64],
    wrong: impl Fn(&f64) -> bool,
    wanted: &'static str,
) -> Result<(), Error> {
    match values.iter().position(wrong) {
        None => Ok(()),
        Some(row) => Err(Error::Columns(columns::Error::Value {
            column: column.to_owned(),
            row,
            found: values[row],
            wanted,
        })),
    }
}

fn base(
    family: Family,
    rows: usize,
    offset: Option<&[f64]>,
    exposure: Option<&[f64]>,
) -> Result<Vec<f64>, Error> {
    let mut out = vec![0.0; rows];
    if let Some(offset) = offset {
        length("offset", offset, rows)?;
        refuse("offset", offset, |x| !x.is_finite(), "a finite number")?;
        out.copy_from_slice(offset);
    }
    if let Some(exposure) = exposure {
        length("exposure", exposure, rows)?;
        let wrong = |x: &f64| !(*x > 0.0 && x.is_finite() && family.has_log_link());
        let wanted = if family.has_log_link() {
            "a finite number above zero"
        } else {
            "none: exposure is for families with a log link; use weights"
        };
        refuse("exposure", exposure, wrong, wanted)?;
        out.iter_mut()
            .zip(exposure)
            .for_each(|(out, x)| *out += libm::log(*x));
    }
    Ok(out)
}

/// Slopes and curvatures of all rows at their linear predictors, by weights that add up to one.
struct State {
    slopes: Vec<f64>,
    curvatures: Vec<f64>,
    loss: f64,
}

impl State {
    fn at(&mut self, rows: &Rows<'_>, family: Family, predictors: &[f64]) {
        let mut loss = 0.0;
        for (row, predictor) in predictors.iter().enumerate() {
            let weight = rows.weight(row) / rows.total;
            let at = family.at(*predictor, rows.outcomes[row]);
            loss += weight * at.loss;
            self.slopes[row] = weight * at.slope;
            self.curvatures[row] = weight * at.curvature;
        }
        self.loss = loss;
    }
}

/// Fits a model.
///
/// # Errors
/// Observations that the family does not take, settings out of range, outcomes that are all the same (binomial, or all zero),
/// one column that tells all outcomes apart while there is no penalty.
pub fn fit(
    design: &Design<'_>,
    observations: &Observations<'_>,
    settings: &Settings,
) -> Result<Fit, Error> {
    let (family, penalty) = (settings.family, settings.penalty);
    check(settings)?;
    let rows = Rows::new(observations, family, design.rows())?;
    same(&rows, family)?;
    let (known, mut flags) = look(design, &rows, settings)?;
    let size = design.terms().len() + 1;
    let scales = core::iter::once(1.0).chain(design.scales().iter().copied());
    let (mut net, scales) = (
        Net {
            l1: vec![penalty.alpha * penalty.l1_ratio; size],
            l2: vec![penalty.alpha * (1.0 - penalty.l1_ratio); size],
        },
        scales.collect::<Vec<f64>>(),
    );
    // Coefficients of scaled numbers are larger by the scale.
    for (at, scale) in scales.iter().enumerate() {
        let kept = if at == 0 { 0.0 } else { 1.0 };
        net.l1[at] *= kept / scale;
        net.l2[at] *= kept / (scale * scale);
    }
    let lasso = net.l1.iter().any(|l1| *l1 > 0.0);
    let mut b = vec![0.0; size];
    b[0] = rows.intercept(family);
    let mut predictors: Vec<f64> = rows.base.iter().map(|base| base + b[0]).collect();
    let null_deviance = rows.deviance(family, &predictors);
    let scale = (null_deviance / rows.total / 2.0).max(f64::MIN_POSITIVE);
    let mut state = State {
        slopes: vec![0.0; design.rows()],
        curvatures: vec![0.0; design.rows()],
        loss: 0.0,
    };
    state.at(&rows, family, &predictors);
    if !state.loss.is_finite() {
        return Err(Error::NotFinite);
    }
    let mut left_out = known.clone();
    let (mut converged, mut iterations) = (false, 0);
    let mut moved = vec![0.0; design.rows()];
    while iterations < settings.iterations_max && !converged {
        let slope = design.sums(&state.slopes);
        let mut hessian = design.gram(&state.curvatures);
        if iterations == 0 && penalty.alpha == 0.0 {
            let found = factor(&hessian, size, &known);
            flags.extend(aliased(design, &hessian, &found, &known));
            left_out = found.aliased;
        }
        iterations += 1;
        let step = if lasso {
            let precision = 1e-3 * libm::sqrt(settings.tolerance * scale);
            descend(&hessian, &slope, &b, &net, &left_out, precision)
        } else {
            for at in 0..size {
                hessian[at * size + at] += net.l2[at];
            }
            let right: Vec<f64> = (0..size)
                .map(|at| -(slope[at] + net.l2[at] * b[at]))
                .collect();
            factor(&hessian, size, &left_out).solve(&right)
        };
        let moved_to = |share: f64| -> Vec<f64> {
            b.iter()
                .zip(&step)
                .map(|(b, step)| b + share * step)
                .collect()
        };
        let along: f64 = slope
            .iter()
            .zip(&step)
            .map(|(slope, step)| slope * step)
            .sum();
        let promised = -(along + net.of(&moved_to(1.0)) - net.of(&b));
        converged = promised <= settings.tolerance * scale;
        moved.fill(0.0);
        design.add_products(&step, &mut moved);
        let before = state.loss + net.of(&b);
        let mut share = 1.0;
        loop {
            let tried: Vec<f64> = predictors
                .iter()
                .zip(&moved)
                .map(|(x, by)| x + share * by)
                .collect();
            state.at(&rows, family, &tried);
            let after = state.loss + net.of(&moved_to(share));
            let enough = before - 1e-4 * share * promised.max(0.0) + 1e-14 * before.abs();
            if after <= enough {
                b = moved_to(share);
                predictors = tried;
                break;
            }
            share /= 2.0;
            if share < 1e-9 {
                // Nothing is gained any more: what rounding allows is reached, or the step leads nowhere.
                converged = promised <= 1e-6 * scale;
                state.at(&rows, family, &predictors);
                iterations = iterations.max(settings.iterations_max);
                break;
            }
        }
    }
    if !converged {
        flags.push(Flag::NotConverged { iterations });
    }
    let deviance = rows.deviance(family, &predictors);
    if family == Family::Binomial && deviance < 1e-6 * null_deviance {
        let columns = together(design, &rows, &b, &predictors);
        flags.push(Flag::PerfectFit { columns });
    }
    let own = design.unscaled(&b);
    Ok(Fit {
        family,
        intercept: own[0],
        coefficients: own[1..].to_vec(),
        terms: design.terms().to_vec(),
        left_out: left_out[1..].to_vec(),
        deviance,
        null_deviance,
        iterations,
        converged,
        flags,
    })
}

fn check(settings: &Settings) -> Result<(), Error> {
    let Penalty { alpha, l1_ratio } = settings.penalty;
    let wrong = |what, found, wanted| {
        Err(Error::Columns(columns::Error::Setting {
            what,
            found,
            wanted,
        }))
    };
    if !(alpha >= 0.0 && alpha.is_finite()) {
        return wrong("alpha", alpha, "a finite number, zero or more");
    }
    if !(0.0..=1.0).contains(&l1_ratio) {
        return wrong("l1_ratio", l1_ratio, "0 to 1");
    }
    if !(settings.tolerance > 0.0 && settings.tolerance < 1.0) {
        return wrong(
            "tolerance",
            settings.tolerance,
            "above 0 and below 1, such as 1e-9",
        );
    }
    if settings.iterations_max == 0 {
        return wrong("most iterations", 0.0, "1 or more");
    }
    Ok(())
}

/// Refuses outcomes of which there is nothing to learn.
fn same(rows: &Rows<'_>, family: Family) -> Result<(), Error> {
    let mut counted = (0..rows.outcomes.len()).filter(|row| rows.weight(*row) > 0.0);
    let first = counted.next().map_or(0.0, |row| rows.outcomes[row]);
    let all = counted.all(|row| rows.outcomes[row] == first);
    let nothing = match family {
        Family::Binomial => first == 0.0 || first == 1.0,
        Family::Poisson | Family::Tweedie { .. } => first == 0.0,
        Family::Gaussian | Family::Gamma => false,
    };
    if all && nothing {
        return Err(Error::Columns(columns::Error::OneOutcome { found: first }));
    }
    Ok(())
}
