//! A PostgreSQL server for a test.
//!
//! `initdb` runs once into a folder under the system's temporary folder, which each test copies: a server is there within a second, syncs
//! as one in production does, and goes with the test. `initdb` and `postgres` refuse to run as root, so root runs them as the
//! user `postgres`, or `nobody`.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const READY: Duration = Duration::from_secs(60);

/// A server, or a database of a given one. It goes when this is dropped.
pub(crate) struct Server {
    url: String,
    kind: Kind,
}

enum Kind {
    Own(Own),
    Given { admin: String, database: String },
}

impl Server {
    /// A server of its own, or a database in the given one; none where there is no PostgreSQL and none is required.
    pub(crate) async fn find() -> Option<Self> {
        match std::env::var("LUOPAN_TEST_POSTGRES") {
            Ok(admin) => Some(Self::given(admin).await),
            Err(_) => Self::own().await,
        }
    }

    /// A server that the test may kill.
    pub(crate) async fn own() -> Option<Self> {
        let Some(programs) = programs() else {
            let missing = "PostgreSQL's initdb and postgres are neither in /usr/lib/postgresql/*/bin nor in PATH (Debian's package \
                           postgresql has them; LUOPAN_TEST_POSTGRES=postgres://... names a server instead)";
            assert!(
                std::env::var_os("LUOPAN_REQUIRE_ALL").is_none_or(|v| v != "1"),
                "{missing}"
            );
            eprintln!(
                "SKIPPED: tests of State, control plane and key store on PostgreSQL: {missing}"
            );
            return None;
        };
        let mut own = Own::new(programs);
        own.start().await;
        let url = own.url("postgres");
        Some(Self {
            url,
            kind: Kind::Own(own),
        })
    }

    async fn given(admin: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = format!("luopan_test_{}_{n}", std::process::id());
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        let text = format!("CREATE DATABASE {database}");
        sqlx::query(AssertSqlSafe(text))
            .execute(&mut connection)
            .await
            .unwrap();
        let (base, rest) = split(&admin);
        let url = format!("{base}/{database}{rest}");
        Self {
            url,
            kind: Kind::Given { admin, database },
        }
    }

    /// The test's database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Another, empty database of the same server; an own server only.
    pub(crate) async fn another(&self, name: &str) -> String {
        self.run(format!("CREATE DATABASE {name}")).await;
        self.own_server().url(name)
    }

    /// Runs one statement in the test's database.
    pub(crate) async fn run(&self, text: String) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection);
        done.await.unwrap();
    }

    /// Kills the server as `kill -9` of all of it does: nothing is written or said any more.
    pub(crate) fn kill(&mut self) {
        if let Kind::Own(own) = &mut self.kind {
            own.kill();
        }
    }

    /// Starts it again on the same port.
    pub(crate) async fn restart(&mut self) {
        if let Kind::Own(own) = &mut self.kind {
            own.start().await;
        }
    }

    fn own_server(&self) -> &Own {
        match &self.kind {
            Kind::Own(own) => own,
            Kind::Given { .. } => panic!("this test needs a server of its own"),
        }
    }
}

/// What stands before the database's name, and what after.
fn split(url: &str) -> (&str, &str) {
    let (front, rest) = url.split_at(url.find('?').unwrap_or(url.len()));
    let after_scheme = front.find("://").map_or(0, |i| i + 3);
    let slash = front[after_scheme..].find('/');
    let front = slash.map_or(front, |i| &front[..after_scheme + i]);
    (front, rest)
}

impl Drop for Server {
    fn drop(&mut self) {
        let Kind::Given { admin, database } = &self.kind else {
            return;
        };
        let (admin, text) = (
            admin.clone(),
            format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
        );
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|e| e.to_string())?;
            let drop = async {
                let mut connection = PgConnection::connect(&admin).await?;
                let done = sqlx::query(AssertSqlSafe(text)).execute(&mut connection);
                done.await
            };
            runtime
                .block_on(drop)
                .map_err(|e: sqlx::Error| e.to_string())
        });
        if let Ok(Err(e)) = dropped.join() {
            eprintln!("the test's database stays: {e}");
        }
    }
}

/// A server that this process started.
struct Own {
    bin: PathBuf,
    user: Option<(u32, u32)>,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Own {
    fn new(bin: PathBuf) -> Self {
        let user = ordinary_user();
        let template = template(&bin, user);
        let folder = TempDir::new().unwrap();
        give(folder.path(), user);
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(&template)
            .arg(folder.path().join("data"))
            .status()
            .unwrap();
        assert!(copied.success(), "copying {}", template.display());
        Self {
            bin,
            user,
            folder,
            port: free_port(),
            child: None,
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://luopan@127.0.0.1:{}/{database}", self.port)
    }

    async fn start(&mut self) {
        let until = Instant::now() + READY;
        let said = self.folder.path().join("said");
        loop {
            let mut command = as_user(Path::new("setpriv"), self.user);
            // Should this process be killed, its server is told to stop at once.
            command.args(["--pdeathsig", "QUIT", "--"]);
            command.arg(self.bin.join("postgres"));
            command.arg("-D").arg(self.folder.path().join("data"));
            command.args(["-p", &self.port.to_string()]);
            for setting in [
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "shared_buffers=64MB",
                "max_wal_size=1GB",
            ] {
                command.args(["-c", setting]);
            }
            let log = File::options()
                .create(true)
                .append(true)
                .open(&said)
                .unwrap();
            command
                .current_dir(self.folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log);
            let mut child = command.spawn().unwrap();
            loop {
                if let Ok(connection) = PgConnection::connect(&self.url("postgres")).await {
                    let _ = connection.close().await;
                    self.child = Some(child);
                    return;
                }
                // What is left of a killed one may hold its memory or its port for a moment.
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                assert!(Instant::now() < until, "{}", self.said());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(Instant::now() < until, "{}", self.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // At once, but so that shared memory is given back, which a kill would not.
            let told = Command::new("kill")
                .args(["-QUIT", &child.id().to_string()])
                .status();
            if !told.is_ok_and(|s| s.success()) {
                let _ = child.kill();
            }
            let _ = child.wait();
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
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest = found.into_iter().rev().map(|(_, bin)| bin);
    newest
        .chain(std::env::split_paths(&path))
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// Whom to run as: nobody else, unless this is root.
fn ordinary_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").map_or(1, |m| m.uid()) != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
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
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// A data folder as `initdb` makes it, made once for a version and user.
fn template(bin: &Path, user: Option<(u32, u32)>) -> PathBuf {
    let version = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .unwrap();
    // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split_whitespace().nth(2).unwrap_or("unknown");
    let uid = user.map_or_else(|| std::fs::metadata("/proc/self").unwrap().uid(), |u| u.0);
    let folder = std::env::temp_dir().join(format!("luopan-test-postgres-{version}-{uid}"));
    let (data, done) = (folder.join("data"), folder.join("done"));
    let lock = std::env::temp_dir().join(format!("luopan-test-postgres-{version}-{uid}.lock"));
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock)
        .unwrap();
    lock.lock().unwrap();
    if done.exists() {
        return data;
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir(&folder).unwrap();
    give(&folder, user);
    let made = as_user(&bin.join("initdb"), user)
        .arg("-D")
        .arg(&data)
        .args(["-U", "luopan", "-A", "trust", "-E", "UTF8", "--locale=C"])
        .args(["--no-sync", "--wal-segsize=1"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    File::create(done).unwrap();
    data
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
