//! Each line says what it was made of, in the checker's words and no others.

use super::*;
use luopan_kernel::artifact;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::{Decision, Request, Situation, decide};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::Moment;
use luopan_kernel::value::Value;
use serde_json::{Value as Json, json};
use std::borrow::Cow;

fn told(write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>) -> Json {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    assert_eq!(out.pop(), Some(b'\n'), "one line");
    assert!(!out.contains(&b'\n'));
    serde_json::from_slice(&out).unwrap()
}

/// 2026-11-20 10:00 in Shanghai.
const AT: Micros = Micros(1_795_140_000_000_000);
const PACK: &str = r#"
scene: small
zone: Asia/Shanghai
customer:
  age: integer
  risk_appetite: integer
  secret: boolean
request:
  trail_id: text
  shows_return: boolean
  shows_volatility: boolean
catalogues:
  funds:
    attributes:
      risk_level: integer
    items:
      a: {risk_level: 1}
policies:
  push:
    catalogue: funds
    channel: app
    eligibility:
      - {name: adult, rule: age >= 18, version: "1"}
    suitability:
      - {name: fits, rule: item.risk_level <= risk_appetite, version: "1"}
    exclusions:
      - {name: hidden, rule: secret.orElse(false), version: "1"}
    score: "0.0"
    exploration: uniform
    null_action: {name: none}
"#;

fn decided(plan: &ScenePlan, age: i64) -> Decision {
    let policy = plan.policy("push").unwrap();
    let moment = Moment {
        now: AT,
        utc_offset_s: 28_800,
    };
    let mut slots = CustomerSlots::read(plan, &[], moment, &[]);
    let mut set = |name: &str, value| {
        slots.values[usize::from(plan.slot(name).unwrap().0)] = value;
    };
    set("age", Value::Int(age));
    set("risk_appetite", Value::Int(3));
    let catalogue = Catalogue::new(&plan.catalogues[0], 1, []).unwrap();
    let situation = Situation {
        customer: &slots,
        catalogue: &catalogue,
        prepared: None,
        contacts: &[],
        spent: &[],
        elapsed: &[],
        model: None,
        objective_models: &[],
        artifacts: &artifact::NONE,
    };
    let request = Request {
        decision: DecisionId([1; 16]),
        customer: IdentifierId([2; 16]),
        moment,
        slots: None,
        origin: Origin::Live,
        forced: None,
    };
    decide(plan, policy, &situation, &request, 1)
}

#[test]
fn a_decision_tells_what_it_chose_and_what_it_read() {
    let plan = luopan_scene::compile(vec![("scene.yaml".to_owned(), PACK.to_owned())])
        .unwrap_or_else(|f| panic!("{f:?}"))
        .plan;
    let context = [
        (Cow::Borrowed("shows_return"), Value::Bool(true)),
        (Cow::Borrowed("shows_volatility"), Value::Bool(true)),
        (Cow::Borrowed("trail_id"), Value::text("t1")),
    ];
    let line = |decision: &Decision| {
        told(|out| {
            let d = Decided {
                at: AT,
                id: "d1",
                customer: "c",
                purpose: Purpose::Push,
                scene: &plan,
                policy: plan.policy("push").unwrap(),
                decision,
                context: &context,
                text: None,
                queued: true,
                answers: Some("d0"),
            };
            super::decision(out, &d)
        })
    };
    let chosen = line(&decided(&plan, 30));
    assert_eq!(
        chosen,
        json!({
            "type": "decision", "at": "2026-11-20T02:00:00Z", "id": "d1", "customer": "c", "purpose": "push", "channel": "app",
            "policy": "push", "items": ["a"], "queued": true, "reads": ["age", "item.risk_level", "risk_appetite", "secret"],
            "shows": {"return": true, "annualised": false, "volatility": true}, "trail": "t1", "answers": "d0",
        })
    );
    // Whom the customer's own gates refuse nothing else was read of.
    let refused = line(&decided(&plan, 17));
    assert_eq!(refused["items"], json!([]));
    assert_eq!(refused["reads"], json!(["age"]));
}

#[test]
fn facts_are_those_that_the_checker_knows_and_missing_ones_are_taken_away() {
    let attributes = [
        ("income_band", Value::text("A")),
        ("risk_appetite", Value::Int(2)),
        ("appetite_expires_at", Value::Time(AT)),
        ("consent_sms", Value::Missing),
        ("age", Value::text("old")),
    ];
    assert_eq!(
        told(|out| customer(out, AT, "c", &attributes)),
        json!({
            "type": "customer", "at": "2026-11-20T02:00:00Z", "customer": "c", "risk_appetite": 2,
            "appetite_expires_at": "2026-11-20T02:00:00Z", "consent_sms": null,
        })
    );
    let mut out = Vec::new();
    customer(&mut out, AT, "c", &attributes[..1]).unwrap();
    assert!(out.is_empty(), "nothing that the checker reads");
    let terms = Terms {
        confirmation_days: Some(2),
        fee_ladder: Some(vec![(7, 0.015)]),
        money_market: Some(false),
        ..Terms::default()
    };
    let inception = Value::Time(Micros(AT.0 - 10 * 3_600_000_000));
    let attributes = [
        ("name", &Value::text("A fund")),
        ("risk_level", &Value::Missing),
        ("inception", &inception),
        ("recording_required", &Value::Bool(true)),
    ];
    assert_eq!(
        told(|out| product(out, AT, "p", &attributes, &terms, &["app"], 28_800)),
        json!({
            "type": "product", "at": "2026-11-20T02:00:00Z", "product": "p", "risk_level": null, "inception": "2026-11-20",
            "recording_channels": ["app"], "confirmation_days": 2, "money_market": false,
            "fee_ladder": [{"under_days": 7, "rate": 0.015}],
        })
    );
}

#[test]
fn an_order_and_what_is_signed_are_told_field_by_field() {
    let line = Ordered {
        at: AT,
        id: "o1",
        customer: "c",
        product: "p",
        step: Step::Confirmed,
        side: Side::Redeem,
        channel: "app",
        amount: Some(1_234),
        shares: Some(10.5),
        nav: Some(1.0234),
        fee: Some(15),
        trade_day: Some(20_776),
        confirmed_on: Some(20_777),
        earning_changes_on: None,
        fast: true,
        decision: Some("d"),
        recording: None,
        trail: None,
    };
    assert_eq!(
        told(|out| order(out, &line)),
        json!({
            "type": "order", "at": "2026-11-20T02:00:00Z", "id": "o1", "customer": "c", "product": "p", "step": "confirmed",
            "side": "redeem", "channel": "app", "amount": 1234, "shares": 10.5, "nav": 1.0234, "fee": 15,
            "trade_day": "2026-11-19", "confirmed_on": "2026-11-20", "fast": true, "decision": "d",
        })
    );
    assert_eq!(
        told(|out| send(out, AT, "d", "c", SendStatus::Cancelled)),
        json!({"type": "send", "at": "2026-11-20T02:00:00Z", "decision": "d", "customer": "c", "status": "cancelled"})
    );
    assert_eq!(
        told(|out| warning(out, AT, "c", "p", 4)),
        json!({"type": "warning", "at": "2026-11-20T02:00:00Z", "customer": "c", "product": "p", "rating": 4})
    );
    assert_eq!(
        told(|out| acknowledgement(out, AT, "c", "p", "2")),
        json!({"type": "acknowledgement", "at": "2026-11-20T02:00:00Z", "customer": "c", "product": "p", "version": "2"})
    );
    assert_eq!(
        told(|out| conversion(out, AT, "c", "o1")),
        json!({"type": "conversion", "at": "2026-11-20T02:00:00Z", "customer": "c", "order": "o1"})
    );
    // What cannot be written is a fault and leaves no half line.
    let mut out = b"x".to_vec();
    assert!(warning(&mut out, Micros(i64::MAX), "c", "p", 1).is_err());
    assert_eq!(out, b"x");
}
