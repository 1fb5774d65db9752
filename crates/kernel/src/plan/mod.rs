//! Compiled scenes: what the `scene` room makes of a scene pack and what every kernel function takes. Plans are data;
//! they are serialised as canonical JSON with a format number, hashed, stored for ever and named by that hash.

pub mod contest;
pub mod model;
pub mod monitor;
pub mod orders;
pub mod policy;
pub mod reward;
pub mod rule;
pub mod schema;
pub mod slot;
pub mod tag;

use serde::{Deserialize, Serialize};

pub use contest::ContestPlan;
pub use model::{Feature, FeaturePlan, ModelKind, ModelPlan, ModelScope};
pub use monitor::{DriftLimits, MonitorPlan};
pub use orders::{BookTag, FeeStep, HeldTag, OrderEvent, OrderStep, OrdersPlan};
pub use policy::{
    BudgetPeriod, BudgetPlan, BudgetUse, CapPlan, CapScope, Diversity, Exploration, Horizon,
    KeepEach, LEFT_MIN, LearnFrom, NullAction, Objective, ObjectiveGroup, ObjectiveValue,
    Objectives, Permits, PolicyPlan, PricePlan, QuietHours, Ranking, RankingInput, Retrieval,
    Scorer,
};
pub use reward::{Combine, Join, RewardPlan};
pub use rule::{BinaryOp, Expr, Function, NamedRule, Truth, UnaryOp};
pub use schema::{EventSchema, Field};
pub use slot::{Calendar, EnvironmentTag, Exchange, SlotId, SlotPlan, SlotSource, Stage};
pub use tag::{Aggregate, Measure, Step, TagPlan, Window};

/// Newest format of a scene plan.
pub const PLAN_FORMAT: u16 = 1;

/// Most tags of one scene.
pub const TAGS_MAX: usize = 1024;
/// Most segments of one scene.
pub const SEGMENTS_MAX: usize = 512;
/// Most items of a catalogue held by this release.
pub const ITEMS_MAX: usize = 1_000_000;

/// A segment: a rule over customer slots whose members are kept up to date as events arrive and time passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Membership rule over customer slots (no item, request or environment slots). Unknown is not a member.
    pub rule: NamedRule,
}

/// An item that the scene pack itself declares (an action of a campaign, a product of a small catalogue).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemPlan {
    /// The item's key, unique in its catalogue, at most 128 bytes.
    pub key: String,
    /// Values in the order of [`CataloguePlan::attributes`].
    pub values: Vec<crate::value::Value<'static>>,
}

/// A catalogue: items of one kind with declared attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CataloguePlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Attributes, in slot order.
    pub attributes: Vec<Field>,
    /// Items declared in the pack; imports add to and replace these.
    pub items: Vec<ItemPlan>,
    /// Attributes that are computed from the items' NAV history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<crate::catalogue::measures::MeasuresPlan>,
    /// Imported keys are codes of so many digits; a key of another form is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_digits: Option<u8>,
}

/// Most values of the market that a scene declares.
pub const MARKET_MAX: usize = 64;

/// Whose attribute tells of the market.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketOf {
    /// That of the item of this key.
    Item(String),
    /// The median over the items for which the condition (over slots of the item alone) is true; without one, over all.
    Median(Option<Expr>),
}

/// A value of the market, read as `env.market_NAME`: a number that the snapshot of a catalogue gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarketPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Number of the catalogue.
    pub catalogue: u16,
    /// Index of the attribute, a number or an integer.
    pub attribute: u16,
    /// Whose.
    pub of: MarketOf,
}

/// What kind of trained thing an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// [`crate::factors::Factors`].
    Factors,
    /// [`crate::trees::Ensemble`].
    Trees,
    /// [`crate::sequence::SequenceModel`].
    Sequence,
}

/// Most intentions of one scene.
pub const INTENTIONS_MAX: usize = 8;

/// What is predicted that the customer will do next: slots `intention.NAME.CLASS`, one a class of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentionPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Index into [`ScenePlan::tags`] of the sequence that the model reads.
    pub sequence: u16,
    /// Index into [`ScenePlan::artifacts`] of the model.
    pub artifact: u16,
}

/// A trained thing that a scene's policies use. It is kept beside the plan, under the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactPlan {
    /// Name, unique in the scene.
    pub name: String,
    /// Kind.
    pub kind: ArtifactKind,
    /// SHA-256 of its encoded bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// The model of the registry whose version in force it is. Deciding does not read it; whoever puts another version in force does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Most artifacts of one scene.
pub const ARTIFACTS_MAX: usize = 64;

/// A whole compiled scene.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenePlan {
    /// [`PLAN_FORMAT`] of the program that compiled it.
    pub format: u16,
    /// Scene name.
    pub name: String,
    /// Description as declared.
    pub description: String,
    /// IANA zone used for customers whose own zone is unknown.
    pub default_zone: String,
    /// Name of the customer attribute that holds the customer's IANA zone, when one is declared.
    pub zone_attribute: Option<String>,
    /// Event types, ascending by name, reserved ones included.
    pub events: Vec<EventSchema>,
    /// Tags, in slot order.
    pub tags: Vec<TagPlan>,
    /// Derived tags: expressions over slots declared earlier.
    pub derived: Vec<Expr>,
    /// Calendars for environment tags.
    pub calendars: Vec<Calendar>,
    /// All slots of customer, environment and request; an item's attributes follow them per catalogue.
    pub slots: Vec<SlotPlan>,
    /// Catalogues.
    pub catalogues: Vec<CataloguePlan>,
    /// Segments.
    pub segments: Vec<SegmentPlan>,
    /// Policies.
    pub policies: Vec<PolicyPlan>,
    /// Models.
    pub models: Vec<ModelPlan>,
    /// Rewards.
    pub rewards: Vec<RewardPlan>,
    /// Budgets.
    pub budgets: Vec<BudgetPlan>,
    /// Trained things that policies use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ArtifactPlan>,
    /// How long an event id is remembered for deduplication, in microseconds of log time. Live events that happened
    /// longer ago go to quarantine.
    pub dedup_horizon_us: i64,
    /// Orders, at most one a catalogue and [`orders::ORDERS_MAX`] in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrdersPlan>,
    /// Expressions over slots of a customer and attributes of an item, each of one catalogue: slots `item.NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paired: Vec<Expr>,
    /// What catalogues tell of the market.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub market: Vec<MarketPlan>,
    /// What is predicted of customers' next acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intentions: Vec<IntentionPlan>,
    /// What is watched of policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<MonitorPlan>,
    /// Which policy decides in the place of which, for a share of the customers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contests: Vec<ContestPlan>,
}

/// Why plan bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a plan.
    #[error("the stored plan cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer program.
    #[error(
        "the plan has format {found}, this program reads up to {PLAN_FORMAT}; use a newer program"
    )]
    Newer {
        /// Format found.
        found: u16,
    },
}

impl ScenePlan {
    /// Canonical bytes: JSON with fields in declaration order. The hash of a plan is the SHA-256 of these.
    pub fn encode(&self) -> Vec<u8> {
        // Plans hold no maps and no non-finite numbers (the scene room refuses them), so this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`Error::Newer`] before anything else is looked at, else [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            format: u16,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format > PLAN_FORMAT {
            return Err(Error::Newer { found: head.format });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// SHA-256 of the canonical bytes.
    pub fn hash(&self) -> [u8; 32] {
        use sha2::Digest;
        sha2::Sha256::digest(self.encode()).into()
    }

    /// The event type `name`.
    pub fn event(&self, name: &str) -> Option<&EventSchema> {
        self.events
            .binary_search_by(|e| e.name.as_str().cmp(name))
            .ok()
            .map(|i| &self.events[i])
    }

    /// Index of the policy `name`.
    pub fn policy(&self, name: &str) -> Option<&PolicyPlan> {
        self.policies.iter().find(|p| p.name == name)
    }

    /// The slot `name`.
    pub fn slot(&self, name: &str) -> Option<SlotId> {
        self.slots
            .iter()
            .position(|s| s.name == name)
            .map(|i| SlotId(i as u16))
    }

    /// The slot `name` as a policy over the numbered catalogue reads it: slots of items bear the same names in several.
    pub fn slot_for(&self, name: &str, catalogue: u16) -> Option<SlotId> {
        let is_its = |source: &SlotSource| match source {
            SlotSource::Item(c, _) | SlotSource::ItemKey(c) | SlotSource::Paired(c, _) => {
                *c == catalogue
            }
            SlotSource::Held(o, _) => (self.orders.get(usize::from(*o)))
                .is_some_and(|orders| orders.catalogue == catalogue),
            _ => true,
        };
        (self.slots.iter())
            .position(|s| s.name == name && is_its(&s.source))
            .map(|i| SlotId(i as u16))
    }
}
