//! The machine's environment with a clock that whoever drives the engine moves, for measurements that let simulated time pass. This room
//! must never move the clock by itself.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use luopan_engine::Env;
use luopan_kernel::id::hash64;
use luopan_kernel::time::Micros;
use luopan_server::env::RealEnv;

/// Longest real sleep of the engine's tasks: their clock runs much faster than the wall's.
const SLEEP_MAX: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Debug)]
pub struct Moved {
    real: RealEnv,
    now: AtomicI64,
    /// A seed, and how many draws were asked of it.
    draws: Option<(u64, AtomicU64)>,
}

impl Moved {
    /// An environment whose clock stands at `now`, with draws of the machine.
    #[must_use]
    pub fn new(now: Micros) -> Self {
        Self {
            real: RealEnv::default(),
            now: AtomicI64::new(now.0),
            draws: None,
        }
    }

    /// As [`Moved::new`], with draws of `seed`, which are the same as long as they are asked for in the same order.
    #[must_use]
    pub fn seeded(now: Micros, seed: u64) -> Self {
        Self {
            draws: Some((seed, AtomicU64::new(0))),
            ..Self::new(now)
        }
    }

    /// Moves the clock to `at`; never back.
    pub fn to(&self, at: Micros) {
        self.now.fetch_max(at.0, Ordering::SeqCst);
    }
}

impl Env for Moved {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::SeqCst))
    }
    fn fresh_id(&self) -> [u8; 16] {
        self.real.fresh_id()
    }
    fn seed(&self) -> u64 {
        let Some((seed, asked)) = &self.draws else {
            return self.real.seed();
        };
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        hash64(&[seed.to_le_bytes(), turn.to_le_bytes()].concat())
    }
    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        let asked = Duration::from_micros(u64::try_from(us).unwrap_or(0));
        tokio::time::sleep(asked.min(SLEEP_MAX)).boxed()
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.real.spawn(name, task);
    }
    fn utc_offset_s(&self, zone: &str, at: Micros) -> Option<i32> {
        self.real.utc_offset_s(zone, at)
    }
}
