//! Fitted Q iteration (Ernst, Geurts and Wehenkel 2005), for each number of steps to go: `Q_1` is fitted to rewards, `Q_k` to
//! `r + discount * Q_(k-1)(s', a*)`. With `double`, customers are put in two halves: the half that is fitted chooses `a*`, the other
//! half's values judge it (van Hasselt 2010), so that luck is not taken for value. This room must never choose what was not permitted.

use super::behaviour::Behaviour;
use super::error::setting;
use super::fitted::{Base, Group, Models};
use super::policy::Choices;
use super::{Error, HORIZON_MAX, Regressor, Trajectories};
use crate::gbdt::Column;
use crate::ope;

/// How a policy is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Steps that are looked ahead, 1 to [`HORIZON_MAX`]. One is myopic: what is most at the next step.
    pub horizon: usize,
    /// What a reward a step later is worth, above 0 to 1.
    pub discount: f64,
    /// How values are fitted.
    pub regressor: Regressor,
    /// Whether one half of the customers judges what the other would choose.
    pub double: bool,
    /// Least estimated share of an action where a customer stands, 0 to below 1: less usual ones are not taken.
    pub min_share: f64,
    /// Where values change on the mean by at most this share of their size, they count as settled: more steps to go are taken
    /// to be worth as much. 0 for going on to the horizon.
    pub tolerance: f64,
    /// Of halves and models.
    pub seed: u64,
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        ahead(self.horizon, self.discount, self.tolerance)?;
        if !(0.0..1.0).contains(&self.min_share) {
            return Err(setting(
                "the least share",
                self.min_share,
                "0 to below 1, such as 0.02",
            ));
        }
        Ok(())
    }
}

pub(super) fn ahead(horizon: usize, discount: f64, tolerance: f64) -> Result<(), Error> {
    if !(1..=HORIZON_MAX).contains(&horizon) {
        return Err(setting("the horizon", horizon as f64, "1 to 1,000 steps"));
    }
    if !(discount > 0.0 && discount <= 1.0) {
        return Err(setting(
            "the discount",
            discount,
            "above 0 to 1, such as 0.98",
        ));
    }
    if !(0.0..1.0).contains(&tolerance) {
        return Err(setting(
            "the tolerance",
            tolerance,
            "0 to below 1, such as 0.001",
        ));
    }
    Ok(())
}

/// How values moved from one iteration to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Mean absolute change of the values of logged actions.
    pub change: f64,
    /// Mean absolute value.
    pub size: f64,
}

/// A learned policy: of the permitted actions the one with the greatest value.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// Models by steps to go, from one; of each half.
    models: Vec<Vec<Models>>,
    behaviour: Behaviour,
    /// By steps to go, from one; the first against values of zero.
    pub changes: Vec<Change>,
    /// Steps to go from which on values count as settled; none where they did not.
    pub settled: Option<usize>,
    /// Values of all actions at all rows that were learned from or stood beside them, for the most steps to go: rows x actions;
    /// NaN for actions that no customer was given.
    pub values: Vec<f64>,
    /// What may be taken there, rows x actions.
    pub permitted: Vec<bool>,
    /// What the policy does there.
    pub choices: Choices,
}

/// Learns from some of the customers; the choices are told for all rows.
///
/// # Errors
/// Settings out of range, no customer, logs that end before a second step though more are looked ahead, rows whose allowed actions
/// nobody tried, and what regressions refuse.
pub fn learn(
    t: &Trajectories<'_>,
    customers: &[u32],
    settings: &Settings,
) -> Result<Learned, Error> {
    settings.check()?;
    let halves = if settings.double { 2 } else { 1 };
    if customers.len() < halves {
        return Err(Error::Few {
            customers: customers.len(),
            what: "learning",
            least: halves,
        });
    }
    let columns = t.columns();
    let (rows, actions, width) = (t.rows(), t.actions(), columns.features.len());
    let parts = match settings.double {
        true => ope::folds::shuffled(customers.len(), 2, settings.seed)?,
        false => vec![0; customers.len()],
    };
    let mut half_rows: Vec<Vec<u32>> = vec![Vec::new(); halves];
    for (customer, part) in customers.iter().zip(&parts) {
        half_rows[*part as usize].extend_from_slice(t.rows_of(*customer as usize));
    }
    half_rows.iter_mut().for_each(|rows| rows.sort_unstable());
    let mut learned_rows: Vec<u32> = half_rows.concat();
    learned_rows.sort_unstable();
    let counts = |row: usize| settings.horizon == 1 || t.is_followed(row);
    if !learned_rows.iter().any(|row| counts(*row as usize)) {
        let first = customers.first().map_or(0, |c| *c as usize);
        let found = t.rows_of(first);
        return Err(Error::Cut {
            customer: columns.customers[found[0] as usize].clone(),
            found: found.len(),
            wanted: settings.horizon,
        });
    }
    let behaviour = Behaviour::learn(t, &learned_rows, &counts, settings.min_share, settings.seed)?;
    let permitted = behaviour
        .permitted(t.matrix(), rows, &|row, action| t.allows(row, action))
        .map_err(|row| Error::Untried {
            row,
            action: columns.action_names[columns.actions[row] as usize].clone(),
        })?;
    let base = Base::new(columns.features, &settings.regressor)?;
    let group = |of: &[u32], keep: &dyn Fn(usize) -> bool| -> Group {
        let rows = of.iter().copied().filter(|row| keep(*row as usize));
        base.group(rows, columns.actions, actions)
    };
    let mut groups: Vec<Group> = half_rows.iter().map(|of| group(of, &|_| true)).collect();
    // Values of each half, rows x actions.
    let mut values = vec![vec![0.0; rows * actions]; halves];
    let mut both = vec![0.0; rows * actions];
    let mut targets = vec![0.0; rows];
    let (mut models, mut changes, mut choices) = (Vec::new(), Vec::new(), Vec::new());
    let mut settled = None;
    for to_go in 1..=settings.horizon {
        if to_go == 2 {
            let inner = half_rows
                .iter()
                .map(|of| group(of, &|row| t.is_followed(row)));
            groups = inner.collect();
        }
        let mut fitted = Vec::with_capacity(halves);
        for (half, own) in half_rows.iter().enumerate() {
            let judge = &values[halves - 1 - half];
            for row in own {
                let row = *row as usize;
                let ahead = match t.next(row).filter(|_| to_go > 1) {
                    None => 0.0,
                    Some(next) => {
                        let line = next * actions..(next + 1) * actions;
                        let chosen = best(&values[half][line.clone()], &permitted[line]);
                        judge[next * actions + chosen]
                    }
                };
                targets[row] = columns.rewards[row] + settings.discount * ahead;
            }
            fitted.push(base.fit(&groups[half], &settings.regressor, &targets, None)?);
        }
        for (models, values) in fitted.iter().zip(&mut values) {
            models.predict(t.matrix(), width, values);
        }
        fill(&mut values);
        let before = core::mem::replace(&mut both, mean(&values));
        let change = change(t, &learned_rows, &before, &both);
        choices.push(chosen(&both, &permitted, actions));
        models.push(fitted);
        changes.push(change);
        if change.change <= settings.tolerance * change.size && to_go > 1 {
            settled = Some(to_go);
            break;
        }
    }
    Ok(Learned {
        models,
        behaviour,
        changes,
        settled,
        values: both,
        permitted,
        choices: Choices::new(choices),
    })
}

impl Learned {
    /// What the policy does at rows of the same features, with so many steps to go, this one included; `allowed` is rows x actions.
    ///
    /// # Errors
    /// Columns of another number or unequal length, and rows of which no allowed action was tried.
    pub fn choose(
        &self,
        features: &[Column<'_>],
        allowed: Option<&[bool]>,
        to_go: usize,
    ) -> Result<Vec<u8>, Error> {
        let rows = features.first().map_or(0, |column| column.values.len());
        let actions = self.permitted.len() / self.choices.rows().max(1);
        let mut matrix = Vec::with_capacity(rows * features.len());
        if let Some(odd) = features.iter().find(|column| column.values.len() != rows) {
            return Err(Error::Length {
                column: odd.name.to_owned(),
                found: odd.values.len(),
                wanted: rows,
            });
        }
        if let Some(found) = allowed
            .map(<[bool]>::len)
            .filter(|found| *found != rows * actions)
        {
            return Err(Error::Length {
                column: "the allowed actions".to_owned(),
                found,
                wanted: rows * actions,
            });
        }
        for row in 0..rows {
            matrix.extend(features.iter().map(|column| column.values[row]));
        }
        let allows =
            |row: usize, action: usize| allowed.is_none_or(|of| of[row * actions + action]);
        let permitted = self.behaviour.permitted(&matrix, rows, &allows);
        let permitted = permitted.map_err(|row| Error::Untried {
            row,
            action: "every allowed action".to_owned(),
        })?;
        let models = &self.models[to_go.clamp(1, self.models.len()) - 1];
        let mut values = vec![vec![0.0; rows * actions]; models.len()];
        for (models, values) in models.iter().zip(&mut values) {
            models.predict(&matrix, features.len(), values);
        }
        fill(&mut values);
        Ok(chosen(&mean(&values), &permitted, actions))
    }
}

/// Where one half has no value, that of the other.
fn fill(values: &mut [Vec<f64>]) {
    if let [a, b] = values {
        for (a, b) in a.iter_mut().zip(b) {
            if a.is_nan() {
                *a = *b;
            } else if b.is_nan() {
                *b = *a;
            }
        }
    }
}

fn mean(values: &[Vec<f64>]) -> Vec<f64> {
    match values {
        [a, b] => a.iter().zip(b).map(|(a, b)| 0.5 * (a + b)).collect(),
        _ => values.concat(),
    }
}

/// Of the permitted actions that with the greatest value, the first of several.
fn best(values: &[f64], permitted: &[bool]) -> usize {
    let mut found: Option<(usize, f64)> = None;
    for (action, (value, permitted)) in values.iter().zip(permitted).enumerate() {
        if *permitted && found.is_none_or(|(_, most)| *value > most) {
            found = Some((action, *value));
        }
    }
    found.map_or(0, |(action, _)| action)
}

fn chosen(values: &[f64], permitted: &[bool], actions: usize) -> Vec<u8> {
    let lines = values
        .chunks_exact(actions)
        .zip(permitted.chunks_exact(actions));
    lines
        .map(|(values, permitted)| best(values, permitted) as u8)
        .collect()
}

fn change(t: &Trajectories<'_>, rows: &[u32], before: &[f64], now: &[f64]) -> Change {
    let (mut change, mut size, mut count) = (0.0, 0.0, 0.0f64);
    for row in rows {
        let row = *row as usize;
        let at = row * t.actions() + t.columns().actions[row] as usize;
        // Of an action that was tried at the last step alone nothing is known with more to go.
        if now[at].is_nan() || before[at].is_nan() {
            continue;
        }
        change += (now[at] - before[at]).abs();
        size += now[at].abs();
        count += 1.0;
    }
    Change {
        change: change / count.max(1.0),
        size: size / count.max(1.0),
    }
}
