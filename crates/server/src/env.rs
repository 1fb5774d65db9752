//! The real environment: the machine's clock, fresh ids and seeds, tokio's timers and tasks, the time-zone database.
//! The only place of the product that reads any of these; it decides nothing.

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use luopan_engine::Env;
use luopan_kernel::time::Micros;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most zones kept looked up; beyond it a zone is looked up each time.
const ZONES_MAX: usize = 1024;

/// The real [`Env`].
#[derive(Debug, Default)]
pub struct RealEnv {
    zones: RwLock<HashMap<String, Option<TimeZone>>>,
}

impl RealEnv {
    /// The zone, looked up once.
    fn zone(&self, name: &str) -> Option<TimeZone> {
        if let Some(known) = self.zones.read().get(name) {
            return known.clone();
        }
        let found = TimeZone::get(name).ok();
        let mut zones = self.zones.write();
        if zones.len() < ZONES_MAX {
            zones.insert(name.to_owned(), found.clone());
        }
        found
    }
}

/// UTC now, for code at the rim that has no [`Env`] at hand.
#[must_use]
pub fn now() -> Micros {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Env for RealEnv {
    fn now(&self) -> Micros {
        now()
    }

    fn fresh_id(&self) -> [u8; 16] {
        uuid::Uuid::now_v7().into_bytes()
    }

    fn seed(&self) -> u64 {
        // The operating system's generator has no way to fail once the machine is up; were it to, the fresh id still differs
        // from call to call.
        getrandom::u64().unwrap_or_else(|_| luopan_kernel::id::hash64(&self.fresh_id()))
    }

    fn sleep(&self, us: i64) -> BoxFuture<'static, ()> {
        let us = u64::try_from(us).unwrap_or(0);
        tokio::time::sleep(Duration::from_micros(us)).boxed()
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a background task ended with a panic");
            }
        });
    }

    fn utc_offset_s(&self, zone: &str, at: Micros) -> Option<i32> {
        let zone = self.zone(zone)?;
        let at = jiff::Timestamp::from_microsecond(at.0).ok()?;
        Some(zone.to_offset(at).seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_looked_up() {
        let env = RealEnv::default();
        let at = Micros(1_795_365_000_000_000);
        assert_eq!(env.utc_offset_s("Asia/Shanghai", at), Some(28_800));
        assert_eq!(env.utc_offset_s("Asia/Shanghai", at), Some(28_800));
        assert_eq!(env.utc_offset_s("Mars/Olympus", at), None);
    }

    #[test]
    fn ids_are_fresh_and_ascend_in_time() {
        let env = RealEnv::default();
        let (a, b) = (env.fresh_id(), env.fresh_id());
        assert!(a < b);
        assert_eq!(a[6] >> 4, 7);
    }
}
