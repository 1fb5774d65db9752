//! Catalogues: changed a part at a time, withdrawn, measured; the snapshot that a decision saw; how much is laid out.

use crate::support::{START, TestEnv, World, plan};
use luopan_engine::api::{ItemView, Outcome, ProductInput, Raw};
use luopan_engine::{Engine, Limits};
use luopan_kernel::time::DAY_US;
use luopan_kernel::value::Value;
use luopan_store::memory;
use std::borrow::Cow;
use std::time::Duration;

const FUNDS: &str = r#"
scene: shop
customer:
  level: integer
events:
  visit: {}
tags:
  visits: {event: visit, aggregate: count}
catalogues:
  funds:
    key_digits: 6
    attributes:
      name: {type: text, required: true}
      kind: text
      risk: integer
      issuer: integer
      seller: integer
      fee: number
      generated: text
      last_announcement_at: time
    measures:
      peer_group: kind
      attributes:
        nav: {measure: nav}
        nav_at: {measure: nav_at}
        return_1m: {measure: return, window: 1m}
        return_all: {measure: return, window: inception}
        days_down: {measure: days_down}
        rank: {measure: rank, of: return_all}
policies:
  best:
    catalogue: funds
    channel: app
    suitability:
      - {name: risk, rule: "item.risk <= level"}
      - name: higher_rating
        rule: "!known(item.issuer) || !known(item.seller) || max(item.issuer, item.seller) <= level"
    score: "item.return_all.orElse(0.0)"
    exploration: greedy
    null_action: {name: nothing}
"#;

fn text(t: &str) -> Raw<'static> {
    Raw::Text(Cow::Owned(t.to_owned()))
}

fn set(key: &str, values: &[(&str, Raw<'static>)]) -> ProductInput {
    let mut values: Vec<_> = (values.iter())
        .map(|(n, v)| ((*n).to_owned(), v.clone()))
        .collect();
    values.push(("name".into(), text(&format!("Fund {key}"))));
    ProductInput::Set {
        key: key.into(),
        values,
    }
}

fn change(key: &str, values: &[(&str, Raw<'static>)]) -> ProductInput {
    ProductInput::Change {
        key: key.into(),
        values: (values.iter())
            .map(|(n, v)| ((*n).to_owned(), v.clone()))
            .collect(),
    }
}

fn day(back: i64) -> i32 {
    (START.0 / DAY_US - back) as i32
}

fn nav(key: &str, back: i64, unit: f64) -> ProductInput {
    ProductInput::Nav {
        key: key.into(),
        day: day(back),
        nav: Raw::Number(unit),
        accumulated: Raw::Null,
    }
}

fn withdraw(key: &str, successor: Option<&str>) -> ProductInput {
    ProductInput::Withdraw {
        key: key.into(),
        at: None,
        successor: successor.map(str::to_owned),
        restored: false,
    }
}

impl World {
    /// Takes products in and waits until decisions see them; the reasons of those refused.
    async fn products(&self, inputs: &[ProductInput]) -> Vec<String> {
        let receipt = (self.engine)
            .change_products("shop", "funds", inputs)
            .await
            .unwrap();
        self.settle().await;
        (receipt.outcomes.into_iter())
            .filter_map(|o| match o {
                Outcome::Quarantined { code, reason, .. } => Some(format!("{code}: {reason}")),
                Outcome::Accepted { .. } => None,
            })
            .collect()
    }

    fn fund(&self, key: &str) -> ItemView {
        self.engine.item("shop", "funds", key).unwrap()
    }

    fn of(&self, key: &str, attribute: &str) -> Value<'static> {
        let fund = self.fund(key);
        let found = fund.attributes.into_iter().find(|(n, _)| n == attribute);
        found.unwrap().1
    }

    async fn chosen(&self, customer: &str) -> (Option<String>, luopan_kernel::id::DecisionId) {
        let answer = self.decide("best", customer).await.unwrap();
        let choice = answer.record.decision.choices.first();
        (
            choice.map(|c| c.item.clone()),
            answer.record.request.decision,
        )
    }
}

async fn funds() -> World {
    let world = World::new(FUNDS).await;
    world
        .event("a", "luopan.customer", &[("level", Raw::Int(3))])
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_what_changes_and_a_real_value_is_generated_no_more() {
    let mut world = funds().await;
    let given = [
        ("risk", Raw::Int(3)),
        ("fee", Raw::Number(0.01)),
        ("generated", text("fee, risk")),
    ];
    assert!(world.products(&[set("000001", &given)]).await.is_empty());
    assert_eq!(world.fund("000001").generated, ["fee", "risk"]);
    assert_eq!(world.chosen("a").await.0.as_deref(), Some("000001"));
    // A re-rating between two decisions: the other attributes stay.
    world
        .products(&[change("000001", &[("risk", Raw::Int(4))])])
        .await;
    assert_eq!(world.of("000001", "risk"), Value::Int(4));
    assert_eq!(world.of("000001", "fee"), Value::Number(0.01));
    assert_eq!(world.fund("000001").generated, ["fee"]);
    assert_eq!(world.chosen("a").await.0, None);
    // Null takes a value away: without a rating nothing is eligible.
    world
        .products(&[change("000001", &[("risk", Raw::Null)])])
        .await;
    assert_eq!(world.of("000001", "risk"), Value::Missing);
    assert_eq!(world.chosen("a").await.0, None);
    let said = ProductInput::Announce {
        key: "000001".into(),
        kind: "manager".into(),
        title: "the manager leaves".into(),
        at: None,
    };
    world.products(&[said]).await;
    assert_eq!(
        world.of("000001", "last_announcement_at"),
        Value::Time(START)
    );
    world.verify().await;
    world.restart().await;
    assert_eq!(world.of("000001", "fee"), Value::Number(0.01));
    assert_eq!(world.fund("000001").generated, ["fee"]);
    world.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_issuer_and_seller_differ_the_higher_rating_counts() {
    let world = funds().await;
    let rated = |issuer, seller| {
        let mut given = vec![("risk", Raw::Int(2)), ("issuer", Raw::Int(issuer))];
        given.push(("seller", Raw::Int(seller)));
        set("000001", &given)
    };
    for (issuer, seller, offered) in [(2, 3, true), (2, 4, false), (5, 1, false)] {
        world.products(&[rated(issuer, seller)]).await;
        assert_eq!(
            world.chosen("a").await.0.is_some(),
            offered,
            "{issuer} {seller}"
        );
    }
    // A product without a rating is not eligible, whoever asks.
    world.products(&[set("000001", &[])]).await;
    assert_eq!(world.chosen("a").await.0, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_item_is_no_candidate_and_stays_readable() {
    let world = funds().await;
    let risk = [("risk", Raw::Int(1))];
    world
        .products(&[set("000001", &risk), set("000002", &risk)])
        .await;
    let (first, old) = world.chosen("a").await;
    assert_eq!(first.as_deref(), Some("000001"));
    world.products(&[withdraw("000001", Some("000002"))]).await;
    let (second, _) = world.chosen("a").await;
    assert_eq!(second.as_deref(), Some("000002"));
    let fund = world.fund("000001");
    assert_eq!(fund.successor.as_deref(), Some("000002"));
    assert_eq!(fund.withdrawn_at, Some(START));
    assert_eq!(world.of("000001", "risk"), Value::Int(1));
    // The list imported again does not bring it back; saying so does.
    world.products(&[set("000001", &risk)]).await;
    assert!(world.fund("000001").withdrawn_at.is_some());
    let page = world.engine.items("shop", "funds", None, 10).unwrap();
    let keys: Vec<_> = page.items.iter().map(|i| i.key.as_str()).collect();
    assert_eq!(
        (keys, page.candidates, page.withdrawn),
        (vec!["000001", "000002"], 1, 1)
    );
    // The decision made before is explained over the catalogue that it saw.
    let explained = world.engine.explain(old).await.unwrap();
    assert_eq!(explained.differences, Vec::<String>::new());
    assert_eq!(explained.not_recomputed, None);
    let back = ProductInput::Withdraw {
        key: "000001".into(),
        at: None,
        successor: None,
        restored: true,
    };
    world.products(&[back]).await;
    assert_eq!(world.chosen("a").await.0.as_deref(), Some("000001"));
    world.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn navs_measure_and_restated_ones_measure_anew() {
    let mut world = funds().await;
    let given = [("risk", Raw::Int(1)), ("kind", text("bond"))];
    world
        .products(&[set("000001", &given), set("000002", &given)])
        .await;
    let mut navs = Vec::new();
    for back in (1..=60).rev() {
        navs.push(nav("000001", back, 1.0 + 0.001 * (60 - back) as f64));
        navs.push(nav("000002", back, 2.0 - 0.001 * (60 - back) as f64));
    }
    assert!(world.products(&navs).await.is_empty());
    assert_eq!(world.of("000001", "nav"), Value::Number(1.059));
    assert_eq!(world.of("000001", "days_down"), Value::Int(0));
    assert_eq!(world.of("000002", "days_down"), Value::Int(59));
    let ranks = |w: &World| (w.of("000001", "rank"), w.of("000002", "rank"));
    assert_eq!(ranks(&world), (Value::Int(1), Value::Int(2)));
    let before = world.of("000002", "return_all");
    let (_, old) = world.chosen("a").await;
    // Restated: the latest entry for a day wins, and the old decision keeps what it saw.
    world.products(&[nav("000002", 1, 2.4)]).await;
    assert_eq!(world.of("000002", "nav"), Value::Number(2.4));
    assert_ne!(world.of("000002", "return_all"), before);
    assert_eq!(ranks(&world), (Value::Int(2), Value::Int(1)));
    let (choice, _) = world.chosen("a").await;
    assert_eq!(choice.as_deref(), Some("000002"));
    let explained = world.engine.explain(old).await.unwrap();
    assert_eq!(
        explained.record.decision.choices[0].item, "000001",
        "{explained:?}"
    );
    assert_eq!(explained.differences, Vec::<String>::new());
    // An entry that says the same again changes nothing; a withdrawal gives the rank to the next.
    world.products(&[nav("000002", 1, 2.4)]).await;
    world.products(&[withdraw("000002", None)]).await;
    assert_eq!(world.of("000001", "rank"), Value::Int(1));
    assert_eq!(world.of("000002", "rank"), Value::Missing);
    let report = world.verify().await;
    assert!(report.rows > 0);
    // Laid out again from State, the bits are the same; and an old decision is explained from State.
    let kept = (world.fund("000001"), world.fund("000002"));
    world.restart().await;
    assert_eq!((world.fund("000001"), world.fund("000002")), kept);
    let explained = world.engine.explain(old).await.unwrap();
    assert_eq!(explained.differences, Vec::<String>::new());
    assert_eq!(explained.not_recomputed, None);
    assert_eq!(world.engine.stats().await.unwrap().catalogues_past, 1);
    world.engine.explain(old).await.unwrap();
    assert_eq!(world.engine.stats().await.unwrap().catalogues_past, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_quarantined_with_the_reason() {
    let world = funds().await;
    world
        .products(&[set("000001", &[("risk", Raw::Int(1))])])
        .await;
    let refused = world
        .products(&[
            nav("000001", 3, 0.0),
            nav("000001", 3, -1.0),
            nav("000001", -9, 1.0),
            nav("000009", 3, 1.0),
            set("1", &[]),
            set("J00001", &[]),
            change("000001", &[("risk", text("high"))]),
            change("000001", &[("return_all", Raw::Number(1.0))]),
            change("000001", &[("rissk", Raw::Int(1))]),
            change("000001", &[("name", Raw::Null)]),
            change("000001", &[]),
            change("000008", &[("risk", Raw::Int(1))]),
            withdraw("000007", None),
            withdraw("000001", Some("000001")),
            ProductInput::Nav {
                key: "000001".into(),
                day: day(3),
                nav: text("1.0"),
                accumulated: Raw::Null,
            },
        ])
        .await;
    let wanted = [
        "out_of_range: `nav` is 0; a net asset value is above 0",
        "out_of_range: `nav` is -1",
        "in_the_future: ",
        "unknown_item: catalogue `funds` has no item `000009`",
        "bad_identifier: the item's key is `1`, which is not a code of 6 digits; `000001` is one",
        "bad_identifier: the item's key is `J00001`, which is not a code of 6 digits",
        "wrong_type: `risk` is the text `high`",
        "unknown_property: `return_all` is computed from net asset values",
        "unknown_property: catalogue `funds` declares no attribute `rissk`; the nearest known name is `risk`",
        "missing_property: catalogue `funds` requires `name`",
        "missing_property: a change that names no attribute",
        "unknown_item: catalogue `funds` has no item `000008`",
        "unknown_item: ",
        "bad_identifier: `000001` cannot take its own place",
        "wrong_type: `nav` is the text `1.0`; write a number",
    ];
    assert_eq!(refused.len(), wanted.len(), "{refused:#?}");
    for (found, wanted) in refused.iter().zip(wanted) {
        assert!(found.starts_with(wanted), "{found} / {wanted}");
    }
    assert_eq!(world.of("000001", "nav"), Value::Missing);
    let kept = world
        .engine
        .quarantine(Some("shop"), None, 100)
        .await
        .unwrap();
    assert_eq!(kept.len(), wanted.len());
}

/// A catalogue of none decides for silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_of_no_items() {
    let world = funds().await;
    assert_eq!(world.chosen("a").await.0, None);
    let page = world.engine.items("shop", "funds", None, 10).unwrap();
    assert!(page.items.is_empty() && !page.more && page.candidates == 0);
    world.verify().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_item_more_than_the_limit_is_refused() {
    let env = TestEnv::new();
    let limits = Limits {
        items_max: 5,
        ..Limits::default()
    };
    let engine = Engine::open(memory::stores(), env, limits).await.unwrap();
    engine.start().await.unwrap();
    engine.apply_scene(&plan(FUNDS), &[], "test").await.unwrap();
    let fund = |n: usize| set(&format!("{n:06}"), &[]);
    let all: Vec<_> = (0..4).map(fund).collect();
    engine.change_products("shop", "funds", &all).await.unwrap();
    // The sixth is one too many, whether the others are folded or not; what is there may be set again.
    let more = [fund(0), fund(4), fund(5), fund(6)];
    // What is asked depends on what is not folded yet: on a busy machine it is refused for the moment.
    let receipt = loop {
        match engine.change_products("shop", "funds", &more).await {
            Err(e) if e.code == "fold_lag" => tokio::time::sleep(Duration::from_millis(5)).await,
            other => break other.unwrap(),
        }
    };
    assert_eq!((receipt.accepted, receipt.quarantined), (2, 2));
    let Outcome::Quarantined { code, reason, .. } = &receipt.outcomes[2] else {
        panic!("{:?}", receipt.outcomes[2])
    };
    assert_eq!(code, "too_many_items");
    assert!(
        reason.contains("has 5 items, which is the limit"),
        "{reason}"
    );
}

/// The list of 18,270 funds, 2,000 in a call: what is laid out is in proportion to what comes, not to what is there.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "a figure to be read")]
async fn an_import_lays_out_each_item_once() {
    const FUNDS_N: usize = 18_270;
    let world = funds().await;
    let before = world.engine.stats().await.unwrap();
    let all: Vec<_> = (0..FUNDS_N)
        .map(|n| set(&format!("{n:06}"), &[("risk", Raw::Int(n as i64 % 5 + 1))]))
        .collect();
    for chunk in all.chunks(2_000) {
        let receipt = (world.engine)
            .change_products("shop", "funds", chunk)
            .await
            .unwrap();
        assert_eq!(receipt.quarantined, 0);
    }
    world.settle().await;
    let after = world.engine.stats().await.unwrap();
    let rows = after.catalogue_rows - before.catalogue_rows;
    let snapshots = after.catalogue_snapshots - before.catalogue_snapshots;
    println!("{FUNDS_N} items: {rows} rows laid out in {snapshots} snapshots");
    assert_eq!(rows, FUNDS_N as u64);
    // At most one a commit of 1,000 entries.
    assert!(snapshots <= 20, "{snapshots}");
    // The same list again changes nothing, and one item that changes is one row.
    for chunk in all.chunks(2_000) {
        (world.engine)
            .change_products("shop", "funds", chunk)
            .await
            .unwrap();
    }
    world
        .products(&[change("000007", &[("fee", Raw::Number(0.1))])])
        .await;
    let again = world.engine.stats().await.unwrap();
    assert_eq!(again.catalogue_rows - after.catalogue_rows, 1);
}

/// A million items; some gigabytes and a minute, so it is asked for by name: `cargo nextest run --release --run-ignored all
/// a_million_items`.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "figures to be read")]
#[ignore = "takes gigabytes and about a minute"]
async fn a_million_items() {
    let world = World::new(&FUNDS.replace("key_digits: 6", "key_digits: 7")).await;
    let start = std::time::Instant::now();
    let fund = |n: usize| set(&format!("{n:07}"), &[("risk", Raw::Int(n as i64 % 5 + 1))]);
    let mut refused = 0;
    for first in (0..1_000_001).step_by(5_000) {
        let chunk: Vec<_> = (first..(first + 5_000).min(1_000_001)).map(fund).collect();
        let receipt = loop {
            match world.engine.change_products("shop", "funds", &chunk).await {
                Ok(receipt) => break receipt,
                Err(e) => {
                    // The fold is behind, and the answer depends on it.
                    assert_eq!(e.code, "fold_lag", "{e}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        refused += receipt.quarantined;
    }
    while world.engine.settle(0).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stats = world.engine.stats().await.unwrap();
    let memory = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = memory
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap_or("");
    println!(
        "{} rows in {} snapshots, {:.1} s, peak {peak} (log and state in memory too)",
        stats.catalogue_rows,
        stats.catalogue_snapshots,
        start.elapsed().as_secs_f64(),
    );
    assert_eq!(refused, 1);
    let page = world
        .engine
        .items("shop", "funds", Some("0999998"), 10)
        .unwrap();
    assert_eq!((page.candidates, page.items.len()), (1_000_000, 1));
    world
        .event("a", "luopan.customer", &[("level", Raw::Int(3))])
        .await;
    let one = std::time::Instant::now();
    assert!(world.chosen("a").await.0.is_some());
    println!("one decision: {:.0} ms", one.elapsed().as_secs_f64() * 1e3);
}
