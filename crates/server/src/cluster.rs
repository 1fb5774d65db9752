//! The configuration of one node of several (`luopan.toml`), and opening the stores that it names. It must never show a
//! password.

use crate::data::Opened;
use crate::env::RealEnv;
use crate::problem::{Problem, Result};
use crate::telemetry::traces::Traces;
use luopan_cluster::jetstream::{Installation, JetStreamLog, Options};
use luopan_cluster::postgres::{Postgres, PostgresOptions};
use luopan_engine::{Engine, Limits};
use luopan_store::Stores;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Least time between two rounds of a fold worker, or two appends of the relay, that find little to do: see [`Limits::pace_us`].
const PACE_US: i64 = 20_000;

/// What `luopan.toml` holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The stores that several nodes share.
    pub cluster: Cluster,
    /// Where traces go.
    #[serde(default)]
    pub traces: Option<Traces>,
}

/// The stores that several nodes share, and what this node is called.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// What people call this node; the name of the machine when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// Where its API is reached, for people.
    #[serde(default)]
    pub address: String,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` of State and the control plane.
    pub postgres: String,
    /// The database of the key store, to be backed up and erased apart; that of State when left out.
    #[serde(default)]
    pub keys: Option<String>,
    /// Addresses of the NATS servers.
    pub nats: Vec<String>,
    /// File with NATS credentials.
    #[serde(default)]
    pub nats_credentials: Option<PathBuf>,
    /// Name of the stream.
    #[serde(default = "default_stream")]
    pub stream: String,
    /// Copies of the stream: 1, 3 or 5.
    pub replicas: usize,
    /// The installation that must be found; whatever is found when left out.
    #[serde(default)]
    pub installation: Option<String>,
}

fn default_stream() -> String {
    "luopan_log".to_owned()
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses hold passwords.
        f.debug_struct("Cluster")
            .field("name", &self.name)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Reads a configuration.
///
/// # Errors
/// `bad_config` with the place and what is wrong.
pub fn read(path: &Path) -> Result<Config> {
    let refused = |what: String| Problem::new("bad_config", format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| {
        refused(format!(
            "it cannot be read ({e}); name another with --config"
        ))
    })?;
    // The message alone: the excerpt beside it may show a password.
    toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        refused(format!(
            "line {line}: {}; docs/cluster.md has a whole example",
            e.message()
        ))
    })
}

fn unusable(e: luopan_store::Error) -> Box<Problem> {
    Problem::new("cluster_unusable", e.to_string())
}

/// Opens the stores that are on PostgreSQL.
///
/// # Errors
/// `cluster_unusable` for servers that do not answer, are too old or belong to somebody else.
pub async fn postgres(cluster: &Cluster) -> Result<Postgres> {
    let mut options = PostgresOptions::new(cluster.postgres.clone());
    options.keys_url = cluster.keys.clone();
    options.installation = cluster.installation.clone();
    Postgres::connect(options).await.map_err(unusable)
}

/// Opens the stores alone.
///
/// # Errors
/// As [`postgres()`].
pub async fn stores(cluster: &Cluster) -> Result<(Stores, Postgres)> {
    let postgres = postgres(cluster).await?;
    let log = JetStreamLog::open(Options {
        servers: cluster.nats.clone(),
        credentials: cluster.nats_credentials.clone(),
        stream: cluster.stream.clone(),
        replicas: cluster.replicas,
        installation: Some(Installation {
            id: postgres.installation().to_owned(),
            partitions: luopan_kernel::PARTITIONS,
        }),
        ..Options::default()
    })
    .await
    .map_err(unusable)?;
    let stores = Stores {
        log: Arc::new(log),
        state: postgres.state.clone(),
        control: postgres.control.clone(),
        keys: postgres.keys.clone(),
        nodes: postgres.nodes.clone(),
    };
    Ok((stores, postgres))
}

/// Recovers the engine over open stores, as one node of them.
///
/// # Errors
/// What the engine refuses.
pub async fn engine(cluster: Cluster, stores: Stores, postgres: &Postgres) -> Result<Opened> {
    let env = Arc::new(RealEnv::default());
    let name = cluster.name.unwrap_or_else(machine);
    let engine = Engine::open_node(
        stores.clone(),
        env.clone(),
        Limits {
            pace_us: PACE_US,
            ..Limits::default()
        },
        &name,
        &cluster.address,
    )
    .await?;
    Ok(Opened {
        engine,
        stores,
        env,
        installation: postgres.installation().to_owned(),
    })
}

/// Opens the stores and recovers the engine as one node of them.
///
/// # Errors
/// As [`postgres()`]; what the engine refuses.
pub async fn open(cluster: Cluster) -> Result<Opened> {
    open_as(cluster, |stores| stores).await
}

/// As [`open`], over what `seen` makes of the stores ([`crate::watched`]).
///
/// # Errors
/// As [`open`].
pub async fn open_as(cluster: Cluster, seen: impl FnOnce(Stores) -> Stores) -> Result<Opened> {
    let (stores, postgres) = stores(&cluster).await?;
    engine(cluster, seen(stores), &postgres).await
}

/// The name of this machine, as the system tells it.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "node".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        match read(file.path()) {
            Ok(config) => format!("{config:?}"),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn a_configuration_is_read_or_refused_with_the_place() {
        let whole = "[cluster]\npostgres = \"postgres://me:s3cret@db/luopan\"\nnats = [\"nats://a:4222\"]\nreplicas = 3\n";
        let shown = said(whole);
        assert!(
            shown.contains("luopan_log") && !shown.contains("s3cret"),
            "{shown}"
        );
        for (text, wanted) in [
            ("[cluster]\n", "missing field `postgres`"),
            (&whole.replace("nats =", "nat ="), "unknown field `nat`"),
            (&whole.replace("= 3", "= \"3\""), "line 4"),
            ("", "missing field `cluster`"),
        ] {
            let found = said(text);
            assert!(
                found.contains(wanted) && !found.contains("s3cret"),
                "{found}"
            );
        }
    }
}
