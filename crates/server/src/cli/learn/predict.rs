//! `luopan learn predict`.

use super::super::output::Said;
use crate::learn::model::{self, Wanted};
use crate::problem::Result;
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
    /// The file to write: Parquet, or CSV where its name ends so
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Columns of the table that are carried over
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    keep: Vec<String>,
    /// Write what each feature adds to the raw score, too
    #[arg(long)]
    contributions: bool,
}

pub(super) fn run(asked: &Predict) -> Result<Said> {
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
