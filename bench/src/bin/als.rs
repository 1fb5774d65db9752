//! Implicit-feedback factors of MovieLens' 100,000 ratings beside `implicit`, by conjugate gradients and by Cholesky: five times a
//! fifth of the ratings is held out, drawn by a seed, and both learn from the rest with the same settings, each from its own
//! start. Both packages' factors are ranked and counted by the same functions. Ratings are strengths.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::random::Random;
use luopan_learning::als::{
    Figures, Interactions, Model, Settings, Solver, evaluate, figures, fit,
};

const PACKAGES: [&str; 3] = ["implicit==0.7.3", "numpy==2.4.6", "scipy==1.17.1"];
const SEEDS: u64 = 5;
const ROUNDS: usize = 3;
/// Items of a ranking that are looked at.
const K: usize = 10;
const METHODS: [(&str, &str, Solver); 2] = [
    (
        "cg",
        "three steps of conjugate gradients",
        Solver::ConjugateGradient { steps: 3 },
    ),
    ("cholesky", "Cholesky", Solver::Cholesky),
];

fn settings(seed: u64, solver: Solver) -> Settings {
    Settings {
        factors: 64,
        regularization: 10.0,
        alpha: 1.0,
        iterations: 15,
        solver,
        seed,
    }
}

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

/// What is learned from, and what is held out.
struct Split {
    learned: Interactions,
    held_out: Interactions,
}

fn run() -> Result<(), Fault> {
    let python = peer::python("implicit", &PACKAGES)?;
    let place = folder::root()?.join("als");
    std::fs::create_dir_all(&place)?;
    let ratings = Ratings::read()?;
    let splits = (1..=SEEDS)
        .map(|seed| ratings.split(seed))
        .collect::<Result<Vec<_>, Fault>>()?;
    for (seed, split) in (1..).zip(&splits) {
        store(&place, seed, &split.learned)?;
    }
    let (mut shares, mut seconds) = (Vec::new(), BTreeMap::<String, Vec<f64>>::new());
    let mut own: Vec<Vec<Model>> = Vec::new();
    for _ in 0..ROUNDS {
        let at = settings(0, Solver::Cholesky);
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/als.py"))
                .arg(&place)
                .args([
                    SEEDS.to_string(),
                    at.factors.to_string(),
                    at.regularization.to_string(),
                    at.alpha.to_string(),
                    at.iterations.to_string(),
                ])
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1"),
        )?;
        let others = Others::watch(&[std::process::id()])?;
        own.clear();
        for (method, _, solver) in METHODS {
            let (mut took, mut models) = (0.0, Vec::new());
            let mut told = 0.0;
            for (seed, split) in (1..).zip(&splits) {
                let started = Instant::now();
                models.push(black_box(fit(&split.learned, &settings(seed, solver))?));
                took += started.elapsed().as_secs_f64();
                told += peer::figure(&said, &format!("{method}.{seed}"))?;
            }
            own.push(models);
            seconds.entry(method.to_owned()).or_default().push(took);
            seconds
                .entry(format!("their {method}"))
                .or_default()
                .push(told);
        }
        shares.push(others.share()?);
        eprintln!("seconds: {seconds:?}");
    }
    let mut list = Vec::new();
    for ((method, words, solver), own) in METHODS.into_iter().zip(own) {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for ((seed, split), model) in (1..).zip(&splits).zip(&own) {
            let theirs = Model::of(
                &read(&place.join(format!("{seed}.{method}.users")))?,
                &read(&place.join(format!("{seed}.{method}.items")))?,
                &settings(seed, solver),
            )?;
            let found = |model| evaluate(model, &split.learned, &split.held_out, K);
            here.push(found(model)?);
            there.push(found(&theirs)?);
            eprintln!(
                "{method}, seed {seed}: {:?}, implicit {:?}; loss {:.1}, implicit {:.1}",
                here[here.len() - 1],
                there[there.len() - 1],
                model.loss(&split.learned)?,
                theirs.loss(&split.learned)?,
            );
        }
        let reference = |figure| {
            Some(Reference {
                name: "implicit 0.7.3, one thread".to_owned(),
                figure,
            })
        };
        for (name, of) in figures_by_name() {
            let (mean, _) = spread(&here, of);
            let (mean_there, deviation) = spread(&there, of);
            list.push(Measurement {
                name: format!("ALS by {words}, MovieLens 100k, {name}, mean of five splits"),
                figure: mean,
                unit: name.to_owned(),
                reference: reference(mean_there),
            });
            list.push(Measurement {
                name: format!(
                    "ALS by {words}, {name}, mean difference a split (deviation of implicit's own over splits {deviation:.4})"
                ),
                figure: here
                    .iter()
                    .zip(&there)
                    .map(|(a, b)| (of(a) - of(b)) / here.len() as f64)
                    .sum(),
                unit: name.to_owned(),
                reference: None,
            });
        }
        list.push(Measurement {
            name: format!("ALS by {words}, MovieLens 100k, 64 factors, 15 iterations, five fits"),
            figure: peer::median(&seconds[method]),
            unit: "s".to_owned(),
            reference: reference(peer::median(&seconds[&format!("their {method}")])),
        });
    }
    let popular = (splits.iter())
        .map(|split| popularity(split))
        .collect::<Result<Vec<_>, Fault>>()?;
    for (name, of) in figures_by_name() {
        list.push(Measurement {
            name: format!("the most often rated items for everyone, {name}, mean of five splits"),
            figure: spread(&popular, of).0,
            unit: name.to_owned(),
            reference: None,
        });
    }
    list.push(Measurement {
        name: "share of the machine that other processes took".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("als", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

type Figure = fn(&Figures) -> f64;

fn figures_by_name() -> [(&'static str, Figure); 3] {
    [
        ("recall@10", |f| f.recall),
        ("NDCG@10", |f| f.ndcg),
        ("MAP@10", |f| f.map),
    ]
}

/// Mean and standard deviation.
fn spread(all: &[Figures], of: Figure) -> (f64, f64) {
    let n = all.len() as f64;
    let mean = all.iter().map(of).sum::<f64>() / n;
    let squares: f64 = all.iter().map(|f| (of(f) - mean) * (of(f) - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn popularity(split: &Split) -> Result<Figures, Fault> {
    let mut counts = vec![0u32; split.learned.items()];
    for user in 0..split.learned.users() {
        for item in split.learned.of(user).0 {
            counts[*item as usize] += 1;
        }
    }
    let mut order: Vec<u32> = (0..counts.len() as u32).collect();
    order.sort_by_key(|item| (u32::MAX - counts[*item as usize], *item));
    let rank = |_| Ok(order.clone());
    Ok(figures(&split.learned, &split.held_out, K, rank)?)
}

/// Users, items and ratings, as they lie in the file; users and items are counted from 0 in the order that they appear.
struct Ratings {
    users: usize,
    items: usize,
    rows: Vec<(u32, u32, f32)>,
}

impl Ratings {
    fn read() -> Result<Self, Fault> {
        let data = DataFile::at("recsys_movielens100k/ml-100k.inter.gz");
        let failed = |e: &dyn std::fmt::Display| data.fault(e);
        let text = data.text()?;
        let (mut users, mut items) = (BTreeMap::new(), BTreeMap::new());
        let mut rows = Vec::new();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split('\t').collect();
            let [user, item, rating, _] = words[..] else {
                return Err(failed(&line));
            };
            let (next_user, next_item) = (users.len() as u32, items.len() as u32);
            rows.push((
                *users.entry(user.to_owned()).or_insert(next_user),
                *items.entry(item.to_owned()).or_insert(next_item),
                rating.parse().map_err(|e| failed(&e))?,
            ));
        }
        Ok(Self {
            users: users.len(),
            items: items.len(),
            rows,
        })
    }

    /// A fifth held out, drawn by the seed.
    fn split(&self, seed: u64) -> Result<Split, Fault> {
        let mut random = Random::new(seed);
        let mut rows = self.rows.clone();
        for at in (1..rows.len()).rev() {
            rows.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        let (held_out, learned) = rows.split_at(rows.len() / 5);
        let gathered = |rows| Interactions::gathered(self.users, self.items, rows);
        Ok(Split {
            learned: gathered(learned)?,
            held_out: gathered(held_out)?,
        })
    }
}

fn store(place: &Path, seed: u64, learned: &Interactions) -> Result<(), Fault> {
    let (mut offsets, mut columns, mut strengths) = (vec![0; 8], Vec::new(), Vec::new());
    for user in 0..learned.users() {
        let (items, own) = learned.of(user);
        columns.extend(items.iter().flat_map(|x| x.to_le_bytes()));
        strengths.extend(own.iter().flat_map(|x| x.to_le_bytes()));
        offsets.extend(((columns.len() / 4) as u64).to_le_bytes());
    }
    std::fs::write(place.join(format!("{seed}.offsets")), offsets)?;
    std::fs::write(place.join(format!("{seed}.columns")), columns)?;
    std::fs::write(place.join(format!("{seed}.strengths")), strengths)?;
    std::fs::write(place.join("items"), learned.items().to_string())?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<f32>, Fault> {
    let bytes = std::fs::read(path)?;
    let (words, _) = bytes.as_chunks::<4>();
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}
