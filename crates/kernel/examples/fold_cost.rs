//! What folding costs on one core: nanoseconds an event for decoding a message, folding 15 of 50 tags, reading and writing
//! the stored profile, and looking at segments. `cargo run --release -p luopan-kernel --example fold_cost`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement at the rim, not kernel code"
)]

use luopan_kernel::event::{Entry, Event, Origin, decode_message, encode_message};
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::id::{IdentifierId, SceneNo, TenantId, hash64};
use luopan_kernel::plan::*;
use luopan_kernel::profile::Profile;
use luopan_kernel::segment::SegmentSet;
use luopan_kernel::slots::{CustomerSlots, SlotSet};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, Moment};
use luopan_kernel::value::{Value, ValueType};
use std::borrow::Cow;
use std::hint::black_box;
use std::time::Instant;

const FIELDS: [(&str, ValueType); 6] = [
    ("amount", ValueType::Money),
    ("category", ValueType::Text),
    ("channel", ValueType::Text),
    ("duration", ValueType::Number),
    ("page", ValueType::Text),
    ("product", ValueType::Text),
];

fn field(name: &str, kind: ValueType) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        required: false,
        personal: false,
        currency: None,
        one_of: vec![],
        not_a_feature: None,
    }
}

/// Fifty tags over four event types: fifteen for each of the first two, ten for each of the others; half of them slide.
fn scene() -> ScenePlan {
    let days = |tiles| Window::Sliding {
        tile_us: DAY_US,
        tiles,
    };
    let hours = Window::Sliding {
        tile_us: HOUR_US,
        tiles: 24,
    };
    let life = Window::Lifetime;
    let ewma = Aggregate::Ewma {
        half_life_us: 7 * DAY_US,
    };
    let shapes: [(Aggregate, Option<u16>, Window, bool); 15] = [
        (Aggregate::Count, None, life, false),
        (Aggregate::Count, None, days(30), false),
        (Aggregate::Count, None, days(7), true),
        (Aggregate::Sum, Some(0), life, false),
        (Aggregate::Sum, Some(0), days(30), false),
        (Aggregate::Recency, None, life, false),
        (Aggregate::Last, Some(5), life, false),
        (Aggregate::Mean, Some(3), days(30), false),
        (ewma, Some(3), life, false),
        (Aggregate::Max, Some(0), life, false),
        (Aggregate::Distinct, Some(5), life, false),
        (Aggregate::Count, None, hours, false),
        (Aggregate::Min, Some(0), life, true),
        (Aggregate::First, Some(4), life, false),
        (Aggregate::Sum, Some(3), hours, true),
    ];
    let filter = Expr::Binary(
        BinaryOp::And,
        Box::new(Expr::Binary(
            BinaryOp::Gt,
            Box::new(Expr::Slot(SlotId(0))),
            Box::new(Expr::Const(Value::Int(100))),
        )),
        Box::new(Expr::In(
            Box::new(Expr::Slot(SlotId(2))),
            vec![Value::text("app"), Value::text("web")],
        )),
    );
    let mut tags = Vec::new();
    for (event, n) in [(0, 15), (1, 15), (2, 10), (3, 10)] {
        for (aggregate, of, window, filtered) in shapes.iter().take(n) {
            tags.push(TagPlan {
                id: hash64(&(tags.len() as u64).to_le_bytes()),
                name: format!("tag_{}", tags.len()),
                kind: match (aggregate, of) {
                    (Aggregate::First | Aggregate::Last, _) => ValueType::Text,
                    (Aggregate::Mean | Aggregate::Ewma { .. }, _) | (Aggregate::Sum, Some(3)) => {
                        ValueType::Number
                    }
                    _ => ValueType::Integer,
                },
                event,
                measure: Measure {
                    of: *of,
                    filter: filtered.then(|| filter.clone()),
                },
                aggregate: aggregate.clone(),
                window: *window,
                default: Value::Missing,
                not_a_feature: None,
                clock: Vec::new(),
            });
        }
    }
    let compare = |slot: u16, op, value| {
        Box::new(Expr::Binary(
            op,
            Box::new(Expr::Slot(SlotId(slot))),
            Box::new(Expr::Const(Value::Int(value))),
        ))
    };
    let segments = (0..10u16)
        .map(|i| SegmentPlan {
            name: format!("segment_{i}"),
            rule: NamedRule {
                name: format!("segment_{i}"),
                source: String::new(),
                expr: Expr::Binary(
                    BinaryOp::And,
                    compare(1 + 15 * (i % 2), BinaryOp::Ge, i64::from(i)),
                    compare(5 + 15 * (i % 2), BinaryOp::Lt, i64::from(i) * DAY_US),
                ),
                version: None,
                authority: None,
                effective: None,
            },
        })
        .collect();
    ScenePlan {
        format: PLAN_FORMAT,
        name: "cost".to_owned(),
        description: String::new(),
        default_zone: "UTC".to_owned(),
        zone_attribute: None,
        events: (0..4)
            .map(|i| EventSchema {
                name: format!("type_{i}"),
                fields: FIELDS.iter().map(|(n, k)| field(n, *k)).collect(),
            })
            .collect(),
        slots: (tags.iter().enumerate())
            .map(|(i, t)| SlotPlan {
                name: t.name.clone(),
                kind: t.kind,
                source: SlotSource::Tag(i as u16),
            })
            .collect(),
        tags,
        derived: vec![],
        paired: vec![],
        calendars: vec![],
        catalogues: vec![],
        segments,
        policies: vec![],
        models: vec![],
        rewards: vec![],
        budgets: vec![],
        artifacts: vec![],
        dedup_horizon_us: 7 * DAY_US,
        orders: vec![],
        market: vec![],
        intentions: vec![],
        monitors: vec![],
        contests: vec![],
    }
}

/// Event `i` of a customer with an event every two hours.
fn event(i: u64, kind: u64) -> Event<'static> {
    let at = Micros(1_790_000_000_000_000 + i as i64 * 2 * HOUR_US);
    let text = |n: u64| Value::text(format!("value-{n}"));
    let values = [
        Value::Int((i * 37 % 500) as i64),
        text(i % 5),
        Value::text(if i.is_multiple_of(3) { "app" } else { "shop" }),
        Value::Number((i % 100) as f64 * 1.25),
        text(i % 17),
        text(i % 40),
    ];
    Event {
        id: Cow::Owned(format!("0192abcd-0506-7708-090a-{i:012x}")),
        tenant: TenantId(1),
        scene: SceneNo(1),
        identifier: IdentifierId([7; 16]),
        kind: Cow::Owned(format!("type_{kind}")),
        occurred_at: at.plus(-1_500_000),
        received_at: at,
        origin: Origin::Live,
        properties: FIELDS
            .iter()
            .map(|(n, _)| Cow::Borrowed(*n))
            .zip(values)
            .collect(),
        context: vec![(Cow::Borrowed("device"), Value::text("phone"))],
        corrects: None,
        sealed: vec![],
    }
}

/// A customer after `n` events.
fn folded(scene: &ScenePlan, plan: &FoldPlan, n: u64) -> Profile {
    let start = event(0, 0).received_at;
    let mut profile = Profile::new(IdentifierId([7; 16]), plan.layout(), start);
    for i in 0..n {
        let event = event(i, i % 4);
        profile.seen.admit(
            event.dedup_hash(),
            event.received_at,
            scene.dedup_horizon_us,
        );
        fold(plan, &mut profile, &event);
    }
    profile
}

fn report(name: &str, rounds: u64, mut work: impl FnMut(u64)) {
    for i in 0..rounds / 10 {
        work(i);
    }
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for i in 0..rounds {
            work(i);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / rounds as f64);
    }
    println!("{name:<55} {best:>9.0} ns");
}

fn main() {
    let scene = scene();
    let plan = FoldPlan::new(&scene);
    let segments = match SegmentSet::new(&scene) {
        Ok(segments) => segments,
        Err(fault) => {
            println!("{fault}");
            return;
        }
    };
    let warm = folded(&scene, &plan, 600);
    let events: Vec<Event<'_>> = (600..1600).map(|i| event(i, 0)).collect();
    let messages: Vec<Vec<u8>> = events
        .chunks(100)
        .map(|c| {
            let entries: Vec<Entry<'_>> = c.iter().cloned().map(Entry::Event).collect();
            encode_message(&entries)
        })
        .collect();

    report("decode an event from a message of 100", 1000, |i| {
        if i.is_multiple_of(100) {
            black_box(decode_message(&messages[(i / 100) as usize]).is_ok());
        }
    });
    let mut profile = warm.clone();
    report(
        "fold an event into 15 of 50 tags, tiles moving",
        1000,
        |i| {
            if i == 0 {
                profile = warm.clone();
            }
            fold(&plan, &mut profile, &events[i as usize]);
        },
    );
    let mut profile = warm.clone();
    report("fold an event into 15 of 50 tags, same tiles", 1000, |_| {
        fold(&plan, &mut profile, &events[0]);
    });
    let mut profile = warm.clone();
    report("admit and fold, as replay does", 1000, |i| {
        if i == 0 {
            profile = warm.clone();
        }
        let event = &events[i as usize];
        profile.seen.admit(
            event.dedup_hash(),
            event.received_at,
            scene.dedup_horizon_us,
        );
        fold(&plan, &mut profile, event);
    });
    for n in [40, 600] {
        let held = folded(&scene, &plan, n);
        let stored = held.encode();
        println!(
            "a profile of 50 tags after {n} events, {} bytes:",
            stored.len()
        );
        report("  decode", 1000, |_| {
            black_box(Profile::decode_for(black_box(&stored), plan.layout()).is_ok());
        });
        let mut bytes = Vec::new();
        report("  encode", 1000, |_| {
            bytes.clear();
            bytes = held.encode_over(core::mem::take(&mut bytes));
            black_box(&bytes);
        });
        let next: Vec<Event<'_>> = (n..n + 10).map(|i| event(i, 0)).collect();
        report("  decode, admit, fold, encode, as intake does", 1000, |i| {
            if let Ok(mut profile) = Profile::decode_for(&stored, plan.layout()) {
                let event = &next[(i % 10) as usize];
                profile.seen.admit(
                    event.dedup_hash(),
                    event.received_at,
                    scene.dedup_horizon_us,
                );
                fold(&plan, &mut profile, event);
                black_box(profile.encode());
            }
        });
    }
    let now = warm.last_log_time;
    report("look at 10 segments of 2 clauses", 1000, |_| {
        black_box(segments.evaluate(&scene, &[&warm], now));
    });
    let all = SlotSet::all(&scene);
    let moment = Moment {
        now,
        utc_offset_s: 28_800,
    };
    report("read all 50 slots", 1000, |_| {
        black_box(CustomerSlots::read_only(
            &scene,
            &all,
            &[&warm],
            moment,
            &[],
        ));
    });
}
