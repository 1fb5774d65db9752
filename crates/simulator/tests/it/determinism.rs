//! Same seed, same world, bit for bit, however it is stepped.

use crate::START;
use luopan_kernel::codec::Writer;
use luopan_kernel::id::hash128;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_simulator::catalogue::OFFERS;
use luopan_simulator::{Population, SimEvent};
use proptest::prelude::*;

fn bytes(events: &[SimEvent]) -> Vec<u8> {
    let mut w = Writer::default();
    for e in events {
        w.str(&e.id());
        w.str(e.kind);
        w.int(e.at.0);
        for (name, value) in &e.properties {
            w.str(name);
            value.write(&mut w);
        }
    }
    w.into_bytes()
}

/// Lets `days` pass in steps of `step_us`, contacting one customer an hour on the hour.
fn live(seed: u64, customers: u32, days: i64, step_us: i64) -> Vec<SimEvent> {
    let mut world = Population::new(seed, customers, START);
    let mut out = Vec::new();
    let end = START.plus(days * DAY_US);
    let mut contact_at = START.plus(HOUR_US);
    let mut turn = 0u32;
    while world.now() < end {
        let next = world.now().plus(step_us).min(contact_at).min(end);
        out.extend(world.step(next));
        if next == contact_at {
            let action = OFFERS[turn as usize % OFFERS.len()].key;
            world
                .contact(
                    turn % customers,
                    Some(action),
                    &format!("d{turn}"),
                    contact_at,
                )
                .unwrap();
            turn += 1;
            contact_at = contact_at.plus(HOUR_US);
        }
    }
    out
}

#[test]
fn the_first_ten_thousand_events_are_golden() {
    let events = live(7, 1_000, 12, HOUR_US);
    assert!(events.len() >= 10_000, "only {} events", events.len());
    assert_eq!(hash128(&bytes(&events[..10_000])), GOLDEN);
}
/// Change it only together with what the population is meant to do.
const GOLDEN: u128 = 152460522301741829256883341370907653492;

#[test]
fn another_seed_is_another_world() {
    assert_ne!(
        bytes(&live(7, 50, 3, DAY_US)),
        bytes(&live(8, 50, 3, DAY_US))
    );
}

#[test]
fn what_is_done_to_one_customer_moves_no_one_else() {
    let run = |contact: bool| {
        let mut world = Population::new(3, 20, START);
        let mut out = world.step(START.plus(DAY_US));
        if contact {
            let at = world.now();
            world.contact(0, Some(OFFERS[0].key), "d", at).unwrap();
        }
        out.extend(world.step(START.plus(40 * DAY_US)));
        out.retain(|e| e.customer != 0);
        out
    };
    assert_eq!(bytes(&run(true)), bytes(&run(false)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn cutting_time_otherwise_changes_nothing(seed in 0u64..1_000, step_us in HOUR_US / 7..3 * DAY_US) {
        prop_assert_eq!(bytes(&live(seed, 30, 6, step_us)), bytes(&live(seed, 30, 6, HOUR_US)));
    }

    #[test]
    fn events_come_in_order_with_fresh_ids(seed in 0u64..1_000) {
        let events = live(seed, 30, 8, DAY_US);
        prop_assert!(events.windows(2).all(|w| w[0].at <= w[1].at));
        let mut ids: Vec<String> = events.iter().map(SimEvent::id).collect();
        let before = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), before);
        for e in &events {
            prop_assert!(e.at >= START);
            prop_assert!(e.properties.windows(2).all(|w| w[0].0 < w[1].0), "{:?}", e);
        }
    }
}

#[test]
fn time_that_has_passed_says_nothing_and_unknown_actions_are_named() {
    let mut world = Population::new(1, 5, START);
    assert_eq!(world.step(START).len(), 5);
    assert!(world.step(Micros(0)).is_empty());
    let refused = world
        .contact(0, Some("perpetuum-mobile"), "d", START)
        .unwrap_err();
    assert!(refused.to_string().contains("`perpetuum-mobile`"));
    // Nobody answers to a number that is not there, and silence leaves no trace.
    world.contact(99, Some(OFFERS[0].key), "d", START).unwrap();
    world.contact(0, None, "d", START).unwrap();
}
