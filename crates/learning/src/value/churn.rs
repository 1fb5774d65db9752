//! Who has left, and how well predictions fit what came in a holdout.

use super::{Error, within};
use crate::columns;
use crate::proportion::{Share, wilson};

/// Customers of about one expectation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Group {
    /// How many.
    pub customers: usize,
    /// Mean expected purchases.
    pub expected: f64,
    /// Mean purchases that came.
    pub observed: f64,
    /// Standard error of these.
    pub standard_error: f64,
}

/// Expected purchases beside those that came.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Calibration {
    /// Ascending by expectation.
    pub groups: Vec<Group>,
    /// Expected purchases of all.
    pub expected: f64,
    /// Purchases of all that came.
    pub observed: f64,
    /// Mean over customers of how far the two means of their group are apart.
    pub error: f64,
}

/// Compares expected purchases with those that came, in up to `groups` groups of about as many customers, ascending by expectation;
/// customers of one expectation are of one group. Rows in another order give the same groups.
///
/// # Errors
/// Columns of different length or without rows, numbers below zero or not finite, no groups.
pub fn calibrate(expected: &[f64], observed: &[f64], groups: usize) -> Result<Calibration, Error> {
    column(
        "expected purchases",
        expected,
        expected.len(),
        f64::INFINITY,
    )?;
    column(
        "observed purchases",
        observed,
        expected.len(),
        f64::INFINITY,
    )?;
    within(
        "number of groups",
        groups as f64,
        0.5..1_000.5,
        "1 to 1,000",
    )?;
    let mut rows: Vec<(f64, f64)> = (expected.iter().copied())
        .zip(observed.iter().copied())
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut found: Vec<(usize, Vec<(f64, f64)>)> = Vec::new();
    let mut start = 0;
    for same in rows.chunk_by(|a, b| a.0 == b.0) {
        // By the middle of those who are equal.
        let group = (2 * start + same.len()) * groups / (2 * rows.len());
        match found.last_mut() {
            Some(last) if last.0 == group => last.1.extend(same),
            _ => found.push((group, same.to_vec())),
        }
        start += same.len();
    }
    let groups: Vec<Group> = found
        .iter()
        .map(|(_, rows)| {
            let n = rows.len() as f64;
            let mean = |of: fn(&(f64, f64)) -> f64| rows.iter().map(of).sum::<f64>() / n;
            let (expected, observed) = (mean(|row| row.0), mean(|row| row.1));
            let squares: f64 = rows
                .iter()
                .map(|row| (row.1 - observed) * (row.1 - observed))
                .sum();
            Group {
                customers: rows.len(),
                expected,
                observed,
                standard_error: libm::sqrt(squares / (n - 1.0).max(1.0) / n),
            }
        })
        .collect();
    let all = rows.len() as f64;
    let apart = |g: &Group| g.customers as f64 / all * (g.expected - g.observed).abs();
    Ok(Calibration {
        expected: rows.iter().map(|row| row.0).sum(),
        observed: rows.iter().map(|row| row.1).sum(),
        error: groups.iter().map(apart).sum(),
        groups,
    })
}

/// Who counts as gone, beside who came in a holdout. A customer who is alive may not have bought in it: read it with its length. BG/NBD takes
/// everybody without a repeat purchase for alive, though most of them never come again: compare those with repeat purchases.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Churn {
    /// Customers who are alive with a probability below this count as gone.
    pub threshold: f64,
    /// Rows of those who count as gone, ascending.
    pub gone: Vec<usize>,
    /// Of these, who bought nothing in the holdout.
    pub silent_of_gone: Share,
    /// Of the others, who bought nothing in the holdout.
    pub silent_of_others: Share,
    /// Of all who bought nothing, who count as gone.
    pub gone_of_silent: Share,
}

/// Splits customers by their probability to be alive and counts, with intervals at `level`, who bought in the holdout.
///
/// # Errors
/// Columns of different length or without rows, probabilities, a threshold or a level out of their range.
pub fn churn(alive: &[f64], observed: &[f64], threshold: f64, level: f64) -> Result<Churn, Error> {
    column("probability alive", alive, alive.len(), 1.0)?;
    column("observed purchases", observed, alive.len(), f64::INFINITY)?;
    within("threshold", threshold, 0.0..1.0 + f64::EPSILON, "0 to 1")?;
    within(
        "level",
        level,
        f64::MIN_POSITIVE..1.0,
        "a number between 0 and 1, such as 0.95",
    )?;
    let gone: Vec<usize> = (0..alive.len())
        .filter(|row| alive[*row] < threshold)
        .collect();
    let silent = observed.iter().filter(|x| **x == 0.0).count() as u64;
    let both = gone.iter().filter(|row| observed[**row] == 0.0).count() as u64;
    let (all, apart) = (alive.len() as u64, gone.len() as u64);
    Ok(Churn {
        threshold,
        silent_of_gone: wilson(both, apart, level),
        silent_of_others: wilson(silent - both, all - apart, level),
        gone_of_silent: wilson(both, silent, level),
        gone,
    })
}

fn column(name: &str, values: &[f64], wanted: usize, most: f64) -> Result<(), Error> {
    let found = values.len();
    if found != wanted || found == 0 {
        return Err(columns::Error::Length {
            column: name.to_owned(),
            found,
            wanted: wanted.max(1),
        }
        .into());
    }
    let right = |x: &f64| x.is_finite() && *x >= 0.0 && *x <= most;
    match values.iter().position(|x| !right(x)) {
        None => Ok(()),
        Some(row) => Err(columns::Error::Value {
            column: name.to_owned(),
            row,
            found: values[row],
            wanted: if most == 1.0 {
                "0 to 1"
            } else {
                "zero or a finite number above it"
            },
        }
        .into()),
    }
}
