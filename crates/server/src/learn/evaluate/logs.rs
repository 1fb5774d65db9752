//! A table as logged decisions: what was chosen, how likely, what came of it. Rows that tell nothing of the choice are left out and
//! counted.

use super::super::dataset::SHADOW;
use super::super::table;
use super::policy::Named;
use super::refused;
use crate::problem::Result;
use luopan_learning::tabular::{Frame, Series};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Names of the actions: those that were taken, ascending, then those that a policy in shadow would have taken beside them.
    pub(super) actions: Vec<String>,
    /// How many of them were taken.
    pub(super) logged: usize,
    /// Of each policy in shadow that is asked for, a line a row: actions and their probabilities.
    pub(super) shadows: BTreeMap<String, Vec<Distribution>>,
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
pub(in crate::learn) fn only_reward(frame: &Frame) -> Result<String> {
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

/// Actions with their probabilities.
pub(super) type Distribution = Vec<(u32, f64)>;

/// Of what a policy in shadow would have done, what was never taken, where that is no item that has a name here.
const OTHER: &str = "(other items)";

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
pub(super) fn read(path: &Path, asked: &Which, policies: &[&Named]) -> Result<Logged> {
    let shadows: BTreeSet<&String> = (policies.iter())
        .filter_map(|p| match p {
            Named::Shadow(name) => Some(name),
            _ => None,
        })
        .collect();
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
    let columns = (shadows.iter())
        .map(|name| in_shadow(&frame, name))
        .collect::<Result<Vec<_>>>()?;
    let forced = frame.get("decision.is_forced");
    let position = match frame.get("decision.position") {
        Some(Series::Numbers(values)) => Some(values),
        _ => None,
    };
    let mut without = [
        ("without_a_reward_yet", 0),
        ("chosen_by_who_asked", 0),
        ("further_places_of_slates", 0),
        ("not_decided_again", 0),
    ];
    let mut rows = Vec::new();
    for row in 0..frame.rows() {
        let why = if rewards[row].is_nan() {
            Some(0)
        } else if forced.is_some_and(|f| f.text(row).as_deref() == Some("true")) {
            Some(1)
        } else if position.is_some_and(|p| p[row] > 0.0) {
            Some(2)
        } else if columns.iter().any(|c| c.is_missing(row)) {
            Some(3)
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
            let own = ["decision.", "reward.", SHADOW]
                .iter()
                .any(|own| n.starts_with(own));
            (own || **n == which.propensity || which.exclude.contains(n))
                && **n != which.action
                && **n != which.reward
        })
        .cloned()
        .collect();
    let logged = names.len();
    let mut found = BTreeMap::new();
    let taken = texts.iter().map(place).collect();
    for (name, column) in shadows.into_iter().zip(columns) {
        let lines = distributions(name, column, &rows, &mut names)?;
        found.insert(name.clone(), lines);
    }
    Ok(Logged {
        taken,
        logged,
        shadows: found,
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

/// The column of a policy in shadow.
fn in_shadow<'f>(frame: &'f Frame, name: &str) -> Result<&'f Series> {
    if let Some(found) = frame.get(&format!("{SHADOW}{name}")) {
        return Ok(found);
    }
    let known: Vec<String> = (frame.names().iter())
        .filter_map(|n| n.strip_prefix(SHADOW))
        .filter(|n| !n.ends_with(".propensity"))
        .map(|n| format!("`shadow:{n}`"))
        .collect();
    Err(refused(match known.is_empty() {
        true => format!(
            "no policy is in shadow in these logs; write them with `luopan learn dataset --shadow {name}`"
        ),
        false => format!(
            "policy `{name}` is not in shadow in these logs; there are {}",
            known.join(", ")
        ),
    }))
}

/// What a policy in shadow would have done at these rows. Actions that were never taken are added to `actions`.
fn distributions(
    name: &str,
    column: &Series,
    rows: &[u32],
    actions: &mut Vec<String>,
) -> Result<Vec<Distribution>> {
    let wrong = |row: u32, found: &str| {
        let found: String = found.chars().take(80).collect();
        refused(format!(
            "row {}: column `{SHADOW}{name}` holds `{found}`; a JSON object of probabilities by action is wanted, as `luopan learn dataset --shadow` writes it",
            row + 1
        ))
    };
    let mut places: BTreeMap<String, u32> = (actions.iter().cloned()).zip(0..).collect();
    // Most customers are decided for alike: a text is read once.
    let mut known: BTreeMap<String, Distribution> = BTreeMap::new();
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let text = column.text(*row as usize).unwrap_or_default();
        if let Some(found) = known.get(&text) {
            out.push(found.clone());
            continue;
        }
        let read: BTreeMap<String, f64> =
            serde_json::from_str(&text).map_err(|_| wrong(*row, &text))?;
        let mut line = Distribution::with_capacity(read.len());
        for (action, p) in read {
            let action = match action.is_empty() {
                true => OTHER.to_owned(),
                false => action,
            };
            let next = places.len() as u32;
            let place = *places.entry(action.clone()).or_insert_with(|| {
                actions.push(action);
                next
            });
            line.push((place, p));
        }
        out.push(line.clone());
        known.insert(text, line);
    }
    Ok(out)
}
