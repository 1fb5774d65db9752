//! The quadratic model of a step: `g'd + d'Hd / 2` and the elastic net of where the step leads.

/// Pivots below this share of their diagonal are what rounding leaves of nothing.
const ALIASED: f64 = 1e-9;

/// A matrix and its Cholesky factor without the terms that others add up to.
pub(super) struct Factor {
    size: usize,
    lower: Vec<f64>,
    /// Which terms were left out.
    pub(super) aliased: Vec<bool>,
}

/// Factors a symmetric positive semidefinite matrix row by row; a term whose pivot is what rounding leaves is left out, and so
/// are those of `out`.
pub(super) fn factor(matrix: &[f64], size: usize, out: &[bool]) -> Factor {
    let mut lower = vec![0.0; size * size];
    let mut aliased = out.to_vec();
    for row in 0..size {
        if aliased[row] {
            continue;
        }
        for column in 0..=row {
            if aliased[column] {
                continue;
            }
            let (a, b) = (
                &lower[row * size..row * size + column],
                &lower[column * size..column * size + column],
            );
            let rest = matrix[row * size + column] - luopan_kernel::learn::algebra::dot8(a, b);
            if column < row {
                lower[row * size + column] = rest / lower[column * size + column];
            } else if rest > ALIASED * matrix[row * size + row] {
                lower[row * size + row] = libm::sqrt(rest);
            } else {
                aliased[row] = true;
            }
        }
        if aliased[row] {
            lower[row * size..(row + 1) * size].fill(0.0);
        }
    }
    Factor {
        size,
        lower,
        aliased,
    }
}

impl Factor {
    /// Solves for a right hand side; left out terms come out as zero.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let (size, lower) = (self.size, &self.lower);
        let mut x = vec![0.0; size];
        for row in (0..size).filter(|row| !self.aliased[*row]) {
            let done =
                luopan_kernel::learn::algebra::dot8(&lower[row * size..row * size + row], &x);
            x[row] = (right[row] - done) / lower[row * size + row];
        }
        for row in (0..size).rev().filter(|row| !self.aliased[*row]) {
            let mut rest = x[row];
            for below in row + 1..size {
                rest -= lower[below * size + row] * x[below];
            }
            x[row] = rest / lower[row * size + row];
        }
        x
    }

    /// The inverse of the matrix, zero for what was left out.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let size = self.size;
        let mut out = vec![0.0; size * size];
        let mut unit = vec![0.0; size];
        for column in (0..size).filter(|column| !self.aliased[*column]) {
            unit[column] = 1.0;
            for (row, value) in self.solve(&unit).into_iter().enumerate() {
                out[row * size + column] = value;
            }
            unit[column] = 0.0;
        }
        out
    }
}

/// A penalty by term, the intercept's first.
pub(super) struct Net {
    pub(super) l1: Vec<f64>,
    pub(super) l2: Vec<f64>,
}

impl Net {
    pub(super) fn of(&self, coefficients: &[f64]) -> f64 {
        coefficients
            .iter()
            .enumerate()
            .map(|(at, b)| self.l1[at] * b.abs() + 0.5 * self.l2[at] * b * b)
            .sum()
    }
}

/// Most sweeps of coordinate descent.
const SWEEPS_MAX: usize = 10_000;

/// Minimises the quadratic model with an L1 penalty by cyclic coordinate descent, from where the coefficients are; terms of `out`
/// stay. Gives the step.
pub(super) fn descend(
    hessian: &[f64],
    slope: &[f64],
    at: &[f64],
    net: &Net,
    out: &[bool],
    precision: f64,
) -> Vec<f64> {
    let size = at.len();
    let (mut b, mut gradient) = (at.to_vec(), slope.to_vec());
    let mut move_one = |b: &mut [f64], j: usize| -> f64 {
        let curvature = hessian[j * size + j] + net.l2[j];
        if out[j] || curvature <= 0.0 {
            return 0.0;
        }
        let aim = curvature * b[j] - (gradient[j] + net.l2[j] * b[j]);
        let pulled = if net.l1[j] == 0.0 {
            aim
        } else {
            aim.signum() * (aim.abs() - net.l1[j]).max(0.0)
        };
        let step = pulled / curvature - b[j];
        if step != 0.0 {
            b[j] += step;
            let line = &hessian[j * size..(j + 1) * size];
            gradient
                .iter_mut()
                .zip(line)
                .for_each(|(g, h)| *g += h * step);
        }
        step.abs() * libm::sqrt(curvature)
    };
    // Sweeps over all terms, between them over those that are not zero.
    for _ in 0..SWEEPS_MAX {
        let mut most: f64 = 0.0;
        for j in 0..size {
            most = most.max(move_one(&mut b, j));
        }
        if most <= precision {
            break;
        }
        for _ in 0..SWEEPS_MAX {
            let mut most: f64 = 0.0;
            for j in 0..size {
                if b[j] != 0.0 || net.l1[j] == 0.0 {
                    most = most.max(move_one(&mut b, j));
                }
            }
            if most <= precision {
                break;
            }
        }
    }
    b.iter().zip(at).map(|(b, at)| b - at).collect()
}
