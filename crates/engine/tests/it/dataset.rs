//! Training sets: rows are what decisions saw and what came of them, and nothing that comes later changes a feature.

use crate::support::{SHOP, World, plan};
use crate::through::stopped;
use luopan_engine::api::{ProductInput, Raw};
use luopan_engine::dataset::{Dataset, DatasetRead, DatasetSpec, Outcome};
use luopan_kernel::event::Origin;
use luopan_kernel::id::DecisionId;
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US};
use luopan_kernel::value::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A row that is kept.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    decision: DecisionId,
    arm: String,
    weighs_one: bool,
    features: BTreeMap<String, Value<'static>>,
    rewards: Vec<Option<Outcome>>,
}

impl Row {
    fn feature(&self, name: &str) -> &Value<'static> {
        &self.features[name]
    }
}

async fn read_of(w: &World, spec: DatasetSpec) -> (Vec<Row>, DatasetRead) {
    w.settle().await;
    let dataset: Dataset = w.engine.dataset("shop", "learned").unwrap();
    let names: Vec<String> = (dataset.features().iter())
        .map(|f| f.name.clone())
        .collect();
    let mut rows = Vec::new();
    let told = dataset
        .read(&spec, &mut |row| {
            rows.push(Row {
                decision: row.decision,
                arm: row.arm.to_owned(),
                weighs_one: (row.weight * row.propensity - 1.0).abs() < 1e-12,
                features: (names.iter().cloned())
                    .zip(row.features.iter().cloned())
                    .collect(),
                rewards: row.rewards.to_vec(),
            });
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(told.differences, Vec::<String>::new());
    assert_eq!((told.differ, told.rows), (0, rows.len() as u64));
    (rows, told)
}

async fn read(w: &World) -> (Vec<Row>, DatasetRead) {
    read_of(w, DatasetSpec::default()).await
}

async fn decide(w: &World, customer: &str) -> DecisionId {
    let made = w.decide("learned", customer).await.unwrap();
    w.settle().await;
    made.record.request.decision
}

async fn seconds(w: &World, customer: &str, n: i64) {
    w.event(customer, "visit", &[("seconds", Raw::Int(n))])
        .await;
}

async fn buys(w: &World, customer: &str, decision: DecisionId) {
    let named = Raw::Text(decision.to_string().into());
    let fields = [("amount", Raw::Int(500)), ("decision_id", named)];
    w.event(customer, "buy", &fields).await;
}

fn of(rows: &[Row], decision: DecisionId) -> &Row {
    rows.iter().find(|r| r.decision == decision).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_what_decisions_saw_and_what_came_of_them() {
    let w = World::new(SHOP).await;
    seconds(&w, "ann", 30).await;
    let first = decide(&w, "ann").await;
    w.env.pass(HOUR_US);
    buys(&w, "ann", first).await;
    seconds(&w, "ann", 12).await;
    w.env.pass(HOUR_US);
    let second = decide(&w, "ann").await;
    w.env.pass(2 * DAY_US);
    seconds(&w, "ann", 7).await;
    let third = decide(&w, "ann").await;
    let nobody = decide(&w, "new").await;
    w.decide("capped", "ann").await.unwrap();

    let (rows, told) = read(&w).await;
    assert_eq!((rows.len(), told.decisions, told.settled), (4, 4, 2));
    assert!(told.compared >= 4, "{told:?}");
    assert!(rows.iter().all(|r| r.weighs_one));
    let (a, b, c) = (of(&rows, first), of(&rows, second), of(&rows, third));
    assert_eq!(*a.feature("seconds"), Value::Int(30));
    assert_eq!(*b.feature("seconds"), Value::Int(42));
    assert_eq!(*c.feature("seconds"), Value::Int(49));
    // What answers a decision is no feature of it.
    assert_eq!(*a.feature("spent"), *of(&rows, nobody).feature("spent"));
    assert_eq!(*b.feature("spent"), Value::Int(500));
    assert_eq!(*c.feature("last_visit"), Value::Int(0));
    let after = |value, after_us| Some(Outcome { value, after_us });
    assert_eq!(a.rewards, [after(1.0, HOUR_US)]);
    assert_eq!(b.rewards, [after(0.0, DAY_US)]);
    assert_eq!(c.rewards, [None]);
    for row in &rows {
        let cost = match row.arm.as_str() {
            "coupon" => Value::Int(1),
            "gift" => Value::Int(2),
            "nothing" => Value::Missing,
            other => panic!("{other}"),
        };
        assert_eq!(*row.feature("item.cost"), cost);
    }
    let spec = DatasetSpec {
        until: Some(crate::support::START.plus(90 * MINUTE_US)),
        ..DatasetSpec::default()
    };
    let (early, told) = read_of(&w, spec).await;
    assert_eq!((early.len(), told.skipped.outside), (1, 3));
    assert_eq!(&early[0], a);
    let unknown = w.engine.dataset("shop", "lerned").unwrap_err();
    assert!(unknown.message.contains("`learned`"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_item_is_the_one_that_was_seen() {
    let w = World::new(SHOP).await;
    let dearer = |cost| {
        ["coupon", "gift"].map(|key| ProductInput::Change {
            key: key.into(),
            values: vec![("cost".into(), Raw::Int(cost))],
        })
    };
    let mut costs = BTreeMap::new();
    for cost in 3..12 {
        let inputs = dearer(cost);
        let changed = w.engine.change_products("shop", "offers", &inputs);
        assert_eq!(changed.await.unwrap().quarantined, 0);
        w.settle().await;
        costs.insert(decide(&w, "ann").await, cost);
        w.env.pass(MINUTE_US);
    }
    let (rows, told) = read(&w).await;
    assert_eq!((rows.len(), told.versions), (9, 9));
    let chosen: Vec<_> = rows.iter().filter(|r| r.arm != "nothing").collect();
    assert!(!chosen.is_empty());
    for row in chosen {
        let cost = Value::Int(costs[&row.decision]);
        assert_eq!(*row.feature("item.cost"), cost);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linked_identifiers_are_read_as_one_as_the_decision_did() {
    let w = World::new(SHOP).await;
    seconds(&w, "phone", 10).await;
    seconds(&w, "app", 5).await;
    let alone = decide(&w, "app").await;
    w.engine.link("phone", "app", "test").await.unwrap();
    w.settle().await;
    let both = decide(&w, "app").await;
    w.env.pass(HOUR_US);
    buys(&w, "phone", both).await;
    w.engine.unlink("app", "test").await.unwrap();
    w.settle().await;
    let again = decide(&w, "app").await;
    let (rows, told) = read(&w).await;
    assert_eq!(told.linked, 1);
    assert_eq!(*of(&rows, alone).feature("seconds"), Value::Int(5));
    assert_eq!(*of(&rows, both).feature("seconds"), Value::Int(15));
    assert_eq!(*of(&rows, again).feature("seconds"), Value::Int(5));
    let value = of(&rows, both).rewards[0].map(|o| o.value);
    assert_eq!(value, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_folded_while_a_decision_begins_is_part_of_what_it_saw() {
    let (w, state) = stopped(SHOP).await;
    seconds(&w, "phone", 10).await;
    seconds(&w, "app", 5).await;
    w.engine.link("phone", "app", "test").await.unwrap();
    let mut made = Vec::new();
    for n in 0..3 {
        w.settle().await;
        state.doing.reads.arm();
        let (engine, request) = (w.engine.clone(), w.request("learned", "app"));
        let deciding = tokio::spawn(async move { engine.decide(request).await });
        state.doing.reads.arrived().await;
        // It knows how far the fold was, and has not read what was folded.
        seconds(&w, ["app", "phone", "app"][n], 100).await;
        w.settle().await;
        state.doing.reads.go();
        made.push(deciding.await.unwrap().unwrap().record.request.decision);
    }
    seconds(&w, "app", 1_000).await;
    let (rows, told) = read(&w).await;
    for (decision, seen) in made.iter().zip([115, 215, 315]) {
        assert_eq!(*of(&rows, *decision).feature("seconds"), Value::Int(seen));
    }
    assert!(told.compared >= 3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_was_declared_since_is_known_as_it_would_have_been() {
    let w = World::new(SHOP).await;
    seconds(&w, "ann", 70).await;
    let first = decide(&w, "ann").await;
    seconds(&w, "ann", 90).await;
    let second = decide(&w, "ann").await;
    let longest = "  longest: {event: visit, aggregate: max, of: seconds}\n  pages:";
    let changed = plan(&SHOP.replace("  pages:", longest));
    w.engine.apply_scene(&changed, &[], "test").await.unwrap();
    let (rows, told) = read(&w).await;
    assert_eq!(*of(&rows, first).feature("longest"), Value::Int(70));
    assert_eq!(*of(&rows, second).feature("longest"), Value::Int(90));
    // They were made by another version, which may have meant something else by the same names.
    assert_eq!(told.compared, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_let_go_of_the_log_is_counted_and_the_rest_is_as_before() {
    let w = World::new(SHOP).await;
    let old = decide(&w, "ann").await;
    seconds(&w, "ann", 1).await;
    w.env.pass(5 * DAY_US);
    seconds(&w, "ann", 2).await;
    let new = decide(&w, "ann").await;
    w.env.pass(HOUR_US);
    let (before, _) = read(&w).await;
    assert_eq!(before.len(), 2);
    use luopan_engine::Env;
    let done = w.engine.retain(w.env.now().plus(-2 * DAY_US)).await;
    assert!(done.unwrap().entries > 0);
    let (after, told) = read(&w).await;
    assert_eq!(after, [of(&before, new).clone()]);
    assert_eq!((told.decisions, of(&before, old).decision), (1, old));
}

/// From 0 up to `n`.
fn below(dice: &mut Random, n: i64) -> i64 {
    (dice.uniform() * n as f64) as i64
}

/// Plants what a careless join would let in: events that tell of an earlier time, history that is brought in, corrections, links,
/// answers, products that change.
async fn plant(w: &World, dice: &mut Random, since: i64) {
    for _ in 0..30 {
        let customer = format!("c{}", below(dice, 6));
        let mut late = w.incoming(&customer, "visit", &[("seconds", Raw::Int(1_000_000))]);
        late.occurred_at = late.occurred_at.map(|at| at.plus(-(below(dice, since))));
        let origin = match below(dice, 2) {
            0 => Origin::Live,
            _ => Origin::Import,
        };
        let taken = w.engine.ingest("shop", origin, &[Ok(late)]).await.unwrap();
        assert_eq!(taken.quarantined, 0);
    }
    for i in 0..6 {
        let customer = format!("c{i}");
        let mut wrong = w.incoming(&customer, "visit", &[("seconds", Raw::Int(-5))]);
        wrong.corrects = Some(Cow::Borrowed("e1"));
        let taken = w.ingest(&[Ok(wrong)]).await;
        assert_eq!(taken.quarantined, 0);
        let _ = w.engine.link("c0", &customer, "test").await;
    }
    let dear = ProductInput::Change {
        key: "gift".into(),
        values: vec![("cost".into(), Raw::Int(9_999))],
    };
    let dear = [dear];
    let changed = w.engine.change_products("shop", "offers", &dear);
    assert_eq!(changed.await.unwrap().quarantined, 0);
    w.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_later_changes_no_feature() {
    for seed in 0..6 {
        let mut dice = Random::new(seed);
        let w = World::new(SHOP).await;
        let mut made = Vec::new();
        for _ in 0..60 {
            let customer = format!("c{}", below(&mut dice, 6));
            match below(&mut dice, 5) {
                0 | 1 => seconds(&w, &customer, below(&mut dice, 90)).await,
                2 => made.push((customer.clone(), decide(&w, &customer).await)),
                3 => {
                    if let Some((customer, decision)) = made.last() {
                        buys(&w, customer, *decision).await;
                    }
                }
                _ if below(&mut dice, 8) == 0 => {
                    let _ = w.engine.link("c0", &customer, "test").await;
                    w.settle().await;
                }
                _ => w.env.pass((below(&mut dice, 10) + 1) * HOUR_US),
            }
        }
        let (before, told) = read(&w).await;
        assert_eq!(before.len(), made.len());
        assert!(told.compared >= told.decisions);
        plant(&w, &mut dice, 20 * HOUR_US).await;
        // Today's tags tell of it.
        let customer = &made[0].0;
        assert!(matches!(w.tag(customer, "seconds").await, Value::Int(n) if n > 500_000));
        let (after, _) = read(&w).await;
        for row in &before {
            let now = of(&after, row.decision);
            assert_eq!(now.features, row.features, "seed {seed}");
            assert_eq!(now.arm, row.arm);
            for (before, now) in row.rewards.iter().zip(&now.rewards) {
                assert!(before.is_none() || before == now, "seed {seed}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_the_rows_of_whole_partitions() {
    let w = World::new(SHOP).await;
    for i in 0..60 {
        decide(&w, &format!("c{i}")).await;
    }
    let (all, _) = read(&w).await;
    assert_eq!(all.len(), 60);
    for most in [1, 10, 59, 60, 1_000] {
        let spec = DatasetSpec {
            most: Some(most),
            ..DatasetSpec::default()
        };
        let (some, told) = read_of(&w, spec).await;
        // The first in the order of the log; the last partition is read to its end.
        assert_eq!(some[..], all[..some.len()]);
        assert!(some.len() as u64 >= most.min(60), "{most}: {told:?}");
        assert!(most > 10 || some.len() < 60, "{most}: {}", some.len());
    }
}
