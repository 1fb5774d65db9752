//! Intervals around shares and means, 95 % of both sides. It must never say an interval for nothing observed.

/// Standard normal quantile of 0.975.
const Z: f64 = 1.959_963_984_540_054;

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Number, sum and sum of squares of what was observed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    n: u64,
    sum: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn add(&mut self, x: f64) {
        self.n += 1;
        self.sum += x;
        self.squares += x * x;
    }

    /// Share of ones among zeros and ones, with Wilson's interval (Wilson 1927).
    pub(super) fn share(&self) -> Option<Estimate> {
        if self.n == 0 {
            return None;
        }
        let n = self.n as f64;
        let p = self.sum / n;
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some(Estimate {
            value: p,
            low: (middle - half).max(0.0).min(p),
            high: (middle + half).min(1.0).max(p),
        })
    }

    /// Mean, with the normal interval of the central limit theorem; of one observation the interval is not known.
    pub(super) fn mean(&self) -> Option<Estimate> {
        if self.n < 2 {
            return None;
        }
        let n = self.n as f64;
        let mean = self.sum / n;
        let variance = ((self.squares - n * mean * mean) / (n - 1.0)).max(0.0);
        let half = Z * (variance / n).sqrt();
        Some(Estimate {
            value: mean,
            low: mean - half,
            high: mean + half,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> Moments {
        let mut out = Moments::default();
        values.iter().for_each(|x| out.add(*x));
        out
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-5, "{a} is not {b}");
    }

    #[test]
    fn wilson_as_published() {
        // Newcombe (1998), table I: 81 of 263, method 3; and 0 of 20.
        let mut found = Moments::default();
        (0..263).for_each(|i| found.add(f64::from(i < 81)));
        let found = found.share().unwrap();
        near(found.low, 0.2553);
        near(found.high, 0.3662);
        let none = moments(&[0.0; 20]).share().unwrap();
        assert_eq!((none.value, none.low), (0.0, 0.0));
        near(none.high, 0.1611);
        assert_eq!(moments(&[]).share(), None);
    }

    #[test]
    fn the_mean_and_its_interval() {
        let found = moments(&[1.0, 2.0, 3.0, 4.0]).mean().unwrap();
        assert_eq!(found.value, 2.5);
        near(found.high - found.value, 1.2652);
        assert_eq!(moments(&[1.0]).mean(), None);
    }
}
