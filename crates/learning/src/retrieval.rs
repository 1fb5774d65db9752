//! Retrieval for many customers at once: for each of them just what the kernel's search says, at the speed of [`crate::matching`].
//!
//! Matching knows vectors alone, so an item's bias becomes one more factor, of which every customer has one. That adds in
//! another order than the kernel, which adds the bias last: the two scores of an item may differ by some units in the last
//! place. So a few more items are matched than are wanted, all of them are scored again by the kernel's own arithmetic, and
//! what comes out is taken only where everything that was not matched is below by more than the two can differ. Where it is
//! not, as among very many items alike, the kernel searches itself.
//!
//! This room must never hand out anything but what the kernel's search gives, whatever was matched.

use crate::matching::{Eligible, Error, ITEMS_MAX, Items, TOP_MAX};
use luopan_kernel::catalogue::Rows;
use luopan_kernel::factors::Index;
use std::collections::HashMap;

/// Items that are matched beyond those wanted.
const MORE: usize = 8;
/// Fewer customers are searched for one by one.
const CUSTOMERS_MIN: usize = 16;

/// What is to be retrieved for a customer.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The customer's vector.
    pub vector: &'a [f32],
    /// The rows that may be given.
    pub eligible: &'a Rows,
    /// How many are wanted.
    pub keep: usize,
}

/// The vectors of a catalogue, each with its bias behind it, to be matched.
#[derive(Debug, Clone)]
pub struct Vectors {
    values: Vec<f32>,
    width: usize,
    /// Largest Euclidean norm, of the bias too.
    greatest: f64,
}

impl Vectors {
    /// Takes over the vectors of `index`.
    pub fn new(index: &Index) -> Self {
        let width = index.dimension() + 1;
        let mut values = Vec::with_capacity(index.len() * width);
        let mut greatest = 0.0f64;
        for (vector, bias) in (0..index.len()).filter_map(|row| index.item(row)) {
            let squares = (vector.iter().chain([&bias]))
                .map(|v| f64::from(*v) * f64::from(*v))
                .sum::<f64>();
            greatest = greatest.max(squares.sqrt());
            values.extend_from_slice(vector);
            values.push(bias);
        }
        Self {
            values,
            width,
            greatest,
        }
    }
}

/// Searches one catalogue for any number of customers.
#[derive(Debug)]
pub struct Retrieval<'a> {
    index: &'a Index,
    vectors: &'a Vectors,
    /// None where the kernel alone can search.
    items: Option<Items<'a>>,
}

impl<'a> Retrieval<'a> {
    /// Readies `vectors`, which were made of `index`.
    ///
    /// # Errors
    /// Factors that are not finite.
    pub fn new(index: &'a Index, vectors: &'a Vectors) -> Result<Self, Error> {
        let is_matched = !index.is_empty() && index.len() <= ITEMS_MAX;
        Ok(Self {
            items: is_matched
                .then(|| Items::new(&vectors.values, vectors.width))
                .transpose()?,
            index,
            vectors,
        })
    }

    /// For each customer what [`Index::best`] gives, computed by `threads` threads.
    ///
    /// # Errors
    /// Factors of customers that are not finite, and more threads than there may be.
    pub fn best(
        &self,
        wanted: &[Wanted<'_>],
        threads: usize,
    ) -> Result<Vec<Vec<(u32, f64)>>, Error> {
        let search = |w: &Wanted<'_>| self.index.best(w.vector, w.eligible, w.keep);
        let dimension = self.index.dimension();
        let most = wanted.iter().map(|w| w.keep).max().unwrap_or(0);
        let is_like =
            |w: &Wanted<'_>| w.vector.len() == dimension && w.eligible.len() == self.index.len();
        let items = match &self.items {
            Some(items)
                if wanted.len() >= CUSTOMERS_MIN
                    && (1..=TOP_MAX - MORE).contains(&most)
                    && wanted.iter().all(is_like) =>
            {
                items
            }
            _ => return Ok(wanted.iter().map(search).collect()),
        };
        let mut customers = Vec::with_capacity(wanted.len() * (dimension + 1));
        // Customers who may be given the same items are a group. Numbers of groups follow the order of customers.
        let mut groups: HashMap<&[u64], u32> = HashMap::new();
        let mut of = Vec::with_capacity(wanted.len());
        let mut bitmaps: Vec<u64> = Vec::new();
        for w in wanted {
            customers.extend_from_slice(w.vector);
            customers.push(1.0);
            let words = w.eligible.words();
            let next = groups.len() as u32;
            let group = *groups.entry(words).or_insert_with(|| {
                bitmaps.extend_from_slice(words);
                next
            });
            of.push(group);
        }
        let eligible = Eligible::Groups {
            of: &of,
            bitmaps: &bitmaps,
        };
        let matches = items.best(&customers, eligible, most + MORE, threads)?;
        let checked = wanted.iter().enumerate().map(|(i, w)| {
            let (rows, scores) = matches.of(i);
            self.checked(w, rows, scores, most + MORE)
                .unwrap_or_else(|| search(w))
        });
        Ok(checked.collect())
    }

    /// The best of what was matched by the kernel's scores; none where something else could be among them.
    fn checked(
        &self,
        wanted: &Wanted<'_>,
        rows: &[u32],
        scores: &[f64],
        matched: usize,
    ) -> Option<Vec<(u32, f64)>> {
        let mut out: Vec<(u32, f64)> = (rows.iter())
            .map(|row| (*row, self.index.score(wanted.vector, *row as usize)))
            .collect();
        out.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        out.truncate(wanted.keep);
        // Fewer than were asked for are all that may be given.
        if rows.len() == matched {
            let squares = (wanted.vector.iter())
                .map(|v| f64::from(*v) * f64::from(*v))
                .sum::<f64>();
            // Both scores are sums of `width` products of at most these norms, in some order; each is within half of this of
            // the true one (Higham 2002, section 3.1), and what is granted beside covers the rounding of the bound itself.
            let width = self.vectors.width as f64;
            let apart = 2.0
                * (width + 4.0)
                * f64::EPSILON
                * (squares + 1.0).sqrt()
                * self.vectors.greatest
                * (1.0 + 1e-9);
            let least = out.last().map_or(f64::NEG_INFINITY, |last| last.1);
            let rest = scores.last().copied().unwrap_or(f64::INFINITY);
            // Written so that a bound that is not finite takes nothing.
            let is_below = rest + apart < least;
            if !is_below {
                return None;
            }
        }
        Some(out)
    }
}
