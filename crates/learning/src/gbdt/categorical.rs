//! The best split of a leaf by categories: one against all others while there are few, else the best prefix, from either end, of
//! the categories sorted by their gradient statistic (Fisher 1958), with LightGBM's penalties. Bin 0 (missing, rare, unseen) always
//! goes right. This room must never see a row.

use super::data::NARROW_MAX;
use super::split::{Found, Judge, LeftBins, Node, Searched, Side, round};
use super::{EPSILON, Parameters};

/// The best split by a column of categories; none when no split is worth making.
pub(super) fn categorical(
    judge: Judge,
    parameters: &Parameters,
    node: &Node,
    column: Searched<'_>,
) -> Option<Found> {
    let shift = judge.shift(node);
    let total = node.hessian + 2.0 * EPSILON;
    let one = column.sums.len() <= parameters.max_cat_to_onehot;
    let (judge, best) = if one {
        (judge, one_against_all(judge, node, column, total, shift))
    } else {
        let judge = Judge {
            l2: judge.l2 + parameters.cat_l2,
            ..judge
        };
        (judge, sorted(judge, parameters, node, column, total, shift))
    };
    let (gain, (gradient, hessian), bins) = best?;
    let left_bins = if column.sums.len() <= NARROW_MAX {
        let mut left_bins = [0u64; 4];
        for bin in bins {
            left_bins[bin / 64] |= 1 << (bin % 64);
        }
        LeftBins::Narrow(left_bins)
    } else {
        LeftBins::Wide(bins)
    };
    Some(Found {
        gain: gain - shift,
        position: column.position,
        left_bins,
        threshold: None,
        default_left: false,
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

/// Gain, sums of the left side, and its bins.
type Best = Option<(f64, (f64, f64), Vec<usize>)>;

fn one_against_all(
    judge: Judge,
    node: &Node,
    column: Searched<'_>,
    total: f64,
    shift: f64,
) -> Best {
    let (rows, factor) = (node.rows as f64, node.rows as f64 / total);
    let (mut best, mut bar) = (None, shift);
    for (bin, sums) in column.sums.iter().enumerate().skip(1) {
        let count = round(sums[1] * factor);
        let other = total - sums[1] - EPSILON;
        let enough = count >= judge.rows_min
            && sums[1] >= judge.hessian_min
            && rows - count >= judge.rows_min
            && other >= judge.hessian_min;
        if !enough {
            continue;
        }
        let left = (sums[0], sums[1] + EPSILON);
        let gain = judge.both((node.gradient - sums[0], other), left, node, 0);
        if gain > bar {
            bar = gain;
            best = Some((gain, left, vec![bin]));
        }
    }
    best
}

fn sorted(
    judge: Judge,
    parameters: &Parameters,
    node: &Node,
    column: Searched<'_>,
    total: f64,
    shift: f64,
) -> Best {
    let (rows, factor) = (node.rows as f64, node.rows as f64 / total);
    let least = parameters.min_data_per_group as f64;
    let mut bins: Vec<(f64, usize)> = (1..column.sums.len())
        .filter(|bin| round(column.sums[*bin][1] * factor) >= parameters.cat_smooth)
        .map(|bin| {
            let sums = column.sums[bin];
            (sums[0] / (sums[1] + parameters.cat_smooth), bin)
        })
        .collect();
    bins.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins: Vec<usize> = bins.into_iter().map(|(_, bin)| bin).collect();
    let most = parameters.max_cat_threshold.min(bins.len().div_ceil(2));
    let (mut best, mut bar) = (None, shift);
    for backwards in [false, true] {
        let bin_at = |at: usize| bins[if backwards { bins.len() - 1 - at } else { at }];
        let (mut gradient, mut hessian) = (0.0, EPSILON);
        let (mut count, mut group) = (0.0, 0.0);
        for at in 0..most {
            let sums = column.sums[bin_at(at)];
            let more = round(sums[1] * factor);
            gradient += sums[0];
            hessian += sums[1];
            count += more;
            group += more;
            if count < judge.rows_min || hessian < judge.hessian_min {
                continue;
            }
            let (right_rows, right) = (rows - count, total - hessian);
            if right_rows < judge.rows_min || right_rows < least || right < judge.hessian_min {
                break;
            }
            if group < least {
                continue;
            }
            group = 0.0;
            let right = (node.gradient - gradient, right);
            let gain = judge.both((gradient, hessian), right, node, 0);
            if gain > bar {
                bar = gain;
                best = Some((gain, (gradient, hessian), backwards, at + 1));
            }
        }
    }
    let (gain, left, backwards, length) = best?;
    let last = bins.len() - 1;
    let bins = (0..length).map(|at| bins[if backwards { last - at } else { at }]);
    Some((gain, left, bins.collect()))
}
