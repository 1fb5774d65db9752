//! Verify: the log is replayed from its snapshots or from nothing, a partition at a time in memory, and what comes out is compared with State
//! byte for byte. Ledgers are rebuilt from decisions, identity from link entries, models from their streams.
//!
//! It uses the same fold core as the live workers, but none of their batching, caching or committing.

use crate::api::{Result, VerifyReport};
use crate::contacts::{ContactEntry, ContactsRow};
use crate::decisions::budget_names;
use crate::environment::fold::{self, ENVIRONMENT};
use crate::environment::rows::{ItemRow, name_of_prefix};
use crate::fold::core::{RowName, Rows, Running};
use crate::fold::finish::{Counts, Finished, membership, settle_row};
use crate::replay::Replay;
use crate::row::{CustomerRow, NEVER};
use crate::rows::{self, IdentityRow};
use crate::{Inner, snapshot};
use bytes::Bytes;
use luopan_kernel::event::Origin;
use luopan_kernel::id::{CustomerId, DEFAULT_TENANT, IdentifierId, PartitionId, SceneNo, TenantId};
use luopan_kernel::profile::Profile;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_store::keys::following;
use luopan_store::{Table, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SCAN_ROWS: usize = 5_000;
/// Most segment counts of a partition: every segment of every scene.
const COUNTS_MAX: usize = 1_000_000;
/// Entries of the environment that are replayed at once: more are replayed in several passes, each over a share of the items.
const ENTRIES_A_PASS: u64 = 5_000_000;
/// Most differences told in words.
const TOLD_MAX: usize = 100;

/// What is gathered over all partitions.
#[derive(Default)]
struct Gathered {
    report: VerifyReport,
    /// Rows of identifiers that are linked, for the end.
    linked: BTreeMap<RowName, CustomerRow>,
    links: BTreeMap<IdentifierId, IdentityRow>,
    voided: BTreeMap<String, i64>,
    /// Spent above the limit, for sends confirmed after their money was given back.
    late: BTreeMap<String, i64>,
    counts: BTreeMap<PartitionId, Counts>,
    running: BTreeMap<PartitionId, Running>,
    erased: Option<BTreeSet<(TenantId, IdentifierId)>>,
    replaying: Duration,
}

impl Gathered {
    fn differs(&mut self, words: impl FnOnce() -> String) {
        self.report.differences_count += 1;
        if self.report.differences.len() < TOLD_MAX {
            self.report.differences.push(words());
        }
    }
}

pub(crate) async fn verify(inner: &Inner) -> Result<VerifyReport> {
    let mut all = Gathered::default();
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        replay(inner, p, &mut all).await?;
    }
    environment(inner, &mut all).await?;
    linked_customers(inner, &mut all).await?;
    counts(inner, &mut all).await?;
    identity(inner, &mut all).await?;
    ledgers(inner, &mut all).await?;
    models(inner, &mut all).await?;
    for (partition, reason) in inner.progress.halts() {
        all.differs(|| format!("partition {partition} is halted: {reason}"));
    }
    all.report.replay_seconds = all.replaying.as_secs_f64();
    Ok(all.report)
}

/// Replays one partition and compares its rows.
async fn replay(
    inner: &Inner,
    partition: PartitionId,
    all: &mut Gathered,
) -> luopan_store::Result<()> {
    let until = inner.reflected(&[partition]).await?[0];
    let mut replay = Replay::begin(inner, partition).await?;
    replay.run(inner, until, None).await?;
    all.report.entries += replay.entries;
    all.report.snapshots += u64::from(replay.from.0 > 0);
    all.report.truncated += replay.from.0;
    all.replaying += replay.spent;
    for words in replay.wrong.drain(..) {
        all.differs(|| words);
    }
    for (budget, amount) in &replay.voided {
        *all.voided.entry(budget.clone()).or_default() += amount;
    }
    for (budget, amount) in &replay.late {
        *all.late.entry(budget.clone()).or_default() += amount;
    }
    for (id, row) in &replay.links {
        let known = all.links.get(id);
        if known.is_none_or(|r| r.revision < row.revision) {
            all.links.insert(*id, *row);
        }
    }
    let seen: BTreeSet<IdentifierId> = replay.rows.slots.keys().map(|(_, id)| *id).collect();
    names(inner, partition, seen.into_iter().collect(), all).await?;
    compare(inner, partition, &replay.running, replay.rows, all).await?;
    all.running.insert(partition, replay.running);
    Ok(())
}

/// Every identifier that the log tells of is known to the key store: without it, who comes back is somebody new.
async fn names(
    inner: &Inner,
    partition: PartitionId,
    ids: Vec<IdentifierId>,
    all: &mut Gathered,
) -> luopan_store::Result<()> {
    for some in ids.chunks(SCAN_ROWS) {
        let found = inner.keys.reveal(DEFAULT_TENANT, some).await?;
        let unknown: Vec<IdentifierId> = (some.iter().zip(found))
            .filter_map(|(id, name)| name.is_none().then_some(*id))
            .collect();
        if unknown.is_empty() {
            continue;
        }
        let erased = erased(inner, all).await?;
        let lost: Vec<_> = (unknown.into_iter())
            .filter(|id| !erased.contains(&(DEFAULT_TENANT, *id)))
            .collect();
        for id in lost {
            all.differs(|| {
                format!(
                    "partition {}: identifier {id} is not in the key store",
                    partition.0
                )
            });
        }
    }
    Ok(())
}

/// Ids that were erased; read when the first id is met that the key store does not know.
async fn erased<'a>(
    inner: &Inner,
    all: &'a mut Gathered,
) -> luopan_store::Result<&'a BTreeSet<(TenantId, IdentifierId)>> {
    if all.erased.is_none() {
        let mut found = BTreeSet::new();
        let mut from = Some((TenantId(0), IdentifierId([0; 16])));
        while let Some(at) = from {
            let some = inner.keys.erased(at, SCAN_ROWS).await?;
            from = some.last().and_then(|last| following(*last));
            found.extend(some);
        }
        all.erased = Some(found);
    }
    Ok(all.erased.get_or_insert_default())
}

/// Catalogue items, their past and their NAVs, from the environment partition, and the snapshots laid out from them.
async fn environment(inner: &Inner, all: &mut Gathered) -> luopan_store::Result<()> {
    let until = inner.reflected(&[ENVIRONMENT]).await?[0];
    let from = snapshot::position(inner, ENVIRONMENT).await?;
    all.report.snapshots += u64::from(from.0 > 0);
    all.report.truncated += from.0;
    let passes = (until.0 - from.0) / ENTRIES_A_PASS + 1;
    for pass in 0..passes {
        let start = std::time::Instant::now();
        let (replayed, read, end) = fold::replay(inner, until, pass, passes).await?;
        all.replaying += start.elapsed();
        if pass == 0 {
            all.report.entries += read;
            if end < until {
                all.differs(|| {
                    format!(
                        "the environment's state is at {}, its log ends at {}",
                        until.0, end.0
                    )
                });
            }
        }
        let mut wanted: BTreeMap<(Table, Bytes), Bytes> = (replayed.writes().into_iter())
            .filter_map(|w| Some(((w.key.table, w.key.key), w.value?)))
            .collect();
        drop(replayed);
        for table in [Table::Item, Table::ItemPast, Table::Nav] {
            let mut from = Vec::new();
            loop {
                let found = (inner.state)
                    .scan(table, ENVIRONMENT, &from, None, SCAN_ROWS)
                    .await?;
                let Some(end) = found.last() else { break };
                from = [&end.key[..], &[0]].concat();
                for row in found {
                    let (_, _, key) = match table {
                        Table::Item => ItemRow::read(&row)?.0,
                        _ => name_of_prefix(&row)?,
                    };
                    if luopan_kernel::id::hash64(key.as_bytes()) % passes != pass {
                        continue;
                    }
                    all.report.rows += 1;
                    if wanted.remove(&(table, row.key.clone())).as_ref() != Some(&row.value) {
                        all.differs(|| {
                            format!("catalogue {table:?} row {} differs", hex(&row.key))
                        });
                    }
                }
            }
        }
        for (table, key) in wanted.into_keys() {
            all.differs(|| format!("catalogue {table:?} row {} is missing in state", hex(&key)));
        }
    }
    for words in inner.verify_catalogues().await? {
        all.differs(|| words);
    }
    Ok(())
}

/// Compares the rows of identifiers that are linked to nobody; keeps the others for the end.
async fn compare(
    inner: &Inner,
    partition: PartitionId,
    running: &Running,
    rows: Rows,
    all: &mut Gathered,
) -> luopan_store::Result<()> {
    let mut out = Finished::default();
    let mut spilled = Vec::new();
    let mut last: BTreeMap<SceneNo, Micros> = BTreeMap::new();
    let slots: BTreeMap<RowName, CustomerRow> =
        rows.slots.into_iter().map(|(n, s)| (n, s.row)).collect();
    for (name, mut row) in slots {
        let Some(scene) = running.scenes.get(&name.0) else {
            continue;
        };
        let at = last.entry(name.0).or_default();
        *at = (*at).max(row.profile.last_log_time);
        row.timer_at = None;
        if inner.identity.row(name.1).is_some() || !inner.identity.is_single(name.1) {
            all.linked.insert(name, row);
            continue;
        }
        let (members, flip) = membership(scene, &[&row.profile]);
        settle_row(&mut out, scene, name, &mut row, &[], members, flip);
    }
    for ((scene, id, hash), expiry) in rows.spilled {
        let now = last.get(&scene).copied().unwrap_or_default();
        if expiry > now {
            spilled.push(Write {
                key: rows::dedup(scene, id, hash),
                value: Some(rows::encode_number(expiry.0 as u64)),
            });
        }
    }
    let mut wanted: BTreeMap<(Table, Bytes), Bytes> = BTreeMap::new();
    for w in out.writes.into_iter().chain(spilled) {
        if let Some(value) = w.value {
            wanted.insert((w.key.table, w.key.key), value);
        }
    }
    for (scene, runtime) in &running.scenes {
        let key = rows::scene_version(*scene, partition).key;
        wanted.insert(
            (Table::SceneVersion, key),
            rows::encode_number(u64::from(runtime.version)),
        );
    }
    all.counts.insert(partition, out.counts);
    for table in [
        Table::Profile,
        Table::Timer,
        Table::Member,
        Table::Dedup,
        Table::SceneVersion,
    ] {
        let mut from = Vec::new();
        loop {
            let found = inner
                .state
                .scan(table, partition, &from, None, SCAN_ROWS)
                .await?;
            let Some(end) = found.last() else { break };
            from = [&end.key[..], &[0]].concat();
            for row in found {
                if set_aside(inner, table, &row.key, &row.value, &last) {
                    continue;
                }
                all.report.rows += 1;
                match wanted.remove(&(table, row.key.clone())) {
                    Some(w) if w == row.value => {}
                    Some(_) => all.differs(|| {
                        format!(
                            "partition {}: {table:?} row {} differs",
                            partition.0,
                            hex(&row.key)
                        )
                    }),
                    None => all.differs(|| {
                        format!(
                            "partition {}: {table:?} row {} is not in the replay",
                            partition.0,
                            hex(&row.key)
                        )
                    }),
                }
            }
        }
    }
    for ((table, key), _) in wanted {
        all.differs(|| {
            format!(
                "partition {}: {table:?} row {} is missing in state",
                partition.0,
                hex(&key)
            )
        });
    }
    Ok(())
}

/// Rows that are compared elsewhere or say nothing: those of linked identifiers, those made for a link that is gone, and
/// spilled event ids past their expiry.
fn set_aside(
    inner: &Inner,
    table: Table,
    key: &[u8],
    value: &[u8],
    last: &BTreeMap<SceneNo, Micros>,
) -> bool {
    if table == Table::Profile
        && CustomerRow::decode(value)
            .is_ok_and(|r| r.has_seen_nothing() && r.profile.segments.indexes.is_empty())
    {
        return true;
    }
    let id = match table {
        Table::Profile => rows::parse_scene_and_id(key).map(|(_, i)| i),
        Table::Timer => rows::parse_timer(key).map(|(_, _, i)| i),
        Table::Member => key
            .get(10..26)
            .and_then(|k| k.try_into().ok())
            .map(IdentifierId),
        Table::Dedup => {
            let expiry = rows::decode_number(value).map_or(0, |v| v as i64);
            let now = rows::parse_scene_and_id(key)
                .and_then(|(s, _)| last.get(&s).copied())
                .unwrap_or_default();
            return expiry <= now.0;
        }
        _ => None,
    };
    id.is_some_and(|i| inner.identity.row(i).is_some() || !inner.identity.is_single(i))
}

/// Customers of several identifiers: membership is that of the merged profiles.
async fn linked_customers(inner: &Inner, all: &mut Gathered) -> luopan_store::Result<()> {
    let mut linked = std::mem::take(&mut all.linked);
    let customers: BTreeSet<(SceneNo, CustomerId)> = linked
        .keys()
        .map(|(s, i)| (*s, inner.identity.customer(*i)))
        .collect();
    for (scene_no, customer) in &customers {
        let name = (*scene_no, *customer);
        let running = all.running.get(&customer.partition());
        let Some(scene) = running.and_then(|r| r.scenes.get(scene_no)).cloned() else {
            continue;
        };
        if linked.contains_key(&name) {
            continue;
        }
        // The canonical identifier has seen no entry itself: its row was made when it was linked.
        let others = inner.identity.identifiers(*customer);
        if others.len() > 1 {
            linked.insert(
                name,
                CustomerRow::new(Profile::new(*customer, scene.fold.layout(), NEVER)),
            );
        }
    }
    let names: Vec<RowName> = linked.keys().copied().collect();
    for name in names {
        let running = all.running.get(&name.1.partition());
        let Some(scene) = running.and_then(|r| r.scenes.get(&name.0)).cloned() else {
            continue;
        };
        let canonical = inner.identity.customer(name.1) == name.1;
        let alone = inner.identity.is_single(name.1)
            && linked.get(&name).is_some_and(CustomerRow::has_seen_nothing);
        let (members, flip) = if canonical && !alone {
            let profiles: Vec<&Profile> = (inner.identity.identifiers(name.1).iter())
                .filter_map(|i| linked.get(&(name.0, *i)).map(|r| &r.profile))
                .collect();
            membership(&scene, &profiles)
        } else {
            Default::default()
        };
        let Some(row) = linked.get_mut(&name) else {
            continue;
        };
        let mut out = Finished::default();
        settle_row(&mut out, &scene, name, row, &[], members, flip);
        let counts = all.counts.entry(name.1.partition()).or_default();
        for (k, n) in &out.counts {
            *counts.entry(*k).or_default() += n;
        }
        let keys: Vec<_> = out.writes.iter().map(|w| w.key.clone()).collect();
        let stored = inner.state.get(&keys).await?;
        for (w, s) in out.writes.iter().zip(stored) {
            all.report.rows += 1;
            if w.value != s {
                all.differs(|| {
                    format!(
                        "partition {}: {:?} row {} of a linked customer differs",
                        w.key.partition.0,
                        w.key.table,
                        hex(&w.key.key)
                    )
                });
            }
        }
    }
    Ok(())
}

async fn counts(inner: &Inner, all: &mut Gathered) -> luopan_store::Result<()> {
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let wanted = all.counts.remove(&p).unwrap_or_default();
        let mut wanted: BTreeMap<Bytes, u64> = (wanted.into_iter())
            .filter(|(_, n)| *n > 0)
            .map(|((s, g), n)| (rows::member_count(s, g, p).key, n))
            .collect();
        let stored = (inner.state)
            .scan(Table::MemberCount, p, &[], None, COUNTS_MAX)
            .await?;
        for row in stored {
            all.report.rows += 1;
            let found = rows::decode_number(&row.value).ok();
            let n = wanted.remove(&row.key).unwrap_or(0);
            if found != Some(n) {
                all.differs(|| {
                    format!(
                        "partition {}: segment count {} is {found:?}, the replay has {n}",
                        p.0,
                        hex(&row.key)
                    )
                });
            }
        }
        for (key, n) in wanted {
            all.differs(|| {
                format!(
                    "partition {}: segment count {} is missing, the replay has {n}",
                    p.0,
                    hex(&key)
                )
            });
        }
    }
    Ok(())
}

/// Identity rows and customers' lists, from the link entries alone.
async fn identity(inner: &Inner, all: &mut Gathered) -> luopan_store::Result<()> {
    let links = std::mem::take(&mut all.links);
    let mut wanted: BTreeMap<(Table, Bytes), Bytes> = BTreeMap::new();
    let mut customers: BTreeMap<CustomerId, BTreeSet<IdentifierId>> = BTreeMap::new();
    for (id, row) in &links {
        wanted.insert((Table::Identity, rows::identity(*id).key), row.encode());
        if row.customer != *id {
            customers
                .entry(row.customer)
                .or_insert_with(|| BTreeSet::from([row.customer]))
                .insert(*id);
        }
    }
    for (customer, ids) in customers {
        let ids: Vec<_> = ids.into_iter().collect();
        if let Some(value) = rows::customer_content(&ids) {
            wanted.insert((Table::Customer, rows::customer(customer).key), value);
        }
    }
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        for table in [Table::Identity, Table::Customer] {
            let mut from = Vec::new();
            loop {
                let found = (inner.state).scan(table, p, &from, None, SCAN_ROWS).await?;
                let Some(end) = found.last() else { break };
                from = [&end.key[..], &[0]].concat();
                // The row without a key says how often identity changed.
                for row in found.iter().filter(|r| !r.key.is_empty()) {
                    all.report.rows += 1;
                    if wanted.remove(&(table, row.key.clone())).as_ref() != Some(&row.value) {
                        all.differs(|| {
                            format!(
                                "{table:?} row {} differs from the link entries",
                                hex(&row.key)
                            )
                        });
                    }
                }
            }
        }
    }
    for ((table, key), _) in wanted {
        all.differs(|| format!("{table:?} row {} is missing in state", hex(&key)));
    }
    Ok(())
}

/// Contacts and budgets, rebuilt from decision records and voided holds.
async fn ledgers(inner: &Inner, all: &mut Gathered) -> luopan_store::Result<()> {
    let mut contacts: BTreeMap<Ledger, Contacts> = BTreeMap::new();
    let mut spent: BTreeMap<String, i64> = BTreeMap::new();
    let mut limits: BTreeMap<String, i64> = BTreeMap::new();
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let mut from = Vec::new();
        loop {
            let found = inner
                .state
                .scan(Table::Decision, p, &from, None, SCAN_ROWS)
                .await?;
            let Some(end) = found.last() else { break };
            from = [&end.key[..], &[0]].concat();
            for row in found {
                all.report.decisions += 1;
                let record = match DecisionRecord::decode(&row.value) {
                    Ok(r) => r,
                    Err(e) => {
                        all.differs(|| format!("decision {} cannot be read: {e}", hex(&row.key)));
                        continue;
                    }
                };
                let scene = inner.scenes.version(record.scene, record.scene_version);
                let found = scene
                    .as_ref()
                    .and_then(|s| Some((s, s.plan.policy(&record.policy)?)));
                let Some((scene, policy)) = found else {
                    all.differs(|| {
                        format!(
                            "decision {} is of policy `{}` of scene {} version {}, which is not recorded here",
                            record.request.decision, record.policy, record.scene.0, record.scene_version
                        )
                    });
                    continue;
                };
                let (now, origin) = (record.request.moment.now, record.request.origin);
                let names = budget_names(&*inner.env, scene, origin, now);
                for d in &record.decision.debits {
                    let i = usize::from(d.budget);
                    if let (Some(name), Some(budget)) = (names.get(i), scene.plan.budgets.get(i)) {
                        *spent.entry(name.clone()).or_default() += d.amount;
                        let limit = limits.entry(name.clone()).or_default();
                        *limit = (*limit).max(budget.limit);
                    }
                }
                contacts
                    .entry((record.scene, origin, record.identifier))
                    .or_default()
                    .extend(record.decision.choices.iter().map(|c| {
                        let contact = ContactEntry {
                            at: now,
                            decision: record.request.decision,
                            policy: policy.name.clone(),
                            channel: policy.channel.clone(),
                            item: c.item.clone(),
                        };
                        (contact, record.scene_version)
                    }));
            }
        }
    }
    for (budget, amount) in std::mem::take(&mut all.voided) {
        *spent.entry(budget).or_default() -= amount;
    }
    let late = std::mem::take(&mut all.late);
    for (budget, amount) in &late {
        *spent.entry(budget.clone()).or_default() += amount;
    }
    let stored: BTreeMap<String, i64> = inner.state.budgets().await?.into_iter().collect();
    for name in spent.keys().chain(stored.keys()).collect::<BTreeSet<_>>() {
        all.report.rows += 1;
        let (rebuilt, kept) = (
            spent.get(name).copied().unwrap_or(0),
            stored.get(name).copied().unwrap_or(0),
        );
        if rebuilt != kept {
            all.differs(|| {
                format!("budget {name}: decisions spend {rebuilt}, the ledger says {kept}")
            });
        }
        let late = late.get(name).copied().unwrap_or(0);
        if (limits.get(name)).is_some_and(|l| kept > l.saturating_add(late)) {
            all.differs(|| {
                format!(
                    "budget {name}: {kept} is spent, over its limit of {}",
                    limits[name]
                )
            });
        }
    }
    contact_rows(inner, contacts, all).await
}

/// Whose contacts, in which ledger.
type Ledger = (SceneNo, Origin, IdentifierId);

/// Contacts of an identifier as its decisions made them, each with the scene version it was decided under.
type Contacts = BTreeMap<ContactEntry, u32>;

/// Compares contact rows with decisions, and counts the caps again.
///
/// A row holds nothing but real contacts, and all that the needs of every version since then have kept: a version that is
/// newer may reach further back than what an older one left.
async fn contact_rows(
    inner: &Inner,
    mut made: BTreeMap<Ledger, Contacts>,
    all: &mut Gathered,
) -> luopan_store::Result<()> {
    for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let mut from = Vec::new();
        loop {
            let found = (inner.state)
                .scan(Table::Contacts, p, &from, None, SCAN_ROWS)
                .await?;
            let Some(end) = found.last() else { break };
            from = [&end.key[..], &[0]].concat();
            for row in found {
                all.report.rows += 1;
                let (Some(ledger), Ok(stored)) = (
                    rows::parse_contacts(&row.key),
                    ContactsRow::decode(&row.value),
                ) else {
                    all.differs(|| format!("contacts row {} cannot be read", hex(&row.key)));
                    continue;
                };
                let contacts = made.remove(&ledger).unwrap_or_default();
                compare_contacts(inner, ledger, &contacts, &stored.contacts, all);
            }
        }
    }
    for (ledger, contacts) in made.iter().filter(|(_, c)| !c.is_empty()) {
        compare_contacts(inner, *ledger, contacts, &[], all);
    }
    Ok(())
}

fn compare_contacts(
    inner: &Inner,
    (scene, origin, id): Ledger,
    made: &Contacts,
    stored: &[ContactEntry],
    all: &mut Gathered,
) {
    let whose = format!(
        "contacts of identifier {id} in scene {} ({})",
        scene.0,
        origin.word()
    );
    if let Some(c) = stored.iter().find(|c| !made.contains_key(c)) {
        all.differs(|| format!("{whose}: that of {} is of no decision", c.decision));
    }
    let mut required: BTreeMap<&ContactEntry, u32> = made.iter().map(|(c, v)| (c, *v)).collect();
    for version in inner.scenes.versions(scene) {
        let mut row = ContactsRow::default();
        row.add(made.keys().cloned(), &version.contact_needs);
        let kept: BTreeSet<ContactEntry> = row.contacts.into_iter().collect();
        required.retain(|c, decided| *decided > version.version || kept.contains(*c));
    }
    let stored: BTreeSet<&ContactEntry> = stored.iter().collect();
    if let Some((c, _)) = required.iter().find(|(c, _)| !stored.contains(**c)) {
        all.differs(|| format!("{whose}: that of {} is missing", c.decision));
    }
    caps(inner, scene, &whose, made, all);
}

/// Counts the caps of one identifier at each of its contacts, by the version that decided it.
fn caps(inner: &Inner, scene: SceneNo, whose: &str, made: &Contacts, all: &mut Gathered) {
    for (contact, version) in made {
        let Some(runtime) = inner.scenes.version(scene, *version) else {
            continue;
        };
        if let Some(cap) = runtime
            .contact_needs
            .exceeded(&contact.policy, contact, made.keys())
        {
            all.differs(|| format!("{whose}: decision {} is over cap `{cap}`", contact.decision));
        }
    }
}

/// Models, rebuilt from their streams.
async fn models(inner: &Inner, all: &mut Gathered) -> luopan_store::Result<()> {
    let models: Vec<_> = inner.models.read().values().cloned().collect();
    for model in models {
        let (snapshot, at) = (model.snapshot(), model.position());
        let rebuilt = crate::learner::rebuild(inner, &model, Some(snapshot.samples), true).await?;
        all.report.samples += rebuilt.state.samples;
        all.report.rows += 1;
        if rebuilt.state.encode() != snapshot.encode() {
            all.differs(|| format!("model {} at {} differs from its stream", model.name, at.0));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
