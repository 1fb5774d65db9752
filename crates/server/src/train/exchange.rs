//! Factors that were trained elsewhere, in Python for instance: examples out and vectors in, as lines of JSON that name
//! features and items. Positions are this program's own business; nothing here may depend on their order.

use super::factors::{Read, planned};
use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::examples::ExampleSpec;
use luopan_kernel::factors::{FACTOR_DIMENSION_MAX, Factors, ItemFactors};
use luopan_kernel::features;
use luopan_kernel::plan::{Feature, FeaturePlan, ModelKind, ModelPlan, ModelScope, ScenePlan};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

/// Largest file of vectors that is read.
pub const VECTORS_BYTES_MAX: u64 = 1 << 30;

/// What stands at each position of these features, in the words that explanations of models have.
fn names(plan: &ScenePlan, of: &[FeaturePlan]) -> Vec<String> {
    let feature = |plan: &FeaturePlan| Feature {
        plan: plan.clone(),
        prior_variance: 1.0,
    };
    // Names are given for models: of this one nothing but the features is looked at.
    let model = ModelPlan {
        name: String::new(),
        kind: ModelKind::Linear,
        scope: ModelScope::Shared,
        reward: 0,
        catalogue: 0,
        features: of.iter().map(feature).collect(),
        prior_intercept: 0.0,
        noise_variance: 1.0,
        drift_variance: 0.0,
        reward_bounds: (0.0, 1.0),
        replicates: 0,
    };
    features::names(plan, &model)
}

/// Writes the examples of a policy as lines of JSON: first one `{"item", "features"}` an item, then one `{"at", "customer",
/// "item", "weight", "features"}` an example, partition by partition. Customers are internal ids.
///
/// # Errors
/// Those of [`Engine::examples`], `file_unreadable`.
pub async fn examples(
    engine: &Engine,
    plan: Arc<ScenePlan>,
    policy: &str,
    spec: &ExampleSpec,
    output: &Path,
) -> Result<Read> {
    let retrieval = planned(&plan, policy)?;
    let of_customer = names(&plan, &retrieval.customer);
    let of_item = names(&plan, &retrieval.item);
    let source = engine.examples(plan, policy).await?;
    let failed = |e: &dyn std::fmt::Display| {
        let words = format!("{} cannot be written: {e}", output.display());
        Problem::new("file_unreadable", words)
    };
    let file = crate::whole::beside(output).map_err(|e| failed(&e))?;
    let mut out = BufWriter::new(file);
    let named = |names: &[String], features: &[(u32, f64)]| -> Map<String, Value> {
        (features.iter())
            .filter_map(|(p, v)| {
                let number = Number::from_f64(*v)?;
                Some((names.get(*p as usize)?.clone(), Value::Number(number)))
            })
            .collect()
    };
    for item in source.items() {
        let line = json!({"item": item.key, "features": named(&of_item, &item.features)});
        writeln!(out, "{line}").map_err(|e| failed(&e))?;
    }
    let mut fault = None;
    let read = source
        .read(spec, &mut |e| {
            let line = json!({
                "at": crate::time::write(e.at),
                "customer": e.customer.to_string(),
                "item": source.items()[e.item].key,
                "weight": e.weight,
                "features": named(&of_customer, e.features),
            });
            if fault.is_none() {
                fault = writeln!(out, "{line}").err();
            }
            Ok(())
        })
        .await?;
    if let Some(e) = fault {
        return Err(failed(&e));
    }
    let file = out.into_inner().map_err(|e| failed(&e))?;
    file.as_file().sync_all().map_err(|e| failed(&e))?;
    file.persist(output).map_err(|e| failed(&e))?;
    Ok(Read::from(&read))
}

/// A line of vectors: of one feature of the customer, of one feature of the item, or of one item.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    customer: Option<String>,
    item_feature: Option<String>,
    item: Option<String>,
    vector: Vec<f32>,
    #[serde(default)]
    bias: f32,
}

/// What was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Numbers of a vector.
    pub dimension: usize,
    /// Features of the customer with a vector.
    pub customer: usize,
    /// Those without one: they add nothing.
    pub customer_without: Vec<String>,
    /// Features of the item with a vector.
    pub item_features: usize,
    /// Those without one: they add nothing.
    pub item_features_without: Vec<String>,
    /// Items with a vector of their own.
    pub items: usize,
}

/// Vectors of features by name.
struct Named {
    names: Vec<String>,
    places: HashMap<String, usize>,
    vectors: Vec<Option<Vec<f32>>>,
}

impl Named {
    fn new(plan: &ScenePlan, features: &[FeaturePlan]) -> Self {
        let names = names(plan, features);
        Self {
            places: (names.iter().enumerate())
                .map(|(i, n)| (n.clone(), i))
                .collect(),
            vectors: vec![None; names.len()],
            names,
        }
    }

    fn set(&mut self, name: &str, vector: Vec<f32>) -> std::result::Result<(), String> {
        let Some(place) = self.places.get(name) else {
            let near = luopan_scene::nearest(name, self.names.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |n| format!("; the nearest is `{n}`"));
            return Err(format!("the policy has no feature `{name}`{near}"));
        };
        if self.vectors[*place].is_some() {
            return Err(format!("`{name}` stands twice; keep one of them"));
        }
        self.vectors[*place] = Some(vector);
        Ok(())
    }

    fn without(&self) -> Vec<String> {
        (self.names.iter().zip(&self.vectors))
            .filter(|(_, v)| v.is_none())
            .map(|(n, _)| n.clone())
            .collect()
    }

    fn table(self, dimension: usize) -> Vec<f32> {
        (self.vectors.into_iter())
            .flat_map(|v| v.unwrap_or_else(|| vec![0.0; dimension]))
            .collect()
    }
}

/// Reads vectors from lines of JSON and makes the artifact of a policy from them.
///
/// # Errors
/// `unknown_policy`, `nothing_to_learn_from`; `file_unreadable`, with the line and what to write instead.
pub fn import(plan: &ScenePlan, policy: &str, input: &Path) -> Result<(Vec<u8>, Imported)> {
    let retrieval = planned(plan, policy)?;
    let wrong = |line: usize, why: &str| {
        Problem::new(
            "file_unreadable",
            format!("{}, line {line}: {why}", input.display()),
        )
    };
    let failed = |e: std::io::Error| crate::import::source::unreadable(input, &e);
    let file = std::fs::File::open(input).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > VECTORS_BYTES_MAX {
        let words = format!(
            "{} has {size} bytes; at most {VECTORS_BYTES_MAX} are read",
            input.display()
        );
        return Err(Problem::limit("file_unreadable", words, VECTORS_BYTES_MAX));
    }
    let mut customer = Named::new(plan, &retrieval.customer);
    let mut of_item = Named::new(plan, &retrieval.item);
    let mut items: BTreeMap<String, (Vec<f32>, f32)> = BTreeMap::new();
    let mut dimension = None;
    for (number, text) in BufReader::new(file).lines().enumerate() {
        let (number, text) = (number + 1, text.map_err(failed)?);
        if text.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&text).map_err(|e| {
            wrong(
                number,
                &format!("{e}; write `{{\"item\": KEY, \"vector\": [..], \"bias\": 0}}`, or `customer` or `item_feature` with a feature's name"),
            )
        })?;
        let wanted = *dimension.get_or_insert(line.vector.len());
        if line.vector.len() != wanted || wanted == 0 || wanted > FACTOR_DIMENSION_MAX {
            let found = line.vector.len();
            return Err(wrong(
                number,
                &format!(
                    "a vector of {found} numbers; write vectors of one length, 1 to {FACTOR_DIMENSION_MAX}"
                ),
            ));
        }
        let taken = match (line.customer, line.item_feature, line.item) {
            (Some(name), None, None) => customer.set(&name, line.vector),
            (None, Some(name), None) => of_item.set(&name, line.vector),
            (None, None, Some(key)) => match items.insert(key, (line.vector, line.bias)) {
                None => Ok(()),
                Some(_) => Err("the item stands twice; keep one of them".to_owned()),
            },
            _ => Err("write one of `customer`, `item_feature` and `item`".to_owned()),
        };
        taken.map_err(|why| wrong(number, &why))?;
    }
    let Some(dimension) = dimension else {
        return Err(wrong(1, "there are no vectors"));
    };
    let imported = Imported {
        dimension,
        customer_without: customer.without(),
        customer: customer.vectors.iter().flatten().count(),
        item_features_without: of_item.without(),
        item_features: of_item.vectors.iter().flatten().count(),
        items: items.len(),
    };
    let own = items
        .into_iter()
        .map(|(key, (vector, bias))| ItemFactors { key, vector, bias });
    let factors = Factors::new(
        dimension,
        customer.table(dimension),
        of_item.table(dimension),
        own,
    )
    .map_err(|e| Problem::new("file_unreadable", format!("{}: {e}", input.display())))?;
    Ok((factors.encode(), imported))
}
