//! Features as numbers: a number is itself, a text its place among the texts that were learned from, the most frequent first. What
//! was never seen has a place of its own behind them.

use super::{Frame, MISSING, Series};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most texts of a column that are told apart; rarer ones are as those never seen.
pub const LEVELS_MAX: usize = 65_000;

/// A column that is learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: FeatureKind,
}

/// What a feature's values are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Numbers.
    Number,
    /// Names.
    Category {
        /// Those that were seen, the most frequent first.
        levels: Vec<String>,
    },
}

impl Feature {
    pub(super) fn number(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: FeatureKind::Number,
        }
    }

    /// True for names.
    pub fn is_category(&self) -> bool {
        !self.is_number()
    }

    pub(super) fn is_number(&self) -> bool {
        self.kind == FeatureKind::Number
    }

    /// Texts that were seen; none of a number.
    pub fn levels(&self) -> &[String] {
        match &self.kind {
            FeatureKind::Number => &[],
            FeatureKind::Category { levels } => levels,
        }
    }

    /// The feature of each row: a number, or the place of a level, or the number of levels for a text that was never seen; NaN is
    /// missing. And how many rows had a text that was never seen.
    pub(super) fn values(
        &self,
        series: &Series,
        rows: &[u32],
    ) -> Result<(Vec<f64>, usize), String> {
        let levels = match &self.kind {
            FeatureKind::Number => {
                let Series::Numbers(values) = series else {
                    return Err(
                        "it held numbers when the model was trained, and holds texts now".into(),
                    );
                };
                return Ok((rows.iter().map(|r| values[*r as usize]).collect(), 0));
            }
            FeatureKind::Category { levels } => levels,
        };
        let places: HashMap<&str, usize> = (levels.iter().enumerate())
            .map(|(i, l)| (l.as_str(), i))
            .collect();
        let of = |text: &str| places.get(text).copied().unwrap_or(levels.len());
        let values: Vec<f64> = match series {
            Series::Numbers(values) => (rows.iter())
                .map(|r| match values[*r as usize] {
                    v if v.is_nan() => f64::NAN,
                    v => of(&v.to_string()) as f64,
                })
                .collect(),
            Series::Texts { codes, levels: own } => {
                let place: Vec<f64> = own.iter().map(|l| of(l) as f64).collect();
                (rows.iter())
                    .map(|r| match codes[*r as usize] {
                        MISSING => f64::NAN,
                        code => place[code as usize],
                    })
                    .collect()
            }
        };
        let unseen = values.iter().filter(|v| **v == levels.len() as f64).count();
        Ok((values, unseen))
    }
}

/// A column of texts as a feature; `counts` are rows by level.
pub(super) fn of_texts(name: &str, levels: &[String], counts: &[u64]) -> Feature {
    let found = (levels.iter().cloned()).zip(counts.iter().copied());
    category(name, found.filter(|(_, n)| *n > 0).collect())
}

/// A column of numbers as a feature of names.
pub(super) fn of_numbers(name: &str, values: &[f64], rows: &[u32]) -> Feature {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for row in rows {
        let v = values[*row as usize];
        if !v.is_nan() {
            *counts.entry((v + 0.0).to_bits()).or_default() += 1;
        }
    }
    let found = counts
        .into_iter()
        .map(|(bits, n)| (f64::from_bits(bits).to_string(), n));
    category(name, found.collect())
}

fn category(name: &str, mut found: Vec<(String, u64)>) -> Feature {
    found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(LEVELS_MAX);
    Feature {
        name: name.to_owned(),
        kind: FeatureKind::Category {
            levels: found.into_iter().map(|(level, _)| level).collect(),
        },
    }
}

/// Columns of features, in their order, and rows with a text that was never seen by feature.
pub(super) struct Matrix {
    pub(super) columns: Vec<Vec<f64>>,
    pub(super) unseen: Vec<usize>,
}

impl Matrix {
    pub(super) fn of(
        features: &[Feature],
        frame: &Frame,
        rows: &[u32],
    ) -> Result<Self, super::Error> {
        let mut out = Self {
            columns: Vec::with_capacity(features.len()),
            unseen: Vec::with_capacity(features.len()),
        };
        for feature in features {
            let series = super::roles::column(frame, &feature.name)?;
            let (values, unseen) =
                (feature.values(series, rows)).map_err(|why| super::Error::Column {
                    name: feature.name.clone(),
                    why,
                })?;
            if let Some(at) = values.iter().position(|v| v.is_infinite()) {
                return Err(super::Error::Value {
                    name: feature.name.clone(),
                    row: rows[at] as usize + 1,
                    found: values[at].to_string(),
                    wanted: "numbers are finite; leave the cell empty where the value is not known",
                });
            }
            out.columns.push(values);
            out.unseen.push(unseen);
        }
        Ok(out)
    }

    /// Some of the rows, by their places.
    pub(super) fn take(&self, rows: &[u32]) -> Vec<Vec<f64>> {
        let of = |column: &Vec<f64>| rows.iter().map(|r| column[*r as usize]).collect();
        self.columns.iter().map(of).collect()
    }
}
