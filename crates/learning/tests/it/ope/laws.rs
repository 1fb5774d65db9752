//! What holds for any logs.

use proptest::prelude::*;

use luopan_learning::ope::folds::{by_key, cross_fit, shuffled};
use luopan_learning::ope::{
    Columns, Error, Estimator, Limits, Logs, Method, Policy, Table, Target, Threshold, diagnose,
    grid, interval, intervals,
};

const ACTIONS: usize = 4;

/// Actions, rewards, propensities, probabilities, predictions.
type Rows = (Vec<u32>, Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>);

fn rows() -> impl Strategy<Value = Rows> {
    let line = (
        0..ACTIONS as u32,
        -2.0..2.0f64,
        0.05..=1.0f64,
        proptest::array::uniform4(0.0..1.0f64),
        proptest::array::uniform4(-2.0..2.0f64),
    );
    proptest::collection::vec(line, 2..60).prop_map(|lines| {
        let mut rows = Rows::default();
        for (action, reward, propensity, probabilities, predictions) in lines {
            let sum: f64 = probabilities.iter().sum::<f64>().max(1e-9);
            rows.0.push(action);
            rows.1.push(reward);
            rows.2.push(propensity);
            rows.3.extend(probabilities.map(|x| x / sum));
            rows.4.extend(predictions);
        }
        rows
    })
}

fn value(rows: &Rows, weights: Option<&[f64]>, estimator: &Estimator) -> Option<f64> {
    let (logs, target) = seen(rows, weights)?;
    Some(estimator.terms(&logs, &target).ok()?.value())
}

fn seen<'a>(rows: &'a Rows, weights: Option<&'a [f64]>) -> Option<(Logs<'a>, Target)> {
    let columns = Columns {
        actions: &rows.0,
        action_count: ACTIONS,
        rewards: &rows.1,
        propensities: &rows.2,
        weights,
    };
    let logs = Logs::new(columns).ok()?;
    let policy = Policy::Table {
        distribution: Table::each(&rows.3, ACTIONS),
        predictions: Some(Table::each(&rows.4, ACTIONS)),
    };
    let target = Target::new(&logs, &policy).ok()?;
    Some((logs, target))
}

fn all() -> Vec<Estimator> {
    vec![
        Estimator::Ips { clip: None },
        Estimator::Ips { clip: Some(1.5) },
        Estimator::SelfNormalised,
        Estimator::Direct,
        Estimator::DoublyRobust { clip: None },
        Estimator::DoublyRobust { clip: Some(1.5) },
        Estimator::SelfNormalisedDoublyRobust,
        Estimator::Switch(Threshold::At(1.0)),
        Estimator::Switch(Threshold::chosen(vec![0.5, 1.0, 4.0])),
    ]
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_none() && b.is_none();
    };
    (a - b).abs() <= 1e-9 * (1.0 + a.abs())
}

fn reversed(rows: &Rows) -> Rows {
    let lines = |of: &[f64]| of.chunks_exact(ACTIONS).rev().flatten().copied().collect();
    let (mut out, back) = (rows.clone(), rows);
    out.0.reverse();
    out.1.reverse();
    out.2.reverse();
    out.3 = lines(&back.3);
    out.4 = lines(&back.4);
    out
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(rows in rows()) {
        for estimator in all() {
            let (a, b) = (value(&rows, None, &estimator), value(&reversed(&rows), None, &estimator));
            prop_assert!(near(a, b), "{}: {a:?}, {b:?}", estimator.name());
        }
    }

    #[test]
    fn a_row_of_weight_two_is_two_rows(rows in rows(), doubled in 0usize..60) {
        let at = doubled % rows.0.len();
        let mut weights = vec![1.0; rows.0.len()];
        weights[at] = 2.0;
        let mut twice = rows.clone();
        twice.0.push(rows.0[at]);
        twice.1.push(rows.1[at]);
        twice.2.push(rows.2[at]);
        twice.3.extend_from_slice(&rows.3[at * ACTIONS..][..ACTIONS]);
        twice.4.extend_from_slice(&rows.4[at * ACTIONS..][..ACTIONS]);
        // A chosen threshold counts how many rows there are.
        for estimator in all().into_iter().take(8) {
            let (a, b) = (value(&rows, Some(&weights), &estimator), value(&twice, None, &estimator));
            prop_assert!(near(a, b), "{}: {a:?}, {b:?}", estimator.name());
        }
    }

    #[test]
    fn doubly_robust_lies_between_its_parts(rows in rows()) {
        let mut zero = rows.clone();
        zero.4.fill(0.0);
        let doubly = Estimator::DoublyRobust { clip: None };
        // Without a model it is inverse propensity scoring.
        let ips = Estimator::Ips { clip: None };
        prop_assert!(near(value(&zero, None, &doubly), value(&rows, None, &ips)));
        prop_assert!(near(
            value(&zero, None, &Estimator::SelfNormalisedDoublyRobust),
            value(&rows, None, &Estimator::SelfNormalised)
        ));
        // With a threshold below every weight it is the model, above every one it is doubly robust.
        let (_, target) = seen(&rows, None).expect("rows");
        let most = target.weights().iter().fold(1e-300, |a: f64, b| a.max(*b));
        let model = value(&rows, None, &Estimator::Direct);
        prop_assert!(near(value(&rows, None, &Estimator::Switch(Threshold::At(most))), value(&rows, None, &doubly)));
        let nothing = Estimator::DoublyRobust { clip: Some(1e-12) };
        prop_assert!(near(value(&rows, None, &nothing), model));
        // A model that knows every reward leaves nothing to correct.
        let mut knows = rows.clone();
        for (row, action) in rows.0.iter().enumerate() {
            knows.4[row * ACTIONS + *action as usize] = rows.1[row];
        }
        prop_assert!(near(value(&knows, None, &doubly), value(&knows, None, &Estimator::Direct)));
    }

    #[test]
    fn the_logged_policy_is_worth_the_mean_reward(rows in rows()) {
        let (logs, _) = seen(&rows, None).expect("rows");
        let target = Target::new(&logs, &Policy::AsLogged).expect("a target");
        let mean = rows.1.iter().sum::<f64>() / rows.1.len() as f64;
        for estimator in all() {
            let found = estimator.terms(&logs, &target).expect("terms").value();
            prop_assert!(near(Some(found), Some(mean)));
        }
        let (found, _) = diagnose(&logs, &target, &Limits::default()).expect("a diagnosis");
        prop_assert!(near(Some(found.effective_rows), Some(rows.0.len() as f64)));
        prop_assert_eq!(found.weight_mean_p, 1.0);
    }

    #[test]
    fn self_normalised_values_move_with_the_rewards(rows in rows(), by in -5.0..5.0f64) {
        let mut moved = rows.clone();
        moved.1.iter_mut().for_each(|reward| *reward += by);
        let of = |rows: &Rows| value(rows, None, &Estimator::SelfNormalised);
        let wanted = of(&rows).map(|value| value + by);
        prop_assert!(near(of(&moved), wanted));
    }

    #[test]
    fn intervals_are_the_same_together_and_alone(rows in rows(), seed in any::<u64>()) {
        let Some((logs, target)) = seen(&rows, None) else { return Ok(()); };
        let terms: Vec<_> = all().iter().filter_map(|of| of.terms(&logs, &target).ok()).collect();
        let method = Method::Bootstrap { resamples: 50, seed };
        let together = intervals(&terms.iter().collect::<Vec<_>>(), &method, 0.9).expect("intervals");
        for (terms, found) in terms.iter().zip(together) {
            let alone = interval(terms, &method, 0.9).expect("an interval");
            prop_assert_eq!(alone.lower.to_bits(), found.lower.to_bits());
            prop_assert_eq!(alone.upper.to_bits(), found.upper.to_bits());
            prop_assert!(alone.lower <= alone.upper);
        }
    }

    #[test]
    fn the_grid_of_thresholds_is_ascending_and_ends_above_every_weight(rows in rows()) {
        let (_, target) = seen(&rows, None).expect("rows");
        let found = grid(&target, 9);
        prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
        if let Some(last) = found.last() {
            prop_assert!(target.weights().iter().all(|weight| weight <= last));
        }
    }

    #[test]
    fn no_row_is_predicted_by_a_fit_that_has_seen_it(rows in 10usize..80, count in 2usize..10, seed in any::<u64>()) {
        let folds = shuffled(rows, count, seed).expect("folds");
        for fold in 0..count as u32 {
            let size = folds.iter().filter(|of| **of == fold).count();
            prop_assert!((rows / count..=rows.div_ceil(count)).contains(&size));
        }
        // The "model" tells which rows it has learned from.
        let told = cross_fit::<Error>(&folds, 2, |learned, held| {
            assert_eq!(learned.len() + held.len(), rows);
            assert!(held.iter().all(|row| !learned.contains(row)));
            Ok(held.iter().flat_map(|row| [*row as f64, learned.len() as f64]).collect())
        }).expect("predictions");
        for row in 0..rows {
            let size = folds.iter().filter(|of| **of == folds[row]).count();
            prop_assert_eq!(told[row * 2], row as f64);
            prop_assert_eq!(told[row * 2 + 1], (rows - size) as f64);
        }
    }

    #[test]
    fn rows_of_one_key_are_in_one_fold(keys in proptest::collection::vec(0u64..40, 60..200), seed in any::<u64>()) {
        let Ok(folds) = by_key(&keys, 3, seed) else { return Ok(()); };
        for (a, of_a) in keys.iter().zip(&folds) {
            prop_assert!(keys.iter().zip(&folds).all(|(b, of_b)| a != b || of_a == of_b));
        }
    }
}
