//! The values of a feature that effects are told at: edges of bins of about equally many rows, or categories in an order in which
//! neighbours are alike. Between neighbours lies a step, and a row belongs to one step of a number and to the steps on both sides of its
//! category.

use super::Rows;
use super::order;

/// Values of a feature in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Edges of bins, ascending: all of them values that rows have.
    Number(Vec<f64>),
    /// Places of categories; NaN is the missing one.
    Category(Vec<f64>),
}

/// Values as they were, without the missing ones, ascending, each once.
fn different(values: &[f64]) -> Vec<f64> {
    let mut out: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    out.sort_unstable_by(f64::total_cmp);
    out.dedup();
    out
}

impl Axis {
    /// Of a number, into `bins` at most: the least value, and the inverse of the empirical distribution function at equal shares
    /// (quantiles of type 1, Hyndman and Fan 1996). All values where there are no more than that.
    pub fn number(values: &[f64], bins: usize) -> Self {
        let different = different(values);
        if different.len() <= bins + 1 {
            return Self::Number(different);
        }
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut edges = vec![sorted[0]];
        edges.extend((1..=bins).map(|k| sorted[(k * sorted.len()).div_ceil(bins) - 1]));
        edges.dedup();
        Self::Number(edges)
    }

    /// Of a category: the `most` that most rows have, in an order in which neighbours are alike in the other columns
    /// ([`order::alike`]). What is missing is a category like others.
    pub fn category(rows: &Rows, at: usize, is_category: &[bool], most: usize) -> Self {
        let values = rows.column(at);
        let mut counts: Vec<(f64, usize)> = different(values).into_iter().map(|v| (v, 0)).collect();
        let mut missing = 0;
        for v in values {
            match counts.binary_search_by(|c| c.0.total_cmp(v)) {
                Ok(i) => counts[i].1 += 1,
                Err(_) => missing += 1,
            }
        }
        if missing > 0 {
            counts.push((f64::NAN, missing));
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.total_cmp(&b.0)));
        counts.truncate(most);
        let levels: Vec<f64> = counts.into_iter().map(|(v, _)| v).collect();
        let order = order::alike(rows, at, is_category, &levels);
        Self::Category(order.into_iter().map(|i| levels[i]).collect())
    }

    /// The values, in order.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::Number(values) | Self::Category(values) => values,
        }
    }

    /// Steps between neighbours.
    pub fn steps(&self) -> usize {
        self.values().len().saturating_sub(1)
    }

    /// Places that rows are counted at: steps of a number (one where it has a single value), categories.
    pub fn places(&self) -> usize {
        match self {
            Self::Number(_) => self.steps().max(1),
            Self::Category(levels) => levels.len(),
        }
    }

    /// The place of a value; none of a missing number, and of a category that is not told.
    pub fn place(&self, v: f64) -> Option<usize> {
        match self {
            Self::Number(_) if v.is_nan() => None,
            Self::Number(edges) => {
                let above = edges.iter().skip(1).filter(|e| **e < v).count();
                Some(above.min(self.places() - 1))
            }
            Self::Category(levels) => {
                (levels.iter()).position(|l| *l == v || (l.is_nan() && v.is_nan()))
            }
        }
    }

    /// The steps that a row of this value belongs to.
    pub fn moves(&self, v: f64) -> [Option<usize>; 2] {
        match (self, self.place(v)) {
            _ if self.steps() == 0 => [None, None],
            (_, None) => [None, None],
            (Self::Number(_), Some(bin)) => [Some(bin), None],
            (Self::Category(_), Some(at)) => [at.checked_sub(1), (at < self.steps()).then_some(at)],
        }
    }

    /// Of something told at the values, what it is at each place: of a number half way between its edges.
    pub(super) fn middles(&self, told: &[f64]) -> Vec<f64> {
        match self {
            Self::Number(_) if told.len() > 1 => {
                told.windows(2).map(|w| (w[0] + w[1]) / 2.0).collect()
            }
            _ => told.to_vec(),
        }
    }
}
