//! What becomes of an order: refused by the rules, accepted, taken back, confirmed with the price of T on T+1 or T+2, failed
//! at the fund house, paid. Money is in fen, shares in hundredths, all exact. It must never let more be redeemed than is
//! held, or money appear.

use super::days::{LINE_HOUR, day_at, start_of};
use super::ground::Ground;
use super::person::{Lot, Person};
use super::said::{Happening, Refusal, Side, Told};
use super::shard::Due;
use super::story::earned;
use crate::chance::exponential;
use luopan_kernel::random::Random;
use luopan_kernel::time::{HOUR_US, MINUTE_US, Micros, SECOND_US};
use std::sync::Arc;

/// Most lots that a customer holds; with so many she buys nothing more.
pub const LOTS_MAX: usize = 24;
/// Share of orders that their customer takes back before the line.
const CANCELLED: f64 = 0.015;
/// Share that the fund house refuses.
const FAILED: f64 = 0.005;

/// An order that someone wants to place.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) product: u32,
    pub(crate) side: Side,
    /// Fen of a purchase.
    pub(crate) amount: i64,
    /// Hundredths of a redemption.
    pub(crate) shares: i64,
    /// Out of a money-market fund at once.
    pub(crate) fast: bool,
    /// The money of the redemption leaves the platform.
    pub(crate) leaves: bool,
    /// Paid out by the fund house, not asked for.
    pub(crate) forced: bool,
    pub(crate) decision: Option<Arc<str>>,
}

/// An order that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) order: u32,
    pub(crate) wanted: Wanted,
    /// T.
    pub(crate) day: i64,
    pub(crate) fails: bool,
}

/// Why the platform refuses, by the rules of the market as written here and nowhere else in the simulator.
pub(crate) fn refusal(g: &Ground, p: &Person, at: Micros, wanted: &Wanted) -> Option<Refusal> {
    if wanted.forced {
        return None;
    }
    let number = wanted.product;
    let product = &g.products[number as usize];
    let Some(day) = g.calendar.order_day(at) else {
        return Some(Refusal::CalendarEnded);
    };
    match wanted.side {
        Side::Buy => {
            if p.appetite == 0 {
                return Some(Refusal::NoAssessment);
            }
            if p.expires() <= at {
                return Some(Refusal::AssessmentExpired);
            }
            match g.rating(number, day_at(at)) {
                None => return Some(Refusal::NoRating),
                Some(r) if r > p.appetite => return Some(Refusal::RiskAboveAppetite),
                Some(_) => {}
            }
            if g.is_closed(number, Side::Buy, day) {
                return Some(Refusal::BuyingSuspended);
            }
            if wanted.amount < product.least_fen {
                return Some(Refusal::BelowLeast);
            }
            (wanted.amount > p.cash).then_some(Refusal::NotEnoughMoney)
        }
        Side::Redeem => {
            if g.is_closed(number, Side::Redeem, day) {
                return Some(Refusal::RedeemingSuspended);
            }
            let (held, locked) = p.held(number);
            if locked || wanted.shares > held || wanted.shares <= 0 {
                return Some(Refusal::NotEnoughShares);
            }
            let today = g.since_start(at);
            if p.youngest(number, today) < i64::from(product.term_days) {
                return Some(Refusal::TermNotOver);
            }
            let is_over = wanted.fast && wanted.shares > p.fast_left(product, today as u16);
            is_over.then_some(Refusal::FastLimit)
        }
    }
}

/// Places an order at `at`: what will be said and what comes due.
pub(crate) fn submit(
    g: &Ground,
    p: &mut Person,
    c: &mut Random,
    at: Micros,
    wanted: Wanted,
    out: &mut Vec<(Micros, Due)>,
) {
    let order = p.orders;
    p.orders += 1;
    let product = &g.products[wanted.product as usize];
    let worth = match wanted.side {
        Side::Buy => wanted.amount,
        // One fen at least, so that it is an amount.
        Side::Redeem => (wanted.shares * g.seen_nav(wanted.product, at) / 10_000).max(1),
    };
    let say = |at: Micros, what: Happening| (at, Due::Say(what));
    out.push(say(
        at,
        Happening::Submitted(Arc::new(Told {
            order,
            product: wanted.product,
            side: wanted.side,
            amount: worth,
            shares: wanted.shares,
            nav_e4: 0,
            fee: 0,
            fast: wanted.fast,
            day: (!wanted.fast).then(|| g.calendar.order_day(at)).flatten(),
            decision: wanted.decision.clone(),
        })),
    ));
    let refused = |at: Micros, c: &mut Random, why| {
        let wait = SECOND_US + (c.uniform() * 2e6) as i64;
        say(at.plus(wait), Happening::Failed(order, why))
    };
    if let Some(why) = refusal(g, p, at, &wanted) {
        return out.push(refused(at, c, why));
    }
    let accepted = at.plus(300_000 + (c.uniform() * 2e6) as i64);
    let (cancels, fails) = (c.uniform() < CANCELLED, c.uniform() < FAILED);
    let (hour, wait) = (c.uniform(), c.uniform());
    let (day, confirmed) = if wanted.fast {
        (day_at(at), accepted.plus(SECOND_US))
    } else {
        let lag = usize::from(product.confirm_lag);
        let day = g.calendar.order_day(at);
        let Some((day, on)) = day.and_then(|d| Some((d, g.calendar.nth_after(d, lag)?))) else {
            return out.push(refused(at, c, Refusal::CalendarEnded));
        };
        (
            day,
            start_of(on).plus(9 * HOUR_US + (hour * 2.0 * HOUR_US as f64) as i64),
        )
    };
    out.push(say(accepted, Happening::Accepted(order)));
    match wanted.side {
        Side::Buy => p.cash -= wanted.amount,
        Side::Redeem => {
            p.lock(wanted.product, true);
            if wanted.fast {
                let today = g.since_start(at) as u16;
                let used = if p.fast_day == today { p.fast_used } else { 0 };
                p.fast_day = today;
                p.fast_used = used + wanted.shares as u32;
            }
        }
    }
    let line = start_of(day).plus(LINE_HOUR * HOUR_US);
    let room = line.since(accepted) - MINUTE_US;
    let forced = wanted.forced;
    let open = Box::new(Open {
        order,
        wanted,
        day,
        fails: fails && !forced,
    });
    if cancels && !open.wanted.fast && !forced && room > MINUTE_US {
        // Most change their mind soon.
        let after = ((wait * wait * room as f64) as i64).max(SECOND_US);
        out.push((accepted.plus(after), Due::Cancel(open)));
    } else {
        out.push((confirmed, Due::Confirm(open)));
    }
}

/// Gives back what an order holds that comes to nothing.
pub(crate) fn release(p: &mut Person, wanted: &Wanted) {
    match wanted.side {
        Side::Buy => p.cash += wanted.amount,
        Side::Redeem => p.lock(wanted.product, false),
    }
}

/// Confirms an order, or fails it: what is said now, and when its money is paid.
pub(crate) fn confirm(
    g: &Ground,
    p: &mut Person,
    at: Micros,
    open: Open,
) -> (Happening, Option<(Micros, Due)>) {
    let Open {
        order,
        wanted,
        day,
        fails,
    } = open;
    let number = wanted.product;
    let product = &g.products[number as usize];
    let closed = !wanted.forced && !wanted.fast && g.is_closed(number, wanted.side, day);
    let nav = g.nav(number, day);
    if closed || fails || (nav <= 0) {
        release(p, &wanted);
        let why = match (closed, wanted.side) {
            (true, Side::Buy) => Refusal::BuyingSuspended,
            (true, Side::Redeem) => Refusal::RedeemingSuspended,
            _ => Refusal::FundHouse,
        };
        return (Happening::Failed(order, why), None);
    }
    let today = g.since_start(at);
    let told = |amount, shares, fee| {
        Happening::Confirmed(Arc::new(Told {
            order,
            product: number,
            side: wanted.side,
            amount,
            shares,
            nav_e4: nav,
            fee,
            fast: wanted.fast,
            day: (!wanted.fast).then_some(day),
            decision: wanted.decision.clone(),
        }))
    };
    match wanted.side {
        Side::Buy => {
            let net = wanted.amount * 1_000_000 / (1_000_000 + i64::from(product.buy_fee_ppm));
            let shares = net * 10_000 / nav;
            let locked = p.held(number).1;
            // Memory of a customer stays what she holds.
            p.lots.reserve_exact(1);
            p.lots.push(Lot {
                shares,
                product: number as u16,
                day: today as u16,
                locked,
            });
            (told(wanted.amount, shares, wanted.amount - net), None)
        }
        Side::Redeem => {
            let (mut left, mut fee, mut income) = (wanted.shares, 0i128, 0i64);
            for lot in p.lots.iter_mut().filter(|l| u32::from(l.product) == number) {
                let taken = left.min(lot.shares);
                left -= taken;
                lot.shares -= taken;
                lot.locked = false;
                let ppm = if wanted.forced {
                    0
                } else {
                    product.redeem_fee_ppm(today - i64::from(lot.day))
                };
                fee += i128::from(taken) * i128::from(nav) * i128::from(ppm);
                if product.is_cash() {
                    let bought = g.start_day + i64::from(lot.day);
                    income += cash_income(g, number, taken, bought, at, wanted.fast);
                }
            }
            debug_assert_eq!(left, 0);
            // Rounded down once: rounded lot by lot it would fall short of what the rates ask for.
            let fee = (fee / 10_000_000_000) as i64;
            p.lots.retain(|l| l.shares > 0);
            let gross = (i128::from(wanted.shares) * i128::from(nav) / 10_000) as i64;
            let amount = (gross - fee + income).max(1);
            let due = if wanted.fast {
                Some(at.plus(5 * SECOND_US))
            } else {
                let on = match product.pay_lag {
                    0 => Some(day_at(at)),
                    lag => g.calendar.nth_after(day_at(at), usize::from(lag)),
                };
                let minutes = exponential(&mut Random::new(u64::from(order) ^ at.0 as u64)) * 40.0;
                on.map(|on| {
                    start_of(on).plus(14 * HOUR_US + (minutes.min(300.0) * MINUTE_US as f64) as i64)
                })
            };
            let pay = due.map(|at| (at, Due::Pay(order, amount, wanted.leaves)));
            (told(amount, wanted.shares, fee), pay)
        }
    }
}

/// What shares of a money-market fund earned: from the trading day after the confirmation of their purchase, to the trading
/// day after that of their redemption; when redeemed fast, to the day itself.
fn cash_income(g: &Ground, product: u32, shares: i64, bought: i64, at: Micros, fast: bool) -> i64 {
    let today = day_at(at);
    let level = |day: Option<i64>| {
        day.and_then(|d| g.market.place(&g.calendar, d))
            .map_or(0, |t| g.market.level(product as usize, t))
    };
    let from = level(g.calendar.nth_after(bought, 1));
    let to = if fast {
        g.market
            .level(product as usize, g.market.seen(&g.calendar, today))
    } else {
        level(g.calendar.nth_after(today, 1))
    };
    earned(shares, from, to)
}
