//! The product's own binary as a child process: started, watched from outside (CPU time, memory), asked over HTTP, stopped.
//! It must never reach into the process or count its own work as the product's.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Fault;

/// Longest time for the server to be ready or to stop.
const STATE_TIME_MAX: Duration = Duration::from_secs(120);
/// Longest wait for a process to have nothing to do.
const IDLE_TIME_MAX: Duration = Duration::from_secs(120);

/// The binary `luopan`: `LUOPAN_BIN`, or the one built beside this program.
pub fn binary() -> Result<PathBuf, Fault> {
    if let Some(named) = std::env::var_os("LUOPAN_BIN") {
        return Ok(named.into());
    }
    let own = std::env::current_exe()?;
    let beside = own.with_file_name("luopan");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(format!(
        "{} is not there: build it with `cargo build --release -p luopan-server`, or name it in LUOPAN_BIN",
        beside.display()
    )
    .into())
}

/// Runs a command of the product to its end and answers what it printed.
pub fn command(data: &Path, arguments: &[&str]) -> Result<String, Fault> {
    let output = Command::new(binary()?)
        .arg("--data")
        .arg(data)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "`luopan {}` ended with {}: {}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout)
        )
        .into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// CPU time (user and system, all threads, ended ones too) that a process has had, to one clock tick.
pub fn cpu(pid: u32) -> Result<Duration, Fault> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<u64> = behind
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    if ticks.len() != 2 {
        return Err(format!("/proc/{pid}/stat does not read: {stat}").into());
    }
    let a_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(
        ticks.iter().sum::<u64>() as f64 / a_second,
    ))
}

/// As [`cpu`], with what the process's children, theirs, and all that ended among them have had: a server of several processes.
pub fn cpu_with_children(pid: u32) -> Result<Duration, Fault> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = (entry?.file_name().to_str()).and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        // One that has just ended is its parent's by now.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> = (behind.split_whitespace())
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        if let Some([utime, stime, cutime, cstime]) = fields.get(11..15) {
            all.push((pid, fields[1] as u32, utime + stime + cutime + cstime));
        }
    }
    let (mut family, mut ticks) = (vec![pid], 0);
    while let Some(one) = family.pop() {
        ticks += (all.iter().filter(|(pid, ..)| *pid == one))
            .map(|(.., ticks)| ticks)
            .sum::<u64>();
        family.extend(
            (all.iter())
                .filter(|(_, parent, _)| *parent == one)
                .map(|(pid, ..)| *pid),
        );
    }
    let a_second = rustix::param::clock_ticks_per_second() as f64;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second))
}

/// A field of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`, as bytes.
pub fn memory(pid: u32, field: &str) -> Result<u64, Fault> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
    let kib = line.and_then(|l| l.trim().split(' ').next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| format!("/proc/{pid}/status has no {field}"))? * 1024)
}

/// Time that all cores together were busy since the machine started.
pub fn busy() -> Result<Duration, Fault> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; what follows is part of the first two.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = fields[..] else {
        return Err("/proc/stat does not read".into());
    };
    let a_second = rustix::param::clock_ticks_per_second() as f64;
    let ticks = user + nice + system + irq + softirq + steal;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second))
}

/// What other processes take while something is measured. On a machine that others use, latencies are those of its scheduler
/// (a waiting thread gets its turn at the next tick), so every figure is written beside this one.
#[derive(Debug)]
pub struct Others {
    started: Instant,
    busy: Duration,
    own: Vec<(u32, Duration)>,
}

impl Others {
    /// Starts to watch; `own` are the processes of the measurement, which must still run at the end.
    pub fn watch(own: &[u32]) -> Result<Self, Fault> {
        let own = own.iter().map(|pid| Ok((*pid, cpu(*pid)?)));
        Ok(Self {
            started: Instant::now(),
            busy: busy()?,
            own: own.collect::<Result<_, Fault>>()?,
        })
    }

    /// Share of the machine's CPU time, all cores together, that other processes had meanwhile.
    pub fn share(&self) -> Result<f64, Fault> {
        let mut others = busy()?.saturating_sub(self.busy);
        for (pid, before) in &self.own {
            others = others.saturating_sub(cpu(*pid)?.saturating_sub(*before));
        }
        let cores = std::thread::available_parallelism()?.get() as f64;
        Ok(others.as_secs_f64() / (self.started.elapsed().as_secs_f64() * cores))
    }
}

/// Waits until a process has nothing to do: for half a second it had less than 2 % of one core. Compactions that an earlier
/// phase left behind are so not counted to the next.
pub fn wait_idle(pid: u32) -> Result<(), Fault> {
    let started = Instant::now();
    let pause = Duration::from_millis(500);
    while started.elapsed() < IDLE_TIME_MAX {
        let before = cpu(pid)?;
        std::thread::sleep(pause);
        if cpu(pid)? - before <= pause.mul_f64(0.02) {
            return Ok(());
        }
    }
    Err(format!(
        "process {pid} was still busy after {} s",
        IDLE_TIME_MAX.as_secs()
    )
    .into())
}

/// A running `luopan serve`. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// API key, as `Authorization` wants it.
    pub authorization: String,
    /// From starting the process until `/readyz` answered 200.
    pub ready_after: Duration,
}

impl Server {
    /// Starts the server on a data folder and waits until it is ready.
    pub fn start(data: &Path) -> Result<Self, Fault> {
        let started = Instant::now();
        let mut child = Command::new(binary()?)
            .args(["--format", "json", "--data"])
            .arg(data)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        let said: serde_json::Value = match serde_json::from_str(&said) {
            Ok(said) => said,
            Err(e) => {
                let _ = child.kill();
                return Err(format!("`luopan serve` said {said:?}: {e}").into());
            }
        };
        let url = said["listening"].as_str().unwrap_or_default().to_owned();
        let mut server = Self {
            child,
            url,
            authorization: format!(
                "Bearer {}",
                std::fs::read_to_string(data.join("api-key"))?.trim()
            ),
            ready_after: Duration::ZERO,
        };
        let mut client = server.client();
        while client.get("/readyz")?.0 != 200 {
            if started.elapsed() > STATE_TIME_MAX {
                return Err("the server did not get ready".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        server.ready_after = started.elapsed();
        Ok(server)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client with one connection of its own.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::to(&self.url, &self.authorization)
    }

    /// Waits until everything in the log is folded.
    pub fn wait_folded(&self) -> Result<(), Fault> {
        let mut client = self.client();
        loop {
            let (status, body) = client.get("/readyz")?;
            let body: serde_json::Value = serde_json::from_str(&body)?;
            match (status, body["fold_lag"].as_u64()) {
                (200, Some(0)) => return Ok(()),
                (200, Some(_)) => std::thread::sleep(Duration::from_millis(10)),
                _ => return Err(format!("/readyz answered {status}: {body}").into()),
            }
        }
    }

    /// Tells the server to stop and waits for its end.
    pub fn stop(mut self) -> Result<(), Fault> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or("the process id does not fit")?;
        kill_process(pid, Signal::TERM)?;
        let started = Instant::now();
        while started.elapsed() < STATE_TIME_MAX {
            if let Some(status) = self.child.try_wait()? {
                return match status.success() {
                    true => Ok(()),
                    false => Err(format!("the server ended with {status}").into()),
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("the server did not stop".into())
    }

    /// Kills the server as a loss of power to the process would, and waits for its end.
    pub fn kill(mut self) -> Result<(), Fault> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Client {
    /// A connection to the server at an address, with what `Authorization` wants.
    #[must_use]
    pub fn to(url: &str, authorization: &str) -> Self {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            agent,
            url: url.to_owned(),
            authorization: authorization.to_owned(),
        }
    }

    /// Status and body.
    pub fn get(&mut self, path: &str) -> Result<(u16, String), Fault> {
        let mut answer = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("authorization", &self.authorization)
            .call()?;
        Ok((
            answer.status().as_u16(),
            answer.body_mut().read_to_string()?,
        ))
    }

    /// Status and body.
    pub fn post(&mut self, path: &str, media: &str, body: &[u8]) -> Result<(u16, String), Fault> {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("authorization", &self.authorization)
            .header("content-type", media)
            .send(body)?;
        Ok((
            answer.status().as_u16(),
            answer.body_mut().read_to_string()?,
        ))
    }

    /// Sends lines of JSON until they are taken: a server that is behind says 429, and the same lines are sent again (ids
    /// are taken once). Anything quarantined is a fault of the measurement.
    pub fn events(&mut self, lines: &[u8]) -> Result<(), Fault> {
        loop {
            let (status, body) = self.post("/v1/events", "application/x-ndjson", lines)?;
            match status {
                200 => {
                    let answer: Taken = serde_json::from_str(&body)?;
                    return match answer.quarantined {
                        0 => Ok(()),
                        _ => Err(format!(
                            "events went to quarantine: {}",
                            body.get(..2_000).unwrap_or(&body)
                        )
                        .into()),
                    };
                }
                429 => std::thread::sleep(Duration::from_millis(50)),
                _ => return Err(format!("/v1/events answered {status}: {body}").into()),
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Taken {
    quarantined: u64,
}
