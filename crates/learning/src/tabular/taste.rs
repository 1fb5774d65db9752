//! Who took what, as a table of users, items and strengths: factors ([`crate::als`]) that are judged by what users took in rows that
//! were not learned from, beside what everybody takes, and kept with the names and with what each user has taken.

use super::evaluate::{Evaluation, Figure};
use super::folds::{by_time, shuffle};
use super::roles::column;
use super::{Error, Frame, Series};
use crate::als::{self, Figures, Interactions, Model};
use luopan_kernel::codec::{self, Reader, Writer};
use std::collections::{BTreeMap, HashMap};

/// Format of kept factors.
const FORMAT: u8 = 1;
/// Items of a ranking that are judged.
pub const JUDGED_AT: usize = 10;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TasteSettings {
    /// Column of users.
    pub user: String,
    /// Column of items.
    pub item: String,
    /// Column of strengths, zero or more; rows without one are left out.
    pub strength: String,
    /// Column of times: later rows are then judged by earlier ones alone.
    pub time: Option<String>,
    /// Folds.
    pub folds: usize,
    /// Of the factors.
    pub als: als::Settings,
}

/// Factors with the names of users and items, and what each user has taken.
#[derive(Debug, Clone)]
pub struct Taste {
    users: Vec<String>,
    items: Vec<String>,
    /// Column of users when it was trained.
    user_column: String,
    settings: als::Settings,
    seen: Interactions,
    model: Model,
}

/// Items with their scores, best first.
pub type Best<'t> = Vec<(&'t str, f32)>;

/// What came of training.
#[derive(Debug, Clone)]
pub struct Tasted {
    /// The factors of all rows.
    pub taste: Taste,
    /// What factors of some rows said of others.
    pub evaluation: Evaluation,
    /// Rows.
    pub rows: usize,
}

impl From<als::Error> for Error {
    fn from(e: als::Error) -> Self {
        Self::Model(e.to_string())
    }
}

/// Rows as users, items and strengths, with the names.
struct Rows {
    users: Vec<String>,
    items: Vec<String>,
    of: Vec<(u32, u32, f32)>,
    /// Their rows in the table.
    places: Vec<u32>,
}

fn named(name: &str, series: &Series, rows: &[u32]) -> Result<(Vec<String>, Vec<u32>), Error> {
    let mut places: HashMap<String, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let text = series.text(*row as usize).ok_or_else(|| Error::Value {
            name: name.to_owned(),
            row: *row as usize + 1,
            found: "nothing".to_owned(),
            wanted: "each row needs a user and an item",
        })?;
        let next = names.len() as u32;
        out.push(*places.entry(text).or_insert_with_key(|text| {
            names.push(text.clone());
            next
        }));
    }
    Ok((names, out))
}

fn rows(frame: &Frame, settings: &TasteSettings) -> Result<Rows, Error> {
    let Series::Numbers(strengths) = column(frame, &settings.strength)? else {
        return Err(Error::Column {
            name: settings.strength.clone(),
            why: "strengths are numbers, it holds texts".to_owned(),
        });
    };
    let places: Vec<u32> = (0..frame.rows() as u32)
        .filter(|r| !strengths[*r as usize].is_nan())
        .collect();
    let wrong = |v: f64| !(0.0..=f64::from(als::STRENGTH_MAX)).contains(&v);
    if let Some(row) = places.iter().find(|r| wrong(strengths[**r as usize])) {
        return Err(Error::Value {
            name: settings.strength.clone(),
            row: *row as usize + 1,
            found: strengths[*row as usize].to_string(),
            wanted: "strengths are 0 to a million",
        });
    }
    let (users, of_users) = named(&settings.user, column(frame, &settings.user)?, &places)?;
    let (items, of_items) = named(&settings.item, column(frame, &settings.item)?, &places)?;
    let of = (places.iter().zip(of_users.iter().zip(&of_items)))
        .map(|(row, (user, item))| (*user, *item, strengths[*row as usize] as f32))
        .collect();
    Ok(Rows {
        users,
        items,
        of,
        places,
    })
}

/// The part of each row: at random, or in order of time with one part more.
fn parts(frame: &Frame, settings: &TasteSettings, rows: &Rows) -> Result<Vec<u32>, Error> {
    match &settings.time {
        Some(name) => {
            let times = super::roles::order(name, column(frame, name)?, &rows.places)?;
            by_time(&times, None, settings.folds + 1)
        }
        None => {
            let mut order: Vec<u32> = (0..rows.of.len() as u32).collect();
            shuffle(&mut order, settings.als.seed);
            let mut out = vec![0; rows.of.len()];
            for (at, row) in order.into_iter().enumerate() {
                out[row as usize] = (at % settings.folds) as u32;
            }
            Ok(out)
        }
    }
}

/// The items that most users have taken, first.
fn popular(seen: &Interactions) -> Vec<u32> {
    let mut counts = vec![0u64; seen.items()];
    for user in 0..seen.users() {
        for item in seen.of(user).0 {
            counts[*item as usize] += 1;
        }
    }
    let mut order: Vec<u32> = (0..seen.items() as u32).collect();
    order.sort_by(|a, b| counts[*b as usize].cmp(&counts[*a as usize]).then(a.cmp(b)));
    order
}

/// Learns who takes what. `tell` hears what is begun: the folds from 0 on, then, with the number of folds, the factors that are kept.
///
/// # Errors
/// [`Error`]: columns that are not there, strengths out of range, too few rows, settings out of range.
pub fn taste(
    frame: &Frame,
    settings: &TasteSettings,
    tell: &mut dyn FnMut(usize),
) -> Result<Tasted, Error> {
    if !(2..=super::FOLDS_MAX).contains(&settings.folds) {
        return Err(Error::Setting {
            name: "folds",
            found: settings.folds.to_string(),
            wanted: format!("write 2 to {}", super::FOLDS_MAX),
        });
    }
    let rows = rows(frame, settings)?;
    if rows.of.len() <= settings.folds {
        return Err(Error::Rows {
            found: rows.of.len(),
            least: settings.folds + 1,
            of: "a row in each fold, with a strength,",
        });
    }
    let (users, items) = (rows.users.len(), rows.items.len());
    let parts = parts(frame, settings, &rows)?;
    let first = u32::from(settings.time.is_some());
    let mut found: Vec<(Figures, Figures)> = Vec::new();
    let mut judged = 0;
    for at in 0..settings.folds {
        tell(at);
        let part = at as u32 + first;
        let of = |keep: &dyn Fn(u32) -> bool| -> Vec<(u32, u32, f32)> {
            (rows.of.iter().zip(&parts))
                .filter(|(_, p)| keep(**p))
                .map(|(row, _)| *row)
                .collect()
        };
        let learned = of(&|p| {
            if settings.time.is_some() {
                p < part
            } else {
                p != part
            }
        });
        let held_out = of(&|p| p == part);
        judged += held_out.len();
        let learned = Interactions::gathered(users, items, &learned)?;
        let held_out = Interactions::gathered(users, items, &held_out)?;
        let model = als::fit(&learned, &settings.als)?;
        let own = als::evaluate(&model, &learned, &held_out, JUDGED_AT)?;
        let order = popular(&learned);
        // As many as a user may have seen, and those that are judged behind them.
        let all = als::figures(&learned, &held_out, JUDGED_AT, |user| {
            let most = learned.of(user as usize).0.len() + JUDGED_AT;
            Ok(order.iter().copied().take(most).collect())
        })?;
        found.push((own, all));
    }
    tell(settings.folds);
    let seen = Interactions::gathered(users, items, &rows.of)?;
    let model = als::fit(&seen, &settings.als)?;
    let mut metrics = BTreeMap::new();
    let mut add = |name: &'static str, of: &dyn Fn(&(Figures, Figures)) -> f64| {
        let folds: Vec<f64> = found.iter().map(of).collect();
        metrics.insert(name, Figure::of_folds(&folds));
    };
    add("recall_10", &|f| f.0.recall);
    add("ndcg_10", &|f| f.0.ndcg);
    add("map_10", &|f| f.0.map);
    add("popular_recall_10", &|f| f.1.recall);
    add("popular_ndcg_10", &|f| f.1.ndcg);
    let mut flags = Vec::new();
    let mean = |name: &str| metrics.get(name).map_or(f64::NAN, |f: &Figure| f.mean);
    if mean("ndcg_10") <= mean("popular_ndcg_10") {
        flags.push(
            "what everybody takes predicts as well: the factors tell nothing of the single user"
                .to_owned(),
        );
    }
    Ok(Tasted {
        rows: rows.of.len(),
        evaluation: Evaluation::of_rankings(metrics, judged, frame.rows() - rows.of.len(), flags),
        taste: Taste {
            users: rows.users,
            items: rows.items,
            user_column: settings.user.clone(),
            settings: settings.als,
            seen,
            model,
        },
    })
}

impl Taste {
    /// Number of users and of items.
    pub fn size(&self) -> (usize, usize) {
        (self.users.len(), self.items.len())
    }

    /// Column of users when it was trained.
    pub fn user_column(&self) -> &str {
        &self.user_column
    }

    /// For each of these users the `k` best items that the user has not taken, with their scores, best first; none for a user that
    /// was never seen.
    ///
    /// # Errors
    /// `k` of zero.
    pub fn recommend(&self, users: &[String], k: usize) -> Result<Vec<Option<Best<'_>>>, Error> {
        if k == 0 {
            return Err(Error::Setting {
                name: "top",
                found: "0".to_owned(),
                wanted: "write 1 or more".to_owned(),
            });
        }
        let places: HashMap<&str, u32> = (0u32..)
            .zip(&self.users)
            .map(|(i, u)| (u.as_str(), i))
            .collect();
        users
            .iter()
            .map(|user| {
                let Some(at) = places.get(user.as_str()) else {
                    return Ok(None);
                };
                let best = self.model.recommend(*at, k, Some(&self.seen))?;
                let named = best
                    .iter()
                    .map(|s| (self.items[s.item as usize].as_str(), s.score));
                Ok(Some(named.collect()))
            })
            .collect()
    }

    /// The factors as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_format(FORMAT);
        w.str(&self.user_column);
        w.uint(self.settings.factors as u64);
        w.f64(self.settings.regularization);
        w.f64(self.settings.alpha);
        for names in [&self.users, &self.items] {
            w.uint(names.len() as u64);
            names.iter().for_each(|n| w.str(n));
        }
        for user in 0..self.users.len() {
            let (items, strengths) = self.seen.of(user);
            w.uint(items.len() as u64);
            let mut before = 0;
            for (item, strength) in items.iter().zip(strengths) {
                w.uint(u64::from(item - before));
                w.raw(&strength.to_le_bytes());
                before = *item;
            }
        }
        for vectors in [self.model.users(), self.model.items()] {
            vectors.iter().for_each(|v| w.raw(&v.to_le_bytes()));
        }
        w.into_bytes()
    }

    /// Reads [`Taste::encode`].
    ///
    /// # Errors
    /// What are no such factors, and factors of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let kept = |e: codec::Error| Error::Kept(e.to_string());
        let mut r = Reader::new(bytes);
        r.format("factors", FORMAT).map_err(kept)?;
        let mut read = || -> codec::Result<_> {
            let user_column = r.str()?.to_owned();
            let factors = r.uint()? as usize;
            let (regularization, alpha) = (r.f64()?, r.f64()?);
            let mut names = [Vec::new(), Vec::new()];
            for names in &mut names {
                for _ in 0..r.count(1)? {
                    names.push(r.str()?.to_owned());
                }
            }
            let [users, items] = names;
            let mut of = Vec::new();
            for user in 0..users.len() as u32 {
                let mut item = 0u64;
                for _ in 0..r.count(5)? {
                    item = item.saturating_add(r.uint()?);
                    let strength = f32::from_le_bytes(r.array()?);
                    of.push((user, u32::try_from(item).unwrap_or(u32::MAX), strength));
                }
            }
            let mut vectors = [Vec::new(), Vec::new()];
            for (vectors, rows) in vectors.iter_mut().zip([users.len(), items.len()]) {
                for _ in 0..rows.saturating_mul(factors) {
                    vectors.push(f32::from_le_bytes(r.array()?));
                }
            }
            r.done()?;
            Ok((
                user_column,
                factors,
                regularization,
                alpha,
                users,
                items,
                of,
                vectors,
            ))
        };
        let (user_column, factors, regularization, alpha, users, items, of, vectors) =
            read().map_err(kept)?;
        let settings = als::Settings {
            factors,
            regularization,
            alpha,
            ..als::Settings::default()
        };
        let seen = Interactions::gathered(users.len(), items.len(), &of)
            .map_err(|e| Error::Kept(e.to_string()))?;
        let model = Model::of(&vectors[0], &vectors[1], &settings)
            .map_err(|e| Error::Kept(e.to_string()))?;
        Ok(Self {
            users,
            items,
            user_column,
            settings,
            seen,
            model,
        })
    }
}
