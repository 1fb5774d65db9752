//! What each column is for, and the columns that are left out with the reason. This room must never look at more of a target than
//! its own column.

use super::encode::{Feature, of_numbers, of_texts};
use super::{Error, Frame, Series, Settings, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of a text column, the share of different values from which on it is taken for names of rows.
const NAMES_SHARE: f64 = 0.5;
/// Rows below which no column is taken for names of rows.
const NAMES_ROWS: usize = 200;
/// Area under the curve of a number alone from which on it is a likely leak.
const LEAK_AUC: f64 = 0.9995;

/// Why a column of times is left out.
pub const TIMES: &str = "times, which are no names: name it as --time-column to be judged by it, write what matters of it as a number (an age, an hour, a day of the week), or name it in --categorical to learn from its texts";

/// A column that nothing is learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// Why.
    pub why: String,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its column.
    pub column: String,
    /// Classes in the order of their numbers; of binary tasks the second is the one whose probability is predicted. None where it
    /// is an amount.
    pub classes: Vec<String>,
}

/// Columns by what they are for, and the rows that can be learned from.
#[derive(Debug)]
pub(super) struct Roles {
    pub(super) target: Target,
    /// Rows that have a target, in their order.
    pub(super) rows: Vec<u32>,
    /// Of these rows: the target as a number, weight, exposure.
    pub(super) targets: Vec<f64>,
    pub(super) weights: Option<Vec<f64>>,
    pub(super) exposures: Option<Vec<f64>>,
    /// Of these rows: the group, and the place in the order of time (the same for equal times).
    pub(super) groups: Option<Vec<u64>>,
    pub(super) times: Option<Vec<u32>>,
    pub(super) features: Vec<Feature>,
    pub(super) left_out: Vec<LeftOut>,
    /// Columns that are features and should not be, as it seems.
    pub(super) flags: Vec<String>,
}

/// The column of this name.
pub(super) fn column<'f>(frame: &'f Frame, name: &str) -> Result<&'f Series, Error> {
    frame.get(name).ok_or_else(|| {
        let some: Vec<_> = (frame.names().iter().take(20))
            .map(|n| format!("`{n}`"))
            .collect();
        Error::Unknown {
            name: name.to_owned(),
            there: some.join(", "),
        }
    })
}

impl Roles {
    pub(super) fn find(frame: &Frame, settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let target = column(frame, &settings.target)?;
        let named = [
            &settings.weight,
            &settings.exposure,
            &settings.group,
            &settings.id,
            &settings.time,
        ];
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        taken.insert(&settings.target, "the target");
        for (name, what) in named
            .into_iter()
            .zip(["weight", "exposure", "group", "id", "time"])
        {
            let Some(name) = name else { continue };
            column(frame, name)?;
            if let Some(other) = taken.insert(name, what) {
                return Err(Error::Column {
                    name: name.clone(),
                    why: format!("it is named as {other} and as {what}; name another"),
                });
            }
        }
        for name in (settings.categorical.iter())
            .chain(&settings.exclude)
            .chain(settings.monotone.iter().map(|(n, _)| n))
        {
            column(frame, name)?;
        }
        if let Some(name) = settings
            .exclude
            .iter()
            .find(|n| taken.contains_key(n.as_str()))
        {
            return Err(Error::Column {
                name: name.clone(),
                why: format!(
                    "it is excluded and named as {}; leave it out of one",
                    taken[name.as_str()]
                ),
            });
        }
        let rows: Vec<u32> = (0..frame.rows() as u32)
            .filter(|r| !target.is_missing(*r as usize))
            .collect();
        if rows.len() < settings.folds.max(2) {
            return Err(Error::Rows {
                found: rows.len(),
                least: settings.folds.max(2),
                of: "a row in each fold, with a target,",
            });
        }
        if let Some(name) = &settings.id {
            differ(name, column(frame, name)?)?;
        }
        let (classes, targets) = targets(settings, target, &rows)?;
        let number = |name: &Option<String>, positive: bool| {
            let Some(name) = name else { return Ok(None) };
            numbers(name, column(frame, name)?, &rows, positive).map(Some)
        };
        let weights = number(&settings.weight, false)?;
        if let (Some(weights), Some(name)) = (&weights, &settings.weight)
            && weights.iter().all(|w| *w == 0.0)
        {
            return Err(Error::Column {
                name: name.clone(),
                why: "all weights are 0".to_owned(),
            });
        }
        let exposures = number(&settings.exposure, true)?;
        let places = |name: &Option<String>| {
            let Some(name) = name else { return Ok(None) };
            order(name, column(frame, name)?, &rows).map(Some)
        };
        let groups = places(&settings.group)?.map(|g| g.into_iter().map(u64::from).collect());
        let times = places(&settings.time)?;
        let mut out = Self {
            target: Target {
                column: settings.target.clone(),
                classes,
            },
            targets,
            weights,
            exposures,
            groups,
            times,
            features: Vec::new(),
            left_out: Vec::new(),
            flags: Vec::new(),
            rows,
        };
        for (name, series) in frame.columns() {
            if taken.contains_key(name) {
                continue;
            }
            let why = if settings.exclude.iter().any(|e| e == name) {
                "excluded".to_owned()
            } else {
                match out.feature(name, series, settings)? {
                    Ok(feature) => {
                        out.features.push(feature);
                        continue;
                    }
                    Err(why) => why,
                }
            };
            out.left_out.push(LeftOut {
                column: name.to_owned(),
                why,
            });
        }
        for (name, _) in &settings.monotone {
            let found = out.features.iter().find(|f| f.name == *name);
            if found.is_none_or(|f| !f.is_number()) {
                return Err(Error::Column {
                    name: name.clone(),
                    why: "only a number that is learned from can be monotone".to_owned(),
                });
            }
        }
        if out.features.is_empty() {
            let why: Vec<String> = (out.left_out.iter().take(10))
                .map(|l| format!("`{}`: {}", l.column, l.why))
                .collect();
            return Err(Error::NoFeatures {
                why: if why.is_empty() {
                    "there is none beside the target".to_owned()
                } else {
                    why.join("; ")
                },
            });
        }
        Ok(out)
    }

    /// A column as a feature, or why it is none.
    fn feature(
        &mut self,
        name: &str,
        series: &Series,
        settings: &Settings,
    ) -> Result<Result<Feature, String>, Error> {
        let is_named = settings.categorical.iter().any(|c| c == name);
        match series {
            Series::Numbers(values) => {
                if let Some(row) = values.iter().position(|v| v.is_infinite()) {
                    return Err(Error::Value {
                        name: name.to_owned(),
                        row: row + 1,
                        found: values[row].to_string(),
                        wanted: "numbers are finite; leave the cell empty where the value is not known",
                    });
                }
                let mut own = self.rows.iter().map(|r| values[*r as usize]);
                let there = own.clone().filter(|v| !v.is_nan());
                let Some(first) = there.clone().next() else {
                    return Ok(Err("every value is missing".to_owned()));
                };
                if there.clone().all(|v| v == first) && !own.any(f64::is_nan) {
                    return Ok(Err(format!("every value is {first}")));
                }
                if is_named {
                    return Ok(Ok(of_numbers(name, values, &self.rows)));
                }
                if settings.task == Task::Binary && self.leaks(values) {
                    self.flags.push(leak(name));
                }
                Ok(Ok(Feature::number(name)))
            }
            Series::Texts { codes, levels } => {
                let mut counts = vec![0u64; levels.len()];
                let mut there = 0;
                for row in &self.rows {
                    if let Some(count) = counts.get_mut(codes[*row as usize] as usize) {
                        *count += 1;
                        there += 1;
                    }
                }
                let different = counts.iter().filter(|c| **c > 0).count();
                if different == 0 {
                    return Ok(Err("every value is missing".to_owned()));
                }
                if different == 1 && there == self.rows.len() {
                    return Ok(Err("every value is the same".to_owned()));
                }
                let mut seen = levels.iter().zip(&counts).filter(|(_, n)| **n > 0);
                if !is_named && seen.all(|(level, _)| super::is_time(level)) {
                    return Ok(Err(TIMES.to_owned()));
                }
                let is_names = there >= NAMES_ROWS && different as f64 > NAMES_SHARE * there as f64;
                if is_names && !is_named {
                    return Ok(Err(format!(
                        "{different} different texts in {there} rows: names, as it seems; name it in --categorical to learn from it"
                    )));
                }
                if settings.task == Task::Binary && self.parted(codes, levels.len(), different) {
                    self.flags.push(leak(name));
                }
                Ok(Ok(of_texts(name, levels, &counts)))
            }
        }
    }

    /// True where each of few texts goes with one class alone.
    fn parted(&self, codes: &[u32], levels: usize, different: usize) -> bool {
        if different * 20 > self.rows.len() {
            return false;
        }
        // By level: rows of either class.
        let mut counts = vec![[0u64; 2]; levels];
        for (row, target) in self.rows.iter().zip(&self.targets) {
            match counts.get_mut(codes[*row as usize] as usize) {
                Some(count) => count[usize::from(*target > 0.0)] += 1,
                None => return false,
            }
        }
        counts.iter().all(|[zeros, ones]| *zeros == 0 || *ones == 0)
    }

    /// True where the number alone ranks one class above the other.
    fn leaks(&self, values: &[f64]) -> bool {
        let mut pairs: Vec<(f64, f64)> = (self.rows.iter().zip(&self.targets))
            .map(|(row, target)| (values[*row as usize], *target))
            .filter(|(v, _)| !v.is_nan())
            .collect();
        if pairs.len() * 2 < self.rows.len() {
            return false;
        }
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let (scores, targets): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let (auc, _) = super::metrics::auc(&scores, &targets, None);
        auc.max(1.0 - auc) >= LEAK_AUC
    }
}

fn leak(name: &str) -> String {
    format!(
        "`{name}` alone tells the classes apart, which is likely a leak: exclude it if it is not known when predicting"
    )
}

fn differ(name: &str, ids: &Series) -> Result<(), Error> {
    let mut seen = std::collections::HashMap::new();
    for row in 0..ids.len() {
        let key = match ids {
            _ if ids.is_missing(row) => {
                return Err(Error::Value {
                    name: name.to_owned(),
                    row: row + 1,
                    found: "nothing".to_owned(),
                    wanted: "each row needs an id",
                });
            }
            Series::Numbers(values) => values[row].to_bits(),
            Series::Texts { codes, .. } => codes[row].into(),
        };
        if let Some(before) = seen.insert(key, row) {
            return Err(Error::Column {
                name: name.to_owned(),
                why: format!(
                    "rows {} and {} have the same id `{}`; a row that stands twice is judged by a model that has seen it: remove one",
                    before + 1,
                    row + 1,
                    ids.text(row).unwrap_or_default()
                ),
            });
        }
    }
    Ok(())
}

/// Classes, and the target of each row as a number.
fn targets(
    settings: &Settings,
    series: &Series,
    rows: &[u32],
) -> Result<(Vec<String>, Vec<f64>), Error> {
    let name = &settings.target;
    let one_alone = |found: String| Error::Column {
        name: name.clone(),
        why: format!("every target is {found}: there is nothing to learn"),
    };
    if !settings.task.has_classes() {
        let Series::Numbers(values) = series else {
            return Err(Error::Column {
                name: name.clone(),
                why: format!("{} needs numbers, it holds texts", settings.task.name()),
            });
        };
        let targets: Vec<f64> = rows.iter().map(|r| values[*r as usize]).collect();
        if let Some(at) = targets.iter().position(|v| v.is_infinite()) {
            return Err(Error::Value {
                name: name.clone(),
                row: rows[at] as usize + 1,
                found: targets[at].to_string(),
                wanted: "targets are finite",
            });
        }
        if targets.iter().all(|v| *v == targets[0]) {
            return Err(one_alone(targets[0].to_string()));
        }
        return Ok((Vec::new(), targets));
    }
    // Classes in the order of their numbers, or of their texts.
    let (mut classes, codes): (Vec<String>, Vec<u32>) = match series {
        Series::Numbers(values) => {
            let mut different: Vec<f64> = rows.iter().map(|r| values[*r as usize]).collect();
            different.sort_unstable_by(f64::total_cmp);
            different.dedup();
            if different.len() > 256 {
                return Err(Error::Column {
                    name: name.clone(),
                    why: format!(
                        "{} different numbers are no classes; write --task regression, or another target",
                        different.len()
                    ),
                });
            }
            let of = |v: f64| different.partition_point(|d| d.total_cmp(&v).is_lt()) as u32;
            let codes = rows.iter().map(|r| of(values[*r as usize])).collect();
            (different.iter().map(f64::to_string).collect(), codes)
        }
        Series::Texts { codes, levels } => {
            let mut used: Vec<u32> = rows.iter().map(|r| codes[*r as usize]).collect();
            used.sort_unstable();
            used.dedup();
            used.sort_by(|a, b| levels[*a as usize].cmp(&levels[*b as usize]));
            let mut place = vec![0u32; levels.len()];
            for (at, code) in used.iter().enumerate() {
                place[*code as usize] = at as u32;
            }
            let codes = rows
                .iter()
                .map(|r| place[codes[*r as usize] as usize])
                .collect();
            let classes = used.iter().map(|c| levels[*c as usize].clone()).collect();
            (classes, codes)
        }
    };
    if let [only] = &classes[..] {
        return Err(one_alone(format!("`{only}`")));
    }
    let mut codes = codes;
    if settings.task == Task::Binary {
        if classes.len() > 2 {
            return Err(Error::Column {
                name: name.clone(),
                why: format!(
                    "a binary target has two classes, it has {}: `{}`; write --task multiclass",
                    classes.len(),
                    classes
                        .iter()
                        .take(5)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join("`, `")
                ),
            });
        }
        if let Some(positive) = &settings.positive {
            match classes.iter().position(|c| c == positive) {
                Some(1) => {}
                Some(_) => {
                    classes.swap(0, 1);
                    codes.iter_mut().for_each(|c| *c = 1 - *c);
                }
                None => {
                    return Err(Error::Setting {
                        name: "positive",
                        found: positive.clone(),
                        wanted: format!("the classes are `{}` and `{}`", classes[0], classes[1]),
                    });
                }
            }
        }
    }
    Ok((classes, codes.into_iter().map(f64::from).collect()))
}

/// Numbers from 0 on (or above 0) of these rows, none missing.
fn numbers(name: &str, series: &Series, rows: &[u32], positive: bool) -> Result<Vec<f64>, Error> {
    let Series::Numbers(values) = series else {
        return Err(Error::Column {
            name: name.to_owned(),
            why: "numbers are wanted, it holds texts".to_owned(),
        });
    };
    rows.iter()
        .map(|r| {
            let v = values[*r as usize];
            if v.is_finite() && (v > 0.0 || (v == 0.0 && !positive)) {
                return Ok(v);
            }
            Err(Error::Value {
                name: name.to_owned(),
                row: *r as usize + 1,
                found: if v.is_nan() {
                    "nothing".into()
                } else {
                    v.to_string()
                },
                wanted: if positive {
                    "a number above 0 is wanted"
                } else {
                    "a number from 0 on is wanted"
                },
            })
        })
        .collect()
}

/// Places in the ascending order of a column's different values; none may be missing.
pub(super) fn order(name: &str, series: &Series, rows: &[u32]) -> Result<Vec<u32>, Error> {
    if let Some(row) = rows.iter().find(|r| series.is_missing(**r as usize)) {
        return Err(Error::Value {
            name: name.to_owned(),
            row: *row as usize + 1,
            found: "nothing".to_owned(),
            wanted: "each row needs one",
        });
    }
    Ok(match series {
        Series::Numbers(values) => {
            let mut all: Vec<f64> = rows.iter().map(|r| values[*r as usize]).collect();
            all.sort_unstable_by(f64::total_cmp);
            all.dedup();
            let of = |v: f64| all.partition_point(|d| d.total_cmp(&v).is_lt()) as u32;
            rows.iter().map(|r| of(values[*r as usize])).collect()
        }
        Series::Texts { codes, levels } => {
            let mut by_text: Vec<u32> = (0..levels.len() as u32).collect();
            by_text.sort_by(|a, b| levels[*a as usize].cmp(&levels[*b as usize]));
            let mut place = vec![0; levels.len()];
            for (at, code) in by_text.into_iter().enumerate() {
                place[code as usize] = at as u32;
            }
            rows.iter()
                .map(|r| place[codes[*r as usize] as usize])
                .collect()
        }
    })
}
