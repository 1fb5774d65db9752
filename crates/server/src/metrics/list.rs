//! Every figure that `/metrics` can show: its name, what kind it is, its labels, and what it says. `docs/metrics.md` tells the same
//! to people; a test holds the two equal, and what is served to this list. Names and units are those of Prometheus.

use luopan_engine::api::Stats;
use metrics::Unit;

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the program ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often values were at most each bound, their number and their sum.
    Histogram,
}

impl Kind {
    /// The word on the page.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A figure.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub words: &'static str,
    /// Where it is read from, when the engine's figures hold it.
    pub(super) read: Option<fn(&Stats) -> f64>,
}

impl Metric {
    /// Its unit, as its name tells.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        let name = self.name.trim_end_matches("_total");
        let name = name.trim_end_matches("_max");
        [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)]
            .into_iter()
            .find(|(ends, _)| name.ends_with(ends))
            .map(|(_, unit)| unit)
    }
}

const fn counted(name: &'static str, words: &'static str, read: fn(&Stats) -> f64) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        labels: &[],
        words,
        read: Some(read),
    }
}

const fn level(name: &'static str, words: &'static str, read: fn(&Stats) -> f64) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        labels: &[],
        words,
        read: Some(read),
    }
}

const fn other(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    words: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        words,
        read: None,
    }
}

pub(super) const HTTP_SECONDS: &str = "luopan_http_request_duration_seconds";
pub(super) const HTTP_INPUTS: &str = "luopan_http_inputs_per_request";
pub(super) const INTAKE_SECONDS: &str = "luopan_intake_duration_seconds";
pub(super) const DECIDE_SECONDS: &str = "luopan_decide_duration_seconds";
pub(super) const STORE_SECONDS: &str = "luopan_store_call_duration_seconds";
pub(super) const STORE_ERRORS: &str = "luopan_store_errors_total";
pub(super) const REFUSALS: &str = "luopan_refusals_total";
pub(super) const QUARANTINED: &str = "luopan_inputs_quarantined_total";
pub(super) const RETENTIONS: &str = "luopan_log_retentions_total";
pub(super) const DRIFTS: &str = "luopan_monitor_drifts";
pub(super) const LIMIT: &str = "luopan_limit";
pub(super) const BUDGET: &str = "luopan_budget_spent";
pub(super) const MODEL: &str = "luopan_model_samples";
pub(super) const BUILD: &str = "luopan_build_info";
pub(super) const REQUESTS: &str = "luopan_http_requests_in_flight";
pub(super) const REQUESTS_LIMIT: &str = "luopan_http_requests_in_flight_max";
pub(super) const BODIES: &str = "luopan_http_bodies_bytes";
pub(super) const BODIES_LIMIT: &str = "luopan_http_bodies_bytes_max";
pub(super) const QUEUE: &str = "luopan_store_queue_calls";
pub(super) const QUEUE_LIMIT: &str = "luopan_store_queue_calls_max";
pub(super) const QUARANTINE: &str = "luopan_quarantine_rows";
pub(super) const DISK_FREE: &str = "luopan_disk_free_bytes";
pub(super) const DISK_SIZE: &str = "luopan_disk_size_bytes";
pub(super) const MEMORY: &str = "process_resident_memory_bytes";
pub(super) const CPU: &str = "process_cpu_seconds_total";
pub(super) const STARTED: &str = "process_start_time_seconds";
pub(super) const FILES: &str = "process_open_fds";
pub(super) const FILES_LIMIT: &str = "process_max_fds";

/// All figures, those of the engine first.
pub const ALL: &[Metric] = &[
    counted(
        "luopan_events_accepted_total",
        "events accepted into the log",
        |s| s.events_accepted as f64,
    ),
    counted(
        "luopan_events_quarantined_total",
        "inputs put in quarantine",
        |s| s.events_quarantined as f64,
    ),
    counted("luopan_events_folded_total", "events folded", |s| {
        s.events_folded as f64
    }),
    counted(
        "luopan_events_duplicate_total",
        "duplicates that the fold dropped",
        |s| s.events_duplicate as f64,
    ),
    counted("luopan_decisions_total", "decisions made", |s| {
        s.decisions as f64
    }),
    counted(
        "luopan_decisions_null_total",
        "decisions that were the null action",
        |s| s.decisions_null as f64,
    ),
    counted(
        "luopan_decision_retries_total",
        "commits that lost and were tried again",
        |s| s.decision_retries as f64,
    ),
    counted("luopan_rewards_total", "rewards settled", |s| {
        s.rewards as f64
    }),
    counted("luopan_samples_total", "samples learned", |s| {
        s.samples as f64
    }),
    counted("luopan_timers_fired_total", "timers fired", |s| {
        s.timers_fired as f64
    }),
    counted(
        "luopan_catalogue_snapshots_total",
        "snapshots made of catalogues",
        |s| s.catalogue_snapshots as f64,
    ),
    counted(
        "luopan_takeovers_total",
        "partitions taken over from nodes that ended or died",
        |s| s.takeovers as f64,
    ),
    level(
        "luopan_fold_lag_entries",
        "log entries not yet folded",
        |s| s.fold_lag as f64,
    ),
    level(
        "luopan_fold_lag_entries_max",
        "log entries not yet folded at which intake pauses",
        |s| s.fold_lag_max as f64,
    ),
    level(
        "luopan_outbox_rows",
        "rows waiting in the outbox; it has no limit",
        |s| s.outbox as f64,
    ),
    level(
        "luopan_decisions_in_flight",
        "decisions worked on now",
        |s| s.decisions_in_flight as f64,
    ),
    level(
        "luopan_decisions_in_flight_max",
        "decisions worked on at which more are refused",
        |s| s.decisions_in_flight_max as f64,
    ),
    level(
        "luopan_ids_remembered",
        "foreign ids that intake remembers",
        |s| s.ids_remembered as f64,
    ),
    level(
        "luopan_ids_remembered_max",
        "foreign ids that intake remembers at most",
        |s| s.ids_remembered_max as f64,
    ),
    level(
        "luopan_halted_partitions",
        "partitions whose fold stopped at a fault",
        |s| s.halted.len() as f64,
    ),
    level(
        "luopan_tasks_failing",
        "tasks that cannot do their work, or died",
        |s| s.failing.len() as f64,
    ),
    level(
        "luopan_stores_unwritable",
        "stores that take no writes",
        |s| s.unwritable.len() as f64,
    ),
    level(
        "luopan_nodes",
        "nodes that live, this one among them",
        |s| s.nodes as f64,
    ),
    level(
        "luopan_partitions_owned",
        "partitions that fall to this node",
        |s| s.partitions_owned as f64,
    ),
    level(
        "luopan_node_beat_age_seconds",
        "time since this node told that it lives",
        |s| s.beat_age_us.map_or(0.0, |us| us as f64 / 1e6),
    ),
    other(
        HTTP_SECONDS,
        Kind::Histogram,
        &["method", "route", "status"],
        "time from a request's head to its answer",
    ),
    other(
        HTTP_INPUTS,
        Kind::Histogram,
        &[],
        "inputs in a request to /v1/events",
    ),
    other(
        INTAKE_SECONDS,
        Kind::Histogram,
        &[],
        "time from a batch of inputs to its acknowledgement",
    ),
    other(
        DECIDE_SECONDS,
        Kind::Histogram,
        &[],
        "time from a call for decisions to their durable answers",
    ),
    other(
        STORE_SECONDS,
        Kind::Histogram,
        &["store", "call"],
        "time of a call of a store; the call fold_commit is a fold's",
    ),
    other(
        STORE_ERRORS,
        Kind::Counter,
        &["store", "call"],
        "calls of a store that failed",
    ),
    other(
        REFUSALS,
        Kind::Counter,
        &["code"],
        "refusals, those within a request for many decisions among them",
    ),
    other(
        QUARANTINED,
        Kind::Counter,
        &["code"],
        "inputs of /v1/events put in quarantine",
    ),
    other(
        RETENTIONS,
        Kind::Counter,
        &["result"],
        "times that this server truncated the log by itself, or failed to",
    ),
    other(
        DRIFTS,
        Kind::Gauge,
        &["scene", "monitor"],
        "things that the monitor found to have changed when it last looked",
    ),
    other(REQUESTS, Kind::Gauge, &[], "requests worked on now"),
    other(
        REQUESTS_LIMIT,
        Kind::Gauge,
        &[],
        "requests worked on at which more are refused",
    ),
    other(BODIES, Kind::Gauge, &[], "bytes of request bodies held now"),
    other(
        BODIES_LIMIT,
        Kind::Gauge,
        &[],
        "bytes of request bodies at which more are refused",
    ),
    other(
        QUEUE,
        Kind::Gauge,
        &["queue"],
        "calls waiting in a queue of a store",
    ),
    other(
        QUEUE_LIMIT,
        Kind::Gauge,
        &["queue"],
        "calls in it at which callers wait for room",
    ),
    other(
        QUARANTINE,
        Kind::Gauge,
        &[],
        "inputs in quarantine, counted up to 10,000, every 30 seconds",
    ),
    other(LIMIT, Kind::Gauge, &["name"], "named limits"),
    other(
        BUDGET,
        Kind::Gauge,
        &["budget"],
        "spent of a budget in its period",
    ),
    other(
        MODEL,
        Kind::Gauge,
        &["model"],
        "samples behind the present snapshot of a model",
    ),
    other(
        BUILD,
        Kind::Gauge,
        &["version", "semantics"],
        "1, with the program's version and the number of its meaning",
    ),
    other(
        DISK_FREE,
        Kind::Gauge,
        &[],
        "free bytes of the data folder's disk",
    ),
    other(
        DISK_SIZE,
        Kind::Gauge,
        &[],
        "size of the data folder's disk",
    ),
    other(MEMORY, Kind::Gauge, &[], "memory of the process"),
    other(CPU, Kind::Counter, &[], "processor time of the process"),
    other(
        STARTED,
        Kind::Gauge,
        &[],
        "when the process started, seconds since 1970",
    ),
    other(FILES, Kind::Gauge, &[], "open files of the process"),
    other(FILES_LIMIT, Kind::Gauge, &[], "open files that it may have"),
];
