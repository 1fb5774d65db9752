//! Who gets what under budgets: a million customers, ten actions, three budgets, on one thread, and a cut of 20,000 of them beside
//! HiGHS's linear programme. Then the same with a cap on an action and a floor of a second objective, and a curve of weights.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::random::Random;
use luopan_learning::allocation::{
    Allocation, Amounts, Budget, Group, Objective, Problem, curve, solve,
};

const PACKAGES: [&str; 2] = ["highspy==1.15.1", "numpy==2.4.6"];
/// Simplex is stopped after half a minute, in which it does not end.
const HIGHS: &str = "HiGHS 1.15.1, the faster of simplex and interior point, one thread";
const CUSTOMERS: usize = 1_000_000;
const CUT: usize = 20_000;
const ACTIONS: usize = 10;
/// Runs of what is timed; the middle one counts.
const RUNS: usize = 3;
/// Weights of the second objective on the curve.
const WEIGHTS: [f64; 8] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

/// Customers that differ in how they answer, in what they earn and in what reaching them costs; actions that differ likewise.
struct Tables {
    customers: usize,
    values: Vec<f64>,
    other: Vec<f64>,
    costs: [Vec<f64>; 3],
}

impl Tables {
    fn made(customers: usize) -> Self {
        let mut random = Random::new(20_261_123);
        let mut made = Self {
            customers,
            values: Vec::with_capacity(customers * ACTIONS),
            other: Vec::with_capacity(customers * ACTIONS),
            costs: [const { Vec::new() }; 3],
        };
        for _ in 0..customers {
            let (answers, earns, far) = (
                random.normal(),
                (0.5 * random.normal()).exp(),
                random.uniform(),
            );
            for action in 0..ACTIONS {
                let strength = 0.3 * action as f64 - 3.0;
                let share = 1.0 / (1.0 + (-(answers + strength + 0.5 * random.normal())).exp());
                made.values.push(share * earns * 50.0);
                made.other.push(share * (1.0 + random.uniform()));
                // Money, minutes of staff, loans.
                made.costs[0].push(0.1 + 0.2 * action as f64 * (0.5 + far));
                made.costs[1].push(if action >= 6 {
                    2.0 + 6.0 * random.uniform()
                } else {
                    0.0
                });
                made.costs[2].push(share * (10.0 + 5.0 * action as f64));
            }
        }
        made
    }

    /// The first of the customers.
    fn cut(&self, customers: usize) -> Self {
        let cut = |table: &Vec<f64>| table[..customers * ACTIONS].to_vec();
        Self {
            customers,
            values: cut(&self.values),
            other: cut(&self.other),
            costs: [
                cut(&self.costs[0]),
                cut(&self.costs[1]),
                cut(&self.costs[2]),
            ],
        }
    }

    fn budgets(&self) -> [Budget<'_>; 3] {
        let count = self.customers as f64;
        let of = |at: usize, name, limit| Budget {
            name,
            costs: Amounts::Each(&self.costs[at]),
            limit,
        };
        [
            of(0, "money", 0.6 * count),
            of(1, "minutes", 0.8 * count),
            of(2, "loans", 6.0 * count),
        ]
    }

    fn objectives(&self, weight: f64, floor: Option<f64>) -> [Objective<'_>; 2] {
        [
            Objective {
                name: "margin",
                values: Amounts::Each(&self.values),
                weight: 1.0,
                floor: None,
            },
            Objective {
                name: "answers",
                values: Amounts::Each(&self.other),
                weight,
                floor,
            },
        ]
    }

    /// Budgets alone.
    fn plain<T>(&self, then: impl FnOnce(&Problem<'_>) -> T) -> T {
        then(&Problem {
            customers: self.customers,
            actions: ACTIONS,
            objectives: &self.objectives(0.0, None)[..1],
            budgets: &self.budgets(),
            groups: &[],
            eligible: None,
        })
    }

    /// A cap and a floor besides.
    fn full<T>(&self, cap: u64, floor: f64, then: impl FnOnce(&Problem<'_>) -> T) -> T {
        then(&Problem {
            customers: self.customers,
            actions: ACTIONS,
            objectives: &self.objectives(0.0, Some(floor)),
            budgets: &self.budgets(),
            groups: &[Group {
                name: "first",
                actions: &[0],
                cap,
            }],
            eligible: None,
        })
    }

    fn store(&self, place: &Path, cap: f64, floor: f64) -> Result<(), Fault> {
        let put = |name: &str, values: &[f64]| {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            std::fs::write(place.join(name), bytes)
        };
        put("values", &self.values)?;
        put("other", &self.other)?;
        for (at, costs) in self.costs.iter().enumerate() {
            put(&format!("cost-{at}"), costs)?;
        }
        let mut limits: Vec<f64> = self.budgets().iter().map(|budget| budget.limit).collect();
        limits.extend([cap, floor]);
        Ok(put("limits", &limits)?)
    }
}

/// Seconds of the middle run, and what it found.
fn timed(
    work: impl Fn() -> Result<Allocation, luopan_learning::allocation::Error>,
) -> Result<(f64, Allocation), Fault> {
    let mut seconds = Vec::new();
    let mut found = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        found = Some(work()?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    let found = found.ok_or("nothing was run")?;
    Ok((peer::median(&seconds), found))
}

/// HiGHS's seconds and optimum, by the faster method of those that found one.
fn highs(python: &Path, place: &Path) -> Result<(f64, f64), Fault> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/allocation.py");
    let mut best: Option<(f64, f64)> = None;
    for method in ["simplex", "ipm"] {
        let said = peer::run(
            Command::new(python)
                .arg(&script)
                .arg(place)
                .args([CUT.to_string(), ACTIONS.to_string()])
                .arg(method)
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1"),
        )?;
        let seconds = peer::figure(&said, "seconds")?;
        eprintln!("HiGHS, {method}: {seconds} s");
        if let Ok(optimum) = peer::figure(&said, "optimum")
            && best.is_none_or(|(least, _)| seconds < least)
        {
            best = Some((seconds, optimum));
        }
    }
    Ok(best.ok_or("HiGHS found no optimum")?)
}

fn run() -> Result<(), Fault> {
    let python = peer::python("highs", &PACKAGES)?;
    let place = folder::root()?.join("allocation");
    std::fs::create_dir_all(&place)?;
    let tables = Tables::made(CUSTOMERS);
    let cut = tables.cut(CUT);
    let mut list = Vec::new();
    let mut tell = |name: &str, figure: f64, unit: &str, beside: Option<(&str, f64)>| {
        eprintln!("{name}: {figure} {unit} beside {beside:?}");
        list.push(Measurement {
            name: format!("allocation, {name}"),
            figure,
            unit: unit.to_owned(),
            reference: beside.map(|(name, figure)| Reference {
                name: name.to_owned(),
                figure,
            }),
        });
    };
    let others = Others::watch(&[std::process::id()])?;
    let (whole, all) = timed(|| tables.plain(|of| solve(of, None)))?;
    let (part, few) = timed(|| cut.plain(|of| solve(of, None)))?;
    let rate = |customers: usize, seconds: f64| customers as f64 / seconds;

    // A cap that is reached, and a floor above what is reached without it.
    let floored = |tables: &Tables| -> Result<(u64, f64), Fault> {
        let free = tables.full(u64::MAX, 0.0, |of| solve(of, None))?;
        Ok((free.counts[0] / 2, free.objectives[1] * 1.03))
    };
    let (cap, floor) = floored(&cut)?;
    let (all_cap, all_floor) = floored(&tables)?;
    let (limited, kept) = timed(|| tables.full(all_cap, all_floor, |of| solve(of, None)))?;
    let (limited_part, kept_part) = timed(|| cut.full(cap, floor, |of| solve(of, None)))?;

    let weights: Vec<Vec<f64>> = WEIGHTS.iter().map(|weight| vec![1.0, *weight]).collect();
    let objectives = tables.objectives(0.0, None);
    let problem = Problem {
        customers: tables.customers,
        actions: ACTIONS,
        objectives: &objectives,
        budgets: &tables.budgets(),
        groups: &[],
        eligible: None,
    };
    let start = Instant::now();
    let points = curve(&problem, &weights)?;
    let swept = start.elapsed().as_secs_f64() / points.len() as f64;
    let share = others.share()?;
    let widest = (points.iter())
        .map(|point| point.allocation.relative_gap())
        .fold(0.0, f64::max);
    for point in &points {
        let found = &point.allocation;
        eprintln!(
            "{:?}: {:?}, gap {:e}",
            point.weights,
            found.objectives,
            found.relative_gap()
        );
    }

    cut.store(&place, CUT as f64, 0.0)?;
    let (seconds, optimum) = highs(&python, &place)?;
    cut.store(&place, cap as f64, floor)?;
    let (limited_seconds, limited_optimum) = highs(&python, &place)?;

    tell(
        "1,000,000 customers, 10 actions, 3 budgets",
        rate(CUSTOMERS, whole),
        "customers/s",
        Some((
            &format!("{HIGHS}, relaxed, 20,000 of them"),
            rate(CUT, seconds),
        )),
    );
    tell("time of it", whole, "s", None);
    tell(
        "20,000 of them",
        rate(CUT, part),
        "customers/s",
        Some((&format!("{HIGHS}, relaxed"), rate(CUT, seconds))),
    );
    let allowed = "allowed (set before it was built)";
    let apart = |found: &Allocation, optimum: f64| (found.bound / optimum - 1.0).abs();
    tell(
        "bound of 20,000, difference from HiGHS's optimum",
        apart(&few, optimum),
        "share",
        Some((allowed, 1e-6)),
    );
    tell(
        "gap of 1,000,000",
        all.relative_gap(),
        "share",
        Some((allowed, 1e-4)),
    );
    tell("gap of 20,000", few.relative_gap(), "share", None);
    tell(
        "with a cap and a floor, 1,000,000 customers",
        rate(CUSTOMERS, limited),
        "customers/s",
        Some((
            &format!("{HIGHS}, relaxed, 20,000 of them"),
            rate(CUT, limited_seconds),
        )),
    );
    tell(
        "with a cap and a floor, 20,000 of them",
        rate(CUT, limited_part),
        "customers/s",
        Some((&format!("{HIGHS}, relaxed"), rate(CUT, limited_seconds))),
    );
    tell(
        "with a cap and a floor, bound of 20,000, difference from HiGHS's optimum",
        apart(&kept_part, limited_optimum),
        "share",
        Some((allowed, 1e-6)),
    );
    tell(
        "with a cap and a floor, gap of 1,000,000",
        kept.relative_gap(),
        "share",
        Some((allowed, 1e-4)),
    );
    tell(
        "curve of 8 weights, 1,000,000 customers, time a point",
        swept,
        "s",
        None,
    );
    tell(
        "widest gap of the curve",
        widest,
        "share",
        Some((allowed, 1e-4)),
    );
    tell(
        "share of the machine that other processes took",
        share,
        "share",
        None,
    );
    let path = write("allocation", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}
