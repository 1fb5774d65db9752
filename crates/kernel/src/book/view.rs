//! Books read as one: the union of the books of a customer's linked identifiers. Lots of one day are one lot, sums are
//! sums, and what one identifier is short of is covered by the oldest lots of the others; so the order in which books are
//! given changes nothing, and un-linking is exact.

use super::holding::{add_lot, cover};
use super::{Anomaly, Book, Lot, OpenOrder, Short, Side, Stage, money_of};
use crate::plan::orders::{BookTag, FeeStep, HeldTag, OrdersPlan};
use crate::plan::rule::Expr;
use crate::plan::slot::Calendar;
use crate::rule::eval;
use crate::slots::{AloneLookup, ItemSlots};
use crate::time::Micros;
use crate::trading::day_at;
use crate::value::{NUMBER_QUANTA, Value, from_quanta, to_quanta};
use std::collections::BTreeMap;

/// One item, as a customer holds it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Position<'b> {
    /// Ascending by day, one a day.
    pub lots: Vec<Lot>,
    /// What was redeemed and never bought, as far as is known. Never beside lots.
    pub short: Short,
    /// Minor units paid, ever.
    pub bought: i128,
    /// Minor units received, ever.
    pub redeemed: i128,
    /// Proceeds less cost of what was redeemed.
    pub realised: i128,
    /// Fees.
    pub fees: i128,
    /// Time of the first confirmed purchase.
    pub first_buy_at: Option<Micros>,
    /// Time of the latest confirmed purchase.
    pub last_buy_at: Option<Micros>,
    /// The net asset value last confirmed, in quanta.
    pub nav: Option<(Micros, i128)>,
    /// Something of it was confirmed at some time.
    pub was_held: bool,
    /// Open orders, by time of submission.
    pub open: Vec<&'b OpenOrder>,
    /// What was redeemed fast, by day; none as amount where it is not known.
    pub fast: BTreeMap<i64, Option<i128>>,
    /// Days of which it is not known of any item.
    pub fast_lost: Vec<i64>,
}

/// Stages of a holding, in the order of its life.
pub const STAGES: [&str; 5] = ["before", "ordered", "held", "redeeming", "after"];

impl Position<'_> {
    /// Shares held, in quanta.
    pub fn shares(&self) -> i128 {
        (self.lots.iter()).fold(0, |sum: i128, l| sum.saturating_add(l.shares))
    }

    /// Cost of what is held, in minor units.
    pub fn cost(&self) -> i128 {
        (self.lots.iter()).fold(0, |sum: i128, l| sum.saturating_add(l.cost))
    }

    /// Shares that open redemptions take, in quanta.
    pub fn leaving(&self) -> i128 {
        (self.open.iter())
            .filter(|o| o.is_pending() && o.side == Side::Redeem)
            .fold(0, |sum: i128, o| sum.saturating_add(o.shares.unwrap_or(0)))
    }

    /// Money redeemed fast on `day`; none when it is not known.
    pub fn fast_on(&self, day: i64) -> Option<i128> {
        if self.fast_lost.contains(&day) {
            return None;
        }
        self.fast.get(&day).copied().unwrap_or(Some(0))
    }

    /// Where the holding stands in its life: `before`, `ordered`, `held`, `redeeming`, `after`.
    pub fn stage(&self) -> &'static str {
        if self.open.iter().any(|o| o.side == Side::Redeem) {
            "redeeming"
        } else if !self.lots.is_empty() {
            "held"
        } else if !self.open.is_empty() {
            "ordered"
        } else if self.was_held {
            "after"
        } else {
            "before"
        }
    }
}

/// All that a customer holds and has ordered, by item.
pub fn positions<'b>(books: &[&'b Book]) -> BTreeMap<&'b str, Position<'b>> {
    let mut out: BTreeMap<&str, Position<'b>> = BTreeMap::new();
    for holding in books.iter().flat_map(|b| &b.holdings) {
        let p = out.entry(holding.item.as_str()).or_default();
        holding
            .lots
            .iter()
            .for_each(|lot| add_lot(&mut p.lots, *lot));
        p.short.shares = p.short.shares.saturating_add(holding.short.shares);
        p.short.proceeds = p.short.proceeds.saturating_add(holding.short.proceeds);
        p.bought = p.bought.saturating_add(holding.bought);
        p.redeemed = p.redeemed.saturating_add(holding.redeemed);
        p.realised = p.realised.saturating_add(holding.realised);
        p.fees = p.fees.saturating_add(holding.fees);
        p.first_buy_at = [p.first_buy_at, holding.first_buy_at]
            .into_iter()
            .flatten()
            .min();
        p.last_buy_at = p.last_buy_at.max(holding.last_buy_at);
        p.nav = p.nav.max(holding.nav);
        p.was_held = true;
    }
    for p in out.values_mut() {
        p.realised = p.realised.saturating_add(cover(&mut p.lots, &mut p.short));
    }
    let mut open: BTreeMap<(u128, Stage), &'b OpenOrder> = BTreeMap::new();
    for (b, book) in books.iter().enumerate() {
        for order in &book.open {
            // What another identifier was told of the same order: it is further on there, or stands there too.
            let is_further = |other: &Book| {
                other.ended_of(order.order).is_some()
                    || (other.open.iter()).any(|o| o.order == order.order && o.stage > order.stage)
            };
            if (books.iter().enumerate()).any(|(i, other)| i != b && is_further(other)) {
                continue;
            }
            let told = |o: &OpenOrder| (o.at, o.amount, o.shares, o.side == Side::Redeem);
            let held = open.entry((order.order, order.stage)).or_insert(order);
            if (told(order), &order.item) < (told(held), &held.item) {
                *held = order;
            }
        }
    }
    for order in open.into_values() {
        out.entry(order.item.as_str()).or_default().open.push(order);
    }
    for f in books.iter().flat_map(|b| &b.fast) {
        let of = out.entry(f.item.as_str()).or_default();
        let sum = of.fast.entry(f.day).or_insert(Some(0));
        *sum = (sum.zip(f.amount)).map(|(a, b)| a.saturating_add(b));
    }
    let lost: Vec<i64> = books.iter().filter_map(|b| b.fast_lost).collect();
    for p in out.values_mut() {
        p.open.sort_by_key(|o| (o.at, o.order));
        p.fast_lost.clone_from(&lost);
    }
    out
}

/// What a customer's books come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Items of which shares are held.
    pub holdings: u64,
    /// Cost of what is held.
    pub cost: i128,
    /// Value at the net asset values last confirmed; none when it does not fit.
    pub value: Option<i128>,
    /// Bought less redeemed.
    pub net_subscription: i128,
    /// Proceeds less cost of what was redeemed.
    pub realised: i128,
    /// Fees.
    pub fees: i128,
    /// Pending orders.
    pub open_orders: u64,
    /// Money in pending purchases.
    pub open_amount: i128,
    /// Money confirmed and not arrived.
    pub unpaid: i128,
    /// Time of the first confirmed purchase.
    pub first_buy_at: Option<Micros>,
    /// Time of the latest confirmed purchase.
    pub last_buy_at: Option<Micros>,
    /// Events that told of no legal step.
    pub anomalies: u64,
}

/// Sums over all items. `minor_digits` are those of the currency.
pub fn summary(books: &[&Book], minor_digits: u8) -> Summary {
    let mut out = Summary {
        value: Some(0),
        ..Summary::default()
    };
    for book in books {
        let gone = book.gone;
        out.net_subscription = (out.net_subscription)
            .saturating_add(gone.bought)
            .saturating_sub(gone.redeemed);
        out.realised = out.realised.saturating_add(gone.realised);
        out.fees = out.fees.saturating_add(gone.fees);
        for kind in Anomaly::ALL {
            out.anomalies = out.anomalies.saturating_add(book.count(kind));
        }
    }
    for p in positions(books).values() {
        let cost = p.cost();
        out.holdings += u64::from(!p.lots.is_empty());
        out.cost = out.cost.saturating_add(cost);
        let value = match p.nav {
            Some((_, nav)) => money_of(p.shares(), nav, minor_digits),
            None => Some(cost),
        };
        out.value = (out.value.zip(value)).and_then(|(a, b)| a.checked_add(b));
        out.net_subscription = (out.net_subscription)
            .saturating_add(p.bought)
            .saturating_sub(p.redeemed);
        out.realised = out.realised.saturating_add(p.realised);
        out.fees = out.fees.saturating_add(p.fees);
        out.first_buy_at = [out.first_buy_at, p.first_buy_at]
            .into_iter()
            .flatten()
            .min();
        out.last_buy_at = out.last_buy_at.max(p.last_buy_at);
        for order in &p.open {
            let amount = i128::from(order.amount.unwrap_or(0));
            match (order.is_pending(), order.side) {
                (true, side) => {
                    out.open_orders += 1;
                    if side == Side::Buy {
                        out.open_amount = out.open_amount.saturating_add(amount);
                    }
                }
                (false, _) => out.unpaid = out.unpaid.saturating_add(amount),
            }
        }
    }
    out
}

/// Whole units as a value; missing when they do not fit.
fn whole(units: i128) -> Value<'static> {
    i64::try_from(units).map_or(Value::Missing, Value::Int)
}

impl Summary {
    /// The value of a slot at `now`.
    pub fn read(&self, tag: BookTag, now: Micros) -> Value<'static> {
        let time = |at: Option<Micros>| at.map_or(Value::Missing, Value::Time);
        let since =
            |at: Option<Micros>| at.map_or(Value::Missing, |at| Value::Int(now.since(at).max(0)));
        match tag {
            BookTag::Holdings => whole(i128::from(self.holdings)),
            BookTag::Cost => whole(self.cost),
            BookTag::Value => self.value.map_or(Value::Missing, whole),
            BookTag::NetSubscription => whole(self.net_subscription),
            BookTag::Realised => whole(self.realised),
            BookTag::Fees => whole(self.fees),
            BookTag::OpenOrders => whole(i128::from(self.open_orders)),
            BookTag::OpenAmount => whole(self.open_amount),
            BookTag::Unpaid => whole(self.unpaid),
            BookTag::FirstBuyAt => time(self.first_buy_at),
            BookTag::LastBuyAt => time(self.last_buy_at),
            BookTag::SinceFirstBuy => since(self.first_buy_at),
            BookTag::SinceLastBuy => since(self.last_buy_at),
            BookTag::Anomalies => whole(i128::from(self.anomalies)),
        }
    }
}

/// What a slot of customer and item shows where the customer has nothing to do with the item.
pub fn not_held(tag: HeldTag) -> Value<'static> {
    match tag {
        HeldTag::Shares | HeldTag::RedemptionFee | HeldTag::Redeemable => Value::Number(0.0),
        HeldTag::Cost | HeldTag::Value | HeldTag::FastToday => Value::Int(0),
        HeldTag::Stage => Value::text("before"),
        HeldTag::Days
        | HeldTag::YoungestDays
        | HeldTag::OrderDay
        | HeldTag::ConfirmationDay
        | HeldTag::EarningDay
        | HeldTag::RedeemingFee => Value::Missing,
    }
}

/// All that is needed to read a position beside its item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'r> {
    pub(crate) orders: &'r OrdersPlan,
    pub(crate) calendar: Option<&'r Calendar>,
    pub(crate) now: Micros,
    /// The slots of the catalogue's items, for expressions over their attributes.
    pub(crate) slots: &'r ItemSlots,
}

impl Reading<'_> {
    /// The value of a slot of the position and its item, whose attributes are `item`.
    pub(crate) fn read(
        &self,
        tag: HeldTag,
        key: &str,
        p: &Position<'_>,
        item: &[Value<'_>],
    ) -> Value<'static> {
        let attribute = |index: Option<u16>| index.and_then(|i| item.get(usize::from(i)));
        let today = day_at(self.now, self.orders.utc_offset_s);
        let days = |lot: Option<&Lot>| {
            lot.map_or(Value::Missing, |lot| {
                Value::Int(today.saturating_sub(lot.day).max(0))
            })
        };
        match tag {
            HeldTag::Shares => Value::Number(from_quanta(p.shares())),
            HeldTag::Cost => whole(p.cost()),
            HeldTag::Value => {
                let present = match attribute(self.orders.nav) {
                    Some(Value::Number(nav)) => to_quanta(*nav).filter(|q| *q > 0),
                    _ => None,
                };
                match present.or(p.nav.map(|(_, nav)| nav)) {
                    _ if p.lots.is_empty() => Value::Int(0),
                    Some(nav) => money_of(p.shares(), nav, self.orders.minor_digits)
                        .map_or(Value::Missing, whole),
                    None => Value::Missing,
                }
            }
            HeldTag::Days => days(p.lots.first()),
            HeldTag::YoungestDays => days(p.lots.last()),
            HeldTag::Stage => Value::text(p.stage()),
            HeldTag::RedemptionFee | HeldTag::RedeemingFee => {
                let own: Option<Vec<FeeStep>> = match attribute(self.orders.fee_attribute) {
                    Some(Value::Text(text)) => match super::fee_ladder(text) {
                        Some(ladder) => Some(ladder),
                        // What cannot be read is not known, and never free of charge.
                        None if p.lots.is_empty() => None,
                        None => return Value::Missing,
                    },
                    _ => None,
                };
                let ladder = own.as_deref().unwrap_or(&self.orders.fees);
                if tag == HeldTag::RedemptionFee {
                    return Value::Number(super::fee_rate(&p.lots, ladder, today));
                }
                super::fee_rate_of(&p.lots, p.leaving(), ladder, today)
                    .map_or(Value::Missing, Value::Number)
            }
            HeldTag::Redeemable => {
                let left = p.shares().saturating_sub(p.leaving()).max(0);
                Value::Number(from_quanta(left))
            }
            HeldTag::FastToday => p.fast_on(today).map_or(Value::Missing, whole),
            HeldTag::OrderDay | HeldTag::ConfirmationDay | HeldTag::EarningDay => self
                .day(tag, key, p, item)
                .map_or(Value::Missing, Value::Time),
        }
    }

    /// When the day that `tag` names of the newest open order begins.
    fn day(&self, tag: HeldTag, key: &str, p: &Position<'_>, item: &[Value<'_>]) -> Option<Micros> {
        let calendar = self.calendar?;
        let exchange = calendar.exchange.as_ref()?;
        let placed = (p.open.iter()).filter(|o| o.is_pending());
        let ordered = calendar.order_day(placed.map(|o| o.at).max()?)?;
        let key = Value::text(key.to_owned());
        let lag = |after: &Option<Expr>| {
            let lookup = AloneLookup {
                slots: self.slots,
                key: &key,
                item,
            };
            match eval(after.as_ref()?, &lookup) {
                Value::Int(days) => u32::try_from(days).ok().filter(|d| *d <= LAG_DAYS_MAX),
                _ => None,
            }
        };
        let confirmed = || calendar.confirmation_day(ordered, lag(&self.orders.confirms_after)?);
        let day = match tag {
            HeldTag::ConfirmationDay => confirmed()?,
            HeldTag::EarningDay => {
                calendar.earning_change(confirmed()?, lag(&self.orders.earns_after)?)?
            }
            _ => ordered,
        };
        Some(exchange.start_of(day))
    }
}

/// Most trading days after which an order is confirmed or earns.
pub const LAG_DAYS_MAX: u32 = 366;

const _: () = assert!(
    NUMBER_QUANTA == 1_000_000_000,
    "values are reckoned in 1e-18"
);
