//! Categories in an order in which neighbours are alike: the distance of two categories is, summed over the other columns, that of their
//! distributions (Kolmogorov and Smirnov's of numbers, total variation of categories), and the order is that of the first coordinate
//! of classical scaling (Apley and Zhu 2020, section 5.6).

use super::Rows;

/// Quantiles of a number at which distributions are compared.
const QUANTILES: usize = 100;
/// Sweeps after which rotations have long ended.
const SWEEPS: usize = 60;

/// Places of `levels` (values of column `at`) in order. Which end is first is of no matter to effects; the level that is named first is
/// in the first half.
pub fn alike(rows: &Rows, at: usize, is_category: &[bool], levels: &[f64]) -> Vec<usize> {
    let n = levels.len();
    let own: Vec<Vec<usize>> = (levels.iter())
        .map(|l| {
            let column = rows.column(at).iter().enumerate();
            let same = |v: f64| v == *l || (v.is_nan() && l.is_nan());
            column.filter(|(_, v)| same(**v)).map(|(r, _)| r).collect()
        })
        .collect();
    let mut distances = vec![0.0; n * n];
    for other in (0..rows.width()).filter(|c| *c != at) {
        let values = rows.column(other);
        let shares = match is_category.get(other) {
            Some(true) => shares(values, &own),
            _ => below(values, &own),
        };
        for a in 0..n {
            for b in 0..a {
                let off = shares[a].iter().zip(&shares[b]).map(|(x, y)| (x - y).abs());
                let off = match is_category.get(other) {
                    Some(true) => off.sum::<f64>() / 2.0,
                    _ => off.fold(0.0, f64::max),
                };
                distances[a * n + b] += off;
                distances[b * n + a] += off;
            }
        }
    }
    let mut coordinates = first_coordinate(&distances, n);
    if coordinates.first().is_some_and(|c| *c > 0.0) {
        coordinates.iter_mut().for_each(|c| *c = -*c);
    }
    let mut out: Vec<usize> = (0..n).collect();
    out.sort_by(|a, b| coordinates[*a].total_cmp(&coordinates[*b]).then(a.cmp(b)));
    out
}

/// By group of rows, the share of each category; missing is one.
fn shares(values: &[f64], groups: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let most = values.iter().copied().fold(0.0, f64::max) as usize;
    let place = |v: f64| if v.is_nan() { most + 1 } else { v as usize };
    (groups.iter())
        .map(|rows| {
            let mut out = vec![0.0; most + 2];
            for row in rows {
                out[place(values[*row])] += 1.0 / rows.len() as f64;
            }
            out
        })
        .collect()
}

/// By group of rows, the share of its known values that are at most each quantile of all.
fn below(values: &[f64], groups: &[Vec<usize>]) -> Vec<Vec<f64>> {
    let known = |rows: &mut dyn Iterator<Item = f64>| {
        let mut out: Vec<f64> = rows.filter(|v| !v.is_nan()).collect();
        out.sort_unstable_by(f64::total_cmp);
        out
    };
    let all = known(&mut values.iter().copied());
    let cuts: Vec<f64> = (0..QUANTILES)
        .filter_map(|k| {
            all.get(k * all.len().saturating_sub(1) / QUANTILES)
                .copied()
        })
        .collect();
    (groups.iter())
        .map(|rows| {
            let own = known(&mut rows.iter().map(|r| values[*r]));
            let share =
                |cut: &f64| own.partition_point(|v| v <= cut) as f64 / own.len().max(1) as f64;
            cuts.iter().map(share).collect()
        })
        .collect()
}

/// The first coordinate of classical scaling: of the doubly centred squares of distances, the vector of the greatest eigenvalue
/// (Jacobi's rotations).
fn first_coordinate(distances: &[f64], n: usize) -> Vec<f64> {
    let mut b: Vec<f64> = distances.iter().map(|d| d * d).collect();
    let means: Vec<f64> = (b.chunks(n.max(1)))
        .map(|line| line.iter().sum::<f64>() / n as f64)
        .collect();
    let all = means.iter().sum::<f64>() / n as f64;
    for i in 0..n {
        for j in 0..n {
            b[i * n + j] = -0.5 * (b[i * n + j] - means[i] - means[j] + all);
        }
    }
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    for _ in 0..SWEEPS {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| b[i * n + j] * b[i * n + j])
            .sum();
        let on: f64 = (0..n).map(|i| b[i * n + i] * b[i * n + i]).sum();
        if off <= 1e-30 * on || on == 0.0 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut b, &mut vectors, n, p, q);
            }
        }
    }
    let best = (0..n).fold(0, |best, i| {
        if b[i * n + i] > b[best * n + best] {
            i
        } else {
            best
        }
    });
    (0..n).map(|i| vectors[i * n + best]).collect()
}

fn rotate(b: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let off = b[p * n + q];
    if off == 0.0 {
        return;
    }
    let theta = (b[q * n + q] - b[p * n + p]) / (2.0 * off);
    let sign = if theta >= 0.0 { 1.0 } else { -1.0 };
    let t = sign / (theta.abs() + libm::sqrt(theta * theta + 1.0));
    let c = 1.0 / libm::sqrt(t * t + 1.0);
    let s = t * c;
    for k in 0..n {
        let (x, y) = (b[k * n + p], b[k * n + q]);
        b[k * n + p] = c * x - s * y;
        b[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (b[p * n + k], b[q * n + k]);
        b[p * n + k] = c * x - s * y;
        b[q * n + k] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (vectors[k * n + p], vectors[k * n + q]);
        vectors[k * n + p] = c * x - s * y;
        vectors[k * n + q] = s * x + c * y;
    }
}
