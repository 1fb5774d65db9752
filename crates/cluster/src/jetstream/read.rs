//! Reading by position: finding the message that holds a position, and fetching from there.
//!
//! What was followed lately is at hand ([`super::recent`]); the rest is asked of the servers. Only what was counted here is read. Replicas may be behind: what one of them does not have yet is asked of the stream's
//! leader. A message that did not come is never passed over.

use async_nats::StatusCode;
use async_nats::header::{HeaderMap, NATS_SEQUENCE};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use futures::StreamExt;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Error, LogMessage, Result};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

use super::frame::{self, Checkpoint, GROUP_PARTITIONS, HEADER, Label, Subject};
use super::places::{CHECKPOINT_EVERY, Place};
use super::{STORE, Shared, truncate, unavailable};

/// Most messages asked for at once.
const FETCH_MESSAGES_MAX: usize = 1024;
/// Most bytes asked for at once.
const FETCH_BYTES_MAX: usize = 4 << 20;
/// Longest time without a message of those asked for.
const FETCH_TIME_MAX: Duration = Duration::from_secs(2);
/// Longest time that a read is tried for.
const READ_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two attempts.
const READ_PAUSE: Duration = Duration::from_millis(100);
/// Places further apart in the stream than this are narrowed down by checkpoints before messages between them are read.
const NEAR: u64 = 2 * CHECKPOINT_EVERY;

/// As [`luopan_store::EventLog::read`].
pub(crate) async fn read(
    shared: &Shared,
    partition: PartitionId,
    from: u64,
    bytes_max: usize,
) -> Result<Vec<LogMessage>> {
    loop {
        let (known, _) = shared.places.begins();
        truncate::readable(shared, partition, from)?;
        if let Some(found) = at_hand(shared, partition, from, bytes_max) {
            return Ok(found);
        }
        let mut marks = Vec::new();
        let read = of_servers(shared, partition, from, bytes_max, &mut marks).await;
        // What lies below where the partition begins may have been purged under the read: then it found what stands elsewhere, and
        // nothing of it is kept.
        if !truncate::refresh(shared, known).await? {
            for place in marks {
                shared.places.mark(partition, place);
            }
            return read;
        }
    }
}

/// What needs no server: nothing from the head on, and what was followed lately.
fn at_hand(
    shared: &Shared,
    partition: PartitionId,
    from: u64,
    bytes_max: usize,
) -> Option<Vec<LogMessage>> {
    let head = shared.heads.head(partition).0;
    if from >= head {
        return Some(Vec::new());
    }
    let found = shared.recent.read(partition, from, head, bytes_max)?;
    shared.counters.at_hand.add(found.len());
    Some(found)
}

async fn of_servers(
    shared: &Shared,
    partition: PartitionId,
    from: u64,
    bytes_max: usize,
    marks: &mut Vec<Place>,
) -> Result<Vec<LogMessage>> {
    let head = shared.heads.head(partition).0;
    // What lies behind was not looked at yet, and may be what the log was halted for.
    let seen = shared.places.seen();
    let mut out = Vec::new();
    let mut at = place(shared, partition, from).await?;
    let mut bytes = 0usize;
    loop {
        let room = bytes_max.saturating_sub(bytes);
        // Others share its messages.
        let wanted = (room.saturating_mul(sharing(partition))).clamp(1, FETCH_BYTES_MAX);
        for stored in fetch(shared, partition, at.sequence, seen, wanted).await? {
            let source = format!("message {}", stored.sequence);
            let mine = (stored.label.sections.iter()).position(|s| s.partition == partition);
            let Some(mine) = mine else {
                at.sequence = stored.sequence + 1;
                continue;
            };
            let end = at.position + stored.label.sections[mine].entries;
            if end > from {
                let mut all = frame::messages(&source, &stored.label, &stored.payload)?;
                let mut first = at.position;
                for (count, message) in all.swap_remove(mine) {
                    let found = LogMessage {
                        first: Position(first),
                        count,
                        message,
                    };
                    first = found.end().0;
                    if first <= from {
                        continue;
                    }
                    bytes = bytes.saturating_add(found.message.len());
                    if first > head || (!out.is_empty() && bytes > bytes_max) {
                        return Ok(out);
                    }
                    out.push(found);
                }
            }
            at = Place {
                position: end,
                sequence: stored.sequence + 1,
            };
            if end >= from {
                marks.push(at);
            }
        }
        if at.position >= from {
            marks.push(at);
        }
        // Where little was asked for, a second fetch would mostly bring what does not fit.
        if at.position >= head || (!out.is_empty() && bytes_max <= FETCH_BYTES_MAX) {
            return Ok(out);
        }
    }
}

/// Partitions whose frames lie under the same subject.
fn sharing(partition: PartitionId) -> usize {
    match Subject::of(partition) {
        Subject::Group(_) => usize::from(GROUP_PARTITIONS),
        _ => 1,
    }
}

/// A place at or below a position, near it.
async fn place(shared: &Shared, partition: PartitionId, position: u64) -> Result<Place> {
    let (mut best, mut upper) = shared.places.around(partition, position);
    if best.position == position || upper.saturating_sub(best.sequence) <= NEAR {
        return Ok(best);
    }
    // The checkpoints between: the last one that does not tell of a head above the position.
    let mut lower = best.sequence;
    while upper.saturating_sub(lower) > CHECKPOINT_EVERY {
        let middle = lower + (upper - lower) / 2;
        match checkpoint(shared, middle).await? {
            Some((sequence, found)) if sequence < upper => {
                let head = found.head(partition);
                if head <= position {
                    if found.sequence >= best.sequence {
                        best = Place {
                            position: head,
                            sequence: found.sequence + 1,
                        };
                    }
                    lower = sequence + 1;
                } else {
                    upper = middle;
                }
            }
            _ => upper = middle,
        }
    }
    Ok(best)
}

/// The last checkpoint at `lower` or above that tells of no head above its bound, near enough that what lies between can be read;
/// none where there is none.
pub(crate) async fn last_checkpoint_within(
    shared: &Shared,
    mut lower: u64,
    bounds: &BTreeMap<PartitionId, u64>,
) -> Result<Option<Checkpoint>> {
    let (first, mut upper) = (lower, shared.places.seen() + 1);
    let mut best = None;
    while upper.saturating_sub(lower) > CHECKPOINT_EVERY {
        let middle = lower + (upper - lower) / 2;
        match checkpoint(shared, middle).await? {
            Some((sequence, found)) if sequence < upper => {
                if bounds.iter().all(|(p, bound)| found.head(*p) <= *bound) {
                    lower = sequence + 1;
                    if found.sequence >= first {
                        best = Some(found);
                    }
                } else {
                    upper = middle;
                }
            }
            _ => upper = middle,
        }
    }
    Ok(best)
}

/// Labels of the next messages of a partition's subject with their sequences, up to `seen`: at least one; there must be one.
pub(crate) async fn labels(
    shared: &Shared,
    partition: PartitionId,
    sequence: u64,
    seen: u64,
    bytes: usize,
) -> Result<Vec<(u64, Label)>> {
    let found = fetch(shared, partition, sequence, seen, bytes).await?;
    Ok(found.into_iter().map(|m| (m.sequence, m.label)).collect())
}

/// The first checkpoint whose message has this sequence or a higher one, with its sequence.
async fn checkpoint(shared: &Shared, sequence: u64) -> Result<Option<(u64, Checkpoint)>> {
    let subject = Subject::Index.name(&shared.name);
    shared.counters.gets.add(1);
    let found = shared
        .stream
        .raw_message_builder()
        .sequence(sequence)
        .next_by_subject(subject)
        .send()
        .await;
    match found {
        Ok(message) => {
            let at = format!("message {}", message.sequence);
            let found = Checkpoint::decode(&at, &message.payload)?;
            Ok(Some((message.sequence, found)))
        }
        Err(e) => match e.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            _ => Err(unavailable("read a checkpoint", e)),
        },
    }
}

/// A message of the stream.
struct Stored {
    sequence: u64,
    label: Label,
    payload: Bytes,
}

fn stored(sequence: u64, headers: &HeaderMap, payload: Bytes) -> Result<Stored> {
    let at = format!("message {sequence}");
    let label = headers.get_last(HEADER).map(|v| v.as_str());
    Ok(Stored {
        sequence,
        label: Label::decode(&at, label)?,
        payload,
    })
}

/// The next messages of a partition's subject from a sequence on, up to `seen`: at least one; there must be one.
async fn fetch(
    shared: &Shared,
    partition: PartitionId,
    sequence: u64,
    seen: u64,
    bytes: usize,
) -> Result<Vec<Stored>> {
    let until = Instant::now() + READ_TIME_MAX;
    loop {
        let why = match fetch_any(shared, partition, sequence, seen, bytes).await {
            Ok(found) if !found.is_empty() => {
                shared.counters.got.add(found.len());
                return Ok(found);
            }
            Ok(_) => {
                // A replica that is behind, or there is nothing: the leader knows.
                match fetch_of_leader(shared, partition, sequence).await {
                    Ok(Some(found)) => {
                        shared.counters.leader_gets.add(1);
                        shared.counters.got.add(1);
                        return Ok(vec![found]);
                    }
                    Ok(None) => format!("no message from {sequence} on"),
                    Err(e) => e.to_string(),
                }
            }
            Err(e @ (Error::Corrupt { .. } | Error::Newer { .. })) => return Err(e),
            Err(e) => e.to_string(),
        };
        if Instant::now() >= until {
            return Err(unavailable(&format!("read partition {}", partition.0), why));
        }
        sleep(READ_PAUSE).await;
    }
}

/// Asks whichever replica answers; gives what came without a gap, possibly nothing.
async fn fetch_any(
    shared: &Shared,
    partition: PartitionId,
    sequence: u64,
    seen: u64,
    bytes: usize,
) -> Result<Vec<Stored>> {
    let failed = |e: &dyn std::fmt::Display| unavailable("read", e);
    shared.counters.gets.add(1);
    let request = serde_json::json!({
        "seq": sequence,
        "next_by_subj": Subject::of(partition).name(&shared.name),
        "batch": FETCH_MESSAGES_MAX,
        "max_bytes": bytes,
    });
    let inbox = shared.client.new_inbox();
    let mut answers = shared
        .client
        .subscribe(inbox.clone())
        .await
        .map_err(|e| failed(&e))?;
    let subject = format!("$JS.API.DIRECT.GET.{}", shared.name);
    shared
        .client
        .publish_with_reply(subject, inbox, request.to_string().into())
        .await
        .map_err(|e| failed(&e))?;
    let mut out: Vec<Stored> = Vec::new();
    loop {
        let message = match timeout(FETCH_TIME_MAX, answers.next()).await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(failed(&"the connection was closed")),
            Err(_) if out.is_empty() => return Err(failed(&"no answer")),
            // What came is unbroken; the rest is asked for anew.
            Err(_) => return Ok(out),
        };
        match message.status {
            None => {}
            Some(StatusCode::NO_RESPONDERS) => {
                return Err(failed(&"no server answers for the stream"));
            }
            // 204 ends what was asked for, 404 says that there is nothing.
            Some(status) if status.as_u16() == 204 || status == StatusCode::NOT_FOUND => {
                return Ok(out);
            }
            Some(status) => {
                let what = message.description.unwrap_or_default();
                return Err(failed(&format!("{status} {what}")));
            }
        }
        let headers = message.headers.unwrap_or_default();
        let number = |name: &str| -> Option<u64> {
            headers.get_last(name).and_then(|v| v.as_str().parse().ok())
        };
        let found = headers.get_last(NATS_SEQUENCE);
        let found = found.and_then(|v| v.as_str().parse::<u64>().ok());
        let (Some(found), Some(before)) = (found, number("Nats-Last-Sequence")) else {
            return Err(Error::Corrupt {
                store: STORE,
                at: format!("the answer to a read from message {sequence}"),
                cause: "it does not tell sequences".to_owned(),
            });
        };
        // Each answer names the message before it: one that was dropped on the way is noticed.
        if found > seen || out.last().is_some_and(|last| last.sequence != before) {
            return Ok(out);
        }
        out.push(stored(found, &headers, message.payload)?);
    }
}

async fn fetch_of_leader(
    shared: &Shared,
    partition: PartitionId,
    sequence: u64,
) -> Result<Option<Stored>> {
    let found = shared
        .stream
        .raw_message_builder()
        .sequence(sequence)
        .next_by_subject(Subject::of(partition).name(&shared.name))
        .send()
        .await;
    match found {
        Ok(m) => stored(m.sequence, &m.headers, m.payload).map(Some),
        Err(e) => match e.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            _ => Err(unavailable("read", e)),
        },
    }
}
