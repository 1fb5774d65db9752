//! One tree, leaf by leaf: always the leaf is split whose best split gains most, the earlier leaf of equal ones. Of two children
//! the smaller is summed over its rows, the larger is what remains of the parent. This room must never know an objective.

use luopan_kernel::trees::Child;

use super::bins::Bins;
use super::categorical::categorical;
use super::data::Binned;
use super::histogram::{Layout, Maker, Sums, subtract};
use super::objective::Slope;
use super::partition::{Goes, Partition};
use super::split::{Found, Judge, Node, Searched, numerical};
use super::tree::{Leaf, Missing, Split, Test, Tree};
use super::{EPSILON, Parameters};

/// Grows trees on one table.
#[derive(Debug)]
pub(super) struct Grower<'a> {
    data: &'a Binned,
    parameters: &'a Parameters,
    judge: Judge,
    layout: Layout,
    maker: Maker,
    pub(super) partition: Partition,
    /// Histograms of leaves that may still be split; free ones are used again.
    free: Vec<Histogram>,
}

/// A leaf's sums, and the columns that are worth looking at: where no split of the parent was worth making, none is sought.
#[derive(Debug, Default)]
struct Histogram {
    sums: Vec<Sums>,
    open: Vec<bool>,
}

/// A leaf while the tree grows.
struct Growing {
    node: Node,
    output: f64,
    depth: u32,
    /// The split that points at it, and whether as its left child.
    parent: Option<(usize, bool)>,
    best: Option<Found>,
    histogram: Option<Histogram>,
}

/// A tree, and how the rows of tables in the same bins walk through it.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) tree: Tree,
    walks: Vec<Goes>,
}

impl Grown {
    /// The leaf of a row.
    pub(super) fn leaf(&self, data: &Binned, row: usize) -> usize {
        let mut at = match self.tree.splits.first() {
            Some(_) => Child::Split(0),
            None => Child::Leaf(0),
        };
        loop {
            match at {
                Child::Leaf(leaf) => return leaf,
                Child::Split(split) => {
                    let goes = self.walks[split].row(data, row);
                    let split = &self.tree.splits[split];
                    at = if goes { split.left } else { split.right };
                }
            }
        }
    }
}

impl<'a> Grower<'a> {
    pub(super) fn new(data: &'a Binned, parameters: &'a Parameters) -> Self {
        Self {
            data,
            parameters,
            judge: Judge::new(parameters),
            layout: Layout::of(data),
            maker: Maker::new(),
            partition: Partition::new(),
            free: Vec::new(),
        }
    }

    /// Grows a tree on the rows of the partition's leaf 0, with the columns that `open` tells by position. Outputs are not yet
    /// shrunk.
    pub(super) fn grow(&mut self, slopes: &[Slope], open: &[bool]) -> Grown {
        let rows = self.partition.rows(0);
        let (mut gradient, mut hessian) = (0.0, 0.0);
        for row in rows {
            let slope = slopes[*row as usize];
            gradient += f64::from(slope[0]);
            hessian += f64::from(slope[1]);
        }
        let node = Node {
            gradient,
            hessian,
            rows: rows.len(),
            least: f64::MIN,
            greatest: f64::MAX,
        };
        let output = self.judge.output(gradient, hessian + EPSILON, &node);
        let mut leaves = vec![Growing {
            node,
            output,
            depth: 0,
            parent: None,
            best: None,
            histogram: None,
        }];
        let mut grown = Grown {
            tree: Tree {
                splits: Vec::new(),
                leaves: Vec::new(),
                shrinkage: 1.0,
            },
            walks: Vec::new(),
        };
        if rows.len() >= 2 * self.parameters.min_data_in_leaf {
            let mut histogram = self.taken();
            histogram.open.extend_from_slice(open);
            self.sum(0, slopes, &mut histogram);
            self.search(&mut leaves[0], histogram);
        }
        while leaves.len() < self.parameters.num_leaves {
            let mut best: Option<(usize, f64)> = None;
            for (at, leaf) in leaves.iter().enumerate() {
                if let Some(found) = &leaf.best
                    && best.is_none_or(|(_, gain)| found.gain > gain)
                {
                    best = Some((at, found.gain));
                }
            }
            let Some((at, _)) = best.filter(|(_, gain)| *gain > 0.0) else {
                break;
            };
            self.split(at, &mut leaves, &mut grown, slopes);
        }
        grown.tree.leaves = leaves
            .into_iter()
            .enumerate()
            .map(|(at, leaf)| {
                self.free.extend(leaf.histogram);
                Leaf {
                    value: leaf.output,
                    weight: leaf.node.hessian,
                    count: self.partition.rows(at).len() as u64,
                }
            })
            .collect();
        grown
    }

    fn split(&mut self, at: usize, leaves: &mut Vec<Growing>, grown: &mut Grown, slopes: &[Slope]) {
        let leaf = &mut leaves[at];
        let (Some(found), Some(mut histogram)) = (leaf.best.take(), leaf.histogram.take()) else {
            return;
        };
        let number = grown.tree.splits.len();
        if let Some((parent, is_left)) = leaf.parent {
            let parent = &mut grown.tree.splits[parent];
            let child = Child::Split(number);
            if is_left {
                parent.left = child;
            } else {
                parent.right = child;
            }
        }
        let new = leaves.len();
        let leaf = &mut leaves[at];
        let goes = Goes::of(self.data, found.position, &found.left_bins);
        self.partition.split(at, self.data, &goes);
        let column = self.data.shape.used[found.position];
        grown.tree.splits.push(Split {
            feature: column,
            test: self.test(column, &found, &goes),
            left: Child::Leaf(at),
            right: Child::Leaf(new),
            gain: found.gain,
            node: Leaf {
                value: leaf.output,
                weight: leaf.node.hessian,
                count: leaf.node.rows as u64,
            },
        });
        let (left_rows, right_rows) = (
            self.partition.rows(at).len(),
            self.partition.rows(new).len(),
        );
        let (mut least, mut greatest) = ([leaf.node.least; 2], [leaf.node.greatest; 2]);
        if found.threshold.is_some() {
            let middle = (found.left.output + found.right.output) / 2.0;
            match self.monotone(column) {
                1 => {
                    greatest[0] = greatest[0].min(middle);
                    least[1] = least[1].max(middle);
                }
                -1 => {
                    least[0] = least[0].max(middle);
                    greatest[1] = greatest[1].min(middle);
                }
                _ => {}
            }
        }
        let depth = leaf.depth + 1;
        let child = |side: super::split::Side, rows, place: usize| Growing {
            node: Node {
                gradient: side.gradient,
                hessian: side.hessian,
                rows,
                least: least[place],
                greatest: greatest[place],
            },
            output: side.output,
            depth,
            parent: Some((number, place == 0)),
            best: None,
            histogram: None,
        };
        leaves[at] = child(found.left, left_rows, 0);
        leaves.push(child(found.right, right_rows, 1));
        grown.walks.push(goes);
        let twice = 2 * self.parameters.min_data_in_leaf;
        let deep = self.parameters.max_depth > 0 && depth >= self.parameters.max_depth;
        let full = leaves.len() >= self.parameters.num_leaves;
        if deep || full || left_rows < twice && right_rows < twice {
            self.free.push(histogram);
            return;
        }
        let (smaller, larger) = if left_rows < right_rows {
            (at, new)
        } else {
            (new, at)
        };
        let mut own = self.taken();
        own.open.extend_from_slice(&histogram.open);
        self.sum(smaller, slopes, &mut own);
        subtract(&mut histogram.sums, &own.sums);
        self.search(&mut leaves[smaller], own);
        self.search(&mut leaves[larger], histogram);
    }

    /// An empty histogram.
    fn taken(&mut self) -> Histogram {
        let mut histogram = self.free.pop().unwrap_or_default();
        histogram.sums.resize(self.layout.total(), [0.0; 2]);
        histogram.open.clear();
        histogram
    }

    fn sum(&mut self, leaf: usize, slopes: &[Slope], histogram: &mut Histogram) {
        self.maker.make(
            self.data,
            &self.layout,
            self.partition.rows(leaf),
            slopes,
            &histogram.open,
            &mut histogram.sums,
        );
    }

    /// Finds the best split of a leaf, which keeps the histogram only when there is one.
    fn search(&mut self, leaf: &mut Growing, mut histogram: Histogram) {
        let mut best: Option<Found> = None;
        for (position, open) in histogram.open.iter_mut().enumerate() {
            if !*open {
                continue;
            }
            let column = self.data.shape.used[position];
            let bins = &self.data.shape.bins[column];
            let searched = Searched {
                position,
                sums: &histogram.sums[self.layout.place(position)],
                missing: matches!(bins, Bins::Numbers { missing: true, .. }),
                monotone: self.monotone(column),
            };
            let found = match bins {
                Bins::Numbers { .. } => numerical(self.judge, &leaf.node, searched),
                Bins::Categories { .. } => {
                    categorical(self.judge, self.parameters, &leaf.node, searched)
                }
            };
            *open = found.is_some();
            if let Some(found) = found
                && best.as_ref().is_none_or(|best| {
                    // Of equal ones the earlier column; wide ones are looked at last.
                    let before = column < self.data.shape.used[best.position];
                    found.gain > best.gain || found.gain == best.gain && before
                })
            {
                best = Some(found);
            }
        }
        if best.is_some() {
            leaf.best = best;
            leaf.histogram = Some(histogram);
        } else {
            self.free.push(histogram);
        }
    }

    fn monotone(&self, column: usize) -> i8 {
        let signs = &self.parameters.monotone_constraints;
        signs.get(column).copied().unwrap_or(0)
    }

    fn test(&self, column: usize, found: &Found, goes: &Goes) -> Test {
        match (&self.data.shape.bins[column], found.threshold) {
            (Bins::Numbers { bounds, missing }, Some(threshold)) => Test::AtMost {
                threshold: bounds[usize::from(threshold)],
                missing: seen(*missing, found.default_left),
            },
            (Bins::Categories { categories, whole }, _) => {
                let mut chosen: Vec<u32> = (categories.iter().enumerate())
                    .filter(|(at, _)| goes.bin(at + 1))
                    .map(|(_, category)| *category)
                    .collect();
                chosen.sort_unstable();
                Test::In {
                    categories: chosen,
                    others: !whole,
                }
            }
            (Bins::Numbers { missing, .. }, None) => Test::AtMost {
                threshold: f64::INFINITY,
                missing: seen(*missing, found.default_left),
            },
        }
    }
}

fn seen(missing: bool, left: bool) -> Missing {
    if missing {
        Missing::Nan { left }
    } else {
        Missing::Unseen
    }
}
