//! How much worse a model predicts when a column is shuffled among rows (Breiman 2001; Fisher, Rudin and Dominici 2019, section 3.2:
//! estimates by the difference).

use super::{Predict, Rows};
use crate::tabular::Error;
use luopan_kernel::random::Random;

/// A figure of predictions, the numbers of a row side by side; none where it has no value.
pub type Judge<'a> = dyn Fn(&[f64]) -> Option<f64> + 'a;

/// How much a figure falls with a column shuffled.
#[derive(Debug, Clone, PartialEq)]
pub struct Permuted {
    /// Mean over shuffles.
    pub mean: f64,
    /// Standard error of the mean, by how the shuffles differ: it does not hold how rows were drawn.
    pub standard_error: f64,
    /// One a shuffle.
    pub each: Vec<f64>,
}

/// Orders of rows, each row equally likely at each place (Fisher and Yates). The same seed gives the same.
pub fn shuffles(rows: usize, repeats: usize, seed: u64) -> Vec<Vec<u32>> {
    let mut random = Random::new(seed);
    (0..repeats)
        .map(|_| {
            let mut order: Vec<u32> = (0..rows as u32).collect();
            for last in (1..rows).rev() {
                let bound = last as u64 + 1;
                // Words at and above the greatest multiple of the bound would favour some rows.
                let most = u64::MAX - u64::MAX % bound;
                let word = loop {
                    let word = random.bits();
                    if word < most {
                        break word;
                    }
                };
                order.swap(last, (word % bound) as usize);
            }
            order
        })
        .collect()
}

/// How much worse `judge` finds predictions when the column has the values of other rows, in each of these orders; `sign` is 1 where
/// more is better, -1 where less is. A column that is not used is exactly 0.
///
/// # Errors
/// What the model refuses, a figure that has no value.
pub fn permutation(
    rows: &mut Rows,
    at: usize,
    orders: &[Vec<u32>],
    predict: &Predict<'_>,
    judge: &Judge<'_>,
    sign: f64,
) -> Result<Permuted, Error> {
    let figure = |found: &[f64]| {
        judge(found).ok_or_else(|| {
            Error::Model(
                "the figure has no value in these rows: they have one class alone, or amounts that it is not for"
                    .to_owned(),
            )
        })
    };
    let before = figure(&rows.asked(Vec::new(), predict)?)?;
    let column = rows.column(at).to_vec();
    let mut each = Vec::with_capacity(orders.len());
    for order in orders {
        let shuffled = order.iter().map(|r| column[*r as usize]).collect();
        let found = rows.asked(vec![(at, shuffled)], predict)?;
        each.push(sign * (before - figure(&found)?));
    }
    let n = each.len().max(1) as f64;
    let mean = super::rows::mean(&each);
    let squares: f64 = each.iter().map(|v| (v - mean) * (v - mean)).sum();
    let standard_error = match each.len() {
        0 | 1 => f64::NAN,
        _ => libm::sqrt(squares / (n - 1.0) / n),
    };
    Ok(Permuted {
        mean,
        standard_error,
        each,
    })
}
