//! The texts of statements over the tables of State. A text depends only on which tables take part, so each is made once.

use luopan_store::Table;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Most texts of a kind that are kept; there are as many as sets of tables that are used together, some dozens.
const TEXTS_KEPT: usize = 1_024;

/// The table of PostgreSQL that holds a table of State.
pub(crate) const fn name(table: Table) -> &'static str {
    match table {
        Table::Profile => "state_profile",
        Table::Dedup => "state_dedup",
        Table::Timer => "state_timer",
        Table::Member => "state_member",
        Table::MemberCount => "state_member_count",
        Table::Identity => "state_identity",
        Table::Customer => "state_customer",
        Table::Dirty => "state_dirty",
        Table::Contacts => "state_contacts",
        Table::Decision => "state_decision",
        Table::DecisionKey => "state_decision_key",
        Table::Outbox => "state_outbox",
        Table::Quarantine => "state_quarantine",
        Table::Checkpoint => "state_checkpoint",
        Table::SceneVersion => "state_scene_version",
        Table::Halt => "state_halt",
        Table::Item => "state_item",
        Table::ItemPast => "state_item_past",
        Table::Nav => "state_nav",
        Table::Claim => "state_claim",
        Table::Snapshot => "state_snapshot",
    }
}

/// A part of a statement that writes. Within a statement parts ascend, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Positions: partitions, entries.
    Positions,
    /// Shares of budgets: names, shares, spent.
    Budgets,
    /// Rows to put: partitions, keys, values, digests.
    Put(Table),
    /// Rows to delete: partitions, keys.
    Delete(Table),
}

/// Texts made so far.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    get: Mutex<BTreeMap<Vec<Option<Table>>, Arc<str>>>,
    look: Mutex<BTreeMap<Vec<Table>, Arc<str>>>,
    write: Mutex<BTreeMap<Vec<Part>, Arc<str>>>,
}

fn made<E: Ord + Clone>(
    texts: &Mutex<BTreeMap<Vec<E>, Arc<str>>>,
    of: &[E],
    make: fn(&[E]) -> String,
) -> Arc<str> {
    let mut texts = texts.lock();
    if let Some(text) = texts.get(of) {
        return Arc::clone(text);
    }
    let text: Arc<str> = make(of).into();
    if texts.len() >= TEXTS_KEPT {
        texts.clear();
    }
    texts.insert(of.to_vec(), Arc::clone(&text));
    text
}

impl Texts {
    /// Values of rows and, with `budgets`, what is spent. Parameters: indexes and names of budgets; for each table indexes, partitions,
    /// keys. Columns: index, value, spent (null for a row).
    pub(crate) fn get(&self, tables: &[Table], budgets: bool) -> Arc<str> {
        let parts = budgets.then_some(None).into_iter();
        let parts: Vec<_> = parts.chain(tables.iter().copied().map(Some)).collect();
        made(&self.get, &parts, |parts| {
            let mut parameters = 1..;
            let mut out = String::new();
            let tables: Vec<Table> = parts.iter().copied().flatten().collect();
            if parts.first() == Some(&None) {
                let [o, b] = next(&mut parameters);
                let _ = write!(
                    out,
                    "SELECT a.o, NULL::bytea, least(sum(b.spent), 9223372036854775807)::int8 \
                     FROM unnest(${o}::int4[], ${b}::bytea[]) AS a (o, budget) JOIN state_budget AS b ON b.budget = a.budget GROUP BY a.o"
                );
                if !tables.is_empty() {
                    out.push_str(" UNION ALL ");
                }
            }
            out + &arms(&tables, &mut parameters, |out, table, [o, p, k]| {
                let _ = write!(
                    out,
                    "SELECT a.o, t.value, NULL::int8 FROM unnest(${o}::int4[], ${p}::int4[], ${k}::bytea[]) AS a (o, partition, key) \
                     JOIN {} AS t ON t.partition = a.partition AND t.key = a.key",
                    name(table)
                );
            })
        })
    }

    /// What a transaction reads before it decides. Parameters: partitions whose positions are read; indexes and names of budgets;
    /// then for each table indexes, partitions and keys of expected rows. Columns: kind (0 position, 1 budget, 2 row); partition or index;
    /// share; entries or spent; digest.
    pub(crate) fn look(&self, tables: &[Table]) -> Arc<str> {
        made(&self.look, tables, |tables| {
            let head = "SELECT 0, p.partition, 0, p.entries, NULL::bytea FROM state_position AS p WHERE p.partition = ANY($1::int4[]) \
                 UNION ALL SELECT 1, a.o, b.share, b.spent, NULL::bytea FROM unnest($2::int4[], $3::bytea[]) AS a (o, budget) \
                 JOIN state_budget AS b ON b.budget = a.budget";
            let mut parameters = 4..;
            let rows = arms(tables, &mut parameters, |out, table, [o, p, k]| {
                let _ = write!(
                    out,
                    "SELECT 2, a.o, 0, 0::int8, t.digest FROM unnest(${o}::int4[], ${p}::int4[], ${k}::bytea[]) AS a (o, partition, key) \
                     JOIN {} AS t ON t.partition = a.partition AND t.key = a.key",
                    name(table)
                );
            });
            if rows.is_empty() {
                head.to_owned()
            } else {
                format!("{head} UNION ALL {rows}")
            }
        })
    }

    /// What a transaction writes; parameters as [`Part`] names them, part by part.
    pub(crate) fn write(&self, parts: &[Part]) -> Arc<str> {
        made(&self.write, parts, |parts| {
            let mut out = String::from("WITH ");
            let mut parameters = 1..;
            for (i, part) in parts.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                let _ = write!(out, "{comma}w{i} AS (");
                write_part(&mut out, *part, &mut parameters);
                out.push(')');
            }
            out.push_str(" SELECT 1");
            out
        })
    }
}

fn write_part(out: &mut String, part: Part, parameters: &mut impl Iterator<Item = u32>) {
    let _ = match part {
        Part::Positions => {
            let [p, n] = next(parameters);
            write!(
                out,
                "INSERT INTO state_position AS t (partition, entries) SELECT * FROM unnest(${p}::int4[], ${n}::int8[]) \
                 ON CONFLICT (partition) DO UPDATE SET entries = excluded.entries"
            )
        }
        Part::Budgets => {
            let [b, s, n] = next(parameters);
            write!(
                out,
                "INSERT INTO state_budget AS t (budget, share, spent) SELECT * FROM unnest(${b}::bytea[], ${s}::int4[], ${n}::int8[]) \
                 ON CONFLICT (budget, share) DO UPDATE SET spent = excluded.spent"
            )
        }
        Part::Put(table) => {
            let [p, k, v, d] = next(parameters);
            write!(
                out,
                "INSERT INTO {} AS t (partition, key, value, digest) \
                 SELECT * FROM unnest(${p}::int4[], ${k}::bytea[], ${v}::bytea[], ${d}::bytea[]) \
                 ON CONFLICT (partition, key) DO UPDATE SET value = excluded.value, digest = excluded.digest",
                name(table)
            )
        }
        Part::Delete(table) => {
            let [p, k] = next(parameters);
            write!(
                out,
                "DELETE FROM {} AS t USING unnest(${p}::int4[], ${k}::bytea[]) AS a (partition, key) \
                 WHERE t.partition = a.partition AND t.key = a.key",
                name(table)
            )
        }
    };
}

/// The same for each table, as one statement and so as of one moment.
fn arms(
    tables: &[Table],
    parameters: &mut impl Iterator<Item = u32>,
    arm: impl Fn(&mut String, Table, [u32; 3]),
) -> String {
    let mut out = String::new();
    for (i, table) in tables.iter().enumerate() {
        if i > 0 {
            out.push_str(" UNION ALL ");
        }
        arm(&mut out, *table, next(parameters));
    }
    out
}

/// The numbers of the next parameters.
fn next<const N: usize>(parameters: &mut impl Iterator<Item = u32>) -> [u32; N] {
    std::array::from_fn(|_| parameters.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_of_state_has_one_of_its_own() {
        let names: BTreeSet<&str> = Table::ALL.into_iter().map(name).collect();
        assert_eq!(names.len(), Table::ALL.len());
    }

    #[test]
    fn a_text_numbers_its_parameters_part_by_part() {
        let mut out = String::new();
        let mut parameters = 1..;
        for part in [
            Part::Positions,
            Part::Put(Table::Timer),
            Part::Delete(Table::Timer),
        ] {
            write_part(&mut out, part, &mut parameters);
        }
        assert!(
            out.contains("unnest($3::int4[], $4::bytea[], $5::bytea[], $6::bytea[])"),
            "{out}"
        );
        assert!(
            out.contains("USING unnest($7::int4[], $8::bytea[])"),
            "{out}"
        );
    }
}
