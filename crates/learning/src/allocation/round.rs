//! A mixture of whole solutions as one: where they differ, each customer takes the choice that keeps the sums so far nearest to the
//! mixture's, so that what is spent and what it is worth go astray by a few customers' amounts and not by many. This room must never
//! judge whether limits are kept.

use super::dual::{Asked, Scales};
use super::lines::Lines;
use super::rows::{NOTHING, Rows};

/// The choice of each row.
pub(super) fn round(
    lines: &Lines<'_>,
    rows: &Rows<'_>,
    scales: &Scales,
    mixture: &[(Option<Asked>, f64)],
) -> Vec<u16> {
    let mut runs: Vec<(Vec<u16>, f64)> = Vec::new();
    for (asked, share) in mixture {
        let mut run = vec![NOTHING; rows.count];
        if let Some(asked) = asked {
            let at = lines.coefficients(asked.valued, &asked.prices);
            rows.choose(lines, &at, |row, chosen| run[row] = chosen);
        }
        runs.push((run, *share));
    }
    // What a choice amounts to of each limit, and what it is worth, by their scales.
    let amounts = |row: usize, action: u16, out: &mut Vec<f64>| {
        out.clear();
        let limits = lines.limits.iter().zip(&scales.limits);
        out.extend(
            limits.map(|(line, scale)| line.sign * rows.amount(&line.source, row, action) / scale),
        );
        let worth = lines.objectives.iter();
        let worth: f64 = worth
            .map(|(source, w)| w * rows.amount(source, row, action))
            .sum();
        out.push(worth / scales.value);
    };
    let mut astray = vec![0.0; lines.limits.len() + 1];
    let (mut mean, mut own) = (vec![0.0; astray.len()], Vec::new());
    let mut chosen = Vec::with_capacity(rows.count);
    for row in 0..rows.count {
        let first = runs.first().map_or(NOTHING, |(run, _)| run[row]);
        if runs.iter().all(|(run, _)| run[row] == first) {
            chosen.push(first);
            continue;
        }
        mean.fill(0.0);
        for (run, share) in &runs {
            amounts(row, run[row], &mut own);
            for (mean, own) in mean.iter_mut().zip(&own) {
                *mean += share * own;
            }
        }
        let mut best: Option<(f64, u16)> = None;
        for (run, _) in &runs {
            amounts(row, run[row], &mut own);
            let far = astray.iter().zip(&mean).zip(&own);
            let far: f64 = far
                .map(|((astray, mean), own)| (astray + own - mean).powi(2))
                .sum();
            if best.is_none_or(|(least, _)| far < least) {
                best = Some((far, run[row]));
            }
        }
        let taken = best.map_or(NOTHING, |(_, action)| action);
        amounts(row, taken, &mut own);
        for ((astray, mean), own) in astray.iter_mut().zip(&mean).zip(&own) {
            *astray += own - mean;
        }
        chosen.push(taken);
    }
    chosen
}
