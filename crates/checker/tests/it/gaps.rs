//! What a record leaves out, tells twice, or tells in an odd order: it is never taken for a rule that was kept.

use crate::streams::check;
use luopan_checker::{Count, Report};
use serde_json::{Value, json};

/// A report of these lines, with every Monday to Friday trading.
fn report(lines: &[Value]) -> Report {
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    let calendar = r#"{"from":"2026-01-01","to":"2026-12-31","closed":[]}"#;
    check(&[("x.jsonl", &text), ("calendar.json", calendar)]).unwrap()
}

fn looks(report: &Report, rule: u8) -> (u64, u64, u64) {
    let Count {
        kept,
        violated,
        unknown,
        ..
    } = report.rules[&rule];
    (kept, violated, unknown)
}

/// What was found to be broken of a rule, as words.
fn broken(report: &Report, rule: u8) -> String {
    let found = report.rules[&rule].violations.iter();
    found
        .map(|e| e.found.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

/// A line at a moment of 20 November 2026 (a Friday) by the clock of China, or of another day of that month.
fn at(day: u32, time: &str, kind: &str, more: Value) -> Value {
    let mut line = json!({"type": kind, "at": format!("2026-11-{day:02}T{time}+08:00")});
    line.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    line
}

fn customer(name: &str, more: Value) -> Value {
    let mut told = json!({"customer": name, "risk_appetite": 3, "appetite_expires_at": "2027-01-01T00:00:00Z", "qualified": true});
    told.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    at(1, "00:00:00", "customer", told)
}

fn product(name: &str, more: Value) -> Value {
    let mut told = json!({"product": name, "risk_level": 3});
    told.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    at(1, "00:00:00", "product", told)
}

fn order(day: u32, time: &str, id: &str, step: &str, more: Value) -> Value {
    let mut told = json!({"id": id, "customer": "c", "product": "p", "step": step, "side": "buy", "channel": "app", "trail": "t"});
    told.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    at(day, time, "order", told)
}

fn push(more: Value) -> Value {
    let mut told = json!({"id": "d", "customer": "c", "purpose": "push", "channel": "app", "items": ["p"], "queued": true, "reads": ["habit"]});
    told.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    at(20, "10:00:00", "decision", told)
}

fn sent() -> Value {
    at(
        20,
        "12:00:00",
        "send",
        json!({"decision": "d", "customer": "c", "status": "sent"}),
    )
}

#[test]
fn an_order_of_which_only_the_confirmation_is_told_is_judged_by_it() {
    let confirmed = |customer: Value, more: Value| {
        report(&[
            customer,
            product("p", json!({"notice_version": "2"})),
            order(20, "18:00:00", "o", "confirmed", more),
        ])
    };
    let found = confirmed(
        customer("c", json!({"risk_appetite": 2})),
        json!({"trail": ""}),
    );
    for rule in [1, 5, 6] {
        assert_eq!(looks(&found, rule).1, 1, "rule {rule}: {found}");
    }
    assert_eq!(
        looks(
            &confirmed(
                customer("c", json!({"appetite_expires_at": null})),
                json!({})
            ),
            4
        )
        .1,
        1
    );
    // One that was submitted is judged at its submission alone.
    let found = report(&[
        customer("c", json!({})),
        product("p", json!({})),
        order(
            20,
            "10:00:00",
            "o",
            "submitted",
            json!({"trade_day": "2026-11-20"}),
        ),
        at(
            20,
            "11:00:00",
            "customer",
            json!({"customer": "c", "risk_appetite": 1}),
        ),
        order(23, "18:00:00", "o", "confirmed", json!({})),
    ]);
    assert_eq!((found.violated(), found.unknown()), (0, 0), "{found}");
}

#[test]
fn an_order_id_that_stood_for_something_else_is_told_and_its_order_is_judged() {
    let private = |name| product(name, json!({"private": true}));
    let first = order(
        18,
        "10:00:00",
        "o",
        "submitted",
        json!({"trade_day": "2026-11-18"}),
    );
    let again = |more: Value| {
        let second = order(20, "10:00:00", "o", "submitted", more.clone());
        let mut confirmed = more;
        confirmed.as_object_mut().unwrap().remove("trade_day");
        report(&[
            customer("c", json!({})),
            customer("b", json!({})),
            private("p"),
            private("q"),
            first.clone(),
            second,
            order(20, "18:00:00", "o", "confirmed", confirmed),
        ])
    };
    for (more, word) in [
        (
            json!({"product": "q", "trade_day": "2026-11-20"}),
            "of p, and now for one of q",
        ),
        (
            json!({"customer": "b", "trade_day": "2026-11-20"}),
            "an order of c has this id too",
        ),
    ] {
        let found = again(more);
        assert_eq!(broken(&found, 6).matches(word).count(), 1, "{found}");
        // Counted from its own time: not yet 24 hours after it was signed.
        assert!(broken(&found, 7).contains("confirmed 8h"), "{found}");
        assert_eq!(looks(&found, 4).0, 2, "both were judged: {found}");
    }
    let found = again(json!({"side": "redeem", "trade_day": "2026-11-20"}));
    assert!(
        broken(&found, 6).contains("stood for a Buy, and now for a Redeem"),
        "{found}"
    );
    // One that ended is not submitted anew under the same id; what is told again of it changes nothing.
    let end = order(18, "11:00:00", "o", "failed", json!({}));
    let world = [
        customer("c", json!({})),
        product("p", json!({})),
        first.clone(),
    ];
    let with = |more: &[Value]| report(&[&world[..], more].concat());
    let later = order(
        20,
        "10:00:00",
        "o",
        "submitted",
        json!({"trade_day": "2026-11-20"}),
    );
    assert!(broken(&with(&[end.clone(), later]), 6).contains("was failed at"));
    assert_eq!(with(&[first.clone(), end]).violated(), 0);
}

#[test]
fn a_queued_push_keeps_at_its_send_all_that_a_push_keeps() {
    for (rule, change) in [
        (
            1,
            at(
                20,
                "11:00:00",
                "product",
                json!({"product": "p", "not_for_classes": [3]}),
            ),
        ),
        (
            2,
            at(
                20,
                "11:00:00",
                "customer",
                json!({"customer": "c", "risk_appetite": 2}),
            ),
        ),
        (
            4,
            at(
                20,
                "11:00:00",
                "customer",
                json!({"customer": "c", "appetite_expires_at": "2026-11-20T03:30:00Z"}),
            ),
        ),
        (6, at(20, "11:00:00", "erased", json!({"customer": "c"}))),
        (
            7,
            at(
                20,
                "11:00:00",
                "customer",
                json!({"customer": "c", "qualified": false}),
            ),
        ),
        (
            10,
            at(
                20,
                "11:00:00",
                "customer",
                json!({"customer": "c", "personalisation": false}),
            ),
        ),
        (
            11,
            at(
                20,
                "11:00:00",
                "customer",
                json!({"customer": "c", "opted_out": true}),
            ),
        ),
    ] {
        let world = [
            customer("c", json!({})),
            product("p", json!({"private": true})),
        ];
        let with = |change: &[Value]| {
            report(&[&world[..], &[push(json!({}))], change, &[sent()]].concat())
        };
        assert_eq!(with(&[]).violated(), 0);
        let found = with(&[change]);
        assert_eq!(
            (found.violated(), looks(&found, rule).1),
            (1, 1),
            "rule {rule}: {found}"
        );
    }
    // A fund that became private is one of these too.
    let found = report(&[
        customer("c", json!({"qualified": null})),
        product("p", json!({})),
        push(json!({})),
        at(
            20,
            "11:00:00",
            "product",
            json!({"product": "p", "private": true}),
        ),
        sent(),
    ]);
    assert_eq!(looks(&found, 7).1, 1, "{found}");
}

#[test]
fn a_queued_push_of_which_nothing_more_is_told_is_unknown() {
    let world = [customer("c", json!({})), product("p", json!({}))];
    let with = |more: &[Value]| report(&[&world[..], more].concat());
    let found = with(&[push(json!({}))]);
    for rule in [3, 7, 11] {
        assert_eq!(looks(&found, rule).2, 1, "rule {rule}: {found}");
    }
    assert_eq!(with(&[push(json!({})), sent()]).unknown(), 0);
    // Two of one id: of the first nothing is known.
    assert_eq!(
        looks(&with(&[push(json!({})), push(json!({})), sent()]), 3).2,
        1
    );
    // Nor of those that are forgotten for later ones.
    let many: Vec<Value> = (0..300)
        .map(|n| push(json!({"id": n.to_string()})))
        .collect();
    assert_eq!(looks(&with(&many), 3).2, 300);
}

#[test]
fn fast_redemptions_are_summed_a_day_and_one_of_unknown_amount_leaves_it_open() {
    let money = product(
        "p",
        json!({"money_market": true, "fast_redemption_limit": 1000}),
    );
    let fast = |day: u32, time: &str, id: &str, step: &str, amount: Value| {
        order(
            day,
            time,
            id,
            step,
            json!({"side": "redeem", "fast": true, "amount": amount, "trade_day": null}),
        )
    };
    let thirteen = |lines: &[Value]| looks(&report(&[&[money.clone()][..], lines].concat()), 13);
    let both = |a: Value, b: Value| {
        thirteen(&[
            fast(20, "10:00:00", "a", "submitted", a),
            fast(20, "10:00:01", "a", "accepted", json!(null)),
            fast(20, "11:00:00", "b", "submitted", b),
            fast(20, "11:00:01", "b", "accepted", json!(null)),
        ])
    };
    assert_eq!(both(json!(400), json!(600)), (2, 0, 0));
    assert_eq!(both(json!(null), json!(1000)), (0, 0, 2));
    assert_eq!(
        both(json!(null), json!(1001)),
        (0, 1, 1),
        "more than the limit by itself"
    );
    // A redemption of the day before that is taken after midnight leaves the day's own sum as it is.
    let late = [
        fast(19, "23:59:00", "a", "submitted", json!(1000)),
        fast(20, "00:10:00", "b", "submitted", json!(1000)),
        fast(20, "00:10:01", "b", "accepted", json!(null)),
        fast(20, "00:20:00", "a", "accepted", json!(null)),
        fast(20, "00:30:00", "c", "submitted", json!(1000)),
        fast(20, "00:30:01", "c", "accepted", json!(null)),
    ];
    assert_eq!(thirteen(&late), (2, 1, 0));
    // Told only when it was taken.
    assert_eq!(
        thirteen(&[fast(20, "10:00:00", "a", "accepted", json!(1001))]),
        (0, 1, 0)
    );
    // What was refused takes nothing, what is confirmed all the same does.
    let refused = [
        fast(20, "10:00:00", "a", "submitted", json!(1001)),
        fast(20, "10:00:01", "a", "failed", json!(null)),
    ];
    assert_eq!(thirteen(&refused), (0, 0, 0));
    let confirmed = fast(20, "10:00:02", "a", "confirmed", json!(null));
    assert_eq!(thirteen(&[&refused[..], &[confirmed]].concat()).1, 1);
}

/// Days that are no longer remembered are unknown, and never begin anew.
#[test]
fn a_forgotten_day_of_fast_redemptions_is_unknown() {
    let fast = |day: i64, id: &str, step: &str| {
        let day = jiff::civil::date(2026, 1, 1) + jiff::ToSpan::days(day);
        json!({"type": "order", "at": format!("{day}T10:00:00+08:00"), "id": id, "customer": "c", "product": "p", "step": step, "side": "redeem", "fast": true, "amount": 1000})
    };
    let mut product = product("p", json!({"fast_redemption_limit": 1000}));
    product["at"] = json!("2026-01-01T00:00:00+08:00");
    let mut lines = vec![product, fast(0, "late", "submitted")];
    for day in 0..40 {
        let id = format!("o{day}");
        lines.push(fast(day, &id, "submitted"));
        lines.push(fast(day, &id, "accepted"));
    }
    lines.push(fast(40, "late", "accepted"));
    assert_eq!(looks(&report(&lines), 13), (40, 0, 1));
}

#[test]
fn what_is_given_for_a_purchase_breaks_the_rule_whatever_the_word() {
    let given = |condition: Value| {
        let journey =
            json!({"id": "j", "incentive": {"kind": "red_packet", "conditional_on": condition}});
        looks(&report(&[at(20, "10:00:00", "journey", journey)]), 8)
    };
    for word in [
        "fund_purchase",
        "Fund_Purchase",
        "fund-purchase",
        "fundPurchase",
        "order_submitted",
        "ORDER confirmed",
        "申购",
    ] {
        assert_eq!(given(json!(word)), (0, 1, 0), "{word}");
    }
    for word in ["login", "Log-in", "risk assessment"] {
        assert_eq!(given(json!(word)), (1, 0, 0), "{word}");
    }
    for word in ["loyalty", "", "not_a_purchase"] {
        assert_eq!(given(json!(word)), (0, 0, 1), "{word}");
    }
    assert_eq!(given(json!(null)), (1, 0, 0));
    let both = r#"{"other_conditions": ["Purchase"]}"#;
    let refused = check(&[("x.jsonl", ""), ("config.json", both)]).unwrap_err();
    assert!(
        refused.contains("stands in purchase_conditions and in other_conditions"),
        "{refused}"
    );
}

#[test]
fn what_is_confirmed_after_it_was_cancelled_is_told_and_moves_shares() {
    let ladder = product(
        "p",
        json!({"fee_ladder": [{"under_days": 30, "rate": 0.01}]}),
    );
    let found = report(&[
        customer("c", json!({})),
        ladder,
        order(
            18,
            "10:00:00",
            "o",
            "submitted",
            json!({"trade_day": "2026-11-18"}),
        ),
        order(18, "11:00:00", "o", "cancelled", json!({})),
        order(19, "18:00:00", "o", "confirmed", json!({"shares": 100.0})),
        order(
            20,
            "10:00:00",
            "r",
            "submitted",
            json!({"side": "redeem", "trade_day": "2026-11-20"}),
        ),
        order(
            23,
            "18:00:00",
            "r",
            "confirmed",
            json!({"side": "redeem", "shares": 100.0, "nav": 1.0, "fee": 100}),
        ),
    ]);
    assert_eq!(
        broken(&found, 12),
        "it was cancelled at 2026-11-18T03:00:00Z, and is confirmed"
    );
    assert_eq!(
        (looks(&found, 14), found.violated()),
        ((1, 0, 0), 1),
        "{found}"
    );
}

#[test]
fn blank_evidence_is_none() {
    let recorded = product("p", json!({"recording_channels": ["app"]}));
    for blank in ["", " ", "\t\n"] {
        let evidence = json!({"trail": blank, "recording": blank, "trade_day": "2026-11-20"});
        let bought = order(20, "10:00:00", "o", "submitted", evidence);
        let found = report(&[customer("c", json!({})), recorded.clone(), bought]);
        assert_eq!(looks(&found, 6), (0, 2, 0), "{found}");
        let checked =
            push(json!({"purpose": "buy", "queued": false, "trail": blank, "recording": blank}));
        let found = report(&[customer("c", json!({})), recorded.clone(), checked]);
        assert_eq!(looks(&found, 6), (0, 2, 0), "{found}");
    }
}

/// A rating or class that is none of the five is told of that product or customer, and ends no check; it makes nothing eligible.
#[test]
fn a_rating_that_is_none_is_told_of_its_product_alone() {
    let shown = |item: &str, who: &str| {
        let d = json!({"id": item, "customer": who, "purpose": "show", "channel": "app", "items": [item]});
        at(20, "10:00:00", "decision", d)
    };
    let world = [
        customer("c", json!({})),
        customer("d", json!({"risk_appetite": 9})),
        product("p", json!({})),
        product("q", json!({"risk_level": 9, "issuer_rating": 1})),
    ];
    let with = |more: &[Value]| report(&[&world[..], more].concat());
    let found = with(&[shown("p", "c")]);
    assert_eq!(
        (looks(&found, 4), found.violated()),
        ((1, 0, 2), 0),
        "{found}"
    );
    let named = &found.rules[&4].unknowns;
    assert!(
        named
            .iter()
            .any(|e| e.product == "q" && e.found.starts_with("risk_level is 9")),
        "{found}"
    );
    assert!(named.iter().any(|e| e.customer == "d"), "{found}");
    assert_eq!(
        looks(&with(&[shown("q", "c")]), 4).1,
        1,
        "offered all the same"
    );
    assert_eq!(
        looks(&with(&[shown("p", "d")]), 4).1,
        1,
        "to whom has no class"
    );
}

/// An article is contact and reads as anything does; it has no risk. A redemption of her own offers nothing, and advice to leave
/// a fund shows its fee and offers none.
#[test]
fn what_is_no_product_is_contact_and_needs_no_rating() {
    let private = product("p", json!({"private": true, "risk_level": 5}));
    let off = json!({"personalisation": false, "opted_out": true, "qualified": null});
    let signed = order(
        20,
        "09:00:00",
        "o",
        "submitted",
        json!({"side": "redeem", "trade_day": "2026-11-20"}),
    );
    let world = [customer("c", off), private, signed];
    let with = |more: Value| report(&[&world[..], &[push(more)]].concat());
    let found = with(json!({"items": [], "other": ["article"], "queued": false}));
    let broken: Vec<u8> = (1..=16).filter(|rule| looks(&found, *rule).1 > 0).collect();
    assert_eq!(broken, [10, 11], "{found}");
    assert_eq!(found.products, 1, "an article is no product");
    let found = with(json!({"purpose": "redeem", "queued": false}));
    assert_eq!((found.violated(), found.unknown()), (0, 0), "{found}");
    let advice =
        json!({"items": [], "purpose": "show", "switch_from": "p", "queued": false, "reads": []});
    let found = with(advice);
    let broken: Vec<u8> = (1..=16).filter(|rule| looks(&found, *rule).1 > 0).collect();
    assert_eq!(broken, [14], "{found}");
}
