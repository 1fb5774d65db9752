//! Keys and small values of the engine's rows in State. Every value starts with a format byte; keys are fixed forever
//! within a format of the store.

use bytes::Bytes;
use luopan_kernel::codec::{Reader, Result, Writer};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{
    CustomerId, DecisionId, IdentifierId, PartitionId, Position, SceneNo, hash64,
};
use luopan_kernel::time::Micros;
use luopan_store::{RowKey, Table};

const FORMAT: u8 = 1;

fn row(table: Table, partition: PartitionId, parts: &[&[u8]]) -> RowKey {
    RowKey {
        table,
        partition,
        key: Bytes::from(parts.concat()),
    }
}

/// Profile of an identifier in a scene.
pub(crate) fn profile(scene: SceneNo, id: IdentifierId) -> RowKey {
    row(
        Table::Profile,
        id.partition(),
        &[&scene.0.to_be_bytes(), &id.0],
    )
}

/// Scene and identifier of a profile key.
pub(crate) fn parse_scene_and_id(key: &[u8]) -> Option<(SceneNo, IdentifierId)> {
    let scene = key.get(..2)?.try_into().ok()?;
    let id = key.get(2..18)?.try_into().ok()?;
    Some((SceneNo(u16::from_be_bytes(scene)), IdentifierId(id)))
}

/// A spilled event id.
pub(crate) fn dedup(scene: SceneNo, id: IdentifierId, hash: u128) -> RowKey {
    row(
        Table::Dedup,
        id.partition(),
        &[&scene.0.to_be_bytes(), &id.0, &hash.to_be_bytes()],
    )
}

/// Order-preserving bytes of a time.
fn time_key(at: Micros) -> [u8; 8] {
    ((at.0 as u64) ^ (1 << 63)).to_be_bytes()
}

/// A timer.
pub(crate) fn timer(due: Micros, scene: SceneNo, id: IdentifierId) -> RowKey {
    row(
        Table::Timer,
        id.partition(),
        &[&time_key(due), &scene.0.to_be_bytes(), &id.0],
    )
}

/// Due time, scene and identifier of a timer key.
pub(crate) fn parse_timer(key: &[u8]) -> Option<(Micros, SceneNo, IdentifierId)> {
    let due: [u8; 8] = key.get(..8)?.try_into().ok()?;
    let (scene, id) = parse_scene_and_id(key.get(8..)?)?;
    Some((
        Micros((u64::from_be_bytes(due) ^ (1 << 63)) as i64),
        scene,
        id,
    ))
}

/// A member of a segment.
pub(crate) fn member(scene: SceneNo, segment: u64, customer: CustomerId) -> RowKey {
    row(
        Table::Member,
        customer.partition(),
        &[&scene.0.to_be_bytes(), &segment.to_be_bytes(), &customer.0],
    )
}

/// Prefix of the members of a segment within a partition.
pub(crate) fn members_prefix(scene: SceneNo, segment: u64) -> Vec<u8> {
    [&scene.0.to_be_bytes()[..], &segment.to_be_bytes()].concat()
}

/// Number of members of a segment in a partition.
pub(crate) fn member_count(scene: SceneNo, segment: u64, partition: PartitionId) -> RowKey {
    row(
        Table::MemberCount,
        partition,
        &[&scene.0.to_be_bytes(), &segment.to_be_bytes()],
    )
}

/// Identity of a linked identifier.
pub(crate) fn identity(id: IdentifierId) -> RowKey {
    row(Table::Identity, id.partition(), &[&id.0])
}

/// How often identity changed in a partition: the one row of the table without an identifier.
pub(crate) fn identity_epoch(partition: PartitionId) -> RowKey {
    row(Table::Identity, partition, &[])
}

/// Who folds a partition.
pub(crate) fn claim(partition: PartitionId) -> RowKey {
    row(Table::Claim, partition, &[])
}

/// Content of [`claim`]: the node, and a mark that no other claim has.
pub(crate) fn encode_claim(node: [u8; 16], mark: [u8; 16]) -> Bytes {
    let mut w = Writer::with_format(1);
    w.raw(&node);
    w.raw(&mark);
    w.into_bytes().into()
}

/// True when a claim is this node's.
pub(crate) fn is_claim_of(value: &[u8], node: [u8; 16]) -> bool {
    value.first() == Some(&1) && value.get(1..17) == Some(&node[..])
}

/// Identifiers of a customer who has several.
pub(crate) fn customer(id: CustomerId) -> RowKey {
    row(Table::Customer, id.partition(), &[&id.0])
}

/// An identifier whose membership has to be looked at again.
pub(crate) fn dirty(scene: SceneNo, id: IdentifierId) -> RowKey {
    row(
        Table::Dirty,
        id.partition(),
        &[&scene.0.to_be_bytes(), &id.0],
    )
}

/// Contacts of an identifier; each origin has a ledger of its own, so a rehearsal never uses up a real cap.
pub(crate) fn contacts(scene: SceneNo, origin: Origin, id: IdentifierId) -> RowKey {
    row(
        Table::Contacts,
        id.partition(),
        &[&scene.0.to_be_bytes(), &[origin as u8], &id.0],
    )
}

/// Scene, origin and identifier of a contacts key.
pub(crate) fn parse_contacts(key: &[u8]) -> Option<(SceneNo, Origin, IdentifierId)> {
    let scene = key.get(..2)?.try_into().ok()?;
    let origin = Origin::of_code(*key.get(2)?)?;
    let id = key.get(3..19)?.try_into().ok()?;
    Some((SceneNo(u16::from_be_bytes(scene)), origin, IdentifierId(id)))
}

/// The partition that a decision's record is kept in: a hash of its id, so that the id alone finds it.
pub(crate) fn decision_partition(id: DecisionId) -> PartitionId {
    IdentifierId(id.0).partition()
}

/// A decision record.
pub(crate) fn decision(id: DecisionId) -> RowKey {
    row(Table::Decision, decision_partition(id), &[&id.0])
}

/// An idempotency key.
pub(crate) fn decision_key(scene: SceneNo, key: &str) -> RowKey {
    let partition =
        PartitionId((hash64(key.as_bytes()) % u64::from(luopan_kernel::PARTITIONS)) as u16);
    row(
        Table::DecisionKey,
        partition,
        &[&scene.0.to_be_bytes(), key.as_bytes()],
    )
}

/// A row waiting to be appended to the log partition `target`, under a stable id.
pub(crate) fn outbox(target: PartitionId, id: &[u8]) -> RowKey {
    row(Table::Outbox, target, &[id])
}

/// A quarantined input.
pub(crate) fn quarantine(id: [u8; 16]) -> RowKey {
    row(Table::Quarantine, PartitionId(0), &[&id])
}

/// One row of a learner checkpoint at a position of its stream.
pub(crate) fn checkpoint(stream: PartitionId, at: Position, part: u16) -> RowKey {
    row(
        Table::Checkpoint,
        stream,
        &[&at.0.to_be_bytes(), &part.to_be_bytes()],
    )
}

/// Scene version that a partition's fold has switched to.
pub(crate) fn scene_version(scene: SceneNo, partition: PartitionId) -> RowKey {
    row(Table::SceneVersion, partition, &[&scene.0.to_be_bytes()])
}

/// The alarm of a halted partition.
pub(crate) fn halt(partition: PartitionId) -> RowKey {
    row(Table::Halt, partition, &[])
}

/// A catalogue item.
pub(crate) fn item(scene: SceneNo, catalogue: u64, key: &str) -> RowKey {
    row(
        Table::Item,
        PartitionId(luopan_kernel::ENVIRONMENT_PARTITION),
        &[
            &scene.0.to_be_bytes(),
            &catalogue.to_be_bytes(),
            key.as_bytes(),
        ],
    )
}

/// Scene, catalogue and item, so that no key is the beginning of another.
pub(crate) fn item_prefix(scene: SceneNo, catalogue: u64, key: &str) -> Vec<u8> {
    let length = key.len().min(255) as u8;
    [
        &scene.0.to_be_bytes()[..],
        &catalogue.to_be_bytes(),
        &[length],
        key.as_bytes(),
    ]
    .concat()
}

/// Scene, catalogue and item of such a prefix, and what follows it.
pub(crate) fn parse_item_prefix(key: &[u8]) -> Option<(SceneNo, u64, &str, &[u8])> {
    let (scene, rest) = key.split_first_chunk::<2>()?;
    let (catalogue, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let name = std::str::from_utf8(name).ok()?;
    Some((
        SceneNo(u16::from_be_bytes(*scene)),
        u64::from_be_bytes(*catalogue),
        name,
        rest,
    ))
}

/// What an item was from the entry at `since` on, until it was changed.
pub(crate) fn item_past(scene: SceneNo, catalogue: u64, key: &str, since: u64) -> RowKey {
    row(
        Table::ItemPast,
        PartitionId(luopan_kernel::ENVIRONMENT_PARTITION),
        &[&item_prefix(scene, catalogue, key), &since.to_be_bytes()],
    )
}

/// Net asset values of an item in a year.
pub(crate) fn nav(scene: SceneNo, catalogue: u64, key: &str, year: i32) -> RowKey {
    let year = (year as u32) ^ (1 << 31);
    row(
        Table::Nav,
        PartitionId(luopan_kernel::ENVIRONMENT_PARTITION),
        &[&item_prefix(scene, catalogue, key), &year.to_be_bytes()],
    )
}

/// The year of a key of [`nav`].
pub(crate) fn year_of_nav(key: &[u8]) -> i32 {
    key.last_chunk::<4>()
        .map_or(0, |year| (u32::from_be_bytes(*year) ^ (1 << 31)) as i32)
}

/// The identity of a linked identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdentityRow {
    /// Its customer.
    pub(crate) customer: CustomerId,
    /// Ascending with every link and un-link.
    pub(crate) revision: u64,
}

impl IdentityRow {
    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::with_format(FORMAT);
        w.raw(&self.customer.0);
        w.uint(self.revision);
        w.into_bytes().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("identity row", FORMAT)?;
        let out = Self {
            customer: IdentifierId(r.array()?),
            revision: r.uint()?,
        };
        r.done()?;
        Ok(out)
    }
}

/// Encodes a list of identifiers, ascending.
pub(crate) fn encode_identifiers(ids: &[IdentifierId]) -> Bytes {
    let mut w = Writer::with_format(FORMAT);
    w.uint(ids.len() as u64);
    for id in ids {
        w.raw(&id.0);
    }
    w.into_bytes().into()
}

/// Reads [`encode_identifiers`].
pub(crate) fn decode_identifiers(bytes: &[u8]) -> Result<Vec<IdentifierId>> {
    let mut r = Reader::new(bytes);
    r.format("identifiers row", FORMAT)?;
    let n = r.count(16)?;
    let ids = (0..n)
        .map(|_| r.array().map(IdentifierId))
        .collect::<Result<_>>()?;
    r.done()?;
    Ok(ids)
}

/// What the row of a customer with these identifiers holds; none for a customer of one.
pub(crate) fn customer_content(ids: &[IdentifierId]) -> Option<Bytes> {
    (ids.len() > 1).then(|| encode_identifiers(ids))
}

/// Encodes a count or version.
pub(crate) fn encode_number(v: u64) -> Bytes {
    let mut w = Writer::with_format(FORMAT);
    w.uint(v);
    w.into_bytes().into()
}

/// Reads [`encode_number`].
pub(crate) fn decode_number(bytes: &[u8]) -> Result<u64> {
    let mut r = Reader::new(bytes);
    r.format("number row", FORMAT)?;
    let v = r.uint()?;
    r.done()?;
    Ok(v)
}

/// What stands behind an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DecisionKeyRow {
    /// SHA-256 of the request body.
    pub(crate) body_hash: [u8; 32],
    /// The first decision.
    pub(crate) decision: DecisionId,
}

impl DecisionKeyRow {
    pub(crate) fn encode(&self) -> Bytes {
        let mut w = Writer::with_format(FORMAT);
        w.raw(&self.body_hash);
        w.raw(&self.decision.0);
        w.into_bytes().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("decision key row", FORMAT)?;
        let out = Self {
            body_hash: r.array()?,
            decision: DecisionId(r.array()?),
        };
        r.done()?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_keys_are_in_order_of_time() {
        let id = IdentifierId([7; 16]);
        let early = timer(Micros(-5), SceneNo(1), id);
        let late = timer(Micros(5), SceneNo(1), id);
        assert!(early.key < late.key);
        assert_eq!(parse_timer(&late.key), Some((Micros(5), SceneNo(1), id)));
    }

    #[test]
    fn rows_are_read_back() {
        let ids = vec![IdentifierId([1; 16]), IdentifierId([2; 16])];
        assert_ne!(encode_identifiers(&ids), encode_identifiers(&ids[..1]));
        let i = IdentityRow {
            customer: ids[0],
            revision: 9,
        };
        assert_eq!(IdentityRow::decode(&i.encode()).unwrap(), i);
        let k = DecisionKeyRow {
            body_hash: [3; 32],
            decision: DecisionId([4; 16]),
        };
        assert_eq!(DecisionKeyRow::decode(&k.encode()).unwrap(), k);
        assert!(decode_number(&[9, 1]).is_err());
    }
}
