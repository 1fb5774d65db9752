//! The platform of `year` through the real engine on embedded stores, for fewer customers and days: what the checker reads is
//! exported from the data folder, as `luopan export checks` does. Customers from `LUOPAN_YEAR_CUSTOMERS`, days from
//! `LUOPAN_YEAR_DAYS`. A violation fails the measurement after it is written.

use luopan_bench::process::{Others, memory};
use luopan_bench::year::{self, Rates, Size, engine, judge};
use luopan_bench::{Fault, Measurement, ending, folder, write};
use std::process::ExitCode;

/// Half of the pushes by the policy with the model, which learns from the answers.
const RATES: Rates = Rates {
    push_a_day: 0.0,
    text_a_day: 0.0,
    push_a_login: 0.1,
    shelf_a_visit: 0.1,
    with_model: 0.5,
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
        customers: number("LUOPAN_YEAR_CUSTOMERS", 5_000)?,
        days: number("LUOPAN_YEAR_DAYS", 60)?,
        products: number("LUOPAN_YEAR_PRODUCTS", 1_000)?,
        parts: 1,
        seed: 1,
        rates: RATES,
        checker: year::checker()?,
        folder: folder::root()?.join("year-engine"),
    };
    std::fs::create_dir_all(&size.folder)?;
    let others = Others::watch(&[std::process::id()])?;
    let outcome = engine::run(&size)?;
    let others = others.share()?;
    eprintln!("{}", judge::table(&outcome.found));
    eprintln!("{:#?} {:?}", outcome.tally, outcome.exported);
    let what = format!(
        "{} customers, {} products, {} days through the engine on stores",
        size.customers, size.products, size.days
    );
    let measured = |name: String, figure: f64, unit: &str| Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference: None,
    };
    let (tally, found) = (&outcome.tally, &outcome.found);
    let mut out = vec![measured(
        format!("{what}: violations of market rules found by the independent checker"),
        found.violated() as f64,
        "violations",
    )];
    for (rule, l) in &found.rules {
        let name = format!(
            "market rule {rule}, engine: violations ({} looks kept, {} unknown)",
            l.kept, l.unknown
        );
        out.push(measured(name, l.violated as f64, "violations"));
    }
    for (policy, (asked, chosen)) in &tally.decisions {
        let name = format!("{what}: decisions by `{policy}` ({chosen} chose something)");
        out.push(measured(name, *asked as f64, "decisions"));
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (wrong, asked) = outcome.explained;
    for (name, figure, unit) in [
        ("events folded", tally.folded as f64, "events"),
        ("purchases placed", tally.orders.0 as f64, "orders"),
        ("redemptions placed", tally.orders.1 as f64, "orders"),
        (
            "decisions exported",
            outcome.exported.decisions as f64,
            "decisions",
        ),
        (
            "steps of orders exported",
            outcome.exported.orders as f64,
            "lines",
        ),
        ("decisions explained", asked as f64, "decisions"),
        (
            "of these, explained otherwise than recorded",
            wrong as f64,
            "decisions",
        ),
        (
            "differences that verify found",
            outcome.differences as f64,
            "differences",
        ),
        ("time", outcome.took.as_secs_f64(), "s"),
        (
            "memory at most",
            mib(memory(std::process::id(), "VmHWM")?),
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
    let path = write("year-engine", &out)?;
    eprintln!("written to {}", path.display());
    match found.violated() {
        0 => Ok(()),
        n => Err(format!("{n} violations of market rules").into()),
    }
}
