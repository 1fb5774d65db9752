//! How much a treatment changes an outcome, and for whom, from a file of a trial.

use super::model::{cpu_seconds, refused};
use super::{table, written};
use crate::problem::{Problem, Result};
use luopan_learning::tabular::{Drawn, Series, UpliftReport, UpliftSettings, uplift};
use luopan_learning::uplift::{Economics, best, net_scores};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is said of a trial.
#[derive(Debug, Clone, Serialize)]
pub struct Treated {
    /// The report: effects, how well they rank rows that were not learned from, what a share treated brings.
    #[serde(flatten)]
    pub report: UpliftReport,
    /// CPU seconds of all folds and of the model of all rows.
    pub cpu_seconds: f64,
    /// CPU seconds of reading the file.
    pub cpu_seconds_read: f64,
    /// Rows of the other file whose effects were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted: Option<usize>,
    /// The file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
}

/// Whose effects are wanted, and where.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// A file with the features of the trial.
    pub input: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// Columns that are carried over.
    pub keep: Vec<String>,
}

/// Learns from a trial, and writes the effects of each treatment on the rows of another file: `effect.NAME`, and `best`, the treatment of the
/// highest effect, empty where none is above zero.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then no file is written.
pub fn from_file(
    input: &Path,
    settings: &UpliftSettings,
    wanted: Option<&Wanted>,
    tell: &mut dyn FnMut(usize),
) -> Result<Treated> {
    if let Some(wanted) = wanted {
        written::ready(&[input, &wanted.input], &wanted.output)?;
    }
    let begun = cpu_seconds();
    let of = &settings.table;
    let columns = table::Wanted {
        // Arms are names, whatever they look like.
        texts: (of.categorical.iter().chain(&of.id))
            .chain([&settings.treatment])
            .cloned()
            .collect(),
        ignored: of.exclude.clone(),
        only: None,
    };
    let mut frame = table::read_for(input, &columns, table::FOR_TRAINING)?;
    if let Some(name) = &of.time {
        (frame, _) = table::with_times(input, frame, name)?;
    }
    let read = cpu_seconds();
    let found = uplift(&frame, settings, tell).map_err(|e| refused(input, Some(&frame), &e))?;
    let done = cpu_seconds();
    let predicted = match wanted {
        None => None,
        Some(wanted) => {
            let features = &found.features;
            let names = features.iter().filter(|f| f.is_category());
            let texts = table::Wanted {
                texts: names.map(|f| f.name.clone()).collect(),
                only: Some(features.iter().map(|f| f.name.clone()).collect()),
                ..table::Wanted::default()
            };
            let others = table::read(&wanted.input, &texts)?;
            let bad = |e| refused(&wanted.input, Some(&others), &e);
            let effects = found.effects(&others).map_err(bad)?;
            let mut columns = written::carried(&wanted.input, &wanted.keep, &wanted.output)?;
            let names = &found.report.treatments;
            for (at, treatment) in (1u32..).zip(names) {
                let name = format!("effect.{}", treatment.name);
                columns.push((name, Series::Numbers(effects.of(at))));
            }
            // With values and costs the best is who brings most after costs.
            let each: Option<Vec<Economics>> = (names.iter())
                .map(|t| settings.economics.get(&t.name).copied())
                .collect();
            let scores = match each
                .filter(|of| !of.is_empty() && of.iter().all(|e| e.cost_per_outcome == 0.0))
            {
                Some(each) => net_scores(&effects, None, &each).map_err(|e| {
                    Problem::new("cannot_learn", format!("{}: {e}", wanted.input.display()))
                })?,
                None => effects.clone(),
            };
            let codes = best(&scores)
                .into_iter()
                .map(|arm| arm.map_or(luopan_learning::tabular::MISSING, |arm| arm - 1));
            columns.push((
                "best".to_owned(),
                Series::Texts {
                    codes: codes.collect(),
                    levels: names.iter().map(|t| t.name.clone()).collect(),
                },
            ));
            written::write(&wanted.output, &columns, others.rows())?;
            Some(others.rows())
        }
    };
    Ok(Treated {
        report: found.report,
        cpu_seconds: done - read,
        cpu_seconds_read: read - begun,
        predicted,
        output: wanted.map(|w| w.output.clone()),
    })
}

/// How arms were drawn, as the command line says it: `lot`, `estimated`, or a column of the probability of the arm that a row got.
pub fn drawn(text: &str) -> Drawn {
    match text {
        "lot" => Drawn::Lot,
        "estimated" => Drawn::Estimated,
        column => Drawn::Logged(column.to_owned()),
    }
}
