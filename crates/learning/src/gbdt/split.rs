//! The best split of a leaf by one numerical column, by LightGBM's gains and its order of looking, so that ties fall alike. This
//! room must never see a row.

use super::histogram::Sums;
use super::{EPSILON, Parameters};

/// What a leaf is known by: sums over its rows, and the outputs that constraints leave it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) gradient: f64,
    /// Without the epsilons that searches add.
    pub(super) hessian: f64,
    pub(super) rows: usize,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

/// One side of a split.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Side {
    pub(super) gradient: f64,
    pub(super) hessian: f64,
    pub(super) output: f64,
}

/// A split that could be made.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) gain: f64,
    /// Position of the column among the used ones.
    pub(super) position: usize,
    /// The bins that go left.
    pub(super) left_bins: LeftBins,
    /// For numbers the last bin that goes left by its value.
    pub(super) threshold: Option<u8>,
    /// For numbers: missing values go left.
    pub(super) default_left: bool,
    pub(super) left: Side,
    pub(super) right: Side,
}

/// A set of bins.
#[derive(Debug, Clone)]
pub(super) enum LeftBins {
    /// Of at most 256, as bits.
    Narrow([u64; 4]),
    /// Of more: the members.
    Wide(Vec<usize>),
}

/// How leaves are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge {
    pub(super) l1: f64,
    pub(super) l2: f64,
    pub(super) rows_min: f64,
    pub(super) hessian_min: f64,
    pub(super) gain_min: f64,
    /// True when any column is constrained.
    pub(super) constrained: bool,
}

impl Judge {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self {
            l1: parameters.lambda_l1,
            l2: parameters.lambda_l2,
            rows_min: parameters.min_data_in_leaf as f64,
            hessian_min: parameters.min_sum_hessian_in_leaf,
            gain_min: parameters.min_gain_to_split,
            constrained: parameters
                .monotone_constraints
                .iter()
                .any(|sign| *sign != 0),
        }
    }

    /// The gradient that is left after the L1 penalty.
    #[inline(always)]
    fn after_l1(self, gradient: f64) -> f64 {
        (gradient.abs() - self.l1).max(0.0).copysign(gradient)
    }

    /// The output of a leaf, within what constraints leave it.
    pub(super) fn output(self, gradient: f64, hessian: f64, node: &Node) -> f64 {
        let output = -self.after_l1(gradient) / (hessian + self.l2);
        if self.constrained {
            output.max(node.least).min(node.greatest)
        } else {
            output
        }
    }

    #[inline(always)]
    fn gain(self, gradient: f64, hessian: f64) -> f64 {
        let gradient = self.after_l1(gradient);
        gradient * gradient / (hessian + self.l2)
    }

    fn gain_at(self, gradient: f64, hessian: f64, output: f64) -> f64 {
        let gradient = self.after_l1(gradient);
        -(2.0 * gradient * output + (hessian + self.l2) * output * output)
    }

    /// Least gain of both sides for a split to be worth making.
    pub(super) fn shift(self, node: &Node) -> f64 {
        self.gain(node.gradient, node.hessian + 2.0 * EPSILON) + self.gain_min
    }

    /// Gain of both sides; 0 when they break the column's constraint.
    #[inline(always)]
    pub(super) fn both(
        self,
        left: (f64, f64),
        right: (f64, f64),
        node: &Node,
        monotone: i8,
    ) -> f64 {
        if !self.constrained {
            return self.gain(left.0, left.1) + self.gain(right.0, right.1);
        }
        let (a, b) = (
            self.output(left.0, left.1, node),
            self.output(right.0, right.1, node),
        );
        if monotone > 0 && a > b || monotone < 0 && a < b {
            return 0.0;
        }
        self.gain_at(left.0, left.1, a) + self.gain_at(right.0, right.1, b)
    }
}

/// Rounds to a whole number, as counts of rows are told from sums of hessians.
#[inline(always)]
pub(super) fn round(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    (x + ROUND) - ROUND
}

/// A column as a search sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Searched<'a> {
    pub(super) position: usize,
    pub(super) sums: &'a [Sums],
    /// True when the last bin is of missing values.
    pub(super) missing: bool,
    pub(super) monotone: i8,
}

/// What a scan over bins found best.
#[derive(Clone, Copy)]
struct Best {
    gain: f64,
    left: (f64, f64),
    threshold: usize,
    default_left: bool,
}

/// The best split by a numerical column; none when no split is worth making.
pub(super) fn numerical(judge: Judge, node: &Node, column: Searched<'_>) -> Option<Found> {
    let shift = judge.shift(node);
    let two_ways = column.missing && column.sums.len() > 2;
    let down = match (judge.constrained, judge.l1 > 0.0) {
        (false, false) => downwards::<false>(judge, node, column, two_ways, shift),
        _ => downwards::<true>(judge, node, column, two_ways, shift),
    };
    let up = two_ways
        .then(|| upwards(judge, node, column, shift))
        .flatten();
    let best = match (down, up) {
        (Some(down), Some(up)) if up.gain - shift > down.gain - shift => up,
        (Some(down), _) => down,
        (None, Some(up)) => up,
        (None, None) => return None,
    };
    let (gradient, hessian) = best.left;
    let total = node.hessian + 2.0 * EPSILON;
    let mut left_bins = below(best.threshold + 1);
    let default_left = column.missing && two_ways && best.default_left;
    if default_left {
        let last = column.sums.len() - 1;
        left_bins[last / 64] |= 1 << (last % 64);
    }
    Some(Found {
        gain: best.gain - shift,
        position: column.position,
        left_bins: LeftBins::Narrow(left_bins),
        threshold: Some(best.threshold as u8),
        default_left,
        left: Side {
            gradient,
            hessian: hessian - EPSILON,
            output: judge.output(gradient, hessian, node),
        },
        right: Side {
            gradient: node.gradient - gradient,
            hessian: total - hessian - EPSILON,
            output: judge.output(node.gradient - gradient, total - hessian, node),
        },
    })
}

/// The bins before `end`.
fn below(end: usize) -> [u64; 4] {
    std::array::from_fn(|word| match end.saturating_sub(word * 64) {
        0 => 0,
        count @ 1..=63 => (1 << count) - 1,
        _ => u64::MAX,
    })
}

/// From the greatest bin down: what is passed goes right, missing values stay left (where `two_ways`).
fn downwards<const FULL: bool>(
    judge: Judge,
    node: &Node,
    column: Searched<'_>,
    two_ways: bool,
    shift: f64,
) -> Option<Best> {
    let total = node.hessian + 2.0 * EPSILON;
    let (rows, factor) = (node.rows as f64, node.rows as f64 / total);
    let (mut gradient, mut hessian, mut count) = (0.0, EPSILON, 0.0);
    let mut best: Option<Best> = None;
    let mut bar = shift;
    let end = column.sums.len() - usize::from(two_ways);
    for (at, sums) in column.sums[..end].iter().enumerate().skip(1).rev() {
        gradient += sums[0];
        hessian += sums[1];
        count += round(sums[1] * factor);
        if count < judge.rows_min || hessian < judge.hessian_min {
            continue;
        }
        let left = (node.gradient - gradient, total - hessian);
        if rows - count < judge.rows_min || left.1 < judge.hessian_min {
            break;
        }
        let gain = if FULL {
            judge.both(left, (gradient, hessian), node, column.monotone)
        } else {
            left.0 * left.0 / (left.1 + judge.l2) + gradient * gradient / (hessian + judge.l2)
        };
        if gain > bar {
            bar = gain;
            best = Some(Best {
                gain,
                left,
                threshold: at - 1,
                default_left: true,
            });
        }
    }
    best
}

/// From the least bin up: what is passed goes left, missing values stay right.
fn upwards(judge: Judge, node: &Node, column: Searched<'_>, shift: f64) -> Option<Best> {
    let total = node.hessian + 2.0 * EPSILON;
    let (rows, factor) = (node.rows as f64, node.rows as f64 / total);
    let (mut gradient, mut hessian, mut count) = (0.0, EPSILON, 0.0);
    let mut best: Option<Best> = None;
    let mut bar = shift;
    for (at, sums) in column.sums[..column.sums.len() - 1].iter().enumerate() {
        gradient += sums[0];
        hessian += sums[1];
        count += round(sums[1] * factor);
        if count < judge.rows_min || hessian < judge.hessian_min {
            continue;
        }
        let right = (node.gradient - gradient, total - hessian);
        if rows - count < judge.rows_min || right.1 < judge.hessian_min {
            break;
        }
        let gain = judge.both((gradient, hessian), right, node, column.monotone);
        if gain > bar {
            bar = gain;
            best = Some(Best {
                gain,
                left: (gradient, hessian),
                threshold: at,
                default_left: false,
            });
        }
    }
    best
}
