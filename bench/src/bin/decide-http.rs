//! Decisions over HTTP: how long `POST /v1/decisions` takes with 1, 8 and 64 connections, each of which asks again as soon as it
//! is answered, while intake runs at a fifth of the peak that this run measured. Every decision is durable when it is answered, so
//! a bare sync of 4 KiB on the same disk stands beside it, taken while the decisions are. Both wait for a turn of the processor: on a
//! machine that others keep busy the bare sync took 4.7 ms at the median, and 0.5 ms once its thread had real-time priority. A
//! decision that comes out faster than the sync it holds therefore says that the machine was not quiet enough, and nothing is
//! written.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use luopan_bench::asking::measure;
use luopan_bench::folder::{filled, intake, sizes, uniform};
use luopan_bench::process::Server;
use luopan_bench::traffic::Random;
use luopan_bench::{Fault, Measurement, Reference, write};

/// Events sent to find the peak.
const PEAK_EVENTS: u64 = 600_000;
/// Requests of intake a second while decisions are measured.
const INTAKE_REQUESTS: u64 = 20;
fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let (customers, events) = sizes()?;
    let data = filled(customers, false)?;
    let server = Server::start(&data)?;
    let sent = intake(&server, customers, events.min(PEAK_EVENTS))?;
    let peak = sent.events as f64 / sent.folded_after.as_secs_f64();
    let lines = (peak / 5.0 / INTAKE_REQUESTS as f64).round().max(1.0) as u64;
    eprintln!(
        "intake peak {peak:.0} events/s; it now runs at {} events/s",
        lines * INTAKE_REQUESTS
    );
    let stop = AtomicBool::new(false);
    let (measured, rate) = std::thread::scope(|scope| {
        let paced = scope.spawn(|| paced(&server, customers, lines, &stop));
        let measured = measure(&server, "", &|random: &mut Random, key: &str| {
            let customer = random.below(customers);
            format!(
                r#"{{"policy":"offer","customer":"customer-{customer:09}","idempotency_key":"{key}"}}"#
            )
        });
        stop.store(true, Ordering::Relaxed);
        let rate = paced.join().map_err(|_| "the intake thread panicked")??;
        Ok::<_, Fault>((measured?, rate))
    })?;
    server.stop()?;
    let mut out = measured;
    out.push(Measurement {
        name: "intake meanwhile".to_owned(),
        figure: rate,
        unit: "events/s".to_owned(),
        reference: Some(Reference {
            name: "peak, until folded".to_owned(),
            figure: peak,
        }),
    });
    let path = write("decide-http", &out)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Sends `lines` events every twentieth of a second until told to stop; answers the events a second that it kept up.
fn paced(server: &Server, customers: u64, lines: u64, stop: &AtomicBool) -> Result<f64, Fault> {
    let (mut source, mut client, mut body) = (uniform(customers)(0), server.client(), Vec::new());
    let (started, every) = (
        Instant::now(),
        Duration::from_secs(1) / INTAKE_REQUESTS as u32,
    );
    let mut requests = 0u32;
    while !stop.load(Ordering::Relaxed) {
        body.clear();
        source.write(lines, &mut body);
        client.events(&body)?;
        requests += 1;
        std::thread::sleep((every * requests).saturating_sub(started.elapsed()));
    }
    Ok(f64::from(requests) * lines as f64 / started.elapsed().as_secs_f64())
}
