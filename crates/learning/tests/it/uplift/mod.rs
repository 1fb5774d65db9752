//! Uplift: measured as scikit-uplift and causalml measure it, lawful, near a known truth, and refused with what was found.

mod economics;
mod laws;
mod recovered;
mod reference;
mod refused;
mod table;

use luopan_kernel::random::Random;
use luopan_learning::gbdt::{Column, Kind};
use luopan_learning::uplift::{Arms, Propensities, Trial};

pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// A trial of a known world: three features of normal numbers, treatments with effects of their own on an outcome of 0 or 1 or on
/// a number.
pub(crate) struct World {
    pub(crate) features: Vec<Vec<f64>>,
    pub(crate) arms: Arms,
    pub(crate) outcomes: Vec<f64>,
    /// Rows x arms.
    pub(crate) propensities: Vec<f64>,
    /// Rows x treatments.
    pub(crate) effects: Vec<f64>,
}

/// What the first treatment changes, and what the second does.
fn effect(treatment: usize, row: &[f64; 3]) -> f64 {
    match treatment {
        0 => 0.2 * f64::from(u8::from(row[0] > 0.0)) - 0.05,
        _ => 0.15 * f64::from(u8::from(row[1] > 0.5)),
    }
}

impl World {
    /// `confounded` rows get treatments by their first feature.
    pub(crate) fn new(
        rows: usize,
        treatments: usize,
        is_binary: bool,
        confounded: bool,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            features: vec![Vec::new(); 3],
            arms: Arms::of_codes(&[0, 1]).expect("arms"),
            outcomes: Vec::new(),
            propensities: Vec::new(),
            effects: Vec::new(),
        };
        let mut codes = Vec::new();
        for _ in 0..rows {
            let row: [f64; 3] = core::array::from_fn(|_| random.normal());
            let moved = if confounded {
                (0.5 * row[0]).clamp(-0.5, 0.5)
            } else {
                0.0
            };
            let none = (0.5 - 0.5 * moved) / (1.0 + (treatments as f64 - 1.0) * 0.5);
            let each = (1.0 - none) / treatments as f64;
            let drawn = random.uniform();
            let code = if drawn < none {
                0
            } else {
                1 + (((drawn - none) / each) as usize).min(treatments - 1)
            };
            let effects: Vec<f64> = (0..treatments).map(|at| effect(at, &row)).collect();
            let mean =
                0.3 + 0.1 * row[0].clamp(-1.5, 1.5) + 0.05 * f64::from(u8::from(row[2] > 0.0));
            let mean = mean + if code == 0 { 0.0 } else { effects[code - 1] };
            let outcome = match is_binary {
                true => f64::from(u8::from(random.uniform() < mean)),
                false => mean + 0.3 * random.normal(),
            };
            (world.features.iter_mut().zip(row)).for_each(|(column, value)| column.push(value));
            codes.push(code as u32);
            world.outcomes.push(outcome);
            world.propensities.push(none);
            world
                .propensities
                .extend(core::iter::repeat_n(each, treatments));
            world.effects.extend(effects);
        }
        world.arms = Arms::of_codes(&codes).expect("arms");
        world
    }

    pub(crate) fn columns(&self) -> Vec<Column<'_>> {
        let of = |(name, values)| Column {
            name,
            values,
            kind: Kind::Number,
        };
        let features = self.features.iter().map(Vec::as_slice);
        NAMES.into_iter().zip(features).map(of).collect()
    }

    pub(crate) fn trial<'a>(
        &'a self,
        columns: &'a [Column<'a>],
        propensities: Propensities<'a>,
    ) -> Trial<'a> {
        Trial {
            columns,
            outcomes: &self.outcomes,
            arms: &self.arms,
            weights: None,
            propensities,
        }
    }
}
