//! A data folder with a million customers of the scene `scenes/intake`, shared by the measurements so that it is filled once.
//! It is made with the product alone: `luopan scene apply`, then events over HTTP.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::process::{Others, Server, command, cpu, wait_idle};
use crate::traffic::{Customers, Events, now_us};

/// Connections that send events.
pub const CONNECTIONS: u64 = 4;
/// Lines of one request.
pub const LINES: u64 = 2_000;
/// Events of the first filling lie so many days back at most: within the horizon in which ids are remembered.
const DAYS: u64 = 5;

/// How large the measurements are: customers from `LUOPAN_BENCH_CUSTOMERS` (1,000,000), events from `LUOPAN_BENCH_EVENTS`
/// (twice the customers).
pub fn sizes() -> Result<(u64, u64), Fault> {
    let number = |name: &str| -> Result<Option<u64>, Fault> {
        match std::env::var(name) {
            Ok(text) => Ok(Some(
                text.parse().map_err(|e| format!("{name}={text}: {e}"))?,
            )),
            Err(_) => Ok(None),
        }
    };
    let customers = number("LUOPAN_BENCH_CUSTOMERS")?.unwrap_or(1_000_000);
    let events = number("LUOPAN_BENCH_EVENTS")?.unwrap_or(2 * customers);
    Ok((customers, events))
}

/// The scene pack of the measurements.
#[must_use]
pub fn scene() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenes/intake")
}

/// What stands beside the data folder once it is filled.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Filled {
    customers: u64,
    scene: String,
}

/// Folder of all measurements: `LUOPAN_BENCH_FOLDER`, or `luopan-bench` in the build folder.
pub fn root() -> Result<PathBuf, Fault> {
    if let Some(named) = std::env::var_os("LUOPAN_BENCH_FOLDER") {
        return Ok(named.into());
    }
    let own = std::env::current_exe()?;
    let target = own
        .parent()
        .and_then(Path::parent)
        .ok_or("this program lies in no folder")?;
    Ok(target.join("luopan-bench"))
}

/// The filled data folder, made when it is not there. `fresh` makes it anew in any case.
pub fn filled(customers: u64, fresh: bool) -> Result<PathBuf, Fault> {
    let root = root()?;
    let (data, mark) = (root.join("data"), root.join("filled.json"));
    let wanted = Filled {
        customers,
        scene: std::fs::read_to_string(scene().join("scene.yaml"))?,
    };
    let found = std::fs::read(&mark)
        .ok()
        .and_then(|text| serde_json::from_slice::<Filled>(&text).ok());
    if !fresh && found.as_ref() == Some(&wanted) && data.is_dir() {
        return Ok(data);
    }
    for old in [&mark, &data] {
        let removed = if old.is_dir() {
            std::fs::remove_dir_all(old)
        } else {
            std::fs::remove_file(old)
        };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
    }
    std::fs::create_dir_all(&root)?;
    let pack = scene();
    command(
        &data,
        &["scene", "apply", pack.to_str().ok_or("a path is no text")?],
    )?;
    let server = Server::start(&data)?;
    let started = Instant::now();
    send(
        &server,
        CONNECTIONS,
        |n| {
            Events::new(
                &format!("first-{n}"),
                Customers::Each(n * customers / CONNECTIONS..(n + 1) * customers / CONNECTIONS),
                DAYS,
            )
        },
        u64::MAX,
    )?;
    server.wait_folded()?;
    eprintln!(
        "{customers} customers filled in {:.1} s, {:.2} us of the server's CPU each",
        started.elapsed().as_secs_f64(),
        cpu(server.pid())?.as_secs_f64() * 1e6 / customers as f64
    );
    wait_idle(server.pid())?;
    server.stop()?;
    std::fs::write(&mark, serde_json::to_vec(&wanted)?)?;
    Ok(data)
}

/// What sending brought.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Events, all durable and folded.
    pub events: u64,
    /// From the first request until every event was acknowledged.
    pub durable_after: Duration,
    /// From the first request until every event was folded.
    pub folded_after: Duration,
    /// CPU time of the server meanwhile.
    pub cpu: Duration,
    /// Share of the machine that processes other than client and server had meanwhile.
    pub others: f64,
}

/// Sends `events` events of uniformly drawn customers as fast as the server takes them, and waits until they are folded.
pub fn intake(server: &Server, customers: u64, events: u64) -> Result<Sent, Fault> {
    taken(server, uniform(customers), events)
}

/// Sends `events` events of such sources as fast as the server takes them, and waits until they are folded.
pub fn taken<S: Source>(
    server: &Server,
    source: impl Fn(u64) -> S + Sync,
    events: u64,
) -> Result<Sent, Fault> {
    let others = Others::watch(&[server.pid(), std::process::id()])?;
    let before = cpu(server.pid())?;
    let started = Instant::now();
    let sent = send(server, CONNECTIONS, source, events)?;
    let durable_after = started.elapsed();
    server.wait_folded()?;
    Ok(Sent {
        events: sent,
        durable_after,
        folded_after: started.elapsed(),
        cpu: cpu(server.pid())? - before,
        others: others.share()?,
    })
}

/// Sources of events of uniformly drawn customers that happen about now, named apart from those of any other run.
pub fn uniform(customers: u64) -> impl Fn(u64) -> Events + Sync {
    let run = now_us();
    move |n| Events::new(&format!("{run:x}-{n}"), Customers::Uniform(customers), 0)
}

/// Where events come from.
pub trait Source {
    /// Writes up to `lines` lines into `out` and answers how many.
    fn write(&mut self, lines: u64, out: &mut Vec<u8>) -> u64;
}

impl Source for Events {
    fn write(&mut self, lines: u64, out: &mut Vec<u8>) -> u64 {
        Events::write(self, lines, out)
    }
}

/// Sends from `connections` sources at once until they are empty or `events` are taken.
pub fn send<S: Source>(
    server: &Server,
    connections: u64,
    source: impl Fn(u64) -> S + Sync,
    events: u64,
) -> Result<u64, Fault> {
    let (asked, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|n| {
                let (source, asked, taken) = (&source, &asked, &taken);
                scope.spawn(move || -> Result<(), Fault> {
                    let (mut source, mut client, mut body) =
                        (source(n), server.client(), Vec::new());
                    loop {
                        let from = asked.fetch_add(LINES, Ordering::Relaxed);
                        body.clear();
                        let lines = source.write(LINES.min(events.saturating_sub(from)), &mut body);
                        if lines == 0 {
                            return Ok(());
                        }
                        client.events(&body)?;
                        taken.fetch_add(lines, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a sending thread panicked")??;
        }
        Ok(taken.load(Ordering::Relaxed))
    })
}
