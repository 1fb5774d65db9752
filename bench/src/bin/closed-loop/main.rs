//! The closed loop

mod drive;
mod judge;
mod oracle;
mod scene;
mod vw;
mod world;

use std::process::ExitCode;

use luopan_bench::{Fault, folder, peer};

use drive::{Played, Who, play};
use vw::{PACKAGES, Peer, Settings};
use world::{Platform, WEEKS};

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn weeks(played: &Played) -> [f64; WEEKS] {
    let mut out = [0.0; WEEKS];
    for row in &played.rows {
        out[(row.day / 7) as usize] += row.chance();
    }
    out
}

fn run() -> Result<(), Fault> {
    let env = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let customers: u32 = env("CUSTOMERS", "2000").parse()?;
    let seeds = env("SEEDS", "1");
    let who = env("WHO", "random,thompson,oracle,vw");
    let plan = scene::compiled()?;
    let place = folder::root()?.join("closed-loop");
    std::fs::create_dir_all(&place)?;
    for seed in seeds.split(',') {
        let seed: u64 = seed.parse()?;
        let platform = Platform::new(seed, customers, scene::weekly(&plan))?;
        eprintln!("seed {seed}: {:?} {:?}", platform.kinds, platform.ratings);
        let mut base: Option<[f64; WEEKS]> = None;
        let mut best: Option<[f64; WEEKS]> = None;
        for name in who.split(',') {
            let mut peer;
            let who = match name {
                "oracle" => {
                    let t = std::time::Instant::now();
                    let price = oracle::price(&platform, scene::limit(&plan) as usize)?;
                    eprintln!("price {price:.3} in {:?}", t.elapsed());
                    Who::Oracle(price)
                }
                "vw" => {
                    let python = peer::python("bandits", &PACKAGES)?;
                    let settings = Settings {
                        how: env("HOW", "-q ui --shifted -l 0.5"),
                        explorer: "squarecb",
                        setting: env("GAMMA", "100").parse()?,
                    };
                    peer = Peer::start(&python, &settings, seed)?;
                    Who::Peer(&mut peer)
                }
                name => Who::Scene(name),
            };
            let played = play(&plan, platform.clone(), who, seed, &place.join("data"))?;
            let w = weeks(&played);
            let total: f64 = w.iter().sum();
            let answered = played.rows.iter().filter(|r| r.is_answered).count();
            eprintln!(
                "{name}: {total:.1} expected, {answered} answered, {} rows, {:?}, {:.1} s",
                played.rows.len(),
                played.judged,
                played.seconds
            );
            let per: Vec<String> = w.iter().map(|x| format!("{x:.0}")).collect();
            eprintln!("    {}", per.join(" "));
            let made: Vec<usize> = (0..WEEKS as i64)
                .map(|k| (played.rows.iter()).filter(|r| r.day / 7 == k && r.chosen.is_some()).count())
                .collect();
            eprintln!("    {made:?}");
            if name == "random" {
                base = Some(w);
            } else if name == "oracle" {
                best = Some(w);
            } else if let (Some(b), Some(o)) = (base, best) {
                let gain = |k: std::ops::Range<usize>| {
                    let s = |x: [f64; WEEKS]| x[k.clone()].iter().sum::<f64>();
                    (s(w) - s(b)) / (s(o) - s(b))
                };
                eprintln!(
                    "    gain {:.3}; last four weeks {:.3}",
                    gain(0..WEEKS),
                    gain(WEEKS - 4..WEEKS)
                );
            }
        }
    }
    Ok(())
}
