//! Random commits on PostgreSQL and in memory agree, also after opening again.

use super::{Server, open, stores};
use luopan_store::suite::agree::{agree, batches, dump};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn postgres_and_memory(all in batches()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(server) = Server::find().await else { return };
            let before = {
                let stores = stores(&open(&server).await);
                agree(&stores, &all).await;
                dump(&stores).await
            };
            let stores = stores(&open(&server).await);
            assert_eq!(before, dump(&stores).await);
        });
    }
}
