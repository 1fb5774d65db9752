//! What deciding costs on one core: microseconds a decision over 9,000 items, by scorer and exploration, and over the two
//! items of a small campaign; nanoseconds a learned sample. `cargo run --release -p luopan-kernel --example decide_cost`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement at the rim, not kernel code"
)]

use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::{Prepared, Request, Situation, decide};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::plan::*;
use luopan_kernel::random::Random;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{DAY_US, Micros, Moment};
use luopan_kernel::value::{Value, ValueType};
use std::hint::black_box;
use std::time::Instant;

fn slot(name: &str, kind: ValueType, source: SlotSource) -> SlotPlan {
    SlotPlan {
        name: name.into(),
        kind,
        source,
    }
}

fn field(name: &str, kind: ValueType) -> Field {
    Field {
        name: name.into(),
        kind,
        required: false,
        personal: false,
        currency: None,
        one_of: vec![],
        not_a_feature: None,
    }
}

fn rule(name: &str, expr: Expr) -> NamedRule {
    NamedRule {
        name: name.into(),
        source: String::new(),
        expr,
        version: None,
        authority: None,
        effective: None,
    }
}

/// Customer numbers `x0..x9`, a risk tolerance, and items with a risk, a fee and a kind.
fn scene(items: usize, scope: ModelScope, scorer: Scorer, exploration: Exploration) -> ScenePlan {
    let mut slots: Vec<SlotPlan> = (0..10)
        .map(|i| slot(&format!("x{i}"), ValueType::Number, SlotSource::Tag(i)))
        .collect();
    slots.push(slot("tolerance", ValueType::Integer, SlotSource::Tag(10)));
    slots.push(slot(
        "item.risk",
        ValueType::Integer,
        SlotSource::Item(0, 0),
    ));
    slots.push(slot("item.fee", ValueType::Money, SlotSource::Item(0, 1)));
    slots.push(slot("item.kind", ValueType::Text, SlotSource::Item(0, 2)));
    let standard = |i| FeaturePlan::Standard {
        slot: SlotId(i),
        mean: 0.0,
        scale: 1.0,
        clip: 3.0,
    };
    let kinds = FeaturePlan::OneHot {
        slot: SlotId(13),
        categories: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        other: false,
        missing: true,
    };
    let mut features: Vec<FeaturePlan> = (0..10).map(standard).collect();
    features.insert(0, FeaturePlan::Intercept);
    if scope == ModelScope::Shared {
        features.push(kinds.clone());
        features.extend((0..3).map(|i| FeaturePlan::Cross {
            left: Box::new(kinds.clone()),
            right: Box::new(standard(i)),
        }));
    }
    let s = |id| Box::new(Expr::Slot(SlotId(id)));
    let policy = PolicyPlan {
        name: "p".into(),
        catalogue: 0,
        channel: "app".into(),
        eligibility: vec![],
        suitability: vec![
            rule("risk", Expr::Binary(BinaryOp::Le, s(11), s(10))),
            rule(
                "fee",
                Expr::Binary(BinaryOp::Lt, s(12), Box::new(Expr::Const(Value::Int(90)))),
            ),
        ],
        exclusions: vec![rule(
            "kind",
            Expr::Binary(BinaryOp::Eq, s(13), Box::new(Expr::Const(Value::text("z")))),
        )],
        consent: None,
        retrieval: None,
        ranking: None,
        scorer,
        exploration,
        slots: 1,
        diversity: None,
        null_action: NullAction {
            name: "none".into(),
            is_arm: true,
            score: 0.0,
        },
        caps: vec![CapPlan {
            name: "week".into(),
            limit: 3,
            window_us: Some(7 * DAY_US),
            scope: CapScope::Item,
        }],
        quiet_period_us: None,
        quiet_hours: None,
        budgets: vec![BudgetUse {
            budget: 0,
            cost: Expr::Slot(SlotId(12)),
            price: None,
        }],
        valid_for_us: DAY_US,
        receipts_within_us: 0,
        permits: None,
        rewards: vec![0],
    };
    let mut random = Random::new(1);
    let mut below = |n: f64| (random.uniform() * n) as i64;
    let items = (0..items)
        .map(|i| ItemPlan {
            key: format!("item-{i:05}"),
            values: vec![
                Value::Int(below(5.0)),
                Value::Int(below(100.0)),
                Value::text(["a", "b", "c", "d"][below(4.0) as usize]),
            ],
        })
        .collect();
    ScenePlan {
        format: PLAN_FORMAT,
        name: "s".into(),
        description: String::new(),
        default_zone: "UTC".into(),
        zone_attribute: None,
        events: vec![],
        tags: vec![],
        derived: vec![],
        paired: vec![],
        calendars: vec![],
        slots,
        catalogues: vec![CataloguePlan {
            name: "items".into(),
            attributes: vec![
                field("risk", ValueType::Integer),
                field("fee", ValueType::Money),
                field("kind", ValueType::Text),
            ],
            items,
            measures: None,
            key_digits: None,
        }],
        segments: vec![],
        policies: vec![policy],
        models: vec![ModelPlan {
            name: "m".into(),
            kind: ModelKind::Linear,
            scope,
            reward: 0,
            catalogue: 0,
            features: features
                .into_iter()
                .map(|plan| Feature {
                    plan,
                    prior_variance: 0.1,
                })
                .collect(),
            prior_intercept: 0.0,
            noise_variance: 0.2,
            drift_variance: 0.0,
            reward_bounds: (0.0, 1.0),
            replicates: 0,
        }],
        rewards: vec![],
        budgets: vec![BudgetPlan {
            name: "b".into(),
            limit: 1_000_000,
            currency: None,
            period: BudgetPeriod::Total,
            rows: 1,
            lasts: None,
        }],
        artifacts: vec![],
        dedup_horizon_us: DAY_US,
        orders: vec![],
        market: vec![],
        intentions: vec![],
        monitors: vec![],
        contests: vec![],
    }
}

fn learned(plan: &ModelPlan, n: u64, catalogue: &Catalogue) -> (ModelState, f64) {
    let d = luopan_kernel::features::dimension(plan);
    let mut random = Random::new(2);
    let mut samples = Vec::new();
    for i in 0..n {
        let row = i as usize % catalogue.len();
        samples.push(Sample {
            id: (DecisionId([0; 16]), 0),
            arm: Some(catalogue.key(row).to_owned()),
            features: (0..d).map(|_| random.normal()).collect(),
            reward: random.uniform(),
            weight: 1.0,
            propensity: 1.0,
            at: Micros(0),
        });
    }
    let mut state = ModelState::default();
    let start = Instant::now();
    learn(plan, &mut state, &samples);
    (state, start.elapsed().as_nanos() as f64 / n as f64)
}

fn main() {
    let model = || Scorer::Model("m".into());
    let fee = || Scorer::Expression(Expr::Slot(SlotId(12)));
    let thompson = || Exploration::Thompson {
        draws: 100,
        floor: 0.01,
        scale: 1.0,
    };
    println!("items scorer exploration: us a decision (record bytes)");
    for (items, what, scope, scorer, exploration) in [
        (
            9000,
            "expression greedy",
            ModelScope::Shared,
            fee(),
            Exploration::Greedy,
        ),
        (
            9000,
            "expression softmax",
            ModelScope::Shared,
            fee(),
            Exploration::Softmax { temperature: 10.0 },
        ),
        (
            9000,
            "shared model epsilon-greedy",
            ModelScope::Shared,
            model(),
            Exploration::EpsilonGreedy { epsilon: 0.1 },
        ),
        (
            9000,
            "shared model thompson",
            ModelScope::Shared,
            model(),
            thompson(),
        ),
        (
            9000,
            "per-item model epsilon-greedy",
            ModelScope::PerItem,
            model(),
            Exploration::EpsilonGreedy { epsilon: 0.1 },
        ),
        (
            9000,
            "per-item model thompson",
            ModelScope::PerItem,
            model(),
            thompson(),
        ),
        (
            2,
            "shared model thompson",
            ModelScope::Shared,
            model(),
            thompson(),
        ),
        (
            2,
            "per-item model thompson",
            ModelScope::PerItem,
            model(),
            thompson(),
        ),
        (
            2,
            "expression greedy",
            ModelScope::Shared,
            fee(),
            Exploration::Greedy,
        ),
    ] {
        let scene = scene(items, scope, scorer, exploration);
        let catalogue =
            Catalogue::new(&scene.catalogues[0], 1, []).unwrap_or_else(|e| panic!("{e}"));
        let (state, per_sample) = learned(&scene.models[0], 20_000, &catalogue);
        let mut values: Vec<Value<'static>> = (0..10)
            .map(|i| Value::Number(f64::from(i) / 10.0))
            .collect();
        values.push(Value::Int(4));
        values.resize(scene.slots.len(), Value::Missing);
        let customer = CustomerSlots {
            values,
            ..CustomerSlots::default()
        };
        let prepared = Prepared::new(
            &scene,
            &scene.policies[0],
            &catalogue,
            &luopan_kernel::artifact::NONE,
        );
        let situation = Situation {
            customer: &customer,
            catalogue: &catalogue,
            prepared: Some(&prepared),
            contacts: &[],
            spent: &[0],
            elapsed: &[],
            model: Some(&state),
            objective_models: &[],
            artifacts: &luopan_kernel::artifact::NONE,
        };
        let request = Request {
            decision: DecisionId([1; 16]),
            customer: IdentifierId([2; 16]),
            moment: Moment {
                now: Micros(DAY_US * 100),
                utc_offset_s: 0,
            },
            slots: None,
            origin: Origin::Live,
            forced: None,
        };
        let rounds = if items > 100 { 50 } else { 5000 };
        let start = Instant::now();
        for seed in 0..rounds {
            black_box(decide(
                &scene,
                &scene.policies[0],
                &situation,
                &request,
                seed,
            ));
        }
        let us = start.elapsed().as_micros() as f64 / rounds as f64;
        let bytes =
            serde_json::to_vec(&decide(&scene, &scene.policies[0], &situation, &request, 1))
                .map_or(0, |b| b.len());
        let d = luopan_kernel::features::dimension(&scene.models[0]);
        println!(
            "{items} {what}: {us:.1} us ({bytes} bytes); learn, d={d}: {per_sample:.0} ns a sample"
        );
    }
}
