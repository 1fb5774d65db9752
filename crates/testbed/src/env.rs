//! The victim's environment: the machine's clock, which can be held still while the laws are checked, so that no timer
//! comes due between two looks. It never runs backwards within a process.

use futures::FutureExt;
use futures::future::BoxFuture;
use luopan_engine::Env;
use luopan_kernel::id::hash64;
use luopan_kernel::time::Micros;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// While the clock is held, every sleep ends within this, so that what waits for a time looks again.
const SLICE_US: i64 = 10_000;
/// The clock runs.
const RUNS: i64 = i64::MIN;

/// The environment.
#[derive(Debug)]
pub struct VictimEnv {
    held: Arc<AtomicI64>,
}

impl Default for VictimEnv {
    fn default() -> Self {
        Self {
            held: Arc::new(AtomicI64::new(RUNS)),
        }
    }
}

fn machine_now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl VictimEnv {
    /// Holds the clock at now.
    pub fn hold(&self) -> Micros {
        let now = machine_now();
        self.held.store(now, Ordering::SeqCst);
        Micros(now)
    }

    /// Lets the clock run again.
    pub fn release(&self) {
        self.held.store(RUNS, Ordering::SeqCst);
    }
}

impl Env for VictimEnv {
    fn now(&self) -> Micros {
        match self.held.load(Ordering::SeqCst) {
            RUNS => Micros(machine_now()),
            held => Micros(held),
        }
    }

    fn fresh_id(&self) -> [u8; 16] {
        uuid::Uuid::now_v7().into_bytes()
    }

    fn seed(&self) -> u64 {
        hash64(&self.fresh_id())
    }

    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        let held = self.held.clone();
        async move {
            let mut left = us.max(0);
            while left > 0 {
                let slice = left.min(SLICE_US);
                tokio::time::sleep(Duration::from_micros(slice.unsigned_abs())).await;
                left -= slice;
                if held.load(Ordering::SeqCst) != RUNS {
                    return;
                }
            }
        }
        .boxed()
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn utc_offset_s(&self, zone: &str, _at: Micros) -> Option<i32> {
        match zone {
            "UTC" => Some(0),
            "Asia/Shanghai" => Some(28_800),
            _ => None,
        }
    }
}
