//! Conditions on columns, rules of conditions, and what they say of a row.

use std::fmt;

use super::Error;
use crate::tabular::{Frame, Series};

/// A condition on one column.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A number below the cut.
    Below {
        /// Of the column.
        column: String,
        /// Above what is let through.
        cut: f64,
    },
    /// A number of the cut or more.
    AtLeast {
        /// Of the column.
        column: String,
        /// The least that is let through.
        cut: f64,
    },
    /// A text that is one of these.
    OneOf {
        /// Of the column.
        column: String,
        /// Texts, ascending.
        words: Vec<String>,
    },
    /// A text that is there and none of these.
    NoneOf {
        /// Of the column.
        column: String,
        /// Texts, ascending.
        words: Vec<String>,
    },
    /// Any value.
    Known {
        /// Of the column.
        column: String,
    },
    /// No value.
    Missing {
        /// Of the column.
        column: String,
    },
}

impl Condition {
    /// Which column it is on.
    pub fn column(&self) -> &str {
        match self {
            Self::Below { column, .. }
            | Self::AtLeast { column, .. }
            | Self::OneOf { column, .. }
            | Self::NoneOf { column, .. }
            | Self::Known { column }
            | Self::Missing { column } => column,
        }
    }

    /// Whether it is certainly true, by row.
    ///
    /// # Errors
    /// A column that is not there, or of texts where numbers are compared and the other way round.
    pub fn holds(&self, frame: &Frame) -> Result<Vec<bool>, Error> {
        let name = self.column();
        let series = frame.get(name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            known: frame.names().join(", "),
        })?;
        let rows = 0..frame.rows();
        let kind = |found, wanted| Error::Kind {
            name: name.to_owned(),
            found,
            wanted,
        };
        match (self, series) {
            (Self::Below { cut, .. }, Series::Numbers(values)) => {
                Ok(values.iter().map(|x| x < cut).collect())
            }
            (Self::AtLeast { cut, .. }, Series::Numbers(values)) => {
                Ok(values.iter().map(|x| x >= cut).collect())
            }
            (
                Self::OneOf { words, .. } | Self::NoneOf { words, .. },
                Series::Texts { codes, levels },
            ) => {
                let wanted = matches!(self, Self::OneOf { .. });
                let of: Vec<bool> = levels.iter().map(|l| words.contains(l) == wanted).collect();
                Ok(codes
                    .iter()
                    .map(|c| of.get(*c as usize).copied().unwrap_or(false))
                    .collect())
            }
            (Self::Known { .. }, series) => Ok(rows.map(|row| !series.is_missing(row)).collect()),
            (Self::Missing { .. }, series) => Ok(rows.map(|row| series.is_missing(row)).collect()),
            (Self::Below { .. } | Self::AtLeast { .. }, Series::Texts { .. }) => Err(kind(
                "texts",
                "the rule compares numbers; give the column as when it was found",
            )),
            (_, Series::Numbers(_)) => Err(kind(
                "numbers",
                "the rule asks for texts; give the column as when it was found",
            )),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below { column, cut } => write!(f, "{column} < {cut}"),
            Self::AtLeast { column, cut } => write!(f, "{column} >= {cut}"),
            Self::OneOf { column, words } => write!(f, "{column} is {}", words.join(" or ")),
            Self::NoneOf { column, words } => {
                write!(f, "{column} is known, not {}", words.join(", not "))
            }
            Self::Known { column } => write!(f, "{column} is known"),
            Self::Missing { column } => write!(f, "{column} is missing"),
        }
    }
}

/// Conditions that all have to hold, at least one.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    /// The conditions, by column as in the table.
    pub conditions: Vec<Condition>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.conditions.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(" and "))
    }
}

impl Rule {
    /// Whether all conditions certainly hold, by row.
    ///
    /// # Errors
    /// As [`Condition::holds`].
    pub fn holds(&self, frame: &Frame) -> Result<Vec<bool>, Error> {
        let mut all = vec![true; frame.rows()];
        for condition in &self.conditions {
            let own = condition.holds(frame)?;
            all.iter_mut().zip(own).for_each(|(all, own)| *all &= own);
        }
        Ok(all)
    }
}

/// Rules of which one has to hold, at least one; those that add most stand first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Rules {
    /// Conditions of all rules.
    pub fn conditions(&self) -> usize {
        self.rules.iter().map(|rule| rule.conditions.len()).sum()
    }

    /// Whether one of the rules certainly holds, by row.
    ///
    /// # Errors
    /// As [`Condition::holds`].
    pub fn holds(&self, frame: &Frame) -> Result<Vec<bool>, Error> {
        let mut any = vec![false; frame.rows()];
        for rule in &self.rules {
            let own = rule.holds(frame)?;
            any.iter_mut().zip(own).for_each(|(any, own)| *any |= own);
        }
        Ok(any)
    }
}
