//! Rules over a whole catalogue at once. What a rule says of products alone is computed when the catalogue snapshot is made;
//! what it says of the customer alone is computed once a decision; where both meet (`item.risk <= appetite`) a column knows
//! for each of its values which rows are below it. What is left of a rule is a few operations on bitmaps.
//!
//! A mask is a pair of bitmaps in Kleene's logic: the rows for which the rule is true, and those for which it is unknown. It
//! must always say of a row just what [`crate::rule::truth`] says of it; what cannot be split is looked at row by row.

use super::Catalogue;
use crate::plan::rule::{BinaryOp, Expr, Truth, UnaryOp};
use crate::rule::{compare, eval, truth};
use crate::slots::{AloneLookup, Asked, CustomerSlots, ItemLookup, ItemSlots, NO_STAGES};
use crate::value::Value;
use core::cmp::Ordering;

/// Most different values of a column for which it keeps a bitmap each.
const BITMAPS_MAX: usize = 64;
const WORD: usize = u64::BITS as usize;

/// A set of rows of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    words: Vec<u64>,
    len: usize,
}

impl Rows {
    /// None of `len` rows.
    pub fn none(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(WORD)],
            len,
        }
    }

    /// All of `len` rows.
    pub fn all(len: usize) -> Self {
        let mut out = Self {
            words: vec![u64::MAX; len.div_ceil(WORD)],
            len,
        };
        out.trim();
        out
    }

    /// The rows below `len` of which `is_in` is true.
    pub fn from_fn(len: usize, is_in: impl FnMut(usize) -> bool) -> Self {
        let mut out = Self::none(len);
        out.fill(is_in);
        out
    }

    fn fill(&mut self, mut is_in: impl FnMut(usize) -> bool) {
        for (w, word) in self.words.iter_mut().enumerate() {
            let first = w * WORD;
            *word = (first..self.len.min(first + WORD)).fold(0, |bits, row| {
                bits | (u64::from(is_in(row)) << (row - first))
            });
        }
    }

    /// Puts `row` in; nothing past the end.
    pub fn insert(&mut self, row: usize) {
        if row < self.len {
            self.words[row / WORD] |= 1 << (row % WORD);
        }
    }

    fn trim(&mut self) {
        let over = self.words.len() * WORD - self.len;
        if let Some(last) = self.words.last_mut() {
            *last &= u64::MAX >> over;
        }
    }

    /// The rows as bits: row `i` is bit `i % 64` of word `i / 64`; bits past the last row are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Number of rows that could be in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when no row is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// True when `row` is in it.
    pub fn contains(&self, row: usize) -> bool {
        (self.words.get(row / WORD)).is_some_and(|w| w >> (row % WORD) & 1 == 1)
    }

    /// Number of rows in it.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Number of rows in both.
    pub fn count_common(&self, other: &Self) -> usize {
        (self.words.iter().zip(&other.words))
            .map(|(a, b)| (a & b).count_ones() as usize)
            .sum()
    }

    /// The rows in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(w, word)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                Some(w * WORD + bit)
            })
        })
    }

    /// Keeps what is in `other` too.
    pub fn keep(&mut self, other: &Self) {
        self.zip(other, |a, b| a & b);
    }

    /// Takes out what is in `other`.
    pub fn drop_all(&mut self, other: &Self) {
        self.zip(other, |a, b| a & !b);
    }

    /// Adds what is in `other`.
    pub fn add(&mut self, other: &Self) {
        self.zip(other, |a, b| a | b);
    }

    fn zip(&mut self, other: &Self, f: impl Fn(u64, u64) -> u64) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a = f(*a, *b);
        }
    }
}

/// The truth of a rule for each row: `yes` and `unknown` share none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Rows for which it is true.
    pub yes: Rows,
    /// Rows for which it is unknown.
    pub unknown: Rows,
}

impl Mask {
    fn of(truth: Truth, len: usize) -> Self {
        let rows = |is_all| {
            if is_all {
                Rows::all(len)
            } else {
                Rows::none(len)
            }
        };
        Self {
            yes: rows(truth == Truth::True),
            unknown: rows(truth == Truth::Unknown),
        }
    }

    fn each(len: usize, mut truth_of: impl FnMut(usize) -> Truth) -> Self {
        let mut unknown = Rows::none(len);
        let yes = Rows::from_fn(len, |row| match truth_of(row) {
            Truth::True => true,
            Truth::False => false,
            Truth::Unknown => {
                unknown.words[row / WORD] |= 1 << (row % WORD);
                false
            }
        });
        Self { yes, unknown }
    }

    /// The truth for one row.
    pub fn truth(&self, row: usize) -> Truth {
        if self.yes.contains(row) {
            Truth::True
        } else if self.unknown.contains(row) {
            Truth::Unknown
        } else {
            Truth::False
        }
    }

    fn set(&mut self, row: usize, truth: Truth) {
        let (word, bit) = (row / WORD, 1u64 << (row % WORD));
        for (rows, is_in) in [
            (&mut self.yes, truth == Truth::True),
            (&mut self.unknown, truth == Truth::Unknown),
        ] {
            if is_in {
                rows.words[word] |= bit;
            } else {
                rows.words[word] &= !bit;
            }
        }
    }

    fn not(&mut self) {
        for (yes, unknown) in self.yes.words.iter_mut().zip(&self.unknown.words) {
            *yes = !(*yes | *unknown);
        }
        self.yes.trim();
    }

    /// Kleene and: true where both are, false where one is.
    fn and(&mut self, other: &Self) {
        self.join(other, |(y, u), (z, v)| {
            let yes = y & z;
            (yes, (y | u) & (z | v) & !yes)
        });
    }

    /// Kleene or: true where one is, false where both are.
    fn or(&mut self, other: &Self) {
        self.join(other, |(y, u), (z, v)| {
            let yes = y | z;
            (yes, (u | v) & !yes)
        });
    }

    fn join(&mut self, other: &Self, f: impl Fn((u64, u64), (u64, u64)) -> (u64, u64)) {
        let mine = self.yes.words.iter_mut().zip(&mut self.unknown.words);
        for ((y, u), (z, v)) in mine.zip(other.yes.words.iter().zip(&other.unknown.words)) {
            (*y, *u) = f((*y, *u), (*z, *v));
        }
    }
}

/// What an expression over products alone is for each row: its different values in order, and which of them a row has.
#[derive(Debug, Clone, PartialEq)]
struct Column {
    values: Vec<Value<'static>>,
    /// Place among `values` by row; past the end for a row whose value is missing.
    places: Vec<u32>,
    /// By place, the rows of smaller values, and last the rows that have one; none when there are too many values.
    below: Option<Vec<Rows>>,
    missing: Rows,
}

impl Column {
    /// The column of these values; none when they cannot be put in one order (their types differ).
    fn new(of_row: &[Value<'_>]) -> Option<Self> {
        let mut order: Vec<usize> = (0..of_row.len())
            .filter(|row| !of_row[*row].is_missing())
            .collect();
        let first = order.first().copied();
        let fits =
            |row: &usize| first.is_some_and(|f| compare(&of_row[f], &of_row[*row]).is_some());
        if !order.iter().all(fits) {
            return None;
        }
        order.sort_by(|a, b| compare(&of_row[*a], &of_row[*b]).unwrap_or(Ordering::Equal));
        let mut values: Vec<Value<'static>> = Vec::new();
        let mut places = vec![u32::MAX; of_row.len()];
        for row in order {
            let value = &of_row[row];
            if values.last().and_then(|last| compare(last, value)) != Some(Ordering::Equal) {
                values.push(value.clone().into_owned());
            }
            places[row] = values.len() as u32 - 1;
        }
        let below = (values.len() <= BITMAPS_MAX).then(|| {
            (0..=values.len() as u32)
                .map(|place| Rows::from_fn(places.len(), |row| places[row] < place))
                .collect()
        });
        let missing = Rows::from_fn(places.len(), |row| places[row] == u32::MAX);
        Some(Self {
            values,
            places,
            below,
            missing,
        })
    }

    /// `value of the row OP against`, for every row.
    fn compare(&self, op: BinaryOp, against: &Value<'_>) -> Mask {
        let len = self.places.len();
        let is_comparable = match self.values.first() {
            Some(first) => compare(first, against).is_some(),
            None => true,
        };
        if against.is_missing() || !is_comparable {
            return Mask::of(Truth::Unknown, len);
        }
        let from =
            (self.values).partition_point(|v| compare(v, against) == Some(Ordering::Less)) as u32;
        let to = (self.values).partition_point(|v| compare(v, against).is_some_and(Ordering::is_le))
            as u32;
        let end = self.values.len() as u32;
        let (range, is_inside) = match op {
            BinaryOp::Eq => (from..to, true),
            BinaryOp::Ne => (from..to, false),
            BinaryOp::Lt => (0..from, true),
            BinaryOp::Le => (0..to, true),
            BinaryOp::Gt => (to..end, true),
            BinaryOp::Ge => (from..end, true),
            _ => return Mask::of(Truth::Unknown, len),
        };
        let mut yes = match &self.below {
            Some(below) => {
                let mut yes = below[range.end as usize].clone();
                yes.drop_all(&below[range.start as usize]);
                yes
            }
            None => {
                let width = range.end - range.start;
                Rows::from_fn(len, |row| {
                    self.places[row].wrapping_sub(range.start) < width
                })
            }
        };
        if !is_inside {
            let inside = yes;
            yes = Rows::all(len);
            yes.drop_all(&inside);
            yes.drop_all(&self.missing);
        }
        Mask {
            yes,
            unknown: self.missing.clone(),
        }
    }
}

/// A rule taken apart for one catalogue snapshot.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Of the customer alone.
    Customer(Expr),
    /// Of products alone.
    Products(Mask),
    /// A column against a value of the customer.
    Meeting {
        column: Column,
        op: BinaryOp,
        customer: Expr,
    },
    Not(Box<Part>),
    And(Box<Part>, Box<Part>),
    Or(Box<Part>, Box<Part>),
    /// Looked at row by row.
    Mixed(Expr),
}

/// What is known of a part for one customer.
enum Known<'p> {
    Same(Truth),
    Held(&'p Mask),
    Made(Mask),
}

/// A rule, made ready for one catalogue snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueRule {
    part: Part,
    /// The rule itself, where it reads slots of customer and item together: the parts tell of items that the customer has
    /// nothing to do with, and the few others are looked at one by one.
    of_pairs: Option<Expr>,
}

impl CatalogueRule {
    /// Takes `expr` apart over the items of `catalogue`.
    pub fn new(expr: &Expr, slots: &ItemSlots, catalogue: &Catalogue) -> Self {
        Self {
            part: split(expr, slots, catalogue),
            of_pairs: slots.asked(expr).pair.then(|| expr.clone()),
        }
    }

    /// The rule's truth for every row and this customer.
    pub fn mask(
        &self,
        customer: &CustomerSlots<'_>,
        slots: &ItemSlots,
        catalogue: &Catalogue,
    ) -> Mask {
        let asked = Question {
            customer,
            slots,
            catalogue,
        };
        let mut mask = match asked.known(&self.part) {
            Known::Same(truth) => Mask::of(truth, catalogue.len()),
            Known::Held(mask) => mask.clone(),
            Known::Made(mask) => mask,
        };
        if let Some(expr) = &self.of_pairs {
            for row in customer.held.keys().filter_map(|key| catalogue.row(key)) {
                mask.set(row, asked.of_row(expr, row));
            }
        }
        mask
    }

    /// True when some of it must be looked at row by row.
    pub fn is_mixed(&self) -> bool {
        fn mixed(part: &Part) -> bool {
            match part {
                Part::Mixed(_) => true,
                Part::Not(x) => mixed(x),
                Part::And(a, b) | Part::Or(a, b) => mixed(a) || mixed(b),
                Part::Customer(_) | Part::Products(_) | Part::Meeting { .. } => false,
            }
        }
        mixed(&self.part)
    }
}

fn split(expr: &Expr, slots: &ItemSlots, catalogue: &Catalogue) -> Part {
    let alone = |row| AloneLookup {
        slots,
        key: catalogue.key_value(row),
        item: catalogue.values(row),
    };
    match slots.asked(expr) {
        Asked { product: false, .. } => return Part::Customer(expr.clone()),
        Asked {
            customer: false, ..
        } => {
            return Part::Products(Mask::each(catalogue.len(), |row| truth(expr, &alone(row))));
        }
        _ => {}
    }
    let inner = |e| Box::new(split(e, slots, catalogue));
    match expr {
        Expr::Unary(UnaryOp::Not, x) => Part::Not(inner(x)),
        Expr::Binary(BinaryOp::And, a, b) => Part::And(inner(a), inner(b)),
        Expr::Binary(BinaryOp::Or, a, b) => Part::Or(inner(a), inner(b)),
        Expr::Binary(op, a, b) => {
            let sides = match (slots.asked(a), slots.asked(b)) {
                (
                    Asked {
                        customer: false, ..
                    },
                    Asked { product: false, .. },
                ) => Some((a, *op, b)),
                (
                    Asked { product: false, .. },
                    Asked {
                        customer: false, ..
                    },
                ) => mirrored(*op).map(|op| (b, op, a)),
                _ => None,
            };
            let meeting = sides.filter(|(_, op, _)| mirrored(*op).is_some()).and_then(
                |(products, op, customer)| {
                    let places: Vec<_> = (0..catalogue.len()).map(alone).collect();
                    let values: Vec<_> = places.iter().map(|l| eval(products, l)).collect();
                    Some(Part::Meeting {
                        column: Column::new(&values)?,
                        op,
                        customer: (**customer).clone(),
                    })
                },
            );
            meeting.unwrap_or_else(|| Part::Mixed(expr.clone()))
        }
        _ => Part::Mixed(expr.clone()),
    }
}

/// `a OP b` as `b OP' a`, for comparisons.
fn mirrored(op: BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        BinaryOp::Eq | BinaryOp::Ne => op,
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        _ => return None,
    })
}

/// Who asks what of which items.
struct Question<'a> {
    customer: &'a CustomerSlots<'a>,
    slots: &'a ItemSlots,
    catalogue: &'a Catalogue,
}

impl Question<'_> {
    fn known<'p>(&self, part: &'p Part) -> Known<'p> {
        match part {
            Part::Customer(expr) => Known::Same(truth(expr, self.customer)),
            Part::Products(mask) => Known::Held(mask),
            Part::Meeting {
                column,
                op,
                customer,
            } => Known::Made(column.compare(*op, &eval(customer, self.customer))),
            Part::Not(x) => match self.known(x) {
                Known::Same(truth) => Known::Same(truth.not()),
                Known::Held(mask) => {
                    let mut mask = mask.clone();
                    mask.not();
                    Known::Made(mask)
                }
                Known::Made(mut mask) => {
                    mask.not();
                    Known::Made(mask)
                }
            },
            Part::And(a, b) => self.joined(a, b, Truth::True, Truth::False, Mask::and),
            Part::Or(a, b) => self.joined(a, b, Truth::False, Truth::True, Mask::or),
            Part::Mixed(expr) => Known::Made(Mask::each(self.catalogue.len(), |row| {
                self.of_row(expr, row)
            })),
        }
    }

    /// The truth of a rule for the item in `row`.
    fn of_row(&self, expr: &Expr, row: usize) -> Truth {
        truth(
            expr,
            &ItemLookup::new(
                self.customer,
                self.slots,
                self.catalogue.key_value(row),
                self.catalogue.values(row),
                NO_STAGES,
            ),
        )
    }

    /// Joins two parts; a side that is `neutral` leaves the other, one that is `final` decides alone.
    fn joined<'p>(
        &self,
        a: &'p Part,
        b: &'p Part,
        neutral: Truth,
        last_word: Truth,
        join: fn(&mut Mask, &Mask),
    ) -> Known<'p> {
        let a = self.known(a);
        if matches!(a, Known::Same(t) if t == last_word) {
            return a;
        }
        let b = self.known(b);
        let (mut mine, other) = match (a, b) {
            (Known::Same(t), other) | (other, Known::Same(t)) if t == neutral => return other,
            (_, Known::Same(t)) if t == last_word => return Known::Same(t),
            // What is left of one truth for all rows is unknown.
            (Known::Same(Truth::Unknown), Known::Same(Truth::Unknown)) => {
                return Known::Same(Truth::Unknown);
            }
            (Known::Same(t), other) | (other, Known::Same(t)) => {
                (Mask::of(t, self.catalogue.len()), other)
            }
            (Known::Made(mine), other) | (other, Known::Made(mine)) => (mine, other),
            (Known::Held(mine), other @ Known::Held(_)) => (mine.clone(), other),
        };
        match &other {
            Known::Same(_) => {}
            Known::Held(mask) => join(&mut mine, mask),
            Known::Made(mask) => join(&mut mine, mask),
        }
        Known::Made(mine)
    }
}
