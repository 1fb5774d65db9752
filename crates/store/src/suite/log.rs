//! What an [`EventLog`] must do.

use super::Subject;
use crate::error::Error;
use crate::log::{Append, EventLog, MESSAGE_BYTES_MAX};
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn append(partition: u16, count: u32, message: impl AsRef<[u8]>) -> Append {
    Append {
        partition: PartitionId(partition),
        count,
        message: Bytes::copy_from_slice(message.as_ref()),
    }
}

async fn texts(log: &Arc<dyn EventLog>, partition: u16, from: u64) -> Vec<(u64, u32, String)> {
    log.read(PartitionId(partition), Position(from), usize::MAX)
        .await
        .unwrap()
        .into_iter()
        .map(|m| {
            let text = String::from_utf8(m.message.to_vec()).unwrap();
            (m.first.0, m.count, text)
        })
        .collect()
}

/// Positions count entries for each partition; answers come in the order of the batch.
pub async fn positions_and_order(s: &dyn Subject) {
    let log = s.open().await.log;
    let out = log
        .append(vec![
            append(3, 2, "a"),
            append(9, 1, "b"),
            append(3, 5, "c"),
        ])
        .await
        .unwrap();
    let out: Vec<_> = out
        .iter()
        .map(|a| (a.partition.0, a.first.0, a.end.0))
        .collect();
    assert_eq!(out, [(3, 0, 2), (9, 0, 1), (3, 2, 7)]);
    let again = log.append(vec![append(3, 1, "d")]).await.unwrap();
    assert_eq!((again[0].first.0, again[0].end.0), (7, 8));
    assert_eq!(
        texts(&log, 3, 0).await,
        [(0, 2, "a".into()), (2, 5, "c".into()), (7, 1, "d".into())]
    );
    let asked = [PartitionId(9), PartitionId(4), PartitionId(3)];
    let heads = log.heads(&asked).await.unwrap();
    assert_eq!(heads, [Position(1), Position(0), Position(8)]);
    let held = log.partitions().await.unwrap();
    assert_eq!(held, [PartitionId(3), PartitionId(9)]);
    assert!(log.append(Vec::new()).await.unwrap().is_empty());
}

/// A batch with one bad message appends nothing.
pub async fn nothing_of_a_refused_batch(s: &dyn Subject) {
    let log = s.open().await.log;
    let bad = vec![append(1, 1, "good"), append(1, 0, "holds no entry")];
    assert!(matches!(log.append(bad).await, Err(Error::Invalid(_))));
    assert!(texts(&log, 1, 0).await.is_empty());
    assert!(log.partitions().await.unwrap().is_empty());
}

/// Reading from a position inside a message gives that message; from the head or above gives none.
pub async fn read_from_the_middle(s: &dyn Subject) {
    let log = s.open().await.log;
    let batch = vec![append(1, 3, "a"), append(1, 3, "b"), append(2, 9, "other")];
    log.append(batch).await.unwrap();
    for (from, wanted) in [(0, "ab"), (2, "ab"), (3, "b"), (5, "b"), (6, ""), (60, "")] {
        let found: String = texts(&log, 1, from)
            .await
            .into_iter()
            .map(|m| m.2)
            .collect();
        assert_eq!(found, wanted, "read from {from}");
    }
    assert!(texts(&log, 0, 0).await.is_empty());
    assert!(texts(&log, u16::MAX, 0).await.is_empty());
}

/// `bytes_max` bounds a read, but one message always comes.
pub async fn read_in_pieces(s: &dyn Subject) {
    let log = s.open().await.log;
    let batch = (0..100).map(|_| append(1, 1, [b'x'; 1000])).collect();
    log.append(batch).await.unwrap();
    let mut at = Position(0);
    let mut reads = 0;
    while at.0 < 100 {
        let piece = log.read(PartitionId(1), at, 10_000).await.unwrap();
        assert!((1..=10).contains(&piece.len()), "{} messages", piece.len());
        assert_eq!(piece[0].first, at);
        at = piece.last().unwrap().end();
        reads += 1;
    }
    assert!(reads >= 10);
    let one = log.read(PartitionId(1), Position(0), 0).await.unwrap();
    assert_eq!(one.len(), 1);
}

/// The longest message goes through, one byte more is refused.
pub async fn limits(s: &dyn Subject) {
    let log = s.open().await.log;
    let long = Bytes::from(vec![1; MESSAGE_BYTES_MAX + 1]);
    let mut a = append(1, 1, "");
    a.message = long.clone();
    let refused = log.append(vec![a.clone()]).await;
    assert!(matches!(refused, Err(Error::Limit { limit, found, .. })
            if limit == MESSAGE_BYTES_MAX as u64 && found == limit + 1));
    a.message = long.slice(1..);
    log.append(vec![a.clone()]).await.unwrap();
    let back = log.read(PartitionId(1), Position(0), 1).await.unwrap();
    assert_eq!(back[0].message, a.message);
}

/// 16 tasks append to one partition and to their own: positions have no gap and each task's order is kept.
pub async fn concurrent_appends_keep_order(s: &dyn Subject) {
    let log = s.open().await.log;
    let tasks: Vec<_> = (0..16u16)
        .map(|t| {
            let log = log.clone();
            tokio::spawn(async move {
                for i in 0..50 {
                    let text = format!("{t}:{i}");
                    let batch = vec![append(500, 1, &text), append(t, 2, &text)];
                    let out = log.append(batch).await.unwrap();
                    assert_eq!(out[1].first.0, i * 2);
                    // Acknowledged is readable.
                    let read = log.read(PartitionId(500), out[0].first, 1).await.unwrap();
                    assert_eq!(read[0].message, text.as_bytes());
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    let all = texts(&log, 500, 0).await;
    assert_eq!(all.len(), 800);
    let mut next = [0u64; 16];
    for (i, (first, _, text)) in all.iter().enumerate() {
        assert_eq!(*first, i as u64);
        let (t, n) = text.split_once(':').unwrap();
        let t: usize = t.parse().unwrap();
        assert_eq!(n.parse(), Ok(next[t]));
        next[t] += 1;
    }
}

/// Ticket 0 returns at once, with everything that holds anything, even when that is nothing.
pub async fn wait_starts_with_everything(s: &dyn Subject) {
    let log = s.open().await.log;
    let none = log.wait(0).await.unwrap();
    assert!(none.partitions.is_empty());
    log.append(vec![append(5, 1, "a"), append(2, 1, "b")])
        .await
        .unwrap();
    let both = log.wait(none.ticket).await.unwrap();
    assert_eq!(both.partitions, [PartitionId(2), PartitionId(5)]);
    log.append(vec![append(5, 1, "c")]).await.unwrap();
    let one = log.wait(both.ticket).await.unwrap();
    assert!(one.partitions.contains(&PartitionId(5)));
    let all = log.wait(0).await.unwrap();
    assert_eq!(all.partitions, [PartitionId(2), PartitionId(5)]);
    let idle = tokio::time::timeout(Duration::from_millis(50), log.wait(all.ticket)).await;
    assert!(idle.is_err(), "woke with nothing appended");
}

/// Waiters under concurrent appends learn of every entry.
pub async fn wait_misses_nothing(s: &dyn Subject) {
    let log = s.open().await.log;
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut ticket = 0;
                let mut seen = [0u64; 8];
                while seen != [100; 8] {
                    let wake = tokio::time::timeout(Duration::from_secs(30), log.wait(ticket));
                    let wake = wake.await.expect("a wake-up was missed").unwrap();
                    ticket = wake.ticket;
                    let heads = log.heads(&wake.partitions).await.unwrap();
                    for (p, head) in wake.partitions.iter().zip(heads) {
                        seen[usize::from(p.0)] = head.0;
                    }
                }
            })
        })
        .collect();
    let writers: Vec<_> = (0..8)
        .map(|p| {
            let log = log.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    log.append(vec![append(p, 1, "x")]).await.unwrap();
                }
            })
        })
        .collect();
    for t in writers.into_iter().chain(waiters) {
        t.await.unwrap();
    }
}

/// A wait that is dropped leaves nothing behind and loses nothing.
pub async fn a_dropped_wait_is_harmless(s: &dyn Subject) {
    let log = s.open().await.log;
    let ticket = log.wait(0).await.unwrap().ticket;
    for _ in 0..100 {
        let wait = log.wait(ticket);
        assert!(
            tokio::time::timeout(Duration::from_micros(10), wait)
                .await
                .is_err()
        );
    }
    log.append(vec![append(1, 1, "a")]).await.unwrap();
    let wake = log.wait(ticket).await.unwrap();
    let found: BTreeSet<_> = wake.partitions.into_iter().collect();
    assert_eq!(found, BTreeSet::from([PartitionId(1)]));
}
