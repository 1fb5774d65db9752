//! Gamma-Gamma (Fader and Hardie 2013, note 025): its likelihood (equation 1a), fit and predictions.

use super::gamma::{digamma, trigamma};
use super::newton::{At, best, by_logarithms};
use super::{BgNbd, CUSTOMERS_MIN, Error, History, Period, Settings, interval, spends, within};

/// The model's parameters, above zero and finite. Amounts of a customer are gamma distributed with shape `p` and a rate of her own; rates
/// are gamma distributed with shape `q` and rate `v`, an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GammaGamma {
    /// Shape of amounts.
    pub p: f64,
    /// Shape of the rates.
    pub q: f64,
    /// Rate of the rates.
    pub v: f64,
}

const NAMES: [&str; 3] = ["p", "q", "v"];

impl GammaGamma {
    /// From parameters kept somewhere.
    ///
    /// # Errors
    /// A parameter that is not above zero or not finite.
    pub fn new(p: f64, q: f64, v: f64) -> Result<Self, Error> {
        let range = f64::MIN_POSITIVE..f64::INFINITY;
        for (name, found) in NAMES.into_iter().zip([p, q, v]) {
            within(name, found, range.clone(), "a finite number above zero")?;
        }
        Ok(Self { p, q, v })
    }

    /// Mean amount of a purchase over all customers; infinite where q is 1 or less.
    pub fn expected_spend_of_new(&self) -> f64 {
        if self.q <= 1.0 {
            return f64::INFINITY;
        }
        self.v * self.p / (self.q - 1.0)
    }

    /// Mean amount of a purchase of a customer who spent `spend` on average at `frequency` purchases (equation 5): between her own mean and
    /// that of all. With frequency 0 it is that of all.
    ///
    /// # Errors
    /// A spend that is not above zero with a frequency above it; q of 1 or less, where means do not exist.
    pub fn expected_spend(&self, frequency: u32, spend: f64) -> Result<f64, Error> {
        if self.q <= 1.0 {
            return Err(Error::NoMean { q: self.q });
        }
        if frequency == 0 {
            return Ok(self.expected_spend_of_new());
        }
        let range = f64::MIN_POSITIVE..f64::INFINITY;
        within("spend", spend, range, "a mean amount above zero")?;
        Ok(self.given(frequency, spend))
    }

    fn given(&self, frequency: u32, spend: f64) -> f64 {
        let x = f64::from(frequency);
        if frequency == 0 || self.q <= 1.0 {
            return self.expected_spend_of_new();
        }
        let bought = self.p * x;
        (self.v * self.p + bought * spend) / (bought + self.q - 1.0)
    }

    /// What a customer's purchases of the coming periods are worth today: discounted purchases times mean amount.
    ///
    /// # Errors
    /// As [`BgNbd::discounted_purchases`] and [`GammaGamma::expected_spend`].
    pub fn lifetime_value(
        &self,
        purchases: &BgNbd,
        periods: &Period,
        of: &History,
        spend: f64,
    ) -> Result<f64, Error> {
        let each = self.expected_spend(of.frequency(), spend)?;
        Ok(purchases.discounted_purchases(periods, of)? * each)
    }

    fn of(theta: &[f64; 3]) -> Self {
        let [p, q, v] = *theta;
        Self { p, q, v }
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct GammaGammaFit {
    /// The parameters.
    pub model: GammaGamma,
    /// Their standard errors by the observed information, in the order p, q, v.
    pub standard_errors: [f64; 3],
    /// Covariance of the parameters' logarithms.
    pub covariance: [[f64; 3]; 3],
    /// Summed over customers with repeat purchases, without a penalty.
    pub log_likelihood: f64,
    /// How many there are.
    pub customers: usize,
    /// Of frequency and spend, which the model takes for independent.
    pub correlation: Correlation,
    /// Steps made.
    pub steps: usize,
}

impl GammaGammaFit {
    /// Models drawn around the fitted one, for [`super::interval`].
    ///
    /// # Errors
    /// No draws or more than [`super::DRAWS_MAX`].
    pub fn draws(&self, draws: usize, seed: u64) -> Result<Vec<GammaGamma>, Error> {
        let m = &self.model;
        let drawn = interval::draw(&[m.p, m.q, m.v], &self.covariance, draws, seed)?;
        Ok(drawn.iter().map(GammaGamma::of).collect())
    }
}

/// Pearson's correlation with the interval of Fisher's transformation at 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    /// The estimate; 0 where one of the two does not vary.
    pub estimate: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

impl Correlation {
    /// True where even the bound nearer to zero is 0.1 or more away from it: the mean spend of who buys often is then told wrong.
    pub fn matters(&self) -> bool {
        self.lower >= 0.1 || self.upper <= -0.1
    }
}

/// The correlation of frequency and mean spend over customers with repeat purchases.
///
/// # Errors
/// As [`spends`].
pub fn correlation(histories: &[History], spend: &[f64]) -> Result<Correlation, Error> {
    spends(histories, spend)?;
    Ok(correlated(&repeating(histories, spend)))
}

/// Frequency and spend of customers with repeat purchases, in one order.
fn repeating(histories: &[History], spend: &[f64]) -> Vec<(f64, f64)> {
    let mut rows: Vec<(f64, f64)> = (histories.iter().zip(spend))
        .filter(|(history, _)| history.frequency() > 0)
        .map(|(history, spend)| (f64::from(history.frequency()), *spend))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    rows
}

fn correlated(rows: &[(f64, f64)]) -> Correlation {
    let n = rows.len() as f64;
    let most = rows
        .iter()
        .map(|row| row.1)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mean = rows.iter().fold((0.0, 0.0), |sum, row| {
        (sum.0 + row.0 / n, sum.1 + row.1 / most / n)
    });
    let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
    for (x, m) in rows {
        let (x, m) = (x - mean.0, m / most - mean.1);
        (both, first, second) = (both + x * m, first + x * x, second + m * m);
    }
    let estimate = if first > 0.0 && second > 0.0 {
        (both / libm::sqrt(first * second)).clamp(-1.0, 1.0)
    } else {
        0.0
    };
    let (middle, half) = (
        libm::atanh(estimate),
        1.959_963_984_540_054 / libm::sqrt((n - 3.0).max(1e-9)),
    );
    Correlation {
        estimate,
        lower: libm::tanh(middle - half),
        upper: libm::tanh(middle + half),
    }
}

/// Fits the model by maximum likelihood over customers with repeat purchases, by their frequencies and mean amounts of repeat purchases
/// `spend`. Rows in another order give the same bits.
///
/// # Errors
/// As [`spends`]; fewer than [`CUSTOMERS_MIN`] customers with repeat purchases, a likelihood without a maximum.
pub fn fit_gamma_gamma(
    histories: &[History],
    spend: &[f64],
    settings: &Settings,
) -> Result<GammaGammaFit, Error> {
    settings.check()?;
    spends(histories, spend)?;
    let rows = repeating(histories, spend);
    if rows.len() < CUSTOMERS_MIN {
        return Err(Error::TooFew {
            found: rows.len(),
            with: " with repeat purchases",
            wanted: CUSTOMERS_MIN,
        });
    }
    let n = rows.len() as f64;
    // The mean amount is 1 inside, so that money of any currency converges alike; the penalty is of v as it is.
    let scale = rows.iter().map(|row| row.1 / n).sum::<f64>();
    let scaled: Vec<(f64, f64)> = rows.iter().map(|(x, m)| (*x, m / scale)).collect();
    let of = |log: &[f64; 3]| loss(log, &scaled, [1.0, 1.0, scale], settings.penalizer);
    let starts = [[1.0, 1.0, 0.0], [0.1, 0.1, 0.1 - libm::log(scale)]];
    let found = best(&starts, &NAMES, n, of)?;
    let mut theta = found.at.map(libm::exp);
    theta[2] *= scale;
    Ok(GammaGammaFit {
        model: GammaGamma::of(&theta),
        standard_errors: std::array::from_fn(|at| theta[at] * libm::sqrt(found.covariance[at][at])),
        covariance: found.covariance,
        log_likelihood: rows
            .iter()
            .map(|(x, m)| log_likelihood(&theta, *x, *m))
            .sum(),
        customers: rows.len(),
        correlation: correlated(&rows),
        steps: found.steps,
    })
}

fn log_likelihood(theta: &[f64; 3], x: f64, m: f64) -> f64 {
    let [p, q, v] = *theta;
    let bought = p * x;
    let spent = x * m;
    libm::lgamma(bought + q)
        - libm::lgamma(bought)
        - libm::lgamma(q)
        - bought * libm::log1p(v / spent)
        - q * libm::log1p(spent / v)
        - libm::log(m)
}

/// The mean negative log likelihood by logarithms of the parameters, with the penalty of `units` times the parameters.
fn loss(log: &[f64; 3], rows: &[(f64, f64)], units: [f64; 3], penalizer: f64) -> At<3> {
    let theta = log.map(libm::exp);
    let [p, q, v] = theta;
    let (digamma_q, trigamma_q) = (digamma(q), trigamma(q));
    let (mut value, mut slope, mut curvature) = (0.0, [0.0; 3], [[0.0; 3]; 3]);
    for (x, m) in rows {
        let (bought, spent) = (p * x, x * m);
        let all = spent + v;
        value -= log_likelihood(&theta, *x, *m);
        let (first, second) = (digamma(bought + q), trigamma(bought + q));
        slope[0] -= x * (first - digamma(bought) - libm::log1p(v / spent));
        slope[1] -= first - digamma_q - libm::log1p(spent / v);
        slope[2] -= q / v - (bought + q) / all;
        curvature[0][0] -= x * x * (second - trigamma(bought));
        curvature[1][0] -= x * second;
        curvature[1][1] -= second - trigamma_q;
        curvature[2][0] += x / all;
        curvature[2][1] -= 1.0 / v - 1.0 / all;
        curvature[2][2] -= (bought + q) / (all * all) - q / (v * v);
    }
    let sum = At {
        value,
        slope,
        curvature,
    };
    by_logarithms(&theta, &sum, rows.len() as f64, penalizer, &units)
}
