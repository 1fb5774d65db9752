//! Taking a backup: parts as they come, each with its SHA-256, then the manifest. Bounded memory: one batch is written while the next
//! is read.

use super::manifest::{FORMAT, MANIFEST, Manifest, PartFile, PartitionEnd};
use super::{file, name, record, stopped};
use crate::problem::{Problem, Result};
use crate::{env, time, whole};
use async_trait::async_trait;
use luopan_kernel::PARTITIONS;
use luopan_store::copy::{self, Part, Record, Sink};
use luopan_store::{Error, Stores};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;

/// What is backed up.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its stores.
    pub stores: Stores,
    /// Which installation they are of.
    pub installation: String,
}

/// A file that is being written.
struct Writing {
    part: Part,
    path: PathBuf,
    file: File,
    hash: Sha256,
    records: u64,
    bytes: u64,
}

impl Writing {
    fn open(folder: &Path, part: Part) -> std::io::Result<Self> {
        let path = folder.join(file(part));
        let mut options = File::options();
        options.write(true).create_new(true);
        // Key store and control plane are nobody else's business.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut writing = Self {
            part,
            file: options.open(&path)?,
            path,
            hash: Sha256::new(),
            records: 0,
            bytes: 0,
        };
        writing.write(&record::head(part), 0)?;
        Ok(writing)
    }

    fn write(&mut self, bytes: &[u8], records: u64) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.records += records;
        Ok(())
    }

    fn done(self) -> std::io::Result<PartFile> {
        self.file.sync_all()?;
        Ok(PartFile {
            part: name(self.part).to_owned(),
            file: file(self.part),
            records: self.records,
            bytes: self.bytes,
            sha256: hex::encode(self.hash.finalize()),
        })
    }
}

/// What is written where, one batch behind what was handed in.
struct Files {
    folder: PathBuf,
    left: VecDeque<Part>,
    writing: Option<Writing>,
    done: Vec<PartFile>,
}

impl Files {
    /// Ends what comes before a part and begins it.
    fn turn(&mut self, to: Option<Part>) -> std::io::Result<()> {
        while self.writing.as_ref().map(|w| w.part) != to {
            if let Some(writing) = self.writing.take() {
                self.done.push(writing.done()?);
            }
            match self.left.pop_front() {
                Some(part) => self.writing = Some(Writing::open(&self.folder, part)?),
                None => break,
            }
        }
        Ok(())
    }

    fn write(&mut self, records: &[Record]) -> std::result::Result<(), String> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let part = first.part();
        self.turn(Some(part))
            .map_err(|e| format!("{}: {e}", self.folder.display()))?;
        let Some(writing) = &mut self.writing else {
            return Err(format!("records of `{}` came too late", name(part)));
        };
        let framed = record::frame(records);
        if framed.len() > record::FRAME_BYTES_MAX {
            return Err(format!("{} bytes came at once", framed.len()));
        }
        writing
            .write(&framed, records.len() as u64)
            .map_err(|e| format!("{}: {e}", writing.path.display()))
    }
}

type Behind = JoinHandle<(Box<Files>, std::result::Result<(), String>)>;

struct Writer {
    files: Option<Box<Files>>,
    behind: Option<Behind>,
}

fn failed(cause: impl ToString) -> Error {
    Error::Unavailable {
        store: "backup",
        tried: "be written".to_owned(),
        cause: cause.to_string(),
    }
}

impl Writer {
    /// Waits until what was handed in is written.
    async fn catch_up(&mut self) -> luopan_store::Result<&mut Option<Box<Files>>> {
        if let Some(behind) = self.behind.take() {
            let (files, written) = behind.await.map_err(failed)?;
            self.files = Some(files);
            written.map_err(failed)?;
        }
        Ok(&mut self.files)
    }
}

#[async_trait]
impl Sink for Writer {
    async fn put(&mut self, records: Vec<Record>) -> luopan_store::Result<()> {
        let files = self.catch_up().await?.take();
        let mut files = files.ok_or_else(|| failed("it was given up"))?;
        self.behind = Some(tokio::task::spawn_blocking(move || {
            let written = files.write(&records);
            (files, written)
        }));
        Ok(())
    }
}

/// Backs everything up into a new or empty folder. The stores may be at work meanwhile.
///
/// # Errors
/// `target_not_empty`, `file_unreadable` for what cannot be written, and those of the stores. What was begun is removed.
pub async fn take(source: &Source, to: &Path) -> Result<Manifest> {
    let began = env::now();
    begin(to)?;
    let taken = parts(&source.stores, to).await;
    let (parts, copied) = match taken {
        Ok(taken) => taken,
        Err(problem) => {
            for part in Part::ALL {
                // The folder was empty, so these are ours; what cannot be removed is refused for lack of a manifest.
                let _ = std::fs::remove_file(to.join(file(part)));
            }
            return Err(problem);
        }
    };
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        installation: source.installation.clone(),
        partitions: PARTITIONS,
        began: time::write(began),
        ended: time::write(env::now()),
        log: (copied.partitions.iter())
            .map(|(partition, (head, folded))| PartitionEnd {
                partition: partition.0,
                entries: head.0,
                folded: folded.0,
            })
            .collect(),
        parts,
    };
    let (sealed, folder) = (manifest.sealed(), to.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        whole::write_whole(&folder.join(MANIFEST), &sealed)?;
        sync(&folder)
    });
    written.await.map_err(stopped("writing the manifest"))??;
    Ok(manifest)
}

/// Makes names in a folder, and its own name, durable.
fn sync(folder: &Path) -> Result<()> {
    let failed = |e: std::io::Error| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be synced: {e}", folder.display()),
        )
    };
    let open = |path: &Path| File::open(path).and_then(|f| f.sync_all());
    open(folder).map_err(failed)?;
    match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => open(above).map_err(failed),
        _ => open(Path::new(".")).map_err(failed),
    }
}

fn begin(to: &Path) -> Result<()> {
    let failed = |e: std::io::Error| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be written: {e}; name a new folder", to.display()),
        )
    };
    std::fs::create_dir_all(to).map_err(failed)?;
    if let Some(found) = std::fs::read_dir(to).map_err(failed)?.next() {
        let found = found.map_err(failed)?.file_name();
        return Err(Problem::new(
            "target_not_empty",
            format!(
                "{} holds {} already; a backup is written into a new or empty folder",
                to.display(),
                found.to_string_lossy()
            ),
        ));
    }
    Ok(())
}

async fn parts(stores: &Stores, to: &Path) -> Result<(Vec<PartFile>, copy::Copied)> {
    let mut writer = Writer {
        files: Some(Box::new(Files {
            folder: to.to_owned(),
            left: Part::ALL.into(),
            writing: None,
            done: Vec::new(),
        })),
        behind: None,
    };
    let copied = copy::copy(stores, &mut writer).await;
    let files = writer.catch_up().await.map_err(refused)?.take();
    let copied = copied.map_err(refused)?;
    let mut files = files.ok_or_else(|| Problem::internal("the files of a backup are lost"))?;
    let ended = tokio::task::spawn_blocking(move || {
        files.turn(None)?;
        Ok(files.done)
    });
    let done = ended.await.map_err(stopped("ending a backup"))?;
    let done = done.map_err(|e: std::io::Error| refused(failed(e)))?;
    Ok((done, copied))
}

/// A store's own failure, or that of the folder.
fn refused(error: Error) -> Box<Problem> {
    match &error {
        Error::Unavailable {
            store: "backup", ..
        } => Problem::new("file_unreadable", error.to_string()),
        _ => Problem::new("store_unavailable", error.to_string()),
    }
}
