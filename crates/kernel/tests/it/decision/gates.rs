//! Gates one by one: caps of zero, windows, quiet hours, slates as one contact, imposed choices, traces.

use super::world::{NOW, World, key, plain};
use luopan_kernel::decide::{Contact, Decision, Forced, Gate};
use luopan_kernel::id::DecisionId;
use luopan_kernel::plan::*;
use luopan_kernel::time::{DAY_US, Micros};
use luopan_kernel::value::Value;

fn three() -> World {
    plain(&[1, 3, 2], Exploration::Greedy, 1, None)
}

fn contact(at: i64, decision: u8, item: usize) -> Contact {
    Contact {
        at: Micros(at),
        decision: DecisionId([decision; 16]),
        policy: "reach".into(),
        channel: "email".into(),
        item: key(item),
    }
}

fn cap(limit: u32, window_us: Option<i64>, scope: CapScope) -> CapPlan {
    CapPlan {
        name: "cap".into(),
        limit,
        window_us,
        scope,
    }
}

fn chosen(w: &World) -> Option<String> {
    w.decide(1).choices.first().map(|c| c.item.clone())
}

#[test]
fn the_best_is_chosen_and_ties_go_to_the_first_key() {
    assert_eq!(chosen(&three()), Some(key(1)));
    assert_eq!(
        chosen(&plain(&[5, 7, 7], Exploration::Greedy, 1, None)),
        Some(key(1))
    );
    // Silence wins only when it is better.
    assert_eq!(
        chosen(&plain(&[5], Exploration::Greedy, 1, Some(5.0))),
        Some(key(0))
    );
    assert_eq!(
        chosen(&plain(&[5], Exploration::Greedy, 1, Some(5.1))),
        None
    );
}

#[test]
fn a_cap_of_zero_means_never() {
    for scope in [
        CapScope::Customer,
        CapScope::Policy,
        CapScope::Channel("email".into()),
        CapScope::Item,
    ] {
        let mut w = three();
        w.policy_mut().caps = vec![cap(0, Some(DAY_US), scope.clone())];
        let d = w.decide(1);
        assert!(d.null, "{scope:?}");
        assert_eq!(
            d.refusals[0].count,
            if scope == CapScope::Item { 3 } else { 1 }
        );
    }
}

#[test]
fn a_cap_counts_within_its_window_and_a_slate_once() {
    let mut w = three();
    w.policy_mut().caps = vec![cap(2, Some(DAY_US), CapScope::Customer)];
    // One slate of three items, one contact exactly a window ago: one decision within the window.
    w.contacts = vec![
        contact(NOW - DAY_US, 1, 0),
        contact(NOW - 5, 2, 0),
        contact(NOW - 5, 2, 1),
        contact(NOW - 5, 2, 2),
    ];
    assert_eq!(chosen(&w), Some(key(1)));
    w.contacts[0].at = Micros(NOW - DAY_US + 1);
    assert_eq!(chosen(&w), None);
    assert_eq!(w.decide(1).refusals[0].gate, Gate::Cap);
    // A per-item cap counts the item only.
    w.policy_mut().caps = vec![cap(1, None, CapScope::Item)];
    w.contacts = vec![contact(1, 1, 1)];
    assert_eq!(chosen(&w), Some(key(2)));
}

#[test]
fn quiet_hours_are_local_and_run_over_midnight() {
    let mut w = three();
    w.policy_mut().quiet_hours = Some(QuietHours {
        from_minute: 22 * 60,
        to_minute: 8 * 60,
    });
    // NOW is 13:00 UTC.
    for (offset_hours, quiet) in [(0, false), (8, false), (9, true), (-5, false), (-6, true)] {
        w.request.moment.utc_offset_s = offset_hours * 3600;
        assert_eq!(w.decide(1).null, quiet, "{offset_hours}");
    }
}

#[test]
fn an_imposed_choice_keeps_availability() {
    let mut w = three();
    let force = |w: &mut World, item: Option<&str>| {
        w.request.forced = Some(Forced {
            item: item.map(str::to_owned),
            reason: "logged".into(),
        })
    };
    force(&mut w, Some("item-02"));
    let d = w.decide(1);
    assert_eq!((d.choices[0].item.as_str(), d.propensity), ("item-02", 1.0));
    assert_eq!(d.distribution.probability(Some(2)), 1.0);
    force(&mut w, None);
    let d = w.decide(1);
    assert!(d.null && d.distribution.probability(None) == 1.0 && d.refusals.is_empty());
    force(&mut w, Some("item-02"));
    w.policy_mut().caps = vec![cap(1, None, CapScope::Item)];
    w.contacts = vec![contact(1, 1, 2)];
    let d = w.decide(1);
    assert!(
        d.null
            && d.refusals
                .iter()
                .any(|r| r.gate == Gate::Forced && r.rule == "item-02")
    );
}

#[test]
fn budgets_that_are_named_twice_add_up() {
    let mut w = three();
    w.scene.budgets[0].limit = 10;
    w.spent = vec![3, 0];
    let spend = |cost| BudgetUse {
        budget: 0,
        cost: Expr::Const(Value::Int(cost)),
        price: None,
    };
    w.policy_mut().budgets = vec![spend(4), spend(3)];
    assert_eq!(w.decide(1).debits[0].amount, 7);
    w.policy_mut().budgets = vec![spend(4), spend(4)];
    assert!(w.decide(1).null);
}

#[test]
fn what_a_trace_tells() {
    let mut w = three();
    let risk = Box::new(Expr::Slot(SlotId(6)));
    let expr = Expr::Binary(BinaryOp::Ge, risk, Box::new(Expr::Const(Value::Int(2))));
    w.policy_mut().suitability = vec![NamedRule {
        name: "risk".into(),
        source: "item.risk >= 2".into(),
        expr,
        version: Some("2026-01-01".into()),
        authority: None,
        effective: None,
    }];
    w.policy_mut().exploration = Exploration::EpsilonGreedy { epsilon: 0.5 };
    let d = w.decide(1);
    insta::assert_json_snapshot!(
        "trace",
        serde_json::json!({ "trace": d.trace, "refusals": d.refusals, "distribution": d.distribution })
    );
    w.policy_mut().consent = Some(SlotId(2));
    w.customer.values[2] = Value::Missing;
    insta::assert_json_snapshot!(
        "trace_of_customer",
        serde_json::json!({ "trace": w.decide(1).trace, "refusals": w.decide(1).refusals })
    );
}

/// A rule that the item's risk is at least (or, as an exclusion, below) a number.
fn about_risk(name: &str, op: BinaryOp, risk: i64) -> NamedRule {
    let slot = Box::new(Expr::Slot(SlotId(6)));
    NamedRule {
        name: name.into(),
        source: String::new(),
        expr: Expr::Binary(op, slot, Box::new(Expr::Const(Value::Int(risk)))),
        version: None,
        authority: None,
        effective: None,
    }
}

/// What refused the item that was asked for stands in the trace, each rule of it, however many others were refused before it;
/// without it the trace and the counts are what they are without asking.
#[test]
fn what_refuses_the_item_that_was_asked_for_is_always_traced() {
    let risks: Vec<i64> = (0..120).map(|i| if i < 60 { 1 } else { 2 }).collect();
    let mut w = plain(&risks, Exploration::Uniform, 1, None);
    w.policy_mut().suitability = vec![
        about_risk("one", BinaryOp::Ne, 1),
        about_risk("two", BinaryOp::Ne, 2),
    ];
    w.policy_mut().exclusions = vec![about_risk("three", BinaryOp::Ge, 2)];
    w.policy_mut().caps = vec![cap(1, None, CapScope::Item)];
    w.contacts = vec![contact(1, 1, 95)];
    let unasked = w.decide(1);
    let ask = |w: &mut World, item: &str| {
        w.request.forced = Some(Forced {
            item: Some(item.to_owned()),
            reason: "asked".into(),
        });
        w.decide(1)
    };
    let lines = |d: &Decision, item: &str| -> Vec<(Gate, String)> {
        (d.trace.iter().filter(|c| c.item.as_deref() == Some(item)))
            .filter_map(|c| c.refusal.as_ref())
            .map(|r| (r.gate, r.rule.clone()))
            .collect()
    };
    let asked = key(95);
    assert!(lines(&unasked, &asked).is_empty() && unasked.trace.len() == 50);
    let d = ask(&mut w, &asked);
    assert_eq!(
        lines(&d, &asked),
        [
            (Gate::Suitability, "two".to_owned()),
            (Gate::Exclusion, "three".to_owned()),
            (Gate::ItemCap, "cap".to_owned()),
        ]
    );
    assert!(d.null && d.trace.len() == 50);
    let counts = d.refusals.iter().filter(|r| r.gate != Gate::Forced);
    assert!(counts.eq(unasked.refusals.iter()), "counts stay");
    // The best of what may be chosen gives way to it.
    w.policy_mut().suitability.remove(0);
    let d = ask(&mut w, &asked);
    assert_eq!((lines(&d, &asked).len(), d.trace.len()), (3, 50));
    // One that is no item, and one that the budget does not cover.
    let d = ask(&mut w, "nothing");
    assert_eq!(lines(&d, "nothing"), [(Gate::Forced, "nothing".to_owned())]);
    w.policy_mut().suitability.clear();
    w.policy_mut().exclusions.clear();
    w.scene.budgets[0].limit = 10;
    w.spent = vec![3, 0];
    w.policy_mut().budgets = vec![BudgetUse {
        budget: 0,
        cost: Expr::Const(Value::Int(8)),
        price: None,
    }];
    let d = ask(&mut w, &key(96));
    assert_eq!(lines(&d, &key(96)).len(), 1);
    assert_eq!(lines(&d, &key(96))[0].0, Gate::Budget);
    // What refuses the customer comes first, and what refuses the item is told all the same.
    w.policy_mut().suitability = vec![about_risk("two", BinaryOp::Ne, 2)];
    w.policy_mut().consent = Some(SlotId(2));
    w.customer.values[2] = Value::Missing;
    let d = ask(&mut w, &key(96));
    assert_eq!(
        (d.trace[0].item.as_ref(), lines(&d, &key(96))),
        (None, vec![(Gate::Suitability, "two".to_owned())])
    );
}
