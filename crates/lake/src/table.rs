//! Tables of any columns as Parquet: every column may hold missing values (nulls), rows are added one by one.
//!
//! | kind | Parquet type |
//! |---|---|
//! | double | `DOUBLE` |
//! | long | `INT64` |
//! | text | `BYTE_ARRAY`, string |
//! | boolean | `BOOLEAN` |
//! | time | `INT64`, timestamp in UTC microseconds |

use crate::{Error, Notes, Result, beside, form, io, settle};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows from which on a row group is closed.
pub const GROUP_ROWS: usize = 1 << 16;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit numbers.
    Double,
    /// 64-bit integers.
    Long,
    /// Text.
    Text,
    /// Booleans.
    Boolean,
    /// Moments, microseconds since 1970 UTC.
    Time,
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Missing,
    /// For a column of doubles.
    Double(f64),
    /// For a column of longs or times.
    Long(i64),
    /// For a column of text.
    Text(&'a str),
    /// For a column of booleans.
    Boolean(bool),
}

/// Values of a column that are not written yet: those that are there, and for each row whether one is.
struct Column {
    name: String,
    kind: Kind,
    there: Vec<i16>,
    doubles: Vec<f64>,
    longs: Vec<i64>,
    texts: Vec<ByteArray>,
    booleans: Vec<bool>,
}

impl Column {
    fn push(&mut self, cell: Cell<'_>) -> std::result::Result<(), String> {
        match (self.kind, cell) {
            (_, Cell::Missing) => {
                self.there.push(0);
                return Ok(());
            }
            (Kind::Double, Cell::Double(v)) => self.doubles.push(v),
            (Kind::Long | Kind::Time, Cell::Long(v)) => self.longs.push(v),
            (Kind::Text, Cell::Text(v)) => self.texts.push(ByteArray::from(v)),
            (Kind::Boolean, Cell::Boolean(v)) => self.booleans.push(v),
            (kind, cell) => {
                return Err(format!(
                    "column `{}` holds {kind:?}, found {cell:?}",
                    self.name
                ));
            }
        }
        self.there.push(1);
        Ok(())
    }

    fn write(&mut self, to: &mut SerializedColumnWriter<'_>) -> parquet::errors::Result<()> {
        let there = Some(&self.there[..]);
        match self.kind {
            Kind::Double => to
                .typed::<DoubleType>()
                .write_batch(&self.doubles, there, None)?,
            Kind::Long | Kind::Time => {
                to.typed::<Int64Type>()
                    .write_batch(&self.longs, there, None)?
            }
            Kind::Text => to
                .typed::<ByteArrayType>()
                .write_batch(&self.texts, there, None)?,
            Kind::Boolean => to
                .typed::<BoolType>()
                .write_batch(&self.booleans, there, None)?,
        };
        self.there.clear();
        self.doubles.clear();
        self.longs.clear();
        self.texts.clear();
        self.booleans.clear();
        Ok(())
    }
}

fn schema(columns: &[Column]) -> parquet::errors::Result<Type> {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            Kind::Double => (Physical::DOUBLE, None),
            Kind::Long => (Physical::INT64, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Boolean => (Physical::BOOLEAN, None),
            Kind::Time => {
                let utc = LogicalType::timestamp(true, TimeUnit::MICROS);
                (Physical::INT64, Some(utc))
            }
        };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        field.build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("table")
        .with_fields(fields)
        .build()
}

/// A table under way. Dropped, it leaves nothing under its name.
pub struct Table {
    path: PathBuf,
    beside: Beside,
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    waiting: usize,
    rows: u64,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Table {
    /// Begins the file `path` with these columns, named differently.
    ///
    /// # Errors
    /// A file that cannot be made; two columns of one name.
    pub fn create(path: &Path, columns: &[(String, Kind)]) -> Result<Self> {
        let columns: Vec<Column> = (columns.iter())
            .map(|(name, kind)| Column {
                name: name.clone(),
                kind: *kind,
                there: Vec::new(),
                doubles: Vec::new(),
                longs: Vec::new(),
                texts: Vec::new(),
                booleans: Vec::new(),
            })
            .collect();
        for (i, column) in columns.iter().enumerate() {
            if columns[..i].iter().any(|c| c.name == column.name) {
                return Err(row(
                    path,
                    format!("two columns are called `{}`", column.name),
                ));
            }
        }
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            io(folder, std::fs::create_dir_all(folder))?;
        }
        let beside = Beside(beside(path));
        let file = io(&beside.0, File::create(&beside.0))?;
        let schema = form(path, schema(&columns))?;
        let level = form(path, ZstdLevel::try_new(1))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by("luopan".to_owned())
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        Ok(Self {
            path: path.to_owned(),
            writer: form(path, writer)?,
            beside,
            columns,
            waiting: 0,
            rows: 0,
        })
    }

    /// Adds a row: one cell a column.
    ///
    /// # Errors
    /// Another number of cells, or one that its column does not hold; a file that cannot be written.
    pub fn push<'c>(&mut self, cells: impl IntoIterator<Item = Cell<'c>>) -> Result<()> {
        let mut columns = self.columns.iter_mut();
        for cell in cells {
            let Some(column) = columns.next() else {
                return Err(row(
                    &self.path,
                    "a row has more cells than columns".to_owned(),
                ));
            };
            column.push(cell).map_err(|e| row(&self.path, e))?;
        }
        if columns.next().is_some() {
            return Err(row(
                &self.path,
                "a row has fewer cells than columns".to_owned(),
            ));
        }
        self.waiting += 1;
        self.rows += 1;
        if self.waiting >= GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting == 0 {
            return Ok(());
        }
        self.waiting = 0;
        let written = self.write_group();
        form(&self.path, written)
    }

    fn write_group(&mut self) -> parquet::errors::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            if let Some(mut to) = group.next_column()? {
                column.write(&mut to)?;
                to.close()?;
            }
        }
        group.close()?;
        Ok(())
    }

    /// Ends the file with these notes (its key-value metadata); gives the number of rows.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(mut self, notes: &Notes) -> Result<u64> {
        self.flush()?;
        for (name, value) in notes {
            let note = KeyValue::new(name.clone(), value.clone());
            self.writer.append_key_value_metadata(note);
        }
        let file = form(&self.path, self.writer.into_inner())?;
        settle(file, &self.beside.0, &self.path)?;
        Ok(self.rows)
    }
}

/// A file that is gone unless it is moved to its place.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // It is not there any more where it has its place.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn row(path: &Path, cause: String) -> Error {
    Error::Row {
        path: path.to_owned(),
        cause,
    }
}
