//! How good rules are, counted on chosen rows.

use super::search::lengths;
use super::{Error, Rules};
use crate::columns;
use crate::proportion::{Share, wilson};
use crate::tabular::Frame;

/// What rules are worth on some rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Judgement {
    /// Rows counted.
    pub rows: u64,
    /// Of them in the audience of the black box.
    pub audience: u64,
    /// Of the rows, those that rules hold.
    pub size: Share,
    /// Of the audience, those that rules hold.
    pub coverage: Share,
    /// Of those that rules hold, who is in the audience.
    pub purity: Share,
    /// Of the rows, where rules and black box agree.
    pub fidelity: Share,
    /// Agreement of rules that hold nobody, or everybody where that agrees more: what fidelity has to be compared with.
    pub fidelity_of_none: f64,
    /// What each rule is and adds, in their order.
    pub steps: Vec<Step>,
}

/// What a rule is by itself and adds to those before it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Step {
    /// The rule, in words.
    pub rule: String,
    /// Of the rows that it holds, who is in the audience.
    pub purity: Share,
    /// Of the audience, whom it holds.
    pub coverage: Share,
    /// Rows that it holds and none before it.
    pub adds: u64,
    /// Of these in the audience.
    pub adds_of_audience: u64,
    /// Coverage of the rules up to this one.
    pub coverage_so_far: Share,
    /// Purity of the rules up to this one.
    pub purity_so_far: Share,
    /// Fidelity of the rules up to this one.
    pub fidelity_so_far: Share,
}

/// Judges rules on the rows of `chosen`, with Wilson's intervals at `level`.
///
/// # Errors
/// Columns of another length or kind, no rows, nobody or everybody in the audience, a level outside (0, 1).
pub fn judge(
    rules: &Rules,
    frame: &Frame,
    audience: &[bool],
    chosen: &[bool],
    level: f64,
) -> Result<Judgement, Error> {
    lengths(frame, audience, chosen)?;
    if !(level > 0.0 && level < 1.0) {
        return Err(columns::Error::Setting {
            what: "level",
            found: level,
            wanted: "a number between 0 and 1, such as 0.95",
        }
        .into());
    }
    let rows: Vec<usize> = (0..frame.rows()).filter(|row| chosen[*row]).collect();
    let all = rows.len() as u64;
    let picked = rows.iter().filter(|row| audience[**row]).count() as u64;
    if picked == 0 || picked == all {
        return Err(Error::OneSided {
            rows: rows.len(),
            which: "to judge on",
            picked: picked as usize,
        });
    }
    let share = |count, of| wilson(count, of, level);
    // Held rows and those of the audience among them give all three.
    let figures = |held: u64, hits: u64| {
        let agreed = hits + (all - picked) - (held - hits);
        (share(hits, picked), share(hits, held), share(agreed, all))
    };
    let mut covered = vec![false; frame.rows()];
    let (mut held, mut hits) = (0, 0);
    let mut steps = Vec::new();
    for rule in &rules.rules {
        let own = rule.holds(frame)?;
        let count = |of: &dyn Fn(usize) -> bool| {
            rows.iter().filter(|row| own[**row] && of(**row)).count() as u64
        };
        let (alone, alone_hits) = (count(&|_| true), count(&|row| audience[row]));
        let (adds, adds_hits) = (
            count(&|row| !covered[row]),
            count(&|row| !covered[row] && audience[row]),
        );
        (held, hits) = (held + adds, hits + adds_hits);
        covered
            .iter_mut()
            .zip(&own)
            .for_each(|(all, own)| *all |= own);
        let (coverage_so_far, purity_so_far, fidelity_so_far) = figures(held, hits);
        let (coverage, purity, _) = figures(alone, alone_hits);
        steps.push(Step {
            rule: rule.to_string(),
            purity,
            coverage,
            adds,
            adds_of_audience: adds_hits,
            coverage_so_far,
            purity_so_far,
            fidelity_so_far,
        });
    }
    let (coverage, purity, fidelity) = figures(held, hits);
    Ok(Judgement {
        rows: all,
        audience: picked,
        size: share(held, all),
        coverage,
        purity,
        fidelity,
        fidelity_of_none: picked.max(all - picked) as f64 / all as f64,
        steps,
    })
}
