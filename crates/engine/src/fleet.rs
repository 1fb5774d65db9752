//! Several engines over one set of stores: who lives, which partitions are this node's, and what this node has to learn of
//! the others. Each partition falls to one of the nodes that live by rendezvous hashing (Thaler and Ravishankar 1998), so that
//! all who see the same nodes agree without a word, and a node that comes or goes moves its own share alone.
//!
//! Nothing rests on it for safety: two nodes may see different sets for a moment. Whoever folds a partition holds its claim, a
//! row that every commit of the fold expects unchanged ([`crate::fold::worker`]).

use crate::counters::Counters;
use crate::fold::core::RowName;
use crate::pages::Pages;
use crate::relay;
use crate::{Inner, rows};
use bytes::Bytes;
use luopan_kernel::event::{Entry, Link, encode_message};
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo, hash64};
use luopan_kernel::time::{Micros, SECOND_US};
use luopan_store::{Append, Node, RowKey, Table};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// How often a node tells that it lives.
pub const BEAT_US: i64 = SECOND_US;
/// How long it counts as alive without telling again: the longest that the partitions of a node that died stand still, but for
/// what the survivors need to take them over.
pub const LIFE_US: i64 = 4 * SECOND_US;
/// How often State is asked how far others have folded, while somebody waits for it.
const ASK_US: i64 = 5_000;
/// Beats between two looks at what transactions left behind of which nothing was heard.
const SWEEP_BEATS: u64 = 10;
/// Most marks looked at then.
const SWEPT_MARKS: usize = 1_000;

/// What this node knows of the others.
#[derive(Debug)]
pub(crate) struct Fleet {
    node: Node,
    /// Ids of the nodes that live, ascending; this one is among them.
    living: RwLock<Vec<[u8; 16]>>,
    /// True once it told that it lives.
    told: AtomicBool,
    /// Partitions that fell to it could not be taken over: all are, with the next beat.
    begins_anew: AtomicBool,
    /// Partitions of others that somebody here waits for, and how many do.
    awaited: Mutex<BTreeMap<PartitionId, usize>>,
    /// Customers whose membership a node that owns another partition has to look at again, and who has not been told.
    untold: Mutex<BTreeSet<RowName>>,
    /// When this node last told that it lives; [`i64::MIN`] before it ever did.
    told_at: AtomicI64,
    pub(crate) wake: luopan_store::Signal,
}

/// Somebody waits for a partition that another node folds.
pub(crate) struct Awaited<'f>(&'f Fleet, PartitionId);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut awaited = self.0.awaited.lock();
        if let Some(n) = awaited.get_mut(&self.1) {
            *n -= 1;
            if *n == 0 {
                awaited.remove(&self.1);
            }
        }
    }
}

impl Fleet {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            living: RwLock::new(vec![node.id]),
            node,
            told: AtomicBool::new(false),
            begins_anew: AtomicBool::new(false),
            awaited: Mutex::default(),
            untold: Mutex::default(),
            told_at: AtomicI64::new(i64::MIN),
            wake: luopan_store::Signal::default(),
        }
    }

    /// The id of this node.
    pub(crate) fn id(&self) -> [u8; 16] {
        self.node.id
    }

    /// True when other nodes live.
    pub(crate) fn is_shared(&self) -> bool {
        self.living.read().len() > 1
    }

    /// When this node last told that it lives.
    pub(crate) fn told_at(&self) -> Option<Micros> {
        let at = self.told_at.load(Ordering::Relaxed);
        (at != i64::MIN).then_some(Micros(at))
    }

    /// Number of nodes that live.
    pub(crate) fn len(&self) -> usize {
        self.living.read().len()
    }

    /// True when the partition falls to this node.
    pub(crate) fn owns(&self, partition: PartitionId) -> bool {
        let living = self.living.read();
        living.len() <= 1 || owner(&living, partition) == Some(self.node.id)
    }

    fn awaits(&self, partition: PartitionId) -> Awaited<'_> {
        *self.awaited.lock().entry(partition).or_default() += 1;
        self.wake.notify();
        Awaited(self, partition)
    }
}

/// The node that a partition falls to: the one of the greatest hash.
fn owner(living: &[[u8; 16]], partition: PartitionId) -> Option<[u8; 16]> {
    (living.iter().copied())
        .max_by_key(|id| (hash64(&[&id[..], &partition.0.to_be_bytes()].concat()), *id))
}

/// Every partition that somebody has to work on: those of customers, the environment's, and the learners' streams.
async fn all(inner: &Inner) -> luopan_store::Result<Vec<PartitionId>> {
    let mut out: Vec<_> = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
        .map(PartitionId)
        .collect();
    out.extend(inner.control.streams().await?.into_iter().map(|(_, p)| p));
    Ok(out)
}

/// Tells that this node lives and takes over what falls to it, until the engine stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut left = Left::default();
    for n in 1u64.. {
        if inner.stopping() {
            break;
        }
        if let Err(e) = beat(&inner).await {
            tracing::warn!(error = %e, "this node could not tell that it lives; trying again");
        }
        if n.is_multiple_of(SWEEP_BEATS)
            && let Err(e) = left.sweep(&inner).await
        {
            tracing::warn!(error = %e, "what was left behind could not be looked for; trying again");
        }
        let (slept, woken) = (inner.env.sleep(BEAT_US), inner.fleet_end.wait(u64::MAX));
        futures::future::select(slept, std::pin::pin!(woken)).await;
    }
    if let Err(e) = inner.nodes.leave(inner.fleet.id()).await {
        tracing::warn!(error = %e, "this node could not say that it ends; the others notice in a moment");
    }
}

/// What the last look found of transactions of which nothing was heard: they took effect, and nobody does what they left to do.
/// What the next look finds still there is done.
#[derive(Debug, Default)]
struct Left {
    outbox: HashSet<RowKey>,
    marks: BTreeSet<RowName>,
    scenes: BTreeSet<(SceneNo, u32)>,
}

impl Left {
    async fn sweep(&mut self, inner: &Arc<Inner>) -> luopan_store::Result<()> {
        let mut own = all(inner).await?;
        own.retain(|p| inner.fleet.owns(*p));
        relay::sweep(inner, &own, &mut self.outbox).await?;
        reclaim(inner).await?;
        let marks = (inner.state)
            .scan_partitions(Table::Dirty, &own, SWEPT_MARKS)
            .await?;
        let names = (marks.iter()).filter_map(|(_, row)| rows::parse_scene_and_id(&row.key));
        let found: BTreeSet<RowName> = names.collect();
        for name in found.intersection(&self.marks) {
            inner.inbox_of(name.1.partition()).dirty(*name);
        }
        self.marks = found;
        inner.sweep_scenes(&mut self.scenes).await
    }
}

/// Tells once, and acts on what has changed.
pub(crate) async fn beat(inner: &Arc<Inner>) -> luopan_store::Result<()> {
    let now = inner.env.now();
    let beat = inner.nodes.beat(&inner.fleet.node, LIFE_US).await?;
    inner.fleet.told_at.store(now.0, Ordering::Relaxed);
    let living: Vec<_> = beat.living.into_iter().map(|n| n.id).collect();
    let told_before = inner.fleet.told.swap(true, Ordering::SeqCst);
    let lapsed =
        inner.fleet.begins_anew.swap(false, Ordering::SeqCst) || beat.lapsed && told_before;
    let before = std::mem::replace(&mut *inner.fleet.living.write(), living.clone());
    if (before != living || lapsed) && inner.is_started() {
        if lapsed {
            tracing::warn!(
                "this node was silent for so long that others may have taken it for dead; it begins its partitions anew"
            );
        }
        tracing::info!(nodes = living.len(), "other nodes came or went");
        // Who waits for a partition that is folded elsewhere from now on has to ask there.
        inner.progress.moved.notify();
        let gone = before.iter().any(|id| !living.contains(id));
        let (mut mine, mut taken) = (BTreeSet::new(), 0);
        for p in all(inner).await? {
            let owns = owner(&living, p) == Some(inner.fleet.id());
            let owned = owner(&before, p) == Some(inner.fleet.id());
            // What a node that is gone left behind may stand in any partition.
            if owns && (gone || lapsed || !owned) {
                mine.insert(p);
                taken += u64::from(gone && !owned);
            }
        }
        if let Err(e) = take_over(inner, &mine).await {
            // As if it had not been seen: the next beat takes them over.
            *inner.fleet.living.write() = before;
            inner.fleet.begins_anew.store(true, Ordering::SeqCst);
            return Err(e);
        }
        Counters::add(&inner.counters.takeovers, taken);
    }
    if living.len() > 1 {
        inner.learn_scenes().await?;
        learn_links(inner).await?;
        reclaim(inner).await?;
        learn_positions(inner).await?;
    }
    Ok(())
}

/// Has those partitions begun anew that fall to this node and were claimed by another since: one that saw other nodes than this
/// one did, for a moment. It may have set timers there that nobody here knows of.
async fn reclaim(inner: &Inner) -> luopan_store::Result<()> {
    let own: Vec<_> = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
        .map(PartitionId)
        .filter(|p| inner.fleet.owns(*p))
        .collect();
    let claims = (inner.state)
        .scan_partitions(Table::Claim, &own, own.len())
        .await?;
    for (partition, claim) in claims {
        if !rows::is_claim_of(&claim.value, inner.fleet.id()) {
            inner.inbox_of(partition).anew(partition);
        }
    }
    Ok(())
}

/// Reads how far others have folded what this node knows to be appended: else its lag would only grow, and intake end at it.
async fn learn_positions(inner: &Inner) -> luopan_store::Result<()> {
    let behind: Vec<_> = (0..luopan_kernel::PARTITIONS)
        .map(PartitionId)
        .filter(|p| inner.progress.waiting(*p) > 0 && !inner.fleet.owns(*p))
        .collect();
    let found = inner.state.positions(&behind).await?;
    for (p, at) in behind.into_iter().zip(found) {
        inner.progress.folded(p, at, &[]);
    }
    let env = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
    if inner.progress.waiting(env) > 0 && !inner.fleet.owns(env) {
        let found = inner.state.positions(&[env]).await?;
        for at in found {
            follow_environment(inner, at).await?;
        }
    }
    Ok(())
}

/// Reads what other nodes linked. A decision whose commit meets such a link reads it at once, and so does who looks at a
/// customer.
async fn learn_links(inner: &Inner) -> luopan_store::Result<()> {
    let partitions: Vec<_> = (0..luopan_kernel::PARTITIONS).map(PartitionId).collect();
    inner.identity.learn(&*inner.state, &partitions).await
}

/// Goes on where another node stopped: what was to be relayed, looked at again, fired and folded.
pub(crate) async fn take_over(
    inner: &Arc<Inner>,
    partitions: &BTreeSet<PartitionId>,
) -> luopan_store::Result<()> {
    let (folded, streams): (Vec<_>, Vec<_>) =
        (partitions.iter().copied()).partition(|p| p.0 <= luopan_kernel::ENVIRONMENT_PARTITION);
    relay::recover(inner, &streams).await?;
    // Whoever folds a partition anew takes over what was left there.
    for p in folded {
        inner.inbox_of(p).anew(p);
    }
    inner.stream_signal.notify();
    Ok(())
}

/// Has everybody in these partitions looked at again who is marked.
pub(crate) async fn look_at_marks(
    inner: &Inner,
    partitions: &[PartitionId],
) -> luopan_store::Result<()> {
    let mut pages = Pages::new(&*inner.state, Table::Dirty, partitions);
    loop {
        let found = pages.next().await?;
        if found.is_empty() {
            return Ok(());
        }
        for (partition, row) in &found {
            if let Some(name) = rows::parse_scene_and_id(&row.key) {
                inner.inbox_of(*partition).dirty(name);
            }
        }
    }
}

/// Keeps up with what other nodes fold, as far as somebody here waits for it, until the engine stops.
pub(crate) async fn follow(inner: Arc<Inner>) {
    while !inner.stopping() {
        let ticket = inner.fleet.wake.ticket();
        match follow_once(&inner).await {
            Ok(false) => inner.fleet.wake.wait(ticket).await,
            Ok(true) => inner.env.sleep(ASK_US).await,
            Err(e) => inner.trouble(&e, "other nodes could not be followed").await,
        }
    }
}

/// Asks once how far others are; false when nobody waits.
async fn follow_once(inner: &Arc<Inner>) -> luopan_store::Result<bool> {
    tell(inner).await?;
    let env = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
    let mut asked: Vec<PartitionId> = inner.fleet.awaited.lock().keys().copied().collect();
    if !asked.contains(&env) && inner.progress.waiting(env) > 0 {
        asked.push(env);
    }
    asked.retain(|p| !inner.fleet.owns(*p));
    if asked.is_empty() {
        return Ok(false);
    }
    let found = inner.state.positions(&asked).await?;
    let halts: Vec<RowKey> = asked.iter().map(|p| rows::halt(*p)).collect();
    let halts = inner.state.get(&halts).await?;
    for ((p, at), halt) in asked.iter().zip(found).zip(halts) {
        if let Some(reason) = halt {
            inner.progress.halted(*p, &String::from_utf8_lossy(&reason));
        }
        if *p == env {
            follow_environment(inner, at).await?;
        } else {
            inner.progress.folded(*p, at, &[]);
        }
    }
    Ok(true)
}

/// Brings the catalogues up to what another node folded.
pub(crate) async fn follow_environment(inner: &Inner, at: Position) -> luopan_store::Result<()> {
    let env = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
    let known = inner.progress.position(env);
    if at <= known {
        return Ok(());
    }
    inner.reach(&[env], &[at]).await?;
    inner.note_environment(known, at).await?;
    inner.refresh_catalogues(at).await?;
    inner.progress.folded(env, at, &[]);
    Ok(())
}

/// Tells the owners of other partitions whom to look at again: by the link that makes the customer one of several
/// identifiers, told once more. Folding it changes nothing.
async fn tell(inner: &Arc<Inner>) -> luopan_store::Result<()> {
    let names: Vec<RowName> = inner.fleet.untold.lock().iter().copied().collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut appends = Vec::new();
    for (_, id) in &names {
        let partition = id.partition();
        if inner.fleet.owns(partition) {
            continue;
        }
        let Some(link) = inner.link_of(*id) else {
            continue;
        };
        appends.push(Append {
            partition,
            count: 1,
            message: Bytes::from(encode_message(&[Entry::Linked(link)])),
        });
    }
    if !appends.is_empty() {
        let landed = inner.log.append(appends).await?;
        inner.heads_moved(&landed);
    }
    let mut untold = inner.fleet.untold.lock();
    for name in names {
        untold.remove(&name);
        if inner.fleet.owns(name.1.partition()) {
            inner.inbox_of(name.1.partition()).dirty(name);
        }
    }
    Ok(())
}

impl Inner {
    /// Has a customer's membership looked at again, here or where the partition is folded. The mark stands in State.
    pub(crate) fn look_again_at(&self, name: RowName) {
        if self.fleet.owns(name.1.partition()) {
            self.inbox_of(name.1.partition()).dirty(name);
        } else {
            self.fleet.untold.lock().insert(name);
            self.fleet.wake.notify();
        }
    }

    /// A link of the customer of an identifier, as it stands in the log already; none when nothing was ever linked to it.
    fn link_of(&self, id: IdentifierId) -> Option<Link> {
        let others = self.identity.identifiers(self.identity.customer(id));
        ([id].into_iter().chain(others)).find_map(|identifier| {
            let row = self.identity.row(identifier)?;
            Some(Link {
                identifier,
                customer: row.customer,
                revision: row.revision,
                at: self.log_time(),
            })
        })
    }

    /// Keeps asking for a partition that another node folds while the answer lives.
    pub(crate) fn awaits(&self, partition: PartitionId) -> Option<Awaited<'_>> {
        (!self.fleet.owns(partition)).then(|| self.fleet.awaits(partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(n: u8) -> Vec<[u8; 16]> {
        (1..=n).map(|i| [i; 16]).collect()
    }

    #[test]
    fn a_node_that_goes_moves_its_own_share_alone() {
        let (three, two) = (nodes(3), vec![[1; 16], [3; 16]]);
        let mut shares = [0; 4];
        for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
            let before = owner(&three, p).unwrap();
            shares[usize::from(before[0])] += 1;
            let after = owner(&two, p).unwrap();
            assert!(after == before || before == [2; 16], "{p:?}");
        }
        assert!(shares[1..].iter().all(|n| *n > 50), "{shares:?}");
        assert_eq!(owner(&[], PartitionId(0)), None);
    }
}
