//! Curves and figures are scikit-uplift's and causalml's (`tests/uplift/make.py` asked them) to 1e-9.

use std::collections::BTreeMap;

use luopan_learning::uplift::{Ranking, Rows, Strategy};

struct Fixture(BTreeMap<&'static str, Vec<f64>>);

impl Fixture {
    fn read() -> Self {
        let lines = include_str!("../../uplift/uplift.txt").lines().map(|line| {
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

    fn ranking(&self, score: &str, outcome: &str) -> Ranking {
        let treated: Vec<Option<bool>> =
            self.of("treated").iter().map(|x| Some(*x == 1.0)).collect();
        let rows = Rows {
            scores: self.of(score),
            outcomes: self.of(outcome),
            treated: &treated,
            weights: None,
        };
        Ranking::new(&rows).expect("a ranking")
    }
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

const SCORES: [&str; 4] = ["apart", "tied", "treated first", "control first"];

#[test]
fn coefficients_are_scikit_uplifts() {
    let fixture = Fixture::read();
    for score in SCORES {
        let found = fixture.ranking(score, "binary").measures();
        let found = [found.qini_coefficient, found.uplift_coefficient]
            .map(|x| x.expect("outcomes of 0 and 1"));
        same(&found, fixture.of(&format!("{score} sklift")), score);
        assert_eq!(
            fixture.ranking(score, "real").measures().qini_coefficient,
            None
        );
    }
}

#[test]
fn curves_are_scikit_uplifts() {
    let fixture = Fixture::read();
    let curve = fixture.ranking("tied", "binary").curve();
    let rows = fixture.of("treated").len() as f64;
    let treated: f64 = fixture.of("treated").iter().sum();
    for name in ["qini", "uplift"] {
        let shares = curve.points.iter().map(|point| point.share * rows);
        let values = curve.points.iter().map(|point| match name {
            "qini" => point.qini * treated,
            _ => point.uplift * rows,
        });
        let found: Vec<f64> = shares.chain(values).collect();
        same(
            &found,
            fixture.of(&format!("tied sklift {name} curve")),
            name,
        );
    }
}

#[test]
fn means_are_causalmls() {
    let fixture = Fixture::read();
    for score in SCORES.into_iter().filter(|score| *score != "tied") {
        for outcome in ["binary", "real"] {
            let found = fixture.ranking(score, outcome).measures();
            let found = [found.qini_mean, found.uplift_mean]
                .map(|x| x.expect("a curve that does not end at zero"));
            let name = format!("{score} causalml {outcome}");
            same(&found, fixture.of(&name), &name);
        }
    }
}

#[test]
fn uplift_at_k_and_tables_are_scikit_uplifts() {
    let fixture = Fixture::read();
    for score in SCORES.into_iter().filter(|score| *score != "tied") {
        let ranking = fixture.ranking(score, "binary");
        for (strategy, name) in [
            (Strategy::Overall, "overall"),
            (Strategy::ByGroup, "by group"),
        ] {
            let at = |share| {
                ranking
                    .uplift_at(share, strategy)
                    .expect("a share")
                    .expect("rows of both arms")
            };
            let wanted = format!("{score} at {name}");
            same(&[0.2, 0.3, 0.55].map(at), fixture.of(&wanted), &wanted);
            let table = ranking.bins(10, strategy, None).expect("a table");
            let found: Vec<f64> = (table.iter())
                .flat_map(|bin| {
                    let [treated, control, uplift] =
                        [bin.treated_outcome, bin.control_outcome, bin.uplift]
                            .map(|x| x.unwrap_or(-1.0));
                    [bin.treated, bin.control, treated, control, uplift]
                })
                .collect();
            let wanted = format!("{score} table {name}");
            same(&found, fixture.of(&wanted), &wanted);
        }
    }
}
