//! What is reported of models: figures a fold with their mean and interval, lift, calibration, importance, stability over time.

use super::encode::Matrix;
use super::kept::Kept;
use super::learn::Coefficient;
use super::metrics::{self, Judged, METRICS};
use super::roles::{LeftOut, Roles, column};
use super::{Error, Frame, Settings, Task};
use crate::calibration::{self, Spacing, reliability};
use crate::scorecard::psi;
use serde::Serialize;
use std::collections::BTreeMap;

/// Parts of the lift table, of the calibration table, and of time.
const PARTS: usize = 10;
/// Rows of a part below which no stability index is told.
const PSI_ROWS: usize = 1_000;
/// Rows that importance is taken of: evenly spread ones.
const EXPLAINED: usize = 2_000;
/// Quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// What a model's like said of rows that they had not seen.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Figures by name.
    pub metrics: BTreeMap<&'static str, Figure>,
    /// The figure that the task is judged by first.
    pub foremost: &'static str,
    /// Rows that were judged; the earliest are not where rows have a time.
    pub judged: usize,
    /// Rows without a target, which nothing was learned from.
    pub without_target: usize,
    /// Rounds of each fold's trees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fold_rounds: Vec<usize>,
    /// By falling prediction, about equally many rows each; none for classes and rankings.
    pub lift: Vec<LiftBin>,
    /// Of probabilities.
    pub calibration: Vec<CalibrationBin>,
    /// Mean distance of probabilities from what happened, by bins of about equally many rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Features, the most important first.
    pub importance: Vec<Importance>,
    /// Of a linear model, the intercept first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coefficients: Vec<Coefficient>,
    /// Parts in order of time, or folds.
    pub stability: Vec<Period>,
    /// Columns that nothing was learned from.
    pub left_out: Vec<LeftOut>,
    /// What a person should look at.
    pub flags: Vec<String>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Mean over folds.
    pub mean: f64,
    /// One a fold; none where a fold has no such figure.
    pub folds: Vec<Option<f64>>,
    /// Bounds of the mean's 95 % interval by the rows of the folds; none where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// See `lower`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// True when more is better.
    pub rises: bool,
}

impl Figure {
    /// Of one value a fold, more being better; the interval is by how the folds differ.
    pub(super) fn of_folds(folds: &[f64]) -> Self {
        let n = folds.len() as f64;
        let mean = folds.iter().sum::<f64>() / n;
        let squares: f64 = folds.iter().map(|v| (v - mean) * (v - mean)).sum();
        let off = Z * (squares / (n - 1.0) / n).sqrt();
        Self {
            mean,
            folds: folds.iter().map(|v| Some(*v)).collect(),
            lower: Some(mean - off),
            upper: Some(mean + off),
            rises: true,
        }
    }
}

impl Evaluation {
    /// Of rankings of items, which have figures alone.
    pub(super) fn of_rankings(
        metrics: BTreeMap<&'static str, Figure>,
        judged: usize,
        without_target: usize,
        flags: Vec<String>,
    ) -> Self {
        Self {
            metrics,
            foremost: "ndcg_10",
            judged,
            without_target,
            fold_rounds: Vec::new(),
            lift: Vec::new(),
            calibration: Vec::new(),
            calibration_error: None,
            importance: Vec::new(),
            coefficients: Vec::new(),
            stability: Vec::new(),
            left_out: Vec::new(),
            flags,
        }
    }
}

/// Rows of about the same prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiftBin {
    /// Share of all rows, by weight, from the highest prediction down to here.
    pub share: f64,
    /// Mean prediction.
    pub predicted: f64,
    /// Mean target.
    pub observed: f64,
    /// Mean target over that of all.
    pub lift: f64,
    /// Share of the sum of all targets, from the highest prediction down to here.
    pub captured: f64,
}

/// Probabilities beside what happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Mean probability.
    pub predicted: f64,
    /// Share of rows in which it happened.
    pub observed: f64,
    /// Rows, by weight.
    pub weight: f64,
}

/// How much a feature moves predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// The feature.
    pub feature: String,
    /// Mean distance of its contribution to the raw score from its mean, over sampled rows: Shapley values of trees, terms of linear
    /// predictors, points of cards.
    pub contribution: f64,
    /// Share of the gain of all splits, of trees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

/// A part of the judged rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Period {
    /// First and last time, or the fold.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// The foremost figure.
    pub figure: Option<f64>,
    /// Mean prediction.
    pub predicted: f64,
    /// Mean target.
    pub observed: f64,
    /// Population stability index of predictions against those of the first part; none below a thousand rows.
    pub psi: Option<f64>,
}

/// What the folds gave.
pub(super) struct Told {
    /// One a row and output; NaN where a row was not judged.
    pub(super) predictions: Vec<f64>,
    /// Rows judged, by fold.
    pub(super) folds: Vec<Vec<u32>>,
    pub(super) rounds: Vec<usize>,
    pub(super) flags: Vec<String>,
}

/// Rows as they are judged.
struct Looked {
    task: Task,
    targets: Vec<f64>,
    predictions: Vec<f64>,
    weights: Option<Vec<f64>>,
    groups: Option<Vec<u64>>,
    tweedie_power: f64,
}

impl Looked {
    fn at(settings: &Settings, roles: &Roles, predictions: &[f64], rows: &[u32]) -> Self {
        let outputs = predictions.len() / roles.rows.len();
        let take = |v: &Vec<f64>| -> Vec<f64> { rows.iter().map(|r| v[*r as usize]).collect() };
        let mut targets = take(&roles.targets);
        let mut weights = roles.weights.as_ref().map(take);
        if let Some(exposures) = roles.exposures.as_ref().map(take) {
            targets
                .iter_mut()
                .zip(&exposures)
                .for_each(|(t, e)| *t /= e);
            let own = weights.unwrap_or_else(|| vec![1.0; rows.len()]);
            weights = Some(own.iter().zip(&exposures).map(|(w, e)| w * e).collect());
        }
        let mut out = Vec::with_capacity(rows.len() * outputs);
        for row in rows {
            let at = *row as usize * outputs;
            out.extend_from_slice(&predictions[at..at + outputs]);
        }
        Self {
            task: settings.task,
            targets,
            predictions: out,
            weights,
            groups: (roles.groups.as_ref()).map(|g| rows.iter().map(|r| g[*r as usize]).collect()),
            tweedie_power: settings.tweedie_power,
        }
    }

    fn judged(&self) -> Judged<'_> {
        Judged {
            task: self.task,
            targets: &self.targets,
            predictions: &self.predictions,
            weights: self.weights.as_deref(),
            groups: self.groups.as_deref(),
            tweedie_power: self.tweedie_power,
        }
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[row])
    }

    fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for row in 0..self.targets.len() {
            sum += self.weight(row) * of(row);
            total += self.weight(row);
        }
        sum / total
    }
}

pub(super) fn evaluate(
    settings: &Settings,
    frame: &Frame,
    roles: &Roles,
    matrix: &Matrix,
    told: Told,
    model: &Kept,
) -> Result<Evaluation, Error> {
    let names = metrics::of(settings.task);
    let looked: Vec<Looked> = (told.folds.iter())
        .map(|rows| Looked::at(settings, roles, &told.predictions, rows))
        .collect();
    let mut figures = BTreeMap::new();
    for metric in METRICS.iter().filter(|m| names.contains(&m.name)) {
        let found: Vec<_> = (looked.iter())
            .map(|l| l.judged().figure(metric.name))
            .collect();
        let there: Vec<_> = found.iter().flatten().collect();
        if there.is_empty() {
            continue;
        }
        let n = there.len() as f64;
        let mean = there.iter().map(|(v, _)| v).sum::<f64>() / n;
        let variance: Option<f64> = there.iter().map(|(_, v)| *v).sum::<Option<f64>>();
        let off = variance.map(|v| Z * v.sqrt() / n);
        figures.insert(
            metric.name,
            Figure {
                mean,
                folds: found.iter().map(|f| f.map(|(v, _)| v)).collect(),
                lower: off.map(|o| mean - o),
                upper: off.map(|o| mean + o),
                rises: metric.rises,
            },
        );
    }
    if !figures.contains_key(names[0]) {
        return Err(Error::Column {
            name: settings.target.clone(),
            why: format!(
                "no fold has a finite {}: its numbers are too large, or a fold has one class alone; rescale it, or write fewer folds",
                names[0]
            ),
        });
    }
    let mut all: Vec<u32> = told.folds.concat();
    all.sort_unstable();
    let whole = Looked::at(settings, roles, &told.predictions, &all);
    let is_amount = !matches!(settings.task, Task::Multiclass | Task::Rank);
    let (calibration, calibration_error) = match settings.task {
        Task::Binary => calibrated(&whole)?,
        _ => (Vec::new(), None),
    };
    Ok(Evaluation {
        metrics: figures,
        foremost: names[0],
        judged: all.len(),
        without_target: frame.rows() - roles.rows.len(),
        fold_rounds: told.rounds.clone(),
        lift: if is_amount { lift(&whole) } else { Vec::new() },
        calibration,
        calibration_error,
        importance: importance(roles, matrix, model)?,
        coefficients: Vec::new(),
        stability: stability(settings, frame, roles, &told, &all)?,
        left_out: roles.left_out.clone(),
        flags: told.flags,
    })
}

fn lift(whole: &Looked) -> Vec<LiftBin> {
    let rows = whole.targets.len();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|a, b| whole.predictions[*b].total_cmp(&whole.predictions[*a]));
    let total: f64 = (0..rows).map(|r| whole.weight(r)).sum();
    let sum: f64 = (0..rows).map(|r| whole.weight(r) * whole.targets[r]).sum();
    let (mut seen, mut captured) = (0.0, 0.0);
    let mut out = Vec::new();
    for part in 0..PARTS {
        let own = &order[part * rows / PARTS..(part + 1) * rows / PARTS];
        let weight: f64 = own.iter().map(|r| whole.weight(*r)).sum();
        if weight <= 0.0 {
            continue;
        }
        let of = |v: &[f64]| -> f64 { own.iter().map(|r| whole.weight(*r) * v[*r]).sum() };
        let (predicted, observed) = (of(&whole.predictions), of(&whole.targets));
        seen += weight;
        captured += observed;
        out.push(LiftBin {
            share: seen / total,
            predicted: predicted / weight,
            observed: observed / weight,
            lift: observed / weight / (sum / total),
            captured: captured / sum,
        });
    }
    out
}

fn calibrated(whole: &Looked) -> Result<(Vec<CalibrationBin>, Option<f64>), Error> {
    let rows = calibration::Rows {
        scores: &whole.predictions,
        outcomes: &whole.targets,
        weights: whole.weights.as_deref(),
    };
    let found =
        reliability(&rows, PARTS, Spacing::Rows).map_err(|e| Error::Model(e.to_string()))?;
    let bins = (found.bins.iter())
        .map(|b| CalibrationBin {
            predicted: b.predicted,
            observed: b.observed,
            weight: b.weight,
        })
        .collect();
    Ok((bins, Some(found.expected_error)))
}

fn importance(roles: &Roles, matrix: &Matrix, model: &Kept) -> Result<Vec<Importance>, Error> {
    let (rows, features) = (roles.rows.len(), roles.features.len());
    let most = rows.min(EXPLAINED);
    let places: Vec<u32> = (0..most).map(|i| (i * rows / most) as u32).collect();
    let found = model.contributed(&matrix.take(&places))?;
    let outputs = found.len() / (most * (features + 1));
    let gains = model.gains();
    let all: f64 = gains.iter().flatten().sum();
    let mut out: Vec<Importance> = (roles.features.iter().enumerate())
        .map(|(at, feature)| {
            let mut sum = 0.0;
            for output in 0..outputs {
                let place = output * (features + 1) + at;
                let own = || found.iter().skip(place).step_by(outputs * (features + 1));
                let mean = own().sum::<f64>() / most as f64;
                sum += own().map(|v| (v - mean).abs()).sum::<f64>() / most as f64;
            }
            Importance {
                feature: feature.name.clone(),
                contribution: sum / outputs as f64,
                gain: gains
                    .as_ref()
                    .map(|g| if all > 0.0 { g[at] / all } else { 0.0 }),
            }
        })
        .collect();
    out.sort_by(|a, b| {
        (b.contribution.total_cmp(&a.contribution)).then_with(|| a.feature.cmp(&b.feature))
    });
    Ok(out)
}

/// Parts of equal size in order of time where there is one, else the folds.
fn stability(
    settings: &Settings,
    frame: &Frame,
    roles: &Roles,
    told: &Told,
    all: &[u32],
) -> Result<Vec<Period>, Error> {
    let parts: Vec<(String, Vec<u32>)> = match (&roles.times, &settings.time) {
        (Some(times), Some(name)) => {
            let series = column(frame, name)?;
            let mut order = all.to_vec();
            order.sort_by_key(|r| (times[*r as usize], *r));
            let count = PARTS.min(order.len());
            (0..count)
                .map(|part| {
                    let own = &order[part * order.len() / count..(part + 1) * order.len() / count];
                    let text = |r: Option<&u32>| {
                        r.and_then(|r| series.text(roles.rows[*r as usize] as usize))
                            .unwrap_or_default()
                    };
                    (
                        format!("{} to {}", text(own.first()), text(own.last())),
                        own.to_vec(),
                    )
                })
                .collect()
        }
        _ => (told.folds.iter().enumerate())
            .map(|(i, rows)| (format!("fold {}", i + 1), rows.clone()))
            .collect(),
    };
    let mut cuts: Vec<f64> = Vec::new();
    let mut first: Vec<f64> = Vec::new();
    let mut first_rows = 0;
    let mut out = Vec::with_capacity(parts.len());
    for (name, rows) in parts {
        let looked = Looked::at(settings, roles, &told.predictions, &rows);
        // Of several classes, the probability of the last one is followed.
        let outputs = looked.predictions.len() / rows.len();
        let followed: Vec<f64> = (looked.predictions.iter().copied())
            .skip(outputs - 1)
            .step_by(outputs)
            .collect();
        if out.is_empty() {
            let mut sorted = followed.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            cuts = (1..PARTS)
                .map(|i| sorted[i * sorted.len() / PARTS])
                .collect();
            cuts.dedup();
        }
        let mut counts = vec![0.0; cuts.len() + 1];
        for (row, v) in followed.iter().enumerate() {
            counts[cuts.partition_point(|c| c <= v)] += looked.weight(row);
        }
        if out.is_empty() {
            first.clone_from(&counts);
            first_rows = rows.len();
        }
        out.push(Period {
            name,
            rows: rows.len(),
            figure: looked
                .judged()
                .figure(metrics::of(settings.task)[0])
                .map(|(v, _)| v),
            predicted: looked.mean(|r| followed[r]),
            observed: looked.mean(|r| match settings.task {
                Task::Multiclass => f64::from(u8::from(looked.targets[r] as usize + 1 == outputs)),
                _ => looked.targets[r],
            }),
            // Of fewer rows it is mostly chance.
            psi: (first_rows.min(rows.len()) >= PSI_ROWS)
                .then(|| psi(&first, &counts).ok())
                .flatten(),
        });
    }
    Ok(out)
}
