//! One thread that owns the writing of one database: it gathers what concurrent callers hand in, writes it as one group with
//! at most one sync, and answers all of them.
//!
//! It is the commit lock: nothing else writes, so checks made while a group is put together cannot be overtaken. It never knows
//! what a job means.

use luopan_store::{Queue, Result};
use parking_lot::Mutex;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// Most jobs waiting; callers beyond wait for room.
const QUEUE_JOBS_MAX: usize = 4096;
/// Most jobs in one group.
const GROUP_JOBS_MAX: usize = 1024;
/// A group takes no further job when it holds this many bytes.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// What the thread does with a group.
pub(crate) trait Handler: Send + 'static {
    /// One caller's request with the way to answer it.
    type Job: Send + 'static;

    /// About how many bytes the job will write.
    fn bytes(job: &Self::Job) -> usize;

    /// Writes the group and answers every job.
    fn group(&mut self, jobs: &mut Vec<Self::Job>);
}

/// The callers' end. Dropping it lets the thread finish what is queued and waits for it.
#[derive(Debug)]
pub(crate) struct Committer<J> {
    jobs: Option<mpsc::Sender<J>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    store: &'static str,
}

impl<J: Send + 'static> Committer<J> {
    /// Starts the thread.
    pub(crate) fn start<H: Handler<Job = J>>(store: &'static str, mut handler: H) -> Result<Self> {
        let (jobs, mut queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name(format!("commit {store}"))
            .spawn(move || {
                let mut group = Vec::new();
                while let Some(job) = queue.blocking_recv() {
                    let mut bytes = H::bytes(&job);
                    group.push(job);
                    while group.len() < GROUP_JOBS_MAX
                        && bytes < GROUP_BYTES_MAX
                        && let Ok(job) = queue.try_recv()
                    {
                        bytes += H::bytes(&job);
                        group.push(job);
                    }
                    handler.group(&mut group);
                    group.clear();
                }
            })
            .map_err(|e| crate::folder::unavailable(store, "start its thread", e))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Mutex::new(Some(thread)),
            store,
        })
    }

    /// How many jobs wait.
    pub(crate) fn queue(&self, name: &'static str) -> Queue {
        let room = self.jobs.as_ref().map_or(0, mpsc::Sender::capacity);
        Queue {
            name,
            waiting: QUEUE_JOBS_MAX.saturating_sub(room) as u64,
            limit: QUEUE_JOBS_MAX as u64,
        }
    }

    /// Hands in a job and waits for its answer.
    pub(crate) async fn ask<A>(
        &self,
        job: impl FnOnce(tokio::sync::oneshot::Sender<Result<A>>) -> J,
    ) -> Result<A> {
        let gone = || crate::folder::unavailable(self.store, "commit", "its thread has stopped");
        let (answer, answered) = tokio::sync::oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl<J> Drop for Committer<J> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.get_mut().take() {
            // A panic in the thread was already answered to its callers as "has stopped".
            let _ = thread.join();
        }
    }
}
