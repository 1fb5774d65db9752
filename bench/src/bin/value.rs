//! Customer value on CDNOW beside Lifetimes: BG/NBD and Gamma-Gamma on the published summary of 2,357 customers (parameters, log
//! likelihoods, seconds), and how the model that saw 39 weeks of the sample's transactions tells the next 39.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_learning::value::{
    Columns, Settings, Span, Transaction, calibrate, churn, fit_bg_nbd, fit_gamma_gamma, histories,
    summarise,
};

const PACKAGES: [&str; 5] = [
    "lifetimes==0.11.3",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "scipy==1.17.1",
    "autograd==1.9.1",
];
const PEER: &str = "Lifetimes 0.11.3";
const ROUNDS: usize = 7;
/// Weeks that are predicted.
const WEEKS: f64 = 39.0;
const DAY_US: i64 = 86_400_000_000;

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

/// A measurement beside Lifetimes.
fn beside(name: &str, figure: f64, unit: &str, theirs: f64) -> Measurement {
    Measurement {
        name: name.to_owned(),
        figure,
        unit: unit.to_owned(),
        reference: Some(Reference {
            name: PEER.to_owned(),
            figure: theirs,
        }),
    }
}

fn alone(name: String, figure: f64, unit: &str) -> Measurement {
    Measurement {
        name,
        figure,
        unit: unit.to_owned(),
        reference: None,
    }
}

/// The least seconds of some rounds, with what came of the last.
fn least<T>(mut of: impl FnMut() -> Result<T, Fault>) -> Result<(f64, T), Fault> {
    let mut best = f64::INFINITY;
    let mut found = None;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        found = Some(black_box(of()?));
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok((best, found.ok_or("no rounds")?))
}

fn run() -> Result<(), Fault> {
    let python = peer::python("lifetimes", &PACKAGES)?;
    let place = folder::root()?.join("value");
    std::fs::create_dir_all(&place)?;
    let (columns, rows) = summary()?;
    let file = place.join("customers");
    std::fs::write(&file, rows)?;
    let [frequency, recency, age, spend] = &columns;
    let settings = Settings::default();
    let said = peer::run(
        Command::new(&python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/value.py"))
            .arg(&file)
            .arg(ROUNDS.to_string())
            .env("OMP_NUM_THREADS", "1")
            .env("OPENBLAS_NUM_THREADS", "1"),
    )?;
    let others = Others::watch(&[std::process::id()])?;
    let theirs = |name: &str| peer::figure(&said, name);
    let all = histories(&Columns {
        frequency,
        recency,
        age,
        customers: None,
    })?;
    let (fitting, fit) = least(|| Ok(fit_bg_nbd(&all, None, &settings)?))?;
    let (spending, spent) = least(|| Ok(fit_gamma_gamma(&all, spend, &settings)?))?;
    let (model, each) = (fit.model, spent.model);
    let (predicting, next) = least(|| {
        let predicted = all.iter().map(|of| model.expected_purchases(WEEKS, of));
        Ok(predicted.collect::<Result<Vec<f64>, _>>()?)
    })?;
    let mut list = Vec::new();
    let own = [model.r, model.alpha, model.a, model.b];
    for ((name, found), error) in ["r", "alpha", "a", "b"]
        .into_iter()
        .zip(own)
        .zip(fit.standard_errors)
    {
        let words = format!("BG/NBD, CDNOW summary, 2,357 customers: {name}");
        list.push(beside(&words, found, name, theirs(name)?));
        let words = format!("BG/NBD, CDNOW summary: standard error of {name}");
        let their = theirs(&format!("{name}.error"))?;
        list.push(beside(&words, error, name, their));
    }
    let words = "BG/NBD, CDNOW summary: log likelihood";
    list.push(beside(
        words,
        fit.log_likelihood,
        "log likelihood",
        theirs("likelihood")?,
    ));
    let words = "BG/NBD, CDNOW summary: fit, least of seven";
    list.push(beside(words, fitting, "s", theirs("fit.seconds")?));
    for (name, found) in [("p", each.p), ("q", each.q), ("v", each.v)] {
        let words = format!("Gamma-Gamma, CDNOW summary, 946 customers: {name}");
        list.push(beside(&words, found, name, theirs(name)?));
    }
    let words = "Gamma-Gamma, CDNOW summary: log likelihood";
    let their = theirs("spend.likelihood")?;
    list.push(beside(words, spent.log_likelihood, "log likelihood", their));
    let words = "Gamma-Gamma, CDNOW summary: fit, least of seven";
    list.push(beside(words, spending, "s", theirs("spend.seconds")?));
    let words = "BG/NBD, expected purchases of 2,357 customers in 39 weeks, least of seven";
    list.push(beside(words, predicting, "s", theirs("predict.seconds")?));
    let predicted = std::fs::read_to_string(place.join("customers.predicted"))?;
    let (mut furthest, mut furthest_alive, mut furthest_spend) = (0.0f64, 0.0f64, 0.0f64);
    for (((line, next), of), paid) in predicted.lines().zip(&next).zip(&all).zip(spend) {
        let [their, alive, mean] = numbers(line)?;
        furthest = furthest.max((next / their - 1.0).abs());
        furthest_alive = furthest_alive.max((model.probability_alive(of) - alive).abs());
        let own = each.expected_spend(of.frequency(), *paid)?;
        furthest_spend = furthest_spend.max((own / mean - 1.0).abs());
    }
    let words =
        "furthest from Lifetimes, each by its own fit, relative: expected purchases in 39 weeks";
    list.push(alone(words.to_owned(), furthest, "share"));
    let words = "furthest from Lifetimes, each by its own fit: probability alive";
    list.push(alone(words.to_owned(), furthest_alive, "probability"));
    let words = "furthest from Lifetimes, each by its own fit, relative: mean spend";
    list.push(alone(words.to_owned(), furthest_spend, "share"));
    list.extend(held_out(&settings)?);
    let words = "share of the machine that other processes took";
    list.push(alone(words.to_owned(), others.share()?, "share"));
    let path = write("value", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// What 39 weeks of transactions tell of the next 39.
fn held_out(settings: &Settings) -> Result<Vec<Measurement>, Fault> {
    let span = Span {
        moment_us: DAY_US,
        unit_us: 7 * DAY_US,
        // 30 September 1997 and 30 June 1998.
        until_us: 10_134 * DAY_US,
        holdout_until_us: Some(10_407 * DAY_US),
    };
    let started = Instant::now();
    let (customers, length) = summarise(&transactions()?, &span)?;
    let length = length.ok_or("no holdout")?;
    let of: Vec<_> = customers.iter().map(|of| of.history).collect();
    let fit = fit_bg_nbd(&of, None, settings)?;
    let expected = (of.iter())
        .map(|of| fit.model.expected_purchases(length, of))
        .collect::<Result<Vec<f64>, _>>()?;
    let observed: Vec<f64> = (customers.iter())
        .map(|of| f64::from(of.holdout_purchases))
        .collect();
    let alive: Vec<f64> = of
        .iter()
        .map(|of| fit.model.probability_alive(of))
        .collect();
    let seconds = started.elapsed().as_secs_f64();
    let found = calibrate(&expected, &observed, 10)?;
    let about = "CDNOW sample, 39 weeks held out";
    let mut list = vec![
        Measurement {
            name: format!("{about}: purchases expected of {} customers", of.len()),
            figure: found.expected,
            unit: "purchases".to_owned(),
            reference: Some(Reference {
                name: "purchases that came".to_owned(),
                figure: found.observed,
            }),
        },
        alone(
            format!("{about}: mean distance of expected and observed in groups"),
            found.error,
            "purchases",
        ),
    ];
    for (at, group) in found.groups.iter().enumerate() {
        list.push(Measurement {
            name: format!(
                "{about}: purchases a customer expected, group {} of {} ({} customers)",
                at + 1,
                found.groups.len(),
                group.customers
            ),
            figure: group.expected,
            unit: "purchases".to_owned(),
            reference: Some(Reference {
                name: format!("came, standard error {:.3}", group.standard_error),
                figure: group.observed,
            }),
        });
    }
    let split = churn(&alive, &observed, 0.5, 0.95)?;
    for (words, share) in [
        (
            "who counts as gone (alive below 0.5) bought nothing",
            split.silent_of_gone,
        ),
        (
            "who does not count as gone bought nothing",
            split.silent_of_others,
        ),
    ] {
        list.push(alone(
            format!(
                "{about}: {words}, of {} customers ({:.3} to {:.3} at 95 %)",
                share.of, share.lower, share.upper
            ),
            share.share,
            "share",
        ));
    }
    list.push(alone(
        format!("{about}: from the file to predictions"),
        seconds,
        "s",
    ));
    Ok(list)
}

fn text(name: &str) -> Result<String, Fault> {
    DataFile::at(Path::new("clv_cdnow").join(name)).text()
}

fn numbers<const N: usize>(line: &str) -> Result<[f64; N], Fault> {
    let found = line
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()
        .map_err(|e| format!("{line:?}: {e}"))?;
    found
        .try_into()
        .map_err(|_| format!("{line:?} has not {N} numbers").into())
}

/// The published summary, by column (frequency, recency, age, mean spend) and as lines for the peer.
fn summary() -> Result<([Vec<f64>; 4], String), Fault> {
    let mut columns: [Vec<f64>; 4] = Default::default();
    let mut lines = String::new();
    for line in text("cdnow_customers_summary_with_transactions.csv.gz")?
        .lines()
        .skip(1)
    {
        let [_, rest @ ..]: [f64; 5] = numbers(line)?;
        columns
            .iter_mut()
            .zip(rest)
            .for_each(|(column, x)| column.push(x));
        writeln!(lines, "{} {} {} {}", rest[0], rest[1], rest[2], rest[3])?;
    }
    Ok((columns, lines))
}

/// The sample's transactions; days since the epoch by the civil calendar.
fn transactions() -> Result<Vec<Transaction<u32>>, Fault> {
    let mut rows = Vec::new();
    for line in text("CDNOW_sample.txt.gz")?.lines() {
        let [_, customer, day, _, amount]: [f64; 5] = numbers(line)?;
        let day = day as i32;
        let date = jiff::civil::Date::new(
            i16::try_from(day / 10_000)?,
            i8::try_from(day / 100 % 100)?,
            i8::try_from(day % 100)?,
        )?;
        let epoch = jiff::civil::date(1970, 1, 1);
        rows.push(Transaction {
            customer: customer as u32,
            at_us: i64::from((date - epoch).get_days()) * DAY_US,
            amount,
        });
    }
    Ok(rows)
}
