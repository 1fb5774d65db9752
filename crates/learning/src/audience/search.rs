//! The search for rules.

use super::bits::Bits;
use super::literals::{Literal, literals};
use super::refine::{cleaned, refine};
use super::{Error, Method, Rule, Rules, Settings};
use crate::columns;
use crate::tabular::Frame;

/// Most rounds in which all rules are sought again.
const ROUNDS_MAX: usize = 20;

/// What rules are sought in.
pub(super) struct Space<'a> {
    pub(super) frame: &'a Frame,
    pub(super) settings: &'a Settings,
    /// Rows learned from.
    pub(super) rows: Vec<usize>,
    /// In the audience, by place among the rows.
    pub(super) inside: Bits,
    pub(super) outside: Bits,
    /// Least rows of a rule.
    pub(super) support: u64,
    /// What a condition has to add.
    pub(super) price: f64,
    pub(super) literals: Vec<Literal>,
}

/// A rule with the rows that it holds.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) rows: Bits,
}

/// Finds rules for the audience on the rows that are not held out. The same rows in another order give the same.
///
/// # Errors
/// Settings and values that cannot be used, columns of another length, nobody or everybody in the audience, limits that no rule keeps.
pub fn find(
    frame: &Frame,
    audience: &[bool],
    held_out: &[bool],
    settings: &Settings,
) -> Result<Rules, Error> {
    lengths(frame, audience, held_out)?;
    settings.check(frame)?;
    let rows: Vec<usize> = (0..frame.rows()).filter(|row| !held_out[*row]).collect();
    let inside = Bits::of(rows.len(), |at| audience[rows[at]]);
    let picked = inside.count();
    if picked == 0 || picked == rows.len() as u64 {
        return Err(Error::OneSided {
            rows: rows.len(),
            which: "to learn from",
            picked: picked as usize,
        });
    }
    let space = Space {
        literals: literals(frame, &rows, &inside, settings),
        outside: Bits::of(rows.len(), |at| !inside.has(at)),
        support: (libm::ceil(settings.support_least * rows.len() as f64) as u64).max(1),
        price: settings.condition_cost * picked as f64,
        inside,
        rows,
        frame,
        settings,
    };
    let mut found: Vec<Found> = Vec::new();
    while found.len() < settings.rules_max {
        let Some(next) = space.best(&space.union(&found, None)) else {
            break;
        };
        found.push(next);
    }
    if settings.method == Method::Revised {
        space.revise(&mut found);
    }
    if found.is_empty() {
        return Err(Error::NoRule {
            conditions: settings.conditions_max,
            support: space.support,
            purity: settings.purity_least,
        });
    }
    Ok(Rules {
        rules: space.ordered(found),
    })
}

/// Refuses an audience or rows held out of another length than the table.
pub(super) fn lengths(frame: &Frame, audience: &[bool], chosen: &[bool]) -> Result<(), Error> {
    for (column, found) in [("audience", audience.len()), ("rows chosen", chosen.len())] {
        if found != frame.rows() {
            return Err(columns::Error::Length {
                column: column.to_owned(),
                found,
                wanted: frame.rows(),
            }
            .into());
        }
    }
    Ok(())
}

/// A rule in the making: places of its literals, ascending.
struct Part {
    places: Vec<usize>,
    rows: Bits,
}

/// What a part and one literal more would be.
struct Next {
    part: usize,
    literal: usize,
    gain: f64,
    /// Weighted relative accuracy, times a constant.
    accuracy: f64,
}

impl Space<'_> {
    /// Rows that rules hold, but for one of them.
    fn union(&self, found: &[Found], but: Option<usize>) -> Bits {
        let mut all = Bits::of(self.rows.len(), |_| false);
        for (_, of) in found.iter().enumerate().filter(|(at, _)| Some(*at) != but) {
            all.add(&of.rows);
        }
        all
    }

    /// What rows add that were not covered before, less the price of conditions; nothing where limits are not kept.
    pub(super) fn gain(&self, rows: &Bits, covered: &Bits, conditions: usize) -> Option<f64> {
        let (hits, misses) = (rows.common(&self.inside), rows.common(&self.outside));
        if !self.keeps(hits, misses) {
            return None;
        }
        let fresh = rows.without(covered);
        let (hits, misses) = (fresh.common(&self.inside), fresh.common(&self.outside));
        Some(self.worth(hits, misses, conditions))
    }

    pub(super) fn keeps(&self, hits: u64, misses: u64) -> bool {
        hits + misses >= self.support
            && hits as f64 >= self.settings.purity_least * (hits + misses) as f64
    }

    pub(super) fn worth(&self, hits: u64, misses: u64, conditions: usize) -> f64 {
        hits as f64 - self.settings.mistake_cost * misses as f64 - self.price * conditions as f64
    }

    /// The rule that adds most to what is covered, by beam search; none where none adds anything.
    fn best(&self, covered: &Bits) -> Option<Found> {
        let (inside, outside) = (self.inside.without(covered), self.outside.without(covered));
        let (all_in, all_out) = (inside.count() as f64, outside.count() as f64);
        let mut beam = vec![Part {
            places: Vec::new(),
            rows: Bits::of(self.rows.len(), |_| true),
        }];
        let mut best: Option<(f64, Part)> = None;
        for length in 1..=self.settings.conditions_max {
            let mut next: Vec<Next> = Vec::new();
            let mut leader: Option<(f64, usize, usize)> = None;
            let least = best.as_ref().map_or(0.0, |best| best.0);
            for (part, of) in beam.iter().enumerate() {
                let reached = of.rows.count();
                for (literal, other) in self.literals.iter().enumerate() {
                    if !self.fits(&of.places, literal) {
                        continue;
                    }
                    let (hits, misses) = of.rows.common_of(&other.rows, &inside, &outside);
                    // All that longer rules can still gain.
                    if hits as f64 - self.price * length as f64 <= least {
                        continue;
                    }
                    let gain = self.worth(hits, misses, length);
                    let (known_in, known_out) =
                        of.rows.common_of(&other.rows, &self.inside, &self.outside);
                    if known_in + known_out == reached || known_in + known_out < self.support {
                        continue;
                    }
                    if gain > leader.map_or(least, |leader| leader.0)
                        && self.keeps(known_in, known_out)
                    {
                        leader = Some((gain, part, literal));
                    }
                    next.push(Next {
                        part,
                        literal,
                        gain,
                        accuracy: hits as f64 * all_out - misses as f64 * all_in,
                    });
                }
            }
            let made = |part: usize, literal: usize| {
                let mut places = beam[part].places.clone();
                places.push(literal);
                places.sort_unstable();
                let rows = beam[part].rows.and(&self.literals[literal].rows);
                Part { places, rows }
            };
            if let Some((gain, part, literal)) = leader {
                best = Some((gain, made(part, literal)));
            }
            if length == self.settings.conditions_max {
                break;
            }
            // Half by gain, half by accuracy; of those that hold the same rows the first.
            let mut kept: Vec<Part> = Vec::new();
            for by in [|of: &Next| of.gain, |of: &Next| of.accuracy] {
                next.sort_by(|a, b| {
                    (by(b).total_cmp(&by(a))).then((a.part, a.literal).cmp(&(b.part, b.literal)))
                });
                let goal = kept.len() + self.settings.beam.div_ceil(2);
                for of in &next {
                    if kept.len() >= goal {
                        break;
                    }
                    let part = made(of.part, of.literal);
                    if kept.iter().all(|other| other.rows != part.rows) {
                        kept.push(part);
                    }
                }
            }
            if kept.is_empty() {
                break;
            }
            beam = kept;
        }
        best.map(|(_, part)| Found {
            rule: Rule {
                conditions: part
                    .places
                    .iter()
                    .map(|at| self.literals[*at].condition.clone())
                    .collect(),
            },
            rows: part.rows,
        })
    }

    /// One condition of a side of a column, and none beside it that asks whether the column is known.
    fn fits(&self, places: &[usize], literal: usize) -> bool {
        let new = &self.literals[literal];
        places.iter().all(|at| {
            let of = &self.literals[*at];
            *at != literal
                && (of.column != new.column
                    || of.side != new.side
                        && of.side != super::literals::Side::Presence
                        && new.side != super::literals::Side::Presence)
        })
    }

    /// Seeks each rule again given the others until nothing gets better.
    fn revise(&self, found: &mut Vec<Found>) {
        for _ in 0..ROUNDS_MAX {
            let mut better = false;
            let mut at = 0;
            while at < found.len() {
                let others = self.union(found, Some(at));
                let gain = |of: &Found| self.gain(&of.rows, &others, of.rule.conditions.len());
                let now = gain(&found[at]).unwrap_or(f64::NEG_INFINITY);
                let mut options = vec![refine(self, &found[at], &others)];
                if let Some(other) = self.best(&others) {
                    options.push(refine(self, &other, &others));
                    options.push(other);
                }
                let mut most = (now, None);
                for option in options {
                    let own = gain(&option).unwrap_or(f64::NEG_INFINITY);
                    if own > most.0 + 1e-9 {
                        most = (own, Some(option));
                    }
                }
                if let Some(option) = most.1 {
                    found[at] = option;
                    better = true;
                }
                if most.0 <= 0.0 {
                    found.remove(at);
                    better = true;
                } else {
                    at += 1;
                }
            }
            if found.len() < self.settings.rules_max
                && let Some(next) = self.best(&self.union(found, None))
            {
                found.push(next);
                better = true;
            }
            if !better {
                break;
            }
        }
    }

    /// Rules by what they add, most first, each with its conditions in the table's order.
    fn ordered(&self, mut found: Vec<Found>) -> Vec<Rule> {
        let mut covered = Bits::of(self.rows.len(), |_| false);
        let mut rules = Vec::new();
        while !found.is_empty() {
            let worth = |of: &Found| {
                let gain = self.gain(&of.rows, &covered, of.rule.conditions.len());
                gain.unwrap_or(f64::NEG_INFINITY)
            };
            let mut first = 0;
            for at in 1..found.len() {
                if worth(&found[at]) > worth(&found[first]) {
                    first = at;
                }
            }
            let next = found.remove(first);
            covered.add(&next.rows);
            rules.push(cleaned(self, next.rule));
        }
        rules
    }
}
