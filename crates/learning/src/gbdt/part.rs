//! Rows with what is known of them besides their features, and what is refused of it. This room must never know how a tree is
//! grown.

use std::ops::Range;

use super::data::Binned;
use super::{Error, Objective};

/// Rows to train on or to be judged by.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Their features.
    pub data: &'a Binned,
    /// One target a row: what [`Objective`] takes.
    pub target: &'a [f64],
    /// One weight a row, finite and not negative, some above zero.
    pub weights: Option<&'a [f64]>,
    /// Poisson, gamma and Tweedie: of how many like units each row is the total, finite and above zero: years insured, claims, visits.
    /// What is learned is the mean of a unit: target / exposure, weighted by the exposure, whose variance falls with it (Jørgensen 1997,
    /// the reproductive form). Where rather one unit is the larger the longer it is seen, the exposure's logarithm belongs into
    /// `offset`; for Poisson both are the same.
    pub exposure: Option<&'a [f64]>,
    /// Added to the raw score of a row, and no part of the model: whoever predicts adds it again. As with LightGBM's
    /// `init_score`, training then starts from it alone and not from the mean. Every objective takes it but multiclass, whose shares
    /// one number a row does not change.
    pub offset: Option<&'a [f64]>,
    /// Ranking alone: the group of each row; rows of a group follow each other.
    pub groups: Option<&'a [u64]>,
}

/// A part that was looked through.
pub(super) struct Checked {
    /// Targets and weights where they are not the part's own.
    rate: Option<(Vec<f64>, Vec<f64>)>,
    pub(super) groups: Vec<Range<usize>>,
}

impl Checked {
    pub(super) fn target<'a>(&'a self, part: &Part<'a>) -> &'a [f64] {
        self.rate.as_ref().map_or(part.target, |(target, _)| target)
    }

    pub(super) fn weights<'a>(&'a self, part: &Part<'a>) -> Option<&'a [f64]> {
        match &self.rate {
            Some((_, weights)) => Some(weights),
            None => part.weights,
        }
    }
}

impl Part<'_> {
    pub(super) fn check(&self, objective: Objective) -> Result<Checked, Error> {
        let rows = self.data.rows();
        let lengths = [
            ("the target", Some(self.target.len())),
            ("the weight", self.weights.map(<[f64]>::len)),
            ("the exposure", self.exposure.map(<[f64]>::len)),
            ("the offset", self.offset.map(<[f64]>::len)),
            ("the group", self.groups.map(<[u64]>::len)),
        ];
        for (what, found) in lengths {
            if let Some(found) = found.filter(|found| *found != rows) {
                return Err(Error::Length {
                    what: what.to_owned(),
                    found,
                    rows,
                });
            }
        }
        let refuse = |what: &str, values: &[f64], wanted, fits: fn(f64) -> bool| match values
            .iter()
            .position(|value| !fits(*value))
        {
            None => Ok(()),
            Some(row) => Err(Error::Value {
                what: what.to_owned(),
                row,
                value: values[row],
                wanted,
            }),
        };
        for (row, value) in self.target.iter().enumerate() {
            if let Some(wanted) = objective.refuses(*value) {
                return Err(Error::Value {
                    what: "the target".to_owned(),
                    row,
                    value: *value,
                    wanted,
                });
            }
        }
        if let Some(weights) = self.weights {
            let wanted = "weights are finite numbers from 0 on";
            refuse("the weight", weights, wanted, |weight| {
                weight.is_finite() && weight >= 0.0
            })?;
            if weights.iter().all(|weight| *weight == 0.0) {
                return Err(Error::Target {
                    found: "has the weight 0 in every row".to_owned(),
                    wanted: "some weights must be above 0",
                });
            }
        }
        if let Some(offset) = self.offset {
            let wanted = "offsets are finite numbers";
            refuse("the offset", offset, wanted, f64::is_finite)?;
            if let Objective::Multiclass { .. } = objective {
                return Err(Error::Parameter {
                    name: "objective",
                    found: "multiclass with an offset".to_owned(),
                    wanted: "one number a row moves all classes alike: leave it out",
                });
            }
        }
        if let Some(exposure) = self.exposure {
            if !matches!(
                objective,
                Objective::Poisson | Objective::Gamma | Objective::Tweedie { .. }
            ) {
                return Err(Error::Parameter {
                    name: "objective",
                    found: format!("{} with an exposure", objective.name()),
                    wanted: "exposures belong to poisson, gamma and tweedie; take an offset or weights elsewhere",
                });
            }
            let wanted = "exposures are finite numbers above 0";
            refuse("the exposure", exposure, wanted, |exposure| {
                exposure.is_finite() && exposure > 0.0
            })?;
            let fits =
                |(target, exposure): (&f64, &f64)| objective.refuses(target / exposure).is_none();
            if let Some(row) = (self.target.iter().zip(exposure)).position(|pair| !fits(pair)) {
                return Err(Error::Value {
                    what: "the target divided by its exposure".to_owned(),
                    row,
                    value: self.target[row] / exposure[row],
                    wanted: "neither 0 nor infinity may come of a target that is neither",
                });
            }
        }
        let rate = self.exposure.map(|exposure| {
            let rate = |(count, exposure): (&f64, &f64)| count / exposure;
            let weight =
                |(row, exposure): (usize, &f64)| exposure * self.weights.map_or(1.0, |w| w[row]);
            (
                self.target.iter().zip(exposure).map(rate).collect(),
                exposure.iter().enumerate().map(weight).collect(),
            )
        });
        Ok(Checked {
            rate,
            groups: groups(objective, self.groups)?,
        })
    }
}

fn groups(objective: Objective, ids: Option<&[u64]>) -> Result<Vec<Range<usize>>, Error> {
    let ids = match (objective, ids) {
        (Objective::Lambdarank, Some(ids)) => ids,
        (Objective::Lambdarank, None) => {
            return Err(Error::Parameter {
                name: "objective",
                found: "lambdarank without groups".to_owned(),
                wanted: "the group of each row is wanted",
            });
        }
        (_, None) => return Ok(Vec::new()),
        (_, Some(_)) => {
            return Err(Error::Parameter {
                name: "objective",
                found: format!("{} with groups", objective.name()),
                wanted: "groups belong to lambdarank",
            });
        }
    };
    let mut ranges = Vec::new();
    let mut start = 0;
    for run in ids.chunk_by(|a, b| a == b) {
        ranges.push(start..start + run.len());
        start += run.len();
    }
    let mut firsts: Vec<(u64, usize)> = ranges.iter().map(|r| (ids[r.start], r.start)).collect();
    firsts.sort_unstable();
    match firsts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        None => Ok(ranges),
        Some(pair) => Err(Error::Value {
            what: "the group".to_owned(),
            row: pair[1].1,
            value: pair[1].0 as f64,
            wanted: "rows of a group follow each other, and this one stood before",
        }),
    }
}
