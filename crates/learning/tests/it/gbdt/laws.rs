//! What holds of every table: the same bits twice, weights count as rows, constraints hold over the whole range, what training
//! never saw has an answer.

use luopan_kernel::random::Random;
use luopan_learning::gbdt::{
    BinSettings, Binned, Metric, Objective, Parameters, Part, Trained, shap, train,
};
use proptest::prelude::*;

use super::Table;

/// Rows with holes, a category in the last column, and a target that depends on all.
fn planted(seed: u64, rows: usize) -> (Table, Vec<f64>) {
    let mut random = Random::new(seed);
    let mut columns = vec![Vec::new(); 4];
    let mut target = Vec::new();
    for _ in 0..rows {
        let (a, b) = (random.normal(), random.normal());
        let c = (random.bits() % 12) as f64;
        let hole = random.uniform() < 0.1;
        columns[0].push(a);
        columns[1].push(if hole { f64::NAN } else { b });
        columns[2].push((random.uniform() * 4.0).floor());
        columns[3].push(c);
        let effect = if (c as u64).is_multiple_of(3) {
            1.0
        } else {
            -0.5
        };
        let interplay = if hole { 2.0 } else { 0.3 * a * b };
        target.push(a + interplay + effect + 0.3 * random.normal());
    }
    (Table::new(columns, &[3]), target)
}

fn plain<'a>(data: &'a Binned, target: &'a [f64]) -> Part<'a> {
    Part {
        data,
        target,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    }
}

fn trained(table: &Table, target: &[f64], parameters: &Parameters) -> Trained {
    train(&plain(&table.binned(), target), None, parameters).unwrap_or_else(|e| panic!("{e}"))
}

fn few(objective: Objective) -> Parameters {
    Parameters {
        num_iterations: 15,
        num_leaves: 8,
        min_data_in_leaf: 5,
        min_data_per_group: 5,
        ..Parameters::new(objective)
    }
}

fn predicted(trained: &Trained, rows: &[f64]) -> Vec<f64> {
    let ensemble = trained.model.ensemble().expect("trees");
    let width = ensemble.feature_names().len();
    let mut out = vec![0.0; rows.len() / width * ensemble.outputs()];
    ensemble.predict_raw_many(rows, &mut out);
    out
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_does_not() {
    let (table, target) = planted(1, 500);
    let drawing = Parameters {
        bagging_fraction: 0.6,
        bagging_freq: 1,
        feature_fraction: 0.5,
        ..few(Objective::Regression)
    };
    let first = trained(&table, &target, &drawing);
    assert_eq!(first, trained(&table, &target, &drawing));
    let other = Parameters { seed: 2, ..drawing };
    assert_ne!(first.model, trained(&table, &target, &other).model);
    // Rows that were left out of a tree are moved by it all the same.
    let own = predicted(&first, &table.flat());
    let loss: f64 = own
        .iter()
        .zip(&target)
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    let mean = target.iter().sum::<f64>() / 500.0;
    let before: f64 = target.iter().map(|b| (mean - b) * (mean - b)).sum();
    assert!(loss < 0.5 * before, "{loss} {before}");
}

#[test]
fn values_that_training_never_saw_have_an_answer() {
    let (table, target) = planted(2, 600);
    let done = trained(&table, &target, &few(Objective::Regression));
    // An unseen category goes where missing ones go; a value past all others where the greatest went.
    let rows = |c: f64, a: f64| vec![a, 0.1, 1.0, c];
    let of = |row: Vec<f64>| predicted(&done, &row)[0];
    assert_eq!(of(rows(77.0, 0.0)), of(rows(f64::NAN, 0.0)));
    let greatest = table.columns[0].iter().copied().fold(0.0, f64::max);
    assert_eq!(of(rows(3.0, 1e300)), of(rows(3.0, greatest)));
    // A hole in a column that never had one is taken for zero.
    assert_eq!(of(rows(3.0, f64::NAN)), of(rows(3.0, 0.0)));
    // Holes mean something here, and that was learned.
    let hole = predicted(&done, &[1.0, f64::NAN, 1.0, 3.0])[0];
    let none = predicted(&done, &[1.0, -2.0, 1.0, 3.0])[0];
    assert!(hole > none + 0.5, "{hole} {none}");
}

#[test]
fn columns_that_say_nothing_are_named_and_change_nothing() {
    let (table, target) = planted(3, 400);
    let mut more = planted(3, 400).0;
    for column in [vec![7.0; 400], vec![f64::NAN; 400]] {
        more.names.push(format!("f{}", more.columns.len()));
        more.columns.push(column);
    }
    let data = more.binned();
    assert_eq!(data.constant(), ["f4", "f5"]);
    let parameters = few(Objective::Regression);
    let with = train(&plain(&data, &target), None, &parameters).expect("trained");
    assert_eq!(
        with.model.trees,
        trained(&table, &target, &parameters).model.trees
    );
    // Nothing but such columns: the start alone.
    let empty = Table::new(vec![vec![1.0; 400]], &[]);
    let start = trained(&empty, &target, &parameters);
    let mean = target.iter().sum::<f64>() / 400.0;
    assert_eq!(start.rounds, 1);
    assert!((predicted(&start, &[5.0])[0] - mean).abs() < 1e-12);
}

#[test]
fn an_offset_is_started_from_and_an_exposure_is_a_rate() {
    let (table, score) = planted(4, 1_000);
    let mut random = Random::new(9);
    let exposure: Vec<f64> = (0..1_000).map(|_| 0.1 + random.uniform()).collect();
    let count: Vec<f64> = (score.iter().zip(&exposure))
        .map(|(score, exposure)| ((0.4 * score).exp() * exposure + random.uniform()).floor())
        .collect();
    let data = table.binned();
    let parameters = few(Objective::Poisson);
    let part = plain(&data, &count);
    let exposed = Part {
        exposure: Some(&exposure),
        ..part
    };
    let rate: Vec<f64> = count.iter().zip(&exposure).map(|(c, e)| c / e).collect();
    let weighted = Part {
        target: &rate,
        weights: Some(&exposure),
        ..part
    };
    let of = |part: &Part<'_>| train(part, None, &parameters).expect("trained");
    assert_eq!(of(&exposed).model, of(&weighted).model);
    // The logarithm of the exposure as an offset tells the same slopes, from another start.
    let shifted: Vec<f64> = exposure.iter().map(|exposure| exposure.ln()).collect();
    let start = libm::log(count.iter().sum::<f64>() / exposure.iter().sum::<f64>());
    let offset: Vec<f64> = shifted.iter().map(|offset| offset + start).collect();
    let by_offset = of(&Part {
        offset: Some(&offset),
        ..part
    });
    let rows = table.flat();
    for (a, b) in (predicted(&by_offset, &rows).iter()).zip(predicted(&of(&exposed), &rows)) {
        assert!((a + start - b).abs() < 1e-3, "{a} {start} {b}");
    }
}

#[test]
fn a_table_in_other_bins_of_the_same_rows_predicts_alike() {
    // Bins of a sample of the rows are not those of all, but near them.
    let (table, target) = planted(5, 3_000);
    let sampled = BinSettings {
        bin_construct_sample_cnt: 1_000,
        ..BinSettings::default()
    };
    let data = Binned::new(&table.columns(), &sampled).expect("binned");
    let parameters = few(Objective::Regression);
    let some = train(&plain(&data, &target), None, &parameters).expect("trained");
    let all = trained(&table, &target, &parameters);
    let rows = table.flat();
    let loss = |done: &Trained| -> f64 {
        let own = predicted(done, &rows);
        own.iter()
            .zip(&target)
            .map(|(a, b)| (a - b) * (a - b))
            .sum()
    };
    assert!((loss(&some) / loss(&all) - 1.0).abs() < 0.03);
    assert_ne!(some.model, all.model);
}

#[test]
fn rows_that_are_taken_are_those_rows() {
    let (table, target) = planted(6, 500);
    let data = table.binned();
    let chosen: Vec<u32> = (0..500).filter(|row| row % 3 != 0).collect();
    let take =
        |column: &[f64]| -> Vec<f64> { chosen.iter().map(|r| column[*r as usize]).collect() };
    let cut = Table::new(table.columns.iter().map(|c| take(c)).collect(), &[3]);
    let target = take(&target);
    let parameters = few(Objective::Regression);
    let of = |data: &Binned| train(&plain(data, &target), None, &parameters).expect("trained");
    let again = data.like(&cut.columns()).expect("the same columns");
    assert_eq!(of(&data.take(&chosen)), of(&again));
    // A part that is watched and not stopped by changes nothing.
    let part = plain(&again, &target);
    let watched = train(&part, Some(&part), &parameters).expect("trained");
    assert_eq!(watched.model, of(&again).model);
    let figures = watched.watched.expect("figures").1;
    assert_eq!(figures.len(), 15);
    assert!(figures.is_sorted_by(|a, b| a > b));
}

#[test]
fn the_area_under_the_curve_counts_pairs() {
    let (table, score) = planted(7, 200);
    let data = table.binned();
    let target: Vec<f64> = score
        .iter()
        .map(|s| f64::from(u8::from(*s > 0.0)))
        .collect();
    let scores: Vec<f64> = table.columns[0].iter().map(|a| (a * 4.0).round()).collect();
    let (mut pairs, mut won) = (0.0, 0.0);
    for (a, one) in scores.iter().zip(&target).filter(|(_, t)| **t == 1.0) {
        for (b, _) in scores.iter().zip(&target).filter(|(_, t)| **t == 0.0) {
            pairs += *one;
            won += if a > b {
                1.0
            } else {
                0.5 * f64::from(u8::from(a == b))
            };
        }
    }
    let part = plain(&data, &target);
    let auc = Metric::Auc.of_scores(Objective::Binary, &part, &scores);
    assert!((auc.expect("a figure") - won / pairs).abs() < 1e-12);
    // What would give no number is refused.
    let ones = vec![1.0; 200];
    let alone = plain(&data, &ones);
    let said = Metric::Auc.of_scores(Objective::Binary, &alone, &scores);
    assert!(said.unwrap_err().to_string().contains("an AUC needs both"));
    let broken = vec![f64::NAN; 200];
    let said = Metric::Auc.of_scores(Objective::Binary, &part, &broken);
    assert!(
        said.unwrap_err()
            .to_string()
            .starts_with("the score, row 0: NaN")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Over a grid that is wider than the data, whatever the other values are, the prediction does not turn.
    #[test]
    fn constraints_hold_over_the_whole_range(seed in 0u64..1_000, probe in 0u64..1_000) {
        let (table, target) = planted(seed, 300);
        let parameters = Parameters {
            monotone_constraints: vec![1, -1, 1, 0],
            ..few(Objective::Regression)
        };
        let done = trained(&table, &target, &parameters);
        let mut random = Random::new(probe);
        for (column, sign) in [(0, 1.0), (1, -1.0), (2, 1.0)] {
            let mut row = vec![
                random.normal(),
                if random.uniform() < 0.2 { f64::NAN } else { random.normal() },
                random.uniform() * 4.0,
                (random.bits() % 14) as f64,
            ];
            let mut before = f64::NEG_INFINITY;
            for step in -60..60 {
                row[column] = f64::from(step) * 0.1;
                let value = sign * predicted(&done, &row)[0];
                prop_assert!(value >= before - 1e-12, "{column}: {value} after {before}");
                before = value;
            }
        }
    }

    /// A row of weight two is that row twice, when leaves are bounded by their hessians alone.
    #[test]
    fn weights_are_repetitions(seed in 0u64..1_000) {
        let (table, target) = planted(seed, 250);
        let repeated: Vec<usize> = (0..250)
            .flat_map(|row| std::iter::repeat_n(row, 1 + row % 2))
            .collect();
        let of = |values: &[f64]| -> Vec<f64> { repeated.iter().map(|row| values[*row]).collect() };
        let twice = Table::new(table.columns.iter().map(|column| of(column)).collect(), &[3]);
        let parameters = Parameters {
            num_iterations: 3,
            min_data_in_leaf: 1,
            min_data_per_group: 1,
            cat_smooth: 0.0,
            min_sum_hessian_in_leaf: 20.0,
            ..few(Objective::Regression)
        };
        // The same bins for both: weights are not looked at when bins are made.
        let bins = Binned::new(&twice.columns(), &BinSettings { min_data_in_bin: 1, ..BinSettings::default() });
        let bins = bins.expect("binned");
        let once = bins.like(&table.columns()).expect("the same columns");
        let weights: Vec<f64> = (0..250).map(|row| (1 + row % 2) as f64).collect();
        let weighted = Part { weights: Some(&weights), ..plain(&once, &target) };
        let a = train(&weighted, None, &parameters).expect("trained");
        let targets = of(&target);
        let b = train(&plain(&bins, &targets), None, &parameters).expect("trained");
        let rows = table.flat();
        for (a, b) in predicted(&a, &rows).iter().zip(predicted(&b, &rows)) {
            prop_assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    /// Shapley values of any row add up to its raw score.
    #[test]
    fn shapley_values_add_up(seed in 0u64..1_000) {
        let (table, target) = planted(seed, 200);
        let deep = Parameters { num_leaves: 30, min_data_in_leaf: 2, ..few(Objective::Regression) };
        let done = trained(&table, &target, &deep);
        let explainer = shap::Explainer::new(&done.model).expect("an explainer");
        let rows = table.flat();
        let mut out = vec![0.0; 200 * explainer.width()];
        explainer.explain(&rows, &mut out);
        for (values, raw) in out.chunks(5).zip(predicted(&done, &rows)) {
            prop_assert!((values.iter().sum::<f64>() - raw).abs() < 1e-11);
        }
    }
}
