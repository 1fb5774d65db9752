//! Applied scenes: every version ever applied, ready to run. Applying is recorded in the control plane, then announced in
//! every partition of the log; a partition's fold switches exactly at that entry.

use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result, SceneInfo};
use crate::contacts::ContactNeeds;
use crate::limits::{MODEL_BYTES_MAX, PROFILE_BYTES_MAX};
use bytes::Bytes;
use luopan_kernel::artifact::{Artifact, Artifacts};
use luopan_kernel::event::{Entry, encode_message};
use luopan_kernel::fold::FoldPlan;
use luopan_kernel::id::{PartitionId, SceneNo};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::plan::model::ModelScope;
use luopan_kernel::segment::SegmentSet;
use luopan_kernel::slots::SlotSet;
use luopan_kernel::time::Micros;
use luopan_store::{Append, AppliedScene, AuditRecord, NewScene};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One version of a scene, compiled for running.
#[derive(Debug)]
pub(crate) struct SceneRuntime {
    pub(crate) no: SceneNo,
    pub(crate) version: u32,
    pub(crate) hash: [u8; 32],
    pub(crate) at: Micros,
    pub(crate) by: String,
    pub(crate) plan: Arc<ScenePlan>,
    pub(crate) fold: FoldPlan,
    pub(crate) segments: SegmentSet,
    /// Row number of each segment, in plan order.
    pub(crate) segment_nos: Vec<u64>,
    /// Row number of each reward, in plan order: a hash of its name.
    pub(crate) reward_nos: Vec<u64>,
    /// Which contacts a ledger row keeps.
    pub(crate) contact_needs: ContactNeeds,
    /// Slots that each policy reads, in plan order.
    pub(crate) policy_slots: Vec<SlotSet>,
    /// Learner stream of each model, in plan order.
    pub(crate) streams: Vec<PartitionId>,
    /// What the plan names, once somebody needed it.
    artifacts: RwLock<Option<Arc<Artifacts>>>,
}

impl SceneRuntime {
    fn new(applied: &AppliedScene, plan: ScenePlan, streams: Vec<PartitionId>) -> Result<Self> {
        let fold = FoldPlan::new(&plan);
        let segments = SegmentSet::new(&plan).map_err(|e| Refusal {
            code: "bad_segment",
            kind: RefusalKind::Invalid,
            message: e.to_string(),
        })?;
        let number = |name: &str| luopan_kernel::id::hash64(name.as_bytes());
        Ok(Self {
            no: applied.scene,
            version: applied.version,
            hash: applied.hash,
            at: applied.at,
            by: applied.by.clone(),
            segment_nos: plan.segments.iter().map(|s| number(&s.name)).collect(),
            reward_nos: plan.rewards.iter().map(|r| number(&r.name)).collect(),
            contact_needs: ContactNeeds::new(&plan),
            policy_slots: plan
                .policies
                .iter()
                .map(|p| SlotSet::of_policy(&plan, p))
                .collect(),
            fold,
            segments,
            streams,
            artifacts: RwLock::new(None),
            plan: Arc::new(plan),
        })
    }

    /// Index of the reward of this row number.
    pub(crate) fn reward(&self, no: u64) -> Option<usize> {
        self.reward_nos.iter().position(|n| *n == no)
    }

    pub(crate) fn info(&self) -> SceneInfo {
        SceneInfo {
            name: self.plan.name.clone(),
            number: self.no.0,
            version: self.version,
            hash: self.hash.iter().map(|b| format!("{b:02x}")).collect(),
            at: self.at,
            by: self.by.clone(),
            policies: self.plan.policies.iter().map(|p| p.name.clone()).collect(),
            segments: self.plan.segments.iter().map(|s| s.name.clone()).collect(),
        }
    }
}

/// All versions of all scenes.
#[derive(Debug, Default)]
pub(crate) struct Scenes {
    inner: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Every version, for those who fold or explain.
    versions: BTreeMap<SceneNo, BTreeMap<u32, Arc<SceneRuntime>>>,
    /// The newest version that is announced in every partition: what is taken in or decided under it stands behind the
    /// announcement in the log.
    newest: BTreeMap<SceneNo, Arc<SceneRuntime>>,
}

impl Scenes {
    /// Makes a version known.
    pub(crate) fn put(&self, scene: Arc<SceneRuntime>) {
        let mut inner = self.inner.write();
        inner
            .versions
            .entry(scene.no)
            .or_default()
            .insert(scene.version, scene);
    }

    /// Makes a version the one that is taken in and decided under, once it is announced in every partition.
    pub(crate) fn announced(&self, scene: Arc<SceneRuntime>) {
        let mut inner = self.inner.write();
        let present = inner.newest.get(&scene.no).map_or(0, |s| s.version);
        if present < scene.version {
            inner.newest.insert(scene.no, scene);
        }
    }

    /// Every version of a scene, ascending.
    pub(crate) fn versions(&self, scene: SceneNo) -> Vec<Arc<SceneRuntime>> {
        let inner = self.inner.read();
        let versions = inner.versions.get(&scene);
        versions.map_or_else(Vec::new, |v| v.values().cloned().collect())
    }

    /// The version from which on a contest of the newest version is what it is now: champion, challenger and share; none where there is no such
    /// contest.
    pub(crate) fn contest_since(&self, scene: &SceneRuntime, name: &str) -> Option<u32> {
        let of = |plan: &ScenePlan| {
            let found = plan.contests.iter().find(|c| c.name == name)?;
            let policy = |p: u16| Some(plan.policies.get(usize::from(p))?.name.clone());
            Some((
                policy(found.champion)?,
                policy(found.challenger)?,
                found.share,
            ))
        };
        let now = of(&scene.plan)?;
        let versions = self.versions(scene.no);
        let known = versions.iter().rev().filter(|s| s.version <= scene.version);
        let same = known.take_while(|s| of(&s.plan).as_ref() == Some(&now));
        Some(same.last().map_or(scene.version, |s| s.version))
    }

    /// The newest version of the scene of this name.
    pub(crate) fn newest(&self, name: &str) -> Result<Arc<SceneRuntime>> {
        let inner = self.inner.read();
        let newest = inner.newest.values();
        if let Some(found) = newest.clone().find(|s| s.plan.name == name) {
            return Ok(found.clone());
        }
        let known: Vec<_> = newest.map(|s| format!("`{}`", s.plan.name)).collect();
        Err(Refusal {
            code: "unknown_scene",
            kind: RefusalKind::NotFound,
            message: if known.is_empty() {
                format!(
                    "scene `{}` is not applied, and no scene is; apply one with `luopan scene apply`",
                    crate::intake::cut(name)
                )
            } else {
                format!(
                    "scene `{}` is not applied; applied are {}",
                    crate::intake::cut(name),
                    known.join(", ")
                )
            },
        })
    }

    /// The newest version of a scene by number.
    pub(crate) fn newest_of(&self, no: SceneNo) -> Option<Arc<SceneRuntime>> {
        self.inner.read().newest.get(&no).cloned()
    }

    /// A version by number.
    pub(crate) fn version(&self, no: SceneNo, version: u32) -> Option<Arc<SceneRuntime>> {
        self.inner.read().versions.get(&no)?.get(&version).cloned()
    }

    /// The versions that are decided under now or soon: of each scene the newest announced, and all that are known above it.
    pub(crate) fn in_use(&self) -> Vec<Arc<SceneRuntime>> {
        let inner = self.inner.read();
        let from = |no: &SceneNo| inner.newest.get(no).map_or(0, |s| s.version);
        (inner.versions.iter())
            .flat_map(|(no, versions)| versions.range(from(no)..).map(|(_, s)| s.clone()))
            .collect()
    }

    /// As [`Scenes::newest_of`], or the newest version that is recorded when none is announced as far as this node knows:
    /// another node may have decided under it, and its partitions may have come to it.
    pub(crate) fn newest_known(&self, no: SceneNo) -> Option<Arc<SceneRuntime>> {
        let inner = self.inner.read();
        let recorded = || inner.versions.get(&no)?.values().next_back();
        inner.newest.get(&no).or_else(recorded).cloned()
    }

    /// Numbers of all scenes that are recorded as far as is known here, announced or not, ascending.
    pub(crate) fn numbers(&self) -> Vec<SceneNo> {
        self.inner.read().versions.keys().copied().collect()
    }

    /// The newest version of every scene.
    pub(crate) fn all(&self) -> Vec<Arc<SceneRuntime>> {
        self.inner.read().newest.values().cloned().collect()
    }
}

/// The learner stream's name of a model.
///
/// A changed definition is another model: samples of the old one have other features.
fn stream_name(scene: &str, model: &luopan_kernel::plan::ModelPlan) -> String {
    let definition = serde_json::to_vec(model).unwrap_or_default();
    format!(
        "model/{scene}/{}/{:016x}",
        model.name,
        luopan_kernel::id::hash64(&definition)
    )
}

impl Inner {
    async fn runtime(&self, applied: &AppliedScene) -> Result<Arc<SceneRuntime>> {
        let plan = ScenePlan::decode(&applied.plan).map_err(|e| Refusal {
            code: "unreadable_plan",
            kind: RefusalKind::Unavailable,
            message: format!("scene `{}` version {}: {e}", applied.name, applied.version),
        })?;
        let mut streams = Vec::with_capacity(plan.models.len());
        for model in &plan.models {
            streams.push(self.control.stream(&stream_name(&plan.name, model)).await?);
        }
        Ok(Arc::new(SceneRuntime::new(applied, plan, streams)?))
    }

    /// Loads every version; announces what a crash left unannounced.
    pub(crate) async fn load_scenes(&self) -> Result<()> {
        for applied in self.control.scenes().await? {
            let runtime = self.runtime(&applied).await?;
            self.scenes.put(runtime.clone());
            if !applied.announced {
                self.complete(&applied).await?;
            }
            self.scenes.announced(runtime);
        }
        Ok(())
    }

    /// Completes what was recorded and never told to the whole log: whoever applied it died, lost its way, or heard nothing of what
    /// it did. `seen` are the versions that the look before found so; one that is there for the second time is announced by the
    /// owner of the first partition. Two who do it at once announce it twice, and the second time changes nothing.
    pub(crate) async fn sweep_scenes(
        self: &Arc<Self>,
        seen: &mut BTreeSet<(SceneNo, u32)>,
    ) -> luopan_store::Result<()> {
        let newest = self.control.newest_scenes().await?;
        let half: BTreeSet<(SceneNo, u32)> = (newest.iter())
            .filter(|(_, _, announced)| !announced)
            .map(|(scene, version, _)| (*scene, *version))
            .collect();
        let stays: BTreeSet<_> = half.intersection(seen).copied().collect();
        *seen = half;
        // Somebody here who applies a scene has it on the way.
        let applying = self.applying.try_lock();
        if applying.is_some() && !stays.is_empty() && self.fleet.owns(PartitionId(0)) {
            for applied in self.control.scenes().await? {
                if !applied.announced && stays.contains(&(applied.scene, applied.version)) {
                    tracing::warn!(
                        scene = applied.name,
                        version = applied.version,
                        "a scene was applied and not announced to the whole log; it is announced now"
                    );
                    self.complete(&applied).await?;
                }
            }
        }
        drop(applying);
        self.learn_scenes().await
    }

    /// Announces for whoever applied a version, and notes in the audit that it is applied.
    async fn complete(&self, applied: &AppliedScene) -> luopan_store::Result<()> {
        self.announce(applied, 0).await?;
        self.control
            .audit(audited(applied, applied.at, &applied.by))
            .await
    }

    /// Makes known what other nodes applied, or this one without hearing of it. What is not announced yet is announced by whoever
    /// applied it, else by [`Inner::sweep_scenes`].
    pub(crate) async fn learn_scenes(self: &Arc<Self>) -> luopan_store::Result<()> {
        let known = self.control.newest_scenes().await?;
        let is_new = |(scene, version, announced): &(SceneNo, u32, bool)| {
            let newest = self.scenes.newest_of(*scene).map_or(0, |s| s.version);
            self.scenes.version(*scene, *version).is_none() || (*announced && newest < *version)
        };
        if !known.iter().any(is_new) {
            return Ok(());
        }
        let unusable = |e: Refusal| luopan_store::Error::Corrupt {
            store: "control plane",
            at: "a scene that another node applied".into(),
            cause: e.message,
        };
        let mut announced = Vec::new();
        for applied in self.control.scenes().await? {
            if self
                .scenes
                .version(applied.scene, applied.version)
                .is_none()
            {
                let runtime = self.runtime(&applied).await.map_err(unusable)?;
                self.start_learners(&runtime).await?;
                self.scenes.put(runtime);
            }
            if applied.announced {
                announced.extend(self.scenes.version(applied.scene, applied.version));
            }
        }
        // Catalogues are laid out for a version before anyone decides under it.
        self.reload_catalogues().await?;
        announced.into_iter().for_each(|s| self.scenes.announced(s));
        Ok(())
    }

    /// The artifacts that a scene's plan names. They are read when they are first needed, so that versions which nobody
    /// decides under any more take no room.
    pub(crate) async fn artifacts_of(
        &self,
        scene: &SceneRuntime,
    ) -> luopan_store::Result<Arc<Artifacts>> {
        if let Some(found) = scene.artifacts.read().clone() {
            return Ok(found);
        }
        let mut bytes = Vec::with_capacity(scene.plan.artifacts.len());
        for named in &scene.plan.artifacts {
            let lost = |cause: &str| luopan_store::Error::Corrupt {
                store: "control plane",
                at: format!("artifact `{}` of scene `{}`", named.name, scene.plan.name),
                cause: cause.to_owned(),
            };
            let hash = sha256(&named.sha256).ok_or_else(|| lost("its hash is none"))?;
            let found = self.control.artifact(hash).await?;
            bytes.push(found.ok_or_else(|| lost("it is not there"))?);
        }
        let read =
            Artifacts::read(&scene.plan, &bytes).map_err(|e| luopan_store::Error::Corrupt {
                store: "control plane",
                at: format!("scene `{}`", scene.plan.name),
                cause: e.to_string(),
            })?;
        let read = Arc::new(read);
        *scene.artifacts.write() = Some(read.clone());
        Ok(read)
    }

    /// Tells every partition of the log, waits so long at most until they have come to it, and marks the version as announced.
    async fn announce(&self, applied: &AppliedScene, wait_us: i64) -> luopan_store::Result<()> {
        let entry = Entry::SceneApplied {
            scene: applied.scene,
            version: applied.version,
            hash: applied.hash,
            at: self.log_time(),
        };
        let message = Bytes::from(encode_message(&[entry]));
        let batch = (0..=luopan_kernel::ENVIRONMENT_PARTITION)
            .map(|p| Append {
                partition: PartitionId(p),
                count: 1,
                message: message.clone(),
            })
            .collect();
        let landed = self.log.append(batch).await?;
        self.heads_moved(&landed);
        if wait_us > 0 && self.is_started() {
            // Whoever applied a scene may use it at once, wherever the customer's partition is.
            let mut token = crate::api::PositionToken::default();
            landed
                .iter()
                .for_each(|a| token.include(a.partition, a.end));
            self.wait_for(&token, wait_us).await.unwrap_or_else(|e| {
                tracing::warn!(error = %e, "the scene is applied, and some partitions have not come to it yet");
            });
        }
        self.control
            .mark_announced(applied.scene, applied.version)
            .await
    }

    pub(crate) async fn apply_scene(
        self: &Arc<Self>,
        plan: &ScenePlan,
        artifacts: &[Artifact],
        files: &[(String, Bytes)],
        by: &str,
    ) -> Result<SceneInfo> {
        refuse_personal_fields(plan)?;
        refuse_what_grows_too_large(plan)?;
        let trained: Vec<Vec<u8>> = artifacts.iter().map(Artifact::encode).collect();
        Artifacts::read(plan, &trained).map_err(|e| Refusal {
            code: "bad_artifact",
            kind: RefusalKind::Invalid,
            message: format!("scene `{}`: {e}", plan.name),
        })?;
        let _one_at_a_time = self.applying.lock().await;
        let at = self.log_time();
        // Everything that can fail for the plan's sake fails before anything is recorded.
        SegmentSet::new(plan).map_err(|e| Refusal {
            code: "bad_segment",
            kind: RefusalKind::Invalid,
            message: e.to_string(),
        })?;
        // A version that cannot be read back would be the end of the stores: nothing starts on them any more.
        let stored = plan.encode();
        ScenePlan::decode(&stored).map_err(|e| Refusal {
            code: "bad_plan",
            kind: RefusalKind::Invalid,
            message: format!(
                "scene `{}` cannot be read back as it would be stored ({e}): an expression is nested too deeply; give a part of it a name under `derived`",
                plan.name
            ),
        })?;
        // Before the version that names them, so that no version is without them.
        let named = (plan.artifacts.iter().filter_map(|a| sha256(&a.sha256)))
            .zip(trained.into_iter().map(Bytes::from));
        self.control.put_artifacts(named.collect()).await?;
        let applied = self
            .control
            .record_scene(NewScene {
                name: plan.name.clone(),
                hash: plan.hash(),
                plan: Bytes::from(stored),
                files: files.to_vec(),
                at,
                by: by.to_owned(),
            })
            .await?;
        let runtime = self.runtime(&applied).await?;
        self.start_learners(&runtime).await?;
        self.scenes.put(runtime.clone());
        if !applied.announced {
            self.announce(&applied, crate::api::WAIT_US_MAX).await?;
            self.control.audit(audited(&applied, at, by)).await?;
        }
        // Catalogues are laid out for the version before anyone decides under it.
        self.reload_catalogues().await?;
        self.scenes.announced(runtime.clone());
        Ok(runtime.info())
    }
}

/// What the audit says of a version that is applied.
fn audited(applied: &AppliedScene, at: Micros, by: &str) -> AuditRecord {
    AuditRecord {
        at,
        by: by.to_owned(),
        action: "scene.apply".into(),
        detail: format!(
            "{{\"scene\":{:?},\"version\":{}}}",
            applied.name, applied.version
        ),
    }
}

/// The bytes of a hash written in hexadecimal digits.
pub(crate) fn sha256(digits: &str) -> Option<[u8; 32]> {
    let pairs = digits.as_bytes().as_chunks::<2>();
    if pairs.0.len() != 32 || !pairs.1.is_empty() {
        return None;
    }
    let mut out = [0u8; 32];
    for (byte, pair) in out.iter_mut().zip(pairs.0) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// A row that could outgrow what a store takes would stop the fold on the day that it does.
fn refuse_what_grows_too_large(plan: &ScenePlan) -> Result<()> {
    let mut tags: Vec<(usize, &str)> = (plan.tags.iter())
        .map(|t| (t.bytes_max(), t.name.as_str()))
        .collect();
    tags.extend(plan.orders.iter().map(|o| {
        let catalogue = plan.catalogues.get(usize::from(o.catalogue));
        let name = catalogue.map_or("orders", |c| c.name.as_str());
        (luopan_kernel::book::BOOK_BYTES_MAX, name)
    }));
    let all: usize = tags.iter().map(|(bytes, _)| bytes).sum();
    if all > PROFILE_BYTES_MAX {
        tags.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let most: Vec<_> = (tags.iter().take(5))
            .map(|(bytes, name)| format!("`{name}` {bytes}"))
            .collect();
        return Err(Refusal {
            code: "profile_too_large",
            kind: RefusalKind::Invalid,
            message: format!(
                "the tags and orders of scene `{}` can take {all} bytes for one customer, the limit is {PROFILE_BYTES_MAX}; the largest are {}: keep fewer tiles, or fewer texts and distinct counts in windows",
                plan.name,
                most.join(", ")
            ),
        });
    }
    for model in &plan.models {
        let d = luopan_kernel::features::dimension(model);
        let arms = match model.scope {
            ModelScope::Shared => 1,
            ModelScope::PerItem => {
                (plan.catalogues.get(usize::from(model.catalogue))).map_or(1, |c| c.items.len() + 1)
            }
        };
        let bytes = arms * (d * (d + 1) / 2 + d) * 8;
        if bytes > MODEL_BYTES_MAX {
            return Err(Refusal {
                code: "model_too_large",
                kind: RefusalKind::Invalid,
                message: format!(
                    "model `{}` has {arms} arms of {d} features and would take {bytes} bytes, the limit is {MODEL_BYTES_MAX}; use fewer features, or `scope: shared`",
                    model.name
                ),
            });
        }
    }
    Ok(())
}

/// Personal fields need sealing, which this release does not do: better no pack than one whose promise is not kept.
fn refuse_personal_fields(plan: &ScenePlan) -> Result<()> {
    let Some(why) = luopan_kernel::plan::schema::why_not_personal() else {
        return Ok(());
    };
    for event in &plan.events {
        if let Some(field) = event.fields.iter().find(|f| f.personal) {
            return Err(Refusal {
                code: "personal_fields",
                kind: RefusalKind::Invalid,
                message: format!(
                    "event type `{}` declares `{}` as personal; {why}",
                    event.name, field.name
                ),
            });
        }
    }
    Ok(())
}
