//! Logged trajectories as columns, checked once. Rows may come in any order; a customer's are put in that of her steps. This room
//! must never fill a gap, nor take the end of the logs for the end of a customer.

use std::collections::BTreeMap;

use super::error::setting;
use super::{ACTIONS_MAX, Error};
use crate::gbdt::{Column, Kind};

/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// Logged steps, one a row, not checked yet.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// Whose step it is.
    pub customers: &'a [String],
    /// Its number by one clock for all customers, such as a week's: a customer's follow each other from whichever is her first, and
    /// the logs of all end at the same.
    pub steps: &'a [i64],
    /// What was known then: numbers or categories, NaN where one is missing.
    pub features: &'a [Column<'a>],
    /// Action taken, `0..action_names.len()`.
    pub actions: &'a [u32],
    /// Names of the actions, 2 to [`ACTIONS_MAX`].
    pub action_names: &'a [String],
    /// Probability with which the action was taken, in (0, 1].
    pub propensities: &'a [f64],
    /// What came of it until the next step.
    pub rewards: &'a [f64],
    /// Which actions could be taken, rows x actions; all where there is nothing.
    pub allowed: Option<&'a [bool]>,
    /// True where nothing can come behind the row: she left, unsubscribed, paid back. Without it no customer ends.
    pub ends: Option<&'a [bool]>,
}

/// Trajectories that can be learned from.
#[derive(Debug, Clone)]
pub struct Trajectories<'a> {
    columns: Columns<'a>,
    /// Rows by customer and step.
    order: Vec<u32>,
    /// Where each customer's rows begin in `order`, and the end.
    starts: Vec<usize>,
    /// The row of her next step, by row; [`NONE`] behind the last.
    next: Vec<u32>,
    /// Features, rows x columns.
    matrix: Vec<f64>,
    /// The last step of all, where it is the logs that end there and not every customer.
    cut_at: Option<i64>,
}

impl<'a> Trajectories<'a> {
    /// Checks columns and puts customers' rows in order.
    ///
    /// # Errors
    /// [`Error`]: no rows, columns of different length, numbers that are infinite, a propensity that is missing, zero or above one,
    /// an action that is unknown or was not allowed, one action only, a customer with a step twice, with a gap between steps or
    /// with rows behind her end. The first such row or customer is named.
    pub fn new(columns: Columns<'a>) -> Result<Self, Error> {
        check(&columns)?;
        let rows = columns.customers.len();
        let mut places: BTreeMap<&str, u32> = BTreeMap::new();
        let mut of_row = Vec::with_capacity(rows);
        for customer in columns.customers {
            let next = places.len() as u32;
            of_row.push(*places.entry(customer).or_insert(next));
        }
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.sort_by_key(|row| (of_row[*row as usize], columns.steps[*row as usize]));
        let mut starts = vec![0];
        let mut next = vec![NONE; rows];
        for place in 1..rows {
            let (a, b) = (order[place - 1] as usize, order[place] as usize);
            if of_row[a] != of_row[b] {
                starts.push(place);
                continue;
            }
            let (before, after) = (columns.steps[a], columns.steps[b]);
            let customer = || columns.customers[a].clone();
            if before == after {
                return Err(Error::Duplicate {
                    customer: customer(),
                    step: before,
                });
            }
            if columns.ends.is_some_and(|ends| ends[a]) {
                return Err(Error::AfterEnd {
                    customer: customer(),
                    step: before,
                });
            }
            if before.checked_add(1) != Some(after) {
                return Err(Error::Gap {
                    customer: customer(),
                    before,
                    after,
                });
            }
            next[a] = b as u32;
        }
        starts.push(rows);
        let mut matrix = Vec::with_capacity(rows * columns.features.len());
        for row in 0..rows {
            matrix.extend(columns.features.iter().map(|column| column.values[row]));
        }
        let last = columns.steps.iter().copied().max();
        let is_cut = (0..rows).any(|row| {
            Some(columns.steps[row]) == last && !columns.ends.is_some_and(|ends| ends[row])
        });
        Ok(Self {
            cut_at: last.filter(|_| is_cut),
            columns,
            order,
            starts,
            next,
            matrix,
        })
    }

    /// Number of rows, at least one.
    pub fn rows(&self) -> usize {
        self.order.len()
    }

    /// Number of customers.
    pub fn customers(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of actions.
    pub fn actions(&self) -> usize {
        self.columns.action_names.len()
    }

    /// The columns that were checked.
    pub fn columns(&self) -> &Columns<'a> {
        &self.columns
    }

    /// Rows of a customer, in order of her steps. Customers are counted in the order of their first rows.
    ///
    /// # Panics
    /// When there is no such customer.
    pub fn rows_of(&self, customer: usize) -> &[u32] {
        &self.order[self.starts[customer]..self.starts[customer + 1]]
    }

    /// Customers of whom the logs could tell so many steps: whose first is that many before the end of all logs. Whoever came later
    /// can be learned from, not judged by: of these only the ones who left would be known to the end.
    pub fn seen_for(&self, horizon: usize) -> Vec<u32> {
        let steps = self.columns.steps;
        let last = steps.iter().copied().max().unwrap_or(0);
        let is_seen = |customer: &u32| {
            let first = steps[self.rows_of(*customer as usize)[0] as usize];
            last.abs_diff(first) >= horizon.saturating_sub(1) as u64
        };
        (0..self.customers() as u32).filter(is_seen).collect()
    }

    /// Most steps that a customer has.
    pub fn steps_most(&self) -> usize {
        (0..self.customers())
            .map(|customer| self.rows_of(customer).len())
            .max()
            .unwrap_or(0)
    }

    /// True where `action` could be taken.
    pub fn allows(&self, row: usize, action: usize) -> bool {
        (self.columns.allowed).is_none_or(|allowed| allowed[row * self.actions() + action])
    }

    pub(super) fn matrix(&self) -> &[f64] {
        &self.matrix
    }

    /// The row of the next step, where there is one.
    pub(super) fn next(&self, row: usize) -> Option<usize> {
        Some(self.next[row])
            .filter(|next| *next != NONE)
            .map(|next| next as usize)
    }

    pub(super) fn ends(&self, row: usize) -> bool {
        self.columns.ends.is_some_and(|ends| ends[row])
    }

    /// True where it is known what came behind the row, another step or nothing, and would be known either way: at the step at
    /// which the logs end, those who ended there would stand for all.
    pub(super) fn is_followed(&self, row: usize) -> bool {
        let is_cut = self.cut_at == Some(self.columns.steps[row]);
        self.next[row] != NONE || (self.ends(row) && !is_cut)
    }

    /// The first `horizon` rows of a customer.
    ///
    /// # Errors
    /// [`Error::Cut`] where there are fewer and the last is not her end.
    pub(super) fn within(&self, customer: usize, horizon: usize) -> Result<&[u32], Error> {
        let rows = self.rows_of(customer);
        let last = rows[rows.len() - 1] as usize;
        if rows.len() < horizon && !self.ends(last) {
            return Err(Error::Cut {
                customer: self.columns.customers[last].clone(),
                found: rows.len(),
                wanted: horizon,
            });
        }
        Ok(&rows[..rows.len().min(horizon)])
    }
}

fn check(columns: &Columns<'_>) -> Result<(), Error> {
    let rows = columns.customers.len();
    if rows == 0 {
        return Err(Error::Empty);
    }
    if rows >= NONE as usize {
        return Err(setting(
            "the number of rows",
            rows as f64,
            "fewer than 2^32 - 1",
        ));
    }
    let actions = columns.action_names.len();
    if !(1..=ACTIONS_MAX).contains(&actions) {
        return Err(setting("the number of actions", actions as f64, "2 to 255"));
    }
    if columns.features.is_empty() {
        return Err(setting("the number of features", 0.0, "at least one"));
    }
    let lengths = [
        ("the steps", Some(columns.steps.len()), rows),
        ("the actions", Some(columns.actions.len()), rows),
        ("the propensities", Some(columns.propensities.len()), rows),
        ("the rewards", Some(columns.rewards.len()), rows),
        (
            "the allowed actions",
            columns.allowed.map(<[bool]>::len),
            rows * actions,
        ),
        ("the ends", columns.ends.map(<[bool]>::len), rows),
    ];
    let features = columns
        .features
        .iter()
        .map(|column| (column.name, Some(column.values.len()), rows));
    for (column, found, wanted) in lengths.into_iter().chain(features) {
        if let Some(found) = found.filter(|found| *found != wanted) {
            return Err(Error::Length {
                column: column.to_owned(),
                found,
                wanted,
            });
        }
    }
    for (row, action) in columns.actions.iter().enumerate() {
        let at = *action as usize;
        if at >= actions {
            return Err(Error::Action {
                row,
                found: *action,
                count: actions,
            });
        }
        if columns
            .allowed
            .is_some_and(|allowed| !allowed[row * actions + at])
        {
            return Err(Error::NotAllowed {
                row,
                action: columns.action_names[at].clone(),
            });
        }
    }
    for (row, found) in columns.propensities.iter().enumerate() {
        if !(*found > 0.0 && *found <= 1.0) {
            return Err(Error::Propensity { row, found: *found });
        }
    }
    let fits = |column: &str, values: &[f64], wanted, fits: &dyn Fn(f64) -> bool| match values
        .iter()
        .position(|value| !fits(*value))
    {
        None => Ok(()),
        Some(row) => Err(Error::Value {
            column: column.to_owned(),
            row,
            found: values[row],
            wanted,
        }),
    };
    let wanted = "a finite number is wanted";
    fits("the reward", columns.rewards, wanted, &f64::is_finite)?;
    for column in columns.features {
        match column.kind {
            Kind::Number => {
                let wanted = "a finite number is wanted, NaN where one is missing";
                fits(column.name, column.values, wanted, &|x| !x.is_infinite())?;
            }
            Kind::Category => {
                let wanted =
                    "whole numbers from 0 below 65536 are wanted, NaN where one is missing";
                fits(column.name, column.values, wanted, &|x| {
                    x.is_nan() || ((0.0..65_536.0).contains(&x) && x.fract() == 0.0)
                })?;
            }
        }
    }
    let first = columns.actions[0];
    if columns.actions.iter().all(|action| *action == first) {
        return Err(Error::OneAction {
            action: columns.action_names[first as usize].clone(),
        });
    }
    Ok(())
}
