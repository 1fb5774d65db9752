//! A table in memory: named columns of numbers or of texts. This room must never know what a column is for.

use super::Error;
use luopan_kernel::id::hash64;

/// The code of a text that is missing.
pub const MISSING: u32 = u32::MAX;

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// Numbers; NaN is a missing one.
    Numbers(Vec<f64>),
    /// Texts by their place among the levels; [`MISSING`] is none.
    Texts {
        /// A place a row.
        codes: Vec<u32>,
        /// The texts, each once.
        levels: Vec<String>,
    },
}

impl Series {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts { codes, .. } => codes.len(),
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True where the row has no value.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values[row].is_nan(),
            Self::Texts { codes, .. } => codes[row] == MISSING,
        }
    }

    /// The value of a row as people write it; none where there is none.
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            _ if self.is_missing(row) => None,
            Self::Numbers(values) => Some(values[row].to_string()),
            Self::Texts { codes, levels } => levels.get(codes[row] as usize).cloned(),
        }
    }

    fn take(&self, rows: &[u32]) -> Self {
        match self {
            Self::Numbers(values) => {
                Self::Numbers(rows.iter().map(|r| values[*r as usize]).collect())
            }
            Self::Texts { codes, levels } => Self::Texts {
                codes: rows.iter().map(|r| codes[*r as usize]).collect(),
                levels: levels.clone(),
            },
        }
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    names: Vec<String>,
    columns: Vec<Series>,
    rows: usize,
}

impl Frame {
    /// A table of these columns.
    ///
    /// # Errors
    /// No columns or rows, columns of unequal length, two of one name, codes without a level, more than 2^32 - 2 rows.
    pub fn new(columns: Vec<(String, Series)>) -> Result<Self, Error> {
        let rows = columns.first().map_or(0, |(_, c)| c.len());
        if rows == 0 || u32::try_from(rows).is_err() {
            return Err(Error::Rows {
                found: rows,
                least: 1,
                of: "a table",
            });
        }
        let (names, columns): (Vec<String>, Vec<Series>) = columns.into_iter().unzip();
        for (i, (name, column)) in names.iter().zip(&columns).enumerate() {
            if names[..i].contains(name) {
                return Err(Error::Twice { name: name.clone() });
            }
            let is_whole = match column {
                Series::Numbers(_) => true,
                Series::Texts { codes, levels } => {
                    (codes.iter()).all(|c| *c == MISSING || (*c as usize) < levels.len())
                }
            };
            if column.len() != rows || !is_whole {
                return Err(Error::Column {
                    name: name.clone(),
                    why: format!(
                        "it has {} values, or codes without a level; the first has {rows}",
                        column.len()
                    ),
                });
            }
        }
        Ok(Self {
            names,
            columns,
            rows,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The column of this name.
    pub fn get(&self, name: &str) -> Option<&Series> {
        let at = self.names.iter().position(|n| n == name)?;
        self.columns.get(at)
    }

    /// Columns with their names, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.names.iter().map(String::as_str).zip(&self.columns)
    }

    /// The same table with a column replaced, or added behind the others.
    ///
    /// # Errors
    /// As [`Frame::new`], for a column that does not fit.
    pub fn with(mut self, name: &str, column: Series) -> Result<Self, Error> {
        let found = self.names.iter().position(|n| n == name);
        let rows = self.rows;
        if column.len() != rows {
            return Err(Error::Column {
                name: name.to_owned(),
                why: format!("it has {} values, the table {rows}", column.len()),
            });
        }
        match found {
            Some(at) => self.columns[at] = column,
            None => {
                self.names.push(name.to_owned());
                self.columns.push(column);
            }
        }
        Ok(self)
    }

    /// A hash of each row: of all its columns by name, whatever their order. Rows that hold the same have the same.
    pub fn row_hashes(&self) -> Vec<u64> {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|a, b| self.names[*a].cmp(&self.names[*b]));
        let mut out = vec![0u64; self.rows];
        for at in order {
            let salt = hash64(self.names[at].as_bytes());
            let mut add = |row: usize, value: u64| {
                let mixed = (out[row] ^ value ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                out[row] = mixed ^ (mixed >> 29);
            };
            match &self.columns[at] {
                Series::Numbers(values) => {
                    // Zeros and missing ones have one form each.
                    let of = |v: f64| if v.is_nan() { f64::NAN } else { v + 0.0 };
                    (values.iter().enumerate()).for_each(|(row, v)| add(row, of(*v).to_bits()));
                }
                Series::Texts { codes, levels } => {
                    let hashes: Vec<u64> = levels.iter().map(|l| hash64(l.as_bytes())).collect();
                    for (row, code) in codes.iter().enumerate() {
                        add(row, hashes.get(*code as usize).copied().unwrap_or(1));
                    }
                }
            }
        }
        out
    }

    /// A hash of each row: of these columns by name, and of `target` whatever it is called. A number is the same whether its column was read as
    /// numbers or as texts. None where a column is not there.
    pub fn hashes_of(&self, names: &[&str], target: &str) -> Option<Vec<u64>> {
        let mut order: Vec<&str> = names.to_vec();
        order.sort_unstable();
        let mut out = vec![0u64; self.rows];
        let columns = (order.iter().map(|n| (*n, *n))).chain([("", target)]);
        for (salt, name) in columns {
            let salt = hash64(salt.as_bytes());
            let mut add = |row: usize, value: u64| {
                let mixed = (out[row] ^ value ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                out[row] = mixed ^ (mixed >> 29);
            };
            // Zeros and missing ones have one form each.
            let of = |v: f64| (if v.is_nan() { f64::NAN } else { v + 0.0 }).to_bits();
            match self.get(name)? {
                Series::Numbers(values) => {
                    (values.iter().enumerate()).for_each(|(row, v)| add(row, of(*v)));
                }
                Series::Texts { codes, levels } => {
                    let hashes: Vec<u64> = (levels.iter())
                        .map(|l| l.parse().map_or_else(|_| hash64(l.as_bytes()), of))
                        .collect();
                    for (row, code) in codes.iter().enumerate() {
                        let missing = of(f64::NAN);
                        add(row, hashes.get(*code as usize).copied().unwrap_or(missing));
                    }
                }
            }
        }
        Some(out)
    }

    /// A table of some of the rows, in this order.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        Self {
            names: self.names.clone(),
            columns: self.columns.iter().map(|c| c.take(rows)).collect(),
            rows: rows.len(),
        }
    }
}
