//! The prices of some customers' relaxed problem, by column generation: prices tell every customer's choice, choices are a column of the
//! master programme, and its duals are the next prices, smoothed towards the best ones so far. What is best so far bounds the optimum
//! from above, the mixture of columns from below. This room must never know which customers were settled before.

use super::lines::Lines;
use super::master::{Column, Master, dot};
use super::rows::Rows;

/// How far towards the best prices so far the next ones are moved.
const SMOOTHING: f64 = 0.5;
const QUERIES_MAX: usize = 2_000;
/// Columns that bring bound and optimum no nearer, after which what is between them is rounding.
const STILL_MOST: usize = 100;
/// Excesses below this share of a limit are none.
const EXCESS_MAX: f64 = 1e-10;

/// What sums are measured by.
#[derive(Debug, Clone)]
pub(super) struct Scales {
    pub(super) value: f64,
    pub(super) limits: Vec<f64>,
    /// What could be taken of each limit, or the limit where that is more.
    pub(super) reach: Vec<f64>,
}

/// Some customers' problem, besides what the settled ones take.
#[derive(Debug)]
pub(super) struct Restricted<'a> {
    pub(super) lines: &'a Lines<'a>,
    pub(super) rows: &'a Rows<'a>,
    pub(super) limits: Vec<f64>,
    pub(super) scales: &'a Scales,
    /// What the settled ones are worth, for the tolerance.
    pub(super) settled: f64,
    /// Share of the value by which bounds from above and below may differ.
    pub(super) tolerance: f64,
}

/// What was asked of the customers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) valued: bool,
    pub(super) prices: Vec<f64>,
}

/// The optimum, as far as it was found.
#[derive(Debug)]
pub(super) struct Solved {
    pub(super) prices: Vec<f64>,
    /// What the mixture is worth, without the settled ones.
    pub(super) relaxed: f64,
    /// What was asked, with its share in the mixture; none where nobody gets anything.
    pub(super) mixture: Vec<(Option<Asked>, f64)>,
}

/// That nothing keeps the limits.
#[derive(Debug)]
pub(super) struct Misfit {
    /// A price a limit: those that are not zero conflict.
    pub(super) prices: Vec<f64>,
    /// What the mixture that exceeds least takes.
    pub(super) usage: Vec<f64>,
}

impl Restricted<'_> {
    /// Prices as the customers see them.
    fn asked(&self, valued: bool, scaled: &[f64]) -> Asked {
        let value = if valued { self.scales.value } else { 1.0 };
        let prices = scaled.iter().zip(&self.scales.limits);
        Asked {
            valued,
            prices: prices.map(|(price, scale)| price * value / scale).collect(),
        }
    }

    fn column(&self, asked: &Asked) -> (Column, f64) {
        let at = self.lines.coefficients(asked.valued, &asked.prices);
        let sums = self.rows.choose(self.lines, &at, |_, _| {});
        let usage = self.lines.usage(&sums);
        let scaled = usage.iter().zip(&self.scales.limits);
        let column = Column {
            value: self.lines.value(&sums) / self.scales.value,
            usage: scaled.map(|(usage, scale)| usage / scale).collect(),
        };
        (column, sums.best)
    }

    /// Finds the prices. `start` are prices that may be near.
    pub(super) fn solve(&self, start: &[Vec<f64>]) -> Result<Solved, Misfit> {
        let limits: Vec<f64> = (self.limits.iter().zip(&self.scales.limits))
            .map(|(limit, scale)| limit / scale)
            .collect();
        let mut master = Master::new(limits.clone());
        let mut columns: Vec<Option<Asked>> = vec![None];
        let mut best: Option<(f64, Vec<f64>)> = None;
        for prices in start {
            let scaled: Vec<f64> = (prices.iter().zip(&self.scales.limits))
                .map(|(price, scale)| price * scale / self.scales.value)
                .collect();
            let asked = self.asked(true, &scaled);
            let (column, sum) = self.column(&asked);
            let bound = sum / self.scales.value + dot(&scaled, &limits);
            if best.as_ref().is_none_or(|(least, _)| bound < *least) {
                best = Some((bound, scaled));
            }
            master.push(column);
            columns.push(Some(asked));
        }
        if master.exceeds {
            self.keep(&mut master, &mut columns, &limits)?;
        }
        let mut smoothing = SMOOTHING;
        let mut optimum = master.solve();
        let (mut still, mut least_gap) = (0, f64::INFINITY);
        for _ in 0..QUERIES_MAX {
            let settled = self.settled / self.scales.value;
            if let Some((least, _)) = &best {
                let size = (least + settled).abs().max(1e-9);
                let gap = least - optimum.value;
                if gap < 0.999 * least_gap {
                    (least_gap, still) = (gap, 0);
                } else {
                    still += 1;
                }
                if gap <= self.tolerance * size || still > STILL_MOST {
                    break;
                }
            }
            let scaled: Vec<f64> = match &best {
                Some((_, centre)) => (centre.iter().zip(&optimum.prices))
                    .map(|(centre, price)| smoothing * centre + (1.0 - smoothing) * price)
                    .collect(),
                None => optimum.prices.clone(),
            };
            let asked = self.asked(true, &scaled);
            let (column, sum) = self.column(&asked);
            let bound = sum / self.scales.value + dot(&scaled, &limits);
            let alone = optimum.value - dot(&optimum.prices, &limits);
            let gain = column.value - dot(&optimum.prices, &column.usage) - alone;
            if best.as_ref().is_none_or(|(least, _)| bound < *least) {
                best = Some((bound, scaled));
            }
            if gain > 1e-13 {
                master.push(column);
                columns.push(Some(asked));
                optimum = master.solve();
                smoothing = SMOOTHING;
            } else if smoothing > 0.0 {
                // The column brings nothing at the master's prices: nearer to them.
                smoothing = if smoothing > 0.05 {
                    smoothing / 2.0
                } else {
                    0.0
                };
            } else {
                break;
            }
        }
        let scaled = best.map_or_else(|| vec![0.0; limits.len()], |(_, scaled)| scaled);
        Ok(Solved {
            prices: self.asked(true, &scaled).prices,
            relaxed: optimum.value * self.scales.value,
            mixture: (optimum.mixture.into_iter())
                .map(|(at, share)| (columns[at].clone(), share))
                .collect(),
        })
    }

    /// Finds columns that keep the limits, when mixed.
    fn keep(
        &self,
        master: &mut Master,
        columns: &mut Vec<Option<Asked>>,
        limits: &[f64],
    ) -> Result<(), Misfit> {
        let mut best: Option<(f64, Vec<f64>)> = None;
        for _ in 0..QUERIES_MAX {
            let optimum = master.solve();
            if optimum.value >= -EXCESS_MAX {
                break;
            }
            let asked = self.asked(false, &optimum.prices);
            let (column, sum) = self.column(&asked);
            let bound = sum + dot(&optimum.prices, limits);
            if best.as_ref().is_none_or(|(least, _)| bound < *least) {
                best = Some((bound, asked.prices.clone()));
            }
            let near = bound - optimum.value <= 1e-9 * optimum.value.abs() + 1e-2 * EXCESS_MAX;
            if near && optimum.value > -2.0 * EXCESS_MAX {
                break;
            }
            if near && let Some((_, prices)) = &best {
                let mut usage = vec![0.0; limits.len()];
                for (at, share) in &optimum.mixture {
                    for (sum, own) in usage.iter_mut().zip(master.usage(*at)) {
                        *sum += share * own;
                    }
                }
                let usage = usage.iter().zip(&self.scales.limits);
                return Err(Misfit {
                    prices: prices.clone(),
                    usage: usage.map(|(usage, scale)| usage * scale).collect(),
                });
            }
            master.push(column);
            columns.push(Some(asked));
        }
        master.kept();
        Ok(())
    }
}
