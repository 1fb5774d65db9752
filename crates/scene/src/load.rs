//! Reading a pack's folder from disk: the only effect of this room. What was read is checked elsewhere.

use crate::draft::{FILE_BYTES_MAX, FILES_MAX};
use std::path::{Path, PathBuf};

/// Deepest folder within a pack.
pub const FOLDERS_DEEP_MAX: usize = 8;

/// Why a folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not text.
    #[error("{} is not utf-8; save it as utf-8", path.display())]
    NotUtf8 {
        /// File.
        path: PathBuf,
    },
    /// Too large to be looked at.
    #[error("{} has {found} bytes; a file of a pack has at most {FILE_BYTES_MAX}", path.display())]
    TooLarge {
        /// File.
        path: PathBuf,
        /// Its size.
        found: u64,
    },
    /// Too many files or folders.
    #[error("{} holds more than {FILES_MAX} files or folders deeper than {FOLDERS_DEEP_MAX}; is it a scene pack?", path.display())]
    TooMany {
        /// Folder.
        path: PathBuf,
    },
    /// No file of a pack.
    #[error("{} holds no `.yaml` file; a pack has at least `scene.yaml`", path.display())]
    Empty {
        /// Folder.
        path: PathBuf,
    },
}

/// The `.yaml` and `.yml` files of a pack, as pairs of the path within the pack (with `/`) and the text, sorted. A path to
/// one file is a pack of that file. Hidden files and folders are passed over.
///
/// # Errors
/// [`Error`]; the first found.
pub fn load_folder(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut out = Vec::new();
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    if path.is_file() {
        let name = path
            .file_name()
            .map_or_else(|| "scene.yaml".into(), |n| n.to_string_lossy().into_owned());
        out.push((name, read(path)?));
        return Ok(out);
    }
    let mut folders = vec![(path.to_owned(), String::new(), 0usize)];
    let mut folders_seen = 0usize;
    while let Some((folder, prefix, depth)) = folders.pop() {
        folders_seen += 1;
        if depth > FOLDERS_DEEP_MAX || folders_seen > FILES_MAX {
            return Err(Error::TooMany {
                path: path.to_owned(),
            });
        }
        for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
            let entry = entry.map_err(io(&folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let inner = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(io(&entry.path()))?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{inner}/"), depth + 1));
            } else if name.ends_with(".yaml") || name.ends_with(".yml") {
                if out.len() == FILES_MAX {
                    return Err(Error::TooMany {
                        path: path.to_owned(),
                    });
                }
                out.push((inner, read(&entry.path())?));
            }
        }
    }
    if out.is_empty() {
        return Err(Error::Empty {
            path: path.to_owned(),
        });
    }
    out.sort();
    Ok(out)
}

fn read(path: &Path) -> Result<String, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > FILE_BYTES_MAX as u64 {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            found: size,
        });
    }
    let bytes = std::fs::read(path).map_err(io)?;
    String::from_utf8(bytes).map_err(|_| Error::NotUtf8 {
        path: path.to_owned(),
    })
}
