//! Who gets what under budgets: every customer takes one action or none, each action has values and costs, and what is given to all
//! keeps budgets, caps on groups of actions and floors of objectives: the multiple-choice knapsack of several dimensions.
//!
//! The sum of the weighted values is maximised. Its linear relaxation is solved exactly by its Lagrangian dual: at given prices every
//! customer takes what is worth most after them, which needs no customer to know of another. The prices come from column generation
//! (Dantzig and Wolfe 1960) with smoothed prices (Wentges 1997); customers whose choice no price in a box around a sample's prices can
//! change are set aside, so that most of the work is on the few others. What the relaxation splits is rounded, repaired and filled up, or
//! searched for by branch and bound where that finds nothing;
//! [`Allocation::bound`] is the dual function at the prices handed out, so that no allocation whatsoever is worth more.
//!
//! ```
//! use luopan_learning::allocation::{Amounts, Budget, Objective, Problem, solve};
//! // three customers, a text message or a call
//! let problem = Problem {
//!     customers: 3,
//!     actions: 2,
//!     objectives: &[Objective {
//!         name: "margin",
//!         values: Amounts::Each(&[2.0, 5.0, 3.0, 4.0, 1.0, 8.0]),
//!         weight: 1.0,
//!         floor: None,
//!     }],
//!     budgets: &[Budget { name: "money", costs: Amounts::Action(&[1.0, 4.0]), limit: 6.0 }],
//!     groups: &[],
//!     eligible: None,
//! };
//! let given = solve(&problem, None)?;
//! assert_eq!(given.choices, [Some(0), Some(0), Some(1)]);
//! assert!(given.value == 13.0 && given.bound >= given.value);
//! # Ok::<(), luopan_learning::allocation::Error>(())
//! ```
//!
//! One thread; the same problem gives the same bits. Another order of the customers gives the same bound but for rounding, and a value
//! within the gap. This room must never go over a limit, nor call a bound what is none.

mod check;
mod curve;
mod dual;
mod fill;
mod lines;
mod master;
mod round;
mod rows;
mod search;
mod solve;

pub use curve::{Point, curve};
pub use solve::solve;

/// Most customers.
pub const CUSTOMERS_MAX: usize = u32::MAX as usize;
/// Most actions.
pub const ACTIONS_MAX: usize = 4_096;
/// What amounts by their weights may add up to at most over all customers.
pub const SUM_MAX: f64 = check::SUM_MAX;
/// Most budgets, caps and floors together.
pub const LIMITS_MAX: usize = 64;

/// What is to be given to whom.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Number of customers.
    pub customers: usize,
    /// Number of actions; doing nothing is always possible besides, and is worth and costs nothing.
    pub actions: usize,
    /// What is wanted; the sum of their values by their weights is maximised.
    pub objectives: &'a [Objective<'a>],
    /// What may be spent.
    pub budgets: &'a [Budget<'a>],
    /// How often actions may be given.
    pub groups: &'a [Group<'a>],
    /// Whether a customer may get an action, customer by customer; all may where it is missing.
    pub eligible: Option<&'a [bool]>,
}

/// Something that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Objective<'a> {
    /// Its name, for what is refused.
    pub name: &'a str,
    /// What an action is worth to it; finite numbers.
    pub values: Amounts<'a>,
    /// What it counts, from 0 on; 0 where only its floor matters.
    pub weight: f64,
    /// What its values must add up to at least, before the weight.
    pub floor: Option<f64>,
}

/// Something that is spent.
#[derive(Debug, Clone, Copy)]
pub struct Budget<'a> {
    /// Its name, for what is refused.
    pub name: &'a str,
    /// What an action costs; finite numbers from 0 on.
    pub costs: Amounts<'a>,
    /// What the costs may add up to at most.
    pub limit: f64,
}

/// Actions that may be given so often, together.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Its name, for what is refused.
    pub name: &'a str,
    /// The actions, by their places; an action may be in several groups.
    pub actions: &'a [usize],
    /// How many customers may get one of them.
    pub cap: u64,
}

/// Amounts of actions.
#[derive(Debug, Clone, Copy)]
pub enum Amounts<'a> {
    /// One a customer and action, customer by customer.
    Each(&'a [f64]),
    /// One an action, alike for all customers.
    Action(&'a [f64]),
}

/// What is given to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocation {
    /// The action of each customer; none for nothing.
    pub choices: Vec<Option<u16>>,
    /// What it is worth: the objectives by their weights.
    pub value: f64,
    /// No allocation that keeps the limits is worth more: the dual function at `prices`.
    pub bound: f64,
    /// What the linear relaxation is worth, as far as it was solved: between it and `bound` lies its optimum.
    pub relaxed: f64,
    /// What each objective's values add up to.
    pub objectives: Vec<f64>,
    /// What is spent of each budget.
    pub spent: Vec<f64>,
    /// How many get an action of each group.
    pub counts: Vec<u64>,
    /// What a unit more of each limit is worth.
    pub prices: Prices,
}

impl Allocation {
    /// How much more than `value` the best allocation could be worth at most.
    pub fn gap(&self) -> f64 {
        (self.bound - self.value).max(0.0)
    }

    /// The gap as a share of the bound; 0 where both are 0.
    pub fn relative_gap(&self) -> f64 {
        if self.gap() == 0.0 {
            0.0
        } else {
            self.gap() / self.bound.abs()
        }
    }
}

/// Dual prices, from 0 on, in weighted value a unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prices {
    /// Of each budget.
    pub budgets: Vec<f64>,
    /// Of each group's cap.
    pub groups: Vec<f64>,
    /// Of each objective's floor; 0 where it has none.
    pub floors: Vec<f64>,
}

/// Why nothing was given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too few or too many of something.
    #[error("{found} {what}: wanted are {least} to {most}")]
    Number {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        least: usize,
        /// How many there may be.
        most: usize,
    },
    /// A table that has not the values that it must have.
    #[error("{what} has {found} values: wanted are {wanted}")]
    Length {
        /// What it is.
        what: String,
        /// How many it has.
        found: usize,
        /// How many it must have.
        wanted: usize,
    },
    /// An amount that cannot be used.
    #[error("{what}, customer {customer}, action {action}: {found} where {wanted}")]
    Amount {
        /// The table.
        what: String,
        /// The customer, from zero; zero where amounts are alike for all.
        customer: usize,
        /// The action, from zero.
        action: usize,
        /// What was found.
        found: f64,
        /// What is wanted, as the end of a sentence.
        wanted: &'static str,
    },
    /// A weight, floor, limit or price that cannot be used.
    #[error("{what} is {found}: {wanted}")]
    Setting {
        /// Which.
        what: String,
        /// What was found.
        found: f64,
        /// What is wanted.
        wanted: &'static str,
    },
    /// A group that tells of an action that is not there, or of one twice.
    #[error("the group {group:?} tells of action {action}: write each of 0 to {last} once")]
    Action {
        /// The group.
        group: String,
        /// What was found.
        action: usize,
        /// The last action.
        last: usize,
    },
    /// Floors that no allocation reaches, not even one that splits customers.
    #[error("the limits conflict: {0}")]
    Infeasible(Conflict),
    /// Floors of which it is not known whether a whole allocation reaches them: none was found, and not all were ruled out.
    #[error(
        "no whole allocation was found that keeps all limits, and that there is none was not shown either: the nearest misses {limit} by \
         {short}; where customers may be split it is kept: loosen it or a limit that has a price"
    )]
    Unrounded {
        /// The limit that the nearest one misses.
        limit: String,
        /// By how much it is missed.
        short: f64,
    },
    /// Floors that an allocation reaches only when customers are split: all whole ones were ruled out.
    #[error(
        "no whole allocation keeps all limits, though they are kept where customers may be split: the nearest that was found misses {limit} \
         by {short}; loosen it or a limit that has a price"
    )]
    Indivisible {
        /// The limit that the nearest one misses.
        limit: String,
        /// By how much it is missed.
        short: f64,
    },
}

/// Limits that cannot be kept together.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// Floors: the objective's name, the floor, and how much of it is reached where all floors are missed by as small a share as possible
    /// in sum.
    pub floors: Vec<(String, f64, f64)>,
    /// Budgets and caps of groups that keep the floors from being reached. None where the customers and actions alone do.
    pub limits: Vec<String>,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, floor, reached)) in self.floors.iter().enumerate() {
            let and = if at > 0 { " and " } else { "" };
            write!(
                f,
                "{and}{name:?} cannot be {floor} or more ({reached} is reached)"
            )?;
        }
        if self.limits.is_empty() {
            write!(f, ", whatever is spent: lower the floor")
        } else {
            write!(
                f,
                " within {}: lower a floor or raise one of these",
                self.limits.join(", ")
            )
        }
    }
}
