//! Who knows the truth: at every opportunity the chance of an answer to each permitted product. It offers the best of them where its
//! chance is above one price, the same for the whole quarter: the smallest at which the budget lasts, found in hindsight by playing the
//! same quarter again and again. It looks no further than the offer: that offers tire, and what a week's cap could be kept for, it does
//! not weigh. So it is no bound; what it earns is what is told.

use luopan_bench::Fault;
use luopan_kernel::time::Micros;

use super::world::{Platform, QUARTER, WATCHED};

/// Halvings of the price's interval.
const HALVINGS: usize = 7;

/// The permitted product that she would most likely answer, with the chance.
pub(crate) fn best(
    platform: &Platform,
    customer: u32,
    at: Micros,
) -> Result<Option<(usize, f64)>, Fault> {
    let mut best: Option<(usize, f64)> = None;
    for product in platform.permitted(customer, at) {
        let chance = platform.chance(customer, product, at)?;
        if best.is_none_or(|(_, b)| chance > b) {
            best = Some((product, chance));
        }
    }
    Ok(best)
}

/// Offers made and answers expected in a quarter at a price, up to a limit.
fn quarter(begun: &Platform, price: f64, limit: usize) -> Result<(usize, f64), Fault> {
    let mut platform = begun.clone();
    let (mut offers, mut worth) = (0, 0.0);
    for day in WATCHED..WATCHED + QUARTER {
        let at = platform.hour(day);
        platform.pass(at);
        for customer in platform.due(day) {
            let Some((product, chance)) = best(&platform, customer, at)? else {
                continue;
            };
            if chance > price && offers < limit {
                platform.offer(customer, product, &format!("o{offers}"), at)?;
                offers += 1;
                worth += chance;
            }
        }
    }
    Ok((offers, worth))
}

/// The best price found for a platform before its first day.
pub(crate) fn price(platform: &Platform, limit: usize) -> Result<f64, Fault> {
    let mut begun = platform.clone();
    begun.pass(begun.hour(WATCHED - 1));
    let (mut low, mut high) = (0.0, 1.0);
    let mut best = (f64::NEG_INFINITY, 0.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let (offers, worth) = quarter(&begun, middle, limit)?;
        if worth > best.0 {
            best = (worth, middle);
        }
        if offers >= limit {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(best.1)
}
