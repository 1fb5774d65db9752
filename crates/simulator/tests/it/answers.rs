//! Answers to contacts: fatigue, refusals, delays.

use crate::START;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_kernel::value::Value;
use luopan_simulator::catalogue::OFFERS;
use luopan_simulator::truth::{hidden_type, order_delay_median_us, truth};
use luopan_simulator::{
    CONFIRMED_SHARE, FATIGUE_HALF_LIFE_US, ORDER_DELAY_MEDIAN_US, ORDER_DELAY_SIGMA, Population,
};
use std::collections::BTreeMap;

#[test]
fn fatigue_lowers_the_response_and_passes() {
    let at = START.plus(DAY_US);
    let mut lowered = 0;
    for customer in 0..100 {
        let mut world = Population::new(2, 100, START);
        world.step(at);
        let chance =
            |world: &Population, at: Micros| truth(world, customer, OFFERS[0].key, at).unwrap();
        let fresh = chance(&world, at);
        let calm = world.clone();
        for n in 0..5 {
            world
                .contact(customer, Some(OFFERS[0].key), &format!("d{n}"), at)
                .unwrap();
        }
        let tired = chance(&world, at);
        if tired.dismissed == 0.0 {
            continue; // unsubscribed on the way
        }
        assert!(
            tired.order_submitted < 0.75 * fresh.order_submitted,
            "{customer}"
        );
        assert!(tired.dismissed + tired.unsubscribed > fresh.dismissed + fresh.unsubscribed);
        // Twelve half-lives later, beside herself had she been left alone; an order would have emptied her purse as well.
        let later = at.plus(12 * FATIGUE_HALF_LIFE_US);
        let answers = world.clone().step(later);
        if answers
            .iter()
            .any(|e| e.customer == customer && e.kind == "order_submitted" && answered(e))
        {
            continue;
        }
        let (rested, alone) = (chance(&world, later), chance(&calm, later));
        assert!(
            (rested.order_submitted - alone.order_submitted).abs() <= 0.001 * alone.order_submitted
        );
        lowered += 1;
    }
    assert!(lowered >= 60, "{lowered}");
}

/// Contacts every customer once, with her turn of the catalogue, and lets six weeks pass.
fn contacted(seed: u64, customers: u32) -> (Population, Vec<luopan_simulator::SimEvent>, Micros) {
    let mut world = Population::new(seed, customers, START);
    let at = START.plus(DAY_US + 11 * HOUR_US);
    world.step(at);
    for customer in 0..customers {
        let action = OFFERS[customer as usize % OFFERS.len()].key;
        world
            .contact(customer, Some(action), &format!("d{customer}"), at)
            .unwrap();
    }
    let events = world.step(at.plus(42 * DAY_US));
    (world, events, at)
}

fn answered(e: &luopan_simulator::SimEvent) -> bool {
    !e.property("decision_id").is_missing()
}

#[test]
fn answers_carry_their_decision_and_come_as_often_as_the_truth_says() {
    let (_, events, at) = contacted(9, 20_000);
    let world = {
        let mut w = Population::new(9, 20_000, START);
        w.step(at);
        w
    };
    let mut expected = [0.0; 4];
    for customer in 0..20_000 {
        let t = truth(
            &world,
            customer,
            OFFERS[customer as usize % OFFERS.len()].key,
            at,
        )
        .unwrap();
        for (sum, p) in expected.iter_mut().zip([
            t.order_submitted,
            t.order_confirmed,
            t.dismissed,
            t.unsubscribed,
        ]) {
            *sum += p;
        }
    }
    let count = |kind: &str| {
        let n = events
            .iter()
            .filter(|e| e.kind == kind && (answered(e) || kind == "unsubscribed"))
            .count();
        n as f64
    };
    for (kind, expected) in [
        "order_submitted",
        "order_confirmed",
        "dismissed",
        "unsubscribed",
    ]
    .into_iter()
    .zip(expected)
    {
        let found = count(kind);
        assert!(
            expected > 20.0,
            "{kind} is hardly ever expected: {expected}"
        );
        // Five standard deviations of a sum of independent answers.
        assert!(
            (found - expected).abs() < 5.0 * expected.sqrt(),
            "{kind}: {found} beside {expected}"
        );
    }
    for e in events.iter().filter(|e| answered(e)) {
        assert_eq!(
            e.property("decision_id"),
            &Value::text(format!("d{}", e.customer))
        );
        assert!(e.at > at);
    }
}

#[test]
fn orders_are_delayed_as_declared() {
    let (world, events, at) = contacted(13, 60_000);
    let mut logs: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut submitted = BTreeMap::new();
    let mut confirmed = 0.0;
    for e in events.iter().filter(|e| answered(e)) {
        match e.kind {
            "order_submitted" => {
                let delay = e.at.since(at) as f64;
                logs.entry(hidden_type(&world, e.customer).unwrap())
                    .or_default()
                    .push(libm::log(delay));
                submitted.insert(e.customer, e.at);
            }
            "order_confirmed" => {
                let wait = e.at.since(submitted[&e.customer]);
                // The next weekday at the soonest; over a weekend at the longest.
                assert!((9 * HOUR_US..=5 * DAY_US).contains(&wait), "{wait}");
                confirmed += 1.0;
            }
            _ => {}
        }
    }
    let orders = submitted.len() as f64;
    let share: f64 = confirmed / orders;
    assert!(
        (share - CONFIRMED_SHARE).abs()
            < 4.0 * (CONFIRMED_SHARE * (1.0 - CONFIRMED_SHARE) / orders).sqrt()
    );
    for (kind, logs) in logs {
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let sigma = (logs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0)).sqrt();
        let declared = order_delay_median_us(&world, kind).unwrap();
        assert!(n >= 60.0, "type {kind} ordered {n} times");
        assert!(
            (mean - libm::log(declared)).abs() < 4.0 * ORDER_DELAY_SIGMA / n.sqrt(),
            "type {kind}"
        );
        assert!(
            (sigma - ORDER_DELAY_SIGMA).abs() < 4.0 * ORDER_DELAY_SIGMA / (2.0 * n).sqrt(),
            "type {kind}"
        );
        let factor = declared / ORDER_DELAY_MEDIAN_US as f64;
        assert!((0.5..=2.0).contains(&factor));
    }
}

#[test]
fn who_unsubscribed_answers_no_more() {
    let (mut world, events, _) = contacted(9, 20_000);
    let gone: Vec<u32> = events
        .iter()
        .filter(|e| e.kind == "unsubscribed")
        .map(|e| e.customer)
        .collect();
    assert!(gone.len() >= 20);
    let at = world.now();
    for customer in &gone {
        world
            .contact(*customer, Some(OFFERS[0].key), "again", at)
            .unwrap();
    }
    let after = world.step(at.plus(30 * DAY_US));
    assert!(
        !after
            .iter()
            .any(|e| e.property("decision_id") == &Value::text("again"))
    );
    assert!(
        after.iter().any(|e| gone.contains(&e.customer)),
        "they still come of themselves"
    );
}
