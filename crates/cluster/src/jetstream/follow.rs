//! Following the stream: every message, one after another, is counted and kept at hand for a while; heads move, waiters wake, own
//! appends are answered. Beside it, looking after the stream's leader.
//!
//! It must pass over nothing: what cannot be counted halts the log with an alarm.

use async_nats::HeaderMap;
use async_nats::connection::State;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy};
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind, Stream};
use futures::StreamExt;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{Appended, Error, Result};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

use super::append::pause;
use super::begins::Begins;
use super::frame::{self, CHECKPOINT_HEADER, Checkpoint, HEADER, Label, Subject, Told};
use super::places::{Kind, Taken};
use super::server::REQUEST_TIME_MAX;
use super::{STORE, Shared, unavailable};

/// Most messages counted before heads move and waiters wake.
const CHUNK_MESSAGES_MAX: usize = 256;
/// Opening fails when nothing of the stream came for so long.
const OPEN_PAUSE_MAX: Duration = Duration::from_secs(15);
/// Following is not begun anew before it went on for so long, however many ask for it.
const FOLLOW_TIME_MIN: Duration = Duration::from_secs(2);
/// Between two looks at the stream's leader.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest time for such a look.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);
/// A replica that the leader did not hear of for so long is taken for gone.
const REPLICA_SILENCE_MAX: Duration = Duration::from_secs(10);
/// A node waits up to so many milliseconds before it writes a checkpoint, so that not all nodes write it.
const CHECKPOINT_PAUSE_MS: u64 = 200;

/// The last checkpoint as the leader has it, and its sequence.
pub(crate) async fn last_checkpoint(
    stream: &Stream<()>,
    name: &str,
) -> Result<Option<(u64, Checkpoint)>> {
    let subject = Subject::Index.name(name);
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => {
            let at = format!("message {}", message.sequence);
            let checkpoint = Checkpoint::decode(&at, &message.payload)?;
            let told = message.headers.get_last(CHECKPOINT_HEADER);
            if Told::decode(&at, told.map(|v| v.as_str()))? != checkpoint.told() {
                return Err(Error::Corrupt {
                    store: STORE,
                    at,
                    cause: "the checkpoint is not what its header tells".to_owned(),
                });
            }
            Ok(Some((message.sequence, checkpoint)))
        }
        Err(e) => match e.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            _ => Err(unavailable("read its last checkpoint", e)),
        },
    }
}

/// Waits until everything up to `last` was counted.
pub(crate) async fn caught_up(shared: &Shared, last: u64) -> Result<()> {
    let mut seen = shared.places.seen();
    let mut since = Instant::now();
    loop {
        let counted = shared.counted.notified();
        shared.health.halted()?;
        let now = shared.places.seen();
        if now >= last {
            return Ok(());
        }
        if now > seen {
            seen = now;
            since = Instant::now();
        }
        if since.elapsed() > OPEN_PAUSE_MAX {
            return Err(unavailable(
                "count its stream",
                format!("nothing came behind message {now} of {last} for {OPEN_PAUSE_MAX:?}"),
            ));
        }
        // A halt counts nothing, so it is looked for now and then.
        let _ = timeout(LOOK_EVERY, counted).await;
    }
}

/// As [`luopan_store::EventLog::latest`]: what the stream's leader has by now is counted and shown.
pub(crate) async fn latest(shared: &Shared) -> Result<Vec<(PartitionId, Position)>> {
    let info = super::server::stream(&shared.context, &shared.name).await?;
    let last = info.map_or(0, |info| info.state.last_sequence);
    caught_up(shared, last).await?;
    let heads: Vec<_> = (shared.places.checkpoint().heads.into_iter())
        .map(|(partition, head)| (partition, Position(head)))
        .collect();
    let partitions: Vec<_> = heads.iter().map(|(p, _)| *p).collect();
    // What is counted is shown a moment later.
    loop {
        let counted = shared.counted.notified();
        let shown = shared.heads.heads(&partitions);
        if heads
            .iter()
            .zip(shown)
            .all(|((_, head), shown)| shown >= *head)
        {
            return Ok(heads);
        }
        let _ = timeout(LOOK_EVERY, counted).await;
    }
}

/// Follows the stream until the log is closed or halted.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let from = shared.places.seen() + 1;
        match consume(&shared, from).await {
            Ok(messages) => {
                failures = 0;
                if let Err(why) = run(&shared, messages).await {
                    shared.health.halt(&why);
                    return;
                }
                if shared.places.seen() < from && was_purged(&shared, from).await {
                    shared.health.halt(&unavailable(
                        "count its stream",
                        format!("message {from} was let go by log retention before this node had counted it; start the node anew"),
                    ));
                    return;
                }
            }
            Err(e) => {
                failures += 1;
                tracing::warn!(error = %e, from, "the stream cannot be followed");
            }
        }
        shared.counters.follow_restarts.add(1);
        sleep(pause(failures)).await;
    }
}

/// True when the message that is to be counted next was let go by log retention: this node was away for longer than the log is kept.
/// Opened anew, it counts from the last checkpoint.
async fn was_purged(shared: &Shared, next: u64) -> bool {
    let missing = match shared.stream.get_raw_message(next).await {
        Ok(_) => false,
        Err(e) => matches!(e.kind(), LastRawMessageErrorKind::NoMessageFound),
    };
    let last = async {
        let info = super::server::stream(&shared.context, &shared.name).await;
        info.ok()
            .flatten()
            .map_or(0, |info| info.state.last_sequence)
    };
    missing && last.await >= next
}

async fn consume(shared: &Shared, from: u64) -> Result<Ordered> {
    let failed = |e: &dyn std::fmt::Display| unavailable("follow its stream", e);
    let config = OrderedConfig {
        deliver_subject: shared.client.new_inbox(),
        description: Some("a node that counts".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: from,
        },
        ..OrderedConfig::default()
    };
    let making = shared
        .context
        .create_consumer_on_stream(config, shared.name.as_str());
    let consumer: Consumer<OrderedConfig> = timeout(REQUEST_TIME_MAX, making)
        .await
        .map_err(|e| failed(&e))?
        .map_err(|e| failed(&e))?;
    consumer.messages().await.map_err(|e| failed(&e))
}

/// Counts what comes until it breaks off, which is no fault; an error is what must halt the log.
async fn run(shared: &Arc<Shared>, messages: Ordered) -> Result<()> {
    let began = Instant::now();
    let writes = Arc::new(AtomicBool::new(false));
    let mut chunks = messages.ready_chunks(CHUNK_MESSAGES_MAX);
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            () = shared.anew.notified() => {
                if began.elapsed() < FOLLOW_TIME_MIN {
                    continue;
                }
                return Ok(());
            }
        };
        let Some(chunk) = chunk else { return Ok(()) };
        let mut counted = Vec::new();
        let mut broke_off = false;
        let mut halt = None;
        for message in chunk {
            let message = match message {
                Ok(message) => message,
                Err(e) => {
                    tracing::debug!(error = %e, "following the stream broke off");
                    broke_off = true;
                    break;
                }
            };
            let Ok(sequence) = message.info().map(|info| info.stream_sequence) else {
                broke_off = true;
                break;
            };
            match count(shared, sequence, &message) {
                Ok(ControlFlow::Continue(one)) => counted.extend(one),
                Ok(ControlFlow::Break(())) => {
                    broke_off = true;
                    break;
                }
                Err(e) => {
                    halt = Some(e);
                    break;
                }
            }
        }
        tell(shared, &counted);
        if let Some(why) = halt {
            return Err(why);
        }
        if shared.places.is_due() && !writes.swap(true, Ordering::Relaxed) {
            let (shared, writes) = (Arc::clone(shared), Arc::clone(&writes));
            tokio::spawn(async move {
                while let Some(due) = shared.places.due() {
                    write_later(&shared, &due).await;
                }
                writes.store(false, Ordering::Relaxed);
            });
        }
        if broke_off {
            return Ok(());
        }
    }
}

/// A frame that was counted: where each of its sections lies.
type Counted = (Vec<Appended>, Label);

/// Counts one message; breaks off when one before it did not come.
fn count(
    shared: &Shared,
    sequence: u64,
    message: &Message,
) -> Result<ControlFlow<(), Option<Counted>>> {
    let at = format!("message {sequence}");
    let headers = message.headers.as_ref();
    let header = |name| headers.and_then(|h| h.get_last(name)).map(|v| v.as_str());
    let kind = match Subject::parse(&shared.name, &message.subject)? {
        Subject::Index => Kind::Checkpoint(Told::decode(&at, header(CHECKPOINT_HEADER))?),
        Subject::Begins => Kind::Begins(Begins::decode(&at, &message.payload)?),
        subject => {
            let label = Label::decode(&at, header(HEADER))?;
            label.lies_under(&at, subject)?;
            Kind::Frame(label)
        }
    };
    match shared.places.take(sequence, &kind) {
        Taken::Next(appended) => {
            shared.counters.followed.add(1);
            let label = match kind {
                Kind::Frame(label) => label,
                Kind::Checkpoint(_) => return Ok(ControlFlow::Continue(None)),
                Kind::Begins(begins) => {
                    let begins = begins.0.into_iter();
                    let begins: Vec<_> = begins.map(|(p, b)| (p, Position(b.position))).collect();
                    shared.heads.start(&begins);
                    return Ok(ControlFlow::Continue(None));
                }
            };
            match frame::messages(&at, &label, &message.payload) {
                Ok(sections) => {
                    for (appended, messages) in appended.iter().zip(sections) {
                        (shared.recent).push(appended.partition, appended.first, messages);
                    }
                }
                // Whoever reads it from the servers is told what is wrong with it.
                Err(_) => shared.recent.clear(),
            }
            Ok(ControlFlow::Continue(Some((appended, label))))
        }
        Taken::Old => Ok(ControlFlow::Continue(None)),
        Taken::Gap { missing } => {
            tracing::warn!(missing, sequence, "a message of the stream did not come");
            Ok(ControlFlow::Break(()))
        }
        Taken::Differs { sequence } => Err(Error::Corrupt {
            store: STORE,
            at,
            cause: format!(
                "the checkpoint of message {sequence} tells other heads than were counted here"
            ),
        }),
    }
}

/// Moves heads and answers own appends.
fn tell(shared: &Shared, counted: &[Counted]) {
    let appended: Vec<_> = (counted.iter())
        .flat_map(|(appended, _)| appended.iter().copied())
        .collect();
    shared.heads.advance(&appended);
    for (appended, label) in counted {
        let firsts = appended.iter().map(|a| a.first.0).collect();
        if shared.pending.counted(label, firsts) {
            shared.counters.doubled.add(1);
            tracing::error!(?appended, "an append lies in the stream twice");
        }
    }
    shared.counted.notify_waiters();
}

async fn write_later(shared: &Shared, due: &Checkpoint) {
    let wait = pause(0).subsec_nanos() as u64 % CHECKPOINT_PAUSE_MS;
    sleep(Duration::from_millis(wait)).await;
    if shared.places.index().1 >= due.sequence {
        return;
    }
    if let Err(e) = write_checkpoint(shared, due).await {
        tracing::debug!(
            error = e,
            "a checkpoint was not written; the next one will be"
        );
    }
}

/// Writes a checkpoint behind the last one that was seen; fails when another one came in between.
async fn write_checkpoint(
    shared: &Shared,
    checkpoint: &Checkpoint,
) -> std::result::Result<(), String> {
    let (last, _) = shared.places.index();
    let mut headers = HeaderMap::new();
    headers.insert(CHECKPOINT_HEADER, checkpoint.told().encode().as_str());
    headers.insert(
        NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        last.to_string().as_str(),
    );
    let subject = Subject::Index.name(&shared.name);
    let publishing = shared
        .context
        .publish_with_headers(subject, headers, checkpoint.encode());
    let acknowledged = async {
        let ack = publishing.await.map_err(|e| e.to_string())?;
        ack.await.map_err(|e| e.to_string())
    };
    match timeout(LOOK_TIME_MAX, acknowledged).await {
        Ok(Ok(_)) => {
            shared.counters.checkpoints.add(1);
            Ok(())
        }
        Ok(Err(e)) => Err(e),
        Err(_) => Err("no acknowledgement".to_owned()),
    }
}

/// Waits until there is a checkpoint of `sequence` or above; writes one where there is none.
pub(crate) async fn checkpoint_from(shared: &Shared, sequence: u64) -> Result<()> {
    let until = Instant::now() + OPEN_PAUSE_MAX;
    loop {
        if shared.places.index().1 >= sequence {
            return Ok(());
        }
        let probe = shared.places.checkpoint();
        let why = match write_checkpoint(shared, &probe).await {
            Ok(()) => "it is not counted".to_owned(),
            // Somebody else wrote one in between.
            Err(why) => why,
        };
        if Instant::now() >= until {
            return Err(unavailable("write a checkpoint", why));
        }
        let counted = shared.counted.notified();
        let _ = timeout(LOOK_TIME_MAX / 10, counted).await;
    }
}

/// Looks at the stream's leader now and then: whether appends can succeed, and whether following hangs.
pub(crate) async fn look_after(shared: Arc<Shared>) {
    let mut before = shared.places.seen();
    let mut known = 0;
    loop {
        sleep(LOOK_EVERY).await;
        if shared.client.connection_state() != State::Connected {
            continue;
        }
        let look = super::server::stream(&shared.context, &shared.name);
        let why = match timeout(LOOK_TIME_MAX, look).await {
            Ok(Ok(Some(info))) => {
                let seen = shared.places.seen();
                // What the leader had at the last look is not counted yet, and nothing was in between.
                if seen < known && seen == before {
                    tracing::warn!(
                        seen,
                        last = info.state.last_sequence,
                        "following the stream hangs and begins anew"
                    );
                    shared.anew.notify_one();
                }
                before = seen;
                known = info.state.last_sequence;
                lonely(&info)
            }
            Ok(Ok(None)) => Some("the stream is gone".to_owned()),
            Ok(Err(e)) => Some(e.to_string()),
            Err(_) => Some(format!(
                "the stream's leader gave no answer within {LOOK_TIME_MAX:?}"
            )),
        };
        let is_well = why.is_none();
        *shared.health.leader.lock() = why;
        if is_well && shared.health.appends.lock().is_some() {
            // Whether appends succeed again is known when one did. A checkpoint does no harm.
            let probe = shared.places.checkpoint();
            if write_checkpoint(&shared, &probe).await.is_ok() {
                *shared.health.appends.lock() = None;
            }
        }
    }
}

/// Says why a leader cannot store anything: too few replicas beside it.
fn lonely(info: &Info) -> Option<String> {
    let cluster = info.cluster.as_ref()?;
    let wanted = info.config.num_replicas;
    if wanted == 1 {
        return None;
    }
    if cluster.leader.is_none() {
        return Some("the stream has no leader".to_owned());
    }
    let others = cluster.replicas.iter();
    let there = 1 + others
        .filter(|r| !r.offline && r.active < REPLICA_SILENCE_MAX)
        .count();
    (2 * there <= wanted).then(|| {
        format!("{there} of the stream's {wanted} replicas are there, more than half is needed")
    })
}
