//! What is chosen before learning. This room must never guess a setting from data.

use super::error::setting;
use super::{Error, FOLDS_MAX};
use crate::gbdt::{Objective, Parameters};

/// How effects are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learner {
    /// One model of the outcome, the treatment a column of it; the effect is how far the prediction moves with it (Künzel et al.
    /// 2019, S). Regularisation shrinks small effects to nothing.
    S,
    /// A model of the outcome for each arm; their difference (Künzel et al. 2019, T).
    T,
    /// Effects imputed in each arm by the other's model, learned and averaged by the propensity (Künzel et al. 2019, X). Good
    /// where arms differ much in size.
    X,
    /// Residuals of the outcome on residuals of the treatment (Nie and Wager 2021).
    R,
    /// Doubly robust scores, which are right on average where either the outcome models or the propensities are, regressed on the
    /// columns (Kennedy 2023, DR-learner; scores are cross-fitted and regressed together).
    DoublyRobust,
}

impl Learner {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::S, Self::T, Self::X, Self::R, Self::DoublyRobust];

    /// Its name: `s`, `t`, `x`, `r` or `dr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "s",
            Self::T => "t",
            Self::X => "x",
            Self::R => "r",
            Self::DoublyRobust => "dr",
        }
    }

    /// The learner of this name.
    ///
    /// # Errors
    /// No such learner.
    pub fn named(name: &str) -> Result<Self, Error> {
        (Self::ALL.into_iter().find(|learner| learner.name() == name))
            .ok_or_else(|| setting("the learner", name, "s, t, x, r or dr"))
    }

    /// Whether it asks for propensities.
    pub(super) fn is_weighted(self) -> bool {
        matches!(self, Self::X | Self::R | Self::DoublyRobust)
    }
}

/// What is learned with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How effects are learned.
    pub learner: Learner,
    /// Trees that predict the outcome: binary for outcomes of 0 and 1; regression, Poisson, gamma or Tweedie for others.
    pub outcome: Parameters,
    /// Trees that predict effects (X, R, doubly robust): regression.
    pub effect: Parameters,
    /// Trees that predict the arm where propensities are estimated; their objective is set by the number of arms.
    pub propensity: Parameters,
    /// Folds of cross-fitting, 2 to [`FOLDS_MAX`]: what is predicted of a row for R, doubly robust and estimated propensities comes from models without it.
    pub folds: usize,
    /// Estimated propensities are held between this and 1 less this, above 0 and below one half.
    pub clip: f64,
    /// Of the folds.
    pub seed: u64,
}

impl Settings {
    /// Small trees, since effects are small beside outcomes: 50 rounds at a rate of 0.05, 8 leaves of 100 rows. Five folds.
    pub fn new(learner: Learner, outcome: Objective) -> Self {
        let trees = |objective| Parameters {
            num_iterations: 50,
            learning_rate: 0.05,
            num_leaves: 8,
            min_data_in_leaf: 100,
            ..Parameters::new(objective)
        };
        Self {
            learner,
            outcome: trees(outcome),
            effect: trees(Objective::Regression),
            propensity: trees(Objective::Binary),
            folds: 5,
            clip: 0.01,
            seed: 1,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if !(2..=FOLDS_MAX).contains(&self.folds) {
            return Err(setting("the number of folds", self.folds, "2 to 1,000"));
        }
        if !(self.clip > 0.0 && self.clip < 0.5) {
            return Err(setting(
                "the clip of propensities",
                self.clip,
                "a number above 0 and below 0.5, such as 0.01",
            ));
        }
        if matches!(
            self.outcome.objective,
            Objective::Multiclass { .. } | Objective::Lambdarank
        ) {
            return Err(setting(
                "the objective of outcomes",
                self.outcome.objective.name(),
                "binary, regression, poisson, gamma or tweedie",
            ));
        }
        if self.effect.objective != Objective::Regression {
            return Err(setting(
                "the objective of effects",
                self.effect.objective.name(),
                "regression",
            ));
        }
        Ok(())
    }
}
