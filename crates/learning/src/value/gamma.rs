//! The logarithmic derivatives of the gamma function. Its logarithm is libm's.

/// Where the asymptotic series is taken from.
const LARGE: f64 = 12.0;

/// Digamma of `x > 0`: the derivative of ln gamma, to about 1e-15 (Abramowitz and Stegun 6.3.5 and 6.3.18).
pub(super) fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < LARGE {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y
        * (1.0 / 12.0
            - y * (1.0 / 120.0
                - y * (1.0 / 252.0
                    - y * (1.0 / 240.0
                        - y * (1.0 / 132.0 - y * (691.0 / 32_760.0 - y * (1.0 / 12.0)))))));
    sum + libm::log(x) - 0.5 / x - series
}

/// Trigamma of `x > 0`: the second derivative of ln gamma (Abramowitz and Stegun 6.4.6 and 6.4.12).
pub(super) fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < LARGE {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y
        * (1.0 / 6.0
            - y * (1.0 / 30.0
                - y * (1.0 / 42.0
                    - y * (1.0 / 30.0
                        - y * (5.0 / 66.0 - y * (691.0 / 2_730.0 - y * (7.0 / 6.0)))))));
    sum + (1.0 + 0.5 / x + series) / x
}

#[cfg(test)]
mod tests {
    use super::{digamma, trigamma};

    /// Values by mpmath 1.4.1 at 30 digits.
    #[test]
    fn they_are_mpmaths() {
        for (x, first, second) in [
            (1e-3, -1_000.575_571_931_810_3, 1_000_001.642_533_195_2),
            (0.25, -4.227_453_533_376_265_4, 17.197_329_154_507_11),
            (1.0, -0.577_215_664_901_532_9, 1.644_934_066_848_226_4),
            (7.5, 1.946_757_484_246_086_8, 0.142_615_896_696_703_8),
            (12.0, 2.442_661_679_975_812, 0.086_901_872_871_768_39),
            (345.25, 5.842_819_867_247_302, 0.002_900_650_613_062_364),
        ] {
            assert!(
                (digamma(x) / first - 1.0).abs() < 4e-15,
                "{x}: {}",
                digamma(x)
            );
            assert!(
                (trigamma(x) / second - 1.0).abs() < 4e-15,
                "{x}: {}",
                trigamma(x)
            );
        }
    }
}
