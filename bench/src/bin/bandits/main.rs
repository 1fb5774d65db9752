//! Bandits over classification tables, and in the simulator, beside Vowpal Wabbit's own driver: 20 orders of each table, drawn by seeds, the same rows and
//! features for both. Of each explorer, and of each of Vowpal Wabbit's algorithms with its learning rate and losses, the settings are
//! chosen on two other orders of the same table. Loss is progressive: the share of decisions, from the first, that missed the right class; two
//! bandits' difference of it is their difference of regret a decision, whatever they are compared with.

mod play;
mod tables;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::plan::{Exploration, ModelPlan};

use play::{Played, Player, plan, play};
use tables::Table;

const PACKAGES: [&str; 2] = ["vowpalwabbit==9.11.9", "numpy==2.4.6"];
const VW: &str = "vowpalwabbit 9.11.9";
const SEEDS: u64 = 20;
/// Orders on which Vowpal Wabbit's settings are chosen.
const TUNING: u64 = 2;
/// Worlds of the simulator, and the number before the first one's seed.
const WORLDS: u64 = 5;
const FIRST_WORLD: u64 = 7_000;
/// Decisions whose rewards are learned together where learning is in batches.
const BATCH: usize = 500;
const ALGORITHMS: [&str; 5] = ["greedy", "squarecb100", "squarecb1000", "bag", "regcb"];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

/// An explorer of ours with the settings that are tried, how many rewards are told at a time, and whose speed it stands beside.
struct Entrant {
    name: &'static str,
    settings: Vec<(&'static str, Exploration)>,
    replicates: u16,
    batch: usize,
    beside: &'static str,
    /// Variance that weights gain before each sample.
    drift: f64,
    /// Trains a network after so many decisions.
    networks: &'static [usize],
}

fn entrants() -> Vec<Entrant> {
    let thompson = |scale, floor| Exploration::Thompson {
        draws: 100,
        floor,
        scale,
    };
    let linucb = |alpha, floor| Exploration::LinUcb { alpha, floor };
    let square = |gamma| Exploration::SquareCb { gamma };
    let bootstrap = |floor| Exploration::Bootstrap { floor };
    let entrant = |name, settings, beside| Entrant {
        name,
        settings,
        replicates: 0,
        batch: 1,
        beside,
        drift: 0.0,
        networks: &[],
    };
    vec![
        entrant(
            "Thompson",
            vec![
                ("scale 1, floor 0.01", thompson(1.0, 0.01)),
                ("scale 1, floor 0", thompson(1.0, 0.0)),
                ("scale 0.3, floor 0.01", thompson(0.3, 0.01)),
                ("scale 0.3, floor 0", thompson(0.3, 0.0)),
            ],
            "bag",
        ),
        entrant(
            "LinUCB",
            vec![
                ("alpha 1, floor 0.01", linucb(1.0, 0.01)),
                ("alpha 1, floor 0", linucb(1.0, 0.0)),
                ("alpha 0.3, floor 0", linucb(0.3, 0.0)),
                ("alpha 0.1, floor 0", linucb(0.1, 0.0)),
            ],
            "regcb",
        ),
        entrant(
            "SquareCB",
            vec![
                ("gamma 100", square(100.0)),
                ("gamma 1000", square(1000.0)),
                ("gamma 10000", square(10_000.0)),
            ],
            "squarecb1000",
        ),
        Entrant {
            replicates: 10,
            ..entrant(
                "bootstrapped",
                vec![
                    ("10 replicates, floor 0.01", bootstrap(0.01)),
                    ("10 replicates, floor 0", bootstrap(0.0)),
                ],
                "bag",
            )
        },
        Entrant {
            networks: &[2_000, 8_000],
            ..entrant(
                "neural-linear Thompson",
                vec![("scale 0.3, floor 0", thompson(0.3, 0.0))],
                "bag",
            )
        },
        Entrant {
            drift: 1e-5,
            ..entrant(
                "SquareCB, weights that drift",
                vec![
                    ("gamma 1000", square(1000.0)),
                    ("gamma 10000", square(10_000.0)),
                ],
                "squarecb1000",
            )
        },
        entrant(
            "greedy",
            vec![("no settings", Exploration::Greedy)],
            "greedy",
        ),
        Entrant {
            batch: BATCH,
            ..entrant(
                "Thompson, rewards told 500 at a time",
                vec![("scale 0.3, floor 0", thompson(0.3, 0.0))],
                "bag",
            )
        },
    ]
}

/// Where bandits meet: orders of one table, or worlds that each are a table.
struct Arena {
    name: &'static str,
    tables: Vec<Table>,
    seeds: u64,
    tuning: u64,
}

impl Arena {
    fn of_table(table: Table) -> Self {
        Self {
            name: table.name,
            tables: vec![table],
            seeds: SEEDS,
            tuning: TUNING,
        }
    }

    /// Worlds that nothing was tried on.
    fn of_worlds(moves: bool) -> Result<Self, Fault> {
        let tables: Vec<Table> = (1..=WORLDS + TUNING)
            .map(|seed| world::table(FIRST_WORLD + seed, moves))
            .collect::<Result<_, Fault>>()?;
        Ok(Self {
            name: tables.first().map_or("", |t| t.name),
            tables,
            seeds: WORLDS,
            tuning: TUNING,
        })
    }

    fn at(&self, seed: u64) -> (&Table, Vec<u32>) {
        let table = if self.tables.len() == 1 {
            &self.tables[0]
        } else {
            &self.tables[seed as usize - 1]
        };
        (table, table.order(seed))
    }

    fn is_worlds(&self) -> bool {
        self.tables.len() > 1
    }

    fn slug(&self) -> String {
        self.name.replace([' ', ','], "-")
    }

    /// Writes what the other program reads.
    fn store(&self, place: &Path) -> Result<(), Fault> {
        let name = self.slug();
        for (i, table) in self.tables.iter().enumerate() {
            let mut text = String::new();
            for row in 0..table.len() {
                text.push_str(&table.line(row));
                text.push('\n');
            }
            let file = if self.is_worlds() {
                format!("{name}.{}.rows", i + 1)
            } else {
                format!("{name}.rows")
            };
            std::fs::write(place.join(file), text)?;
        }
        let classes = self.tables.first().map_or(0, |t| t.classes);
        std::fs::write(place.join(format!("{name}.classes")), classes.to_string())?;
        for seed in 1..=self.seeds + self.tuning {
            let order: Vec<u8> = (self.at(seed).1.iter())
                .flat_map(|row| row.to_le_bytes())
                .collect();
            std::fs::write(place.join(format!("{name}.{seed}.order")), order)?;
        }
        Ok(())
    }
}

fn run() -> Result<(), Fault> {
    let only = std::env::args().nth(1);
    let python = peer::python("bandits", &PACKAGES)?;
    let place = folder::root()?.join("bandits");
    std::fs::create_dir_all(&place)?;
    let wanted = |name: &str| only.as_ref().is_none_or(|o| name.contains(o.as_str()));
    let mut arenas: Vec<Arena> = (tables::all()?.into_iter())
        .filter(|t| wanted(t.name))
        .map(Arena::of_table)
        .collect();
    if wanted("simulator") {
        for moves in [false, true] {
            arenas.push(Arena::of_worlds(moves)?);
        }
    }
    let others = Others::watch(&[std::process::id()])?;
    let mut list = Vec::new();
    let mut times = Times::new();
    for arena in &arenas {
        arena.store(&place)?;
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/bandits.py"))
                .arg(&place)
                .args([arena.seeds.to_string(), arena.tuning.to_string()])
                .arg(arena.slug()),
        )?;
        for line in said.lines().filter(|l| l.starts_with('#')) {
            eprintln!("{line}");
        }
        let found = of_arena(arena, &said, &mut times)?;
        for m in &found {
            eprintln!("{}: {:.4} ({:?})", m.name, m.figure, m.reference);
        }
        list.extend(found);
    }
    for entrant in entrants() {
        let of = |name: (Side, &'static str)| -> Result<f64, Fault> {
            let (decisions, seconds) = times.get(&name).ok_or("a time is missing")?;
            Ok(decisions / seconds)
        };
        list.push(Measurement {
            name: format!("{}: decided and learned, all together", entrant.name),
            figure: of((Side::Ours, entrant.name))?,
            unit: "decisions/s".to_owned(),
            reference: Some(Reference {
                name: format!("{VW}, {}, from its binary cache", entrant.beside),
                figure: of((Side::Theirs, entrant.beside))?,
            }),
        });
    }
    list.push(Measurement {
        name: "share of the machine that other processes took".to_owned(),
        figure: others.share()?,
        unit: "share".to_owned(),
        reference: None,
    });
    if only.is_none() {
        let path = write("bandits", &list)?;
        eprintln!("written to {}", path.display());
    } else {
        eprintln!("{list:#?}");
    }
    Ok(())
}

/// Every seed's loss.
struct Losses(Vec<f64>);

impl Losses {
    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Mean and standard error of this one's loss less the other's, seed by seed.
    fn less(&self, other: &Self) -> (f64, f64) {
        let n = self.0.len() as f64;
        let each: Vec<f64> = (self.0.iter().zip(&other.0)).map(|(a, b)| a - b).collect();
        let mean = each.iter().sum::<f64>() / n;
        let squares: f64 = each.iter().map(|d| (d - mean) * (d - mean)).sum();
        (mean, (squares / (n - 1.0) / n).sqrt())
    }
}

/// Decisions and seconds of each bandit over all tables.
type Times = BTreeMap<(Side, &'static str), (f64, f64)>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Ours,
    Theirs,
}

fn took(times: &mut Times, name: (Side, &'static str), decisions: f64, seconds: f64) {
    let all = times.entry(name).or_default();
    all.0 += decisions;
    all.1 += seconds;
}

/// The seeds' losses and times of one bandit of ours.
fn played(
    arena: &Arena,
    entrant: &Entrant,
    exploration: &Exploration,
    seeds: std::ops::RangeInclusive<u64>,
) -> Result<Vec<Played>, Fault> {
    seeds
        .map(|seed| {
            let (table, order) = arena.at(seed);
            let model = ModelPlan {
                replicates: entrant.replicates,
                drift_variance: entrant.drift,
                ..plan(table.dimension)
            };
            let player = Player {
                plan: &model,
                exploration,
                batch: entrant.batch,
                networks: entrant.networks,
                seed,
            };
            play(table, &order, &player).map_err(|e| format!("{}: {e}", entrant.name).into())
        })
        .collect()
}

fn losses(of: &[Played]) -> Losses {
    Losses(of.iter().map(|p| p.loss).collect())
}

fn of_arena(arena: &Arena, said: &str, times: &mut Times) -> Result<Vec<Measurement>, Fault> {
    let (first, order) = arena.at(1);
    let decisions = order.len() as f64 * arena.seeds as f64;
    let name_of = |algorithm: &str, seed| format!("{}.{algorithm}.{seed}", arena.slug());
    let mut theirs = BTreeMap::new();
    for algorithm in ALGORITHMS {
        let (mut all, mut seconds) = (Vec::new(), 0.0);
        for seed in 1..=arena.seeds {
            let name = name_of(algorithm, seed);
            let unpaid = if arena.is_worlds() {
                arena.at(seed).0.unpaid()
            } else {
                0.0
            };
            all.push(peer::figure(said, &name)? + unpaid);
            seconds += peer::figure(said, &format!("{name}.seconds"))?;
        }
        let all = Losses(all);
        eprintln!("{}, {VW} {algorithm}: loss {:.4}", arena.name, all.mean());
        took(times, (Side::Theirs, algorithm), decisions, seconds);
        theirs.insert(algorithm, all);
    }
    let (best, reference) = (theirs.iter())
        .min_by(|a, b| a.1.mean().total_cmp(&b.1.mean()))
        .ok_or("no algorithm of theirs")?;
    let what = format!(
        "{} ({} arms, {} features)",
        arena.name, first.classes, first.dimension
    );
    // Of worlds the reward is told, as a share of what the best offers of all are worth.
    let oracles: Vec<(f64, f64)> = (1..=arena.seeds).map(|s| arena.at(s).0.oracle()).collect();
    let mean =
        |of: fn(&(f64, f64)) -> f64| oracles.iter().map(of).sum::<f64>() / oracles.len() as f64;
    let (oracle, chance) = (mean(|o| o.0), mean(|o| o.1));
    let (words_of, unit) = if arena.is_worlds() {
        ("reward as a share of the truth's best", "share")
    } else {
        ("loss a decision", "loss")
    };
    let told = |loss: f64| {
        if arena.is_worlds() {
            (1.0 - loss) / oracle
        } else {
            loss
        }
    };
    let mut list = Vec::new();
    for entrant in entrants() {
        let mut tried = Vec::new();
        for (words, exploration) in &entrant.settings {
            let seeds = arena.seeds + 1..=arena.seeds + arena.tuning;
            let found = played(arena, &entrant, exploration, seeds)?;
            tried.push((losses(&found).mean(), words, exploration));
        }
        let (_, words, exploration) = (tried.iter())
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .ok_or("no settings")?;
        let all = played(arena, &entrant, exploration, 1..=arena.seeds)?;
        let seconds = all.iter().map(|p| p.seconds).sum();
        took(times, (Side::Ours, entrant.name), decisions, seconds);
        let own = losses(&all);
        let (difference, error) = own.less(reference);
        list.push(Measurement {
            name: format!(
                "{what}, {} ({words}): {words_of}, mean of {} seeds; difference of losses {difference:+.4}, its standard error {error:.4}",
                entrant.name, arena.seeds
            ),
            figure: told(own.mean()),
            unit: unit.to_owned(),
            reference: Some(Reference {
                name: format!("{VW}, the best here of its five, {best}"),
                figure: told(reference.mean()),
            }),
        });
    }
    if arena.is_worlds() {
        list.push(Measurement {
            name: format!("{what}, any offer: {words_of}"),
            figure: chance / oracle,
            unit: unit.to_owned(),
            reference: None,
        });
        return Ok(list);
    }
    let supervised = (1..=arena.seeds)
        .map(|seed| peer::figure(said, &name_of("supervised", seed)))
        .collect::<Result<_, Fault>>()?;
    list.push(Measurement {
        name: format!("{what}, loss of {VW} --oaa, which is told every label"),
        figure: Losses(supervised).mean(),
        unit: unit.to_owned(),
        reference: None,
    });
    Ok(list)
}
