//! `luopan export checks`: a data folder's log and decisions as files for the checker. Facts of products come from the
//! environment's partition, facts and orders of customers from theirs, decisions from their records; a file a partition, in
//! order of time, customers under their internal ids, linked identifiers as one customer.
//!
//! It reads and never writes to the stores. What the folder does not hold is not told: the days of an order come from the
//! context of its events (`trade_day`, `confirmed_on`, `earning_changes_on`), a text from who exports. Each entry is read by the
//! version of the scene that was in force when it was written.

use super::facts::customer;
use super::line::{Decided, Purpose, acknowledgement, decision, warning};
use super::names::Names;
use super::orders::{Orders, Seen};
use super::products::Products;
use crate::problem::{Problem, Result};
use luopan_engine::proof::Evidence;
use luopan_engine::{Engine, Refusal};
use luopan_kernel::event::{CUSTOMER_TYPE, Entry, Event, Link, Origin, decode_message};
use luopan_kernel::id::{IdentifierId, PartitionId, Position};

use luopan_kernel::plan::ScenePlan;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::time::Micros;
use luopan_kernel::value::Value;
use luopan_store::EventLog;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Bytes of log read at once.
const READ_BYTES: usize = 4 << 20;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Decisions.
    pub decisions: u64,
    /// Steps of orders.
    pub orders: u64,
    /// Steps of orders that were left out: no step of the order says what it is for.
    pub unplaced: u64,
    /// Steps of orders that began before what is wanted.
    pub earlier: u64,
    /// Facts of customers and what they signed.
    pub customers: u64,
    /// Facts of products.
    pub products: u64,
    /// Files.
    pub files: u64,
}

/// Lines of one file with what orders them: time, rank among lines of one moment, and the order in which they came.
#[derive(Default)]
pub(super) struct Lines {
    text: Vec<u8>,
    places: Vec<(Micros, u8, std::ops::Range<usize>)>,
}

impl Lines {
    pub(super) fn put(
        &mut self,
        at: Micros,
        rank: u8,
        write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), serde_json::Error>,
    ) -> Result<bool> {
        let from = self.text.len();
        write(&mut self.text)
            .map_err(|e| Problem::internal(format!("a line for the checker: {e}")))?;
        let range = from..self.text.len();
        let is_one = !range.is_empty();
        if is_one {
            self.places.push((at, rank, range));
        }
        Ok(is_one)
    }

    fn save(mut self, path: &Path, files: &mut u64) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        // Stable: what came first stands first.
        self.places.sort_by_key(|(at, rank, _)| (*at, *rank));
        let unwritable = |e: std::io::Error| {
            Problem::new(
                "file_unreadable",
                format!("{} cannot be written: {e}", path.display()),
            )
        };
        let mut out = std::io::BufWriter::new(std::fs::File::create(path).map_err(unwritable)?);
        for (_, _, range) in &self.places {
            out.write_all(&self.text[range.clone()])
                .map_err(unwritable)?;
        }
        out.flush().map_err(unwritable)?;
        *files += 1;
        Ok(())
    }
}

/// Ranks of lines of one moment: what was known, what was decided, what was ordered.
pub(super) const FACT: u8 = 0;
const DECIDED: u8 = 1;
pub(super) const ORDERED: u8 = 2;

fn unreadable(e: impl std::fmt::Display) -> Box<Problem> {
    Problem::new("data_unusable", format!("the log cannot be read: {e}"))
}

/// The versions of the scene.
struct Plans<'e> {
    engine: &'e Engine,
    scene: &'e str,
    number: u16,
    newest: Arc<ScenePlan>,
    known: HashMap<u32, Arc<ScenePlan>>,
}

impl Plans<'_> {
    fn of(&mut self, version: u32) -> Result<Arc<ScenePlan>> {
        if let Some(plan) = self.known.get(&version) {
            return Ok(plan.clone());
        }
        let plan = self.engine.plan_of_version(self.scene, version)?;
        self.known.insert(version, plan.clone());
        Ok(plan)
    }
}

/// The customers that identifiers stand for, by the newest links.
#[derive(Default)]
struct Customers(HashMap<IdentifierId, (u64, IdentifierId)>);

impl Customers {
    fn note(&mut self, link: &Link) {
        let known = (self.0)
            .entry(link.identifier)
            .or_insert((0, link.customer));
        if link.revision >= known.0 {
            *known = (link.revision, link.customer);
        }
    }

    fn of(&self, id: IdentifierId) -> IdentifierId {
        self.0.get(&id).map_or(id, |(_, customer)| *customer)
    }
}

/// Hands every entry of a partition to `see`, in order, with the plan of the scene that is in force there: the newest where the
/// log does not tell (it begins after the scene was applied), and at an entry that applies one, that one.
async fn each(
    log: &Arc<dyn EventLog>,
    partition: PartitionId,
    plans: &mut Plans<'_>,
    mut see: impl FnMut(&ScenePlan, &Entry<'_>) -> Result<()>,
) -> Result<()> {
    let mut next = Position(0);
    let mut plan = plans.newest.clone();
    loop {
        let messages = log.read(partition, next, READ_BYTES).await?;
        if messages.is_empty() {
            return Ok(());
        }
        for message in &messages {
            next = message.end();
            for entry in &decode_message(&message.message).map_err(unreadable)? {
                if let Entry::SceneApplied { scene, version, .. } = entry
                    && scene.0 == plans.number
                {
                    plan = plans.of(*version)?;
                }
                see(&plan, entry)?;
            }
        }
    }
}

/// Writes what a scene's log and decisions hold to `folder`, which is made.
///
/// # Errors
/// An unknown scene, a store that failed, a file that cannot be written.
pub async fn export(
    engine: &Engine,
    log: &Arc<dyn EventLog>,
    scene: &str,
    names: &Names,
    folder: &Path,
) -> Result<Exported> {
    let newest = engine.plan(scene)?;
    let Some(number) = (engine.scenes().iter())
        .find(|s| s.name == scene)
        .map(|s| s.number)
    else {
        return Err(Problem::internal("a scene that is applied has no number"));
    };
    let mut plans = Plans {
        engine,
        scene,
        number,
        newest,
        known: HashMap::new(),
    };
    std::fs::create_dir_all(folder).map_err(|e| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be made: {e}", folder.display()),
        )
    })?;
    let mut out = Exported::default();
    let mut lines = Lines::default();
    let mut products = Products::default();
    let environment = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
    each(log, environment, &mut plans, |plan, entry| {
        match entry {
            Entry::Event(event) if event.scene.0 == number => {
                out.products += u64::from(products.event(plan, event, &mut lines)?);
            }
            Entry::SceneApplied { scene, at, .. } if scene.0 == number => {
                out.products += products.of_pack(plan, *at, &mut lines)?;
            }
            _ => {}
        }
        Ok(())
    })
    .await?;
    lines.save(&folder.join("products.jsonl"), &mut out.files)?;

    let mut customers = Customers::default();
    let mut orders = Orders::from(names.from);
    for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        each(log, partition, &mut plans, |plan, entry| {
            match entry {
                Entry::Linked(link) => customers.note(link),
                Entry::Event(event) if event.scene.0 == number => orders.note(plan, event),
                _ => {}
            }
            Ok(())
        })
        .await?;
    }
    orders.of_customers(|id| customers.of(id));

    let mut decisions: BTreeMap<PartitionId, Vec<DecisionRecord>> = BTreeMap::new();
    let mut take = |evidence: Evidence| -> std::result::Result<(), Refusal> {
        if let Evidence::Decision(record) = evidence {
            let is_check = matches!(
                names.purpose(&record.policy),
                Purpose::Buy | Purpose::Redeem
            );
            if is_check && !answers_an_offer(&record) {
                orders.note_check(record.request.decision);
            }
            if names
                .from
                .is_some_and(|from| record.request.moment.now < from)
            {
                return Ok(());
            }
            decisions
                .entry(record.request.customer.partition())
                .or_default()
                .push(*record);
        }
        Ok(())
    };
    let (from, to) = (Micros(i64::MIN / 4), Micros(i64::MAX / 4));
    engine.evidence(scene, from, to, &mut take).await?;
    for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let mut lines = Lines::default();
        for record in decisions.remove(&partition).unwrap_or_default() {
            let plan = plans.of(record.scene_version)?;
            let customer = customers.of(record.request.customer);
            of_decision(&plan, names, &record, customer, &mut lines)?;
            out.decisions += 1;
        }
        each(log, partition, &mut plans, |plan, entry| {
            let Entry::Event(event) = entry else {
                return Ok(());
            };
            if event.scene.0 != number {
                return Ok(());
            }
            let id = customers.of(event.identifier);
            match orders.tell(plan, event, id, &mut lines)? {
                Seen::Told => out.orders += 1,
                Seen::Unplaced => out.unplaced += 1,
                Seen::Earlier => out.earlier += 1,
                Seen::Other => {
                    let is_one = of_customer(names, event, &id.to_string(), &mut lines)?;
                    out.customers += u64::from(is_one);
                }
            }
            Ok(())
        })
        .await?;
        lines.save(
            &folder.join(format!("part-{:03}.jsonl", partition.0)),
            &mut out.files,
        )?;
    }
    Ok(out)
}

pub(super) fn text<'e>(event: &'e Event<'_>, name: &str) -> Option<&'e str> {
    match event.property(name) {
        Value::Text(text) => Some(text.as_ref()),
        _ => None,
    }
}

/// A check of a purchase that was asked for as the answer to an offer. Any other is the customer's own.
fn answers_an_offer(record: &DecisionRecord) -> bool {
    let own = record.context.iter().find(|(n, _)| n == "own_initiative");
    own.is_some_and(|(_, v)| *v == Value::Bool(false))
}

fn of_decision(
    plan: &ScenePlan,
    names: &Names,
    record: &DecisionRecord,
    customer: IdentifierId,
    lines: &mut Lines,
) -> Result<()> {
    let Some(policy) = plan.policy(&record.policy) else {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "decision {} is of policy `{}`, which version {} of the scene does not have",
                record.request.decision, record.policy, record.scene_version
            ),
        ));
    };
    let purpose = names.purpose(&record.policy);
    let context: Vec<(Cow<'_, str>, Value<'_>)> = (record.context.iter())
        .map(|(n, v)| (Cow::Borrowed(n.as_str()), v.clone()))
        .collect();
    let says = names.text.as_ref().filter(|(channel, _)| {
        *channel == policy.channel && purpose == Purpose::Push && !record.decision.null
    });
    let at = record.request.moment.now;
    let (id, customer) = (record.request.decision.to_string(), customer.to_string());
    let line = Decided {
        at,
        id: &id,
        customer: &customer,
        purpose,
        scene: plan,
        policy,
        decision: &record.decision,
        context: &context,
        text: says.map(|(_, text)| text.as_str()),
        queued: false,
        // Which offer it answers is not recorded; that it answers one is.
        answers: (purpose == Purpose::Buy && answers_an_offer(record)).then_some("an offer"),
    };
    lines.put(at, DECIDED, |out| decision(out, &line))?;
    Ok(())
}

/// Of a customer: attributes, opting out, what she signs.
fn of_customer(names: &Names, event: &Event<'_>, id: &str, lines: &mut Lines) -> Result<bool> {
    // What is told live is known from then on, whatever time its sender writes. History was known when it happened: its orders
    // stand at that time too.
    let at = match event.origin {
        Origin::Import => event.happened_at(),
        _ => event.received_at,
    };
    let kind = event.kind.as_ref();
    if kind == CUSTOMER_TYPE {
        let told: Vec<(&str, Value<'_>)> = (event.properties.iter())
            .map(|(n, v)| (n.as_ref(), v.clone()))
            .collect();
        return lines.put(at, FACT, |out| customer(out, at, id, &told));
    }
    if kind == names.opted_out {
        let told = [("opted_out", Value::Bool(true))];
        return lines.put(at, FACT, |out| customer(out, at, id, &told));
    }
    let Some(item) = text(event, "item") else {
        return Ok(false);
    };
    if kind == names.warning
        && let Value::Int(rating) = event.property("rating")
    {
        return lines.put(at, FACT, |out| warning(out, at, id, item, *rating));
    }
    if kind == names.acknowledgement
        && let Some(version) = text(event, "version")
    {
        return lines.put(at, FACT, |out| acknowledgement(out, at, id, item, version));
    }
    Ok(false)
}
