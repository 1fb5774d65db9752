//! Least squares of one side's rows with the other side fixed. Vectors are held in whole lanes, filled up with zeros, so that
//! loops over them are laid out in vector instructions; sums are in lanes that are added pairwise at the end, on every target.
//! This room must never change the order of a sum from run to run.

use super::Interactions;

/// Numbers of a lane.
pub(super) const LANES: usize = 16;
/// Squared residual below which nothing is left to do.
const DONE: f32 = 1e-20;

/// Vectors, one after the other, each in whole lanes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vectors {
    pub(super) factors: usize,
    width: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// From rows of `factors` numbers.
    pub(super) fn of(rows: &[f32], factors: usize) -> Self {
        let width = factors.next_multiple_of(LANES);
        let mut values = vec![0.0; rows.len() / factors * width];
        for (row, out) in rows
            .chunks_exact(factors)
            .zip(values.chunks_exact_mut(width))
        {
            out[..factors].copy_from_slice(row);
        }
        Self {
            factors,
            width,
            values,
        }
    }

    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// The product of a symmetric matrix, whose rows these are, with a vector: the sum of its rows.
    fn multiply(&self, x: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        let (x, rest) = x[..self.factors].as_chunks::<TOGETHER>();
        for (at, x) in x.iter().enumerate() {
            let first = at * TOGETHER;
            adds::<TOGETHER>(out, *x, core::array::from_fn(|n| self.row(first + n)));
        }
        for (at, x) in rest.iter().enumerate() {
            add(out, *x, self.row(self.factors - rest.len() + at));
        }
    }

    /// Rows of `factors` numbers.
    pub(super) fn rows_of_factors(&self) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.values.len() / self.width * self.factors);
        self.rows()
            .for_each(|row| out.extend_from_slice(&row[..self.factors]));
        out
    }

    pub(super) fn is_finite(&self) -> bool {
        self.values.iter().all(|x| x.is_finite())
    }

    /// The sum of each row's products with itself, in binary64: factors x factors numbers.
    pub(super) fn gram(&self) -> Vec<f64> {
        let n = self.factors;
        let mut sums = vec![0.0; n * n];
        let mut wide = vec![0.0; n];
        for row in self.rows() {
            widen(row, &mut wide);
            for (i, x) in wide.iter().enumerate() {
                for (sum, y) in sums[i * n..i * n + i + 1].iter_mut().zip(&wide) {
                    *sum += x * y;
                }
            }
        }
        for i in 0..n {
            for j in 0..i {
                sums[j * n + i] = sums[i * n + j];
            }
        }
        sums
    }
}

fn widen(row: &[f32], out: &mut [f64]) {
    for (out, x) in out.iter_mut().zip(row) {
        *out = f64::from(*x);
    }
}

/// Vectors that are worked on together, so that what they share is read once.
const TOGETHER: usize = 4;

/// Dot products of one vector with others, in whole lanes.
fn dots<const N: usize>(a: &[f32], others: [&[f32]; N]) -> [f32; N] {
    let mut lanes = [[0.0f32; LANES]; N];
    let (a, _) = a.as_chunks::<LANES>();
    let others = others.map(|of| &of.as_chunks::<LANES>().0[..a.len()]);
    for (at, x) in a.iter().enumerate() {
        for (lanes, of) in lanes.iter_mut().zip(&others) {
            let y = &of[at];
            for lane in 0..LANES {
                lanes[lane] += x[lane] * y[lane];
            }
        }
    }
    lanes.map(|l| {
        let eight: [f32; 8] = core::array::from_fn(|at| l[at] + l[at + 8]);
        let four: [f32; 4] = core::array::from_fn(|at| eight[at] + eight[at + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    })
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    dots(a, [b])[0]
}

/// Adds multiples of vectors to `out`, one after the other.
fn adds<const N: usize>(out: &mut [f32], times: [f32; N], of: [&[f32]; N]) {
    let (out, _) = out.as_chunks_mut::<LANES>();
    let of = of.map(|of| &of.as_chunks::<LANES>().0[..out.len()]);
    for (at, out) in out.iter_mut().enumerate() {
        let mut sums = *out;
        for (times, of) in times.iter().zip(&of) {
            let y = &of[at];
            for lane in 0..LANES {
                sums[lane] += times * y[lane];
            }
        }
        *out = sums;
    }
}

fn add(out: &mut [f32], times: f32, of: &[f32]) {
    adds(out, [times], [of]);
}

/// Adds to `out` each of the vectors times what `share` makes of its strength and its product with `x`.
fn add_shares(
    out: &mut [f32],
    x: &[f32],
    (others, strengths): (&[u32], &[f32]),
    fixed: &Vectors,
    share: impl Fn(f32, f32) -> f32,
) {
    let (many, rest) = others.as_chunks::<TOGETHER>();
    let (many_strengths, rest_strengths) = strengths.as_chunks::<TOGETHER>();
    for (others, strengths) in many.iter().zip(many_strengths) {
        let vectors = others.map(|other| fixed.row(other as usize));
        let products = dots(x, vectors);
        let shares = core::array::from_fn(|at| share(strengths[at], products[at]));
        adds::<TOGETHER>(out, shares, vectors);
    }
    for (other, strength) in rest.iter().zip(rest_strengths) {
        let y = fixed.row(*other as usize);
        add(out, share(*strength, dot(x, y)), y);
    }
}

/// The gram of the fixed side with the penalty on its diagonal, in whole lanes.
fn penalised(gram: &[f64], factors: usize, regularization: f64) -> Vectors {
    let narrow = |(at, x): (usize, &f64)| {
        let own = at % factors == at / factors;
        (if own { x + regularization } else { *x }) as f32
    };
    let rows: Vec<f32> = gram.iter().enumerate().map(narrow).collect();
    Vectors::of(&rows, factors)
}

/// Some steps of conjugate gradients for every row of `moved`, from where it is; a row without interactions is zero.
pub(super) fn conjugate_gradients(
    interactions: &Interactions,
    moved: &mut Vectors,
    fixed: &Vectors,
    (regularization, alpha): (f64, f64),
    steps: usize,
) {
    let gram = penalised(&fixed.gram(), fixed.factors, regularization);
    let (width, alpha) = (moved.width, alpha as f32);
    let mut residual = vec![0.0; width];
    let mut towards = vec![0.0; width];
    let mut image = vec![0.0; width];
    for (row, x) in moved.values.chunks_exact_mut(width).enumerate() {
        let (others, strengths) = interactions.of(row);
        if others.is_empty() {
            x.fill(0.0);
            continue;
        }
        gram.multiply(x, &mut residual);
        residual.iter_mut().for_each(|r| *r = -*r);
        let taken = (others, strengths);
        add_shares(&mut residual, x, taken, fixed, |strength, product| {
            let extra = alpha * strength;
            1.0 + extra - extra * product
        });
        towards.copy_from_slice(&residual);
        let mut left = dot(&residual, &residual);
        for _ in 0..steps {
            if left < DONE {
                break;
            }
            gram.multiply(&towards, &mut image);
            add_shares(&mut image, &towards, taken, fixed, |strength, product| {
                alpha * strength * product
            });
            let length = left / dot(&towards, &image);
            add(x, length, &towards);
            add(&mut residual, -length, &image);
            let now = dot(&residual, &residual);
            let share = now / left;
            for (p, r) in towards.iter_mut().zip(&residual) {
                *p = r + share * *p;
            }
            left = now;
        }
    }
}

/// The exact solution of every row of `moved`.
pub(super) fn exact(
    interactions: &Interactions,
    moved: &mut Vectors,
    fixed: &Vectors,
    (regularization, alpha): (f64, f64),
) {
    let mut room = Exact::new(fixed.gram(), fixed.factors, regularization, alpha);
    let width = moved.width;
    for (row, x) in moved.values.chunks_exact_mut(width).enumerate() {
        let (others, strengths) = interactions.of(row);
        let vectors = others.iter().map(|other| fixed.row(*other as usize));
        for (x, solved) in x.iter_mut().zip(room.solve(vectors.zip(strengths))) {
            *x = *solved as f32;
        }
    }
}

/// Solves one row after the other against the same gram.
pub(super) struct Exact {
    factors: usize,
    gram: Vec<f64>,
    regularization: f64,
    alpha: f64,
    lower: Vec<f64>,
    wide: [Vec<f64>; TOGETHER],
    x: Vec<f64>,
}

impl Exact {
    pub(super) fn new(gram: Vec<f64>, factors: usize, regularization: f64, alpha: f64) -> Self {
        Self {
            factors,
            lower: vec![0.0; gram.len()],
            gram,
            regularization,
            alpha,
            wide: core::array::from_fn(|_| vec![0.0; factors]),
            x: vec![0.0; factors],
        }
    }

    /// The row that has taken the given vectors with the given strengths.
    pub(super) fn solve<'v>(
        &mut self,
        taken: impl Iterator<Item = (&'v [f32], &'v f32)>,
    ) -> &[f64] {
        let n = self.factors;
        let (lower, x) = (&mut self.lower, &mut self.x);
        lower.copy_from_slice(&self.gram);
        x.fill(0.0);
        for i in 0..n {
            lower[i * n + i] += self.regularization;
        }
        let mut held = 0;
        let mut extras = [0.0; TOGETHER];
        let mut taken = taken.peekable();
        while let Some((y, strength)) = taken.next() {
            extras[held] = self.alpha * f64::from(*strength);
            widen(y, &mut self.wide[held]);
            held += 1;
            if held == TOGETHER || taken.peek().is_none() {
                extras[held..].fill(0.0);
                self.wide[held..].iter_mut().for_each(|wide| wide.fill(0.0));
                held = 0;
                let [a, b, c, d] = &self.wide;
                for i in 0..n {
                    let own = [a[i], b[i], c[i], d[i]];
                    let times: [f64; TOGETHER] = core::array::from_fn(|at| extras[at] * own[at]);
                    x[i] += ((own[0] + times[0]) + (own[1] + times[1]))
                        + ((own[2] + times[2]) + (own[3] + times[3]));
                    let sums = lower[i * n..i * n + i + 1].iter_mut();
                    for ((((sum, a), b), c), d) in sums.zip(a).zip(b).zip(c).zip(d) {
                        *sum += (times[0] * a + times[1] * b) + (times[2] * c + times[3] * d);
                    }
                }
            }
        }
        for i in 0..n {
            let (above, own) = lower.split_at_mut(i * n);
            for j in 0..i {
                let line = &above[j * n..j * n + j + 1];
                let done = luopan_kernel::learn::algebra::dot8(&own[..j], &line[..j]);
                own[j] = (own[j] - done) / line[j];
            }
            let done = luopan_kernel::learn::algebra::dot8(&own[..i], &own[..i]);
            // No pivot of such a matrix is below its penalty but by rounding.
            own[i] = libm::sqrt((own[i] - done).max(self.regularization));
        }
        for i in 0..n {
            let done = luopan_kernel::learn::algebra::dot8(&lower[i * n..i * n + i], &x[..i]);
            x[i] = (x[i] - done) / lower[i * n + i];
        }
        for i in (0..n).rev() {
            x[i] /= lower[i * n + i];
            let (before, own) = x.split_at_mut(i);
            for (x, l) in before.iter_mut().zip(&lower[i * n..i * n + i]) {
                *x -= own[0] * l;
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_gram_is_the_sum_of_products(rows in proptest::collection::vec(-3f32..3.0, 5..60)) {
            let rows = &rows[..rows.len() / 5 * 5];
            let vectors = Vectors::of(rows, 5);
            prop_assert_eq!(vectors.rows_of_factors(), rows);
            let gram = vectors.gram();
            for i in 0..5 {
                for j in 0..5 {
                    let sum: f64 = rows.chunks_exact(5).map(|r| f64::from(r[i]) * f64::from(r[j])).sum();
                    prop_assert!((gram[i * 5 + j] - sum).abs() < 1e-9);
                    prop_assert_eq!(gram[i * 5 + j].to_bits(), gram[j * 5 + i].to_bits());
                }
            }
        }

        #[test]
        fn an_exact_row_solves_its_equation(
            rows in proptest::collection::vec(-1f32..1.0, 24),
            strengths in proptest::collection::vec(0f32..5.0, 3),
            regularization in 0.01f64..2.0,
        ) {
            let fixed = Vectors::of(&rows, 4);
            let gram = fixed.gram();
            let mut room = Exact::new(gram.clone(), 4, regularization, 0.7);
            let taken: Vec<(&[f32], &f32)> = fixed.rows().take(3).zip(&strengths).collect();
            let x = room.solve(taken.iter().copied()).to_vec();
            for i in 0..4 {
                let mut rest = regularization * x[i] + (0..4).map(|j| gram[i * 4 + j] * x[j]).sum::<f64>();
                for (y, r) in &taken {
                    let (extra, y) = (0.7 * f64::from(**r), y.iter().map(|y| f64::from(*y)).collect::<Vec<_>>());
                    let found: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
                    rest += extra * found * y[i] - (1.0 + extra) * y[i];
                }
                prop_assert!(rest.abs() < 1e-8, "{}", rest);
            }
        }
    }
}
