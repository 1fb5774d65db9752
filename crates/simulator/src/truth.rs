//! The truth about the population, for tests: what a contact is worth before anyone has answered it. Nothing of the product
//! may be built on this; the feature that opens it is turned on by tests alone.

use crate::catalogue::find;
use crate::population::Population;
use crate::response::{self, CONFIRMED_SHARE};
use luopan_kernel::time::Micros;

/// Chance of each answer to one contact; with silence they sum to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// An order that is confirmed.
    pub order_confirmed: f64,
    /// An order that is submitted, whether confirmed or not.
    pub order_submitted: f64,
    /// A look and no more.
    pub view: f64,
    /// A dismissal.
    pub dismissed: f64,
    /// An unsubscribing.
    pub unsubscribed: f64,
}

/// What would come of putting `action` to `customer` at `at`, given all that has happened to her until now. `None` for an
/// unknown action or customer.
pub fn truth(world: &Population, customer: u32, action: &str, at: Micros) -> Option<Truth> {
    let who = world.customers.get(customer as usize)?;
    let c = response::chances(&world.hidden, who, find(action)?, at);
    Some(Truth {
        order_confirmed: c.order * CONFIRMED_SHARE,
        order_submitted: c.order,
        view: c.view,
        dismissed: c.dismissed,
        unsubscribed: c.unsubscribed,
    })
}

/// The hidden type of a customer, `0..`.
pub fn hidden_type(world: &Population, customer: u32) -> Option<usize> {
    Some(world.customers.get(customer as usize)?.hidden_type)
}

/// Median delay from a contact to its order of a hidden type, in microseconds.
pub fn order_delay_median_us(world: &Population, hidden_type: usize) -> Option<f64> {
    let slowness = world.hidden.types.get(hidden_type)?.slowness;
    Some(response::ORDER_DELAY_MEDIAN_US as f64 * slowness)
}

/// Expected reward of an action, or of silence (zero), as the scene's `learned` policy declares it: 1 for a submitted order.
pub fn reward(world: &Population, customer: u32, action: Option<&str>, at: Micros) -> Option<f64> {
    let Some(action) = action else {
        return Some(0.0);
    };
    Some(truth(world, customer, action, at)?.order_submitted)
}
