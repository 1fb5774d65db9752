//! Segments: between two flips nothing changes, and stepping from flip to flip misses no change that dense sampling finds.

use super::fold::folded;
use super::oracle;
use super::world::{Act, Spec, binary, constant, identifier, scene, slot, specs};
use luopan_kernel::fold::FoldPlan;
use luopan_kernel::plan::*;
use luopan_kernel::profile::Profile;
use luopan_kernel::rule::truth;
use luopan_kernel::segment::{Error, SegmentSet};
use luopan_kernel::time::Micros;
use luopan_kernel::value::{Value, ValueType};
use proptest::prelude::*;

/// Tags on a scale where every microsecond can be looked at: counts, sums and a mean in windows, recency over all and in a
/// window, and a lifetime count.
fn small() -> Vec<Spec> {
    let windows = [
        Window::Sliding {
            tile_us: 7,
            tiles: 3,
        },
        Window::Sliding {
            tile_us: 13,
            tiles: 2,
        },
        Window::Sliding {
            tile_us: 5,
            tiles: 6,
        },
        Window::Lifetime,
        Window::Sliding {
            tile_us: 11,
            tiles: 4,
        },
        Window::Lifetime,
    ];
    let shapes = [
        (Aggregate::Count, None),
        (Aggregate::Sum, Some("amount")),
        (Aggregate::Min, Some("amount")),
        (Aggregate::Recency, None),
        (Aggregate::Recency, None),
        (Aggregate::Count, None),
    ];
    let all = specs();
    (windows.into_iter().zip(shapes).enumerate())
        .map(|(i, (window, (aggregate, of)))| {
            let mut spec = (all.iter())
                .find(|s| s.plan.aggregate == aggregate && s.measure.of == of)
                .unwrap()
                .clone();
            spec.measure.filter = super::world::Filter::None;
            spec.plan.measure.filter = None;
            spec.plan.window = window;
            spec.plan.id = i as u64 + 1;
            spec.plan.name = format!("small_{i}");
            spec
        })
        .collect()
}

const RECENCIES: [u16; 2] = [3, 4];
const PLAIN: [u16; 4] = [0, 1, 2, 5];

fn comparison() -> impl Strategy<Value = BinaryOp> {
    prop_oneof![
        Just(BinaryOp::Eq),
        Just(BinaryOp::Ne),
        Just(BinaryOp::Lt),
        Just(BinaryOp::Le),
        Just(BinaryOp::Gt),
        Just(BinaryOp::Ge),
    ]
}

/// Rules over the small tags: plain tags in any way, recencies compared with constants on either side, with or without a
/// value for when nothing was seen, inside and, or, not, if, in and known.
fn rules() -> impl Strategy<Value = Expr> {
    let plain = (
        comparison(),
        proptest::sample::select(&PLAIN[..]),
        -3i64..12,
    )
        .prop_map(|(op, s, c)| binary(op, slot(s), constant(Value::Int(c))));
    let recency = (
        (comparison(), proptest::sample::select(&RECENCIES[..])),
        (-5i64..60, any::<bool>(), proptest::option::of(0i64..60)),
        any::<bool>(),
    )
        .prop_map(|((op, s), (c, mirrored, otherwise), computed)| {
            let read = match otherwise {
                Some(d) => Expr::Call(Function::OrElse, vec![slot(s), constant(Value::Int(d))]),
                None => slot(s),
            };
            let bound = if computed {
                binary(
                    BinaryOp::Add,
                    constant(Value::Int(c)),
                    constant(Value::Int(1)),
                )
            } else {
                constant(Value::Int(c))
            };
            if mirrored {
                binary(op, bound, read)
            } else {
                binary(op, read, bound)
            }
        });
    let known = proptest::sample::select(vec![0u16, 2, 3, 4])
        .prop_map(|s| Expr::Call(Function::Known, vec![slot(s)]));
    let within = (proptest::sample::select(&RECENCIES[..]), 0i64..40)
        .prop_map(|(s, c)| Expr::In(Box::new(slot(s)), vec![Value::Int(c), Value::Int(c + 7)]));
    let leaf = prop_oneof![3 => plain, 4 => recency, 1 => known, 1 => within];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| binary(BinaryOp::And, a, b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| binary(BinaryOp::Or, a, b)),
            inner
                .clone()
                .prop_map(|a| Expr::Unary(UnaryOp::Not, Box::new(a))),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| { Expr::If(Box::new(a), Box::new(b), Box::new(c)) }),
        ]
    })
}

fn segment(name: &str, expr: Expr) -> SegmentPlan {
    SegmentPlan {
        name: name.to_owned(),
        rule: NamedRule {
            name: name.to_owned(),
            source: String::new(),
            expr,
            version: None,
            authority: None,
            effective: None,
        },
    }
}

/// A scene of the small tags with these segments; every second rule stands behind a derived tag.
fn with_segments(rules: &[Expr]) -> ScenePlan {
    let mut scene = scene(small().into_iter().map(|s| s.plan).collect());
    for (i, rule) in rules.iter().enumerate() {
        let mut expr = rule.clone();
        if i % 2 == 1 {
            scene.derived.push(expr);
            scene.slots.push(SlotPlan {
                name: format!("derived_{i}"),
                kind: ValueType::Boolean,
                source: SlotSource::Derived(scene.derived.len() as u16 - 1),
            });
            expr = slot(scene.slots.len() as u16 - 1);
        }
        scene.segments.push(segment(&format!("segment_{i}"), expr));
    }
    scene
}

fn events() -> impl Strategy<Value = Vec<Act>> {
    let one = (0u8..3, 0i64..15, -3i64..25, -3i64..6);
    proptest::collection::vec(one, 0..12).prop_map(|all| {
        let mut now = 100;
        let make = |(i, (who, step, late, amount)): (usize, (u8, i64, i64, i64))| {
            now += step;
            Act {
                who,
                id: format!("s{i}"),
                kind: "act",
                occurred_at: now - late,
                received_at: now,
                properties: vec![("amount", Value::Int(amount))],
            }
        };
        all.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn flips_find_every_change(
        acts in events(), rules in proptest::collection::vec(rules(), 1..4), back in 0i64..20
    ) {
        let specs = small();
        let scene = with_segments(&rules);
        let set = SegmentSet::new(&scene).unwrap();
        let plan = FoldPlan::new(&scene);
        let profiles = folded(&plan, &acts);
        let profiles: Vec<&Profile> = profiles.values().collect();
        let end = acts.last().map_or(100, |a| a.received_at);
        // Looking from before the newest log time is allowed too: linked identifiers live in other partitions. What had left
        // the window of a profile's own log time is gone then, so the oracle is asked from there on only.
        let start = end - back;
        let seen: Vec<&Act> = acts.iter().collect();
        let last = end + 200;
        let mut now = start;
        let mut held = set.evaluate(&scene, &profiles, Micros(now));
        for at in start..=last {
            let fresh = set.evaluate(&scene, &profiles, Micros(at));
            if held.next_flip_at == Some(Micros(at)) {
                prop_assert!(at > now);
                now = at;
                held = fresh.clone();
            }
            prop_assert_eq!(&fresh.members, &held.members, "at {} after looking at {}", at, now);
            prop_assert!(fresh.next_flip_at.is_none_or(|next| next.0 > at));
            if at >= end {
                let mut values: Vec<Value<'static>> = vec![Value::Missing; scene.slots.len()];
                for (i, spec) in specs.iter().enumerate() {
                    values[i] = oracle::value(spec, &seen, at).0;
                }
                let expected: Vec<u16> = (rules.iter().zip(0u16..))
                    .filter(|(rule, _)| truth(rule, values.as_slice()).is_true())
                    .map(|(_, i)| i)
                    .collect();
                prop_assert_eq!(&fresh.members.indexes, &expected, "at {}", at);
            }
        }
        // Every window and every delay is over: time alone changes nothing any more.
        prop_assert_eq!(set.evaluate(&scene, &profiles, Micros(last)).next_flip_at, None);
    }
}

#[test]
fn a_recency_flips_at_the_exact_microsecond() {
    for (op, flips) in [
        (BinaryOp::Ge, 30),
        (BinaryOp::Lt, 30),
        (BinaryOp::Gt, 31),
        (BinaryOp::Le, 31),
    ] {
        let scene = with_segments(&[binary(op, slot(3), constant(Value::Int(30)))]);
        let set = SegmentSet::new(&scene).unwrap();
        let plan = FoldPlan::new(&scene);
        let act = Act {
            who: 0,
            id: "a".to_owned(),
            kind: "act",
            occurred_at: 1000,
            received_at: 1000,
            properties: vec![],
        };
        let profiles = folded(&plan, [&act]);
        let look = |at| set.evaluate(&scene, &[&profiles[&0]], Micros(at));
        assert_eq!(look(1000).next_flip_at, Some(Micros(1000 + flips)));
        let (before, after) = (look(1000 + flips - 1), look(1000 + flips));
        assert_ne!(before.members.indexes, after.members.indexes);
        assert_eq!(after.next_flip_at, None);
    }
}

#[test]
fn what_cannot_be_foreseen_is_refused_with_every_fault() {
    let longer = binary(BinaryOp::Gt, slot(3), slot(4));
    let halved = binary(
        BinaryOp::Gt,
        binary(BinaryOp::Div, slot(3), constant(Value::Int(2))),
        constant(Value::Int(5)),
    );
    let mut scene = with_segments(&[longer, halved]);
    scene.slots.push(SlotPlan {
        name: "env.hour".to_owned(),
        kind: ValueType::Integer,
        source: SlotSource::Environment(EnvironmentTag::Hour),
    });
    let hour = slot(scene.slots.len() as u16 - 1);
    scene.segments.push(segment(
        "morning",
        binary(BinaryOp::Lt, hour, constant(Value::Int(12))),
    ));
    scene.segments.push(segment("nowhere", slot(999)));
    let faults = SegmentSet::faults(&scene);
    let recency = |segment: &str, slot: &str| Error::Recency {
        segment: segment.to_owned(),
        slot: slot.to_owned(),
    };
    assert_eq!(
        faults,
        [
            recency("segment_0", "small_3"),
            recency("segment_0", "small_4"),
            recency("segment_1", "small_3"),
            Error::NotOfCustomer {
                segment: "morning".to_owned(),
                slot: "env.hour".to_owned()
            },
            Error::NoSuchSlot {
                segment: "nowhere".to_owned(),
                slot: 999
            },
        ]
    );
    assert_eq!(SegmentSet::new(&scene).unwrap_err(), faults[0]);
}

#[test]
fn definitions_tell_whether_indexes_may_be_compared() {
    let rule = |c| binary(BinaryOp::Gt, slot(0), constant(Value::Int(c)));
    let hash = |rules: &[Expr]| {
        SegmentSet::new(&with_segments(rules))
            .unwrap()
            .definitions()
    };
    assert_eq!(hash(&[rule(1)]), hash(&[rule(1)]));
    assert_ne!(hash(&[rule(1)]), hash(&[rule(2)]));
    assert_ne!(hash(&[rule(1)]), hash(&[rule(1), rule(1)]));
}

#[test]
fn a_customer_never_seen_is_in_what_its_defaults_allow() {
    let scene = with_segments(&[
        binary(BinaryOp::Lt, slot(0), constant(Value::Int(1))),
        binary(BinaryOp::Gt, slot(3), constant(Value::Int(1))),
    ]);
    let set = SegmentSet::new(&scene).unwrap();
    let found = set.evaluate(&scene, &[], Micros(5));
    assert_eq!(found.members.indexes, [0]);
    assert_eq!(found.next_flip_at, None);
    let empty = Profile::new(identifier(1), FoldPlan::new(&scene).layout(), Micros(5));
    assert_eq!(set.evaluate(&scene, &[&empty], Micros(5)), found);
}

#[test]
fn books_are_read_by_segments_but_for_what_moves_with_the_clock() {
    let mut scene = with_segments(&[]);
    super::book::add_orders(&mut scene);
    let first = scene.slots.len() as u16;
    for tag in [BookTag::Holdings, BookTag::SinceLastBuy] {
        scene.slots.push(SlotPlan {
            name: format!("book.funds.{}", tag.word()),
            kind: tag.kind(),
            source: SlotSource::Book(0, tag),
        });
    }
    let above = |id: u16| binary(BinaryOp::Gt, slot(id), constant(Value::Int(0)));
    scene.segments = vec![segment("holders", above(first))];
    let set = SegmentSet::new(&scene).unwrap();
    let plan = FoldPlan::new(&scene);
    let story = super::book::story();
    let holder = super::fold_of(&plan, &story);
    let found = set.evaluate(&scene, &[&holder], holder.last_log_time);
    assert_eq!((found.members.indexes, found.next_flip_at), (vec![0], None));
    let nobody = super::fold_of(&plan, &story[..2]);
    let found = set.evaluate(&scene, &[&nobody], nobody.last_log_time);
    assert_eq!(found.members.indexes, Vec::<u16>::new());
    scene.segments.push(segment("lately", above(first + 1)));
    assert_eq!(
        SegmentSet::faults(&scene),
        [Error::Moving {
            segment: "lately".to_owned(),
            slot: "book.funds.since_last_buy".to_owned(),
            instead: "last_buy_at",
        }]
    );
}
