//! Orders: which event types and fields tell of the life of an order, what that makes readable of a customer, and of a
//! customer and an item together.

use super::{Compiler, Want, owner_of_items};
use crate::cel::{Place, Ty};
use crate::fault::{Code, shown};
use crate::node::{Key, Node};
use luopan_kernel::book::fee_ladder;
use luopan_kernel::id::hash64;
use luopan_kernel::plan::orders::ORDERS_MAX;
use luopan_kernel::plan::{
    BookTag, Expr, HeldTag, OrderEvent, OrderStep, OrdersPlan, SlotPlan, SlotSource,
};
use luopan_kernel::rule::visit_slots;
use luopan_kernel::value::ValueType;

/// What a field of an order's event is, and of which type.
const ROLES: [(&str, ValueType); 9] = [
    ("item", ValueType::Text),
    ("side", ValueType::Text),
    ("amount", ValueType::Money),
    ("shares", ValueType::Number),
    ("fee", ValueType::Money),
    ("nav", ValueType::Number),
    ("decision", ValueType::Text),
    ("order", ValueType::Text),
    ("fast", ValueType::Boolean),
];

impl Compiler<'_, '_> {
    pub(super) fn orders(&mut self) {
        for (i, (key, node)) in self.section("orders").iter().enumerate() {
            if i == ORDERS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more catalogues with orders than are kept",
                    format!("write at most {ORDERS_MAX}"),
                );
                break;
            }
            let found = self.orders_of(key, node);
            let Some(orders) = found else {
                for tag in BookTag::ALL {
                    self.broken.insert(book_name(&key.text, tag));
                }
                for tag in HeldTag::ALL.into_iter().chain(HeldTag::FURTHER) {
                    self.broken.insert(held_name(tag));
                }
                continue;
            };
            let number = self.plan.orders.len() as u16;
            for tag in BookTag::ALL {
                self.plan.slots.push(SlotPlan {
                    name: book_name(&key.text, tag),
                    kind: tag.kind(),
                    source: SlotSource::Book(number, tag),
                });
            }
            self.plan.orders.push(orders);
        }
    }

    fn orders_of(&mut self, key: &Key, node: &Node) -> Option<OrdersPlan> {
        let catalogues = self.section("catalogues");
        let catalogue = catalogues.iter().position(|(k, _)| k.text == key.text);
        if catalogue.is_none() {
            self.unknown(key.at, "catalogues", "catalogue", &key.text);
        }
        let before = self.report.faults.len();
        let mut currency: Option<String> = None;
        let mut events: Vec<OrderEvent> = Vec::new();
        for step in OrderStep::ALL {
            let Some(written) = node.get(step.word()) else {
                continue;
            };
            events.extend(self.order_event(step, written, &mut currency));
        }
        let mut calendar = None;
        if let Some(n) = node.get("calendar") {
            calendar = self.calendar_index(n);
        }
        let mut utc_offset_s = None;
        if let Some(n) = node.get("utc_offset") {
            if node.get("calendar").is_some() {
                let found = "a calendar and a clock of its own";
                let write = "leave `utc_offset` out: the calendar's is taken";
                self.report.at(n.at, Code::Conflict, found, write);
            }
            utc_offset_s = self.fixed_offset(n);
        }
        let mut fees = Vec::new();
        if let Some(n) = node.get("fee_ladder") {
            match n.scalar().and_then(fee_ladder) {
                Some(ladder) => fees = ladder,
                None => self.report.at(
                    n.at,
                    Code::WrongType,
                    format!("here stands {}", n.described()),
                    "write rates by days held, ascending: \"7d 1.5%, 30d 1%, 180d 0.5%\"",
                ),
            }
        }
        if self.report.faults.len() > before {
            return None;
        }
        let utc_offset_s = calendar
            .and_then(|c: u16| self.plan.calendars.get(usize::from(c)))
            .and_then(|c| c.exchange.as_ref())
            .map(|e| e.utc_offset_s)
            .or(utc_offset_s)
            .unwrap_or(0);
        // Both steps must be there; a pack without them was told so with the shape.
        let has = |step| events.iter().any(|e: &OrderEvent| e.step == step);
        if !has(OrderStep::Submitted) || !has(OrderStep::Confirmed) {
            return None;
        }
        let currency = currency?;
        Some(OrdersPlan {
            id: self.orders_id(&key.text, &currency, utc_offset_s, &events),
            catalogue: u16::try_from(catalogue?).ok()?,
            minor_digits: crate::unit::minor_digits(&currency)? as u8,
            currency,
            calendar,
            utc_offset_s,
            events,
            nav: None,
            fee_attribute: None,
            fees,
            confirms_after: None,
            earns_after: None,
        })
    }

    /// Hash of what decides which books are folded, by names.
    fn orders_id(
        &self,
        name: &str,
        currency: &str,
        utc_offset_s: i32,
        events: &[OrderEvent],
    ) -> u64 {
        let events: Vec<serde_json::Value> = (events.iter())
            .map(|e| {
                let schema = &self.plan.events[usize::from(e.event)];
                let field = |i: u16| schema.fields.get(usize::from(i)).map(|f| &f.name);
                let fields = [e.item, e.side, e.amount, e.shares, e.fee, e.nav, e.decision]
                    .map(|i| i.and_then(field));
                let mut told = serde_json::json!([e.step, schema.name, field(e.order), fields]);
                // Orders that know no fast redemption are those of before.
                if let (Some(fast), Some(told)) = (e.fast.and_then(field), told.as_array_mut()) {
                    told.push(serde_json::json!(fast));
                }
                told
            })
            .collect();
        let definition = serde_json::json!(["orders", name, currency, utc_offset_s, events]);
        hash64(definition.to_string().as_bytes())
    }

    fn order_event(
        &mut self,
        step: OrderStep,
        node: &Node,
        currency: &mut Option<String>,
    ) -> Option<OrderEvent> {
        let event = self.event_index(node.get("event")?)?;
        let mut found = [None; ROLES.len()];
        for (place, (role, kind)) in ROLES.into_iter().enumerate() {
            let Some(n) = node.get(role) else { continue };
            let index = self.field_index(event, n)?;
            let field = &self.plan.events[usize::from(event)].fields[usize::from(index)];
            if field.kind != kind {
                let text = format!("`{}` is {}", field.name, field.kind.word());
                let write = format!("`{role}` is a field of type {}", kind.word());
                self.report.at(n.at, Code::WrongType, text, write);
                return None;
            }
            if role == "side" && !is_side(&field.one_of) {
                let text = format!("`{}` may hold other texts than the two sides", field.name);
                self.report.at(
                    n.at,
                    Code::OutOfRange,
                    text,
                    "declare it `{type: text, one_of: [buy, redeem]}`",
                );
                return None;
            }
            if kind == ValueType::Money {
                match (&*currency, &field.currency) {
                    (Some(one), Some(other)) if one != other => {
                        let text = format!("`{}` is in {other}, others are in {one}", field.name);
                        let write = "the amounts of one catalogue's orders have one currency";
                        self.report.at(n.at, Code::Conflict, text, write);
                        return None;
                    }
                    _ => *currency = currency.take().or_else(|| field.currency.clone()),
                }
            }
            found[place] = Some(index);
        }
        let [item, side, amount, shares, fee, nav, decision, order, fast] = found;
        if step != OrderStep::Submitted
            && let Some(n) = node.get("fast")
        {
            let text = format!("`{}` does not say whether an order is fast", step.word());
            self.report
                .at(n.at, Code::NotHere, text, "write `fast` under `submitted`");
            return None;
        }
        let lacks = match step {
            OrderStep::Submitted if item.is_none() => Some("item"),
            OrderStep::Submitted if amount.is_none() => Some("amount"),
            OrderStep::Submitted if side.is_some() && shares.is_none() => Some("shares"),
            OrderStep::Confirmed if shares.is_none() && nav.is_none() => Some("shares"),
            _ => None,
        };
        if let Some(role) = lacks {
            let is_key = |k: &str| k == "event" || ROLES.iter().any(|(role, _)| *role == k);
            if !node.entries().iter().all(|(k, _)| is_key(&k.text)) {
                // A mistyped key was told of: it is there, by another name.
                return None;
            }
            self.report.at(
                node.at,
                Code::MissingKey,
                format!("`{}` does not say which field is its `{role}`", step.word()),
                format!("write `{role}: FIELD`"),
            );
            return None;
        }
        Some(OrderEvent {
            step,
            event,
            order: order?,
            item,
            side,
            amount,
            shares,
            fee,
            nav,
            decision,
            fast,
        })
    }

    fn calendar_index(&mut self, node: &Node) -> Option<u16> {
        let name = node.text()?;
        let section = self.section("calendars");
        if !section.iter().any(|(k, _)| k.text == name) {
            self.unknown(node.at, "calendars", "calendar", name);
            return None;
        }
        let place = self.plan.calendars.iter().position(|c| c.name == name)?;
        let is_clocked = self.plan.calendars[place]
            .exchange
            .as_ref()
            .is_some_and(|e| e.cutoff_minute.is_some());
        if !is_clocked {
            self.report.at(
                node.at,
                Code::Conflict,
                format!("the calendar `{name}` has no order line"),
                "write `utc_offset: \"+08:00\"` and `cutoff: \"15:00\"` there",
            );
            return None;
        }
        Some(place as u16)
    }

    /// What orders say of items: which attributes hold the price and the fees, and the slots of customer and item together.
    pub(super) fn orders_of_items(&mut self) {
        for (key, node) in self.section("orders") {
            let Some(place) = self.plan.catalogues.iter().position(|c| c.name == key.text) else {
                continue;
            };
            let number = self
                .plan
                .orders
                .iter()
                .position(|o| usize::from(o.catalogue) == place);
            let nav = self.order_attribute(place, node.get("nav"), ValueType::Number);
            let fees = self.order_attribute(place, node.get("redemption_fees"), ValueType::Text);
            if let Some(n) = node.get("redemption_fees")
                && let Some(attribute) = fees
            {
                self.check_ladders(n, place, attribute);
            }
            let Some(number) = number else { continue };
            self.plan.orders[number].nav = nav;
            self.plan.orders[number].fee_attribute = fees;
            let after = ["confirms_after", "earns_after"]
                .map(|name| self.days_after(place, node.get(name)));
            let [confirms_after, earns_after] = after;
            self.plan.orders[number].confirms_after = confirms_after;
            self.plan.orders[number].earns_after = earns_after;
            let mut tags = HeldTag::ALL.to_vec();
            if self.plan.orders[number].tells_further() {
                tags.extend(HeldTag::FURTHER);
            }
            for tag in tags {
                self.plan.slots.push(SlotPlan {
                    name: held_name(tag),
                    kind: tag.kind(),
                    source: SlotSource::Held(number as u16, tag),
                });
            }
        }
    }

    /// Trading days as an expression over the attributes of items.
    fn days_after(&mut self, catalogue: usize, node: Option<&Node>) -> Option<Expr> {
        let node = node?;
        let scope = self.scope(Place::Item(catalogue as u16));
        let typed = self.expression(node, &scope, Want::Figure)?;
        if typed.ty != Ty::Integer {
            self.report.at(
                node.at,
                Code::ExpressionType,
                format!("this gives {}, and days are whole", typed.ty.word()),
                "write a whole number of trading days",
            );
            return None;
        }
        let mut other = None;
        visit_slots(&typed.expr, &mut |id| {
            let slot = &self.plan.slots[usize::from(id.0)];
            if !matches!(slot.source, SlotSource::Item(..) | SlotSource::ItemKey(_)) {
                other = Some(slot.name.clone());
            }
        });
        if let Some(name) = other {
            self.report.at(
                node.at,
                Code::NotHere,
                format!("`{name}` cannot be read here"),
                "days of an order depend on the item alone: write `item.NAME`",
            );
            return None;
        }
        Some(typed.expr)
    }

    /// Index of the attribute that `node` names, which has the type `kind`.
    fn order_attribute(
        &mut self,
        catalogue: usize,
        node: Option<&Node>,
        kind: ValueType,
    ) -> Option<u16> {
        let node = node?;
        let name = node.text()?;
        let plan = &self.plan.catalogues[catalogue];
        match plan.attributes.iter().position(|f| f.name == name) {
            Some(i) if plan.attributes[i].kind == kind => Some(i as u16),
            Some(i) => {
                let found = format!("`{name}` is {}", plan.attributes[i].kind.word());
                let write = format!("name an attribute of type {}", kind.word());
                self.report.at(node.at, Code::WrongType, found, write);
                None
            }
            None => {
                let owner = owner_of_items(&plan.name);
                if !self.declared.has_field(&owner, name) {
                    let names: Vec<String> =
                        plan.attributes.iter().map(|f| f.name.clone()).collect();
                    let known = names.iter().map(String::as_str);
                    self.report.unknown(node.at, "attribute", name, known);
                }
                None
            }
        }
    }

    /// Ladders of the items that the pack itself declares are read here, before anybody decides by them.
    fn check_ladders(&mut self, node: &Node, catalogue: usize, attribute: u16) {
        let items = &self.plan.catalogues[catalogue].items;
        let wrong = items
            .iter()
            .find_map(|item| match item.values.get(usize::from(attribute)) {
                Some(luopan_kernel::value::Value::Text(text)) if fee_ladder(text).is_none() => {
                    Some((item.key.clone(), text.clone().into_owned()))
                }
                _ => None,
            });
        if let Some((key, text)) = wrong {
            self.report.at(
                node.at,
                Code::WrongType,
                format!("the item `{}` has the fees `{}`", shown(&key), shown(&text)),
                "write rates by days held, ascending: \"7d 1.5%, 30d 1%, 180d 0.5%\"",
            );
        }
    }
}

/// Name of a slot of the customer's books.
fn book_name(catalogue: &str, tag: BookTag) -> String {
    format!("book.{catalogue}.{}", tag.word())
}

/// Name of a slot of customer and item together.
fn held_name(tag: HeldTag) -> String {
    format!("held.{}", tag.word())
}

fn is_side(one_of: &[String]) -> bool {
    !one_of.is_empty() && one_of.iter().all(|t| t == "buy" || t == "redeem")
}
