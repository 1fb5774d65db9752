//! Gathers what concurrent callers hand in, so that a few workers carry it to the server in few statements.
//!
//! Every worker takes all that waits, up to the limits, and runs it as one group; under little load a group is one call. A worker goes
//! on when its caller has gone away, so a transaction is never left in the middle because a request was given up. It never knows what
//! a job means.

use super::unavailable;
use luopan_store::{Queue, Result};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Most jobs waiting; callers beyond wait for room.
pub const QUEUE_JOBS_MAX: usize = 4096;
/// Most jobs in one group.
pub const GROUP_JOBS_MAX: usize = 1024;
/// A group takes no further job when it holds this many bytes.
pub const GROUP_BYTES_MAX: usize = 4 << 20;

/// What a worker does with a group.
pub(crate) trait Handler: Send + Sync + 'static {
    /// One caller's request with the way to answer it.
    type Job: Send + 'static;

    /// About how many bytes the job sends or fetches.
    fn bytes(job: &Self::Job) -> usize;

    /// Runs the group and answers every job.
    fn group(&self, jobs: Vec<Self::Job>) -> impl Future<Output = ()> + Send;
}

/// The callers' end. When it is dropped, workers finish what is queued and end.
#[derive(Debug)]
pub(crate) struct Gather<J> {
    jobs: mpsc::Sender<J>,
    store: &'static str,
}

impl<J: Send + 'static> Gather<J> {
    /// Starts the workers on the runtime that this is called in.
    pub(crate) fn start<H: Handler<Job = J>>(
        store: &'static str,
        handler: H,
        workers: u32,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let handler = Arc::new(handler);
        for _ in 0..workers.max(1) {
            let (queue, handler) = (Arc::clone(&queue), Arc::clone(&handler));
            tokio::spawn(async move {
                while let Some(group) = next::<H>(&queue).await {
                    handler.group(group).await;
                }
            });
        }
        Self { jobs, store }
    }

    /// How many jobs wait.
    pub(crate) fn queue(&self, name: &'static str) -> Queue {
        Queue {
            name,
            waiting: QUEUE_JOBS_MAX.saturating_sub(self.jobs.capacity()) as u64,
            limit: QUEUE_JOBS_MAX as u64,
        }
    }

    /// Hands in a job and waits for its answer.
    pub(crate) async fn ask<A>(
        &self,
        tried: &str,
        job: impl FnOnce(oneshot::Sender<Result<A>>) -> J,
    ) -> Result<A> {
        let gone = || unavailable(self.store, tried, "its workers have stopped");
        let (answer, answered) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Waits for a job and takes what waits behind it.
async fn next<H: Handler>(queue: &Mutex<mpsc::Receiver<H::Job>>) -> Option<Vec<H::Job>> {
    let mut queue = queue.lock().await;
    let first = queue.recv().await?;
    let mut bytes = H::bytes(&first);
    let mut group = vec![first];
    while group.len() < GROUP_JOBS_MAX
        && bytes < GROUP_BYTES_MAX
        && let Ok(job) = queue.try_recv()
    {
        bytes += H::bytes(&job);
        group.push(job);
    }
    Some(group)
}
