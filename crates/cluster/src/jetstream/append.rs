//! Appends: what callers hand in is gathered into rounds, each one atomic batch of the stream (ADR-50) or one plain message.
//!
//! A round is answered only when it was counted in the stream. Its first message bears the round's id as `Nats-Msg-Id`; an
//! attempt whose outcome is not known is made again under that id, which the server takes once within
//! [`super::DUPLICATE_WINDOW`]. Nothing here may give a round a second id.

use async_nats::HeaderMap;
use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::header::{
    NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_MESSAGE_ID,
};
use async_nats::jetstream::ErrorCode;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Append, Appended, Error, Result};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::frame::{FRAME_BYTES_MAX, HEADER, Label, Parts, Subject, payload};
use super::{Shared, unavailable};

/// Most appends waiting to be gathered; callers beyond wait for room.
pub const QUEUE_JOBS_MAX: usize = 4096;
/// Most messages of the stream in one round, and so of one append: the limit of the server for an atomic batch.
pub const FRAMES_MAX: usize = 1000;
/// A round takes no further append when it holds this many bytes.
pub const ROUND_BYTES_MAX: usize = 8 << 20;
/// Most rounds under way of a node. With one, what waits meanwhile goes into fewer and longer messages of the stream, of which the
/// server takes so many a second. It takes 50 atomic batches of a stream at once, from all nodes together.
pub const ROUNDS_IN_FLIGHT_MAX: usize = 1;
/// Longest time for one attempt to be acknowledged.
pub const ACK_TIME_MAX: Duration = Duration::from_secs(4);
/// Longest time that a round is tried for, longer than an election of a leader takes. An append that waited longer in the queue is not
/// tried at all.
pub const APPEND_TIME_MAX: Duration = Duration::from_secs(20);
/// Following begins anew when what was acknowledged is not seen for so long.
const SEEN_TIME_MAX: Duration = Duration::from_secs(1);
/// Pauses before attempts double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// Own rounds remembered to notice one that comes twice.
const REMEMBERED_MAX: usize = 4096;

/// The way to answer a caller.
pub(crate) type Answer = oneshot::Sender<Result<Vec<Appended>>>;

/// One caller's appends with the way to answer it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) batch: Vec<Append>,
    pub(crate) answer: Answer,
    pub(crate) since: Instant,
}

/// Where an append lies in its round.
#[derive(Debug)]
struct Slot {
    partition: PartitionId,
    frame: usize,
    section: usize,
    /// Entries of the section before it.
    offset: u64,
    count: u32,
}

/// Log messages that become one message of the stream.
#[derive(Debug)]
struct Frame {
    subject: Subject,
    sections: Vec<(PartitionId, Parts)>,
    bytes: usize,
}

impl Frame {
    fn has_room(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= FRAME_BYTES_MAX
    }
}

/// Appends that are published together.
#[derive(Debug, Default)]
struct Round {
    frames: Vec<Frame>,
    /// Last frame of each subject.
    last: HashMap<Subject, usize>,
    jobs: Vec<(Answer, Vec<Slot>)>,
    bytes: usize,
}

impl Round {
    /// Whether a job surely fits beside what is here.
    fn has_room(&self, job: &Job) -> bool {
        let bytes: usize = job.batch.iter().map(|a| a.message.len()).sum();
        if self.frames.is_empty() {
            return true;
        }
        if self.bytes.saturating_add(bytes) > ROUND_BYTES_MAX {
            return false;
        }
        let fresh: HashSet<Subject> = (job.batch.iter())
            .map(|a| (Subject::of(a.partition), a.message.len()))
            .filter(|(subject, bytes)| {
                let last = self.last.get(subject);
                last.is_none_or(|frame| !self.frames[*frame].has_room(*bytes))
            })
            .map(|(subject, _)| subject)
            .collect();
        // Two frames that follow each other hold more than one could, so splits are bounded by bytes.
        let splits = 2 * bytes / FRAME_BYTES_MAX + 1;
        self.frames.len() + fresh.len() + splits <= FRAMES_MAX
    }

    fn add(&mut self, job: Job) {
        let mut slots = Vec::with_capacity(job.batch.len());
        for a in job.batch {
            let bytes = a.message.len();
            let subject = Subject::of(a.partition);
            let frame = match self.last.get(&subject) {
                Some(frame) if self.frames[*frame].has_room(bytes) => *frame,
                _ => {
                    self.frames.push(Frame {
                        subject,
                        sections: Vec::new(),
                        bytes: 0,
                    });
                    self.last.insert(subject, self.frames.len() - 1);
                    self.frames.len() - 1
                }
            };
            self.bytes = self.bytes.saturating_add(bytes);
            let Frame {
                sections,
                bytes: sum,
                ..
            } = &mut self.frames[frame];
            *sum = sum.saturating_add(bytes);
            let section = match sections.iter().position(|(p, _)| *p == a.partition) {
                Some(section) => section,
                None => {
                    sections.push((a.partition, Parts::default()));
                    sections.len() - 1
                }
            };
            let parts = &mut sections[section].1;
            slots.push(Slot {
                partition: a.partition,
                frame,
                section,
                offset: parts.entries(),
                count: a.count,
            });
            parts.push(a.count, a.message);
        }
        self.jobs.push((job.answer, slots));
    }

    /// Answers all jobs; `firsts` are the positions of the frames' sections.
    fn answer(self, firsts: &std::result::Result<Vec<Vec<u64>>, Failure>) {
        for (answer, slots) in self.jobs {
            let out = match firsts {
                Ok(firsts) => Ok(slots
                    .into_iter()
                    .map(|slot| {
                        let first = firsts[slot.frame][slot.section] + slot.offset;
                        Appended {
                            partition: slot.partition,
                            first: Position(first),
                            end: Position(first + u64::from(slot.count)),
                        }
                    })
                    .collect()),
                Err(failure) => Err(failure.error()),
            };
            // A caller that went away needs no answer.
            let _ = answer.send(out);
        }
    }
}

/// Why a round was given up.
#[derive(Debug)]
enum Failure {
    /// Nothing was appended.
    Refused(String),
    /// It may have been, or may still be.
    Unknown(String),
    /// More messages than a batch has.
    TooMany(usize),
}

impl Failure {
    fn error(&self) -> Error {
        match self {
            Self::Refused(why) => unavailable("append", format!("{why}; nothing was appended")),
            Self::Unknown(why) => unavailable(
                "append",
                format!("{why}; whether it took effect is not known"),
            ),
            Self::TooMany(found) => Error::Limit {
                what: "the messages of one append (groups of partitions, and pieces of 256 KiB in each)",
                limit: FRAMES_MAX as u64,
                found: *found as u64,
            },
        }
    }
}

/// Own rounds that are not counted yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    inner: Mutex<Rounds>,
}

#[derive(Debug, Default)]
struct Rounds {
    waiting: HashMap<u128, Waiting>,
    done: HashSet<u128>,
    order: VecDeque<u128>,
}

#[derive(Debug)]
struct Waiting {
    firsts: Vec<Option<Vec<u64>>>,
    seen: Option<oneshot::Sender<Vec<Vec<u64>>>>,
}

impl Pending {
    fn register(&self, round: u128, frames: usize) -> oneshot::Receiver<Vec<Vec<u64>>> {
        let (seen, out) = oneshot::channel();
        let waiting = Waiting {
            firsts: vec![None; frames],
            seen: Some(seen),
        };
        self.inner.lock().waiting.insert(round, waiting);
        out
    }

    fn forget(&self, round: u128, is_answered: bool) {
        let mut inner = self.inner.lock();
        inner.waiting.remove(&round);
        if !is_answered {
            return;
        }
        inner.done.insert(round);
        inner.order.push_back(round);
        if inner.order.len() > REMEMBERED_MAX
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.done.remove(&oldest);
        }
    }

    /// Tells of a counted frame and the positions of its sections; true when it was counted before.
    pub(crate) fn counted(&self, label: &Label, firsts: Vec<u64>) -> bool {
        let mut inner = self.inner.lock();
        let Some(waiting) = inner.waiting.get_mut(&label.round) else {
            // A round that was given up may come late: only a frame of one that was answered is a double.
            return inner.done.contains(&label.round) && label.index == 0;
        };
        let Some(place) = waiting.firsts.get_mut(label.index as usize) else {
            return true;
        };
        if place.is_some() {
            return true;
        }
        *place = Some(firsts);
        if waiting.firsts.iter().all(Option::is_some)
            && let Some(seen) = waiting.seen.take()
        {
            let all = waiting.firsts.iter().flatten().cloned().collect();
            let _ = seen.send(all);
        }
        false
    }
}

/// Puts jobs together into rounds until nobody can hand in more.
pub(crate) async fn gather(shared: Arc<Shared>, mut queue: mpsc::Receiver<Job>) {
    let room = Arc::new(Semaphore::new(ROUNDS_IN_FLIGHT_MAX));
    let mut held = None;
    loop {
        let job = match held.take() {
            Some(job) => job,
            None => match queue.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        // While this waits, callers gather in the queue.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let mut round = Round::default();
        let mut next = Some(job);
        while let Some(job) = next.take() {
            if job.since.elapsed() > APPEND_TIME_MAX {
                let why = "earlier appends wait for the server".to_owned();
                let _ = job.answer.send(Err(Failure::Refused(why).error()));
            } else if round.has_room(&job) {
                round.add(job);
            } else {
                held = Some(job);
                break;
            }
            next = queue.try_recv().ok();
        }
        if round.jobs.is_empty() {
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let firsts = if round.frames.len() > FRAMES_MAX {
                Err(Failure::TooMany(round.frames.len()))
            } else {
                land(&shared, &round).await
            };
            round.answer(&firsts);
            drop(place);
        });
    }
}

/// Sixteen random bytes.
fn random() -> u128 {
    let mut bytes = [0; 16];
    // Without the system's randomness the process cannot go on anyway; a constant would be a lie.
    if let Err(e) = getrandom::fill(&mut bytes) {
        tracing::error!(error = %e, "the system gives no random bytes");
        std::process::abort();
    }
    u128::from_le_bytes(bytes)
}

/// The pause before the attempt with this number, half to three halves of the nominal one.
pub(crate) fn pause(attempt: u32) -> Duration {
    let [least, most] = PAUSES;
    let nominal = least.saturating_mul(1 << attempt.min(10)).min(most);
    nominal / 2 + nominal.mul_f64((random() % 1000) as f64 / 1000.0)
}

/// Publishes a round until it was counted, and gives the positions of its frames.
async fn land(shared: &Shared, round: &Round) -> std::result::Result<Vec<Vec<u64>>, Failure> {
    let id = random();
    let frames: Vec<_> = (round.frames.iter().enumerate())
        .map(|(index, frame)| {
            let label = Label {
                round: id,
                // At most `FRAMES_MAX`.
                index: index as u32,
                sections: (frame.sections.iter())
                    .map(|(partition, parts)| parts.section(*partition))
                    .collect(),
            };
            let subject = frame.subject.name(&shared.name);
            (subject, label.encode(), payload(&frame.sections))
        })
        .collect();
    let mut seen = shared.pending.register(id, frames.len());
    let out = attempts(shared, id, &frames, &mut seen).await;
    shared.pending.forget(id, out.is_ok());
    match &out {
        Ok(_) => {
            let sections = round.frames.iter().flat_map(|frame| &frame.sections);
            let messages = sections.map(|(_, parts)| parts.len()).sum();
            shared.counters.rounds.add(1);
            shared.counters.frames.add(frames.len());
            shared.counters.messages.add(messages);
            shared.counters.batches.add(usize::from(frames.len() > 1));
            *shared.health.appends.lock() = None;
        }
        Err(failure) => {
            shared.counters.unknown.add(1);
            let why = failure.error().to_string();
            tracing::warn!(error = why, "an append was given up");
            *shared.health.appends.lock() = Some(format!("the last append failed: {why}"));
        }
    }
    out
}

async fn attempts(
    shared: &Shared,
    id: u128,
    frames: &[(String, String, Bytes)],
    seen: &mut oneshot::Receiver<Vec<Vec<u64>>>,
) -> std::result::Result<Vec<Vec<u64>>, Failure> {
    let until = Instant::now() + APPEND_TIME_MAX;
    let mut was_sent = false;
    let mut is_stored = false;
    let mut why = String::new();
    let lost = || Failure::Unknown("following the stream ended".to_owned());
    for attempt in 0u32.. {
        let wait = if is_stored {
            // Acknowledged, but not followed: following hangs.
            shared.anew.notify_one();
            SEEN_TIME_MAX
        } else {
            shared.counters.retries.add(usize::from(attempt > 0));
            let outcome = tokio::select! {
                biased;
                firsts = &mut *seen => return firsts.map_err(|_| lost()),
                outcome = publish(shared, id, attempt, frames) => outcome,
            };
            match outcome {
                Outcome::Stored => {
                    was_sent = true;
                    is_stored = true;
                    SEEN_TIME_MAX
                }
                Outcome::Duplicate => {
                    shared.counters.duplicates.add(1);
                    was_sent = true;
                    SEEN_TIME_MAX
                }
                Outcome::Unknown(cause) => {
                    was_sent = true;
                    why = cause;
                    pause(attempt)
                }
                Outcome::Refused(cause) => {
                    why = cause;
                    pause(attempt)
                }
                Outcome::Never(cause) if was_sent => return Err(Failure::Unknown(cause)),
                Outcome::Never(cause) => return Err(Failure::Refused(cause)),
            }
        };
        let end = (Instant::now() + wait).min(until);
        tokio::select! {
            biased;
            firsts = &mut *seen => return firsts.map_err(|_| lost()),
            () = tokio::time::sleep_until(end) => {}
        }
        if Instant::now() >= until || shared.health.halted().is_err() {
            break;
        }
    }
    if is_stored {
        why = "it was stored, but the stream could not be followed to it".to_owned();
    }
    Err(if was_sent {
        Failure::Unknown(why)
    } else {
        Failure::Refused(why)
    })
}

/// What came of one attempt.
#[derive(Debug)]
enum Outcome {
    /// The server acknowledged it.
    Stored,
    /// The server knows its id: an earlier attempt landed, or is about to.
    Duplicate,
    /// Nothing was stored by this attempt; another may succeed.
    Refused(String),
    /// No answer that tells.
    Unknown(String),
    /// Nothing was stored by this attempt, and no other will do better.
    Never(String),
}

#[derive(serde::Deserialize)]
struct Ack {
    error: Option<async_nats::jetstream::Error>,
    stream: Option<String>,
    #[serde(default)]
    duplicate: bool,
}

async fn publish(
    shared: &Shared,
    id: u128,
    attempt: u32,
    frames: &[(String, String, Bytes)],
) -> Outcome {
    if shared.client.connection_state() != State::Connected {
        return Outcome::Refused("the connection to NATS is away".to_owned());
    }
    let sending = send(shared, id, attempt, frames);
    match tokio::time::timeout(ACK_TIME_MAX, sending).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Unknown(format!("no acknowledgement within {ACK_TIME_MAX:?}")),
    }
}

async fn send(
    shared: &Shared,
    id: u128,
    attempt: u32,
    frames: &[(String, String, Bytes)],
) -> Outcome {
    let Some(((subject, label, payload), before)) = frames.split_last() else {
        return Outcome::Never("a round without frames".to_owned());
    };
    // A batch that was cut off may linger at the server under its id, so every attempt has another one; what makes the
    // round land once is the message id.
    let batch = format!("{id:032x}-{attempt}");
    let headers = |index: usize, label: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, label);
        if index == 0 {
            headers.insert(NATS_MESSAGE_ID, format!("{id:032x}").as_str());
        }
        if !before.is_empty() {
            headers.insert(NATS_BATCH_ID, batch.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, (index + 1).to_string().as_str());
        }
        headers
    };
    for (index, (subject, label, payload)) in before.iter().enumerate() {
        let sent = shared.client.publish_with_headers(
            subject.clone(),
            headers(index, label),
            payload.clone(),
        );
        if let Err(e) = sent.await {
            // Without its last message the batch is never committed.
            return Outcome::Refused(e.to_string());
        }
    }
    let mut last = headers(before.len(), label);
    if !before.is_empty() {
        last.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
    }
    let request = async_nats::Request::new()
        .headers(last)
        .payload(payload.clone())
        .timeout(None);
    match shared.client.send_request(subject.clone(), request).await {
        Ok(message) => acknowledged(shared, &message.payload),
        Err(e) => match e.kind() {
            RequestErrorKind::NoResponders => {
                Outcome::Refused("no server answers for the stream".to_owned())
            }
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                Outcome::Never(e.to_string())
            }
            _ => Outcome::Unknown(e.to_string()),
        },
    }
}

fn acknowledged(shared: &Shared, payload: &[u8]) -> Outcome {
    let ack: Ack = match serde_json::from_slice(payload) {
        Ok(ack) => ack,
        Err(e) => return Outcome::Unknown(format!("an acknowledgement that cannot be read: {e}")),
    };
    match ack.error {
        Some(e) => match e.error_code() {
            ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE
            | ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT => Outcome::Duplicate,
            ErrorCode::ATOMIC_PUBLISH_DISABLED
            | ErrorCode::ATOMIC_PUBLISH_UNSUPPORTED_HEADER
            | ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH
            | ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => Outcome::Never(e.to_string()),
            _ => Outcome::Refused(e.to_string()),
        },
        None if ack.stream.as_deref() != Some(shared.name.as_str()) => Outcome::Never(format!(
            "the stream {:?} took it instead of {:?}",
            ack.stream.unwrap_or_default(),
            shared.name
        )),
        None if ack.duplicate => Outcome::Duplicate,
        None => Outcome::Stored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(batch: &[(u16, u32, usize)]) -> (Job, oneshot::Receiver<Result<Vec<Appended>>>) {
        let (answer, answered) = oneshot::channel();
        let batch = (batch.iter())
            .map(|(partition, count, bytes)| Append {
                partition: PartitionId(*partition),
                count: *count,
                message: Bytes::from(vec![0; *bytes]),
            })
            .collect();
        let since = Instant::now();
        (
            Job {
                batch,
                answer,
                since,
            },
            answered,
        )
    }

    #[tokio::test]
    async fn a_round_has_one_frame_a_group_and_answers_each_in_its_order() {
        let mut round = Round::default();
        let (one, mut first) = job(&[(7, 2, 10), (9, 1, 10), (7, 3, 10), (300, 1, 10)]);
        let (two, mut second) = job(&[(9, 4, 10), (17, 1, 10), (7, 1, FRAME_BYTES_MAX)]);
        round.add(one);
        assert!(round.has_room(&two));
        round.add(two);
        // Partitions 7 and 9 share a frame; the long message has one of its own.
        let frames: Vec<Vec<u16>> = (round.frames.iter())
            .map(|f| f.sections.iter().map(|(p, _)| p.0).collect())
            .collect();
        assert_eq!(frames, [vec![7, 9], vec![300], vec![17], vec![7]]);
        round.answer(&Ok(vec![vec![100, 200], vec![9], vec![0], vec![105]]));
        let answer = |out: Vec<Appended>| -> Vec<_> {
            let out = out.into_iter();
            out.map(|a| (a.partition.0, a.first.0, a.end.0)).collect()
        };
        let first = answer(first.try_recv().unwrap().unwrap());
        let wanted = [(7, 100, 102), (9, 200, 201), (7, 102, 105), (300, 9, 10)];
        assert_eq!(first, wanted);
        let second = answer(second.try_recv().unwrap().unwrap());
        assert_eq!(second, [(9, 201, 205), (17, 0, 1), (7, 105, 106)]);
    }

    #[tokio::test]
    async fn rounds_are_bounded_in_frames_and_bytes() {
        let mut round = Round::default();
        let mut jobs = 0;
        loop {
            // Partitions that have a subject of their own.
            let from = 1000 + jobs * 100;
            let batch: Vec<_> = (from..from + 100).map(|p| (p, 1, 100)).collect();
            let job = job(&batch).0;
            if !round.has_room(&job) {
                break;
            }
            round.add(job);
            jobs += 1;
        }
        assert!((800..=FRAMES_MAX).contains(&round.frames.len()));
        let mut round = Round::default();
        while let (job, _) = job(&[(1, 1, 1 << 20)])
            && round.has_room(&job)
        {
            round.add(job);
        }
        assert!(round.bytes <= ROUND_BYTES_MAX && round.bytes > ROUND_BYTES_MAX / 2);
    }

    #[test]
    fn a_frame_that_comes_twice_is_noticed() {
        let pending = Pending::default();
        let label = |index| Label {
            round: 5,
            index,
            sections: Vec::new(),
        };
        let mut seen = pending.register(5, 2);
        assert!(!pending.counted(&label(0), vec![3]));
        assert!(seen.try_recv().is_err());
        assert!(pending.counted(&label(0), vec![9]));
        assert!(!pending.counted(&label(1), vec![4]));
        assert_eq!(seen.try_recv().unwrap(), [[3], [4]]);
        pending.forget(5, true);
        assert!(pending.counted(&label(0), vec![11]));
        let other = Label {
            round: 6,
            ..label(0)
        };
        assert!(!pending.counted(&other, vec![0]));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        for attempt in 0..40 {
            assert!(pause(attempt) <= PAUSES[1] * 3 / 2);
        }
        assert!(pause(10) >= PAUSES[1] / 2);
    }
}
