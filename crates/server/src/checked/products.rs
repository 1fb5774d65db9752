//! Products of a scene's catalogues as facts: what its attributes say, and what follows from several of them. It must never let
//! what follows from one attribute stand against another that says it outright.

use super::export::{FACT, Lines, text};
use super::facts::{Terms, product};
use crate::problem::Result;
use luopan_kernel::book::fee_ladder;
use luopan_kernel::event::{Event, PRODUCT_CHANGED_TYPE, PRODUCT_TYPE};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::plan::orders::OrdersPlan;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::collections::{BTreeMap, HashMap};

/// Attributes from which a term follows, beside the one that holds fees.
const FOLLOWED: [&str; 4] = ["fine_type", "kind", "money_market", "qdii"];
/// Channels in which a product that is sold with a recording needs one.
const RECORDED: [&str; 1] = ["app"];

type Known = BTreeMap<String, Value<'static>>;

/// What was said of products so far, as far as something follows from it.
#[derive(Default)]
pub(super) struct Products {
    known: HashMap<(String, String), Known>,
    /// Values of the items of the pack itself, as they were last told.
    of_pack: HashMap<(String, String), Vec<(String, Value<'static>)>>,
}

impl Products {
    /// Of an event of the environment: whole items, where what is not named is not known, and changes.
    pub(super) fn event(
        &mut self,
        plan: &ScenePlan,
        event: &Event<'_>,
        lines: &mut Lines,
    ) -> Result<bool> {
        let (Some(catalogue), Some(key)) =
            (text(event, "luopan.catalogue"), text(event, "luopan.key"))
        else {
            return Ok(false);
        };
        let Some(declared) = plan.catalogues.iter().find(|c| c.name == catalogue) else {
            return Ok(false);
        };
        let is_whole = event.kind == PRODUCT_TYPE;
        let told: Vec<(&str, &Value<'_>)> = match event.kind.as_ref() {
            PRODUCT_TYPE => (declared.attributes.iter())
                .map(|a| (a.name.as_str(), event.property(&a.name)))
                .collect(),
            PRODUCT_CHANGED_TYPE => (event.properties.iter())
                .filter(|(name, _)| !name.starts_with("luopan."))
                .map(|(name, value)| (name.as_ref(), value))
                .collect(),
            _ => return Ok(false),
        };
        let at = event.received_at;
        self.told(plan, catalogue, key, at, &told, is_whole, lines)
    }

    /// The items that a version of the pack holds itself, as far as they are others than before: how many.
    pub(super) fn of_pack(
        &mut self,
        plan: &ScenePlan,
        at: Micros,
        lines: &mut Lines,
    ) -> Result<u64> {
        let mut out = 0;
        for catalogue in &plan.catalogues {
            for item in &catalogue.items {
                let values: Vec<(String, Value<'static>)> = (catalogue.attributes.iter())
                    .map(|a| a.name.clone())
                    .zip(item.values.iter().cloned())
                    .collect();
                let name = (catalogue.name.clone(), item.key.clone());
                if self.of_pack.get(&name) == Some(&values) {
                    continue;
                }
                let told: Vec<(&str, &Value<'_>)> =
                    values.iter().map(|(n, v)| (n.as_str(), v)).collect();
                let is_one = self.told(plan, &catalogue.name, &item.key, at, &told, true, lines)?;
                out += u64::from(is_one);
                self.of_pack.insert(name, values);
            }
        }
        Ok(out)
    }

    #[allow(clippy::too_many_arguments)]
    fn told(
        &mut self,
        plan: &ScenePlan,
        catalogue: &str,
        key: &str,
        at: Micros,
        told: &[(&str, &Value<'_>)],
        is_whole: bool,
        lines: &mut Lines,
    ) -> Result<bool> {
        // Only what can be ordered is a product of the market.
        let ordered = plan.orders.iter().find_map(|o| {
            let c = plan.catalogues.get(usize::from(o.catalogue))?;
            (c.name == catalogue).then_some((o, c))
        });
        let Some((orders, declared)) = ordered else {
            return Ok(false);
        };
        let fees = orders
            .fee_attribute
            .and_then(|a| declared.attributes.get(usize::from(a)));
        let fees = fees.map(|a| a.name.as_str());
        let known = (self.known)
            .entry((catalogue.to_owned(), key.to_owned()))
            .or_default();
        if is_whole {
            known.clear();
        }
        let mut follows = is_whole;
        for (name, value) in told {
            if FOLLOWED.contains(name) || fees == Some(*name) {
                known.insert((*name).to_owned(), (*value).clone().into_owned());
                follows = true;
            }
        }
        let terms = match follows {
            true => terms(orders, fees, known),
            false => Terms::default(),
        };
        lines.put(at, FACT, |out| {
            product(out, at, key, told, &terms, &RECORDED, orders.utc_offset_s)
        })
    }
}

/// What follows from what is known of a product.
fn terms(orders: &OrdersPlan, fees: Option<&str>, known: &Known) -> Terms {
    let text = |name: &str| match known.get(name) {
        Some(Value::Text(v)) => Some(v.as_ref()),
        _ => None,
    };
    let flag = |name: &str| match known.get(name) {
        Some(Value::Bool(v)) => Some(*v),
        _ => None,
    };
    // A ladder of the product's own; one that cannot be read is not told.
    let ladder = match fees.and_then(text) {
        Some(own) => fee_ladder(own),
        None => (!orders.fees.is_empty()).then(|| orders.fees.clone()),
    };
    let steps = |ladder: Vec<luopan_kernel::plan::orders::FeeStep>| {
        let step = |s: &luopan_kernel::plan::orders::FeeStep| {
            (i64::from(s.under_days), f64::from(s.rate_ppm) / 1e6)
        };
        ladder.iter().map(step).collect()
    };
    Terms {
        fee_ladder: ladder.map(steps),
        money_market: flag("money_market").or_else(|| text("kind").map(|v| v == "money_market")),
        qdii: flag("qdii").or_else(|| text("fine_type").map(|v| v.starts_with("QDII"))),
        ..Terms::default()
    }
}
