//! The key store on PostgreSQL, which may be a database of its own.
//!
//! Concurrent calls are gathered: known ids are read in one statement, unknown ones made in another. What is erased is gone from the
//! table at once; its bytes leave the files when the server has vacuumed the table (it is told to do so early) and its write-ahead log
//! has been recycled, and backups when these are thrown away.

use super::commit::numbered;
use super::connection::{Fault, Lease, Pool, pause};
use super::count::add;
use super::gather::{Gather, Handler};
use super::options::PostgresOptions;
use super::state::cause;
use super::{corrupt, unavailable};
use async_trait::async_trait;
use luopan_kernel::id::{IdentifierId, TenantId};
use luopan_store::{ForeignId, Keys, Queue, Resolved, Result, limits};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

const STORE: &str = "key store";
/// How often ids are looked up and made that others erase in between.
const CREATE_ATTEMPTS_MAX: u32 = 8;

/// A [`Keys`] on PostgreSQL.
pub(crate) struct PostgresKeys {
    rows: Arc<Table>,
    calls: Gather<Job>,
}

impl PostgresKeys {
    /// Starts the workers.
    pub(crate) fn start(pool: Pool, options: &PostgresOptions) -> Self {
        let rows = Arc::new(Table { pool });
        // One connection is left for erasing and revealing.
        let workers = options.key_connections.max(2) - 1;
        Self {
            calls: Gather::start(STORE, Resolver(Arc::clone(&rows)), workers),
            rows,
        }
    }
}

/// A call that resolves, and makes what is unknown when fresh ids are given.
struct Job {
    foreign: Vec<ForeignId>,
    fresh: Vec<IdentifierId>,
    answer: oneshot::Sender<Result<Vec<Option<Resolved>>>>,
}

struct Resolver(Arc<Table>);

impl Handler for Resolver {
    type Job = Job;

    fn bytes(job: &Job) -> usize {
        job.foreign.len() * 256
    }

    async fn group(&self, jobs: Vec<Job>) {
        match self.0.resolve(&jobs).await {
            Ok(mut found) => {
                for job in jobs.into_iter().rev() {
                    let mine = found.split_off(found.len() - job.foreign.len());
                    // A caller that has gone away needs no answer.
                    let _ = job.answer.send(Ok(mine));
                }
            }
            Err(e) => {
                let cause = cause(e);
                for job in jobs {
                    let _ = job
                        .answer
                        .send(Err(unavailable(STORE, "resolve ids", &cause)));
                }
            }
        }
    }
}

/// The table.
struct Table {
    pool: Pool,
}

type Key<'a> = (i64, &'a [u8]);

fn key(f: &ForeignId) -> Key<'_> {
    (f.tenant.0.into(), f.text.as_bytes())
}

fn field<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    column: usize,
) -> Result<T> {
    row.try_get(column).map_err(|e| corrupt(STORE, "a row", e))
}

fn identifier(row: &PgRow, column: usize) -> Result<IdentifierId> {
    let found: &[u8] = field(row, column)?;
    <[u8; 16]>::try_from(found)
        .map(IdentifierId)
        .map_err(|_| corrupt(STORE, "a row", "an internal id of 16 bytes is wanted"))
}

fn tenant(row: &PgRow) -> Result<TenantId> {
    let found: i64 = field(row, 0)?;
    u32::try_from(found)
        .map(TenantId)
        .map_err(|e| corrupt(STORE, "a tenant", e))
}

const KNOWN: &str = "SELECT a.o, k.internal FROM unnest($1::int4[], $2::int8[], $3::bytea[]) AS a (o, tenant, foreign_id) \
     JOIN key_row AS k ON k.tenant = a.tenant AND k.foreign_id = a.foreign_id";
/// Rows come in order, so that two that make the same ids wait for each other and not in a circle.
const MAKE: &str = "INSERT INTO key_row (tenant, foreign_id, internal) \
     SELECT a.tenant, a.foreign_id, a.internal FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) AS a (tenant, foreign_id, internal) \
     ORDER BY a.tenant, a.foreign_id ON CONFLICT (tenant, foreign_id) DO NOTHING RETURNING tenant, foreign_id";

impl Table {
    async fn resolve(&self, jobs: &[Job]) -> Result<Vec<Option<Resolved>>> {
        let mut attempt = 1;
        loop {
            match self.attempt(jobs).await {
                Ok(out) => return out,
                // To make an id twice is to find it made: see `Wanted::resolved`.
                Err(fault) if fault.is_passing && attempt < CREATE_ATTEMPTS_MAX => {
                    add(&self.pool.counters.retries, 1);
                    tracing::warn!(store = STORE, cause = %fault.cause, "ids are looked up again");
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                Err(fault) => return Err(fault.error(STORE, "resolve ids")),
            }
        }
    }

    async fn attempt(
        &self,
        jobs: &[Job],
    ) -> std::result::Result<Result<Vec<Option<Resolved>>>, Fault> {
        let mut wanted = Wanted::of(jobs);
        let mut lease = self.pool.lease().await?;
        for _ in 0..CREATE_ATTEMPTS_MAX {
            if let Err(e) = wanted.look(&mut lease).await? {
                return Ok(Err(e));
            }
            if !wanted.lacks_some() {
                lease.done();
                return Ok(Ok(wanted.answers(jobs)));
            }
            if let Err(e) = wanted.make(&mut lease).await? {
                return Ok(Err(e));
            }
            if !wanted.lacks_some() {
                lease.done();
                return Ok(Ok(wanted.answers(jobs)));
            }
        }
        lease.done();
        Ok(Err(unavailable(
            STORE,
            "resolve ids",
            "ids were erased as often as they were made; try again",
        )))
    }
}

/// The distinct foreign ids of a group.
struct Wanted<'a> {
    /// Ascending.
    ids: BTreeMap<Key<'a>, One>,
}

/// What is known of a foreign id.
struct One {
    /// The first fresh id that a call of the group gave.
    fresh: Option<IdentifierId>,
    known: Option<IdentifierId>,
}

impl<'a> Wanted<'a> {
    fn of(jobs: &'a [Job]) -> Self {
        let mut ids = BTreeMap::new();
        for job in jobs {
            for (i, f) in job.foreign.iter().enumerate() {
                let one = ids.entry(key(f)).or_insert(One {
                    fresh: None,
                    known: None,
                });
                if one.fresh.is_none() {
                    one.fresh = job.fresh.get(i).copied();
                }
            }
        }
        Self { ids }
    }

    /// True while an id that is to be made is not known.
    fn lacks_some(&self) -> bool {
        self.ids
            .values()
            .any(|o| o.known.is_none() && o.fresh.is_some())
    }

    /// Looks up what is not known yet.
    async fn look(&mut self, lease: &mut Lease<'_>) -> std::result::Result<Result<()>, Fault> {
        let mut open: Vec<(&Key<'a>, &mut One)> = self
            .ids
            .iter_mut()
            .filter(|(_, o)| o.known.is_none())
            .collect();
        if open.is_empty() {
            return Ok(Ok(()));
        }
        let tenants: Vec<i64> = open.iter().map(|(k, _)| k.0).collect();
        let texts: Vec<&[u8]> = open.iter().map(|(k, _)| k.1).collect();
        let query = sqlx::query(KNOWN)
            .bind(numbered(0, open.len()))
            .bind(tenants)
            .bind(texts);
        for row in &lease.rows(query).await? {
            let found = (|| {
                let at: i32 = field(row, 0)?;
                let one = usize::try_from(at).ok().and_then(|at| open.get_mut(at));
                let Some((_, one)) = one else {
                    return Err(corrupt(STORE, "a row", "an id that was not asked for"));
                };
                one.known = Some(identifier(row, 1)?);
                Ok(())
            })();
            if let Err(e) = found {
                return Ok(Err(e));
            }
        }
        Ok(Ok(()))
    }

    /// Makes what is not known. What another node makes meanwhile stays unknown here.
    async fn make(&mut self, lease: &mut Lease<'_>) -> std::result::Result<Result<()>, Fault> {
        let mut tenants: Vec<i64> = Vec::new();
        let mut texts: Vec<&[u8]> = Vec::new();
        let mut fresh: Vec<[u8; 16]> = Vec::new();
        for (key, one) in &self.ids {
            if let (None, Some(id)) = (one.known, one.fresh) {
                tenants.push(key.0);
                texts.push(key.1);
                fresh.push(id.0);
            }
        }
        let query = sqlx::query(MAKE).bind(tenants).bind(texts).bind(fresh);
        let rows = lease.rows(query).await?;
        let mut open: BTreeMap<Key<'_>, &mut One> =
            self.ids.iter_mut().map(|(k, one)| (*k, one)).collect();
        for row in &rows {
            let made = (|| {
                let made: Key<'_> = (field(row, 0)?, field(row, 1)?);
                match open.get_mut(&made) {
                    Some(one) => one.known = one.fresh,
                    None => return Err(corrupt(STORE, "a row", "an id that was not made here")),
                }
                Ok(())
            })();
            if let Err(e) = made {
                return Ok(Err(e));
            }
        }
        Ok(Ok(()))
    }

    /// Answers in the order of the calls. An id was made by the call whose fresh id it is: fresh ids are never given twice, so this
    /// holds even when it was made in an attempt whose answer was lost.
    fn answers(&self, jobs: &[Job]) -> Vec<Option<Resolved>> {
        let mut out = Vec::new();
        for job in jobs {
            for (i, f) in job.foreign.iter().enumerate() {
                let known = self.ids.get(&key(f)).and_then(|o| o.known);
                out.push(known.map(|id| Resolved {
                    id,
                    created: job.fresh.get(i) == Some(&id),
                }));
            }
        }
        out
    }
}

#[async_trait]
impl Keys for PostgresKeys {
    fn queues(&self) -> Vec<Queue> {
        vec![self.calls.queue("keys")]
    }

    async fn resolve_or_create(
        &self,
        foreign: &[ForeignId],
        fresh: &[IdentifierId],
    ) -> Result<Vec<Resolved>> {
        limits::foreign(foreign, Some(fresh))?;
        if foreign.is_empty() {
            return Ok(Vec::new());
        }
        let (foreign, fresh) = (foreign.to_vec(), fresh.to_vec());
        let found = self.calls.ask("resolve ids", |answer| Job {
            foreign,
            fresh,
            answer,
        });
        let found: Option<Vec<Resolved>> = found.await?.into_iter().collect();
        found.ok_or_else(|| unavailable(STORE, "resolve ids", "an id was neither found nor made"))
    }

    async fn resolve(&self, foreign: &[ForeignId]) -> Result<Vec<Option<IdentifierId>>> {
        limits::foreign(foreign, None)?;
        if foreign.is_empty() {
            return Ok(Vec::new());
        }
        let foreign = foreign.to_vec();
        let found = self.calls.ask("resolve ids", |answer| Job {
            foreign,
            fresh: Vec::new(),
            answer,
        });
        let found = found.await?.into_iter();
        Ok(found.map(|r| r.map(|r| r.id)).collect())
    }

    async fn reveal(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<Vec<Option<String>>> {
        let asked: Vec<[u8; 16]> = ids.iter().map(|id| id.0).collect();
        let rows = self.rows.pool.read("reveal ids", || {
            sqlx::query(
                "SELECT a.o, k.foreign_id FROM unnest($1::int4[], $2::bytea[]) AS a (o, internal) \
                 JOIN key_row AS k ON k.tenant = $3 AND k.internal = a.internal",
            )
            .bind(numbered(0, asked.len()))
            .bind(&asked)
            .bind(i64::from(tenant.0))
        });
        let mut out = vec![None; ids.len()];
        for row in &rows.await? {
            let at: i32 = field(row, 0)?;
            let text: Vec<u8> = field(row, 1)?;
            let text = String::from_utf8(text).map_err(|e| corrupt(STORE, "a foreign id", e))?;
            let place = usize::try_from(at).ok().and_then(|at| out.get_mut(at));
            *place.ok_or_else(|| corrupt(STORE, "a row", "an id that was not asked for"))? =
                Some(text);
        }
        Ok(out)
    }

    async fn writable(&self) -> Result<()> {
        self.rows.pool.answers("make ids").await
    }

    async fn erase(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<()> {
        let mut asked: Vec<[u8; 16]> = ids.iter().map(|id| id.0).collect();
        asked.sort_unstable();
        asked.dedup();
        let rows = self.rows.pool.read("erase ids", || {
            sqlx::query(
                "WITH noted AS (INSERT INTO key_erased (tenant, internal) \
                   SELECT $2, u.internal FROM unnest($1::bytea[]) AS u (internal) ORDER BY u.internal ON CONFLICT DO NOTHING) \
                 DELETE FROM key_row AS k USING (SELECT internal FROM unnest($1::bytea[]) AS u (internal) ORDER BY internal) AS a \
                 WHERE k.tenant = $2 AND k.internal = a.internal",
            )
            .bind(&asked)
            .bind(i64::from(tenant.0))
        });
        rows.await.map(drop)
    }

    async fn list(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(ForeignId, IdentifierId)>> {
        let rows = self.rows.pool.read("list ids", || {
            sqlx::query(
                "SELECT tenant, internal, foreign_id FROM key_row WHERE (tenant, internal) >= ($1, $2) \
                 ORDER BY tenant, internal LIMIT $3",
            )
            .bind(i64::from(from.0.0))
            .bind(from.1.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        });
        (rows.await?.iter())
            .map(|row| {
                let text: Vec<u8> = field(row, 2)?;
                let text =
                    String::from_utf8(text).map_err(|e| corrupt(STORE, "a foreign id", e))?;
                let tenant = tenant(row)?;
                Ok((ForeignId { tenant, text }, identifier(row, 1)?))
            })
            .collect()
    }

    async fn erased(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(TenantId, IdentifierId)>> {
        let rows = self.rows.pool.read("list erased ids", || {
            sqlx::query(
                "SELECT tenant, internal FROM key_erased WHERE (tenant, internal) >= ($1, $2) \
                 ORDER BY tenant, internal LIMIT $3",
            )
            .bind(i64::from(from.0.0))
            .bind(from.1.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        });
        (rows.await?.iter())
            .map(|row| Ok((tenant(row)?, identifier(row, 1)?)))
            .collect()
    }
}
