//! Every aggregate and window against the oracle: late events, any order of arrival, linked identifiers, stored and read
//! back at any point.

use super::oracle;
use super::world::{Act, Spec, acts, all_specs, identifier, scene, specs};
use luopan_kernel::fold::{FoldPlan, advance, fold};
use luopan_kernel::plan::{Aggregate, ScenePlan};
use luopan_kernel::profile::{Held, Profile, State};
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{Micros, Moment};
use luopan_kernel::value::Value;
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) fn moment(at: i64) -> Moment {
    Moment {
        now: Micros(at),
        utc_offset_s: 0,
    }
}

/// The profiles of all identifiers after these acts, in this order.
pub(crate) fn folded<'a>(
    plan: &FoldPlan,
    acts: impl IntoIterator<Item = &'a Act>,
) -> BTreeMap<u8, Profile> {
    let mut profiles = BTreeMap::new();
    for act in acts {
        let profile = profiles.entry(act.who).or_insert_with(|| {
            Profile::new(identifier(act.who), plan.layout(), Micros(act.received_at))
        });
        fold(plan, profile, &act.event());
    }
    profiles
}

fn check(specs: &[Spec], scene: &ScenePlan, profiles: &[&Profile], acts: &[&Act], as_of: i64) {
    let slots = CustomerSlots::read(scene, profiles, moment(as_of), &[]);
    for (i, spec) in specs.iter().enumerate() {
        let expected = oracle::value(spec, acts, as_of);
        assert!(
            oracle::agrees(&slots.values[i], &expected),
            "{:?} over {:?} of {:?}: found {:?}, expected {expected:?}",
            spec.plan.aggregate,
            spec.plan.window,
            spec.measure,
            slots.values[i],
        );
    }
}

/// Cells that must be the same whatever the order, bit for bit; of an ewma within 1e-9 of the weighted magnitude.
fn assert_same_cells(a: &Held, b: &Held, magnitude: f64) {
    let close = |a: &State, b: &State| match (a, b) {
        (State::Ewma(a), State::Ewma(b)) => {
            a.reference == b.reference
                && (a.weight - b.weight).abs() <= 1e-9 * a.weight
                && (a.weighted - b.weighted).abs() <= 1e-9 * a.weight * magnitude
        }
        (a, b) => a == b,
    };
    let same = match (a, b) {
        (Held::Lifetime(a), Held::Lifetime(b)) => close(a, b),
        (Held::Tiles(a), Held::Tiles(b)) => {
            a.len() == b.len()
                && (a.iter().zip(b)).all(|(a, b)| a.index == b.index && close(&a.state, &b.state))
        }
        (a, b) => a == b,
    };
    assert!(same, "{a:?} is not {b:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_tag_agrees_with_the_oracle_after_every_event(acts in acts(40, 1), ahead in 0i64..300_000_000) {
        let specs = all_specs();
        let scene = scene(specs.iter().map(|s| s.plan.clone()).collect());
        let plan = FoldPlan::new(&scene);
        let mut profile = Profile::new(identifier(0), plan.layout(), Micros(acts[0].received_at));
        for (i, act) in acts.iter().enumerate() {
            fold(&plan, &mut profile, &act.event());
            let seen: Vec<&Act> = acts[..=i].iter().collect();
            check(&specs, &scene, &[&profile], &seen, act.received_at);
        }
        let all: Vec<&Act> = acts.iter().collect();
        check(&specs, &scene, &[&profile], &all, acts.last().unwrap().received_at + ahead);
    }

    #[test]
    fn linked_identifiers_read_as_one(acts in acts(60, 4), ahead in 0i64..100_000_000) {
        let specs = all_specs();
        let scene = scene(specs.iter().map(|s| s.plan.clone()).collect());
        let plan = FoldPlan::new(&scene);
        let profiles = folded(&plan, &acts);
        let as_of = acts.last().unwrap().received_at + ahead;
        // Every subset of the identifiers may be linked, and un-linking is reading another subset.
        for subset in 0u8..16 {
            let held: Vec<&Profile> = (profiles.iter().rev())
                .filter(|(who, _)| subset >> **who & 1 == 1)
                .map(|(_, p)| p)
                .collect();
            let seen: Vec<&Act> = acts.iter().filter(|a| subset >> a.who & 1 == 1).collect();
            check(&specs, &scene, &held, &seen, as_of);
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        (acts, shuffled) in acts(40, 1).prop_flat_map(|acts| (Just(acts.clone()), Just(acts).prop_shuffle()))
    ) {
        let scene = scene(all_specs().into_iter().map(|s| s.plan).collect());
        let plan = FoldPlan::new(&scene);
        let (a, b) = (&folded(&plan, &acts)[&0], &folded(&plan, &shuffled)[&0]);
        prop_assert_eq!(a.last_log_time, b.last_log_time);
        for ((_, a), (_, b)) in a.cells().zip(b.cells()) {
            assert_same_cells(a, b, 1e19);
        }
    }

    #[test]
    fn the_merge_of_folds_is_the_fold_of_the_union(acts in acts(60, 4)) {
        let specs = all_specs();
        let scene = scene(specs.iter().map(|s| s.plan.clone()).collect());
        let plan = FoldPlan::new(&scene);
        let mut parts = folded(&plan, &acts);
        let end = Micros(acts.last().unwrap().received_at);
        for part in parts.values_mut() {
            advance(&plan, part, end);
        }
        let one: Vec<Act> = acts.iter().map(|a| Act { who: 0, ..a.clone() }).collect();
        let union = folded(&plan, &one);
        for (i, spec) in specs.iter().enumerate() {
            let cell = |p: &Profile| p.cell(i, spec.plan.id).unwrap().clone();
            let mut forward = Held::Nothing;
            parts.values().for_each(|p| forward.merge(&cell(p), &spec.plan.aggregate));
            let mut backward = Held::Nothing;
            parts.values().rev().for_each(|p| backward.merge(&cell(p), &spec.plan.aggregate));
            let magnitude = if spec.plan.measure.of == Some(5) { 1e6 } else { 1e19 };
            assert_same_cells(&forward, &cell(&union[&0]), magnitude);
            assert_same_cells(&backward, &forward, magnitude);
        }
    }

    #[test]
    fn storing_and_reading_back_at_any_point_changes_nothing(acts in acts(40, 1), stored in any::<u64>()) {
        let scene = scene(all_specs().into_iter().map(|s| s.plan).collect());
        let plan = FoldPlan::new(&scene);
        let mut profile = Profile::new(identifier(0), plan.layout(), Micros(acts[0].received_at));
        for (i, act) in acts.iter().enumerate() {
            if stored >> (i % 64) & 1 == 1 {
                let bytes = profile.encode();
                let back = Profile::decode_for(&bytes, plan.layout()).unwrap();
                prop_assert_eq!(&back, &profile);
                prop_assert_eq!(&Profile::decode(&bytes).unwrap(), &profile);
                prop_assert_eq!(back.encode(), bytes);
                profile = back;
            }
            fold(&plan, &mut profile, &act.event());
        }
        prop_assert_eq!(profile.encode(), folded(&plan, &acts)[&0].encode());
    }

    #[test]
    fn windows_stay_bounded(acts in acts(60, 1)) {
        let scene = scene(all_specs().into_iter().map(|s| s.plan).collect());
        let plan = FoldPlan::new(&scene);
        let profile = &folded(&plan, &acts)[&0];
        for ((_, held), tag) in profile.cells().zip(&scene.tags) {
            if let (Held::Tiles(held), luopan_kernel::plan::Window::Sliding { tile_us, tiles }) = (held, tag.window) {
                let newest = profile.last_log_time.0.div_euclid(tile_us);
                prop_assert!(held.iter().all(|t| t.index <= newest && t.index > newest - i64::from(tiles)));
            }
        }
    }
}

#[test]
fn an_event_of_an_unknown_type_moves_log_time_alone() {
    let scene = scene(specs().into_iter().map(|s| s.plan).collect());
    let plan = FoldPlan::new(&scene);
    let mut profile = Profile::new(identifier(0), plan.layout(), Micros(5));
    let act = Act {
        who: 0,
        id: "a".to_owned(),
        kind: "nobody.knows",
        occurred_at: 7,
        received_at: 9,
        properties: vec![("x", Value::Number(1.0))],
    };
    fold(&plan, &mut profile, &act.event());
    assert_eq!(profile.last_log_time, Micros(9));
    assert!(profile.cells().all(|(_, held)| *held == Held::Nothing));
}

#[test]
fn an_attribute_that_is_not_named_is_left_alone() {
    let scene = scene(vec![]);
    let plan = FoldPlan::new(&scene);
    let set = |id: &str, at, properties| Act {
        who: 0,
        id: id.to_owned(),
        kind: luopan_kernel::event::CUSTOMER_TYPE,
        occurred_at: at,
        received_at: at,
        properties,
    };
    let acts = [
        set("a", 1, vec![("city", Value::text("Kunming"))]),
        set("b", 2, vec![("zone", Value::text("Asia/Shanghai"))]),
    ];
    let profiles = folded(&plan, &acts);
    let slots = CustomerSlots::read(&scene, &[&profiles[&0]], moment(3), &[]);
    assert_eq!(slots.values[0], Value::text("Kunming"));
}

#[test]
fn what_a_fast_clock_told_gives_way_to_what_is_told_later() {
    let scene = scene(vec![]);
    let plan = FoldPlan::new(&scene);
    let set = |id: &str, occurred_at, received_at, city| Act {
        who: 0,
        id: id.to_owned(),
        kind: luopan_kernel::event::CUSTOMER_TYPE,
        occurred_at,
        received_at,
        properties: vec![("city", Value::text(city))],
    };
    let city = |acts: &[Act]| {
        let profiles = folded(&plan, acts);
        let slots = CustomerSlots::read(&scene, &[&profiles[&0]], moment(900), &[]);
        slots.values[0].clone().into_owned()
    };
    for ids in [["a", "b"], ["b", "a"]] {
        let ahead = set(ids[0], 400, 100, "Kunming");
        // Another sender's clock is right, and says it later.
        let later = set(ids[1], 101, 101, "Chengdu");
        assert_eq!(city(&[ahead.clone(), later]), Value::text("Chengdu"));
        // Two of the fast clock that came together keep their order, whichever stands first in the log.
        let second = set(ids[1], 401, 100, "Lijiang");
        assert_eq!(
            city(&[ahead.clone(), second.clone()]),
            Value::text("Lijiang")
        );
        assert_eq!(city(&[second, ahead]), Value::text("Lijiang"));
    }
}

#[test]
fn many_different_values_are_estimated_and_merge_as_one() {
    let specs: Vec<Spec> = (specs().into_iter())
        .filter(|s| s.plan.aggregate == Aggregate::Distinct && s.measure.of == Some("name"))
        .take(1)
        .collect();
    let scene = scene(specs.iter().map(|s| s.plan.clone()).collect());
    let plan = FoldPlan::new(&scene);
    let act = |i: usize, who: u8| Act {
        who,
        id: i.to_string(),
        kind: "act",
        occurred_at: i as i64,
        received_at: i as i64,
        properties: vec![
            ("amount", Value::Int(60)),
            ("name", Value::text(format!("v{i}"))),
            ("x", Value::Number(-1.0)),
        ],
    };
    for (n, within) in [(128usize, 0.0), (129, 0.35), (2_000, 0.35), (50_000, 0.35)] {
        let one: Vec<Act> = (0..n).map(|i| act(i, 0)).collect();
        // The parts overlap: some values are seen by both identifiers.
        let two: Vec<Act> = (0..n)
            .flat_map(|i| {
                [
                    Some(act(i, (i % 2) as u8)),
                    (i % 3 == 0).then(|| act(i, ((i + 1) % 2) as u8)),
                ]
            })
            .flatten()
            .collect();
        let (union, parts) = (folded(&plan, &one), folded(&plan, &two));
        let read = |profiles: &[&Profile]| {
            CustomerSlots::read(&scene, profiles, moment(n as i64), &[]).values[0]
                .clone()
                .into_owned()
        };
        let Value::Int(estimate) = read(&[&union[&0]]) else {
            panic!("a distinct count is an integer")
        };
        let error = (estimate as f64 - n as f64).abs() / n as f64;
        assert!(error <= within, "{estimate} for {n}");
        assert_eq!(read(&[&parts[&0], &parts[&1]]), Value::Int(estimate));
    }
}

/// A sketch's answer for what stands at a rank, and the newest value beside it, whatever order events came in.
#[test]
fn a_deposit_is_compared_with_those_before_it() {
    use luopan_kernel::plan::{Measure, TagPlan, Window};
    use luopan_kernel::value::ValueType;
    let tag = |id, aggregate| TagPlan {
        id,
        name: format!("tag_{id}"),
        kind: ValueType::Money,
        event: 0,
        measure: Measure {
            of: Some(0),
            filter: None,
        },
        aggregate,
        window: Window::Lifetime,
        default: Value::Missing,
        not_a_feature: None,
        clock: vec![],
    };
    let before = Aggregate::Quantile {
        millionths: 900_000,
        without_latest: true,
    };
    let scene = scene(vec![tag(1, Aggregate::Last), tag(2, before)]);
    let plan = FoldPlan::new(&scene);
    let deposit = |i: i64, amount: i64| Act {
        who: 0,
        id: format!("d{i}"),
        kind: "act",
        occurred_at: i,
        received_at: 1_000 + i,
        properties: vec![("amount", Value::Int(amount))],
    };
    let read = |acts: &[Act]| {
        let profiles = folded(&plan, acts);
        let slots = CustomerSlots::read(&scene, &[&profiles[&0]], moment(9_000), &[]);
        let int = |v: &Value<'_>| match v {
            Value::Int(v) => Some(*v),
            _ => None,
        };
        (int(&slots.values[0]), int(&slots.values[1]))
    };
    assert_eq!(read(&[deposit(1, 500_000)]), (Some(500_000), None));
    // The same pay every month is never above itself.
    let mut acts: Vec<Act> = (1..=12).map(|i| deposit(i, 500_000)).collect();
    let (last, usual) = read(&acts);
    assert!(last <= usual, "{last:?} {usual:?}");
    // A larger one is, and by the same measure when it arrives first.
    acts.push(deposit(13, 700_000));
    let (last, still) = read(&acts);
    assert_eq!((last, still), (Some(700_000), usual));
    assert!(last > still);
    acts.rotate_right(1);
    assert_eq!(read(&acts), (last, still));
    // What comes late and is older changes the measure, not what is compared with it.
    acts.push(deposit(0, 800_000));
    acts.push(deposit(-1, 800_000));
    assert_eq!(read(&acts).0, Some(700_000));
    assert!(read(&acts).1 >= Some(800_000));
}

/// A filter may ask what the exchange's clock said when the event happened.
#[test]
fn a_condition_reads_the_calendar_at_the_time_of_the_event() {
    use luopan_kernel::plan::{
        BinaryOp, Calendar, EnvironmentTag, Exchange, Expr, Measure, SlotId, TagPlan, Window,
    };
    use luopan_kernel::time::DAY_US;
    use luopan_kernel::value::ValueType;
    // Friday 2 January 1970 trades, and so does Monday the 5th; by a clock of eight hours east.
    let calendar = Calendar {
        name: "market".to_owned(),
        from_day: 0,
        to_day: 10,
        days: vec![0, 1, 4, 5, 6, 7, 8],
        exchange: Some(Exchange {
            utc_offset_s: 28_800,
            cutoff_minute: None,
            sessions: vec![],
        }),
    };
    let fields = 6;
    let two_closed = Expr::Binary(
        BinaryOp::Ge,
        Box::new(Expr::Slot(SlotId(fields))),
        Box::new(Expr::Const(Value::Int(2))),
    );
    let mut scene = scene(vec![TagPlan {
        id: 1,
        name: "on_eves".to_owned(),
        kind: ValueType::Integer,
        event: 0,
        measure: Measure {
            of: None,
            filter: Some(two_closed),
        },
        aggregate: Aggregate::Count,
        window: Window::Lifetime,
        default: Value::Int(0),
        not_a_feature: None,
        clock: vec![EnvironmentTag::DaysClosedAhead(0)],
    }]);
    scene.calendars = vec![calendar];
    let plan = FoldPlan::new(&scene);
    let at = |id: &str, us: i64| Act {
        who: 0,
        id: id.to_owned(),
        kind: "act",
        occurred_at: us,
        received_at: us,
        properties: vec![],
    };
    let hour = DAY_US / 24;
    let acts = [
        at("thursday", 5 * hour),
        // 16:00 of Thursday in UTC is midnight of Friday by the exchange.
        at("friday by the exchange", 16 * hour),
        at("friday", DAY_US + 5 * hour),
        at("saturday by the exchange", DAY_US + 16 * hour),
        at("monday", 4 * DAY_US),
        // Past the calendar's end nothing is known, and what is not known does not count.
        at("later", 40 * DAY_US),
    ];
    let profiles = folded(&plan, &acts);
    let slots = CustomerSlots::read(&scene, &[&profiles[&0]], moment(41 * DAY_US), &[]);
    // Friday twice; Saturday has one closed day ahead of it.
    assert_eq!(slots.values[0], Value::Int(2));
}
