//! The market: daily returns of five forces, by resampling real index history or by a stated process, and the prices of all
//! products made of them. Everything is fixed when the world is made; nothing customers do moves a price. It must never
//! depend on what is asked of it first.

use super::days::TradingDays;
use super::product::{FACTORS, Kind, Parameters, Product};
use crate::chance::{Purpose, stream_at};
use luopan_kernel::random::Random;

/// Mean length of a resampled block, trading days (Politis and Romano 1994).
const BLOCK: f64 = 10.0;
/// Fewest days of history that are resampled.
pub const HISTORY_MIN: usize = 250;
/// Trading days a year.
const YEAR: f64 = 244.0;
/// Drift of each force, a year. The mean of the history that was given is taken out: it promises nothing.
const DRIFT: [f64; FACTORS] = [0.04, 0.05, 0.028, 0.05, 0.03];
/// Correlation of large and growth shares in the parametric process.
const CORRELATION: f64 = 0.8;
/// GARCH(1,1) (Bollerslev 1986): weight of the last square and of the last variance.
const GARCH: (f64, f64) = (0.08, 0.90);
/// Crash episodes a year.
const CRASHES: f64 = 0.7;
/// Unit of a stored price: 1e-4 yuan, as prices are published.
pub const NAV_UNITS: i64 = 10_000;
/// Unit of the stored growth of money-market funds.
pub(crate) const GROWTH_UNITS: i64 = 100_000_000;

/// Daily log returns of two indexes on the same days: large shares and growth shares.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pairs: Vec<[f64; 2]>,
}

/// A history that cannot be resampled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHistory {
    /// Too short.
    #[error(
        "an index history of {0} days is too short to resample; give closes of at least {HISTORY_MIN} days and one"
    )]
    Short(usize),
    /// The series differ in length.
    #[error("one index has {0} closes and the other {1}; give both on the same days")]
    Lengths(usize, usize),
    /// A close is not a positive number, or a day moved by more than half.
    #[error("close number {0} is no positive number, or moved by more than a factor of 2 in a day")]
    Close(usize),
}

impl History {
    /// From closes of two indexes on the same days.
    ///
    /// # Errors
    /// [`BadHistory`].
    pub fn from_closes(large: &[f64], growth: &[f64]) -> Result<Self, BadHistory> {
        if large.len() != growth.len() {
            return Err(BadHistory::Lengths(large.len(), growth.len()));
        }
        if large.len() <= HISTORY_MIN {
            return Err(BadHistory::Short(large.len()));
        }
        let mut pairs = Vec::with_capacity(large.len() - 1);
        for i in 1..large.len() {
            let mut pair = [0.0; 2];
            for (r, series) in pair.iter_mut().zip([large, growth]) {
                let (before, now) = (series[i - 1], series[i]);
                let is_good = before.is_finite() && now.is_finite() && before > 0.0 && now > 0.0;
                if !is_good || !(0.5..=2.0).contains(&(now / before)) {
                    return Err(BadHistory::Close(i));
                }
                *r = libm::log(now / before);
            }
            pairs.push(pair);
        }
        let n = pairs.len() as f64;
        let mean: [f64; 2] = std::array::from_fn(|k| pairs.iter().map(|p| p[k]).sum::<f64>() / n);
        for pair in &mut pairs {
            for k in 0..2 {
                pair[k] -= mean[k];
            }
        }
        Ok(Self { pairs })
    }

    /// Days of it.
    pub fn days(&self) -> usize {
        self.pairs.len()
    }
}

/// Prices and forces over the trading days of the world.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    /// Place of the first of `days` in the calendar.
    first: usize,
    pub(crate) days: Vec<i64>,
    pub(crate) forces: Vec<[f64; FACTORS]>,
    /// Product by product: the published price in [`NAV_UNITS`], zero before the launch; of money-market funds the growth
    /// in [`GROWTH_UNITS`].
    levels: Vec<u32>,
    /// Return of the mean of both share indexes over the last 1, 5 and 20 trading days.
    lately: Vec<[f64; 3]>,
    /// Return over 20 trading days by kind.
    by_kind: Vec<[f32; Kind::ALL.len()]>,
    /// Days of a crash, for the truth alone.
    #[cfg_attr(not(feature = "truth"), allow(dead_code))]
    pub(crate) crashes: Vec<i64>,
}

impl Market {
    /// The market of the trading days `from..=to` of the calendar.
    pub(crate) fn new(
        seed: u64,
        calendar: &TradingDays,
        from: i64,
        to: i64,
        start: i64,
        history: Option<&History>,
    ) -> Self {
        let span = calendar.span();
        let first = calendar.place_from(from.max(span.0)).unwrap_or(0);
        let days: Vec<i64> = calendar.days()[first..]
            .iter()
            .copied()
            .take_while(|d| *d <= to)
            .collect();
        let (forces, crashes) = forces(seed, &days, start, history);
        let sum = |t: usize, n: usize, k: usize| -> f64 {
            forces[(t + 1).saturating_sub(n)..=t]
                .iter()
                .map(|f| f[k])
                .sum()
        };
        let lately = (0..days.len())
            .map(|t| [1, 5, 20].map(|n| 0.5 * (sum(t, n, 0) + sum(t, n, 1))))
            .collect();
        let by_kind = (0..days.len())
            .map(|t| {
                let r: [f64; FACTORS] = std::array::from_fn(|k| sum(t, 20, k));
                Kind::ALL.map(|kind| {
                    let betas = kind.betas();
                    (0..FACTORS).map(|k| betas[k] * r[k]).sum::<f64>() as f32
                })
            })
            .collect();
        Self {
            first,
            days,
            forces,
            levels: Vec::new(),
            lately,
            by_kind,
            crashes,
        }
    }

    /// Makes the prices of all products.
    pub(crate) fn price(&mut self, seed: u64, products: &[Product], parameters: &[Parameters]) {
        let count = self.days.len();
        self.levels = Vec::with_capacity(count * products.len());
        let rates = short_rates(seed, count);
        for (number, (product, p)) in products.iter().zip(parameters).enumerate() {
            let mut own = stream_at(seed, Purpose::Market, number as u64, 1);
            if product.is_cash() {
                let spread = 0.004 * own.normal();
                let mut growth = 1.0;
                for (t, rate) in rates.iter().enumerate() {
                    if t > 0 {
                        let days = (self.days[t] - self.days[t - 1]) as f64;
                        growth *= 1.0 + (rate + spread).max(0.002) / 365.0 * days;
                    }
                    self.levels.push((growth * GROWTH_UNITS as f64) as u32);
                }
                continue;
            }
            let (daily, drift) = (
                p.own_volatility / libm::sqrt(YEAR),
                (p.alpha - p.fee) / YEAR,
            );
            let mut nav = 0.0;
            for t in 0..count {
                if self.days[t] < product.launched {
                    self.levels.push(0);
                    continue;
                }
                if nav == 0.0 {
                    nav = p.first_nav;
                } else {
                    let mut r = drift + daily * own.normal();
                    for k in 0..FACTORS {
                        r += p.betas[k] * self.forces[t][k];
                    }
                    nav *= libm::exp(r.clamp(-0.3, 0.3));
                }
                // A price of zero is never published.
                nav = nav.clamp(0.01, 400_000.0);
                self.levels.push((nav * NAV_UNITS as f64 + 0.5) as u32);
            }
        }
    }

    /// The place among `days` of this trading day.
    pub(crate) fn place(&self, calendar: &TradingDays, day: i64) -> Option<usize> {
        let t = calendar.place_from(day)?.checked_sub(self.first)?;
        (self.days.get(t) == Some(&day)).then_some(t)
    }

    /// The last trading day before `day`, whose prices everybody has seen.
    pub(crate) fn seen(&self, calendar: &TradingDays, day: i64) -> usize {
        calendar
            .place_from(day)
            .unwrap_or(usize::MAX / 2)
            .saturating_sub(self.first + 1)
            .min(self.days.len().saturating_sub(1))
    }

    /// What is stored for a product on the `t`-th trading day.
    pub(crate) fn level(&self, product: usize, t: usize) -> i64 {
        i64::from(self.levels[product * self.days.len() + t])
    }

    pub(crate) fn set_level(&mut self, product: usize, t: usize, to: i64) {
        let count = self.days.len();
        self.levels[product * count + t] = to as u32;
    }

    /// Return of a product over the `n` trading days before the `t`-th inclusive.
    pub(crate) fn product_return(&self, product: usize, t: usize, n: usize) -> f64 {
        let (now, before) = (
            self.level(product, t),
            self.level(product, t.saturating_sub(n)),
        );
        if before == 0 {
            return 0.0;
        }
        now as f64 / before as f64 - 1.0
    }

    /// Return of the share indexes over 1, 5 and 20 trading days.
    pub(crate) fn lately(&self, t: usize) -> [f64; 3] {
        self.lately[t]
    }

    /// Return of a kind over 20 trading days.
    pub(crate) fn kind_return(&self, kind: Kind, t: usize) -> f64 {
        f64::from(self.by_kind[t][kind as usize])
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.levels.len() * 4 + self.days.len() * (8 + 40 + 24 + 68)
    }
}

/// Short rate, a year, by day (Vasicek 1977: a pull of 2 a year to 1.9 %, volatility 0.4 %).
fn short_rates(seed: u64, count: usize) -> Vec<f64> {
    let mut chance = stream_at(seed, Purpose::Market, u64::MAX, 2);
    let mut rate = 0.019;
    (0..count)
        .map(|_| {
            rate += 2.0 * (0.019 - rate) / YEAR + 0.004 / libm::sqrt(YEAR) * chance.normal();
            rate = rate.max(0.004);
            rate
        })
        .collect()
}

/// A force with a variance of its own that clusters.
struct Garch {
    /// Mean variance, a day.
    mean: f64,
    variance: f64,
}

impl Garch {
    fn new(yearly: f64) -> Self {
        let mean = yearly * yearly / YEAR;
        Self {
            mean,
            variance: mean,
        }
    }

    /// The return of today for a standard normal number.
    fn next(&mut self, z: f64) -> f64 {
        let r = libm::sqrt(self.variance) * z;
        let (a, b) = GARCH;
        self.variance = self.mean * (1.0 - a - b) + a * r * r + b * self.variance;
        r
    }
}

fn forces(
    seed: u64,
    days: &[i64],
    start: i64,
    history: Option<&History>,
) -> (Vec<[f64; FACTORS]>, Vec<i64>) {
    use super::product::FACTOR_VOLATILITY as YEARLY;
    let mut chance = stream_at(seed, Purpose::Market, u64::MAX, 1);
    let mut processes = YEARLY.map(Garch::new);
    let mut place = 0;
    let mut out: Vec<[f64; FACTORS]> = Vec::with_capacity(days.len());
    for t in 0..days.len() {
        let z: [f64; FACTORS] = std::array::from_fn(|_| chance.normal());
        let shares = match history {
            Some(history) => {
                // Stationary bootstrap: with chance 1/BLOCK a new block begins, else the next day follows, wrapping round.
                let is_new = chance.uniform() < 1.0 / BLOCK;
                let drawn = (chance.uniform() * history.pairs.len() as f64) as usize;
                place = if is_new || t == 0 {
                    drawn.min(history.pairs.len() - 1)
                } else {
                    (place + 1) % history.pairs.len()
                };
                history.pairs[place]
            }
            None => {
                let joined =
                    CORRELATION * z[0] + libm::sqrt(1.0 - CORRELATION * CORRELATION) * z[1];
                [processes[0].next(z[0]), processes[1].next(joined)]
            }
        };
        let abroad = processes[3].next(0.2 * z[0] + libm::sqrt(0.96) * z[3]);
        let mut forces = [
            shares[0],
            shares[1],
            processes[2].next(z[2]),
            abroad,
            processes[4].next(z[4]),
        ];
        for k in 0..FACTORS {
            forces[k] += DRIFT[k] / YEAR;
        }
        out.push(forces);
    }
    let crashes = crash(&mut chance, &mut out, days, start);
    (out, crashes)
}

/// Falls that no ordinary day explains: a jump in both share indexes (Merton 1976), a day of aftershock, and a month in
/// which everything moves more, by a factor that dies away. At least one episode in a world of 120 trading days.
fn crash(chance: &mut Random, forces: &mut [[f64; FACTORS]], days: &[i64], start: i64) -> Vec<i64> {
    let first = days.partition_point(|d| *d < start);
    let live = days.len() - first;
    let wanted = CRASHES * live as f64 / YEAR;
    let mut count = wanted as usize + usize::from(chance.uniform() < wanted - libm::floor(wanted));
    if live >= 120 {
        count = count.max(1);
    }
    let mut out = Vec::new();
    for _ in 0..count {
        let at = first + (0.15 * live as f64 + 0.8 * live as f64 * chance.uniform()) as usize;
        let jump = -(0.055 + 0.03 * chance.uniform());
        let after = -(0.01 + 0.02 * chance.uniform());
        for k in 1..30 {
            let Some(day) = forces.get_mut(at + k) else {
                break;
            };
            let louder = 1.0 + 1.2 * libm::exp(-(k as f64) / 8.0);
            for r in day.iter_mut() {
                *r *= louder;
            }
        }
        for (t, size) in [(at, jump), (at + 1, after)] {
            if let Some(day) = forces.get_mut(t) {
                day[0] += size;
                day[1] += 1.15 * size;
                day[2] += 0.02 * -size;
                day[3] += 0.4 * size;
            }
        }
        if let Some(day) = days.get(at) {
            out.push(*day);
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}
