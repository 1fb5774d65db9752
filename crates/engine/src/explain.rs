//! Decisions afterwards: the record of one, and making it again from that record alone, field by field.

use crate::Inner;
use crate::api::{Explanation, Refusal, RefusalKind, Result};
use crate::rows;
use crate::scenes::SceneRuntime;
use luopan_kernel::artifact::Artifacts;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::id::DecisionId;
use luopan_kernel::learn::ModelState;
use luopan_kernel::plan::CataloguePlan;
use luopan_kernel::plan::policy::PolicyPlan;
use luopan_kernel::record::{DecisionRecord, Known};
use std::collections::BTreeSet;
use std::sync::Arc;

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
        let made = match self.made_with(&record).await? {
            Ok(made) => made,
            Err(why) => return Ok(not_recomputed(record, Vec::new(), why)),
        };
        let (plans, number) = (&made.scene.plan.catalogues, made.policy().catalogue);
        let generated = generated_of(plans, number, made.catalogue(), &record);
        let objectives = made.objective_models();
        let known = Known {
            catalogue: made.catalogue(),
            model: made.model.as_ref(),
            objective_models: &objectives,
            artifacts: &made.artifacts,
        };
        match luopan_kernel::record::recompute(&record, &made.scene.plan, &known) {
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
            Err(e) => Ok(not_recomputed(record, generated, e.to_string())),
        }
    }

    /// What a decision was made with, beside its record; in words what is not there any more.
    pub(crate) async fn made_with(
        &self,
        record: &DecisionRecord,
    ) -> Result<std::result::Result<Made, String>> {
        if record.semantics != luopan_kernel::SEMANTICS {
            return Ok(Err(format!(
                "it was decided by semantics {}, this program computes semantics {}",
                record.semantics,
                luopan_kernel::SEMANTICS
            )));
        }
        let Some(scene) = self.scenes.version(record.scene, record.scene_version) else {
            return Ok(Err(format!(
                "version {} of its scene is not recorded here",
                record.scene_version
            )));
        };
        let Some(number) = (scene.plan.policies.iter()).position(|p| p.name == record.policy)
        else {
            return Ok(Err(format!("its scene has no policy `{}`", record.policy)));
        };
        let policy = &scene.plan.policies[number];
        let catalogues = self.catalogues_at(&scene, record.catalogue_version).await?;
        let Some(catalogue) = catalogues.get(usize::from(policy.catalogue)).cloned() else {
            return Ok(Err("its catalogue cannot be rebuilt".to_owned()));
        };
        let model = match (&record.model, self.policy_model(&scene, policy)) {
            (Some(used), Some(model)) => {
                let learner =
                    crate::learner::rebuild(self, &model, Some(used.version), false).await?;
                if learner.state.samples != used.version {
                    return Ok(Err(format!(
                        "model `{}` has only {} samples, version {} is wanted",
                        used.name, learner.state.samples, used.version
                    )));
                }
                Some(learner.state)
            }
            _ => None,
        };
        let mut objectives = Vec::with_capacity(record.objective_models.len());
        for used in &record.objective_models {
            let known = self.objective_models(&scene, policy);
            let Some(model) = known.iter().find(|m| m.plan.name == used.name) else {
                return Ok(Err(format!("model `{}` is not learned here", used.name)));
            };
            let learner = crate::learner::rebuild(self, model, Some(used.version), false).await?;
            objectives.push((used.name.clone(), learner.state));
        }
        Ok(Ok(Made {
            artifacts: self.artifacts_of(&scene).await?,
            scene,
            number,
            catalogue,
            model,
            objectives,
        }))
    }
}

/// What a decision was made with, beside its record.
pub(crate) struct Made {
    pub(crate) scene: Arc<SceneRuntime>,
    number: usize,
    catalogue: Arc<Catalogue>,
    pub(crate) model: Option<ModelState>,
    objectives: Vec<(String, ModelState)>,
    pub(crate) artifacts: Arc<Artifacts>,
}

impl Made {
    pub(crate) fn policy(&self) -> &PolicyPlan {
        &self.scene.plan.policies[self.number]
    }

    /// The policy's catalogue as the decision saw it.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The models of the policy's objectives.
    pub(crate) fn objective_models(&self) -> Vec<(&str, &ModelState)> {
        self.objectives
            .iter()
            .map(|(n, s)| (n.as_str(), s))
            .collect()
    }
}

fn not_recomputed(
    record: DecisionRecord,
    generated: Vec<(String, Vec<String>)>,
    why: String,
) -> Explanation {
    Explanation {
        record,
        differences: Vec::new(),
        not_recomputed: Some(why),
        generated,
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
