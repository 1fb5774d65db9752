//! What a new version changes: said by name, with what becomes of what is known and learned.

use crate::support::{SHIPPED, compile, shipped};
use luopan_scene::changes;

const BEFORE: &str = r#"
scene: shop
customer: {tier: integer, city: text}
events:
  order: {fields: {amount: {type: money, currency: CNY}, decision_id: text}}
tags:
  orders: {event: order, aggregate: count, window: 30d}
  spent: {event: order, aggregate: sum, of: amount}
derived: {rich: 'spent > money("500", "CNY")'}
catalogues:
  offers: {attributes: {price: integer}, items: {tea: {price: 1}, silk: {price: 2}}}
segments:
  buyers: orders > 0
rewards:
  bought: {event: order, join: {decision: decision_id}, value: "1", window: 7d}
models:
  m: {kind: logistic, scope: shared, reward: bought, catalogue: offers, features: [intercept, {standard: spent, mean: 0, scale: 1}]}
  ear: {kind: logistic, scope: shared, reward: bought, catalogue: offers, features: [intercept, {standard: tier, mean: 0, scale: 1}]}
budgets: {sends: {limit: 5, period: daily}}
policies:
  best:
    catalogue: offers
    channel: app
    eligibility: [{name: buys, rule: orders > 0}]
    score: {model: m}
    exploration: greedy
    null_action: {name: none}
    budgets: [{budget: sends, cost: "1"}]
    rewards: [bought]
"#;

fn said(change: impl Fn(&str) -> String) -> Vec<String> {
    let before = compile(BEFORE).unwrap().plan;
    let text = change(BEFORE);
    assert_ne!(text, BEFORE, "nothing was replaced");
    let after = compile(&text)
        .unwrap_or_else(|f| panic!("{}", crate::support::lines(&f)))
        .plan;
    changes(&before, &after)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_same_meaning_is_no_change() {
    for name in SHIPPED {
        let plan = shipped(name).plan;
        assert_eq!(changes(&plan, &plan), vec![]);
    }
    assert_eq!(
        said(|t| t.replace("scene: shop", "scene: shop\ndescription: told anew")),
        Vec::<String>::new()
    );
}

#[test]
fn an_attribute_of_another_type_is_unknown_and_the_model_knows_it() {
    let found = said(|t| {
        t.replace("tier: integer", "tier: text").replace(
            "{standard: tier, mean: 0, scale: 1}",
            "{one_hot: tier, categories: [a]}",
        )
    });
    assert_eq!(
        found,
        [
            "attribute `tier` changed: was integer, is text: what came before does not count, and it is unknown until it comes again",
            "model `ear` changed: it starts with no samples: its definition changed",
        ]
    );
    // Integers and lengths of time are kept alike; the model's definition stays, and what it reads does not.
    let found = said(|t| t.replace("tier: integer", "tier: duration"));
    assert_eq!(
        found,
        [
            "attribute `tier` changed: was integer, is duration: what came before is folded anew and read as duration",
            "model `ear` changed: it keeps its samples, though what it reads means something else now; rename it to begin anew",
        ]
    );
}

#[test]
fn tags_are_folded_anew_renamed_or_forgotten() {
    assert_eq!(
        said(|t| t.replace(
            "aggregate: count, window: 30d",
            "aggregate: count, window: 14d"
        )),
        ["tag `orders` changed: it is folded anew from the log under its new definition"]
    );
    let renamed = said(|t| t.replace("orders", "purchases"));
    assert_eq!(
        renamed[0],
        "tag `orders` removed: it is forgotten; the log would give it again"
    );
    assert_eq!(
        renamed[1],
        "tag `purchases` added: renamed from `orders`, with all it knows"
    );
    assert_eq!(
        said(|t| t.replace("of: amount}", "of: amount, default: \"3.00\"}")),
        ["tag `spent` changed: where nothing was seen it is 300 now; what is known stays"]
    );
}

#[test]
fn a_model_that_is_only_numbered_otherwise_still_starts_anew() {
    let found = said(|t| t.replace("city: text", "city: text, age: integer"));
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(
        found[0],
        "attribute `age` added: unknown for every customer until it is imported"
    );
    for model in &found[1..] {
        assert!(
            model.contains("it starts with no samples: its definition is the same, but what it reads is numbered otherwise"),
            "{model}"
        );
    }
}

#[test]
fn a_model_that_nobody_waits_for_learns_from_nothing() {
    let found = said(|t| {
        t.replace("score: {model: m}", "score: \"1\"")
            .replace("    rewards: [bought]\n", "")
    });
    assert_eq!(
        found,
        [
            "model `ear` changed: it learns from nothing: no policy waits for its reward `bought`",
            "model `m` changed: it learns from nothing: no policy waits for its reward `bought`",
            "policy `best` changed: `rewards`, `score` differ, from the next decision on",
        ]
    );
    let found = said(|t| t.replace("window: 7d}", "window: 9d}"));
    assert_eq!(found.len(), 3);
    assert!(
        found[1].contains("it keeps its samples, though its reward `bought` changed"),
        "{}",
        found[1]
    );
}

#[test]
fn a_budget_of_another_period_begins_anew() {
    assert_eq!(
        said(|t| t.replace("period: daily", "period: total")),
        ["budget `sends` changed: its period is another: it begins with nothing spent"]
    );
}

#[test]
fn everything_else_is_said_too() {
    let found = said(|t| {
        t.replace("scene: shop", "scene: shop\nzone: Asia/Shanghai")
            .replace("buyers: orders > 0", "buyers: orders > 1\n  all: \"true\"")
            .replace("limit: 5", "limit: 6")
            .replace("silk: {price: 2}", "silk: {price: 3}, jade: {price: 9}")
            .replace("\"500\"", "\"600\"")
            .replace(
                "decision_id: text}}",
                "decision_id: text, note: text}}\n  visit: {}",
            )
            .replace("channel: app", "channel: mail")
    });
    assert_eq!(
        found,
        [
            "setting `zone` changed: was UTC, is Asia/Shanghai",
            "event `order` changed: the field `note` is new",
            "event `visit` added: it is taken in from here on",
            "derived tag `rich` changed: it is computed so from here on",
            "catalogue `offers` changed: 1 item added; 1 item changed",
            "segment `all` added: its members are found among all customers",
            "segment `buyers` changed: its members are found anew among all customers",
            "budget `sends` changed: what was spent under this name stays spent",
            "policy `best` changed: `channel` differs, from the next decision on",
        ]
    );
}
