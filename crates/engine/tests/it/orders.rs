//! Orders through the whole loop: a conversion is a confirmed order and is found through the order, decisions see what is
//! held and are explained, and books survive restarts, links and changed declarations.

use crate::support::{World, plan};
use luopan_engine::api::Raw;
use luopan_kernel::codec::Reader;
use luopan_kernel::id::Position;
use luopan_kernel::learn::Sample;
use luopan_kernel::time::DAY_US;
use luopan_kernel::value::Value;

const FUNDS: &str = r#"
scene: shop
zone: UTC
events:
  placed:
    fields:
      order_id: text
      item: text
      side: {type: text, one_of: [buy, redeem]}
      amount: {type: money, currency: CNY}
      shares: number
      decision_id: text
  done:
    fields:
      order_id: text
      amount: {type: money, currency: CNY}
      shares: number
  stopped: {fields: {order_id: text}}
catalogues:
  funds:
    attributes: {nav: number, fees: text}
    items:
      one: {nav: 2.0, fees: "7d 1.5%"}
      two: {nav: 1.0}
orders:
  funds:
    nav: nav
    redemption_fees: fees
    submitted: {event: placed, order: order_id, item: item, side: side, amount: amount, shares: shares, decision: decision_id}
    confirmed: {event: done, order: order_id, amount: amount, shares: shares}
    cancelled: {event: stopped, order: order_id}
segments:
  holders: book.funds.holdings > 0
rewards:
  converted: {event: done, join: {order: order_id}, value: "1.0", window: 2d, combine: sum, default: 0}
models:
  response: {kind: linear, scope: shared, reward: converted, catalogue: funds, features: [intercept, {standard: held.shares, mean: 0, scale: 1, clip: 1000}], reward_bounds: [0, 10]}
policies:
  offer:
    catalogue: funds
    channel: app
    exclusions:
      - {name: fresh, rule: 'held.stage == "held" && held.redemption_fee >= 0.015'}
    score: {model: response}
    exploration: greedy
    null_action: {name: nothing}
    rewards: [converted]
  dearest:
    catalogue: funds
    channel: app
    score: held.value
    exploration: greedy
    null_action: {name: nothing}
"#;

async fn place(w: &World, who: &str, order: &str, item: &str, decision: &str) {
    let text = |t: &str| Raw::Text(t.to_owned().into());
    let fields = [
        ("order_id", text(order)),
        ("item", text(item)),
        ("amount", Raw::Int(10_000)),
        ("decision_id", text(decision)),
    ];
    w.event(who, "placed", &fields).await;
}

async fn confirm(w: &World, who: &str, order: &str, shares: f64) {
    let fields = [
        ("order_id", Raw::Text(order.to_owned().into())),
        ("amount", Raw::Int(10_000)),
        ("shares", Raw::Number(shares)),
    ];
    w.event(who, "done", &fields).await;
}

async fn explained(w: &World, id: luopan_kernel::id::DecisionId) {
    let explained = w.engine.explain(id).await.unwrap();
    assert_eq!(explained.not_recomputed, None);
    assert!(
        explained.differences.is_empty(),
        "{:?}",
        explained.differences
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversion_is_a_confirmed_order_and_counts_once() {
    let mut w = World::new(FUNDS).await;
    let decide = w.decide("offer", "ann").await.unwrap();
    let id = decide.record.request.decision;
    assert_eq!(decide.record.decision.choices.len(), 1);
    place(&w, "ann", "o1", "one", &id.to_string()).await;
    // An order that was placed is no conversion, nor one that was taken back, nor what answers no decision.
    place(&w, "ann", "o2", "one", &id.to_string()).await;
    w.event("ann", "stopped", &[("order_id", Raw::Text("o2".into()))])
        .await;
    confirm(&w, "ann", "o2", 50.0).await;
    place(&w, "ann", "o3", "two", "no decision").await;
    confirm(&w, "ann", "o3", 50.0).await;
    confirm(&w, "ann", "never placed", 50.0).await;
    confirm(&w, "ann", "o1", 50.0).await;
    // Told again, with the same numbers and with others.
    confirm(&w, "ann", "o1", 50.0).await;
    confirm(&w, "ann", "o1", 51.0).await;
    assert_eq!(w.tag("ann", "book.funds.holdings").await, Value::Int(2));
    assert_eq!(w.tag("ann", "book.funds.cost").await, Value::Int(20_000));
    // Confirmed after cancelled, of no known item, repeated, contradicted.
    assert_eq!(w.tag("ann", "book.funds.anomalies").await, Value::Int(4));
    w.env.pass(3 * DAY_US);
    w.event("ann", "stopped", &[("order_id", Raw::Text("later".into()))])
        .await;
    w.settle().await;
    let stream = w.stores.control.streams().await.unwrap()[0].1;
    let messages = w
        .stores
        .log
        .read(stream, Position(0), 1 << 20)
        .await
        .unwrap();
    let mut r = Reader::new(&messages[0].message);
    r.format("sample message", 1).unwrap();
    assert_eq!(r.uint().unwrap(), 1);
    let sample = Sample::decode(r.bytes().unwrap()).unwrap();
    assert_eq!((sample.id.0, sample.reward), (id, 1.0));
    // As it was when it was decided: nothing was held.
    assert_eq!(sample.features, [1.0, 0.0]);
    w.verify().await;
    w.restart().await;
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_see_what_is_held_and_are_made_again() {
    let w = World::new(FUNDS).await;
    let before = w.decide("dearest", "ann").await.unwrap().record;
    assert_eq!(before.decision.held_read, []);
    for (order, item, shares) in [("o1", "one", 40.0), ("o2", "two", 90.0)] {
        place(&w, "ann", order, item, "none").await;
        confirm(&w, "ann", order, shares).await;
    }
    assert!(w.segments().await.contains(&("holders".into(), 1)));
    // 90 shares at 1.0 against 40 at 2.0.
    let dearest = w.decide("dearest", "ann").await.unwrap().record;
    assert_eq!(dearest.decision.choices[0].item, "two");
    assert_eq!(
        dearest.decision.choices[0].reads,
        [("held.value".to_owned(), Value::Int(9_000))]
    );
    let held = &dearest.decision.held_read;
    assert_eq!((held.len(), held[0].item.as_str()), (2, "one"));
    assert_eq!(
        held[0].reads,
        [("held.value".to_owned(), Value::Int(8_000))]
    );
    // `one` was bought today: redeeming it would cost the highest fee, so no more of it is offered.
    let offer = w.decide("offer", "ann").await.unwrap().record;
    let refused: Vec<_> = (offer.decision.refusals.iter())
        .map(|r| (r.rule.as_str(), r.count))
        .collect();
    assert_eq!(refused, [("fresh", 1)]);
    assert_eq!(offer.decision.choices[0].item, "two");
    w.env.pass(8 * DAY_US);
    let later = w.decide("offer", "ann").await.unwrap().record;
    assert_eq!(
        (later.decision.available, later.decision.refusals.len()),
        (2, 0)
    );
    for record in [&before, &dearest, &offer, &later] {
        explained(&w, record.request.decision).await;
    }
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linked_books_are_one_and_come_apart_again() {
    let w = World::new(FUNDS).await;
    for (who, order, shares) in [("ann", "o1", 10.0), ("anna", "o2", 30.0)] {
        place(&w, who, order, "one", "none").await;
        confirm(&w, who, order, shares).await;
    }
    w.engine.link("ann", "anna", "test").await.unwrap();
    w.settle().await;
    for who in ["ann", "anna"] {
        assert_eq!(w.tag(who, "book.funds.cost").await, Value::Int(20_000));
        assert_eq!(w.tag(who, "book.funds.holdings").await, Value::Int(1));
    }
    let linked = w.decide("dearest", "ann").await.unwrap().record;
    // 40 shares at 2.0.
    assert_eq!(linked.decision.held_read[0].reads[0].1, Value::Int(8_000));
    explained(&w, linked.request.decision).await;
    w.engine.unlink("anna", "test").await.unwrap();
    w.settle().await;
    assert_eq!(w.tag("ann", "book.funds.cost").await, Value::Int(10_000));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_declared_later_are_filled_from_history() {
    let with = |text: &str| plan(text);
    let bare = {
        let (head, rest) = FUNDS.split_once("orders:\n").unwrap();
        let (_, tail) = rest.split_once("segments:\n").unwrap();
        let tail = tail.replace(
            "  holders: book.funds.holdings > 0\n",
            "  nobody: \"false\"\n",
        );
        let tail = tail.replace("{order: order_id}", "customer");
        let tail = tail.replace(
            "{standard: held.shares, mean: 0, scale: 1, clip: 1000}",
            "{one_hot: item.key}",
        );
        let tail = tail.replace(
            "'held.stage == \"held\" && held.redemption_fee >= 0.015'",
            "\"false\"",
        );
        format!(
            "{head}segments:\n{}",
            tail.replace("score: held.value", "score: \"1.0\"")
        )
    };
    let mut w = World::new(&bare).await;
    place(&w, "ann", "o1", "one", "none").await;
    confirm(&w, "ann", "o1", 10.0).await;
    w.verify().await;
    w.engine
        .apply_scene(&with(FUNDS), &[], "test")
        .await
        .unwrap();
    w.settle().await;
    assert_eq!(w.tag("ann", "book.funds.cost").await, Value::Int(10_000));
    assert!(w.segments().await.contains(&("holders".into(), 1)));
    w.verify().await;
    // Another definition of the same orders: the book is folded anew, and gone when they are declared no more.
    let without = FUNDS.replace("    cancelled: {event: stopped, order: order_id}\n", "");
    w.engine
        .apply_scene(&with(&without), &[], "test")
        .await
        .unwrap();
    w.settle().await;
    assert_eq!(w.tag("ann", "book.funds.cost").await, Value::Int(10_000));
    w.verify().await;
    w.engine
        .apply_scene(&with(&bare), &[], "test")
        .await
        .unwrap();
    w.settle().await;
    w.verify().await;
    w.restart().await;
    w.verify().await;
}
