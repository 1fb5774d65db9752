//! The state of one identifier in one scene: what its tags have seen, which event ids it remembers, which segments it is in
//! and when that may change by the passing of time alone.
//!
//! Profiles are made and changed by [`crate::fold`] and read by [`crate::slots`]. This room must never look at a plan's rules,
//! and what it encodes must be a function of its content alone: replay compares profiles byte for byte.

mod cell;
mod recent;
mod seen;
mod sketch;
mod state;
mod sum;

pub use cell::{Held, Tile, combined, window_tiles};
pub use recent::{Act, Recent};
pub use seen::{Admission, DEDUP_KEPT, Seen, Spilled};
pub use sketch::{BINS_KEPT, Newest, RELATIVE_ERROR, Sketch, bin_of};
pub use state::{Contribution, Distinct, Ewma, Kind, Scalar, Stamped, State};
pub use sum::Sum;

use crate::book::Book;
use crate::codec::{Reader, Result, Writer};
use crate::id::IdentifierId;
use crate::plan::orders::{ORDERS_MAX, OrdersPlan};
use crate::plan::tag::{TagPlan, Window};
use crate::plan::{SEGMENTS_MAX, TAGS_MAX};
use crate::time::Micros;
use std::sync::Arc;

/// Newest format of a stored profile. Format 2 adds books, format 3 sketches, sequences and fast redemptions; a profile is
/// written in the oldest format that holds what is in it.
pub const PROFILE_FORMAT: u8 = 3;
const WITHOUT_BOOKS: u8 = 1;
const WITH_BOOKS: u8 = 2;

/// How a plan lays its tags out in a profile: their ids in order, and what kind of cell each has.
#[derive(Debug, Clone)]
pub struct Layout {
    ids: Arc<[u64]>,
    id_bytes: Vec<u8>,
    cells: Vec<(Kind, bool)>,
    /// Places in order of id, for finding the cells of another layout.
    by_id: Vec<u16>,
    /// Ids of books, ascending.
    books: Vec<u64>,
}

impl Layout {
    /// The layout of these tags, without books.
    pub fn new(tags: &[TagPlan]) -> Self {
        Self::with_books(tags, &[])
    }

    /// The layout of these tags and the books of these orders.
    pub fn with_books(tags: &[TagPlan], orders: &[OrdersPlan]) -> Self {
        let mut books: Vec<u64> = orders.iter().map(|o| o.id).collect();
        books.sort_unstable();
        let mut by_id: Vec<u16> = (0..tags.len() as u16).collect();
        by_id.sort_by_key(|i| tags[usize::from(*i)].id);
        Self {
            ids: tags.iter().map(|t| t.id).collect(),
            id_bytes: tags.iter().flat_map(|t| t.id.to_le_bytes()).collect(),
            cells: (tags.iter())
                .map(|t| (Kind::of(&t.aggregate), t.window != Window::Lifetime))
                .collect(),
            by_id,
            books,
        }
    }

    /// True when profiles of both hold the same: a profile need not be folded anew to go from one to the other.
    pub fn holds_the_same(&self, other: &Self) -> bool {
        self.ids == other.ids && self.books == other.books
    }

    /// Number of tags.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there are no tags.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The segments that a profile is in, by index, under certain segment definitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Hash of the definitions that the indexes belong to ([`crate::segment::SegmentSet::definitions`]).
    pub definitions: u64,
    /// Indexes into the plan's segments, strictly ascending.
    pub indexes: Vec<u16>,
}

impl Members {
    /// True when segment `index` is among them.
    pub fn contains(&self, index: u16) -> bool {
        self.indexes.binary_search(&index).is_ok()
    }
}

/// What is known of one identifier in one scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Whose.
    pub identifier: IdentifierId,
    /// [`crate::SEMANTICS`] of the kernel that folded last.
    pub semantics: u32,
    /// Log time of the first entry folded.
    pub first_seen_at: Micros,
    /// Greatest log time folded.
    pub last_log_time: Micros,
    /// Segments it was found in.
    pub segments: Members,
    /// Time of the timer that is set for it.
    pub flip_at: Option<Micros>,
    /// Event ids it remembers.
    pub seen: Seen,
    ids: Arc<[u64]>,
    cells: Vec<Held>,
    /// Books that hold anything, ascending by the id of their orders.
    books: Vec<(u64, Book)>,
}

impl Profile {
    /// A profile that has seen nothing, laid out for a plan.
    pub fn new(identifier: IdentifierId, layout: &Layout, log_time: Micros) -> Self {
        Self {
            identifier,
            semantics: crate::SEMANTICS,
            first_seen_at: log_time,
            last_log_time: log_time,
            segments: Members::default(),
            flip_at: None,
            seen: Seen::default(),
            ids: Arc::clone(&layout.ids),
            cells: vec![Held::Nothing; layout.len()],
            books: Vec::new(),
        }
    }

    /// The book of the orders `id`; none while no event told of an order.
    pub fn book(&self, id: u64) -> Option<&Book> {
        let place = self.books.binary_search_by_key(&id, |(id, _)| *id);
        place.ok().map(|i| &self.books[i].1)
    }

    /// All books, with the ids of their orders.
    pub fn books(&self) -> impl Iterator<Item = (u64, &Book)> {
        self.books.iter().map(|(id, book)| (*id, book))
    }

    /// The book of the orders `id`, made when there is none. Whoever asks writes into it.
    pub(crate) fn book_mut(&mut self, id: u64) -> &mut Book {
        let place = match self.books.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(place) => place,
            Err(place) => {
                self.books.insert(place, (id, Book::default()));
                place
            }
        };
        &mut self.books[place].1
    }

    /// The cell of the tag `id` which stands at `place` in its plan; none when this profile has no such tag.
    pub fn cell(&self, place: usize, id: u64) -> Option<&Held> {
        if self.ids.get(place) == Some(&id) {
            return self.cells.get(place);
        }
        (self.ids.iter().position(|i| *i == id)).and_then(|place| self.cells.get(place))
    }

    /// The cells with the ids of their tags, in order.
    pub fn cells(&self) -> impl Iterator<Item = (u64, &Held)> {
        self.ids.iter().copied().zip(&self.cells)
    }

    pub(crate) fn cells_mut(&mut self) -> &mut [Held] {
        &mut self.cells
    }

    /// Lays the profile out for another plan: tags whose definition did not change keep what they hold, new ones start
    /// empty, gone ones are dropped. True when anything moved.
    pub fn adapt(&mut self, layout: &Layout) -> bool {
        let books = self.books.len();
        (self.books).retain(|(id, _)| layout.books.binary_search(id).is_ok());
        let dropped = self.books.len() < books;
        if Arc::ptr_eq(&self.ids, &layout.ids) {
            return dropped;
        }
        let moved = self.ids != layout.ids;
        if moved {
            let mut cells = vec![Held::Nothing; layout.len()];
            for (id, held) in self.ids.iter().zip(core::mem::take(&mut self.cells)) {
                let from = (layout.by_id).partition_point(|i| layout.ids[usize::from(*i)] < *id);
                // Two tags of one definition under two names have one id and one state.
                for place in &layout.by_id[from..] {
                    let place = usize::from(*place);
                    if layout.ids[place] != *id {
                        break;
                    }
                    cells[place] = held.clone();
                }
            }
            self.cells = cells;
        }
        self.ids = Arc::clone(&layout.ids);
        for (held, (kind, sliding)) in self.cells.iter_mut().zip(&layout.cells) {
            if !held.suits(*kind, *sliding) {
                *held = Held::Nothing;
            }
        }
        moved || dropped
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_over(Vec::with_capacity(
            128 + 24 * self.ids.len() + 18 * self.seen.len(),
        ))
    }

    /// Appends the stored form to `bytes`, whose allocation is kept.
    pub fn encode_over(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut w = Writer::over(bytes);
        let is_newest = self.cells.iter().any(Held::is_newer)
            || self.books.iter().any(|(_, book)| book.is_fast());
        let format = match (is_newest, self.books.len()) {
            (true, _) => PROFILE_FORMAT,
            (false, 0) => WITHOUT_BOOKS,
            (false, _) => WITH_BOOKS,
        };
        w.u8(format);
        w.raw(&self.identifier.0);
        w.uint(u64::from(self.semantics));
        let base = self.last_log_time;
        w.int(base.0);
        w.int(base.0.wrapping_sub(self.first_seen_at.0));
        match self.flip_at {
            None => w.u8(0),
            Some(at) => {
                w.u8(1);
                w.int(at.0.wrapping_sub(base.0));
            }
        }
        w.raw(&self.segments.definitions.to_le_bytes());
        w.uint(self.segments.indexes.len() as u64);
        let mut before = 0u16;
        for index in &self.segments.indexes {
            w.uint(u64::from(index.wrapping_sub(before)));
            before = *index;
        }
        w.uint(self.ids.len() as u64);
        for id in self.ids.iter() {
            w.raw(&id.to_le_bytes());
        }
        for held in &self.cells {
            held.write(&mut w, base);
        }
        self.seen.write(&mut w, base);
        if format > WITHOUT_BOOKS {
            w.uint(self.books.len() as u64);
            for (id, book) in &self.books {
                w.raw(&id.to_le_bytes());
                book.write(&mut w, base, format > WITH_BOOKS);
            }
        }
        w.into_bytes()
    }

    /// Reads a stored profile as it is, without a plan.
    ///
    /// # Errors
    /// As [`Reader`]'s; a newer format is refused by name.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, None)
    }

    /// Reads a stored profile and lays it out for a plan, as [`Profile::adapt`] does.
    ///
    /// # Errors
    /// As [`Profile::decode`].
    pub fn decode_for(bytes: &[u8], layout: &Layout) -> Result<Self> {
        let mut profile = Self::read(bytes, Some(layout))?;
        profile.adapt(layout);
        Ok(profile)
    }

    fn read(bytes: &[u8], layout: Option<&Layout>) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let format = r.format("profile", PROFILE_FORMAT)?;
        let identifier = IdentifierId(r.array()?);
        let semantics =
            u32::try_from(r.uint()?).map_err(|_| r.malformed("a 32-bit semantics number"))?;
        let base = Micros(r.int()?);
        let first_seen_at = Micros(base.0.wrapping_sub(r.int()?));
        let flip_at = match r.u8()? {
            0 => None,
            1 => Some(Micros(r.int()?.wrapping_add(base.0))),
            _ => return Err(r.malformed("a flag of 0 or 1")),
        };
        let segments = read_members(&mut r)?;
        let n = r.count(9)?;
        if n > TAGS_MAX {
            return Err(r.malformed("at most 1024 tags"));
        }
        let id_bytes = r.raw(8 * n)?;
        let ids: Arc<[u64]> = match layout {
            Some(layout) if layout.id_bytes == id_bytes => Arc::clone(&layout.ids),
            _ => (id_bytes.chunks_exact(8))
                .map(|c| c.try_into().map_or(0, u64::from_le_bytes))
                .collect(),
        };
        let mut cells = Vec::with_capacity(n);
        for _ in 0..n {
            cells.push(Held::read(&mut r, base, format == PROFILE_FORMAT)?);
        }
        if let Some(layout) = layout
            && Arc::ptr_eq(&ids, &layout.ids)
            && !(cells.iter().zip(&layout.cells))
                .all(|(held, (kind, sliding))| held.suits(*kind, *sliding))
        {
            return Err(r.malformed("cells of the kinds that their tags have"));
        }
        let seen = Seen::read(&mut r, base)?;
        let books = if format == WITHOUT_BOOKS {
            Vec::new()
        } else {
            read_books(&mut r, base, format)?
        };
        let is_newest =
            cells.iter().any(Held::is_newer) || books.iter().any(|(_, book)| book.is_fast());
        if format == PROFILE_FORMAT && !is_newest {
            return Err(
                r.malformed("a sketch, a sequence or a fast redemption, which format 3 is for")
            );
        }
        r.done()?;
        Ok(Self {
            identifier,
            semantics,
            first_seen_at,
            last_log_time: base,
            segments,
            flip_at,
            seen,
            ids,
            cells,
            books,
        })
    }
}

fn read_books(r: &mut Reader<'_>, base: Micros, format: u8) -> Result<Vec<(u64, Book)>> {
    let n = r.count(17)?;
    if (n == 0 && format == WITH_BOOKS) || n > ORDERS_MAX {
        return Err(r.malformed("1 to 4 books"));
    }
    let mut books: Vec<(u64, Book)> = Vec::with_capacity(n);
    for _ in 0..n {
        let id = u64::from_le_bytes(r.array()?);
        if books.last().is_some_and(|(last, _)| *last >= id) {
            return Err(r.malformed("books in ascending order"));
        }
        books.push((id, Book::read(r, base, format > WITH_BOOKS)?));
    }
    Ok(books)
}

fn read_members(r: &mut Reader<'_>) -> Result<Members> {
    let definitions = u64::from_le_bytes(r.array()?);
    let n = r.count(1)?;
    if n > SEGMENTS_MAX {
        return Err(r.malformed("at most 512 segments"));
    }
    let mut indexes: Vec<u16> = Vec::with_capacity(n);
    for i in 0..n {
        let step = r.uint()?;
        let before = indexes.last().map_or(0, |b| u64::from(*b));
        let index = u16::try_from(before.saturating_add(step))
            .map_err(|_| r.malformed("a segment index"))?;
        if i > 0 && step == 0 {
            return Err(r.malformed("segments in ascending order"));
        }
        indexes.push(index);
    }
    Ok(Members {
        definitions,
        indexes,
    })
}
