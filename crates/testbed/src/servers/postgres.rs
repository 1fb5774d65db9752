//! A PostgreSQL server of its own, which syncs as one in production does. `initdb` runs once into a folder under the system's
//! temporary folder, which each server copies, so that one is there within a second. `initdb` and `postgres` refuse to run as
//! root, so root runs them as the user `postgres`, or `nobody`.

use super::{Process, READY_MAX, free_port, missing, path};
use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    user: Option<(u32, u32)>,
    folder: TempDir,
    data: PathBuf,
    settings: Vec<String>,
    /// Where it listens.
    pub port: u16,
    process: Process,
}

impl Postgres {
    /// A server over an empty database; `settings` are `name=value`. None where there is no PostgreSQL.
    #[must_use]
    pub fn start(settings: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        Self::start_in(folder, data, settings)
    }

    /// As [`Postgres::start`], with its data in a folder of the caller's choice.
    #[must_use]
    pub fn start_in(folder: TempDir, data: PathBuf, settings: &[&str]) -> Option<Self> {
        let Some(bin) = programs() else {
            missing(
                "PostgreSQL's initdb and postgres are neither in /usr/lib/postgresql/*/bin nor in PATH (Debian's package postgresql has them)",
            );
            return None;
        };
        let user = ordinary_user();
        give(folder.path(), user);
        if let Some(above) = data.parent() {
            give(above, user);
        }
        let template = template(&bin, user);
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(&template)
            .arg(&data)
            .status();
        assert!(
            copied.is_ok_and(|s| s.success()),
            "copying {}",
            template.display()
        );
        let mut server = Self {
            bin,
            user,
            folder,
            data,
            settings: settings.iter().map(|s| (*s).to_owned()).collect(),
            port: free_port(),
            process: Process::default(),
        };
        server.restart();
        Some(server)
    }

    /// Starts it (again) on its port, and waits until it answers.
    pub fn restart(&mut self) {
        let until = Instant::now() + READY_MAX;
        loop {
            // Should this process be killed, its server is told to stop at once.
            let mut command = as_user(Path::new("setpriv"), self.user);
            command.args(["--pdeathsig", "QUIT", "--"]);
            command.arg(self.bin.join("postgres"));
            command.arg("-D").arg(&self.data);
            command.args(["-p", &self.port.to_string()]);
            let own = [
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "shared_buffers=64MB",
                "max_wal_size=1GB",
            ];
            let settings = self.settings.iter().map(String::as_str);
            for setting in own.into_iter().chain(settings) {
                command.args(["-c", setting]);
            }
            let said = self.folder.path().join("said");
            let log = File::options().create(true).append(true).open(&said);
            command
                .current_dir(self.folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log.expect("a file"));
            self.process = Process::new(command.spawn().expect("postgres starts"));
            while !self.process.has_ended() {
                if self.answers() {
                    return;
                }
                assert!(Instant::now() < until, "{}", self.said());
                std::thread::sleep(Duration::from_millis(30));
            }
            // What is left of a killed one may hold its memory or its port for a moment.
            assert!(Instant::now() < until, "{}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers(&self) -> bool {
        let asked = Command::new(self.bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .status();
        asked.is_ok_and(|s| s.success())
    }

    /// What it said on its way.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// Its one database, reached through `port`: the server's own, or a proxy's.
    #[must_use]
    pub fn url(&self, port: u16) -> String {
        self.url_of("postgres", port)
    }

    /// As [`Postgres::url`], of a database of this name.
    #[must_use]
    pub fn url_of(&self, database: &str, port: u16) -> String {
        format!("postgres://luopan@127.0.0.1:{port}/{database}")
    }

    /// Rows of a statement as text, columns between `|`.
    ///
    /// # Errors
    /// What the server said.
    pub fn ask(&self, text: &str) -> Result<String, String> {
        let out = Command::new(self.bin.join("psql"))
            .args(["-X", "-A", "-t", "-c", text, &self.url(self.port)])
            .output()
            .map_err(|e| e.to_string())?;
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&out.stderr).into_owned())
        }
    }

    /// `kill -9` of the postmaster; its children end when they notice.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Process id of the postmaster, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, but so that shared memory is given back, which a kill would not.
        self.process.signal("-QUIT");
        let until = Instant::now() + READY_MAX;
        while !self.process.has_ended() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The folder with PostgreSQL's programs: of the newest version that Debian installed, else of `PATH`.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    found.sort();
    let newest = found.into_iter().rev().map(|(_, bin)| bin);
    newest
        .chain(path())
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// Whom to run as: nobody else, unless this is root.
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
    let user = of("postgres").or_else(|| of("nobody"));
    Some(user.expect("root needs a user postgres or nobody to run PostgreSQL as"))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn give(path: &Path, user: Option<(u32, u32)>) {
    if let Some((uid, gid)) = user {
        chown(path, Some(uid), Some(gid)).expect("a folder is given away");
    }
}

/// A data folder as `initdb` makes it, made once for a version and user.
fn template(bin: &Path, user: Option<(u32, u32)>) -> PathBuf {
    let version = Command::new(bin.join("postgres")).arg("--version").output();
    let version = version.expect("postgres runs").stdout;
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let version = String::from_utf8_lossy(&version);
    let version = version.split_whitespace().nth(2).unwrap_or("unknown");
    let own = || std::fs::metadata("/proc/self").map_or(0, |m| m.uid());
    let uid = user.map_or_else(own, |u| u.0);
    let folder = std::env::temp_dir().join(format!("luopan-test-postgres-{version}-{uid}"));
    let (data, done) = (folder.join("data"), folder.join("done"));
    let lock = std::env::temp_dir().join(format!("luopan-test-postgres-{version}-{uid}.lock"));
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock)
        .expect("a lock file");
    lock.lock().expect("a lock");
    if done.exists() {
        return data;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("a torn template goes");
    }
    std::fs::create_dir(&folder).expect("a folder");
    give(&folder, user);
    let made = as_user(&bin.join("initdb"), user)
        .arg("-D")
        .arg(&data)
        .args(["-U", "luopan", "-A", "trust", "-E", "UTF8", "--locale=C"])
        .args(["--no-sync", "--wal-segsize=1"])
        .current_dir(&folder)
        .output()
        .expect("initdb runs");
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    File::create(done).expect("a mark");
    data
}
