//! `luopan train`: artifacts of a pack, made from the history of a data folder.

use super::Common;
use super::output::Said;
use super::train_intention::{self, Intention};
use crate::problem::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Train {
    /// Train what predicts customers' next acts from a sequence
    Intention(Intention),
}

pub(super) async fn run(common: &Common, train: Train) -> Result<Said> {
    match train {
        Train::Intention(asked) => train_intention::run(common, asked).await,
    }
}
