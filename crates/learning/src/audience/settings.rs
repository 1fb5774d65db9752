//! What may be sought and in what, and who is picked and held out.

use std::collections::{BTreeMap, BTreeSet};

use luopan_kernel::id::hash64;

use super::{CONDITIONS_MAX, Error, RULES_MAX};
use crate::columns;
use crate::tabular::{Frame, Series};

/// What the numbers of a column are, so that cuts are such as can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Numbers, whole or not.
    Number,
    /// 0 and 1.
    Boolean,
    /// Microseconds, cut at whole seconds or longer.
    Duration,
    /// Whole minor units of a currency, of an ISO 4217 code.
    Money(String),
}

/// How rules are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One rule after the other, none looked at again (sequential covering).
    Covering,
    /// And then each again given the others, until nothing gets better.
    Revised,
}

/// Limits and ways of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Most rules, 1 to [`RULES_MAX`].
    pub rules_max: usize,
    /// Most conditions of a rule, 1 to [`CONDITIONS_MAX`].
    pub conditions_max: usize,
    /// Least share of a rule's rows that are in the audience, 0 to 1.
    pub purity_least: f64,
    /// Least share of all rows that a rule holds, 0 to 1.
    pub support_least: f64,
    /// What a row counts that is described and not in the audience, beside 1 of one that is: 1 seeks agreement, more seeks purity, less seeks
    /// coverage; above zero.
    pub mistake_cost: f64,
    /// What a condition has to add to be worth reading, as a share of the audience, 0 to 1.
    pub condition_cost: f64,
    /// Most words of one condition on texts, 1 or more.
    pub words_max: usize,
    /// Most cuts of a column that are looked at first, 1 to 1,000; all are looked at where a rule is revised.
    pub cuts_max: usize,
    /// Rules that are kept while one is sought, 1 to 10,000.
    pub beam: usize,
    /// How rules are sought.
    pub method: Method,
    /// Columns that no rule may use.
    pub exclude: BTreeSet<String>,
    /// Of columns that are more than numbers; others are [`Kind::Number`].
    pub kinds: BTreeMap<String, Kind>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rules_max: 5,
            conditions_max: 3,
            purity_least: 0.0,
            support_least: 0.001,
            mistake_cost: 1.0,
            condition_cost: 0.002,
            words_max: 6,
            cuts_max: 32,
            beam: 100,
            method: Method::Revised,
            exclude: BTreeSet::new(),
            kinds: BTreeMap::new(),
        }
    }
}

fn setting(what: &'static str, found: f64, holds: bool, wanted: &'static str) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(columns::Error::Setting {
        what,
        found,
        wanted,
    }
    .into())
}

impl Settings {
    /// Checks the settings and the columns that are left.
    pub(super) fn check(&self, frame: &Frame) -> Result<(), Error> {
        let whole = |what, found: usize, most: usize, wanted| {
            setting(what, found as f64, (1..=most).contains(&found), wanted)
        };
        whole("number of rules", self.rules_max, RULES_MAX, "1 to 50")?;
        whole(
            "number of conditions",
            self.conditions_max,
            CONDITIONS_MAX,
            "1 to 10",
        )?;
        whole("number of words", self.words_max, 1_000, "1 to 1,000")?;
        whole("number of cuts", self.cuts_max, 1_000, "1 to 1,000")?;
        whole("beam", self.beam, 10_000, "1 to 10,000")?;
        for (what, found) in [
            ("least purity", self.purity_least),
            ("least support", self.support_least),
            ("cost of a condition", self.condition_cost),
        ] {
            setting(
                what,
                found,
                (0.0..=1.0).contains(&found),
                "a share from 0 to 1",
            )?;
        }
        let cost = self.mistake_cost;
        setting(
            "cost of a mistake",
            cost,
            cost > 0.0 && cost.is_finite(),
            "a finite number above zero",
        )?;
        for name in self.exclude.iter().chain(self.kinds.keys()) {
            if frame.get(name).is_none() {
                return Err(Error::Unknown {
                    name: name.clone(),
                    known: frame.names().join(", "),
                });
            }
        }
        for (name, column) in frame
            .columns()
            .filter(|(name, _)| !self.exclude.contains(*name))
        {
            let kind = self.kinds.get(name);
            let Series::Numbers(values) = column else {
                if kind.is_some() {
                    return Err(Error::Kind {
                        name: name.to_owned(),
                        found: "texts",
                        wanted: "kinds are of numbers; leave it without one",
                    });
                }
                continue;
            };
            let right = |x: &f64| match kind {
                Some(Kind::Boolean) => x.is_nan() || *x == 0.0 || *x == 1.0,
                Some(Kind::Duration | Kind::Money(_)) => {
                    x.is_nan() || libm::trunc(*x) == *x && x.abs() < 9e15
                }
                _ => !x.is_infinite(),
            };
            if let Some(row) = values.iter().position(|x| !right(x)) {
                return Err(columns::Error::Value {
                    column: name.to_owned(),
                    row,
                    found: values[row],
                    wanted: match kind {
                        Some(Kind::Boolean) => "0 or 1, or nothing where it is missing",
                        Some(Kind::Duration) => "whole microseconds below 9e15",
                        Some(Kind::Money(_)) => "whole minor units below 9e15",
                        _ => "a finite number, or nothing where it is missing",
                    },
                }
                .into());
            }
        }
        if frame.names().iter().all(|name| self.exclude.contains(name)) {
            return Err(Error::NoColumns);
        }
        Ok(())
    }

    pub(super) fn kind(&self, name: &str) -> &Kind {
        self.kinds.get(name).unwrap_or(&Kind::Number)
    }
}

/// Who is in the audience of a score: rows that score at least `cut`.
///
/// # Errors
/// A score that is no number, a cut that is not finite.
pub fn picked(scores: &[f64], cut: f64) -> Result<Vec<bool>, Error> {
    setting("cut", cut, cut.is_finite(), "a finite number")?;
    if let Some(row) = scores.iter().position(|score| score.is_nan()) {
        return Err(columns::Error::Value {
            column: "score".to_owned(),
            row,
            found: scores[row],
            wanted: "a number",
        }
        .into());
    }
    Ok(scores.iter().map(|score| *score >= cut).collect())
}

/// Which rows are held out: about `share` of them, by a hash of each row's key and the seed, so that another order of rows holds out the same
/// and rows of one key go together. Keys are customers, or [`Frame::row_hashes`].
///
/// # Errors
/// A share outside (0, 1).
pub fn held_out(keys: &[u64], share: f64, seed: u64) -> Result<Vec<bool>, Error> {
    setting(
        "share held out",
        share,
        share > 0.0 && share < 1.0,
        "a share between 0 and 1, such as 0.3",
    )?;
    let of = |key: &u64| {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&key.to_le_bytes());
        bytes[8..].copy_from_slice(&seed.to_le_bytes());
        (hash64(&bytes) >> 11) as f64 / 9_007_199_254_740_992.0 < share
    };
    Ok(keys.iter().map(of).collect())
}
