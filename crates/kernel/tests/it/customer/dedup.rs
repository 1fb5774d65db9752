//! Deduplication with a side table, against a memory without bound.

use super::world::identifier;
use luopan_kernel::profile::{Admission, DEDUP_KEPT, Layout, Profile};
use luopan_kernel::time::Micros;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a caller does with one event: ask the side table when told to, admit, keep what is spilled.
fn admit(
    profile: &mut Profile,
    side: &mut BTreeMap<u128, Micros>,
    hash: u128,
    at: i64,
    horizon: i64,
) -> bool {
    let asked = profile.seen.must_ask_side_table(Micros(at));
    if asked && side.get(&hash).is_some_and(|until| *until >= Micros(at)) {
        return false;
    }
    match profile.seen.admit(hash, Micros(at), horizon) {
        Admission::Duplicate => false,
        Admission::New(spilled) => {
            if let Some(s) = spilled {
                side.insert(s.hash, s.expires_at);
            }
            true
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_event_is_new_once_within_the_horizon(
        events in proptest::collection::vec((0u32..700, 0i64..4, any::<bool>()), 0..1200),
        horizon in 1i64..2500,
    ) {
        let mut profile = Profile::new(identifier(1), &Layout::new(&[]), Micros(0));
        let mut side = BTreeMap::new();
        let mut truth: BTreeMap<u32, i64> = BTreeMap::new();
        let mut now = 0;
        for (event, step, stored) in events {
            now += step;
            let expected = truth.get(&event).is_none_or(|at| now - at > horizon);
            let hash = luopan_kernel::id::hash128(&event.to_le_bytes());
            prop_assert_eq!(admit(&mut profile, &mut side, hash, now, horizon), expected);
            if expected {
                truth.insert(event, now);
            }
            prop_assert!(profile.seen.len() <= DEDUP_KEPT);
            if stored {
                profile = Profile::decode(&profile.encode()).unwrap();
            }
        }
    }
}

#[test]
fn the_side_table_is_asked_exactly_as_long_as_it_may_know() {
    let mut profile = Profile::new(identifier(1), &Layout::new(&[]), Micros(0));
    for i in 0..DEDUP_KEPT {
        assert_eq!(
            profile.seen.admit(i as u128, Micros(10), 100),
            Admission::New(None)
        );
    }
    assert!(!profile.seen.must_ask_side_table(Micros(10)));
    let Admission::New(Some(spilled)) = profile.seen.admit(9999, Micros(20), 100) else {
        panic!("the 257th id spills the oldest");
    };
    assert_eq!((spilled.hash, spilled.expires_at), (0, Micros(110)));
    assert!(profile.seen.must_ask_side_table(Micros(110)));
    assert!(!profile.seen.must_ask_side_table(Micros(111)));
    // At 111 all ids of time 10 are forgotten, the one of time 20 is not.
    assert_eq!(
        profile.seen.admit(9999, Micros(111), 100),
        Admission::Duplicate
    );
    assert_eq!(profile.seen.len(), 1);
    assert_eq!(profile.seen.spilled_until(), None);
}
