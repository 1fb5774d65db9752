//! The engine's whole environment: a clock, fresh ids and seeds, sleeping and spawning. The server gives the real one,
//! the testbed a simulated one; the engine touches no clock, timer or executor beside it.

use futures::future::BoxFuture;
use luopan_kernel::time::Micros;

/// Clock, chance and tasks.
pub trait Env: Send + Sync + 'static {
    /// UTC now.
    fn now(&self) -> Micros;
    /// Sixteen bytes of a fresh UUIDv7.
    fn fresh_id(&self) -> [u8; 16];
    /// A fresh seed for one decision.
    fn seed(&self) -> u64;
    /// Ends after `us` microseconds of this environment's time.
    fn sleep(&self, us: i64) -> BoxFuture<'static, ()>;
    /// Runs a task to its end, or until the environment ends.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
    /// Offset of the IANA zone from UTC at `at`, in seconds, and whether the zone is known.
    fn utc_offset_s(&self, zone: &str, at: Micros) -> Option<i32>;
    /// Days since 1970-01-01 of the local date in the zone (for daily budgets); UTC when the zone is unknown.
    fn local_day(&self, zone: &str, at: Micros) -> i64 {
        let offset = i64::from(self.utc_offset_s(zone, at).unwrap_or(0));
        (at.0 + offset * luopan_kernel::time::SECOND_US).div_euclid(luopan_kernel::time::DAY_US)
    }
}
