//! Asking for decisions over HTTP from several connections at once, each of which asks again as soon as it is answered, beside
//! bare syncs of 4 KiB on the same disk. It must never ask for what a customer's application could not.

use std::io::Write as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::folder::root;
use crate::process::{Client, Others, Server};
use crate::traffic::{Random, now_us};
use crate::{Fault, Measurement, Reference};

/// Decisions of each connection count before any is measured, and while they are.
const WARM: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(20);
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// Decisions with 1, 8 and 64 connections. `body` writes a request for a drawn customer, with the idempotency key that it is given.
/// `of` stands in the figures' names.
pub fn measure(
    server: &Server,
    of: &str,
    body: &(impl Fn(&mut Random, &str) -> String + Sync),
) -> Result<Vec<Measurement>, Fault> {
    let mut out = Vec::new();
    for connections in [1, 8, 64] {
        let others = Others::watch(&[server.pid(), std::process::id()])?;
        let (answers, syncs, took) = decisions(server, connections, body)?;
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
                name: format!("decision over HTTP{of}, {connections} connections, {name}"),
                figure: answers.value_at_quantile(q) as f64,
                unit: "us".to_owned(),
                reference: Some(Reference {
                    name: format!("append 4 KiB and fdatasync at the same time, {name}"),
                    figure: syncs.value_at_quantile(q) as f64,
                }),
            });
        }
        out.push(Measurement {
            name: format!("decisions over HTTP{of}, {connections} connections"),
            figure: answers.len() as f64 / took.as_secs_f64(),
            unit: "decisions/s".to_owned(),
            reference: None,
        });
        out.push(Measurement {
            name: format!(
                "share of the machine that other processes took{of}, {connections} connections"
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
    connections: u64,
    body: &(impl Fn(&mut Random, &str) -> String + Sync),
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
                        let body = body(&mut random, &format!("{run:x}-{n}-{k}"));
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
