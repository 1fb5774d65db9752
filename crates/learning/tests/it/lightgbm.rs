//! Models that LightGBM trained predict here what LightGBM predicts (`tests/lightgbm/make.py` made them), and texts that are no
//! model are refused with the line and what was found.

use std::path::{Path, PathBuf};

use luopan_kernel::trees::Ensemble;
use luopan_learning::lightgbm::{Error, parse};

struct Case {
    name: String,
    model: Ensemble,
    rows: Vec<[Vec<f64>; 3]>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lightgbm")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.txt"))).expect("a model")
}

fn cases() -> Vec<Case> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the fixtures")
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().ok()?;
            name.strip_suffix(".tsv").map(str::to_owned)
        })
        .filter(|name| name != "linear")
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let model = parse(&text(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let table =
                std::fs::read_to_string(folder().join(format!("{name}.tsv"))).expect("rows");
            let rows = table
                .lines()
                .map(|line| {
                    let groups: Vec<Vec<f64>> = line
                        .split('|')
                        .map(|group| {
                            group
                                .split_ascii_whitespace()
                                .map(|value| value.parse().expect("a number"))
                                .collect()
                        })
                        .collect();
                    groups.try_into().expect("three groups")
                })
                .collect();
            Case { name, model, rows }
        })
        .collect()
}

#[test]
fn raw_scores_are_those_of_lightgbm_bit_for_bit() {
    let cases = cases();
    assert!(cases.len() >= 25, "{} cases", cases.len());
    for case in &cases {
        let mut out = vec![0.0; case.model.outputs()];
        for (at, [row, raw, _]) in case.rows.iter().enumerate() {
            case.model.predict_raw_into(row, &mut out);
            let same = raw
                .iter()
                .zip(&out)
                .all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{} row {at}: {raw:?} there, {out:?} here", case.name);
        }
    }
}

#[test]
fn predictions_are_those_of_lightgbm_to_1e_12() {
    for case in cases() {
        let mut out = vec![0.0; case.model.outputs()];
        for (at, [row, _, predicted]) in case.rows.iter().enumerate() {
            case.model.predict_into(row, &mut out);
            let close = predicted
                .iter()
                .zip(&out)
                .all(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(1.0));
            assert!(
                close,
                "{} row {at}: {predicted:?} there, {out:?} here",
                case.name
            );
        }
    }
}

#[test]
fn many_rows_are_predicted_as_each_of_them_and_stored_models_as_read_ones() {
    for case in cases() {
        let read = Ensemble::decode(&case.model.encode()).expect("what was encoded");
        assert_eq!(read, case.model, "{}", case.name);
        let rows: Vec<f64> = case.rows.iter().flat_map(|[row, ..]| row.clone()).collect();
        let mut many = vec![0.0; case.rows.len() * case.model.outputs()];
        read.predict_many(&rows, &mut many);
        let mut one = vec![0.0; case.model.outputs()];
        for ([row, ..], many) in case.rows.iter().zip(many.chunks(one.len())) {
            case.model.predict_into(row, &mut one);
            assert!(
                one.iter()
                    .zip(many)
                    .all(|(a, b)| a.to_bits() == b.to_bits())
            );
        }
    }
}

/// The line and the words of what is refused when `from` is `to` in the model called `name`.
fn refused(name: &str, from: &str, to: &str) -> (usize, String) {
    let text = text(name);
    assert!(text.contains(from), "{name} has no {from:?}");
    match parse(&text.replacen(from, to, 1)) {
        Err(Error::Line { line, why }) => (line, why),
        other => panic!("{from:?} -> {to:?}: {other:?}"),
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let found = [
        refused("binary", "tree\n", "forest\n"),
        refused("binary", "version=v4", "version=v9"),
        refused("binary", "num_class=1", "num_class=one"),
        refused(
            "binary",
            "num_tree_per_iteration=1",
            "num_tree_per_iteration=2",
        ),
        refused("binary", "max_feature_idx=5", "max_feature_idx=6"),
        refused(
            "binary",
            "objective=binary sigmoid:1",
            "objective=binary sigmoid:0",
        ),
        refused("binary", "objective=binary", "objective=trinary"),
        refused(
            "binary",
            "objective=binary sigmoid:1",
            "objective=binary sqrt",
        ),
        refused(
            "multiclass",
            "objective=multiclass num_class:3",
            "objective=multiclass num_class:4",
        ),
        refused(
            "multiclass",
            "objective=multiclass num_class:3",
            "objective=poisson",
        ),
        refused("binary", "label_index=0", "leaf_signs=0"),
        refused("binary", "label_index=0", "label_index"),
        refused("binary", "label_index=0", "num_class=1"),
        refused("binary", "Tree=1\n", "Tree=2\n"),
        refused("binary", "tree_sizes=", "tree_sizes=1 "),
        refused("binary", "num_leaves=13", "num_leaves=12"),
        refused("binary", "num_leaves=13", "num_leaves=0"),
        refused("binary", "leaf_value=", "leaf_value=1 "),
        refused(
            "constant",
            "leaf_value=0.14579042948627224",
            "leaf_value=inf",
        ),
        refused("binary", "\nthreshold=", "\nthreshold=x"),
        refused("binary", "split_feature=3", "split_feature=6"),
        refused("binary", "decision_type=2", "decision_type=14"),
        refused("binary", "decision_type=2", "decision_type=1"),
        refused("binary", "left_child=1", "left_child=12"),
        refused("binary", "left_child=1", "left_child=-14"),
        refused("categorical", "cat_boundaries=0", "cat_boundaries=1"),
        refused("categorical", "num_cat=1", "num_cat=2"),
        refused("categorical", "cat_threshold=", "cat_threshold=1 "),
        refused("binary", "end of trees", ""),
        refused("linear", "tree_sizes=", "tree_sizes="),
    ];
    let told: Vec<String> = found
        .iter()
        .map(|(line, why)| format!("{line}: {why}"))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/refused.txt");
    if std::env::var_os("LUOPAN_BLESS").is_some() {
        std::fs::write(&path, told.join("\n") + "\n").expect("what is refused");
    }
    let kept = std::fs::read_to_string(path).expect("what is refused");
    assert_eq!(told.join("\n"), kept.trim_end());
}

#[test]
fn trees_that_are_none_are_refused() {
    for (from, to, words) in [
        ("left_child=1 ", "left_child=0 ", "cycle"),
        ("left_child=1 ", "left_child=-2 ", "twice"),
    ] {
        let text = text("binary");
        assert!(text.contains(from), "{from:?}");
        let error = parse(&text.replacen(from, to, 1))
            .expect_err("no tree")
            .to_string();
        assert!(error.contains("tree 0") && error.contains(words), "{error}");
    }
}

#[test]
fn no_cut_and_no_changed_line_makes_the_reader_panic() {
    let text = text("missing_nan_categorical");
    for end in (0..text.len()).step_by(7) {
        let _ = parse(&text[..end]);
    }
    let lines: Vec<&str> = text.lines().collect();
    for skipped in 0..lines.len() {
        let left: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != skipped)
            .map(|(_, line)| *line)
            .collect();
        let _ = parse(&left.join("\n"));
    }
}
