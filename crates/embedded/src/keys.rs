//! The key store on a fjall database of its own, so that it can be backed up and erased apart from everything else.
//!
//! Rows: `1, tenant, foreign id` to internal id, `2, tenant, internal id` to foreign id, and `3, tenant, internal id` for one that was
//! erased; tenant is four bytes, big-endian.

use crate::committer::{Committer, Handler};
use crate::folder::{Folder, bear_mark, from_fjall, unavailable};
use crate::journal::SYNC_KEY;
use crate::state::blocking;
use crate::{Options, journal, layout};
use async_trait::async_trait;
use fjall::{Database, Keyspace, PersistMode, Readable};
use luopan_kernel::id::{IdentifierId, TenantId};
use luopan_store::{Error, ForeignId, Keys, Queue, Resolved, Result, limits};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

const STORE: &str = "key store";
const BY_FOREIGN: u8 = 1;
const BY_INTERNAL: u8 = 2;
const ERASED: u8 = 3;
/// Most foreign ids looked up on the caller's thread.
const DIRECT_ROWS_MAX: usize = 8;

/// A [`Keys`] on fjall.
pub(crate) struct EmbeddedKeys {
    // Dropped first, so that the thread has ended before the database closes.
    committer: Committer<Job>,
    broken: Arc<OnceLock<String>>,
    rows: Keyspace,
    db: Database,
    _folder: Arc<Folder>,
}

enum Job {
    Create {
        foreign: Vec<ForeignId>,
        fresh: Vec<IdentifierId>,
        answer: oneshot::Sender<Result<Vec<Resolved>>>,
    },
    Erase {
        tenant: TenantId,
        ids: Vec<IdentifierId>,
        answer: oneshot::Sender<Result<()>>,
    },
}

impl EmbeddedKeys {
    pub(crate) fn open(folder: &Arc<Folder>, options: &Options) -> Result<Self> {
        let path = folder.join("keys");
        journal::mend(STORE, &path)?;
        let failed = |e| from_fjall(STORE, "open", e);
        let db =
            layout::database(&path, options.keys_cache_bytes, options.workers).map_err(failed)?;
        let rows = layout::keys(&db).map_err(failed)?;
        layout::sync_names(&path).map_err(|e| unavailable(STORE, "sync its folders", e))?;
        bear_mark(folder, STORE, &db, &rows)?;
        let sync = match rows.get(SYNC_KEY).map_err(failed)? {
            Some(found) => <[u8; 8]>::try_from(&found[..]).map_or(0, u64::from_be_bytes),
            None => 0,
        };
        let broken = Arc::new(OnceLock::new());
        let writer = Writer {
            db: db.clone(),
            rows: rows.clone(),
            sync,
            broken: Arc::clone(&broken),
        };
        Ok(Self {
            broken,
            committer: Committer::start(STORE, writer)?,
            rows,
            db,
            _folder: Arc::clone(folder),
        })
    }
}

fn by_foreign(f: &ForeignId) -> Vec<u8> {
    [
        &[BY_FOREIGN][..],
        &f.tenant.0.to_be_bytes(),
        f.text.as_bytes(),
    ]
    .concat()
}

fn by_internal(tenant: TenantId, id: IdentifierId) -> Vec<u8> {
    [&[BY_INTERNAL][..], &tenant.0.to_be_bytes(), &id.0].concat()
}

fn erased(tenant: TenantId, id: IdentifierId) -> Vec<u8> {
    [&[ERASED][..], &tenant.0.to_be_bytes(), &id.0].concat()
}

/// Tenant and internal id of a row that is kept by them.
fn named(key: &[u8]) -> Result<(TenantId, IdentifierId)> {
    let found = key.get(1..).and_then(|k| k.split_first_chunk::<4>());
    let (tenant, id) = found.ok_or_else(|| corrupt("a key of 21 bytes is wanted"))?;
    Ok((TenantId(u32::from_be_bytes(*tenant)), identifier(id)?))
}

/// Rows of a kind from a key on.
fn listed<T>(
    rows: &Keyspace,
    from: Vec<u8>,
    limit: usize,
    decode: impl Fn(TenantId, IdentifierId, &[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let end = vec![from[0] + 1];
    rows.range(from..end)
        .take(limit)
        .map(|guard| {
            let (key, value) = guard.into_inner().map_err(failed)?;
            let (tenant, id) = named(&key)?;
            decode(tenant, id, &value)
        })
        .collect()
}

fn identifier(value: &[u8]) -> Result<IdentifierId> {
    <[u8; 16]>::try_from(value)
        .map(IdentifierId)
        .map_err(|_| corrupt("an internal id of 16 bytes is wanted"))
}

fn text(value: &[u8]) -> Result<String> {
    String::from_utf8(value.to_vec()).map_err(|_| corrupt("a foreign id in UTF-8 is wanted"))
}

fn corrupt(cause: &str) -> Error {
    Error::Corrupt {
        store: STORE,
        at: "a row".to_owned(),
        cause: cause.to_owned(),
    }
}

fn failed(e: fjall::Error) -> Error {
    from_fjall(STORE, "read", e)
}

/// Values of the rows, decoded, as of one moment.
fn look<T>(
    db: &Database,
    rows: &Keyspace,
    keys: impl Iterator<Item = Vec<u8>>,
    decode: fn(&[u8]) -> Result<T>,
) -> Result<Vec<Option<T>>> {
    let snapshot = db.snapshot();
    keys.map(|key| {
        let found = snapshot.get(rows, key).map_err(failed)?;
        found.map(|v| decode(&v)).transpose()
    })
    .collect()
}

#[async_trait]
impl Keys for EmbeddedKeys {
    async fn resolve_or_create(
        &self,
        foreign: &[ForeignId],
        fresh: &[IdentifierId],
    ) -> Result<Vec<Resolved>> {
        limits::foreign(foreign, Some(fresh))?;
        let known = self.resolve(foreign).await?;
        let known: Option<Vec<Resolved>> = known
            .into_iter()
            .map(|id| {
                Some(Resolved {
                    id: id?,
                    created: false,
                })
            })
            .collect();
        if let Some(known) = known {
            return Ok(known);
        }
        let (foreign, fresh) = (foreign.to_vec(), fresh.to_vec());
        self.committer
            .ask(|answer| Job::Create {
                foreign,
                fresh,
                answer,
            })
            .await
    }

    async fn resolve(&self, foreign: &[ForeignId]) -> Result<Vec<Option<IdentifierId>>> {
        limits::foreign(foreign, None)?;
        if foreign.len() <= DIRECT_ROWS_MAX {
            let keys = foreign.iter().map(by_foreign);
            return look(&self.db, &self.rows, keys, identifier);
        }
        let (db, rows, foreign) = (self.db.clone(), self.rows.clone(), foreign.to_vec());
        blocking(move || look(&db, &rows, foreign.iter().map(by_foreign), identifier)).await
    }

    async fn reveal(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<Vec<Option<String>>> {
        let (db, rows, ids) = (self.db.clone(), self.rows.clone(), ids.to_vec());
        blocking(move || {
            let keys = ids.iter().map(|id| by_internal(tenant, *id));
            look(&db, &rows, keys, text)
        })
        .await
    }

    async fn writable(&self) -> Result<()> {
        match self.broken.get() {
            None => Ok(()),
            Some(why) => Err(unavailable(STORE, "write", why)),
        }
    }

    fn queues(&self) -> Vec<Queue> {
        vec![self.committer.queue("keys")]
    }

    async fn erase(&self, tenant: TenantId, ids: &[IdentifierId]) -> Result<()> {
        let ids = ids.to_vec();
        self.committer
            .ask(|answer| Job::Erase {
                tenant,
                ids,
                answer,
            })
            .await
    }

    async fn list(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(ForeignId, IdentifierId)>> {
        let rows = self.rows.clone();
        blocking(move || {
            listed(
                &rows,
                by_internal(from.0, from.1),
                limit,
                |tenant, id, value| {
                    let text = text(value)?;
                    Ok((ForeignId { tenant, text }, id))
                },
            )
        })
        .await
    }

    async fn erased(
        &self,
        from: (TenantId, IdentifierId),
        limit: usize,
    ) -> Result<Vec<(TenantId, IdentifierId)>> {
        let rows = self.rows.clone();
        blocking(move || {
            listed(&rows, erased(from.0, from.1), limit, |tenant, id, _| {
                Ok((tenant, id))
            })
        })
        .await
    }
}

/// What the committer's thread owns.
struct Writer {
    db: Database,
    rows: Keyspace,
    sync: u64,
    broken: Arc<OnceLock<String>>,
}

/// Rows as the group leaves them.
#[derive(Default)]
struct Group {
    internal: HashMap<ForeignId, Option<IdentifierId>>,
    foreign: BTreeMap<(TenantId, IdentifierId), Option<String>>,
    erased: BTreeSet<(TenantId, IdentifierId)>,
}

impl Writer {
    fn create(
        &self,
        foreign: Vec<ForeignId>,
        fresh: &[IdentifierId],
        group: &mut Group,
    ) -> Result<Vec<Resolved>> {
        let mut out = Vec::with_capacity(foreign.len());
        for (f, fresh) in foreign.into_iter().zip(fresh) {
            let known = match group.internal.get(&f) {
                Some(known) => *known,
                None => {
                    let found = self.rows.get(by_foreign(&f)).map_err(failed)?;
                    found.map(|v| identifier(&v)).transpose()?
                }
            };
            out.push(Resolved {
                id: known.unwrap_or(*fresh),
                created: known.is_none(),
            });
            if known.is_none() {
                let text = f.text.clone();
                group.foreign.insert((f.tenant, *fresh), Some(text));
                group.internal.insert(f, Some(*fresh));
            }
        }
        Ok(out)
    }

    fn erase(&self, tenant: TenantId, ids: &[IdentifierId], group: &mut Group) -> Result<()> {
        for id in ids {
            group.erased.insert((tenant, *id));
            let known = match group.foreign.get(&(tenant, *id)) {
                Some(known) => known.clone(),
                None => {
                    let found = self.rows.get(by_internal(tenant, *id)).map_err(failed)?;
                    found.map(|v| text(&v)).transpose()?
                }
            };
            if let Some(text) = known {
                group.foreign.insert((tenant, *id), None);
                group.internal.insert(ForeignId { tenant, text }, None);
            }
        }
        Ok(())
    }

    fn write(&mut self, group: Group) -> std::result::Result<(), String> {
        if let Some(why) = self.broken.get() {
            return Err(why.clone());
        }
        if group.foreign.is_empty() && group.erased.is_empty() {
            return Ok(());
        }
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        for (f, id) in group.internal {
            match id {
                Some(id) => batch.insert(&self.rows, by_foreign(&f), id.0),
                None => batch.remove(&self.rows, by_foreign(&f)),
            }
        }
        for ((tenant, id), text) in group.foreign {
            match text {
                Some(text) => batch.insert(&self.rows, by_internal(tenant, id), text),
                None => batch.remove(&self.rows, by_internal(tenant, id)),
            }
        }
        for (tenant, id) in group.erased {
            batch.insert(&self.rows, erased(tenant, id), []);
        }
        self.sync += 1;
        batch.insert(&self.rows, SYNC_KEY, self.sync.to_be_bytes());
        batch.commit().map_err(|e| {
            let why = format!("{e}; nothing more is written until the store is opened again");
            tracing::error!(store = STORE, cause = %e, "a group could not be written");
            // The first cause stays.
            let _ = self.broken.set(why.clone());
            why
        })
    }
}

enum Held {
    Create(
        oneshot::Sender<Result<Vec<Resolved>>>,
        Result<Vec<Resolved>>,
    ),
    Erase(oneshot::Sender<Result<()>>, Result<()>),
}

impl Handler for Writer {
    type Job = Job;

    fn bytes(job: &Job) -> usize {
        match job {
            Job::Create { foreign, .. } => foreign.len() * 256,
            Job::Erase { ids, .. } => ids.len() * 256,
        }
    }

    fn group(&mut self, jobs: &mut Vec<Job>) {
        let mut group = Group::default();
        let mut held = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            held.push(match job {
                Job::Create {
                    foreign,
                    fresh,
                    answer,
                } => Held::Create(answer, self.create(foreign, &fresh, &mut group)),
                Job::Erase {
                    tenant,
                    ids,
                    answer,
                } => Held::Erase(answer, self.erase(tenant, &ids, &mut group)),
            });
        }
        let written = self.write(group);
        for held in held {
            // A caller that has gone away needs no answer.
            match (held, &written) {
                (Held::Create(answer, out), Ok(())) => drop(answer.send(out)),
                (Held::Erase(answer, out), Ok(())) => drop(answer.send(out)),
                (Held::Create(answer, _), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "keep new keys", why))));
                }
                (Held::Erase(answer, _), Err(why)) => {
                    drop(answer.send(Err(unavailable(STORE, "erase keys", why))));
                }
            }
        }
    }
}
