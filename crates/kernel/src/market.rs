//! How the market moved, as catalogues tell of it: an attribute of one item (an index with its net asset values), or the median
//! of an attribute over the items that a condition holds for. It is a pure function of the scene's catalogue snapshots, made
//! once for each of them; what a decision read of it stands in its record.
//!
//! It must never read a customer, and never guess: an item that is not there, and a median of nothing, are missing.

use crate::catalogue::Catalogue;
use crate::plan::rule::Expr;
use crate::plan::{MarketOf, MarketPlan, ScenePlan};
use crate::rule::truth;
use crate::slots::{AloneLookup, ItemSlots};
use crate::value::Value;

/// The values of [`ScenePlan::market`], in its order. `catalogues` are the scene's by number; one that is not there has no items.
pub fn values<'c>(
    scene: &ScenePlan,
    catalogues: impl Fn(u16) -> Option<&'c Catalogue>,
) -> Vec<Value<'static>> {
    let one = |plan: &MarketPlan| {
        let Some(catalogue) = catalogues(plan.catalogue) else {
            return Value::Missing;
        };
        let attribute = usize::from(plan.attribute);
        let found = match &plan.of {
            MarketOf::Item(key) => (catalogue.row(key))
                .and_then(|row| catalogue.values(row).get(attribute)?.as_number()),
            MarketOf::Median(filter) => median(scene, plan, catalogue, filter.as_ref()),
        };
        match found.filter(|v| v.is_finite()) {
            Some(v) => Value::Number(v),
            None => Value::Missing,
        }
    };
    scene.market.iter().map(one).collect()
}

/// The median of the plan's attribute over the items that the filter is true of; of an even number the mean of the middle two.
fn median(
    scene: &ScenePlan,
    plan: &MarketPlan,
    catalogue: &Catalogue,
    filter: Option<&Expr>,
) -> Option<f64> {
    let slots = ItemSlots::new(scene, plan.catalogue);
    let of_row = |row: usize| {
        let item = catalogue.values(row);
        let value = item.get(usize::from(plan.attribute))?.as_number()?;
        let lookup = AloneLookup {
            slots: &slots,
            key: catalogue.key_value(row),
            item,
        };
        let is_of_it = filter.is_none_or(|f| truth(f, &lookup).is_true());
        (is_of_it && value.is_finite()).then_some(value)
    };
    let mut found: Vec<f64> = (0..catalogue.len()).filter_map(of_row).collect();
    found.sort_by(f64::total_cmp);
    let upper = *found.get(found.len() / 2)?;
    Some(match found.len() % 2 {
        1 => upper,
        _ => (found[found.len() / 2 - 1] + upper) / 2.0,
    })
}
