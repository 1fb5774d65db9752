//! What a policy asks of a catalogue snapshot, made ready once for all decisions on that snapshot.

use super::candidates::Candidates;
use super::narrow::input;
use super::situation::Situation;
use super::survey::cost;
use crate::artifact::{Artifact, Artifacts};
use crate::catalogue::{Catalogue, CatalogueRule, Rows};
use crate::codec::Writer;
use crate::factors::{Factors, Index};
use crate::features;
use crate::plan::ScenePlan;
use crate::plan::policy::{EACH_VALUES_MAX, PolicyPlan, Ranking, RankingInput, Retrieval};
use crate::plan::rule::{Expr, NamedRule};
use crate::plan::slot::{SlotId, SlotSource, Stage};
use crate::rule::{Lookup, eval};
use crate::slots::{AloneLookup, ItemSlots, NO_STAGES, SlotSet, Stages};
use crate::trees::Ensemble;
use core::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A policy made ready for one snapshot of its catalogue.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) item_slots: ItemSlots,
    pub(super) suitability: Vec<CatalogueRule>,
    pub(super) exclusions: Vec<CatalogueRule>,
    /// One a budget of the policy.
    pub(super) costs: Vec<Costs>,
    /// Of a policy that retrieves.
    pub(super) retriever: Option<Retriever>,
    /// Of a policy that ranks.
    pub(super) ranker: Option<Ranker>,
}

/// Retrieval, ready for one snapshot.
#[derive(Debug, Clone)]
pub(super) struct Retriever {
    /// The table of the customer's features; none when the scene came without its factors, or with others.
    pub(super) ready: Option<(Arc<Factors>, Index)>,
    /// The rows of each value of the attribute of which the best of each are kept.
    pub(super) groups: Vec<Rows>,
}

impl Retriever {
    fn new(
        retrieval: &Retrieval,
        item_slots: &ItemSlots,
        catalogue: &Catalogue,
        artifacts: &Artifacts,
    ) -> Self {
        let ready = artifacts.factors(retrieval.artifact).and_then(|factors| {
            let width = |features: &[_]| features.iter().map(features::width).sum::<usize>();
            if factors.customer_positions() != width(&retrieval.customer)
                || factors.attribute_positions() != width(&retrieval.item)
            {
                return None;
            }
            let mut vectors = Vec::with_capacity(catalogue.len() * factors.dimension());
            let mut biases = Vec::with_capacity(catalogue.len());
            let mut encoded = Vec::new();
            for row in 0..catalogue.len() {
                let lookup = AloneLookup {
                    slots: item_slots,
                    key: catalogue.key_value(row),
                    item: catalogue.values(row),
                };
                features::encode_all(&retrieval.item, &lookup, &mut encoded);
                let (vector, bias) = factors.item(catalogue.key(row), &encoded);
                vectors.extend(vector);
                biases.push(bias);
            }
            Some((
                factors.clone(),
                Index::new(factors.dimension(), vectors, biases),
            ))
        });
        let groups =
            (retrieval.each).map_or_else(Vec::new, |each| groups(each.by, item_slots, catalogue));
        Self { ready, groups }
    }
}

/// The rows of each value of an item slot, of at most [`EACH_VALUES_MAX`] values: those that most items have, of equal ones
/// always the same.
fn groups(by: SlotId, item_slots: &ItemSlots, catalogue: &Catalogue) -> Vec<Rows> {
    // By how the value is written: two values are alike when that is the same.
    let mut of: BTreeMap<Vec<u8>, Rows> = BTreeMap::new();
    for row in 0..catalogue.len() {
        let lookup = AloneLookup {
            slots: item_slots,
            key: catalogue.key_value(row),
            item: catalogue.values(row),
        };
        let value = lookup.slot(by);
        if !value.is_missing() {
            let mut written = Writer::default();
            value.write(&mut written);
            of.entry(written.into_bytes())
                .or_insert_with(|| Rows::none(catalogue.len()))
                .insert(row);
        }
    }
    let mut out: Vec<Rows> = of.into_values().collect();
    if out.len() > EACH_VALUES_MAX {
        out.sort_by_cached_key(|rows| Reverse(rows.count()));
        out.truncate(EACH_VALUES_MAX);
    }
    out
}

/// Ranking, ready for one snapshot.
#[derive(Debug, Clone)]
pub(super) struct Ranker {
    /// None when the scene came without its trees, or with others.
    ensemble: Option<Arc<Artifact>>,
    width: usize,
    /// Inputs of the customer, with their places.
    customer: Vec<(usize, RankingInput)>,
    /// Places of inputs of the item.
    item: Vec<usize>,
    /// Their values, by row.
    values: Vec<f64>,
    /// Places of what earlier stages gave, each with the stage's number.
    stages: Vec<(usize, usize)>,
    /// Inputs of customer and item together, with their places.
    pairs: Vec<(usize, RankingInput)>,
}

impl Ranker {
    fn new(
        scene: &ScenePlan,
        ranking: &Ranking,
        item_slots: &ItemSlots,
        catalogue: &Catalogue,
        artifacts: &Artifacts,
    ) -> Self {
        let ensemble = artifacts
            .trees(ranking.artifact)
            .filter(|a| match a.as_ref() {
                Artifact::Trees(t) => {
                    t.feature_names().len() == ranking.inputs.len() && t.outputs() == 1
                }
                Artifact::Factors(_) | Artifact::Sequence(_) => false,
            });
        let mut out = Self {
            ensemble,
            width: ranking.inputs.len(),
            customer: Vec::new(),
            item: Vec::new(),
            values: Vec::new(),
            stages: Vec::new(),
            pairs: Vec::new(),
        };
        let mut of_item = Vec::new();
        for (place, input) in ranking.inputs.iter().enumerate() {
            let (RankingInput::Number(slot) | RankingInput::Category { slot, .. }) = input;
            match scene.slots.get(usize::from(slot.0)).map(|s| &s.source) {
                Some(SlotSource::Stage(Stage::Retrieved)) => out.stages.push((place, 0)),
                Some(SlotSource::Stage(Stage::Ranked)) => out.stages.push((place, 1)),
                Some(SlotSource::Held(..) | SlotSource::Paired(..)) => {
                    out.pairs.push((place, input.clone()))
                }
                _ if item_slots.contains(*slot) => {
                    out.item.push(place);
                    of_item.push(input);
                }
                _ => out.customer.push((place, input.clone())),
            }
        }
        out.values.reserve(catalogue.len() * of_item.len());
        for row in 0..catalogue.len() {
            let lookup = AloneLookup {
                slots: item_slots,
                key: catalogue.key_value(row),
                item: catalogue.values(row),
            };
            out.values.extend(of_item.iter().map(|i| input(i, &lookup)));
        }
        out
    }

    /// The trees.
    pub(super) fn ensemble(&self) -> Option<&Ensemble> {
        match self.ensemble.as_deref() {
            Some(Artifact::Trees(t)) => Some(t),
            _ => None,
        }
    }

    /// The trees' inputs for these rows, one after another.
    pub(super) fn rows(
        &self,
        situation: &Situation<'_>,
        item_slots: &ItemSlots,
        rows: &[u32],
        stages: &[Stages],
    ) -> Vec<f64> {
        let mut of_customer = vec![f64::NAN; self.width];
        for (place, of) in &self.customer {
            of_customer[*place] = input(of, situation.customer);
        }
        let mut out = Vec::with_capacity(rows.len() * self.width);
        for (i, row) in rows.iter().enumerate() {
            let start = out.len();
            out.extend_from_slice(&of_customer);
            let values = self
                .values
                .get(*row as usize * self.item.len()..)
                .unwrap_or(&[]);
            for (place, value) in self.item.iter().zip(values) {
                out[start + place] = *value;
            }
            if !self.pairs.is_empty() {
                let lookup = Candidates::of_row(situation, item_slots, *row, NO_STAGES);
                for (place, of) in &self.pairs {
                    out[start + place] = input(of, &lookup);
                }
            }
            for (place, stage) in &self.stages {
                out[start + place] = (stages.get(i))
                    .and_then(|s| s[*stage].as_number())
                    .unwrap_or(f64::NAN);
            }
        }
        out
    }
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
    /// What the policy retrieves from, by catalogue row; none of a policy that does not retrieve, or that came without its
    /// factors.
    pub fn index(&self) -> Option<&Index> {
        let (_, index) = self.retriever.as_ref()?.ready.as_ref()?;
        Some(index)
    }

    /// Prepares `policy` for `catalogue`. What it says of products alone is computed here. `artifacts` are the scene's.
    pub fn new(
        scene: &ScenePlan,
        policy: &PolicyPlan,
        catalogue: &Catalogue,
        artifacts: &Artifacts,
    ) -> Self {
        let read = SlotSet::of_policy(scene, policy);
        let item_slots = ItemSlots::new(scene, policy.catalogue).reading(&read);
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
            retriever: (policy.retrieval.as_ref())
                .map(|r| Retriever::new(r, &item_slots, catalogue, artifacts)),
            ranker: (policy.ranking.as_ref())
                .map(|r| Ranker::new(scene, r, &item_slots, catalogue, artifacts)),
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
}
