//! What to do over many steps, from a file of logged ones.

mod read;

use super::model::cpu_seconds;
use super::{table, written};
use crate::problem::{Problem, Result};
use luopan_learning::gbdt::Column;
use luopan_learning::lifetime::{
    Change, Choices, Columns, Error, Estimator, Evaluation, Fixed, Judged, Learned, Policy,
    Regressor, Settings, Step, Trajectories, evaluate, gain, learn,
};
use luopan_learning::ope::{Interval, folds};
use luopan_learning::tabular::{Frame, LeftOut, Series};
use read::{Read, columns};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How values are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Boosted trees.
    Gbdt,
    /// A linear model.
    Glm,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Column of customers.
    pub customer: String,
    /// Column of steps.
    pub step: String,
    /// Column of actions.
    pub action: String,
    /// Column of the probabilities with which they were taken.
    pub propensity: String,
    /// Column of what came of them.
    pub reward: String,
    /// Column of the actions that could be taken.
    pub candidates: Option<String>,
    /// Column that marks rows behind which nothing can come.
    pub end: Option<String>,
    /// Columns of numbers that are names.
    pub categorical: Vec<String>,
    /// Columns that are not learned from.
    pub exclude: Vec<String>,
    /// Steps that are looked ahead.
    pub horizon: usize,
    /// What a reward a step later is worth.
    pub discount: f64,
    /// How values are fitted.
    pub model: Model,
    /// Whether one half of the customers judges what the other would choose.
    pub double: bool,
    /// Least share of an action among customers alike.
    pub min_share: f64,
    /// Share of their size by which values may change and count as settled.
    pub tolerance: f64,
    /// Actions that are judged beside the policy, each taken always.
    pub beside: Vec<String>,
    /// Folds of customers.
    pub folds: usize,
    /// Resamples of intervals.
    pub resamples: usize,
    /// Times that fitted Q evaluation is fitted anew.
    pub refits: usize,
    /// Level of intervals.
    pub level: f64,
    /// Effective customers of a step below which a warning is due.
    pub effective_least: f64,
    /// Seed of all that is drawn.
    pub seed: u64,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Serialize)]
pub struct Estimated {
    /// Rewards a customer.
    pub value: f64,
    /// Lower and upper bound; none where nothing tells.
    pub interval: Option<[f64; 2]>,
    /// Lower and upper bound of what it is above what was earned as it was logged; none for fitted values without refits.
    pub gain: Option<[f64; 2]>,
}

/// Weights of a step.
#[derive(Debug, Clone, Serialize)]
pub struct Weighed {
    /// Mean weight, 1 in expectation.
    pub weight_mean: f64,
    /// Customers that the weights are worth.
    pub effective: f64,
}

/// What is said of one policy.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// `learned`, `one step ahead`, or `always ACTION`.
    pub policy: String,
    /// By name of the estimator.
    pub estimates: BTreeMap<&'static str, Estimated>,
    /// By step.
    pub steps: Vec<Weighed>,
    /// Why it should be trusted less.
    pub warnings: Vec<String>,
}

/// An action.
#[derive(Debug, Clone, Serialize)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Rows that have it.
    pub logged: usize,
    /// Rows at which the policy takes it, with all steps to go.
    pub chosen: usize,
}

/// How values moved.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    /// Steps to go.
    pub steps_to_go: usize,
    /// Mean absolute change of the values of logged actions.
    pub change: f64,
    /// Their mean absolute value.
    pub size: f64,
}

/// What is said of a file of logged steps.
#[derive(Debug, Clone, Serialize)]
pub struct Lived {
    /// Rows.
    pub rows: usize,
    /// Customers that are learned from.
    pub customers: usize,
    /// Customers that policies are judged on: whom the logs could tell of for the whole horizon.
    pub judged: usize,
    /// Columns that are learned from.
    pub features: Vec<String>,
    /// Columns that are not, though nobody excluded them.
    pub left_out: Vec<LeftOut>,
    /// Steps that are looked ahead.
    pub horizon: usize,
    /// What a reward a step later is worth.
    pub discount: f64,
    /// Actions, by name.
    pub actions: Vec<Action>,
    /// By steps to go.
    pub iterations: Vec<Moved>,
    /// Steps to go from which on values counted as settled.
    pub settled: Option<usize>,
    /// What was earned as it was logged, a customer.
    pub logged: Estimated,
    /// The policies.
    pub policies: Vec<Said>,
    /// CPU seconds without reading the file.
    pub cpu_seconds: f64,
    /// The file that was written.
    pub output: Option<PathBuf>,
}

fn refused(input: &Path, words: &str) -> Box<Problem> {
    Problem::new("cannot_learn", format!("{}: {words}", input.display()))
}

/// Learns from a file, judges what was learned, and writes what it would do.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_learn`. Then no file is written.
pub fn from_file(input: &Path, asked: &Asked, output: Option<&Path>) -> Result<Lived> {
    if let Some(output) = output {
        written::ready(&[input], output)?;
    }
    let texts = [&asked.customer, &asked.action]
        .into_iter()
        .chain(&asked.candidates)
        .chain(&asked.categorical);
    let wanted = table::Wanted {
        texts: texts.cloned().collect(),
        ignored: asked.exclude.clone(),
        only: None,
    };
    let frame = table::read_for(input, &wanted, table::FOR_TRAINING)?;
    let begun = cpu_seconds();
    let read = columns(input, &frame, asked)?;
    let features: Vec<Column<'_>> = (read.names.iter().zip(&read.features))
        .map(|(name, (values, kind))| Column {
            name,
            values,
            kind: *kind,
        })
        .collect();
    let bad = |e: Error| refused(input, &e.to_string());
    let t = Trajectories::new(Columns {
        customers: &read.customers,
        steps: &read.steps,
        features: &features,
        actions: &read.actions,
        action_names: &read.action_names,
        propensities: &read.propensities,
        rewards: &read.rewards,
        allowed: read.allowed.as_deref(),
        ends: read.ends.as_deref(),
    })
    .map_err(bad)?;
    let found = judge(&t, asked).map_err(bad)?;
    let counts = |of: &dyn Fn(usize) -> usize| {
        let mut counts = vec![0; t.actions()];
        (0..t.rows()).for_each(|row| counts[of(row)] += 1);
        counts
    };
    let choices = &found.learned.choices;
    let logged = counts(&|row| read.actions[row] as usize);
    let chosen = counts(&|row| choices.at(row, asked.horizon));
    if let Some(output) = output {
        let columns = told(asked, &frame, &read, &found.learned);
        written::write(output, &columns, t.rows())?;
    }
    let (_, first) = found
        .policies
        .first()
        .ok_or_else(|| refused(input, "nothing was judged"))?;
    Ok(Lived {
        rows: t.rows(),
        customers: t.customers(),
        judged: first.customers,
        horizon: asked.horizon,
        discount: asked.discount,
        actions: (read.action_names.iter().zip(logged.into_iter().zip(chosen)))
            .map(|(name, (logged, chosen))| Action {
                name: name.clone(),
                logged,
                chosen,
            })
            .collect(),
        iterations: (1..).zip(&found.learned.changes).map(moved).collect(),
        settled: found.learned.settled,
        logged: Estimated {
            value: first.logged.value,
            interval: first.logged.interval.map(bounds),
            gain: None,
        },
        policies: (found.policies.iter())
            .map(|(name, of)| said(name, of, asked))
            .collect::<std::result::Result<_, Error>>()
            .map_err(bad)?,
        features: read.names,
        left_out: read.left_out,
        cpu_seconds: cpu_seconds() - begun,
        output: output.map(Path::to_owned),
    })
}

fn moved((steps_to_go, of): (usize, &Change)) -> Moved {
    Moved {
        steps_to_go,
        change: of.change,
        size: of.size,
    }
}

fn bounds(of: Interval) -> [f64; 2] {
    [of.lower, of.upper]
}

fn said(name: &str, of: &Evaluation, asked: &Asked) -> std::result::Result<Said, Error> {
    let mut estimates = BTreeMap::new();
    for estimator in Estimator::ALL {
        let found = of.of(estimator);
        let gain = match estimator {
            // Draws of customers do not tell how far fitted values may be off.
            Estimator::FittedQ => None,
            _ => Some(bounds(gain(of, estimator, asked.level)?)),
        };
        let estimated = Estimated {
            value: found.value,
            interval: found.interval.map(bounds),
            gain,
        };
        estimates.insert(estimator.name(), estimated);
    }
    let weighed = |of: &Step| Weighed {
        weight_mean: of.weight_mean,
        effective: of.effective,
    };
    Ok(Said {
        policy: name.to_owned(),
        estimates,
        steps: of.steps.iter().map(weighed).collect(),
        warnings: of.warnings.iter().map(ToString::to_string).collect(),
    })
}

struct Found {
    /// From all customers.
    learned: Learned,
    policies: Vec<(String, Evaluation)>,
}

fn judge(t: &Trajectories<'_>, asked: &Asked) -> std::result::Result<Found, Error> {
    let regressor = match asked.model {
        Model::Gbdt => Regressor::trees(asked.seed),
        Model::Glm => Regressor::Linear { alpha: 1e-4 },
    };
    let settings = Settings {
        horizon: asked.horizon,
        discount: asked.discount,
        regressor: regressor.clone(),
        double: asked.double,
        min_share: asked.min_share,
        tolerance: asked.tolerance,
        seed: asked.seed,
    };
    let everybody: Vec<u32> = (0..t.customers() as u32).collect();
    let judged = t.seen_for(asked.horizon);
    if judged.len() < asked.folds {
        return Err(Error::Few {
            customers: judged.len(),
            what: "judging on this number of folds, of whom the logs tell the whole horizon,",
            least: asked.folds,
        });
    }
    let parts = folds::shuffled(judged.len(), asked.folds, asked.seed)?;
    let learned = learn(t, &everybody, &settings)?;
    let (mut far, mut near): (Vec<Choices>, Vec<Choices>) = (Vec::new(), Vec::new());
    for fold in 0..asked.folds as u32 {
        let mut is_held = vec![false; t.customers()];
        for (customer, part) in judged.iter().zip(&parts) {
            is_held[*customer as usize] = *part == fold;
        }
        let others: Vec<u32> = (everybody.iter().copied())
            .filter(|customer| !is_held[*customer as usize])
            .collect();
        far.push(learn(t, &others, &settings)?.choices);
        let one = Settings {
            horizon: 1,
            ..settings.clone()
        };
        near.push(learn(t, &others, &one)?.choices);
    }
    let judging = Judged {
        horizon: asked.horizon,
        discount: asked.discount,
        regressor,
        tolerance: asked.tolerance,
        resamples: asked.resamples,
        refits: asked.refits,
        level: asked.level,
        effective_least: asked.effective_least,
        seed: asked.seed,
    };
    let told = |of: &[Choices]| {
        let policy = |fold: usize| &of[fold] as &dyn Policy;
        evaluate(t, &judged, &parts, policy, &judging)
    };
    let mut policies = vec![
        ("learned".to_owned(), told(&far)?),
        ("one step ahead".to_owned(), told(&near)?),
    ];
    for name in &asked.beside {
        let place = t.columns().action_names.iter().position(|a| a == name);
        let always = Fixed::new(t, place.unwrap_or(usize::MAX))?;
        let found = evaluate(t, &judged, &parts, |_| &always as &dyn Policy, &judging)?;
        policies.push((format!("always {name}"), found));
    }
    Ok(Found { learned, policies })
}

fn told(asked: &Asked, frame: &Frame, read: &Read, learned: &Learned) -> Vec<(String, Series)> {
    let count = read.action_names.len();
    let carried = [&asked.customer, &asked.step].into_iter();
    let mut out: Vec<(String, Series)> = carried
        .filter_map(|name| Some((name.clone(), frame.get(name)?.clone())))
        .collect();
    for (action, name) in read.action_names.iter().enumerate() {
        let values = learned.values.iter().skip(action).step_by(count).copied();
        out.push((format!("value.{name}"), Series::Numbers(values.collect())));
    }
    let best = |row: usize| learned.choices.at(row, asked.horizon) as u32;
    let codes = (0..read.actions.len()).map(best).collect();
    out.push((
        "best".to_owned(),
        Series::Texts {
            codes,
            levels: read.action_names.clone(),
        },
    ));
    out
}
