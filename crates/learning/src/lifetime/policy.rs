//! What a policy would do at each logged row. This room must never know what came of it.

use super::error::setting;
use super::{Error, Trajectories};

/// A policy, told at logged rows.
pub trait Policy {
    /// Probabilities of all actions at `row` with `to_go` steps to go, this one included, into `out`: from 0 to 1, adding up to 1,
    /// none for actions that are not allowed.
    fn probabilities(&self, row: usize, to_go: usize, out: &mut [f64]);
}

/// One action at each row, by steps to go.
#[derive(Debug, Clone, PartialEq)]
pub struct Choices(Vec<Vec<u8>>);

impl Choices {
    /// By steps to go, from one; with more to go than there are, the last.
    pub(super) fn new(by_steps_to_go: Vec<Vec<u8>>) -> Self {
        Self(by_steps_to_go)
    }

    /// The action at a row with so many steps to go.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn at(&self, row: usize, to_go: usize) -> usize {
        usize::from(self.0[to_go.clamp(1, self.0.len()) - 1][row])
    }

    pub(super) fn rows(&self) -> usize {
        self.0[0].len()
    }
}

impl Policy for Choices {
    fn probabilities(&self, row: usize, to_go: usize, out: &mut [f64]) {
        out.fill(0.0);
        out[self.at(row, to_go)] = 1.0;
    }
}

/// Always the same action; where it is not allowed, the first that is.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed(Vec<u8>);

impl Fixed {
    /// Always `action`.
    ///
    /// # Errors
    /// There is no such action, or a row without any that is allowed.
    pub fn new(t: &Trajectories<'_>, action: usize) -> Result<Self, Error> {
        if action >= t.actions() {
            return Err(setting(
                "the action",
                action as f64,
                "one of the actions, counted from 0",
            ));
        }
        let of = |row: usize| {
            let mut candidates = core::iter::once(action).chain(0..t.actions());
            candidates
                .find(|action| t.allows(row, *action))
                .unwrap_or(action) as u8
        };
        Ok(Self((0..t.rows()).map(of).collect()))
    }
}

impl Policy for Fixed {
    fn probabilities(&self, row: usize, _: usize, out: &mut [f64]) {
        out.fill(0.0);
        out[usize::from(self.0[row])] = 1.0;
    }
}

/// Probabilities that are the same however many steps there are to go: rows x actions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares<'a>(pub &'a [f64]);

impl Policy for Shares<'_> {
    fn probabilities(&self, row: usize, _: usize, out: &mut [f64]) {
        out.copy_from_slice(&self.0[row * out.len()..(row + 1) * out.len()]);
    }
}
