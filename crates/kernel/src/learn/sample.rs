//! One sample of a model's learner log: what was seen, what was done, what came of it, and how likely it had been.
//! It must never hold a foreign id or a slot's raw value: features are encoded before they come here.

use crate::codec::{Reader, Result, Writer};
use crate::id::DecisionId;
use crate::plan::model::DIMENSION_MAX;
use crate::time::Micros;

/// Newest format of a sample.
pub const SAMPLE_FORMAT: u8 = 1;

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Decision and index of its reward in the scene: unique in a learner log.
    pub id: (DecisionId, u16),
    /// Key of the item that was chosen; none for the null action.
    pub arm: Option<String>,
    /// Encoded features, as [`crate::features::encode`] gave them when the decision was made.
    pub features: Vec<f64>,
    /// Settled reward, before it is held within the model's bounds.
    pub reward: f64,
    /// Weight in the likelihood, above zero; one is an ordinary sample.
    pub weight: f64,
    /// Probability with which the arm was chosen, `0 < propensity <= 1`.
    pub propensity: f64,
    /// When the reward was settled (log time).
    pub at: Micros,
}

impl Sample {
    /// Encodes the sample behind its format byte.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(SAMPLE_FORMAT);
        w.raw(&self.id.0.0);
        w.uint(u64::from(self.id.1));
        match &self.arm {
            None => w.u8(0),
            Some(key) => {
                w.u8(1);
                w.str(key);
            }
        }
        w.uint(self.features.len() as u64);
        for x in &self.features {
            w.f64(*x);
        }
        w.f64(self.reward);
        w.f64(self.weight);
        w.f64(self.propensity);
        w.int(self.at.0);
        w.into_bytes()
    }

    /// Decodes what [`Sample::encode`] wrote.
    ///
    /// # Errors
    /// As [`Reader`]'s; a newer format is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("sample", SAMPLE_FORMAT)?;
        let decision = DecisionId(r.array()?);
        let reward_index =
            u16::try_from(r.uint()?).map_err(|_| r.malformed("a 16-bit reward index"))?;
        let arm = match r.u8()? {
            0 => None,
            1 => Some(r.str()?.to_owned()),
            _ => return Err(r.malformed("a flag of 0 or 1")),
        };
        let n = r.count(8)?;
        if n > DIMENSION_MAX {
            return Err(r.malformed("at most 512 features"));
        }
        let mut features = Vec::with_capacity(n);
        for _ in 0..n {
            features.push(r.f64()?);
        }
        let out = Self {
            id: (decision, reward_index),
            arm,
            features,
            reward: r.f64()?,
            weight: r.f64()?,
            propensity: r.f64()?,
            at: Micros(r.int()?),
        };
        r.done()?;
        Ok(out)
    }
}
