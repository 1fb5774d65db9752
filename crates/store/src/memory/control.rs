//! The control plane in memory.

use crate::control::{
    ApiKey, AppliedScene, AuditRecord, Control, NewRegistryEntry, NewScene, RegistryEntry,
};
use crate::error::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::ENVIRONMENT_PARTITION;
use luopan_kernel::id::{PartitionId, SceneNo};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Path within the pack and content.
type Files = Vec<(String, Bytes)>;

/// A [`Control`] in memory.
#[derive(Debug, Default)]
pub struct MemoryControl {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    scenes: BTreeMap<(SceneNo, u32), (AppliedScene, Files)>,
    artifacts: BTreeMap<[u8; 32], Bytes>,
    registry: Vec<RegistryEntry>,
    streams: Vec<String>,
    api_keys: BTreeMap<String, ApiKey>,
    audits: Vec<AuditRecord>,
}

impl Inner {
    fn stream(index: usize) -> Result<PartitionId> {
        let first = ENVIRONMENT_PARTITION + 1;
        match u16::try_from(index).ok().and_then(|i| first.checked_add(i)) {
            Some(number) => Ok(PartitionId(number)),
            None => Err(Error::Limit {
                what: "the number of named streams",
                limit: u64::from(u16::MAX - first) + 1,
                found: index as u64 + 1,
            }),
        }
    }
}

#[async_trait]
impl Control for MemoryControl {
    async fn record_scene(&self, scene: NewScene) -> Result<AppliedScene> {
        let mut inner = self.inner.lock();
        let newest = inner
            .scenes
            .values()
            .rev()
            .find(|(s, _)| s.name == scene.name)
            .map(|(s, _)| s.clone());
        let (number, version) = match newest {
            Some(newest) if newest.hash == scene.hash => {
                if let Some((_, files)) = inner.scenes.get_mut(&(newest.scene, newest.version)) {
                    *files = scene.files;
                }
                return Ok(newest);
            }
            Some(newest) => (newest.scene, newest.version + 1),
            None => {
                let last = inner.scenes.last_key_value().map_or(0, |((n, _), _)| n.0);
                let number = last.checked_add(1).ok_or(Error::Limit {
                    what: "the number of scenes",
                    limit: u16::MAX.into(),
                    found: u64::from(last) + 1,
                })?;
                (SceneNo(number), 1)
            }
        };
        let applied = AppliedScene {
            scene: number,
            name: scene.name,
            version,
            hash: scene.hash,
            plan: scene.plan,
            at: scene.at,
            by: scene.by,
            announced: false,
        };
        inner
            .scenes
            .insert((number, version), (applied.clone(), scene.files));
        Ok(applied)
    }

    async fn newest_scenes(&self) -> Result<Vec<(SceneNo, u32, bool)>> {
        let mut out: BTreeMap<SceneNo, (u32, bool)> = BTreeMap::new();
        for ((scene, version), (applied, _)) in &self.inner.lock().scenes {
            out.insert(*scene, (*version, applied.announced));
        }
        Ok(out.into_iter().map(|(s, (v, a))| (s, v, a)).collect())
    }

    async fn mark_announced(&self, scene: SceneNo, version: u32) -> Result<()> {
        match self.inner.lock().scenes.get_mut(&(scene, version)) {
            Some((s, _)) => {
                s.announced = true;
                Ok(())
            }
            None => Err(Error::no_scene(scene, version)),
        }
    }

    async fn scenes(&self) -> Result<Vec<AppliedScene>> {
        let inner = self.inner.lock();
        Ok(inner.scenes.values().map(|(s, _)| s.clone()).collect())
    }

    async fn scene_files(&self, scene: SceneNo, version: u32) -> Result<Files> {
        match self.inner.lock().scenes.get(&(scene, version)) {
            Some((_, files)) => Ok(files.clone()),
            None => Err(Error::no_scene(scene, version)),
        }
    }

    async fn put_artifacts(&self, artifacts: Vec<([u8; 32], Bytes)>) -> Result<()> {
        let mut inner = self.inner.lock();
        for (hash, content) in artifacts {
            inner.artifacts.entry(hash).or_insert(content);
        }
        Ok(())
    }

    async fn artifact(&self, sha256: [u8; 32]) -> Result<Option<Bytes>> {
        Ok(self.inner.lock().artifacts.get(&sha256).cloned())
    }

    async fn artifacts(&self) -> Result<Vec<[u8; 32]>> {
        Ok(self.inner.lock().artifacts.keys().copied().collect())
    }

    async fn register(&self, entry: NewRegistryEntry) -> Result<RegistryEntry> {
        let mut inner = self.inner.lock();
        let of_model = inner.registry.iter().filter(|e| e.model == entry.model);
        let newest = of_model.map(|e| e.version).max().unwrap_or(0);
        let version = entry.next_after(newest)?;
        let made = entry.numbered(inner.registry.len() as u64 + 1, version);
        inner.registry.push(made.clone());
        Ok(made)
    }

    async fn registry(&self) -> Result<Vec<RegistryEntry>> {
        Ok(self.inner.lock().registry.clone())
    }

    async fn stream(&self, name: &str) -> Result<PartitionId> {
        let mut inner = self.inner.lock();
        if let Some(index) = inner.streams.iter().position(|s| s == name) {
            return Inner::stream(index);
        }
        let partition = Inner::stream(inner.streams.len())?;
        inner.streams.push(name.to_owned());
        Ok(partition)
    }

    async fn streams(&self) -> Result<Vec<(String, PartitionId)>> {
        let inner = self.inner.lock();
        inner
            .streams
            .iter()
            .enumerate()
            .map(|(i, name)| Ok((name.clone(), Inner::stream(i)?)))
            .collect()
    }

    async fn put_api_key(&self, key: ApiKey) -> Result<()> {
        self.inner.lock().api_keys.insert(key.name.clone(), key);
        Ok(())
    }

    async fn remove_api_key(&self, name: &str) -> Result<bool> {
        Ok(self.inner.lock().api_keys.remove(name).is_some())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        Ok(self.inner.lock().api_keys.values().cloned().collect())
    }

    async fn audit(&self, record: AuditRecord) -> Result<()> {
        self.inner.lock().audits.push(record);
        Ok(())
    }

    async fn audits(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        let inner = self.inner.lock();
        Ok(inner.audits.iter().rev().take(limit).cloned().collect())
    }
}
