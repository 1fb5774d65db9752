//! Whether the arms of a trial are alike in what is known of them, whether each row could have got either, and which features look as if
//! they were told only afterwards. This room must never leave a feature out: it says what it found.

use super::super::encode::{Feature, Matrix};
use super::super::folds::Fold;
use super::super::learn::{self, Rows};
use super::super::roles::Roles;
use super::super::{Error, GbdtSettings, Kind, Settings, Task, metrics};
use super::{Drawn, UpliftSettings};
use crate::uplift::Arms;
use serde::Serialize;

/// Standardised differences above this are commonly read as an imbalance (Austin 2009).
const DIFFERENCE: f64 = 0.1;
/// Above this a feature that differs in arms drawn by lot has likely been told after the treatment.
const AFTERWARDS: f64 = 1.0;
/// Standard errors that chance alone does not move a difference by.
const CHANCE: f64 = 4.0;
/// Area above a half from which on arms are told apart.
const APART: f64 = 0.03;
/// A row whose arm is this many times rarer among rows alike than among all could hardly have got it.
const HARDLY: f64 = 0.1;
/// Share of such rows from which on they are told of.
const HARDLY_SHARE: f64 = 0.05;
/// Rows of one outcome alone that make a feature look as if it were told afterwards, where chance would do it this seldom.
const ALIKE_ROWS: usize = 30;
const ALIKE_CHANCE: f64 = 1e-9;
/// Correlation with an amount from which on a number is likely a leak.
const CORRELATED: f64 = 0.995;
/// Features that are named.
const NAMED: usize = 5;

/// How much a feature differs between a treatment and the control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The feature; of a category `feature[level]`, of what is missing `feature (missing)`.
    pub feature: String,
    /// Difference of the means over the mean standard deviation of both arms.
    pub standardised: f64,
}

/// How alike those who got a treatment and the control are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Balance {
    /// The treatment.
    pub treatment: String,
    /// Area under the ROC curve of telling it from the control by all features, on rows that were not learned from: 0.5 of a lot. None
    /// where an arm has no such row.
    pub auc: Option<f64>,
    /// Share of rows that got an arm ten times rarer among rows alike than among all, or could hardly have got the other.
    pub without_overlap: f64,
    /// By feature, the greatest difference first.
    pub differences: Vec<Difference>,
}

/// Balances of all treatments, and what to look at.
pub(super) fn balances(
    roles: &Roles,
    matrix: &Matrix,
    arms: &Arms,
    folds: &[Fold],
    settings: &UpliftSettings,
) -> Result<(Vec<Balance>, Vec<String>), Error> {
    let (mut out, mut flags) = (Vec::new(), Vec::new());
    for treatment in 1..arms.names().len() as u32 {
        let (balance, said) = balance(roles, matrix, arms, folds, settings, treatment)?;
        out.push(balance);
        flags.extend(said);
    }
    flags.extend(afterwards(roles, matrix));
    Ok((out, flags))
}

fn balance(
    roles: &Roles,
    matrix: &Matrix,
    arms: &Arms,
    folds: &[Fold],
    settings: &UpliftSettings,
    treatment: u32,
) -> Result<(Balance, Vec<String>), Error> {
    let name = &arms.names()[treatment as usize];
    let control = &arms.names()[0];
    let codes = arms.codes();
    let of = |arm: u32| -> Vec<u32> {
        let rows = (0..codes.len() as u32).filter(|row| codes[*row as usize] == arm);
        rows.collect()
    };
    let (zeros, ones) = (of(0), of(treatment));
    let (n0, n1) = (zeros.len() as f64, ones.len() as f64);
    let mut differences: Vec<Difference> = (roles.features.iter().zip(&matrix.columns))
        .flat_map(|(feature, values)| differences(feature, values, &zeros, &ones))
        .collect();
    differences.sort_by(|a, b| {
        let size = b.standardised.abs().total_cmp(&a.standardised.abs());
        size.then_with(|| a.feature.cmp(&b.feature))
    });
    let (auc, without_overlap) = told_apart(roles, matrix, codes, folds, settings, treatment)?;
    let mut flags = Vec::new();
    let error = libm::sqrt(1.0 / n0 + 1.0 / n1);
    let is_apart = |d: &&Difference| d.standardised.abs() > DIFFERENCE.max(CHANCE * error);
    let apart: Vec<String> = (differences.iter().filter(is_apart).take(NAMED))
        .map(|d| format!("`{}` by {:.2}", d.feature, d.standardised))
        .collect();
    let many = differences.iter().filter(is_apart).count();
    let more = match many > apart.len() {
        true => format!(", and {} more", many - apart.len()),
        false => String::new(),
    };
    let is_lot = settings.drawn == Drawn::Lot;
    if !apart.is_empty() {
        let named = apart.join(", ");
        flags.push(match is_lot {
            true => format!(
                "`{name}` and `{control}` differ in {named}{more} (standardised differences of means; a lot leaves less than {DIFFERENCE}): the arms were not drawn by lot, or these are known only after the treatment: exclude such, or say with --propensity how the arms were drawn"
            ),
            false => format!(
                "`{name}` and `{control}` differ in {named}{more} (standardised differences of means): effects are right only where the propensities tell all of it"
            ),
        });
    }
    for of in (differences.iter()).filter(|d| is_lot && d.standardised.abs() > AFTERWARDS) {
        flags.push(format!(
            "`{}` is likely a leak of the treatment: it tells `{name}` from `{control}`; exclude it if it came after",
            of.feature
        ));
    }
    // The error of the area where arms are alike (Hanley and McNeil 1982).
    let error = libm::sqrt((n0 + n1 + 1.0) / (12.0 * n0 * n1));
    if let Some(auc) = auc.filter(|auc| is_lot && auc - 0.5 > APART.max(CHANCE * error)) {
        flags.push(format!(
            "the features tell `{name}` from `{control}` (AUC {auc:.3} where a lot has 0.5): the arms were not drawn by lot, or a feature is known only after the treatment"
        ));
    }
    if without_overlap > HARDLY_SHARE {
        flags.push(format!(
            "of {:.1} % of the rows of `{name}` and `{control}` the features tell which they got: hardly any alike got the other, so that their effects are guesses; leave them out",
            100.0 * without_overlap
        ));
    }
    let balance = Balance {
        treatment: name.clone(),
        auc,
        without_overlap,
        differences,
    };
    Ok((balance, flags))
}

/// Differences of a feature between rows: of a number its own, of a category each level's, and that of gaps where there are any.
fn differences(feature: &Feature, values: &[f64], zeros: &[u32], ones: &[u32]) -> Vec<Difference> {
    let mut out = Vec::new();
    let mut push = |name: String, of: &dyn Fn(f64) -> f64| {
        let (m0, v0) = moments(values, zeros, of);
        let (m1, v1) = moments(values, ones, of);
        let deviation = libm::sqrt((v0 + v1) / 2.0);
        let found = (m1 - m0) / deviation;
        // Where neither arm varies they are alike, or apart beyond measure.
        let standardised = match deviation > 0.0 {
            true => found,
            false if m0 == m1 || m0.is_nan() || m1.is_nan() => 0.0,
            false => f64::MAX.copysign(m1 - m0),
        };
        if standardised.is_finite() {
            out.push(Difference {
                feature: name,
                standardised,
            });
        }
    };
    let name = &feature.name;
    if feature.is_category() {
        for (level, word) in feature.levels().iter().enumerate() {
            let is = move |v: f64| f64::from(u8::from(v == level as f64));
            push(format!("{name}[{word}]"), &is);
        }
    } else {
        push(name.clone(), &|v| v);
    }
    let mut all = zeros.iter().chain(ones);
    if all.any(|row| values[*row as usize].is_nan()) {
        let is = |v: f64| f64::from(u8::from(v.is_nan()));
        push(format!("{name} (missing)"), &is);
    }
    out
}

/// Mean and variance of what is there.
fn moments(values: &[f64], rows: &[u32], of: &dyn Fn(f64) -> f64) -> (f64, f64) {
    let there = || {
        let found = rows.iter().map(|row| of(values[*row as usize]));
        found.filter(|v| !v.is_nan())
    };
    let n = there().count() as f64;
    let mean = there().map(|v| v / n).sum::<f64>();
    let variance = there().map(|v| (v - mean) * (v - mean) / n).sum::<f64>();
    match n > 0.0 {
        true => (mean, variance),
        false => (f64::NAN, 0.0),
    }
}

/// How well the features tell a treatment from the control, and the share of rows that hardly could have got either.
fn told_apart(
    roles: &Roles,
    matrix: &Matrix,
    codes: &[u32],
    folds: &[Fold],
    settings: &UpliftSettings,
    treatment: u32,
) -> Result<(Option<f64>, f64), Error> {
    let of = |places: &[u32]| -> Vec<u32> {
        let own = |row: &&u32| [0, treatment].contains(&codes[**row as usize]);
        places.iter().filter(own).copied().collect()
    };
    let is_one = |row: &u32| f64::from(u8::from(codes[*row as usize] == treatment));
    let learning = Settings {
        gbdt: GbdtSettings {
            // Enough for arms that are wholly apart to be told with less doubt than [`HARDLY`].
            rounds: 30,
            learning_rate: 0.2,
            leaves: 8,
            min_data_in_leaf: 20,
            ..GbdtSettings::default()
        },
        seed: settings.table.seed,
        ..Settings::new(Task::Binary, Kind::Gbdt, &settings.treatment)
    };
    let (mut scores, mut targets) = (Vec::new(), Vec::new());
    for fold in folds {
        let (given, held) = (of(&fold.train), of(&fold.test));
        let found: Vec<f64> = given.iter().map(is_one).collect();
        if held.is_empty() || found.iter().all(|t| *t == found[0]) {
            continue;
        }
        let rows = Rows {
            columns: matrix.take(&given),
            targets: found,
            weights: None,
            exposures: None,
            groups: None,
        };
        let model = learn::fit(&learning, &roles.features, 2, &rows, None, false)?.fitted;
        let held_columns = matrix.take(&held);
        scores.extend(model.predict(Task::Binary, 1.5, &roles.features, &held_columns)?);
        targets.extend(held.iter().map(is_one));
    }
    let base = targets.iter().sum::<f64>() / targets.len().max(1) as f64;
    let hardly = |p: &&f64| **p < HARDLY * base || 1.0 - **p < HARDLY * (1.0 - base);
    let without = scores.iter().filter(hardly).count() as f64 / scores.len().max(1) as f64;
    let (auc, _) = metrics::auc(&scores, &targets, None);
    Ok(((!auc.is_nan()).then_some(auc), without))
}

/// Features that look as if they were told after the outcome.
fn afterwards(roles: &Roles, matrix: &Matrix) -> Vec<String> {
    let is_binary = !roles.target.classes.is_empty();
    let mut out = Vec::new();
    for (feature, values) in roles.features.iter().zip(&matrix.columns) {
        let found = match (is_binary, feature.is_category()) {
            (true, true) => (0..feature.levels().len()).find_map(|level| {
                let found = alike(roles, values, &|v| v == level as f64)?;
                Some((format!("it is `{}`", feature.levels()[level]), found))
            }),
            (true, false) => {
                let usual = most_frequent(values);
                alike(roles, values, &|v| !v.is_nan() && v != usual)
                    .map(|found| (format!("it is not {usual}"), found))
            }
            (false, true) => None,
            (false, false) => {
                let r = correlation(values, &roles.targets);
                if r.abs() >= CORRELATED {
                    out.push(format!(
                        "`{}` goes with the outcome almost exactly (correlation {r:.4}), which is likely a leak: exclude it if it is known only afterwards",
                        feature.name
                    ));
                }
                None
            }
        };
        if let Some((place, (rows, class))) = found {
            out.push(format!(
                "`{}` is likely a leak: of all {rows} rows where {place} the outcome is `{}`; exclude it if it is known only afterwards",
                feature.name, roles.target.classes[class]
            ));
        }
    }
    out
}

/// Rows of which all have one outcome, beyond chance: how many, and which.
fn alike(roles: &Roles, values: &[f64], of: &dyn Fn(f64) -> bool) -> Option<(usize, usize)> {
    let (mut rows, mut ones) = (0usize, 0usize);
    for (value, target) in values.iter().zip(&roles.targets) {
        if of(*value) {
            rows += 1;
            ones += usize::from(*target > 0.0);
        }
    }
    let class = usize::from(ones > 0);
    if rows < ALIKE_ROWS || (ones != 0 && ones != rows) {
        return None;
    }
    let all = roles.targets.iter().filter(|t| **t > 0.0).count() as f64;
    let share = all / roles.targets.len() as f64;
    let base = if class == 1 { share } else { 1.0 - share };
    (rows as f64 * libm::log(base) < libm::log(ALIKE_CHANCE)).then_some((rows, class))
}

/// The value that stands most often; of equally frequent ones the least.
fn most_frequent(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut best = (0, f64::NAN);
    for run in sorted.chunk_by(|a, b| a == b) {
        if run.len() > best.0 {
            best = (run.len(), run[0]);
        }
    }
    best.1
}

fn correlation(values: &[f64], targets: &[f64]) -> f64 {
    let there: Vec<(f64, f64)> = (values.iter().zip(targets))
        .filter(|(v, _)| !v.is_nan())
        .map(|(v, t)| (*v, *t))
        .collect();
    let n = there.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| there.iter().map(|p| of(p) / n).sum::<f64>();
    let (a, b) = (mean(&|p| p.0), mean(&|p| p.1));
    let aa = mean(&|p| (p.0 - a) * (p.0 - a));
    let bb = mean(&|p| (p.1 - b) * (p.1 - b));
    let found = mean(&|p| (p.0 - a) * (p.1 - b)) / libm::sqrt(aa * bb);
    match found.is_finite() && there.len() >= ALIKE_ROWS {
        true => found,
        false => 0.0,
    }
}
