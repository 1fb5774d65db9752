//! Rules in words.

use crate::support::{EVERY_TYPE, compile, shipped};
use luopan_scene::{Language, Place, words, words_of_event};

#[test]
fn rules_are_said_in_both_languages() {
    let plan = compile(EVERY_TYPE).unwrap().plan;
    let mut said = String::new();
    for source in [
        "item.risk_level <= i && !b",
        "m >= money(\"500\", \"CNY\") || since_order > duration(\"30d\")",
        "s in [\"a\", \"b\"] && !(i in [1, 2])",
        "!known(s) || s.startsWith(\"中\")",
        "t > env.now && n * 2 < 3.5",
        "(i > 1 || b) && i != 4",
        "(b ? i : j) >= max(i, 3)",
        "mean_order < m.orElse(money(\"1\", \"CNY\"))",
        "d > duration(\"90m\")",
        "true",
    ] {
        let rule = luopan_scene::rule(&plan, Place::Item(0), "rule", source).unwrap();
        said += &format!(
            "{source}\n  {}\n  {}\n",
            words(&plan, &rule.expr, Language::English),
            words(&plan, &rule.expr, Language::Chinese)
        );
    }
    insta::assert_snapshot!(said);
}

#[test]
fn filters_are_said_with_the_names_of_fields() {
    let plan = shipped("fund").plan;
    let tag = plan
        .tags
        .iter()
        .find(|t| t.name == "fund_views_7d")
        .unwrap();
    let schema = &plan.events[usize::from(tag.event)];
    let filter = tag.measure.filter.as_ref().unwrap();
    assert_eq!(
        words_of_event(schema, filter, Language::English),
        "page is \"fund\""
    );
    assert_eq!(
        words_of_event(schema, filter, Language::Chinese),
        "page为“fund”"
    );
}
