//! Answers to offers: as often as the truth says, tired by contacts, within the rules.

use super::follow::Book;
use super::{played, told, world};
use luopan_kernel::time::{DAY_US, HOUR_US};
use luopan_simulator::fund::{Event, Happening, Kind, World, truth};

fn decision_of(e: &Event) -> Option<&str> {
    match &e.what {
        Happening::Submitted(o) => o.decision.as_deref(),
        Happening::Dismissed(d) => d.as_deref(),
        _ => None,
    }
}

/// Offers everybody one product after 30 days, and plays on.
fn offered(customers: u32) -> (World, Vec<Event>, [f64; 3]) {
    let mut world = world(9, customers, 110);
    let at = world.start().plus(30 * DAY_US + 12 * HOUR_US);
    let mut out = Vec::new();
    world.advance(at, &mut |e| out.push(e.clone()));
    let mut expected = [0.0; 3];
    for customer in 0..customers {
        let code = world.products()[customer as usize % 300].code.clone();
        let t = truth::truth(&world, customer, &code, at).unwrap();
        for (sum, p) in expected
            .iter_mut()
            .zip([t.order_submitted, t.dismissed, t.unsubscribed])
        {
            *sum += p;
        }
        assert!(t.order_submitted + t.view + t.dismissed + t.unsubscribed <= 1.0);
        world
            .offer(customer, &code, &format!("d{customer}"), at)
            .unwrap();
    }
    out.extend(played(&mut world));
    (world, out, expected)
}

#[test]
fn answers_come_as_often_as_the_truth_says_and_orders_keep_the_rules() {
    let (world, events, expected) = offered(20_000);
    let said = told(&world);
    let mut book = Book::new(&world, &said);
    events.iter().for_each(|e| book.follow(e));
    let count = |kind: &str| {
        let n = events
            .iter()
            .filter(|e| {
                e.what.kind() == kind && (decision_of(e).is_some() || kind == "unsubscribed")
            })
            .count();
        n as f64
    };
    for (kind, expected) in ["order_submitted", "dismissed", "unsubscribed"]
        .into_iter()
        .zip(expected)
    {
        let found = count(kind);
        assert!(expected > 25.0, "{kind} is hardly expected: {expected}");
        assert!(
            (found - expected).abs() < 5.0 * expected.sqrt(),
            "{kind}: {found} beside {expected}"
        );
    }
    for e in &events {
        if let Some(decision) = decision_of(e) {
            assert_eq!(decision, format!("d{}", e.customer));
        }
    }
}

#[test]
fn contacts_tire_and_rest_mends() {
    let mut world = world(4, 400, 120);
    let at = world.start().plus(20 * DAY_US);
    world.advance(at, &mut |_| {});
    let code = world.products()[3].code.clone();
    let fresh: Vec<f64> = (0..400)
        .map(|c| truth::truth(&world, c, &code, at).unwrap().order_submitted)
        .collect();
    for n in 0..5 {
        for customer in 0..200 {
            world.offer(customer, &code, &format!("{n}"), at).unwrap();
        }
    }
    world.advance(at.plus(1), &mut |_| {});
    let mut looked_at = 0;
    for customer in 0..200 {
        if truth::truth(&world, customer, &code, at).unwrap().dismissed == 0.0 {
            continue; // not there yet, or unsubscribed on the way
        }
        looked_at += 1;
        let tired = truth::truth(&world, customer, &code, at).unwrap();
        assert!(
            tired.order_submitted < 0.8 * fresh[customer as usize],
            "{customer}"
        );
        assert!(truth::person(&world, customer, at).unwrap().remembered >= 5.0);
        let later = at.plus(48 * DAY_US);
        assert!(truth::person(&world, customer, later).unwrap().remembered < 0.01);
    }
    assert!(looked_at > 120, "{looked_at}");
    for customer in 200..400 {
        let t = truth::truth(&world, customer, &code, at).unwrap();
        assert_eq!(t.order_submitted, fresh[customer as usize]);
    }
}

#[test]
fn a_wish_for_a_gain_every_day_tells_before_a_weekend() {
    let mut world = world(6, 2_000, 60);
    // Friday 2025-09-26 and the Thursday before, at noon.
    let friday = world.start().plus(25 * DAY_US + 12 * HOUR_US);
    world.advance(friday.plus(-DAY_US), &mut |_| {});
    let cash = (world.products().iter())
        .find(|p| p.kind == Kind::Cash)
        .unwrap()
        .code
        .clone();
    let sum = |wishing: bool, at| -> f64 {
        (0..2_000)
            .filter(|c| (truth::person(&world, *c, at).unwrap().wish > 0.5) == wishing)
            .map(|c| truth::truth(&world, c, &cash, at).unwrap().order_submitted)
            .sum()
    };
    let gain = |wishing| sum(wishing, friday) / sum(wishing, friday.plus(-DAY_US));
    assert!(
        gain(true) > 1.2 && gain(true) > 1.05 * gain(false),
        "{} {}",
        gain(true),
        gain(false)
    );
}

#[test]
fn bad_offers_are_refused() {
    let mut world = world(1, 10, 5);
    let at = world.start();
    let code = world.products()[0].code.clone();
    assert!(
        world
            .offer(10, &code, "d", at)
            .unwrap_err()
            .to_string()
            .contains("this world of 10")
    );
    assert!(
        world
            .offer(0, "nothing", "d", at)
            .unwrap_err()
            .to_string()
            .contains("`nothing`")
    );
}
