//! What the program tells of itself beside its answers: lines on standard error and traces. Neither may ever hold what identifies
//! a customer, what was told of one, or a key; a test searches both for it.

pub mod logs;
pub mod traces;

use crate::problem::{Problem, Result};
use logs::LogFormat;
use traces::{Export, Traces};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is told until it is dropped; [`Telemetry::end`] sends what is left.
#[derive(Debug)]
pub struct Telemetry {
    export: Option<Export>,
}

impl Telemetry {
    /// Begins to tell. `traces`: what the configuration says of traces; none for a program that sends none.
    ///
    /// # Errors
    /// `bad_config` for settings of traces that cannot be meant.
    pub fn start(format: LogFormat, traces: Option<&Traces>) -> Result<Self> {
        let export = match traces {
            Some(traces) => traces.export().map_err(|why| {
                Problem::new(
                    "bad_config",
                    format!("traces: {why}; docs/traces.md says what may be set"),
                )
            })?,
            None => None,
        };
        let lines = logs::layer(format);
        let spans = export.as_ref().map(Export::layer);
        // A second initialisation (in tests) leaves the first in place.
        let _ = tracing_subscriber::registry()
            .with(lines)
            .with(spans)
            .try_init();
        if let Some(export) = &export {
            tracing::info!(target: "luopan", endpoint = export.endpoint(), "traces are sent");
        }
        Ok(Self { export })
    }

    /// Sends what is left.
    pub fn end(self) {
        if let Some(export) = self.export {
            export.end();
        }
    }
}
