//! What customers do unasked.

use crate::START;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::time::{DAY_US, Moment};
use luopan_kernel::value::Value;
use luopan_simulator::Population;
use luopan_simulator::catalogue::find;
use std::collections::BTreeMap;

#[test]
fn sixty_days_look_like_a_platform() {
    let customers = 3_000u32;
    let mut world = Population::new(21, customers, START);
    let events = world.step(START.plus(60 * DAY_US));
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut hours = [0u32; 24];
    let mut last_login = BTreeMap::new();
    let mut longest_gap: BTreeMap<u32, i64> = BTreeMap::new();
    for e in &events {
        *kinds.entry(e.kind).or_default() += 1;
        if e.kind == "login" {
            let local = Moment {
                now: e.at,
                utc_offset_s: 28_800,
            };
            hours[(local.minute_of_day() / 60) as usize] += 1;
            let before = last_login.insert(e.customer, e.at).unwrap_or(START);
            let gap = longest_gap.entry(e.customer).or_default();
            *gap = (*gap).max(e.at.since(before));
        }
        if let Value::Text(item) = e.property("item") {
            assert!(find(item).is_some());
        }
        if let Value::Int(amount) = e.property("amount") {
            assert!(*amount > 0);
        }
    }
    eprintln!("{kinds:?}\n{hours:?}");
    assert!(kinds[CUSTOMER_TYPE] > customers, "assessments are renewed");
    let a_day = f64::from(kinds["login"]) / 60.0 / f64::from(customers);
    assert!(
        (0.15..0.6).contains(&a_day),
        "{a_day} logins a customer and day"
    );
    for kind in ["page_view", "deposit", "order_submitted", "order_confirmed"] {
        assert!(kinds[kind] > 500, "{kind}: {}", kinds[kind]);
    }
    assert!(kinds["order_confirmed"] < kinds["order_submitted"]);
    // Evenings are busy and nights are not.
    let (evening, night) = (
        hours[19..22].iter().sum::<u32>(),
        hours[2..5].iter().sum::<u32>(),
    );
    assert!(evening > 4 * night, "{evening} beside {night}");
    let silent = longest_gap.values().filter(|g| **g > 21 * DAY_US).count();
    assert!(silent > 100, "{silent} went silent for three weeks");
}

#[test]
fn attributes_come_first() {
    let mut world = Population::new(21, 500, START);
    let events = world.step(START.plus(DAY_US));
    for (n, e) in events.iter().take(500).enumerate() {
        assert_eq!(
            (e.kind, e.customer as usize, e.at),
            (CUSTOMER_TYPE, n, START)
        );
        assert!(matches!(e.property("consent_marketing"), Value::Bool(_)));
        assert!(matches!(e.property("zone"), Value::Text(_)));
    }
    let unknown = events[..500]
        .iter()
        .filter(|e| e.property("risk_appetite").is_missing());
    assert!((5..100).contains(&unknown.count()));
}
