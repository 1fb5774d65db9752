//! Loading: rows into the engine a chunk at a time, while earlier chunks are folded; counts what was accepted, what had come
//! before and what went to quarantine. It holds a bounded number of chunks, never a file.

use super::mapped::{Mapped, Mapper};
use super::rows::{BadRow, Format, Layout, open_rows};
use super::source::{self, Encoding, Source};
use crate::happening;
use crate::incoming;
use crate::limits::{BYTES_PER_CHUNK, EVENTS_PER_CHUNK};
use crate::problem::Result;
use luopan_engine::Engine;
use luopan_engine::api::{
    EVENT_BYTES_MAX, Incoming, IngestReceipt, ProductInput, Raw, RefusalKind, Unreadable,
    WAIT_US_MAX,
};
use luopan_kernel::catalogue::GENERATED_ATTRIBUTE;
use luopan_kernel::event::Origin;
use luopan_kernel::id::hash128;
use luopan_scene::Mapping;
use luopan_scene::mapping::{self, Target};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, Read};
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

/// Loads one file. `passed` counts towards the total that `begun` is told. `loaded` counts what was kept, also when the file
/// is refused in the middle.
///
/// # Errors
/// The file cannot be read (any further), its header lacks a column of the mapping, or the engine refused.
pub async fn file(
    into: Into<'_>,
    path: &Path,
    passed: Arc<AtomicU64>,
    begun: impl FnOnce(u64),
    loaded: &mut Loaded,
) -> Result<()> {
    let layout = layout(&into.mapping.file);
    let customers = into.mapping.target == Target::Customers;
    let hash = if customers { content_hash(path)? } else { 0 };
    let opened = open_rows(path, layout, passed)?;
    if let Some(names) = &opened.header {
        header(path, into.mapping, names)?;
    }
    begun(opened.total);
    let mut mapper = Mapper::new(into.mapping, hash, opened.header.is_none()).of_file(path);
    let catalogue = match &into.mapping.target {
        Target::Products { catalogue, .. } | Target::Environment { catalogue, .. } => {
            Some(catalogue.as_str())
        }
        _ => None,
    };
    let mut load = Load::new(into.engine, into.scene, catalogue, path, loaded);
    if let Target::Products { .. } = into.mapping.target {
        load.keeping(into.mapping)?;
    }
    for row in opened.rows {
        let row = match row {
            Ok(row) => row,
            Err(problem) => {
                load.finish().await?;
                return Err(problem);
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
        match mapper.row(&row) {
            Ok(Mapped::Skipped) => load.loaded.skipped += 1,
            Ok(Mapped::Event(event)) => load.event(*event).await?,
            Ok(Mapped::Product(product)) => load.product(product).await?,
            Err(bad) => load.bad(*bad).await?,
        }
    }
    load.finish().await
}

/// Loads one file of lines as they would be sent, in the order in which they stand: events as `POST /v1/events` takes them, or,
/// of a `catalogue`, what happens to its items.
///
/// # Errors
/// The file cannot be read (any further), or the engine refused.
pub async fn sent(
    engine: &Engine,
    scene: &str,
    catalogue: Option<&str>,
    path: &Path,
    passed: Arc<AtomicU64>,
    begun: impl FnOnce(u64),
    loaded: &mut Loaded,
) -> Result<()> {
    let opened = source::open(path, Encoding::Utf8, passed)?;
    let Source::Text { mut reader, .. } = opened else {
        return Err(source::unreadable(
            path,
            &"this is Parquet; lines of JSON are wanted, or a mapping that reads it",
        ));
    };
    begun(source::size(path)?);
    let mut load = Load::new(engine, scene, catalogue, path, loaded);
    let mut line = Vec::new();
    let mut number = 0u64;
    loop {
        line.clear();
        // A line may be too long by one byte: intake says so.
        let read = (&mut reader)
            .take(EVENT_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut line);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                load.finish().await?;
                return Err(source::unreadable(path, &error));
            }
        };
        if read == 0 {
            break;
        }
        number += 1;
        let is_cut = line.last() != Some(&b'\n') && line.len() > EVENT_BYTES_MAX;
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        load.loaded.rows += 1;
        if catalogue.is_some() {
            match happening::line(text) {
                Ok(product) => load.product(product).await?,
                Err(reason) => {
                    load.bad(BadRow {
                        raw: String::from_utf8_lossy(text).into_owned(),
                        code: "malformed_event",
                        reason: format!("line {number}: {reason}"),
                    })
                    .await?;
                }
            }
        } else {
            match incoming::line(text) {
                Ok(event) => load.event(incoming::kept(event)).await?,
                Err(bad) => {
                    load.bad(BadRow {
                        raw: bad.raw.into_owned(),
                        code: bad.code,
                        reason: format!("line {number}: {}", bad.reason),
                    })
                    .await?;
                }
            }
        }
        if is_cut {
            // The rest of the line is no event of its own.
            skip_line(&mut reader).map_err(|e| source::unreadable(path, &e))?;
        }
    }
    load.finish().await
}

fn skip_line(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|b| *b == b'\n');
        let (used, is_over) = match end {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if is_over {
            return Ok(());
        }
    }
}

/// A bad row of a file: its reason names the file too.
pub(crate) fn of_file(bad: BadRow, file: &str) -> BadRow {
    BadRow {
        reason: format!("{file} {}", bad.reason),
        ..bad
    }
}

/// A file whose header lacks a column of the mapping is refused before anything of it is taken.
pub(crate) fn header(path: &Path, mapping: &Mapping, names: &[String]) -> Result<()> {
    if mapping.bind(names).is_ok() {
        return Ok(());
    }
    let wanted = mapping.columns();
    let among = |names: &[&str]| wanted.iter().filter(|w| names.contains(w)).count();
    let names: Vec<&str> = (names.iter())
        .map(|n| n.trim_start_matches('\u{feff}').trim())
        .collect();
    let found = among(&names);
    let delimiter = mapping.file.delimiter;
    let whole = names.join(&delimiter.to_string());
    let other = [',', ';', '\t', '|']
        .into_iter()
        .filter(|d| *d != delimiter)
        .map(|d| (among(&whole.split(d).map(str::trim).collect::<Vec<_>>()), d))
        .max_by_key(|(n, _)| *n)
        .filter(|(n, _)| *n > found);
    if let Some((_, other)) = other {
        let words = format!(
            "the delimiter looks like `{}`, and the mapping reads `{}`; write `delimiter: \"{}\"` under `file` in the mapping",
            other.escape_default(),
            delimiter.escape_default(),
            other.escape_default()
        );
        return Err(source::unreadable(path, &words));
    }
    let missing: Vec<String> = (wanted.iter())
        .filter(|w| !names.contains(w))
        .map(|w| {
            let near = luopan_scene::nearest(w, names.iter().copied());
            near.map_or_else(
                || format!("`{w}`"),
                |near| format!("`{w}` (did you mean `{near}`?)"),
            )
        })
        .collect();
    let there: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    let words = format!(
        "the header lacks {} of the mapping: {}; it has {}",
        if missing.len() == 1 {
            "a column"
        } else {
            "columns"
        },
        missing.join(", "),
        there.join(", ")
    );
    Err(source::unreadable(path, &words))
}

/// Items that are looked up in one go.
const ITEMS_A_LOOK: usize = 1000;

/// What an item has that a mapping does not name.
struct Kept {
    values: Vec<(String, Raw<'static>)>,
    /// Which of these were made up.
    generated: Vec<String>,
}

impl Kept {
    fn join(&self, values: &mut Vec<(String, Raw<'static>)>) {
        values.extend(self.values.iter().cloned());
        if self.generated.is_empty() {
            return;
        }
        let marks = values.iter().position(|(n, _)| n == GENERATED_ATTRIBUTE);
        let mut names: BTreeSet<String> = self.generated.iter().cloned().collect();
        if let Some(i) = marks
            && let (_, Raw::Text(text)) = values.swap_remove(i)
        {
            names.extend(text.split(", ").map(str::to_owned));
        }
        let names: Vec<String> = names.into_iter().collect();
        values.push((
            GENERATED_ATTRIBUTE.to_owned(),
            Raw::Text(names.join(", ").into()),
        ));
    }
}

/// Rows on their way.
struct Load<'a> {
    engine: &'a Engine,
    scene: &'a str,
    /// Whose products they are.
    catalogue: Option<&'a str>,
    /// The file, as it was named.
    file: String,
    events: Vec<std::result::Result<Incoming<'static>, Unreadable<'static>>>,
    products: Vec<ProductInput>,
    /// Of items that are there, what the mapping does not name.
    kept: BTreeMap<String, Kept>,
    bytes: usize,
    waiting: VecDeque<IngestReceipt>,
    loaded: &'a mut Loaded,
}

impl<'a> Load<'a> {
    fn new(
        engine: &'a Engine,
        scene: &'a str,
        catalogue: Option<&'a str>,
        path: &Path,
        loaded: &'a mut Loaded,
    ) -> Self {
        Self {
            engine,
            scene,
            catalogue,
            file: path.display().to_string(),
            events: Vec::new(),
            products: Vec::new(),
            kept: BTreeMap::new(),
            bytes: 0,
            waiting: VecDeque::new(),
            loaded,
        }
    }

    async fn event(&mut self, event: Incoming<'static>) -> Result<()> {
        self.bytes += event.raw.len();
        self.events.push(Ok(event));
        self.close_when_full().await
    }

    /// Looks up what items have that the mapping does not name: a list of names and types must not take away the ratings that
    /// another file brought.
    fn keeping(&mut self, mapping: &Mapping) -> Result<()> {
        let Some(catalogue) = self.catalogue else {
            return Ok(());
        };
        let plan = self.engine.plan(self.scene)?;
        let Some(declared) = plan.catalogues.iter().find(|c| c.name == catalogue) else {
            return Ok(());
        };
        let is_kept = |name: &str| {
            let place = declared.attributes.iter().position(|a| a.name == name);
            let is_computed =
                (declared.measures.as_ref()).is_some_and(|m| place.is_some_and(|i| m.fills(i)));
            name != GENERATED_ATTRIBUTE
                && !is_computed
                && !mapping.fields.iter().any(|f| f.field.name == name)
        };
        let mut after: Option<String> = None;
        loop {
            let page =
                (self.engine).items(self.scene, catalogue, after.as_deref(), ITEMS_A_LOOK)?;
            let Some(last) = page.items.last() else {
                return Ok(());
            };
            after = Some(last.key.clone());
            for item in page.items {
                let generated = (item.generated.into_iter())
                    .filter(|name| is_kept(name))
                    .collect();
                let values: Vec<_> = (item.attributes.into_iter())
                    .filter(|(name, value)| is_kept(name) && !value.is_missing())
                    .map(|(name, value)| (name, value.into()))
                    .collect();
                if !values.is_empty() {
                    self.kept.insert(item.key, Kept { values, generated });
                }
            }
        }
    }

    async fn product(&mut self, mut product: ProductInput) -> Result<()> {
        if let ProductInput::Set { key, values } = &mut product
            && let Some(kept) = self.kept.get(key)
        {
            kept.join(values);
        }
        self.products.push(product);
        self.close_when_full().await
    }

    async fn bad(&mut self, bad: BadRow) -> Result<()> {
        let bad = of_file(bad, &self.file);
        self.bytes += bad.raw.len();
        self.events.push(Err(Unreadable {
            raw: Cow::Owned(bad.raw),
            code: bad.code,
            reason: bad.reason,
        }));
        self.close_when_full().await
    }

    async fn close_when_full(&mut self) -> Result<()> {
        if self.events.len() + self.products.len() >= EVENTS_PER_CHUNK
            || self.bytes >= BYTES_PER_CHUNK
        {
            self.close().await?;
        }
        Ok(())
    }

    /// Hands the chunk to the engine and keeps the receipt until it is folded.
    async fn close(&mut self) -> Result<()> {
        self.bytes = 0;
        let events = std::mem::take(&mut self.events);
        let products = std::mem::take(&mut self.products);
        let (engine, scene) = (self.engine, self.scene);
        if !events.is_empty() {
            let receipt = patiently(|| engine.ingest(scene, Origin::Import, &events)).await?;
            self.took(receipt).await?;
        }
        if let (false, Some(catalogue)) = (products.is_empty(), self.catalogue) {
            let receipt = patiently(|| engine.change_products(scene, catalogue, &products)).await?;
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
            self.engine.wait_for(&receipt.token, WAIT_US_MAX).await?;
            let duplicate = self.engine.duplicates(&receipt);
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
