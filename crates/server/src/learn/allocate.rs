//! Who gets what, from a file with a row for each customer and action that may be given.

use super::model::{cpu_seconds, in_words};
use super::{table, written};
use crate::problem::{Problem, Result};
use luopan_learning::tabular::{Error, OfferSettings, Offered, Series, Trade, offers, trades};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is said of an allocation.
#[derive(Debug, Clone, Serialize)]
pub struct Allocated {
    /// Rows of the file.
    pub rows: usize,
    /// What is given, and how good it is.
    #[serde(flatten)]
    pub found: Offered,
    /// What one objective costs the other; empty where it was not asked for.
    pub curve: Vec<Trade>,
    /// CPU seconds without reading the file.
    pub cpu_seconds: f64,
    /// CPU seconds of reading it.
    pub cpu_seconds_read: f64,
    /// The file that was written; none where none was asked for.
    pub output: Option<PathBuf>,
}

/// Gives what is worth most within the limits, and writes the rows that are given as they stand in the file, ascending.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_allocate`. Then no file is written.
pub fn allocate(
    input: &Path,
    settings: &OfferSettings,
    points: Option<usize>,
    output: Option<&Path>,
) -> Result<Allocated> {
    if let Some(output) = output {
        written::ready(&[input], output)?;
    }
    let begun = cpu_seconds();
    let texts = vec![settings.customer.clone(), settings.action.clone()];
    let values = settings.objectives.iter().map(|o| &o.column);
    let amounts: Vec<String> = values
        .chain(settings.budgets.iter().map(|b| &b.column))
        .cloned()
        .collect();
    let wanted = table::Wanted {
        texts,
        only: Some(amounts),
        ..table::Wanted::default()
    };
    let frame = table::read(input, &wanted)?;
    let read = cpu_seconds();
    let refused = |e: Error| {
        let words = in_words(Some(&frame), &e);
        Problem::new("cannot_allocate", format!("{}: {words}", input.display()))
    };
    let found = offers(&frame, settings).map_err(refused)?;
    let curve = match points {
        Some(points) => trades(&frame, settings, points).map_err(refused)?,
        None => Vec::new(),
    };
    let done = cpu_seconds();
    if let Some(output) = output {
        let given = frame.take(&found.rows);
        let columns: Vec<(String, Series)> = given
            .columns()
            .map(|(name, series)| (name.to_owned(), series.clone()))
            .collect();
        written::write(output, &columns, given.rows())?;
    }
    Ok(Allocated {
        rows: frame.rows(),
        found,
        curve,
        cpu_seconds: done - read,
        cpu_seconds_read: read - begun,
        output: output.map(Path::to_owned),
    })
}
