//! Allocation: laws that hold of every problem, HiGHS's own figures, and what is refused.

mod laws;
mod reference;
mod refused;

use luopan_kernel::random::Random;
use luopan_learning::allocation::{Allocation, Amounts, Budget, Group, Objective, Problem};

/// A problem that owns its tables.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(crate) customers: usize,
    pub(crate) actions: usize,
    pub(crate) values: Vec<Vec<f64>>,
    pub(crate) weights: Vec<f64>,
    pub(crate) floors: Vec<Option<f64>>,
    pub(crate) costs: Vec<Vec<f64>>,
    pub(crate) limits: Vec<f64>,
    pub(crate) groups: Vec<(Vec<usize>, u64)>,
    pub(crate) eligible: Option<Vec<bool>>,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn amounts(table: &[f64], actions: usize) -> Amounts<'_> {
    if table.len() == actions {
        Amounts::Action(table)
    } else {
        Amounts::Each(table)
    }
}

impl Owned {
    /// Values, two budgets, one of them by action alone, and a cap; limits take a share of what is wanted.
    pub(crate) fn planted(seed: u64, customers: usize, actions: usize, share: f64) -> Self {
        let mut random = Random::new(seed);
        let cells = customers * actions;
        let values: Vec<f64> = (0..cells).map(|_| random.uniform() * 10.0 - 1.0).collect();
        let costs: Vec<f64> = (0..cells).map(|_| random.uniform() * 5.0).collect();
        let by_action: Vec<f64> = (0..actions).map(|at| (at % 3) as f64).collect();
        let count = customers as f64;
        Self {
            customers,
            actions,
            values: vec![values],
            weights: vec![1.0],
            floors: vec![None],
            costs: vec![costs, by_action],
            limits: vec![share * count, share * count * 0.7],
            groups: vec![(vec![actions / 2], (share * count * 0.2) as u64)],
            eligible: None,
        }
    }

    pub(crate) fn with<T>(&self, then: impl FnOnce(&Problem<'_>) -> T) -> T {
        let objectives: Vec<Objective<'_>> = (self.values.iter().enumerate())
            .map(|(at, values)| Objective {
                name: NAMES[at],
                values: amounts(values, self.actions),
                weight: self.weights[at],
                floor: self.floors[at],
            })
            .collect();
        let budgets: Vec<Budget<'_>> = (self.costs.iter().zip(&self.limits).enumerate())
            .map(|(at, (costs, limit))| Budget {
                name: NAMES[at],
                costs: amounts(costs, self.actions),
                limit: *limit,
            })
            .collect();
        let groups: Vec<Group<'_>> = (self.groups.iter().enumerate())
            .map(|(at, (actions, cap))| Group {
                name: NAMES[at],
                actions,
                cap: *cap,
            })
            .collect();
        then(&Problem {
            customers: self.customers,
            actions: self.actions,
            objectives: &objectives,
            budgets: &budgets,
            groups: &groups,
            eligible: self.eligible.as_deref(),
        })
    }

    /// An amount of a table for a customer's action.
    fn amount(&self, table: &[f64], customer: usize, action: usize) -> f64 {
        match amounts(table, self.actions) {
            Amounts::Action(values) => values[action],
            Amounts::Each(values) => values[customer * self.actions + action],
        }
    }

    /// What choices add up to of a table.
    pub(crate) fn sum(&self, table: &[f64], choices: &[Option<usize>]) -> f64 {
        let each = choices.iter().enumerate();
        each.map(|(row, choice)| choice.map_or(0.0, |action| self.amount(table, row, action)))
            .sum()
    }

    /// What choices are worth; none where they break a limit.
    pub(crate) fn judge(&self, choices: &[Option<usize>]) -> Option<f64> {
        let within = (self.costs.iter().zip(&self.limits))
            .all(|(costs, limit)| self.sum(costs, choices) <= *limit);
        let capped = self.groups.iter().all(|(actions, cap)| {
            let counted = choices
                .iter()
                .flatten()
                .filter(|action| actions.contains(action));
            counted.count() as u64 <= *cap
        });
        let floored = (self.values.iter().zip(&self.floors))
            .all(|(values, floor)| floor.is_none_or(|floor| self.sum(values, choices) >= floor));
        let may = (choices.iter().enumerate()).all(|(row, choice)| {
            let cells = self.eligible.as_ref().zip(*choice);
            cells.is_none_or(|(cells, action)| cells[row * self.actions + action])
        });
        (within && capped && floored && may).then(|| {
            let each = self.values.iter().zip(&self.weights);
            each.map(|(values, weight)| weight * self.sum(values, choices))
                .sum()
        })
    }

    /// The figures of an allocation are those that its choices have, and it keeps every limit.
    pub(crate) fn verify(&self, found: &Allocation) {
        let choices: Vec<Option<usize>> = found
            .choices
            .iter()
            .map(|choice| choice.map(usize::from))
            .collect();
        assert_eq!(choices.len(), self.customers);
        let value = self.judge(&choices).expect("limits that are kept");
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
        assert!(near(value, found.value), "{value} {}", found.value);
        for (costs, spent) in self.costs.iter().zip(&found.spent) {
            assert!(near(self.sum(costs, &choices), *spent));
        }
        for (values, told) in self.values.iter().zip(&found.objectives) {
            assert!(near(self.sum(values, &choices), *told));
        }
        assert!(found.value <= found.bound + 1e-9 * found.bound.abs().max(1.0));
        assert!(found.relaxed <= found.bound + 1e-9 * found.bound.abs().max(1.0));
    }
}
