//! The documents that this program answers with, the same over HTTP and on the command line. Only shapes and conversions:
//! nothing here asks the engine or prints.

use crate::time;
use luopan_engine::{Engine, api, registry};
use luopan_kernel::decide::RuleCount;
use luopan_kernel::event::Origin;
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::value::Value;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A value as JSON: times as RFC 3339, money and durations as integers, missing as null.
#[must_use]
pub fn value(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Missing => serde_json::Value::Null,
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::Number(v) => (*v).into(),
        Value::Text(v) => v.as_ref().into(),
        Value::Time(v) => time::write(*v).into(),
    }
}

/// What is known of a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Customer {
    /// Scene.
    pub scene: String,
    /// Internal id of the customer.
    pub customer: String,
    /// Linked identifiers, as their senders name them.
    pub identifiers: Vec<String>,
    /// As of when, RFC 3339.
    pub as_of: String,
    /// Tags with their values; null where nothing is known.
    #[schema(value_type = Object)]
    pub tags: BTreeMap<String, serde_json::Value>,
    /// Segments the customer is in.
    pub segments: Vec<String>,
    /// Recent contacts, oldest first.
    pub contacts: Vec<Contact>,
    /// Positions that this reflects.
    pub position: String,
}

/// A contact with a customer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contact {
    /// When, RFC 3339.
    pub at: String,
    /// Policy that decided it.
    pub policy: String,
    /// Channel.
    pub channel: String,
    /// What was shown or sent.
    pub item: String,
}

impl From<api::CustomerView> for Customer {
    fn from(view: api::CustomerView) -> Self {
        Self {
            scene: view.scene,
            customer: view.customer.to_string(),
            identifiers: view.identifiers,
            as_of: time::write(view.as_of),
            tags: view
                .tags
                .into_iter()
                .map(|(name, v)| (name, value(&v)))
                .collect(),
            segments: view.segments,
            contacts: view
                .contacts
                .into_iter()
                .map(|(at, policy, channel, item)| Contact {
                    at: time::write(at),
                    policy,
                    channel,
                    item,
                })
                .collect(),
            position: view.token.to_string(),
        }
    }
}

/// An item of a catalogue as decisions see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Product {
    /// Key.
    pub key: String,
    /// Attributes, measures among them; null where nothing is known.
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// Attributes whose values were made up, not published.
    pub generated: Vec<String>,
    /// Since when it is offered no more, RFC 3339.
    pub withdrawn_at: Option<String>,
    /// Key of the item that took its place.
    pub successor: Option<String>,
}

impl From<api::ItemView> for Product {
    fn from(item: api::ItemView) -> Self {
        Self {
            key: item.key,
            attributes: (item.attributes.into_iter())
                .map(|(name, v)| (name, value(&v)))
                .collect(),
            generated: item.generated,
            withdrawn_at: item.withdrawn_at.map(time::write),
            successor: item.successor,
        }
    }
}

/// A page of a catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Products {
    /// Scene.
    pub scene: String,
    /// Catalogue.
    pub catalogue: String,
    /// Its version, as decisions record it.
    pub version: u64,
    /// Items that may be chosen, in the whole catalogue.
    pub candidates: u64,
    /// Items that are offered no more.
    pub withdrawn: u64,
    /// Items of this page, ascending by key.
    pub items: Vec<Product>,
    /// Hand this to `after` for the next page; null on the last one.
    pub next: Option<String>,
}

impl Products {
    /// A page with its names.
    #[must_use]
    pub fn new(scene: String, catalogue: String, page: api::ItemPage) -> Self {
        let last = page.items.last().map(|i| i.key.clone());
        Self {
            scene,
            catalogue,
            version: page.version,
            candidates: page.candidates,
            withdrawn: page.withdrawn,
            next: last.filter(|_| page.more),
            items: page.items.into_iter().map(Into::into).collect(),
        }
    }
}

/// The segments of a scene.
#[derive(Debug, Serialize, ToSchema)]
pub struct Segments {
    /// Scene.
    pub scene: String,
    /// Segments, in order of name.
    pub segments: Vec<Segment>,
}

/// A segment and its size.
#[derive(Debug, Serialize, ToSchema)]
pub struct Segment {
    /// Name.
    pub name: String,
    /// Rule as written.
    pub rule: String,
    /// Members now.
    pub members: u64,
}

impl From<api::SegmentCount> for Segment {
    fn from(s: api::SegmentCount) -> Self {
        Self {
            name: s.name,
            rule: s.rule,
            members: s.members,
        }
    }
}

/// Members of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Members {
    /// Members of this page, in order of internal id.
    pub members: Vec<Member>,
    /// Hand this to `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// A member of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// Internal id of the customer.
    pub customer: String,
    /// The customer as the sender names them; null when erased.
    pub identifier: Option<String>,
}

/// For how many customers a rule holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleCounted {
    /// Customers for whom it is true.
    pub matched: u64,
    /// Customers for whom it is unknown; they do not pass it.
    pub unknown: u64,
    /// All customers of the scene.
    pub customers: u64,
}

impl From<api::RuleCount> for RuleCounted {
    fn from(c: api::RuleCount) -> Self {
        Self {
            matched: c.matched,
            unknown: c.unknown,
            customers: c.customers,
        }
    }
}

/// Quarantined inputs.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantinePage {
    /// Inputs of this page, oldest first.
    pub inputs: Vec<QuarantinedInput>,
    /// Hand this to `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// A quarantined input.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantinedInput {
    /// Id; hand it to a retry.
    pub id: String,
    /// Scene.
    pub scene: String,
    /// When it came, RFC 3339.
    pub at: String,
    /// Stable code.
    pub code: String,
    /// What was found and what to write instead.
    pub reason: String,
    /// `live`, `import`, `simulated` or `dry_run`.
    pub origin: &'static str,
    /// The input as received.
    pub raw: String,
}

impl From<api::Quarantined> for QuarantinedInput {
    fn from(q: api::Quarantined) -> Self {
        Self {
            id: q.id,
            scene: q.scene,
            at: time::write(q.at),
            code: q.code,
            reason: q.reason,
            origin: q.origin.word(),
            raw: q.raw,
        }
    }
}

/// What a retry of quarantined inputs came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Retried {
    /// Inputs that stand in the log now.
    pub accepted: u64,
    /// Inputs that stay in quarantine.
    pub quarantined: u64,
    /// Position to hand to `at_least`.
    pub position: String,
}

impl From<api::IngestReceipt> for Retried {
    fn from(r: api::IngestReceipt) -> Self {
        Self {
            accepted: r.accepted,
            quarantined: r.quarantined,
            position: r.token.to_string(),
        }
    }
}

/// Applied scenes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scenes {
    /// Scenes, in order of number.
    pub scenes: Vec<Scene>,
}

/// Where a scene stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scene {
    /// Name.
    pub name: String,
    /// Number within this installation.
    pub number: u16,
    /// Newest version.
    pub version: u32,
    /// SHA-256 of the compiled plan, hexadecimal.
    pub hash: String,
    /// When it was applied, RFC 3339.
    pub at: String,
    /// Who applied it.
    pub by: String,
    /// Policies.
    pub policies: Vec<String>,
    /// Segments.
    pub segments: Vec<String>,
}

impl From<api::SceneInfo> for Scene {
    fn from(s: api::SceneInfo) -> Self {
        Self {
            name: s.name,
            number: s.number,
            version: s.version,
            hash: s.hash,
            at: time::write(s.at),
            by: s.by,
            policies: s.policies,
            segments: s.segments,
        }
    }
}

/// The origin that a word names.
#[must_use]
pub fn origin(word: &str) -> Option<Origin> {
    [
        Origin::Live,
        Origin::Import,
        Origin::Simulated,
        Origin::DryRun,
    ]
    .into_iter()
    .find(|o| o.word() == word)
}

/// A decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    /// Id.
    pub id: String,
    /// Scene.
    pub scene: String,
    /// Version of the scene.
    pub scene_version: u32,
    /// Policy that decided: in a contest the challenger where the customer is its.
    pub policy: String,
    /// Contest in which it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contest: Option<String>,
    /// Internal id of the customer.
    pub customer: String,
    /// When, RFC 3339.
    pub at: String,
    /// `live`, `simulated` or `dry_run`.
    pub origin: &'static str,
    /// Name of silence, when nothing was chosen; else null.
    pub null_action: Option<String>,
    /// What was chosen, in order of position.
    pub choices: Vec<Choice>,
    /// Probability of the whole outcome, as it was sampled.
    pub propensity: f64,
    /// Items that were looked at.
    pub candidates: u32,
    /// Of these, items that could have been chosen.
    pub available: u32,
    /// Rules, caps and budgets that refused, with how often.
    #[schema(value_type = Vec<Object>)]
    pub refusals: Vec<RuleCount>,
    /// Why the commit withheld the choice for good; null when it stands.
    pub withheld: Option<String>,
    /// Model that scored, with the samples behind it; null when none did.
    pub model: Option<Model>,
    /// What was chosen may not be sent after this, RFC 3339.
    pub valid_until: String,
    /// True when the idempotency key had been used before and this is its first decision.
    pub repeated: bool,
}

/// A chosen item.
#[derive(Debug, Serialize, ToSchema)]
pub struct Choice {
    /// Position in the slate, from 0.
    pub position: u32,
    /// Key of the item.
    pub item: String,
    /// Probability of this item at this position, given the earlier ones.
    pub propensity: f64,
    /// Score.
    pub score: f64,
    /// What it costs.
    pub costs: Vec<Cost>,
}

/// What a choice costs a budget.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cost {
    /// Budget.
    pub budget: String,
    /// Amount: minor units of its currency, or a count.
    pub amount: i64,
}

/// A model as used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    /// Name.
    pub name: String,
    /// Samples learned when it was used.
    pub version: u64,
}

impl Decision {
    /// The decision of a record; `plan` gives the names of budgets and of silence.
    #[must_use]
    pub fn new(
        scene: &str,
        plan: Option<&ScenePlan>,
        record: DecisionRecord,
        repeated: bool,
    ) -> Self {
        let budget = |i: u16| {
            let plan = plan.and_then(|p| p.budgets.get(usize::from(i)));
            plan.map_or_else(|| i.to_string(), |b| b.name.clone())
        };
        let silence = || {
            let policy = plan.and_then(|p| p.policy(&record.policy));
            policy.map_or_else(|| "null".to_owned(), |p| p.null_action.name.clone())
        };
        let decision = record.decision;
        Self {
            id: record.request.decision.to_string(),
            scene: scene.to_owned(),
            scene_version: record.scene_version,
            customer: record.request.customer.to_string(),
            at: time::write(record.request.moment.now),
            origin: record.request.origin.word(),
            null_action: decision.null.then(silence),
            choices: decision
                .choices
                .into_iter()
                .map(|c| Choice {
                    position: c.position,
                    item: c.item,
                    propensity: c.propensity,
                    score: c.score,
                    costs: c
                        .costs
                        .iter()
                        .map(|d| Cost {
                            budget: budget(d.budget),
                            amount: d.amount,
                        })
                        .collect(),
                })
                .collect(),
            propensity: decision.propensity,
            candidates: decision.candidates,
            available: decision.available,
            refusals: decision.refusals,
            withheld: record.withheld,
            model: record.model.map(|m| Model {
                name: m.name,
                version: m.version,
            }),
            valid_until: time::write(record.valid_until),
            policy: record.policy,
            contest: record.contest,
            repeated,
        }
    }
}

/// A decision with all that was recorded of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recorded {
    /// The decision.
    pub decision: Decision,
    /// Everything needed to make it again: versions, slots read, distribution, seed, trace, positions.
    #[schema(value_type = Object)]
    pub record: DecisionRecord,
}

impl Recorded {
    /// The record, with the names that its scene gives.
    #[must_use]
    pub fn new(engine: &Engine, record: DecisionRecord) -> Self {
        let scene = engine
            .scenes()
            .into_iter()
            .find(|s| s.number == record.scene.0);
        let name = scene.map_or_else(|| record.scene.0.to_string(), |s| s.name);
        let plan = engine.plan(&name).ok();
        Self {
            decision: Decision::new(&name, plan.as_deref(), record.clone(), false),
            record,
        }
    }
}

/// A decision computed again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explained {
    /// True when computing it again gave the same to the bit; null when it could not be computed.
    pub agrees: Option<bool>,
    /// Where it did not agree.
    pub differences: Vec<String>,
    /// Why it could not be computed again; null when it could.
    pub not_recomputed: Option<String>,
    /// Items chosen or traced of which attributes were made up, not published: the names of the attributes by key.
    pub generated: BTreeMap<String, Vec<String>>,
    /// The decision and its record.
    #[serde(flatten)]
    #[schema(inline)]
    pub recorded: Recorded,
}

impl Explained {
    /// An explanation, with the names that its scene gives.
    #[must_use]
    pub fn new(engine: &Engine, explanation: api::Explanation) -> Self {
        Self {
            agrees: explanation
                .not_recomputed
                .is_none()
                .then_some(explanation.differences.is_empty()),
            differences: explanation.differences,
            not_recomputed: explanation.not_recomputed,
            generated: explanation.generated.into_iter().collect(),
            recorded: Recorded::new(engine, explanation.record),
        }
    }
}

/// Scores of a decision, taken apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contributed {
    /// The decision.
    pub decision: String,
    /// What was chosen, in order of position, or the item that was asked for.
    pub items: Vec<ContributedItem>,
}

/// The score of an item, taken apart.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributedItem {
    /// Key.
    pub item: String,
    /// True when the decision chose it.
    pub chosen: bool,
    /// Its score for the customer, before the price of a budget.
    pub score: f64,
    /// Its mean score for the other customers; with all that is added it is the score.
    pub base: f64,
    /// What adds anything, the largest first.
    pub added: Vec<ContributedSlot>,
    /// Other customers that this one was compared with.
    pub others: usize,
    /// Pairs of orders that count, and those that do not, since something was not known on the way.
    pub orders: u32,
    /// Those that do not.
    pub unknown: u32,
}

/// What one thing that is known adds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributedSlot {
    /// Name, as rules write it.
    pub slot: String,
    /// What the customer has; null where it is not known.
    pub value: serde_json::Value,
    /// What it adds, in units of the score: its Shapley value.
    pub adds: f64,
    /// Standard error of that.
    pub standard_error: f64,
}

impl From<luopan_engine::contributions::Contributions> for Contributed {
    fn from(of: luopan_engine::contributions::Contributions) -> Self {
        let items = of
            .items
            .into_iter()
            .map(|of| (of.score, of.key, of.is_chosen));
        let items = items.map(|(a, item, chosen)| ContributedItem {
            item,
            chosen,
            score: a.score,
            base: a.base,
            added: (a.added.into_iter())
                .map(|a| ContributedSlot {
                    slot: a.slot,
                    value: value(&a.value),
                    adds: a.adds,
                    standard_error: a.standard_error,
                })
                .collect(),
            others: a.others,
            orders: a.orders,
            unknown: a.unknown,
        });
        Self {
            decision: of.decision.to_string(),
            items: items.collect(),
        }
    }
}

/// The registered models.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisteredModels {
    /// By name.
    pub models: Vec<RegisteredModel>,
}

/// A model with its past.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisteredModel {
    /// Name.
    pub model: String,
    /// The version in force; null where none is.
    pub in_force: Option<u32>,
    /// Versions, ascending.
    pub versions: Vec<ModelVersion>,
    /// What was put in force, in order.
    pub promotions: Vec<Promotion>,
    /// Scenes that name it.
    pub scenes: Vec<String>,
}

/// A version of a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelVersion {
    /// From 1.
    pub version: u32,
    /// `trees`, `factors` or `sequence`.
    pub kind: String,
    /// SHA-256 of what it holds, 64 hexadecimal digits.
    pub sha256: String,
    /// When it was registered, RFC 3339.
    pub at: String,
    /// Who registered it.
    pub by: String,
    /// What it was made from.
    #[schema(value_type = Object)]
    pub lineage: serde_json::Value,
}

/// A version that was put in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Promotion {
    /// Which.
    pub version: u32,
    /// The one in force before; null of the first.
    pub from: Option<u32>,
    /// Why.
    pub reason: String,
    /// When, RFC 3339.
    pub at: String,
    /// By whom.
    pub by: String,
}

/// What putting a version in force did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Promoted {
    /// Model.
    pub model: String,
    /// The promotion; where the version was in force already, the one that put it there, with its reason.
    #[serde(flatten)]
    #[schema(inline)]
    pub promotion: Promotion,
    /// True where the version was not in force before.
    pub new: bool,
    /// The scenes that name the model, as they are now.
    pub scenes: Vec<Scene>,
}

impl From<registry::ModelVersion> for ModelVersion {
    fn from(v: registry::ModelVersion) -> Self {
        Self {
            version: v.version,
            kind: registry::word(v.kind).to_owned(),
            sha256: hex::encode(v.sha256),
            at: time::write(v.at),
            by: v.by,
            lineage: v.lineage,
        }
    }
}

impl From<registry::Promotion> for Promotion {
    fn from(p: registry::Promotion) -> Self {
        Self {
            version: p.version,
            from: p.from,
            reason: p.reason,
            at: time::write(p.at),
            by: p.by,
        }
    }
}

impl RegisteredModel {
    /// A model, with the scenes that name it.
    #[must_use]
    pub fn new(engine: &Engine, of: registry::RegisteredModel) -> Self {
        let names = |s: &api::SceneInfo| {
            let plan = engine.plan(&s.name).ok();
            plan.is_some_and(|p| {
                (p.artifacts.iter()).any(|a| a.model.as_deref() == Some(of.name.as_str()))
            })
        };
        let scenes = engine.scenes().into_iter().filter(names);
        let scenes = scenes.map(|s| s.name).collect();
        Self {
            in_force: of.in_force(),
            model: of.name,
            versions: of.versions.into_iter().map(Into::into).collect(),
            promotions: of.promotions.into_iter().map(Into::into).collect(),
            scenes,
        }
    }
}

impl Promoted {
    /// What putting a version of `model` in force did.
    #[must_use]
    pub fn new(model: &str, of: registry::Promoted) -> Self {
        Self {
            model: model.to_owned(),
            promotion: of.promotion.into(),
            new: of.is_new,
            scenes: of.scenes.into_iter().map(Into::into).collect(),
        }
    }
}
