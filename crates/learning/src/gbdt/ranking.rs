//! LambdaRank (Burges 2010) and NDCG over groups of rows, by LightGBM's formulas: gains `2^grade - 1`, discounts
//! `1 / log2(2 + place)`, lambdas divided by how far scores lie apart and scaled by their sum. This room must never look across
//! groups.

use super::objective::Slope;

/// `2^grade - 1`.
fn gain(grade: f64) -> f64 {
    ((1u64 << grade as u32) - 1) as f64
}

fn discount(place: usize) -> f64 {
    1.0 / libm::log2(place as f64 + 2.0)
}

/// The places of a group by falling score; of equal scores the earlier row first.
fn order(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

/// The greatest DCG that the first `most` places can have.
fn best(grades: &[f64], most: usize) -> f64 {
    let mut sorted = grades.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let places = sorted.iter().take(most).enumerate();
    places
        .map(|(place, grade)| gain(*grade) * discount(place))
        .sum()
}

/// NDCG of the first `most` places of a group; 1 where every grade is zero.
pub(crate) fn ndcg(scores: &[f64], grades: &[f64], most: usize) -> f64 {
    let ideal = best(grades, most);
    if ideal <= 0.0 {
        return 1.0;
    }
    let places = order(scores).into_iter().take(most).enumerate();
    let found: f64 = places
        .map(|(place, row)| gain(grades[row]) * discount(place))
        .sum();
    found / ideal
}

/// Slopes of one group's rows.
pub(super) fn slopes(
    scores: &[f64],
    grades: &[f64],
    weights: Option<&[f64]>,
    most: usize,
    out: &mut [Slope],
) {
    let ideal = best(grades, most);
    let inverse = if ideal > 0.0 { 1.0 / ideal } else { 0.0 };
    let order = order(scores);
    let rows = order.len();
    let apart = scores[order[0]] != scores[order[rows - 1]];
    let mut lambdas = vec![(0.0f64, 0.0f64); rows];
    let mut total = 0.0;
    for upper in 0..rows.saturating_sub(1).min(most) {
        for lower in upper + 1..rows {
            let (a, b) = (order[upper], order[lower]);
            if grades[a] == grades[b] {
                continue;
            }
            let (high, low) = if grades[a] > grades[b] {
                (a, b)
            } else {
                (b, a)
            };
            let distance = scores[high] - scores[low];
            let gap = gain(grades[high]) - gain(grades[low]);
            let mut delta = gap * (discount(upper) - discount(lower)).abs() * inverse;
            if apart {
                delta /= f64::from(0.01f32) + distance.abs();
            }
            let share = 1.0 / (1.0 + super::exp::exp(distance));
            let (lambda, hessian) = (-delta * share, delta * share * (1.0 - share));
            lambdas[low].0 -= lambda;
            lambdas[low].1 += hessian;
            lambdas[high].0 += lambda;
            lambdas[high].1 += hessian;
            total -= 2.0 * lambda;
        }
    }
    let scale = if total > 0.0 {
        libm::log2(1.0 + total) / total
    } else {
        1.0
    };
    for (row, (out, (lambda, hessian))) in out.iter_mut().zip(lambdas).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[row]) * scale;
        *out = [(lambda * weight) as f32, (hessian * weight) as f32];
    }
}
