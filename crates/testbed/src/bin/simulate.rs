//! Runs seeds of the simulation: `simulate [--from N] [--seeds N] [--one N] [--planted NAME]`. Prints what was run, and each
//! seed that broke a law. Ends with 1 when one did.

use luopan_testbed::sim::{Draws, Planted, Seed, run};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Says a line; when nobody listens any more, there is nobody to say it to.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() -> ExitCode {
    let mut given = std::env::args().skip(1);
    let (mut from, mut seeds, mut planted) = (1, 1_000, None);
    while let Some(name) = given.next() {
        let value = given.next().unwrap_or_default();
        let number = || {
            value
                .parse::<u64>()
                .map_err(|e| format!("{name} {value}: {e}"))
        };
        let set = match name.as_str() {
            "--from" => number().map(|n| from = n),
            "--seeds" => number().map(|n| seeds = n),
            "--one" => number().map(|n| (from, seeds) = (n, 1)),
            "--planted" => {
                planted = Planted::ALL.into_iter().find(|p| format!("{p:?}") == value);
                match planted {
                    Some(_) => Ok(()),
                    None => Err(format!("`{value}` is none of {:?}", Planted::ALL)),
                }
            }
            _ => Err(format!("`{name}` is no argument of this program")),
        };
        if let Err(e) = set {
            eprintln!("{e}");
            return ExitCode::from(2);
        }
    }
    let next = AtomicU64::new(from);
    let all = Mutex::new((Draws::default(), BTreeMap::new(), 0u64, [0u64; 6]));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|s| {
        for _ in 0..threads.min(seeds as usize) {
            s.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= from + seeds {
                        return;
                    }
                    let r = run(Seed { seed, planted });
                    let Ok(mut all) = all.lock() else { return };
                    all.0.add(&r.draws);
                    for (fault, n) in &r.faults {
                        *all.1.entry(*fault).or_insert(0u64) += n;
                    }
                    all.2 += u64::from(!r.broken.is_empty());
                    let add = [
                        r.entries,
                        r.events,
                        r.decisions,
                        r.late,
                        r.lost,
                        r.commits_lost,
                    ];
                    all.3.iter_mut().zip(add).for_each(|(a, b)| *a += b);
                    for what in &r.broken {
                        say(&format!("seed {seed}: {what}"));
                    }
                    if seeds == 1 {
                        say(&format!("{r:?}"));
                    }
                }
            });
        }
    });
    let Ok((draws, faults, broken, sums)) = all.into_inner() else {
        return ExitCode::FAILURE;
    };
    let [entries, events, decisions, late, lost, commits_lost] = sums;
    say(&format!(
        "{seeds} seeds from {from}: {broken} broke a law; {entries} entries, {events} events and {decisions} decisions acknowledged; faults {faults:?}; {late} messages late, {lost} lost, {commits_lost} unsynced commits lost; {} draws, {:.2} standard deviations off",
        draws.n,
        draws.z()
    ));
    ExitCode::from(u8::from(broken > 0))
}
