//! How fast commits are, and how many statements they take, with 1, 8 and 64 callers at once. A measurement, not a judgement.

use super::{Server, open, options};
use luopan_cluster::postgres::Postgres;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::suite::budgets::{change, check};
use luopan_store::suite::{key, put};
use luopan_store::{Advance, Commit, Durability, Expect, Table};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(3);

/// About what a decision commits: a contact row as it was, a budget, a record, its key, an outbox row.
fn decision(n: u64) -> Commit {
    let p = (n % 256) as u16;
    let id = n.to_be_bytes();
    Commit {
        expect: vec![Expect {
            key: key(Table::DecisionKey, p, id),
            value: None,
        }],
        checks: vec![check("sends", i64::MAX, 1, true)],
        budgets: vec![change("sends", i64::MAX, 16, p % 16, 1)],
        writes: vec![
            put(key(Table::Contacts, p, id), [7; 200]),
            put(key(Table::Decision, p, id), [8; 1_500]),
            put(key(Table::DecisionKey, p, id), [9; 48]),
            put(key(Table::Outbox, p, id), [5; 300]),
        ],
        ..Commit::new(Durability::Durable)
    }
}

async fn decisions(node: &Postgres, callers: u64, first: u64) -> (u64, Vec<Duration>) {
    let until = Instant::now() + TIME;
    let tasks: Vec<_> = (0..callers)
        .map(|c| {
            let state = node.state.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                let mut n = first + c;
                while Instant::now() < until {
                    let before = Instant::now();
                    assert!(state.commit(vec![decision(n)]).await.unwrap()[0].is_ok());
                    times.push(before.elapsed());
                    n += callers;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for t in tasks {
        times.extend(t.await.unwrap());
    }
    times.sort_unstable();
    (times.len() as u64, times)
}

async fn durable(node: &Postgres, connections: u32, callers: u64) {
    let before = node.counted();
    let first = (u64::from(connections) << 48) + (callers << 32);
    let (n, times) = decisions(node, callers, first).await;
    let after = node.counted();
    let at = |q: usize| times[(times.len() - 1) * q / 100].as_secs_f64() * 1e3;
    eprintln!(
        "durable, {connections} connections, {callers:3} callers: {:7.0} commits/s, {:.3} statements a commit, \
         {:6.1} commits a transaction, p50 {:.2} ms, p99 {:.2} ms",
        n as f64 / TIME.as_secs_f64(),
        (after.statements - before.statements) as f64 / n as f64,
        n as f64 / (after.transactions - before.transactions) as f64,
        at(50),
        at(99),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement"]
async fn commits() {
    let Some(server) = Server::find().await else {
        return;
    };
    for connections in [1, 2] {
        let mut options = options(&server);
        options.commit_connections = connections;
        let node = Postgres::connect(options).await.unwrap();
        for callers in [1, 8, 64, 512] {
            durable(&node, connections, callers).await;
        }
    }
    let node = open(&server).await;
    // Folds of 200 profiles of 1 kB, one partition a caller.
    for callers in [1u16, 8] {
        let before = node.counted();
        let until = Instant::now() + TIME;
        let tasks: Vec<_> = (0..callers)
            .map(|c| {
                let state = node.state.clone();
                tokio::spawn(async move {
                    let partition = 300 + 10 * callers + c;
                    let mut at = 0;
                    while Instant::now() < until {
                        let mut commit = Commit::new(Durability::Replayable);
                        commit.advance = Some(Advance {
                            partition: PartitionId(partition),
                            from: Position(at),
                            to: Position(at + 200),
                        });
                        commit.writes = (0..200u64)
                            .map(|i| {
                                put(
                                    key(
                                        Table::Profile,
                                        partition,
                                        (i * 7 + at % 1_400).to_be_bytes(),
                                    ),
                                    [at as u8; 1_000],
                                )
                            })
                            .collect();
                        assert!(state.commit(vec![commit]).await.unwrap()[0].is_ok());
                        at += 200;
                    }
                    at
                })
            })
            .collect();
        let mut rows = 0;
        for t in tasks {
            rows += t.await.unwrap();
        }
        let sent = node.counted().statements - before.statements;
        eprintln!(
            "folds of 200 rows of 1 kB, {callers} partitions: {:7.0} rows/s, {:.4} statements a row",
            rows as f64 / TIME.as_secs_f64(),
            sent as f64 / rows as f64,
        );
    }
    let before = node.counted();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..64u64)
        .map(|c| {
            let state = node.state.clone();
            tokio::spawn(async move {
                for n in 0..200 {
                    let id = ((1 << 48) + (64 << 32) + (c + 64 * n) % 1_000).to_be_bytes();
                    let rows: Vec<_> = [Table::Contacts, Table::Decision, Table::DecisionKey]
                        .map(|t| key(t, ((c + 64 * n) % 256) as u16, id))
                        .into();
                    state.get(&rows).await.unwrap();
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    let gets = 64.0 * 200.0;
    let sent = node.counted().statements - before.statements;
    eprintln!(
        "reads of 3 rows, 64 callers: {:7.0} reads/s, {:.3} statements a read",
        gets / begun.elapsed().as_secs_f64(),
        sent as f64 / gets,
    );
}
