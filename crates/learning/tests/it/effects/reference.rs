//! Effects are PyALE's and scikit-learn's (`tests/effects/make.py` asked them) to 1e-9.

use std::collections::BTreeMap;

use luopan_learning::effects::{
    Axis, Rows, alike, first_order, interaction, partial_dependence, permutation, second_order,
};

struct Fixture(BTreeMap<&'static str, Vec<f64>>);

impl Fixture {
    fn read() -> Self {
        let lines = include_str!("../../effects/effects.txt")
            .lines()
            .map(|line| {
                let mut words = line.split('\t');
                let name = words.next().expect("a name");
                let numbers = words.map(|word| word.parse().expect("a number")).collect();
                (name, numbers)
            });
        Self(lines.collect())
    }

    fn of(&self, name: &str) -> &[f64] {
        &self.0[name]
    }

    fn rows(&self) -> Rows {
        Rows::new(["a", "b", "c", "d"].map(|c| self.of(c).to_vec()).to_vec()).expect("rows")
    }
}

fn function(row: &[f64]) -> f64 {
    let [a, b, c, d] = [row[0], row[1], row[2], row[3]];
    let level = [0.5, -1.0, 0.25, 2.0, -0.75][d as usize];
    2.0 * a + a * b - 0.5 * b * b * b + 0.1 * c * c + level * (1.0 + 0.5 * a)
}

fn same(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        let allowed = 1e-9 * wanted.abs().max(1.0);
        assert!(
            (found - wanted).abs() <= allowed,
            "{what}: {found} where {wanted} is wanted"
        );
    }
}

fn counts(of: &[usize]) -> Vec<f64> {
    of.iter().map(|n| *n as f64).collect()
}

#[test]
fn local_effects_of_numbers_are_pyales() {
    let fixture = Fixture::read();
    let mut rows = fixture.rows();
    let predict = super::of(function);
    for (at, name, bins) in [(0, "a", 8), (1, "b", 12), (0, "a", 40)] {
        let axis = Axis::number(rows.column(at), bins);
        let found = first_order(&mut rows, at, &axis, &predict).expect("effects");
        let of = |what: &str| fixture.of(&format!("ale {name} {bins} {what}"));
        same(axis.values(), of("values"), name);
        same(&found.effects, of("effects"), name);
        same(&counts(&found.counts), of("sizes"), name);
    }
}

#[test]
fn categories_are_ordered_and_their_effects_are_pyales() {
    let fixture = Fixture::read();
    let mut rows = fixture.rows();
    let wanted = fixture.of("order d");
    let is_category = [false, false, false, true];
    let axis = Axis::category(&rows, 3, &is_category, 40);
    let mut found = axis.values().to_vec();
    // Which end is first is of no matter.
    if found[0] != wanted[0] {
        found.reverse();
    }
    same(&found, wanted, "order");
    let order = alike(&rows, 3, &is_category, wanted);
    assert_eq!(order.len(), 5);
    let axis = Axis::Category(wanted.to_vec());
    let found = first_order(&mut rows, 3, &axis, &super::of(function)).expect("effects");
    same(&found.effects, fixture.of("ale d effects"), "ale d");
    same(&counts(&found.counts), fixture.of("ale d sizes"), "ale d");
}

#[test]
fn local_effects_of_pairs_are_pyales() {
    let fixture = Fixture::read();
    let mut rows = fixture.rows();
    let axes = [0, 1].map(|at| Axis::number(rows.column(at), 5));
    same(axes[0].values(), fixture.of("ale a b 5 first"), "first");
    same(axes[1].values(), fixture.of("ale a b 5 second"), "second");
    let found = second_order(
        &mut rows,
        [0, 1],
        [&axes[0], &axes[1]],
        &super::of(function),
    )
    .expect("effects");
    same(&found.effects, fixture.of("ale a b 5 effects"), "a b");
}

#[test]
fn dependence_is_scikit_learns() {
    let fixture = Fixture::read();
    let mut rows = fixture.rows();
    for (at, name) in [(0, "a"), (2, "c")] {
        let values = fixture.of(&format!("pd {name} values"));
        let found = partial_dependence(&mut rows, at, values, &super::of(function)).expect("one");
        same(&found.means, fixture.of(&format!("pd {name} means")), name);
        same(
            found.bands.as_flattened(),
            fixture.of(&format!("pd {name} bands")),
            name,
        );
    }
}

#[test]
fn interactions_are_those_of_the_definition() {
    let fixture = Fixture::read();
    let places: Vec<u32> = (0..60).collect();
    let mut rows = fixture.rows().take(&places);
    for (at, name) in [([0, 1], "ab"), ([2, 3], "cd"), ([1, 2], "bc")] {
        let found = interaction(&mut rows, at, &super::of(function)).expect("one");
        let h = found.h.expect("they do something");
        same(&[h, found.beyond], fixture.of(&format!("h {name}")), name);
    }
}

#[test]
fn permutations_are_scikit_learns() {
    let fixture = Fixture::read();
    let mut rows = fixture.rows();
    let y = fixture.of("y");
    let rmse = |found: &[f64]| {
        let squares: f64 = found.iter().zip(y).map(|(f, y)| (f - y) * (f - y)).sum();
        Some((squares / y.len() as f64).sqrt())
    };
    let orders: Vec<Vec<u32>> = (fixture.of("orders").chunks(y.len()))
        .map(|o| o.iter().map(|r| *r as u32).collect())
        .collect();
    for (at, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let predict = super::of(function);
        let found = permutation(&mut rows, at, &orders, &predict, &rmse, -1.0).expect("one");
        same(&found.each, fixture.of(&format!("permuted {name}")), name);
        let mean = fixture.of(&format!("permuted {name} mean"));
        same(&[found.mean], mean, name);
    }
}
