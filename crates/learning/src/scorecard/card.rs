//! A logistic model of weights of evidence, and the points that it gives to bins.

use super::{Binning, Error, Limits};
use crate::columns;
use crate::glm::{self, Column, Design, Family, Observations};

/// A column that a card may use.
#[derive(Debug, Clone, Copy)]
pub enum Variable<'a> {
    /// Numbers; what is not a number is missing.
    Numeric {
        /// Its name.
        name: &'a str,
        /// A value a row.
        values: &'a [f64],
        /// Numbers that are codes and not amounts, such as -999: each has a bin of its own.
        specials: &'a [f64],
        /// How it is cut.
        limits: Limits,
    },
    /// Categories.
    Categorical {
        /// Its name.
        name: &'a str,
        /// The level of each row, `0..levels`.
        codes: &'a [u32],
        /// How many levels there are.
        levels: usize,
        /// How they are grouped.
        limits: Limits,
    },
}

/// What points mean: `points` at odds of `odds` non-events to an event, and `double` more wherever the odds double.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Points at the base odds.
    pub points: f64,
    /// Base odds, non-events to an event, above zero.
    pub odds: f64,
    /// Points that double the odds, above zero.
    pub double: f64,
}

/// How a card is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Columns with less information value are left out.
    pub information_least: f64,
    /// Columns with more are flagged.
    pub information_most: f64,
    /// Weight of an L2 penalty on the model of weights of evidence, zero or more.
    pub alpha: f64,
    /// What points mean.
    pub score: Score,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            information_least: 0.02,
            information_most: 0.5,
            alpha: 0.0,
            score: Score {
                points: 600.0,
                odds: 50.0,
                double: 20.0,
            },
        }
    }
}

/// What should be known of a card.
#[derive(Debug, Clone, PartialEq)]
pub enum Flag {
    /// Left out: it says too little alone.
    Weak {
        /// Name of the column.
        column: String,
        /// Its information value.
        information: f64,
    },
    /// Left out: it alone tells all outcomes apart, which is likely a leak.
    Separated {
        /// Name of the column.
        column: String,
    },
    /// Too good to be true: likely a leak.
    Suspicious {
        /// Name of the column.
        column: String,
        /// Its information value.
        information: f64,
    },
    /// Its points go against its bins: others in the card already say what it says.
    Reversed {
        /// Name of the column.
        column: String,
        /// Its coefficient, which would be below zero.
        coefficient: f64,
    },
    /// Of the logistic model.
    Model(glm::Flag),
}

/// A column of a card.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Attribute {
    /// Name of the column.
    pub column: String,
    /// Which of the given variables it is.
    pub variable: usize,
    /// Its bins.
    pub binning: Binning,
    /// Coefficient of its weight of evidence, in the log odds of the event.
    pub coefficient: f64,
    /// Points of each bin.
    pub points: Vec<f64>,
}

/// A scorecard. A row's score is the sum of its bins' points.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its columns.
    pub attributes: Vec<Attribute>,
    /// Of the log odds of the event.
    pub intercept: f64,
    /// What points mean.
    pub score: Score,
    /// What should be known of it.
    pub flags: Vec<Flag>,
}

impl Variable<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Numeric { name, .. } | Self::Categorical { name, .. } => name,
        }
    }

    /// Its bins for these outcomes, and the rows' weights where they have any.
    ///
    /// # Errors
    /// As [`Binning::numbers`] and [`Binning::categories`].
    pub fn binning(&self, outcomes: &[f64], weights: Option<&[f64]>) -> Result<Binning, Error> {
        match self {
            Self::Numeric {
                name,
                values,
                specials,
                limits,
            } => Binning::numbers(name, values, specials, outcomes, weights, limits),
            Self::Categorical {
                name,
                codes,
                levels,
                limits,
            } => Binning::categories(name, codes, *levels, outcomes, weights, limits),
        }
    }

    /// The bin of each row.
    fn bins(&self, binning: &Binning) -> Vec<usize> {
        match self {
            Self::Numeric { values, .. } => values.iter().map(|x| binning.of_number(*x)).collect(),
            Self::Categorical { codes, .. } => codes
                .iter()
                .map(|code| binning.of_category(*code))
                .collect(),
        }
    }
}

impl Card {
    /// Scores of rows, given by all the variables that the card was fitted with, in their order. Categories without a level and
    /// missing numbers are scored by the bins that say so.
    ///
    /// # Errors
    /// A variable that is not there, or of another name, or of another length than the first.
    pub fn scores(&self, variables: &[Variable<'_>]) -> Result<Vec<f64>, Error> {
        let mut out: Vec<f64> = Vec::new();
        for (at, attribute) in self.attributes.iter().enumerate() {
            let variable = variables
                .get(attribute.variable)
                .filter(|variable| variable.name() == attribute.column)
                .ok_or_else(|| {
                    Error::Columns(columns::Error::Length {
                        column: attribute.column.clone(),
                        found: 0,
                        wanted: 1,
                    })
                })?;
            let bins = variable.bins(&attribute.binning);
            if at == 0 {
                out = vec![0.0; bins.len()];
            } else if bins.len() != out.len() {
                return Err(Error::Columns(columns::Error::Length {
                    column: attribute.column.clone(),
                    found: bins.len(),
                    wanted: out.len(),
                }));
            }
            out.iter_mut()
                .zip(bins)
                .for_each(|(out, bin)| *out += attribute.points[bin]);
        }
        Ok(out)
    }

    /// The same card with whole points.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        for attribute in &mut self.attributes {
            attribute
                .points
                .iter_mut()
                .for_each(|points| *points = libm::round(*points));
        }
        self
    }

    /// Probability of the event at a score.
    pub fn probability(&self, score: f64) -> f64 {
        let Score {
            points,
            odds,
            double,
        } = self.score;
        let log_odds = (score - points) / double * core::f64::consts::LN_2 + libm::log(odds);
        1.0 / (1.0 + libm::exp(log_odds))
    }
}

/// Makes a card of columns for outcomes that are 0 or 1, of which 1 is the event. A row of weight 2 counts as two, in the bins and in
/// the model; without weights each counts once.
///
/// # Errors
/// Columns or outcomes that cannot be used, no column that says enough, settings out of range, and what the logistic model
/// refuses: a column that tells all outcomes apart.
pub fn fit(
    variables: &[Variable<'_>],
    outcomes: &[f64],
    weights: Option<&[f64]>,
    settings: &Settings,
) -> Result<Card, Error> {
    let score = settings.score;
    for (what, found) in [
        ("base odds", score.odds),
        ("points that double the odds", score.double),
    ] {
        if !(found > 0.0 && found.is_finite()) {
            return Err(Error::Columns(columns::Error::Setting {
                what,
                found,
                wanted: "a finite number above zero",
            }));
        }
    }
    let mut flags = Vec::new();
    let mut chosen = Vec::new();
    let mut best = (String::new(), f64::NEG_INFINITY);
    for (variable, given) in variables.iter().enumerate() {
        let binning = given.binning(outcomes, weights)?;
        let (column, information) = (given.name().to_owned(), binning.information());
        if binning.tells_all() {
            flags.push(Flag::Separated { column });
            continue;
        }
        if information > best.1 {
            best = (column.clone(), information);
        }
        if information < settings.information_least {
            flags.push(Flag::Weak {
                column,
                information,
            });
            continue;
        }
        if information > settings.information_most {
            flags.push(Flag::Suspicious {
                column: column.clone(),
                information,
            });
        }
        let evidence: Vec<f64> = given
            .bins(&binning)
            .into_iter()
            .map(|bin| binning.bins()[bin].weight_of_evidence)
            .collect();
        chosen.push((variable, column, binning, evidence));
    }
    if let (true, Some(Flag::Separated { column })) = (
        chosen.is_empty(),
        flags
            .iter()
            .find(|flag| matches!(flag, Flag::Separated { .. })),
    ) {
        let column = column.clone();
        return Err(Error::Model(glm::Error::Separated { column }));
    }
    if chosen.is_empty() {
        return Err(Error::Nothing {
            least: settings.information_least,
            best: best.0,
            found: best.1,
        });
    }
    let columns: Vec<Column<'_>> = (chosen.iter())
        .map(|(_, name, _, values)| Column::Numeric { name, values })
        .collect();
    let design = Design::new(&columns, outcomes.len())?;
    let mut model = glm::Settings::of(Family::Binomial);
    model.penalty.alpha = settings.alpha;
    let observations = Observations {
        outcomes,
        weights,
        offset: None,
        exposure: None,
    };
    let found = glm::fit(&design, &observations, &model)?;
    flags.extend(found.flags.iter().cloned().map(Flag::Model));
    // Points are of the log odds of no event, and the intercept is shared out evenly.
    let factor = score.double / core::f64::consts::LN_2;
    let base = score.points - factor * (libm::log(score.odds) + found.intercept);
    let share = base / chosen.len() as f64;
    let mut attributes = Vec::with_capacity(chosen.len());
    for ((variable, column, binning, _), coefficient) in chosen.into_iter().zip(&found.coefficients)
    {
        if *coefficient > 0.0 {
            flags.push(Flag::Reversed {
                column: column.clone(),
                coefficient: *coefficient,
            });
        }
        let points = (binning.bins().iter())
            .map(|bin| share - factor * coefficient * bin.weight_of_evidence)
            .collect();
        attributes.push(Attribute {
            column,
            variable,
            binning,
            coefficient: *coefficient,
            points,
        });
    }
    Ok(Card {
        attributes,
        intercept: found.intercept,
        score,
        flags,
    })
}
