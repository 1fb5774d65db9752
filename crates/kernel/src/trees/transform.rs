//! What makes a prediction of raw scores: the inverse links of the objectives that ensembles are trained for. This room must
//! never know a tree.

/// From raw scores to predictions, by LightGBM's formulas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transform {
    /// The score itself: regression on the mean, a median or a quantile; ranking; an objective of one's own.
    Identity,
    /// `1 / (1 + exp(-steepness * score))`, each output by itself: binary, cross entropy, one class against all others.
    Sigmoid {
        /// Finite and above zero.
        steepness: f64,
    },
    /// `exp(score)`: Poisson, gamma, Tweedie.
    Exp,
    /// `sign(score) * score^2`: regression on square roots.
    SignedSquare,
    /// `ln(1 + exp(score))`: cross entropy with an intensity.
    LogOnePlusExp,
    /// `exp(score_k) / sum of exp(score_j)`, the greatest score taken off first: classes that exclude each other.
    Softmax,
}

impl Transform {
    /// Puts predictions in the place of raw scores, for one row's outputs.
    pub fn apply(self, outputs: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Sigmoid { steepness } => {
                each(outputs, |score| 1.0 / (1.0 + libm::exp(-steepness * score)))
            }
            Self::Exp => each(outputs, libm::exp),
            Self::SignedSquare => each(outputs, |score| libm::copysign(score * score, score)),
            Self::LogOnePlusExp => each(outputs, |score| libm::log1p(libm::exp(score))),
            Self::Softmax => {
                let greatest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                each(outputs, |score| libm::exp(score - greatest));
                let mut sum = 0.0;
                for value in outputs.iter() {
                    sum += value;
                }
                each(outputs, |value| value / sum);
            }
        }
    }
}

fn each(outputs: &mut [f64], made: impl Fn(f64) -> f64) {
    for value in outputs {
        *value = made(*value);
    }
}
