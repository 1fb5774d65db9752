//! Intake: events over HTTP as lines of JSON until they are durable and folded, 50 tags, a million customers drawn alike, beside
//! a bare loop that appends, gets, upserts and syncs as much on fjall. Client and server share the machine's cores, so rates on
//! the wall say what both together reach; the ratio is of events per CPU second, the server's own and the bare loop's own.

use std::process::ExitCode;

use luopan_bench::folder::{CONNECTIONS, LINES, filled, intake, root, sizes};
use luopan_bench::process::{Server, wait_idle};
use luopan_bench::{Fault, Measurement, Reference, bare, stored, write};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    if bare::serve()? {
        return Ok(());
    }
    let (customers, events) = sizes()?;
    let data = filled(customers, true)?;
    let server = Server::start(&data)?;
    wait_idle(server.pid())?;
    let sent = intake(&server, customers, events)?;
    server.stop()?;
    let found = stored::sizes(&data, 8, events / u64::from(luopan_kernel::PARTITIONS))?;
    eprintln!(
        "{} events, {CONNECTIONS} connections, {LINES} lines a request; a profile has {:.0} bytes, an event in the log {:.0}",
        sent.events, found.profile, found.event
    );
    let took = bare::run(
        &root()?.join("bare"),
        bare::Asked {
            rows: customers,
            row_bytes: found.profile.round() as usize,
            events: sent.events,
            event_bytes: found.event.round() as usize,
            batch: LINES,
        },
    )?;
    let count = sent.events as f64;
    let beside = |name: &str, figure: f64| {
        Some(Reference {
            name: format!("bare append + get + upsert + fsync on fjall{name}"),
            figure,
        })
    };
    let path = write(
        "intake",
        &[
            Measurement {
                name: "intake, events per CPU second of the server".to_owned(),
                figure: count / sent.cpu.as_secs_f64(),
                unit: "events/cpu_s".to_owned(),
                reference: beside("", count / took.cpu.as_secs_f64()),
            },
            Measurement {
                name: "intake, cpu_us_per_event".to_owned(),
                figure: sent.cpu.as_secs_f64() * 1e6 / count,
                unit: "us".to_owned(),
                reference: beside("", took.cpu.as_secs_f64() * 1e6 / count),
            },
            Measurement {
                name: "intake, until folded, client on the same cores".to_owned(),
                figure: count / sent.folded_after.as_secs_f64(),
                unit: "events/s".to_owned(),
                reference: beside(", one thread", count / took.wall.as_secs_f64()),
            },
            Measurement {
                name: "intake, until durable, client on the same cores".to_owned(),
                figure: count / sent.durable_after.as_secs_f64(),
                unit: "events/s".to_owned(),
                reference: None,
            },
            Measurement {
                name: "share of the machine that other processes took during intake".to_owned(),
                figure: sent.others,
                unit: "share".to_owned(),
                reference: None,
            },
            Measurement {
                name: "share of the machine that other processes took during the bare loop"
                    .to_owned(),
                figure: took.others,
                unit: "share".to_owned(),
                reference: None,
            },
            Measurement {
                name: "bytes of a profile, mean".to_owned(),
                figure: found.profile,
                unit: "bytes".to_owned(),
                reference: None,
            },
        ],
    )?;
    eprintln!("written to {}", path.display());
    Ok(())
}
