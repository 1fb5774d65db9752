//! Who answers and when, from features, by the model of Chapelle (2014): an answer comes with chance `p = s(w . x)`, after a time
//! that is exponential with rate `exp(v . x)`. Fitted by expectation and maximisation: what is open is an answer still to come with
//! chance `q = p e / (1 - p + p e)`, `e = exp(-rate * age)`; given those, `w` is a logistic and `v` an exponential regression, each
//! taken one Newton step further.

use super::{Error, FEATURES_MAX, Wait, check};
use luopan_kernel::learn::algebra::{dot8, factor_semidefinite};
use luopan_kernel::learn::sigmoid;

/// Linear scores of rates are held within this of zero.
const LOG_RATE_MAX: f64 = 30.0;

/// How a fit is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Penalty on half the squares of all weights, above zero, in units of rows.
    pub penalty: f64,
    /// Most iterations, 1 to 100,000.
    pub iterations: usize,
    /// A fit is finished when no weight moves by more, above zero.
    pub tolerance: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            penalty: 1.0,
            iterations: 2_000,
            tolerance: 1e-6,
        }
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// Weights of the log-odds that an answer ever comes, one a feature.
    pub answers: Vec<f64>,
    /// Weights of the logarithm of the rate at which answers come, one a feature.
    pub rates: Vec<f64>,
    /// Iterations taken.
    pub iterations: usize,
    /// Penalised log-likelihood.
    pub log_likelihood: f64,
}

impl Conversion {
    /// Of `waits` and the features of each, row by row in `x`, of which the caller puts a constant one first if he wants it.
    ///
    /// # Errors
    /// Ragged or unusable values, a setting out of its range, no answer at all, iterations that ran out.
    pub fn fit(waits: &[Wait], x: &[f64], settings: &Settings) -> Result<Self, Error> {
        check(waits)?;
        let n = waits.len();
        let d = x.len() / n.max(1);
        if d == 0 || d > FEATURES_MAX || d * n != x.len() {
            return Err(Error::Length {
                what: "the features of all rows",
                found: x.len(),
                wanted: d.clamp(1, FEATURES_MAX) * n,
            });
        }
        if let Some(at) = x.iter().position(|v| !v.is_finite()) {
            return Err(Error::Value {
                what: "a feature",
                row: at / d,
                found: x[at],
                wanted: "a finite number",
            });
        }
        for (what, found, is_right, wanted) in [
            (
                "the penalty",
                settings.penalty,
                settings.penalty > 0.0 && settings.penalty.is_finite(),
                "a number above zero",
            ),
            (
                "the tolerance",
                settings.tolerance,
                settings.tolerance > 0.0,
                "a number above zero",
            ),
            (
                "the number of iterations",
                settings.iterations as f64,
                (1..=100_000).contains(&settings.iterations),
                "1 to 100000",
            ),
        ] {
            if !is_right {
                return Err(Error::Setting {
                    what,
                    found,
                    wanted,
                });
            }
        }
        let data = Data {
            waits,
            x,
            d,
            penalty: settings.penalty,
        };
        let mut out = Self {
            answers: vec![0.0; d],
            rates: vec![0.0; d],
            iterations: 0,
            log_likelihood: 0.0,
        };
        out.log_likelihood = data.log_likelihood(&out.answers, &out.rates);
        let mut moved = f64::INFINITY;
        while moved > settings.tolerance {
            if out.iterations == settings.iterations {
                return Err(Error::Unfinished {
                    iterations: out.iterations,
                    moved,
                });
            }
            out.iterations += 1;
            moved = data.improve(&mut out);
        }
        Ok(out)
    }

    /// The chance that an answer ever comes.
    pub fn chance(&self, x: &[f64]) -> f64 {
        sigmoid(dot8(&self.answers, x))
    }

    /// Answers a unit of time, of those that come.
    pub fn rate(&self, x: &[f64]) -> f64 {
        rate(dot8(&self.rates, x))
    }

    /// The chance that an answer that is open at `age` still comes.
    pub fn still(&self, x: &[f64], age: f64) -> f64 {
        still(self.chance(x), self.rate(x), age)
    }
}

fn rate(log: f64) -> f64 {
    libm::exp(log.clamp(-LOG_RATE_MAX, LOG_RATE_MAX))
}

fn still(chance: f64, rate: f64, age: f64) -> f64 {
    let later = chance * libm::exp(-rate * age);
    later / (1.0 - chance + later).max(f64::MIN_POSITIVE)
}

struct Data<'a> {
    waits: &'a [Wait],
    x: &'a [f64],
    d: usize,
    penalty: f64,
}

/// Gradient and negative Hessian of a penalised sum over rows, where a row's is `slope * x` and `curve * x x'`.
struct Sum {
    gradient: Vec<f64>,
    curve: Vec<f64>,
}

impl Sum {
    fn new(weights: &[f64], penalty: f64) -> Self {
        let d = weights.len();
        let mut curve = vec![0.0; d * d];
        for i in 0..d {
            curve[i * d + i] = penalty;
        }
        Self {
            gradient: weights.iter().map(|w| -penalty * w).collect(),
            curve,
        }
    }

    fn add(&mut self, x: &[f64], slope: f64, curve: f64) {
        let d = x.len();
        for (i, a) in x.iter().enumerate() {
            self.gradient[i] += slope * a;
            let ca = curve * a;
            for (sum, b) in self.curve[i * d..=i * d + i].iter_mut().zip(x) {
                *sum += ca * b;
            }
        }
    }

    /// The Newton step.
    fn step(mut self) -> Vec<f64> {
        let d = self.gradient.len();
        for i in 0..d {
            for j in 0..i {
                self.curve[j * d + i] = self.curve[i * d + j];
            }
        }
        let l = factor_semidefinite(&self.curve, d, 0.0);
        let mut step = self.gradient;
        for i in 0..d {
            let known = dot8(&l[i * d..i * d + i], &step[..i]);
            step[i] = (step[i] - known) / l[i * d + i];
        }
        for i in (0..d).rev() {
            let known: f64 = (i + 1..d).map(|j| l[j * d + i] * step[j]).sum();
            step[i] = (step[i] - known) / l[i * d + i];
        }
        step
    }
}

impl Data<'_> {
    fn rows(&self) -> impl Iterator<Item = (Wait, &[f64])> {
        self.waits.iter().copied().zip(self.x.chunks_exact(self.d))
    }

    fn log_likelihood(&self, answers: &[f64], rates: &[f64]) -> f64 {
        let squares = dot8(answers, answers) + dot8(rates, rates);
        let rows: f64 = self
            .rows()
            .map(|(wait, x)| {
                let (score, log_rate) = (dot8(answers, x), dot8(rates, x));
                let rate = rate(log_rate);
                match wait {
                    // The logarithm of the logistic function, stable at both ends.
                    Wait::Came(t) => {
                        let log_chance = score.min(0.0) - libm::log1p(libm::exp(-score.abs()));
                        log_chance + log_rate.clamp(-LOG_RATE_MAX, LOG_RATE_MAX) - rate * t
                    }
                    Wait::Open(age) => {
                        let p = sigmoid(score);
                        let open = sigmoid(-score) + p * libm::exp(-rate * age);
                        libm::log(open.max(f64::MIN_POSITIVE))
                    }
                }
            })
            .sum();
        rows - self.penalty / 2.0 * squares
    }

    /// One iteration that never lessens the likelihood; the largest change of a weight.
    fn improve(&self, at: &mut Conversion) -> f64 {
        let mut of_answers = Sum::new(&at.answers, self.penalty);
        let mut of_rates = Sum::new(&at.rates, self.penalty);
        for (wait, x) in self.rows() {
            let (p, rate) = (at.chance(x), at.rate(x));
            let (answer, came, time) = match wait {
                Wait::Came(t) => (1.0, 1.0, t),
                Wait::Open(age) => {
                    let q = still(p, rate, age);
                    (q, 0.0, q * age)
                }
            };
            of_answers.add(x, answer - p, p * (1.0 - p));
            of_rates.add(x, came - rate * time, rate * time);
        }
        let steps = (of_answers.step(), of_rates.step());
        let mut share = 1.0;
        // Both parts' steps climb; one that climbs too far is halved.
        for _ in 0..40 {
            let moved = |weights: &[f64], step: &[f64]| -> Vec<f64> {
                weights
                    .iter()
                    .zip(step)
                    .map(|(w, s)| w + share * s)
                    .collect()
            };
            let answers = moved(&at.answers, &steps.0);
            let rates = moved(&at.rates, &steps.1);
            let found = self.log_likelihood(&answers, &rates);
            if found >= at.log_likelihood {
                let largest = (steps.0.iter().chain(&steps.1))
                    .map(|s| (share * s).abs())
                    .fold(0.0, f64::max);
                at.answers = answers;
                at.rates = rates;
                at.log_likelihood = found;
                return largest;
            }
            share /= 2.0;
        }
        // No step climbs by what can be told: this is the top.
        0.0
    }
}
