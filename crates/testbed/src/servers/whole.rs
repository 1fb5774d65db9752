//! A whole installation: PostgreSQL, NATS, an applied scene, an API key, and nodes, each of which may be reached and may reach its
//! servers through proxies of its own.

use super::nats::Nats;
use super::node::{Node, command};
use super::postgres::Postgres;
use super::proxy::Proxy;
use super::{READY_MAX, missing};
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// What an installation is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The binary `luopan`.
    pub program: PathBuf,
    /// The folder of the scene pack.
    pub scene: PathBuf,
    /// NATS servers, which is the number of the log's replicas too.
    pub nats: usize,
    /// Nodes.
    pub nodes: usize,
    /// The first node reaches its servers through proxies.
    pub first_proxied: bool,
    /// Settings of PostgreSQL, `name=value`.
    pub settings: Vec<String>,
    /// PostgreSQL's data lie in this folder instead of a temporary one.
    pub postgres_data: Option<PathBuf>,
}

/// A running installation.
#[derive(Debug)]
pub struct Whole {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The database of everything but the log.
    pub postgres: Postgres,
    /// The servers of the log.
    pub nats: Vec<Nats>,
    /// The first node's way to PostgreSQL, when it is proxied.
    pub to_postgres: Option<Proxy>,
    /// The first node's ways to NATS, when it is proxied.
    pub to_nats: Vec<Proxy>,
    /// An API key.
    pub key: String,
    /// The configuration that commands use.
    pub config: PathBuf,
    program: PathBuf,
    folder: TempDir,
}

/// A node's configuration without its name.
fn text(postgres: &str, nats: &[u16], replicas: usize) -> String {
    let nats: Vec<String> = (nats.iter())
        .map(|port| format!("\"nats://127.0.0.1:{port}\""))
        .collect();
    format!(
        "postgres = \"{postgres}\"\nnats = [{}]\nreplicas = {replicas}\n",
        nats.join(", ")
    )
}

impl Whole {
    /// Starts everything; none where a program is missing.
    ///
    /// # Errors
    /// What a command said that failed.
    pub fn start(plan: &Plan) -> Result<Option<Self>, String> {
        if !plan.program.exists() {
            missing(&format!("{} is not built", plan.program.display()));
            return Ok(None);
        }
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let settings: Vec<&str> = plan.settings.iter().map(String::as_str).collect();
        let postgres = match &plan.postgres_data {
            None => Postgres::start(&settings),
            Some(data) => {
                let own = tempfile::tempdir().map_err(|e| e.to_string())?;
                Postgres::start_in(own, data.clone(), &settings)
            }
        };
        let (Some(postgres), Some(nats)) = (postgres, Nats::start(plan.nats)) else {
            return Ok(None);
        };
        let ports: Vec<u16> = nats.iter().map(|n| n.port).collect();
        let direct = text(&postgres.url(postgres.port), &ports, plan.nats);
        let config = folder.path().join("command.toml");
        std::fs::write(&config, format!("[cluster]\nname = \"command\"\n{direct}"))
            .map_err(|e| e.to_string())?;
        let mut whole = Self {
            nodes: Vec::new(),
            to_postgres: None,
            to_nats: Vec::new(),
            key: String::new(),
            config,
            program: plan.program.clone(),
            postgres,
            nats,
            folder,
        };
        let scene = plan.scene.to_str().ok_or("a path is no text")?;
        let since = Instant::now();
        // Servers that are to be a cluster need a moment to agree on a leader.
        while let Err(e) = whole.command(&["scene", "apply", scene]) {
            if since.elapsed() > READY_MAX {
                return Err(e);
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        let said = whole.command(&["--format", "json", "key", "create", "test"])?;
        let key = (said.split('"').skip_while(|w| *w != "api_key")).nth(2);
        whole.key = key.ok_or(said.clone())?.to_owned();
        for n in 0..plan.nodes {
            let own = if n == 0 && plan.first_proxied {
                let to_postgres = Proxy::to(whole.postgres.port);
                whole.to_nats = ports.iter().map(|port| Proxy::to(*port)).collect();
                let ways: Vec<u16> = whole.to_nats.iter().map(|p| p.port).collect();
                let own = text(&whole.postgres.url(to_postgres.port), &ways, plan.nats);
                whole.to_postgres = Some(to_postgres);
                own
            } else {
                direct.clone()
            };
            let (name, folder) = (format!("n{n}"), whole.folder.path().to_owned());
            let node = Node::start(&plan.program, &folder, &name, &own);
            whole.nodes.push(node);
        }
        Ok(Some(whole))
    }

    /// Runs a command of the product on the same stores.
    ///
    /// # Errors
    /// What it said.
    pub fn command(&self, arguments: &[&str]) -> Result<String, String> {
        let config = self.config.to_str().ok_or("a path is no text")?;
        command(&self.program, &[&["--config", config], arguments].concat())
    }

    /// Where the nodes listen.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.url.clone()).collect()
    }

    /// Process ids of all that run: nodes, the postmaster, NATS servers.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let nodes = self.nodes.iter().filter_map(Node::pid);
        let nats = self.nats.iter().filter_map(Nats::pid);
        nodes.chain(nats).chain(self.postgres.pid()).collect()
    }
}
