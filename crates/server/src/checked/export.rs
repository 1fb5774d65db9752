//! `luopan export checks`: a data folder's log and decisions as files for the checker. Facts of products come from the
//! environment's partition, facts and orders of customers from theirs, decisions from their records; a file a partition, in
//! order of time, customers under their internal ids, linked identifiers as one customer.
//!
//! It reads and never writes to the stores. What the folder does not hold is not told: the days of an order come from the
//! context of its events (`trade_day`, `confirmed_on`, `earning_changes_on`, `fast`), a text from who exports.

use super::facts::{Terms, customer, product};
use super::line::{
    Decided, Ordered, Purpose, Side, Step, acknowledgement, decision, order, warning,
};
use crate::problem::{Problem, Result};
use luopan_engine::proof::Evidence;
use luopan_engine::{Engine, Refusal};
use luopan_kernel::event::{
    CUSTOMER_TYPE, Entry, Event, PRODUCT_CHANGED_TYPE, PRODUCT_TYPE, decode_message,
};
use luopan_kernel::id::{IdentifierId, PartitionId, Position};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::plan::orders::OrderStep;
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

/// What a scene does not say of its own names. The defaults are those of the fund pack.
#[derive(Debug, Clone)]
pub struct Names {
    /// Policies of shelves.
    pub shelves: Vec<String>,
    /// Policies that check a customer's own purchase; all others push.
    pub purchases: Vec<String>,
    /// Event by which a customer opts out of every channel.
    pub opted_out: String,
    /// Event of a signed warning, with `item` and `rating`.
    pub warning: String,
    /// Event of an acknowledged notice, with `item` and `version`.
    pub acknowledgement: String,
    /// Channel of text messages, and the text that whoever sends them writes.
    pub text: Option<(String, String)>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            shelves: vec!["shelf".to_owned()],
            purchases: vec!["own_purchase".to_owned()],
            opted_out: "unsubscribed".to_owned(),
            warning: "risk_warning_signed".to_owned(),
            acknowledgement: "notice_acknowledged".to_owned(),
            text: None,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Decisions.
    pub decisions: u64,
    /// Steps of orders.
    pub orders: u64,
    /// Facts of customers and what they signed.
    pub customers: u64,
    /// Facts of products.
    pub products: u64,
    /// Files.
    pub files: u64,
}

/// Lines of one file with what orders them: time, rank among lines of one moment, and the order in which they came.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    places: Vec<(Micros, u8, std::ops::Range<usize>)>,
}

impl Lines {
    fn put(
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
const FACT: u8 = 0;
const DECIDED: u8 = 1;
const ORDERED: u8 = 2;

fn unreadable(e: impl std::fmt::Display) -> Box<Problem> {
    Problem::new("data_unusable", format!("the log cannot be read: {e}"))
}

/// Hands every entry of a partition to `see`, in order.
async fn each(
    log: &Arc<dyn EventLog>,
    partition: PartitionId,
    mut see: impl FnMut(&Entry<'_>) -> Result<()>,
) -> Result<()> {
    let mut next = Position(0);
    loop {
        let messages = log.read(partition, next, READ_BYTES).await?;
        if messages.is_empty() {
            return Ok(());
        }
        for message in &messages {
            next = message.end();
            for entry in &decode_message(&message.message).map_err(unreadable)? {
                see(entry)?;
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
    let plan = engine.plan(scene)?;
    let Some(number) = (engine.scenes().iter())
        .find(|s| s.name == scene)
        .map(|s| s.number)
    else {
        return Err(Problem::internal("a scene that is applied has no number"));
    };
    std::fs::create_dir_all(folder).map_err(|e| {
        Problem::new(
            "file_unreadable",
            format!("{} cannot be made: {e}", folder.display()),
        )
    })?;
    let mut out = Exported::default();
    let mut lines = Lines::default();
    let mut first = None;
    let environment = PartitionId(luopan_kernel::ENVIRONMENT_PARTITION);
    each(log, environment, |entry| {
        match entry {
            Entry::Event(event) if event.scene.0 == number => {
                out.products += u64::from(of_product(&plan, event, &mut lines)?);
            }
            Entry::SceneApplied { scene, at, .. } if scene.0 == number && first.is_none() => {
                first = Some(*at);
            }
            _ => {}
        }
        Ok(())
    })
    .await?;
    // Items of the pack itself are there from the first version on.
    for catalogue in &plan.catalogues {
        for item in &catalogue.items {
            let at = first.unwrap_or(Micros(0));
            let told: Vec<(&str, &Value<'_>)> = (catalogue.attributes.iter())
                .map(|a| a.name.as_str())
                .zip(&item.values)
                .collect();
            out.products += u64::from(told_product(
                &plan,
                &catalogue.name,
                &item.key,
                at,
                &told,
                &mut lines,
            )?);
        }
    }
    lines.save(&folder.join("products.jsonl"), &mut out.files)?;

    let mut decisions: BTreeMap<PartitionId, Vec<DecisionRecord>> = BTreeMap::new();
    let mut take = |evidence: Evidence| -> std::result::Result<(), Refusal> {
        if let Evidence::Decision(record) = evidence {
            decisions
                .entry(record.request.customer.partition())
                .or_default()
                .push(*record);
        }
        Ok(())
    };
    let (from, to) = (Micros(i64::MIN / 4), Micros(i64::MAX / 4));
    engine.evidence(scene, from, to, &mut take).await?;
    let mut customer_of: HashMap<IdentifierId, (u64, IdentifierId)> = HashMap::new();
    for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        each(log, partition, |entry| {
            if let Entry::Linked(link) = entry {
                let known = customer_of
                    .entry(link.identifier)
                    .or_insert((0, link.customer));
                if link.revision >= known.0 {
                    *known = (link.revision, link.customer);
                }
            }
            Ok(())
        })
        .await?;
    }
    for partition in (0..luopan_kernel::PARTITIONS).map(PartitionId) {
        let mut lines = Lines::default();
        for record in decisions.remove(&partition).unwrap_or_default() {
            of_decision(&plan, names, &record, &mut lines)?;
            out.decisions += 1;
        }
        let mut placed: HashMap<(IdentifierId, String), (String, Side)> = HashMap::new();
        each(log, partition, |entry| {
            if let Entry::Event(event) = entry
                && event.scene.0 == number
            {
                let id = customer_of
                    .get(&event.identifier)
                    .map_or(event.identifier, |c| c.1);
                let id = id.to_string();
                if of_order(&plan, event, &id, &mut placed, &mut lines)? {
                    out.orders += 1;
                } else if of_customer(names, event, &id, &mut lines)? {
                    out.customers += 1;
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

fn text<'e>(event: &'e Event<'_>, name: &str) -> Option<&'e str> {
    match event.property(name) {
        Value::Text(text) => Some(text.as_ref()),
        _ => None,
    }
}

/// Of a product: whole items, where what is not named is not known, and changes.
fn of_product(plan: &ScenePlan, event: &Event<'_>, lines: &mut Lines) -> Result<bool> {
    let (Some(catalogue), Some(key)) = (text(event, "luopan.catalogue"), text(event, "luopan.key"))
    else {
        return Ok(false);
    };
    let Some(declared) = plan.catalogues.iter().find(|c| c.name == catalogue) else {
        return Ok(false);
    };
    let told: Vec<(&str, &Value<'_>)> = match event.kind.as_ref() {
        PRODUCT_TYPE => (declared.attributes.iter())
            .map(|a| (a.name.as_str(), event.property(&a.name)))
            .collect(),
        PRODUCT_CHANGED_TYPE => (event.properties.iter())
            .filter(|(name, _)| !name.starts_with("luopan."))
            .map(|(name, value)| (name.as_ref(), value))
            .collect(),
        _ => return Ok(false),
    };
    told_product(plan, catalogue, key, event.received_at, &told, lines)
}

fn told_product(
    plan: &ScenePlan,
    catalogue: &str,
    key: &str,
    at: Micros,
    told: &[(&str, &Value<'_>)],
    lines: &mut Lines,
) -> Result<bool> {
    // Only what can be ordered is a product of the market.
    let orders = (plan.orders.iter()).find(|o| {
        plan.catalogues
            .get(usize::from(o.catalogue))
            .is_some_and(|c| c.name == catalogue)
    });
    let Some(orders) = orders else {
        return Ok(false);
    };
    let of = |name: &str| told.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let is = |name: &str, yes: &dyn Fn(&str) -> bool| match of(name) {
        Some(Value::Text(v)) => Some(yes(v)),
        _ => None,
    };
    let money_market = is("kind", &|v| v == "money_market");
    let ladder = (orders.fee_attribute.is_none()
        && !orders.fees.is_empty()
        && money_market.is_some())
    .then(|| {
        let step = |s: &luopan_kernel::plan::orders::FeeStep| {
            (i64::from(s.under_days), f64::from(s.rate_ppm) / 1e6)
        };
        orders.fees.iter().map(step).collect()
    });
    let terms = Terms {
        fee_ladder: ladder,
        money_market,
        qdii: is("fine_type", &|v| v.starts_with("QDII")),
        ..Terms::default()
    };
    lines.put(at, FACT, |out| {
        product(out, at, key, told, &terms, &["app"], orders.utc_offset_s)
    })
}

fn of_decision(
    plan: &ScenePlan,
    names: &Names,
    record: &DecisionRecord,
    lines: &mut Lines,
) -> Result<()> {
    let Some(policy) = plan.policy(&record.policy) else {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "decision {} is of policy `{}`, which the newest version of the scene does not have",
                record.request.decision, record.policy
            ),
        ));
    };
    let is_one = |list: &[String]| list.contains(&record.policy);
    let purpose = match () {
        () if is_one(&names.shelves) => Purpose::Show,
        () if is_one(&names.purchases) => Purpose::Buy,
        () => Purpose::Push,
    };
    let context: Vec<(Cow<'_, str>, Value<'_>)> = (record.context.iter())
        .map(|(n, v)| (Cow::Borrowed(n.as_str()), v.clone()))
        .collect();
    let is_own = context
        .iter()
        .any(|(n, v)| n == "own_initiative" && *v == Value::Bool(true));
    let says = names.text.as_ref().filter(|(channel, _)| {
        *channel == policy.channel && purpose == Purpose::Push && !record.decision.null
    });
    let at = record.request.moment.now;
    let (id, customer) = (
        record.request.decision.to_string(),
        record.request.customer.to_string(),
    );
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
        answers: (purpose == Purpose::Buy && !is_own).then_some("an offer"),
    };
    lines.put(at, DECIDED, |out| decision(out, &line))?;
    Ok(())
}

/// Of a customer: attributes, opting out, what she signs.
fn of_customer(names: &Names, event: &Event<'_>, id: &str, lines: &mut Lines) -> Result<bool> {
    let (at, kind) = (event.received_at, event.kind.as_ref());
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

/// A day of `2026-11-20`, since 1970-01-01.
fn day(text: &str) -> Option<i64> {
    crate::simulate::given::day(text)
}

/// Of an order, as the scene declares orders; false of an event that is none.
fn of_order(
    plan: &ScenePlan,
    event: &Event<'_>,
    customer: &str,
    placed: &mut HashMap<(IdentifierId, String), (String, Side)>,
    lines: &mut Lines,
) -> Result<bool> {
    let declared = (plan.orders.iter().flat_map(|o| &o.events)).find_map(|e| {
        let schema = plan.events.get(usize::from(e.event))?;
        (schema.name == event.kind).then_some((e, schema))
    });
    let Some((declared, schema)) = declared else {
        return Ok(false);
    };
    let value = |field: Option<u16>| -> &Value<'_> {
        let name = field.and_then(|f| schema.fields.get(usize::from(f)));
        name.map_or(&Value::Missing, |f| event.property(&f.name))
    };
    let word = |field| match value(field) {
        Value::Text(v) => Some(v.as_ref()),
        _ => None,
    };
    let int = |field| match value(field) {
        Value::Int(v) => Some(*v),
        _ => None,
    };
    let number = |field| value(field).as_number();
    let said = |name: &str| {
        event
            .context
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v)
    };
    let told = |name: &str| match said(name) {
        Some(Value::Text(v)) => Some(v.as_ref()),
        _ => None,
    };
    let Some(id) = word(Some(declared.order)) else {
        return Ok(false);
    };
    let step = match declared.step {
        OrderStep::Submitted => Step::Submitted,
        OrderStep::Accepted => Step::Accepted,
        OrderStep::Confirmed => Step::Confirmed,
        OrderStep::Failed => Step::Failed,
        OrderStep::Cancelled => Step::Cancelled,
        OrderStep::Paid => Step::Paid,
    };
    let name = (event.identifier, id.to_owned());
    if let Some(item) = word(declared.item) {
        let side = match word(declared.side) {
            Some("redeem") => Side::Redeem,
            _ => Side::Buy,
        };
        placed.insert(name.clone(), (item.to_owned(), side));
    }
    let Some((item, side)) = placed.get(&name) else {
        return Ok(false);
    };
    let line = Ordered {
        at: event.occurred_at,
        id,
        customer,
        product: item,
        step,
        side: *side,
        channel: told("channel").unwrap_or("app"),
        amount: int(declared.amount),
        shares: number(declared.shares),
        nav: number(declared.nav),
        fee: int(declared.fee),
        trade_day: told("trade_day").and_then(day),
        confirmed_on: told("confirmed_on").and_then(day),
        earning_changes_on: told("earning_changes_on").and_then(day),
        fast: matches!(said("fast"), Some(Value::Bool(true))),
        decision: word(declared.decision),
        recording: told("recording_id"),
        trail: told("trail_id"),
    };
    lines.put(event.occurred_at, ORDERED, |out| order(out, &line))
}
