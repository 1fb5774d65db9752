//! What policies that were never used would have been worth, from the decisions that another one logged: `luopan learn evaluate`.
//! Numerics are `luopan_learning::ope`; here a file becomes logs ([`logs`]) and a policy's name becomes probabilities ([`policy`]).

pub mod logs;
pub mod policy;

use crate::problem::{Problem, Result};
use logs::{Logged, Which};
use luopan_learning::ope::{
    self, Columns, Diagnosis, Estimator, Interval, Limits, Logs, Method, Policy, Range, Rule,
    Table, Target, Threshold, Verdict, diagnose, intervals, promote,
};
use luopan_learning::tabular::{Kind, Settings, Task, fit_all};
use policy::{Named, Probabilities};
use serde::Serialize;
use std::path::Path;

/// Most probabilities of a policy: rows times actions.
pub const CELLS_MAX: usize = 200_000_000;
/// Rows that a mean by action is drawn towards the mean of all by.
const STRENGTH: f64 = 10.0;
/// Thresholds that switch-DR chooses from, beside that of `dr`.
const THRESHOLDS: usize = 10;

/// What predicts rewards for the estimators that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predictions {
    /// Mean rewards by action.
    Means,
    /// Trees over the features of the logs and the action.
    Gbdt,
    /// Nothing: estimators that need predictions are left out.
    Nothing,
}

/// How sure estimates are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sureness {
    /// Resamples of rows.
    Bootstrap {
        /// How many.
        resamples: usize,
    },
    /// Empirical Bernstein: rewards lie within a range, and no propensity is below a bound.
    Bernstein {
        /// Least and most reward.
        rewards: (f64, f64),
        /// Least propensity that there can be.
        propensity: f64,
    },
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Columns of the logs.
    pub which: Which,
    /// The policy.
    pub policy: Named,
    /// The one it is to replace: without it nothing is compared.
    pub champion: Option<Named>,
    /// What predicts rewards.
    pub predictions: Predictions,
    /// Intervals.
    pub sureness: Sureness,
    /// Their level.
    pub level: f64,
    /// Weights above it count as it, for `ips` and `dr`.
    pub clip: Option<f64>,
    /// How far the candidate's lower bound may lie below the champion's value.
    pub margin: f64,
    /// Folds of the predictions.
    pub folds: usize,
    /// Seed.
    pub seed: u64,
}

/// An estimate.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Its estimator: `ips`, `snips`, `dm`, `dr`, `sndr`, `switch-dr`.
    pub estimator: &'static str,
    /// Reward a decision.
    pub value: f64,
    /// Bounds of the interval; none where the method has none for this estimator.
    pub lower: Option<f64>,
    /// See `lower`.
    pub upper: Option<f64>,
}

/// What was found of one policy.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// As it was named.
    pub policy: String,
    /// By estimator.
    pub estimates: Vec<Estimate>,
    /// Rows of equal weight that would tell as much.
    pub effective_rows: f64,
    /// Largest weight, and the share of all weight that its row has.
    pub weight_most: f64,
    /// See `weight_most`.
    pub weight_most_share: f64,
    /// Mean weight: 1 where propensities are true and the logs hold all that the policy does.
    pub weight_mean: f64,
    /// Share of rows whose action it would never take.
    pub never_taken: f64,
    /// Its probability of actions that were never logged.
    pub unlogged: f64,
    /// Why the estimates should be trusted less.
    pub warnings: Vec<String>,
}

/// The candidate beside the champion.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Estimator of both.
    pub estimator: &'static str,
    /// Candidate's value minus champion's.
    pub difference: f64,
    /// Bounds of its interval, row by row.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// How far `lower` may lie below zero.
    pub margin: f64,
    /// True when the candidate may take the champion's place.
    pub promoted: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluated {
    /// Rows that the estimates are of.
    pub rows: usize,
    /// Rows that are not, by reason.
    pub left_out: Vec<(&'static str, usize)>,
    /// Names of the actions.
    pub actions: Vec<String>,
    /// Column of the rewards.
    pub reward: String,
    /// Mean reward: what the policy that wrote the logs was worth.
    pub logged_value: f64,
    /// Level of the intervals.
    pub level: f64,
    /// How the intervals were made.
    pub interval: &'static str,
    /// The policy.
    pub candidate: Found,
    /// The one it is to replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub champion: Option<Found>,
    /// Both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Compared>,
}

pub(super) fn refused(words: impl Into<String>) -> Box<Problem> {
    Problem::new("cannot_evaluate", words)
}

/// A refusal of the numerics; rows are counted from 1 in the file.
fn of_numbers(logged: &Logged, e: &ope::Error) -> Box<Problem> {
    let place = |row: usize| logged.rows.get(row).map_or(row, |r| *r as usize) + 1;
    match e {
        ope::Error::Propensity { row, found } => refused(format!(
            "row {}: the propensity is {found}; write the probability, above 0 and at most 1, with which the action was chosen. Without propensities nothing can be said of another policy",
            place(*row)
        )),
        ope::Error::Probability { row, action, found } => refused(format!(
            "row {}: the policy's probability of `{}` is {found}; write 0 to 1",
            place(*row),
            logged.actions.get(*action).map_or("", String::as_str)
        )),
        ope::Error::Sum { row, found } => refused(format!(
            "row {}: the policy's probabilities of the logged actions add up to {found}; they must add up to 1, with a column for each action",
            place(*row)
        )),
        ope::Error::Value { column, row, found } => refused(format!(
            "row {}: {column} is {found}; write a finite number",
            place(*row)
        )),
        other => refused(other.to_string()),
    }
}

/// Predicted rewards of every action at every row, from rows of other folds.
fn predicted(logged: &Logged, logs: &Logs<'_>, asked: &Asked) -> Result<Option<Vec<f64>>> {
    let bad = |e: ope::Error| of_numbers(logged, &e);
    let actions = logged.actions.len();
    let folds = || ope::folds::shuffled(logged.rows.len(), asked.folds, asked.seed);
    match asked.predictions {
        Predictions::Nothing => Ok(None),
        Predictions::Means => {
            let folds = folds().map_err(bad)?;
            let contexts = vec![0; logged.rows.len()];
            let means = ope::folds::means(logs, &contexts, 1, &folds, STRENGTH).map_err(bad)?;
            let mut out = Vec::with_capacity(logged.rows.len() * actions);
            for line in &means.lines {
                let at = *line as usize * actions;
                out.extend_from_slice(&means.values[at..at + actions]);
            }
            Ok(Some(out))
        }
        Predictions::Gbdt => {
            let folds = folds().map_err(bad)?;
            let is_share = logged.rewards.iter().all(|r| *r == 0.0 || *r == 1.0);
            let task = if is_share {
                Task::Binary
            } else {
                Task::Regression
            };
            let mut settings = Settings::new(task, Kind::Gbdt, &logged.which.reward);
            settings.exclude.clone_from(&logged.not_features);
            settings.categorical.push(logged.which.action.clone());
            settings.seed = asked.seed;
            let fit = |learned: &[usize], held: &[usize]| -> Result<Vec<f64>> {
                let of =
                    |rows: &[usize]| -> Vec<u32> { rows.iter().map(|r| logged.rows[*r]).collect() };
                let bad = |e: luopan_learning::tabular::Error| {
                    refused(format!(
                        "rewards cannot be predicted by trees: {e}; write --predictions means, or none"
                    ))
                };
                let model = fit_all(&logged.frame.take(&of(learned)), &settings).map_err(bad)?;
                policy::by_action(logged, &model, &of(held))
            };
            let mut fault = None;
            let found = ope::folds::cross_fit(&folds, actions, |learned, held| {
                fit(learned, held).map_err(|e| {
                    fault = Some(e);
                    ope::Error::Empty
                })
            });
            match (found, fault) {
                (_, Some(fault)) => Err(fault),
                (found, None) => Ok(Some(found.map_err(bad)?)),
            }
        }
    }
}

/// Refuses a stated range that the logs go beyond.
fn within(logged: &Logged, sureness: &Sureness) -> Result<()> {
    let Sureness::Bernstein {
        rewards: (least, most),
        propensity,
    } = sureness
    else {
        return Ok(());
    };
    for (at, row) in logged.rows.iter().enumerate() {
        let (reward, found) = (logged.rewards[at], logged.propensities[at]);
        if !(*least..=*most).contains(&reward) {
            return Err(refused(format!(
                "row {}: the reward is {reward}, outside the stated range {least} to {most}; state what rewards can be",
                row + 1
            )));
        }
        if found < *propensity {
            return Err(refused(format!(
                "row {}: the propensity is {found}, below the stated least of {propensity}; state the least that there can be",
                row + 1
            )));
        }
    }
    Ok(())
}

/// Evaluates a policy on the logs of a file.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `bad_model`, `cannot_evaluate`.
pub fn evaluate(path: &Path, asked: &Asked) -> Result<Evaluated> {
    let policies: Vec<&Named> = std::iter::once(&asked.policy)
        .chain(&asked.champion)
        .collect();
    let logged = logs::read(path, &asked.which, &policies)?;
    let cells = logged.rows.len().saturating_mul(logged.actions.len());
    if cells > CELLS_MAX {
        return Err(Problem::limit(
            "cannot_evaluate",
            format!(
                "{} rows of {} actions: at most {CELLS_MAX} probabilities are worked out; take a sample of the rows, or put rare actions together",
                logged.rows.len(),
                logged.actions.len()
            ),
            CELLS_MAX as u64,
        ));
    }
    let bad = |e: ope::Error| of_numbers(&logged, &e);
    let columns = Columns {
        actions: &logged.taken,
        action_count: logged.actions.len(),
        rewards: &logged.rewards,
        propensities: &logged.propensities,
        weights: None,
    };
    let logs = Logs::new(columns).map_err(bad)?;
    within(&logged, &asked.sureness)?;
    let predictions = predicted(&logged, &logs, asked)?;
    let estimators = estimators(predictions.is_some(), asked.clip);
    let candidate = Probabilities::of(&asked.policy, &logged)?;
    let found = judged(
        &logged,
        &logs,
        &candidate,
        predictions.as_deref(),
        &estimators,
        asked,
    )?;
    let mut champion = None;
    let mut comparison = None;
    if let Some(named) = &asked.champion {
        let of = Probabilities::of(named, &logged)?;
        champion = Some(judged(
            &logged,
            &logs,
            &of,
            predictions.as_deref(),
            &estimators,
            asked,
        )?);
        let both = [&candidate, &of].map(|p| p.policy(&logged, predictions.as_deref()));
        let mut beside = compared(&columns, &both, predictions.is_some(), asked);
        if let Some(share) = candidate.learned_from {
            beside.promoted = false;
            beside.reasons.push(format!(
                "the candidate's model has learned from {:.0} % of these rows: what it is worth is told by rows that it has not seen",
                100.0 * share
            ));
        }
        comparison = Some(beside);
    }
    Ok(Evaluated {
        rows: logged.rows.len(),
        left_out: logged.left_out.clone(),
        logged_value: logged.rewards.iter().sum::<f64>() / logged.rows.len() as f64,
        actions: logged.actions.clone(),
        reward: logged.which.reward.clone(),
        level: asked.level,
        interval: match asked.sureness {
            Sureness::Bootstrap { .. } => "bootstrap",
            Sureness::Bernstein { .. } => "empirical bernstein",
        },
        candidate: found,
        champion,
        comparison,
    })
}

fn estimators(predictions: bool, clip: Option<f64>) -> Vec<Estimator> {
    let mut out = vec![Estimator::Ips { clip }, Estimator::SelfNormalised];
    if predictions {
        out.extend([
            Estimator::Direct,
            Estimator::DoublyRobust { clip },
            Estimator::SelfNormalisedDoublyRobust,
        ]);
    }
    out
}

fn method(asked: &Asked, estimator: &Estimator, minus: bool) -> Option<Method> {
    match asked.sureness {
        Sureness::Bootstrap { resamples } => Some(Method::Bootstrap {
            resamples,
            seed: asked.seed,
        }),
        Sureness::Bernstein {
            rewards: (least, most),
            propensity,
        } => {
            let range = estimator.range(Range { least, most }, 1.0 / propensity)?;
            Some(Method::EmpiricalBernstein(match minus {
                true => range.minus(range),
                false => range,
            }))
        }
    }
}

fn judged(
    logged: &Logged,
    logs: &Logs<'_>,
    of: &Probabilities,
    predictions: Option<&[f64]>,
    estimators: &[Estimator],
    asked: &Asked,
) -> Result<Found> {
    let bad = |e: ope::Error| of_numbers(logged, &e);
    let target = Target::new(logs, &of.policy(logged, predictions)).map_err(bad)?;
    let (weights, warnings) = diagnose(logs, &target, &Limits::default()).map_err(bad)?;
    // The threshold depends on the policy's weights.
    let thresholds = ope::grid(&target, THRESHOLDS);
    let switch = (predictions.is_some() && !thresholds.is_empty())
        .then(|| Estimator::Switch(Threshold::chosen(thresholds)));
    let mut terms = Vec::new();
    for estimator in estimators.iter().chain(&switch) {
        match estimator.terms(logs, &target) {
            Ok(found) => terms.push((estimator, found)),
            // Nothing that the policy would do was logged: the others say what can be said.
            Err(ope::Error::NoOverlap { .. }) => {}
            Err(e) => return Err(bad(e)),
        }
    }
    let mut bounds: Vec<Option<Interval>> = vec![None; terms.len()];
    if let Sureness::Bootstrap { .. } = asked.sureness {
        let all: Vec<_> = terms.iter().map(|(_, t)| t).collect();
        if let Some((estimator, _)) = terms.first()
            && let Some(method) = method(asked, estimator, false)
        {
            let found = intervals(&all, &method, asked.level).map_err(bad)?;
            bounds = found.into_iter().map(Some).collect();
        }
    } else {
        for ((estimator, terms), bound) in terms.iter().zip(&mut bounds) {
            if let Some(method) = method(asked, estimator, false) {
                *bound = Some(ope::interval(terms, &method, asked.level).map_err(bad)?);
            }
        }
    }
    let Diagnosis {
        effective_rows,
        weight_most,
        weight_most_share,
        weight_mean,
        never_taken,
        unlogged,
        ..
    } = weights;
    let mut words = of.warnings.clone();
    words.extend(warnings.iter().map(|w| named(w, logged)));
    Ok(Found {
        policy: of.name.clone(),
        estimates: (terms.iter().zip(&bounds))
            .map(|((estimator, terms), bound)| {
                // How far predictions are off is not told by how they differ from row to row.
                let is_predicted = matches!(estimator, Estimator::Direct | Estimator::Switch(_));
                let is_known = !is_predicted || target.is_as_logged();
                let bound = bound.filter(|_| is_known);
                Estimate {
                    estimator: estimator.name(),
                    value: terms.value(),
                    lower: bound.map(|b| b.lower),
                    upper: bound.map(|b| b.upper),
                }
            })
            .collect(),
        effective_rows,
        weight_most,
        weight_most_share,
        weight_mean,
        never_taken,
        unlogged,
        warnings: words,
    })
}

/// A warning with the names of actions and the rows of the file.
fn named(warning: &ope::Warning, logged: &Logged) -> String {
    match *warning {
        ope::Warning::OneRow { row, share, most } => ope::Warning::OneRow {
            row: logged.rows[row] as usize + 1,
            share,
            most,
        }
        .to_string(),
        ope::Warning::Unlogged { action, .. } => warning.to_string().replace(
            &format!("action {action} the most"),
            &format!("`{}` the most", logged.actions[action as usize]),
        ),
        other => other.to_string(),
    }
}

fn compared(
    columns: &Columns<'_>,
    [candidate, champion]: &[Policy<'_>; 2],
    predictions: bool,
    asked: &Asked,
) -> Compared {
    let clip = asked.clip;
    let estimator = match predictions {
        true => Estimator::DoublyRobust { clip },
        false => Estimator::Ips { clip },
    };
    let limits = Limits::default();
    let rule = Rule {
        method: method(asked, &estimator, true).unwrap_or(Method::Normal),
        estimator: estimator.clone(),
        level: asked.level,
        margin: asked.margin,
        effective_rows_least: limits.effective_rows_least,
        unlogged_most: limits.unlogged_most,
    };
    let verdict = promote(columns, candidate, champion, &rule);
    let promoted = verdict.promoted();
    let (mut reasons, comparison): (Vec<String>, _) = match verdict {
        Verdict::Promoted(comparison) => (Vec::new(), Some(comparison)),
        Verdict::Refused {
            reasons,
            comparison,
        } => (
            reasons.iter().map(ToString::to_string).collect(),
            comparison,
        ),
    };
    let of = comparison.as_deref();
    let weights = of.map(|c| {
        [
            ("candidate", &c.candidate_weights),
            ("champion", &c.champion_weights),
        ]
    });
    for (policy, weights) in weights.into_iter().flatten() {
        if weights.weight_mean_p < limits.weight_mean_p_least {
            reasons.push(format!(
                "the mean weight of the {policy} is {:.4} and must be 1 (p = {:.2e}): propensities are wrong, or it does what the logs never do",
                weights.weight_mean, weights.weight_mean_p
            ));
        }
    }
    let promoted = promoted && reasons.is_empty();
    Compared {
        estimator: estimator.name(),
        difference: of.map_or(f64::NAN, |c| c.candidate - c.champion),
        lower: of.map_or(f64::NAN, |c| c.difference.lower),
        upper: of.map_or(f64::NAN, |c| c.difference.upper),
        margin: asked.margin,
        promoted,
        reasons,
    }
}

impl Probabilities {
    /// As the numerics take it.
    fn policy<'a>(&'a self, logged: &Logged, predictions: Option<&'a [f64]>) -> Policy<'a> {
        match &self.values {
            None => Policy::AsLogged,
            Some(values) => Policy::Table {
                distribution: Table::each(values, logged.actions.len()),
                predictions: predictions.map(|p| Table::each(p, logged.actions.len())),
            },
        }
    }
}
