//! A simulated year of a million customers over 9,000 products: how often the market's rules were looked at by the
//! independent checker in every decision and order, and what came of it; how long it took and how much memory. Customers
//! from `LUOPAN_YEAR_CUSTOMERS`, days from `LUOPAN_YEAR_DAYS`. A violation fails the measurement after it is written.

use luopan_bench::process::{Others, memory};
use luopan_bench::year::{self, Rates, Size, judge, scene::Scene};
use luopan_bench::{Fault, Measurement, ending, folder, write};
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// About eight decisions a customer and year beside the check of every purchase.
const RATES: Rates = Rates {
    push_a_day: 3.0 / 365.0,
    text_a_day: 2.0 / 365.0,
    push_a_login: 0.05,
    shelf_a_visit: 0.05,
    with_model: 0.0,
};

fn main() -> ExitCode {
    ending(run())
}

fn number<T: std::str::FromStr>(name: &str, usual: T) -> Result<T, Fault> {
    match std::env::var(name) {
        Ok(text) => Ok((text.parse()).map_err(|_| format!("{name}={text} is no number"))?),
        Err(_) => Ok(usual),
    }
}

fn run() -> Result<(), Fault> {
    let size = Size {
        customers: number("LUOPAN_YEAR_CUSTOMERS", 1_000_000)?,
        days: number("LUOPAN_YEAR_DAYS", 365)?,
        products: number("LUOPAN_YEAR_PRODUCTS", 9_000)?,
        parts: 2,
        seed: 1,
        rates: Rates { with_model: number("LUOPAN_YEAR_MODEL", RATES.with_model)?, ..RATES },
        checker: year::checker()?,
        folder: folder::root()?.join("year"),
    };
    let scene = Scene::shipped()?;
    let begun = Instant::now();
    let mut others = None;
    let mut share = 0.0;
    let outcome = year::run(&size, &scene, &mut |day, tally, checkers| {
        let watch = others.get_or_insert_with(|| {
            let own: Vec<u32> = checkers.iter().copied().chain([std::process::id()]).collect();
            Others::watch(&own)
        });
        share = watch.as_ref().map_or(0.0, |w| w.share().unwrap_or(0.0));
        if day % 10 == 0 || day == size.days {
            let own = memory(std::process::id(), "VmHWM").unwrap_or(0);
            eprintln!(
                "day {day}: {:.0} s, {} events, {} decisions, {} lines of {} MiB, {} MiB here, others had {:.2} of the machine",
                begun.elapsed().as_secs_f64(),
                tally.events,
                tally.all_decisions(),
                tally.lines,
                tally.bytes >> 20,
                own >> 20,
                share,
            );
        }
    })?;
    eprintln!("{}", judge::table(&outcome.found));
    eprintln!("{outcome:?}");
    Ok(())
}
