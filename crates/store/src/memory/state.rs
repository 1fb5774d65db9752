//! State in memory: one lock over ordered maps, each transaction checked and applied under it.

use crate::budget::{self, Rows};
use crate::copy::{Moment, Spent, Whole};
use crate::error::Result;
use crate::limits;
use crate::log::EventLog;
use crate::state::{Commit, Committed, Conflict, Row, RowKey, State, Table};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A [`State`] in memory.
#[derive(Debug, Default)]
pub struct MemoryState {
    inner: RwLock<Inner>,
    /// Held for writing by who takes a moment.
    gate: tokio::sync::RwLock<()>,
}

impl MemoryState {
    /// Another State that holds the same now and shares nothing with this one.
    pub fn fork(&self) -> Self {
        Self {
            inner: RwLock::new(self.inner.read().clone()),
            gate: tokio::sync::RwLock::default(),
        }
    }
}

#[derive(Debug, Default, Clone)]
struct Inner {
    rows: BTreeMap<(Table, PartitionId), BTreeMap<Bytes, Bytes>>,
    positions: BTreeMap<PartitionId, Position>,
    budgets: BTreeMap<String, Rows>,
}

impl Inner {
    fn get(&self, key: &RowKey) -> Option<&Bytes> {
        self.rows.get(&(key.table, key.partition))?.get(&key.key)
    }

    fn position(&self, partition: PartitionId) -> Position {
        self.positions.get(&partition).copied().unwrap_or_default()
    }

    fn spent(&self, budget: &str) -> i64 {
        self.budgets.get(budget).map_or(0, budget::total)
    }

    fn commit(&mut self, commit: Commit) -> std::result::Result<Committed, Conflict> {
        if let Some(a) = commit.advance {
            let found = self.position(a.partition);
            if found != a.from {
                return Err(Conflict::Position {
                    partition: a.partition,
                    expected: a.from,
                    found,
                });
            }
        }
        for e in commit.expect {
            if self.get(&e.key) != e.value.as_ref() {
                return Err(Conflict::Changed { key: e.key });
            }
        }
        for c in commit.checks {
            if !budget::holds(&c, self.spent(&c.budget)) {
                return Err(Conflict::Budget { budget: c.budget });
            }
        }
        let mut budgets: BTreeMap<String, Rows> = BTreeMap::new();
        for change in commit.budgets {
            let rows = budgets.entry(change.budget.clone()).or_insert_with(|| {
                self.budgets
                    .get(&change.budget)
                    .cloned()
                    .unwrap_or_default()
            });
            if !budget::apply(rows, &change) {
                return Err(Conflict::Budget {
                    budget: change.budget,
                });
            }
        }
        budgets.retain(|_, rows| !rows.is_empty());
        self.budgets.append(&mut budgets);
        if let Some(a) = commit.advance {
            self.positions.insert(a.partition, a.to);
        }
        for w in commit.writes {
            let rows = self.rows.entry((w.key.table, w.key.partition)).or_default();
            match w.value {
                Some(value) => rows.insert(w.key.key, value),
                None => rows.remove(&w.key.key),
            };
        }
        Ok(Committed)
    }
}

#[async_trait]
impl State for MemoryState {
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        let inner = self.inner.read();
        Ok(keys.iter().map(|k| inner.get(k).cloned()).collect())
    }

    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let inner = self.inner.read();
        let Some(rows) = inner.rows.get(&(table, partition)) else {
            return Ok(Vec::new());
        };
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(rows
            .range::<[u8], _>((Bound::Included(from), to))
            .take(limit)
            .map(|(key, value)| Row {
                key: key.clone(),
                value: value.clone(),
            })
            .collect())
    }

    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let inner = self.inner.read();
        Ok(partitions.iter().map(|p| inner.position(*p)).collect())
    }

    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        let inner = self.inner.read();
        Ok(budgets.iter().map(|b| inner.spent(b)).collect())
    }

    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        let inner = self.inner.read();
        Ok(inner
            .budgets
            .iter()
            .map(|(name, rows)| (name.clone(), budget::total(rows)))
            .collect())
    }

    async fn commit(
        &self,
        commits: Vec<Commit>,
    ) -> Result<Vec<std::result::Result<Committed, Conflict>>> {
        limits::commits(&commits)?;
        let _gate = self.gate.read().await;
        let mut inner = self.inner.write();
        Ok(commits.into_iter().map(|c| inner.commit(c)).collect())
    }

    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        let _no_commit = self.gate.write().await;
        let heads = log.latest().await?;
        Ok(Box::new(Copied {
            inner: self.inner.read().clone(),
            heads,
        }))
    }
}

/// A copy of everything.
struct Copied {
    inner: Inner,
    heads: Vec<(PartitionId, Position)>,
}

#[async_trait]
impl Moment for Copied {
    fn heads(&self) -> &[(PartitionId, Position)] {
        &self.heads
    }

    async fn positions(&self) -> Result<Vec<(PartitionId, Position)>> {
        let all = self.inner.positions.iter();
        Ok(all.map(|(p, at)| (*p, *at)).collect())
    }

    async fn budgets(&self) -> Result<Vec<Spent>> {
        let all = self.inner.budgets.iter();
        Ok(all
            .flat_map(|(budget, rows)| {
                rows.iter().map(|(row, spent)| Spent {
                    budget: budget.clone(),
                    row: *row,
                    spent: *spent,
                })
            })
            .collect())
    }

    async fn rows(
        &self,
        table: Table,
        from: &(PartitionId, Bytes),
        bytes_max: usize,
    ) -> Result<Vec<Whole>> {
        let mut bytes = 0;
        let partitions = self.inner.rows.range((table, from.0)..);
        Ok(partitions
            .take_while(|((t, _), _)| *t == table)
            .flat_map(|((_, partition), rows)| {
                let first = if *partition == from.0 {
                    from.1.clone()
                } else {
                    Bytes::new()
                };
                rows.range(first..).map(|(key, value)| Whole {
                    key: RowKey {
                        table,
                        partition: *partition,
                        key: key.clone(),
                    },
                    value: value.clone(),
                })
            })
            .take_while(|row| {
                let is_first = bytes == 0;
                bytes += row.key.key.len() + row.value.len() + 1;
                is_first || bytes <= bytes_max
            })
            .collect())
    }
}
