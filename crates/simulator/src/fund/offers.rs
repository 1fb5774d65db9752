//! How a customer of the wealth platform answers an offer: chances made of the fit of product to taste and courage, what she
//! wishes at this moment, the purse, fatigue, sensitivity and hour. It must never be shown outside this crate but through
//! `truth`.

use super::ground::Ground;
use super::orders::LOTS_MAX;
use super::person::{NEVER, Person, TOLD, UNSUBSCRIBED};
use super::product::Kind;
use crate::chance::{exponential, log_normal, sigmoid};
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros};

/// Time in which half of the remembered contacts are forgotten: four days, in microseconds.
pub const FATIGUE_HALF_LIFE_US: i64 = 4 * DAY_US;
/// Median time from a contact to the order that it led to, over the hidden types' own factors (0.5 to 2), in microseconds.
pub const ORDER_DELAY_MEDIAN_US: i64 = 5 * HOUR_US;
/// Standard deviation of the logarithm of that time.
pub const ORDER_DELAY_SIGMA: f64 = 0.8;

/// Chances of each answer to one contact; they sum to one with silence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chances {
    /// She submits an order.
    pub(crate) order: f64,
    /// She looks at the product and no more.
    pub(crate) view: f64,
    /// She dismisses it.
    pub(crate) dismissed: f64,
    /// She unsubscribes.
    pub(crate) unsubscribed: f64,
}

/// An answer that was drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    Ignored,
    View,
    Dismissed,
    Unsubscribed,
    Order,
}

/// Chance of an order from the most willing customer at her best hour.
const ORDER_CHANCE_MAX: f64 = 0.5;
/// Within which time a deposit counts as recent, minutes.
const RECENT_DEPOSIT_MIN: i64 = 7 * 24 * 60;
/// From which term on money is bound for long, days.
const LONG_TERM_DAYS: u16 = 90;

/// Chances of each answer if `product` were offered to her at `at`, with what has happened to her until now.
pub(crate) fn chances(g: &Ground, p: &Person, product: u32, at: Micros) -> Chances {
    if p.has(UNSUBSCRIBED) || !p.has(TOLD) {
        return Chances {
            order: 0.0,
            view: 0.0,
            dismissed: 0.0,
            unsubscribed: 0.0,
        };
    }
    let kind = &g.hidden.types[usize::from(p.hidden_type)];
    let terms = &g.products[product as usize];
    let hidden = &g.parameters[product as usize];
    let mood = g.mood(at);
    let taste = p.taste(&g.hidden, at);
    let mut liking = 0.0;
    for (own, charm) in taste.iter().zip(hidden.charm) {
        liking += own * f64::from(charm);
    }
    liking /= 2.0;
    let [_, week, month] = g.market.lately(mood.seen);
    // The market makes brave and afraid.
    let brave = 6.0 * p.chase() * month.clamp(-0.1, 0.1) + 8.0 * p.panic() * week.clamp(-0.08, 0.0);
    let rating = f64::from(terms.rating.unwrap_or(hidden.natural_rating));
    // A hump: a little below her courage pleases most, far below bores, above frightens.
    let gap = rating - (f64::from(p.courage) + brave) + 0.4;
    let courage_fit = libm::exp(-gap * gap / 1.3);
    let since_deposit = at.since(g.start) / MINUTE_US - i64::from(p.deposited_at);
    let recent = p.deposited_at != NEVER && since_deposit < RECENT_DEPOSIT_MIN;
    let long = terms.term_days >= LONG_TERM_DAYS;
    let term = match (kind.planner, long, recent) {
        (true, true, true) => 1.1,
        (true, false, true) => 0.2,
        (false, true, _) => -0.7,
        _ => 0.0,
    };
    // Who wants a gain every day wants it most before days without trading.
    let daily = match terms.kind {
        Kind::Cash => p.wish() * if mood.closure >= 2 { 1.6 } else { 0.5 },
        _ => 0.0,
    };
    let rose = g
        .market
        .kind_return(terms.kind, mood.seen)
        .clamp(-0.15, 0.15);
    let appeal = liking + 1.2 * courage_fit + term + daily + 4.0 * p.chase() * rose;
    let engaged = sigmoid(kind.steepness * 1.6 * (appeal - kind.threshold));
    let wanted = 3.0 + 0.22 * rating;
    let yuan = (p.cash as f64 / 100.0).max(1.0);
    let purse = sigmoid(4.0 * (libm::log10(yuan) - wanted));
    let memory = p.remembered(at, g.start);
    let worn = memory / kind.patience;
    let fresh = 1.0 / (1.0 + worn * worn);
    let hour = 0.35 + 0.65 * p.hour_fit(p.local(at));

    let room = f64::from(u8::from(p.lots.len() < LOTS_MAX));
    let order =
        room * ORDER_CHANCE_MAX * engaged * engaged * purse * hour * fresh * p.sensitivity();
    let view = (1.0 - order) * 0.6 * engaged * fresh;
    let left = 1.0 - order - view;
    let bored = (1.0 - engaged) * (1.0 - engaged);
    let dismissed = left * (kind.irritability * (0.04 + 0.16 * bored + 0.05 * memory)).min(0.6);
    let over = (memory - 2.0).max(0.0);
    let unsubscribed = (left - dismissed)
        * (kind.irritability * (0.002 + (0.004 + 0.012 * over * over) * bored)).min(0.3);
    Chances {
        order,
        view,
        dismissed,
        unsubscribed,
    }
}

/// Draws an answer with one number.
pub(crate) fn draw(chances: &Chances, c: &mut Random) -> Answer {
    let mut left = c.uniform();
    for (answer, chance) in [
        (Answer::Order, chances.order),
        (Answer::View, chances.view),
        (Answer::Dismissed, chances.dismissed),
        (Answer::Unsubscribed, chances.unsubscribed),
    ] {
        left -= chance;
        if left < 0.0 {
            return answer;
        }
    }
    Answer::Ignored
}

/// Time from the offer to the answer, microseconds, at least one.
pub(crate) fn delay_us(g: &Ground, p: &Person, c: &mut Random, answer: Answer) -> i64 {
    let us = match answer {
        Answer::Order => {
            let slowness = g.hidden.types[usize::from(p.hidden_type)].slowness;
            let us = ORDER_DELAY_MEDIAN_US as f64 * slowness * log_normal(c, ORDER_DELAY_SIGMA);
            us.min(30.0 * DAY_US as f64)
        }
        _ => 2.0 * MINUTE_US as f64 * exponential(c),
    };
    (us as i64).max(1)
}
