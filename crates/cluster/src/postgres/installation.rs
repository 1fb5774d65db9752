//! Whose the databases are: looked at before anything is changed, made or brought up to date, and marked.
//!
//! The database of State is marked first and the key store after it, then the first one is told that both are there. So a key store
//! that is missing later was lost and is not taken for an empty one.

use super::connection::connect;
use super::options::{PostgresOptions, SERVER_VERSION_MIN, Session};
use super::{FORMAT, corrupt, unavailable};
use luopan_kernel::PARTITIONS;
use luopan_store::{Error, Result};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{PgConnection, Row};

const MAIN: &str = "state";
const KEYS: &str = "key store";

static MAIN_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/main");
static KEYS_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/keys");
const MAIN_TABLE: &str = "luopan_migrations";
const KEYS_TABLE: &str = "luopan_key_migrations";

/// What was found, and how to reach it from now on.
pub(crate) struct Opened {
    pub(crate) installation: String,
    pub(crate) main: Session,
    pub(crate) keys: Session,
}

/// A database that answers and can keep what is promised.
struct Looked {
    store: &'static str,
    session: Session,
    connection: PgConnection,
    /// False when the server's default is not to wait for the disk.
    syncs: bool,
    mark: Option<Mark>,
}

/// What a database says of itself.
#[derive(Debug, Clone)]
struct Mark {
    id: String,
    is_whole: bool,
}

/// Opens both databases.
pub(crate) async fn open(options: &PostgresOptions) -> Result<Opened> {
    check(options)?;
    let keys_url = options.keys_url.as_deref().unwrap_or(&options.url);
    let mut main = look(MAIN, &options.url, options).await?;
    let mut keys = look(KEYS, keys_url, options).await?;
    agree(options, &main, &keys)?;

    migrate(&mut main, &MAIN_MIGRATIONS, MAIN_TABLE).await?;
    let wanted = options.installation.as_deref();
    let installation = mark_main(&mut main, wanted).await?;
    migrate(&mut keys, &KEYS_MIGRATIONS, KEYS_TABLE).await?;
    mark_keys(&mut keys, &installation).await?;
    sqlx::query("UPDATE luopan_installation SET whole = true WHERE NOT whole")
        .execute(&mut main.connection)
        .await
        .map_err(|e| main.fault("mark", e))?;

    if let Some(what) = filled(&mut main).await? {
        return Err(corrupt(
            MAIN,
            &main.session.address,
            format!(
                "{what} was begun and did not end, so what stands here is a part of it; empty the target and begin anew: drop and \
                 make the databases (dropdb, createdb) and delete the stream of the log (nats stream rm), then give the same command"
            ),
        ));
    }

    let working = |l: Looked| l.session.working(options.statement_timeout, l.syncs);
    Ok(Opened {
        installation,
        main: working(main),
        keys: working(keys),
    })
}

fn check(options: &PostgresOptions) -> Result<()> {
    if options.statement_timeout.is_zero() || options.connect_timeout.is_zero() {
        return Err(Error::Invalid(
            "statement_timeout and connect_timeout are 0; give each a time above 0, as 30 s and 5 s".into(),
        ));
    }
    match options.installation.as_deref() {
        Some(id) if id.is_empty() || id.len() > 128 || id.contains('\0') => Err(Error::Invalid(
            "the id of the installation is empty, longer than 128 bytes or not text; give it a name, or none to take what is found".into(),
        )),
        _ => Ok(()),
    }
}

/// Refuses two databases that do not belong together, before either is changed.
fn agree(options: &PostgresOptions, main: &Looked, keys: &Looked) -> Result<()> {
    if let (Some(wanted), Some(mark)) = (&options.installation, &main.mark)
        && *wanted != mark.id
    {
        return Err(other(MAIN, &main.session.address, &mark.id, wanted));
    }
    match (&main.mark, &keys.mark) {
        (Some(m), Some(k)) if m.id != k.id => Err(other(KEYS, &keys.session.address, &k.id, &m.id)),
        (Some(m), None) if m.is_whole => Err(corrupt(
            KEYS,
            &keys.session.address,
            format!(
                "the key store of installation {} is missing or was emptied; name its database, or put it back from its backup",
                m.id
            ),
        )),
        (None, Some(k)) => Err(corrupt(
            MAIN,
            &main.session.address,
            format!(
                "the key store at {} belongs to installation {}, whose State is missing here or was emptied; name its database, \
                 or put it back from its backup",
                keys.session.address, k.id
            ),
        )),
        _ => Ok(()),
    }
}

/// The database of another installation.
fn other(store: &str, address: &str, found: &str, wanted: &str) -> Error {
    Error::Invalid(format!(
        "the {store} at {address} belongs to installation {found}, not to {wanted}; name the right database or the right installation, \
         nothing was changed"
    ))
}

impl Looked {
    fn fault(&self, tried: &str, e: sqlx::Error) -> Error {
        unavailable(self.store, tried, format!("{}: {e}", self.session.address))
    }
}

async fn look(store: &'static str, url: &str, options: &PostgresOptions) -> Result<Looked> {
    let session = Session::new(store, url, options)?;
    let mut connection = connect(&session, options.connect_timeout)
        .await
        .map_err(|fault| fault.error(store, "connect"))?;
    let address = &session.address;
    let refused = |what: String| {
        Err(Error::Invalid(format!(
            "the server of the {store} at {address} {what}"
        )))
    };
    let version = connection.server_version_num().unwrap_or_default();
    if version < SERVER_VERSION_MIN {
        return refused(format!(
            "is PostgreSQL {}.{}; version {} or newer is needed",
            version / 10_000,
            version % 10_000,
            SERVER_VERSION_MIN / 10_000
        ));
    }
    let failed = |e: sqlx::Error| unavailable(store, "look at", format!("{address}: {e}"));
    let facts = sqlx::query(
        "SELECT current_setting('server_encoding'), current_setting('fsync') = 'on', pg_is_in_recovery(), \
         current_setting('synchronous_commit') <> 'off', to_regclass($1) IS NOT NULL",
    )
    .bind(match store {
        KEYS => "luopan_key_installation",
        _ => "luopan_installation",
    })
    .fetch_one(&mut connection)
    .await
    .map_err(failed)?;
    let encoding: String = facts.try_get(0).map_err(failed)?;
    if encoding != "UTF8" {
        return refused(format!(
            "holds text as {encoding}; make a database with: createdb --encoding=UTF8 --template=template0 NAME"
        ));
    }
    if !facts.try_get::<bool, _>(1).map_err(failed)? {
        return refused(
            "runs with fsync = off, so that nothing is durable when power fails; set fsync = on in its configuration".into(),
        );
    }
    if facts.try_get::<bool, _>(2).map_err(failed)? {
        return refused("is a standby, which cannot be written; name the primary".into());
    }
    let syncs: bool = facts.try_get(3).map_err(failed)?;
    let is_marked: bool = facts.try_get(4).map_err(failed)?;
    let mark = match is_marked {
        true => read_mark(store, &mut connection, address).await?,
        false => None,
    };
    Ok(Looked {
        store,
        session,
        connection,
        syncs,
        mark,
    })
}

/// Reads the mark; the format first and alone, since a newer program may have changed all else.
async fn read_mark(
    store: &'static str,
    connection: &mut PgConnection,
    address: &str,
) -> Result<Option<Mark>> {
    let failed = |e: sqlx::Error| unavailable(store, "read its mark", format!("{address}: {e}"));
    let (format, rest) = match store {
        KEYS => (
            "SELECT format FROM luopan_key_installation",
            "SELECT id, true, $1::int4 FROM luopan_key_installation",
        ),
        _ => (
            "SELECT format FROM luopan_installation",
            "SELECT id, whole, partitions FROM luopan_installation WHERE $1 = $1",
        ),
    };
    let found: Option<i32> = sqlx::query_scalar(format)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    let Some(found) = found else {
        return Ok(None);
    };
    let found = u32::try_from(found).map_err(|e| corrupt(store, address, e))?;
    if found > FORMAT {
        return Err(Error::Newer {
            store,
            found,
            known: FORMAT,
        });
    }
    let row = sqlx::query(rest)
        .bind(i32::from(PARTITIONS))
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    let partitions: i32 = row.try_get(2).map_err(failed)?;
    if partitions != i32::from(PARTITIONS) {
        return Err(Error::Mismatch {
            store,
            what: "partition count",
            found: u64::try_from(partitions).unwrap_or_default(),
            wanted: PARTITIONS.into(),
        });
    }
    Ok(Some(Mark {
        id: row.try_get(0).map_err(failed)?,
        is_whole: row.try_get(1).map_err(failed)?,
    }))
}

async fn migrate(
    looked: &mut Looked,
    migrations: &'static Migrator,
    table: &'static str,
) -> Result<()> {
    let mut mine = Migrator::with_migrations(migrations.iter().cloned().collect());
    mine.dangerous_set_table_name(table);
    let store = looked.store;
    let address = &looked.session.address;
    let corrupt = |cause: String| Err(corrupt(store, address, cause));
    // `run` is not `Send` for every lifetime, as the library itself says; this is what it calls.
    match mine.run_direct(None, &mut looked.connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
            let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
            Err(Error::Newer {
                store,
                found: number(found),
                known: number(known),
            })
        }
        Err(MigrateError::VersionMismatch(n)) => corrupt(format!(
            "migration {n} was applied with another text than this program has; use the program that made these tables"
        )),
        Err(MigrateError::Dirty(n)) => corrupt(format!(
            "migration {n} stopped half-way; put the database back from its backup"
        )),
        Err(e) => Err(unavailable(
            store,
            "make or bring up to date its tables",
            format!(
                "{address}: {e}; a migration takes effect whole or not at all, so it can be tried again"
            ),
        )),
    }
}

/// Marks the database of State, or reads what another node has written meanwhile.
async fn mark_main(looked: &mut Looked, wanted: Option<&str>) -> Result<String> {
    let made = sqlx::query(
        "INSERT INTO luopan_installation (one, format, partitions, id) VALUES (1, $1, $2, coalesce($3, gen_random_uuid()::text)) \
         ON CONFLICT DO NOTHING",
    )
    .bind(FORMAT as i32)
    .bind(i32::from(PARTITIONS))
    .bind(wanted)
    .execute(&mut looked.connection)
    .await;
    made.map_err(|e| looked.fault("mark", e))?;
    let address = looked.session.address.clone();
    let mark = read_mark(MAIN, &mut looked.connection, &address).await?;
    let id = mark.map(|m| m.id).unwrap_or_default();
    match wanted {
        Some(wanted) if wanted != id => Err(other(MAIN, &address, &id, wanted)),
        _ => Ok(id),
    }
}

/// What is being put into the database as a whole.
async fn filled(looked: &mut Looked) -> Result<Option<String>> {
    sqlx::query_scalar("SELECT filling FROM luopan_installation")
        .fetch_one(&mut looked.connection)
        .await
        .map_err(|e| looked.fault("read its mark", e))
}

/// Notes what is being put into the database as a whole, or that nothing is.
pub(crate) async fn filling(
    session: &Session,
    timeout: std::time::Duration,
    what: Option<&str>,
) -> Result<()> {
    let failed = |e: sqlx::Error| unavailable(MAIN, "mark", format!("{}: {e}", session.address));
    let mut connection = connect(session, timeout)
        .await
        .map_err(|fault| fault.error(MAIN, "connect"))?;
    sqlx::query("UPDATE luopan_installation SET filling = $1")
        .bind(what)
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    sqlx::Connection::close(connection).await.map_err(failed)
}

/// Marks the key store as this installation's.
async fn mark_keys(looked: &mut Looked, installation: &str) -> Result<()> {
    let made = sqlx::query(
        "INSERT INTO luopan_key_installation (one, format, id) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(FORMAT as i32)
    .bind(installation)
    .execute(&mut looked.connection)
    .await;
    made.map_err(|e| looked.fault("mark", e))?;
    let address = looked.session.address.clone();
    let mark = read_mark(KEYS, &mut looked.connection, &address).await?;
    let id = mark.map(|m| m.id).unwrap_or_default();
    if id != installation {
        return Err(other(KEYS, &address, &id, installation));
    }
    Ok(())
}
