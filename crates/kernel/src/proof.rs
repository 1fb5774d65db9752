//! Why a decision was allowed, from its record and plan alone: every rule of its policy with the values it read, for each item
//! that was chosen. It can be asked anywhere, long afterwards, without the stores the decision was made from.
//!
//! This room must never take the record's word for a rule: each is evaluated anew.

use crate::artifact;
use crate::catalogue::Catalogue;
use crate::decide::{Choice, Gate, Situation};
use crate::decide::{capped_rows, refusing};
use crate::plan::rule::{NamedRule, Truth};
use crate::plan::{CataloguePlan, ItemPlan, Permits, PolicyPlan, ScenePlan, SlotSource};
use crate::record::{DecisionRecord, plan_hash, seen};
use crate::rule::{Lookup, truth, visit_slots};
use crate::slots::{ItemLookup, ItemSlots, NO_STAGES};
use crate::time::Micros;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// One rule, cap or consent that allowed an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ground {
    /// Gate.
    pub gate: Gate,
    /// Name of the rule or cap.
    pub rule: String,
    /// Version of the rule, when the pack gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Law, regulation or house rule that it follows, when the pack names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// First day of its validity, when the pack gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<String>,
    /// The rule as written; empty for what is no rule.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What it came to: an inclusion allows when it is true, an exclusion when it is false.
    pub truth: Truth,
    /// The slots that it read.
    pub reads: Vec<(String, Value<'static>)>,
}

/// Why one chosen item was allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Item key.
    pub item: String,
    /// Everything that was asked, in order of gates and rules.
    pub grounds: Vec<Ground>,
}

/// Why no proof can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// The plan is not the recorded one.
    #[error("the decision was made by the plan {wanted}, the one given is {found}")]
    Plan {
        /// Hash recorded.
        wanted: String,
        /// Hash given.
        found: String,
    },
    /// The plan has no such policy or catalogue.
    #[error("the plan has no policy `{0}`")]
    Policy(String),
    /// A gate refuses what was chosen.
    #[error("`{rule}` ({gate:?}) does not allow `{item}`: it is {truth:?}")]
    Refused {
        /// Item chosen.
        item: String,
        /// Gate.
        gate: Gate,
        /// Rule or cap.
        rule: String,
        /// What it came to.
        truth: Truth,
    },
    /// The items that were chosen do not fit the catalogue.
    #[error("{0}")]
    Item(String),
}

/// Why each item that the decision chose was allowed. A decision that chose nothing needs no reason and gives none.
///
/// # Errors
/// [`Unproved`], for the first rule that does not allow an item.
pub fn grounds(scene: &ScenePlan, record: &DecisionRecord) -> Result<Vec<Allowed>, Unproved> {
    if record.decision.choices.is_empty() {
        return Ok(Vec::new());
    }
    let found = plan_hash(scene);
    if found != record.plan_hash {
        return Err(Unproved::Plan {
            wanted: record.plan_hash.clone(),
            found,
        });
    }
    evaluated(scene, record, None, None)
}

/// Why the choice of `item` would still be allowed at the time `now`: every rule with everything as the decision recorded it,
/// but for `env.now`. What passes with time otherwise (ages, times since) and what was told since stand as they were recorded;
/// caps and hours are those of the decision. The plan is taken for the recorded one: ask [`grounds`] first.
///
/// # Errors
/// [`Unproved`], for the first rule that does not allow the item any more.
pub fn grounds_at(
    scene: &ScenePlan,
    record: &DecisionRecord,
    item: &str,
    now: Micros,
) -> Result<Allowed, Unproved> {
    let mut found = evaluated(scene, record, Some(item), Some(now))?;
    (found.pop()).ok_or_else(|| Unproved::Item(format!("`{item}` was not chosen")))
}

/// Names of the policies over a catalogue whose decisions permit orders of a side; none when no policy over it says what it
/// permits, so that any decision of that plan does.
pub fn permitting<'p>(
    scene: &'p ScenePlan,
    catalogue: &str,
    side: Permits,
) -> Option<Vec<&'p str>> {
    let is_over = |p: &&PolicyPlan| {
        (scene.catalogues.get(usize::from(p.catalogue))).is_some_and(|c| c.name == catalogue)
    };
    let says = || {
        (scene.policies.iter())
            .filter(is_over)
            .filter(|p| p.permits.is_some())
    };
    says().next()?;
    let permits = says().filter(|p| p.permits == Some(side));
    Some(permits.map(|p| p.name.as_str()).collect())
}

fn evaluated(
    scene: &ScenePlan,
    record: &DecisionRecord,
    only: Option<&str>,
    now: Option<Micros>,
) -> Result<Vec<Allowed>, Unproved> {
    let unknown = || Unproved::Policy(record.policy.clone());
    let policy = scene.policy(&record.policy).ok_or_else(unknown)?;
    let of = scene
        .catalogues
        .get(usize::from(policy.catalogue))
        .ok_or_else(unknown)?;
    let mut customer = seen(record, scene, policy.catalogue);
    if let (Some(now), Some(slot)) = (now, scene.slot("env.now"))
        && let Some(place) = customer.values.get_mut(usize::from(slot.0))
    {
        *place = Value::Time(now);
    }
    let catalogue = chosen(scene, policy.catalogue, of, record)?;
    let situation = Situation {
        customer: &customer,
        catalogue: &catalogue,
        prepared: None,
        contacts: &record.contacts,
        spent: &record.spent,
        elapsed: &record.elapsed,
        model: None,
        objective_models: &[],
        artifacts: &artifact::NONE,
    };
    let wanted = |choice: &&Choice| only.is_none_or(|item| choice.item == item);
    let Some(first) = record.decision.choices.iter().find(wanted) else {
        return Ok(Vec::new());
    };
    let first = &first.item;
    let refused = |item: &str, gate, rule: &str, truth| Unproved::Refused {
        item: item.to_owned(),
        gate,
        rule: rule.to_owned(),
        truth,
    };
    if let Some(r) = refusing(scene, policy, &situation, record.request.moment, true).first() {
        return Err(refused(first, r.gate, &r.name, Truth::False));
    }
    let capped = capped_rows(policy, &situation, record.request.moment.now);
    let slots = ItemSlots::new(scene, policy.catalogue);
    let mut out = Vec::with_capacity(record.decision.choices.len());
    for choice in record.decision.choices.iter().filter(wanted) {
        let Some(row) = catalogue.row(&choice.item) else {
            return Err(Unproved::Item(format!("`{}` is no item", choice.item)));
        };
        for (cap, rows) in &capped {
            if rows.as_ref().is_none_or(|rows| rows.contains(row)) {
                let name = policy.caps.get(*cap).map_or("", |c| c.name.as_str());
                return Err(refused(&choice.item, Gate::ItemCap, name, Truth::False));
            }
        }
        let lookup = ItemLookup::new(
            &customer,
            &slots,
            catalogue.key_value(row),
            catalogue.values(row),
            NO_STAGES,
        );
        let mut grounds = Vec::new();
        let rules = (policy.eligibility.iter().map(|r| (Gate::Eligibility, r)))
            .chain(policy.suitability.iter().map(|r| (Gate::Suitability, r)))
            .chain(policy.exclusions.iter().map(|r| (Gate::Exclusion, r)));
        for (gate, rule) in rules {
            let ground = of_rule(scene, gate, rule, &lookup);
            let wanted = if gate == Gate::Exclusion {
                Truth::False
            } else {
                Truth::True
            };
            if ground.truth != wanted {
                return Err(refused(&choice.item, gate, &rule.name, ground.truth));
            }
            grounds.push(ground);
        }
        if let Some(consent) = policy.consent {
            grounds.push(plain(scene, Gate::Consent, "consent", &[consent], &lookup));
        }
        let caps = policy.caps.iter().map(|c| (Gate::Cap, c.name.as_str()));
        grounds.extend(caps.map(|(gate, name)| plain(scene, gate, name, &[], &lookup)));
        out.push(Allowed {
            item: choice.item.clone(),
            grounds,
        });
    }
    Ok(out)
}

/// The chosen items, with the attributes that the policy read.
fn chosen(
    scene: &ScenePlan,
    number: u16,
    plan: &CataloguePlan,
    record: &DecisionRecord,
) -> Result<Catalogue, Unproved> {
    let items = record.decision.choices.iter().map(|choice| {
        let mut values = vec![Value::Missing; plan.attributes.len()];
        for (name, value) in &choice.reads {
            if let Some(SlotSource::Item(_, a)) = (scene.slot_for(name, number))
                .and_then(|id| scene.slots.get(usize::from(id.0)))
                .map(|s| &s.source)
                && let Some(place) = values.get_mut(usize::from(*a))
            {
                *place = value.clone();
            }
        }
        ItemPlan {
            key: choice.item.clone(),
            values,
        }
    });
    let empty = CataloguePlan {
        items: Vec::new(),
        ..plan.clone()
    };
    Catalogue::new(&empty, record.catalogue_version, items)
        .map_err(|e| Unproved::Item(e.to_string()))
}

fn reads<L: Lookup + ?Sized>(
    scene: &ScenePlan,
    ids: &[crate::plan::SlotId],
    lookup: &L,
) -> Vec<(String, Value<'static>)> {
    let name = |id: &crate::plan::SlotId| {
        (scene.slots.get(usize::from(id.0))).map_or_else(String::new, |s| s.name.clone())
    };
    (ids.iter())
        .map(|id| (name(id), lookup.slot(*id).clone().into_owned()))
        .collect()
}

fn of_rule<L: Lookup + ?Sized>(
    scene: &ScenePlan,
    gate: Gate,
    rule: &NamedRule,
    lookup: &L,
) -> Ground {
    let mut ids = Vec::new();
    visit_slots(&rule.expr, &mut |id| ids.push(id));
    ids.sort_unstable();
    ids.dedup();
    Ground {
        gate,
        rule: rule.name.clone(),
        version: rule.version.clone(),
        authority: rule.authority.clone(),
        effective: rule.effective.clone(),
        text: rule.source.clone(),
        truth: truth(&rule.expr, lookup),
        reads: reads(scene, &ids, lookup),
    }
}

/// A ground that is no rule, and holds.
fn plain<L: Lookup + ?Sized>(
    scene: &ScenePlan,
    gate: Gate,
    name: &str,
    ids: &[crate::plan::SlotId],
    lookup: &L,
) -> Ground {
    Ground {
        gate,
        rule: name.to_owned(),
        version: None,
        authority: None,
        effective: None,
        text: String::new(),
        truth: Truth::True,
        reads: reads(scene, ids, lookup),
    }
}
