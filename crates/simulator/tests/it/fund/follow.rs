//! A book of its own over what was said: orders by customer, lots, cash, ratings, closures, prices. Days are counted through
//! a plain list of trading days, from its beginning each time.

use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_simulator::fund::{
    Event, Happening, ProductChange, ProductEvent, Refusal, Side, Told, World,
};
use std::collections::BTreeMap;

/// The exchange's day of a moment, and the microseconds gone of it.
pub(super) fn day_and_gone(at: Micros) -> (i64, i64) {
    let local = at.0 + 8 * HOUR_US;
    (local.div_euclid(DAY_US), local.rem_euclid(DAY_US))
}

/// The trading day that an order counts for, and the `n`-th trading day after it.
pub(super) fn t_and_n(days: &[i64], at: Micros, n: usize) -> (i64, i64) {
    let (today, gone) = day_and_gone(at);
    let from = if gone < 15 * HOUR_US {
        today
    } else {
        today + 1
    };
    let mut counted = days.iter().filter(|d| **d >= from);
    let t = *counted.next().unwrap();
    let confirmed = (0..n).fold(t, |_, _| *counted.next().unwrap());
    (t, confirmed)
}

#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) told: Told,
    pub(super) at: Micros,
    pub(super) accepted: bool,
    /// `failed`, `cancelled`, `confirmed`, `paid`.
    pub(super) end: Option<&'static str>,
    pub(super) brings: i64,
    pub(super) confirmed_day: i64,
}

/// What is known of one customer.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) appetite: Option<u8>,
    pub(super) expires: Option<Micros>,
    pub(super) orders: Vec<Placed>,
    /// Product, confirmed day, hundredths.
    pub(super) lots: Vec<(u32, i64, i64)>,
    pub(super) deposits: i64,
    pub(super) bought: i64,
    pub(super) paid: i64,
    /// Fast redemptions by day and product.
    pub(super) fast: BTreeMap<(i64, u32), i64>,
}

/// Counts over a world.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) submitted: u64,
    pub(super) confirmed: u64,
    pub(super) cancelled: u64,
    pub(super) paid: u64,
    pub(super) buys: u64,
    pub(super) redeems: u64,
    pub(super) fast: u64,
    pub(super) late: u64,
    pub(super) not_a_trading_day: u64,
    pub(super) with_fee: u64,
    pub(super) cash_with_income: u64,
    pub(super) refused: BTreeMap<Refusal, u64>,
}

/// First day, last day, to purchases, to redemptions.
type Closure = (i64, i64, bool, bool);

/// Everything known, from what was said.
pub(super) struct Book<'w> {
    pub(super) world: &'w World,
    days: Vec<i64>,
    pub(super) known: Vec<Known>,
    /// By product: (from when, rating).
    ratings: Vec<Vec<(Micros, u8)>>,
    /// By product: (from, to, buying, redeeming).
    closed: Vec<Vec<Closure>>,
    /// By product and day: (told at, price).
    prices: BTreeMap<(u32, i64), (Micros, i64)>,
    /// Products that end, with the day.
    ends: BTreeMap<u32, i64>,
    pub(super) counts: Counts,
}

impl<'w> Book<'w> {
    pub(super) fn new(world: &'w World, told: &[ProductEvent]) -> Self {
        let count = world.products().len();
        let mut book = Self {
            world,
            days: world.calendar().days().to_vec(),
            known: vec![Known::default(); world.customers() as usize],
            ratings: vec![Vec::new(); count],
            closed: vec![Vec::new(); count],
            prices: BTreeMap::new(),
            ends: BTreeMap::new(),
            counts: Counts::default(),
        };
        for event in told {
            let p = event.product as usize;
            match event.change {
                ProductChange::Rerated { from, to } => {
                    assert_eq!(book.rating(event.product, event.at), Some(from));
                    book.ratings[p].push((event.at, to));
                }
                ProductChange::Suspended {
                    buying,
                    redeeming,
                    from,
                    to,
                } => book.closed[p].push((from, to, buying, redeeming)),
                ProductChange::Nav { day, nav_e4 } => {
                    assert!(nav_e4 > 0);
                    let before = book.prices.insert((event.product, day), (event.at, nav_e4));
                    assert_eq!(before, None, "one price a day");
                }
                ProductChange::EndAnnounced { day, .. } => {
                    book.ends.insert(event.product, day);
                }
                _ => {}
            }
        }
        book
    }

    pub(super) fn rating(&self, product: u32, at: Micros) -> Option<u8> {
        let first = self.world.products()[product as usize].rating?;
        let changed = self.ratings[product as usize]
            .iter()
            .rfind(|(from, _)| *from <= at);
        Some(changed.map_or(first, |(_, r)| *r))
    }

    pub(super) fn is_closed(&self, product: u32, day: i64, side: Side) -> bool {
        self.closed[product as usize]
            .iter()
            .any(|(from, to, buying, redeeming)| {
                (*from..=*to).contains(&day)
                    && if side == Side::Buy {
                        *buying
                    } else {
                        *redeeming
                    }
            })
    }

    pub(super) fn follow(&mut self, e: &Event) {
        let customer = e.customer as usize;
        match &e.what {
            Happening::Attributes(a) => {
                let known = &mut self.known[customer];
                known.appetite = a.appetite;
                known.expires = a.appetite.map(|_| a.expires);
            }
            Happening::Deposit(fen) => {
                assert!(*fen > 0);
                self.known[customer].deposits += fen;
            }
            Happening::Submitted(told) => self.submitted(e, told),
            Happening::Accepted(order) => {
                let placed = &mut self.known[customer].orders[*order as usize];
                assert!(!placed.accepted && placed.end.is_none() && e.at > placed.at);
                placed.accepted = true;
                let (side, product, at) = (placed.told.side, placed.told.product, placed.at);
                if side == Side::Buy {
                    self.allowed(e.customer, product, at);
                }
            }
            Happening::Failed(order, why) => {
                let placed = &mut self.known[customer].orders[*order as usize];
                assert_eq!(placed.end, None);
                placed.end = Some("failed");
                *self.counts.refused.entry(*why).or_default() += 1;
                let placed = placed.clone();
                self.refused(e, &placed, *why);
            }
            Happening::Cancelled(order) => {
                let placed = &mut self.known[customer].orders[*order as usize];
                assert!(placed.accepted && placed.end.is_none());
                placed.end = Some("cancelled");
                self.counts.cancelled += 1;
                let (t, _) = t_and_n(&self.days, placed.at, 0);
                let (day, gone) = day_and_gone(e.at);
                assert!(
                    day < t || (day == t && gone < 15 * HOUR_US),
                    "taken back after the line"
                );
            }
            Happening::Confirmed(told) => self.confirmed(e, told),
            Happening::Paid(order, fen) => {
                let days = self.days.clone();
                let placed = &mut self.known[customer].orders[*order as usize];
                assert_eq!(placed.end, Some("confirmed"));
                assert_eq!(placed.told.side, Side::Redeem);
                assert_eq!(placed.brings, *fen);
                placed.end = Some("paid");
                let product = &self.world.products()[placed.told.product as usize];
                let (day, _) = day_and_gone(e.at);
                let waited = days
                    .iter()
                    .filter(|d| **d > placed.confirmed_day && **d <= day);
                assert_eq!(
                    waited.count(),
                    usize::from(product.pay_lag),
                    "{}",
                    product.fine
                );
                self.known[customer].paid += fen;
                self.counts.paid += 1;
            }
            _ => {}
        }
    }

    fn submitted(&mut self, e: &Event, told: &Told) {
        let known = &mut self.known[e.customer as usize];
        assert_eq!(told.order as usize, known.orders.len());
        assert!(told.amount > 0);
        assert_eq!(told.side == Side::Redeem, told.shares > 0);
        known.orders.push(Placed {
            told: told.clone(),
            at: e.at,
            accepted: false,
            end: None,
            brings: 0,
            confirmed_day: 0,
        });
        self.counts.submitted += 1;
        let (day, gone) = day_and_gone(e.at);
        self.counts.late += u64::from(gone >= 15 * HOUR_US);
        self.counts.not_a_trading_day += u64::from(!self.days.contains(&day));
        match told.side {
            Side::Buy => self.counts.buys += 1,
            Side::Redeem => self.counts.redeems += 1,
        }
    }

    /// Rules 1, 2 and 4 of market-rules.md for a purchase that was accepted.
    fn allowed(&self, customer: u32, product: u32, at: Micros) {
        let known = &self.known[customer as usize];
        let rating = self
            .rating(product, at)
            .expect("rule 4: a product without a rating");
        let appetite = known.appetite.expect("rule 4: never assessed");
        assert!(known.expires.unwrap() > at, "rule 4: expired");
        assert!(
            rating <= appetite,
            "rules 1 and 2: R{rating} to C{appetite}"
        );
    }

    /// What was refused was rightly refused.
    fn refused(&self, e: &Event, placed: &Placed, why: Refusal) {
        let known = &self.known[e.customer as usize];
        let told = &placed.told;
        let rating = self.rating(told.product, placed.at);
        let (t, _) = t_and_n(&self.days, placed.at, 0);
        let product = &self.world.products()[told.product as usize];
        match why {
            Refusal::NoAssessment => assert_eq!(known.appetite, None),
            Refusal::AssessmentExpired => assert!(known.expires.unwrap() <= placed.at),
            Refusal::NoRating => assert_eq!(rating, None),
            Refusal::RiskAboveAppetite => assert!(rating.unwrap() > known.appetite.unwrap()),
            Refusal::BuyingSuspended => assert!(self.is_closed(told.product, t, Side::Buy)),
            Refusal::RedeemingSuspended => assert!(self.is_closed(told.product, t, Side::Redeem)),
            Refusal::BelowLeast => assert!(told.amount < product.least_fen),
            Refusal::FundHouse => assert!(placed.accepted),
            Refusal::FastLimit => {
                let (day, _) = day_and_gone(placed.at);
                let used = known.fast.get(&(day, told.product)).copied().unwrap_or(0);
                // The limit holds over all funds together, which is stricter than for each.
                let all: i64 = known
                    .fast
                    .range((day, 0)..(day + 1, 0))
                    .map(|(_, v)| v)
                    .sum();
                assert!(used.max(all) + told.shares > product.fast_limit_fen);
            }
            Refusal::NotEnoughMoney | Refusal::NotEnoughShares | Refusal::TermNotOver => {}
            Refusal::CalendarEnded => panic!("the calendar goes on past the end of the world"),
        }
    }

    fn confirmed(&mut self, e: &Event, told: &Told) {
        let (day, gone) = day_and_gone(e.at);
        let product = &self.world.products()[told.product as usize];
        let known = &mut self.known[e.customer as usize];
        let placed = &mut known.orders[told.order as usize];
        assert!(
            placed.accepted && placed.end.is_none(),
            "a confirmed order was taken"
        );
        assert_eq!(
            (placed.told.product, placed.told.side),
            (told.product, told.side)
        );
        assert_eq!(placed.told.decision, told.decision);
        placed.end = Some("confirmed");
        placed.confirmed_day = day;
        placed.brings = told.amount;
        self.counts.confirmed += 1;
        let (submitted_day, _) = day_and_gone(placed.at);
        let is_fast =
            product.is_cash() && told.side == Side::Redeem && e.at.since(placed.at) < HOUR_US / 60;
        let (t, on) = t_and_n(&self.days, placed.at, usize::from(product.confirm_lag));
        assert_eq!(told.fast, is_fast, "{told:?}");
        assert_eq!(told.day, (!is_fast).then_some(t), "{told:?}");
        assert_eq!(told.day, placed.told.day);
        if is_fast {
            self.counts.fast += 1;
            let used = known.fast.entry((submitted_day, told.product)).or_default();
            *used += told.shares;
            assert!(
                *used <= product.fast_limit_fen,
                "fast redemption within the limit"
            );
        } else {
            assert_eq!(day, on, "T+{} of {t}", product.confirm_lag);
            assert!((9 * HOUR_US..=11 * HOUR_US).contains(&gone));
        }
        if product.is_cash() {
            assert_eq!(told.nav_e4, 10_000);
        } else {
            let (published, nav) = self.prices[&(told.product, t)];
            assert_eq!(told.nav_e4, nav, "the price of T");
            assert!(published < e.at, "published before it is used");
        }
        let is_paid_out = self.ends.get(&told.product) == Some(&t) && told.side == Side::Redeem;
        match told.side {
            Side::Buy => {
                // amount = net + fee, fee = net x rate, shares = net / price: within a fen and a hundredth.
                let net = told.amount - told.fee;
                let rate = f64::from(product.buy_fee_ppm) / 1e6;
                assert!(
                    (told.fee as f64 - net as f64 * rate).abs() <= 1.01,
                    "{told:?}"
                );
                let shares = net as f64 / (told.nav_e4 as f64 / 1e4);
                assert!((told.shares as f64 - shares).abs() < 1.0);
                known.lots.push((told.product, day, told.shares));
                known.bought += told.amount;
                assert_eq!(told.amount, placed.told.amount);
            }
            Side::Redeem => {
                assert_eq!(told.shares, placed.told.shares);
                // Millionths of a fen, exactly: percent in tenths.
                let (mut left, mut fee) = (told.shares, 0i128);
                for lot in known.lots.iter_mut().filter(|l| l.0 == told.product) {
                    let taken = left.min(lot.2);
                    left -= taken;
                    lot.2 -= taken;
                    let held = day - lot.1;
                    let percent = match (product.ladder, held) {
                        ("", _) => 0,
                        (_, ..7) => 15,
                        (_, 7..30) => 10,
                        ("7d 1.5%, 30d 1%, 180d 0.5%", 30..180) => 5,
                        _ => 0,
                    };
                    fee += i128::from(taken) * i128::from(told.nav_e4) * percent;
                }
                assert_eq!(left, 0, "never more than is held");
                known.lots.retain(|l| l.2 > 0);
                if is_paid_out {
                    assert_eq!(told.fee, 0);
                } else {
                    // Rounded down once: never a fen short of what the lots owe together.
                    assert_eq!(i128::from(told.fee), fee / 10_000_000, "{told:?}");
                }
                self.counts.with_fee += u64::from(told.fee > 0);
                let gross = told.shares as f64 * told.nav_e4 as f64 / 1e4 - told.fee as f64;
                let income = told.amount as f64 - gross;
                if product.is_cash() {
                    // Five per cent a year at most, over four hundred days at most.
                    assert!((-1.0..=gross * 0.06 + 1.0).contains(&income), "{told:?}");
                    self.counts.cash_with_income += u64::from(income > 1.5);
                } else {
                    assert!(income.abs() <= 1.0, "{told:?}");
                }
            }
        }
    }
}
