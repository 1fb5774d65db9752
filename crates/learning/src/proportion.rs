//! How sure a share is that was counted: the interval of Wilson (1927), which keeps its level for few rows and for shares near 0 and 1.

use luopan_kernel::random::normal_quantile;

/// A share of rows and between which values the true one lies.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Share {
    /// Rows that have it.
    pub count: u64,
    /// Rows looked at.
    pub of: u64,
    /// `count / of`; no number where nothing was looked at.
    pub share: f64,
    /// Lower bound, 0 where nothing was looked at.
    pub lower: f64,
    /// Upper bound, 1 where nothing was looked at.
    pub upper: f64,
}

/// The interval at `level`, within (0, 1); another level gives bounds that are no numbers.
#[must_use]
pub fn wilson(count: u64, of: u64, level: f64) -> Share {
    let mut found = Share {
        count,
        of,
        share: f64::NAN,
        lower: 0.0,
        upper: 1.0,
    };
    if !(level > 0.0 && level < 1.0) {
        (found.lower, found.upper) = (f64::NAN, f64::NAN);
    }
    if of == 0 {
        return found;
    }
    let (n, p) = (of as f64, count as f64 / of as f64);
    let z = normal_quantile(0.5 + level / 2.0);
    let denominator = 1.0 + z * z / n;
    let middle = (p + z * z / (2.0 * n)) / denominator;
    let half = z * libm::sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)) / denominator;
    found.share = p;
    if !found.lower.is_nan() {
        // Of none and of all the bound is exact, whatever rounding says.
        found.lower = if count == 0 {
            0.0
        } else {
            (middle - half).max(0.0)
        };
        found.upper = if count == of {
            1.0
        } else {
            (middle + half).min(1.0)
        };
    }
    found
}
