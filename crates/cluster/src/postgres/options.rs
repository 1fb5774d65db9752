//! How the servers are reached, and the settings of every session. It never shows a password.

use luopan_store::{Error, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use std::str::FromStr;
use std::time::Duration;

/// Oldest server that is worked with, as `server_version_num`.
pub const SERVER_VERSION_MIN: u32 = 140_000;
/// Connections of the control plane.
pub const CONTROL_CONNECTIONS: u32 = 2;
/// Prepared statements that a connection keeps; their number is that of the sets of tables that are read or written together.
pub const STATEMENTS_KEPT: usize = 256;
/// The server ends a transaction of a node that says nothing for so long: it may hold locks that others wait for.
const IDLE_IN_TRANSACTION: &str = "10s";
/// Longest name that PostgreSQL shows of a program.
const APPLICATION_NAME_BYTES_MAX: usize = 63;

/// Where the stores are and how much of them a node takes.
///
/// Connections of one node: [`Self::read_connections`] + [`Self::commit_connections`] + [`CONTROL_CONNECTIONS`] and one for the list of nodes to the database of State, [`Self::key_connections`] to that of the key store.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, as PostgreSQL's own programs take it. It must lead to the server itself:
    /// a pooler that shares sessions between transactions loses the settings of a session.
    pub url: String,
    /// The database of the key store, to be erased and backed up apart; `None`: in the same database as State.
    pub keys_url: Option<String>,
    /// The installation that must be found, and that is made when there is none; `None`: whatever is found.
    pub installation: Option<String>,
    /// What the server shows as the name of the program.
    pub application_name: String,
    /// Connections that State is read by, at least 1.
    pub read_connections: u32,
    /// Connections that commits run on, at least 1. With one, calls that come while a transaction runs make up the next
    /// one; with more, transactions of one node wait for each other wherever their partitions or budgets meet, and are smaller
    /// (64 callers that spend one budget: 37 commits a transaction on one, 22 on two), so that more statements are sent.
    pub commit_connections: u32,
    /// Connections of the key store, at least 2.
    pub key_connections: u32,
    /// A statement that runs for longer is given up by the server, and by the node 5 seconds later.
    pub statement_timeout: Duration,
    /// A connection that is not made in this time is given up.
    pub connect_timeout: Duration,
}

impl PostgresOptions {
    /// Everything else as it is by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            keys_url: None,
            installation: None,
            application_name: "luopan".into(),
            read_connections: 4,
            commit_connections: 1,
            key_connections: 2,
            statement_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |url: &str| match parse("database", url) {
            Ok(options) => address(&options),
            Err(_) => "not an address of PostgreSQL".to_owned(),
        };
        f.debug_struct("PostgresOptions")
            .field("url", &shown(&self.url))
            .field("keys_url", &self.keys_url.as_deref().map(shown))
            .field("installation", &self.installation)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

/// One database as it is reached: options, and the address without the password.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) options: PgConnectOptions,
    pub(crate) address: String,
}

impl Session {
    /// A session for opening: it may wait for another node's migration as long as that takes.
    pub(crate) fn new(store: &'static str, url: &str, wanted: &PostgresOptions) -> Result<Self> {
        let options = parse(store, url)?;
        let mut name = wanted.application_name.clone();
        while name.len() > APPLICATION_NAME_BYTES_MAX {
            name.pop();
        }
        let address = address(&options);
        let options = options
            .application_name(&name)
            .statement_cache_capacity(STATEMENTS_KEPT)
            .options(SETTINGS)
            .disable_statement_logging();
        Ok(Self { options, address })
    }

    /// The session as it works: bounded statements, and durable commits even where the server's default is otherwise.
    pub(crate) fn working(mut self, statement_timeout: Duration, syncs: bool) -> Self {
        let timeout = format!("{}ms", statement_timeout.as_millis().max(1));
        self.options = self.options.options([("statement_timeout", timeout)]);
        if !syncs {
            self.options = self.options.options([("synchronous_commit", "on")]);
        }
        self
    }
}

/// Settings of every session. Every statement looks rows up by their key, so plans that read whole tables are never wanted, and a
/// plan made once (perhaps while a table was empty) serves for ever: it is an index lookup for each key given. Compiling such plans
/// costs more than running them. Keepalives find a dead peer within half a minute.
const SETTINGS: [(&str, &str); 13] = [
    ("default_transaction_isolation", "read committed"),
    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("bytea_output", "hex"),
];

fn parse(store: &'static str, url: &str) -> Result<PgConnectOptions> {
    let refused = |cause: &str| {
        Error::Invalid(format!(
            "the address of the {store} is none of PostgreSQL ({cause}); write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
        ))
    };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(refused("it does not begin with postgres://"));
    }
    PgConnectOptions::from_str(url).map_err(|e| refused(&e.to_string()))
}

fn address(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let database = options.get_database().unwrap_or(options.get_username());
    format!(
        "{}@{host}:{}/{database}",
        options.get_username(),
        options.get_port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_options_holds_no_password() {
        let mut options = PostgresOptions::new("postgres://me:s3cret@db.example:6432/luopan");
        options.keys_url = Some("postgres://me:s3cret@db.example/keys".into());
        let shown = format!("{options:?}");
        assert!(shown.contains("me@db.example:6432/luopan"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_what_to_write() {
        for url in ["", "mysql://a:s3cret@b/c", "postgres://a:s3cret@b:99999/c"] {
            let Err(Error::Invalid(text)) = parse("state", url) else {
                panic!("{url} was taken");
            };
            assert!(
                text.contains("write postgres://USER:PASSWORD@HOST:PORT/DATABASE"),
                "{text}"
            );
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}
