//! The operations: for each the shape of its request, the call of the kernel, and the shape of its answer. Nothing is worked
//! out here but what a caller's bytes mean.

use crate::{Refusal, hex};
use luopan_kernel::assign::{Assignment, Experiment};
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::{Contact, Decision, Request, Situation};
use luopan_kernel::event::{Event, Origin};
use luopan_kernel::fold::FoldPlan;
use luopan_kernel::id::{DEFAULT_TENANT, DecisionId, IdentifierId, SceneNo};
use luopan_kernel::learn::{ModelState, Sample};
use luopan_kernel::plan::{Expr, ItemPlan, ModelPlan, ScenePlan, SlotId, Truth};
use luopan_kernel::profile::{Admission, Profile, Spilled};
use luopan_kernel::rule::{Clause, eval, explain, explain_exclusion, truth, written};
use luopan_kernel::segment::SegmentSet;
use luopan_kernel::slots::CustomerSlots;
use luopan_kernel::time::{Micros, Moment};
use luopan_kernel::value::Value;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A name and its value.
type Named = (String, Value<'static>);

/// `{"op":"semantics"}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Semantics {
    #[serde(rename = "op")]
    _op: IgnoredAny,
}

/// The number of the kernel's meaning.
pub(crate) fn semantics(_: Semantics) -> u32 {
    luopan_kernel::SEMANTICS
}

/// `{"op":"fold","scene":PLAN,"identifier":ID,"profile":HEX?,"events":[...]}`; without a profile, one that has seen nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fold {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    scene: ScenePlan,
    identifier: IdentifierId,
    #[serde(default)]
    profile: Option<String>,
    events: Vec<EventIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventIn {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    occurred_at: Micros,
    received_at: Micros,
    /// Strictly ascending by name.
    #[serde(default)]
    properties: Vec<Named>,
}

#[derive(Serialize)]
pub(crate) struct Folded {
    /// Stored form.
    profile: String,
    /// For each event whether it was new.
    admitted: Vec<bool>,
    /// Event ids that no longer fit the profile: hash and last log time at which they must still be found.
    spilled: Vec<(String, Micros)>,
}

/// Admits and folds events in order.
pub(crate) fn fold(request: Fold) -> Result<Folded, Refusal> {
    let plan = FoldPlan::new(&request.scene);
    let mut profile = match &request.profile {
        Some(digits) => stored_profile(digits)?,
        None => {
            let first = request.events.first();
            let at = first.map(|e| e.received_at).unwrap_or_default();
            Profile::new(request.identifier, plan.layout(), at)
        }
    };
    if profile.identifier != request.identifier {
        return Err(Refusal::new(
            "bad_profile",
            format!(
                "the profile is of identifier {}; give its own",
                profile.identifier
            ),
        ));
    }
    let mut out = Folded {
        profile: String::new(),
        admitted: Vec::with_capacity(request.events.len()),
        spilled: Vec::new(),
    };
    for event in request.events {
        let event = event.into_event(request.identifier)?;
        let horizon_us = request.scene.dedup_horizon_us;
        let admission = (profile.seen).admit(event.dedup_hash(), event.received_at, horizon_us);
        out.admitted.push(admission != Admission::Duplicate);
        match admission {
            Admission::Duplicate => continue,
            Admission::New(None) => {}
            Admission::New(Some(Spilled { hash, expires_at })) => {
                out.spilled.push((format!("{hash:032x}"), expires_at));
            }
        }
        luopan_kernel::fold::fold(&plan, &mut profile, &event);
    }
    // A profile without events is laid out for the plan all the same.
    profile.adapt(plan.layout());
    out.profile = hex::encode(&profile.encode());
    Ok(out)
}

impl EventIn {
    fn into_event(self, identifier: IdentifierId) -> Result<Event<'static>, Refusal> {
        if let Some(pair) = self.properties.windows(2).find(|w| w[0].0 >= w[1].0) {
            return Err(Refusal::new(
                "bad_event",
                format!(
                    "event {:?} has the property {:?} after {:?}; write each once, ascending by name",
                    self.id, pair[1].0, pair[0].0
                ),
            ));
        }
        Ok(Event {
            id: Cow::Owned(self.id),
            tenant: DEFAULT_TENANT,
            scene: SceneNo(0),
            identifier,
            kind: Cow::Owned(self.kind),
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            origin: Origin::Live,
            properties: (self.properties.into_iter())
                .map(|(name, value)| (Cow::Owned(name), value))
                .collect(),
            context: Vec::new(),
            corrects: None,
            sealed: Vec::new(),
        })
    }
}

fn stored_profile(digits: &str) -> Result<Profile, Refusal> {
    let bytes = stored("bad_profile", digits)?;
    Profile::decode(&bytes).map_err(|e| Refusal::new("bad_profile", e.to_string()))
}

fn stored(code: &'static str, digits: &str) -> Result<Vec<u8>, Refusal> {
    hex::decode(digits).ok_or_else(|| {
        Refusal::new(
            code,
            "stored bytes are written as pairs of lower-case hexadecimal digits",
        )
    })
}

fn stored_profiles(all: &[String]) -> Result<Vec<Profile>, Refusal> {
    all.iter().map(|digits| stored_profile(digits)).collect()
}

/// `{"op":"slots","scene":PLAN,"profiles":[HEX...],"moment":{"now":..,"utc_offset_s":..},"request":[[NAME,VALUE]...]}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slots {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    scene: ScenePlan,
    profiles: Vec<String>,
    moment: Moment,
    #[serde(default)]
    request: Vec<Named>,
}

/// Every slot of customer, environment and request with its value, in slot order.
pub(crate) fn slots(request: Slots) -> Result<Vec<Named>, Refusal> {
    let profiles = stored_profiles(&request.profiles)?;
    let asked: Vec<_> = (request.request.into_iter())
        .map(|(name, value)| (Cow::Owned(name), value))
        .collect();
    let read = CustomerSlots::read(
        &request.scene,
        &profiles.iter().collect::<Vec<_>>(),
        request.moment,
        &asked,
    );
    Ok((request.scene.slots.iter().zip(read.values))
        .map(|(slot, value)| (slot.name.clone(), value.into_owned()))
        .collect())
}

/// `{"op":"segments","scene":PLAN,"profiles":[HEX...],"as_of":MICROSECONDS}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segments {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    scene: ScenePlan,
    profiles: Vec<String>,
    as_of: Micros,
}

#[derive(Serialize)]
pub(crate) struct MemberOf {
    /// Names, in the plan's order.
    segments: Vec<String>,
    /// Earliest time at which this may change without an event.
    next_flip_at: Option<Micros>,
}

/// Membership of the customer of these profiles.
pub(crate) fn segments(request: Segments) -> Result<MemberOf, Refusal> {
    let profiles = stored_profiles(&request.profiles)?;
    let set =
        SegmentSet::new(&request.scene).map_err(|e| Refusal::new("bad_segment", e.to_string()))?;
    let profiles: Vec<&Profile> = profiles.iter().collect();
    let found = set.evaluate(&request.scene, &profiles, request.as_of);
    let named = |i: &u16| request.scene.segments.get(usize::from(*i));
    Ok(MemberOf {
        segments: (found.members.indexes.iter())
            .filter_map(|i| named(i).map(|s| s.name.clone()))
            .collect(),
        next_flip_at: found.next_flip_at,
    })
}

/// `{"op":"rule","expr":EXPR,"slots":[VALUE...]}`; slots past the end are missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    expr: Expr,
    slots: Vec<Value<'static>>,
}

#[derive(Serialize)]
pub(crate) struct Ruled {
    value: Value<'static>,
    truth: Truth,
    /// Why it does not pass as an inclusion.
    fails: Option<ClauseOut>,
    /// Why it strikes as an exclusion.
    strikes: Option<ClauseOut>,
}

#[derive(Serialize)]
struct ClauseOut {
    clause: String,
    index: usize,
    of: usize,
    truth: Truth,
    reads: Vec<(u16, Value<'static>)>,
}

/// Value, truth and decisive clauses of an expression.
pub(crate) fn rule(request: &Rule) -> Ruled {
    let slots = request.slots.as_slice();
    let name = |id: SlotId| Cow::Owned(format!("slot_{}", id.0));
    let told = |clause: Clause<'_>| ClauseOut {
        clause: written(clause.expr, &name),
        index: clause.index,
        of: clause.of,
        truth: clause.truth,
        reads: (clause.reads.into_iter())
            .map(|(id, value)| (id.0, value))
            .collect(),
    };
    Ruled {
        value: eval(&request.expr, slots).into_owned(),
        truth: truth(&request.expr, slots),
        fails: explain(&request.expr, slots).map(told),
        strikes: explain_exclusion(&request.expr, slots).map(told),
    }
}

/// `{"op":"decide","scene":PLAN,"policy":NAME,"customer":[[SLOT,VALUE]...],"request":REQUEST,"seed":N}` and, where there are
/// any, `items` (imported ones), `catalogue_version`, `contacts` (ascending by time), `spent` (one a budget), `model` (HEX).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decide {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    scene: ScenePlan,
    policy: String,
    customer: Vec<Named>,
    request: Request,
    seed: u64,
    #[serde(default)]
    catalogue_version: u64,
    #[serde(default)]
    items: Vec<ItemPlan>,
    #[serde(default)]
    contacts: Vec<Contact>,
    #[serde(default)]
    spent: Vec<i64>,
    #[serde(default)]
    model: Option<String>,
}

/// The decision.
pub(crate) fn decide(request: Decide) -> Result<Decision, Refusal> {
    let scene = &request.scene;
    let unknown = |what: &str, name: &str| {
        Refusal::new("bad_request", format!("the plan has no {what} {name:?}"))
    };
    let policy = scene
        .policy(&request.policy)
        .ok_or_else(|| unknown("policy", &request.policy))?;
    let catalogue = scene
        .catalogues
        .get(usize::from(policy.catalogue))
        .ok_or_else(|| unknown("catalogue of policy", &request.policy))?;
    let catalogue = Catalogue::new(catalogue, request.catalogue_version, request.items)
        .map_err(|e| Refusal::new("bad_catalogue", e.to_string()))?;
    let mut values = vec![Value::Missing; scene.slots.len()];
    for (name, value) in request.customer {
        let slot = scene.slot(&name).ok_or_else(|| unknown("slot", &name))?;
        values[usize::from(slot.0)] = value;
    }
    let model = request.model.as_deref().map(stored_model).transpose()?;
    let situation = Situation {
        customer: &CustomerSlots {
            values,
            ..CustomerSlots::default()
        },
        catalogue: &catalogue,
        prepared: None,
        contacts: &request.contacts,
        spent: &request.spent,
        elapsed: &[],
        model: model.as_ref(),
        objective_models: &[],
        artifacts: &luopan_kernel::artifact::NONE,
    };
    Ok(luopan_kernel::decide::decide(
        scene,
        policy,
        &situation,
        &request.request,
        request.seed,
    ))
}

fn stored_model(digits: &str) -> Result<ModelState, Refusal> {
    let bytes = stored("bad_model", digits)?;
    ModelState::decode(&bytes).map_err(|e| Refusal::new("bad_model", e.to_string()))
}

/// `{"op":"learn","plan":MODEL,"model":HEX?,"samples":[...]}`; without a model, one that has learned nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Learn {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    plan: ModelPlan,
    #[serde(default)]
    model: Option<String>,
    samples: Vec<SampleIn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleIn {
    decision: DecisionId,
    /// Item key; absent for the null action.
    #[serde(default)]
    arm: Option<String>,
    features: Vec<f64>,
    reward: f64,
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Serialize)]
pub(crate) struct Learnt {
    /// Stored form.
    model: String,
    /// Samples that changed a belief.
    learned: u64,
    /// Samples that could not.
    skipped: u64,
}

/// Learns samples in order.
pub(crate) fn learn(request: &Learn) -> Result<Learnt, Refusal> {
    let model = request.model.as_deref().map(stored_model).transpose()?;
    let mut model = model.unwrap_or_default();
    let samples: Vec<Sample> = (request.samples.iter())
        .map(|s| Sample {
            id: (s.decision, request.plan.reward),
            arm: s.arm.clone(),
            features: s.features.clone(),
            reward: s.reward,
            weight: s.weight,
            propensity: 1.0,
            at: Micros::default(),
        })
        .collect();
    let learned = luopan_kernel::learn::learn(&request.plan, &mut model, &samples);
    Ok(Learnt {
        model: hex::encode(&model.encode()),
        learned: learned.learned,
        skipped: learned.skipped,
    })
}

/// `{"op":"predict","plan":MODEL,"model":HEX?,"arm":KEY?,"features":[...]}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predict {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    plan: ModelPlan,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    arm: Option<String>,
    features: Vec<f64>,
}

#[derive(Serialize)]
pub(crate) struct Predicted {
    mean: f64,
    linear: f64,
    variance: f64,
}

/// What the model expects of an arm.
pub(crate) fn predict(request: &Predict) -> Result<Predicted, Refusal> {
    let model = request.model.as_deref().map(stored_model).transpose()?;
    let model = model.unwrap_or_default();
    let found = luopan_kernel::learn::predict(
        &request.plan,
        &model,
        request.arm.as_deref(),
        &request.features,
    );
    match found {
        Some(p) => Ok(Predicted {
            mean: p.mean,
            linear: p.linear,
            variance: p.variance,
        }),
        None => Err(Refusal::new(
            "bad_request",
            format!(
                "the model has {} features, {} are given",
                luopan_kernel::features::dimension(&request.plan),
                request.features.len()
            ),
        )),
    }
}

/// `{"op":"assign","experiment":{...},"unit":TEXT}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    experiment: Experiment,
    unit: String,
}

/// The variant of a unit, or the holdout.
pub(crate) fn assign(request: &Assign) -> Result<Assignment, Refusal> {
    luopan_kernel::assign::assign(&request.experiment, request.unit.as_bytes())
        .map_err(|e| Refusal::new("bad_experiment", e.to_string()))
}
