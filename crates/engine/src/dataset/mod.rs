//! Training sets: for every decision of a policy a row for each item that it chose, with what was known when it was made, how
//! likely the choice was, and what came of it.
//!
//! Features are read from profiles that are folded anew from the log, by the fold of the live workers, up to the position that
//! the decision had seen and no further: every tag that the scene declares today, also those that no policy read then. Items
//! are those of the version of the catalogue that the decision saw. What a decision recorded of its reads is compared with
//! what comes out. Rewards are those that the scene declares today, settled by the same fold; what the log does not settle yet
//! is missing, and silence is none before its window is over.
//!
//! Outcomes of a customer's other identifiers are forwarded when they come: a reward that was declared since has them of the
//! decision's own identifier alone.
//!
//! This room must never write, and never let a row see an entry behind what its decision saw.

mod rows;
pub mod shadow;
mod states;
mod versions;
mod wanted;

use crate::Inner;
use crate::api::Result;
use crate::fold::core::Running;
use crate::scenes::SceneRuntime;
use crate::{intake, snapshot};
use luopan_kernel::event::Origin;
use luopan_kernel::id::{CustomerId, DecisionId, PartitionId, Position};
use luopan_kernel::plan::policy::PolicyPlan;
use luopan_kernel::plan::{SlotId, SlotSource, Stage};
use luopan_kernel::time::Micros;
use luopan_kernel::value::{Value, ValueType};
use shadow::{Candidate, Decided, Noted, Shadow};
use std::collections::BTreeMap;
use std::sync::Arc;
use wanted::Wanted;

/// Decisions for customers of several identifiers that are worked on together; for more, the log is read another time.
pub const LINKED_A_PASS: usize = 10_000;
/// Versions of the catalogues that the decisions of one training set may have seen: each is laid out once.
pub const VERSIONS_MAX: usize = 4_096;
/// Rows of the catalogues, over all versions, that are laid out whole for policies in shadow.
pub const SHADOW_ROWS_MAX: usize = 1_000_000;
/// Differences that are told in words.
const TOLD_MAX: usize = 10;

/// Which decisions are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DatasetSpec {
    /// Made at this time and later; from the beginning when none.
    pub from: Option<Micros>,
    /// Made before this time; to the end when none.
    pub until: Option<Micros>,
    /// A sample: partitions of the log are read whole, in their order, until there are so many decisions. Customers are spread over them by a
    /// hash; those of several identifiers are left out.
    pub most: Option<u64>,
    /// Decisions of which nothing came as well, though silence is no arm: withheld by a rule, by a cap or at the commit. Their rows are
    /// [`DatasetRow::is_silent`].
    pub silent: bool,
}

/// A feature: a slot of the scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Name as rules write it: `visits`, `env.hour`, `item.risk_level`.
    pub name: String,
    /// Type.
    pub kind: ValueType,
}

/// A reward that the policy's decisions wait for.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetReward {
    /// Name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Window after the decision, microseconds.
    pub window_us: i64,
    /// Reward of silence.
    pub default: f64,
}

/// A reward that was settled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Its value.
    pub value: f64,
    /// From the decision until it was settled, microseconds: of a reward that takes the first outcome, until that came.
    pub after_us: i64,
}

/// What a decision chose, what was known then, and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct DatasetRow<'a> {
    /// The decision.
    pub decision: DecisionId,
    /// The customer, by the identifier that stood for all of hers then.
    pub customer: CustomerId,
    /// When it was made.
    pub at: Micros,
    /// Where it came from.
    pub origin: Origin,
    /// Contest in which it was made.
    pub contest: Option<&'a str>,
    /// Version of the scene that decided.
    pub scene_version: u32,
    /// Position in the slate, from 0.
    pub position: u32,
    /// Key of the item, or the name of the null action.
    pub arm: &'a str,
    /// True for the null action.
    pub is_null: bool,
    /// True where nothing was sent and nothing is learned from that: no reward of it is ever settled, and the arm is what was chosen before it
    /// was withheld.
    pub is_silent: bool,
    /// Score of the item that was chosen, after any budget's price was taken off; none of the null action.
    pub score: Option<f64>,
    /// Probability of the arm at its position, given the earlier ones; above 0.
    pub propensity: f64,
    /// 1 / propensity.
    pub weight: f64,
    /// True when the choice was imposed by whoever asked, and not drawn.
    pub is_forced: bool,
    /// One a feature.
    pub features: &'a [Value<'static>],
    /// One a reward; none before it is settled.
    pub rewards: &'a [Option<Outcome>],
    /// What each candidate in shadow would have done; none where the record does not hold what it needs.
    pub shadows: &'a [Option<Decided>],
}

/// What was read, and what was left out and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetRead {
    /// Log entries folded.
    pub entries: u64,
    /// Decisions that gave rows.
    pub decisions: u64,
    /// Rows.
    pub rows: u64,
    /// Of these, rows whose rewards are all settled.
    pub settled: u64,
    /// Decisions for customers of several identifiers.
    pub linked: u64,
    /// Versions of the catalogues that were laid out.
    pub versions: u64,
    /// Recorded reads that were compared with what was folded.
    pub compared: u64,
    /// Of these, those that differ.
    pub differ: u64,
    /// The first of them in words.
    pub differences: Vec<String>,
    /// Decisions that a candidate in shadow could not decide again, counted once a candidate.
    pub unshadowed: u64,
    /// True where models in shadow were so many times asked for a state that some decisions were given a somewhat earlier one.
    pub is_thinned: bool,
    /// Decisions that gave no row.
    pub skipped: DatasetSkipped,
}

/// Decisions that gave no row, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetSkipped {
    /// Outside the time asked for.
    pub outside: u64,
    /// A rehearsal, of origin `dry_run`.
    pub dry_run: u64,
    /// The commit withheld the choice.
    pub withheld: u64,
    /// Nothing was chosen, and silence is no arm or was imposed by a rule.
    pub nothing: u64,
    /// The log begins behind what they saw (log retention).
    pub truncated: u64,
    /// The customer was erased.
    pub erased: u64,
}

/// The decisions of a policy, ready to be read as a training set.
pub struct Dataset {
    inner: Arc<Inner>,
    scene: Arc<SceneRuntime>,
    policy: usize,
    features: Vec<Feature>,
    slots: Vec<SlotId>,
    rewards: Vec<DatasetReward>,
    shadows: Vec<Shadow>,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("scene", &self.scene.plan.name)
            .field("policy", &self.policy().name)
            .finish_non_exhaustive()
    }
}

impl Dataset {
    pub(crate) fn new(inner: Arc<Inner>, scene: &str, policy: &str) -> Result<Self> {
        let scene = inner.scenes.newest(scene)?;
        let plan = &scene.plan;
        let number = intake::policy_number(plan, policy)?;
        let of = &plan.policies[number];
        let is_feature = |source: &SlotSource| match source {
            SlotSource::Item(c, _) | SlotSource::Paired(c, _) => *c == of.catalogue,
            // The arm.
            SlotSource::ItemKey(_) => false,
            SlotSource::Held(o, _) => {
                (plan.orders.get(usize::from(*o))).is_some_and(|o| o.catalogue == of.catalogue)
            }
            SlotSource::Stage(Stage::Retrieved) => of.retrieval.is_some(),
            SlotSource::Stage(Stage::Ranked) => of.ranking.is_some(),
            _ => true,
        };
        let slots: Vec<SlotId> = (0u16..)
            .zip(&plan.slots)
            .filter(|(_, s)| is_feature(&s.source))
            .map(|(i, _)| SlotId(i))
            .collect();
        let features = (slots.iter())
            .filter_map(|id| plan.slots.get(usize::from(id.0)))
            .map(|s| Feature {
                name: s.name.clone(),
                kind: s.kind,
            })
            .collect();
        let rewards = (of.rewards.iter())
            .filter_map(|i| plan.rewards.get(usize::from(*i)))
            .map(|r| DatasetReward {
                name: r.name.clone(),
                version: r.version,
                window_us: r.window_us,
                default: r.default,
            })
            .collect();
        Ok(Self {
            policy: number,
            features,
            slots,
            rewards,
            shadows: Vec::new(),
            scene,
            inner,
        })
    }

    /// The same with a policy in shadow: beside each row stands what it would have done.
    ///
    /// # Errors
    /// `unknown_policy`, `unknown_model`, `bad_model`, `bad_artifact`; `cannot_shadow` where decisions did not record what it needs.
    pub async fn shadowed_by(mut self, candidate: Candidate) -> Result<Self> {
        let shadow = Shadow::new(&self, candidate).await?;
        self.shadows.push(shadow);
        Ok(self)
    }

    /// The candidates in shadow, in the order of a row's.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.shadows.iter().map(|s| &s.candidate)
    }

    /// The features of a row, in order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The rewards of a row, in order.
    pub fn rewards(&self) -> &[DatasetReward] {
        &self.rewards
    }

    /// Version of the scene whose tags and rewards they are, and the SHA-256 of its plan.
    pub fn scene(&self) -> (u32, [u8; 32]) {
        (self.scene.version, self.scene.hash)
    }

    fn policy(&self) -> &PolicyPlan {
        &self.scene.plan.policies[self.policy]
    }

    /// Reads the decisions as far as the log is folded now and hands their rows to `see`: partition by partition in the order
    /// of the log, then those for customers of several identifiers. The same log gives the same rows in the same order.
    ///
    /// # Errors
    /// `too_many_versions` beyond [`VERSIONS_MAX`], a store that failed, or what `see` refused.
    pub async fn read(
        &self,
        spec: &DatasetSpec,
        see: &mut (dyn FnMut(DatasetRow<'_>) -> Result<()> + Send),
    ) -> Result<DatasetRead> {
        let mut told = DatasetRead::default();
        let partitions: Vec<_> = (0..luopan_kernel::PARTITIONS).map(PartitionId).collect();
        let heads = self.inner.reflected(&partitions).await?;
        let heads: BTreeMap<_, _> = partitions.into_iter().zip(heads).collect();
        // What the decisions saw of the catalogues, before anything is folded.
        let mut seen = versions::Seen::default();
        let mut noted = Noted::default();
        let mut read = Vec::with_capacity(heads.len());
        let mut found = 0;
        for (partition, until) in &heads {
            let ids = wanted::told(self, *partition, *until).await?;
            let mut passing = DatasetRead::default();
            read.push((*partition, *until));
            for wanted in wanted::read(self, spec, &ids, &mut passing).await? {
                seen.note(&wanted);
                noted.note(self, &wanted);
                found += 1;
            }
            if spec.most.is_some_and(|most| found >= most) {
                break;
            }
        }
        let versions = seen.lay_out(self).await?;
        let rolled = noted.roll(&self.inner).await?;
        told.is_thinned = rolled.is_thinned();
        let sources = rows::Sources {
            versions: &versions,
            rolled: &rolled,
            until: &heads,
        };
        told.versions = versions.len() as u64;
        let mut linked: Vec<DecisionId> = Vec::new();
        for (partition, until) in &read {
            let ids = wanted::told(self, *partition, *until).await?;
            let (alone, several): (Vec<Wanted>, Vec<Wanted>) =
                (wanted::read(self, spec, &ids, &mut told).await?.into_iter())
                    .partition(|w| w.record.identifiers.len() <= 1);
            linked.extend(several.iter().map(|w| w.record.request.decision));
            drop(several);
            rows::of(self, &alone, &sources, &mut told, see).await?;
        }
        told.linked = linked.len() as u64;
        if spec.most.is_some() {
            linked.clear();
        }
        for ids in linked.chunks(LINKED_A_PASS) {
            let mut passing = DatasetRead::default();
            let several = wanted::read(self, spec, ids, &mut passing).await?;
            rows::of(self, &several, &sources, &mut told, see).await?;
        }
        Ok(told)
    }

    /// The scene alone, as a fold runs it.
    fn running(&self) -> Running {
        let mut running = Running::default();
        running.scenes.insert(self.scene.no, self.scene.clone());
        running
    }

    /// Where the partition's log begins.
    async fn begins(&self, partition: PartitionId) -> Result<Position> {
        Ok(snapshot::position(&self.inner, partition).await?)
    }
}
