//! The data folder: what wrote it, who holds it, and making names in it durable.
//!
//! It never looks into the stores.

use crate::journal::{MARK_KEY, SYNC_KEY};
use luopan_kernel::PARTITIONS;
use luopan_store::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Newest format of a data folder that this program reads and writes.
pub(crate) const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "lock";

/// What `FORMAT` holds.
#[derive(Debug, Serialize, Deserialize)]
struct FormatFile {
    format: u32,
    partitions: u16,
    /// Drawn when the folder is made; every store in it bears it.
    mark: String,
    /// True once every store was made: from then on one without the mark is not this folder's.
    whole: bool,
}

/// A data folder held by this process.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    mark: String,
    is_whole: bool,
    _lock: File,
}

impl Folder {
    /// Takes the folder for this process, making it when it does not exist, and checks that this program can read it.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>> {
        let failed = |tried: &str, e: std::io::Error| {
            unavailable("data folder", format!("{tried} {}", path.display()), e)
        };
        let is_new = !path.exists();
        if !is_new && !path.is_dir() {
            return Err(unavailable(
                "data folder",
                format!("open {}", path.display()),
                "this is a file; name a folder",
            ));
        }
        std::fs::create_dir_all(path).map_err(|e| failed("make", e))?;
        if is_new && let Some(parent) = path.parent() {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            sync_folder(parent).map_err(|e| failed("sync the folder above", e))?;
        }
        let lock = lock(path)?;
        let format = check_format(path)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            mark: format.mark,
            is_whole: format.whole,
            _lock: lock,
        }))
    }

    /// The mark that every store of the folder bears.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Looks at the mark that `store` bears: true when it is to be given one, since the folder is being made.
    pub(crate) fn gives_mark(&self, store: &'static str, found: Option<&[u8]>) -> Result<bool> {
        let cause = match found {
            Some(mark) if mark == self.mark.as_bytes() => return Ok(false),
            Some(_) => "it belongs to another data folder",
            None if !self.is_whole => return Ok(true),
            None => "it is missing or was emptied",
        };
        Err(Error::Corrupt {
            store,
            at: self.path.display().to_string(),
            cause: format!("{cause}; put the whole folder back from one backup"),
        })
    }

    /// Notes that every store was made and bears the mark.
    pub(crate) fn made(&self) -> Result<()> {
        if self.is_whole {
            return Ok(());
        }
        let format = FormatFile {
            format: FORMAT,
            partitions: PARTITIONS,
            mark: self.mark.clone(),
            whole: true,
        };
        write_format(&self.path, &format)
    }

    /// A name in the folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn lock(path: &Path) -> Result<File> {
    let name = path.join(LOCK_FILE);
    let failed = |e: std::io::Error| {
        let cause = format!(
            "{e}; whoever runs this needs to read and write {}: run it as the folder's owner, or name another folder",
            path.display()
        );
        unavailable(
            "data folder",
            format!("take the lock {}", name.display()),
            cause,
        )
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.take(32).read_to_string(&mut holder);
            let holder = match (read, holder.trim()) {
                (Ok(_), pid) if !pid.is_empty() => format!("process {pid} holds"),
                _ => "it holds".to_owned(),
            };
            return Err(Error::InUse(format!(
                "{holder} {}; stop it or name another folder",
                name.display()
            )));
        }
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn check_format(path: &Path) -> Result<FormatFile> {
    let name = path.join(FORMAT_FILE);
    let found = match std::fs::read(&name) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return first_format(path),
        Err(e) => {
            return Err(unavailable(
                "data folder",
                format!("read {}", name.display()),
                e,
            ));
        }
    };
    // The format number is read first and alone: a newer program may have changed all else.
    #[derive(Deserialize)]
    struct OnlyFormat {
        format: u32,
    }
    let fault = |_: serde_json::Error| Error::Corrupt {
        store: "data folder",
        at: name.display().to_string(),
        cause: format!(
            "it is not what stands in every data folder, {{\"format\":{FORMAT},\"partitions\":{PARTITIONS}}}; restore it \
             from a backup of this folder, or name another folder"
        ),
    };
    let OnlyFormat { format } = serde_json::from_slice(&found).map_err(fault)?;
    if format > FORMAT {
        return Err(Error::Newer {
            store: "data folder",
            found: format,
            known: FORMAT,
        });
    }
    let found: FormatFile = serde_json::from_slice(&found).map_err(fault)?;
    if found.partitions != PARTITIONS {
        return Err(Error::Mismatch {
            store: "data folder",
            what: "partition count",
            found: found.partitions.into(),
            wanted: PARTITIONS.into(),
        });
    }
    Ok(found)
}

fn first_format(path: &Path) -> Result<FormatFile> {
    for store in ["main", "keys", "control.sqlite"] {
        if path.join(store).exists() {
            return Err(Error::Corrupt {
                store: "data folder",
                at: path.join(FORMAT_FILE).display().to_string(),
                cause: format!("it is missing although {store} is there"),
            });
        }
    }
    let format = FormatFile {
        format: FORMAT,
        partitions: PARTITIONS,
        mark: fresh_mark(path),
        whole: false,
    };
    write_format(path, &format)?;
    Ok(format)
}

/// A mark that no other folder has: of the time, the process and the path.
fn fresh_mark(path: &Path) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |s| s.as_nanos());
    let drawn = format!("{nanos} {} {}", std::process::id(), path.display());
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(drawn.as_bytes()))
}

fn write_format(path: &Path, format: &FormatFile) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let new = path.join("FORMAT.new");
        let mut file = File::create(&new)?;
        serde_json::to_writer(&mut file, format)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, path.join(FORMAT_FILE))?;
        sync_folder(path)
    };
    write().map_err(|e| {
        let tried = format!("write {}", path.join(FORMAT_FILE).display());
        unavailable("data folder", tried, e)
    })
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// The disk or a library said no.
pub(crate) fn unavailable(
    store: &'static str,
    tried: impl Into<String>,
    cause: impl Display,
) -> Error {
    Error::Unavailable {
        store,
        tried: tried.into(),
        cause: cause.to_string(),
    }
}

/// Sees to it that a database bears the folder's mark.
pub(crate) fn bear_mark(
    folder: &Folder,
    store: &'static str,
    db: &fjall::Database,
    rows: &fjall::Keyspace,
) -> Result<()> {
    let failed = |e| from_fjall(store, "look at its mark", e);
    let found = rows.get(MARK_KEY).map_err(failed)?;
    if folder.gives_mark(store, found.as_deref())? {
        let mut batch = db.batch().durability(Some(fjall::PersistMode::SyncData));
        batch.insert(rows, MARK_KEY, folder.mark().as_bytes());
        // Every synced batch carries this row; see `crate::journal`.
        batch.insert(rows, SYNC_KEY, 0u64.to_be_bytes());
        batch.commit().map_err(failed)?;
    }
    Ok(())
}

/// What fjall said, in the words of the store.
pub(crate) fn from_fjall(store: &'static str, tried: &str, e: fjall::Error) -> Error {
    match e {
        fjall::Error::Locked => Error::InUse(format!("the {store} is locked")),
        fjall::Error::JournalRecovery(_)
        | fjall::Error::Unrecoverable
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::InvalidTag(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::Decompress(_) => Error::Corrupt {
            store,
            at: tried.to_owned(),
            cause: e.to_string(),
        },
        e => unavailable(store, tried, e),
    }
}
