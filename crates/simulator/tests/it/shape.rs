//! The hidden response lies outside what linear learners can represent, and yet there is much to learn.

use crate::START;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_kernel::value::Value;
use luopan_simulator::catalogue::OFFERS;
use luopan_simulator::truth::{hidden_type, reward, truth};
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
fn there_is_something_to_learn_from_what_is_known() {
    // The best action of each risk appetite, against an even choice and against one action for all: a learner that sees
    // attributes alone gains, and one that knew each customer would gain more.
    let mut world = Population::new(11, 4_000, START);
    let mut by_appetite: BTreeMap<String, (Vec<f64>, u32)> = BTreeMap::new();
    let (mut even, mut best_each, mut n) = (0.0, 0.0, 0.0);
    let mut fixed = vec![0.0; OFFERS.len()];
    for e in world.step(START).iter().filter(|e| e.kind == CUSTOMER_TYPE) {
        let rewards: Vec<f64> = OFFERS
            .iter()
            .map(|o| reward(&world, e.customer, Some(o.key), evening(1)).unwrap())
            .collect();
        n += 1.0;
        even += rewards.iter().sum::<f64>() / OFFERS.len() as f64;
        best_each += rewards.iter().fold(0.0f64, |a, b| a.max(*b));
        let cell = by_appetite
            .entry(format!("{:?}", e.property("risk_appetite")))
            .or_insert_with(|| (vec![0.0; OFFERS.len()], 0));
        for (k, r) in rewards.iter().enumerate() {
            fixed[k] += r;
            cell.0[k] += r;
        }
        cell.1 += 1;
        assert!(hidden_type(&world, e.customer).is_some());
    }
    let top = |sums: &[f64]| sums.iter().fold(0.0f64, |a, b| a.max(*b));
    let learned: f64 = by_appetite.values().map(|(sums, _)| top(sums)).sum();
    let (even, one, learned, each) = (even / n, top(&fixed) / n, learned / n, best_each / n);
    eprintln!("even {even:.4} one for all {one:.4} by appetite {learned:.4} for each {each:.4}");
    assert!(even < one && one * 1.1 < learned && learned * 1.2 < each);
    assert!(learned > even + 0.03);
}
