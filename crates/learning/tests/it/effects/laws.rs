//! What holds of any model.

use luopan_learning::effects::{
    Axis, Rows, drawn, first_order, interaction, partial_dependence, permutation, second_order,
    shuffles,
};
use proptest::prelude::*;

const CATEGORIES: [bool; 4] = [false, false, true, false];

/// A number that may be missing, a number, a category that may be missing, and a number that nothing depends on.
fn rows() -> impl Strategy<Value = Vec<Vec<f64>>> {
    let row = (
        prop::option::weighted(0.9, -40i32..40),
        -30i32..30,
        prop::option::weighted(0.9, 0u8..4),
        -5i32..5,
    );
    prop::collection::vec(row, 25..80).prop_map(|rows| {
        let number = |v: Option<f64>| v.unwrap_or(f64::NAN);
        vec![
            (rows.iter().map(|r| number(r.0.map(f64::from)) / 8.0)).collect(),
            rows.iter().map(|r| f64::from(r.1) / 4.0).collect(),
            rows.iter().map(|r| number(r.2.map(f64::from))).collect(),
            rows.iter().map(|r| f64::from(r.3)).collect(),
        ]
    })
}

fn first(v: f64) -> f64 {
    if v.is_nan() { 1.5 } else { v * v - v }
}

fn second(v: f64) -> f64 {
    if v > 1.0 { 3.0 } else { -0.5 * v }
}

fn third(v: f64) -> f64 {
    if v.is_nan() {
        -2.0
    } else {
        [0.5, -1.0, 3.0, 0.25][v as usize]
    }
}

fn additive(row: &[f64]) -> f64 {
    7.0 + first(row[0]) + second(row[1]) + third(row[2])
}

fn entangled(row: &[f64]) -> f64 {
    additive(row)
        + first(row[0]) * third(row[2])
        + if row[1] > 0.0 { row[0].max(-1.0) } else { 0.0 }
}

fn axis(rows: &Rows, at: usize) -> Axis {
    match CATEGORIES[at] {
        true => Axis::category(rows, at, &CATEGORIES, 6),
        false => Axis::number(rows.column(at), 6),
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

proptest! {
    #[test]
    fn effects_of_what_adds_up_are_its_terms(columns in rows()) {
        let mut rows = Rows::new(columns).unwrap();
        let predict = super::of(additive);
        let terms: [fn(f64) -> f64; 3] = [first, second, third];
        for (at, term) in terms.iter().enumerate() {
            let axis = axis(&rows, at);
            let found = first_order(&mut rows, at, &axis, &predict).unwrap();
            let mut told: Vec<(f64, f64)> = axis.values().iter().copied().zip(found.effects.iter().copied()).collect();
            told.extend(found.missing.map(|(effect, _)| (f64::NAN, effect)));
            let dependence = partial_dependence(&mut rows, at, axis.values(), &predict).unwrap();
            for (v, effect) in &told {
                prop_assert!(close(effect - told[0].1, term(*v) - term(told[0].0)), "{at} {v}");
            }
            for (v, mean) in axis.values().iter().zip(&dependence.means) {
                prop_assert!(close(mean - dependence.means[0], term(*v) - term(axis.values()[0])), "{at} {v}");
            }
            let known = found.counts.iter().sum::<usize>() + found.others;
            prop_assert_eq!(known + found.missing.map_or(0, |m| m.1), rows.len());
        }
    }

    #[test]
    fn what_adds_up_has_nothing_together(columns in rows()) {
        let mut rows = Rows::new(columns).unwrap();
        let predict = super::of(additive);
        for at in [[0, 1], [0, 2], [2, 1]] {
            let axes = at.map(|at| axis(&rows, at));
            let found = second_order(&mut rows, at, [&axes[0], &axes[1]], &predict).unwrap();
            prop_assert!(found.effects.iter().all(|v| v.abs() < 1e-9), "{at:?}: {:?}", found.effects);
            let found = interaction(&mut rows, at, &predict).unwrap();
            prop_assert!(found.beyond < 1e-9 && found.h.is_none_or(|h| h < 1e-6), "{found:?}");
        }
    }

    #[test]
    fn a_column_that_is_not_used_is_exactly_zero(columns in rows(), seed in any::<u64>()) {
        let mut rows = Rows::new(columns).unwrap();
        let predict = super::of(entangled);
        let axis_3 = axis(&rows, 3);
        let found = first_order(&mut rows, 3, &axis_3, &predict).unwrap();
        prop_assert!(found.effects.iter().all(|v| *v == 0.0));
        let depends = partial_dependence(&mut rows, 3, axis_3.values(), &predict).unwrap();
        prop_assert!(depends.means.iter().all(|v| *v == depends.means[0]));
        let orders = shuffles(rows.len(), 3, seed);
        let judge = |found: &[f64]| Some(found.iter().enumerate().map(|(i, v)| i as f64 * v).sum());
        let found = permutation(&mut rows, 3, &orders, &predict, &judge, 1.0).unwrap();
        prop_assert!(found.each.iter().all(|v| *v == 0.0) && found.standard_error == 0.0);
        for other in 0..3 {
            let axis_other = axis(&rows, other);
            let found = second_order(&mut rows, [3, other], [&axis_3, &axis_other], &predict).unwrap();
            prop_assert!(found.effects.iter().all(|v| *v == 0.0));
            let found = interaction(&mut rows, [3, other], &predict).unwrap();
            prop_assert!(found.beyond == 0.0 && found.h.is_none_or(|h| h == 0.0), "{found:?}");
        }
    }

    #[test]
    fn effects_are_centred_over_rows(columns in rows()) {
        let mut rows = Rows::new(columns).unwrap();
        let predict = super::of(entangled);
        for at in 0..3 {
            let axis = axis(&rows, at);
            let found = first_order(&mut rows, at, &axis, &predict).unwrap();
            let at_places: Vec<f64> = match &axis {
                Axis::Category(_) => found.effects.clone(),
                Axis::Number(_) => found.effects.windows(2).map(|w| (w[0] + w[1]) / 2.0).collect(),
            };
            let sum: f64 = at_places.iter().zip(&found.counts).map(|(v, n)| v * *n as f64).sum();
            let missing = found.missing.map_or(0.0, |(v, n)| v * n as f64);
            prop_assert!((sum + missing).abs() < 1e-7, "{at}: {sum} {missing}");
        }
        // What is beyond does nothing along either axis.
        let axes = [0, 1].map(|at| axis(&rows, at));
        let found = second_order(&mut rows, [0, 1], [&axes[0], &axes[1]], &predict).unwrap();
        let width = axes[1].values().len();
        for step in 0..axes[0].steps() {
            let mut sum = 0.0;
            for beside in 0..axes[1].steps() {
                let rise = |j: usize| found.effects[(step + 1) * width + j] - found.effects[step * width + j];
                let rows = found.counts[step * axes[1].places() + beside] as f64;
                sum += rows * (rise(beside) + rise(beside + 1)) / 2.0;
            }
            prop_assert!(sum.abs() < 1e-7, "{step}: {sum}");
        }
    }

    #[test]
    fn the_order_of_rows_changes_which_are_drawn_in_nothing(columns in rows(), seed in any::<u64>()) {
        let count = columns[0].len();
        let shuffled = shuffles(count, 1, seed).remove(0);
        let moved: Vec<Vec<f64>> = columns.iter().map(|c| shuffled.iter().map(|r| c[*r as usize]).collect()).collect();
        let held = |columns: &[Vec<f64>]| -> Vec<Vec<u64>> {
            let own: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            let row = |r: &u32| columns.iter().map(|c| c[*r as usize].to_bits()).collect();
            drawn(&own, seed).iter().map(row).collect()
        };
        prop_assert_eq!(held(&columns), held(&moved));
    }

    #[test]
    fn bins_hold_every_row_and_none_is_empty(values in prop::collection::vec(-50i32..50, 1..200), bins in 2usize..30) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let axis = Axis::number(&values, bins);
        prop_assert!(axis.steps() <= bins && axis.values().is_sorted());
        let mut counts = vec![0; axis.places()];
        values.iter().for_each(|v| counts[axis.place(*v).unwrap()] += 1);
        prop_assert!(counts.iter().all(|n| *n > 0), "{counts:?}");
    }
}

#[test]
fn every_order_is_equally_likely() {
    let mut counts = std::collections::BTreeMap::new();
    for order in shuffles(4, 24_000, 3) {
        *counts.entry(order).or_insert(0.0) += 1.0;
    }
    assert_eq!(counts.len(), 24);
    let chi: f64 = counts
        .values()
        .map(|n: &f64| (n - 1_000.0) * (n - 1_000.0) / 1_000.0)
        .sum();
    // 23 degrees of freedom: beyond this once in ten thousand.
    assert!(chi < 55.0, "{chi}");
}

#[test]
fn an_interaction_that_was_planted_is_found() {
    let mut random = luopan_kernel::random::Random::new(5);
    let draw = |_: usize| random.normal();
    let values: Vec<f64> = (0..900).map(draw).collect();
    let mut rows = Rows::new(values.chunks(300).map(<[f64]>::to_vec).collect()).unwrap();
    let predict = super::of(|row| row[0] * row[1] + row[2]);
    let h = |rows: &mut Rows, at| interaction(rows, at, &predict).unwrap().h.unwrap();
    assert!(h(&mut rows, [0, 1]) > 0.95);
    assert!(h(&mut rows, [0, 2]) < 1e-6);
    // x times y is its own effect of second order, but for what centring takes.
    let axes = [0, 1].map(|at| Axis::number(rows.column(at), 4));
    let found = second_order(&mut rows, [0, 1], [&axes[0], &axes[1]], &predict).unwrap();
    let value = |i: usize, j: usize| found.effects[i * 5 + j];
    for (i, x) in axes[0].values().iter().enumerate() {
        for (j, y) in axes[1].values().iter().enumerate() {
            let around = value(i, j) - value(0, j) - value(i, 0) + value(0, 0);
            let wanted = (x - axes[0].values()[0]) * (y - axes[1].values()[0]);
            assert!((around - wanted).abs() < 1e-9, "{around} {wanted}");
        }
    }
}
