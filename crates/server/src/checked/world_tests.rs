//! What is exported of a data folder: a small world, told and decided through the engine, read back line by line.

use super::{Exported, Names, export};
use crate::data::{Opened, Opening, open};
use luopan_engine::api::{DecideRequest, Incoming, PositionToken, Raw};
use luopan_kernel::event::{CUSTOMER_TYPE, Origin};
use luopan_kernel::time::Micros;
use serde_json::{Value as Json, json};
use std::borrow::Cow;

const PACK: &str = r#"
scene: shop
zone: Asia/Shanghai
customer:
  age: integer
  risk_appetite: integer
request:
  own_initiative: boolean
  redemption_fee_shown: number
events:
  order_submitted:
    fields: {order_id: text, item: {type: text, required: true}, amount: {type: money, currency: CNY}, side: {type: text, one_of: [buy, redeem]}, shares: number, decision_id: text, fast: boolean}
  order_confirmed:
    fields: {order_id: text, item: text, amount: {type: money, currency: CNY}, shares: number}
  order_failed:
    fields: {order_id: {type: text, required: true}}
catalogues:
  funds:
    attributes:
      risk_level: integer
      kind: text
      fine_type: text
      qdii: boolean
      not_for_classes: text
      confirmation_days: integer
      earning_days: integer
      fast_redemption_limit: {type: money, currency: CNY}
      redemption_fees: text
    items:
      a: {risk_level: 2, kind: bond, fine_type: a bond, qdii: true, not_for_classes: "13", confirmation_days: 3, earning_days: 2, fast_redemption_limit: "10.00", redemption_fees: "7d 1.5%"}
      b: {risk_level: 9, kind: money_market, fine_type: QDII of bonds}
      c: {risk_level: 1, fine_type: QDII of bonds, qdii: false, redemption_fees: ""}
  content:
    attributes: {title: text}
    items:
      what-is-a-fund: {title: What is a fund}
orders:
  funds:
    utc_offset: "+08:00"
    submitted: {event: order_submitted, order: order_id, item: item, side: side, amount: amount, shares: shares, decision: decision_id, fast: fast}
    confirmed: {event: order_confirmed, order: order_id, item: item, amount: amount, shares: shares}
    failed: {event: order_failed, order: order_id}
    redemption_fees: redemption_fees
    fee_ladder: "7d 1.5%, 30d 1%"
policies:
  offer: {catalogue: funds, channel: app, score: "0.0", exploration: uniform, null_action: {name: none}}
  own_purchase: {catalogue: funds, channel: app, score: "0.0", exploration: uniform, null_action: {name: none}}
  own_redemption: {catalogue: funds, channel: app, score: "0.0", exploration: uniform, null_action: {name: none}}
  switch_advice: {catalogue: funds, channel: app, score: "0.0", exploration: uniform, null_action: {name: none}}
  story: {catalogue: content, channel: app, score: "0.0", exploration: uniform, null_action: {name: none}}
  news: {catalogue: content, channel: app, score: "0.0", exploration: uniform, null_action: {name: none}}
"#;

struct Shop {
    folder: tempfile::TempDir,
    opened: Opened,
    said: u32,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&folder.path().join("data"), Opening::Create)
            .await
            .unwrap();
        let shop = Self {
            folder,
            opened,
            said: 0,
        };
        shop.apply(PACK).await;
        shop.opened.settle().await.unwrap();
        shop
    }

    async fn apply(&self, pack: &str) {
        let plan = luopan_scene::compile(vec![("scene.yaml".to_owned(), pack.to_owned())])
            .unwrap_or_else(|f| panic!("{f:?}"))
            .plan;
        self.opened
            .engine
            .apply_scene(&plan, &[], "a test")
            .await
            .unwrap();
    }

    /// Tells of an event: its id.
    async fn tell(&mut self, customer: &str, kind: &str, fields: &[(&str, Raw<'_>)]) -> String {
        self.tell_of(customer, kind, fields, None).await
    }

    /// Tells of an event of now, or of the history of a time.
    async fn tell_of(
        &mut self,
        customer: &str,
        kind: &str,
        fields: &[(&str, Raw<'_>)],
        history: Option<Micros>,
    ) -> String {
        self.said += 1;
        let id = format!("e{}", self.said);
        let event = Incoming {
            id: Cow::Borrowed(id.as_str()),
            customer: Cow::Borrowed(customer),
            kind: Cow::Borrowed(kind),
            occurred_at: history,
            properties: (fields.iter())
                .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
                .collect(),
            context: vec![],
            corrects: None,
            raw: Cow::Borrowed(""),
        };
        let origin = history.map_or(Origin::Live, |_| Origin::Import);
        let receipt = (self.opened.engine)
            .ingest("shop", origin, &[Ok(event)])
            .await
            .unwrap();
        assert_eq!(receipt.quarantined, 0, "{:?}", receipt.outcomes);
        self.opened.settle().await.unwrap();
        id
    }

    /// Asks a policy, for an item: the decision's id.
    async fn ask(
        &self,
        customer: &str,
        policy: &str,
        item: Option<&str>,
        context: &[(&str, Raw<'static>)],
    ) -> String {
        let request = DecideRequest {
            scene: "shop".into(),
            policy: policy.into(),
            customer: customer.into(),
            idempotency_key: None,
            body_hash: [0; 32],
            context: (context.iter())
                .map(|(n, v)| ((*n).to_owned(), v.clone()))
                .collect(),
            at_least: PositionToken::default(),
            wait_us: 0,
            origin: Origin::Live,
            slots: None,
            item: item.map(str::to_owned),
        };
        let record = self.opened.engine.decide(request).await.unwrap().record;
        assert!(!record.decision.null, "{:?}", record.decision.refusals);
        record.request.decision.to_string()
    }

    /// Everything that is exported, in order of time.
    async fn exported(self) -> (Exported, Vec<Json>) {
        self.exported_from(None).await
    }

    async fn exported_from(self, from: Option<Micros>) -> (Exported, Vec<Json>) {
        let names = Names {
            from,
            ..Names::default()
        };
        let to = self.folder.path().join("checks");
        let (engine, log) = (&self.opened.engine, &self.opened.stores.log);
        let written = export(engine, log, "shop", &names, &to).await.unwrap();
        let mut lines: Vec<Json> = Vec::new();
        for file in std::fs::read_dir(&to).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            lines.extend(text.lines().map(|l| serde_json::from_str(l).unwrap()));
        }
        let at = |l: &Json| {
            l["at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        lines.sort_by_key(at);
        self.opened.close().await;
        (written, lines)
    }
}

fn of<'l>(lines: &'l [Json], kind: &str) -> Vec<&'l Json> {
    lines.iter().filter(|l| l["type"] == kind).collect()
}

fn word(text: &str) -> Raw<'_> {
    Raw::Text(Cow::Borrowed(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_told_with_all_that_the_checker_reads() {
    let shop = Shop::open().await;
    // Only what the pack changes is told again.
    shop.apply(&PACK.replace("c: {risk_level: 1,", "c: {risk_level: 3,"))
        .await;
    let (written, lines) = shop.exported().await;
    let products = of(&lines, "product");
    assert_eq!((written.products, products.len()), (4, 4));
    let told = |key: &str| {
        let mut found = products.iter().filter(|l| l["product"] == key);
        let mut line = (*found.next_back().unwrap()).clone();
        line.as_object_mut().unwrap().remove("at");
        line
    };
    assert_eq!(
        told("a"),
        json!({
            "type": "product", "product": "a", "risk_level": 2, "qdii": true, "not_for_classes": [1, 3], "confirmation_days": 3,
            "earning_days": 2, "fast_redemption_limit": 1000, "money_market": false, "fee_ladder": [{"under_days": 7, "rate": 0.015}],
        })
    );
    let ladder = json!([{"under_days": 7, "rate": 0.015}, {"under_days": 30, "rate": 0.01}]);
    assert_eq!(
        told("b"),
        json!({
            "type": "product", "product": "b", "risk_level": 9, "qdii": true, "not_for_classes": null, "confirmation_days": null,
            "earning_days": null, "fast_redemption_limit": null, "money_market": true, "fee_ladder": ladder,
        })
    );
    // The attribute counts, whatever the type says; no fees are none.
    let c = told("c");
    assert_eq!(
        (&c["qdii"], &c["fee_ladder"], &c["risk_level"]),
        (&json!(false), &json!([]), &json!(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_read_by_the_version_that_was_in_force() {
    let mut shop = Shop::open().await;
    let (id, item, fast) = (
        ("order_id", word("o1")),
        ("item", word("a")),
        ("fast", Raw::Bool(true)),
    );
    let redeem = ("side", word("redeem"));
    shop.tell(
        "ann",
        "order_submitted",
        &[id.clone(), item.clone(), fast, redeem],
    )
    .await;
    let unnumbered = shop
        .tell("ann", "order_submitted", std::slice::from_ref(&item))
        .await;
    shop.tell("ann", "order_failed", &[("order_id", word("nobody's"))])
        .await;
    shop.apply(&PACK.replace("order_submitted", "purchase_placed"))
        .await;
    shop.opened.settle().await.unwrap();
    shop.tell("ann", "order_confirmed", &[id]).await;
    shop.tell("ann", "purchase_placed", &[("order_id", word("o2")), item])
        .await;
    let (written, lines) = shop.exported().await;
    let told: Vec<_> = (of(&lines, "order").iter())
        .map(|l| {
            let id = l["id"].as_str().unwrap();
            let id = id.rsplit('/').next().unwrap().to_owned();
            (
                id,
                l["step"].clone(),
                l["product"].clone(),
                l["side"].clone(),
                l["fast"] == true,
            )
        })
        .collect();
    let line = |id: &str, step: &str, side: &str, fast| {
        (id.to_owned(), json!(step), json!("a"), json!(side), fast)
    };
    assert_eq!(
        told,
        [
            line("o1", "submitted", "redeem", true),
            line(&unnumbered, "submitted", "buy", false),
            line("o1", "confirmed", "redeem", true),
            line("o2", "submitted", "buy", false),
        ]
    );
    assert_eq!((written.orders, written.unplaced), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_is_told_with_what_it_is_for() {
    let mut shop = Shop::open().await;
    let own = |v| [("own_initiative", Raw::Bool(v))];
    let fee = [("redemption_fee_shown", Raw::Number(0.015))];
    let offer = shop.ask("ann", "offer", Some("a"), &[]).await;
    let check = shop.ask("ann", "own_purchase", Some("a"), &own(true)).await;
    let silent = shop.ask("ann", "own_purchase", Some("a"), &[]).await;
    let answer = shop
        .ask("ann", "own_purchase", Some("a"), &own(false))
        .await;
    shop.ask("ann", "own_redemption", Some("a"), &[]).await;
    shop.ask("ann", "switch_advice", Some("a"), &fee).await;
    shop.ask("ann", "story", None, &[]).await;
    shop.ask("ann", "news", None, &[]).await;
    for named in [&offer, &check, &silent, &answer] {
        let fields = [
            ("order_id", word(named)),
            ("item", word("a")),
            ("decision_id", word(named)),
        ];
        shop.tell("ann", "order_submitted", &fields).await;
    }
    let (_, lines) = shop.exported().await;
    let told: Vec<Json> = (of(&lines, "decision").iter())
        .map(|l| {
            let keep = [
                "policy",
                "purpose",
                "items",
                "other",
                "switch_from",
                "redemption_fee_shown",
                "answers",
            ];
            let kept = keep.iter().filter_map(|k| Some((*k, l.get(*k)?.clone())));
            kept.map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect();
    assert_eq!(
        told,
        [
            json!({"policy": "offer", "purpose": "push", "items": ["a"]}),
            json!({"policy": "own_purchase", "purpose": "buy", "items": ["a"]}),
            json!({"policy": "own_purchase", "purpose": "buy", "items": ["a"]}),
            json!({"policy": "own_purchase", "purpose": "buy", "items": ["a"], "answers": "an offer"}),
            json!({"policy": "own_redemption", "purpose": "redeem", "items": ["a"]}),
            json!({"policy": "switch_advice", "purpose": "show", "items": [], "switch_from": "a", "redemption_fee_shown": 0.015}),
            json!({"policy": "story", "purpose": "show", "items": [], "other": ["what-is-a-fund"]}),
            json!({"policy": "news", "purpose": "push", "items": [], "other": ["what-is-a-fund"]}),
        ]
    );
    // An order answers an offer when it names one, or a check of a purchase that did.
    let answers: Vec<_> = (of(&lines, "order").iter())
        .map(|l| {
            (
                l["id"].as_str().unwrap().to_owned(),
                l["decision"].is_string(),
            )
        })
        .collect();
    assert_eq!(
        answers,
        [
            (offer, true),
            (check, false),
            (silent, false),
            (answer, true)
        ]
    );
}

/// Imported history was known when it happened, so that its orders do not stand before all that was known.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_as_history_was_known_when_it_happened() {
    let mut shop = Shop::open().await;
    let (then, later) = (Micros(1_700_000_000_000_000), Micros(1_700_000_060_000_000));
    let assessed = [("risk_appetite", Raw::Int(3))];
    shop.tell_of("ann", CUSTOMER_TYPE, &assessed, Some(then))
        .await;
    let fields = [("order_id", word("o")), ("item", word("a"))];
    shop.tell_of("ann", "order_submitted", &fields, Some(later))
        .await;
    let (_, lines) = shop.exported().await;
    let (known, ordered) = (of(&lines, "customer"), of(&lines, "order"));
    assert_eq!(known[0]["at"], "2023-11-14T22:13:20Z");
    assert_eq!(ordered[0]["at"], "2023-11-14T22:14:20Z");
}

/// Of imported history the catalogue is known since the import alone: what is checked may begin there.
#[tokio::test(flavor = "multi_thread")]
async fn orders_that_began_before_what_is_wanted_are_left_out_whole() {
    let mut shop = Shop::open().await;
    let then = Micros(1_700_000_000_000_000);
    for (step, at) in [("order_submitted", then), ("order_confirmed", then.plus(9))] {
        let fields = [("order_id", word("old")), ("item", word("a"))];
        shop.tell_of("ann", step, &fields, Some(at)).await;
    }
    // Begun before, confirmed after.
    let fields = [("order_id", word("between")), ("item", word("a"))];
    shop.tell_of("ann", "order_submitted", &fields, Some(then))
        .await;
    shop.tell("ann", "order_confirmed", &fields).await;
    let fields = [("order_id", word("new")), ("item", word("a"))];
    shop.tell("ann", "order_submitted", &fields).await;
    shop.tell_of("ann", CUSTOMER_TYPE, &[("age", Raw::Int(40))], Some(then))
        .await;
    let (written, lines) = shop.exported_from(Some(then.plus(1_000_000))).await;
    assert_eq!((written.orders, written.earlier), (1, 4));
    assert_eq!(of(&lines, "order")[0]["id"], "new");
    assert_eq!(of(&lines, "customer").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_orders_and_facts_of_linked_identifiers_are_one_customers() {
    let mut shop = Shop::open().await;
    for name in ["ann", "bob"] {
        shop.ask(name, "offer", Some("a"), &[]).await;
        let fields = [("order_id", word(name)), ("item", word("a"))];
        shop.tell(name, "order_submitted", &fields).await;
    }
    shop.opened
        .engine
        .link("ann", "bob", "a test")
        .await
        .unwrap();
    shop.opened.settle().await.unwrap();
    // Accepted under the other name.
    shop.tell("bob", "order_confirmed", &[("order_id", word("ann"))])
        .await;
    let (written, lines) = shop.exported().await;
    assert_eq!(
        (written.decisions, written.orders, written.unplaced),
        (2, 3, 0)
    );
    let customers: std::collections::BTreeSet<_> = (lines.iter())
        .filter_map(|l| l.get("customer")?.as_str())
        .collect();
    assert_eq!(customers.len(), 1, "{lines:?}");
}
