//! What an [`EventLog`](crate::EventLog) must do when messages are let go, and when it starts elsewhere than at 0.

use super::Subject;
use crate::error::Error;
use crate::log::{Append, EventLog};
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use std::sync::Arc;

const A: PartitionId = PartitionId(3);
/// In another message than [`A`] wherever partitions share any.
const B: PartitionId = PartitionId(700);

/// Three entries in each of ten messages of both.
async fn fill(log: &Arc<dyn EventLog>) {
    for n in 0..10u8 {
        for partition in [A, B] {
            let message = Bytes::from(vec![n; 50]);
            let batch = vec![Append {
                partition,
                count: 3,
                message,
            }];
            log.append(batch).await.unwrap();
        }
    }
}

async fn firsts(log: &Arc<dyn EventLog>, partition: PartitionId, from: u64) -> Vec<(u64, u8)> {
    let found = log.read(partition, Position(from), usize::MAX).await;
    let found = found.unwrap().into_iter();
    found.map(|m| (m.first.0, m.message[0])).collect()
}

async fn refused(log: &Arc<dyn EventLog>, partition: PartitionId, from: u64, at: u64) {
    match log.read(partition, Position(from), 1).await {
        Err(Error::Truncated {
            partition: p,
            from: f,
            begin,
        }) => assert_eq!((p, f, begin), (partition.0, from, at)),
        other => panic!("read from {from}: {other:?}"),
    }
}

/// What was let go is refused by name; what is left stands where it stood, and positions go on.
pub async fn truncated_is_refused_and_the_rest_stays(s: &dyn Subject) {
    let log = s.open().await.log;
    fill(&log).await;
    assert_eq!(log.begins(&[B, A]).await.unwrap(), [Position(0); 2]);
    // 13 lies inside the message of 12 to 14, which stays whole.
    assert_eq!(
        log.truncate(&[(A, Position(13))]).await.unwrap(),
        [Position(12)]
    );
    assert_eq!(
        log.begins(&[A, B, PartitionId(9)]).await.unwrap(),
        [Position(12), Position(0), Position(0)]
    );
    let rest: Vec<_> = (4..10).map(|n| (u64::from(n) * 3, n)).collect();
    assert_eq!(firsts(&log, A, 12).await, rest);
    assert_eq!(firsts(&log, A, 14).await, rest);
    for from in [0, 3, 11] {
        refused(&log, A, from, 12).await;
    }
    assert_eq!(firsts(&log, B, 0).await.len(), 10);
    assert_eq!(
        log.heads(&[A, B]).await.unwrap(),
        [Position(30), Position(30)]
    );
    // Lower is no news; a boundary is exact.
    let again = log.truncate(&[(A, Position(5)), (B, Position(6))]).await;
    assert_eq!(again.unwrap(), [Position(12), Position(6)]);
    assert_eq!(firsts(&log, B, 6).await.len(), 8);
    let more = Append {
        partition: A,
        count: 1,
        message: Bytes::from_static(&[77]),
    };
    let landed = log.append(vec![more]).await.unwrap();
    assert_eq!(landed[0].first, Position(30));
    assert_eq!(firsts(&log, A, 29).await, [(27, 9), (30, 77)]);
}

/// All of a partition may go: its head stays, and so does the partition.
pub async fn all_may_go(s: &dyn Subject) {
    let log = s.open().await.log;
    fill(&log).await;
    let all = log.truncate(&[(A, Position(30))]).await.unwrap();
    assert_eq!(all, [Position(30)]);
    assert_eq!(log.heads(&[A]).await.unwrap(), [Position(30)]);
    assert_eq!(log.partitions().await.unwrap(), [A, B]);
    assert!(firsts(&log, A, 30).await.is_empty());
    refused(&log, A, 29, 30).await;
    let next = Append {
        partition: A,
        count: 2,
        message: Bytes::from_static(&[1]),
    };
    let landed = log.append(vec![next]).await.unwrap();
    assert_eq!(
        (landed[0].first, landed[0].end),
        (Position(30), Position(32))
    );
    assert_eq!(firsts(&log, A, 30).await, [(30, 1)]);
}

/// What was never there cannot be let go, and then nothing is.
pub async fn above_the_head_nothing_goes(s: &dyn Subject) {
    let log = s.open().await.log;
    fill(&log).await;
    let wrong = log.truncate(&[(A, Position(9)), (B, Position(31))]).await;
    assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
    assert_eq!(log.begins(&[A, B]).await.unwrap(), [Position(0); 2]);
    assert_eq!(firsts(&log, A, 0).await.len(), 10);
}

/// A partition that never held anything can begin anywhere, one that did cannot.
pub async fn starts_elsewhere(s: &dyn Subject) {
    let log = s.open().await.log;
    let ticket = log.wait(0).await.unwrap().ticket;
    log.start(&[(A, Position(40)), (B, Position(7))])
        .await
        .unwrap();
    assert_eq!(log.wait(ticket).await.unwrap().partitions, [A, B]);
    let both = [Position(40), Position(7)];
    assert_eq!(log.begins(&[A, B]).await.unwrap(), both);
    assert_eq!(log.heads(&[A, B]).await.unwrap(), both);
    refused(&log, A, 0, 40).await;
    fill(&log).await;
    assert_eq!(firsts(&log, A, 40).await[1], (43, 1));
    assert_eq!(firsts(&log, B, 7).await.len(), 10);
    let wrong = log
        .start(&[(PartitionId(5), Position(3)), (A, Position(50))])
        .await;
    assert!(matches!(wrong, Err(Error::Invalid(_))), "{wrong:?}");
    assert_eq!(log.heads(&[PartitionId(5)]).await.unwrap(), [Position(0)]);
}

/// Beginnings last, also of partitions that hold nothing any more.
pub async fn beginnings_last(s: &dyn Subject) {
    if !s.survives() {
        return;
    }
    let c = PartitionId(40);
    {
        let log = s.open().await.log;
        log.start(&[(c, Position(11))]).await.unwrap();
        fill(&log).await;
        log.truncate(&[(A, Position(30)), (B, Position(15))])
            .await
            .unwrap();
    }
    let log = s.open().await.log;
    assert_eq!(
        log.begins(&[A, B, c]).await.unwrap(),
        [Position(30), Position(15), Position(11)]
    );
    assert_eq!(
        log.heads(&[A, B, c]).await.unwrap(),
        [Position(30), Position(30), Position(11)]
    );
    assert_eq!(log.partitions().await.unwrap(), [A, c, B]);
    refused(&log, B, 14, 15).await;
    assert_eq!(firsts(&log, B, 15).await[0], (15, 5));
    fill(&log).await;
    assert_eq!(firsts(&log, A, 30).await.len(), 10);
    assert_eq!(firsts(&log, c, 11).await, []);
}
