//! LightGBM's own figures on the same tables (`tests/gbdt/make.py` made them).

use std::path::{Path, PathBuf};

use luopan_learning::gbdt::{Metric, Model, Objective, Parameters, Part, Trained, shap, train};
use luopan_learning::lightgbm;

use super::Table;

const TRAINED: usize = 700;
const OBJECTIVES: &[&str] = &[
    "binary",
    "binary_weights",
    "gamma",
    "monotone",
    "multiclass",
    "penalties",
    "poisson",
    "regression",
    "regression_weights",
    "tweedie",
];

struct Case {
    parameters: Parameters,
    rounds: usize,
    table: Table,
    target: Vec<f64>,
    weights: Vec<f64>,
    groups: Vec<u64>,
    raw: Vec<f64>,
    shap: Vec<f64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gbdt")
}

fn numbers(line: &str) -> impl Iterator<Item = f64> + '_ {
    line.split_ascii_whitespace()
        .map(|word| word.parse().expect("a number"))
}

fn case(name: &str) -> Case {
    let text = std::fs::read_to_string(folder().join("features.tsv")).expect("features");
    let mut columns = vec![Vec::new(); 8];
    for line in text.lines() {
        for (column, value) in columns.iter_mut().zip(numbers(line)) {
            column.push(value);
        }
    }
    let text = std::fs::read_to_string(folder().join(format!("{name}.tsv"))).expect("a case");
    let mut lines = text.lines();
    let (parameters, rounds) = parameters(lines.next().expect("a line of parameters"));
    let mut case = Case {
        parameters,
        rounds,
        table: Table::new(columns, &[4, 5]),
        target: Vec::new(),
        weights: Vec::new(),
        groups: Vec::new(),
        raw: Vec::new(),
        shap: Vec::new(),
    };
    for line in lines {
        let parts: Vec<&str> = line.split('|').collect();
        let given: Vec<f64> = numbers(parts[0]).collect();
        case.target.push(given[0]);
        case.weights.push(given[1]);
        case.groups.push(given[2] as u64);
        case.raw.extend(numbers(parts[1]));
        case.shap
            .extend(parts.get(2).into_iter().flat_map(|part| numbers(part)));
    }
    case
}

fn parameters(line: &str) -> (Parameters, usize) {
    let pairs: Vec<(&str, &str)> = (line.split(' '))
        .map(|pair| pair.split_once('=').expect("key=value"))
        .collect();
    let get = |key: &str| {
        pairs
            .iter()
            .find(|(found, _)| *found == key)
            .map(|(_, v)| *v)
    };
    let objective = match get("objective").expect("an objective") {
        "regression" => Objective::Regression,
        "binary" => Objective::Binary,
        "poisson" => Objective::Poisson,
        "gamma" => Objective::Gamma,
        "tweedie" => Objective::Tweedie { power: 1.5 },
        "lambdarank" => Objective::Lambdarank,
        "multiclass" => Objective::Multiclass { classes: 3 },
        other => panic!("{other}"),
    };
    let mut made = Parameters::new(objective);
    let mut rounds = 0;
    for (key, value) in &pairs {
        let number = || value.parse::<f64>().expect("a number");
        match *key {
            "objective" | "num_class" => {}
            "num_iterations" => made.num_iterations = number() as usize,
            "num_leaves" => made.num_leaves = number() as usize,
            "min_data_in_leaf" => made.min_data_in_leaf = number() as usize,
            "min_data_per_group" => made.min_data_per_group = number() as usize,
            "cat_smooth" => made.cat_smooth = number(),
            "lambda_l1" => made.lambda_l1 = number(),
            "lambda_l2" => made.lambda_l2 = number(),
            "min_gain_to_split" => made.min_gain_to_split = number(),
            "max_depth" => made.max_depth = number() as u32,
            "early_stopping_round" => made.early_stopping_round = number() as usize,
            "monotone_constraints" => {
                made.monotone_constraints = (value.split(','))
                    .map(|sign| sign.parse().expect("a sign"))
                    .collect();
            }
            "rounds" => rounds = number() as usize,
            other => panic!("{other}"),
        }
    }
    (made, rounds)
}

impl Case {
    fn train(&self) -> Trained {
        let (first, second) = (
            self.table.rows(0, TRAINED),
            self.table.rows(TRAINED, self.target.len()),
        );
        let data = first.binned();
        let watched = data.like(&second.columns()).expect("the same columns");
        let ranked = self.parameters.objective == Objective::Lambdarank;
        let part = |data, from: usize, to: usize| Part {
            data,
            target: &self.target[from..to],
            weights: Some(&self.weights[from..to]),
            exposure: None,
            offset: None,
            groups: ranked.then_some(&self.groups[from..to]),
        };
        let valid = part(&watched, TRAINED, self.target.len());
        let valid = (self.parameters.early_stopping_round > 0).then_some(&valid);
        train(&part(&data, 0, TRAINED), valid, &self.parameters).expect("trained")
    }

    fn raw(&self, model: &Model) -> Vec<f64> {
        let ensemble = model.ensemble().expect("the kernel's trees");
        let mut out = vec![0.0; self.raw.len()];
        ensemble.predict_raw_many(&self.table.flat(), &mut out);
        out
    }
}

fn greatest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

/// Share of rows whose `width` values differ by more than 1e-6. Where a leaf has no rows between two thresholds both gain the same,
/// and rounding decides which is taken: rows that were not trained on may then fall on another side.
fn differing(own: &[f64], theirs: &[f64], width: usize) -> f64 {
    assert_eq!(own.len(), theirs.len());
    let rows = own.chunks_exact(width).zip(theirs.chunks_exact(width));
    let many = rows
        .filter(|(own, theirs)| greatest_difference(own, theirs) > 1e-6)
        .count();
    many as f64 / (own.len() / width) as f64
}

/// Whether rounding decided between thresholds.
fn tied(name: &str) -> bool {
    matches!(name, "binary" | "multiclass" | "stopped")
}

#[test]
fn every_objective_predicts_what_lightgbm_predicts() {
    for name in OBJECTIVES {
        let case = case(name);
        let trained = case.train();
        assert_eq!(trained.rounds, case.rounds, "{name}");
        let (own, width) = (case.raw(&trained.model), trained.model.outputs());
        let trained_on = TRAINED * width;
        let difference = greatest_difference(&own[..trained_on], &case.raw[..trained_on]);
        assert!(difference < 1e-6, "{name}: {difference}");
        let share = differing(&own, &case.raw, width);
        let most = if tied(name) { 0.005 } else { 0.0 };
        assert!(share <= most, "{name}: {share}");
    }
}

/// LightGBM looks sigmoids up in a table, so that lambdas differ in the sixth figure and ties may fall otherwise.
#[test]
fn ranking_is_as_good_as_lightgbm_s() {
    let case = case("lambdarank");
    let trained = case.train();
    let own = case.raw(&trained.model);
    let ndcg = |scores: &[f64], from: usize, to: usize| {
        let table = case.table.rows(from, to);
        let data = table.binned();
        let part = Part {
            data: &data,
            target: &case.target[from..to],
            weights: None,
            exposure: None,
            offset: None,
            groups: Some(&case.groups[from..to]),
        };
        Metric::Ndcg { at: 5 }
            .of_scores(Objective::Lambdarank, &part, &scores[from..to])
            .expect("a figure")
    };
    for (from, to, most) in [(0, TRAINED, 0.005), (TRAINED, 900, 0.02)] {
        let (own, theirs) = (ndcg(&own, from, to), ndcg(&case.raw, from, to));
        assert!(own > 0.7 && (own - theirs).abs() < most, "{own} {theirs}");
    }
}

#[test]
fn training_ends_in_the_round_in_which_lightgbm_s_ends() {
    let case = case("stopped");
    let trained = case.train();
    assert_eq!(trained.rounds, case.rounds);
    let (metric, figures) = trained.watched.clone().expect("watched");
    assert_eq!(metric, Metric::LogLoss);
    assert_eq!(figures.len(), case.rounds + 5);
    let best = figures.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(figures[case.rounds - 1], best);
    assert!(differing(&case.raw(&trained.model), &case.raw, 1) < 0.005);
}

#[test]
fn shapley_values_are_lightgbm_s_and_add_up() {
    for name in OBJECTIVES.iter().chain(&["stopped"]) {
        let case = case(name);
        let model = case.train().model;
        let explainer = shap::Explainer::new(&model).expect("an explainer");
        let rows = case.shap.len() / explainer.width();
        assert_eq!(rows, 40);
        let mut own = vec![0.0; case.shap.len()];
        explainer.explain(&case.table.rows(0, rows).flat(), &mut own);
        let share = differing(&own, &case.shap, explainer.width());
        let most = if tied(name) { 0.3 } else { 0.0 };
        assert!(share <= most, "{name}: {share}");
        let sums: Vec<f64> = own.chunks(9).map(|values| values.iter().sum()).collect();
        let difference = greatest_difference(&sums, &case.raw(&model)[..sums.len()]);
        assert!(difference < 1e-12, "{name}: {difference}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    for name in OBJECTIVES {
        let model = case(name).train().model;
        let text = lightgbm::write(&model).expect("a text");
        let read = lightgbm::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, model.ensemble().expect("trees"), "{name}");
        assert_eq!(lightgbm::read(&text).as_ref(), Ok(&model), "{name}");
    }
}
