//! What must still be there when a store is opened again. Subjects that do not survive pass at once.

use super::{Subject, control, identifier, key, put, writes};
use crate::control::{ApiKey, AuditRecord};
use crate::keys::ForeignId;
use crate::log::Append;
use crate::state::{Advance, Commit, Durability, Table, Write};
use bytes::Bytes;
use luopan_kernel::id::{PartitionId, Position, TenantId};
use luopan_kernel::time::Micros;

fn append(partition: u16, count: u32) -> Append {
    Append {
        partition: PartitionId(partition),
        count,
        message: Bytes::from(vec![count as u8; 300]),
    }
}

/// Messages, heads and positions go on where they stood.
pub async fn the_log_lasts(s: &dyn Subject) {
    if !s.survives() {
        return;
    }
    for round in 0..3u64 {
        let log = s.open().await.log;
        let heads = log
            .heads(&[PartitionId(0), PartitionId(700)])
            .await
            .unwrap();
        assert_eq!(heads, [Position(round * 3), Position(round)]);
        let woken = log.wait(0).await.unwrap().partitions;
        assert_eq!(woken.len(), if round == 0 { 0 } else { 2 });
        let out = log
            .append(vec![append(0, 3), append(700, 1)])
            .await
            .unwrap();
        assert_eq!(out[0].first, Position(round * 3));
        let all = log
            .read(PartitionId(0), Position(0), usize::MAX)
            .await
            .unwrap();
        assert_eq!(all.len() as u64, round + 1);
        assert!(all.iter().all(|m| m.message == append(0, 3).message));
    }
}

/// Rows, deletes, positions and budgets are as committed.
pub async fn state_lasts(s: &dyn Subject) {
    if !s.survives() {
        return;
    }
    let (row, gone) = (key(Table::Profile, 3, "p"), key(Table::Timer, 3, "t"));
    {
        let stores = s.open().await;
        stores.log.append(vec![append(3, 9)]).await.unwrap();
        let commit = Commit {
            advance: Some(Advance {
                partition: PartitionId(3),
                from: Position(0),
                to: Position(9),
            }),
            budgets: vec![super::budgets::change("b", 10, 4, 1, 7)],
            ..writes(vec![put(row.clone(), "1"), put(gone.clone(), "")])
        };
        let mut later = writes(vec![
            Write {
                key: gone.clone(),
                value: None,
            },
            put(row.clone(), "2"),
        ]);
        later.budgets = vec![super::budgets::change("b", 10, 4, 0, -2)];
        let out = stores.state.commit(vec![commit, later]).await.unwrap();
        assert!(out.iter().all(Result::is_ok));
    }
    let state = s.open().await.state;
    let found = state.get(&[row, gone]).await.unwrap();
    assert_eq!(found, [Some(Bytes::from_static(b"2")), None]);
    let found = state.positions(&[PartitionId(3)]).await.unwrap();
    assert_eq!(found, [Position(9)]);
    assert_eq!(state.spent(&["b".into()]).await.unwrap(), [5]);
    let over = Commit {
        budgets: vec![super::budgets::change("b", 10, 4, 0, 6)],
        ..Commit::new(Durability::Durable)
    };
    assert!(state.commit(vec![over]).await.unwrap()[0].is_err());
}

/// Foreign ids keep their internal ids; erased ones stay forgotten.
pub async fn keys_last(s: &dyn Subject) {
    if !s.survives() {
        return;
    }
    let tenant = TenantId(1);
    let all = ["a", "b"].map(|text| ForeignId {
        tenant,
        text: text.into(),
    });
    let fresh = [1, 2].map(identifier);
    {
        let keys = s.open().await.keys;
        keys.resolve_or_create(&all, &fresh).await.unwrap();
        keys.erase(tenant, &fresh[..1]).await.unwrap();
    }
    let keys = s.open().await.keys;
    assert_eq!(keys.resolve(&all).await.unwrap(), [None, Some(fresh[1])]);
    let back = keys.reveal(tenant, &fresh).await.unwrap();
    assert_eq!(back, [None, Some("b".into())]);
    let told = keys.erased((tenant, identifier(0)), 9).await.unwrap();
    assert_eq!(told, [(tenant, fresh[0])]);
}

/// Scenes, files, streams, API keys and the audit are as recorded.
pub async fn control_lasts(s: &dyn Subject) {
    if !s.survives() {
        return;
    }
    let api_key = ApiKey {
        name: "k".into(),
        hash: [3; 32],
        at: Micros(1),
    };
    let audit = AuditRecord {
        at: Micros(2),
        by: "k".into(),
        action: "key.create".into(),
        detail: "{}".into(),
    };
    let (scenes, stream) = {
        let control = s.open().await.control;
        for content in [1, 2] {
            let new = control::scene("fund", content);
            control.record_scene(new).await.unwrap();
        }
        let first = control.scenes().await.unwrap().remove(0);
        control.mark_announced(first.scene, 1).await.unwrap();
        let artifact = ([9; 32], Bytes::from_static(b"trained"));
        control.put_artifacts(vec![artifact]).await.unwrap();
        control.put_api_key(api_key.clone()).await.unwrap();
        control.audit(audit.clone()).await.unwrap();
        let stream = control.stream("model").await.unwrap();
        (control.scenes().await.unwrap(), stream)
    };
    let control = s.open().await.control;
    assert_eq!(control.scenes().await.unwrap(), scenes);
    assert!(scenes[0].announced);
    let artifact = control.artifact([9; 32]).await.unwrap();
    assert_eq!(artifact.as_deref(), Some(&b"trained"[..]));
    let files = control.scene_files(scenes[1].scene, 2).await.unwrap();
    assert_eq!(files, control::scene("fund", 2).files);
    assert_eq!(control.stream("model").await.unwrap(), stream);
    assert_eq!(control.api_keys().await.unwrap(), [api_key]);
    assert_eq!(control.audits(9).await.unwrap(), [audit]);
}

/// A replayable commit that was followed by a durable one is there again with it.
pub async fn replayable_before_durable_lasts(s: &dyn Subject) {
    if !s.survives() {
        return;
    }
    let rows: Vec<_> = (0..50).map(|i: u8| key(Table::Profile, 1, [i])).collect();
    {
        let state = s.open().await.state;
        for row in &rows {
            let mut commit = writes(vec![put(row.clone(), "x")]);
            commit.durability = Durability::Replayable;
            state.commit(vec![commit]).await.unwrap();
        }
        let last = writes(vec![put(key(Table::Decision, 1, "d"), "y")]);
        state.commit(vec![last]).await.unwrap();
    }
    let state = s.open().await.state;
    let found = state.get(&rows).await.unwrap();
    assert!(found.iter().all(Option::is_some));
}
