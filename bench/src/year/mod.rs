//! A year of a wealth platform at the kernel's level, judged by the independent checker: the simulator's customers and
//! products, the fund pack as it is shipped, the kernel's `fold` and `decide` as the engine calls them, and every fact,
//! decision and order handed to `luopan-checker`. What is not here is what lies around the kernel: stores, intake, the
//! commit. It must never look at a rule of the market itself.

pub mod around;
pub mod engine;
pub mod judge;
mod part;
mod person;
pub mod scene;
mod shop;
pub mod tally;

pub use part::Rates;

use crate::Fault;
use judge::{Found, Judge};
use luopan_kernel::time::{DAY_US, HOUR_US, Micros};
use luopan_simulator::fund::days::{EXCHANGE_OFFSET_S, day_of};
use luopan_simulator::fund::{Event, ProductEvent, Settings, World, made_up};
use part::{ForWorld, Ground, Part};
use scene::Scene;
use shop::Shop;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tally::Tally;

/// What is played.
#[derive(Debug, Clone)]
pub struct Size {
    /// Customers.
    pub customers: u32,
    /// Days.
    pub days: i64,
    /// Products.
    pub products: usize,
    /// Parts that the customers are divided into: a thread and a checker each.
    pub parts: u32,
    /// Seed.
    pub seed: u64,
    /// How often what is asked for.
    pub rates: Rates,
    /// The checker's program.
    pub checker: PathBuf,
    /// Folder for its settings.
    pub folder: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was done.
    pub tally: Tally,
    /// What the checkers found.
    pub found: Found,
    /// Product events heard, and snapshots of the catalogue made.
    pub products: (u64, u64),
    /// From the first day to the checkers' reports.
    pub took: Duration,
    /// Of that, letting the world's time pass.
    pub world: Duration,
    /// Most memory of all checkers together, bytes.
    pub checkers_peak: u64,
}

/// 2025-09-01, as `luopan simulate` begins.
fn start_day() -> i64 {
    day_of(2025, 9, 1)
}

/// Hours of the exchange at which products may change: midnight, and the evening's announcements and prices.
fn is_of_products(at: Micros) -> bool {
    let local = at.plus(i64::from(EXCHANGE_OFFSET_S) * 1_000_000);
    let hour = local.0.rem_euclid(DAY_US) / HOUR_US;
    matches!(hour, 0 | 20 | 21)
}

/// Plays it. `passed` hears of every day that is over, with the checkers' processes.
///
/// # Errors
/// A scene, world or checker that cannot be had; a line that the checker does not take.
pub fn run(
    size: &Size,
    scene: &Scene,
    passed: &mut dyn FnMut(i64, &Tally, &[u32]),
) -> Result<Outcome, Fault> {
    let begun = Instant::now();
    let mut settings = Settings::new(size.seed, size.customers, start_day());
    settings.days = size.days;
    settings.threads = size.parts as usize;
    settings.products = Some(made_up(size.seed, size.products));
    let mut world = World::new(settings)?;
    let calendar = world.calendar().clone();
    judge::settings(&size.folder, &calendar)?;
    let mut judges = (0..size.parts)
        .map(|_| Judge::start(&size.checker, &size.folder))
        .collect::<Result<Vec<_>, _>>()?;
    let pids: Vec<u32> = judges.iter().map(Judge::pid).collect();
    let mut of_products = Vec::new();
    let mut shop = Shop::new(scene, &world, size.seed, size.days, &mut of_products)?;
    tell_all(&mut judges, &mut of_products)?;
    let mut parts: Vec<Part> = (0..size.parts)
        .map(|n| Part::new(scene, n, size.parts, size.customers))
        .collect();
    let mut said: Vec<Vec<Event>> = vec![Vec::new(); size.parts as usize];
    let (mut heard, mut playing) = (0u64, Duration::ZERO);
    let mut at = world.start();
    let end = world.end();
    while at < end {
        if is_of_products(at) {
            let mut events: Vec<ProductEvent> = Vec::new();
            world.product_events(at.plus(-1), at, &mut |e| events.push(*e));
            heard += events.len() as u64;
            shop.hear(scene, at, &events, &mut of_products)?;
            tell_all(&mut judges, &mut of_products)?;
        }
        let until = at.plus(HOUR_US - 1).min(end.plus(-1));
        let started = Instant::now();
        said.iter_mut().for_each(Vec::clear);
        world.advance(until, &mut |e| {
            said[(e.customer % size.parts) as usize].push(e.clone())
        });
        playing += started.elapsed();
        let ground = Ground {
            scene,
            shop: &shop,
            calendar: &calendar,
            rates: &size.rates,
            seed: size.seed,
            parts: size.parts,
        };
        std::thread::scope(|scope| -> Result<(), Fault> {
            let working: Vec<_> = (parts.iter_mut().zip(&said).zip(&mut judges))
                .map(|((part, said), judge)| {
                    scope.spawn(move || -> Result<(), Fault> {
                        part.step(ground, said, until)?;
                        part.tally.bytes += part.lines.len() as u64;
                        judge.tell(&part.lines)?;
                        part.lines.clear();
                        Ok(())
                    })
                })
                .collect();
            for thread in working {
                thread.join().map_err(|_| "a part's thread panicked")??;
            }
            Ok(())
        })?;
        for part in &mut parts {
            for told in part.for_world.drain(..) {
                match told {
                    ForWorld::Offer(customer, product, decision, at) => {
                        world.offer(
                            customer,
                            &shop.products()[product as usize].code,
                            &decision,
                            at,
                        )?;
                    }
                    ForWorld::Refuse(customer, order) => world.refuse(customer, order)?,
                }
            }
        }
        at = until.plus(1);
        if at.since(world.start()).rem_euclid(DAY_US) == 0 {
            judges.iter_mut().for_each(Judge::weigh);
            passed(at.since(world.start()) / DAY_US, &added(&parts), &pids);
        }
    }
    let mut out = Outcome {
        tally: added(&parts),
        found: Found::default(),
        products: (heard, shop.snapshots),
        took: Duration::ZERO,
        world: playing,
        checkers_peak: 0,
    };
    for judge in judges {
        let (found, peak) = judge.verdict()?;
        out.found.add(found);
        out.checkers_peak += peak;
    }
    out.took = begun.elapsed();
    Ok(out)
}

fn added(parts: &[Part]) -> Tally {
    let mut out = Tally::default();
    parts.iter().for_each(|p| out.add(&p.tally));
    out
}

/// Hands lines of products to every checker.
fn tell_all(judges: &mut [Judge], lines: &mut Vec<u8>) -> Result<(), Fault> {
    for judge in judges.iter_mut() {
        judge.tell(lines)?;
    }
    lines.clear();
    Ok(())
}

/// The checker's program: `LUOPAN_CHECKER`, else the one beside this program.
///
/// # Errors
/// There is none.
pub fn checker() -> Result<PathBuf, Fault> {
    if let Some(named) = std::env::var_os("LUOPAN_CHECKER") {
        return Ok(named.into());
    }
    let own = std::env::current_exe()?;
    // Tests lie a folder deeper.
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|f: &Path| f.join("luopan-checker"));
    (beside.into_iter().find(|p| p.is_file()))
        .ok_or_else(|| "there is no luopan-checker beside this program; build it with `cargo build --release -p luopan-checker`".into())
}

#[cfg(test)]
mod tests;
