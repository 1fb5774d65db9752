//! Ranking for many customers at once: for each of them the candidates in just the order that [`super::decide`] has them in,
//! without a choice. Nothing is drawn, spent or recorded.
//!
//! Asked are the gates that decide asks, but one: eligibility, consent, quiet period and caps of the customer; suitability,
//! exclusions, item caps, whether budgets cover an item, floors. Quiet hours are not: they say when to reach the customer,
//! not with what, and whoever acts on a ranking acts later. What concerns a whole slate is not looked at either: neither
//! variety nor whether budgets cover several items together.
//!
//! Retrieval may be done elsewhere, for many customers in one go, as long as it gives what [`crate::factors::Index::best`]
//! gives. This room must never rank otherwise than the trace of a decision by the same policy at the same moment.

use super::decision::RuleCount;
use super::narrow::{keep, narrow, vector};
use super::prepared::Prepared;
use super::score::Scoring;
use super::situation::Situation;
use super::survey::{Screened, appraise, screen};
use super::{gates, null_score, trace};
use crate::catalogue::Rows;
use crate::plan::ScenePlan;
use crate::plan::policy::PolicyPlan;
use crate::time::Moment;
use crate::value::Value;

/// A customer whose gates were asked.
pub struct Screening<'a> {
    scene: &'a ScenePlan,
    policy: &'a PolicyPlan,
    situation: &'a Situation<'a>,
    prepared: &'a Prepared,
    /// What the gates of items left, or which gates of the customer refused.
    state: Result<Screened<'a>, Vec<RuleCount>>,
}

/// What is to be retrieved for a customer.
#[derive(Debug, Clone)]
pub struct Wanted<'s> {
    /// The customer's vector.
    pub vector: Vec<f32>,
    /// The rows that may be given.
    pub eligible: &'s Rows,
    /// How many are kept.
    pub keep: usize,
}

/// A ranked item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its catalogue row.
    pub row: u32,
    /// Its score.
    pub score: f64,
}

/// A customer's ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The best items, best first, of equal scores the lower row. Where the null action is an arm, only those that are
    /// better than it, or as good.
    pub items: Vec<Ranked>,
    /// True when the null action is better than every item that could be given.
    pub is_silent: bool,
    /// Which gates refused: the customer, or how many items, as in a decision.
    pub refusals: Vec<RuleCount>,
}

impl<'a> Screening<'a> {
    /// Asks the gates of one customer at `moment`; `prepared` is the policy made ready for the situation's catalogue.
    pub fn new(
        scene: &'a ScenePlan,
        policy: &'a PolicyPlan,
        situation: &'a Situation<'a>,
        prepared: &'a Prepared,
        moment: Moment,
    ) -> Self {
        let refusing = gates::refusing(scene, policy, situation, moment, false);
        let state = if refusing.is_empty() {
            Ok(screen(scene, policy, situation, prepared, moment.now, None))
        } else {
            Err(refusing.iter().map(gates::Refuser::count).collect())
        };
        Self {
            scene,
            policy,
            situation,
            prepared,
            state,
        }
    }

    /// What is to be retrieved from [`Prepared::index`]; none when there is nothing to retrieve from, or for nobody.
    pub fn wanted(&self) -> Option<Wanted<'_>> {
        let screened = self.state.as_ref().ok()?;
        let retrieval = self.policy.retrieval.as_ref()?;
        let (factors, _) = self.prepared.retriever.as_ref()?.ready.as_ref()?;
        Some(Wanted {
            vector: vector(retrieval, factors, self.situation),
            eligible: screened.left(),
            keep: keep(retrieval),
        })
    }

    /// The best `top` items. `retrieved` are the rows and scores that [`crate::factors::Index::best`] gives for what is
    /// wanted, where they were found already.
    pub fn rank(self, top: usize, retrieved: Option<Vec<(u32, f64)>>) -> Ranking {
        let Self {
            scene,
            policy,
            situation,
            prepared,
            state,
        } = self;
        let screened = match state {
            Ok(screened) => screened,
            Err(refusals) => {
                return Ranking {
                    items: Vec::new(),
                    is_silent: false,
                    refusals,
                };
            }
        };
        let mut scoring = Scoring::new(scene, policy, situation);
        let kept = narrow(policy, situation, prepared, screened.left(), retrieved);
        let survey = appraise(
            scene,
            policy,
            situation,
            prepared,
            &mut scoring,
            screened,
            kept,
            1,
        );
        let name = Value::text(policy.null_action.name.as_str());
        let silence = null_score(policy, situation, &prepared.item_slots, &name, &mut scoring);
        let mut scores = survey.scores;
        scores.extend(silence);
        let order = trace::best_first(&scores, top.max(1));
        let ranked = |i: &usize| {
            Some(Ranked {
                row: *survey.rows.get(*i)?,
                score: scores[*i],
            })
        };
        Ranking {
            is_silent: order.first() == Some(&survey.rows.len()),
            items: order.iter().map_while(ranked).take(top).collect(),
            refusals: survey.refusals,
        }
    }
}
