//! Reading slots: the values of tags (merged over the linked profiles of a customer), derived tags, environment and request at
//! one moment; [`ItemSlots`] are those of a candidate item beside them, and a [`SlotSet`] says which are read.
//!
//! Reading never changes a profile and never guesses: what is outside a calendar, absent from the request or of another type
//! than declared is missing.

mod item;
mod set;

pub use item::{AloneLookup, Asked, ItemLookup, ItemSlots, NO_STAGES, Stages};
pub use set::SlotSet;

use crate::artifact::{Artifacts, NONE};
use crate::book::view::{Reading, not_held};
use crate::book::{Book, positions, summary};
use crate::catalogue::Catalogue;
use crate::fold::Unit;
use crate::plan::orders::HeldTag;
use crate::plan::slot::{Calendar, EnvironmentTag, SlotId, SlotSource};
use crate::plan::tag::{Aggregate, PAUSE, TagPlan};
use crate::plan::{EventSchema, IntentionPlan, ScenePlan};
use crate::profile::{Act, Held, Profile, State, Sum, combined};
use crate::rule::{Lookup, MISSING, borrow, eval};
use crate::time::{Micros, Moment};
use crate::value::{Value, ValueType, from_quanta};
use std::borrow::Cow;

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

/// The cells of one tag in `profiles`.
pub(crate) fn cells<'a, 'p>(
    profiles: &'p [&'a Profile],
    place: usize,
    tag: &TagPlan,
) -> impl Iterator<Item = &'a Held> + use<'a, 'p> {
    let id = tag.id;
    (profiles.iter()).filter_map(move |p| p.cell(place, id))
}
