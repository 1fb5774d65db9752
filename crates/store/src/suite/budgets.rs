//! What a [`State`](crate::State) must do with budgets.

use super::{Subject, key, put};
use crate::error::Error;
use crate::state::{
    BUDGET_ROWS_MAX, BudgetChange, BudgetCheck, Commit, Conflict, Durability, State, Table,
};
use std::sync::Arc;

/// A budget change for tests.
pub fn change(budget: &str, limit: i64, rows: u16, home: u16, amount: i64) -> BudgetChange {
    BudgetChange {
        budget: budget.into(),
        limit,
        rows,
        home,
        amount,
    }
}

/// A budget check for tests.
pub fn check(budget: &str, limit: i64, amount: i64, available: bool) -> BudgetCheck {
    BudgetCheck {
        budget: budget.into(),
        limit,
        amount,
        available,
    }
}

fn debit(change: BudgetChange) -> Commit {
    Commit {
        budgets: vec![change],
        ..Commit::new(Durability::Durable)
    }
}

async fn took(state: &Arc<dyn State>, commit: Commit) -> bool {
    match state.commit(vec![commit]).await.unwrap().remove(0) {
        Ok(_) => true,
        Err(Conflict::Budget { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn spent(state: &Arc<dyn State>, budget: &str) -> i64 {
    state.spent(&[budget.to_owned()]).await.unwrap()[0]
}

/// A check holds or conflicts, for what is left and for what is not; it looks at State before the commit.
pub async fn checks_both_ways(s: &dyn Subject) {
    let state = s.open().await.state;
    assert!(took(&state, debit(change("b", 10, 4, 0, 7))).await);
    for (amount, available, wanted) in [
        (3, true, true),
        (4, true, false),
        (3, false, false),
        (4, false, true),
    ] {
        let commit = Commit {
            checks: vec![check("b", 10, amount, available)],
            ..Commit::new(Durability::Durable)
        };
        assert_eq!(took(&state, commit).await, wanted, "{amount} {available}");
    }
    let both = Commit {
        checks: vec![check("b", 10, 3, true), check("other", 1, 2, false)],
        ..debit(change("b", 10, 4, 0, 3))
    };
    assert!(took(&state, both.clone()).await);
    assert!(!took(&state, both).await);
    assert_eq!(spent(&state, "b").await, 10);
}

/// A debit takes from its home row and then the others; whole or not at all.
pub async fn debits_spill_over_rows(s: &dyn Subject) {
    let state = s.open().await.state;
    assert!(took(&state, debit(change("b", 10, 4, 3, 9))).await);
    assert!(!took(&state, debit(change("b", 10, 4, 0, 2))).await);
    assert!(took(&state, debit(change("b", 10, 4, 3, 1))).await);
    assert!(!took(&state, debit(change("b", 10, 4, 1, 1))).await);
    assert_eq!(spent(&state, "b").await, 10);
    // A higher limit opens more; a lower one closes all.
    assert!(took(&state, debit(change("b", 11, 4, 0, 1))).await);
    assert!(!took(&state, debit(change("b", 5, 4, 0, 1))).await);
    // Another number of rows is the same budget.
    assert!(!took(&state, debit(change("b", 11, 1, 0, 1))).await);
    assert!(took(&state, debit(change("b", 13, 256, 255, 2))).await);
    assert_eq!(spent(&state, "b").await, 13);
    assert!(!took(&state, debit(change("empty", 0, 1, 0, 1))).await);
    assert!(!took(&state, debit(change("huge", 10, 2, 0, i64::MAX))).await);
    assert!(took(&state, debit(change("huge", i64::MAX, 2, 0, i64::MAX))).await);
    assert!(!took(&state, debit(change("huge", i64::MAX, 2, 0, 1))).await);
}

/// Credits give back, never below zero, whatever row was debited, and in order with debits of the same commit.
pub async fn credits(s: &dyn Subject) {
    let state = s.open().await.state;
    assert!(took(&state, debit(change("b", 10, 4, 0, 10))).await);
    assert!(took(&state, debit(change("b", 0, 4, 3, -6))).await);
    assert_eq!(spent(&state, "b").await, 4);
    let swap = Commit {
        budgets: vec![change("b", 10, 4, 0, -4), change("b", 10, 4, 1, 10)],
        ..Commit::new(Durability::Durable)
    };
    assert!(took(&state, swap.clone()).await);
    assert_eq!(spent(&state, "b").await, 10);
    assert!(!took(&state, swap).await);
    assert!(took(&state, debit(change("b", 10, 4, 0, -100))).await);
    assert_eq!(spent(&state, "b").await, 0);
    assert!(took(&state, debit(change("never", 10, 4, 0, -100))).await);
    assert_eq!(spent(&state, "never").await, 0);
}

/// `budgets` names what was ever debited, ascending, with zero for what was given back.
pub async fn names_and_zeros(s: &dyn Subject) {
    let state = s.open().await.state;
    for (name, amount) in [("b", 3), ("a/2", 5), ("a", 1), ("a/10", 2), ("zero", 0)] {
        assert!(took(&state, debit(change(name, 10, 3, 1, amount))).await);
    }
    assert!(took(&state, debit(change("a", 10, 3, 1, -1))).await);
    let wanted: Vec<(String, i64)> = [("a", 0), ("a/10", 2), ("a/2", 5), ("b", 3)]
        .map(|(n, v)| (n.to_owned(), v))
        .into();
    assert_eq!(state.budgets().await.unwrap(), wanted);
    let asked = ["b", "none", "a/2"].map(String::from);
    assert_eq!(state.spent(&asked).await.unwrap(), [3, 0, 5]);
}

/// 64 tasks debit and credit one budget: what is spent never passes the limit and ends as what took effect.
pub async fn never_over_under_concurrency(s: &dyn Subject) {
    let state = s.open().await.state;
    let tasks: Vec<_> = (0..64u16)
        .map(|t| {
            let state = state.clone();
            tokio::spawn(async move {
                let mut net = 0;
                for i in 0..20i64 {
                    let amount = if i % 5 == 4 && net >= 3 {
                        -3
                    } else {
                        1 + i % 4
                    };
                    let commit = debit(change("b", 500, 16, t % 16, amount));
                    if took(&state, commit).await {
                        net += amount;
                    }
                    let now = spent(&state, "b").await;
                    assert!((0..=500).contains(&now), "{now} of 500 spent");
                }
                net
            })
        })
        .collect();
    let mut net = 0;
    for t in tasks {
        net += t.await.unwrap();
    }
    assert_eq!(spent(&state, "b").await, net);
    assert!(took(&state, debit(change("b", 500, 16, 0, 500 - net))).await);
    assert!(!took(&state, debit(change("b", 500, 16, 5, 1))).await);
}

/// The last unit of a budget: exactly one of 100 concurrent commits gets it, and only that one leaves its row.
pub async fn the_last_unit(s: &dyn Subject) {
    let state = s.open().await.state;
    assert!(took(&state, debit(change("b", 8, 8, 0, 7))).await);
    let tasks: Vec<_> = (0..100u16)
        .map(|t| {
            let state = state.clone();
            let commit = Commit {
                checks: vec![check("b", 8, 1, true)],
                writes: vec![put(key(Table::Dirty, 1, t.to_string()), "")],
                ..debit(change("b", 8, 8, t % 8, 1))
            };
            tokio::spawn(async move { took(&state, commit).await })
        })
        .collect();
    let mut winners = 0;
    for t in tasks {
        winners += u32::from(t.await.unwrap());
    }
    assert_eq!(winners, 1);
    let p = luopan_kernel::id::PartitionId(1);
    let rows = state.scan(Table::Dirty, p, b"", None, 200).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(spent(&state, "b").await, 8);
}

/// Changes that make no sense are refused and change nothing.
pub async fn refused_changes(s: &dyn Subject) {
    let state = s.open().await.state;
    let most = BUDGET_ROWS_MAX;
    for bad in [
        change("b", 10, 0, 0, 1),
        change("b", 10, 4, 4, 1),
        change("b", 10, most + 1, 0, 1),
        change(&"n".repeat(257), 10, 1, 0, 1),
    ] {
        let refused = state.commit(vec![debit(bad)]).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_) | Error::Limit { .. })),
            "{refused:?}"
        );
    }
    assert!(state.budgets().await.unwrap().is_empty());
}
