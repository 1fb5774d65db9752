//! Fitted Q evaluation (Le, Voloshin and Yue 2019): values of actions under a policy, fitted to some customers and told of others,
//! for each number of steps to go. This room must never tell a customer by values that she was learned from.

use super::fitted::{Base, Group};
use super::{Error, Policy, Regressor, Trajectories};

/// What values are asked of: a row, with steps to go there.
pub(super) type Asked = (u32, usize);

/// Values at what was asked, in its order.
pub(super) struct Told {
    /// Of the logged action.
    pub(super) taken: Vec<f64>,
    /// Of the policy.
    pub(super) expected: Vec<f64>,
}

/// How far and how it is looked ahead.
pub(super) struct Ahead<'a> {
    pub(super) horizon: usize,
    pub(super) discount: f64,
    pub(super) tolerance: f64,
    pub(super) regressor: &'a Regressor,
}

/// Customers' rows, ready to be fitted over and over.
pub(super) struct Learning {
    rows: Vec<u32>,
    all: Group,
    followed: Group,
    /// Rows that follow one of `rows`, and the features there.
    nexts: Vec<u32>,
    matrix: Vec<f64>,
}

impl Learning {
    pub(super) fn new(
        t: &Trajectories<'_>,
        base: &Base<'_>,
        customers: impl Iterator<Item = usize>,
    ) -> Self {
        let mut rows: Vec<u32> = customers.flat_map(|c| t.rows_of(c)).copied().collect();
        rows.sort_unstable();
        let columns = t.columns();
        let group = |keep: &dyn Fn(usize) -> bool| {
            let rows = rows.iter().copied().filter(|row| keep(*row as usize));
            base.group(rows, columns.actions, t.actions())
        };
        let nexts: Vec<u32> = (rows.iter())
            .filter_map(|row| t.next(*row as usize))
            .map(|next| next as u32)
            .collect();
        let width = columns.features.len();
        Self {
            all: group(&|_| true),
            followed: group(&|row| t.is_followed(row)),
            matrix: gather(t.matrix(), width, &nexts),
            nexts,
            rows,
        }
    }
}

fn gather(matrix: &[f64], width: usize, rows: &[u32]) -> Vec<f64> {
    let line = |row: &u32| &matrix[*row as usize * width..(*row as usize + 1) * width];
    rows.iter().flat_map(line).copied().collect()
}

/// Tells the values of `asked`; `weights`, by row, say how much a row counts.
pub(super) fn tell(
    t: &Trajectories<'_>,
    base: &Base<'_>,
    learning: &Learning,
    policy: &dyn Policy,
    ahead: &Ahead<'_>,
    weights: Option<&[f64]>,
    asked: &[Asked],
) -> Result<Told, Error> {
    let columns = t.columns();
    let (actions, width) = (t.actions(), columns.features.len());
    let mut targets = vec![0.0; t.rows()];
    // By row, where it follows one that is learned from.
    let mut expected = vec![0.0; t.rows()];
    let mut told = Told {
        taken: vec![0.0; asked.len()],
        expected: vec![0.0; asked.len()],
    };
    for to_go in 1..=ahead.horizon {
        for row in &learning.rows {
            let row = *row as usize;
            let next = t.next(row).filter(|_| to_go > 1);
            let next = next.map_or(0.0, |next| expected[next]);
            targets[row] = columns.rewards[row] + ahead.discount * next;
        }
        let group = if to_go == 1 {
            &learning.all
        } else {
            &learning.followed
        };
        let models = base.fit(group, ahead.regressor, &targets, weights)?;
        let (mut change, mut size) = (0.0, 0.0);
        if to_go < ahead.horizon {
            let mut values = vec![0.0; learning.nexts.len() * actions];
            models.predict(&learning.matrix, width, &mut values);
            for (row, values) in learning.nexts.iter().zip(values.chunks_exact(actions)) {
                let found = mixed(t, policy, *row, to_go, values)?;
                change += (found - expected[*row as usize]).abs();
                size += found.abs();
                expected[*row as usize] = found;
            }
        }
        let is_settled = to_go > 1 && change <= ahead.tolerance * size;
        let is_last = to_go == ahead.horizon || is_settled;
        let now: Vec<usize> = (0..asked.len())
            .filter(|at| asked[*at].1 == to_go || (is_last && asked[*at].1 > to_go))
            .collect();
        let rows: Vec<u32> = now.iter().map(|at| asked[*at].0).collect();
        let mut values = vec![0.0; rows.len() * actions];
        models.predict(&gather(t.matrix(), width, &rows), width, &mut values);
        for (at, values) in now.into_iter().zip(values.chunks_exact(actions)) {
            let (row, to_go) = asked[at];
            told.expected[at] = mixed(t, policy, row, to_go, values)?;
            let taken = columns.actions[row as usize] as usize;
            // Weights of rows whose action has no value are zero, unless the policy takes it: then the line above refused.
            told.taken[at] = if values[taken].is_nan() {
                0.0
            } else {
                values[taken]
            };
        }
        if is_last {
            break;
        }
    }
    Ok(told)
}

/// The mean of values by the policy's probabilities.
fn mixed(
    t: &Trajectories<'_>,
    policy: &dyn Policy,
    row: u32,
    to_go: usize,
    values: &[f64],
) -> Result<f64, Error> {
    let mut probabilities = [0.0; super::ACTIONS_MAX];
    let probabilities = &mut probabilities[..values.len()];
    policy.probabilities(row as usize, to_go, probabilities);
    let mut sum = 0.0;
    for (action, (probability, value)) in probabilities.iter().zip(values).enumerate() {
        if *probability == 0.0 {
            continue;
        }
        if value.is_nan() {
            return Err(Error::Untried {
                row: row as usize,
                action: t.columns().action_names[action].clone(),
            });
        }
        sum += probability * value;
    }
    Ok(sum)
}
