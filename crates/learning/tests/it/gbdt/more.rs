//! Offsets and columns of many categories, beside LightGBM's own figures (`tests/gbdt/more.py` made them), and exposures.

use std::path::Path;

use luopan_kernel::random::Random;
use luopan_learning::gbdt::{
    Binned, Kind, Metric, Model, Objective, Parameters, Part, Test, shap, train,
};
use luopan_learning::lightgbm;

use super::Table;

fn columns(name: &str) -> Vec<Vec<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gbdt");
    let text = std::fs::read_to_string(path.join(name)).expect("a fixture");
    let width = text.lines().next().expect("a line").split('\t').count();
    let mut columns = vec![Vec::new(); width];
    for line in text.lines() {
        for (column, value) in columns.iter_mut().zip(line.split('\t')) {
            column.push(value.parse().expect("a number"));
        }
    }
    columns
}

fn parameters(objective: Objective) -> Parameters {
    Parameters {
        num_iterations: 15,
        num_leaves: 12,
        min_data_in_leaf: 10,
        min_data_per_group: 10,
        cat_smooth: 3.0,
        ..Parameters::new(objective)
    }
}

fn part<'a>(data: &'a Binned, target: &'a [f64]) -> Part<'a> {
    Part {
        data,
        target,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    }
}

fn raw(model: &Model, table: &Table) -> Vec<f64> {
    let mut out = vec![0.0; table.columns[0].len() * model.outputs()];
    let ensemble = model.ensemble().expect("the kernel's trees");
    ensemble.predict_raw_many(&table.flat(), &mut out);
    out
}

const OBJECTIVES: [Objective; 5] = [
    Objective::Binary,
    Objective::Regression,
    Objective::Poisson,
    Objective::Gamma,
    Objective::Tweedie { power: 1.5 },
];

#[test]
fn offsets_are_lightgbm_s_init_score_for_every_objective() {
    let table = Table::new(columns("features.tsv"), &[4, 5]);
    let given = columns("offsets.tsv");
    let data = table.rows(0, 700).binned();
    for (at, objective) in OBJECTIVES.into_iter().enumerate() {
        let (target, theirs) = (&given[1 + 2 * at], &given[2 + 2 * at]);
        let part = Part {
            offset: Some(&given[0][..700]),
            ..part(&data, &target[..700])
        };
        let trained = train(&part, None, &parameters(objective)).expect("trained");
        let own = raw(&trained.model, &table);
        let differing = own
            .iter()
            .zip(theirs)
            .filter(|(a, b)| (*a - *b).abs() > 1e-6)
            .count();
        assert!(differing <= 4, "{objective:?}: {differing} rows");
        // The offset is known when the part is judged: without it the figure is worse.
        let metric = Metric::of(objective);
        let with = metric
            .of_scores(objective, &part, &own[..700])
            .expect("a figure");
        let without = Part {
            offset: None,
            ..part
        };
        let without = metric
            .of_scores(objective, &without, &own[..700])
            .expect("a figure");
        assert!(with < without, "{objective:?}: {with} {without}");
    }
}

/// A row of exposure `e` is `e` rows of exposure one and of its mean, as far as the mean is learned; and of whole exposures exactly the
/// weighted rate.
#[test]
fn an_exposure_is_a_number_of_units() {
    let mut random = Random::new(3);
    let table = Table::new(
        (0..3)
            .map(|_| (0..800).map(|_| random.normal()).collect())
            .collect(),
        &[],
    );
    let units: Vec<f64> = (0..800).map(|_| 0.25 + 4.0 * random.uniform()).collect();
    let total: Vec<f64> = (units.iter().enumerate())
        .map(|(row, units)| {
            units * libm::exp(0.5 * table.columns[0][row]) * (0.5 + random.uniform())
        })
        .collect();
    let data = table.binned();
    for objective in [
        Objective::Poisson,
        Objective::Gamma,
        Objective::Tweedie { power: 1.3 },
    ] {
        let exposed = Part {
            exposure: Some(&units),
            ..part(&data, &total)
        };
        let rate: Vec<f64> = total
            .iter()
            .zip(&units)
            .map(|(total, units)| total / units)
            .collect();
        let weighted = Part {
            weights: Some(&units),
            ..part(&data, &rate)
        };
        let of =
            |part: &Part<'_>| train(part, Some(part), &parameters(objective)).expect("trained");
        assert_eq!(of(&exposed), of(&weighted));
        // What is learned is the mean of a unit.
        let mean: f64 = raw(&of(&exposed).model, &table)
            .iter()
            .zip(&units)
            .map(|(s, u)| u * s.exp())
            .sum();
        let share = mean / total.iter().sum::<f64>();
        assert!((share - 1.0).abs() < 0.05, "{objective:?}: {share}");
        let huge = vec![1e-308; 800];
        let said = train(
            &Part {
                exposure: Some(&huge),
                ..exposed
            },
            None,
            &parameters(objective),
        );
        let said = said.unwrap_err().to_string();
        assert!(
            said.contains("divided by its exposure, row") && said.contains("inf where"),
            "{said}"
        );
    }
}

#[test]
fn what_takes_no_exposure_and_no_offset_says_so() {
    let table = Table::new(vec![(0..100).map(f64::from).collect()], &[]);
    let data = table.binned();
    let target: Vec<f64> = (0..100).map(|row| f64::from(row % 2)).collect();
    let ones = vec![1.0; 100];
    for objective in [
        Objective::Binary,
        Objective::Regression,
        Objective::Multiclass { classes: 2 },
        Objective::Lambdarank,
    ] {
        let exposed = Part {
            exposure: Some(&ones),
            ..part(&data, &target)
        };
        let said = train(&exposed, None, &parameters(objective))
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            format!(
                "objective is {} with an exposure: exposures belong to poisson, gamma and tweedie; take an offset or weights \
                 elsewhere",
                objective.name()
            )
        );
    }
    let moved = Part {
        offset: Some(&ones),
        ..part(&data, &target)
    };
    let said = train(
        &moved,
        None,
        &parameters(Objective::Multiclass { classes: 2 }),
    );
    assert_eq!(
        said.unwrap_err().to_string(),
        "objective is multiclass with an offset: one number a row moves all classes alike: leave it out"
    );
}

fn many() -> (Table, Vec<f64>, Vec<f64>) {
    let mut given = columns("many.tsv");
    let (theirs, target) = (given.pop().expect("scores"), given.pop().expect("a target"));
    (Table::new(given, &[0]), target, theirs)
}

fn wide(rounds: usize) -> Parameters {
    Parameters {
        num_iterations: rounds,
        min_data_per_group: 4,
        cat_smooth: 1.0,
        min_data_in_leaf: 4,
        ..parameters(Objective::Regression)
    }
}

#[test]
fn many_categories_are_told_apart_as_lightgbm_tells_them() {
    let (table, target, theirs) = many();
    let data = table.rows(0, 1_800).binned();
    let trained = train(&part(&data, &target[..1_800]), None, &wide(15)).expect("trained");
    let own = raw(&trained.model, &table);
    let greatest = |rows: std::ops::Range<usize>| {
        rows.map(|row| (own[row] - theirs[row]).abs())
            .fold(0.0, f64::max)
    };
    assert!(greatest(0..1_800) < 1e-6, "{}", greatest(0..1_800));
    // Half of the other rows hold categories that were never seen.
    assert!(greatest(1_800..2_000) < 1e-6, "{}", greatest(1_800..2_000));
    let told: std::collections::BTreeSet<u32> = (trained.model.trees.iter())
        .flat_map(|tree| &tree.splits)
        .flat_map(|split| match &split.test {
            Test::In { categories, .. } => categories.clone(),
            Test::AtMost { .. } => Vec::new(),
        })
        .collect();
    assert!(told.len() > 100, "{} categories in splits", told.len());
    assert!(trained.model.infos[0].split(':').count() > 255);
    // Written, read, explained.
    let text = lightgbm::write(&trained.model).expect("a text");
    assert_eq!(lightgbm::read(&text).as_ref(), Ok(&trained.model));
    let explainer = shap::Explainer::new(&trained.model).expect("an explainer");
    let mut out = vec![0.0; own.len() * explainer.width()];
    explainer.explain(&table.flat(), &mut out);
    for (values, own) in out.chunks(explainer.width()).zip(&own) {
        assert!((values.iter().sum::<f64>() - own).abs() < 1e-12);
    }
}

#[test]
fn wide_columns_are_taken_watched_and_tied_like_others() {
    let (table, target, _) = many();
    let parameters = Parameters {
        bagging_fraction: 0.7,
        bagging_freq: 1,
        ..wide(5)
    };
    let data = table.rows(0, 1_800).binned();
    let held = data
        .like(&table.rows(1_800, 2_000).columns())
        .expect("the same columns");
    let valid = part(&held, &target[1_800..]);
    let trained =
        train(&part(&data, &target[..1_800]), Some(&valid), &parameters).expect("trained");
    // What was watched is what is predicted, rows left out of a tree and unseen categories among it.
    let own = raw(&trained.model, &table.rows(1_800, 2_000));
    let figure = Metric::Rmse
        .of_scores(Objective::Regression, &valid, &own)
        .expect("a figure");
    let (_, watched) = trained.watched.clone().expect("watched");
    assert!((figure - watched[4]).abs() < 1e-12, "{figure} {watched:?}");
    let chosen: Vec<u32> = (0..1_800).filter(|row| row % 3 > 0).collect();
    let take = |column: &Vec<f64>| -> Vec<f64> {
        chosen.iter().map(|row| column[*row as usize]).collect()
    };
    let cut = Table::new(table.columns.iter().map(take).collect(), &[0]);
    let target = take(&target);
    let again = data.like(&cut.columns()).expect("the same columns");
    let of = |data: &Binned| train(&part(data, &target), None, &parameters).expect("trained");
    assert_eq!(of(&data.take(&chosen)), of(&again));
    // Of two columns that say the same the first is taken.
    let twin = Table::new(
        vec![
            cut.columns[0].clone(),
            cut.columns[0].clone(),
            cut.columns[1].clone(),
        ],
        &[0, 1],
    );
    assert!(
        twin.columns()
            .iter()
            .take(2)
            .all(|column| column.kind == Kind::Category)
    );
    let twice = train(&part(&twin.binned(), &target), None, &wide(5)).expect("trained");
    assert_eq!(twice.model.gains()[1], 0.0);
    assert!(twice.model.gains()[0] > 0.0);
}
