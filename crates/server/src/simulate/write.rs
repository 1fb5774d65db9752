//! The files of a simulation: gzipped lines of JSON, one file a month and kind. It must never leave a file half written
//! without saying so.

use crate::import::source::unreadable;
use crate::problem::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use luopan_kernel::time::Micros;
use luopan_simulator::customer_name;
use luopan_simulator::fund::World;
use luopan_simulator::fund::days::{date_of, day_at, start_of};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// One gzipped file.
struct Packed {
    path: PathBuf,
    writer: GzEncoder<BufWriter<File>>,
}

impl Packed {
    fn new(path: PathBuf) -> Result<Self> {
        let file = File::create_new(&path).map_err(|e| unreadable(&path, &e))?;
        let writer = GzEncoder::new(BufWriter::with_capacity(1 << 18, file), Compression::fast());
        Ok(Self { path, writer })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        (self.writer.write_all(text.as_bytes())).map_err(|e| unreadable(&self.path, &e))
    }

    fn finish(self, files: &mut Vec<PathBuf>) -> Result<()> {
        let fault = |e: std::io::Error| unreadable(&self.path, &e);
        let mut file = self.writer.finish().map_err(fault)?;
        file.flush().map_err(fault)?;
        files.push(self.path);
        Ok(())
    }
}

/// Lines in order of time, a file for each month of the exchange.
pub(super) struct Months {
    folder: PathBuf,
    name: &'static str,
    current: Option<Packed>,
    /// From when on another file is due.
    until: Micros,
    done: Vec<PathBuf>,
}

impl Months {
    pub(super) fn new(folder: &Path, name: &'static str) -> Self {
        Self {
            folder: folder.to_owned(),
            name,
            current: None,
            until: Micros(i64::MIN),
            done: Vec::new(),
        }
    }

    /// Appends a line of the time `at`.
    pub(super) fn line(&mut self, at: Micros, text: &str) -> Result<()> {
        if at >= self.until || self.current.is_none() {
            if let Some(packed) = self.current.take() {
                packed.finish(&mut self.done)?;
            }
            let mut day = day_at(at);
            let (year, month, of_month) = date_of(day);
            let name = format!("{}-{year:04}-{month:02}.jsonl.gz", self.name);
            self.current = Some(Packed::new(self.folder.join(name))?);
            day += 32 - of_month;
            let (_, _, over) = date_of(day);
            self.until = start_of(day - over + 1);
        }
        match &mut self.current {
            Some(packed) => packed.write(text),
            None => Ok(()),
        }
    }

    pub(super) fn finish(mut self, files: &mut Vec<PathBuf>) -> Result<()> {
        if let Some(packed) = self.current.take() {
            packed.finish(&mut self.done)?;
        }
        files.append(&mut self.done);
        Ok(())
    }
}

/// Products as they are known at the start. All but code, name and fine type is generated, and says so.
pub(super) fn products(folder: &Path, world: &World, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut packed = Packed::new(folder.join("products.jsonl.gz"))?;
    let mut line = String::new();
    for product in world.products() {
        line.clear();
        product.listing().line(&mut line);
        packed.write(&line)?;
    }
    packed.finish(files)
}

/// Devices known to be customers'.
pub(super) fn links(folder: &Path, world: &World, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut packed = Packed::new(folder.join("links.jsonl.gz"))?;
    for link in world.links() {
        let row = json!({"customer": customer_name(link.customer), "device": link.device});
        packed.write(&format!("{row}\n"))?;
    }
    packed.finish(files)
}
