//! Shapley values of raw scores, path-dependent: a feature that is left out goes both ways, by the rows that training saw there
//! (Lundberg, Erion and Lee 2018, "Consistent Individualized Feature Attribution for Tree Ensembles"). Numbers are those of LightGBM's
//! `pred_contrib`.
//!
//! For a leaf of value `v` let `o` be 1 for a feature whose splits on the path all let the row through, else 0, and `z` the share of
//! rows that they let through. The leaf's game is a product, so that feature `i` gets
//! `v (o_i - z_i) * integral over t in [0, 1] of the product over j != i of (z_j + t (o_j - z_j))`: a polynomial, which Gauss and
//! Legendre's rule sums exactly with half as many points as there are features on the path. Products at those points are carried
//! down the tree, sums back up (as in Yu et al. 2022, "Linear TreeSHAP"); what an edge multiplies with is tabled before any row.
//!
//! This room must never know how a tree was grown.

use luopan_kernel::trees::{CATEGORIES_MAX, Child, ZERO_MAX};

use super::tree::{Model, Test, Tree, bits};

/// Most different features on one path.
pub const FEATURES_ON_A_PATH_MAX: usize = 64;

/// Why there are no Shapley values.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A path asks for too many features.
    #[error(
        "tree {tree} asks for {found} features on one path: at most {FEATURES_ON_A_PATH_MAX} can be explained; set max_depth"
    )]
    Deep {
        /// The tree.
        tree: usize,
        /// Features on its longest path.
        found: usize,
    },
    /// A child holds no rows, so that nothing tells how often it would be taken.
    #[error(
        "tree {tree} has a split with no rows on one side: its counts are not those of training"
    )]
    Counts {
        /// The tree.
        tree: usize,
    },
}

/// A model made ready for explaining its predictions.
#[derive(Debug, Clone)]
pub struct Explainer {
    features: usize,
    outputs: usize,
    trees: Vec<Tabled>,
    /// Mean of each output over the rows of training.
    expected: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Tabled {
    output: usize,
    /// Points of the integral.
    points: usize,
    /// Nodes without the root, each after its parent.
    edges: Vec<Edge>,
    questions: Vec<Question>,
    /// For each edge three times `points` multipliers, then three times `points` terms; see [`Case`].
    tables: Vec<f64>,
}

#[derive(Debug, Clone)]
struct Edge {
    /// Place of the parent's edge plus one; 0 is the root.
    parent: usize,
    question: usize,
    is_left: bool,
    feature: usize,
    /// The edge above that asks for the same feature, plus one; 0 for none.
    above: usize,
    /// For a leaf its value.
    leaf: Option<f64>,
}

/// Which table holds, by whether the row goes through the edge and through those above with the same feature.
type Case = usize;
const THROUGH: Case = 0;
const STOPPED: Case = 1;
const STOPPED_ABOVE: Case = 2;

#[derive(Debug, Clone)]
enum Question {
    AtMost(usize, f64, bool),
    AtMostOrZero(usize, f64, bool),
    In(usize, Vec<u32>),
}

impl Question {
    fn holds(&self, row: &[f64]) -> bool {
        match self {
            Self::AtMost(feature, threshold, missing) => {
                let value = row[*feature];
                value <= *threshold || value.is_nan() && *missing
            }
            Self::AtMostOrZero(feature, threshold, missing) => {
                let value = row[*feature];
                if value.is_nan() || value.abs() <= ZERO_MAX {
                    *missing
                } else {
                    value <= *threshold
                }
            }
            Self::In(feature, members) => {
                let value = row[*feature];
                if !(value > -1.0 && value < CATEGORIES_MAX as f64) {
                    return false;
                }
                let category = value as usize;
                (members.get(category / 32)).is_some_and(|word| word >> (category % 32) & 1 == 1)
            }
        }
    }
}

impl Explainer {
    /// Tables what explaining needs.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(model: &Model) -> Result<Self, Error> {
        let outputs = model.outputs();
        let mut expected = vec![0.0; outputs];
        let mut trees = Vec::new();
        for (at, tree) in model.trees.iter().enumerate() {
            let count = tree.splits.first().map_or(1, |root| root.node.count);
            expected[at % outputs] += match tree.leaves.as_slice() {
                [only] => only.value,
                leaves => {
                    let sum: f64 = (leaves.iter())
                        .map(|leaf| leaf.count as f64 / count as f64 * leaf.value)
                        .sum();
                    sum
                }
            };
            if tree.leaves.len() > 1 {
                trees.push(table(at, at % outputs, tree)?);
            }
        }
        Ok(Self {
            features: model.features.len(),
            outputs,
            trees,
            expected,
        })
    }

    /// Values of a row: for each output one a feature and, last, the mean over training; their sum is the raw score.
    pub fn width(&self) -> usize {
        self.outputs * (self.features + 1)
    }

    /// Explains many rows, which follow each other in `rows`, as their values do in `out`.
    ///
    /// # Panics
    /// When `rows` is not made of whole rows, or `out` has not [`Explainer::width`] places a row.
    pub fn explain(&self, rows: &[f64], out: &mut [f64]) {
        assert_eq!(rows.len() % self.features, 0, "values of whole rows");
        let count = rows.len() / self.features;
        assert_eq!(out.len(), count * self.width(), "places for all values");
        out.fill(0.0);
        for out in out.chunks_exact_mut(self.width()) {
            for (out, expected) in out.chunks_exact_mut(self.features + 1).zip(&self.expected) {
                out[self.features] = *expected;
            }
        }
        for tree in &self.trees {
            match tree.points {
                1 => self.add::<1>(tree, rows, out),
                2 => self.add::<2>(tree, rows, out),
                4 => self.add::<4>(tree, rows, out),
                6 => self.add::<6>(tree, rows, out),
                8 => self.add::<8>(tree, rows, out),
                16 => self.add::<16>(tree, rows, out),
                _ => self.add::<32>(tree, rows, out),
            }
        }
    }

    fn add<const P: usize>(&self, tree: &Tabled, rows: &[f64], out: &mut [f64]) {
        let (tables, _) = tree.tables.as_chunks::<P>();
        let (tables, _) = tables.as_chunks::<6>();
        let nodes = tree.edges.len() + 1;
        let mut down = vec![[1.0; P]; nodes];
        let mut up = vec![[0.0; P]; nodes];
        let mut cases = vec![THROUGH; nodes];
        let mut answers = vec![false; tree.questions.len()];
        let first = tree.output * (self.features + 1);
        let places = out.chunks_exact_mut(self.width());
        for (row, out) in rows.chunks_exact(self.features).zip(places) {
            let out = &mut out[first..first + self.features];
            for (answer, question) in answers.iter_mut().zip(&tree.questions) {
                *answer = question.holds(row);
            }
            for (at, (edge, table)) in tree.edges.iter().zip(tables).enumerate() {
                let goes = answers[edge.question] == edge.is_left;
                let case = if edge.above > 0 && cases[edge.above] != THROUGH {
                    STOPPED_ABOVE
                } else if goes {
                    THROUGH
                } else {
                    STOPPED
                };
                cases[at + 1] = case;
                let parent = down[edge.parent];
                let here: [f64; P] = std::array::from_fn(|p| parent[p] * table[case][p]);
                down[at + 1] = here;
                up[at + 1] = match edge.leaf {
                    Some(value) => here.map(|product| product * value),
                    None => [0.0; P],
                };
            }
            for (at, (edge, table)) in tree.edges.iter().zip(tables).enumerate().rev() {
                let here = up[at + 1];
                let terms = &table[3 + cases[at + 1]];
                let mut sum = 0.0;
                for p in 0..P {
                    sum += here[p] * terms[p];
                }
                out[edge.feature] += sum;
                let parent = &mut up[edge.parent];
                for p in 0..P {
                    parent[p] += here[p];
                }
            }
        }
    }
}

/// A node on its way into the tables.
struct Ahead {
    child: Child,
    parent: usize,
    question: usize,
    is_left: bool,
    /// Share of the parent's rows.
    share: f64,
    /// Edges of this path, by feature: place plus one, and the share of rows let through by all of that feature.
    path: Vec<(usize, usize, f64)>,
}

fn table(at: usize, output: usize, tree: &Tree) -> Result<Tabled, Error> {
    let count = |child: &Child| match child {
        Child::Split(split) => tree.splits[*split].node.count,
        Child::Leaf(leaf) => tree.leaves[*leaf].count,
    };
    let questions: Vec<Question> = (tree.splits.iter())
        .map(|split| match &split.test {
            Test::AtMost { .. } => match split.test.parts() {
                luopan_kernel::trees::Test::AtMost {
                    threshold,
                    missing,
                    zero_is_missing: true,
                } => Question::AtMostOrZero(split.feature, threshold, missing),
                luopan_kernel::trees::Test::AtMost {
                    threshold, missing, ..
                } => Question::AtMost(split.feature, threshold, missing),
                luopan_kernel::trees::Test::In { members } => Question::In(split.feature, members),
            },
            Test::In { categories, .. } => Question::In(split.feature, bits(categories)),
        })
        .collect();
    let mut edges: Vec<Edge> = Vec::new();
    // Share let through by an edge's feature, and by that of the edge above with the same feature.
    let mut shares: Vec<(f64, Option<f64>)> = Vec::new();
    let mut widest = 0;
    let mut ahead = Vec::new();
    let push = |ahead: &mut Vec<Ahead>, split: usize, parent, path: &[(usize, usize, f64)]| {
        let node = &tree.splits[split];
        for (child, is_left) in [(node.right, false), (node.left, true)] {
            ahead.push(Ahead {
                child,
                parent,
                question: split,
                is_left,
                share: count(&child) as f64 / node.node.count as f64,
                path: path.to_vec(),
            });
        }
    };
    push(&mut ahead, 0, 0, &[]);
    while let Some(mut next) = ahead.pop() {
        if !(next.share > 0.0 && next.share.is_finite()) {
            return Err(Error::Counts { tree: at });
        }
        let feature = tree.splits[next.question].feature;
        let place = edges.len() + 1;
        let found = next.path.iter_mut().find(|(known, _, _)| *known == feature);
        let (above, before) = match found {
            Some(entry) => {
                let (above, before) = (entry.1, entry.2);
                *entry = (feature, place, before * next.share);
                (above, Some(before))
            }
            None => {
                next.path.push((feature, place, next.share));
                (0, None)
            }
        };
        widest = widest.max(next.path.len());
        shares.push((before.unwrap_or(1.0) * next.share, before));
        edges.push(Edge {
            parent: next.parent,
            question: next.question,
            is_left: next.is_left,
            feature,
            above,
            leaf: match next.child {
                Child::Leaf(leaf) => Some(tree.leaves[leaf].value),
                Child::Split(_) => None,
            },
        });
        if let Child::Split(split) = next.child {
            push(&mut ahead, split, place, &next.path);
        }
    }
    if widest > FEATURES_ON_A_PATH_MAX {
        return Err(Error::Deep {
            tree: at,
            found: widest,
        });
    }
    let points = [1, 2, 4, 6, 8, 16, 32]
        .into_iter()
        .find(|points| 2 * points >= widest)
        .unwrap_or(32);
    let rule = gauss_legendre(points);
    let mut tables = Vec::with_capacity(edges.len() * 6 * points);
    // What a feature gives to the product, and what its value is besides it, at a point.
    let factor = |share: f64, goes: f64, t: f64| share + t * (goes - share);
    for (share, before) in shares {
        let cases = [(1.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
        for (goes, went) in cases {
            tables.extend((rule.iter()).map(|(t, _)| {
                let above = before.map_or(1.0, |before| factor(before, went, *t));
                factor(share, goes, *t) / above
            }));
        }
        for (goes, went) in cases {
            tables.extend((rule.iter()).map(|(t, weight)| {
                let own = (goes - share) / factor(share, goes, *t);
                let above = before.map_or(0.0, |before| (went - before) / factor(before, went, *t));
                weight * (own - above)
            }));
        }
    }
    Ok(Tabled {
        output,
        points,
        edges,
        questions,
        tables,
    })
}

/// Points in (0, 1) and weights of Gauss and Legendre's rule, by Newton's method on the Legendre polynomial.
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    (0..points)
        .map(|at| {
            let angle = std::f64::consts::PI * (at as f64 + 0.75) / (points as f64 + 0.5);
            let mut x = libm::cos(angle);
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut before, mut value) = (1.0, x);
                for k in 2..=points {
                    let k = k as f64;
                    (before, value) = (
                        value,
                        ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k,
                    );
                }
                slope = points as f64 * (x * value - before) / (x * x - 1.0);
                let step = value / slope;
                x -= step;
                if step.abs() < 1e-16 {
                    break;
                }
            }
            ((1.0 - x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rule_is_exact_for_polynomials() {
        for points in [1, 2, 4, 6, 8, 16, 32] {
            let rule = super::gauss_legendre(points);
            for degree in 0..2 * points {
                let sum: f64 = (rule.iter())
                    .map(|(t, weight)| weight * libm::pow(*t, degree as f64))
                    .sum();
                let exact = 1.0 / (degree as f64 + 1.0);
                assert!(
                    (sum - exact).abs() < 1e-14,
                    "{points} {degree}: {sum} {exact}"
                );
            }
        }
    }
}
