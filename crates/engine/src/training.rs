//! What a model learns from a decision: the arm that it took, and the features as they were when it was made. Both come from
//! the record alone, never from what is known of the customer today.

use crate::Inner;
use crate::scenes::SceneRuntime;
use luopan_kernel::features;
use luopan_kernel::plan::{ModelPlan, SlotSource, Stage};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::rule::Lookup;
use luopan_kernel::slots::{CustomerSlots, ItemLookup, ItemSlots, NO_STAGES};
use luopan_kernel::value::Value;

/// The arm a decision took and how likely that was.
pub(crate) fn learned_arm(record: &DecisionRecord) -> (Option<String>, f64) {
    match record.decision.choices.first() {
        Some(c) => (Some(c.item.clone()), c.propensity),
        None => (
            None,
            record
                .decision
                .null_propensity
                .unwrap_or(record.decision.propensity),
        ),
    }
}

/// The features of what a decision chose, encoded from the slots that it recorded; none for a slate, when the choice was
/// withheld, or when a gate of the customer left none: silence that nobody chose is no answer to silence.
pub(crate) fn learned_features(
    inner: &Inner,
    newest: &SceneRuntime,
    record: &DecisionRecord,
    model: &ModelPlan,
) -> Option<Vec<f64>> {
    let decision = &record.decision;
    let is_refused = decision.refusals.iter().any(|r| r.gate.is_of_customer());
    if decision.choices.len() > 1 || record.withheld.is_some() || is_refused {
        return None;
    }
    let scene = inner.scenes.version(record.scene, record.scene_version)?;
    let policy = scene.plan.policy(&record.policy)?;
    if policy.catalogue != model.catalogue {
        return None;
    }
    let mut values = vec![Value::Missing; newest.plan.slots.len()];
    for (name, value) in &record.decision.slots_read {
        if let Some(id) = newest.plan.slot(name) {
            values[usize::from(id.0)] = value.clone();
        }
    }
    let slots = ItemSlots::new(&newest.plan, policy.catalogue);
    let key = match record.decision.choices.first() {
        Some(c) => {
            // The item as it was when it was chosen, whatever the catalogue says now.
            for (name, value) in &c.reads {
                if let Some(id) = newest.plan.slot_for(name, policy.catalogue) {
                    values[usize::from(id.0)] = value.clone();
                }
            }
            Value::text(c.item.as_str())
        }
        None => Value::text(policy.null_action.name.as_str()),
    };
    let attributes = newest
        .plan
        .catalogues
        .get(usize::from(policy.catalogue))?
        .attributes
        .len();
    let mut item = vec![Value::Missing; attributes];
    for (slot, value) in newest.plan.slots.iter().zip(&values) {
        if let SlotSource::Item(c, a) = slot.source
            && c == policy.catalogue
            && let Some(place) = item.get_mut(usize::from(a))
        {
            *place = value.clone();
        }
    }
    let mut stages = NO_STAGES.clone();
    for (slot, value) in newest.plan.slots.iter().zip(&values) {
        match slot.source {
            SlotSource::Stage(Stage::Retrieved) => stages[0] = value.clone(),
            SlotSource::Stage(Stage::Ranked) => stages[1] = value.clone(),
            _ => {}
        }
    }
    let customer = CustomerSlots {
        values,
        ..CustomerSlots::default()
    };
    let mut lookup = ItemLookup::new(&customer, &slots, &key, &item, &stages);
    if !decision.choices.is_empty() {
        lookup = lookup.as_recorded(|id| customer.slot(id).clone().into_owned());
    }
    let mut out = Vec::new();
    features::encode(model, &lookup, &mut out);
    Some(out)
}
