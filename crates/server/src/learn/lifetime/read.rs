//! The columns of a file of logged steps, by what they are for. This room must never learn.

use super::super::written;
use super::{Asked, refused};
use crate::problem::Result;
use luopan_learning::gbdt::Kind;
use luopan_learning::tabular::{Frame, LeftOut, MISSING, Series, is_time};
use std::path::Path;

/// Between the actions that could be taken.
const SEPARATOR: char = '|';

/// A table's columns as they are learned from.
pub(super) struct Read {
    pub(super) customers: Vec<String>,
    pub(super) steps: Vec<i64>,
    pub(super) names: Vec<String>,
    pub(super) features: Vec<(Vec<f64>, Kind)>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) actions: Vec<u32>,
    pub(super) action_names: Vec<String>,
    pub(super) propensities: Vec<f64>,
    pub(super) rewards: Vec<f64>,
    pub(super) allowed: Option<Vec<bool>>,
    pub(super) ends: Option<Vec<bool>>,
}

/// Columns by what they are for.
///
/// # Errors
/// `cannot_learn` of columns that are not there, and of cells that cannot be used, by their rows.
pub(super) fn columns(input: &Path, frame: &Frame, asked: &Asked) -> Result<Read> {
    let column = |name: &str| {
        frame
            .get(name)
            .ok_or_else(|| refused(input, &written::unknown(frame, name)))
    };
    let value = |name: &str, row: usize, wanted: &str| {
        let found = (column(name).ok().and_then(|c| c.text(row))).unwrap_or("nothing".to_owned());
        refused(
            input,
            &format!("row {}, column `{name}`: found {found}; {wanted}", row + 1),
        )
    };
    let numbers = |name: &str| match column(name)? {
        Series::Numbers(values) => Ok(values.clone()),
        Series::Texts { .. } => Err(refused(
            input,
            &format!("column `{name}` holds texts; numbers are wanted"),
        )),
    };
    // Every row has one, and none is missing.
    let names = |name: &str, wanted: &str| -> Result<(Vec<u32>, Vec<String>)> {
        match column(name)? {
            Series::Texts { codes, levels } => match codes.iter().position(|c| *c == MISSING) {
                None => Ok((codes.clone(), levels.clone())),
                Some(row) => Err(value(name, row, wanted)),
            },
            Series::Numbers(_) => Err(refused(input, &format!("column `{name}` holds no names"))),
        }
    };
    let (codes, people) = names(&asked.customer, "every step is somebody's")?;
    let customers: Vec<String> = codes.iter().map(|c| people[*c as usize].clone()).collect();
    let mut steps = Vec::with_capacity(frame.rows());
    for (row, step) in numbers(&asked.step)?.into_iter().enumerate() {
        if !(step.fract() == 0.0 && step.abs() < 9e15) {
            return Err(value(
                &asked.step,
                row,
                "steps are whole numbers, such as that of the week",
            ));
        }
        steps.push(step as i64);
    }
    let wanted = "every step has an action; name what stands for doing nothing";
    let (codes, mut action_names) = names(&asked.action, wanted)?;
    // Names in order, so that the order of the rows decides nothing.
    let listed: Vec<Vec<String>> = match &asked.candidates {
        None => Vec::new(),
        Some(name) => {
            let (_, levels) = names(name, "write the actions that could be taken, as a|b")?;
            let split = |l: &String| l.split(SEPARATOR).map(|a| a.trim().to_owned()).collect();
            levels.iter().map(split).collect()
        }
    };
    let taken = action_names.clone();
    action_names.extend(listed.iter().flatten().cloned());
    action_names.sort_unstable();
    action_names.dedup();
    let place = |name: &String| action_names.partition_point(|a| a < name);
    let actions: Vec<u32> = (codes.iter())
        .map(|code| place(&taken[*code as usize]) as u32)
        .collect();
    let allowed = match &asked.candidates {
        None => None,
        Some(name) => {
            let (codes, _) = names(name, "")?;
            let mut out = vec![false; codes.len() * action_names.len()];
            for (line, code) in out.chunks_exact_mut(action_names.len()).zip(codes) {
                listed[code as usize]
                    .iter()
                    .for_each(|a| line[place(a)] = true);
            }
            Some(out)
        }
    };
    if let Some(name) = asked.beside.iter().find(|name| !taken.contains(name)) {
        let words = format!(
            "no row has the action `{name}`; there are {}",
            taken.join(", ")
        );
        return Err(refused(input, &words));
    }
    let ends = match &asked.end {
        None => None,
        Some(name) => {
            let series = column(name)?;
            let of = |row: usize| match series.text(row).as_deref() {
                Some("0" | "false") => Ok(false),
                Some("1" | "true") => Ok(true),
                _ => Err(value(name, row, "write true or false, 1 or 0")),
            };
            Some((0..frame.rows()).map(of).collect::<Result<Vec<bool>>>()?)
        }
    };
    let roles = [
        &asked.customer,
        &asked.step,
        &asked.action,
        &asked.propensity,
        &asked.reward,
    ];
    let is_role = |name: &str| {
        let mut all = roles.into_iter().chain(&asked.candidates).chain(&asked.end);
        all.any(|role| role == name) || asked.exclude.iter().any(|e| e == name)
    };
    let (mut feature_names, mut features) = (Vec::new(), Vec::new());
    let mut left_out = Vec::new();
    for (name, series) in frame.columns().filter(|(name, _)| !is_role(name)) {
        let is_said = asked.categorical.iter().any(|c| c == name);
        if let Series::Texts { levels, .. } = series
            && !levels.is_empty()
            && !is_said
            && levels.iter().all(|level| is_time(level))
        {
            left_out.push(LeftOut {
                column: name.to_owned(),
                why: "times, which are no names: write what matters of it as a number, or name it in --categorical to learn from its texts".to_owned(),
            });
            continue;
        }
        feature_names.push(name.to_owned());
        features.push(match series {
            Series::Numbers(values) => (values.clone(), Kind::Number),
            Series::Texts { codes, .. } => {
                let of = |c: &u32| {
                    if *c == MISSING {
                        f64::NAN
                    } else {
                        f64::from(*c)
                    }
                };
                (codes.iter().map(of).collect(), Kind::Category)
            }
        });
    }
    Ok(Read {
        customers,
        steps,
        names: feature_names,
        features,
        left_out,
        actions,
        propensities: numbers(&asked.propensity)?,
        rewards: numbers(&asked.reward)?,
        action_names,
        allowed,
        ends,
    })
}
