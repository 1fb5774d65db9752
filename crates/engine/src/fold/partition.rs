//! How a fold worker begins with partitions: it claims them, takes over what whoever folded them before left to do, and reads what
//! State holds of them, in as many calls for many as for one. It must read nothing before its claim stands.

use super::core::Running;
use super::finish::Counts;
use crate::fleet::{follow_environment, look_at_marks};
use crate::pages::Pages;
use crate::{Inner, relay, rows};
use luopan_kernel::id::{PartitionId, Position, SceneNo};
use luopan_store::{Commit, Durability, Expect, Table, Write};
use std::collections::{BTreeMap, btree_map};

/// What a worker knows of a partition it owns.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) next: Position,
    pub(super) running: Running,
    pub(super) counts: Counts,
    /// What must stand as long as this worker folds here.
    pub(super) claim: Expect,
    pub(super) halted: bool,
}

/// One partition, as this worker knows it.
pub(super) async fn open<'p>(
    inner: &Inner,
    partitions: &'p mut BTreeMap<PartitionId, Partition>,
    id: PartitionId,
) -> luopan_store::Result<&'p mut Partition> {
    match partitions.entry(id) {
        btree_map::Entry::Occupied(e) => Ok(e.into_mut()),
        btree_map::Entry::Vacant(v) => Ok(v.insert(load_one(inner, id).await?)),
    }
}

/// Begins with those of these partitions that are this node's and that the worker does not know yet, all at once.
pub(super) async fn open_all(
    inner: &Inner,
    partitions: &mut BTreeMap<PartitionId, Partition>,
    ids: &[PartitionId],
) -> luopan_store::Result<()> {
    let unknown: Vec<_> = (ids.iter().copied())
        .filter(|p| inner.fleet.owns(*p) && !partitions.contains_key(p))
        .collect();
    if !unknown.is_empty() {
        let loaded = load(inner, &unknown).await?;
        partitions.extend(loaded.into_iter().map(|p| (p.id, p)));
    }
    Ok(())
}

pub(super) async fn load_one(inner: &Inner, id: PartitionId) -> luopan_store::Result<Partition> {
    let loaded = load(inner, &[id]).await?;
    loaded.into_iter().next().ok_or_else(|| {
        let cause = format!("partition {} was asked for and not given", id.0);
        luopan_store::Error::Invalid(cause)
    })
}

/// Partitions as State holds them, claimed for this node: as many calls for many as for one.
async fn load(inner: &Inner, ids: &[PartitionId]) -> luopan_store::Result<Vec<Partition>> {
    let unreadable = |what: &str, at: PartitionId, cause: String| luopan_store::Error::Corrupt {
        store: "state",
        at: format!("{what} row of partition {}", at.0),
        cause,
    };
    let claims = claim(inner, ids).await?;
    // From here on no commit of whoever folded here before can land, not even one of this node of which it heard nothing. What
    // those that landed left to do is found in State.
    relay::recover(inner, ids).await?;
    look_at_marks(inner, ids).await?;
    let next = inner.state.positions(ids).await?;
    for (id, next) in ids.iter().zip(&next) {
        // What another node folded meanwhile.
        if id.0 == luopan_kernel::ENVIRONMENT_PARTITION {
            follow_environment(inner, *next).await?;
        } else {
            inner.timers.look(*id);
            inner.progress.folded(*id, *next, &[]);
        }
    }
    let halts: Vec<_> = ids.iter().map(|id| rows::halt(*id)).collect();
    let halts = inner.state.get(&halts).await?;
    let mut out: BTreeMap<PartitionId, Partition> = BTreeMap::new();
    for (((id, claim), next), halt) in ids.iter().zip(claims).zip(next).zip(halts) {
        let partition = Partition {
            id: *id,
            next,
            running: Running::default(),
            counts: Counts::new(),
            claim,
            halted: halt.is_some(),
        };
        out.insert(*id, partition);
    }
    let mut pages = Pages::new(&*inner.state, Table::SceneVersion, ids);
    loop {
        let found = pages.next().await?;
        if found.is_empty() {
            break;
        }
        for (id, row) in found {
            let wrong = |cause: String| unreadable("scene version", id, cause);
            let scene = <[u8; 2]>::try_from(&row.key[..])
                .map(|k| SceneNo(u16::from_be_bytes(k)))
                .map_err(|e| wrong(e.to_string()))?;
            let version = rows::decode_number(&row.value).map_err(|e| wrong(e.to_string()))?;
            let known = inner.scenes.version(scene, version as u32).ok_or_else(|| {
                let cause = format!("version {version} of scene {} is not recorded", scene.0);
                wrong(cause)
            })?;
            if let Some(partition) = out.get_mut(&id) {
                partition.running.scenes.insert(scene, known);
            }
        }
    }
    let mut pages = Pages::new(&*inner.state, Table::MemberCount, ids);
    loop {
        let found = pages.next().await?;
        if found.is_empty() {
            break;
        }
        for (id, row) in found {
            let wrong = |cause: String| unreadable("segment count", id, cause);
            let key = <[u8; 10]>::try_from(&row.key[..]).map_err(|e| wrong(e.to_string()))?;
            let n = rows::decode_number(&row.value).map_err(|e| wrong(e.to_string()))?;
            let segment = key[2..].try_into().map_or(0, u64::from_be_bytes);
            if let Some(partition) = out.get_mut(&id) {
                let scene = SceneNo(u16::from_be_bytes([key[0], key[1]]));
                partition.counts.insert((scene, segment), n);
            }
        }
    }
    Ok(out.into_values().collect())
}

/// Claims partitions: who claimed them before folds them no more.
async fn claim(inner: &Inner, ids: &[PartitionId]) -> luopan_store::Result<Vec<Expect>> {
    let mut commit = Commit::new(Durability::Replayable);
    let claims: Vec<_> = ids
        .iter()
        .map(|id| Expect {
            key: rows::claim(*id),
            value: Some(rows::encode_claim(inner.fleet.id(), inner.env.fresh_id())),
        })
        .collect();
    commit.writes.extend(claims.iter().map(|claim| Write {
        key: claim.key.clone(),
        value: claim.value.clone(),
    }));
    inner.state.commit(vec![commit]).await?;
    Ok(claims)
}
