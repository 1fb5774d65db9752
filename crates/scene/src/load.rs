//! Reading a pack's folder from disk: the only effect of this room. What was read is checked elsewhere; a file that cannot
//! be read is a fault of the pack like any other, and the rest is read all the same.

use crate::draft::{FILE_BYTES_MAX, FILES_MAX};
use crate::fault::{Code, Fault};
use luopan_kernel::artifact::ARTIFACT_BYTES_MAX;
use luopan_kernel::plan::ARTIFACTS_MAX;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Deepest folder within a pack.
pub const FOLDERS_DEEP_MAX: usize = 8;

/// Files of this folder of a pack, other than YAML, are trained artifacts.
const TRAINED_FOLDER: &str = "artifacts/";

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

/// A pack as it was read from disk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// The path within the pack (with `/`) and the text of each file, sorted.
    pub files: Vec<(String, String)>,
    /// Trained files, of the folder `artifacts`: the path within the pack and the bytes.
    pub trained: BTreeMap<String, Vec<u8>>,
    /// Of registered models the version in force, in Luopan's own form, by name: they stand in no folder, and whoever has the registry adds
    /// them.
    pub models: BTreeMap<String, Vec<u8>>,
    /// What could not be read; [`crate::compile`] gives these with all others.
    pub faults: Vec<Fault>,
}

impl From<Vec<(String, String)>> for Loaded {
    fn from(files: Vec<(String, String)>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }
}

/// True for a file that belongs to a pack: `.yaml`, `.yml`, and files of days.
pub fn is_pack_file(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml") || is_days_file(path)
}

/// True for a file of a calendar's days: a `.txt` in a folder `calendars`.
pub(crate) fn is_days_file(path: &str) -> bool {
    path.ends_with(".txt") && path.rsplit('/').nth(1) == Some("calendars")
}

/// Reads the files of a pack: `.yaml`, `.yml`, and `.txt` in folders called `calendars`. A path to one file is a pack of that file. Hidden files and folders are
/// passed over.
///
/// # Errors
/// [`Error`], when there is no pack to look at; a single file that cannot be read is a fault in [`Loaded::faults`].
pub fn load_folder(path: &Path) -> Result<Loaded, Error> {
    let mut out = Loaded::default();
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    if path.is_file() {
        let name = path
            .file_name()
            .map_or_else(|| "scene.yaml".into(), |n| n.to_string_lossy().into_owned());
        out.take(name, path);
        return Ok(out);
    }
    let too_many = || Error::TooMany {
        path: path.to_owned(),
    };
    let mut folders = vec![(path.to_owned(), String::new(), 0usize)];
    let mut folders_seen = 0usize;
    while let Some((folder, prefix, depth)) = folders.pop() {
        folders_seen += 1;
        if depth > FOLDERS_DEEP_MAX || folders_seen > FILES_MAX {
            return Err(too_many());
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(source) if prefix.is_empty() => return Err(io(&folder)(source)),
            Err(source) => {
                out.unread(
                    prefix.trim_end_matches('/').to_owned(),
                    Code::Yaml,
                    format!("the folder cannot be read: {source}"),
                    "let this program read it, or move it out of the pack",
                );
                continue;
            }
        };
        for entry in entries {
            let entry = entry.map_err(io(&folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let inner = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(io(&entry.path()))?;
            let is_of_pack = is_pack_file(&inner);
            if kind.is_dir() {
                folders.push((entry.path(), format!("{inner}/"), depth + 1));
                continue;
            }
            // A link to a folder is not followed: it may lead anywhere, round in a circle too.
            if kind.is_symlink() && entry.path().is_dir() {
                out.unread(
                    inner,
                    Code::Yaml,
                    "a symbolic link to a folder, which is not followed".to_owned(),
                    "put the folder itself there",
                );
            } else if is_of_pack {
                if out.files.len() + out.faults.len() >= FILES_MAX {
                    return Err(too_many());
                }
                out.take(inner, &entry.path());
            } else if prefix == TRAINED_FOLDER {
                if out.trained.len() >= ARTIFACTS_MAX {
                    return Err(too_many());
                }
                out.take_trained(inner, &entry.path());
            }
        }
    }
    if out.files.is_empty() && out.faults.is_empty() {
        return Err(Error::Empty {
            path: path.to_owned(),
        });
    }
    out.files.sort();
    Ok(out)
}

impl Loaded {
    fn unread(&mut self, file: String, code: Code, found: String, write: &str) {
        self.faults.push(Fault {
            file,
            line: 1,
            column: 1,
            code,
            found,
            write: write.to_owned(),
            nearest: None,
        });
    }

    /// Reads one trained file, or says why it cannot be read.
    fn take_trained(&mut self, name: String, path: &Path) {
        match std::fs::metadata(path) {
            Ok(found) if found.len() > ARTIFACT_BYTES_MAX as u64 => self.unread(
                name,
                Code::Limit,
                format!("the file has {} bytes", found.len()),
                &format!("train a smaller one; at most {ARTIFACT_BYTES_MAX} are read"),
            ),
            Ok(_) => match std::fs::read(path) {
                Ok(bytes) => {
                    self.trained.insert(name, bytes);
                }
                Err(source) => self.refused(name, &source),
            },
            Err(source) => self.refused(name, &source),
        }
    }

    /// Reads one file, or says why it cannot be read.
    fn take(&mut self, name: String, path: &Path) {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(source) if path.is_symlink() => {
                self.unread(
                    name,
                    Code::Yaml,
                    format!("a symbolic link that leads nowhere: {source}"),
                    "put the file itself there",
                );
                return;
            }
            Err(source) => return self.refused(name, &source),
        };
        if !metadata.is_file() {
            self.unread(
                name,
                Code::Yaml,
                "neither a file nor a folder".to_owned(),
                "put a file of text there, or move it out of the pack",
            );
            return;
        }
        if metadata.len() > FILE_BYTES_MAX as u64 {
            self.unread(
                name,
                Code::Limit,
                format!("the file has {} bytes", metadata.len()),
                &format!("divide it; at most {FILE_BYTES_MAX} are read"),
            );
            return;
        }
        match std::fs::read(path).map(String::from_utf8) {
            Err(source) => self.refused(name, &source),
            Ok(Ok(text)) => self.files.push((name, text)),
            Ok(Err(error)) => {
                let right = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(&error.as_bytes()[..right]);
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                self.unread(
                    name,
                    Code::Yaml,
                    "this is not utf-8".to_owned(),
                    "save the file as utf-8; it was not looked at",
                );
                if let Some(fault) = self.faults.last_mut() {
                    fault.line = u32::try_from(line).unwrap_or(u32::MAX);
                    fault.column = u32::try_from(column).unwrap_or(u32::MAX);
                }
            }
        }
    }

    fn refused(&mut self, name: String, source: &std::io::Error) {
        self.unread(
            name,
            Code::Yaml,
            format!("the file cannot be read: {source}"),
            "let this program read it, or move it out of the pack",
        );
    }
}
