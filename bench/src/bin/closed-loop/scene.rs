//! The scene of this measurement, compiled, and what a model makes of what is known of a customer. This room must never read anything
//! that the engine did not fold.

use std::path::{Path, PathBuf};

use luopan_bench::Fault;
use luopan_kernel::artifact::Artifact;
use luopan_kernel::features;
use luopan_kernel::plan::{ModelPlan, ScenePlan, SlotId, SlotSource};
use luopan_kernel::rule::Lookup;
use luopan_kernel::slots::{CustomerSlots, ItemLookup, ItemSlots, NO_STAGES};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_scene::{Checked, Loaded};

use super::world::Platform;

pub(crate) const SCENE: &str = "closed-loop";
/// What is added to it once there are answers to learn from, and where it names its trees.
const TREES: &str = "closed-loop-trees";
const FILE: &str = "artifacts/answers.trees";
pub(crate) const CATALOGUE: &str = "products";
/// Names another pack, to try settings on seeds that are not counted.
const OWN_PACK: &str = "LUOPAN_CLOSED_LOOP_PACK";
/// Products of the catalogue.
pub(crate) const PRODUCTS: usize = 8;

/// Key of a product.
pub(crate) fn key(product: usize) -> String {
    format!("p{}", product + 1)
}

/// Number of the product with this key.
pub(crate) fn product_of(key: &str) -> Option<usize> {
    let number: usize = key.strip_prefix('p')?.parse().ok()?;
    (1..=PRODUCTS).contains(&number).then(|| number - 1)
}

/// A pack of this measurement, and what it is compiled to.
fn loaded(pack: &str) -> Result<Loaded, Fault> {
    let folder = match std::env::var_os(OWN_PACK) {
        Some(named) if pack == SCENE => PathBuf::from(named),
        _ => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenes")
            .join(pack),
    };
    Ok(luopan_scene::load_folder(&folder)?)
}

fn words(faults: Vec<luopan_scene::Fault>) -> Fault {
    let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
    words.join("\n").into()
}

/// The pack.
pub(crate) fn compiled() -> Result<ScenePlan, Fault> {
    Ok(luopan_scene::compile(loaded(SCENE)?).map_err(words)?.plan)
}

/// The pack with the policy `trees` and these trees.
pub(crate) fn with_trees(trees: &Artifact) -> Result<Checked, Fault> {
    let mut pack = loaded(SCENE)?;
    pack.files.extend(loaded(TREES)?.files);
    pack.files.sort();
    pack.trained.insert(FILE.to_owned(), trees.encode());
    let decode = |kind, bytes: &[u8]| Artifact::decode(kind, bytes).map_err(|e| e.to_string());
    luopan_scene::compile_with(pack, &decode).map_err(words)
}

/// The model of the scene.
pub(crate) fn model(plan: &ScenePlan) -> Result<&ModelPlan, Fault> {
    Ok(plan.models.first().ok_or("the scene has no model")?)
}

/// What may be offered within the quarter.
pub(crate) fn limit(plan: &ScenePlan) -> i64 {
    plan.budgets.first().map_or(0, |b| b.limit)
}

/// Most offers to a customer within a week.
pub(crate) fn weekly(plan: &ScenePlan) -> usize {
    let caps = plan.policies.iter().flat_map(|p| &p.caps);
    caps.map(|c| c.limit as usize).min().unwrap_or(usize::MAX)
}

/// The price of an offer that the scene's policies take at `at` when so many were made.
pub(crate) fn price(plan: &ScenePlan, spent: i64, at: Micros) -> f64 {
    let Some(budget) = plan.budgets.first() else {
        return 0.0;
    };
    let uses = plan.policies.iter().flat_map(|p| &p.budgets);
    let Some(price) = uses.filter_map(|b| b.price).next() else {
        return 0.0;
    };
    price.at(spent, budget.limit, budget.elapsed(at, 0.0))
}

/// Gives every price of the scene's budgets this base.
pub(crate) fn set_base(plan: &mut ScenePlan, base: f64) {
    let uses = plan.policies.iter_mut().flat_map(|p| &mut p.budgets);
    for price in uses.filter_map(|b| b.price.as_mut()) {
        price.base = base;
    }
}

/// What is told of a product, in the order of the catalogue's attributes.
pub(crate) fn attributes(
    platform: &Platform,
    product: usize,
) -> Vec<(&'static str, Value<'static>)> {
    vec![
        ("kind", Value::text(platform.kinds[product])),
        (
            "risk_level",
            Value::Int(i64::from(platform.ratings[product])),
        ),
        ("placement", Value::Number(0.0)),
    ]
}

/// The names of what is computed of customer and product together.
pub(crate) fn paired(plan: &ScenePlan) -> Vec<String> {
    (plan.slots.iter())
        .filter(|s| matches!(s.source, SlotSource::Paired(..)))
        .map(|s| s.name.clone())
        .collect()
}

/// What is computed of a customer and each product, by product and in the order of [`paired`]; not a number where it is missing.
pub(crate) fn pairs<'a>(
    plan: &ScenePlan,
    platform: &Platform,
    slots: impl Iterator<Item = (&'a str, &'a Value<'static>)>,
) -> Vec<Vec<f64>> {
    let customer = customer(plan, slots);
    let of_item = ItemSlots::new(plan, 0);
    let ids: Vec<SlotId> = (paired(plan).iter()).filter_map(|n| plan.slot(n)).collect();
    (0..PRODUCTS)
        .map(|product| {
            let told = attributes(platform, product);
            let declared = plan.catalogues.iter().take(1).flat_map(|c| &c.attributes);
            let item: Vec<Value<'static>> = declared
                .map(|field| {
                    let own = told.iter().find(|(name, _)| *name == field.name);
                    own.map_or(Value::Missing, |(_, value)| value.clone())
                })
                .collect();
            let key = Value::text(key(product));
            let lookup = ItemLookup::new(&customer, &of_item, &key, &item, NO_STAGES);
            let number = |id: &SlotId| lookup.slot(*id).as_number().unwrap_or(f64::NAN);
            ids.iter().map(number).collect()
        })
        .collect()
}

/// The customer's features, from slots by name.
pub(crate) fn encoded<'a>(
    plan: &ScenePlan,
    slots: impl Iterator<Item = (&'a str, &'a Value<'static>)>,
) -> Result<Vec<f64>, Fault> {
    let mut out = Vec::new();
    features::encode(model(plan)?, &customer(plan, slots), &mut out);
    Ok(out)
}

/// The customer, from slots by name.
fn customer<'a>(
    plan: &ScenePlan,
    slots: impl Iterator<Item = (&'a str, &'a Value<'static>)>,
) -> CustomerSlots<'static> {
    let mut values = vec![Value::Missing; plan.slots.len()];
    for (name, value) in slots {
        if let Some(id) = plan.slot(name) {
            values[usize::from(id.0)] = value.clone();
        }
    }
    CustomerSlots {
        values,
        ..CustomerSlots::default()
    }
}
