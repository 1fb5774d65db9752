//! A simulated wealth platform as files: what is given (products, trading days, an index), the world of the simulator, and
//! its events as lines of JSON that `luopan import --as-sent` and `POST /v1/events` take. It must never read the truth of
//! the simulator, and never write over a file.

pub(crate) mod given;
mod write;

use crate::problem::{Problem, Result};
use luopan_kernel::time::{DAY_US, Micros};
use luopan_simulator::fund::{BadWorld, History, Listed, Settings, TradingDays, World};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use write::Months;

/// What to simulate, and where to write it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) seed: u64,
    pub(crate) customers: u32,
    pub(crate) days: i64,
    /// First day, since 1970-01-01.
    pub(crate) start_day: i64,
    pub(crate) threads: usize,
    pub(crate) products: Option<PathBuf>,
    pub(crate) calendar: Option<PathBuf>,
    pub(crate) indexes: Vec<PathBuf>,
    pub(crate) index_column: String,
    pub(crate) output: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Written {
    pub(crate) customers: u32,
    pub(crate) products: usize,
    pub(crate) days: i64,
    pub(crate) events: u64,
    pub(crate) by_type: BTreeMap<&'static str, u64>,
    pub(crate) product_events: u64,
    pub(crate) seconds: f64,
    pub(crate) files: Vec<PathBuf>,
}

/// Writes the files. `passed` counts the days that are done.
pub(crate) fn run(wanted: &Wanted, passed: &AtomicU64) -> Result<Written> {
    let begun = Instant::now();
    let products = wanted
        .products
        .as_deref()
        .map(given::products)
        .transpose()?;
    let calendar = wanted
        .calendar
        .as_deref()
        .map(given::calendar)
        .transpose()?;
    let history = match &wanted.indexes[..] {
        [] => None,
        [only] => Some(given::history(only, only, &wanted.index_column)?),
        [large, growth, ..] => Some(given::history(large, growth, &wanted.index_column)?),
    };
    let mut world = made(wanted, products, calendar, history)?;
    let folder = &wanted.output;
    empty(folder)?;
    let mut written = Written {
        customers: world.customers(),
        products: world.products().len(),
        days: wanted.days,
        ..Written::default()
    };
    write::products(folder, &world, &mut written.files)?;
    write::links(folder, &world, &mut written.files)?;

    let mut text = String::new();
    let mut prices = Months::new(folder, "product-events");
    let mut failed = None;
    world.product_events(Micros(i64::MIN / 4), world.end(), &mut |event| {
        for listing in event.listings(world.products()) {
            text.clear();
            listing.line(&mut text);
            written.product_events += 1;
            if failed.is_none() {
                failed = prices.line(event.at, &text).err();
            }
        }
    });
    if let Some(problem) = failed.take() {
        return Err(problem);
    }
    prices.finish(&mut written.files)?;

    let listed = world.products().to_vec();
    let mut months = Months::new(folder, "events");
    for day in 0..wanted.days {
        let until = world.start().plus((day + 1) * DAY_US - 1);
        world.advance(until, &mut |event| {
            text.clear();
            event.line(&listed, &mut text);
            written.events += 1;
            *written.by_type.entry(event.what.kind()).or_default() += 1;
            if failed.is_none() {
                failed = months.line(event.at, &text).err();
            }
        });
        if let Some(problem) = failed.take() {
            return Err(problem);
        }
        passed.fetch_add(1, Ordering::Relaxed);
    }
    months.finish(&mut written.files)?;
    written.seconds = begun.elapsed().as_secs_f64();
    Ok(written)
}

fn made(
    wanted: &Wanted,
    products: Option<Vec<Listed>>,
    calendar: Option<TradingDays>,
    history: Option<History>,
) -> Result<World> {
    let mut settings = Settings::new(wanted.seed, wanted.customers, wanted.start_day);
    settings.days = wanted.days;
    settings.products = products;
    settings.calendar = calendar;
    settings.history = history;
    settings.threads = wanted.threads;
    World::new(settings).map_err(|why| {
        let words = match &why {
            BadWorld::Calendar {
                from,
                to,
                needs_from,
                needs_to,
            } => {
                let date = |day: &i64| {
                    let (y, m, d) = luopan_simulator::fund::days::date_of(*day);
                    format!("{y:04}-{m:02}-{d:02}")
                };
                format!(
                    "the calendar tells of {} to {}, and this world needs {} to {} (30 days past its end); \
                     write another --start, fewer --days, or give a longer calendar",
                    date(from),
                    date(to),
                    date(needs_from),
                    date(needs_to)
                )
            }
            other => other.to_string(),
        };
        Problem::new("command_line", words)
    })
}

/// The folder is made, or is there and empty.
fn empty(folder: &Path) -> Result<()> {
    let fault = |e: std::io::Error| crate::import::source::unreadable(folder, &e);
    std::fs::create_dir_all(folder).map_err(fault)?;
    if std::fs::read_dir(folder).map_err(fault)?.next().is_some() {
        return Err(Problem::new(
            "command_line",
            format!(
                "--output {}: the folder is not empty; name a new one",
                folder.display()
            ),
        ));
    }
    Ok(())
}
