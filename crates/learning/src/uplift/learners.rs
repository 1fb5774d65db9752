//! The learners: which models are fitted to what, and how effects come of them. This room must never let a residual or a score
//! come from a model that has seen its row.

use super::model::{Model, Parts};
use super::nuisance::{Fitted, Task, binned, fit as fit_trees, folds, predict};
use super::propensities::{Found, found};
use super::{Error, Learner, Settings, Trial};
use crate::gbdt::{Binned, Column, Kind, Objective, Parameters};

/// Learns the effect of every treatment against the control. The same trial and settings give the same model, bit for bit.
///
/// # Errors
/// [`Error`]: columns of unequal length, values that are infinite or that the objective does not take, an arm that is empty or
/// too small, outcomes that are all alike, propensities that are no probabilities or do not suffice, fewer rows than folds,
/// settings out of range.
pub fn fit(trial: &Trial<'_>, settings: &Settings) -> Result<Model, Error> {
    trial.check(settings)?;
    let known = match settings.learner.is_weighted() {
        true => found(trial, settings.learner)?,
        false => None,
    };
    let work = Work {
        trial,
        settings,
        codes: trial.arms.codes(),
        arms: trial.arms.names().len(),
    };
    let parts = match settings.learner {
        Learner::S => work.single()?,
        Learner::T => Parts::Arms(work.by_arm(&binned(trial.columns)?)?),
        Learner::X => work.crossed(known)?,
        Learner::R => work.residual(known)?,
        Learner::DoublyRobust => work.doubly_robust(known)?,
    };
    Ok(Model {
        learner: settings.learner,
        features: (trial.columns.iter())
            .map(|column| column.name.to_owned())
            .collect(),
        arms: trial.arms.names().to_vec(),
        parts,
    })
}

struct Work<'a> {
    trial: &'a Trial<'a>,
    settings: &'a Settings,
    codes: &'a [u32],
    arms: usize,
}

impl Work<'_> {
    fn rows(&self, keep: impl Fn(usize) -> bool) -> Vec<u32> {
        let all = 0..self.codes.len() as u32;
        all.filter(|row| keep(*row as usize)).collect()
    }

    fn outcomes(&self, rows: &[u32]) -> Vec<f64> {
        rows.iter()
            .map(|row| self.trial.outcomes[*row as usize])
            .collect()
    }

    fn weights(&self, rows: &[u32]) -> Option<Vec<f64>> {
        let weights = self.trial.weights?;
        Some(rows.iter().map(|row| weights[*row as usize]).collect())
    }

    fn fit(
        &self,
        data: &Binned,
        name: impl Into<String>,
        rows: &[u32],
        targets: &[f64],
        parameters: &Parameters,
    ) -> Result<Fitted, Error> {
        let weights = self.weights(rows);
        let task = Task {
            name: name.into(),
            rows,
            targets,
            weights: weights.as_deref(),
        };
        fit_trees(data, &task, parameters)
    }

    fn predict(&self, model: &Fitted, rows: &[u32]) -> Vec<f64> {
        predict(
            model,
            self.trial.columns,
            &[],
            rows.iter().map(|row| *row as usize),
        )
    }

    fn arm(&self, arm: usize) -> &str {
        &self.trial.arms.names()[arm]
    }

    fn single(&self) -> Result<Parts, Error> {
        let names = self.trial.arms.names();
        let marks: Vec<(String, Vec<f64>)> = (1..self.arms)
            .map(|arm| {
                let mark = |code: &u32| f64::from(u8::from(*code as usize == arm));
                (
                    format!("treatment {}", names[arm]),
                    self.codes.iter().map(mark).collect(),
                )
            })
            .collect();
        let mut columns = self.trial.columns.to_vec();
        columns.extend(marks.iter().map(|(name, values)| Column {
            name,
            values,
            kind: Kind::Number,
        }));
        let mut parameters = self.settings.outcome.clone();
        if !parameters.monotone_constraints.is_empty() {
            parameters.monotone_constraints.resize(columns.len(), 0);
        }
        let rows = self.rows(|_| true);
        let model = self.fit(
            &binned(&columns)?,
            "the model of outcomes",
            &rows,
            self.trial.outcomes,
            &parameters,
        )?;
        Ok(Parts::Single(model))
    }

    fn outcome_model(&self, data: &Binned, arm: usize, rows: &[u32]) -> Result<Fitted, Error> {
        let name = format!("the model of outcomes of arm {:?}", self.arm(arm));
        self.fit(
            data,
            name,
            rows,
            &self.outcomes(rows),
            &self.settings.outcome,
        )
    }

    fn by_arm(&self, data: &Binned) -> Result<Vec<Fitted>, Error> {
        let of = |arm: usize| {
            let rows = self.rows(|row| self.codes[row] as usize == arm);
            self.outcome_model(data, arm, &rows)
        };
        (0..self.arms).map(of).collect()
    }

    fn effect_model(
        &self,
        data: &Binned,
        treatment: usize,
        rows: &[u32],
        targets: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Fitted, Error> {
        let task = Task {
            name: format!("the model of the effect of {:?}", self.arm(treatment)),
            rows,
            targets,
            weights,
        };
        fit_trees(data, &task, &self.settings.effect)
    }

    fn crossed(&self, known: Option<Found>) -> Result<Parts, Error> {
        let data = binned(self.trial.columns)?;
        let outcomes = self.by_arm(&data)?;
        let mut effects = Vec::with_capacity(self.arms - 1);
        let control = self.rows(|row| self.codes[row] == 0);
        for treatment in 1..self.arms {
            let treated = self.rows(|row| self.codes[row] as usize == treatment);
            let side = |rows: &[u32], other: usize, sign: f64| {
                let told = self.predict(&outcomes[other], rows);
                let imputed: Vec<f64> = (self.outcomes(rows).iter().zip(told))
                    .map(|(found, told)| sign * (found - told))
                    .collect();
                let weights = self.weights(rows);
                self.effect_model(&data, treatment, rows, &imputed, weights.as_deref())
            };
            effects.push([side(&control, treatment, -1.0)?, side(&treated, 0, 1.0)?]);
        }
        let shares = match known {
            // Any weight is allowed there; for rows to come the mean is one that is known.
            Some(known) => Ok(self.mean_of_pairs(&known)),
            None => Err(self.arm_model(&data, &self.rows(|_| true))?),
        };
        Ok(Parts::Crossed {
            outcomes,
            effects,
            shares,
        })
    }

    /// Of each treatment, the mean probability among those who got it or the control.
    fn mean_of_pairs(&self, known: &Found) -> Vec<f64> {
        let of = |treatment: usize| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (row, code) in self.codes.iter().enumerate() {
                if *code == 0 || *code as usize == treatment {
                    sum += self.trial.weight(row) * known.of_pair(row, treatment, self.arms);
                    total += self.trial.weight(row);
                }
            }
            sum / total
        };
        (1..self.arms).map(of).collect()
    }

    fn arm_model(&self, data: &Binned, rows: &[u32]) -> Result<Fitted, Error> {
        let mut parameters = self.settings.propensity.clone();
        parameters.objective = match self.arms {
            2 => Objective::Binary,
            classes => Objective::Multiclass { classes },
        };
        let targets: Vec<f64> = (rows.iter())
            .map(|row| f64::from(self.codes[*row as usize]))
            .collect();
        self.fit(
            data,
            "the model of propensities",
            rows,
            &targets,
            &parameters,
        )
    }

    fn estimated(&self, data: &Binned, folds: &[u32]) -> Result<Found, Error> {
        let mut table = vec![0.0; self.codes.len() * self.arms];
        for fold in 0..self.settings.folds as u32 {
            let (held, learned) = self.divided(folds, fold, |_| true);
            let told = self.predict(&self.arm_model(data, &learned)?, &held);
            let lines = propensities(&told, self.arms, self.settings.clip);
            for (row, line) in held.iter().zip(lines.chunks_exact(self.arms)) {
                let start = *row as usize * self.arms;
                table[start..start + self.arms].copy_from_slice(line);
            }
        }
        Ok(Found::Table(table))
    }

    /// Rows of the fold, and those of the others that `keep` keeps.
    fn divided(
        &self,
        folds: &[u32],
        fold: u32,
        keep: impl Fn(usize) -> bool,
    ) -> (Vec<u32>, Vec<u32>) {
        (
            self.rows(|row| folds[row] == fold),
            self.rows(|row| folds[row] != fold && keep(row)),
        )
    }

    fn folded(&self, data: &Binned, known: Option<Found>) -> Result<(Vec<u32>, Found), Error> {
        let folds = folds(self.codes, self.settings.folds, self.settings.seed);
        let known = match known {
            Some(known) => known,
            None => self.estimated(data, &folds)?,
        };
        Ok((folds, known))
    }

    fn residual(&self, known: Option<Found>) -> Result<Parts, Error> {
        let data = binned(self.trial.columns)?;
        let (folds, known) = self.folded(&data, known)?;
        let mut effects = Vec::with_capacity(self.arms - 1);
        for treatment in 1..self.arms {
            let is_in = |row: usize| self.codes[row] == 0 || self.codes[row] as usize == treatment;
            let rows = self.rows(is_in);
            let mut means = vec![0.0; self.codes.len()];
            for fold in 0..self.settings.folds as u32 {
                let (held, learned) = self.divided(&folds, fold, is_in);
                let name = "the model of mean outcomes";
                let outcomes = self.outcomes(&learned);
                let model = self.fit(&data, name, &learned, &outcomes, &self.settings.outcome)?;
                for (row, told) in held.iter().zip(self.predict(&model, &held)) {
                    means[*row as usize] = told;
                }
            }
            let (targets, weights): (Vec<f64>, Vec<f64>) = (rows.iter())
                .map(|row| {
                    let row = *row as usize;
                    let moved = f64::from(u8::from(self.codes[row] != 0))
                        - known.of_pair(row, treatment, self.arms);
                    let left = self.trial.outcomes[row] - means[row];
                    (left / moved, self.trial.weight(row) * moved * moved)
                })
                .unzip();
            effects.push(self.effect_model(&data, treatment, &rows, &targets, Some(&weights))?);
        }
        Ok(Parts::Direct(effects))
    }

    fn doubly_robust(&self, known: Option<Found>) -> Result<Parts, Error> {
        let data = binned(self.trial.columns)?;
        let (folds, known) = self.folded(&data, known)?;
        let rows = self.rows(|_| true);
        // rows x arms
        let mut told = vec![0.0; rows.len() * self.arms];
        for fold in 0..self.settings.folds as u32 {
            for arm in 0..self.arms {
                let (held, learned) =
                    self.divided(&folds, fold, |row| self.codes[row] as usize == arm);
                let model = self.outcome_model(&data, arm, &learned)?;
                for (row, found) in held.iter().zip(self.predict(&model, &held)) {
                    told[*row as usize * self.arms + arm] = found;
                }
            }
        }
        let corrected = |row: usize, arm: usize| {
            let told = told[row * self.arms + arm];
            if self.codes[row] as usize == arm {
                told + (self.trial.outcomes[row] - told) / known.of(row, arm, self.arms)
            } else {
                told
            }
        };
        let weights = self.weights(&rows);
        let effects = (1..self.arms)
            .map(|treatment| {
                let scores: Vec<f64> = (0..rows.len())
                    .map(|row| corrected(row, treatment) - corrected(row, 0))
                    .collect();
                self.effect_model(&data, treatment, &rows, &scores, weights.as_deref())
            })
            .collect::<Result<_, _>>()?;
        Ok(Parts::Direct(effects))
    }
}

/// Probabilities of all arms of each row, from what the model of arms told: held within the clip, adding up to one.
pub(super) fn propensities(told: &[f64], arms: usize, clip: f64) -> Vec<f64> {
    let held = |p: f64| p.clamp(clip, 1.0 - clip);
    if arms == 2 {
        return told
            .iter()
            .flat_map(|p| [1.0 - held(*p), held(*p)])
            .collect();
    }
    let mut out: Vec<f64> = told.iter().map(|p| held(*p)).collect();
    for line in out.chunks_exact_mut(arms) {
        let sum: f64 = line.iter().sum();
        line.iter_mut().for_each(|p| *p /= sum);
    }
    out
}
