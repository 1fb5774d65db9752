//! Ranking for all customers says of each what a decision for them says at that moment: the same items with the same scores in
//! the same order, with linked customers, contacts, spent budgets and learned models.

use crate::support::{SHOP, START, World};
use luopan_engine::api::Raw;
use luopan_engine::matching::Matcher;
use luopan_kernel::decide::Gate;
use luopan_kernel::decide::batch::Ranking;
use luopan_kernel::id::{CustomerId, PartitionId};
use luopan_kernel::time::HOUR_US;
use std::collections::BTreeMap;

const TOP: usize = 5;

/// A policy to which the gift is worth silence, and the coupon is not.
const SHY: &str = r#"  shy:
    catalogue: offers
    channel: sms
    score: "double(item.level - 2)"
    exploration: greedy
    null_action: {name: nothing, arm: true, score: 0.5}
  shier:
    like: shy
    score: "double(item.level - 3)"
"#;

async fn matched(matcher: &Matcher) -> BTreeMap<CustomerId, Ranking> {
    let mut out = BTreeMap::new();
    let mut before = None;
    for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let page = matcher.page(partition, None).await.unwrap();
        assert_eq!(page.next, None);
        let ranked = matcher
            .rank(&page, TOP, |wanted| {
                let index = matcher.index().unwrap();
                Ok::<_, ()>(
                    (wanted.iter())
                        .map(|w| index.best(&w.vector, w.eligible, w.keep))
                        .collect(),
                )
            })
            .unwrap();
        for (customer, ranking) in ranked {
            assert_eq!(customer.partition(), partition);
            assert!(before.is_none_or(|(p, c)| p < partition || c < customer));
            before = Some((partition, customer));
            assert!(out.insert(customer, ranking).is_none(), "once each");
        }
    }
    out
}

async fn world() -> (World, Vec<String>) {
    let w = World::new(&format!("{SHOP}{SHY}")).await;
    let names: Vec<String> = (0..40).map(|i| format!("c{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let receipt = w
            .ingest(&[Ok(w.incoming(
                name,
                "luopan.customer",
                &[
                    ("age", Raw::Int(10 + i as i64)),
                    ("consent", Raw::Bool(i % 3 > 0)),
                ],
            ))])
            .await;
        assert!(
            receipt
                .outcomes
                .iter()
                .all(|o| matches!(o, luopan_engine::api::Outcome::Accepted { .. })),
            "{receipt:?}"
        );
        for _ in 0..i % 4 {
            w.ingest(&[Ok(w.incoming(name, "visit", &[]))]).await;
        }
    }
    w.settle().await;
    for (a, b) in [(1, 2), (1, 3), (10, 30)] {
        w.engine.link(&names[a], &names[b], "test").await.unwrap();
    }
    w.settle().await;
    // Contacts, budgets and a model that has learned.
    for (i, name) in names.iter().enumerate().filter(|(i, _)| i % 2 == 0) {
        w.decide("capped", name).await.unwrap();
        let decided = w.decide("learned", name).await.unwrap().record;
        if i % 4 == 0 {
            let id = decided.request.decision.to_string();
            w.event(
                name,
                "buy",
                &[
                    ("amount", Raw::Int(5)),
                    ("decision_id", Raw::Text(id.into())),
                ],
            )
            .await;
        }
    }
    w.settle().await;
    w.env.pass(25 * HOUR_US);
    quiet(&w).await;
    for name in &names[..8] {
        w.decide("capped", name).await.unwrap();
    }
    quiet(&w).await;
    (w, names)
}

/// Waits until what came due has happened and is learned.
async fn quiet(w: &World) {
    while !w.engine.timers_idle() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    w.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_at_once_are_what_each_is_decided() {
    let (w, names) = world().await;
    let now = START.plus(25 * HOUR_US);
    let (mut items, mut refused, mut silent) = (0, 0, 0);
    for policy in ["learned", "capped", "last_unit", "shy", "shier"] {
        let matcher = w.engine.matcher("shop", policy, now, None).await.unwrap();
        let matched = matched(&matcher).await;
        assert_eq!(matched.len(), 37, "three of forty are linked to others");
        for name in &names {
            // Each decision is looked at under the state that was matched: what it spends and whom it reaches would change
            // the next, so the matching is made again.
            let matcher = w.engine.matcher("shop", policy, now, None).await.unwrap();
            let all = self::matched(&matcher).await;
            let record = w.decide(policy, name).await.unwrap().record;
            assert_eq!(record.request.moment.now, now);
            let models: Vec<_> = (record.model.iter())
                .map(|m| (m.name.clone(), m.version))
                .collect();
            assert_eq!(models, matcher.about().models);
            let ranking = &all[&record.request.customer];
            let wanted: Vec<(&str, u64)> = (record.decision.trace.iter())
                .filter(|line| line.score.is_some())
                .map_while(|line| Some((line.item.as_deref()?, line.score?.to_bits())))
                .take(TOP)
                .collect();
            let found: Vec<(&str, u64)> = (ranking.items.iter())
                .map(|item| (matcher.key(item.row), item.score.to_bits()))
                .collect();
            assert_eq!(found, wanted, "{policy} {name}");
            assert_eq!(
                ranking.refusals, record.decision.refusals,
                "{policy} {name}"
            );
            items += found.len();
            silent += usize::from(ranking.is_silent);
            refused += usize::from(ranking.refusals.iter().any(|r| r.gate <= Gate::Cap));
            w.settle().await;
        }
    }
    assert!(
        items > 40 && refused > 10 && silent > 0,
        "{items} {refused} {silent}"
    );
    w.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_matching_is_made_from_changes_with_the_state_alone() {
    let (w, _) = world().await;
    let at = START.plus(26 * HOUR_US);
    w.settle().await;
    w.engine.stop().await;
    let matcher = async || w.engine.matcher("shop", "learned", at, None).await.unwrap();
    let first = matcher().await;
    let version = first.about().models[0].1;
    assert!(version > 0, "the model has learned");
    assert_eq!(matcher().await.about(), first.about());
    let rankings = matched(&first).await;
    // An older version of the model is made again from its stream, and ranks otherwise.
    let versions = [("buy_model".to_owned(), 0)];
    let older = (w.engine)
        .matcher("shop", "learned", at, Some(&versions))
        .await
        .unwrap();
    assert_eq!(older.about().models, versions);
    assert!(matched(&older).await != rankings);
    let again = luopan_engine::Engine::open(
        w.stores.clone(),
        w.env.clone(),
        luopan_engine::Limits::default(),
    )
    .await
    .unwrap();
    let models = first.about().models.clone();
    let reopened = again
        .matcher("shop", "learned", at, Some(&models))
        .await
        .unwrap();
    assert_eq!(reopened.about(), first.about(), "after a restart");
    assert_eq!(matched(&reopened).await, rankings);
    again.start().await.unwrap();
    let mut request = w.request("capped", "c39");
    request.origin = luopan_kernel::event::Origin::DryRun;
    again.decide(request).await.unwrap();
    let changed = again.matcher("shop", "learned", at, None).await.unwrap();
    assert_ne!(changed.about().state, first.about().state);
    again.stop().await;
}
