//! How sure a prediction is: parameters drawn from the normal distribution that the observed information gives their logarithms, and what
//! each draw predicts. This tells how well parameters are known, not how much customers differ from their means.

use luopan_kernel::random::Random;

use super::newton::cholesky;
use super::{DRAWS_MAX, Error, within};
use crate::columns;

/// Between which values a prediction lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// By the fitted parameters.
    pub estimate: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound; infinite where draws have no finite mean.
    pub upper: f64,
    /// Probability with which it should hold: `(1 - level) / 2` is left on each side.
    pub level: f64,
}

/// The percentiles of what draws of parameters predict, around `estimate`. For a prediction by several models zip their draws.
///
/// # Errors
/// A level outside (0, 1), no draws, a prediction that is no number.
pub fn interval<P>(
    estimate: f64,
    draws: impl IntoIterator<Item = P>,
    level: f64,
    predict: impl Fn(P) -> f64,
) -> Result<Interval, Error> {
    within(
        "level",
        level,
        f64::MIN_POSITIVE..1.0,
        "a number between 0 and 1, such as 0.95",
    )?;
    let mut values: Vec<f64> = draws.into_iter().map(predict).collect();
    if let Some(row) = values.iter().position(|x| x.is_nan()) {
        return Err(columns::Error::Value {
            column: "prediction by a draw".to_owned(),
            row,
            found: f64::NAN,
            wanted: "a function that gives a number",
        }
        .into());
    }
    if values.is_empty() {
        return Err(count(0));
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let below = place as usize;
        let above = (below + 1).min(values.len() - 1);
        let (low, high) = (values[below], values[above]);
        if low == high {
            low
        } else {
            low + (high - low) * (place - below as f64)
        }
    };
    let side = (1.0 - level) / 2.0;
    Ok(Interval {
        estimate,
        lower: at(side),
        upper: at(1.0 - side),
        level,
    })
}

fn count(found: usize) -> Error {
    columns::Error::Setting {
        what: "number of draws",
        found: found as f64,
        wanted: "1 to 100,000",
    }
    .into()
}

/// Parameters drawn around those of a fit; `covariance` is of their logarithms.
pub(super) fn draw<const N: usize>(
    parameters: &[f64; N],
    covariance: &[[f64; N]; N],
    draws: usize,
    seed: u64,
) -> Result<Vec<[f64; N]>, Error> {
    if draws == 0 || draws > DRAWS_MAX {
        return Err(count(draws));
    }
    // A covariance is the inverse of what had a factor; rounding alone can leave it without one.
    let lower = cholesky(covariance).unwrap_or_else(|| {
        let mut diagonal = [[0.0; N]; N];
        (0..N).for_each(|at| diagonal[at][at] = libm::sqrt(covariance[at][at].max(0.0)));
        diagonal
    });
    let mut random = Random::new(seed);
    Ok((0..draws)
        .map(|_| {
            let z: [f64; N] = std::array::from_fn(|_| random.normal());
            std::array::from_fn(|row| {
                let moved: f64 = (0..=row).map(|at| lower[row][at] * z[at]).sum();
                parameters[row] * libm::exp(moved)
            })
        })
        .collect())
}
