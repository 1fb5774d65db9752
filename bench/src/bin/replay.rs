//! Replay: `luopan verify` over the log of a million customers: the log from nothing into fresh state, compared byte for byte.
//! The figure is of decoding and folding on one core; the whole command, which also reads every stored row, stands beside it.

use std::process::ExitCode;
use std::time::Instant;

use luopan_bench::folder::{filled, intake, sizes};
use luopan_bench::process::{Server, command};
use luopan_bench::{Fault, Measurement, Reference, stored, write};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `luopan verify --format json` says, as far as it is read here.
#[derive(serde::Deserialize)]
struct Report {
    entries: u64,
    rows: u64,
    replay_seconds: f64,
    differences_count: u64,
}

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let (customers, events) = sizes()?;
    let data = filled(customers, false)?;
    if stored::decode(&data)?.entries < customers + events {
        let server = Server::start(&data)?;
        intake(&server, customers, events)?;
        server.stop()?;
    }
    let bare = stored::decode(&data)?;
    let started = Instant::now();
    let said = command(&data, &["--format", "json", "verify"])?;
    let whole = started.elapsed();
    let report: Report = serde_json::from_str(&said)?;
    if report.differences_count > 0 || report.entries != bare.entries {
        return Err(format!(
            "verify found {} differences in {} entries; the log holds {}",
            report.differences_count, report.entries, bare.entries
        )
        .into());
    }
    eprintln!(
        "{} entries, {} rows, {} identifiers",
        report.entries, report.rows, bare.identifiers
    );
    let count = report.entries as f64;
    let path = write(
        "replay",
        &[
            Measurement {
                name: "verify, decode and fold on one core".to_owned(),
                figure: count / report.replay_seconds,
                unit: "events/s".to_owned(),
                reference: Some(Reference {
                    name: "to reach (set before it was built)".to_owned(),
                    figure: 200_000.0,
                }),
            },
            Measurement {
                name: "verify, decode and fold on one core".to_owned(),
                figure: count / report.replay_seconds,
                unit: "events/s".to_owned(),
                reference: Some(Reference {
                    name: "decode and add to a hash map by customer".to_owned(),
                    figure: count / bare.loop_time.as_secs_f64(),
                }),
            },
            Measurement {
                name: "verify, the whole command".to_owned(),
                figure: count / whole.as_secs_f64(),
                unit: "events/s".to_owned(),
                reference: None,
            },
        ],
    )?;
    eprintln!("written to {}", path.display());
    Ok(())
}
