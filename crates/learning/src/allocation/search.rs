//! Whole choices where rounding found none: branch and bound over the relaxed problem (Land and Doig 1960). A customer that the
//! relaxation splits is given each of her actions in turn, and what cannot be kept even with the others split is ruled out. This room
//! must never say that nothing is possible before everything else was ruled out.

use super::dual::{Restricted, Scales};
use super::fill::Moves;
use super::lines::Lines;
use super::round;
use super::rows::{NOTHING, Rows};

/// Most nodes, and cells of tables in all of them.
const NODES_MAX: usize = 4_000;
const CELLS_MAX: usize = 20_000_000;
/// Nodes that are looked at for something better once something was found.
const NODES_MORE: usize = 200;
/// Share of the value by which bounds of a node may be off.
const TOLERANCE: f64 = 1e-7;
/// Shares that a whole choice may lack by rounding.
const SPLIT_LEAST: f64 = 1e-9;
/// How far limits are drawn in where sums in another order exceed them by rounding.
const MARGINS: [f64; 2] = [0.0, 1e-12];

/// What came of a search.
pub(super) enum Searched {
    /// Choices that keep all limits.
    Found(Vec<u16>),
    /// There are none.
    Nothing,
    /// None was found, and not all were ruled out.
    Undecided,
}

/// Customers' choices are searched for besides what others take.
pub(super) struct Search<'a> {
    pub(super) lines: &'a Lines<'a>,
    pub(super) rows: &'a Rows<'a>,
    pub(super) scales: &'a Scales,
    /// What these customers may take of each limit.
    pub(super) limits: Vec<f64>,
}

/// Customers whose choice is made, the others' prices to start from.
struct Node {
    made: Vec<(u32, u16)>,
    prices: Vec<f64>,
}

impl Search<'_> {
    /// Searches; `keeps` says of choices whether they keep all limits, summed as anybody would.
    pub(super) fn run(&self, prices: &[f64], keeps: impl Fn(&[u16]) -> bool) -> Searched {
        let cells = (self.rows.count * self.lines.actions).max(1);
        let mut left = NODES_MAX.min((CELLS_MAX / cells).max(1));
        let mut best: Option<(f64, Vec<u16>)> = None;
        let mut nodes = vec![Node {
            made: Vec::new(),
            prices: prices.to_vec(),
        }];
        while let Some(node) = nodes.pop() {
            if left == 0 {
                return best.map_or(Searched::Undecided, |(_, found)| Searched::Found(found));
            }
            left -= 1;
            let Some((found, split)) = self.look(&node, best.as_ref().map(|b| b.0), &keeps) else {
                continue;
            };
            if let Some((value, choices)) = found
                && best.as_ref().is_none_or(|(most, _)| value > *most)
            {
                if best.is_none() {
                    left = left.min(NODES_MORE);
                }
                best = Some((value, choices));
            }
            let Some(split) = split else { continue };
            // The last one is looked at first.
            for action in split.actions.iter().rev() {
                let mut made = node.made.clone();
                made.push((split.row, *action));
                nodes.push(Node {
                    made,
                    prices: split.prices.clone(),
                });
            }
        }
        best.map_or(Searched::Nothing, |(_, found)| Searched::Found(found))
    }

    /// What a node has: whole choices with their value, where some were found, and whose choice is made next, where anybody's is left.
    /// None of a node that is ruled out.
    fn look(
        &self,
        node: &Node,
        most: Option<f64>,
        keeps: &impl Fn(&[u16]) -> bool,
    ) -> Option<(Option<Whole>, Option<Split>)> {
        let mut choices = vec![NOTHING; self.rows.count];
        let mut is_made = vec![false; self.rows.count];
        for (row, action) in &node.made {
            choices[*row as usize] = *action;
            is_made[*row as usize] = true;
        }
        let open: Vec<u32> = (0..self.rows.count as u32)
            .filter(|row| !is_made[*row as usize])
            .collect();
        let mut sums = super::rows::Sums::none(self.lines);
        for (row, action) in &node.made {
            self.rows.add(*row as usize, *action, &mut sums);
        }
        let (value, used) = (self.lines.value(&sums), self.lines.usage(&sums));
        let limits: Vec<f64> = self.limits.iter().zip(&used).map(|(l, u)| l - u).collect();
        let rows = self.rows.take(&open);
        let restricted = Restricted {
            lines: self.lines,
            rows: &rows,
            limits: limits.clone(),
            scales: self.scales,
            settled: value,
            tolerance: TOLERANCE,
        };
        let solved = restricted.solve(std::slice::from_ref(&node.prices)).ok()?;
        let bound = value + solved.relaxed;
        if most.is_some_and(|most| bound <= most + 10.0 * TOLERANCE * most.abs()) {
            return None;
        }
        let rounded = round::round(self.lines, &rows, self.scales, &solved.mixture);
        let mut found = None;
        for margin in MARGINS {
            let limits: Vec<f64> = (limits.iter().zip(&self.scales.limits))
                .map(|(limit, scale)| limit - margin * scale)
                .collect();
            let moves = Moves {
                lines: self.lines,
                rows: &rows,
                scales: self.scales,
                prices: &solved.prices,
                limits: &limits,
            };
            let mut inner = rounded.clone();
            let mut used = self.lines.usage(&rows.summed(self.lines, &inner));
            if moves.repair(&mut inner, &mut used) > 0.0 {
                continue;
            }
            moves.fill(&mut inner, &mut used);
            for (row, action) in open.iter().zip(&inner) {
                choices[*row as usize] = *action;
            }
            if keeps(&choices) {
                let value = self.lines.value(&self.rows.summed(self.lines, &choices));
                found = Some((value, choices));
                break;
            }
        }
        let split = Split::of(self.lines, &rows, &open, solved);
        Some((found, split))
    }
}

/// Whole choices of all rows, with their value.
type Whole = (f64, Vec<u16>);

/// Whose choice is made next.
struct Split {
    row: u32,
    /// What she may get, what the relaxation gives her most of first.
    actions: Vec<u16>,
    prices: Vec<f64>,
}

impl Split {
    /// Who is split most evenly; where nobody is, the first.
    fn of(
        lines: &Lines<'_>,
        rows: &Rows<'_>,
        open: &[u32],
        solved: super::dual::Solved,
    ) -> Option<Self> {
        let ways = lines.actions + 1;
        let place = |action: u16| match action {
            NOTHING => lines.actions,
            action => usize::from(action),
        };
        let mut shares = vec![0.0; rows.count * ways];
        for (asked, share) in &solved.mixture {
            match asked {
                None => (0..rows.count).for_each(|row| shares[row * ways + lines.actions] += share),
                Some(asked) => {
                    let at = lines.coefficients(asked.valued, &asked.prices);
                    rows.choose(lines, &at, |row, chosen| {
                        shares[row * ways + place(chosen)] += share;
                    });
                }
            }
        }
        let most = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
        let mut next: Option<(usize, f64)> = None;
        for (row, of) in shares.chunks_exact(ways).enumerate() {
            let whole = most(of) + SPLIT_LEAST;
            let own = whole.min(1.0);
            if next.is_none_or(|(_, least)| own < least) {
                next = Some((row, own));
            }
        }
        let (row, _) = next?;
        let mut scores = vec![0.0; lines.actions];
        rows.scores(row, &lines.coefficients(true, &solved.prices), &mut scores);
        let own = &shares[row * ways..(row + 1) * ways];
        let worth = |action: u16| scores.get(usize::from(action)).copied().unwrap_or(0.0);
        let mut actions: Vec<u16> = (0..lines.actions as u16)
            .chain([NOTHING])
            .filter(|action| worth(*action) > f64::NEG_INFINITY)
            .collect();
        actions.sort_by(|a, b| {
            let by_share = own[place(*b)].total_cmp(&own[place(*a)]);
            by_share.then(worth(*b).total_cmp(&worth(*a)))
        });
        Some(Self {
            row: open[row],
            actions,
            prices: solved.prices,
        })
    }
}
