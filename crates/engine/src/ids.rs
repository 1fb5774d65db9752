//! A bounded cache of foreign to internal ids, so that the hot path of intake asks the key store only about customers it
//! has not met lately. It keeps hashes, not foreign ids, and is emptied generation by generation.

use luopan_kernel::id::{DEFAULT_TENANT, IdentifierId, hash128};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

const SHARDS: usize = 16;

/// The keys are hashes already.
#[derive(Debug, Default)]
struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_u128(&mut self, v: u128) {
        self.0 = v as u64;
    }
}

type Map = HashMap<u128, IdentifierId, BuildHasherDefault<Identity>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct IdCache {
    shards: Vec<Mutex<(Map, Map)>>,
    per_generation: usize,
}

impl IdCache {
    /// A cache of about `entries_max` entries, in two generations.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            per_generation: (entries_max / SHARDS / 2).max(1),
        }
    }

    fn key(text: &str) -> u128 {
        hash128(text.as_bytes()) ^ u128::from(DEFAULT_TENANT.0)
    }

    fn shard(&self, key: u128) -> &Mutex<(Map, Map)> {
        &self.shards[(key >> 64) as usize % SHARDS]
    }

    /// The internal id, when it was met lately.
    pub(crate) fn get(&self, text: &str) -> Option<IdentifierId> {
        let key = Self::key(text);
        let mut shard = self.shard(key).lock();
        if let Some(id) = shard.0.get(&key) {
            return Some(*id);
        }
        let id = shard.1.get(&key).copied()?;
        self.insert(&mut shard, key, id);
        Some(id)
    }

    /// Number of ids that are remembered.
    pub(crate) fn len(&self) -> usize {
        let size = |s: &Mutex<(Map, Map)>| {
            let shard = s.lock();
            shard.0.len() + shard.1.len()
        };
        self.shards.iter().map(size).sum()
    }

    /// Remembers an id.
    pub(crate) fn put(&self, text: &str, id: IdentifierId) {
        let key = Self::key(text);
        self.insert(&mut self.shard(key).lock(), key, id);
    }

    fn insert(&self, shard: &mut (Map, Map), key: u128, id: IdentifierId) {
        if shard.0.len() >= self.per_generation {
            shard.1 = std::mem::take(&mut shard.0);
        }
        shard.0.insert(key, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_never_wrong() {
        let cache = IdCache::new(1_000);
        let id = |i: u32| IdentifierId(u128::from(i).to_be_bytes());
        for i in 0..10_000 {
            cache.put(&format!("c{i}"), id(i));
        }
        assert!((1..=1_000).contains(&cache.len()));
        let mut found = 0;
        for i in 0..10_000 {
            if let Some(got) = cache.get(&format!("c{i}")) {
                assert_eq!(got, id(i));
                found += 1;
            }
        }
        assert!(found > 0);
    }
}
