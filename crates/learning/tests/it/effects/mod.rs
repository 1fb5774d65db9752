//! Effects of a model: the numbers of PyALE and scikit-learn, the laws, kept models of every kind, and what is refused.

mod kept;
mod laws;
mod reference;
mod refused;

use luopan_kernel::random::Random;
use luopan_learning::tabular::{Error, Frame, Kept, Kind, Series, Settings, Task, fit_all};

/// What a function of a row says of columns.
fn of(function: impl Fn(&[f64]) -> f64) -> impl Fn(&[Vec<f64>]) -> Result<Vec<f64>, Error> {
    move |columns: &[Vec<f64>]| {
        let rows = 0..columns[0].len();
        let row = |r: usize| columns.iter().map(|c| c[r]).collect::<Vec<f64>>();
        Ok(rows.map(|r| function(&row(r))).collect())
    }
}

/// Numbers `age` (sometimes missing), `balance`, `noise`, a category `city`, and what happened: `bought` and `paid`.
fn table(rows: usize, seed: u64) -> Frame {
    let mut random = Random::new(seed);
    let mut columns: [Vec<f64>; 5] = Default::default();
    let mut codes = Vec::with_capacity(rows);
    for _ in 0..rows {
        let age = 20.0 + 40.0 * random.uniform();
        let balance = age / 10.0 + 2.0 * random.normal();
        let city = (random.bits() % 4) as u32;
        let unknown = random.uniform() < 0.1;
        let score = 0.05 * (age - 40.0)
            + 0.6 * balance.max(2.0)
            + [0.5, -0.5, 0.0, 1.0][city as usize]
            + 0.3 * f64::from(u8::from(unknown))
            - 2.5;
        let chance = 1.0 / (1.0 + libm::exp(-score));
        columns[0].push(if unknown { f64::NAN } else { age.round() });
        columns[1].push(balance);
        columns[2].push(random.normal());
        columns[3].push(f64::from(u8::from(random.uniform() < chance)));
        columns[4].push((score + random.normal()).round().max(0.0));
        codes.push(city);
    }
    let [age, balance, noise, bought, paid] = columns.map(Series::Numbers);
    let levels = ["Beijing", "Chengdu", "Harbin", "Xiamen"].map(str::to_owned);
    let city = Series::Texts {
        codes,
        levels: levels.to_vec(),
    };
    let named = [
        ("age", age),
        ("balance", balance),
        ("noise", noise),
        ("city", city),
        ("bought", bought),
        ("paid", paid),
    ];
    Frame::new(named.map(|(n, s)| (n.to_owned(), s)).to_vec()).expect("a table")
}

fn model(frame: &Frame, task: Task, kind: Kind, exclude: &[&str]) -> Kept {
    let target = match task {
        Task::Binary => "bought",
        _ => "paid",
    };
    let mut settings = Settings::new(task, kind, target);
    settings.gbdt.rounds = 20;
    settings.exclude = ["bought", "paid"]
        .iter()
        .filter(|c| **c != target)
        .chain(exclude)
        .map(|c| (*c).to_owned())
        .collect();
    fit_all(frame, &settings).expect("a model")
}
