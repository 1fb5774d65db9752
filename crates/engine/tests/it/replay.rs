//! The log alone gives the state: a fresh engine over the same log and an empty State folds to the same rows.

use crate::support::{SHOP, World};
use luopan_engine::api::Raw;
use luopan_engine::{Engine, Limits};
use luopan_kernel::id::PartitionId;
use luopan_store::{Stores, Table, memory};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_state_is_filled_from_the_log() {
    let w = World::new(SHOP).await;
    for i in 0..200 {
        let customer = format!("c{}", i % 17);
        let kind = if i % 5 == 0 { "buy" } else { "visit" };
        let field = if i % 5 == 0 { "amount" } else { "seconds" };
        w.ingest(&[Ok(w.incoming(&customer, kind, &[(field, Raw::Int(i))]))])
            .await;
    }
    w.settle().await;
    w.engine.stop().await;
    let fresh = memory::stores();
    let stores = Stores {
        state: fresh.state.clone(),
        ..w.stores.clone()
    };
    // Smaller batches, more workers: how the log is cut must not matter.
    let limits = Limits {
        fold_entries_max: 3,
        workers: 5,
        ..Limits::default()
    };
    let engine = Engine::open(stores, w.env.clone(), limits).await.unwrap();
    engine.start().await.unwrap();
    while engine.settle(0).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for table in [
        Table::Profile,
        Table::Timer,
        Table::Member,
        Table::MemberCount,
        Table::SceneVersion,
    ] {
        for p in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
            let before = w
                .stores
                .state
                .scan(table, p, &[], None, 10_000)
                .await
                .unwrap();
            let after = fresh.state.scan(table, p, &[], None, 10_000).await.unwrap();
            assert_eq!(before, after, "{table:?} of partition {}", p.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_message_halts_its_partition_with_an_alarm() {
    let w = World::new(SHOP).await;
    let receipt = w.event("ann", "visit", &[]).await;
    let partition = *receipt.token.0.keys().next().unwrap();
    let poison = luopan_store::Append {
        partition,
        count: 1,
        message: bytes::Bytes::from_static(&[1, 1, 77]),
    };
    w.stores.log.append(vec![poison]).await.unwrap();
    for _ in 0..400 {
        let halted = w.engine.stats().await.unwrap().halted;
        if let [(p, reason)] = &halted[..] {
            assert_eq!(*p, partition.0);
            assert!(reason.contains("cannot be read"), "{reason}");
            // What comes behind it is accepted and waits; nothing is skipped.
            let after = w.ingest(&[Ok(w.incoming("ann", "visit", &[]))]).await;
            let refused = w.engine.wait_for(&after.token, 0).await.unwrap_err();
            assert_eq!(refused.code, "partition_halted");
            let other = w.engine.verify().await.unwrap();
            assert!(
                other.differences.iter().any(|d| d.contains("halted")),
                "{other:?}"
            );
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the partition was not halted");
}

/// Of a newer program, beside which this one runs while a cluster is brought up to date.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_newer_program_halts_its_partition_on_this_node_alone() {
    let w = World::new(SHOP).await;
    let receipt = w.event("ann", "visit", &[]).await;
    let partition = *receipt.token.0.keys().next().unwrap();
    let newer = luopan_store::Append {
        partition,
        count: 1,
        message: bytes::Bytes::from_static(&[99, 1, 77]),
    };
    w.stores.log.append(vec![newer]).await.unwrap();
    let begun = std::time::Instant::now();
    let reason = loop {
        let halted = w.engine.stats().await.unwrap().halted;
        if let [(p, reason)] = &halted[..] {
            assert_eq!(*p, partition.0);
            break reason.clone();
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert!(reason.contains("format 99"), "{reason}");
    // Nothing in State keeps a newer program from folding on.
    let other = Engine::open(w.stores.clone(), w.env.clone(), Limits::default());
    let other = other.await.unwrap();
    assert_eq!(other.stats().await.unwrap().halted, []);
}
