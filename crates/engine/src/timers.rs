//! Timers: what comes due without an event ("no login for 30 days", a reward nobody claimed, a send that was never
//! confirmed) is written to the log with its time; the fold then does what is due. A timer that fires twice is harmless:
//! the second finds nothing due.

use crate::{Inner, rows};
use bytes::Bytes;
use luopan_kernel::event::{Entry, encode_message};
use luopan_kernel::id::PartitionId;
use luopan_kernel::time::{Micros, SECOND_US};
use luopan_store::{Append, Table};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most timers of one partition fired at once; the rest follow when these are folded.
const FIRED_MAX: usize = 1_000;
/// Shortest and longest sleep between two looks.
const SLEEP_US_MIN: i64 = 10_000;
const SLEEP_US_MAX: i64 = SECOND_US;

/// The earliest timer of each partition, as far as known: never later than the true one.
#[derive(Debug)]
pub(crate) struct Timers {
    earliest: Mutex<BTreeMap<PartitionId, Micros>>,
    firing: AtomicBool,
    wake: luopan_store::Signal,
}

impl Timers {
    pub(crate) fn new() -> Self {
        let all = (0..luopan_kernel::PARTITIONS)
            .map(|p| (PartitionId(p), Micros(i64::MIN)))
            .collect();
        Self {
            earliest: Mutex::new(all),
            firing: AtomicBool::new(false),
            wake: luopan_store::Signal::default(),
        }
    }

    /// A timer was set.
    pub(crate) fn set(&self, partition: PartitionId, due: Micros) {
        let mut earliest = self.earliest.lock();
        if earliest.get(&partition).is_none_or(|e| due < *e) {
            earliest.insert(partition, due);
        }
    }

    /// The partition is to be looked at anew: another node may have set timers in it.
    pub(crate) fn look(&self, partition: PartitionId) {
        self.earliest.lock().insert(partition, Micros(i64::MIN));
    }

    fn due(&self, now: Micros) -> Vec<PartitionId> {
        self.earliest
            .lock()
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(p, _)| *p)
            .collect()
    }

    fn take(&self, partition: PartitionId) {
        self.earliest.lock().remove(&partition);
    }

    /// True when nothing is due and nothing that was due is still on its way into State.
    pub(crate) fn idle(&self, now: Micros) -> bool {
        // In this order: what is due is taken only while it is being fired.
        self.due(now).is_empty() && !self.firing.load(Ordering::SeqCst)
    }

    pub(crate) fn close(&self) {
        self.wake.close();
    }

    fn next(&self) -> Option<Micros> {
        self.earliest.lock().values().min().copied()
    }
}

/// Fires timers until the engine stops.
pub(crate) async fn run(inner: Arc<Inner>) {
    while !inner.stopping() {
        let now = inner.env.now();
        inner.timers.firing.store(true, Ordering::SeqCst);
        let due = inner.timers.due(now);
        if !due.is_empty()
            && let Err(e) = fire(&inner, &due, now).await
        {
            tracing::warn!(error = %e, "timers could not be fired; trying again");
            for partition in due {
                inner.timers.set(partition, now.plus(SECOND_US));
            }
        }
        inner.timers.firing.store(false, Ordering::SeqCst);
        let now = inner.env.now();
        let us = inner
            .timers
            .next()
            .map_or(SLEEP_US_MAX, |at| at.since(now))
            .clamp(SLEEP_US_MIN, SLEEP_US_MAX);
        // Whoever stops the engine does not wait for the sleep to be over.
        let (slept, woken) = (inner.env.sleep(us), inner.timers.wake.wait(u64::MAX));
        futures::future::select(slept, std::pin::pin!(woken)).await;
    }
}

/// Writes what is due in these partitions to the log, with one sync, and waits until it is folded: until then the same
/// timers would be found again.
async fn fire(inner: &Inner, partitions: &[PartitionId], now: Micros) -> luopan_store::Result<()> {
    let mut appends = Vec::new();
    let mut fired = 0;
    // Taken before the scan: a timer set meanwhile shows up either in the scan or in the map.
    partitions.iter().for_each(|p| inner.timers.take(*p));
    // A halted partition folds nothing: its timers would be found again and again. One that falls to another node is
    // looked at when it comes back.
    let own = (partitions.iter().copied())
        .filter(|p| inner.progress.halt_of(*p).is_none() && inner.fleet.owns(*p))
        .collect::<Vec<_>>();
    let mut ripe = Vec::new();
    for (partition, row) in inner.state.scan_each(Table::Timer, &own, 1).await? {
        match rows::parse_timer(&row.key) {
            Some((due, _, _)) if due > now => inner.timers.set(partition, due),
            _ => ripe.push(partition),
        }
    }
    for partition in &ripe {
        let mut entries: Vec<Entry<'static>> = Vec::new();
        for row in inner
            .state
            .scan(Table::Timer, *partition, &[], None, FIRED_MAX)
            .await?
        {
            let Some((due, scene, identifier)) = rows::parse_timer(&row.key) else {
                continue;
            };
            if due > now {
                inner.timers.set(*partition, due);
                break;
            }
            entries.push(Entry::TimerFired {
                scene,
                identifier,
                at: due,
            });
        }
        if entries.len() == FIRED_MAX {
            inner.timers.set(*partition, now);
        }
        if !entries.is_empty() {
            fired += entries.len();
            let message = Bytes::from(encode_message(&entries));
            appends.push(Append {
                partition: *partition,
                count: entries.len() as u32,
                message,
            });
        }
    }
    if appends.is_empty() {
        return Ok(());
    }
    let landed = inner.log.append(appends).await?;
    inner.heads_moved(&landed);
    inner
        .counters
        .timers
        .fetch_add(fired as u64, Ordering::Relaxed);
    for a in landed {
        inner.wait_folded(a.partition, a.end).await;
    }
    Ok(())
}
