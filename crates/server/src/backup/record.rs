//! Records as bytes: a part is [`head`], then frames. A frame is its length and number of records (both u32, little-endian), then the
//! records, each a kind and its fields. It must never guess at what it cannot read.

use super::name;
use bytes::Bytes;
use luopan_kernel::codec::{Error, Reader, Result, Writer};
use luopan_kernel::id::{IdentifierId, PartitionId, Position, SceneNo, TenantId};
use luopan_kernel::time::Micros;
use luopan_store::copy::{Part, Record, Spent, Whole};
use luopan_store::{
    ApiKey, AppliedScene, AuditRecord, ForeignId, LogMessage, RegistryEntry, RowKey, Table,
};

/// Most bytes of a frame: an artifact is one record, and a batch of others is far smaller.
pub const FRAME_BYTES_MAX: usize = 512 << 20;
/// Bytes before the records of a frame.
pub(super) const FRAME_HEAD: usize = 8;

/// What stands at the beginning of a part's file.
pub(super) fn head(part: Part) -> Vec<u8> {
    let mut out = b"LUOPAN BACKUP ".to_vec();
    out.extend_from_slice(name(part).as_bytes());
    out.extend_from_slice(format!(" {}\n", super::FORMAT).as_bytes());
    out
}

/// A frame of records.
pub(super) fn frame(records: &[Record]) -> Vec<u8> {
    let mut w = Writer::over(vec![0; FRAME_HEAD]);
    for record in records {
        put(&mut w, record);
    }
    let mut out = w.into_bytes();
    let length = u32::try_from(out.len() - FRAME_HEAD).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_le_bytes());
    let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
    out[4..FRAME_HEAD].copy_from_slice(&count.to_le_bytes());
    out
}

/// Length in bytes and number of records of a frame, from its first eight bytes.
pub(super) fn frame_head(bytes: [u8; FRAME_HEAD]) -> (usize, u32) {
    let [a, b, c, d, e, f, g, h] = bytes;
    let length = u32::from_le_bytes([a, b, c, d]);
    let count = u32::from_le_bytes([e, f, g, h]);
    (usize::try_from(length).unwrap_or(usize::MAX), count)
}

fn put(w: &mut Writer, record: &Record) {
    match record {
        Record::Begin(partition, at) => {
            w.u8(12);
            w.uint(partition.0.into());
            w.uint(at.0);
        }
        Record::Message(partition, m) => {
            w.u8(1);
            w.uint(partition.0.into());
            w.uint(m.first.0);
            w.uint(m.count.into());
            w.bytes(&m.message);
        }
        Record::Row(row) => {
            w.u8(2);
            w.u8(row.key.table as u8);
            w.uint(row.key.partition.0.into());
            w.bytes(&row.key.key);
            w.bytes(&row.value);
        }
        Record::Position(partition, at) => {
            w.u8(3);
            w.uint(partition.0.into());
            w.uint(at.0);
        }
        Record::Spent(s) => {
            w.u8(4);
            w.str(&s.budget);
            w.uint(s.row.into());
            w.int(s.spent);
        }
        Record::Scene(s, files) => {
            w.u8(5);
            w.uint(s.scene.0.into());
            w.str(&s.name);
            w.uint(s.version.into());
            w.raw(&s.hash);
            w.bytes(&s.plan);
            w.int(s.at.0);
            w.str(&s.by);
            w.u8(s.announced.into());
            w.uint(files.len() as u64);
            for (path, content) in files {
                w.str(path);
                w.bytes(content);
            }
        }
        Record::Artifact(hash, content) => {
            w.u8(6);
            w.raw(hash);
            w.bytes(content);
        }
        Record::Stream(name, partition) => {
            w.u8(7);
            w.str(name);
            w.uint(partition.0.into());
        }
        Record::ApiKey(key) => {
            w.u8(8);
            w.str(&key.name);
            w.raw(&key.hash);
            w.int(key.at.0);
        }
        Record::Audit(line) => {
            w.u8(9);
            w.int(line.at.0);
            w.str(&line.by);
            w.str(&line.action);
            w.str(&line.detail);
        }
        Record::Registry(line) => {
            w.u8(13);
            w.uint(line.number);
            w.str(&line.model);
            w.uint(line.version.into());
            w.str(&line.act);
            w.bytes(line.artifact.as_ref().map_or(&[], |a| &a[..]));
            w.str(&line.detail);
            w.int(line.at.0);
            w.str(&line.by);
        }
        Record::Key(foreign, id) => {
            w.u8(10);
            w.uint(foreign.tenant.0.into());
            w.str(&foreign.text);
            w.raw(&id.0);
        }
        Record::Erased(tenant, id) => {
            w.u8(11);
            w.uint(tenant.0.into());
            w.raw(&id.0);
        }
    }
}

/// The records of a frame.
///
/// # Errors
/// Where the bytes are not records.
pub(super) fn records(bytes: &Bytes, count: u32) -> Result<Vec<Record>> {
    let mut r = Reader::new(bytes);
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(get(&mut r, bytes)?);
    }
    r.done()?;
    Ok(out)
}

fn number<T: TryFrom<u64>>(r: &mut Reader<'_>) -> Result<T> {
    let found = r.uint()?;
    T::try_from(found).map_err(|_| r.malformed("a number is out of range"))
}

/// Bytes of the record without copying them.
fn slice(r: &mut Reader<'_>, of: &Bytes) -> Result<Bytes> {
    let n = r.bytes()?.len();
    Ok(of.slice(r.at() - n..r.at()))
}

fn text(r: &mut Reader<'_>) -> Result<String> {
    r.str().map(str::to_owned)
}

fn get(r: &mut Reader<'_>, of: &Bytes) -> Result<Record> {
    Ok(match r.u8()? {
        1 => Record::Message(
            PartitionId(number(r)?),
            LogMessage {
                first: Position(r.uint()?),
                count: number(r)?,
                message: slice(r, of)?,
            },
        ),
        2 => {
            let table = table(r)?;
            Record::Row(Whole {
                key: RowKey {
                    table,
                    partition: PartitionId(number(r)?),
                    key: slice(r, of)?,
                },
                value: slice(r, of)?,
            })
        }
        3 => Record::Position(PartitionId(number(r)?), Position(r.uint()?)),
        4 => Record::Spent(Spent {
            budget: text(r)?,
            row: number(r)?,
            spent: r.int()?,
        }),
        5 => {
            let scene = AppliedScene {
                scene: SceneNo(number(r)?),
                name: text(r)?,
                version: number(r)?,
                hash: r.array()?,
                plan: slice(r, of)?,
                at: Micros(r.int()?),
                by: text(r)?,
                announced: r.u8()? != 0,
            };
            let files = (0..r.count(2)?).map(|_| Ok((text(r)?, slice(r, of)?)));
            let files = files.collect::<Result<_>>()?;
            Record::Scene(scene, files)
        }
        6 => Record::Artifact(r.array()?, slice(r, of)?),
        7 => Record::Stream(text(r)?, PartitionId(number(r)?)),
        8 => Record::ApiKey(ApiKey {
            name: text(r)?,
            hash: r.array()?,
            at: Micros(r.int()?),
        }),
        9 => Record::Audit(AuditRecord {
            at: Micros(r.int()?),
            by: text(r)?,
            action: text(r)?,
            detail: text(r)?,
        }),
        10 => Record::Key(
            ForeignId {
                tenant: TenantId(number(r)?),
                text: text(r)?,
            },
            IdentifierId(r.array()?),
        ),
        11 => Record::Erased(TenantId(number(r)?), IdentifierId(r.array()?)),
        13 => Record::Registry(RegistryEntry {
            number: r.uint()?,
            model: text(r)?,
            version: number(r)?,
            act: text(r)?,
            artifact: match r.bytes()? {
                [] => None,
                hash => Some(
                    <[u8; 32]>::try_from(hash).map_err(|_| r.malformed("a hash has 32 bytes"))?,
                ),
            },
            detail: text(r)?,
            at: Micros(r.int()?),
            by: text(r)?,
        }),
        12 => Record::Begin(PartitionId(number(r)?), Position(r.uint()?)),
        _ => return Err(r.malformed("a record of an unknown kind")),
    })
}

fn table(r: &mut Reader<'_>) -> Result<Table> {
    let found = r.u8()?;
    (Table::ALL.into_iter().find(|t| *t as u8 == found)).ok_or_else(|| Error::Malformed {
        at: r.at(),
        what: "a row of an unknown table",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n: u8) -> Bytes {
        Bytes::from(vec![n; usize::from(n)])
    }

    /// One of each kind.
    pub(crate) fn each() -> Vec<Record> {
        vec![
            Record::Message(
                PartitionId(256),
                LogMessage {
                    first: Position(1 << 40),
                    count: 7,
                    message: bytes(9),
                },
            ),
            Record::Row(Whole {
                key: RowKey {
                    table: Table::Claim,
                    partition: PartitionId(3),
                    key: Bytes::new(),
                },
                value: bytes(200),
            }),
            Record::Position(PartitionId(1), Position(u64::MAX)),
            Record::Spent(Spent {
                budget: "3/emails/2026-11-22".into(),
                row: 255,
                spent: i64::MAX,
            }),
            Record::Scene(
                AppliedScene {
                    scene: SceneNo(1),
                    name: "shop".into(),
                    version: 2,
                    hash: [3; 32],
                    plan: bytes(4),
                    at: Micros(-5),
                    by: "cli".into(),
                    announced: true,
                },
                vec![("a/b.yaml".into(), bytes(6)), (String::new(), Bytes::new())],
            ),
            Record::Artifact([1; 32], bytes(2)),
            Record::Registry(RegistryEntry {
                number: 4,
                model: "churn".into(),
                version: 2,
                act: "registered".into(),
                artifact: Some([9; 32]),
                detail: "{}".into(),
                at: Micros(-3),
                by: "cli".into(),
            }),
            Record::Registry(RegistryEntry {
                number: 5,
                model: "churn".into(),
                version: 1,
                act: "promoted".into(),
                artifact: None,
                detail: String::new(),
                at: Micros(3),
                by: "ops".into(),
            }),
            Record::Stream("shop/model".into(), PartitionId(257)),
            Record::ApiKey(ApiKey {
                name: "ops".into(),
                hash: [7; 32],
                at: Micros(1),
            }),
            Record::Audit(AuditRecord {
                at: Micros(1),
                by: "ops".into(),
                action: "key.create".into(),
                detail: "{}".into(),
            }),
            Record::Key(
                ForeignId {
                    tenant: TenantId(1),
                    text: "138-0000".into(),
                },
                IdentifierId([8; 16]),
            ),
            Record::Erased(TenantId(1), IdentifierId([9; 16])),
            Record::Begin(PartitionId(256), Position(1 << 39)),
        ]
    }

    #[test]
    fn what_was_framed_is_read_and_every_cut_is_noticed() {
        let framed = frame(&each());
        let head: [u8; FRAME_HEAD] = framed[..FRAME_HEAD].try_into().unwrap();
        let (length, count) = frame_head(head);
        assert_eq!((length, count), (framed.len() - FRAME_HEAD, 14));
        let body = Bytes::from(framed).slice(FRAME_HEAD..);
        assert_eq!(records(&body, count).unwrap(), each());
        for cut in 0..body.len() {
            assert!(records(&body.slice(..cut), count).is_err(), "{cut}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_format_1() {
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(frame(&each())));
        assert_eq!(head(Part::Keys), b"LUOPAN BACKUP keys 1\n");
        assert_eq!(
            hash,
            "d4c542b7ecb29199dbc3c244e28cbc140b8d166038502807c7952a8682a0687f"
        );
    }
}
