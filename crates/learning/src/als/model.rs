//! Factors that were trained: what to recommend, what is similar, vectors of users who came later. It must never rank an item
//! that it was told to leave out.

use std::cmp::Ordering;

use super::fit::vectors;
use super::interactions::strong;
use super::solve::{Exact, Vectors};
use super::{Error, FACTORS_MAX, Interactions, Settings};

/// An item and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The item.
    pub item: u32,
    /// Its score; higher is better.
    pub score: f32,
}

/// Vectors of users and items.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    factors: usize,
    users: Vec<f32>,
    items: Vec<f32>,
    regularization: f64,
    alpha: f64,
    /// Of the items.
    gram: Vec<f64>,
}

impl Model {
    pub(super) fn trained(users: Vectors, items: Vectors, settings: &Settings) -> Self {
        Self {
            factors: settings.factors,
            gram: items.gram(),
            users: users.rows_of_factors(),
            items: items.rows_of_factors(),
            regularization: settings.regularization,
            alpha: settings.alpha,
        }
    }

    /// Vectors that were trained before or elsewhere, row by row, with the settings that they were trained with.
    ///
    /// # Errors
    /// A setting out of its range, vectors that are not whole or not finite.
    pub fn of(users: &[f32], items: &[f32], settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let factors = settings.factors;
        vectors("vectors of users", users, users.len() / factors, factors)?;
        vectors("vectors of items", items, items.len() / factors, factors)?;
        Ok(Self::trained(
            Vectors::of(users, factors),
            Vectors::of(items, factors),
            settings,
        ))
    }

    /// Numbers of a vector, at most [`FACTORS_MAX`].
    pub fn factors(&self) -> usize {
        debug_assert!(self.factors <= FACTORS_MAX, "settings were checked");
        self.factors
    }

    /// Vectors of users, row by row.
    pub fn users(&self) -> &[f32] {
        &self.users
    }

    /// Vectors of items, row by row.
    pub fn items(&self) -> &[f32] {
        &self.items
    }

    fn item_count(&self) -> usize {
        self.items.len() / self.factors
    }

    /// The `k` best items for a user, by falling score (equal ones by their index), without those of `seen`; fewer where there
    /// are no more. Scores estimate the preference: about 1 for what the user would take, about 0 for what not.
    ///
    /// # Errors
    /// A user that is not there, interactions of other users or items.
    pub fn recommend(
        &self,
        user: u32,
        k: usize,
        seen: Option<&Interactions>,
    ) -> Result<Vec<Scored>, Error> {
        let vector = self.row("user", &self.users, user)?;
        if let Some(seen) = seen {
            self.fits(seen)?;
        }
        let seen = seen.map_or(&[][..], |seen| seen.of(user as usize).0);
        Ok(self.best(vector, k, seen))
    }

    /// The `k` best items for a vector, such as [`Model::recalculate`] gives, without those of `left_out`, which may stand in any
    /// order.
    ///
    /// # Errors
    /// A vector of another size or that is not finite, an item that is not there.
    pub fn recommend_for(
        &self,
        vector: &[f32],
        k: usize,
        left_out: &[u32],
    ) -> Result<Vec<Scored>, Error> {
        vectors("a vector", vector, 1, self.factors)?;
        self.there(left_out)?;
        let mut left_out = left_out.to_vec();
        left_out.sort_unstable();
        Ok(self.best(vector, k, &left_out))
    }

    /// The `k` items whose vectors point most nearly where the item's own does (cosine, -1 to 1), without itself and those
    /// that point nowhere.
    ///
    /// # Errors
    /// An item that is not there.
    pub fn similar_items(&self, item: u32, k: usize) -> Result<Vec<Scored>, Error> {
        let own = self.row("item", &self.items, item)?;
        let length = |v: &[f32]| libm::sqrt(exact_dot(v, v));
        let own_length = length(own);
        let rows = (0u32..).zip(self.items.chunks_exact(self.factors));
        let scored = rows.filter_map(|(other, vector)| {
            let lengths = own_length * length(vector);
            let score = (exact_dot(own, vector) / lengths) as f32;
            (other != item && lengths > 0.0).then_some(Scored { item: other, score })
        });
        Ok(first(scored.collect(), k))
    }

    /// The vector of a user who has taken these items with these strengths, with the items as they are: the exact solution,
    /// whatever the model was trained by. Items may stand in any order, each once.
    ///
    /// # Errors
    /// Lists of different length, an item that is not there or stands twice, a strength that is negative or no number.
    pub fn recalculate(&self, items: &[u32], strengths: &[f32]) -> Result<Vec<f32>, Error> {
        if strengths.len() != items.len() {
            return Err(Error::Length {
                what: "strengths",
                found: strengths.len(),
                wanted: items.len(),
            });
        }
        self.there(items)?;
        strong(strengths)?;
        let mut taken: Vec<(u32, usize)> = items.iter().copied().zip(0..).collect();
        taken.sort_unstable();
        if let Some(pair) = taken.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (item, at) = pair[1];
            return Err(Error::Order { at, user: 0, item });
        }
        // As in training, a strength of zero is as none.
        let taken = taken.iter().filter(|(_, at)| strengths[*at] > 0.0);
        let mut room = Exact::new(
            self.gram.clone(),
            self.factors,
            self.regularization,
            self.alpha,
        );
        let vector = |item: u32| &self.items[item as usize * self.factors..][..self.factors];
        let solved = room.solve(taken.map(|(item, at)| (vector(*item), &strengths[*at])));
        let solved: Vec<f32> = solved.iter().map(|x| *x as f32).collect();
        if solved.iter().all(|x| x.is_finite()) {
            Ok(solved)
        } else {
            Err(Error::NotFinite { iteration: 1 })
        }
    }

    /// What training makes smaller (Hu, Koren and Volinsky 2008, equation 3): squared errors of all pairs of users and items,
    /// weighted by confidence, and the penalty.
    ///
    /// # Errors
    /// Interactions of other users or items.
    pub fn loss(&self, interactions: &Interactions) -> Result<f64, Error> {
        self.fits(interactions)?;
        let users = Vectors::of(&self.users, self.factors);
        // All pairs as if nobody had taken anything, then what each interaction changes.
        let others = users.gram();
        let mut loss: f64 = others.iter().zip(&self.gram).map(|(a, b)| a * b).sum();
        for (user, vector) in self.users.chunks_exact(self.factors).enumerate() {
            let (items, strengths) = interactions.of(user);
            for (item, strength) in items.iter().zip(strengths) {
                let own = &self.items[*item as usize * self.factors..][..self.factors];
                let score = exact_dot(vector, own);
                let confidence = 1.0 + self.alpha * f64::from(*strength);
                loss += confidence * (1.0 - score) * (1.0 - score) - score * score;
            }
        }
        let squares = |of: &[f32]| exact_dot(of, of);
        Ok(loss + self.regularization * (squares(&self.users) + squares(&self.items)))
    }

    fn row<'a>(&self, what: &'static str, values: &'a [f32], at: u32) -> Result<&'a [f32], Error> {
        let found = at as usize;
        values
            .chunks_exact(self.factors)
            .nth(found)
            .ok_or(Error::Index {
                what,
                at: 0,
                found,
                count: values.len() / self.factors,
            })
    }

    fn there(&self, items: &[u32]) -> Result<(), Error> {
        let count = self.item_count();
        match items.iter().position(|item| *item as usize >= count) {
            None => Ok(()),
            Some(at) => Err(Error::Index {
                what: "item",
                at,
                found: items[at] as usize,
                count,
            }),
        }
    }

    pub(super) fn fits(&self, interactions: &Interactions) -> Result<(), Error> {
        let users = self.users.len() / self.factors;
        let sizes = [
            ("rows of users", interactions.users(), users),
            ("columns of items", interactions.items(), self.item_count()),
        ];
        for (what, found, wanted) in sizes {
            if found != wanted {
                return Err(Error::Length {
                    what,
                    found,
                    wanted,
                });
            }
        }
        Ok(())
    }

    /// `left_out` is ascending.
    fn best(&self, vector: &[f32], k: usize, left_out: &[u32]) -> Vec<Scored> {
        let mut left_out = left_out.iter().copied().peekable();
        let rows = (0u32..).zip(self.items.chunks_exact(self.factors));
        let mut scored = Vec::with_capacity(self.item_count());
        for (item, row) in rows {
            if left_out.peek() == Some(&item) {
                while left_out.next_if_eq(&item).is_some() {}
                continue;
            }
            let score = score(vector, row);
            scored.push(Scored { item, score });
        }
        first(scored, k)
    }
}

/// The dot product in eight lanes that are added pairwise at the end.
fn score(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (heads_a, tail_a) = a.as_chunks::<8>();
    let (heads_b, tail_b) = b.as_chunks::<8>();
    for (x, y) in heads_a.iter().zip(heads_b) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in tail_a.iter().zip(tail_b).enumerate() {
        lanes[lane] += x * y;
    }
    ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
        + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
}

/// The dot product in binary64, in order.
fn exact_dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum()
}

/// The `k` best, by falling score, then by index.
fn first(mut scored: Vec<Scored>, k: usize) -> Vec<Scored> {
    let order = |a: &Scored, b: &Scored| -> Ordering {
        b.score.total_cmp(&a.score).then(a.item.cmp(&b.item))
    };
    if k < scored.len() {
        scored.select_nth_unstable_by(k, order);
        scored.truncate(k);
    }
    scored.sort_unstable_by(order);
    scored
}
