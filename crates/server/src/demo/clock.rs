//! The environment of the demo: the real one, but for its clock, which the demo moves and which runs much faster. Delays,
//! windows and timers of days pass in seconds; nothing in the engine knows. It must never run ahead of the wall clock, so
//! that the data folder can be served on afterwards.

use crate::env::RealEnv;
use futures::FutureExt;
use futures::future::BoxFuture;
use luopan_engine::Env;
use luopan_kernel::time::Micros;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// Shortest real sleep: a wait of simulated seconds would otherwise spin.
const SLEEP_MIN: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct DemoEnv {
    real: Arc<RealEnv>,
    now: AtomicI64,
    fast: AtomicBool,
    /// Simulated microseconds in a real one, above zero.
    pace: f64,
}

impl DemoEnv {
    /// A clock that stands at `start` until it is moved. Sleeps take as long as they say until [`DemoEnv::hurry`].
    pub(crate) fn new(real: Arc<RealEnv>, start: Micros, pace: f64) -> Self {
        Self {
            real,
            now: AtomicI64::new(start.0),
            fast: AtomicBool::new(false),
            pace: pace.max(1.0),
        }
    }

    /// From here on sleeps are shorter than they say, by the pace of this clock.
    pub(crate) fn hurry(&self) {
        self.fast.store(true, Ordering::SeqCst);
    }

    /// Moves the clock; it never goes back.
    pub(crate) fn advance(&self, to: Micros) {
        self.now.fetch_max(to.0, Ordering::SeqCst);
    }
}

impl Env for DemoEnv {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::SeqCst))
    }

    fn fresh_id(&self) -> [u8; 16] {
        self.real.fresh_id()
    }

    fn seed(&self) -> u64 {
        self.real.seed()
    }

    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        let asked = Duration::from_micros(u64::try_from(us).unwrap_or(0));
        let pace = if self.fast.load(Ordering::SeqCst) {
            self.pace
        } else {
            1.0
        };
        tokio::time::sleep(asked.div_f64(pace).max(SLEEP_MIN.min(asked))).boxed()
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.real.spawn(name, task);
    }

    fn utc_offset_s(&self, zone: &str, at: Micros) -> Option<i32> {
        self.real.utc_offset_s(zone, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use luopan_kernel::time::{DAY_US, SECOND_US};

    #[tokio::test]
    async fn days_pass_in_moments_and_never_back() {
        let env = DemoEnv::new(Arc::new(RealEnv::default()), Micros(0), 86_400_000.0);
        env.advance(Micros(2 * DAY_US));
        env.advance(Micros(DAY_US));
        assert_eq!(env.now(), Micros(2 * DAY_US));
        let started = std::time::Instant::now();
        env.sleep(SECOND_US / 20).await;
        assert!(started.elapsed() >= Duration::from_millis(50));
        env.hurry();
        env.sleep(30 * DAY_US).await;
        env.sleep(SECOND_US).await;
        let took = started.elapsed();
        assert!(
            took >= SLEEP_MIN && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
}
