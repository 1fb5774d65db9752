//! The data folder: opening the stores in it and the engine over them. The one place that knows which backends are used.

use crate::env::RealEnv;
use crate::problem::{Problem, Result};
use luopan_embedded::Embedded;
use luopan_engine::api::{RefusalKind, WAIT_US_MAX};
use luopan_engine::{Engine, Limits};
use luopan_store::Stores;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait of a command until what stood in the log is folded.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(600);

/// Pause before timers that are still firing are looked at again.
const TIMERS_PAUSE: Duration = Duration::from_millis(5);

/// Longest wait until nothing holds the stores of a closed folder any more.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

/// Whether a folder that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It is made.
    Create,
    /// It must be there.
    Existing,
}

/// An open data folder.
#[derive(Debug)]
pub struct Opened {
    /// The engine, recovered and not yet started.
    pub engine: Arc<Engine>,
    /// The stores below it.
    pub stores: Stores,
    /// The environment it runs in.
    pub env: Arc<RealEnv>,
}

/// Opens a data folder and recovers the engine.
///
/// # Errors
/// `data_in_use` when another process holds it, `data_unusable` when it is missing or cannot be read.
pub async fn open(data: &Path, opening: Opening) -> Result<Opened> {
    open_as(data, opening, |stores| stores).await
}

/// As [`open`], over what `seen` makes of the stores ([`crate::watched`]).
///
/// # Errors
/// As [`open`].
pub async fn open_as(
    data: &Path,
    opening: Opening,
    seen: impl FnOnce(Stores) -> Stores,
) -> Result<Opened> {
    if opening == Opening::Existing && !data.exists() {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "there is no data folder {}; `luopan scene apply PATH` makes one, or name another with --data",
                data.display()
            ),
        ));
    }
    let embedded = Embedded::open(data, luopan_embedded::Options::default()).await?;
    let stores = seen(embedded.stores());
    // What is seen holds the folder from here on.
    drop(embedded);
    let env = Arc::new(RealEnv::default());
    let engine = Engine::open(stores.clone(), env.clone(), Limits::default()).await?;
    Ok(Opened {
        engine,
        stores,
        env,
    })
}

impl Opened {
    /// Starts the engine and waits until everything in the log is folded and what came due while nothing ran has happened,
    /// so that a command sees what was acknowledged, as of now.
    ///
    /// # Errors
    /// `not_ready` when a partition is halted or the wait is too long.
    pub async fn settle(&self) -> Result<()> {
        self.engine.start().await?;
        let started = Instant::now();
        loop {
            let stats = self.engine.stats().await?;
            if let Some((partition, reason)) = stats.halted.first() {
                return Err(Problem::new(
                    "not_ready",
                    format!("partition {partition} is halted: {reason}"),
                ));
            }
            match self.engine.settle(WAIT_US_MAX).await {
                // What fired last may have left something on its way again.
                Ok(()) if self.engine.timers_idle() => {
                    return Ok(self.engine.settle(WAIT_US_MAX).await?);
                }
                Ok(()) => tokio::time::sleep(TIMERS_PAUSE).await,
                Err(refusal) if refusal.kind != RefusalKind::Timeout => return Err(refusal.into()),
                Err(_) => {}
            }
            if started.elapsed() > SETTLE_TIME_MAX {
                return Err(Problem::new(
                    "not_ready",
                    format!(
                        "{} log entries are still not folded; try again",
                        stats.fold_lag
                    ),
                ));
            }
        }
    }

    /// Drains and ends the engine and lets go of the folder.
    pub async fn close(self) {
        let Self {
            engine,
            stores,
            env,
        } = self;
        engine.stop().await;
        drop((engine, env));
        // A task that just ended may hold the stores for another moment; while it does, the folder is still in use.
        let started = Instant::now();
        let held = || {
            Arc::strong_count(&stores.log) > 1
                || Arc::strong_count(&stores.state) > 1
                || Arc::strong_count(&stores.control) > 1
                || Arc::strong_count(&stores.keys) > 1
        };
        while held() && started.elapsed() < CLOSE_TIME_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
