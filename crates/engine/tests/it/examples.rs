//! Examples from history: they see what a decision right before their event saw, history that was brought in is read as if
//! it had come when it happened, and what gives no example is counted.

use crate::support::{START, World};
use luopan_engine::api::{Incoming, Raw};
use luopan_engine::examples::{ExampleSpec, ExamplesRead, Skipped};
use luopan_kernel::event::Origin;
use luopan_kernel::factors::Factors;
use luopan_kernel::features;
use luopan_kernel::id::DecisionId;
use luopan_kernel::plan::{FeaturePlan, ScenePlan};
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, HOUR_US, Micros, SECOND_US};
use luopan_kernel::value::Value;
use luopan_scene::Loaded;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the history was gathered under: no tag that the factors read.
const BEFORE: &str = r#"
scene: shop
zone: UTC
dedup_horizon: 7d
customer: {age: integer, zone: text}
events:
  look: {fields: {item: text, seconds: integer}}
  order: {fields: {item: text, side: {type: text, one_of: [buy, redeem]}, fund: text}}
catalogues:
  funds:
    attributes: {risk: integer}
    items: {a: {risk: 1}, b: {risk: 3}, c: {risk: 5}}
policies:
  any:
    catalogue: funds
    channel: app
    score: "1.0"
    exploration: uniform
    null_action: {name: nothing}
"#;

const AFTER: &str = r#"
tags:
  looks_7d: {event: look, aggregate: count, window: 7d}
  looks_1d: {event: look, aggregate: count, window: 1d}
  seconds: {event: look, aggregate: sum, of: seconds}
  last_order: {event: order, aggregate: recency}
  last_fund: {event: look, aggregate: last, of: item, where: known(item)}
derived:
  keen: looks_7d >= 3
artifacts:
  taste: {file: artifacts/taste.bin, kind: factors}
"#;

const RETRIEVAL: &str = r#"
  offer:
    catalogue: funds
    channel: app
    retrieval:
      factors: taste
      customer:
        - intercept
        - {bins: age, edges: [30, 50]}
        - {bins: looks_7d, edges: [1, 3, 6], missing: false}
        - {bins: looks_1d, edges: [1, 3], missing: false}
        - {bins: seconds, edges: [10, 100], missing: false}
        - {bins: last_order, edges: [3600000000, 86400000000, 172800000000]}
        - {one_hot: last_fund, categories: [a, b]}
        - {one_hot: keen}
        - {bins: env.hour, edges: [6, 12, 18]}
      item: [{bins: item.risk, edges: [2, 4], missing: false}]
      keep: 2
      learn_from:
        - {event: order, where: 'side.orElse("buy") == "buy"'}
        - {event: look, weight: 0.1}
    score: score.retrieved
    exploration: greedy
    null_action: {name: nothing}
"#;

fn pack(retrieval: &str) -> Loaded {
    let text = format!("{BEFORE}{retrieval}{AFTER}");
    Loaded::from(vec![("scene.yaml".to_owned(), text)])
}

fn to_train() -> Arc<ScenePlan> {
    let plan = luopan_scene::compile_to_train(pack(RETRIEVAL));
    Arc::new(plan.unwrap_or_else(|f| panic!("{f:?}")))
}

fn customer_features(plan: &ScenePlan) -> Vec<FeaturePlan> {
    let policy = plan.policy("offer").unwrap();
    policy.retrieval.as_ref().unwrap().customer.clone()
}

/// The pack as it is applied: with factors that like everything alike.
async fn apply(w: &World) -> Arc<ScenePlan> {
    let plan = to_train();
    let width = |f: &[FeaturePlan]| f.iter().map(features::width).sum::<usize>();
    let r = plan.policy("offer").unwrap().retrieval.clone().unwrap();
    let zeros = |n| vec![0.0; n];
    let factors =
        Factors::new(1, zeros(width(&r.customer)), zeros(width(&r.item)), []).expect("factors");
    let mut pack = pack(RETRIEVAL);
    pack.trained
        .insert("artifacts/taste.bin".into(), factors.encode());
    let checked = luopan_scene::compile(pack).unwrap_or_else(|f| panic!("{f:?}"));
    let applied = w
        .engine
        .apply_trained_scene(&checked.plan, &checked.artifacts, &[], "test");
    applied.await.unwrap();
    Arc::new(checked.plan)
}

type Row = (Micros, usize, String, Vec<(u32, f64)>);

/// All examples, in the order in which they come.
async fn read(w: &World, plan: Arc<ScenePlan>, spec: ExampleSpec) -> (Vec<Row>, ExamplesRead) {
    let examples = w.engine.examples(plan, "offer").await.unwrap();
    let mut out = Vec::new();
    let read = examples
        .read(&spec, &mut |e| {
            let item = examples.items()[e.item].key.clone();
            out.push((e.at, e.source, item, e.features.to_vec()));
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(read.examples, out.len() as u64);
    (out, read)
}

/// What the decision's record says that the customer's features were.
async fn seen(w: &World, plan: &ScenePlan, id: DecisionId) -> Vec<(u32, f64)> {
    let record = w.engine.decision(id).await.unwrap();
    let mut values = vec![Value::Missing; plan.slots.len()];
    for (name, value) in &record.decision.slots_read {
        values[usize::from(plan.slot(name).unwrap().0)] = value.clone();
    }
    let mut encoded = Vec::new();
    features::encode_all(&customer_features(plan), values.as_slice(), &mut encoded);
    (encoded.iter().enumerate())
        .filter(|(_, v)| **v != 0.0)
        .map(|(i, v)| (i as u32, *v))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_example_sees_what_a_decision_right_before_its_event_saw() {
    for seed in 0..6u64 {
        let mut dice = Random::new(seed);
        let mut up_to = |n: u64| dice.bits() % n;
        let w = World::new(BEFORE).await;
        let plan = apply(&w).await;
        let customers = ["ann", "bob", "cy", "ann-phone", "ann-watch"];
        let mut wanted: BTreeMap<(Micros, usize), Vec<(u32, f64)>> = BTreeMap::new();
        for turn in 0..60 {
            w.env.pass(SECOND_US + up_to(8 * HOUR_US as u64) as i64);
            let customer = customers[up_to(5) as usize];
            if turn == 20 {
                w.engine.link("ann", "ann-phone", "test").await.unwrap();
                w.settle().await;
                continue;
            }
            if turn == 35 {
                w.engine.link("ann", "ann-watch", "test").await.unwrap();
                w.settle().await;
                continue;
            }
            let item = ["a", "b", "c"][up_to(3) as usize];
            let item = Raw::Text(item.into());
            let (kind, properties, source) = match up_to(4) {
                0 => ("order", vec![("item", item)], Some(0)),
                1 => {
                    let attributes = vec![("age", Raw::Int(20 + up_to(50) as i64))];
                    ("luopan.customer", attributes, None)
                }
                2 => ("look", vec![("seconds", Raw::Int(up_to(60) as i64))], None),
                _ => {
                    let seconds = Raw::Int(up_to(60) as i64);
                    ("look", vec![("item", item), ("seconds", seconds)], Some(1))
                }
            };
            if let Some(source) = source {
                let mut request = w.request("offer", customer);
                request.scene = "shop".into();
                let answer = w.engine.decide(request).await.unwrap();
                let saw = seen(&w, &plan, answer.record.request.decision).await;
                use luopan_engine::Env;
                wanted.insert((w.env.now(), source), saw);
            }
            w.event(customer, kind, &properties).await;
        }
        w.settle().await;
        let (rows, read) = read(&w, to_train(), ExampleSpec::default()).await;
        assert!(read.linked > 0 && read.customers >= 2, "{read:?}");
        let found: BTreeMap<_, _> = rows
            .into_iter()
            .map(|(at, source, _, features)| ((at, source), features))
            .collect();
        assert!(wanted.len() > 15);
        assert_eq!(found, wanted, "seed {seed}");
    }
}

fn brought_in(
    n: usize,
    customer: &str,
    kind: &str,
    at: Micros,
    properties: &[(&'static str, Raw<'static>)],
) -> Incoming<'static> {
    Incoming {
        id: Cow::Owned(format!("h{n}")),
        customer: Cow::Owned(customer.to_owned()),
        kind: Cow::Owned(kind.to_owned()),
        occurred_at: Some(at),
        properties: properties
            .iter()
            .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
            .collect(),
        context: Vec::new(),
        corrects: None,
        raw: Cow::Borrowed(""),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_that_was_brought_in_is_seen_at_its_own_time() {
    let w = World::new(BEFORE).await;
    let day = |d: i64| START.plus(-(100 - d) * DAY_US);
    let item = |k: &'static str| ("item", Raw::Text(k.into()));
    // Attributes of today, then a look a day for thirty days, then an order; twice over.
    let mut inputs = vec![brought_in(
        0,
        "ann",
        "luopan.customer",
        START.plus(-SECOND_US),
        &[("age", Raw::Int(40))],
    )];
    for d in 0..30 {
        inputs.push(brought_in(
            1 + d,
            "ann",
            "look",
            day(d as i64),
            &[item("a")],
        ));
    }
    inputs.push(brought_in(99, "ann", "order", day(30), &[item("b")]));
    for _ in 0..2 {
        let inputs: Vec<_> = inputs.iter().cloned().map(Ok).collect();
        w.engine
            .ingest("shop", Origin::Import, &inputs)
            .await
            .unwrap();
        w.settle().await;
    }
    let plan = to_train();
    let (rows, told) = read(&w, plan.clone(), ExampleSpec::default()).await;
    assert_eq!(told.examples, 31);
    assert_eq!(told.skipped.duplicate, 31);
    let (at, source, ref key, ref features) = rows[30];
    assert_eq!((at, source, key.as_str()), (day(30), 0, "b"));
    // Intercept; 30 to 50; six looks and more within seven days, none within a day (the last is a day ago), no seconds; never ordered;
    // looked at `a`; keen; midnight.
    assert_eq!(
        features.iter().map(|(p, _)| *p).collect::<Vec<_>>(),
        [0, 2, 8, 9, 12, 19, 20, 25, 28]
    );
    // The second look saw the first one, the first saw nothing.
    let first: Vec<u32> = rows[0].3.iter().map(|(p, _)| *p).collect();
    assert_eq!(&first[..3], [0, 2, 5]);
    let some = ExampleSpec {
        from: Some(day(10)),
        until: Some(day(30)),
    };
    let (rows, told) = read(&w, plan, some).await;
    assert_eq!(rows.len(), 20);
    assert_eq!(told.skipped.outside, 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gives_no_example_is_counted() {
    let w = World::new(BEFORE).await;
    let text = |name, value: &'static str| (name, Raw::Text(value.into()));
    let at = START;
    let live = [
        brought_in(1, "ann", "order", at, &[text("item", "a")]),
        brought_in(
            2,
            "ann",
            "order",
            at,
            &[text("item", "a"), text("side", "redeem")],
        ),
        brought_in(3, "ann", "order", at, &[]),
        brought_in(4, "ann", "order", at, &[text("item", "zzz")]),
        brought_in(1, "ann", "order", at, &[text("item", "a")]),
        Incoming {
            corrects: Some(Cow::Borrowed("h1")),
            ..brought_in(5, "ann", "order", at, &[text("item", "a")])
        },
    ]
    .map(Ok);
    let dry = [brought_in(6, "ann", "order", at, &[text("item", "a")])].map(Ok);
    for (origin, inputs) in [(Origin::Live, &live[..]), (Origin::DryRun, &dry[..])] {
        w.engine.ingest("shop", origin, inputs).await.unwrap();
    }
    w.settle().await;
    let (rows, told) = read(&w, to_train(), ExampleSpec::default()).await;
    assert_eq!(rows.len(), 1);
    let skipped = Skipped {
        filtered: 1,
        without_item: 1,
        unknown_item: 1,
        duplicate: 1,
        dry_run: 1,
        correction: 1,
        ..Skipped::default()
    };
    assert_eq!((told.events, told.customers), (7, 1));
    assert_eq!(told.skipped, skipped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_says_what_it_learns_from_or_is_refused() {
    let w = World::new(BEFORE).await;
    let code = |plan: Arc<ScenePlan>, policy: &'static str| {
        let engine = w.engine.clone();
        async move { engine.examples(plan, policy).await.unwrap_err().code }
    };
    assert_eq!(code(to_train(), "any").await, "nothing_to_learn_from");
    assert_eq!(code(to_train(), "ofer").await, "unknown_policy");
    let without = RETRIEVAL
        .split("      learn_from")
        .next()
        .unwrap()
        .to_owned()
        + "    score: \"1.0\"\n    exploration: greedy\n    null_action: {name: nothing}\n";
    let plan = luopan_scene::compile_to_train(pack(&without)).unwrap();
    assert_eq!(code(Arc::new(plan), "offer").await, "nothing_to_learn_from");
    let mut other = (*to_train()).clone();
    other.name = "elsewhere".into();
    assert_eq!(code(Arc::new(other), "offer").await, "unknown_scene");
}
