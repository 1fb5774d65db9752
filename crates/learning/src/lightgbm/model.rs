//! What a text tells of training, as a model that can be explained and written again. This room must never invent a count: what a
//! [`Model`] cannot hold is refused by its line.

use luopan_kernel::trees::Transform;

use super::lines::{Section, cut, fault};
use super::tree::{Found, Test, refuse};
use super::{Document, Error};
use crate::gbdt::{self, Leaf, Model, Objective, Split, Tree};

/// The power that LightGBM takes where none is chosen; its text does not tell it.
const TWEEDIE_POWER: f64 = 1.5;

pub(super) fn of(document: &Document<'_>) -> Result<Model, Error> {
    let header = &document.header;
    if let Some((line, _)) = header.get("average_output") {
        return Err(fault(
            line,
            "average_output: averaged trees (boosting=rf) can be predicted with, not explained",
        ));
    }
    let features = document.features.len();
    let (_, infos) = header.text("feature_infos")?;
    let monotone_constraints = match header.get("monotone_constraints") {
        None => Vec::new(),
        Some(_) => {
            let (line, signs) =
                header.list::<i8>("monotone_constraints", features, "one a feature")?;
            if let Some(sign) = signs.iter().find(|sign| !(-1..=1).contains(*sign)) {
                return Err(fault(
                    line,
                    format!("monotone_constraints has {sign}: there are -1, 0 and 1"),
                ));
            }
            signs
        }
    };
    let trees = document.trees.iter();
    Ok(Model {
        features: document.features.clone(),
        infos: infos.split(' ').map(str::to_owned).collect(),
        objective: objective(document)?,
        monotone_constraints,
        trees: trees
            .map(|(section, found)| tree(section, found))
            .collect::<Result<_, _>>()?,
    })
}

fn objective(document: &Document<'_>) -> Result<Objective, Error> {
    let header = &document.header;
    let Some((line, text)) = header.get("objective") else {
        return Err(fault(
            header.line,
            "no objective: a model of a loss of one's own can be predicted with, not explained",
        ));
    };
    let name = text.split_ascii_whitespace().next().unwrap_or_default();
    let found = match (name, document.transform) {
        ("binary", Transform::Sigmoid { steepness: 1.0 }) => Some(Objective::Binary),
        ("regression", Transform::Identity) => Some(Objective::Regression),
        ("poisson", _) => Some(Objective::Poisson),
        ("gamma", _) => Some(Objective::Gamma),
        ("tweedie", _) => Some(Objective::Tweedie {
            power: TWEEDIE_POWER,
        }),
        ("multiclass", _) => Some(Objective::Multiclass {
            classes: document.outputs,
        }),
        ("lambdarank", _) => Some(Objective::Lambdarank),
        _ => None,
    };
    found.ok_or_else(|| {
        fault(
            line,
            format!(
                "objective={}: a model that can be explained is of binary sigmoid:1, regression, poisson, gamma, tweedie, \
                 multiclass or lambdarank",
                cut(text)
            ),
        )
    })
}

fn tree(section: &Section<'_>, found: &Found) -> Result<Tree, Error> {
    let shrinkage = match section.get("shrinkage") {
        None => 1.0,
        Some(_) => numbers(section, "shrinkage", 1, "one a tree")?[0],
    };
    // A tree of one leaf may say nothing of it.
    let told = |key: &str| (section.get(key)).is_some_and(|(_, text)| !text.trim().is_empty());
    let several = !found.splits.is_empty();
    let leaves = if several || told("leaf_count") {
        let weights = if several || told("leaf_weight") {
            numbers(section, "leaf_weight", found.leaves.len(), "one a leaf")?
        } else {
            vec![0.0]
        };
        nodes(section, "leaf_count", &found.leaves, &weights)?
    } else {
        vec![Leaf {
            value: found.leaves[0],
            ..Leaf::default()
        }]
    };
    let count = found.splits.len();
    let mut splits = Vec::with_capacity(count);
    if several {
        let unit = "one a split";
        let gains = numbers(section, "split_gain", count, unit)?;
        let values = numbers(section, "internal_value", count, unit)?;
        let weights = numbers(section, "internal_weight", count, unit)?;
        let inner = nodes(section, "internal_count", &values, &weights)?;
        for ((split, gain), node) in found.splits.iter().zip(gains).zip(inner) {
            splits.push(Split {
                feature: split.feature,
                test: match &split.test {
                    Test::AtMost { threshold, missing } => gbdt::Test::AtMost {
                        threshold: *threshold,
                        missing: *missing,
                    },
                    Test::In { members, others } => gbdt::Test::In {
                        categories: categories(members),
                        others: *others,
                    },
                },
                left: split.left,
                right: split.right,
                gain,
                node,
            });
        }
    }
    Ok(Tree {
        splits,
        leaves,
        shrinkage,
    })
}

fn nodes(
    section: &Section<'_>,
    key: &str,
    values: &[f64],
    weights: &[f64],
) -> Result<Vec<Leaf>, Error> {
    let (_, counts) = section.list::<u64>(key, values.len(), "one a node")?;
    let nodes = values.iter().zip(weights).zip(counts);
    Ok(nodes
        .map(|((value, weight), count)| Leaf {
            value: *value,
            weight: *weight,
            count,
        })
        .collect())
}

fn numbers(section: &Section<'_>, key: &str, wanted: usize, unit: &str) -> Result<Vec<f64>, Error> {
    let (line, values) = section.list::<f64>(key, wanted, unit)?;
    refuse(line, key, &values, |value| !value.is_finite())?;
    Ok(values)
}

/// The places of the bits that are set. The ensemble was built, so that there are at most as many words as the kernel takes.
fn categories(members: &[u32]) -> Vec<u32> {
    let words = (0u32..).zip(members);
    words
        .flat_map(|(word, bits)| {
            (0..32)
                .filter(move |bit| bits >> bit & 1 == 1)
                .map(move |bit| word * 32 + bit)
        })
        .collect()
}
