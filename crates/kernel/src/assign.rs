//! Assigning units to the variants of an experiment: a salted hash, so that the same unit always gets the same variant, on
//! every machine, without anything being stored. The first of the kernel's answers that a phone may need without a network.
//!
//! This room must never draw at random: an assignment is a function of the experiment and the unit.

use crate::id::hash64;
use serde::{Deserialize, Serialize};

/// Number of buckets that units are hashed into; weights and holdout are counted in them.
pub const BUCKETS: u32 = 10_000;

/// A variant and its share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Name, unique in the experiment.
    pub name: String,
    /// Buckets, of [`BUCKETS`].
    pub weight: u32,
}

/// An experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experiment {
    /// Name.
    pub name: String,
    /// Salt: experiments with different salts assign independently of each other. It never changes while one runs.
    pub salt: String,
    /// Buckets, of [`BUCKETS`], that are held out and get no variant. Which units these are does not depend on the
    /// variants and their weights.
    pub holdout: u32,
    /// Variants; their weights sum to [`BUCKETS`]. Appending one and moving weight to it moves as few units as the weights
    /// allow only when the weight is taken from the last.
    pub variants: Vec<Variant>,
}

/// What a unit was assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// No variant: the unit stays as if there were no experiment.
    Holdout,
    /// The variant of this index.
    Variant(u32),
}

/// Why an experiment cannot assign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The weights do not sum to the whole.
    #[error(
        "the weights of experiment `{experiment}` sum to {found}; write weights that sum to {BUCKETS}"
    )]
    Weights {
        /// Experiment.
        experiment: String,
        /// Sum found.
        found: u64,
    },
    /// The holdout is larger than the whole.
    #[error(
        "experiment `{experiment}` holds out {found} of {BUCKETS} buckets; write 0 to {BUCKETS}"
    )]
    Holdout {
        /// Experiment.
        experiment: String,
        /// Found.
        found: u32,
    },
}

/// Assigns `unit` (the bytes of an internal id) to a variant of `experiment`, or to its holdout.
///
/// # Errors
/// [`Error`] when the weights do not sum to [`BUCKETS`] or the holdout is larger than that.
pub fn assign(experiment: &Experiment, unit: &[u8]) -> Result<Assignment, Error> {
    let found = experiment
        .variants
        .iter()
        .map(|v| u64::from(v.weight))
        .sum();
    if found != u64::from(BUCKETS) {
        return Err(Error::Weights {
            experiment: experiment.name.clone(),
            found,
        });
    }
    if experiment.holdout > BUCKETS {
        return Err(Error::Holdout {
            experiment: experiment.name.clone(),
            found: experiment.holdout,
        });
    }
    if bucket(&experiment.salt, b"holdout", unit) < experiment.holdout {
        return Ok(Assignment::Holdout);
    }
    let bucket = bucket(&experiment.salt, b"variant", unit);
    let mut end = 0;
    for (i, v) in experiment.variants.iter().enumerate() {
        end += v.weight;
        if bucket < end {
            return Ok(Assignment::Variant(i as u32));
        }
    }
    // The weights sum to every bucket, so the loop has returned; the holdout is the answer that changes nothing.
    Ok(Assignment::Holdout)
}

/// The bucket of a unit: lengths are hashed too, so that no salt runs into the unit behind it.
fn bucket(salt: &str, purpose: &[u8], unit: &[u8]) -> u32 {
    let mut bytes = Vec::with_capacity(24 + salt.len() + purpose.len() + unit.len());
    for part in [salt.as_bytes(), purpose, unit] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    (hash64(&bytes) % u64::from(BUCKETS)) as u32
}
