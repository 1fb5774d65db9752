//! Rules that an audience was made by are found again, and better ones than a first look gives.

use std::collections::BTreeMap;

use luopan_kernel::random::Random;
use luopan_learning::audience::{
    Condition, Kind, Method, Rules, Settings, describe, find, held_out, judge,
};

use super::{at_least, below, customers, one_of, rules};

fn planted() -> Rules {
    rules(vec![
        vec![
            at_least("balance", 12_340.0),
            one_of("city", &["Suzhou", "Wuhan", "Ürümqi"]),
        ],
        vec![
            below("age", 31.0),
            at_least("visits", 2.5),
            one_of("level", &["gold"]),
        ],
        vec![at_least("age", 70.0), one_of("city", &["Aksu"])],
    ])
}

fn sorted(rules: &Rules) -> Vec<String> {
    let mut texts: Vec<String> = rules.rules.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

#[test]
fn planted_rules_are_found_exactly() {
    for seed in 1..6 {
        let frame = customers(6_000, seed);
        let audience = planted().holds(&frame).expect("rows");
        let held = held_out(&frame.row_hashes(), 0.4, seed).expect("rows");
        let settings = Settings::default();
        let found = describe(&frame, &audience, &held, &settings, 0.95).expect("rules");
        // The same rows; the cut may lie anywhere between two values that were seen.
        assert_eq!(found.learned.fidelity.share, 1.0, "{:?}", found.rules);
        assert!(found.held_out.fidelity.share > 0.998, "{:?}", found.rules);
        assert_eq!(found.rules.rules.len(), 3);
        assert_eq!(found.rules.conditions(), 7);
        let shape = |of: &Rules| -> Vec<Vec<String>> {
            let columns = |rule: &luopan_learning::audience::Rule| {
                let mut names: Vec<String> = rule
                    .conditions
                    .iter()
                    .map(|c| c.column().to_owned())
                    .collect();
                names.sort();
                names
            };
            let mut all: Vec<_> = of.rules.iter().map(columns).collect();
            all.sort();
            all
        };
        assert_eq!(shape(&found.rules), shape(&planted()));
        // With all values seen the cuts are the planted ones.
        let all = customers(60_000, 99);
        let audience = planted().holds(&all).expect("rows");
        let none = vec![false; 60_000];
        if seed == 1 {
            let again = find(&all, &audience, &none, &settings).expect("rules");
            assert_eq!(sorted(&again), sorted(&planted()));
        }
    }
}

/// One that never holds a row in the audience by half but is right in an exclusive-or: no first condition helps by itself.
#[test]
fn conditions_that_help_together_alone_are_found() {
    let frame = customers(4_000, 5);
    let truth = rules(vec![
        vec![at_least("age", 48.0), below("visits", 2.5)],
        vec![below("age", 48.0), at_least("visits", 2.5)],
    ]);
    let audience = truth.holds(&frame).expect("rows");
    let none = vec![false; 4_000];
    let found = find(&frame, &audience, &none, &Settings::default()).expect("rules");
    assert_eq!(found.holds(&frame).expect("rows"), audience, "{found:?}");
    assert_eq!(found.conditions(), 4);
}

#[test]
fn revising_is_never_worse_and_often_better() {
    let mut better = 0;
    for seed in 0..12 {
        let frame = customers(1_500, seed);
        let truth = planted().holds(&frame).expect("rows");
        let mut random = Random::new(seed);
        let audience: Vec<bool> = truth
            .iter()
            .map(|x| *x != (random.uniform() < 0.08))
            .collect();
        let (none, all) = (vec![false; 1_500], vec![true; 1_500]);
        let with = |method| {
            let settings = Settings {
                method,
                rules_max: 3,
                condition_cost: 0.0,
                cuts_max: 12,
                ..Settings::default()
            };
            let found = find(&frame, &audience, &none, &settings).expect("rules");
            judge(&found, &frame, &audience, &all, 0.95)
                .expect("figures")
                .fidelity
                .count
        };
        let (first, revised) = (with(Method::Covering), with(Method::Revised));
        assert!(revised >= first, "seed {seed}: {first} {revised}");
        better += u32::from(revised > first);
    }
    assert!(better >= 8, "{better}");
}

#[test]
fn limits_are_kept() {
    let frame = customers(3_000, 8);
    let truth = planted().holds(&frame).expect("rows");
    let mut random = Random::new(8);
    let audience: Vec<bool> = truth
        .iter()
        .map(|x| *x != (random.uniform() < 0.2))
        .collect();
    let (none, all) = (vec![false; 3_000], vec![true; 3_000]);
    let mut coverage = f64::INFINITY;
    for purity_least in [0.0, 0.5, 0.7, 0.8] {
        let settings = Settings {
            purity_least,
            support_least: 0.02,
            rules_max: 2,
            conditions_max: 2,
            ..Settings::default()
        };
        let found = find(&frame, &audience, &none, &settings).expect("rules");
        let figures = judge(&found, &frame, &audience, &all, 0.95).expect("figures");
        assert!(found.rules.len() <= 2);
        for (rule, step) in found.rules.iter().zip(&figures.steps) {
            assert!(rule.conditions.len() <= 2);
            assert!(step.purity.share >= purity_least, "{step:?}");
            assert!(step.purity.of >= 60, "{step:?}");
        }
        assert!(figures.coverage.share <= coverage + 0.05);
        coverage = figures.coverage.share;
    }
}

#[test]
fn a_scene_is_given_what_it_reads() {
    let of = |name: &str, kind| (name.to_owned(), kind);
    let settings = Settings {
        kinds: BTreeMap::from([
            of("amount", Kind::Money("CNY".to_owned())),
            of("yen", Kind::Money("JPY".to_owned())),
            of("since", Kind::Duration),
            of("flag", Kind::Boolean),
        ]),
        ..Settings::default()
    };
    let name = |column: &str| column.to_owned();
    let words = vec!["a \"b\"\\".to_owned(), "c\nd".to_owned()];
    let all = rules(vec![
        vec![
            at_least("amount", 5_000_050.0),
            below("yen", -3.0),
            below("since", 129_600_000_000.0),
        ],
        vec![
            at_least("flag", 1.0),
            below("x.y", 0.25),
            at_least("n", -12.0),
        ],
        vec![
            Condition::OneOf {
                column: name("city"),
                words: words.clone(),
            },
            Condition::NoneOf {
                column: name("kind"),
                words,
            },
        ],
        vec![below("flag", 1.0), one_of("city", &["上海"])],
        vec![
            Condition::NoneOf {
                column: name("level"),
                words: vec![name("gold")],
            },
            at_least("big", 1e20),
        ],
        vec![Condition::Missing {
            column: name("level"),
        }],
        vec![
            Condition::Known {
                column: name("age"),
            },
            below("since", 0.0),
        ],
    ]);
    assert_eq!(
        all.to_rule(&settings).expect("a rule"),
        concat!(
            "(amount >= money(\"50000.50\", \"CNY\") && yen < money(\"-3\", \"JPY\") && since < duration(\"1d12h\"))",
            " || (flag && x.y < 0.25 && n >= -12)",
            " || (city in [\"a \\\"b\\\"\\\\\", \"c\\nd\"] && !(kind in [\"a \\\"b\\\"\\\\\", \"c\\nd\"]))",
            " || (!flag && city == \"上海\")",
            " || (level != \"gold\" && big >= 1e20)",
            " || !known(level)",
            " || (known(age) && since < duration(\"0s\"))",
        )
    );
    let one = rules(vec![vec![at_least("a", 1.0), below("a", 2.0)]]);
    assert_eq!(one.to_rule(&settings).expect("a rule"), "a >= 1 && a < 2");
    let kept = serde_json::to_string(&all).expect("text");
    assert_eq!(serde_json::from_str::<Rules>(&kept).expect("rules"), all);
}
