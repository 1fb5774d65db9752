//! `luopan serve`: one node of several (`--config`) or one over a data folder (`--data`), and what its command line does beside it.

use super::{Process, READY_MAX};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One node.
#[derive(Debug)]
pub struct Node {
    program: PathBuf,
    over: [String; 2],
    errors: PathBuf,
    more: Vec<(String, String)>,
    /// Where it listens, such as `http://127.0.0.1:40123`. A node that is started again listens elsewhere.
    pub url: String,
    process: Process,
}

impl Node {
    /// Writes the configuration `name.toml` into the folder and starts the node; `text` is what it holds besides the name.
    ///
    /// # Panics
    /// When the node does not start.
    #[must_use]
    pub fn start(program: &Path, folder: &Path, name: &str, text: &str) -> Self {
        let config = folder.join(format!("{name}.toml"));
        std::fs::write(&config, format!("[cluster]\nname = \"{name}\"\n{text}"))
            .expect("a configuration");
        Self::over(
            program,
            "--config",
            &config,
            folder.join(format!("{name}.errors")),
        )
    }

    /// Starts one over a data folder; what it says on its standard error goes to a file.
    #[must_use]
    pub fn embedded(program: &Path, data: &Path, errors: &Path) -> Self {
        Self::over(program, "--data", data, errors.to_owned())
    }

    fn over(program: &Path, option: &str, path: &Path, errors: PathBuf) -> Self {
        let mut node = Self {
            program: program.to_owned(),
            over: [option.to_owned(), path.to_string_lossy().into_owned()],
            errors,
            more: Vec::new(),
            url: String::new(),
            process: Process::default(),
        };
        node.restart();
        node
    }

    /// What stands in its environment besides, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.more.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it (again) and waits until it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(&self.errors);
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .args(["--format", "json"])
            .args(&self.over)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(self.more.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("a file"));
        let mut child = command.spawn().expect("luopan starts");
        let out = child.stdout.take().expect("its output");
        let mut said = String::new();
        let _ = BufReader::new(out).read_line(&mut said);
        self.process = Process::new(child);
        let url = (said.split('"').skip_while(|w| *w != "listening").nth(2)).unwrap_or_default();
        assert!(
            url.starts_with("http://"),
            "the node said {said:?}: {}",
            self.errors()
        );
        self.url = url.to_owned();
    }

    /// What it wrote to its standard error.
    #[must_use]
    pub fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Tells it to stop, and waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) {
        self.process.signal("-TERM");
        let since = Instant::now();
        while !self.process.has_ended() {
            assert!(since.elapsed() < READY_MAX, "a node does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process.kill();
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}

/// Runs a command of the product to its end and gives what it printed.
///
/// # Errors
/// What it said when it failed.
pub fn command(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let out = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        return Ok(said);
    }
    Err(format!(
        "`luopan {}` ended with {}: {said}{}",
        arguments.join(" "),
        out.status,
        String::from_utf8_lossy(&out.stderr)
    ))
}
