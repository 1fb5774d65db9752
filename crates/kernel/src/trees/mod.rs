//! Ensembles of decision trees (Friedman 2001), compiled once and then only read: gradient-boosted trees and random forests,
//! with the meaning LightGBM gives them (Ke et al. 2017). Importing a model is another room's work (`learning`); training
//! too.
//!
//! A prediction adds one leaf of each tree, in the order of the trees, in binary64, and puts the sum through a
//! [`Transform`]. NaN is a missing value. The same row gives the same bits alone, among others and on every target.
//!
//! This room must never change the order of a sum, allocate while it predicts, or guess what a feature is: a row holds
//! [`Ensemble::feature_names`] in that order, and a row of another length is the caller's error.

mod build;
mod stored;
mod transform;
mod walk;

pub use build::{Child, Error, Parts, Split, Test, Tree};
pub use transform::Transform;

/// Newest format of a stored ensemble.
pub const FORMAT: u8 = 1;
/// Most trees of an ensemble.
pub const TREES_MAX: usize = 10_000;
/// Most leaves of one tree.
pub const LEAVES_MAX: usize = 65_536;
/// Most nodes (splits and leaves) and words of category sets of all trees together: 24 bytes each.
pub const NODES_MAX: usize = 4_000_000;
/// Most features of a row.
pub const FEATURES_MAX: usize = 4_096;
/// Longest name of a feature, in bytes.
pub const FEATURE_NAME_BYTES_MAX: usize = 256;
/// Most outputs (classes).
pub const OUTPUTS_MAX: usize = 256;
/// Categories are whole numbers below this.
pub const CATEGORIES_MAX: usize = 65_536;
/// Values this close to zero are missing where a split says that zero is: LightGBM's `kZeroThreshold`, the binary32 number
/// nearest to 1e-35.
pub const ZERO_MAX: f64 = 1e-35f32 as f64;

/// A compiled ensemble: immutable, checked, ready to predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    features: Vec<String>,
    outputs: usize,
    averaged: bool,
    transform: Transform,
    roots: Vec<Root>,
    /// All trees, breadth first, one after the other. The first is a filler, so that a leaf may point before itself.
    nodes: Vec<Node>,
    /// Beside `nodes`: the value of each leaf, zero for splits.
    values: Vec<f64>,
    /// Words of the category sets.
    words: Vec<u32>,
    /// True when some split asks for categories.
    categories: bool,
    /// True when some split takes zero for a missing value.
    zeros: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Root {
    node: u32,
    /// Steps to the deepest leaf.
    depth: u32,
}

/// A split or a leaf, in 16 bytes. A step goes to `first` when the test holds and to the node after it when not. A leaf has a
/// threshold that no value is at or below and points one before itself: stepping on from a leaf stays there.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// NaN for a leaf; for a category set its place in `words`: the start in the upper, the length in the lower half.
    threshold: f64,
    feature: u16,
    flags: u16,
    first: u32,
}

const DEFAULT_LEFT: u16 = 1;
const ZERO_IS_MISSING: u16 = 2;
const CATEGORICAL: u16 = 4;

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.threshold.to_bits() == other.threshold.to_bits()
            && (self.feature, self.flags, self.first) == (other.feature, other.flags, other.first)
    }
}

impl Ensemble {
    /// What a row holds, in order.
    pub fn feature_names(&self) -> &[String] {
        &self.features
    }

    /// Number of outputs: one, or one a class.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// What makes predictions of raw scores.
    pub fn transform(&self) -> Transform {
        self.transform
    }

    /// True for a random forest: the prediction is of the mean of its trees, while raw scores stay their sum.
    pub fn is_averaged(&self) -> bool {
        self.averaged
    }

    /// The raw score of one row: the sum of one leaf a tree.
    ///
    /// # Panics
    /// When the row has not one value a feature, or the ensemble more than one output.
    pub fn predict_raw(&self, row: &[f64]) -> f64 {
        let mut out = [0.0];
        self.predict_raw_into(row, &mut out);
        out[0]
    }

    /// The prediction for one row.
    ///
    /// # Panics
    /// As [`Ensemble::predict_raw`].
    pub fn predict(&self, row: &[f64]) -> f64 {
        let mut out = [0.0];
        self.predict_into(row, &mut out);
        out[0]
    }

    /// The raw scores of one row, one an output.
    ///
    /// # Panics
    /// When the row has not one value a feature, or `out` not one place an output.
    pub fn predict_raw_into(&self, row: &[f64], out: &mut [f64]) {
        assert_eq!(row.len(), self.features.len(), "values of a row");
        assert_eq!(out.len(), self.outputs, "places for outputs");
        out.fill(0.0);
        self.add_row(row, out);
    }

    /// The predictions for one row, one an output.
    ///
    /// # Panics
    /// As [`Ensemble::predict_raw_into`].
    pub fn predict_into(&self, row: &[f64], out: &mut [f64]) {
        self.predict_raw_into(row, out);
        self.finish(out);
    }

    /// The raw scores of many rows, which follow each other in `rows`, as their outputs do in `out`: bit for bit those of
    /// [`Ensemble::predict_raw_into`] row by row.
    ///
    /// # Panics
    /// When `rows` is not made of whole rows, or `out` has not one place a row and output.
    pub fn predict_raw_many(&self, rows: &[f64], out: &mut [f64]) {
        assert_eq!(rows.len() % self.features.len(), 0, "values of whole rows");
        assert_eq!(
            out.len(),
            rows.len() / self.features.len() * self.outputs,
            "places for the outputs of all rows"
        );
        out.fill(0.0);
        self.add_rows(rows, out);
    }

    /// The predictions for many rows, as [`Ensemble::predict_raw_many`] lays them out.
    ///
    /// # Panics
    /// As [`Ensemble::predict_raw_many`].
    pub fn predict_many(&self, rows: &[f64], out: &mut [f64]) {
        self.predict_raw_many(rows, out);
        for outputs in out.chunks_exact_mut(self.outputs) {
            self.finish(outputs);
        }
    }

    /// Makes predictions of the raw scores of one row.
    fn finish(&self, out: &mut [f64]) {
        if self.averaged {
            let rounds = self.roots.len() / self.outputs;
            for value in out.iter_mut() {
                *value /= rounds as f64;
            }
        }
        self.transform.apply(out);
    }
}
