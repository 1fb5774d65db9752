//! From sections to the plan, in the order in which things may name each other: events, tags, environment, request, derived
//! tags, catalogues, segments, rewards, models, budgets, policies.
//!
//! It must never stop at a fault: what follows is compiled as if the faulty part were right, and what would be said only
//! because of an earlier fault is not said.

mod catalogue;
mod events;
mod learning;
mod policy;
mod tags;
mod value;

pub use catalogue::{ATTRIBUTES_MAX, CATALOGUES_MAX};
pub use learning::{MODELS_MAX, REWARDS_MAX};
pub use policy::{BUDGETS_MAX, POLICIES_MAX, POLICY_PARTS_MAX, SLOTS_MAX};
pub use tags::{CALENDAR_DAYS_MAX, CALENDARS_MAX};
pub(crate) use value::scalar;

use crate::cel::{self, Place, Scope, Ty, Typed};
use crate::draft::{Draft, Sections};
use crate::fault::{Code, shown};
use crate::node::{Key, Node, place_within};
use crate::shape::Reporter;
use crate::unit;
use luopan_kernel::plan::{Field, PLAN_FORMAT, ScenePlan, SlotId};
use luopan_kernel::time::DAY_US;
use luopan_kernel::value::ValueType;
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

/// The compiler's state: the plan as far as it stands, and the faults.
pub(crate) struct Compiler<'d, 'r> {
    pub(crate) plan: ScenePlan,
    pub(crate) report: Reporter<'r>,
    sections: &'d Sections<'d>,
    /// Tags, attributes and derived tags whose declaration is at fault.
    broken: BTreeSet<String>,
    /// Fields whose declaration is at fault, as `event.field`.
    broken_fields: BTreeSet<(String, String)>,
    /// Request fields with what the slots do not hold (`one_of`, `not_a_feature`).
    request: Vec<Field>,
    /// Why a slot may not be a feature.
    not_a_feature: BTreeMap<SlotId, String>,
    scopes: BTreeMap<Place, Scope<'static>>,
}

/// Compiles the sections. The plan means something only when there are no faults.
pub(crate) fn scene<'r>(
    sections: &Sections<'_>,
    draft: &Draft,
    report: Reporter<'r>,
) -> (ScenePlan, Reporter<'r>) {
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
            calendars: Vec::new(),
            slots: Vec::new(),
            catalogues: Vec::new(),
            segments: Vec::new(),
            policies: Vec::new(),
            models: Vec::new(),
            rewards: Vec::new(),
            budgets: Vec::new(),
            dedup_horizon_us: DEDUP_HORIZON_DEFAULT_US,
        },
        report,
        sections,
        broken: BTreeSet::new(),
        broken_fields: BTreeSet::new(),
        request: Vec::new(),
        not_a_feature: BTreeMap::new(),
        scopes: BTreeMap::new(),
    };
    compiler.header(draft);
    compiler.events();
    compiler.tags();
    compiler.environment();
    compiler.request();
    compiler.derived();
    compiler.catalogues();
    compiler.segments();
    compiler.rewards();
    compiler.models();
    compiler.budgets();
    compiler.policies();
    (compiler.plan, compiler.report)
}

impl<'d> Compiler<'d, '_> {
    /// The entries of a section, in the order of files.
    pub(crate) fn section(&self, name: &str) -> &'d [&'d (Key, Node)] {
        self.sections.get(name).map_or(&[], Vec::as_slice)
    }

    fn single(&self, name: &str) -> Option<&'d Node> {
        self.section(name).first().map(|(_, node)| node)
    }

    fn header(&mut self, draft: &Draft) {
        match self.single("scene") {
            Some(node) => self.plan.name = node.text().unwrap_or_default().to_owned(),
            None => {
                let file = draft
                    .files
                    .iter()
                    .position(|(p, _)| p.ends_with("scene.yaml"))
                    .unwrap_or(0);
                let at = crate::node::At {
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
    fn scope(&mut self, place: Place) -> Scope<'static> {
        if let Some(scope) = self.scopes.get(&place) {
            return scope.clone();
        }
        let mut scope = Scope::of_plan(&self.plan, place);
        scope.set_broken(&self.broken);
        scope
    }

    /// Keeps the scopes from here on: no more slots come.
    fn settle_scopes(&mut self) {
        let mut places = vec![Place::Customer, Place::Segment];
        places.extend((0..self.plan.catalogues.len()).map(|c| Place::Item(c as u16)));
        for place in places {
            let scope = self.scope(place);
            self.scopes.insert(place, scope);
        }
    }

    /// The scope of an event's fields.
    fn event_scope(&self, event: u16) -> Scope<'static> {
        let Some(schema) = self.plan.events.get(usize::from(event)) else {
            return Scope::default();
        };
        let mut scope = Scope::of_event(schema);
        scope.set_broken(
            self.broken_fields
                .iter()
                .filter(|(e, _)| *e == schema.name)
                .map(|(_, f)| f),
        );
        scope
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
    let source = node.scalar().filter(|t| !t.trim().is_empty())?;
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
