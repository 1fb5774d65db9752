//! The event log on NATS JetStream: one stream, a subject for sixteen partitions of customers and one for every other partition, file
//! storage.
//!
//! The order of the stream is the only authority. A position is the number of entries of its partition before it, counted by
//! every node as it follows the stream; so any number of nodes append at once and none of them has to know where another
//! stands. What was appended is told of when the server has acknowledged it (synced and, with replicas, by most of them)
//! *and* this node has counted it. An append whose answer was lost is published again under the same id, which the server
//! takes once.
//!
//! This room must never answer a position that it has not counted, pass over a message of the stream, or take an answer that
//! did not come for a no.
//!
//! That a message is synced before it is acknowledged is the server's part (`sync_interval: always`), which cannot be seen
//! from here: docs/runbook/jetstream.md says how to look.

mod append;
mod begins;
mod counters;
mod follow;
mod frame;
mod places;
mod read;
mod recent;
mod server;
mod truncate;

pub use append::{
    ACK_TIME_MAX, APPEND_TIME_MAX, FRAMES_MAX, QUEUE_JOBS_MAX, ROUND_BYTES_MAX,
    ROUNDS_IN_FLIGHT_MAX,
};
pub use counters::Counts;
pub use server::{DUPLICATE_WINDOW, Installation, Options, PAYLOAD_BYTES_MIN, SERVER_VERSION_MIN};

use async_nats::connection::State;
use async_nats::jetstream;
use async_trait::async_trait;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::heads::Heads;
use luopan_store::{Append, Appended, Error, EventLog, LogMessage, Queue, Result, Wake, limits};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const STORE: &str = "event log";

pub(crate) fn unavailable(tried: &str, cause: impl std::fmt::Display) -> Error {
    Error::Unavailable {
        store: STORE,
        tried: tried.to_owned(),
        cause: cause.to_string(),
    }
}

/// What the tasks of one opening share.
pub(crate) struct Shared {
    name: String,
    client: async_nats::Client,
    context: jetstream::Context,
    stream: jetstream::stream::Stream<()>,
    heads: Heads,
    places: places::Places,
    news: truncate::News,
    recent: recent::Recent,
    pending: append::Pending,
    health: Health,
    counters: counters::Counters,
    /// Following is to begin anew.
    anew: Notify,
    /// Something was counted.
    counted: Notify,
}

/// Why appends cannot succeed, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Health {
    halted: OnceLock<String>,
    /// The stream's leader cannot be asked, or stands alone.
    leader: Mutex<Option<String>>,
    /// The last append got no answer.
    appends: Mutex<Option<String>>,
}

impl Health {
    /// Ends everything but reading: what the stream holds cannot be counted.
    fn halt(&self, why: &Error) {
        tracing::error!(error = %why, "the event log is halted: the stream cannot be counted further");
        let _ = self.halted.set(why.to_string());
    }

    fn halted(&self) -> Result<()> {
        match self.halted.get() {
            None => Ok(()),
            Some(why) => Err(unavailable("count its stream", why)),
        }
    }

    fn why(&self) -> Option<String> {
        let leader = self.leader.lock().clone();
        leader.or_else(|| self.appends.lock().clone())
    }
}

/// An [`EventLog`] on a JetStream stream.
pub struct JetStreamLog {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<append::Job>,
    tasks: Vec<JoinHandle<()>>,
}

impl JetStreamLog {
    /// Connects, finds the stream or makes it, and counts what it holds; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Mismatch`] and [`Error::Newer`] with what to do when server or stream are not what the log
    /// needs, [`Error::Corrupt`] when the stream holds something else, [`Error::Unavailable`] when the server does not answer.
    pub async fn open(options: Options) -> Result<Self> {
        let server = server::Server::open(&options).await?;
        let stream = server
            .context
            .get_stream_no_info(&options.stream)
            .await
            .map_err(|e| unavailable("look at its stream", e))?;
        let places = places::Places::default();
        if let Some((at, checkpoint)) = follow::last_checkpoint(&stream, &options.stream).await? {
            places.begin(at, &checkpoint);
        }
        if let Some((at, begins)) = truncate::last(&stream, &options.stream).await?
            && at <= places.seen()
        {
            places.begin_at(at, &begins);
        }
        let found = places.checkpoint().heads;
        let begins = places.begins().1;
        let found = found.into_iter().map(|(partition, head)| {
            let begin = begins.of(partition).position;
            (partition, Position(begin), Position(head))
        });
        let shared = Arc::new(Shared {
            name: options.stream,
            client: server.client,
            context: server.context,
            stream,
            heads: Heads::between(found),
            places,
            news: truncate::News::default(),
            recent: recent::Recent::default(),
            pending: append::Pending::default(),
            health: Health::default(),
            counters: counters::Counters::default(),
            anew: Notify::new(),
            counted: Notify::new(),
        });
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let log = Self {
            tasks: vec![
                tokio::spawn(follow::follow(Arc::clone(&shared))),
                tokio::spawn(follow::look_after(Arc::clone(&shared))),
                tokio::spawn(append::gather(Arc::clone(&shared), queue)),
            ],
            shared,
            jobs,
        };
        follow::caught_up(&log.shared, server.info.state.last_sequence).await?;
        Ok(log)
    }

    /// What was done since it was opened.
    pub fn counts(&self) -> Counts {
        self.shared.counters.counts()
    }
}

impl Drop for JetStreamLog {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl std::fmt::Debug for JetStreamLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamLog")
            .field("stream", &self.shared.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        limits::appends(&batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.health.halted()?;
        let gone = || unavailable("append", "its task has stopped");
        let (answer, answered) = oneshot::channel();
        let job = append::Job {
            batch,
            answer,
            since: Instant::now(),
        };
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Position,
        bytes_max: usize,
    ) -> Result<Vec<LogMessage>> {
        read::read(&self.shared, partition, from.0, bytes_max).await
    }

    async fn heads(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        Ok(self.shared.heads.heads(partitions))
    }

    async fn latest(&self) -> Result<Vec<(PartitionId, Position)>> {
        follow::latest(&self.shared).await
    }

    async fn writable(&self) -> Result<()> {
        self.shared.health.halted()?;
        if self.shared.client.connection_state() != State::Connected {
            return Err(unavailable("write", "the connection to NATS is away"));
        }
        match self.shared.health.why() {
            None => Ok(()),
            Some(why) => Err(unavailable("write", why)),
        }
    }

    fn queues(&self) -> Vec<Queue> {
        vec![Queue {
            name: "log_appends",
            waiting: QUEUE_JOBS_MAX.saturating_sub(self.jobs.capacity()) as u64,
            limit: QUEUE_JOBS_MAX as u64,
        }]
    }

    async fn begins(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        Ok(self.shared.heads.begins(partitions))
    }

    async fn truncate(&self, to: &[(PartitionId, Position)]) -> Result<Vec<Position>> {
        truncate::truncate(&self.shared, to).await
    }

    async fn start(&self, at: &[(PartitionId, Position)]) -> Result<()> {
        truncate::start(&self.shared, at).await
    }

    async fn partitions(&self) -> Result<Vec<PartitionId>> {
        Ok(self.shared.heads.partitions())
    }

    async fn wait(&self, ticket: u64) -> Result<Wake> {
        Ok(self.shared.heads.wait(ticket).await)
    }
}
