//! The registry of trained models: which versions there are, what each was made from, and which one is in force. It is a fold over the
//! lines that the control plane keeps. A version that is put in force takes the place of the one before in every scene that names the model: each
//! such scene gets a new version, recorded and announced in the log as any other, so that decisions before and after are explained alike
//! and an earlier version can come back.
//!
//! This room must never change a scene otherwise than by applying it, nor put anything in force that does not fit where it is used.

use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result, SceneInfo};
use crate::scenes::SceneRuntime;
use bytes::Bytes;
use luopan_kernel::artifact::{Artifact, Artifacts};
use luopan_kernel::plan::ArtifactKind;
use luopan_kernel::time::Micros;
use luopan_store::{AuditRecord, NewRegistryEntry, RegistryEntry};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Line of a new version.
const REGISTERED: &str = "registered";
/// Line of a version that is put in force.
const PROMOTED: &str = "promoted";
/// Longest name of a model, in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 64;
/// Longest lineage, in bytes of JSON.
pub const LINEAGE_BYTES_MAX: usize = 1 << 20;

/// A version of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    /// From 1.
    pub version: u32,
    /// What it holds.
    pub kind: ArtifactKind,
    /// SHA-256 of its bytes in Luopan's own form.
    pub sha256: [u8; 32],
    /// What it was made from, as it was told when it was registered.
    pub lineage: Json,
    /// When it was registered.
    pub at: Micros,
    /// By whom.
    pub by: String,
}

/// A version was put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// Which.
    pub version: u32,
    /// The one in force before; none of the first.
    pub from: Option<u32>,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Micros,
    /// By whom.
    pub by: String,
}

/// A model with its past.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegisteredModel {
    /// Name.
    pub name: String,
    /// Its versions, ascending from 1.
    pub versions: Vec<ModelVersion>,
    /// What was put in force, in order.
    pub promotions: Vec<Promotion>,
}

/// What putting a version in force did.
#[derive(Debug, Clone)]
pub struct Promoted {
    /// The promotion: where the version was in force already, the one that put it there.
    pub promotion: Promotion,
    /// True where the version was not in force before.
    pub is_new: bool,
    /// The scenes that use it, with the version of each that came of it.
    pub scenes: Vec<SceneInfo>,
}

impl RegisteredModel {
    /// The version in force.
    pub fn in_force(&self) -> Option<u32> {
        self.promotions.last().map(|p| p.version)
    }

    /// The version that was in force before the present one: where a roll back goes. A version that was rolled back from does not count.
    pub fn before(&self) -> Option<u32> {
        let mut stack: Vec<u32> = Vec::new();
        for promotion in &self.promotions {
            match stack.iter().rposition(|v| *v == promotion.version) {
                // It came back: what was in force since then is left behind.
                Some(at) => stack.truncate(at + 1),
                None => stack.push(promotion.version),
            }
        }
        stack.pop();
        stack.pop()
    }

    /// A version by its number.
    pub fn version(&self, version: u32) -> Option<&ModelVersion> {
        self.versions.iter().find(|v| v.version == version)
    }
}

fn refused(code: &'static str, kind: RefusalKind, message: String) -> Refusal {
    Refusal {
        code,
        kind,
        message,
    }
}

fn bad(message: String) -> Refusal {
    refused("bad_model", RefusalKind::Invalid, message)
}

fn version_of(model: &RegisteredModel, version: u32) -> Result<&ModelVersion> {
    model.version(version).ok_or_else(|| {
        refused(
            "unknown_model",
            RefusalKind::NotFound,
            format!(
                "model `{}` has no version {version}; it has 1 to {}",
                model.name,
                model.versions.len()
            ),
        )
    })
}

/// The word of a kind: `trees`, `factors`, `sequence`.
pub fn word(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Trees => "trees",
        ArtifactKind::Factors => "factors",
        ArtifactKind::Sequence => "sequence",
    }
}

fn kind_of(word: &str) -> Option<ArtifactKind> {
    [
        ArtifactKind::Trees,
        ArtifactKind::Factors,
        ArtifactKind::Sequence,
    ]
    .into_iter()
    .find(|kind| self::word(*kind) == word)
}

/// Models by name, from the lines of the registry. A line of an act that is not known is passed over: it is of a newer program.
fn folded(lines: Vec<RegistryEntry>) -> luopan_store::Result<BTreeMap<String, RegisteredModel>> {
    let mut out: BTreeMap<String, RegisteredModel> = BTreeMap::new();
    for line in lines {
        let lost = |cause: &str| luopan_store::Error::Corrupt {
            store: "control plane",
            at: format!("line {} of the registry", line.number),
            cause: cause.to_owned(),
        };
        let detail: Json = serde_json::from_str(&line.detail).map_err(|e| lost(&e.to_string()))?;
        let model = out.entry(line.model.clone()).or_default();
        model.name.clone_from(&line.model);
        match (line.act.as_str(), line.artifact) {
            (REGISTERED, Some(sha256)) => model.versions.push(ModelVersion {
                version: line.version,
                kind: (detail["kind"].as_str().and_then(kind_of))
                    .ok_or_else(|| lost("its kind is none"))?,
                sha256,
                lineage: detail["lineage"].clone(),
                at: line.at,
                by: line.by,
            }),
            (PROMOTED, _) => model.promotions.push(Promotion {
                version: line.version,
                from: model.in_force(),
                reason: detail["reason"].as_str().unwrap_or_default().to_owned(),
                at: line.at,
                by: line.by,
            }),
            _ => {}
        }
    }
    Ok(out)
}

/// Refuses a version that cannot take the place of what a scene names.
fn fits(
    scene: &SceneRuntime,
    named: &luopan_kernel::plan::ArtifactPlan,
    old: &Artifact,
    new: &Artifact,
    version: u32,
) -> Result<()> {
    match unfit(old, new) {
        None => Ok(()),
        Some(why) => Err(refused(
            "bad_artifact",
            RefusalKind::Invalid,
            format!(
                "version {version} of model `{}` does not fit artifact `{}` of scene `{}`: {why}. Nothing was changed: change the pack for it, under another name of a model",
                named.model.as_deref().unwrap_or_default(),
                named.name,
                scene.plan.name
            ),
        )),
    }
}

/// Why `new` cannot take the place of `old` in a plan; none where it can.
fn unfit(old: &Artifact, new: &Artifact) -> Option<String> {
    match (old, new) {
        (Artifact::Trees(old), Artifact::Trees(new)) => {
            if old.feature_names() != new.feature_names() {
                return Some(format!(
                    "its features are {}, those of the version in force {}",
                    new.feature_names().join(", "),
                    old.feature_names().join(", ")
                ));
            }
            (old.outputs() != new.outputs()).then(|| {
                format!(
                    "it has {} outputs, the version in force {}",
                    new.outputs(),
                    old.outputs()
                )
            })
        }
        (Artifact::Factors(old), Artifact::Factors(new)) => {
            let of = |f: &luopan_kernel::factors::Factors| {
                (f.customer_positions(), f.attribute_positions())
            };
            (of(old) != of(new)).then(|| {
                format!(
                    "it has vectors for {:?} positions of customers and items, the version in force for {:?}",
                    of(new),
                    of(old)
                )
            })
        }
        (Artifact::Sequence(old), Artifact::Sequence(new)) => (old.words() != new.words()
            || old.classes() != new.classes())
        .then(|| "it knows other words than the version in force".to_owned()),
        (old, new) => Some(format!(
            "it is {}, the version in force {}",
            word(new.kind()),
            word(old.kind())
        )),
    }
}

impl Inner {
    /// All models, by name.
    pub(crate) async fn models_registered(&self) -> Result<Vec<RegisteredModel>> {
        let lines = self.control.registry().await?;
        Ok(folded(lines)?.into_values().collect())
    }

    async fn registered(&self, name: &str) -> Result<RegisteredModel> {
        let mut all = folded(self.control.registry().await?)?;
        match all.remove(name) {
            Some(found) => Ok(found),
            None => {
                let known: Vec<String> = all.keys().map(|n| format!("`{n}`")).collect();
                Err(refused(
                    "unknown_model",
                    RefusalKind::NotFound,
                    match known.is_empty() {
                        true => format!(
                            "model `{}` is not registered, and no model is; register one with `luopan model register`",
                            crate::intake::cut(name)
                        ),
                        false => format!(
                            "model `{}` is not registered; registered are {}",
                            crate::intake::cut(name),
                            known.join(", ")
                        ),
                    },
                ))
            }
        }
    }

    /// Of each model the version in force: its bytes in Luopan's own form.
    pub(crate) async fn models_in_force(&self) -> Result<BTreeMap<String, Bytes>> {
        let mut out = BTreeMap::new();
        for model in self.models_registered().await? {
            let Some(version) = model.in_force().and_then(|v| model.version(v)) else {
                continue;
            };
            let bytes = self.artifact_bytes(&model.name, version).await?;
            out.insert(model.name, bytes);
        }
        Ok(out)
    }

    async fn artifact_bytes(
        &self,
        model: &str,
        version: &ModelVersion,
    ) -> luopan_store::Result<Bytes> {
        let found = self.control.artifact(version.sha256).await?;
        found.ok_or_else(|| luopan_store::Error::Corrupt {
            store: "control plane",
            at: format!("version {} of model `{model}`", version.version),
            cause: "its artifact is not there".to_owned(),
        })
    }

    /// Registers a version. The bytes of the newest one give that one back: whoever registers twice has done it once.
    pub(crate) async fn register_model(
        &self,
        name: &str,
        artifact: &Artifact,
        lineage: &Json,
        by: &str,
    ) -> Result<(ModelVersion, bool)> {
        let is_name = name.len() <= MODEL_NAME_BYTES_MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && (name.bytes()).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_name {
            return Err(bad(format!(
                "a model cannot be called `{}`: write at most {MODEL_NAME_BYTES_MAX} small letters, digits and _, beginning with a letter",
                crate::intake::cut(name)
            )));
        }
        let detail = json!({"kind": word(artifact.kind()), "lineage": lineage}).to_string();
        if detail.len() > LINEAGE_BYTES_MAX {
            return Err(bad(format!(
                "what is told of the version has {} bytes; at most {LINEAGE_BYTES_MAX} are kept",
                detail.len()
            )));
        }
        let bytes = artifact.encode();
        let sha256 = crate::scenes::sha256(&Artifact::hash(&bytes)).unwrap_or_default();
        let _one_at_a_time = self.applying.lock().await;
        let all = folded(self.control.registry().await?)?;
        if let Some(newest) = all.get(name).and_then(|m| m.versions.last()) {
            if newest.sha256 == sha256 {
                return Ok((newest.clone(), false));
            }
            if newest.kind != artifact.kind() {
                return Err(bad(format!(
                    "model `{name}` is {}, and this is {}: register it under another name",
                    word(newest.kind),
                    word(artifact.kind())
                )));
            }
        }
        // Before the line that names it, so that no version is without it.
        let kept = vec![(sha256, Bytes::from(bytes))];
        self.control.put_artifacts(kept).await?;
        let at = self.log_time();
        let line = self
            .control
            .register(NewRegistryEntry {
                model: name.to_owned(),
                version: None,
                act: REGISTERED.to_owned(),
                artifact: Some(sha256),
                detail,
                at,
                by: by.to_owned(),
            })
            .await?;
        self.audit_model("model.register", name, line.version, at, by)
            .await?;
        Ok((
            ModelVersion {
                version: line.version,
                kind: artifact.kind(),
                sha256,
                lineage: lineage.clone(),
                at,
                by: by.to_owned(),
            },
            true,
        ))
    }

    async fn audit_model(
        &self,
        action: &str,
        name: &str,
        version: u32,
        at: Micros,
        by: &str,
    ) -> luopan_store::Result<()> {
        let detail = json!({"model": name, "version": version}).to_string();
        self.control
            .audit(AuditRecord {
                at,
                by: by.to_owned(),
                action: action.to_owned(),
                detail,
            })
            .await
    }

    /// Puts a version in force, everywhere where the model is named. Doing it again for the version in force changes what a crash left
    /// unchanged.
    pub(crate) async fn promote_model(
        self: &Arc<Self>,
        name: &str,
        version: u32,
        reason: &str,
        by: &str,
    ) -> Result<Promoted> {
        let model = self.registered(name).await?;
        let wanted = version_of(&model, version)?;
        let bytes = self.artifact_bytes(name, wanted).await?;
        let new = self.artifact(name, wanted.kind, &bytes)?;
        let users = self.users_of(name);
        // All are looked at before anything is changed.
        for scene in &users {
            for named in &scene.plan.artifacts {
                if named.model.as_deref() == Some(name) {
                    let old = self
                        .artifact_named(scene, &named.sha256, named.kind)
                        .await?;
                    fits(scene, named, &old, &new, version)?;
                }
            }
        }
        let from = model.in_force();
        let is_new = from != Some(version);
        let promotion = match model.promotions.last() {
            Some(last) if !is_new => last.clone(),
            _ => {
                let at = self.log_time();
                let detail = json!({"reason": reason}).to_string();
                self.control
                    .register(NewRegistryEntry {
                        model: name.to_owned(),
                        version: Some(version),
                        act: PROMOTED.to_owned(),
                        artifact: None,
                        detail,
                        at,
                        by: by.to_owned(),
                    })
                    .await?;
                self.audit_model("model.promote", name, version, at, by)
                    .await?;
                Promotion {
                    version,
                    from,
                    reason: reason.to_owned(),
                    at,
                    by: by.to_owned(),
                }
            }
        };
        let scenes = self.converge(name, version, bytes, by).await?;
        Ok(Promoted {
            promotion,
            is_new,
            scenes,
        })
    }

    /// Applies the scenes that name the model with the version in force, until that is the one that was applied: of two who promote at once
    /// both end with what the registry says last.
    async fn converge(
        self: &Arc<Self>,
        name: &str,
        mut version: u32,
        mut bytes: Bytes,
        by: &str,
    ) -> Result<Vec<SceneInfo>> {
        loop {
            let mut scenes = Vec::new();
            for scene in self.users_of(name) {
                scenes.push(self.apply_promoted(&scene, name, &bytes, by).await?);
            }
            let model = self.registered(name).await?;
            match model.in_force().and_then(|v| model.version(v)) {
                Some(now) if now.version != version => {
                    version = now.version;
                    bytes = self.artifact_bytes(name, now).await?;
                }
                _ => return Ok(scenes),
            }
        }
    }

    /// A scene's artifacts with a version of a model in place of the one in force.
    pub(crate) async fn artifacts_with(
        &self,
        scene: &SceneRuntime,
        name: &str,
        version: u32,
    ) -> Result<(Arc<Artifacts>, Micros)> {
        let model = self.registered(name).await?;
        let wanted = version_of(&model, version)?;
        let bytes = self.artifact_bytes(name, wanted).await?;
        let new = self.artifact(name, wanted.kind, &bytes)?;
        let mut list = Vec::with_capacity(scene.plan.artifacts.len());
        let mut is_used = false;
        for named in &scene.plan.artifacts {
            let old = self
                .artifact_named(scene, &named.sha256, named.kind)
                .await?;
            if named.model.as_deref() != Some(name) {
                list.push(old);
                continue;
            }
            is_used = true;
            fits(scene, named, &old, &new, version)?;
            list.push(new.clone());
        }
        if !is_used {
            return Err(bad(format!(
                "scene `{}` names no model `{name}`, so that another version of it would change nothing",
                scene.plan.name
            )));
        }
        Ok((Arc::new(Artifacts::of(list)), wanted.at))
    }

    /// Puts the version in force again that was so before the present one.
    pub(crate) async fn roll_back_model(
        self: &Arc<Self>,
        name: &str,
        reason: &str,
        by: &str,
    ) -> Result<Promoted> {
        let model = self.registered(name).await?;
        match model.before() {
            Some(before) => self.promote_model(name, before, reason, by).await,
            None => Err(bad(format!(
                "model `{name}` has no version that was in force before: name one with `luopan model promote`"
            ))),
        }
    }

    /// The scenes whose newest version names the model.
    fn users_of(&self, name: &str) -> Vec<Arc<SceneRuntime>> {
        let mut all = self.scenes.all();
        all.retain(|s| (s.plan.artifacts.iter()).any(|a| a.model.as_deref() == Some(name)));
        all
    }

    fn artifact(&self, name: &str, kind: ArtifactKind, bytes: &[u8]) -> Result<Artifact> {
        Artifact::decode(kind, bytes).map_err(|e| {
            refused(
                "bad_model",
                RefusalKind::Unavailable,
                format!("model `{name}` cannot be read: {e}"),
            )
        })
    }

    async fn artifact_named(
        &self,
        scene: &SceneRuntime,
        digits: &str,
        kind: ArtifactKind,
    ) -> Result<Artifact> {
        let lost = || luopan_store::Error::Corrupt {
            store: "control plane",
            at: format!("an artifact of scene `{}`", scene.plan.name),
            cause: "it is not there".to_owned(),
        };
        let hash = crate::scenes::sha256(digits).ok_or_else(lost)?;
        let bytes = self.control.artifact(hash).await?.ok_or_else(lost)?;
        self.artifact(&scene.plan.name, kind, &bytes)
    }

    /// Applies a scene with the version in place of what it had.
    async fn apply_promoted(
        self: &Arc<Self>,
        scene: &SceneRuntime,
        name: &str,
        bytes: &Bytes,
        by: &str,
    ) -> Result<SceneInfo> {
        let mut plan = (*scene.plan).clone();
        let mut artifacts = Vec::with_capacity(plan.artifacts.len());
        for named in &mut plan.artifacts {
            if named.model.as_deref() == Some(name) {
                named.sha256 = Artifact::hash(bytes);
                artifacts.push(self.artifact(name, named.kind, bytes)?);
            } else {
                let (digits, kind) = (named.sha256.clone(), named.kind);
                artifacts.push(self.artifact_named(scene, &digits, kind).await?);
            }
        }
        let files = self.control.scene_files(scene.no, scene.version).await?;
        self.apply_scene(&plan, &artifacts, &files, by).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(promoted: &[u32]) -> RegisteredModel {
        let mut out = RegisteredModel::default();
        for version in promoted {
            out.promotions.push(Promotion {
                version: *version,
                from: out.in_force(),
                reason: String::new(),
                at: Micros(0),
                by: String::new(),
            });
        }
        out
    }

    #[test]
    fn a_roll_back_goes_to_what_was_in_force_before() {
        for (promoted, before) in [
            (&[][..], None),
            (&[1], None),
            (&[1, 2], Some(1)),
            (&[1, 2, 3], Some(2)),
            // Back from 3 to 2: the next goes to 1, not to 3 again.
            (&[1, 2, 3, 2], Some(1)),
            (&[1, 2, 3, 2, 1], None),
            (&[1, 2, 1, 3], Some(1)),
            (&[2, 2], None),
        ] {
            assert_eq!(model(promoted).before(), before, "{promoted:?}");
        }
    }

    #[test]
    fn lines_of_a_newer_program_are_passed_over() {
        let line = |number, version, act: &str, artifact, detail: &str| RegistryEntry {
            number,
            model: "m".into(),
            version,
            act: act.into(),
            artifact,
            detail: detail.into(),
            at: Micros(number as i64),
            by: "cli".into(),
        };
        let lines = vec![
            line(
                1,
                1,
                REGISTERED,
                Some([1; 32]),
                r#"{"kind":"trees","lineage":{"rows":5}}"#,
            ),
            line(2, 1, PROMOTED, None, r#"{"reason":"first"}"#),
            line(3, 1, "shadowed", None, "{}"),
        ];
        let all = folded(lines.clone()).unwrap();
        let found = &all["m"];
        assert_eq!(found.in_force(), Some(1));
        assert_eq!(found.versions[0].lineage, json!({"rows": 5}));
        assert_eq!(found.promotions[0].reason, "first");
        for broken in ["{", r#"{"kind":"tree"}"#] {
            let mut lines = lines.clone();
            lines[0].detail = broken.into();
            assert!(folded(lines).is_err(), "{broken}");
        }
    }
}
