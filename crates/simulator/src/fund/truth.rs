//! The truth about the world of the wealth platform, for tests: what an offer is worth, what a customer really is and has,
//! and what was done to the market. Nothing of the product may be built on this.

use super::offers;
use super::product::Parameters;
use super::world::World;
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

/// What would come of offering a product to a customer now at `at`. None for an unknown customer or product. An order is
/// confirmed only when the rules let it pass, which this does not say: `order_confirmed` is the share that the fund house
/// and her own change of mind leave of those.
pub fn truth(world: &World, customer: u32, code: &str, at: Micros) -> Option<Truth> {
    let product = world.product(code)?;
    if customer >= world.customers() {
        return None;
    }
    let c = offers::chances(&world.ground, world.person(customer), product, at);
    Some(Truth {
        order_confirmed: c.order * (1.0 - 0.015) * (1.0 - 0.005),
        order_submitted: c.order,
        view: c.view,
        dismissed: c.dismissed,
        unsubscribed: c.unsubscribed,
    })
}

/// What a customer really is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Character {
    /// Hidden type, `0..5`.
    pub hidden_type: u8,
    /// True appetite on the scale of ratings.
    pub courage: f64,
    /// How readily she sells in a fall, 0 to 1.
    pub panic: f64,
    /// How readily she buys what rose, 0 to 1.
    pub chase: f64,
    /// How much she wants a gain every day, 0 to 1.
    pub wish: f64,
    /// How much offers move her, 0 to 1.
    pub sensitivity: f64,
    /// Day of the month on which her salary comes.
    pub payday: u8,
    /// Contacts that she remembers at the time asked for.
    pub remembered: f64,
}

/// The truth of a customer.
pub fn person(world: &World, customer: u32, at: Micros) -> Option<Character> {
    if customer >= world.customers() {
        return None;
    }
    let p = world.person(customer);
    Some(Character {
        hidden_type: p.hidden_type,
        courage: f64::from(p.courage),
        panic: p.panic(),
        chase: p.chase(),
        wish: p.wish(),
        sensitivity: p.sensitivity(),
        payday: p.payday,
        remembered: p.remembered(at, world.start()),
    })
}

/// What a customer has, fen: on the account, and gone from the platform for good.
pub fn purse(world: &World, customer: u32) -> Option<(i64, i64)> {
    (customer < world.customers()).then(|| {
        let p = world.person(customer);
        (p.cash, p.left)
    })
}

/// Hundredths of shares that a customer holds, ascending by product.
pub fn holdings(world: &World, customer: u32) -> Vec<(u32, i64)> {
    let mut out = std::collections::BTreeMap::new();
    if customer < world.customers() {
        for lot in &world.person(customer).lots {
            *out.entry(u32::from(lot.product)).or_insert(0) += lot.shares;
        }
    }
    out.into_iter().collect()
}

/// Hidden parameters of a product.
pub fn parameters(world: &World, product: u32) -> Option<&Parameters> {
    world.ground.parameters.get(product as usize)
}

/// Days on which the market crashed.
pub fn crashes(world: &World) -> &[i64] {
    &world.ground.market.crashes
}

/// Daily log returns of the five forces by trading day.
pub fn forces(world: &World) -> impl Iterator<Item = (i64, &[f64])> {
    let market = &world.ground.market;
    market
        .days
        .iter()
        .copied()
        .zip(market.forces.iter().map(|f| &f[..]))
}
