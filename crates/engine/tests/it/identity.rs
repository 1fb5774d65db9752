//! Links and un-links are exact: a customer is the merge of its identifiers, caps hold over all of them, and un-linking
//! gives back what each had.

use crate::support::{SHOP, World};
use luopan_engine::api::Raw;
use luopan_kernel::time::HOUR_US;
use luopan_kernel::value::Value;
use proptest::prelude::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_is_the_merge_of_its_identifiers() {
    let w = World::new(SHOP).await;
    w.event("phone", "visit", &[("seconds", Raw::Int(3))]).await;
    w.event("card", "visit", &[("seconds", Raw::Int(4))]).await;
    assert_eq!(w.segments().await[0], ("active".into(), 0));
    w.engine.link("phone", "card", "test").await.unwrap();
    w.settle().await;
    for name in ["phone", "card"] {
        assert_eq!(w.tag(name, "seconds").await, Value::Int(7));
        assert_eq!(w.tag(name, "visits_7d").await, Value::Int(2));
    }
    assert_eq!(
        w.segments().await[0],
        ("active".into(), 1),
        "two visits together"
    );
    w.verify().await;
    w.engine.unlink("card", "test").await.unwrap();
    w.settle().await;
    assert_eq!(w.tag("phone", "seconds").await, Value::Int(3));
    assert_eq!(w.tag("card", "seconds").await, Value::Int(4));
    assert_eq!(w.segments().await[0], ("active".into(), 0));
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_holds_over_linked_identifiers() {
    let w = World::new(SHOP).await;
    for name in ["phone", "card"] {
        w.event(
            name,
            "luopan.customer",
            &[("age", Raw::Int(30)), ("consent", Raw::Bool(true))],
        )
        .await;
    }
    w.engine.link("phone", "card", "test").await.unwrap();
    assert!(
        !w.decide("capped", "phone")
            .await
            .unwrap()
            .record
            .decision
            .null
    );
    assert!(
        w.decide("capped", "card")
            .await
            .unwrap()
            .record
            .decision
            .null,
        "the other identifier used the cap"
    );
    w.engine.unlink("card", "test").await.unwrap();
    assert!(
        !w.decide("capped", "card")
            .await
            .unwrap()
            .record
            .decision
            .null,
        "alone it has a cap of its own"
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_on_another_identifier_reaches_the_decision() {
    let w = World::new(SHOP).await;
    w.event("phone", "visit", &[]).await;
    w.event("card", "visit", &[]).await;
    w.engine.link("phone", "card", "test").await.unwrap();
    w.settle().await;
    let id = w
        .decide("learned", "phone")
        .await
        .unwrap()
        .record
        .request
        .decision
        .to_string();
    w.settle().await;
    w.event(
        "card",
        "buy",
        &[
            ("amount", Raw::Int(5)),
            ("decision_id", Raw::Text(id.into())),
        ],
    )
    .await;
    w.settle().await;
    assert_eq!(w.engine.stats().await.unwrap().samples, 1);
    w.verify().await;
}

/// A step of a random history.
#[derive(Debug, Clone)]
enum Do {
    Visit(u8),
    Buy(u8),
    Link(u8, u8),
    Unlink(u8),
    Pass(u8),
    Decide(u8),
}

fn any_step() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => (0u8..6).prop_map(Do::Visit),
        2 => (0u8..6).prop_map(Do::Buy),
        2 => (0u8..6, 0u8..6).prop_map(|(a, b)| Do::Link(a, b)),
        1 => (0u8..6).prop_map(Do::Unlink),
        2 => (1u8..60).prop_map(Do::Pass),
        1 => (0u8..6).prop_map(Do::Decide),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens in whatever order, State is what replaying the log gives, segments are what their rules say of
    /// the merged profiles, and no cap is exceeded over linked identifiers.
    #[test]
    fn random_histories_replay_to_the_same_state(steps in proptest::collection::vec(any_step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let w = World::new(SHOP).await;
            let name = |i: &u8| format!("i{i}");
            for step in &steps {
                match step {
                    Do::Visit(i) => {
                        w.ingest(&[Ok(w.incoming(&name(i), "visit", &[("seconds", Raw::Int(i64::from(*i)))]))]).await;
                    }
                    Do::Buy(i) => {
                        w.ingest(&[Ok(w.incoming(&name(i), "buy", &[("amount", Raw::Int(100))]))]).await;
                    }
                    Do::Link(a, b) => w.engine.link(&name(a), &name(b), "test").await.unwrap(),
                    // Un-linking who is linked to nobody is refused, and changes nothing.
                    Do::Unlink(i) => drop(w.engine.unlink(&name(i), "test").await),
                    Do::Pass(h) => w.env.pass(i64::from(*h) * HOUR_US),
                    Do::Decide(i) => drop(w.decide("learned", &name(i)).await.unwrap()),
                }
            }
            let report = {
                w.settle().await;
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                w.verify().await
            };
            assert!(report.entries > 0);
            // The counts are those of a recompute over all customers.
            for (segment, rule) in [("active", "visits_7d >= 2"), ("buyers", "spent > money(\"0\", \"CNY\")")] {
                let plan = w.engine.plan("shop").unwrap();
                let expr = plan.segments.iter().find(|s| s.name == segment).unwrap().rule.expr.clone();
                let counted = w.engine.count_rule("shop", &expr).await.unwrap();
                let kept = w.segments().await.into_iter().find(|(n, _)| n == segment).unwrap().1;
                assert_eq!(counted.matched, kept, "{segment}: {rule}");
            }
        });
    }
}
