//! Reading a backup: everything is looked at before anything is put anywhere.

use super::manifest::Manifest;
use super::{bad, record, stopped};
use crate::problem::Result;
use bytes::Bytes;
use luopan_store::copy::{Part, Record, Sink};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const READ_BYTES: usize = 1 << 20;

/// Looks at all of a backup: its manifest, and that every part is as the manifest says.
///
/// # Errors
/// `bad_backup` with what is missing or wrong.
pub async fn check(folder: &Path) -> Result<Manifest> {
    let folder = folder.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let manifest = Manifest::read(&folder)?;
        for part in Part::ALL {
            sound(&folder, &manifest, part)?;
        }
        Ok(manifest)
    });
    looked.await.map_err(stopped("reading a backup"))?
}

/// Looks at one part.
pub(super) fn sound(folder: &Path, manifest: &Manifest, part: Part) -> Result<()> {
    let said = manifest.part(part)?;
    let path = folder.join(super::file(part));
    let shown = path.display();
    let read = || -> std::io::Result<(u64, String)> {
        let mut file = File::open(&path)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0u64);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok((bytes, hex::encode(hash.finalize()))),
                n => {
                    hash.update(&buffer[..n]);
                    bytes += n as u64;
                }
            }
        }
    };
    let (bytes, hash) = match read() {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(bad(format!(
                "{shown} is missing: the backup is not whole; put the file back, or use another backup"
            )));
        }
        Err(e) => return Err(bad(format!("{shown} cannot be read: {e}"))),
    };
    if bytes != said.bytes {
        return Err(bad(format!(
            "{shown} has {bytes} bytes, the manifest says {}: the backup was cut or changed; use another copy of it",
            said.bytes
        )));
    }
    if hash != said.sha256 {
        return Err(bad(format!(
            "{shown} is damaged: its SHA-256 is {hash}, the manifest says {}; use another copy of this backup",
            said.sha256
        )));
    }
    Ok(())
}

/// A part that is read frame by frame.
struct Frames {
    part: Part,
    file: BufReader<File>,
    left: u64,
    shown: String,
    records: u64,
}

impl Frames {
    fn open(folder: &Path, manifest: &Manifest, part: Part) -> Result<Self> {
        let path = folder.join(super::file(part));
        let shown = path.display().to_string();
        let mut frames = Self {
            part,
            file: BufReader::with_capacity(
                READ_BYTES,
                File::open(&path).map_err(|e| bad(format!("{shown} cannot be read: {e}")))?,
            ),
            left: manifest.part(part)?.bytes,
            shown,
            records: 0,
        };
        let wanted = record::head(part);
        let found = frames.take(wanted.len())?;
        if found != wanted {
            return Err(frames.damaged("it does not begin as such a part does"));
        }
        Ok(frames)
    }

    fn damaged(&self, what: impl std::fmt::Display) -> Box<crate::problem::Problem> {
        bad(format!("{} is damaged: {what}", self.shown))
    }

    fn take(&mut self, n: usize) -> Result<Vec<u8>> {
        if n as u64 > self.left {
            return Err(self.damaged("it ends in the middle of a frame"));
        }
        let mut out = vec![0; n];
        let read = self.file.read_exact(&mut out);
        read.map_err(|e| self.damaged(e))?;
        self.left -= n as u64;
        Ok(out)
    }

    fn next(&mut self) -> Result<Option<Vec<Record>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut head = [0; record::FRAME_HEAD];
        head.copy_from_slice(&self.take(record::FRAME_HEAD)?);
        let (length, count) = record::frame_head(head);
        if length > record::FRAME_BYTES_MAX {
            return Err(self.damaged("a frame is longer than any that is written"));
        }
        let body = Bytes::from(self.take(length)?);
        let records = record::records(&body, count).map_err(|e| self.damaged(e))?;
        if records.iter().any(|r| r.part() != self.part) {
            return Err(self.damaged("it holds records of another part"));
        }
        self.records += records.len() as u64;
        Ok(Some(records))
    }
}

/// Reads the records of a part, batch by batch, into `sink`.
///
/// # Errors
/// `bad_backup`; those of the sink.
pub(super) async fn part(
    folder: &Path,
    manifest: &Manifest,
    part: Part,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut frames = Box::new(Frames::open(folder, manifest, part)?);
    let mut heads: BTreeMap<u16, u64> = BTreeMap::new();
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let found = frames.next();
            (frames, found)
        });
        let found;
        (frames, found) = read.await.map_err(stopped("reading a backup"))?;
        let Some(records) = found? else { break };
        for record in &records {
            match record {
                Record::Begin(partition, at) => heads.insert(partition.0, at.0),
                Record::Message(partition, message) => heads.insert(partition.0, message.end().0),
                _ => None,
            };
        }
        sink.put(records).await?;
    }
    let said = manifest.part(part)?.records;
    if frames.records != said {
        return Err(frames.damaged(format!(
            "it holds {} records, the manifest says {said}",
            frames.records
        )));
    }
    if part == Part::Log {
        for end in &manifest.log {
            let found = heads.get(&end.partition).copied().unwrap_or(0);
            if found != end.entries {
                return Err(frames.damaged(format!(
                    "partition {} ends at {found}, the manifest says {}",
                    end.partition, end.entries
                )));
            }
        }
    }
    Ok(())
}

/// Reads everything into `sink`.
///
/// # Errors
/// `bad_backup`; those of the sink.
pub async fn pour(folder: &Path, manifest: &Manifest, sink: &mut dyn Sink) -> Result<()> {
    for one in Part::ALL {
        part(folder, manifest, one, sink).await?;
    }
    Ok(())
}
