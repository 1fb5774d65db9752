//! What one aggregate has seen, over its lifetime or within one tile of a sliding window. States are merged: tiles of a
//! window, and the profiles of linked identifiers, in any grouping. The merge of folds is the fold of the union (for
//! `ewma` up to rounding). Nothing here may depend on the order in which events arrived.

use super::recent::{Act, Recent};
use super::sketch::{Newest, Sketch};
use super::sum::Sum;
use crate::codec::{Reader, Result, Writer};
use crate::plan::tag::{Aggregate, DISTINCT_KEPT};
use crate::time::Micros;
use crate::value::Value;
use core::cmp::Ordering;

/// What kind of state an aggregate keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Number of events.
    Count = 1,
    /// Exact sum and count, for sums and means.
    Sum = 2,
    /// Least value.
    Least = 3,
    /// Greatest value.
    Greatest = 4,
    /// Earliest value.
    First = 5,
    /// Latest value.
    Last = 6,
    /// Smallest hashes of values.
    Distinct = 7,
    /// Latest time.
    Latest = 8,
    /// Exponentially weighted sums.
    Ewma = 9,
    /// Two sums.
    Ratio = 10,
    /// Counts of values by bin.
    Quantile = 11,
    /// Latest acts.
    Sequence = 12,
}

/// Kinds of states that profiles of formats 1 and 2 hold.
pub(super) const OLD_KINDS: u8 = 10;

impl Kind {
    /// The kind of state that `aggregate` keeps.
    pub fn of(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::Count => Self::Count,
            Aggregate::Sum | Aggregate::Mean => Self::Sum,
            Aggregate::Min => Self::Least,
            Aggregate::Max => Self::Greatest,
            Aggregate::First => Self::First,
            Aggregate::Last => Self::Last,
            Aggregate::Distinct => Self::Distinct,
            Aggregate::Recency => Self::Latest,
            Aggregate::Ewma { .. } => Self::Ewma,
            Aggregate::Ratio { .. } => Self::Ratio,
            Aggregate::Quantile { .. } => Self::Quantile,
            Aggregate::Sequence { .. } => Self::Sequence,
        }
    }

    /// The kind of stored code `code`.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Count,
            2 => Self::Sum,
            3 => Self::Least,
            4 => Self::Greatest,
            5 => Self::First,
            6 => Self::Last,
            7 => Self::Distinct,
            8 => Self::Latest,
            9 => Self::Ewma,
            10 => Self::Ratio,
            11 => Self::Quantile,
            12 => Self::Sequence,
            _ => return None,
        })
    }
}

/// A value with an order: all but text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// Boolean.
    Bool(bool),
    /// Integer, money or duration.
    Int(i64),
    /// Finite number.
    Number(f64),
    /// Time.
    Time(Micros),
}

impl Scalar {
    /// The scalar in `value`; none for text, missing and numbers that are not finite.
    pub fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Bool(v) => Some(Self::Bool(*v)),
            Value::Int(v) => Some(Self::Int(*v)),
            Value::Number(v) if v.is_finite() => Some(Self::Number(*v)),
            Value::Time(v) => Some(Self::Time(*v)),
            Value::Missing | Value::Text(_) | Value::Number(_) => None,
        }
    }

    /// As a value.
    pub fn value(self) -> Value<'static> {
        match self {
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) => Value::Int(v),
            Self::Number(v) => Value::Number(v),
            Self::Time(v) => Value::Time(v),
        }
    }

    /// A total order (IEEE 754 `totalOrder` for numbers, so that of the two zeros the same one is least in any order of
    /// arrival). Different kinds, which one field never has, are ordered by kind.
    fn order(&self, other: &Self) -> Ordering {
        fn rank(s: &Scalar) -> u8 {
            match s {
                Scalar::Bool(_) => 0,
                Scalar::Int(_) => 1,
                Scalar::Number(_) => 2,
                Scalar::Time(_) => 3,
            }
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// A value with the event it came from. The order is by when it happened, then by the event's
/// rank, then by the value (two linked identifiers may use the same event id at the same time).
#[derive(Debug, Clone, PartialEq)]
pub struct Stamped<'a> {
    /// [`crate::event::Event::happened_at`].
    pub at: Micros,
    /// [`crate::event::Event::rank`].
    pub rank: u64,
    /// Value.
    pub value: Value<'a>,
}

impl Stamped<'_> {
    fn order(&self, other: &Stamped<'_>) -> Ordering {
        (self.at.cmp(&other.at))
            .then_with(|| self.rank.cmp(&other.rank))
            .then_with(|| match (&self.value, &other.value) {
                (Value::Text(a), Value::Text(b)) => a.cmp(b),
                (a, b) => match (Scalar::of(a), Scalar::of(b)) {
                    (Some(a), Some(b)) => a.order(&b),
                    (a, b) => a.is_some().cmp(&b.is_some()),
                },
            })
    }

    fn to_static(&self) -> Stamped<'static> {
        Stamped {
            at: self.at,
            rank: self.rank,
            value: self.value.clone().into_owned(),
        }
    }
}

/// The smallest hashes of the values seen (k minimum values; Bar-Yossef et al. 2002, algorithm 2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Distinct {
    /// Hashes, strictly ascending, at most [`DISTINCT_KEPT`].
    kept: Vec<u64>,
    /// A hash was let go: there are more different values than are kept.
    more: bool,
}

impl Distinct {
    fn add(&mut self, hash: u64) {
        if let Err(place) = self.kept.binary_search(&hash) {
            if self.kept.len() < DISTINCT_KEPT {
                self.kept.insert(place, hash);
            } else {
                self.more = true;
                if place < DISTINCT_KEPT {
                    self.kept.pop();
                    self.kept.insert(place, hash);
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.more |= other.more;
        for hash in &other.kept {
            self.add(*hash);
        }
    }

    /// Number of different values: exact up to [`DISTINCT_KEPT`], else `(k - 1) / (k-th smallest hash as a fraction)`.
    pub fn estimate(&self) -> i64 {
        let kept = self.kept.len() as i64;
        match self.kept.last() {
            Some(greatest) if self.more => {
                let estimate = ((self.kept.len() as u128 - 1) << 64) / (u128::from(*greatest) + 1);
                i64::try_from(estimate).unwrap_or(i64::MAX).max(kept + 1)
            }
            _ => kept,
        }
    }
}

/// An exponentially weighted mean: weights are relative to the latest event, whose weight is one, so they neither overflow
/// nor all vanish, however long nothing comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ewma {
    /// Time of the latest event.
    pub reference: Micros,
    /// Sum of weight times value.
    pub weighted: f64,
    /// Sum of weights, at least one.
    pub weight: f64,
}

impl Ewma {
    fn merge(&mut self, other: &Self, half_life_us: i64) {
        let behind = self.reference.since(other.reference);
        let factor = libm::exp2(-(behind.unsigned_abs() as f64) / half_life_us.max(1) as f64);
        if behind >= 0 {
            self.weighted += other.weighted * factor;
            self.weight += other.weight * factor;
        } else {
            self.weighted = self.weighted * factor + other.weighted;
            self.weight = self.weight * factor + other.weight;
            self.reference = other.reference;
        }
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.weighted / self.weight
    }
}

/// What one event adds to one aggregate.
#[derive(Debug, Clone)]
pub enum Contribution<'a> {
    /// One event.
    Count,
    /// Units (see [`Sum`]).
    Sum(i128),
    /// A candidate for the least.
    Least(Scalar),
    /// A candidate for the greatest.
    Greatest(Scalar),
    /// A candidate for the earliest.
    First(Stamped<'a>),
    /// A candidate for the latest.
    Last(Stamped<'a>),
    /// Hash of a value.
    Distinct(u64),
    /// A time.
    Latest(Micros),
    /// A value and its time, with the half life.
    Ewma(Ewma, i64),
    /// What the numerator and the denominator get.
    Ratio(Option<i128>, Option<i128>),
    /// Units, and the same with its time where the newest is to be known.
    Quantile(i128, Option<Newest>),
    /// An act, and how many are kept.
    Sequence(Act, usize),
}

/// What an aggregate has seen.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Number of events.
    Count(u64),
    /// Exact sum and count.
    Sum(Sum),
    /// Least value.
    Least(Scalar),
    /// Greatest value.
    Greatest(Scalar),
    /// Earliest value.
    First(Stamped<'static>),
    /// Latest value.
    Last(Stamped<'static>),
    /// Different values.
    Distinct(Distinct),
    /// Latest time.
    Latest(Micros),
    /// Exponentially weighted mean.
    Ewma(Ewma),
    /// Numerator and denominator.
    Ratio(Box<[Sum; 2]>),
    /// Counts of values by bin.
    Quantile(Box<Sketch>),
    /// Latest acts.
    Sequence(Recent),
}

impl State {
    /// The state after one contribution.
    pub fn start(c: &Contribution<'_>) -> Self {
        match c {
            Contribution::Count => Self::Count(1),
            Contribution::Sum(units) => Self::Sum(Sum::of(*units)),
            Contribution::Least(v) => Self::Least(*v),
            Contribution::Greatest(v) => Self::Greatest(*v),
            Contribution::First(v) => Self::First(v.to_static()),
            Contribution::Last(v) => Self::Last(v.to_static()),
            Contribution::Distinct(hash) => Self::Distinct(Distinct {
                kept: vec![*hash],
                more: false,
            }),
            Contribution::Latest(at) => Self::Latest(*at),
            Contribution::Ewma(e, _) => Self::Ewma(*e),
            Contribution::Ratio(n, d) => Self::Ratio(Box::new([
                n.map_or(Sum::ZERO, Sum::of),
                d.map_or(Sum::ZERO, Sum::of),
            ])),
            Contribution::Quantile(units, newest) => {
                Self::Quantile(Box::new(Sketch::of(*units, *newest)))
            }
            Contribution::Sequence(act, _) => Self::Sequence(Recent::of(*act)),
        }
    }

    /// Adds one contribution. A state of another kind than the contribution, which a profile laid out for its plan does not
    /// hold, starts anew.
    pub fn add(&mut self, c: &Contribution<'_>) {
        match (&mut *self, c) {
            (Self::Count(n), Contribution::Count) => *n = n.saturating_add(1),
            (Self::Sum(sum), Contribution::Sum(units)) => sum.add(*units),
            (Self::Least(held), Contribution::Least(v)) => {
                if v.order(held).is_lt() {
                    *held = *v;
                }
            }
            (Self::Greatest(held), Contribution::Greatest(v)) => {
                if v.order(held).is_gt() {
                    *held = *v;
                }
            }
            (Self::First(held), Contribution::First(v)) => {
                if v.order(held).is_lt() {
                    *held = v.to_static();
                }
            }
            (Self::Last(held), Contribution::Last(v)) => {
                if v.order(held).is_gt() {
                    *held = v.to_static();
                }
            }
            (Self::Distinct(d), Contribution::Distinct(hash)) => d.add(*hash),
            (Self::Latest(held), Contribution::Latest(at)) => *held = (*held).max(*at),
            (Self::Ewma(held), Contribution::Ewma(e, half_life_us)) => held.merge(e, *half_life_us),
            (Self::Ratio(held), Contribution::Ratio(n, d)) => {
                if let Some(units) = n {
                    held[0].add(*units);
                }
                if let Some(units) = d {
                    held[1].add(*units);
                }
            }
            (Self::Quantile(held), Contribution::Quantile(units, newest)) => {
                held.merge(&Sketch::of(*units, *newest));
            }
            (Self::Sequence(held), Contribution::Sequence(act, keep)) => held.add(*act, *keep),
            _ => *self = Self::start(c),
        }
    }

    /// Adds what another state of the same aggregate has seen.
    pub fn merge(&mut self, other: &Self, aggregate: &Aggregate) {
        match (&mut *self, other) {
            (Self::Count(a), Self::Count(b)) => *a = a.saturating_add(*b),
            (Self::Sum(a), Self::Sum(b)) => a.merge(b),
            (Self::Distinct(a), Self::Distinct(b)) => a.merge(b),
            (Self::Latest(a), Self::Latest(b)) => *a = (*a).max(*b),
            (Self::Ewma(a), Self::Ewma(b)) => {
                if let Aggregate::Ewma { half_life_us } = aggregate {
                    a.merge(b, *half_life_us);
                }
            }
            (Self::Ratio(a), Self::Ratio(b)) => {
                a[0].merge(&b[0]);
                a[1].merge(&b[1]);
            }
            (Self::Quantile(a), Self::Quantile(b)) => a.merge(b),
            (Self::Sequence(a), Self::Sequence(b)) => {
                if let Aggregate::Sequence { keep, .. } = aggregate {
                    a.merge(b, usize::from(*keep));
                }
            }
            (a, b) => {
                if b.supersedes(a) {
                    *a = b.clone();
                }
            }
        }
    }

    /// For states that choose one value (least, greatest, first, last): this one is chosen over `other`.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Least(a), Self::Least(b)) => a.order(b).is_lt(),
            (Self::Greatest(a), Self::Greatest(b)) => a.order(b).is_gt(),
            (Self::First(a), Self::First(b)) => a.order(b).is_lt(),
            (Self::Last(a), Self::Last(b)) => a.order(b).is_gt(),
            _ => false,
        }
    }

    /// True for the states of [`State::supersedes`].
    pub(crate) fn chooses(&self) -> bool {
        matches!(
            self,
            Self::Least(_) | Self::Greatest(_) | Self::First(_) | Self::Last(_)
        )
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Count(_) => Kind::Count,
            Self::Sum(_) => Kind::Sum,
            Self::Least(_) => Kind::Least,
            Self::Greatest(_) => Kind::Greatest,
            Self::First(_) => Kind::First,
            Self::Last(_) => Kind::Last,
            Self::Distinct(_) => Kind::Distinct,
            Self::Latest(_) => Kind::Latest,
            Self::Ewma(_) => Kind::Ewma,
            Self::Ratio(_) => Kind::Ratio,
            Self::Quantile(_) => Kind::Quantile,
            Self::Sequence(_) => Kind::Sequence,
        }
    }

    /// Appends the state without its kind; times are written relative to `base`.
    pub(super) fn write(&self, w: &mut Writer, base: Micros) {
        match self {
            Self::Count(n) => w.uint(*n),
            Self::Sum(sum) => sum.write(w),
            Self::Least(v) | Self::Greatest(v) => v.value().write(w),
            Self::First(v) | Self::Last(v) => {
                w.int(v.at.0.wrapping_sub(base.0));
                w.raw(&v.rank.to_le_bytes());
                v.value.write(w);
            }
            Self::Distinct(d) => {
                w.uint((d.kept.len() as u64) << 1 | u64::from(d.more));
                for hash in &d.kept {
                    w.raw(&hash.to_le_bytes());
                }
            }
            Self::Latest(at) => w.int(at.0.wrapping_sub(base.0)),
            Self::Ewma(e) => {
                w.int(e.reference.0.wrapping_sub(base.0));
                w.f64(e.weighted);
                w.f64(e.weight);
            }
            Self::Ratio(sums) => {
                sums[0].write(w);
                sums[1].write(w);
            }
            Self::Quantile(sketch) => sketch.write(w, base),
            Self::Sequence(recent) => recent.write(w, base),
        }
    }

    /// Reads what [`State::write`] wrote.
    pub(super) fn read(kind: Kind, r: &mut Reader<'_>, base: Micros) -> Result<Self> {
        let scalar = |r: &mut Reader<'_>| {
            Scalar::of(&Value::read(r)?).ok_or_else(|| r.malformed("a value with an order"))
        };
        let stamped = |r: &mut Reader<'_>| {
            let stamped = Stamped {
                at: Micros(r.int()?.wrapping_add(base.0)),
                rank: u64::from_le_bytes(r.array()?),
                value: Value::read(r)?.into_owned(),
            };
            match stamped.value {
                Value::Missing => Err(r.malformed("a value that is not missing")),
                Value::Number(v) if !v.is_finite() => Err(r.malformed("a finite number")),
                _ => Ok(stamped),
            }
        };
        Ok(match kind {
            Kind::Count => Self::Count(r.uint()?),
            Kind::Sum => Self::Sum(Sum::read(r)?),
            Kind::Least => Self::Least(scalar(r)?),
            Kind::Greatest => Self::Greatest(scalar(r)?),
            Kind::First => Self::First(stamped(r)?),
            Kind::Last => Self::Last(stamped(r)?),
            Kind::Distinct => Self::Distinct(read_distinct(r)?),
            Kind::Latest => Self::Latest(Micros(r.int()?.wrapping_add(base.0))),
            Kind::Ewma => {
                let e = Ewma {
                    reference: Micros(r.int()?.wrapping_add(base.0)),
                    weighted: r.f64()?,
                    weight: r.f64()?,
                };
                if !e.weighted.is_finite() || !e.weight.is_finite() || e.weight < 1.0 {
                    return Err(r.malformed("finite sums with a weight of at least one"));
                }
                Self::Ewma(e)
            }
            Kind::Ratio => Self::Ratio(Box::new([Sum::read(r)?, Sum::read(r)?])),
            Kind::Quantile => Self::Quantile(Box::new(Sketch::read(r, base)?)),
            Kind::Sequence => Self::Sequence(Recent::read(r, base)?),
        })
    }
}

fn read_distinct(r: &mut Reader<'_>) -> Result<Distinct> {
    let head = r.uint()?;
    let (n, more) = ((head >> 1) as usize, head & 1 == 1);
    if n == 0 || n > DISTINCT_KEPT || (more && n < DISTINCT_KEPT) {
        return Err(r.malformed("a number of kept hashes"));
    }
    let mut kept = Vec::with_capacity(n);
    for _ in 0..n {
        let hash = u64::from_le_bytes(r.array()?);
        if kept.last().is_some_and(|last| *last >= hash) {
            return Err(r.malformed("hashes in ascending order"));
        }
        kept.push(hash);
    }
    Ok(Distinct { kept, more })
}
