//! Figures for Prometheus: what the engine counts, how long requests take, and the named limits. Kept in a recorder of its
//! own, so that two servers in one process do not mix; no figure carries an id of a customer.

use crate::limits;
use luopan_engine::api::Stats;
use metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::time::Duration;

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS_S: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

const AT: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// The figures of one server.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Counters that [`Stats`] fills: name, words, reading.
type Counted = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTERS: &[Counted] = &[
    (
        "luopan_events_accepted_total",
        "events accepted into the log",
        |s| s.events_accepted,
    ),
    (
        "luopan_events_quarantined_total",
        "inputs put in quarantine",
        |s| s.events_quarantined,
    ),
    ("luopan_events_folded_total", "events folded", |s| {
        s.events_folded
    }),
    (
        "luopan_events_duplicate_total",
        "duplicates that the fold dropped",
        |s| s.events_duplicate,
    ),
    ("luopan_decisions_total", "decisions made", |s| s.decisions),
    (
        "luopan_decisions_null_total",
        "decisions that were the null action",
        |s| s.decisions_null,
    ),
    (
        "luopan_decision_retries_total",
        "commits that lost and were tried again",
        |s| s.decision_retries,
    ),
    ("luopan_rewards_total", "rewards settled", |s| s.rewards),
    ("luopan_samples_total", "samples learned", |s| s.samples),
    ("luopan_timers_fired_total", "timers fired", |s| {
        s.timers_fired
    }),
];

const GAUGES: &[Counted] = &[
    (
        "luopan_fold_lag_entries",
        "log entries not yet folded",
        |s| s.fold_lag,
    ),
    ("luopan_outbox_rows", "rows waiting in the outbox", |s| {
        s.outbox
    }),
    (
        "luopan_halted_partitions",
        "partitions whose fold stopped at a fault",
        |s| s.halted.len() as u64,
    ),
];

const HTTP_SECONDS: &str = "luopan_http_request_duration_seconds";
const HTTP_INPUTS: &str = "luopan_http_inputs_per_request";

fn text(s: &'static str) -> SharedString {
    SharedString::const_str(s)
}

impl Metrics {
    /// An empty set of figures.
    ///
    /// # Errors
    /// Words of the exporter, when its settings are not right.
    pub fn new() -> Result<Self, String> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(LATENCY_BUCKETS_S)
            .map_err(|e| e.to_string())?
            .set_buckets_for_metric(
                metrics_exporter_prometheus::Matcher::Full(HTTP_INPUTS.to_owned()),
                &[1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0],
            )
            .map_err(|e| e.to_string())?
            .build_recorder();
        let handle = recorder.handle();
        for (name, words, _) in COUNTERS {
            recorder.describe_counter((*name).into(), None, text(words));
        }
        for (name, words, _) in GAUGES {
            recorder.describe_gauge((*name).into(), None, text(words));
        }
        recorder.describe_gauge("luopan_limit".into(), None, text("named limits"));
        recorder.describe_gauge(
            "luopan_budget_spent".into(),
            None,
            text("spent per budget and period"),
        );
        recorder.describe_gauge(
            "luopan_model_samples".into(),
            None,
            text("samples behind the present snapshot of a model"),
        );
        recorder.describe_gauge(
            "luopan_http_requests_in_flight".into(),
            None,
            text("requests worked on now"),
        );
        recorder.describe_histogram(
            HTTP_SECONDS.into(),
            Some(Unit::Seconds),
            text("time from the request's head to its answer"),
        );
        recorder.describe_histogram(
            HTTP_INPUTS.into(),
            None,
            text("inputs in a request to /v1/events"),
        );
        for (name, limit) in limits::SHOWN {
            let key = Key::from_parts("luopan_limit", vec![Label::new("name", *name)]);
            recorder.register_gauge(&key, &AT).set(*limit as f64);
        }
        Ok(Self { recorder, handle })
    }

    /// Notes a finished request.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = vec![
            Label::new("method", method.to_owned()),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let key = Key::from_parts(HTTP_SECONDS, labels);
        self.recorder
            .register_histogram(&key, &AT)
            .record(took.as_secs_f64());
    }

    /// Notes how many inputs a request brought.
    pub fn inputs(&self, count: usize) {
        let key = Key::from_static_name(HTTP_INPUTS);
        self.recorder
            .register_histogram(&key, &AT)
            .record(count as f64);
    }

    /// The page, with the engine's figures as they are now.
    pub fn page(&self, stats: &Stats, in_flight: usize) -> String {
        for (name, _, read) in COUNTERS {
            let key = Key::from_static_name(name);
            self.recorder
                .register_counter(&key, &AT)
                .absolute(read(stats));
        }
        for (name, _, read) in GAUGES {
            let key = Key::from_static_name(name);
            self.recorder
                .register_gauge(&key, &AT)
                .set(read(stats) as f64);
        }
        for (name, spent) in &stats.budgets {
            let key = Key::from_parts(
                "luopan_budget_spent",
                vec![Label::new("budget", dated(name))],
            );
            self.recorder.register_gauge(&key, &AT).set(*spent as f64);
        }
        for (name, samples) in &stats.models {
            let key = Key::from_parts(
                "luopan_model_samples",
                vec![Label::new("model", name.clone())],
            );
            self.recorder.register_gauge(&key, &AT).set(*samples as f64);
        }
        let key = Key::from_static_name("luopan_http_requests_in_flight");
        self.recorder
            .register_gauge(&key, &AT)
            .set(in_flight as f64);
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
        let metrics = Metrics::new().unwrap();
        metrics.request("GET", "/healthz", 200, Duration::from_millis(3));
        let stats = Stats {
            events_accepted: 7,
            budgets: vec![("1/emails".into(), 5), ("mail/emails/day-20778".into(), 6)],
            ..Stats::default()
        };
        let page = metrics.page(&stats, 1);
        assert!(page.contains("luopan_events_accepted_total 7"), "{page}");
        assert!(page.contains("luopan_budget_spent{budget=\"1/emails\"} 5"));
        assert!(page.contains("luopan_budget_spent{budget=\"mail/emails/2026-11-21\"} 6"));
        assert!(page.contains("luopan_limit{name=\"event_bytes\"} 1048576"));
        assert!(page.contains("le=\"0.005\"} 1"));
        // A counter shows what the engine says, not what was shown before plus that.
        assert!(
            metrics
                .page(&stats, 1)
                .contains("luopan_events_accepted_total 7")
        );
    }
}
