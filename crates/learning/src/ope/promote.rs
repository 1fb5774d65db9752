//! The promotion rule: a candidate may take a champion's place where the lower bound of the difference of their values, on the
//! same rows and with the same estimator, is not below minus a margin. Every refusal says why, with the numbers.

use super::{
    Columns, Diagnosis, Error, Estimator, Interval, Limits, Logs, Method, Policy, Target, Terms,
    diagnose, difference,
};

/// When a candidate is promoted. Stated before the logs are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// How both are estimated; `dr` where there are predictions.
    pub estimator: Estimator,
    /// How the interval of the difference is made.
    pub method: Method,
    /// Of the two-sided interval whose lower bound is looked at, such as 0.95.
    pub level: f64,
    /// How far the lower bound may lie below zero, in the unit of the rewards; zero or more.
    pub margin: f64,
    /// Least effective rows of each policy's weights.
    pub effective_rows_least: f64,
    /// Most probability of a policy on actions that were never logged.
    pub unlogged_most: f64,
}

/// Both policies on the same rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Rows.
    pub rows: usize,
    /// Estimated value of the candidate.
    pub candidate: f64,
    /// Estimated value of the champion.
    pub champion: f64,
    /// Interval of the candidate's value minus the champion's, row by row.
    pub difference: Interval,
    /// What the candidate's weights look like.
    pub candidate_weights: Diagnosis,
    /// What the champion's weights look like.
    pub champion_weights: Diagnosis,
}

/// Why a candidate is not promoted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It may be worse than the champion by more than the margin.
    #[error(
        "the lower bound of candidate minus champion is {lower}, below minus the margin {margin}"
    )]
    MayBeWorse {
        /// Lower bound.
        lower: f64,
        /// Margin.
        margin: f64,
    },
    /// Too few effective rows.
    #[error("the weights of the {policy} are worth {found:.1} rows: at least {least} are wanted")]
    FewEffectiveRows {
        /// `candidate` or `champion`.
        policy: &'static str,
        /// Found.
        found: f64,
        /// Wanted.
        least: f64,
    },
    /// It does what the logs know nothing of.
    #[error(
        "the {policy} gives {found:.4} of its probability to actions that were never logged: at most {most} is let through"
    )]
    Unlogged {
        /// `candidate` or `champion`.
        policy: &'static str,
        /// Found.
        found: f64,
        /// Let through.
        most: f64,
    },
    /// Logs, policies or the rule cannot be used: a missing or zero propensity is one of these, with its row.
    #[error("{0}")]
    Unusable(#[from] Error),
}

/// What the rule says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The candidate may take the champion's place.
    Promoted(Box<Comparison>),
    /// It may not.
    Refused {
        /// Why; all that was found.
        reasons: Vec<Refusal>,
        /// The numbers, where they could be had.
        comparison: Option<Box<Comparison>>,
    },
}

impl Verdict {
    /// True when the candidate may take the champion's place.
    pub fn promoted(&self) -> bool {
        matches!(self, Self::Promoted(_))
    }
}

/// Judges `candidate` beside `champion` ([`Policy::AsLogged`] where the champion wrote the logs).
pub fn promote(
    columns: &Columns<'_>,
    candidate: &Policy<'_>,
    champion: &Policy<'_>,
    rule: &Rule,
) -> Verdict {
    let comparison = match compare(columns, candidate, champion, rule) {
        Ok(comparison) => Box::new(comparison),
        Err(error) => {
            return Verdict::Refused {
                reasons: vec![Refusal::Unusable(error)],
                comparison: None,
            };
        }
    };
    let mut reasons = Vec::new();
    let both = [
        ("candidate", &comparison.candidate_weights),
        ("champion", &comparison.champion_weights),
    ];
    for (policy, weights) in both {
        if weights.effective_rows < rule.effective_rows_least {
            reasons.push(Refusal::FewEffectiveRows {
                policy,
                found: weights.effective_rows,
                least: rule.effective_rows_least,
            });
        }
        if weights.unlogged > rule.unlogged_most {
            reasons.push(Refusal::Unlogged {
                policy,
                found: weights.unlogged,
                most: rule.unlogged_most,
            });
        }
    }
    let (lower, margin) = (comparison.difference.lower, rule.margin);
    if lower.is_nan() || lower < -margin {
        reasons.push(Refusal::MayBeWorse { lower, margin });
    }
    if reasons.is_empty() {
        Verdict::Promoted(comparison)
    } else {
        Verdict::Refused {
            reasons,
            comparison: Some(comparison),
        }
    }
}

fn compare(
    columns: &Columns<'_>,
    candidate: &Policy<'_>,
    champion: &Policy<'_>,
    rule: &Rule,
) -> Result<Comparison, Error> {
    let settings = [
        ("margin", rule.margin),
        ("least effective rows", rule.effective_rows_least),
        (
            "most probability of actions never logged",
            rule.unlogged_most,
        ),
    ];
    for (what, found) in settings {
        if !(found >= 0.0 && found.is_finite()) {
            return Err(Error::Setting {
                what,
                found,
                wanted: "a finite number, zero or more",
            });
        }
    }
    let logs = Logs::new(*columns)?;
    let limits = Limits::default();
    let seen = |policy: &Policy<'_>| -> Result<(Terms, Diagnosis), Error> {
        let target = Target::new(&logs, policy)?;
        let (weights, _) = diagnose(&logs, &target, &limits)?;
        Ok((rule.estimator.terms(&logs, &target)?, weights))
    };
    let (candidate, candidate_weights) = seen(candidate)?;
    let (champion, champion_weights) = seen(champion)?;
    Ok(Comparison {
        rows: logs.rows(),
        candidate: candidate.value(),
        champion: champion.value(),
        difference: difference(&candidate, &champion, &rule.method, rule.level)?,
        candidate_weights,
        champion_weights,
    })
}
