//! Partial dependence (Friedman 2001, section 8.2) with individual conditional expectations (Goldstein, Kapelner, Bleich and Pitkin 2015)
//! as bands, and how much of what two features do together is not what each does alone (Friedman and Popescu 2008, section 8.1).

use super::rows::mean;
use super::{Predict, Rows};
use crate::tabular::Error;

/// Shares of rows of the bands.
pub const BANDS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// What is predicted, on average and by row, where every row has the same value.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependence {
    /// Mean prediction at each value.
    pub means: Vec<f64>,
    /// Quantiles of the rows' own predictions at each value, at the shares [`BANDS`], linear between rows.
    pub bands: Vec<[f64; BANDS.len()]>,
}

/// A quantile of ascending numbers, linear between them (type 7, Hyndman and Fan 1996).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = at as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// Partial dependence on a column, at these values.
///
/// # Errors
/// What the model refuses.
pub fn partial_dependence(
    rows: &mut Rows,
    at: usize,
    values: &[f64],
    predict: &Predict<'_>,
) -> Result<Dependence, Error> {
    let mut out = Dependence {
        means: Vec::with_capacity(values.len()),
        bands: Vec::with_capacity(values.len()),
    };
    for value in values {
        let mut found = rows.at(at, *value, predict)?;
        out.means.push(mean(&found));
        found.sort_unstable_by(f64::total_cmp);
        out.bands.push(BANDS.map(|share| quantile(&found, share)));
    }
    Ok(out)
}

/// How far two features go beyond what each does alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction {
    /// Friedman's H, 0 where they add up, 1 where neither does anything alone; none where they do nothing together.
    pub h: Option<f64>,
    /// The root of the mean square of what is beyond, on the scale of the predictions: H may be great where both do little.
    pub beyond: f64,
}

/// Below this share of the squares of predictions, what two features do together is rounding.
const ROUNDING: f64 = 1e-24;

/// Friedman's H statistic of two columns: partial dependence at the values that rows have, over these rows.
///
/// # Errors
/// What the model refuses.
pub fn interaction(
    rows: &mut Rows,
    at: [usize; 2],
    predict: &Predict<'_>,
) -> Result<Interaction, Error> {
    let alone = [
        at_rows(rows, &at[..1], predict)?,
        at_rows(rows, &at[1..], predict)?,
    ];
    let together = at_rows(rows, &at, predict)?;
    let level = mean(&together).abs();
    let [alone, together] = [alone.map(centred), [centred(together), Vec::new()]];
    let mut beyond = 0.0;
    let mut all = 0.0;
    for (row, both) in together[0].iter().enumerate() {
        let off = both - alone[0][row] - alone[1][row];
        beyond += off * off;
        all += both * both;
    }
    let n = rows.len() as f64;
    let least = ROUNDING * level * level * n;
    Ok(Interaction {
        h: (all > least).then(|| libm::sqrt(beyond / all)),
        beyond: libm::sqrt(beyond / n),
    })
}

fn centred(values: Vec<f64>) -> Vec<f64> {
    let centre = mean(&values);
    values.into_iter().map(|v| v - centre).collect()
}

/// Partial dependence on columns at each row's values; the same values are asked about once.
fn at_rows(rows: &mut Rows, at: &[usize], predict: &Predict<'_>) -> Result<Vec<f64>, Error> {
    let n = rows.len();
    let key = |row: usize| -> Vec<u64> {
        let bits = |c: &usize| {
            let v = rows.column(*c)[row];
            if v.is_nan() { f64::NAN } else { v + 0.0 }.to_bits()
        };
        at.iter().map(bits).collect()
    };
    let keys: Vec<Vec<u64>> = (0..n).map(key).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|x, y| keys[*x].cmp(&keys[*y]));
    let mut out = vec![0.0; n];
    for same in order.chunk_by(|x, y| keys[*x] == keys[*y]) {
        let changed = (at.iter())
            .map(|c| (*c, vec![rows.column(*c)[same[0]]; n]))
            .collect();
        let found = mean(&rows.ask(changed, predict)?);
        same.iter().for_each(|row| out[*row] = found);
    }
    Ok(out)
}
