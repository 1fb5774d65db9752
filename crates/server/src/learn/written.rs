//! Columns as a file: Parquet, CSV or lines of JSON, as its name ends, the latter two gzipped where it ends in `.gz`; whole or not at all.
//! This room must never write another form than the name says.

use super::model::not_over;
use super::table::{self, Wanted};
use crate::problem::{Problem, Result};
use crate::whole::{writable, write_whole};
use flate2::Compression;
use flate2::write::GzEncoder;
use luopan_lake::table::{Cell, Kind as Column, Table};
use luopan_learning::tabular::{Frame, Series};
use std::io::Write as _;
use std::path::Path;

/// Digits that a number holds whatever they are: longer ones are ids.
const DIGITS_MOST: usize = 15;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Parquet,
    Csv,
    Json,
}

/// What a name says, and whether the file is gzipped.
fn form(output: &Path) -> Result<(Form, bool)> {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let (plain, is_packed) = match name.strip_suffix(".gz") {
        Some(plain) => (plain, true),
        None => (name.as_str(), false),
    };
    let form = match plain.rsplit_once('.') {
        Some((_, "parquet")) if !is_packed => Form::Parquet,
        Some((_, "csv")) => Form::Csv,
        Some((_, "jsonl" | "ndjson")) => Form::Json,
        _ => {
            return Err(Problem::new(
                "command_line",
                format!(
                    "{}: what to write is told by the end of the name: write .parquet, .csv or .jsonl, or .csv.gz or .jsonl.gz",
                    output.display()
                ),
            ));
        }
    };
    Ok((form, is_packed))
}

/// Looks whether a file of this name can be written, and is none of those that are read.
///
/// # Errors
/// `command_line` of a name that says no form, or is that of a file that is read; `file_unreadable`.
pub fn ready(inputs: &[&Path], output: &Path) -> Result<()> {
    form(output)?;
    for input in inputs {
        not_over(input, output)?;
    }
    writable(output)
}

/// Columns of a file that are carried over into another: as they are written in texts, and in Parquet and JSON as numbers where every
/// cell is one and none looks like an id (a leading zero, more than 15 digits).
///
/// # Errors
/// What cannot be read, a column that is not there.
pub fn carried(input: &Path, names: &[String], output: &Path) -> Result<Vec<(String, Series)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Wanted {
        texts: names.to_vec(),
        only: Some(Vec::new()),
        ..Wanted::default()
    };
    let frame = table::read(input, &wanted)?;
    let (form, _) = form(output)?;
    names
        .iter()
        .map(|name| {
            let series = frame.get(name).ok_or_else(|| {
                Problem::new(
                    "cannot_learn",
                    format!("{}: {}", input.display(), unknown(&frame, name)),
                )
            })?;
            let numbers = match form {
                Form::Csv => None,
                Form::Parquet | Form::Json => numbers(series),
            };
            let series = numbers.map_or_else(|| series.clone(), Series::Numbers);
            Ok((name.clone(), series))
        })
        .collect()
}

/// That there is no such column, with the nearest one.
pub fn unknown(frame: &Frame, name: &str) -> String {
    match luopan_scene::nearest(name, frame.names().iter().map(String::as_str)) {
        Some(near) => format!("there is no column `{name}`; did you mean `{near}`?"),
        None => format!(
            "there is no column `{name}`; there are {}",
            frame.names().join(", ")
        ),
    }
}

/// Texts as numbers, where all of them are.
fn numbers(series: &Series) -> Option<Vec<f64>> {
    let Series::Texts { codes, levels } = series else {
        return None;
    };
    let number = |text: &String| {
        let digits = text.trim_start_matches('-');
        let is_plain = digits.starts_with(|c: char| c.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0') || digits.starts_with("0."))
            && digits.bytes().filter(u8::is_ascii_digit).count() <= DIGITS_MOST;
        text.parse::<f64>()
            .ok()
            .filter(|v| is_plain && v.is_finite())
    };
    let values: Vec<f64> = levels.iter().map(number).collect::<Option<_>>()?;
    let of = |code: &u32| values.get(*code as usize).copied().unwrap_or(f64::NAN);
    Some(codes.iter().map(of).collect())
}

/// Writes columns in the form that the name says.
///
/// # Errors
/// `command_line` of a name that says none; `file_unreadable`.
pub fn write(output: &Path, columns: &[(String, Series)], rows: usize) -> Result<()> {
    let (form, is_packed) = form(output)?;
    let bytes = match form {
        Form::Parquet => return parquet(output, columns, rows),
        Form::Csv => csv(columns, rows),
        Form::Json => json(columns, rows),
    };
    let packed = bytes.and_then(|bytes| match is_packed {
        true => {
            let mut to = GzEncoder::new(Vec::new(), Compression::default());
            to.write_all(&bytes).map_err(|e| e.to_string())?;
            to.finish().map_err(|e| e.to_string())
        }
        false => Ok(bytes),
    });
    write_whole(output, &packed.map_err(|e| failed(output, &e))?)
}

fn failed(output: &Path, why: &str) -> Box<Problem> {
    Problem::new(
        "file_unreadable",
        format!("{} cannot be written: {why}", output.display()),
    )
}

fn csv(columns: &[(String, Series)], rows: usize) -> std::result::Result<Vec<u8>, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| e.to_string();
    writer
        .write_record(columns.iter().map(|(n, _)| n))
        .map_err(failed)?;
    for row in 0..rows {
        let cells = columns.iter().map(|(_, c)| c.text(row).unwrap_or_default());
        writer.write_record(cells).map_err(failed)?;
    }
    writer.into_inner().map_err(|e| e.to_string())
}

/// An object a row, its names in the order of the columns; what is missing is null, and so is what is no number that JSON knows.
fn json(columns: &[(String, Series)], rows: usize) -> std::result::Result<Vec<u8>, String> {
    let text = |t: &str| serde_json::to_string(t).map_err(|e| e.to_string());
    let names: Vec<String> = (columns.iter())
        .map(|(name, _)| text(name))
        .collect::<std::result::Result<_, _>>()?;
    let mut out = Vec::new();
    for row in 0..rows {
        for (at, ((_, series), name)) in columns.iter().zip(&names).enumerate() {
            let value = match series {
                Series::Numbers(v) if v[row].is_finite() => v[row].to_string(),
                Series::Numbers(_) => "null".to_owned(),
                Series::Texts { .. } => match series.text(row) {
                    Some(t) => text(&t)?,
                    None => "null".to_owned(),
                },
            };
            let before = if at == 0 { "{" } else { ", " };
            out.extend(format!("{before}{name}: {value}").bytes());
        }
        out.extend(b"}\n");
    }
    Ok(out)
}

fn parquet(output: &Path, columns: &[(String, Series)], rows: usize) -> Result<()> {
    let kinds: Vec<(String, Column)> = (columns.iter())
        .map(|(name, series)| {
            let kind = match series {
                Series::Numbers(_) => Column::Double,
                Series::Texts { .. } => Column::Text,
            };
            (name.clone(), kind)
        })
        .collect();
    let lake = |e: luopan_lake::Error| failed(output, &e.to_string());
    let mut table = Table::create(output, &kinds).map_err(lake)?;
    for row in 0..rows {
        let texts: Vec<Option<String>> = (columns.iter())
            .map(|(_, c)| match c {
                Series::Numbers(_) => None,
                Series::Texts { .. } => c.text(row),
            })
            .collect();
        let cells: Vec<Cell<'_>> = (columns.iter().zip(&texts))
            .map(|((_, series), text)| match (series, text) {
                (Series::Numbers(v), _) if v[row].is_nan() => Cell::Missing,
                (Series::Numbers(v), _) => Cell::Double(v[row]),
                (_, Some(text)) => Cell::Text(text),
                (_, None) => Cell::Missing,
            })
            .collect();
        table.push(cells).map_err(lake)?;
    }
    table.finish(&Vec::new()).map(|_| ()).map_err(lake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_name_says_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let texts = |words: [&str; 2]| Series::Texts {
            codes: vec![0, 1],
            levels: words.map(str::to_owned).to_vec(),
        };
        let columns = [
            ("n".to_owned(), Series::Numbers(vec![1.5, f64::NAN])),
            ("t".to_owned(), texts(["a \"b\"", "c"])),
        ];
        for name in ["o.parquet", "o.csv", "o.csv.gz", "o.jsonl", "o.JSONL.gz"] {
            let path = folder.path().join(name);
            write(&path, &columns, 2).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let magic: &[u8] = match name {
                "o.parquet" => b"PAR1",
                "o.csv" => b"n,t\n1.5,",
                "o.jsonl" => b"{\"n\": 1.5, \"t\": \"a \\\"b\\\"\"}\n{\"n\": null",
                _ => &[0x1f, 0x8b],
            };
            assert!(bytes.starts_with(magic), "{name}");
            let again = table::read(&path, &Wanted::default()).unwrap();
            assert_eq!(again.rows(), 2, "{name}");
            let Some(Series::Numbers(n)) = again.get("n") else {
                panic!("{name}: numbers");
            };
            assert!(n[0] == 1.5 && n[1].is_nan());
            assert_eq!(again.get("t").unwrap().text(0).unwrap(), "a \"b\"");
        }
        for name in ["o", "o.txt", "o.parquet.gz", "o.gz", "csv"] {
            let path = folder.path().join(name);
            let said = write(&path, &columns, 2).unwrap_err();
            assert!(
                said.detail.contains("write .parquet, .csv or .jsonl"),
                "{said}"
            );
            assert!(!path.exists());
        }
    }

    #[test]
    fn numbers_are_carried_as_numbers_and_ids_as_texts() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("t.csv");
        std::fs::write(
            &input,
            "id,spent,long,mixed\n007,1.50,1234567890123456789,1\n010,,2,x\n",
        )
        .unwrap();
        let names = ["id", "spent", "long", "mixed"].map(str::to_owned);
        let is_number = |output: &str| -> Vec<bool> {
            let found = carried(&input, &names, Path::new(output)).unwrap();
            let is = |(_, s): &(String, Series)| matches!(s, Series::Numbers(_));
            found.iter().map(is).collect()
        };
        assert_eq!(is_number("o.parquet"), [false, true, false, false]);
        assert_eq!(is_number("o.jsonl"), [false, true, false, false]);
        // A CSV file has the cells as they are written.
        assert_eq!(is_number("o.csv"), [false; 4]);
        let said = carried(&input, &["spend".to_owned()], Path::new("o.csv")).unwrap_err();
        assert!(said.detail.contains("did you mean `spent`?"), "{said}");
    }
}
