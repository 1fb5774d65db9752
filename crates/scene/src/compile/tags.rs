//! Tags, environment, request fields and derived tags: everything that is a slot before there is an item.

use super::calendars::CALENDARS_MAX;
use super::moment::{clock_word, told_by_clock, told_by_line};
use super::{Compiler, Want, duration, scalar, value_type};
use crate::cel::{Place, Ty, names_in};
use crate::change::by_name;
use crate::fault::{Code, nearest, shown};
use crate::node::{Key, Node};
use crate::unit;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::id::hash64;
use luopan_kernel::plan::tag::TILES_MAX;
use luopan_kernel::plan::{
    Aggregate, EnvironmentTag, EventSchema, Expr, Field, Measure, SlotId, SlotPlan, SlotSource,
    TAGS_MAX, TagPlan, Window,
};
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, SECOND_US};
use luopan_kernel::value::{Value, ValueType};
use std::collections::BTreeMap;

/// Lengths of tiles that a window is cut into when the pack does not say, shortest first.
const TILES: [i64; 14] = [
    SECOND_US,
    10 * SECOND_US,
    MINUTE_US,
    5 * MINUTE_US,
    15 * MINUTE_US,
    30 * MINUTE_US,
    HOUR_US,
    2 * HOUR_US,
    3 * HOUR_US,
    6 * HOUR_US,
    12 * HOUR_US,
    DAY_US,
    2 * DAY_US,
    7 * DAY_US,
];

impl<'d> Compiler<'d, '_> {
    pub(super) fn tags(&mut self) {
        let (index, attributes) = self
            .plan
            .events
            .iter()
            .position(|e| e.name == CUSTOMER_TYPE)
            .map_or((0, Vec::new()), |i| (i, self.plan.events[i].fields.clone()));
        for (i, field) in attributes.iter().enumerate().filter(|(_, f)| !f.personal) {
            let tag = TagPlan {
                id: 0,
                name: field.name.clone(),
                kind: field.kind,
                event: index as u16,
                measure: Measure {
                    of: Some(i as u16),
                    filter: None,
                },
                aggregate: Aggregate::Last,
                window: Window::Lifetime,
                default: Value::Missing,
                not_a_feature: field.not_a_feature.clone(),
                clock: Vec::new(),
            };
            self.add_tag(tag);
        }
        for (key, node) in self.section("tags") {
            if attributes.iter().any(|f| f.name == key.text) || self.broken.contains(&key.text) {
                self.report.at(
                    key.at,
                    Code::DuplicateName,
                    format!("`{}` is a customer attribute already", key.text),
                    "give the tag another name",
                );
                continue;
            }
            match self.tag(key, node) {
                Some(tag) => self.add_tag(tag),
                None => {
                    self.broken.insert(key.text.clone());
                }
            }
        }
        for (key, sequence) in self.sequences() {
            let taken = self.plan.tags.iter().any(|t| t.name == key.text);
            if taken {
                self.report.at(
                    key.at,
                    Code::DuplicateName,
                    format!("`{}` is a tag or attribute already", key.text),
                    "give the sequence another name",
                );
            }
            match sequence {
                Some(tag) if !taken => self.add_tag(tag),
                _ => {
                    self.broken.insert(key.text);
                }
            }
        }
        if self.plan.tags.len() > TAGS_MAX
            && let Some((key, _)) = self.section("tags").last()
        {
            self.report.at(
                key.at,
                Code::Limit,
                format!("the scene has {} tags and attributes", self.plan.tags.len()),
                format!("write at most {TAGS_MAX}"),
            );
        }
    }

    fn add_tag(&mut self, mut tag: TagPlan) {
        self.keep_clock(&mut tag);
        tag.id = self.tag_id(&tag);
        let slot = SlotId(self.plan.slots.len() as u16);
        if let Some(why) = &tag.not_a_feature {
            self.not_a_feature.insert(slot, why.clone());
        }
        self.plan.slots.push(SlotPlan {
            name: tag.name.clone(),
            kind: tag.kind,
            source: SlotSource::Tag(self.plan.tags.len() as u16),
        });
        self.plan.tags.push(tag);
    }

    fn tag(&mut self, key: &Key, node: &Node) -> Option<TagPlan> {
        let event = node.get("event").and_then(|n| self.event_index(n));
        let word = node
            .get("aggregate")
            .and_then(Node::text)
            .unwrap_or_default();
        // All is looked at before anything is given up, so that one reading tells all.
        let measure = self.measure(node, event);
        let window = self.window(node, word);
        let aggregate = self.aggregate(key, node, event, word);
        for (extra, belongs) in [
            ("half_life", "ewma"),
            ("denominator", "ratio"),
            ("q", "quantile"),
            ("without_latest", "quantile"),
        ] {
            if let (Some(n), true) = (node.get(extra), word != belongs && !word.is_empty()) {
                self.report.at(
                    n.at,
                    Code::Conflict,
                    format!("`{extra}` of a {word}"),
                    format!("only {belongs} has `{extra}`"),
                );
            }
        }
        let of = measure.as_ref().and_then(|m| m.of);
        let field: Option<Field> = of.and_then(|i| {
            self.plan.events[usize::from(event?)]
                .fields
                .get(usize::from(i))
                .cloned()
        });
        let result = self.result(key, node, word, field.as_ref());
        let (event, measure, window) = (event?, measure?, window?);
        let (aggregate, result) = (aggregate?, result?);
        let default = match node.get("default") {
            Some(n) => {
                let like = Field {
                    name: key.text.clone(),
                    kind: result,
                    required: false,
                    personal: false,
                    currency: field.as_ref().and_then(|f| f.currency.clone()),
                    one_of: Vec::new(),
                    not_a_feature: None,
                };
                scalar(n, &like, &mut self.report)?
            }
            None => match (&aggregate, result) {
                (Aggregate::Count | Aggregate::Sum, ValueType::Number) => Value::Number(0.0),
                (Aggregate::Count | Aggregate::Sum | Aggregate::Distinct, _) => Value::Int(0),
                _ => Value::Missing,
            },
        };
        let mut not_a_feature = self.why_not_a_feature(event, &measure);
        if let Aggregate::Ratio { denominator } = &aggregate {
            not_a_feature = not_a_feature.or_else(|| self.why_not_a_feature(event, denominator));
        }
        Some(TagPlan {
            id: 0,
            name: key.text.clone(),
            kind: result,
            event,
            measure,
            aggregate,
            window,
            default,
            not_a_feature,
            clock: Vec::new(),
        })
    }

    /// The aggregate with what belongs to it alone; its field is looked at by [`Self::result`].
    fn aggregate(
        &mut self,
        key: &Key,
        node: &Node,
        event: Option<u16>,
        word: &str,
    ) -> Option<Aggregate> {
        Some(match word {
            "count" => Aggregate::Count,
            "sum" => Aggregate::Sum,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "mean" => Aggregate::Mean,
            "last" => Aggregate::Last,
            "first" => Aggregate::First,
            "distinct" => Aggregate::Distinct,
            "recency" => Aggregate::Recency,
            "ewma" => {
                let Some(written) = node.get("half_life") else {
                    self.report.at(
                        key.at,
                        Code::MissingKey,
                        "an ewma without `half_life`",
                        "write `half_life: 7d`, the time in which an event's weight halves",
                    );
                    return None;
                };
                let half_life_us = duration(written)?;
                if half_life_us < SECOND_US {
                    self.report.at(
                        key.at,
                        Code::OutOfRange,
                        "a half life below a second",
                        "write at least `1s`",
                    );
                    return None;
                }
                Aggregate::Ewma { half_life_us }
            }
            "quantile" => {
                let Some(written) = node.get("q") else {
                    self.report.at(
                        key.at,
                        Code::MissingKey,
                        "a quantile without `q`",
                        "write `q: 0.9` for the 90th percentile",
                    );
                    return None;
                };
                let millionths = written.number()? * 1e6;
                if (millionths - millionths.round()).abs() > 1e-6 {
                    self.report.at(
                        written.at,
                        Code::OutOfRange,
                        "a quantile of more than six digits",
                        "write millionths at most, such as `0.999999`",
                    );
                    return None;
                }
                Aggregate::Quantile {
                    millionths: millionths.round().clamp(0.0, 1e6) as u32,
                    without_latest: (node.get("without_latest"))
                        .is_some_and(|n| n.text() == Some("true")),
                }
            }
            "ratio" => {
                let Some(below) = node.get("denominator") else {
                    self.report.at(
                        key.at,
                        Code::MissingKey,
                        "a ratio without `denominator`",
                        "write `denominator: {of: field, where: condition}`; `{}` counts all events",
                    );
                    return None;
                };
                Aggregate::Ratio {
                    denominator: self.measure(below, event)?,
                }
            }
            _ => return None,
        })
    }

    /// The type that the aggregate gives; none when its field is missing, at fault, or does not fit.
    fn result(
        &mut self,
        key: &Key,
        node: &Node,
        word: &str,
        field: Option<&Field>,
    ) -> Option<ValueType> {
        let written = node.get("of");
        let mut unfit = |needs: &str| {
            let found = match (field, written.and_then(Node::scalar)) {
                (Some(f), _) => format!("`{word}` of `{}`, which is {}", f.name, f.kind.word()),
                (None, Some(name)) => format!("`{word}` of `{}`", shown(name)),
                (None, None) => format!("`{word}` without `of`"),
            };
            let at = written.map_or(key.at, |n| n.at);
            self.report.at(at, Code::WrongType, found, needs);
            None
        };
        let summed = |kind: ValueType| match kind {
            ValueType::Boolean => Some(ValueType::Integer),
            ValueType::Integer | ValueType::Number | ValueType::Money | ValueType::Duration => {
                Some(kind)
            }
            ValueType::Text | ValueType::Time => None,
        };
        match (word, written) {
            ("count", None) => return Some(ValueType::Integer),
            ("recency", None) => return Some(ValueType::Duration),
            ("ewma" | "ratio", None) => return Some(ValueType::Number),
            ("count", Some(_)) => {
                return unfit(
                    "leave `of` out; to count the events that have it write `where: known(field)`",
                );
            }
            ("recency", Some(_)) => {
                return unfit("leave `of` out: recency is the time since the latest event");
            }
            (word, None) => {
                let known = matches!(
                    word,
                    "sum" | "mean" | "min" | "max" | "last" | "first" | "distinct" | "quantile"
                );
                // A mistyped `of` is there, by another name.
                let mistyped = |(k, _): &(Key, Node)| nearest(&k.text, ["of"]).is_some();
                return match known && !node.entries().iter().any(mistyped) {
                    true => unfit("write `of: field`"),
                    false => None,
                };
            }
            _ => {}
        }
        let kind = field?.kind;
        match word {
            "sum" => match summed(kind) {
                None => unfit("sum a number, integer, money, duration or boolean"),
                some => some,
            },
            "mean" | "ewma" if summed(kind).is_none() => {
                unfit("average a number, integer, money, duration or boolean")
            }
            "ratio" if summed(kind).is_none() => {
                unfit("divide sums of a number, integer, money, duration or boolean")
            }
            "quantile" if summed(kind).is_none() || kind == ValueType::Boolean => {
                unfit("take a quantile of a number, integer, money or duration")
            }
            "quantile" => Some(kind),
            "mean" | "ewma" | "ratio" => Some(ValueType::Number),
            "min" | "max" if kind == ValueType::Text => unfit("name a field that has an order"),
            "min" | "max" | "last" | "first" => Some(kind),
            "distinct" => Some(ValueType::Integer),
            _ => None,
        }
    }

    /// Why what is measured may not be a feature: the reason of the field that is aggregated or of one that the filter reads.
    pub(super) fn why_not_a_feature(&self, event: u16, measure: &Measure) -> Option<String> {
        let fields = &self.plan.events.get(usize::from(event))?.fields;
        let mut read: Vec<u16> = measure.of.into_iter().collect();
        if let Some(filter) = &measure.filter {
            luopan_kernel::rule::visit_slots(filter, &mut |slot| read.push(slot.0));
        }
        read.iter()
            .find_map(|i| fields.get(usize::from(*i))?.not_a_feature.clone())
    }

    /// Index of the event type that `node` names.
    pub(super) fn event_index(&mut self, node: &Node) -> Option<u16> {
        let name = node.text()?;
        if let Some(i) = self.plan.events.iter().position(|e| e.name == name) {
            return Some(i as u16);
        }
        let refused = self.section("events").iter().any(|(k, _)| k.text == name);
        if !refused && !self.declared.has("events", name) {
            let names: Vec<String> = self.plan.events.iter().map(|e| e.name.clone()).collect();
            self.report.unknown(
                node.at,
                "type of event",
                name,
                names.iter().map(String::as_str),
            );
        }
        None
    }

    /// Index of the field of `event` that `node` names; a personal field cannot be read.
    pub(super) fn field_index(&mut self, event: u16, node: &Node) -> Option<u16> {
        let name = node.text()?;
        let schema = &self.plan.events[usize::from(event)];
        if schema.field(name).is_none() && self.declared.has_field(&schema.name, name) {
            return None;
        }
        match schema.field(name) {
            Some(i) if schema.fields[i].personal => {
                self.report.at(
                    node.at,
                    Code::NotHere,
                    format!("`{name}` cannot be read"),
                    "it is personal: sealed with the customer's own key before it is stored",
                );
                None
            }
            Some(i) => Some(i as u16),
            None => {
                let names: Vec<String> = (schema.fields.iter().map(|f| f.name.clone()))
                    .chain(self.declared.fields_of(&schema.name).map(str::to_owned))
                    .collect();
                let what = format!("field of `{}`", schema.name);
                self.report
                    .unknown(node.at, &what, name, names.iter().map(String::as_str));
                None
            }
        }
    }

    /// What is measured, of an event type that may not be known.
    fn measure(&mut self, node: &Node, event: Option<u16>) -> Option<Measure> {
        let mut sound = event.is_some();
        let of = node.get("of").and_then(|n| {
            let found = event.and_then(|e| self.field_index(e, n));
            sound &= found.is_some();
            found
        });
        let filter = node.get("where").and_then(|n| {
            let scope = self.tag_scope(event);
            let found = self.expression(n, &scope, Want::Condition).map(|t| t.expr);
            sound &= found.is_some();
            found
        });
        sound.then_some(Measure { of, filter })
    }

    fn window(&mut self, node: &Node, aggregate: &str) -> Option<Window> {
        let window = node.get("window");
        let tile = node.get("tile");
        let Some(at) = window.filter(|w| w.text() != Some("lifetime")) else {
            if let Some(tile) = tile {
                self.report.at(
                    tile.at,
                    Code::Conflict,
                    "a tile without a window",
                    "leave `tile` out, or write `window: 30d`",
                );
            }
            return Some(Window::Lifetime);
        };
        let window_us = duration(at)?;
        if matches!(aggregate, "recency" | "ewma") {
            self.report.at(
                at.at,
                Code::Conflict,
                format!("{aggregate} in a window"),
                if aggregate == "ewma" {
                    "leave `window` out: `half_life` says how fast events lose weight"
                } else {
                    "leave `window` out: recency looks at the latest event of all"
                },
            );
            return None;
        }
        let most = i64::from(TILES_MAX);
        let tile_us = match tile {
            Some(n) => {
                let us = duration(n)?;
                if us < SECOND_US || window_us % us != 0 || window_us / us > most {
                    self.report.at(
                        n.at,
                        Code::OutOfRange,
                        format!(
                            "a window of {} in tiles of {}",
                            unit::duration_text(window_us),
                            unit::duration_text(us)
                        ),
                        format!("a window is 1 to {TILES_MAX} whole tiles of at least a second"),
                    );
                    return None;
                }
                us
            }
            None => match TILES
                .into_iter()
                .find(|t| window_us % t == 0 && window_us / t <= most)
            {
                Some(us) => us,
                None => {
                    self.report.at(
                        at.at,
                        Code::MissingKey,
                        format!("a window of {} is not cut evenly", unit::duration_text(window_us)),
                        format!("write `tile`, so that the window is 1 to {TILES_MAX} whole tiles (`window: 364d, tile: 7d`)"),
                    );
                    return None;
                }
            },
        };
        Some(Window::Sliding {
            tile_us,
            tiles: (window_us / tile_us) as u32,
        })
    }

    /// Hash of a tag's definition: all but its name and default, with events and fields by name, so that it stays the same
    /// when other things are declared.
    fn tag_id(&self, tag: &TagPlan) -> u64 {
        let event = &self.plan.events[usize::from(tag.event)];
        let field_of = |event: &EventSchema, i: u16| match event.fields.get(usize::from(i)) {
            Some(f) => format!("{}:{}", f.name, f.kind.word()),
            None => usize::from(i)
                .checked_sub(event.fields.len())
                .and_then(|i| clock_word(*tag.clock.get(i)?))
                .map_or(String::new(), |(word, ..)| format!("clock:{word}")),
        };
        let field = |i: u16| field_of(event, i);
        let measure = |m: &Measure| {
            serde_json::json!({
                "of": m.of.map(field),
                "where": m.filter.as_ref().map(|e| by_name(serde_json::to_value(e).unwrap_or_default(), &field)),
            })
        };
        let aggregate = match &tag.aggregate {
            Aggregate::Ratio { denominator } => {
                serde_json::json!({ "ratio": measure(denominator) })
            }
            Aggregate::Sequence {
                keep,
                pause_us,
                steps,
            } => {
                let said: Vec<_> = (steps.iter())
                    .map(|s| {
                        let event = &self.plan.events[usize::from(s.event)];
                        let filter = s.filter.as_ref().map(|e| {
                            let written = serde_json::to_value(e).unwrap_or_default();
                            by_name(written, &|i| field_of(event, i))
                        });
                        serde_json::json!([s.word, event.name, filter])
                    })
                    .collect();
                serde_json::json!({ "sequence": [keep, pause_us, said] })
            }
            other => serde_json::to_value(other).unwrap_or_default(),
        };
        let definition = serde_json::json!([
            event.name,
            measure(&tag.measure),
            aggregate,
            tag.window,
            tag.kind
        ]);
        hash64(definition.to_string().as_bytes())
    }

    pub(super) fn environment(&mut self) {
        let mut slots: Vec<(String, ValueType, EnvironmentTag)> = vec![
            ("hour".into(), ValueType::Integer, EnvironmentTag::Hour),
            (
                "minute_of_day".into(),
                ValueType::Integer,
                EnvironmentTag::MinuteOfDay,
            ),
            (
                "weekday".into(),
                ValueType::Integer,
                EnvironmentTag::Weekday,
            ),
            (
                "is_weekend".into(),
                ValueType::Boolean,
                EnvironmentTag::IsWeekend,
            ),
            (
                "day_of_month".into(),
                ValueType::Integer,
                EnvironmentTag::DayOfMonth,
            ),
            ("month".into(), ValueType::Integer, EnvironmentTag::Month),
            ("now".into(), ValueType::Time, EnvironmentTag::Now),
        ];
        for (i, (key, node)) in self.section("calendars").iter().enumerate() {
            if i == CALENDARS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more calendars than are kept",
                    format!("write at most {CALENDARS_MAX}"),
                );
                break;
            }
            let number = i as u16;
            if let Some(calendar) = self.calendar(key, node) {
                self.plan.calendars.push(calendar);
            }
            slots.push((
                format!("trading_day_{}", key.text),
                ValueType::Boolean,
                EnvironmentTag::IsTradingDay(number),
            ));
            slots.push((
                format!("days_to_trading_day_{}", key.text),
                ValueType::Integer,
                EnvironmentTag::DaysToNextTradingDay(number),
            ));
            for tag in told_by_clock(number, node) {
                if let Some((word, kind, _)) = clock_word(tag) {
                    slots.push((format!("{word}_{}", key.text), kind, tag));
                }
            }
        }
        // What came to be told later stands behind, and only where a file of the pack names it: the slots of other packs, by whose
        // numbers models keep their samples, stay as they were.
        let named = |word: &str| {
            self.report
                .files
                .iter()
                .any(|(_, text)| text.contains(word))
        };
        for (i, (key, node)) in self.section("calendars").iter().enumerate() {
            for tag in told_by_line(i as u16, node) {
                if let Some((word, kind, _)) = clock_word(tag).filter(|(word, ..)| named(word)) {
                    slots.push((format!("{word}_{}", key.text), kind, tag));
                }
            }
        }
        for (name, kind, tag) in slots {
            self.plan.slots.push(SlotPlan {
                name: format!("env.{name}"),
                kind,
                source: SlotSource::Environment(tag),
            });
        }
        self.date_clocks();
        self.market_slots();
    }

    pub(super) fn request(&mut self) {
        for (key, node) in self.section("request") {
            let word = node.text().or_else(|| node.get("type")?.text());
            let Some(kind) = word.and_then(value_type) else {
                self.broken_request(key);
                continue;
            };
            let Some(one_of) = self.one_of_texts(key, node, kind) else {
                self.broken_request(key);
                continue;
            };
            let slot = SlotId(self.plan.slots.len() as u16);
            let why = node
                .get("not_a_feature")
                .and_then(Node::text)
                .map(str::to_owned);
            if let Some(why) = &why {
                self.not_a_feature.insert(slot, why.clone());
            }
            if !one_of.is_empty() {
                self.request_texts
                    .insert(slot, one_of.iter().cloned().collect());
            }
            self.request.push(Field {
                name: key.text.clone(),
                kind,
                required: false,
                personal: false,
                currency: None,
                one_of: one_of.clone(),
                not_a_feature: why,
            });
            self.plan.slots.push(SlotPlan {
                name: format!("request.{}", key.text),
                kind,
                source: SlotSource::Request,
            });
        }
    }

    fn broken_request(&mut self, key: &Key) {
        self.broken.insert(format!("request.{}", key.text));
        self.declared
            .fields
            .insert((super::REQUEST_OWNER.to_owned(), key.text.clone()));
    }

    /// Derived tags in an order in which each reads earlier ones only.
    pub(super) fn derived(&mut self) {
        let declared: Vec<(&'d Key, &'d Node)> = self
            .section("derived")
            .iter()
            .map(|(key, node)| (key, node.get("value").unwrap_or(node)))
            .collect();
        let position: BTreeMap<&str, usize> = declared
            .iter()
            .enumerate()
            .map(|(i, (k, _))| (k.text.as_str(), i))
            .collect();
        let reads: Vec<Vec<usize>> = declared
            .iter()
            .map(|(_, node)| {
                names_in(node.scalar().unwrap_or_default())
                    .iter()
                    .filter_map(|n| position.get(n.as_str()).copied())
                    .collect()
            })
            .collect();
        // Depth first, without recursion: 0 unseen, 1 open, 2 done.
        let mut state = vec![0u8; declared.len()];
        let mut order = Vec::with_capacity(declared.len());
        for start in 0..declared.len() {
            let mut stack = vec![(start, 0usize)];
            while let Some((i, next)) = stack.pop() {
                if next == 0 {
                    if state[i] != 0 {
                        continue;
                    }
                    state[i] = 1;
                }
                match reads[i].get(next) {
                    Some(&r) => {
                        stack.push((i, next + 1));
                        if state[r] == 1 {
                            let (key, _) = declared[i];
                            self.report.at(
                                key.at,
                                Code::Cycle,
                                format!(
                                    "`{}` and `{}` are derived from each other",
                                    key.text, declared[r].0.text
                                ),
                                "let one of them read tags only",
                            );
                            self.broken.insert(key.text.clone());
                        } else if state[r] == 0 {
                            stack.push((r, 0));
                        }
                    }
                    None => {
                        state[i] = 2;
                        order.push(i);
                    }
                }
            }
        }
        for i in order {
            let (key, node) = declared[i];
            if self.plan.slots.iter().any(|s| s.name == key.text) || self.broken.contains(&key.text)
            {
                if !self.broken.contains(&key.text) {
                    self.report.at(
                        key.at,
                        Code::DuplicateName,
                        format!("`{}` is a tag or attribute already", key.text),
                        "give the derived tag another name",
                    );
                }
                continue;
            }
            let scope = self.scope(Place::Customer);
            let Some(typed) = self.expression(node, &scope, Want::Anything) else {
                self.broken.insert(key.text.clone());
                continue;
            };
            if let Ty::Money { exact: false, .. } = typed.ty {
                self.report.at(
                    node.at,
                    Code::ExpressionType,
                    format!(
                        "`{}` is an amount that is not whole minor units",
                        shown(&key.text)
                    ),
                    "write `double(…)` around it for a number of minor units",
                );
                self.broken.insert(key.text.clone());
                continue;
            }
            self.add_derived(&key.text, typed.ty.value_type(), typed.expr);
        }
    }

    fn add_derived(&mut self, name: &str, kind: ValueType, expr: Expr) {
        let slot = SlotId(self.plan.slots.len() as u16);
        let mut why = None;
        luopan_kernel::rule::visit_slots(&expr, &mut |read| {
            if why.is_none() {
                why = self.not_a_feature.get(&read).cloned();
            }
        });
        if let Some(why) = why {
            self.not_a_feature.insert(slot, why);
        }
        self.plan.slots.push(SlotPlan {
            name: name.to_owned(),
            kind,
            source: SlotSource::Derived(self.plan.derived.len() as u16),
        });
        self.plan.derived.push(expr);
    }
}
