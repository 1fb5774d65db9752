//! What every backend refuses before it touches anything, so that all of them refuse alike.

use crate::error::{Error, Result};
use crate::keys::ForeignId;
use crate::log::{Append, MESSAGE_BYTES_MAX};
use crate::nodes::{NODE_NAME_BYTES_MAX, Node};
use crate::state::{BUDGET_NAME_BYTES_MAX, BUDGET_ROWS_MAX, Commit, RowKey};
use crate::state::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use luopan_kernel::id::{FOREIGN_ID_BYTES_MAX, IdentifierId};

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<()> {
    if found > limit {
        return Err(Error::Limit {
            what,
            limit: limit as u64,
            found: found as u64,
        });
    }
    Ok(())
}

/// Refuses messages that are too long or hold no entry.
///
/// # Errors
/// [`Error::Limit`], [`Error::Invalid`].
pub fn appends(batch: &[Append]) -> Result<()> {
    for a in batch {
        at_most("a log message in bytes", a.message.len(), MESSAGE_BYTES_MAX)?;
        if a.count == 0 {
            return Err(Error::Invalid(
                "a log message holds no entry; leave it out of the batch".into(),
            ));
        }
    }
    Ok(())
}

/// Refuses keys that are too long.
///
/// # Errors
/// [`Error::Limit`].
pub fn row_key(key: &RowKey) -> Result<()> {
    at_most("a row key in bytes", key.key.len(), KEY_BYTES_MAX)
}

/// Refuses transactions that no backend could keep.
///
/// # Errors
/// [`Error::Limit`], [`Error::Invalid`].
pub fn commits(commits: &[Commit]) -> Result<()> {
    for c in commits {
        if let Some(a) = c.advance
            && a.to < a.from
        {
            return Err(Error::Invalid(format!(
                "a fold commit moves partition {} back from {} to {}",
                a.partition.0, a.from.0, a.to.0
            )));
        }
        for e in &c.expect {
            row_key(&e.key)?;
        }
        for w in &c.writes {
            row_key(&w.key)?;
            let bytes = w.value.as_ref().map_or(0, bytes::Bytes::len);
            at_most("a row value in bytes", bytes, VALUE_BYTES_MAX)?;
        }
        for b in &c.checks {
            at_most(
                "a budget name in bytes",
                b.budget.len(),
                BUDGET_NAME_BYTES_MAX,
            )?;
        }
        for b in &c.budgets {
            at_most(
                "a budget name in bytes",
                b.budget.len(),
                BUDGET_NAME_BYTES_MAX,
            )?;
            at_most("rows of a budget", b.rows.into(), BUDGET_ROWS_MAX.into())?;
            if b.home >= b.rows {
                return Err(Error::Invalid(format!(
                    "budget {} has {} rows, its home row is {}; rows are counted from 0",
                    b.budget, b.rows, b.home
                )));
            }
        }
    }
    Ok(())
}

/// Refuses foreign ids that are too long or have no fresh id beside them.
///
/// # Errors
/// [`Error::Limit`], [`Error::Invalid`].
pub fn foreign(foreign: &[ForeignId], fresh: Option<&[IdentifierId]>) -> Result<()> {
    if let Some(fresh) = fresh
        && fresh.len() != foreign.len()
    {
        return Err(Error::Invalid(format!(
            "{} foreign ids came with {} fresh ids; give one for each",
            foreign.len(),
            fresh.len()
        )));
    }
    for f in foreign {
        at_most("a foreign id in bytes", f.text.len(), FOREIGN_ID_BYTES_MAX)?;
    }
    Ok(())
}

/// Refuses nodes whose name or address is too long.
///
/// # Errors
/// [`Error::Limit`].
pub fn node(node: &Node) -> Result<()> {
    for text in [&node.name, &node.address] {
        at_most(
            "a node's name or address in bytes",
            text.len(),
            NODE_NAME_BYTES_MAX,
        )?;
    }
    Ok(())
}
