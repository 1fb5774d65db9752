//! The value of a policy of many steps by all estimators at once, with intervals, effective customers at each step and warnings.
//! This room must never tell a customer by values that were fitted to her.

use super::error::setting;
use super::estimate::Paths;
use super::fitted::Base;
use super::fqe::{Ahead, Asked, Learning, tell};
use super::interval::{Draws, check, of_refits, of_replicates};
use super::learn::ahead;
use super::{Error, Estimator, Policy, REFITS_MAX, Regressor, Trajectories, Warning};
use crate::ope::{Interval, SUM_TOLERANCE};

/// How a policy is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Steps that are looked ahead.
    pub horizon: usize,
    /// What a reward a step later is worth, above 0 to 1.
    pub discount: f64,
    /// How values are fitted.
    pub regressor: Regressor,
    /// As in [`super::Settings`].
    pub tolerance: f64,
    /// Resamples of the intervals over customers.
    pub resamples: usize,
    /// Times that fitted Q evaluation is fitted anew for its interval, 2 and more; 0 for none.
    pub refits: usize,
    /// Level of the intervals.
    pub level: f64,
    /// Effective customers of a step below which a warning is due.
    pub effective_least: f64,
    /// Of the draws.
    pub seed: u64,
}

/// One estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// In the unit of rewards, a customer.
    pub value: f64,
    /// Where it lies; none where nothing tells.
    pub interval: Option<Interval>,
    /// Its value in each resample.
    replicates: Vec<f64>,
}

/// What the weights of a step are worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Mean weight; 1 in expectation.
    pub weight_mean: f64,
    /// Customers of equal weight that would be worth as much (Kish 1965).
    pub effective: f64,
}

/// What is said of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Customers.
    pub customers: usize,
    /// What was earned as it was logged.
    pub logged: Estimate,
    /// By estimator, in the order of [`Estimator::ALL`].
    pub estimates: Vec<Estimate>,
    /// By step, from the first.
    pub steps: Vec<Step>,
    /// Why it should be trusted less.
    pub warnings: Vec<Warning>,
}

impl Evaluation {
    /// The estimate of one of them.
    pub fn of(&self, estimator: Estimator) -> &Estimate {
        &self.estimates[estimator as usize]
    }
}

/// Evaluates a policy on `customers`, of whom `folds` says which belong together: values are fitted to those of the other folds.
/// `policy` is asked for by fold, so that one that was learned may have been learned without that fold too.
///
/// # Errors
/// Settings out of range, fewer than two folds, a customer whose logs end before the horizon, probabilities that are none or that are
/// given to actions that are not allowed, a policy that does with nobody what was logged or takes what nobody was given, and what
/// regressions refuse.
pub fn evaluate<'p>(
    t: &Trajectories<'_>,
    customers: &[u32],
    folds: &[u32],
    policy: impl Fn(usize) -> &'p dyn Policy,
    settings: &Judged,
) -> Result<Evaluation, Error> {
    checked(customers, folds, settings)?;
    let horizon = settings.horizon;
    let looking = Ahead {
        horizon,
        discount: settings.discount,
        tolerance: settings.tolerance,
        regressor: &settings.regressor,
    };
    let count = folds.iter().max().map_or(0, |most| *most as usize + 1);
    let mut paths = Paths {
        horizon,
        weights: vec![1.0; customers.len() * horizon],
        rewards: vec![0.0; customers.len() * horizon],
        corrections: vec![0.0; customers.len() * horizon],
        first: vec![0.0; customers.len()],
    };
    for (place, customer) in customers.iter().enumerate() {
        let rows = t.within(*customer as usize, horizon)?;
        weigh(
            t,
            rows,
            policy(folds[place] as usize),
            settings,
            place,
            &mut paths,
        )?;
    }
    let base = Base::new(t.columns().features, &settings.regressor)?;
    let learnings: Vec<Learning> = (0..count)
        .map(|fold| {
            let of = customers
                .iter()
                .zip(folds)
                .filter(|(_, f)| **f as usize != fold);
            Learning::new(t, &base, of.map(|(customer, _)| *customer as usize))
        })
        .collect();
    let of_fold = |fold: usize| (0..customers.len()).filter(move |at| folds[*at] as usize == fold);
    for (fold, learning) in learnings.iter().enumerate() {
        let mut asked: Vec<Asked> = Vec::new();
        for place in of_fold(fold) {
            let rows = t.within(customers[place] as usize, horizon)?;
            asked.extend(
                (0..horizon)
                    .rev()
                    .zip(rows)
                    .map(|(less, row)| (*row, less + 1)),
            );
        }
        let told = tell(t, &base, learning, policy(fold), &looking, None, &asked)?;
        let mut values = told.taken.into_iter().zip(told.expected);
        for place in of_fold(fold) {
            let steps = t.within(customers[place] as usize, horizon)?.len();
            let of: Vec<(f64, f64)> = values.by_ref().take(steps).collect();
            correct(&mut paths, place, &of, settings.discount);
        }
    }
    let steps = steps(&paths);
    if steps[0].weight_mean == 0.0 {
        return Err(Error::NoOverlap {
            customers: customers.len(),
        });
    }
    let mut warnings = warnings(t, &paths, &steps, settings);
    let once = paths.sums(|_| 1.0);
    let mut replicates = vec![Vec::with_capacity(settings.resamples); Estimator::ALL.len() + 1];
    let mut draws = Draws::new(customers.len(), settings.seed);
    for _ in 0..settings.resamples {
        let counts = draws.next();
        let sums = paths.sums(|customer| f64::from(counts[customer]));
        let values = Estimator::ALL.map(|estimator| sums.value(estimator));
        for (out, value) in replicates
            .iter_mut()
            .zip(values.into_iter().chain([sums.logged()]))
        {
            out.push(value);
        }
    }
    let estimate = |value: f64, replicates: Vec<f64>| Estimate {
        value,
        interval: Some(of_replicates(&replicates, settings.level)),
        replicates,
    };
    let logged = estimate(once.logged(), replicates.pop().unwrap_or_default());
    let mut estimates: Vec<Estimate> = (Estimator::ALL.iter().zip(replicates))
        .map(|(estimator, replicates)| estimate(once.value(*estimator), replicates))
        .collect();
    let fqe = &mut estimates[Estimator::FittedQ as usize];
    if settings.refits == 0 {
        warnings.push(Warning::NoRefits);
        fqe.interval = None;
    } else {
        let mut draws = Draws::new(customers.len(), settings.seed);
        let mut refits = Vec::with_capacity(settings.refits);
        for _ in 0..settings.refits {
            let counts = draws.next();
            let mut weights = vec![0.0; t.rows()];
            for (customer, count) in customers.iter().zip(counts) {
                for row in t.rows_of(*customer as usize) {
                    weights[*row as usize] = f64::from(*count);
                }
            }
            let mut sum = 0.0;
            for (fold, learning) in learnings.iter().enumerate() {
                let drawn = || of_fold(fold).filter(|place| counts[*place] > 0);
                let asked: Vec<Asked> = drawn()
                    .map(|place| (t.rows_of(customers[place] as usize)[0], horizon))
                    .collect();
                let weights = Some(weights.as_slice());
                let told = tell(t, &base, learning, policy(fold), &looking, weights, &asked)?;
                for (place, value) in drawn().zip(told.expected) {
                    sum += f64::from(counts[place]) * value;
                }
            }
            refits.push(sum / customers.len() as f64);
        }
        fqe.interval = Some(of_refits(fqe.value, &refits, settings.level));
    }
    Ok(Evaluation {
        customers: customers.len(),
        logged,
        estimates,
        steps,
        warnings,
    })
}

/// The interval of the difference of two policies by one estimator, `candidate` minus `champion`, customers drawn alike. Of fitted Q
/// evaluation it tells how customers differ, not how far the fitted values may be off.
///
/// # Errors
/// Evaluations of other customers or with another number of resamples.
pub fn difference(
    candidate: &Evaluation,
    champion: &Evaluation,
    estimator: Estimator,
    level: f64,
) -> Result<Interval, Error> {
    let (a, b) = (candidate.of(estimator), champion.of(estimator));
    if candidate.customers != champion.customers || a.replicates.len() != b.replicates.len() {
        return Err(Error::Length {
            column: "the other evaluation".to_owned(),
            found: champion.customers,
            wanted: candidate.customers,
        });
    }
    check(a.replicates.len(), level)?;
    let each = a.replicates.iter().zip(&b.replicates).map(|(a, b)| a - b);
    Ok(of_replicates(&each.collect::<Vec<f64>>(), level))
}

/// The interval of what a policy is worth above what was earned as it was logged, by one estimator, as [`difference`].
///
/// # Errors
/// A level out of range.
pub fn gain(of: &Evaluation, estimator: Estimator, level: f64) -> Result<Interval, Error> {
    let (a, b) = (&of.of(estimator).replicates, &of.logged.replicates);
    check(a.len(), level)?;
    let each = a.iter().zip(b).map(|(a, b)| a - b);
    Ok(of_replicates(&each.collect::<Vec<f64>>(), level))
}

fn checked(customers: &[u32], folds: &[u32], settings: &Judged) -> Result<(), Error> {
    ahead(settings.horizon, settings.discount, settings.tolerance)?;
    check(settings.resamples, settings.level)?;
    if settings.refits == 1 || settings.refits > REFITS_MAX {
        let found = settings.refits as f64;
        return Err(setting(
            "the number of refits",
            found,
            "0 for none, or 2 to 10,000",
        ));
    }
    if folds.len() != customers.len() {
        return Err(Error::Length {
            column: "the folds".to_owned(),
            found: folds.len(),
            wanted: customers.len(),
        });
    }
    let first = folds.first();
    if first.is_none_or(|first| folds.iter().all(|fold| fold == first)) {
        return Err(Error::Few {
            customers: customers.len(),
            what: "fitting values to others than are told by them",
            least: 2,
        });
    }
    Ok(())
}

/// Weights and rewards of one customer.
fn weigh(
    t: &Trajectories<'_>,
    rows: &[u32],
    policy: &dyn Policy,
    settings: &Judged,
    place: usize,
    paths: &mut Paths,
) -> Result<(), Error> {
    let horizon = settings.horizon;
    let columns = t.columns();
    let mut probabilities = [0.0; super::ACTIONS_MAX];
    let probabilities = &mut probabilities[..t.actions()];
    let line = place * horizon..(place + 1) * horizon;
    let weights = &mut paths.weights[line.clone()];
    let rewards = &mut paths.rewards[line];
    let (mut weight, mut worth) = (1.0, 1.0);
    for (step, row) in rows.iter().enumerate() {
        let row = *row as usize;
        policy.probabilities(row, horizon - step, probabilities);
        let mut sum = 0.0;
        for (action, found) in probabilities.iter().enumerate() {
            let is_fit = *found >= 0.0 && *found <= 1.0 + SUM_TOLERANCE;
            if !is_fit || (*found > 0.0 && !t.allows(row, action)) {
                return Err(Error::Value {
                    column: format!(
                        "the policy's probability of {:?}",
                        columns.action_names[action]
                    ),
                    row,
                    found: *found,
                    wanted: "0 to 1 is wanted, and 0 for what is not allowed",
                });
            }
            sum += found;
        }
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(Error::Value {
                column: "the sum of the policy's probabilities".to_owned(),
                row,
                found: sum,
                wanted: "1 is wanted",
            });
        }
        weight *= probabilities[columns.actions[row] as usize] / columns.propensities[row];
        weights[step] = weight;
        rewards[step] = worth * columns.rewards[row];
        worth *= settings.discount;
    }
    weights[rows.len()..].fill(weight);
    Ok(())
}

/// Corrections of one customer, by values of her logged actions and of the policy.
fn correct(paths: &mut Paths, place: usize, values: &[(f64, f64)], discount: f64) {
    paths.first[place] = values.first().map_or(0.0, |(_, expected)| *expected);
    let start = place * paths.horizon;
    let mut worth = 1.0;
    for (step, (taken, _)) in values.iter().enumerate() {
        let next = values.get(step + 1).map_or(0.0, |(_, expected)| *expected);
        paths.corrections[start + step] =
            paths.rewards[start + step] + worth * (discount * next - taken);
        worth *= discount;
    }
}

fn steps(paths: &Paths) -> Vec<Step> {
    let of = |step: usize| {
        let (mut sum, mut squares) = (0.0, 0.0);
        for weights in paths.weights.chunks_exact(paths.horizon) {
            sum += weights[step];
            squares += weights[step] * weights[step];
        }
        Step {
            weight_mean: sum / paths.customers() as f64,
            effective: if squares > 0.0 {
                sum * sum / squares
            } else {
                0.0
            },
        }
    };
    (0..paths.horizon).map(of).collect()
}

fn warnings(
    t: &Trajectories<'_>,
    paths: &Paths,
    steps: &[Step],
    settings: &Judged,
) -> Vec<Warning> {
    let mut out = Vec::new();
    if t.steps_most() == 1 {
        out.push(Warning::Bandit);
    }
    let customers = paths.customers();
    let few = steps
        .iter()
        .position(|s| s.effective < settings.effective_least);
    if let Some(step) = few {
        out.push(Warning::FewEffective {
            step: step + 1,
            customers,
            found: steps[step].effective,
            least: settings.effective_least,
        });
    }
    if let Some(step) = steps.iter().position(|s| s.weight_mean == 0.0) {
        out.push(Warning::NoWeight { step: step + 1 });
    }
    let mean = steps[0].weight_mean;
    let firsts = || paths.weights.iter().step_by(paths.horizon);
    let squares: f64 = firsts().map(|w| (w - mean) * (w - mean)).sum();
    let n = customers as f64;
    let error = libm::sqrt(squares / (n - 1.0).max(1.0) / n);
    // Beyond four standard errors chance is one in 16,000.
    if (mean - 1.0).abs() > 4.0 * error + 1e-9 {
        out.push(Warning::MeanWeight { mean, error });
    }
    out
}
