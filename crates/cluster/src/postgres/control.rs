//! The control plane on PostgreSQL. What gives numbers takes the control plane's lock first, so that two nodes never give one twice.
//!
//! People change it, now and then: nothing is gathered here.

use super::connection::{Fault, Lease, Pool};
use super::locks::Locks;
use super::{corrupt, unavailable};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::id::{PartitionId, SceneNo};
use luopan_kernel::time::Micros;
use luopan_store::{
    ApiKey, AppliedScene, AuditRecord, Control, Error, NewRegistryEntry, NewScene, RegistryEntry,
    Result,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

const STORE: &str = "control plane";

/// A [`Control`] on PostgreSQL.
pub(crate) struct PostgresControl {
    pool: Pool,
    locks: Locks,
}

impl PostgresControl {
    pub(crate) fn new(pool: Pool, locks: Locks) -> Self {
        Self { pool, locks }
    }

    /// A transaction that no other node's gives numbers beside.
    async fn begin(&self, tried: &'static str) -> Result<Transaction<'_>> {
        let failed = |fault: Fault| fault.error(STORE, tried);
        let mut lease = self.pool.lease().await.map_err(failed)?;
        let begin = self.locks.begin([Locks::control()].into_iter());
        lease.simple(begin, 2).await.map_err(failed)?;
        Ok(Transaction { lease, tried })
    }

    /// One statement that writes, a transaction of its own.
    async fn write(
        &self,
        tried: &'static str,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<u64> {
        let failed = |fault: Fault| fault.error(STORE, tried);
        let mut lease = self.pool.lease().await.map_err(failed)?;
        let changed = lease.execute(query).await.map_err(failed)?;
        lease.done();
        Ok(changed)
    }
}

/// A transaction under the control plane's lock. It is rolled back when it is dropped before it is committed.
struct Transaction<'a> {
    lease: Lease<'a>,
    tried: &'static str,
}

impl Transaction<'_> {
    async fn rows(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<PgRow>> {
        let rows = self.lease.rows(query).await;
        rows.map_err(|fault| fault.error(STORE, self.tried))
    }

    async fn commit(mut self) -> Result<()> {
        match self.lease.simple("COMMIT", 1).await {
            Ok(()) => {
                self.lease.done();
                Ok(())
            }
            Err(fault) => Err(unavailable(
                STORE,
                self.tried,
                format!(
                    "{}; it was being committed and may have taken effect",
                    fault.cause
                ),
            )),
        }
    }
}

fn field<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    column: &'static str,
) -> Result<T> {
    row.try_get(column).map_err(|e| corrupt(STORE, column, e))
}

fn number<T: TryFrom<i64>>(row: &PgRow, column: &'static str) -> Result<T> {
    let found: i64 = field(row, column)?;
    T::try_from(found).map_err(|_| corrupt(STORE, column, format!("{found} is out of range")))
}

fn hash(row: &PgRow) -> Result<[u8; 32]> {
    let found: &[u8] = field(row, "hash")?;
    <[u8; 32]>::try_from(found).map_err(|_| corrupt(STORE, "hash", "32 bytes are wanted"))
}

fn applied(row: &PgRow) -> Result<AppliedScene> {
    Ok(AppliedScene {
        scene: SceneNo(number(row, "scene")?),
        name: field(row, "name")?,
        version: number(row, "version")?,
        hash: hash(row)?,
        plan: Bytes::from(field::<Vec<u8>>(row, "plan")?),
        at: Micros(field(row, "applied_at")?),
        by: field(row, "applied_by")?,
        announced: field(row, "announced")?,
    })
}

/// Text of PostgreSQL cannot hold the character 0.
fn text<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    if text.contains('\0') {
        return Err(Error::Invalid(format!(
            "{what} holds the character 0; write it without"
        )));
    }
    Ok(text)
}

const NEWEST: &str = "SELECT v.scene::int8, s.name, v.version, v.hash, v.plan, v.applied_at, v.applied_by, v.announced \
     FROM scene_version v JOIN scene s ON s.number = v.scene WHERE s.name = $1 ORDER BY v.version DESC LIMIT 1";
const ALL: &str = "SELECT v.scene::int8, s.name, v.version, v.hash, v.plan, v.applied_at, v.applied_by, v.announced \
     FROM scene_version v JOIN scene s ON s.number = v.scene ORDER BY v.scene, v.version";

/// Writes the files of a version in place of those it had.
async fn put_files(
    tx: &mut Transaction<'_>,
    scene: SceneNo,
    version: u32,
    files: &[(String, Bytes)],
) -> Result<()> {
    let delete = sqlx::query("DELETE FROM scene_file WHERE scene = $1 AND version = $2")
        .bind(i32::from(scene.0))
        .bind(i64::from(version));
    tx.rows(delete).await?;
    let paths: Vec<&str> = files.iter().map(|f| f.0.as_str()).collect();
    let contents: Vec<&[u8]> = files.iter().map(|f| &f.1[..]).collect();
    let insert = sqlx::query(
        "INSERT INTO scene_file (scene, version, ordinal, path, content) \
         SELECT $1, $2, u.ordinal - 1, u.path, u.content \
         FROM unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS u (path, content, ordinal)",
    )
    .bind(i32::from(scene.0))
    .bind(i64::from(version))
    .bind(paths)
    .bind(contents);
    tx.rows(insert).await.map(drop)
}

#[async_trait]
impl Control for PostgresControl {
    async fn record_scene(&self, scene: NewScene) -> Result<AppliedScene> {
        text("the name of a scene", &scene.name)?;
        text("who applied a scene", &scene.by)?;
        for (path, _) in &scene.files {
            text("the path of a file of a scene", path)?;
        }
        let mut tx = self.begin("record a scene").await?;
        let newest = tx.rows(sqlx::query(NEWEST).bind(&scene.name)).await?;
        let newest = newest.first().map(applied).transpose()?;
        let (scene_no, version) = match newest {
            Some(newest) if newest.hash == scene.hash => {
                put_files(&mut tx, newest.scene, newest.version, &scene.files).await?;
                tx.commit().await?;
                return Ok(newest);
            }
            Some(newest) => {
                let next = newest.version.checked_add(1).ok_or(Error::Limit {
                    what: "the number of versions of a scene",
                    limit: u32::MAX.into(),
                    found: u64::from(newest.version) + 1,
                })?;
                (newest.scene, next)
            }
            None => {
                let last = sqlx::query("SELECT coalesce(max(number), 0)::int8 AS last FROM scene");
                let rows = tx.rows(last).await?;
                let last: u16 = match rows.first() {
                    Some(row) => number(row, "last")?,
                    None => 0,
                };
                let next = last.checked_add(1).ok_or(Error::Limit {
                    what: "the number of scenes",
                    limit: u16::MAX.into(),
                    found: u64::from(last) + 1,
                })?;
                let insert = sqlx::query("INSERT INTO scene (number, name) VALUES ($1, $2)")
                    .bind(i32::from(next))
                    .bind(&scene.name);
                tx.rows(insert).await?;
                (SceneNo(next), 1)
            }
        };
        let insert = sqlx::query(
            "INSERT INTO scene_version (scene, version, hash, plan, applied_at, applied_by) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(i32::from(scene_no.0))
        .bind(i64::from(version))
        .bind(&scene.hash[..])
        .bind(&scene.plan[..])
        .bind(scene.at.0)
        .bind(&scene.by);
        tx.rows(insert).await?;
        put_files(&mut tx, scene_no, version, &scene.files).await?;
        tx.commit().await?;
        Ok(AppliedScene {
            scene: scene_no,
            name: scene.name,
            version,
            hash: scene.hash,
            plan: scene.plan,
            at: scene.at,
            by: scene.by,
            announced: false,
        })
    }

    async fn mark_announced(&self, scene: SceneNo, version: u32) -> Result<()> {
        let update = sqlx::query(
            "UPDATE scene_version SET announced = true WHERE scene = $1 AND version = $2",
        )
        .bind(i32::from(scene.0))
        .bind(i64::from(version));
        match self.write("mark a scene as announced", update).await? {
            0 => Err(Error::no_scene(scene, version)),
            _ => Ok(()),
        }
    }

    async fn scenes(&self) -> Result<Vec<AppliedScene>> {
        let rows = self.pool.read("read scenes", || sqlx::query(ALL)).await?;
        rows.iter().map(applied).collect()
    }

    async fn newest_scenes(&self) -> Result<Vec<(SceneNo, u32, bool)>> {
        const NEWEST_OF_ALL: &str = "SELECT DISTINCT ON (scene) scene::int8, version, announced FROM scene_version \
             ORDER BY scene, version DESC";
        let failed = |fault: Fault| fault.error(STORE, "read which scenes there are");
        let mut lease = self.pool.lease().await.map_err(failed)?;
        let rows = lease
            .rows(sqlx::query(NEWEST_OF_ALL))
            .await
            .map_err(failed)?;
        lease.done();
        (rows.iter())
            .map(|row| {
                Ok((
                    SceneNo(number(row, "scene")?),
                    number(row, "version")?,
                    field(row, "announced")?,
                ))
            })
            .collect()
    }

    async fn scene_files(&self, scene: SceneNo, version: u32) -> Result<Vec<(String, Bytes)>> {
        // One statement, so that files that are written anew are never seen in part; a version without files is one row of nulls.
        let rows = self.pool.read("read the files of a scene", || {
            sqlx::query(
                "SELECT f.path, f.content FROM scene_version v LEFT JOIN scene_file f ON f.scene = v.scene AND f.version = v.version \
                 WHERE v.scene = $1 AND v.version = $2 ORDER BY f.ordinal",
            )
            .bind(i32::from(scene.0))
            .bind(i64::from(version))
        });
        let rows = rows.await?;
        if rows.is_empty() {
            return Err(Error::no_scene(scene, version));
        }
        let files = rows.iter().map(|row| {
            let path: Option<String> = field(row, "path")?;
            let content: Option<Vec<u8>> = field(row, "content")?;
            Ok(path.zip(content.map(Bytes::from)))
        });
        files.filter_map(Result::transpose).collect()
    }

    async fn put_artifacts(&self, artifacts: Vec<([u8; 32], Bytes)>) -> Result<()> {
        // One statement each: an artifact may be as large as all that a statement can carry.
        let mut tx = self.begin("keep an artifact").await?;
        for (hash, content) in artifacts {
            let insert = sqlx::query(
                "INSERT INTO artifact (sha256, content) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(&hash[..])
            .bind(&content[..]);
            tx.rows(insert).await?;
        }
        tx.commit().await
    }

    async fn artifact(&self, sha256: [u8; 32]) -> Result<Option<Bytes>> {
        let rows = self.pool.read("read an artifact", || {
            sqlx::query("SELECT content FROM artifact WHERE sha256 = $1").bind(&sha256[..])
        });
        let rows = rows.await?;
        let content = rows.first().map(|row| field::<Vec<u8>>(row, "content"));
        Ok(content.transpose()?.map(Bytes::from))
    }

    async fn artifacts(&self) -> Result<Vec<[u8; 32]>> {
        let rows = self.pool.read("list artifacts", || {
            sqlx::query("SELECT sha256 FROM artifact ORDER BY sha256")
        });
        (rows.await?.iter())
            .map(|row| {
                let hash: Vec<u8> = field(row, "sha256")?;
                <[u8; 32]>::try_from(hash)
                    .map_err(|_| corrupt(STORE, "an artifact", "a hash of 32 bytes is wanted"))
            })
            .collect()
    }

    async fn register(&self, entry: NewRegistryEntry) -> Result<RegistryEntry> {
        text("the name of a model", &entry.model)?;
        text("what is told of a model", &entry.detail)?;
        let mut tx = self.begin("add to the registry").await?;
        let last = sqlx::query(
            "SELECT (SELECT coalesce(max(number), 0) FROM registry) AS number, \
             (SELECT coalesce(max(version), 0) FROM registry WHERE model = $1) AS version",
        )
        .bind(&entry.model);
        let rows = tx.rows(last).await?;
        let (last, newest) = match rows.first() {
            Some(row) => (number::<u64>(row, "number")?, number(row, "version")?),
            None => (0, 0),
        };
        let version = entry.next_after(newest)?;
        let made = entry.numbered(last + 1, version);
        let insert = sqlx::query(
            "INSERT INTO registry (number, model, version, act, artifact, detail, done_at, done_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(made.number as i64)
        .bind(&made.model)
        .bind(i64::from(made.version))
        .bind(&made.act)
        .bind(made.artifact.as_ref().map(|a| &a[..]))
        .bind(&made.detail)
        .bind(made.at.0)
        .bind(&made.by);
        tx.rows(insert).await?;
        tx.commit().await?;
        Ok(made)
    }

    async fn registry(&self) -> Result<Vec<RegistryEntry>> {
        let rows = self.pool.read("read the registry", || {
            sqlx::query(
                "SELECT number, model, version, act, artifact, detail, done_at, done_by FROM registry ORDER BY number",
            )
        });
        (rows.await?.iter())
            .map(|row| {
                let artifact: Option<Vec<u8>> = field(row, "artifact")?;
                let of = |a: Vec<u8>| {
                    <[u8; 32]>::try_from(a)
                        .map_err(|_| corrupt(STORE, "an artifact", "a hash of 32 bytes is wanted"))
                };
                Ok(RegistryEntry {
                    number: number(row, "number")?,
                    model: field(row, "model")?,
                    version: number(row, "version")?,
                    act: field(row, "act")?,
                    artifact: artifact.map(of).transpose()?,
                    detail: field(row, "detail")?,
                    at: Micros(field(row, "done_at")?),
                    by: field(row, "done_by")?,
                })
            })
            .collect()
    }

    async fn stream(&self, name: &str) -> Result<PartitionId> {
        text("the name of a stream", name)?;
        let known = || sqlx::query("SELECT partition::int8 FROM stream WHERE name = $1").bind(name);
        let rows = self.pool.read("number a stream", known).await?;
        if let Some(row) = rows.first() {
            return Ok(PartitionId(number(row, "partition")?));
        }
        let mut tx = self.begin("number a stream").await?;
        let rows = tx.rows(known()).await?;
        if let Some(row) = rows.first() {
            let found = PartitionId(number(row, "partition")?);
            tx.commit().await?;
            return Ok(found);
        }
        let last = sqlx::query("SELECT coalesce(max(partition), $1)::int8 AS last FROM stream")
            .bind(i32::from(ENVIRONMENT_PARTITION));
        let rows = tx.rows(last).await?;
        let last: u16 = match rows.first() {
            Some(row) => number(row, "last")?,
            None => ENVIRONMENT_PARTITION,
        };
        let limit = u64::from(u16::MAX - ENVIRONMENT_PARTITION);
        let next = last.checked_add(1).ok_or(Error::Limit {
            what: "the number of named streams",
            limit,
            found: limit + 1,
        })?;
        let insert = sqlx::query("INSERT INTO stream (partition, name) VALUES ($1, $2)")
            .bind(i32::from(next))
            .bind(name);
        tx.rows(insert).await?;
        tx.commit().await?;
        Ok(PartitionId(next))
    }

    async fn streams(&self) -> Result<Vec<(String, PartitionId)>> {
        let rows = self.pool.read("read streams", || {
            sqlx::query("SELECT name, partition::int8 FROM stream ORDER BY partition")
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| Ok((field(row, "name")?, PartitionId(number(row, "partition")?))))
            .collect()
    }

    async fn put_api_key(&self, key: ApiKey) -> Result<()> {
        text("the name of an API key", &key.name)?;
        let upsert = sqlx::query(
            "INSERT INTO api_key (name, hash, made_at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, made_at = excluded.made_at",
        )
        .bind(&key.name)
        .bind(&key.hash[..])
        .bind(key.at.0);
        self.write("keep an API key", upsert).await.map(drop)
    }

    async fn remove_api_key(&self, name: &str) -> Result<bool> {
        text("the name of an API key", name)?;
        let delete = sqlx::query("DELETE FROM api_key WHERE name = $1").bind(name);
        Ok(self.write("remove an API key", delete).await? > 0)
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        let rows = self.pool.read("read API keys", || {
            sqlx::query("SELECT name, hash, made_at FROM api_key ORDER BY name")
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| {
                Ok(ApiKey {
                    name: field(row, "name")?,
                    hash: hash(row)?,
                    at: Micros(field(row, "made_at")?),
                })
            })
            .collect()
    }

    async fn audit(&self, record: AuditRecord) -> Result<()> {
        for (what, said) in [
            ("who did what is audited", &record.by),
            ("an action that is audited", &record.action),
            ("the detail of an audit record", &record.detail),
        ] {
            text(what, said)?;
        }
        let insert = sqlx::query(
            "INSERT INTO audit (done_at, done_by, action, detail) VALUES ($1, $2, $3, $4)",
        )
        .bind(record.at.0)
        .bind(&record.by)
        .bind(&record.action)
        .bind(&record.detail);
        self.write("write the audit", insert).await.map(drop)
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.read("read the audit", || {
            sqlx::query(
                "SELECT done_at, done_by, action, detail FROM audit ORDER BY number DESC LIMIT $1",
            )
            .bind(limit)
        });
        let rows = rows.await?;
        rows.iter()
            .map(|row| {
                Ok(AuditRecord {
                    at: Micros(field(row, "done_at")?),
                    by: field(row, "done_by")?,
                    action: field(row, "action")?,
                    detail: field(row, "detail")?,
                })
            })
            .collect()
    }
}
