//! What estimators are made of: a term a row, whose mean is the value, or with it a ratio of two means.

use super::Error;

/// Terms of an estimate: its value is `mean(plain) + mean(numerators) / mean(denominators)`, each mean over rows by their weights,
/// each part only where it is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    pub(super) estimator: &'static str,
    pub(super) rows: usize,
    pub(super) plain: Option<Vec<f64>>,
    pub(super) ratio: Option<[Vec<f64>; 2]>,
    /// How much each row counts; the same for all where there is nothing.
    pub(super) weights: Option<Vec<f64>>,
}

impl Terms {
    /// Terms of a plain mean.
    pub(super) fn mean(estimator: &'static str, terms: Vec<f64>, weights: Option<&[f64]>) -> Self {
        Self {
            estimator,
            rows: terms.len(),
            plain: Some(terms),
            ratio: None,
            weights: weights.map(<[f64]>::to_vec),
        }
    }

    /// Name of the estimator.
    pub fn estimator(&self) -> &'static str {
        self.estimator
    }

    /// How many terms there are: rows of the logs, or slates.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The terms, where the estimate is a plain mean of them.
    pub fn plain(&self) -> Option<&[f64]> {
        self.plain.as_deref().filter(|_| self.ratio.is_none())
    }

    /// The estimate, in the unit of the rewards.
    pub fn value(&self) -> f64 {
        let plain = self.plain.as_ref().map_or(0.0, |terms| self.mean_of(terms));
        let ratio = self.ratio.as_ref().map_or(0.0, |[above, below]| {
            self.mean_of(above) / self.mean_of(below)
        });
        plain + ratio
    }

    /// How far each row moves the value: the first-order terms of its error, which add up to zero. Their sum of squares is the
    /// estimate's variance with `1 / n`; for ratios by the delta method.
    pub(super) fn deviations(&self) -> Vec<f64> {
        let mut moved = vec![0.0; self.rows];
        let mut add = |terms: &[f64], centre: f64, scale: f64| {
            for (moved, term) in moved.iter_mut().zip(terms) {
                *moved += (term - centre) * scale;
            }
        };
        if let Some(plain) = &self.plain {
            add(plain, self.mean_of(plain), 1.0);
        }
        if let Some([above, below]) = &self.ratio {
            let (over, under) = (self.mean_of(above), self.mean_of(below));
            add(above, 0.0, 1.0 / under);
            add(below, 0.0, -over / (under * under));
        }
        match &self.weights {
            None => {
                let rows = self.rows as f64;
                moved.iter_mut().for_each(|moved| *moved /= rows);
            }
            Some(weights) => {
                let total: f64 = weights.iter().sum();
                for (moved, weight) in moved.iter_mut().zip(weights) {
                    *moved *= weight / total;
                }
            }
        }
        moved
    }

    /// The weighted mean of one column.
    fn mean_of(&self, terms: &[f64]) -> f64 {
        match &self.weights {
            None => terms.iter().sum::<f64>() / terms.len() as f64,
            Some(weights) => {
                let sum: f64 = terms
                    .iter()
                    .zip(weights)
                    .map(|(term, weight)| term * weight)
                    .sum();
                sum / weights.iter().sum::<f64>()
            }
        }
    }

    /// Refuses terms of other rows.
    pub(super) fn paired(&self, other: &Self) -> Result<(), Error> {
        if self.rows == other.rows && self.weights == other.weights {
            return Ok(());
        }
        Err(Error::Unpaired {
            found: self.rows,
            wanted: other.rows,
        })
    }
}
