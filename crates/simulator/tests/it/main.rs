//! Tests of the simulator: what it promises to the tests and demos that stand on it. They may read the truth.

mod answers;
mod determinism;
mod fund;
mod habits;
mod shape;

use luopan_kernel::time::Micros;

/// 2026-09-01T00:00:00Z, a Tuesday.
const START: Micros = Micros(1_788_220_800_000_000);
