//! Lines on standard error: one event a line, as text or as JSON. `docs/logs.md` tells their fields; a test holds that every field
//! which the sources write stands there.

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

/// Names how much is told: `info`, `luopan_engine=debug`.
pub const LEVELS: &str = "LUOPAN_LOG";
/// What is told when nobody says how much.
const LEVELS_DEFAULT: &str = "warn,luopan=info";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: a JSON object a line.
    Json,
}

/// The layer that writes them.
pub(super) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let levels = EnvFilter::try_from_env(LEVELS).unwrap_or_else(|_| EnvFilter::new(LEVELS_DEFAULT));
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match format {
        LogFormat::Text => lines.with_filter(levels).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(levels)
            .boxed(),
    }
}
