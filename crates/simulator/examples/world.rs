//! Measures a world of the wealth platform: `world CUSTOMERS DAYS THREADS [SEED] [lines]`. It prints events, time and memory,
//! and how many there were of each kind; with `lines` every event is also written as JSON to nowhere. It must never be stood
//! on.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use luopan_simulator::fund::{Settings, World, days::day_of};
use std::collections::BTreeMap;
use std::time::Instant;

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap_or_default();
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0);
    kib / 1024.0
}

fn main() {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let [customers, days, threads, ref rest @ ..] = arguments[..] else {
        eprintln!("world CUSTOMERS DAYS THREADS [SEED] [lines]");
        return;
    };
    let lines = std::env::args().any(|a| a == "lines");
    let mut settings = Settings::new(
        rest.first().copied().unwrap_or(1),
        customers as u32,
        day_of(2025, 9, 1),
    );
    settings.days = days as i64;
    settings.threads = threads as usize;
    let begun = Instant::now();
    let mut world = match World::new(settings) {
        Ok(world) => world,
        Err(why) => {
            eprintln!("{why}");
            return;
        }
    };
    let made = begun.elapsed().as_secs_f64();
    let products = world.products().to_vec();
    let (mut events, mut bytes) = (0u64, 0u64);
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut text = String::new();
    let begun = Instant::now();
    let end = world.end();
    world.advance(end, &mut |event| {
        events += 1;
        *kinds.entry(event.what.kind()).or_default() += 1;
        if lines {
            text.clear();
            event.line(&products, &mut text);
            bytes += text.len() as u64;
        }
    });
    let played = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut said = 0u64;
    world.product_events(world.start().plus(-1), end, &mut |_| said += 1);
    let told = begun.elapsed().as_secs_f64();
    let (people, market) = world.bytes();
    println!(
        "{customers} customers, {} products, {days} days, {threads} threads",
        products.len()
    );
    println!(
        "made in {made:.2} s; {events} events in {played:.2} s: {:.0} a second, {:.1} million a minute",
        events as f64 / played,
        events as f64 / played * 60.0 / 1e6
    );
    if lines {
        println!("{bytes} bytes of JSON");
    }
    println!("{said} product events in {told:.2} s");
    println!(
        "customers take {:.1} bytes each at the end, the market {:.1} MiB; the process took {:.0} MiB at most",
        people as f64 / customers as f64,
        market as f64 / 1_048_576.0,
        resident_mib()
    );
    for (kind, count) in kinds {
        println!(
            "{kind:20} {count:12} {:6.2} % {:8.2} a customer",
            count as f64 / events as f64 * 100.0,
            count as f64 / customers as f64
        );
    }
}
