//! State at one moment: while the locks of all partitions and budgets are held, so that no commit runs anywhere, the log is asked for
//! its heads and a transaction that keeps its first snapshot is begun; then commits go on.
//!
//! It must hold the locks for no longer than that, and never write.

use super::connection::{Fault, Pool};
use super::locks::{BUDGET_LOCKS, Locks, PARTITION_LOCKS};
use super::text::name;
use super::{corrupt, unavailable};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::copy::{Spent, Whole};
use luopan_store::{EventLog, Moment, Result, RowKey, Table};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

const STORE: &str = "state";
/// Longest time for which commits wait.
pub const MOMENT_TIME_MAX: Duration = Duration::from_secs(3);
/// Rows of the first page of a table; how many follow goes by how long rows are.
const ROWS_FIRST: usize = 64;
const ROWS_MAX: usize = 20_000;

const KEEP: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Everything as one transaction sees it.
pub(crate) struct PostgresMoment {
    connection: Mutex<PgConnection>,
    heads: Vec<(PartitionId, Position)>,
    /// Bytes of a row, as the last page had them.
    row_bytes: AtomicUsize,
}

fn failed(fault: Fault) -> luopan_store::Error {
    fault.error(STORE, "look at everything")
}

fn sql(e: sqlx::Error) -> luopan_store::Error {
    unavailable(STORE, "look at everything", e)
}

/// Takes the moment.
pub(crate) async fn take(pool: &Pool, locks: Locks, log: &dyn EventLog) -> Result<PostgresMoment> {
    // Most of the way that the log has to go is gone before anything waits for it.
    log.latest().await?;
    let mut keeping = pool.connect().await.map_err(failed)?;
    let mut lease = pool.lease().await.map_err(failed)?;
    let last = i32::from(PARTITION_LOCKS) + i32::from(BUDGET_LOCKS);
    lease
        .simple(locks.begin(0..last), 2)
        .await
        .map_err(failed)?;
    let look = async {
        let heads = log.latest().await?;
        sqlx::raw_sql(KEEP)
            .execute(&mut keeping)
            .await
            .map_err(sql)?;
        // The snapshot is that of the first statement.
        sqlx::query("SELECT partition FROM state_position LIMIT 1")
            .fetch_optional(&mut keeping)
            .await
            .map_err(sql)?;
        Ok(heads)
    };
    let heads = match tokio::time::timeout(MOMENT_TIME_MAX, look).await {
        Ok(heads) => heads?,
        Err(_) => {
            return Err(unavailable(
                STORE,
                "look at everything",
                format!("the log did not say where it ends within {MOMENT_TIME_MAX:?}; try again"),
            ));
        }
    };
    lease.simple("COMMIT", 1).await.map_err(failed)?;
    lease.done();
    Ok(PostgresMoment {
        connection: Mutex::new(keeping),
        heads,
        row_bytes: AtomicUsize::new(0),
    })
}

fn field<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    column: usize,
) -> Result<T> {
    row.try_get(column).map_err(|e| corrupt(STORE, "a row", e))
}

fn partition(row: &PgRow) -> Result<PartitionId> {
    let found: i32 = field(row, 0)?;
    u16::try_from(found)
        .map(PartitionId)
        .map_err(|e| corrupt(STORE, "a partition", e))
}

#[async_trait]
impl Moment for PostgresMoment {
    fn heads(&self) -> &[(PartitionId, Position)] {
        &self.heads
    }

    async fn positions(&self) -> Result<Vec<(PartitionId, Position)>> {
        let rows = sqlx::query("SELECT partition, entries FROM state_position ORDER BY partition")
            .fetch_all(&mut *self.connection.lock().await)
            .await
            .map_err(sql)?;
        (rows.iter())
            .map(|row| {
                let at: i64 = field(row, 1)?;
                let at = u64::try_from(at).map_err(|e| corrupt(STORE, "a position", e))?;
                Ok((partition(row)?, Position(at)))
            })
            .collect()
    }

    async fn budgets(&self) -> Result<Vec<Spent>> {
        let rows =
            sqlx::query("SELECT share, budget, spent FROM state_budget ORDER BY budget, share")
                .fetch_all(&mut *self.connection.lock().await)
                .await
                .map_err(sql)?;
        (rows.iter())
            .map(|row| {
                let budget: Vec<u8> = field(row, 1)?;
                Ok(Spent {
                    budget: String::from_utf8(budget)
                        .map_err(|e| corrupt(STORE, "a budget's name", e))?,
                    row: partition(row)?.0,
                    spent: field(row, 2)?,
                })
            })
            .collect()
    }

    async fn rows(
        &self,
        table: Table,
        from: &(PartitionId, Bytes),
        bytes_max: usize,
    ) -> Result<Vec<Whole>> {
        let limit = match self.row_bytes.load(Ordering::Relaxed) {
            0 => ROWS_FIRST,
            bytes => (bytes_max / bytes).clamp(1, ROWS_MAX),
        };
        let text = format!(
            "SELECT partition, key, value FROM {} WHERE (partition, key) >= ($1, $2) ORDER BY partition, key LIMIT $3",
            name(table)
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(i32::from(from.0.0))
            .bind(&from.1[..])
            .bind(limit as i64)
            .fetch_all(&mut *self.connection.lock().await)
            .await
            .map_err(sql)?;
        let mut out = Vec::with_capacity(rows.len());
        let mut bytes = 0;
        for row in &rows {
            let key: &[u8] = field(row, 1)?;
            let value: &[u8] = field(row, 2)?;
            bytes += key.len() + value.len();
            out.push(Whole {
                key: RowKey {
                    table,
                    partition: partition(row)?,
                    key: Bytes::copy_from_slice(key),
                },
                value: Bytes::copy_from_slice(value),
            });
        }
        // The next table begins with few again.
        let each = if out.is_empty() {
            0
        } else {
            bytes / out.len() + 1
        };
        self.row_bytes.store(each, Ordering::Relaxed);
        Ok(out)
    }
}
