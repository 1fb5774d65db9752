//! The event log on fjall. A message is durable before its position is answered, seen by `heads` or read.
//!
//! Key: partition (two bytes, big-endian) and first position (eight bytes, big-endian). Value: format byte, number of entries
//! (four bytes, little-endian), message.

use crate::folder::{from_fjall, unavailable};
use crate::main_store::{Job, Main};
use async_trait::async_trait;
use bytes::Bytes;
use fjall::{Guard, Keyspace, UserKey};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Append, Appended, Error, EventLog, LogMessage, Result, Wake, limits};
use std::collections::BTreeMap;
use std::sync::Arc;

const STORE: &str = "event log";
/// Newest format of a value.
const VALUE_FORMAT: u8 = 1;
const VALUE_HEADER_BYTES: usize = 5;

/// An [`EventLog`] on fjall.
pub(crate) struct EmbeddedLog {
    main: Arc<Main>,
}

impl EmbeddedLog {
    pub(crate) fn new(main: Arc<Main>) -> Self {
        Self { main }
    }

    async fn begin_at(&self, at: Vec<(PartitionId, Position)>, is_start: bool) -> Result<()> {
        self.main
            .committer
            .ask(|answer| Job::Begin {
                at,
                is_start,
                answer,
            })
            .await
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        limits::appends(&batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.main
            .committer
            .ask(|answer| Job::Append { batch, answer })
            .await
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        self.main.heads.readable(partition, from)?;
        let head = self.main.heads.head(partition);
        if from >= head {
            return Ok(Vec::new());
        }
        if let Some(found) = self.main.tail.read(partition, from, bytes_max) {
            return Ok(found);
        }
        let log = self.main.log.clone();
        let found =
            crate::state::blocking(move || read(&log, partition, from, head, bytes_max)).await?;
        // What was read may have been let go of under the read.
        self.main.heads.readable(partition, from)?;
        Ok(found)
    }

    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        Ok(self.main.heads.heads(partitions))
    }

    async fn writable(&self) -> Result<()> {
        match self.main.broken.get() {
            None => Ok(()),
            Some(why) => Err(unavailable(STORE, "write", why)),
        }
    }

    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        Ok(self.main.heads.begins(partitions))
    }

    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        self.main.heads.may_truncate(to)?;
        let mut begins = Vec::with_capacity(to.len());
        for (partition, to) in to {
            let (log, partition, to) = (self.main.log.clone(), *partition, *to);
            let (begin, head) = (
                self.main.heads.begin(partition),
                self.main.heads.head(partition),
            );
            let found = crate::state::blocking(move || boundary(&log, partition, to)).await?;
            begins.push((partition, found.min(head).max(begin)));
        }
        // First the beginnings: what lies below them is not read any more, and is removed at leisure.
        self.begin_at(begins.clone(), false).await?;
        for (partition, _) in &begins {
            while self
                .main
                .committer
                .ask(|answer| Job::Forget {
                    partition: *partition,
                    answer,
                })
                .await?
            {}
        }
        Ok(begins.into_iter().map(|(_, begin)| begin).collect())
    }

    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        self.begin_at(at.to_vec(), true).await
    }

    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        Ok(self.main.heads.partitions())
    }

    async fn wait(&self, ticket: u64) -> Result<Wake> {
        Ok(self.main.heads.wait(ticket).await)
    }
}

/// The key of a message.
pub(crate) fn key(partition: PartitionId, first: u64) -> [u8; 10] {
    let mut out = [0; 10];
    out[..2].copy_from_slice(&partition.0.to_be_bytes());
    out[2..].copy_from_slice(&first.to_be_bytes());
    out
}

/// The value of a message.
pub(crate) fn value(count: u32, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(VALUE_HEADER_BYTES + message.len());
    out.push(VALUE_FORMAT);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(message);
    out
}

fn decode(guard: Guard) -> Result<(PartitionId, LogMessage)> {
    let (key, value) = guard
        .into_inner()
        .map_err(|e| from_fjall(STORE, "read", e))?;
    let corrupt = |cause: &str| Error::Corrupt {
        store: STORE,
        at: format!("key {:02x?}", &key[..]),
        cause: cause.to_owned(),
    };
    let (partition, first) = match key.split_first_chunk::<2>() {
        Some((partition, first)) => (u16::from_be_bytes(*partition), first),
        None => return Err(corrupt("a key of 10 bytes is wanted")),
    };
    let first = <[u8; 8]>::try_from(first).map_err(|_| corrupt("a key of 10 bytes is wanted"))?;
    match value.split_first_chunk::<VALUE_HEADER_BYTES>() {
        Some(([VALUE_FORMAT, count @ ..], message)) => Ok((
            PartitionId(partition),
            LogMessage {
                first: Position(u64::from_be_bytes(first)),
                count: u32::from_le_bytes(*count),
                message: Bytes::copy_from_slice(message),
            },
        )),
        Some(([format, ..], _)) if *format > VALUE_FORMAT => Err(Error::Newer {
            store: STORE,
            found: u32::from(*format),
            known: u32::from(VALUE_FORMAT),
        }),
        _ => Err(corrupt("a message with its header is wanted")),
    }
}

fn read(
    log: &Keyspace,
    partition: PartitionId,
    from: Position,
    head: Position,
    bytes_max: usize,
) -> Result<Vec<LogMessage>> {
    let mut from_here = log
        .range(key(partition, from.0)..=key(partition, u64::MAX))
        .map(|found| decode(found).map(|(_, message)| message));
    let mut next = from_here.next().transpose()?;
    let mut out = Vec::new();
    if next.as_ref().is_none_or(|m| m.first != from) {
        // `from` lies inside the message whose key is the nearest below.
        let mut below = log.range(key(partition, 0)..key(partition, from.0));
        if let Some(found) = below.next_back() {
            let (_, message) = decode(found)?;
            if message.end() > from && message.end() <= head {
                out.push(message);
            }
        }
    }
    let mut bytes = out.iter().map(|m| m.message.len()).sum::<usize>();
    while let Some(message) = next {
        bytes = bytes.saturating_add(message.message.len());
        if message.end() > head || (!out.is_empty() && bytes > bytes_max) {
            break;
        }
        out.push(message);
        next = from_here.next().transpose()?;
    }
    Ok(out)
}

/// The first position of the message that holds `to`, `to` itself where none does.
fn boundary(log: &Keyspace, partition: PartitionId, to: Position) -> Result<Position> {
    let mut below = log.range(key(partition, 0)..key(partition, to.0));
    let Some(found) = below.next_back() else {
        return Ok(to);
    };
    let (_, message) = decode(found)?;
    Ok(if message.end() > to {
        message.first
    } else {
        to
    })
}

/// Keys of messages below a position, at most `most`, oldest first.
pub(crate) fn below(
    log: &Keyspace,
    partition: PartitionId,
    begin: Position,
    most: usize,
) -> Result<Vec<UserKey>> {
    log.range(key(partition, 0)..key(partition, begin.0))
        .take(most)
        .map(|found| found.key().map_err(|e| from_fjall(STORE, "read", e)))
        .collect()
}

/// Heads of all partitions as the keys tell.
pub(crate) fn heads(log: &Keyspace) -> Result<BTreeMap<PartitionId, Position>> {
    let mut out = BTreeMap::new();
    let mut next = Some(0u16);
    while let Some(from) = next {
        let Some(found) = log.range(key(PartitionId(from), 0)..).next() else {
            break;
        };
        let (partition, _) = decode(found)?;
        let all = key(partition, 0)..=key(partition, u64::MAX);
        if let Some(last) = log.range(all).next_back() {
            let (_, message) = decode(last)?;
            out.insert(partition, message.end());
        }
        next = partition.0.checked_add(1);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, folder::Folder};

    #[tokio::test]
    async fn what_a_truncation_that_was_cut_off_left_is_removed_at_opening() {
        let at = tempfile::tempdir().unwrap();
        let options = Options {
            cache_bytes: 1 << 20,
            ..Options::default()
        };
        let open =
            || EmbeddedLog::new(Main::open(&Folder::open(at.path()).unwrap(), &options).unwrap());
        let p = PartitionId(3);
        let log = open();
        for n in 0..4u8 {
            let message = Bytes::from(vec![n; 9]);
            let batch = vec![Append {
                partition: p,
                count: 2,
                message,
            }];
            log.append(batch).await.unwrap();
        }
        let held = |log: &EmbeddedLog| log.main.log.iter().count();
        // Killed after the beginning was written, before anything was removed.
        log.begin_at(vec![(p, Position(6))], false).await.unwrap();
        assert!(matches!(
            log.read(p, Position(5), 99).await,
            Err(Error::Truncated { begin: 6, .. })
        ));
        assert_eq!(held(&log), 4);
        drop(log);
        let log = open();
        assert_eq!(held(&log), 1);
        assert_eq!(log.begins(&[p]).await.unwrap(), [Position(6)]);
        assert_eq!(log.read(p, Position(6), 99).await.unwrap().len(), 1);
    }

    #[test]
    fn a_newer_value_is_refused_with_both_numbers() {
        let at = tempfile::tempdir().unwrap();
        let options = Options {
            cache_bytes: 1 << 20,
            ..Options::default()
        };
        let open = || Main::open(&Folder::open(at.path()).unwrap(), &options);
        let main = open().unwrap();
        let mut newer = value(1, b"later");
        newer[0] = VALUE_FORMAT + 1;
        main.log.insert(key(PartitionId(3), 0), newer).unwrap();
        drop(main);
        assert!(matches!(
            open().err(),
            Some(Error::Newer {
                store: STORE,
                found: 2,
                known: 1
            })
        ));
    }
}
