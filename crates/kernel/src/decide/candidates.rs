//! The candidates that are left after the gates, in their fixed order: available items ascending by key, last the null
//! action where it is an arm.

use super::beliefs::{Beliefs, Replicated};
use super::score::ModelScoring;
use super::situation::Situation;
use crate::learn::Posterior;
use crate::plan::model::ModelPlan;
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
        ItemLookup::new(
            situation.customer,
            slots,
            catalogue.key_value(row as usize),
            catalogue.values(row as usize),
            stages,
        )
    }

    /// The slots of the customer and the null action: an item of its name without attributes.
    pub(super) fn of_null(
        situation: &'a Situation<'a>,
        slots: &'a ItemSlots,
        name: &'a Value<'a>,
    ) -> ItemLookup<'a> {
        ItemLookup::new(situation.customer, slots, name, &[], NO_STAGES)
    }
}

/// The candidates of a decision, as a model believes of them.
pub(super) struct Asked<'c, 'm, 'a> {
    pub(super) candidates: &'c Candidates<'c>,
    pub(super) model: &'m mut ModelScoring<'a>,
}

impl Beliefs for Asked<'_, '_, '_> {
    fn plan(&self) -> &ModelPlan {
        self.model.plan
    }

    fn len(&self) -> usize {
        self.candidates.len()
    }

    fn shared(&self) -> &Posterior {
        self.model.belief(None)
    }

    fn visit(&mut self, mut see: impl FnMut(usize, &Posterior, &[f64])) {
        for i in 0..self.len() {
            let of = self.candidates;
            let (belief, features) = self.model.seen(i, of.key(i), || of.lookup(i));
            see(i, belief, features);
        }
    }

    fn visit_replicates(&mut self, mut see: impl FnMut(usize, &[f64])) {
        let mut replicated = Replicated::new(self.model.plan, self.model.state);
        for i in 0..self.len() {
            let of = self.candidates;
            let (_, features) = self.model.seen(i, of.key(i), || of.lookup(i));
            see(i, replicated.linear_means(of.key(i), features));
        }
    }
}
