//! What a copy of everything must be: whole, the same in any backend, and of one moment while others write.

use super::{Subject, identifier, key, put};
use crate::control::{ApiKey, AuditRecord, NewScene};
use crate::copy::{Filler, Part, Record, Sink, copy, held};
use crate::error::Result;
use crate::keys::ForeignId;
use crate::log::Append;
use crate::state::{Advance, BudgetChange, Commit, Durability, Table, Write};
use crate::{Stores, memory};
use async_trait::async_trait;
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position, TenantId};
use luopan_kernel::time::Micros;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
struct Gathered(Vec<Record>);

#[async_trait]
impl Sink for Gathered {
    async fn put(&mut self, records: Vec<Record>) -> Result<()> {
        let parts: BTreeSet<Part> = records.iter().map(Record::part).collect();
        assert!(parts.len() <= 1, "records of one part: {parts:?}");
        let last = self.0.last().map(Record::part);
        assert!(
            last <= parts.first().copied().or(last),
            "parts in their order"
        );
        self.0.extend(records);
        Ok(())
    }
}

async fn gathered(stores: &Stores) -> Vec<Record> {
    let mut out = Gathered::default();
    copy(stores, &mut out).await.unwrap();
    out.0
}

fn budget(name: &str, rows: u16, home: u16, amount: i64) -> BudgetChange {
    BudgetChange {
        budget: name.into(),
        limit: 1_000,
        rows,
        home,
        amount,
    }
}

/// Something of everything.
async fn fill(stores: &Stores) {
    let append = |partition: u16, count: u32, size: usize| Append {
        partition: PartitionId(partition),
        count,
        message: Bytes::from(vec![partition as u8; size]),
    };
    for batch in [
        vec![append(0, 3, 10), append(256, 1, 0), append(0, 1, 70_000)],
        vec![append(300, 9, 5), append(0, 2, 1)],
    ] {
        stores.log.append(batch).await.unwrap();
    }
    // One partition lost its first messages, one all of them.
    let gone = [
        (PartitionId(0), Position(4)),
        (PartitionId(300), Position(9)),
    ];
    stores.log.truncate(&gone).await.unwrap();
    let mut writes = Vec::new();
    for table in Table::ALL {
        for partition in [0, 7, 256, u16::MAX] {
            for name in [&b""[..], b"a", b"\xff\xff", &[9; 300]] {
                let value = [&[table as u8], name].concat();
                writes.push(put(key(table, partition, name), value));
            }
        }
    }
    // More than is read at once.
    let wide = (0..6_000u32).map(|i| put(key(Table::Profile, 9, i.to_be_bytes()), [1; 1_000]));
    writes.extend(wide);
    let advance = |partition: u16, to| Commit {
        advance: Some(Advance {
            partition: PartitionId(partition),
            from: Position(0),
            to: Position(to),
        }),
        ..Commit::new(Durability::Replayable)
    };
    let spend = Commit {
        writes,
        budgets: vec![
            budget("3/emails/2026-11-22", 4, 2, 300),
            budget("given back", 2, 1, 7),
            budget("given back", 2, 1, -7),
            budget("wide", 256, 255, 3),
        ],
        ..Commit::new(Durability::Durable)
    };
    for outcome in (stores.state)
        .commit(vec![advance(0, 4), advance(256, 1), spend])
        .await
        .unwrap()
    {
        outcome.unwrap();
    }
    let control = &stores.control;
    for (name, n) in [("shop", 1), ("fund", 2), ("shop", 3)] {
        let applied = control.record_scene(NewScene {
            name: name.into(),
            hash: [n; 32],
            plan: Bytes::from(vec![n; 50]),
            files: vec![("scene.yaml".into(), Bytes::from(vec![n; 3]))],
            at: Micros(n.into()),
            by: "cli".into(),
        });
        let applied = applied.await.unwrap();
        if n != 2 {
            let told = control.mark_announced(applied.scene, applied.version);
            told.await.unwrap();
        }
    }
    let artifacts = vec![
        ([2; 32], Bytes::from_static(b"two")),
        ([1; 32], Bytes::new()),
    ];
    control.put_artifacts(artifacts).await.unwrap();
    for (n, version) in [(1, None), (2, None), (3, Some(1))] {
        let line = super::control::registered("churn", version, n);
        control.register(line).await.unwrap();
    }
    for name in ["shop/b", "shop/a"] {
        control.stream(name).await.unwrap();
    }
    for name in ["ops", "app"] {
        let key = ApiKey {
            name: name.into(),
            hash: [name.len() as u8; 32],
            at: Micros(5),
        };
        control.put_api_key(key).await.unwrap();
    }
    for n in 0..3 {
        let line = AuditRecord {
            at: Micros(7 - n),
            by: "ops".into(),
            action: "key.create".into(),
            detail: format!("{{\"n\":{n}}}"),
        };
        control.audit(line).await.unwrap();
    }
    let foreign: Vec<_> = (0..25_000u32)
        .map(|i| ForeignId {
            tenant: TenantId(i % 2 + 1),
            text: format!("138-{i}"),
        })
        .collect();
    let fresh: Vec<_> = (0..25_000).map(identifier).collect();
    stores
        .keys
        .resolve_or_create(&foreign, &fresh)
        .await
        .unwrap();
    let gone = [identifier(4), identifier(90_000)];
    stores.keys.erase(TenantId(1), &gone).await.unwrap();
}

/// Everything comes over from memory into the backend, and from there it is read as the same; nothing is put on top of it.
pub async fn everything_comes_over(s: &dyn Subject) {
    let source = memory::stores();
    fill(&source).await;
    let wanted = gathered(&source).await;
    for part in Part::ALL {
        assert!(wanted.iter().any(|r| r.part() == part), "{part:?}");
    }
    let target = s.open().await;
    assert_eq!(held(&target).await.unwrap(), None);
    let mut filler = Filler::new(target.clone());
    copy(&source, &mut filler).await.unwrap();
    filler.finish().await.unwrap();
    assert!(held(&target).await.unwrap().is_some());
    let found = gathered(&target).await;
    assert_eq!(found.len(), wanted.len());
    for (f, w) in found.iter().zip(&wanted) {
        assert_eq!(f, w);
    }
    let again = copy(&source, &mut Filler::new(target)).await;
    assert!(again.is_err(), "nothing is put on top of what is there");
}

/// While tasks commit, append what they committed, and then delete the row that asked for the append, as a relay does: a moment
/// has every commit whole, no message of a commit that it lacks, and every message whose row is gone.
pub async fn a_moment_is_one_moment(s: &dyn Subject) {
    let stores = s.open().await;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..6u16)
        .map(|t| {
            let (stores, stop) = (stores.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n = 0u32;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    step(&stores, t, n).await;
                }
                n
            })
        })
        .collect();
    let mut seen = 0;
    for _ in 0..8 {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        seen = seen.max(look(&stores).await);
    }
    stop.store(true, Ordering::Relaxed);
    let mut made = 0;
    for task in tasks {
        made += task.await.unwrap();
    }
    assert!(seen > 0, "a moment saw something");
    assert_eq!(look(&stores).await, u64::from(made));
}

fn name(t: u16, n: u32) -> Vec<u8> {
    [&t.to_be_bytes()[..], &n.to_be_bytes()].concat()
}

async fn step(stores: &Stores, t: u16, n: u32) {
    let name = name(t, n);
    let decide = Commit {
        writes: vec![
            put(key(Table::Decision, t, &name), b"d"),
            put(key(Table::Outbox, 100 + t, &name), b"o"),
        ],
        budgets: vec![BudgetChange {
            limit: i64::MAX,
            ..budget("all", 8, t, 1)
        }],
        ..Commit::new(Durability::Durable)
    };
    let outcome = stores.state.commit(vec![decide]).await.unwrap();
    assert!(outcome[0].is_ok(), "{outcome:?}");
    let append = Append {
        partition: PartitionId(t % 3),
        count: 1,
        message: name.clone().into(),
    };
    stores.log.append(vec![append]).await.unwrap();
    let relayed = Commit {
        writes: vec![Write {
            key: key(Table::Outbox, 100 + t, &name),
            value: None,
        }],
        ..Commit::new(Durability::Replayable)
    };
    stores.state.commit(vec![relayed]).await.unwrap();
}

/// Looks at a moment and gives how many commits it has.
async fn look(stores: &Stores) -> u64 {
    let moment = stores.state.moment(stores.log.as_ref()).await.unwrap();
    let mut rows = Vec::new();
    for table in [Table::Decision, Table::Outbox] {
        let mut from = (PartitionId(0), Bytes::new());
        let mut all = BTreeSet::new();
        loop {
            let found = moment.rows(table, &from, 500).await.unwrap();
            let Some(last) = found.last() else { break };
            let after = [&last.key.key[..], &[0]].concat();
            from = (last.key.partition, after.into());
            all.extend(found.into_iter().map(|r| r.key.key));
        }
        rows.push(all);
    }
    let (decisions, open) = (&rows[0], &rows[1]);
    let mut told = BTreeSet::new();
    for (partition, head) in moment.heads() {
        let mut next = Position(0);
        while next < *head {
            let found = stores.log.read(*partition, next, 1 << 20).await.unwrap();
            for message in found.iter().take_while(|m| m.end() <= *head) {
                next = message.end();
                told.insert(message.message.clone());
            }
        }
    }
    let unmade: Vec<_> = told.difference(decisions).collect();
    assert!(unmade.is_empty(), "messages of no commit: {unmade:?}");
    let lost: Vec<_> = (decisions.difference(open))
        .filter(|name| !told.contains(*name))
        .collect();
    assert!(lost.is_empty(), "relayed, and not in the log: {lost:?}");
    let spent: i64 = (moment.budgets().await.unwrap().iter())
        .map(|s| s.spent)
        .sum();
    assert_eq!(spent, decisions.len() as i64);
    decisions.len() as u64
}
