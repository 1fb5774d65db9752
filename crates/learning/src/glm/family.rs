//! Families of outcomes with their links: identity for gaussian, logit for binomial, logarithm for the others.

use super::Error;
use crate::columns;

/// How an outcome is distributed around its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Family {
    /// Any number; the mean is the linear predictor.
    Gaussian,
    /// A share from 0 to 1; the mean is the logistic function of the linear predictor.
    Binomial,
    /// A count or rate, zero or more; the mean is the exponential of the linear predictor, as for the following.
    Poisson,
    /// An amount above zero; its variance is that of the mean squared.
    Gamma,
    /// An amount, zero or more, with a share of exact zeros; variance is the mean to the power.
    Tweedie {
        /// Above 1 and below 2.
        power: f64,
    },
}

/// What a row gives at a linear predictor.
pub(super) struct At {
    /// Half the unit deviance, but for what depends on the outcome alone.
    pub(super) loss: f64,
    /// Its first derivative by the linear predictor.
    pub(super) slope: f64,
    /// Its second derivative, zero or more.
    pub(super) curvature: f64,
}

impl Family {
    /// True for families whose mean is the exponential of the linear predictor.
    pub fn has_log_link(self) -> bool {
        !matches!(self, Self::Gaussian | Self::Binomial)
    }

    /// Power of the mean in the variance, for those with a log link.
    pub(super) fn power(self) -> f64 {
        match self {
            Self::Gaussian | Self::Binomial => 0.0,
            Self::Poisson => 1.0,
            Self::Gamma => 2.0,
            Self::Tweedie { power } => power,
        }
    }

    /// What outcomes it takes, and whether `y` is one.
    pub(super) fn takes(self, y: f64) -> bool {
        y.is_finite()
            && match self {
                Self::Gaussian => true,
                Self::Binomial => (0.0..=1.0).contains(&y),
                Self::Poisson | Self::Tweedie { .. } => y >= 0.0,
                Self::Gamma => y > 0.0,
            }
    }

    pub(super) fn wanted(self) -> &'static str {
        match self {
            Self::Gaussian => "a finite number",
            Self::Binomial => "0 to 1",
            Self::Poisson | Self::Tweedie { .. } => "zero or a finite number above it",
            Self::Gamma => "a finite number above zero",
        }
    }

    pub(super) fn check(self) -> Result<(), Error> {
        match self {
            Self::Tweedie { power } if !(power > 1.0 && power < 2.0) => {
                Err(Error::Columns(columns::Error::Setting {
                    what: "the power of tweedie",
                    found: power,
                    wanted: "above 1 and below 2 (poisson is 1, gamma is 2)",
                }))
            }
            _ => Ok(()),
        }
    }

    /// The mean at a linear predictor.
    pub fn mean(self, predictor: f64) -> f64 {
        match self {
            Self::Gaussian => predictor,
            Self::Binomial => logistic(predictor),
            _ => libm::exp(predictor),
        }
    }

    /// The linear predictor of a mean.
    pub fn link(self, mean: f64) -> f64 {
        match self {
            Self::Gaussian => mean,
            Self::Binomial => libm::log(mean / (1.0 - mean)),
            _ => libm::log(mean),
        }
    }

    /// Variance of an outcome at a mean, but for the dispersion.
    pub fn variance(self, mean: f64) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::Binomial => mean * (1.0 - mean),
            Self::Poisson => mean,
            Self::Gamma => mean * mean,
            Self::Tweedie { power } => libm::pow(mean, power),
        }
    }

    /// Derivative of the mean by the linear predictor.
    pub(super) fn mean_slope(self, mean: f64) -> f64 {
        match self {
            Self::Gaussian => 1.0,
            Self::Binomial => mean * (1.0 - mean),
            _ => mean,
        }
    }

    /// Expected second derivative of half the unit deviance by the linear predictor (Fisher's information).
    pub(super) fn information(self, mean: f64) -> f64 {
        match self {
            Self::Gaussian | Self::Gamma => 1.0,
            Self::Binomial => mean * (1.0 - mean),
            Self::Poisson => mean,
            Self::Tweedie { power } => libm::pow(mean, 2.0 - power),
        }
    }

    /// Loss and derivatives. The second one is the observed one, which is convex for all of these.
    pub(super) fn at(self, predictor: f64, y: f64) -> At {
        match self {
            Self::Gaussian => {
                let slope = predictor - y;
                At {
                    loss: 0.5 * slope * slope,
                    slope,
                    curvature: 1.0,
                }
            }
            Self::Binomial => {
                let mean = logistic(predictor);
                let softplus = predictor.max(0.0) + libm::log1p(libm::exp(-predictor.abs()));
                At {
                    loss: softplus - y * predictor,
                    slope: mean - y,
                    curvature: mean * (1.0 - mean),
                }
            }
            Self::Poisson => {
                let mean = libm::exp(predictor);
                At {
                    loss: mean - y * predictor,
                    slope: mean - y,
                    curvature: mean,
                }
            }
            Self::Gamma => {
                let ratio = y * libm::exp(-predictor);
                At {
                    loss: ratio + predictor,
                    slope: 1.0 - ratio,
                    curvature: ratio,
                }
            }
            Self::Tweedie { power } => {
                let (above, below) = (2.0 - power, power - 1.0);
                let grown = libm::exp(above * predictor);
                let shrunk = y * libm::exp(-below * predictor);
                At {
                    loss: grown / above + shrunk / below,
                    slope: grown - shrunk,
                    curvature: above * grown + below * shrunk,
                }
            }
        }
    }

    /// The unit deviance.
    pub fn deviance(self, y: f64, mean: f64) -> f64 {
        let times_log = |y: f64, ratio: f64| if y == 0.0 { 0.0 } else { y * libm::log(ratio) };
        2.0 * match self {
            Self::Gaussian => 0.5 * (y - mean) * (y - mean),
            Self::Binomial => times_log(y, y / mean) + times_log(1.0 - y, (1.0 - y) / (1.0 - mean)),
            Self::Poisson => times_log(y, y / mean) - (y - mean),
            Self::Gamma => (y - mean) / mean - libm::log(y / mean),
            Self::Tweedie { power } => {
                let (above, below) = (2.0 - power, power - 1.0);
                let whole = if y == 0.0 {
                    0.0
                } else {
                    -libm::pow(y, above) / (below * above)
                };
                whole + y * libm::pow(mean, -below) / below + libm::pow(mean, above) / above
            }
        }
    }
}

fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn derivatives_are_those_of_half_the_deviance(predictor in -3.0..3.0f64, y in 0.01..0.99f64) {
            for family in [
                Family::Gaussian, Family::Binomial, Family::Poisson, Family::Gamma, Family::Tweedie { power: 1.5 },
            ] {
                let h = 1e-5;
                let half = |x: f64| family.deviance(y, family.mean(x)) / 2.0;
                let at = family.at(predictor, y);
                let slope = (half(predictor + h) - half(predictor - h)) / (2.0 * h);
                prop_assert!((slope - at.slope).abs() < 1e-6 * (1.0 + slope.abs()), "{:?}: {} {}", family, slope, at.slope);
                let curvature = (family.at(predictor + h, y).slope - family.at(predictor - h, y).slope) / (2.0 * h);
                prop_assert!((curvature - at.curvature).abs() < 1e-6 * (1.0 + curvature.abs()));
                let moved = family.at(predictor + h, y).loss - family.at(predictor - h, y).loss;
                prop_assert!((moved / (2.0 * h) - at.slope).abs() < 1e-6 * (1.0 + slope.abs()));
                prop_assert!((family.link(family.mean(predictor)) - predictor).abs() < 1e-9);
            }
        }
    }
}
