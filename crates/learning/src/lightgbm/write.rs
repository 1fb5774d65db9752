//! LightGBM's text of a model that was trained here or read, version 4 of its format: LightGBM loads it and predicts the same. This room must
//! never round a threshold or a leaf.

use std::fmt::Write;

use luopan_kernel::trees::Child;

use super::Unwritable;
use crate::gbdt::{Leaf, Missing, Model, Objective, Test, Tree};

/// What LightGBM allows in no name of a feature.
const FORBIDDEN: [char; 6] = [',', ':', '[', ']', '{', '}'];

/// Writes a model as LightGBM's text. What LightGBM allows in no name (white space, `"`, `,:[]{}`) becomes `_`.
///
/// # Errors
/// [`Unwritable`] when two features come to have one name by that.
pub fn write(model: &Model) -> Result<String, Unwritable> {
    let names = names(&model.features)?;
    let outputs = model.outputs();
    let trees: Vec<String> = (model.trees.iter().enumerate())
        .map(|(at, tree)| section(at, tree))
        .collect();
    let mut text = String::from("tree\nversion=v4\n");
    let mut line = |key: &str, value: &str| {
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    };
    line("num_class", &outputs.to_string());
    line("num_tree_per_iteration", &outputs.to_string());
    line("label_index", "0");
    line(
        "max_feature_idx",
        &names.len().saturating_sub(1).to_string(),
    );
    let name = model.objective.name();
    line(
        "objective",
        &match model.objective {
            Objective::Binary => format!("{name} sigmoid:1"),
            Objective::Multiclass { classes } => format!("{name} num_class:{classes}"),
            _ => name.to_owned(),
        },
    );
    line("feature_names", &names.join(" "));
    if model.monotone_constraints.iter().any(|sign| *sign != 0) {
        line(
            "monotone_constraints",
            &joined(model.monotone_constraints.iter()),
        );
    }
    line("feature_infos", &model.infos.join(" "));
    line("tree_sizes", &joined(trees.iter().map(String::len)));
    text.push('\n');
    text.extend(trees);
    text.push_str("end of trees\n\nfeature_importances:\n");
    let mut splits: Vec<(usize, &str)> = names.iter().map(|name| (0, name.as_str())).collect();
    for split in model.trees.iter().flat_map(|tree| &tree.splits) {
        splits[split.feature].0 += 1;
    }
    splits.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    for (count, name) in splits.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("{name}={count}\n"));
    }
    text.push_str("\nparameters:\nend of parameters\n\npandas_categorical:null\n");
    Ok(text)
}

fn names(features: &[String]) -> Result<Vec<String>, Unwritable> {
    let fit = |letter: char| {
        if letter.is_whitespace()
            || letter.is_control()
            || letter == '"'
            || FORBIDDEN.contains(&letter)
        {
            '_'
        } else {
            letter
        }
    };
    let names: Vec<String> = (features.iter())
        .map(|name| name.chars().map(fit).collect())
        .collect();
    let mut sorted: Vec<usize> = (0..names.len()).collect();
    sorted.sort_by(|a, b| names[*a].cmp(&names[*b]));
    match sorted
        .windows(2)
        .find(|pair| names[pair[0]] == names[pair[1]])
    {
        None => Ok(names),
        Some(pair) => Err(Unwritable {
            first: features[pair[0]].clone(),
            second: features[pair[1]].clone(),
            both: names[pair[0]].clone(),
        }),
    }
}

fn joined<T: ToString>(values: impl Iterator<Item = T>) -> String {
    let words: Vec<String> = values.map(|value| value.to_string()).collect();
    words.join(" ")
}

/// As many digits as tell a number from its neighbours.
fn exact(values: impl Iterator<Item = f64>) -> String {
    let words: Vec<String> = values.map(|value| format!("{value:?}")).collect();
    words.join(" ")
}

fn section(at: usize, tree: &Tree) -> String {
    let mut text = format!("Tree={at}\n");
    let mut line = |key: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key}={value}");
    };
    let mut boundaries = vec![0usize];
    let mut words: Vec<u32> = Vec::new();
    let (mut thresholds, mut decisions) = (Vec::new(), Vec::new());
    for split in &tree.splits {
        match &split.test {
            Test::AtMost { threshold, missing } => {
                thresholds.push(*threshold);
                decisions.push(match missing {
                    Missing::Unseen => 2,
                    Missing::Zero { left } => 4 | u8::from(*left) << 1,
                    Missing::Nan { left } => 8 | u8::from(*left) << 1,
                });
            }
            Test::In { categories, others } => {
                thresholds.push((boundaries.len() - 1) as f64);
                words.extend(crate::gbdt::bits(categories));
                boundaries.push(words.len());
                decisions.push(1 | u8::from(*others) << 3);
            }
        }
    }
    let splits = &tree.splits;
    let nodes = || splits.iter().map(|split| split.node);
    let place = |child: &Child| match child {
        Child::Split(split) => *split as i64,
        Child::Leaf(leaf) => !(*leaf as i64),
    };
    line("num_leaves", tree.leaves.len().to_string());
    line("num_cat", (boundaries.len() - 1).to_string());
    line(
        "split_feature",
        joined(splits.iter().map(|split| split.feature)),
    );
    line("split_gain", exact(splits.iter().map(|split| split.gain)));
    line("threshold", exact(thresholds.into_iter()));
    line("decision_type", joined(decisions.into_iter()));
    line(
        "left_child",
        joined(splits.iter().map(|split| place(&split.left))),
    );
    line(
        "right_child",
        joined(splits.iter().map(|split| place(&split.right))),
    );
    let leaves = || tree.leaves.iter();
    line("leaf_value", exact(leaves().map(|leaf| leaf.value)));
    line("leaf_weight", exact(leaves().map(|leaf| leaf.weight)));
    line("leaf_count", joined(leaves().map(|leaf| leaf.count)));
    line(
        "internal_value",
        exact(nodes().map(|leaf: Leaf| leaf.value)),
    );
    line("internal_weight", exact(nodes().map(|leaf| leaf.weight)));
    line("internal_count", joined(nodes().map(|leaf| leaf.count)));
    if boundaries.len() > 1 {
        line("cat_boundaries", joined(boundaries.iter()));
        line("cat_threshold", joined(words.iter()));
    }
    line("is_linear", "0".to_owned());
    line("shrinkage", format!("{:?}", tree.shrinkage));
    text.push_str("\n\n");
    text
}
