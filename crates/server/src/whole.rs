//! Files that are written whole or not at all: beside their place, synced, then moved there. It must never leave half a file
//! under the name that was asked for, nor touch any other file.

use crate::problem::{Problem, Result};
use std::io::Write as _;
use std::path::Path;

/// Writes a file whole or not at all: beside its place, synced, then moved there.
///
/// # Errors
/// `file_unreadable`, with what the file system said.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
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

/// Looks whether a file can be written there, and its folder made: training takes long, and its end is late to hear of it. Nothing is left
/// of it, no folder either.
///
/// # Errors
/// As [`write_whole`].
pub(crate) fn writable(path: &Path) -> Result<()> {
    let made: Vec<&Path> = (path.ancestors().skip(1))
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    let found = beside(path).map(|_| ());
    for folder in made {
        // Of what somebody else has put something into since, nothing is removed.
        let _ = std::fs::remove_dir(folder);
    }
    found.map_err(|e| {
        let words = format!("{} cannot be written: {e}", path.display());
        Problem::new("file_unreadable", words)
    })
}

/// A file in the same folder, which is gone unless it is moved to its place.
///
/// # Errors
/// What the file system said, without the name of the file that nobody asked for.
pub(crate) fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let plain = |e: std::io::Error| std::io::Error::from(e.kind());
    std::fs::create_dir_all(folder).map_err(plain)?;
    let mut file = tempfile::Builder::new();
    // What a program writes for people is read as any other file of theirs.
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    file.tempfile_in(folder).map_err(plain)
}
