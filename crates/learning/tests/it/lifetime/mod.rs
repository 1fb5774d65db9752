//! Policies over many steps: what is learned and what is said of it, against worlds whose truth dynamic programming tells.

mod evaluation;
mod learning;
mod refusals;
mod world;

use luopan_learning::lifetime::{Judged, Regressor, Settings};

/// Means of cells: a state's level and nothing else.
const CELLS: Regressor = Regressor::Linear { alpha: 0.0 };

fn settings(horizon: usize, discount: f64) -> Settings {
    Settings {
        horizon,
        discount,
        regressor: CELLS,
        double: true,
        min_share: 0.02,
        tolerance: 0.0,
        seed: 1,
    }
}

fn judged(horizon: usize, discount: f64) -> Judged {
    Judged {
        horizon,
        discount,
        regressor: CELLS,
        tolerance: 0.0,
        resamples: 200,
        refits: 0,
        level: 0.95,
        effective_least: 50.0,
        seed: 1,
    }
}

fn all(customers: usize) -> Vec<u32> {
    (0..customers as u32).collect()
}
