//! What is asked for: the task, the model, which columns are what, and how it is judged.

use super::Error;
use super::folds::FOLDS_MAX;
use serde::{Deserialize, Serialize};

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Which of two happens; the prediction is a probability.
    Binary,
    /// An amount.
    Regression,
    /// A count, or with an exposure a rate.
    Poisson,
    /// An amount above zero.
    Gamma,
    /// An amount that is often zero.
    Tweedie,
    /// Which of several happens; a probability each.
    Multiclass,
    /// An order within groups.
    Rank,
}

impl Task {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Binary,
        Self::Regression,
        Self::Poisson,
        Self::Gamma,
        Self::Tweedie,
        Self::Multiclass,
        Self::Rank,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Regression => "regression",
            Self::Poisson => "poisson",
            Self::Gamma => "gamma",
            Self::Tweedie => "tweedie",
            Self::Multiclass => "multiclass",
            Self::Rank => "rank",
        }
    }

    /// True where targets are classes.
    pub fn has_classes(self) -> bool {
        matches!(self, Self::Binary | Self::Multiclass)
    }
}

/// What learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Gradient-boosted trees.
    Gbdt,
    /// A generalised linear model with an elastic net.
    Glm,
    /// A scorecard of monotone bins.
    Scorecard,
}

impl Kind {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gbdt => "gbdt",
            Self::Glm => "glm",
            Self::Scorecard => "scorecard",
        }
    }
}

/// How trees are boosted; what is not named here is LightGBM's default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GbdtSettings {
    /// Rounds; with early stopping the most.
    pub rounds: usize,
    /// Share of each tree's step.
    pub learning_rate: f64,
    /// Leaves of a tree.
    pub leaves: usize,
    /// Rows of a leaf.
    pub min_data_in_leaf: usize,
    /// L2 penalty on leaves.
    pub lambda_l2: f64,
    /// Share of the columns that a tree may use.
    pub feature_fraction: f64,
    /// Share of the rows that a tree is grown on, drawn anew each round.
    pub bagging_fraction: f64,
    /// Rounds without getting better, on the rows set aside, after which it ends.
    pub early_stopping: usize,
}

impl Default for GbdtSettings {
    fn default() -> Self {
        Self {
            rounds: 100,
            learning_rate: 0.1,
            leaves: 31,
            min_data_in_leaf: 20,
            lambda_l2: 0.0,
            feature_fraction: 1.0,
            bagging_fraction: 1.0,
            early_stopping: 30,
        }
    }
}

/// How a linear model is penalised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GlmSettings {
    /// Weight of the penalty.
    pub alpha: f64,
    /// Share of its L1 part.
    pub l1_ratio: f64,
}

impl Default for GlmSettings {
    fn default() -> Self {
        Self {
            alpha: 1e-4,
            l1_ratio: 0.0,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Task.
    pub task: Task,
    /// Model.
    pub model: Kind,
    /// Column of what is predicted.
    pub target: String,
    /// The class whose probability is predicted, for binary tasks; without it, 1, or of two others the greater.
    pub positive: Option<String>,
    /// Column of row weights.
    pub weight: Option<String>,
    /// Column of exposures: counts and amounts are in proportion to it. For Poisson, gamma and Tweedie.
    pub exposure: Option<String>,
    /// Column that names the group of a row, for ranking; rows of one are never divided between folds.
    pub group: Option<String>,
    /// Column of row ids, which must all differ.
    pub id: Option<String>,
    /// Column of times, ascending as numbers or as texts.
    pub time: Option<String>,
    /// Columns of numbers that are names and not amounts.
    pub categorical: Vec<String>,
    /// Columns in which the prediction only rises (1) or falls (-1).
    pub monotone: Vec<(String, i8)>,
    /// Columns that are no features.
    pub exclude: Vec<String>,
    /// Folds.
    pub folds: usize,
    /// Share of the rows that are learned from, which is set aside to end training early; 0 for none. With a time the latest.
    pub valid_fraction: f64,
    /// Power of the variance, for Tweedie.
    pub tweedie_power: f64,
    /// For trees.
    pub gbdt: GbdtSettings,
    /// For linear models.
    pub glm: GlmSettings,
    /// How probabilities are brought to what happened, for binary tasks.
    pub calibration: Option<Calibration>,
    /// Seed of all that is drawn.
    pub seed: u64,
}

/// How probabilities are brought to what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calibration {
    /// A rising function, by pool adjacent violators: for thousands of rows.
    Isotonic,
    /// A logistic function of the log odds (Platt 1999).
    Platt,
}

impl Settings {
    /// The defaults: five folds, nothing set aside.
    pub fn new(task: Task, model: Kind, target: &str) -> Self {
        Self {
            task,
            model,
            target: target.to_owned(),
            positive: None,
            weight: None,
            exposure: None,
            group: None,
            id: None,
            time: None,
            categorical: Vec::new(),
            monotone: Vec::new(),
            exclude: Vec::new(),
            folds: 5,
            valid_fraction: 0.0,
            tweedie_power: 1.5,
            gbdt: GbdtSettings::default(),
            glm: GlmSettings::default(),
            calibration: None,
            seed: 1,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let fits = match self.model {
            Kind::Gbdt => true,
            Kind::Glm => !matches!(self.task, Task::Multiclass | Task::Rank),
            Kind::Scorecard => self.task == Task::Binary,
        };
        if !fits {
            let model = self.model.name();
            let able = match self.model {
                Kind::Glm => "write binary, regression, poisson, gamma or tweedie, or --model gbdt",
                _ => "write --task binary, or --model gbdt",
            };
            return Err(Error::Setting {
                name: "task",
                found: format!("{} with {model}", self.task.name()),
                wanted: able.to_owned(),
            });
        }
        if self.calibration.is_some() && self.task != Task::Binary {
            return Err(Error::Setting {
                name: "calibration",
                found: format!("with {}", self.task.name()),
                wanted: "probabilities of --task binary are calibrated; leave it out".to_owned(),
            });
        }
        if !(2..=FOLDS_MAX).contains(&self.folds) {
            return Err(Error::Setting {
                name: "folds",
                found: self.folds.to_string(),
                wanted: format!("write 2 to {FOLDS_MAX}"),
            });
        }
        if !(0.0..=0.5).contains(&self.valid_fraction) {
            return Err(Error::Setting {
                name: "valid-fraction",
                found: self.valid_fraction.to_string(),
                wanted: "write 0 to 0.5".to_owned(),
            });
        }
        let has_rates = matches!(self.task, Task::Poisson | Task::Gamma | Task::Tweedie);
        if self.exposure.is_some() && !has_rates {
            return Err(Error::Setting {
                name: "exposure",
                found: format!("with {}", self.task.name()),
                wanted: "it is for --task poisson, gamma and tweedie".to_owned(),
            });
        }
        if (self.task == Task::Rank) != self.group.is_some() {
            return Err(Error::Setting {
                name: "group",
                found: if self.group.is_some() {
                    "there"
                } else {
                    "missing"
                }
                .to_owned(),
                wanted: "ranking needs it, and nothing else does".to_owned(),
            });
        }
        if self.model == Kind::Glm && !self.monotone.is_empty() {
            return Err(Error::Setting {
                name: "monotone",
                found: "with glm".to_owned(),
                wanted:
                    "a linear model is monotone in every number; write --model gbdt or scorecard"
                        .to_owned(),
            });
        }
        Ok(())
    }
}
