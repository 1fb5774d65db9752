//! A process that writes is killed at a random moment, five times over one folder: all it was told is still there.
//!
//! `kill -9` alone loses nothing that reached the system; power loss is tried under a shim elsewhere.

use crate::options;
use bytes::Bytes;
use luopan_embedded::Embedded;
use luopan_kernel::id::{PartitionId, Position};
use luopan_store::suite::budgets::change;
use luopan_store::suite::{key, put};
use luopan_store::{Advance, Append, Commit, Durability, Stores, Table};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const FOLDER: &str = "LUOPAN_EMBEDDED_KILL_FOLDER";
const PARTITIONS: u16 = 4;
const ROUNDS: u64 = 5;

fn say(line: String) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n{line}");
    let _ = out.flush();
}

fn message(partition: u16, first: u64) -> Bytes {
    let text = format!("{partition} {first} ");
    Bytes::from(text.repeat(20 + (first % 300) as usize))
}

/// Appends, folds (replayable) and spends (durable) until killed, saying what was acknowledged.
async fn work(stores: Stores, partition: u16, round: u64) {
    let p = PartitionId(partition);
    let mut n = 0;
    loop {
        let head = stores.log.heads(&[p]).await.unwrap()[0];
        let append = Append {
            partition: p,
            count: 1,
            message: message(partition, head.0),
        };
        let out = stores.log.append(vec![append]).await.unwrap();
        say(format!("appended {partition} {}", out[0].first.0));
        let at = stores.state.positions(&[p]).await.unwrap()[0];
        let fold = Commit {
            advance: Some(Advance {
                partition: p,
                from: at,
                to: out[0].end,
            }),
            writes: vec![
                put(
                    key(Table::Profile, partition, "profile"),
                    out[0].end.0.to_be_bytes(),
                ),
                put(
                    key(Table::Timer, partition, "timer"),
                    out[0].end.0.to_be_bytes(),
                ),
            ],
            ..Commit::new(Durability::Replayable)
        };
        let hold = format!("{round} {n}");
        let spend = Commit {
            budgets: vec![change("budget", 1_000_000, 16, partition, 1)],
            writes: vec![put(key(Table::Dirty, partition, &hold), "")],
            ..Commit::new(Durability::Durable)
        };
        assert!(stores.state.commit(vec![fold]).await.unwrap()[0].is_ok());
        if n % 3 == 0 {
            assert!(stores.state.commit(vec![spend]).await.unwrap()[0].is_ok());
            say(format!("spent {partition} {hold}"));
        }
        n += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run as a process of its own by the test below"]
async fn child() {
    let folder = std::env::var(FOLDER).unwrap();
    let (folder, round) = folder.rsplit_once('#').unwrap();
    let stores = Embedded::open(folder, options()).await.unwrap().stores();
    let tasks: Vec<_> = (0..PARTITIONS)
        .map(|p| tokio::spawn(work(stores.clone(), p, round.parse().unwrap())))
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
}

#[tokio::test]
async fn acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, format!("{}#{round}", folder.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after some hundred lines, at another point of its work each time.
        let wanted = 150 + 37 * round as usize;
        let mut found = 0;
        for line in lines {
            let line = line.unwrap();
            if line.starts_with("appended ") || line.starts_with("spent ") {
                said.push(line);
                found += 1;
                if found == wanted {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(
            found >= wanted,
            "the child ended by itself after {found} lines"
        );
        let stores = Embedded::open(folder.path(), options())
            .await
            .unwrap()
            .stores();
        check(&stores, &said).await;
        drop(stores);
        // SQLite closes behind the drop.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn check(stores: &Stores, said: &[String]) {
    let mut holds = 0;
    for p in 0..PARTITIONS {
        let id = PartitionId(p);
        let read = stores.log.read(id, Position(0), usize::MAX).await.unwrap();
        for (i, m) in read.iter().enumerate() {
            assert_eq!((m.first.0, m.count), (i as u64, 1));
            assert_eq!(m.message, message(p, m.first.0));
        }
        let at = stores.state.positions(&[id]).await.unwrap()[0];
        assert!(at.0 <= read.len() as u64);
        let rows = [
            key(Table::Profile, p, "profile"),
            key(Table::Timer, p, "timer"),
        ];
        for row in stores.state.get(&rows).await.unwrap() {
            // Position and rows of one commit are there together.
            assert_eq!(
                row.map_or(0, |v| u64::from_be_bytes(v[..].try_into().unwrap())),
                at.0
            );
        }
        let found = stores.state.scan(Table::Dirty, id, b"", None, usize::MAX);
        holds += found.await.unwrap().len();
    }
    let heads: Vec<_> = (0..PARTITIONS).map(PartitionId).collect();
    let heads = stores.log.heads(&heads).await.unwrap();
    for line in said {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let p: u16 = words[1].parse().unwrap();
        if words[0] == "appended" {
            let first: u64 = words[2].parse().unwrap();
            assert!(first < heads[usize::from(p)].0, "lost: {line}");
        } else {
            let row = key(Table::Dirty, p, words[2]);
            let found = stores.state.get(&[row]).await.unwrap();
            assert!(found[0].is_some(), "lost: {line}");
        }
    }
    let spent = stores.state.spent(&["budget".into()]).await.unwrap()[0];
    assert_eq!(spent, holds as i64);
}
