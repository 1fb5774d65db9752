//! Which slots a policy reads, and what they held: enough to make the decision again and to learn from it.

use crate::plan::ScenePlan;
use crate::plan::policy::PolicyPlan;
use crate::plan::slot::SlotId;
use crate::rule::Lookup;
use crate::slots::{ItemSlots, SlotSet};
use crate::value::Value;

/// The slots that a policy reads, ascending.
pub(super) struct Reads<'a> {
    scene: &'a ScenePlan,
    /// Of customer, environment and request.
    customer: Vec<SlotId>,
    /// Of the item.
    item: Vec<SlotId>,
}

impl<'a> Reads<'a> {
    /// The slots that `policy` reads.
    pub(super) fn new(scene: &'a ScenePlan, policy: &PolicyPlan, item_slots: &ItemSlots) -> Self {
        let mut ids: Vec<SlotId> = SlotSet::of_policy(scene, policy).iter().collect();
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
