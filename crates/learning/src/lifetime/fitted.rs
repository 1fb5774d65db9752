//! Regressions of values on what is known of a customer, one for each action: boosted trees or a linear model. This room must never
//! know what a target stands for.

use luopan_kernel::trees::Ensemble;

use super::Error;
use super::error::setting;
use crate::gbdt::{self, BinSettings, Binned, Column, Kind, Objective, Parameters, Part};
use crate::glm;

/// Rows that are predicted at once.
const BLOCK: usize = 1_024;

/// How values are fitted.
#[derive(Debug, Clone, PartialEq)]
pub enum Regressor {
    /// Boosted trees with the objective of squared errors.
    Trees(Box<Parameters>),
    /// Least squares with an L2 penalty. Missing numbers are taken for the mean, with a column that says so.
    Linear {
        /// Weight of the penalty, zero or more; see [`crate::glm::Penalty`].
        alpha: f64,
    },
}

impl Regressor {
    /// Sixty trees of up to 15 leaves: values are smooth sums over many steps, and are fitted many times.
    pub fn trees(seed: u64) -> Self {
        let mut parameters = Parameters::new(Objective::Regression);
        parameters.num_iterations = 60;
        parameters.num_leaves = 15;
        parameters.min_data_in_leaf = 50;
        parameters.seed = seed;
        Self::Trees(Box::new(parameters))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Trees(parameters) if parameters.objective != Objective::Regression => {
                Err(setting(
                    "the objective of the values",
                    0.0,
                    "regression, whatever the rewards are",
                ))
            }
            Self::Linear { alpha } if !(alpha.is_finite() && *alpha >= 0.0) => {
                Err(setting("alpha", *alpha, "0 or a finite number above it"))
            }
            _ => Ok(()),
        }
    }
}

/// A table that values are fitted on, over and over.
pub(super) struct Base<'a> {
    columns: &'a [Column<'a>],
    binned: Option<Binned>,
}

impl<'a> Base<'a> {
    pub(super) fn new(columns: &'a [Column<'a>], regressor: &Regressor) -> Result<Self, Error> {
        regressor.check()?;
        let binned = match regressor {
            Regressor::Linear { .. } => None,
            Regressor::Trees(_) => Some(binned(columns)?),
        };
        Ok(Self { columns, binned })
    }

    /// Rows put apart by action, ready to be fitted.
    pub(super) fn group(
        &self,
        rows: impl Iterator<Item = u32>,
        actions: &[u32],
        count: usize,
    ) -> Group {
        let mut by_action = vec![Vec::new(); count];
        for row in rows {
            by_action[actions[row as usize] as usize].push(row);
        }
        let parts = by_action.into_iter().map(|rows| {
            let data = self.binned.as_ref().filter(|_| !rows.is_empty());
            let data = data.map(|binned| binned.take(&rows));
            (rows, data)
        });
        Group(parts.collect())
    }

    /// A model for each action, of targets and weights by row of the table.
    pub(super) fn fit(
        &self,
        group: &Group,
        regressor: &Regressor,
        targets: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Models, Error> {
        let of = |(action, (rows, data)): (usize, &(Vec<u32>, Option<Binned>))| {
            self.one(action, rows, data.as_ref(), regressor, targets, weights)
        };
        let models = group.0.iter().enumerate().map(of);
        Ok(Models(models.collect::<Result<_, _>>()?))
    }

    fn one(
        &self,
        action: usize,
        rows: &[u32],
        data: Option<&Binned>,
        regressor: &Regressor,
        targets: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Option<Model>, Error> {
        let pick = |of: &[f64]| -> Vec<f64> { rows.iter().map(|row| of[*row as usize]).collect() };
        let (targets, weights) = (pick(targets), weights.map(pick));
        let weight = |at: usize| weights.as_ref().map_or(1.0, |weights| weights[at]);
        let mut counted = (0..rows.len()).filter(|at| weight(*at) > 0.0);
        let Some(first) = counted.next() else {
            return Ok(None);
        };
        let value = targets[first];
        if counted.all(|at| targets[at] == value) {
            return Ok(Some(Model::Constant(value)));
        }
        let name = || format!("the values of action {action}");
        match (regressor, data) {
            (Regressor::Trees(parameters), Some(data)) => {
                if rows.len() < 2 * parameters.min_data_in_leaf {
                    return Ok(Some(Model::Constant(mean(&targets, weight))));
                }
                let part = Part {
                    data,
                    target: &targets,
                    weights: weights.as_deref(),
                    exposure: None,
                    offset: None,
                    groups: None,
                };
                let ensemble = ensemble(&part, parameters, &name)?;
                Ok(Some(Model::Trees(Box::new(ensemble))))
            }
            (Regressor::Linear { alpha }, _) => {
                let linear = Linear::fit(self.columns, rows, &targets, weights.as_deref(), *alpha);
                let linear = linear.map_err(|source| Error::Linear {
                    model: name(),
                    source,
                })?;
                Ok(Some(Model::Linear(linear)))
            }
            (Regressor::Trees(_), None) => Ok(None),
        }
    }
}

pub(super) fn binned(columns: &[Column<'_>]) -> Result<Binned, Error> {
    Binned::new(columns, &BinSettings::default()).map_err(|source| Error::Trees {
        model: "the features".to_owned(),
        source,
    })
}

pub(super) fn ensemble(
    part: &Part<'_>,
    parameters: &Parameters,
    name: &dyn Fn() -> String,
) -> Result<Ensemble, Error> {
    let trained = gbdt::train(part, None, parameters).map_err(|source| Error::Trees {
        model: name(),
        source,
    })?;
    trained.model.ensemble().map_err(|source| Error::Ensemble {
        model: name(),
        source,
    })
}

fn mean(targets: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (at, target) in targets.iter().enumerate() {
        sum += weight(at) * target;
        total += weight(at);
    }
    sum / total
}

/// Rows by action, with their bins.
pub(super) struct Group(Vec<(Vec<u32>, Option<Binned>)>);

/// A model for each action; none where no row counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Models(Vec<Option<Model>>);

impl Models {
    /// Values of all actions at rows of `width` features, rows x actions; NaN where an action has no model.
    pub(super) fn predict(&self, matrix: &[f64], width: usize, out: &mut [f64]) {
        let actions = self.0.len();
        let mut told = [0.0; BLOCK];
        let blocks = matrix.chunks(BLOCK * width);
        for (rows, out) in blocks.zip(out.chunks_mut(BLOCK * actions)) {
            let told = &mut told[..rows.len() / width];
            for (action, model) in self.0.iter().enumerate() {
                match model {
                    None => told.fill(f64::NAN),
                    Some(model) => model.predict(rows, width, told),
                }
                for (out, told) in out.chunks_exact_mut(actions).zip(told.iter()) {
                    out[action] = *told;
                }
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Model {
    Constant(f64),
    Trees(Box<Ensemble>),
    Linear(Linear),
}

impl Model {
    fn predict(&self, rows: &[f64], width: usize, out: &mut [f64]) {
        match self {
            Self::Constant(value) => out.fill(*value),
            Self::Trees(trees) => trees.predict_many(rows, out),
            Self::Linear(linear) => {
                for (row, out) in rows.chunks_exact(width).zip(out) {
                    *out = linear.predict(row);
                }
            }
        }
    }
}

/// A linear model of a row of features.
#[derive(Debug, Clone, PartialEq)]
struct Linear {
    intercept: f64,
    columns: Vec<Slope>,
}

#[derive(Debug, Clone, PartialEq)]
enum Slope {
    Number {
        slope: f64,
        fill: f64,
        missing: f64,
    },
    /// By level; the last is that of a missing value.
    Category(Vec<f64>),
}

impl Linear {
    fn predict(&self, row: &[f64]) -> f64 {
        let of = |(slope, x): (&Slope, &f64)| match slope {
            Slope::Number {
                fill,
                slope,
                missing,
            } if x.is_nan() => slope * fill + missing,
            Slope::Number { slope, .. } => slope * x,
            Slope::Category(levels) => {
                let last = levels.len() - 1;
                if x.is_nan() {
                    levels[last]
                } else {
                    // A level that was never seen counts as the base.
                    levels[..last].get(*x as usize).copied().unwrap_or(0.0)
                }
            }
        };
        self.columns
            .iter()
            .zip(row)
            .map(of)
            .fold(self.intercept, |sum, x| sum + x)
    }

    fn fit(
        columns: &[Column<'_>],
        rows: &[u32],
        targets: &[f64],
        weights: Option<&[f64]>,
        alpha: f64,
    ) -> Result<Self, glm::Error> {
        let encoded: Vec<Encoded> = columns.iter().map(|c| Encoded::new(c, rows)).collect();
        let levels: Vec<Vec<&str>> = encoded.iter().map(|e| vec![""; e.levels]).collect();
        let mut design = Vec::new();
        for ((column, encoded), levels) in columns.iter().zip(&encoded).zip(&levels) {
            if column.kind == Kind::Category {
                design.push(glm::Column::Categorical {
                    name: column.name,
                    codes: &encoded.codes,
                    levels,
                    base: None,
                });
                continue;
            }
            for values in core::iter::once(&encoded.values).chain(&encoded.missing) {
                design.push(glm::Column::Numeric {
                    name: column.name,
                    values,
                });
            }
        }
        let design = glm::Design::new(&design, rows.len())?;
        let mut settings = glm::Settings::of(glm::Family::Gaussian);
        settings.penalty.alpha = alpha;
        let observations = glm::Observations {
            outcomes: targets,
            weights,
            offset: None,
            exposure: None,
        };
        let found = glm::fit(&design, &observations, &settings)?;
        let mut next = found.coefficients.iter().copied();
        let mut take = || next.next().unwrap_or(0.0);
        let slopes = encoded.iter().map(|encoded| {
            if encoded.levels > 0 {
                return Slope::Category((0..encoded.levels).map(|_| take()).collect());
            }
            let slope = take();
            Slope::Number {
                slope,
                fill: encoded.fill,
                missing: encoded.missing.as_ref().map_or(0.0, |_| take()),
            }
        });
        Ok(Self {
            columns: slopes.collect(),
            intercept: found.intercept,
        })
    }
}

/// A column as the linear model takes it.
struct Encoded {
    values: Vec<f64>,
    fill: f64,
    missing: Option<Vec<f64>>,
    codes: Vec<u32>,
    /// Levels of a category, with one for missing values; 0 for numbers.
    levels: usize,
}

impl Encoded {
    fn new(column: &Column<'_>, rows: &[u32]) -> Self {
        let values: Vec<f64> = rows
            .iter()
            .map(|row| column.values[*row as usize])
            .collect();
        if column.kind == Kind::Category {
            let most = values.iter().fold(0.0, |most: f64, x| most.max(*x));
            let none = most as u32 + 1;
            let code = |x: &f64| if x.is_nan() { none } else { *x as u32 };
            return Self {
                codes: values.iter().map(code).collect(),
                values: Vec::new(),
                fill: 0.0,
                missing: None,
                levels: none as usize + 1,
            };
        }
        let known = || values.iter().filter(|x| !x.is_nan());
        let count = known().count();
        let fill = known().sum::<f64>() / count.max(1) as f64;
        let missing = (count < values.len()).then(|| {
            values
                .iter()
                .map(|x| f64::from(u8::from(x.is_nan())))
                .collect()
        });
        let filled = |x: &f64| if x.is_nan() { fill } else { *x };
        Self {
            values: values.iter().map(filled).collect(),
            fill,
            missing,
            codes: Vec::new(),
            levels: 0,
        }
    }
}
