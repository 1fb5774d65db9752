//! What deciding costs at full size, on one core: every one of 9,000 products eligible, 20 rules, factors of 64 numbers, 100
//! trees of 31 leaves on the best 50, a bandit of 32 features, the trace of the best 50; rules alone over 18,000 products;
//! and the bandit alone beside Vowpal Wabbit's own program. Products, customers and models are drawn from a seed. This
//! measurement must never decide twice for the same customer in a row, which would measure the cache.

use luopan_bench::{Fault, Measurement, Reference, ending, peer, write};
use luopan_kernel::artifact::{Artifact, Artifacts};
use luopan_kernel::catalogue::{Catalogue, CatalogueRule};
use luopan_kernel::decide::{Bandit, Prepared, Request, Situation, decide};
use luopan_kernel::event::Origin;
use luopan_kernel::factors::{Factors, ItemFactors};
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::learn::{ModelState, Sample, learn};
use luopan_kernel::plan::policy::{KeepEach, Retrieval};
use luopan_kernel::plan::*;
use luopan_kernel::random::Random;
use luopan_kernel::slots::{CustomerSlots, ItemSlots};
use luopan_kernel::time::{DAY_US, Micros, Moment};
use luopan_kernel::trees::{Child, Ensemble, Parts, Split, Test, Transform, Tree};
use luopan_kernel::value::{Value, ValueType};
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

const PRODUCTS: usize = 9_000;
const RULES: usize = 20;
const FACTORS: usize = 64;
const KEPT: u32 = 50;
const TREES: usize = 100;
const LEAVES: usize = 31;
const BANDIT: usize = 32;
/// Tags of the customer and attributes of the product that are read.
const TAGS: u16 = 40;
const ATTRIBUTES: u16 = 22;
const CUSTOMERS: usize = 2_000;

fn main() -> ExitCode {
    ending(run())
}

fn run() -> Result<(), Fault> {
    let mut out = decisions()?;
    out.extend(rules());
    let whole = out.first().map_or(f64::NAN, |m| m.figure);
    out.extend(bandit_alone(whole)?);
    let path = write("decide", &out)?;
    for m in &out {
        eprintln!("{}: {:.2} {}", m.name, m.figure, m.unit);
    }
    eprintln!("written to {}", path.display());
    Ok(())
}

fn measured(name: String, figure: f64, unit: &str, reference: Option<(&str, f64)>) -> Measurement {
    Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference: reference.map(|(name, figure)| Reference {
            name: name.to_owned(),
            figure,
        }),
    }
}

fn slot(name: String, kind: ValueType, source: SlotSource) -> SlotPlan {
    SlotPlan { name, kind, source }
}

/// The tags of the customer, then the attributes of the product, then what the stages gave.
fn tag(i: u16) -> SlotId {
    SlotId(i % TAGS)
}
fn attribute(i: u16) -> SlotId {
    SlotId(TAGS + i % ATTRIBUTES)
}
const RETRIEVED: SlotId = SlotId(TAGS + ATTRIBUTES);
const RANKED: SlotId = SlotId(TAGS + ATTRIBUTES + 1);

/// Rule number `i`: of three kinds, as the fund scene's are: a product's whole number against the customer's, a product's
/// number against a bound, a condition on the customer joined with one on the product. The bounds are such that all pass,
/// or (for the figure of rules alone) that some do.
fn rule(i: u16, passes_all: bool) -> NamedRule {
    let s = |id: SlotId| Box::new(Expr::Slot(id));
    let n = |v: f64| Box::new(Expr::Const(Value::Number(v)));
    let far = |usual: f64| if passes_all { 1e6 } else { usual };
    let expr = match i % 3 {
        // Levels of the product are 1 to 5, of the customer 5 when all are to pass.
        0 => Expr::Binary(BinaryOp::Le, s(attribute(0)), s(tag(0))),
        1 => Expr::Binary(BinaryOp::Lt, s(attribute(1 + i)), n(far(1.5))),
        _ => Expr::Binary(
            BinaryOp::Or,
            Box::new(Expr::Binary(BinaryOp::Gt, s(tag(1 + i)), n(far(0.3)))),
            Box::new(Expr::Binary(
                BinaryOp::Gt,
                s(attribute(1 + i)),
                n(-far(1.0)),
            )),
        ),
    };
    NamedRule {
        name: format!("rule {i}"),
        source: String::new(),
        expr,
        version: Some("2026-01".into()),
        authority: None,
        effective: None,
    }
}

fn standard(slot: SlotId) -> FeaturePlan {
    FeaturePlan::Standard {
        slot,
        mean: 0.0,
        scale: 1.0,
        clip: 4.0,
    }
}

fn catalogue_plan(random: &mut Random, products: usize) -> CataloguePlan {
    let attributes = (0..ATTRIBUTES)
        .map(|i| Field {
            name: format!("a{i}"),
            kind: if i == 0 {
                ValueType::Integer
            } else {
                ValueType::Number
            },
            required: true,
            personal: false,
            currency: None,
            one_of: vec![],
            not_a_feature: None,
        })
        .collect();
    let items = (0..products)
        .map(|p| ItemPlan {
            key: format!("{p:06}"),
            values: (0..ATTRIBUTES)
                .map(|i| match i {
                    0 => Value::Int((random.uniform() * 5.0) as i64 + 1),
                    _ => Value::Number(random.normal()),
                })
                .collect(),
        })
        .collect();
    CataloguePlan {
        name: "products".into(),
        attributes,
        items,
        measures: None,
        key_digits: None,
    }
}

fn scene(random: &mut Random) -> ScenePlan {
    let mut slots: Vec<SlotPlan> = (0..TAGS)
        .map(|i| slot(format!("t{i}"), ValueType::Number, SlotSource::Tag(i)))
        .collect();
    slots.extend((0..ATTRIBUTES).map(|i| {
        slot(
            format!("item.a{i}"),
            ValueType::Number,
            SlotSource::Item(0, i),
        )
    }));
    slots.push(slot(
        "score.retrieved".into(),
        ValueType::Number,
        SlotSource::Stage(Stage::Retrieved),
    ));
    slots.push(slot(
        "score.ranked".into(),
        ValueType::Number,
        SlotSource::Stage(Stage::Ranked),
    ));
    let mut features = vec![
        FeaturePlan::Intercept,
        standard(RETRIEVED),
        standard(RANKED),
    ];
    features.extend((0..15).map(|i| standard(tag(i + 3))));
    features.extend((0..BANDIT as u16 - 18).map(|i| standard(attribute(i + 2))));
    let policy = PolicyPlan {
        name: "at size".into(),
        catalogue: 0,
        channel: "app".into(),
        eligibility: vec![],
        suitability: (0..RULES as u16).map(|i| rule(i, true)).collect(),
        exclusions: vec![],
        consent: None,
        retrieval: Some(Retrieval {
            artifact: 0,
            customer: (0..TAGS).map(|i| standard(tag(i))).collect(),
            item: vec![],
            keep: KEPT,
            each: None,
            learn_from: vec![],
        }),
        ranking: Some(Ranking {
            artifact: 1,
            inputs: (0..TAGS)
                .map(|i| RankingInput::Number(tag(i)))
                .chain((0..ATTRIBUTES).map(|i| RankingInput::Number(attribute(i))))
                .chain([RankingInput::Number(RETRIEVED)])
                .collect(),
            keep: KEPT,
        }),
        scorer: Scorer::Model("bandit".into()),
        exploration: Exploration::SquareCb { gamma: 100.0 },
        slots: 1,
        diversity: None,
        null_action: NullAction {
            name: "none".into(),
            is_arm: false,
            score: 0.0,
        },
        caps: vec![],
        quiet_period_us: None,
        quiet_hours: None,
        budgets: vec![],
        valid_for_us: DAY_US,
        receipts_within_us: 0,
        permits: None,
        rewards: vec![0],
    };
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
        catalogues: vec![catalogue_plan(random, PRODUCTS)],
        segments: vec![],
        policies: vec![policy],
        models: vec![ModelPlan {
            name: "bandit".into(),
            kind: ModelKind::Linear,
            scope: ModelScope::Shared,
            reward: 0,
            catalogue: 0,
            features: (features.into_iter())
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
        budgets: vec![],
        artifacts: vec![],
        dedup_horizon_us: DAY_US,
        orders: vec![],
        market: vec![],
        intentions: vec![],
        monitors: vec![],
        contests: vec![],
    }
}

/// A tree of so many leaves, each split at a random one of the deepest leaves so far or any other, as boosting grows them.
fn tree(random: &mut Random, features: usize, leaves: usize) -> Tree {
    let mut splits: Vec<Split> = Vec::new();
    // Where each leaf hangs: split and side.
    let mut hangs: Vec<Option<(usize, bool)>> = vec![None];
    while hangs.len() < leaves {
        let leaf = (random.uniform() * hangs.len() as f64) as usize;
        let new = splits.len();
        splits.push(Split {
            feature: (random.uniform() * features as f64) as usize,
            test: Test::AtMost {
                threshold: random.normal(),
                missing: true,
                zero_is_missing: false,
            },
            left: Child::Leaf(leaf),
            right: Child::Leaf(hangs.len()),
        });
        if let Some((at, is_left)) = hangs[leaf] {
            let child = if is_left {
                &mut splits[at].left
            } else {
                &mut splits[at].right
            };
            *child = Child::Split(new);
        }
        hangs[leaf] = Some((new, true));
        hangs.push(Some((new, false)));
    }
    Tree {
        splits,
        leaves: (0..leaves).map(|_| 0.01 * random.normal()).collect(),
    }
}

fn artifacts(random: &mut Random, scene: &ScenePlan) -> Result<Artifacts, Fault> {
    let mut numbers =
        |n: usize| -> Vec<f32> { (0..n).map(|_| random.normal() as f32 / 8.0).collect() };
    let customer = numbers(usize::from(TAGS) * FACTORS);
    let items: Vec<ItemFactors> = (scene.catalogues[0].items.iter())
        .map(|item| ItemFactors {
            key: item.key.clone(),
            vector: numbers(FACTORS),
            bias: 0.0,
        })
        .collect();
    let factors = Factors::new(FACTORS, customer, vec![], items)?;
    let inputs = scene.policies[0]
        .ranking
        .as_ref()
        .map_or(0, |r| r.inputs.len());
    let trees = Ensemble::build(Parts {
        features: (0..inputs).map(|i| format!("f{i}")).collect(),
        outputs: 1,
        averaged: false,
        transform: Transform::Sigmoid { steepness: 1.0 },
        trees: (0..TREES).map(|_| tree(random, inputs, LEAVES)).collect(),
    })?;
    Ok(Artifacts::of([
        Artifact::Factors(Arc::new(factors)),
        Artifact::Trees(trees),
    ]))
}

fn customers(random: &mut Random, slots: usize, number: usize) -> Vec<CustomerSlots<'static>> {
    (0..number)
        .map(|_| {
            let mut values: Vec<Value<'static>> =
                (0..TAGS).map(|_| Value::Number(random.normal())).collect();
            values[0] = Value::Int(5);
            values.resize(slots, Value::Missing);
            CustomerSlots {
                values,
                ..CustomerSlots::default()
            }
        })
        .collect()
}

fn learned(random: &mut Random, plan: &ModelPlan) -> ModelState {
    let d = luopan_kernel::features::dimension(plan);
    let samples: Vec<Sample> = (0..5_000u32)
        .map(|_| Sample {
            id: (DecisionId([0; 16]), 0),
            arm: Some("000001".into()),
            features: (0..d).map(|_| random.normal()).collect(),
            reward: random.uniform(),
            weight: 1.0,
            propensity: 1.0,
            at: Micros(0),
        })
        .collect();
    let mut state = ModelState::default();
    learn(plan, &mut state, &samples);
    state
}

fn request() -> Request {
    Request {
        decision: DecisionId([1; 16]),
        customer: IdentifierId([2; 16]),
        moment: Moment {
            now: Micros(DAY_US * 100),
            utc_offset_s: 0,
        },
        slots: None,
        origin: Origin::Live,
        forced: None,
    }
}

/// Microseconds of each call, ascending.
fn timed(rounds: usize, mut call: impl FnMut(usize)) -> Vec<f64> {
    let mut out: Vec<f64> = (0..rounds)
        .map(|i| {
            let start = Instant::now();
            call(i);
            start.elapsed().as_nanos() as f64 / 1e3
        })
        .collect();
    out.sort_by(f64::total_cmp);
    out
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

fn decisions() -> Result<Vec<Measurement>, Fault> {
    let mut random = Random::new(20_261_122);
    let scene = scene(&mut random);
    let policy = &scene.policies[0];
    let artifacts = artifacts(&mut random, &scene)?;
    let catalogue = Catalogue::new(&scene.catalogues[0], 1, [])?;
    let start = Instant::now();
    let prepared = Prepared::new(&scene, policy, &catalogue, &artifacts);
    let ready = start.elapsed().as_secs_f64() * 1e3;
    let state = learned(&mut random, &scene.models[0]);
    let customers = customers(&mut random, scene.slots.len(), CUSTOMERS);
    let request = request();
    let situation = |i: usize| Situation {
        customer: &customers[i % CUSTOMERS],
        catalogue: &catalogue,
        prepared: Some(&prepared),
        contacts: &[],
        spent: &[],
        elapsed: &[],
        model: Some(&state),
        objective_models: &[],
        artifacts: &artifacts,
    };
    let first = decide(&scene, policy, &situation(0), &request, 0);
    if first.eligible != Some(PRODUCTS as u32)
        || first.available != KEPT
        || first.trace.len() != KEPT as usize
    {
        return Err(format!(
            "the decision is not of the declared size: {:?} eligible",
            first.eligible
        )
        .into());
    }
    let each = timed(4 * CUSTOMERS, |i| {
        black_box(decide(&scene, policy, &situation(i), &request, i as u64));
    });
    let to_reach = |what: &str, us: f64| (format!("to reach {what} (set before it was built)"), us);
    let (median, p99) = (to_reach("at most", 300.0), to_reach("at most", 600.0));
    let what = "decision at size (9,000 products eligible, 20 rules, 64 factors, 100 trees on 50, bandit of 32)";
    let mut out = vec![
        measured(
            format!("{what}, median"),
            quantile(&each, 0.5),
            "us",
            Some((&median.0, median.1)),
        ),
        measured(
            format!("{what}, p99"),
            quantile(&each, 0.99),
            "us",
            Some((&p99.0, p99.1)),
        ),
        measured(
            "getting ready for a new catalogue of 9,000 products".into(),
            ready,
            "ms",
            None,
        ),
    ];
    let mut wider = scene.clone();
    if let Some(retrieval) = &mut wider.policies[0].retrieval {
        retrieval.each = Some(KeepEach {
            by: attribute(0),
            keep: 3,
        });
    }
    let policy = &wider.policies[0];
    let prepared = Prepared::new(&wider, policy, &catalogue, &artifacts);
    let wider_each = timed(4 * CUSTOMERS, |i| {
        let situation = Situation {
            prepared: Some(&prepared),
            ..situation(i)
        };
        black_box(decide(&wider, policy, &situation, &request, i as u64));
    });
    let without = quantile(&each, 0.5);
    out.push(measured(
        "the same decision that also keeps the best 3 of each of 5 kinds, median".into(),
        quantile(&wider_each, 0.5),
        "us",
        Some(("without them, median", without)),
    ));
    out.push(measured(
        "bytes of such a decision as recorded".into(),
        serde_json::to_vec(&first)?.len() as f64,
        "bytes",
        None,
    ));
    Ok(out)
}

/// The bandit alone, from the features of 50 candidates to one drawn by SquareCB, beside Vowpal Wabbit over the same features.
fn bandit_alone(whole_us: f64) -> Result<Vec<Measurement>, Fault> {
    const SETS: usize = 4_000;
    const ROUNDS: usize = 5;
    let mut random = Random::new(50);
    let scene = scene(&mut random);
    let plan = &scene.models[0];
    let state = learned(&mut random, plan);
    // A shared model asks for no key.
    let arms = [None; KEPT as usize];
    let bandit = Bandit::new(plan);
    let length = KEPT as usize * BANDIT;
    let x: Vec<f64> = (0..SETS * length).map(|_| random.normal()).collect();
    let explore = Exploration::SquareCb { gamma: 100.0 };
    let own: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for (i, set) in x.chunks_exact(length).enumerate() {
                black_box(bandit.decide(&explore, &state, &arms, set, i as u64));
            }
            SETS as f64 / start.elapsed().as_secs_f64()
        })
        .collect();

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("decisions.txt");
    let mut text = String::new();
    for (i, set) in x.chunks_exact(length).enumerate() {
        for (a, features) in set.chunks_exact(BANDIT).enumerate() {
            if a == i % KEPT as usize {
                write!(text, "0:{}:0.02 ", -random.uniform())?;
            }
            text.push_str("|f");
            for (k, v) in features.iter().enumerate() {
                write!(text, " {k}:{v}")?;
            }
            text.push('\n');
        }
        text.push('\n');
    }
    std::fs::write(&file, text)?;
    let python = peer::python("decide", &["vowpalwabbit==9.11.9"])?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peers/decide.py");
    let said = peer::run(
        std::process::Command::new(python)
            .arg(script)
            .arg(&file)
            .arg(ROUNDS.to_string()),
    )?;
    let theirs: Vec<f64> = (said.split_whitespace())
        .map(|t| Ok::<f64, Fault>(SETS as f64 / t.parse::<f64>()?))
        .collect::<Result<_, _>>()?;
    if theirs.len() != ROUNDS {
        return Err(format!("the peer said: {said}").into());
    }
    let best = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    let peer = "vowpalwabbit 9.11.9, cb_explore_adf --squarecb, from its binary cache, best of 5";
    Ok(vec![
        measured(
            "bandit alone, 50 actions of 32 features, best of 5".into(),
            best(&own),
            "decisions/s",
            Some((peer, best(&theirs))),
        ),
        measured(
            "the whole decision at size, at its median".into(),
            1e6 / whole_us,
            "decisions/s",
            Some((peer, best(&theirs))),
        ),
    ])
}

/// 500 rules over 18,000 products: microseconds a customer.
fn rules() -> Vec<Measurement> {
    let mut random = Random::new(500);
    let mut scene = scene(&mut random);
    scene.catalogues = vec![catalogue_plan(&mut random, 18_000)];
    let Ok(catalogue) = Catalogue::new(&scene.catalogues[0], 1, []) else {
        return Vec::new();
    };
    let slots = ItemSlots::new(&scene, 0);
    let declared: Vec<NamedRule> = (0..500).map(|i| rule(i, false)).collect();
    let rules: Vec<CatalogueRule> = (declared.iter())
        .map(|r| CatalogueRule::new(&r.expr, &slots, &catalogue))
        .collect();
    let customers = customers(&mut random, scene.slots.len(), CUSTOMERS);
    let each = timed(CUSTOMERS, |i| {
        for rule in &rules {
            black_box(rule.mask(&customers[i], &slots, &catalogue));
        }
    });
    let one_by_one = timed(4, |i| {
        for row in 0..catalogue.len() {
            for rule in &declared {
                let lookup = luopan_kernel::slots::ItemLookup::new(
                    &customers[i],
                    &slots,
                    catalogue.key_value(row),
                    catalogue.values(row),
                    luopan_kernel::slots::NO_STAGES,
                );
                black_box(luopan_kernel::rule::truth(&rule.expr, &lookup));
            }
        }
    });
    vec![measured(
        "500 rules over 18,000 products, a customer, median".into(),
        quantile(&each, 0.5),
        "us",
        Some(("the same, product by product", quantile(&one_by_one, 0.5))),
    )]
}
