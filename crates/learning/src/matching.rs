//! The best items of every customer at once, by the inner product of their factors: exactly what scoring every pair in the
//! kernel's arithmetic and sorting would give, at the speed of a matrix product in binary32.
//!
//! Scores of a block of customers and a tile of items are first computed in binary32. Whatever order the product adds in, with
//! or without fused operations, such a score is within `gamma_n |x| |y|` of the true one (Higham 2002, section 3.1, and
//! Cauchy-Schwarz), and so is the kernel's in binary64. An item is dropped only when so many others are above it by more than
//! both bounds; the few that are left are scored again by [`dot8`]. What comes out depends on neither threads nor blocks.
//!
//! This room must never hand out a binary32 score.

use std::cmp::Ordering;
use std::sync::Mutex;

use luopan_kernel::learn::algebra::dot8;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Most items wanted for a customer.
pub const TOP_MAX: usize = 1_000;
/// Most factors of a customer or an item.
pub const WIDTH_MAX: usize = 1_024;
/// Most items.
pub const ITEMS_MAX: usize = 1_000_000;
/// Most threads.
pub const THREADS_MAX: usize = 256;

/// Customers of a block and items of a tile: their scores, 1 MiB, stay in the second cache.
const BLOCK: usize = 256;
const TILE: usize = 1_024;
/// Customers from which on a group's eligible items are worth being copied together.
const GROUP_MIN: usize = 64;
/// Scores that are compared with the cut together: first many, then, where one is found, few.
const WIDE: usize = 32;
const NARROW: usize = 8;

/// Why customers cannot be matched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A size out of its range.
    #[error("{found} {what}: wanted are {least} to {most}")]
    Size {
        /// Of what.
        what: &'static str,
        /// What was found.
        found: usize,
        /// The least that is taken.
        least: usize,
        /// And the most.
        most: usize,
    },
    /// Values or words that are not as many as they must be.
    #[error("{found} {what}: wanted are {wanted}")]
    Length {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be, or of what they must be a multiple.
        wanted: String,
    },
    /// A factor that is not finite.
    #[error("factor {column} of {what} {row} is {found}: factors are finite")]
    NotFinite {
        /// `customer` or `item`.
        what: &'static str,
        /// Its row.
        row: usize,
        /// The factor.
        column: usize,
        /// What was found.
        found: f32,
    },
    /// A group that has no bitmap.
    #[error("customer {customer} is of group {group}: there are bitmaps for {groups} groups")]
    Group {
        /// The customer's row.
        customer: usize,
        /// Its group.
        group: u32,
        /// How many groups have bitmaps.
        groups: usize,
    },
}

/// Which items a customer may be given. In a bitmap, bit `i % 64` of word `i / 64` tells whether item `i` may be; it has
/// [`Items::words`] words, and bits past the last item are not looked at.
#[derive(Debug, Clone, Copy)]
pub enum Eligible<'a> {
    /// Every item for everyone.
    All,
    /// A bitmap a customer, one after the other.
    Each(&'a [u64]),
    /// A bitmap a group, one after the other. Much faster than one a customer where groups have a hundred customers and more.
    Groups {
        /// Group of each customer.
        of: &'a [u32],
        /// The bitmaps.
        bitmaps: &'a [u64],
    },
}

/// The items that are matched, ready for any number of customers.
#[derive(Debug)]
pub struct Items<'a> {
    values: &'a [f32],
    width: usize,
    /// Upper bounds of the Euclidean norms.
    norms: Vec<f64>,
    greatest: f64,
}

/// The best items of each customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Matches {
    top: usize,
    /// Place of each customer in what follows.
    places: Vec<u32>,
    lengths: Vec<u32>,
    items: Vec<u32>,
    scores: Vec<f64>,
}

impl Matches {
    /// Number of customers.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when there were no customers.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Rows of a customer's best items and their scores, best first, of equal ones the lower row first; fewer than wanted when
    /// fewer may be given.
    ///
    /// # Panics
    /// When there is no such customer.
    pub fn of(&self, customer: usize) -> (&[u32], &[f64]) {
        let place = self.places[customer] as usize;
        let (start, length) = (place * self.top, self.lengths[place] as usize);
        (
            &self.items[start..start + length],
            &self.scores[start..start + length],
        )
    }
}

impl<'a> Items<'a> {
    /// Items by their factors, `width` finite numbers each, one item after the other.
    ///
    /// # Errors
    /// [`Error`], with what was found.
    pub fn new(values: &'a [f32], width: usize) -> Result<Self, Error> {
        size("factors", width, 1, WIDTH_MAX)?;
        check("item", values, width)?;
        size("items", values.len() / width, 0, ITEMS_MAX)?;
        let norms: Vec<f64> = values.chunks_exact(width).map(norm).collect();
        let greatest = norms.iter().copied().fold(0.0, f64::max);
        Ok(Self {
            values,
            width,
            norms,
            greatest,
        })
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.norms.len()
    }

    /// True when there are no items.
    pub fn is_empty(&self) -> bool {
        self.norms.is_empty()
    }

    /// Words of a bitmap over the items.
    pub fn words(&self) -> usize {
        self.len().div_ceil(64)
    }

    /// The best `top` items of each customer, whose factors follow each other in `customers`, computed by `threads` threads.
    ///
    /// # Errors
    /// [`Error`], with what was found.
    pub fn best(
        &self,
        customers: &[f32],
        eligible: Eligible<'_>,
        top: usize,
        threads: usize,
    ) -> Result<Matches, Error> {
        size("items for a customer", top, 1, TOP_MAX)?;
        size("threads", threads, 1, THREADS_MAX)?;
        check("customer", customers, self.width)?;
        let count = customers.len() / self.width;
        size("customers", count, 0, u32::MAX as usize)?;
        self.check_eligible(eligible, count)?;
        // Without items there are no bitmaps that groups could be checked against, and nothing to look up in them.
        let eligible = if self.is_empty() {
            Eligible::All
        } else {
            eligible
        };
        let (order, tasks) = tasks(eligible, count);
        let mut matches = Matches {
            top,
            places: vec![0; count],
            lengths: vec![0; count],
            items: vec![0; count * top],
            scores: vec![0.0; count * top],
        };
        for (place, customer) in order.iter().enumerate() {
            matches.places[*customer as usize] = place as u32;
        }
        let mut work = Vec::with_capacity(tasks.len());
        let mut lengths = matches.lengths.as_mut_slice();
        let mut items = matches.items.as_mut_slice();
        let mut scores = matches.scores.as_mut_slice();
        for task in &tasks {
            let taken = task.end - task.start;
            let mine;
            (mine, lengths) = lengths.split_at_mut(taken);
            let my_items;
            (my_items, items) = items.split_at_mut(taken * top);
            let my_scores;
            (my_scores, scores) = scores.split_at_mut(taken * top);
            work.push((*task, mine, my_items, my_scores));
        }
        let threads = threads.min(work.len()).max(1);
        let queue = Mutex::new(work.into_iter());
        // A worker that panics leaves an iterator that is as good as before.
        let next = || match queue.lock() {
            Ok(mut queue) => queue.next(),
            Err(poisoned) => poisoned.into_inner().next(),
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut worker = Worker::new(self, customers, eligible, top);
                    while let Some((task, lengths, items, scores)) = next() {
                        worker.run(task, &order[task.start..task.end]);
                        worker.write(lengths, items, scores);
                    }
                });
            }
        });
        Ok(matches)
    }

    fn check_eligible(&self, eligible: Eligible<'_>, count: usize) -> Result<(), Error> {
        let words = self.words();
        let length = |what, found: usize, wanted: usize| {
            if found == wanted {
                Ok(())
            } else {
                Err(Error::Length {
                    what,
                    found,
                    wanted: wanted.to_string(),
                })
            }
        };
        match eligible {
            Eligible::All => Ok(()),
            Eligible::Each(bitmaps) => length("words of bitmaps", bitmaps.len(), count * words),
            Eligible::Groups { of, bitmaps } => {
                length("groups of customers", of.len(), count)?;
                if words == 0 {
                    return Ok(());
                }
                if !bitmaps.len().is_multiple_of(words) {
                    return Err(Error::Length {
                        what: "words of bitmaps",
                        found: bitmaps.len(),
                        wanted: format!("a multiple of {words}"),
                    });
                }
                let groups = bitmaps.len() / words;
                match of.iter().position(|group| *group as usize >= groups) {
                    None => Ok(()),
                    Some(customer) => Err(Error::Group {
                        customer,
                        group: of[customer],
                        groups,
                    }),
                }
            }
        }
    }

    fn row(&self, item: usize) -> &[f32] {
        &self.values[item * self.width..(item + 1) * self.width]
    }
}

fn size(what: &'static str, found: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(Error::Size {
            what,
            found,
            least,
            most,
        })
    }
}

fn check(what: &'static str, values: &[f32], width: usize) -> Result<(), Error> {
    if !values.len().is_multiple_of(width) {
        return Err(Error::Length {
            what: "factors",
            found: values.len(),
            wanted: format!("a multiple of {width}"),
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::NotFinite {
            what,
            row: at / width,
            column: at % width,
            found: values[at],
        }),
    }
}

/// An upper bound of the Euclidean norm: squares of binary32 numbers are exact in binary64, and the rounding of at most
/// [`WIDTH_MAX`] sums and one root is far below what is added.
fn norm(values: &[f32]) -> f64 {
    let squares: f64 = values
        .iter()
        .map(|value| f64::from(*value) * f64::from(*value))
        .sum();
    squares.sqrt() * (1.0 + 1e-12)
}

/// How far a binary32 score of `width` factors may be from the kernel's, as a multiple of the product of the norms. Two
/// roundings more than there are factors are granted, for the factor of one and the zero that a product may start with.
fn gamma(width: usize) -> f64 {
    let bound = |unit: f64| {
        let n = (width + 2) as f64 * unit;
        n / (1.0 - n)
    };
    (bound(f64::from(f32::EPSILON) / 2.0) + bound(f64::EPSILON / 2.0)) * (1.0 + 1e-12)
}

/// Customers that are matched together: a part of the order, all of one group whose items are copied together, or any.
#[derive(Debug, Clone, Copy)]
struct Task {
    start: usize,
    end: usize,
    gathered: Option<u32>,
}

/// An order of the customers and the tasks that cut it: large groups by themselves, then everybody else.
fn tasks(eligible: Eligible<'_>, count: usize) -> (Vec<u32>, Vec<Task>) {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut tasks = Vec::with_capacity(count.div_ceil(BLOCK));
    let mut rest = 0;
    if let Eligible::Groups { of, .. } = eligible {
        let groups = of.iter().max().map_or(0, |last| *last as usize + 1);
        let mut sizes = vec![0usize; groups];
        for group in of {
            sizes[*group as usize] += 1;
        }
        let is_large = |group: u32| sizes[group as usize] >= GROUP_MIN;
        order.sort_by_key(|customer| {
            let group = of[*customer as usize];
            (!is_large(group), group, *customer)
        });
        while rest < count && is_large(of[order[rest] as usize]) {
            let group = of[order[rest] as usize];
            let end = rest + sizes[group as usize];
            cut(rest, end, Some(group), &mut tasks);
            rest = end;
        }
    }
    cut(rest, count, None, &mut tasks);
    (order, tasks)
}

fn cut(mut start: usize, end: usize, gathered: Option<u32>, tasks: &mut Vec<Task>) {
    while start < end {
        let next = (start + BLOCK).min(end);
        tasks.push(Task {
            start,
            end: next,
            gathered,
        });
        start = next;
    }
}

/// One thread's buffers and the block it is at.
struct Worker<'a> {
    items: &'a Items<'a>,
    customers: &'a [f32],
    eligible: Eligible<'a>,
    top: usize,
    gamma: f64,
    /// Factors of the block's customers.
    block: Vec<f32>,
    /// Scores of the block's customers for the tile's items.
    scores: Vec<f32>,
    /// The group whose eligible items lie in `gathered`.
    group: Option<u32>,
    gathered: Vec<f32>,
    /// Their rows.
    rows: Vec<u32>,
    rivals: Vec<Rivals>,
    lowers: Vec<f64>,
    wide: [Vec<f64>; 2],
}

/// What may still be among one customer's best.
#[derive(Default)]
struct Rivals {
    customer: usize,
    /// Bound of the error of a score, as a multiple of the item's norm.
    error: f64,
    /// What is added to it for products too small for binary32.
    smallest: f64,
    /// Set when binary32 cannot hold the scores: every item is scored exactly then.
    too_large: bool,
    /// So many items are at or above this for certain.
    floor: f64,
    /// Length of `found` at which it is looked over.
    full: usize,
    /// Binary32 scores and rows.
    found: Vec<(f32, u32)>,
    best: Vec<(f64, u32)>,
}

impl<'a> Worker<'a> {
    fn new(items: &'a Items<'a>, customers: &'a [f32], eligible: Eligible<'a>, top: usize) -> Self {
        Self {
            items,
            customers,
            eligible,
            top,
            gamma: gamma(items.width),
            block: Vec::new(),
            scores: vec![0.0; BLOCK * TILE],
            group: None,
            gathered: Vec::new(),
            rows: Vec::new(),
            rivals: Vec::new(),
            lowers: Vec::new(),
            wide: [vec![0.0; items.width], vec![0.0; items.width]],
        }
    }

    fn run(&mut self, task: Task, order: &[u32]) {
        let width = self.items.width;
        self.block.clear();
        self.rivals.resize_with(order.len(), Rivals::default);
        for (rivals, customer) in self.rivals.iter_mut().zip(order) {
            let customer = *customer as usize;
            let row = &self.customers[customer * width..(customer + 1) * width];
            self.block.extend_from_slice(row);
            let norm = norm(row);
            rivals.customer = customer;
            rivals.error = self.gamma * norm;
            rivals.smallest = width as f64 * f64::from(f32::from_bits(1));
            rivals.too_large = norm * self.items.greatest > f64::from(f32::MAX) / 4.0;
            rivals.floor = f64::NEG_INFINITY;
            rivals.full = 2 * self.top + 24;
            rivals.found.clear();
            rivals.best.clear();
        }
        if let Some(group) = task.gathered {
            self.gather(group);
        }
        let count = match task.gathered {
            Some(_) => self.rows.len(),
            None => self.items.len(),
        };
        for start in (0..count).step_by(TILE) {
            self.tile(start, (start + TILE).min(count), task.gathered.is_some());
        }
        self.finish(task.gathered.is_some());
    }

    /// Copies the eligible items of a group together, unless they lie there already.
    fn gather(&mut self, group: u32) {
        if self.group == Some(group) {
            return;
        }
        let Eligible::Groups { bitmaps, .. } = self.eligible else {
            return;
        };
        self.group = Some(group);
        self.gathered.clear();
        self.rows.clear();
        let words = self.items.words();
        let bitmap = &bitmaps[group as usize * words..][..words];
        for item in (0..self.items.len()).filter(|item| holds(bitmap, *item)) {
            self.gathered.extend_from_slice(self.items.row(item));
            self.rows.push(item as u32);
        }
    }

    /// Scores the items at places `start..end` for the whole block and keeps those that may be among the best.
    fn tile(&mut self, start: usize, end: usize, gathered: bool) {
        let (width, customers, tile) = (self.items.width, self.rivals.len(), end - start);
        let values = if gathered {
            &self.gathered
        } else {
            self.items.values
        };
        let scores = &mut self.scores[..customers * tile];
        let shapes = (
            ArrayView2::from_shape((customers, width), &self.block),
            ArrayView2::from_shape((tile, width), &values[start * width..end * width]),
            ArrayViewMut2::from_shape((customers, tile), &mut *scores),
        );
        let (Ok(left), Ok(right), Ok(mut product)) = shapes else {
            unreachable!("the slices are as long as their shapes say");
        };
        general_mat_mul(1.0, &left, &right.t(), 0.0, &mut product);
        let rows = gathered.then_some(&self.rows[..]);
        let norms = match rows {
            None => &self.items.norms[start..end],
            Some(_) => &[],
        };
        // The bound of a whole tile: of copied items that of the whole catalogue.
        let norm = match rows {
            None => norms.iter().copied().fold(0.0, f64::max),
            Some(_) => self.items.greatest,
        };
        let per_customer = self.rivals.iter_mut().zip(scores.chunks_exact_mut(tile));
        for (rivals, scores) in per_customer {
            if rivals.too_large {
                continue;
            }
            let bitmap = match rows {
                Some(_) => None,
                None => bitmap(self.eligible, rivals.customer, self.items.words()),
            };
            if start == 0 {
                if let Some(bitmap) = bitmap {
                    forbid(scores, bitmap);
                }
                rivals.first_floor(scores, self.top, norm, &mut self.lowers);
            }
            let mut cut = rivals.cut(norm);
            for (at, wide) in scores.chunks(WIDE).enumerate() {
                if !any_at_least(wide, cut) {
                    continue;
                }
                for (part, narrow) in wide.chunks(NARROW).enumerate() {
                    let place = start + at * WIDE + part * NARROW;
                    let mut left = at_least(narrow, cut);
                    if let Some(bitmap) = bitmap {
                        // Chunks begin at multiples of their length: none lies across two words.
                        left &= (bitmap[place / 64] >> (place % 64)) as u8;
                    }
                    while left != 0 {
                        let lane = left.trailing_zeros() as usize;
                        left &= left - 1;
                        let place = place + lane;
                        let item = rows.map_or(place as u32, |rows| rows[place]);
                        rivals.found.push((narrow[lane], item));
                    }
                }
                if rivals.found.len() >= rivals.full {
                    rivals.look_over(self.top, &self.items.norms, &mut self.lowers);
                    cut = rivals.cut(norm);
                }
            }
        }
    }

    /// Scores what is left exactly and sorts it.
    fn finish(&mut self, gathered: bool) {
        let [x, y] = &mut self.wide;
        let width = self.items.width;
        for (rivals, row) in self.rivals.iter_mut().zip(self.block.chunks_exact(width)) {
            if rivals.too_large {
                let bitmap = match gathered {
                    true => None,
                    false => bitmap(self.eligible, rivals.customer, self.items.words()),
                };
                match gathered {
                    true => rivals
                        .found
                        .extend(self.rows.iter().map(|item| (0.0, *item))),
                    false => rivals.found.extend(
                        (0..self.items.len())
                            .filter(|item| bitmap.is_none_or(|bitmap| holds(bitmap, *item)))
                            .map(|item| (0.0, item as u32)),
                    ),
                }
            } else {
                rivals.look_over(self.top, &self.items.norms, &mut self.lowers);
            }
            widen(row, x);
            for (_, item) in &rivals.found {
                widen(self.items.row(*item as usize), y);
                rivals.best.push((dot8(x, y), *item));
            }
            let best = &mut rivals.best;
            if best.len() > self.top {
                best.select_nth_unstable_by(self.top - 1, better);
                best.truncate(self.top);
            }
            best.sort_unstable_by(better);
        }
    }

    fn write(&self, lengths: &mut [u32], items: &mut [u32], scores: &mut [f64]) {
        let places = items
            .chunks_exact_mut(self.top)
            .zip(scores.chunks_exact_mut(self.top));
        for ((rivals, length), (items, scores)) in self.rivals.iter().zip(lengths).zip(places) {
            *length = rivals.best.len() as u32;
            for ((score, item), (to_item, to_score)) in
                rivals.best.iter().zip(items.iter_mut().zip(scores))
            {
                (*to_item, *to_score) = (*item, *score);
            }
        }
    }
}

impl Rivals {
    /// How far the score of an item of this norm may be from the kernel's.
    fn bound(&self, norm: f64) -> f64 {
        self.error * norm + self.smallest
    }

    /// A binary32 score below this, of an item of at most this norm, is not among the best.
    fn cut(&self, norm: f64) -> f32 {
        ((self.floor - self.bound(norm)) as f32).next_down()
    }

    /// A first floor from a tile whose items, of at most this norm, are all eligible: the greatest scores of as many chunks as
    /// items are wanted belong to as many items.
    fn first_floor(&mut self, scores: &[f32], top: usize, norm: f64, lowers: &mut Vec<f64>) {
        let chunks = scores.as_chunks::<WIDE>().0;
        if chunks.len() < top {
            return;
        }
        let bound = self.bound(norm);
        lowers.clear();
        lowers.extend(
            chunks
                .iter()
                .map(|chunk| f64::from(greatest(chunk)) - bound),
        );
        let (_, floor, _) = lowers.select_nth_unstable_by(top - 1, |a, b| b.total_cmp(a));
        self.floor = self.floor.max(*floor);
    }

    /// Drops what cannot be among the best any more.
    fn look_over(&mut self, top: usize, norms: &[f64], lowers: &mut Vec<f64>) {
        if self.found.len() > top {
            lowers.clear();
            lowers.extend(
                self.found
                    .iter()
                    .map(|(score, item)| f64::from(*score) - self.bound(norms[*item as usize])),
            );
            let (_, floor, _) = lowers.select_nth_unstable_by(top - 1, |a, b| b.total_cmp(a));
            self.floor = self.floor.max(*floor);
            let floor = self.floor;
            let (error, smallest) = (self.error, self.smallest);
            self.found.retain(|(score, item)| {
                f64::from(*score) + (error * norms[*item as usize] + smallest) >= floor
            });
        }
        // Where very many are alike, looking over again and again would not pay.
        self.full = (2 * self.found.len()).max(2 * top + 24);
    }
}

/// Written on whole chunks and without an early end, which lets it be done on several scores at once.
fn any_at_least(chunk: &[f32], cut: f32) -> bool {
    match <&[f32; WIDE]>::try_from(chunk) {
        Ok(chunk) => {
            let mut any = 0;
            for score in chunk {
                any |= u32::from(*score >= cut);
            }
            any != 0
        }
        Err(_) => chunk.iter().any(|score| *score >= cut),
    }
}

/// The bits of eight lanes. Written out, because shifts by a lane's number are not done on several lanes at once.
const BITS: [u32; NARROW] = [1, 2, 4, 8, 16, 32, 64, 128];

/// A bit for each of at most eight scores, set when it is at or above the cut.
fn at_least(chunk: &[f32], cut: f32) -> u8 {
    let mut bits = 0;
    match <&[f32; NARROW]>::try_from(chunk) {
        Ok(chunk) => {
            for (score, bit) in chunk.iter().zip(BITS) {
                bits |= if *score >= cut { bit } else { 0 };
            }
        }
        Err(_) => {
            for (score, bit) in chunk.iter().zip(BITS) {
                bits |= if *score >= cut { bit } else { 0 };
            }
        }
    }
    bits as u8
}

/// Puts scores that no cut lets pass in the place of those that a bitmap does not allow; both begin with the first item. It is
/// written in bits, since a branch on what a bitmap holds cannot be foretold.
fn forbid(scores: &mut [f32], bitmap: &[u64]) {
    let (whole, rest) = scores.as_chunks_mut::<NARROW>();
    for (at, chunk) in whole.iter_mut().enumerate() {
        let allowed = (bitmap[at * NARROW / 64] >> (at * NARROW % 64)) as u32;
        for (score, bit) in chunk.iter_mut().zip(BITS) {
            let kept = if allowed & bit == 0 { 0 } else { u32::MAX };
            *score =
                f32::from_bits((score.to_bits() & kept) | (f32::NEG_INFINITY.to_bits() & !kept));
        }
    }
    let start = whole.len() * NARROW;
    for (at, score) in rest.iter_mut().enumerate() {
        if !holds(bitmap, start + at) {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// The greatest of some scores, several at once.
fn greatest(chunk: &[f32; WIDE]) -> f32 {
    let (parts, _) = chunk.as_chunks::<NARROW>();
    let mut lanes = [f32::NEG_INFINITY; NARROW];
    for part in parts {
        for (lane, score) in lanes.iter_mut().zip(part) {
            *lane = if *score > *lane { *score } else { *lane };
        }
    }
    lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The greater score first, of equal ones the lower row. Scores are finite.
fn better(a: &(f64, u32), b: &(f64, u32)) -> Ordering {
    b.0.partial_cmp(&a.0)
        .unwrap_or(Ordering::Equal)
        .then(a.1.cmp(&b.1))
}

fn widen(from: &[f32], to: &mut [f64]) {
    for (wide, value) in to.iter_mut().zip(from) {
        *wide = f64::from(*value);
    }
}

fn holds(bitmap: &[u64], item: usize) -> bool {
    bitmap[item / 64] >> (item % 64) & 1 == 1
}

/// The bitmap of a customer, where not every item is eligible.
fn bitmap<'a>(eligible: Eligible<'a>, customer: usize, words: usize) -> Option<&'a [u64]> {
    let (bitmaps, at) = match eligible {
        Eligible::All => return None,
        Eligible::Each(bitmaps) => (bitmaps, customer),
        Eligible::Groups { of, bitmaps } => (bitmaps, of[customer] as usize),
    };
    Some(&bitmaps[at * words..(at + 1) * words])
}
