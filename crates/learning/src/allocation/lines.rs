//! A problem as lines of numbers: what is counted of the customers' choices, and the limits on it. Budgets, caps and floors are alike
//! here: a sum over choices, with a sign, that stays at or below a limit. This room must never see a customer.

use super::rows::{Coefficients, Sums};
use super::{Amounts, Problem};

/// Where an amount stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// In a table of customers and actions.
    Table(usize),
    /// Alike for all customers.
    Action(Vec<f64>),
}

/// A limit.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) source: Source,
    /// 1, or -1 for a floor.
    pub(super) sign: f64,
    /// What the signed sum must not exceed.
    pub(super) limit: f64,
}

/// What a problem counts.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    pub(super) actions: usize,
    pub(super) tables: Vec<&'a [f64]>,
    pub(super) objectives: Vec<(Source, f64)>,
    /// Budgets, then groups, then the floors of those objectives that have one.
    pub(super) limits: Vec<Line>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(problem: &Problem<'a>) -> Self {
        let mut tables: Vec<&'a [f64]> = Vec::new();
        let mut source = |amounts: &Amounts<'a>| match amounts {
            Amounts::Action(values) => Source::Action(values.to_vec()),
            Amounts::Each(values) => {
                tables.push(values);
                Source::Table(tables.len() - 1)
            }
        };
        let mut limits = Vec::new();
        let (mut objectives, mut floors) = (Vec::new(), Vec::new());
        for objective in problem.objectives {
            let source = source(&objective.values);
            if let Some(floor) = objective.floor {
                floors.push(Line {
                    source: source.clone(),
                    sign: -1.0,
                    limit: -floor,
                });
            }
            objectives.push((source, objective.weight));
        }
        for budget in problem.budgets {
            limits.push(Line {
                source: source(&budget.costs),
                sign: 1.0,
                limit: budget.limit,
            });
        }
        for group in problem.groups {
            let mut ones = vec![0.0; problem.actions];
            for action in group.actions {
                ones[*action] = 1.0;
            }
            limits.push(Line {
                source: Source::Action(ones),
                sign: 1.0,
                limit: group.cap as f64,
            });
        }
        limits.extend(floors);
        Self {
            actions: problem.actions,
            tables,
            objectives,
            limits,
        }
    }

    /// What an action is worth at the prices; without the objectives where `valued` is not.
    pub(super) fn coefficients(&self, valued: bool, prices: &[f64]) -> Coefficients {
        let mut found = Coefficients {
            tables: vec![0.0; self.tables.len()],
            actions: vec![0.0; self.actions],
        };
        if valued {
            for (source, weight) in &self.objectives {
                found.add(source, *weight);
            }
        }
        for (line, price) in self.limits.iter().zip(prices) {
            found.add(&line.source, -line.sign * price);
        }
        found
    }

    /// What the choices that were summed are worth.
    pub(super) fn value(&self, sums: &Sums) -> f64 {
        let of = |(source, weight): &(Source, f64)| weight * sums.of(source);
        self.objectives.iter().map(of).sum()
    }

    /// What they take of each limit.
    pub(super) fn usage(&self, sums: &Sums) -> Vec<f64> {
        let of = |line: &Line| line.sign * sums.of(&line.source);
        self.limits.iter().map(of).collect()
    }
}
