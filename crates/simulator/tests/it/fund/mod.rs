//! Tests of the world of the wealth platform. They count days, fees and shares by themselves, from market-rules.md and from
//! what was said alone, and share no code with what they check. They may read the truth.

mod cuts;
mod follow;
mod market;
mod offers;
mod orders;
mod plausible;

use luopan_simulator::fund::days::day_of;
use luopan_simulator::fund::{Event, ProductEvent, Settings, World};

/// 2025-09-01, a Monday.
fn start_day() -> i64 {
    day_of(2025, 9, 1)
}

/// A small world: 300 products.
fn settings(seed: u64, customers: u32, days: i64) -> Settings {
    let mut settings = Settings::new(seed, customers, start_day());
    settings.days = days;
    settings.products = Some(luopan_simulator::fund::made_up(seed, 300));
    settings
}

fn world(seed: u64, customers: u32, days: i64) -> World {
    World::new(settings(seed, customers, days)).unwrap()
}

/// Plays a world to its end.
fn played(world: &mut World) -> Vec<Event> {
    let mut out = Vec::new();
    let end = world.end();
    world.advance(end, &mut |e| out.push(e.clone()));
    out
}

/// Everything said of products from the first price to the end.
fn told(world: &World) -> Vec<ProductEvent> {
    let mut out = Vec::new();
    world.product_events(
        luopan_kernel::time::Micros(i64::MIN / 4),
        world.end(),
        &mut |e| out.push(*e),
    );
    out
}
