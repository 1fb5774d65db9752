//! What tells of the moment: sequences of a customer's latest acts, what conditions over an event may read of the exchange's
//! clock, and values of the market.

use super::{Compiler, Want, duration};
use crate::cel::{Place, Scope, Ty};
use crate::fault::{Code, listed, shown};
use crate::node::{Key, Node};
use luopan_kernel::artifact::Artifact;
use luopan_kernel::fold::renumbered;
use luopan_kernel::id::hash64;
use luopan_kernel::plan::tag::{PAUSE, SEQUENCE_WORD_BYTES_MAX, SEQUENCE_WORDS_MAX, SEQUENCES_MAX};
use luopan_kernel::plan::{
    Aggregate, ArtifactKind, EnvironmentTag, Expr, INTENTIONS_MAX, IntentionPlan, MARKET_MAX,
    MarketOf, MarketPlan, Measure, SlotId, SlotPlan, SlotSource, Step, TagPlan, Window,
};
use luopan_kernel::rule::visit_slots;
use luopan_kernel::slots::ItemSlots;
use luopan_kernel::time::SECOND_US;
use luopan_kernel::trading::Phase;
use luopan_kernel::value::{Value, ValueType};

/// What intentions at fault are filed under.
pub(super) const INTENTIONS: &str = "intentions";

/// What an exchange's clock tells, by the beginning of its name; the calendar's name follows.
pub(super) fn clock_word(tag: EnvironmentTag) -> Option<(&'static str, ValueType, u16)> {
    Some(match tag {
        EnvironmentTag::EveOfHoliday(c) => ("eve_of_holiday", ValueType::Boolean, c),
        EnvironmentTag::DaysClosedAhead(c) => ("days_closed_ahead", ValueType::Integer, c),
        EnvironmentTag::TradingPhase(c) => ("trading_phase", ValueType::Text, c),
        EnvironmentTag::OrderDay(c) => ("order_day", ValueType::Time, c),
        EnvironmentTag::ClosedAfterT1(c) => ("closed_after_t1", ValueType::Integer, c),
        EnvironmentTag::ClosedAfterT2(c) => ("closed_after_t2", ValueType::Integer, c),
        _ => return None,
    })
}

/// What a calendar declared so tells by the exchange's clock.
pub(super) fn told_by_clock(number: u16, node: &Node) -> Vec<EnvironmentTag> {
    let mut out = Vec::new();
    if node.get("utc_offset").is_some() {
        out.push(EnvironmentTag::EveOfHoliday(number));
        out.push(EnvironmentTag::DaysClosedAhead(number));
    }
    if node.get("sessions").is_some() {
        out.push(EnvironmentTag::TradingPhase(number));
    }
    if node.get("cutoff").is_some() {
        out.push(EnvironmentTag::OrderDay(number));
    }
    out
}

/// What a calendar with an order line tells beside [`told_by_clock`].
pub(super) fn told_by_line(number: u16, node: &Node) -> Vec<EnvironmentTag> {
    match node.get("cutoff") {
        Some(_) => vec![
            EnvironmentTag::ClosedAfterT1(number),
            EnvironmentTag::ClosedAfterT2(number),
        ],
        None => Vec::new(),
    }
}

impl Compiler<'_, '_> {
    /// Everything that conditions over an event may read of exchanges' clocks, with names.
    fn clock(&self) -> Vec<(String, ValueType, EnvironmentTag)> {
        let mut out = Vec::new();
        for (i, (key, node)) in self.section("calendars").iter().enumerate() {
            let number = i as u16;
            let tags = told_by_clock(number, node)
                .into_iter()
                .chain(told_by_line(number, node));
            for tag in tags {
                if let Some((word, kind, _)) = clock_word(tag) {
                    out.push((format!("event.{word}_{}", key.text), kind, tag));
                }
            }
        }
        out
    }

    /// The scope of a tag's conditions: the event's fields, and behind them the clock when it happened.
    pub(super) fn tag_scope(&self, event: Option<u16>) -> Scope<'static> {
        let mut scope = self.event_scope(event);
        let Some(schema) = event.and_then(|e| self.plan.events.get(usize::from(e))) else {
            scope.presume("event.");
            return scope;
        };
        for (i, (name, kind, tag)) in self.clock().into_iter().enumerate() {
            let id = SlotId((schema.fields.len() + i) as u16);
            if matches!(tag, EnvironmentTag::TradingPhase(_)) {
                scope.allow(id, Phase::ALL.iter().map(|p| p.word().to_owned()).collect());
            }
            scope.add(name, id, Ty::of(kind, None));
        }
        if self.sections.is_vague("calendars") {
            scope.presume("event.");
        }
        scope
    }

    /// Numbers what a tag's conditions read of the clock anew, so that the tag names that alone.
    pub(super) fn keep_clock(&self, tag: &mut TagPlan) {
        let all: Vec<EnvironmentTag> = self.clock().into_iter().map(|(_, _, t)| t).collect();
        let fields = |event: u16| {
            (self.plan.events.get(usize::from(event))).map_or(0, |schema| schema.fields.len())
        };
        let own = fields(tag.event);
        let mut filters: Vec<(&mut Option<Expr>, usize)> = vec![(&mut tag.measure.filter, own)];
        match &mut tag.aggregate {
            Aggregate::Ratio { denominator } => filters.push((&mut denominator.filter, own)),
            Aggregate::Sequence { steps, .. } => {
                filters.extend(steps.iter_mut().map(|s| (&mut s.filter, fields(s.event))));
            }
            _ => {}
        }
        let mut clock: Vec<EnvironmentTag> = Vec::new();
        for (filter, fields) in filters {
            let Some(expr) = filter else { continue };
            let of_clock = |id: SlotId| usize::from(id.0).checked_sub(fields);
            visit_slots(expr, &mut |id| {
                if let Some(read) = of_clock(id).and_then(|i| all.get(i))
                    && !clock.contains(read)
                {
                    clock.push(*read);
                }
            });
            *expr = renumbered(expr, &|id| {
                let read = of_clock(id).and_then(|i| all.get(i));
                let place = read.and_then(|r| clock.iter().position(|c| c == r));
                place.map_or(id, |i| SlotId((fields + i) as u16))
            });
        }
        tag.clock = clock;
    }

    /// Gives tags that read a calendar ids that change with its days: what was counted by other days is counted anew.
    pub(super) fn date_clocks(&mut self) {
        for tag in self.plan.tags.iter_mut().filter(|t| !t.clock.is_empty()) {
            let days: Vec<_> = (tag.clock.iter())
                .filter_map(|t| clock_word(*t))
                .map(|(word, _, c)| {
                    let calendar = self.plan.calendars.get(usize::from(c));
                    let told = calendar.map(|c| (c.from_day, c.to_day, &c.days, &c.exchange));
                    serde_json::json!([word, told])
                })
                .collect();
            tag.id = hash64(serde_json::json!([tag.id, days]).to_string().as_bytes());
        }
    }

    /// Sequences are tags of their own sort.
    pub(super) fn sequences(&mut self) -> Vec<(Key, Option<TagPlan>)> {
        let mut out = Vec::new();
        for (i, (key, node)) in self.section("sequences").iter().enumerate() {
            if i == SEQUENCES_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more sequences than are kept",
                    format!("write at most {SEQUENCES_MAX}"),
                );
                break;
            }
            out.push((key.clone(), self.sequence(key, node)));
        }
        out
    }

    fn sequence(&mut self, key: &Key, node: &Node) -> Option<TagPlan> {
        let keep = node.get("keep").and_then(Node::integer);
        let pause_us = node.get("pause").and_then(duration);
        if let (Some(us), Some(n)) = (pause_us, node.get("pause"))
            && us < SECOND_US
        {
            self.report.at(
                n.at,
                Code::OutOfRange,
                "a pause below a second",
                "write at least `1s`",
            );
        }
        let mut steps = Vec::new();
        let mut sound = true;
        let words = node.get("words").map_or(&[][..], Node::entries);
        if words.len() > SEQUENCE_WORDS_MAX {
            self.report.at(
                key.at,
                Code::Limit,
                format!("a sequence of {} words", words.len()),
                format!("write at most {SEQUENCE_WORDS_MAX}"),
            );
        }
        if words.is_empty() {
            self.report.at(
                key.at,
                Code::MissingKey,
                "a sequence without words",
                "write `words: {buy: {event: order_submitted}}`",
            );
            sound = false;
        }
        for (word, said) in words {
            if word.text.len() > SEQUENCE_WORD_BYTES_MAX || word.text.contains(PAUSE) {
                self.report.at(
                    word.at,
                    Code::BadName,
                    format!(
                        "`{}` is too long for a word of a sequence",
                        shown(&word.text)
                    ),
                    format!("write at most {SEQUENCE_WORD_BYTES_MAX} letters"),
                );
            }
            let event = said.get("event").and_then(|n| self.event_index(n));
            let filter = match said.get("where") {
                None => Some(None),
                Some(n) => {
                    let scope = self.tag_scope(event);
                    (self.expression(n, &scope, Want::Condition)).map(|t| Some(t.expr))
                }
            };
            match (event, filter) {
                (Some(event), Some(filter)) => steps.push(Step {
                    word: word.text.clone(),
                    event,
                    filter,
                }),
                _ => sound = false,
            }
        }
        let not_a_feature = steps.iter().find_map(|s| {
            let measure = Measure {
                of: None,
                filter: s.filter.clone(),
            };
            self.why_not_a_feature(s.event, &measure)
        });
        sound.then(|| TagPlan {
            id: 0,
            name: key.text.clone(),
            kind: ValueType::Text,
            event: steps.first().map_or(0, |s| s.event),
            measure: Measure {
                of: None,
                filter: None,
            },
            aggregate: Aggregate::Sequence {
                keep: keep.unwrap_or(16) as u8,
                pause_us,
                steps,
            },
            window: Window::Lifetime,
            default: Value::Missing,
            not_a_feature,
            clock: Vec::new(),
        })
    }

    /// What is predicted of customers' next acts, with a slot a class.
    pub(super) fn intentions(&mut self) {
        for (i, (key, node)) in self.section("intentions").iter().enumerate() {
            if i == INTENTIONS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more intentions than are predicted",
                    format!("write at most {INTENTIONS_MAX}"),
                );
                break;
            }
            let Some((plan, classes)) = self.intention(key, node) else {
                self.declared.owners.insert(INTENTIONS.to_owned());
                continue;
            };
            let number = self.plan.intentions.len() as u16;
            for (class, name) in (0u8..).zip(&classes) {
                self.plan.slots.push(SlotPlan {
                    name: format!("intention.{}.{name}", key.text),
                    kind: ValueType::Number,
                    source: SlotSource::Intention(number, class),
                });
            }
            self.plan.intentions.push(plan);
        }
    }

    fn intention(&mut self, key: &Key, node: &Node) -> Option<(IntentionPlan, Vec<String>)> {
        let of = node.get("sequence")?;
        let name = of.text()?;
        let sequence = self
            .plan
            .tags
            .iter()
            .position(|t| t.name == name && matches!(t.aggregate, Aggregate::Sequence { .. }));
        if sequence.is_none() && !self.broken.contains(name) {
            self.unknown(of.at, "sequences", "sequence", name);
        }
        let model = node.get("model")?;
        let (artifact, trained) = self.artifact_of(model, ArtifactKind::Sequence)?;
        let sequence = sequence? as u16;
        let Aggregate::Sequence { steps, .. } = &self.plan.tags[usize::from(sequence)].aggregate
        else {
            return None;
        };
        let declared: Vec<&str> = steps.iter().map(|s| s.word.as_str()).collect();
        // To be trained: it will know what the sequence says.
        let Some(Artifact::Sequence(trained)) = trained else {
            let classes = declared.iter().map(|w| (*w).to_owned()).collect();
            let plan = IntentionPlan {
                name: key.text.clone(),
                sequence,
                artifact,
            };
            return Some((plan, classes));
        };
        let known: Vec<&str> = trained.words().iter().map(String::as_str).collect();
        if declared.iter().any(|w| !known.contains(w)) {
            let found = format!(
                "the model of `{}` knows {}",
                shown(&key.text),
                listed(known)
            );
            let write = format!(
                "the sequence says {}: train the model again with its words",
                listed(declared)
            );
            self.report.at(model.at, Code::WrongType, found, write);
            return None;
        }
        let plan = IntentionPlan {
            name: key.text.clone(),
            sequence,
            artifact,
        };
        Some((plan, trained.classes().to_vec()))
    }

    /// The slots of values of the market; what they are made of is compiled behind the catalogues.
    pub(super) fn market_slots(&mut self) {
        for (i, (key, _)) in self.section("market").iter().enumerate() {
            if i == MARKET_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more values of the market than are kept",
                    format!("write at most {MARKET_MAX}"),
                );
                break;
            }
            self.plan.slots.push(SlotPlan {
                name: format!("env.market_{}", key.text),
                kind: ValueType::Number,
                source: SlotSource::Market(i as u16),
            });
        }
    }

    /// What values of the market are made of.
    pub(super) fn market(&mut self) {
        for (key, node) in self.section("market").iter().take(MARKET_MAX) {
            if let Some(plan) = self.value_of_market(key, node) {
                self.plan.market.push(plan);
            }
        }
    }

    fn value_of_market(&mut self, key: &Key, node: &Node) -> Option<MarketPlan> {
        let catalogue = node.get("catalogue").and_then(|n| self.catalogue_index(n));
        let measured = node.get("of")?;
        let attribute = catalogue.and_then(|c| {
            let plan = &self.plan.catalogues[usize::from(c)];
            let name = measured.text()?;
            let Some(i) = plan.attributes.iter().position(|a| a.name == name) else {
                let names: Vec<String> = plan.attributes.iter().map(|a| a.name.clone()).collect();
                let what = format!("attribute of `{}`", plan.name);
                self.report
                    .unknown(measured.at, &what, name, names.iter().map(String::as_str));
                return None;
            };
            let kind = plan.attributes[i].kind;
            if !matches!(kind, ValueType::Number | ValueType::Integer) {
                self.report.at(
                    measured.at,
                    Code::WrongType,
                    format!("`{}` is {}", shown(name), kind.word()),
                    "the market is told by a number or an integer",
                );
                return None;
            }
            Some(i as u16)
        });
        let of = match (node.get("item"), node.get("median_where")) {
            (Some(_), Some(n)) => {
                self.report.at(
                    n.at,
                    Code::Conflict,
                    "an item and a median",
                    "leave one of `item` and `median_where` out",
                );
                return None;
            }
            (Some(item), None) => MarketOf::Item(item.scalar()?.to_owned()),
            (None, None) => MarketOf::Median(None),
            (None, Some(n)) => {
                let scope = match catalogue {
                    Some(c) => self.scope(Place::Item(c)),
                    None => self.item_scope(None),
                };
                let typed = self.expression(n, &scope, Want::Condition)?;
                let asked = ItemSlots::new(&self.plan, catalogue?).asked(&typed.expr);
                if asked.customer {
                    self.report.at(
                        n.at,
                        Code::NotHere,
                        format!("`{}` asks more than the item", shown(&key.text)),
                        "read `item.…` alone: the market is the same for all customers and at all hours",
                    );
                    return None;
                }
                MarketOf::Median(Some(typed.expr))
            }
        };
        Some(MarketPlan {
            name: key.text.clone(),
            catalogue: catalogue?,
            attribute: attribute?,
            of,
        })
    }
}
