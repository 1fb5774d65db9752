//! What an attacker of the laws tried: callers that hang up, receipts that come late or under another name, caps beyond the
//! ledger's length, links amid decisions, large inputs, forged events, rehearsals that meddle.

use crate::support::{World, plan};
use futures::FutureExt;
use luopan_engine::api::{EVENTS_PER_CALL_MAX, Incoming, Raw};
use luopan_engine::{Engine, Limits, Stores};
use luopan_kernel::event::Origin;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US};
use std::borrow::Cow;
use std::sync::Arc;

const SHOP: &str = r#"
scene: shop
zone: UTC
events:
  visit: {fields: {page: text}}
  buy: {fields: {decision_id: text}}
tags:
  visits: {event: visit, aggregate: count}
catalogues:
  things:
    attributes: {cost: integer}
    items:
      one: {cost: 1}
      two: {cost: 1}
  words:
    attributes: {cost: integer}
    items: {hello: {cost: 0}}
rewards:
  bought: {event: buy, join: {decision: decision_id}, value: "1.0", window: 1d, default: 0}
models:
  buys:
    kind: logistic
    scope: per_item
    reward: bought
    catalogue: things
    features: [intercept]
budgets:
  points: {limit: 140, period: total, rows: 4}
policies:
  spend:
    catalogue: things
    channel: app
    score: "1.0"
    exploration: greedy
    null_action: {name: nothing}
    budgets: [{budget: points, cost: item.cost}]
    valid_for: 1d
    receipts_within: 10m
  once:
    catalogue: words
    channel: mail
    score: "1.0"
    exploration: greedy
    null_action: {name: nothing}
    caps: [{name: once, limit: 1, window: lifetime, scope: policy}]
  talk:
    catalogue: words
    channel: feed
    score: "1.0"
    exploration: greedy
    null_action: {name: nothing}
  learn:
    catalogue: things
    channel: web
    score: {model: buys}
    exploration: {epsilon_greedy: 0.5}
    null_action: {name: nothing}
    rewards: [bought]
"#;

async fn spent(w: &World) -> i64 {
    let stats = w.engine.stats().await.unwrap();
    stats.budgets.iter().map(|(_, n)| n).sum()
}

async fn receipt(w: &World, customer: &str, decision: &str, status: &'static str) {
    let properties = [
        ("decision_id", Raw::Text(decision.to_owned().into())),
        ("status", Raw::Text(status.into())),
    ];
    w.event(customer, "luopan.receipt", &properties).await;
}

async fn until(w: &World, what: &str, mut reached: impl AsyncFnMut(&World) -> bool) {
    for _ in 0..600 {
        if reached(w).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_long_messages_of_one_partition_are_both_folded() {
    let w = World::new(SHOP).await;
    let page = "x".repeat(300);
    let inputs: Vec<_> = (0..2_000)
        .map(|_| Ok(w.incoming("ann", "visit", &[("page", Raw::Text(page.clone().into()))])))
        .collect();
    w.ingest(&inputs).await;
    w.settle().await;
    assert_eq!(
        w.tag("ann", "visits").await,
        luopan_kernel::value::Value::Int(2_000)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_items_than_one_read_holds_are_imported() {
    let w = World::new(SHOP).await;
    let items: Vec<_> = (0..20_000)
        .map(|i| {
            let name = format!("thing-{i:05}-{}", "n".repeat(40));
            (name, vec![("cost".to_owned(), Raw::Int(1))])
        })
        .collect();
    for some in items.chunks(EVENTS_PER_CALL_MAX) {
        let receipt = w.engine.import_items("shop", "things", some).await.unwrap();
        assert_eq!(receipt.quarantined, 0);
    }
    w.settle().await;
    let decided = w.decide("spend", "ann").await.unwrap();
    assert_eq!(decided.record.decision.candidates, 20_002);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_leaves_nothing_behind() {
    let w = World::new(SHOP).await;
    for n in 0..60 {
        let (a, b) = (format!("a{n}"), format!("b{n}"));
        w.engine
            .ingest("shop", Origin::Live, &[Ok(w.incoming(&a, "visit", &[]))])
            .await
            .unwrap();
        // Asked once or a few times, then dropped wherever they are.
        let link = w.engine.link(&a, &b, "test").map(|done| done.is_ok());
        let decide = w.engine.decide(w.request("spend", &a));
        let mut both = Box::pin(futures::future::join(link, decide));
        for _ in 0..n % 4 {
            if (&mut both).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    for n in 0..60 {
        w.event(&format!("a{n}"), "visit", &[]).await;
        w.event(&format!("b{n}"), "visit", &[]).await;
    }
    w.settle().await;
    let stats = w.engine.stats().await.unwrap();
    assert_eq!((stats.outbox, stats.fold_lag), (0, 0));
    w.verify().await;
    w.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_customer_cannot_spend_a_budget_again_and_again() {
    let w = World::new(SHOP).await;
    let mut chosen = 0;
    for n in 0..400 {
        let answer = w.decide("spend", "ann").await.unwrap();
        chosen += i64::from(!answer.record.decision.null);
        // How many are open is known as far as decisions are folded.
        if n % 10 == 9 {
            w.settle().await;
        }
    }
    w.settle().await;
    assert!(chosen <= 140, "{chosen} sends of a budget of 140");
    assert_eq!(spent(&w).await, chosen);
    // Whoever has so many sends open gets no more, though there is money left.
    assert!((128..140).contains(&chosen), "{chosen}");
    let last = w.decide("spend", "ann").await.unwrap().record;
    assert!(last.withheld.unwrap().contains("not confirmed"));
    assert!(!w.decide("spend", "bob").await.unwrap().record.decision.null);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_paid_however_late_the_receipt_comes() {
    let w = World::new(SHOP).await;
    let mut decisions = Vec::new();
    for name in ["ann", "bob", "cyd"] {
        let record = w.decide("spend", name).await.unwrap().record;
        decisions.push(record.request.decision.to_string());
    }
    w.settle().await;
    assert_eq!(spent(&w).await, 3);
    // Within the time for receipts nothing is given back.
    w.env.pass(DAY_US + 5 * MINUTE_US);
    receipt(&w, "ann", &decisions[0], "delivered").await;
    assert_eq!(spent(&w).await, 3);
    w.env.pass(HOUR_US);
    until(&w, "the other two are given back", async |w| {
        spent(w).await == 1
    })
    .await;
    // Later still it is taken again, once.
    receipt(&w, "bob", &decisions[1], "delivered").await;
    receipt(&w, "bob", &decisions[1], "delivered").await;
    receipt(&w, "cyd", &decisions[2], "failed").await;
    assert_eq!(spent(&w).await, 2);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_counts_under_whatever_name_it_comes() {
    let w = World::new(SHOP).await;
    w.event("phone", "visit", &[]).await;
    w.engine.link("phone", "card", "test").await.unwrap();
    let kept = w.decide("spend", "phone").await.unwrap().record;
    let failed = w.decide("spend", "phone").await.unwrap().record;
    w.settle().await;
    receipt(&w, "card", &kept.request.decision.to_string(), "delivered").await;
    receipt(&w, "card", &failed.request.decision.to_string(), "failed").await;
    w.settle().await;
    assert_eq!(spent(&w).await, 1);
    w.env.pass(2 * DAY_US);
    w.event("phone", "visit", &[]).await;
    assert_eq!(spent(&w).await, 1, "what was delivered stays paid");
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lifetime_cap_outlasts_a_thousand_other_contacts() {
    let w = World::new(SHOP).await;
    assert!(!w.decide("once", "ann").await.unwrap().record.decision.null);
    for _ in 0..1_100 {
        let talk = w.decide("talk", "ann").await.unwrap();
        assert!(!talk.record.decision.null);
        w.env.pass(1_000);
    }
    assert!(w.decide("once", "ann").await.unwrap().record.decision.null);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_amid_decisions_keeps_the_cap() {
    for _ in 0..20 {
        let w = World::new(SHOP).await;
        w.event("a", "visit", &[]).await;
        w.event("b", "visit", &[]).await;
        let asked = |name: &str| w.engine.decide(w.request("once", name));
        let (one, linked, other) =
            futures::join!(asked("b"), w.engine.link("a", "b", "test"), asked("a"));
        linked.unwrap();
        let after = asked("a").await.unwrap().record;
        // Each may have had its own before they were one; then nothing more.
        let before = [one.unwrap().record, other.unwrap().record];
        if before.iter().any(|r| !r.decision.null) {
            assert!(after.decision.null);
        }
        let together = before.iter().filter(|r| r.identifiers.len() == 2);
        let given = together.filter(|r| !r.decision.null).count();
        assert!(given <= 1);
        w.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_may_bear_the_id_of_its_decision() {
    let w = World::new(SHOP).await;
    let decision = w
        .decide("learn", "ann")
        .await
        .unwrap()
        .record
        .request
        .decision;
    let outcome = Incoming {
        id: Cow::Owned(decision.to_string()),
        ..w.incoming(
            "ann",
            "buy",
            &[("decision_id", Raw::Text(decision.to_string().into()))],
        )
    };
    w.ingest(&[Ok(outcome)]).await;
    w.settle().await;
    let stats = w.engine.stats().await.unwrap();
    assert_eq!((stats.rewards, stats.events_duplicate), (1, 0));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_the_system_are_not_taken_from_senders() {
    let w = World::new(SHOP).await;
    for kind in ["luopan.decision", "luopan.outcome"] {
        let receipt = w.event("ann", kind, &[]).await;
        assert_eq!((receipt.accepted, receipt.quarantined), (0, 1));
    }
    let held = w.engine.quarantine(None, None, 10).await.unwrap();
    assert!(held.iter().all(|q| q.code == "reserved_event_type"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_answers_for_nothing_that_is_live() {
    let w = World::new(SHOP).await;
    let learned = w
        .decide("learn", "ann")
        .await
        .unwrap()
        .record
        .request
        .decision;
    let paid = w
        .decide("spend", "ann")
        .await
        .unwrap()
        .record
        .request
        .decision;
    w.settle().await;
    let id = |d: luopan_kernel::id::DecisionId| ("decision_id", Raw::Text(d.to_string().into()));
    let failed = ("status", Raw::Text("failed".into()));
    let inputs = [
        Ok(w.incoming("ann", "buy", &[id(learned)])),
        Ok(w.incoming("ann", "luopan.receipt", &[id(paid), failed])),
    ];
    for origin in [Origin::DryRun, Origin::Simulated] {
        w.engine.ingest("shop", origin, &inputs).await.unwrap();
        w.settle().await;
    }
    let stats = w.engine.stats().await.unwrap();
    assert_eq!((stats.rewards, spent(&w).await), (0, 1));
    // History that is brought in does answer.
    w.event("ann", "visit", &[]).await;
    let late = [Ok(w.incoming("ann", "buy", &[id(learned)]))];
    w.engine
        .ingest("shop", Origin::Import, &late)
        .await
        .unwrap();
    w.settle().await;
    assert_eq!(w.engine.stats().await.unwrap().rewards, 1);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_catalogue_beside_it_takes_nothing_away() {
    let w = World::new(SHOP).await;
    let items: Vec<_> = (0..10)
        .map(|i| (format!("new-{i}"), vec![("cost".to_owned(), Raw::Int(1))]))
        .collect();
    w.engine
        .import_items("shop", "things", &items)
        .await
        .unwrap();
    w.settle().await;
    let before = w.decide("spend", "ann").await.unwrap().record.decision;
    assert_eq!(before.candidates, 12);
    let more = SHOP.replace(
        "catalogues:\n",
        "catalogues:\n  aaa: {attributes: {cost: integer}, items: {x: {cost: 1}}}\n",
    );
    w.engine
        .apply_scene(&plan(&more), &[], "test")
        .await
        .unwrap();
    w.settle().await;
    let after = w.decide("spend", "ann").await.unwrap().record.decision;
    assert_eq!(after.candidates, 12);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scene_whose_profiles_or_models_could_outgrow_a_row_is_refused() {
    let w = World::new(SHOP).await;
    let mut tags = String::from("tags:\n");
    for n in 0..20 {
        tags += &format!("  t{n}: {{event: visit, aggregate: last, of: page, window: 64d}}\n");
    }
    let wide = SHOP.replace("tags:\n", &tags);
    let refused = w.engine.apply_scene(&plan(&wide), &[], "test").await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, "profile_too_large");
    assert!(refused.message.contains("`t0`"), "{}", refused.message);
    assert_eq!(w.engine.scenes()[0].version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wider_or_narrower_cap_leaves_verify_content() {
    let w = World::new(SHOP).await;
    for name in ["ann", "bob"] {
        w.decide("once", name).await.unwrap();
        w.decide("talk", name).await.unwrap();
    }
    let narrow = SHOP.replace("window: lifetime", "window: 1m");
    w.engine
        .apply_scene(&plan(&narrow), &[], "test")
        .await
        .unwrap();
    w.verify().await;
    w.env.pass(HOUR_US);
    w.decide("once", "ann").await.unwrap();
    w.verify().await;
    w.engine
        .apply_scene(&plan(SHOP), &[], "test")
        .await
        .unwrap();
    w.verify().await;
    assert!(w.decide("once", "ann").await.unwrap().record.decision.null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_tells_of_a_lost_name_and_a_lost_item() {
    use luopan_store::{Commit, Durability, Table, Write};
    let w = World::new(SHOP).await;
    w.event("ann", "visit", &[]).await;
    let item = ("new".to_owned(), vec![("cost".to_owned(), Raw::Int(1))]);
    w.engine
        .import_items("shop", "things", &[item])
        .await
        .unwrap();
    w.verify().await;
    let environment = luopan_kernel::id::PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
    let found = w.stores.state.scan(Table::Item, environment, &[], None, 10);
    let key = luopan_store::RowKey {
        table: Table::Item,
        partition: environment,
        key: found.await.unwrap()[0].key.clone(),
    };
    let mut commit = Commit::new(Durability::Durable);
    commit.writes.push(Write { key, value: None });
    assert!(w.stores.state.commit(vec![commit]).await.unwrap()[0].is_ok());
    let id = w.engine.customer("shop", "ann").await.unwrap().customer;
    let report = w.engine.verify().await.unwrap();
    let told = report.differences.join("\n");
    // The row, and the snapshot in memory that still has the item.
    assert_eq!(report.differences_count, 2, "{told}");
    assert!(told.contains("is missing in state"), "{told}");
    // A key store that lost its names, and one that was told to forget them.
    let bare = Stores {
        keys: Arc::new(luopan_store::memory::MemoryKeys::default()),
        ..w.stores.clone()
    };
    let keys = bare.keys.clone();
    let engine = Engine::open(bare, w.env.clone(), Limits::default())
        .await
        .unwrap();
    let lost = engine.verify().await.unwrap().differences.join("\n");
    assert!(lost.contains("is not in the key store"), "{lost}");
    let tenant = luopan_kernel::id::DEFAULT_TENANT;
    keys.erase(tenant, &[id]).await.unwrap();
    let erased = engine.verify().await.unwrap().differences.join("\n");
    assert!(!erased.contains("is not in the key store"), "{erased}");
}
