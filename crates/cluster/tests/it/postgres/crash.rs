//! Servers that are killed, stopped and cut off: what was acknowledged as durable is there, nothing is there twice, and a node goes on
//! by itself.

use super::{Server, open};
use luopan_cluster::postgres::Postgres;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::suite::budgets::change;
use luopan_store::suite::{key, put, writes};
use luopan_store::{Advance, Commit, Durability, Error, Table};
use parking_lot::Mutex;
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;

const PARTITIONS: u16 = 4;

/// What was acknowledged.
#[derive(Default)]
struct Said {
    /// Partition and name of a row, by a durable commit.
    holds: Vec<(u16, String)>,
    /// How far a partition was folded when a later durable commit was acknowledged.
    folded: [u64; PARTITIONS as usize],
}

/// Folds (replayable) and spends (durable) until it is told to stop, or until a call fails when `gives_up`.
async fn work(node: Postgres, partition: u16, round: u32, said: Arc<Mutex<Said>>, gives_up: bool) {
    let p = PartitionId(partition);
    for n in 0u32.. {
        if let Err(e) = step(&node, partition, p, &format!("{round} {n}"), &said).await {
            assert!(matches!(e, Error::Unavailable { .. }), "{e:?}");
            if gives_up {
                return;
            }
        }
    }
}

async fn step(
    node: &Postgres,
    partition: u16,
    p: PartitionId,
    hold: &str,
    said: &Mutex<Said>,
) -> Result<(), Error> {
    let at = node.state.positions(&[p]).await?[0];
    let to = Position(at.0 + 3);
    let fold = Commit {
        advance: Some(Advance {
            partition: p,
            from: at,
            to,
        }),
        writes: vec![
            put(
                key(Table::Profile, partition, "profile"),
                to.0.to_be_bytes(),
            ),
            put(key(Table::Timer, partition, "timer"), to.0.to_be_bytes()),
        ],
        ..Commit::new(Durability::Replayable)
    };
    let spend = Commit {
        budgets: vec![change("budget", 1_000_000, 16, partition, 1)],
        writes: vec![put(key(Table::Dirty, partition, hold), "")],
        ..Commit::new(Durability::Durable)
    };
    let folded = node.state.commit(vec![fold]).await?.remove(0).is_ok();
    assert!(node.state.commit(vec![spend]).await?[0].is_ok());
    let mut said = said.lock();
    said.holds.push((partition, hold.to_owned()));
    if folded {
        let far = &mut said.folded[usize::from(partition)];
        *far = to.0.max(*far);
    }
    Ok(())
}

async fn check(node: &Postgres, said: &Said) {
    let mut holds = 0;
    for p in 0..PARTITIONS {
        let id = PartitionId(p);
        let at = node.state.positions(&[id]).await.unwrap()[0];
        let far = said.folded[usize::from(p)];
        assert!(
            at.0 >= far,
            "partition {p} stands at {}, {far} was followed by a durable commit",
            at.0
        );
        let rows = [
            key(Table::Profile, p, "profile"),
            key(Table::Timer, p, "timer"),
        ];
        for row in node.state.get(&rows).await.unwrap() {
            // Position and rows of one commit are there together.
            let found = row.map_or(0, |v| u64::from_be_bytes(v[..].try_into().unwrap()));
            assert_eq!(found, at.0);
        }
        let found = node
            .state
            .scan(Table::Dirty, id, b"", None, usize::MAX)
            .await
            .unwrap();
        holds += found.len();
        let found: std::collections::BTreeSet<_> = found.into_iter().map(|r| r.key).collect();
        for (_, hold) in said.holds.iter().filter(|h| h.0 == p) {
            assert!(
                found.contains(hold.as_bytes()),
                "lost: partition {p}, {hold}"
            );
        }
    }
    // What was not acknowledged may have taken effect, but whole.
    let spent = node.state.spent(&["budget".into()]).await.unwrap()[0];
    assert_eq!(spent, holds as i64);
}

async fn until_said(said: &Mutex<Said>, wanted: usize) {
    let patience = async {
        while said.lock().holds.len() < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), patience)
        .await
        .expect("it hangs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_durable_survives_kill_9_of_the_server_under_load() {
    let Some(mut server) = Server::own().await else {
        return;
    };
    let nodes = [open(&server).await, open(&server).await];
    let said = Arc::new(Mutex::new(Said::default()));
    for round in 0..4 {
        let tasks: Vec<_> = (0..2 * PARTITIONS)
            .map(|t| {
                let node = nodes[usize::from(t % 2)].clone();
                let work = work(
                    node,
                    t / 2,
                    round * 2 + u32::from(t % 2),
                    Arc::clone(&said),
                    true,
                );
                tokio::spawn(work)
            })
            .collect();
        let wanted = said.lock().holds.len() + 60 + 37 * round as usize;
        until_said(&said, wanted).await;
        server.kill();
        for t in tasks {
            tokio::time::timeout(Duration::from_secs(60), t)
                .await
                .expect("it hangs")
                .unwrap();
        }
        let down = nodes[0].state.positions(&[PartitionId(0)]).await;
        assert!(matches!(down, Err(Error::Unavailable { .. })), "{down:?}");
        server.restart().await;
        // The nodes that lost their connections, and one that comes now.
        for node in &nodes {
            check(node, &said.lock_arc_clone()).await;
        }
        check(&open(&server).await, &said.lock_arc_clone()).await;
    }
}

/// A copy of what was said, so that no lock is held while the server is asked.
trait Copied {
    fn lock_arc_clone(&self) -> Said;
}

impl Copied for Arc<Mutex<Said>> {
    fn lock_arc_clone(&self) -> Said {
        let said = self.lock();
        Said {
            holds: said.holds.clone(),
            folded: said.folded,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_that_the_server_ends_are_made_again() {
    let Some(server) = Server::find().await else {
        return;
    };
    let node = open(&server).await;
    let said = Arc::new(Mutex::new(Said::default()));
    let tasks: Vec<_> = (0..PARTITIONS)
        .map(|p| tokio::spawn(work(node.clone(), p, 0, Arc::clone(&said), false)))
        .collect();
    let mut admin = PgConnection::connect(server.url()).await.unwrap();
    for round in 1..=10 {
        until_said(&said, 20 * round).await;
        let ended: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'luopan'",
        )
        .fetch_one(&mut admin)
        .await
        .unwrap();
        assert!(ended > 0);
    }
    let wanted = said.lock().holds.len() + 20;
    until_said(&said, wanted).await;
    for t in &tasks {
        t.abort();
    }
    for t in tasks {
        let _ = t.await;
    }
    // What was under way when its caller stopped is carried to its end.
    tokio::time::sleep(Duration::from_millis(500)).await;
    check(&node, &said.lock_arc_clone()).await;
    assert!(node.counted().retries > 0);
}

#[tokio::test]
async fn an_idle_node_does_not_notice_that_the_server_was_restarted() {
    let Some(mut server) = Server::own().await else {
        return;
    };
    let node = open(&server).await;
    let row = key(Table::Decision, 1, "d");
    let before = node
        .state
        .commit(vec![writes(vec![put(row.clone(), "x")])])
        .await;
    assert!(before.unwrap()[0].is_ok());
    node.control.stream("a").await.unwrap();
    node.keys.resolve(&[]).await.unwrap();
    server.kill();
    server.restart().await;
    let found = node.state.get(std::slice::from_ref(&row)).await.unwrap();
    assert_eq!(found[0].as_deref(), Some(&b"x"[..]));
    let after = node.state.commit(vec![writes(vec![put(row, "y")])]).await;
    assert!(after.unwrap()[0].is_ok());
    assert_eq!(node.control.streams().await.unwrap().len(), 1);
    node.keys.writable().await.unwrap();
}

/// Where the write-ahead log ends, and how far it is on disk, as numbers.
async fn log(admin: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8, (pg_current_wal_flush_lsn() - '0/0')::int8",
    )
    .fetch_one(admin)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_even_where_the_server_would_not() {
    let Some(server) = Server::own().await else {
        return;
    };
    for text in [
        "ALTER DATABASE postgres SET synchronous_commit = off",
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "SELECT pg_reload_conf()",
    ] {
        server.run(text.into()).await;
    }
    let node = open(&server).await;
    let mut admin = PgConnection::connect(server.url()).await.unwrap();
    let mut lagged = 0;
    for n in 0u8..20 {
        // Somebody else's transaction does not wait; else this test would show nothing.
        sqlx::query("SELECT txid_current(), pg_logical_emit_message(true, 'other', 'x')")
            .execute(&mut admin)
            .await
            .unwrap();
        let (begun, flushed) = log(&mut admin).await;
        lagged += u32::from(flushed < begun);
        let mut commit = writes(vec![put(key(Table::Profile, 1, [n]), "x")]);
        commit.durability = match n % 2 {
            0 => Durability::Durable,
            _ => Durability::Replayable,
        };
        assert!(node.state.commit(vec![commit]).await.unwrap()[0].is_ok());
        let (_, flushed) = log(&mut admin).await;
        assert!(
            flushed > begun,
            "{n}: on disk up to {flushed}, {begun} was there before it was acknowledged"
        );
    }
    assert!(lagged > 0);
}
