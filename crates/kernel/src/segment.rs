//! Segments: which of a scene's segments a customer is in, and until when that is certain without a new event.
//!
//! A membership changes with time alone in two ways: a tile leaves (or, read before log time, enters) a sliding window, and a
//! recency passes a constant it is compared with. [`SegmentSet::new`] finds every place where a rule could change with time and
//! refuses rules whose change it could not foresee, so that no member is ever left standing for want of a timer.

use crate::id::hash64;
use crate::plan::ScenePlan;
use crate::plan::orders::BookTag;
use crate::plan::rule::{BinaryOp, Expr, Function};
use crate::plan::slot::{SlotId, SlotSource};
use crate::plan::tag::{Aggregate, Window};
use crate::profile::{Held, Members, Profile, State, combined, window_tiles};
use crate::rule::{eval, truth, visit_slots};
use crate::slots::{CustomerSlots, SlotSet, cells};
use crate::time::{Micros, Moment};
use crate::value::Value;
use std::collections::BTreeSet;

/// Why a segment cannot be kept up to date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A recency is used in a way whose change with time is not foreseen.
    #[error(
        "segment `{segment}` uses the recency `{slot}` in another way than comparing it with a constant; write for \
         instance `{slot} > duration(\"720h\")`"
    )]
    Recency {
        /// Segment.
        segment: String,
        /// Slot name of the recency.
        slot: String,
    },
    /// A slot that is not the customer's own.
    #[error(
        "segment `{segment}` reads `{slot}`, which is known only while a decision is made; a segment may read tags and \
         derived tags, so move this condition to the policy"
    )]
    NotOfCustomer {
        /// Segment.
        segment: String,
        /// Slot name.
        slot: String,
    },
    /// A slot that moves with the clock, whose change is not foreseen.
    #[error(
        "segment `{segment}` reads `{slot}`, which changes with every moment; declare a tag with `aggregate: recency` over \
         the confirmed orders and compare that with a constant, or ask a policy (`{instead}` holds the time itself)"
    )]
    Moving {
        /// Segment.
        segment: String,
        /// Slot name.
        slot: String,
        /// The slot that stands still.
        instead: &'static str,
    },
    /// A slot that does not exist.
    #[error("segment `{segment}` reads slot number {slot}, which the scene does not have")]
    NoSuchSlot {
        /// Segment.
        segment: String,
        /// Slot number.
        slot: u16,
    },
}

/// The segments a customer is in at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Segments whose rule is certainly true.
    pub members: Members,
    /// Earliest time after the moment at which a membership may change without a new event. Looking again then finds the
    /// change or a later time; before it nothing changes.
    pub next_flip_at: Option<Micros>,
}

/// A scene's segments, arranged for evaluation.
#[derive(Debug, Clone)]
pub struct SegmentSet {
    definitions: u64,
    slots: SlotSet,
    /// Tags with sliding windows that a rule reads.
    windows: Vec<u16>,
    /// Recency tags with the delays after the latest event at which a comparison changes.
    recencies: Vec<(u16, Vec<i64>)>,
}

impl SegmentSet {
    /// Arranges the segments of `scene`.
    ///
    /// # Errors
    /// The first fault of a segment's rule; [`SegmentSet::faults`] finds all.
    pub fn new(scene: &ScenePlan) -> Result<Self, Error> {
        let (set, faults) = Self::analysed(scene);
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(set),
        }
    }

    /// Every fault of every segment's rule.
    pub fn faults(scene: &ScenePlan) -> Vec<Error> {
        Self::analysed(scene).1
    }

    fn analysed(scene: &ScenePlan) -> (Self, Vec<Error>) {
        let mut faults = Vec::new();
        let mut windows = BTreeSet::new();
        let mut delays = BTreeSet::new();
        for segment in &scene.segments {
            let mut walk = Walk {
                scene,
                segment: &segment.name,
                faults: &mut faults,
                windows: &mut windows,
                delays: &mut delays,
                derived: BTreeSet::new(),
            };
            walk.expr(&segment.rule.expr);
        }
        let mut recencies: Vec<(u16, Vec<i64>)> = Vec::new();
        for (tag, delay) in delays {
            match recencies.last_mut() {
                Some((last, list)) if *last == tag => list.push(delay),
                _ => recencies.push((tag, vec![delay])),
            }
        }
        // Names and rules in order decide what an index means. The plan's canonical form is JSON, which cannot fail here.
        let text: Vec<(&str, &Expr)> = (scene.segments.iter())
            .map(|s| (s.name.as_str(), &s.rule.expr))
            .collect();
        let set = Self {
            definitions: hash64(&serde_json::to_vec(&text).unwrap_or_default()),
            slots: SlotSet::reading(scene, scene.segments.iter().map(|s| &s.rule.expr)),
            windows: windows.into_iter().collect(),
            recencies,
        };
        (set, faults)
    }

    /// Hash of the segments' names and rules: memberships of equal definitions may be compared by index.
    pub fn definitions(&self) -> u64 {
        self.definitions
    }

    /// The slots that the rules read.
    pub fn slots(&self) -> &SlotSet {
        &self.slots
    }

    /// The segments that the customer of `profiles` (its linked identifiers) is in at `as_of`, and the time to look again.
    pub fn evaluate(&self, scene: &ScenePlan, profiles: &[&Profile], as_of: Micros) -> Membership {
        let moment = Moment {
            now: as_of,
            utc_offset_s: 0,
        };
        let values = CustomerSlots::read_only(scene, &self.slots, profiles, moment, &[]);
        let indexes = (scene.segments.iter().zip(0u16..))
            .filter(|(s, _)| truth(&s.rule.expr, &values).is_true())
            .map(|(_, index)| index)
            .collect();
        Membership {
            members: Members {
                definitions: self.definitions,
                indexes,
            },
            next_flip_at: self.next_flip_at(scene, profiles, as_of),
        }
    }

    /// The earliest time after `as_of` at which a rule may change without a new event.
    fn next_flip_at(
        &self,
        scene: &ScenePlan,
        profiles: &[&Profile],
        as_of: Micros,
    ) -> Option<Micros> {
        let mut next: Option<i64> = None;
        let mut candidate = |at: Option<i64>| {
            if let Some(at) = at
                && at > as_of.0
                && next.is_none_or(|n| at < n)
            {
                next = Some(at);
            }
        };
        for place in self.windows.iter().map(|t| usize::from(*t)) {
            let tag = &scene.tags[place];
            let Window::Sliding { tile_us, tiles } = tag.window else {
                continue;
            };
            let (first, last) = window_tiles(tile_us, tiles, as_of);
            for held in cells(profiles, place, tag) {
                let Held::Tiles(held) = held else { continue };
                // The oldest tile in the window leaves first; the first one after it enters first.
                if let Some(oldest) = held.iter().find(|t| t.index >= first && t.index <= last) {
                    let gone = oldest.index.checked_add(i64::from(tiles));
                    candidate(gone.and_then(|i| i.checked_mul(tile_us)));
                }
                if let Some(coming) = held.iter().find(|t| t.index > last) {
                    candidate(coming.index.checked_mul(tile_us));
                }
            }
        }
        for (place, delays) in &self.recencies {
            let place = usize::from(*place);
            let tag = &scene.tags[place];
            if let Some(state) = combined(cells(profiles, place, tag), tag, as_of)
                && let State::Latest(at) = state.as_ref()
            {
                for delay in delays {
                    candidate(at.0.checked_add(*delay));
                }
            }
        }
        next.map(Micros)
    }
}

/// The walk over one segment's rule.
struct Walk<'w> {
    scene: &'w ScenePlan,
    segment: &'w str,
    faults: &'w mut Vec<Error>,
    windows: &'w mut BTreeSet<u16>,
    delays: &'w mut BTreeSet<(u16, i64)>,
    /// Derived tags already walked for this segment.
    derived: BTreeSet<u16>,
}

impl Walk<'_> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Const(_) => {}
            Expr::Slot(id) => self.slot(*id),
            Expr::Binary(op, a, b) => {
                if is_comparison(*op) {
                    for (recency, op, constant) in [(a, *op, b), (b, mirrored(*op), a)] {
                        if let Some(tag) = self.recency(recency)
                            && let Some(constant) = constant_of(constant)
                        {
                            self.compared(tag, op, &constant);
                            return;
                        }
                    }
                }
                self.expr(a);
                self.expr(b);
            }
            Expr::In(x, list) => match self.recency(x) {
                Some(tag) => (list.iter()).for_each(|c| self.compared(tag, BinaryOp::Eq, c)),
                None => self.expr(x),
            },
            Expr::Call(Function::Known, args) => match args.as_slice() {
                // Whether there is a latest event changes with the window alone.
                [x] if self.recency(x).is_some_and(|tag| self.window(tag)) => {}
                args => args.iter().for_each(|x| self.expr(x)),
            },
            Expr::Unary(_, x) => self.expr(x),
            Expr::If(c, a, b) => {
                self.expr(c);
                self.expr(a);
                self.expr(b);
            }
            Expr::Select(x, entries) => {
                self.expr(x);
                entries.iter().for_each(|(_, e)| self.expr(e));
            }
            Expr::Call(_, args) => args.iter().for_each(|x| self.expr(x)),
        }
    }

    fn slot(&mut self, id: SlotId) {
        let Some(slot) = self.scene.slots.get(usize::from(id.0)) else {
            self.faults.push(Error::NoSuchSlot {
                segment: self.segment.to_owned(),
                slot: id.0,
            });
            return;
        };
        let fault = match slot.source {
            SlotSource::Tag(tag) => {
                self.window(tag);
                match self.scene.tags.get(usize::from(tag)) {
                    Some(t) if t.aggregate == Aggregate::Recency => Error::Recency {
                        segment: self.segment.to_owned(),
                        slot: slot.name.clone(),
                    },
                    // Its pauses come with time.
                    Some(t) if matches!(t.aggregate, Aggregate::Sequence { .. }) => {
                        Error::NotOfCustomer {
                            segment: self.segment.to_owned(),
                            slot: slot.name.clone(),
                        }
                    }
                    Some(_) => return,
                    None => Error::NoSuchSlot {
                        segment: self.segment.to_owned(),
                        slot: id.0,
                    },
                }
            }
            SlotSource::Derived(k) => {
                if self.derived.insert(k)
                    && let Some(expr) = self.scene.derived.get(usize::from(k))
                {
                    self.expr(expr);
                }
                return;
            }
            // Orders are events like any other: what is folded from them changes with them alone.
            SlotSource::Book(_, tag) if !tag.moves_with_time() => return,
            SlotSource::Book(_, tag) => Error::Moving {
                segment: self.segment.to_owned(),
                slot: slot.name.clone(),
                instead: if tag == BookTag::SinceFirstBuy {
                    BookTag::FirstBuyAt.word()
                } else {
                    BookTag::LastBuyAt.word()
                },
            },
            SlotSource::Environment(_)
            | SlotSource::Market(_)
            | SlotSource::Intention(..)
            | SlotSource::Request
            | SlotSource::Item(..)
            | SlotSource::ItemKey(_)
            | SlotSource::Stage(_)
            | SlotSource::Held(..)
            | SlotSource::Paired(..) => Error::NotOfCustomer {
                segment: self.segment.to_owned(),
                slot: slot.name.clone(),
            },
        };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// The recency tag that `expr` is, bare, through derived tags, or with a constant for when it is missing.
    fn recency(&self, expr: &Expr) -> Option<u16> {
        match expr {
            Expr::Slot(id) => match self.scene.slots.get(usize::from(id.0))?.source {
                SlotSource::Tag(tag) => {
                    let plan = self.scene.tags.get(usize::from(tag))?;
                    (plan.aggregate == Aggregate::Recency).then_some(tag)
                }
                SlotSource::Derived(k) => {
                    // A derived tag reads only what was declared before it, so this ends.
                    let expr = self.scene.derived.get(usize::from(k))?;
                    let mut earlier = true;
                    visit_slots(expr, &mut |read| {
                        let source = self.scene.slots.get(usize::from(read.0)).map(|s| &s.source);
                        earlier &= !matches!(source, Some(SlotSource::Derived(j)) if *j >= k);
                    });
                    if earlier { self.recency(expr) } else { None }
                }
                _ => None,
            },
            Expr::Call(Function::OrElse, args) => match args.as_slice() {
                [x, otherwise] if constant_of(otherwise).is_some() => self.recency(x),
                _ => None,
            },
            _ => None,
        }
    }

    /// Notes the tag's window, if it slides.
    fn window(&mut self, tag: u16) -> bool {
        if let Some(plan) = self.scene.tags.get(usize::from(tag))
            && plan.window != Window::Lifetime
        {
            self.windows.insert(tag);
        }
        true
    }

    /// Notes the delays at which `recency op constant` changes. Recency grows by a microsecond a microsecond, so it becomes
    /// equal to c at c after the event and greater one microsecond later.
    fn compared(&mut self, tag: u16, op: BinaryOp, constant: &Value<'_>) {
        self.window(tag);
        let Value::Int(c) = constant else {
            // Compared with something that is no duration it is unknown at every time.
            return;
        };
        let (equal, greater) = (Some(*c), c.checked_add(1));
        let delays = match op {
            BinaryOp::Ge | BinaryOp::Lt => [equal, None],
            BinaryOp::Gt | BinaryOp::Le => [None, greater],
            _ => [equal, greater],
        };
        (self.delays).extend(delays.into_iter().flatten().map(|delay| (tag, delay)));
    }
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
    )
}

/// The operator that says the same with the operands exchanged.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        other => other,
    }
}

/// The value of an expression that reads no slots.
fn constant_of(expr: &Expr) -> Option<Value<'_>> {
    let mut reads = false;
    visit_slots(expr, &mut |_| reads = true);
    (!reads).then(|| eval(expr, NO_SLOTS))
}

const NO_SLOTS: &[Value<'static>] = &[];
