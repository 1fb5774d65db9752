//! The fold of one partition, free of IO: rows and entries in, rows and effects out. Live workers, rebuilding after a
//! scene change, and `verify` all run this code, so they cannot differ.

use crate::api::FUTURE_SKEW_US_MAX;
use crate::limits::{LAPSED_MAX, LAPSED_US, PENDING_MAX, RECENT_MAX, RECENT_US};
use crate::row::{self, CustomerRow, Debit, Hold, Pending, Recent};
use crate::scenes::SceneRuntime;
use luopan_kernel::book::{OrderState, order_hash};
use luopan_kernel::event::{DECISION_TYPE, Entry, Event, OUTCOME_TYPE, Origin, RECEIPT_TYPE};
use luopan_kernel::fold::{advance, fold};
use luopan_kernel::id::{DecisionId, IdentifierId, Position, SceneNo};
use luopan_kernel::plan::{Combine, EventSchema, Join, SlotId};
use luopan_kernel::profile::{Admission, Profile, Spilled};
use luopan_kernel::rule::{Lookup, eval, truth};
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Name of a row.
pub(crate) type RowName = (SceneNo, IdentifierId);

/// A row in memory.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) row: CustomerRow,
    /// True when an entry touched it since it was loaded.
    pub(crate) touched: bool,
}

/// Rows in memory, and which spilled event ids the side table knows.
///
/// The map is only ever looked up by key; effects and writes are ordered by the entries and by `touched`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) slots: HashMap<RowName, Slot>,
    /// Names touched, in the order in which that first happened.
    pub(crate) order: Vec<RowName>,
    /// Spilled event ids with their expiry.
    pub(crate) spilled: BTreeMap<(SceneNo, IdentifierId, u128), Micros>,
    /// Rows erased.
    pub(crate) erased: Vec<RowName>,
}

/// A reward that is settled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    pub(crate) scene: SceneNo,
    pub(crate) decision: DecisionId,
    /// Row number of the reward: a hash of its name.
    pub(crate) reward: u64,
    pub(crate) origin: Origin,
    pub(crate) value: f64,
    /// Log time at which it was settled.
    pub(crate) at: Micros,
}

/// An outcome for the other identifiers of a linked customer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forward {
    pub(crate) scene: SceneNo,
    pub(crate) from: IdentifierId,
    pub(crate) event_id: String,
    pub(crate) reward: u64,
    pub(crate) decision: Option<DecisionId>,
    pub(crate) origin: Origin,
    pub(crate) occurred_at: Micros,
    pub(crate) value: f64,
}

/// What folding asks of the world.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) settled: Vec<Settled>,
    /// Debits to give back.
    pub(crate) voided: Vec<(DecisionId, Debit)>,
    /// Debits to take again: their send was confirmed after they were given back.
    pub(crate) late: Vec<(DecisionId, Debit)>,
    /// Holds confirmed.
    pub(crate) posted: u64,
    pub(crate) duplicates: Vec<Position>,
    pub(crate) spilled: Vec<(SceneNo, IdentifierId, Spilled)>,
    pub(crate) forwards: Vec<Forward>,
    /// Links that were told of.
    pub(crate) links: u64,
    /// Events folded.
    pub(crate) folded: u64,
    /// Outcomes that were pushed out of memory before their decision came.
    pub(crate) forgotten: u64,
}

/// What a step of the fold asks of the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: go on.
    Done,
    /// Commit what stands, switch the scene to this version at this entry, rebuild, go on behind it.
    Switch(SceneNo, u32),
    /// The entry is of a scene that does not run here: an alarm, unless the driver folds one scene alone.
    Unknown(SceneNo),
}

/// The scenes that a partition folds with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    pub(crate) scenes: BTreeMap<SceneNo, Arc<SceneRuntime>>,
}

/// The fields of an event, for filters and values of rewards and of examples.
pub(crate) struct EventFields<'e> {
    pub(crate) schema: &'e EventSchema,
    pub(crate) event: &'e Event<'e>,
}

impl Lookup for EventFields<'_> {
    fn slot(&self, id: SlotId) -> &Value<'_> {
        // A field that the schema lacks has no name, and no property has that name.
        self.event.property(
            self.schema
                .fields
                .get(usize::from(id.0))
                .map_or("", |f| f.name.as_str()),
        )
    }
}

impl Rows {
    /// The row that the entry before `position` changes, made when there is none.
    fn touch(
        &mut self,
        name: RowName,
        scene: &SceneRuntime,
        log_time: Micros,
        position: Position,
    ) -> &mut CustomerRow {
        let slot = self.slots.entry(name).or_insert_with(|| Slot {
            row: CustomerRow::new(Profile::new(name.1, scene.fold.layout(), log_time)),
            touched: false,
        });
        if slot.row.has_seen_nothing() {
            slot.row.profile.first_seen_at = log_time;
        }
        if !slot.touched {
            slot.touched = true;
            self.order.push(name);
        }
        slot.row.folded_to = position;
        &mut slot.row
    }
}

/// Folds one entry; `position` is the one behind it. Rows of the identifiers named must be in memory if State holds them.
pub(crate) fn step(
    running: &Running,
    rows: &mut Rows,
    effects: &mut Effects,
    entry: &Entry<'_>,
    position: Position,
) -> Step {
    match entry {
        Entry::Event(event) => {
            let Some(scene) = running.scenes.get(&event.scene) else {
                return Step::Unknown(event.scene);
            };
            on_event(scene, rows, effects, event, position);
        }
        Entry::TimerFired {
            scene,
            identifier,
            at,
        } => {
            if let Some(runtime) = running.scenes.get(scene) {
                let row = rows.touch((*scene, *identifier), runtime, *at, position);
                advance(&runtime.fold, &mut row.profile, *at);
                let now = row.profile.last_log_time;
                come_due(runtime, row, effects, now);
            }
        }
        Entry::SceneApplied { scene, version, .. } => return Step::Switch(*scene, *version),
        Entry::Linked(_) => effects.links += 1,
        Entry::Erased { identifier, .. } => {
            for scene in running.scenes.keys() {
                let name = (*scene, *identifier);
                rows.slots.remove(&name);
                rows.order.retain(|n| *n != name);
                rows.erased.push(name);
            }
        }
    }
    Step::Done
}

fn on_event(
    scene: &SceneRuntime,
    rows: &mut Rows,
    effects: &mut Effects,
    event: &Event<'_>,
    position: Position,
) {
    let name = (event.scene, event.identifier);
    let hash = event.dedup_hash();
    let spilled_already = rows
        .spilled
        .get(&(name.0, name.1, hash))
        .is_some_and(|expiry| *expiry >= event.received_at);
    let row = rows.touch(name, scene, event.received_at, position);
    if spilled_already && row.profile.seen.must_ask_side_table(event.received_at) {
        effects.duplicates.push(position);
        return;
    }
    match row
        .profile
        .seen
        .admit(hash, event.received_at, scene.plan.dedup_horizon_us)
    {
        Admission::Duplicate => {
            effects.duplicates.push(position);
            return;
        }
        Admission::New(None) => {}
        Admission::New(Some(spilled)) => {
            rows.spilled
                .insert((name.0, name.1, spilled.hash), spilled.expires_at);
            effects.spilled.push((name.0, name.1, spilled));
        }
    }
    effects.folded += 1;
    let row = rows.touch(name, scene, event.received_at, position);
    // What came due before this entry is settled before it: the same, whether its timer fired in time or not.
    let now = row.profile.last_log_time.max(event.received_at);
    come_due(scene, row, effects, now);
    let orders = joined_orders(scene, &row.profile, event);
    fold(&scene.fold, &mut row.profile, event);
    match event.kind.as_ref() {
        DECISION_TYPE => on_decision(scene, row, effects, event),
        RECEIPT_TYPE => on_receipt(row, effects, event),
        OUTCOME_TYPE => on_forwarded(scene, row, effects, event),
        kind => on_outcome(scene, row, effects, event, kind, &orders),
    }
}

/// The orders that rewards join this event by, and where each stood in the books before the event.
fn joined_orders(scene: &SceneRuntime, profile: &Profile, event: &Event<'_>) -> Vec<JoinedOrder> {
    let mut out: Vec<JoinedOrder> = Vec::new();
    for reward in &scene.plan.rewards {
        let Join::Order(field) = reward.join else {
            continue;
        };
        let schema = scene.plan.events.get(usize::from(reward.event));
        let name = schema
            .filter(|s| s.name == event.kind)
            .and_then(|s| s.fields.get(usize::from(field)));
        let Some(Value::Text(id)) = name.map(|f| event.property(&f.name)) else {
            continue;
        };
        if out.iter().all(|o| o.field != field) {
            let order = order_hash(id);
            out.push(JoinedOrder {
                field,
                order,
                before: profile.books().map(|(_, b)| b.state_of(order)).collect(),
            });
        }
    }
    out
}

/// See [`joined_orders`].
struct JoinedOrder {
    field: u16,
    order: u128,
    before: Vec<Option<OrderState>>,
}

impl JoinedOrder {
    /// The decision that the order answers; none when no book knows one, or when the event told of a step of the order
    /// that moved it nowhere.
    fn decision(
        &self,
        scene: &SceneRuntime,
        profile: &Profile,
        event: usize,
    ) -> Option<DecisionId> {
        let is_step = (scene.plan.orders.iter())
            .flat_map(|o| &o.events)
            .any(|e| usize::from(e.event) == event);
        let now: Vec<_> = profile
            .books()
            .map(|(_, b)| b.state_of(self.order))
            .collect();
        if is_step && now == self.before {
            return None;
        }
        profile.books().find_map(|(_, b)| b.decision_of(self.order))
    }
}

/// A decision reached the log: its rewards are awaited, its money is held.
fn on_decision(
    scene: &SceneRuntime,
    row: &mut CustomerRow,
    effects: &mut Effects,
    event: &Event<'_>,
) {
    let Ok(decision) = event.id.parse::<DecisionId>() else {
        return;
    };
    // What was debited is held whatever became of the policy since.
    let receipt = early_receipt(row, decision, event.origin);
    if let Some(due) = context_time(event, "luopan.void_at") {
        let debits = match context(event, "luopan.debits") {
            Some(Value::Text(t)) => row::debits_from_text(t),
            _ => Vec::new(),
        };
        if debits.is_empty() {
            // Nothing is held.
        } else if receipt == Some(Receipt::Delivered) {
            effects.posted += 1;
        } else if receipt == Some(Receipt::Failed) {
            effects
                .voided
                .extend(debits.into_iter().map(|d| (decision, d)));
        } else {
            row.holds.push(Hold {
                decision,
                origin: event.origin,
                due,
                debits,
            });
        }
    }
    let Value::Text(policy) = event.property("policy") else {
        return;
    };
    let Some(policy) = scene.plan.policy(policy) else {
        return;
    };
    let null = matches!(event.property("null"), Value::Bool(true));
    // A rehearsal, like what failed, reaches nobody: no answer can come, and silence is none.
    if (null && !policy.null_action.is_arm)
        || event.origin == Origin::DryRun
        || receipt == Some(Receipt::Failed)
    {
        return;
    }
    for index in &policy.rewards {
        let index = usize::from(*index);
        let (Some(reward), Some(no)) = (scene.plan.rewards.get(index), scene.reward_nos.get(index))
        else {
            continue;
        };
        let pending = Pending {
            decision,
            origin: event.origin,
            at: event.occurred_at,
            reward: *no,
            due: event.occurred_at.plus(reward.window_us),
            sum: None,
        };
        row.pending.push(pending);
        if row.pending.len() > PENDING_MAX
            && let Some(i) = (0..row.pending.len()).min_by_key(|i| row.pending[*i].due)
        {
            let p = row.pending.remove(i);
            settle_silent(scene, effects, &p, row.profile.last_log_time);
        }
        // Outcomes that overtook the decision on their way to the log.
        let early: Vec<Recent> = (row.recent.iter())
            .filter(|r| r.reward == *no && follows(r, event.occurred_at))
            .cloned()
            .collect();
        for r in early {
            let now = row.profile.last_log_time;
            apply_outcome(scene, row, effects, &r, Some(decision), now);
        }
    }
}

fn context<'e, 'a>(event: &'e Event<'a>, name: &str) -> Option<&'e Value<'a>> {
    event
        .context
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, v)| v)
}

fn context_time(event: &Event<'_>, name: &str) -> Option<Micros> {
    match context(event, name) {
        Some(Value::Time(at)) => Some(*at),
        _ => None,
    }
}

/// What a delivery receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receipt {
    Delivered,
    Failed,
}

/// Marks a receipt among the outcomes that are remembered; no reward has this number, for a reward's name has no dot.
fn receipt_no() -> u64 {
    luopan_kernel::id::hash64(RECEIPT_TYPE.as_bytes())
}

/// The receipt of a decision that reached the log before the decision did.
fn early_receipt(row: &CustomerRow, decision: DecisionId, origin: Origin) -> Option<Receipt> {
    let no = receipt_no();
    let is_its = |r: &&Recent| {
        r.reward == no && r.decision == Some(decision) && origin.is_answered_by(r.origin)
    };
    let early = row.recent.iter().find(is_its)?;
    Some(if early.value > 0.0 {
        Receipt::Delivered
    } else {
        Receipt::Failed
    })
}

/// A delivery receipt posts the hold; a failure voids it, and no reward is awaited of what never arrived. A receipt that
/// overtook its decision on the way to the log is remembered: what was sent must not be given back.
fn on_receipt(row: &mut CustomerRow, effects: &mut Effects, event: &Event<'_>) {
    let (Value::Text(id), Value::Text(status)) =
        (event.property("decision_id"), event.property("status"))
    else {
        return;
    };
    let Ok(decision) = id.parse::<DecisionId>() else {
        return;
    };
    let delivered = status == "delivered";
    if !delivered && status != "failed" {
        return;
    }
    let receipt = Recent {
        reward: receipt_no(),
        decision: Some(decision),
        origin: event.origin,
        occurred_at: event.occurred_at,
        at: event.received_at,
        value: if delivered { 1.0 } else { 0.0 },
    };
    if take_receipt(row, effects, receipt) {
        return;
    }
    // The decision may be of another identifier of the same customer.
    effects.forwards.push(Forward {
        scene: event.scene,
        from: event.identifier,
        event_id: event.id.as_ref().to_owned(),
        reward: receipt_no(),
        decision: Some(decision),
        origin: event.origin,
        occurred_at: event.occurred_at,
        value: if delivered { 1.0 } else { 0.0 },
    });
}

/// Gives a receipt to its decision; false, and it is remembered, when no such decision is known here.
fn take_receipt(row: &mut CustomerRow, effects: &mut Effects, receipt: Recent) -> bool {
    let Some(decision) = receipt.decision else {
        return true;
    };
    let delivered = receipt.value > 0.0;
    let mut known = false;
    let is_its =
        |d: DecisionId, origin: Origin| d == decision && origin.is_answered_by(receipt.origin);
    if !delivered {
        let before = row.pending.len();
        row.pending.retain(|p| !is_its(p.decision, p.origin));
        known = row.pending.len() < before;
    }
    for hold in row.holds.extract_if(.., |h| is_its(h.decision, h.origin)) {
        known = true;
        if delivered {
            effects.posted += 1;
        } else {
            effects
                .voided
                .extend(hold.debits.into_iter().map(|d| (hold.decision, d)));
        }
    }
    // What was sent is paid, even if nobody said so in time and the money was given back.
    for hold in row.lapsed.extract_if(.., |h| is_its(h.decision, h.origin)) {
        known = true;
        if delivered {
            effects.posted += 1;
            effects
                .late
                .extend(hold.debits.into_iter().map(|d| (hold.decision, d)));
        }
    }
    if !known && early_receipt(row, decision, receipt.origin).is_none() {
        remember(row, effects, receipt);
    }
    known
}

/// An event that some reward is declared over.
fn on_outcome(
    scene: &SceneRuntime,
    row: &mut CustomerRow,
    effects: &mut Effects,
    event: &Event<'_>,
    kind: &str,
    orders: &[JoinedOrder],
) {
    let Ok(at) = scene
        .plan
        .events
        .binary_search_by(|e| e.name.as_str().cmp(kind))
    else {
        return;
    };
    let schema = &scene.plan.events[at];
    for (index, reward) in scene
        .plan
        .rewards
        .iter()
        .enumerate()
        .filter(|(_, r)| usize::from(r.event) == at)
    {
        let fields = EventFields { schema, event };
        if !reward
            .filter
            .as_ref()
            .is_none_or(|f| truth(f, &fields).is_true())
        {
            continue;
        }
        let Some(value) = eval(&reward.value, &fields).as_number() else {
            continue;
        };
        let decision = match reward.join {
            Join::Customer => None,
            Join::Order(field) => {
                let joined = orders.iter().find(|o| o.field == field);
                match joined.and_then(|o| o.decision(scene, &row.profile, at)) {
                    Some(decision) => Some(decision),
                    None => continue,
                }
            }
            Join::Decision(field) => match fields.slot(SlotId(field)) {
                Value::Text(t) => match t.parse::<DecisionId>() {
                    Ok(id) => Some(id),
                    Err(_) => continue,
                },
                _ => continue,
            },
        };
        let no = scene.reward_nos[index];
        let outcome = Recent {
            reward: no,
            decision,
            origin: event.origin,
            occurred_at: event.occurred_at,
            at: event.received_at,
            value,
        };
        effects.forwards.push(Forward {
            scene: scene.no,
            from: event.identifier,
            event_id: event.id.as_ref().to_owned(),
            reward: no,
            decision,
            origin: event.origin,
            occurred_at: event.occurred_at,
            value,
        });
        take_outcome(scene, row, effects, outcome);
    }
}

/// An outcome or a receipt of another identifier of the same customer.
fn on_forwarded(
    scene: &SceneRuntime,
    row: &mut CustomerRow,
    effects: &mut Effects,
    event: &Event<'_>,
) {
    let (Value::Int(reward), Value::Number(value)) =
        (event.property("reward"), event.property("value"))
    else {
        return;
    };
    let decision = match event.property("decision_id") {
        Value::Text(t) => t.parse::<DecisionId>().ok(),
        _ => None,
    };
    let outcome = Recent {
        reward: *reward as u64,
        decision,
        origin: event.origin,
        occurred_at: event.occurred_at,
        at: event.received_at,
        value: *value,
    };
    if outcome.reward == receipt_no() {
        take_receipt(row, effects, outcome);
        return;
    }
    take_outcome(scene, row, effects, outcome);
}

fn take_outcome(
    scene: &SceneRuntime,
    row: &mut CustomerRow,
    effects: &mut Effects,
    outcome: Recent,
) {
    let now = row.profile.last_log_time;
    apply_outcome(scene, row, effects, &outcome, None, now);
    remember(row, effects, outcome);
}

/// Keeps what may belong to a decision that reaches the log after it.
fn remember(row: &mut CustomerRow, effects: &mut Effects, recent: Recent) {
    let now = row.profile.last_log_time;
    row.recent.retain(|r| now.since(r.at) <= RECENT_US);
    row.recent.push(recent);
    if row.recent.len() > RECENT_MAX {
        row.recent.remove(0);
        effects.forgotten += 1;
    }
}

/// True unless the outcome happened before the decision. One that names the decision knows of it: the clock that it was
/// received by may be behind the one that decided, by no more than clocks may differ.
fn follows(outcome: &Recent, decided_at: Micros) -> bool {
    let behind = match outcome.decision {
        Some(_) => FUTURE_SKEW_US_MAX,
        None => 0,
    };
    outcome.occurred_at >= decided_at.plus(-behind)
}

/// Gives an outcome to the pending decisions it belongs to (to `only`, when given).
fn apply_outcome(
    scene: &SceneRuntime,
    row: &mut CustomerRow,
    effects: &mut Effects,
    outcome: &Recent,
    only: Option<DecisionId>,
    now: Micros,
) {
    let Some(index) = scene.reward(outcome.reward) else {
        return;
    };
    let reward = &scene.plan.rewards[index];
    let mut i = 0;
    while i < row.pending.len() {
        let p = &mut row.pending[i];
        let belongs = p.reward == outcome.reward
            && outcome.decision.is_none_or(|d| d == p.decision)
            && only.is_none_or(|d| d == p.decision)
            && p.origin.is_answered_by(outcome.origin)
            && follows(outcome, p.at)
            && outcome.at < p.due;
        if !belongs {
            i += 1;
            continue;
        }
        match reward.combine {
            Combine::First => {
                let p = row.pending.remove(i);
                effects.settled.push(Settled {
                    scene: scene.no,
                    decision: p.decision,
                    reward: p.reward,
                    origin: p.origin,
                    value: outcome.value,
                    at: now,
                });
            }
            Combine::Sum => {
                p.sum = Some(p.sum.unwrap_or(0.0) + outcome.value);
                i += 1;
            }
            Combine::Max => {
                p.sum = Some(p.sum.map_or(outcome.value, |v| v.max(outcome.value)));
                i += 1;
            }
        }
    }
}

/// Settles and voids all that is due at `now`.
fn come_due(scene: &SceneRuntime, row: &mut CustomerRow, effects: &mut Effects, now: Micros) {
    if row.pending.iter().any(|p| p.due <= now) {
        for p in row.pending.extract_if(.., |p| p.due <= now) {
            settle_silent(scene, effects, &p, now);
        }
    }
    if row.holds.iter().any(|h| h.due <= now) {
        for hold in row.holds.extract_if(.., |h| h.due <= now) {
            let debits = hold.debits.iter().cloned();
            effects.voided.extend(debits.map(|d| (hold.decision, d)));
            row.lapsed.push(hold);
        }
        row.lapsed.retain(|h| now.since(h.due) <= LAPSED_US);
        let over = row.lapsed.len().saturating_sub(LAPSED_MAX);
        row.lapsed.drain(..over);
    }
}

/// The window ended: what came is the reward, else the declared default.
fn settle_silent(scene: &SceneRuntime, effects: &mut Effects, p: &Pending, now: Micros) {
    if let Some(index) = scene.reward(p.reward) {
        let value = p.sum.unwrap_or(scene.plan.rewards[index].default);
        effects.settled.push(Settled {
            scene: scene.no,
            decision: p.decision,
            reward: p.reward,
            origin: p.origin,
            value,
            at: now,
        });
    }
}

/// The entry that carries a forwarded outcome to another identifier.
pub(crate) fn forward_event(f: &Forward, to: IdentifierId, at: Micros) -> Event<'static> {
    let mut properties = vec![
        (Cow::Borrowed("reward"), Value::Int(f.reward as i64)),
        (Cow::Borrowed("value"), Value::Number(f.value)),
    ];
    if let Some(d) = f.decision {
        properties.insert(
            0,
            (Cow::Borrowed("decision_id"), Value::text(d.to_string())),
        );
    }
    Event {
        id: Cow::Owned(format!(
            "{:032x}",
            luopan_kernel::id::hash128(
                format!("{}/{}/{}", f.from, f.event_id, f.reward).as_bytes()
            )
        )),
        tenant: luopan_kernel::id::DEFAULT_TENANT,
        scene: f.scene,
        identifier: to,
        kind: Cow::Borrowed(OUTCOME_TYPE),
        occurred_at: f.occurred_at,
        received_at: at,
        origin: f.origin,
        properties,
        context: Vec::new(),
        corrects: None,
        sealed: Vec::new(),
    }
}

/// Identifiers and scenes that an entry reads.
pub(crate) fn names(entry: &Entry<'_>) -> Option<RowName> {
    match entry {
        Entry::Event(e) => Some((e.scene, e.identifier)),
        Entry::TimerFired {
            scene, identifier, ..
        } => Some((*scene, *identifier)),
        _ => None,
    }
}
