//! What lies in a data folder, read through the product's own stores while no server runs: sizes of records, for the bare loop
//! that writes as much, and the log, for the loop that only decodes it. It must never write.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use luopan_embedded::{Embedded, Options};
use luopan_kernel::PARTITIONS;
use luopan_kernel::event::{Entry, decode_message};
use luopan_kernel::id::{IdentifierId, PartitionId, Position};
use luopan_store::Table;

use crate::Fault;

/// Rows asked for at once.
const SCAN_ROWS: usize = 5_000;
/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

/// Mean sizes of what a data folder holds, from a sample of its partitions.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Bytes of a profile row's value.
    pub profile: f64,
    /// Bytes of an event in the log.
    pub event: f64,
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

/// Mean sizes over the first `partitions` partitions: all profiles, and the newest `events` events of each.
pub fn sizes(data: &Path, partitions: u16, events: u64) -> Result<Sizes, Fault> {
    runtime()?.block_on(async {
        let stores = Embedded::open(data, Options::default()).await?;
        let (mut rows, mut row_bytes, mut entries, mut entry_bytes) = (0u64, 0u64, 0u64, 0u64);
        for partition in (0..partitions.min(PARTITIONS)).map(PartitionId) {
            let mut from = Vec::new();
            loop {
                let found = (stores.state)
                    .scan(Table::Profile, partition, &from, None, SCAN_ROWS)
                    .await?;
                let Some(last) = found.last() else { break };
                from = [&last.key[..], &[0]].concat();
                rows += found.len() as u64;
                row_bytes += found.iter().map(|r| r.value.len() as u64).sum::<u64>();
            }
            let head = stores.log.heads(&[partition]).await?[0];
            let from = Position(head.0.saturating_sub(events));
            for message in stores.log.read(partition, from, READ_BYTES).await? {
                entries += u64::from(message.count);
                entry_bytes += message.message.len() as u64;
            }
        }
        if rows == 0 || entries == 0 {
            return Err("the data folder holds no profiles or no events".into());
        }
        Ok(Sizes {
            profile: row_bytes as f64 / rows as f64,
            event: entry_bytes as f64 / entries as f64,
        })
    })
}

/// What decoding the whole log brought.
#[derive(Debug, Clone, Copy)]
pub struct Decoded {
    /// Entries.
    pub entries: u64,
    /// Identifiers that had events.
    pub identifiers: u64,
    /// Time in the loop on one core, apart from reading the log.
    pub loop_time: Duration,
}

/// Decodes the whole log, a partition at a time, and adds every event's time to a hash map by identifier: the least that any
/// replay does.
pub fn decode(data: &Path) -> Result<Decoded, Fault> {
    runtime()?.block_on(async {
        let stores = Embedded::open(data, Options::default()).await?;
        let (mut entries, mut identifiers, mut loop_time) = (0u64, 0u64, Duration::ZERO);
        for partition in (0..=luopan_kernel::ENVIRONMENT_PARTITION).map(PartitionId) {
            let mut last: HashMap<IdentifierId, (u64, i64)> = HashMap::new();
            let mut next = Position(0);
            loop {
                let messages = stores.log.read(partition, next, READ_BYTES).await?;
                let Some(end) = messages.last().map(luopan_store::LogMessage::end) else {
                    break;
                };
                let start = Instant::now();
                for message in &messages {
                    for entry in decode_message(&message.message)? {
                        entries += 1;
                        if let Entry::Event(event) = entry {
                            let seen = last.entry(event.identifier).or_default();
                            *seen = (seen.0 + 1, seen.1.max(event.occurred_at.0));
                        }
                    }
                }
                loop_time += start.elapsed();
                next = end;
            }
            identifiers += last.len() as u64;
        }
        Ok(Decoded {
            entries,
            identifiers,
            loop_time,
        })
    })
}
