//! The best of a catalogue by inner product, exactly, without scoring every item exactly: a pass over whole numbers of 16
//! bits with a proven bound on what rounding can have changed, then exact scores of the few that could be among the best.
//!
//! With x = sx p + f and y = sy q + e (|f| <= sx/2, |e| <= sy/2 in each place) the product x.y differs from sx sy p.q by at
//! most sy/2 |sx p| + sx/2 |y|, absolute sums. The k-th largest exact score is at least the k-th largest approximate one less
//! that bound, so whatever lies more than twice the bound below the k-th approximate score is not among the best k.

use crate::catalogue::Rows;
use core::cmp::Ordering;

/// Vectors of a catalogue's items, ready to be searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    dimension: usize,
    /// `dimension` up to a multiple of eight: the quantised rows are padded with zeros.
    padded: usize,
    vectors: Vec<f32>,
    biases: Vec<f32>,
    quantised: Vec<i16>,
    /// Value of one step of `quantised`.
    step: f64,
    /// Largest absolute whole number of `quantised`.
    quantum_max: f64,
    /// Largest sum of absolute values of a vector.
    norm1_max: f64,
}

impl Index {
    /// The index of `vectors`, row by row, each of `dimension` (1 to [`super::FACTOR_DIMENSION_MAX`]), with a bias each.
    pub fn new(dimension: usize, vectors: Vec<f32>, biases: Vec<f32>) -> Self {
        let dimension = dimension.max(1);
        let rows = biases.len().min(vectors.len() / dimension);
        let padded = dimension.next_multiple_of(8);
        // So that a sum of `dimension` products cannot pass 31 bits.
        let quantum_max =
            libm::floor(libm::sqrt(f64::from(i32::MAX) / padded as f64)).min(f64::from(i16::MAX));
        let largest = vectors
            .iter()
            .fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        let step = step(largest, quantum_max);
        let mut quantised = vec![0i16; rows * padded];
        let mut norm1_max = 0.0f64;
        for (whole, vector) in
            (quantised.chunks_exact_mut(padded)).zip(vectors.chunks_exact(dimension))
        {
            quantise(vector, step, whole);
            norm1_max = norm1_max.max(norm1(vector));
        }
        Self {
            dimension,
            padded,
            vectors,
            biases,
            quantised,
            step,
            quantum_max,
            norm1_max,
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.biases.len()
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.biases.is_empty()
    }

    /// Numbers of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Vector and bias of the item in `row`; none past the end.
    pub fn item(&self, row: usize) -> Option<(&[f32], f32)> {
        let vector = (self.vectors).get(row * self.dimension..(row + 1) * self.dimension)?;
        Some((vector, *self.biases.get(row)?))
    }

    /// Exact score of the item in `row`: the inner product in eight lanes of 64 bits ([`crate::learn::algebra::dot8`]),
    /// plus its bias.
    pub fn score(&self, customer: &[f32], row: usize) -> f64 {
        let Some(vector) = (self.vectors).get(row * self.dimension..(row + 1) * self.dimension)
        else {
            return 0.0;
        };
        let bias = self.biases.get(row).copied().unwrap_or(0.0);
        dot8(customer, vector) + f64::from(bias)
    }

    /// The `keep` best of `among` with their exact scores, best first; of equal scores the lower row.
    pub fn best(&self, customer: &[f32], among: &Rows, keep: usize) -> Vec<(u32, f64)> {
        if keep == 0 || customer.len() != self.dimension {
            return Vec::new();
        }
        let largest = customer
            .iter()
            .fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
        let step = step(largest, self.quantum_max);
        let mut whole = vec![0i16; self.padded];
        quantise(customer, step, &mut whole);
        let scale = step * self.step;
        let sum = norm1(customer);
        let bound = 0.5 * self.step * (sum + 0.5 * step * self.dimension as f64)
            + 0.5 * step * self.norm1_max;
        // The last part covers what rounding does in 64 bits, here and in the exact score.
        let twice = 2.0 * (bound * (1.0 + 1e-9) + sum * self.norm1_max * 1e-12 + f64::MIN_POSITIVE);
        let mut found = Found {
            held: Vec::with_capacity(4 * keep.max(64)),
            keep,
            twice,
            least: f64::NEG_INFINITY,
        };
        // Of the usual lengths the loop over a row is laid out when the program is compiled.
        match self.padded {
            32 => self.pass::<32>(&whole, scale, among, &mut found),
            64 => self.pass::<64>(&whole, scale, among, &mut found),
            128 => self.pass::<128>(&whole, scale, among, &mut found),
            _ => self.pass::<0>(&whole, scale, among, &mut found),
        }
        found.cut();
        let mut out: Vec<(u32, f64)> = (found.held.iter())
            .map(|(_, row)| (*row, self.score(customer, *row as usize)))
            .collect();
        let better = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if out.len() > keep {
            out.select_nth_unstable_by(keep - 1, better);
            out.truncate(keep);
        }
        out.sort_unstable_by(better);
        out
    }

    /// Offers the approximate score of each row; `N` is the padded dimension, or zero for any.
    #[inline(never)]
    fn pass<const N: usize>(&self, customer: &[i16], scale: f64, among: &Rows, found: &mut Found) {
        for row in among.iter() {
            let (Some(item), Some(bias)) = (
                self.quantised
                    .get(row * self.padded..(row + 1) * self.padded),
                self.biases.get(row),
            ) else {
                break;
            };
            let sum = match (customer.first_chunk::<N>(), item.first_chunk::<N>()) {
                (Some(a), Some(b)) if N > 0 => dot(a, b),
                _ => dot(customer, item),
            };
            found.offer(f64::from(sum) * scale + f64::from(*bias), row as u32);
        }
    }
}

/// What could be among the best so far.
struct Found {
    /// Approximate scores and rows.
    held: Vec<(f64, u32)>,
    keep: usize,
    twice: f64,
    /// Nothing below it is among the best.
    least: f64,
}

impl Found {
    #[inline]
    fn offer(&mut self, near: f64, row: u32) {
        if near >= self.least {
            if self.held.len() == self.held.capacity() {
                self.cut();
                // Many within the bound: rather more room than a cut for each.
                if self.held.len() * 2 > self.held.capacity() {
                    self.held.reserve(self.held.capacity());
                }
            }
            self.held.push((near, row));
        }
    }

    /// Drops what cannot be among the best.
    fn cut(&mut self) {
        if self.held.len() <= self.keep {
            return;
        }
        let better =
            |a: &(f64, u32), b: &(f64, u32)| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal);
        let (_, last, _) = self.held.select_nth_unstable_by(self.keep - 1, better);
        self.least = last.0 - self.twice;
        let least = self.least;
        self.held.retain(|(near, _)| *near >= least);
    }
}

/// Value of a step so that `largest` is at most `quantum_max` of them; one for nothing but zeros.
fn step(largest: f64, quantum_max: f64) -> f64 {
    if largest > 0.0 {
        largest / quantum_max
    } else {
        1.0
    }
}

fn quantise(vector: &[f32], step: f64, out: &mut [i16]) {
    for (q, v) in out.iter_mut().zip(vector) {
        *q = libm::rint(f64::from(*v) / step) as i16;
    }
}

fn norm1(vector: &[f32]) -> f64 {
    vector.iter().map(|v| f64::from(v.abs())).sum()
}

/// Sum of products; the vectors' steps are so large that it fits. Both are of one length, a multiple of eight.
#[inline(always)]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    let mut lanes = [0i32; 8];
    for (x, y) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for lane in 0..8 {
            let product = i32::from(x[lane]).wrapping_mul(i32::from(y[lane]));
            lanes[lane] = lanes[lane].wrapping_add(product);
        }
    }
    lanes.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
}

/// As [`crate::learn::algebra::dot8`], of numbers of 32 bits.
fn dot8(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (heads_a, tail_a) = a.as_chunks::<8>();
    let (heads_b, tail_b) = b.as_chunks::<8>();
    for (x, y) in heads_a.iter().zip(heads_b) {
        for lane in 0..8 {
            lanes[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    for (lane, (x, y)) in tail_a.iter().zip(tail_b).enumerate() {
        lanes[lane] += f64::from(*x) * f64::from(*y);
    }
    ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
        + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
}
