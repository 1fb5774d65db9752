//! The Qini curve (Radcliffe 2007) and the uplift curve (Gutierrez and Gérardy 2016), and what is under them. This room must never
//! draw a row.

use super::bootstrap::Interval;
use super::ordered::Sums;

/// What the rows ranked first gained.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Curve {
    /// From no rows to all.
    pub points: Vec<Point>,
}

/// A point of the curves.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Point {
    /// Share of the rows (by weight) that are ranked first.
    pub share: f64,
    /// Qini: outcomes of the treated among them beyond those of as many of the control, for each of all the treated.
    pub qini: f64,
    /// Uplift: the difference of both arms' mean outcomes among them, times their share: gained outcomes for each of all rows.
    pub uplift: f64,
    /// Where `qini` lies, if asked for.
    pub qini_interval: Option<Interval>,
    /// Where `uplift` lies, if asked for.
    pub uplift_interval: Option<Interval>,
}

impl Point {
    pub(super) fn of(sums: &Sums, all: &Sums) -> Self {
        let share = sums.weight() / all.weight();
        Self {
            share,
            qini: sums.gained() / all.weights[1],
            uplift: sums.lift() * share,
            qini_interval: None,
            uplift_interval: None,
        }
    }
}

/// Areas by the trapezoid rule, between the points at which groups end, and where the curves end: not divided by anything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Areas {
    pub(super) all: Sums,
    /// Under the Qini curve.
    pub(super) qini: f64,
    /// Under the uplift curve.
    pub(super) uplift: f64,
}

impl Areas {
    pub(super) fn of(groups: &[Sums]) -> Self {
        let mut out = Self::default();
        let mut last = [0.0; 3];
        for group in groups {
            out.all.add(group, 1.0);
            let weight = out.all.weight();
            let now = [weight, out.all.gained(), out.all.lift() * weight];
            let half = (now[0] - last[0]) / 2.0;
            out.qini += half * (now[1] + last[1]);
            out.uplift += half * (now[2] + last[2]);
            last = now;
        }
        out
    }

    /// What is above the straight line of a ranking that knows nothing.
    pub(super) fn above(&self) -> [f64; 2] {
        let weight = self.all.weight();
        [
            self.qini - weight * self.all.gained() / 2.0,
            self.uplift - weight * (self.all.lift() * weight) / 2.0,
        ]
    }

    /// The same of the best rankings there are of outcomes of 0 and 1, as scikit-uplift ranks them: for the Qini curve the treated
    /// with an outcome first and the control's with one last; for the uplift curve also the control's without one second.
    pub(super) fn perfect(&self) -> [f64; 2] {
        let all = &self.all;
        let some = |arm: usize| all.outcomes[arm];
        let none = |arm: usize| all.weights[arm] - all.outcomes[arm];
        let group = |control: [f64; 2], treated: [f64; 2]| {
            let weights = [control[0], treated[0]];
            Sums {
                rows: weights.map(|weight| f64::from(u8::from(weight > 0.0))),
                weights,
                outcomes: [control[1], treated[1]],
                scores: [0.0; 2],
            }
        };
        let nothing = [0.0; 2];
        let with = |arm: usize| [some(arm), some(arm)];
        let without = |arm: usize| [none(arm), 0.0];
        let qini = [
            group(nothing, with(1)),
            group(without(0), without(1)),
            group(with(0), nothing),
        ];
        let [mut third, mut last] = [group(with(0), nothing), group(nothing, without(1))];
        if some(0) <= none(1) {
            core::mem::swap(&mut third, &mut last);
        }
        let uplift = [
            group(nothing, with(1)),
            group(without(0), nothing),
            third,
            last,
        ];
        [Self::of(&qini).above()[0], Self::of(&uplift).above()[1]]
    }
}

/// Means of the curves over their values behind every row and the zero before the first, as causalml takes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// Of the Qini curve, and its end.
    pub(super) qini: [f64; 2],
    /// Of the uplift curve, and its end.
    pub(super) uplift: [f64; 2],
}

/// Before both arms (for Qini: before the control) have a row there is no value: one is put in between linearly, as causalml does.
pub(super) fn means(groups: &[Sums]) -> Means {
    let mut before = Sums::default();
    // Row numbers and, for the uplift curve, row numbers times weight, while there is no value yet.
    let (mut waiting, mut waiting_weight) = (0.0, 0.0);
    let (mut qini, mut uplift) = ([0.0; 2], [0.0; 2]);
    let mut row = 0.0;
    let (mut has_control, mut has_both) = (false, false);
    for group in groups {
        let count = group.count();
        for at in 1..=count as u64 {
            let mut now = before;
            now.add(group, at as f64 / count);
            row += 1.0;
            if now.rows[0] > 0.0 {
                let value = now.gained();
                if !has_control {
                    has_control = true;
                    qini[0] += value / row * waiting;
                }
                qini = [qini[0] + value, value];
            }
            if now.rows[0] > 0.0 && now.rows[1] > 0.0 {
                let (lift, weight) = (now.lift(), now.weight());
                if !has_both {
                    has_both = true;
                    uplift[0] += lift / row * waiting_weight;
                }
                uplift = [uplift[0] + lift * weight, lift * weight];
            }
            if !has_both {
                waiting_weight += row * now.weight();
            }
            if !has_control {
                waiting += row;
            }
        }
        before.add(group, 1.0);
    }
    let rows = row + 1.0;
    Means {
        qini: [qini[0] / rows, qini[1]],
        uplift: [uplift[0] / rows, uplift[1]],
    }
}
