//! Factors: a vector for each customer and each item, whose inner product says how well they match. A customer's vector is
//! the sum of the vectors of what is known of her, an item's the sum of its own and those of its attributes (Kula 2015,
//! "Metadata embeddings for user and item cold-start recommendations"), so that a new customer and a new item have one too.
//!
//! This room must never let the fast search of [`Index`] say other than scoring every item exactly would.

mod index;

pub use index::Index;

use crate::codec::{Reader, Result, Writer};

/// Newest format of stored factors.
pub const FACTORS_FORMAT: u8 = 1;
/// Most numbers of one vector.
pub const FACTOR_DIMENSION_MAX: usize = 256;
/// Largest absolute value of one number of a vector, and of a bias.
pub const FACTOR_MAX: f32 = 1e6;

/// Trained factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    dimension: usize,
    /// A vector for each position of the customer's encoded features, row by row.
    customer: Vec<f32>,
    /// A vector for each position of the item's encoded features, row by row.
    attributes: Vec<f32>,
    /// Items with a vector of their own, ascending by key.
    keys: Vec<String>,
    /// Their vectors, row by row.
    items: Vec<f32>,
    /// Their biases.
    biases: Vec<f32>,
}

/// Why factors were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The dimension is out of range.
    #[error("factors of {found} numbers; write 1 to {FACTOR_DIMENSION_MAX}")]
    Dimension {
        /// Found.
        found: usize,
    },
    /// A table does not hold whole vectors.
    #[error("the {table} table has {found} numbers, which are no whole vectors of {dimension}")]
    Ragged {
        /// Which.
        table: &'static str,
        /// Numbers found.
        found: usize,
        /// Dimension.
        dimension: usize,
    },
    /// A number is not finite or too large.
    #[error("the {table} table holds {found}; write numbers within ±{FACTOR_MAX}")]
    Number {
        /// Which.
        table: &'static str,
        /// Found, written.
        found: String,
    },
    /// Items are not in order, or one stands twice.
    #[error(
        "item `{key}` does not come after the one before it; write each item once, ascending by key"
    )]
    Order {
        /// Item.
        key: String,
    },
}

/// An item's own vector, to build [`Factors`] from.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemFactors {
    /// The item's key.
    pub key: String,
    /// Its vector.
    pub vector: Vec<f32>,
    /// Added to its score.
    pub bias: f32,
}

impl Factors {
    /// Factors of `dimension`: `customer` and `attributes` hold a vector for each position of the encoded features, row by
    /// row; `items` come ascending by key.
    ///
    /// # Errors
    /// [`Error`], for the first thing that does not fit.
    pub fn new(
        dimension: usize,
        customer: Vec<f32>,
        attributes: Vec<f32>,
        items: impl IntoIterator<Item = ItemFactors>,
    ) -> core::result::Result<Self, Error> {
        if dimension == 0 || dimension > FACTOR_DIMENSION_MAX {
            return Err(Error::Dimension { found: dimension });
        }
        let whole = |table, numbers: &[f32]| {
            if !numbers.len().is_multiple_of(dimension) {
                return Err(Error::Ragged {
                    table,
                    found: numbers.len(),
                    dimension,
                });
            }
            match numbers.iter().find(|v| !is_bounded(**v)) {
                Some(v) => Err(Error::Number {
                    table,
                    found: v.to_string(),
                }),
                None => Ok(()),
            }
        };
        whole("customer", &customer)?;
        whole("attribute", &attributes)?;
        let mut out = Self {
            dimension,
            customer,
            attributes,
            keys: Vec::new(),
            items: Vec::new(),
            biases: Vec::new(),
        };
        for item in items {
            whole("item", &item.vector)?;
            whole("bias", &vec![item.bias; dimension])?;
            if item.vector.len() != dimension {
                return Err(Error::Ragged {
                    table: "item",
                    found: item.vector.len(),
                    dimension,
                });
            }
            if out.keys.last().is_some_and(|last| *last >= item.key) {
                return Err(Error::Order { key: item.key });
            }
            out.keys.push(item.key);
            out.items.extend(item.vector);
            out.biases.push(item.bias);
        }
        Ok(out)
    }

    /// Numbers of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Positions of the customer's encoded features.
    pub fn customer_positions(&self) -> usize {
        self.customer.len() / self.dimension
    }

    /// Positions of the item's encoded features.
    pub fn attribute_positions(&self) -> usize {
        self.attributes.len() / self.dimension
    }

    /// Items with a vector of their own.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when no item has a vector of its own.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The customer's vector from her encoded features; positions past the table add nothing.
    pub fn customer(&self, features: &[f64]) -> Vec<f32> {
        let mut sum = vec![0.0; self.dimension];
        add_rows(&mut sum, &self.customer, features);
        sum.into_iter().map(rounded).collect()
    }

    /// An item's vector and bias from its key and encoded features; positions past the table add nothing, an item without
    /// a vector of its own has the sum of its attributes' alone.
    pub fn item(&self, key: &str, features: &[f64]) -> (Vec<f32>, f32) {
        let mut sum = vec![0.0; self.dimension];
        add_rows(&mut sum, &self.attributes, features);
        let mut bias = 0.0;
        if let Ok(i) = self.keys.binary_search_by(|k| k.as_str().cmp(key)) {
            let own = &self.items[i * self.dimension..(i + 1) * self.dimension];
            for (s, v) in sum.iter_mut().zip(own) {
                *s += f64::from(*v);
            }
            bias = self.biases[i];
        }
        (sum.into_iter().map(rounded).collect(), bias)
    }

    /// Encodes the factors: format byte, dimension, the two tables, then items ascending by key; numbers as IEEE 754
    /// binary32, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(FACTORS_FORMAT);
        w.uint(self.dimension as u64);
        let table = |w: &mut Writer, numbers: &[f32]| {
            for v in numbers {
                w.raw(&v.to_bits().to_le_bytes());
            }
        };
        w.uint(self.customer_positions() as u64);
        table(&mut w, &self.customer);
        w.uint(self.attribute_positions() as u64);
        table(&mut w, &self.attributes);
        w.uint(self.keys.len() as u64);
        for (i, key) in self.keys.iter().enumerate() {
            w.str(key);
            table(
                &mut w,
                &self.items[i * self.dimension..(i + 1) * self.dimension],
            );
            table(&mut w, &self.biases[i..=i]);
        }
        w.into_bytes()
    }

    /// Decodes what [`Factors::encode`] wrote.
    ///
    /// # Errors
    /// As [`Reader`]'s; a newer format is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        r.format("factors", FACTORS_FORMAT)?;
        let dimension = r.uint()? as usize;
        if dimension == 0 || dimension > FACTOR_DIMENSION_MAX {
            return Err(r.malformed("a dimension of 1 to 256"));
        }
        let table = |r: &mut Reader<'_>, vectors: usize, of: usize| -> Result<Vec<f32>> {
            // The count was checked against what is left, so the product cannot overflow.
            let raw = r.raw(vectors * of * 4)?;
            let numbers: Vec<f32> = (raw.as_chunks::<4>().0.iter())
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            if numbers.iter().all(|v| is_bounded(*v)) {
                Ok(numbers)
            } else {
                Err(r.malformed("finite numbers within a million"))
            }
        };
        let n = r.count(dimension * 4)?;
        let customer = table(&mut r, n, dimension)?;
        let n = r.count(dimension * 4)?;
        let attributes = table(&mut r, n, dimension)?;
        let n = r.count(dimension * 4)?;
        let mut out = Self {
            dimension,
            customer,
            attributes,
            keys: Vec::with_capacity(n),
            items: Vec::with_capacity(n * dimension),
            biases: Vec::with_capacity(n),
        };
        for _ in 0..n {
            let key = r.str()?.to_owned();
            if out.keys.last().is_some_and(|last| *last >= key) {
                return Err(r.malformed("items in ascending order"));
            }
            out.keys.push(key);
            out.items.extend(table(&mut r, 1, dimension)?);
            out.biases.extend(table(&mut r, 1, 1)?);
        }
        r.done()?;
        Ok(out)
    }
}

fn is_bounded(v: f32) -> bool {
    v.abs() <= FACTOR_MAX
}

/// The nearest number of 32 bits, held within bounds that keep every score finite.
fn rounded(v: f64) -> f32 {
    // Sums of at most 512 bounded products; features are finite. Held so that scores stay finite whatever they are.
    v.clamp(-1e12, 1e12) as f32
}

/// Adds the table's rows, each times its feature, in order of position.
fn add_rows(sum: &mut [f64], table: &[f32], features: &[f64]) {
    for (row, x) in table.chunks_exact(sum.len()).zip(features) {
        // Most features are one-hot.
        if *x != 0.0 {
            for (s, v) in sum.iter_mut().zip(row) {
                *s += x * f64::from(*v);
            }
        }
    }
}
