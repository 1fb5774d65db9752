//! What is told of effects that were learned from a table. This room must never learn.

use super::super::{Error, LeftOut};
use super::{Balance, UpliftSettings};
use crate::uplift::{
    self, Arms, Bin, Curve, Effects, Interval, Intervals, Measures, Ranking, Strategy, Targeting,
};
use serde::Serialize;

/// An arm of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Their mean target, by weight.
    pub mean: f64,
}

/// The uplift among the first share of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtShare {
    /// The share.
    pub share: f64,
    /// None where an arm has no rows there.
    pub uplift: Option<f64>,
    /// Where it lies.
    pub interval: Option<Interval>,
}

/// How well one treatment's effects rank the rows that got it or the control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Treatment {
    /// Its name.
    pub name: String,
    /// Figures.
    pub measures: Measures,
    /// How sure they are.
    pub intervals: Intervals,
    /// Uplift at shares.
    pub at: Vec<AtShare>,
    /// Qini and uplift curve.
    pub curve: Curve,
    /// Rows by score, the highest first.
    pub bins: Vec<Bin>,
}

/// What is told of a training, and written as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpliftReport {
    /// Name of the learner.
    pub learner: &'static str,
    /// Rows that were ranked by models that had not seen them.
    pub rows: usize,
    /// The arms, the control first.
    pub arms: Vec<Arm>,
    /// The treatments, in the order of the arms.
    pub treatments: Vec<Treatment>,
    /// What treating a share brings, each row with its best treatment; only where values and costs were given.
    pub targeting: Option<Targeting>,
    /// Level of all intervals.
    pub level: f64,
    /// Columns that were learned from.
    pub features: Vec<String>,
    /// Columns that were not.
    pub left_out: Vec<LeftOut>,
    /// How alike each treatment and the control are in what was known of them.
    pub balance: Vec<Balance>,
    /// What to look at.
    pub flags: Vec<String>,
}

/// Rows that rankings are judged by.
pub(super) struct Judged {
    pub(super) outcomes: Vec<f64>,
    pub(super) arms: Arms,
    pub(super) weights: Option<Vec<f64>>,
}

impl Judged {
    pub(super) fn treatment(
        &self,
        effects: &Effects,
        treatment: u32,
        settings: &UpliftSettings,
    ) -> Result<Treatment, Error> {
        let ranking = Ranking::new(&uplift::Rows {
            scores: &effects.of(treatment),
            outcomes: &self.outcomes,
            treated: &self.arms.against(treatment),
            weights: self.weights.as_deref(),
        })?;
        let bootstrap = &settings.bootstrap;
        let at = (settings.shares.iter())
            .map(|share| {
                Ok(AtShare {
                    share: *share,
                    uplift: ranking.uplift_at(*share, Strategy::Overall)?,
                    interval: ranking.uplift_at_interval(*share, Strategy::Overall, bootstrap)?,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Treatment {
            name: self.arms.names()[treatment as usize].clone(),
            measures: ranking.measures(),
            intervals: ranking.intervals(bootstrap)?,
            at,
            curve: ranking.curve_at(settings.steps, Some(bootstrap))?,
            bins: ranking.bins(settings.bins, Strategy::Overall, Some(bootstrap))?,
        })
    }
}
