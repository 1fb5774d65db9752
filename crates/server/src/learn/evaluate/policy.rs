//! A policy by its name: what it would have done at each logged row.

use super::super::{model, table};
use super::logs::Logged;
use super::refused;
use crate::problem::Result;
use luopan_learning::tabular::{Frame, Kept, Series, Task};
use std::path::{Path, PathBuf};

/// Share of the logs that a model may have learned from.
const SEEN_MOST: f64 = 0.01;

/// How a model's predictions become choices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The action of the highest prediction.
    Greedy,
    /// It, but with this probability any.
    Epsilon(f64),
    /// In proportion to `exp(prediction / temperature)`.
    Softmax(f64),
}

/// A policy as people name it.
#[derive(Debug, Clone, PartialEq)]
pub enum Named {
    /// Every action alike.
    Uniform,
    /// The one that wrote the logs.
    Logged,
    /// One action, whoever it is for.
    Always(String),
    /// What a model of the reward predicts, which has learned from the action as a feature.
    Model(PathBuf, Choice),
    /// A table with a column of probabilities for each action, a row for each row of the logs.
    Table(PathBuf),
    /// A policy in shadow, by the name that the logs have for it.
    Shadow(String),
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let share = |what: &str, v: &str, most: f64| match v.parse::<f64>() {
            Ok(v) if v > 0.0 && v <= most => Ok(v),
            _ => Err(format!(
                "`{v}` is no {what}; write a number above 0, at most {most}"
            )),
        };
        match text {
            "uniform" => return Ok(Self::Uniform),
            "logged" => return Ok(Self::Logged),
            _ => {}
        }
        if let Some(action) = text.strip_prefix("always:") {
            return Ok(Self::Always(action.to_owned()));
        }
        if let Some(name) = text.strip_prefix("shadow:") {
            return Ok(Self::Shadow(name.to_owned()));
        }
        let (path, choice) = match text.rsplit_once('@') {
            None => (text, None),
            Some((path, "greedy")) => (path, Some(Choice::Greedy)),
            Some((path, how)) => match how.split_once(':') {
                Some(("epsilon", v)) => (path, Some(Choice::Epsilon(share("epsilon", v, 1.0)?))),
                Some(("softmax", v)) => (
                    path,
                    Some(Choice::Softmax(share("temperature", v, f64::MAX)?)),
                ),
                _ => (text, None),
            },
        };
        let found = Path::new(path);
        match (choice, found.is_dir()) {
            (Some(choice), _) => Ok(Self::Model(found.to_owned(), choice)),
            (None, true) => Ok(Self::Model(found.to_owned(), Choice::Greedy)),
            (None, false) if found.is_file() => Ok(Self::Table(found.to_owned())),
            (None, false) => Err(format!(
                "`{text}` is no policy{}; write `uniform`, `logged`, `always:ACTION`, `shadow:NAME`, the folder of a model (with `@greedy`, `@epsilon:0.1` or `@softmax:0.05`), or a file of probabilities",
                luopan_scene::nearest(text, ["uniform", "logged"].into_iter())
                    .map_or(String::new(), |n| format!("; did you mean `{n}`?"))
            )),
        }
    }
}

/// What a policy would have done.
#[derive(Debug)]
pub(super) struct Probabilities {
    pub(super) name: String,
    /// Rows times actions; none for the policy that wrote the logs.
    pub(super) values: Option<Vec<f64>>,
    pub(super) warnings: Vec<String>,
    /// Share of the logs that its model has learned from, where that is too much.
    pub(super) learned_from: Option<f64>,
}

impl Probabilities {
    pub(super) fn of(named: &Named, logged: &Logged) -> Result<Self> {
        let which = &logged.which;
        let (rows, actions) = (logged.rows.len(), logged.actions.len());
        let mut warnings = Vec::new();
        let mut learned_from = None;
        let (name, values) = match named {
            Named::Logged => ("logged".to_owned(), None),
            Named::Uniform => (
                "uniform".to_owned(),
                Some({
                    // What was never taken is no action of these logs.
                    let mut line = vec![0.0; actions];
                    line[..logged.logged].fill(1.0 / logged.logged as f64);
                    line.repeat(rows)
                }),
            ),
            Named::Always(action) => {
                let Some(at) = logged.actions.iter().position(|a| a == action) else {
                    let near =
                        luopan_scene::nearest(action, logged.actions.iter().map(String::as_str));
                    let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                    return Err(refused(format!(
                        "action `{action}` was never logged: nothing tells what it is worth{near}"
                    )));
                };
                let mut values = vec![0.0; rows * actions];
                values
                    .iter_mut()
                    .skip(at)
                    .step_by(actions)
                    .for_each(|v| *v = 1.0);
                (format!("always:{action}"), Some(values))
            }
            Named::Model(folder, choice) => {
                let kept = model::open(folder)?;
                if matches!(kept.task(), Task::Multiclass) {
                    return Err(refused(format!(
                        "{}: a model of classes predicts no reward; train one of the reward, with the action as a feature",
                        folder.display()
                    )));
                }
                if !kept.features().iter().any(|f| f.name == which.action) {
                    return Err(refused(format!(
                        "{}: the model has not learned from `{}`, so that it predicts the same for every action",
                        folder.display(),
                        which.action
                    )));
                }
                learned_from = kept
                    .has_seen(&logged.frame, &which.reward)
                    .filter(|s| *s > SEEN_MOST);
                if let Some(share) = learned_from {
                    warnings.push(format!(
                        "the model has learned from {:.0} % of these rows, and its value is overstated: train it on earlier rows",
                        100.0 * share
                    ));
                }
                let values = by_action(logged, &kept, &logged.rows)?;
                let name = match choice {
                    Choice::Greedy => format!("{}@greedy", folder.display()),
                    Choice::Epsilon(e) => format!("{}@epsilon:{e}", folder.display()),
                    Choice::Softmax(t) => format!("{}@softmax:{t}", folder.display()),
                };
                (name, Some(chosen(values, actions, logged.logged, *choice)))
            }
            Named::Table(file) => (file.display().to_string(), Some(given(file, logged)?)),
            Named::Shadow(name) => {
                let mut values = vec![0.0; rows * actions];
                let lines = logged.shadows.get(name).into_iter().flatten();
                for (line, found) in values.chunks_exact_mut(actions).zip(lines) {
                    found.iter().for_each(|(at, p)| line[*at as usize] += p);
                }
                (format!("shadow:{name}"), Some(values))
            }
        };
        Ok(Self {
            name,
            values,
            warnings,
            learned_from,
        })
    }
}

/// Turns predictions into probabilities of the first `logged` actions; of equal predictions the first by name is the highest.
fn chosen(mut values: Vec<f64>, actions: usize, logged: usize, choice: Choice) -> Vec<f64> {
    for line in values.chunks_exact_mut(actions) {
        let (line, never) = line.split_at_mut(logged);
        never.fill(0.0);
        let actions = logged;
        let best = (0..actions).fold(0, |b, a| if line[a] > line[b] { a } else { b });
        let most = line[best];
        match choice {
            Choice::Greedy => {
                line.fill(0.0);
                line[best] = 1.0;
            }
            Choice::Epsilon(e) => {
                line.fill(e / actions as f64);
                line[best] += 1.0 - e;
            }
            Choice::Softmax(t) => {
                line.iter_mut().for_each(|v| *v = ((*v - most) / t).exp());
                let sum: f64 = line.iter().sum();
                line.iter_mut().for_each(|v| *v /= sum);
            }
        }
    }
    values
}

/// What a model predicts for each action at these rows of the table, had it been taken: the action's column is set, and in training
/// sets what is known of the item (`item.`), as it was when the action was last logged before, or first after.
pub(super) fn by_action(logged: &Logged, model: &Kept, rows: &[u32]) -> Result<Vec<f64>> {
    let which = &logged.which;
    let actions = logged.actions.len();
    let mut out = vec![0.0; rows.len() * actions];
    let frame = logged.frame.take(rows);
    let of_items: Vec<&str> = (model.features().iter())
        .map(|f| f.name.as_str())
        .filter(|n| n.starts_with("item.") && which.action == "decision.arm")
        .collect();
    for (at, action) in logged.actions.iter().enumerate() {
        let column = Series::Texts {
            codes: vec![0; rows.len()],
            levels: vec![action.clone()],
        };
        let bad = |e: luopan_learning::tabular::Error| refused(e.to_string());
        let mut own = frame.clone().with(&which.action, column).map_err(bad)?;
        if !of_items.is_empty() {
            let sources = sources(logged, at as u32, rows);
            for name in &of_items {
                if let Some(series) = logged.frame.get(name) {
                    own = own.with(name, carried(series, &sources)).map_err(bad)?;
                }
            }
        }
        let found = model.predict(&own).map_err(|e| refused(e.to_string()))?;
        out.iter_mut()
            .skip(at)
            .step_by(actions)
            .zip(found.values)
            .for_each(|(out, v)| *out = v);
    }
    Ok(out)
}

/// For each row the row of the table with this action that is the last at or before it, else the first.
fn sources(logged: &Logged, action: u32, rows: &[u32]) -> Vec<u32> {
    let own: Vec<u32> = (logged.rows.iter().zip(&logged.taken))
        .filter(|(_, taken)| **taken == action)
        .map(|(row, _)| *row)
        .collect();
    rows.iter()
        .map(|row| {
            let before = own.partition_point(|r| r <= row);
            // Of what was never taken nothing is known: the row's own stays.
            own.get(before.saturating_sub(1)).copied().unwrap_or(*row)
        })
        .collect()
}

fn carried(series: &Series, sources: &[u32]) -> Series {
    match series {
        Series::Numbers(values) => {
            Series::Numbers(sources.iter().map(|r| values[*r as usize]).collect())
        }
        Series::Texts { codes, levels } => Series::Texts {
            codes: sources.iter().map(|r| codes[*r as usize]).collect(),
            levels: levels.clone(),
        },
    }
}

/// Probabilities from a file: a column an action, a row for each row of the logs in their order.
fn given(file: &Path, logged: &Logged) -> Result<Vec<f64>> {
    let frame: Frame = table::read(file, &table::Wanted::default())?;
    if frame.rows() != logged.frame.rows() {
        return Err(refused(format!(
            "{}: {} rows, the logs have {}; write a row for each row of the logs, in their order",
            file.display(),
            frame.rows(),
            logged.frame.rows()
        )));
    }
    let actions = logged.actions.len();
    let mut out = vec![0.0; logged.rows.len() * actions];
    let mut found = 0;
    for (at, action) in logged.actions.iter().enumerate() {
        let Some(series) = frame.get(action) else {
            continue;
        };
        let Series::Numbers(values) = series else {
            return Err(refused(format!(
                "{}: column `{action}` holds texts; probabilities are wanted",
                file.display()
            )));
        };
        found += 1;
        for (row, place) in logged.rows.iter().enumerate() {
            out[row * actions + at] = values[*place as usize];
        }
    }
    if found == 0 {
        return Err(refused(format!(
            "{}: no column is named as an action of the logs: {}",
            file.display(),
            logged
                .actions
                .iter()
                .take(10)
                .map(|a| format!("`{a}`"))
                .collect::<Vec<_>>()
                .join(", ")
        )));
    }
    Ok(out)
}
