//! State on PostgreSQL: reads. Commits go through [`super::commit`].
//!
//! Small reads of concurrent callers are gathered into one statement, which is one snapshot; large ones, and scans, run by themselves.

use super::commit::{self, Outcome, Writer, numbered};
use super::connection::Pool;
use super::gather::{Gather, Handler};
use super::locks::Locks;
use super::options::PostgresOptions;
use super::text::{Texts, name};
use super::{corrupt, unavailable};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::{
    Commit, Durability, Error, EventLog, Moment, Queue, Result, Row, RowKey, State, Table, limits,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Most keys of a call that is gathered with others; a larger one runs as a statement of its own.
pub const GATHERED_KEYS_MAX: usize = 256;

const STORE: &str = "state";

/// A [`State`] on PostgreSQL.
pub(crate) struct PostgresState {
    reads: Arc<Reader>,
    gets: Gather<Get>,
    durable: Gather<commit::Job>,
    folds: Gather<commit::Job>,
    locks: Locks,
}

impl PostgresState {
    /// Starts the workers.
    pub(crate) fn start(
        reads: Pool,
        durable: Pool,
        folds: Pool,
        locks: Locks,
        options: &PostgresOptions,
    ) -> Self {
        let texts = Arc::new(Texts::default());
        let reads = Arc::new(Reader {
            pool: reads,
            texts: Arc::clone(&texts),
        });
        let writer = |pool| Writer {
            pool,
            texts: Arc::clone(&texts),
            locks,
        };
        Self {
            gets: Gather::start(
                STORE,
                GetHandler(Arc::clone(&reads)),
                options.read_connections,
            ),
            durable: Gather::start(STORE, writer(durable), options.durable_connections),
            folds: Gather::start(STORE, writer(folds), options.fold_connections),
            reads,
            locks,
        }
    }
}

/// A call of `get` that is gathered with others.
struct Get {
    keys: Vec<RowKey>,
    answer: oneshot::Sender<Result<Vec<Option<Bytes>>>>,
}

struct GetHandler(Arc<Reader>);

impl Handler for GetHandler {
    type Job = Get;

    fn bytes(job: &Get) -> usize {
        // A row that is fetched is reckoned as a kilobyte.
        job.keys.len() << 10
    }

    async fn group(&self, jobs: Vec<Get>) {
        let keys: Vec<&RowKey> = jobs.iter().flat_map(|j| &j.keys).collect();
        match self.0.get(&keys).await {
            Ok(mut values) => {
                for job in jobs.into_iter().rev() {
                    let mine = values.split_off(values.len() - job.keys.len());
                    // A caller that has gone away needs no answer.
                    let _ = job.answer.send(Ok(mine));
                }
            }
            Err(e) => {
                let cause = cause(e);
                for job in jobs {
                    let _ = job
                        .answer
                        .send(Err(unavailable(STORE, "read rows", &cause)));
                }
            }
        }
    }
}

/// The innermost text of an error, to be said to each caller of a group.
pub(crate) fn cause(e: Error) -> String {
    match e {
        Error::Unavailable { cause, .. } => cause,
        e => e.to_string(),
    }
}

/// What reads share.
struct Reader {
    pool: Pool,
    texts: Arc<Texts>,
}

/// The rows asked of one table: index of the answer, partition and key of each.
#[derive(Default)]
struct Asked<'a> {
    order: Vec<i32>,
    partitions: Vec<i32>,
    keys: Vec<&'a [u8]>,
}

fn field<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    column: usize,
) -> Result<T> {
    row.try_get(column).map_err(|e| corrupt(STORE, "a row", e))
}

fn value(row: &PgRow, column: usize) -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(field(row, column)?))
}

/// The index that a row answers to.
fn index(row: &PgRow, count: usize) -> Result<usize> {
    let at: i32 = field(row, 0)?;
    usize::try_from(at)
        .ok()
        .filter(|at| *at < count)
        .ok_or_else(|| corrupt(STORE, "a row", format!("index {at} was not asked for")))
}

impl Reader {
    async fn get(&self, keys: &[&RowKey]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut by_table: BTreeMap<Table, Asked<'_>> = BTreeMap::new();
        for (o, key) in numbered(0, keys.len()).into_iter().zip(keys) {
            let asked = by_table.entry(key.table).or_default();
            asked.order.push(o);
            asked.partitions.push(key.partition.0.into());
            asked.keys.push(&key.key);
        }
        let tables: Vec<Table> = by_table.keys().copied().collect();
        let rows = self.pool.read("read rows", || {
            let mut query = self.texts.get(&tables);
            for asked in by_table.values() {
                query = query
                    .bind(&asked.order)
                    .bind(&asked.partitions)
                    .bind(&asked.keys);
            }
            query
        });
        let mut out = vec![None; keys.len()];
        for row in &rows.await? {
            out[index(row, keys.len())?] = Some(value(row, 1)?);
        }
        Ok(out)
    }
}

#[async_trait]
impl State for PostgresState {
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        if keys.len() > GATHERED_KEYS_MAX {
            return self.reads.get(&keys.iter().collect::<Vec<_>>()).await;
        }
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys.to_vec();
        self.gets
            .ask("read rows", |answer| Get { keys, answer })
            .await
    }

    async fn scan(
        &self,
        table: Table,
        partition: PartitionId,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        if limit == 0 || to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let bound = if to.is_some() { " AND key < $4" } else { "" };
        let text: Arc<str> = format!(
            "SELECT key, value FROM {} WHERE partition = $1 AND key >= $2{bound} ORDER BY key LIMIT $3",
            name(table)
        )
        .into();
        let rows = self.reads.pool.read("read a range of rows", || {
            let query = sqlx::query(AssertSqlSafe(Arc::clone(&text)))
                .bind(i32::from(partition.0))
                .bind(from)
                .bind(limit);
            match to {
                Some(to) => query.bind(to),
                None => query,
            }
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| {
                Ok(Row {
                    key: value(row, 0)?,
                    value: value(row, 1)?,
                })
            })
            .collect()
    }

    async fn scan_partitions(
        &self,
        table: Table,
        partitions: &[PartitionId],
        limit: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let asked: Vec<i32> = partitions.iter().map(|p| p.0.into()).collect();
        let text: Arc<str> = format!(
            "SELECT partition, key, value FROM {} WHERE partition = ANY($1::int4[]) \
             ORDER BY partition, key LIMIT $2",
            name(table)
        )
        .into();
        let rows = self.reads.pool.read("read rows of many partitions", || {
            sqlx::query(AssertSqlSafe(Arc::clone(&text)))
                .bind(asked.clone())
                .bind(limit)
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| {
                let found = Row {
                    key: value(row, 1)?,
                    value: value(row, 2)?,
                };
                let at: i32 = field(row, 0)?;
                let at = u16::try_from(at).map_err(|e| corrupt(STORE, "partition", e))?;
                Ok((PartitionId(at), found))
            })
            .collect()
    }

    async fn count(&self, table: Table, partition: PartitionId, most: usize) -> Result<usize> {
        let text: Arc<str> = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE partition = $1 LIMIT $2) AS a",
            name(table)
        )
        .into();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.reads.pool.read("count rows", || {
            sqlx::query(AssertSqlSafe(Arc::clone(&text)))
                .bind(i32::from(partition.0))
                .bind(most)
        });
        let rows = rows.await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| field(row, 0))?;
        usize::try_from(count).map_err(|e| corrupt(STORE, "a count", e))
    }

    fn queues(&self) -> Vec<Queue> {
        vec![
            self.gets.queue("state_reads"),
            self.durable.queue("state_durable"),
            self.folds.queue("state_folds"),
        ]
    }

    async fn positions(&self, partitions: &[PartitionId]) -> Result<Vec<Position>> {
        let asked: Vec<i32> = partitions.iter().map(|p| p.0.into()).collect();
        let rows = self.reads.pool.read("read positions", || {
            sqlx::query(
                "SELECT a.o, p.entries FROM unnest($1::int4[], $2::int4[]) AS a (o, partition) \
                 JOIN state_position AS p ON p.partition = a.partition",
            )
            .bind(numbered(0, asked.len()))
            .bind(&asked)
        });
        let mut out = vec![Position::default(); asked.len()];
        for row in &rows.await? {
            let entries: i64 = field(row, 1)?;
            let entries = u64::try_from(entries).map_err(|e| corrupt(STORE, "a position", e))?;
            out[index(row, asked.len())?] = Position(entries);
        }
        Ok(out)
    }

    async fn spent(&self, budgets: &[String]) -> Result<Vec<i64>> {
        let asked: Vec<&[u8]> = budgets.iter().map(|b| b.as_bytes()).collect();
        let rows = self.reads.pool.read("read budgets", || {
            sqlx::query(
                "SELECT a.o, least(sum(b.spent), 9223372036854775807)::int8 FROM unnest($1::int4[], $2::bytea[]) AS a (o, budget) \
                 JOIN state_budget AS b ON b.budget = a.budget GROUP BY a.o",
            )
            .bind(numbered(0, asked.len()))
            .bind(&asked)
        });
        let mut out = vec![0; asked.len()];
        for row in &rows.await? {
            out[index(row, asked.len())?] = field(row, 1)?;
        }
        Ok(out)
    }

    async fn budgets(&self) -> Result<Vec<(String, i64)>> {
        let rows = self.reads.pool.read("read budgets", || {
            sqlx::query(
                "SELECT budget, least(sum(spent), 9223372036854775807)::int8 FROM state_budget GROUP BY budget ORDER BY budget",
            )
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| {
                let name: Vec<u8> = field(row, 0)?;
                let name =
                    String::from_utf8(name).map_err(|e| corrupt(STORE, "a budget's name", e))?;
                Ok((name, field(row, 1)?))
            })
            .collect()
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Outcome>> {
        limits::commits(&commits)?;
        for a in commits.iter().filter_map(|c| c.advance) {
            if i64::try_from(a.to.0).is_err() {
                return Err(Error::Limit {
                    what: "the position of a partition",
                    limit: i64::MAX.unsigned_abs(),
                    found: a.to.0,
                });
            }
        }
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let lane = if commits.iter().any(|c| c.durability == Durability::Durable) {
            &self.durable
        } else {
            &self.folds
        };
        lane.ask("commit", |answer| commit::Job { commits, answer })
            .await
    }

    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        let taken = super::moment::take(&self.reads.pool, self.locks, log).await?;
        Ok(Box::new(taken))
    }
}
