//! Evidence of a period: the records of its decisions and the orders of its customers, for a proof that each was allowed. It
//! is read, never written, and says of nobody more than the internal id.

use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result};
use luopan_kernel::event::{Entry, Origin, decode_message};
use luopan_kernel::id::{DecisionId, IdentifierId, PartitionId, Position};
use luopan_kernel::plan::orders::OrderStep;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::Table;
use serde::{Deserialize, Serialize};

/// Rows, or bytes of the log, that are read at once.
const READ_ROWS: usize = 1_000;
const READ_BYTES: usize = 4 << 20;

/// An order as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSeen {
    /// Id of the event that told of it.
    pub event: String,
    /// When it was placed.
    pub at: Micros,
    /// Whose it is.
    pub identifier: IdentifierId,
    /// Where the event came from.
    pub origin: Origin,
    /// The shop's number of the order, when it was told.
    pub order: Option<String>,
    /// Key of the item, when it was told.
    pub item: Option<String>,
    /// `buy` or `redeem`.
    pub side: String,
    /// The decision that it names.
    pub decision: Option<DecisionId>,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A decision of the period, or an earlier one that an order of the period names.
    Decision(Box<DecisionRecord>),
    /// An order of the period.
    Order(OrderSeen),
}

impl Inner {
    /// Hands every decision and every submitted order of `from..to` of a scene to `see`: decisions first, and before an order
    /// the decision that it names, where that is not of the period.
    pub(crate) async fn evidence(
        &self,
        scene: &str,
        from: Micros,
        to: Micros,
        see: &mut (dyn FnMut(Evidence) -> Result<()> + Send),
    ) -> Result<()> {
        let newest = self.scenes.newest(scene)?;
        let unreadable = |what: String| Refusal {
            code: "store_unavailable",
            kind: RefusalKind::Unavailable,
            message: what,
        };
        let is_within = |at: Micros| from <= at && at < to;
        for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
            let mut next = Vec::new();
            loop {
                let found = self
                    .state
                    .scan(Table::Decision, partition, &next, None, READ_ROWS)
                    .await?;
                let Some(last) = found.last() else { break };
                next = [&last.key[..], &[0]].concat();
                for row in &found {
                    let record = DecisionRecord::decode(&row.value)
                        .map_err(|e| unreadable(format!("a decision cannot be read: {e}")))?;
                    if record.scene == newest.no && is_within(record.request.moment.now) {
                        see(Evidence::Decision(Box::new(record)))?;
                    }
                }
            }
        }
        for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
            let mut next = Position(0);
            loop {
                let messages = self.log.read(partition, next, READ_BYTES).await?;
                if messages.is_empty() {
                    break;
                }
                for message in &messages {
                    next = message.end();
                    let entries = decode_message(&message.message)
                        .map_err(|e| unreadable(format!("a log message cannot be read: {e}")))?;
                    for entry in &entries {
                        let Entry::Event(event) = entry else { continue };
                        if event.scene != newest.no || !is_within(event.occurred_at) {
                            continue;
                        }
                        let Some(order) = order_of(&newest.plan, event) else {
                            continue;
                        };
                        if let Some(id) = order.decision
                            && let Ok(record) = self.decision(id).await
                            && !is_within(record.request.moment.now)
                        {
                            see(Evidence::Decision(Box::new(record)))?;
                        }
                        see(Evidence::Order(order))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The order that an event submits, as the plan declares orders.
fn order_of(
    plan: &luopan_kernel::plan::ScenePlan,
    event: &luopan_kernel::event::Event<'_>,
) -> Option<OrderSeen> {
    let submitted = (plan.orders.iter().flat_map(|o| &o.events))
        .filter(|e| e.step == OrderStep::Submitted)
        .find_map(|e| {
            let schema = plan.events.get(usize::from(e.event))?;
            (schema.name == event.kind).then_some((e, schema))
        });
    let (declared, schema) = submitted?;
    let text = |field: Option<u16>| {
        let name = &schema.fields.get(usize::from(field?))?.name;
        match event.property(name) {
            Value::Text(text) => Some(text.clone().into_owned()),
            _ => None,
        }
    };
    Some(OrderSeen {
        event: event.id.clone().into_owned(),
        at: event.occurred_at,
        identifier: event.identifier,
        origin: event.origin,
        order: text(Some(declared.order)),
        item: text(declared.item),
        side: text(declared.side).unwrap_or_else(|| "buy".to_owned()),
        decision: text(declared.decision).and_then(|id| id.parse().ok()),
    })
}
