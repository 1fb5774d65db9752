//! Memory and start-up with a million customers: resident memory of the server when it is ready and after a million events of
//! customers drawn alike, and the time from starting the process until `/readyz` says yes, after an orderly stop and after a kill.
//! The files are in the page cache of the system, which is not counted.

use std::process::ExitCode;

use luopan_bench::folder::{filled, intake, root, scene, sizes};
use luopan_bench::process::{Server, command, memory};
use luopan_bench::{Fault, Measurement, Reference, write};

/// Events sent before memory is read the second time.
const EVENTS: u64 = 1_000_000;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let (customers, events) = sizes()?;
    let events = events.min(EVENTS);
    let (empty_memory, empty_ready) = empty()?;
    let data = filled(customers, false)?;
    let server = Server::start(&data)?;
    let (ready, ready_memory) = (server.ready_after, memory(server.pid(), "VmRSS")?);
    intake(&server, customers, events)?;
    let (after, most) = (
        memory(server.pid(), "VmRSS")?,
        memory(server.pid(), "VmHWM")?,
    );
    server.kill()?;
    let recovered = Server::start(&data)?;
    let killed_ready = recovered.ready_after;
    recovered.stop()?;
    let millions = customers as f64 / 1e6;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let a_million = |name: &str, bytes: u64| Measurement {
        name: format!("resident memory a million profiles, {name}"),
        figure: mib(bytes.saturating_sub(empty_memory)) / millions,
        unit: "MiB".to_owned(),
        reference: None,
    };
    let started = |name: &str, seconds: f64| Measurement {
        name: format!("start until ready, {customers} customers, {name}"),
        figure: seconds,
        unit: "s".to_owned(),
        reference: Some(Reference {
            name: "an empty data folder".to_owned(),
            figure: empty_ready,
        }),
    };
    let path = write(
        "memory",
        &[
            a_million("when ready, above that of an empty server", ready_memory),
            a_million(
                "after a million events, above that of an empty server",
                after,
            ),
            Measurement {
                name: "resident memory of the server at most, under full load".to_owned(),
                figure: mib(most),
                unit: "MiB".to_owned(),
                reference: Some(Reference {
                    name: "an empty server".to_owned(),
                    figure: mib(empty_memory),
                }),
            },
            started("after an orderly stop", ready.as_secs_f64()),
            started("after kill -9 under load", killed_ready.as_secs_f64()),
        ],
    )?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Resident memory and start-up time in seconds of a server that has the scene and no customer.
fn empty() -> Result<(u64, f64), Fault> {
    let data = root()?.join("empty");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(root()?)?;
    let pack = scene();
    command(
        &data,
        &["scene", "apply", pack.to_str().ok_or("a path is no text")?],
    )?;
    Server::start(&data)?.stop()?;
    let server = Server::start(&data)?;
    let found = (
        memory(server.pid(), "VmRSS")?,
        server.ready_after.as_secs_f64(),
    );
    server.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(found)
}
