//! The data folder: opening the stores in it and the engine over them. The one place that knows which backends are used.

use crate::env::RealEnv;
use crate::problem::{Problem, Result};
use luopan_embedded::Embedded;
use luopan_engine::api::{RefusalKind, VerifyReport, WAIT_US_MAX};
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
    /// Which installation it is.
    pub installation: String,
}

/// Opens the stores of a data folder alone, and says which installation it is.
///
/// # Errors
/// `data_in_use` when another process holds it, `data_unusable` when it is missing, was moved elsewhere or cannot be read.
pub async fn stores(data: &Path, opening: Opening) -> Result<(Stores, String)> {
    if opening == Opening::Existing && !data.exists() {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "there is no data folder {}; `luopan scene apply PATH` makes one, or name another with --data",
                data.display()
            ),
        ));
    }
    if let Ok(words) = std::fs::read_to_string(data.join(crate::backup::MOVED)) {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "{}: {} Two that go on from one past would both send and spend; name the cluster with --config, or, if it was \
                 given up, remove the file {} from the folder",
                data.display(),
                words.trim(),
                crate::backup::MOVED
            ),
        ));
    }
    let embedded = Embedded::open(data, luopan_embedded::Options::default()).await?;
    Ok((embedded.stores(), embedded.mark().to_owned()))
}

/// Opens a data folder and recovers the engine.
///
/// # Errors
/// As [`stores()`]; what the engine refuses.
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
    let (stores, installation) = stores(data, opening).await?;
    let stores = seen(stores);
    let env = Arc::new(RealEnv::default());
    let engine = Engine::open(stores.clone(), env.clone(), Limits::default()).await?;
    Ok(Opened {
        engine,
        stores,
        env,
        installation,
    })
}

/// Waits until nothing else holds stores that are about to be dropped: while something does, their folder is in use.
pub(crate) async fn let_go(stores: &Stores) {
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

    /// Folds what is left, ends the engine, and compares everything with the log.
    ///
    /// # Errors
    /// As [`Opened::settle`]; those of the stores.
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.settle().await?;
        // Stopped, so that no timer fires between what is replayed and what it is compared with.
        self.engine.stop().await;
        Ok(self.engine.verify().await?)
    }

    /// What a backup is taken of.
    #[must_use]
    pub fn source(&self) -> crate::backup::Source {
        crate::backup::Source {
            stores: self.stores.clone(),
            installation: self.installation.clone(),
        }
    }

    /// Drains and ends the engine and lets go of the folder.
    pub async fn close(self) {
        let Self {
            engine,
            stores,
            env,
            installation: _,
        } = self;
        engine.stop().await;
        drop((engine, env));
        // A task that just ended may hold the stores for another moment.
        let_go(&stores).await;
    }
}
