//! Whom a black box picks, in a few rules that people can read and a scene can take.

use super::dataset::sha256;
use super::model::cpu_seconds;
use super::{table, written};
use crate::problem::{Problem, Result};
use luopan_kernel::id::hash64;
use luopan_learning::audience::{
    Description, Judgement, Kind, Settings, describe, held_out, picked,
};
use luopan_learning::tabular::{Frame, MISSING, Series, is_time};
use serde::Serialize;
use std::path::Path;

/// Who is in the audience.
#[derive(Debug, Clone, PartialEq)]
pub enum Picked {
    /// Whose column is at least this.
    Above(String, f64),
    /// The share of all whose column is highest.
    Top(String, f64),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who is in the audience.
    pub picked: Picked,
    /// Column whose rows are held out together.
    pub id: Option<String>,
    /// Share of the rows that the rules are judged by and not found on.
    pub held_out: f64,
    /// Level of the intervals.
    pub level: f64,
    /// Seed of who is held out.
    pub seed: u64,
    /// Limits of the rules.
    pub settings: Settings,
}

/// The audience in rules.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    /// Rows.
    pub rows: usize,
    /// The score from which on a row is in the audience.
    pub cut: f64,
    /// The rules, and how good they are.
    #[serde(flatten)]
    pub found: Description,
    /// The rules as a segment of a scene takes them; none where they cannot be written.
    pub segment: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_segment: Option<String>,
    /// What to look at.
    pub flags: Vec<String>,
    /// SHA-256 of the file.
    pub sha256: String,
    /// CPU seconds without reading the file.
    pub cpu_seconds: f64,
}

fn refused(input: &Path, e: &impl std::fmt::Display) -> Box<Problem> {
    Problem::new("cannot_learn", format!("{}: {e}", input.display()))
}

/// Describes an audience of a file.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`.
pub fn from_file(input: &Path, asked: &Asked) -> Result<Described> {
    let wanted = table::Wanted {
        texts: asked.id.iter().cloned().collect(),
        ignored: asked.settings.exclude.iter().cloned().collect(),
        only: None,
    };
    let frame = table::read_for(input, &wanted, table::FOR_EXCLUDING)?;
    let (frame, booleans) = with_booleans(frame, asked.id.as_deref());
    let begun = cpu_seconds();
    let (Picked::Above(name, _) | Picked::Top(name, _)) = &asked.picked;
    let named = asked
        .settings
        .exclude
        .iter()
        .chain(asked.settings.kinds.keys());
    for name in named.chain([name]).chain(&asked.id) {
        if frame.get(name).is_none() {
            return Err(refused(input, &written::unknown(&frame, name)));
        }
    }
    let Some(Series::Numbers(scores)) = frame.get(name) else {
        return Err(refused(
            input,
            &format!("column `{name}` holds texts; a score is a number"),
        ));
    };
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        let found = match scores[row] {
            score if score.is_nan() => "nothing".to_owned(),
            score => score.to_string(),
        };
        return Err(refused(
            input,
            &format!(
                "row {}, column `{name}`: found {found}; a score is a finite number: leave out rows without one",
                row + 1
            ),
        ));
    }
    let cut = match asked.picked {
        Picked::Above(_, cut) => cut,
        Picked::Top(_, share) => highest(scores, share),
    };
    let audience = picked(scores, cut).map_err(|e| refused(input, &e))?;
    let keys = match &asked.id {
        None => frame.row_hashes(),
        Some(id) => keys(&frame, id).ok_or_else(|| {
            refused(
                input,
                &format!("there is no column `{id}` with a text in each row"),
            )
        })?,
    };
    let out = held_out(&keys, asked.held_out, asked.seed).map_err(|e| refused(input, &e))?;
    let mut settings = asked.settings.clone();
    settings.exclude.insert(name.clone());
    for name in booleans {
        settings.kinds.entry(name).or_insert(Kind::Boolean);
    }
    settings.exclude.extend(asked.id.iter().cloned());
    let mut flags = Vec::new();
    for (name, series) in frame.columns() {
        let is_times = matches!(series, Series::Texts { levels, .. } if !levels.is_empty() && levels.iter().all(|l| is_time(l)));
        if is_times && settings.exclude.insert(name.to_owned()) {
            flags.push(format!(
                "`{name}` holds times, which no rule can use: write how long ago they were as a number, and say so with --kinds {name}:duration"
            ));
        }
    }
    let found = describe(&frame, &audience, &out, &settings, asked.level)
        .map_err(|e| refused(input, &e))?;
    flags.extend(no_better(&found.held_out));
    let (segment, no_segment) = match found.rules.to_rule(&settings) {
        Ok(rule) => (Some(rule), None),
        Err(e) => (None, Some(e.to_string())),
    };
    Ok(Described {
        rows: frame.rows(),
        cut,
        found,
        segment,
        no_segment,
        flags,
        sha256: sha256(input)?,
        cpu_seconds: cpu_seconds() - begun,
    })
}

/// Why rules are worth no more than drawing customers by lot, where nothing shows that they are.
fn no_better(held: &Judgement) -> Option<String> {
    let base = held.audience as f64 / held.rows as f64;
    if held.purity.of == 0 {
        return Some(
            "no row that was not used meets a rule: what the rules are worth is not known; lower --support or --purity, or hold out more"
                .to_owned(),
        );
    }
    (held.purity.lower <= base).then(|| {
        format!(
            "the rules are no better than nothing, as far as {} rows that were not used can tell: of those they describe {:.1} % ({:.1} to {:.1}) are in the audience, and of all {:.1} %",
            held.rows,
            100.0 * held.purity.share,
            100.0 * held.purity.lower,
            100.0 * held.purity.upper,
            100.0 * base
        )
    })
}

/// Columns of the words `true` and `false` as the numbers 1 and 0, and which these are.
fn with_booleans(frame: Frame, id: Option<&str>) -> (Frame, Vec<String>) {
    let mut names = Vec::new();
    let columns = (frame.columns())
        .map(|(name, series)| {
            let number = |level: &String| match level.to_ascii_lowercase().as_str() {
                "true" => Some(1.0),
                "false" => Some(0.0),
                _ => None,
            };
            let found = match series {
                Series::Texts { codes, levels } if Some(name) != id && !levels.is_empty() => {
                    let values: Option<Vec<f64>> = levels.iter().map(number).collect();
                    values.map(|values| {
                        let of = |c: &u32| values.get(*c as usize).copied().unwrap_or(f64::NAN);
                        Series::Numbers(codes.iter().map(of).collect())
                    })
                }
                _ => None,
            };
            match found {
                Some(numbers) => {
                    names.push(name.to_owned());
                    (name.to_owned(), numbers)
                }
                None => (name.to_owned(), series.clone()),
            }
        })
        .collect();
    match Frame::new(columns) {
        Ok(made) => (made, names),
        // The columns are as long as they were.
        Err(_) => (frame, Vec::new()),
    }
}

/// The score from which on a share of the rows lies, at least one row.
fn highest(scores: &[f64], share: f64) -> f64 {
    let mut sorted: Vec<f64> = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let many = (share * sorted.len() as f64).round() as usize;
    sorted[many.clamp(1, sorted.len()) - 1]
}

fn keys(frame: &Frame, id: &str) -> Option<Vec<u64>> {
    let Some(Series::Texts { codes, levels }) = frame.get(id) else {
        return None;
    };
    if codes.contains(&MISSING) {
        return None;
    }
    let hashes: Vec<u64> = levels.iter().map(|l| hash64(l.as_bytes())).collect();
    codes
        .iter()
        .map(|c| hashes.get(*c as usize).copied())
        .collect()
}
