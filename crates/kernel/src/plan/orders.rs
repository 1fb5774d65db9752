//! Orders: which event types and fields tell of the life of an order for items of a catalogue, and how what is held is
//! valued. Folding them lives in [`crate::book`].

use super::rule::Expr;
use crate::value::ValueType;
use serde::{Deserialize, Serialize};

/// Most catalogues of a scene that have orders.
pub const ORDERS_MAX: usize = 4;
/// Most steps of a ladder of redemption fees.
pub const FEE_STEPS_MAX: usize = 16;

/// What an event tells of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStep {
    /// The customer placed it.
    Submitted,
    /// The seller took it.
    Accepted,
    /// The issuer confirmed it: shares and money moved.
    Confirmed,
    /// It was refused.
    Failed,
    /// The customer took it back.
    Cancelled,
    /// The money of a redemption arrived.
    Paid,
}

impl OrderStep {
    /// Every step, in the order of a life.
    pub const ALL: [Self; 6] = [
        Self::Submitted,
        Self::Accepted,
        Self::Confirmed,
        Self::Failed,
        Self::Cancelled,
        Self::Paid,
    ];

    /// The word in packs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Paid => "paid",
        }
    }
}

/// The event type that tells of one step, with the indexes of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The step.
    pub step: OrderStep,
    /// Index into [`super::ScenePlan::events`].
    pub event: u16,
    /// Text: the order's id.
    pub order: u16,
    /// Text: key of the item.
    pub item: Option<u16>,
    /// Text, `buy` or `redeem`; missing is a purchase.
    pub side: Option<u16>,
    /// Money: what a purchase pays, fee included, or what a redemption gives, fee taken off.
    pub amount: Option<u16>,
    /// Number: shares bought or redeemed.
    pub shares: Option<u16>,
    /// Money: fee within the amount of a purchase, or taken off that of a redemption.
    pub fee: Option<u16>,
    /// Number: net asset value a share, in the currency's major unit.
    pub nav: Option<u16>,
    /// Text: the decision that the order answers.
    pub decision: Option<u16>,
    /// Boolean: a redemption that is paid out at once, within the limit of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<u16>,
}

/// A step of a ladder of redemption fees: what was held for fewer than so many days pays this rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeStep {
    /// Days, the bound itself not included.
    pub under_days: u32,
    /// Millionths of what is redeemed: 15,000 is 1.5 %.
    pub rate_ppm: u32,
}

/// Orders for the items of one catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrdersPlan {
    /// Hash of all that decides what is folded (names and types of events and fields, the clock): a book whose definition
    /// did not change keeps its state.
    pub id: u64,
    /// Index of the catalogue.
    pub catalogue: u16,
    /// ISO 4217 currency of every amount.
    pub currency: String,
    /// Decimal places of its minor unit.
    pub minor_digits: u8,
    /// Calendar that orders count by, when one is named.
    pub calendar: Option<u16>,
    /// Offset from UTC, in seconds, of the clock whose days holding times are counted in.
    pub utc_offset_s: i32,
    /// One for each step that is declared, in the order of [`OrderStep::ALL`].
    pub events: Vec<OrderEvent>,
    /// Attribute of the items (a number) that holds their present net asset value.
    pub nav: Option<u16>,
    /// Attribute of the items (a text) that holds a ladder of redemption fees, as [`crate::book::fee_ladder`] reads it.
    pub fee_attribute: Option<u16>,
    /// Ladder of items that have none of their own, ascending by days.
    pub fees: Vec<FeeStep>,
    /// Over attributes of the item, an integer: trading days from the day of an order to its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirms_after: Option<Expr>,
    /// Over attributes of the item, an integer: trading days from a confirmation to the first day on which earning begins
    /// or ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earns_after: Option<Expr>,
}

impl OrdersPlan {
    /// True when these orders have [`HeldTag::FURTHER`] too.
    pub fn tells_further(&self) -> bool {
        self.confirms_after.is_some()
            || self.earns_after.is_some()
            || self.events.iter().any(|e| e.fast.is_some())
    }
}

/// What a slot tells of a customer's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookTag {
    /// Number of items held.
    Holdings,
    /// Cost of what is held, fees included.
    Cost,
    /// Value of what is held at the net asset values last confirmed; what was confirmed without one counts at cost.
    Value,
    /// Bought less redeemed, ever.
    NetSubscription,
    /// Proceeds of what was redeemed less its cost.
    Realised,
    /// Fees paid.
    Fees,
    /// Orders submitted or accepted and not ended.
    OpenOrders,
    /// Money in open purchases.
    OpenAmount,
    /// Money of redemptions that is confirmed and has not arrived.
    Unpaid,
    /// Time of the first confirmed purchase.
    FirstBuyAt,
    /// Time of the latest confirmed purchase.
    LastBuyAt,
    /// Time since the first confirmed purchase, a duration.
    SinceFirstBuy,
    /// Time since the latest confirmed purchase, a duration.
    SinceLastBuy,
    /// Events that told of no legal step.
    Anomalies,
}

impl BookTag {
    /// Every tag, in slot order.
    pub const ALL: [Self; 14] = [
        Self::Holdings,
        Self::Cost,
        Self::Value,
        Self::NetSubscription,
        Self::Realised,
        Self::Fees,
        Self::OpenOrders,
        Self::OpenAmount,
        Self::Unpaid,
        Self::FirstBuyAt,
        Self::LastBuyAt,
        Self::SinceFirstBuy,
        Self::SinceLastBuy,
        Self::Anomalies,
    ];

    /// The last part of the slot's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holdings => "holdings",
            Self::Cost => "cost",
            Self::Value => "value",
            Self::NetSubscription => "net_subscription",
            Self::Realised => "realised",
            Self::Fees => "fees",
            Self::OpenOrders => "open_orders",
            Self::OpenAmount => "open_amount",
            Self::Unpaid => "unpaid",
            Self::FirstBuyAt => "first_buy_at",
            Self::LastBuyAt => "last_buy_at",
            Self::SinceFirstBuy => "since_first_buy",
            Self::SinceLastBuy => "since_last_buy",
            Self::Anomalies => "anomalies",
        }
    }

    /// The slot's type.
    pub fn kind(self) -> ValueType {
        match self {
            Self::Holdings | Self::OpenOrders | Self::Anomalies => ValueType::Integer,
            Self::Cost
            | Self::Value
            | Self::NetSubscription
            | Self::Realised
            | Self::Fees
            | Self::OpenAmount
            | Self::Unpaid => ValueType::Money,
            Self::FirstBuyAt | Self::LastBuyAt => ValueType::Time,
            Self::SinceFirstBuy | Self::SinceLastBuy => ValueType::Duration,
        }
    }

    /// True when the value changes by the passing of time alone.
    pub fn moves_with_time(self) -> bool {
        matches!(self, Self::SinceFirstBuy | Self::SinceLastBuy)
    }
}

/// What a slot tells of a customer and the candidate item together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldTag {
    /// Shares held; zero when none are.
    Shares,
    /// Their cost; zero when none are held.
    Cost,
    /// Their value at the item's net asset value, or the one last confirmed where the item has none.
    Value,
    /// Days since the oldest lot was confirmed; missing when nothing is held.
    Days,
    /// Days since the youngest lot was confirmed; missing when nothing is held.
    YoungestDays,
    /// `before`, `ordered`, `held`, `redeeming` or `after`.
    Stage,
    /// Rate that redeeming all of it now would cost (0.015 is 1.5 %), over all lots; zero when nothing is held; missing
    /// when the item's ladder cannot be read.
    RedemptionFee,
    /// Beginning of the trading day that the newest open order counts for; missing without one, and past the calendar.
    OrderDay,
    /// Beginning of the day on which that order is confirmed; missing past the calendar.
    ConfirmationDay,
    /// Beginning of the first day on which what that order buys earns, or what it redeems no longer does; missing past the
    /// calendar.
    EarningDay,
    /// Shares held and not yet being redeemed.
    Redeemable,
    /// Rate that the open redemptions would cost if they were confirmed now: the oldest lots first; missing without one,
    /// and where they take more than is held.
    RedeemingFee,
    /// Money of the fast redemptions placed today, by the clock of the orders, but for those failed or cancelled.
    FastToday,
}

impl HeldTag {
    /// The tags of orders that declare when they are confirmed, when they earn, or which redemptions are fast: beside
    /// [`HeldTag::ALL`], in slot order.
    pub const FURTHER: [Self; 5] = [
        Self::ConfirmationDay,
        Self::EarningDay,
        Self::Redeemable,
        Self::RedeemingFee,
        Self::FastToday,
    ];

    /// The tags of all orders, in slot order.
    pub const ALL: [Self; 8] = [
        Self::Shares,
        Self::Cost,
        Self::Value,
        Self::Days,
        Self::YoungestDays,
        Self::Stage,
        Self::RedemptionFee,
        Self::OrderDay,
    ];

    /// The last part of the slot's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shares => "shares",
            Self::Cost => "cost",
            Self::Value => "value",
            Self::Days => "days",
            Self::YoungestDays => "youngest_days",
            Self::Stage => "stage",
            Self::RedemptionFee => "redemption_fee",
            Self::OrderDay => "order_day",
            Self::ConfirmationDay => "confirmation_day",
            Self::EarningDay => "earning_day",
            Self::Redeemable => "redeemable",
            Self::RedeemingFee => "redeeming_fee",
            Self::FastToday => "fast_today",
        }
    }

    /// The slot's type.
    pub fn kind(self) -> ValueType {
        match self {
            Self::Shares | Self::RedemptionFee | Self::Redeemable | Self::RedeemingFee => {
                ValueType::Number
            }
            Self::Cost | Self::Value | Self::FastToday => ValueType::Money,
            Self::Days | Self::YoungestDays => ValueType::Integer,
            Self::Stage => ValueType::Text,
            Self::OrderDay | Self::ConfirmationDay | Self::EarningDay => ValueType::Time,
        }
    }
}
