//! Columns of a model and the products that fitting asks for. Numbers are held centred and scaled; a category is its level's
//! place, so that a row costs as much as it has columns, however many levels there are.

use super::{Error, TERMS_MAX};
use crate::columns;

/// A column of a design.
#[derive(Debug, Clone, Copy)]
pub enum Column<'a> {
    /// Finite numbers.
    Numeric {
        /// Its name.
        name: &'a str,
        /// A value a row.
        values: &'a [f64],
    },
    /// Categories. A missing value is a level of its own.
    Categorical {
        /// Its name.
        name: &'a str,
        /// The level of each row, `0..levels.len()`.
        codes: &'a [u32],
        /// Names of the levels.
        levels: &'a [&'a str],
        /// The level that the others are compared with, which has no coefficient; without a penalty there should be one.
        base: Option<u32>,
    },
}

impl Column<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Numeric { name, .. } | Self::Categorical { name, .. } => name,
        }
    }
}

/// What a coefficient belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Name of the column.
    pub column: String,
    /// Name of the level, for categories.
    pub level: Option<String>,
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.level {
            None => f.write_str(&self.column),
            Some(level) => write!(f, "{}[{level}]", self.column),
        }
    }
}

/// Place of a level that has no coefficient.
const NONE: u32 = u32::MAX;
/// What the largest number of a column may be in size: its squares, and those of its coefficients, are finite numbers above zero.
pub const SIZES: core::ops::RangeInclusive<f64> = 1e-100..=1e100;
/// Rows of a step of the products: the step's numbers stay in the first cache.
const STEP: usize = 512;

enum Block<'a> {
    /// One term: values less the mean, over the deviation.
    Numbers { term: usize, values: Vec<f64> },
    Levels {
        codes: &'a [u32],
        /// Term of each level, or [`NONE`].
        terms: Vec<u32>,
        /// Rows of the levels' products: as many as levels.
        width: usize,
    },
}

/// Checked columns, ready to fit or to predict with.
pub struct Design<'a> {
    rows: usize,
    blocks: Vec<Block<'a>>,
    terms: Vec<Term>,
    /// What was taken off a numeric term's values, and what they were divided by.
    centres: Vec<f64>,
    scales: Vec<f64>,
    columns: Vec<Column<'a>>,
}

impl<'a> Design<'a> {
    /// Checks columns.
    ///
    /// # Errors
    /// No rows, columns of different length, numbers that are not finite, categories without a level, too many terms.
    pub fn new(columns: &[Column<'a>], rows: usize) -> Result<Self, Error> {
        if rows == 0 {
            return Err(Error::Empty);
        }
        let mut design = Self {
            rows,
            blocks: Vec::new(),
            terms: Vec::new(),
            centres: Vec::new(),
            scales: Vec::new(),
            columns: columns.to_vec(),
        };
        for column in columns {
            let found = match column {
                Column::Numeric { values, .. } => values.len(),
                Column::Categorical { codes, .. } => codes.len(),
            };
            if found != rows {
                return Err(Error::Columns(columns::Error::Length {
                    column: column.name().to_owned(),
                    found,
                    wanted: rows,
                }));
            }
            match column {
                Column::Numeric { name, values } => design.numbers(name, values)?,
                Column::Categorical {
                    name,
                    codes,
                    levels,
                    base,
                } => design.levels(name, codes, levels, *base)?,
            }
            if design.terms.len() > TERMS_MAX {
                return Err(Error::Columns(columns::Error::Setting {
                    what: "number of terms",
                    found: design.terms.len() as f64,
                    wanted: "at most 5,000: put rare levels together",
                }));
            }
        }
        Ok(design)
    }

    fn numbers(&mut self, name: &str, values: &[f64]) -> Result<(), Error> {
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::Columns(columns::Error::Value {
                column: name.to_owned(),
                row,
                found: values[row],
                wanted: "a finite number; missing ones must be filled, with a column that says so",
            }));
        }
        let most = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        if most != 0.0 && !SIZES.contains(&most) {
            let row = values.iter().position(|v| v.abs() == most);
            return Err(Error::Columns(columns::Error::Value {
                column: name.to_owned(),
                row: row.unwrap_or_default(),
                found: most,
                wanted: "the largest number of a column is from 1e-100 to 1e100 in size: write it in another unit",
            }));
        }
        let rows = self.rows as f64;
        let mean = values.iter().sum::<f64>() / rows;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / rows;
        let deviation = libm::sqrt(variance);
        // Rounding alone is no variation.
        let scale = if deviation > 1e-13 * mean.abs() {
            deviation
        } else {
            0.0
        };
        let moved = |x: &f64| if scale > 0.0 { (x - mean) / scale } else { 0.0 };
        self.blocks.push(Block::Numbers {
            term: self.terms.len(),
            values: values.iter().map(moved).collect(),
        });
        self.terms.push(Term {
            column: name.to_owned(),
            level: None,
        });
        self.centres.push(mean);
        self.scales.push(if scale > 0.0 { scale } else { 1.0 });
        Ok(())
    }

    fn levels(
        &mut self,
        name: &str,
        codes: &'a [u32],
        levels: &[&str],
        base: Option<u32>,
    ) -> Result<(), Error> {
        let missing = |found: &u32| *found as usize >= levels.len();
        if let Some(row) = codes.iter().position(missing) {
            return Err(Error::Columns(columns::Error::Level {
                column: name.to_owned(),
                row,
                found: codes[row],
                levels: levels.len(),
            }));
        }
        if let Some(base) = base.filter(missing) {
            return Err(Error::Columns(columns::Error::Setting {
                what: "a base level",
                found: f64::from(base),
                wanted: "one of the levels",
            }));
        }
        let mut terms = Vec::with_capacity(levels.len());
        for (level, words) in (0u32..).zip(levels) {
            if base == Some(level) {
                terms.push(NONE);
                continue;
            }
            terms.push(self.terms.len() as u32);
            self.terms.push(Term {
                column: name.to_owned(),
                level: Some((*words).to_owned()),
            });
            self.centres.push(0.0);
            self.scales.push(1.0);
        }
        self.blocks.push(Block::Levels {
            codes,
            width: terms.len(),
            terms,
        });
        Ok(())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What the coefficients belong to, in their order.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    pub(super) fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }

    pub(super) fn scales(&self) -> &[f64] {
        &self.scales
    }

    /// Coefficients of the columns' own units (first the intercept) from those of scaled numbers.
    pub(super) fn unscaled(&self, scaled: &[f64]) -> Vec<f64> {
        let mut own = scaled.to_vec();
        for (term, (centre, scale)) in self.centres.iter().zip(&self.scales).enumerate() {
            own[term + 1] /= scale;
            own[0] -= own[term + 1] * centre;
        }
        own
    }

    /// The other way.
    pub(super) fn scaled(&self, own: &[f64]) -> Vec<f64> {
        let mut scaled = own.to_vec();
        for (term, (centre, scale)) in self.centres.iter().zip(&self.scales).enumerate() {
            scaled[term + 1] *= scale;
            scaled[0] += own[term + 1] * centre;
        }
        scaled
    }

    /// Adds the products of all rows with scaled coefficients (first the intercept) to `out`.
    pub(super) fn add_products(&self, scaled: &[f64], out: &mut [f64]) {
        out.iter_mut().for_each(|out| *out += scaled[0]);
        for block in &self.blocks {
            match block {
                Block::Numbers { term, values } => {
                    let by = scaled[term + 1];
                    if by != 0.0 {
                        out.iter_mut()
                            .zip(values)
                            .for_each(|(out, x)| *out += by * x);
                    }
                }
                Block::Levels { codes, terms, .. } => {
                    let of = |term: &u32| {
                        if *term == NONE {
                            0.0
                        } else {
                            scaled[*term as usize + 1]
                        }
                    };
                    let table: Vec<f64> = terms.iter().map(of).collect();
                    out.iter_mut()
                        .zip(*codes)
                        .for_each(|(out, code)| *out += table[*code as usize]);
                }
            }
        }
    }

    /// The sums of `by` over the rows of each term: first all, then by term.
    pub(super) fn sums(&self, by: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.terms.len() + 1];
        out[0] = by.iter().sum();
        for block in &self.blocks {
            match block {
                Block::Numbers { term, values } => {
                    out[term + 1] = luopan_kernel::learn::algebra::dot8(values, by);
                }
                Block::Levels {
                    codes,
                    terms,
                    width,
                } => {
                    let mut table = vec![0.0; *width];
                    for (code, by) in codes.iter().zip(by) {
                        table[*code as usize] += by;
                    }
                    spread(&table, terms, |term, sum| out[term + 1] = sum);
                }
            }
        }
        out
    }

    /// The symmetric matrix of the terms' products weighted by `by`, with the intercept first: terms + 1 rows, all of it.
    pub(super) fn gram(&self, by: &[f64]) -> Vec<f64> {
        let size = self.terms.len() + 1;
        let mut out = vec![0.0; size * size];
        let first = self.sums(by);
        out[..size].copy_from_slice(&first);
        // Pairs of blocks: each has a table of its own, filled step by step.
        let count = self.blocks.len();
        let mut tables: Vec<Vec<f64>> = Vec::with_capacity(count * (count + 1) / 2);
        for (at, a) in self.blocks.iter().enumerate() {
            for b in &self.blocks[at..] {
                tables.push(vec![0.0; a.width() * b.width()]);
            }
        }
        let mut weighted = [0.0; STEP];
        for start in (0..self.rows).step_by(STEP) {
            let rows = start..(start + STEP).min(self.rows);
            let by = &by[rows.clone()];
            let mut tables = tables.iter_mut();
            for (at, a) in self.blocks.iter().enumerate() {
                let by = match a {
                    Block::Numbers { values, .. } => {
                        let of = values[rows.clone()].iter().zip(by);
                        weighted
                            .iter_mut()
                            .zip(of)
                            .for_each(|(out, (x, by))| *out = x * by);
                        &weighted[..rows.len()]
                    }
                    Block::Levels { .. } => by,
                };
                for (after, b) in self.blocks[at..].iter().enumerate() {
                    if let Some(table) = tables.next() {
                        a.add_pair(b, after == 0, rows.clone(), by, table);
                    }
                }
            }
        }
        let mut tables = tables.iter();
        for (at, a) in self.blocks.iter().enumerate() {
            for b in &self.blocks[at..] {
                let Some(table) = tables.next() else { continue };
                for (cell, value) in table.iter().enumerate() {
                    let (row, column) = (a.term(cell / b.width()), b.term(cell % b.width()));
                    if let (Some(row), Some(column)) = (row, column) {
                        out[(row + 1) * size + column + 1] = *value;
                    }
                }
            }
        }
        for row in 0..size {
            for column in 0..row {
                let above = out[column * size + row];
                let below = out[row * size + column];
                // Only one of the two was filled.
                let value = if above == 0.0 { below } else { above };
                out[row * size + column] = value;
                out[column * size + row] = value;
            }
        }
        out
    }
}

impl Block<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Numbers { .. } => 1,
            Self::Levels { width, .. } => *width,
        }
    }

    fn term(&self, level: usize) -> Option<usize> {
        match self {
            Self::Numbers { term, .. } => Some(*term),
            Self::Levels { terms, .. } => terms
                .get(level)
                .filter(|term| **term != NONE)
                .map(|term| *term as usize),
        }
    }

    /// Adds the products of some rows with those of another block. For numbers, `by` has this block's values in it already.
    fn add_pair(
        &self,
        other: &Self,
        same: bool,
        rows: core::ops::Range<usize>,
        by: &[f64],
        table: &mut [f64],
    ) {
        match (self, other) {
            (Self::Numbers { .. }, Self::Numbers { values, .. }) => {
                table[0] += luopan_kernel::learn::algebra::dot8(&values[rows], by);
            }
            (Self::Numbers { .. }, Self::Levels { codes, .. })
            | (Self::Levels { codes, .. }, Self::Numbers { .. }) => {
                let codes = &codes[rows.clone()];
                if let Self::Numbers { values, .. } = other {
                    for ((code, by), x) in codes.iter().zip(by).zip(&values[rows]) {
                        table[*code as usize] += by * x;
                    }
                } else {
                    for (code, by) in codes.iter().zip(by) {
                        table[*code as usize] += by;
                    }
                }
            }
            (Self::Levels { codes, width, .. }, Self::Levels { .. }) if same => {
                for (code, by) in codes[rows].iter().zip(by) {
                    table[*code as usize * (width + 1)] += by;
                }
            }
            (
                Self::Levels { codes, .. },
                Self::Levels {
                    codes: others,
                    width,
                    ..
                },
            ) => {
                let width = *width as u32;
                let pairs = codes[rows.clone()].iter().zip(&others[rows]);
                for ((code, other), by) in pairs.zip(by) {
                    table[code.wrapping_mul(width).wrapping_add(*other) as usize] += by;
                }
            }
        }
    }
}

fn spread(table: &[f64], terms: &[u32], mut put: impl FnMut(usize, f64)) {
    for (term, value) in terms.iter().zip(table) {
        if *term != NONE {
            put(*term as usize, *value);
        }
    }
}
