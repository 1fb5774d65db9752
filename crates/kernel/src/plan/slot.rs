//! Slots: the numbered values that rules, models and traces read. Where a slot's value comes from is declared here.

use super::orders::{BookTag, HeldTag};
use crate::value::ValueType;
use serde::{Deserialize, Serialize};

/// Number of a slot within a scene (or, in an event filter, of a field within the event type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub u16);

/// A calendar of days on which a market trades. Outside `from_day..=to_day` every answer is unknown, never a guess.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calendar {
    /// Name.
    pub name: String,
    /// First day the calendar knows, days since 1970-01-01.
    pub from_day: i64,
    /// Last day the calendar knows.
    pub to_day: i64,
    /// Trading days, strictly ascending.
    pub days: Vec<i64>,
    /// The exchange's clock, when it is declared: the days above are then days of this clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// The clock of an exchange: when within a day it trades, and until when an order counts for the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Offset from UTC in seconds, east positive. It is fixed: a market that moves its clocks cannot be told so.
    pub utc_offset_s: i32,
    /// The order line, a minute of the exchange's day: an order before it counts for the day.
    pub cutoff_minute: Option<u16>,
    /// Trading sessions as minutes of the day, from inclusive, to exclusive; ascending and apart.
    pub sessions: Vec<(u16, u16)>,
}

/// What an environment slot tells, in the customer's local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentTag {
    /// Hour of day 0..=23.
    Hour,
    /// Minute of day 0..=1439.
    MinuteOfDay,
    /// ISO weekday 1..=7.
    Weekday,
    /// Saturday or Sunday.
    IsWeekend,
    /// Day of month 1..=31.
    DayOfMonth,
    /// Month 1..=12.
    Month,
    /// The moment of the decision itself, a time: whether something has expired is asked of this.
    Now,
    /// The local day is a trading day of the numbered calendar.
    IsTradingDay(u16),
    /// Days from the local day to the next trading day after it (1 when tomorrow trades).
    DaysToNextTradingDay(u16),
    /// Where within the exchange's day the moment lies, the word of [`crate::trading::Phase`]. This and what follows go by
    /// the clock of the exchange, not by the customer's.
    TradingPhase(u16),
    /// The exchange's day is the eve of a holiday.
    EveOfHoliday(u16),
    /// Days strictly between the exchange's day and the next trading day.
    DaysClosedAhead(u16),
    /// The beginning of the trading day for which an order of this moment counts, a time.
    OrderDay(u16),
    /// Days without trading right after the first trading day behind the order day: what an order of this moment is invested
    /// for when it is confirmed on the next trading day and earns from then on.
    ClosedAfterT1(u16),
    /// The same right after the second one.
    ClosedAfterT2(u16),
}

/// Where a slot's value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotSource {
    /// The tag of this index.
    Tag(u16),
    /// The derived expression of this index.
    Derived(u16),
    /// The environment at the moment of the decision.
    Environment(EnvironmentTag),
    /// A field of the decision request's context.
    Request,
    /// An attribute (by index) of the candidate item of the numbered catalogue.
    Item(u16, u16),
    /// The key (text) of the candidate item of the numbered catalogue: `item.key`. For the null action, its name.
    ItemKey(u16),
    /// What an earlier stage of scoring gave the candidate, a number. Missing for the null action, and in a policy without
    /// that stage.
    Stage(Stage),
    /// The value of the market of this index ([`super::ScenePlan::market`]).
    Market(u16),
    /// The probability, by the intention of this index ([`super::ScenePlan::intentions`]), that the next act is of this class.
    Intention(u16, u8),
    /// The customer's books under the numbered orders.
    Book(u16, BookTag),
    /// The customer's position in the candidate item, under the numbered orders.
    Held(u16, HeldTag),
    /// For the candidate item of the numbered catalogue, the expression of customer and item of this index
    /// ([`super::ScenePlan::paired`]). For the null action, of its name and no attributes.
    Paired(u16, u16),
}

/// A stage of scoring whose result later stages read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// `score.retrieved`.
    Retrieved,
    /// `score.ranked`.
    Ranked,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotPlan {
    /// Name as written in rules: `tag`, `env.hour`, `request.page`, `item.risk_level`.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: ValueType,
    /// Source.
    pub source: SlotSource,
}
