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
    Commit, Error, EventLog, Moment, Queue, Result, Row, RowKey, State, Table, limits,
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
    commits: Gather<commit::Job>,
    locks: Locks,
}

impl PostgresState {
    /// Starts the workers.
    pub(crate) fn start(
        reads: Pool,
        commits: Pool,
        locks: Locks,
        options: &PostgresOptions,
    ) -> Self {
        let texts = Arc::new(Texts::default());
        let reads = Arc::new(Reader {
            pool: reads,
            texts: Arc::clone(&texts),
        });
        let writer = Writer {
            pool: commits,
            texts,
            locks,
        };
        Self {
            gets: Gather::start(
                STORE,
                GetHandler(Arc::clone(&reads)),
                options.read_connections,
            ),
            commits: Gather::start(STORE, writer, options.commit_connections),
            reads,
            locks,
        }
    }
}

/// Values of rows, and what is spent of budgets, each in the order asked.
type Got = (Vec<Option<Bytes>>, Vec<i64>);

/// A call of `get` that is gathered with others.
struct Get {
    keys: Vec<RowKey>,
    budgets: Vec<String>,
    answer: oneshot::Sender<Result<Got>>,
}

struct GetHandler(Arc<Reader>);

impl Handler for GetHandler {
    type Job = Get;

    fn bytes(job: &Get) -> usize {
        // A row that is fetched is reckoned as a kilobyte.
        (job.keys.len() + job.budgets.len()) << 10
    }

    async fn group(&self, jobs: Vec<Get>) {
        let keys: Vec<&RowKey> = jobs.iter().flat_map(|j| &j.keys).collect();
        // Many callers ask for the same few.
        let mut budgets: Vec<&str> = (jobs.iter())
            .flat_map(|j| j.budgets.iter().map(String::as_str))
            .collect();
        budgets.sort_unstable();
        budgets.dedup();
        match self.0.get(&keys, &budgets).await {
            Ok((values, spent)) => {
                let places: Vec<Vec<usize>> = (jobs.iter())
                    .map(|j| {
                        let place = |b: &String| budgets.binary_search(&b.as_str());
                        j.budgets.iter().flat_map(place).collect()
                    })
                    .collect();
                let mut values = values.into_iter();
                for (job, places) in jobs.into_iter().zip(places) {
                    let mine = values.by_ref().take(job.keys.len()).collect();
                    let spent = places.into_iter().map(|at| spent[at]).collect();
                    // A caller that has gone away needs no answer.
                    let _ = job.answer.send(Ok((mine, spent)));
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
    async fn get(&self, keys: &[&RowKey], budgets: &[&str]) -> Result<Got> {
        let mut out = (vec![None; keys.len()], vec![0; budgets.len()]);
        if keys.is_empty() && budgets.is_empty() {
            return Ok(out);
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
            let text = self.texts.get(&tables, !budgets.is_empty());
            let mut query = sqlx::query(AssertSqlSafe(text));
            if !budgets.is_empty() {
                let names: Vec<&[u8]> = budgets.iter().map(|b| b.as_bytes()).collect();
                query = query.bind(numbered(0, names.len())).bind(names);
            }
            for asked in by_table.values() {
                query = query
                    .bind(&asked.order)
                    .bind(&asked.partitions)
                    .bind(&asked.keys);
            }
            query
        });
        for row in &rows.await? {
            match field::<Option<i64>>(row, 2)? {
                Some(spent) => out.1[index(row, budgets.len())?] = spent,
                None => out.0[index(row, keys.len())?] = Some(value(row, 1)?),
            }
        }
        Ok(out)
    }

    /// The first rows of each partition, partitions in ascending order one after another: the server looks into one when it
    /// needs its rows, so that a bound over all ends the walk.
    async fn firsts(
        &self,
        table: Table,
        partitions: &[PartitionId],
        each: usize,
        bound: &str,
    ) -> Result<Vec<(PartitionId, Row)>> {
        if partitions.is_empty() || each == 0 {
            return Ok(Vec::new());
        }
        let each = i64::try_from(each).unwrap_or(i64::MAX);
        let mut asked: Vec<i32> = partitions.iter().map(|p| p.0.into()).collect();
        asked.sort_unstable();
        asked.dedup();
        let text: Arc<str> = format!(
            "SELECT a.partition, t.key, t.value FROM unnest($1::int4[]) AS a (partition) CROSS JOIN LATERAL \
             (SELECT key, value FROM {} WHERE partition = a.partition ORDER BY key LIMIT $2) AS t{bound}",
            name(table)
        )
        .into();
        let rows = self.pool.read("read rows of many partitions", || {
            sqlx::query(AssertSqlSafe(Arc::clone(&text)))
                .bind(asked.clone())
                .bind(each)
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
}

#[async_trait]
impl State for PostgresState {
    async fn get(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>> {
        Ok(self.get_and_spent(keys, &[]).await?.0)
    }

    async fn get_and_spent(&self, keys: &[RowKey], budgets: &[String]) -> Result<Got> {
        if keys.len() + budgets.len() > GATHERED_KEYS_MAX {
            let keys: Vec<&RowKey> = keys.iter().collect();
            let mut names: Vec<&str> = budgets.iter().map(String::as_str).collect();
            names.sort_unstable();
            names.dedup();
            let (values, spent) = self.reads.get(&keys, &names).await?;
            let place = |b: &String| names.binary_search(&b.as_str()).map(|at| spent[at]);
            return Ok((values, budgets.iter().flat_map(place).collect()));
        }
        if keys.is_empty() && budgets.is_empty() {
            return Ok(Got::default());
        }
        let (keys, budgets) = (keys.to_vec(), budgets.to_vec());
        self.gets
            .ask("read rows", |answer| Get {
                keys,
                budgets,
                answer,
            })
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
        self.reads
            .firsts(table, partitions, limit, " LIMIT $2")
            .await
    }

    async fn scan_each(
        &self,
        table: Table,
        partitions: &[PartitionId],
        each: usize,
    ) -> Result<Vec<(PartitionId, Row)>> {
        self.reads.firsts(table, partitions, each, "").await
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
            self.commits.queue("state_commits"),
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
        self.commits
            .ask("commit", |answer| commit::Job { commits, answer })
            .await
    }

    async fn moment(&self, log: &dyn EventLog) -> Result<Box<dyn Moment>> {
        let taken = super::moment::take(&self.reads.pool, self.locks, log).await?;
        Ok(Box::new(taken))
    }
}
