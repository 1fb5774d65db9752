//! The embedded backend passes the suites, holds its folder, and loses nothing acknowledged when it is killed.

mod agree;
mod disk;
mod folder;
mod kill;

use async_trait::async_trait;
use luopan_embedded::{Embedded, Options};
use luopan_store::Stores;
use luopan_store::suite::Subject;
use tempfile::TempDir;

/// A data folder that goes with the test.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

/// Small caches, so that tests read from disk too.
fn options() -> Options {
    Options {
        cache_bytes: 1 << 20,
        keys_cache_bytes: 1 << 20,
        tail_bytes: 64 << 10,
        workers: 1,
    }
}

#[async_trait]
impl Subject for Disk {
    async fn open(&self) -> Stores {
        let opened = Embedded::open(self.0.path(), options()).await;
        opened.unwrap().stores()
    }

    fn survives(&self) -> bool {
        true
    }
}

luopan_store::conformance!(crate::Disk::new());
