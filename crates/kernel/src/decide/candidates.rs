//! The candidates that are left after the gates, in their fixed order: available items ascending by key, last the null
//! action where it is an arm.

use super::score::ModelScoring;
use super::situation::Situation;
use crate::learn::Posterior;
use crate::slots::{ItemLookup, ItemSlots, NO_STAGES, Stages};
use crate::value::Value;

/// Candidates by catalogue row.
pub(super) struct Candidates<'a> {
    pub(super) situation: &'a Situation<'a>,
    pub(super) item_slots: &'a ItemSlots,
    /// Rows of available items, ascending.
    pub(super) rows: &'a [u32],
    /// What the stages of scoring gave them; empty in a policy without stages.
    pub(super) stages: &'a [Stages],
    /// Name of the null action, when it is an arm.
    pub(super) null: Option<&'a Value<'a>>,
    /// True when costs were taken from the scores.
    pub(super) is_priced: bool,
}

impl<'a> Candidates<'a> {
    /// Number of candidates.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + usize::from(self.null.is_some())
    }

    /// Row of candidate `i`; none for the null action.
    pub(super) fn row(&self, i: usize) -> Option<u32> {
        self.rows.get(i).copied()
    }

    /// Item key of candidate `i`; none for the null action.
    pub(super) fn key(&self, i: usize) -> Option<&'a str> {
        self.row(i)
            .map(|row| self.situation.catalogue.key(row as usize))
    }

    /// The slots that candidate `i` is judged by.
    pub(super) fn lookup(&self, i: usize) -> ItemLookup<'a> {
        match (self.row(i), self.null) {
            (Some(row), _) => {
                let stages = self.stages.get(i).unwrap_or(NO_STAGES);
                Self::of_row(self.situation, self.item_slots, row, stages)
            }
            (None, null) => Self::of_null(
                self.situation,
                self.item_slots,
                null.unwrap_or(&crate::rule::MISSING),
            ),
        }
    }

    /// The slots of the customer and the item in `row`.
    pub(super) fn of_row(
        situation: &'a Situation<'a>,
        slots: &'a ItemSlots,
        row: u32,
        stages: &'a Stages,
    ) -> ItemLookup<'a> {
        let catalogue = situation.catalogue;
        ItemLookup {
            customer: situation.customer,
            slots,
            key: catalogue.key_value(row as usize),
            item: catalogue.values(row as usize),
            stages,
        }
    }

    /// The slots of the customer and the null action: an item of its name without attributes.
    pub(super) fn of_null(
        situation: &'a Situation<'a>,
        slots: &'a ItemSlots,
        name: &'a Value<'a>,
    ) -> ItemLookup<'a> {
        ItemLookup {
            customer: situation.customer,
            slots,
            key: name,
            item: &[],
            stages: NO_STAGES,
        }
    }

    /// Hands each candidate in order to `see`: its number, the model's belief about it, and its features.
    pub(super) fn visit(
        &self,
        model: &mut ModelScoring<'_>,
        mut see: impl FnMut(usize, &Posterior, &[f64]),
    ) {
        for i in 0..self.len() {
            let (belief, features) = model.seen(i, self.key(i), || self.lookup(i));
            see(i, belief, features);
        }
    }
}
