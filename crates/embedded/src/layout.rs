//! How the fjall databases are laid out: keyspaces and their options, chosen by measurement (`docs/decisions/0002-values-apart-from-keys.md`, and
//! `examples/bare_loop.rs`, which measures them).
//!
//! Options are stored with a keyspace when it is made; a change here reaches new folders only.

use crate::folder::sync_folder;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};
use std::path::Path;

/// Opens a database.
///
/// # Errors
/// As fjall's.
pub fn database(folder: &Path, cache_bytes: u64, workers: usize) -> fjall::Result<Database> {
    Database::builder(folder)
        .cache_size(cache_bytes)
        .worker_threads(workers.max(1))
        // What `crate::journal` reads is not compressed.
        .journal_compression(CompressionType::None)
        .open()
}

/// Makes the names of keyspaces durable, which fjall leaves to the file system.
///
/// # Errors
/// When a folder cannot be synced.
pub fn sync_names(folder: &Path) -> std::io::Result<()> {
    sync_folder(&folder.join("keyspaces"))?;
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

fn separated(bytes_min: u32) -> KeyspaceCreateOptions {
    let values = KvSeparationOptions::default()
        .separation_threshold(bytes_min)
        .compression(CompressionType::None);
    KeyspaceCreateOptions::default().with_kv_separation(Some(values))
}

/// The log: written once. Values lie apart from keys, so that compaction moves keys only.
///
/// # Errors
/// As fjall's.
pub fn log(db: &Database) -> fjall::Result<Keyspace> {
    db.keyspace("log", || separated(64))
}

/// Profiles: about 1 KB each, all of them rewritten again and again. Values lie apart, so that compaction moves keys only.
///
/// # Errors
/// As fjall's.
pub fn profiles(db: &Database) -> fjall::Result<Keyspace> {
    db.keyspace("profiles", || separated(256))
}

/// Large rows written once or twice and seldom read: decisions, quarantine, checkpoints, the outbox.
///
/// # Errors
/// As fjall's.
pub fn records(db: &Database) -> fjall::Result<Keyspace> {
    db.keyspace("records", || separated(256))
}

/// Small rows of all other tables, positions and budgets.
///
/// # Errors
/// As fjall's.
pub fn rows(db: &Database) -> fjall::Result<Keyspace> {
    db.keyspace("rows", small)
}

/// Both directions of the key store.
///
/// # Errors
/// As fjall's.
pub fn keys(db: &Database) -> fjall::Result<Keyspace> {
    db.keyspace("keys", small)
}

fn small() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_compression_policy(CompressionPolicy::disabled())
}
