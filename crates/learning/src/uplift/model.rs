//! What was learned, and what it says of rows to come. This room must never learn.

use super::error::{length, values};
use super::learners::propensities;
use super::nuisance::{Fitted, predict};
use super::{Error, Learner};
use crate::gbdt::Column;

/// Effects of every treatment against the control.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub(super) learner: Learner,
    pub(super) features: Vec<String>,
    pub(super) arms: Vec<String>,
    pub(super) parts: Parts,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parts {
    /// One model of the outcome, with a mark a treatment behind the columns.
    Single(Fitted),
    /// A model of the outcome an arm.
    Arms(Vec<Fitted>),
    /// Of each treatment the effect as the control's rows and as its own rows tell it, and the control's share of the average or,
    /// where propensities were estimated, the model of arms.
    Crossed {
        outcomes: Vec<Fitted>,
        effects: Vec<[Fitted; 2]>,
        shares: Result<Vec<f64>, Fitted>,
    },
    /// A model of the effect a treatment.
    Direct(Vec<Fitted>),
}

/// Numbers by row and treatment.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// Rows x treatments, in the unit of the outcome.
    pub values: Vec<f64>,
    /// Number of treatments.
    pub treatments: usize,
}

impl Effects {
    /// The effects of one treatment, counted from 1 as arms are, one a row.
    ///
    /// # Panics
    /// When there is no such treatment.
    #[must_use]
    pub fn of(&self, treatment: u32) -> Vec<f64> {
        let at = treatment as usize - 1;
        assert!(at < self.treatments, "a treatment");
        self.values
            .chunks_exact(self.treatments)
            .map(|line| line[at])
            .collect()
    }

    fn of_columns(columns: Vec<Vec<f64>>) -> Self {
        let rows = columns.first().map_or(0, Vec::len);
        Self {
            values: (0..rows)
                .flat_map(|row| columns.iter().map(move |column| column[row]))
                .collect(),
            treatments: columns.len(),
        }
    }
}

impl Model {
    /// How it was learned.
    pub fn learner(&self) -> Learner {
        self.learner
    }

    /// Names of the columns that a row must have, in order.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Names of the arms, the control first.
    pub fn arms(&self) -> &[String] {
        &self.arms
    }

    /// The effects of each treatment on each row.
    ///
    /// # Errors
    /// Columns of other names or order than those learned from, of unequal length, infinite numbers.
    pub fn effects(&self, columns: &[Column<'_>]) -> Result<Effects, Error> {
        let rows = self.check(columns)?;
        let told = |model: &Fitted| predict(model, columns, &[], 0..rows);
        let minus =
            |a: Vec<f64>, b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        Ok(Effects::of_columns(match &self.parts {
            Parts::Single(_) | Parts::Arms(_) => {
                let mut arms = self.by_arm(columns, rows);
                let control = arms.remove(0);
                arms.into_iter().map(|arm| minus(arm, &control)).collect()
            }
            Parts::Crossed {
                effects, shares, ..
            } => {
                let arms = self.arms.len();
                let table = match shares {
                    Ok(_) => Vec::new(),
                    Err(model) => propensities(&told(model), arms, f64::MIN_POSITIVE),
                };
                let share = |row: usize, treatment: usize| match shares {
                    Ok(shares) => shares[treatment],
                    Err(_) => {
                        let [none, some] = [0, treatment + 1].map(|arm| table[row * arms + arm]);
                        some / (none + some)
                    }
                };
                let of = |(treatment, sides): (usize, &[Fitted; 2])| {
                    let [control, treated] = [told(&sides[0]), told(&sides[1])];
                    (0..rows)
                        .map(|row| {
                            let share = share(row, treatment);
                            share * control[row] + (1.0 - share) * treated[row]
                        })
                        .collect()
                };
                effects.iter().enumerate().map(of).collect()
            }
            Parts::Direct(effects) => effects.iter().map(told).collect(),
        }))
    }

    /// The outcomes that each row would have under each treatment, for costs that an outcome brings; none from R and doubly
    /// robust, which learn effects alone.
    ///
    /// # Errors
    /// As [`Model::effects`].
    pub fn treated_outcomes(&self, columns: &[Column<'_>]) -> Result<Option<Effects>, Error> {
        let rows = self.check(columns)?;
        if let Parts::Direct(_) = self.parts {
            return Ok(None);
        }
        let mut arms = self.by_arm(columns, rows);
        arms.remove(0);
        Ok(Some(Effects::of_columns(arms)))
    }

    /// Predicted outcomes by arm.
    fn by_arm(&self, columns: &[Column<'_>], rows: usize) -> Vec<Vec<f64>> {
        match &self.parts {
            Parts::Single(model) => (0..self.arms.len())
                .map(|arm| {
                    let marks: Vec<f64> = (1..self.arms.len())
                        .map(|treatment| f64::from(u8::from(treatment == arm)))
                        .collect();
                    predict(model, columns, &marks, 0..rows)
                })
                .collect(),
            Parts::Arms(models)
            | Parts::Crossed {
                outcomes: models, ..
            } => models
                .iter()
                .map(|model| predict(model, columns, &[], 0..rows))
                .collect(),
            Parts::Direct(_) => Vec::new(),
        }
    }

    fn check(&self, columns: &[Column<'_>]) -> Result<usize, Error> {
        length("a row", columns.len(), self.features.len())?;
        let rows = columns.first().map_or(0, |column| column.values.len());
        for (column, name) in columns.iter().zip(&self.features) {
            if column.name != name {
                return Err(super::error::setting(
                    "a column",
                    column.name,
                    "the columns that were learned from, in their order",
                ));
            }
            length(
                &format!("column {:?}", column.name),
                column.values.len(),
                rows,
            )?;
            values(
                "a column",
                column.values,
                "a finite number, or NaN where it is missing",
                |x| !x.is_infinite(),
            )?;
        }
        Ok(rows)
    }
}
