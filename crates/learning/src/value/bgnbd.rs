//! BG/NBD (Fader, Hardie and Lee 2005): its likelihood (section 7 of the paper), fit and predictions.

use super::expected::purchases;
use super::newton::{At, best, by_logarithms};
use super::{CUSTOMERS_MIN, Error, History, PERIODS_MAX, Period, Settings, interval, within};
use crate::columns;

/// The model's parameters, above zero and finite. Rates of purchases are gamma distributed with shape `r` and rate `alpha` (a time, in the
/// unit of the histories); probabilities to leave after a purchase are beta distributed with `a` and `b`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BgNbd {
    /// Shape of the rates.
    pub r: f64,
    /// Rate of the rates.
    pub alpha: f64,
    /// First of the probabilities to leave.
    pub a: f64,
    /// Second of the probabilities to leave.
    pub b: f64,
}

/// Names of the parameters, in their order.
const NAMES: [&str; 4] = ["r", "alpha", "a", "b"];

impl BgNbd {
    /// From parameters kept somewhere.
    ///
    /// # Errors
    /// A parameter that is not above zero or not finite.
    pub fn new(r: f64, alpha: f64, a: f64, b: f64) -> Result<Self, Error> {
        let range = f64::MIN_POSITIVE..f64::INFINITY;
        for (name, found) in NAMES.into_iter().zip([r, alpha, a, b]) {
            within(name, found, range.clone(), "a finite number above zero")?;
        }
        Ok(Self { r, alpha, a, b })
    }

    /// The probability that she has not left yet; 1 without repeat purchases, as one leaves after a purchase alone.
    pub fn probability_alive(&self, of: &History) -> f64 {
        let x = f64::from(of.frequency());
        if of.frequency() == 0 {
            return 1.0;
        }
        let longer = libm::log1p((of.age() - of.recency()) / (self.alpha + of.recency()));
        let odds = libm::log(self.a / (self.b + x - 1.0)) + (self.r + x) * longer;
        if odds > 0.0 {
            let e = libm::exp(-odds);
            e / (1.0 + e)
        } else {
            1.0 / (1.0 + libm::exp(odds))
        }
    }

    /// Mean purchases in the next `t` of a customer with a history (equation 10).
    ///
    /// # Errors
    /// A time below zero or not finite.
    pub fn expected_purchases(&self, t: f64, of: &History) -> Result<f64, Error> {
        time(t)?;
        Ok(self.given(t, of))
    }

    /// Alive, she is a customer of a population that her history made (the posterior is of the same family).
    fn given(&self, t: f64, of: &History) -> f64 {
        let x = f64::from(of.frequency());
        let next = purchases(t, self.r + x, self.alpha + of.age(), self.a, self.b + x);
        self.probability_alive(of) * next
    }

    /// Mean repeat purchases of a customer in `t` after her first (equation 9).
    ///
    /// # Errors
    /// A time below zero or not finite.
    pub fn expected_purchases_of_new(&self, t: f64) -> Result<f64, Error> {
        time(t)?;
        Ok(purchases(t, self.r, self.alpha, self.a, self.b))
    }

    /// Mean purchases in the coming `periods.count` periods, each counted as what `1 / (1 + rate)^k` of it is worth, k from 1: discounted
    /// at the end of its period, as in Lifetimes.
    ///
    /// # Errors
    /// Periods out of their range.
    pub fn discounted_purchases(&self, periods: &Period, of: &History) -> Result<f64, Error> {
        periods.check()?;
        let (mut before, mut sum, mut factor) = (0.0, 0.0, 1.0);
        for k in 1..=periods.count {
            factor /= 1.0 + periods.discount_rate;
            let until = self.given(periods.length * k as f64, of);
            sum += (until - before) * factor;
            before = until;
        }
        Ok(sum)
    }

    /// Log likelihood of a history.
    pub fn log_likelihood(&self, of: &History) -> f64 {
        let theta = [self.r, self.alpha, self.a, self.b];
        let mut table = Table::new(&theta);
        table.reach(of.frequency());
        table.value(&theta, of).0
    }

    fn of(theta: &[f64; 4]) -> Self {
        let [r, alpha, a, b] = *theta;
        Self { r, alpha, a, b }
    }
}

fn time(t: f64) -> Result<(), Error> {
    within(
        "time",
        t,
        0.0..f64::INFINITY,
        "zero or a finite number above it, in the unit of the histories",
    )
}

impl Period {
    fn check(&self) -> Result<(), Error> {
        time(self.length)?;
        let wanted = "a share above -1, such as 0.01 a period";
        within(
            "discount rate",
            self.discount_rate,
            -0.999_999..f64::INFINITY,
            wanted,
        )?;
        let most = PERIODS_MAX as f64 + 0.5;
        within(
            "number of periods",
            self.count as f64,
            0.5..most,
            "1 to 10,000",
        )
    }
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct BgNbdFit {
    /// The parameters.
    pub model: BgNbd,
    /// Their standard errors by the observed information, in the order r, alpha, a, b.
    pub standard_errors: [f64; 4],
    /// Covariance of the parameters' logarithms.
    pub covariance: [[f64; 4]; 4],
    /// Summed over customers by their weights, without a penalty.
    pub log_likelihood: f64,
    /// Customers, by their weights.
    pub customers: f64,
    /// Steps made.
    pub steps: usize,
}

impl BgNbdFit {
    /// Models drawn around the fitted one, for [`super::interval`].
    ///
    /// # Errors
    /// No draws or more than [`super::DRAWS_MAX`].
    pub fn draws(&self, draws: usize, seed: u64) -> Result<Vec<BgNbd>, Error> {
        let m = &self.model;
        let drawn = interval::draw(&[m.r, m.alpha, m.a, m.b], &self.covariance, draws, seed)?;
        Ok(drawn.iter().map(BgNbd::of).collect())
    }
}

/// Fits the model by maximum likelihood. `weights` say how many customers have a history, 1 each where there are none. Rows in another order
/// give the same bits.
///
/// # Errors
/// Fewer than [`CUSTOMERS_MIN`] customers, none with a repeat purchase, weights or settings that cannot be used, a likelihood without a
/// maximum.
pub fn fit_bg_nbd(
    histories: &[History],
    weights: Option<&[f64]>,
    settings: &Settings,
) -> Result<BgNbdFit, Error> {
    settings.check()?;
    let rows = gathered(histories, weights)?;
    let total: f64 = rows.iter().map(|(_, weight)| weight).sum();
    if total < CUSTOMERS_MIN as f64 {
        return Err(Error::TooFew {
            found: total as usize,
            with: "",
            wanted: CUSTOMERS_MIN,
        });
    }
    if rows.iter().all(|(history, _)| history.frequency == 0) {
        return Err(Error::NoRepeats);
    }
    // Times so that the oldest customer is of age 1.
    let oldest = rows.iter().map(|(of, _)| of.age).fold(0.0, f64::max);
    let scale = 1.0 / oldest;
    let scaled: Vec<(History, f64)> = rows
        .iter()
        .map(|(of, weight)| {
            let (age, recency) = (of.age * scale, of.recency * scale);
            let frequency = of.frequency;
            let scaled = History {
                frequency,
                recency,
                age,
            };
            (scaled, *weight)
        })
        .collect();
    let of = |log: &[f64; 4]| loss(log, &scaled, total, settings.penalizer);
    // From where customers buy as often as they did while seen, and from where Lifetimes starts; the better end is taken.
    let bought: f64 = rows.iter().map(|(of, w)| w * f64::from(of.frequency)).sum();
    let seen: f64 = scaled.iter().map(|(of, w)| w * of.age).sum();
    let starts = [[0.0, libm::log(seen / bought), 0.0, 1.0], [0.1; 4]];
    let found = best(&starts, &NAMES, total, of)?;
    let mut theta = found.at.map(libm::exp);
    theta[1] /= scale;
    let model = BgNbd::of(&theta);
    Ok(BgNbdFit {
        model,
        standard_errors: std::array::from_fn(|at| theta[at] * libm::sqrt(found.covariance[at][at])),
        covariance: found.covariance,
        log_likelihood: sum(&theta, &rows),
        customers: total,
        steps: found.steps,
    })
}

/// Distinct histories with their weights, in one order whatever that of the rows was.
fn gathered(histories: &[History], weights: Option<&[f64]>) -> Result<Vec<(History, f64)>, Error> {
    if let Some(weights) = weights {
        let column = || "weight".to_owned();
        if weights.len() != histories.len() {
            return Err(columns::Error::Length {
                column: column(),
                found: weights.len(),
                wanted: histories.len(),
            }
            .into());
        }
        if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            return Err(columns::Error::Value {
                column: column(),
                row,
                found: weights[row],
                wanted: "how many customers have this history: zero or a finite number above it",
            }
            .into());
        }
    }
    let weight = |row: usize| weights.map_or(1.0, |of| of[row]);
    let mut rows: Vec<(History, f64)> = (histories.iter().enumerate())
        .map(|(row, history)| (*history, weight(row)))
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    rows.sort_by(|(a, weight_a), (b, weight_b)| {
        (a.frequency.cmp(&b.frequency))
            .then(a.recency.total_cmp(&b.recency))
            .then(a.age.total_cmp(&b.age))
            .then(weight_a.total_cmp(weight_b))
    });
    rows.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    Ok(rows)
}

/// Sums over the purchases of a customer, as far as the most frequent so far; frequencies must not fall.
struct Table {
    theta: [f64; 4],
    reached: u32,
    /// Of logarithms: ln gamma(r + x) - ln gamma(r) of r, and so of b and a + b.
    logs: [f64; 3],
    /// Of inverses.
    ones: [f64; 3],
    /// Of squared inverses.
    twos: [f64; 3],
}

impl Table {
    fn new(theta: &[f64; 4]) -> Self {
        Self {
            theta: *theta,
            reached: 0,
            logs: [0.0; 3],
            ones: [0.0; 3],
            twos: [0.0; 3],
        }
    }

    fn reach(&mut self, frequency: u32) {
        let [r, _, a, b] = self.theta;
        while self.reached < frequency {
            let i = f64::from(self.reached);
            for (at, start) in [r, b, a + b].into_iter().enumerate() {
                let inverse = 1.0 / (start + i);
                self.logs[at] += libm::log(start + i);
                self.ones[at] += inverse;
                self.twos[at] += inverse * inverse;
            }
            self.reached += 1;
        }
    }

    /// Log likelihood of a history of the frequency reached; and of the two ways to it, that she left or not, the share of the first.
    fn value(&self, theta: &[f64; 4], of: &History) -> (f64, f64) {
        let [r, alpha, a, b] = *theta;
        let x = f64::from(of.frequency);
        let first = self.logs[0] + r * libm::log(alpha) + self.logs[1] - self.logs[2];
        let alive = -(r + x) * libm::log(alpha + of.age);
        if of.frequency == 0 {
            return (first + alive, 0.0);
        }
        let left = libm::log(a / (b + x - 1.0)) - (r + x) * libm::log(alpha + of.recency);
        let (most, least) = (alive.max(left), alive.min(left));
        let both = most + libm::log1p(libm::exp(least - most));
        (first + both, libm::exp(left - both))
    }
}

fn sum(theta: &[f64; 4], rows: &[(History, f64)]) -> f64 {
    let mut table = Table::new(theta);
    let mut sum = 0.0;
    for (of, weight) in rows {
        table.reach(of.frequency);
        sum += weight * table.value(theta, of).0;
    }
    sum
}

/// The mean negative log likelihood with its penalty, by logarithms of the parameters; rows ascend by frequency.
fn loss(log: &[f64; 4], rows: &[(History, f64)], total: f64, penalizer: f64) -> At<4> {
    let theta = log.map(libm::exp);
    let [r, alpha, a, b] = theta;
    let mut table = Table::new(&theta);
    let (mut value, mut slope, mut curvature) = (0.0, [0.0; 4], [[0.0; 4]; 4]);
    for (of, weight) in rows {
        table.reach(of.frequency);
        let x = f64::from(of.frequency);
        let (found, left) = table.value(&theta, of);
        value -= weight * found;
        // What both ways have.
        let mut g = [
            table.ones[0] + libm::log(alpha),
            r / alpha,
            -table.ones[2],
            table.ones[1] - table.ones[2],
        ];
        let mut h = [[0.0; 4]; 4];
        h[0][0] = -table.twos[0];
        h[1][0] = 1.0 / alpha;
        h[1][1] = -r / (alpha * alpha);
        h[2][2] = table.twos[2];
        h[3][2] = table.twos[2];
        h[3][3] = table.twos[2] - table.twos[1];
        // Alive, then left.
        let until = |at: f64| {
            let far = alpha + at;
            (
                [-libm::log(far), -(r + x) / far],
                -1.0 / far,
                (r + x) / (far * far),
            )
        };
        let stays = 1.0 - left;
        let (alive, mixed, bent) = until(of.age);
        let alive = [alive[0], alive[1], 0.0, 0.0];
        h[1][0] += stays * mixed;
        h[1][1] += stays * bent;
        (0..2).for_each(|at| g[at] += stays * alive[at]);
        if of.frequency > 0 {
            let (gone, mixed, bent) = until(of.recency);
            let last = b + x - 1.0;
            let gone = [gone[0], gone[1], 1.0 / a, -1.0 / last];
            h[1][0] += left * mixed;
            h[1][1] += left * bent;
            h[2][2] -= left / (a * a);
            h[3][3] += left / (last * last);
            for row in 0..4 {
                g[row] += left * gone[row];
                for column in 0..=row {
                    let apart = (gone[row] - alive[row]) * (gone[column] - alive[column]);
                    h[row][column] += left * stays * apart;
                }
            }
        }
        for row in 0..4 {
            slope[row] -= weight * g[row];
            for column in 0..=row {
                curvature[row][column] -= weight * h[row][column];
            }
        }
    }
    let sum = At {
        value,
        slope,
        curvature,
    };
    by_logarithms(&theta, &sum, total, penalizer, &[1.0; 4])
}
