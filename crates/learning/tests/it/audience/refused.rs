//! What cannot be is said so, with what to write instead.

use std::collections::BTreeMap;

use luopan_learning::audience::{
    Error, Kind, Rules, Settings, describe, find, held_out, judge, picked,
};
use luopan_learning::tabular::{Frame, MISSING, Series};
use proptest::prelude::*;

use super::{at_least, below, customers, one_of, rules};

fn says<T: std::fmt::Debug>(found: Result<T, Error>, wanted: &str) {
    let told = found.expect_err(wanted).to_string();
    assert!(told.contains(wanted), "{told:?} lacks {wanted:?}");
}

fn audience() -> Vec<bool> {
    (0..100).map(|row| row % 3 == 0).collect()
}

#[test]
fn settings_that_cannot_be() {
    let frame = customers(100, 3);
    let none = vec![false; 100];
    let plain = Settings::default;
    let with = |settings: Settings, wanted: &str| {
        says(find(&frame, &audience(), &none, &settings), wanted)
    };
    with(
        Settings {
            rules_max: 0,
            ..plain()
        },
        "number of rules is 0: write 1 to 50",
    );
    with(
        Settings {
            conditions_max: 11,
            ..plain()
        },
        "number of conditions is 11: write 1 to 10",
    );
    with(
        Settings {
            words_max: 0,
            ..plain()
        },
        "number of words is 0",
    );
    with(
        Settings {
            cuts_max: 2_000,
            ..plain()
        },
        "number of cuts is 2000",
    );
    with(Settings { beam: 0, ..plain() }, "beam is 0");
    with(
        Settings {
            purity_least: 1.5,
            ..plain()
        },
        "least purity is 1.5",
    );
    with(
        Settings {
            support_least: f64::NAN,
            ..plain()
        },
        "least support is NaN",
    );
    with(
        Settings {
            condition_cost: -1.0,
            ..plain()
        },
        "cost of a condition is -1",
    );
    with(
        Settings {
            mistake_cost: 0.0,
            ..plain()
        },
        "cost of a mistake is 0",
    );
    let exclude = ["ages".to_owned()].into();
    with(
        Settings { exclude, ..plain() },
        "there is no column \"ages\": there are age, balance",
    );
    let exclude = frame.names().iter().cloned().collect();
    with(Settings { exclude, ..plain() }, "no column is left");
    let kinds = |name: &str, kind| BTreeMap::from([(name.to_owned(), kind)]);
    with(
        Settings {
            kinds: kinds("city", Kind::Boolean),
            ..plain()
        },
        "column \"city\" holds texts",
    );
    with(
        Settings {
            kinds: kinds("age", Kind::Boolean),
            ..plain()
        },
        "write 0 or 1, or nothing",
    );
    let money = Kind::Money("CNY".to_owned());
    with(
        Settings {
            kinds: kinds("visits", money),
            ..plain()
        },
        "write whole minor units",
    );
    let (purity_least, support_least) = (1.0, 0.9);
    let strict = Settings {
        purity_least,
        support_least,
        ..plain()
    };
    with(
        strict,
        "no rule of at most 3 conditions holds 90 rows with a purity of 1",
    );
}

#[test]
fn tables_that_cannot_be() {
    let frame = customers(100, 3);
    let (none, all) = (vec![false; 100], vec![true; 100]);
    let settings = Settings::default();
    says(
        find(&frame, &audience()[1..], &none, &settings),
        "\"audience\" has 99 values: wanted are 100",
    );
    says(
        find(&frame, &audience(), &none[1..], &settings),
        "\"rows chosen\" has 99 values",
    );
    says(
        find(&frame, &none, &none, &settings),
        "of 100 rows to learn from 0 are in the audience",
    );
    says(
        find(&frame, &all, &none, &settings),
        "of 100 rows to learn from 100 are in the audience",
    );
    says(
        find(&frame, &audience(), &all, &settings),
        "of 0 rows to learn from 0 are",
    );
    says(
        describe(&frame, &audience(), &none, &settings, 0.95),
        "of 0 rows to judge on 0 are",
    );
    let mut age = vec![30.0; 100];
    age[17] = f64::NEG_INFINITY;
    let infinite = frame
        .clone()
        .with("age", Series::Numbers(age))
        .expect("a table");
    says(
        find(&infinite, &audience(), &none, &settings),
        "row 17: \"age\" is -inf: write a finite number",
    );
    says(picked(&[0.5, f64::NAN], 0.5), "row 1: \"score\" is NaN");
    says(picked(&[0.5], f64::NAN), "cut is NaN");
    says(held_out(&[1, 2], 1.0, 0), "share held out is 1");

    let known = rules(vec![vec![at_least("age", 30.0)]]);
    says(judge(&known, &frame, &audience(), &all, 1.0), "level is 1");
    let other = rules(vec![vec![at_least("weight", 30.0)]]);
    says(
        judge(&other, &frame, &audience(), &all, 0.9),
        "there is no column \"weight\"",
    );
    let other = rules(vec![vec![at_least("city", 30.0)]]);
    says(
        judge(&other, &frame, &audience(), &all, 0.9),
        "column \"city\" holds texts: the rule compares numbers",
    );
    let other = rules(vec![vec![one_of("age", &["x"])]]);
    says(
        judge(&other, &frame, &audience(), &all, 0.9),
        "column \"age\" holds numbers: the rule asks for texts",
    );
}

#[test]
fn rules_that_no_scene_reads() {
    let settings = Settings::default();
    for name in ["emp.var.rate-2", "1st", "in", "a b", "größe", ""] {
        says(
            rules(vec![vec![below(name, 1.0)]]).to_rule(&settings),
            "cannot be written as a rule",
        );
    }
    let kinds = BTreeMap::from([("sum".to_owned(), Kind::Money("XYZ".to_owned()))]);
    let settings = Settings { kinds, ..settings };
    says(
        rules(vec![vec![below("sum", 1.0)]]).to_rule(&settings),
        "an amount of \"XYZ\"",
    );
    let long = "x".repeat(5_000);
    says(
        rules(vec![vec![one_of("city", &[&long])]]).to_rule(&settings),
        "a rule of 5010 bytes",
    );
}

proptest! {
    /// Whatever stands in the table: an error that says so, or rules that hold somebody.
    #[test]
    fn nothing_panics(
        of in proptest::collection::vec((prop_oneof![Just(f64::NAN), Just(0.0), Just(-0.0), Just(1e300), Just(-1e300), Just(5e-324), -3f64..3.0], prop_oneof![Just(MISSING), 0u32..3], any::<bool>(), any::<bool>()), 1..80),
        kind in 0usize..4,
        conditions_max in 1usize..4,
    ) {
        let frame = Frame::new(vec![
            ("x".to_owned(), Series::Numbers(of.iter().map(|row| row.0).collect())),
            ("n".to_owned(), Series::Numbers(vec![f64::NAN; of.len()])),
            ("t".to_owned(), Series::Texts { codes: of.iter().map(|row| row.1).collect(), levels: vec!["a".into(), "b".into(), "c".into()] }),
        ]).expect("a table");
        let audience: Vec<bool> = of.iter().map(|row| row.2).collect();
        let held: Vec<bool> = of.iter().map(|row| row.3).collect();
        let kinds = [None, Some(Kind::Boolean), Some(Kind::Duration), Some(Kind::Money("CNY".to_owned()))][kind].clone();
        let settings = Settings {
            conditions_max,
            kinds: kinds.map(|kind| ("x".to_owned(), kind)).into_iter().collect(),
            ..Settings::default()
        };
        let found: Result<Rules, Error> = find(&frame, &audience, &held, &settings);
        if let Ok(found) = found {
            let rows = found.holds(&frame).expect("rows");
            prop_assert!(rows.iter().zip(&held).any(|(own, held)| *own && !held));
            found.to_rule(&settings).expect("a rule");
        }
    }
}
