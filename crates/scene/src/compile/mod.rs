//! From sections to the plan, in the order in which things may name each other: events, tags, environment, request, orders,
//! derived tags, artifacts, intentions, catalogues, market, segments, rewards, models, budgets, policies, contests, monitors.
//!
//! It must never stop at a fault: what follows is compiled as if the faulty part were right, and what would be said only
//! because of an earlier fault is not said.

mod calendars;
mod catalogue;
mod contests;
mod events;
mod learning;
mod measures;
mod moment;
mod monitors;
mod orders;
mod policy;
mod scoring;
mod settings;
mod tags;
mod value;

pub use calendars::{CALENDAR_DAYS_MAX, CALENDARS_MAX};
pub use catalogue::{ATTRIBUTES_MAX, CATALOGUES_MAX, PAIRED_MAX};
pub use learning::{MODELS_MAX, REWARDS_MAX};
pub use policy::{BUDGETS_MAX, POLICIES_MAX, POLICY_PARTS_MAX, SLOTS_MAX};
pub use settings::SETTINGS_MAX;
pub(crate) use value::scalar;

use crate::cel::{self, Place, RequestTexts, Scope, Ty, Typed};
use crate::draft::{Draft, Sections};
use crate::fault::{Code, shown};
use crate::node::{At, Data, Key, Node, place_within};
use crate::shape::{EXPRESSION_BYTES_MAX, Reporter};
use crate::unit;
use luopan_kernel::artifact::Artifact;
use luopan_kernel::event::{CUSTOMER_TYPE, DECISION_TYPE};
use luopan_kernel::plan::{ArtifactKind, Field, PLAN_FORMAT, ScenePlan, SlotId};
use luopan_kernel::time::DAY_US;
use luopan_kernel::value::{Value, ValueType};
use std::collections::{BTreeMap, BTreeSet};

/// How long event ids are remembered when the pack does not say.
pub const DEDUP_HORIZON_DEFAULT_US: i64 = 7 * DAY_US;

/// What an expression must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// A condition.
    Condition,
    /// A number, integer, money or boolean.
    Figure,
    /// Anything.
    Anything,
}

/// What is declared and at fault, or may be declared where nothing could be read: to name it is no fault of its own.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    sections: BTreeSet<&'static str>,
    names: BTreeSet<(&'static str, String)>,
    owners: BTreeSet<String>,
    fields: BTreeSet<(String, String)>,
}

impl Declared {
    /// True when `name` may stand in the section though the plan does not hold it.
    pub(crate) fn has(&self, section: &'static str, name: &str) -> bool {
        self.sections.contains(section) || self.names.contains(&(section, name.to_owned()))
    }

    /// True when the field may be declared though its owner's schema does not hold it.
    pub(crate) fn has_field(&self, owner: &str, name: &str) -> bool {
        self.owners.contains(owner) || self.fields.contains(&(owner.to_owned(), name.to_owned()))
    }

    /// Fields of the owner whose declaration is at fault.
    pub(crate) fn fields_of<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.fields
            .iter()
            .filter(move |(o, _)| o == owner)
            .map(|(_, f)| f.as_str())
    }

    /// True when not all fields of the owner could be read.
    pub(crate) fn is_vague(&self, owner: &str) -> bool {
        self.owners.contains(owner)
    }
}

/// What fields of a catalogue's items are filed under in [`Declared`].
pub(crate) fn owner_of_items(catalogue: &str) -> String {
    format!("catalogue {catalogue}")
}

/// What fields of requests are filed under in [`Declared`].
pub(crate) const REQUEST_OWNER: &str = "request";

/// True when the map can be trusted to hold every name of its list `list`: its keys are known and the list is a map.
fn is_whole(node: &Node, keys: &[&str], list: &str) -> bool {
    matches!(node.data, Data::Map(_))
        && node
            .entries()
            .iter()
            .all(|(k, _)| keys.contains(&k.text.as_str()))
        && node
            .get(list)
            .is_none_or(|n| matches!(n.data, Data::Map(_)))
}

/// The compiler's state: the plan as far as it stands, and the faults.
pub(crate) struct Compiler<'d, 'r> {
    pub(crate) plan: ScenePlan,
    pub(crate) report: Reporter<'r>,
    sections: &'d Sections<'d>,
    /// Tags, attributes and derived tags whose declaration is at fault.
    broken: BTreeSet<String>,
    /// Settings by their full names, with their values.
    constants: BTreeMap<String, (Value<'static>, Ty)>,
    /// What is declared and not in the plan.
    declared: Declared,
    /// Request fields with what the slots do not hold (`one_of`, `not_a_feature`).
    request: Vec<Field>,
    /// Why a slot may not be a feature.
    not_a_feature: BTreeMap<SlotId, String>,
    request_texts: RequestTexts,
    scopes: BTreeMap<Place, Scope<'static>>,
    /// Trained files of the pack.
    trained: Trained<'d>,
    /// What they hold, in the order of [`ScenePlan::artifacts`].
    artifacts: Vec<Artifact>,
}

/// Reads an artifact of a kind from a file's bytes, or says what is wrong with them.
pub type DecodeArtifact<'d> = dyn Fn(ArtifactKind, &[u8]) -> Result<Artifact, String> + 'd;

/// The pack's trained files, and what reads them.
#[derive(Clone, Copy)]
pub(crate) struct Trained<'d> {
    pub(crate) files: &'d BTreeMap<String, Vec<u8>>,
    /// Of registered models the version in force, in Luopan's own form, by name.
    pub(crate) models: &'d BTreeMap<String, Vec<u8>>,
    pub(crate) decode: &'d DecodeArtifact<'d>,
    /// True when artifacts are still to be trained: they are named and not read.
    pub(crate) to_train: bool,
}

/// Compiles the sections. The plan means something only when there are no faults.
pub(crate) fn scene<'r>(
    sections: &Sections<'_>,
    draft: &Draft,
    trained: Trained<'_>,
    report: Reporter<'r>,
) -> (ScenePlan, Vec<Artifact>, Declared, Reporter<'r>) {
    let mut compiler = Compiler {
        plan: ScenePlan {
            format: PLAN_FORMAT,
            name: String::new(),
            description: String::new(),
            default_zone: "UTC".into(),
            zone_attribute: None,
            events: Vec::new(),
            tags: Vec::new(),
            derived: Vec::new(),
            paired: Vec::new(),
            calendars: Vec::new(),
            slots: Vec::new(),
            catalogues: Vec::new(),
            segments: Vec::new(),
            policies: Vec::new(),
            models: Vec::new(),
            rewards: Vec::new(),
            budgets: Vec::new(),
            artifacts: Vec::new(),
            dedup_horizon_us: DEDUP_HORIZON_DEFAULT_US,
            orders: vec![],
            market: vec![],
            intentions: vec![],
            monitors: vec![],
            contests: vec![],
        },
        report,
        sections,
        broken: BTreeSet::new(),
        constants: BTreeMap::new(),
        declared: Declared {
            sections: sections.vague(),
            ..Declared::default()
        },
        request: Vec::new(),
        not_a_feature: BTreeMap::new(),
        request_texts: BTreeMap::new(),
        scopes: BTreeMap::new(),
        trained,
        artifacts: Vec::new(),
    };
    compiler.header(draft);
    compiler.settings();
    compiler.events();
    compiler.tags();
    compiler.environment();
    compiler.request();
    compiler.orders();
    compiler.derived();
    compiler.artifacts();
    compiler.intentions();
    compiler.catalogues();
    compiler.market();
    compiler.segments();
    compiler.rewards();
    compiler.models();
    compiler.budgets();
    compiler.policies();
    compiler.contests();
    compiler.monitors();
    for (section, name) in compiler.left_out() {
        compiler.declared.names.insert((section, name));
    }
    (
        compiler.plan,
        compiler.artifacts,
        compiler.declared,
        compiler.report,
    )
}

impl<'d> Compiler<'d, '_> {
    /// The entries of a section, in the order of files.
    pub(crate) fn section(&self, name: &str) -> &'d [&'d (Key, Node)] {
        self.sections.of(name)
    }

    /// Reports a name that the section does not declare, unless the section could not be read to its end.
    pub(crate) fn unknown(&mut self, at: At, section: &'static str, what: &str, name: &str) {
        if !self.declared.has(section, name) {
            let names: Vec<&str> = self
                .section(section)
                .iter()
                .map(|(k, _)| k.text.as_str())
                .collect();
            self.report.unknown(at, what, name, names.iter().copied());
        }
    }

    /// What is declared and did not come into the plan, for those who name it from a mapping.
    fn left_out(&self) -> Vec<(&'static str, String)> {
        let plan = &self.plan;
        let missing =
            |section: &'static str, known: &dyn Fn(&str) -> bool| -> Vec<(&'static str, String)> {
                self.section(section)
                    .iter()
                    .filter(|(k, _)| !known(&k.text))
                    .map(|(k, _)| (section, k.text.clone()))
                    .collect()
            };
        let mut out = missing("events", &|n| plan.event(n).is_some());
        out.extend(missing("policies", &|n| plan.policy(n).is_some()));
        out.extend(missing("catalogues", &|n| {
            plan.catalogues.iter().any(|c| c.name == n)
        }));
        out
    }

    fn single(&self, name: &str) -> Option<&'d Node> {
        self.section(name).first().map(|(_, node)| node)
    }

    fn header(&mut self, draft: &Draft) {
        match self.single("scene") {
            Some(node) => self.plan.name = node.text().unwrap_or_default().to_owned(),
            None if self.sections.is_vague("scene") => {}
            None => {
                let file = draft
                    .files
                    .iter()
                    .position(|(p, _)| p.ends_with("scene.yaml"))
                    .unwrap_or(0);
                let at = At {
                    file: file as u16,
                    line: 1,
                    column: 1,
                };
                self.report.at(
                    at,
                    Code::MissingKey,
                    "no file names the scene",
                    "write `scene: name` in `scene.yaml`",
                );
            }
        }
        if let Some(text) = self.single("description").and_then(Node::scalar) {
            self.plan.description = text.trim().to_owned();
        }
        if let Some(zone) = self.single("zone").and_then(Node::text) {
            self.plan.default_zone = zone.to_owned();
        }
        if let Some(us) = self.single("dedup_horizon").and_then(duration) {
            self.plan.dedup_horizon_us = us;
        }
    }

    /// The scope of a place. Slots are all there once the catalogues are compiled; before that scopes are made anew.
    fn scope(&self, place: Place) -> Scope<'static> {
        if let Some(scope) = self.scopes.get(&place) {
            return scope.clone();
        }
        let mut scope = Scope::of_plan(&self.plan, place, &self.request_texts);
        scope.set_broken(&self.broken);
        scope.set_constants(&self.constants);
        for (key, _) in self.section("segments") {
            scope.hide_segment(&key.text);
        }
        let vague = |section| self.sections.is_vague(section);
        if ["customer", "tags", "sequences", "derived"]
            .into_iter()
            .any(vague)
            || self.declared.is_vague(CUSTOMER_TYPE)
        {
            scope.presume("");
        }
        if vague("settings") {
            scope.presume("settings.");
        }
        if vague("request") {
            scope.presume("request.");
        }
        if vague("orders") {
            scope.presume("book.");
            scope.presume("held.");
        }
        if vague("calendars") {
            scope.presume("env.trading_day_");
            scope.presume("env.days_to_trading_day_");
            scope.presume("env.eve_of_holiday_");
            scope.presume("env.days_closed_ahead_");
            scope.presume("env.trading_phase_");
            scope.presume("env.order_day_");
            scope.presume("env.closed_after_t1_");
            scope.presume("env.closed_after_t2_");
        }
        if vague("intentions") || self.declared.is_vague(moment::INTENTIONS) {
            scope.presume("intention.");
        }
        if vague("market") {
            scope.presume("env.market_");
        }
        let known = match place {
            Place::Item(c) | Place::Scored(c) => self
                .plan
                .catalogues
                .get(usize::from(c))
                .is_some_and(|c| !self.declared.is_vague(&owner_of_items(&c.name))),
            _ => true,
        };
        if !known {
            scope.presume("item.");
        }
        scope
    }

    /// The scope of items of this catalogue; of any, when it is not known which.
    fn item_scope(&self, catalogue: Option<u16>) -> Scope<'static> {
        match catalogue {
            Some(c) => self.scope(Place::Item(c)),
            None => {
                let mut scope = self.scope(Place::Customer);
                scope.presume("item.");
                scope
            }
        }
    }

    /// Keeps the scopes from here on: no more slots come.
    fn settle_scopes(&mut self) {
        let mut places = vec![Place::Customer, Place::Segment];
        let catalogues = || (0..self.plan.catalogues.len()).map(|c| c as u16);
        places.extend(catalogues().map(Place::Item));
        places.extend(catalogues().map(Place::Scored));
        for place in places {
            let scope = self.scope(place);
            self.scopes.insert(place, scope);
        }
    }

    /// The scope of an event's fields; of any, when it is not known which event.
    fn event_scope(&self, event: Option<u16>) -> Scope<'static> {
        let Some(schema) = event.and_then(|e| self.plan.events.get(usize::from(e))) else {
            return Scope::of_anything();
        };
        let mut scope = Scope::of_event(schema);
        let broken: Vec<String> = self
            .declared
            .fields_of(&schema.name)
            .map(str::to_owned)
            .collect();
        scope.set_broken(&broken);
        scope.set_broken(self.broken.iter().filter(|n| n.starts_with("settings.")));
        scope.set_constants(&self.constants);
        if self.declared.is_vague(&schema.name) {
            scope.presume("");
        }
        if schema.name == DECISION_TYPE {
            for (name, texts) in [
                ("channel", self.channels()),
                ("policy", self.policy_names()),
            ] {
                if let (Some(i), Some(texts)) = (schema.field(name), texts) {
                    scope.allow(SlotId(i as u16), texts);
                }
            }
        }
        scope
    }

    /// Names of the policies; none when not all could be read.
    fn policy_names(&self) -> Option<BTreeSet<String>> {
        let section = self.section("policies");
        (!section.is_empty() && !self.sections.is_vague("policies"))
            .then(|| section.iter().map(|(k, _)| k.text.clone()).collect())
    }

    /// Channels of the policies; none when not all could be read.
    pub(crate) fn channels(&self) -> Option<BTreeSet<String>> {
        let names = self.policy_names()?;
        let mut out = BTreeSet::new();
        for (_, node) in self.section("policies") {
            match (node.get("channel"), node.get("like").and_then(Node::text)) {
                (Some(channel), _) => {
                    out.insert(channel.text()?.to_owned());
                }
                (None, Some(like)) if names.contains(like) => {}
                _ => return None,
            }
        }
        Some(out)
    }

    /// Compiles the CEL in `node`; faults are reported at their own column within it.
    pub(crate) fn expression(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        want: Want,
    ) -> Option<Typed> {
        expression(&mut self.report, node, scope, want)
    }
}

/// Compiles the CEL in `node`; faults are reported at their own column within it.
pub(crate) fn expression(
    report: &mut Reporter<'_>,
    node: &Node,
    scope: &Scope<'_>,
    want: Want,
) -> Option<Typed> {
    // One that is too long was reported with the shape.
    let source = node
        .scalar()
        .filter(|t| !t.trim().is_empty() && t.len() <= EXPRESSION_BYTES_MAX)?;
    let typed = match cel::compile(source, scope) {
        Ok(typed) => typed,
        Err(faults) => {
            let file = report
                .files
                .get(usize::from(node.at.file))
                .map_or("", |(_, text)| text.as_str());
            let placed: Vec<_> = faults
                .into_iter()
                .map(|f| (place_within(file, node, f.offset), f))
                .collect();
            for (at, f) in placed {
                report.near(at, f.code, f.found, f.write, f.nearest);
            }
            return None;
        }
    };
    let fits = match want {
        Want::Condition => typed.ty == Ty::Boolean,
        Want::Figure => matches!(
            typed.ty,
            Ty::Boolean | Ty::Integer | Ty::Number | Ty::Money { .. }
        ),
        Want::Anything => true,
    };
    if fits {
        return Some(typed);
    }
    let (needed, write) = match want {
        Want::Condition => (
            "a condition",
            "compare it with something, so that it is true or false",
        ),
        _ => (
            "a number, integer, money or boolean",
            "write an expression that gives one",
        ),
    };
    report.at(
        node.at,
        Code::ExpressionType,
        format!(
            "`{}` gives {}, and {needed} is needed here",
            shown(source),
            typed.ty.word()
        ),
        write,
    );
    None
}

/// A length of time that the shape has checked.
pub(crate) fn duration(node: &Node) -> Option<i64> {
    unit::duration(node.scalar()?).ok().filter(|us| *us > 0)
}

/// The type of a word that the shape has checked.
pub(crate) fn value_type(word: &str) -> Option<ValueType> {
    [
        ValueType::Boolean,
        ValueType::Integer,
        ValueType::Number,
        ValueType::Money,
        ValueType::Text,
        ValueType::Time,
        ValueType::Duration,
    ]
    .into_iter()
    .find(|t| t.word() == word)
}
