//! Letting go of what lies before a position, and beginning elsewhere than at 0.
//!
//! Where partitions begin is told in the stream ([`super::begins`]) before anything is purged, so that no node takes what is left for
//! what was there. Partitions that share a subject let go of whole messages together: of no more than each of them was asked to.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::begins::Begins;
use super::frame::{GROUP_PARTITIONS, Subject};
use super::places::Place;
use super::server::REQUEST_TIME_MAX;
use super::{Shared, follow, read, unavailable};

/// Messages read at once while looking for the last one that may go.
const READ_BYTES: usize = 1 << 20;

/// What was last told of where partitions begin, and its sequence; the leader is asked.
pub(crate) async fn last(stream: &Stream<()>, name: &str) -> Result<Option<(u64, Begins)>> {
    let subject = Subject::Begins.name(name);
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => {
            let at = format!("message {}", message.sequence);
            Ok(Some((
                message.sequence,
                Begins::decode(&at, &message.payload)?,
            )))
        }
        Err(e) => match e.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            _ => Err(unavailable("read where it begins", e)),
        },
    }
}

/// As [`luopan_store::EventLog::truncate`].
pub(crate) async fn truncate(
    shared: &Shared,
    to: &[(PartitionId, Position)],
) -> Result<Vec<Position>> {
    follow::latest(shared).await?;
    shared.heads.may_truncate(to)?;
    let (sequence, mut begins) = shared.places.begins();
    let asked: BTreeMap<PartitionId, u64> = to.iter().map(|(p, at)| (*p, at.0)).collect();
    let mut purges = Vec::new();
    for subject in asked
        .keys()
        .map(|p| Subject::of(*p))
        .collect::<BTreeSet<_>>()
    {
        let mut bounds = BTreeMap::new();
        for partition in partitions(shared, subject) {
            let bound = asked.get(&partition).copied().unwrap_or(0);
            bounds.insert(partition, bound.max(begins.of(partition).position));
        }
        let found = furthest(shared, &begins, &bounds).await?;
        for (partition, place) in &found {
            begins.0.insert(*partition, *place);
        }
        // Again where nothing new may go: the last purge may have been cut off.
        purges.extend(found.values().next().map(|p| (subject, p.sequence)));
    }
    purges.retain(|(_, sequence)| *sequence > 1);
    if begins != shared.places.begins().1 {
        tell(shared, sequence, &begins).await?;
    }
    // A node that opens counts from the last checkpoint on: all that is purged lies before it.
    let until = purges.iter().map(|(_, sequence)| *sequence).max();
    if let Some(until) = until {
        follow::checkpoint_from(shared, until.saturating_sub(1)).await?;
    }
    for (subject, sequence) in purges {
        let purging = shared
            .stream
            .purge()
            .filter(subject.name(&shared.name))
            .sequence(sequence);
        timeout(REQUEST_TIME_MAX, purging)
            .await
            .map_err(|e| unavailable("purge what was let go", e))?
            .map_err(|e| unavailable("purge what was let go", e))?;
    }
    let partitions: Vec<_> = to.iter().map(|(p, _)| *p).collect();
    Ok(shared.heads.begins(&partitions))
}

/// As [`luopan_store::EventLog::start`].
pub(crate) async fn start(shared: &Shared, at: &[(PartitionId, Position)]) -> Result<()> {
    follow::latest(shared).await?;
    shared.heads.may_start(at)?;
    let (sequence, mut begins) = shared.places.begins();
    for (partition, position) in at {
        let place = Place {
            position: position.0,
            sequence: shared.places.seen() + 1,
        };
        begins.0.insert(*partition, place);
    }
    tell(shared, sequence, &begins).await
}

/// Partitions of the subject that hold or held anything.
fn partitions(shared: &Shared, subject: Subject) -> Vec<PartitionId> {
    let mut held = shared.heads.partitions();
    held.retain(|p| Subject::of(*p) == subject);
    held
}

/// The last place of a subject at which none of its partitions is beyond its bound.
async fn furthest(
    shared: &Shared,
    begins: &Begins,
    bounds: &BTreeMap<PartitionId, u64>,
) -> Result<BTreeMap<PartitionId, Place>> {
    let seen = shared.places.seen();
    let places = bounds.keys().map(|p| begins.of(*p));
    let mut sequence = places.map(|p| p.sequence).max().unwrap_or(1);
    let mut heads: BTreeMap<PartitionId, u64> =
        (bounds.keys().map(|p| (*p, begins.of(*p).position))).collect();
    if let Some(checkpoint) = read::last_checkpoint_within(shared, sequence, bounds).await? {
        sequence = checkpoint.sequence + 1;
        for (partition, head) in &mut heads {
            *head = checkpoint.head(*partition);
        }
    }
    'walk: while let Some((some, _)) = (bounds.iter()).find(|(p, bound)| heads[p] < **bound) {
        let bytes = READ_BYTES * usize::from(GROUP_PARTITIONS);
        for (found, label) in read::labels(shared, *some, sequence, seen, bytes).await? {
            let goes = label.sections.iter().all(|s| {
                let bound = bounds.get(&s.partition).copied().unwrap_or(0);
                let head = heads.get(&s.partition).copied().unwrap_or(0);
                head.saturating_add(s.entries) <= bound
            });
            if !goes {
                sequence = found;
                break 'walk;
            }
            for s in &label.sections {
                *heads.entry(s.partition).or_default() += s.entries;
            }
            sequence = found + 1;
        }
    }
    let places = heads.into_iter().map(|(partition, position)| {
        let place = Place { position, sequence };
        (partition, place)
    });
    Ok(places.collect())
}

/// Tells where partitions begin, behind what was last told, and waits until this node has counted it.
async fn tell(shared: &Shared, last: u64, begins: &Begins) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| unavailable("tell where it begins", e);
    let mut headers = HeaderMap::new();
    headers.insert(
        NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        last.to_string().as_str(),
    );
    let subject = Subject::Begins.name(&shared.name);
    let publishing = (shared.context).publish_with_headers(subject, headers, begins.encode());
    let acknowledged = async {
        let ack = publishing.await.map_err(|e| e.to_string())?;
        ack.await.map_err(|e| e.to_string())
    };
    let ack = timeout(REQUEST_TIME_MAX, acknowledged)
        .await
        .map_err(|e| failed(&e))?
        .map_err(|e| failed(&e))?;
    follow::caught_up(shared, ack.sequence).await
}

/// What the leader was last asked of where partitions begin. Readers that end together share one question.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Questions asked so far.
    asked: AtomicU64,
    /// The number of the last one that was answered, and the sequence of the message that was told; 0 where nothing was.
    told: Mutex<(u64, u64)>,
}

impl News {
    /// The sequence of what was last told, by a question that was asked after this call began.
    async fn since_now(&self, shared: &Shared) -> Result<u64> {
        let before = self.asked.load(Ordering::SeqCst);
        let mut told = self.told.lock().await;
        if told.0 <= before {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            let found = last(&shared.stream, &shared.name).await?;
            *told = (number, found.map_or(0, |(sequence, _)| sequence));
        }
        Ok(told.1)
    }
}

/// Waits until this node has counted what was last told of where partitions begin; true when that was news to whoever knew what the
/// message `known` told.
pub(crate) async fn refresh(shared: &Shared, known: u64) -> Result<bool> {
    let sequence = shared.news.since_now(shared).await?;
    // Nothing was ever told, or nothing since.
    if sequence == 0 || sequence == known {
        return Ok(false);
    }
    follow::caught_up(shared, sequence).await?;
    Ok(true)
}

/// Refuses a position below where its partition begins.
pub(crate) fn readable(shared: &Shared, partition: PartitionId, from: u64) -> Result<()> {
    let begin = shared.places.begins().1.of(partition).position;
    if from < begin {
        return Err(Error::Truncated {
            partition: partition.0,
            from,
            begin,
        });
    }
    Ok(())
}
