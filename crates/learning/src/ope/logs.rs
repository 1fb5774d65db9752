//! Logged decisions as columns, and tables of a number for each action. Everything from outside is checked here, once.

use super::{ACTIONS_MAX, Error, ROWS_MAX};

/// Logged decisions, one a row, not checked yet.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// Action taken, `0..action_count`.
    pub actions: &'a [u32],
    /// How many actions there are.
    pub action_count: usize,
    /// Reward seen.
    pub rewards: &'a [f64],
    /// Probability with which the logging policy took the action, in (0, 1].
    pub propensities: &'a [f64],
    /// How much a row counts, zero or more; 1 each where there are none. Means are weighted means then.
    pub weights: Option<&'a [f64]>,
}

/// Logged decisions that can be evaluated: columns of equal length, finite rewards, propensities in (0, 1].
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a> {
    columns: Columns<'a>,
}

impl<'a> Logs<'a> {
    /// Checks columns.
    ///
    /// # Errors
    /// No rows, columns of different length, an action out of range, a reward or weight that is not finite, a propensity that
    /// is missing, zero or above one: the first such row is named.
    pub fn new(columns: Columns<'a>) -> Result<Self, Error> {
        let rows = columns.actions.len();
        if rows == 0 {
            return Err(Error::Empty);
        }
        let sizes = [
            (rows, ROWS_MAX, "rows"),
            (columns.action_count, ACTIONS_MAX, "action_count"),
        ];
        for (found, most, what) in sizes {
            if found == 0 || found > most {
                return Err(Error::Setting {
                    what,
                    found: found as f64,
                    wanted: "1 to 2^31 rows of 1 to 1,000,000 actions",
                });
            }
        }
        length("rewards", columns.rewards, rows)?;
        length("propensities", columns.propensities, rows)?;
        indexes("action", columns.actions, columns.action_count)?;
        finite("reward", columns.rewards)?;
        let wrong = |found: &f64| !(*found > 0.0 && *found <= 1.0);
        if let Some(row) = columns.propensities.iter().position(wrong) {
            let found = columns.propensities[row];
            return Err(Error::Propensity { row, found });
        }
        if let Some(weights) = columns.weights {
            weighted(weights, rows)?;
        }
        Ok(Self { columns })
    }

    /// Number of rows, at least one.
    pub fn rows(&self) -> usize {
        self.columns.actions.len()
    }

    /// The columns that were checked.
    pub fn columns(&self) -> &Columns<'a> {
        &self.columns
    }
}

/// Checks weights of rows: as many, finite, not below zero, not all zero.
pub(super) fn weighted(weights: &[f64], rows: usize) -> Result<(), Error> {
    length("weights", weights, rows)?;
    finite("weight", weights)?;
    let column = "weight";
    if let Some(row) = weights.iter().position(|found| *found < 0.0) {
        let found = weights[row];
        return Err(Error::Value { column, row, found });
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(Error::Setting {
            what: "the sum of the rows' weights",
            found: 0.0,
            wanted: "a weight above zero for some row",
        });
    }
    Ok(())
}

pub(super) fn length(column: &'static str, values: &[f64], wanted: usize) -> Result<(), Error> {
    let found = values.len();
    if found == wanted {
        return Ok(());
    }
    Err(Error::Length {
        column,
        found,
        wanted,
    })
}

/// Place of the first wrong value. Values are looked at many at a time, since as a rule none is.
pub(super) fn first(values: &[f64], wrong: impl Fn(f64) -> bool) -> Option<usize> {
    let many = 64;
    let any = |chunk: &[f64]| chunk.iter().fold(false, |any, value| any | wrong(*value));
    let at = values.chunks(many).position(any)? * many;
    let within = values[at..].iter().position(|value| wrong(*value))?;
    Some(at + within)
}

pub(super) fn finite(column: &'static str, values: &[f64]) -> Result<(), Error> {
    match first(values, |found| !found.is_finite()) {
        None => Ok(()),
        Some(row) => Err(Error::Value {
            column,
            row,
            found: values[row],
        }),
    }
}

pub(super) fn indexes(column: &'static str, values: &[u32], count: usize) -> Result<(), Error> {
    match values.iter().position(|found| *found as usize >= count) {
        None => Ok(()),
        Some(row) => Err(Error::Index {
            column,
            row,
            found: values[row],
            count,
        }),
    }
}

/// A number for each action, for each row of the log: its own line, or one that it shares with other rows by context, by
/// position or by both. Lines lie one after the other; with positions, those of a context lie together.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    values: &'a [f64],
    actions: usize,
    contexts: Option<&'a [u32]>,
    positions: Option<(&'a [u32], usize)>,
}

impl<'a> Table<'a> {
    /// A line of its own for every row: `values` is rows x actions.
    pub fn each(values: &'a [f64], actions: usize) -> Self {
        Self {
            values,
            actions,
            contexts: None,
            positions: None,
        }
    }

    /// Lines by context: `values` is contexts x actions, `contexts` the one of each row.
    pub fn by_context(values: &'a [f64], actions: usize, contexts: &'a [u32]) -> Self {
        Self {
            contexts: Some(contexts),
            ..Self::each(values, actions)
        }
    }

    /// The same with a line for each of `count` positions: values are rows (or contexts) x positions x actions, and
    /// `positions` is where each row's action stood.
    #[must_use]
    pub fn at_positions(self, positions: &'a [u32], count: usize) -> Self {
        Self {
            positions: Some((positions, count)),
            ..self
        }
    }

    /// Lines that there are.
    pub(super) fn lines(&self) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        self.values.chunks_exact(self.actions.max(1))
    }

    /// The line of row `row`.
    pub(super) fn line_of(&self, row: usize) -> usize {
        let context = self.contexts.map_or(row, |of| of[row] as usize);
        match self.positions {
            None => context,
            Some((of, count)) => context * count + of[row] as usize,
        }
    }

    /// The numbers of row `row`.
    pub(super) fn row(&self, row: usize) -> &'a [f64] {
        let line = self.line_of(row);
        &self.values[line * self.actions..(line + 1) * self.actions]
    }

    /// Checks that every row has a line of finite numbers.
    pub(super) fn check(&self, what: &'static str, logs: &Logs<'_>) -> Result<(), Error> {
        let (rows, actions) = (logs.rows(), logs.columns().action_count);
        if self.actions != actions {
            return Err(Error::Length {
                column: what,
                found: self.actions,
                wanted: actions,
            });
        }
        let positions = self.positions.map_or(1, |(_, count)| count);
        let width = actions.saturating_mul(positions);
        for indexes in [self.contexts, self.positions.map(|(of, _)| of)] {
            if let Some(found) = indexes.map(<[u32]>::len).filter(|found| *found != rows) {
                return Err(Error::Length {
                    column: "contexts or positions",
                    found,
                    wanted: rows,
                });
            }
        }
        match self.contexts {
            None => length(what, self.values, rows.saturating_mul(width))?,
            Some(contexts) => {
                let found = self.values.len();
                if width == 0 || !found.is_multiple_of(width) {
                    return Err(Error::Length {
                        column: what,
                        found,
                        wanted: width,
                    });
                }
                indexes("context", contexts, found / width)?;
            }
        }
        if let Some((of, count)) = self.positions {
            indexes("position", of, count)?;
        }
        match first(self.values, |found| !found.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Error::Value {
                column: what,
                row: at / actions,
                found: self.values[at],
            }),
        }
    }
}

/// What a policy could choose at each row where rows differ in it: entries `offsets[row]..offsets[row + 1]` belong to a row, their
/// actions strictly ascending. Actions that are not listed have probability zero.
#[derive(Debug, Clone, Copy)]
pub struct Ragged<'a> {
    /// rows + 1 ends, from 0.
    pub offsets: &'a [usize],
    /// Action of each entry.
    pub actions: &'a [u32],
    /// The policy's probability of each entry.
    pub probabilities: &'a [f64],
    /// Predicted reward of each entry; the action that was taken must be listed then.
    pub predictions: Option<&'a [f64]>,
}

/// Checks that `offsets` divide `entries` into `rows` parts.
pub(super) fn offsets(offsets: &[usize], rows: usize, entries: usize) -> Result<(), Error> {
    let wrong = |found, wanted| Error::Length {
        column: "offsets",
        found,
        wanted,
    };
    if offsets.len() != rows + 1 {
        return Err(wrong(offsets.len(), rows + 1));
    }
    if offsets[0] != 0 || offsets.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(Error::Setting {
            what: "offsets",
            found: offsets[0] as f64,
            wanted: "ends that begin at 0 and never fall",
        });
    }
    if offsets[rows] != entries {
        return Err(wrong(offsets[rows], entries));
    }
    Ok(())
}
