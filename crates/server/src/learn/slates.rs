//! What another policy would have been worth where a decision fills several places: `luopan learn slates`. Numerics are
//! `luopan_learning::ope::slate`; here a table with a row for each place becomes slates.

use super::table;
use crate::problem::{Problem, Result};
use luopan_learning::ope::slate::Slates;
use luopan_learning::ope::{self, Interval, Limits, Method, Terms, difference, intervals};
use luopan_learning::tabular::{Frame, Series};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The policy that wrote the logs.
pub const LOGGED: &str = "logged";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Column of what makes rows one slate.
    pub slate: String,
    /// Column of their order: whole numbers, one more from place to place.
    pub place: String,
    /// Column of the probability of what stands there, given what stands above.
    pub propensity: String,
    /// Column of the place's reward; empty for the only `reward.` column.
    pub reward: String,
    /// Column of the policy's probability of what stands there, given what stands above; [`LOGGED`] for the one that wrote the logs.
    pub policy: String,
    /// The same of the policy that it is to replace.
    pub champion: Option<String>,
    /// How far the lower bound of the difference may lie below zero.
    pub margin: f64,
    /// Level of the intervals.
    pub level: f64,
    /// Resamples of slates.
    pub resamples: usize,
    /// Seed.
    pub seed: u64,
}

/// An estimate.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// `sips` (a reward depends on the whole slate) or `rips` (on its place and those above).
    pub estimator: &'static str,
    /// Reward a slate.
    pub value: f64,
    /// Bounds of the interval.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
}

/// What was found of one policy.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// Its column.
    pub policy: String,
    /// By estimator.
    pub estimates: Vec<Estimate>,
    /// Slates of equal weight that would tell as much, by the weights of whole slates.
    pub effective_slates: f64,
    /// Of each place, the same by the weights down to it.
    pub effective_by_place: Vec<f64>,
    /// Mean weight of whole slates: 1 where probabilities are true and the logs hold all that the policy does.
    pub weight_mean: f64,
    /// Probability of a mean at least as far from 1, by the normal distribution, if the truth is 1.
    pub weight_mean_p: f64,
    /// Share of slates that it would never fill so.
    pub never_taken: f64,
}

/// The candidate beside the champion.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Estimator of both.
    pub estimator: &'static str,
    /// Candidate's value minus champion's.
    pub difference: f64,
    /// Bounds of its interval, slate by slate.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// True when the candidate may take the champion's place.
    pub promoted: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluated {
    /// Slates that the estimates are of.
    pub slates: usize,
    /// Their rows.
    pub rows: usize,
    /// Places of the longest.
    pub places: usize,
    /// Slates that are not counted, by reason.
    pub left_out: Vec<(&'static str, usize)>,
    /// Column of the rewards.
    pub reward: String,
    /// Mean reward a slate: what the policy that wrote the logs was worth.
    pub logged_value: f64,
    /// Level of the intervals.
    pub level: f64,
    /// The policy.
    pub candidate: Found,
    /// The one it is to replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub champion: Option<Found>,
    /// Both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Compared>,
}

fn refused(words: impl Into<String>) -> Box<Problem> {
    Problem::new("cannot_evaluate", words)
}

fn numbers<'f>(frame: &'f Frame, name: &str, what: &str, option: &str) -> Result<&'f [f64]> {
    match frame.get(name) {
        Some(Series::Numbers(values)) => Ok(values),
        Some(Series::Texts { .. }) => Err(refused(format!(
            "column `{name}` for {what} holds texts; numbers are wanted"
        ))),
        None => {
            let near = luopan_scene::nearest(name, frame.names().iter().map(String::as_str));
            let near = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            Err(refused(format!(
                "there is no column `{name}` for {what}{near}; name it with {option}"
            )))
        }
    }
}

/// Slates of a table: rows of the file by slate and place.
struct Logged {
    /// Rows of the file, slate after slate.
    rows: Vec<usize>,
    offsets: Vec<usize>,
    propensities: Vec<f64>,
    rewards: Vec<f64>,
    reward: String,
    left_out: Vec<(&'static str, usize)>,
}

impl Logged {
    fn of(frame: &Frame, asked: &Asked) -> Result<Self> {
        let reward = match asked.reward.as_str() {
            "" => super::evaluate::logs::only_reward(frame)?,
            named => named.to_owned(),
        };
        let ids = frame.get(&asked.slate).ok_or_else(|| {
            refused(format!(
                "there is no column `{}` that says which rows are one slate; name it with --slate",
                asked.slate
            ))
        })?;
        let places = numbers(frame, &asked.place, "the place", "--place")?;
        let propensities = numbers(frame, &asked.propensity, "the propensity", "--propensity")?;
        let rewards = numbers(frame, &reward, "the reward", "--reward")?;
        let forced = frame.get("decision.is_forced");
        let mut of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        for row in 0..frame.rows() {
            let Some(id) = ids.text(row) else {
                return Err(refused(format!(
                    "row {}: the slate is missing in column `{}`",
                    row + 1,
                    asked.slate
                )));
            };
            let rows = of.entry(id.clone()).or_default();
            if rows.is_empty() {
                order.push(id);
            }
            rows.push(row);
        }
        let mut out = Self {
            rows: Vec::new(),
            offsets: vec![0],
            propensities: Vec::new(),
            rewards: Vec::new(),
            reward,
            left_out: Vec::new(),
        };
        let mut without = [("without_a_reward_yet", 0), ("chosen_by_who_asked", 0)];
        for id in order {
            let mut rows = of.remove(&id).unwrap_or_default();
            rows.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
            let first = places[rows[0]];
            for (row, place) in rows.iter().zip(0..) {
                let wanted = first + f64::from(place);
                if !(first == 0.0 || first == 1.0) || places[*row] != wanted {
                    return Err(refused(format!(
                        "slate `{id}`: row {} has place {} where {} is wanted; places are 0, 1, 2 or 1, 2, 3 and so on, each once and none left out",
                        row + 1,
                        places[*row],
                        if place == 0 { 0.0 } else { wanted }
                    )));
                }
            }
            let is_forced =
                |row: &usize| forced.is_some_and(|f| f.text(*row).as_deref() == Some("true"));
            if rows.iter().any(|row| rewards[*row].is_nan()) {
                without[0].1 += 1;
            } else if rows.iter().any(is_forced) {
                without[1].1 += 1;
            } else {
                (out.propensities).extend(rows.iter().map(|row| propensities[*row]));
                out.rewards.extend(rows.iter().map(|row| rewards[*row]));
                out.rows.extend(rows);
                out.offsets.push(out.rows.len());
            }
        }
        if out.rows.is_empty() {
            return Err(refused(format!(
                "no slate has a reward at every place in column `{}`",
                out.reward
            )));
        }
        out.left_out = without.into_iter().filter(|(_, n)| *n > 0).collect();
        Ok(out)
    }

    /// A refusal of the numerics; rows are counted from 1 in the file.
    fn fault(&self, e: &ope::Error, column: &str) -> Box<Problem> {
        let place = |row: usize| self.rows.get(row).copied().unwrap_or(row) + 1;
        match e {
            ope::Error::Propensity { row, found }
                if self
                    .propensities
                    .get(*row)
                    .is_some_and(|p| *p > 0.0 && *p <= 1.0) =>
            {
                refused(format!(
                    "row {}: the propensities down to this place multiply to {found}: too little is left of them to weigh by",
                    place(*row)
                ))
            }
            ope::Error::Value { column, row, found } => refused(format!(
                "row {}: {column} is {found}; write a finite number",
                place(*row)
            )),
            ope::Error::Propensity { row, found } => refused(format!(
                "row {}: the propensity is {found}; write the probability, above 0 and at most 1, with which what stands there was drawn, given what stands above",
                place(*row)
            )),
            ope::Error::Probability { row, found, .. } => refused(format!(
                "row {}: `{column}` is {found}; write a probability, 0 to 1",
                place(*row)
            )),
            other => refused(other.to_string()),
        }
    }

    /// Probabilities of what stands at each row, given what stands above.
    fn conditional(&self, frame: &Frame, policy: &str, option: &str) -> Result<Vec<f64>> {
        if policy == LOGGED {
            return Ok(self.propensities.clone());
        }
        let values = numbers(frame, policy, "the policy", option)?;
        for row in &self.rows {
            if !(0.0..=1.0).contains(&values[*row]) {
                return Err(refused(format!(
                    "row {}: `{policy}` is {}; write the probability, 0 to 1, with which the policy puts there what stands there, given what stands above",
                    row + 1,
                    values[*row]
                )));
            }
        }
        Ok(self.rows.iter().map(|row| values[*row]).collect())
    }
}

/// Terms of both estimators, and weights down to each row.
struct Judged {
    terms: [Terms; 2],
    weights: Vec<f64>,
}

fn judged(logged: &Logged, slates: &Slates<'_>, policy: &[f64], name: &str) -> Result<Judged> {
    let bad = |e: ope::Error| logged.fault(&e, name);
    let own = slates.cascade(&logged.propensities).map_err(bad)?;
    let other = slates.cascade(policy).map_err(bad)?;
    let rips = slates.reward_interaction(&own, &other).map_err(bad)?;
    let last = |values: &[f64]| -> Vec<f64> {
        (logged.offsets[1..].iter())
            .map(|end| values[end - 1])
            .collect()
    };
    let sips = slates.standard(&last(&own), &last(&other)).map_err(bad)?;
    Ok(Judged {
        terms: [sips, rips],
        weights: own.iter().zip(&other).map(|(p, q)| q / p).collect(),
    })
}

/// What weights are worth, as rows of equal weight (Kish 1965).
fn effective(weights: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) = weights.fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    if squares > 0.0 {
        sum * sum / squares
    } else {
        0.0
    }
}

fn found(logged: &Logged, of: &Judged, name: &str, bounds: &[Interval]) -> Found {
    let whole: Vec<f64> = (logged.offsets[1..].iter())
        .map(|end| of.weights[end - 1])
        .collect();
    let slates = whole.len() as f64;
    let mean = whole.iter().sum::<f64>() / slates;
    let longest = longest(&logged.offsets);
    let at = |place: usize| {
        let starts = logged.offsets.windows(2);
        effective(
            starts
                .filter(move |w| w[0] + place < w[1])
                .map(|w| of.weights[w[0] + place]),
        )
    };
    Found {
        policy: name.to_owned(),
        estimates: (of.terms.iter().zip(bounds))
            .map(|(terms, bound)| Estimate {
                estimator: terms.estimator(),
                value: terms.value(),
                lower: bound.lower,
                upper: bound.upper,
            })
            .collect(),
        effective_slates: effective(whole.iter().copied()),
        effective_by_place: (0..longest).map(at).collect(),
        weight_mean: mean,
        weight_mean_p: ope::mean_weight_p(&whole),
        never_taken: whole.iter().filter(|w| **w == 0.0).count() as f64 / slates,
    }
}

fn longest(offsets: &[usize]) -> usize {
    (offsets.windows(2).map(|w| w[1] - w[0]))
        .max()
        .unwrap_or_default()
}

/// Evaluates a policy on the slates of a file.
///
/// # Errors
/// `file_unreadable`, `bad_table`, `cannot_evaluate`.
pub fn evaluate(path: &Path, asked: &Asked) -> Result<Evaluated> {
    if !(asked.margin.is_finite() && asked.margin >= 0.0) {
        return Err(refused(format!(
            "the margin is {}: write a finite number, zero or more",
            asked.margin
        )));
    }
    let wanted = table::Wanted {
        texts: vec![asked.slate.clone()],
        ..table::Wanted::default()
    };
    let frame = table::read(path, &wanted)?;
    let logged = Logged::of(&frame, asked)?;
    if logged.offsets.len() < 3 {
        return Err(refused(
            "there is one slate: how far an estimate may be off is told by at least two",
        ));
    }
    let bad = |e: ope::Error| logged.fault(&e, &asked.policy);
    let slates = Slates::new(&logged.offsets, &logged.rewards, None).map_err(bad)?;
    let method = Method::Bootstrap {
        resamples: asked.resamples,
        seed: asked.seed,
    };
    let look = |name: &str, option: &str| -> Result<(Judged, Found)> {
        let policy = logged.conditional(&frame, name, option)?;
        let of = judged(&logged, &slates, &policy, name)?;
        let all: Vec<&Terms> = of.terms.iter().collect();
        let bounds = intervals(&all, &method, asked.level).map_err(bad)?;
        let told = found(&logged, &of, name, &bounds);
        Ok((of, told))
    };
    let (own, candidate) = look(&asked.policy, "--policy")?;
    let (mut champion, mut comparison) = (None, None);
    if let Some(name) = &asked.champion {
        let (other, told) = look(name, "--champion")?;
        let (mine, theirs) = (&own.terms[1], &other.terms[1]);
        let bounds = difference(mine, theirs, &method, asked.level).map_err(bad)?;
        let limits = Limits::default();
        let mut reasons = Vec::new();
        // Also where it is no number.
        if bounds.lower.is_nan() || bounds.lower < -asked.margin {
            reasons.push(format!(
                "the lower bound of candidate minus champion is {:.6}, below {:.6}",
                bounds.lower, -asked.margin
            ));
        }
        for (who, of) in [("candidate", &candidate), ("champion", &told)] {
            if of.weight_mean_p < limits.weight_mean_p_least {
                reasons.push(format!(
                    "the mean weight of the {who} is {:.4} and must be 1 (p = {:.2e}): probabilities are wrong, or it does what the logs never do",
                    of.weight_mean, of.weight_mean_p
                ));
            }
            if of.effective_slates < limits.effective_rows_least {
                reasons.push(format!(
                    "the weights of the {who} are worth {:.1} slates; at least {} are wanted",
                    of.effective_slates, limits.effective_rows_least
                ));
            }
        }
        comparison = Some(Compared {
            estimator: mine.estimator(),
            difference: mine.value() - theirs.value(),
            lower: bounds.lower,
            upper: bounds.upper,
            promoted: reasons.is_empty(),
            reasons,
        });
        champion = Some(told);
    }
    let count = slates.slates();
    Ok(Evaluated {
        slates: count,
        rows: logged.rows.len(),
        places: longest(&logged.offsets),
        left_out: logged.left_out.clone(),
        reward: logged.reward.clone(),
        logged_value: logged.rewards.iter().sum::<f64>() / count as f64,
        level: asked.level,
        candidate,
        champion,
        comparison,
    })
}
