//! Which nodes are at work, on PostgreSQL: a row a node, with the time until which it counts as alive by the server's clock.

use super::connection::{Fault, Pool};
use super::corrupt;
use async_trait::async_trait;
use luopan_store::nodes::{Beat, NODES_MAX, Node, Nodes};
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
/// were before the statement, so the node itself is added by the caller. There is always a row: it says whether the node itself was
/// alive.
const BEAT: &str = "WITH gone AS (DELETE FROM luopan_node WHERE alive_until < clock_timestamp() AND id <> $1), \
     others AS (SELECT id, name, address FROM luopan_node WHERE alive_until >= clock_timestamp() AND id <> $1), \
     told AS (INSERT INTO luopan_node (id, name, address, alive_until) \
       SELECT $1, $2, $3, clock_timestamp() + $4 * interval '1 microsecond' WHERE (SELECT count(*) FROM others) < $5 \
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, address = excluded.address, alive_until = excluded.alive_until) \
     SELECT own.lives, others.id, others.name, others.address FROM \
       (SELECT EXISTS (SELECT 1 FROM luopan_node WHERE id = $1 \
          AND alive_until >= clock_timestamp() + $4 / 4 * interval '1 microsecond') AS lives) AS own \
       LEFT JOIN others ON true ORDER BY others.id";

#[async_trait]
impl Nodes for PostgresNodes {
    async fn beat(&self, node: &Node, for_us: i64) -> Result<Beat> {
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
        let mut living = vec![node.clone()];
        let mut lapsed = true;
        for row in &rows {
            lapsed = !row
                .try_get::<bool, _>("lives")
                .map_err(|e| corrupt(STORE, "lives", e))?;
            let id: Option<&[u8]> = row.try_get("id").map_err(|e| corrupt(STORE, "id", e))?;
            let Some(id) = id else { continue };
            living.push(Node {
                id: <[u8; 16]>::try_from(id)
                    .map_err(|_| corrupt(STORE, "id", "16 bytes are wanted"))?,
                name: row.try_get("name").map_err(|e| corrupt(STORE, "name", e))?,
                address: row
                    .try_get("address")
                    .map_err(|e| corrupt(STORE, "address", e))?,
            });
        }
        if living.len() > NODES_MAX {
            return Err(Error::Limit {
                what: "nodes of one installation",
                limit: NODES_MAX as u64,
                found: living.len() as u64,
            });
        }
        living.sort_unstable();
        Ok(Beat { living, lapsed })
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
