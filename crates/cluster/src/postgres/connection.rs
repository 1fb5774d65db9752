//! Connections to one database: made when they are needed, kept when they ended well, closed when anything went wrong on them.
//!
//! It is our own and not the library's pool because that one asks the server whether a connection lives each time it is handed
//! out and again when it comes back, which costs as much as a short statement does. Here a connection is only asked when it lay idle for
//! a while; reads are tried again when one turns out to be dead, and a transaction that was not yet being committed is too.

use super::count::{Counters, add};
use super::options::{PostgresOptions, STATEMENTS_KEPT, Session};
use super::unavailable;
use futures::StreamExt;
use luopan_store::{Error, Result};
use parking_lot::Mutex;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How often a read is tried.
pub const READ_ATTEMPTS_MAX: u32 = 3;
/// A connection that lay idle for longer is asked whether it lives before it is used.
const IDLE_TRUSTED: Duration = Duration::from_secs(5);
/// How much longer than the server the node waits for a statement.
const STATEMENT_GRACE: Duration = Duration::from_secs(5);

/// What went wrong on a connection, and whether another may fare better.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) cause: String,
    /// True when the connection was lost or the server broke the transaction off for reasons that pass.
    pub(crate) is_passing: bool,
}

impl Fault {
    pub(crate) fn error(self, store: &'static str, tried: &str) -> Error {
        unavailable(store, tried, self.cause)
    }

    fn of(address: &str, e: &sqlx::Error) -> Self {
        let is_passing = match e {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(e) => e.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        };
        let cause = match e {
            sqlx::Error::Database(e) => {
                let code = e.code().unwrap_or_default();
                format!(
                    "{address}: {} (SQLSTATE {code}{})",
                    e.message(),
                    hint(&code)
                )
            }
            e => format!("{address}: {e}"),
        };
        Self { cause, is_passing }
    }
}

/// States of the server, a lost race between transactions, and transactions that it ended because the node had said nothing.
fn is_passing(code: &str) -> bool {
    // Serialization failure, deadlock, idle in transaction, administrator's shutdown, crash of another backend, not yet started.
    matches!(
        code,
        "40001" | "40P01" | "25P03" | "57P01" | "57P02" | "57P03"
    ) || code.starts_with("08")
}

/// What to do about what a server often says.
fn hint(code: &str) -> &'static str {
    match code {
        "28P01" | "28000" => "; give the user and password that its administrator made",
        "3D000" => "; make the database first: createdb NAME",
        "42501" => "; let the user own the database, or grant it CREATE on the schema",
        "53100" => "; its disk is full: make room, nothing was lost",
        "53200" => {
            "; raise max_locks_per_transaction in its configuration if it ran out of shared memory"
        }
        "53300" => {
            "; raise max_connections in its configuration, or let nodes take fewer connections"
        }
        "57014" => "; it took longer than statement_timeout allows",
        "25006" => "; this server only reads: name the primary",
        _ => "",
    }
}

/// A connection, and the statements that the server keeps on it under names of ours, by their texts.
struct Kept {
    connection: PgConnection,
    named: HashMap<Arc<str>, String>,
}

/// The connections.
pub(crate) struct Pool {
    pub(crate) store: &'static str,
    session: Session,
    permits: Semaphore,
    idle: Mutex<Vec<(Kept, Instant)>>,
    connect_timeout: Duration,
    statement_timeout: Duration,
    pub(crate) counters: Arc<Counters>,
    /// Why the last connection could not be made, when that is so.
    trouble: Mutex<Option<String>>,
}

impl Pool {
    pub(crate) fn new(
        store: &'static str,
        session: Session,
        connections: u32,
        options: &PostgresOptions,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            store,
            session,
            permits: Semaphore::new(connections.max(1) as usize),
            idle: Mutex::new(Vec::new()),
            connect_timeout: options.connect_timeout,
            statement_timeout: options.statement_timeout + STATEMENT_GRACE,
            counters,
            trouble: Mutex::new(None),
        }
    }

    /// A connection for this caller alone; waits while all are taken.
    pub(crate) async fn lease(&self) -> std::result::Result<Lease<'_>, Fault> {
        let permit = self.permits.acquire().await.map_err(|e| Fault {
            cause: e.to_string(),
            is_passing: false,
        })?;
        let connection = loop {
            let idle = self.idle.lock().pop();
            match idle {
                Some((connection, since)) if since.elapsed() < IDLE_TRUSTED => break connection,
                Some((mut kept, _)) => {
                    let asked = tokio::time::timeout(self.connect_timeout, kept.connection.ping());
                    if matches!(asked.await, Ok(Ok(()))) {
                        break kept;
                    }
                }
                None => {
                    break Kept {
                        connection: self.connect().await?,
                        named: HashMap::new(),
                    };
                }
            }
        };
        Ok(Lease {
            pool: self,
            connection: Some(connection),
            _permit: permit,
        })
    }

    /// A new connection, which does not come back here.
    pub(crate) async fn connect(&self) -> std::result::Result<PgConnection, Fault> {
        add(&self.counters.connections, 1);
        let made = connect(&self.session, self.connect_timeout).await;
        *self.trouble.lock() = made.as_ref().err().map(|f| f.cause.clone());
        made
    }

    /// Whether the server answers; looks only when it last did not.
    pub(crate) async fn answers(&self, tried: &str) -> Result<()> {
        if self.trouble.lock().is_none() {
            return Ok(());
        }
        match self.lease().await {
            Ok(lease) => {
                lease.done();
                Ok(())
            }
            Err(fault) => Err(fault.error(self.store, tried)),
        }
    }

    /// Rows of a statement that changes nothing, or nothing more when it runs again.
    pub(crate) async fn read<'q>(
        &self,
        tried: &str,
        query: impl Fn() -> Query<'q, Postgres, PgArguments> + Send + Sync,
    ) -> Result<Vec<PgRow>> {
        let mut attempt = 1;
        loop {
            match self.once(&query).await {
                Ok(rows) => return Ok(rows),
                Err(fault) if fault.is_passing && attempt < READ_ATTEMPTS_MAX => {
                    add(&self.counters.retries, 1);
                    tracing::warn!(store = self.store, cause = %fault.cause, "a read is tried again");
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                Err(fault) => return Err(fault.error(self.store, tried)),
            }
        }
    }

    async fn once<'q>(
        &self,
        query: &(impl Fn() -> Query<'q, Postgres, PgArguments> + Send + Sync),
    ) -> std::result::Result<Vec<PgRow>, Fault> {
        let mut lease = self.lease().await?;
        let rows = lease.rows(query()).await?;
        lease.done();
        Ok(rows)
    }
}

/// How long to wait before another attempt.
pub(crate) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(20 << attempt.min(4))
}

/// Makes a connection, and says of one that cannot be made where and what to do.
pub(crate) async fn connect(
    session: &Session,
    timeout: Duration,
) -> std::result::Result<PgConnection, Fault> {
    let address = &session.address;
    match tokio::time::timeout(timeout, session.options.connect()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(e)) => {
            let mut fault = Fault::of(address, &e);
            if !matches!(e, sqlx::Error::Database(_)) {
                fault.cause.push_str(
                    "; see that a PostgreSQL server runs there and that host, port and TLS settings are right",
                );
            }
            Err(fault)
        }
        Err(_) => Err(Fault {
            cause: format!(
                "{address}: no answer within {} ms; see that a PostgreSQL server runs there and that nothing between drops packets",
                timeout.as_millis()
            ),
            is_passing: false,
        }),
    }
}

/// A connection taken from the pool. It is closed when it is dropped before [`Lease::done`]: whatever ran on it is then rolled back.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Kept>,
    _permit: SemaphorePermit<'a>,
}

impl Lease<'_> {
    /// Gives the connection back for others.
    pub(crate) fn done(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.idle.lock().push((connection, Instant::now()));
        }
    }

    /// Runs a statement for its rows.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> std::result::Result<Vec<PgRow>, Fault> {
        let (pool, connection) = self.sound()?;
        add(&pool.counters.statements, 1);
        pool.bounded(query.fetch_all(connection)).await
    }

    /// Runs a statement for what it does; how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> std::result::Result<u64, Fault> {
        let (pool, connection) = self.sound()?;
        add(&pool.counters.statements, 1);
        let done = pool.bounded(query.execute(connection)).await?;
        Ok(done.rows_affected())
    }

    /// Runs `count` statements without parameters, sent together; what they answer is passed over.
    pub(crate) async fn simple(
        &mut self,
        text: impl Into<Arc<str>>,
        count: u64,
    ) -> std::result::Result<(), Fault> {
        let (pool, connection) = self.sound()?;
        add(&pool.counters.statements, count);
        // Our own words and numbers alone.
        let text = sqlx::raw_sql(AssertSqlSafe(text.into()));
        pool.bounded(text.execute(connection)).await?;
        Ok(())
    }

    fn sound(&mut self) -> std::result::Result<(&Pool, &mut PgConnection), Fault> {
        match &mut self.connection {
            Some(kept) => Ok((self.pool, &mut kept.connection)),
            None => Err(Fault {
                cause: "the connection was given back".into(),
                is_passing: false,
            }),
        }
    }

    /// The name under which the server keeps a statement on this connection; it is told of it the first time.
    pub(crate) async fn named(&mut self, text: &Arc<str>) -> std::result::Result<String, Fault> {
        let known = self.connection.as_ref().map(|kept| &kept.named);
        if let Some(name) = known.and_then(|named| named.get(text)) {
            return Ok(name.clone());
        }
        if known.is_some_and(|named| named.len() >= STATEMENTS_KEPT)
            && let Some(kept) = &mut self.connection
        {
            let named = std::mem::take(&mut kept.named);
            let forget: Vec<String> = named
                .into_values()
                .map(|n| format!("DEALLOCATE {n}"))
                .collect();
            self.simple(forget.join("; "), 0).await?;
        }
        let at = self.connection.as_ref().map_or(0, |kept| kept.named.len());
        let name = format!("luopan_{at}");
        self.simple(format!("PREPARE {name} AS {text}"), 0).await?;
        if let Some(kept) = &mut self.connection {
            kept.named.insert(Arc::clone(text), name.clone());
        }
        Ok(name)
    }

    /// Runs `count` statements that bear their parameters, sent together, for the rows of all.
    pub(crate) async fn said(
        &mut self,
        text: String,
        count: u64,
    ) -> std::result::Result<Vec<PgRow>, Fault> {
        let (pool, connection) = self.sound()?;
        add(&pool.counters.statements, count);
        let text = sqlx::raw_sql(AssertSqlSafe(text));
        pool.bounded(text.fetch_all(connection)).await
    }

    /// As [`Lease::simple`], with `COMMIT` as the last statement. Of a failure it says whether the transaction may have taken effect:
    /// not when the server refused a statement before it.
    pub(crate) async fn last(
        &mut self,
        text: String,
        count: u64,
    ) -> std::result::Result<(), (Fault, bool)> {
        let (pool, connection) = self.sound().map_err(|fault| (fault, false))?;
        add(&pool.counters.statements, count);
        let mut done = 0;
        let mut refused = false;
        let all = async {
            let mut results = sqlx::raw_sql(AssertSqlSafe(text)).execute_many(connection);
            while let Some(result) = results.next().await {
                refused = matches!(result, Err(sqlx::Error::Database(_)));
                result?;
                done += 1;
            }
            Ok(())
        };
        let ran = pool.bounded(all).await;
        ran.map_err(|fault| (fault, !refused || done + 1 >= count))
    }
}

impl Pool {
    /// Waits for a statement no longer than the server should.
    async fn bounded<T>(
        &self,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> std::result::Result<T, Fault> {
        let failed = match tokio::time::timeout(self.statement_timeout, statement).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(e)) => Fault::of(&self.session.address, &e),
            Err(_) => Fault {
                cause: format!(
                    "{}: no answer within {} ms",
                    self.session.address,
                    self.statement_timeout.as_millis()
                ),
                is_passing: false,
            },
        };
        // The others lead to the same server: rather new ones than one failure for each.
        self.idle.lock().clear();
        Err(failed)
    }
}
