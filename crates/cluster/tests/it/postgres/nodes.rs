//! Two nodes on one database: exactly one wins what only one can have, nothing is ever over, and nobody waits for ever.

use super::{Server, open, options};
use bytes::Bytes;
use luopan_cluster::postgres::Postgres;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::suite::budgets::{change, check};
use luopan_store::suite::control::scene;
use luopan_store::suite::{identifier, key, put, writes};
use luopan_store::{Advance, Commit, Conflict, Durability, Expect, ForeignId, State, Table, Write};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

async fn two(server: &Server) -> [Postgres; 2] {
    [open(server).await, open(server).await]
}

async fn took(state: &Arc<dyn State>, commit: Commit) -> bool {
    state.commit(vec![commit]).await.unwrap().remove(0).is_ok()
}

/// Runs `attempts` commits at once, by turns on the two nodes; how many took effect.
async fn contend(
    nodes: &[Postgres; 2],
    attempts: usize,
    commit: impl Fn(usize) -> Commit,
) -> usize {
    let tasks: Vec<_> = (0..attempts)
        .map(|i| {
            let (state, commit) = (nodes[i % 2].state.clone(), commit(i));
            tokio::spawn(async move { took(&state, commit).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    winners
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_two_nodes_wins_a_row_a_position_and_the_last_of_a_budget() {
    let Some(server) = Server::find().await else {
        return;
    };
    let nodes = two(&server).await;
    for round in 0..20 {
        let row = key(Table::DecisionKey, 1, format!("k{round}"));
        let wins = contend(&nodes, 16, |i| Commit {
            expect: vec![Expect {
                key: row.clone(),
                value: None,
            }],
            ..writes(vec![put(row.clone(), i.to_string())])
        });
        assert_eq!(wins.await, 1, "row, round {round}");
        let wins = contend(&nodes, 16, |_| Commit {
            advance: Some(Advance {
                partition: PartitionId(7),
                from: Position(round),
                to: Position(round + 1),
            }),
            ..Commit::new(Durability::Replayable)
        });
        assert_eq!(wins.await, 1, "position, round {round}");
        let name = format!("b{round}");
        let wins = contend(&nodes, 16, |i| Commit {
            checks: vec![check(&name, 1, 1, true)],
            budgets: vec![change(&name, 1, 4, (i % 4) as u16, 1)],
            ..Commit::new(Durability::Durable)
        });
        assert_eq!(wins.await, 1, "budget, round {round}");
    }
    let at = nodes[0].state.positions(&[PartitionId(7)]).await.unwrap();
    assert_eq!(at, [Position(20)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_committed_the_other_reads_and_expects() {
    let Some(server) = Server::find().await else {
        return;
    };
    let [a, b] = two(&server).await;
    let row = key(Table::Contacts, 3, "c");
    for n in 0u32..50 {
        let (writer, reader) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let commit = Commit {
            expect: vec![Expect {
                key: row.clone(),
                value: (n > 0).then(|| Bytes::copy_from_slice(&(n - 1).to_be_bytes())),
            }],
            budgets: vec![change("sends", 1_000, 8, (n % 8) as u16, 2)],
            ..writes(vec![put(row.clone(), n.to_be_bytes())])
        };
        assert!(took(&writer.state, commit).await);
        let found = reader.state.get(std::slice::from_ref(&row)).await.unwrap();
        assert_eq!(found[0].as_deref(), Some(&n.to_be_bytes()[..]));
        let spent = reader.state.spent(&["sends".into()]).await.unwrap();
        assert_eq!(spent, [2 * i64::from(n + 1)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_is_never_over_with_two_nodes() {
    let Some(server) = Server::find().await else {
        return;
    };
    let nodes = two(&server).await;
    const LIMIT: i64 = 300;
    let tasks: Vec<_> = (0..32u16)
        .map(|t| {
            let state = nodes[usize::from(t % 2)].state.clone();
            tokio::spawn(async move {
                let mut net = 0;
                for i in 0..25i64 {
                    let back = i % 5 == 4 && net >= 3;
                    let amount = if back { -3 } else { 1 + i % 4 };
                    let commit = Commit {
                        budgets: vec![change("b", LIMIT, 16, t % 16, amount)],
                        ..Commit::new(Durability::Durable)
                    };
                    if took(&state, commit).await {
                        net += amount;
                    }
                    let now = state.spent(&["b".into()]).await.unwrap()[0];
                    assert!((0..=LIMIT).contains(&now), "{now} of {LIMIT} spent");
                }
                net
            })
        })
        .collect();
    let mut net = 0;
    for t in tasks {
        net += t.await.unwrap();
    }
    for node in &nodes {
        assert_eq!(node.state.spent(&["b".into()]).await.unwrap(), [net]);
    }
}

/// Numbers that differ from call to call.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

/// A commit that reads, writes, deletes, moves and spends over some of few partitions, in no order.
fn tangled(seed: &mut u64) -> Commit {
    let durable = draw(seed, 2) == 0;
    let mut commit = Commit::new(if durable {
        Durability::Durable
    } else {
        Durability::Replayable
    });
    for _ in 0..12 {
        let tables = [Table::Profile, Table::Timer, Table::Outbox];
        let table = tables[draw(seed, 3) as usize];
        let row = key(table, draw(seed, 6) as u16, [draw(seed, 5) as u8]);
        let value = (draw(seed, 3) > 0).then(|| Bytes::from(vec![draw(seed, 9) as u8; 40]));
        commit.writes.push(Write { key: row, value });
    }
    let row = key(Table::Profile, draw(seed, 6) as u16, [draw(seed, 5) as u8]);
    commit.expect.push(Expect {
        key: row,
        value: None,
    });
    for _ in 0..2 {
        let name = format!("b{}", draw(seed, 4));
        commit
            .budgets
            .push(change(&name, 1_000_000, 4, draw(seed, 4) as u16, 1));
    }
    commit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_over_the_same_partitions_never_wait_in_a_circle() {
    let Some(server) = Server::find().await else {
        return;
    };
    let nodes = two(&server).await;
    let tasks: Vec<_> = (0..8u64)
        .map(|t| {
            let state = nodes[(t % 2) as usize].state.clone();
            tokio::spawn(async move {
                let mut seed = t;
                let (mut won, mut lost) = (0, 0);
                for _ in 0..60 {
                    let commits = vec![tangled(&mut seed), tangled(&mut seed)];
                    for out in state.commit(commits).await.unwrap() {
                        match out {
                            Ok(_) => won += 1,
                            Err(Conflict::Changed { .. }) => lost += 1,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
                (won, lost)
            })
        })
        .collect();
    let all = async {
        let mut sums = (0, 0);
        for t in tasks {
            let (won, lost) = t.await.unwrap();
            sums = (sums.0 + won, sums.1 + lost);
        }
        sums
    };
    let (won, lost) = tokio::time::timeout(PATIENCE, all).await.expect("it hangs");
    assert_eq!(won + lost, 8 * 60 * 2);
    assert!(won > 0 && lost > 0, "{won} {lost}");
    // Every commit that took effect spent 2, and no transaction had to be tried again.
    let spent: i64 = nodes[0]
        .state
        .budgets()
        .await
        .unwrap()
        .iter()
        .map(|b| b.1)
        .sum();
    assert_eq!(spent, 2 * won);
    assert_eq!(nodes.iter().map(|n| n.counted().retries).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ids_streams_and_versions_are_given_once_by_two_nodes() {
    let Some(server) = Server::find().await else {
        return;
    };
    let nodes = two(&server).await;
    let all: Vec<ForeignId> = (0..200)
        .map(|i| ForeignId {
            tenant: luopan_kernel::id::DEFAULT_TENANT,
            text: format!("\0客户{i}"),
        })
        .collect();
    let tasks: Vec<_> = (0..8u64)
        .map(|t| {
            let node = nodes[(t % 2) as usize].clone();
            let mut mine = all.clone();
            mine.rotate_left(t as usize * 23);
            tokio::spawn(async move {
                let fresh: Vec<_> = (1_000 * t..).take(mine.len()).map(identifier).collect();
                let ids = node.keys.resolve_or_create(&mine, &fresh).await.unwrap();
                let stream = node.control.stream(&format!("s{}", t % 3)).await.unwrap();
                let version = node
                    .control
                    .record_scene(scene("fund", t as u8))
                    .await
                    .unwrap();
                let mut ids: Vec<_> = mine.into_iter().zip(ids).collect();
                ids.sort_by(|a, b| a.0.cmp(&b.0));
                (ids, stream, version.version)
            })
        })
        .collect();
    let mut answers = Vec::new();
    for t in tasks {
        answers.push(t.await.unwrap());
    }
    for i in 0..all.len() {
        let made = answers.iter().filter(|a| a.0[i].1.created).count();
        assert_eq!(made, 1, "{:?}", answers[0].0[i].0);
        assert!(answers.iter().all(|a| a.0[i].1.id == answers[0].0[i].1.id));
    }
    let streams: BTreeSet<_> = answers.iter().map(|a| a.1).collect();
    assert_eq!(streams.len(), 3);
    assert_eq!(nodes[1].control.streams().await.unwrap().len(), 3);
    let versions: BTreeSet<_> = answers.iter().map(|a| a.2).collect();
    assert_eq!(versions, (1..=8).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_open_an_empty_database_at_once_agree_on_the_installation() {
    let Some(server) = Server::find().await else {
        return;
    };
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let options = options(&server);
            tokio::spawn(async move { Postgres::connect(options).await.unwrap() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for t in tasks {
        ids.insert(t.await.unwrap().installation().to_owned());
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
}
