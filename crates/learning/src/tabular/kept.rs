//! A model that is kept: as one JSON text, read again by any program that knows its format.

use super::calibrate::Calibrator;
use super::encode::{Feature, Matrix};
use super::learn::{Fitted, Linear, Points};
use super::roles::{Roles, Target, column};
use super::{CardColumn, Error, Frame, Kind, Series, Settings, Task};
use crate::gbdt::shap::Explainer;
use crate::lightgbm;
use crate::scorecard::Attribute;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Newest format of a kept model: 1 is without calibration, and written where there is none.
pub const FORMAT: u32 = 2;
/// Hashes of rows that are kept (a bottom-k sketch, Cohen and Kaplan 2007): the share of rows seen is known to about 3 %.
const SKETCH: usize = 1_024;
/// Rows that are explained at once.
const BATCH: usize = 1_024;

/// A model and all that predicting with it needs.
#[derive(Debug, Clone)]
pub struct Kept {
    head: Head,
    fitted: Fitted,
    /// Said of it by whoever trained it: data, scene, program.
    pub notes: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    task: Task,
    kind: Kind,
    target: Target,
    exposure: Option<String>,
    tweedie_power: f64,
    rounds: Option<usize>,
    rows: usize,
    seed: u64,
    /// The least hashes of the rows that it has learned from, ascending: [`Kept::has_seen`].
    sketch: Vec<u64>,
    /// The same of what it has learned from alone, features and target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    learned: Vec<u64>,
    features: Vec<Feature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibrator>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    /// LightGBM's text; categories are places of levels.
    Gbdt(String),
    Glm(Linear),
    Scorecard(Points),
}

#[derive(Serialize, Deserialize)]
struct Text {
    format: u32,
    #[serde(flatten)]
    head: Head,
    notes: BTreeMap<String, String>,
    body: Body,
}

/// What a model says of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Numbers of a row: one, or one a class.
    pub outputs: usize,
    /// The numbers of a row side by side: the probability of the positive class, a mean (of a rate, for a unit of exposure), a
    /// ranking score, or a probability each class.
    pub values: Vec<f64>,
    /// Features with texts that were never seen in training, and how many rows had one; they count as no known text.
    pub unseen: Vec<(String, usize)>,
}

impl Kept {
    pub(super) fn new(
        settings: &Settings,
        frame: &Frame,
        roles: &Roles,
        fitted: Fitted,
        calibration: Option<Calibrator>,
    ) -> Result<Self, Error> {
        let sketch_of = |hashes: &[u64]| {
            let mut sketch: Vec<u64> = roles.rows.iter().map(|r| hashes[*r as usize]).collect();
            sketch.sort_unstable();
            sketch.dedup();
            sketch.truncate(SKETCH);
            sketch
        };
        let sketch = sketch_of(&frame.row_hashes());
        let names: Vec<&str> = roles.features.iter().map(|f| f.name.as_str()).collect();
        let target = &roles.target.column;
        let learned = (frame.hashes_of(&names, target)).map_or_else(Vec::new, |h| sketch_of(&h));
        let out = Self {
            head: Head {
                task: settings.task,
                kind: settings.model,
                target: roles.target.clone(),
                exposure: settings.exposure.clone(),
                tweedie_power: settings.tweedie_power,
                rounds: match &fitted {
                    Fitted::Gbdt { rounds, .. } => Some(*rounds),
                    _ => None,
                },
                rows: roles.rows.len(),
                seed: settings.seed,
                sketch,
                learned,
                features: roles.features.clone(),
                calibration,
            },
            fitted,
            notes: BTreeMap::new(),
        };
        // What cannot be written is said before anything is reported of it.
        out.body()?;
        Ok(out)
    }

    fn body(&self) -> Result<Body, Error> {
        Ok(match &self.fitted {
            Fitted::Gbdt { model, .. } => {
                Body::Gbdt(lightgbm::write(model).map_err(|e| Error::Model(e.to_string()))?)
            }
            Fitted::Glm(linear) => Body::Glm(linear.clone()),
            Fitted::Scorecard(points) => Body::Scorecard(points.clone()),
        })
    }

    /// The model as text.
    ///
    /// # Errors
    /// Features whose names LightGBM's text cannot hold apart.
    pub fn encode(&self) -> Result<String, Error> {
        let text = Text {
            format: match self.head.calibration {
                Some(_) => FORMAT,
                None => 1,
            },
            head: self.head.clone(),
            notes: self.notes.clone(),
            body: self.body()?,
        };
        serde_json::to_string_pretty(&text).map_err(|e| Error::Kept(e.to_string()))
    }

    /// Reads [`Kept::encode`].
    ///
    /// # Errors
    /// What is no model, and a model of a newer format.
    pub fn decode(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let bad =
            |e: serde_json::Error| Error::Kept(format!("{e}; copy it again, or train it anew"));
        let version: Version = serde_json::from_str(text).map_err(bad)?;
        if !(1..=FORMAT).contains(&version.format) {
            return Err(Error::Kept(format!(
                "its format is {}, this program reads 1 to {FORMAT}; use a newer program",
                version.format
            )));
        }
        let text: Text = serde_json::from_str(text).map_err(bad)?;
        let features = text.head.features.len();
        if let Some(calibration) = &text.head.calibration {
            calibration.check()?;
        }
        let fitted = match text.body {
            Body::Gbdt(model) => {
                let model = lightgbm::read(&model).map_err(|e| Error::Kept(e.to_string()))?;
                let ensemble = model.ensemble().map_err(|e| Error::Kept(e.to_string()))?;
                let outputs = match text.head.task {
                    Task::Multiclass => text.head.target.classes.len(),
                    _ => 1,
                };
                if model.features.len() != features || model.outputs() != outputs {
                    return Err(Error::Kept(format!(
                        "its trees have {} features and {} outputs, it names {features} and {outputs}",
                        model.features.len(),
                        model.outputs()
                    )));
                }
                Fitted::Gbdt {
                    model: Box::new(model),
                    ensemble: Box::new(ensemble),
                    rounds: text.head.rounds.unwrap_or_default(),
                }
            }
            Body::Glm(linear) if linear.terms.len() == features => Fitted::Glm(linear),
            Body::Glm(linear) => {
                return Err(Error::Kept(format!(
                    "it has {} terms and names {features} features",
                    linear.terms.len()
                )));
            }
            Body::Scorecard(points) => {
                let is_whole = |a: &Attribute| {
                    a.variable < features
                        && a.points.len() == a.binning.bins().len()
                        && a.binning.is_whole()
                };
                if points.attributes.is_empty() || !points.attributes.iter().all(is_whole) {
                    return Err(Error::Kept(
                        "a column of its card has not a bin and points for every value".to_owned(),
                    ));
                }
                Fitted::Scorecard(points)
            }
        };
        Ok(Self {
            head: text.head,
            fitted,
            notes: text.notes,
        })
    }

    /// LightGBM's text of trees; none of other models.
    pub fn lightgbm(&self) -> Option<String> {
        match self.body() {
            Ok(Body::Gbdt(text)) => Some(text),
            _ => None,
        }
    }

    /// The card, of scorecards: its columns, the one with the most information first.
    pub fn card(&self) -> Option<Vec<CardColumn>> {
        match &self.fitted {
            Fitted::Scorecard(points) => Some(super::card::told(points, &self.head.features)),
            _ => None,
        }
    }

    /// Task.
    pub fn task(&self) -> Task {
        self.head.task
    }

    /// Model.
    pub fn kind(&self) -> Kind {
        self.head.kind
    }

    /// What is predicted.
    pub fn target(&self) -> &Target {
        &self.head.target
    }

    /// Column of exposures, which a rate is multiplied by.
    pub fn exposure(&self) -> Option<&str> {
        self.head.exposure.as_deref()
    }

    /// What it learned from, in order.
    pub fn features(&self) -> &[Feature] {
        &self.head.features
    }

    /// Rows that it learned from.
    pub fn rows(&self) -> usize {
        self.head.rows
    }

    /// Rounds of boosting, of trees.
    pub fn rounds(&self) -> Option<usize> {
        self.head.rounds
    }

    /// The share of a table's rows that it has learned from: rows of which all columns are alike, or, where that is more, all features and the
    /// target, which is the column `target` here. None where the table's own rows are so often alike that it cannot be told.
    pub fn has_seen(&self, frame: &Frame, target: &str) -> Option<f64> {
        let names: Vec<&str> = (self.head.features.iter().map(|f| f.name.as_str())).collect();
        let learned = (frame.hashes_of(&names, target))
            .filter(|_| !self.head.learned.is_empty())
            .and_then(|hashes| seen(&self.head.learned, hashes));
        let whole = seen(&self.head.sketch, frame.row_hashes());
        match (whole, learned) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }

    /// Predicts the rows of a table, which holds the features by name, in any order.
    ///
    /// # Errors
    /// A feature that is not there or holds texts where it held numbers, infinite numbers.
    pub fn predict(&self, frame: &Frame) -> Result<Predictions, Error> {
        let matrix = self.matrix(frame)?;
        let head = &self.head;
        let values = self.respond(&matrix.columns)?;
        let unseen = (head.features.iter().zip(&matrix.unseen))
            .filter(|(_, n)| **n > 0)
            .map(|(f, n)| (f.name.clone(), *n))
            .collect();
        Ok(Predictions {
            outputs: values.len() / frame.rows(),
            values,
            unseen,
        })
    }

    /// What is predicted of encoded rows.
    pub(super) fn respond(&self, columns: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        let head = &self.head;
        let mut values =
            (self.fitted).predict(head.task, head.tweedie_power, &head.features, columns)?;
        if let Some(calibration) = &head.calibration {
            calibration.apply(&mut values);
        }
        Ok(values)
    }

    /// Raw scores of encoded rows.
    pub(super) fn raw(&self, columns: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        self.fitted.raw(&self.head.features, columns)
    }

    pub(super) fn tweedie_power(&self) -> f64 {
        self.head.tweedie_power
    }

    pub(super) fn matrix(&self, frame: &Frame) -> Result<Matrix, Error> {
        for feature in &self.head.features {
            column(frame, &feature.name)?;
        }
        let rows: Vec<u32> = (0..frame.rows() as u32).collect();
        Matrix::of(&self.head.features, frame, &rows)
    }

    /// What each feature adds to the raw score of each row of an output, one run of features and the base a row: Shapley values of
    /// trees, terms of linear predictors, points. Their sum is the raw score: a logit (before calibration), a mean or its logarithm, points.
    ///
    /// # Errors
    /// As [`Kept::predict`].
    pub fn contributions(&self, frame: &Frame) -> Result<Vec<f64>, Error> {
        self.contributed(&self.matrix(frame)?.columns)
    }

    /// [`Kept::contributions`] of encoded rows.
    ///
    /// # Errors
    /// What the model refuses.
    pub fn contributed(&self, columns: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        let features = &self.head.features;
        let rows = columns.first().map_or(0, Vec::len);
        match &self.fitted {
            Fitted::Gbdt { model, .. } => {
                let explainer = Explainer::new(model).map_err(|e| Error::Model(e.to_string()))?;
                let mut out = vec![0.0; rows * explainer.width()];
                for (at, out) in out.chunks_mut(BATCH * explainer.width()).enumerate() {
                    let mut batch = Vec::new();
                    for row in at * BATCH..(at * BATCH + BATCH).min(rows) {
                        batch.extend(columns.iter().map(|c| c[row]));
                    }
                    explainer.explain(&batch, out);
                }
                Ok(out)
            }
            Fitted::Glm(linear) => {
                let mut out = Vec::with_capacity(rows * (features.len() + 1));
                for row in 0..rows {
                    out.extend((linear.terms.iter().zip(columns)).map(|(t, c)| t.of(c[row])));
                    out.push(linear.intercept);
                }
                Ok(out)
            }
            Fitted::Scorecard(points) => {
                let mut out = vec![0.0; rows * (features.len() + 1)];
                for attribute in &points.attributes {
                    let alone = Points {
                        attributes: vec![attribute.clone()],
                        ..points.clone()
                    };
                    let found = alone.scores(features, columns)?;
                    for (row, points) in found.into_iter().enumerate() {
                        out[row * (features.len() + 1) + attribute.variable] += points;
                    }
                }
                Ok(out)
            }
        }
    }

    /// Gains of trees, by feature.
    pub(super) fn gains(&self) -> Option<Vec<f64>> {
        match &self.fitted {
            Fitted::Gbdt { model, .. } => Some(model.gains()),
            _ => None,
        }
    }

    /// Means of rows in proportion to their exposures: how often it is expected to happen, where the rate is predicted.
    ///
    /// # Errors
    /// An exposure column that is not there or holds what is no number above 0.
    pub fn exposed(&self, frame: &Frame, rates: &[f64]) -> Result<Option<Vec<f64>>, Error> {
        let Some(name) = &self.head.exposure else {
            return Ok(None);
        };
        let Series::Numbers(exposures) = column(frame, name)? else {
            return Err(Error::Column {
                name: name.clone(),
                why: "numbers are wanted, it holds texts".to_owned(),
            });
        };
        if let Some(row) = exposures.iter().position(|e| !(*e > 0.0 && e.is_finite())) {
            return Err(Error::Value {
                name: name.clone(),
                row: row + 1,
                found: exposures[row].to_string(),
                wanted: "a number above 0 is wanted",
            });
        }
        Ok(Some(
            rates.iter().zip(exposures).map(|(r, e)| r * e).collect(),
        ))
    }
}

/// The share of these rows that stand in a sketch of others; none where they are so often alike that it cannot be told.
fn seen(sketch: &[u64], mut hashes: Vec<u64>) -> Option<f64> {
    let rows = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    if (hashes.len() as f64) < 0.99 * rows as f64 {
        return None;
    }
    let most = match sketch.last() {
        Some(last) if sketch.len() == SKETCH => *last,
        _ => u64::MAX,
    };
    hashes.truncate(hashes.partition_point(|h| *h <= most));
    let seen = hashes
        .iter()
        .filter(|h| sketch.binary_search(h).is_ok())
        .count();
    Some(seen as f64 / hashes.len().max(1) as f64)
}
