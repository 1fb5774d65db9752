//! How many statements are sent: they depend on the number of transactions, not on rows, and hardly on callers.

use super::{Server, open};
use luopan_cluster::postgres::limits::STATEMENT_BYTES_MAX;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::state::VALUE_BYTES_MAX;
use luopan_store::suite::budgets::change;
use luopan_store::suite::{identifier, key, put, writes};
use luopan_store::{Advance, Commit, Durability, Expect, ForeignId, Table, Write};

/// A fold of `rows` rows over several tables, some of them deleted, some expected.
fn fold(rows: usize, from: u64) -> Commit {
    let tables = [
        Table::Profile,
        Table::Timer,
        Table::Dirty,
        Table::Outbox,
        Table::Member,
    ];
    let mut commit = Commit::new(Durability::Replayable);
    commit.advance = Some(Advance {
        partition: PartitionId(1),
        from: Position(from),
        to: Position(from + rows as u64),
    });
    for i in 0..rows {
        let row = key(tables[i % tables.len()], 1, format!("{from} {i}"));
        commit.expect.push(Expect {
            key: row.clone(),
            value: None,
        });
        commit.writes.push(match i % 7 {
            0 => Write {
                key: row,
                value: None,
            },
            _ => put(row, [i as u8; 300]),
        });
    }
    commit.budgets.push(change("b", 1_000_000, 16, 0, 1));
    commit
}

#[tokio::test]
async fn a_commit_of_a_thousand_rows_takes_as_many_statements_as_one_of_ten() {
    let Some(server) = Server::find().await else {
        return;
    };
    let node = open(&server).await;
    let mut sent = Vec::new();
    let mut from = 0;
    let mut profiles = 0;
    for rows in [10, 1_000, 10_000] {
        profiles += (0..rows).filter(|i| i % 5 == 0 && i % 7 != 0).count();
        let before = node.counted();
        let out = node.state.commit(vec![fold(rows, from)]).await.unwrap();
        assert!(out[0].is_ok());
        from += rows as u64;
        let after = node.counted();
        assert_eq!(after.transactions - before.transactions, 1);
        sent.push(after.statements - before.statements);
    }
    // BEGIN, locks, a read, a write, COMMIT.
    assert_eq!(sent, [5, 5, 5]);
    let found = node
        .state
        .scan(Table::Profile, PartitionId(1), b"", None, usize::MAX)
        .await;
    assert_eq!(found.unwrap().len(), profiles);
}

/// Values of 4 MiB: what one statement may carry is bounded, the transaction stays one.
#[tokio::test]
async fn a_commit_beyond_the_bytes_of_a_statement_is_still_one_transaction() {
    let Some(server) = Server::find().await else {
        return;
    };
    let node = open(&server).await;
    let rows: Vec<_> = (0..STATEMENT_BYTES_MAX / VALUE_BYTES_MAX + 1)
        .map(|i| key(Table::Checkpoint, 1, [i as u8]))
        .collect();
    let large = bytes::Bytes::from(vec![7; VALUE_BYTES_MAX]);
    let put_large = |row: &luopan_store::RowKey| Write {
        key: row.clone(),
        value: Some(large.clone()),
    };
    let before = node.counted();
    let commit = writes(rows.iter().map(put_large).collect());
    assert!(node.state.commit(vec![commit]).await.unwrap()[0].is_ok());
    let after = node.counted();
    assert_eq!(after.transactions - before.transactions, 1);
    // BEGIN, locks, two writes, COMMIT.
    assert_eq!(after.statements - before.statements, 5);
    let found = node.state.get(&rows).await.unwrap();
    assert!(found.iter().all(|v| v.as_ref() == Some(&large)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_callers_share_statements() {
    let Some(server) = Server::find().await else {
        return;
    };
    let node = open(&server).await;
    const CALLERS: u64 = 1_000;
    let before = node.counted();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|i| {
            let state = node.state.clone();
            let commit = Commit {
                budgets: vec![change("b", 1_000_000, 16, (i % 16) as u16, 1)],
                ..writes(vec![put(
                    key(Table::Decision, (i % 256) as u16, i.to_be_bytes()),
                    "d",
                )])
            };
            tokio::spawn(async move { state.commit(vec![commit]).await.unwrap() })
        })
        .collect();
    for t in tasks {
        assert!(t.await.unwrap()[0].is_ok());
    }
    let after = node.counted();
    assert_eq!(after.commits - before.commits, CALLERS);
    let sent = after.statements - before.statements;
    assert!(
        sent * 20 <= CALLERS,
        "{sent} statements for {CALLERS} commits"
    );

    let before = node.counted();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|i| {
            let (state, keys) = (node.state.clone(), node.keys.clone());
            tokio::spawn(async move {
                let row = key(Table::Decision, (i % 256) as u16, i.to_be_bytes());
                let missing = key(Table::Decision, (i % 256) as u16, "none");
                let found = state.get(&[missing, row.clone(), row]).await.unwrap();
                assert!(found[0].is_none() && found[1].is_some() && found[1] == found[2]);
                let foreign = ForeignId {
                    tenant: luopan_kernel::id::DEFAULT_TENANT,
                    text: (i % 500).to_string(),
                };
                let made = keys
                    .resolve_or_create(&[foreign], &[identifier(i)])
                    .await
                    .unwrap();
                (i % 500, made[0])
            })
        })
        .collect();
    let mut created = 0;
    for t in tasks {
        let (n, made) = t.await.unwrap();
        created += u32::from(made.created);
        assert!(made.id == identifier(n) || made.id == identifier(n + 500));
    }
    assert_eq!(created, 500);
    let sent = node.counted().statements - before.statements;
    assert!(
        sent * 10 <= CALLERS,
        "{sent} statements for {CALLERS} reads and ids"
    );
}
