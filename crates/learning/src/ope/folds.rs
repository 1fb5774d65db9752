//! Cross-fitting (Chernozhukov et al. 2018): the prediction for a row comes from a reward model that has not seen the row, so that
//! an estimate is not biased by what the model remembers.

use luopan_kernel::id::hash64;
use luopan_kernel::random::Random;

use super::logs::{finite, indexes};
use super::{Error, Logs};

/// Most folds.
pub const FOLDS_MAX: usize = 1_000;

/// A fold, `0..folds`, for each of `rows` rows: as equal in size as can be, shuffled by `seed`.
///
/// # Errors
/// Fewer than two folds, more than [`FOLDS_MAX`], or more than rows.
pub fn shuffled(rows: usize, folds: usize, seed: u64) -> Result<Vec<u32>, Error> {
    enough(rows, folds)?;
    let mut of: Vec<u32> = (0..rows).map(|row| (row % folds) as u32).collect();
    let mut random = Random::new(seed);
    for last in (1..rows).rev() {
        let at = ((u128::from(random.bits()) * (last as u128 + 1)) >> 64) as usize;
        of.swap(last, at);
    }
    Ok(of)
}

/// A fold for each row by its key, such as the customer: rows of one key are in one fold.
///
/// # Errors
/// As [`shuffled`], and a fold without rows.
pub fn by_key(keys: &[u64], folds: usize, seed: u64) -> Result<Vec<u32>, Error> {
    enough(keys.len(), folds)?;
    let of: Vec<u32> = keys
        .iter()
        .map(|key| {
            let mut bytes = [0u8; 16];
            bytes[..8].copy_from_slice(&key.to_le_bytes());
            bytes[8..].copy_from_slice(&seed.to_le_bytes());
            (hash64(&bytes) % folds as u64) as u32
        })
        .collect();
    let mut seen = vec![false; folds];
    of.iter().for_each(|fold| seen[*fold as usize] = true);
    if seen.contains(&false) {
        return Err(Error::Few {
            rows: keys.len(),
            what: "a fold for every part of the keys",
            least: folds,
        });
    }
    Ok(of)
}

fn enough(rows: usize, folds: usize) -> Result<(), Error> {
    if !(2..=FOLDS_MAX).contains(&folds) {
        return Err(Error::Setting {
            what: "number of folds",
            found: folds as f64,
            wanted: "2 to 1,000",
        });
    }
    if rows < folds {
        return Err(Error::Few {
            rows,
            what: "this number of folds",
            least: folds,
        });
    }
    Ok(())
}

/// Predictions, rows x `width`, of which each row's come from the fit without its fold. `fit` is given the rows to learn from and
/// the rows to predict, ascending, and answers with as many x `width` numbers.
///
/// # Errors
/// What `fit` fails with; an answer of another length or that is not finite.
pub fn cross_fit<E: From<Error>>(
    folds: &[u32],
    width: usize,
    mut fit: impl FnMut(&[usize], &[usize]) -> Result<Vec<f64>, E>,
) -> Result<Vec<f64>, E> {
    let mut out = vec![0.0; folds.len() * width];
    let count = folds.iter().max().map_or(0, |most| *most + 1);
    for fold in 0..count {
        let (held, learned): (Vec<usize>, Vec<usize>) =
            (0..folds.len()).partition(|row| folds[*row] == fold);
        if held.is_empty() {
            continue;
        }
        let told = fit(&learned, &held)?;
        super::logs::length("predictions of a fold", &told, held.len() * width)?;
        finite("prediction of a fold", &told)?;
        if width > 0 {
            for (row, line) in held.iter().zip(told.chunks_exact(width)) {
                out[row * width..(row + 1) * width].copy_from_slice(line);
            }
        }
    }
    Ok(out)
}

/// Mean rewards by context and action, cross-fitted, for logs whose contexts are few: a baseline that needs no features.
#[derive(Debug, Clone, PartialEq)]
pub struct Means {
    /// folds x contexts x actions.
    pub values: Vec<f64>,
    /// Line of each row in `values`, for [`super::Table::by_context`].
    pub lines: Vec<u32>,
}

/// Means of the rewards in the other folds, drawn towards the mean of all of them as if `strength` rows had shown it.
///
/// # Errors
/// Columns of another length, a context or fold out of range, a strength that is not above zero.
pub fn means(
    logs: &Logs<'_>,
    contexts: &[u32],
    context_count: usize,
    folds: &[u32],
    strength: f64,
) -> Result<Means, Error> {
    let (columns, rows) = (logs.columns(), logs.rows());
    for (column, found) in [("contexts", contexts.len()), ("folds", folds.len())] {
        if found != rows {
            return Err(Error::Length {
                column,
                found,
                wanted: rows,
            });
        }
    }
    indexes("context", contexts, context_count)?;
    indexes("fold", folds, FOLDS_MAX)?;
    if !(strength > 0.0 && strength.is_finite()) {
        return Err(Error::Setting {
            what: "strength",
            found: strength,
            wanted: "a number of rows above zero",
        });
    }
    let count = folds.iter().max().map_or(0, |most| *most as usize + 1);
    let actions = columns.action_count;
    let cells = context_count * actions;
    let mut sums = vec![0.0; count * cells];
    let mut sizes = vec![0.0; count * cells];
    for row in 0..rows {
        let weight = columns.weights.map_or(1.0, |of| of[row]);
        let cell = contexts[row] as usize * actions + columns.actions[row] as usize;
        let at = folds[row] as usize * cells + cell;
        sums[at] += weight * columns.rewards[row];
        sizes[at] += weight;
    }
    let whole = |of: &[f64]| -> Vec<f64> {
        (0..cells)
            .map(|cell| (0..count).map(|fold| of[fold * cells + cell]).sum())
            .collect()
    };
    let (sum, size) = (whole(&sums), whole(&sizes));
    let mut values = Vec::with_capacity(count * cells);
    for fold in 0..count {
        let without = |all: &[f64], of: &[f64], cell: usize| all[cell] - of[fold * cells + cell];
        let learned: f64 = (0..cells).map(|cell| without(&size, &sizes, cell)).sum();
        let earned: f64 = (0..cells).map(|cell| without(&sum, &sums, cell)).sum();
        let mean = if learned > 0.0 { earned / learned } else { 0.0 };
        values.extend((0..cells).map(|cell| {
            (without(&sum, &sums, cell) + strength * mean)
                / (without(&size, &sizes, cell) + strength)
        }));
    }
    let lines = folds
        .iter()
        .zip(contexts)
        .map(|(fold, context)| *fold * context_count as u32 + *context)
        .collect();
    Ok(Means { values, lines })
}
