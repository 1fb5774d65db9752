//! Rows of a file: named values of one line of CSV, one JSON object, one Parquet row. A row that cannot be read is an answer
//! of its own with its line number and reason; only a file that cannot be read any further ends with an error.

use super::source::{Encoding, Source, ending, open, unreadable};
use crate::incoming::{self, Fields, cut};
use crate::problem::{Problem, Result};
use csv::ByteRecord;
use luopan_engine::api::{EVENT_BYTES_MAX, Raw};
use parquet::file::reader::SerializedFileReader;
use parquet::record::Field;
use parquet::record::reader::RowIter;
use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most columns of a file.
pub const COLUMNS_MAX: usize = 4096;
/// Longest row of a CSV file in bytes; a longer one is most often a quote that was never closed.
pub const ROW_BYTES_MAX: u64 = 8 << 20;

/// How a file's rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// By what the file begins with, then by its name.
    #[default]
    Auto,
    /// Separated values with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Rows.
    pub format: Format,
    /// Encoding of text.
    pub encoding: Encoding,
    /// Between cells of CSV.
    pub delimiter: u8,
    /// Around cells of CSV.
    pub quote: u8,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            encoding: Encoding::Auto,
            delimiter: b',',
            quote: b'"',
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Number of the row in the file, from 1; the header is not counted.
    pub number: u64,
    /// Names of the columns; shared by all rows of a CSV or Parquet file.
    pub names: Arc<[String]>,
    /// Values, one a name.
    pub values: Vec<Raw<'static>>,
}

impl Row {
    /// The value of a column, when there is such a column.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Raw<'static>> {
        self.names
            .iter()
            .position(|n| n == name)
            .map(|i| &self.values[i])
    }
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// As found, as well as it can be kept.
    pub raw: String,
    /// Stable code.
    pub code: &'static str,
    /// What was found, with the line number, and what to write instead.
    pub reason: String,
}

/// The rows of one file.
pub type Rows = Box<dyn Iterator<Item = Result<std::result::Result<Row, BadRow>>> + Send>;

/// Opens a file and reads its header. `passed` counts the bytes read from disk (rows, for Parquet: see [`open_rows`]'s
/// second answer, the total to compare with).
///
/// # Errors
/// The file cannot be opened, has no header, or names a column twice.
pub fn open_rows(path: &Path, layout: Layout, passed: Arc<AtomicU64>) -> Result<(Rows, u64)> {
    let total = super::source::size(path)?;
    match open(path, layout.encoding, passed.clone())? {
        Source::Parquet(file) => parquet(path, file, passed),
        Source::Text {
            mut reader,
            decoded,
        } => {
            let format = match layout.format {
                Format::Auto => told_by(path, reader.as_mut())?,
                Format::Parquet => {
                    return Err(unreadable(
                        path,
                        &"this is no Parquet file; it does not begin with PAR1",
                    ));
                }
                format => format,
            };
            let rows = match format {
                Format::Jsonl => jsonl(path, reader, decoded),
                _ => separated(path, reader, layout, decoded)?,
            };
            Ok((rows, total))
        }
    }
}

fn told_by(path: &Path, reader: &mut dyn BufRead) -> Result<Format> {
    match ending(path).as_str() {
        "csv" | "tsv" | "txt" => return Ok(Format::Csv),
        "jsonl" | "ndjson" | "json" => return Ok(Format::Jsonl),
        _ => {}
    }
    let head = reader.fill_buf().map_err(|e| unreadable(path, &e))?;
    Ok(if head.trim_ascii_start().starts_with(b"{") {
        Format::Jsonl
    } else {
        Format::Csv
    })
}

/// Where text of another encoding could not be turned into UTF-8.
fn torn(text: &str, decoded: Option<&'static str>, at: &str) -> Option<BadRow> {
    let from = decoded?;
    text.contains('\u{fffd}').then(|| BadRow {
        raw: cut(text, EVENT_BYTES_MAX).to_owned(),
        code: "not_utf8",
        reason: format!("{at} holds bytes that are not {from}; say in the mapping's `encoding` how the file is written, or mend the row"),
    })
}

fn not_utf8(bytes: &[u8], at: &str, fault: std::str::Utf8Error) -> BadRow {
    BadRow {
        raw: cut(&String::from_utf8_lossy(bytes), EVENT_BYTES_MAX).to_owned(),
        code: "not_utf8",
        reason: format!(
            "{at} is not UTF-8 at byte {}; say in the mapping's `encoding` how the file is written, or mend the row",
            fault.valid_up_to()
        ),
    }
}

/// Refuses to read on when a row grows past [`ROW_BYTES_MAX`].
struct Bounded<R> {
    inner: R,
    since_row: Arc<AtomicU64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if self.since_row.fetch_add(n as u64, Ordering::Relaxed) > ROW_BYTES_MAX {
            return Err(io::Error::other(format!(
                "a row is longer than {ROW_BYTES_MAX} bytes; is a quote left open, or is `quote` or `delimiter` of the mapping not right?"
            )));
        }
        Ok(n)
    }
}

fn separated(
    path: &Path,
    reader: Box<dyn BufRead + Send>,
    layout: Layout,
    decoded: Option<&'static str>,
) -> Result<Rows> {
    let since_row = Arc::new(AtomicU64::new(0));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(layout.delimiter)
        .quote(layout.quote)
        .flexible(true)
        .from_reader(Bounded {
            inner: reader,
            since_row: since_row.clone(),
        });
    let header = reader
        .byte_headers()
        .map_err(|e| unreadable(path, &e))?
        .clone();
    let names = names(path, &header)?;
    let path = path.to_owned();
    let mut number = 0;
    let mut ended = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut record = ByteRecord::new();
        let read = reader.read_byte_record(&mut record);
        since_row.store(0, Ordering::Relaxed);
        match read {
            Ok(false) => None,
            Ok(true) => {
                number += 1;
                Some(Ok(cells(&record, number, &names, layout, decoded)))
            }
            Err(error) => {
                ended = true;
                let line = reader.position().line();
                Some(Err(unreadable(
                    &path,
                    &format!("line {line}: {error}; {number} rows were read"),
                )))
            }
        }
    })))
}

fn names(path: &Path, header: &ByteRecord) -> Result<Arc<[String]>> {
    if header.is_empty() {
        return Err(unreadable(
            path,
            &"the file is empty; its first line must name the columns",
        ));
    }
    if header.len() > COLUMNS_MAX {
        return Err(unreadable(
            path,
            &format!("{} columns, at most {COLUMNS_MAX} are read", header.len()),
        ));
    }
    let mut names = Vec::with_capacity(header.len());
    for (i, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name)
            .map_err(|_| unreadable(path, &"the header is not UTF-8; say in the mapping's `encoding` how the file is written"))?
            .trim()
            .to_owned();
        if !name.is_empty() && names.contains(&name) {
            return Err(unreadable(
                path,
                &format!(
                    "column `{name}` stands twice in the header (again as column {}); name each once",
                    i + 1
                ),
            ));
        }
        names.push(name);
    }
    Ok(names.into())
}

fn cells(
    record: &ByteRecord,
    number: u64,
    names: &Arc<[String]>,
    layout: Layout,
    decoded: Option<&'static str>,
) -> std::result::Result<Row, BadRow> {
    let line = record.position().map_or(0, csv::Position::line);
    let at = format!("line {line}");
    let joined = || {
        let cells: Vec<Cow<'_, str>> = record.iter().map(String::from_utf8_lossy).collect();
        cut(
            &cells.join(&char::from(layout.delimiter).to_string()),
            EVENT_BYTES_MAX,
        )
        .to_owned()
    };
    if record.len() != names.len() {
        return Err(BadRow {
            raw: joined(),
            code: "ragged_row",
            reason: format!(
                "{at} has {} cells, the header has {}; mend the row, or look for an unquoted `{}`",
                record.len(),
                names.len(),
                char::from(layout.delimiter).escape_default()
            ),
        });
    }
    let mut values = Vec::with_capacity(names.len());
    for cell in record {
        let text = std::str::from_utf8(cell).map_err(|fault| BadRow {
            raw: joined(),
            ..not_utf8(cell, &at, fault)
        })?;
        if let Some(bad) = torn(text, decoded, &at) {
            return Err(BadRow {
                raw: joined(),
                ..bad
            });
        }
        values.push(if text.is_empty() {
            Raw::Null
        } else {
            Raw::Text(Cow::Owned(text.to_owned()))
        });
    }
    Ok(Row {
        number,
        names: names.clone(),
        values,
    })
}

fn jsonl(path: &Path, mut reader: Box<dyn BufRead + Send>, decoded: Option<&'static str>) -> Rows {
    let path: PathBuf = path.to_owned();
    let (mut line, mut number) = (0u64, 0u64);
    let mut names: Arc<[String]> = Arc::new([]);
    let mut buffer = Vec::new();
    Box::new(std::iter::from_fn(move || {
        loop {
            line += 1;
            buffer.clear();
            let limit = EVENT_BYTES_MAX as u64 + 1;
            let read = (&mut reader).take(limit).read_until(b'\n', &mut buffer);
            let long = match read {
                Ok(0) => return None,
                Ok(n) => n as u64 == limit && buffer.last() != Some(&b'\n'),
                Err(e) => {
                    return Some(Err(unreadable(
                        &path,
                        &format!("line {line}: {e}; {number} rows were read"),
                    )));
                }
            };
            let at = format!("line {line}");
            if long {
                number += 1;
                if let Err(e) = skip_line(reader.as_mut()) {
                    return Some(Err(unreadable(&path, &e)));
                }
                return Some(Ok(Err(BadRow {
                    raw: cut(&String::from_utf8_lossy(&buffer), EVENT_BYTES_MAX).to_owned(),
                    code: "event_too_large",
                    reason: format!(
                        "{at} has more than {EVENT_BYTES_MAX} bytes, the limit of an event; write less"
                    ),
                })));
            }
            let bytes = buffer.trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            number += 1;
            return Some(Ok(object(bytes, number, &at, &mut names, decoded)));
        }
    }))
}

fn skip_line(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let (used, done) = match chunk.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (chunk.len(), false),
        };
        reader.consume(used);
        if done {
            return Ok(());
        }
    }
}

fn object(
    bytes: &[u8],
    number: u64,
    at: &str,
    names: &mut Arc<[String]>,
    decoded: Option<&'static str>,
) -> std::result::Result<Row, BadRow> {
    let text = std::str::from_utf8(bytes).map_err(|fault| not_utf8(bytes, at, fault))?;
    if let Some(bad) = torn(text, decoded, at) {
        return Err(bad);
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|e| BadRow {
        raw: text.to_owned(),
        code: if e.is_data() {
            "malformed_event"
        } else {
            "malformed_json"
        },
        reason: format!("{at}: {e}"),
    })?;
    // Most files give every object the same keys in the same order, so the list of names is made once.
    if names.len() != fields.0.len() || names.iter().zip(&fields.0).any(|(n, (f, _))| n != f) {
        *names = fields
            .0
            .iter()
            .map(|(n, _)| n.clone().into_owned())
            .collect();
    }
    Ok(Row {
        number,
        names: names.clone(),
        values: fields
            .0
            .into_iter()
            .map(|(_, v)| incoming::owned(v))
            .collect(),
    })
}

fn parquet(path: &Path, file: std::fs::File, passed: Arc<AtomicU64>) -> Result<(Rows, u64)> {
    use parquet::file::reader::FileReader;
    let fault = |e: parquet::errors::ParquetError| unreadable(path, &e);
    let reader = SerializedFileReader::new(file).map_err(fault)?;
    let total = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    let mut rows = RowIter::from_file_into(Box::new(reader));
    let path: PathBuf = path.to_owned();
    let mut number = 0;
    let mut names: Arc<[String]> = Arc::new([]);
    let rows = std::iter::from_fn(move || {
        let row = match rows.next()? {
            Ok(row) => row,
            Err(e) => return Some(Err(unreadable(&path, &format!("row {}: {e}", number + 1)))),
        };
        number += 1;
        passed.store(number, Ordering::Relaxed);
        if names.is_empty() {
            names = row.get_column_iter().map(|(n, _)| n.clone()).collect();
        }
        let values = row
            .get_column_iter()
            .map(|(_, field)| field_value(field))
            .collect();
        Some(Ok(Ok(Row {
            number,
            names: names.clone(),
            values,
        })))
    });
    Ok((Box::new(rows), total))
}

/// A Parquet value: exact types stay what they are; dates, times and decimals become the text that people write for them.
fn field_value(field: &Field) -> Raw<'static> {
    let at = |us: i64| Raw::Text(crate::time::write(luopan_kernel::time::Micros(us)).into());
    match field {
        Field::Null => Raw::Null,
        Field::Bool(v) => Raw::Bool(*v),
        Field::Byte(v) => Raw::Int((*v).into()),
        Field::Short(v) => Raw::Int((*v).into()),
        Field::Int(v) => Raw::Int((*v).into()),
        Field::Long(v) => Raw::Int(*v),
        Field::UByte(v) => Raw::Int((*v).into()),
        Field::UShort(v) => Raw::Int((*v).into()),
        Field::UInt(v) => Raw::Int((*v).into()),
        Field::ULong(v) => i64::try_from(*v).map_or(Raw::Number(*v as f64), Raw::Int),
        Field::Float16(v) => Raw::Number(v.to_f64()),
        Field::Float(v) => Raw::Number((*v).into()),
        Field::Double(v) => Raw::Number(*v),
        Field::Str(v) => Raw::Text(v.clone().into()),
        Field::Bytes(v) => match std::str::from_utf8(v.data()) {
            Ok(text) => Raw::Text(text.to_owned().into()),
            Err(_) => Raw::Compound("array of bytes"),
        },
        Field::TimestampMillis(v) => at(v.saturating_mul(1_000)),
        Field::TimestampMicros(v) => at(*v),
        Field::Decimal(_) | Field::Date(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => {
            Raw::Text(text_of(field).into())
        }
        Field::Group(_) | Field::MapInternal(_) => Raw::Compound("object"),
        Field::ListInternal(_) => Raw::Compound("array"),
    }
}

fn text_of(field: &Field) -> String {
    match field {
        Field::Date(days) => jiff::civil::Date::constant(1970, 1, 1)
            .checked_add(jiff::Span::new().days(*days))
            .map_or_else(|_| days.to_string(), |d| d.to_string()),
        other => other.to_string(),
    }
}

/// The problem of a file of which some rows could be read and the rest not.
#[must_use]
pub fn stopped(problem: Box<Problem>, accepted: u64) -> Box<Problem> {
    problem.with("accepted", accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(name: &str, bytes: &[u8], layout: Layout) -> Vec<std::result::Result<Row, BadRow>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
        let (rows, _) = open_rows(&path, layout, Arc::default()).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn text(s: &str) -> Raw<'static> {
        Raw::Text(s.to_owned().into())
    }

    #[test]
    fn ragged_and_torn_rows_stand_aside_with_their_line() {
        let rows = read(
            "a.csv",
            b"id,city\n1,x\n2\n3,\xff\n\"4\n\",y,z\n5,\n",
            Layout::default(),
        );
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[0].as_ref().unwrap().get("city"), Some(&text("x")));
        let ragged = rows[1].as_ref().unwrap_err();
        assert_eq!((ragged.code, ragged.raw.as_str()), ("ragged_row", "2"));
        assert!(
            ragged
                .reason
                .starts_with("line 3 has 1 cells, the header has 2")
        );
        assert_eq!(rows[2].as_ref().unwrap_err().code, "not_utf8");
        assert!(rows[3].as_ref().unwrap_err().reason.starts_with("line 5"));
        assert_eq!(rows[4].as_ref().unwrap().get("city"), Some(&Raw::Null));
        assert_eq!(rows[4].as_ref().unwrap().number, 5);
    }

    #[test]
    fn utf8_is_held_to_when_it_is_said() {
        let layout = Layout {
            encoding: Encoding::Utf8,
            ..Layout::default()
        };
        let rows = read("a.csv", b"id,city\n3,\xff\n4,x\n", layout);
        assert_eq!(rows[0].as_ref().unwrap_err().code, "not_utf8");
        assert!(rows[1].is_ok());
    }

    #[test]
    fn an_open_quote_ends_the_file_with_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let text = format!("id,city\n1,x\n2,\"open\n{}", "3,y\n".repeat(3 << 20));
        std::fs::write(&path, text).unwrap();
        let (rows, _) = open_rows(&path, Layout::default(), Arc::default()).unwrap();
        let all: Vec<_> = rows.collect();
        assert_eq!(all.len(), 2);
        assert!(all[1].as_ref().unwrap_err().detail.contains("quote"));
    }

    #[test]
    fn headers_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "id,city,id\n").unwrap();
        assert!(
            open_rows(&path, Layout::default(), Arc::default())
                .err()
                .unwrap()
                .detail
                .contains("`id` stands twice")
        );
        std::fs::write(&path, "").unwrap();
        assert!(
            open_rows(&path, Layout::default(), Arc::default())
                .err()
                .unwrap()
                .detail
                .contains("empty")
        );
    }

    #[test]
    fn lines_of_json_keep_their_types() {
        let rows = read(
            "a.jsonl",
            b"{\"a\":1,\"b\":\"x\"}\n\n{\"a\":tru}\n[1]\n{\"a\":1.5,\"b\":null}\n",
            Layout::default(),
        );
        assert_eq!(rows[0].as_ref().unwrap().values, [Raw::Int(1), text("x")]);
        assert!(rows[1].as_ref().unwrap_err().reason.starts_with("line 3: "));
        assert_eq!(rows[2].as_ref().unwrap_err().code, "malformed_event");
        assert_eq!(rows[3].as_ref().unwrap().number, 4);
        let long = format!("{{\"a\":\"{}\"}}\n{{\"a\":2}}\n", "x".repeat(2 << 20));
        let rows = read("b.jsonl", long.as_bytes(), Layout::default());
        assert_eq!(rows[0].as_ref().unwrap_err().code, "event_too_large");
        assert_eq!(rows[1].as_ref().unwrap().values, [Raw::Int(2)]);
    }

    #[test]
    fn parquet_rows_are_read_plain_and_gzipped() {
        use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
        use parquet::file::properties::WriterProperties;
        use parquet::file::writer::SerializedFileWriter;
        use parquet::schema::parser::parse_message_type;
        let schema = "message m { required int64 n; optional int64 at (TIMESTAMP(MICROS,true)); optional binary city (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let codec = parquet::basic::Compression::SNAPPY;
        let properties = Arc::new(WriterProperties::builder().set_compression(codec).build());
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&[7, 8], None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&[1_000_000], Some(&[1, 0]), None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&[ByteArray::from("上海")], Some(&[0, 1]), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&bytes).unwrap();
        let packed = packed.finish().unwrap();
        for (name, bytes) in [("a.parquet", &bytes), ("a.parquet.gz", &packed)] {
            let rows = read(name, bytes, Layout::default());
            assert_eq!(
                rows[0].as_ref().unwrap().values,
                [Raw::Int(7), text("1970-01-01T00:00:01Z"), Raw::Null]
            );
            assert_eq!(
                rows[1].as_ref().unwrap().values,
                [Raw::Int(8), Raw::Null, text("上海")]
            );
        }
    }
}
