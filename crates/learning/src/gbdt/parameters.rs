//! What is chosen before training, by LightGBM's names and with its defaults. This room must never guess a parameter from data.

use super::{Error, Metric, Objective};

/// How an ensemble is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// What is minimised.
    pub objective: Objective,
    /// Most rounds; a round makes one tree an output.
    pub num_iterations: usize,
    /// What each tree's outputs are multiplied with, above 0.
    pub learning_rate: f64,
    /// Most leaves of a tree, 2 to 65,536.
    pub num_leaves: usize,
    /// Most splits on a path; 0 for no limit.
    pub max_depth: u32,
    /// Least rows of a leaf.
    pub min_data_in_leaf: usize,
    /// Least sum of hessians of a leaf.
    pub min_sum_hessian_in_leaf: f64,
    /// L1 penalty of a leaf's output.
    pub lambda_l1: f64,
    /// L2 penalty of a leaf's output.
    pub lambda_l2: f64,
    /// Least gain of a split.
    pub min_gain_to_split: f64,
    /// Share of the columns that a tree may use, above 0 to 1.
    pub feature_fraction: f64,
    /// Share of the rows that a tree is grown on, above 0 to 1.
    pub bagging_fraction: f64,
    /// Rounds until rows are drawn anew; 0 for never drawing.
    pub bagging_freq: usize,
    /// Columns with at most so many bins are split one category against all others.
    pub max_cat_to_onehot: usize,
    /// Most categories on one side of a split.
    pub max_cat_threshold: usize,
    /// L2 penalty of outputs behind a split of categories, besides `lambda_l2`.
    pub cat_l2: f64,
    /// Smooths the statistic by which categories are sorted; categories with fewer rows are not used.
    pub cat_smooth: f64,
    /// Least rows that a further group of categories brings.
    pub min_data_per_group: usize,
    /// One a column: 1 where predictions may only rise with it, -1 where only fall, 0 else; or empty. LightGBM's method `basic`.
    pub monotone_constraints: Vec<i8>,
    /// Rounds without a better figure on the validation part until training ends; 0 for never.
    pub early_stopping_round: usize,
    /// What is watched on the validation part; none for the objective's own.
    pub metric: Option<Metric>,
    /// Ranking: pairs are taken whose upper member is among so many first.
    pub lambdarank_truncation_level: usize,
    /// Seed of what is drawn: rows and columns.
    pub seed: u64,
}

impl Parameters {
    /// LightGBM's defaults.
    pub fn new(objective: Objective) -> Self {
        Self {
            objective,
            num_iterations: 100,
            learning_rate: 0.1,
            num_leaves: 31,
            max_depth: 0,
            min_data_in_leaf: 20,
            min_sum_hessian_in_leaf: 1e-3,
            lambda_l1: 0.0,
            lambda_l2: 0.0,
            min_gain_to_split: 0.0,
            feature_fraction: 1.0,
            bagging_fraction: 1.0,
            bagging_freq: 0,
            max_cat_to_onehot: 4,
            max_cat_threshold: 32,
            cat_l2: 10.0,
            cat_smooth: 10.0,
            min_data_per_group: 100,
            monotone_constraints: Vec::new(),
            early_stopping_round: 0,
            metric: None,
            lambdarank_truncation_level: 30,
            seed: 1,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let whole = |name, found: usize, least: usize, most: usize, wanted| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Error::Parameter {
                name,
                found: found.to_string(),
                wanted,
            })
        };
        let number = |name, found: f64, fits: bool, wanted| {
            if found.is_finite() && fits {
                return Ok(());
            }
            Err(Error::Parameter {
                name,
                found: found.to_string(),
                wanted,
            })
        };
        let (outputs, trees) = (self.objective.outputs(), luopan_kernel::trees::TREES_MAX);
        whole(
            "num_iterations",
            self.num_iterations,
            1,
            trees / outputs.clamp(1, trees),
            "wanted is at least 1, and at most 10000 trees in all",
        )?;
        whole(
            "num_leaves",
            self.num_leaves,
            2,
            65_536,
            "wanted is 2 to 65536",
        )?;
        whole(
            "min_data_in_leaf",
            self.min_data_in_leaf,
            1,
            usize::MAX,
            "wanted is at least 1",
        )?;
        whole(
            "lambdarank_truncation_level",
            self.lambdarank_truncation_level,
            1,
            usize::MAX,
            "wanted is at least 1",
        )?;
        let rate = self.learning_rate;
        number(
            "learning_rate",
            rate,
            rate > 0.0,
            "wanted is a number above 0",
        )?;
        for (name, found) in [
            ("min_sum_hessian_in_leaf", self.min_sum_hessian_in_leaf),
            ("lambda_l1", self.lambda_l1),
            ("lambda_l2", self.lambda_l2),
            ("min_gain_to_split", self.min_gain_to_split),
            ("cat_l2", self.cat_l2),
            ("cat_smooth", self.cat_smooth),
        ] {
            number(name, found, found >= 0.0, "wanted is a number from 0 on")?;
        }
        for (name, found) in [
            ("feature_fraction", self.feature_fraction),
            ("bagging_fraction", self.bagging_fraction),
        ] {
            number(
                name,
                found,
                found > 0.0 && found <= 1.0,
                "wanted is above 0 to 1",
            )?;
        }
        if let Some(sign) =
            (self.monotone_constraints.iter()).find(|sign| !(-1..=1).contains(*sign))
        {
            return Err(Error::Parameter {
                name: "monotone_constraints",
                found: sign.to_string(),
                wanted: "wanted are -1, 0 and 1",
            });
        }
        self.objective.check()
    }
}
