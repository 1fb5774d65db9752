//! Models that stand between the rows and the effects: of outcomes, of effects, of arms. Each learns from some rows of one table
//! and predicts others. This room must never know what a model is for.

use luopan_kernel::random::Random;
use luopan_kernel::trees::Ensemble;

use super::Error;
use crate::gbdt::{self, BinSettings, Binned, Column, Parameters, Part};

/// Rows that are predicted at once.
const BLOCK: usize = 1_024;

/// A model.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fitted {
    /// The one value that all targets had.
    Constant(f64),
    /// Trees, with the transform of their objective.
    Trees(Box<Ensemble>),
}

/// Targets of some rows of a table.
pub(super) struct Task<'a> {
    /// What the model is called in errors.
    pub(super) name: String,
    /// Places of the rows, ascending.
    pub(super) rows: &'a [u32],
    /// A target for each of them.
    pub(super) targets: &'a [f64],
    /// A weight for each of them.
    pub(super) weights: Option<&'a [f64]>,
}

pub(super) fn binned(columns: &[Column<'_>]) -> Result<Binned, Error> {
    Binned::new(columns, &BinSettings::default()).map_err(|source| Error::Base {
        model: "the table".to_owned(),
        source,
    })
}

pub(super) fn fit(
    data: &Binned,
    task: &Task<'_>,
    parameters: &Parameters,
) -> Result<Fitted, Error> {
    let weight = |at: usize| task.weights.map_or(1.0, |weights| weights[at]);
    let mut counted = (0..task.rows.len()).filter(|at| weight(*at) > 0.0);
    if let Some(first) = counted.next() {
        let value = task.targets[first];
        if counted.all(|at| task.targets[at] == value) {
            return Ok(Fitted::Constant(value));
        }
    }
    let data = data.take(task.rows);
    let part = Part {
        data: &data,
        target: task.targets,
        weights: task.weights,
        exposure: None,
        offset: None,
        groups: None,
    };
    let trained = gbdt::train(&part, None, parameters).map_err(|source| Error::Base {
        model: task.name.clone(),
        source,
    })?;
    let ensemble = trained.model.ensemble().map_err(|source| Error::Trees {
        model: task.name.clone(),
        source,
    })?;
    Ok(Fitted::Trees(Box::new(ensemble)))
}

/// Predictions for some rows, one after the other, with `more` behind the columns of each.
pub(super) fn predict(
    model: &Fitted,
    columns: &[Column<'_>],
    more: &[f64],
    rows: impl ExactSizeIterator<Item = usize>,
) -> Vec<f64> {
    let trees = match model {
        Fitted::Constant(value) => return vec![*value; rows.len()],
        Fitted::Trees(trees) => trees,
    };
    let (width, outputs) = (columns.len() + more.len(), trees.outputs());
    let mut out = vec![0.0; rows.len() * outputs];
    let mut block = Vec::with_capacity(BLOCK * width);
    let (mut done, last) = (0, rows.len());
    for (at, row) in rows.enumerate() {
        block.extend(columns.iter().map(|column| column.values[row]));
        block.extend_from_slice(more);
        if at + 1 == last || at + 1 - done == BLOCK {
            trees.predict_many(&block, &mut out[done * outputs..(at + 1) * outputs]);
            block.clear();
            done = at + 1;
        }
    }
    out
}

/// A fold for each row: each arm dealt out alike, in an order that the seed shuffles.
pub(super) fn folds(arms: &[u32], folds: usize, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..arms.len() as u32).collect();
    let mut random = Random::new(seed);
    for last in (1..order.len()).rev() {
        let at = (u128::from(random.bits()) * (last as u128 + 1)) >> 64;
        order.swap(last, at as usize);
    }
    order.sort_by_key(|row| arms[*row as usize]);
    let mut out = vec![0; arms.len()];
    for (at, row) in order.into_iter().enumerate() {
        out[row as usize] = (at % folds) as u32;
    }
    out
}
