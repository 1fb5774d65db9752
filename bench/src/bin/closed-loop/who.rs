//! Who may choose in a quarter, and by which policy of the scene on which day. Whoever learns begins with a week of lots.

use super::vw::Peer;

/// The policy of the first week of all who learn, and days of it.
pub(crate) const START: &str = "random";
pub(crate) const START_DAYS: i64 = 7;
/// Shares of the opportunities that `random` takes: so that the budget lasts for the quarter, and in the first week of those who learn.
const SHARE: f64 = 0.255;
const START_SHARE: f64 = 0.34;

/// Who chooses.
pub(crate) enum Who<'a> {
    /// Every product and silence alike, to the end.
    Random,
    /// The policy `learned` of the scene, behind the first week.
    Learned,
    /// The policy `trees`, behind the first week; its trees are trained anew every week.
    Trees,
    /// The policy `blended`, likewise.
    Blended,
    /// Vowpal Wabbit, behind the first week.
    Peer(&'a mut Peer),
    /// Somebody who knows the chance of every answer: the best product, where its chance is above the price.
    Oracle(f64),
}

impl Who<'_> {
    /// The scene's policies that decide for it.
    pub(crate) fn policies(&self) -> Vec<&'static str> {
        match self {
            Self::Random => vec![START],
            Self::Learned => vec![START, "learned"],
            Self::Trees => vec![START, "trees"],
            Self::Blended => vec![START, "blended"],
            Self::Peer(_) => vec![START, "imposed"],
            Self::Oracle(_) => vec!["imposed"],
        }
    }

    /// The policy that decides on a day of the quarter.
    pub(crate) fn policy(&self, day: i64) -> &'static str {
        let all = self.policies();
        let at = usize::from(day >= START_DAYS).min(all.len() - 1);
        all[at]
    }

    /// The share of the opportunities at which lots are drawn.
    pub(crate) fn share(&self) -> f64 {
        match self {
            Self::Random => SHARE,
            _ => START_SHARE,
        }
    }
}
