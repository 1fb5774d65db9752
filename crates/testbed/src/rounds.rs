//! The driver: starts the victim, kills it with SIGKILL at a random moment, may take the power away, and starts it again on the
//! same folder, round after round. A kill may also come while the victim still recovers. Everything random comes of one
//! seed, but the moments at which threads and the kill meet do not.

use crate::dice::Dice;
use crate::lines::{Line, Said};
use crate::power::{Loss, Power};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Shortest and longest time that the victim works before it is killed, in milliseconds.
const WORK_MS: (u64, u64) = (30, 400);
/// Longest wait for a victim to recover and check.
const READY_MAX: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Debug)]
pub struct Rounds {
    /// The victim's program.
    pub victim: PathBuf,
    /// A folder for the data and what belongs to the run; made by the caller, empty.
    pub folder: PathBuf,
    /// Kills.
    pub rounds: u64,
    /// Seed.
    pub seed: u64,
    /// Takes the power away at most kills.
    pub power: Option<Power>,
    /// What the power takes, by turns; empty: it is never taken.
    pub losses: Vec<Loss>,
    /// Planted fault: events are acknowledged when they are sent.
    pub acknowledge_early: bool,
    /// Planted fault: syncs do nothing once the load has begun.
    pub syncs_lie: bool,
    /// Per cent of kills that come while the victim starts.
    pub early_percent: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Report {
    /// Kills that came under load.
    pub kills: u64,
    /// Kills that came during recovery or the check.
    pub kills_while_starting: u64,
    /// Times that the power was taken away.
    pub losses: u64,
    /// Writes that were dropped thereby.
    pub writes_dropped: u64,
    /// Everything that was said.
    pub said: Said,
    /// Longest start, recovery and check included.
    pub start_max: Duration,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} kills under load, {} while starting, {} power losses ({} writes dropped), {} checks, longest start {} ms; last check: {}",
            self.kills,
            self.kills_while_starting,
            self.losses,
            self.writes_dropped,
            self.said.checked.len(),
            self.start_max.as_millis(),
            self.said.checked.last().map_or("none", String::as_str),
        )
    }
}

/// A running victim; lines come as they are said, then the channel closes.
struct Victim {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: PathBuf,
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It is ours and may still run when a round ended with a fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rounds {
    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn said(&self) -> PathBuf {
        self.folder.join("said")
    }

    fn start(&self, round: u64, last: bool) -> Result<Victim, String> {
        let failed = |e: std::io::Error| format!("the victim does not start: {e}");
        let errors = self.folder.join("errors");
        let mut command = Command::new(&self.victim);
        command
            .arg("--data")
            .arg(self.data())
            .arg("--said")
            .arg(self.said())
            .args(["--seed", &self.seed.to_string()])
            .args(["--round", &round.to_string()])
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).map_err(failed)?);
        if last {
            command.arg("--no-load");
        }
        if self.acknowledge_early {
            command.arg("--acknowledge-early");
        }
        if let Some(power) = &self.power {
            power.watch(&mut command, &self.data());
            if self.syncs_lie {
                power.lie(&mut command);
            }
        }
        let mut child = command.spawn().map_err(failed)?;
        let (to, lines) = mpsc::channel();
        let out = child.stdout.take().ok_or("the victim has no stdout")?;
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut line = String::new();
            // A line without its end was cut by the kill: it was not said.
            while out.read_line(&mut line).is_ok_and(|n| n > 0) && line.ends_with('\n') {
                if to.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Victim {
            child,
            lines,
            errors,
        })
    }

    /// Runs all rounds and the last check. Stops at the first broken law.
    ///
    /// # Errors
    /// What kept the run from going on; broken laws are in [`Report::said`].
    pub fn run(&self) -> Result<Report, String> {
        let mut dice = Dice::new(self.seed, 0);
        let mut report = Report::default();
        std::fs::create_dir_all(self.data()).map_err(|e| e.to_string())?;
        File::create(self.said()).map_err(|e| e.to_string())?;
        for round in 0..self.rounds {
            let early = round > 0 && dice.percent(self.early_percent);
            let started = Instant::now();
            let mut victim = self.start(round, false)?;
            let mut lines = Vec::new();
            if early {
                let most = report.start_max.as_millis() as u64;
                std::thread::sleep(Duration::from_millis(dice.below(most.max(1))));
                report.kills_while_starting += 1;
            } else {
                self.until_ready(&mut victim, &mut lines, &mut report.said)?;
                if !report.said.broken.is_empty() {
                    return Ok(report);
                }
                report.start_max = report.start_max.max(started.elapsed());
                if let (true, Some(power)) = (self.syncs_lie, &self.power) {
                    File::create(&power.switch).map_err(|e| e.to_string())?;
                }
                let ms = WORK_MS.0 + dice.below(WORK_MS.1 - WORK_MS.0);
                std::thread::sleep(Duration::from_millis(ms));
                report.kills += 1;
            }
            if let Ok(Some(status)) = victim.child.try_wait() {
                let errors = errors_of(&victim);
                lines.extend(victim.lines.iter());
                self.keep(&lines, &mut report.said)?;
                (report.said.broken).push(format!("the victim ended with {status}: {errors}"));
                return Ok(report);
            }
            victim.child.kill().map_err(|e| e.to_string())?;
            victim.child.wait().map_err(|e| e.to_string())?;
            lines.extend(victim.lines.iter());
            self.keep(&lines, &mut report.said)?;
            if let Some(power) = &self.power {
                let _ = std::fs::remove_file(&power.switch);
                // Now and then the machine lives on after a kill, and the power goes later.
                if let Some(loss) = dice.one(&self.losses).filter(|_| round % 4 != 3) {
                    let counts = power.lose(*loss, dice.draw())?;
                    report.losses += 1;
                    report.writes_dropped += counted(&counts, "writes_dropped=");
                }
            }
            if !report.said.broken.is_empty() {
                return Ok(report);
            }
        }
        let started = Instant::now();
        let mut victim = self.start(self.rounds, true)?;
        let lines: Vec<String> = victim.lines.iter().collect();
        self.keep(&lines, &mut report.said)?;
        let status = victim.child.wait().map_err(|e| e.to_string())?;
        report.start_max = report.start_max.max(started.elapsed());
        if !status.success() && report.said.broken.is_empty() {
            let errors = errors_of(&victim);
            (report.said.broken).push(format!("the victim ended with {status}: {errors}"));
        }
        Ok(report)
    }

    fn until_ready(
        &self,
        victim: &mut Victim,
        lines: &mut Vec<String>,
        said: &mut Said,
    ) -> Result<(), String> {
        let end = Instant::now() + READY_MAX;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match victim.lines.recv_timeout(left) {
                Ok(line) => {
                    let parsed = Line::parse(&line);
                    if matches!(parsed, Some(Line::Broken(_))) {
                        lines.push(line);
                        // It says what else it found, and ends, or is ended.
                        std::thread::sleep(Duration::from_millis(300));
                        let _ = victim.child.kill();
                        lines.extend(victim.lines.iter());
                        return self.keep(&std::mem::take(lines), said);
                    }
                    lines.push(line);
                    if parsed == Some(Line::Ready) {
                        return Ok(());
                    }
                }
                Err(e) => {
                    self.keep(&std::mem::take(lines), said)?;
                    said.broken.push(format!(
                        "the victim does not become ready ({e}): {}",
                        errors_of(victim)
                    ));
                    return Ok(());
                }
            }
        }
    }

    /// Adds lines to what was said, and to the file that the next victim reads.
    fn keep(&self, lines: &[String], said: &mut Said) -> Result<(), String> {
        let failed = |e: std::io::Error| e.to_string();
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.said())
            .map_err(failed)?;
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        file.write_all(text.as_bytes()).map_err(failed)?;
        for line in lines {
            match Line::parse(line) {
                Some(line) => said.take(line),
                None => said.broken.push(format!("the victim said `{line}`")),
            }
        }
        Ok(())
    }
}

fn counted(words: &str, name: &str) -> u64 {
    (words.split_whitespace())
        .find_map(|w| w.strip_prefix(name))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

fn errors_of(victim: &Victim) -> String {
    let mut text = String::new();
    let read = File::open(Path::new(&victim.errors)).and_then(|mut f| f.read_to_string(&mut text));
    match read {
        Ok(_) => text
            .chars()
            .rev()
            .take(2_000)
            .collect::<String>()
            .chars()
            .rev()
            .collect(),
        Err(e) => e.to_string(),
    }
}
