//! Calibration is scikit-learn's (`tests/calibration/make.py` made the reference), and keeps its laws.

use std::collections::BTreeMap;
use std::path::Path;

use luopan_learning::calibration::{Isotonic, Platt, Rows, Spacing, reliability};
use proptest::prelude::*;

fn fixture() -> BTreeMap<String, Vec<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/calibration/calibration.txt");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let line = |line: &str| {
        let mut words = line.split('\t');
        let name = words.next().expect("a name").to_owned();
        (
            name,
            words.map(|word| word.parse().expect("a number")).collect(),
        )
    };
    text.lines().map(line).collect()
}

fn check(name: &str, found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(
            (found - wanted).abs() <= within,
            "{name}: {found} here, {wanted} there"
        );
    }
}

#[test]
fn calibration_is_that_of_scikit_learn() {
    let given = fixture();
    let rows = Rows {
        scores: &given["scores"],
        outcomes: &given["outcomes"],
        weights: Some(&given["weights"]),
    };
    let isotonic = Isotonic::fit(&rows).expect("a fit");
    let found: Vec<f64> = given["asked"]
        .iter()
        .map(|score| isotonic.at(*score))
        .collect();
    check("isotonic", &found, &given["isotonic"], 1e-12);
    let platt = Platt::fit(&rows).expect("a fit");
    // Theirs stops at a gradient of 1e-6.
    check(
        "platt",
        &[platt.slope, platt.intercept],
        &given["platt"],
        1e-4,
    );
    let rows = Rows {
        scores: &given["probabilities"],
        outcomes: &given["outcomes"],
        weights: None,
    };
    for (name, spacing) in [("width", Spacing::Width), ("rows", Spacing::Rows)] {
        let found = reliability(&rows, 10, spacing).expect("bins");
        let bins: Vec<f64> = (found.bins.iter().map(|bin| bin.predicted))
            .chain(found.bins.iter().map(|bin| bin.observed))
            .collect();
        check(name, &bins, &given[&format!("{name} bins")], 1e-12);
        check(
            name,
            &[found.expected_error],
            &given[&format!("{name} error")],
            1e-12,
        );
        check("brier", &[found.brier], &given["brier"], 1e-12);
        assert!(found.maximum_error >= found.expected_error);
    }
}

proptest! {
    #[test]
    fn an_isotonic_fit_rises_and_no_other_is_nearer(
        rows in proptest::collection::vec((-5i8..5, any::<bool>(), 1u8..4), 1..40),
        other in proptest::collection::vec(0.0..1.0f64, 10),
    ) {
        let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
        let outcomes: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.1))).collect();
        let weights: Vec<f64> = rows.iter().map(|row| f64::from(row.2)).collect();
        let given = Rows { scores: &scores, outcomes: &outcomes, weights: Some(&weights) };
        let fitted = Isotonic::fit(&given).expect("a fit");
        let values: Vec<f64> = (-60..60).map(|x| fitted.at(f64::from(x) / 10.0)).collect();
        prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        let far = |of: &dyn Fn(f64) -> f64| -> f64 {
            (0..scores.len()).map(|row| weights[row] * (of(scores[row]) - outcomes[row]).powi(2)).sum()
        };
        let mut rising = other;
        rising.sort_by(f64::total_cmp);
        prop_assert!(far(&|x| fitted.at(x)) <= far(&|x| rising[(x + 5.0) as usize]) + 1e-9);
        // Whatever is fitted to its own values stays.
        let own: Vec<f64> = scores.iter().map(|x| fitted.at(*x)).collect();
        let again = Isotonic::fit(&Rows { outcomes: &own, ..given }).expect("a fit");
        prop_assert!(scores.iter().all(|x| (again.at(*x) - fitted.at(*x)).abs() < 1e-12));
    }

    #[test]
    fn a_sigmoid_moves_with_its_scores(
        rows in proptest::collection::vec((-3.0..3.0f64, any::<bool>()), 4..60), shift in -1e3..1e3f64, by in 0.01..100.0f64,
    ) {
        let scores: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let mut outcomes: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.1))).collect();
        (outcomes[0], outcomes[1]) = (0.0, 1.0);
        let moved: Vec<f64> = scores.iter().map(|x| shift + by * x).collect();
        let fit = |scores: &[f64]| Platt::fit(&Rows { scores, outcomes: &outcomes, weights: None }).expect("a fit");
        let (a, b) = (fit(&scores), fit(&moved));
        for (x, y) in scores.iter().zip(&moved) {
            prop_assert!((a.at(*x) - b.at(*y)).abs() < 1e-5, "{:?} {:?}", a, b);
        }
        // Its mean is that of the targets.
        let ones: f64 = outcomes.iter().sum();
        let zeros = outcomes.len() as f64 - ones;
        let targets = ones * (ones + 1.0) / (ones + 2.0) + zeros / (zeros + 2.0);
        let told: f64 = scores.iter().map(|x| a.at(*x)).sum();
        prop_assert!((told - targets).abs() < 1e-5 * outcomes.len() as f64);
    }
}

#[test]
fn what_cannot_be_calibrated_is_refused_with_the_row() {
    let refused = |scores: &[f64], outcomes: &[f64]| {
        let rows = Rows {
            scores,
            outcomes,
            weights: None,
        };
        Platt::fit(&rows).expect_err("refused").to_string()
    };
    assert_eq!(
        refused(&[], &[]),
        "there are no rows with a weight above zero"
    );
    assert_eq!(refused(&[1.0], &[]), "outcomes has 0 values: wanted are 1");
    assert_eq!(
        refused(&[1.0, f64::NAN], &[0.0, 1.0]),
        "row 1: score is NaN: write a finite number"
    );
    assert_eq!(
        refused(&[1.0, 2.0], &[0.0, 0.5]),
        "row 1: outcome is 0.5: write 0 or 1"
    );
    assert_eq!(
        refused(&[1.0, 2.0], &[1.0, 1.0]),
        "every outcome is 1: a sigmoid needs both"
    );
    let rows = Rows {
        scores: &[0.5, 1.5],
        outcomes: &[0.0, 1.0],
        weights: None,
    };
    assert!(reliability(&rows, 10, Spacing::Width).is_err());
    assert!(
        Isotonic::fit(&Rows {
            weights: Some(&[0.0, 0.0]),
            ..rows
        })
        .is_err()
    );
    assert!(Isotonic::fit(&rows).expect("a fit").at(f64::NAN).is_nan());
}
