//! Connecting to NATS, and what is refused of a server or a stream before anything is appended. It changes nothing of a stream
//! that exists.

use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode, context};
use luopan_store::log::MESSAGE_BYTES_MAX;
use luopan_store::{Error, Result};
use std::path::PathBuf;
use std::time::Duration;

use super::{STORE, unavailable};

/// Oldest server: the first whose atomic batches know message ids (ADR-50).
pub const SERVER_VERSION_MIN: (u32, u32, u32) = (2, 12, 1);
/// Least `max_payload` of the server in bytes: the longest log message with its label, twice the room that labels need.
pub const PAYLOAD_BYTES_MIN: usize = MESSAGE_BYTES_MAX + (8 << 10);
/// How long the server remembers the ids of what was published. Must be far above the time for which an append is tried again.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Longest time to connect.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time for an answer of the server, where nothing else is said.
pub(crate) const REQUEST_TIME_MAX: Duration = Duration::from_secs(3);
/// Between two pings of the connection; after two without an answer it is taken for lost.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Longest pause between two attempts to connect anew.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Commands to the client that wait to be written; beyond, callers wait.
const CLIENT_COMMANDS_MAX: usize = 4096;

/// Format of the stream's settings and marks.
const STREAM_FORMAT: u32 = 1;
const FORMAT: &str = "luopan_format";
const INSTALLATION: &str = "luopan_installation";
const PARTITIONS: &str = "luopan_partitions";

/// Whose log the stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// A text that no other installation has.
    pub id: String,
    /// Number of customer partitions.
    pub partitions: u16,
}

/// Which server, and which stream of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// Addresses of the servers, `nats://[user:password@]host:port` or `tls://…`; any one that answers will do.
    pub servers: Vec<String>,
    /// File with NATS credentials (JWT and seed).
    pub credentials: Option<PathBuf>,
    /// File with the certificates that the servers' are signed by, besides those of the system.
    pub ca: Option<PathBuf>,
    /// Name of the stream, and first token of its subjects: letters, digits, `_` and `-`.
    pub stream: String,
    /// Copies of the stream: 1, 3 or 5.
    pub replicas: usize,
    /// Whose log it is: a stream that is made bears it, one that exists must bear it. `None` takes any stream as it is.
    pub installation: Option<Installation>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            credentials: None,
            ca: None,
            stream: "luopan_log".to_owned(),
            replicas: 1,
            installation: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses may hold a password.
        f.debug_struct("Options")
            .field("stream", &self.stream)
            .field("replicas", &self.replicas)
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

fn refused(what: impl Into<String>) -> Error {
    Error::Invalid(what.into())
}

/// A connection to the server and the stream as it was found or made.
pub(crate) struct Server {
    pub(crate) client: async_nats::Client,
    pub(crate) context: jetstream::Context,
    pub(crate) info: Info,
}

impl Server {
    /// Connects, looks at the server, and finds or makes the stream.
    pub(crate) async fn open(options: &Options) -> Result<Self> {
        let name = &options.stream;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
            return Err(refused(format!(
                "the stream is called {name:?}; use up to 64 letters, digits, `_` and `-`"
            )));
        }
        if ![1, 3, 5].contains(&options.replicas) {
            return Err(refused(format!(
                "the stream is to have {} replicas; use 1, 3 or 5",
                options.replicas
            )));
        }
        let client = connect(options).await?;
        check_server(&client)?;
        let context = jetstream::new(client.clone());
        match context.query_account().await {
            Ok(_) => {}
            Err(e) => {
                use context::AccountErrorKind as Kind;
                let is_off = match e.kind() {
                    Kind::JetStreamUnavailable => true,
                    Kind::JetStream(e) => {
                        e.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED
                            || e.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
                    }
                    _ => false,
                };
                return Err(if is_off {
                    refused(
                        "JetStream is off at the NATS server or for this account; add a block `jetstream { store_dir: … , sync_interval: always }` to its configuration",
                    )
                } else {
                    unavailable("ask for JetStream", e)
                });
            }
        }
        let info = match stream(&context, name).await? {
            Some(info) => info,
            None => make(&context, options).await?,
        };
        check_stream(&info, options)?;
        Ok(Self {
            client,
            context,
            info,
        })
    }
}

async fn connect(options: &Options) -> Result<async_nats::Client> {
    let mut connect = async_nats::ConnectOptions::new()
        .name("luopan")
        .connection_timeout(CONNECT_TIME_MAX)
        .request_timeout(Some(REQUEST_TIME_MAX))
        .ping_interval(PING_EVERY)
        .client_capacity(CLIENT_COMMANDS_MAX)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let pause = Duration::from_millis(50).saturating_mul(1 << attempts.min(5));
            pause.min(RECONNECT_PAUSE_MAX)
        })
        .event_callback(|event| async move {
            match event {
                async_nats::Event::Connected => tracing::info!("connected to NATS"),
                other => tracing::warn!(event = %other, "the connection to NATS"),
            }
        });
    if let Some(file) = &options.credentials {
        connect = connect
            .credentials_file(file)
            .await
            .map_err(|e| refused(format!("the credentials in {}: {e}", file.display())))?;
    }
    if let Some(file) = &options.ca {
        connect = connect.add_root_certificates(file.clone());
    }
    let addresses = options
        .servers
        .iter()
        .map(|s| s.parse::<async_nats::ServerAddr>())
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|e| {
            // Not the address itself: it may hold a password.
            refused(format!(
                "a server address cannot be read ({e}); write nats://host:4222"
            ))
        })?;
    if addresses.is_empty() {
        return Err(refused("name at least one NATS server"));
    }
    connect
        .connect(addresses)
        .await
        .map_err(|e| unavailable("connect to NATS", e))
}

/// The numbers of a version, `None` when it has none.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let release = text.split(['-', '+']).next()?;
    let mut numbers = release.split('.').map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

fn check_server(client: &async_nats::Client) -> Result<()> {
    let info = client.server_info();
    let (major, minor, patch) = SERVER_VERSION_MIN;
    if version(&info.version).is_none_or(|found| found < SERVER_VERSION_MIN) {
        return Err(refused(format!(
            "the NATS server is version {:?}; use {major}.{minor}.{patch} or newer",
            info.version
        )));
    }
    if info.max_payload < PAYLOAD_BYTES_MIN {
        return Err(refused(format!(
            "the NATS server takes messages of {} bytes, the log needs {PAYLOAD_BYTES_MIN}; set `max_payload: 8MB` in its configuration",
            info.max_payload
        )));
    }
    Ok(())
}

/// The stream as its leader knows it, `None` when there is none.
pub(crate) async fn stream(context: &jetstream::Context, name: &str) -> Result<Option<Info>> {
    match context.get_stream(name).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(e) => match e.kind() {
            context::GetStreamErrorKind::JetStream(e)
                if e.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(unavailable("look at its stream", e)),
        },
    }
}

/// What is wanted of the stream. Deleting single messages is denied for ever; purging is not, since the log is one day cut off
/// below a position, which needs it, and a denial cannot be taken back.
fn wanted(options: &Options) -> Config {
    let mut metadata = std::collections::HashMap::new();
    metadata.insert(FORMAT.to_owned(), STREAM_FORMAT.to_string());
    if let Some(installation) = &options.installation {
        metadata.insert(INSTALLATION.to_owned(), installation.id.clone());
        metadata.insert(PARTITIONS.to_owned(), installation.partitions.to_string());
    }
    Config {
        name: options.stream.clone(),
        description: Some("the event log of Luopan; nothing else may write here".to_owned()),
        subjects: vec![format!("{}.*", options.stream)],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        storage: StorageType::File,
        num_replicas: options.replicas,
        duplicate_window: DUPLICATE_WINDOW,
        deny_delete: true,
        allow_direct: true,
        allow_atomic_publish: true,
        metadata,
        ..Config::default()
    }
}

async fn make(context: &jetstream::Context, options: &Options) -> Result<Info> {
    match context.create_stream(wanted(options)).await {
        Ok(made) => {
            tracing::info!(
                stream = options.stream,
                replicas = options.replicas,
                "made the stream of the event log"
            );
            Ok(made.cached_info().clone())
        }
        Err(e) => {
            // Another node may have made it in the meantime, with what it wants.
            if let Ok(Some(found)) = stream(context, &options.stream).await {
                return Ok(found);
            }
            Err(match e.kind() {
                context::CreateStreamErrorKind::JetStream(e)
                    if e.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED =>
                {
                    refused(format!(
                        "the NATS server stands alone, the stream is to have {} replicas; join as many servers into a cluster, or ask for 1",
                        options.replicas
                    ))
                }
                _ => unavailable("make its stream", e),
            })
        }
    }
}

fn check_stream(info: &Info, options: &Options) -> Result<()> {
    let (found, wanted) = (&info.config, wanted(options));
    let name = &options.stream;
    let mut other = Vec::new();
    macro_rules! compare {
        ($($field:ident),*) => {
            $(if found.$field != wanted.$field {
                other.push(format!("{} {:?} instead of {:?}", stringify!($field), found.$field, wanted.$field));
            })*
        };
    }
    compare!(
        subjects,
        retention,
        discard,
        max_bytes,
        max_messages,
        max_messages_per_subject,
        max_age,
        storage,
        num_replicas,
        duplicate_window,
        deny_delete,
        allow_direct,
        allow_atomic_publish,
        mirror,
        sources,
        subject_transform,
        sealed,
        no_ack
    );
    if matches!(
        found.persist_mode,
        Some(jetstream::stream::PersistenceMode::Async)
    ) {
        other.push("persist_mode async instead of default".to_owned());
    }
    if !other.is_empty() {
        return Err(refused(format!(
            "the stream {name} has other settings than an event log: {}; name another stream, or mend its settings",
            other.join(", ")
        )));
    }
    let mark = |key: &str| found.metadata.get(key).map(String::as_str);
    match mark(FORMAT).and_then(|f| f.parse::<u32>().ok()) {
        Some(STREAM_FORMAT) => {}
        Some(format) if format > STREAM_FORMAT => {
            return Err(Error::Newer {
                store: STORE,
                found: format,
                known: STREAM_FORMAT,
            });
        }
        _ => {
            return Err(refused(format!(
                "the stream {name} is no event log: it bears no mark {FORMAT}; name another stream"
            )));
        }
    }
    let Some(installation) = &options.installation else {
        return Ok(());
    };
    let id = mark(INSTALLATION);
    if id != Some(installation.id.as_str()) {
        return Err(refused(format!(
            "the stream {name} belongs to installation {}, this is {:?}; name another stream or another installation",
            id.map_or_else(|| "(none)".to_owned(), |id| format!("{id:?}")),
            installation.id
        )));
    }
    let partitions = mark(PARTITIONS).and_then(|p| p.parse::<u64>().ok());
    if partitions != Some(installation.partitions.into()) {
        return Err(Error::Mismatch {
            store: STORE,
            what: "the partition count",
            found: partitions.unwrap_or(0),
            wanted: installation.partitions.into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(version("2.15.1"), Some((2, 15, 1)));
        assert_eq!(version("2.14.0-RC.3"), Some((2, 14, 0)));
        assert_eq!(version("2.9"), None);
        assert!(version("2.9.25").unwrap() < SERVER_VERSION_MIN);
        assert!(version("2.12.10").unwrap() > SERVER_VERSION_MIN);
    }

    #[test]
    fn a_password_is_never_printed() {
        let options = Options {
            servers: vec!["nats://me:hush@host:4222".to_owned()],
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
