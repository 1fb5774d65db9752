//! Who may choose in a quarter, and by which policy of the scene on which day. Nobody has seen an answer before the first.

use super::vw::Peer;

/// The policy of lots, with which whoever cannot explore begins.
pub(crate) const LOTS: &str = "random";
/// The policy of the model that learns online, which explores from the first day on.
const ONLINE: &str = "learned";
/// Days until what was learned in them is used.
pub(crate) const START_DAYS: i64 = 4;
/// Shares of the opportunities that `random` takes: so that the budget lasts for the quarter, and in the first days of those who begin so.
const SHARE: f64 = 0.255;
const START_SHARE: f64 = 0.34;

/// Who chooses.
pub(crate) enum Who<'a> {
    /// Every product and silence alike, to the end.
    Random,
    /// The policy `learned` of the scene from the first day on.
    Learned,
    /// The policy `trees`, behind some days of `learned`; its trees are trained anew every week.
    Trees,
    /// The policy `blended`, likewise.
    Blended,
    /// Vowpal Wabbit, behind some days of lots.
    Peer(&'a mut Peer),
    /// Somebody who knows the chance of every answer: the best product, where its chance is above the price.
    Oracle(f64),
}

impl Who<'_> {
    /// The scene's policies that decide for it.
    pub(crate) fn policies(&self) -> Vec<&'static str> {
        match self {
            Self::Random => vec![LOTS],
            Self::Learned => vec![ONLINE],
            Self::Trees => vec![ONLINE, "trees"],
            Self::Blended => vec![ONLINE, "blended"],
            Self::Peer(_) => vec![LOTS, "imposed"],
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
