//! Vector and matrix arithmetic whose bits are the same on every target: sums in a fixed order of eight lanes, no fused
//! multiply-add. Matrices are dense, row by row.
//!
//! This room must never reorder a sum for speed without raising [`crate::SEMANTICS`].

/// The dot product of two vectors of equal length, in eight lanes that are added pairwise at the end.
pub fn dot8(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [0.0f64; 8];
    let (heads_a, tail_a) = a.as_chunks::<8>();
    let (heads_b, tail_b) = b.as_chunks::<8>();
    for (x, y) in heads_a.iter().zip(heads_b) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in tail_a.iter().zip(tail_b).enumerate() {
        lanes[lane] += x * y;
    }
    ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
        + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
}

/// `out = matrix * x` for a square matrix of `x.len()` rows.
pub fn multiply(matrix: &[f64], x: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.extend(matrix.chunks_exact(x.len().max(1)).map(|row| dot8(row, x)));
}

/// `matrix * x` for a symmetric matrix of `x.len()` rows of finite numbers, into `out`: the bits that [`multiply`] gives, without
/// looking at rows where `x` is zero. Of each sum the lanes of [`dot8`] are kept apart and added in its order; a product with
/// zero changes none of them.
pub fn multiply_symmetric(matrix: &[f64], x: &[f64], out: &mut Vec<f64>) {
    let d = x.len();
    out.clear();
    out.resize(8 * d, 0.0);
    for (j, (row, v)) in matrix.chunks_exact(d.max(1)).zip(x).enumerate() {
        if *v != 0.0 {
            let lane = j % 8 * d;
            for (sum, m) in out[lane..lane + d].iter_mut().zip(row) {
                *sum += m * v;
            }
        }
    }
    for i in 0..d {
        let lane = |l: usize| out[l * d + i];
        out[i] = ((lane(0) + lane(1)) + (lane(2) + lane(3)))
            + ((lane(4) + lane(5)) + (lane(6) + lane(7)));
    }
    out.truncate(d);
}

/// The lower triangular factor L of a symmetric positive semidefinite `matrix` of `n` rows, `L * L' = matrix` (Golub and
/// Van Loan 2013, section 4.2). A pivot at or below `tolerance` gives a zero column: its direction has no variance left.
pub fn factor_semidefinite(matrix: &[f64], n: usize, tolerance: f64) -> Vec<f64> {
    let mut l = vec![0.0; n * n];
    for j in 0..n {
        let pivot = matrix[j * n + j] - dot8(&l[j * n..j * n + j], &l[j * n..j * n + j]);
        if pivot <= tolerance {
            continue;
        }
        let root = libm::sqrt(pivot);
        l[j * n + j] = root;
        for i in j + 1..n {
            let rest = matrix[i * n + j] - dot8(&l[i * n..i * n + j], &l[j * n..j * n + j]);
            l[i * n + j] = rest / root;
        }
    }
    l
}

/// True when the symmetric `matrix` of `n` rows is positive definite: its Cholesky factor exists.
pub fn is_positive_definite(matrix: &[f64], n: usize) -> bool {
    let mut l = vec![0.0; n * n];
    for j in 0..n {
        let pivot = matrix[j * n + j] - dot8(&l[j * n..j * n + j], &l[j * n..j * n + j]);
        // Written so that a pivot that is not a number fails as well.
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let root = libm::sqrt(pivot);
        l[j * n + j] = root;
        for i in j + 1..n {
            l[i * n + j] =
                (matrix[i * n + j] - dot8(&l[i * n..i * n + j], &l[j * n..j * n + j])) / root;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_of_a_dot_product_is_pinned(a in proptest::collection::vec(-1e3f64..1e3, 0..40)) {
            let b: Vec<f64> = a.iter().map(|x| 1.0 - x).collect();
            let mut lanes = [0.0f64; 8];
            for i in 0..a.len() {
                lanes[i % 8] += a[i] * b[i];
            }
            let [p, q, r, s, t, u, v, w] = lanes;
            let expected: f64 = ((p + q) + (r + s)) + ((t + u) + (v + w));
            prop_assert_eq!(dot8(&a, &b).to_bits(), expected.to_bits());
        }

        #[test]
        fn a_symmetric_product_has_the_same_bits(
            x in proptest::collection::vec(prop_oneof![Just(0.0), Just(-0.0), -1e3f64..1e3], 0..20),
            m in proptest::collection::vec(-1e3f64..1e3, 400),
        ) {
            let d = x.len();
            let matrix: Vec<f64> = (0..d * d).map(|k| m[(k / d).max(k % d) * 20 + (k / d).min(k % d)]).collect();
            let (mut plain, mut found) = (Vec::new(), vec![5.0; 3]);
            multiply(&matrix, &x, &mut plain);
            multiply_symmetric(&matrix, &x, &mut found);
            let bits = |v: &[f64]| -> Vec<u64> { v.iter().map(|x| x.to_bits()).collect() };
            prop_assert_eq!(bits(&found), bits(&plain));
        }

        #[test]
        fn a_factor_gives_its_matrix_back(x in proptest::collection::vec(-2f64..2.0, 12)) {
            // A Gram matrix of four vectors in three dimensions: semidefinite, of rank three at most.
            let n = 4;
            let m: Vec<f64> = (0..n * n).map(|k| dot8(&x[k / n * 3..k / n * 3 + 3], &x[k % n * 3..k % n * 3 + 3])).collect();
            let l = factor_semidefinite(&m, n, 1e-9);
            for i in 0..n {
                for j in 0..n {
                    let back = dot8(&l[i * n..i * n + n], &l[j * n..j * n + n]);
                    prop_assert!((back - m[i * n + j]).abs() < 1e-3);
                }
            }
        }
    }
}
