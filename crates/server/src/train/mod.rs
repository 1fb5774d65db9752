//! Training from the history of a data folder: what policies use as artifacts, made from the log, and the files that it is
//! written to. What is learned from is asked of the engine, point in time; how is in `luopan-learning`. This room must never
//! apply what it trained.

pub mod exchange;
pub mod factors;
pub mod intention;

pub use factors::factors;

use crate::problem::{Problem, Result};
use std::io::Write as _;
use std::path::Path;

/// Writes a file whole or not at all: beside its place, synced, then moved there.
///
/// # Errors
/// `file_unreadable`, with what the file system said.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| {
        let words = format!("{} cannot be written: {e}", path.display());
        Problem::new("file_unreadable", words)
    };
    let mut file = beside(path).map_err(|e| failed(&e))?;
    file.write_all(bytes).map_err(|e| failed(&e))?;
    file.as_file().sync_all().map_err(|e| failed(&e))?;
    file.persist(path).map_err(|e| failed(&e))?;
    Ok(())
}

/// Looks whether a file can be written there, making its folder: training takes long, and its end is late to hear of it.
///
/// # Errors
/// As [`write_whole`].
pub fn writable(path: &Path) -> Result<()> {
    beside(path).map(|_| ()).map_err(|e| {
        let words = format!("{} cannot be written: {e}", path.display());
        Problem::new("file_unreadable", words)
    })
}

/// A file in the same folder, which is gone unless it is moved to its place.
fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // What the system says names the file that nobody asked for: its kind alone is told.
    let plain = |e: std::io::Error| std::io::Error::from(e.kind());
    std::fs::create_dir_all(folder).map_err(plain)?;
    tempfile::NamedTempFile::new_in(folder).map_err(plain)
}
