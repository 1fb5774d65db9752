//! What a backup says of itself. It is written last, and carries the SHA-256 of every part and of itself: what it says is whole or not
//! there. It must never say more than was written.

use super::{bad, file, name};
use crate::problem::Result;
use luopan_kernel::PARTITIONS;
use luopan_store::copy::Part;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Newest format of a backup that this program writes and reads.
pub const FORMAT: u32 = 1;
/// Name of the manifest in the folder.
pub const MANIFEST: &str = "manifest.json";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the backup, now 1.
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// Which installation it is of. What is restored from it is another one.
    pub installation: String,
    /// Number of customer partitions.
    pub partitions: u16,
    /// When it was begun, RFC 3339. Whatever was acknowledged before is in it.
    pub began: String,
    /// When all of it was written, RFC 3339.
    pub ended: String,
    /// Each partition of the log that held anything.
    pub log: Vec<PartitionEnd>,
    /// The files.
    pub parts: Vec<PartFile>,
}

/// How far a partition of the log goes in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionEnd {
    /// Number.
    pub partition: u16,
    /// Entries.
    pub entries: u64,
    /// Of these, entries that what is known of customers reflects; the rest is folded after restoring.
    pub folded: u64,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartFile {
    /// `log`, `state`, `control`, `keys` or `erased`.
    pub part: String,
    /// Its name in the folder.
    pub file: String,
    /// Records in it.
    pub records: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    manifest: Manifest,
    /// SHA-256 of `manifest` as compact JSON.
    sha256: String,
}

fn seal(manifest: &Manifest) -> String {
    // Text, numbers and lists: writing them cannot fail.
    let bytes = serde_json::to_vec(manifest).unwrap_or_default();
    hex::encode(Sha256::digest(&bytes))
}

impl Manifest {
    /// The file of a part.
    ///
    /// # Errors
    /// `bad_backup` when it names none.
    pub fn part(&self, part: Part) -> Result<&PartFile> {
        (self.parts.iter())
            .find(|p| p.part == name(part))
            .ok_or_else(|| bad(format!("its manifest names no file for `{}`", name(part))))
    }

    /// Records of a part, 0 for one that is not there.
    #[must_use]
    pub fn records(&self, part: Part) -> u64 {
        self.part(part).map_or(0, |p| p.records)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|p| p.bytes).sum()
    }

    /// Entries of the log.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.log.iter().map(|p| p.entries).sum()
    }

    pub(super) fn sealed(&self) -> Vec<u8> {
        let sealed = Sealed {
            sha256: seal(self),
            manifest: self.clone(),
        };
        // It ends with its last bracket, so that no cut of it reads as whole.
        serde_json::to_vec_pretty(&sealed).unwrap_or_default()
    }

    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// `bad_backup`: cut short, damaged, of a newer program or of another number of partitions.
    pub fn read(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        let bytes = match std::fs::read(folder.join(MANIFEST)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !folder.is_dir() => {
                return Err(bad(format!(
                    "there is no folder {shown}; name the folder of a backup"
                )));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let missing: Vec<String> = (Part::ALL.into_iter().map(file))
                    .filter(|file| !folder.join(file).exists())
                    .collect();
                let missing = match missing.is_empty() {
                    true => "every part is there, perhaps not whole".to_owned(),
                    false => format!("{} are missing too", missing.join(", ")),
                };
                return Err(bad(format!(
                    "{shown} has no {MANIFEST}, which is written last: the backup was cut short, or copied in part; {missing}. \
                     Use another backup"
                )));
            }
            Err(e) => return Err(bad(format!("{shown}/{MANIFEST} cannot be read: {e}"))),
        };
        let damaged = |what: String| {
            bad(format!(
                "{shown}/{MANIFEST} is damaged or was changed: {what}; use another copy of this backup"
            ))
        };
        // The format is read first and alone: a newer program may have changed all else.
        let loose: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        match loose["manifest"]["format"].as_u64() {
            Some(found) if found > u64::from(FORMAT) => {
                return Err(bad(format!(
                    "{shown} has format {found}, this program reads up to {FORMAT}; use the newer program that wrote it"
                )));
            }
            Some(_) => {}
            None => return Err(damaged("it names no format".to_owned())),
        }
        let sealed: Sealed = serde_json::from_value(loose).map_err(|e| damaged(e.to_string()))?;
        let found = seal(&sealed.manifest);
        if found != sealed.sha256 {
            return Err(damaged(format!(
                "its SHA-256 is {found}, it says {}",
                sealed.sha256
            )));
        }
        let manifest = sealed.manifest;
        if manifest.partitions != PARTITIONS {
            return Err(bad(format!(
                "{shown} has {} partitions, this program wants {PARTITIONS}; use the program that wrote it",
                manifest.partitions
            )));
        }
        Ok(manifest)
    }
}
