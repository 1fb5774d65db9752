//! The slots of a candidate item, alone or beside a customer's: attributes, stages of scoring, and what is computed of both.

use super::{CustomerSlots, SlotSet};
use crate::plan::ScenePlan;
use crate::plan::rule::Expr;
use crate::plan::slot::{SlotId, SlotSource, Stage};
use crate::rule::{Lookup, MISSING, eval, visit_slots};
use crate::value::Value;

/// Which of a scene's slots tell of an item of one catalogue, and what each tells.
#[derive(Debug, Clone)]
pub struct ItemSlots {
    /// By slot number: attribute index, or one of the marks.
    attribute: Vec<u32>,
    /// Expressions of customer and item, by place.
    paired: Vec<Expr>,
}

/// Whom an expression asks: the customer (environment and request with it), the product, both, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// A slot of customer, environment or request, or of customer and item together: but for the few items held, such a
    /// slot is the customer's.
    pub customer: bool,
    /// A slot of the item.
    pub product: bool,
    /// A slot of customer and item together.
    pub pair: bool,
}

const OF_CUSTOMER: u32 = u32::MAX;
const KEY: u32 = u32::MAX - 1;
const RETRIEVED: u32 = u32::MAX - 2;
const RANKED: u32 = u32::MAX - 3;
const PAIR: u32 = u32::MAX - 4;
/// The first of the places of expressions of customer and item. There are no more attributes than numbers below it.
const PAIRED: u32 = 1 << 24;
/// Of customer and item, and read by nobody.
const UNREAD: u32 = u32::MAX - 5;

/// What the stages of scoring gave a candidate so far: retrieved, ranked.
pub type Stages = [Value<'static>; 2];

/// No stage gave anything.
pub const NO_STAGES: &Stages = &[Value::Missing, Value::Missing];

impl ItemSlots {
    /// The item slots of catalogue number `catalogue`.
    pub fn new(scene: &ScenePlan, catalogue: u16) -> Self {
        let mut paired = Vec::new();
        Self {
            attribute: (scene.slots.iter())
                .map(|s| match s.source {
                    SlotSource::Paired(c, k) if c == catalogue => {
                        let Some(expr) = scene.paired.get(usize::from(k)) else {
                            return OF_CUSTOMER;
                        };
                        paired.push(expr.clone());
                        PAIRED + (paired.len() - 1) as u32
                    }
                    SlotSource::Item(c, a) if c == catalogue => u32::from(a),
                    SlotSource::ItemKey(c) if c == catalogue => KEY,
                    SlotSource::Stage(Stage::Retrieved) => RETRIEVED,
                    SlotSource::Stage(Stage::Ranked) => RANKED,
                    SlotSource::Held(o, _)
                        if (scene.orders.get(usize::from(o)))
                            .is_some_and(|o| o.catalogue == catalogue) =>
                    {
                        PAIR
                    }
                    _ => OF_CUSTOMER,
                })
                .collect(),
            paired,
        }
    }

    /// The same, without the expressions of customer and item that `read` does not hold: they are missing, and not computed.
    pub fn reading(mut self, read: &SlotSet) -> Self {
        let mut kept = Vec::new();
        for (i, place) in self.attribute.iter_mut().enumerate() {
            if (PAIRED..UNREAD).contains(place) {
                let expr = self.paired.get((*place - PAIRED) as usize);
                *place = match expr.filter(|_| read.contains(SlotId(i as u16))) {
                    Some(expr) => {
                        kept.push(expr.clone());
                        PAIRED + (kept.len() - 1) as u32
                    }
                    None => UNREAD,
                };
            }
        }
        self.paired = kept;
        self
    }

    /// The value of slot `id` for an item with this key and these attributes; none for a slot of the customer.
    fn of_item<'v>(
        &self,
        id: SlotId,
        key: &'v Value<'v>,
        item: &'v [Value<'v>],
        stages: &'v Stages,
        paired: &'v [Value<'static>],
    ) -> Option<&'v Value<'v>> {
        match self.attribute.get(usize::from(id.0)) {
            None | Some(&(OF_CUSTOMER | PAIR)) => None,
            Some(&UNREAD) => Some(&MISSING),
            Some(&place) if (PAIRED..UNREAD).contains(&place) => {
                Some(paired.get((place - PAIRED) as usize).unwrap_or(&MISSING))
            }
            Some(&KEY) => Some(key),
            Some(&RETRIEVED) => Some(&stages[0]),
            Some(&RANKED) => Some(&stages[1]),
            Some(attribute) => Some(item.get(*attribute as usize).unwrap_or(&MISSING)),
        }
    }

    /// Whom an expression asks.
    pub fn asked(&self, expr: &Expr) -> Asked {
        let mut out = Asked::default();
        visit_slots(expr, &mut |id| {
            let (is_pair, is_paired) = (self.is_pair(id), self.is_paired(id));
            out.product |= self.contains(id) && !is_pair;
            out.customer |= !self.contains(id) || is_pair || is_paired;
            out.pair |= is_pair;
        });
        out
    }

    /// True when slot `id` tells of customer and item together.
    pub fn is_pair(&self, id: SlotId) -> bool {
        self.attribute.get(usize::from(id.0)) == Some(&PAIR)
    }

    /// True when slot `id` is computed of customer and item.
    pub fn is_paired(&self, id: SlotId) -> bool {
        (self.attribute.get(usize::from(id.0))).is_some_and(|a| (PAIRED..=UNREAD).contains(a))
    }

    /// True when slot `id` tells of the item, alone or together with the customer.
    pub fn contains(&self, id: SlotId) -> bool {
        (self.attribute.get(usize::from(id.0))).is_some_and(|a| *a != OF_CUSTOMER)
    }
}

/// The slots of a customer and one candidate item together.
#[derive(Debug, Clone)]
pub struct ItemLookup<'l> {
    /// The customer's.
    pub customer: &'l CustomerSlots<'l>,
    /// Which slots are the item's.
    pub slots: &'l ItemSlots,
    /// The item's key, a text.
    pub key: &'l Value<'l>,
    /// The item's attributes in the catalogue's order; those past the end are missing.
    pub item: &'l [Value<'l>],
    /// What the stages of scoring gave it so far.
    pub stages: &'l Stages,
    /// What is computed of both, by the places of `slots`; those past the end are missing.
    pub paired: Vec<Value<'static>>,
}

impl<'l> ItemLookup<'l> {
    /// The slots of `customer` and the item of this key and these attributes (the null action has none), with what is computed of
    /// both. Without such slots nothing is allocated.
    pub fn new(
        customer: &'l CustomerSlots<'l>,
        slots: &'l ItemSlots,
        key: &'l Value<'l>,
        item: &'l [Value<'l>],
        stages: &'l Stages,
    ) -> Self {
        let mut out = Self {
            customer,
            slots,
            key,
            item,
            stages,
            paired: Vec::new(),
        };
        // Each may read those before it.
        for expr in &slots.paired {
            let value = eval(expr, &out).into_owned();
            out.paired.push(value);
        }
        out
    }

    /// The same, where slots of customer and item together hold what was recorded of them.
    pub fn as_recorded(mut self, value: impl Fn(SlotId) -> Value<'static>) -> Self {
        self.paired = vec![Value::Missing; self.slots.paired.len()];
        for (i, place) in self.slots.attribute.iter().enumerate() {
            let place = place.checked_sub(PAIRED).map(|p| p as usize);
            if let Some(held) = place.and_then(|p| self.paired.get_mut(p)) {
                *held = value(SlotId(i as u16));
            }
        }
        self
    }
}

impl Lookup for ItemLookup<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        match (self.slots).of_item(id, self.key, self.item, self.stages, &self.paired) {
            Some(value) => value,
            None => match self.key {
                Value::Text(key) if self.slots.is_pair(id) => {
                    let held = self.customer.held.get(key, id);
                    held.unwrap_or_else(|| self.customer.slot(id))
                }
                _ => self.customer.slot(id),
            },
        }
    }
}

/// The slots of an item alone: those of the customer are missing.
#[derive(Debug, Clone, Copy)]
pub struct AloneLookup<'l> {
    /// Which slots are the item's.
    pub slots: &'l ItemSlots,
    /// The item's key, a text.
    pub key: &'l Value<'l>,
    /// The item's attributes in the catalogue's order; those past the end are missing.
    pub item: &'l [Value<'l>],
}

impl Lookup for AloneLookup<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        self.slots
            .of_item(id, self.key, self.item, NO_STAGES, &[])
            .unwrap_or(&MISSING)
    }
}
