//! Laws under concurrency: a cap is never exceeded, a budget never overspent, a decision key never used twice, and what
//! loses a race starts again or is refused clearly.

use crate::support::{SHOP, World};
use luopan_engine::api::{DecideRequest, Raw};
use luopan_engine::{Refusal, RefusalKind};
use std::sync::Arc;

async fn hundred(
    w: &Arc<World>,
    make: impl Fn(u32) -> DecideRequest,
) -> Vec<Result<Option<String>, Refusal>> {
    let mut tasks = Vec::new();
    for i in 0..100 {
        let (w, request) = (w.clone(), make(i));
        tasks.push(tokio::spawn(async move {
            let answer = w.engine.decide(request).await?;
            Ok(answer
                .record
                .decision
                .choices
                .first()
                .map(|c| c.item.clone()))
        }));
    }
    let mut out = Vec::new();
    for t in tasks {
        out.push(t.await.unwrap());
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_decisions_against_a_cap_of_one() {
    let w = Arc::new(World::new(SHOP).await);
    w.event(
        "ann",
        "luopan.customer",
        &[("age", Raw::Int(30)), ("consent", Raw::Bool(true))],
    )
    .await;
    let answers = hundred(&w, |_| w.request("capped", "ann")).await;
    let won = answers.iter().filter(|a| matches!(a, Ok(Some(_)))).count();
    assert_eq!(won, 1, "exactly one contact: {answers:?}");
    assert!(
        answers.iter().all(Result::is_ok),
        "the others are the null action"
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_customers_for_the_last_unit_of_a_budget() {
    let w = Arc::new(World::new(SHOP).await);
    let answers = hundred(&w, |i| w.request("last_unit", &format!("c{i}"))).await;
    let won = answers.iter().filter(|a| matches!(a, Ok(Some(_)))).count();
    assert_eq!(won, 1, "exactly one is paid: {answers:?}");
    let spent = w.engine.stats().await.unwrap().budgets;
    assert!(
        spent.contains(&("shop/single/total".into(), 1)),
        "{spent:?}"
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_is_used_up_exactly_and_never_over() {
    let w = Arc::new(World::new(SHOP).await);
    let inputs: Vec<_> = (0..200)
        .map(|i| {
            let set = [("age", Raw::Int(30)), ("consent", Raw::Bool(true))];
            Ok(w.incoming(&format!("c{i}"), "luopan.customer", &set))
        })
        .collect();
    w.ingest(&inputs).await;
    w.settle().await;
    let mut won = 0;
    for round in 0..2 {
        let answers = hundred(&w, |i| {
            w.request("capped", &format!("c{}", round * 100 + i))
        })
        .await;
        won += answers.iter().filter(|a| matches!(a, Ok(Some(_)))).count();
    }
    assert_eq!(won, 100, "one hundred coupons of one point each");
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_decision_key_gives_the_first_decision_again_or_a_conflict() {
    let w = Arc::new(World::new(SHOP).await);
    let with_key = |body: u8| DecideRequest {
        idempotency_key: Some("k1".into()),
        body_hash: [body; 32],
        ..w.request("learned", "ann")
    };
    let answers = futures::future::join_all((0..50).map(|_| w.engine.decide(with_key(1)))).await;
    let ids: std::collections::BTreeSet<_> = answers
        .iter()
        .map(|a| a.as_ref().unwrap().record.request.decision)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(
        answers
            .iter()
            .filter(|a| !a.as_ref().unwrap().repeated)
            .count(),
        1
    );
    let other = w.engine.decide(with_key(2)).await.unwrap_err();
    assert_eq!(
        (other.kind, other.code),
        (RefusalKind::Conflict, "idempotency_conflict")
    );
    assert_eq!(w.verify().await.decisions, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_origins_spend_on_ledgers_of_their_own() {
    let w = World::new(SHOP).await;
    let rehearsal = DecideRequest {
        origin: luopan_kernel::event::Origin::DryRun,
        ..w.request("last_unit", "ann")
    };
    assert!(
        !w.engine
            .decide(rehearsal)
            .await
            .unwrap()
            .record
            .decision
            .null
    );
    assert!(
        !w.decide("last_unit", "bob")
            .await
            .unwrap()
            .record
            .decision
            .null,
        "the real unit is still there"
    );
    assert!(
        w.decide("last_unit", "cyd")
            .await
            .unwrap()
            .record
            .decision
            .null
    );
    w.verify().await;
}
