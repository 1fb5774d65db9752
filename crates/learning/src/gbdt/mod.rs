//! Gradient-boosted decision trees (Friedman 2001), grown leaf by leaf over histograms as LightGBM grows them (Ke et al. 2017):
//! the same bins, gains, tie-breaks and defaults, so that with the same parameters the losses agree and most trees are the same.
//! Parameters bear LightGBM's names.
//!
//! Columns are binned once ([`Binned`]), trained on by [`train`], and what comes out is a [`Model`], which hands out the kernel's
//! trees ([`Model::ensemble`]), LightGBM's text ([`crate::lightgbm::write`]) and Shapley values ([`shap`]).
//!
//! One thread; the same data, parameters and seed give the same bits. This room must never mend its data: what cannot be learned
//! from is refused by name and row, and columns that say nothing are named ([`Binned::constant`]).

mod bins;
mod categorical;
mod data;
mod draw;
mod error;
mod exp;
mod grow;
mod histogram;
mod metric;
mod objective;
mod parameters;
mod part;
mod partition;
mod ranking;
pub mod shap;
mod split;
mod train;
mod tree;

pub use bins::BinSettings;
pub use data::{Binned, Column, Kind};
pub use error::Error;
pub use metric::Metric;
pub use objective::Objective;
pub use parameters::Parameters;
pub use part::Part;
pub(crate) use ranking::ndcg;
pub use train::{Trained, train};
pub use tree::{Leaf, Missing, Model, Split, Test, Tree};
pub(crate) use tree::{bits, numerical};

/// LightGBM's `kEpsilon`, which keeps sums of hessians above zero.
const EPSILON: f64 = 1e-15f32 as f64;
