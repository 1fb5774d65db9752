//! Bad input: each is refused or quarantined with its reason, and the rest of the batch goes through.

use crate::support::{SHOP, World, plan};
use luopan_engine::RefusalKind;
use luopan_engine::api::{Incoming, Outcome, Raw, Unreadable};
use luopan_kernel::event::Origin;
use luopan_kernel::time::DAY_US;
use luopan_kernel::value::Value;
use std::borrow::Cow;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_input_has_its_reason_and_the_rest_goes_through() {
    let w = World::new(SHOP).await;
    let good = w.incoming("ann", "visit", &[("seconds", Raw::Int(1))]);
    let with = |f: &dyn Fn(&mut Incoming<'static>)| {
        let mut i = w.incoming("ann", "visit", &[]);
        f(&mut i);
        Ok(i)
    };
    let cases: Vec<(_, &str)> = vec![
        (
            Err(Unreadable {
                raw: Cow::Borrowed("{"),
                code: "malformed_json",
                reason: "not JSON".into(),
            }),
            "malformed_json",
        ),
        (with(&|i| i.kind = "visitt".into()), "unknown_event_type"),
        (
            with(&|i| i.properties = vec![("secnds".into(), Raw::Int(1))]),
            "unknown_property",
        ),
        (
            with(&|i| i.properties = vec![("seconds".into(), Raw::Text("x".into()))]),
            "wrong_type",
        ),
        (
            with(&|i| i.properties = vec![("page".into(), Raw::Compound("array"))]),
            "wrong_type",
        ),
        (
            with(&|i| i.properties = vec![("page".into(), Raw::Text("x".repeat(5000).into()))]),
            "text_too_long",
        ),
        (
            with(&|i| {
                i.properties = vec![
                    ("seconds".into(), Raw::Int(1)),
                    ("seconds".into(), Raw::Int(2)),
                ]
            }),
            "duplicate_property",
        ),
        (with(&|i| i.kind = "buy".into()), "missing_property"),
        (with(&|i| i.id = "".into()), "bad_identifier"),
        (
            with(&|i| i.customer = "x".repeat(129).into()),
            "bad_identifier",
        ),
        (
            with(&|i| i.raw = "x".repeat(2 << 20).into()),
            "event_too_large",
        ),
        (
            with(&|i| i.occurred_at = i.occurred_at.map(|t| t.plus(3650 * DAY_US))),
            "in_the_future",
        ),
        (
            with(&|i| i.occurred_at = i.occurred_at.map(|t| t.plus(-3650 * DAY_US))),
            "too_old",
        ),
    ];
    let mut inputs: Vec<_> = cases.iter().map(|(i, _)| i.clone()).collect();
    inputs.push(Ok(good));
    let receipt = w.ingest(&inputs).await;
    assert_eq!(
        (receipt.accepted, receipt.quarantined),
        (1, cases.len() as u64)
    );
    for ((_, code), outcome) in cases.iter().zip(&receipt.outcomes) {
        match outcome {
            Outcome::Quarantined {
                code: found,
                reason,
                ..
            } => {
                assert_eq!(found, code);
                assert!(reason.len() > 5, "{code}: {reason}");
            }
            other => panic!("{code}: {other:?}"),
        }
    }
    let kept = w.engine.quarantine(Some("shop"), None, 100).await.unwrap();
    assert_eq!(kept.len(), cases.len());
    assert!(
        kept.iter()
            .any(|q| q.reason.contains("nearest known name is `visit`"))
    );
    w.settle().await;
    assert_eq!(w.tag("ann", "visits_7d").await, Value::Int(1));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_quarantine_holds_goes_through_after_the_scene_is_mended() {
    let w = World::new(SHOP).await;
    let mut event = w.incoming("ann", "tap", &[]);
    event.raw = "tap of ann".into();
    let receipt = w.ingest(&[Ok(event.clone())]).await;
    assert_eq!(receipt.quarantined, 1);
    let id = w.engine.quarantine(None, None, 10).await.unwrap()[0]
        .id
        .clone();
    let mended = SHOP.replace("  dismiss:", "  tap: {}\n  dismiss:");
    w.engine
        .apply_scene(&plan(&mended), &[], "test")
        .await
        .unwrap();
    let receipt = w
        .engine
        .retry_quarantine(&[id], &move |raw| {
            assert_eq!(raw, "tap of ann");
            Ok(Incoming {
                raw: Cow::Borrowed(raw),
                ..event.clone()
            })
        })
        .await
        .unwrap();
    assert_eq!((receipt.accepted, receipt.quarantined), (1, 0));
    assert!(
        w.engine
            .quarantine(None, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_twice_is_folded_once() {
    let w = World::new(SHOP).await;
    let event = w.incoming("ann", "visit", &[("seconds", Raw::Int(7))]);
    let receipt = w.ingest(&[Ok(event.clone()), Ok(event.clone())]).await;
    w.settle().await;
    assert_eq!(w.engine.duplicates(&receipt), 1);
    for _ in 0..3 {
        w.env.pass(DAY_US);
        let again = w.ingest(&[Ok(event.clone())]).await;
        w.settle().await;
        assert_eq!(w.engine.duplicates(&again), 1);
    }
    assert_eq!(w.tag("ann", "seconds").await, Value::Int(7));
    // The same id of another customer is another event.
    w.ingest(&[Ok(Incoming {
        customer: "bob".into(),
        ..event
    })])
    .await;
    w.settle().await;
    assert_eq!(w.tag("bob", "seconds").await, Value::Int(7));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_identifier_spills_its_event_ids_and_still_folds_each_once() {
    let w = World::new(SHOP).await;
    let events: Vec<_> = (0..1_500)
        .map(|_| Ok(w.incoming("robot", "visit", &[("seconds", Raw::Int(1))])))
        .collect();
    w.ingest(&events).await;
    w.settle().await;
    let again = w.ingest(&events).await;
    w.settle().await;
    assert_eq!(w.engine.duplicates(&again), 1_500);
    assert_eq!(w.tag("robot", "seconds").await, Value::Int(1_500));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_names_are_refused_with_what_there_is() {
    let w = World::new(SHOP).await;
    let e = w
        .engine
        .ingest("shopp", Origin::Live, &[])
        .await
        .unwrap_err();
    assert_eq!((e.kind, e.code), (RefusalKind::NotFound, "unknown_scene"));
    assert!(e.message.contains("`shop`"), "{e}");
    let e = w.decide("lerned", "ann").await.unwrap_err();
    assert_eq!(e.code, "unknown_policy");
    assert!(e.message.contains("`learned`"), "{e}");
    let e = w.engine.customer("shop", "nobody").await.unwrap_err();
    assert_eq!(e.code, "unknown_customer");
    // A customer never seen is decided for all the same: nothing is known, so rules that need to know do not pass.
    let answer = w.decide("capped", "stranger").await.unwrap();
    assert!(answer.record.decision.null);
    assert!(
        answer
            .record
            .decision
            .refusals
            .iter()
            .any(|r| r.rule == "adult" && r.unknown == 1)
    );
    let mut request = w.request("learned", "ann");
    request.context = vec![("page".into(), Raw::Text("x".into()))];
    assert_eq!(
        w.engine.decide(request).await.unwrap_err().code,
        "unknown_context"
    );
    let mut request = w.request("learned", "ann");
    request.at_least = "3:1000000".parse().unwrap();
    request.wait_us = 0;
    assert_eq!(w.engine.decide(request).await.unwrap_err().code, "not_yet");
}
