//! Trees as they were grown, with what training saw at each node, and how they become the kernel's. This room must never change
//! what a tree predicts.

use luopan_kernel::trees::{self, Child, Ensemble, Parts, Transform, ZERO_MAX};

use super::Objective;

/// A trained ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Names of the features of a row, in order.
    pub features: Vec<String>,
    /// What the training data held of each feature, as LightGBM tells it: `[least:greatest]`, categories, or `none`.
    pub infos: Vec<String>,
    /// What was minimised.
    pub objective: Objective,
    /// Constraints, one a feature, or none.
    pub monotone_constraints: Vec<i8>,
    /// Tree `i` adds to output `i % outputs`. The start score is in the first tree of each output.
    pub trees: Vec<Tree>,
}

/// A tree. Without splits it is its one leaf; with splits its root is the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The splits, in the order in which they were made.
    pub splits: Vec<Split>,
    /// The leaves.
    pub leaves: Vec<Leaf>,
    /// What the outputs were multiplied with.
    pub shrinkage: f64,
}

/// An inner node.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Place of the feature in a row.
    pub feature: usize,
    /// What is asked of its value.
    pub test: Test,
    /// Where it goes on when the test holds.
    pub left: Child,
    /// Where it goes on when not.
    pub right: Child,
    /// How much the objective fell by it.
    pub gain: f64,
    /// Output, sum of hessians and rows that the node had as a leaf.
    pub node: Leaf,
}

/// What a split asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Whether a number is at or below the threshold.
    AtMost {
        /// The threshold; infinite where missing values are told from all others.
        threshold: f64,
        /// What is taken for missing, and where it goes.
        missing: Missing,
    },
    /// Whether the value is one of these categories; a missing one is not.
    In {
        /// The categories, ascending.
        categories: Vec<u32>,
        /// True when training saw missing, rare or too many categories.
        others: bool,
    },
}

/// What a split of numbers takes for missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Training saw none: a missing value is taken for zero.
    Unseen,
    /// NaN.
    Nan {
        /// Whether it goes left.
        left: bool,
    },
    /// NaN and zero (LightGBM's `zero_as_missing`; no model that is trained here).
    Zero {
        /// Whether they go left.
        left: bool,
    },
}

/// A leaf, or what a node was as one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Leaf {
    /// What it adds to the raw score.
    pub value: f64,
    /// Sum of the hessians of its rows.
    pub weight: f64,
    /// Its rows.
    pub count: u64,
}

impl Model {
    /// Number of outputs: one, or one a class.
    pub fn outputs(&self) -> usize {
        self.objective.outputs()
    }

    /// The trees as the kernel walks them, with the objective's transform.
    ///
    /// # Errors
    /// [`trees::Error`] when they are beyond the kernel's limits.
    pub fn ensemble(&self) -> Result<Ensemble, trees::Error> {
        Ensemble::build(Parts {
            features: self.features.clone(),
            outputs: self.outputs(),
            averaged: false,
            transform: match self.objective {
                Objective::Binary => Transform::Sigmoid { steepness: 1.0 },
                Objective::Regression | Objective::Lambdarank => Transform::Identity,
                Objective::Poisson | Objective::Gamma | Objective::Tweedie { .. } => Transform::Exp,
                Objective::Multiclass { .. } => Transform::Softmax,
            },
            trees: self.trees.iter().map(Tree::parts).collect(),
        })
    }

    /// How much each feature took from the objective, summed over its splits, in the features' order.
    pub fn gains(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.features.len()];
        for split in self.trees.iter().flat_map(|tree| &tree.splits) {
            gains[split.feature] += split.gain;
        }
        gains
    }
}

impl Tree {
    fn parts(&self) -> trees::Tree {
        let splits = self.splits.iter().map(|split| trees::Split {
            feature: split.feature,
            test: split.test.parts(),
            left: split.left,
            right: split.right,
        });
        trees::Tree {
            splits: splits.collect(),
            leaves: self.leaves.iter().map(|leaf| leaf.value).collect(),
        }
    }
}

impl Test {
    pub(super) fn parts(&self) -> trees::Test {
        match self {
            Self::AtMost { threshold, missing } => numerical(*threshold, *missing),
            Self::In { categories, .. } => trees::Test::In {
                members: bits(categories),
            },
        }
    }
}

/// A split of numbers as the kernel asks it. LightGBM takes whatever is within [`ZERO_MAX`] of zero for zero, in every row: a
/// threshold in between is moved to the near edge, which no value that it sees can tell from where it was. And a missing value
/// that was never seen in training counts as zero: for zero, the answer is known here.
pub(crate) fn numerical(threshold: f64, missing: Missing) -> trees::Test {
    let threshold = if (0.0..ZERO_MAX).contains(&threshold) {
        ZERO_MAX
    } else if (-ZERO_MAX..0.0).contains(&threshold) {
        (-ZERO_MAX).next_down()
    } else {
        threshold
    };
    trees::Test::AtMost {
        threshold,
        missing: match missing {
            Missing::Unseen => 0.0 <= threshold,
            Missing::Nan { left } | Missing::Zero { left } => left,
        },
        zero_is_missing: matches!(missing, Missing::Zero { .. }),
    }
}

/// Bit `i % 32` of word `i / 32` for each category `i`.
pub(crate) fn bits(categories: &[u32]) -> Vec<u32> {
    let length = categories.last().map_or(0, |last| last / 32 + 1);
    let mut words = vec![0u32; length as usize];
    for category in categories {
        words[(category / 32) as usize] |= 1 << (category % 32);
    }
    words
}
