//! Fold workers: each owns a share of the partitions, reads what was appended, folds it in memory and commits rows and
//! position together. A worker that lost a race re-reads its position; one that meets an entry it cannot fold halts that
//! partition with an alarm and never skips.
//!
//! A worker that begins with a partition writes its claim, a row with a mark that no other claim has, and every commit of it
//! expects that row: from the moment at which another node claims the partition, nothing of the first takes effect, whatever
//! it still believes.

use super::core::{Effects, RowName, Rows, Settled, Slot, Step, names, step};
use super::finish::{Finished, Place, finish};
use super::look_again::look_again;
use super::partition::{Partition, load_one, open, open_all};
use super::rebuild;
use crate::counters::Counters;
use crate::environment::fold::Environment;
use crate::fleet::look_at_marks;
use crate::limits::REFRESH_ENTRIES_MAX;
use crate::pace::Pace;
use crate::row::{CustomerRow, describe};
use crate::{Inner, relay, rows};
use bytes::Bytes;
use luopan_kernel::event::{Entry, decode_message};
use luopan_kernel::id::{PartitionId, Position, SceneNo};
use luopan_kernel::time::Micros;
use luopan_store::state::VALUE_BYTES_MAX;
use luopan_store::{Advance, Commit, Conflict, Durability, LogMessage, Table, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tracing::Instrument;
use tracing::field::Empty;

/// Most partitions folded in one round of commits.
const PARTITIONS_A_ROUND: usize = 64;
/// Name of the task in what `/readyz` tells.
const TASK: &str = "fold";
/// Races lost in a row that are told.
const LOST_TOLD: i64 = 50;

/// What became of one partition's turn.
enum Turn {
    /// Nothing left to read.
    Idle,
    /// There may be more.
    More,
    /// The partition is halted.
    Halted,
    /// A commit lost a race: it is read again.
    Lost,
}

/// A batch of one partition, folded and ready to commit.
struct Ready {
    partition: PartitionId,
    from: Position,
    to: Position,
    finished: Finished,
    effects: Effects,
    environment: Option<Environment>,
    commit: Commit,
}

/// Runs one worker over its partitions until the engine stops.
pub(crate) async fn run(inner: Arc<Inner>, index: usize) {
    let mut partitions: BTreeMap<PartitionId, Partition> = BTreeMap::new();
    let mut next = PartitionId(0);
    let mut lost: i64 = 0;
    let mut pace = Pace::default();
    loop {
        let Some(mut work) = inner.inboxes[index].take().await else {
            return;
        };
        // What comes meanwhile is folded with it.
        pace.keep(&inner).await;
        while !work.partitions.is_empty() || !work.dirty.is_empty() {
            work.add(inner.inboxes[index].take_now());
            for p in std::mem::take(&mut work.anew) {
                partitions.remove(&p);
            }
            for name in std::mem::take(&mut work.dirty) {
                if let Err(e) = look_again(&inner, &mut partitions, name).await {
                    // Its commit may have taken effect: what the worker remembers may be older than State.
                    partitions.remove(&name.1.partition());
                    inner
                        .trouble(&e, "a customer could not be looked at again")
                        .await;
                    if inner.stopping() {
                        return;
                    }
                    work.dirty.insert(name);
                }
            }
            // Round and round, so that a busy partition does not keep the others waiting.
            let round: Vec<PartitionId> = (work.partitions.range(next..))
                .chain(work.partitions.range(..next))
                .copied()
                .take(PARTITIONS_A_ROUND)
                .collect();
            next = round.last().map_or(next, |p| PartitionId(p.0 + 1));
            let span =
                tracing::debug_span!("fold round", partitions = round.len(), entries = Empty);
            match (fold_round(&inner, &mut partitions, &round))
                .instrument(span)
                .await
            {
                Ok(turns) => {
                    if turns.iter().any(|t| matches!(t, Turn::Lost)) {
                        lost += 1;
                        // A link of this node is known in a moment. When it goes on, another node linked.
                        if lost % LOST_TOLD == 0
                            && let Err(e) = inner.identity.refresh(&*inner.state).await
                        {
                            inner.trouble(&e, "identity could not be read again").await;
                        }
                        if lost > LOST_TOLD {
                            let why = format!("{lost} commits in a row lost a race");
                            inner.progress.failing(TASK, why);
                        }
                        if inner.stopping() {
                            return;
                        }
                        inner.env.sleep(1_000 * lost.min(100)).await;
                    } else {
                        lost = 0;
                        inner.progress.works(TASK);
                    }
                    for (p, turn) in round.iter().zip(turns) {
                        if !matches!(turn, Turn::More | Turn::Lost) {
                            work.partitions.remove(p);
                        }
                    }
                }
                Err(e) => {
                    // Nothing is known of the commits: positions are read again.
                    for p in &round {
                        partitions.remove(p);
                    }
                    inner.progress.failing(TASK, e.to_string());
                    inner.trouble(&e, "a fold round failed").await;
                    if inner.stopping() {
                        return;
                    }
                }
            }
        }
    }
}

/// Reads, folds and commits one batch of each partition.
async fn fold_round(
    inner: &Arc<Inner>,
    partitions: &mut BTreeMap<PartitionId, Partition>,
    round: &[PartitionId],
) -> luopan_store::Result<Vec<Turn>> {
    let mut turns: Vec<Turn> = Vec::with_capacity(round.len());
    // Asked before anything is read: what is appended from now on comes with a wake-up of its own.
    let heads = inner.log.heads(round).await?;
    let heads: BTreeMap<PartitionId, Position> = round.iter().copied().zip(heads).collect();
    let mut read: Vec<(PartitionId, Vec<LogMessage>)> = Vec::new();
    open_all(inner, partitions, round).await?;
    // Rows of a round are in memory together: the round is bounded, not only each partition's share of it.
    let mut wanted_entries = 0;
    for id in round {
        if wanted_entries >= inner.limits.fold_round_entries_max {
            turns.push(Turn::More);
            continue;
        }
        if !inner.fleet.owns(*id) {
            partitions.remove(id);
            turns.push(Turn::Idle);
            continue;
        }
        let partition = open(inner, partitions, *id).await?;
        if partition.halted {
            turns.push(Turn::Halted);
            continue;
        }
        let messages = inner
            .log
            .read(*id, partition.next, inner.limits.fold_bytes_max)
            .await?;
        if messages.is_empty() {
            let next = partition.next;
            if id.0 == luopan_kernel::ENVIRONMENT_PARTITION && inner.catalogues.behind() > 0 {
                // A snapshot that could not be made when its commit was.
                inner.refresh_catalogues(next).await?;
                inner.progress.folded(*id, next, &[]);
            }
            turns.push(Turn::Idle);
            continue;
        }
        let entries: u64 = messages.iter().map(|m| u64::from(m.count)).sum();
        turns.push(Turn::More);
        wanted_entries += entries.min(inner.limits.fold_entries_max as u64);
        read.push((*id, messages));
    }
    // Decode, and find which rows are wanted: one read for the whole round.
    let mut batches: Vec<(PartitionId, Vec<Entry<'_>>)> = Vec::with_capacity(read.len());
    let mut drained: BTreeSet<PartitionId> = BTreeSet::new();
    for (id, messages) in &read {
        let Some(partition) = partitions.get(id) else {
            continue;
        };
        match decode(messages, partition.next, inner.limits.fold_entries_max) {
            Ok(entries) => {
                let end = Position(partition.next.0 + entries.len() as u64);
                if heads.get(id).is_some_and(|head| end >= *head) {
                    drained.insert(*id);
                }
                batches.push((*id, entries));
            }
            Err(e) => {
                let what = format!("log message cannot be read: {e}");
                unreadable(inner, partitions, *id, &e, &what).await?;
            }
        }
    }
    let mut wanted: Vec<(PartitionId, BTreeSet<RowName>)> = Vec::with_capacity(batches.len());
    let mut keys = Vec::new();
    for (id, entries) in &batches {
        let named: BTreeSet<RowName> = if id.0 == luopan_kernel::ENVIRONMENT_PARTITION {
            BTreeSet::new()
        } else {
            entries.iter().filter_map(names).collect()
        };
        keys.extend(named.iter().map(|n| rows::profile(n.0, n.1)));
        wanted.push((*id, named));
    }
    let mut values = inner.state.get(&keys).await?.into_iter();
    let mut loaded: BTreeMap<PartitionId, Rows> = BTreeMap::new();
    for (id, named) in wanted {
        let mut batch = Rows::default();
        batch.slots.reserve(named.len());
        for name in named {
            let Some(value) = values.next().flatten() else {
                continue;
            };
            let running = (partitions.get(&id)).and_then(|p| p.running.scenes.get(&name.0));
            let row = match running {
                Some(scene) => CustomerRow::decode_for(&value, scene.fold.layout()),
                None => CustomerRow::decode(&value),
            };
            match row {
                Ok(row) => {
                    batch.slots.insert(
                        name,
                        Slot {
                            row,
                            touched: false,
                        },
                    );
                }
                Err(e) => {
                    let what = format!("row of {} cannot be read: {e}", describe(name.0, name.1));
                    unreadable(inner, partitions, id, &e, &what).await?;
                }
            }
        }
        loaded.insert(id, batch);
    }
    let taken: BTreeSet<PartitionId> = batches.iter().map(|(id, _)| *id).collect();
    ask_side_table(inner, &batches, &mut loaded).await?;
    let mut ready = Vec::with_capacity(batches.len());
    let mut environment = None;
    if let Some((_, entries)) =
        (batches.iter()).find(|(id, _)| id.0 == luopan_kernel::ENVIRONMENT_PARTITION)
    {
        environment = Some(Environment::load(inner, entries).await?);
    }
    for (id, entries) in &batches {
        let (Some(partition), Some(mut batch)) = (partitions.get_mut(id), loaded.remove(id)) else {
            continue;
        };
        if partition.halted {
            continue;
        }
        if let Some(Entry::SceneApplied {
            scene, version, at, ..
        }) = entries.first()
        {
            if !switch(inner, partition, *scene, *version, *at).await? {
                drained.remove(id);
            }
            continue;
        }
        // A panic is caught, the batch is dropped, and nothing of it is committed.
        let folded = catch_unwind(AssertUnwindSafe(|| {
            fold_batch(inner, partition, &mut batch, &mut environment, entries)
        }));
        match folded {
            Ok(Ok(r)) => ready.push(r),
            Ok(Err(reason)) => halt(inner, partitions, *id, &reason).await?,
            Err(panic) => {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("a panic without words");
                halt(
                    inner,
                    partitions,
                    *id,
                    &format!("the fold panicked: {words}"),
                )
                .await?;
            }
        }
    }
    let entries: usize = batches.iter().map(|(_, entries)| entries.len()).sum();
    tracing::Span::current().record("entries", entries);
    let span = tracing::debug_span!("fold commit", partitions = ready.len());
    commit_round(inner, partitions, ready, &drained)
        .instrument(span)
        .await?;
    for (p, turn) in round.iter().zip(&mut turns) {
        match partitions.get(p) {
            Some(p) if p.halted => *turn = Turn::Halted,
            // A commit that lost a race let go of the partition; what did not come to its turn was not opened.
            None if !inner.fleet.owns(*p) => *turn = Turn::Idle,
            None if taken.contains(p) => *turn = Turn::Lost,
            None => *turn = Turn::More,
            Some(p) if drained.contains(&p.id) => *turn = Turn::Idle,
            Some(_) => {}
        }
    }
    Ok(turns)
}

/// Entries from `next` on, at most `most`; a scene change stands alone at the front of a batch.
fn decode(
    messages: &[LogMessage],
    next: Position,
    most: usize,
) -> luopan_kernel::codec::Result<Vec<Entry<'_>>> {
    let mut out = Vec::new();
    for m in messages {
        let skip = next.0.saturating_sub(m.first.0) as usize;
        for entry in decode_message(&m.message)?.into_iter().skip(skip) {
            let switches = matches!(entry, Entry::SceneApplied { .. });
            if switches && !out.is_empty() {
                return Ok(out);
            }
            out.push(entry);
            if switches || out.len() >= most {
                return Ok(out);
            }
        }
    }
    Ok(out)
}

/// Spilled event ids of the profiles that ask for it.
async fn ask_side_table(
    inner: &Inner,
    batches: &[(PartitionId, Vec<Entry<'_>>)],
    loaded: &mut BTreeMap<PartitionId, Rows>,
) -> luopan_store::Result<()> {
    let mut asked = Vec::new();
    for (id, entries) in batches {
        let Some(batch) = loaded.get(id) else {
            continue;
        };
        for entry in entries {
            if let Entry::Event(e) = entry
                && let Some(slot) = batch.slots.get(&(e.scene, e.identifier))
                && slot.row.profile.seen.spilled_until().is_some()
            {
                asked.push((*id, e.scene, e.identifier, e.dedup_hash()));
            }
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = asked
        .iter()
        .map(|(_, s, i, h)| rows::dedup(*s, *i, *h))
        .collect();
    for ((id, scene, identifier, hash), value) in
        asked.into_iter().zip(inner.state.get(&keys).await?)
    {
        if let (Some(value), Some(batch)) = (value, loaded.get_mut(&id))
            && let Ok(expiry) = rows::decode_number(&value)
        {
            batch
                .spilled
                .insert((scene, identifier, hash), Micros(expiry as i64));
        }
    }
    Ok(())
}

fn fold_batch(
    inner: &Inner,
    partition: &mut Partition,
    batch: &mut Rows,
    environment: &mut Option<Environment>,
    entries: &[Entry<'_>],
) -> Result<Ready, String> {
    let from = partition.next;
    let to = Position(from.0 + entries.len() as u64);
    let mut effects = Effects::default();
    let mut environment = (partition.id.0 == luopan_kernel::ENVIRONMENT_PARTITION)
        .then(|| environment.take())
        .flatten();
    for (i, entry) in entries.iter().enumerate() {
        if let Some(environment) = &mut environment {
            environment.step(entry, from.0 + i as u64);
            continue;
        }
        let position = Position(from.0 + i as u64 + 1);
        match step(&partition.running, batch, &mut effects, entry, position) {
            Step::Done => {}
            Step::Unknown(scene) => {
                return Err(format!(
                    "position {} is of scene {}, which is not applied here",
                    position.0 - 1,
                    scene.0
                ));
            }
            Step::Switch(scene, _) => {
                return Err(format!(
                    "scene {} is applied within a batch; it must stand alone",
                    scene.0
                ));
            }
        }
    }
    let at = entries.last().map(Entry::at).unwrap_or_default();
    // Read before identity is looked at: a link that commits in between makes this commit lose, and the batch is folded again.
    let linked_at = inner.identity.epoch_row(partition.id);
    let place = Place {
        partition: partition.id,
        end: to,
        at,
        counts: &partition.counts,
    };
    let finished = finish(&partition.running, &inner.identity, &place, batch, &effects);
    let mut commit = Commit::new(Durability::Replayable);
    commit.advance = Some(Advance {
        partition: partition.id,
        from,
        to,
    });
    commit.expect.push(partition.claim.clone());
    commit.expect.push(linked_at);
    Ok(Ready {
        partition: partition.id,
        from,
        to,
        finished,
        effects,
        environment,
        commit,
    })
}

/// Commits a round in one call, then tells whoever waits.
async fn commit_round(
    inner: &Arc<Inner>,
    partitions: &mut BTreeMap<PartitionId, Partition>,
    mut ready: Vec<Ready>,
    drained: &BTreeSet<PartitionId>,
) -> luopan_store::Result<()> {
    if ready.is_empty() {
        return Ok(());
    }
    let settled: Vec<Settled> = ready
        .iter()
        .flat_map(|r| r.effects.settled.iter().cloned())
        .collect();
    let mut samples = crate::learner::sample_rows(inner, &settled)
        .await?
        .into_iter();
    for r in &mut ready {
        let mine: Vec<_> = samples
            .by_ref()
            .take(r.effects.settled.len())
            .flatten()
            .collect();
        let commit = &mut r.commit;
        commit.writes.append(&mut r.finished.writes);
        if let Some(environment) = &r.environment {
            commit.writes.append(&mut environment.writes());
        }
        commit.budgets.append(&mut r.finished.budgets);
        commit
            .writes
            .extend(mine.iter().map(relay::OutboxRow::write));
        r.finished.outbox.extend(mine);
    }
    // One row that no store takes halts its partition; the others of the round go on.
    let mut fits = Vec::with_capacity(ready.len());
    for r in ready {
        match too_large(&r.commit) {
            None => fits.push(r),
            Some(why) => halt(inner, partitions, r.partition, &why).await?,
        }
    }
    let mut ready = fits;
    let commits = ready
        .iter_mut()
        .map(|r| std::mem::replace(&mut r.commit, Commit::new(Durability::Replayable)))
        .collect();
    let answers = inner.state.commit(commits).await?;
    let mut environment = None;
    for (r, answer) in ready.into_iter().zip(answers) {
        match answer {
            Ok(_) => {
                if let Some(p) = partitions.get_mut(&r.partition) {
                    p.next = r.to;
                    p.counts = r.finished.counts;
                }
                Counters::add(&inner.counters.folded, r.effects.folded);
                Counters::add(&inner.counters.duplicate, r.effects.duplicates.len() as u64);
                Counters::add(&inner.counters.rewards, r.effects.settled.len() as u64);
                if let Some(due) = r.finished.timer {
                    inner.timers.set(r.partition, due);
                }
                for name in r.finished.dirty {
                    inner.look_again_at(name);
                }
                // Who linked, perhaps another node, left marks.
                if inner.fleet.is_shared() && r.effects.links > 0 {
                    look_at_marks(inner, &[r.partition]).await?;
                }
                inner.outbox.put(r.finished.outbox);
                if let Some(folded) = &r.environment {
                    inner.catalogues.note(folded, r.to.0 - r.from.0);
                    environment = Some((r.partition, r.to));
                    continue;
                }
                inner
                    .progress
                    .folded(r.partition, r.to, &r.effects.duplicates);
            }
            Err(Conflict::Position { found, .. }) => {
                tracing::info!(
                    partition = r.partition.0,
                    from = r.from.0,
                    found = found.0,
                    "another worker folded here"
                );
                partitions.remove(&r.partition);
            }
            Err(other) => {
                tracing::debug!(partition = r.partition.0, conflict = %other, "a fold commit is tried again");
                partitions.remove(&r.partition);
                // A link of this node is known in a moment; one of another node has to be read.
                if inner.fleet.is_shared() && is_of_identity(&other) {
                    inner
                        .identity
                        .refresh_at(&*inner.state, r.partition)
                        .await?;
                }
            }
        }
    }
    if let Some((partition, to)) = environment {
        // Whoever waits for the position decides over the new catalogue. While more is waiting to be folded nobody can wait
        // for less, so one snapshot serves many commits.
        if drained.contains(&partition) || inner.catalogues.behind() >= REFRESH_ENTRIES_MAX {
            inner.refresh_catalogues(to).await?;
            inner.progress.folded(partition, to, &[]);
        }
    }
    Ok(())
}

/// True when somebody linked meanwhile.
pub(super) fn is_of_identity(conflict: &Conflict) -> bool {
    matches!(conflict, Conflict::Changed { key } if key.table == Table::Identity)
}

/// What a store would refuse for its size.
fn too_large(commit: &Commit) -> Option<String> {
    commit.writes.iter().find_map(|w| {
        let bytes = w.value.as_ref().map_or(0, Bytes::len);
        (bytes > VALUE_BYTES_MAX).then(|| {
            let whose = rows::parse_scene_and_id(&w.key.key)
                .map_or_else(String::new, |(scene, id)| {
                    format!(" of {}", describe(scene, id))
                });
            format!(
                "a {:?} row{whose} would have {bytes} bytes, the limit is {VALUE_BYTES_MAX}",
                w.key.table
            )
        })
    })
}

/// Switches a partition to another version of a scene, exactly at the entry that says so. False when somebody else was here
/// meanwhile, and the entry has to be looked at again.
async fn switch(
    inner: &Arc<Inner>,
    partition: &mut Partition,
    scene: SceneNo,
    version: u32,
    at: Micros,
) -> luopan_store::Result<bool> {
    let from = partition.next;
    let to = Position(from.0 + 1);
    let mut commit = Commit::new(Durability::Replayable);
    commit.advance = Some(Advance {
        partition: partition.id,
        from,
        to,
    });
    commit.expect.push(partition.claim.clone());
    // Read before identity is looked at, as in a fold: what is rebuilt must not be that of an older identity.
    commit.expect.push(inner.identity.epoch_row(partition.id));
    let present = partition.running.scenes.get(&scene).cloned();
    let mut running = partition.running.clone();
    let mut counts = partition.counts.clone();
    let mut timer = None;
    let mut dirty = Vec::new();
    if present.as_ref().is_none_or(|p| p.version < version) {
        if inner.scenes.version(scene, version).is_none() {
            // Another node applied it.
            inner.learn_scenes().await?;
        }
        let Some(new) = inner.scenes.version(scene, version) else {
            return Err(luopan_store::Error::Corrupt {
                store: "log",
                at: format!("partition {} position {}", partition.id.0, from.0),
                cause: format!(
                    "scene {} version {version} is applied but not recorded",
                    scene.0
                ),
            });
        };
        commit.writes.push(Write {
            key: rows::scene_version(scene, partition.id),
            value: Some(rows::encode_number(u64::from(version))),
        });
        running.scenes.insert(scene, new.clone());
        if let Some(old) = present {
            // Log retention may replace the snapshot that the profiles are folded from: then they are folded again.
            let snapshot = crate::snapshot::unchanged(inner, partition.id).await?;
            commit.expect.push(snapshot);
            let rebuilt =
                rebuild::rebuild(inner, partition.id, from, &old, &new, &counts, at).await?;
            commit.writes.extend(rebuilt.writes);
            counts = rebuilt.counts;
            timer = rebuilt.timer;
            dirty = rebuilt.dirty;
        }
    }
    match inner.state.commit(vec![commit]).await?.pop() {
        Some(Ok(_)) => {
            partition.next = to;
            partition.running = running;
            partition.counts = counts;
            if let Some(due) = timer {
                inner.timers.set(partition.id, due);
            }
            for name in dirty {
                inner.look_again_at(name);
            }
            if partition.id.0 == luopan_kernel::ENVIRONMENT_PARTITION {
                // Also where no item changed: a snapshot that was read before this commit would otherwise name an earlier
                // version than one that is read after it.
                inner.refresh_catalogues(to).await?;
            }
            inner.progress.folded(partition.id, to, &[]);
            Ok(true)
        }
        // Somebody else was here, or linked: what this worker knows of the partition is not worth anything any more.
        _ => {
            inner.identity.learn(&*inner.state, &[partition.id]).await?;
            *partition = load_one(inner, partition.id).await?;
            Ok(false)
        }
    }
}

/// Halts a partition that holds what this program cannot read. What a newer program wrote is no damage: the alarm stands here
/// alone, so that a node which knows more folds on, and this one when it is started again as the newer program.
async fn unreadable(
    inner: &Inner,
    partitions: &mut BTreeMap<PartitionId, Partition>,
    id: PartitionId,
    e: &luopan_kernel::codec::Error,
    reason: &str,
) -> luopan_store::Result<()> {
    if !matches!(e, luopan_kernel::codec::Error::Newer { .. }) {
        return halt(inner, partitions, id, reason).await;
    }
    tracing::error!(
        partition = id.0,
        reason,
        "the partition is halted on this node"
    );
    if let Some(p) = partitions.get_mut(&id) {
        p.halted = true;
    }
    inner.progress.halted(id, reason);
    Ok(())
}

/// Halts a partition with an alarm that outlives a restart; `luopan verify` and `/readyz` tell of it.
async fn halt(
    inner: &Inner,
    partitions: &mut BTreeMap<PartitionId, Partition>,
    id: PartitionId,
    reason: &str,
) -> luopan_store::Result<()> {
    tracing::error!(partition = id.0, reason, "the partition is halted");
    let mut commit = Commit::new(Durability::Durable);
    commit.writes.push(Write {
        key: rows::halt(id),
        value: Some(Bytes::copy_from_slice(reason.as_bytes())),
    });
    inner.state.commit(vec![commit]).await?;
    if let Some(p) = partitions.get_mut(&id) {
        p.halted = true;
    }
    inner.progress.halted(id, reason);
    Ok(())
}
