//! What a [`State`] must do, budgets apart.

use super::{Subject, key, put, writes};
use crate::error::Error;
use crate::state::{
    Advance, Commit, Conflict, Durability, Expect, KEY_BYTES_MAX, RowKey, State, Table,
    VALUE_BYTES_MAX, Write,
};
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position};
use std::sync::Arc;

async fn one(state: &Arc<dyn State>, commit: Commit) -> Result<(), Conflict> {
    let mut out = state.commit(vec![commit]).await.unwrap();
    assert_eq!(out.len(), 1);
    out.remove(0).map(|_| ())
}

/// State beside a log of 20 entries in partition 1: a backend may refuse a fold beyond the log's end.
async fn with_log(s: &dyn Subject) -> Arc<dyn State> {
    let stores = s.open().await;
    let append = crate::log::Append {
        partition: PartitionId(1),
        count: 20,
        message: Bytes::from_static(b"m"),
    };
    stores.log.append(vec![append]).await.unwrap();
    stores.state
}

async fn get(state: &Arc<dyn State>, key: &RowKey) -> Option<String> {
    let out = state.get(std::slice::from_ref(key)).await.unwrap();
    out[0]
        .as_ref()
        .map(|v| String::from_utf8(v.to_vec()).unwrap())
}

async fn scan(
    state: &Arc<dyn State>,
    table: Table,
    partition: u16,
    from: &[u8],
    to: Option<&[u8]>,
    limit: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    state
        .scan(table, PartitionId(partition), from, to, limit)
        .await
        .unwrap()
        .into_iter()
        .map(|r| (r.key.to_vec(), r.value.to_vec()))
        .collect()
}

fn advance(partition: u16, from: u64, to: u64) -> Commit {
    Commit {
        advance: Some(Advance {
            partition: PartitionId(partition),
            from: Position(from),
            to: Position(to),
        }),
        ..Commit::new(Durability::Replayable)
    }
}

/// Scans give rows in order of key, from inclusive, to exclusive, at most `limit`, of one table and partition only.
pub async fn rows_are_ordered_and_bounded(s: &dyn Subject) {
    let state = s.open().await.state;
    let t = Table::Timer;
    let keys: [&[u8]; 7] = [b"", b"\0", b"a", b"a\0", b"ab", b"b", b"\xff\xff"];
    let mut all: Vec<Write> = keys.iter().map(|k| put(key(t, 7, k), k)).collect();
    all.reverse();
    all.push(put(key(t, 6, b"\xff"), "below"));
    all.push(put(key(t, 8, b""), "above"));
    all.push(put(key(Table::Dedup, 7, b"a"), "another table"));
    one(&state, writes(all)).await.unwrap();
    let found = |rows: Vec<(Vec<u8>, Vec<u8>)>| -> Vec<Vec<u8>> {
        rows.into_iter()
            .map(|(k, v)| {
                assert_eq!(k, v);
                k
            })
            .collect()
    };
    assert_eq!(found(scan(&state, t, 7, b"", None, 100).await), keys);
    assert_eq!(found(scan(&state, t, 7, b"", None, 3).await), keys[..3]);
    assert_eq!(found(scan(&state, t, 7, b"a", None, 100).await), keys[2..]);
    let some = scan(&state, t, 7, b"a", Some(b"b"), 100).await;
    assert_eq!(found(some), keys[2..5]);
    for (from, to) in [("b", "b"), ("c", "a"), ("", "")] {
        let none = scan(&state, t, 7, from.as_bytes(), Some(to.as_bytes()), 9).await;
        assert!(none.is_empty(), "{from} to {to}");
    }
    assert!(scan(&state, t, 7, b"", None, 0).await.is_empty());
    for (partition, most, count) in [(7, 100, 7), (7, 7, 7), (7, 3, 3), (7, 0, 0), (9, 9, 0)] {
        let counted = state.count(t, PartitionId(partition), most).await.unwrap();
        assert_eq!(counted, count, "partition {partition}, at most {most}");
    }
    assert!(state.queues().iter().all(|q| q.waiting <= q.limit));
    assert!(scan(&state, t, 9, b"", None, 9).await.is_empty());
    let delete = Write {
        key: key(t, 7, b"a"),
        value: None,
    };
    one(&state, writes(vec![delete])).await.unwrap();
    let left = found(scan(&state, t, 7, b"", None, 100).await);
    assert_eq!(left.len(), 6);
    assert!(!left.contains(&b"a".to_vec()));
}

/// A fold commit from another position than State's is refused with the position found.
pub async fn position_conflicts(s: &dyn Subject) {
    let state = with_log(s).await;
    let asked = [PartitionId(1), PartitionId(2)];
    one(&state, advance(1, 0, 10)).await.unwrap();
    for from in [0, 9, 11] {
        let refused = one(&state, advance(1, from, 20)).await.unwrap_err();
        let wanted = Conflict::Position {
            partition: PartitionId(1),
            expected: Position(from),
            found: Position(10),
        };
        assert_eq!(refused, wanted);
    }
    one(&state, advance(1, 10, 10)).await.unwrap();
    one(&state, advance(1, 10, 12)).await.unwrap();
    let found = state.positions(&asked).await.unwrap();
    assert_eq!(found, [Position(12), Position(0)]);
    let back = state.commit(vec![advance(1, 12, 11)]).await;
    assert!(matches!(back, Err(Error::Invalid(_))));
}

/// Expected rows: present as read, absent as read, changed, gone, come.
pub async fn expected_rows(s: &dyn Subject) {
    let state = s.open().await.state;
    let row = key(Table::Contacts, 1, "c");
    let expect = |value: Option<&'static str>, to: &str| Commit {
        expect: vec![Expect {
            key: row.clone(),
            value: value.map(Bytes::from),
        }],
        ..writes(vec![put(row.clone(), to)])
    };
    let changed = Err(Conflict::Changed { key: row.clone() });
    assert_eq!(one(&state, expect(Some("x"), "1")).await, changed);
    assert_eq!(one(&state, expect(None, "1")).await, Ok(()));
    assert_eq!(one(&state, expect(None, "2")).await, changed);
    assert_eq!(one(&state, expect(Some("0"), "2")).await, changed);
    assert_eq!(one(&state, expect(Some("1"), "2")).await, Ok(()));
    assert_eq!(get(&state, &row).await.as_deref(), Some("2"));
    // Empty is present.
    assert_eq!(one(&state, expect(Some("2"), "")).await, Ok(()));
    assert_eq!(one(&state, expect(None, "3")).await, changed);
    assert_eq!(one(&state, expect(Some(""), "3")).await, Ok(()));
}

/// Of two writes of one row in one commit the later wins, deletes included.
pub async fn later_write_wins(s: &dyn Subject) {
    let state = s.open().await.state;
    let (a, b) = (key(Table::Item, 1, "a"), key(Table::Item, 1, "b"));
    let delete = |key: &RowKey| Write {
        key: key.clone(),
        value: None,
    };
    let all = vec![
        put(a.clone(), "1"),
        put(a.clone(), "2"),
        delete(&b),
        put(b.clone(), "3"),
    ];
    one(&state, writes(all)).await.unwrap();
    assert_eq!(get(&state, &a).await.as_deref(), Some("2"));
    assert_eq!(get(&state, &b).await.as_deref(), Some("3"));
    let all = vec![put(a.clone(), "4"), delete(&a), delete(&b)];
    one(&state, writes(all)).await.unwrap();
    assert_eq!(get(&state, &a).await, None);
    assert_eq!(get(&state, &b).await, None);
    assert!(scan(&state, Table::Item, 1, b"", None, 9).await.is_empty());
}

/// Whatever stands against a commit, nothing of it stays: no row, no position, no spend.
pub async fn a_conflict_leaves_nothing(s: &dyn Subject) {
    let state = with_log(s).await;
    let row = key(Table::Dirty, 1, "h");
    let whole = || Commit {
        advance: advance(1, 0, 5).advance,
        budgets: vec![super::budgets::change("b", 10, 2, 0, 4)],
        writes: vec![put(row.clone(), "x")],
        ..Commit::new(Durability::Durable)
    };
    let mut position = whole();
    position.advance = advance(1, 3, 5).advance;
    let mut expect = whole();
    expect.expect = vec![Expect {
        key: row.clone(),
        value: Some(Bytes::new()),
    }];
    let mut check = whole();
    check.checks = vec![super::budgets::check("b", 10, 11, true)];
    let mut budget = whole();
    budget
        .budgets
        .push(super::budgets::change("b", 10, 2, 0, 7));
    for commit in [position, expect, check, budget] {
        assert!(one(&state, commit).await.is_err());
        assert_eq!(get(&state, &row).await, None);
        assert_eq!(state.positions(&[PartitionId(1)]).await.unwrap()[0].0, 0);
        assert_eq!(state.spent(&["b".into()]).await.unwrap(), [0]);
        assert!(state.budgets().await.unwrap().is_empty());
    }
}

/// One conflicting commit of a batch does not stop those behind it.
pub async fn a_conflict_does_not_stop_the_others(s: &dyn Subject) {
    let state = s.open().await.state;
    let row = |n: &str| key(Table::Dirty, 1, n);
    let bad = Commit {
        expect: vec![Expect {
            key: row("missing"),
            value: Some(Bytes::new()),
        }],
        ..writes(vec![put(row("2"), "")])
    };
    let batch = vec![
        writes(vec![put(row("1"), "")]),
        bad,
        writes(vec![put(row("3"), "")]),
    ];
    let out = state.commit(batch).await.unwrap();
    let took: Vec<bool> = out.iter().map(Result::is_ok).collect();
    assert_eq!(took, [true, false, true]);
    let rows = scan(&state, Table::Dirty, 1, b"", None, 9).await;
    assert_eq!(rows.len(), 2);
    assert!(state.commit(Vec::new()).await.unwrap().is_empty());
}

/// Commits of one batch run in order, each on what those before it wrote.
pub async fn commits_see_those_before_them(s: &dyn Subject) {
    let state = with_log(s).await;
    let row = key(Table::Identity, 1, "i");
    let step = |n: u64| Commit {
        advance: advance(1, n, n + 1).advance,
        expect: vec![Expect {
            key: row.clone(),
            value: (n > 0).then(|| Bytes::from(n.to_string())),
        }],
        budgets: vec![super::budgets::change("b", 3, 3, 0, 1)],
        ..writes(vec![put(row.clone(), (n + 1).to_string())])
    };
    let batch = vec![step(0), step(1), step(1), step(2)];
    let out = state.commit(batch).await.unwrap();
    let took: Vec<bool> = out.iter().map(Result::is_ok).collect();
    assert_eq!(took, [true, true, false, true]);
    assert_eq!(get(&state, &row).await.as_deref(), Some("3"));
    assert_eq!(state.spent(&["b".into()]).await.unwrap(), [3]);
    assert_eq!(state.positions(&[PartitionId(1)]).await.unwrap()[0].0, 3);
}

/// The longest key and value go through, one byte more is refused and leaves nothing of the whole call.
pub async fn limits(s: &dyn Subject) {
    let state = s.open().await.state;
    let small = writes(vec![put(key(Table::Item, 1, "small"), "x")]);
    let long_key = key(Table::Item, 1, [1; KEY_BYTES_MAX + 1]);
    let long_value = vec![2; VALUE_BYTES_MAX + 1];
    for bad in [
        writes(vec![put(long_key.clone(), "")]),
        writes(vec![put(key(Table::Item, 1, "v"), &long_value)]),
        Commit {
            expect: vec![Expect {
                key: long_key.clone(),
                value: None,
            }],
            ..writes(vec![])
        },
    ] {
        let refused = state.commit(vec![small.clone(), bad]).await;
        assert!(matches!(refused, Err(Error::Limit { .. })), "{refused:?}");
    }
    assert!(scan(&state, Table::Item, 1, b"", None, 9).await.is_empty());
    let most = key(Table::Item, 1, [1; KEY_BYTES_MAX]);
    let value = &long_value[1..];
    one(&state, writes(vec![put(most.clone(), value)]))
        .await
        .unwrap();
    let found = state.get(&[most]).await.unwrap();
    assert_eq!(found[0].as_deref(), Some(value));
}

/// The same key in every table and in several partitions names different rows.
pub async fn tables_are_apart(s: &dyn Subject) {
    let state = s.open().await.state;
    let mut keys = Vec::new();
    for t in Table::ALL {
        for p in [0, 1, 255, 256, 300, u16::MAX] {
            keys.push(key(t, p, "k"));
        }
    }
    let all = keys.iter().map(|k| put(k.clone(), format!("{k:?}")));
    one(&state, writes(all.collect())).await.unwrap();
    let found = state.get(&keys).await.unwrap();
    for (k, v) in keys.iter().zip(found) {
        assert_eq!(v.unwrap(), format!("{k:?}"));
        let rows = scan(&state, k.table, k.partition.0, b"", None, 9).await;
        assert_eq!(rows.len(), 1);
    }
    let missing = [key(Table::Item, 2, "k"), keys[0].clone()];
    let found = state.get(&missing).await.unwrap();
    assert!(found[0].is_none() && found[1].is_some());
}

/// Scans over several partitions give the rows that scans of each would: of all together at most so many, or so many of each.
pub async fn partitions_are_scanned_together(s: &dyn Subject) {
    let state = s.open().await.state;
    let rows = [(3, 4u8), (0, 1), (7, 6), (256, 2), (9_000, 3)];
    let puts = rows.iter().flat_map(|(p, n)| {
        let of = move |i| put(key(Table::Dirty, *p, [i, 0xff]), [*n, i]);
        (0..*n).map(of)
    });
    one(&state, writes(puts.collect())).await.unwrap();
    // Beside them, what belongs to another table.
    let other = put(key(Table::Outbox, 3, "other"), "o");
    one(&state, writes(vec![other])).await.unwrap();
    let asked: Vec<_> = [7, 3, 9_000, 5, 0, 7].map(PartitionId).into();
    let sorted: Vec<u16> = vec![0, 3, 5, 7, 9_000];
    let mut all = Vec::new();
    for p in &sorted {
        let found = scan(&state, Table::Dirty, *p, b"", None, usize::MAX).await;
        all.extend(found.into_iter().map(|(key, value)| (*p, key, value)));
    }
    assert_eq!(all.len(), 14);
    let told = |found: Vec<(PartitionId, crate::Row)>| -> Vec<_> {
        let found = found.into_iter();
        let row = |(p, row): (PartitionId, crate::Row)| (p.0, row.key.to_vec(), row.value.to_vec());
        found.map(row).collect()
    };
    for limit in 0..=15 {
        let found = state.scan_partitions(Table::Dirty, &asked, limit).await;
        let most = limit.min(all.len());
        assert_eq!(told(found.unwrap()), all[..most], "{limit} of all");
        let found = state.scan_each(Table::Dirty, &asked, limit).await.unwrap();
        let mut wanted = all.clone();
        wanted.retain(|(_, key, _)| usize::from(key[0]) < limit);
        assert_eq!(told(found), wanted, "{limit} of each");
    }
    for none in [&[][..], &[PartitionId(5), PartitionId(6)]] {
        let found = state.scan_partitions(Table::Dirty, none, 9).await;
        assert_eq!(told(found.unwrap()), []);
        let found = state.scan_each(Table::Dirty, none, 9).await;
        assert_eq!(told(found.unwrap()), []);
    }
}

/// Rows and budgets that are asked for together are what each is alone.
pub async fn rows_and_budgets_are_read_together(s: &dyn Subject) {
    let state = s.open().await.state;
    let keys: Vec<_> = (0..3u16).map(|n| key(Table::Item, n, [1])).collect();
    let budgets: Vec<String> = ["b", "never used", "a", "b"].map(str::to_owned).into();
    let change = |budget: &str, home, amount| crate::BudgetChange {
        budget: budget.to_owned(),
        limit: 1_000,
        rows: 4,
        home,
        amount,
    };
    let mut commit = writes(vec![
        put(keys[0].clone(), "zero"),
        put(keys[2].clone(), "two"),
    ]);
    commit.budgets = vec![change("b", 0, 7), change("b", 3, 5), change("a", 1, 2)];
    one(&state, commit).await.unwrap();
    let rows = vec![
        Some(Bytes::from_static(b"zero")),
        None,
        Some(Bytes::from_static(b"two")),
    ];
    let spent = vec![12, 0, 2, 12];
    let both = state.get_and_spent(&keys, &budgets).await.unwrap();
    assert_eq!(both, (rows.clone(), spent.clone()));
    let none = state.get_and_spent(&keys, &[]).await.unwrap();
    assert_eq!(none, (rows, Vec::new()));
    let none = state.get_and_spent(&[], &budgets).await.unwrap();
    assert_eq!(none, (Vec::new(), spent));
    let none = state.get_and_spent(&[], &[]).await.unwrap();
    assert_eq!(none, (Vec::new(), Vec::new()));
    // More than a backend may gather with what others ask for.
    let many: Vec<_> = (0..1_000u16).map(|n| key(Table::Item, n, [1])).collect();
    let (rows, spent) = state.get_and_spent(&many, &budgets).await.unwrap();
    assert_eq!(rows.iter().flatten().count(), 2);
    assert_eq!((rows[2].as_deref(), spent[0]), (Some(&b"two"[..]), 12));
}

/// One `get` and one `scan` see one moment: rows that always change together are never seen apart.
pub async fn one_moment(s: &dyn Subject) {
    let state = s.open().await.state;
    let tables = [Table::Profile, Table::Decision, Table::Timer, Table::Timer];
    let keys: Vec<RowKey> = tables
        .iter()
        .enumerate()
        .map(|(i, t)| key(*t, 1, [i as u8]))
        .collect();
    let all = |n: u32| {
        writes(
            keys.iter()
                .map(|k| put(k.clone(), n.to_be_bytes()))
                .collect(),
        )
    };
    one(&state, all(0)).await.unwrap();
    let writer = tokio::spawn({
        let state = state.clone();
        let commits: Vec<_> = (1..300).map(all).collect();
        async move {
            for c in commits {
                state.commit(vec![c]).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let rows = state.get(&keys).await.unwrap();
        assert!(rows.iter().all(|r| *r == rows[0]), "{rows:?}");
        let rows = scan(&state, Table::Timer, 1, b"", None, 9).await;
        assert_eq!(rows[0].1, rows[1].1);
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

/// 100 concurrent commits that expect the same row: exactly one takes effect.
pub async fn concurrent_expectations_let_one_win(s: &dyn Subject) {
    let state = s.open().await.state;
    let row = key(Table::DecisionKey, 1, "k");
    let tasks: Vec<_> = (0..100)
        .map(|i: u32| {
            let state = state.clone();
            let commit = Commit {
                expect: vec![Expect {
                    key: row.clone(),
                    value: None,
                }],
                ..writes(vec![put(row.clone(), i.to_string())])
            };
            tokio::spawn(async move { (i, one(&state, commit).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for t in tasks {
        let (i, out) = t.await.unwrap();
        if out.is_ok() {
            winners.push(i.to_string());
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(get(&state, &row).await.as_ref(), winners.first());
}
