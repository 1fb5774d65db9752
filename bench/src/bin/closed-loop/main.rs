//! The closed loop: a quarter of the simulated wealth platform through the engine, from nothing known on, with a budget and a cap a week.
//! What a policy learns from answers brings, beside a policy of lots, beside who knows the truth, and beside Vowpal Wabbit on the
//! same opportunities, features and rules; every figure in true chances of an answer, and in answers. Settings were chosen on seeds 1 to 3;
//! the seeds that are counted were never looked at before.

mod drive;
mod figures;
mod intake;
mod judge;
mod off_policy;
mod oracle;
mod scene;
#[cfg(test)]
mod tests;
mod trees;
mod vw;
mod who;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use luopan_bench::{Fault, folder, peer, write};
use luopan_kernel::plan::ScenePlan;

use drive::{Played, play};
use figures::{Entrant, Quarter, Summary};
use off_policy::estimated;
use vw::{PACKAGES, Peer, Settings};
use who::Who;
use world::{Platform, WINDOW_DAYS};

const CUSTOMERS: u32 = 1_600;
/// Seeds that are counted.
const FIRST_SEED: u64 = 8_131;
const SEEDS: u64 = 10;
/// Seeds that are played at a time.
const AT_A_TIME: usize = 2;
/// The day of the quarter on which the policy is frozen that logs are asked about.
const FROZEN: i64 = 56;
/// Other seeds and entrants, to try settings; nothing is written then.
const OWN_SEEDS: &str = "LUOPAN_CLOSED_LOOP_SEEDS";
const OWN_ENTRANTS: &str = "LUOPAN_CLOSED_LOOP_ENTRANTS";
/// Another number of customers, with a budget that has as many offers a customer; nothing is written then either.
const OWN_CUSTOMERS: &str = "LUOPAN_CLOSED_LOOP_CUSTOMERS";

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let own = std::env::var(OWN_SEEDS).ok();
    let seeds: Vec<u64> = match &own {
        Some(named) => (named.split(',').map(str::parse)).collect::<Result<_, _>>()?,
        None => (FIRST_SEED..FIRST_SEED + SEEDS).collect(),
    };
    let entrants: Vec<Entrant> = match std::env::var(OWN_ENTRANTS) {
        Ok(named) => (named.split(','))
            .map(|n| Entrant::named(n).ok_or_else(|| format!("no entrant `{n}`").into()))
            .collect::<Result<_, Fault>>()?,
        Err(_) => Entrant::COUNTED.to_vec(),
    };
    let customers = match std::env::var(OWN_CUSTOMERS) {
        Ok(named) => named.parse()?,
        Err(_) => CUSTOMERS,
    };
    let is_own = own.is_some() || customers != CUSTOMERS;
    let mut plan = scene::compiled()?;
    for budget in &mut plan.budgets {
        budget.limit = budget.limit * i64::from(customers) / i64::from(CUSTOMERS);
    }
    let python = peer::python("bandits", &PACKAGES)?;
    let place = folder::root()?.join("closed-loop");
    std::fs::create_dir_all(&place)?;
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let one = || -> Result<(), Fault> {
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
                let asked = Asked {
                    plan: &plan,
                    customers,
                    python: &python,
                    place: place.join(seed.to_string()),
                };
                let quarter = asked.quarter(*seed, &entrants)?;
                let mut all = all.lock().map_err(|_| "a thread died")?;
                all.push(quarter);
                if !is_own {
                    // What is there so far, with how many seeds it is of.
                    write("closed-loop", &figures::measured(&all, &plan)?)?;
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(one)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread died")??;
        }
        Ok::<_, Fault>(())
    })?;
    let mut all = all.into_inner().map_err(|_| "a thread died")?;
    all.sort_by_key(|q| q.seed);
    let list = figures::measured(&all, &plan)?;
    for m in &list {
        eprintln!("{}: {:.4} ({:?})", m.name, m.figure, m.reference);
    }
    if !is_own {
        eprintln!("written to {}", write("closed-loop", &list)?.display());
    }
    Ok(())
}

struct Asked<'a> {
    plan: &'a ScenePlan,
    customers: u32,
    python: &'a Path,
    place: PathBuf,
}

impl Asked<'_> {
    /// The quarter of one seed, by every entrant.
    fn quarter(&self, seed: u64, entrants: &[Entrant]) -> Result<Quarter, Fault> {
        let platform = Platform::new(seed, self.customers, scene::weekly(self.plan))?;
        let mut out = Quarter {
            seed,
            by: Vec::new(),
            estimates: Vec::new(),
        };
        let mut by_lot = None;
        for entrant in entrants {
            let played = self.played(&platform, *entrant, seed)?;
            let summary = Summary::of(&played);
            eprintln!("seed {seed}, {entrant:?}: {summary}");
            out.by.push((*entrant, summary));
            match entrant {
                Entrant::Random => by_lot = Some(played),
                Entrant::Blended => out.estimates = asked_about(by_lot.as_ref(), &played, seed)?,
                _ => {}
            }
        }
        for (log, e) in &out.estimates {
            eprintln!("seed {seed}, {log} log: {e:?}");
        }
        Ok(out)
    }

    fn played(&self, platform: &Platform, entrant: Entrant, seed: u64) -> Result<Played, Fault> {
        let mut peer;
        let who = match entrant {
            Entrant::Random => Who::Random,
            Entrant::Learned => Who::Learned,
            Entrant::Trees => Who::Trees,
            Entrant::Blended => Who::Blended,
            Entrant::Oracle => {
                let limit = usize::try_from(scene::limit(self.plan))?;
                Who::Oracle(oracle::price(platform, limit)?)
            }
            Entrant::Peer => {
                peer = Peer::start(self.python, &Settings::chosen()?, seed)?;
                Who::Peer(&mut peer)
            }
        };
        play(self.plan, platform.clone(), who, seed, &self.place)
    }
}

/// What the log by lot, and the policy's own, say of the policy's trees as they were on a day, by what came later.
fn asked_about(
    by_lot: Option<&Played>,
    own: &Played,
    seed: u64,
) -> Result<Vec<(&'static str, off_policy::Estimated)>, Fault> {
    let frozen = trees::trained(&own.rows, &own.names, FROZEN - 1 - WINDOW_DAYS, seed)?;
    let lately = (own.rows.iter()).filter(|r| (FROZEN - 7..FROZEN).contains(&r.day));
    let (sum, n) = lately.fold((0.0, 0.0), |(s, n), r| (s + r.price, n + 1.0));
    let mut out = Vec::new();
    for (name, log) in [("random", by_lot), ("own", Some(own))] {
        let Some(log) = log else { continue };
        if log.names != own.names {
            return Err("two logs that read other things".into());
        }
        let rows: Vec<_> = log.rows.iter().filter(|r| r.day >= FROZEN).collect();
        let found = estimated(&rows, &frozen, sum / f64::max(n, 1.0), seed)?;
        out.extend(found.into_iter().map(|e| (name, e)));
    }
    Ok(out)
}
