//! The model while it is trained: tables of vectors, and one pass of mini-batches over the examples. It must never draw but
//! from the generator that it is given.

use super::Settings;
use super::data::{Examples, Items};
use luopan_kernel::random::Random;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Examples of a batch.
const BATCH: usize = 256;
/// Standard deviation of the vectors of features at the beginning; items begin at zero, so that one that is never chosen stays
/// near what its features say.
const SPREAD: f32 = 0.1;
/// What is added to every item's weight, as a share of the mean one, before its logarithm is where its bias begins.
const UNSEEN: f64 = 0.1;
/// What AdaGrad's sums of squares begin at: gradients much smaller than its root move a number in proportion to their size,
/// so that what is hardly ever touched is not moved as far as what is touched always.
const SQUARES: f32 = 1e-4;

/// Vectors, row by row, with what AdaGrad keeps of them.
#[derive(Debug, Clone)]
pub(super) struct Table {
    width: usize,
    pub(super) values: Vec<f32>,
    squares: Vec<f32>,
    gradient: Vec<f32>,
    touched: Vec<u32>,
    is_touched: Vec<bool>,
}

impl Table {
    fn new(rows: usize, width: usize, mut value: impl FnMut() -> f32) -> Self {
        Self {
            width,
            values: (0..rows * width).map(|_| value()).collect(),
            squares: vec![SQUARES; rows * width],
            gradient: vec![0.0; rows * width],
            touched: Vec::new(),
            is_touched: vec![false; rows],
        }
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// Adds `times` the vector to the gradient of a row.
    fn add(&mut self, row: usize, times: f32, vector: &[f32]) {
        if !self.is_touched[row] {
            self.is_touched[row] = true;
            self.touched.push(row as u32);
        }
        let own = &mut self.gradient[row * self.width..(row + 1) * self.width];
        for (g, v) in own.iter_mut().zip(vector) {
            *g += times * v;
        }
    }

    /// One step against the gradient; it is zero afterwards.
    fn step(&mut self, rate: f32, l2: f32) {
        for row in self.touched.drain(..) {
            let row = row as usize;
            self.is_touched[row] = false;
            let places = row * self.width..(row + 1) * self.width;
            let kept = (self.values[places.clone()].iter_mut())
                .zip(&mut self.squares[places.clone()])
                .zip(&mut self.gradient[places]);
            for ((value, square), gradient) in kept {
                let g = *gradient + l2 * *value;
                *square += g * g;
                *value -= rate * g / square.sqrt();
                *gradient = 0.0;
            }
        }
    }
}

/// The model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) dimension: usize,
    pub(super) customer: Table,
    pub(super) attributes: Table,
    pub(super) own: Table,
    pub(super) bias: Table,
    rate: f32,
    l2: f32,
    own_l2: f32,
    drawn: Drawn,
    /// What the weights are divided by, so that they are one on average.
    mean_weight: f32,
}

/// How items are drawn: half evenly, half by how often they were chosen, to the power of 3/4 (Mikolov et al. 2013).
#[derive(Debug, Clone)]
struct Drawn {
    count: usize,
    /// Running sums of the chances of items; empty when all are taken.
    sums: Vec<f64>,
    /// Logarithm of how often an item is expected in a draw.
    expected: Vec<f32>,
}

impl Drawn {
    fn new(count: usize, items: usize, examples: &Examples, learned: &[u32]) -> Self {
        if items <= count {
            return Self {
                count: items,
                sums: Vec::new(),
                expected: vec![0.0; items],
            };
        }
        let mut chosen = vec![0.0f64; items];
        for e in learned {
            chosen[examples.items[*e as usize] as usize] += 1.0;
        }
        let powers: Vec<f64> = chosen.iter().map(|c| libm::pow(*c, 0.75)).collect();
        let all: f64 = powers.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let chances: Vec<f64> = (powers.iter())
            .map(|p| 0.5 * p / all + 0.5 / items as f64)
            .collect();
        let mut sum = 0.0;
        Self {
            count,
            sums: (chances.iter())
                .map(|c| {
                    sum += c;
                    sum
                })
                .collect(),
            expected: (chances.iter())
                .map(|c| libm::log(c * count as f64) as f32)
                .collect(),
        }
    }

    fn draw(&self, random: &mut Random, out: &mut Vec<u32>) {
        out.clear();
        let Some(all) = self.sums.last() else {
            out.extend(0..self.count as u32);
            return;
        };
        for _ in 0..self.count {
            let at = random.uniform() * all;
            let item = self.sums.partition_point(|s| *s <= at);
            out.push(item.min(self.sums.len() - 1) as u32);
        }
    }
}

impl Model {
    pub(super) fn new(
        items: &Items,
        examples: &Examples,
        settings: &Settings,
        learned: &[u32],
        random: &mut Random,
    ) -> Self {
        let d = settings.dimension;
        let mut small = || SPREAD * random.normal() as f32;
        let weights: f64 = (learned.iter())
            .map(|e| f64::from(examples.weights[*e as usize]))
            .sum();
        let mut chosen = vec![0.0f64; items.len()];
        for e in learned {
            let e = *e as usize;
            chosen[examples.items[e] as usize] += f64::from(examples.weights[e]);
        }
        let mean = weights / items.len().max(1) as f64;
        let mut biases =
            (chosen.iter()).map(|c| libm::log((c + UNSEEN * mean) / (mean + UNSEEN * mean)) as f32);
        Self {
            dimension: d,
            customer: Table::new(examples.positions, d, &mut small),
            attributes: Table::new(items.positions, d, &mut small),
            own: Table::new(items.len(), d, || 0.0),
            bias: Table::new(items.len(), 1, || biases.next().unwrap_or(0.0)),
            rate: settings.learning_rate as f32,
            l2: settings.l2 as f32,
            // An item's own numbers are looked at in few steps, and its features' in nearly all: the penalty makes up for it.
            own_l2: (settings.l2 * (items.len() as f64 / settings.negatives as f64).max(1.0))
                as f32,
            drawn: Drawn::new(settings.negatives, items.len(), examples, learned),
            mean_weight: (weights / learned.len().max(1) as f64) as f32,
        }
    }

    /// Writes the vector of an example's customer.
    pub(super) fn customer_of(&self, examples: &Examples, example: u32, out: &mut [f32]) {
        out.fill(0.0);
        for (position, x) in examples.features.row(example as usize) {
            for (o, v) in out.iter_mut().zip(self.customer.row(position)) {
                *o += x * v;
            }
        }
    }

    /// Writes the vector of an item.
    pub(super) fn item_of(&self, items: &Items, item: usize, out: &mut [f32]) {
        out.copy_from_slice(self.own.row(item));
        for (position, x) in items.features.row(item) {
            for (o, v) in out.iter_mut().zip(self.attributes.row(position)) {
                *o += x * v;
            }
        }
    }

    /// One pass over the examples `learned`, in a drawn order; gives their mean loss.
    pub(super) fn epoch(
        &mut self,
        items: &Items,
        examples: &Examples,
        learned: &[u32],
        random: &mut Random,
    ) -> f64 {
        let mut order = learned.to_vec();
        for i in (1..order.len()).rev() {
            let j = (random.bits() % (i as u64 + 1)) as usize;
            order.swap(i, j);
        }
        let mut room = Room::default();
        let (mut loss, mut weight) = (0.0, 0.0);
        for batch in order.chunks(BATCH) {
            let (l, w) = self.batch(items, examples, batch, &mut room, random);
            loss += l;
            weight += w;
        }
        loss / f64::max(weight, f64::MIN_POSITIVE)
    }

    fn batch(
        &mut self,
        items: &Items,
        examples: &Examples,
        batch: &[u32],
        room: &mut Room,
        random: &mut Random,
    ) -> (f64, f64) {
        let d = self.dimension;
        self.drawn.draw(random, &mut room.drawn);
        let (n, m) = (batch.len(), room.drawn.len());
        room.size(n, m, d);
        for (e, out) in batch.iter().zip(room.customers.chunks_exact_mut(d)) {
            self.customer_of(examples, *e, out);
        }
        for (i, out) in room.drawn.iter().zip(room.others.chunks_exact_mut(d)) {
            self.item_of(items, *i as usize, out);
        }
        for (e, out) in batch.iter().zip(room.chosen.chunks_exact_mut(d)) {
            self.item_of(items, examples.items[*e as usize] as usize, out);
        }
        product(
            (&room.customers, n, d, false),
            (&room.others, m, d, true),
            &mut room.scores,
        );
        let offsets: Vec<f32> = (room.drawn.iter())
            .map(|i| self.bias.values[*i as usize] - self.drawn.expected[*i as usize])
            .collect();
        let (mut loss, mut weight) = (0.0, 0.0);
        // Scores become the gradient of the loss by them.
        let rows = (room.scores.chunks_exact_mut(m))
            .zip(room.customers.chunks_exact(d))
            .zip(room.chosen.chunks_exact(d))
            .zip(&mut room.pulls)
            .zip(batch);
        for ((((scores, customer), chosen), pull), e) in rows {
            let item = examples.items[*e as usize];
            let w = examples.weights[*e as usize] / self.mean_weight;
            let own = dot(customer, chosen) + self.bias.values[item as usize]
                - self.drawn.expected[item as usize];
            let mut most = own;
            for ((score, offset), i) in scores.iter_mut().zip(&offsets).zip(&room.drawn) {
                *score += offset;
                // The item itself among those drawn is no other.
                *score = if *i == item { f32::MIN } else { *score };
                most = most.max(*score);
            }
            let own = exp(own - most);
            let mut sum = own;
            for score in scores.iter_mut() {
                *score = exp(*score - most);
                sum += *score;
            }
            let share = w / (sum * n as f32);
            for score in scores.iter_mut() {
                *score *= share;
            }
            *pull = own * share - w / n as f32;
            loss -= f64::from(w) * libm::log(f64::from(own / sum).max(1e-30));
            weight += f64::from(w);
        }
        // By the customers, and by the items drawn.
        product(
            (&room.scores, n, m, false),
            (&room.others, m, d, false),
            &mut room.by_customer,
        );
        product(
            (&room.scores, n, m, true),
            (&room.customers, n, d, false),
            &mut room.by_other,
        );
        room.by_bias.fill(0.0);
        for scores in room.scores.chunks_exact(m) {
            for (sum, score) in room.by_bias.iter_mut().zip(scores) {
                *sum += score;
            }
        }
        for (k, e) in batch.iter().enumerate() {
            let places = k * d..(k + 1) * d;
            let (pull, item) = (room.pulls[k], examples.items[*e as usize] as usize);
            let by_customer = &mut room.by_customer[places.clone()];
            for (g, v) in by_customer.iter_mut().zip(&room.chosen[places.clone()]) {
                *g += pull * v;
            }
            for (position, x) in examples.features.row(*e as usize) {
                self.customer.add(position, x, by_customer);
            }
            let customer = &room.customers[places];
            self.own.add(item, pull, customer);
            self.bias.add(item, pull, &[1.0]);
            for (position, x) in items.features.row(item) {
                self.attributes.add(position, x * pull, customer);
            }
        }
        for ((item, by_item), by_bias) in (room.drawn.iter())
            .zip(room.by_other.chunks_exact(d))
            .zip(&room.by_bias)
        {
            let item = *item as usize;
            self.own.add(item, 1.0, by_item);
            self.bias.add(item, *by_bias, &[1.0]);
            for (position, x) in items.features.row(item) {
                self.attributes.add(position, x, by_item);
            }
        }
        for table in [&mut self.customer, &mut self.attributes] {
            table.step(self.rate, self.l2);
        }
        self.own.step(self.rate, self.own_l2);
        // Biases begin at popularity, and nothing pulls them back to zero.
        self.bias.step(self.rate, 0.0);
        (loss, weight)
    }
}

/// What a batch is computed in.
#[derive(Debug, Default)]
struct Room {
    drawn: Vec<u32>,
    customers: Vec<f32>,
    others: Vec<f32>,
    chosen: Vec<f32>,
    scores: Vec<f32>,
    pulls: Vec<f32>,
    by_customer: Vec<f32>,
    by_other: Vec<f32>,
    by_bias: Vec<f32>,
}

impl Room {
    fn size(&mut self, examples: usize, drawn: usize, d: usize) {
        self.customers.resize(examples * d, 0.0);
        self.chosen.resize(examples * d, 0.0);
        self.by_customer.resize(examples * d, 0.0);
        self.pulls.resize(examples, 0.0);
        self.others.resize(drawn * d, 0.0);
        self.by_other.resize(drawn * d, 0.0);
        self.by_bias.resize(drawn, 0.0);
        self.scores.resize(examples * drawn, 0.0);
    }
}

/// A matrix: its numbers, rows, columns, and whether it is read transposed.
type Matrix<'a> = (&'a [f32], usize, usize, bool);

/// The product of two matrices, whose sizes the caller laid out.
pub(super) fn product(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    let (Some(a), Some(b)) = (view(a), view(b)) else {
        return;
    };
    if let Ok(mut out) = ArrayViewMut2::from_shape((a.nrows(), b.ncols()), out) {
        general_mat_mul(1.0, &a, &b, 0.0, &mut out);
    }
}

fn view((values, rows, columns, transposed): Matrix<'_>) -> Option<ArrayView2<'_, f32>> {
    let view = ArrayView2::from_shape((rows, columns), values).ok()?;
    Some(if transposed {
        view.reversed_axes()
    } else {
        view
    })
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The exponential of a number of at most zero, within 3e-7 of its value, without a call (so that loops over it are laid out
/// in vectors): Cephes' polynomial after reduction by powers of two.
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
        + 0.166_666_65)
        * r
        + 0.5;
    let y = p * r * r + r + 1.0;
    y * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close() {
        for i in 0..100_000 {
            let x = -(i as f32) * 0.000_87;
            let right = libm::exp(f64::from(x));
            let found = f64::from(exp(x));
            assert!(
                (found - right).abs() <= 3e-7 * right,
                "{x}: {found} {right}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e30) < 1e-37);
    }

    #[test]
    fn products_read_either_side_transposed() {
        let (a, b) = (
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            [1.0, 0.0, 2.0, 1.0, 0.0, 3.0],
        );
        let mut out = [0.0; 4];
        // 2 x 3 times (2 x 3) transposed.
        product((&a, 2, 3, false), (&b, 2, 3, true), &mut out);
        assert_eq!(out, [7.0, 10.0, 16.0, 22.0]);
        let mut out = [0.0; 9];
        // (2 x 3) transposed times 2 x 3.
        product((&a, 2, 3, true), (&b, 2, 3, false), &mut out);
        assert_eq!(out, [5.0, 0.0, 14.0, 7.0, 0.0, 19.0, 9.0, 0.0, 24.0]);
    }
}
