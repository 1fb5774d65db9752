//! Slots of a customer and an item together: rules over the whole catalogue say of held items what they say of each alone,
//! decisions are made again from their records, and positions are read beside the items as they are now.

use super::record::{again, record};
use super::world::{Dice, World, condition, key, world};
use crate::customer::{book, fold_of};
use luopan_kernel::catalogue::{Catalogue, CatalogueRule};
use luopan_kernel::fold::FoldPlan;
use luopan_kernel::plan::*;
use luopan_kernel::profile::Profile;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::rule::truth;
use luopan_kernel::slots::{CustomerSlots, HeldItems, ItemLookup, ItemSlots, SlotSet};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, Moment};
use luopan_kernel::value::{Value, ValueType};
use proptest::prelude::*;

const SHARES: u16 = 10;
const STAGE: u16 = 11;
const DAYS: u16 = 12;

fn slot(id: u16) -> Box<Expr> {
    Box::new(Expr::Slot(SlotId(id)))
}

fn constant(v: Value<'static>) -> Box<Expr> {
    Box::new(Expr::Const(v))
}

fn orders() -> OrdersPlan {
    OrdersPlan {
        id: 1,
        catalogue: 0,
        currency: "CNY".to_owned(),
        minor_digits: 2,
        calendar: None,
        utc_offset_s: 0,
        events: vec![],
        nav: None,
        fee_attribute: None,
        fees: vec![],
        confirms_after: None,
        earns_after: None,
    }
}

/// A condition over slots of pairs alone, or together with the item or the customer.
fn pair_condition(dice: &mut Dice) -> Expr {
    match dice.below(5) {
        0 => Expr::Binary(BinaryOp::Eq, slot(STAGE), constant(Value::text("held"))),
        1 => Expr::Binary(BinaryOp::Gt, slot(SHARES), constant(Value::Number(2.0))),
        2 => Expr::Binary(BinaryOp::Lt, slot(DAYS), slot(6)),
        3 => Expr::Binary(BinaryOp::Ge, slot(DAYS), slot(0)),
        _ => Expr::Call(Function::Known, vec![Expr::Slot(SlotId(DAYS))]),
    }
}

fn mixed_condition(dice: &mut Dice) -> Expr {
    let (a, b) = (condition(dice, 2, true), pair_condition(dice));
    let op = if dice.chance(0.5) {
        BinaryOp::And
    } else {
        BinaryOp::Or
    };
    let joined = Expr::Binary(op, Box::new(a), Box::new(b));
    if dice.chance(0.3) {
        Expr::Unary(UnaryOp::Not, Box::new(joined))
    } else {
        joined
    }
}

/// A world whose customer holds some of the items and one that is no longer in the catalogue.
fn holder(seed: u64) -> World {
    let mut w = world(seed);
    let mut dice = Dice::new(seed ^ 77);
    w.scene.orders = vec![orders()];
    for (name, tag) in [
        ("held.shares", HeldTag::Shares),
        ("held.stage", HeldTag::Stage),
        ("held.days", HeldTag::Days),
    ] {
        w.scene.slots.push(SlotPlan {
            name: name.to_owned(),
            kind: tag.kind(),
            source: SlotSource::Held(0, tag),
        });
    }
    w.customer
        .values
        .extend([Value::Number(0.0), Value::text("before"), Value::Missing]);
    let mut rows = Vec::new();
    for i in 0..13 {
        if dice.chance(0.3) {
            let stage = ["ordered", "held", "redeeming", "after"][dice.below(4)];
            let days = if dice.chance(0.2) {
                Value::Missing
            } else {
                Value::Int(dice.below(5) as i64)
            };
            rows.push((
                key(i),
                vec![
                    days,
                    Value::Number(dice.below(5) as f64),
                    Value::text(stage),
                ],
            ));
        }
    }
    rows.push((
        "vanished".to_owned(),
        vec![Value::Int(9), Value::Number(9.0), Value::text("held")],
    ));
    w.customer.held = HeldItems::new([DAYS, SHARES, STAGE].map(SlotId).to_vec(), rows);
    let rule = |name: &str, expr| NamedRule {
        name: name.to_owned(),
        source: String::new(),
        expr,
        version: None,
        authority: None,
        effective: None,
    };
    let (a, b) = (mixed_condition(&mut dice), mixed_condition(&mut dice));
    let policy = w.policy_mut();
    if dice.chance(0.7) {
        policy.suitability.push(rule("held one", a));
    }
    if dice.chance(0.4) {
        policy.exclusions.push(rule("held two", b));
    }
    if dice.chance(0.5) {
        policy.scorer = Scorer::Expression(Expr::Binary(BinaryOp::Add, slot(SHARES), slot(1)));
    }
    if dice.chance(0.3) {
        // What a choice costs depends on whether it is held, and on nothing else.
        let is_held = Expr::Binary(BinaryOp::Eq, slot(STAGE), constant(Value::text("held")));
        policy.budgets = vec![BudgetUse {
            budget: 0,
            cost: Expr::If(
                Box::new(is_held),
                constant(Value::Int(3)),
                constant(Value::Int(0)),
            ),
            price: None,
        }];
    }
    w
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_mask_of_pairs_is_the_truth_of_each_row(seed: u64) {
        let w = holder(seed);
        let mut dice = Dice::new(seed ^ 3);
        let slots = ItemSlots::new(&w.scene, 0);
        for expr in [pair_condition(&mut dice), mixed_condition(&mut dice)] {
            let rule = CatalogueRule::new(&expr, &slots, &w.catalogue);
            let mask = rule.mask(&w.customer, &slots, &w.catalogue);
            for row in 0..w.catalogue.len() {
                let lookup = ItemLookup::new(&w.customer, &slots, w.catalogue.key_value(row), w.catalogue.values(row), luopan_kernel::slots::NO_STAGES);
                prop_assert_eq!(mask.truth(row), truth(&expr, &lookup), "row {} of {:?}", row, expr);
            }
        }
    }

    #[test]
    fn a_decision_over_what_is_held_is_made_again_from_its_record(seed: u64, draw: u64) {
        let w = holder(seed);
        let r = DecisionRecord::decode(&record(&w, draw).encode()).unwrap();
        prop_assert_eq!(again(&w, &r).unwrap(), vec![]);
        let reads = !r.decision.held_read.is_empty();
        prop_assert!(r.decision.held_read.iter().all(|h| !h.reads.is_empty()));
        let names: Vec<&str> = r.decision.slots_read.iter().map(|(n, _)| n.as_str()).collect();
        prop_assert!(names.iter().all(|n| !n.starts_with("held.")));
        // A record that is changed there is told apart wherever it mattered, and never by a panic.
        if reads {
            let mut changed = r;
            changed.decision.held_read.clear();
            let told = again(&w, &changed).unwrap();
            prop_assert!(told.iter().all(|d| !d.path.is_empty()));
        }
    }
}

/// A catalogue with prices and fee ladders, in which one of the items of the story is no more.
fn shop(scene: &mut ScenePlan) -> Catalogue {
    let attribute = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
        required: false,
        personal: false,
        currency: None,
        one_of: vec![],
        not_a_feature: None,
    };
    let item = |key: &str, nav: Value<'static>, fees: Value<'static>| ItemPlan {
        key: key.to_owned(),
        values: vec![nav, fees],
    };
    scene.catalogues = vec![CataloguePlan {
        name: "funds".to_owned(),
        attributes: vec![
            attribute("nav", ValueType::Number),
            attribute("fees", ValueType::Text),
        ],
        items: vec![
            item(
                "balanced",
                Value::Number(1.1),
                Value::text("7d 1.5%, 30d 1%"),
            ),
            item("growth", Value::Missing, Value::text("forever 1%")),
            item("other", Value::Number(2.0), Value::Missing),
        ],
        measures: None,
        key_digits: None,
    }];
    Catalogue::new(&scene.catalogues[0], 1, []).unwrap()
}

#[test]
fn a_position_is_read_beside_its_item() {
    let mut scene = crate::customer::bare_scene();
    book::add_orders(&mut scene);
    let catalogue = shop(&mut scene);
    let start_day = 20_724;
    scene.calendars = vec![Calendar {
        name: "sse".to_owned(),
        from_day: start_day,
        to_day: start_day + 8,
        // The day on which `o5` was ordered, 20,728, is a holiday; the next trading day is 20,731.
        days: vec![20_724, 20_725, 20_726, 20_727, 20_731],
        exchange: Some(Exchange {
            utc_offset_s: 28_800,
            cutoff_minute: Some(900),
            sessions: vec![],
        }),
    }];
    let orders = &mut scene.orders[0];
    orders.nav = Some(0);
    orders.fee_attribute = Some(1);
    orders.calendar = Some(0);
    orders.fees = vec![FeeStep {
        under_days: 90,
        rate_ppm: 5_000,
    }];
    let first = scene.slots.len() as u16;
    scene.slots.extend(HeldTag::ALL.map(|tag| SlotPlan {
        name: format!("held.{}", tag.word()),
        kind: tag.kind(),
        source: SlotSource::Held(0, tag),
    }));
    scene.slots.extend(BookTag::ALL.map(|tag| SlotPlan {
        name: format!("book.funds.{}", tag.word()),
        kind: tag.kind(),
        source: SlotSource::Book(0, tag),
    }));
    let plan = FoldPlan::new(&scene);
    // Everything of the story but the orders that stand open in `balanced`, and one of `growth` that was confirmed.
    let story = book::story();
    let profile = fold_of(&plan, &story);
    let profiles: [&Profile; 1] = [&profile];
    let moment = Moment {
        now: Micros((start_day + 9) * DAY_US + 2 * HOUR_US),
        utc_offset_s: 0,
    };
    let set = SlotSet::all(&scene);
    let mut slots = CustomerSlots::read(&scene, &profiles, moment, &[]);
    slots.hold(&scene, &set, 0, &catalogue, &profiles, moment);
    // `overseas` is held short and no longer in the catalogue: it is no candidate.
    assert_eq!(
        slots.held.keys().collect::<Vec<_>>(),
        ["balanced", "growth"]
    );
    let items = ItemSlots::new(&scene, 0);
    let read = |row: usize| -> Vec<Value<'static>> {
        let lookup = ItemLookup::new(
            &slots,
            &items,
            catalogue.key_value(row),
            catalogue.values(row),
            luopan_kernel::slots::NO_STAGES,
        );
        use luopan_kernel::rule::Lookup;
        (first..first + HeldTag::ALL.len() as u16)
            .map(|id| lookup.slot(SlotId(id)).clone().into_owned())
            .collect()
    };
    let Value::Number(shares) = read(0)[0] else {
        panic!("shares are a number")
    };
    assert!((shares - 422.6309).abs() < 1e-9);
    assert_eq!(
        read(0)[1..],
        [
            // What is left of the cost of 500.01 yuan for 470.25 shares.
            Value::Int(44_938),
            // 422.6309 shares at the price of today, 1.1.
            Value::Int(46_489),
            Value::Int(6),
            Value::Int(6),
            Value::text("redeeming"),
            Value::Number(0.015),
            // The open redemption was submitted on the holiday too.
            Value::Time(Micros(20_731 * DAY_US - 8 * HOUR_US)),
        ]
    );
    // Ordered on a holiday: it counts for the next trading day. Nothing is held, so a ladder nobody can read matters not.
    assert_eq!(
        read(1),
        [
            Value::Number(0.0),
            Value::Int(0),
            Value::Int(0),
            Value::Missing,
            Value::Missing,
            Value::text("ordered"),
            Value::Number(0.0),
            Value::Time(Micros(20_731 * DAY_US - 8 * HOUR_US)),
        ]
    );
    assert_eq!(
        read(2),
        HeldTag::ALL.map(luopan_kernel::book::view::not_held)
    );
    // The item that vanished still counts where the customer's books are read: net subscription less what it brought.
    let of_book = |tag: BookTag| {
        let name = format!("book.funds.{}", tag.word());
        slots.values[usize::from(scene.slot(&name).unwrap().0)].clone()
    };
    assert_eq!(of_book(BookTag::Holdings), Value::Int(1));
    assert_eq!(
        of_book(BookTag::NetSubscription),
        Value::Int(150_001 - 104_321 - 900)
    );
    // At the price last confirmed, 1.04843.
    assert_eq!(of_book(BookTag::Value), Value::Int(44_309));
    assert_eq!(of_book(BookTag::OpenOrders), Value::Int(2));
    assert_eq!(
        of_book(BookTag::FirstBuyAt),
        Value::Time(Micros((start_day + 1) * DAY_US))
    );
    assert_eq!(
        of_book(BookTag::SinceLastBuy),
        Value::Int(6 * DAY_US + 2 * HOUR_US)
    );
    assert_eq!(of_book(BookTag::Anomalies), Value::Int(3));
    // Past the calendar's end the order day is unknown.
    scene.calendars[0].to_day = start_day + 6;
    let mut slots = CustomerSlots::read(&scene, &profiles, moment, &[]);
    slots.hold(&scene, &set, 0, &catalogue, &profiles, moment);
    assert_eq!(
        slots
            .held
            .get("growth", scene.slot("held.order_day").unwrap()),
        Some(&Value::Missing)
    );
    // A customer never seen holds nothing.
    let mut nobody = CustomerSlots::read(&scene, &[], moment, &[]);
    nobody.hold(&scene, &set, 0, &catalogue, &[], moment);
    assert_eq!(nobody.held.keys().count(), 0);
}

/// When the newest open order is confirmed and earns, by the item's own days; what is left to redeem, what that costs.
#[test]
fn days_of_an_order_and_what_redeeming_costs_are_read_beside_the_item() {
    let mut scene = crate::customer::bare_scene();
    book::add_fast_orders(&mut scene);
    shop(&mut scene);
    let mut lag = scene.catalogues[0].attributes[0].clone();
    lag.name = "lag".to_owned();
    lag.kind = ValueType::Integer;
    scene.catalogues[0].attributes.push(lag);
    let lags = [Value::Int(2), Value::Missing, Value::Int(-1)];
    for (item, lag) in scene.catalogues[0].items.iter_mut().zip(lags) {
        item.values.push(lag);
    }
    let catalogue = Catalogue::new(&scene.catalogues[0], 1, []).unwrap();
    scene.calendars = vec![Calendar {
        name: "sse".to_owned(),
        from_day: 20_724,
        to_day: 20_740,
        // `o5` and `o6` were ordered on 20,728, a holiday: they count for 20,731.
        days: vec![
            20_724, 20_725, 20_726, 20_727, 20_731, 20_733, 20_735, 20_740,
        ],
        exchange: Some(Exchange {
            utc_offset_s: 28_800,
            cutoff_minute: Some(900),
            sessions: vec![],
        }),
    }];
    scene.orders[0].calendar = Some(0);
    scene.orders[0].fee_attribute = Some(1);
    scene.slots.push(SlotPlan {
        name: "item.lag".to_owned(),
        kind: ValueType::Integer,
        source: SlotSource::Item(0, 2),
    });
    let lag = SlotId(scene.slots.len() as u16 - 1);
    let or_one = vec![Expr::Slot(lag), Expr::Const(Value::Int(1))];
    scene.orders[0].confirms_after = Some(Expr::Call(Function::OrElse, or_one));
    scene.orders[0].earns_after = Some(Expr::Const(Value::Int(1)));
    scene.slots.extend(HeldTag::FURTHER.map(|tag| SlotPlan {
        name: format!("held.{}", tag.word()),
        kind: tag.kind(),
        source: SlotSource::Held(0, tag),
    }));
    let plan = FoldPlan::new(&scene);
    let mut story = book::story();
    story.push(book::fast(200, "f1", "balanced", Some(1_234)));
    story.push(book::fast(201, "f2", "other", Some(5)));
    let profile = fold_of(&plan, &story);
    let read = |scene: &ScenePlan, at_hours: i64| {
        let moment = Moment {
            now: Micros(20_724 * DAY_US + at_hours * HOUR_US),
            utc_offset_s: 0,
        };
        let mut slots = CustomerSlots::read(scene, &[&profile], moment, &[]);
        slots.hold(
            scene,
            &SlotSet::all(scene),
            0,
            &catalogue,
            &[&profile],
            moment,
        );
        ["balanced", "growth", "other"].map(|key| {
            HeldTag::FURTHER.map(|tag| {
                let id = scene.slot(&format!("held.{}", tag.word())).unwrap();
                slots.held.get(key, id).unwrap().clone()
            })
        })
    };
    let begins = |day: i64| Value::Time(Micros(day * DAY_US - 8 * HOUR_US));
    let [balanced, growth, other] = read(&scene, 202);
    // The newest open order of `balanced` is the fast one of 20,732 16:00, so of 20,733 and two trading days later.
    assert_eq!(balanced[..2], [begins(20_740), Value::Missing]);
    // 422.6309 shares less the 10.5 and the 1 that are being redeemed, all of the youngest lot, held for six days.
    let Value::Number(left) = balanced[2] else {
        panic!("shares are a number")
    };
    assert!((left - 411.1309).abs() < 1e-9);
    assert_eq!(balanced[3..], [Value::Number(0.015), Value::Int(1_234)]);
    // Nothing of `growth` is held; its purchase is confirmed one trading day after, and earns on the next.
    let wanted = [begins(20_733), begins(20_735)];
    assert_eq!(growth[..2], wanted);
    assert_eq!(
        growth[2..],
        [Value::Number(0.0), Value::Missing, Value::Int(0)]
    );
    // More is redeemed than is held: what it costs is not known. A number of days below zero is none.
    assert_eq!(other[..2], [Value::Missing, Value::Missing]);
    assert_eq!(
        other[2..],
        [Value::Number(0.0), Value::Missing, Value::Int(5)]
    );
    // The next day the limit is whole again.
    let [balanced, ..] = read(&scene, 226);
    assert_eq!(balanced[4], Value::Int(0));
    // Without a calendar no day is known.
    scene.orders[0].calendar = None;
    assert_eq!(read(&scene, 202)[1][..2], [Value::Missing, Value::Missing]);
}

#[test]
fn a_ladder_that_cannot_be_read_is_unknown_for_what_is_held() {
    let mut scene = crate::customer::bare_scene();
    book::add_orders(&mut scene);
    let catalogue = shop(&mut scene);
    scene.orders[0].fee_attribute = Some(1);
    scene.slots.push(SlotPlan {
        name: "held.redemption_fee".to_owned(),
        kind: ValueType::Number,
        source: SlotSource::Held(0, HeldTag::RedemptionFee),
    });
    let plan = FoldPlan::new(&scene);
    let mut story = book::story();
    story.push(book::confirmed(200, "o5", 8_000, 77.0));
    let profile = fold_of(&plan, &story);
    let moment = Moment {
        now: Micros(20_900 * DAY_US),
        utc_offset_s: 0,
    };
    let mut slots = CustomerSlots::read(&scene, &[&profile], moment, &[]);
    slots.hold(
        &scene,
        &SlotSet::all(&scene),
        0,
        &catalogue,
        &[&profile],
        moment,
    );
    let id = scene.slot("held.redemption_fee").unwrap();
    assert_eq!(slots.held.get("growth", id), Some(&Value::Missing));
    assert_eq!(slots.held.get("balanced", id), Some(&Value::Number(0.0)));
}
