//! Rows of a trial, and what is refused of them. This room must never change what it was given.

use super::error::{countable, length, values, weights};
use super::{Arms, Error, Learner, Propensities, Settings};
use crate::gbdt::Column;

/// What is learned from.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// What was known of each row before it got its arm.
    pub columns: &'a [Column<'a>],
    /// One a row, finite; what the settings' objective takes.
    pub outcomes: &'a [f64],
    /// The arm of each row.
    pub arms: &'a Arms,
    /// How much a row counts, finite and not negative; 1 each where there are none.
    pub weights: Option<&'a [f64]>,
    /// How arms were drawn. S and T do not ask.
    pub propensities: Propensities<'a>,
}

impl Trial<'_> {
    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Everything but the columns, through which the trees look.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Error> {
        settings.check()?;
        let rows = self.outcomes.len();
        countable(rows)?;
        length("the treatment", self.arms.codes().len(), rows)?;
        for column in self.columns {
            length(
                &format!("column {:?}", column.name),
                column.values.len(),
                rows,
            )?;
        }
        weights(self.weights, rows)?;
        values(
            "the outcome",
            self.outcomes,
            "a finite number",
            f64::is_finite,
        )?;
        let mut counted = (0..rows).filter(|row| self.weight(*row) > 0.0);
        let Some(first) = counted.next() else {
            return Err(Error::Value {
                column: "the weight",
                row: 0,
                found: 0.0,
                wanted: "weights of which some are above 0",
            });
        };
        let found = self.outcomes[first];
        if counted.all(|row| self.outcomes[row] == found) {
            return Err(Error::Constant { found });
        }
        self.enough(settings)
    }

    fn enough(&self, settings: &Settings) -> Result<(), Error> {
        let mut counts = vec![0; self.arms.names().len()];
        for (row, code) in self.arms.codes().iter().enumerate() {
            counts[*code as usize] += usize::from(self.weight(row) > 0.0);
        }
        let refuse = |least: usize, why| match counts.iter().position(|count| *count < least) {
            None => Ok(()),
            Some(arm) => Err(Error::Few {
                arm: self.arms.names()[arm].clone(),
                rows: counts[arm],
                least,
                why,
            }),
        };
        refuse(1, "an effect is a comparison with the control")?;
        let learner = settings.learner;
        let is_folded = matches!(learner, Learner::R | Learner::DoublyRobust)
            || (self.propensities == Propensities::Estimated && learner.is_weighted());
        let rows = counts.iter().copied().min().unwrap_or(0);
        if is_folded && rows < settings.folds {
            let folds = settings.folds;
            return Err(Error::Folds { rows, folds });
        }
        let leaf = settings.outcome.min_data_in_leaf;
        match learner {
            Learner::S | Learner::R => refuse(leaf, "a leaf of min_data_in_leaf"),
            Learner::T => refuse(2 * leaf, "two leaves of min_data_in_leaf of its own model"),
            Learner::X => refuse(
                2 * leaf.max(settings.effect.min_data_in_leaf),
                "two leaves of min_data_in_leaf of its own models",
            ),
            Learner::DoublyRobust => refuse(
                // so many that those of all folds but one are two leaves
                (2 * leaf * settings.folds).div_ceil(settings.folds - 1) + 1,
                "two leaves of min_data_in_leaf in all folds but one",
            ),
        }
    }
}
