//! Factors, rankings and losses are implicit's (`tests/als/make.py` made them) from the same start; its are in binary64.

use std::collections::BTreeMap;

use luopan_learning::als::{Interactions, Model, Settings, Solver, Start, evaluate, fit_from};

struct Fixture(BTreeMap<&'static str, Vec<f64>>);

impl Fixture {
    fn read() -> Self {
        let lines = include_str!("../../als/als.txt").lines().map(|line| {
            let mut words = line.split('\t');
            let name = words.next().expect("a name");
            (
                name,
                words.map(|word| word.parse().expect("a number")).collect(),
            )
        });
        Self(lines.collect())
    }

    fn of(&self, name: &str) -> &[f64] {
        &self.0[name]
    }

    fn narrow(&self, name: &str) -> Vec<f32> {
        self.of(name).iter().map(|x| *x as f32).collect()
    }

    fn whole<T: TryFrom<u64, Error: std::fmt::Debug>>(&self, name: &str) -> Vec<T> {
        let whole = |x: &f64| T::try_from(*x as u64).expect("in range");
        self.of(name).iter().map(whole).collect()
    }

    fn interactions(&self, name: &str) -> Interactions {
        Interactions::new(
            self.of("sizes")[1] as usize,
            self.whole(&format!("{name} offsets")),
            self.whole(&format!("{name} columns")),
            self.narrow(&format!("{name} strengths")),
        )
        .expect("sound")
    }

    fn settings(&self, solver: Solver) -> Settings {
        let [_, _, factors, alpha, regularization, iterations] = self.of("sizes") else {
            panic!("six sizes");
        };
        Settings {
            factors: *factors as usize,
            regularization: *regularization,
            alpha: *alpha,
            iterations: *iterations as usize,
            solver,
            seed: 0,
        }
    }

    fn fitted(&self, solver: Solver) -> Model {
        let (users, items) = (self.narrow("start users"), self.narrow("start items"));
        let start = Start {
            users: &users,
            items: &items,
        };
        fit_from(&self.interactions("learned"), &self.settings(solver), start).expect("fitted")
    }

    fn check(&self, name: &str, found: impl IntoIterator<Item = f64>, within: f64) {
        let found: Vec<f64> = found.into_iter().collect();
        assert_eq!(self.of(name).len(), found.len(), "{name}");
        for (found, wanted) in found.iter().zip(self.of(name)) {
            assert!(
                (found - wanted).abs() <= within,
                "{name}: {found} here, {wanted} there"
            );
        }
    }
}

const GRADIENTS: Solver = Solver::ConjugateGradient { steps: 3 };

#[test]
fn factors_and_losses_are_those_of_implicit() {
    let fixture = Fixture::read();
    let learned = fixture.interactions("learned");
    for (method, solver) in [("cg", GRADIENTS), ("cholesky", Solver::Cholesky)] {
        let model = fixture.fitted(solver);
        let wide = |of: &[f32]| of.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
        fixture.check(&format!("{method} users"), wide(model.users()), 1e-4);
        fixture.check(&format!("{method} items"), wide(model.items()), 1e-4);
        let loss = model.loss(&learned).expect("a loss");
        fixture.check(&format!("{method} loss"), [loss], 1e-3);
    }
}

#[test]
fn rankings_and_later_users_are_those_of_implicit() {
    let fixture = Fixture::read();
    let learned = fixture.interactions("learned");
    let model = fixture.fitted(Solver::Cholesky);
    let (items, strengths) = learned.of(3);
    let folded_in = model.recalculate(items, strengths).expect("a vector");
    fixture.check("folded in", folded_in.iter().map(|x| f64::from(*x)), 1e-4);
    let best = model.recommend(3, 6, Some(&learned)).expect("a ranking");
    fixture.check(
        "recommended items",
        best.iter().map(|s| f64::from(s.item)),
        0.0,
    );
    fixture.check(
        "recommended scores",
        best.iter().map(|s| f64::from(s.score)),
        1e-4,
    );
    let similar = model.similar_items(4, 6).expect("a ranking");
    fixture.check(
        "similar items",
        similar.iter().map(|s| f64::from(s.item)),
        0.0,
    );
    fixture.check(
        "similar scores",
        similar.iter().map(|s| f64::from(s.score)),
        1e-4,
    );
}

#[test]
fn figures_are_those_counted_in_python() {
    let fixture = Fixture::read();
    let model = fixture.fitted(Solver::Cholesky);
    let (learned, held) = (
        fixture.interactions("learned"),
        fixture.interactions("held"),
    );
    let found = evaluate(&model, &learned, &held, 5).expect("figures");
    let all = [found.users as f64, found.recall, found.ndcg, found.map];
    fixture.check("figures", all, 1e-12);
}
