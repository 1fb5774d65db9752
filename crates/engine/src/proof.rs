//! Evidence of a period: the records of its decisions and the orders of its customers, for a proof that each was allowed. It
//! is read, never written, and says of nobody more than the internal id.
//!
//! An event is read by the version of the scene that was in force at its place in the log, and counts at the time at which the
//! log took it: what its sender says of its time is told beside it, and moves it into no other period.

use crate::api::{Refusal, RefusalKind, Result};
use crate::{Inner, snapshot};
use luopan_kernel::event::{Entry, Event, Origin, decode_message};
use luopan_kernel::id::{CustomerId, DecisionId, IdentifierId, PartitionId, Position, hash128};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::plan::orders::{OrderEvent, OrderStep, OrdersPlan};
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows, or bytes of the log, that are read at once.
const READ_ROWS: usize = 1_000;
const READ_BYTES: usize = 4 << 20;

/// An order as the log first told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSeen {
    /// Id of the event that told of it.
    pub event: String,
    /// What the event told: that it was submitted, or that it was confirmed, where nothing before told of a submission.
    pub step: OrderStep,
    /// When the log took the event: the time that counts.
    pub at: Micros,
    /// When it was placed, as the sender says.
    pub said: Micros,
    /// Version of the scene in force at its place in the log.
    pub version: u32,
    /// Names of the catalogues whose orders the event tells of: one, unless a pack declares it for several.
    pub catalogues: Vec<String>,
    /// Whose it is.
    pub identifier: IdentifierId,
    /// Where the event came from.
    pub origin: Origin,
    /// The shop's number of the order, when it was told.
    pub order: Option<String>,
    /// Key of the item, when it was told.
    pub item: Option<String>,
    /// `redeem`, or anything else for a purchase.
    pub side: String,
    /// The decision that it names.
    pub decision: Option<DecisionId>,
}

/// A piece of evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A decision of the period, or an earlier one that was still valid when it began.
    Decision(Box<DecisionRecord>),
    /// An order of the period.
    Order(OrderSeen),
}

/// Orders that were told of so far: by customer and hash of catalogue and number, when the log first heard of each.
type Told = BTreeMap<(CustomerId, u128), Micros>;

impl Inner {
    /// Hands every decision and every order of `from..to` of a scene to `see`: decisions first, with the earlier ones that were
    /// still valid at `from`; then what was submitted, then what was confirmed without a submission before it. Of a log that was
    /// truncated, the period must begin where it was: what was submitted before is not known, and its confirmation tells the order.
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
                    let now = record.request.moment.now;
                    let is_earlier = now < from && from <= record.valid_until;
                    if record.scene == newest.no
                        && (is_within(now) || (is_earlier && !record.decision.choices.is_empty()))
                    {
                        see(Evidence::Decision(Box::new(record)))?;
                    }
                }
            }
        }
        let mut told = Told::new();
        let mut confirmed: Vec<OrderSeen> = Vec::new();
        for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
            let (mut next, mut in_force) = (Position(0), None);
            if let Some(found) = snapshot::start_of(self, partition).await? {
                let told = &found.header;
                if from < told.before {
                    return Err(Refusal {
                        code: "log_truncated",
                        kind: RefusalKind::NotFound,
                        message: format!(
                            "orders before {} were let go by log retention; ask for a period that begins then or later",
                            crate::retention::in_words(told.before)
                        ),
                    });
                }
                next = told.at;
                let ran = told.running.iter().find(|(no, _)| *no == newest.no);
                in_force = ran.and_then(|(no, v)| self.scenes.version(*no, *v));
            }
            let mut seen: BTreeMap<(IdentifierId, u128), Micros> = BTreeMap::new();
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
                        let event = match entry {
                            Entry::SceneApplied { scene, version, .. } if *scene == newest.no => {
                                in_force = self.scenes.version(*scene, *version);
                                continue;
                            }
                            Entry::Event(event) if event.scene == newest.no => event,
                            _ => continue,
                        };
                        let by = in_force.as_ref().unwrap_or(&newest);
                        let Some(order) = order_of(&by.plan, by.version, event) else {
                            continue;
                        };
                        // What a sender sends twice is folded once, and is one order.
                        let name = (event.identifier, event.dedup_hash());
                        let horizon = by.plan.dedup_horizon_us;
                        let is_repeated =
                            (seen.get(&name)).is_some_and(|at| order.at.since(*at) <= horizon);
                        if is_repeated {
                            continue;
                        }
                        seen.insert(name, order.at);
                        if order.step == OrderStep::Confirmed {
                            if order.at < to {
                                confirmed.push(order);
                            }
                            continue;
                        }
                        for name in self.names_of(&order) {
                            let first = told.entry(name).or_insert(order.at);
                            *first = order.at.min(*first);
                        }
                        if is_within(order.at) {
                            see(Evidence::Order(order))?;
                        }
                    }
                }
            }
        }
        // A confirmation of what was submitted before, under any identifier of the customer, is no order of its own.
        confirmed.sort_by_key(|order| order.at);
        for order in confirmed {
            let names = self.names_of(&order);
            if (names.iter()).any(|name| told.get(name).is_some_and(|at| *at <= order.at)) {
                continue;
            }
            told.extend(names.into_iter().map(|name| (name, order.at)));
            if is_within(order.at) {
                see(Evidence::Order(order))?;
            }
        }
        Ok(())
    }

    /// What tells an order from others, one name a catalogue; none without a number.
    fn names_of(&self, order: &OrderSeen) -> Vec<(CustomerId, u128)> {
        let customer = self.identity.customer(order.identifier);
        let name = |number: &String, catalogue: &String| {
            let name = format!("{catalogue}\0{number}");
            (customer, hash128(name.as_bytes()))
        };
        (order.order.iter())
            .flat_map(|number| order.catalogues.iter().map(move |c| name(number, c)))
            .collect()
    }
}

/// The order that an event submits or confirms, as the plan declares orders.
fn order_of(plan: &ScenePlan, version: u32, event: &Event<'_>) -> Option<OrderSeen> {
    let tells = |e: &&OrderEvent| {
        (plan.events.get(usize::from(e.event))).is_some_and(|s| s.name == event.kind)
    };
    let of = |step| -> Vec<(&OrdersPlan, &OrderEvent)> {
        (plan.orders.iter())
            .filter_map(|o| Some((o, o.events.iter().filter(tells).find(|e| e.step == step)?)))
            .collect()
    };
    let told = match of(OrderStep::Submitted) {
        told if told.is_empty() => of(OrderStep::Confirmed),
        told => told,
    };
    let (_, declared) = *told.first()?;
    let schema = plan.events.get(usize::from(declared.event))?;
    let catalogues = (told.iter())
        .filter_map(|(o, _)| plan.catalogues.get(usize::from(o.catalogue)))
        .map(|c| c.name.clone());
    let text = |field: Option<u16>| {
        let name = &schema.fields.get(usize::from(field?))?.name;
        match event.property(name) {
            Value::Text(text) => Some(text.clone().into_owned()),
            _ => None,
        }
    };
    Some(OrderSeen {
        event: event.id.clone().into_owned(),
        step: declared.step,
        at: event.received_at,
        said: event.occurred_at,
        version,
        catalogues: catalogues.collect(),
        identifier: event.identifier,
        origin: event.origin,
        order: text(Some(declared.order)),
        item: text(declared.item),
        side: text(declared.side).unwrap_or_else(|| "buy".to_owned()),
        decision: text(declared.decision).and_then(|id| id.parse().ok()),
    })
}
