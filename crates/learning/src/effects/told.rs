//! What is told of a model.

use super::dependence::BANDS;
use crate::tabular::{LeftOut, Scale};
use serde::Serialize;

/// A value of a feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A category.
    Text(String),
    /// None: as `null`.
    Missing,
}

/// A feature at one of its values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Of numbers an edge of a bin.
    pub value: Value,
    /// Rows: of the category, or in the bin that ends here, the edge with them.
    pub rows: usize,
    /// Accumulated local effect; its mean over rows is zero.
    pub effect: f64,
    /// Partial dependence: the mean prediction if every row had this value.
    pub expected: f64,
    /// Of the rows' own predictions, if each had this value, the quantiles at 0.05, 0.25, 0.5, 0.75, 0.95.
    pub bands: [f64; BANDS.len()],
}

/// What a feature adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureEffect {
    /// Its name.
    pub feature: String,
    /// True for names, whose order is by likeness.
    pub is_category: bool,
    /// Standard deviation of its accumulated local effect over rows.
    pub deviation: f64,
    /// By value; a missing one of numbers is last.
    pub points: Vec<Point>,
    /// Rows of categories too rare to be told.
    pub others: usize,
}

/// What two features add together beyond what each adds alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairEffect {
    /// Their names.
    pub features: [String; 2],
    /// Values of either.
    pub values: [Vec<Value>; 2],
    /// Accumulated local effect of second order, a line for each value of the first.
    pub effects: Vec<Vec<f64>>,
    /// Rows, a line for each bin or category of the first.
    pub rows: Vec<Vec<usize>>,
    /// Standard deviation of the effect over rows.
    pub deviation: f64,
    /// Friedman's H statistic; none where they do nothing together.
    pub h: Option<f64>,
    /// The root of the mean square of what partial dependence on both is beyond that on each.
    pub beyond: f64,
    /// Rows in which either is missing or too rare.
    pub others: usize,
}

/// How much worse predictions are with a feature shuffled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shuffled {
    /// The feature.
    pub feature: String,
    /// How much the figure is worse, on average over shuffles.
    pub worse: f64,
    /// Of this mean, by how shuffles differ.
    pub standard_error: f64,
}

/// Importance by shuffling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importances {
    /// The figure.
    pub metric: &'static str,
    /// True where more of it is better.
    pub rises: bool,
    /// The figure as it is.
    pub figure: f64,
    /// Rows with an outcome that it is of.
    pub rows: usize,
    /// Shuffles of each feature.
    pub repeats: usize,
    /// Share of the rows that the model has learned from; none where it cannot be told.
    pub learned_from: Option<f64>,
    /// The most important first.
    pub features: Vec<Shuffled>,
}

/// How far a feature moves raw scores of trees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contributed {
    /// The feature.
    pub feature: String,
    /// Mean of the absolute Shapley values (Lundberg 2018), on the link scale.
    pub mean_absolute: f64,
}

/// What a model makes of its features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effects {
    /// The scale of effects and expected values.
    pub scale: Scale,
    /// What a number of it is.
    pub unit: &'static str,
    /// Of several classes, the one that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Mean prediction over the rows looked at.
    pub mean: f64,
    /// Rows of the table.
    pub rows: usize,
    /// Rows looked at.
    pub looked_at: usize,
    /// Of these, by partial dependence and contributions.
    pub curve_rows: usize,
    /// The greatest deviation first.
    pub features: Vec<FeatureEffect>,
    /// In the order asked for.
    pub pairs: Vec<PairEffect>,
    /// Where outcomes are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importances>,
    /// Of trees, the greatest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<Contributed>,
    /// Features of which nothing can be said.
    pub left_out: Vec<LeftOut>,
    /// What a person should look at.
    pub flags: Vec<String>,
}
