//! How a budget change lies over the rows of a budget: one pure function that every backend calls under its own lock.
//!
//! It never looks at time, scenes or what the money is for.

use crate::state::{BudgetChange, BudgetCheck};
use std::collections::BTreeMap;

/// Spent of one budget by row number. Rows at or above the present K may hold amounts from when K was larger.
pub type Rows = BTreeMap<u16, i64>;

/// What is spent over all rows, held at the ends of the range.
pub fn total(rows: &Rows) -> i64 {
    clamp(sum(rows))
}

/// True when the budget still answers as the check says.
pub fn holds(check: &BudgetCheck, spent: i64) -> bool {
    let left = i128::from(check.limit) - i128::from(spent);
    (left >= i128::from(check.amount)) == check.available
}

/// Applies `change` to `rows`. `false` and no change when a debit does not fit whole.
///
/// A debit takes what row k may still hold (`limit / K`, the first `limit % K` rows one more) from the home row and then
/// from the others in ascending order. A limit that was lowered meanwhile leaves rows above their share; then the sum
/// decides. A credit empties the home row and then the others in ascending order, at last rows at or above K; what is credited
/// beyond what was spent is dropped. An amount of 0 changes nothing.
pub fn apply(rows: &mut Rows, change: &BudgetChange) -> bool {
    let order = std::iter::once(change.home).chain((0..change.rows).filter(|k| *k != change.home));
    if change.amount > 0 {
        if sum(rows) + i128::from(change.amount) > i128::from(change.limit) {
            return false;
        }
        let k = i64::from(change.rows);
        let mut left = change.amount;
        for row in order {
            let share = change.limit / k + i64::from(i64::from(row) < change.limit % k);
            let spent = rows.get(&row).copied().unwrap_or(0);
            let take = left.min(share.saturating_sub(spent)).max(0);
            if take > 0 {
                rows.insert(row, spent + take);
                left -= take;
            }
            if left == 0 {
                break;
            }
        }
        // Shares add up to the limit and no row is below zero, so what the sum allows always fits.
        debug_assert_eq!(left, 0);
    } else if change.amount < 0 {
        let mut left = change.amount.unsigned_abs();
        let above: Vec<u16> = rows.range(change.rows..).map(|(k, _)| *k).collect();
        for row in order.chain(above) {
            if let Some(spent) = rows.get_mut(&row) {
                let back = left.min(spent.unsigned_abs());
                *spent -= i64::try_from(back).unwrap_or(*spent);
                left -= back;
            }
            if left == 0 {
                break;
            }
        }
    }
    true
}

fn sum(rows: &Rows) -> i128 {
    rows.values().map(|v| i128::from(*v)).sum()
}

fn clamp(v: i128) -> i64 {
    i64::try_from(v).unwrap_or(if v > 0 { i64::MAX } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change(limit: i64, rows: u16, home: u16, amount: i64) -> BudgetChange {
        BudgetChange {
            budget: "b".into(),
            limit,
            rows,
            home,
            amount,
        }
    }

    #[test]
    fn a_debit_takes_the_home_row_and_then_the_others_in_order() {
        let mut rows = Rows::new();
        // Shares of 10 over 4 rows: 3, 3, 2, 2.
        assert!(apply(&mut rows, &change(10, 4, 2, 6)));
        assert_eq!(rows, Rows::from([(0, 3), (1, 1), (2, 2)]));
        assert!(!apply(&mut rows, &change(10, 4, 2, 5)));
        assert!(apply(&mut rows, &change(10, 4, 2, 4)));
        assert_eq!(rows, Rows::from([(0, 3), (1, 3), (2, 2), (3, 2)]));
        assert!(apply(&mut rows, &change(10, 4, 1, -4)));
        assert_eq!(rows, Rows::from([(0, 2), (1, 0), (2, 2), (3, 2)]));
    }

    #[test]
    fn fewer_rows_still_count_and_give_back_what_stands_above_them() {
        let mut rows = Rows::from([(7, 5)]);
        assert!(!apply(&mut rows, &change(6, 2, 0, 2)));
        assert!(apply(&mut rows, &change(6, 2, 0, 1)));
        assert!(apply(&mut rows, &change(6, 2, 0, -6)));
        assert_eq!(total(&rows), 0);
    }

    #[test]
    fn checks_answer_both_ways() {
        let check = |amount, available| BudgetCheck {
            budget: "b".into(),
            limit: 10,
            amount,
            available,
        };
        assert!(holds(&check(3, true), 7));
        assert!(!holds(&check(4, true), 7));
        assert!(holds(&check(4, false), 7));
        assert!(!holds(&check(3, false), 7));
    }

    proptest! {
        #[test]
        fn the_sum_moves_by_the_amount_or_not_at_all_and_never_passes_the_limit(
            steps in prop::collection::vec((0i64..200, 1u16..9, 0u16..9, -60i64..60), 1..60)
        ) {
            let mut rows = Rows::new();
            for (limit, k, home, amount) in steps {
                let before = total(&rows);
                let took = apply(&mut rows, &change(limit, k, home % k, amount));
                let after = total(&rows);
                prop_assert!(rows.values().all(|v| *v >= 0));
                if amount > 0 {
                    prop_assert_eq!(took, before + amount <= limit);
                    prop_assert_eq!(after, if took { before + amount } else { before });
                } else {
                    prop_assert!(took);
                    prop_assert_eq!(after, (before + amount).max(0));
                }
            }
        }
    }
}
