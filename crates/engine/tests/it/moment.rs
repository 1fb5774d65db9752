//! The moment in the running loop: what the market did stands in a decision's record and is explained by it, and the log tells what
//! customers did in the words of a sequence.

use crate::support::{START, World};
use luopan_engine::api::{ProductInput, Raw};
use luopan_kernel::time::{DAY_US, SECOND_US};
use luopan_kernel::value::Value;

const MOMENT: &str = r#"
scene: shop
events:
  visit: {fields: {page: text}}
  buy: {}
sequences:
  acts: {keep: 3, pause: 30m, words: {home: {event: visit, where: page == "home"}, look: {event: visit}, buy: {event: buy}}}
tags:
  usual: {event: visit, aggregate: count}
catalogues:
  offers:
    attributes: {risky: boolean}
    items: {bold: {risky: true}, calm: {risky: false}}
  indexes:
    attributes: {name: text}
    measures:
      attributes:
        return_1d: {measure: return, window: 1d}
    items: {shares: {name: Shares}}
market:
  shares: {catalogue: indexes, of: return_1d, item: shares}
policies:
  offer:
    catalogue: offers
    channel: app
    exclusions: [{name: calm_on_falls, rule: "env.market_shares.orElse(0.0) < -0.03 && item.risky"}]
    score: "item.risky ? 1.0 : 0.0"
    exploration: greedy
    null_action: {name: nothing}
"#;

fn level(back: i64, unit: f64) -> ProductInput {
    ProductInput::Nav {
        key: "shares".into(),
        day: (START.0 / DAY_US - back) as i32,
        nav: Raw::Number(unit),
        accumulated: Raw::Null,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_market_did_is_of_the_snapshot_that_the_decision_saw() {
    let mut world = World::new(MOMENT).await;
    world.event("a", "buy", &[]).await;
    let chosen = async |world: &World| {
        let answer = world.decide("offer", "a").await.unwrap();
        let choice = answer.record.decision.choices[0].item.clone();
        let read = answer.record.decision.slots_read.clone();
        (choice, read, answer.record.request.decision)
    };
    let (before, read, first) = chosen(&world).await;
    assert_eq!(before, "bold");
    assert_eq!(read, [("env.market_shares".to_owned(), Value::Missing)]);
    let take = async |world: &World, levels: &[ProductInput]| {
        world
            .engine
            .change_products("shop", "indexes", levels)
            .await
            .unwrap();
        world.settle().await;
    };
    take(&world, &[level(3, 100.0), level(2, 95.0)]).await;
    let (fallen, read, second) = chosen(&world).await;
    assert_eq!(fallen, "calm");
    let Value::Number(fell) = read[0].1 else {
        panic!("{read:?}")
    };
    assert!((fell + 0.05).abs() < 1e-12);
    take(&world, &[level(1, 96.0)]).await;
    let (risen, _, third) = chosen(&world).await;
    assert_eq!(risen, "bold");
    world.verify().await;
    world.restart().await;
    for decision in [first, second, third] {
        let explained = world.engine.explain(decision).await.unwrap();
        assert_eq!(explained.differences, Vec::<String>::new());
        assert_eq!(explained.not_recomputed, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_customers_did_in_the_words_of_a_sequence() {
    let world = World::new(MOMENT).await;
    let page = |page: &str| [("page", Raw::Text(page.to_owned().into()))];
    let did = [
        ("a", "home"),
        ("b", "fund"),
        ("a", "fund"),
        ("a", "buy"),
        ("a", "fund"),
        ("b", "buy"),
    ];
    for (who, what) in did {
        match what {
            "buy" => world.event(who, "buy", &[]).await,
            what => world.event(who, "visit", &page(what)).await,
        };
        world.env.pass(SECOND_US);
    }
    world.settle().await;
    let read = world.engine.acts("shop", "acts").await.unwrap();
    assert_eq!(read.words, ["home", "look", "buy"]);
    let words = |acts: &[(luopan_kernel::time::Micros, u8)]| -> Vec<u8> {
        acts.iter().map(|(_, word)| *word).collect()
    };
    // All of the log, not the three that a profile keeps.
    let mut found: Vec<Vec<u8>> = read.acts.iter().map(|a| words(a)).collect();
    found.sort();
    assert_eq!(found, [vec![0, 1, 2, 1], vec![1, 2]]);
    assert!(read.acts.iter().all(|a| a.is_sorted()));
    // Who was found to be one person did it as one.
    world.engine.link("a", "b", "test").await.unwrap();
    world.settle().await;
    let read = world.engine.acts("shop", "acts").await.unwrap();
    assert_eq!(read.acts.len(), 1);
    assert_eq!(words(&read.acts[0]), [0, 1, 1, 2, 1, 2]);
    let refused = world.engine.acts("shop", "deeds").await.unwrap_err();
    assert_eq!(refused.code, "unknown_sequence");
    assert!(
        refused.message.contains("it has acts"),
        "{}",
        refused.message
    );
}
