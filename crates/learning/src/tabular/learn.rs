//! Models over encoded rows: fitted on some, predicting others.

use super::encode::{Feature, FeatureKind};
use super::{Error, Kind, Settings, Task};
use crate::gbdt::{self, BinSettings, Binned, Column, Objective, Parameters, Part};
use crate::glm::{self, Design, Family, Observations};
use crate::scorecard::{self, Attribute, Card, Limits, Score, Trend, Variable};
use luopan_kernel::trees::Ensemble;
use serde::{Deserialize, Serialize};

/// Rows to learn from, encoded.
pub(super) struct Rows {
    pub(super) columns: Vec<Vec<f64>>,
    pub(super) targets: Vec<f64>,
    pub(super) weights: Option<Vec<f64>>,
    pub(super) exposures: Option<Vec<f64>>,
    pub(super) groups: Option<Vec<u64>>,
}

/// A fitted model.
#[derive(Debug, Clone)]
pub(super) enum Fitted {
    Gbdt {
        model: Box<gbdt::Model>,
        ensemble: Box<Ensemble>,
        rounds: usize,
    },
    Glm(Linear),
    Scorecard(Points),
}

/// A linear model over features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Linear {
    pub(super) intercept: f64,
    /// One a feature.
    pub(super) terms: Vec<Term>,
}

/// What a feature adds to the linear predictor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Term {
    /// Of a number: by unit; where it is missing, the mean and what is added for that it is.
    Number {
        coefficient: f64,
        mean: f64,
        deviation: f64,
        missing: f64,
    },
    /// Of a category: by level, nothing for one that was never seen.
    Category { levels: Vec<f64>, missing: f64 },
}

/// A scorecard over features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Points {
    pub(super) attributes: Vec<Attribute>,
    pub(super) intercept: f64,
    pub(super) score: Score,
}

pub(super) fn family(task: Task, tweedie_power: f64) -> Family {
    match task {
        Task::Binary => Family::Binomial,
        Task::Poisson => Family::Poisson,
        Task::Gamma => Family::Gamma,
        Task::Tweedie => Family::Tweedie {
            power: tweedie_power,
        },
        _ => Family::Gaussian,
    }
}

fn objective(settings: &Settings, classes: usize) -> Objective {
    match settings.task {
        Task::Binary => Objective::Binary,
        Task::Regression => Objective::Regression,
        Task::Poisson => Objective::Poisson,
        Task::Gamma => Objective::Gamma,
        Task::Tweedie => Objective::Tweedie {
            power: settings.tweedie_power,
        },
        Task::Multiclass => Objective::Multiclass { classes },
        Task::Rank => Objective::Lambdarank,
    }
}

/// What fitting gives beside the model.
pub(super) struct Learned {
    pub(super) fitted: Fitted,
    pub(super) flags: Vec<String>,
    /// How sure coefficients are, of linear models, where it was asked for.
    pub(super) coefficients: Vec<Coefficient>,
}

/// A coefficient of a linear model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coefficient {
    /// `(intercept)`, the feature, or `feature[level]`; of gaps `feature (missing)` and `feature[(missing)]`.
    pub term: String,
    /// In the linear predictor, by unit of the feature or against the most frequent level.
    pub coefficient: f64,
    /// By Fisher's information; none of a term that was left out. With a penalty it is about the penalised aim, not about the truth.
    pub standard_error: Option<f64>,
    /// By the sandwich of the observed information (HC1), which holds where the variance is not what the family says.
    pub robust_standard_error: Option<f64>,
}

/// Fits a model. With `valid`, trees end early by it; other models have no use for it. `tells`: how sure coefficients are, too.
pub(super) fn fit(
    settings: &Settings,
    features: &[Feature],
    classes: usize,
    rows: &Rows,
    valid: Option<&Rows>,
    tells: bool,
) -> Result<Learned, Error> {
    match settings.model {
        Kind::Gbdt => boosted(settings, features, classes, rows, valid),
        Kind::Glm => linear(settings, features, rows, tells),
        Kind::Scorecard => points(settings, features, rows),
    }
}

/// Rows of one group follow each other, as ranking wants them.
fn grouped(rows: &Rows) -> Option<(Vec<u32>, Vec<u64>)> {
    let groups = rows.groups.as_ref()?;
    let mut order: Vec<u32> = (0..groups.len() as u32).collect();
    order.sort_by_key(|r| groups[*r as usize]);
    let sorted = order.iter().map(|r| groups[*r as usize]).collect();
    Some((order, sorted))
}

fn boosted(
    settings: &Settings,
    features: &[Feature],
    classes: usize,
    rows: &Rows,
    valid: Option<&Rows>,
) -> Result<Learned, Error> {
    fn of<'a>(features: &'a [Feature], values: &'a [Vec<f64>]) -> Vec<Column<'a>> {
        (features.iter().zip(values))
            .map(|(feature, values)| Column {
                name: &feature.name,
                values,
                kind: match feature.kind {
                    FeatureKind::Number => gbdt::Kind::Number,
                    FeatureKind::Category { .. } => gbdt::Kind::Category,
                },
            })
            .collect()
    }
    let order = grouped(rows);
    let valid_order = valid.and_then(grouped);
    let moved = |rows: &Rows, order: &Option<(Vec<u32>, Vec<u64>)>| -> Option<Rows> {
        let (order, groups) = order.as_ref()?;
        let take = |v: &Vec<f64>| order.iter().map(|r| v[*r as usize]).collect();
        Some(Rows {
            columns: rows.columns.iter().map(take).collect(),
            targets: take(&rows.targets),
            weights: rows.weights.as_ref().map(take),
            exposures: rows.exposures.as_ref().map(take),
            groups: Some(groups.clone()),
        })
    };
    let own = moved(rows, &order);
    let rows = own.as_ref().unwrap_or(rows);
    let own_valid = valid.and_then(|v| moved(v, &valid_order));
    let valid = own_valid.as_ref().or(valid);

    let bins = BinSettings {
        seed: settings.seed,
        ..BinSettings::default()
    };
    let data = Binned::new(&of(features, &rows.columns), &bins)?;
    let valid_data = (valid.map(|v| data.like(&of(features, &v.columns)))).transpose()?;
    fn part<'a>(data: &'a Binned, rows: &'a Rows) -> Part<'a> {
        Part {
            data,
            target: &rows.targets,
            weights: rows.weights.as_deref(),
            exposure: rows.exposures.as_deref(),
            offset: None,
            groups: rows.groups.as_deref(),
        }
    }
    let mut parameters = Parameters::new(objective(settings, classes));
    let asked = settings.gbdt;
    parameters.num_iterations = asked.rounds;
    parameters.learning_rate = asked.learning_rate;
    parameters.num_leaves = asked.leaves;
    parameters.min_data_in_leaf = asked.min_data_in_leaf;
    parameters.lambda_l2 = asked.lambda_l2;
    parameters.feature_fraction = asked.feature_fraction;
    parameters.bagging_fraction = asked.bagging_fraction;
    parameters.bagging_freq = usize::from(asked.bagging_fraction < 1.0);
    parameters.seed = settings.seed;
    if !settings.monotone.is_empty() {
        let sign = |f: &Feature| {
            let found = settings.monotone.iter().find(|(n, _)| *n == f.name);
            found.map_or(0, |(_, sign)| *sign)
        };
        parameters.monotone_constraints = features.iter().map(sign).collect();
    }
    let judged = valid_data.as_ref().zip(valid).map(|(d, v)| part(d, v));
    if judged.is_some() {
        parameters.early_stopping_round = asked.early_stopping;
    }
    let trained = gbdt::train(&part(&data, rows), judged.as_ref(), &parameters)?;
    let ensemble = trained
        .model
        .ensemble()
        .map_err(|e| Error::Model(e.to_string()))?;
    Ok(Learned {
        fitted: Fitted::Gbdt {
            model: Box::new(trained.model),
            ensemble: Box::new(ensemble),
            rounds: trained.rounds,
        },
        flags: Vec::new(),
        coefficients: Vec::new(),
    })
}

/// A feature in a linear model.
enum Designed {
    /// Missing ones are at the mean; where there are any, an indicator says so.
    Number {
        values: Vec<f64>,
        mean: f64,
        deviation: f64,
        indicator: Option<(String, Vec<f64>)>,
    },
    /// The levels of the feature, the first of which is the base, then one for what was never seen and one for what is missing.
    Levels {
        codes: Vec<u32>,
        levels: Vec<String>,
    },
}

impl Designed {
    fn of(feature: &Feature, values: &[f64]) -> Self {
        if !feature.is_number() {
            let mut levels = feature.levels().to_vec();
            let missing = levels.len() as u32 + 1;
            levels.push("(other)".to_owned());
            levels.push("(missing)".to_owned());
            let of = |v: &f64| if v.is_nan() { missing } else { *v as u32 };
            return Self::Levels {
                codes: values.iter().map(of).collect(),
                levels,
            };
        }
        let there = values.iter().filter(|v| !v.is_nan());
        let n = there.clone().count();
        let mean = there.clone().sum::<f64>() / n.max(1) as f64;
        let squares: f64 = there.map(|v| (v - mean) * (v - mean)).sum();
        let indicator = || {
            let of = |v: &f64| f64::from(u8::from(v.is_nan()));
            (
                format!("{} (missing)", feature.name),
                values.iter().map(of).collect(),
            )
        };
        Self::Number {
            values: (values.iter())
                .map(|v| if v.is_nan() { mean } else { *v })
                .collect(),
            mean,
            deviation: (squares / n.max(1) as f64).sqrt(),
            indicator: (n < values.len()).then(indicator),
        }
    }
}

/// How sure the coefficients of a fit are.
fn coefficients(
    design: &Design<'_>,
    observations: &Observations<'_>,
    found: &glm::Fit,
) -> Result<Vec<Coefficient>, Error> {
    let sure = glm::inference(design, observations, found)?;
    let terms = found.terms.iter().map(ToString::to_string);
    let names = std::iter::once("(intercept)".to_owned()).chain(terms);
    let values = std::iter::once(&found.intercept).chain(&found.coefficients);
    let left_out = std::iter::once(&false).chain(&found.left_out);
    let errors = sure.errors.iter().zip(&sure.robust_errors);
    Ok(names
        .zip(values)
        .zip(left_out.zip(errors))
        .map(
            |((term, coefficient), (left_out, (error, robust)))| Coefficient {
                term,
                coefficient: *coefficient,
                standard_error: (!left_out).then_some(*error),
                robust_standard_error: (!left_out).then_some(*robust),
            },
        )
        .collect())
}

fn linear(
    settings: &Settings,
    features: &[Feature],
    rows: &Rows,
    tells: bool,
) -> Result<Learned, Error> {
    let numbers = features.iter().zip(&rows.columns);
    for (feature, values) in numbers.filter(|(feature, _)| feature.is_number()) {
        let there = values.iter().filter(|v| !v.is_nan());
        let most = there.fold(0.0, |most: f64, v| most.max(v.abs()));
        if most != 0.0 && !glm::SIZES.contains(&most) {
            return Err(Error::Column {
                name: feature.name.clone(),
                why: format!(
                    "its numbers go up to {most:e}, and a linear model weighs sizes from {:e} to {:e}: write it in another unit, or exclude it",
                    glm::SIZES.start(),
                    glm::SIZES.end()
                ),
            });
        }
    }
    let designed: Vec<Designed> = (features.iter().zip(&rows.columns))
        .map(|(feature, values)| Designed::of(feature, values))
        .collect();
    let levels: Vec<Vec<&str>> = (designed.iter())
        .map(|d| match d {
            Designed::Number { .. } => Vec::new(),
            Designed::Levels { levels, .. } => levels.iter().map(String::as_str).collect(),
        })
        .collect();
    let mut columns = Vec::new();
    for ((feature, designed), levels) in features.iter().zip(&designed).zip(&levels) {
        let name = &feature.name;
        match designed {
            Designed::Number {
                values, indicator, ..
            } => {
                columns.push(glm::Column::Numeric { name, values });
                if let Some((name, values)) = indicator {
                    columns.push(glm::Column::Numeric { name, values });
                }
            }
            Designed::Levels { codes, .. } => columns.push(glm::Column::Categorical {
                name,
                codes,
                levels,
                base: Some(0),
            }),
        }
    }
    let design = Design::new(&columns, rows.targets.len())?;
    let mut asked = glm::Settings::of(family(settings.task, settings.tweedie_power));
    asked.penalty.alpha = settings.glm.alpha;
    asked.penalty.l1_ratio = settings.glm.l1_ratio;
    // With exposures the rate is learned, by rows that weigh as much as they were exposed: of counts that is the likelihood.
    let rates = rows.exposures.as_ref().map(|exposures| {
        let rates: Vec<f64> = rows
            .targets
            .iter()
            .zip(exposures)
            .map(|(y, e)| y / e)
            .collect();
        let weights = match &rows.weights {
            Some(weights) => weights.iter().zip(exposures).map(|(w, e)| w * e).collect(),
            None => exposures.clone(),
        };
        (rates, weights)
    });
    let observations = match &rates {
        Some((rates, weights)) => Observations {
            outcomes: rates,
            weights: Some(weights),
            offset: None,
            exposure: None,
        },
        None => Observations {
            outcomes: &rows.targets,
            weights: rows.weights.as_deref(),
            offset: None,
            exposure: None,
        },
    };
    let found = glm::fit(&design, &observations, &asked)?;
    let mut flags: Vec<String> = Vec::new();
    if !found.converged {
        flags.push(format!(
            "the fit did not end within {} steps: its coefficients are not the best ones; raise --alpha",
            found.iterations
        ));
    }
    flags.extend(found.flags.iter().filter_map(|flag| match flag {
        glm::Flag::Separated { term } => Some(format!(
            "`{term}` tells the classes apart, which is likely a leak, or a level too rare"
        )),
        glm::Flag::PerfectFit { columns } => Some(format!(
            "`{}` together tell all outcomes, which is likely a leak",
            columns.join("`, `")
        )),
        glm::Flag::Aliased { term, by } => Some(format!(
            "`{term}` is what others add up to ({}); it has no coefficient",
            by.join(", ")
        )),
        _ => None,
    }));
    let coefficients = match tells {
        true => coefficients(&design, &observations, &found)?,
        false => Vec::new(),
    };
    let mut at = 0;
    let mut next = |n: usize| {
        at += n;
        &found.coefficients[at - n..at]
    };
    let mut terms = Vec::with_capacity(features.len());
    for designed in &designed {
        terms.push(match designed {
            Designed::Number {
                mean,
                deviation,
                indicator,
                ..
            } => Term::Number {
                coefficient: next(1)[0],
                mean: *mean,
                deviation: *deviation,
                missing: if indicator.is_some() { next(1)[0] } else { 0.0 },
            },
            Designed::Levels { levels, .. } => {
                // The base has no coefficient; what was never seen is as the base.
                let of = next(levels.len() - 1);
                Term::Category {
                    levels: (std::iter::once(0.0))
                        .chain(of[..levels.len() - 3].iter().copied())
                        .collect(),
                    missing: of[levels.len() - 2],
                }
            }
        });
    }
    Ok(Learned {
        fitted: Fitted::Glm(Linear {
            intercept: found.intercept,
            terms,
        }),
        flags,
        coefficients,
    })
}

/// Features as a card's variables; codes are of categories, `levels` and more are never seen.
fn variables<'a>(
    settings: Option<&Settings>,
    features: &'a [Feature],
    columns: &'a [Vec<f64>],
    codes: &'a [Vec<u32>],
) -> Vec<Variable<'a>> {
    let limits = |f: &Feature| {
        let sign = settings.and_then(|s| s.monotone.iter().find(|(n, _)| *n == f.name));
        Limits {
            trend: match sign {
                Some((_, 1)) => Trend::Ascending,
                Some((_, -1)) => Trend::Descending,
                _ => Trend::Auto,
            },
            ..Limits::default()
        }
    };
    (features.iter().enumerate())
        .map(|(i, feature)| match feature.kind {
            FeatureKind::Number => Variable::Numeric {
                name: &feature.name,
                values: &columns[i],
                specials: &[],
                limits: limits(feature),
            },
            FeatureKind::Category { .. } => Variable::Categorical {
                name: &feature.name,
                codes: &codes[i],
                levels: feature.levels().len() + 2,
                limits: limits(feature),
            },
        })
        .collect()
}

/// Codes of categories for a card: those that were never seen, and missing ones, are levels of their own behind the others.
fn codes(features: &[Feature], columns: &[Vec<f64>]) -> Vec<Vec<u32>> {
    (features.iter().zip(columns))
        .map(|(feature, values)| match feature.kind {
            FeatureKind::Number => Vec::new(),
            FeatureKind::Category { .. } => {
                let missing = feature.levels().len() as u32 + 1;
                let of = |v: &f64| if v.is_nan() { missing } else { *v as u32 };
                values.iter().map(of).collect()
            }
        })
        .collect()
}

fn points(settings: &Settings, features: &[Feature], rows: &Rows) -> Result<Learned, Error> {
    let codes = codes(features, &rows.columns);
    let variables = variables(Some(settings), features, &rows.columns, &codes);
    let card = scorecard::fit(
        &variables,
        &rows.targets,
        rows.weights.as_deref(),
        &scorecard::Settings::default(),
    )?;
    let flags = (card.flags.iter())
        .filter_map(|flag| match flag {
            scorecard::Flag::Separated { column } => Some(format!(
                "`{column}` alone tells the classes apart, which is likely a leak; it was left out"
            )),
            scorecard::Flag::Suspicious { column, information } => Some(format!(
                "`{column}` has an information value of {information:.2}: too good to be true, likely a leak"
            )),
            scorecard::Flag::Reversed { column, .. } => Some(format!(
                "`{column}`'s points go against its bins: others already say what it says; exclude it"
            )),
            _ => None,
        })
        .collect();
    Ok(Learned {
        fitted: Fitted::Scorecard(Points {
            attributes: card.attributes,
            intercept: card.intercept,
            score: card.score,
        }),
        flags,
        coefficients: Vec::new(),
    })
}

impl Points {
    fn card(&self) -> Card {
        Card {
            attributes: self.attributes.clone(),
            intercept: self.intercept,
            score: self.score,
            flags: Vec::new(),
        }
    }

    /// Points of rows.
    pub(super) fn scores(
        &self,
        features: &[Feature],
        columns: &[Vec<f64>],
    ) -> Result<Vec<f64>, Error> {
        let codes = codes(features, columns);
        let variables = variables(None, features, columns, &codes);
        Ok(self.card().scores(&variables)?)
    }
}

/// Rows of columns, one after the other.
fn across(columns: &[Vec<f64>], rows: std::ops::Range<usize>) -> Vec<f64> {
    let mut out = Vec::with_capacity(rows.len() * columns.len());
    for row in rows {
        out.extend(columns.iter().map(|c| c[row]));
    }
    out
}

/// Rows that are predicted at once.
const BATCH: usize = 4_096;

fn batched(
    ensemble: &Ensemble,
    columns: &[Vec<f64>],
    predict: fn(&Ensemble, &[f64], &mut [f64]),
) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    let outputs = ensemble.outputs();
    let mut out = vec![0.0; rows * outputs];
    for (at, out) in out.chunks_mut(BATCH * outputs).enumerate() {
        let from = at * BATCH;
        let batch = across(columns, from..(from + BATCH).min(rows));
        predict(ensemble, &batch, out);
    }
    out
}

impl Fitted {
    /// Predictions, the outputs of a row side by side: probabilities, means for a unit of exposure, ranking scores.
    pub(super) fn predict(
        &self,
        task: Task,
        tweedie_power: f64,
        features: &[Feature],
        columns: &[Vec<f64>],
    ) -> Result<Vec<f64>, Error> {
        match self {
            Self::Gbdt { ensemble, .. } => Ok(batched(ensemble, columns, Ensemble::predict_many)),
            Self::Glm(linear) => {
                let family = family(task, tweedie_power);
                let mut out = linear.predictor(columns);
                out.iter_mut().for_each(|x| *x = family.mean(*x));
                Ok(out)
            }
            Self::Scorecard(points) => {
                let card = points.card();
                let scores = points.scores(features, columns)?;
                Ok(scores.iter().map(|s| card.probability(*s)).collect())
            }
        }
    }

    /// Raw scores, the outputs of a row side by side: where the model adds up.
    pub(super) fn raw(
        &self,
        features: &[Feature],
        columns: &[Vec<f64>],
    ) -> Result<Vec<f64>, Error> {
        match self {
            Self::Gbdt { ensemble, .. } => {
                Ok(batched(ensemble, columns, Ensemble::predict_raw_many))
            }
            Self::Glm(linear) => Ok(linear.predictor(columns)),
            Self::Scorecard(points) => points.scores(features, columns),
        }
    }
}

impl Linear {
    /// The linear predictor of rows.
    fn predictor(&self, columns: &[Vec<f64>]) -> Vec<f64> {
        let mut out = vec![self.intercept; columns.first().map_or(0, Vec::len)];
        for (term, values) in self.terms.iter().zip(columns) {
            for (out, v) in out.iter_mut().zip(values) {
                *out += term.of(*v);
            }
        }
        out
    }
}

impl Term {
    /// What a value adds.
    pub(super) fn of(&self, v: f64) -> f64 {
        match self {
            Self::Number {
                coefficient,
                mean,
                missing,
                ..
            } => match v.is_nan() {
                true => coefficient * mean + missing,
                false => coefficient * v,
            },
            Self::Category { levels, missing } => match v.is_nan() {
                true => *missing,
                false => levels.get(v as usize).copied().unwrap_or(0.0),
            },
        }
    }
}
