//! The mean number of purchases of the BG/NBD model over a time (equation 9 of the paper) without its hypergeometric function, of which
//! the paper's form subtracts numbers that are nearly equal and divides by zero at `a = 1`.
//!
//! A customer has her n-th purchase if the process of purchases has it and she did not leave after one of the n - 1 before. So
//! the mean is `sum over n of P(NBD = n) C(n)` with `C(n) = sum over k < n of (b)_k / (a + b)_k`, all of it positive. Where that takes too
//! many terms, it is the mean of `(1 - (1 + p t / alpha)^-r) / p` over the beta distribution of p, by the trapezoid rule in the log odds of
//! p, which converges geometrically.

/// Most terms that are summed.
const TERMS_MAX: usize = 2_000;

/// Mean purchases within `t >= 0` after the first; parameters above zero.
pub(super) fn purchases(t: f64, r: f64, alpha: f64, a: f64, b: f64) -> f64 {
    if t == 0.0 {
        return 0.0;
    }
    by_terms(t, r, alpha, a, b).unwrap_or_else(|| by_trapezoids(t, r, alpha, a, b))
}

fn by_terms(t: f64, r: f64, alpha: f64, a: f64, b: f64) -> Option<f64> {
    let z = t / (alpha + t);
    // The mean of terms, and as many beyond it as the tail takes.
    if z.is_nan() || r * t / alpha + 40.0 / (1.0 - z) > TERMS_MAX as f64 {
        return None;
    }
    let (mut weight, mut all, mut sum) = (1.0, 1.0, 0.0);
    let (mut stays, mut count) = (1.0, 0.0);
    for n in 0..TERMS_MAX {
        let n = n as f64;
        weight *= (r + n) / (n + 1.0) * z;
        count += stays;
        stays *= (b + n) / (a + b + n);
        all += weight;
        sum += weight * count;
        let ratio = (r + n + 1.0) / (n + 2.0) * z;
        let left = 1.0 - ratio;
        if left > 0.0
            && weight * (count + 1.0) < 1e-17 * sum * left * left
            && weight < 1e-17 * all * left
        {
            return Some(sum / all);
        }
        if weight > 1e200 {
            (weight, all, sum) = (weight * 1e-200, all * 1e-200, sum * 1e-200);
        }
    }
    None
}

fn by_trapezoids(t: f64, r: f64, alpha: f64, a: f64, b: f64) -> f64 {
    let times = t / alpha;
    let log_weight = |v: f64| {
        let softplus = libm::log1p(libm::exp(-v.abs()));
        -a * (softplus + (-v).max(0.0)) - b * (softplus + v.max(0.0))
    };
    let given = |v: f64| {
        let p = if v >= 0.0 {
            1.0 / (1.0 + libm::exp(-v))
        } else {
            let e = libm::exp(v);
            e / (1.0 + e)
        };
        if p == 0.0 {
            return r * times;
        }
        -libm::expm1(-r * libm::log1p(p * times)) / p
    };
    let mode = libm::log(a / b);
    let highest = log_weight(mode);
    let step = (0.5 * libm::sqrt(1.0 / a + 1.0 / b)).min(0.2);
    // Beyond these the weight is an exponential and the mean given p constant.
    let low = (-libm::log(1.0 + (r + 1.0) * times + b) - 40.0).min(mode);
    let high = (libm::log(1.0 + a) + 40.0).max(mode);
    let (mut all, mut sum) = (1.0, given(mode));
    for (side, rate, end) in [(-1.0, a, low), (1.0, b, high)] {
        let mut k = 0.0;
        loop {
            k += 1.0;
            let v = mode + side * step * k;
            let weight = libm::exp(log_weight(v) - highest);
            all += weight;
            sum += weight * given(v);
            if (v - end) * side > 0.0 {
                let tail = weight / libm::expm1(rate * step);
                all += tail;
                sum += tail * given(v);
                break;
            }
            if weight < 1e-25 {
                break;
            }
        }
    }
    sum / all
}

#[cfg(test)]
mod tests {
    use super::{by_terms, by_trapezoids};

    #[test]
    fn both_ways_give_the_same() {
        for r in [0.01, 0.24, 3.0, 150.0] {
            for a in [0.003, 0.79, 1.0, 40.0, 2_000.0] {
                for b in [0.02, 2.4, 300.0, 10_000.0] {
                    for t in [1e-9, 0.3, 4.0, 39.0] {
                        let Some(one) = by_terms(t, r, 4.4, a, b) else {
                            continue;
                        };
                        let other = by_trapezoids(t, r, 4.4, a, b);
                        assert!(
                            (one / other - 1.0).abs() < 1e-11,
                            "t {t}, r {r}, a {a}, b {b}: {one} {other}"
                        );
                    }
                }
            }
        }
    }
}
