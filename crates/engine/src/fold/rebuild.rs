//! Rebuilding a partition's rows of one scene when its tags, orders or segments change: profiles are folded anew from the log
//! under the new plan, what decisions still wait for is carried over, and everything is swapped in by the commit of the
//! very entry that applied the scene.

use super::core::{Effects, Rows, Running, step};
use super::finish::{Counts, Finished, membership, settle_row};
use crate::identity::IdentityMap;
use crate::row::CustomerRow;
use crate::scenes::SceneRuntime;
use crate::{Inner, rows};
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::time::Micros;
use luopan_store::{Table, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

/// Writes that bring the partition's rows of the scene from `old` to `new`, as of `until`.
pub(crate) async fn rebuild(
    inner: &Inner,
    partition: PartitionId,
    until: Position,
    old: &SceneRuntime,
    new: &Arc<SceneRuntime>,
    counts: &Counts,
    at: Micros,
) -> luopan_store::Result<Finished> {
    let mut stored = stored_rows(inner, partition, new.no).await?;
    if !old.fold.layout().holds_the_same(new.fold.layout()) && !stored.is_empty() {
        let mut running = Running::default();
        running.scenes.insert(new.no, new.clone());
        let mut folded = fold_log(inner, partition, until, &running).await?;
        for (id, row) in &mut stored {
            if let Some(slot) = folded.slots.remove(&(new.no, *id)) {
                let (flip_at, segments) = (row.profile.flip_at, row.profile.segments.clone());
                row.profile = slot.row.profile;
                row.profile.flip_at = flip_at;
                row.profile.segments = segments;
            } else {
                row.profile.adapt(new.fold.layout());
            }
        }
    } else {
        for row in stored.values_mut() {
            row.profile.adapt(new.fold.layout());
        }
    }
    let mut out = Finished {
        counts: counts.clone(),
        ..Finished::default()
    };
    drop_members(inner, partition, new.no, &mut out).await?;
    for (id, row) in &mut stored {
        let (members, flip) = joined(&inner.identity, new, *id, row);
        settle_row(&mut out, new, (new.no, *id), row, &[], members, flip);
        if !inner.identity.is_single(*id) {
            let home = (new.no, inner.identity.customer(*id));
            let token = bytes::Bytes::from(at.0.to_be_bytes().to_vec());
            out.writes.push(Write {
                key: rows::dirty(home.0, home.1),
                value: Some(token),
            });
            out.dirty.push(home);
        }
    }
    for ((scene, segment), count) in &out.counts {
        if counts.get(&(*scene, *segment)) != Some(count) {
            out.writes.push(Write {
                key: rows::member_count(*scene, *segment, partition),
                value: Some(rows::encode_number(*count)),
            });
        }
    }
    Ok(out)
}

fn joined(
    identity: &IdentityMap,
    scene: &SceneRuntime,
    id: IdentifierId,
    row: &CustomerRow,
) -> (luopan_kernel::profile::Members, Option<Micros>) {
    if identity.is_single(id) {
        membership(scene, &[&row.profile])
    } else {
        Default::default()
    }
}

async fn stored_rows(
    inner: &Inner,
    partition: PartitionId,
    scene: SceneNo,
) -> luopan_store::Result<BTreeMap<IdentifierId, CustomerRow>> {
    let mut out = BTreeMap::new();
    let mut from = scene.0.to_be_bytes().to_vec();
    let to = scene.0.checked_add(1).map(|n| n.to_be_bytes().to_vec());
    loop {
        let found = inner
            .state
            .scan(Table::Profile, partition, &from, to.as_deref(), 1_000)
            .await?;
        let Some(last) = found.last() else {
            return Ok(out);
        };
        from = [&last.key[..], &[0]].concat();
        for row in &found {
            let (Some((_, id)), Ok(value)) = (
                rows::parse_scene_and_id(&row.key),
                CustomerRow::decode(&row.value),
            ) else {
                return Err(luopan_store::Error::Corrupt {
                    store: "state",
                    at: format!("profile row {:02x?}", &row.key[..]),
                    cause: "not a customer row".into(),
                });
            };
            out.insert(id, value);
        }
    }
}

async fn drop_members(
    inner: &Inner,
    partition: PartitionId,
    scene: SceneNo,
    out: &mut Finished,
) -> luopan_store::Result<()> {
    let mut from = scene.0.to_be_bytes().to_vec();
    let to = scene.0.checked_add(1).map(|n| n.to_be_bytes().to_vec());
    loop {
        let found = inner
            .state
            .scan(Table::Member, partition, &from, to.as_deref(), 1_000)
            .await?;
        let Some(last) = found.last() else { break };
        from = [&last.key[..], &[0]].concat();
        for row in found {
            let key = luopan_store::RowKey {
                table: Table::Member,
                partition,
                key: row.key,
            };
            out.writes.push(Write { key, value: None });
        }
    }
    for ((s, _), count) in &mut out.counts {
        if *s == scene {
            *count = 0;
        }
    }
    Ok(())
}

/// Who is shown what folding gives on its way.
pub(crate) trait Watch: Send {
    /// Positions at which rows are shown, ascending; those below where the log begins are not reached.
    fn stops(&self) -> &[Position] {
        &[]
    }

    /// The rows at the stop of this index: all entries before it are folded.
    fn reached(&mut self, _stop: usize, _rows: &Rows) {}

    /// What a message asked of the world.
    fn asked(&mut self, _effects: Effects) {}
}

/// Nobody looks.
struct Nobody;

impl Watch for Nobody {}

/// Folds a partition's log up to `until`, from its snapshot or from nothing.
pub(crate) async fn fold_log(
    inner: &Inner,
    partition: PartitionId,
    until: Position,
    running: &Running,
) -> luopan_store::Result<Rows> {
    let (rows, _) = fold_along(inner, partition, until, running, &mut Nobody).await?;
    Ok(rows)
}

/// As [`fold_log`], with somebody who watches; gives the number of entries folded too.
pub(crate) async fn fold_along(
    inner: &Inner,
    partition: PartitionId,
    until: Position,
    running: &Running,
    watch: &mut dyn Watch,
) -> luopan_store::Result<(Rows, u64)> {
    let mut rows = Rows::default();
    let mut next = Position(0);
    if let Some(found) = crate::snapshot::start_of(inner, partition).await? {
        next = found.header.at;
        for scene in running.scenes.values() {
            let mine = found.rows_for(scene);
            rows.slots.extend(mine.slots);
            rows.spilled.extend(mine.spilled);
        }
    }
    if next > until {
        return Err(luopan_store::Error::Truncated {
            partition: partition.0,
            from: until.0,
            begin: next.0,
        });
    }
    let mut stop = watch.stops().partition_point(|p| *p < next);
    let mut folded = 0;
    while next < until {
        let messages = inner.log.read(partition, next, READ_BYTES).await?;
        if messages.is_empty() {
            return Err(crate::replay::ends(partition, next, until));
        }
        for message in &messages {
            crate::replay::unbroken(partition, next, message)?;
            let entries = crate::replay::decode(partition, message)?;
            let mut effects = Effects::default();
            for (i, entry) in entries.iter().enumerate() {
                let before = Position(message.first.0 + i as u64);
                if before >= until {
                    break;
                }
                if before < next {
                    continue;
                }
                while watch.stops().get(stop).is_some_and(|p| *p <= before) {
                    watch.reached(stop, &rows);
                    stop += 1;
                }
                folded += 1;
                // A scene change is not asked about: the rows are folded under the plan that is coming.
                let position = Position(before.0 + 1);
                step(running, &mut rows, &mut effects, entry, position);
            }
            watch.asked(effects);
            next = message.end();
        }
    }
    while watch.stops().get(stop).is_some_and(|p| *p <= until) {
        watch.reached(stop, &rows);
        stop += 1;
    }
    Ok((rows, folded))
}
