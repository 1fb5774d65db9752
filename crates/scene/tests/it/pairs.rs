//! What is computed of a customer and an item: maps to choose from, and the derived attributes of a catalogue.

use crate::support::{EVERY_TYPE, compile, faults};
use luopan_kernel::plan::{Expr, FeaturePlan, SlotSource};
use luopan_kernel::rule::{visit_slots, written};
use luopan_kernel::value::{Value, ValueType};
use luopan_scene::changes;
use std::borrow::Cow;

/// A shop whose catalogue derives `derived` and whose policy reads `features` in its model.
fn shop(derived: &str, rest: &str) -> String {
    format!(
        r#"
scene: shop
customer:
  age: integer
  name: {{type: text, one_of: [ann, ben]}}
events:
  view: {{fields: {{kind: text, spent: {{type: money, currency: CNY}}}}}}
  buy: {{fields: {{decision_id: text}}}}
tags:
  funds: {{event: view, aggregate: count, where: 'kind == "fund"'}}
  notes: {{event: view, aggregate: count, where: 'kind == "note"'}}
  spent: {{event: view, aggregate: sum, of: spent}}
derived:
  share: double(funds) / (double(funds) + double(notes) + 1.0)
catalogues:
  products:
    attributes: {{kind: {{type: text, one_of: [fund, note, gold]}}, price: {{type: money, currency: CNY}}}}
    derived:
{derived}
    items: {{a: {{kind: fund, price: "2.00"}}}}
  others: {{attributes: {{kind: text}}}}
rewards:
  bought: {{event: buy, join: {{decision: decision_id}}, value: "1.0", window: 1d}}
{rest}
"#
    )
}

const DERIVED: &str = r#"      liking: {value: '{"fund": share, "note": 1.0 - share}[item.kind]', description: how often she looks at it}
      dear: item.price > spent && item.liking.orElse(0.0) < 0.5"#;

const REST: &str = r#"models:
  m:
    kind: linear
    scope: shared
    reward: bought
    catalogue: products
    reward_bounds: [0, 1]
    features: [intercept, {standard: item.liking, mean: 0, scale: 1}]
policies:
  p:
    catalogue: products
    channel: app
    suitability: [{name: fair, rule: '!item.dear', version: "1"}]
    score: {model: m}
    exploration: greedy
    null_action: {name: nothing}
    rewards: [bought]"#;

#[test]
fn a_derived_attribute_is_an_attribute_of_the_item_for_this_customer() {
    let plan = compile(&shop(DERIVED, REST)).unwrap().plan;
    let liking = plan.slot_for("item.liking", 0).unwrap();
    let slot = &plan.slots[usize::from(liking.0)];
    assert_eq!(slot.source, SlotSource::Paired(0, 0));
    assert_eq!(slot.kind, ValueType::Number);
    let dear = &plan.slots[usize::from(plan.slot_for("item.dear", 0).unwrap().0)];
    assert_eq!(dear.kind, ValueType::Boolean);
    assert_eq!(plan.slot_for("item.liking", 1), None);
    let Expr::Select(_, entries) = &plan.paired[0] else {
        panic!("{:?}", plan.paired[0]);
    };
    assert_eq!(entries[1].0, Value::text("note"));
    let name =
        |id: luopan_kernel::plan::SlotId| Cow::Owned(plan.slots[usize::from(id.0)].name.clone());
    assert_eq!(
        written(&plan.paired[0], &name),
        r#"{"fund": share, "note": 1.0 - share}[item.kind]"#
    );
    let mut read = Vec::new();
    visit_slots(&plan.paired[0], &mut |id| read.push(name(id).into_owned()));
    assert_eq!(read, ["item.kind", "share", "share"]);
    let FeaturePlan::Standard { slot, .. } = plan.models[0].features[1].plan else {
        panic!("{:?}", plan.models[0].features);
    };
    assert_eq!(slot, liking);
    // What it is made of is part of the model.
    let other = DERIVED.replace("1.0 - share", "share * 2.0");
    let now = compile(&shop(&other, REST)).unwrap().plan;
    let told: Vec<String> = (changes(&plan, &now).iter())
        .map(|c| format!("{c:?}"))
        .collect();
    let told = told.join("\n");
    assert!(told.contains("products.liking"), "{told}");
    assert!(told.contains("Model"), "{told}");
}

#[test]
fn each_mistake_in_a_derived_attribute_is_told() {
    for (derived, said) in [
        (
            "      x: share",
            "`item.x` asks nothing of the item; write it under the scene's own `derived`",
        ),
        (
            "      kind: item.price > spent",
            "`item.kind` is an attribute already",
        ),
        (
            "      x: item.x > 1.0",
            "`item.x` cannot be read here; it would be derived from itself",
        ),
        (
            "      x: item.y > 1.0\n      y: double(item.price)",
            "`item.y` cannot be read here; it stands further down",
        ),
        (
            "      x: item.price * 0.5",
            "`item.x` is an amount that is not whole minor units",
        ),
        ("      x: item.cost > spent", "no tag is called `item.cost`"),
        (
            "      x: '{\"fond\": share}[item.kind]'",
            "`item.kind` is never `fond`",
        ),
        (
            "      x: '{\"fund\": share, \"fund\": 1.0}[item.kind]'",
            "a key that the map has already",
        ),
        (
            "      x: '{\"fund\": share, \"note\": \"much\"}[item.kind]'",
            "a map gives unlike things",
        ),
        (
            "      x: '{name: share}[item.kind]'",
            "a key of a map that is no constant",
        ),
        (
            "      x: '{1: share}[item.kind]'",
            "unlike things are compared",
        ),
        ("      x: '{}[item.kind]'", "a map without entries"),
        (
            "      x: '{\"fund\": share}[share]'",
            "a map is asked for a text, an integer or a boolean",
        ),
    ] {
        let found = faults(&shop(derived, ""));
        assert!(found.contains(said), "{derived}: {found}");
        assert_eq!(found.lines().count(), 1, "{derived}: {found}");
    }
    let many: String = (0..65)
        .map(|i| format!("      x{i}: item.price > spent\n"))
        .collect();
    let found = faults(&shop(&many, ""));
    assert!(
        found.contains("`products` has 65 derived attributes; write at most 64"),
        "{found}"
    );
}

#[test]
fn it_is_read_where_the_item_is() {
    let rest = |from: &str, to: &str| {
        assert!(REST.contains(from), "{from}");
        faults(&shop(DERIVED, &REST.replace(from, to)))
    };
    assert_eq!(rest("{model: m}", "item.liking"), "");
    let gate = "suitability: [{name: fair, rule: '!item.dear', version: \"1\"}]";
    let found = rest(gate, "eligibility: [{name: fair, rule: '!item.dear'}]");
    assert!(found.contains("`item.dear` cannot be read here"), "{found}");
    let found = rest("scope: shared", "scope: per_item");
    assert!(
        found.contains("`item.liking` is the item's, and the model has weights for each item"),
        "{found}"
    );
    let found = rest(
        "null_action",
        "slots: 2\n    diversity: {by: item.liking, at_most: 1}\n    null_action",
    );
    assert!(
        found.contains("`item.liking` is derived, and differs from customer to customer"),
        "{found}"
    );
    let found = faults(&shop(
        DERIVED,
        &format!("segments: {{s: item.dear}}\n{REST}"),
    ));
    assert!(found.contains("`item.dear` cannot be read here"), "{found}");
    // What is marked as no feature stays none, whatever is derived from it.
    let marked = shop(DERIVED, REST).replace(
        "kind: {type: text, one_of: [fund, note, gold]}",
        "kind: {type: text, one_of: [fund, note, gold], not_a_feature: told by a guess}",
    );
    let found = faults(&marked);
    assert!(!found.is_empty(), "{found}");
}

#[test]
fn maps_are_chosen_from_wherever_expressions_stand() {
    for rule in [
        "{\"a\": i > 1, \"b\": b}[s]",
        "{1: n, 2: 2}[i] > 1.0",
        "{true: i, false: j}[b] > 3",
        "{\"a\": m, \"b\": m}[s] > item.fee",
    ] {
        let text = format!(
            "{EVERY_TYPE}policies:\n  p:\n    catalogue: funds\n    channel: app\n    suitability: [{{name: x, rule: '{rule}', version: \"1\"}}]\n    score: \"1.0\"\n    exploration: greedy\n    null_action: {{name: nothing}}\n"
        );
        assert_eq!(faults(&text), "", "{rule}");
    }
}

#[test]
fn what_is_nested_as_deeply_as_is_allowed_is_read_back() {
    // Each way to nest, one level deeper at a time, until it is refused.
    let ways: [&dyn Fn(&str) -> String; 5] = [
        &|x| format!("{{1: {x}}}[age]"),
        &|x| format!("min(1, {x})"),
        &|x| format!("(age > 1 ? {x} : 0)"),
        &|x| format!("(1 + {x})"),
        &|x| format!("-({x})"),
    ];
    for way in ways {
        let mut expr = "funds".to_owned();
        let mut deepest = 0;
        for depth in 1..70 {
            expr = way(&expr);
            let derived = format!("      x: '{expr} + (item.dear ? 1 : 0)'\n");
            match compile(&shop(&format!("{DERIVED}\n{derived}"), REST)) {
                Ok(checked) => {
                    let plan = checked.plan;
                    let back = luopan_kernel::plan::ScenePlan::decode(&plan.encode());
                    assert_eq!(back.unwrap(), plan, "{depth}: {expr}");
                    deepest = depth;
                }
                Err(faults) => {
                    let said = crate::support::lines(&faults);
                    assert!(said.contains("nested"), "{depth}: {said}");
                    break;
                }
            }
        }
        assert!((20..70).contains(&deepest), "{expr}: {deepest}");
    }
}
