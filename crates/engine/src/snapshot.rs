//! Snapshots of what a partition's log told up to a position: what folding its entries gives, so that the entries themselves may be let
//! go. Rebuilding and `verify` begin there, and go on as if they had read everything.
//!
//! A snapshot is made by replaying, never taken from State: what State says is still compared with it. It holds the rows as they stood at
//! its position, and of each scene version that the log switches to behind it and that lays profiles out anew, the profiles as that version
//! folds them: they could not be folded again.
//!
//! Who makes snapshots has a claim, a row that every write here expects: of two at once, the one that claimed first writes nothing more.
//! One snapshot stands at a time. Its rows are written first, then the row with an empty key that tells of it, then the log is truncated: cut off
//! anywhere, the older one holds, or the newer one with more log than it needs.

use crate::fold::core::{Rows, Running, Slot};
use crate::row::CustomerRow;
use crate::rows::{self, IdentityRow};
use crate::scenes::SceneRuntime;
use crate::{Inner, limits};
use bytes::Bytes;
use luopan_kernel::codec::{self, Reader, Writer};
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo, hash128};
use luopan_kernel::profile::Layout;
use luopan_kernel::time::Micros;
use luopan_store::{
    Commit, Conflict, Durability, Error, Expect, Result, Row, RowKey, Table, Write,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Format of the row that tells of a snapshot.
const FORMAT: u8 = 1;
/// Rows read or written at once.
const ROWS_AT_ONCE: usize = 1_000;
/// How often a snapshot is read again that was replaced while it was read.
const READ_TIMES_MAX: usize = 3;

/// Kinds of parts; the byte behind the position.
mod kind {
    pub(super) const ROW: u8 = 1;
    pub(super) const SPILLED: u8 = 2;
    pub(super) const LINK: u8 = 3;
    pub(super) const ENVIRONMENT: u8 = 4;
}

/// What is told of a snapshot.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Header {
    /// Entries below this position are in it.
    pub(crate) at: Position,
    /// When it was made.
    pub(crate) made_at: Micros,
    /// Everything in it was received before.
    pub(crate) before: Micros,
    /// Scene versions that the partition ran at the position.
    pub(crate) running: Vec<(SceneNo, u32)>,
    /// What was given back to budgets, and taken again late, by entries below the position.
    pub(crate) voided: BTreeMap<String, i64>,
    pub(crate) late: BTreeMap<String, i64>,
    /// Number of its parts, and their hash in the order of keys.
    parts: u64,
    hash: u128,
}

impl Header {
    /// Tells of nothing yet.
    pub(crate) fn new(at: Position, made_at: Micros, before: Micros) -> Self {
        Self {
            at,
            made_at,
            before,
            ..Self::default()
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::with_format(FORMAT);
        w.uint(self.at.0);
        w.int(self.made_at.0);
        w.int(self.before.0);
        w.uint(self.running.len() as u64);
        for (scene, version) in &self.running {
            w.uint(u64::from(scene.0));
            w.uint(u64::from(*version));
        }
        for sums in [&self.voided, &self.late] {
            w.uint(sums.len() as u64);
            for (budget, amount) in sums {
                w.str(budget);
                w.int(*amount);
            }
        }
        w.uint(self.parts);
        w.raw(&self.hash.to_le_bytes());
        w.into_bytes().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> codec::Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("snapshot", FORMAT)?;
        let mut out = Self {
            at: Position(r.uint()?),
            made_at: Micros(r.int()?),
            before: Micros(r.int()?),
            ..Self::default()
        };
        for _ in 0..r.count(2)? {
            let (scene, version) = (r.uint()?, r.uint()?);
            let scene = u16::try_from(scene).map_err(|_| r.malformed("scene number"))?;
            let version = u32::try_from(version).map_err(|_| r.malformed("scene version"))?;
            out.running.push((SceneNo(scene), version));
        }
        for sums in [&mut out.voided, &mut out.late] {
            for _ in 0..r.count(2)? {
                let budget = r.str()?.to_owned();
                sums.insert(budget, r.int()?);
            }
        }
        out.parts = r.uint()?;
        out.hash = u128::from_le_bytes(r.array()?);
        r.done()?;
        Ok(out)
    }
}

/// Rows of one scene as one version of it folds them.
pub(crate) type Image = (SceneNo, u32);

/// A snapshot of a partition of customers.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) header: Header,
    /// Rows by the version that folded them: that which ran at the position, and those that the log switches to behind it.
    images: BTreeMap<Image, Parts>,
    pub(crate) links: BTreeMap<IdentifierId, IdentityRow>,
}

/// Rows of an image.
#[derive(Debug, Default)]
struct Parts {
    rows: BTreeMap<IdentifierId, CustomerRow>,
    spilled: BTreeMap<(IdentifierId, u128), Micros>,
}

impl Snapshot {
    /// An empty one at this position.
    pub(crate) fn new(header: Header, links: BTreeMap<IdentifierId, IdentityRow>) -> Self {
        Self {
            header,
            links,
            images: BTreeMap::new(),
        }
    }

    /// Adds the rows of a scene as a version of it folded them; `alone`: of the profiles only.
    pub(crate) fn add(&mut self, image: Image, rows: &Rows, last: Micros, alone: bool) {
        let parts = self.images.entry(image).or_default();
        for ((_, id), slot) in (rows.slots.iter()).filter(|((s, _), _)| *s == image.0) {
            let row = match alone {
                true => CustomerRow {
                    folded_to: slot.row.folded_to,
                    ..CustomerRow::new(slot.row.profile.clone())
                },
                false => slot.row.clone(),
            };
            parts.rows.insert(*id, row);
        }
        let held = rows.spilled.iter().filter(|((s, ..), expiry)| {
            *s == image.0 && expiry.0.saturating_add(limits::SPILLED_KEPT_US) > last.0
        });
        parts
            .spilled
            .extend(held.map(|((_, id, hash), expiry)| ((*id, *hash), *expiry)));
    }

    /// The rows of a scene as this version of it folds them.
    pub(crate) fn rows_for(&self, scene: &SceneRuntime) -> Rows {
        self.rows_as((scene.no, scene.version), scene.fold.layout())
    }

    /// The rows of a scene in this layout: as this version folds them where it is known, else from the newest that is. Tags
    /// that none of them had begin at the snapshot.
    pub(crate) fn rows_as(&self, image: Image, layout: &Layout) -> Rows {
        let mut out = Rows::default();
        let no = image.0;
        let of_scene = (no, 0)..=(no, u32::MAX);
        let exact = self.images.get(&image);
        // A version that came later knows more tags than one before it.
        let newest = || self.images.range(of_scene).next_back().map(|(_, p)| p);
        let Some(parts) = exact.or_else(newest) else {
            return out;
        };
        for (id, row) in &parts.rows {
            let mut row = row.clone();
            row.profile.adapt(layout);
            let slot = Slot {
                row,
                touched: false,
            };
            out.slots.insert((no, *id), slot);
        }
        let spilled = parts.spilled.iter();
        out.spilled = spilled
            .map(|((id, hash), expiry)| ((no, *id, *hash), *expiry))
            .collect();
        out
    }

    /// The rows of all scenes that ran at its position, and which ran.
    pub(crate) fn running(&self, inner: &Inner) -> Result<(Running, Rows)> {
        let (mut running, mut rows) = (Running::default(), Rows::default());
        for (scene, version) in &self.header.running {
            let runtime = inner
                .scenes
                .version(*scene, *version)
                .ok_or_else(|| Error::no_scene(*scene, *version))?;
            let mine = self.rows_for(&runtime);
            rows.slots.extend(mine.slots);
            rows.spilled.extend(mine.spilled);
            running.scenes.insert(*scene, runtime);
        }
        Ok((running, rows))
    }

    fn parts(&self) -> Vec<(Vec<u8>, Bytes)> {
        let mut out = Vec::new();
        for ((scene, version), parts) in &self.images {
            let image = [&scene.0.to_be_bytes()[..], &version.to_be_bytes()].concat();
            for (id, row) in &parts.rows {
                let key = [&[kind::ROW][..], &image, &id.0].concat();
                out.push((key, row.encode().into()));
            }
            for ((id, hash), expiry) in &parts.spilled {
                let key = [&[kind::SPILLED][..], &image, &id.0, &hash.to_be_bytes()].concat();
                out.push((key, rows::encode_number(expiry.0 as u64)));
            }
        }
        for (id, link) in &self.links {
            out.push(([&[kind::LINK][..], &id.0].concat(), link.encode()));
        }
        out
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let mut r = Reader::new(key);
        match r.u8().ok()? {
            kind::ROW => {
                let (image, id) = (image(&mut r)?, IdentifierId(r.array().ok()?));
                let row = CustomerRow::decode(value).ok()?;
                self.images.entry(image).or_default().rows.insert(id, row);
            }
            kind::SPILLED => {
                let (image, id) = (image(&mut r)?, IdentifierId(r.array().ok()?));
                let hash = u128::from_be_bytes(r.array().ok()?);
                let expiry = Micros(rows::decode_number(value).ok()? as i64);
                let parts = self.images.entry(image).or_default();
                parts.spilled.insert((id, hash), expiry);
            }
            kind::LINK => {
                let id = IdentifierId(r.array().ok()?);
                self.links.insert(id, IdentityRow::decode(value).ok()?);
            }
            _ => return None,
        }
        r.done().ok()
    }

    /// The snapshot of a partition of customers; none where nothing was let go.
    pub(crate) async fn read(inner: &Inner, partition: PartitionId) -> Result<Option<Self>> {
        let Some((header, parts)) = read(inner, partition).await? else {
            return Ok(None);
        };
        let mut out = Self::new(header, BTreeMap::new());
        // A version without rows is an image too.
        for image in out.header.running.clone() {
            out.images.entry(image).or_default();
        }
        for (key, value) in parts {
            out.take(&key, &value)
                .ok_or_else(|| corrupt(partition, "a part cannot be read"))?;
        }
        Ok(Some(out))
    }

    /// Writes the snapshot of a partition of customers in place of the one before it, as long as `unchanged` stands.
    pub(crate) async fn write(
        self,
        inner: &Inner,
        partition: PartitionId,
        claim: &Expect,
        unchanged: Vec<Expect>,
    ) -> Result<u64> {
        let parts = self.parts();
        write(inner, partition, self.header, parts, claim, unchanged).await
    }
}

fn image(r: &mut Reader<'_>) -> Option<Image> {
    let scene = u16::from_be_bytes(r.array().ok()?);
    Some((SceneNo(scene), u32::from_be_bytes(r.array().ok()?)))
}

/// What a partition's log tells up to a snapshot, to fold what is behind it: nothing where there is none.
///
/// # Errors
/// [`Error::Corrupt`] when the log begins behind what is there to begin from.
pub(crate) async fn start_of(
    inner: &Inner,
    partition: PartitionId,
) -> Result<Option<Arc<Snapshot>>> {
    let found = Snapshot::read(inner, partition).await?;
    covers(inner, partition, found.as_ref().map(|s| s.header.at)).await?;
    Ok(found.map(Arc::new))
}

/// Refuses a log that begins behind the position up to which all is known.
pub(crate) async fn covers(
    inner: &Inner,
    partition: PartitionId,
    known: Option<Position>,
) -> Result<()> {
    let begin = inner.log.begins(&[partition]).await?[0];
    let known = known.unwrap_or_default();
    if begin > known {
        return Err(corrupt(
            partition,
            &format!(
                "the log begins at {}, and what it told before is known up to {} only; restore a backup",
                begin.0, known.0
            ),
        ));
    }
    Ok(())
}

fn corrupt(partition: PartitionId, cause: &str) -> Error {
    Error::Corrupt {
        store: "state",
        at: format!("the snapshot of partition {}", partition.0),
        cause: cause.to_owned(),
    }
}

fn key(partition: PartitionId, key: Vec<u8>) -> RowKey {
    RowKey {
        table: Table::Snapshot,
        partition,
        key: key.into(),
    }
}

fn hash_of(hash: u128, key: &[u8], value: &[u8]) -> u128 {
    let lengths = [key.len() as u64, value.len() as u64].map(u64::to_le_bytes);
    hash128(&[&hash.to_le_bytes()[..], &lengths.concat(), key, value].concat())
}

async fn header(inner: &Inner, partition: PartitionId) -> Result<Option<(Bytes, Header)>> {
    let found = inner.state.get(&[key(partition, Vec::new())]).await?.pop();
    let Some(value) = found.flatten() else {
        return Ok(None);
    };
    let read = Header::decode(&value).map_err(|e| corrupt(partition, &e.to_string()))?;
    Ok(Some((value, read)))
}

/// Position of a partition's snapshot; 0 where there is none.
pub(crate) async fn position(inner: &Inner, partition: PartitionId) -> Result<Position> {
    let found = header(inner, partition).await?;
    Ok(found.map_or(Position(0), |(_, h)| h.at))
}

type Read = (Header, Vec<(Vec<u8>, Bytes)>);

/// What is told of a partition's snapshot, and its parts; none where nothing was let go.
async fn read(inner: &Inner, partition: PartitionId) -> Result<Option<Read>> {
    for _ in 0..READ_TIMES_MAX {
        let Some((before, told)) = header(inner, partition).await? else {
            return Ok(None);
        };
        let prefix = told.at.0.to_be_bytes();
        let mut parts = Vec::new();
        let (mut from, mut hash) = (prefix.to_vec(), 0);
        let to = (told.at.0 + 1).to_be_bytes();
        loop {
            let found = (inner.state)
                .scan(Table::Snapshot, partition, &from, Some(&to), ROWS_AT_ONCE)
                .await?;
            let Some(last) = found.last() else { break };
            from = [&last.key[..], &[0]].concat();
            for Row { key, value } in found {
                let key = key[prefix.len()..].to_vec();
                hash = hash_of(hash, &key, &value);
                parts.push((key, value));
            }
        }
        // One that was replaced meanwhile may have been read in part.
        if header(inner, partition)
            .await?
            .is_none_or(|(now, _)| now != before)
        {
            continue;
        }
        if (parts.len() as u64, hash) != (told.parts, told.hash) {
            return Err(corrupt(
                partition,
                &format!(
                    "it has {} parts that are not the {} that were written; restore a backup",
                    parts.len(),
                    told.parts
                ),
            ));
        }
        return Ok(Some((told, parts)));
    }
    Err(Error::Unavailable {
        store: "state",
        tried: format!("read the snapshot of partition {}", partition.0),
        cause: "it was replaced again and again".to_owned(),
    })
}

/// Where the claim of who truncates stands: in no partition that holds a snapshot.
const CLAIM: PartitionId = PartitionId(u16::MAX);

/// Claims the making of snapshots: whoever had it before writes none any more.
pub(crate) async fn claim(inner: &Inner) -> Result<Expect> {
    let key = key(CLAIM, b"claim".to_vec());
    let value = Some(rows::encode_claim(inner.fleet.id(), inner.env.fresh_id()));
    let mut commit = Commit::new(Durability::Durable);
    commit.writes.push(Write {
        key: key.clone(),
        value: value.clone(),
    });
    inner.state.commit(vec![commit]).await?;
    Ok(Expect { key, value })
}

/// That the snapshot of a partition is the one that stands now.
pub(crate) async fn unchanged(inner: &Inner, partition: PartitionId) -> Result<Expect> {
    let key = key(partition, Vec::new());
    let value = inner.state.get(std::slice::from_ref(&key)).await?.pop();
    Ok(Expect {
        key,
        value: value.flatten(),
    })
}

/// Makes durable what is not yet, if the claim still stands: State must never fall back behind where the log begins.
pub(crate) async fn seal(inner: &Inner, claim: &Expect) -> Result<()> {
    run(inner, Commit::new(Durability::Durable), claim, CLAIM).await
}

/// Writes a snapshot in place of the one before it; gives the number of its parts.
async fn write(
    inner: &Inner,
    partition: PartitionId,
    mut told: Header,
    mut parts: Vec<(Vec<u8>, Bytes)>,
    claim: &Expect,
    unchanged: Vec<Expect>,
) -> Result<u64> {
    // Whoever lost the claim has nothing to compare or to remove here.
    run(inner, Commit::new(Durability::Replayable), claim, partition).await?;
    let before = header(inner, partition).await?;
    if let Some((_, before)) = &before
        && before.at >= told.at
    {
        return Err(corrupt(
            partition,
            &format!(
                "it stands at {}, one of {} would fall back; nothing more is let go",
                before.at.0, told.at.0
            ),
        ));
    }
    parts.sort_unstable();
    told.parts = parts.len() as u64;
    told.hash = (parts.iter()).fold(0, |hash, (key, value)| hash_of(hash, key, value));
    let prefix = told.at.0.to_be_bytes();
    // What a snapshot of this position that was cut off left behind.
    sweep(
        inner,
        partition,
        &prefix,
        Some(&(told.at.0 + 1).to_be_bytes()),
        claim,
    )
    .await?;
    for some in parts.chunks(ROWS_AT_ONCE) {
        let mut commit = Commit::new(Durability::Replayable);
        commit.writes.extend(some.iter().map(|(part, value)| Write {
            key: key(partition, [&prefix[..], part].concat()),
            value: Some(value.clone()),
        }));
        run(inner, commit, claim, partition).await?;
    }
    // Durable with all before it.
    let mut commit = Commit::new(Durability::Durable);
    commit.expect.push(Expect {
        key: key(partition, Vec::new()),
        value: before.map(|(value, _)| value),
    });
    commit.expect.extend(unchanged);
    commit.writes.push(Write {
        key: key(partition, Vec::new()),
        value: Some(told.encode()),
    });
    run(inner, commit, claim, partition).await?;
    Ok(told.parts)
}

/// Removes what is left of snapshots other than the one that stands.
pub(crate) async fn sweep_others(
    inner: &Inner,
    partition: PartitionId,
    claim: &Expect,
) -> Result<()> {
    let Some((_, told)) = header(inner, partition).await? else {
        return sweep(inner, partition, &[0], None, claim).await;
    };
    let (at, after) = (told.at.0.to_be_bytes(), (told.at.0 + 1).to_be_bytes());
    sweep(inner, partition, &[0], Some(&at), claim).await?;
    sweep(inner, partition, &after, None, claim).await
}

async fn sweep(
    inner: &Inner,
    partition: PartitionId,
    from: &[u8],
    to: Option<&[u8]>,
    claim: &Expect,
) -> Result<()> {
    loop {
        let found = (inner.state)
            .scan(Table::Snapshot, partition, from, to, ROWS_AT_ONCE)
            .await?;
        if found.is_empty() {
            return Ok(());
        }
        let mut commit = Commit::new(Durability::Replayable);
        commit.writes.extend(found.into_iter().map(|row| Write {
            key: key(partition, row.key.to_vec()),
            value: None,
        }));
        run(inner, commit, claim, partition).await?;
    }
}

async fn run(
    inner: &Inner,
    mut commit: Commit,
    claim: &Expect,
    partition: PartitionId,
) -> Result<()> {
    commit.expect.push(claim.clone());
    for outcome in inner.state.commit(vec![commit]).await? {
        outcome.map_err(|conflict: Conflict| Error::Unavailable {
            store: "state",
            tried: format!("write the snapshot of partition {}", partition.0),
            cause: format!("{conflict}: somebody else truncates the log, or a scene was applied meanwhile; try again"),
        })?;
    }
    Ok(())
}

/// The rows of the environment as they stood at a position; none where nothing was let go.
pub(crate) async fn read_environment(
    inner: &Inner,
    partition: PartitionId,
) -> Result<Option<(Position, Vec<(Table, Row)>)>> {
    let found = read(inner, partition).await?;
    covers(inner, partition, found.as_ref().map(|(h, _)| h.at)).await?;
    let Some((told, parts)) = found else {
        return Ok(None);
    };
    let mut out = Vec::with_capacity(parts.len());
    for (part, value) in parts {
        let table = match part.split_first_chunk::<2>() {
            Some(([kind::ENVIRONMENT, table], key)) => (Table::ALL.into_iter())
                .find(|t| *t as u8 == *table)
                .map(|t| (t, Bytes::copy_from_slice(key))),
            _ => None,
        };
        let (table, key) = table.ok_or_else(|| corrupt(partition, "a part cannot be read"))?;
        out.push((table, Row { key, value }));
    }
    Ok(Some((told.at, out)))
}

/// Writes the rows of the environment as they stood at a position.
pub(crate) async fn write_environment(
    inner: &Inner,
    partition: PartitionId,
    told: Header,
    rows: Vec<(Table, Row)>,
    claim: &Expect,
) -> Result<u64> {
    let parts = rows.into_iter().map(|(table, row)| {
        let key = [&[kind::ENVIRONMENT, table as u8][..], &row.key].concat();
        (key, row.value)
    });
    write(inner, partition, told, parts.collect(), claim, Vec::new()).await
}
