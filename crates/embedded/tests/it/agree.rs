//! Random commits on disk and in memory agree, also after opening again.

use crate::{Disk, options};
use luopan_embedded::Embedded;
use luopan_store::suite::agree::{agree, batches, dump};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn disk_and_memory(all in batches()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let disk = Disk::new();
            let before = {
                let stores = Embedded::open(disk.0.path(), options()).await.unwrap().stores();
                agree(&stores, &all).await;
                dump(&stores).await
            };
            let stores = Embedded::open(disk.0.path(), options()).await.unwrap().stores();
            assert_eq!(before, dump(&stores).await);
        });
    }
}
