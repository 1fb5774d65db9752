//! What a proof of suitability proves and what it does not: which decision permits an order, which orders are in it, which time
//! counts, and what verifying notices of a file that was written anew by someone else.

use crate::clock::{Clock, START};
use luopan_engine::api::{DecideRequest, Incoming, PositionToken, Raw};
use luopan_engine::{Engine, Env as _, Limits};
use luopan_kernel::event::Origin;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros};
use luopan_server::proof::{Expected, Verified, Written, verify, write};
use luopan_store::memory;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PACK: &str = r#"
scene: shop
zone: UTC
customer: {class: integer, assessed_until: time}
events:
  placed:
    fields:
      order_id: text
      item: text
      side: {type: text, one_of: [buy, redeem]}
      amount: {type: money, currency: CNY}
      shares: number
      decision_id: text
  done:
    fields:
      order_id: text
      item: text
      side: {type: text, one_of: [buy, redeem]}
      amount: {type: money, currency: CNY}
      shares: number
catalogues:
  funds:
    attributes: {risk: integer}
    items:
      calm: {risk: 1}
      lively: {risk: 3}
orders:
  funds:
    submitted: {event: placed, order: order_id, item: item, side: side, amount: amount, shares: shares, decision: decision_id}
    confirmed: {event: done, order: order_id, item: item, side: side, amount: amount, shares: shares}
policies:
  push:
    catalogue: funds
    channel: app
    score: "0.0"
    exploration: uniform
    null_action: {name: nothing}
    valid_for: 1h
  check:
    like: push
    permits: buy
    eligibility:
      - {name: assessed, rule: assessed_until > env.now, version: "1"}
    suitability:
      - {name: within_class, rule: item.risk <= class, version: "1"}
  leave:
    like: push
    permits: redeem
"#;

struct Shop {
    clock: Arc<Clock>,
    engine: Arc<Engine>,
}

fn plan(yaml: &str) -> ScenePlan {
    match luopan_scene::compile(vec![("scene.yaml".into(), yaml.to_owned())]) {
        Ok(checked) => checked.plan,
        Err(faults) => panic!("{faults:?}"),
    }
}

fn text(t: impl Into<String>) -> Raw<'static> {
    Raw::Text(Cow::Owned(t.into()))
}

impl Shop {
    /// The shop with a customer `ann` of class 3, assessed for a day.
    async fn new(yaml: &str) -> Self {
        let clock = Clock::new();
        let engine = Engine::open(memory::stores(), clock.clone(), Limits::default())
            .await
            .unwrap();
        engine.start().await.unwrap();
        let shop = Self { clock, engine };
        shop.apply(yaml).await;
        shop.knows("ann").await;
        shop
    }

    async fn apply(&self, yaml: &str) {
        (self.engine.apply_scene(&plan(yaml), &[], "test").await).unwrap();
        self.settle().await;
    }

    async fn knows(&self, customer: &str) {
        let until = jiff::Timestamp::from_microsecond(START.plus(DAY_US).0).unwrap();
        let fields = [
            ("class", Raw::Int(3)),
            ("assessed_until", text(until.to_string())),
        ];
        self.event(
            &format!("k-{customer}"),
            customer,
            "luopan.customer",
            &fields,
            None,
        )
        .await;
    }

    fn pass(&self, us: i64) {
        self.clock.pass(us);
    }

    async fn settle(&self) {
        for _ in 0..2_000 {
            if self.engine.settle(0).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the engine does not come to rest");
    }

    async fn event(
        &self,
        id: &str,
        customer: &str,
        kind: &str,
        fields: &[(&'static str, Raw<'static>)],
        said: Option<Micros>,
    ) {
        let incoming = Incoming {
            id: Cow::Owned(id.to_owned()),
            customer: Cow::Owned(customer.to_owned()),
            kind: Cow::Owned(kind.to_owned()),
            occurred_at: Some(said.unwrap_or(self.clock.now())),
            properties: (fields.iter())
                .map(|(n, v)| (Cow::Borrowed(*n), v.clone()))
                .collect(),
            context: Vec::new(),
            corrects: None,
            raw: Cow::Borrowed(""),
        };
        let receipt = (self
            .engine
            .ingest("shop", Origin::Live, &[Ok(incoming)])
            .await)
            .unwrap();
        assert_eq!(receipt.quarantined, 0, "{id}");
        self.settle().await;
    }

    async fn decide(&self, policy: &str, customer: &str, item: &str) -> DecisionRecord {
        let request = DecideRequest {
            scene: "shop".into(),
            policy: policy.into(),
            customer: customer.into(),
            idempotency_key: None,
            body_hash: [0; 32],
            context: Vec::new(),
            at_least: PositionToken::default(),
            wait_us: DAY_US,
            origin: Origin::Live,
            slots: None,
            item: Some(item.into()),
        };
        let record = self.engine.decide(request).await.unwrap().record;
        assert_eq!(record.decision.choices.len(), 1, "{policy}");
        record
    }

    /// Ann orders: the event's id is the order's number.
    async fn order(&self, id: &str, side: &str, item: &str, names: Option<&DecisionRecord>) {
        self.order_of("ann", id, "placed", side, item, names, None)
            .await;
    }

    #[allow(clippy::too_many_arguments)]
    async fn order_of(
        &self,
        customer: &str,
        id: &str,
        kind: &str,
        side: &str,
        item: &str,
        names: Option<&DecisionRecord>,
        said: Option<Micros>,
    ) {
        let mut fields = vec![
            ("order_id", text(id)),
            ("item", text(item)),
            ("side", text(side)),
            ("amount", Raw::Int(10_000)),
            ("shares", Raw::Number(10.0)),
        ];
        if let Some(record) = names {
            fields.push(("decision_id", text(record.request.decision.to_string())));
        }
        self.event(id, customer, kind, &fields, said).await;
    }

    async fn confirm(&self, customer: &str, event: &str, order: Option<&str>, item: &str) {
        let mut fields = vec![
            ("item", text(item)),
            ("amount", Raw::Int(10_000)),
            ("shares", Raw::Number(10.0)),
        ];
        fields.extend(order.map(|order| ("order_id", text(order))));
        self.event(event, customer, "done", &fields, None).await;
    }

    async fn proof(&self, from: Micros, to: Micros) -> Proof {
        let mut file = Vec::new();
        let written = write(&self.engine, "shop", from, to, &mut file)
            .await
            .unwrap();
        let proof = Proof {
            written,
            text: String::from_utf8(file).unwrap(),
        };
        let found = proof.verify(&Expected::default());
        assert_eq!(found.faults, Vec::<String>::new());
        assert_eq!(found.tally, proof.written.tally);
        assert_eq!(found.head, proof.written.hash);
        assert_eq!(found.plans, proof.written.plans);
        proof
    }

    async fn all(&self) -> Proof {
        self.proof(Micros(0), START.plus(1_000 * DAY_US)).await
    }
}

struct Proof {
    written: Written,
    text: String,
}

impl Proof {
    fn verify(&self, expected: &Expected) -> Verified {
        verify(self.text.as_bytes(), expected).unwrap()
    }

    fn bodies(&self) -> Vec<Value> {
        (self.text.lines())
            .map(|l| serde_json::from_str::<Value>(l).unwrap()["body"].clone())
            .collect()
    }

    /// Orders by event: the decision that permits it, or why none does.
    fn orders(&self) -> BTreeMap<String, String> {
        (self.bodies().iter().filter_map(|b| b.get("order")))
            .map(|o| {
                let standing = match (o["by"].as_str(), o["unproved"].as_str()) {
                    (Some(by), None) => by.to_owned(),
                    (None, Some(why)) => format!("not: {why}"),
                    (None, None) => "needs none".to_owned(),
                    both => panic!("{both:?}"),
                };
                (o["order"]["event"].as_str().unwrap().to_owned(), standing)
            })
            .collect()
    }

    /// The same lines with `change` done to the bodies, and every hash made anew.
    fn anew(&self, change: impl FnOnce(&mut Vec<Value>)) -> Self {
        let mut bodies = self.bodies();
        change(&mut bodies);
        let (mut last, mut text) = (String::new(), String::new());
        for body in bodies {
            // Members of an object stand in no order of their own: what is written is what is hashed.
            let body = body.to_string();
            last = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(format!(
                "{last}{body}"
            )));
            text.push_str(&format!("{{\"hash\":\"{last}\",\"body\":{body}}}\n"));
        }
        Self {
            written: Written {
                tally: self.written.tally.clone(),
                hash: last,
                plans: self.written.plans.clone(),
            },
            text,
        }
    }
}

fn by(record: &DecisionRecord) -> String {
    record.request.decision.to_string()
}

#[track_caller]
fn is_not(orders: &BTreeMap<String, String>, event: &str, why: &[&str]) {
    let found = &orders[event];
    assert!(
        found.starts_with("not: ") && why.iter().all(|w| found.contains(w)),
        "{event}: {found}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_proved_by_a_decision_that_permits_its_side_alone() {
    let shop = Shop::new(PACK).await;
    let push = shop.decide("push", "ann", "lively").await;
    let leave = shop.decide("leave", "ann", "lively").await;
    shop.order("o1", "buy", "lively", Some(&push)).await;
    shop.order("o2", "buy", "lively", Some(&leave)).await;
    shop.order("o3", "buy", "lively", None).await;
    shop.order("o4", "redeem", "calm", Some(&push)).await;
    shop.order("o5", "redeem", "lively", Some(&push)).await;
    // The check is made, and counts for what comes from now on.
    shop.pass(MINUTE_US);
    let check = shop.decide("check", "ann", "lively").await;
    shop.pass(MINUTE_US);
    shop.order("o6", "buy", "lively", Some(&push)).await;
    shop.order("o7", "buy", "lively", Some(&check)).await;
    shop.order("o8", "buy", "lively", None).await;
    shop.order("o9", "buy", "calm", Some(&push)).await;
    shop.order_of("bob", "o10", "placed", "buy", "lively", Some(&check), None)
        .await;
    // The newest that is still valid counts.
    shop.pass(MINUTE_US);
    let later = shop.decide("check", "ann", "lively").await;
    shop.order("o11", "buy", "lively", Some(&push)).await;
    shop.pass(HOUR_US + 1);
    shop.order("o12", "buy", "lively", Some(&push)).await;

    let proof = shop.all().await;
    let orders = proof.orders();
    is_not(
        &orders,
        "o1",
        &["`push`, which permits no order", "`check` alone"],
    );
    is_not(
        &orders,
        "o2",
        &["`leave`, which permits a redemption, not a purchase"],
    );
    is_not(&orders, "o3", &["it names no decision"]);
    is_not(&orders, "o4", &["`push`", "`leave` alone"]);
    assert_eq!(orders["o5"], by(&leave));
    assert_eq!(orders["o6"], by(&check));
    assert_eq!(orders["o7"], by(&check));
    assert_eq!(orders["o8"], by(&check));
    is_not(
        &orders,
        "o9",
        &["no other such decision before it chose this item"],
    );
    is_not(&orders, "o10", &["was of another customer"]);
    assert_eq!(orders["o11"], by(&later));
    is_not(
        &orders,
        "o12",
        &["was no longer valid when the log took the order"],
    );
    assert_eq!(
        (proof.written.tally.orders, proof.written.tally.unproved),
        (12, 7)
    );
    let line = proof.written.plans[0].line();
    assert!(
        line.contains(
            "2 rules; funds: a purchase is permitted by `check`, a redemption by `leave`"
        ),
        "{line}"
    );
    let required = proof.verify(&Expected {
        permits: true,
        ..Expected::default()
    });
    assert_eq!(required.faults_count, 7, "{:?}", required.faults);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_identifier_is_the_same_customer_to_a_permit() {
    let shop = Shop::new(PACK).await;
    shop.knows("ann-phone").await;
    (shop.engine.link("ann", "ann-phone", "test").await).unwrap();
    shop.settle().await;
    let check = shop.decide("check", "ann", "calm").await;
    shop.order_of("ann-phone", "o1", "placed", "buy", "calm", None, None)
        .await;
    // Confirmed under the other identifier it is the same order.
    shop.confirm("ann", "c1", Some("o1"), "calm").await;
    let orders = shop.all().await.orders();
    assert_eq!(orders, BTreeMap::from([("o1".to_owned(), by(&check))]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_policy_says_what_it_permits_the_decision_that_is_named_does() {
    let pack = PACK
        .replace("    permits: buy\n", "")
        .replace("    permits: redeem\n", "");
    let shop = Shop::new(&pack).await;
    let push = shop.decide("push", "ann", "lively").await;
    shop.order("o1", "buy", "lively", Some(&push)).await;
    shop.order("o2", "buy", "lively", None).await;
    shop.order("o3", "redeem", "lively", None).await;
    let proof = shop.all().await;
    let orders = proof.orders();
    assert_eq!(orders["o1"], by(&push));
    is_not(&orders, "o2", &["it names no decision"]);
    assert_eq!(orders["o3"], "needs none");
    let line = proof.written.plans[0].line();
    assert!(line.contains("no policy declares `permits`"), "{line}");
    // From the version on that says it, a push permits nothing more.
    shop.apply(PACK).await;
    let push = shop.decide("push", "ann", "lively").await;
    shop.order("o4", "buy", "lively", Some(&push)).await;
    let proof = shop.all().await;
    is_not(&proof.orders(), "o4", &["permits no order"]);
    assert_eq!(proof.written.plans.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_order_is_missing_from_a_proof() {
    let shop = Shop::new(PACK).await;
    let check = shop.decide("check", "ann", "lively").await;
    shop.order("o1", "buy", "lively", Some(&check)).await;
    shop.order("o2", "buy", "calm", None).await;
    // A sender that tries again tells of no second order.
    shop.order("o2", "buy", "calm", None).await;
    shop.confirm("ann", "c1", Some("o1"), "lively").await;
    // Never submitted: without a permit, under a permit, and without a number.
    shop.confirm("ann", "c2", Some("n2"), "calm").await;
    shop.confirm("ann", "c2-again", Some("n2"), "calm").await;
    shop.confirm("ann", "c3", Some("n3"), "lively").await;
    shop.confirm("ann", "c4", None, "calm").await;
    // Of the same number, but of another customer.
    shop.confirm("bob", "c5", Some("o1"), "lively").await;
    // Submitted afterwards only.
    shop.confirm("ann", "c6", Some("o6"), "calm").await;
    shop.pass(MINUTE_US);
    shop.order("o6", "buy", "calm", None).await;
    shop.event("o7", "ann", "placed", &[("item", text("calm"))], None)
        .await;
    let before = shop.all().await;
    // The events are renamed: what was told under the old names is told all the same.
    shop.apply(
        &PACK
            .replace("placed", "purchase_placed")
            .replace("done", "purchase_done"),
    )
    .await;
    shop.order_of("ann", "o8", "purchase_placed", "buy", "calm", None, None)
        .await;
    let proof = shop.all().await;
    let orders = proof.orders();
    let told: Vec<&str> = orders.keys().map(String::as_str).collect();
    assert_eq!(
        told,
        ["c2", "c3", "c4", "c5", "c6", "o1", "o2", "o6", "o7", "o8"]
    );
    assert_eq!(orders["o1"], by(&check));
    assert_eq!(orders["c3"], by(&check));
    for event in ["c2", "c4", "c5", "c6"] {
        is_not(
            &orders,
            event,
            &["it was confirmed and never submitted before; "],
        );
    }
    for event in ["o2", "o6", "o7", "o8"] {
        is_not(&orders, event, &["it names no decision"]);
    }
    assert_eq!(before.orders().len(), 9);
    assert_eq!(proof.written.tally.orders, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_counts_at_the_time_at_which_the_log_took_it() {
    let shop = Shop::new(PACK).await;
    let check = shop.decide("check", "ann", "lively").await;
    shop.pass(2 * HOUR_US);
    // Sent when the permit is over, and said to have been placed under it.
    let said = Some(START.plus(MINUTE_US));
    shop.order_of("ann", "o1", "placed", "buy", "lively", Some(&check), said)
        .await;
    // Said to have been placed before the decision that it names was made.
    let again = shop.decide("check", "ann", "lively").await;
    shop.order_of("ann", "o2", "placed", "buy", "lively", Some(&again), said)
        .await;
    let orders = shop.all().await.orders();
    is_not(
        &orders,
        "o1",
        &["was no longer valid when the log took the order"],
    );
    is_not(&orders, "o2", &["was made after it"]);
    // The period is of the log's time too: nobody writes an order into a period that was proved already.
    let first = shop.proof(START, START.plus(HOUR_US)).await;
    assert_eq!(
        (first.written.tally.decisions, first.orders().len()),
        (1, 0)
    );
    let second = shop.proof(START.plus(HOUR_US), START.plus(DAY_US)).await;
    assert_eq!(second.orders().len(), 2);
    assert_eq!(
        (second.written.tally.decisions, second.written.tally.earlier),
        (2, 1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permit_ends_with_the_assessment_that_it_stands_on() {
    let shop = Shop::new(PACK).await;
    shop.pass(DAY_US - 2_000_000);
    let check = shop.decide("check", "ann", "lively").await;
    shop.pass(1_000_000);
    shop.order("o1", "buy", "lively", Some(&check)).await;
    shop.pass(2_000_000);
    shop.order("o2", "buy", "lively", Some(&check)).await;
    assert!(shop.clock.now() < check.valid_until);
    let orders = shop.all().await.orders();
    assert_eq!(orders["o1"], by(&check));
    is_not(
        &orders,
        "o2",
        &["does not hold any more at the time of the order: `assessed`"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_was_written_anew_is_told_from_the_one_that_was_kept() {
    let shop = Shop::new(PACK).await;
    let check = shop.decide("check", "ann", "lively").await;
    shop.order("o1", "buy", "lively", Some(&check)).await;
    shop.order("o2", "buy", "calm", None).await;
    let proof = shop.proof(START, START.plus(DAY_US)).await;
    let kept = |permits| Expected {
        hash: Some(proof.written.hash.clone()),
        plans: vec![proof.written.plans[0].hash.to_ascii_uppercase()],
        permits,
    };
    assert_eq!(proof.verify(&kept(false)).faults_count, 0);
    let faults = |proof: &Proof, expected: &Expected| proof.verify(expected).faults.join("\n");
    assert!(faults(&proof, &kept(true)).contains("order o2 has no permit: it names no decision"));

    // An order is left out: the file alone cannot tell, the hash that was kept can.
    let of = |b: &Value, kind: &str| b.get(kind).is_some();
    let left_out = proof.anew(|bodies| {
        bodies.retain(|b| !(of(b, "order") && b["order"]["order"]["event"] == "o2"));
        let end = bodies.last_mut().unwrap();
        end["end"]["orders"] = 1.into();
        end["end"]["unproved"] = 0.into();
    });
    assert_eq!(faults(&left_out, &Expected::default()), "");
    assert!(faults(&left_out, &kept(false)).contains("it is another proof"));

    // The rules are cut from the plan, and every hash is made anew.
    let cut = proof.anew(|bodies| {
        let mut plan = plan(PACK);
        plan.policies.iter_mut().for_each(|p| p.suitability.clear());
        let hash = hex::encode(plan.hash());
        for body in bodies {
            if of(body, "plan") {
                body["plan"]["hash"] = hash.as_str().into();
                body["plan"]["plan"] = String::from_utf8(plan.encode()).unwrap().into();
            }
            if of(body, "decision") {
                let decision = &mut body["decision"];
                decision["record"]["plan_hash"] = hash.as_str().into();
                let grounds = decision["allowed"][0]["grounds"].as_array_mut().unwrap();
                grounds.retain(|g| g["gate"] != "suitability");
            }
        }
    });
    let found = cut.verify(&Expected::default());
    assert_eq!(
        (found.faults_count, found.plans[0].rules),
        (0, 1),
        "{:?}",
        found.faults
    );
    let plans = Expected {
        hash: None,
        ..kept(false)
    };
    assert!(faults(&cut, &plans).contains("is none of those that --plan names"));

    // A line twice, and one of another time.
    for (kind, word) in [
        ("decision", "stands a second time"),
        ("order", "stands a second time"),
    ] {
        let twice = proof.anew(|bodies| {
            let place = bodies.iter().position(|b| of(b, kind)).unwrap();
            let body = bodies[place].clone();
            bodies.insert(place, body);
            let end = bodies.last_mut().unwrap();
            let count = &mut end["end"][format!("{kind}s")];
            *count = (count.as_u64().unwrap() + 1).into();
        });
        let faults = faults(&twice, &Expected::default());
        assert!(
            faults.contains(word) && faults.lines().count() == 1,
            "{faults}"
        );
    }
    for (from, to) in [(DAY_US, 2 * DAY_US), (-DAY_US, 0)] {
        let moved = proof.anew(|bodies| {
            bodies[0]["head"]["from"] = START.plus(from).0.into();
            bodies[0]["head"]["to"] = START.plus(to).0.into();
            let earlier = u64::from(from > 0);
            bodies.last_mut().unwrap()["end"]["earlier"] = earlier.into();
        });
        let faults = faults(&moved, &Expected::default());
        assert_eq!(
            faults.matches("is not of the period").count(),
            3,
            "{faults}"
        );
    }
    // What it says of an order is not taken for true.
    let forged = proof.anew(|bodies| {
        for body in bodies.iter_mut().filter(|b| of(b, "order")) {
            body["order"]["unproved"] = Value::Null;
        }
        bodies.last_mut().unwrap()["end"]["unproved"] = 0.into();
    });
    assert!(faults(&forged, &Expected::default()).contains("is right"));
    // Another format is refused by its number.
    let older = proof.anew(|bodies| bodies[0]["head"]["format"] = 1.into());
    let refused = verify(older.text.as_bytes(), &Expected::default()).unwrap_err();
    assert!(
        refused.detail.contains("format 1, this program reads 2"),
        "{}",
        refused.detail
    );
}
