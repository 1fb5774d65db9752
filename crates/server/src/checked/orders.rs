//! Steps of orders, as the version of the scene that was in force declares them. It must never leave a step out because a
//! later version calls it otherwise, or because the shop numbers no orders.

use super::export::{Lines, ORDERED};
use super::line::{Ordered, Side, Step, order};
use crate::problem::Result;
use luopan_kernel::event::Event;
use luopan_kernel::id::{DecisionId, IdentifierId};
use luopan_kernel::plan::orders::{OrderEvent, OrderStep};
use luopan_kernel::plan::{EventSchema, ScenePlan};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::collections::{HashMap, HashSet};

/// What some step of an order told of it.
#[derive(Debug, Clone, Default)]
struct Placed {
    item: Option<String>,
    side: Option<Side>,
    is_fast: bool,
    /// When the first of its steps happened.
    begun: Option<Micros>,
}

impl Placed {
    fn began(&mut self, at: Micros) {
        self.begun = Some(self.begun.map_or(at, |begun| begun.min(at)));
    }
}

/// All orders of a scene, by customer and number.
#[derive(Default)]
pub(super) struct Orders {
    /// As told under each identifier; of customers after [`Orders::of_customers`].
    placed: HashMap<(IdentifierId, String), Placed>,
    /// Checks of purchases and redemptions that answer no offer: neither does an order that names one.
    checks: HashSet<DecisionId>,
    /// Orders that began before are left out whole.
    from: Option<Micros>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is no step of an order.
    Other,
    /// It was told.
    Told,
    /// It is a step of an order of which nobody told what it is for.
    Unplaced,
    /// It is a step of an order that began before what is wanted.
    Earlier,
}

/// An event as a step of an order.
struct Read<'e> {
    declared: &'e OrderEvent,
    schema: &'e EventSchema,
    event: &'e Event<'e>,
}

impl<'e> Read<'e> {
    fn of(plan: &'e ScenePlan, event: &'e Event<'e>) -> Option<Self> {
        (plan.orders.iter().flat_map(|o| &o.events)).find_map(|declared| {
            let schema = plan.events.get(usize::from(declared.event))?;
            (schema.name == event.kind).then_some(Self {
                declared,
                schema,
                event,
            })
        })
    }

    fn value(&self, field: Option<u16>) -> &'e Value<'e> {
        let name = field.and_then(|f| self.schema.fields.get(usize::from(f)));
        name.map_or(&Value::Missing, |f| self.event.property(&f.name))
    }

    fn word(&self, field: Option<u16>) -> Option<&'e str> {
        match self.value(field) {
            Value::Text(v) => Some(v.as_ref()),
            _ => None,
        }
    }

    fn int(&self, field: Option<u16>) -> Option<i64> {
        match self.value(field) {
            Value::Int(v) => Some(*v),
            _ => None,
        }
    }

    /// A text of the event's context.
    fn told(&self, name: &str) -> Option<&'e str> {
        match self.said(name) {
            Some(Value::Text(v)) => Some(v.as_ref()),
            _ => None,
        }
    }

    fn said(&self, name: &str) -> Option<&'e Value<'e>> {
        let found = self.event.context.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v)
    }

    /// The shop's number; without one, the event stands for an order of its own.
    fn id(&self) -> String {
        match self.word(Some(self.declared.order)) {
            Some(id) => id.to_owned(),
            None => format!("{}/{}", self.event.identifier, self.event.id),
        }
    }

    fn side(&self) -> Option<Side> {
        self.word(self.declared.side).map(|side| match side {
            "redeem" => Side::Redeem,
            _ => Side::Buy,
        })
    }

    /// By the field that the scene names, else by the context.
    fn is_fast(&self) -> bool {
        match self.value(self.declared.fast) {
            Value::Missing => matches!(self.said("fast"), Some(Value::Bool(true))),
            field => *field == Value::Bool(true),
        }
    }
}

impl Orders {
    /// No orders yet; those that begin before `from` will be left out.
    pub(super) fn from(from: Option<Micros>) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// Notes what an event tells of the order that it is a step of.
    pub(super) fn note(&mut self, plan: &ScenePlan, event: &Event<'_>) {
        let Some(read) = Read::of(plan, event) else {
            return;
        };
        let known = (self.placed)
            .entry((event.identifier, read.id()))
            .or_default();
        let is_submitted = read.declared.step == OrderStep::Submitted;
        if let Some(item) = read.word(read.declared.item)
            && (is_submitted || known.item.is_none())
        {
            known.item = Some(item.to_owned());
        }
        if is_submitted || known.side.is_none() {
            known.side = read.side().or(known.side);
        }
        known.is_fast |= read.is_fast();
        known.began(event.occurred_at);
    }

    /// From here on orders are those of customers, whatever identifier each step was told under.
    pub(super) fn of_customers(&mut self, customer: impl Fn(IdentifierId) -> IdentifierId) {
        let mut all: Vec<_> = std::mem::take(&mut self.placed).into_iter().collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        for ((identifier, id), told) in all {
            let known = self.placed.entry((customer(identifier), id)).or_default();
            known.item = known.item.take().or(told.item);
            known.side = known.side.or(told.side);
            known.is_fast |= told.is_fast;
            if let Some(begun) = told.begun {
                known.began(begun);
            }
        }
    }

    /// Notes that a decision is a check that answers no offer.
    pub(super) fn note_check(&mut self, id: DecisionId) {
        self.checks.insert(id);
    }

    /// Writes the step that an event is.
    pub(super) fn tell(
        &mut self,
        plan: &ScenePlan,
        event: &Event<'_>,
        customer: IdentifierId,
        lines: &mut Lines,
    ) -> Result<Seen> {
        let Some(read) = Read::of(plan, event) else {
            return Ok(Seen::Other);
        };
        let d = read.declared;
        let id = read.id();
        let placed = self.placed.entry((customer, id.clone())).or_default();
        if (self.from).is_some_and(|from| placed.begun.is_some_and(|begun| begun < from)) {
            return Ok(Seen::Earlier);
        }
        // What an event says itself counts for it and for what follows.
        if let Some(item) = read.word(d.item) {
            placed.item = Some(item.to_owned());
        }
        placed.side = read.side().or(placed.side);
        let Some(item) = &placed.item else {
            return Ok(Seen::Unplaced);
        };
        let side = placed.side.unwrap_or(Side::Buy);
        let answers = read.word(d.decision).filter(|named| {
            let id: Option<DecisionId> = named.parse().ok();
            !id.is_some_and(|id| self.checks.contains(&id))
        });
        let day = |name: &str| read.told(name).and_then(crate::simulate::given::day);
        let at = event.occurred_at;
        let line = Ordered {
            at,
            id: &id,
            customer: &customer.to_string(),
            product: item,
            step: match d.step {
                OrderStep::Submitted => Step::Submitted,
                OrderStep::Accepted => Step::Accepted,
                OrderStep::Confirmed => Step::Confirmed,
                OrderStep::Failed => Step::Failed,
                OrderStep::Cancelled => Step::Cancelled,
                OrderStep::Paid => Step::Paid,
            },
            side,
            channel: read.told("channel").unwrap_or("app"),
            amount: read.int(d.amount),
            shares: read.value(d.shares).as_number(),
            nav: read.value(d.nav).as_number(),
            fee: read.int(d.fee),
            trade_day: day("trade_day"),
            confirmed_on: day("confirmed_on"),
            earning_changes_on: day("earning_changes_on"),
            fast: placed.is_fast || read.is_fast(),
            decision: answers,
            recording: read.told("recording_id"),
            trail: read.told("trail_id"),
        };
        lines.put(at, ORDERED, |out| order(out, &line))?;
        Ok(Seen::Told)
    }
}
