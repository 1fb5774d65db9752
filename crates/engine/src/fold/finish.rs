//! What a folded batch writes: rows, members and counts, timers, spilled event ids, ledger credits, samples on their way
//! to the learners. Membership is a pure function of the profiles of a customer and of the greatest log time they have
//! seen, so it does not matter how the log was cut into batches.

use super::core::{Effects, RowName, Rows, Running, Slot, forward_event};
use crate::identity::IdentityMap;
use crate::relay::{self, OutboxRow};
use crate::row::CustomerRow;
use crate::rows;
use crate::scenes::SceneRuntime;
use bytes::Bytes;
use luopan_kernel::event::Entry;
use luopan_kernel::id::{CustomerId, IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::profile::{Members, Profile};
use luopan_kernel::time::Micros;
use luopan_store::{BudgetChange, Write};
use std::collections::BTreeMap;

/// Number of members of each segment in one partition.
pub(crate) type Counts = BTreeMap<(SceneNo, u64), u64>;

/// What a batch writes.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) writes: Vec<Write>,
    pub(crate) budgets: Vec<BudgetChange>,
    pub(crate) outbox: Vec<OutboxRow>,
    /// The earliest timer set.
    pub(crate) timer: Option<Micros>,
    /// Identifiers whose membership has to be looked at by the worker of their partition.
    pub(crate) dirty: Vec<RowName>,
    /// Counts as they will be.
    pub(crate) counts: Counts,
}

/// Membership and next flip of a customer with these profiles (ascending by identifier).
pub(crate) fn membership(scene: &SceneRuntime, profiles: &[&Profile]) -> (Members, Option<Micros>) {
    if scene.plan.segments.is_empty() {
        return (Members::default(), None);
    }
    let as_of = profiles
        .iter()
        .map(|p| p.last_log_time)
        .max()
        .unwrap_or_default();
    let found = scene.segments.evaluate(&scene.plan, profiles, as_of);
    (found.members, found.next_flip_at)
}

/// Writes that bring member rows and counts from `before` to `after`. Both lists hold segment numbers.
fn move_members(
    out: &mut Finished,
    scene: SceneNo,
    customer: CustomerId,
    before: &[u64],
    after: &[u64],
) {
    for segment in before.iter().filter(|s| !after.contains(s)) {
        out.writes.push(Write {
            key: rows::member(scene, *segment, customer),
            value: None,
        });
        let count = out.counts.entry((scene, *segment)).or_default();
        *count = count.saturating_sub(1);
    }
    for segment in after.iter().filter(|s| !before.contains(s)) {
        out.writes.push(Write {
            key: rows::member(scene, *segment, customer),
            value: Some(Bytes::from_static(&[1])),
        });
        *out.counts.entry((scene, *segment)).or_default() += 1;
    }
}

/// Segment numbers of a profile's members, under the scene they were computed with.
pub(crate) fn segment_nos(scene: &SceneRuntime, members: &Members) -> Vec<u64> {
    (members.indexes.iter())
        .filter_map(|i| scene.segment_nos.get(usize::from(*i)).copied())
        .collect()
}

/// Sets membership, flip and timer of a row and notes what that writes; `before` are the segment numbers it was in.
pub(crate) fn settle_row(
    out: &mut Finished,
    scene: &SceneRuntime,
    name: RowName,
    row: &mut CustomerRow,
    before: &[u64],
    members: Members,
    flip_at: Option<Micros>,
) {
    let after = segment_nos(scene, &members);
    move_members(out, name.0, name.1, before, &after);
    row.profile.segments = members;
    row.profile.flip_at = flip_at;
    let due = row.next_due();
    if due != row.timer_at {
        if let Some(old) = row.timer_at {
            out.writes.push(Write {
                key: rows::timer(old, name.0, name.1),
                value: None,
            });
        }
        if let Some(new) = due {
            out.writes.push(Write {
                key: rows::timer(new, name.0, name.1),
                value: Some(Bytes::from_static(&[1])),
            });
            out.timer = Some(out.timer.map_or(new, |t| t.min(new)));
        }
        row.timer_at = due;
    }
    out.writes.push(Write {
        key: rows::profile(name.0, name.1),
        value: Some(Bytes::from(row.encode())),
    });
}

/// Where a batch stands in its partition.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    pub(crate) partition: PartitionId,
    /// Position after the batch.
    pub(crate) end: Position,
    /// Log time of its last entry.
    pub(crate) at: Micros,
    /// Segment counts before it.
    pub(crate) counts: &'p Counts,
}

/// Everything that a folded batch of one partition writes, but the samples.
pub(crate) fn finish(
    running: &Running,
    identity: &IdentityMap,
    place: &Place<'_>,
    batch: &mut Rows,
    effects: &Effects,
) -> Finished {
    let (partition, counts, at) = (place.partition, place.counts, place.at);
    let mut out = Finished {
        counts: counts.clone(),
        ..Finished::default()
    };
    let touched = std::mem::take(&mut batch.order);
    for name in touched {
        let (Some(scene), Some(Slot { row, .. })) =
            (running.scenes.get(&name.0), batch.slots.get_mut(&name))
        else {
            continue;
        };
        let before = segment_nos(scene, &row.profile.segments);
        if identity.is_single(name.1) {
            let (members, flip) = membership(scene, &[&row.profile]);
            settle_row(&mut out, scene, name, row, &before, members, flip);
        } else {
            let (members, flip) = (row.profile.segments.clone(), row.profile.flip_at);
            settle_row(&mut out, scene, name, row, &before, members, flip);
            let home = (name.0, identity.customer(name.1));
            if !out.dirty.contains(&home) {
                out.dirty.push(home);
            }
        }
    }
    for (scene, id) in &batch.erased {
        out.writes.push(Write {
            key: rows::profile(*scene, *id),
            value: None,
        });
    }
    // The content names the commit that wrote it: whoever clears the row expects the content it acted on.
    let token = Bytes::from([&partition.0.to_be_bytes()[..], &place.end.0.to_be_bytes()].concat());
    for (scene, id) in &out.dirty {
        out.writes.push(Write {
            key: rows::dirty(*scene, *id),
            value: Some(token.clone()),
        });
    }
    for (scene, id, spilled) in &effects.spilled {
        out.writes.push(Write {
            key: rows::dedup(*scene, *id, spilled.hash),
            value: Some(rows::encode_number(spilled.expires_at.0 as u64)),
        });
    }
    let given_back = effects.voided.iter().map(|(_, d)| (d, -d.amount, 0));
    let taken_again = (effects.late.iter()).map(|(_, d)| (d, d.amount, i64::MAX));
    for (debit, amount, limit) in given_back.chain(taken_again) {
        out.budgets.push(BudgetChange {
            budget: debit.budget.clone(),
            limit,
            rows: debit.rows,
            home: debit.home,
            amount,
        });
    }
    for f in &effects.forwards {
        for other in others(identity, f.from) {
            let event = forward_event(f, other, at);
            let id = [&other.0[..], event.id.as_bytes()].concat();
            out.outbox.push(relay::entry_row(
                rows::outbox(other.partition(), &id),
                &Entry::Event(event),
            ));
        }
    }
    out.writes.extend(out.outbox.iter().map(OutboxRow::write));
    for ((scene, segment), count) in &out.counts {
        if counts.get(&(*scene, *segment)) != Some(count) {
            out.writes.push(Write {
                key: rows::member_count(*scene, *segment, partition),
                value: Some(rows::encode_number(*count)),
            });
        }
    }
    out
}

/// The other identifiers of the same customer.
fn others(identity: &IdentityMap, id: IdentifierId) -> Vec<IdentifierId> {
    if identity.is_single(id) {
        return Vec::new();
    }
    identity
        .identifiers(identity.customer(id))
        .into_iter()
        .filter(|i| *i != id)
        .collect()
}
