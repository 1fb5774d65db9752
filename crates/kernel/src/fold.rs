//! Folding: what an event changes in a profile. A [`FoldPlan`] works out beforehand which tags an event type touches, which
//! fields they read and under which filters, so that an event costs little more than the cells it touches.
//!
//! Folding is a pure function of plan, profile and event. It must never drop an event it was given: deduplication
//! ([`crate::profile::Seen::admit`]) and quarantine come before it.
//!
//! Time: nothing can have happened after it was received, so everything goes by the earlier of `occurred_at` and
//! `received_at`: a fast clock cannot reach into tiles to come, nor can what it told outlast what is told later (a consent
//! sent five minutes ahead does not beat its withdrawal).

use crate::book::BookPlan;
use crate::event::Event;
use crate::plan::ScenePlan;
use crate::plan::rule::Expr;
use crate::plan::schema::{EventSchema, Field};
use crate::plan::slot::{Calendar, EnvironmentTag, SlotId};
use crate::plan::tag::{Aggregate, Measure, TagPlan, Window};
use crate::profile::{
    Act, Contribution, Ewma, Kind, Layout, Newest, Profile, Scalar, Stamped, window_tiles,
};
use crate::rule::{Lookup, MISSING, truth, visit_slots};
use crate::slots::environment;
use crate::time::{Micros, Moment};
use crate::value::{NUMBER_MAX, Value, ValueType, to_quanta};

/// A scene's tags, arranged for folding.
#[derive(Debug, Clone)]
pub struct FoldPlan {
    layout: Layout,
    events: Vec<EventFold>,
    books: Vec<BookPlan>,
    /// Sliding windows by length of tile: which cells lose tiles when that tile ends.
    clocks: Vec<Clock>,
    /// Calendars that filters read; empty when none does.
    calendars: Vec<Calendar>,
}

#[derive(Debug, Clone)]
struct Clock {
    tile_us: i64,
    /// Cell and its number of tiles.
    cells: Vec<(u16, u32)>,
}

#[derive(Debug, Clone)]
struct EventFold {
    name: String,
    /// Fields that are read, ascending by name.
    fields: Vec<(String, ValueType)>,
    /// What filters read of the exchange's clock when the event happened; numbered behind `fields`.
    clock: Vec<EnvironmentTag>,
    /// Different filters, over `fields` and `clock`.
    filters: Vec<Expr>,
    touches: Vec<Touch>,
}

/// One tag that an event type touches.
#[derive(Debug, Clone)]
struct Touch {
    cell: u16,
    kind: Kind,
    half_life_us: i64,
    measure: Compiled,
    denominator: Compiled,
    window: Window,
    /// Of a quantile: the newest value is told apart.
    tells_newest: bool,
    /// Of a sequence: how many acts it keeps, and the words that the event may say.
    keep: usize,
    words: Vec<(u8, Compiled)>,
}

#[derive(Debug, Clone, Copy)]
struct Compiled {
    /// Index into the event's `fields`; none counts each event as one.
    of: Option<u16>,
    /// Index into the event's `filters`.
    filter: Option<u16>,
    unit: Unit,
}

/// In what a measure is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole numbers: counts, integers, minor units, microseconds.
    Whole,
    /// Quanta of 1e-9.
    Quanta,
}

impl Unit {
    /// The unit in which `measure` of events of type `event` is summed.
    pub fn of(measure: &Measure, event: Option<&EventSchema>) -> Self {
        let field = measure
            .of
            .and_then(|of| event.and_then(|e| e.fields.get(usize::from(of))));
        match field.map(|f| f.kind) {
            Some(ValueType::Number) => Self::Quanta,
            _ => Self::Whole,
        }
    }

    fn units(self, value: &Value<'_>) -> Option<i128> {
        match (self, value) {
            (Self::Quanta, Value::Number(v)) => to_quanta(*v),
            (Self::Whole, Value::Int(v)) => Some(i128::from(*v)),
            (Self::Whole, Value::Bool(v)) => Some(i128::from(*v)),
            (Self::Whole, Value::Time(t)) => Some(i128::from(t.0)),
            _ => None,
        }
    }
}

impl FoldPlan {
    /// Arranges the tags of `scene`. Fields and events that the scene does not have, which the scene room refuses, make a
    /// tag that nothing touches.
    pub fn new(scene: &ScenePlan) -> Self {
        let mut clocks: Vec<Clock> = Vec::new();
        for (cell, tag) in scene.tags.iter().enumerate() {
            if let Window::Sliding { tile_us, tiles } = tag.window {
                let entry = (cell as u16, tiles);
                match clocks.iter_mut().find(|c| c.tile_us == tile_us) {
                    Some(clock) => clock.cells.push(entry),
                    None => clocks.push(Clock {
                        tile_us,
                        cells: vec![entry],
                    }),
                }
            }
        }
        let mut events: Vec<EventFold> = (scene.events.iter().enumerate())
            .filter_map(|(index, schema)| EventFold::new(scene, index, schema))
            .collect();
        events.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            layout: Layout::with_books(&scene.tags, &scene.orders),
            events,
            books: (scene.orders.iter())
                .map(|orders| BookPlan::new(scene, orders))
                .collect(),
            clocks,
            calendars: match scene.tags.iter().any(|t| !t.clock.is_empty()) {
                true => scene.calendars.clone(),
                false => Vec::new(),
            },
        }
    }

    /// How profiles of this scene are laid out.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl EventFold {
    fn new(scene: &ScenePlan, index: usize, schema: &EventSchema) -> Option<Self> {
        let tags: Vec<(usize, &TagPlan)> = (scene.tags.iter().enumerate())
            .filter(|(_, t)| t.events().contains(&(index as u16)))
            .collect();
        if tags.is_empty() {
            return None;
        }
        let fields = schema.fields.len();
        let mut read: Vec<u16> = Vec::new();
        let mut clock: Vec<EnvironmentTag> = Vec::new();
        for (_, tag) in &tags {
            let mut reads = |id: SlotId| match usize::from(id.0).checked_sub(fields) {
                Some(of_clock) if of_clock < tag.clock.len() => {
                    if !clock.contains(&tag.clock[of_clock]) {
                        clock.push(tag.clock[of_clock]);
                    }
                }
                _ => read.push(id.0),
            };
            for (of, filter) in read_by(tag, index as u16) {
                of.into_iter().for_each(|of| reads(SlotId(of)));
                if let Some(filter) = filter {
                    visit_slots(filter, &mut reads);
                }
            }
        }
        read.sort_unstable();
        read.dedup();
        let mut fold = Self {
            name: schema.name.clone(),
            fields: Vec::new(),
            clock,
            filters: Vec::new(),
            touches: Vec::new(),
        };
        // Field numbers that the schema does not have stay in the list, unnamed, so that they read as missing.
        fold.fields = (read.iter())
            .map(|i| match schema.fields.get(usize::from(*i)) {
                Some(Field { name, kind, .. }) => (name.clone(), *kind),
                None => (String::new(), ValueType::Boolean),
            })
            .collect();
        for (cell, tag) in tags {
            let measure = fold.compile(&tag.measure, tag, schema, &read);
            let mut touch = Touch {
                cell: cell as u16,
                kind: Kind::of(&tag.aggregate),
                half_life_us: 0,
                measure,
                denominator: measure,
                window: tag.window,
                tells_newest: false,
                keep: 0,
                words: Vec::new(),
            };
            match &tag.aggregate {
                Aggregate::Ewma { half_life_us } => touch.half_life_us = *half_life_us,
                Aggregate::Ratio { denominator } => {
                    touch.denominator = fold.compile(denominator, tag, schema, &read);
                }
                Aggregate::Quantile { without_latest, .. } => touch.tells_newest = *without_latest,
                Aggregate::Sequence { keep, steps, .. } => {
                    touch.keep = usize::from(*keep);
                    let said = steps.iter().zip(0u8..);
                    for (step, word) in said.filter(|(s, _)| usize::from(s.event) == index) {
                        let measure = Measure {
                            of: None,
                            filter: step.filter.clone(),
                        };
                        let compiled = fold.compile(&measure, tag, schema, &read);
                        touch.words.push((word, compiled));
                    }
                }
                _ => {}
            }
            fold.touches.push(touch);
        }
        // Tags of one tile length stand together, so that the tile of an event is worked out once for them.
        fold.touches.sort_by_key(|t| match t.window {
            Window::Lifetime => (0, t.cell),
            Window::Sliding { tile_us, .. } => (tile_us, t.cell),
        });
        Some(fold)
    }

    fn compile(
        &mut self,
        measure: &Measure,
        tag: &TagPlan,
        schema: &EventSchema,
        read: &[u16],
    ) -> Compiled {
        // Behind the fields stand the values of the clock; past those nothing.
        let place = |field: u16| {
            let of_clock = usize::from(field)
                .checked_sub(schema.fields.len())
                .and_then(|i| tag.clock.get(i));
            let found = match of_clock {
                Some(t) => (self.clock.iter().position(|c| c == t)).map(|i| read.len() + i),
                None => read.binary_search(&field).ok(),
            };
            found.unwrap_or(read.len() + self.clock.len()) as u16
        };
        let filter = measure.filter.as_ref().map(|filter| {
            let filter = renumbered(filter, &|id| SlotId(place(id.0)));
            let known = self.filters.iter().position(|f| *f == filter);
            known.unwrap_or_else(|| {
                self.filters.push(filter);
                self.filters.len() - 1
            }) as u16
        });
        Compiled {
            of: measure.of.map(place),
            filter,
            unit: Unit::of(measure, Some(schema)),
        }
    }
}

/// The field that a tag measures of events of the type `event` and the filter over them: its own and, of a ratio, the
/// denominator's; those of a sequence's words.
fn read_by(tag: &TagPlan, event: u16) -> Vec<(Option<u16>, Option<&Expr>)> {
    match &tag.aggregate {
        Aggregate::Sequence { steps, .. } => (steps.iter())
            .filter(|s| s.event == event)
            .map(|s| (None, s.filter.as_ref()))
            .collect(),
        Aggregate::Ratio { denominator } => {
            vec![
                (tag.measure.of, tag.measure.filter.as_ref()),
                (denominator.of, denominator.filter.as_ref()),
            ]
        }
        _ => vec![(tag.measure.of, tag.measure.filter.as_ref())],
    }
}

/// The same expression over other slot numbers.
pub fn renumbered(expr: &Expr, number: &dyn Fn(SlotId) -> SlotId) -> Expr {
    let same = |x: &Expr| Box::new(renumbered(x, number));
    match expr {
        Expr::Const(v) => Expr::Const(v.clone()),
        Expr::Slot(id) => Expr::Slot(number(*id)),
        Expr::Unary(op, x) => Expr::Unary(*op, same(x)),
        Expr::Binary(op, a, b) => Expr::Binary(*op, same(a), same(b)),
        Expr::If(c, a, b) => Expr::If(same(c), same(a), same(b)),
        Expr::In(x, list) => Expr::In(same(x), list.clone()),
        Expr::Select(x, entries) => Expr::Select(
            same(x),
            (entries.iter())
                .map(|(constant, e)| (constant.clone(), renumbered(e, number)))
                .collect(),
        ),
        Expr::Call(f, args) => Expr::Call(*f, args.iter().map(|x| renumbered(x, number)).collect()),
    }
}

/// The values of the read fields of one event, by place, and behind them those of the clock.
struct Fields<'f> {
    fields: &'f [&'f Value<'f>],
    clock: &'f [Value<'static>],
}

impl Lookup for Fields<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        let place = usize::from(id.0);
        match place.checked_sub(self.fields.len()) {
            None => self.fields[place],
            Some(place) => self.clock.get(place).unwrap_or(&MISSING),
        }
    }
}

/// A value that may be folded into a field of type `kind`: fitting and, if a number, within bounds.
fn sound(value: &Value<'_>, kind: ValueType) -> bool {
    match value {
        Value::Number(v) => kind == ValueType::Number && v.abs() <= NUMBER_MAX,
        other => other.fits(kind),
    }
}

/// Folds one event into the profile of its identifier. The event was admitted before (it is not a duplicate). An event of a
/// type that the plan does not know, or that no tag reads, moves log time alone.
pub fn fold(plan: &FoldPlan, profile: &mut Profile, event: &Event<'_>) {
    advance(plan, profile, event.received_at);
    for book in plan.books.iter().filter(|b| b.reads(&event.kind)) {
        book.fold(profile.book_mut(book.id), event);
    }
    let Ok(found) = (plan.events).binary_search_by(|e| e.name.as_str().cmp(&event.kind)) else {
        return;
    };
    let touched = &plan.events[found];
    let mut held: [&Value<'_>; 32] = [&MISSING; 32];
    let mut more: Vec<&Value<'_>> = Vec::new();
    let fields: &mut [&Value<'_>] = match touched.fields.len() {
        n @ 0..=32 => &mut held[..n],
        n => {
            more.resize(n, &MISSING);
            &mut more
        }
    };
    resolve(touched, event, fields);
    // Mostly empty, and then nothing is allocated.
    let moment = Moment {
        now: event.happened_at(),
        utc_offset_s: 0,
    };
    let clock: Vec<Value<'static>> = (touched.clock.iter())
        .map(|tag| environment(*tag, &plan.calendars, moment))
        .collect();
    let clock = &clock;
    touch_all(touched, profile, event, &Fields { fields, clock });
}

/// Moves log time forward to `log_time` and lets go of what has thereby left every window. For entries that are not events
/// (a fired timer), so that replaying them gives the same profile.
pub fn advance(plan: &FoldPlan, profile: &mut Profile, log_time: Micros) {
    profile.adapt(&plan.layout);
    profile.semantics = crate::SEMANTICS;
    let before = profile.last_log_time;
    if log_time <= before {
        return;
    }
    profile.last_log_time = log_time;
    for clock in &plan.clocks {
        let tile = log_time.0.div_euclid(clock.tile_us.max(1));
        if tile > before.0.div_euclid(clock.tile_us.max(1)) {
            for (cell, tiles) in &clock.cells {
                let (first, _) = window_tiles(clock.tile_us, *tiles, log_time);
                profile.cells_mut()[usize::from(*cell)].evict(first);
            }
        }
    }
}

/// Walks the event's properties and the read fields, both ascending by name, side by side.
fn resolve<'f>(touched: &EventFold, event: &'f Event<'_>, fields: &mut [&'f Value<'f>]) {
    let mut properties = event.properties.iter().peekable();
    for (place, (name, kind)) in touched.fields.iter().enumerate() {
        while let Some((property, value)) = properties.peek() {
            match property.as_ref().cmp(name.as_str()) {
                core::cmp::Ordering::Less => {
                    properties.next();
                }
                core::cmp::Ordering::Equal => {
                    if sound(value, *kind) {
                        fields[place] = value;
                    }
                    properties.next();
                    break;
                }
                core::cmp::Ordering::Greater => break,
            }
        }
    }
}

fn touch_all(touched: &EventFold, profile: &mut Profile, event: &Event<'_>, fields: &Fields<'_>) {
    static ONE: Value<'static> = Value::Int(1);
    let mut passed = [0u64; FILTER_WORDS];
    for (i, filter) in touched.filters.iter().enumerate() {
        if let Some(word) = passed.get_mut(i / 64) {
            *word |= u64::from(truth(filter, fields).is_true()) << (i % 64);
        }
    }
    let passes = |m: &Compiled| match m.filter {
        None => true,
        Some(f) => (passed.get(usize::from(f) / 64)).is_some_and(|word| word >> (f % 64) & 1 == 1),
    };
    // What is measured, or none when the event does not count for this measure.
    let measured = |m: &Compiled| -> Option<&Value<'_>> {
        if !passes(m) {
            return None;
        }
        let value = m.of.map_or(&ONE, |of| fields.slot(SlotId(of)));
        (!value.is_missing()).then_some(value)
    };
    let happened_at = event.happened_at();
    let newest = profile.last_log_time;
    let mut ranked = None;
    let mut rank = || *ranked.get_or_insert_with(|| event.rank());
    // Tile length, the event's tile and the newest tile, for the tile length at hand.
    let mut clock = (0, 0, 0);
    let cells = profile.cells_mut();
    for touch in &touched.touches {
        let tile = match touch.window {
            Window::Lifetime => None,
            Window::Sliding { tile_us, tiles } => {
                if clock.0 != tile_us {
                    let length = tile_us.max(1);
                    clock = (
                        tile_us,
                        happened_at.0.div_euclid(length),
                        newest.0.div_euclid(length),
                    );
                }
                if clock.1 <= clock.2.saturating_sub(i64::from(tiles)) {
                    continue;
                }
                Some(clock.1)
            }
        };
        let own = measured(&touch.measure);
        let contribution = match (touch.kind, own) {
            (Kind::Ratio, _) => {
                let n = own.and_then(|v| touch.measure.unit.units(v));
                let d = measured(&touch.denominator).and_then(|v| touch.denominator.unit.units(v));
                (n.is_some() || d.is_some()).then_some(Contribution::Ratio(n, d))
            }
            (Kind::Sequence, _) => {
                let said = touch.words.iter().find(|(_, m)| passes(m));
                said.map(|(word, _)| {
                    let act = Act {
                        at: happened_at,
                        rank: rank(),
                        word: *word,
                    };
                    Contribution::Sequence(act, touch.keep)
                })
            }
            (_, None) => None,
            (Kind::Quantile, Some(v)) => touch.measure.unit.units(v).map(|units| {
                let newest = touch.tells_newest.then(|| Newest {
                    at: happened_at,
                    rank: rank(),
                    units,
                });
                Contribution::Quantile(units, newest)
            }),
            (Kind::Count, Some(_)) => Some(Contribution::Count),
            (Kind::Sum, Some(v)) => touch.measure.unit.units(v).map(Contribution::Sum),
            (Kind::Least, Some(v)) => Scalar::of(v).map(Contribution::Least),
            (Kind::Greatest, Some(v)) => Scalar::of(v).map(Contribution::Greatest),
            (Kind::First, Some(v)) => Some(Contribution::First(stamp(happened_at, rank(), v))),
            (Kind::Last, Some(v)) => Some(Contribution::Last(stamp(happened_at, rank(), v))),
            (Kind::Distinct, Some(v)) => Some(Contribution::Distinct(value_hash(v))),
            (Kind::Latest, Some(_)) => Some(Contribution::Latest(happened_at)),
            (Kind::Ewma, Some(v)) => v.as_number().map(|v| {
                let one = Ewma {
                    reference: happened_at,
                    weighted: v,
                    weight: 1.0,
                };
                Contribution::Ewma(one, touch.half_life_us)
            }),
        };
        if let Some(contribution) = contribution {
            cells[usize::from(touch.cell)].add(tile, &contribution);
        }
    }
}

/// Bits for the filters of one event type: two a tag, and one a word of a sequence.
const FILTER_WORDS: usize = {
    use crate::plan::tag::{SEQUENCE_WORDS_MAX, SEQUENCES_MAX};
    (2 * crate::plan::TAGS_MAX + SEQUENCES_MAX * SEQUENCE_WORDS_MAX) / 64
};

fn stamp<'v>(at: Micros, rank: u64, value: &'v Value<'_>) -> Stamped<'v> {
    Stamped {
        at,
        rank,
        value: crate::rule::borrow(value),
    }
}

/// The hash of a value in distinct counts: SipHash-1-3 of a kind byte and the content. The two zeros are one value.
pub fn value_hash(value: &Value<'_>) -> u64 {
    use core::hash::Hasher;
    let mut h = siphasher::sip::SipHasher13::new();
    match value {
        Value::Missing => h.write(&[0]),
        Value::Bool(v) => h.write(&[1, u8::from(*v)]),
        Value::Int(v) => {
            h.write(&[3]);
            h.write(&v.to_le_bytes());
        }
        Value::Number(v) => {
            h.write(&[4]);
            let canonical = if *v == 0.0 { 0.0 } else { *v };
            h.write(&canonical.to_bits().to_le_bytes());
        }
        Value::Text(v) => {
            h.write(&[5]);
            h.write(v.as_bytes());
        }
        Value::Time(v) => {
            h.write(&[6]);
            h.write(&v.0.to_le_bytes());
        }
    }
    h.finish()
}
