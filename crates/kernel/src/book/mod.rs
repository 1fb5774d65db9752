//! The book of one identifier: its open orders, what it holds, and what its redemptions brought, folded from the events that
//! an [`OrdersPlan`](crate::plan::OrdersPlan) names.
//!
//! The state machine of an order is submitted, accepted, confirmed (a redemption then awaits its money: paid), or failed or
//! cancelled before it is confirmed. Events are taken in log order; dates are those at which things happened. What is not a
//! legal step changes no position, with three exceptions stated at [`Anomaly`], and is counted by kind: nothing is lost
//! silently and nothing panics. Everything is exact: money in minor units, shares in quanta of 1e-9.
//!
//! Books stay apart by identifier. A customer of several linked identifiers is read as the union of their books ([`view`]):
//! shares, what was bought, redeemed and paid in fees, and counts are sums, so they do not depend on which identifier or in
//! which order; which lot a redemption used up (first in, first out) is settled within each book, in log order.
//!
//! This room must never read a clock or a catalogue: a product that vanishes stays held.

mod fees;
mod holding;
mod store;
pub mod view;

pub use fees::{fee_ladder, fee_rate, fee_rate_of};
pub use holding::{Holding, Lot, Short, money_of};
pub use view::{Position, Summary, positions, summary};

use crate::event::Event;
use crate::id::{DecisionId, hash64, hash128};
use crate::plan::ScenePlan;
use crate::plan::orders::{OrderEvent, OrderStep, OrdersPlan};
use crate::time::Micros;
use crate::trading::day_at;
use crate::value::{Value, to_quanta};
use std::collections::VecDeque;

/// Most open orders of one book. Past it the oldest is forgotten and counted; its confirmation is applied all the same.
pub const OPEN_ORDERS_MAX: usize = 64;
/// Ended orders that a book remembers, to know a repeat from something new.
pub const ENDED_KEPT: usize = 64;
/// Most items of one book. Past it the one that is longest no longer held is let go into totals; when all are held, what is
/// confirmed for another item is kept in the totals alone, and counted.
pub const HOLDINGS_MAX: usize = 128;
/// Most lots of one holding. Past it the two oldest become one of the later day: a holding time is never overstated.
pub const LOTS_MAX: usize = 32;
/// Most items of which a book remembers what was redeemed fast today and yesterday. Past it what was redeemed fast on that day
/// is not known of any item.
pub const FAST_KEPT: usize = 32;
/// Longest key of an item that is taken, in bytes.
pub const ITEM_BYTES_MAX: usize = crate::catalogue::KEY_BYTES_MAX;
/// Most bytes that a book takes in a stored profile.
pub const BOOK_BYTES_MAX: usize = 64
    + OPEN_ORDERS_MAX * (ITEM_BYTES_MAX + 112)
    + ENDED_KEPT * 48
    + FAST_KEPT * (ITEM_BYTES_MAX + 32)
    + HOLDINGS_MAX * (ITEM_BYTES_MAX + 192 + LOTS_MAX * 48)
    + 16 * Anomaly::ALL.len();

/// Purchase or redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Money becomes shares.
    Buy,
    /// Shares become money.
    Redeem,
}

/// Where an open order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Placed.
    Submitted,
    /// Taken by the seller.
    Accepted,
    /// A redemption whose shares are gone and whose money has not arrived.
    Unpaid,
}

/// An order that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOrder {
    /// Hash of its id.
    pub order: u128,
    /// Side.
    pub side: Side,
    /// Stage.
    pub stage: Stage,
    /// Key of the item.
    pub item: String,
    /// Minor units: what a purchase pays; of an unpaid redemption, what it gives.
    pub amount: Option<i64>,
    /// Quanta: what a redemption takes.
    pub shares: Option<i128>,
    /// The decision that it answers.
    pub decision: Option<DecisionId>,
    /// When it was placed.
    pub at: Micros,
    /// The money was told of before the confirmation.
    pub paid: bool,
    /// Of a fast redemption, the money that it counts for in the limit of its day.
    pub fast: Option<FastAmount>,
    /// Hash of what was confirmed, of an unpaid redemption.
    digest: u64,
}

impl OpenOrder {
    /// True while it is neither confirmed nor ended.
    pub fn is_pending(&self) -> bool {
        self.stage < Stage::Unpaid
    }
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Confirmed, and nothing more to come.
    Confirmed,
    /// Refused.
    Failed,
    /// Taken back.
    Cancelled,
    /// Confirmed and its money arrived.
    Paid,
}

/// Minor units; none when they were not told.
pub type FastAmount = Option<i64>;

/// What was redeemed fast of an item on one day, by the clock of the orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastDay {
    /// Key of the item.
    pub item: String,
    /// The day.
    pub day: i64,
    /// Minor units; none when they are not known.
    pub amount: Option<i128>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    /// It is open.
    Open(Stage),
    /// It ended.
    Ended(End),
}

/// An order that ended, as far as it is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Hash of its id.
    pub order: u128,
    /// How.
    pub end: End,
    /// The decision that it answered.
    pub decision: Option<DecisionId>,
    digest: u64,
}

/// What can be wrong with an event of an order. None of these changes anything, but where it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// It names no order.
    Unnamed,
    /// It lacks what the step needs: item, a positive amount or number of shares; or its side is no side.
    Unusable,
    /// The same step with the same content again.
    Repeated,
    /// A second confirmation with other numbers, or one for another item or side than was ordered. The first stands, and
    /// the order's own item and side.
    Contradicted,
    /// A step that comes after a later one of the same order: submitted or accepted after the end, paid before the
    /// confirmation (which is remembered).
    OutOfOrder,
    /// A step after another end: cancelled after confirmed, confirmed after failed. The first end stands.
    AfterEnd,
    /// A step of an order that was never submitted. A failure or cancellation is remembered, so that a late submission
    /// opens nothing.
    Unknown,
    /// A confirmation of an order that was never submitted. It **is applied**: the shares are there.
    WithoutBeginning,
    /// A redemption was submitted for more than is held and not yet being redeemed. It is opened all the same.
    MoreThanHeld,
    /// A redemption was confirmed for more than is held. It **is applied**: what is missing stands as a short, which later
    /// purchases cover first.
    Short,
    /// The oldest open order made room for another.
    Forgotten,
    /// Something was confirmed for one item more than are kept. It **is kept** in the totals alone.
    NoRoom,
}

impl Anomaly {
    /// Every kind, in stored order.
    pub const ALL: [Self; 12] = [
        Self::Unnamed,
        Self::Unusable,
        Self::Repeated,
        Self::Contradicted,
        Self::OutOfOrder,
        Self::AfterEnd,
        Self::Unknown,
        Self::WithoutBeginning,
        Self::MoreThanHeld,
        Self::Short,
        Self::Forgotten,
        Self::NoRoom,
    ];

    /// The word in answers and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unnamed => "unnamed",
            Self::Unusable => "unusable",
            Self::Repeated => "repeated",
            Self::Contradicted => "contradicted",
            Self::OutOfOrder => "out_of_order",
            Self::AfterEnd => "after_end",
            Self::Unknown => "unknown",
            Self::WithoutBeginning => "without_beginning",
            Self::MoreThanHeld => "more_than_held",
            Self::Short => "short",
            Self::Forgotten => "forgotten",
            Self::NoRoom => "no_room",
        }
    }
}

/// Sums over items that are no longer kept one by one, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Paid for purchases.
    pub bought: i128,
    /// Received from redemptions.
    pub redeemed: i128,
    /// Proceeds less cost.
    pub realised: i128,
    /// Fees.
    pub fees: i128,
}

/// Orders and holdings of one identifier in one catalogue.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Book {
    /// In log order of their submission.
    open: Vec<OpenOrder>,
    /// Oldest first.
    ended: VecDeque<Ended>,
    /// Ascending by item.
    holdings: Vec<Holding>,
    gone: Totals,
    anomalies: [u64; Anomaly::ALL.len()],
    /// Of the newest day of a fast redemption and the one before, ascending by day and item.
    fast: Vec<FastDay>,
    /// The latest day of which more was redeemed fast than is remembered.
    fast_lost: Option<i64>,
}

/// What one event tells.
#[derive(Debug, Clone, Copy)]
struct Told<'e> {
    step: OrderStep,
    order: u128,
    item: Option<&'e str>,
    side: Option<Side>,
    amount: Option<i64>,
    shares: Option<i128>,
    fee: i64,
    nav: Option<i128>,
    decision: Option<DecisionId>,
    fast: bool,
    at: Micros,
}

/// What a confirmation moves.
struct Moved<'e> {
    item: &'e str,
    side: Side,
    amount: i64,
    shares: i128,
    fee: i64,
    nav: Option<i128>,
    at: Micros,
    day: i64,
}

impl Book {
    /// Open orders, in the order in which they were submitted.
    pub fn open(&self) -> &[OpenOrder] {
        &self.open
    }

    /// Orders that ended, as far as they are remembered, oldest first.
    pub fn ended(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter()
    }

    /// What is or was held, ascending by item.
    pub fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    /// Sums over the items that are no longer kept one by one.
    pub fn gone(&self) -> Totals {
        self.gone
    }

    /// What was redeemed fast, ascending by day and item.
    pub fn fast(&self) -> &[FastDay] {
        &self.fast
    }

    /// True when nobody knows any more what was redeemed fast on `day`.
    pub fn fast_is_lost(&self, day: i64) -> bool {
        self.fast_lost == Some(day)
    }

    /// True when the book holds what a profile of format 2 cannot.
    pub(crate) fn is_fast(&self) -> bool {
        !self.fast.is_empty()
            || self.fast_lost.is_some()
            || self.open.iter().any(|o| o.fast.is_some())
    }

    /// Counts a fast redemption for its day.
    fn redeem_fast(&mut self, item: &str, day: i64, amount: FastAmount) {
        let newest = (self.fast.iter().map(|f| f.day)).fold(day, i64::max);
        self.fast.retain(|f| f.day >= newest - 1);
        if day < newest - 1 {
            return;
        }
        let place = (self.fast).binary_search_by(|f| (f.day, f.item.as_str()).cmp(&(day, item)));
        match place {
            Ok(i) => {
                let both = self.fast[i].amount.zip(amount);
                self.fast[i].amount = both.map(|(a, b)| a.saturating_add(i128::from(b)));
            }
            Err(_) if self.fast.len() >= FAST_KEPT => {
                self.fast_lost = self.fast_lost.max(Some(day));
            }
            Err(i) => self.fast.insert(
                i,
                FastDay {
                    item: item.to_owned(),
                    day,
                    amount: amount.map(i128::from),
                },
            ),
        }
    }

    /// A fast redemption did not come about: its day has room again.
    fn unredeem_fast(&mut self, order: &OpenOrder, day: i64) {
        let Some(Some(amount)) = order.fast else {
            return;
        };
        let of = |f: &&mut FastDay| f.day == day && f.item == order.item;
        if let Some(f) = self.fast.iter_mut().find(of) {
            f.amount = f.amount.map(|a| (a - i128::from(amount)).max(0));
        }
    }

    /// How many events were out of order, of one kind.
    pub fn count(&self, kind: Anomaly) -> u64 {
        self.anomalies[kind as usize]
    }

    /// The decision that the order of this id hash answers, while the order is remembered.
    pub fn decision_of(&self, order: u128) -> Option<DecisionId> {
        let open = self.open.iter().find(|o| o.order == order);
        match open {
            Some(open) => open.decision,
            None => self.ended_of(order)?.decision,
        }
    }

    /// Where the order of this id hash stands, while it is remembered.
    pub fn state_of(&self, order: u128) -> Option<OrderState> {
        let open = self.open.iter().find(|o| o.order == order);
        match open {
            Some(open) => Some(OrderState::Open(open.stage)),
            None => Some(OrderState::Ended(self.ended_of(order)?.end)),
        }
    }

    fn ended_of(&self, order: u128) -> Option<&Ended> {
        self.ended.iter().rev().find(|e| e.order == order)
    }

    fn note(&mut self, kind: Anomaly) {
        let count = &mut self.anomalies[kind as usize];
        *count = count.saturating_add(1);
    }

    fn apply(&mut self, plan: &BookPlan, told: Result<Told<'_>, Anomaly>) {
        let told = match told {
            Ok(told) => told,
            Err(kind) => return self.note(kind),
        };
        let open = self.open.iter().position(|o| o.order == told.order);
        match told.step {
            OrderStep::Submitted => self.submitted(plan, &told, open.is_some()),
            OrderStep::Accepted => self.accepted(&told, open),
            OrderStep::Confirmed => self.confirmed(plan, &told, open),
            OrderStep::Failed => self.stopped(plan, &told, open, End::Failed),
            OrderStep::Cancelled => self.stopped(plan, &told, open, End::Cancelled),
            OrderStep::Paid => self.paid(&told, open),
        }
    }

    fn submitted(&mut self, plan: &BookPlan, told: &Told<'_>, is_open: bool) {
        if is_open {
            return self.note(Anomaly::Repeated);
        }
        if self.ended_of(told.order).is_some() {
            return self.note(Anomaly::OutOfOrder);
        }
        let side = told.side.unwrap_or(Side::Buy);
        let Some(item) = told.item else {
            return self.note(Anomaly::Unusable);
        };
        let (amount, shares) = match side {
            Side::Buy => (told.amount.filter(|a| *a > 0), None),
            Side::Redeem => (None, told.shares),
        };
        if amount.is_none() && shares.is_none() {
            return self.note(Anomaly::Unusable);
        }
        if let Some(wanted) = shares {
            let held = self.holding(item).map_or(0, |h| h.shares());
            let leaving = (self.open.iter())
                .filter(|o| o.is_pending() && o.side == Side::Redeem && o.item == item)
                .fold(0i128, |sum, o| sum.saturating_add(o.shares.unwrap_or(0)));
            if wanted > held.saturating_sub(leaving) {
                self.note(Anomaly::MoreThanHeld);
            }
        }
        let fast = (told.fast && side == Side::Redeem).then(|| told.amount.filter(|a| *a > 0));
        if let Some(amount) = fast {
            self.redeem_fast(item, day_at(told.at, plan.utc_offset_s), amount);
        }
        self.open.push(OpenOrder {
            order: told.order,
            side,
            stage: Stage::Submitted,
            item: item.to_owned(),
            amount,
            shares,
            decision: told.decision,
            at: told.at,
            paid: false,
            fast,
            digest: 0,
        });
        if self.open.len() > OPEN_ORDERS_MAX {
            self.open.remove(0);
            self.note(Anomaly::Forgotten);
        }
    }

    fn accepted(&mut self, told: &Told<'_>, open: Option<usize>) {
        match open {
            Some(i) if self.open[i].stage == Stage::Submitted => {
                self.open[i].stage = Stage::Accepted;
            }
            Some(i) if self.open[i].stage == Stage::Accepted => self.note(Anomaly::Repeated),
            Some(_) => self.note(Anomaly::OutOfOrder),
            None => match self.ended_of(told.order) {
                Some(_) => self.note(Anomaly::OutOfOrder),
                None => self.note(Anomaly::Unknown),
            },
        }
    }

    fn confirmed(&mut self, plan: &BookPlan, told: &Told<'_>, open: Option<usize>) {
        let digest = told.digest();
        if let Some(i) = open
            && !self.open[i].is_pending()
        {
            let same = self.open[i].digest == digest;
            return self.note(if same {
                Anomaly::Repeated
            } else {
                Anomaly::Contradicted
            });
        }
        if let (None, Some(ended)) = (open, self.ended_of(told.order)) {
            let kind = match ended.end {
                End::Failed | End::Cancelled => Anomaly::AfterEnd,
                _ if ended.digest == digest => Anomaly::Repeated,
                _ => Anomaly::Contradicted,
            };
            return self.note(kind);
        }
        let ordered = open.map(|i| self.open[i].clone());
        let side = match &ordered {
            Some(order) => order.side,
            None => told.side.unwrap_or(Side::Buy),
        };
        let item = match &ordered {
            Some(order) => Some(order.item.as_str()),
            None => told.item,
        };
        let Some(moved) = item.and_then(|item| told.moved(plan, item, side, ordered.as_ref()))
        else {
            // The order stays open: a whole confirmation may follow.
            return self.note(Anomaly::Unusable);
        };
        let (decision, paid) = match &ordered {
            None => {
                self.note(Anomaly::WithoutBeginning);
                (told.decision, false)
            }
            Some(order) => {
                if told.item.is_some_and(|i| i != order.item)
                    || told.side.is_some_and(|s| s != order.side)
                {
                    self.note(Anomaly::Contradicted);
                }
                (order.decision.or(told.decision), order.paid)
            }
        };
        self.hold(&moved);
        let awaits_money = side == Side::Redeem && plan.pays && !paid;
        if awaits_money {
            let unpaid = OpenOrder {
                order: told.order,
                side,
                stage: Stage::Unpaid,
                item: moved.item.to_owned(),
                amount: Some(moved.amount),
                shares: None,
                decision,
                at: ordered.as_ref().map_or(told.at, |o| o.at),
                paid: false,
                fast: None,
                digest,
            };
            match open {
                Some(i) => self.open[i] = unpaid,
                None => {
                    self.open.push(unpaid);
                    if self.open.len() > OPEN_ORDERS_MAX {
                        self.open.remove(0);
                        self.note(Anomaly::Forgotten);
                    }
                }
            }
            return;
        }
        if let Some(i) = open {
            self.open.remove(i);
        }
        self.end(Ended {
            order: told.order,
            end: if paid { End::Paid } else { End::Confirmed },
            decision,
            digest,
        });
    }

    fn stopped(&mut self, plan: &BookPlan, told: &Told<'_>, open: Option<usize>, end: End) {
        let (kind, decision) = match open {
            Some(i) if self.open[i].is_pending() => {
                let order = self.open.remove(i);
                self.unredeem_fast(&order, day_at(order.at, plan.utc_offset_s));
                (None, order.decision)
            }
            Some(_) => return self.note(Anomaly::AfterEnd),
            None => match self.ended_of(told.order) {
                Some(e) if e.end == end => return self.note(Anomaly::Repeated),
                Some(_) => return self.note(Anomaly::AfterEnd),
                None => (Some(Anomaly::Unknown), told.decision),
            },
        };
        if let Some(kind) = kind {
            self.note(kind);
        }
        self.end(Ended {
            order: told.order,
            end,
            decision,
            digest: 0,
        });
    }

    fn paid(&mut self, told: &Told<'_>, open: Option<usize>) {
        match open {
            Some(i) if self.open[i].stage == Stage::Unpaid => {
                let order = self.open.remove(i);
                self.end(Ended {
                    order: told.order,
                    end: End::Paid,
                    decision: order.decision,
                    digest: order.digest,
                });
            }
            Some(i) => {
                if self.open[i].side == Side::Redeem {
                    self.open[i].paid = true;
                }
                self.note(Anomaly::OutOfOrder);
            }
            None => match self.ended_of(told.order).map(|e| e.end) {
                Some(End::Paid) => self.note(Anomaly::Repeated),
                Some(_) => self.note(Anomaly::AfterEnd),
                None => self.note(Anomaly::Unknown),
            },
        }
    }

    fn end(&mut self, ended: Ended) {
        self.ended.push_back(ended);
        if self.ended.len() > ENDED_KEPT {
            self.ended.pop_front();
        }
    }

    /// The holding of `item`.
    pub fn holding(&self, item: &str) -> Option<&Holding> {
        let place = (self.holdings).binary_search_by(|h| h.item.as_str().cmp(item));
        place.ok().map(|i| &self.holdings[i])
    }

    /// Applies a confirmation.
    fn hold(&mut self, moved: &Moved<'_>) {
        let find =
            |holdings: &[Holding]| holdings.binary_search_by(|h| h.item.as_str().cmp(moved.item));
        let place = match find(&self.holdings) {
            Ok(place) => place,
            Err(_) if self.holdings.len() >= HOLDINGS_MAX && !self.let_go() => {
                self.note(Anomaly::NoRoom);
                let (amount, fee) = (i128::from(moved.amount), i128::from(moved.fee));
                match moved.side {
                    Side::Buy => self.gone.bought = self.gone.bought.saturating_add(amount),
                    Side::Redeem => self.gone.redeemed = self.gone.redeemed.saturating_add(amount),
                }
                self.gone.fees = self.gone.fees.saturating_add(fee);
                return;
            }
            Err(_) => {
                let place = find(&self.holdings).unwrap_or_else(|place| place);
                self.holdings.insert(place, Holding::new(moved.item));
                place
            }
        };
        let holding = &mut self.holdings[place];
        holding.fees = holding.fees.saturating_add(i128::from(moved.fee));
        if let Some(nav) = moved.nav
            && holding.nav.is_none_or(|(at, _)| at <= moved.at)
        {
            holding.nav = Some((moved.at, nav));
        }
        match moved.side {
            Side::Buy => holding.buy(moved.shares, moved.amount, moved.at, moved.day),
            Side::Redeem => {
                if holding.redeem(moved.shares, moved.amount, moved.at) > 0 {
                    self.note(Anomaly::Short);
                }
            }
        }
    }

    /// Makes room: of the holdings that hold nothing and await nothing, the one that moved longest ago goes into the
    /// totals. False when there is none.
    fn let_go(&mut self) -> bool {
        let idle = (self.holdings.iter().enumerate())
            .filter(|(_, h)| h.is_empty() && !self.open.iter().any(|o| o.item == h.item))
            .min_by_key(|(i, h)| (h.last_at, *i));
        let Some((i, _)) = idle else { return false };
        let gone = self.holdings.remove(i);
        self.gone.bought = self.gone.bought.saturating_add(gone.bought);
        self.gone.redeemed = self.gone.redeemed.saturating_add(gone.redeemed);
        self.gone.realised = self.gone.realised.saturating_add(gone.realised);
        self.gone.fees = self.gone.fees.saturating_add(gone.fees);
        true
    }
}

impl<'e> Told<'e> {
    /// Hash of the numbers of a confirmation.
    fn digest(&self) -> u64 {
        let mut bytes = Vec::with_capacity(64);
        let mut number = |n: Option<i128>| {
            bytes.push(u8::from(n.is_some()));
            bytes.extend(n.unwrap_or(0).to_le_bytes());
        };
        number(self.amount.map(i128::from));
        number(self.shares);
        number(Some(i128::from(self.fee)));
        number(self.nav);
        hash64(&bytes)
    }

    /// What a confirmation moves; none when it does not say. What it leaves out is taken from the order, or reckoned from
    /// the net asset value: shares of a purchase and money of a redemption, rounded down to a quantum or minor unit.
    fn moved<'m>(
        &self,
        plan: &BookPlan,
        item: &'m str,
        side: Side,
        ordered: Option<&OpenOrder>,
    ) -> Option<Moved<'m>> {
        let (amount, shares) = match side {
            Side::Buy => {
                let amount = self.amount.or(ordered.and_then(|o| o.amount))?;
                let reckoned = || {
                    let net = i128::from(amount.checked_sub(self.fee)?);
                    let whole = 10i128.pow(18u32.saturating_sub(u32::from(plan.minor_digits)));
                    net.checked_mul(whole)?.checked_div(self.nav?)
                };
                (amount, self.shares.or_else(reckoned)?)
            }
            Side::Redeem => {
                let shares = self.shares.or(ordered.and_then(|o| o.shares))?;
                let reckoned = || {
                    let gross = money_of(shares, self.nav?, plan.minor_digits)?;
                    i64::try_from(gross.checked_sub(i128::from(self.fee))?).ok()
                };
                (self.amount.or_else(reckoned)?, shares)
            }
        };
        (amount >= 0 && shares > 0).then_some(Moved {
            item,
            side,
            amount,
            shares,
            fee: self.fee,
            nav: self.nav,
            at: self.at,
            day: day_at(self.at, plan.utc_offset_s),
        })
    }
}

/// How events become steps of one book.
#[derive(Debug, Clone)]
pub(crate) struct BookPlan {
    pub(crate) id: u64,
    minor_digits: u8,
    utc_offset_s: i32,
    /// A step `paid` is declared.
    pays: bool,
    /// Steps with the event's type and the names of the fields read.
    steps: Vec<StepPlan>,
}

#[derive(Debug, Clone)]
struct StepPlan {
    step: OrderStep,
    event: String,
    order: String,
    item: Option<String>,
    side: Option<String>,
    amount: Option<String>,
    shares: Option<String>,
    fee: Option<String>,
    nav: Option<String>,
    decision: Option<String>,
    fast: Option<String>,
}

impl BookPlan {
    pub(crate) fn new(scene: &ScenePlan, orders: &OrdersPlan) -> Self {
        Self {
            id: orders.id,
            minor_digits: orders.minor_digits,
            utc_offset_s: orders.utc_offset_s,
            pays: orders.events.iter().any(|e| e.step == OrderStep::Paid),
            steps: (orders.events.iter())
                .filter_map(|e| StepPlan::new(scene, e))
                .collect(),
        }
    }

    /// True when the event's type tells of an order.
    pub(crate) fn reads(&self, kind: &str) -> bool {
        self.steps.iter().any(|s| s.event == kind)
    }

    /// Folds one event.
    pub(crate) fn fold(&self, book: &mut Book, event: &Event<'_>) {
        for step in self.steps.iter().filter(|s| s.event == event.kind) {
            book.apply(self, step.told(event));
        }
    }
}

impl StepPlan {
    fn new(scene: &ScenePlan, event: &OrderEvent) -> Option<Self> {
        let schema = scene.events.get(usize::from(event.event))?;
        let name = |i: u16| schema.fields.get(usize::from(i)).map(|f| f.name.clone());
        let optional = |i: Option<u16>| i.and_then(name);
        Some(Self {
            step: event.step,
            event: schema.name.clone(),
            order: name(event.order)?,
            item: optional(event.item),
            side: optional(event.side),
            amount: optional(event.amount),
            shares: optional(event.shares),
            fee: optional(event.fee),
            nav: optional(event.nav),
            decision: optional(event.decision),
            fast: optional(event.fast),
        })
    }

    /// What the event tells, or what is wrong with it whatever the book holds.
    fn told<'e>(&self, event: &'e Event<'_>) -> Result<Told<'e>, Anomaly> {
        let text = |name: &Option<String>| match name.as_ref().map(|n| event.property(n)) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text.as_ref()),
            _ => None,
        };
        let money = |name: &Option<String>| match name.as_ref().map(|n| event.property(n)) {
            Some(Value::Int(v)) => Some(*v),
            _ => None,
        };
        // A number that is given and cannot be one of shares or a price is as if it were absent.
        let quanta = |name: &Option<String>| match name.as_ref().map(|n| event.property(n)) {
            Some(Value::Number(v)) => to_quanta(*v).filter(|q| *q > 0),
            _ => None,
        };
        let order = match event.property(&self.order) {
            Value::Text(id) if !id.is_empty() => order_hash(id),
            _ => return Err(Anomaly::Unnamed),
        };
        let side = match text(&self.side) {
            None => None,
            Some("buy") => Some(Side::Buy),
            Some("redeem") => Some(Side::Redeem),
            Some(_) => return Err(Anomaly::Unusable),
        };
        let fee = money(&self.fee).unwrap_or(0);
        let item = text(&self.item);
        if fee < 0 || item.is_some_and(|i| i.len() > ITEM_BYTES_MAX) {
            return Err(Anomaly::Unusable);
        }
        Ok(Told {
            step: self.step,
            order,
            item,
            side,
            amount: money(&self.amount),
            shares: quanta(&self.shares),
            fee,
            nav: quanta(&self.nav),
            decision: text(&self.decision).and_then(|d| d.parse().ok()),
            fast: (self.fast.as_ref()).is_some_and(|n| *event.property(n) == Value::Bool(true)),
            at: event.happened_at(),
        })
    }
}

/// The hash by which an order is known.
pub fn order_hash(id: &str) -> u128 {
    hash128(id.as_bytes())
}
