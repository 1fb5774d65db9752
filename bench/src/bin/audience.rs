//! White-box audiences: the fifth of a table's rows that a gradient-boosted model scores highest, described by a few rules, beside a
//! decision tree and RIPPER with as many conditions, on three tenths of the rows that no method learned from. And the rules as a segment of
//! a scene, evaluated by the kernel on every row: on how many it differs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use luopan_bench::data::DataFile;
use luopan_bench::process::Others;
use luopan_bench::{Fault, Measurement, Reference, folder, peer, write};
use luopan_kernel::rule::truth;
use luopan_kernel::value::Value;
use luopan_learning::audience::{Description, Method, Settings, describe, held_out, picked};
use luopan_learning::gbdt::{
    BinSettings, Binned, Column, Kind, Objective, Parameters, Part, train,
};
use luopan_learning::tabular::{Frame, Series};

const PACKAGES: [&str; 4] = [
    "wittgenstein==0.3.5",
    "scikit-learn==1.9.1",
    "pandas==3.1.1",
    "numpy==2.4.6",
];
/// Seconds until RIPPER is given up.
const SECONDS: &str = "90";
/// Name, file, separator, outcome, what it is when it happened, columns that are no features.
type Source = (
    &'static str,
    &'static str,
    char,
    &'static str,
    &'static str,
    &'static [&'static str],
);
const TABLES: [Source; 2] = [
    (
        "bank marketing",
        "bank_marketing/bank-additional-full.csv.gz",
        ';',
        "y",
        "yes",
        &["duration"],
    ),
    (
        "Taiwanese credit",
        "credit_taiwan/UCI_Credit_Card.csv.gz",
        ',',
        "default.payment.next.month",
        "1",
        &["ID"],
    ),
];
/// Most rules, and conditions of one.
const BUDGETS: [(usize, usize); 3] = [(2, 2), (3, 3), (5, 3)];

fn main() -> ExitCode {
    luopan_bench::ending(run())
}

fn run() -> Result<(), Fault> {
    let python = peer::python("wittgenstein", &PACKAGES)?;
    let place = folder::root()?.join("audience");
    std::fs::create_dir_all(&place)?;
    let (mut list, mut shares) = (Vec::new(), Vec::new());
    for (at, source) in TABLES.into_iter().enumerate() {
        let words = source.0;
        let (frame, outcomes) = read(source)?;
        let scores = scored(&frame, &outcomes)?;
        let mut sorted = scores.clone();
        sorted.sort_by(f64::total_cmp);
        let audience = picked(&scores, sorted[sorted.len() * 4 / 5])?;
        let held = held_out(&frame.row_hashes(), 0.3, 1)?;
        let file = place.join(format!("table-{at}.csv"));
        store(&file, &frame, &audience, &held)?;
        let said = peer::run(
            Command::new(&python)
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/peers/audience.py"))
                .arg(&file)
                .arg(SECONDS)
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1"),
        )?;
        let others = Others::watch(&[std::process::id()])?;
        for (rules_max, conditions_max) in BUDGETS {
            let about = format!("{words}, {rules_max} rules of {conditions_max} conditions");
            let settings = |method, words_max| Settings {
                rules_max,
                conditions_max,
                words_max,
                condition_cost: 0.001,
                method,
                ..Settings::default()
            };
            let of = |method, words_max| -> Result<(Description, f64), Fault> {
                let started = Instant::now();
                let found = describe(&frame, &audience, &held, &settings(method, words_max), 0.95)?;
                Ok((black_box(found), started.elapsed().as_secs_f64()))
            };
            let (revised, seconds) = of(Method::Revised, 1)?;
            let (covering, _) = of(Method::Covering, 1)?;
            let (sets, _) = of(Method::Revised, Settings::default().words_max)?;
            let told = |method: &str, figure: &str| {
                peer::figure(
                    &said,
                    &format!("{method}.{rules_max}x{conditions_max}.{figure}"),
                )
            };
            let own = &revised.held_out;
            for (method, name) in [
                ("tree", "decision tree, scikit-learn 1.9.1"),
                ("ripper", "RIPPER, wittgenstein 0.3.5"),
            ] {
                let reference = |figure: &str| -> Result<Option<Reference>, Fault> {
                    let conditions = told(method, "conditions")?;
                    let name = format!("{name}, {conditions} conditions");
                    // Nothing found has no purity.
                    let figure = told(method, figure)?;
                    Ok((figure != 0.0).then_some(Reference { name, figure }))
                };
                for (figure, share) in [
                    ("fidelity", own.fidelity),
                    ("purity", own.purity),
                    ("coverage", own.coverage),
                ] {
                    list.push(Measurement {
                        name: format!("{about}, beside {method}: {figure} on rows held out ({:.4} to {:.4} at 95 %), {} conditions found", share.lower, share.upper, revised.rules.conditions()),
                        figure: share.share,
                        unit: figure.to_owned(),
                        reference: reference(figure)?,
                    });
                }
                list.push(Measurement {
                    name: format!("{about}, beside {method}: from the table to figures"),
                    figure: seconds,
                    unit: "s".to_owned(),
                    reference: reference("seconds")?,
                });
            }
            for (other, name) in [
                (&covering, "one rule after the other, none looked at again"),
                (&sets, "up to 6 words in a condition"),
            ] {
                list.push(Measurement {
                    name: format!(
                        "{about}: fidelity, {name}, {} conditions",
                        other.rules.conditions()
                    ),
                    figure: other.held_out.fidelity.share,
                    unit: "fidelity".to_owned(),
                    reference: Some(Reference {
                        name: "revised, one word a condition".to_owned(),
                        figure: own.fidelity.share,
                    }),
                });
            }
            list.push(Measurement {
                name: format!("{about}: fidelity of nobody"),
                figure: own.fidelity_of_none,
                unit: "fidelity".to_owned(),
                reference: None,
            });
            let text = sets.rules.to_rule(&settings(Method::Revised, 6))?;
            eprintln!("{about}: {text}");
            list.push(Measurement {
                name: format!("{about}: rows on which the scene's segment and the rules differ"),
                figure: differing(&frame, &text, &sets.rules.holds(&frame)?)? as f64,
                unit: "rows".to_owned(),
                reference: None,
            });
        }
        shares.push(others.share()?);
    }
    list.push(Measurement {
        name: "share of the machine that other processes took".to_owned(),
        figure: peer::median(&shares),
        unit: "share".to_owned(),
        reference: None,
    });
    let path = write("audience", &list)?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// A table's features and whether the outcome happened; names as scenes take them.
fn read(
    (_, file, separator, outcome, happened, left_out): Source,
) -> Result<(Frame, Vec<f64>), Fault> {
    let data = DataFile::at(file);
    let failed = |e: &dyn std::fmt::Display| data.fault(e);
    let text = data.text()?;
    let mut lines = text.lines().map(|line| -> Vec<&str> {
        let words = line.split(separator);
        words.map(|word| word.trim().trim_matches('"')).collect()
    });
    let header = lines.next().unwrap_or_default();
    let rows: Vec<Vec<&str>> = lines.collect();
    if rows.iter().any(|row| row.len() != header.len()) {
        return Err(failed(
            &"a line with another number of columns than the header",
        ));
    }
    let (mut columns, mut outcomes) = (Vec::new(), Vec::new());
    for (at, name) in header
        .iter()
        .enumerate()
        .filter(|(_, name)| !left_out.contains(name))
    {
        let words: Vec<&str> = rows.iter().map(|row| row[at]).collect();
        if *name == outcome {
            outcomes = words
                .iter()
                .map(|word| f64::from(u8::from(*word == happened)))
                .collect();
            continue;
        }
        let numbers: Result<Vec<f64>, _> = words.iter().map(|word| word.parse::<f64>()).collect();
        let series = numbers.map_or_else(
            |_| {
                let levels: BTreeSet<&str> = words.iter().copied().collect();
                let levels: Vec<String> = levels.into_iter().map(str::to_owned).collect();
                let code = |word: &&str| {
                    levels
                        .iter()
                        .position(|level| level == word)
                        .unwrap_or_default() as u32
                };
                Series::Texts {
                    codes: words.iter().map(code).collect(),
                    levels,
                }
            },
            Series::Numbers,
        );
        // `default` is a word that stands well as it is; dots are not letters of a name.
        columns.push((name.replace('.', "_").to_lowercase(), series));
    }
    Ok((Frame::new(columns)?, outcomes))
}

/// Scores by boosted trees that learned from all rows: the black box.
fn scored(frame: &Frame, outcomes: &[f64]) -> Result<Vec<f64>, Fault> {
    let values: Vec<(Vec<f64>, Kind)> = (frame.columns())
        .map(|(_, series)| match series {
            Series::Numbers(values) => (values.clone(), Kind::Number),
            Series::Texts { codes, .. } => (
                codes.iter().map(|c| f64::from(*c)).collect(),
                Kind::Category,
            ),
        })
        .collect();
    let columns: Vec<Column<'_>> = (frame.names().iter().zip(&values))
        .map(|(name, (values, kind))| Column {
            name,
            values,
            kind: *kind,
        })
        .collect();
    let data = Binned::new(&columns, &BinSettings::default())?;
    let part = Part {
        data: &data,
        target: outcomes,
        weights: None,
        exposure: None,
        offset: None,
        groups: None,
    };
    let ensemble = train(&part, None, &Parameters::new(Objective::Binary))?
        .model
        .ensemble()?;
    let flat: Vec<f64> = (0..frame.rows())
        .flat_map(|row| values.iter().map(move |(values, _)| values[row]))
        .collect();
    let mut raw = vec![0.0; frame.rows()];
    ensemble.predict_raw_many(&flat, &mut raw);
    Ok(raw)
}

fn store(path: &Path, frame: &Frame, audience: &[bool], held: &[bool]) -> Result<(), Fault> {
    let mut text = frame.names().join(",") + ",audience,held_out\n";
    for row in 0..frame.rows() {
        for (_, series) in frame.columns() {
            write!(text, "{},", series.text(row).unwrap_or_default())?;
        }
        writeln!(text, "{},{}", u8::from(audience[row]), u8::from(held[row]))?;
    }
    Ok(std::fs::write(path, text)?)
}

/// Rows on which a scene's segment of this rule, compiled and evaluated as the product does it, is not as `wanted`.
fn differing(frame: &Frame, rule: &str, wanted: &[bool]) -> Result<usize, Fault> {
    let mut scene = "scene: audience\ncustomer:\n".to_owned();
    for (name, series) in frame.columns() {
        let kind = match series {
            Series::Numbers(_) => "number",
            Series::Texts { .. } => "text",
        };
        writeln!(scene, "  {name}: {kind}")?;
    }
    writeln!(scene, "segments:\n  found: >-\n    {rule}")?;
    let checked = luopan_scene::compile(vec![("scene.yaml".to_owned(), scene)])
        .map_err(|faults| format!("{faults:?}"))?;
    let plan = checked.plan;
    let segment = plan.segments.first().ok_or("no segment")?;
    let sources: Vec<Option<&Series>> = plan
        .slots
        .iter()
        .map(|slot| frame.get(&slot.name))
        .collect();
    let mut differ = 0;
    for (row, wanted) in wanted.iter().enumerate() {
        let slots: Vec<Value<'static>> = (sources.iter())
            .map(|series| match series {
                Some(Series::Numbers(values)) if !values[row].is_nan() => {
                    Value::Number(values[row])
                }
                Some(series) => series.text(row).map_or(Value::Missing, Value::text),
                None => Value::Missing,
            })
            .collect();
        differ += usize::from(truth(&segment.rule.expr, &slots[..]).is_true() != *wanted);
    }
    Ok(differ)
}
