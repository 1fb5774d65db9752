//! The states that online models had when decisions were made, for deciding again: one way along a model's stream of samples gives all of
//! them.
//!
//! A decision that recorded the model's version is given that version. Of one that did not, the state holds every sample before the first
//! that was settled later than the decision, so that none of them can be of the future.

use crate::Inner;
use crate::learner::{Learner, Model, decode_samples};
use luopan_kernel::id::Position;
use luopan_kernel::learn::ModelState;
use luopan_kernel::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of the stream read at once.
const READ_BYTES: usize = 1 << 20;
/// States of one model that are kept, and the bytes that they may have together; at least [`LEAST`] are kept.
const STATES_MAX: usize = 512;
const BYTES_MAX: usize = 256 << 20;
const LEAST: usize = 8;

/// Which states are wanted of a model.
#[derive(Debug, Default)]
pub(super) struct Asked {
    versions: BTreeSet<u64>,
    moments: BTreeSet<Micros>,
}

/// How a decision names a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The version that it recorded.
    Version(u64),
    /// What could be known then.
    Moment(Micros),
}

impl Asked {
    pub(super) fn note(&mut self, name: Name) {
        match name {
            Name::Version(v) => self.versions.insert(v),
            Name::Moment(at) => self.moments.insert(at),
        };
    }
}

/// States of one model.
#[derive(Debug, Default)]
pub(super) struct States {
    by_version: BTreeMap<u64, Arc<ModelState>>,
    by_moment: BTreeMap<Micros, Arc<ModelState>>,
    /// True where not every state that was asked for could be kept, so that some decisions are given an earlier one.
    pub(super) is_thinned: bool,
}

impl States {
    /// The state of this name, or the nearest earlier one that is kept.
    pub(super) fn get(&self, name: Name) -> Option<&Arc<ModelState>> {
        match name {
            Name::Version(v) => self.by_version.range(..=v).next_back().map(|(_, s)| s),
            Name::Moment(at) => self.by_moment.range(..=at).next_back().map(|(_, s)| s),
        }
    }
}

/// At most `keep` of them, ascending, evenly, the first always: what is left out has an earlier one.
fn thinned<T: Copy>(all: impl ExactSizeIterator<Item = T>, keep: usize) -> Vec<T> {
    let all: Vec<T> = all.collect();
    match all.len() <= keep {
        true => all,
        false => (0..keep).map(|i| all[i * all.len() / keep]).collect(),
    }
}

/// Learns the stream once and keeps what was asked for.
pub(super) async fn along(
    inner: &Inner,
    model: &Model,
    asked: &Asked,
) -> luopan_store::Result<States> {
    let bytes = model.snapshot().encode().len().max(1);
    let keep = (BYTES_MAX / bytes).clamp(LEAST, STATES_MAX);
    let versions = thinned(asked.versions.iter().copied(), keep);
    let moments = thinned(asked.moments.iter().copied(), keep);
    let mut out = States {
        is_thinned: versions.len() < asked.versions.len() || moments.len() < asked.moments.len(),
        ..States::default()
    };
    let (mut versions, mut moments) = (
        versions.into_iter().peekable(),
        moments.into_iter().peekable(),
    );
    let mut learner = Learner::default();
    let mut shared: Option<Arc<ModelState>> = None;
    let mut next = Position(0);
    loop {
        let messages = inner.log.read(model.stream, next, READ_BYTES).await?;
        let Some(last) = messages.last() else { break };
        next = last.end();
        for message in &messages {
            let samples = decode_samples(&message.message)
                .map_err(|e| crate::learner::unreadable(model, &e))?;
            for (i, sample) in samples.iter().enumerate() {
                let mut now = || {
                    shared
                        .get_or_insert_with(|| Arc::new(learner.state.clone()))
                        .clone()
                };
                while let Some(at) = moments.next_if(|at| *at < sample.at) {
                    out.by_moment.insert(at, now());
                }
                while let Some(v) = versions.next_if(|v| *v <= learner.state.samples) {
                    out.by_version.insert(v, now());
                }
                if versions.peek().is_none() && moments.peek().is_none() {
                    return Ok(out);
                }
                if learner.take_one(&model.plan, Position(message.first.0 + i as u64), sample) {
                    shared = None;
                }
            }
        }
    }
    let last = shared.unwrap_or_else(|| Arc::new(learner.state));
    out.by_moment.extend(moments.map(|at| (at, last.clone())));
    out.by_version.extend(versions.map(|v| (v, last.clone())));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_an_earlier_one() {
        assert_eq!(thinned([1, 2, 3].into_iter(), 3), [1, 2, 3]);
        assert_eq!(thinned([5, 6, 7, 8, 9].into_iter(), 2), [5, 7]);
        let kept = thinned((0..1000).collect::<Vec<_>>().into_iter(), 7);
        assert_eq!((kept.len(), kept[0]), (7, 0));
        assert!(kept.windows(2).all(|w| w[0] < w[1]));
    }
}
