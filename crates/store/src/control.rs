//! The control plane: scene versions, API keys, audit, numbered streams. Small, relational, changed by people.

use crate::error::Result;
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
