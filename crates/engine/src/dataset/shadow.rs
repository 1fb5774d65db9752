//! Policies in shadow: what another policy would have done at each logged decision, decided by the kernel from what was known then. Nothing
//! of it is sent, spent or recorded, and it costs the live path nothing.
//!
//! The candidate stands in the place of the policy that decided: that one's contacts count as its own, and budgets are spent as they were.
//! What its gates need and the records do not hold is refused, not guessed.
//!
//! This room must never let a candidate see what the decision did not.

use super::Dataset;
use super::states::{self, Asked, Name, States};
use super::wanted::Wanted;
use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result};
use crate::intake;
use crate::learner::Model;
use crate::scenes::SceneRuntime;
use luopan_kernel::artifact::{self, Artifacts};
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::decide::{Contact, Distribution, Prepared, Request, Situation, decide};
use luopan_kernel::id::PartitionId;
use luopan_kernel::learn::ModelState;
use luopan_kernel::plan::SlotSource;
use luopan_kernel::plan::policy::{CapPlan, CapScope, PolicyPlan};
use luopan_kernel::plan::{BudgetUse, ScenePlan};
use luopan_kernel::profile::Profile;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::slots::{Around, CustomerSlots, SlotSet};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A policy that decides again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Policy of the newest version of the scene.
    pub policy: String,
    /// A model of the registry and the version of it that the policy is given in place of the one in force.
    pub model: Option<(String, u32)>,
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.policy)?;
        match &self.model {
            Some((model, version)) => write!(f, "@{model}:{version}"),
            None => Ok(()),
        }
    }
}

/// What a candidate would have done at a decision: the distribution of its first position.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decided {
    /// Probability of each arm that the training set's decisions chose, ascending by key; those of probability zero are not listed. Silence
    /// has the name of the policy's null action.
    pub arms: Vec<(Arc<str>, f64)>,
    /// Probability of all other items together.
    pub other: f64,
}

impl Decided {
    /// Probability of an arm that is listed; else zero.
    pub fn probability(&self, arm: &str) -> f64 {
        let found = self.arms.binary_search_by(|(name, _)| (**name).cmp(arm));
        found.map_or(0.0, |i| self.arms[i].1)
    }
}

/// A candidate, ready.
#[derive(Debug)]
pub(super) struct Shadow {
    pub(super) candidate: Candidate,
    policy: usize,
    artifacts: Arc<Artifacts>,
    set: SlotSet,
    own: Option<Arc<Model>>,
    objectives: Vec<Arc<Model>>,
    /// When what it was trained on was known at the latest: earlier decisions may be among it.
    trained: Trained,
    /// True where it is the policy itself, as it stands: then what it decides must be what was recorded.
    is_itself: bool,
}

/// From when on a candidate decides again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trained {
    /// First version of the scene that held all trained things of the candidate that are the scene's.
    by_version: u32,
    /// When the version of the registry that stands in for one of them was registered.
    by: Option<Micros>,
}

impl Trained {
    fn is_before(&self, record: &DecisionRecord) -> bool {
        record.scene_version >= self.by_version
            && self.by.is_none_or(|by| record.request.moment.now >= by)
    }
}

/// The scene's trained things that a policy reads, by their index.
fn read_by(plan: &ScenePlan, policy: &PolicyPlan, set: &SlotSet) -> BTreeSet<u16> {
    let intentions = set
        .iter()
        .filter_map(|id| match plan.slots.get(usize::from(id.0))?.source {
            SlotSource::Intention(k, _) => Some(plan.intentions.get(usize::from(k))?.artifact),
            _ => None,
        });
    (policy.retrieval.iter().map(|r| r.artifact))
        .chain(policy.ranking.iter().map(|r| r.artifact))
        .chain(intentions)
        .collect()
}

fn refused(message: String) -> Refusal {
    Refusal {
        code: "cannot_shadow",
        kind: RefusalKind::Invalid,
        message,
    }
}

impl Dataset {
    /// The version of the scene that a decision was made under.
    fn scene_then(&self, record: &DecisionRecord) -> Option<Arc<SceneRuntime>> {
        match record.scene_version == self.scene.version {
            true => Some(self.scene.clone()),
            false => (self.inner.scenes).version(record.scene, record.scene_version),
        }
    }

    /// The stream that the model of this name learned from when a decision was made.
    fn stream_then(&self, record: &DecisionRecord, model: &str) -> Option<PartitionId> {
        let then = self.scene_then(record)?;
        let i = then.plan.models.iter().position(|m| m.name == model)?;
        then.streams.get(i).copied()
    }

    /// True when the policy that decided, as it was then, recorded every contact that the candidate's gates look at.
    fn recorded_for(&self, record: &DecisionRecord, candidate: &PolicyPlan) -> bool {
        if record.scene_version == self.scene.version {
            // Looked at when the candidate was named.
            return true;
        }
        let then = self.scene_then(record);
        let policy = then.as_ref().and_then(|scene| {
            let named = |p: &&PolicyPlan| p.name == record.policy;
            scene.plan.policies.iter().find(named)
        });
        policy.is_some_and(|p| unrecorded(p, candidate).is_none())
    }
}

impl Shadow {
    pub(super) async fn new(of: &Dataset, candidate: Candidate) -> Result<Self> {
        let (inner, scene) = (&of.inner, &of.scene);
        let policy = intake::policy_number(&scene.plan, &candidate.policy)?;
        let plan = &scene.plan.policies[policy];
        comparable(&scene.plan, of.policy(), plan)?;
        let set = SlotSet::of_policy(&scene.plan, plan);
        let read = read_by(&scene.plan, plan, &set);
        let replaced = |i: &u16| {
            let model = scene.plan.artifacts[usize::from(*i)].model.as_deref();
            model.is_some() && model == candidate.model.as_ref().map(|(name, _)| name.as_str())
        };
        let (artifacts, by) = match &candidate.model {
            None => (inner.artifacts_of(scene).await?, None),
            Some((model, version)) => {
                let (artifacts, at) = inner.artifacts_with(scene, model, *version).await?;
                if !read.iter().any(replaced) {
                    return Err(refused(unread(&scene.plan, &plan.name, model)));
                }
                (artifacts, Some(at))
            }
        };
        let versions = inner.scenes.versions(scene.no);
        let first = |i: &u16| {
            let wanted = &scene.plan.artifacts[usize::from(*i)].sha256;
            let holds =
                |s: &&Arc<SceneRuntime>| (s.plan.artifacts.iter()).any(|a| a.sha256 == *wanted);
            versions.iter().find(holds).map(|s| s.version)
        };
        let own = read.iter().filter(|i| !replaced(i));
        let by_version = own.filter_map(first).max().unwrap_or(0);
        Ok(Self {
            is_itself: policy == of.policy && candidate.model.is_none(),
            own: inner.policy_model(scene, plan),
            objectives: inner.objective_models(scene, plan),
            trained: Trained { by_version, by },
            set,
            policy,
            artifacts,
            candidate,
        })
    }

    fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.own.iter().chain(&self.objectives)
    }
}

/// What is said of a model that a policy does not read.
fn unread(plan: &ScenePlan, policy: &str, model: &str) -> String {
    let reads = |p: &&PolicyPlan| {
        let read = read_by(plan, p, &SlotSet::of_policy(plan, p));
        (read.iter()).any(|i| plan.artifacts[usize::from(*i)].model.as_deref() == Some(model))
    };
    let others: Vec<String> = (plan.policies.iter().filter(reads))
        .map(|p| format!("`{}`", p.name))
        .collect();
    let others = match others.is_empty() {
        true => "no policy does".to_owned(),
        false => format!("those that do are {}", others.join(", ")),
    };
    format!(
        "policy `{policy}` does not read model `{model}`: another version of it would change nothing; {others}"
    )
}

/// How the state of a model is named that a decision is given. The version that it recorded counts samples of the stream that the model
/// had then: where the model was defined anew since, it says nothing about the stream of today.
fn state_name(of: &Dataset, record: &DecisionRecord, model: &Model) -> Name {
    let name = &model.plan.name;
    let mut used = record.model.iter().chain(&record.objective_models);
    match used.find(|used| used.name == *name) {
        Some(used) if of.stream_then(record, name) == Some(model.stream) => {
            Name::Version(used.version)
        }
        _ => Name::Moment(record.request.moment.now),
    }
}

/// What a candidate's gates look at and the records of a policy do not hold.
#[derive(Debug, PartialEq, Eq)]
enum Unrecorded<'p> {
    /// Contacts of a cap of this name.
    Cap(&'p str),
    QuietPeriod,
}

/// The first of a candidate's gates that looks at contacts which decisions of a policy did not record.
fn unrecorded<'p>(of: &PolicyPlan, candidate: &'p PolicyPlan) -> Option<Unrecorded<'p>> {
    let missed = |c: &&CapPlan| !is_recorded(of, &c.scope, c.window_us, c.limit);
    if let Some(cap) = candidate.caps.iter().find(missed) {
        return Some(Unrecorded::Cap(&cap.name));
    }
    let channel = || CapScope::Channel(candidate.channel.clone());
    let window = candidate.quiet_period_us;
    (window.is_some() && !is_recorded(of, &channel(), window, 1)).then_some(Unrecorded::QuietPeriod)
}

/// Refuses a candidate of whom the records do not hold what its gates need.
fn comparable(scene: &ScenePlan, of: &PolicyPlan, candidate: &PolicyPlan) -> Result<()> {
    let (mine, own) = (&of.name, &candidate.name);
    if of.catalogue != candidate.catalogue {
        let name = |p: &PolicyPlan| {
            scene
                .catalogues
                .get(usize::from(p.catalogue))
                .map_or("", |c| &c.name)
        };
        return Err(refused(format!(
            "policy `{own}` chooses from catalogue `{}`, policy `{mine}` from `{}`: name one that chooses from the same",
            name(candidate),
            name(of)
        )));
    }
    match unrecorded(of, candidate) {
        Some(Unrecorded::Cap(name)) => {
            return Err(refused(format!(
                "cap `{name}` of policy `{own}` counts contacts that decisions of policy `{mine}` did not record: none of its caps counts as widely, as far back and as high; give it such a cap, with a limit that it never reaches, and come back with what it records then"
            )));
        }
        Some(Unrecorded::QuietPeriod) => {
            return Err(refused(format!(
                "the quiet period of policy `{own}` looks at contacts that decisions of policy `{mine}` did not record: it has neither a cap nor a quiet period that looks as far back at channel `{}`",
                candidate.channel
            )));
        }
        None => {}
    }
    let priced = |p: &PolicyPlan| p.budgets.iter().any(|b: &BudgetUse| b.price.is_some());
    if !candidate.budgets.is_empty() && of.budgets.is_empty() || priced(candidate) && !priced(of) {
        return Err(refused(format!(
            "policy `{own}` looks at what budgets have left, which decisions of policy `{mine}` did not record: shadow a policy without {}, or let `{mine}` have one too",
            match of.budgets.is_empty() {
                true => "budgets",
                false => "priced budgets",
            }
        )));
    }
    Ok(())
}

/// True when the records of a policy hold every contact in this scope and window, up to so many: no more of them are kept than some cap counts to.
fn is_recorded(of: &PolicyPlan, scope: &CapScope, window_us: Option<i64>, limit: u32) -> bool {
    let reaches = |own: Option<i64>| match (own, window_us) {
        (None, _) => true,
        (Some(own), Some(wanted)) => own >= wanted,
        (Some(_), None) => false,
    };
    let counts = |cap: &CapPlan| match (&cap.scope, scope) {
        // Of each item the newest so many: of all of them too.
        (CapScope::Item, CapScope::Customer) => true,
        // Of a wider scope the newest so many may leave out all of the narrower one.
        (own, wanted) => own == wanted,
    };
    let is_quiet = limit <= 1
        && matches!(scope, CapScope::Channel(c) if *c == of.channel)
        && of.quiet_period_us.is_some_and(|own| reaches(Some(own)));
    is_quiet
        || (of.caps.iter()).any(|cap| counts(cap) && reaches(cap.window_us) && cap.limit >= limit)
}

/// What the states of models are wanted for, noted decision by decision.
#[derive(Debug, Default)]
pub(super) struct Noted(BTreeMap<PartitionId, (Option<Arc<Model>>, Asked)>);

impl Noted {
    pub(super) fn note(&mut self, of: &Dataset, wanted: &Wanted) {
        for model in of.shadows.iter().flat_map(Shadow::models) {
            let (known, asked) = self.0.entry(model.stream).or_default();
            known.get_or_insert_with(|| model.clone());
            asked.note(state_name(of, &wanted.record, model));
        }
    }

    pub(super) async fn roll(self, inner: &Inner) -> luopan_store::Result<Rolled> {
        let mut out = BTreeMap::new();
        for (stream, (model, asked)) in self.0 {
            if let Some(model) = model {
                out.insert(stream, states::along(inner, &model, &asked).await?);
            }
        }
        Ok(Rolled(out))
    }
}

/// The states of all models that candidates use.
#[derive(Debug, Default)]
pub(super) struct Rolled(BTreeMap<PartitionId, States>);

impl Rolled {
    pub(super) fn is_thinned(&self) -> bool {
        self.0.values().any(|s| s.is_thinned)
    }

    fn get(&self, model: &Model, name: Name) -> Option<&Arc<ModelState>> {
        self.0.get(&model.stream)?.get(name)
    }
}

/// A version of the catalogues for the candidates.
pub(super) struct Ground {
    pub(super) catalogue: Arc<Catalogue>,
    prepared: Vec<Prepared>,
}

impl Ground {
    pub(super) fn new(of: &Dataset, shadows: &[Shadow], catalogue: Arc<Catalogue>) -> Self {
        let plan = &of.scene.plan;
        Self {
            prepared: (shadows.iter())
                .map(|s| Prepared::new(plan, &plan.policies[s.policy], &catalogue, &s.artifacts))
                .collect(),
            catalogue,
        }
    }
}

/// What a candidate decides again, decision by decision.
pub(super) struct Again<'a> {
    pub(super) of: &'a Dataset,
    pub(super) shadows: &'a [Shadow],
    pub(super) rolled: &'a Rolled,
    /// Items that any decision chose.
    pub(super) chosen: &'a BTreeSet<Arc<str>>,
}

impl Again<'_> {
    /// One a candidate; none where the record does not hold what the candidate needs (it was made under another version of the scene).
    /// Second, how many were the policy itself, and how many of those differ from what was recorded.
    pub(super) fn decide(
        &self,
        record: &DecisionRecord,
        ground: &Ground,
        market: &[Value<'static>],
        profiles: &[&Profile],
    ) -> (Vec<Option<Decided>>, u64, u64) {
        let (mut compared, mut differ) = (0, 0);
        let out = (self.shadows.iter().zip(&ground.prepared))
            .map(|(shadow, prepared)| {
                let found = self.one(shadow, prepared, record, ground, market, profiles)?;
                if shadow.is_itself
                    && record.scene_version == self.of.scene.version
                    && record.request.forced.is_none()
                {
                    compared += 1;
                    differ += u64::from(found != record.decision.distribution);
                }
                Some(self.listed(&found, &ground.catalogue))
            })
            .collect();
        (out, compared, differ)
    }

    fn one(
        &self,
        shadow: &Shadow,
        prepared: &Prepared,
        record: &DecisionRecord,
        ground: &Ground,
        market: &[Value<'static>],
        profiles: &[&Profile],
    ) -> Option<Distribution> {
        let plan = &self.of.scene.plan;
        let policy = &plan.policies[shadow.policy];
        if !shadow.trained.is_before(record) || !self.of.recorded_for(record, policy) {
            return None;
        }
        let (spent, elapsed) = self.money(policy, record)?;
        let moment = record.request.moment;
        let context: Vec<(Cow<'_, str>, Value<'_>)> = (record.context.iter())
            .map(|(n, v)| (Cow::Borrowed(n.as_str()), v.clone()))
            .collect();
        let around = Around {
            market,
            artifacts: &shadow.artifacts,
        };
        let mut customer =
            CustomerSlots::read_within(plan, &shadow.set, profiles, moment, &context, around);
        customer.hold(
            plan,
            &shadow.set,
            policy.catalogue,
            &ground.catalogue,
            profiles,
            moment,
        );
        let mine = &self.of.policy().name;
        let contacts: Vec<Contact> = (record.contacts.iter().cloned())
            .map(|mut c| {
                if c.policy == *mine {
                    c.policy.clone_from(&policy.name);
                }
                c
            })
            .collect();
        let state = |m: &Arc<Model>| self.rolled.get(m, state_name(self.of, record, m));
        let own = shadow.own.as_ref().and_then(state);
        let objectives: Vec<(&str, &ModelState)> = (shadow.objectives.iter())
            .filter_map(|m| Some((m.plan.name.as_str(), &**state(m)?)))
            .collect();
        let situation = Situation {
            customer: &customer,
            catalogue: &ground.catalogue,
            prepared: Some(prepared),
            contacts: &contacts,
            spent: &spent,
            elapsed: &elapsed,
            model: own.map(|s| &**s),
            objective_models: &objectives,
            artifacts: &artifact::NONE,
        };
        let request = Request {
            forced: None,
            ..record.request.clone()
        };
        Some(decide(plan, policy, &situation, &request, record.seed).distribution)
    }

    /// What budgets had spent, and how far their periods were, by the budgets of today; none where the record does not say.
    fn money(&self, policy: &PolicyPlan, record: &DecisionRecord) -> Option<(Vec<i64>, Vec<f64>)> {
        if policy.budgets.is_empty() {
            return Some((Vec::new(), Vec::new()));
        }
        let plan = &self.of.scene.plan;
        if record.scene_version == self.of.scene.version {
            return Some((record.spent.clone(), record.elapsed.clone()));
        }
        let then = self.of.scene_then(record)?;
        let place = |name: &str| then.plan.budgets.iter().position(|b| b.name == name);
        let mut spent = vec![0; plan.budgets.len()];
        let mut elapsed = vec![0.0; plan.budgets.len()];
        for used in &policy.budgets {
            let number = usize::from(used.budget);
            let at = place(&plan.budgets.get(number)?.name)?;
            spent[number] = *record.spent.get(at)?;
            match record.elapsed.get(at) {
                Some(share) => elapsed[number] = *share,
                None if used.price.is_some() => return None,
                None => {}
            }
        }
        Some((spent, elapsed))
    }

    /// A distribution over the arms that were chosen.
    fn listed(&self, of: &Distribution, catalogue: &Catalogue) -> Decided {
        let mut out = Decided::default();
        let mut all = 0.0;
        for key in self.chosen {
            let Some(row) = catalogue.row(key) else {
                continue;
            };
            let p = of.probability(Some(row as u32));
            if p > 0.0 {
                out.arms.push((key.clone(), p));
                all += p;
            }
        }
        let silence = of.probability(None);
        if silence > 0.0 {
            let name: Arc<str> = self.of.policy().null_action.name.as_str().into();
            out.arms.push((name, silence));
            all += silence;
        }
        out.arms.sort_by(|a, b| a.0.cmp(&b.0));
        out.other = (1.0 - all).max(0.0);
        out
    }
}
