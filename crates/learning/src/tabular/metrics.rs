//! Figures of predictions, each with how sure it is: the variance of its influence function over rows (of groups, for rankings). Of
//! an area under the curve this is DeLong, DeLong and Clarke-Pearson 1988. This room must never see a model.

use super::Task;

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// True when more is better.
    pub rises: bool,
}

const fn metric(name: &'static str, rises: bool) -> Metric {
    Metric { name, rises }
}

/// Every figure.
pub const METRICS: [Metric; 13] = [
    metric("auc", true),
    metric("log_loss", false),
    metric("brier", false),
    metric("ks", true),
    metric("rmse", false),
    metric("mae", false),
    metric("r2", true),
    metric("poisson_deviance", false),
    metric("gamma_deviance", false),
    metric("tweedie_deviance", false),
    metric("accuracy", true),
    metric("ndcg_5", true),
    metric("ndcg_10", true),
];

/// What a task is judged by, the first foremost.
pub(super) fn of(task: Task) -> &'static [&'static str] {
    match task {
        Task::Binary => &["auc", "log_loss", "brier", "ks"],
        Task::Regression => &["rmse", "mae", "r2"],
        Task::Poisson => &["poisson_deviance", "rmse", "mae"],
        Task::Gamma => &["gamma_deviance", "rmse", "mae"],
        Task::Tweedie => &["tweedie_deviance", "rmse", "mae"],
        Task::Multiclass => &["log_loss", "accuracy"],
        Task::Rank => &["ndcg_5", "ndcg_10"],
    }
}

/// Rows that are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged<'a> {
    pub(super) task: Task,
    /// Of a rate, how often it happened for a unit of exposure; then weights are multiplied by exposures.
    pub(super) targets: &'a [f64],
    /// Outputs of a row side by side: a probability, a mean, a score, one a class.
    pub(super) predictions: &'a [f64],
    pub(super) weights: Option<&'a [f64]>,
    pub(super) groups: Option<&'a [u64]>,
    pub(super) tweedie_power: f64,
}

/// A figure and its variance; none where the variance is not known.
pub(super) type Found = (f64, Option<f64>);

impl Judged<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[row])
    }

    /// The figure of this name; none where it has no value: an AUC of one class, an r2 of targets that are all alike.
    pub(super) fn figure(&self, name: &str) -> Option<Found> {
        let rows = self.targets.len();
        if rows == 0 {
            return None;
        }
        let (y, p) = (self.targets, self.predictions);
        let found = match name {
            "auc" => auc(p, y, self.weights),
            "ks" => (ks(p, y, self.weights), None),
            "log_loss" if self.task == Task::Multiclass => {
                let classes = p.len() / rows;
                self.mean(|r| -libm::log(p[r * classes + y[r] as usize].max(1e-15)))
            }
            "log_loss" => self.mean(|r| {
                let p = p[r].clamp(1e-15, 1.0 - 1e-15);
                -libm::log(if y[r] > 0.0 { p } else { 1.0 - p })
            }),
            "accuracy" => {
                let classes = p.len() / rows;
                self.mean(|r| {
                    let own = &p[r * classes..(r + 1) * classes];
                    let best = (0..classes).fold(0, |b, c| if own[c] > own[b] { c } else { b });
                    f64::from(u8::from(best == y[r] as usize))
                })
            }
            "brier" => self.mean(|r| (p[r] - y[r]) * (p[r] - y[r])),
            "mae" => self.mean(|r| (p[r] - y[r]).abs()),
            "rmse" => {
                let (mean, variance) = self.mean(|r| (p[r] - y[r]) * (p[r] - y[r]));
                let root = mean.sqrt();
                // The delta method.
                (
                    root,
                    variance.map(|v| v / (4.0 * mean.max(f64::MIN_POSITIVE))),
                )
            }
            "r2" => {
                let (mean, _) = self.mean(|r| y[r]);
                let (own, _) = self.mean(|r| (p[r] - y[r]) * (p[r] - y[r]));
                let (total, _) = self.mean(|r| (mean - y[r]) * (mean - y[r]));
                (1.0 - own / total, None)
            }
            "poisson_deviance" => self.mean(|r| {
                let log = if y[r] > 0.0 {
                    y[r] * libm::log(y[r] / p[r])
                } else {
                    0.0
                };
                2.0 * (log - y[r] + p[r])
            }),
            "gamma_deviance" => self.mean(|r| 2.0 * (y[r] / p[r] - libm::log(y[r] / p[r]) - 1.0)),
            "tweedie_deviance" => {
                let power = self.tweedie_power;
                self.mean(|r| {
                    let own = if y[r] > 0.0 {
                        libm::pow(y[r], 2.0 - power) / ((1.0 - power) * (2.0 - power))
                    } else {
                        0.0
                    };
                    2.0 * (own - y[r] * libm::pow(p[r], 1.0 - power) / (1.0 - power)
                        + libm::pow(p[r], 2.0 - power) / (2.0 - power))
                })
            }
            "ndcg_5" => self.ndcg(5),
            "ndcg_10" => self.ndcg(10),
            _ => return None,
        };
        found.0.is_finite().then_some(found)
    }

    fn mean(&self, of: impl Fn(usize) -> f64) -> Found {
        let rows = self.targets.len();
        let (mut sum, mut total) = (0.0, 0.0);
        for row in 0..rows {
            sum += self.weight(row) * of(row);
            total += self.weight(row);
        }
        let mean = sum / total;
        let mut squares = 0.0;
        for row in 0..rows {
            let off = self.weight(row) * (of(row) - mean);
            squares += off * off;
        }
        (mean, Some(squares / (total * total)))
    }

    /// Mean over groups, which need not follow each other.
    fn ndcg(&self, at: usize) -> Found {
        let Some(groups) = self.groups else {
            return (f64::NAN, None);
        };
        let mut order: Vec<u32> = (0..groups.len() as u32).collect();
        order.sort_by_key(|r| groups[*r as usize]);
        let each: Vec<f64> = (order.chunk_by(|a, b| groups[*a as usize] == groups[*b as usize]))
            .map(|rows| {
                let scores: Vec<f64> = rows.iter().map(|r| self.predictions[*r as usize]).collect();
                let grades: Vec<f64> = rows.iter().map(|r| self.targets[*r as usize]).collect();
                crate::gbdt::ndcg(&scores, &grades, at)
            })
            .collect();
        let n = each.len() as f64;
        let mean = each.iter().sum::<f64>() / n;
        let squares: f64 = each.iter().map(|v| (v - mean) * (v - mean)).sum();
        (mean, Some(squares / (n * n)))
    }
}

/// Rows by ascending score, and runs of equal scores.
fn runs(scores: &[f64]) -> (Vec<u32>, Vec<std::ops::Range<usize>>) {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_unstable_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]));
    let mut out = Vec::new();
    let mut begin = 0;
    while begin < order.len() {
        let score = scores[order[begin] as usize];
        let same = |r: &u32| scores[*r as usize] == score;
        let end = begin + order[begin..].iter().take_while(|r| same(r)).count().max(1);
        out.push(begin..end);
        begin = end;
    }
    (order, out)
}

/// Area under the ROC curve of targets 0 and 1, ties counting half, and its variance; no number where one class is not there.
pub(super) fn auc(scores: &[f64], targets: &[f64], weights: Option<&[f64]>) -> Found {
    let weight = |r: usize| weights.map_or(1.0, |w| w[r]);
    let (order, runs) = runs(scores);
    let (mut all_zeros, mut all_ones) = (0.0, 0.0);
    for (row, target) in targets.iter().enumerate() {
        match *target > 0.0 {
            true => all_ones += weight(row),
            false => all_zeros += weight(row),
        }
    }
    if all_zeros == 0.0 || all_ones == 0.0 {
        return (f64::NAN, None);
    }
    // Of each row the share of the other class that it is on the right side of; then how far that is from the mean.
    let pass = |area: f64| {
        let (mut zeros, mut ones) = (0.0, 0.0);
        let (mut sum, mut of_ones, mut of_zeros) = (0.0, 0.0, 0.0);
        for run in &runs {
            let rows = &order[run.clone()];
            let (mut z, mut o) = (0.0, 0.0);
            for row in rows.iter().map(|r| *r as usize) {
                match targets[row] > 0.0 {
                    true => o += weight(row),
                    false => z += weight(row),
                }
            }
            let one = (zeros + 0.5 * z) / all_zeros;
            let zero = (all_ones - ones - 0.5 * o) / all_ones;
            sum += o * one;
            for row in rows.iter().map(|r| *r as usize) {
                let w = weight(row);
                match targets[row] > 0.0 {
                    true => of_ones += w * w * (one - area) * (one - area),
                    false => of_zeros += w * w * (zero - area) * (zero - area),
                }
            }
            zeros += z;
            ones += o;
        }
        let variance = of_ones / (all_ones * all_ones) + of_zeros / (all_zeros * all_zeros);
        (sum / all_ones, variance)
    };
    let (area, _) = pass(0.0);
    (area, Some(pass(area).1))
}

/// Greatest distance between the distributions of the scores of either class (Kolmogorov and Smirnov).
fn ks(scores: &[f64], targets: &[f64], weights: Option<&[f64]>) -> f64 {
    let weight = |r: usize| weights.map_or(1.0, |w| w[r]);
    let (order, runs) = runs(scores);
    let of = |one: bool| -> f64 {
        (0..scores.len())
            .filter(|r| (targets[*r] > 0.0) == one)
            .map(weight)
            .sum()
    };
    let (all_zeros, all_ones) = (of(false), of(true));
    let (mut zeros, mut ones, mut most) = (0.0, 0.0, 0.0f64);
    for run in runs {
        for row in order[run].iter().map(|r| *r as usize) {
            match targets[row] > 0.0 {
                true => ones += weight(row),
                false => zeros += weight(row),
            }
        }
        most = most.max((zeros / all_zeros - ones / all_ones).abs());
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Areas are those of all pairs.
        #[test]
        fn an_area_is_that_of_all_pairs(
            rows in prop::collection::vec((0u8..6, any::<bool>(), 1u8..4), 2..40)
        ) {
            let scores: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
            let targets: Vec<f64> = rows.iter().map(|r| f64::from(u8::from(r.1))).collect();
            let weights: Vec<f64> = rows.iter().map(|r| f64::from(r.2)).collect();
            let (found, variance) = auc(&scores, &targets, Some(&weights));
            let (mut sum, mut all) = (0.0, 0.0);
            for a in 0..rows.len() {
                for b in 0..rows.len() {
                    if targets[a] > targets[b] {
                        let w = weights[a] * weights[b];
                        all += w;
                        sum += w * if scores[a] > scores[b] { 1.0 } else if scores[a] == scores[b] { 0.5 } else { 0.0 };
                    }
                }
            }
            if all == 0.0 {
                prop_assert!(found.is_nan());
            } else {
                prop_assert!((found - sum / all).abs() < 1e-12);
                prop_assert!(variance.unwrap() >= 0.0);
            }
        }
    }

    /// The variance of an area is that of its replicates, within what a few thousand of them tell.
    #[test]
    fn the_variance_of_an_area_is_that_of_its_replicates() {
        let mut random = luopan_kernel::random::Random::new(4);
        let (mut areas, mut told) = (Vec::new(), 0.0);
        for _ in 0..2_000 {
            let targets: Vec<f64> = (0..120).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
            let scores: Vec<f64> = targets.iter().map(|t| t + random.normal()).collect();
            let (area, variance) = auc(&scores, &targets, None);
            areas.push(area);
            told += variance.unwrap() / 2_000.0;
        }
        let mean = areas.iter().sum::<f64>() / 2_000.0;
        let found = areas.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>() / 2_000.0;
        assert!((told / found - 1.0).abs() < 0.12, "{told} {found}");
    }
}
