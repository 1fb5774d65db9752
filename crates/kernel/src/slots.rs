//! Reading slots: the values of tags (merged over the linked profiles of a customer), derived tags, environment and request at
//! one moment, and the slots of a candidate item beside them.
//!
//! Reading never changes a profile and never guesses: what is outside a calendar, absent from the request or of another type
//! than declared is missing.

use crate::artifact::{Artifacts, NONE};
use crate::book::view::{Reading, not_held};
use crate::book::{Book, positions, summary};
use crate::catalogue::Catalogue;
use crate::fold::Unit;
use crate::plan::model::FeaturePlan;
use crate::plan::orders::HeldTag;
use crate::plan::policy::{ObjectiveValue, PolicyPlan, RankingInput, Scorer};
use crate::plan::rule::Expr;
use crate::plan::slot::{Calendar, EnvironmentTag, SlotId, SlotPlan, SlotSource, Stage};
use crate::plan::tag::{Aggregate, PAUSE, TagPlan};
use crate::plan::{EventSchema, IntentionPlan, ScenePlan};
use crate::profile::{Act, Held, Profile, State, Sum, combined};
use crate::rule::{Lookup, MISSING, borrow, eval, visit_slots};
use crate::time::{Micros, Moment};
use crate::value::{Value, ValueType, from_quanta};
use std::borrow::Cow;

/// A set of a scene's slots, closed over what its derived tags read, so that a policy or segment computes those and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSet {
    bits: Vec<u64>,
    /// In order of computation: plain slots, then derived tags in their order.
    order: Vec<SlotId>,
}

impl SlotSet {
    /// The slots `wanted` and all that they are derived from.
    pub fn new(scene: &ScenePlan, wanted: impl IntoIterator<Item = SlotId>) -> Self {
        let mut set = Self {
            bits: vec![0; scene.slots.len().div_ceil(64)],
            order: Vec::new(),
        };
        let mut open: Vec<SlotId> = wanted.into_iter().collect();
        while let Some(id) = open.pop() {
            let Some(slot) = scene.slots.get(usize::from(id.0)) else {
                continue;
            };
            if set.contains(id) {
                continue;
            }
            set.bits[usize::from(id.0) / 64] |= 1 << (id.0 % 64);
            set.order.push(id);
            if let SlotSource::Derived(k) = slot.source
                && let Some(expr) = scene.derived.get(usize::from(k))
            {
                visit_slots(expr, &mut |read| open.push(read));
            }
            if let SlotSource::Paired(_, k) = slot.source
                && let Some(expr) = scene.paired.get(usize::from(k))
            {
                visit_slots(expr, &mut |read| open.push(read));
            }
            // What an intention is predicted from is read beside it, so that it can be predicted again.
            if let SlotSource::Intention(k, _) = slot.source
                && let Some(intention) = scene.intentions.get(usize::from(k))
            {
                let is_read = |s: &SlotPlan| s.source == SlotSource::Tag(intention.sequence);
                let place = scene.slots.iter().position(is_read);
                open.extend(place.map(|i| SlotId(i as u16)));
            }
        }
        set.order
            .sort_by_key(|id| match scene.slots[usize::from(id.0)].source {
                SlotSource::Derived(k) => (1, k, id.0),
                _ => (0, 0, id.0),
            });
        set
    }

    /// Every slot of the scene.
    pub fn all(scene: &ScenePlan) -> Self {
        Self::new(scene, (0..scene.slots.len() as u16).map(SlotId))
    }

    /// The slots that `exprs` read.
    pub fn reading<'e>(scene: &ScenePlan, exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut wanted = Vec::new();
        for expr in exprs {
            visit_slots(expr, &mut |id| wanted.push(id));
        }
        Self::new(scene, wanted)
    }

    /// The slots that the gates of the customer read: all that is looked at of a customer whom one of them refuses. With
    /// `rules_of_items` also those of suitability and exclusions, by which an item that was asked for is judged even then.
    pub fn of_gates(scene: &ScenePlan, policy: &PolicyPlan, rules_of_items: bool) -> Self {
        Self::new(scene, gate_slots(policy, rules_of_items))
    }

    /// The slots that a policy reads: its rules, consent, costs, and its scorer with the model's features.
    pub fn of_policy(scene: &ScenePlan, policy: &PolicyPlan) -> Self {
        let mut wanted = gate_slots(policy, true);
        let mut read = |expr: &Expr| visit_slots(expr, &mut |id| wanted.push(id));
        policy.budgets.iter().for_each(|b| read(&b.cost));
        let model = |name: &str, wanted: &mut Vec<SlotId>| {
            (scene.models.iter())
                .filter(|m| m.name == *name)
                .flat_map(|m| &m.features)
                .for_each(|f| feature_slots(&f.plan, wanted));
        };
        match &policy.scorer {
            Scorer::Expression(expr) => read(expr),
            Scorer::Model(name) => model(name, &mut wanted),
            Scorer::Objectives(o) => {
                o.groups.iter().for_each(|g| read(&g.rule.expr));
                for objective in &o.objectives {
                    match &objective.value {
                        ObjectiveValue::Expression(expr) => {
                            visit_slots(expr, &mut |id| wanted.push(id));
                        }
                        ObjectiveValue::Model(name) => model(name, &mut wanted),
                    }
                }
            }
        }
        if let Some(retrieval) = &policy.retrieval {
            (retrieval.customer.iter().chain(&retrieval.item))
                .for_each(|f| feature_slots(f, &mut wanted));
            wanted.extend(retrieval.each.map(|e| e.by));
        }
        for input in policy.ranking.iter().flat_map(|r| &r.inputs) {
            match input {
                RankingInput::Number(slot) | RankingInput::Category { slot, .. } => {
                    wanted.push(*slot);
                }
            }
        }
        wanted.extend(policy.diversity.as_ref().map(|d| d.by));
        Self::new(scene, wanted)
    }

    /// The slots that these features read.
    pub fn of_features(scene: &ScenePlan, features: &[FeaturePlan]) -> Self {
        let mut wanted = Vec::new();
        features.iter().for_each(|f| feature_slots(f, &mut wanted));
        Self::new(scene, wanted)
    }

    /// True when `id` is in the set.
    pub fn contains(&self, id: SlotId) -> bool {
        (self.bits.get(usize::from(id.0) / 64)).is_some_and(|w| w >> (id.0 % 64) & 1 == 1)
    }

    /// The slots, in the order in which they are computed.
    pub fn iter(&self) -> impl Iterator<Item = SlotId> {
        self.order.iter().copied()
    }
}

fn gate_slots(policy: &PolicyPlan, rules_of_items: bool) -> Vec<SlotId> {
    let mut out: Vec<SlotId> = policy.consent.into_iter().collect();
    let of_items = (policy.suitability.iter().chain(&policy.exclusions)).filter(|_| rules_of_items);
    for rule in policy.eligibility.iter().chain(of_items) {
        visit_slots(&rule.expr, &mut |id| out.push(id));
    }
    out
}

fn feature_slots(feature: &FeaturePlan, out: &mut Vec<SlotId>) {
    match feature {
        FeaturePlan::Intercept => {}
        FeaturePlan::Standard { slot, .. }
        | FeaturePlan::OneHot { slot, .. }
        | FeaturePlan::Bins { slot, .. } => out.push(*slot),
        FeaturePlan::Cross { left, right } => {
            feature_slots(left, out);
            feature_slots(right, out);
        }
    }
}

/// The values of a customer's slots at one moment, by slot number. Slots of items are missing; slots of customer and item
/// together show here what they show of an item that the customer has nothing to do with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CustomerSlots<'a> {
    /// By slot number.
    pub values: Vec<Value<'a>>,
    /// What differs for the items that the customer holds or has ordered.
    pub held: HeldItems,
}

/// The values of slots of customer and item together, for the few items that the customer holds, held or has ordered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeldItems {
    /// Slots, ascending.
    slots: Vec<SlotId>,
    /// Ascending by key; values in the order of `slots`.
    rows: Vec<(String, Vec<Value<'static>>)>,
}

impl HeldItems {
    /// These slots of these items. Every row has a value for each slot.
    pub fn new(slots: Vec<SlotId>, rows: Vec<(String, Vec<Value<'static>>)>) -> Self {
        let mut order: Vec<usize> = (0..slots.len()).collect();
        order.sort_by_key(|i| slots[*i]);
        let sorted = |values: Vec<Value<'static>>| {
            (order.iter())
                .map(|i| values.get(*i).cloned().unwrap_or_default())
                .collect()
        };
        let mut rows: Vec<_> = (rows.into_iter())
            .map(|(key, v)| (key, sorted(v)))
            .collect();
        rows.sort_by(|(a, _): &(String, Vec<_>), (b, _)| a.cmp(b));
        Self {
            slots: order.iter().map(|i| slots[*i]).collect(),
            rows,
        }
    }

    /// Keys of the items, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(key, _)| key.as_str())
    }

    /// The slots, ascending.
    pub fn slots(&self) -> &[SlotId] {
        &self.slots
    }

    /// The value of slot `id` for the item `key`; none when the customer has nothing to do with it.
    pub fn get(&self, key: &str, id: SlotId) -> Option<&Value<'static>> {
        let row = (self.rows)
            .binary_search_by(|(k, _)| k.as_str().cmp(key))
            .ok()?;
        let slot = self.slots.binary_search(&id).ok()?;
        self.rows[row].1.get(slot)
    }
}

/// What is known beside the customer, the moment and the request.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// What [`crate::market::values`] made of the scene's catalogues; past its end nothing is known.
    pub market: &'a [Value<'static>],
    /// The scene's artifacts; what is predicted by one that is not there is not known.
    pub artifacts: &'a Artifacts,
}

impl Default for Around<'_> {
    /// Nothing.
    fn default() -> Self {
        Self {
            market: &[],
            artifacts: &NONE,
        }
    }
}

/// The probabilities of an intention's classes after what its sequence tells; nothing where nothing was done yet, or without the
/// model.
pub(crate) fn predicted(
    plan: &IntentionPlan,
    sequence: &Value<'_>,
    artifacts: &Artifacts,
) -> Vec<f64> {
    match (sequence, artifacts.sequence(plan.artifact)) {
        (Value::Text(acts), Some(model)) => model.predict_text(acts),
        _ => Vec::new(),
    }
}

impl<'a> CustomerSlots<'a> {
    /// Reads every slot of `scene`. `profiles` are those of the customer's linked identifiers (none for a customer never
    /// seen); `request` holds the context fields of the request by name.
    pub fn read(
        scene: &'a ScenePlan,
        profiles: &[&'a Profile],
        moment: Moment,
        request: &'a [(Cow<'a, str>, Value<'a>)],
    ) -> Self {
        Self::read_only(scene, &SlotSet::all(scene), profiles, moment, request)
    }

    /// Reads the slots of `set` and leaves the others missing, and so those of the market.
    pub fn read_only(
        scene: &'a ScenePlan,
        set: &SlotSet,
        profiles: &[&'a Profile],
        moment: Moment,
        request: &'a [(Cow<'a, str>, Value<'a>)],
    ) -> Self {
        Self::read_within(scene, set, profiles, moment, request, Around::default())
    }

    /// Reads the slots of `set` and leaves the others missing.
    pub fn read_within(
        scene: &'a ScenePlan,
        set: &SlotSet,
        profiles: &[&'a Profile],
        moment: Moment,
        request: &'a [(Cow<'a, str>, Value<'a>)],
        around: Around<'a>,
    ) -> Self {
        let sorted;
        let profiles = if profiles.is_sorted_by_key(|p| p.identifier) {
            profiles
        } else {
            let mut order = profiles.to_vec();
            order.sort_by_key(|p| p.identifier);
            sorted = order;
            &sorted
        };
        let mut values = vec![Value::Missing; scene.slots.len()];
        let mut books = vec![None; scene.orders.len()];
        let mut intentions: Vec<Option<Vec<f64>>> = vec![None; scene.intentions.len()];
        for id in set.iter() {
            let place = usize::from(id.0);
            let slot = &scene.slots[place];
            values[place] = match slot.source {
                SlotSource::Tag(k) => match scene.tags.get(usize::from(k)) {
                    Some(tag) => tag_value(scene, usize::from(k), tag, profiles, moment.now),
                    None => Value::Missing,
                },
                SlotSource::Derived(k) => match scene.derived.get(usize::from(k)) {
                    Some(expr) => eval(expr, values.as_slice()).into_owned(),
                    None => Value::Missing,
                },
                SlotSource::Environment(tag) => environment(tag, &scene.calendars, moment),
                SlotSource::Request => requested(&slot.name, slot.kind, request),
                SlotSource::Item(..)
                | SlotSource::ItemKey(_)
                | SlotSource::Stage(_)
                | SlotSource::Paired(..) => Value::Missing,
                SlotSource::Market(k) => {
                    (around.market.get(usize::from(k))).map_or(Value::Missing, borrow)
                }
                SlotSource::Intention(k, class) => {
                    let k = usize::from(k);
                    let intention = scene.intentions.get(k).and_then(|plan| {
                        let tag = scene.tags.get(usize::from(plan.sequence))?;
                        Some((plan, tag))
                    });
                    match intention {
                        None => Value::Missing,
                        Some((plan, tag)) => {
                            let p = intentions[k].get_or_insert_with(|| {
                                let place = usize::from(plan.sequence);
                                let acts = tag_value(scene, place, tag, profiles, moment.now);
                                predicted(plan, &acts, around.artifacts)
                            });
                            (p.get(usize::from(class)).copied())
                                .map_or(Value::Missing, Value::Number)
                        }
                    }
                }
                SlotSource::Book(o, tag) => match scene.orders.get(usize::from(o)) {
                    Some(orders) => (books[usize::from(o)])
                        .get_or_insert_with(|| {
                            summary(&books_of(profiles, orders.id), orders.minor_digits)
                        })
                        .read(tag, moment.now),
                    None => Value::Missing,
                },
                SlotSource::Held(_, tag) => not_held(tag),
            };
        }
        Self {
            values,
            held: HeldItems::default(),
        }
    }

    /// Reads the slots of customer and item together, as far as they are in `set`, for every item of the numbered catalogue
    /// that the customer holds, held or has ordered. An item that is no longer in `catalogue` is no candidate and is
    /// passed over; it stays held.
    pub fn hold(
        &mut self,
        scene: &ScenePlan,
        set: &SlotSet,
        number: u16,
        catalogue: &Catalogue,
        profiles: &[&Profile],
        moment: Moment,
    ) {
        let Some(place) = scene.orders.iter().position(|o| o.catalogue == number) else {
            return;
        };
        let orders = &scene.orders[place];
        let wanted: Vec<(SlotId, HeldTag)> = (set.iter())
            .filter_map(|id| match scene.slots.get(usize::from(id.0))?.source {
                SlotSource::Held(o, tag) if usize::from(o) == place => Some((id, tag)),
                _ => None,
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        let mut order = profiles.to_vec();
        order.sort_by_key(|p| p.identifier);
        let books = books_of(&order, orders.id);
        let items = ItemSlots::new(scene, number);
        let reading = Reading {
            orders,
            slots: &items,
            calendar: (orders.calendar).and_then(|c| scene.calendars.get(usize::from(c))),
            now: moment.now,
        };
        let rows = (positions(&books).iter())
            .filter_map(|(key, position)| {
                let item = catalogue.values(catalogue.row(key)?);
                let values = wanted
                    .iter()
                    .map(|(_, tag)| reading.read(*tag, key, position, item));
                Some(((*key).to_owned(), values.collect()))
            })
            .collect();
        self.held = HeldItems::new(wanted.into_iter().map(|(id, _)| id).collect(), rows);
    }
}

/// The books of the orders `id` in `profiles`.
fn books_of<'a>(profiles: &[&'a Profile], id: u64) -> Vec<&'a Book> {
    profiles.iter().filter_map(|p| p.book(id)).collect()
}

impl Lookup for CustomerSlots<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        self.values.get(usize::from(id.0)).unwrap_or(&MISSING)
    }
}

/// The value of the tag at index `place` of the scene, merged over `profiles` (in order of identifier), as of `as_of`.
/// The declared default stands where nothing was seen.
pub fn tag_value<'a>(
    scene: &'a ScenePlan,
    place: usize,
    tag: &'a TagPlan,
    profiles: &[&'a Profile],
    as_of: Micros,
) -> Value<'a> {
    match combined(cells(profiles, place, tag), tag, as_of) {
        None => borrow(&tag.default),
        Some(state) => shown(state, tag, scene.events.get(usize::from(tag.event)), as_of),
    }
}

/// What a merged state shows at `as_of` as the tag's value.
fn shown<'a>(
    state: Cow<'a, State>,
    tag: &'a TagPlan,
    event: Option<&EventSchema>,
    as_of: Micros,
) -> Value<'a> {
    match state {
        Cow::Borrowed(State::First(v) | State::Last(v)) => borrow(&v.value),
        Cow::Owned(State::First(v) | State::Last(v)) => v.value,
        other => match other.as_ref() {
            State::Count(n) => whole(i128::from(*n), tag.kind),
            State::Sum(sum) => {
                let unit = Unit::of(&tag.measure, event);
                match tag.aggregate {
                    Aggregate::Mean => mean(sum, unit, tag.kind),
                    _ => total(sum, unit, tag.kind),
                }
            }
            State::Least(v) | State::Greatest(v) => v.value(),
            State::Distinct(d) => whole(i128::from(d.estimate()), tag.kind),
            State::Latest(at) => Value::Int(as_of.since(*at).max(0)),
            State::Ewma(e) => number(e.mean(), tag.kind),
            State::Ratio(sums) => {
                let Aggregate::Ratio { denominator } = &tag.aggregate else {
                    return Value::Missing;
                };
                let parts = as_number(&sums[0], Unit::of(&tag.measure, event))
                    .zip(as_number(&sums[1], Unit::of(denominator, event)));
                match parts {
                    Some((n, d)) if d != 0.0 => number(n / d, tag.kind),
                    _ => Value::Missing,
                }
            }
            State::Quantile(sketch) => {
                let Aggregate::Quantile { millionths, .. } = tag.aggregate else {
                    return Value::Missing;
                };
                match (sketch.quantile(millionths), Unit::of(&tag.measure, event)) {
                    (None, _) => borrow(&tag.default),
                    (Some(units), Unit::Whole) => whole(units, tag.kind),
                    (Some(units), Unit::Quanta) => number(from_quanta(units), tag.kind),
                }
            }
            State::Sequence(recent) => {
                Value::Text(Cow::Owned(told(recent.acts(), &tag.aggregate, as_of)))
            }
            State::First(_) | State::Last(_) => Value::Missing,
        },
    }
}

/// Acts as a text of words, with pauses between acts and, when the newest is long past, at the end. An act of a fast clock is
/// not in the future: nothing was paused.
fn told(acts: &[Act], aggregate: &Aggregate, as_of: Micros) -> String {
    let Aggregate::Sequence {
        pause_us, steps, ..
    } = aggregate
    else {
        return String::new();
    };
    let mut out = String::new();
    let mut say = |word: &str| {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    };
    let paused = |from: Micros, to: Micros| pause_us.is_some_and(|us| to.since(from) >= us);
    let mut before: Option<Micros> = None;
    for act in acts {
        if before.is_some_and(|b| paused(b, act.at)) {
            say(PAUSE);
        }
        before = Some(act.at);
        if let Some(step) = steps.get(usize::from(act.word)) {
            say(&step.word);
        }
    }
    if before.is_some_and(|b| paused(b, as_of)) {
        say(PAUSE);
    }
    out
}

fn as_number(sum: &Sum, unit: Unit) -> Option<f64> {
    sum.units().map(|units| match unit {
        Unit::Whole => units as f64,
        Unit::Quanta => from_quanta(units),
    })
}

fn total(sum: &Sum, unit: Unit, kind: ValueType) -> Value<'static> {
    match (sum.units(), unit) {
        (None, _) => Value::Missing,
        (Some(units), Unit::Whole) => whole(units, kind),
        (Some(units), Unit::Quanta) => number(from_quanta(units), kind),
    }
}

/// The mean: for a number the quotient of the nearest numbers, for anything counted in whole units the exact quotient
/// rounded half to even.
fn mean(sum: &Sum, unit: Unit, kind: ValueType) -> Value<'static> {
    let (Some(units), count) = (sum.units(), i128::from(sum.count())) else {
        return Value::Missing;
    };
    if count == 0 {
        return Value::Missing;
    }
    if unit == Unit::Quanta || kind == ValueType::Number {
        return match as_number(sum, unit) {
            Some(sum) => number(sum / count as f64, kind),
            None => Value::Missing,
        };
    }
    let (quotient, rest) = (units.div_euclid(count), units.rem_euclid(count));
    let up = match (2 * rest).cmp(&count) {
        core::cmp::Ordering::Less => 0,
        core::cmp::Ordering::Equal => quotient & 1,
        core::cmp::Ordering::Greater => 1,
    };
    whole(quotient + up, kind)
}

/// Whole units as a value of type `kind`; missing when they do not fit it.
fn whole(units: i128, kind: ValueType) -> Value<'static> {
    match kind {
        ValueType::Number => Value::Number(units as f64),
        ValueType::Time => i64::try_from(units).map_or(Value::Missing, |t| Value::Time(Micros(t))),
        _ => i64::try_from(units).map_or(Value::Missing, Value::Int),
    }
}

/// A number as a value of type `kind`, rounded half to even where that is whole.
fn number(v: f64, kind: ValueType) -> Value<'static> {
    if !v.is_finite() {
        return Value::Missing;
    }
    match kind {
        ValueType::Number => Value::Number(v),
        // Every number within the bound of intake fits 128 bits; the cast holds others at the ends, which do not fit 64.
        _ => whole(libm::rint(v) as i128, kind),
    }
}

fn requested<'a>(
    name: &str,
    kind: ValueType,
    request: &'a [(Cow<'a, str>, Value<'a>)],
) -> Value<'a> {
    let field = name.strip_prefix("request.").unwrap_or(name);
    match request.iter().find(|(n, _)| n.as_ref() == field) {
        Some((_, value)) if value.fits(kind) => borrow(value),
        _ => Value::Missing,
    }
}

/// The value of an environment slot.
pub(crate) fn environment(
    tag: EnvironmentTag,
    calendars: &[Calendar],
    moment: Moment,
) -> Value<'static> {
    let calendar = |number: u16| calendars.get(usize::from(number));
    // A calendar whose exchange has a clock, with the day by it.
    let exchange = |number: u16| {
        let calendar = calendar(number)?;
        let exchange = calendar.exchange.as_ref()?;
        Some((calendar, exchange, exchange.local(moment.now).0))
    };
    match tag {
        EnvironmentTag::Hour => Value::Int(moment.minute_of_day() / 60),
        EnvironmentTag::MinuteOfDay => Value::Int(moment.minute_of_day()),
        EnvironmentTag::Weekday => Value::Int(moment.weekday()),
        EnvironmentTag::IsWeekend => Value::Bool(moment.weekday() >= 6),
        EnvironmentTag::DayOfMonth => Value::Int(moment.civil().2),
        EnvironmentTag::Month => Value::Int(moment.civil().1),
        EnvironmentTag::Now => Value::Time(moment.now),
        EnvironmentTag::IsTradingDay(c) => calendar(c)
            .and_then(|c| c.is_trading_day(moment.day()))
            .map_or(Value::Missing, Value::Bool),
        EnvironmentTag::DaysToNextTradingDay(c) => calendar(c)
            .and_then(|c| c.next_trading_day(moment.day()))
            .map_or(Value::Missing, |d| Value::Int(d - moment.day())),
        EnvironmentTag::TradingPhase(c) => calendar(c)
            .and_then(|c| c.phase(moment.now))
            .map_or(Value::Missing, |phase| Value::text(phase.word())),
        EnvironmentTag::EveOfHoliday(c) => exchange(c)
            .and_then(|(c, _, day)| c.is_eve_of_holiday(day))
            .map_or(Value::Missing, Value::Bool),
        EnvironmentTag::DaysClosedAhead(c) => exchange(c)
            .and_then(|(c, _, day)| c.closed_ahead(day))
            .map_or(Value::Missing, Value::Int),
        EnvironmentTag::ClosedAfterT1(c) | EnvironmentTag::ClosedAfterT2(c) => {
            let lag = match tag {
                EnvironmentTag::ClosedAfterT1(_) => 1,
                _ => 2,
            };
            calendar(c)
                .and_then(|c| c.closed_after(moment.now, lag))
                .map_or(Value::Missing, Value::Int)
        }
        EnvironmentTag::OrderDay(c) => exchange(c)
            .and_then(|(c, exchange, _)| Some(exchange.start_of(c.order_day(moment.now)?)))
            .map_or(Value::Missing, Value::Time),
    }
}

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

/// The cells of one tag in `profiles`.
pub(crate) fn cells<'a, 'p>(
    profiles: &'p [&'a Profile],
    place: usize,
    tag: &TagPlan,
) -> impl Iterator<Item = &'a Held> + use<'a, 'p> {
    let id = tag.id;
    (profiles.iter()).filter_map(move |p| p.cell(place, id))
}
