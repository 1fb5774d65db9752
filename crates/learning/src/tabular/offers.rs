//! Who gets what, from a table with a row for each customer and action that may be given: its values, its costs. What has no row may not
//! be given. This room must never judge what a value is worth: weights, floors and limits are their caller's.

use super::frame::{Frame, Series};
use super::{Error, MISSING};
use crate::allocation::{
    self, Allocation, Amounts, Budget, Group, Objective, Problem, curve, solve,
};
use serde::{Deserialize, Serialize};

/// Most customers times actions.
pub const PAIRS_MAX: usize = 200_000_000;
/// Most points of a trade-off curve.
pub const POINTS_MAX: usize = 1_000;

/// A column of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// The column.
    pub column: String,
    /// What it counts, from 0 on.
    pub weight: f64,
    /// What the values given must add up to at least, before the weight.
    pub floor: Option<f64>,
}

/// A column of costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// The column.
    pub column: String,
    /// What the costs given may add up to at most.
    pub limit: f64,
}

/// Actions that may be given so often, together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cap {
    /// The actions, as the table writes them.
    pub actions: Vec<String>,
    /// How many customers may get one of them.
    pub most: u64,
}

/// What is to be given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfferSettings {
    /// Column of customers.
    pub customer: String,
    /// Column of actions.
    pub action: String,
    /// What is wanted; the sum of the values by their weights is maximised.
    pub objectives: Vec<Wanted>,
    /// What may be spent.
    pub budgets: Vec<Spend>,
    /// How often actions may be given.
    pub caps: Vec<Cap>,
}

/// A limit and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptLimit {
    /// Its column, or the actions of a cap.
    pub name: String,
    /// The limit: at most, of a floor at least. None where an objective has none.
    pub limit: Option<f64>,
    /// What the rows given add up to.
    pub reached: f64,
    /// What a unit more of it is worth (of a floor: a unit less), in weighted value: its dual price. 0 where it does not bind.
    pub price: f64,
}

/// How often an action is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// The action.
    pub action: String,
    /// Customers that may get it.
    pub eligible: usize,
    /// Customers that get it.
    pub given: usize,
}

/// What is given to whom, and how good that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// Customers of the table.
    pub customers: usize,
    /// Customers that get something.
    pub given: usize,
    /// What it is worth: the objectives by their weights.
    pub value: f64,
    /// Nothing that keeps the limits is worth more.
    pub bound: f64,
    /// How much more it could be worth at most, as a share of the bound.
    pub relative_gap: f64,
    /// The objectives, in their order, with the floors and their prices.
    pub objectives: Vec<KeptLimit>,
    /// The budgets, in their order.
    pub budgets: Vec<KeptLimit>,
    /// The caps, in their order.
    pub caps: Vec<KeptLimit>,
    /// The actions, in the order of the table.
    pub actions: Vec<Given>,
    /// Rows of the table that are given, ascending.
    #[serde(skip)]
    pub rows: Vec<u32>,
}

/// A trade: what is given when the objectives have these weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// A weight for each objective.
    pub weights: Vec<f64>,
    /// What the values of each objective add up to.
    pub objectives: Vec<f64>,
    /// What is spent of each budget.
    pub spent: Vec<f64>,
    /// Customers that get something.
    pub given: usize,
    /// How much more it could be worth at most under these weights, as a share of the bound.
    pub relative_gap: f64,
}

/// A table laid out for [`allocation`].
struct Laid {
    customers: usize,
    actions: Vec<String>,
    /// Row of the table of each customer and action, from 0; [`MISSING`] where it may not be given.
    rows: Vec<u32>,
    /// None where everybody may get everything.
    eligible: Option<Vec<bool>>,
    values: Vec<Vec<f64>>,
    costs: Vec<Vec<f64>>,
    /// Of each cap its name and the places of its actions.
    caps: Vec<(String, Vec<usize>)>,
}

/// Gives what is worth most within the limits.
///
/// # Errors
/// Columns that are not there or hold other than finite numbers, costs below zero, customers or actions that are missing, an action twice
/// for a customer, more than [`PAIRS_MAX`] pairs, a cap on an action that the table has not, and whatever [`solve`] refuses: of limits
/// that conflict it is said which.
pub fn offers(frame: &Frame, settings: &OfferSettings) -> Result<Offered, Error> {
    let laid = Laid::of(frame, settings)?;
    let parts = Parts::of(&laid, settings);
    let found = solve(&parts.problem(&laid), None)?;
    Ok(laid.told(&found, settings))
}

/// What the first objective costs the second: `points` allocations, from all weight on the first to all on the second, each weight a
/// share of the objective's own.
///
/// # Errors
/// As [`offers`]; other than two objectives of a weight above zero, and fewer than 2 or more than [`POINTS_MAX`] points.
pub fn trades(frame: &Frame, settings: &OfferSettings, points: usize) -> Result<Vec<Trade>, Error> {
    let weights: Vec<f64> = settings.objectives.iter().map(|o| o.weight).collect();
    let [first, second] = weights[..] else {
        return Err(Error::Setting {
            name: "the number of objectives of a trade-off curve",
            found: weights.len().to_string(),
            wanted: "write two".to_owned(),
        });
    };
    if !(first > 0.0 && second > 0.0) {
        return Err(Error::Setting {
            name: "a weight of a trade-off curve",
            found: first.min(second).to_string(),
            wanted: "write weights above 0: each is divided between the ends of the curve"
                .to_owned(),
        });
    }
    if !(2..=POINTS_MAX).contains(&points) {
        return Err(Error::Setting {
            name: "the number of points of a trade-off curve",
            found: points.to_string(),
            wanted: format!("write 2 to {POINTS_MAX}"),
        });
    }
    let share = |at: usize| at as f64 / (points - 1) as f64;
    let weights: Vec<Vec<f64>> = (0..points)
        .map(|at| vec![first * (1.0 - share(at)), second * share(at)])
        .collect();
    let laid = Laid::of(frame, settings)?;
    let parts = Parts::of(&laid, settings);
    let found = curve(&parts.problem(&laid), &weights)?;
    Ok(found
        .into_iter()
        .map(|point| Trade {
            weights: point.weights,
            given: point.allocation.choices.iter().flatten().count(),
            relative_gap: point.allocation.relative_gap(),
            objectives: point.allocation.objectives,
            spent: point.allocation.spent,
        })
        .collect())
}

/// What a [`Problem`] borrows of a table that is laid out.
struct Parts<'a> {
    objectives: Vec<Objective<'a>>,
    budgets: Vec<Budget<'a>>,
    groups: Vec<Group<'a>>,
}

impl<'a> Parts<'a> {
    fn of(laid: &'a Laid, settings: &'a OfferSettings) -> Self {
        let objectives = settings.objectives.iter().zip(&laid.values);
        let budgets = settings.budgets.iter().zip(&laid.costs);
        let groups = settings.caps.iter().zip(&laid.caps);
        Self {
            objectives: objectives
                .map(|(o, values)| Objective {
                    name: &o.column,
                    values: Amounts::Each(values),
                    weight: o.weight,
                    floor: o.floor,
                })
                .collect(),
            budgets: budgets
                .map(|(b, costs)| Budget {
                    name: &b.column,
                    costs: Amounts::Each(costs),
                    limit: b.limit,
                })
                .collect(),
            groups: groups
                .map(|(cap, (name, actions))| Group {
                    name,
                    actions,
                    cap: cap.most,
                })
                .collect(),
        }
    }

    fn problem<'b>(&'b self, laid: &'b Laid) -> Problem<'b> {
        Problem {
            customers: laid.customers,
            actions: laid.actions.len(),
            objectives: &self.objectives,
            budgets: &self.budgets,
            groups: &self.groups,
            eligible: laid.eligible.as_deref(),
        }
    }
}

/// A column of names by its codes, none missing.
fn names<'a>(
    frame: &'a Frame,
    name: &str,
    what: &'static str,
) -> Result<(&'a [u32], &'a [String]), Error> {
    let Series::Texts { codes, levels } = column(frame, name)? else {
        return Err(Error::Column {
            name: name.to_owned(),
            why: format!("it holds numbers; {what} are names: hand it over as texts"),
        });
    };
    match codes.iter().position(|code| *code == MISSING) {
        None => Ok((codes, levels)),
        Some(row) => Err(Error::Value {
            name: name.to_owned(),
            row: row + 1,
            found: "nothing".to_owned(),
            wanted: "every row names a customer and an action; leave out rows of nobody",
        }),
    }
}

fn column<'a>(frame: &'a Frame, name: &str) -> Result<&'a Series, Error> {
    frame.get(name).ok_or_else(|| Error::Unknown {
        name: name.to_owned(),
        there: frame.names().join(", "),
    })
}

/// A column of numbers, each finite and at least `least`, of which each customer's adds up to a finite sum by its weight.
fn amounts<'a>(
    frame: &'a Frame,
    name: &str,
    least: f64,
    weight: f64,
    customers: usize,
) -> Result<&'a [f64], Error> {
    let Series::Numbers(values) = column(frame, name)? else {
        return Err(Error::Column {
            name: name.to_owned(),
            why: "it holds texts; values and costs are numbers".to_owned(),
        });
    };
    let wrong = values.iter().position(|v| !v.is_finite() || *v < least);
    let most = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    if wrong.is_none() && most * weight.max(1.0) * customers as f64 > allocation::SUM_MAX {
        let row = values.iter().position(|v| v.abs() == most);
        return Err(Error::Value {
            name: name.to_owned(),
            row: row.unwrap_or_default() + 1,
            found: format!("{most:e}"),
            wanted: "what all customers may get must add up to a finite number, 1e300 at most: write the column in a larger unit, or mend the cell",
        });
    }
    match wrong {
        None => Ok(values),
        Some(row) => Err(Error::Value {
            name: name.to_owned(),
            row: row + 1,
            found: match values[row] {
                v if v.is_nan() => "nothing".to_owned(),
                v => v.to_string(),
            },
            wanted: match values[row] < least {
                true => "a cost is a number from 0 on",
                false => "write a finite number, or leave out the row of what may not be given",
            },
        }),
    }
}

impl Laid {
    fn of(frame: &Frame, settings: &OfferSettings) -> Result<Self, Error> {
        let (customers, who) = names(frame, &settings.customer, "customers")?;
        let (actions, what) = names(frame, &settings.action, "actions")?;
        let pairs = who.len().saturating_mul(what.len());
        if pairs > PAIRS_MAX {
            return Err(Error::Setting {
                name: "the number of customers times actions",
                found: format!("{} x {} = {pairs}", who.len(), what.len()),
                wanted: format!(
                    "{PAIRS_MAX} at most: divide the customers, and the limits with them"
                ),
            });
        }
        let place = |row: usize| customers[row] as usize * what.len() + actions[row] as usize;
        let mut rows = vec![MISSING; pairs];
        for row in 0..frame.rows() {
            let at = &mut rows[place(row)];
            if *at != MISSING {
                return Err(Error::Value {
                    name: settings.action.clone(),
                    row: row + 1,
                    found: format!(
                        "`{}` for `{}`, as in row {}",
                        what[actions[row] as usize],
                        who[customers[row] as usize],
                        *at + 1
                    ),
                    wanted: "a customer and an action stand in one row",
                });
            }
            *at = row as u32;
        }
        let dense = |values: &[f64]| -> Vec<f64> {
            let of = |row: &u32| values.get(*row as usize).copied().unwrap_or(0.0);
            rows.iter().map(of).collect()
        };
        let mut values = Vec::new();
        for wanted in &settings.objectives {
            values.push(dense(amounts(
                frame,
                &wanted.column,
                f64::NEG_INFINITY,
                wanted.weight,
                who.len(),
            )?));
        }
        let mut costs = Vec::new();
        for spend in &settings.budgets {
            costs.push(dense(amounts(frame, &spend.column, 0.0, 1.0, who.len())?));
        }
        let mut caps = Vec::new();
        for cap in &settings.caps {
            let of = |action: &String| {
                what.iter()
                    .position(|w| w == action)
                    .ok_or_else(|| Error::Column {
                        name: settings.action.clone(),
                        why: format!(
                            "no row has the action `{action}`, which a cap names; there are {}",
                            what.join(", ")
                        ),
                    })
            };
            let places: Result<Vec<usize>, Error> = cap.actions.iter().map(of).collect();
            caps.push((cap.actions.join(", "), places?));
        }
        Ok(Self {
            customers: who.len(),
            eligible: rows
                .contains(&MISSING)
                .then(|| rows.iter().map(|row| *row != MISSING).collect()),
            actions: what.to_vec(),
            rows,
            values,
            costs,
            caps,
        })
    }

    fn told(&self, found: &Allocation, settings: &OfferSettings) -> Offered {
        let width = self.actions.len();
        let mut given = vec![0; width];
        let mut rows = Vec::new();
        for (customer, choice) in found.choices.iter().enumerate() {
            if let Some(action) = choice.map(usize::from) {
                given[action] += 1;
                rows.push(self.rows[customer * width + action]);
            }
        }
        rows.sort_unstable();
        let mut eligible = vec![0; width];
        for of in self.rows.chunks_exact(width) {
            for (n, row) in eligible.iter_mut().zip(of) {
                *n += usize::from(*row != MISSING);
            }
        }
        let kept = |name: &str, limit, reached: f64, price: f64| KeptLimit {
            name: name.to_owned(),
            limit,
            reached,
            price,
        };
        let (o, b, c) = (&settings.objectives, &settings.budgets, &settings.caps);
        Offered {
            customers: self.customers,
            given: rows.len(),
            value: found.value,
            bound: found.bound,
            relative_gap: found.relative_gap(),
            objectives: (0..o.len())
                .map(|i| {
                    let price = found.prices.floors[i];
                    kept(&o[i].column, o[i].floor, found.objectives[i], price)
                })
                .collect(),
            budgets: (0..b.len())
                .map(|i| {
                    let price = found.prices.budgets[i];
                    kept(&b[i].column, Some(b[i].limit), found.spent[i], price)
                })
                .collect(),
            caps: (0..c.len())
                .map(|i| {
                    let (most, reached) = (c[i].most as f64, found.counts[i] as f64);
                    kept(&self.caps[i].0, Some(most), reached, found.prices.groups[i])
                })
                .collect(),
            actions: (self.actions.iter().zip(eligible.iter().zip(given)))
                .map(|(action, (eligible, given))| Given {
                    action: action.clone(),
                    eligible: *eligible,
                    given,
                })
                .collect(),
            rows,
        }
    }
}

impl From<allocation::Error> for Error {
    fn from(e: allocation::Error) -> Self {
        Self::Model(e.to_string())
    }
}
