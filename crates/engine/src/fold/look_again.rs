//! Membership of customers of several identifiers: links, and folds of any of them, leave a mark, and the worker of the canonical
//! identifier's partition looks at the whole customer anew. It must never take a mark away without having acted on it.

use super::core::RowName;
use super::finish::{Finished, membership, segment_nos, settle_row};
use super::partition::{Partition, open};
use super::worker::is_of_identity;
use crate::row::{CustomerRow, NEVER, describe};
use crate::{Inner, rows};
use luopan_kernel::id::PartitionId;
use luopan_store::{Commit, Conflict, Durability, Expect, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks at the membership of one identifier anew: of the whole customer when it is the canonical one, none otherwise.
pub(super) async fn look_again(
    inner: &Arc<Inner>,
    partitions: &mut BTreeMap<PartitionId, Partition>,
    name: RowName,
) -> luopan_store::Result<()> {
    let id = name.1.partition();
    // The mark stays in State for the node whose it is now.
    if !inner.fleet.owns(id) {
        return Ok(());
    }
    let partition = open(inner, partitions, id).await?;
    // A partition that has not come to the scene yet will look at everything again when it does.
    let running = partition.running.scenes.get(&name.0).cloned();
    let Some(scene) = running.or_else(|| inner.scenes.newest_of(name.0)) else {
        return Ok(());
    };
    loop {
        // Read before identity is looked at, as in a fold: the mark may be that of a link which this map does not know yet, and
        // taking it away would leave the membership of an older identity for good.
        let linked_at = inner.identity.epoch_row(id);
        let canonical = inner.identity.customer(name.1) == name.1;
        let linked = if canonical {
            inner.identity.identifiers(name.1)
        } else {
            Vec::new()
        };
        let mut keys = vec![rows::dirty(name.0, name.1), rows::profile(name.0, name.1)];
        keys.extend(linked.iter().map(|i| rows::profile(name.0, *i)));
        let values = inner.state.get(&keys).await?;
        let Some(token) = values[0].clone() else {
            return Ok(());
        };
        let mut commit = Commit::new(Durability::Replayable);
        commit.expect.push(partition.claim.clone());
        commit.expect.push(linked_at);
        commit.expect.push(Expect {
            key: keys[0].clone(),
            value: Some(token),
        });
        commit.writes.push(Write {
            key: keys[0].clone(),
            value: None,
        });
        let mut out = Finished {
            counts: partition.counts.clone(),
            ..Finished::default()
        };
        let mut profiles = Vec::new();
        for value in values[2..].iter().flatten() {
            profiles.push(
                CustomerRow::decode(value)
                    .map_err(|e| unreadable(name, &e))?
                    .profile,
            );
        }
        let own = match &values[1] {
            Some(v) => Some(CustomerRow::decode(v).map_err(|e| unreadable(name, &e))?),
            None if canonical && !profiles.is_empty() => Some(CustomerRow::new(
                luopan_kernel::profile::Profile::new(name.1, scene.fold.layout(), NEVER),
            )),
            None => None,
        };
        if let Some(mut row) = own {
            let before = segment_nos(&scene, &row.profile.segments);
            let alone = linked.len() <= 1 && row.has_seen_nothing();
            let (members, flip) = if canonical && !alone {
                membership(&scene, &profiles.iter().collect::<Vec<_>>())
            } else {
                (luopan_kernel::profile::Members::default(), None)
            };
            settle_row(&mut out, &scene, name, &mut row, &before, members, flip);
        }
        for ((s, segment), count) in &out.counts {
            if partition.counts.get(&(*s, *segment)) != Some(count) {
                out.writes.push(Write {
                    key: rows::member_count(*s, *segment, id),
                    value: Some(rows::encode_number(*count)),
                });
            }
        }
        commit.writes.append(&mut out.writes);
        // The row must be as it was read: only this worker writes it, but the token may be newer than what was read.
        match inner.state.commit(vec![commit]).await?.pop() {
            Some(Ok(_)) => {
                partition.counts = out.counts;
                if let Some(due) = out.timer {
                    inner.timers.set(id, due);
                }
                return Ok(());
            }
            Some(Err(Conflict::Changed { key })) if key == partition.claim.key => {
                // Another node folds here, or did: it is begun anew by whoever owns the partition.
                partitions.remove(&id);
                inner.look_again_at(name);
                return Ok(());
            }
            Some(Err(conflict)) if inner.fleet.is_shared() && is_of_identity(&conflict) => {
                inner.identity.refresh_at(&*inner.state, id).await?;
            }
            _ => {}
        }
        // The mark stays in State: whoever starts next finds it.
        if inner.stopping() {
            return Ok(());
        }
        inner.env.sleep(1_000).await;
    }
}

fn unreadable(name: RowName, e: &luopan_kernel::codec::Error) -> luopan_store::Error {
    luopan_store::Error::Corrupt {
        store: "state",
        at: describe(name.0, name.1),
        cause: e.to_string(),
    }
}
