//! Which decisions a training set is made of: the log tells of them, their records hold what they saw.

use super::{Dataset, DatasetRead, DatasetSpec};
use crate::api::Result;
use crate::{replay, rows};
use luopan_kernel::event::{DECISION_TYPE, Entry, Origin};
use luopan_kernel::id::{DecisionId, PartitionId, Position};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::value::Value;
use std::collections::BTreeSet;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;
/// Records read at once.
const READ_RECORDS: usize = 1_000;

/// A decision that gives rows.
pub(super) struct Wanted {
    /// Its record, without what a training set has no use for.
    pub(super) record: DecisionRecord,
    /// Nothing was sent, and nothing is learned from that.
    pub(super) is_silent: bool,
}

impl Wanted {
    /// Position of the partition that the decision had seen.
    pub(super) fn position(&self, partition: PartitionId) -> Option<Position> {
        let found = self.record.positions.iter().find(|(p, _)| *p == partition);
        found.map(|(_, at)| *at)
    }
}

/// The policy's decisions that the partition's log tells of below `until`, each once, in its order.
pub(super) async fn told(
    of: &Dataset,
    partition: PartitionId,
    until: Position,
) -> Result<Vec<DecisionId>> {
    let policy = Value::text(of.policy().name.as_str());
    let mut out = Vec::new();
    let mut known: BTreeSet<DecisionId> = BTreeSet::new();
    let mut next = of.begins(partition).await?;
    while next < until {
        let messages = of.inner.log.read(partition, next, READ_BYTES).await?;
        let Some(last) = messages.last() else {
            return Err(replay::ends(partition, next, until).into());
        };
        next = last.end();
        for message in &messages {
            for entry in replay::decode(partition, message)? {
                let Entry::Event(event) = entry else { continue };
                if event.kind == DECISION_TYPE
                    && event.scene == of.scene.no
                    && *event.property("policy") == policy
                    && let Ok(id) = event.id.parse::<DecisionId>()
                    && known.insert(id)
                {
                    out.push(id);
                }
            }
        }
    }
    Ok(out)
}

/// The records of these decisions that give rows, in their order; why others do not is counted.
pub(super) async fn read(
    of: &Dataset,
    spec: &DatasetSpec,
    ids: &[DecisionId],
    told: &mut DatasetRead,
) -> Result<Vec<Wanted>> {
    let mut out = Vec::with_capacity(ids.len());
    for ids in ids.chunks(READ_RECORDS) {
        let keys: Vec<_> = ids.iter().map(|id| rows::decision(*id)).collect();
        let found = of.inner.state.get(&keys).await?;
        for (id, value) in ids.iter().zip(found) {
            let unreadable = |cause: String| luopan_store::Error::Corrupt {
                store: "state",
                at: format!("decision {id}"),
                cause,
            };
            let value = value
                .ok_or_else(|| unreadable("the log tells of it, State has none".to_owned()))?;
            let record = DecisionRecord::decode(&value).map_err(|e| unreadable(e.to_string()))?;
            if let Some(wanted) = wanted(of, spec, record, told) {
                out.push(wanted);
            }
        }
    }
    Ok(out)
}

fn wanted(
    of: &Dataset,
    spec: &DatasetSpec,
    mut record: DecisionRecord,
    told: &mut DatasetRead,
) -> Option<Wanted> {
    let at = record.request.moment.now;
    let skipped = &mut told.skipped;
    let by_rule = |record: &DecisionRecord| {
        (record.decision.refusals.iter()).any(|r| r.gate.is_of_customer())
    };
    let is_withheld = record.withheld.is_some();
    let is_nothing =
        record.decision.choices.is_empty() && (!of.policy().null_action.is_arm || by_rule(&record));
    let is_outside =
        spec.from.is_some_and(|from| at < from) || spec.until.is_some_and(|until| at >= until);
    if is_outside {
        skipped.outside += 1;
    } else if record.request.origin == Origin::DryRun {
        skipped.dry_run += 1;
    } else if is_withheld && !spec.silent {
        skipped.withheld += 1;
    } else if is_nothing && !spec.silent {
        skipped.nothing += 1;
    } else {
        if of.shadows.is_empty() {
            record.contacts = Vec::new();
        }
        record.decision.trace = Vec::new();
        record.decision.held_read = Vec::new();
        return Some(Wanted {
            record,
            is_silent: is_withheld || is_nothing,
        });
    }
    None
}
