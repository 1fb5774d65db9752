//! Silence is an answer of those who were reached, and of nobody else.

use crate::support::{SHOP, World};
use luopan_engine::api::{DecideRequest, Raw};
use luopan_kernel::event::Origin;
use luopan_kernel::time::{DAY_US, HOUR_US};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_reached_the_customer_teaches_nothing() {
    let w = World::new(SHOP).await;
    let mut ids = Vec::new();
    for name in ["ann", "bob"] {
        ids.push(
            w.decide("learned", name)
                .await
                .unwrap()
                .record
                .request
                .decision
                .to_string(),
        );
    }
    let rehearsal = DecideRequest {
        origin: Origin::DryRun,
        ..w.request("learned", "cyd")
    };
    w.engine.decide(rehearsal).await.unwrap();
    w.settle().await;
    for (name, id, status) in [("ann", &ids[0], "delivered"), ("bob", &ids[1], "failed")] {
        let properties = [
            ("decision_id", Raw::Text(id.clone().into())),
            ("status", Raw::Text(status.into())),
        ];
        w.event(name, "luopan.receipt", &properties).await;
    }
    w.env.pass(DAY_US + HOUR_US);
    for name in ["ann", "bob", "cyd"] {
        w.event(name, "visit", &[]).await;
    }
    let samples = async |w: &World| w.engine.stats().await.unwrap().models[0].1;
    for _ in 0..600 {
        if samples(&w).await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    w.settle().await;
    assert_eq!(samples(&w).await, 1, "ann's silence alone is an answer");
    w.verify().await;
}
