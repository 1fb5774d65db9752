//! Uplift from a table: which column is the treatment and what its propensities are, effects learned across folds, and a report of
//! how they rank rows that were not learned from. This room must never rank a row by a model that has seen it.

mod balance;
mod report;
mod settings;

use super::encode::{Feature, Matrix};
use super::folds::folds;
use super::roles::{Roles, column};
use super::{Error, Frame, LeftOut, Series};
use crate::gbdt::{self, Column};
use crate::uplift::{self, Arms, Economics, Effects, Model, Offers, Propensities, Trial};
pub use balance::{Balance, Difference};
use report::Judged;
pub use report::{Arm, AtShare, Treatment, UpliftReport};
pub use settings::{Drawn, UpliftSettings};

impl From<uplift::Error> for Error {
    fn from(e: uplift::Error) -> Self {
        Self::Model(e.to_string())
    }
}

/// What came of training.
#[derive(Debug, Clone)]
pub struct Uplifted {
    /// The model that has learned from all rows.
    pub model: Model,
    /// The columns it takes.
    pub features: Vec<Feature>,
    /// The report.
    pub report: UpliftReport,
    /// Rows of the table that were ranked, from 0, and their effects.
    pub ranked: (Vec<u32>, Effects),
}

impl Uplifted {
    /// The effects of each treatment on each row of a table.
    ///
    /// # Errors
    /// Columns that are not there or hold something else than they did.
    pub fn effects(&self, frame: &Frame) -> Result<Effects, Error> {
        let rows: Vec<u32> = (0..frame.rows() as u32).collect();
        let matrix = Matrix::of(&self.features, frame, &rows)?;
        Ok(self
            .model
            .effects(&columns(&self.features, &matrix.columns))?)
    }
}

/// Learns effects from a table and judges them across its folds. `tell` hears what is begun, as [`super::train`] tells it.
///
/// # Errors
/// [`Error`]: columns that are not there or cannot be what they are named for, no control, arms too small, propensities that are
/// none, settings out of range.
pub fn uplift(
    frame: &Frame,
    settings: &UpliftSettings,
    tell: &mut dyn FnMut(usize),
) -> Result<Uplifted, Error> {
    settings.check()?;
    let (roles, left_out) = roles(frame, settings)?;
    let matrix = Matrix::of(&roles.features, frame, &roles.rows)?;
    let arms = arms(frame, settings, &roles.rows)?;
    let table = Table {
        settings,
        propensities: propensities(frame, settings, &roles.rows, &arms)?,
        roles: &roles,
        matrix: &matrix,
        arms: &arms,
    };
    let economics = economics(settings, &arms)?;
    let (mut places, mut effects, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    let is_priced = economics
        .iter()
        .flatten()
        .any(|each| each.cost_per_outcome > 0.0);
    let folds = folds(&roles, &settings.table)?;
    let (balance, said) = balance::balances(&roles, &matrix, &arms, &folds, settings)?;
    for (at, fold) in folds.into_iter().enumerate() {
        tell(at);
        let model = table.fit(&fold.train).map_err(|e| match e {
            Error::Model(words) => Error::Model(format!("fold {}: {words}", at + 1)),
            other => other,
        })?;
        let held = matrix.take(&fold.test);
        let held = columns(&roles.features, &held);
        effects.extend(model.effects(&held)?.values);
        if is_priced {
            outcomes.extend(
                model
                    .treated_outcomes(&held)?
                    .map_or_else(Vec::new, |found| found.values),
            );
        }
        places.extend(fold.test);
    }
    tell(settings.table.folds);
    let all: Vec<u32> = (0..roles.rows.len() as u32).collect();
    let model = table.fit(&all)?;
    let treatments = arms.treatments();
    let effects = Effects {
        values: effects,
        treatments,
    };
    let judged = table.judged(&places);
    let mut flags = roles.flags.clone();
    flags.extend(said);
    if settings.drawn == Drawn::Estimated {
        flags.push(
            "propensities were estimated to learn; the rankings are judged as if arms had been drawn by lot, which is wrong where they were not"
                .to_owned(),
        );
    }
    let targeting = match economics {
        None => None,
        Some(economics) => {
            let outcomes = (is_priced && !outcomes.is_empty()).then_some(Effects {
                values: outcomes,
                treatments,
            });
            let scores = uplift::net_scores(&effects, outcomes.as_ref(), &economics)?;
            let offers = Offers {
                scores: &scores,
                outcomes: &judged.outcomes,
                arms: &judged.arms,
                weights: judged.weights.as_deref(),
                economics: &economics,
            };
            Some(uplift::targeting(
                &offers,
                settings.steps,
                &settings.bootstrap,
            )?)
        }
    };
    let report = UpliftReport {
        learner: settings.learner.name(),
        rows: places.len(),
        arms: table.summary(),
        treatments: (1..=treatments as u32)
            .map(|treatment| judged.treatment(&effects, treatment, settings))
            .collect::<Result<_, Error>>()?,
        targeting,
        level: settings.bootstrap.level,
        features: roles
            .features
            .iter()
            .map(|feature| feature.name.clone())
            .collect(),
        left_out,
        balance,
        flags,
    };
    let rows = places
        .iter()
        .map(|place| roles.rows[*place as usize])
        .collect();
    Ok(Uplifted {
        model,
        features: roles.features,
        report,
        ranked: (rows, effects),
    })
}

/// Roles of the columns but those of arms and propensities, and what was left out without them.
fn roles(frame: &Frame, settings: &UpliftSettings) -> Result<(Roles, Vec<LeftOut>), Error> {
    let mut own = vec![&settings.treatment];
    match &settings.drawn {
        Drawn::Logged(name) => own.push(name),
        Drawn::Columns(names) => own.extend(names.values()),
        Drawn::Lot | Drawn::Estimated => {}
    }
    let mut table = settings.table.clone();
    for name in own {
        column(frame, name)?;
        if *name == table.target {
            return Err(Error::Column {
                name: name.clone(),
                why: "it is named as the target and for the treatment; name another".to_owned(),
            });
        }
        if !table.exclude.contains(name) {
            table.exclude.push(name.clone());
        }
    }
    let roles = Roles::find(frame, &table)?;
    let is_said =
        |left: &&LeftOut| settings.table.exclude.contains(&left.column) || left.why != "excluded";
    let left_out = roles.left_out.iter().filter(is_said).cloned().collect();
    Ok((roles, left_out))
}

fn arms(frame: &Frame, settings: &UpliftSettings, rows: &[u32]) -> Result<Arms, Error> {
    let series = column(frame, &settings.treatment)?;
    let texts = rows
        .iter()
        .map(|row| {
            series.text(*row as usize).ok_or_else(|| Error::Value {
                name: settings.treatment.clone(),
                row: *row as usize + 1,
                found: "nothing".to_owned(),
                wanted: "each row needs an arm; leave out rows of which it is not known",
            })
        })
        .collect::<Result<Vec<String>, Error>>()?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Arms::of_texts(&texts, settings.control.as_deref()).map_err(|e| Error::Column {
        name: settings.treatment.clone(),
        why: e.to_string(),
    })
}

/// Probabilities of one column, above 0 and below 1.
fn probabilities(frame: &Frame, name: &str, rows: &[u32]) -> Result<Vec<f64>, Error> {
    let Series::Numbers(values) = column(frame, name)? else {
        return Err(Error::Column {
            name: name.to_owned(),
            why: "probabilities are wanted, it holds texts".to_owned(),
        });
    };
    rows.iter()
        .map(|row| {
            let value = values[*row as usize];
            if value > 0.0 && value < 1.0 {
                return Ok(value);
            }
            Err(Error::Value {
                name: name.to_owned(),
                row: *row as usize + 1,
                found: if value.is_nan() { "nothing".to_owned() } else { value.to_string() },
                wanted: "a propensity is above 0 and below 1; leave out rows that could only have got one arm",
            })
        })
        .collect()
}

/// Probabilities as the learners take them.
enum Known {
    Lot,
    Estimated,
    Logged(Vec<f64>),
    /// Rows x arms.
    PerRow(Vec<f64>),
}

fn propensities(
    frame: &Frame,
    settings: &UpliftSettings,
    rows: &[u32],
    arms: &Arms,
) -> Result<Known, Error> {
    Ok(match &settings.drawn {
        Drawn::Lot => Known::Lot,
        Drawn::Estimated => Known::Estimated,
        Drawn::Logged(name) => Known::Logged(probabilities(frame, name, rows)?),
        Drawn::Columns(names) => {
            let columns = (arms.names().iter())
                .map(|arm| {
                    let name = names.get(arm).ok_or_else(|| Error::Setting {
                        name: "propensity",
                        found: format!("without a column for arm `{arm}`"),
                        wanted: "name one for each arm".to_owned(),
                    })?;
                    probabilities(frame, name, rows)
                })
                .collect::<Result<Vec<_>, Error>>()?;
            let line = |row: usize| columns.iter().map(move |column| column[row]);
            Known::PerRow((0..rows.len()).flat_map(line).collect())
        }
    })
}

/// One a treatment, where any are given.
fn economics(settings: &UpliftSettings, arms: &Arms) -> Result<Option<Vec<Economics>>, Error> {
    if settings.economics.is_empty() {
        return Ok(None);
    }
    let treatments = &arms.names()[1..];
    let refuse = |found: String| {
        Err(Error::Setting {
            name: "economics",
            found,
            wanted: format!("write one for each of `{}`", treatments.join("`, `")),
        })
    };
    if let Some(name) = settings
        .economics
        .keys()
        .find(|name| !treatments.contains(name))
    {
        return refuse(format!("for `{name}`, which is no treatment"));
    }
    let mut out = Vec::new();
    for name in treatments {
        match settings.economics.get(name) {
            Some(each) => out.push(*each),
            None => return refuse(format!("missing for `{name}`")),
        }
    }
    Ok(Some(out))
}

fn columns<'a>(features: &'a [Feature], values: &'a [Vec<f64>]) -> Vec<Column<'a>> {
    let of = |(feature, values): (&'a Feature, &'a Vec<f64>)| Column {
        name: &feature.name,
        values,
        kind: match feature.is_category() {
            true => gbdt::Kind::Category,
            false => gbdt::Kind::Number,
        },
    };
    features.iter().zip(values).map(of).collect()
}

struct Table<'a> {
    settings: &'a UpliftSettings,
    roles: &'a Roles,
    matrix: &'a Matrix,
    arms: &'a Arms,
    propensities: Known,
}

fn take(values: &[f64], places: &[u32], width: usize) -> Vec<f64> {
    let line = |place: &u32| &values[*place as usize * width..(*place as usize + 1) * width];
    places.iter().flat_map(line).copied().collect()
}

impl Table<'_> {
    fn fit(&self, places: &[u32]) -> Result<Model, Error> {
        let values = self.matrix.take(places);
        let weights = self
            .roles
            .weights
            .as_ref()
            .map(|weights| take(weights, places, 1));
        let known = match &self.propensities {
            Known::Logged(own) => take(own, places, 1),
            Known::PerRow(table) => take(table, places, self.arms.names().len()),
            Known::Lot | Known::Estimated => Vec::new(),
        };
        let trial = Trial {
            columns: &columns(&self.roles.features, &values),
            outcomes: &take(&self.roles.targets, places, 1),
            arms: &self.arms.take(places),
            weights: weights.as_deref(),
            propensities: match self.propensities {
                Known::Lot => Propensities::Shares,
                Known::Estimated => Propensities::Estimated,
                Known::Logged(_) => Propensities::Logged(&known),
                Known::PerRow(_) => Propensities::PerRow(&known),
            },
        };
        Ok(uplift::fit(&trial, &self.settings.learning())?)
    }

    fn summary(&self) -> Vec<Arm> {
        let names = self.arms.names();
        let mut sums = vec![(0, 0.0, 0.0); names.len()];
        for (row, code) in self.arms.codes().iter().enumerate() {
            let weight = self
                .roles
                .weights
                .as_ref()
                .map_or(1.0, |weights| weights[row]);
            let sum = &mut sums[*code as usize];
            *sum = (
                sum.0 + 1,
                sum.1 + weight,
                sum.2 + weight * self.roles.targets[row],
            );
        }
        let of = |(name, (rows, weight, sum)): (&String, (usize, f64, f64))| Arm {
            name: name.clone(),
            rows,
            mean: sum / weight,
        };
        names.iter().zip(sums).map(of).collect()
    }

    /// Rows to judge by; where propensities differ a row counts as one over its own.
    fn judged(&self, places: &[u32]) -> Judged {
        let arms = self.arms.take(places);
        let own: Option<Vec<f64>> = match &self.propensities {
            Known::Lot | Known::Estimated => None,
            Known::Logged(own) => Some(take(own, places, 1)),
            Known::PerRow(table) => {
                let width = self.arms.names().len();
                let of =
                    |(place, code): (&u32, &u32)| table[*place as usize * width + *code as usize];
                Some(places.iter().zip(arms.codes()).map(of).collect())
            }
        };
        let weights = self
            .roles
            .weights
            .as_ref()
            .map(|weights| take(weights, places, 1));
        let weights = match (weights, own) {
            (weights, None) => weights,
            (None, Some(own)) => Some(own.iter().map(|p| 1.0 / p).collect()),
            (Some(weights), Some(own)) => {
                Some(weights.iter().zip(own).map(|(w, p)| w / p).collect())
            }
        };
        Judged {
            outcomes: take(&self.roles.targets, places, 1),
            weights,
            arms,
        }
    }
}
