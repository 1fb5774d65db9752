//! The hidden response lies outside what linear learners can represent, and yet there is much to learn.

use crate::START;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_kernel::value::Value;
use luopan_simulator::catalogue::OFFERS;
use luopan_simulator::truth::{reward, truth};
use luopan_simulator::{Population, SimEvent};
use std::collections::BTreeMap;

/// At 19:00 in Shanghai.
fn evening(day: i64) -> Micros {
    START.plus(day * DAY_US + 11 * HOUR_US)
}

fn order(world: &Population, customer: u32, action: &str, at: Micros) -> f64 {
    truth(world, customer, action, at).unwrap().order_confirmed
}

fn logit(p: f64) -> f64 {
    libm::log(p / (1.0 - p))
}

/// Attributes that the platform knows, in bins, as one text.
fn known(e: &SimEvent) -> String {
    let age = match e.property("age") {
        Value::Int(v) => v / 10,
        other => panic!("{other:?}"),
    };
    format!(
        "{age} {:?} {:?} {:?}",
        e.property("risk_appetite"),
        e.property("income_band"),
        e.property("city_tier")
    )
}

#[test]
fn customers_who_look_alike_answer_unlike() {
    // No function of what is known, linear or not, gives both of two different numbers.
    let mut world = Population::new(11, 3_000, START);
    let mut alike: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for e in world.step(START).iter().filter(|e| e.kind == CUSTOMER_TYPE) {
        alike.entry(known(e)).or_default().push(e.customer);
    }
    let mut apart = 0;
    for group in alike.values().filter(|g| g.len() >= 4) {
        let chances: Vec<f64> = group
            .iter()
            .map(|c| order(&world, *c, OFFERS[3].key, evening(1)))
            .collect();
        let (low, high) = chances
            .iter()
            .fold((1.0f64, 0.0f64), |(l, h), p| (l.min(*p), h.max(*p)));
        apart += u32::from(high > 0.05 && high > 4.0 * low);
    }
    assert!(apart >= 20, "only {apart} groups are apart");
}

#[test]
fn no_sum_of_pairwise_crosses_represents_the_response() {
    // A function that is a sum of terms in at most two of three causes has no third difference: the alternating sum over
    // the eight corners of any cube is zero. Here the causes are the action, the hour and how often she was contacted;
    // it is not zero for the chance itself (a linear learner) nor for its log-odds (a logistic one).
    let mut linear: f64 = 0.0;
    let mut logistic: f64 = 0.0;
    for customer in 0..200 {
        let mut sums = [0.0, 0.0];
        for contacted in [false, true] {
            let mut world = Population::new(5, 200, START);
            world.step(evening(0));
            if contacted {
                for n in 0..4 {
                    world
                        .contact(customer, Some(OFFERS[0].key), &format!("d{n}"), evening(0))
                        .unwrap();
                }
            }
            for (action, offer) in [&OFFERS[2], &OFFERS[8]].into_iter().enumerate() {
                for (late, at) in [evening(0), evening(0).plus(6 * HOUR_US)]
                    .into_iter()
                    .enumerate()
                {
                    let minus = (usize::from(contacted) + action + late) % 2 == 1;
                    let sign = if minus { -1.0 } else { 1.0 };
                    let p = order(&world, customer, offer.key, at);
                    if p > 0.0 {
                        sums[0] += sign * p;
                        sums[1] += sign * logit(p);
                    }
                }
            }
        }
        linear = linear.max(sums[0].abs());
        logistic = logistic.max(sums[1].abs());
    }
    assert!(linear > 0.02, "third difference of the chance {linear}");
    assert!(
        logistic > 0.02,
        "third difference of the log-odds {logistic}"
    );
}

#[test]
fn tastes_move_over_weeks() {
    let world = Population::new(11, 300, START);
    let best = |customer: u32, at: Micros| {
        OFFERS
            .iter()
            .max_by(|a, b| {
                order(&world, customer, a.key, at).total_cmp(&order(&world, customer, b.key, at))
            })
            .unwrap()
            .key
    };
    let changed = |days: i64| {
        (0..300)
            .filter(|c| best(*c, evening(0)) != best(*c, evening(days)))
            .count()
    };
    let (next_day, weeks_later) = (changed(1), changed(28));
    assert!(next_day <= 20, "{next_day} of 300 overnight");
    assert!(weeks_later >= 45, "{weeks_later} of 300 in four weeks");
}

#[test]
fn in_every_world_there_is_something_to_learn_from_what_is_known() {
    // Among the offers that a customer may be made, the best for each risk appetite against an even choice: a learner that
    // sees attributes alone gains, and one that knew each customer would gain more.
    for seed in 1..=6 {
        let mut world = Population::new(seed, 3_000, START);
        let events = world.step(START);
        let (mut even, mut best_each, mut n) = (0.0, 0.0, 0.0);
        let mut cells: BTreeMap<i64, Vec<(f64, f64)>> = BTreeMap::new();
        for e in events.iter().filter(|e| e.kind == CUSTOMER_TYPE) {
            let Value::Int(appetite) = e.property("risk_appetite") else {
                continue;
            };
            let offers = OFFERS
                .iter()
                .filter(|o| i64::from(o.risk_level) <= *appetite);
            let rewards: Vec<(usize, f64)> = offers
                .map(|o| {
                    (
                        o.number,
                        reward(&world, e.customer, Some(o.key), evening(1)).unwrap(),
                    )
                })
                .collect();
            n += 1.0;
            even += rewards.iter().map(|r| r.1).sum::<f64>() / rewards.len() as f64;
            best_each += rewards.iter().fold(0.0f64, |a, r| a.max(r.1));
            let cell = cells
                .entry(*appetite)
                .or_insert_with(|| vec![(0.0, 0.0); OFFERS.len()]);
            for (number, r) in rewards {
                cell[number].0 += r;
                cell[number].1 += 1.0;
            }
        }
        let best = |cell: &Vec<(f64, f64)>| {
            let people = cell.iter().map(|c| c.1).fold(0.0, f64::max);
            let means = cell.iter().filter(|c| c.1 > 0.0).map(|c| c.0 / c.1);
            people * means.fold(0.0, f64::max)
        };
        let learned = cells.values().map(best).sum::<f64>() / n;
        let (even, each) = (even / n, best_each / n);
        eprintln!("seed {seed}: even {even:.4}, by appetite {learned:.4}, for each {each:.4}");
        assert!(
            learned > 1.4 * even && each > 1.1 * learned,
            "seed {seed}: {even} {learned} {each}"
        );
    }
}
