//! Tags, environment, request fields and derived tags: everything that is a slot before there is an item.

use super::{Compiler, Want, duration, scalar, value_type};
use crate::cel::{Place, Ty, names_in};
use crate::fault::{Code, shown};
use crate::node::{Key, Node};
use crate::unit;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::id::hash64;
use luopan_kernel::plan::tag::TILES_MAX;
use luopan_kernel::plan::{
    Aggregate, Calendar, EnvironmentTag, Expr, Field, Measure, SlotId, SlotPlan, SlotSource,
    TAGS_MAX, TagPlan, Window,
};
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, SECOND_US};
use luopan_kernel::value::{Value, ValueType};
use std::collections::{BTreeMap, BTreeSet};

/// Most calendars of a scene.
pub const CALENDARS_MAX: usize = 64;
/// Longest span of a calendar, in days.
pub const CALENDAR_DAYS_MAX: i64 = 366 * 100;

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
        let event_node = node.get("event")?;
        let event = self.event_index(event_node)?;
        let word = node
            .get("aggregate")
            .and_then(Node::text)
            .unwrap_or_default();
        let measure = self.measure(node, event);
        let of = measure.as_ref()?.of;
        let field: Option<Field> = of.and_then(|i| {
            self.plan.events[usize::from(event)]
                .fields
                .get(usize::from(i))
                .cloned()
        });
        let unfit = |this: &mut Self, needs: &str| {
            let found = match &field {
                Some(f) => format!("`{word}` of `{}`, which is {}", f.name, f.kind.word()),
                None => format!("`{word}` without `of`"),
            };
            let at = node.get("of").map_or(key.at, |n| n.at);
            this.report.at(at, Code::WrongType, found, needs);
        };
        let kind = field.as_ref().map(|f| f.kind);
        let summed = |kind: ValueType| match kind {
            ValueType::Boolean => Some(ValueType::Integer),
            ValueType::Integer | ValueType::Number | ValueType::Money | ValueType::Duration => {
                Some(kind)
            }
            ValueType::Text | ValueType::Time => None,
        };
        let (aggregate, result) = match (word, kind) {
            ("count", None) => (Aggregate::Count, ValueType::Integer),
            ("count", Some(_)) => {
                unfit(
                    self,
                    "leave `of` out; to count the events that have it write `where: known(field)`",
                );
                return None;
            }
            ("recency", None) => (Aggregate::Recency, ValueType::Duration),
            ("recency", Some(_)) => {
                unfit(
                    self,
                    "leave `of` out: recency is the time since the latest event",
                );
                return None;
            }
            ("sum", Some(kind)) => match summed(kind) {
                Some(kind) => (Aggregate::Sum, kind),
                None => {
                    unfit(self, "sum a number, integer, money, duration or boolean");
                    return None;
                }
            },
            ("mean", Some(kind)) => match summed(kind) {
                Some(_) => (Aggregate::Mean, ValueType::Number),
                None => {
                    unfit(
                        self,
                        "average a number, integer, money, duration or boolean",
                    );
                    return None;
                }
            },
            ("min" | "max", Some(kind)) => {
                if kind == ValueType::Text {
                    unfit(self, "name a field that has an order");
                    return None;
                }
                (
                    if word == "min" {
                        Aggregate::Min
                    } else {
                        Aggregate::Max
                    },
                    kind,
                )
            }
            ("last", Some(kind)) => (Aggregate::Last, kind),
            ("first", Some(kind)) => (Aggregate::First, kind),
            ("distinct", Some(_)) => (Aggregate::Distinct, ValueType::Integer),
            ("ewma", kind) => {
                if kind.is_some_and(|k| summed(k).is_none()) {
                    unfit(
                        self,
                        "average a number, integer, money, duration or boolean",
                    );
                    return None;
                }
                let Some(half_life_us) = node.get("half_life").and_then(duration) else {
                    self.report.at(
                        key.at,
                        Code::MissingKey,
                        "an ewma without `half_life`",
                        "write `half_life: 7d`, the time in which an event's weight halves",
                    );
                    return None;
                };
                if half_life_us < SECOND_US {
                    self.report.at(
                        key.at,
                        Code::OutOfRange,
                        "a half life below a second",
                        "write at least `1s`",
                    );
                    return None;
                }
                (Aggregate::Ewma { half_life_us }, ValueType::Number)
            }
            ("ratio", kind) => {
                if kind.is_some_and(|k| summed(k).is_none()) {
                    unfit(
                        self,
                        "divide sums of a number, integer, money, duration or boolean",
                    );
                    return None;
                }
                let Some(below) = node.get("denominator") else {
                    self.report.at(
                        key.at,
                        Code::MissingKey,
                        "a ratio without `denominator`",
                        "write `denominator: {of: field, where: condition}`; `{}` counts all events",
                    );
                    return None;
                };
                let denominator = self.measure(below, event)?;
                (Aggregate::Ratio { denominator }, ValueType::Number)
            }
            (_, None) => {
                if !word.is_empty() {
                    unfit(self, "write `of: field`");
                }
                return None;
            }
            _ => return None,
        };
        for (extra, belongs) in [("half_life", "ewma"), ("denominator", "ratio")] {
            if let (Some(n), true) = (node.get(extra), word != belongs) {
                self.report.at(
                    n.at,
                    Code::Conflict,
                    format!("`{extra}` of a {word}"),
                    format!("only {belongs} has `{extra}`"),
                );
            }
        }
        let window = self.window(node, word)?;
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
        let measure = measure?;
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
        })
    }

    /// Why what is measured may not be a feature: the reason of the field that is aggregated or of one that the filter reads.
    fn why_not_a_feature(&self, event: u16, measure: &Measure) -> Option<String> {
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
        let names: Vec<String> = self.plan.events.iter().map(|e| e.name.clone()).collect();
        self.report.unknown(
            node.at,
            "type of event",
            name,
            names.iter().map(String::as_str),
        );
        None
    }

    /// Index of the field of `event` that `node` names; a personal field cannot be read.
    pub(super) fn field_index(&mut self, event: u16, node: &Node) -> Option<u16> {
        let name = node.text()?;
        let schema = &self.plan.events[usize::from(event)];
        if self
            .broken_fields
            .contains(&(schema.name.clone(), name.to_owned()))
        {
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
                let names: Vec<String> = schema.fields.iter().map(|f| f.name.clone()).collect();
                let what = format!("field of `{}`", schema.name);
                self.report
                    .unknown(node.at, &what, name, names.iter().map(String::as_str));
                None
            }
        }
    }

    fn measure(&mut self, node: &Node, event: u16) -> Option<Measure> {
        let mut sound = true;
        let of = node.get("of").and_then(|n| {
            let found = self.field_index(event, n);
            sound &= found.is_some();
            found
        });
        let filter = node.get("where").and_then(|n| {
            let scope = self.event_scope(event);
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
        let field = |i: u16| {
            event
                .fields
                .get(usize::from(i))
                .map_or(String::new(), |f| format!("{}:{}", f.name, f.kind.word()))
        };
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
        }
        for (name, kind, tag) in slots {
            self.plan.slots.push(SlotPlan {
                name: format!("env.{name}"),
                kind,
                source: SlotSource::Environment(tag),
            });
        }
    }

    fn calendar(&mut self, key: &Key, node: &Node) -> Option<Calendar> {
        let day = |n: &Node| unit::day(n.scalar()?).ok();
        let list = |name: &str| -> Vec<(i64, &Node)> {
            node.get(name)
                .map_or(&[][..], Node::elements)
                .iter()
                .filter_map(|n| Some((day(n)?, n)))
                .collect()
        };
        let (from_day, to_day) = (day(node.get("from")?)?, day(node.get("to")?)?);
        if to_day < from_day || to_day - from_day > CALENDAR_DAYS_MAX {
            self.report.at(
                key.at,
                Code::OutOfRange,
                format!("a calendar of {} days", to_day - from_day + 1),
                format!("`to` comes after `from`, at most {CALENDAR_DAYS_MAX} days later"),
            );
            return None;
        }
        for name in ["days", "closed", "open"] {
            for (d, n) in list(name) {
                if d < from_day || d > to_day {
                    self.report.at(
                        n.at,
                        Code::OutOfRange,
                        format!(
                            "{} lies outside the calendar",
                            n.scalar().unwrap_or_default()
                        ),
                        "move it within `from` and `to`, or widen them",
                    );
                }
            }
        }
        let weekdays: Vec<i64> = node
            .get("weekdays")
            .map_or(&[][..], Node::elements)
            .iter()
            .filter_map(Node::integer)
            .collect();
        if node.get("days").is_some() == node.get("weekdays").is_some() {
            self.report.at(
                key.at,
                Code::Conflict,
                format!(
                    "the calendar `{}` has {} of `days` and `weekdays`",
                    key.text,
                    if weekdays.is_empty() { "none" } else { "both" }
                ),
                "write `days: [...]`, or `weekdays: [1, 2, 3, 4, 5]` with `closed` and `open`",
            );
            return None;
        }
        let mut days: BTreeSet<i64> = list("days").into_iter().map(|(d, _)| d).collect();
        // 1970-01-01 was a Thursday, ISO weekday 4.
        days.extend(
            (from_day..=to_day).filter(|d| weekdays.contains(&((d + 3).rem_euclid(7) + 1))),
        );
        for (d, _) in list("closed") {
            days.remove(&d);
        }
        days.extend(list("open").into_iter().map(|(d, _)| d));
        Some(Calendar {
            name: key.text.clone(),
            from_day,
            to_day,
            days: days.into_iter().collect(),
        })
    }

    pub(super) fn request(&mut self) {
        for (key, node) in self.section("request") {
            let word = node.text().or_else(|| node.get("type")?.text());
            let Some(kind) = word.and_then(value_type) else {
                self.broken.insert(format!("request.{}", key.text));
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
            self.request.push(Field {
                name: key.text.clone(),
                kind,
                required: false,
                personal: false,
                currency: None,
                one_of: node
                    .get("one_of")
                    .map_or(&[][..], Node::elements)
                    .iter()
                    .filter_map(Node::scalar)
                    .map(str::to_owned)
                    .collect(),
                not_a_feature: why,
            });
            self.plan.slots.push(SlotPlan {
                name: format!("request.{}", key.text),
                kind,
                source: SlotSource::Request,
            });
        }
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

/// A serialised expression with its slots replaced by names.
fn by_name(value: serde_json::Value, field: &dyn Fn(u16) -> String) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Object(map) => Json::Object(
            map.into_iter()
                .map(|(k, v)| match (k.as_str(), v.as_u64()) {
                    ("slot", Some(i)) => {
                        let name = field(i as u16);
                        (k, Json::String(name))
                    }
                    _ => (k, by_name(v, field)),
                })
                .collect(),
        ),
        Json::Array(list) => Json::Array(list.into_iter().map(|v| by_name(v, field)).collect()),
        other => other,
    }
}
