//! Random sequences of commits on a backend and on the memory backend give the same answers and the same State.

use super::{key, put};
use crate::Stores;
use crate::state::{
    Advance, BudgetChange, BudgetCheck, Commit, Durability, Expect, RowKey, Table, Write,
};
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use proptest::prelude::*;

const PARTITIONS: u16 = 3;
const HEAD: u64 = 64;
const TABLES: [Table; 3] = [Table::Profile, Table::Decision, Table::Timer];
const BUDGETS: [&str; 2] = ["a", "b/2026-11-22"];

fn row() -> impl Strategy<Value = RowKey> {
    (
        0..TABLES.len(),
        0..PARTITIONS,
        prop::collection::vec(0u8..3, 0..3),
    )
        .prop_map(|(t, p, k)| key(TABLES[t], p, k))
}

fn value() -> impl Strategy<Value = Option<Bytes>> {
    prop::option::weighted(0.8, (0u8..4).prop_map(|v| Bytes::from(vec![v; 3])))
}

fn write() -> impl Strategy<Value = Write> {
    (row(), value()).prop_map(|(key, value)| match value {
        Some(v) => put(key, v),
        None => Write { key, value: None },
    })
}

fn commit() -> impl Strategy<Value = Commit> {
    let advance = prop::option::of((0..PARTITIONS, 0u64..4, 0u64..3)).prop_map(|a| {
        a.map(|(p, from, by)| Advance {
            partition: PartitionId(p),
            from: Position(from),
            to: Position(from + by),
        })
    });
    let expect = (row(), value()).prop_map(|(key, value)| Expect { key, value });
    let check = (0..BUDGETS.len(), 0i64..20, 0i64..20, any::<bool>()).prop_map(
        |(b, limit, amount, available)| BudgetCheck {
            budget: BUDGETS[b].into(),
            limit,
            amount,
            available,
        },
    );
    let budget = (0..BUDGETS.len(), 0i64..20, 1u16..5, 0u16..5, -6i64..9).prop_map(
        |(b, limit, rows, home, amount)| BudgetChange {
            budget: BUDGETS[b].into(),
            limit,
            rows,
            home: home % rows,
            amount,
        },
    );
    (
        advance,
        prop::collection::vec(expect, 0..2),
        prop::collection::vec(check, 0..2),
        prop::collection::vec(budget, 0..3),
        prop::collection::vec(write(), 0..5),
        any::<bool>(),
    )
        .prop_map(
            |(advance, expect, checks, budgets, writes, durable)| Commit {
                advance,
                expect,
                checks,
                budgets,
                writes,
                durability: if durable {
                    Durability::Durable
                } else {
                    Durability::Replayable
                },
            },
        )
}

/// Batches of commits over few rows, partitions and budgets, so that they meet.
pub fn batches() -> impl Strategy<Value = Vec<Vec<Commit>>> {
    prop::collection::vec(prop::collection::vec(commit(), 0..5), 1..30)
}

/// Everything that can be read from State of what [`batches`] touches, as text.
pub async fn dump(stores: &Stores) -> String {
    let state = &stores.state;
    let mut out = String::new();
    for t in TABLES {
        for p in (0..PARTITIONS).map(PartitionId) {
            let rows = state.scan(t, p, b"", None, usize::MAX).await.unwrap();
            out.push_str(&format!("{t:?} {p:?} {rows:?}\n"));
        }
    }
    let all: Vec<_> = (0..PARTITIONS).map(PartitionId).collect();
    out.push_str(&format!("{:?}\n", state.positions(&all).await.unwrap()));
    out.push_str(&format!("{:?}\n", state.budgets().await.unwrap()));
    out
}

/// Runs `batches` on both; panics where answers or State differ. Both must be empty.
pub async fn agree(subject: &Stores, batches: &[Vec<Commit>]) {
    let oracle = crate::memory::stores();
    for stores in [subject, &oracle] {
        let fill = (0..PARTITIONS).map(|p| crate::log::Append {
            partition: PartitionId(p),
            count: HEAD as u32,
            message: Bytes::from_static(b"m"),
        });
        stores.log.append(fill.collect()).await.unwrap();
    }
    for batch in batches {
        let found = subject.state.commit(batch.clone()).await.unwrap();
        let wanted = oracle.state.commit(batch.clone()).await.unwrap();
        assert_eq!(found, wanted);
    }
    assert_eq!(dump(subject).await, dump(&oracle).await);
}
