//! Chance for the population: one stream of the kernel's pinned generator for each customer and purpose, so that what is
//! done to one customer never moves the dice of another. It must never be seeded from outside the world's seed.

use luopan_kernel::id::hash64;
use luopan_kernel::random::Random;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Purpose {
    /// Tastes of the hidden types.
    World = 1,
    /// Returns of the market, and what happens to products.
    Market = 5,
    /// What a product of the wealth platform is like.
    Product = 6,
    /// Who a customer of the wealth platform is.
    Person = 7,
    /// One session of such a customer.
    Session = 8,
    /// One offer made to such a customer.
    Offer = 9,
}

/// The stream of `seed` for `purpose` and number `of`.
pub(crate) fn stream(seed: u64, purpose: Purpose, of: u64) -> Random {
    let mut bytes = [0u8; 17];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&of.to_le_bytes());
    bytes[16] = purpose as u8;
    Random::new(hash64(&bytes))
}

/// The stream of `seed` for `purpose`, of which there are many of the number `of`: nothing need be kept between two of them.
pub(crate) fn stream_at(seed: u64, purpose: Purpose, of: u64, turn: u64) -> Random {
    let mut bytes = [0u8; 25];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&of.to_le_bytes());
    bytes[16..24].copy_from_slice(&turn.to_le_bytes());
    bytes[24] = purpose as u8;
    Random::new(hash64(&bytes))
}

/// A time to the next event of a Poisson process, in its unit: exponential with mean one.
pub(crate) fn exponential(chance: &mut Random) -> f64 {
    -libm::log(1.0 - chance.uniform())
}

/// Log-normal with median one.
pub(crate) fn log_normal(chance: &mut Random, sigma: f64) -> f64 {
    libm::exp(sigma * chance.normal())
}

/// Index drawn in proportion to weights that are not negative and not all zero.
pub(crate) fn weighted(chance: &mut Random, weights: impl Iterator<Item = f64> + Clone) -> usize {
    let total: f64 = weights.clone().sum();
    let mut left = chance.uniform() * total;
    let mut last = 0;
    for (i, w) in weights.enumerate() {
        last = i;
        left -= w;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// 1 / (1 + e^-x).
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
