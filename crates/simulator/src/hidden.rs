//! What moves the customers: hidden types, tastes that drift, the season. It must never be shown outside this crate but
//! through the world's own `truth`.

use crate::chance::{Purpose, stream};
use luopan_kernel::random::Random;
use luopan_kernel::time::{DAY_US, Micros};

/// Dimensions of taste.
pub(crate) const TASTES: usize = 4;
/// Number of hidden types.
pub(crate) const TYPES: usize = 5;
/// A direction of taste.
pub(crate) type Taste = [f64; TASTES];

/// Period of the turn of all tastes: ten weeks.
const TURN_US: f64 = 70.0 * DAY_US as f64;
/// Period of the season: a year.
const YEAR_US: f64 = 365.25 * DAY_US as f64;
const TAU: f64 = 2.0 * std::f64::consts::PI;

/// A hidden type of customer. No attribute or event names it.
#[derive(Debug, Clone)]
pub(crate) struct HiddenType {
    /// Centre of its tastes.
    pub(crate) taste: Taste,
    /// How steep its liking is around the threshold.
    pub(crate) steepness: f64,
    /// Appeal from which it acts.
    pub(crate) threshold: f64,
    /// Contacts, as remembered, that halve its response.
    pub(crate) patience: f64,
    /// How readily it answers no.
    pub(crate) irritability: f64,
    /// True for those who plan for years: long terms attract them just after a deposit and repel the others.
    pub(crate) planner: bool,
    /// Factor on the median delay of an order.
    pub(crate) slowness: f64,
}

/// The fixed part of a world: what all its customers are like.
#[derive(Debug, Clone)]
pub(crate) struct Hidden {
    pub(crate) types: Vec<HiddenType>,
    /// Where the turn of tastes and the season stand at time zero, radians.
    phase: f64,
}

fn direction(chance: &mut Random, scale: f64) -> Taste {
    std::array::from_fn(|_| scale * chance.normal())
}

impl Hidden {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = stream(seed, Purpose::World, 0);
        // The centres are apart in every world, so that there is always something to learn; the seed moves them.
        let centres: [Taste; TYPES] = [
            [-1.1, 1.3, -0.8, -0.2],
            [1.4, -0.9, -0.3, 0.9],
            [0.1, 0.5, 1.5, -0.4],
            [0.7, 0.0, -0.1, 1.6],
            [-0.4, 0.2, 0.4, -1.2],
        ];
        let types = centres
            .iter()
            .enumerate()
            .map(|(i, centre)| {
                let moved = direction(&mut chance, 0.25);
                HiddenType {
                    taste: std::array::from_fn(|k| centre[k] + moved[k]),
                    steepness: 1.6 + 0.8 * chance.uniform(),
                    threshold: 1.8 + 0.5 * chance.uniform(),
                    patience: 2.0 + 3.0 * chance.uniform(),
                    irritability: 0.5 + 1.2 * chance.uniform(),
                    planner: i % 2 == 0,
                    slowness: 0.5 + 1.5 * chance.uniform(),
                }
            })
            .collect();
        Self {
            types,
            phase: TAU * chance.uniform(),
        }
    }

    /// A taste as it stands at `at`: turned in the plane of excitement and safety with the weeks, with fashion rising
    /// and falling over the year.
    pub(crate) fn taste_at(&self, taste: &Taste, own_phase: f64, at: Micros) -> Taste {
        let t = at.0 as f64;
        let turn = 0.45 * libm::sin(TAU * t / TURN_US + self.phase + own_phase);
        let (sin, cos) = (libm::sin(turn), libm::cos(turn));
        let season = 1.0 + 0.3 * libm::cos(TAU * t / YEAR_US + self.phase);
        [
            cos * taste[0] - sin * taste[1],
            sin * taste[0] + cos * taste[1],
            taste[2],
            season * taste[3],
        ]
    }
}
