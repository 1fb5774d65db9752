//! Event, fold, decision, outcome, learning, explanation and verification, once around.

use crate::support::{SHOP, World};
use luopan_engine::api::Raw;
use luopan_kernel::time::{DAY_US, HOUR_US};
use luopan_kernel::value::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_around() {
    let w = World::new(SHOP).await;
    for _ in 0..3 {
        w.event(
            "ann",
            "visit",
            &[("page", Raw::Text("home".into())), ("seconds", Raw::Int(5))],
        )
        .await;
    }
    assert_eq!(w.tag("ann", "visits_7d").await, Value::Int(3));
    assert_eq!(w.tag("ann", "seconds").await, Value::Int(15));
    let answer = w.decide("learned", "ann").await.unwrap();
    let id = answer.record.request.decision;
    let total: f64 = answer.record.decision.distribution.total();
    assert!((total - 1.0).abs() < 1e-12);
    w.event(
        "ann",
        "buy",
        &[
            ("amount", Raw::Int(1250)),
            ("decision_id", Raw::Text(id.to_string().into())),
        ],
    )
    .await;
    let stats = w.engine.stats().await.unwrap();
    assert_eq!((stats.rewards, stats.samples), (1, 1));
    assert_eq!(stats.models[0].1, 1);
    assert_eq!(
        w.segments().await,
        vec![
            ("active".into(), 1),
            ("silent".into(), 0),
            ("buyers".into(), 1)
        ]
    );
    let explained = w.engine.explain(id).await.unwrap();
    assert_eq!(explained.not_recomputed, None);
    assert_eq!(explained.differences, Vec::<String>::new());
    let report = w.verify().await;
    assert_eq!(report.decisions, 1);
    assert_eq!(report.samples, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_an_answer_when_the_window_ends() {
    let w = World::new(SHOP).await;
    w.decide("learned", "bob").await.unwrap();
    w.settle().await;
    assert_eq!(w.engine.stats().await.unwrap().samples, 0);
    w.env.pass(DAY_US + HOUR_US);
    for _ in 0..400 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        w.settle().await;
        if w.engine.stats().await.unwrap().samples == 1 {
            w.verify().await;
            return;
        }
    }
    panic!("the reward was never settled");
}

/// A model that heard of successes at once and of failures when the window ends would hold what it began to choose a window ago
/// for better than it is. A reward of the greatest outcome tells it of both at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_greatest_outcome_is_the_reward_when_the_window_ends() {
    let mut pack = SHOP.to_owned();
    for (was, is) in [
        (
            "value: \"1.0\", window: 1d",
            "value: double(amount) / 1000.0, window: 1d, combine: max",
        ),
        (
            "kind: logistic\n    scope: per_item",
            "kind: linear\n    noise_variance: 1\n    prior_variance: 1\n    reward_bounds: [0, 10]\n    scope: per_item",
        ),
        (
            "[intercept, {bins: visits_7d, edges: [1, 3]}]",
            "[intercept]",
        ),
    ] {
        assert!(pack.contains(was), "{was}");
        pack = pack.replace(was, is);
    }
    let w = World::new(&pack).await;
    let answer = w.decide("learned", "bob").await.unwrap();
    let id = answer.record.request.decision.to_string();
    let offered = (answer.record.decision.choices.first()).map(|c| c.item.clone());
    for amount in [250, 750, 500] {
        let told = [
            ("amount", Raw::Int(amount)),
            ("decision_id", Raw::Text(id.clone().into())),
        ];
        w.event("bob", "buy", &told).await;
    }
    assert_eq!(w.engine.stats().await.unwrap().samples, 0);
    w.env.pass(DAY_US + HOUR_US);
    for _ in 0..400 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        w.settle().await;
        if w.engine.stats().await.unwrap().samples == 1 {
            break;
        }
    }
    let stats = w.engine.stats().await.unwrap();
    assert_eq!((stats.rewards, stats.samples), (1, 1));
    // One sample of 0.75 between a prior of variance 1 around 0 and noise of variance 1.
    let again = w.decide("learned", "bob").await.unwrap();
    let trace = &again.record.decision.trace;
    let learned = trace.iter().find(|c| c.item == offered).unwrap();
    assert!(
        (learned.score.unwrap() - 0.375).abs() < 1e-9,
        "{:?}",
        learned.score
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_overtakes_its_decision_counts() {
    let w = World::new(SHOP).await;
    // The decision's event reaches the log through the outbox; the outcome is sent at once.
    for i in 0..50 {
        let customer = format!("c{i}");
        let id = w
            .decide("learned", &customer)
            .await
            .unwrap()
            .record
            .request
            .decision
            .to_string();
        w.ingest(&[Ok(w.incoming(
            &customer,
            "buy",
            &[
                ("amount", Raw::Int(1)),
                ("decision_id", Raw::Text(id.into())),
            ],
        ))])
        .await;
    }
    w.settle().await;
    assert_eq!(w.engine.stats().await.unwrap().samples, 50);
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_and_repeats_nothing() {
    let mut w = World::new(SHOP).await;
    for i in 0..40 {
        let customer = format!("c{}", i % 7);
        w.ingest(&[Ok(w.incoming(
            &customer,
            "visit",
            &[("seconds", Raw::Int(i))],
        ))])
        .await;
        w.decide("learned", &customer).await.unwrap();
        if i % 10 == 9 {
            w.restart().await;
        }
    }
    w.settle().await;
    let visits: i64 = {
        let mut sum = 0;
        for i in 0..7 {
            match w.tag(&format!("c{i}"), "visits_7d").await {
                Value::Int(n) => sum += n,
                other => panic!("{other:?}"),
            }
        }
        sum
    };
    assert_eq!(visits, 40);
    assert_eq!(w.verify().await.decisions, 40);
}
