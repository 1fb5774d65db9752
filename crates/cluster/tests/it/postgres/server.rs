//! A PostgreSQL server for a test: one of its own ([`Postgres`]), which goes with the test, or a database of the server that
//! `LUOPAN_TEST_POSTGRES` names.

use luopan_testbed::servers::postgres::Postgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};

/// A server, or a database of a given one. It goes when this is dropped.
pub(crate) struct Server {
    url: String,
    kind: Kind,
}

enum Kind {
    Own(Postgres),
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
        let own = Postgres::start(&[])?;
        let url = own.url(own.port);
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
        let own = self.own_server();
        own.url_of(name, own.port)
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
            own.restart();
        }
    }

    fn own_server(&self) -> &Postgres {
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
