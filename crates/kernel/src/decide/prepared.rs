//! What a policy asks of a catalogue snapshot, made ready once for all decisions on that snapshot.

use super::survey::cost;
use crate::catalogue::{Catalogue, CatalogueRule};
use crate::plan::ScenePlan;
use crate::plan::policy::PolicyPlan;
use crate::plan::rule::{Expr, NamedRule};
use crate::rule::eval;
use crate::slots::{AloneLookup, ItemLookup, ItemSlots};

/// A policy made ready for one snapshot of its catalogue.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) item_slots: ItemSlots,
    pub(super) suitability: Vec<CatalogueRule>,
    pub(super) exclusions: Vec<CatalogueRule>,
    /// One a budget of the policy.
    pub(super) costs: Vec<Costs>,
}

/// What each item costs a budget; none is not known.
#[derive(Debug, Clone)]
pub(super) enum Costs {
    /// The same for all items, asked of the customer.
    Customer,
    /// By row.
    Products(Vec<Option<i64>>),
    /// Asked of customer and item together.
    Mixed,
}

impl Prepared {
    /// Prepares `policy` for `catalogue`. What it says of products alone is computed here.
    pub fn new(scene: &ScenePlan, policy: &PolicyPlan, catalogue: &Catalogue) -> Self {
        let item_slots = ItemSlots::new(scene, policy.catalogue);
        let rules = |rules: &[NamedRule]| {
            (rules.iter())
                .map(|r| CatalogueRule::new(&r.expr, &item_slots, catalogue))
                .collect()
        };
        let costs = (policy.budgets.iter())
            .map(|b| Costs::new(&b.cost, &item_slots, catalogue))
            .collect();
        Self {
            suitability: rules(&policy.suitability),
            exclusions: rules(&policy.exclusions),
            costs,
            item_slots,
        }
    }
}

impl Costs {
    fn new(expr: &Expr, slots: &ItemSlots, catalogue: &Catalogue) -> Self {
        let asks = slots.asked(expr);
        match (asks.customer, asks.product) {
            _ if asks.pair => Self::Mixed,
            (_, false) => Self::Customer,
            (true, true) => Self::Mixed,
            (false, true) => {
                let of_row = |row| {
                    cost(&eval(
                        expr,
                        &AloneLookup {
                            slots,
                            key: catalogue.key_value(row),
                            item: catalogue.values(row),
                        },
                    ))
                };
                Self::Products((0..catalogue.len()).map(of_row).collect())
            }
        }
    }

    /// What `expr`, from which this was made, gives for `row`. `of_customer` is what it gives for the customer alone.
    pub(super) fn of(
        &self,
        row: usize,
        of_customer: Option<i64>,
        expr: &Expr,
        lookup: &ItemLookup<'_>,
    ) -> Option<i64> {
        match self {
            Self::Customer => of_customer,
            Self::Products(by_row) => by_row.get(row).copied().flatten(),
            Self::Mixed => cost(&eval(expr, lookup)),
        }
    }
}
