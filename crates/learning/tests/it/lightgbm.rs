//! Models that LightGBM trained predict here what LightGBM predicts (`tests/lightgbm/make.py` made them), and texts that are no
//! model are refused with the line and what was found.

use std::path::{Path, PathBuf};

use luopan_kernel::trees::Ensemble;
use luopan_learning::gbdt::{Missing, Model, Test, shap};
use luopan_learning::lightgbm::{Error, parse, read, write};

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

/// The models that can be explained: those that have LightGBM's contributions beside them.
fn explained() -> Vec<(String, Model, Vec<Vec<f64>>)> {
    let found: Vec<_> = cases()
        .into_iter()
        .filter_map(|case| {
            let path = folder().join(format!("{}.contributions", case.name));
            let told = std::fs::read_to_string(path).ok()?;
            let rows = told.lines().map(|line| {
                line.split_ascii_whitespace()
                    .map(|value| value.parse().expect("a number"))
                    .collect()
            });
            let model =
                read(&text(&case.name)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            Some((case.name, model, rows.collect()))
        })
        .collect();
    assert_eq!(found.len(), 17);
    found
}

fn contributions(model: &Model, rows: &[Vec<f64>]) -> Vec<f64> {
    let explainer = shap::Explainer::new(model).expect("an explainer");
    let mut out = vec![0.0; rows.len() * explainer.width()];
    explainer.explain(&rows.concat(), &mut out);
    out
}

fn rows_of(name: &str) -> Vec<Vec<f64>> {
    let mut cases = cases();
    cases.retain(|case| case.name == name);
    cases[0].rows.iter().map(|[row, ..]| row.clone()).collect()
}

#[test]
fn contributions_of_models_trained_elsewhere_are_those_of_lightgbm_to_1e_6() {
    for (name, model, wanted) in explained() {
        let own = contributions(&model, &rows_of(&name)[..wanted.len()]);
        let wanted = wanted.concat();
        assert_eq!(own.len(), wanted.len(), "{name}");
        for (at, (own, wanted)) in own.iter().zip(&wanted).enumerate() {
            let close = (own - wanted).abs() <= 1e-6 * wanted.abs().max(1.0);
            assert!(close, "{name} value {at}: {own} here, {wanted} there");
        }
    }
}

#[test]
fn a_model_that_was_read_is_what_predicts_and_is_written_as_it_was() {
    for (name, model, _) in explained() {
        assert_eq!(
            model.ensemble().expect("trees"),
            parse(&text(&name)).expect("trees"),
            "{name}"
        );
        let again = read(&write(&model).expect("a text")).expect("a model");
        assert_eq!(again, model, "{name}");
        let rows = rows_of(&name);
        let bits = |model: &Model| -> Vec<u64> {
            contributions(model, &rows)
                .iter()
                .map(|value| value.to_bits())
                .collect()
        };
        assert_eq!(bits(&again), bits(&model), "{name}");
    }
}

#[test]
fn what_training_saw_is_read() {
    let model = read(&text("missing_zero")).expect("a model");
    let (mut zero, mut count) = (false, 0);
    for tree in &model.trees {
        count += tree.leaves.iter().map(|leaf| leaf.count).sum::<u64>();
        assert_eq!(tree.splits[0].node.count, 1500);
        assert!(
            tree.splits
                .iter()
                .all(|split| split.gain > 0.0 && split.node.weight > 0.0)
        );
        zero |= tree.splits.iter().any(|split| {
            matches!(
                split.test,
                Test::AtMost {
                    missing: Missing::Zero { .. },
                    ..
                }
            )
        });
    }
    assert!(zero);
    assert_eq!(count, 1500 * model.trees.len() as u64);
    assert_eq!(model.infos.len(), 6);
    assert!(model.infos[0].starts_with('['));
    let model = read(&text("categorical")).expect("a model");
    let Test::In { categories, others } = &model.trees[0].splits[0].test else {
        panic!("a split of categories");
    };
    // 954435100 = 0b111000111000111000011000011100, the first of its words.
    assert_eq!(categories[..6], [2, 3, 4, 9, 10, 15]);
    assert!(others);
    let constrained = text("regression").replacen(
        "feature_infos=",
        "monotone_constraints=0 1 -1 0 0 0\nfeature_infos=",
        1,
    );
    let model = read(&constrained).expect("a model");
    assert_eq!(model.monotone_constraints, [0, 1, -1, 0, 0, 0]);
}

#[test]
fn what_a_model_cannot_hold_is_refused_by_its_line() {
    let said = |name: &str, from: &str, to: &str| {
        let text = text(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        let refused = read(&text.replacen(from, to, 1));
        refused.expect_err("no model").to_string()
    };
    for (name, from, to, wanted) in [
        ("linear", "", "", "is_linear=1: linear trees cannot be read"),
        ("forest_binary", "", "", "average_output: averaged trees"),
        ("custom", "", "", "line 1: no objective"),
        (
            "regression_l1",
            "",
            "",
            "line 7: objective=regression_l1: a model that can be explained is of",
        ),
        (
            "regression_sqrt",
            "",
            "",
            "line 7: objective=regression sqrt: a model",
        ),
        (
            "binary_sigmoid",
            "",
            "",
            "line 7: objective=binary sigmoid:1.7: a model",
        ),
        ("multiclassova", "", "", "line 7: objective=multiclassova"),
        ("cross_entropy", "", "", "line 7: objective=cross_entropy"),
        (
            "binary",
            "internal_count=",
            "shrinkage=",
            "again: it stands in",
        ),
        (
            "binary",
            "split_gain=",
            "leaf_const=",
            "`split_gain=` is missing",
        ),
        (
            "binary",
            "split_gain=",
            "split_gain=inf ",
            "split_gain has 13 values, wanted are 12",
        ),
        (
            "binary",
            "leaf_count=",
            "leaf_count=-",
            "value 1 of leaf_count is \"-",
        ),
        (
            "binary",
            "shrinkage=1\n",
            "shrinkage=nan\n",
            "value 1 of shrinkage is NaN",
        ),
        (
            "binary",
            "feature_infos=",
            "monotone_constraints=1 0\nfeature_infos=",
            "line 9: monotone_constraints has 2 values",
        ),
        (
            "binary",
            "feature_infos=",
            "monotone_constraints=1 0 2 0 0 0\nfeature_infos=",
            "line 9: monotone_constraints has 2: there are",
        ),
        ("binary", "left_child=1 ", "left_child=0 ", "cycle"),
    ] {
        let found = said(name, from, to);
        assert!(
            found.contains(wanted),
            "{name}: {found:?}, wanted {wanted:?}"
        );
    }
    // A tree with a child that holds no rows can be read and written, not explained.
    let text = text("binary").replacen("leaf_count=", "leaf_count=0 ", 1);
    let cut: String = (text.lines())
        .map(|line| match line.strip_prefix("leaf_count=0 ") {
            None => format!("{line}\n"),
            Some(rest) => format!(
                "leaf_count=0 {}\n",
                rest.split_once(' ').expect("several").1
            ),
        })
        .collect();
    let empty = read(&cut).expect("a model");
    assert_eq!(
        shap::Explainer::new(&empty).unwrap_err(),
        shap::Error::Counts { tree: 0 }
    );
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
        let _ = read(&text[..end]);
    }
    let lines: Vec<&str> = text.lines().collect();
    for skipped in 0..lines.len() {
        let left: Vec<&str> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != skipped)
            .map(|(_, line)| *line)
            .collect();
        let _ = read(&left.join("\n"));
    }
}
