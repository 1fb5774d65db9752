//! Loading: rows into the engine a chunk at a time, while earlier chunks are folded; counts what was accepted, what had come
//! before and what went to quarantine. It holds a bounded number of chunks, never a file.

use super::mapped::{Mapped, Mapper};
use super::rows::{BadRow, Format, Layout, Row, open_rows};
use super::source::{self, Encoding, ending};
use crate::limits::{BYTES_PER_CHUNK, EVENTS_PER_CHUNK};
use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::api::{Incoming, IngestReceipt, Raw, RefusalKind, Unreadable, WAIT_US_MAX};
use luopan_kernel::event::Origin;
use luopan_kernel::id::hash128;
use luopan_scene::Mapping;
use luopan_scene::mapping::{self, Target};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Chunks that may wait for the fold at once.
const CHUNKS_WAITING_MAX: usize = 16;
/// Pause before a chunk that met a full engine is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// What an import came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Rows read.
    pub rows: u64,
    /// Rows in the log that had not come before.
    pub accepted: u64,
    /// Rows that had come before.
    pub duplicate: u64,
    /// Rows in quarantine.
    pub quarantined: u64,
    /// Rows that the mapping passes over.
    pub skipped: u64,
}

impl Loaded {
    /// Adds the counts of another file.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.quarantined += other.quarantined;
        self.skipped += other.skipped;
    }
}

/// Where rows go.
#[derive(Debug, Clone, Copy)]
pub struct Into<'a> {
    /// Engine, started.
    pub engine: &'a Engine,
    /// Scene.
    pub scene: &'a str,
    /// Mapping of the scene.
    pub mapping: &'a Mapping,
}

/// How the mapping says that its files are written.
#[must_use]
pub fn layout(file: &mapping::FileFormat) -> Layout {
    Layout {
        format: match file.format {
            mapping::Format::Auto => Format::Auto,
            mapping::Format::Csv => Format::Csv,
            mapping::Format::Jsonl => Format::Jsonl,
            mapping::Format::Parquet => Format::Parquet,
        },
        encoding: match file.encoding {
            mapping::Encoding::Auto => Encoding::Auto,
            mapping::Encoding::Utf8 => Encoding::Utf8,
            mapping::Encoding::Gb18030 => Encoding::Gb18030,
        },
        // Delimiters and quotes are checked to be of one byte when the mapping is.
        delimiter: u8::try_from(file.delimiter).unwrap_or(b','),
        quote: u8::try_from(file.quote).unwrap_or(b'"'),
    }
}

/// A hash of a file's content, as it lies on the disk.
pub(crate) fn content_hash(path: &Path) -> Result<u128> {
    let fault = |e: std::io::Error| source::unreadable(path, &e);
    let mut file = std::fs::File::open(path).map_err(fault)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(fault)?;
        if n == 0 {
            return Ok(hash128(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

/// Loads one file. `passed` counts towards the second member of [`open_rows`]'s answer, which `begun` is told.
///
/// # Errors
/// The file cannot be read (any further), its header lacks a column of the mapping, or the engine refused.
pub async fn file(
    into: Into<'_>,
    path: &Path,
    passed: Arc<AtomicU64>,
    begun: impl FnOnce(u64),
) -> Result<Loaded> {
    let layout = layout(&into.mapping.file);
    let customers = into.mapping.target == Target::Customers;
    let hash = if customers { content_hash(path)? } else { 0 };
    let (rows, total) = open_rows(path, layout, passed)?;
    begun(total);
    let mut mapper: Option<Mapper<'_>> = None;
    let mut load = Load {
        into,
        events: Vec::new(),
        items: Vec::new(),
        bytes: 0,
        waiting: VecDeque::new(),
        loaded: Loaded::default(),
    };
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(problem) => {
                load.finish().await?;
                return Err(counted(problem, load.loaded));
            }
        };
        load.loaded.rows += 1;
        let row = match row {
            Ok(row) => row,
            Err(bad) => {
                load.bad(bad).await?;
                continue;
            }
        };
        let mapper = match &mut mapper {
            Some(mapper) => mapper,
            none => {
                let loose = is_lines(path, layout.format, &row);
                header(path, into.mapping, &row, loose)?;
                none.insert(Mapper::new(into.mapping, hash, loose))
            }
        };
        match mapper.row(&row) {
            Ok(Mapped::Skipped) => load.loaded.skipped += 1,
            Ok(Mapped::Event(event)) => load.event(*event).await?,
            Ok(Mapped::Item(key, values)) => load.item(key, values).await?,
            Err(bad) => load.bad(*bad).await?,
        }
    }
    load.finish().await?;
    Ok(load.loaded)
}

/// True for lines of JSON, whose rows each name their own columns.
pub(crate) fn is_lines(path: &Path, format: Format, row: &Row) -> bool {
    match format {
        Format::Jsonl => true,
        Format::Auto => {
            matches!(ending(path).as_str(), "jsonl" | "ndjson" | "json")
                || !matches!(ending(path).as_str(), "csv" | "tsv" | "txt" | "parquet")
                    && row
                        .values
                        .iter()
                        .any(|v| !matches!(v, Raw::Text(_) | Raw::Null))
        }
        Format::Csv | Format::Parquet => false,
    }
}

/// A file whose header lacks a column of the mapping is refused before anything of it is taken.
pub(crate) fn header(path: &Path, mapping: &Mapping, row: &Row, loose: bool) -> Result<()> {
    if loose {
        return Ok(());
    }
    match mapping.bind(&row.names) {
        Ok(_) => Ok(()),
        Err(faults) => {
            let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Err(source::unreadable(path, &words.join("; ")))
        }
    }
}

fn counted(problem: Box<Problem>, loaded: Loaded) -> Box<Problem> {
    problem
        .with("rows", loaded.rows)
        .with("accepted", loaded.accepted)
        .with("duplicate", loaded.duplicate)
        .with("quarantined", loaded.quarantined)
}

/// Rows on their way.
struct Load<'a> {
    into: Into<'a>,
    events: Vec<std::result::Result<Incoming<'static>, Unreadable<'static>>>,
    items: Vec<(String, Vec<(String, Raw<'static>)>)>,
    bytes: usize,
    waiting: VecDeque<IngestReceipt>,
    loaded: Loaded,
}

impl Load<'_> {
    async fn event(&mut self, event: Incoming<'static>) -> Result<()> {
        self.bytes += event.raw.len();
        self.events.push(Ok(event));
        self.close_when_full().await
    }

    async fn item(&mut self, key: String, values: Vec<(String, Raw<'static>)>) -> Result<()> {
        self.items.push((key, values));
        self.close_when_full().await
    }

    async fn bad(&mut self, bad: BadRow) -> Result<()> {
        self.bytes += bad.raw.len();
        self.events.push(Err(Unreadable {
            raw: Cow::Owned(bad.raw),
            code: bad.code,
            reason: bad.reason,
        }));
        self.close_when_full().await
    }

    async fn close_when_full(&mut self) -> Result<()> {
        if self.events.len() + self.items.len() >= EVENTS_PER_CHUNK || self.bytes >= BYTES_PER_CHUNK
        {
            self.close().await?;
        }
        Ok(())
    }

    /// Hands the chunk to the engine and keeps the receipt until it is folded.
    async fn close(&mut self) -> Result<()> {
        self.bytes = 0;
        let events = std::mem::take(&mut self.events);
        let items = std::mem::take(&mut self.items);
        let Into {
            engine,
            scene,
            mapping,
        } = self.into;
        if !events.is_empty() {
            let receipt = patiently(|| engine.ingest(scene, Origin::Import, &events)).await?;
            self.took(receipt).await?;
        }
        if let (false, Target::Products { catalogue, .. }) = (items.is_empty(), &mapping.target) {
            let receipt = patiently(|| engine.import_items(scene, catalogue, &items)).await?;
            self.took(receipt).await?;
        }
        Ok(())
    }

    async fn took(&mut self, receipt: IngestReceipt) -> Result<()> {
        self.loaded.quarantined += receipt.quarantined;
        self.waiting.push_back(receipt);
        while self.waiting.len() > CHUNKS_WAITING_MAX {
            self.fold_one().await?;
        }
        Ok(())
    }

    async fn fold_one(&mut self) -> Result<()> {
        if let Some(receipt) = self.waiting.pop_front() {
            self.into
                .engine
                .wait_for(&receipt.token, WAIT_US_MAX)
                .await?;
            let duplicate = self.into.engine.duplicates(&receipt);
            self.loaded.duplicate += duplicate;
            self.loaded.accepted += receipt.accepted - duplicate.min(receipt.accepted);
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        self.close().await?;
        while !self.waiting.is_empty() {
            self.fold_one().await?;
        }
        Ok(())
    }
}

/// Calls until the engine has room: an import waits where a caller over HTTP would be told to.
pub(crate) async fn patiently<F>(call: impl Fn() -> F) -> Result<IngestReceipt>
where
    F: Future<Output = luopan_engine::Result<IngestReceipt>>,
{
    loop {
        match call().await {
            Err(refusal) if refusal.kind == RefusalKind::Busy => {
                tokio::time::sleep(BUSY_PAUSE).await
            }
            other => return Ok(other?),
        }
    }
}
