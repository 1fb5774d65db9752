//! Slots of the environment, the request, derived tags and candidate items.

use super::fold::{folded, moment};
use super::world::{Act, binary, constant, field, scene, slot, specs};
use luopan_kernel::fold::FoldPlan;
use luopan_kernel::plan::*;
use luopan_kernel::profile::Profile;
use luopan_kernel::rule::Lookup;
use luopan_kernel::slots::{CustomerSlots, ItemLookup, ItemSlots, SlotSet};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, Moment};
use luopan_kernel::value::{Value, ValueType};
use std::borrow::Cow;

fn named(name: &str, kind: ValueType, source: SlotSource) -> SlotPlan {
    SlotPlan {
        name: name.to_owned(),
        kind,
        source,
    }
}

/// Slots: 0 the attribute `city`, then what is given.
fn with_slots(slots: Vec<SlotPlan>, derived: Vec<Expr>) -> ScenePlan {
    let mut scene = scene(vec![]);
    scene.slots.extend(slots);
    scene.derived = derived;
    scene.calendars = vec![Calendar {
        name: "market".to_owned(),
        from_day: 10,
        to_day: 20,
        days: vec![10, 11, 14, 15, 18],
        exchange: None,
    }];
    scene
}

#[test]
fn the_environment_is_the_customers_local_time_and_unknown_outside_the_calendar() {
    use EnvironmentTag::*;
    let tags = [
        Hour,
        MinuteOfDay,
        Weekday,
        IsWeekend,
        DayOfMonth,
        Month,
        IsTradingDay(0),
        DaysToNextTradingDay(0),
        IsTradingDay(7),
    ];
    let slots = (tags.iter())
        .map(|t| named("env", ValueType::Integer, SlotSource::Environment(*t)))
        .collect();
    let scene = with_slots(slots, vec![]);
    let at = |day: i64| {
        // 22:30 UTC on the day before is 06:30 in Shanghai.
        let moment = Moment {
            now: Micros((day - 1) * DAY_US + 22 * HOUR_US + HOUR_US / 2),
            utc_offset_s: 28_800,
        };
        let slots = CustomerSlots::read(&scene, &[], moment, &[]);
        (slots.values[1..].iter().cloned().map(Value::into_owned)).collect::<Vec<_>>()
    };
    let (int, yes, no) = (Value::Int, Value::Bool(true), Value::Bool(false));
    // Day 10 is Sunday 1970-01-11.
    let day10 = at(10);
    let local = [int(6), int(390), int(7), yes.clone(), int(11), int(1)];
    assert_eq!(day10[..6], local);
    assert_eq!(day10[6..], [yes.clone(), int(1), Value::Missing]);
    assert_eq!(at(11)[6..8], [yes.clone(), int(3)]);
    assert_eq!(at(13)[6..8], [no.clone(), int(1)]);
    // After the last trading day the calendar does not know the next one.
    assert_eq!(at(18)[6..8], [yes, Value::Missing]);
    assert_eq!(at(20)[6..8], [no, Value::Missing]);
    assert_eq!(at(9)[6..8], [Value::Missing, Value::Missing]);
    assert_eq!(at(21)[6..8], [Value::Missing, Value::Missing]);
}

#[test]
fn request_fields_and_derived_tags_are_read_in_order() {
    let slots = vec![
        // Slot 1 is derived from slot 2, which is derived from slot 3: order of computation is the order of derivation.
        named("b", ValueType::Integer, SlotSource::Derived(1)),
        named("a", ValueType::Integer, SlotSource::Derived(0)),
        named("request.page", ValueType::Integer, SlotSource::Request),
        named("request.word", ValueType::Text, SlotSource::Request),
        named("request.absent", ValueType::Text, SlotSource::Request),
    ];
    let derived = vec![
        binary(BinaryOp::Mul, slot(3), constant(Value::Int(10))),
        binary(BinaryOp::Add, slot(2), constant(Value::Int(1))),
    ];
    let scene = with_slots(slots, derived);
    let request = [
        (Cow::Borrowed("page"), Value::Int(4)),
        // Not of the declared type: missing, never guessed.
        (Cow::Borrowed("word"), Value::Int(4)),
    ];
    let all = CustomerSlots::read(&scene, &[], moment(0), &request);
    let (int, missing) = (Value::Int, Value::Missing);
    assert_eq!(
        all.values,
        [
            missing.clone(),
            int(41),
            int(40),
            int(4),
            missing.clone(),
            missing
        ]
    );
    // Only what `b` needs: itself, `a`, and the page.
    let set = SlotSet::reading(&scene, [&slot(1)]);
    assert_eq!(
        set.iter().collect::<Vec<_>>(),
        [SlotId(3), SlotId(2), SlotId(1)]
    );
    let some = CustomerSlots::read_only(&scene, &set, &[], moment(0), &request);
    assert_eq!(some.values[1], int(41));
    assert!(!set.contains(SlotId(0)) && set.contains(SlotId(2)));
}

#[test]
fn an_item_is_seen_beside_its_customer() {
    let mut scene = with_slots(
        vec![
            named("item.risk", ValueType::Integer, SlotSource::Item(0, 0)),
            named("item.name", ValueType::Text, SlotSource::Item(0, 1)),
            named("item.key", ValueType::Text, SlotSource::ItemKey(0)),
            named("other.risk", ValueType::Integer, SlotSource::Item(1, 0)),
        ],
        vec![],
    );
    scene.catalogues = vec![CataloguePlan {
        name: "funds".to_owned(),
        attributes: vec![
            field("risk", ValueType::Integer),
            field("name", ValueType::Text),
        ],
        items: vec![],
        measures: None,
        key_digits: None,
    }];
    let plan = FoldPlan::new(&scene);
    let profiles = folded(
        &plan,
        &[Act {
            who: 0,
            id: "a".to_owned(),
            kind: luopan_kernel::event::CUSTOMER_TYPE,
            occurred_at: 1,
            received_at: 1,
            properties: vec![("city", Value::text("Dali"))],
        }],
    );
    let customer = CustomerSlots::read(&scene, &[&profiles[&0]], moment(2), &[]);
    let (slots, key) = (ItemSlots::new(&scene, 0), Value::text("f1"));
    let lookup = ItemLookup::new(
        &customer,
        &slots,
        &key,
        &[Value::Int(4)],
        luopan_kernel::slots::NO_STAGES,
    );
    let read = |i| lookup.slot(SlotId(i)).clone().into_owned();
    assert_eq!(read(0), Value::text("Dali"));
    assert_eq!(read(1), Value::Int(4));
    // The item's list is shorter than the catalogue: what it does not say is missing.
    assert_eq!(read(2), Value::Missing);
    assert_eq!(read(3), Value::text("f1"));
    assert_eq!(read(4), Value::Missing);
    assert_eq!(read(99), Value::Missing);
}

#[test]
fn a_customer_never_seen_shows_the_declared_defaults() {
    let specs = specs();
    let scene = scene(specs.iter().map(|s| s.plan.clone()).collect());
    let none: [&Profile; 0] = [];
    let slots = CustomerSlots::read(&scene, &none, moment(5), &[]);
    for (spec, value) in specs.iter().zip(&slots.values) {
        assert_eq!(*value, spec.plan.default);
    }
}
