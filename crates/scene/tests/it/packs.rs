//! The shipped packs: they compile, and their meaning changes only when somebody says so.

use crate::support::{SHIPPED, compile, root, shipped};
use luopan_kernel::features::dimension;
use luopan_kernel::plan::ScenePlan;

#[test]
fn shipped_packs_have_no_faults_and_survive_storage() {
    for name in SHIPPED {
        let checked = shipped(name);
        assert_eq!(checked.plan.name, name);
        let bytes = checked.plan.encode();
        let back = ScenePlan::decode(&bytes).unwrap();
        assert_eq!(back, checked.plan);
        assert_eq!(back.hash(), checked.plan.hash());
        for (mapping_name, mapping) in &checked.mappings {
            let stored = serde_json::to_string(mapping).unwrap();
            assert_eq!(
                &serde_json::from_str::<luopan_scene::Mapping>(&stored).unwrap(),
                mapping,
                "{mapping_name}"
            );
        }
    }
}

/// The compiled plans are kept beside the tests: a change of meaning is seen in review. `LUOPAN_BLESS=1` writes them anew.
#[test]
fn compiled_plans_are_those_on_record() {
    for name in SHIPPED {
        let plan = shipped(name).plan;
        let path = root().join(format!("crates/scene/tests/golden/{name}.plan.json"));
        let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        if std::env::var_os("LUOPAN_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{} differs; look at why, then run this test with LUOPAN_BLESS=1",
            path.display()
        );
    }
}

#[test]
fn the_packs_hold_what_their_readmes_say() {
    let email = shipped("email-campaign").plan;
    let policies: Vec<&str> = email.policies.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        policies,
        [
            "learned",
            "random",
            "fixed_mens_email",
            "fixed_womens_email",
            "fixed_no_email"
        ]
    );
    assert!(email.policy("learned").unwrap().null_action.is_arm);
    // Intercept, recency, history, goods, new, place, channel, action, action with women's goods only.
    assert_eq!(
        dimension(&email.models[0]),
        1 + 1 + 7 + 3 + 1 + 2 + 2 + 3 + 3
    );
    let bank = shipped("bank-telemarketing").plan;
    // Intercept, contact, month, weekday, earlier outcome, days since, earlier calls, calls, age, five indicators.
    assert_eq!(
        dimension(&bank.models[0]),
        1 + 2 + 10 + 5 + 3 + 4 + 4 + 6 + 7 + 5
    );
    let fund = shipped("fund").plan;
    assert!(
        fund.catalogues[0].items.is_empty(),
        "made-up funds would be sold beside real ones"
    );
    let aggregates =
        (fund.tags.iter()).filter(|t| fund.events[usize::from(t.event)].name != "luopan.customer");
    assert_eq!(aggregates.count(), 179);
    assert_eq!(fund.zone_attribute.as_deref(), Some("zone"));
    for name in SHIPPED {
        let plan = shipped(name).plan;
        let readme =
            std::fs::read_to_string(root().join("scenes").join(name).join("README.md")).unwrap();
        let names = (plan.policies.iter().map(|p| p.name.as_str()))
            .chain(plan.rewards.iter().map(|r| r.name.as_str()))
            .chain(
                plan.catalogues
                    .iter()
                    .flat_map(|c| c.items.iter().map(|i| i.key.as_str())),
            )
            .chain(
                plan.events
                    .iter()
                    .map(|e| e.name.as_str())
                    .filter(|n| !n.starts_with("luopan.")),
            );
        for word in names {
            assert!(
                readme.contains(&format!("`{word}`")),
                "scenes/{name}/README.md does not name `{word}`"
            );
        }
    }
}

#[test]
fn the_length_of_a_call_is_refused_as_a_feature_with_the_reason() {
    let mut pack = luopan_scene::load_folder(&root().join("scenes/bank-telemarketing")).unwrap();
    for (path, text) in &mut pack.files {
        if path == "policies.yaml" {
            *text = text.replace(
                "{standard: request.emp_var_rate,",
                "{standard: talked_longest,",
            );
        }
    }
    let faults = luopan_scene::compile(pack).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, luopan_scene::Code::NotAFeature);
    assert!(
        faults[0].found.contains("known only after the call"),
        "{}",
        faults[0]
    );
}

#[test]
fn what_is_made_of_such_a_field_is_refused_too() {
    let pack = |feature: &str| {
        format!(
            "scene: a\n\
             events: {{call: {{fields: {{length: {{type: duration, not_a_feature: known only afterwards}}, sold: boolean}}}}}}\n\
             tags:\n  long_calls: {{event: call, aggregate: count, where: 'length > duration(\"1m\")'}}\n\
             \u{20} share: {{event: call, aggregate: ratio, where: sold, denominator: {{where: 'length > duration(\"1m\")'}}}}\n\
             \u{20} calls: {{event: call, aggregate: count}}\n\
             derived: {{many_long: long_calls > 3}}\n\
             catalogues: {{c: {{}}}}\n\
             rewards: {{sold: {{event: call, join: customer, value: sold, window: 1d}}}}\n\
             models: {{m: {{kind: logistic, scope: per_item, reward: sold, catalogue: c, features: [{feature}]}}}}\n"
        )
    };
    for feature in [
        "{standard: long_calls, mean: 0, scale: 1}",
        "{one_hot: many_long}",
        "{bins: share, edges: [0.5]}",
    ] {
        let faults = compile(&pack(feature)).unwrap_err();
        assert_eq!(
            faults.len(),
            1,
            "{feature}: {}",
            crate::support::lines(&faults)
        );
        assert_eq!(faults[0].code, luopan_scene::Code::NotAFeature);
    }
    compile(&pack("{standard: calls, mean: 0, scale: 1}")).unwrap();
}

#[test]
fn a_tag_keeps_its_id_when_other_things_are_declared() {
    let small = compile("scene: a\nevents: {e: {fields: {x: integer}}}\ntags: {sum_x: {event: e, aggregate: sum, of: x, where: x > 1}}").unwrap();
    let large = compile(
        "scene: a\nevents: {d: {fields: {a: text}}, e: {fields: {a: text, x: integer, z: text}}}\n\
         tags: {other: {event: d, aggregate: count}, total: {event: e, aggregate: sum, of: x, where: x > 1, default: 5}}",
    )
    .unwrap();
    let other = compile("scene: a\nevents: {e: {fields: {x: integer}}}\ntags: {sum_x: {event: e, aggregate: sum, of: x, where: x > 2}}").unwrap();
    let id = |c: &luopan_scene::Checked, name: &str| {
        c.plan.tags.iter().find(|t| t.name == name).unwrap().id
    };
    assert_eq!(id(&small, "sum_x"), id(&large, "total"));
    assert_ne!(id(&small, "sum_x"), id(&other, "sum_x"));
}

#[test]
fn sections_may_stand_in_any_file_and_derived_tags_in_any_order() {
    let one = compile(
        "scene: a\ncustomer: {x: integer}\nderived: {three: two + 1, one: x + 1, two: one + 1}\nsegments: {some: three > 3}",
    )
    .unwrap();
    let names: Vec<&str> = one.plan.slots.iter().map(|s| s.name.as_str()).collect();
    let place = |n: &str| names.iter().position(|s| *s == n).unwrap();
    assert!(
        place("one") < place("two") && place("two") < place("three"),
        "{names:?}"
    );
    let many = luopan_scene::compile(vec![
        (
            "segments/a.yaml".into(),
            "segments: {some: three > 3}".into(),
        ),
        ("scene.yaml".into(), "scene: a".into()),
        (
            "tags/a.yaml".into(),
            "derived: {three: two + 1, one: x + 1, two: one + 1}".into(),
        ),
        ("customer.yaml".into(), "customer: {x: integer}".into()),
    ])
    .unwrap();
    assert_eq!(one.plan, many.plan);
}

#[test]
fn calendars_are_days_or_weekdays() {
    let plan = compile(
        "scene: a\ncalendars:\n  cn: {from: 2026-02-02, to: 2026-02-15, weekdays: [1, 2, 3, 4, 5], closed: [2026-02-03], open: [2026-02-08]}\n\
         segments: {s: \"true\"}\nderived: {open_today: env.trading_day_cn, wait: env.days_to_trading_day_cn}",
    )
    .unwrap()
    .plan;
    // 2026-02-02 is a Monday.
    let first = plan.calendars[0].from_day;
    let days: Vec<i64> = plan.calendars[0].days.iter().map(|d| d - first).collect();
    assert_eq!(days, [0, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
}
