//! PostgreSQL and NATS for the tests of backups and moving: one of each for a test, on free ports in temporary folders, synced as in
//! production. They go with the test. It holds no expectations.

#[path = "../../../../cluster/tests/it/servers/nats.rs"]
#[allow(dead_code, reason = "shared with the tests of the stores")]
mod nats;

use luopan_cluster::postgres::{Postgres, PostgresOptions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A cluster's servers and the configuration that names them.
pub(crate) struct Servers {
    postgres: Own,
    nats: nats::Server,
}

impl Servers {
    /// None where the programs are not at hand and need not be.
    pub(crate) async fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            assert!(
                std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
                "PostgreSQL's initdb and postgres are not at hand"
            );
            eprintln!("SKIPPED: tests of backups of a cluster: there is no PostgreSQL");
            return None;
        };
        let nats = nats::Server::alone()?;
        Some(Self {
            postgres: Own::start(&bin).await,
            nats,
        })
    }

    /// Writes a configuration for a database of its own (made when it is not there) and a stream of its own.
    pub(crate) fn config(&self, folder: &Path, name: &str) -> PathBuf {
        self.postgres.sql(&format!("CREATE DATABASE {name}"));
        let path = folder.join(format!("{name}.toml"));
        let text = format!(
            "[cluster]\nname = \"{name}\"\npostgres = \"{}\"\nnats = [\"{}\"]\nstream = \"log_{name}\"\nreplicas = 1\n",
            self.postgres.url(name),
            self.nats.url()
        );
        std::fs::write(&path, text).expect("a configuration");
        path
    }

    /// True while the database says that it is being filled.
    pub(crate) async fn is_filling(&self, name: &str) -> bool {
        match Postgres::connect(PostgresOptions::new(self.postgres.url(name))).await {
            Ok(_) => false,
            Err(e) => e.to_string().contains("was begun and did not end"),
        }
    }
}

struct Own {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Own {
    async fn start(bin: &Path) -> Self {
        let user = ordinary_user();
        let folder = tempfile::tempdir().expect("a folder");
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("given");
        }
        let data = folder.path().join("data");
        let made = as_user(&bin.join("initdb"), user)
            .arg("-D")
            .arg(&data)
            .args(["-U", "luopan", "-A", "trust", "-E", "UTF8", "--locale=C"])
            .args(["--no-sync", "--wal-segsize=1"])
            .current_dir(folder.path())
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut command = as_user(Path::new("setpriv"), user);
        command.args(["--pdeathsig", "QUIT", "--"]);
        command.arg(bin.join("postgres")).arg("-D").arg(&data);
        command.args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "shared_buffers=64MB",
            "max_wal_size=1GB",
        ] {
            command.args(["-c", setting]);
        }
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres runs");
        let own = Self {
            folder,
            port,
            child,
        };
        let since = Instant::now();
        loop {
            let options = PostgresOptions::new(own.url("template1"));
            let answers = std::net::TcpStream::connect(("127.0.0.1", own.port)).is_ok();
            if answers && own.try_sql("SELECT 1") {
                drop(options);
                return own;
            }
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not start in {}",
                own.folder.path().display()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://luopan@127.0.0.1:{}/{database}", self.port)
    }

    fn try_sql(&self, text: &str) -> bool {
        let bin = programs().expect("programs");
        let said = Command::new(bin.join("psql"))
            .args(["-X", "-q", "-c", text])
            .arg(self.url("postgres"))
            .output();
        said.is_ok_and(|said| said.status.success())
    }

    fn sql(&self, text: &str) {
        assert!(self.try_sql(text), "{text}");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.child.wait();
    }
}

fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let mut found: Vec<PathBuf> = (debian.into_iter().flatten())
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    (found.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(|bin| bin.join("initdb").exists() && bin.join("psql").exists())
}

/// Whom to run as: nobody else, unless this is root, as whom PostgreSQL does not run.
fn ordinary_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").map_or(1, |m| m.uid()) != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("users");
    let of = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}
