//! Parquet files that are written: rankings, part by part, and the one file that the parts become; tables of any columns.
//!
//! A file appears under its name whole or not at all: it is written beside it, synced and renamed. The same rows and notes
//! give the same bytes. This room knows rows and files; it must never decide anything, know a scene or a request, or write a
//! foreign id.

pub mod ranking;
pub mod table;

use std::path::{Path, PathBuf};

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file's form.
    #[error("{}: {cause}", .path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: parquet::errors::ParquetError,
    },
    /// A row that is not what the file's columns hold.
    #[error("{}: {cause}", .path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// More row groups than a file may have.
    #[error(
        "{}: {found} row groups, and a file has at most {}; rank fewer items for each customer",
        .path.display(), ranking::GROUPS_MAX
    )]
    Groups {
        /// Which file.
        path: PathBuf,
        /// How many there would be.
        found: usize,
    },
}

/// Result of work on files.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a file says of itself, in order: names and values.
pub type Notes = Vec<(String, String)>;

pub(crate) fn io<T>(path: &Path, outcome: std::io::Result<T>) -> Result<T> {
    outcome.map_err(|cause| Error::Io {
        path: path.to_owned(),
        cause,
    })
}

pub(crate) fn form<T>(path: &Path, outcome: parquet::errors::Result<T>) -> Result<T> {
    outcome.map_err(|cause| Error::Parquet {
        path: path.to_owned(),
        cause,
    })
}

/// Writes `bytes` as the file `path`, whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = beside(path);
    io(&beside, std::fs::write(&beside, bytes))?;
    let file = io(&beside, std::fs::File::open(&beside))?;
    settle(file, &beside, path)
}

/// Where a file is written before it has its name.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Syncs what was written beside, gives it its name, and syncs the name.
pub(crate) fn settle(file: std::fs::File, beside: &Path, path: &Path) -> Result<()> {
    io(beside, file.sync_all())?;
    drop(file);
    io(path, std::fs::rename(beside, path))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let opened = io(folder, std::fs::File::open(folder))?;
    io(folder, opened.sync_all())
}
