//! All rows of a table over several partitions, a page at a time, in few calls however many partitions there are. It must never
//! hand out a row twice, nor keep more than a page.

use luopan_kernel::id::PartitionId;
use luopan_store::{Result, Row, State, Table};

/// Rows of a page.
const PAGE_ROWS: usize = 1_000;

/// The pages, ascending by partition and key.
pub(crate) struct Pages<'s> {
    state: &'s dyn State,
    table: Table,
    rows: usize,
    /// Partitions of which nothing was read yet, descending.
    left: Vec<PartitionId>,
    /// The partition at which a page ended, and the key from which it goes on.
    within: Option<(PartitionId, Vec<u8>)>,
}

impl<'s> Pages<'s> {
    /// Of the table's rows in these partitions.
    pub(crate) fn new(state: &'s dyn State, table: Table, partitions: &[PartitionId]) -> Self {
        let mut left = partitions.to_vec();
        left.sort_unstable_by(|a, b| b.cmp(a));
        left.dedup();
        Self {
            state,
            table,
            rows: PAGE_ROWS,
            left,
            within: None,
        }
    }

    /// The next rows; none when there are no more.
    pub(crate) async fn next(&mut self) -> Result<Vec<(PartitionId, Row)>> {
        if let Some((partition, from)) = self.within.take() {
            let found = (self.state)
                .scan(self.table, partition, &from, None, self.rows)
                .await?;
            if found.len() >= self.rows
                && let Some(last) = found.last()
            {
                self.within = Some((partition, after(&last.key)));
            }
            if !found.is_empty() {
                return Ok(found.into_iter().map(|row| (partition, row)).collect());
            }
        }
        if self.left.is_empty() {
            return Ok(Vec::new());
        }
        let found = (self.state)
            .scan_partitions(self.table, &self.left, self.rows)
            .await?;
        match found.last() {
            // The rest of the partition at which the limit was met, then those behind it.
            Some((partition, last)) if found.len() >= self.rows => {
                self.within = Some((*partition, after(&last.key)));
                self.left.retain(|p| p > partition);
            }
            _ => self.left.clear(),
        }
        Ok(found)
    }
}

/// The least key behind this one.
fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use luopan_store::{Commit, Durability, RowKey, Write, memory};

    #[test]
    fn every_row_comes_once_and_in_order_whatever_a_page_holds() {
        let state = memory::stores().state;
        let mut commit = Commit::new(Durability::Durable);
        let mut wanted = Vec::new();
        for (partition, rows) in [(1u16, 3u8), (4, 1), (9, 6), (200, 2)] {
            for n in 0..rows {
                let key = RowKey {
                    table: Table::Dirty,
                    partition: PartitionId(partition),
                    key: Bytes::from(vec![n]),
                };
                wanted.push((partition, n));
                commit.writes.push(Write {
                    key,
                    value: Some(Bytes::new()),
                });
            }
        }
        futures::executor::block_on(async {
            state.commit(vec![commit]).await.unwrap()[0]
                .clone()
                .unwrap();
            let asked: Vec<_> = [200, 9, 4, 2, 1, 9].map(PartitionId).into();
            for rows in 1..=wanted.len() + 1 {
                let mut pages = Pages::new(&*state, Table::Dirty, &asked);
                pages.rows = rows;
                let mut found = Vec::new();
                loop {
                    let page = pages.next().await.unwrap();
                    if page.is_empty() {
                        break;
                    }
                    assert!(page.len() <= rows);
                    found.extend(page.into_iter().map(|(p, row)| (p.0, row.key[0])));
                }
                assert_eq!(found, wanted, "{rows} rows a page");
            }
            assert!(
                Pages::new(&*state, Table::Dirty, &[])
                    .next()
                    .await
                    .unwrap()
                    .is_empty()
            );
        });
    }
}
