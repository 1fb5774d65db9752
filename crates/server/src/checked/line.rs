//! Decisions, sends, orders and what customers sign, a line each. A decision's line is made from its record: what was chosen,
//! for what, through which channel, and the names of the slots that it read.

use super::{At, Day, write};
use luopan_kernel::decide::Decision;
use luopan_kernel::plan::{PolicyPlan, ScenePlan};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use serde::Serialize;
use std::borrow::Cow;

/// What a decision is for. A scene does not say it of its policies: who exports does ([`super::Names`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The platform reaches out.
    Push,
    /// It stands on a shelf that the customer browses.
    Show,
    /// The customer's own purchase is checked.
    Buy,
    /// The customer's own redemption is checked.
    Redeem,
    /// It advises to leave what it chooses. The checker reads it as shown, with the product that is left.
    #[serde(rename = "show")]
    Advise,
    /// It explains what it chooses and offers nothing. The checker reads it as shown, with no product.
    #[serde(rename = "show")]
    Explain,
}

/// A decision and what belongs to it beside its record.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// When.
    pub at: Micros,
    /// Its id.
    pub id: &'a str,
    /// The customer, as orders and facts name her.
    pub customer: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Scene.
    pub scene: &'a ScenePlan,
    /// Policy.
    pub policy: &'a PolicyPlan,
    /// What was decided.
    pub decision: &'a Decision,
    /// Context of the request, by name.
    pub context: &'a [(Cow<'a, str>, Value<'a>)],
    /// The text that goes out, where one does.
    pub text: Option<&'a str>,
    /// It is not sent yet: a [`send`] follows.
    pub queued: bool,
    /// The offer that a purchase answers.
    pub answers: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "decision")]
struct DecisionLine<'a> {
    at: At,
    id: &'a str,
    customer: &'a str,
    purpose: Purpose,
    channel: &'a str,
    policy: &'a str,
    items: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    switch_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redemption_fee_shown: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    queued: bool,
    reads: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shows: Option<Shows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<&'a str>,
}

#[derive(Serialize)]
struct Shows {
    #[serde(rename = "return")]
    performance: bool,
    annualised: bool,
    volatility: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_days: Option<i64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(v: &bool) -> bool {
    !v
}

/// Names of the slots that a decision was made from.
fn reads(decision: &Decision) -> Vec<&str> {
    let items = decision.choices.iter().map(|c| &c.reads);
    let held = decision.held_read.iter().map(|h| &h.reads);
    let read = [&decision.slots_read].into_iter().chain(items).chain(held);
    let mut out: Vec<&str> = read.flatten().map(|(name, _)| name.as_str()).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Appends a decision.
///
/// # Errors
/// A time that cannot be written.
pub fn decision(out: &mut Vec<u8>, d: &Decided<'_>) -> Result<(), serde_json::Error> {
    let said = |name: &str| {
        let found = d.context.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v)
    };
    let text = |name: &str| match said(name) {
        Some(Value::Text(v)) => Some(v.as_ref()),
        _ => None,
    };
    let flag = |name: &str| matches!(said(name), Some(Value::Bool(true)));
    let shows = Shows {
        performance: flag("shows_return"),
        annualised: flag("shows_annualised"),
        volatility: flag("shows_volatility"),
        window_days: match said("shows_window_days") {
            Some(Value::Int(days)) => Some(*days),
            _ => None,
        },
    };
    let mut chosen = d.decision.choices.iter().map(|c| c.item.as_str());
    // Where a scene says what can be ordered, nothing else is a product.
    let orders = &d.scene.orders;
    let has_products =
        orders.is_empty() || (orders.iter()).any(|o| o.catalogue == d.policy.catalogue);
    let switch_from = match d.purpose {
        Purpose::Advise => chosen.next(),
        _ => None,
    };
    let offers = has_products && !matches!(d.purpose, Purpose::Advise | Purpose::Explain);
    let (items, other) = match offers {
        true => (chosen.collect(), vec![]),
        false => (vec![], chosen.collect()),
    };
    let line = DecisionLine {
        at: At(d.at),
        id: d.id,
        customer: d.customer,
        purpose: d.purpose,
        channel: &d.policy.channel,
        policy: &d.policy.name,
        items,
        other,
        redemption_fee_shown: (switch_from.and(said("redemption_fee_shown")))
            .and_then(Value::as_number),
        switch_from,
        text: d.text,
        queued: d.queued,
        reads: reads(d.decision),
        shows: (shows.performance || shows.annualised).then_some(shows),
        advice: text("advice"),
        recording: text("recording_id"),
        trail: text("trail_id"),
        answers: d.answers,
    };
    write(out, &line)
}

/// What became of a queued decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SendStatus {
    /// It went out.
    Sent,
    /// It did not.
    Cancelled,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "send")]
struct SendLine<'a> {
    at: At,
    decision: &'a str,
    customer: &'a str,
    status: SendStatus,
}

/// Appends what became of a queued decision.
///
/// # Errors
/// A time that cannot be written.
pub fn send(
    out: &mut Vec<u8>,
    at: Micros,
    decision: &str,
    customer: &str,
    status: SendStatus,
) -> Result<(), serde_json::Error> {
    let line = SendLine {
        at: At(at),
        decision,
        customer,
        status,
    };
    write(out, &line)
}

/// A step of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Placed.
    Submitted,
    /// Taken.
    Accepted,
    /// Shares and money moved.
    Confirmed,
    /// Refused.
    Failed,
    /// Taken back.
    Cancelled,
    /// The money of a redemption arrived.
    Paid,
}

/// Bought or redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Bought.
    Buy,
    /// Redeemed.
    Redeem,
}

/// A step of an order as it was told. Money is in minor units; days are days since 1970-01-01; what is none was not told.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in the checker's README.md, field by field")]
pub struct Ordered<'a> {
    pub at: Micros,
    pub id: &'a str,
    pub customer: &'a str,
    pub product: &'a str,
    pub step: Step,
    pub side: Side,
    pub channel: &'a str,
    pub amount: Option<i64>,
    pub shares: Option<f64>,
    pub nav: Option<f64>,
    pub fee: Option<i64>,
    pub trade_day: Option<i64>,
    pub confirmed_on: Option<i64>,
    pub earning_changes_on: Option<i64>,
    pub fast: bool,
    pub decision: Option<&'a str>,
    pub recording: Option<&'a str>,
    pub trail: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "order")]
struct OrderLine<'a> {
    at: At,
    id: &'a str,
    customer: &'a str,
    product: &'a str,
    step: Step,
    side: Side,
    channel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nav: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_day: Option<Day>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_on: Option<Day>,
    #[serde(skip_serializing_if = "Option::is_none")]
    earning_changes_on: Option<Day>,
    #[serde(skip_serializing_if = "is_false")]
    fast: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<&'a str>,
}

/// Appends a step of an order.
///
/// # Errors
/// A time or number that cannot be written.
pub fn order(out: &mut Vec<u8>, o: &Ordered<'_>) -> Result<(), serde_json::Error> {
    let line = OrderLine {
        at: At(o.at),
        id: o.id,
        customer: o.customer,
        product: o.product,
        step: o.step,
        side: o.side,
        channel: o.channel,
        amount: o.amount,
        shares: o.shares,
        nav: o.nav,
        fee: o.fee,
        trade_day: o.trade_day.map(Day),
        confirmed_on: o.confirmed_on.map(Day),
        earning_changes_on: o.earning_changes_on.map(Day),
        fast: o.fast,
        decision: o.decision,
        recording: o.recording,
        trail: o.trail,
    };
    write(out, &line)
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "acknowledgement")]
struct Acknowledged<'a> {
    at: At,
    customer: &'a str,
    product: &'a str,
    version: &'a str,
}

/// Appends that a customer acknowledged a risk notice in this version.
///
/// # Errors
/// A time that cannot be written.
pub fn acknowledgement(
    out: &mut Vec<u8>,
    at: Micros,
    customer: &str,
    product: &str,
    version: &str,
) -> Result<(), serde_json::Error> {
    let line = Acknowledged {
        at: At(at),
        customer,
        product,
        version,
    };
    write(out, &line)
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "warning")]
struct Warned<'a> {
    at: At,
    customer: &'a str,
    product: &'a str,
    rating: i64,
}

/// Appends that a customer signed that a product's risk, `rating`, is above the own class.
///
/// # Errors
/// A time that cannot be written.
pub fn warning(
    out: &mut Vec<u8>,
    at: Micros,
    customer: &str,
    product: &str,
    rating: i64,
) -> Result<(), serde_json::Error> {
    let line = Warned {
        at: At(at),
        customer,
        product,
        rating,
    };
    write(out, &line)
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "conversion")]
struct Converted<'a> {
    at: At,
    customer: &'a str,
    order: &'a str,
}

/// Appends that an order was counted as a conversion.
///
/// # Errors
/// A time that cannot be written.
pub fn conversion(
    out: &mut Vec<u8>,
    at: Micros,
    customer: &str,
    order: &str,
) -> Result<(), serde_json::Error> {
    let line = Converted {
        at: At(at),
        customer,
        order,
    };
    write(out, &line)
}
