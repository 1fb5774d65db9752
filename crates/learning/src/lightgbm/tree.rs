//! One tree of a text model: its shape, and what its splits ask. This room must never change what a split asks.

use luopan_kernel::trees::{self, Child, LEAVES_MAX};

use super::Error;
use super::lines::{Section, cut, fault};
use crate::gbdt::{Missing, numerical};

/// A tree as its text has it.
pub(super) struct Found {
    pub(super) splits: Vec<Split>,
    pub(super) leaves: Vec<f64>,
}

pub(super) struct Split {
    pub(super) feature: usize,
    pub(super) test: Test,
    pub(super) left: Child,
    pub(super) right: Child,
}

/// What a split asks.
pub(super) enum Test {
    AtMost {
        threshold: f64,
        missing: Missing,
    },
    /// Categories as bits of words; `others` when training saw more.
    In {
        members: Vec<u32>,
        others: bool,
    },
}

impl Found {
    /// The tree as the kernel walks it.
    pub(super) fn parts(&self) -> trees::Tree {
        let splits = self.splits.iter().map(|split| trees::Split {
            feature: split.feature,
            test: match &split.test {
                Test::AtMost { threshold, missing } => numerical(*threshold, *missing),
                Test::In { members, .. } => trees::Test::In {
                    members: members.clone(),
                },
            },
            left: split.left,
            right: split.right,
        });
        trees::Tree {
            splits: splits.collect(),
            leaves: self.leaves.clone(),
        }
    }
}

const KEYS: &[&str] = &[
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
    "leaf_features",
    "leaf_coeff",
    "shrinkage",
];

// Bits of `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
// Values of the two bits above them.
const MISSING_NONE: u8 = 0;
const MISSING_ZERO: u8 = 1;
const MISSING_NAN: u8 = 2;

/// Reads the tree at place `at` of a model with so many features.
pub(super) fn read(section: &Section<'_>, at: usize, features: usize) -> Result<Found, Error> {
    if section.head.parse() != Ok(at) {
        return Err(fault(
            section.line,
            format!("Tree={} where Tree={at} is wanted", cut(section.head)),
        ));
    }
    section.only(KEYS)?;
    if let Some((line, linear)) = section.get("is_linear")
        && linear != "0"
    {
        return Err(fault(
            line,
            format!(
                "is_linear={}: linear trees cannot be read; train without linear_tree",
                cut(linear)
            ),
        ));
    }
    let (line, leaves) = section.whole("num_leaves")?;
    if !(1..=LEAVES_MAX).contains(&leaves) {
        return Err(fault(
            line,
            format!("num_leaves={leaves}: a tree has 1 to {LEAVES_MAX}"),
        ));
    }
    let (line, values) = section.list::<f64>("leaf_value", leaves, "one a leaf")?;
    refuse(line, "leaf_value", &values, |value| !value.is_finite())?;
    let splits = if leaves == 1 {
        Vec::new()
    } else {
        splits(section, leaves, features)?
    };
    Ok(Found {
        splits,
        leaves: values,
    })
}

fn splits(section: &Section<'_>, leaves: usize, features: usize) -> Result<Vec<Split>, Error> {
    let (count, unit) = (leaves - 1, "one a split");
    let (feature_line, feature) = section.list::<usize>("split_feature", count, unit)?;
    let (threshold_line, threshold) = section.list::<f64>("threshold", count, unit)?;
    let (decision_line, decision) = section.list::<u8>("decision_type", count, unit)?;
    let (left_line, left) = section.list::<i64>("left_child", count, unit)?;
    let (right_line, right) = section.list::<i64>("right_child", count, unit)?;
    // LightGBM writes an infinite one where a split tells missing values from all others.
    refuse(threshold_line, "threshold", &threshold, |value| {
        value.is_nan()
    })?;
    let sets = category_sets(section)?;
    let mut splits = Vec::with_capacity(count);
    for at in 0..count {
        if feature[at] >= features {
            return Err(fault(
                feature_line,
                format!(
                    "value {} of split_feature is {}: there are {features} features",
                    at + 1,
                    feature[at]
                ),
            ));
        }
        let bits = decision[at];
        let (missing, default_left) = (bits >> 2, bits & DEFAULT_LEFT != 0);
        let test = if bits & CATEGORICAL == 0 {
            if missing > MISSING_NAN {
                return Err(fault(
                    decision_line,
                    format!(
                        "value {} of decision_type is {bits}: its bits above the second are 0, 1 or 2",
                        at + 1
                    ),
                ));
            }
            let left = default_left;
            Test::AtMost {
                threshold: threshold[at],
                missing: match missing {
                    MISSING_NONE => Missing::Unseen,
                    MISSING_ZERO => Missing::Zero { left },
                    _ => Missing::Nan { left },
                },
            }
        } else {
            let set = (threshold[at] >= 0.0 && threshold[at].fract() == 0.0)
                .then(|| sets.get(threshold[at] as usize))
                .flatten();
            match set {
                Some(members) => Test::In {
                    members: members.clone(),
                    others: missing != MISSING_NONE,
                },
                None => {
                    return Err(fault(
                        threshold_line,
                        format!(
                            "value {} of threshold is {}, the place of a category set: there are {}",
                            at + 1,
                            threshold[at],
                            sets.len()
                        ),
                    ));
                }
            }
        };
        splits.push(Split {
            feature: feature[at],
            test,
            left: child(left_line, "left_child", at, left[at], leaves)?,
            right: child(right_line, "right_child", at, right[at], leaves)?,
        });
    }
    Ok(splits)
}

fn category_sets(section: &Section<'_>) -> Result<Vec<Vec<u32>>, Error> {
    let (_, count) = section.whole("num_cat")?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let (line, ends) = section.list::<usize>(
        "cat_boundaries",
        count.saturating_add(1),
        "one more than num_cat",
    )?;
    let words_wanted = *ends.last().unwrap_or(&0);
    if ends.first() != Some(&0) || !ends.is_sorted() {
        return Err(fault(line, "cat_boundaries must begin with 0 and ascend"));
    }
    let (_, words) = section.list::<u32>(
        "cat_threshold",
        words_wanted,
        "as many as the last of cat_boundaries",
    )?;
    Ok(ends
        .windows(2)
        .map(|pair| words[pair[0]..pair[1]].to_vec())
        .collect())
}

/// A child: a split from zero on, or a leaf as its bitwise complement.
fn child(line: usize, key: &str, at: usize, found: i64, leaves: usize) -> Result<Child, Error> {
    let (place, is_leaf) = if found < 0 {
        (!found as usize, true)
    } else {
        (found as usize, false)
    };
    if place >= leaves - usize::from(!is_leaf) {
        return Err(fault(
            line,
            format!(
                "value {} of {key} is {found}: there are {} splits and {leaves} leaves",
                at + 1,
                leaves - 1
            ),
        ));
    }
    Ok(if is_leaf {
        Child::Leaf(place)
    } else {
        Child::Split(place)
    })
}

pub(super) fn refuse(
    line: usize,
    key: &str,
    values: &[f64],
    is_wrong: impl Fn(f64) -> bool,
) -> Result<(), Error> {
    match values.iter().position(|value| is_wrong(*value)) {
        None => Ok(()),
        Some(at) => Err(fault(
            line,
            format!(
                "value {} of {key} is {}, which no split and no leaf can have",
                at + 1,
                values[at]
            ),
        )),
    }
}
