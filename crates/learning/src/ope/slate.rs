//! Lists of several places: one decision fills a slate, every place has its reward, and the value is the mean over slates of the
//! sum of their rewards. Which weight a place gets depends on what its reward is taken to depend on:
//!
//! | function | a reward depends on | weight of a place |
//! |---|---|---|
//! | [`Slates::standard`] | the whole slate | of the whole slate |
//! | [`Slates::independent`] | its own place (Li et al. 2018) | of the place alone |
//! | [`Slates::reward_interaction`] | it and the places above (McInerney et al. 2020) | of the places down to it |
//! | [`Slates::cascade_doubly_robust`] | the same, with a model (Kiyohara et al. 2022) | the same |

use luopan_kernel::learn::algebra::dot8;

use super::logs::{finite, indexes, length, weighted};
use super::{Error, SUM_TOLERANCE, Terms};

/// Logged slates, checked. Rows are places, slate after slate, each from the first place on.
#[derive(Debug, Clone, Copy)]
pub struct Slates<'a> {
    offsets: &'a [usize],
    rewards: &'a [f64],
    weights: Option<&'a [f64]>,
}

/// What a model predicts for every action at every place.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Action taken at each row, `0..action_count`.
    pub actions: &'a [u32],
    /// How many actions there are.
    pub action_count: usize,
    /// The policy's probability of each action at each row given the places above as logged: rows x actions.
    pub distribution: &'a [f64],
    /// Predicted sum of the rewards from this place on, under the policy, if the action stands there: rows x actions.
    pub predictions: &'a [f64],
}

impl<'a> Slates<'a> {
    /// Slates whose rows are `offsets[slate]..offsets[slate + 1]`; a slate counts by its weight, 1 where there are none.
    ///
    /// # Errors
    /// No slates, offsets that do not divide the rows, rewards that are not finite, weights as in [`super::Logs::new`].
    pub fn new(
        offsets: &'a [usize],
        rewards: &'a [f64],
        weights: Option<&'a [f64]>,
    ) -> Result<Self, Error> {
        let slates = offsets.len().saturating_sub(1);
        if slates == 0 {
            return Err(Error::Empty);
        }
        super::logs::offsets(offsets, slates, rewards.len())?;
        finite("reward", rewards)?;
        if let Some(weights) = weights {
            weighted(weights, slates)?;
        }
        Ok(Self {
            offsets,
            rewards,
            weights,
        })
    }

    /// Number of slates.
    pub fn slates(&self) -> usize {
        self.offsets.len() - 1
    }

    fn rows(&self, slate: usize) -> core::ops::Range<usize> {
        self.offsets[slate]..self.offsets[slate + 1]
    }

    /// Probabilities of the places down to each row: products of `conditional`, the probability of each row's action given the places above.
    ///
    /// # Errors
    /// Not one for each row.
    pub fn cascade(&self, conditional: &[f64]) -> Result<Vec<f64>, Error> {
        length("conditional probabilities", conditional, self.rewards.len())?;
        let mut out = Vec::with_capacity(conditional.len());
        for slate in 0..self.slates() {
            let mut product = 1.0;
            out.extend(conditional[self.rows(slate)].iter().map(|probability| {
                product *= probability;
                product
            }));
        }
        Ok(out)
    }

    /// Standard inverse propensity scoring (`sips`): both probabilities are of whole slates, one a slate.
    ///
    /// # Errors
    /// Other lengths, propensities outside (0, 1], the policy's probabilities outside `[0, 1]`.
    pub fn standard(&self, propensities: &[f64], policy: &[f64]) -> Result<Terms, Error> {
        let weights = ratios(propensities, policy, self.slates())?;
        self.terms("sips", |slate| {
            self.rewards[self.rows(slate)]
                .iter()
                .map(|reward| reward * weights[slate])
                .sum()
        })
    }

    /// Independent inverse propensity scoring (`iips`): both probabilities are of a row's action at its place, whatever stands
    /// elsewhere.
    ///
    /// # Errors
    /// As [`Slates::standard`].
    pub fn independent(&self, propensities: &[f64], policy: &[f64]) -> Result<Terms, Error> {
        self.by_rows("iips", propensities, policy)
    }

    /// Reward interaction inverse propensity scoring (`rips`): both probabilities are of the places down to each row, see
    /// [`Slates::cascade`].
    ///
    /// # Errors
    /// As [`Slates::standard`].
    pub fn reward_interaction(&self, propensities: &[f64], policy: &[f64]) -> Result<Terms, Error> {
        self.by_rows("rips", propensities, policy)
    }

    fn by_rows(
        &self,
        estimator: &'static str,
        propensities: &[f64],
        policy: &[f64],
    ) -> Result<Terms, Error> {
        let weights = ratios(propensities, policy, self.rewards.len())?;
        self.terms(estimator, |slate| {
            self.rows(slate)
                .map(|row| self.rewards[row] * weights[row])
                .sum()
        })
    }

    /// Cascade doubly robust (`cascade-dr`): probabilities as in [`Slates::reward_interaction`].
    ///
    /// # Errors
    /// As [`Slates::standard`]; tables of another shape, an action out of range, distributions that do not add up to one.
    pub fn cascade_doubly_robust(
        &self,
        propensities: &[f64],
        policy: &[f64],
        places: &Places<'_>,
    ) -> Result<Terms, Error> {
        let (rows, width) = (self.rewards.len(), places.action_count);
        let weights = ratios(propensities, policy, rows)?;
        if places.actions.len() != rows {
            return Err(Error::Length {
                column: "actions",
                found: places.actions.len(),
                wanted: rows,
            });
        }
        indexes("action", places.actions, width)?;
        length(
            "distribution",
            places.distribution,
            rows.saturating_mul(width),
        )?;
        length(
            "predictions",
            places.predictions,
            rows.saturating_mul(width),
        )?;
        finite("prediction", places.predictions)?;
        for (row, line) in places.distribution.chunks_exact(width).enumerate() {
            if let Some(action) = line
                .iter()
                .position(|p| !(*p >= 0.0 && *p <= 1.0 + SUM_TOLERANCE))
            {
                return Err(Error::Probability {
                    row,
                    action,
                    found: line[action],
                });
            }
            let found: f64 = line.iter().sum();
            if (found - 1.0).abs() > SUM_TOLERANCE {
                return Err(Error::Sum { row, found });
            }
        }
        self.terms("cascade-dr", |slate| {
            let (mut above, mut sum) = (1.0, 0.0);
            for row in self.rows(slate) {
                let line = row * width..(row + 1) * width;
                let predictions = &places.predictions[line.clone()];
                let expected = dot8(&places.distribution[line], predictions);
                let taken = predictions[places.actions[row] as usize];
                sum += weights[row] * (self.rewards[row] - taken) + above * expected;
                above = weights[row];
            }
            sum
        })
    }

    fn terms(&self, estimator: &'static str, of: impl Fn(usize) -> f64) -> Result<Terms, Error> {
        let terms = (0..self.slates()).map(of).collect();
        Ok(Terms::mean(estimator, terms, self.weights))
    }
}

/// Importance weights of probabilities.
fn ratios(propensities: &[f64], policy: &[f64], wanted: usize) -> Result<Vec<f64>, Error> {
    length("propensities", propensities, wanted)?;
    length("probabilities of the policy", policy, wanted)?;
    let mut weights = Vec::with_capacity(wanted);
    for (row, (logged, asked)) in propensities.iter().zip(policy).enumerate() {
        if !(*logged > 0.0 && *logged <= 1.0) {
            let found = *logged;
            return Err(Error::Propensity { row, found });
        }
        if !(*asked >= 0.0 && *asked <= 1.0 + SUM_TOLERANCE) {
            return Err(Error::Value {
                column: "the policy's probability",
                row,
                found: *asked,
            });
        }
        weights.push(asked / logged);
    }
    Ok(weights)
}
