//! A kept model as a function of encoded rows, on either scale, and outcomes to judge it by: for whoever changes rows to see what
//! the model makes of it. This room must never change a model.

use super::kept::Kept;
use super::metrics::{self, Judged, METRICS, Metric};
use super::roles::column;
use super::{Error, Frame, Series, Task};
use serde::{Deserialize, Serialize};

/// The scale that a model is looked at on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Where the model adds up: log odds, the logarithm of a mean, points of a card. Before calibration.
    Link,
    /// What is predicted: probabilities, means. After calibration.
    Response,
}

impl Scale {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Response => "response",
        }
    }
}

/// Features as a model takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// One a feature, in the model's order: numbers, or places of levels, the number of levels for a text that was never seen; NaN is
    /// missing.
    pub columns: Vec<Vec<f64>>,
    /// Rows with a text that was never seen, by feature.
    pub unseen: Vec<usize>,
}

/// What happened in rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    /// Rows that have an outcome, in their order.
    pub rows: Vec<u32>,
    /// Of these: the place of the class, the amount, or the amount by unit of exposure.
    pub targets: Vec<f64>,
    /// Of these: how much each counts, where there are exposures.
    pub weights: Option<Vec<f64>>,
}

impl Kept {
    /// The model's features of a table, which holds them by name, in any order.
    ///
    /// # Errors
    /// A feature that is not there or holds texts where it held numbers, infinite numbers.
    pub fn encoded(&self, frame: &Frame) -> Result<Encoded, Error> {
        let matrix = self.matrix(frame)?;
        Ok(Encoded {
            columns: matrix.columns,
            unseen: matrix.unseen,
        })
    }

    /// Numbers that are said of a row: one, or one a class.
    pub fn outputs(&self) -> usize {
        match self.task() {
            Task::Multiclass => self.target().classes.len(),
            _ => 1,
        }
    }

    /// What the model says of encoded rows, the outputs of a row side by side.
    ///
    /// # Errors
    /// What the model refuses.
    pub fn ask(&self, columns: &[Vec<f64>], scale: Scale) -> Result<Vec<f64>, Error> {
        match scale {
            Scale::Link => self.raw(columns),
            Scale::Response => self.respond(columns),
        }
    }

    /// What a number of this scale is.
    pub fn unit(&self, scale: Scale) -> &'static str {
        let is_card = self.kind() == super::Kind::Scorecard;
        match (scale, self.task()) {
            (Scale::Link, _) if is_card => "points",
            (Scale::Link, Task::Binary) => "log odds",
            (Scale::Link, Task::Poisson | Task::Gamma | Task::Tweedie) => "logarithm of the mean",
            (Scale::Link, Task::Multiclass) => "score of the class before softmax",
            (_, Task::Binary | Task::Multiclass) => "probability",
            (_, Task::Rank) => "ranking score",
            _ => "mean",
        }
    }

    /// Figures that its task is judged by, the foremost first.
    pub fn figures(&self) -> Vec<Metric> {
        let own = metrics::of(self.task()).iter();
        own.filter_map(|name| METRICS.iter().find(|m| m.name == *name))
            .copied()
            .collect()
    }

    /// What happened, by a column of a table; of rates the table holds the exposures, too.
    ///
    /// # Errors
    /// A column that is not there, a class that the model does not know, texts where it predicts amounts, infinite amounts, fewer
    /// than two rows with an outcome.
    pub fn outcomes(&self, frame: &Frame, target: &str) -> Result<Outcomes, Error> {
        let series = column(frame, target)?;
        let rows: Vec<u32> = (0..frame.rows() as u32)
            .filter(|r| !series.is_missing(*r as usize))
            .collect();
        if rows.len() < 2 {
            return Err(Error::Rows {
                found: rows.len(),
                least: 2,
                of: "judging by outcomes",
            });
        }
        let bad = |row: u32, wanted| Error::Value {
            name: target.to_owned(),
            row: row as usize + 1,
            found: series.text(row as usize).unwrap_or_default(),
            wanted,
        };
        let classes = &self.target().classes;
        let mut targets = Vec::with_capacity(rows.len());
        for row in &rows {
            targets.push(match series {
                _ if self.task().has_classes() => {
                    let own = series.text(*row as usize).unwrap_or_default();
                    let at = classes.iter().position(|c| *c == own);
                    at.ok_or_else(|| bad(*row, "the model knows no such class; name the column that it was trained to predict, or leave the cell empty"))?
                        as f64
                }
                Series::Numbers(values) if values[*row as usize].is_finite() => {
                    values[*row as usize]
                }
                _ => return Err(bad(*row, "a finite number is wanted")),
            });
        }
        let ones = vec![1.0; frame.rows()];
        let weights = self.exposed(frame, &ones)?.map(|exposures| {
            let own: Vec<f64> = rows.iter().map(|r| exposures[*r as usize]).collect();
            targets.iter_mut().zip(&own).for_each(|(t, e)| *t /= e);
            own
        });
        Ok(Outcomes {
            rows,
            targets,
            weights,
        })
    }

    /// A figure of predictions on the scale of the response, those of the outcomes' rows alone; none where it has no value.
    pub fn figure(
        &self,
        name: &str,
        targets: &[f64],
        weights: Option<&[f64]>,
        predictions: &[f64],
    ) -> Option<f64> {
        let judged = Judged {
            task: self.task(),
            targets,
            predictions,
            weights,
            groups: None,
            tweedie_power: self.tweedie_power(),
        };
        judged.figure(name).map(|(v, _)| v)
    }
}
