//! The control plane: scene versions, API keys, audit, numbered streams. Small, relational, changed by people.

use crate::error::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, SceneNo};
use luopan_kernel::time::Micros;

/// A scene version to record.
#[derive(Debug, Clone)]
pub struct NewScene {
    /// Scene name.
    pub name: String,
    /// SHA-256 of the plan's canonical bytes.
    pub hash: [u8; 32],
    /// The plan's canonical bytes.
    pub plan: Bytes,
    /// The pack's files as applied: path within the pack and content.
    pub files: Vec<(String, Bytes)>,
    /// When.
    pub at: Micros,
    /// Who (name of an API key, or `cli`).
    pub by: String,
}

/// A scene version as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedScene {
    /// Number of the scene in this store, ascending from 1.
    pub scene: SceneNo,
    /// Name.
    pub name: String,
    /// Ascending from 1.
    pub version: u32,
    /// SHA-256 of the plan.
    pub hash: [u8; 32],
    /// The plan's canonical bytes.
    pub plan: Bytes,
    /// When.
    pub at: Micros,
    /// Who.
    pub by: String,
    /// True once `scene_applied` stands in every partition of the log.
    pub announced: bool,
}

/// An API key; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Name.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was made.
    pub at: Micros,
}

/// A line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Micros,
    /// Who.
    pub by: String,
    /// What was done (`scene.apply`, `key.create`, `identity.link`).
    pub action: String,
    /// On what, as JSON without personal data.
    pub detail: String,
}

/// What the registry of models is told: that a model has a new version, or what became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRegistryEntry {
    /// Model.
    pub model: String,
    /// The version that it is about; none for a new one, which gets the next number.
    pub version: Option<u32>,
    /// What was done (`registered`, `promoted`).
    pub act: String,
    /// SHA-256 of the artifact, of a new version and of no other line.
    pub artifact: Option<[u8; 32]>,
    /// More of it, as JSON without personal data.
    pub detail: String,
    /// When.
    pub at: Micros,
    /// Who.
    pub by: String,
}

impl NewRegistryEntry {
    /// The version that it is about, where the newest of its model is `newest` (0 for none).
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that the model has not, and for a new one without an artifact.
    pub fn next_after(&self, newest: u32) -> Result<u32> {
        if self.version.is_none() != self.artifact.is_some() {
            return Err(Error::Invalid(format!(
                "a new version of model `{}` has an artifact, and no other line has one",
                self.model
            )));
        }
        match self.version {
            None => newest.checked_add(1).ok_or(Error::Limit {
                what: "the number of versions of a model",
                limit: u32::MAX.into(),
                found: u64::from(newest) + 1,
            }),
            Some(version) if (1..=newest).contains(&version) => Ok(version),
            Some(version) => Err(Error::Invalid(format!(
                "model `{}` has no version {version}; it has {newest}",
                self.model
            ))),
        }
    }

    /// The line as it stands in the registry.
    #[must_use]
    pub fn numbered(self, number: u64, version: u32) -> RegistryEntry {
        RegistryEntry {
            number,
            model: self.model,
            version,
            act: self.act,
            artifact: self.artifact,
            detail: self.detail,
            at: self.at,
            by: self.by,
        }
    }
}

/// A line of the registry of models. Lines are never changed: what stands now is a fold over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// Ascending from 1 without a gap.
    pub number: u64,
    /// Model.
    pub model: String,
    /// Version, of each model ascending from 1 without a gap.
    pub version: u32,
    /// What was done.
    pub act: String,
    /// SHA-256 of the artifact, of a new version.
    pub artifact: Option<[u8; 32]>,
    /// More of it, as JSON.
    pub detail: String,
    /// When.
    pub at: Micros,
    /// Who.
    pub by: String,
}

/// The control plane.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// Records a version of a scene durably: the next version number; the same hash as the newest version gives that one
    /// back instead, with the files that are given now: what is no part of the plan (mappings, comments) may have changed.
    async fn record_scene(&self, scene: NewScene) -> Result<AppliedScene>;

    /// Marks a version as announced in the log.
    async fn mark_announced(&self, scene: SceneNo, version: u32) -> Result<()>;

    /// Every version of every scene, ascending by number and version. Plans ever applied must load for ever.
    async fn scenes(&self) -> Result<Vec<AppliedScene>>;

    /// The newest version of every scene, and whether it is announced; ascending by number. Asked for every second by every
    /// node of several: it must not read plans.
    async fn newest_scenes(&self) -> Result<Vec<(SceneNo, u32, bool)>>;

    /// Files of an applied version, as last given to [`Control::record_scene`]; [`crate::Error::Invalid`] for one never recorded.
    async fn scene_files(&self, scene: SceneNo, version: u32) -> Result<Vec<(String, Bytes)>>;

    /// Keeps trained artifacts durably, each under the SHA-256 of its bytes; one that is there already stays.
    async fn put_artifacts(&self, artifacts: Vec<([u8; 32], Bytes)>) -> Result<()>;

    /// The artifact of this SHA-256; none that was never kept.
    async fn artifact(&self, sha256: [u8; 32]) -> Result<Option<Bytes>>;

    /// SHA-256 of every artifact that is kept, ascending.
    async fn artifacts(&self) -> Result<Vec<[u8; 32]>>;

    /// Adds a line to the registry durably; of lines added at once each gets another number. [`crate::Error::Invalid`] for a version that
    /// the model has not.
    async fn register(&self, entry: NewRegistryEntry) -> Result<RegistryEntry>;

    /// The registry, ascending by number.
    async fn registry(&self) -> Result<Vec<RegistryEntry>>;

    /// The log partition of the named stream (a learner log), given durably at first use: numbers above the environment
    /// partition, ascending without a gap, never reused.
    async fn stream(&self, name: &str) -> Result<PartitionId>;

    /// Every named stream, ascending by partition.
    async fn streams(&self) -> Result<Vec<(String, PartitionId)>>;

    /// Adds an API key; the same name replaces it.
    async fn put_api_key(&self, key: ApiKey) -> Result<()>;

    /// Forgets an API key; false when there is none of this name.
    async fn remove_api_key(&self, name: &str) -> Result<bool>;

    /// All API keys, by name.
    async fn api_keys(&self) -> Result<Vec<ApiKey>>;

    /// Appends to the audit.
    async fn audit(&self, record: AuditRecord) -> Result<()>;

    /// The newest audit records, newest first.
    async fn audits(&self, limit: usize) -> Result<Vec<AuditRecord>>;
}
