//! From the parts of an ensemble, as an importer or a trainer has them, to its compiled form. Everything is checked here, once:
//! shapes, ranges, limits, and that each tree is a tree. This room must never mend what it was given.

use super::{
    CATEGORICAL, CATEGORIES_MAX, DEFAULT_LEFT, Ensemble, FEATURE_NAME_BYTES_MAX, FEATURES_MAX,
    LEAVES_MAX, NODES_MAX, Node, OUTPUTS_MAX, Root, TREES_MAX, Transform, ZERO_IS_MISSING,
};

/// An ensemble before it is checked and compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// Names of the features of a row, in order; each once.
    pub features: Vec<String>,
    /// Number of outputs. Tree `i` adds to output `i % outputs`.
    pub outputs: usize,
    /// True when predictions are of the mean over the trees of an output (random forests).
    pub averaged: bool,
    /// What makes predictions of raw scores.
    pub transform: Transform,
    /// The trees, as many for each output, in the order in which they are added.
    pub trees: Vec<Tree>,
}

/// One tree. Without splits it is its one leaf; with splits its root is the first of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// The splits, one less than there are leaves.
    pub splits: Vec<Split>,
    /// Values of the leaves, finite.
    pub leaves: Vec<f64>,
}

/// An inner node of a tree.
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
}

/// What a split asks of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Whether the value is at or below the threshold.
    AtMost {
        /// The threshold. Infinity tells missing values from all others.
        threshold: f64,
        /// The answer for a missing value.
        missing: bool,
        /// True when a value within [`super::ZERO_MAX`] of zero is missing too; NaN always is.
        zero_is_missing: bool,
    },
    /// Whether the value, cut to a whole number, is a member. Missing and negative values are none.
    In {
        /// Bit `i % 32` of word `i / 32` tells whether category `i` is a member.
        members: Vec<u32>,
    },
}

/// Where a split goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// At another split of the tree.
    Split(usize),
    /// At a leaf of the tree.
    Leaf(usize),
}

/// Why parts are no ensemble.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too many of something, or none where there must be some.
    #[error("{found} {what}: an ensemble has {least} to {most}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be at least.
        least: usize,
        /// And at most.
        most: usize,
    },
    /// A name of a feature that is empty, too long or there already.
    #[error("feature {at} is called {name:?}: {why}")]
    Name {
        /// Place of the feature.
        at: usize,
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The trees cannot be dealt out evenly.
    #[error("{trees} trees for {outputs} outputs: each output needs as many")]
    Uneven {
        /// Number of trees.
        trees: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// A transform that does not fit.
    #[error("{transform:?} with {outputs} outputs: {why}")]
    Transform {
        /// The transform.
        transform: Transform,
        /// Number of outputs.
        outputs: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// One tree is none.
    #[error("tree {tree}: {why}")]
    Tree {
        /// Its place.
        tree: usize,
        /// What is wrong.
        why: String,
    },
}

fn count(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(Error::Count {
            what,
            found,
            least,
            most,
        })
    }
}

impl Ensemble {
    /// Checks and compiles.
    ///
    /// # Errors
    /// [`Error`], which names the limit, the tree and what was found.
    pub fn build(parts: Parts) -> Result<Self, Error> {
        let Parts {
            features,
            outputs,
            averaged,
            transform,
            trees,
        } = parts;
        count("features", features.len(), 1, FEATURES_MAX)?;
        count("outputs", outputs, 1, OUTPUTS_MAX)?;
        count("trees", trees.len(), 1, TREES_MAX)?;
        names(&features)?;
        if trees.len() % outputs != 0 {
            return Err(Error::Uneven {
                trees: trees.len(),
                outputs,
            });
        }
        if let Transform::Sigmoid { steepness } = transform
            && !(steepness.is_finite() && steepness > 0.0)
        {
            return Err(Error::Transform {
                transform,
                outputs,
                why: "the steepness must be finite and above zero",
            });
        }
        let mut made = Self {
            features,
            outputs,
            averaged,
            transform,
            roots: Vec::with_capacity(trees.len()),
            nodes: vec![Node::leaf(0)],
            values: vec![0.0],
            words: Vec::new(),
            categories: false,
            zeros: false,
        };
        for (at, tree) in trees.iter().enumerate() {
            made.add(tree)
                .map_err(|why| Error::Tree { tree: at, why })?;
            count(
                "nodes and words of category sets",
                made.nodes.len() - 1 + made.words.len(),
                1,
                NODES_MAX,
            )?;
        }
        Ok(made)
    }

    fn add(&mut self, tree: &Tree) -> Result<(), String> {
        let leaves = tree.leaves.len();
        if !(1..=LEAVES_MAX).contains(&leaves) {
            return Err(format!("{leaves} leaves: a tree has 1 to {LEAVES_MAX}"));
        }
        if tree.splits.len() != leaves - 1 {
            return Err(format!(
                "{} splits and {leaves} leaves: a tree has one leaf more than splits",
                tree.splits.len()
            ));
        }
        let mut seen = vec![false; tree.splits.len()];
        let mut seen_leaves = vec![false; leaves];
        let root = self.nodes.len();
        // What is at each node from `root` on; children are laid side by side, behind all that were met before.
        let mut met = vec![(
            match leaves {
                1 => Child::Leaf(0),
                _ => Child::Split(0),
            },
            0u32,
        )];
        let mut deepest = 0;
        let mut next = 0;
        while let Some(&(child, depth)) = met.get(next) {
            deepest = deepest.max(depth);
            let at = root + next;
            next += 1;
            match child {
                Child::Leaf(leaf) => {
                    let value = *tree
                        .leaves
                        .get(leaf)
                        .ok_or_else(|| format!("leaf {leaf} of {leaves} is pointed at"))?;
                    if std::mem::replace(&mut seen_leaves[leaf], true) {
                        return Err(format!("leaf {leaf} is pointed at twice"));
                    }
                    if !value.is_finite() {
                        return Err(format!("leaf {leaf} has the value {value}"));
                    }
                    self.nodes.push(Node::leaf(at));
                    self.values.push(value);
                }
                Child::Split(split) => {
                    let found = tree.splits.get(split).ok_or_else(|| {
                        format!("split {split} of {} is pointed at", tree.splits.len())
                    })?;
                    if std::mem::replace(&mut seen[split], true) {
                        return Err(format!(
                            "split {split} is pointed at twice: the tree has a cycle or a shared branch"
                        ));
                    }
                    let first = root + met.len();
                    met.push((found.left, depth + 1));
                    met.push((found.right, depth + 1));
                    let node = self
                        .node(found, first)
                        .map_err(|why| format!("split {split}: {why}"))?;
                    self.nodes.push(node);
                    self.values.push(0.0);
                }
            }
        }
        // As many were met as there are, or some cannot be reached from the root.
        if next != tree.splits.len() + leaves {
            return Err(format!(
                "only {next} of {} nodes are reached from the root",
                tree.splits.len() + leaves
            ));
        }
        self.roots.push(Root {
            node: root as u32,
            depth: deepest,
        });
        Ok(())
    }

    fn node(&mut self, split: &Split, first: usize) -> Result<Node, String> {
        if split.feature >= self.features.len() {
            return Err(format!(
                "feature {} of {}",
                split.feature,
                self.features.len()
            ));
        }
        let (threshold, flags) = match &split.test {
            Test::AtMost {
                threshold,
                missing,
                zero_is_missing,
            } => {
                if threshold.is_nan() {
                    return Err("the threshold is not a number".to_owned());
                }
                self.zeros |= zero_is_missing;
                let missing = if *missing { DEFAULT_LEFT } else { 0 };
                let zero = if *zero_is_missing { ZERO_IS_MISSING } else { 0 };
                (*threshold, missing | zero)
            }
            Test::In { members } => {
                let length = members
                    .iter()
                    .rposition(|word| *word != 0)
                    .map_or(0, |at| at + 1);
                if length > CATEGORIES_MAX / 32 {
                    return Err(format!("a category of {CATEGORIES_MAX} or above"));
                }
                self.categories = true;
                let start = self.words.len();
                if start + length > NODES_MAX {
                    return Err(format!("more than {NODES_MAX} words of category sets"));
                }
                self.words.extend_from_slice(&members[..length]);
                let place = (start as u64) << 32 | length as u64;
                (f64::from_bits(place), CATEGORICAL)
            }
        };
        Ok(Node {
            threshold,
            feature: split.feature as u16,
            flags,
            first: first as u32,
        })
    }
}

impl Node {
    /// A leaf at place `at`.
    fn leaf(at: usize) -> Self {
        Self {
            threshold: f64::NAN,
            feature: 0,
            flags: 0,
            first: at.saturating_sub(1) as u32,
        }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.flags & CATEGORICAL == 0 && self.threshold.is_nan()
    }
}

fn names(features: &[String]) -> Result<(), Error> {
    let mut sorted: Vec<&str> = features.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    for (at, name) in features.iter().enumerate() {
        let place = sorted.partition_point(|other| *other < name.as_str());
        let why = if name.is_empty() {
            "a name is not empty"
        } else if name.len() > FEATURE_NAME_BYTES_MAX {
            "a name has at most 256 bytes"
        } else if sorted.get(place + 1) == Some(&name.as_str()) {
            "another feature has that name"
        } else {
            continue;
        };
        return Err(Error::Name {
            at,
            name: name.clone(),
            why,
        });
    }
    Ok(())
}
