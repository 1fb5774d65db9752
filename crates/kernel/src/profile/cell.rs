//! The state of one tag: one aggregate state for a lifetime window, one a tile for a sliding window. Tiles are aligned to the
//! epoch and bounded in number; a tile that has left the window of the profile's log time is gone for good.

use super::state::{Contribution, Kind, OLD_KINDS, State};
use super::sum::Sum;
use crate::codec::{Reader, Result, Writer};
use crate::plan::tag::{Aggregate, TILES_MAX, TagPlan, Window};
use crate::time::Micros;
use std::borrow::Cow;

/// What happened within `index * tile_us .. (index + 1) * tile_us`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Number of the tile since the epoch.
    pub index: i64,
    /// What the aggregate has seen in it.
    pub state: State,
}

/// What a tag holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Held {
    /// Nothing was seen.
    #[default]
    Nothing,
    /// Everything seen, ever.
    Lifetime(State),
    /// Tiles ascending by index, at least one.
    Tiles(Vec<Tile>),
}

/// The tiles `first..=last` that a sliding window holds at `at`.
pub fn window_tiles(tile_us: i64, tiles: u32, at: Micros) -> (i64, i64) {
    let last = at.0.div_euclid(tile_us.max(1));
    (last.saturating_sub(i64::from(tiles) - 1), last)
}

impl Held {
    /// Adds a contribution, to the tile of index `tile` or to the lifetime state.
    pub(crate) fn add(&mut self, tile: Option<i64>, c: &Contribution<'_>) {
        match (&mut *self, tile) {
            (Self::Lifetime(state), None) => state.add(c),
            (Self::Tiles(tiles), Some(index)) => match tiles.last_mut() {
                Some(last) if last.index == index => last.state.add(c),
                Some(last) if last.index < index => tiles.push(Tile {
                    index,
                    state: State::start(c),
                }),
                _ => match tiles.binary_search_by_key(&index, |t| t.index) {
                    Ok(place) => tiles[place].state.add(c),
                    Err(place) => tiles.insert(
                        place,
                        Tile {
                            index,
                            state: State::start(c),
                        },
                    ),
                },
            },
            (held, None) => *held = Self::Lifetime(State::start(c)),
            (held, Some(index)) => {
                *held = Self::Tiles(vec![Tile {
                    index,
                    state: State::start(c),
                }]);
            }
        }
    }

    /// Lets go of the tiles before `first`.
    pub(crate) fn evict(&mut self, first: i64) {
        if let Self::Tiles(tiles) = self
            && tiles.first().is_some_and(|t| t.index < first)
        {
            let gone = tiles.partition_point(|t| t.index < first);
            if gone == tiles.len() {
                *self = Self::Nothing;
            } else {
                tiles.drain(..gone);
            }
        }
    }

    /// Adds all that another profile's cell of the same tag holds.
    pub fn merge(&mut self, other: &Self, aggregate: &Aggregate) {
        match (&mut *self, other) {
            (_, Self::Nothing) => {}
            (Self::Lifetime(a), Self::Lifetime(b)) => a.merge(b, aggregate),
            (Self::Tiles(a), Self::Tiles(b)) => {
                for tile in b {
                    match a.binary_search_by_key(&tile.index, |t| t.index) {
                        Ok(place) => a[place].state.merge(&tile.state, aggregate),
                        Err(place) => a.insert(place, tile.clone()),
                    }
                }
            }
            (held, other) => *held = other.clone(),
        }
    }

    /// The states that a reader at `as_of` sees: the lifetime state, or those of the tiles within the window, in order of
    /// time. A tile that begins after `as_of` is not in the window yet.
    pub fn states(&self, window: Window, as_of: Micros) -> impl Iterator<Item = &State> {
        let (one, tiles): (Option<&State>, &[Tile]) = match (self, window) {
            (Self::Lifetime(state), Window::Lifetime) => (Some(state), &[]),
            (Self::Tiles(tiles), Window::Sliding { tile_us, tiles: n }) => {
                let (first, last) = window_tiles(tile_us, n, as_of);
                let from = tiles.partition_point(|t| t.index < first);
                let to = tiles.partition_point(|t| t.index <= last);
                (None, &tiles[from.min(to)..to])
            }
            _ => (None, &[]),
        };
        one.into_iter().chain(tiles.iter().map(|t| &t.state))
    }

    /// True when the cell may stand under `tag`: its states are of the tag's kind and its window is of the tag's sort.
    pub(crate) fn suits(&self, kind: Kind, sliding: bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::Lifetime(state) => !sliding && state.kind() == kind,
            Self::Tiles(tiles) => sliding && tiles.iter().all(|t| t.state.kind() == kind),
        }
    }

    /// Appends the cell: 0 for nothing, else the kind (16 added for tiles) and the states.
    pub(super) fn write(&self, w: &mut Writer, base: Micros) {
        match self {
            Self::Nothing => w.u8(0),
            Self::Lifetime(state) => {
                w.u8(state.kind() as u8);
                state.write(w, base);
            }
            Self::Tiles(tiles) => {
                w.u8(tiles.first().map_or(0, |t| t.state.kind() as u8 | TILED));
                w.uint(tiles.len() as u64);
                let mut before = 0i64;
                for tile in tiles {
                    w.int(tile.index.wrapping_sub(before));
                    before = tile.index;
                    tile.state.write(w, base);
                }
            }
        }
    }

    /// True when a profile of format 1 or 2 does not know the kind of what the cell holds.
    pub(super) fn is_newer(&self) -> bool {
        let kind = match self {
            Self::Nothing => None,
            Self::Lifetime(state) => Some(state.kind()),
            Self::Tiles(tiles) => tiles.first().map(|t| t.state.kind()),
        };
        kind.is_some_and(|kind| kind as u8 > OLD_KINDS)
    }

    /// Reads what [`Held::write`] wrote; kinds that formats 1 and 2 do not know only when `newer`.
    pub(super) fn read(r: &mut Reader<'_>, base: Micros, newer: bool) -> Result<Self> {
        let head = r.u8()?;
        if head == 0 {
            return Ok(Self::Nothing);
        }
        let code = head & !TILED;
        let known = newer || code <= OLD_KINDS;
        let Some(kind) = Kind::from_code(code).filter(|_| known) else {
            return Err(r.malformed("a state kind of this format"));
        };
        if head & TILED == 0 {
            return Ok(Self::Lifetime(State::read(kind, r, base)?));
        }
        let n = r.count(2)?;
        if n == 0 || n > TILES_MAX as usize {
            return Err(r.malformed("1 to 64 tiles"));
        }
        // The kinds that windows mostly hold are read in loops of their own.
        let tiles = match kind {
            Kind::Count => read_tiles(n, r, |r| Ok(State::Count(r.uint()?))),
            Kind::Sum => read_tiles(n, r, |r| Ok(State::Sum(Sum::read(r)?))),
            _ => read_tiles(n, r, |r| State::read(kind, r, base)),
        }?;
        Ok(Self::Tiles(tiles))
    }
}

const TILED: u8 = 16;

#[inline]
fn read_tiles<'r>(
    n: usize,
    r: &mut Reader<'r>,
    mut state: impl FnMut(&mut Reader<'r>) -> Result<State>,
) -> Result<Vec<Tile>> {
    let mut tiles = Vec::with_capacity(n + 1);
    let mut before = 0i64;
    for i in 0..n {
        let index = before.wrapping_add(r.int()?);
        if i > 0 && index <= before {
            return Err(r.malformed("tiles in ascending order"));
        }
        before = index;
        tiles.push(Tile {
            index,
            state: state(r)?,
        });
    }
    Ok(tiles)
}

/// All that the cells of linked profiles show of one tag at `as_of`, merged; none when nothing was seen. Cells are given in
/// order of identifier. Nothing is copied while there is one state, or the aggregate chooses one.
pub fn combined<'a>(
    cells: impl Iterator<Item = &'a Held>,
    tag: &TagPlan,
    as_of: Micros,
) -> Option<Cow<'a, State>> {
    let mut all: Option<Cow<'a, State>> = None;
    for state in cells.flat_map(|held| held.states(tag.window, as_of)) {
        match &mut all {
            None => all = Some(Cow::Borrowed(state)),
            Some(held) if held.chooses() => {
                if state.supersedes(held) {
                    *held = Cow::Borrowed(state);
                }
            }
            Some(held) => held.to_mut().merge(state, &tag.aggregate),
        }
    }
    all
}
