//! What a replay came to, gathered row by row, and the documents that programs read. It must never round.

use super::arms::{Arms, Measured};
use super::logged::{Actions, Reckoning, Reward};
use super::ranking::Ranking;
use super::statistics::Estimate;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was what was logged: its outcome was learned.
    AsLogged,
    /// It was something else: nothing is known of its outcome.
    Otherwise,
    /// The commit withheld it, whatever it was.
    Withheld,
}

/// One row after its decision.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) logged: String,
    /// Score of the logged action when it was decided.
    pub(super) score: Option<f64>,
    pub(super) rewards: Vec<Reward>,
    pub(super) fate: Fate,
}

/// One block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) decided: Vec<Decided>,
    pub(super) quarantined: u64,
}

/// What a replay came to.
#[derive(Debug)]
pub struct Report {
    /// Scene.
    pub scene: String,
    /// File.
    pub file: PathBuf,
    /// Policy that decided.
    pub policy: String,
    /// Rows of a block.
    pub block_rows: usize,
    /// Rows read.
    pub rows: u64,
    /// Rows in quarantine.
    pub quarantined: u64,
    /// Why the first row that does not fit does not.
    pub first_bad: Option<String>,
    /// Rows that the mapping passes over.
    pub skipped: u64,
    /// Decisions.
    pub decisions: u64,
    /// Of these, decisions that were what was logged, and so learned from.
    pub as_logged: u64,
    /// Decisions that the commit withheld.
    pub withheld: u64,
    /// Samples that the policy's model has learned; none when it has no model.
    pub learned: Option<u64>,
    /// Seconds from opening to the end.
    pub seconds: f64,
    rewards: Vec<String>,
    scored: Scored,
}

#[derive(Debug)]
enum Scored {
    Arms(Arms),
    /// With the score from which the one action pays.
    Ranking(Ranking, Vec<(String, f64)>),
}

impl Report {
    pub(super) fn new(
        scene: &str,
        file: &Path,
        policy: &str,
        block_rows: usize,
        one_action: bool,
        actions: &Actions,
        reckoning: &Reckoning<'_>,
    ) -> Self {
        let rewards: Vec<String> = reckoning.names().map(str::to_owned).collect();
        let scored = if one_action {
            let pays = actions
                .names()
                .into_iter()
                .filter_map(|a| Some((a.to_owned(), actions.break_even(a)?)));
            Scored::Ranking(Ranking::default(), pays.collect())
        } else {
            Scored::Arms(Arms::new(policy, actions, rewards.len()))
        };
        Self {
            scene: scene.to_owned(),
            file: file.to_owned(),
            policy: policy.to_owned(),
            block_rows,
            rows: 0,
            quarantined: 0,
            first_bad: None,
            skipped: 0,
            decisions: 0,
            as_logged: 0,
            withheld: 0,
            learned: None,
            seconds: 0.0,
            rewards,
            scored,
        }
    }

    /// A row does not fit.
    pub(super) fn bad(&mut self, reason: &str) {
        self.first_bad.get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn block(&mut self, block: Block) {
        self.quarantined += block.quarantined;
        for row in block.decided {
            self.decisions += 1;
            self.as_logged += u64::from(row.fate == Fate::AsLogged);
            self.withheld += u64::from(row.fate == Fate::Withheld);
            match &mut self.scored {
                Scored::Arms(arms) => {
                    arms.add(&row.logged, &row.rewards, row.fate == Fate::AsLogged)
                }
                Scored::Ranking(ranking, pays) => {
                    let threshold = pays
                        .iter()
                        .find(|(action, _)| *action == row.logged)
                        .map(|(_, score)| *score);
                    if let (Some(score), Some(reward)) = (row.score, row.rewards.first()) {
                        ranking.add(score, reward.value > 0.0, threshold);
                    }
                }
            }
        }
    }

    /// The document for programs.
    #[must_use]
    pub fn document(&self) -> Document {
        match &self.scored {
            Scored::Arms(arms) => Document::Arms(ArmsDocument {
                policies: arms
                    .all()
                    .map(|arm| ArmDocument {
                        name: arm.name.clone(),
                        matched: arm.matched,
                        rewards: self
                            .rewards
                            .iter()
                            .cloned()
                            .zip(arms.measured(arm).map(estimate))
                            .collect(),
                    })
                    .collect(),
            }),
            Scored::Ranking(ranking, pays) => Document::Ranking(RankingDocument {
                prequential_auc: ranking.auc(),
                block_auc: ranking.block_auc(),
                share_of_conversions_in_top_20_percent: ranking.share_in_top(),
                share_online_threshold: ranking
                    .above()
                    .filter(|_| !pays.is_empty())
                    .map(|(_, share)| share),
                base_rate: ranking.base_rate(),
                calls: ranking.calls() as u64,
                called_share: ranking
                    .above()
                    .filter(|_| !pays.is_empty())
                    .map(|(called, _)| called),
                threshold: pays.first().map(|(_, score)| *score),
                fifth_auc: ranking.fifths(),
                rows: self.rows,
                quarantined: self.quarantined,
                learned: self.learned,
            }),
        }
    }

    /// Actions that were not logged by even lot, with their shares.
    #[must_use]
    pub fn uneven(&self) -> Vec<(&str, f64)> {
        match &self.scored {
            Scored::Arms(arms) => arms.uneven(),
            Scored::Ranking(..) => Vec::new(),
        }
    }

    /// Names of the rewards, in order.
    #[must_use]
    pub fn rewards(&self) -> &[String] {
        &self.rewards
    }
}

fn estimate(measured: Measured) -> Value {
    let (name, found) = match measured {
        Measured::Rate(found) => ("rate", found),
        Measured::Mean(found) => ("mean", found),
    };
    let of = |part: fn(&Estimate) -> f64| found.as_ref().map(part);
    json!({ name: of(|e| e.value), "low": of(|e| e.low), "high": of(|e| e.high) })
}

/// The document of a replay.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Document {
    /// Actions that were chosen between.
    Arms(ArmsDocument),
    /// One action whose scores are judged.
    Ranking(RankingDocument),
}

/// Policies beside each other.
#[derive(Debug, Clone, Serialize)]
pub struct ArmsDocument {
    /// As logged, each action alone, the policy that was replayed.
    pub policies: Vec<ArmDocument>,
}

/// One policy.
#[derive(Debug, Clone, Serialize)]
pub struct ArmDocument {
    /// `logged`, `fixed:ACTION`, or the policy's name.
    pub name: String,
    /// Rows that count for it.
    pub matched: u64,
    /// By the reward's name: `rate` (of yes or no) or `mean` (of a number), with `low` and `high` of its 95 % interval;
    /// null where too little was seen.
    #[serde(flatten)]
    pub rewards: Map<String, Value>,
}

/// Scores against outcomes.
#[derive(Debug, Clone, Serialize)]
pub struct RankingDocument {
    /// Area under the ROC curve of the scores, each recorded before its outcome was known.
    pub prequential_auc: Option<f64>,
    /// The same for each 1,000 calls in order.
    pub block_auc: Vec<Option<f64>>,
    /// Share of all conversions among the fifth of the calls with the highest scores, over the whole file.
    pub share_of_conversions_in_top_20_percent: Option<f64>,
    /// Share of all conversions among the calls whose score was at or above the declared threshold.
    pub share_online_threshold: Option<f64>,
    /// Conversions among all calls.
    pub base_rate: Option<f64>,
    /// Calls.
    pub calls: u64,
    /// Share of the calls at or above the threshold.
    pub called_share: Option<f64>,
    /// The threshold: `break_even` of the action.
    pub threshold: Option<f64>,
    /// Area under the curve for each fifth of the calls in order.
    pub fifth_auc: Vec<Option<f64>>,
    /// Rows read.
    pub rows: u64,
    /// Rows in quarantine.
    pub quarantined: u64,
    /// Samples learned.
    pub learned: Option<u64>,
}
