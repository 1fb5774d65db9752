//! Matching: the best 20 of 9,000 products for each of 200,000 customers by 64 factors, with every product eligible and with
//! half of them, beside `implicit`, which filters nothing: two threads both, the same factors. Both take turns; each figure is
//! the middle one of its rounds. A sample of customers is compared with exact scoring of every pair, bit for bit.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::process::Others;
use luopan_bench::traffic::Random;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::learn::algebra::dot8;
use luopan_learning::matching::{Eligible, Items, Matches};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PACKAGES: [&str; 3] = ["implicit==0.7.3", "numpy==2.4.6", "scipy==1.17.1"];
const CUSTOMERS: usize = 200_000;
const ITEMS: usize = 9_000;
const WIDTH: usize = 64;
const TOP: usize = 20;
const THREADS: usize = 2;
/// Groups of customers that have a bitmap of their own: five risk classes, four tiers.
const GROUPS: u64 = 20;
const ROUNDS: usize = 5;
/// Every so many customers one is compared with exact scoring.
const SAMPLED: usize = 97;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("implicit", &PACKAGES)?;
    let folder = folder::root()?.join("match");
    std::fs::create_dir_all(&folder)?;
    let mut random = Random(20_261_122);
    let customers = normal(&mut random, CUSTOMERS * WIDTH);
    let products = normal(&mut random, ITEMS * WIDTH);
    let items = Items::new(&products, WIDTH)?;
    let words = items.words();
    let bitmaps: Vec<u64> = (0..CUSTOMERS * words).map(|_| random.draw()).collect();
    let groups: Vec<u32> = (0..CUSTOMERS)
        .map(|_| random.below(GROUPS) as u32)
        .collect();
    let cases = [
        ("everything eligible", Eligible::All),
        (
            "half eligible, by 20 groups of customers",
            Eligible::Groups {
                of: &groups,
                bitmaps: &bitmaps[..GROUPS as usize * words],
            },
        ),
        (
            "half eligible, another half for each customer",
            Eligible::Each(&bitmaps),
        ),
    ];
    let files = [folder.join("customers"), folder.join("products")];
    store(&files[0], &customers)?;
    store(&files[1], &products)?;
    let outputs = folder.join("outputs");

    let mut own = [const { Vec::new() }; 3];
    let (mut theirs, mut shares, mut alike) = (Vec::new(), Vec::new(), 0.0);
    for round in 0..ROUNDS {
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/match.py"))
                .args(&files)
                .args([WIDTH, TOP, THREADS].map(|number| number.to_string()))
                .arg(&outputs)
                // What `implicit` itself asks for: it divides the customers among its own threads.
                .env("OPENBLAS_NUM_THREADS", "1"),
        )?;
        theirs.push(peer::figure(&said, "seconds")?);
        eprintln!("round {round}: implicit {:.3} s", theirs[round]);
        for ((words, eligible), took) in cases.iter().zip(&mut own) {
            let others = Others::watch(&[std::process::id()])?;
            let started = Instant::now();
            let matches = items.best(&customers, *eligible, TOP, THREADS)?;
            took.push(started.elapsed().as_secs_f64());
            shares.push(others.share()?);
            eprintln!("round {round}: {words}: {:.3} s", took[round]);
            if round == 0 {
                check(&customers, &products, *eligible, &matches, items.words())?;
            }
            if matches!(eligible, Eligible::All) {
                alike = same(&matches, &outputs)?;
            }
        }
    }
    let customers = CUSTOMERS as f64;
    let mut measured: Vec<Measurement> = cases
        .iter()
        .zip(&own)
        .map(|((words, _), took)| Measurement {
            name: format!("match, 200,000 customers x 9,000 products, best 20, {words}"),
            figure: customers / peer::median(took),
            unit: "customers/s".to_owned(),
            reference: Some(Reference {
                name: "implicit 0.7.3, recommend, nothing filtered, two threads both".to_owned(),
                figure: customers / peer::median(&theirs),
            }),
        })
        .collect();
    measured.push(Measurement {
        name: "match, customers to whom implicit, which adds in binary32, gives the same 20 in the same order"
            .to_owned(),
        figure: alike,
        unit: "share".to_owned(),
        reference: None,
    });
    measured.push(Measurement {
        name: "share of the machine that other processes took during matching".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("match", &measured)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// Numbers of the normal distribution with mean 0 and variance 1 (Box and Muller 1958).
fn normal(random: &mut Random, count: usize) -> Vec<f32> {
    let mut unit = || (random.draw() >> 11) as f64 / (1u64 << 53) as f64;
    (0..count)
        .map(|_| {
            let (u, v) = (1.0 - unit(), unit());
            ((-2.0 * u.ln()).sqrt() * (core::f64::consts::TAU * v).cos()) as f32
        })
        .collect()
}

fn store(path: &Path, values: &[f32]) -> Result<(), Fault> {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Ok(std::fs::write(path, bytes)?)
}

/// Compares a sample of customers with exact scoring of every eligible pair.
fn check(
    customers: &[f32],
    products: &[f32],
    eligible: Eligible<'_>,
    matches: &Matches,
    words: usize,
) -> Result<(), Fault> {
    let wide = |row: &[f32]| -> Vec<f64> { row.iter().map(|value| f64::from(*value)).collect() };
    let products: Vec<Vec<f64>> = products.chunks(WIDTH).map(wide).collect();
    for customer in (0..CUSTOMERS).step_by(SAMPLED) {
        let x = wide(&customers[customer * WIDTH..(customer + 1) * WIDTH]);
        let bitmap = match eligible {
            Eligible::All => None,
            Eligible::Each(bitmaps) => Some(&bitmaps[customer * words..]),
            Eligible::Groups { of, bitmaps } => Some(&bitmaps[of[customer] as usize * words..]),
        };
        let mut scored: Vec<(f64, u32)> = products
            .iter()
            .zip(0u32..)
            .filter(|(_, item)| {
                bitmap.is_none_or(|words| words[*item as usize / 64] >> (item % 64) & 1 == 1)
            })
            .map(|(y, item)| (dot8(&x, y), item))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.truncate(TOP);
        let (items, scores) = matches.of(customer);
        let same = items.len() == scored.len()
            && scored
                .iter()
                .zip(items.iter().zip(scores))
                .all(|(exact, (item, score))| {
                    exact.1 == *item && exact.0.to_bits() == score.to_bits()
                });
        if !same {
            return Err(
                format!("customer {customer}: {items:?} is not what exact scoring gives").into(),
            );
        }
    }
    Ok(())
}

/// Share of the customers that were given the same items in the same order there.
fn same(matches: &Matches, outputs: &Path) -> Result<f64, Fault> {
    let bytes = std::fs::read(outputs)?;
    let (words, _) = bytes.as_chunks::<4>();
    let theirs: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    if theirs.len() != CUSTOMERS * TOP {
        return Err(format!("{} items there, {} wanted", theirs.len(), CUSTOMERS * TOP).into());
    }
    let count = theirs
        .chunks_exact(TOP)
        .enumerate()
        .filter(|(customer, items)| matches.of(*customer).0 == *items)
        .count();
    Ok(count as f64 / CUSTOMERS as f64)
}
