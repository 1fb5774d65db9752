//! `luopan train intention`: a model of a sequence, from the history of a data folder.

use super::Common;
use super::output::{Said, table};
use crate::data::Opening;
use crate::problem::{Problem, Result};
use crate::train::intention::{Report, Settings, intention};
use crate::whole::{writable, write_whole};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Intention {
    /// Scene, as it is applied
    #[arg(long)]
    scene: String,
    /// Sequence whose next word is predicted
    #[arg(long)]
    sequence: String,
    /// The file to write: an artifact of kind `sequence`
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Times that every moment is seen, 1 to 100
    #[arg(long, default_value_t = Settings::default().epochs, value_name = "N")]
    epochs: usize,
    /// Seed: the same history, settings and seed give the same file
    #[arg(long, default_value_t = Settings::default().seed, value_name = "N")]
    seed: u64,
    /// Keep what was trained on two thirds of the customers, instead of learning once more from all
    #[arg(long)]
    no_refit: bool,
}

pub(super) async fn run(common: &Common, asked: Intention) -> Result<Said> {
    let settings = Settings {
        epochs: asked.epochs,
        seed: asked.seed,
        refit: !asked.no_refit,
    };
    settings.check()?;
    writable(&asked.output)?;
    let opened = common.open(Opening::Existing).await?;
    let read = match opened.settle().await {
        Ok(()) => opened
            .engine
            .acts(&asked.scene, &asked.sequence)
            .await
            .map_err(Into::into),
        Err(e) => Err(e),
    };
    opened.close().await;
    let (bytes, report) = intention(&read?, &settings)?;
    write_whole(&asked.output, &bytes)?;
    let text = words(&report, &asked.output, bytes.len());
    let mut json = serde_json::to_value(&report)
        .map_err(|e| Problem::internal(format!("writing the answer failed: {e}")))?;
    json["output"] = json!(asked.output);
    json["bytes"] = json!(bytes.len());
    Said::new(&json, text)
}

fn words(report: &Report, output: &std::path::Path, bytes: usize) -> String {
    let row = |name: &str, s: &crate::train::intention::Shares| {
        vec![
            name.to_owned(),
            format!("{:.3}", s.top_1),
            format!("{:.3}", s.top_3),
            format!("{:.3}", s.log_loss),
        ]
    };
    let rows = [
        row("the model", &report.model),
        row("a Markov chain", &report.markov),
        row("popularity", &report.popularity),
    ];
    format!(
        "{}: {bytes} bytes, classes {}\n{} moments of {} customers, {} acts; told of {} later moments of others:\n{}",
        output.display(),
        report.classes.join(", "),
        report.learned,
        report.customers,
        report.acts,
        report.kept,
        table(&["next act", "top 1", "top 3", "log loss"], &rows)
    )
}
