//! Classification tables as bandits see them (Bietti, Agarwal and Langford 2021): a row's features are the context, its classes the
//! arms, the reward is one for the right class and zero for any other. Numbers are standardised, texts are one position a value;
//! no label is looked at in making features. This room must never leave a row out for what it says.

use std::collections::BTreeMap;

use luopan_bench::Fault;
use luopan_bench::data::DataFile;
use luopan_kernel::random::Random;

/// Most rows that one seed draws of a table.
pub(crate) const ROWS: usize = 20_000;
/// Characters of a fund's name that are looked at: the most frequent ones.
const CHARACTERS: usize = 64;
/// Arms of funds: the most frequent kinds, and all others as the last.
const KINDS: usize = 12;

/// A table.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Number of arms.
    pub(crate) classes: usize,
    /// Length of a row's features; the first is the constant one.
    pub(crate) dimension: usize,
    features: Vec<f64>,
    pays: Pays,
}

/// What the arms of a row pay.
enum Pays {
    /// The arm of the row's class pays one, any other nothing.
    Class(Vec<usize>),
    /// Each row's reward of each arm, and what it is on average.
    Each { rewards: Vec<f64>, worth: Vec<f64> },
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.features.len() / self.dimension
    }

    /// A table of rows in the order of time whose arms pay `rewards`, row by row, which are worth `worth` on average.
    pub(crate) fn paying(
        name: &'static str,
        classes: usize,
        rows: &[Vec<f64>],
        rewards: Vec<f64>,
        worth: Vec<f64>,
    ) -> Self {
        Self {
            name,
            classes,
            dimension: rows.first().map_or(1, Vec::len),
            features: rows.concat(),
            pays: Pays::Each { rewards, worth },
        }
    }

    pub(crate) fn features(&self, row: usize) -> &[f64] {
        &self.features[row * self.dimension..(row + 1) * self.dimension]
    }

    /// What an arm pays, 0 or 1.
    pub(crate) fn reward(&self, row: usize, arm: usize) -> f64 {
        match &self.pays {
            Pays::Class(labels) => f64::from(u8::from(labels[row] == arm)),
            Pays::Each { rewards, .. } => rewards[row * self.classes + arm],
        }
    }

    /// Share of rows of which no arm pays: Vowpal Wabbit counts the cost of an arm above the least of its row.
    pub(crate) fn unpaid(&self) -> f64 {
        let pays = |row| (0..self.classes).any(|arm| self.reward(row, arm) > 0.0);
        (0..self.len()).filter(|row| !pays(*row)).count() as f64 / self.len() as f64
    }

    /// What the best arm of each row is worth and what the arms are on average, over all rows.
    pub(crate) fn oracle(&self) -> (f64, f64) {
        let n = self.len() as f64;
        match &self.pays {
            Pays::Class(_) => (1.0, 1.0 / self.classes as f64),
            Pays::Each { worth, .. } => {
                let rows = || worth.chunks_exact(self.classes);
                let best: f64 = rows().map(|w| w.iter().copied().fold(0.0, f64::max)).sum();
                (best / n, worth.iter().sum::<f64>() / worth.len() as f64)
            }
        }
    }

    /// The rows of `seed`, in its order, [`ROWS`] at most; of rows in the order of time all of them.
    pub(crate) fn order(&self, seed: u64) -> Vec<u32> {
        if matches!(self.pays, Pays::Each { .. }) {
            return (0..self.len() as u32).collect();
        }
        let mut random = Random::new(seed);
        let mut rows: Vec<u32> = (0..self.len() as u32).collect();
        for at in (1..rows.len()).rev() {
            rows.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        rows.truncate(ROWS);
        rows
    }

    /// A row as Vowpal Wabbit reads it, labels from 1. It has a constant of its own. Features are named by a letter and a number: bare
    /// numbers are not hashed, and its --cbify then gives different features of different arms one weight (loss .75 instead of .34
    /// on funds).
    pub(crate) fn line(&self, row: usize) -> String {
        let mut out = match &self.pays {
            Pays::Class(labels) => format!("{} |", labels[row] + 1),
            Pays::Each { .. } => {
                let cost = |arm| format!("{}:{} ", arm + 1, 1.0 - self.reward(row, arm));
                (0..self.classes).map(cost).collect::<String>() + "|"
            }
        };
        for (k, v) in self.features(row).iter().enumerate().skip(1) {
            if *v == 1.0 {
                out.push_str(&format!(" f{k}"));
            } else if *v != 0.0 {
                out.push_str(&format!(" f{k}:{v:.7}"));
            }
        }
        out
    }

    fn of(name: &'static str, labels: &[String], classes: &[String], columns: Columns) -> Self {
        let labels: Vec<usize> = labels
            .iter()
            .map(|label| {
                classes
                    .iter()
                    .position(|c| c == label)
                    .unwrap_or(classes.len() - 1)
            })
            .collect();
        let dimension = columns.0.len() + 1;
        let mut features = Vec::with_capacity(labels.len() * dimension);
        for row in 0..labels.len() {
            features.push(1.0);
            features.extend(columns.0.iter().map(|c| c[row]));
        }
        Self {
            name,
            classes: classes.len(),
            dimension,
            features,
            pays: Pays::Class(labels),
        }
    }
}

/// Features, column by column.
#[derive(Default)]
struct Columns(Vec<Vec<f64>>);

impl Columns {
    /// Mean zero, deviation one, within four deviations. What is not told has the mean.
    fn standard(&mut self, mut numbers: Vec<f64>) {
        let told: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
        let mean = told.iter().sum::<f64>() / told.len().max(1) as f64;
        for x in numbers.iter_mut().filter(|x| !x.is_finite()) {
            *x = mean;
        }
        let n = numbers.len() as f64;
        let deviation = (numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        let held = |x: f64| ((x - mean) / scale).clamp(-4.0, 4.0);
        self.0.push(numbers.into_iter().map(held).collect());
    }

    /// One column a value.
    fn one_hot(&mut self, texts: &[String]) {
        for value in by_frequency(texts) {
            self.flag(texts.iter().map(|t| *t == value));
        }
    }

    fn flag(&mut self, of: impl Iterator<Item = bool>) {
        self.0.push(of.map(f64::from).collect());
    }
}

/// Each value once, the most frequent first.
fn by_frequency<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut counts: BTreeMap<&T, usize> = BTreeMap::new();
    for v in values {
        *counts.entry(v).or_default() += 1;
    }
    let mut out: Vec<(&T, usize)> = counts.into_iter().collect();
    out.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    out.into_iter().map(|(v, _)| v.clone()).collect()
}

/// A file of separated values with a header.
struct File {
    data: DataFile,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl File {
    fn read(file: &str, separator: char) -> Result<Self, Fault> {
        let data = DataFile::at(file);
        let text = data.text()?;
        let fields = |line: &str| -> Vec<String> {
            (line.trim_start_matches('\u{feff}').split(separator))
                .map(|f| f.trim().trim_matches('"').to_owned())
                .collect()
        };
        let mut lines = text.lines();
        let names = fields(lines.next().unwrap_or_default());
        let rows: Vec<Vec<String>> = lines.map(fields).collect();
        if let Some(odd) = rows.iter().find(|r| r.len() != names.len()) {
            return Err(data.fault(format!("a row of other length: {odd:?}")));
        }
        Ok(Self { data, names, rows })
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        let at = (self.names.iter().position(|n| n == name))
            .ok_or_else(|| self.data.fault(format!("no column {name}")))?;
        Ok(self.rows.iter().map(|r| r[at].clone()).collect())
    }

    fn numbers(&self, name: &str) -> Result<Vec<f64>, Fault> {
        (self.texts(name)?.iter())
            .map(|t| {
                t.parse()
                    .map_err(|e| self.data.fault(format!("{name}: {t:?}: {e}")))
            })
            .collect()
    }
}

/// All tables.
pub(crate) fn all() -> Result<Vec<Table>, Fault> {
    Ok(vec![funds()?, jobs()?, calls()?, repayment()?, ratings()?])
}

/// A fund's kind, by the characters of its name.
fn funds() -> Result<Table, Fault> {
    let file = File::read("fund_products_cn/fund-list.csv.gz", '|')?;
    let (names, kinds) = (file.texts("基金名称")?, file.texts("基金类别")?);
    let all: Vec<char> = names.iter().flat_map(|n| n.chars()).collect();
    let mut columns = Columns::default();
    for character in by_frequency(&all).into_iter().take(CHARACTERS) {
        columns.flag(names.iter().map(|n| n.contains(character)));
    }
    let mut classes: Vec<String> = by_frequency(&kinds).into_iter().take(KINDS - 1).collect();
    classes.push("other".to_owned());
    Ok(Table::of("fund kinds", &kinds, &classes, columns))
}

/// What the bank knows of whom it calls, but for `without`.
fn bank(file: &File, without: &str) -> Result<Columns, Fault> {
    let mut columns = Columns::default();
    for name in ["age", "campaign", "previous", "emp.var.rate"] {
        columns.standard(file.numbers(name)?);
    }
    for name in ["cons.price.idx", "cons.conf.idx", "euribor3m"] {
        columns.standard(file.numbers(name)?);
    }
    for name in [
        "job",
        "marital",
        "education",
        "default",
        "housing",
        "loan",
        "contact",
        "month",
        "poutcome",
    ] {
        if name != without {
            columns.one_hot(&file.texts(name)?);
        }
    }
    Ok(columns)
}

/// A bank customer's occupation.
fn jobs() -> Result<Table, Fault> {
    let file = File::read("bank_marketing/bank-additional-full.csv.gz", ';')?;
    let jobs = file.texts("job")?;
    let columns = bank(&file, "job")?;
    Ok(Table::of(
        "bank occupations",
        &jobs,
        &by_frequency(&jobs),
        columns,
    ))
}

/// Whether a call ends in a subscription.
fn calls() -> Result<Table, Fault> {
    let file = File::read("bank_marketing/bank-additional-full.csv.gz", ';')?;
    let answers = file.texts("y")?;
    let columns = bank(&file, "")?;
    Ok(Table::of(
        "bank calls",
        &answers,
        &by_frequency(&answers),
        columns,
    ))
}

/// How a card is repaid next month: nothing was used, paid in full, revolving, late.
fn repayment() -> Result<Table, Fault> {
    let file = File::read("credit_taiwan/UCI_Credit_Card.csv.gz", ',')?;
    let state = |name: &str| -> Result<Vec<String>, Fault> {
        let word = |m: f64| match m {
            m if m < -1.5 => "unused",
            m if m < -0.5 => "paid",
            m if m < 0.5 => "revolving",
            _ => "late",
        };
        let months = file.numbers(name)?;
        Ok(months.into_iter().map(|m| word(m).to_owned()).collect())
    };
    let mut columns = Columns::default();
    columns.standard(file.numbers("AGE")?);
    columns.standard(file.numbers("LIMIT_BAL")?);
    for name in ["SEX", "EDUCATION", "MARRIAGE"] {
        columns.one_hot(&file.texts(name)?);
    }
    for month in 2..=6 {
        columns.one_hot(&state(&format!("PAY_{month}"))?);
        for name in ["BILL_AMT", "PAY_AMT"] {
            let amounts = file.numbers(&format!("{name}{month}"))?;
            // Logarithms of amounts, which may be below zero.
            let log = |x: f64| x.signum() * x.abs().ln_1p();
            columns.standard(amounts.into_iter().map(log).collect());
        }
    }
    let next = state("PAY_0")?;
    Ok(Table::of(
        "card repayment",
        &next,
        &by_frequency(&next),
        columns,
    ))
}

/// The stars that a viewer gives a film.
fn ratings() -> Result<Table, Fault> {
    let ratings = File::read("recsys_movielens100k/ml-100k.inter.gz", '\t')?;
    let users = File::read("recsys_movielens100k/ml-100k.user.gz", '\t')?;
    let films = File::read("recsys_movielens100k/ml-100k.item.gz", '\t')?;
    let stars: Vec<String> = (ratings.numbers("rating:float")?.iter())
        .map(|r| format!("{r:.0}"))
        .collect();
    let joined = |of: &File, id: &str, column: &str| -> Result<Vec<String>, Fault> {
        let values: BTreeMap<String, String> =
            of.texts(id)?.into_iter().zip(of.texts(column)?).collect();
        Ok((ratings.texts(id)?.iter())
            .map(|k| values.get(k).cloned().unwrap_or_default())
            .collect())
    };
    // The year of some films is not told.
    let numbers = |texts: Vec<String>| -> Vec<f64> {
        (texts.iter())
            .map(|t| t.parse().unwrap_or(f64::NAN))
            .collect()
    };
    let mut columns = Columns::default();
    columns.standard(numbers(joined(&users, "user_id:token", "age:token")?));
    columns.standard(numbers(joined(
        &films,
        "item_id:token",
        "release_year:token",
    )?));
    columns.one_hot(&joined(&users, "user_id:token", "gender:token")?);
    columns.one_hot(&joined(&users, "user_id:token", "occupation:token")?);
    let kinds = joined(&films, "item_id:token", "class:token_seq")?;
    let words: Vec<&str> = kinds.iter().flat_map(|k| k.split_whitespace()).collect();
    for word in by_frequency(&words) {
        columns.flag(
            kinds
                .iter()
                .map(|k| k.split_whitespace().any(|w| w == word)),
        );
    }
    Ok(Table::of(
        "film ratings",
        &stars,
        &by_frequency(&stars),
        columns,
    ))
}
