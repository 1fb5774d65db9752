//! An environment whose clock stands until a test moves it, so that weeks pass in a test.

use futures::future::BoxFuture;
use luopan_engine::Env;
use luopan_kernel::time::Micros;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// When it starts: 2026-01-01T00:00:00Z.
pub(crate) const START: Micros = Micros(1_767_225_600_000_000);

#[derive(Debug)]
pub(crate) struct Clock {
    now: AtomicI64,
    ids: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(START.0),
            ids: AtomicU64::new(1),
        })
    }

    pub(crate) fn pass(&self, us: i64) {
        self.now.fetch_add(us, Ordering::SeqCst);
    }

    /// Spread over the partitions, as ids and seeds of a real clock are.
    fn mixed(&self) -> (u64, u64) {
        let n = self.ids.fetch_add(1, Ordering::SeqCst);
        (n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Env for Clock {
    fn now(&self) -> Micros {
        Micros(self.now.load(Ordering::SeqCst))
    }
    fn fresh_id(&self) -> [u8; 16] {
        let (n, mixed) = self.mixed();
        uuid::Uuid::from_u64_pair(
            0x0190_0000_0000_7000 | (n & 0xfff),
            0x8000_0000_0000_0000 | mixed >> 2,
        )
        .into_bytes()
    }
    fn seed(&self) -> u64 {
        self.mixed().1
    }
    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        let us = us.clamp(0, 2_000) as u64;
        Box::pin(tokio::time::sleep(Duration::from_micros(us)))
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
    fn utc_offset_s(&self, _zone: &str, _at: Micros) -> Option<i32> {
        Some(0)
    }
}
