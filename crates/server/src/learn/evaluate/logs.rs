//! A table as logged decisions: what was chosen, how likely, what came of it. Rows that tell nothing of the choice are left out and
//! counted.

use super::super::table;
use super::refused;
use crate::problem::Result;
use luopan_learning::tabular::{Frame, Series};
use std::path::Path;

/// Columns of logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// Of the action that was taken.
    pub action: String,
    /// Of the probability with which it was.
    pub propensity: String,
    /// Of the reward; empty for the one that a training set has.
    pub reward: String,
    /// Columns that predictions of rewards may not use.
    pub exclude: Vec<String>,
}

/// Logged decisions.
#[derive(Debug)]
pub struct Logged {
    /// Their columns; the reward by its name.
    pub(super) which: Which,
    /// The table, whole.
    pub(super) frame: Frame,
    /// Rows that are evaluated, by their place in the table.
    pub(super) rows: Vec<u32>,
    /// Rows that are not, by reason.
    pub(super) left_out: Vec<(&'static str, usize)>,
    /// Names of the actions, ascending.
    pub(super) actions: Vec<String>,
    /// Of the rows: the action, the probability, the reward.
    pub(super) taken: Vec<u32>,
    pub(super) propensities: Vec<f64>,
    pub(super) rewards: Vec<f64>,
    /// Columns that are no features.
    pub(super) not_features: Vec<String>,
}

fn column<'f>(frame: &'f Frame, name: &str, what: &str, option: &str) -> Result<&'f Series> {
    frame.get(name).ok_or_else(|| {
        let near = luopan_scene::nearest(name, frame.names().iter().map(String::as_str));
        let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        refused(format!(
            "there is no column `{name}` for the {what}{near}; name it with {option}"
        ))
    })
}

fn numbers<'f>(frame: &'f Frame, name: &str, what: &str, option: &str) -> Result<&'f [f64]> {
    match column(frame, name, what, option)? {
        Series::Numbers(values) => Ok(values),
        Series::Texts { .. } => Err(refused(format!(
            "column `{name}` for the {what} holds texts; numbers are wanted"
        ))),
    }
}

/// The reward that a training set has, when it has one.
fn only_reward(frame: &Frame) -> Result<String> {
    let found: Vec<&String> = (frame.names().iter())
        .filter(|n| n.starts_with("reward.") && !n.ends_with(".after_s"))
        .collect();
    match found[..] {
        [one] => Ok(one.clone()),
        [] => Err(refused(
            "there is no column of rewards; name it with --reward",
        )),
        _ => Err(refused(format!(
            "there are several rewards: {}; name one with --reward",
            found
                .iter()
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

impl Which {
    /// The same with the reward's name, found in the table where it was not named.
    ///
    /// # Errors
    /// `cannot_evaluate` without one, or with several.
    fn found(&self, frame: &Frame) -> Result<Self> {
        let mut out = self.clone();
        if out.reward.is_empty() {
            out.reward = only_reward(frame)?;
        }
        Ok(out)
    }
}

/// Reads logs.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_evaluate`: columns that are not there, no row that can be evaluated.
pub(super) fn read(path: &Path, asked: &Which) -> Result<Logged> {
    let wanted = table::Wanted {
        texts: vec![asked.action.clone()],
        ignored: asked.exclude.clone(),
        only: None,
    };
    let frame = table::read(path, &wanted)?;
    let which = asked.found(&frame)?;
    let actions = column(&frame, &which.action, "action", "--action")?;
    let propensities = numbers(&frame, &which.propensity, "propensity", "--propensity")?;
    let rewards = numbers(&frame, &which.reward, "reward", "--reward")?;
    let forced = frame.get("decision.is_forced");
    let position = match frame.get("decision.position") {
        Some(Series::Numbers(values)) => Some(values),
        _ => None,
    };
    let mut without = [
        ("without_a_reward_yet", 0),
        ("chosen_by_who_asked", 0),
        ("further_places_of_slates", 0),
    ];
    let mut rows = Vec::new();
    for row in 0..frame.rows() {
        let why = if rewards[row].is_nan() {
            Some(0)
        } else if forced.is_some_and(|f| f.text(row).as_deref() == Some("true")) {
            Some(1)
        } else if position.is_some_and(|p| p[row] > 0.0) {
            Some(2)
        } else {
            None
        };
        match why {
            Some(why) => without[why].1 += 1,
            None if actions.is_missing(row) => {
                return Err(refused(format!(
                    "row {}: the action is missing in column `{}`",
                    row + 1,
                    which.action
                )));
            }
            None => rows.push(row as u32),
        }
    }
    if rows.is_empty() {
        return Err(refused(format!(
            "{}: no row has a reward in column `{}`: their windows are open, or none was given",
            path.display(),
            which.reward
        )));
    }
    let texts: Vec<String> = rows
        .iter()
        .filter_map(|r| actions.text(*r as usize))
        .collect();
    let mut names = texts.clone();
    names.sort_unstable();
    names.dedup();
    let place = |t: &String| names.binary_search(t).unwrap_or_default() as u32;
    let take = |values: &[f64]| rows.iter().map(|r| values[*r as usize]).collect();
    let not_features = (frame.names().iter())
        .filter(|n| {
            let own = n.starts_with("decision.") || n.starts_with("reward.");
            (own || **n == which.propensity || which.exclude.contains(n))
                && **n != which.action
                && **n != which.reward
        })
        .cloned()
        .collect();
    Ok(Logged {
        taken: texts.iter().map(place).collect(),
        propensities: take(propensities),
        rewards: take(rewards),
        actions: names,
        left_out: without.into_iter().filter(|(_, n)| *n > 0).collect(),
        not_features,
        which,
        rows,
        frame,
    })
}
