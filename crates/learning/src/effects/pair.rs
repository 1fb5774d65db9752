//! Accumulated local effects of two features together, beyond what each adds alone (Apley and Zhu 2020, equations 18 to 20). Rows
//! in which either is missing are not looked at.

use super::{Axis, Predict, Rows};
use crate::tabular::Error;

/// What two features add together beyond what each adds alone. Of a model that adds them up it is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// At the values of both axes, those of the second side by side.
    pub effects: Vec<f64>,
    /// Rows at the places of both axes, those of the second side by side.
    pub counts: Vec<usize>,
    /// Rows that were not looked at.
    pub others: usize,
}

impl Second {
    /// How much it differs between rows: its standard deviation.
    pub fn deviation(&self, axes: [&Axis; 2]) -> f64 {
        let middles = middles(&self.effects, axes);
        let rows: usize = self.counts.iter().sum();
        let squares = middles
            .iter()
            .zip(&self.counts)
            .map(|(v, n)| v * v * *n as f64);
        libm::sqrt(squares.sum::<f64>() / rows.max(1) as f64)
    }
}

/// Accumulated local effects of two columns.
///
/// # Errors
/// What the model refuses, and pairs without a row in which both are known.
pub fn second_order(
    rows: &mut Rows,
    at: [usize; 2],
    axes: [&Axis; 2],
    predict: &Predict<'_>,
) -> Result<Second, Error> {
    let [first, second] = at.map(|at| rows.column(at).to_vec());
    let [a, b] = axes;
    let steps = [a.steps(), b.steps()];
    let mut sums = vec![0.0; steps[0] * steps[1]];
    let mut moved = vec![0usize; steps[0] * steps[1]];
    for sides in [[0, 0], [0, 1], [1, 0], [1, 1]] {
        let cells: Vec<Option<[usize; 2]>> = (first.iter().zip(&second))
            .map(|(x, y)| Some([a.moves(*x)[sides[0]]?, b.moves(*y)[sides[1]]?]))
            .collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let mut corner = |off: [usize; 2]| {
            let to = |which: usize, column: &[f64]| -> Vec<f64> {
                let values = axes[which].values();
                (cells.iter().zip(column))
                    .map(|(c, v)| c.map_or(*v, |c| values[c[which] + off[which]]))
                    .collect()
            };
            rows.ask(
                vec![(at[0], to(0, &first)), (at[1], to(1, &second))],
                predict,
            )
        };
        let [low, right, up, far] = [
            corner([0, 0])?,
            corner([0, 1])?,
            corner([1, 0])?,
            corner([1, 1])?,
        ];
        for (row, cell) in cells.iter().enumerate() {
            if let Some([i, j]) = cell {
                sums[i * steps[1] + j] += (far[row] - up[row]) - (right[row] - low[row]);
                moved[i * steps[1] + j] += 1;
            }
        }
    }
    let mut counts = vec![0usize; a.places() * b.places()];
    let mut others = 0;
    for (x, y) in first.iter().zip(&second) {
        match (a.place(*x), b.place(*y)) {
            (Some(i), Some(j)) => counts[i * b.places() + j] += 1,
            _ => others += 1,
        }
    }
    if moved.iter().all(|n| *n == 0) {
        return Err(Error::Rows {
            found: 0,
            least: 1,
            of: "a pair, of rows in which both are known,",
        });
    }
    let means = filled(&sums, &moved, axes);
    let width = b.values().len();
    let mut effects = vec![0.0; a.values().len() * width];
    for i in 0..steps[0] {
        let mut along = 0.0;
        for j in 0..steps[1] {
            along += means[i * steps[1] + j];
            effects[(i + 1) * width + j + 1] = effects[i * width + j + 1] + along;
        }
    }
    let alone = [
        main(&effects, &counts, axes, 0),
        main(&effects, &counts, axes, 1),
    ];
    for (i, line) in effects.chunks_mut(width).enumerate() {
        for (j, v) in line.iter_mut().enumerate() {
            *v -= alone[0][i] + alone[1][j];
        }
    }
    let all: usize = counts.iter().sum();
    let middles = middles(&effects, axes);
    let total = middles.iter().zip(&counts).map(|(v, n)| v * *n as f64);
    let centre = total.sum::<f64>() / all.max(1) as f64;
    effects.iter_mut().for_each(|v| *v -= centre);
    Ok(Second {
        effects,
        counts,
        others,
    })
}

/// Where along its axis a step is, from 0 to 1.
fn along(axis: &Axis, step: usize) -> f64 {
    match axis {
        Axis::Category(_) => step as f64 / axis.steps() as f64,
        Axis::Number(edges) => {
            let (least, most) = (edges[0], edges[edges.len() - 1]);
            (edges[step] / 2.0 + edges[step + 1] / 2.0 - least) / (most - least)
        }
    }
}

/// Means of cells; one without rows has that of the nearest with some.
fn filled(sums: &[f64], moved: &[usize], axes: [&Axis; 2]) -> Vec<f64> {
    let width = axes[1].steps();
    let mean = |cell: usize| sums[cell] / moved[cell] as f64;
    let place = |cell: usize| [along(axes[0], cell / width), along(axes[1], cell % width)];
    let there: Vec<(usize, [f64; 2])> = (0..sums.len())
        .filter(|c| moved[*c] > 0)
        .map(|c| (c, place(c)))
        .collect();
    (0..sums.len())
        .map(|cell| {
            if moved[cell] > 0 {
                return mean(cell);
            }
            let own = place(cell);
            let off = |(_, p): &(usize, [f64; 2])| {
                let [x, y] = [p[0] - own[0], p[1] - own[1]];
                x * x + y * y
            };
            let near = there.iter().min_by(|x, y| off(x).total_cmp(&off(y)));
            near.map_or(0.0, |(c, _)| mean(*c))
        })
        .collect()
}

/// What a surface does along one axis, on average over the rows of each step.
fn main(effects: &[f64], counts: &[usize], axes: [&Axis; 2], which: usize) -> Vec<f64> {
    let (own, other) = (axes[which], axes[1 - which]);
    let width = axes[1].values().len();
    let effect = |i: usize, j: usize| match which {
        0 => effects[i * width + j],
        _ => effects[j * width + i],
    };
    let count = |place: usize, beside: usize| match which {
        0 => counts[place * axes[1].places() + beside],
        _ => counts[beside * axes[1].places() + place],
    };
    let mut out = vec![0.0; own.values().len()];
    for step in 0..own.steps() {
        let rises: Vec<f64> = (0..other.values().len())
            .map(|j| effect(step + 1, j) - effect(step, j))
            .collect();
        let (mut sum, mut all) = (0.0, 0);
        for (beside, rise) in other.middles(&rises).iter().enumerate() {
            let rows = match own {
                Axis::Number(_) => count(step, beside),
                Axis::Category(_) => count(step, beside) + count(step + 1, beside),
            };
            sum += rise * rows as f64;
            all += rows;
        }
        out[step + 1] = out[step] + if all > 0 { sum / all as f64 } else { 0.0 };
    }
    out
}

/// A surface at the places of both axes.
fn middles(effects: &[f64], axes: [&Axis; 2]) -> Vec<f64> {
    let width = axes[1].values().len();
    let lines: Vec<Vec<f64>> = effects.chunks(width).map(|l| axes[1].middles(l)).collect();
    let mut out = vec![0.0; axes[0].places() * axes[1].places()];
    for j in 0..axes[1].places() {
        let column: Vec<f64> = lines.iter().map(|l| l[j]).collect();
        for (i, v) in axes[0].middles(&column).into_iter().enumerate() {
            out[i * axes[1].places() + j] = v;
        }
    }
    out
}
