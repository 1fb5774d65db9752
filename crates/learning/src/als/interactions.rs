//! What users did with items, by user. It must never hold a strength that is no number, or an item twice for one user.

use super::{Error, INTERACTIONS_MAX, ITEMS_MAX, STRENGTH_MAX, USERS_MAX};

/// Interactions in rows of users (compressed sparse rows): the items of each, ascending, each once, with their strengths.
/// Users and items without any are allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    items: usize,
    offsets: Vec<usize>,
    columns: Vec<u32>,
    strengths: Vec<f32>,
}

const STRENGTH: &str = "0 to a million";

impl Interactions {
    /// Takes rows: the interactions of user `u` are those from `offsets[u]` to below `offsets[u + 1]`, with an item below
    /// `items` and a strength from 0 to [`STRENGTH_MAX`] each. A strength of 0 is as none.
    ///
    /// # Errors
    /// Offsets that do not divide the interactions, an item out of range or not after the one before it, a strength that is
    /// negative or no number, too many of anything, no strength above zero.
    pub fn new(
        items: usize,
        offsets: Vec<usize>,
        columns: Vec<u32>,
        strengths: Vec<f32>,
    ) -> Result<Self, Error> {
        let users = offsets.len().saturating_sub(1);
        limits(users, items, columns.len())?;
        let length = |what, found, wanted| {
            Err(Error::Length {
                what,
                found,
                wanted,
            })
        };
        if strengths.len() != columns.len() {
            return length("strengths", strengths.len(), columns.len());
        }
        let mut last = 0;
        for (at, offset) in offsets.iter().enumerate() {
            if *offset < last || (at == 0 && *offset != 0) {
                return Err(Error::Offset { at, found: *offset });
            }
            last = *offset;
        }
        if last != columns.len() {
            return length("rows by their last offset", last, columns.len());
        }
        for (user, ends) in offsets.windows(2).enumerate() {
            let row = &columns[ends[0]..ends[1]];
            for (within, item) in row.iter().enumerate() {
                let at = ends[0] + within;
                let found = *item as usize;
                if found >= items {
                    return Err(Error::Index {
                        what: "item",
                        at,
                        found,
                        count: items,
                    });
                }
                if within > 0 && *item <= row[within - 1] {
                    let item = *item;
                    return Err(Error::Order { at, user, item });
                }
            }
        }
        strong(&strengths)?;
        let (offsets, columns, strengths) = without_zeros(offsets, columns, strengths);
        if columns.is_empty() {
            return Err(Error::Empty);
        }
        Ok(Self {
            items,
            offsets,
            columns,
            strengths,
        })
    }

    /// Takes users, items and strengths in any order; strengths of the same user and item are added up, in the order that they
    /// stand in.
    ///
    /// # Errors
    /// As [`Interactions::new`], and sums above [`STRENGTH_MAX`].
    pub fn gathered(users: usize, items: usize, of: &[(u32, u32, f32)]) -> Result<Self, Error> {
        limits(users, items, of.len())?;
        for (at, (user, item, strength)) in of.iter().enumerate() {
            let sides = [("user", *user, users), ("item", *item, items)];
            for (what, found, count) in sides {
                let found = found as usize;
                if found >= count {
                    return Err(Error::Index {
                        what,
                        at,
                        found,
                        count,
                    });
                }
            }
            if let Some(found) = weak(*strength) {
                return Err(found.at(at));
            }
        }
        let mut order: Vec<&(u32, u32, f32)> = of.iter().collect();
        // Stable, so that sums have one order.
        order.sort_by_key(|(user, item, _)| (*user, *item));
        let mut ends = vec![0; users + 1];
        let (mut columns, mut strengths) = (Vec::new(), Vec::new());
        for same in order.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (user, item, _) = same[0];
            let sum: f64 = same.iter().map(|(_, _, r)| f64::from(*r)).sum();
            ends[*user as usize + 1] += 1;
            columns.push(*item);
            strengths.push(sum as f32);
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        Self::new(items, ends, columns, strengths)
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of interactions with a strength above zero.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Never true: there is an interaction.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Items of a user, ascending, and their strengths; nothing of one that is not there.
    pub fn of(&self, user: usize) -> (&[u32], &[f32]) {
        let ends = self.offsets.get(user).zip(self.offsets.get(user + 1));
        let (from, to) = ends.map_or((0, 0), |(from, to)| (*from, *to));
        (&self.columns[from..to], &self.strengths[from..to])
    }

    /// The same with items as rows.
    pub(super) fn transposed(&self) -> Self {
        let mut offsets = vec![0; self.items + 1];
        for item in &self.columns {
            offsets[*item as usize + 1] += 1;
        }
        let mut sum = 0;
        for offset in &mut offsets {
            sum += *offset;
            *offset = sum;
        }
        let mut next = offsets.clone();
        let mut columns = vec![0; self.len()];
        let mut strengths = vec![0.0; self.len()];
        for user in 0..self.users() {
            let (items, own) = self.of(user);
            for (item, strength) in items.iter().zip(own) {
                let place = &mut next[*item as usize];
                columns[*place] = user as u32;
                strengths[*place] = *strength;
                *place += 1;
            }
        }
        Self {
            items: self.users(),
            offsets,
            columns,
            strengths,
        }
    }
}

fn limits(users: usize, items: usize, interactions: usize) -> Result<(), Error> {
    let sizes = [
        (
            "number of users",
            users,
            1,
            USERS_MAX,
            "1 to 100,000,000; offsets are one more",
        ),
        ("number of items", items, 1, ITEMS_MAX, "1 to 10,000,000"),
        (
            "number of interactions",
            interactions,
            0,
            INTERACTIONS_MAX,
            "at most 4,000,000,000",
        ),
    ];
    for (what, found, least, most, wanted) in sizes {
        if !(least..=most).contains(&found) {
            return Err(Error::Setting {
                what,
                found: found as f64,
                wanted,
            });
        }
    }
    Ok(())
}

struct Weak(f32);

impl Weak {
    fn at(self, at: usize) -> Error {
        Error::Value {
            what: "strength",
            at,
            found: f64::from(self.0),
            wanted: STRENGTH,
        }
    }
}

fn weak(strength: f32) -> Option<Weak> {
    (!(0.0..=STRENGTH_MAX).contains(&strength)).then_some(Weak(strength))
}

/// Refuses strengths that are negative, too large or no numbers.
pub(super) fn strong(strengths: &[f32]) -> Result<(), Error> {
    let wrong = strengths.iter().enumerate();
    match wrong
        .filter_map(|(at, r)| weak(*r).map(|w| w.at(at)))
        .next()
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn without_zeros(
    mut offsets: Vec<usize>,
    mut columns: Vec<u32>,
    mut strengths: Vec<f32>,
) -> (Vec<usize>, Vec<u32>, Vec<f32>) {
    if !strengths.contains(&0.0) {
        return (offsets, columns, strengths);
    }
    let (mut kept, mut from) = (0, 0);
    for end in offsets.iter_mut().skip(1) {
        for at in from..*end {
            if strengths[at] > 0.0 {
                columns[kept] = columns[at];
                strengths[kept] = strengths[at];
                kept += 1;
            }
        }
        from = *end;
        *end = kept;
    }
    columns.truncate(kept);
    strengths.truncate(kept);
    (offsets, columns, strengths)
}
