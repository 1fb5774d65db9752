//! The server's own named limits. At each of them the caller gets a refusal that names the limit; nothing is lost in
//! silence. The engine's limits stand in `luopan_engine::api`.

use std::time::Duration;

/// Largest request body in bytes, as received and after decompression.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Longest time for a request body to arrive.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest time for a request's head to arrive, and for a connection to stand idle between two requests.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Body bytes of all requests together that are held at once.
pub const BODIES_BYTES_MAX: usize = 512 << 20;
/// Requests that are worked on at once.
pub const REQUESTS_MAX: usize = 4096;
/// Most events (lines, array elements) of one request.
pub const EVENTS_PER_REQUEST_MAX: usize = 100_000;
/// Events handed to the engine in one call.
pub const EVENTS_PER_CHUNK: usize = 2_000;
/// Bytes of events after which a chunk is closed, so that one call of the engine stays small.
pub const BYTES_PER_CHUNK: usize = 4 << 20;
/// Most decisions of one request.
pub const DECISIONS_PER_REQUEST_MAX: usize = 1_000;
/// Most rows of one page of a listing.
pub const PAGE_MAX: usize = 1_000;
/// Rows of a page when the caller names no number.
pub const PAGE_DEFAULT: usize = 100;
/// Log entries not yet folded above which the server says that it is not ready.
pub const FOLD_LAG_READY_MAX: u64 = 5_000_000;
/// Longest time a store may take to answer the readiness question.
pub const READY_TIME_MAX: Duration = Duration::from_secs(2);
/// Inputs in quarantine are counted up to this number, for figures.
pub const QUARANTINE_COUNTED_MAX: usize = 10_000;
/// Longest wait for work in flight when the server is told to stop.
pub const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// The limits that a metrics page shows, by name.
pub const SHOWN: &[(&str, u64)] = &[
    ("body_bytes", BODY_BYTES_MAX as u64),
    ("bodies_bytes", BODIES_BYTES_MAX as u64),
    ("requests", REQUESTS_MAX as u64),
    ("events_per_request", EVENTS_PER_REQUEST_MAX as u64),
    (
        "events_per_call",
        luopan_engine::api::EVENTS_PER_CALL_MAX as u64,
    ),
    ("event_bytes", luopan_engine::api::EVENT_BYTES_MAX as u64),
    ("decisions_per_request", DECISIONS_PER_REQUEST_MAX as u64),
    ("fold_lag_ready", FOLD_LAG_READY_MAX),
];
