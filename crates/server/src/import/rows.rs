//! Rows of a file: named values of one line of CSV, one JSON object, one Parquet row. A row that cannot be read is an answer
//! of its own with its line number and reason; only a file that cannot be read any further ends with an error.

use super::lines::{Bounded, Lines};
use super::source::{Encoding, Source, ending, open, unreadable};
use crate::incoming::{self, Fields, cut};
use crate::problem::Result;
use csv::ByteRecord;
use luopan_engine::api::{EVENT_BYTES_MAX, Raw};
use parking_lot::Mutex;
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

/// Where a row stands, as people find it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Line of a text file on which the row begins, from 1; the header and empty lines are counted.
    Line(u64),
    /// Row of a Parquet file, from 1.
    Row(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Row(n) => write!(f, "row {n}"),
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Number of the row in the file, from 1; the header is not counted.
    pub number: u64,
    /// Where it stands.
    pub place: Place,
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

/// A file, opened.
pub struct Opened {
    /// Its rows.
    pub rows: Rows,
    /// What the bytes (rows, for Parquet) that have passed are to be compared with.
    pub total: u64,
    /// Names of the columns; none where each row names its own (lines of JSON).
    pub header: Option<Arc<[String]>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("total", &self.total)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// Opens a file and reads its header. `passed` counts the bytes read from disk (rows, for Parquet).
///
/// # Errors
/// The file cannot be opened, has no header, or names a column twice.
pub fn open_rows(path: &Path, layout: Layout, passed: Arc<AtomicU64>) -> Result<Opened> {
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
            let (rows, header) = match format {
                Format::Jsonl => (jsonl(path, reader, decoded), None),
                _ => separated(path, reader, layout, decoded)?,
            };
            Ok(Opened {
                rows,
                total,
                header,
            })
        }
    }
}

fn told_by(path: &Path, reader: &mut dyn BufRead) -> Result<Format> {
    match ending(path).as_str() {
        "csv" | "tsv" | "txt" => return Ok(Format::Csv),
        "jsonl" | "ndjson" | "json" => return Ok(Format::Jsonl),
        "parquet" => {
            return Err(unreadable(
                path,
                &"this is no Parquet file, whatever its name says: it does not begin with PAR1; copy it again, or name it after what it is",
            ));
        }
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
fn torn(text: &str, decoded: Option<&'static str>, at: Place) -> Option<BadRow> {
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

fn separated(
    path: &Path,
    reader: Box<dyn BufRead + Send>,
    layout: Layout,
    decoded: Option<&'static str>,
) -> Result<(Rows, Option<Arc<[String]>>)> {
    let since_row = Arc::new(AtomicU64::new(0));
    let lines = Arc::new(Mutex::new(Lines::default()));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(layout.delimiter)
        .quote(layout.quote)
        .flexible(true)
        .from_reader(Bounded::new(reader, since_row.clone(), lines.clone()));
    let header = reader
        .byte_headers()
        .map_err(|e| unreadable(path, &e))?
        .clone();
    let names = names(path, &header)?;
    let named = names.clone();
    let path = path.to_owned();
    let mut number = 0;
    let mut ended = false;
    let rows = std::iter::from_fn(move || {
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
                let line = lines.lock().of(&record);
                Some(Ok(cells(&record, (number, line), &names, layout, decoded)))
            }
            Err(error) => {
                ended = true;
                let line = lines.lock().of(&record);
                Some(Err(unreadable(
                    &path,
                    &format!("line {line}: {error}; {number} rows were read"),
                )))
            }
        }
    });
    Ok((Box::new(rows), Some(named)))
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
    (number, line): (u64, u64),
    names: &Arc<[String]>,
    layout: Layout,
    decoded: Option<&'static str>,
) -> std::result::Result<Row, BadRow> {
    let place = Place::Line(line);
    let at = || place.to_string();
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
                "{place} has {} cells, the header has {}; mend the row, or look for an unquoted `{}`",
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
            ..not_utf8(cell, &at(), fault)
        })?;
        if let Some(bad) = torn(text, decoded, place) {
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
        place,
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
            let at = Place::Line(line);
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
            return Some(Ok(object(bytes, number, at, &mut names, decoded)));
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
    place: Place,
    names: &mut Arc<[String]>,
    decoded: Option<&'static str>,
) -> std::result::Result<Row, BadRow> {
    let text =
        std::str::from_utf8(bytes).map_err(|fault| not_utf8(bytes, &place.to_string(), fault))?;
    if let Some(bad) = torn(text, decoded, place) {
        return Err(bad);
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|e| BadRow {
        raw: text.to_owned(),
        code: if e.is_data() {
            "malformed_event"
        } else {
            "malformed_json"
        },
        reason: format!("{place}: {}", incoming::said(&e, text)),
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
        place,
        names: names.clone(),
        values: fields
            .0
            .into_iter()
            .map(|(_, v)| incoming::owned(v))
            .collect(),
    })
}

fn parquet(path: &Path, file: std::fs::File, passed: Arc<AtomicU64>) -> Result<Opened> {
    use parquet::file::reader::FileReader;
    let reader = SerializedFileReader::new(file).map_err(|e| {
        tracing::debug!(error = %e, "a Parquet file cannot be opened");
        unreadable(
            path,
            &"this Parquet file is cut off or damaged: the table of contents at its end cannot be read; copy it again",
        )
    })?;
    let mut groups = reader.metadata().row_groups().iter();
    let packed = groups.find_map(|group| {
        let mut columns = group.columns().iter().map(|column| column.compression());
        columns.find(|of| !is_unpacked(*of))
    });
    if let Some(packed) = packed {
        let name = packed.to_string();
        let name = name.split('(').next().unwrap_or_default();
        return Err(unreadable(
            path,
            &format!(
                "this Parquet file is packed with {name}, which is not read: write it with zstd, snappy or gzip, such as pandas' to_parquet(..., compression=\"zstd\")"
            ),
        ));
    }
    let metadata = reader.metadata().file_metadata();
    let total = u64::try_from(metadata.num_rows()).unwrap_or(0);
    let header: Arc<[String]> = (metadata.schema().get_fields().iter())
        .map(|field| field.name().to_owned())
        .collect();
    let mut rows = RowIter::from_file_into(Box::new(reader));
    let path: PathBuf = path.to_owned();
    let mut number = 0;
    let mut names: Arc<[String]> = Arc::new([]);
    let rows = std::iter::from_fn(move || {
        let row = match rows.next()? {
            Ok(row) => row,
            Err(e) => {
                let words = format!(
                    "row {}: what stands here is damaged, or written in a way that is not read ({e}); copy the file again; {number} rows were read",
                    number + 1
                );
                return Some(Err(unreadable(&path, &words)));
            }
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
            place: Place::Row(number),
            names: names.clone(),
            values,
        })))
    });
    Ok(Opened {
        rows: Box::new(rows),
        total,
        header: Some(header),
    })
}

/// True of what this program unpacks.
fn is_unpacked(of: parquet::basic::Compression) -> bool {
    use parquet::basic::Compression;
    matches!(
        of,
        Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::ZSTD(_)
    )
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
        let opened = open_rows(&path, layout, Arc::default()).unwrap();
        opened.rows.map(Result::unwrap).collect()
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
    fn the_line_of_a_row_is_the_one_an_editor_shows() {
        let text = "\nid,city\n1,x\n\n\n2\n3,\"a\nb\n\",c\n\n4\n";
        for bytes in [
            text.to_owned(),
            text.replace('\n', "\r\n"),
            text.replace('\n', "\r"),
        ] {
            let rows = read("a.csv", bytes.as_bytes(), Layout::default());
            assert_eq!(rows[0].as_ref().unwrap().place, Place::Line(3), "{bytes:?}");
            for (row, line) in [(1, "line 6 "), (2, "line 7 "), (3, "line 11 ")] {
                let reason = &rows[row].as_ref().unwrap_err().reason;
                assert!(reason.starts_with(line), "{bytes:?}: {reason}");
            }
        }
        let long: String = (0..50_000).map(|i| format!("{i},x\r\n\r\n")).collect();
        let rows = read(
            "a.csv",
            format!("id,city\r\n{long}").as_bytes(),
            Layout::default(),
        );
        assert_eq!(rows[49_999].as_ref().unwrap().place, Place::Line(100_000));
    }

    #[test]
    fn what_is_no_parquet_file_or_half_of_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |bytes: &[u8]| {
            let path = folder.path().join("a.parquet");
            std::fs::write(&path, bytes).unwrap();
            open_rows(&path, Layout::default(), Arc::default())
                .unwrap_err()
                .detail
        };
        assert!(refused(b"junk, not columns\n1,2\n").contains("no Parquet file"));
        let half = refused(b"PAR1 and then some...");
        assert!(
            half.contains("copy it again") && !half.contains("EOF"),
            "{half}"
        );
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
        let opened = open_rows(&path, Layout::default(), Arc::default()).unwrap();
        let all: Vec<_> = opened.rows.collect();
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
