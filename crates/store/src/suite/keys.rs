//! What a [`Keys`] must do.

use super::{Subject, identifier};
use crate::error::Error;
use crate::keys::{ForeignId, Keys, Resolved};
use luopan_kernel::id::{IdentifierId, TenantId};
use std::sync::Arc;

fn foreign(tenant: u32, text: &str) -> ForeignId {
    ForeignId {
        tenant: TenantId(tenant),
        text: text.into(),
    }
}

async fn create(keys: &Arc<dyn Keys>, foreign: &[ForeignId], first: u64) -> Vec<Resolved> {
    let fresh: Vec<IdentifierId> = (first..).take(foreign.len()).map(identifier).collect();
    keys.resolve_or_create(foreign, &fresh).await.unwrap()
}

fn made(n: u64, created: bool) -> Resolved {
    Resolved {
        id: identifier(n),
        created,
    }
}

/// Both directions, in the order asked, for each tenant apart.
pub async fn resolve_and_reveal(s: &dyn Subject) {
    let keys = s.open().await.keys;
    let (a, b, c) = (
        foreign(1, "138-0000"),
        foreign(2, "138-0000"),
        foreign(1, ""),
    );
    assert_eq!(
        create(&keys, &[a.clone(), b.clone()], 10).await,
        [made(10, true), made(11, true)]
    );
    assert_eq!(
        create(&keys, &[c.clone(), b.clone(), a.clone()], 20).await,
        [made(20, true), made(11, false), made(10, false)]
    );
    let asked = [foreign(1, "138"), a, foreign(1, "138-00001"), b, c];
    assert_eq!(
        keys.resolve(&asked).await.unwrap(),
        [
            None,
            Some(identifier(10)),
            None,
            Some(identifier(11)),
            Some(identifier(20))
        ]
    );
    let ids = [11, 10, 21, 20].map(identifier);
    assert_eq!(
        keys.reveal(TenantId(1), &ids).await.unwrap(),
        [None, Some("138-0000".into()), None, Some(String::new())]
    );
    assert!(create(&keys, &[], 0).await.is_empty());
}

/// Two equal foreign ids in one call get one id, made once.
pub async fn duplicates_agree(s: &dyn Subject) {
    let keys = s.open().await.keys;
    let (a, b) = (foreign(1, "a"), foreign(1, "b"));
    assert_eq!(
        create(&keys, &[a.clone(), b, a.clone(), a], 1).await,
        [made(1, true), made(2, true), made(1, false), made(1, false)]
    );
    let ids = [1, 3, 4].map(identifier);
    assert_eq!(
        keys.reveal(TenantId(1), &ids).await.unwrap(),
        [Some("a".into()), None, None]
    );
}

/// 16 concurrent calls for the same foreign ids agree on one id each, and exactly one call made it.
pub async fn concurrent_resolves_agree(s: &dyn Subject) {
    let keys = s.open().await.keys;
    let all: Vec<ForeignId> = (0..50).map(|i| foreign(1, &i.to_string())).collect();
    let tasks: Vec<_> = (0..16u64)
        .map(|t| {
            let keys = keys.clone();
            let mut mine = all.clone();
            mine.rotate_left(t as usize * 3);
            tokio::spawn(async move {
                let found = create(&keys, &mine, 1000 * (t + 1)).await;
                let mut pairs: Vec<_> = mine.into_iter().zip(found).collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs
            })
        })
        .collect();
    let mut answers = Vec::new();
    for t in tasks {
        answers.push(t.await.unwrap());
    }
    for i in 0..all.len() {
        let makers = answers.iter().filter(|a| a[i].1.created).count();
        assert_eq!(makers, 1, "{:?}", answers[0][i].0);
        assert!(answers.iter().all(|a| a[i].1.id == answers[0][i].1.id));
    }
}

/// Erased is forgotten both ways; the same foreign id gets a new internal id.
pub async fn erased_is_forgotten(s: &dyn Subject) {
    let keys = s.open().await.keys;
    let (a, b) = (foreign(1, "a"), foreign(1, "b"));
    create(&keys, &[a.clone(), b.clone()], 1).await;
    let wrong = keys.erase(TenantId(2), &[identifier(1)]).await;
    assert!(wrong.is_ok());
    assert_eq!(
        keys.resolve(std::slice::from_ref(&a)).await.unwrap(),
        [Some(identifier(1))]
    );
    let gone = [identifier(1), identifier(99), identifier(1)];
    keys.erase(TenantId(1), &gone).await.unwrap();
    let found = keys.resolve(&[a.clone(), b.clone()]).await.unwrap();
    assert_eq!(found, [None, Some(identifier(2))]);
    let found = keys.reveal(TenantId(1), &gone).await.unwrap();
    assert_eq!(found, [None, None, None]);
    assert_eq!(create(&keys, &[a], 5).await, [made(5, true)]);
    let both = [1, 5].map(identifier);
    let found = keys.reveal(TenantId(1), &both).await.unwrap();
    assert_eq!(found, [None, Some("a".into())]);

    // What is there, and what was erased, each in order and in pieces.
    let first = (TenantId(0), identifier(0));
    let all = [(b, identifier(2)), (foreign(1, "a"), identifier(5))];
    assert_eq!(keys.list(first, 9).await.unwrap(), all);
    assert_eq!(keys.list(first, 1).await.unwrap(), all[..1]);
    let next = crate::keys::following((TenantId(1), identifier(2))).unwrap();
    assert_eq!(keys.list(next, 9).await.unwrap(), all[1..]);
    assert!(
        keys.list((TenantId(2), identifier(0)), 9)
            .await
            .unwrap()
            .is_empty()
    );
    let gone = [(1, 1), (1, 99), (2, 1)].map(|(t, n)| (TenantId(t), identifier(n)));
    assert_eq!(keys.erased(first, 9).await.unwrap(), gone);
    assert_eq!(keys.erased(gone[1], 1).await.unwrap(), gone[1..2]);
}

/// The longest foreign id goes through, one byte more is refused, and so is a call with too few fresh ids.
pub async fn limits(s: &dyn Subject) {
    let keys = s.open().await.keys;
    let fine = foreign(1, &"x".repeat(128));
    let long = foreign(1, &"x".repeat(129));
    let fresh = [1, 2].map(identifier);
    let refused = keys.resolve_or_create(&[fine.clone(), long], &fresh).await;
    assert!(matches!(refused, Err(Error::Limit { found: 129, .. })));
    let refused = keys
        .resolve_or_create(std::slice::from_ref(&fine), &[])
        .await;
    assert!(matches!(refused, Err(Error::Invalid(_))));
    assert_eq!(
        keys.resolve(std::slice::from_ref(&fine)).await.unwrap(),
        [None]
    );
    assert_eq!(create(&keys, &[fine], 3).await, [made(3, true)]);
}
