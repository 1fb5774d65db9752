//! What is asked for: the treatment, how it was drawn, what it is worth. This room must never guess a propensity.

use super::super::{Error, GbdtSettings, Kind, Settings, Task};
use crate::gbdt::{Objective, Parameters};
use crate::uplift::{self, Bootstrap, Economics, Learner};
use std::collections::BTreeMap;

/// What is known of how arms were drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Drawn {
    /// By lot, with the same probabilities for everybody: the arms' shares tell them.
    Lot,
    /// A column of the probability of the arm that each row got.
    Logged(String),
    /// A column of probabilities for each arm, by its name.
    Columns(BTreeMap<String, String>),
    /// Not known: learned from the columns.
    Estimated,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct UpliftSettings {
    /// Target, weight, features, folds, trees and seed, as for any training; the task is binary or regression.
    pub table: Settings,
    /// Column of arms.
    pub treatment: String,
    /// Name of the control; without it the arm that is called `control`, `0` or `false`.
    pub control: Option<String>,
    /// How arms were drawn.
    pub drawn: Drawn,
    /// How effects are learned.
    pub learner: Learner,
    /// Values and costs by the name of a treatment, for the targeting curve; it is left out where there are none.
    pub economics: BTreeMap<String, Economics>,
    /// Shares of the rows at which the uplift is told.
    pub shares: Vec<f64>,
    /// Bins of the table.
    pub bins: usize,
    /// Steps of the curves.
    pub steps: usize,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
}

impl UpliftSettings {
    /// Small trees, as [`uplift::Settings::new`]; uplift at a tenth, a fifth and three tenths, deciles, curves in steps of a
    /// twentieth.
    pub fn new(task: Task, target: &str, treatment: &str) -> Self {
        let mut table = Settings::new(task, Kind::Gbdt, target);
        table.gbdt = GbdtSettings {
            rounds: 50,
            learning_rate: 0.05,
            leaves: 8,
            min_data_in_leaf: 100,
            ..GbdtSettings::default()
        };
        Self {
            table,
            treatment: treatment.to_owned(),
            control: None,
            drawn: Drawn::Lot,
            learner: Learner::DoublyRobust,
            economics: BTreeMap::new(),
            shares: vec![0.1, 0.2, 0.3],
            bins: 10,
            steps: 20,
            bootstrap: Bootstrap::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |name, found: &str, wanted: &str| {
            Err(Error::Setting {
                name,
                found: found.to_owned(),
                wanted: wanted.to_owned(),
            })
        };
        let table = &self.table;
        if !matches!(table.task, Task::Binary | Task::Regression) {
            return refuse(
                "task",
                table.task.name(),
                "write binary or regression: uplift knows these two",
            );
        }
        if table.model != Kind::Gbdt {
            return refuse("model", table.model.name(), "uplift learns by gbdt");
        }
        if table.valid_fraction > 0.0 {
            return refuse(
                "valid-fraction",
                "there",
                "uplift sets no rows aside: write 0",
            );
        }
        if !table.monotone.is_empty() {
            return refuse(
                "monotone",
                "there",
                "an effect need not rise where the outcome does: leave it out",
            );
        }
        Ok(())
    }

    pub(super) fn learning(&self) -> uplift::Settings {
        let of = |objective| {
            let gbdt = &self.table.gbdt;
            Parameters {
                num_iterations: gbdt.rounds,
                learning_rate: gbdt.learning_rate,
                num_leaves: gbdt.leaves,
                min_data_in_leaf: gbdt.min_data_in_leaf,
                lambda_l2: gbdt.lambda_l2,
                feature_fraction: gbdt.feature_fraction,
                bagging_fraction: gbdt.bagging_fraction,
                bagging_freq: usize::from(gbdt.bagging_fraction < 1.0),
                seed: self.table.seed,
                ..Parameters::new(objective)
            }
        };
        let outcome = match self.table.task {
            Task::Binary => Objective::Binary,
            _ => Objective::Regression,
        };
        uplift::Settings {
            outcome: of(outcome),
            effect: of(Objective::Regression),
            propensity: of(Objective::Binary),
            seed: self.table.seed,
            ..uplift::Settings::new(self.learner, outcome)
        }
    }
}
