//! The record of a decision: everything needed to make it again and to compare. It is stored as JSON behind a format byte, so
//! that it can be read without this program, and it must never hold a foreign id.

use crate::artifact::Artifacts;
use crate::book::view::not_held;
use crate::catalogue::Catalogue;
use crate::decide::{Contact, Decision, Request, Situation, decide};
use crate::id::{IdentifierId, PartitionId, Position, SceneNo, TenantId};
use crate::learn::ModelState;
use crate::plan::{PolicyPlan, ScenePlan, SlotSource};
use crate::slots::{CustomerSlots, HeldItems, SlotSet, predicted};
use crate::time::Micros;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Newest format of a decision record.
pub const RECORD_FORMAT: u8 = 1;

/// Why record bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No bytes, or a format of zero.
    #[error(
        "the decision record is empty or has no format number; it was not written by this program"
    )]
    NoFormat,
    /// Written by a newer program.
    #[error(
        "the decision record has format {found}, this program reads up to {RECORD_FORMAT}; use a newer program"
    )]
    Newer {
        /// Format found.
        found: u8,
    },
    /// Not a record.
    #[error("the decision record cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Which model a decision used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUsed {
    /// Name.
    pub name: String,
    /// Version: samples consumed.
    pub version: u64,
}

/// What names a request for idempotency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Hash of the caller's key, hexadecimal.
    pub key_hash: String,
    /// Hash of the request as received, hexadecimal.
    pub body_hash: String,
}

/// A decision record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// [`crate::SEMANTICS`] of the kernel that decided.
    pub semantics: u32,
    /// Tenant.
    pub tenant: TenantId,
    /// Scene.
    pub scene: SceneNo,
    /// Its version.
    pub scene_version: u32,
    /// SHA-256 of its plan, 64 hexadecimal digits.
    pub plan_hash: String,
    /// Policy that decided.
    pub policy: String,
    /// Contest in which it did, as champion or as challenger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<String>,
    /// Version of the catalogue: position of the environment partition.
    pub catalogue_version: u64,
    /// Model, when the policy has one.
    pub model: Option<ModelUsed>,
    /// Models of the policy's objectives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objective_models: Vec<ModelUsed>,
    /// The request: decision id, customer, moment, origin.
    pub request: Request,
    /// Identifier that the request named.
    pub identifier: IdentifierId,
    /// Linked identifiers whose profiles and contacts were seen, ascending.
    pub identifiers: Vec<IdentifierId>,
    /// Request context, ascending by name.
    pub context: Vec<(String, Value<'static>)>,
    /// Idempotency key, when the caller gave one.
    pub idempotency: Option<Idempotency>,
    /// Seed.
    pub seed: u64,
    /// Log position that State had seen, one a partition that was read, ascending.
    pub positions: Vec<(PartitionId, Position)>,
    /// Contacts that any gate of the policy could count, ascending by time.
    pub contacts: Vec<Contact>,
    /// Spent per budget of the scene when it was decided.
    pub spent: Vec<i64>,
    /// Share of the present period that was over per budget of the scene, where the policy prices one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elapsed: Vec<f64>,
    /// Number of the attempt that was committed, from 1.
    pub attempt: u32,
    /// Why the commit withheld the choice for good; none when it stands.
    pub withheld: Option<String>,
    /// The intent may not be sent after this.
    pub valid_until: Micros,
    /// The decision.
    pub decision: Decision,
}

impl DecisionRecord {
    /// Encodes the record: format byte, then JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![RECORD_FORMAT];
        // A record holds no map with keys other than text and no number that is not finite, so this cannot fail.
        if serde_json::to_writer(&mut out, self).is_err() {
            out.truncate(1);
        }
        out
    }

    /// Decodes what [`DecisionRecord::encode`] wrote.
    ///
    /// # Errors
    /// [`Error`]; a newer format is refused before anything else is looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            None | Some((0, _)) => Err(Error::NoFormat),
            Some((found, _)) if *found > RECORD_FORMAT => Err(Error::Newer { found: *found }),
            Some((_, json)) => Ok(serde_json::from_slice(json)?),
        }
    }
}

/// Why a decision cannot be made again by this program from what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrepeatable {
    /// Another meaning of the kernel.
    #[error(
        "the decision was made by semantics {found}, this program has {}; use a program of that semantics",
        crate::SEMANTICS
    )]
    Semantics {
        /// Semantics recorded.
        found: u32,
    },
    /// Another plan.
    #[error(
        "the decision was made by the plan {wanted}, the one given is {found}; give the recorded version of the scene"
    )]
    Plan {
        /// Hash recorded.
        wanted: String,
        /// Hash given.
        found: String,
    },
    /// The plan has no such policy.
    #[error("the plan has no policy `{policy}`")]
    Policy {
        /// Policy recorded.
        policy: String,
    },
    /// Another snapshot of the catalogue.
    #[error(
        "the decision saw version {wanted} of the catalogue, the one given is {found}; give that version"
    )]
    Catalogue {
        /// Version recorded.
        wanted: u64,
        /// Version given.
        found: u64,
    },
    /// Another state of the model, or none.
    #[error(
        "the decision saw model `{name}` after {wanted} samples, the state given has {found}; give that state"
    )]
    Model {
        /// Model recorded.
        name: String,
        /// Version recorded.
        wanted: u64,
        /// Version given.
        found: u64,
    },
}

/// One place where two decisions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Path in the decision, as in `choices/0/propensity`.
    pub path: String,
    /// What the record holds, as JSON; `absent` when it holds nothing there.
    pub recorded: String,
    /// What was computed anew.
    pub recomputed: String,
}

/// Most differences that are told one by one.
pub const DIFFERENCES_MAX: usize = 100;

/// SHA-256 of a plan as records write it: 64 hexadecimal digits.
pub fn plan_hash(scene: &ScenePlan) -> String {
    use core::fmt::Write;
    scene
        .hash()
        .iter()
        .fold(String::with_capacity(64), |mut out, b| {
            // Writing to a string cannot fail.
            let _ = write!(out, "{b:02x}");
            out
        })
}

/// What a record names and does not hold.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The policy's catalogue at the recorded version.
    pub catalogue: &'a Catalogue,
    /// The policy's model at the recorded version.
    pub model: Option<&'a ModelState>,
    /// The models of the policy's objectives at their recorded versions, by name.
    pub objective_models: &'a [(&'a str, &'a ModelState)],
    /// The artifacts that the plan names.
    pub artifacts: &'a Artifacts,
}

/// Makes the decision of `record` again, from the record and the versions that it names.
///
/// # Errors
/// [`Unrepeatable`] when what was given is not what the record names. A model of version zero need not be given.
pub fn recompute(
    record: &DecisionRecord,
    scene: &ScenePlan,
    known: &Known<'_>,
) -> Result<Decision, Unrepeatable> {
    let Known {
        catalogue,
        model,
        objective_models,
        artifacts,
    } = *known;
    if record.semantics != crate::SEMANTICS {
        return Err(Unrepeatable::Semantics {
            found: record.semantics,
        });
    }
    let found = plan_hash(scene);
    if found != record.plan_hash {
        return Err(Unrepeatable::Plan {
            wanted: record.plan_hash.clone(),
            found,
        });
    }
    let policy = scene
        .policy(&record.policy)
        .ok_or_else(|| Unrepeatable::Policy {
            policy: record.policy.clone(),
        })?;
    if catalogue.version != record.catalogue_version {
        return Err(Unrepeatable::Catalogue {
            wanted: record.catalogue_version,
            found: catalogue.version,
        });
    }
    let version = model.map_or(0, |m| m.samples);
    match &record.model {
        Some(used) if used.version != version => {
            return Err(Unrepeatable::Model {
                name: used.name.clone(),
                wanted: used.version,
                found: version,
            });
        }
        _ => {}
    }
    for used in &record.objective_models {
        let given = objective_models.iter().find(|(n, _)| *n == used.name);
        let found = given.map_or(0, |(_, m)| m.samples);
        if found != used.version {
            return Err(Unrepeatable::Model {
                name: used.name.clone(),
                wanted: used.version,
                found,
            });
        }
    }
    let customer = customer(record, scene, policy, artifacts);
    let situation = Situation {
        customer: &customer,
        catalogue,
        prepared: None,
        contacts: &record.contacts,
        spent: &record.spent,
        elapsed: &record.elapsed,
        model: record.model.as_ref().and(model),
        objective_models,
        artifacts,
    };
    let decision = decide(scene, policy, &situation, &record.request, record.seed);
    Ok(match &record.withheld {
        Some(reason) => decision.withheld(reason),
        None => decision,
    })
}

/// The customer as the decision saw her: the slots that its record holds, and what is predicted from them.
pub fn customer(
    record: &DecisionRecord,
    scene: &ScenePlan,
    policy: &PolicyPlan,
    artifacts: &Artifacts,
) -> CustomerSlots<'static> {
    let mut customer = seen(record, scene, policy.catalogue);
    foresee(&mut customer, scene, policy, artifacts);
    customer
}

/// Predicts the intentions that the policy reads again, from the recorded acts, by the models that the plan names.
fn foresee(
    customer: &mut CustomerSlots<'_>,
    scene: &ScenePlan,
    policy: &PolicyPlan,
    artifacts: &Artifacts,
) {
    if scene.intentions.is_empty() {
        return;
    }
    for id in SlotSet::of_policy(scene, policy).iter() {
        let SlotSource::Intention(k, class) = scene.slots[usize::from(id.0)].source else {
            continue;
        };
        let Some(plan) = scene.intentions.get(usize::from(k)) else {
            continue;
        };
        let acts = (scene.slots.iter()).position(|s| s.source == SlotSource::Tag(plan.sequence));
        if let Some(acts) = acts.and_then(|i| customer.values.get(i))
            && artifacts.sequence(plan.artifact).is_some()
        {
            let p = predicted(plan, acts, artifacts);
            let p = p.get(usize::from(class)).copied();
            customer.values[usize::from(id.0)] = p.map_or(Value::Missing, Value::Number);
        }
    }
}

/// The slots that the decision saw, from its record.
pub(crate) fn seen(
    record: &DecisionRecord,
    scene: &ScenePlan,
    catalogue: u16,
) -> CustomerSlots<'static> {
    let mut values: Vec<Value<'static>> = (scene.slots.iter())
        .map(|slot| match slot.source {
            SlotSource::Held(_, tag) => not_held(tag),
            _ => Value::Missing,
        })
        .collect();
    for (name, value) in &record.decision.slots_read {
        if let Some(id) = scene.slot(name) {
            values[usize::from(id.0)] = value.clone();
        }
    }
    let held = &record.decision.held_read;
    let read = held.first().map_or(&[][..], |h| h.reads.as_slice());
    let slots = (read.iter()).filter_map(|(name, _)| scene.slot_for(name, catalogue));
    let rows = (held.iter())
        .map(|h| {
            let known = h
                .reads
                .iter()
                .filter(|(n, _)| scene.slot_for(n, catalogue).is_some());
            (h.item.clone(), known.map(|(_, v)| v.clone()).collect())
        })
        .collect();
    CustomerSlots {
        values,
        held: HeldItems::new(slots.collect(), rows),
    }
}

/// Compares the recorded decision with `recomputed`, field by field and to the bit, at most [`DIFFERENCES_MAX`] of them.
pub fn compare(record: &DecisionRecord, recomputed: &Decision) -> Vec<Difference> {
    let mut out = Vec::new();
    // Decisions hold no map with keys other than text, so neither conversion fails.
    let json = |d: &Decision| serde_json::to_value(d).unwrap_or(Json::Null);
    differences(
        &json(&record.decision),
        &json(recomputed),
        &mut String::new(),
        &mut out,
    );
    out
}

fn differences(recorded: &Json, recomputed: &Json, path: &mut String, out: &mut Vec<Difference>) {
    if out.len() >= DIFFERENCES_MAX {
        return;
    }
    let mut inside = |name: &dyn core::fmt::Display, a: Option<&Json>, b: Option<&Json>| {
        let length = path.len();
        if length > 0 {
            path.push('/');
        }
        path.push_str(&name.to_string());
        match (a, b) {
            (Some(a), Some(b)) => differences(a, b, path, out),
            (a, b) => out.push(Difference {
                path: path.clone(),
                recorded: a.map_or_else(|| "absent".to_owned(), Json::to_string),
                recomputed: b.map_or_else(|| "absent".to_owned(), Json::to_string),
            }),
        }
        path.truncate(length);
    };
    match (recorded, recomputed) {
        (Json::Object(a), Json::Object(b)) => {
            for (name, value) in a {
                inside(name, Some(value), b.get(name));
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                inside(name, None, Some(value));
            }
        }
        (Json::Array(a), Json::Array(b)) => {
            for i in 0..a.len().max(b.len()) {
                inside(&i, a.get(i), b.get(i));
            }
        }
        (a, b) if a == b => {}
        (a, b) => out.push(Difference {
            path: path.clone(),
            recorded: a.to_string(),
            recomputed: b.to_string(),
        }),
    }
}
