//! Recovery: a server is killed in the middle of intake over a data folder of millions of events, and started again; how long
//! until it is ready, and until all that stood in the log is folded, beside reading the folder's bytes once. Then a backup beside
//! `cp` of the folder, putting it back, and log retention: how long it takes, what it frees, and `verify` before and after.
//!
//! `LUOPAN_BENCH_EVENTS` says how many events there are (10,000,000), `LUOPAN_BENCH_CUSTOMERS` of how many customers (1,000,000).

use luopan_bench::folder::{CONNECTIONS, intake, root, scene, send, uniform};
use luopan_bench::process::{Server, command, wait_idle};
use luopan_bench::{Fault, Measurement, Reference, write};
use luopan_engine::{Engine, Env, Limits};
use luopan_server::data::{Opening, open};
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the server takes events before it is killed.
const KILLED_AFTER: Duration = Duration::from_secs(5);
/// Events that are offered to the server that is killed: more than it takes until then.
const OFFERED: u64 = 50_000_000;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn files(folder: &Path, out: &mut Vec<(std::path::PathBuf, u64)>) -> Result<(), Fault> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        match found.is_dir() {
            true => files(&entry.path(), out)?,
            false => out.push((entry.path(), found.len())),
        }
    }
    Ok(())
}

fn bytes(folder: &Path) -> Result<u64, Fault> {
    let mut all = Vec::new();
    files(folder, &mut all)?;
    Ok(all.iter().map(|(_, n)| n).sum())
}

/// Seconds to read every file once.
fn read_once(folder: &Path) -> Result<f64, Fault> {
    let mut all = Vec::new();
    files(folder, &mut all)?;
    let started = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    for (path, _) in all {
        let mut file = std::fs::File::open(path)?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Seconds of a program of the system.
fn seconds(program: &str, arguments: &[&str]) -> Result<f64, Fault> {
    let started = Instant::now();
    let ended = Command::new(program).args(arguments).status()?;
    match ended.success() {
        true => Ok(started.elapsed().as_secs_f64()),
        false => Err(format!("{program} ended with {ended}").into()),
    }
}

fn words(path: &Path) -> Result<&str, Fault> {
    Ok(path.to_str().ok_or("a path is no text")?)
}

/// Kills a server that takes events, and waits until those who sent have noticed.
fn killed(data: &Path, customers: u64) -> Result<u64, Fault> {
    let server = Server::start(data)?;
    let pid = server.pid().to_string();
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sent = send(&server, CONNECTIONS, uniform(customers), OFFERED);
            // The connections break off: that is what is wanted.
            sent.is_err()
        });
        std::thread::sleep(KILLED_AFTER);
        seconds("kill", &["-9", &pid])?;
        sending.join().map_err(|_| Fault::from("a sender panicked"))
    })?;
    drop(server);
    match sent {
        true => Ok(0),
        false => Err("the server took all that was offered before it was killed".into()),
    }
}

/// Seconds, entries let go and left of log retention that keeps nothing of what was received until now, by the engine itself.
fn retained(data: &Path) -> Result<(f64, u64, u64), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let opened = open(data, Opening::Existing).await?;
        opened.settle().await?;
        opened.engine.stop().await;
        let limits = Limits {
            retained_us_min: 0,
            ..Limits::default()
        };
        let engine = Engine::open(opened.stores.clone(), opened.env.clone(), limits).await?;
        let started = Instant::now();
        let done = engine.retain(opened.env.now()).await?;
        let took = started.elapsed().as_secs_f64();
        drop(engine);
        opened.close().await;
        Ok((took, done.entries, done.left))
    })
}

fn verified(data: &Path) -> Result<f64, Fault> {
    let started = Instant::now();
    let said = command(data, &["verify"])?;
    match said.contains("everything agrees") {
        true => Ok(started.elapsed().as_secs_f64()),
        false => Err(said.into()),
    }
}

fn run() -> Result<(), Fault> {
    let number = |name: &str, or: u64| -> Result<u64, Fault> {
        match std::env::var(name) {
            Ok(text) => Ok(text.parse().map_err(|e| format!("{name}={text}: {e}"))?),
            Err(_) => Ok(or),
        }
    };
    let events = number("LUOPAN_BENCH_EVENTS", 10_000_000)?;
    let customers = number("LUOPAN_BENCH_CUSTOMERS", 1_000_000)?;
    let root = root()?.join("recovery");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    std::fs::create_dir_all(&root)?;
    let data = root.join("data");
    command(&data, &["scene", "apply", words(&scene())?])?;
    let server = Server::start(&data)?;
    let sent = intake(&server, customers, events)?;
    wait_idle(server.pid())?;
    server.stop()?;
    eprintln!("{} events of {customers} customers", sent.events);

    killed(&data, customers)?;
    let started = Instant::now();
    let server = Server::start(&data)?;
    let ready = server.ready_after.as_secs_f64();
    server.wait_folded()?;
    let folded = started.elapsed().as_secs_f64();
    wait_idle(server.pid())?;
    server.stop()?;
    let size = bytes(&data)?;
    let read = read_once(&data)?;
    eprintln!(
        "ready after {ready:.2} s, folded after {folded:.2} s; {size} bytes are read in {read:.2} s"
    );

    let (backup, copy, back) = (root.join("backup"), root.join("copy"), root.join("back"));
    let started = Instant::now();
    command(&data, &["backup", "--to", words(&backup)?])?;
    let backing = started.elapsed().as_secs_f64();
    let written = bytes(&backup)?;
    let copying = seconds("cp", &["-r", words(&data)?, words(&copy)?])? + seconds("sync", &[])?;
    std::fs::remove_dir_all(&copy)?;
    let started = Instant::now();
    command(&back, &["restore", "--from", words(&backup)?])?;
    let restoring = started.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&back)?;
    std::fs::remove_dir_all(&backup)?;
    eprintln!(
        "{written} bytes of backup in {backing:.1} s, cp in {copying:.1} s, put back in {restoring:.1} s"
    );

    let before = verified(&data)?;
    let (retaining, gone, left) = retained(&data)?;
    let after = verified(&data)?;
    let rest = bytes(&data)?;
    eprintln!(
        "{gone} entries let go, {left} left, in {retaining:.1} s; {size} bytes became {rest}; verify {before:.1} s, then {after:.1} s"
    );

    let mega = 1e6;
    let beside = |name: &str, figure: f64| {
        Some(Reference {
            name: name.to_owned(),
            figure,
        })
    };
    let figure = |name: String, figure: f64, unit: &str, reference| Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference,
    };
    let of = format!("{:.1} million events", (events as f64) / mega);
    let path = write(
        "recovery",
        &[
            figure(
                format!("recovery of a killed server's folder of {of}, until ready"),
                ready,
                "s",
                beside("reading the folder's bytes once, from memory", read),
            ),
            figure(
                format!("recovery of a killed server's folder of {of}, until all is folded"),
                folded,
                "s",
                None,
            ),
            figure(
                format!("backup of {of}"),
                written as f64 / mega / backing,
                "MB/s",
                beside(
                    "cp -r of the folder, and sync",
                    size as f64 / mega / copying,
                ),
            ),
            figure(
                format!("restore of {of}"),
                written as f64 / mega / restoring,
                "MB/s",
                beside(
                    "cp -r of the folder, and sync",
                    size as f64 / mega / copying,
                ),
            ),
            figure(
                format!("log retention, {of} let go"),
                gone as f64 / retaining,
                "entries/s",
                beside(
                    "verify of the same folder, entries/s",
                    events as f64 / before,
                ),
            ),
            figure(
                "data folder after log retention".to_owned(),
                rest as f64 / mega,
                "MB",
                beside("before", size as f64 / mega),
            ),
            figure(
                "verify after log retention".to_owned(),
                after,
                "s",
                beside("before", before),
            ),
        ],
    )?;
    eprintln!("{}", path.display());
    std::fs::remove_dir_all(&root)?;
    Ok(())
}
