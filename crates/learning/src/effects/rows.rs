//! Rows that a model is asked about, with some of their columns changed. Whatever their order in the table, they are looked at in one
//! order and drawn by what they hold, so that permuting a table changes nothing.

use crate::tabular::Error;
use luopan_kernel::id::hash64;

/// What a model says of rows of columns, one number a row: a pure function of each row.
pub type Predict<'a> = dyn Fn(&[Vec<f64>]) -> Result<Vec<f64>, Error> + 'a;

/// Rows in columns: numbers, or places of categories; NaN is missing.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: Vec<Vec<f64>>,
    len: usize,
}

impl Rows {
    /// Columns of equal length.
    ///
    /// # Errors
    /// None, none with rows, unequal ones.
    pub fn new(columns: Vec<Vec<f64>>) -> Result<Self, Error> {
        let len = columns.first().map_or(0, Vec::len);
        if len == 0 || columns.iter().any(|c| c.len() != len) {
            return Err(Error::Rows {
                found: columns.iter().map(Vec::len).min().unwrap_or(0),
                least: len.max(1),
                of: "each column",
            });
        }
        Ok(Self { columns, len })
    }

    /// Number of rows, at least one.
    #[allow(clippy::len_without_is_empty, reason = "there is no empty one")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// A column.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn column(&self, at: usize) -> &[f64] {
        &self.columns[at]
    }

    /// What is said of the rows with columns changed, each to as many values as there are rows.
    ///
    /// # Errors
    /// What the model refuses, and as many predictions as there are not rows.
    pub fn ask(
        &mut self,
        changed: Vec<(usize, Vec<f64>)>,
        predict: &Predict<'_>,
    ) -> Result<Vec<f64>, Error> {
        let found = self.asked(changed, predict)?;
        if found.len() != self.len {
            return Err(Error::Rows {
                found: found.len(),
                least: self.len,
                of: "one prediction a row",
            });
        }
        Ok(found)
    }

    /// [`Rows::ask`] of any number of predictions a row.
    pub(super) fn asked(
        &mut self,
        changed: Vec<(usize, Vec<f64>)>,
        predict: &Predict<'_>,
    ) -> Result<Vec<f64>, Error> {
        let mut before = Vec::with_capacity(changed.len());
        for (at, values) in changed {
            before.push((at, std::mem::replace(&mut self.columns[at], values)));
        }
        let found = predict(&self.columns);
        for (at, values) in before.into_iter().rev() {
            self.columns[at] = values;
        }
        found
    }

    /// What is said of the rows with one column the same in all of them.
    ///
    /// # Errors
    /// As [`Rows::ask`].
    pub fn at(&mut self, at: usize, value: f64, predict: &Predict<'_>) -> Result<Vec<f64>, Error> {
        self.ask(vec![(at, vec![value; self.len])], predict)
    }

    /// Some of the rows, by their places.
    #[must_use]
    pub fn take(&self, places: &[u32]) -> Self {
        let of = |c: &Vec<f64>| places.iter().map(|r| c[*r as usize]).collect();
        Self {
            columns: self.columns.iter().map(of).collect(),
            len: places.len(),
        }
    }
}

/// Places of rows in an order that what they hold and a seed give, whatever their order was: rows that hold the same in every column
/// stand side by side. The first of them are a sample drawn without replacement.
pub fn drawn(columns: &[&[f64]], seed: u64) -> Vec<u32> {
    let rows = columns.first().map_or(0, |c| c.len());
    let mut hashes = vec![hash64(&seed.to_le_bytes()); rows];
    for column in columns {
        for (hash, v) in hashes.iter_mut().zip(*column) {
            // Zeros and missing ones have one form each.
            let bits = if v.is_nan() { f64::NAN } else { v + 0.0 }.to_bits();
            let mixed = (*hash ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            *hash = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *hash ^= *hash >> 32;
        }
    }
    let mut out: Vec<u32> = (0..rows as u32).collect();
    out.sort_by_key(|r| hashes[*r as usize]);
    out
}

/// The mean of numbers, exact where they are all the same.
pub(super) fn mean(values: &[f64]) -> f64 {
    let Some(first) = values.first() else {
        return 0.0;
    };
    let off: f64 = values.iter().map(|v| v - first).sum();
    first + off / values.len() as f64
}
