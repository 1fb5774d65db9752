//! What changes between a decision and what follows it: a product is withdrawn or rated anew, an assessment expires. A decision
//! keeps what it saw; whoever asks again is told of now.

use crate::support::{START, World, plan};
use crate::through::stopped;
use luopan_engine::api::{DecideRequest, DecisionAnswer, ProductInput, Raw};
use luopan_engine::proof::Evidence;
use luopan_kernel::decide::Gate;
use luopan_kernel::id::{DecisionId, Position};
use luopan_kernel::learn::Sample;
use luopan_kernel::proof::grounds;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros};
use luopan_kernel::value::Value;

const FUNDS: &str = r#"
scene: shop
zone: UTC
customer: {class: integer, assessed_until: time}
events:
  placed:
    fields:
      order_id: text
      item: text
      amount: {type: money, currency: CNY}
      decision_id: text
  done:
    fields:
      order_id: text
      amount: {type: money, currency: CNY}
      shares: number
catalogues:
  funds:
    attributes: {risk: integer}
    items:
      calm: {risk: 1}
      lively: {risk: 3}
orders:
  funds:
    submitted: {event: placed, order: order_id, item: item, amount: amount, decision: decision_id}
    confirmed: {event: done, order: order_id, amount: amount, shares: shares}
rewards:
  converted: {event: done, join: {order: order_id}, value: "1.0", window: 2d, default: 0}
models:
  response: {kind: linear, scope: shared, reward: converted, catalogue: funds, features: [intercept], reward_bounds: [0, 10]}
policies:
  offer:
    catalogue: funds
    channel: app
    eligibility:
      - {name: assessed, rule: known(class) && assessed_until > env.now, version: "1"}
    suitability:
      - {name: within_class, rule: item.risk <= class, version: "1"}
    score: {objectives: {risk: {value: item.risk, weight: 1}, response: {model: response, weight: 0}}}
    exploration: greedy
    null_action: {name: nothing}
    rewards: [converted]
    valid_for: 1h
  slate:
    like: offer
    slots: 2
  purchase:
    like: offer
    score: "0.0"
    exploration: uniform
    null_action: {name: not_sold}
"#;

fn text(t: &str) -> Raw<'static> {
    Raw::Text(t.to_owned().into())
}

fn withdrawn(key: &str) -> ProductInput {
    ProductInput::Withdraw {
        key: key.into(),
        at: None,
        successor: None,
        restored: false,
    }
}

fn rated(key: &str, risk: i64) -> ProductInput {
    ProductInput::Change {
        key: key.into(),
        values: vec![("risk".into(), Raw::Int(risk))],
    }
}

async fn told(w: &World, input: ProductInput) {
    let receipt = (w.engine).change_products("shop", "funds", &[input]).await;
    assert_eq!(receipt.unwrap().quarantined, 0);
    w.settle().await;
}

async fn world() -> World {
    let w = World::new(FUNDS).await;
    let until = START.plus(DAY_US);
    let fields = [
        ("class", Raw::Int(3)),
        ("assessed_until", text(&write(until))),
    ];
    w.event("ann", "luopan.customer", &fields).await;
    w
}

fn write(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at.0).unwrap().to_string()
}

async fn asked(w: &World, policy: &str, item: &str, key: Option<&str>) -> DecisionAnswer {
    let request = DecideRequest {
        item: Some(item.into()),
        idempotency_key: key.map(str::to_owned),
        ..w.request(policy, "ann")
    };
    w.engine.decide(request).await.unwrap()
}

async fn order(w: &World, order: &str, item: &str, decision: DecisionId) {
    let fields = [
        ("order_id", text(order)),
        ("item", text(item)),
        ("amount", Raw::Int(10_000)),
        ("decision_id", text(&decision.to_string())),
    ];
    w.event("ann", "placed", &fields).await;
}

async fn confirmed(w: &World, order: &str) {
    let fields = [
        ("order_id", text(order)),
        ("amount", Raw::Int(10_000)),
        ("shares", Raw::Number(50.0)),
    ];
    w.event("ann", "done", &fields).await;
}

fn items(record: &DecisionRecord) -> Vec<&str> {
    (record.decision.choices.iter())
        .map(|c| c.item.as_str())
        .collect()
}

/// Gate and rule of all that refused.
fn refused(record: &DecisionRecord) -> Vec<(Gate, &str)> {
    (record.decision.refusals.iter())
        .map(|r| (r.gate, r.rule.as_str()))
        .collect()
}

/// Made again from its record it is the same, and its grounds hold.
async fn stands(w: &World, id: DecisionId) -> DecisionRecord {
    let explained = w.engine.explain(id).await.unwrap();
    assert_eq!(explained.not_recomputed, None);
    assert_eq!(explained.differences, Vec::<String>::new());
    let record = explained.record;
    let allowed = grounds(&plan(FUNDS), &record).unwrap();
    assert_eq!(allowed.len(), record.decision.choices.len());
    record
}

/// Rewards of the samples that a model learned from.
async fn learned(w: &World) -> Vec<f64> {
    let stream = w.stores.control.streams().await.unwrap()[0].1;
    let messages = (w.stores.log)
        .read(stream, Position(0), 1 << 20)
        .await
        .unwrap();
    let mut out = Vec::new();
    for message in messages {
        let mut r = luopan_kernel::codec::Reader::new(&message.message);
        r.format("sample message", 1).unwrap();
        for _ in 0..r.uint().unwrap() {
            out.push(Sample::decode(r.bytes().unwrap()).unwrap().reward);
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_that_vanishes_from_a_slate_stays_explained_ordered_and_joined() {
    let w = world().await;
    let slate = w.decide("slate", "ann").await.unwrap().record;
    assert_eq!(items(&slate), ["lively", "calm"]);
    let offer = w.decide("offer", "ann").await.unwrap().record;
    assert_eq!(items(&offer), ["lively"]);
    told(&w, withdrawn("lively")).await;
    // Nobody is offered it any more; who asks for it is told that there is no such candidate.
    let next = w.decide("slate", "ann").await.unwrap().record;
    assert_eq!(items(&next), ["calm"]);
    let bought = asked(&w, "purchase", "lively", None).await.record;
    assert!(bought.decision.null);
    assert_eq!(refused(&bought), [(Gate::Forced, "lively")]);
    // What was decided is explained over the catalogue that it saw, and says which.
    for record in [&slate, &offer] {
        let again = stands(&w, record.request.decision).await;
        assert_eq!(items(&again), items(record));
        assert!(again.catalogue_version < next.catalogue_version);
    }
    // The order that answers it is joined, confirmed and held like any other, and the model learns that it was a success.
    order(&w, "o1", "lively", offer.request.decision).await;
    confirmed(&w, "o1").await;
    assert_eq!(w.tag("ann", "book.funds.holdings").await, Value::Int(1));
    assert_eq!(w.tag("ann", "book.funds.anomalies").await, Value::Int(0));
    w.env.pass(3 * DAY_US);
    w.event("ann", "done", &[("order_id", text("none"))]).await;
    assert_eq!(learned(&w).await.first(), Some(&1.0));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_that_vanishes_between_survey_and_commit_is_in_the_decision_that_began_with_it() {
    let (w, state) = stopped(FUNDS).await;
    let stop = &state.doing.commits;
    let fields = [
        ("class", Raw::Int(3)),
        ("assessed_until", text(&write(START.plus(DAY_US)))),
    ];
    w.event("ann", "luopan.customer", &fields).await;

    let begin = || {
        stop.arm();
        let (engine, request) = (w.engine.clone(), w.request("offer", "ann"));
        tokio::spawn(async move { engine.decide(request).await })
    };
    let deciding = begin();
    stop.arrived().await;
    // It has looked at everything and has not written anything yet.
    told(&w, withdrawn("lively")).await;
    stop.go();
    let first = deciding.await.unwrap().unwrap().record;
    // The same as one that was a moment earlier, and the record says over which version it was made.
    assert_eq!(items(&first), ["lively"]);
    let again = stands(&w, first.request.decision).await;
    assert_eq!(again.catalogue_version, first.catalogue_version);
    let next = w.decide("offer", "ann").await.unwrap().record;
    assert!(first.catalogue_version < next.catalogue_version);
    assert_eq!(items(&next), ["calm"]);
    // One that loses its race to another decision of the customer is made again, over what is there by then.
    let deciding = begin();
    stop.arrived().await;
    let back = ProductInput::Withdraw {
        key: "lively".into(),
        at: None,
        successor: None,
        restored: true,
    };
    told(&w, back).await;
    let other = w.decide("offer", "ann").await.unwrap().record;
    stop.go();
    let late = deciding.await.unwrap().unwrap().record;
    assert_eq!(
        (items(&other), items(&late)),
        (vec!["lively"], vec!["lively"])
    );
    assert_eq!(late.catalogue_version, other.catalogue_version);
    stands(&w, late.request.decision).await;
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_superseded_while_it_decides_is_decided_under_to_the_end() {
    let (w, state) = stopped(FUNDS).await;
    let stop = &state.doing.reads;
    let fields = [
        ("class", Raw::Int(3)),
        ("assessed_until", text(&write(START.plus(DAY_US)))),
    ];
    w.event("ann", "luopan.customer", &fields).await;
    w.settle().await;
    stop.arm();
    let (engine, request) = (w.engine.clone(), w.request("offer", "ann"));
    let deciding = tokio::spawn(async move { engine.decide(request).await });
    stop.arrived().await;
    for hours in [2, 3] {
        let next = FUNDS.replace("valid_for: 1h", &format!("valid_for: {hours}h"));
        w.engine
            .apply_scene(&plan(&next), &[], "test")
            .await
            .unwrap();
    }
    // The snapshots are made anew, of what is in use by now.
    told(&w, rated("calm", 2)).await;
    stop.go();
    let first = deciding.await.unwrap().unwrap().record;
    assert_eq!((first.scene_version, items(&first)), (1, vec!["lively"]));
    stands(&w, first.request.decision).await;
    let next = w.decide("offer", "ann").await.unwrap().record;
    assert_eq!(next.scene_version, 3);
    assert!(first.catalogue_version < next.catalogue_version);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_raised_between_decision_and_order_refuses_who_asks_again() {
    let w = world().await;
    let first = asked(&w, "purchase", "lively", Some("click-1")).await;
    assert_eq!(items(&first.record), ["lively"]);
    let until = first.record.valid_until;
    assert_eq!(until, first.record.request.moment.now.plus(HOUR_US));
    w.env.pass(MINUTE_US);
    told(&w, rated("lively", 4)).await;
    // Asked again it is refused, by name and version.
    let second = asked(&w, "purchase", "lively", Some("click-2"))
        .await
        .record;
    assert!(second.decision.null);
    assert_eq!(
        refused(&second),
        [
            (Gate::Suitability, "within_class"),
            (Gate::Forced, "lively")
        ]
    );
    assert_eq!(second.decision.refusals[0].version.as_deref(), Some("1"));
    // The same key is the same question: the first decision again, which holds as long as it did, and no longer.
    let repeated = asked(&w, "purchase", "lively", Some("click-1")).await;
    assert!(repeated.repeated);
    assert_eq!(repeated.record.valid_until, until);
    let id = first.record.request.decision;
    let kept = stands(&w, id).await;
    assert_eq!(
        kept.decision.choices[0].reads,
        [("item.risk".to_owned(), Value::Int(3))]
    );
    // A decision that offered it before is no reason to offer it again.
    assert_eq!(
        items(&w.decide("offer", "ann").await.unwrap().record),
        ["calm"]
    );
    // The order is evidence beside the decision that it names, in order of the period.
    order(&w, "o1", "lively", id).await;
    let mut seen = Vec::new();
    let all = (Micros(0), Micros(i64::MAX));
    (w.engine)
        .evidence("shop", all.0, all.1, &mut |e| {
            if let Evidence::Order(o) = e {
                seen.push((o.decision, o.at <= until));
            }
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(seen, [(Some(id), true)]);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assessment_that_expires_in_the_middle_of_a_session_ends_offers_at_that_moment() {
    let w = world().await;
    w.env.pass(DAY_US - 1);
    let before = w.decide("offer", "ann").await.unwrap().record;
    assert_eq!(items(&before), ["lively"]);
    let purchase = asked(&w, "purchase", "lively", None).await.record;
    assert_eq!(items(&purchase), ["lively"]);
    // At the moment itself it is no longer valid.
    w.env.pass(1);
    for policy in ["offer", "slate"] {
        let after = w.decide(policy, "ann").await.unwrap().record;
        assert!(after.decision.null, "{policy}");
        assert_eq!(refused(&after), [(Gate::Eligibility, "assessed")]);
        assert_eq!(after.decision.refusals[0].unknown, 0);
    }
    let bought = asked(&w, "purchase", "lively", None).await.record;
    assert!(bought.decision.null);
    assert_eq!(refused(&bought), [(Gate::Eligibility, "assessed")]);
    // What was decided before stands, with the moment and the assessment that it read.
    for record in [&before, &purchase] {
        let again = stands(&w, record.request.decision).await;
        assert!(again.request.moment.now < START.plus(DAY_US));
        let read = (again.decision.slots_read.iter())
            .find(|(name, _)| name == "assessed_until")
            .map(|(_, v)| v.clone());
        assert_eq!(read, Some(Value::Time(START.plus(DAY_US))));
    }
    // A new assessment counts from the next decision on.
    let fields = [("assessed_until", text(&write(START.plus(9 * DAY_US))))];
    w.event("ann", "luopan.customer", &fields).await;
    assert_eq!(
        items(&w.decide("offer", "ann").await.unwrap().record),
        ["lively"]
    );
    w.verify().await;
}
