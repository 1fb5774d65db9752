//! What changes because time passes: segments flip, holds are voided, windows move, without an event.

use crate::support::{SHOP, World};
use luopan_engine::api::Raw;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US};
use std::time::Duration;

async fn until(w: &World, what: &str, mut reached: impl AsyncFnMut(&World) -> bool) {
    for _ in 0..600 {
        if reached(w).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_visit_for_ten_days_flips_without_an_event() {
    let w = World::new(SHOP).await;
    w.event("ann", "visit", &[]).await;
    w.event("ann", "visit", &[]).await;
    assert_eq!(
        w.segments().await[..2],
        [("active".into(), 1), ("silent".into(), 0)]
    );
    w.env.pass(10 * DAY_US + HOUR_US);
    until(&w, "silent", async |w| {
        w.segments().await[..2] == [("active".into(), 0), ("silent".into(), 1)]
    })
    .await;
    w.event("ann", "visit", &[]).await;
    assert_eq!(w.segments().await[1], ("silent".into(), 0));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_that_expires_gives_its_money_back_and_a_confirmed_one_does_not() {
    let w = World::new(SHOP).await;
    for name in ["ann", "bob", "cyd"] {
        w.event(
            name,
            "luopan.customer",
            &[("age", Raw::Int(30)), ("consent", Raw::Bool(true))],
        )
        .await;
    }
    let mut ids = Vec::new();
    for name in ["ann", "bob", "cyd"] {
        ids.push(
            w.decide("capped", name)
                .await
                .unwrap()
                .record
                .request
                .decision
                .to_string(),
        );
    }
    w.settle().await;
    let spent = async |w: &World| {
        let budgets = w.engine.stats().await.unwrap().budgets;
        budgets
            .into_iter()
            .find(|(n, _)| n == "shop/points/total")
            .unwrap()
            .1
    };
    assert_eq!(spent(&w).await, 3);
    let receipt = |id: &str, status: &'static str| {
        [
            ("decision_id", Raw::Text(id.to_owned().into())),
            ("status", Raw::Text(status.into())),
        ]
    };
    w.event("ann", "luopan.receipt", &receipt(&ids[0], "delivered"))
        .await;
    w.event("bob", "luopan.receipt", &receipt(&ids[1], "failed"))
        .await;
    assert_eq!(spent(&w).await, 2, "what failed is given back");
    w.env.pass(HOUR_US + 16 * MINUTE_US);
    until(&w, "the expired hold is voided", async |w| {
        spent(w).await == 1
    })
    .await;
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_overtakes_its_decision_counts() {
    let w = World::new(SHOP).await;
    for i in 0..40 {
        let set = [("age", Raw::Int(30)), ("consent", Raw::Bool(true))];
        w.ingest(&[Ok(w.incoming(&format!("c{i}"), "luopan.customer", &set))])
            .await;
    }
    w.settle().await;
    // The decision's event reaches the log through the outbox; the receipt is sent at once.
    for i in 0..40 {
        let customer = format!("c{i}");
        let id = w.decide("capped", &customer).await.unwrap();
        let id = id.record.request.decision.to_string();
        let status = ["delivered", "failed"][i % 2];
        w.ingest(&[Ok(w.incoming(
            &customer,
            "luopan.receipt",
            &[
                ("decision_id", Raw::Text(id.into())),
                ("status", Raw::Text(status.into())),
            ],
        ))])
        .await;
    }
    let spent = async |w: &World| {
        let budgets = w.engine.stats().await.unwrap().budgets;
        budgets
            .into_iter()
            .find(|(n, _)| n == "shop/points/total")
            .map(|(_, n)| n)
    };
    w.settle().await;
    assert_eq!(spent(&w).await, Some(20), "what failed is given back");
    w.env.pass(2 * HOUR_US);
    for i in 0..40 {
        w.event(&format!("c{i}"), "visit", &[]).await;
    }
    assert_eq!(spent(&w).await, Some(20), "what was delivered is not");
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_arrived_teaches_nothing() {
    let w = World::new(SHOP).await;
    let failed = w
        .decide("learned", "ann")
        .await
        .unwrap()
        .record
        .request
        .decision
        .to_string();
    w.decide("learned", "bob").await.unwrap();
    w.settle().await;
    let receipt = [
        ("decision_id", Raw::Text(failed.into())),
        ("status", Raw::Text("failed".into())),
    ];
    w.event("ann", "luopan.receipt", &receipt).await;
    w.env.pass(DAY_US + HOUR_US);
    until(&w, "bob's silence is learned", async |w| {
        w.engine.stats().await.unwrap().samples == 1
    })
    .await;
    w.settle().await;
    assert_eq!(
        w.engine.stats().await.unwrap().samples,
        1,
        "and ann's is not"
    );
    w.verify().await;
}
