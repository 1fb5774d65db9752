//! Examples for the factors of a policy, from history: for every event that says which item a customer chose, her features as
//! they were before that event, never as they are today.
//!
//! The log is replayed from nothing under the given plan, a partition at a time in memory, by the kernel's own fold; no
//! profile is read from State. An event is seen at the moment at which a decision right before it would have been made: log
//! time. History that was brought in (origin `import`) is taken to have come when it happened, in the order of the log,
//! because a decision at that time would have known it then: its windows end there, and not on the day of the import.
//! Imported attributes move no clock.
//!
//! Linked identifiers are read as one from the moment at which the log tells of the link. Which identifiers may belong
//! together is taken from identity as it is now, so one that was un-linked since is read alone throughout.
//!
//! This room must never write, and never let an example see its own event or a later one.

use crate::Inner;
use crate::api::{Refusal, RefusalKind, Result};
use crate::fold::core::EventFields;
use crate::intake;
use luopan_kernel::catalogue::Catalogue;
use luopan_kernel::event::{CUSTOMER_TYPE, Entry, Event, Origin, decode_message, encode_message};
use luopan_kernel::features;
use luopan_kernel::fold::{FoldPlan, fold};
use luopan_kernel::id::{CustomerId, IdentifierId, PartitionId, Position, SceneNo};
use luopan_kernel::plan::policy::{LearnFrom, Retrieval};
use luopan_kernel::plan::{PolicyPlan, ScenePlan};
use luopan_kernel::profile::{Admission, Profile};
use luopan_kernel::rule::truth;
use luopan_kernel::slots::{AloneLookup, CustomerSlots, ItemSlots, SlotSet};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;
/// Customers of several identifiers whose entries are held in memory together; of more, the log is read another time.
pub const LINKED_A_PASS: usize = 10_000;

/// Which part of history is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExampleSpec {
    /// Examples of events at this time and later; from the beginning when none.
    pub from: Option<Micros>,
    /// Examples of events before this time; to the end when none.
    pub until: Option<Micros>,
}

/// One event that names an item, and what was known of the customer before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Example<'a> {
    /// Whose: of linked identifiers the one that stands for all.
    pub customer: CustomerId,
    /// Log time of the event.
    pub at: Micros,
    /// Index of the declaration among the policy's `learn_from`.
    pub source: usize,
    /// Index of the item among [`Examples::items`].
    pub item: usize,
    /// What the declaration says that it counts.
    pub weight: f64,
    /// The customer's features that are not zero, ascending by position.
    pub features: &'a [(u32, f64)],
}

/// An item of the policy's catalogue, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleItem {
    /// Its key.
    pub key: String,
    /// Its features that are not zero, ascending by position.
    pub features: Vec<(u32, f64)>,
    /// False when it was withdrawn: history tells of it, and it is offered no more.
    pub is_offered: bool,
}

/// What was read, and what was left out and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExamplesRead {
    /// Log entries read.
    pub entries: u64,
    /// Events of the declared types.
    pub events: u64,
    /// Examples handed out; an event of several declarations gives several.
    pub examples: u64,
    /// Customers of whom there are examples.
    pub customers: u64,
    /// Of these, customers whose identifiers were read as one.
    pub linked: u64,
    /// What gave no example.
    pub skipped: Skipped,
}

/// What gave no example, by reason. An event of several declarations is counted for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The declaration's condition was not true.
    pub filtered: u64,
    /// No item was named.
    pub without_item: u64,
    /// The catalogue has no such item.
    pub unknown_item: u64,
    /// The event was there before.
    pub duplicate: u64,
    /// A rehearsal, of origin `dry_run`.
    pub dry_run: u64,
    /// A correction of another event.
    pub correction: u64,
    /// Outside the time asked for.
    pub outside: u64,
    /// The customer was erased.
    pub erased: u64,
}

/// The history of a scene, ready to be read as examples.
pub struct Examples {
    inner: Arc<Inner>,
    scene: SceneNo,
    plan: Arc<ScenePlan>,
    policy: usize,
    items: Vec<ExampleItem>,
    rows: HashMap<String, usize>,
}

impl std::fmt::Debug for Examples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examples")
            .field("scene", &self.plan.name)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

impl Examples {
    pub(crate) async fn new(inner: Arc<Inner>, plan: Arc<ScenePlan>, policy: &str) -> Result<Self> {
        let scene = inner.scenes.newest(&plan.name)?.no;
        let number = intake::policy_number(&plan, policy)?;
        let of = &plan.policies[number];
        let nothing = |what: &str, write: &str| Refusal {
            code: "nothing_to_learn_from",
            kind: RefusalKind::Invalid,
            message: format!("policy `{policy}` {what}; {write}"),
        };
        let Some(retrieval) = &of.retrieval else {
            return Err(nothing(
                "has no `retrieval`",
                "name a policy that retrieves by factors",
            ));
        };
        if retrieval.learn_from.is_empty() {
            return Err(nothing(
                "does not say what its factors are trained from",
                "write `learn_from: [{event: EVENT, item: FIELD}]` under `retrieval`",
            ));
        }
        let catalogues = inner.catalogues_of(scene, &plan).await?;
        let items = match catalogues.get(usize::from(of.catalogue)) {
            Some(catalogue) => items(&plan, of, retrieval, catalogue),
            None => Vec::new(),
        };
        Ok(Self {
            inner,
            scene,
            policy: number,
            rows: (items.iter().enumerate())
                .map(|(i, item)| (item.key.clone(), i))
                .collect(),
            items,
            plan,
        })
    }

    /// Items of the policy's catalogue, ascending by key, those that were withdrawn among them.
    pub fn items(&self) -> &[ExampleItem] {
        &self.items
    }

    /// Number of positions of the customer's features, and of an item's.
    pub fn positions(&self) -> (usize, usize) {
        self.retrieval().map_or((0, 0), |r| {
            let width = |f: &[_]| f.iter().map(features::width).sum();
            (width(&r.customer), width(&r.item))
        })
    }

    /// The declarations that examples come from, each with the name of its event.
    pub fn sources(&self) -> Vec<(&str, f64)> {
        let name = |l: &LearnFrom| {
            let event = self.plan.events.get(usize::from(l.event));
            (event.map_or("", |e| e.name.as_str()), l.weight)
        };
        self.learn_from().iter().map(name).collect()
    }

    fn retrieval(&self) -> Option<&Retrieval> {
        self.plan.policies[self.policy].retrieval.as_ref()
    }

    fn learn_from(&self) -> &[LearnFrom] {
        self.retrieval().map_or(&[], |r| &r.learn_from)
    }

    /// Reads the log as far as it is durable now and hands every example to `see`: partition by partition in the order of
    /// the log, then customers of several identifiers. The same log gives the same examples in the same order.
    ///
    /// # Errors
    /// A store that failed, or what `see` refused.
    pub async fn read(
        &self,
        spec: &ExampleSpec,
        see: &mut (dyn FnMut(Example<'_>) -> Result<()> + Send),
    ) -> Result<ExamplesRead> {
        let partitions: Vec<_> = (0..luopan_kernel::PARTITIONS).map(PartitionId).collect();
        let heads = self.inner.log.heads(&partitions).await?;
        let mut replay = Replay::new(self, *spec);
        let mut linked = self.inner.identity.linked();
        linked.sort_unstable();
        // At least one pass, for those of one identifier.
        let passes = linked.len().div_ceil(LINKED_A_PASS).max(1);
        for pass in 0..passes {
            let mut together = Together::default();
            let mine = linked.iter().skip(pass * LINKED_A_PASS).take(LINKED_A_PASS);
            for (group, customer) in mine.enumerate() {
                for id in self.inner.identity.identifiers(*customer) {
                    together.groups.insert(id, group as u32);
                }
            }
            for (partition, head) in partitions.iter().zip(&heads) {
                let first = pass == 0;
                self.partition(*partition, *head, first, &mut replay, &mut together)
                    .await?;
                replay.hand_out(see)?;
            }
            together.replay(&mut replay, see)?;
        }
        replay.told.customers = replay.customers.len() as u64;
        Ok(replay.told)
    }

    /// What was known of a partition's customers where its log begins.
    fn begin_with(
        &self,
        found: &crate::snapshot::Snapshot,
        alone: bool,
        replay: &mut Replay<'_>,
        known: &mut Known,
        together: &mut Together,
    ) {
        let newest = (self.scene, u32::MAX);
        let rows = found.rows_as(newest, replay.fold.layout());
        for ((_, id), slot) in rows.slots {
            let profile = slot.row.profile;
            if let Some(group) = together.groups.get(&id) {
                together.clocks.insert(id, profile.last_log_time);
                together
                    .began
                    .entry(*group)
                    .or_default()
                    .profiles
                    .insert(id, profile);
            } else if alone && self.inner.identity.is_single(id) {
                known.profiles.insert(id, profile);
            }
        }
        for ((_, id, hash), expiry) in rows.spilled {
            match together.groups.get(&id) {
                Some(group) => {
                    let began = together.began.entry(*group).or_default();
                    began.spilled.insert((id, hash), expiry);
                }
                None => {
                    known.spilled.insert((id, hash), expiry);
                }
            }
        }
        for (id, link) in &found.links {
            if let Some(group) = together.groups.get(id) {
                let links = together.links.entry(*group).or_default();
                links.push((*id, link.revision, link.customer));
            }
        }
    }

    /// Replays a partition for those of one identifier (`alone`), and keeps the entries of the others.
    async fn partition(
        &self,
        partition: PartitionId,
        head: Position,
        alone: bool,
        replay: &mut Replay<'_>,
        together: &mut Together,
    ) -> Result<()> {
        let mut known = Known::default();
        let mut next = Position(0);
        if let Some(found) = crate::snapshot::start_of(&self.inner, partition).await? {
            next = found.header.at;
            self.begin_with(&found, alone, replay, &mut known, together);
        }
        while next < head {
            let messages = self.inner.log.read(partition, next, READ_BYTES).await?;
            let Some(last) = messages.last() else { break };
            next = last.end();
            for message in &messages {
                let entries = crate::replay::decode(partition, message)?;
                for (i, entry) in entries.into_iter().enumerate() {
                    let position = Position(message.first.0 + i as u64 + 1);
                    if position > head {
                        break;
                    }
                    replay.told.entries += u64::from(alone);
                    let id = match &entry {
                        Entry::Event(e) if e.scene == self.scene => e.identifier,
                        // Told in its customer's partition too: there it has no place among its own entries.
                        Entry::Linked(l) if l.identifier.partition() == partition => l.identifier,
                        Entry::Erased { identifier, .. } => *identifier,
                        // Timers move what is read nowhere: they let go of what has left its window.
                        _ => continue,
                    };
                    if let Some(group) = together.groups.get(&id) {
                        let clock = together.clocks.get(&id).copied();
                        let at = match &entry {
                            Entry::Event(event) => moment(event, clock),
                            other => clock.map_or(other.at(), |clock| clock.max(other.at())),
                        };
                        together.clocks.insert(id, at);
                        together.entries.push(Kept {
                            group: *group,
                            at,
                            partition,
                            position,
                            bytes: encode_message(&[entry]),
                        });
                    } else if alone && self.inner.identity.is_single(id) {
                        match entry {
                            Entry::Event(event) => {
                                replay.event(&mut known, id, event, &|known| {
                                    known.profiles.get(&id).into_iter().collect()
                                });
                            }
                            Entry::Erased { .. } => replay.erased(&mut known, id),
                            _ => {}
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// What is known of items now: those that are offered and those that were withdrawn, ascending by key.
fn items(
    plan: &ScenePlan,
    policy: &PolicyPlan,
    retrieval: &Retrieval,
    catalogue: &Catalogue,
) -> Vec<ExampleItem> {
    let slots = ItemSlots::new(plan, policy.catalogue);
    let mut encoded = Vec::new();
    let mut item = |key: &str, values: &[Value<'static>], is_offered| {
        let name = Value::text(key);
        let lookup = AloneLookup {
            slots: &slots,
            key: &name,
            item: values,
        };
        features::encode_all(&retrieval.item, &lookup, &mut encoded);
        ExampleItem {
            key: key.to_owned(),
            features: sparse(&encoded),
            is_offered,
        }
    };
    let mut out: Vec<ExampleItem> = (0..catalogue.len())
        .map(|row| item(catalogue.key(row), catalogue.values(row), true))
        .collect();
    out.extend((catalogue.withdrawn()).map(|(key, values, _)| item(key, values, false)));
    out.sort_by(|a, b| a.key.cmp(&b.key));
    out
}

/// What is not zero, with its position.
fn sparse(encoded: &[f64]) -> Vec<(u32, f64)> {
    (encoded.iter().enumerate())
        .filter(|(_, v)| **v != 0.0)
        .map(|(i, v)| (i as u32, *v))
        .collect()
}

/// What is known of some identifiers at a place of the log.
#[derive(Default)]
struct Known {
    profiles: HashMap<IdentifierId, Profile>,
    /// Spilled event ids with their expiry.
    spilled: BTreeMap<(IdentifierId, u128), Micros>,
}

/// An example that waits to be handed out.
struct Made {
    identifier: IdentifierId,
    customer: CustomerId,
    at: Micros,
    source: usize,
    item: usize,
    features: Arc<[(u32, f64)]>,
}

/// A replay under way.
struct Replay<'a> {
    of: &'a Examples,
    spec: ExampleSpec,
    fold: FoldPlan,
    /// Slots that the customer's features read.
    set: SlotSet,
    /// Declarations by type of event.
    learnt: BTreeMap<&'a str, Vec<usize>>,
    told: ExamplesRead,
    customers: BTreeSet<CustomerId>,
    made: Vec<Made>,
}

impl<'a> Replay<'a> {
    fn new(of: &'a Examples, spec: ExampleSpec) -> Self {
        let plan = &*of.plan;
        let mut learnt: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, l) in of.learn_from().iter().enumerate() {
            if let Some(event) = plan.events.get(usize::from(l.event)) {
                learnt.entry(event.name.as_str()).or_default().push(i);
            }
        }
        let read = of.retrieval().map_or(&[][..], |r| &r.customer);
        Self {
            spec,
            fold: FoldPlan::new(plan),
            set: SlotSet::of_features(plan, read),
            learnt,
            told: ExamplesRead::default(),
            customers: BTreeSet::new(),
            made: Vec::new(),
            of,
        }
    }

    /// Folds an event, after the examples that it gives were made. `as_one` gives the profiles that are read for it.
    fn event(
        &mut self,
        known: &mut Known,
        id: IdentifierId,
        mut event: Event<'_>,
        as_one: &dyn for<'k> Fn(&'k Known) -> Vec<&'k Profile>,
    ) {
        let declared = self.learnt.get(event.kind.as_ref()).cloned();
        let many = declared.as_ref().map_or(0, Vec::len) as u64;
        self.told.events += u64::from(many > 0);
        // Whether it is a duplicate is settled by the times at which it was received, as the live fold does.
        let hash = event.dedup_hash();
        let clock = known.profiles.get(&id).map(|p| p.last_log_time);
        let at = moment(&event, clock);
        let profile = known
            .profiles
            .entry(id)
            .or_insert_with(|| Profile::new(id, self.fold.layout(), at));
        let is_spilled = (known.spilled.get(&(id, hash))).is_some_and(|e| *e >= event.received_at);
        if is_spilled && profile.seen.must_ask_side_table(event.received_at) {
            self.told.skipped.duplicate += many;
            return;
        }
        let horizon = self.of.plan.dedup_horizon_us;
        match profile.seen.admit(hash, event.received_at, horizon) {
            Admission::Duplicate => {
                self.told.skipped.duplicate += many;
                return;
            }
            Admission::New(None) => {}
            Admission::New(Some(spilled)) => {
                known.spilled.insert((id, spilled.hash), spilled.expires_at);
            }
        }
        if let Some(declared) = declared {
            self.examples(&event, at, &declared, &as_one(known));
        }
        event.received_at = at;
        if let Some(profile) = known.profiles.get_mut(&id) {
            fold(&self.fold, profile, &event);
        }
    }

    fn examples(
        &mut self,
        event: &Event<'_>,
        at: Micros,
        declared: &[usize],
        profiles: &[&Profile],
    ) {
        let of = self.of;
        let many = declared.len() as u64;
        let skipped = &mut self.told.skipped;
        if event.origin == Origin::DryRun {
            skipped.dry_run += many;
            return;
        }
        if event.corrects.is_some() {
            skipped.correction += many;
            return;
        }
        if self.spec.from.is_some_and(|from| at < from)
            || self.spec.until.is_some_and(|until| at >= until)
        {
            skipped.outside += many;
            return;
        }
        let mut features: Option<Arc<[(u32, f64)]>> = None;
        for source in declared {
            let Some((l, schema)) = (of.learn_from().get(*source))
                .and_then(|l| Some((l, of.plan.events.get(usize::from(l.event))?)))
            else {
                continue;
            };
            let fields = EventFields { schema, event };
            if !(l.filter.as_ref()).is_none_or(|f| truth(f, &fields).is_true()) {
                skipped.filtered += 1;
                continue;
            }
            let name = schema.fields.get(usize::from(l.item));
            let Some(Value::Text(key)) = name.map(|f| event.property(&f.name)) else {
                skipped.without_item += 1;
                continue;
            };
            let Some(item) = of.rows.get(key.as_ref()) else {
                skipped.unknown_item += 1;
                continue;
            };
            let features = features.get_or_insert_with(|| {
                let moment = of.inner.moment_of(&of.plan, profiles, at);
                let slots = CustomerSlots::read_only(&of.plan, &self.set, profiles, moment, &[]);
                let mut encoded = Vec::new();
                let read = of.retrieval().map_or(&[][..], |r| &r.customer);
                features::encode_all(read, &slots, &mut encoded);
                sparse(&encoded).into()
            });
            self.made.push(Made {
                identifier: event.identifier,
                customer: of.inner.identity.customer(event.identifier),
                at,
                source: *source,
                item: *item,
                features: features.clone(),
            });
        }
    }

    /// Nothing that is known of an erased customer teaches.
    fn erased(&mut self, known: &mut Known, id: IdentifierId) {
        known.profiles.remove(&id);
        let before = self.made.len();
        self.made.retain(|m| m.identifier != id);
        self.told.skipped.erased += (before - self.made.len()) as u64;
    }

    fn hand_out(&mut self, see: &mut (dyn FnMut(Example<'_>) -> Result<()> + Send)) -> Result<()> {
        for made in self.made.drain(..) {
            self.told.examples += 1;
            self.customers.insert(made.customer);
            see(Example {
                customer: made.customer,
                at: made.at,
                source: made.source,
                item: made.item,
                weight: self.of.learn_from()[made.source].weight,
                features: &made.features,
            })?;
        }
        Ok(())
    }
}

/// The moment at which the event is seen: its log time, and for history that was brought in when it happened; attributes
/// that were brought in move no clock. Time never goes back for an identifier.
fn moment(event: &Event<'_>, clock: Option<Micros>) -> Micros {
    let at = match event.origin {
        Origin::Import if event.kind == CUSTOMER_TYPE && clock.is_some() => Micros(i64::MIN),
        Origin::Import if event.kind == CUSTOMER_TYPE => Micros(0),
        Origin::Import => event.happened_at(),
        _ => event.received_at,
    };
    clock.map_or(at, |clock| at.max(clock))
}

/// An entry of an identifier that is linked.
struct Kept {
    group: u32,
    /// The moment at which its identifier is then.
    at: Micros,
    partition: PartitionId,
    position: Position,
    bytes: Vec<u8>,
}

/// Customers of several identifiers, whose entries stand in several partitions.
#[derive(Default)]
struct Together {
    groups: HashMap<IdentifierId, u32>,
    clocks: HashMap<IdentifierId, Micros>,
    entries: Vec<Kept>,
    /// What was known of each group where the log begins, and how it was linked.
    began: HashMap<u32, Known>,
    links: HashMap<u32, Vec<(IdentifierId, u64, CustomerId)>>,
}

impl Together {
    /// Replays the entries of each customer in the order of their moments; those of one identifier keep their order.
    fn replay(
        mut self,
        replay: &mut Replay<'_>,
        see: &mut (dyn FnMut(Example<'_>) -> Result<()> + Send),
    ) -> Result<()> {
        self.entries
            .sort_by_key(|k| (k.group, k.at, k.partition, k.position));
        let mut known = Known::default();
        let mut of: BTreeMap<IdentifierId, (u64, CustomerId)> = BTreeMap::new();
        let mut entries = self.entries.iter().peekable();
        let mut group = None;
        while let Some(kept) = entries.next() {
            if group != Some(kept.group) {
                group = Some(kept.group);
                known = self.began.remove(&kept.group).unwrap_or_default();
                for (id, revision, customer) in self.links.remove(&kept.group).unwrap_or_default() {
                    let row = of.entry(id).or_insert((0, id));
                    if revision > row.0 {
                        *row = (revision, customer);
                    }
                }
            }
            let corrupt = |e: luopan_kernel::codec::Error| luopan_store::Error::Corrupt {
                store: "log",
                at: format!("partition {}", kept.partition.0),
                cause: e.to_string(),
            };
            for entry in decode_message(&kept.bytes).map_err(corrupt)? {
                match entry {
                    Entry::Linked(l) => {
                        let row = of.entry(l.identifier).or_insert((0, l.identifier));
                        if l.revision > row.0 {
                            *row = (l.revision, l.customer);
                        }
                    }
                    Entry::Erased { identifier, .. } => replay.erased(&mut known, identifier),
                    Entry::Event(event) => {
                        let id = event.identifier;
                        let customer = |id: IdentifierId| of.get(&id).map_or(id, |(_, c)| *c);
                        replay.event(&mut known, id, event, &|known| {
                            let mine = customer(id);
                            let mut out: Vec<&Profile> = (known.profiles.values())
                                .filter(|p| customer(p.identifier) == mine)
                                .collect();
                            out.sort_by_key(|p| p.identifier);
                            out
                        });
                    }
                    _ => {}
                }
            }
            if entries.peek().is_none_or(|next| next.group != kept.group) {
                let before = replay.told.examples;
                replay.hand_out(see)?;
                replay.told.linked += u64::from(replay.told.examples > before);
                of.clear();
            }
        }
        Ok(())
    }
}
