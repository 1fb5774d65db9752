//! How good factors are on examples that they did not learn from: where the item that was chosen stands among all items, by
//! the factors and by popularity. It must never rank by what the example itself says.

use super::data::{Examples, Items};
use super::model::{Model, product};
use super::{NDCG_AT, RECALL_AT};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Numbers of a block of scores.
const BLOCK: usize = 4 << 20;

/// How good a ranking of all items is, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Share of examples whose item is among the first [`RECALL_AT`].
    pub recall: f64,
    /// Mean of `1 / log2(1 + place)` where the place is within [`NDCG_AT`], else 0: with one right item that is NDCG
    /// (Jarvelin and Kekalainen 2002).
    pub ndcg: f64,
    /// Share of items that stand among the first [`RECALL_AT`] of any example.
    pub coverage: f64,
}

/// At most `most` of `of`, evenly spread.
pub(super) fn spread(of: &[u32], most: usize) -> Vec<u32> {
    if of.len() <= most {
        return of.to_vec();
    }
    (0..most).map(|i| of[i * of.len() / most]).collect()
}

/// Calls `see` with each example and the scores of all items for it.
fn each(
    model: &Model,
    items: &Items,
    examples: &Examples,
    of: &[u32],
    mut see: impl FnMut(u32, &[f32]),
) {
    let (d, n) = (model.dimension, items.len());
    let mut vectors = vec![0.0; n * d];
    for (i, out) in vectors.chunks_exact_mut(d).enumerate() {
        model.item_of(items, i, out);
    }
    let block = (BLOCK / n.max(1)).clamp(1, 256);
    let mut customers = vec![0.0; block * d];
    let mut scores = vec![0.0; block * n];
    for some in of.chunks(block) {
        for (e, out) in some.iter().zip(customers.chunks_exact_mut(d)) {
            model.customer_of(examples, *e, out);
        }
        let scores = &mut scores[..some.len() * n];
        product(
            (&customers[..some.len() * d], some.len(), d, false),
            (&vectors, n, d, true),
            scores,
        );
        for (e, scores) in some.iter().zip(scores.chunks_exact_mut(n)) {
            for (score, bias) in scores.iter_mut().zip(&model.bias.values) {
                *score += bias;
            }
            see(*e, scores);
        }
    }
}

/// Mean negative log-likelihood over all items, weighted.
pub(super) fn loss(model: &Model, items: &Items, examples: &Examples, of: &[u32]) -> f64 {
    let (mut loss, mut weight) = (0.0, 0.0);
    each(model, items, examples, of, |e, scores| {
        let most = scores.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = (scores.iter())
            .map(|s| f64::from(super::model::exp(s - most)))
            .sum();
        let own = f64::from(scores[examples.items[e as usize] as usize] - most);
        let w = f64::from(examples.weights[e as usize]);
        loss += w * (libm::log(sum) - own);
        weight += w;
    });
    loss / f64::max(weight, f64::MIN_POSITIVE)
}

/// Where the example's item stands, from zero: how many are better, or as good and before it.
fn place(scores: &[f32], item: usize) -> usize {
    let own = scores[item];
    let better = scores.iter().filter(|s| **s > own).count();
    better + scores[..item].iter().filter(|s| **s == own).count()
}

#[derive(Default)]
struct Sums {
    recall: f64,
    ndcg: f64,
    examples: f64,
}

impl Sums {
    fn add(&mut self, place: usize) {
        self.examples += 1.0;
        self.recall += f64::from(u8::from(place < RECALL_AT));
        if place < NDCG_AT {
            self.ndcg += 1.0 / libm::log2(place as f64 + 2.0);
        }
    }

    fn figures(&self, shown: usize, items: usize) -> Figures {
        let of = f64::max(self.examples, 1.0);
        Figures {
            recall: self.recall / of,
            ndcg: self.ndcg / of,
            coverage: shown as f64 / items.max(1) as f64,
        }
    }
}

/// The figures of a model.
pub(super) fn figures(model: &Model, items: &Items, examples: &Examples, of: &[u32]) -> Figures {
    let mut sums = Sums::default();
    let mut shown = vec![false; items.len()];
    let mut order: Vec<u32> = Vec::new();
    let first = RECALL_AT.min(items.len());
    each(model, items, examples, of, |e, scores| {
        sums.add(place(scores, examples.items[e as usize] as usize));
        order.clear();
        order.extend(0..scores.len() as u32);
        let by_score = |a: &u32, b: &u32| -> Ordering {
            (scores[*b as usize].total_cmp(&scores[*a as usize])).then(a.cmp(b))
        };
        if first < order.len() {
            order.select_nth_unstable_by(first, by_score);
        }
        (order[..first].iter()).for_each(|i| shown[*i as usize] = true);
    });
    sums.figures(shown.iter().filter(|s| **s).count(), items.len())
}

/// The figures of popularity: items by how often the heaviest events of the examples learned from chose them, then by
/// weight of all events, then by key.
pub(super) fn popularity(
    items: &Items,
    examples: &Examples,
    learned: &[u32],
    heaviest: &BTreeSet<u16>,
    of: &[u32],
) -> Figures {
    let mut counts = vec![(0.0f64, 0.0f64); items.len()];
    for e in learned {
        let e = *e as usize;
        let count = &mut counts[examples.items[e] as usize];
        if heaviest.contains(&examples.sources[e]) {
            count.0 += f64::from(examples.weights[e]);
        }
        count.1 += f64::from(examples.weights[e]);
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| {
        let (a_counts, b_counts) = (counts[*a], counts[*b]);
        (b_counts.0.total_cmp(&a_counts.0))
            .then(b_counts.1.total_cmp(&a_counts.1))
            .then(a.cmp(b))
    });
    let mut places = vec![0; items.len()];
    for (place, item) in order.iter().enumerate() {
        places[*item] = place;
    }
    let mut sums = Sums::default();
    for e in of {
        sums.add(places[examples.items[*e as usize] as usize]);
    }
    let shown = if of.is_empty() { 0 } else { RECALL_AT };
    sums.figures(shown.min(items.len()), items.len())
}
