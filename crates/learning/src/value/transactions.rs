//! From transactions to histories. This room must never look past the end of the calibration but to count what came in the holdout.

use std::collections::BTreeMap;

use super::{Error, FREQUENCY_MAX, History};
use crate::columns;

/// One purchase.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction<K> {
    /// Whose.
    pub customer: K,
    /// When, in microseconds since the epoch.
    pub at_us: i64,
    /// How much, zero or more.
    pub amount: f64,
}

/// How time is counted, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Purchases of one customer within one such span, counted from the epoch, are one purchase, their amounts added: a day mostly.
    pub moment_us: i64,
    /// The unit of recency and age: a day, a week.
    pub unit_us: i64,
    /// The end of what histories are made of: transactions of later moments than this time's are of the holdout.
    pub until_us: i64,
    /// The end of the holdout, later; transactions of later moments are passed over.
    pub holdout_until_us: Option<i64>,
}

/// Periods of a lifetime value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// How long one is, in the unit of the histories.
    pub length: f64,
    /// How many, 1 to [`super::PERIODS_MAX`].
    pub count: usize,
    /// What a later purchase is worth less a period: 0.01 is one hundredth.
    pub discount_rate: f64,
}

/// What transactions tell of a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer<K> {
    /// Who.
    pub customer: K,
    /// Her purchases up to the end of the calibration.
    pub history: History,
    /// Mean amount of her purchases after the first; 0 without any.
    pub spend: f64,
    /// Purchases in the holdout; 0 where there is none.
    pub holdout_purchases: u32,
    /// Mean amount of these; 0 without any.
    pub holdout_spend: f64,
}

/// Counts purchases by customer, ascending by customer; those whose first moment is the last of the calibration or later are left out, as
/// they have no age. The holdout's length is in units.
///
/// # Errors
/// Spans out of order, amounts below zero or not finite, nobody left, too many purchases.
pub fn summarise<K: Ord + Clone>(
    transactions: &[Transaction<K>],
    span: &Span,
) -> Result<(Vec<Customer<K>>, Option<f64>), Error> {
    let end = checked(span)?;
    let moment = |at: i64| at.div_euclid(span.moment_us);
    let last = span.holdout_until_us.map_or(end, moment);
    // By customer and moment, amounts ascending: sums do not depend on the order of rows.
    let mut amounts: BTreeMap<&K, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
    for (row, of) in transactions.iter().enumerate() {
        if !(of.amount >= 0.0 && of.amount.is_finite()) {
            return Err(columns::Error::Value {
                column: "amount".to_owned(),
                row,
                found: of.amount,
                wanted: "what was paid, zero or a finite number above it; leave refunds out",
            }
            .into());
        }
        let at = moment(of.at_us);
        if at <= last {
            let own = amounts.entry(&of.customer).or_default();
            own.entry(at).or_default().push(of.amount);
        }
    }
    let units = |moments: i64| moments as f64 * span.moment_us as f64 / span.unit_us as f64;
    let mut customers = Vec::new();
    for (customer, mut own) in amounts {
        let sums: Vec<(i64, f64)> = own
            .iter_mut()
            .map(|(at, amounts)| {
                amounts.sort_by(f64::total_cmp);
                (*at, amounts.iter().sum())
            })
            .collect();
        let split = sums.partition_point(|(at, _)| *at <= end);
        let (known, held_out) = sums.split_at(split);
        let Some(((first, _), repeats)) = known.split_first() else {
            continue;
        };
        if *first >= end {
            continue;
        }
        if repeats.len() > FREQUENCY_MAX as usize {
            return Err(columns::Error::Setting {
                what: "purchases of one customer",
                found: repeats.len() as f64,
                wanted: "a longer moment, so that there are at most 1,000,000",
            }
            .into());
        }
        let mean = |of: &[(i64, f64)]| {
            let n = of.len().max(1) as f64;
            of.iter().map(|(_, amount)| amount / n).sum::<f64>()
        };
        let recency = repeats.last().map_or(0, |(at, _)| at - first);
        customers.push(Customer {
            customer: customer.clone(),
            history: History::new(repeats.len() as u32, units(recency), units(end - first))?,
            spend: mean(repeats),
            holdout_purchases: u32::try_from(held_out.len()).unwrap_or(u32::MAX),
            holdout_spend: mean(held_out),
        });
    }
    if customers.is_empty() {
        return Err(Error::Split {
            what: format!(
                "none of {} transactions is before the last moment of the calibration",
                transactions.len()
            ),
            wanted: "a time after which most customers first bought, in microseconds since the epoch",
        });
    }
    Ok((customers, span.holdout_until_us.map(|_| units(last - end))))
}

/// The calibration's last moment.
fn checked(span: &Span) -> Result<i64, Error> {
    for (what, found) in [("moment", span.moment_us), ("unit of time", span.unit_us)] {
        if found <= 0 {
            return Err(columns::Error::Setting {
                what,
                found: found as f64,
                wanted: "microseconds above zero; a day has 86,400,000,000",
            }
            .into());
        }
    }
    let end = span.until_us.div_euclid(span.moment_us);
    if let Some(holdout) = span.holdout_until_us
        && holdout.div_euclid(span.moment_us) <= end
    {
        return Err(Error::Split {
            what: format!(
                "the holdout ends at {holdout} us, which is no later moment than the calibration's end {} us",
                span.until_us
            ),
            wanted: "a later time",
        });
    }
    Ok(end)
}
