//! Decisions over HTTP: how long `POST /v1/decisions` takes with 1, 8 and 64 connections, each of which asks again as soon as it
//! is answered, while intake runs at a fifth of the peak that this run measured. Every decision is durable when it is answered, so
//! a bare sync of 4 KiB on the same disk stands beside it, taken while the decisions are. Both wait for a turn of the processor: on a
//! machine that others keep busy the bare sync took 4.7 ms at the median, and 0.5 ms once its thread had real-time priority. A
//! decision that comes out faster than the sync it holds therefore says that the machine was not quiet enough, and nothing is
//! written.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use luopan_bench::folder::{filled, intake, root, sizes, uniform};
use luopan_bench::process::{Client, Others, Server};
use luopan_bench::traffic::{Random, now_us};
use luopan_bench::{Fault, Measurement, Reference, write};

/// Events sent to find the peak.
const PEAK_EVENTS: u64 = 600_000;
/// Requests of intake a second while decisions are measured.
const INTAKE_REQUESTS: u64 = 20;
/// Decisions of each connection count before any is measured, and while they are.
const WARM: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(20);
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

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
        let measured = measure(&server, customers);
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

fn measure(server: &Server, customers: u64) -> Result<Vec<Measurement>, Fault> {
    let mut out = Vec::new();
    for connections in [1, 8, 64] {
        let others = Others::watch(&[server.pid(), std::process::id()])?;
        let (answers, syncs, took) = decisions(server, customers, connections)?;
        let others = others.share()?;
        let (decision, sync) = (answers.value_at_quantile(0.5), syncs.value_at_quantile(0.5));
        if decision < sync {
            return Err(format!(
                "with {connections} connections a durable decision took {decision} us at the median and a bare sync {sync} us, \
                 while other processes had {:.0} % of the machine: that cannot be compared, run it on a quiet machine",
                others * 100.0
            )
            .into());
        }
        for (name, q) in QUANTILES {
            out.push(Measurement {
                name: format!("decision over HTTP, {connections} connections, {name}"),
                figure: answers.value_at_quantile(q) as f64,
                unit: "us".to_owned(),
                reference: Some(Reference {
                    name: format!("append 4 KiB and fdatasync at the same time, {name}"),
                    figure: syncs.value_at_quantile(q) as f64,
                }),
            });
        }
        out.push(Measurement {
            name: format!("decisions over HTTP, {connections} connections"),
            figure: answers.len() as f64 / took.as_secs_f64(),
            unit: "decisions/s".to_owned(),
            reference: None,
        });
        out.push(Measurement {
            name: format!(
                "share of the machine that other processes took, {connections} connections"
            ),
            figure: others,
            unit: "share".to_owned(),
            reference: None,
        });
        eprintln!(
            "{connections} connections: {} decisions, {} syncs, others {:.0} %",
            answers.len(),
            syncs.len(),
            others * 100.0
        );
    }
    Ok(out)
}

/// Microseconds with three significant digits, up to a minute.
fn times() -> Result<Histogram<u64>, Fault> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

fn micros(from: Instant) -> u64 {
    u64::try_from(from.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Asks from so many connections at once; answers the times of decisions and of syncs, and for how long they were taken.
fn decisions(
    server: &Server,
    customers: u64,
    connections: u64,
) -> Result<(Histogram<u64>, Histogram<u64>, Duration), Fault> {
    let run = now_us();
    let started = Instant::now();
    let (all, syncs) = std::thread::scope(|scope| {
        let probe = scope.spawn(move || syncs(started));
        let threads: Vec<_> = (0..connections)
            .map(|n| {
                let mut client = server.client();
                scope.spawn(move || -> Result<Histogram<u64>, Fault> {
                    let (mut random, mut times) = (Random(run ^ n), times()?);
                    for k in 0.. {
                        let since = started.elapsed();
                        if since > WARM + MEASURED {
                            break;
                        }
                        let body = format!(
                            r#"{{"policy":"offer","customer":"customer-{:09}","idempotency_key":"{run:x}-{n}-{k}"}}"#,
                            random.below(customers)
                        );
                        let asked = Instant::now();
                        decide(&mut client, &body)?;
                        if since >= WARM {
                            times.saturating_record(micros(asked));
                        }
                    }
                    Ok(times)
                })
            })
            .collect();
        let mut all = times()?;
        for thread in threads {
            all += thread.join().map_err(|_| "a deciding thread panicked")??;
        }
        let syncs = probe.join().map_err(|_| "the syncing thread panicked")??;
        Ok::<_, Fault>((all, syncs))
    })?;
    Ok((all, syncs, started.elapsed().saturating_sub(WARM)))
}

fn decide(client: &mut Client, body: &str) -> Result<(), Fault> {
    match client.post("/v1/decisions", "application/json", body.as_bytes())? {
        (200, _) => Ok(()),
        (status, said) => Err(format!("/v1/decisions answered {status}: {said}").into()),
    }
}

/// Times of appending 4 KiB to a file beside the data folder and syncing it, while decisions are measured. Pauses of drawn
/// length between them keep its own load small.
fn syncs(started: Instant) -> Result<Histogram<u64>, Fault> {
    let path = root()?.join("syncs");
    let mut file = std::fs::File::create(&path)?;
    let (mut times, mut random) = (times()?, Random(7));
    std::thread::sleep(WARM.saturating_sub(started.elapsed()));
    while started.elapsed() < WARM + MEASURED {
        let at = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.saturating_record(micros(at));
        std::thread::sleep(Duration::from_micros(1_000 + random.below(9_000)));
    }
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(times)
}
