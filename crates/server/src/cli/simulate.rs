//! `luopan simulate`: a simulated year of a wealth platform as files. Everything but the arguments is in
//! [`crate::simulate`].

use super::import::Bar;
use super::output::Said;
use super::{Common, Format};
use crate::problem::{Problem, Result};
use crate::simulate::{self, Wanted};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Number of simulated customers, 1 to 10,000,000
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), value_name = "N")]
    customers: u32,
    /// Number of days
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3_660), value_name = "N")]
    days: i64,
    /// First day
    #[arg(long, default_value = "2025-09-01", value_name = "DATE")]
    start: String,
    /// Seed of the world: the same seed and options give the same files
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Products: CSV with columns code, name, type (or 基金代码, 基金名称, 基金类别) [default: 9,000 made-up ones]
    #[arg(long, value_name = "FILE")]
    products: Option<PathBuf>,
    /// Trading days: a JSON array of dates, or a date a line [default: weekdays without a few fixed holidays]
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Index history to resample: CSV with `date` and a column of closes; twice for large and growth shares [default: a stated
    /// process]
    #[arg(long, value_name = "FILE")]
    index: Vec<PathBuf>,
    /// Column of the closes
    #[arg(long, default_value = "close", value_name = "NAME")]
    index_column: String,
    /// Threads [default: as many as there are cores]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64), value_name = "N")]
    threads: Option<u8>,
    /// New folder for the files
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub(super) async fn run(common: &Common, args: Simulate) -> Result<Said> {
    let Some(start_day) = simulate::given::day(&args.start) else {
        return Err(Problem::new(
            "command_line",
            format!("--start `{}` is no date; write 2025-09-01", args.start),
        ));
    };
    if args.index.len() > 2 {
        let words = "--index is given more than twice; give large shares, then growth shares";
        return Err(Problem::new("command_line", words));
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get().min(64));
    let wanted = Wanted {
        seed: args.seed,
        customers: args.customers,
        days: args.days,
        start_day,
        threads: args.threads.map_or(cores, usize::from),
        products: args.products,
        calendar: args.calendar,
        indexes: args.index,
        index_column: args.index_column,
        output: args.output,
    };
    let passed = Arc::new(AtomicU64::new(0));
    let bar = Bar::new(&wanted.output, common.format, passed.clone());
    bar.begin(wanted.days as u64);
    let working = tokio::task::spawn_blocking(move || simulate::run(&wanted, &passed));
    let outcome = working.await;
    bar.end();
    let written = outcome.map_err(|e| Problem::internal(format!("simulating failed: {e}")))??;
    let mut text = format!(
        "{} events of {} customers and {} of {} products over {} days in {:.1} s ({:.0} a second)\n",
        written.events,
        written.customers,
        written.product_events,
        written.products,
        written.days,
        written.seconds,
        written.events as f64 / written.seconds.max(1e-9)
    );
    for (kind, count) in &written.by_type {
        text.push_str(&format!("  {kind:16} {count}\n"));
    }
    if common.format == Format::Text {
        text.push_str(
            "events: `luopan import --scene fund --into events --as-sent DIR/events-*.jsonl.gz`",
        );
    }
    Said::new(&written, text)
}
