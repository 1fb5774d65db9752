//! The work: partitions are taken by threads, each writes the part of one partition after another.

use super::manifest::{Folder, unusable};
use crate::problem::{Problem, Result};
use luopan_engine::matching::{Matcher, Page};
use luopan_kernel::decide::batch::Ranking;
use luopan_kernel::id::{CustomerId, PartitionId};
use luopan_lake::ranking::{self, Part};
use luopan_learning::retrieval::{Retrieval, Vectors, Wanted};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;

/// Note of a part that holds its [`Tally`].
const TALLY: &str = "luopan.part";

/// Why customers have nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    /// The gate that refused; `null_action` where silence is better than every item.
    pub(crate) gate: String,
    /// The rule, cap, budget or objective; the null action.
    pub(crate) rule: String,
    /// Customers with nothing whom it refused, or of whom it refused items. One may be counted at several rules.
    pub(crate) customers: u64,
}

/// What was ranked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) customers: u64,
    pub(crate) rows: u64,
    /// Customers for whom there is no item.
    pub(crate) with_nothing: u64,
    pub(crate) why: Vec<Why>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.customers += other.customers;
        self.rows += other.rows;
        self.with_nothing += other.with_nothing;
        for why in other.why {
            self.count(&why.gate, &why.rule, why.customers);
        }
    }

    fn count(&mut self, gate: &str, rule: &str, customers: u64) {
        let place = |w: &Why| (w.gate.as_str(), w.rule.as_str()).cmp(&(gate, rule));
        match self.why.binary_search_by(place) {
            Ok(i) => self.why[i].customers += customers,
            Err(i) => self.why.insert(
                i,
                Why {
                    gate: gate.to_owned(),
                    rule: rule.to_owned(),
                    customers,
                },
            ),
        }
    }

    fn take(&mut self, ranking: &Ranking, silence: Option<&str>) {
        self.customers += 1;
        self.rows += ranking.items.len() as u64;
        if !ranking.items.is_empty() {
            return;
        }
        self.with_nothing += 1;
        if let (true, Some(silence)) = (ranking.is_silent, silence) {
            self.count("null_action", silence, 1);
        }
        for refusal in &ranking.refusals {
            let gate = serde_json::to_value(refusal.gate).unwrap_or_default();
            self.count(gate.as_str().unwrap_or_default(), &refusal.rule, 1);
        }
    }
}

/// How far the work is, for whoever watches.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Partitions that are finished.
    pub(crate) partitions: AtomicU64,
    /// Customers ranked in this run.
    pub(crate) customers: AtomicU64,
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) all: Tally,
    /// Partitions that an earlier run had finished.
    pub(crate) resumed: u64,
}

/// Ranks every partition that has no part yet, and puts all parts into `output` with `notes`.
pub(crate) fn work(
    matcher: &Matcher,
    folder: &Folder,
    output: &Path,
    notes: &luopan_lake::Notes,
    (top, threads): (usize, usize),
    progress: &Progress,
    runtime: &Handle,
) -> Result<Outcome> {
    let partitions = || (0..luopan_kernel::PARTITIONS).map(PartitionId);
    let open: Vec<PartitionId> = partitions().filter(|p| !folder.part(*p).exists()).collect();
    let resumed = luopan_kernel::PARTITIONS as u64 - open.len() as u64;
    progress.partitions.store(resumed, Ordering::Relaxed);
    let vectors = matcher.index().map(Vectors::new);
    let retrieval = match (matcher.index(), &vectors) {
        (Some(index), Some(vectors)) => Some(Retrieval::new(index, vectors).map_err(unretrieved)?),
        _ => None,
    };
    let worker = Worker {
        matcher,
        folder,
        retrieval: retrieval.as_ref(),
        top,
        progress,
        runtime,
    };
    let threads = threads.clamp(1, open.len().max(1));
    let queue = Mutex::new(open.into_iter());
    let stopped: Mutex<Option<Box<Problem>>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while stopped.lock().is_none() {
                    let next = queue.lock().next();
                    let Some(partition) = next else { return };
                    if let Err(problem) = worker.partition(partition) {
                        stopped.lock().get_or_insert(problem);
                    }
                }
            });
        }
    });
    if let Some(problem) = stopped.into_inner() {
        return Err(problem);
    }
    let parts: Vec<_> = partitions().map(|p| folder.part(p)).collect();
    let mut all = Tally::default();
    for part in &parts {
        all.add(tally(part)?);
    }
    ranking::concatenate(&parts, output, notes).map_err(|e| unwritten(&e))?;
    Ok(Outcome { all, resumed })
}

fn unwritten(e: &luopan_lake::Error) -> Box<Problem> {
    Problem::new("file_unreadable", e.to_string())
}

fn unretrieved(e: luopan_learning::matching::Error) -> Box<Problem> {
    Problem::internal(format!("retrieving failed: {e}"))
}

/// What a part says of itself.
fn tally(part: &Path) -> Result<Tally> {
    let notes = ranking::notes(part).map_err(|e| unwritten(&e))?;
    let lost = || {
        unusable(
            part,
            "it is no part of a matching; begin anew with --restart",
        )
    };
    let (_, text) = notes
        .iter()
        .find(|(name, _)| name == TALLY)
        .ok_or_else(lost)?;
    serde_json::from_str(text).map_err(|_| lost())
}

struct Worker<'a> {
    matcher: &'a Matcher,
    folder: &'a Folder,
    retrieval: Option<&'a Retrieval<'a>>,
    top: usize,
    progress: &'a Progress,
    runtime: &'a Handle,
}

impl Worker<'_> {
    /// Writes the part of a partition.
    fn partition(&self, partition: PartitionId) -> Result<()> {
        let mut part = Part::create(&self.folder.part(partition)).map_err(|e| unwritten(&e))?;
        let mut tally = Tally::default();
        let mut after = None;
        // A row of the catalogue has the same key for everybody.
        let mut keys: BTreeMap<u32, &str> = BTreeMap::new();
        loop {
            let page = self.runtime.block_on(self.matcher.page(partition, after))?;
            for (customer, ranking) in self.rank(&page)? {
                tally.take(&ranking, self.matcher.silence());
                let items = ranking.items.iter().map(|item| {
                    let key = keys
                        .entry(item.row)
                        .or_insert_with(|| self.matcher.key(item.row));
                    (*key, item.score)
                });
                part.push(customer, items).map_err(|e| unwritten(&e))?;
            }
            (self.progress.customers).fetch_add(page.len() as u64, Ordering::Relaxed);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let text = serde_json::to_string(&tally)
            .map_err(|e| Problem::internal(format!("writing a part's note failed: {e}")))?;
        part.finish(&vec![(TALLY.to_owned(), text)])
            .map_err(|e| unwritten(&e))?;
        self.progress.partitions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn rank(&self, page: &Page) -> Result<Vec<(CustomerId, Ranking)>> {
        self.matcher.rank(page, self.top, |wanted| {
            let asked: Vec<Wanted<'_>> = (wanted.iter())
                .map(|w| Wanted {
                    vector: &w.vector,
                    eligible: w.eligible,
                    keep: w.keep,
                })
                .collect();
            match self.retrieval {
                // The threads are busy with partitions already.
                Some(retrieval) => retrieval.best(&asked, 1).map_err(unretrieved),
                None => Ok(Vec::new()),
            }
        })
    }
}
