//! Assigning: proportions, stability, independence.

use luopan_kernel::assign::{Assignment, Error, Experiment, Variant, assign};
use proptest::prelude::*;

fn experiment(salt: &str, holdout: u32, weights: &[u32]) -> Experiment {
    let variants = weights
        .iter()
        .enumerate()
        .map(|(i, w)| Variant {
            name: format!("v{i}"),
            weight: *w,
        })
        .collect();
    Experiment {
        name: "e".into(),
        salt: salt.into(),
        holdout,
        variants,
    }
}

fn unit(i: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[8..].copy_from_slice(&i.to_be_bytes());
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn shares_are_as_declared(salt: String, holdout in 0u32..5000, first in 0u32..=10_000) {
        let e = experiment(&salt, holdout, &[first, 10_000 - first]);
        let n = 20_000;
        let mut counts = [0.0; 3];
        for i in 0..n {
            match assign(&e, &unit(i)).unwrap() {
                Assignment::Holdout => counts[0] += 1.0,
                Assignment::Variant(v) => counts[1 + v as usize] += 1.0,
            }
        }
        let h = f64::from(holdout) / 1e4;
        let f = f64::from(first) / 1e4;
        for (count, p) in counts.into_iter().zip([h, (1.0 - h) * f, (1.0 - h) * (1.0 - f)]) {
            let gap: f64 = count - n as f64 * p;
            prop_assert!(gap.abs() <= 5.0 * (n as f64 * p * (1.0 - p)).sqrt() + 1e-6, "{count} of {n}, declared {p}");
        }
    }

    #[test]
    fn moving_weight_moves_only_the_units_it_must(salt: String, holdout in 0u32..5000) {
        let before = experiment(&salt, holdout, &[5000, 5000]);
        let after = experiment(&salt, holdout, &[5000, 2000, 3000]);
        for i in 0..2000 {
            let (a, b) = (assign(&before, &unit(i)).unwrap(), assign(&after, &unit(i)).unwrap());
            prop_assert!(a == b || (a, b) == (Assignment::Variant(1), Assignment::Variant(2)));
        }
    }
}

#[test]
fn an_assignment_never_changes() {
    // Golden values: a change here would move people between the variants of running experiments.
    let e = experiment("salt", 1000, &[5000, 5000]);
    let got: Vec<Assignment> = (0..8).map(|i| assign(&e, &unit(i)).unwrap()).collect();
    insta::assert_debug_snapshot!("assignments", got);
}

#[test]
fn experiments_with_other_salts_are_independent() {
    let (a, b) = (
        experiment("a", 0, &[5000, 5000]),
        experiment("b", 0, &[5000, 5000]),
    );
    let n = 20_000;
    let same = (0..n)
        .filter(|i| assign(&a, &unit(*i)) == assign(&b, &unit(*i)))
        .count() as f64;
    assert!((same - n as f64 / 2.0).abs() < 5.0 * (n as f64 / 4.0).sqrt());
}

#[test]
fn weights_that_do_not_sum_are_refused() {
    assert_eq!(
        assign(&experiment("s", 0, &[5000]), b"u"),
        Err(Error::Weights {
            experiment: "e".into(),
            found: 5000
        })
    );
    assert_eq!(
        assign(&experiment("s", 10_001, &[10_000]), b"u"),
        Err(Error::Holdout {
            experiment: "e".into(),
            found: 10_001
        })
    );
}
