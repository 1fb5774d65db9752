//! `luopan learn`: from logged decisions, or any table, to models and better policies.

mod allocate;
mod audience;
mod contest;
mod dataset;
mod drift;
mod effects;
pub(super) mod evaluate;
mod lifetime;
mod predict;
mod segment;
mod slates;
mod train;
mod uplift;
mod value;

use super::Common;
use super::output::Said;
use crate::problem::{Problem, Result};
use clap::Subcommand;
use luopan_kernel::time::Micros;

/// Refuses a time that ends before it begins.
///
/// # Errors
/// `command_line`.
pub(super) fn in_order(from: Option<Micros>, until: Option<Micros>) -> Result<()> {
    match (from, until) {
        (Some(from), Some(until)) if from >= until => Err(Problem::new(
            "command_line",
            format!(
                "--from {} is not before --until {}: nothing lies between them",
                crate::time::write(from),
                crate::time::write(until)
            ),
        )),
        _ => Ok(()),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Learn {
    /// Write the decisions of a policy as a training set: what was known, what was chosen, what came of it
    Dataset(dataset::Dataset),
    /// Train a model from a table (CSV, Parquet, lines of JSON; gzipped too) and report how good it is on rows it has not seen
    Train(Box<train::Train>),
    /// Say what a policy that was never used would have been worth, from the decisions that another one logged
    Evaluate(evaluate::Evaluate),
    /// The same where a decision fills several places, each with its reward
    Slates(slates::Slates),
    /// Say who gets what under budgets, caps and floors, and how far from the best possible that is at most
    Allocate(allocate::Allocate),
    /// Say in a few rules whom a score picks, as a segment of a scene
    Audience(Box<audience::Audience>),
    /// Say how much a treatment changes an outcome, and for whom, from a trial
    Uplift(Box<uplift::Uplift>),
    /// Learn what to do over many steps from logged trajectories, and say what it would have been worth
    Lifetime(Box<lifetime::Lifetime>),
    /// Say what customers are worth and who has left, from their purchases
    Value(value::Value),
    /// Say what a trained model makes of its features on the whole, and which of them it needs
    Effects(effects::Ask),
    /// Say what champion and challenger of a contest have earned, and whether one is better
    Contest(contest::Contest),
    /// Say whether a policy's recent decisions are still like those of the time before, by the monitors of its scene
    Drift(drift::Monitors),
    /// Predict the rows of a table by a trained model
    Predict(predict::Predict),
}

pub(super) async fn run(common: &Common, learn: Learn) -> Result<Said> {
    match learn {
        Learn::Dataset(asked) => dataset::run(common, asked).await,
        Learn::Train(asked) => train::run(*asked),
        Learn::Evaluate(asked) => evaluate::run(&asked),
        Learn::Slates(asked) => slates::run(&asked),
        Learn::Allocate(asked) => allocate::run(&asked),
        Learn::Audience(asked) => audience::run(common, &asked).await,
        Learn::Uplift(asked) => uplift::run(&asked),
        Learn::Lifetime(asked) => lifetime::run(&asked),
        Learn::Value(asked) => value::run(&asked),
        Learn::Effects(asked) => effects::run(asked),
        Learn::Contest(asked) => contest::run(common, asked).await,
        Learn::Drift(asked) => drift::run(common, asked).await,
        Learn::Predict(asked) => predict::run(&asked),
    }
}
