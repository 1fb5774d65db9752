//! Looks through fjall's journals before fjall does, and cuts a torn tail off the newest.
//!
//! fjall 3.1 drops a tail whose framing is broken, but refuses to open when the framing of a batch survived a power loss and
//! some of its bytes did not (`JournalRecovery(ChecksumMismatch)`). It also drops silently whatever follows a broken framing, be
//! it synced or not. Here the newest journal is cut at its first damaged batch when that can be an unsynced tail, and opening is
//! refused when it cannot: then damage lies in what was acknowledged.
//!
//! How the two are told apart: every synced batch carries a row with key [`SYNC_KEY`], and the next such batch is written only
//! after the sync of the last returned. So behind the first batch that was not synced stands at most one whole batch with that row.
//!
//! The format read is that of fjall 3.1.x, uncompressed: `1, count u32, seqno u64`; items `2, type u8, compression u8,
//! keyspace u64, key length u16, value length u32, stored length u32, key, value`; `3, xxh3 of the items u64, "FJL" 3`; all
//! little-endian. A test in this file holds it against the linked fjall.

use crate::folder::unavailable;
use luopan_store::{Error, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Key of the row that marks a synced batch.
pub(crate) const SYNC_KEY: [u8; 1] = [254];

/// Key of the row that holds the mark of the data folder.
pub(crate) const MARK_KEY: [u8; 1] = [253];

const TRAILER: &[u8; 4] = b"FJL\x03";

/// A whole batch.
#[derive(Debug, PartialEq, Eq)]
struct Batch {
    end: usize,
    is_synced: bool,
}

/// Reads one batch at `at`, `None` when it is not whole.
fn batch(bytes: &[u8], at: usize) -> Option<Batch> {
    let mut r = Cursor { bytes, at };
    if r.u8()? != 1 {
        return None;
    }
    let items = r.u32()?;
    r.skip(8)?;
    let mut is_synced = false;
    let from = r.at;
    for _ in 0..items {
        match r.u8()? {
            2 => {
                r.skip(2 + 8)?;
                let key = r.u16()?;
                r.skip(4)?;
                let stored = r.u32()?;
                is_synced |= r.take(key.into())? == SYNC_KEY;
                r.skip(usize::try_from(stored).ok()?)?;
            }
            4 => r.skip(8)?,
            _ => return None,
        }
    }
    let mut hash = Xxh3::new();
    hash.update(&bytes[from..r.at]);
    if r.u8()? != 3 || r.take(8)? != hash.digest().to_le_bytes() || r.take(4)? != TRAILER {
        return None;
    }
    Some(Batch {
        end: r.at,
        is_synced,
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let out = self.bytes.get(self.at..self.at.checked_add(n)?)?;
        self.at += n;
        Some(out)
    }
    fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(drop)
    }
    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
}

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Bytes of whole batches from the start.
    whole: usize,
    /// True when anything but zeros stands behind them.
    is_torn: bool,
    /// Whole, synced batches behind the damage.
    synced_behind: usize,
}

fn look(bytes: &[u8]) -> Found {
    let mut at = 0;
    while let Some(b) = batch(bytes, at) {
        at = b.end;
    }
    let mut found = Found {
        whole: at,
        is_torn: bytes[at..].iter().any(|b| *b != 0),
        synced_behind: 0,
    };
    // A batch starts where one ends, so behind every trailer is a place to look.
    while let Some(next) = bytes[at..]
        .windows(TRAILER.len())
        .position(|w| w == TRAILER)
    {
        at += next + TRAILER.len();
        while let Some(b) = batch(bytes, at) {
            found.synced_behind += usize::from(b.is_synced);
            at = b.end;
        }
    }
    found
}

/// Journals of a database, oldest first.
fn journals(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
        Ok(entries) => {
            for entry in entries {
                let path = entry?.path();
                let number = path
                    .file_name()
                    .and_then(|n| n.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
                out.extend(number.map(|n| (n, path)));
            }
        }
    }
    out.sort();
    Ok(out.into_iter().map(|(_, path)| path).collect())
}

/// Makes the journals of the database in `folder` such that fjall opens it with everything that was synced; nothing to do for
/// a folder that does not exist.
///
/// # Errors
/// [`Error::Corrupt`] when damage lies in what was synced, [`Error::Unavailable`] for what the disk refuses.
pub(crate) fn mend(store: &'static str, folder: &Path) -> Result<()> {
    let failed = |e: std::io::Error| unavailable(store, "look through its journals", e);
    let all = journals(folder).map_err(failed)?;
    let newest = all.last().cloned();
    for path in all {
        let bytes = std::fs::read(&path).map_err(failed)?;
        let found = look(&bytes);
        if !found.is_torn {
            continue;
        }
        let is_newest = newest.as_ref() == Some(&path);
        if !is_newest || found.synced_behind > 1 {
            return Err(Error::Corrupt {
                store,
                at: format!("{} from byte {}", path.display(), found.whole),
                cause: "what was acknowledged is damaged; restore a backup".to_owned(),
            });
        }
        tracing::warn!(
            store,
            journal = %path.display(),
            from = found.whole,
            "cut a torn tail off the journal: it was never acknowledged"
        );
        let cut = || -> std::io::Result<()> {
            let file = File::options().write(true).open(&path)?;
            file.set_len(found.whole as u64)?;
            file.sync_all()
        };
        cut().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fjall::{KeyspaceCreateOptions, PersistMode};

    /// A journal written by the linked fjall: five batches, the even ones synced. Gives its bytes and where batches end.
    fn journal(folder: &Path) -> (PathBuf, Vec<u8>, Vec<usize>) {
        let db = crate::layout::database(folder, 1 << 20, 1).unwrap();
        let rows = db.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        for n in 0..5u8 {
            let mut batch = db.batch().durability(Some(PersistMode::Buffer));
            batch.insert(&rows, [1, n], vec![n; 6000]);
            batch.remove(&rows, [2, n]);
            if n % 2 == 0 {
                batch.insert(&rows, SYNC_KEY, u64::from(n).to_be_bytes());
            }
            batch.commit().unwrap();
        }
        drop((rows, db));
        let path = journals(folder).unwrap().pop().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut ends = Vec::new();
        let mut at = 0;
        while let Some(b) = batch(&bytes, at) {
            assert_eq!(b.is_synced, ends.len() % 2 == 0);
            at = b.end;
            ends.push(at);
        }
        (path, bytes, ends)
    }

    fn rows(folder: &Path) -> usize {
        let db = crate::layout::database(folder, 1 << 20, 1).unwrap();
        let rows = db.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        rows.prefix([1]).count()
    }

    #[test]
    fn the_linked_fjall_writes_what_is_read_here() {
        let folder = tempfile::tempdir().unwrap();
        let (_, bytes, ends) = journal(folder.path());
        assert_eq!(ends.len(), 5);
        let found = look(&bytes);
        assert_eq!((found.whole, found.is_torn), (ends[4], false));
        mend("test", folder.path()).unwrap();
        assert_eq!(rows(folder.path()), 5);
        mend("test", &folder.path().join("none")).unwrap();
    }

    #[test]
    fn a_torn_tail_is_cut_and_damage_before_it_is_refused() {
        // Batches 0, 2 and 4 are synced ones: damage in 3 has one synced batch behind it, damage in 1 has two.
        for (damaged, left) in [
            (4, Some(4)),
            (3, Some(3)),
            (2, Some(2)),
            (1, None),
            (0, None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (path, mut bytes, ends) = journal(folder.path());
            bytes[ends[damaged] - 3000..ends[damaged] - 2488].fill(0xee);
            std::fs::write(&path, &bytes).unwrap();
            match (mend("test", folder.path()), left) {
                (Ok(()), Some(left)) => assert_eq!(rows(folder.path()), left),
                (Err(Error::Corrupt { .. }), None) => {}
                (found, wanted) => panic!("damage in {damaged}: {found:?}, wanted {wanted:?}"),
            }
        }
    }

    #[test]
    fn any_cut_leaves_whole_batches() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes, ends) = journal(folder.path());
        for cut in (0..ends[4]).step_by(997) {
            let mut torn = bytes[..ends[4]].to_vec();
            torn[cut..].fill(0);
            std::fs::write(&path, &torn).unwrap();
            mend("test", folder.path()).unwrap();
            let whole = ends.iter().filter(|e| **e <= cut).count();
            assert!(rows(folder.path()) >= whole, "cut at {cut}");
        }
    }
}
