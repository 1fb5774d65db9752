//! Logged decisions as weighted samples for a model that is learned from all of them at once.

use super::{Error, Wait};

/// One logged decision of a reward of 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// Whether and when its reward came.
    pub wait: Wait,
    /// Probability with which it was taken, above 0, at most 1.
    pub propensity: f64,
    /// The chance that a reward that is open still comes, 0 to 1 ([`super::Arrival::still`], [`super::Conversion::still`]);
    /// not read where it came.
    pub still: f64,
}

/// A sample to be learned from a logged decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Which decision, from 0.
    pub row: usize,
    /// 0 or 1.
    pub reward: f64,
    /// Above zero.
    pub weight: f64,
}

/// Samples for all decisions in their order. One whose reward came says yes; one that is open says yes with the chance that it
/// still comes and no with the rest (the expectation step of Dempster, Laird and Rubin 1977). Weights are `min(1 / propensity,
/// most_weight)` over their mean, so that they sum to the number of decisions; without `most_weight` all decisions weigh the same.
/// Parts without weight are left out.
///
/// # Errors
/// A propensity that is missing, zero or above 1, a chance outside 0 to 1, a largest weight below 1; by the first row.
pub fn weigh(rows: &[Logged], most_weight: Option<f64>) -> Result<Vec<Part>, Error> {
    if let Some(found) = most_weight.filter(|m| m.is_nan() || *m < 1.0) {
        return Err(Error::Setting {
            what: "the largest weight",
            found,
            wanted: "1 or more, infinity for none",
        });
    }
    let mut weights = Vec::with_capacity(rows.len());
    for (row, logged) in rows.iter().enumerate() {
        let found = logged.propensity;
        if !(found > 0.0 && found <= 1.0) {
            return Err(Error::Value {
                what: "the propensity",
                row,
                found,
                wanted: "the probability with which it was taken, above 0 and at most 1",
            });
        }
        if matches!(logged.wait, Wait::Open(_)) && !(0.0..=1.0).contains(&logged.still) {
            return Err(Error::Value {
                what: "the chance that it still comes",
                row,
                found: logged.still,
                wanted: "0 to 1",
            });
        }
        weights.push(most_weight.map_or(1.0, |most| (1.0 / found).min(most)));
    }
    let mean = weights.iter().sum::<f64>() / rows.len().max(1) as f64;
    let mut out = Vec::with_capacity(rows.len());
    for ((row, logged), weight) in rows.iter().enumerate().zip(weights) {
        let yes = match logged.wait {
            Wait::Came(_) => 1.0,
            Wait::Open(_) => logged.still,
        };
        let weight = weight / mean;
        out.extend(
            [(1.0, yes * weight), (0.0, (1.0 - yes) * weight)]
                .into_iter()
                .filter(|(_, weight)| *weight > 0.0)
                .map(|(reward, weight)| Part {
                    row,
                    reward,
                    weight,
                }),
        );
    }
    Ok(out)
}
