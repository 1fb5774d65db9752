//! Figures for Prometheus: what the engine counts, how long requests and calls of stores take, queues beside their named limits.
//! Kept in a recorder of its own, so that two servers in one process do not mix; no figure carries an id of a customer.

pub mod list;
mod process;

use crate::{codes, limits};
use list::Kind;
use luopan_engine::api::Stats;
use luopan_store::Queue;
use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::path::PathBuf;
use std::time::Duration;

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS_S: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// How an attempt at something ends.
const RESULTS: [&str; 2] = ["failed", "done"];

const AT: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The figures of one server.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    intake: Histogram,
    decide: Histogram,
    /// The data folder, whose disk is looked at.
    data: Option<PathBuf>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What the page shows beside the engine's figures, as it is now.
#[derive(Debug, Clone, Default)]
pub struct Now {
    /// Requests worked on.
    pub requests: usize,
    /// Bytes of request bodies held.
    pub bodies_bytes: usize,
    /// Queues of the stores.
    pub queues: Vec<Queue>,
    /// Inputs in quarantine; none when they could not be counted.
    pub quarantine: Option<usize>,
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = (labels.iter())
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(name, labels)
}

impl Metrics {
    /// An empty set of figures. `data`: the folder whose disk is looked at, where there is one.
    ///
    /// # Errors
    /// Words of the exporter, when its settings are not right.
    pub fn new(data: Option<PathBuf>) -> Result<Self, String> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(LATENCY_BUCKETS_S)
            .map_err(|e| e.to_string())?
            .set_buckets_for_metric(
                Matcher::Full(list::HTTP_INPUTS.to_owned()),
                &[1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0],
            )
            .map_err(|e| e.to_string())?
            .build_recorder();
        let handle = recorder.handle();
        for m in list::ALL {
            let (name, unit, words) = (m.name.into(), m.unit(), SharedString::const_str(m.words));
            match m.kind {
                Kind::Counter => recorder.describe_counter(name, unit, words),
                Kind::Gauge => recorder.describe_gauge(name, unit, words),
                Kind::Histogram => recorder.describe_histogram(name, unit, words),
            }
        }
        let metrics = Self {
            intake: recorder.register_histogram(&key(list::INTAKE_SECONDS, &[]), &AT),
            decide: recorder.register_histogram(&key(list::DECIDE_SECONDS, &[]), &AT),
            recorder,
            handle,
            data,
        };
        for (name, limit) in limits::SHOWN {
            metrics.set(list::LIMIT, &[("name", name)], *limit as f64);
        }
        let semantics = luopan_kernel::SEMANTICS.to_string();
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("semantics", &semantics),
        ];
        metrics.set(list::BUILD, &build, 1.0);
        // An alert sees the first one only when there was a zero before it.
        for code in codes::ALL
            .iter()
            .filter(|c| c.status == 429 || c.status >= 500)
        {
            let key = key(list::REFUSALS, &[("code", code.word)]);
            metrics.recorder.register_counter(&key, &AT).increment(0);
        }
        for result in RESULTS {
            let key = key(list::RETENTIONS, &[("result", result)]);
            metrics.recorder.register_counter(&key, &AT).increment(0);
        }
        metrics.set(list::REQUESTS_LIMIT, &[], limits::REQUESTS_MAX as f64);
        metrics.set(list::BODIES_LIMIT, &[], limits::BODIES_BYTES_MAX as f64);
        Ok(metrics)
    }

    fn set(&self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        let key = key(name, labels);
        self.recorder.register_gauge(&key, &AT).set(value);
    }

    fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        let key = key(name, labels);
        self.recorder.register_counter(&key, &AT).increment(1);
    }

    /// Notes a finished request.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let status = status.to_string();
        let labels = [("method", method), ("route", route), ("status", &status)];
        let key = key(list::HTTP_SECONDS, &labels);
        self.recorder
            .register_histogram(&key, &AT)
            .record(took.as_secs_f64());
    }

    /// Notes how many inputs a request brought.
    pub fn inputs(&self, count: usize) {
        let key = Key::from_static_name(list::HTTP_INPUTS);
        self.recorder
            .register_histogram(&key, &AT)
            .record(count as f64);
    }

    /// Notes how long a batch of inputs took to be acknowledged.
    pub fn intake(&self, took: Duration) {
        self.intake.record(took.as_secs_f64());
    }

    /// Notes how long a call for decisions took.
    pub fn decide(&self, took: Duration) {
        self.decide.record(took.as_secs_f64());
    }

    /// Notes a refusal with this code.
    pub fn refused(&self, code: &str) {
        self.count(list::REFUSALS, &[("code", code)]);
    }

    /// Notes an input that went to quarantine with this code.
    pub fn quarantined(&self, code: &str) {
        self.count(list::QUARANTINED, &[("code", code)]);
    }

    /// Notes that the log was truncated by this server itself, or that it could not be.
    pub fn retained(&self, done: bool) {
        self.count(list::RETENTIONS, &[("result", RESULTS[usize::from(done)])]);
    }

    /// Notes how many things a monitor found to have changed when it last looked.
    pub fn looked(&self, scene: &str, monitor: &str, drifts: usize) {
        let labels = [("scene", scene), ("monitor", monitor)];
        self.set(list::DRIFTS, &labels, drifts as f64);
    }

    /// Where calls of a store are noted: how long they took, and those that failed.
    pub fn store_call(&self, store: &'static str, call: &'static str) -> (Histogram, Counter) {
        let labels = [("store", store), ("call", call)];
        (
            self.recorder
                .register_histogram(&key(list::STORE_SECONDS, &labels), &AT),
            self.recorder
                .register_counter(&key(list::STORE_ERRORS, &labels), &AT),
        )
    }

    /// Puts what was noted into its buckets. To be called again and again: what nobody asks for must not pile up.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The page, with the figures as they are now.
    pub fn page(&self, stats: &Stats, now: &Now) -> String {
        for m in list::ALL {
            let Some(read) = m.read else { continue };
            let key = Key::from_static_name(m.name);
            if m.kind == Kind::Counter {
                let counter = self.recorder.register_counter(&key, &AT);
                counter.absolute(read(stats) as u64);
            } else {
                self.recorder.register_gauge(&key, &AT).set(read(stats));
            }
        }
        for (name, spent) in &stats.budgets {
            self.set(list::BUDGET, &[("budget", &dated(name))], *spent as f64);
        }
        for (name, samples) in &stats.models {
            self.set(list::MODEL, &[("model", name)], *samples as f64);
        }
        self.set(list::REQUESTS, &[], now.requests as f64);
        self.set(list::BODIES, &[], now.bodies_bytes as f64);
        for queue in &now.queues {
            let labels = [("queue", queue.name)];
            self.set(list::QUEUE, &labels, queue.waiting as f64);
            self.set(list::QUEUE_LIMIT, &labels, queue.limit as f64);
        }
        if let Some(rows) = now.quarantine {
            self.set(list::QUARANTINE, &[], rows as f64);
        }
        if let Some((free, size)) = self.data.as_deref().and_then(process::disk) {
            self.set(list::DISK_FREE, &[], free as f64);
            self.set(list::DISK_SIZE, &[], size as f64);
        }
        let process = process::this();
        if let Some(seconds) = process.cpu_s {
            let key = Key::from_static_name(list::CPU);
            self.recorder.register_counter(&key, &AT).absolute(seconds);
        }
        let levels = [
            (list::MEMORY, process.memory.map(|n| n as f64)),
            (list::STARTED, process.started_s),
            (list::FILES, process.files.map(|n| n as f64)),
            (list::FILES_LIMIT, process.files_max.map(|n| n as f64)),
        ];
        for (name, value) in levels {
            if let Some(value) = value {
                self.set(name, &[], value);
            }
        }
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// The name of a budget in its period, a day as its date: the ledger counts days since 1970.
fn dated(name: &str) -> String {
    let date = name.rsplit_once("/day-").and_then(|(budget, day)| {
        let days = jiff::Span::new().try_days(day.parse::<i64>().ok()?).ok()?;
        let date = jiff::civil::date(1970, 1, 1).checked_add(days).ok()?;
        Some(format!("{budget}/{date}"))
    });
    date.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_counts_latencies_and_limits() {
        let metrics = Metrics::new(None).unwrap();
        metrics.request("GET", "/healthz", 200, Duration::from_millis(3));
        let stats = Stats {
            events_accepted: 7,
            budgets: vec![("1/emails".into(), 5), ("mail/emails/day-20778".into(), 6)],
            ..Stats::default()
        };
        let now = Now {
            queues: vec![Queue {
                name: "commit",
                waiting: 2,
                limit: 9,
            }],
            quarantine: Some(3),
            ..Now::default()
        };
        let page = metrics.page(&stats, &now);
        for line in [
            "luopan_events_accepted_total 7",
            "luopan_budget_spent{budget=\"1/emails\"} 5",
            "luopan_budget_spent{budget=\"mail/emails/2026-11-21\"} 6",
            "luopan_limit{name=\"event_bytes\"} 1048576",
            "luopan_store_queue_calls{queue=\"commit\"} 2",
            "luopan_store_queue_calls_max{queue=\"commit\"} 9",
            "luopan_quarantine_rows 3",
            "le=\"0.005\"} 1",
        ] {
            assert!(page.contains(line), "`{line}` is not in\n{page}");
        }
        assert!(!page.contains("luopan_disk_free_bytes"), "{page}");
        // A counter shows what the engine says, not what was shown before plus that.
        assert!(
            metrics
                .page(&stats, &now)
                .contains("luopan_events_accepted_total 7")
        );
    }

    #[test]
    fn names_are_those_of_prometheus() {
        let mut names: Vec<&str> = list::ALL.iter().map(|m| m.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|w| w[0] != w[1]));
        for m in list::ALL {
            assert_eq!(
                m.kind == Kind::Counter,
                m.name.ends_with("_total"),
                "{}",
                m.name
            );
            assert!(m.name.starts_with("luopan_") || m.name.starts_with("process_"));
            let of = m.name.trim_end_matches("_max");
            assert!(
                of == m.name || of == "process" || names.contains(&of) || of.starts_with("process"),
                "{} is the limit of nothing",
                m.name
            );
        }
    }
}
