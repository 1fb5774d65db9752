//! How sure coefficients are: from Fisher's information, and by a sandwich of the observed information that holds where the variance is not what the family
//! says (Huber 1967, White 1982; with the factor rows over degrees of freedom, HC1 of MacKinnon and White 1985). Both are
//! for fits without a penalty; with one they say how sure the fit is around its own, biased, aim.

use super::fit::Rows;
use super::solve::factor;
use super::{Design, Error, Family, Fit, Observations};
use crate::columns;

/// Standard errors and covariances, the intercept first; zero for terms that were left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Inference {
    /// Pearson's chi-squared over the degrees of freedom; far from 1 for Poisson and binomial, the family's variance is wrong.
    pub dispersion: f64,
    /// Rows that count, less the terms that were estimated.
    pub degrees_of_freedom: f64,
    /// Standard errors by information; the dispersion is 1 for Poisson and binomial, Pearson's for the others.
    pub errors: Vec<f64>,
    /// Robust standard errors.
    pub robust_errors: Vec<f64>,
    /// Covariance by information, terms + 1 rows.
    pub covariance: Vec<f64>,
    /// Robust covariance.
    pub robust_covariance: Vec<f64>,
}

/// How sure a fit is, from the rows that it was fitted to. Weights are inverse variances: a row of weight 2 counts as the mean of
/// two.
///
/// # Errors
/// Another design or observations that the fit cannot have seen; no more rows than terms.
pub fn inference(
    design: &Design<'_>,
    observations: &Observations<'_>,
    fit: &Fit,
) -> Result<Inference, Error> {
    let family = fit.family;
    let rows = Rows::new(observations, family, design.rows())?;
    let means = fit.predict(design, observations.offset, observations.exposure)?;
    let size = design.terms().len() + 1;
    let left_out: Vec<bool> = core::iter::once(false)
        .chain(fit.left_out.iter().copied())
        .collect();
    let terms = left_out.iter().filter(|out| !**out).count() as f64;
    let counted = (0..design.rows())
        .filter(|row| rows.weight(*row) > 0.0)
        .count() as f64;
    let degrees_of_freedom = counted - terms;
    if degrees_of_freedom <= 0.0 {
        return Err(Error::Columns(columns::Error::Setting {
            what: "rows less terms",
            found: degrees_of_freedom,
            wanted: "more rows than terms",
        }));
    }
    let mut pearson = 0.0;
    let (mut information, mut observed, mut squares) = (Vec::new(), Vec::new(), Vec::new());
    for (row, mean) in means.iter().enumerate() {
        let (weight, residual) = (rows.weight(row), rows.outcomes[row] - mean);
        let variance = family.variance(*mean);
        let pull = if variance > 0.0 {
            weight * residual * family.mean_slope(*mean) / variance
        } else {
            0.0
        };
        pearson += if variance > 0.0 {
            weight * residual * residual / variance
        } else {
            0.0
        };
        information.push(weight * family.information(*mean));
        observed.push(weight * family.at(family.link(*mean), rows.outcomes[row]).curvature);
        squares.push(pull * pull);
    }
    let dispersion = pearson / degrees_of_freedom;
    let scale = match family {
        Family::Poisson | Family::Binomial => 1.0,
        _ => dispersion,
    };
    let inverse = |of: &[f64]| factor(&design.gram(of), size, &left_out).inverse();
    let (covariance, bread) = (inverse(&information), inverse(&observed));
    let meat = design.gram(&squares);
    let sandwich = product(&product(&bread, &meat, size), &bread, size);
    let factor = counted / degrees_of_freedom;
    let covariance = unscaled(design, covariance.iter().map(|x| x * scale).collect());
    let robust_covariance = unscaled(design, sandwich.iter().map(|x| x * factor).collect());
    let errors = |of: &[f64]| {
        (0..size)
            .map(|at| libm::sqrt(of[at * size + at].max(0.0)))
            .collect()
    };
    Ok(Inference {
        dispersion,
        degrees_of_freedom,
        errors: errors(&covariance),
        robust_errors: errors(&robust_covariance),
        covariance,
        robust_covariance,
    })
}

fn product(a: &[f64], b: &[f64], size: usize) -> Vec<f64> {
    let mut out = vec![0.0; size * size];
    for (a, out) in a.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        for (by, b) in a.iter().zip(b.chunks_exact(size)) {
            out.iter_mut().zip(b).for_each(|(out, b)| *out += by * b);
        }
    }
    out
}

/// A covariance of scaled coefficients in the columns' own units.
fn unscaled(design: &Design<'_>, covariance: Vec<f64>) -> Vec<f64> {
    let size = design.terms().len() + 1;
    let lines = |of: &[f64]| -> Vec<f64> {
        let mut out = vec![0.0; size * size];
        // What was a row comes out as a column.
        for (row, line) in of.chunks_exact(size).enumerate() {
            for (column, value) in design.unscaled(line).into_iter().enumerate() {
                out[column * size + row] = value;
            }
        }
        out
    };
    lines(&lines(&covariance))
}
