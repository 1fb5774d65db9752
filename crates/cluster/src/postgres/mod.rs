//! State, the control plane and the key store on PostgreSQL.
//!
//! # How a commit runs
//!
//! Concurrent calls of a node are gathered ([`gather`]) and run as one transaction, so that the number of statements depends on the
//! number of transactions and not on that of commits or rows ([`commit`]):
//!
//! 1. `BEGIN`. Every transaction is flushed when it commits, those too that the log could redo: the server may crash while nodes
//!    live, and what a node was told is folded must not come undone under it.
//! 2. One statement takes transaction-scoped advisory locks ([`locks`]), in ascending order: one for each partition that is read,
//!    written or moved, one for each budget. Two transactions that could disturb each other never run past this point together, and
//!    since all take their locks in one order, none waits for another in a circle.
//! 3. One statement reads positions, digests of expected rows, and budgets.
//! 4. The commits are decided in memory, each on what those before it left, by the rules of the memory backend.
//! 5. One statement writes what they leave: an upsert and a delete for each table touched, as common table expressions over arrays.
//! 6. `COMMIT`. Only its answer makes anything acknowledged.
//!
//! Steps 1 to 3 are one message to the server and one answer, and so are 5 and 6 ([`statement`]), unless the statement is large: what a
//! small transaction costs, on both sides, is mostly its ways. Decisions, links and folds share one queue, since what is gathered
//! from all of them costs least.
//!
//! # Why READ COMMITTED is enough, and why locks come in a statement of their own
//!
//! Under READ COMMITTED every statement looks at the database as of its own start. The statement of step 2 may wait for another
//! transaction, and what it would read itself could be older than that transaction's work; so it reads nothing. The statement of
//! step 3 looks when all locks are held, in the same message or not: each statement of a message has a snapshot of its own. PostgreSQL makes a transaction's work visible before it lets go of its locks (and
//! makes it visible only after its commit is flushed), so step 3 sees all that former holders committed, and until step 6 nobody else
//! may change what it read. Under REPEATABLE READ the snapshot of step 2 would be kept, which is older: that would be wrong.
//!
//! All writes of State go through these steps. Whoever changes its tables by other means must do so while no node runs.
//!
//! # Expected rows are compared by digest
//!
//! Beside each value stands the first 16 bytes of its SHA-256, computed by the node that writes. To see that a row is as it was read,
//! 16 bytes travel instead of a profile of some kilobytes, and the server unpacks no value. Two values of one digest would have to
//! be made on purpose, by about 2^64 attempts, to gain nothing but a missed conflict on a row of their own.
//!
//! # What is not known
//!
//! When a connection is lost before `COMMIT` was sent, the server rolls back, and the transaction is tried again a bounded number of
//! times. When it is lost after, nothing is known, and the callers get [`luopan_store::Error::Unavailable`].
//!
//! This room never decides what a row means, and no option makes an acknowledged commit less than durable.

mod commit;
mod connection;
mod control;
mod count;
mod gather;
mod installation;
mod keys;
mod locks;
mod moment;
mod nodes;
mod options;
mod state;
mod statement;
mod text;

pub use count::Counted;
pub use options::{CONTROL_CONNECTIONS, PostgresOptions, SERVER_VERSION_MIN, STATEMENTS_KEPT};

use connection::Pool;
use luopan_store::{Control, Error, Keys, Nodes, Result, State};
use std::sync::Arc;

/// Number of the form of the tables that this program reads and writes. It is raised when an older program could no longer work
/// with them; what is only added is a migration.
pub const FORMAT: u32 = 1;

/// Limits of the way to PostgreSQL.
pub mod limits {
    pub use super::commit::{COMMIT_ATTEMPTS_MAX, STATEMENT_BYTES_MAX};
    pub use super::connection::READ_ATTEMPTS_MAX;
    pub use super::gather::{GROUP_BYTES_MAX, GROUP_JOBS_MAX, QUEUE_JOBS_MAX};
    pub use super::locks::{BUDGET_LOCKS, PARTITION_LOCKS};
    pub use super::moment::MOMENT_TIME_MAX;
    pub use super::state::GATHERED_KEYS_MAX;
    pub use super::statement::SAID_BYTES_MAX;
}

/// The stores of one installation that are on PostgreSQL: all but the log. Any number of nodes may hold them at once.
#[derive(Clone)]
pub struct Postgres {
    /// State.
    pub state: Arc<dyn State>,
    /// The control plane.
    pub control: Arc<dyn Control>,
    /// The key store.
    pub keys: Arc<dyn Keys>,
    /// Who is at work.
    pub nodes: Arc<dyn Nodes>,
    installation: Arc<str>,
    main: options::Session,
    connect_timeout: std::time::Duration,
    counters: Arc<count::Counters>,
}

impl Postgres {
    /// Connects, looks at what is there, and makes or brings up to date the tables. Nothing is changed before everything was
    /// looked at and found right.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a server that does not answer or refuses; [`Error::Newer`] and [`Error::Mismatch`] for the
    /// database of another program; [`Error::Invalid`] for an address that is none, a server that cannot keep what is promised (older
    /// than 14, a standby, one that does not sync), and the database of another installation; [`Error::Corrupt`] for a store
    /// that was lost or belongs to another installation. No text holds a password.
    pub async fn connect(options: PostgresOptions) -> Result<Self> {
        let opened = installation::open(&options).await?;
        let counters = Arc::new(count::Counters::default());
        let pool = |store, session: &options::Session, connections: u32| {
            Pool::new(
                store,
                session.clone(),
                connections,
                &options,
                Arc::clone(&counters),
            )
        };
        let main = &opened.main;
        let state = state::PostgresState::start(
            pool("state", main, options.read_connections),
            pool("state", main, options.commit_connections),
            locks::Locks::new(&opened.installation),
            &options,
        );
        let control = control::PostgresControl::new(
            pool("control plane", main, CONTROL_CONNECTIONS),
            locks::Locks::new(&opened.installation),
        );
        let nodes = nodes::PostgresNodes::new(pool("list of nodes", main, 1));
        let keys = keys::PostgresKeys::start(
            pool("key store", &opened.keys, options.key_connections.max(2)),
            &options,
        );
        Ok(Self {
            state: Arc::new(state),
            control: Arc::new(control),
            keys: Arc::new(keys),
            nodes: Arc::new(nodes),
            installation: opened.installation.into(),
            main: opened.main,
            connect_timeout: options.connect_timeout,
            counters,
        })
    }

    /// The id of the installation, for the event log to bear it too.
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// Notes durably what is being put into these stores as a whole, or that it is there (`None`). While it is not, opening them
    /// is refused, and so is putting in something else.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a server that does not answer.
    pub async fn filling(&self, what: Option<&str>) -> Result<()> {
        installation::filling(&self.main, self.connect_timeout, what).await
    }

    /// What was asked of the servers so far by this opening, all three stores together.
    pub fn counted(&self) -> Counted {
        self.counters.counted()
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

/// The server refused or went away.
fn unavailable(store: &'static str, tried: &str, cause: impl ToString) -> Error {
    Error::Unavailable {
        store,
        tried: tried.to_owned(),
        cause: cause.to_string(),
    }
}

/// A row of another shape than the migrations made.
fn corrupt(store: &'static str, at: &str, cause: impl ToString) -> Error {
    Error::Corrupt {
        store,
        at: at.to_owned(),
        cause: cause.to_string(),
    }
}
