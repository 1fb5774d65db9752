//! What a simulation is given: a list of products, trading days, closes of an index; from CSV and JSON files, also gzipped. It
//! must never guess at a column: what is missing is said with what was found.

use crate::import::source::{self, Encoding, Source, unreadable};
use crate::problem::{Problem, Result};
use luopan_simulator::fund::{History, Listed, TradingDays, days::day_of};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Largest file that is taken, unpacked.
const GIVEN_BYTES_MAX: u64 = 64 << 20;

/// The whole text of a file.
fn text(path: &Path) -> Result<String> {
    let opened = source::open(path, Encoding::Auto, Arc::default())?;
    let Source::Text { reader, .. } = opened else {
        return Err(unreadable(path, &"this is Parquet; give CSV or JSON"));
    };
    let mut out = String::new();
    reader
        .take(GIVEN_BYTES_MAX + 1)
        .read_to_string(&mut out)
        .map_err(|e| unreadable(path, &e))?;
    if out.len() as u64 > GIVEN_BYTES_MAX {
        return Err(unreadable(
            path,
            &format!("more than {GIVEN_BYTES_MAX} bytes"),
        ));
    }
    Ok(out)
}

/// Rows of a CSV text, whose delimiter is the one of `|`, `;`, tab and comma that stands most often in its header.
struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn table(path: &Path) -> Result<Table> {
    let text = text(path)?;
    let text = text.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or_default();
    let delimiter = *b",|;\t"
        .iter()
        .max_by_key(|d| header.bytes().filter(|b| b == *d).count())
        .unwrap_or(&b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let fault = |e: csv::Error| unreadable(path, &e);
    let cells = |r: &csv::StringRecord| r.iter().map(|c| c.trim().to_owned()).collect();
    let heads: Vec<String> = cells(reader.headers().map_err(fault)?);
    let mut rows = Vec::new();
    for row in reader.records() {
        rows.push(cells(&row.map_err(fault)?));
    }
    Ok(Table { heads, rows })
}

impl Table {
    /// The place of a column by any of its names.
    fn column(&self, path: &Path, names: &[&str]) -> Result<usize> {
        let found =
            (self.heads.iter()).position(|h| names.iter().any(|n| h.eq_ignore_ascii_case(n)));
        found.ok_or_else(|| {
            let words = format!(
                "there is no column {}; the header is {}",
                names
                    .iter()
                    .map(|n| format!("`{n}`"))
                    .collect::<Vec<_>>()
                    .join(" or "),
                self.heads
                    .iter()
                    .map(|n| format!("`{n}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            unreadable(path, &words)
        })
    }
}

/// A list of products: columns for code, name and fine type, in Chinese or English.
pub(crate) fn products(path: &Path) -> Result<Vec<Listed>> {
    let table = table(path)?;
    let code = table.column(path, &["code", "基金代码", "代码"])?;
    let name = table.column(path, &["name", "基金名称", "名称", "简称"])?;
    let fine = table.column(path, &["type", "基金类别", "基金类型", "类型"])?;
    let listed = table.rows.into_iter().map(|row| Listed {
        code: plain_code(&row[code]),
        name: row[name].clone(),
        fine: row[fine].clone(),
    });
    Ok(listed.collect())
}

/// A fund's code as the mappings of the fund pack make it: without the `J` that lists put before it, with its leading zeros.
fn plain_code(text: &str) -> String {
    let bare = text.trim();
    let digits = bare.strip_prefix('J').unwrap_or(bare);
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => format!("{digits:0>6}"),
        false => bare.to_owned(),
    }
}

/// A date as 2026-01-05 or 20260105.
pub(crate) fn day(text: &str) -> Option<i64> {
    let plain: String = text.trim().chars().filter(|c| *c != '-').collect();
    if plain.len() != 8 || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| plain[range].parse::<i64>().ok();
    let (y, m, d) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let day = day_of(y, m, d);
    // The thirtieth of February is another day.
    (luopan_simulator::fund::days::date_of(day) == (y, m, d)).then_some(day)
}

/// Trading days: an array of dates in JSON, or a date a line.
pub(crate) fn calendar(path: &Path) -> Result<TradingDays> {
    let text = text(path)?;
    let dates: Vec<String> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text)
            .map_err(|e| unreadable(path, &format!("an array of dates is wanted: {e}")))?
    } else {
        (text.lines().map(str::trim))
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut days = Vec::with_capacity(dates.len());
    for (number, date) in dates.iter().enumerate() {
        let found = day(date).ok_or_else(|| {
            let shown: String = date.chars().take(40).collect();
            let words =
                format!("`{shown}` (number {number}) is no date; write 2026-01-05 or 20260105");
            unreadable(path, &words)
        })?;
        days.push(found);
    }
    TradingDays::new(days).map_err(|e| unreadable(path, &e))
}

fn closes(path: &Path, column: &str) -> Result<BTreeMap<i64, f64>> {
    let table = table(path)?;
    let date = table.column(path, &["date", "日期"])?;
    let close = table.column(path, &[column])?;
    let mut out = BTreeMap::new();
    for (number, row) in table.rows.iter().enumerate() {
        let found = (day(&row[date]), row[close].parse::<f64>());
        let (Some(day), Ok(close)) = found else {
            let words = format!(
                "row {}: `{}`, `{}` are no date and number",
                number + 2,
                row[date],
                row[close]
            );
            return Err(unreadable(path, &words));
        };
        out.insert(day, close);
    }
    Ok(out)
}

/// The history of two indexes on the days that both have.
pub(crate) fn history(large: &Path, growth: &Path, column: &str) -> Result<History> {
    let first = closes(large, column)?;
    let second = if large == growth {
        first.clone()
    } else {
        closes(growth, column)?
    };
    let both = first
        .iter()
        .filter_map(|(day, a)| Some((*a, *second.get(day)?)));
    let (large_closes, growth_closes): (Vec<f64>, Vec<f64>) = both.unzip();
    History::from_closes(&large_closes, &growth_closes)
        .map_err(|e| Problem::new("command_line", format!("--index: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_or_refused() {
        assert_eq!(day("1970-01-02"), Some(1));
        assert_eq!(day("19700102"), Some(1));
        for wrong in ["", "2026-02-30", "2026-1-05", "x", "202601055"] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }
}
