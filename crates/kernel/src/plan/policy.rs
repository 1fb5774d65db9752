//! Policies: whom to reach with what. Deciding lives in [`crate::decide`].

use super::rule::{Expr, NamedRule};
use super::slot::SlotId;
use serde::{Deserialize, Serialize};

/// Most candidate items of one decision.
pub const CANDIDATES_MAX: usize = 100_000;
/// Most positions of a slate.
pub const SLATE_MAX: u32 = 50;
/// Most candidates whose trace is kept in a decision record.
pub const TRACED_MAX: usize = 50;
/// Most candidates whose probabilities are recorded one by one; beyond these the less likely share theirs evenly.
pub const LISTED_MAX: usize = 1000;
/// Most recent contacts kept in a customer's ledger row; caps that would need more are refused when a scene is checked.
pub const CONTACTS_MAX: u32 = 1000;

/// How candidates are scored before exploration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scorer {
    /// A declared expression over customer, request and item slots (fixed priorities, hand-set weights).
    Expression(Expr),
    /// The named model's prediction.
    Model(String),
}

/// How the distribution over candidates is made from the scores. Every one is explicit: it is computed, recorded and
/// then sampled with a separate seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploration {
    /// The best with probability one (ties by item key).
    Greedy,
    /// The best with `1 - epsilon`, plus `epsilon` spread evenly over all available.
    EpsilonGreedy {
        /// 0..=1.
        epsilon: f64,
    },
    /// Thompson sampling (Agrawal and Goyal 2013) made explicit: counts of the best over `draws` seeded draws from the
    /// posterior, mixed with an even `floor` over all available.
    Thompson {
        /// Draws, 1..=10000.
        draws: u32,
        /// Total probability spread evenly, 0..=1.
        floor: f64,
        /// Factor on the posterior's standard deviation.
        scale: f64,
    },
    /// Softmax of score / temperature, for slates sampled in turn without replacement (Plackett-Luce). Of more than
    /// [`LISTED_MAX`] candidates the less likely share their probability evenly.
    Softmax {
        /// Above zero.
        temperature: f64,
    },
    /// Even over all available.
    Uniform,
}

/// What silence means in this policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NullAction {
    /// Its name in records (`no_email`).
    pub name: String,
    /// True when silence is an arm that is scored and explored beside the items; false when it is only what remains when
    /// nothing is available.
    pub is_arm: bool,
    /// Score of silence under an expression scorer.
    pub score: f64,
}

/// Which contacts a cap counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapScope {
    /// Every contact of the customer, by whatever policy of the scene.
    Customer,
    /// Contacts by this policy.
    Policy,
    /// Contacts through this channel.
    Channel(String),
    /// Contacts with the same item: a per-candidate cap.
    Item,
}

/// A frequency cap: at most `limit` contacts within the last `window_us`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapPlan {
    /// Name, for traces.
    pub name: String,
    /// Largest number of contacts; zero means never.
    pub limit: u32,
    /// Window in microseconds; `None` for ever.
    pub window_us: Option<i64>,
    /// What counts.
    pub scope: CapScope,
}

/// Local hours in which nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First quiet minute of the local day.
    pub from_minute: u16,
    /// First minute after; smaller than `from_minute` when the quiet runs over midnight.
    pub to_minute: u16,
}

/// How long a budget runs before it starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// Once.
    Total,
    /// Each day of the scene's default zone.
    Daily,
}

/// A budget: what may be spent by all decisions together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetPlan {
    /// Name.
    pub name: String,
    /// Limit per period: minor units of `currency`, or a count.
    pub limit: i64,
    /// ISO 4217, or none when the budget counts things.
    pub currency: Option<String>,
    /// Period.
    pub period: BudgetPeriod,
    /// Rows it is kept in, 1..=256: debits on different rows do not wait for each other.
    pub rows: u16,
}

/// What a policy's items cost a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Index into [`super::ScenePlan::budgets`].
    pub budget: u16,
    /// Cost of one choice: an expression over item and customer slots giving an integer or money; negative or unknown
    /// makes the item unavailable.
    pub cost: Expr,
}

/// What [`PolicyPlan::receipts_within_us`] is when nothing is said: a quarter of an hour.
pub const fn receipts_within_us() -> i64 {
    15 * crate::time::MINUTE_US
}

/// A compiled policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Index of the catalogue whose items are the candidates.
    pub catalogue: u16,
    /// Channel that a choice is delivered through.
    pub channel: String,
    /// Must be true of the customer (customer, environment and request slots).
    pub eligibility: Vec<NamedRule>,
    /// Must be true of customer and item together: suitability comes first, then the rest in order.
    pub suitability: Vec<NamedRule>,
    /// True excludes, and so does unknown.
    pub exclusions: Vec<NamedRule>,
    /// Boolean slot that must be true: consent for this purpose.
    pub consent: Option<SlotId>,
    /// Scores.
    pub scorer: Scorer,
    /// Exploration.
    pub exploration: Exploration,
    /// Positions to fill, 1..=[`SLATE_MAX`].
    pub slots: u32,
    /// Silence.
    pub null_action: NullAction,
    /// Frequency caps.
    pub caps: Vec<CapPlan>,
    /// Least time between two contacts of a customer through the channel, microseconds (quiet period).
    pub quiet_period_us: Option<i64>,
    /// Quiet hours in the customer's local time.
    pub quiet_hours: Option<QuietHours>,
    /// Budgets.
    pub budgets: Vec<BudgetUse>,
    /// How long a send intent may wait before its hold is voided, microseconds.
    pub valid_for_us: i64,
    /// How long after that a delivery receipt may still come before the hold is voided, microseconds.
    #[serde(default = "receipts_within_us")]
    pub receipts_within_us: i64,
    /// Rewards that decisions of this policy wait for (indexes into [`super::ScenePlan::rewards`]).
    pub rewards: Vec<u16>,
}
