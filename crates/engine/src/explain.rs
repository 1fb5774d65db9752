//! Decisions afterwards: the record of one, and making it again from that record alone, field by field.

use crate::Inner;
use crate::api::{Explanation, Refusal, RefusalKind, Result};
use crate::rows;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::id::DecisionId;
use luopan_kernel::plan::CataloguePlan;
use luopan_kernel::record::{DecisionRecord, Known};
use std::collections::BTreeSet;

fn refusal(code: &'static str, kind: RefusalKind, message: String) -> Refusal {
    Refusal {
        code,
        kind,
        message,
    }
}

impl Inner {
    /// A decision's record.
    pub(crate) async fn decision(&self, id: DecisionId) -> Result<DecisionRecord> {
        let Some(value) = self.state.get(&[rows::decision(id)]).await?.pop().flatten() else {
            return Err(refusal(
                "unknown_decision",
                RefusalKind::NotFound,
                format!("there is no decision {id}"),
            ));
        };
        DecisionRecord::decode(&value).map_err(|e| {
            refusal(
                "store_unavailable",
                RefusalKind::Unavailable,
                format!("decision {id}: {e}"),
            )
        })
    }

    /// Makes a decision again from its record and compares.
    pub(crate) async fn explain(&self, id: DecisionId) -> Result<Explanation> {
        let record = self.decision(id).await?;
        let cannot = |why: String, record: DecisionRecord| Explanation {
            record,
            differences: Vec::new(),
            not_recomputed: Some(why),
            generated: Vec::new(),
        };
        if record.semantics != luopan_kernel::SEMANTICS {
            let why = format!(
                "it was decided by semantics {}, this program computes semantics {}",
                record.semantics,
                luopan_kernel::SEMANTICS
            );
            return Ok(cannot(why, record));
        }
        let Some(scene) = self.scenes.version(record.scene, record.scene_version) else {
            let why = format!(
                "version {} of its scene is not recorded here",
                record.scene_version
            );
            return Ok(cannot(why, record));
        };
        let Some(policy) = scene.plan.policy(&record.policy) else {
            return Ok(cannot(
                format!("its scene has no policy `{}`", record.policy),
                record,
            ));
        };
        let catalogues = self.catalogues_at(&scene, record.catalogue_version).await?;
        let Some(catalogue) = catalogues.get(usize::from(policy.catalogue)) else {
            return Ok(cannot("its catalogue cannot be rebuilt".into(), record));
        };
        let generated = generated_of(&scene.plan.catalogues, policy.catalogue, catalogue, &record);
        let state = match (&record.model, self.policy_model(&scene, policy)) {
            (Some(used), Some(model)) => {
                let learner =
                    crate::learner::rebuild(self, &model, Some(used.version), false).await?;
                if learner.state.samples != used.version {
                    let why = format!(
                        "model `{}` has only {} samples, version {} is wanted",
                        used.name, learner.state.samples, used.version
                    );
                    return Ok(cannot(why, record));
                }
                Some(learner.state)
            }
            _ => None,
        };
        let mut objectives = Vec::with_capacity(record.objective_models.len());
        for used in &record.objective_models {
            let known = self.objective_models(&scene, policy);
            let Some(model) = known.iter().find(|m| m.plan.name == used.name) else {
                let why = format!("model `{}` is not learned here", used.name);
                return Ok(cannot(why, record));
            };
            let learner = crate::learner::rebuild(self, model, Some(used.version), false).await?;
            objectives.push((used.name.clone(), learner.state));
        }
        let objectives: Vec<_> = objectives.iter().map(|(n, s)| (n.as_str(), s)).collect();
        let known = Known {
            catalogue,
            model: state.as_ref(),
            objective_models: &objectives,
            artifacts: &*self.artifacts_of(&scene).await?,
        };
        match luopan_kernel::record::recompute(&record, &scene.plan, &known) {
            Ok(decision) => Ok(Explanation {
                differences: (luopan_kernel::record::compare(&record, &decision).iter())
                    .map(|d| {
                        format!(
                            "{}: recorded {}, recomputed {}",
                            d.path, d.recorded, d.recomputed
                        )
                    })
                    .collect(),
                record,
                not_recomputed: None,
                generated,
            }),
            Err(e) => Ok(cannot(e.to_string(), record)),
        }
    }
}

/// Items that the record tells of, with their generated attributes.
fn generated_of(
    catalogues: &[CataloguePlan],
    number: u16,
    catalogue: &Catalogue,
    record: &DecisionRecord,
) -> Vec<(String, Vec<String>)> {
    let Some(plan) = catalogues.get(usize::from(number)) else {
        return Vec::new();
    };
    let chosen = record.decision.choices.iter().map(|c| c.item.as_str());
    let traced = (record.decision.trace.iter()).filter_map(|t| t.item.as_deref());
    let items: BTreeSet<&str> = chosen.chain(traced).collect();
    (items.into_iter())
        .filter_map(|item| {
            let names = crate::catalogues::marks(plan, catalogue.find(item)?.values);
            (!names.is_empty()).then(|| (item.to_owned(), names))
        })
        .collect()
}
