//! The measurements kept in `bench/results/*.json` and the table drawn from them in `bench/README.md`. It never changes a
//! figure and never makes one up: a row is what a measurement wrote.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, file_error, tree};

/// One figure, as a measurement writes it. A measurement with nothing to stand beside leaves the three reference fields null.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What was measured, in a few words.
    pub name: String,
    /// The figure, in `unit`.
    pub figure: f64,
    /// Unit of `figure` and `reference_figure`.
    pub unit: String,
    /// What it is compared with, measured in the same run, or the published figure.
    pub reference: Option<String>,
    /// The reference's figure, in `unit`.
    pub reference_figure: Option<f64>,
    /// `figure / reference_figure`.
    pub ratio: Option<f64>,
    /// The command that measures it again.
    pub command: String,
    /// Processor, cores and memory of the machine it ran on.
    pub machine: String,
    /// UTC date of the run, `YYYY-MM-DD`.
    pub date: String,
}

/// A results file holds one record or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    One(Box<Record>),
    Many(Vec<Record>),
}

const BEGIN: &str = "<!-- table: begin (make bench writes it) -->";
const END: &str = "<!-- table: end -->";

const PREAMBLE: &str = "# Measurements

`make bench` runs every binary of this package, one after the other; `make bench BENCH=intake` runs one. Each writes
`results/NAME.json`, and the table below is drawn from those files. A ratio compares two figures of one run on one machine;
where the reference is a figure that somebody has published, its name says so.
";

/// Reads `bench/results/*.json` under `root`, in file-name order. A file that does not hold records is an error that names it.
pub fn read(root: &Path) -> Result<Vec<Record>, Error> {
    let folder = root.join("bench/results");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    for path in tree::files(&folder, "json")? {
        records.extend(read_file(&path)?);
    }
    Ok(records)
}

/// Reads one results file and checks what a type cannot: that the ratio is the ratio.
pub fn read_file(path: &Path) -> Result<Vec<Record>, Error> {
    let text = std::fs::read_to_string(path).map_err(file_error("reading", path))?;
    let wrong = |found: String| Error::Content {
        path: path.display().to_string(),
        found,
    };
    let records = match text.trim_start().starts_with('[') {
        true => serde_json::from_str::<Vec<Record>>(&text).map(File::Many),
        false => serde_json::from_str::<Record>(&text).map(|record| File::One(Box::new(record))),
    };
    let records = match records.map_err(|error| wrong(error.to_string()))? {
        File::One(record) => vec![*record],
        File::Many(records) => records,
    };
    for record in &records {
        let name = &record.name;
        let beside = (&record.reference, record.reference_figure, record.ratio);
        match beside {
            (None, None, None) => {}
            (Some(_), Some(reference), Some(ratio)) => {
                let expected = record.figure / reference;
                if (expected - ratio).abs() > 1e-6 * expected.abs() {
                    return Err(wrong(format!(
                        "{name}: ratio is {ratio}, but {} / {reference} is {expected}",
                        record.figure
                    )));
                }
            }
            _ => {
                return Err(wrong(format!(
                    "{name}: reference, reference_figure and ratio are given together or not at all"
                )));
            }
        }
    }
    Ok(records)
}

/// The page `bench/README.md` as it should read now: what stands outside the table is kept.
pub fn page(root: &Path) -> Result<String, Error> {
    let path = readme(root);
    let before = match path.exists() {
        true => std::fs::read_to_string(&path).map_err(file_error("reading", &path))?,
        false => format!("{PREAMBLE}\n{BEGIN}\n{END}\n"),
    };
    let (Some(begin), Some(end)) = (before.find(BEGIN), before.find(END)) else {
        return Err(Error::Content {
            path: path.display().to_string(),
            found: format!("the lines {BEGIN:?} and {END:?} are gone: put them around the table"),
        });
    };
    let mut page = before[..begin + BEGIN.len()].to_owned();
    page.push('\n');
    page.push_str(&table(&read(root)?));
    page.push_str(&before[end..]);
    Ok(page)
}

/// Where the table stands.
#[must_use]
pub fn readme(root: &Path) -> PathBuf {
    root.join("bench/README.md")
}

fn table(records: &[Record]) -> String {
    let mut table = String::from(
        "| measurement | figure | unit | reference | its figure | ratio | command | machine | date |\n\
         |---|---:|---|---|---:|---:|---|---|---|\n",
    );
    for record in records {
        let optional = |value: Option<f64>| value.map_or_else(String::new, number);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | `{}` | {} | {} |",
            cell(&record.name),
            number(record.figure),
            cell(&record.unit),
            cell(record.reference.as_deref().unwrap_or_default()),
            optional(record.reference_figure),
            optional(record.ratio),
            cell(&record.command),
            cell(&record.machine),
            cell(&record.date),
        );
    }
    table
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Three significant digits and more where the whole part has more: `0.0123`, `4.57`, `812,345`.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 {
        let digits = format!("{size:.0}");
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return format!("{}{grouped}", if value < 0.0 { "-" } else { "" });
    }
    if size > 0.0 && size < 0.000_1 {
        return format!("{value:.1e}");
    }
    let decimals = match size {
        size if size >= 10.0 => 1,
        size if size >= 1.0 || size == 0.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_number(value: f64, expected: &str) {
        assert_eq!(number(value), expected);
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        check_number(0.0, "0.00");
        check_number(0.01234, "0.0123");
        check_number(1e-12, "1.0e-12");
        check_number(0.6123, "0.612");
        check_number(4.567, "4.57");
        check_number(45.67, "45.7");
        check_number(999.6, "1,000");
        check_number(812_345.4, "812,345");
        check_number(-1_234_567.0, "-1,234,567");
    }

    fn bench_folder(results: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temporary folder");
        let folder = root.path().join("bench/results");
        std::fs::create_dir_all(&folder).expect("results folder");
        for (name, text) in results {
            std::fs::write(folder.join(name), text).expect("results file");
        }
        root
    }

    const INTAKE: &str = r#"{"name":"intake","figure":60000,"unit":"events/s","reference":"bare fjall loop",
        "reference_figure":80000,"ratio":0.75,"command":"make bench BENCH=intake","machine":"2 cores","date":"2026-11-22"}"#;

    #[test]
    fn the_table_is_drawn_from_the_files_and_keeps_the_words_around_it() {
        let root = bench_folder(&[("intake.json", INTAKE)]);
        let page = page(root.path()).expect("page");
        assert!(page.contains(
            "| intake | 60,000 | events/s | bare fjall loop | 80,000 | 0.750 | `make bench BENCH=intake` | 2 cores | 2026-11-22 |"
        ));
        let edited = page.replace("# Measurements", "# Figures");
        std::fs::write(readme(root.path()), &edited).expect("page");
        assert_eq!(super::page(root.path()).expect("page again"), edited);
    }

    #[test]
    fn a_wrong_ratio_is_refused_with_the_right_one() {
        let root = bench_folder(&[("intake.json", &INTAKE.replace("0.75", "0.95"))]);
        let error = read(root.path())
            .expect_err("the ratio is wrong")
            .to_string();
        assert!(
            error.contains("ratio is 0.95, but 60000 / 80000 is 0.75"),
            "{error}"
        );
    }

    #[test]
    fn half_a_reference_is_refused() {
        let root = bench_folder(&[(
            "intake.json",
            &INTAKE.replace("\"bare fjall loop\"", "null"),
        )]);
        let error = read(root.path())
            .expect_err("the reference is half there")
            .to_string();
        assert!(error.contains("given together or not at all"), "{error}");
    }
}
