//! `luopan learn predict`.

use super::super::output::Said;
use crate::learn::model::{self, Wanted};
use crate::learn::taste;
use crate::problem::{Problem, Result};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Predict {
    /// Folder of the model, as `luopan learn train` wrote it
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The table: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The file to write: Parquet, CSV or lines of JSON, as its name ends (.csv.gz and .jsonl.gz too)
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Columns of the table that are carried over
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    keep: Vec<String>,
    /// Of als: items for each user of the table
    #[arg(long, default_value_t = 10, value_name = "N")]
    top: usize,
    /// Write what each feature adds to the raw score, too
    #[arg(long)]
    contributions: bool,
}

pub(super) fn run(asked: &Predict) -> Result<Said> {
    if asked.model.join(model::FACTORS).exists() {
        return ranked(asked);
    }
    let kept = model::open(&asked.model)?;
    let wanted = Wanted {
        keep: asked.keep.clone(),
        contributions: asked.contributions,
    };
    let done = model::predict(&kept, &asked.input, &asked.output, &wanted)?;
    let mut text = format!("{}: {} rows\n", done.output.display(), done.rows);
    for (name, rows) in &done.unseen {
        text.push_str(&format!(
            "`{name}`: {rows} rows have a text that was never seen in training; they are predicted as of no known one\n"
        ));
    }
    Said::new(&done, text)
}

fn ranked(asked: &Predict) -> Result<Said> {
    if asked.contributions || !asked.keep.is_empty() {
        return Err(Problem::new(
            "command_line",
            "factors have no contributions, and their file a row for each item: leave --contributions and --keep out",
        ));
    }
    let kept = taste::open(&asked.model)?;
    let done = taste::predict(&kept, &asked.input, &asked.output, asked.top)?;
    let mut text = format!(
        "{}: {} items for {} users\n",
        done.output.display(),
        done.rows,
        done.users
    );
    if done.unseen > 0 {
        text.push_str(&format!(
            "{} users were never seen in training and have no items\n",
            done.unseen
        ));
    }
    Said::new(&done, text)
}
