//! PostgreSQL and NATS for the tests of backups and moving: one of each for a test, on free ports in temporary folders, synced as in
//! production. They go with the test. It holds no expectations.

use luopan_cluster::postgres::PostgresOptions;
use luopan_testbed::servers::nats::Nats;
use luopan_testbed::servers::postgres::Postgres;
use std::path::{Path, PathBuf};

/// A cluster's servers and the configuration that names them.
pub(crate) struct Servers {
    postgres: Postgres,
    nats: Nats,
}

impl Servers {
    /// None where the programs are not at hand and need not be.
    pub(crate) async fn start() -> Option<Self> {
        Some(Self {
            postgres: Postgres::start(&[])?,
            nats: Nats::start(1)?.pop()?,
        })
    }

    fn url(&self, database: &str) -> String {
        self.postgres.url_of(database, self.postgres.port)
    }

    /// Writes a configuration for a database of its own (made when it is not there) and a stream of its own.
    pub(crate) fn config(&self, folder: &Path, name: &str) -> PathBuf {
        let made = self.postgres.ask(&format!("CREATE DATABASE {name}"));
        made.expect("a database");
        let path = folder.join(format!("{name}.toml"));
        let text = format!(
            "[cluster]\nname = \"{name}\"\npostgres = \"{}\"\nnats = [\"nats://127.0.0.1:{}\"]\nstream = \"log_{name}\"\nreplicas = 1\n",
            self.url(name),
            self.nats.port
        );
        std::fs::write(&path, text).expect("a configuration");
        path
    }

    /// True while the database says that it is being filled.
    pub(crate) async fn is_filling(&self, name: &str) -> bool {
        let options = PostgresOptions::new(self.url(name));
        match luopan_cluster::postgres::Postgres::connect(options).await {
            Ok(_) => false,
            Err(e) => e.to_string().contains("was begun and did not end"),
        }
    }
}
