//! One-machine backends: fjall for log, state and keys, SQLite for the control plane, in one folder.
//!
//! Layout of the folder: `FORMAT` (what wrote it, and the mark that every store in it bears, so that a store which was lost or
//! comes from elsewhere is not taken for an empty one), `lock` (one process at a time), `main/` (log and state, one atomic batch for
//! each group of commits), `keys/` (the erasable key store, backed up apart), `control.sqlite`. This room knows bytes and rows
//! only; there is no way to switch durability off.

#![forbid(unsafe_code)]

mod committer;
mod control;
mod folder;
mod journal;
mod keys;
pub mod layout;
mod log;
mod main_store;
mod state;
mod tail;

use luopan_store::{Control, EventLog, Keys, Result, State, Stores};
use std::path::Path;
use std::sync::Arc;

/// Sizes of what is held in memory. Memtables come on top: up to 64 MiB for each of four keyspaces, more while flushes wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Block cache of log and state in bytes.
    pub cache_bytes: u64,
    /// Block cache of the key store in bytes.
    pub keys_cache_bytes: u64,
    /// Newest log messages kept in memory for the folds that follow, in bytes.
    pub tail_bytes: usize,
    /// Threads that flush and compact, for each of the two fjall databases. With more than one, fjall 3.1 keeps a core busy with
    /// waiting for as long as a compaction runs; take more only where cores are plenty and writes stall.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            keys_cache_bytes: 64 << 20,
            tail_bytes: 64 << 20,
            workers: 1,
        }
    }
}

/// The stores of one data folder, held by this process until the last of the four is dropped.
#[derive(Clone)]
pub struct Embedded {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// State.
    pub state: Arc<dyn State>,
    /// The control plane.
    pub control: Arc<dyn Control>,
    /// The key store.
    pub keys: Arc<dyn Keys>,
    mark: Arc<str>,
}

/// Opens the key store of a folder alone: it may stand when nothing else of the folder can be read.
///
/// # Errors
/// As [`Embedded::open`]; [`luopan_store::Error::Corrupt`] for a folder without one.
pub async fn keys(folder: impl AsRef<Path>, options: Options) -> Result<Arc<dyn Keys>> {
    let path = folder.as_ref().to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        if !path.join("keys").exists() {
            return Err(luopan_store::Error::Corrupt {
                store: "data folder",
                at: path.display().to_string(),
                cause: "there is no key store in it".to_owned(),
            });
        }
        keys::EmbeddedKeys::open(&folder::Folder::open(&path)?, &options)
    });
    match opened.await {
        Ok(opened) => Ok(Arc::new(opened?)),
        Err(panic) => Err(folder::unavailable("key store", "open", panic)),
    }
}

impl Embedded {
    /// Opens the folder, making it when it does not exist. Everything acknowledged before is there.
    ///
    /// # Errors
    /// [`luopan_store::Error::InUse`] when another process holds it, [`luopan_store::Error::Newer`] and
    /// [`luopan_store::Error::Mismatch`] for another program's folder, [`luopan_store::Error::Corrupt`] when what was synced is
    /// damaged or State is ahead of the log, [`luopan_store::Error::Unavailable`] for what the disk refuses.
    pub async fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = folder.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let folder = folder::Folder::open(&path)?;
            let main = main_store::Main::open(&folder, &options)?;
            let keys = keys::EmbeddedKeys::open(&folder, &options)?;
            Ok((folder, main, keys))
        });
        let (folder, main, keys) = match opened.await {
            Ok(opened) => opened?,
            Err(panic) => return Err(folder::unavailable("data folder", "open", panic)),
        };
        let control = control::EmbeddedControl::open(&folder).await?;
        folder.made()?;
        Ok(Self {
            log: Arc::new(log::EmbeddedLog::new(Arc::clone(&main))),
            state: Arc::new(state::EmbeddedState::new(main)),
            control: Arc::new(control),
            keys: Arc::new(keys),
            mark: folder.mark().into(),
        })
    }

    /// The mark that every store of the folder bears: no other folder has it.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The four stores together.
    pub fn stores(&self) -> Stores {
        Stores {
            log: Arc::clone(&self.log),
            state: Arc::clone(&self.state),
            control: Arc::clone(&self.control),
            keys: Arc::clone(&self.keys),
            nodes: Arc::new(luopan_store::nodes::Alone),
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}
