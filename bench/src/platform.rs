//! A data folder of the shipped `fund` scene with the simulated platform in it: thousands of products with prices, and customers
//! with some days of their lives. It is made with the product alone: `scene apply`, `import`, then events over HTTP.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use luopan_kernel::time::{DAY_US, Micros};
use luopan_simulator::fund::{Settings, World, days};

use crate::Fault;
use crate::folder::Source;
use crate::process::command;
use crate::traffic::now_us;

/// Days of prices before the first day.
const PRICE_DAYS: i64 = 35;

/// Lines of events, taken by several connections in their order.
#[derive(Debug, Clone)]
pub struct Lines {
    text: Arc<Vec<u8>>,
    /// Where each line ends.
    ends: Arc<Vec<usize>>,
    next: Arc<AtomicUsize>,
}

impl Lines {
    /// All that customers of `world` do until `until`.
    pub fn of(world: &mut World, until: Micros) -> Self {
        let products = world.products().to_vec();
        let (mut text, mut ends, mut line) = (Vec::new(), Vec::new(), String::new());
        world.advance(until, &mut |event| {
            line.clear();
            event.line(&products, &mut line);
            text.extend_from_slice(line.as_bytes());
            ends.push(text.len());
        });
        Self {
            text: Arc::new(text),
            ends: Arc::new(ends),
            next: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl Source for Lines {
    fn write(&mut self, lines: u64, out: &mut Vec<u8>) -> u64 {
        let asked = usize::try_from(lines).unwrap_or(usize::MAX);
        let from = self
            .next
            .fetch_add(asked, Ordering::Relaxed)
            .min(self.len());
        let to = from.saturating_add(asked).min(self.len());
        if from == to {
            return 0;
        }
        let begins = from.checked_sub(1).map_or(0, |n| self.ends[n]);
        out.extend_from_slice(&self.text[begins..self.ends[to - 1]]);
        (to - from) as u64
    }
}

/// The shipped pack.
#[must_use]
pub fn pack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenes/fund")
}

/// A world that ends today, of so many customers and days.
pub fn world(customers: u32, past: i64) -> Result<World, Fault> {
    let today = days::day_at(Micros(i64::try_from(now_us())?));
    let mut settings = Settings::new(1, customers, today - past);
    settings.days = past;
    settings.price_history_days = PRICE_DAYS;
    settings.threads = 2;
    Ok(World::new(settings)?)
}

/// Applies the pack in an empty folder and imports the world's products with what happened to them.
pub fn stocked(data: &Path, world: &World) -> Result<(), Fault> {
    match std::fs::remove_dir_all(data) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    let pack = pack();
    command(
        data,
        &["scene", "apply", pack.to_str().ok_or("a path is no text")?],
    )?;
    let file = data.with_extension("jsonl");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file)?);
    let (mut line, mut failed) = (String::new(), None);
    let listings = world.products().iter().map(|p| p.listing());
    for listing in listings {
        listing.line(&mut line);
    }
    out.write_all(line.as_bytes())?;
    world.product_events(Micros(-100_000 * DAY_US), world.end(), &mut |event| {
        line.clear();
        for listing in event.listings(world.products()) {
            listing.line(&mut line);
        }
        if let Err(e) = out.write_all(line.as_bytes()) {
            failed.get_or_insert(e);
        }
    });
    if let Some(e) = failed {
        return Err(e.into());
    }
    out.flush()?;
    let file = file.to_str().ok_or("a path is no text")?.to_owned();
    let words = "import --scene fund --into product_events --as-sent --catalogue funds";
    let mut words: Vec<&str> = words.split(' ').collect();
    words.push(&file);
    command(data, &words)?;
    std::fs::remove_file(&file)?;
    Ok(())
}
