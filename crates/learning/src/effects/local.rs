//! Accumulated local effects of one feature (Apley and Zhu 2020, equations 15 to 17 of numbers, section 5.6 of categories).
//! Rows are moved to the neighbouring values of their own alone, so that no model is asked of what never happens.

use super::{Axis, Predict, Rows};
use crate::tabular::Error;

/// What a feature adds, on the scale of the predictions. Its mean over rows is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Local {
    /// At each value of the axis.
    pub effects: Vec<f64>,
    /// Rows at each place of the axis: between two edges, or of a category.
    pub counts: Vec<usize>,
    /// Of numbers, what a missing one adds, and in how many rows: the mean, over these rows, of what changes from the middle value to
    /// missing, on top of the effect at the middle value.
    pub missing: Option<(f64, usize)>,
    /// Rows of categories that are not told.
    pub others: usize,
}

impl Local {
    /// The effect at each place, half way between the edges of a number; and the missing one behind.
    fn by_place(&self, axis: &Axis) -> Vec<(f64, usize)> {
        let middles = axis.middles(&self.effects);
        let told = middles.into_iter().zip(self.counts.iter().copied());
        told.chain(self.missing).collect()
    }

    /// How much the effect differs between rows: its standard deviation.
    pub fn deviation(&self, axis: &Axis) -> f64 {
        let all = self.by_place(axis);
        let rows: usize = all.iter().map(|(_, n)| n).sum();
        let squares: f64 = all.iter().map(|(v, n)| v * v * *n as f64).sum();
        libm::sqrt(squares / rows.max(1) as f64)
    }
}

/// Accumulated local effects of a column.
///
/// # Errors
/// What the model refuses.
pub fn first_order(
    rows: &mut Rows,
    at: usize,
    axis: &Axis,
    predict: &Predict<'_>,
) -> Result<Local, Error> {
    let column = rows.column(at).to_vec();
    let values = axis.values();
    let mut sums = vec![0.0; axis.steps()];
    let mut moved = vec![0usize; axis.steps()];
    for side in 0..2 {
        let steps: Vec<Option<usize>> = column.iter().map(|v| axis.moves(*v)[side]).collect();
        if steps.iter().all(Option::is_none) {
            continue;
        }
        let to = |off: usize| -> Vec<f64> {
            let own = steps.iter().zip(&column);
            own.map(|(s, v)| s.map_or(*v, |s| values[s + off]))
                .collect()
        };
        let below = rows.ask(vec![(at, to(0))], predict)?;
        let above = rows.ask(vec![(at, to(1))], predict)?;
        for (row, step) in steps.iter().enumerate() {
            if let Some(step) = step {
                sums[*step] += above[row] - below[row];
                moved[*step] += 1;
            }
        }
    }
    let mut effects = vec![0.0; values.len()];
    for step in 0..axis.steps() {
        let mean = match moved[step] {
            0 => 0.0,
            n => sums[step] / n as f64,
        };
        effects[step + 1] = effects[step] + mean;
    }
    let mut counts = vec![0usize; axis.places()];
    let mut without: Vec<u32> = Vec::new();
    for (row, v) in column.iter().enumerate() {
        match axis.place(*v) {
            Some(place) => counts[place] += 1,
            None => without.push(row as u32),
        }
    }
    let is_number = matches!(axis, Axis::Number(_));
    let missing = match (is_number && !without.is_empty(), values.is_empty()) {
        (false, _) => None,
        (true, true) => Some((0.0, without.len())),
        (true, false) => {
            let middle = values.len() / 2;
            let mut own = rows.take(&without);
            let known = own.at(at, values[middle], predict)?;
            let unknown = own.ask(Vec::new(), predict)?;
            let sum: f64 = unknown.iter().zip(&known).map(|(u, k)| u - k).sum();
            let n = without.len();
            Some((effects[middle] + sum / n as f64, n))
        }
    };
    let mut out = Local {
        effects,
        counts,
        missing,
        others: if is_number { 0 } else { without.len() },
    };
    let all = out.by_place(axis);
    let count: usize = all.iter().map(|(_, n)| n).sum();
    let centre = all.iter().map(|(v, n)| v * *n as f64).sum::<f64>() / count.max(1) as f64;
    out.effects.iter_mut().for_each(|v| *v -= centre);
    if let Some((v, _)) = &mut out.missing {
        *v -= centre;
    }
    Ok(out)
}
