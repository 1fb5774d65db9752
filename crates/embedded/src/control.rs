//! The control plane in SQLite: write-ahead log, synced at every commit, one connection, so that transactions never meet.

use crate::folder::{Folder, unavailable};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::id::{PartitionId, SceneNo};
use luopan_kernel::time::Micros;
use luopan_store::{
    ApiKey, AppliedScene, AuditRecord, Control, Error, NewRegistryEntry, NewScene, RegistryEntry,
    Result,
};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, SqlitePool};
use std::sync::Arc;

const STORE: &str = "control plane";

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// A [`Control`] in SQLite.
pub(crate) struct EmbeddedControl {
    pool: SqlitePool,
    // The connection closes on a thread of its own behind the drop, which SQLite's own locks make harmless.
    _folder: Arc<Folder>,
}

impl EmbeddedControl {
    pub(crate) async fn open(folder: &Arc<Folder>) -> Result<Self> {
        let path = folder.join("control.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|e| fault("open", e))?;
        match MIGRATIONS.run(&pool).await {
            Ok(()) => {}
            Err(MigrateError::VersionMissing(found)) => {
                let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
                let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
                return Err(Error::Newer {
                    store: STORE,
                    found: number(found),
                    known: number(known),
                });
            }
            Err(e) => return Err(unavailable(STORE, "bring up to date", e)),
        }
        let found: Option<String> = sqlx::query_scalar("SELECT mark FROM folder")
            .fetch_optional(&pool)
            .await
            .map_err(|e| fault("look at its mark", e))?;
        if folder.gives_mark(STORE, found.as_deref().map(str::as_bytes))? {
            sqlx::query("INSERT INTO folder (one, mark) VALUES (1, ?)")
                .bind(folder.mark())
                .execute(&pool)
                .await
                .map_err(|e| fault("write its mark", e))?;
        }
        let synced = path.parent().map_or(Ok(()), crate::folder::sync_folder);
        synced.map_err(|e| unavailable(STORE, "sync its folder", e))?;
        Ok(Self {
            pool,
            _folder: Arc::clone(folder),
        })
    }
}

fn fault(tried: &str, e: sqlx::Error) -> Error {
    unavailable(STORE, tried, e)
}

fn corrupt(at: &str, cause: impl ToString) -> Error {
    Error::Corrupt {
        store: STORE,
        at: at.to_owned(),
        cause: cause.to_string(),
    }
}

fn number<T: TryFrom<i64>>(row: &SqliteRow, column: &'static str) -> Result<T> {
    let found: i64 = row.try_get(column).map_err(|e| corrupt(column, e))?;
    T::try_from(found).map_err(|_| corrupt(column, format!("{found} is out of range")))
}

fn field<'r, T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
    row: &'r SqliteRow,
    column: &'static str,
) -> Result<T> {
    row.try_get(column).map_err(|e| corrupt(column, e))
}

fn hash(row: &SqliteRow) -> Result<[u8; 32]> {
    let found: &[u8] = field(row, "hash")?;
    <[u8; 32]>::try_from(found).map_err(|_| corrupt("hash", "32 bytes are wanted"))
}

fn applied(row: &SqliteRow) -> Result<AppliedScene> {
    Ok(AppliedScene {
        scene: SceneNo(number(row, "scene")?),
        name: field(row, "name")?,
        version: number(row, "version")?,
        hash: hash(row)?,
        plan: Bytes::from(field::<Vec<u8>>(row, "plan")?),
        at: Micros(field(row, "applied_at")?),
        by: field(row, "applied_by")?,
        announced: number::<u8>(row, "announced")? == 1,
    })
}

const NEWEST: &str = "SELECT v.scene, s.name, v.version, v.hash, v.plan, v.applied_at, v.applied_by, v.announced \
     FROM scene_version v JOIN scene s ON s.number = v.scene WHERE s.name = ? ORDER BY v.version DESC LIMIT 1";
const ALL: &str = "SELECT v.scene, s.name, v.version, v.hash, v.plan, v.applied_at, v.applied_by, v.announced \
     FROM scene_version v JOIN scene s ON s.number = v.scene ORDER BY v.scene, v.version";

/// Writes the files of a version.
async fn put_files(
    connection: &mut sqlx::SqliteConnection,
    scene: SceneNo,
    version: u32,
    files: &[(String, Bytes)],
) -> Result<()> {
    for (ordinal, (path, content)) in (0i64..).zip(files) {
        sqlx::query(
            "INSERT INTO scene_file (scene, version, ordinal, path, content) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(scene.0)
        .bind(version)
        .bind(ordinal)
        .bind(path)
        .bind(&content[..])
        .execute(&mut *connection)
        .await
        .map_err(|e| fault("record the files of a scene", e))?;
    }
    Ok(())
}

#[async_trait]
impl Control for EmbeddedControl {
    async fn record_scene(&self, scene: NewScene) -> Result<AppliedScene> {
        let failed = |e| fault("record a scene", e);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let newest = sqlx::query(NEWEST)
            .bind(&scene.name)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        let newest = newest.as_ref().map(applied).transpose()?;
        let (scene_no, version) = match newest {
            Some(newest) if newest.hash == scene.hash => {
                sqlx::query("DELETE FROM scene_file WHERE scene = ? AND version = ?")
                    .bind(newest.scene.0)
                    .bind(newest.version)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                put_files(&mut tx, newest.scene, newest.version, &scene.files).await?;
                tx.commit().await.map_err(failed)?;
                return Ok(newest);
            }
            Some(newest) => (newest.scene, newest.version + 1),
            None => {
                let row = sqlx::query("SELECT coalesce(max(number), 0) AS last FROM scene")
                    .fetch_one(&mut *tx)
                    .await
                    .map_err(failed)?;
                let last: u16 = number(&row, "last")?;
                let next = last.checked_add(1).ok_or(Error::Limit {
                    what: "the number of scenes",
                    limit: u16::MAX.into(),
                    found: u64::from(last) + 1,
                })?;
                sqlx::query("INSERT INTO scene (number, name) VALUES (?, ?)")
                    .bind(next)
                    .bind(&scene.name)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                (SceneNo(next), 1)
            }
        };
        sqlx::query(
            "INSERT INTO scene_version (scene, version, hash, plan, applied_at, applied_by) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(scene_no.0)
        .bind(version)
        .bind(&scene.hash[..])
        .bind(&scene.plan[..])
        .bind(scene.at.0)
        .bind(&scene.by)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        put_files(&mut tx, scene_no, version, &scene.files).await?;
        tx.commit().await.map_err(failed)?;
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
        let done =
            sqlx::query("UPDATE scene_version SET announced = 1 WHERE scene = ? AND version = ?")
                .bind(scene.0)
                .bind(version)
                .execute(&self.pool)
                .await
                .map_err(|e| fault("mark a scene as announced", e))?;
        if done.rows_affected() == 0 {
            return Err(Error::no_scene(scene, version));
        }
        Ok(())
    }

    async fn scenes(&self) -> Result<Vec<AppliedScene>> {
        let rows = sqlx::query(ALL)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| fault("read scenes", e))?;
        rows.iter().map(applied).collect()
    }

    async fn newest_scenes(&self) -> Result<Vec<(SceneNo, u32, bool)>> {
        let failed = |e| fault("read which scenes there are", e);
        // In SQLite the other columns are of the row that has the greatest version.
        let rows = sqlx::query(
            "SELECT scene, max(version) AS version, announced FROM scene_version GROUP BY scene ORDER BY scene",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        (rows.iter())
            .map(|row| {
                Ok((
                    SceneNo(row.try_get("scene").map_err(failed)?),
                    row.try_get("version").map_err(failed)?,
                    row.try_get("announced").map_err(failed)?,
                ))
            })
            .collect()
    }

    async fn scene_files(&self, scene: SceneNo, version: u32) -> Result<Vec<(String, Bytes)>> {
        let failed = |e| fault("read the files of a scene", e);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let known = sqlx::query("SELECT 1 FROM scene_version WHERE scene = ? AND version = ?")
            .bind(scene.0)
            .bind(version)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        if known.is_none() {
            return Err(Error::no_scene(scene, version));
        }
        let rows = sqlx::query(
            "SELECT path, content FROM scene_file WHERE scene = ? AND version = ? ORDER BY ordinal",
        )
        .bind(scene.0)
        .bind(version)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let content: Vec<u8> = field(row, "content")?;
                Ok((field(row, "path")?, Bytes::from(content)))
            })
            .collect()
    }

    async fn put_artifacts(&self, artifacts: Vec<([u8; 32], Bytes)>) -> Result<()> {
        let failed = |e| fault("keep an artifact", e);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        for (hash, content) in artifacts {
            sqlx::query("INSERT OR IGNORE INTO artifact (sha256, content) VALUES (?, ?)")
                .bind(&hash[..])
                .bind(&content[..])
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    async fn artifact(&self, sha256: [u8; 32]) -> Result<Option<Bytes>> {
        let found: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT content FROM artifact WHERE sha256 = ?")
                .bind(&sha256[..])
                .fetch_optional(&self.pool)
                .await
                .map_err(|e| fault("read an artifact", e))?;
        Ok(found.map(Bytes::from))
    }

    async fn artifacts(&self) -> Result<Vec<[u8; 32]>> {
        let found: Vec<Vec<u8>> = sqlx::query_scalar("SELECT sha256 FROM artifact ORDER BY sha256")
            .fetch_all(&self.pool)
            .await
            .map_err(|e| fault("list artifacts", e))?;
        (found.into_iter())
            .map(|hash| {
                <[u8; 32]>::try_from(hash).map_err(|_| corrupt("hash", "32 bytes are wanted"))
            })
            .collect()
    }

    async fn register(&self, entry: NewRegistryEntry) -> Result<RegistryEntry> {
        let failed = |e| fault("add to the registry", e);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let last = sqlx::query(
            "SELECT (SELECT coalesce(max(number), 0) FROM registry) AS number, \
             (SELECT coalesce(max(version), 0) FROM registry WHERE model = ?) AS version",
        )
        .bind(&entry.model)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        let version = entry.next_after(number(&last, "version")?)?;
        let made = entry.numbered(number::<u64>(&last, "number")? + 1, version);
        sqlx::query(
            "INSERT INTO registry (number, model, version, act, artifact, detail, at, by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(made.number as i64)
        .bind(&made.model)
        .bind(made.version)
        .bind(&made.act)
        .bind(made.artifact.as_ref().map(|a| &a[..]))
        .bind(&made.detail)
        .bind(made.at.0)
        .bind(&made.by)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(made)
    }

    async fn registry(&self) -> Result<Vec<RegistryEntry>> {
        let rows = sqlx::query(
            "SELECT number, model, version, act, artifact, detail, at, by FROM registry ORDER BY number",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|e| fault("read the registry", e))?;
        rows.iter()
            .map(|row| {
                let artifact: Option<Vec<u8>> = field(row, "artifact")?;
                let of = |a: Vec<u8>| {
                    <[u8; 32]>::try_from(a).map_err(|_| corrupt("artifact", "32 bytes are wanted"))
                };
                Ok(RegistryEntry {
                    number: number(row, "number")?,
                    model: field(row, "model")?,
                    version: number(row, "version")?,
                    act: field(row, "act")?,
                    artifact: artifact.map(of).transpose()?,
                    detail: field(row, "detail")?,
                    at: Micros(field(row, "at")?),
                    by: field(row, "by")?,
                })
            })
            .collect()
    }

    async fn stream(&self, name: &str) -> Result<PartitionId> {
        let failed = |e| fault("number a stream", e);
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let known = sqlx::query("SELECT partition FROM stream WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        if let Some(row) = known {
            return Ok(PartitionId(number(&row, "partition")?));
        }
        let row = sqlx::query("SELECT coalesce(max(partition), ?) AS last FROM stream")
            .bind(ENVIRONMENT_PARTITION)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        let last: u16 = number(&row, "last")?;
        let limit = u64::from(u16::MAX - ENVIRONMENT_PARTITION);
        let next = last.checked_add(1).ok_or(Error::Limit {
            what: "the number of named streams",
            limit,
            found: limit + 1,
        })?;
        sqlx::query("INSERT INTO stream (partition, name) VALUES (?, ?)")
            .bind(next)
            .bind(name)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(PartitionId(next))
    }

    async fn streams(&self) -> Result<Vec<(String, PartitionId)>> {
        let rows = sqlx::query("SELECT name, partition FROM stream ORDER BY partition")
            .fetch_all(&self.pool)
            .await
            .map_err(|e| fault("read streams", e))?;
        rows.iter()
            .map(|row| Ok((field(row, "name")?, PartitionId(number(row, "partition")?))))
            .collect()
    }

    async fn put_api_key(&self, key: ApiKey) -> Result<()> {
        sqlx::query("INSERT OR REPLACE INTO api_key (name, hash, made_at) VALUES (?, ?, ?)")
            .bind(&key.name)
            .bind(&key.hash[..])
            .bind(key.at.0)
            .execute(&self.pool)
            .await
            .map_err(|e| fault("keep an API key", e))?;
        Ok(())
    }

    async fn remove_api_key(&self, name: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM api_key WHERE name = ?")
            .bind(name)
            .execute(&self.pool)
            .await
            .map_err(|e| fault("remove an API key", e))?;
        Ok(done.rows_affected() > 0)
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        let rows = sqlx::query("SELECT name, hash, made_at FROM api_key ORDER BY name")
            .fetch_all(&self.pool)
            .await
            .map_err(|e| fault("read API keys", e))?;
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
        sqlx::query("INSERT INTO audit (at, by, action, detail) VALUES (?, ?, ?, ?)")
            .bind(record.at.0)
            .bind(&record.by)
            .bind(&record.action)
            .bind(&record.detail)
            .execute(&self.pool)
            .await
            .map_err(|e| fault("write the audit", e))?;
        Ok(())
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows =
            sqlx::query("SELECT at, by, action, detail FROM audit ORDER BY number DESC LIMIT ?")
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| fault("read the audit", e))?;
        rows.iter()
            .map(|row| {
                Ok(AuditRecord {
                    at: Micros(field(row, "at")?),
                    by: field(row, "by")?,
                    action: field(row, "action")?,
                    detail: field(row, "detail")?,
                })
            })
            .collect()
    }
}
