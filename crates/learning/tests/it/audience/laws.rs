//! Laws of any rules and tables.

use luopan_kernel::random::Random;
use luopan_learning::audience::{
    Condition, Method, Settings, describe, find, held_out, judge, picked,
};
use luopan_learning::proportion::wilson;
use luopan_learning::tabular::{Frame, Series};
use proptest::prelude::*;

use super::customers;

/// An audience that has to do with the table, with noise.
fn audience(frame: &Frame, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed);
    let of = |name: &str, row: usize| match frame.get(name) {
        Some(Series::Numbers(values)) => values[row],
        Some(Series::Texts { codes, .. }) => f64::from(codes[row]),
        None => f64::NAN,
    };
    (0..frame.rows())
        .map(|row| {
            let seen =
                of("age", row) > 50.0 && of("city", row) < 2.0 || of("balance", row) > 15_000.0;
            seen != (random.uniform() < 0.15)
        })
        .collect()
}

fn settings(seed: u64) -> Settings {
    Settings {
        rules_max: 1 + (seed % 4) as usize,
        conditions_max: 1 + (seed / 4 % 3) as usize,
        purity_least: [0.0, 0.4][(seed % 2) as usize],
        method: [Method::Covering, Method::Revised][(seed / 2 % 2) as usize],
        beam: 20,
        cuts_max: 10,
        ..Settings::default()
    }
}

/// Whether a condition certainly holds, written anew.
fn meets(condition: &Condition, frame: &Frame, row: usize) -> bool {
    let series = frame.get(condition.column()).expect("a column");
    let text = || match series {
        Series::Texts { codes, levels } => levels.get(codes[row] as usize).cloned(),
        Series::Numbers(_) => panic!("a text"),
    };
    let number = || match series {
        Series::Numbers(values) => values[row],
        Series::Texts { .. } => panic!("a number"),
    };
    match condition {
        Condition::Below { cut, .. } => number() < *cut,
        Condition::AtLeast { cut, .. } => number() >= *cut,
        Condition::OneOf { words, .. } => text().is_some_and(|text| words.contains(&text)),
        Condition::NoneOf { words, .. } => text().is_some_and(|text| !words.contains(&text)),
        Condition::Known { .. } => !series.is_missing(row),
        Condition::Missing { .. } => series.is_missing(row),
    }
}

fn turned(frame: &Frame, order: &[u32]) -> Frame {
    frame.take(order)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn figures_are_those_of_counting_anew(rows in 60usize..400, seed in 0u64..1_000) {
        let frame = customers(rows, seed);
        let audience = audience(&frame, seed);
        let held = held_out(&frame.row_hashes(), 0.4, seed).expect("rows");
        let Ok(found) = describe(&frame, &audience, &held, &settings(seed), 0.9) else {
            return Ok(());
        };
        for (figures, chosen) in [(&found.learned, false), (&found.held_out, true)] {
            let here: Vec<usize> = (0..rows).filter(|row| held[*row] == chosen).collect();
            let count = |of: &dyn Fn(usize) -> bool| here.iter().filter(|row| of(**row)).count() as u64;
            let upto = |most: usize, row: usize| {
                found.rules.rules[..most].iter().any(|rule| rule.conditions.iter().all(|c| meets(c, &frame, row)))
            };
            let all = found.rules.rules.len();
            let total = here.len() as u64;
            let (size, both) = (count(&|row| upto(all, row)), count(&|row| upto(all, row) && audience[row]));
            let picked = count(&|row| audience[row]);
            prop_assert_eq!((figures.rows, figures.audience), (total, picked));
            prop_assert_eq!((figures.size.count, figures.size.of), (size, total));
            prop_assert_eq!((figures.coverage.count, figures.coverage.of), (both, picked));
            prop_assert_eq!((figures.purity.count, figures.purity.of), (both, size));
            let agreed = count(&|row| upto(all, row) == audience[row]);
            prop_assert_eq!((figures.fidelity.count, figures.fidelity.of), (agreed, total));
            for (at, step) in figures.steps.iter().enumerate() {
                let fresh = |row: usize| upto(at + 1, row) && !upto(at, row);
                prop_assert_eq!(step.adds, count(&fresh));
                prop_assert_eq!(step.adds_of_audience, count(&|row| fresh(row) && audience[row]));
                prop_assert_eq!(step.coverage_so_far.count, count(&|row| upto(at + 1, row) && audience[row]));
                prop_assert_eq!(step.fidelity_so_far.count, count(&|row| upto(at + 1, row) == audience[row]));
            }
            let held = found.rules.holds(&frame).expect("rows");
            prop_assert!(here.iter().all(|row| held[*row] == upto(all, *row)));
        }
        // On what they were found on rules agree more than none would.
        prop_assert!(found.learned.coverage.count > found.learned.purity.of - found.learned.purity.count);
    }

    #[test]
    fn rows_in_any_order_give_the_same(rows in 60usize..300, seed in 0u64..1_000, turn in 1usize..60) {
        let frame = customers(rows, seed);
        let picked = audience(&frame, seed);
        let keys = frame.row_hashes();
        let order: Vec<u32> = (0..rows).map(|row| ((row * 7 + turn) % rows) as u32).collect();
        prop_assume!(rows % 7 != 0);
        let other = turned(&frame, &order);
        let moved: Vec<bool> = order.iter().map(|row| picked[*row as usize]).collect();
        let (a, b) = (held_out(&keys, 0.3, seed).expect("rows"), held_out(&other.row_hashes(), 0.3, seed).expect("rows"));
        prop_assert!(order.iter().zip(&b).all(|(row, b)| a[*row as usize] == *b));
        let found = describe(&frame, &picked, &a, &settings(seed), 0.9);
        let again = describe(&other, &moved, &b, &settings(seed), 0.9);
        prop_assert_eq!(format!("{found:?}"), format!("{again:?}"));
    }

    #[test]
    fn columns_left_out_are_never_used(rows in 60usize..300, seed in 0u64..1_000, first in 0usize..6, second in 0usize..6) {
        let frame = customers(rows, seed);
        let audience = audience(&frame, seed);
        let mut settings = settings(seed);
        settings.exclude = [first, second].iter().map(|at| frame.names()[*at].clone()).collect();
        if let Ok(found) = find(&frame, &audience, &vec![false; rows], &settings) {
            let used = found.rules.iter().flat_map(|rule| &rule.conditions);
            prop_assert!(used.clone().count() > 0);
            for condition in used {
                prop_assert!(!settings.exclude.contains(condition.column()), "{}", condition);
            }
            // What stands in a column left out changes nothing, whatever it is.
            let name = &frame.names()[first];
            let noise = frame.clone().with(name, Series::Numbers(vec![f64::INFINITY; rows])).expect("a table");
            prop_assert_eq!(find(&noise, &audience, &vec![false; rows], &settings).expect("rules"), found);
        }
    }

    /// Rows held out are not looked at: whatever stands there, the rules are the same.
    #[test]
    fn what_is_held_out_is_not_seen(rows in 60usize..300, seed in 0u64..1_000) {
        let frame = customers(rows, seed);
        let mut picked = audience(&frame, seed);
        let held = held_out(&frame.row_hashes(), 0.5, seed).expect("rows");
        let found = find(&frame, &picked, &held, &settings(seed));
        picked.iter_mut().zip(&held).for_each(|(own, held)| *own ^= held);
        let Some(Series::Numbers(age)) = frame.get("age") else { panic!("numbers") };
        let age = age.iter().zip(&held).map(|(x, held)| if *held { -1.5 * x } else { *x }).collect();
        let other = frame.clone().with("age", Series::Numbers(age)).expect("a table");
        prop_assert_eq!(find(&other, &picked, &held, &settings(seed)), found);
    }

    #[test]
    fn wilsons_interval_holds_the_share(count in 0u64..200, more in 0u64..200, level in 0.01f64..0.99) {
        let of = count + more;
        let found = wilson(count, of, level);
        prop_assert!(0.0 <= found.lower && found.lower <= found.upper && found.upper <= 1.0);
        if of > 0 {
            prop_assert!(found.lower <= found.share && found.share <= found.upper);
            // The bounds are where a test of the share would just refuse it.
            let z = luopan_kernel::random::normal_quantile(0.5 + level / 2.0);
            for bound in [found.lower, found.upper] {
                if bound > 0.0 && bound < 1.0 {
                    let apart = (found.share - bound).abs();
                    let wanted = z * libm::sqrt(bound * (1.0 - bound) / of as f64);
                    prop_assert!((apart - wanted).abs() < 1e-9, "{} {}", apart, wanted);
                }
            }
        }
    }

    #[test]
    fn scores_at_the_cut_are_in(scores in proptest::collection::vec(-5i8..5, 0..40), cut in -5i8..5) {
        let scores: Vec<f64> = scores.iter().map(|x| f64::from(*x)).collect();
        let found = picked(&scores, f64::from(cut)).expect("rows");
        prop_assert!(scores.iter().zip(found).all(|(x, own)| own == (*x >= f64::from(cut))));
    }
}

/// At 95 %, Wilson's interval of 8 of 10 is .490 to .943 (as in statsmodels' `proportion_confint`).
#[test]
fn wilsons_interval_is_the_published_one() {
    let found = wilson(8, 10, 0.95);
    assert!(
        (found.lower - 0.490_162_47).abs() < 1e-7 && (found.upper - 0.943_317_85).abs() < 1e-7,
        "{found:?}"
    );
    let nothing = wilson(0, 0, 0.95);
    assert!(nothing.share.is_nan() && (nothing.lower, nothing.upper) == (0.0, 1.0));
    let frame = customers(50, 1);
    let rules = super::rules(vec![vec![super::at_least("age", 1e9)]]);
    let (own, all) = (audience(&frame, 1), vec![true; 50]);
    let found = judge(&rules, &frame, &own, &all, 0.95).expect("figures");
    assert!(found.purity.share.is_nan() && found.size.count == 0);
}
