//! Log retention as operators see it: a command for a folder that is stopped or a cluster, and a server that does it by itself.
//!
//! Of several nodes one does it: that to which the environment's partition falls. A failure is told and tried again; it never
//! stops the server.

use crate::data::Opened;
use crate::metrics::Metrics;
use crate::problem::{Problem, Result};
use luopan_engine::api::RetainReport;
use luopan_engine::{Engine, Env};
use luopan_kernel::time::Micros;
use std::sync::Arc;
use std::time::Duration;

/// After a server has started, and after a try that failed.
const FIRST: Duration = Duration::from_secs(600);
/// Between two times.
const EVERY: Duration = Duration::from_secs(24 * 3_600);

/// How long the log is kept, as it is written: `90d`.
///
/// # Errors
/// A sentence that says what to write.
pub fn keep(text: &str) -> std::result::Result<i64, String> {
    let us = luopan_scene::unit::duration(text)?;
    let least = luopan_engine::limits::RETAINED_US_MIN;
    if us < least {
        return Err(format!(
            "the log is kept for at least {}, found `{text}`",
            luopan_scene::unit::duration_text(least)
        ));
    }
    Ok(us)
}

fn before(now: Micros, keep_us: i64) -> Micros {
    Micros(now.0.saturating_sub(keep_us))
}

/// Compares everything with the log, then lets go of what is older than `keep_us`. Of a cluster whose nodes run nothing is compared.
///
/// # Errors
/// `data_unusable` when anything differs: then nothing is let go. As [`Engine::retain`].
pub async fn once(opened: &Opened, keep_us: i64, compare: bool) -> Result<RetainReport> {
    if compare {
        let found = opened.verify().await?;
        if let Some(first) = found.differences.first() {
            return Err(Problem::new(
                "data_unusable",
                format!(
                    "{} differences between what is stored and the log ({first}): nothing was let go, the log is what it can be mended from; \
                     `luopan verify` tells all",
                    found.differences_count
                ),
            ));
        }
    }
    let now = opened.env.now();
    Ok(opened.engine.retain(before(now, keep_us)).await?)
}

/// Lets go of what is older than `keep_us`, once a day, as long as the server runs.
pub async fn daily(engine: Arc<Engine>, env: Arc<dyn Env>, metrics: Arc<Metrics>, keep_us: i64) {
    let mut wait = FIRST;
    loop {
        tokio::time::sleep(wait).await;
        wait = FIRST;
        if !engine.is_keeper() {
            continue;
        }
        let done = engine.retain(before(env.now(), keep_us)).await;
        metrics.retained(done.is_ok());
        match done {
            Ok(done) => {
                wait = EVERY;
                tracing::info!(
                    target: "luopan",
                    entries = done.entries,
                    left = done.left,
                    "let go of log entries older than is kept"
                );
            }
            Err(e) => {
                tracing::warn!(target: "luopan", error = %e, "the log could not be truncated; it is tried again");
            }
        }
    }
}
