//! What a new version of a scene changes against the one in force, and what each change means for what is known and learned.
//! A pure comparison of two plans: everything is compared by name, so that other numbers alone are no change.
//!
//! It must never call harmless what makes something start anew.

use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::plan::{
    Aggregate, CataloguePlan, EventSchema, FeaturePlan, Field, Join, ModelPlan, PolicyPlan,
    RewardPlan, ScenePlan, Scorer, SlotId, SlotSource, TagPlan,
};
use luopan_kernel::value::{Value, ValueType};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The scene's own: zone, horizon.
    Setting,
    /// A customer attribute.
    Attribute,
    /// A type of event.
    Event,
    /// A tag.
    Tag,
    /// A derived tag.
    Derived,
    /// A field of requests.
    Request,
    /// A calendar.
    Calendar,
    /// A catalogue.
    Catalogue,
    /// Orders of a catalogue.
    Orders,
    /// A segment.
    Segment,
    /// A reward.
    Reward,
    /// A model.
    Model,
    /// A budget.
    Budget,
    /// A trained artifact.
    Artifact,
    /// A policy.
    Policy,
    /// A contest of policies.
    Contest,
    /// A monitor.
    Monitor,
}

impl Kind {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Attribute => "attribute",
            Self::Event => "event",
            Self::Tag => "tag",
            Self::Derived => "derived tag",
            Self::Request => "request field",
            Self::Calendar => "calendar",
            Self::Catalogue => "catalogue",
            Self::Orders => "orders of",
            Self::Segment => "segment",
            Self::Reward => "reward",
            Self::Model => "model",
            Self::Budget => "budget",
            Self::Artifact => "artifact",
            Self::Policy => "policy",
            Self::Contest => "contest",
            Self::Monitor => "monitor",
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It was not there before.
    Added,
    /// It is there no more.
    Removed,
    /// It is another.
    Changed,
}

impl What {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is declared.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub what: What,
    /// What that means.
    pub meaning: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} `{}` {}: {}",
            self.kind.word(),
            self.name,
            self.what.word(),
            self.meaning
        )
    }
}

/// Everything that `after` changes against `before`, by kind and name; empty when both mean the same.
pub fn changes(before: &ScenePlan, after: &ScenePlan) -> Vec<Change> {
    let mut out = Out {
        before,
        after,
        found: Vec::new(),
    };
    out.settings();
    out.attributes();
    out.events();
    out.tags();
    out.slots();
    out.catalogues();
    out.by_definition(Kind::Segment, segments, |_| {
        "its members are found anew among all customers".to_owned()
    });
    out.by_definition(Kind::Reward, rewards, |_| {
        "outcomes are valued so from here on; what was settled before stays as it was".to_owned()
    });
    out.models();
    out.by_definition(Kind::Budget, budgets, |keys| {
        if keys.iter().any(|k| k == "`period`") {
            return "its period is another: it begins with nothing spent".to_owned();
        }
        "what was spent under this name stays spent".to_owned()
    });
    out.by_definition(Kind::Artifact, artifacts, |_| {
        "policies that use it score by the new one from the next decision on".to_owned()
    });
    out.by_definition(Kind::Policy, policies, |keys| {
        format!("{}, from the next decision on", differ(keys))
    });
    out.by_definition(Kind::Contest, contests, |_| {
        "customers are dealt so from the next decision on; a larger share takes them from the champion alone".to_owned()
    });
    out.by_definition(Kind::Monitor, monitors, |_| {
        "it looks so from the next time on".to_owned()
    });
    let mut found = out.found;
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    found
}

type Definitions = BTreeMap<String, Json>;

struct Out<'p> {
    before: &'p ScenePlan,
    after: &'p ScenePlan,
    found: Vec<Change>,
}

impl Out<'_> {
    fn tell(&mut self, kind: Kind, name: &str, what: What, meaning: impl Into<String>) {
        self.found.push(Change {
            kind,
            name: name.to_owned(),
            what,
            meaning: meaning.into(),
        });
    }

    /// Tells what was added, removed or defined otherwise. `changed` is given the keys that differ.
    fn by_definition(
        &mut self,
        kind: Kind,
        read: fn(&ScenePlan) -> Definitions,
        changed: impl Fn(&[String]) -> String,
    ) {
        let (before, after) = (read(self.before), read(self.after));
        for name in before.keys().filter(|n| !after.contains_key(*n)) {
            let meaning = match kind {
                Kind::Segment => "its members are forgotten",
                Kind::Policy => "nobody can decide by it any more; its decisions stay",
                Kind::Reward => "decisions that wait for it settle without it",
                Kind::Budget => "nothing is debited from it any more",
                _ => "it is there no more",
            };
            self.tell(kind, name, What::Removed, meaning);
        }
        for (name, definition) in &after {
            match before.get(name) {
                Some(old) if old == definition => {}
                Some(old) => {
                    let meaning = changed(&differing(old, definition));
                    self.tell(kind, name, What::Changed, meaning);
                }
                None => {
                    let meaning = match kind {
                        Kind::Segment => "its members are found among all customers",
                        Kind::Budget => "nothing is spent of it yet",
                        _ => "it is there from here on",
                    };
                    self.tell(kind, name, What::Added, meaning);
                }
            }
        }
    }

    fn settings(&mut self) {
        let read = |p: &ScenePlan| {
            [
                ("zone", p.default_zone.clone()),
                (
                    "zone_attribute",
                    p.zone_attribute.clone().unwrap_or_else(|| "none".into()),
                ),
                (
                    "dedup_horizon",
                    crate::unit::duration_text(p.dedup_horizon_us),
                ),
            ]
        };
        for ((name, old), (_, new)) in read(self.before).into_iter().zip(read(self.after)) {
            if old != new {
                self.tell(
                    Kind::Setting,
                    name,
                    What::Changed,
                    format!("was {old}, is {new}"),
                );
            }
        }
    }

    fn attributes(&mut self) {
        let read = |p: &ScenePlan| -> BTreeMap<String, Field> {
            let fields = p.event(CUSTOMER_TYPE).map_or(&[][..], |e| &e.fields);
            fields.iter().map(|f| (f.name.clone(), f.clone())).collect()
        };
        let (before, after) = (read(self.before), read(self.after));
        for name in before.keys().filter(|n| !after.contains_key(*n)) {
            self.tell(
                Kind::Attribute,
                name,
                What::Removed,
                "nothing reads it any more; what was imported stays in the log",
            );
        }
        for (name, new) in &after {
            match before.get(name) {
                None => self.tell(
                    Kind::Attribute,
                    name,
                    What::Added,
                    "unknown for every customer until it is imported",
                ),
                Some(old) if old.kind != new.kind => {
                    let meaning = retyped(old.kind, new.kind);
                    self.tell(Kind::Attribute, name, What::Changed, meaning);
                }
                Some(old) if old != new => self.tell(
                    Kind::Attribute,
                    name,
                    What::Changed,
                    format!("{}; what is known stays", otherwise(old, new)),
                ),
                Some(_) => {}
            }
        }
    }

    fn events(&mut self) {
        let read = |p: &ScenePlan| -> BTreeMap<String, EventSchema> {
            (p.events.iter())
                .filter(|e| e.name != CUSTOMER_TYPE)
                .map(|e| (e.name.clone(), e.clone()))
                .collect()
        };
        let (before, after) = (read(self.before), read(self.after));
        for name in before.keys().filter(|n| !after.contains_key(*n)) {
            self.tell(
                Kind::Event,
                name,
                What::Removed,
                "what comes of this type goes to quarantine; what came stays in the log",
            );
        }
        for (name, new) in &after {
            let Some(old) = before.get(name) else {
                self.tell(
                    Kind::Event,
                    name,
                    What::Added,
                    "it is taken in from here on",
                );
                continue;
            };
            let mut words = Vec::new();
            for f in &new.fields {
                match old.field(&f.name).map(|i| &old.fields[i]) {
                    None => words.push(format!("the field `{}` is new", f.name)),
                    Some(o) if o.kind != f.kind => {
                        words.push(format!("`{}`, {}", f.name, retyped(o.kind, f.kind)))
                    }
                    Some(o) if o != f => {
                        words.push(format!("`{}`, {}", f.name, otherwise(o, f)));
                    }
                    Some(_) => {}
                }
            }
            for f in old.fields.iter().filter(|f| new.field(&f.name).is_none()) {
                words.push(format!("the field `{}` is gone", f.name));
            }
            if !words.is_empty() {
                self.tell(Kind::Event, name, What::Changed, words.join("; "));
            }
        }
    }

    fn tags(&mut self) {
        let read = |p: &ScenePlan| -> BTreeMap<String, TagPlan> {
            (p.tags.iter())
                .filter(|t| !is_attribute(p, t))
                .map(|t| (t.name.clone(), t.clone()))
                .collect()
        };
        let (before, after) = (read(self.before), read(self.after));
        for name in before.keys().filter(|n| !after.contains_key(*n)) {
            self.tell(
                Kind::Tag,
                name,
                What::Removed,
                "it is forgotten; the log would give it again",
            );
        }
        for (name, new) in &after {
            match before.get(name) {
                None => {
                    let renamed = (before.values())
                        .find(|o| o.id == new.id && !after.contains_key(&o.name))
                        .map(|o| format!("renamed from `{}`, with all it knows", o.name));
                    let meaning = renamed.unwrap_or_else(|| "it is folded from the log".to_owned());
                    self.tell(Kind::Tag, name, What::Added, meaning);
                }
                Some(old) if old.id != new.id => self.tell(
                    Kind::Tag,
                    name,
                    What::Changed,
                    "it is folded anew from the log under its new definition",
                ),
                Some(old) if old.default != new.default => self.tell(
                    Kind::Tag,
                    name,
                    What::Changed,
                    format!(
                        "where nothing was seen it is {} now; what is known stays",
                        value_text(&new.default)
                    ),
                ),
                Some(_) => {}
            }
        }
    }

    /// What is neither folded nor learned.
    fn slots(&mut self) {
        self.by_definition(Kind::Derived, derived, |_| {
            "it is computed so from here on".to_owned()
        });
        self.by_definition(Kind::Request, requests, |_| {
            "requests are read so from here on".to_owned()
        });
        self.by_definition(Kind::Calendar, calendars, differ);
        self.by_definition(Kind::Orders, orders, |keys| {
            if keys.iter().any(|k| k == "`id`") {
                "books are folded anew from the log".to_owned()
            } else {
                "what is held is valued so from here on".to_owned()
            }
        });
    }

    fn catalogues(&mut self) {
        let read = |p: &ScenePlan| -> BTreeMap<String, CataloguePlan> {
            (p.catalogues.iter())
                .map(|c| (c.name.clone(), c.clone()))
                .collect()
        };
        let (before, after) = (read(self.before), read(self.after));
        for name in before.keys().filter(|n| !after.contains_key(*n)) {
            self.tell(
                Kind::Catalogue,
                name,
                What::Removed,
                "its items are chosen no more",
            );
        }
        for (name, new) in &after {
            let Some(old) = before.get(name) else {
                self.tell(
                    Kind::Catalogue,
                    name,
                    What::Added,
                    format!("with {}", counted(new.items.len(), "item")),
                );
                continue;
            };
            let mut words = Vec::new();
            if old.attributes != new.attributes {
                words.push("its attributes differ".to_owned());
            }
            let held = |c: &CataloguePlan, key: &str| c.items.iter().any(|i| i.key == key);
            let fresh = new.items.iter().filter(|i| !held(old, &i.key)).count();
            let gone = old.items.iter().filter(|i| !held(new, &i.key)).count();
            let other = (new.items.iter())
                .filter(|i| held(old, &i.key) && item(new, &i.key) != item(old, &i.key))
                .count();
            for (count, what) in [(fresh, "added"), (gone, "removed"), (other, "changed")] {
                if count > 0 {
                    words.push(format!("{} {what}", counted(count, "item")));
                }
            }
            if !words.is_empty() {
                self.tell(Kind::Catalogue, name, What::Changed, words.join("; "));
            }
        }
    }

    /// A model lives as long as its definition stays the same, numbers of slots included: the engine names its samples by it.
    fn models(&mut self) {
        let (before, after) = (self.before, self.after);
        for m in &before.models {
            if !after.models.iter().any(|n| n.name == m.name) {
                self.tell(Kind::Model, &m.name, What::Removed, "it learns no more");
            }
        }
        let changed_rewards = different(&rewards(before), &rewards(after));
        for new in &after.models {
            let deaf = (!is_awaited(after, new)).then(|| {
                format!(
                    "it learns from nothing: no policy waits for its reward `{}`",
                    reward_of(after, new)
                )
            });
            let Some(old) = before.models.iter().find(|m| m.name == new.name) else {
                let meaning = deaf.unwrap_or_else(|| "it starts with no samples".to_owned());
                self.tell(Kind::Model, &new.name, What::Added, meaning);
                continue;
            };
            let mut words = Vec::new();
            let other_inputs = inputs(before, old) != inputs(after, new);
            if old != new {
                let why = if model(before, old) == model(after, new) && !other_inputs {
                    "its definition is the same, but what it reads is numbered otherwise since other things were declared or removed"
                } else {
                    "its definition changed"
                };
                words.push(format!("it starts with no samples: {why}"));
            } else if other_inputs {
                words.push(
                    "it keeps its samples, though what it reads means something else now; rename it to begin anew"
                        .to_owned(),
                );
            } else if changed_rewards.contains(reward_of(after, new)) {
                words.push(format!(
                    "it keeps its samples, though its reward `{}` changed; rename it to begin anew",
                    reward_of(after, new)
                ));
            }
            if deaf.is_some() && (!words.is_empty() || is_awaited(before, old)) {
                words.extend(deaf);
            }
            if !words.is_empty() {
                self.tell(Kind::Model, &new.name, What::Changed, words.join("; "));
            }
        }
    }
}

fn is_attribute(plan: &ScenePlan, tag: &TagPlan) -> bool {
    let event = plan.events.get(usize::from(tag.event));
    event.is_some_and(|e| {
        e.name == CUSTOMER_TYPE
            && tag.aggregate == Aggregate::Last
            && tag
                .measure
                .of
                .and_then(|i| e.fields.get(usize::from(i)))
                .is_some_and(|f| f.name == tag.name)
    })
}

/// What another type means for what was taken in: values are kept as they came.
fn retyped(old: ValueType, new: ValueType) -> String {
    let whole = |t| {
        matches!(
            t,
            ValueType::Integer | ValueType::Money | ValueType::Duration
        )
    };
    if whole(old) && whole(new) {
        return format!(
            "was {}, is {}: what came before is folded anew and read as {1}",
            old.word(),
            new.word()
        );
    }
    format!(
        "was {}, is {}: what came before does not count, and it is unknown until it comes again",
        old.word(),
        new.word()
    )
}

/// How a field of one type differs.
fn otherwise(old: &Field, new: &Field) -> String {
    let mut words = Vec::new();
    if old.currency != new.currency {
        words.push("its currency differs");
    }
    if old.one_of != new.one_of {
        words.push("the texts it may hold differ");
    }
    if old.required != new.required {
        words.push(if new.required {
            "it is required now"
        } else {
            "it is required no more"
        });
    }
    if old.not_a_feature != new.not_a_feature {
        words.push("whether models may use it differs");
    }
    if words.is_empty() {
        words.push("it differs");
    }
    words.join(", ")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn value_text(value: &Value<'_>) -> String {
    match value {
        Value::Missing => "unknown".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Number(v) => v.to_string(),
        Value::Text(v) => format!("`{v}`"),
        Value::Time(v) => v.0.to_string(),
    }
}

fn item<'c>(catalogue: &'c CataloguePlan, key: &str) -> Option<&'c [Value<'static>]> {
    let found = catalogue.items.iter().find(|i| i.key == key);
    found.map(|i| i.values.as_slice())
}

/// Keys of two definitions whose values differ.
fn differing(old: &Json, new: &Json) -> Vec<String> {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return vec!["its definition".to_owned()];
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|k| old.get(*k) != new.get(*k))
        .map(|k| format!("`{k}`"))
        .collect()
}

fn differ(keys: &[String]) -> String {
    let verb = if keys.len() == 1 { "differs" } else { "differ" };
    format!("{} {verb}", keys.join(", "))
}

fn different(before: &Definitions, after: &Definitions) -> BTreeSet<String> {
    after
        .iter()
        .filter(|(name, new)| before.get(*name).is_some_and(|old| old != *new))
        .map(|(name, _)| name.clone())
        .collect()
}

/// A serialised plan with its slots replaced by names.
pub(crate) fn by_name(value: Json, name: &dyn Fn(u16) -> String) -> Json {
    match value {
        Json::Object(map) => Json::Object(
            map.into_iter()
                .map(|(k, v)| match (k.as_str(), v.as_u64()) {
                    ("slot" | "consent", Some(i)) => {
                        let name = name(i as u16);
                        (k, Json::String(name))
                    }
                    _ => (k, by_name(v, name)),
                })
                .collect(),
        ),
        Json::Array(list) => Json::Array(list.into_iter().map(|v| by_name(v, name)).collect()),
        other => other,
    }
}

/// A part of a plan, with names for numbers of slots.
fn named(plan: &ScenePlan, part: &impl Serialize) -> Json {
    let name = |i: u16| {
        let slot = plan.slots.get(usize::from(i));
        slot.map_or_else(String::new, |s| s.name.clone())
    };
    by_name(serde_json::to_value(part).unwrap_or_default(), &name)
}

fn segments(plan: &ScenePlan) -> Definitions {
    (plan.segments.iter())
        .map(|s| (s.name.clone(), named(plan, &s.rule.expr)))
        .collect()
}

fn derived(plan: &ScenePlan) -> Definitions {
    (plan.slots.iter())
        .filter_map(|s| match s.source {
            SlotSource::Derived(d) => {
                let expr = plan.derived.get(usize::from(d))?;
                Some((s.name.clone(), named(plan, expr)))
            }
            SlotSource::Paired(c, k) => {
                let name = s.name.strip_prefix("item.").unwrap_or(&s.name);
                let catalogue = catalogue_name(plan, c).unwrap_or_default();
                let expr = plan.paired.get(usize::from(k))?;
                Some((format!("{catalogue}.{name}"), named(plan, expr)))
            }
            _ => None,
        })
        .collect()
}

fn requests(plan: &ScenePlan) -> Definitions {
    (plan.slots.iter())
        .filter(|s| s.source == SlotSource::Request)
        .map(|s| (s.name.clone(), json!(s.kind.word())))
        .collect()
}

fn calendars(plan: &ScenePlan) -> Definitions {
    (plan.calendars.iter())
        .map(|c| (c.name.clone(), named(plan, c)))
        .collect()
}

fn orders(plan: &ScenePlan) -> Definitions {
    (plan.orders.iter())
        .map(|o| {
            let attributes = (plan.catalogues.get(usize::from(o.catalogue)))
                .map_or(&[][..], |c| c.attributes.as_slice());
            let attribute = |i: Option<u16>| {
                i.and_then(|i| attributes.get(usize::from(i)))
                    .map(|f| &f.name)
            };
            let calendar = o.calendar.and_then(|c| plan.calendars.get(usize::from(c)));
            let definition = json!({
                "id": o.id,
                "nav": attribute(o.nav),
                "redemption_fees": attribute(o.fee_attribute),
                "fee_ladder": o.fees,
                "calendar": calendar.map(|c| &c.name),
            });
            let name = catalogue_name(plan, o.catalogue).unwrap_or_default();
            (name.to_owned(), definition)
        })
        .collect()
}

fn budgets(plan: &ScenePlan) -> Definitions {
    (plan.budgets.iter())
        .map(|b| (b.name.clone(), named(plan, b)))
        .collect()
}

fn contests(plan: &ScenePlan) -> Definitions {
    let policy = |i: u16| plan.policies.get(usize::from(i)).map(|p| &p.name);
    (plan.contests.iter())
        .map(|c| {
            let definition = json!({
                "champion": policy(c.champion),
                "challenger": policy(c.challenger),
                "share": c.share,
            });
            (c.name.clone(), definition)
        })
        .collect()
}

fn monitors(plan: &ScenePlan) -> Definitions {
    (plan.monitors.iter())
        .map(|m| {
            let policy = plan.policies.get(usize::from(m.policy)).map(|p| &p.name);
            let reward = m.reward.and_then(|r| plan.rewards.get(usize::from(r)));
            let definition = json!({
                "policy": policy,
                "reward": reward.map(|r| &r.name),
                "every": m.every_us,
                "recent": m.recent_us,
                "reference": m.reference_us,
                "limits": m.limits,
            });
            (m.name.clone(), definition)
        })
        .collect()
}

fn artifacts(plan: &ScenePlan) -> Definitions {
    (plan.artifacts.iter())
        .map(|a| (a.name.clone(), json!([a.kind, a.sha256])))
        .collect()
}

fn rewards(plan: &ScenePlan) -> Definitions {
    (plan.rewards.iter())
        .map(|r| (r.name.clone(), reward(plan, r)))
        .collect()
}

fn reward(plan: &ScenePlan, reward: &RewardPlan) -> Json {
    let event = plan.events.get(usize::from(reward.event));
    let field = |i: u16| {
        let field = event.and_then(|e| e.fields.get(usize::from(i)));
        field.map_or_else(String::new, |f| f.name.clone())
    };
    let mut out = by_name(serde_json::to_value(reward).unwrap_or_default(), &field);
    out["event"] = json!(event.map(|e| &e.name));
    match reward.join {
        Join::Decision(i) => out["join"] = json!({ "decision": field(i) }),
        Join::Order(i) => out["join"] = json!({ "order": field(i) }),
        Join::Customer => {}
    }
    out
}

fn catalogue_name(plan: &ScenePlan, index: u16) -> Option<&str> {
    let found = plan.catalogues.get(usize::from(index));
    found.map(|c| c.name.as_str())
}

fn reward_of<'p>(plan: &'p ScenePlan, model: &ModelPlan) -> &'p str {
    let found = plan.rewards.get(usize::from(model.reward));
    found.map_or("", |r| r.name.as_str())
}

fn model(plan: &ScenePlan, model: &ModelPlan) -> Json {
    let mut out = named(plan, model);
    out["reward"] = json!(reward_of(plan, model));
    out["catalogue"] = json!(catalogue_name(plan, model.catalogue));
    out
}

/// What the model's features read, with what defines it.
fn inputs(plan: &ScenePlan, model: &ModelPlan) -> BTreeMap<String, Json> {
    fn slots(feature: &FeaturePlan, out: &mut BTreeSet<SlotId>) {
        match feature {
            FeaturePlan::Intercept => {}
            FeaturePlan::Standard { slot, .. }
            | FeaturePlan::OneHot { slot, .. }
            | FeaturePlan::Bins { slot, .. } => {
                out.insert(*slot);
            }
            FeaturePlan::Cross { left, right } => {
                slots(left, out);
                slots(right, out);
            }
        }
    }
    let mut read = BTreeSet::new();
    for feature in &model.features {
        slots(&feature.plan, &mut read);
    }
    let mut out = BTreeMap::new();
    let mut open: Vec<SlotId> = read.into_iter().collect();
    while let Some(id) = open.pop() {
        let Some(slot) = plan.slots.get(usize::from(id.0)) else {
            continue;
        };
        let definition = match &slot.source {
            SlotSource::Tag(t) => json!(plan.tags.get(usize::from(*t)).map(|t| t.id)),
            SlotSource::Derived(d) => {
                let expr = plan.derived.get(usize::from(*d));
                if let Some(expr) = expr {
                    luopan_kernel::rule::visit_slots(expr, &mut |s| open.push(s));
                }
                json!(expr.map(|e| named(plan, e)))
            }
            SlotSource::Paired(_, k) => {
                let expr = plan.paired.get(usize::from(*k));
                if let Some(expr) = expr {
                    luopan_kernel::rule::visit_slots(expr, &mut |s| open.push(s));
                }
                json!(expr.map(|e| named(plan, e)))
            }
            SlotSource::Book(o, _) | SlotSource::Held(o, _) => {
                json!(plan.orders.get(usize::from(*o)).map(|o| o.id))
            }
            _ => json!(slot.kind.word()),
        };
        out.insert(slot.name.clone(), definition);
    }
    out
}

/// True when a policy that scores by the model waits for what it learns.
fn is_awaited(plan: &ScenePlan, model: &ModelPlan) -> bool {
    plan.policies
        .iter()
        .any(|p| p.catalogue == model.catalogue && p.rewards.contains(&model.reward))
}

fn policies(plan: &ScenePlan) -> Definitions {
    (plan.policies.iter())
        .map(|p| (p.name.clone(), policy(plan, p)))
        .collect()
}

fn policy(plan: &ScenePlan, policy: &PolicyPlan) -> Json {
    let mut out = named(plan, policy);
    out["catalogue"] = json!(catalogue_name(plan, policy.catalogue));
    out["rewards"] = (policy.rewards.iter())
        .map(|r| json!(plan.rewards.get(usize::from(*r)).map(|r| &r.name)))
        .collect();
    out["budgets"] = (policy.budgets.iter())
        .map(|b| {
            let budget = plan.budgets.get(usize::from(b.budget));
            json!([budget.map(|b| &b.name), named(plan, &b.cost), b.price])
        })
        .collect();
    if let Scorer::Model(name) = &policy.scorer {
        out["scorer"] = json!({ "model": name });
    }
    // As packs call it.
    if let Some(parts) = out.as_object_mut() {
        for (ours, written) in [
            ("scorer", "score"),
            ("valid_for_us", "valid_for"),
            ("quiet_period_us", "quiet_period"),
            ("receipts_within_us", "receipts_within"),
        ] {
            if let Some(value) = parts.remove(ours) {
                parts.insert(written.to_owned(), value);
            }
        }
    }
    out
}
