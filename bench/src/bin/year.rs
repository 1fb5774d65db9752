//! A simulated year of a million customers over 9,000 products: how often the market's rules were looked at by the
//! independent checker in every decision and order, and what came of it; how long it took and how much memory. Customers
//! from `LUOPAN_YEAR_CUSTOMERS`, days from `LUOPAN_YEAR_DAYS`. A violation fails the measurement after it is written.

use luopan_bench::process::{Others, memory};
use luopan_bench::year::{self, Outcome, Rates, Size, judge, scene::Scene};
use luopan_bench::{Fault, Measurement, ending, folder, write};
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Parts of the customers: more than cores, so that one that waits leaves its core to another.
const PARTS: u32 = 4;
/// About ten decisions a customer and year beside the check of every purchase.
const RATES: Rates = Rates {
    push_a_day: 4.0 / 365.0,
    text_a_day: 2.0 / 365.0,
    push_a_login: 0.08,
    shelf_a_visit: 0.08,
    with_model: 0.002,
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
        parts: number("LUOPAN_YEAR_PARTS", PARTS)?,
        seed: 1,
        rates: Rates {
            with_model: number("LUOPAN_YEAR_MODEL", RATES.with_model)?,
            ..RATES
        },
        checker: year::checker()?,
        folder: folder::root()?.join("year"),
    };
    let scene = Scene::shipped()?;
    let begun = Instant::now();
    let mut others = None;
    let mut share = 0.0;
    let outcome = year::run(&size, &scene, &mut |day, tally, checkers| {
        let watch = others.get_or_insert_with(|| {
            let own: Vec<u32> = checkers
                .iter()
                .copied()
                .chain([std::process::id()])
                .collect();
            Others::watch(&own)
        });
        share = watch.as_ref().map_or(0.0, |w| w.share().unwrap_or(0.0));
        if day % 5 == 0 || day == size.days {
            let own = memory(std::process::id(), "VmHWM").unwrap_or(0);
            eprintln!(
                "day {day}: {:.0} s, {} events, {} decisions, {} lines of {} MiB, {} MiB here, others had {share:.2} of the machine",
                begun.elapsed().as_secs_f64(),
                tally.events,
                tally.all_decisions(),
                tally.lines,
                tally.bytes >> 20,
                own >> 20,
            );
        }
    })?;
    eprintln!("{}", judge::table(&outcome.found));
    eprintln!("{:#?}", outcome.tally);
    let own = memory(std::process::id(), "VmHWM")?;
    let path = write("year", &measurements(&size, &outcome, own, share))?;
    eprintln!("written to {}", path.display());
    match outcome.found.violated() {
        0 => Ok(()),
        n => Err(format!("{n} violations of market rules").into()),
    }
}

fn measurements(size: &Size, outcome: &Outcome, own: u64, others: f64) -> Vec<Measurement> {
    let what = format!(
        "a year of {} customers, {} products, {} days",
        size.customers, size.products, size.days
    );
    let measured = |name: String, figure: f64, unit: &str| Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference: None,
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (tally, found) = (&outcome.tally, &outcome.found);
    let mut out = vec![measured(
        format!("{what}: violations of market rules found by the independent checker"),
        found.violated() as f64,
        "violations",
    )];
    for (rule, l) in &found.rules {
        out.push(measured(
            format!(
                "market rule {rule}: violations ({} looks kept, {} unknown)",
                l.kept, l.unknown
            ),
            l.violated as f64,
            "violations",
        ));
    }
    for (policy, (asked, chosen)) in &tally.decisions {
        let name = format!("{what}: decisions by `{policy}` ({chosen} chose something)");
        out.push(measured(name, *asked as f64, "decisions"));
    }
    let (sent, cancelled) = tally.sent;
    let (bought, redeemed) = tally.orders;
    let refused: u64 = tally.refused.values().sum();
    for (name, figure, unit) in [
        ("events of customers folded", tally.events, "events"),
        ("events of products", outcome.products.0, "events"),
        (
            "snapshots of the catalogue",
            outcome.products.1,
            "snapshots",
        ),
        ("all decisions", tally.all_decisions(), "decisions"),
        ("queued pushes sent", sent, "sends"),
        (
            "queued pushes cancelled when asked for again",
            cancelled,
            "sends",
        ),
        ("offers put to customers", tally.offers, "offers"),
        ("purchases placed", bought, "orders"),
        ("of these, answering an offer", tally.answers, "orders"),
        (
            "purchases refused before they were placed",
            refused,
            "orders",
        ),
        ("redemptions placed", redeemed, "orders"),
        ("lines read by the checkers", found.records, "lines"),
    ] {
        out.push(measured(format!("{what}: {name}"), figure as f64, unit));
    }
    for (name, figure, unit) in [
        (
            "from the first day to the checkers' reports",
            outcome.took.as_secs_f64(),
            "s",
        ),
        (
            "of which the world's own time",
            outcome.world.as_secs_f64(),
            "s",
        ),
        (
            "memory of the driver at most (world, profiles, kernel)",
            mib(own),
            "MiB",
        ),
        (
            "memory of the checkers at most, together",
            mib(outcome.checkers_peak),
            "MiB",
        ),
        (
            "share of the machine that other processes took",
            others,
            "share",
        ),
    ] {
        out.push(measured(format!("{what}: {name}"), figure, unit));
    }
    out
}
