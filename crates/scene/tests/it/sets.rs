//! Sets of rules: a policy that names one has all of it.

use crate::support::{EVERY_TYPE, compile, faults, lines};

const SETS: &str = r#"
rules:
  adult: {rule: i >= 18, version: "1"}
  cheap: {rule: 'item.fee <= money("1", "CNY")', version: "2"}
  safe: item.risk_level <= 3
rule_sets:
  told: [adult]
  sold: [safe, cheap]
policies:
  offer:
    catalogue: funds
    channel: app
    eligibility: [{use: told}]
    suitability: [{use: sold}, {name: there, rule: known(item.fee)}]
    score: "1.0"
    exploration: greedy
    null_action: {name: nothing}
"#;

fn pack(was: &str, is: &str) -> String {
    assert!(SETS.contains(was), "{was}");
    format!("{EVERY_TYPE}{}", SETS.replace(was, is))
}

#[test]
fn a_set_is_the_rules_that_it_names_in_their_order() {
    let plan = |text: &str| {
        compile(text)
            .unwrap_or_else(|f| panic!("{}", lines(&f)))
            .plan
    };
    let by_set = plan(&pack("rules:", "rules:"));
    let written = plan(&pack("{use: sold}", "{use: safe}, {use: cheap}"));
    let policy = by_set.policy("offer").unwrap();
    let names: Vec<_> = (policy.suitability.iter())
        .map(|r| (r.name.as_str(), r.version.as_deref()))
        .collect();
    assert_eq!(
        names,
        [("safe", None), ("cheap", Some("2")), ("there", None)]
    );
    assert_eq!(policy, written.policy("offer").unwrap());
}

#[test]
fn what_is_wrong_with_a_set_is_told() {
    for (was, is, told) in [
        (
            "[safe, cheap]",
            "[safe, cheep]",
            "no rule is called `cheep`; did you mean `cheap`?",
        ),
        (
            "{use: sold}",
            "{use: soldd}",
            "no rule is called `soldd`; did you mean `sold`?",
        ),
        (
            "  told:",
            "  adult:",
            "`adult` is a rule and a set of rules",
        ),
        (
            "{use: sold}",
            "{use: sold}, {use: safe}",
            "two rules of this policy are called `safe`",
        ),
        ("{use: told}", "{use: sold}", "item"),
        ("told: [adult]", "told: []", "a list of 0; write at least 1"),
    ] {
        let found = faults(&pack(was, is));
        assert!(found.contains(told), "{is}: {found}");
    }
}
