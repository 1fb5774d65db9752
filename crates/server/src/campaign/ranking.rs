//! How well scores, each recorded before its outcome was known, put those who say yes before those who say no. It must never
//! use an outcome to choose the score or the threshold of the same row.

use super::statistics::Moments;

/// Calls of one block of the figures.
pub(super) const BLOCK: usize = 1_000;
/// The best this share of all calls.
const TOP: f64 = 0.2;

/// Scores and answers in the order of the calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranking {
    calls: Vec<(f64, bool)>,
    /// Calls whose score was at or above the threshold when it was given, and the yeses among them.
    above: (u64, u64),
    answers: Moments,
}

impl Ranking {
    /// Takes a call with the score that it had before; `threshold`: from where it would have been made.
    pub(super) fn add(&mut self, score: f64, yes: bool, threshold: Option<f64>) {
        self.calls.push((score, yes));
        self.answers.add(f64::from(u8::from(yes)));
        if threshold.is_some_and(|t| score >= t) {
            self.above.0 += 1;
            self.above.1 += u64::from(yes);
        }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    fn yeses(&self) -> u64 {
        self.calls.iter().filter(|(_, yes)| *yes).count() as u64
    }

    pub(super) fn base_rate(&self) -> Option<f64> {
        self.answers.share().map(|s| s.value)
    }

    /// Area under the curve over all calls.
    pub(super) fn auc(&self) -> Option<f64> {
        auc(&self.calls)
    }

    /// Area under the curve of each block of [`BLOCK`] calls in order, the last one shorter; none where all said the same.
    pub(super) fn block_auc(&self) -> Vec<Option<f64>> {
        self.calls.chunks(BLOCK).map(auc).collect()
    }

    /// Area under the curve of each fifth of the calls in order.
    pub(super) fn fifths(&self) -> Vec<Option<f64>> {
        let n = self.calls.len();
        (0..5)
            .map(|i| auc(&self.calls[n * i / 5..n * (i + 1) / 5]))
            .collect()
    }

    /// Share of the yeses among the fifth of the calls with the highest scores. Calls that tie where the fifth ends count
    /// in proportion.
    pub(super) fn share_in_top(&self) -> Option<f64> {
        let yeses = self.yeses();
        if yeses == 0 {
            return None;
        }
        let mut sorted = self.calls.clone();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut room = TOP * sorted.len() as f64;
        let mut found = 0.0;
        for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
            let n = ties.len() as f64;
            let yes = ties.iter().filter(|(_, yes)| *yes).count() as f64;
            if n >= room {
                found += yes * room / n;
                break;
            }
            found += yes;
            room -= n;
        }
        Some(found / yeses as f64)
    }

    /// Share of the calls at or above the threshold, and of the yeses among them.
    pub(super) fn above(&self) -> Option<(f64, f64)> {
        let (calls, yeses) = (self.calls.len(), self.yeses());
        (calls > 0 && yeses > 0).then(|| {
            (
                self.above.0 as f64 / calls as f64,
                self.above.1 as f64 / yeses as f64,
            )
        })
    }
}

/// Area under the ROC curve: the probability that a yes has a higher score than a no, ties counting half (Mann and Whitney
/// 1947). None without a yes and a no.
fn auc(calls: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = calls.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    let (mut yeses, mut noes) = (0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let yes = ties.iter().filter(|(_, yes)| *yes).count() as f64;
        let no = ties.len() as f64 - yes;
        won += yes * (below + no / 2.0);
        below += no;
        yeses += yes;
        noes += no;
    }
    (yeses > 0.0 && noes > 0.0).then(|| won / (yeses * noes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranking(calls: &[(f64, bool)], threshold: Option<f64>) -> Ranking {
        let mut out = Ranking::default();
        calls
            .iter()
            .for_each(|(score, yes)| out.add(*score, *yes, threshold));
        out
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(auc(&[(0.1, false), (0.9, true)]), Some(1.0));
        assert_eq!(auc(&[(0.9, false), (0.1, true)]), Some(0.0));
        assert_eq!(auc(&[(0.5, false), (0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.5, true)]), None);
        assert_eq!(auc(&[]), None);
    }

    #[test]
    fn the_best_fifth() {
        let calls: Vec<(f64, bool)> = (0..10).map(|i| (f64::from(i), i >= 6)).collect();
        assert_eq!(ranking(&calls, None).share_in_top(), Some(0.5));
        let ties: Vec<(f64, bool)> = (0..10).map(|i| (1.0, i < 5)).collect();
        assert_eq!(ranking(&ties, None).share_in_top(), Some(0.2));
        let (called, found) = ranking(&calls, Some(5.0)).above().unwrap();
        assert_eq!((called, found), (0.5, 1.0));
    }

    #[test]
    fn blocks_and_fifths_are_in_order() {
        let calls: Vec<(f64, bool)> = (0..2_500).map(|i| (f64::from(i % 7), i % 3 == 0)).collect();
        let found = ranking(&calls, None);
        assert_eq!(found.block_auc().len(), 3);
        assert_eq!(found.block_auc()[2], auc(&calls[2_000..]));
        assert_eq!(found.fifths()[1], auc(&calls[500..1_000]));
    }

    proptest! {
        #[test]
        fn auc_is_the_share_of_pairs_in_order(calls in prop::collection::vec((0u8..6, any::<bool>()), 2..60)) {
            let calls: Vec<(f64, bool)> = calls.into_iter().map(|(s, y)| (f64::from(s), y)).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (yes, _) in calls.iter().filter(|c| c.1) {
                for (no, _) in calls.iter().filter(|c| !c.1) {
                    pairs += 1.0;
                    won += if yes > no { 1.0 } else if yes == no { 0.5 } else { 0.0 };
                }
            }
            match auc(&calls) {
                None => prop_assert_eq!(pairs, 0.0),
                Some(found) => prop_assert!((found - won / pairs).abs() < 1e-12),
            }
        }
    }
}
