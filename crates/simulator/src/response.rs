//! How a customer answers a contact. Chances are made of what no learner of ours can write down: thresholds on a liking
//! between hidden vectors, a hump over the gap between the product's risk and her courage, a product of purse, habit,
//! fatigue and engagement, and a three-way interaction of type, term and a recent deposit.

use crate::catalogue::Offer;
use crate::chance::{exponential, log_normal, sigmoid};
use crate::customer::Customer;
use crate::hidden::Hidden;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros};

/// Time in which half of the remembered contacts are forgotten: four days, in microseconds.
pub const FATIGUE_HALF_LIFE_US: i64 = 4 * DAY_US;
/// Median time from a contact to the order that it led to, over the hidden types' own factors (0.5 to 2), in microseconds.
pub const ORDER_DELAY_MEDIAN_US: i64 = 5 * HOUR_US;
/// Standard deviation of the logarithm of that time.
pub const ORDER_DELAY_SIGMA: f64 = 0.8;
/// Share of submitted orders that are confirmed; the others fail and are heard of no more.
pub const CONFIRMED_SHARE: f64 = 0.96;

/// Chance of an order from the most willing customer at her best hour.
const ORDER_CHANCE_MAX: f64 = 0.55;
/// Within which time a deposit counts as recent.
const RECENT_DEPOSIT_US: i64 = 7 * DAY_US;
/// From which term on money is bound for long, days.
const LONG_TERM_DAYS: u16 = 90;

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

/// Contacts that are still remembered at `at`.
pub(crate) fn remembered(customer: &Customer, at: Micros) -> f64 {
    let halves = at.since(customer.remembered_at).max(0) as f64 / FATIGUE_HALF_LIFE_US as f64;
    customer.remembered * libm::exp2(-halves)
}

/// How well the hour suits her, 0.35 to 1.
fn hour_fit(customer: &Customer, at: Micros) -> f64 {
    let hour = customer.local(at).minute_of_day() as f64 / 60.0;
    let angle = (hour - customer.hour) * (std::f64::consts::PI / 12.0);
    0.35 + 0.65 * libm::exp(3.0 * (libm::cos(angle) - 1.0))
}

/// Chances of each answer if `offer` were put to her at `at`, with what has happened to her until now.
pub(crate) fn chances(hidden: &Hidden, customer: &Customer, offer: &Offer, at: Micros) -> Chances {
    if customer.unsubscribed {
        return Chances {
            order: 0.0,
            view: 0.0,
            dismissed: 0.0,
            unsubscribed: 0.0,
        };
    }
    let kind = &hidden.types[customer.hidden_type];
    let liking = hidden.liking(&customer.taste(hidden, at), offer);
    // A hump: a little below her courage pleases most, far below bores, above frightens.
    let gap = f64::from(offer.risk_level) - (customer.courage + hidden.mood(at)) + 0.4;
    let courage_fit = libm::exp(-gap * gap / 1.3);
    let recent = customer
        .deposited_at
        .is_some_and(|d| at.since(d) < RECENT_DEPOSIT_US);
    let long = offer.term_days >= LONG_TERM_DAYS;
    let term = match (kind.planner, long, recent) {
        (true, true, true) => 1.1,
        (true, false, true) => -0.5,
        (false, true, _) => -0.7,
        _ => 0.0,
    };
    let appeal = liking + 1.2 * courage_fit + term;
    let engaged = sigmoid(kind.steepness * 1.6 * (appeal - kind.threshold));
    let wanted = 3.0 + 0.45 * f64::from(offer.risk_level) * 0.5;
    let purse = sigmoid(4.0 * (libm::log10(customer.cash.max(1.0)) - wanted));
    let memory = remembered(customer, at);
    let worn = memory / kind.patience;
    let fresh = 1.0 / (1.0 + worn * worn);

    let order = ORDER_CHANCE_MAX * engaged * engaged * purse * hour_fit(customer, at) * fresh;
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

/// Draws an answer with one number of her dice.
pub(crate) fn draw(chances: &Chances, customer: &mut Customer) -> Answer {
    let mut left = customer.answer.uniform();
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

/// Time from the contact to the answer, microseconds, at least one.
pub(crate) fn delay_us(hidden: &Hidden, customer: &mut Customer, answer: Answer) -> i64 {
    let slowness = hidden.types[customer.hidden_type].slowness;
    let us = match answer {
        Answer::Order => {
            ORDER_DELAY_MEDIAN_US as f64
                * slowness
                * log_normal(&mut customer.answer, ORDER_DELAY_SIGMA)
        }
        // Looks and refusals come at once or not at all.
        _ => 2.0 * MINUTE_US as f64 * exponential(&mut customer.answer),
    };
    (us as i64).max(1)
}

/// Notes that a contact was made: it is remembered beside the older ones.
pub(crate) fn remember(customer: &mut Customer, at: Micros, weight: f64) {
    customer.remembered = remembered(customer, at) + weight;
    customer.remembered_at = at.max(customer.remembered_at);
}
