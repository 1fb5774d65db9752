//! Estimates are obp's (`tests/ope/make.py` made them) to 1e-9.

use std::collections::BTreeMap;
use std::path::Path;

use luopan_learning::ope::slate::{Places, Slates};
use luopan_learning::ope::{
    Choice, Columns, Estimator, Logs, Policy, Ragged, Table, Target, Threshold, scores,
};

struct Fixture(BTreeMap<String, Vec<f64>>);

impl Fixture {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/ope")
            .join(name);
        let text = std::fs::read_to_string(path).expect("the fixture");
        let lines = text.lines().map(|line| {
            let mut words = line.split('\t');
            let name = words.next().expect("a name").to_owned();
            (
                name,
                words.map(|word| word.parse().expect("a number")).collect(),
            )
        });
        Self(lines.collect())
    }

    fn of(&self, name: &str) -> &[f64] {
        self.0.get(name).unwrap_or_else(|| panic!("no {name:?}"))
    }

    fn words(&self, name: &str) -> Vec<u32> {
        self.of(name).iter().map(|x| *x as u32).collect()
    }

    fn check(&self, name: &str, found: &[f64]) {
        let wanted = self.of(&format!("obp {name}"));
        assert_eq!(wanted.len(), found.len(), "{name}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(
                (found - wanted).abs() <= 1e-9,
                "{name}: {found} here, {wanted} there"
            );
        }
    }
}

#[test]
fn estimates_are_those_of_obp() {
    let fixture = Fixture::read("bandit.txt");
    let (actions, positions) = (fixture.words("actions"), fixture.words("positions"));
    let logs = Logs::new(Columns {
        actions: &actions,
        action_count: 4,
        rewards: fixture.of("rewards"),
        propensities: fixture.of("propensities"),
        weights: None,
    })
    .expect("logs");
    let table = |name| Table::each(fixture.of(name), 4).at_positions(&positions, 2);
    let target = Target::new(
        &logs,
        &Policy::Table {
            distribution: table("policy"),
            predictions: Some(table("predictions")),
        },
    )
    .expect("a target");
    let clip = Some(2.0);
    let estimators = [
        Estimator::Ips { clip: None },
        Estimator::Ips { clip },
        Estimator::SelfNormalised,
        Estimator::Direct,
        Estimator::DoublyRobust { clip: None },
        Estimator::DoublyRobust { clip },
        Estimator::SelfNormalisedDoublyRobust,
        Estimator::Switch(Threshold::At(1.5)),
    ];
    for estimator in estimators {
        let terms = estimator.terms(&logs, &target).expect("terms");
        fixture.check(estimator.name(), &[terms.value()]);
    }
    for (name, delta) in [("bound", Some(0.05)), ("bias", None)] {
        let thresholds = fixture.of("thresholds").to_vec();
        let choice = Choice { thresholds, delta };
        let errors: Vec<f64> = scores(&logs, &target, &choice)
            .expect("scores")
            .iter()
            .map(luopan_learning::ope::Score::error)
            .collect();
        fixture.check(&format!("errors by {name}"), &errors);
        let chosen = choice.choose(&logs, &target).expect("a threshold");
        fixture.check(&format!("threshold by {name}"), &[chosen.threshold]);
        let switch = Estimator::Switch(Threshold::Chosen(choice));
        let terms = switch.terms(&logs, &target).expect("terms");
        fixture.check(&format!("switch-dr by {name}"), &[terms.value()]);
    }
    // The same as entries of rows instead of tables.
    let rows = logs.rows();
    let lines = |name: &str| -> Vec<f64> {
        let all = fixture.of(name).chunks_exact(4);
        let of_row = |row: usize| row * 2 + positions[row] as usize;
        let all: Vec<&[f64]> = all.collect();
        (0..rows)
            .flat_map(|row| all[of_row(row)].to_vec())
            .collect()
    };
    let (probabilities, predictions) = (lines("policy"), lines("predictions"));
    let entries: Vec<u32> = (0..rows).flat_map(|_| 0..4).collect();
    let offsets: Vec<usize> = (0..=rows).map(|row| row * 4).collect();
    let ragged = Ragged {
        offsets: &offsets,
        actions: &entries,
        probabilities: &probabilities,
        predictions: Some(&predictions),
    };
    let same = Target::new(&logs, &Policy::Ragged(ragged)).expect("a target");
    assert_eq!(target, same);
}

#[test]
fn estimates_of_slates_are_those_of_obp() {
    let fixture = Fixture::read("slate.txt");
    let places = fixture.of("places")[0] as usize;
    let (rewards, actions) = (fixture.of("rewards"), fixture.words("actions"));
    let offsets: Vec<usize> = (0..=rewards.len() / places)
        .map(|slate| slate * places)
        .collect();
    let slates = Slates::new(&offsets, rewards, None).expect("slates");
    let (logged, asked) = (fixture.of("propensities"), fixture.of("probabilities"));
    let whole = |all: &[f64]| -> Vec<f64> {
        all.chunks_exact(places)
            .map(|slate| slate.iter().product())
            .collect()
    };
    let down = |all: &[f64]| slates.cascade(all).expect("products");
    let (above, asked_above) = (down(logged), down(asked));
    let by_model = Places {
        actions: &actions,
        action_count: 4,
        distribution: fixture.of("policy"),
        predictions: fixture.of("predictions"),
    };
    let found = [
        slates.standard(&whole(logged), &whole(asked)),
        slates.independent(logged, asked),
        slates.reward_interaction(&above, &asked_above),
        slates.cascade_doubly_robust(&above, &asked_above, &by_model),
    ];
    for terms in found {
        let terms = terms.expect("terms");
        fixture.check(terms.estimator(), &[terms.value()]);
    }
}
