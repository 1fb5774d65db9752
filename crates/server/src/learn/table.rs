//! A file as a table in memory: CSV (any usual separator), lines of JSON, Parquet, gzipped or not. A column is of numbers when every
//! cell that is not missing reads as one, else of texts. Rows that cannot be read refuse the whole file: a model that has seen a
//! part of a table is not the model that was asked for.

use crate::import::rows::{Format, Layout, Place, Rows, open_rows};
use crate::import::source::{Encoding, Source, open};
use crate::problem::{Problem, Result};
use luopan_engine::api::Raw;
use luopan_learning::tabular::{Frame, MISSING, Series};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

/// Most cells of a table.
pub const CELLS_MAX: usize = 400_000_000;
/// Cells that say that nothing is known, whatever their case; an empty one too.
pub const MISSING_WORDS: [&str; 4] = ["na", "n/a", "nan", "null"];
/// Separators that are looked for in a header.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Of a column that holds both, the share of numbers from which on a text is taken for a slip.
const NUMBERS_SHARE: f64 = 0.9;

/// How columns are read.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Columns whose cells are kept as they are written: names, ids, what is carried over.
    pub texts: Vec<String>,
    /// Columns that nobody looks at, whatever they hold.
    pub ignored: Vec<String>,
    /// The only columns that somebody looks at, where not all are.
    pub only: Option<Vec<String>>,
}

/// A column while it is read.
enum Reading {
    /// Nothing but missing cells so far.
    Nothing(usize),
    Numbers(Vec<f64>),
    Texts {
        codes: Vec<u32>,
        levels: Vec<String>,
        places: HashMap<String, u32>,
    },
    /// Numbers so far, and then a text: the file is read again, unless that was a slip.
    Late {
        numbers: usize,
        texts: usize,
        first: (Place, String),
    },
}

impl Reading {
    fn texts(missing: usize) -> Self {
        Self::Texts {
            codes: vec![MISSING; missing],
            levels: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn push(&mut self, cell: &Raw<'_>, at: Place) -> std::result::Result<(), String> {
        let text = match cell {
            Raw::Null => None,
            Raw::Bool(v) => Some(Cow::Borrowed(if *v { "true" } else { "false" })),
            Raw::Int(v) => match self {
                Self::Texts { .. } => Some(Cow::Owned(v.to_string())),
                _ => return self.push_number(*v as f64),
            },
            Raw::Number(v) => match self {
                Self::Texts { .. } => Some(Cow::Owned(v.to_string())),
                _ => return self.push_number(*v),
            },
            Raw::Text(text) => Some(Cow::Borrowed(text.trim())),
            Raw::Compound(what) => {
                return Err(format!("holds an {what}; cells are numbers and texts"));
            }
        };
        let is_missing = |t: &Cow<'_, str>| {
            t.is_empty() || MISSING_WORDS.iter().any(|w| t.eq_ignore_ascii_case(w))
        };
        match text.filter(|t| !is_missing(t)) {
            None => self.push_nothing(),
            Some(text) if matches!(self, Self::Texts { .. }) => self.push_text(&text, at),
            Some(text) => match text.parse::<f64>() {
                Ok(v) => return self.push_number(v),
                Err(_) => self.push_text(&text, at),
            },
        }
        Ok(())
    }

    fn push_nothing(&mut self) {
        match self {
            Self::Nothing(n) => *n += 1,
            Self::Numbers(values) => values.push(f64::NAN),
            Self::Texts { codes, .. } => codes.push(MISSING),
            Self::Late { .. } => {}
        }
    }

    fn push_number(&mut self, v: f64) -> std::result::Result<(), String> {
        match self {
            Self::Nothing(n) => {
                let mut values = vec![f64::NAN; *n];
                values.push(v);
                *self = Self::Numbers(values);
            }
            Self::Numbers(values) => values.push(v),
            Self::Late { numbers, .. } => *numbers += 1,
            Self::Texts { .. } => {}
        }
        Ok(())
    }

    fn push_text(&mut self, text: &str, at: Place) {
        match self {
            Self::Nothing(n) => {
                *self = Self::texts(*n);
                self.push_text(text, at);
            }
            Self::Numbers(values) => {
                *self = Self::Late {
                    numbers: values.iter().filter(|v| !v.is_nan()).count(),
                    texts: 1,
                    first: (at, text.to_owned()),
                };
            }
            Self::Late { texts, .. } => *texts += 1,
            Self::Texts {
                codes,
                levels,
                places,
            } => {
                let code = match places.get(text) {
                    Some(code) => *code,
                    None => {
                        let code = levels.len() as u32;
                        places.insert(text.to_owned(), code);
                        levels.push(text.to_owned());
                        code
                    }
                };
                codes.push(code);
            }
        }
    }

    fn done(self) -> Series {
        match self {
            Self::Nothing(n) => Series::Numbers(vec![f64::NAN; n]),
            Self::Numbers(values) => Series::Numbers(values),
            Self::Texts { codes, levels, .. } => Series::Texts { codes, levels },
            Self::Late { .. } => Series::Numbers(Vec::new()),
        }
    }
}

fn refused(path: &Path, words: &str) -> Box<Problem> {
    Problem::new("bad_table", format!("{}: {words}", path.display()))
}

/// What separates the cells of a text file: of the usual ones the one that stands most often in the header.
fn separator(path: &Path) -> Result<u8> {
    let Source::Text { mut reader, .. } = open(path, Encoding::Auto, Arc::default())? else {
        return Ok(b',');
    };
    let mut header = Vec::new();
    // A header is no longer than this, or not one.
    let mut first = std::io::Read::take(&mut reader, 1 << 20);
    first
        .read_until(b'\n', &mut header)
        .map_err(|e| refused(path, &e.to_string()))?;
    let count = |s: &u8| header.iter().filter(|b| *b == s).count();
    let best = SEPARATORS.into_iter().rev().max_by_key(count);
    Ok(best.unwrap_or(b','))
}

fn rows(path: &Path, separator: u8) -> Result<(Rows, Option<Arc<[String]>>)> {
    let layout = Layout {
        format: Format::Auto,
        delimiter: separator,
        ..Layout::default()
    };
    let opened = open_rows(path, layout, Arc::default())?;
    Ok((opened.rows, opened.header))
}

/// What else may be written where a text stands among numbers, by commands that have these flags.
pub const FOR_TRAINING: &str =
    ", name the column in --categorical if its numbers are names, or leave it out with --exclude";
/// The same of commands that only leave columns out.
pub const FOR_EXCLUDING: &str = ", or leave the column out with --exclude";

/// Reads a whole file.
///
/// # Errors
/// As [`read_for`].
pub fn read(path: &Path, wanted: &Wanted) -> Result<Frame> {
    read_for(path, wanted, "")
}

/// Reads a whole file; `advice` is what a command takes besides mended cells.
///
/// # Errors
/// `file_unreadable`; `bad_table` for rows that cannot be read, columns of numbers with a text among them, and tables beyond
/// [`CELLS_MAX`].
pub fn read_for(path: &Path, wanted: &Wanted, advice: &str) -> Result<Frame> {
    let separator = separator(path)?;
    // Columns that turned out to hold texts after they had held numbers are read again as texts.
    let mut texts = wanted.texts.clone();
    loop {
        let columns = pass(path, separator, &texts)?;
        let before = texts.len();
        for (name, reading) in &columns {
            let Reading::Late {
                numbers,
                texts: others,
                first: (at, text),
            } = reading
            else {
                continue;
            };
            let all = numbers + others;
            let matters = !wanted.ignored.contains(name)
                && wanted.only.as_ref().is_none_or(|only| only.contains(name));
            if matters && *numbers as f64 >= NUMBERS_SHARE * all as f64 {
                return Err(refused(
                    path,
                    &format!(
                        "column `{name}`: {numbers} of {all} cells are numbers, and {at} holds `{}`; mend the cell (an empty one is missing){advice}",
                        crate::incoming::cut(text, 64)
                    ),
                ));
            }
            texts.push(name.clone());
        }
        if texts.len() == before {
            let columns = columns.into_iter().map(|(n, r)| (n, r.done())).collect();
            return Frame::new(columns).map_err(|e| refused(path, &e.to_string()));
        }
    }
}

/// The same table with a column of times as microseconds since 1970: RFC 3339 with a zone, dates, or local times without one,
/// all of one kind. Numbers stay as they are. True where it was changed.
///
/// # Errors
/// `bad_table`, with the first text that is no time.
pub fn with_times(path: &Path, frame: Frame, name: &str) -> Result<(Frame, bool)> {
    let Some(Series::Texts { codes, levels }) = frame.get(name) else {
        return Ok((frame, false));
    };
    let zoned = |t: &str| crate::time::parse(t).ok().map(|at| at.0);
    let local = |t: &str| {
        let at: jiff::civil::DateTime = t.parse().ok()?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(at.timestamp().as_microsecond())
    };
    let first = levels.first().map_or("", String::as_str);
    let read: &dyn Fn(&str) -> Option<i64> = match zoned(first) {
        Some(_) => &zoned,
        None => &local,
    };
    let mut times = Vec::with_capacity(levels.len());
    for level in levels {
        times.push(read(level).ok_or_else(|| {
            refused(
                path,
                &format!(
                    "column `{name}`: `{}` is no time like the others; write 2026-01-31, 2026-01-31T08:00:00 or 2026-01-31T08:00:00+08:00, all of one kind",
                    crate::incoming::cut(level, 64)
                ),
            )
        })? as f64);
    }
    let of = |code: &u32| times.get(*code as usize).copied().unwrap_or(f64::NAN);
    let column = Series::Numbers(codes.iter().map(of).collect());
    let frame = frame
        .with(name, column)
        .map_err(|e| refused(path, &e.to_string()))?;
    Ok((frame, true))
}

fn pass(path: &Path, separator: u8, texts: &[String]) -> Result<Vec<(String, Reading)>> {
    let (rows, header) = rows(path, separator)?;
    let begin = |name: &String, seen: usize| {
        let reading = match texts.contains(name) {
            true => Reading::texts(seen),
            false => Reading::Nothing(seen),
        };
        (name.clone(), reading)
    };
    let mut columns: Vec<(String, Reading)> = header
        .iter()
        .flat_map(|h| h.iter())
        .map(|n| begin(n, 0))
        .collect();
    if let Some((_, _)) = columns.iter().find(|(n, _)| n.is_empty()) {
        // As pandas and R write the numbers of rows.
        columns
            .iter_mut()
            .filter(|(n, _)| n.is_empty())
            .enumerate()
            .for_each(|(i, (n, _))| {
                *n = if i == 0 {
                    "(unnamed)".to_owned()
                } else {
                    format!("(unnamed {})", i + 1)
                };
            });
    }
    let mut seen = 0usize;
    for row in rows {
        let row = row?.map_err(|bad| refused(path, &bad.reason))?;
        if header.is_some() {
            for ((name, reading), cell) in columns.iter_mut().zip(&row.values) {
                (reading.push(cell, row.place))
                    .map_err(|e| refused(path, &format!("{}, column `{name}` {e}", row.place)))?;
            }
        } else {
            // Each row names its own: what it does not name is missing.
            for name in row.names.iter() {
                if !columns.iter().any(|(n, _)| n == name) {
                    columns.push(begin(name, seen));
                }
            }
            for (name, reading) in &mut columns {
                (reading.push(row.get(name).unwrap_or(&Raw::Null), row.place))
                    .map_err(|e| refused(path, &format!("{}, column `{name}` {e}", row.place)))?;
            }
        }
        seen += 1;
        if seen.saturating_mul(columns.len()) > CELLS_MAX {
            return Err(Problem::limit(
                "bad_table",
                format!(
                    "{}: more than {CELLS_MAX} cells; leave columns out, or take a sample of the rows",
                    path.display()
                ),
                CELLS_MAX as u64,
            ));
        }
    }
    if seen == 0 {
        return Err(refused(path, "there are no rows"));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Result<Frame> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, &Wanted::default())
    }

    fn texts(frame: &Frame, name: &str) -> Vec<Option<String>> {
        let column = frame.get(name).unwrap();
        (0..frame.rows()).map(|r| column.text(r)).collect()
    }

    #[test]
    fn columns_are_of_numbers_where_every_cell_is_one() {
        let text = "a;b;c;d\n1;x;;7\nNA;2;;8.5\n-3e2; y ;;007\n";
        let frame = of("t.csv", text).unwrap();
        assert!(matches!(frame.get("a"), Some(Series::Numbers(v)) if v[0] == 1.0 && v[1].is_nan()));
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(texts(&frame, "b"), [some("x"), some("2"), some("y")]);
        assert_eq!(texts(&frame, "c"), [None, None, None]);
        assert_eq!(texts(&frame, "d"), [some("7"), some("8.5"), some("7")]);
    }

    #[test]
    fn a_column_that_turns_to_text_late_keeps_the_texts_that_were_written() {
        let frame = of("t.csv", "code,n\n007,1\n,2\n8.50,3\nA1,4\n").unwrap();
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(
            texts(&frame, "code"),
            [some("007"), None, some("8.50"), some("A1")]
        );
    }

    #[test]
    fn lines_of_json_may_leave_columns_out() {
        let frame = of("t.jsonl", "{\"a\": 1}\n{\"b\": \"x\", \"a\": true}\n").unwrap();
        assert_eq!(texts(&frame, "b"), [None, Some("x".to_owned())]);
        assert_eq!(
            texts(&frame, "a"),
            [Some("1".to_owned()), Some("true".to_owned())]
        );
    }

    #[test]
    fn a_text_among_numbers_is_a_slip_unless_it_is_said() {
        let rows: String = (0..30).map(|i| format!("{i},{i}\n")).collect();
        let text = format!("x,id\n{rows}?,007\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let slip = read(&path, &Wanted::default()).unwrap_err();
        assert!(
            slip.detail
                .contains("30 of 31 cells are numbers, and line 32 holds `?`"),
            "{slip}"
        );
        let mut wanted = Wanted {
            ignored: vec!["x".to_owned()],
            texts: vec!["id".to_owned()],
            only: None,
        };
        assert_eq!(
            texts(&read(&path, &wanted).unwrap(), "id")[30].as_deref(),
            Some("007")
        );
        wanted = Wanted {
            texts: vec!["x".to_owned()],
            ..Wanted::default()
        };
        assert_eq!(
            texts(&read(&path, &wanted).unwrap(), "x")[30].as_deref(),
            Some("?")
        );
    }

    #[test]
    fn times_are_ordered_as_times_and_what_is_none_is_refused() {
        let frame = |cells: &[&str]| of("t.csv", &format!("t\n{}\n", cells.join("\n"))).unwrap();
        let path = Path::new("t.csv");
        let numbers = |cells: &[&str]| match with_times(path, frame(cells), "t").unwrap() {
            (frame, true) => match frame.get("t") {
                Some(Series::Numbers(values)) => values.clone(),
                _ => panic!(),
            },
            _ => panic!(),
        };
        let found = numbers(&[
            "2026-01-01T08:00:00+08:00",
            "2026-01-01T00:00:00Z",
            "2025-12-31T23:59:59Z",
        ]);
        assert!(found[0] == found[1] && found[2] < found[1]);
        let found = numbers(&["2026-02-01", "2025-12-31 10:00:00", "2026-01-31T23:00:00"]);
        assert!(found[1] < found[2] && found[2] < found[0]);
        for cells in [
            ["01/02/2026", "02/02/2026"],
            ["2026-1-9", "2026-01-10"],
            ["2026-01-01T00:00:00Z", "2026-01-02"],
        ] {
            let refused = with_times(path, frame(&cells), "t").unwrap_err();
            assert!(
                refused.detail.contains("is no time like the others"),
                "{refused}"
            );
        }
        assert!(!with_times(path, frame(&["3", "1"]), "t").unwrap().1);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        let ragged = of("t.csv", "a,b\n1,2\n3\n").unwrap_err();
        assert_eq!(ragged.code, "bad_table");
        assert!(ragged.detail.contains("line 3 has 1 cells"), "{ragged}");
        assert!(of("t.csv", "a,b\n").unwrap_err().detail.contains("no rows"));
        let nested = of("t.jsonl", "{\"a\": [1]}\n").unwrap_err();
        assert!(
            nested.detail.contains("column `a` holds an array"),
            "{nested}"
        );
    }
}
