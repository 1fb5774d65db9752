//! Tests of the simulator: what it promises to the tests and demos that stand on it. They may read the truth.

mod fund;
