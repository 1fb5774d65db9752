//! Settings: constants that rules read, typed, set into expressions when the pack is compiled; and what may not be one.

use crate::support::{compile, faults, lines};
use luopan_kernel::plan::{BinaryOp, Expr};
use luopan_kernel::value::Value;
use luopan_scene::Checked;

const PACK: &str = r#"
scene: s
customer: {age: integer, born: time, worth: {type: money, currency: CNY}}
events: {visit: {fields: {seconds: integer}}}
settings:
  oldest: {type: integer, value: 70}
  unset: {type: integer, description: nobody set it}
  open: {type: boolean, value: false}
  longest: {type: duration, value: 30d}
  least: {type: money, currency: CNY, value: "12.50"}
  share: {type: number, value: 0.5}
  since: {type: time, value: "2026-01-01T00:00:00+08:00"}
tags:
  long_visits: {event: visit, aggregate: count, where: seconds > settings.oldest}
derived:
  rule: RULE
"#;

fn checked(text: &str) -> Checked {
    compile(text).unwrap_or_else(|f| panic!("{}", lines(&f)))
}

fn with(rule: &str) -> String {
    PACK.replace("RULE", &format!("'{rule}'"))
}

#[test]
fn a_setting_is_its_value_in_every_expression() {
    let plan = checked(&with("age <= settings.oldest")).plan;
    let Expr::Binary(BinaryOp::Le, _, limit) = &plan.derived[0] else {
        panic!("{:?}", plan.derived[0])
    };
    assert_eq!(**limit, Expr::Const(Value::Int(70)));
    let tag = plan.tags.iter().find(|t| t.name == "long_visits").unwrap();
    let Some(Expr::Binary(BinaryOp::Gt, _, limit)) = &tag.measure.filter else {
        panic!("{:?}", tag.measure)
    };
    assert_eq!(**limit, Expr::Const(Value::Int(70)));
    for rule in [
        "settings.open || !known(settings.unset) || age <= settings.unset",
        "born + settings.longest > settings.since",
        "worth >= settings.least",
        "double(age) * settings.share > 1.0",
    ] {
        checked(&with(rule));
    }
    // Not set is not known, and so is never zero.
    let plan = checked(&with("settings.unset.orElse(3) == 3")).plan;
    assert!(format!("{:?}", plan.derived[0]).contains("Missing"));
    // Another value is another plan; a pack without settings is as it was.
    let other = with("age <= settings.oldest").replace("value: 70", "value: 71");
    assert_ne!(
        checked(&other).plan.hash(),
        checked(&with("age <= settings.oldest")).plan.hash()
    );
    let written = checked(&with("age <= 70").replace("seconds > settings.oldest", "seconds > 70"));
    let named = checked(&with("age <= settings.oldest"));
    assert_eq!(written.plan.derived, named.plan.derived);
}

#[test]
fn what_is_no_setting_is_told_where_it_stands() {
    let told = |pack: &str, wanted: &str| {
        let found = faults(pack);
        assert_eq!(found.lines().count(), 1, "{found}");
        assert!(found.contains(wanted), "{found}");
    };
    let plain = with("age <= settings.oldest");
    told(
        &with("age <= settings.eldest"),
        "no tag is called `settings.eldest`; did you mean `settings.oldest`?",
    );
    told(&with("age <= oldest"), "did you mean `settings.oldest`?");
    told(&with("age <= settings.open"), "unlike things are compared");
    told(
        &plain.replace("{type: boolean, value: false}", "{type: text, value: x}"),
        "`open` is a text; a setting is a boolean, a number, an amount or a time",
    );
    told(
        &plain.replace("value: 0.5", "value: half"),
        "`half` of `share` is not a number; write a number",
    );
    told(
        &plain.replace("{type: money, currency: CNY, value", "{type: money, value"),
        "`least` is money without a currency",
    );
    // One whose own declaration is at fault is told of once, where it stands.
    told(
        &plain.replace("value: 70", "value: old"),
        "`old` of `oldest` is not an integer; write a whole number",
    );
    told(
        &plain.replace("type: integer, value: 70", "type: whole, value: 70"),
        "`whole`",
    );
}
