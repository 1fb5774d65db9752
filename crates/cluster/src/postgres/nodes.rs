//! Which nodes are at work, on PostgreSQL: a row a node, with the time until which it counts as alive by the server's clock.

use super::connection::{Fault, Pool};
use super::corrupt;
use async_trait::async_trait;
use luopan_store::nodes::{NODES_MAX, Node, Nodes};
use luopan_store::{Error, Result, limits};
use sqlx::Row;

const STORE: &str = "list of nodes";

/// [`Nodes`] on PostgreSQL.
pub(crate) struct PostgresNodes {
    pool: Pool,
}

impl PostgresNodes {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// Tells, forgets who is gone, and gives who lives besides. A data-modifying `WITH` and the query beside it see the tables as they
/// were before the statement, so the node itself is added by the caller.
const BEAT: &str = "WITH gone AS (DELETE FROM luopan_node WHERE alive_until < clock_timestamp() AND id <> $1), \
     others AS (SELECT id, name, address FROM luopan_node WHERE alive_until >= clock_timestamp() AND id <> $1), \
     told AS (INSERT INTO luopan_node (id, name, address, alive_until) \
       SELECT $1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond' WHERE (SELECT count(*) FROM others) < $5 \
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, address = excluded.address, alive_until = excluded.alive_until) \
     SELECT id, name, address FROM others ORDER BY id";

#[async_trait]
impl Nodes for PostgresNodes {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Vec<Node>> {
        limits::node(node)?;
        if node.name.contains('\0') || node.address.contains('\0') {
            return Err(Error::Invalid(
                "the name of a node holds the character 0; write it without".into(),
            ));
        }
        let failed = |fault: Fault| fault.error(STORE, "tell that this node lives");
        let mut lease = self.pool.lease().await.map_err(failed)?;
        let query = sqlx::query(BEAT)
            .bind(&node.id[..])
            .bind(&node.name)
            .bind(&node.address)
            .bind(for_us.max(0))
            .bind(NODES_MAX as i64);
        let rows = lease.rows(query).await.map_err(failed)?;
        lease.done();
        if rows.len() >= NODES_MAX {
            return Err(Error::Limit {
                what: "nodes of one installation",
                limit: NODES_MAX as u64,
                found: rows.len() as u64 + 1,
            });
        }
        let mut out = vec![node.clone()];
        for row in &rows {
            let bytes: &[u8] = row.try_get("id").map_err(|e| corrupt(STORE, "id", e))?;
            out.push(Node {
                id: <[u8; 16]>::try_from(bytes)
                    .map_err(|_| corrupt(STORE, "id", "16 bytes are wanted"))?,
                name: row.try_get("name").map_err(|e| corrupt(STORE, "name", e))?,
                address: row
                    .try_get("address")
                    .map_err(|e| corrupt(STORE, "address", e))?,
            });
        }
        out.sort_unstable();
        Ok(out)
    }

    async fn leave(&self, id: [u8; 16]) -> Result<()> {
        let failed = |fault: Fault| fault.error(STORE, "forget this node");
        let mut lease = self.pool.lease().await.map_err(failed)?;
        let query = sqlx::query("DELETE FROM luopan_node WHERE id = $1").bind(&id[..]);
        lease.execute(query).await.map_err(failed)?;
        lease.done();
        Ok(())
    }
}
