//! What names mean in a place: which slots (or, for events, fields) an expression may read there, their types, and why a
//! name that exists may not be read.

use super::ty::Ty;
use luopan_kernel::book::view::STAGES;
use luopan_kernel::plan::{
    Aggregate, EnvironmentTag, EventSchema, Expr, Field, Function, HeldTag, ScenePlan, SlotId,
    SlotSource,
};
use luopan_kernel::rule::visit_slots;
use luopan_kernel::trading::Phase;
use luopan_kernel::value::{Value, ValueType};
use std::collections::{BTreeMap, BTreeSet};

/// Where an expression stands, which says what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A derived tag, eligibility: customer, environment, request.
    Customer,
    /// A segment: customer only.
    Segment,
    /// Suitability, exclusion, cost: the item of the numbered catalogue too.
    Item(u16),
    /// Score, objective, feature, input of trees: what earlier stages gave the item too.
    Scored(u16),
}

/// Names and what they mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope<'a> {
    names: BTreeMap<String, (SlotId, Ty)>,
    /// Settings, read anywhere.
    constants: BTreeMap<String, (Value<'static>, Ty)>,
    hidden: BTreeMap<String, String>,
    /// What a name here is called in messages.
    pub(crate) what: &'a str,
    /// Slots of type duration that tell the time since something: a segment compares them with constants only.
    recency: Vec<SlotId>,
    /// Names whose own declaration is at fault: reading them says nothing new.
    broken: BTreeSet<String>,
    /// Beginnings of names that may be declared where nothing could be read; the empty one stands for names without a dot.
    presumed: Vec<&'static str>,
    /// The only texts that a slot or field can hold.
    allowed: BTreeMap<SlotId, BTreeSet<String>>,
}

/// Texts that slots of the request can hold, which a plan does not keep.
pub(crate) type RequestTexts = BTreeMap<SlotId, BTreeSet<String>>;

impl<'a> Scope<'a> {
    /// Fields of an event type.
    pub(crate) fn of_event(schema: &EventSchema) -> Self {
        let mut scope = Self {
            what: "field of this event",
            ..Self::default()
        };
        for (i, field) in schema.fields.iter().enumerate() {
            if field.personal {
                scope.hide_personal(&field.name);
            } else {
                let id = SlotId(i as u16);
                scope
                    .names
                    .insert(field.name.clone(), (id, field_ty(field)));
                if field.kind == ValueType::Text && !field.one_of.is_empty() {
                    scope
                        .allowed
                        .insert(id, field.one_of.iter().cloned().collect());
                }
            }
        }
        scope
    }

    /// A scope in which any name may be declared: of an event type that is not known.
    pub(crate) fn of_anything() -> Self {
        Self {
            what: "field of this event",
            presumed: vec![""],
            ..Self::default()
        }
    }

    /// Slots of a scene, as far as it is compiled.
    pub(crate) fn of_plan(plan: &ScenePlan, place: Place, request: &RequestTexts) -> Self {
        let mut scope = Self {
            what: "tag",
            allowed: request.clone(),
            ..Self::default()
        };
        for i in 0..plan.slots.len() {
            let id = SlotId(i as u16);
            if let Some(texts) = slot_texts(plan, id, &scope) {
                scope.allowed.insert(id, texts);
            }
        }
        for segment in &plan.segments {
            scope.hide_segment(&segment.name);
        }
        for event in plan
            .events
            .iter()
            .filter(|e| !e.name.starts_with("luopan."))
        {
            scope.hide_event(&event.name);
        }
        for (i, slot) in plan.slots.iter().enumerate() {
            let id = SlotId(i as u16);
            let why = match (&slot.source, place) {
                (
                    SlotSource::Item(c, _) | SlotSource::ItemKey(c) | SlotSource::Paired(c, _),
                    Place::Item(here) | Place::Scored(here),
                ) if *c == here => None,
                (
                    SlotSource::Item(..) | SlotSource::ItemKey(_) | SlotSource::Paired(..),
                    Place::Item(_) | Place::Scored(_),
                ) => continue,
                (SlotSource::Stage(_) | SlotSource::Intention(..), Place::Scored(_)) => None,
                (SlotSource::Intention(..), _) => Some(
                    "a prediction allows and forbids nothing: it is read in scores, features and inputs of trees only",
                ),
                (SlotSource::Stage(_), _) => Some(
                    "what a stage of scoring gave an item is read in scores, features and inputs of trees only",
                ),
                (SlotSource::Item(..) | SlotSource::ItemKey(_) | SlotSource::Paired(..), _) => {
                    Some(
                        "the item is read in suitability, exclusions, scores, costs, features of models and `derived` of its catalogue only",
                    )
                }
                (SlotSource::Held(o, _), Place::Item(here) | Place::Scored(here))
                    if (plan.orders.get(usize::from(*o))).is_some_and(|o| o.catalogue == here) =>
                {
                    None
                }
                (SlotSource::Held(..), Place::Item(_) | Place::Scored(_)) => continue,
                (SlotSource::Held(..), _) => Some(
                    "what is held of an item is read where the item is: in suitability, exclusions, scores and costs",
                ),
                (SlotSource::Book(_, tag), Place::Segment) if tag.moves_with_time() => Some(
                    "it changes with every moment: declare a tag with `aggregate: recency` over the confirmed orders and compare that",
                ),
                (SlotSource::Tag(t), Place::Segment) if is_sequence(plan, *t) => Some(
                    "its pauses come with the passing of time, and a segment is kept up to date by events",
                ),
                (_, Place::Segment) if !is_customers_own(plan, id) => Some(
                    "a segment is kept up to date by events and time alone, so it reads tags only",
                ),
                _ => None,
            };
            match why {
                None => {
                    scope
                        .names
                        .insert(slot.name.clone(), (id, slot_ty(plan, id)));
                }
                Some(why) => {
                    scope.hidden.insert(slot.name.clone(), why.to_owned());
                }
            }
            if place == Place::Segment && is_recency(plan, id) {
                scope.recency.push(id);
            }
        }
        if let Some(customer) = plan.event(luopan_kernel::event::CUSTOMER_TYPE) {
            for field in customer.fields.iter().filter(|f| f.personal) {
                scope.hide_personal(&field.name);
            }
        }
        scope
    }

    /// A segment is not a tag, and so is not read; whoever names one is told.
    pub(crate) fn hide_segment(&mut self, name: &str) {
        self.hidden.insert(
            name.to_owned(),
            "it is a segment, and expressions read tags: write its condition, or give the condition a name under `derived`"
                .to_owned(),
        );
    }

    /// Adds a name.
    pub(crate) fn add(&mut self, name: String, slot: SlotId, ty: Ty) {
        self.names.insert(name, (slot, ty));
    }

    /// Takes a name away, saying why.
    pub(crate) fn hide(&mut self, name: &str, why: &str) {
        if self.names.remove(name).is_some() {
            self.hidden.insert(name.to_owned(), why.to_owned());
        }
    }

    /// Says of a name that is not there yet why it may not be read.
    pub(crate) fn hide_later(&mut self, name: &str, why: &str) {
        self.hidden.insert(name.to_owned(), why.to_owned());
    }

    fn hide_event(&mut self, name: &str) {
        self.hidden.insert(
            name.to_owned(),
            format!(
                "it is a type of event, and expressions read tags: declare one, such as `{{event: {name}, aggregate: count}}`"
            ),
        );
    }

    fn hide_personal(&mut self, name: &str) {
        self.hidden.insert(
            name.to_owned(),
            "it is personal: sealed with the customer's own key before it is stored".to_owned(),
        );
    }

    /// The slot and type of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&(SlotId, Ty)> {
        self.names.get(name)
    }

    /// The value and type of a setting.
    pub(crate) fn constant(&self, name: &str) -> Option<&(Value<'static>, Ty)> {
        self.constants.get(name)
    }

    /// Names that stand for values.
    pub(crate) fn set_constants(&mut self, constants: &BTreeMap<String, (Value<'static>, Ty)>) {
        self.constants.clone_from(constants);
    }

    /// Marks names whose own declaration is at fault.
    pub(crate) fn set_broken<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) {
        self.broken.extend(names.into_iter().cloned());
    }

    /// Takes any name that begins so for declared: where it would stand could not be read.
    pub(crate) fn presume(&mut self, beginning: &'static str) {
        self.presumed.push(beginning);
    }

    /// Says which texts alone a slot or field can hold.
    pub(crate) fn allow(&mut self, slot: SlotId, texts: BTreeSet<String>) {
        self.allowed.insert(slot, texts);
    }

    /// The only texts that `expr` can give; none when it may give any.
    pub(crate) fn texts(&self, expr: &Expr) -> Option<BTreeSet<String>> {
        match expr {
            Expr::Const(Value::Text(text)) => Some([text.clone().into_owned()].into()),
            Expr::Slot(slot) => self.allowed.get(slot).cloned(),
            Expr::If(_, a, b) => Some(&self.texts(a)? | &self.texts(b)?),
            Expr::Select(_, entries) => entries
                .iter()
                .try_fold(BTreeSet::new(), |all, (_, e)| Some(&all | &self.texts(e)?)),
            Expr::Call(Function::OrElse, args) => args
                .iter()
                .try_fold(BTreeSet::new(), |all, a| Some(&all | &self.texts(a)?)),
            _ => None,
        }
    }

    /// True when the declaration of `name` is itself at fault, or stands where nothing could be read.
    pub(crate) fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
            || self.presumed.iter().any(|p| match *p {
                "" => !name.contains('.'),
                beginning => name.starts_with(beginning),
            })
    }

    /// Why a name that exists may not be read here.
    pub(crate) fn why_hidden(&self, name: &str) -> Option<&str> {
        self.hidden.get(name).map(String::as_str)
    }

    /// All names that may be read, and those that could be if their declaration were right.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.names
            .keys()
            .chain(self.constants.keys())
            .chain(&self.broken)
            .map(String::as_str)
            .collect()
    }

    /// True for the time since something, in a segment.
    pub(crate) fn is_recency(&self, slot: SlotId) -> bool {
        self.recency.contains(&slot)
    }
}

/// The type of a field.
pub(crate) fn field_ty(field: &Field) -> Ty {
    Ty::of(field.kind, field.currency.as_deref())
}

/// The type of a slot with its currency, found from what it is made of.
pub(crate) fn slot_ty(plan: &ScenePlan, id: SlotId) -> Ty {
    let Some(slot) = plan.slots.get(usize::from(id.0)) else {
        return Ty::Text;
    };
    let field_currency = |event: u16, of: Option<u16>| {
        plan.events
            .get(usize::from(event))
            .and_then(|e| e.fields.get(usize::from(of?)))
            .filter(|f| f.kind == ValueType::Money)
            .and_then(|f| f.currency.clone())
    };
    match &slot.source {
        SlotSource::Tag(t) => match plan.tags.get(usize::from(*t)) {
            Some(tag) => {
                let currency = field_currency(tag.event, tag.measure.of);
                let averaged = matches!(tag.aggregate, Aggregate::Mean | Aggregate::Ewma { .. });
                if averaged && currency.is_some() {
                    Ty::Money {
                        currency,
                        exact: false,
                    }
                } else {
                    Ty::of(slot.kind, currency.as_deref())
                }
            }
            None => Ty::of(slot.kind, None),
        },
        SlotSource::Derived(k) | SlotSource::Paired(_, k) => {
            let of = match &slot.source {
                SlotSource::Derived(_) => &plan.derived,
                _ => &plan.paired,
            };
            let mut currency = None;
            if slot.kind == ValueType::Money
                && let Some(expr) = of.get(usize::from(*k))
            {
                visit_slots(expr, &mut |read| {
                    if currency.is_none()
                        && let Ty::Money { currency: c, .. } = slot_ty(plan, read)
                    {
                        currency = c;
                    }
                });
            }
            Ty::of(slot.kind, currency.as_deref())
        }
        SlotSource::Environment(_)
        | SlotSource::Market(_)
        | SlotSource::Intention(..)
        | SlotSource::Request
        | SlotSource::ItemKey(_)
        | SlotSource::Stage(_) => Ty::of(slot.kind, None),
        SlotSource::Book(o, _) | SlotSource::Held(o, _) => {
            let orders = plan.orders.get(usize::from(*o));
            Ty::of(slot.kind, orders.map(|o| o.currency.as_str()))
        }
        SlotSource::Item(c, a) => plan
            .catalogues
            .get(usize::from(*c))
            .and_then(|c| c.attributes.get(usize::from(*a)))
            .map_or(Ty::of(slot.kind, None), field_ty),
    }
}

/// The only texts that a slot can hold, as far as its declaration says.
fn slot_texts(plan: &ScenePlan, id: SlotId, scope: &Scope<'_>) -> Option<BTreeSet<String>> {
    let slot = plan.slots.get(usize::from(id.0))?;
    if slot.kind != ValueType::Text {
        return None;
    }
    let of_field = |field: &Field| {
        (!field.one_of.is_empty()).then(|| field.one_of.iter().cloned().collect::<BTreeSet<_>>())
    };
    match &slot.source {
        SlotSource::Tag(t) => {
            let tag = plan.tags.get(usize::from(*t))?;
            if !matches!(tag.aggregate, Aggregate::Last | Aggregate::First) {
                return None;
            }
            let event = plan.events.get(usize::from(tag.event))?;
            let mut texts = of_field(event.fields.get(usize::from(tag.measure.of?))?)?;
            if let Value::Text(default) = &tag.default {
                texts.insert(default.clone().into_owned());
            }
            Some(texts)
        }
        SlotSource::Derived(d) => scope.texts(plan.derived.get(usize::from(*d))?),
        SlotSource::Paired(_, k) => scope.texts(plan.paired.get(usize::from(*k))?),
        SlotSource::Item(c, a) => of_field(
            plan.catalogues
                .get(usize::from(*c))?
                .attributes
                .get(usize::from(*a))?,
        ),
        SlotSource::Environment(EnvironmentTag::TradingPhase(_)) => {
            Some(Phase::ALL.iter().map(|p| p.word().to_owned()).collect())
        }
        SlotSource::Held(_, HeldTag::Stage) => Some(STAGES.map(str::to_owned).into()),
        SlotSource::Book(..) | SlotSource::Held(..) => None,
        // Imports add items, and the texts of a request are told by the pack alone.
        SlotSource::ItemKey(_)
        | SlotSource::Environment(_)
        | SlotSource::Market(_)
        | SlotSource::Intention(..)
        | SlotSource::Request
        | SlotSource::Stage(_) => None,
    }
}

/// True when the slot depends on events and time alone, not on the environment, a request or an item.
fn is_customers_own(plan: &ScenePlan, id: SlotId) -> bool {
    every_source(plan, id, &mut |s| match s {
        SlotSource::Tag(t) => !is_sequence(plan, *t),
        SlotSource::Derived(_) => true,
        SlotSource::Book(_, tag) => !tag.moves_with_time(),
        _ => false,
    })
}

fn is_sequence(plan: &ScenePlan, tag: u16) -> bool {
    (plan.tags.get(usize::from(tag)))
        .is_some_and(|t| matches!(t.aggregate, Aggregate::Sequence { .. }))
}

/// True when the slot is a recency, or is derived from one.
fn is_recency(plan: &ScenePlan, id: SlotId) -> bool {
    match plan.slots.get(usize::from(id.0)).map(|s| &s.source) {
        Some(SlotSource::Tag(t)) => plan
            .tags
            .get(usize::from(*t))
            .is_some_and(|t| t.aggregate == Aggregate::Recency),
        Some(SlotSource::Derived(d)) => plan
            .derived
            .get(usize::from(*d))
            .is_some_and(|e| yields_recency(plan, e)),
        _ => false,
    }
}

/// True when the value of `expr` moves with the clock: a recency that no comparison has turned into a truth.
fn yields_recency(plan: &ScenePlan, expr: &Expr) -> bool {
    match expr {
        Expr::Slot(id) => is_recency(plan, *id),
        Expr::Const(_) | Expr::In(..) => false,
        Expr::Unary(_, x) => yields_recency(plan, x),
        Expr::Binary(op, a, b) => {
            use luopan_kernel::plan::BinaryOp::{Add, Div, Mul, Rem, Sub};
            matches!(op, Add | Sub | Mul | Div | Rem)
                && (yields_recency(plan, a) || yields_recency(plan, b))
        }
        Expr::If(_, a, b) => yields_recency(plan, a) || yields_recency(plan, b),
        Expr::Select(_, entries) => entries.iter().any(|(_, e)| yields_recency(plan, e)),
        Expr::Call(Function::Known, _) => false,
        Expr::Call(_, args) => args.iter().any(|a| yields_recency(plan, a)),
    }
}

/// True when every source that `id` is made of passes.
pub(crate) fn every_source(
    plan: &ScenePlan,
    id: SlotId,
    passes: &mut dyn FnMut(&SlotSource) -> bool,
) -> bool {
    // Derived tags read earlier slots only, so marking downward from `id` visits each slot once.
    let mut wanted = vec![false; plan.slots.len()];
    if let Some(w) = wanted.get_mut(usize::from(id.0)) {
        *w = true;
    }
    for i in (0..plan.slots.len()).rev() {
        if !wanted[i] {
            continue;
        }
        if !passes(&plan.slots[i].source) {
            return false;
        }
        if let SlotSource::Derived(d) = plan.slots[i].source
            && let Some(expr) = plan.derived.get(usize::from(d))
        {
            visit_slots(expr, &mut |read| {
                if let Some(w) = wanted.get_mut(usize::from(read.0)) {
                    *w = true;
                }
            });
        }
    }
    true
}
