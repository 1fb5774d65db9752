//! A model's state: the beliefs about all its arms at one position of its learner log, and its versioned encoding.
//! It must never depend on how the log was cut into batches.

use super::bootstrap;
use super::posterior::Posterior;
use crate::codec::{Reader, Result, Writer};
use crate::plan::model::{DIMENSION_MAX, ModelPlan, ModelScope, REPLICATED_MAX, REPLICATES_MAX};
use std::borrow::Cow;

/// Newest format of a model's state. Without replicates it is written as format 1.
pub const MODEL_FORMAT: u8 = 2;

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
    /// Ascending by arm, none empty.
    replicates: Vec<(Arm<'static>, Vec<Posterior>)>,
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

    /// The replicates of the belief about an arm; none when it was never seen or they are not those of the plan.
    pub fn replicates(&self, plan: &ModelPlan, item: Option<&str>) -> Option<&[Posterior]> {
        let arm = Arm::of(plan.scope, item);
        let i = self
            .replicates
            .binary_search_by(|(a, _)| a.cmp(&arm))
            .ok()?;
        let found = &self.replicates[i].1;
        are_of(plan, found).then_some(found)
    }

    /// The replicates of the belief about an arm, made anew when it was never seen or they are not those of the plan.
    pub(super) fn replicates_mut(
        &mut self,
        plan: &ModelPlan,
        item: Option<&str>,
    ) -> &mut [Posterior] {
        let arm = Arm::of(plan.scope, item);
        let i = match self.replicates.binary_search_by(|(a, _)| a.cmp(&arm)) {
            Ok(i) => {
                if !are_of(plan, &self.replicates[i].1) {
                    self.replicates[i].1 = bootstrap::unlearned(plan, &arm);
                }
                i
            }
            Err(i) => {
                let new = bootstrap::unlearned(plan, &arm);
                self.replicates.insert(i, (arm.into_owned(), new));
                i
            }
        };
        &mut self.replicates[i].1
    }

    /// Encodes the state: format byte, counters, arms ascending by key, of each covariance the upper triangle; in format 2
    /// then the replicates of each arm that has some.
    pub fn encode(&self) -> Vec<u8> {
        let has_replicates = !self.replicates.is_empty();
        let mut w = Writer::with_format(if has_replicates { MODEL_FORMAT } else { 1 });
        w.uint(self.samples);
        w.uint(self.skipped);
        w.uint(self.arms.len() as u64);
        for (arm, p) in &self.arms {
            write_arm(&mut w, arm);
            write_belief(&mut w, p);
        }
        if has_replicates {
            w.uint(self.replicates.len() as u64);
            for (arm, all) in &self.replicates {
                write_arm(&mut w, arm);
                w.uint(all.len() as u64);
                for p in all {
                    write_belief(&mut w, p);
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
        let format = r.format("model state", MODEL_FORMAT)?;
        let samples = r.uint()?;
        let skipped = r.uint()?;
        let arms = read_arms(&mut r, read_belief)?;
        let replicates = if format >= 2 {
            read_arms(&mut r, read_replicates)?
        } else {
            Vec::new()
        };
        r.done()?;
        Ok(Self {
            samples,
            skipped,
            arms,
            replicates,
        })
    }
}

/// Whether these are the replicates that an arm of `plan` has.
fn are_of(plan: &ModelPlan, replicates: &[Posterior]) -> bool {
    let d = crate::features::dimension(plan);
    replicates.len() == bootstrap::count(plan) && replicates.iter().all(|r| r.dimension() == d)
}

fn write_arm(w: &mut Writer, arm: &Arm<'_>) {
    match arm {
        Arm::Shared => w.u8(0),
        Arm::Null => w.u8(1),
        Arm::Item(key) => {
            w.u8(2);
            w.str(key);
        }
    }
}

/// Samples, dimension, means, upper triangle of the covariance.
fn write_belief(w: &mut Writer, p: &Posterior) {
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

/// A list of arms in ascending order, each with what `read` reads.
fn read_arms<T>(
    r: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<T>,
) -> Result<Vec<(Arm<'static>, T)>> {
    let n = r.count(3)?;
    let mut arms: Vec<(Arm<'static>, T)> = Vec::new();
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
        arms.push((arm, read(r)?));
    }
    Ok(arms)
}

fn read_belief(r: &mut Reader<'_>) -> Result<Posterior> {
    let samples = r.uint()?;
    let d = r.count(8)?;
    if d > DIMENSION_MAX {
        return Err(r.malformed("a dimension of at most 512"));
    }
    let mut mean = Vec::with_capacity(d);
    for _ in 0..d {
        mean.push(finite(r)?);
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
    Ok(Posterior {
        samples,
        mean,
        covariance,
    })
}

fn read_replicates(r: &mut Reader<'_>) -> Result<Vec<Posterior>> {
    let n = r.count(2)?;
    if n == 0 || n > usize::from(REPLICATES_MAX) {
        return Err(r.malformed("1 to 256 replicates"));
    }
    let mut all: Vec<Posterior> = Vec::with_capacity(n);
    for _ in 0..n {
        let belief = read_belief(r)?;
        if all
            .first()
            .is_some_and(|f| f.dimension() != belief.dimension())
        {
            return Err(r.malformed("replicates of one dimension"));
        }
        if n * belief.dimension() * belief.dimension() > REPLICATED_MAX {
            return Err(r.malformed("replicates of at most 262,144 numbers"));
        }
        all.push(belief);
    }
    Ok(all)
}

fn finite(r: &mut Reader<'_>) -> Result<f64> {
    let v = r.f64()?;
    if v.is_finite() {
        Ok(v)
    } else {
        Err(r.malformed("a finite number"))
    }
}
