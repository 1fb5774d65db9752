//! Rewards: which later events say how good a decision was. They are declared in the scene with their join, window and
//! combination, and a decision that saw none within the window gets the declared default: silence is an answer too.

use super::rule::Expr;
use serde::{Deserialize, Serialize};

/// How an outcome event finds its decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// The event's text field of this index holds the decision id.
    Decision(u16),
    /// The event's text field of this index holds the id of an order, which knows the decision that it answers since it
    /// was submitted. Where the event tells of a step of that order, it counts when it moved the order on, and only then: a
    /// confirmation that is told twice is one conversion.
    Order(u16),
    /// All pending decisions of the same customer and reward that are within the window.
    Customer,
}

/// How several outcomes within the window become one reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The first one settles it at once.
    First,
    /// Their sum, settled when the window ends.
    Sum,
    /// The greatest of them, settled when the window ends. A model learns whether an answer came and that none did at the same
    /// distance from the decision; what is settled at once tells it of successes a window before it hears of failures, so that
    /// what it has just begun to choose looks too good (delayed feedback, Chapelle 2014).
    Max,
}

/// A declared reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardPlan {
    /// Name.
    pub name: String,
    /// Ascending when the definition changes; recorded with every learned sample.
    pub version: u32,
    /// Index of the outcome's event type.
    pub event: u16,
    /// Condition over the event's fields; unknown does not count.
    pub filter: Option<Expr>,
    /// Join.
    pub join: Join,
    /// Value of one outcome: an expression over the event's fields giving a number, integer, money or boolean (0 or 1).
    /// Negative values are answers too (dismissal, complaint).
    pub value: Expr,
    /// Window after the decision, in microseconds of log time.
    pub window_us: i64,
    /// Combination.
    pub combine: Combine,
    /// Reward when nothing came.
    pub default: f64,
}
