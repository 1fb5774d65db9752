//! A model's state: the beliefs about all its arms at one position of its learner log, and its versioned encoding.
//! It must never depend on how the log was cut into batches.

use super::posterior::Posterior;
use crate::codec::{Reader, Result, Writer};
use crate::plan::model::{DIMENSION_MAX, ModelPlan, ModelScope};
use std::borrow::Cow;

/// Newest format of a model's state.
pub const MODEL_FORMAT: u8 = 1;

/// Whose belief it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm<'a> {
    /// All arms of a shared model.
    Shared,
    /// The null action.
    Null,
    /// The item of this key.
    Item(Cow<'a, str>),
}

impl<'a> Arm<'a> {
    /// The arm that a choice belongs to: `item` is a key, or none for the null action.
    pub fn of(scope: ModelScope, item: Option<&'a str>) -> Self {
        match (scope, item) {
            (ModelScope::Shared, _) => Self::Shared,
            (ModelScope::PerItem, None) => Self::Null,
            (ModelScope::PerItem, Some(key)) => Self::Item(Cow::Borrowed(key)),
        }
    }

    /// The same arm, borrowing nothing.
    pub fn into_owned(self) -> Arm<'static> {
        match self {
            Self::Shared => Arm::Shared,
            Self::Null => Arm::Null,
            Self::Item(key) => Arm::Item(Cow::Owned(key.into_owned())),
        }
    }
}

/// A model's state. The default is a model that has learned nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelState {
    /// Samples consumed: the position in the learner log, and the version of this state.
    pub samples: u64,
    /// Of these, samples that were not learned: of another dimension, without weight, or not finite.
    pub skipped: u64,
    arms: Vec<(Arm<'static>, Posterior)>,
}

impl ModelState {
    /// The arms with a belief of their own, ascending by key.
    pub fn arms(&self) -> &[(Arm<'static>, Posterior)] {
        &self.arms
    }

    /// The belief about an arm; none when it was never seen or the state is of another dimension than the plan.
    pub fn posterior(&self, plan: &ModelPlan, item: Option<&str>) -> Option<&Posterior> {
        let arm = Arm::of(plan.scope, item);
        let i = self.arms.binary_search_by(|(a, _)| a.cmp(&arm)).ok()?;
        Some(&self.arms[i].1)
    }

    /// The belief about an arm, made from the prior when it was never seen.
    pub(super) fn posterior_mut(&mut self, plan: &ModelPlan, item: Option<&str>) -> &mut Posterior {
        let arm = Arm::of(plan.scope, item);
        let i = match self.arms.binary_search_by(|(a, _)| a.cmp(&arm)) {
            Ok(i) => i,
            Err(i) => {
                self.arms
                    .insert(i, (arm.into_owned(), Posterior::prior(plan)));
                i
            }
        };
        &mut self.arms[i].1
    }

    /// Encodes the state: format byte, counters, arms ascending by key, of each covariance the upper triangle.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(MODEL_FORMAT);
        w.uint(self.samples);
        w.uint(self.skipped);
        w.uint(self.arms.len() as u64);
        for (arm, p) in &self.arms {
            match arm {
                Arm::Shared => w.u8(0),
                Arm::Null => w.u8(1),
                Arm::Item(key) => {
                    w.u8(2);
                    w.str(key);
                }
            }
            w.uint(p.samples);
            let d = p.dimension();
            w.uint(d as u64);
            for m in &p.mean {
                w.f64(*m);
            }
            for i in 0..d {
                for s in &p.covariance[i * d + i..(i + 1) * d] {
                    w.f64(*s);
                }
            }
        }
        w.into_bytes()
    }

    /// Decodes what [`ModelState::encode`] wrote.
    ///
    /// # Errors
    /// As [`Reader`]'s; a newer format is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("model state", MODEL_FORMAT)?;
        let samples = r.uint()?;
        let skipped = r.uint()?;
        let n = r.count(3)?;
        let mut arms: Vec<(Arm<'static>, Posterior)> = Vec::new();
        for _ in 0..n {
            let arm = match r.u8()? {
                0 => Arm::Shared,
                1 => Arm::Null,
                2 => Arm::Item(Cow::Owned(r.str()?.to_owned())),
                _ => return Err(r.malformed("an arm kind of 0 to 2")),
            };
            if arms.last().is_some_and(|(last, _)| *last >= arm) {
                return Err(r.malformed("arms in ascending order"));
            }
            let learned = r.uint()?;
            let d = r.count(8)?;
            if d > DIMENSION_MAX {
                return Err(r.malformed("a dimension of at most 512"));
            }
            let mut mean = Vec::with_capacity(d);
            for _ in 0..d {
                mean.push(finite(&mut r)?);
            }
            // The triangle must be there before room for the square is taken.
            let triangle = r.raw(d * (d + 1) / 2 * 8)?;
            let mut r_triangle = Reader::new(triangle);
            let mut covariance = vec![0.0; d * d];
            for i in 0..d {
                for j in i..d {
                    let s = finite(&mut r_triangle)?;
                    covariance[i * d + j] = s;
                    covariance[j * d + i] = s;
                }
            }
            arms.push((
                arm,
                Posterior {
                    samples: learned,
                    mean,
                    covariance,
                },
            ));
        }
        r.done()?;
        Ok(Self {
            samples,
            skipped,
            arms,
        })
    }
}

fn finite(r: &mut Reader<'_>) -> Result<f64> {
    let v = r.f64()?;
    if v.is_finite() {
        Ok(v)
    } else {
        Err(r.malformed("a finite number"))
    }
}
