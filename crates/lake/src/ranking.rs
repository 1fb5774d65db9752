//! Rankings as Parquet: a row an item of a customer, best first. Customers are internal ids. What the rankings were made from
//! stands in the file's notes (its key-value metadata).
//!
//! | column | type | is |
//! |---|---|---|
//! | `customer` | 16 bytes | internal id of the customer's canonical identifier |
//! | `rank` | 32-bit integer | from 1 |
//! | `item` | text | key of the item |
//! | `score` | 64-bit number | the policy's score |

use crate::{Error, Notes, Result, beside, form, io, settle};
use luopan_kernel::id::CustomerId;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{
    ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
};
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Format of the file, in its notes under `luopan.format`.
pub const RANKING_FORMAT: u8 = 1;
/// Rows from which on a row group is closed.
pub const GROUP_ROWS: usize = 1 << 20;
/// Most row groups of a file.
pub const GROUPS_MAX: usize = i16::MAX as usize;

const SCHEMA: &str = "message ranking {
    required fixed_len_byte_array(16) customer;
    required int32 rank;
    required binary item (UTF8);
    required double score;
}";

fn open(path: &Path) -> Result<(PathBuf, SerializedFileWriter<File>)> {
    let beside = beside(path);
    let file = io(&beside, File::create(&beside))?;
    let schema = form(path, parse_message_type(SCHEMA))?;
    let level = form(path, ZstdLevel::try_new(1))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_created_by("luopan".to_owned())
        .build();
    let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
    Ok((beside, form(path, writer)?))
}

fn close(
    mut writer: SerializedFileWriter<File>,
    beside: &Path,
    path: &Path,
    notes: &Notes,
) -> Result<()> {
    writer.append_key_value_metadata(KeyValue::new(
        "luopan.format".to_owned(),
        RANKING_FORMAT.to_string(),
    ));
    for (name, value) in notes {
        writer.append_key_value_metadata(KeyValue::new(name.clone(), value.clone()));
    }
    settle(form(path, writer.into_inner())?, beside, path)
}

/// A part under way. Dropped, it leaves nothing under its name.
pub struct Part {
    path: PathBuf,
    beside: PathBuf,
    writer: SerializedFileWriter<File>,
    rows: u64,
    customers: Vec<FixedLenByteArray>,
    ranks: Vec<i32>,
    items: Vec<ByteArray>,
    scores: Vec<f64>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("path", &self.path)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Part {
    /// Begins the file `path`.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let (beside, writer) = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            beside,
            writer,
            rows: 0,
            customers: Vec::new(),
            ranks: Vec::new(),
            items: Vec::new(),
            scores: Vec::new(),
        })
    }

    /// Adds a customer's items with their scores, best first.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn push<'i>(
        &mut self,
        customer: CustomerId,
        items: impl IntoIterator<Item = (&'i str, f64)>,
    ) -> Result<()> {
        let id = FixedLenByteArray::from(ByteArray::from(customer.0.to_vec()));
        for (rank, (item, score)) in (1..).zip(items) {
            self.customers.push(id.clone());
            self.ranks.push(rank);
            self.items.push(ByteArray::from(item));
            self.scores.push(score);
            self.rows += 1;
        }
        if self.ranks.len() >= GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was added as a row group.
    fn flush(&mut self) -> Result<()> {
        if self.ranks.is_empty() {
            return Ok(());
        }
        let written = self.write_group();
        self.customers.clear();
        self.ranks.clear();
        self.items.clear();
        self.scores.clear();
        form(&self.path, written)
    }

    fn write_group(&mut self) -> parquet::errors::Result<()> {
        let mut group = self.writer.next_row_group()?;
        let mut place = 0;
        while let Some(mut column) = group.next_column()? {
            match place {
                0 => column.typed::<FixedLenByteArrayType>().write_batch(
                    &self.customers,
                    None,
                    None,
                )?,
                1 => column
                    .typed::<Int32Type>()
                    .write_batch(&self.ranks, None, None)?,
                2 => column
                    .typed::<ByteArrayType>()
                    .write_batch(&self.items, None, None)?,
                _ => column
                    .typed::<DoubleType>()
                    .write_batch(&self.scores, None, None)?,
            };
            column.close()?;
            place += 1;
        }
        group.close()?;
        Ok(())
    }

    /// Ends the file with these notes; answers its rows.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(mut self, notes: &Notes) -> Result<u64> {
        self.flush()?;
        close(self.writer, &self.beside, &self.path, notes)?;
        Ok(self.rows)
    }
}

/// The notes of a file.
///
/// # Errors
/// A file that cannot be read.
pub fn notes(path: &Path) -> Result<Notes> {
    let file = io(path, File::open(path))?;
    let read = ParquetMetaDataReader::new().parse_and_finish(&file);
    let metadata = form(path, read)?;
    let pairs = metadata.file_metadata().key_value_metadata();
    Ok((pairs.into_iter().flatten())
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect())
}

/// Puts the row groups of `parts` behind each other into the file `path`, with these notes; answers its rows.
///
/// # Errors
/// A file that cannot be read or written; too many row groups.
pub fn concatenate(parts: &[PathBuf], path: &Path, notes: &Notes) -> Result<u64> {
    let (beside, mut writer) = open(path)?;
    let (mut rows, mut groups) = (0, 0);
    for part in parts {
        let file = io(part, File::open(part))?;
        let read = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&file);
        let metadata = form(part, read)?;
        groups += metadata.num_row_groups();
        if groups > GROUPS_MAX {
            return Err(Error::Groups {
                path: path.to_owned(),
                found: groups,
            });
        }
        for (g, group) in metadata.row_groups().iter().enumerate() {
            let mut out = form(path, writer.next_row_group())?;
            for (c, column) in group.columns().iter().enumerate() {
                let of_group = |g: usize, c: usize| {
                    (
                        (metadata.column_index()).and_then(|i| i.get(g)?.get(c).cloned()),
                        (metadata.offset_index()).and_then(|i| i.get(g)?.get(c).cloned()),
                    )
                };
                let (column_index, offset_index) = of_group(g, c);
                let close = ColumnCloseResult {
                    bytes_written: column.compressed_size() as u64,
                    rows_written: group.num_rows() as u64,
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index,
                    offset_index,
                };
                form(path, out.append_column(&file, close))?;
            }
            form(path, out.close())?;
            rows += group.num_rows() as u64;
        }
    }
    close(writer, &beside, path, notes)?;
    Ok(rows)
}
