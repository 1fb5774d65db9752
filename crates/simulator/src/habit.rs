//! What customers do unasked: when they come, what they look at, what they pay in and buy. It must never look at contacts
//! beyond what they did to her mood (how soon she comes back).

use crate::catalogue::OFFERS;
use crate::chance::{exponential, log_normal, weighted};
use crate::customer::{ASSESSMENT_US, Customer};
use crate::hidden::Hidden;
use crate::response::{CONFIRMED_SHARE, remembered};
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros, SECOND_US};
use luopan_kernel::value::Value;

/// Something that will be said: time, type, properties.
pub(crate) type Said = (Micros, &'static str, Vec<(&'static str, Value<'static>)>);

/// Largest factor of [`pace`].
const PACE_MAX: f64 = 6.0;
/// Chance after each session that she goes silent for weeks.
const SILENCE_CHANCE: f64 = 0.012;

/// How much likelier than the mean a session is at this hour of this day.
fn pace(customer: &Customer, at: Micros) -> f64 {
    let moment = customer.local(at);
    let hour = moment.minute_of_day() as f64 / 60.0;
    let angle = (hour - customer.hour) * (std::f64::consts::PI / 12.0);
    let of_day = 0.15 + 2.4 * libm::exp(3.0 * (libm::cos(angle) - 1.0));
    let of_week = if moment.weekday() >= 6 {
        customer.weekend
    } else {
        1.0
    };
    (of_day * of_week).min(PACE_MAX)
}

/// When she comes next, after a session that ended at `at` (thinning of a Poisson process: Lewis and Shedler 1979).
pub(crate) fn next_session(customer: &mut Customer, at: Micros) -> Micros {
    let mut t = at;
    // Fed up with contacts, she is likelier to stay away.
    let silence = SILENCE_CHANCE * (1.0 + remembered(customer, at));
    if customer.habit.uniform() < silence {
        let days = 30.0 * log_normal(&mut customer.habit, 0.5);
        t = t.plus((days * DAY_US as f64) as i64);
    }
    let gap_us = DAY_US as f64 / (customer.sessions_per_day * PACE_MAX);
    loop {
        t = t.plus((gap_us * exponential(&mut customer.habit)) as i64 + SECOND_US);
        if customer.habit.uniform() * PACE_MAX < pace(customer, t) {
            return t;
        }
    }
}

/// Her first session: as if she had been a customer for long.
pub(crate) fn first_session(customer: &mut Customer, start: Micros) -> Micros {
    next_session(customer, start)
}

/// Everything said in the session that begins at `at`, in order of time.
pub(crate) fn session(hidden: &Hidden, customer: &mut Customer, at: Micros) -> Vec<Said> {
    let mut out: Vec<Said> = vec![(at, "login", Vec::new())];
    let mut t = at;
    let step = |customer: &mut Customer, t: Micros| {
        t.plus((35.0 * SECOND_US as f64 * exponential(&mut customer.habit)) as i64 + SECOND_US)
    };
    t = step(customer, t);
    out.push((t, "page_view", vec![("page", Value::text("home"))]));

    let taste = customer.taste(hidden, at);
    let mut favourite = None;
    while customer.habit.uniform() < 0.55 {
        t = step(customer, t);
        let likings = OFFERS.iter().map(|o| {
            let fear = (f64::from(o.risk_level) - customer.courage).max(0.0);
            libm::exp(1.5 * hidden.liking(&taste, o) - 0.8 * fear)
        });
        let offer = &OFFERS[weighted(&mut customer.habit, likings)];
        favourite = Some(offer);
        out.push((
            t,
            "page_view",
            vec![
                ("item", Value::text(offer.key)),
                ("page", Value::text("fund")),
            ],
        ));
    }

    let moment = customer.local(at);
    let (_, _, day) = moment.civil();
    let since_payday = (day - customer.payday).rem_euclid(30);
    let paying = if since_payday < 3 { 0.35 } else { 0.03 };
    if customer.habit.uniform() < paying {
        t = step(customer, t);
        let yuan = (customer.salary * 0.5 * log_normal(&mut customer.habit, 0.5)).max(100.0);
        customer.cash += yuan;
        customer.deposited_at = Some(t);
        out.push((t, "deposit", vec![("amount", fen(yuan))]));
    }

    let expired = customer.appetite.is_none() || customer.appetite_expires_at <= at;
    if expired && customer.habit.uniform() < 0.2 {
        t = step(customer, t);
        out.push((
            t,
            "page_view",
            vec![("page", Value::text("risk_assessment"))],
        ));
        t = step(customer, t);
        let found = (customer.courage + 0.6 * customer.habit.normal())
            .round()
            .clamp(1.0, 5.0);
        customer.appetite = Some(found as i64);
        customer.appetite_expires_at = t.plus(ASSESSMENT_US);
        out.push((t, CUSTOMER_TYPE, customer.attributes()));
    }

    if let Some(offer) = favourite
        && customer.cash > 500.0
        && f64::from(offer.risk_level) <= customer.courage + 0.5
        && customer.habit.uniform() < 0.06
    {
        t = step(customer, t);
        let yuan = spend(customer, HabitOrAnswer::Habit);
        let confirmed = customer.habit.uniform() < CONFIRMED_SHARE;
        let wait = customer.habit.uniform();
        out.extend(order(customer, t, offer.key, yuan, None, confirmed, wait));
    }
    out
}

/// Whose dice an amount is drawn with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HabitOrAnswer {
    Habit,
    Answer,
}

/// Takes the yuan of an order out of the purse: a share of it, at least 10.
pub(crate) fn spend(customer: &mut Customer, whose: HabitOrAnswer) -> f64 {
    let dice: &mut Random = match whose {
        HabitOrAnswer::Habit => &mut customer.habit,
        HabitOrAnswer::Answer => &mut customer.answer,
    };
    let share = (0.25 * log_normal(dice, 0.5)).min(0.9);
    let yuan = (customer.cash * share / 10.0).round().max(1.0) * 10.0;
    customer.cash = (customer.cash - yuan).max(0.0);
    yuan
}

/// What is heard of an order: that it was submitted and, if it is, that it was confirmed.
pub(crate) fn order(
    customer: &Customer,
    at: Micros,
    item: &'static str,
    yuan: f64,
    decision_id: Option<&str>,
    confirmed: bool,
    wait: f64,
) -> Vec<Said> {
    let mut properties = vec![("amount", fen(yuan))];
    if let Some(id) = decision_id {
        properties.push(("decision_id", Value::text(id.to_owned())));
    }
    properties.push(("item", Value::text(item)));
    let mut out = vec![(at, "order_submitted", properties.clone())];
    if confirmed {
        out.push((
            confirmation(customer, at, wait),
            "order_confirmed",
            properties,
        ));
    }
    out
}

/// When an order is confirmed: orders before 15:00 of a weekday count for that day, others for the next weekday; the
/// confirmation comes on the weekday after, between 9:00 and 11:00 local. Holidays are not known here.
fn confirmation(customer: &Customer, at: Micros, wait: f64) -> Micros {
    let moment = customer.local(at);
    let midnight = at.plus(-moment.minute_of_day() * MINUTE_US - at.0.rem_euclid(MINUTE_US));
    let mut weekday = moment.weekday();
    let mut days = 0;
    let next = |days: &mut i64, weekday: &mut i64| loop {
        *days += 1;
        *weekday = *weekday % 7 + 1;
        if *weekday <= 5 {
            break;
        }
    };
    if weekday > 5 || moment.minute_of_day() >= 15 * 60 {
        next(&mut days, &mut weekday);
    }
    next(&mut days, &mut weekday);
    midnight.plus(days * DAY_US + 9 * HOUR_US + (wait * 2.0 * HOUR_US as f64) as i64)
}

/// An amount in fen.
fn fen(yuan: f64) -> Value<'static> {
    Value::Int((yuan * 100.0).round() as i64)
}
