//! The shipped fund scene over HTTP: 179 tags, 9,000 simulated products, and events of simulated customers. First intake until
//! everything is durable and folded, then decisions with 1, 8 and 64 connections while intake runs on. Beside intake stands a bare
//! loop on fjall with as many bytes; beside decisions bare syncs of 4 KiB. The policy is `random`: uniform over all products that
//! the rules allow, all rules asked; what scoring at size costs stands under `decide`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use luopan_bench::asking::measure;
use luopan_bench::folder::{CONNECTIONS, LINES, Source, root, send, taken};
use luopan_bench::platform::{Lines, stocked, world};
use luopan_bench::process::{Server, wait_idle};
use luopan_bench::traffic::Random;
use luopan_bench::{Fault, Measurement, Reference, bare, stored, write};
use luopan_kernel::time::DAY_US;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Customers, unless `LUOPAN_BENCH_CUSTOMERS` says otherwise.
const CUSTOMERS: u32 = 200_000;
/// Days that the simulated world lives: within the horizon in which ids are remembered.
const DAYS: i64 = 6;
/// Days before events are measured.
const BEFORE: i64 = 2;
/// Days whose events are measured; those of the rest run beside the decisions.
const MEASURED: i64 = 3;
/// Requests of intake a second while decisions are measured.
const INTAKE_REQUESTS: u32 = 20;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    if bare::serve()? {
        return Ok(());
    }
    let customers: u32 = match std::env::var("LUOPAN_BENCH_CUSTOMERS") {
        Ok(text) => text.parse()?,
        Err(_) => CUSTOMERS,
    };
    let data = root()?.join("fund");
    let mut world = world(customers, DAYS)?;
    stocked(&data, &world)?;
    let server = Server::start(&data)?;
    let start = world.start();
    let before = Lines::of(&mut world, start.plus(BEFORE * DAY_US - 1));
    send(&server, CONNECTIONS, |_| before.clone(), u64::MAX)?;
    server.wait_folded()?;
    wait_idle(server.pid())?;

    let lines = Lines::of(&mut world, start.plus((BEFORE + MEASURED) * DAY_US - 1));
    let end = world.end();
    let rest = Lines::of(&mut world, end);
    let events = lines.len() as u64;
    eprintln!("{} events came before, {events} are measured", before.len());
    let sent = taken(&server, |_| lines.clone(), events)?;
    let count = sent.events as f64;
    let rate = count / sent.folded_after.as_secs_f64();
    let per_request = ((rate / 5.0) as u64 / u64::from(INTAKE_REQUESTS)).max(1);
    let stop = AtomicBool::new(false);
    let (decisions, meanwhile) = std::thread::scope(|scope| {
        let paced = scope.spawn(|| paced(&server, rest, per_request, &stop));
        let measured = measure(
            &server,
            ", fund scene",
            &|random: &mut Random, key: &str| {
                let customer = random.below(u64::from(customers));
                format!(
                    r#"{{"policy":"random","customer":"c{customer:07}","idempotency_key":"{key}"}}"#
                )
            },
        );
        stop.store(true, Ordering::Relaxed);
        let rate = paced.join().map_err(|_| "the intake thread panicked")??;
        Ok::<_, Fault>((measured?, rate))
    })?;
    server.stop()?;

    let found = stored::sizes(&data, 8, events / u64::from(luopan_kernel::PARTITIONS))?;
    eprintln!(
        "a profile has {:.0} bytes, an event in the log {:.0}",
        found.profile, found.event
    );
    let took = bare::run(
        &root()?.join("bare"),
        bare::Asked {
            rows: u64::from(customers),
            row_bytes: found.profile.round() as usize,
            events: sent.events,
            event_bytes: found.event.round() as usize,
            batch: LINES,
        },
    )?;
    let plain = |name: &str, figure, unit: &str| Measurement {
        name: format!("{name}, fund scene"),
        figure,
        unit: unit.to_owned(),
        reference: None,
    };
    let beside = |measured: Measurement, figure| Measurement {
        reference: Some(Reference {
            name: "bare append + get + upsert + fsync on fjall".to_owned(),
            figure,
        }),
        ..measured
    };
    let mut out = vec![
        beside(
            plain(
                "intake, events per CPU second of the server",
                count / sent.cpu.as_secs_f64(),
                "events/cpu_s",
            ),
            count / took.cpu.as_secs_f64(),
        ),
        beside(
            plain(
                "intake, until folded, client on the same cores",
                rate,
                "events/s",
            ),
            count / took.wall.as_secs_f64(),
        ),
        plain(
            "share of the machine that other processes took during intake",
            sent.others,
            "share",
        ),
        plain("bytes of a profile, mean", found.profile, "bytes"),
    ];
    out.extend(decisions);
    out.push(Measurement {
        reference: Some(Reference {
            name: "peak, until folded".to_owned(),
            figure: rate,
        }),
        ..plain("intake meanwhile", meanwhile, "events/s")
    });
    let path = write("fund", &out)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Sends `lines` lines every twentieth of a second until told to stop or until there are no more; answers the rate while there
/// were any.
fn paced(server: &Server, mut source: Lines, lines: u64, stop: &AtomicBool) -> Result<f64, Fault> {
    let (mut client, mut body) = (server.client(), Vec::new());
    let started = Instant::now();
    let every = Duration::from_secs(1) / INTAKE_REQUESTS;
    let (mut requests, mut sent) = (0u32, 0);
    let mut ended = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        body.clear();
        let written = source.write(lines, &mut body);
        if written == 0 {
            break;
        }
        client.events(&body)?;
        (requests, sent) = (requests + 1, sent + written);
        ended = started.elapsed();
        std::thread::sleep((every * requests).saturating_sub(started.elapsed()));
    }
    Ok(sent as f64 / ended.as_secs_f64().max(1e-9))
}
