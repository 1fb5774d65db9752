//! Policies: whom to reach with what. Deciding lives in [`crate::decide`].

use super::model::FeaturePlan;
use super::rule::{Expr, NamedRule};
use super::slot::SlotId;
use crate::time::Micros;
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

/// Most candidates that retrieval or ranking keeps.
pub const KEPT_MAX: u32 = 1000;
/// Most values of an attribute of which retrieval keeps the best of each.
pub const EACH_VALUES_MAX: usize = 64;
/// Most items of each value that retrieval keeps.
pub const EACH_KEPT_MAX: u32 = 50;
/// Most kinds of events that the factors of one policy are trained from.
pub const LEARN_FROM_MAX: usize = 16;
/// Most objectives of one policy, and most groups.
pub const OBJECTIVES_MAX: usize = 16;

/// How candidates are scored before exploration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scorer {
    /// A declared expression over customer, request and item slots (fixed priorities, hand-set weights).
    Expression(Expr),
    /// The named model's prediction.
    Model(String),
    /// Several objectives, weighed.
    Objectives(Objectives),
}

/// What one objective says of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveValue {
    /// A declared expression over customer, request, item and score slots.
    Expression(Expr),
    /// The named model's expected reward.
    Model(String),
}

/// One of several objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Name, for records and refusals.
    pub name: String,
    /// What it says of a candidate.
    pub value: ObjectiveValue,
    /// Weight in the score, of any sign: a reward to be avoided has a weight below zero.
    pub weight: f64,
    /// A candidate of which the objective says less is not available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
}

/// Weights and floors of one group of customers, in place of the objectives' own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveGroup {
    /// Who belongs: a rule over the customer's slots. Unknown is not a member.
    pub rule: NamedRule,
    /// A weight for each objective, in order.
    pub weights: Vec<f64>,
    /// A floor for each objective, in order.
    pub floors: Vec<Option<f64>>,
}

/// A score made of several objectives: the sum of each one's value times its weight (a linear scalarisation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objectives {
    /// The objectives, at most [`OBJECTIVES_MAX`].
    pub objectives: Vec<Objective>,
    /// Groups in order; a customer belongs to the first whose rule is true.
    pub groups: Vec<ObjectiveGroup>,
    /// The objective whose model's uncertainty an explorer explores, by index.
    pub explored: Option<u16>,
}

/// The best of the whole catalogue by factors, before anything else is scored. What it gave a candidate is the slot
/// `score.retrieved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Index into [`super::ScenePlan::artifacts`], of factors.
    pub artifact: u16,
    /// Features of the customer that have a vector each.
    pub customer: Vec<FeaturePlan>,
    /// Features of the item that have a vector each, beside the item's own.
    pub item: Vec<FeaturePlan>,
    /// How many are kept, 1..=[`KEPT_MAX`].
    pub keep: u32,
    /// What is kept beside them. Factors say what customers choose by themselves, which need not be what they answer to:
    /// with the best of each kind among the candidates, the scorer can find out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<KeepEach>,
    /// What the factors are trained from, at most [`LEARN_FROM_MAX`]. Deciding does not read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learn_from: Vec<LearnFrom>,
}

/// The best of each value of an attribute, kept beside the best of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepEach {
    /// Item slot by whose value items are alike. Of more than [`EACH_VALUES_MAX`] values in a catalogue those count that
    /// most items have, of equal ones always the same; an item of which it is unknown is like no other.
    pub by: SlotId,
    /// How many of each value are kept, 1..=[`EACH_KEPT_MAX`].
    pub keep: u32,
}

/// Events that say which item a customer chose, to train a retrieval's factors from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnFrom {
    /// Index into [`super::ScenePlan::events`].
    pub event: u16,
    /// Index of the field that holds the item's key: a text of that event.
    pub item: u16,
    /// Condition over the fields of the event; unknown does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expr>,
    /// How much one such event counts, above zero.
    pub weight: f64,
}

/// How one input of a tree ensemble is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankingInput {
    /// The slot's number; a boolean is one or zero, missing is missing.
    Number(SlotId),
    /// The place of the slot's text among these, from zero; any other is missing.
    Category {
        /// Slot.
        slot: SlotId,
        /// Categories in the ensemble's order.
        categories: Vec<String>,
    },
}

/// Trees over the candidates that retrieval left. What they gave a candidate is the slot `score.ranked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Index into [`super::ScenePlan::artifacts`], of trees.
    pub artifact: u16,
    /// One for each feature of the ensemble, in its order.
    pub inputs: Vec<RankingInput>,
    /// How many are kept, 1..=[`KEPT_MAX`].
    pub keep: u32,
}

/// Variety in a slate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Item slot by whose value items are alike; an item of which it is unknown is like no other.
    pub by: SlotId,
    /// Most items of one value in a slate, from 1.
    pub at_most: u32,
}

/// The price of a budget's unit, in units of the score, that grows as the budget is spent ahead of time:
/// `max(0, base + rate * (spent / limit - elapsed share of its time))`, the dual variable of the budget's constraint by
/// dual averaging (Nesterov 2009; for pacing Balseiro, Lu and Mirrokni 2020). A candidate's score is lessened by price times
/// cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PricePlan {
    /// Price when spending keeps pace with time, zero or more.
    pub base: f64,
    /// What a whole limit spent ahead of time adds, zero or more.
    pub rate: f64,
    /// What being ahead is measured by.
    #[serde(default, skip_serializing_if = "Horizon::is_fixed")]
    pub horizon: Horizon,
}

/// What being ahead of time is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Horizon {
    /// The whole time: a budget whose `base` is too low runs out before its end.
    #[default]
    Fixed,
    /// What is left of the time (of it at least [`LEFT_MIN`]): the same lead weighs more the less time there is to make up for it, as where
    /// the problem of what is left is solved anew at every step (Jasin and Kumar 2012). Where `rate` is not too small to move decisions, what is
    /// left of a budget then lasts for what is left of the time even when `base` is off.
    Receding,
}

/// Least share of a budget's time that a lead is divided by.
pub const LEFT_MIN: f64 = 0.01;

impl Horizon {
    fn is_fixed(&self) -> bool {
        *self == Self::Fixed
    }
}

impl PricePlan {
    /// The price when so much of a limit is spent and this share of its time over; the base where there is no limit or the share is not known.
    /// Zero or more.
    pub fn at(&self, spent: i64, limit: i64, elapsed: Option<f64>) -> f64 {
        let ahead = match elapsed {
            Some(elapsed) if limit > 0 => {
                let lead = spent as f64 / limit as f64 - elapsed;
                match self.horizon {
                    Horizon::Fixed => lead,
                    Horizon::Receding => lead / (1.0 - elapsed).max(LEFT_MIN),
                }
            }
            _ => 0.0,
        };
        let price = self.base + self.rate * ahead;
        if price > 0.0 { price } else { 0.0 }
    }
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
    /// LinUCB (Li, Chu, Langford and Schapire 2010) made explicit: the candidate of the largest score plus `alpha` times its
    /// posterior standard deviation has `1 - floor`, and `floor` is spread evenly over all available.
    LinUcb {
        /// Zero or more.
        alpha: f64,
        /// 0..=1.
        floor: f64,
    },
    /// Bootstrapped Thompson sampling (Eckles and Kaptein 2014) made explicit: the share of the model's replicates in which a
    /// candidate is the best, mixed with an even `floor` over all available. Of a model without replicates the best is taken.
    Bootstrap {
        /// Total probability spread evenly, 0..=1.
        floor: f64,
    },
    /// SquareCB (Foster and Rakhlin 2020): of K candidates one whose score is `gap` below the best has `1 / (K + gamma *
    /// gap)`, the best what is left.
    SquareCb {
        /// Above zero; the larger, the less is explored.
        gamma: f64,
    },
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
    /// From when until when a budget of [`BudgetPeriod::Total`] is to last: the pace that prices keep. It is spent before and
    /// after as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<(Micros, Micros)>,
}

impl BudgetPlan {
    /// Share of its time that is over at `now`, 0..=1; `day` is the share of the day in the scene's zone. None where it has no pace.
    pub fn elapsed(&self, now: Micros, day: f64) -> Option<f64> {
        match (self.period, self.lasts) {
            (BudgetPeriod::Daily, _) => Some(day),
            (BudgetPeriod::Total, Some((from, until))) => {
                let (gone, whole) = (now.0.saturating_sub(from.0), until.0.saturating_sub(from.0));
                Some((gone as f64 / whole.max(1) as f64).clamp(0.0, 1.0))
            }
            (BudgetPeriod::Total, None) => None,
        }
    }
}

/// What a policy's items cost a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Index into [`super::ScenePlan::budgets`].
    pub budget: u16,
    /// Cost of one choice: an expression over item and customer slots giving an integer or money; negative or unknown
    /// makes the item unavailable.
    pub cost: Expr,
    /// What a unit of the budget costs the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PricePlan>,
}

/// What [`PolicyPlan::receipts_within_us`] is when nothing is said: a quarter of an hour.
pub const fn receipts_within_us() -> i64 {
    15 * crate::time::MINUTE_US
}

/// Which orders a decision of a policy permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permits {
    /// A purchase of the item that it chose.
    Buy,
    /// A redemption of the item that it chose.
    Redeem,
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
    /// Narrows the catalogue down before anything else is scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
    /// Ranks what is left by trees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Ranking>,
    /// Scores.
    pub scorer: Scorer,
    /// Exploration.
    pub exploration: Exploration,
    /// Positions to fill, 1..=[`SLATE_MAX`].
    pub slots: u32,
    /// Variety in a slate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Diversity>,
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
    /// Orders that its decisions permit, none unless declared. Deciding does not read it; the proof of an order does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permits: Option<Permits>,
}
