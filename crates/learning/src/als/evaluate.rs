//! How good rankings are: what users took later, and had not before, among the first items that they would be shown. It must
//! never count what was seen.

use super::{Error, Interactions, Model};

/// Means over users who took something new, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// How many users these are.
    pub users: usize,
    /// Share of a user's new items that are among the first `k`.
    pub recall: f64,
    /// Discounted cumulative gain of the first `k` over the best there could be, gains being 0 or 1 (Jarvelin and Kekalainen
    /// 2002).
    pub ndcg: f64,
    /// Mean over the new items, at most `k`, of precision at their places, zero where they are not among the first `k`.
    pub map: f64,
}

/// The figures of a model's `k` best items, without those of `learned`, at what users took in `held_out`, without those of
/// `learned`.
///
/// # Errors
/// Interactions of other users or items than the model's, `k` of zero, nothing held out that is new.
pub fn evaluate(
    model: &Model,
    learned: &Interactions,
    held_out: &Interactions,
    k: usize,
) -> Result<Figures, Error> {
    model.fits(learned)?;
    model.fits(held_out)?;
    figures(learned, held_out, k, |user| {
        let best = model.recommend(user, k, Some(learned))?;
        Ok(best.into_iter().map(|scored| scored.item).collect())
    })
}

/// The same of any ranking: `rank` gives items, best first. Of these, what the user has in `learned` is passed over, and what
/// stands twice counts once.
///
/// # Errors
/// Interactions that are not of the same users and items, `k` of zero, nothing held out that is new, what `rank` refuses.
pub fn figures(
    learned: &Interactions,
    held_out: &Interactions,
    k: usize,
    mut rank: impl FnMut(u32) -> Result<Vec<u32>, Error>,
) -> Result<Figures, Error> {
    let sizes = [
        ("rows of held-out users", held_out.users(), learned.users()),
        (
            "columns of held-out items",
            held_out.items(),
            learned.items(),
        ),
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
    if k == 0 {
        return Err(Error::Setting {
            what: "k",
            found: 0.0,
            wanted: "1 or more",
        });
    }
    let mut sums = Figures::default();
    let gain = |place: usize| 1.0 / libm::log2(place as f64 + 2.0);
    for user in 0..learned.users() {
        let seen = learned.of(user).0;
        let is_new = |item: &u32| seen.binary_search(item).is_err();
        let wanted: Vec<u32> = (held_out.of(user).0.iter().copied())
            .filter(is_new)
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let mut shown: Vec<u32> = Vec::new();
        for item in rank(user as u32)? {
            if shown.len() < k && is_new(&item) && !shown.contains(&item) {
                shown.push(item);
            }
        }
        let (mut hits, mut gains, mut precisions) = (0.0, 0.0, 0.0);
        for (place, item) in shown.iter().enumerate() {
            if wanted.binary_search(item).is_ok() {
                hits += 1.0;
                gains += gain(place);
                precisions += hits / (place as f64 + 1.0);
            }
        }
        let most = wanted.len().min(k);
        sums.users += 1;
        sums.recall += hits / wanted.len() as f64;
        sums.ndcg += gains / (0..most).map(gain).sum::<f64>();
        sums.map += precisions / most as f64;
    }
    if sums.users == 0 {
        return Err(Error::NothingNew);
    }
    let of = sums.users as f64;
    Ok(Figures {
        users: sums.users,
        recall: sums.recall / of,
        ndcg: sums.ndcg / of,
        map: sums.map / of,
    })
}
