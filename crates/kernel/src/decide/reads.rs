//! Which slots a decision reads, and what they held: enough to make the decision again and to learn from it.

use super::decision::HeldRead;
use crate::plan::ScenePlan;
use crate::plan::policy::PolicyPlan;
use crate::plan::slot::SlotId;
use crate::rule::Lookup;
use crate::slots::{HeldItems, ItemSlots, SlotSet};
use crate::value::Value;

/// The slots that a decision reads, ascending.
pub(super) struct Reads<'a> {
    scene: &'a ScenePlan,
    /// Of customer, environment and request.
    customer: Vec<SlotId>,
    /// Of the item, alone or together with the customer.
    item: Vec<SlotId>,
}

impl<'a> Reads<'a> {
    /// The slots that `policy` reads.
    pub(super) fn new(scene: &'a ScenePlan, policy: &PolicyPlan, item_slots: &ItemSlots) -> Self {
        Self::of(scene, &SlotSet::of_policy(scene, policy), item_slots)
    }

    /// The slots that were read when a gate of the customer refused: of a refusal nothing is recorded that nobody looked at.
    pub(super) fn of_gates(
        scene: &'a ScenePlan,
        policy: &PolicyPlan,
        item_slots: &ItemSlots,
        is_item_asked: bool,
    ) -> Self {
        let read = SlotSet::of_gates(scene, policy, is_item_asked);
        Self::of(scene, &read, item_slots)
    }

    fn of(scene: &'a ScenePlan, read: &SlotSet, item_slots: &ItemSlots) -> Self {
        let mut ids: Vec<SlotId> = read.iter().collect();
        ids.sort_unstable();
        let (item, customer) = ids.into_iter().partition(|id| item_slots.contains(*id));
        Self {
            scene,
            customer,
            item,
        }
    }

    /// Names and values of the customer's slots.
    pub(super) fn customer<L: Lookup + ?Sized>(&self, lookup: &L) -> Vec<(String, Value<'static>)> {
        self.named(&self.customer, lookup)
    }

    /// Names and values of the item's slots.
    pub(super) fn item<L: Lookup + ?Sized>(&self, lookup: &L) -> Vec<(String, Value<'static>)> {
        self.named(&self.item, lookup)
    }

    /// The slots of customer and item together, of the items for which they differ.
    pub(super) fn held(&self, held: &HeldItems) -> Vec<HeldRead> {
        let read: Vec<SlotId> = (held.slots().iter().copied())
            .filter(|id| self.item.contains(id))
            .collect();
        let name = |id: SlotId| self.scene.slots[usize::from(id.0)].name.clone();
        let of = |key: &str| {
            let value = |id: &SlotId| (name(*id), held.get(key, *id).cloned().unwrap_or_default());
            HeldRead {
                item: key.to_owned(),
                reads: read.iter().map(value).collect(),
            }
        };
        if read.is_empty() {
            return Vec::new();
        }
        held.keys().map(of).collect()
    }

    fn named<L: Lookup + ?Sized>(
        &self,
        ids: &[SlotId],
        lookup: &L,
    ) -> Vec<(String, Value<'static>)> {
        let one = |id: &SlotId| {
            (
                self.scene.slots[usize::from(id.0)].name.clone(),
                lookup.slot(*id).clone().into_owned(),
            )
        };
        ids.iter().map(one).collect()
    }
}
