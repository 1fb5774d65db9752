//! Intake: what came in is looked at through the scene's schema, then stands durably in the log or, with the reason, in
//! quarantine. One bad input never stops the rest of its batch, and nothing is acknowledged before it is durable.

use crate::api::{
    EVENT_BYTES_MAX, EVENTS_PER_CALL_MAX, FUTURE_SKEW_US_MAX, Incoming, IngestReceipt, Input,
    Outcome, ProductInput, Raw, Refusal, RefusalKind, Result,
};
use crate::limits::CONTEXT_MAX;
use crate::quarantine::Again;
use crate::scenes::SceneRuntime;
use crate::{Inner, quarantine};
use bytes::Bytes;
use luopan_kernel::event::{
    CUSTOMER_TYPE, Entry, Event, Origin, PROPERTIES_MAX, encode_message, is_of_system,
};
use luopan_kernel::id::{
    DEFAULT_TENANT, FOREIGN_ID_BYTES_MAX, IdentifierId, PartitionId, Position,
};
use luopan_kernel::money;
use luopan_kernel::plan::{EventSchema, Field, ScenePlan};
use luopan_kernel::time::{DAY_US, HOUR_US, MINUTE_US, Micros, SECOND_US};
use luopan_kernel::value::{INTEGER_MAX, NUMBER_MAX, TEXT_BYTES_MAX, Value, ValueType};
use luopan_store::Append;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tracing::Instrument;

/// A fault of one input: stable code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

pub(crate) fn fault(code: &'static str, reason: String) -> Fault {
    Fault { code, reason }
}

/// Declared values that a fault names.
const VALUES_SHOWN: usize = 12;

/// Number of a policy of the plan, by its name.
pub(crate) fn policy_number(plan: &ScenePlan, policy: &str) -> Result<usize> {
    let names = || plan.policies.iter().map(|p| p.name.as_str());
    names().position(|n| n == policy).ok_or_else(|| Refusal {
        code: "unknown_policy",
        kind: RefusalKind::NotFound,
        message: format!(
            "scene `{}` has no policy `{}`{}",
            plan.name,
            cut(policy),
            nearest(policy, names())
        ),
    })
}

/// The nearest known word, when one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|k| {
            (
                strsim::jaro_winkler(&word.to_lowercase(), &k.to_lowercase()),
                k,
            )
        })
        .filter(|(s, _)| *s > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, k)| {
            format!("; the nearest known name is `{k}`")
        })
}

/// Looks at one input through the schema; `now` is the log time it will get, `taken_at` when it first came.
pub(crate) fn check<'a>(
    scene: &SceneRuntime,
    origin: Origin,
    now: Micros,
    taken_at: Micros,
    input: &Incoming<'a>,
) -> std::result::Result<Event<'a>, Fault> {
    if input.raw.len() > EVENT_BYTES_MAX {
        return Err(fault(
            "event_too_large",
            format!(
                "the event has {} bytes, the limit is {EVENT_BYTES_MAX}; send less in one event",
                input.raw.len()
            ),
        ));
    }
    for (what, text) in [("id", &input.id), ("customer", &input.customer)] {
        if text.is_empty() || text.len() > FOREIGN_ID_BYTES_MAX {
            return Err(fault(
                "bad_identifier",
                format!(
                    "`{what}` has {} bytes; write 1 to {FOREIGN_ID_BYTES_MAX}",
                    text.len()
                ),
            ));
        }
    }
    if is_of_system(&input.kind) {
        return Err(fault(
            "reserved_event_type",
            format!(
                "events of type `{}` are written by luopan itself; ask for decisions, and send outcomes as the types that the scene's rewards are declared over",
                input.kind
            ),
        ));
    }
    let Some(schema) = scene.plan.event(&input.kind) else {
        let near = nearest(
            &input.kind,
            scene.plan.events.iter().map(|e| e.name.as_str()),
        );
        return Err(fault(
            "unknown_event_type",
            format!(
                "event type `{}` is not declared in scene `{}`{near}",
                cut(&input.kind),
                scene.plan.name
            ),
        ));
    };
    let occurred_at = input.occurred_at.unwrap_or(now);
    if occurred_at.since(now) > FUTURE_SKEW_US_MAX {
        return Err(fault(
            "in_the_future",
            format!(
                "`occurred_at` is {} ahead of the clock, at most {} are allowed; check the sender's clock",
                length(occurred_at.since(now)),
                length(FUTURE_SKEW_US_MAX)
            ),
        ));
    }
    if origin != Origin::Import && taken_at.since(occurred_at) > scene.plan.dedup_horizon_us {
        let reason = match other_unit(occurred_at, now) {
            Some(unit) => format!(
                "`occurred_at` is {}, which looks like {unit} since 1970; write microseconds, or text as 2026-11-22T08:00:00Z",
                occurred_at.0
            ),
            None => format!(
                "`occurred_at` is {} ago, past the deduplication horizon of {}; import history with origin `import`",
                length(taken_at.since(occurred_at)),
                length(scene.plan.dedup_horizon_us)
            ),
        };
        return Err(fault("too_old", reason));
    }
    if input.properties.len() > PROPERTIES_MAX || input.context.len() > CONTEXT_MAX {
        return Err(fault(
            "too_many_properties",
            format!(
                "{} properties and {} context entries; the limits are {PROPERTIES_MAX} and {CONTEXT_MAX}",
                input.properties.len(),
                input.context.len()
            ),
        ));
    }
    // A file's empty cell says nothing; who sends null for an attribute means to take it away, which nothing does.
    let nothing = (input.properties.iter()).find(|(_, raw)| *raw == Raw::Null);
    if let (CUSTOMER_TYPE, Origin::Live, Some((name, _))) = (input.kind.as_ref(), origin, nothing) {
        return Err(fault(
            "wrong_type",
            format!(
                "`{}` is null, and what was told of a customer is not taken away; write the value that holds now (a consent that was withdrawn is false), or leave the property out",
                cut(name)
            ),
        ));
    }
    let properties = properties(schema, &input.properties)?;
    let context = context(&input.context)?;
    Ok(Event {
        id: input.id.clone(),
        tenant: DEFAULT_TENANT,
        scene: scene.no,
        identifier: IdentifierId([0; 16]),
        kind: input.kind.clone(),
        occurred_at,
        received_at: now,
        origin,
        properties,
        context,
        corrects: input.corrects.clone(),
        sealed: Vec::new(),
    })
}

/// A length of time for people, in its largest whole unit.
fn length(us: i64) -> String {
    let units = [
        (365 * DAY_US, "years"),
        (DAY_US, "days"),
        (HOUR_US, "hours"),
        (MINUTE_US, "minutes"),
    ];
    // A unit is used from two of it on, so that little is lost by leaving the rest away.
    let (size, word) = units
        .into_iter()
        .find(|(size, _)| us / size >= 2)
        .unwrap_or((SECOND_US, "seconds"));
    format!("{} {word}", us / size)
}

/// The unit in which a number would be a time within ten years of now, when it is not the one that is read.
fn other_unit(at: Micros, now: Micros) -> Option<&'static str> {
    let near = |us: i64| us.abs_diff(now.0) < 10 * 365 * DAY_US.unsigned_abs();
    [(1_000, "milliseconds"), (1_000_000, "seconds")]
        .into_iter()
        .find(|(scale, _)| at.0.checked_mul(*scale).is_some_and(near))
        .map(|(_, unit)| unit)
}

type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

fn properties<'a>(
    schema: &EventSchema,
    given: &[(Cow<'a, str>, Raw<'a>)],
) -> std::result::Result<Fields<'a>, Fault> {
    let mut out: Fields<'a> = Vec::with_capacity(given.len());
    for (name, raw) in given {
        let Some(i) = schema.field(name) else {
            let near = nearest(name, schema.fields.iter().map(|f| f.name.as_str()));
            return Err(fault(
                "unknown_property",
                format!(
                    "event type `{}` declares no property `{}`{near}",
                    schema.name,
                    cut(name)
                ),
            ));
        };
        let value = typed(&schema.fields[i], raw)?;
        if !value.is_missing() {
            out.push((name.clone(), value));
        }
    }
    sort_fields(&mut out)?;
    for field in schema.fields.iter().filter(|f| f.required) {
        if out
            .binary_search_by(|(n, _)| n.as_ref().cmp(field.name.as_str()))
            .is_err()
        {
            return Err(fault(
                "missing_property",
                format!(
                    "event type `{}` requires `{}` ({})",
                    schema.name,
                    field.name,
                    field.kind.word()
                ),
            ));
        }
    }
    Ok(out)
}

fn sort_fields(fields: &mut Fields<'_>) -> std::result::Result<(), Fault> {
    if fields.windows(2).all(|w| w[0].0 < w[1].0) {
        return Ok(());
    }
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    match fields.windows(2).find(|w| w[0].0 == w[1].0) {
        Some(w) => Err(fault(
            "duplicate_property",
            format!("`{}` stands twice; write it once", cut(&w[0].0)),
        )),
        None => Ok(()),
    }
}

fn context<'a>(given: &[(Cow<'a, str>, Raw<'a>)]) -> std::result::Result<Fields<'a>, Fault> {
    let mut out: Fields<'a> = Vec::with_capacity(given.len());
    for (name, raw) in given {
        let value = match raw {
            Raw::Null => continue,
            Raw::Bool(b) => Value::Bool(*b),
            Raw::Int(i) => Value::Int(*i),
            Raw::Number(n) if n.is_finite() => Value::Number(*n),
            Raw::Text(t) if t.len() <= TEXT_BYTES_MAX => Value::Text(t.clone()),
            other => {
                return Err(fault(
                    "wrong_type",
                    format!(
                        "context `{}` is {}; write a boolean, a number or text",
                        cut(name),
                        describe(other)
                    ),
                ));
            }
        };
        out.push((name.clone(), value));
    }
    sort_fields(&mut out)?;
    Ok(out)
}

/// A raw value as the declared type, or the fault.
pub(crate) fn typed<'a>(field: &Field, raw: &Raw<'a>) -> std::result::Result<Value<'a>, Fault> {
    let wrong = |wanted: &str| {
        fault(
            "wrong_type",
            format!("`{}` is {}; write {wanted}", field.name, describe(raw)),
        )
    };
    let value = match (field.kind, raw) {
        (_, Raw::Null) => Value::Missing,
        (ValueType::Boolean, Raw::Bool(b)) => Value::Bool(*b),
        (ValueType::Boolean, _) => return Err(wrong("true or false")),
        (ValueType::Integer | ValueType::Money | ValueType::Duration, Raw::Int(i)) => {
            if i.unsigned_abs() > INTEGER_MAX {
                return Err(out_of_range(field, i));
            }
            Value::Int(*i)
        }
        (ValueType::Integer | ValueType::Money | ValueType::Duration, Raw::Number(n))
            if n.trunc() == *n && n.abs() < 9.0e15 =>
        {
            Value::Int(*n as i64)
        }
        (ValueType::Integer, _) => return Err(wrong("an integer")),
        (ValueType::Money, _) => return Err(wrong(&minor_units(field, raw))),
        (ValueType::Duration, _) => return Err(wrong("an integer of microseconds")),
        (ValueType::Number, Raw::Int(i)) => number(field, *i as f64)?,
        (ValueType::Number, Raw::Number(n)) => number(field, *n)?,
        (ValueType::Number, _) => return Err(wrong("a number")),
        (ValueType::Text, Raw::Text(t)) => {
            if t.len() > TEXT_BYTES_MAX {
                return Err(fault(
                    "text_too_long",
                    format!(
                        "`{}` has {} bytes, the limit is {TEXT_BYTES_MAX}",
                        field.name,
                        t.len()
                    ),
                ));
            }
            if !field.one_of.is_empty() && !field.one_of.iter().any(|o| o == t.as_ref()) {
                let near = nearest(t, field.one_of.iter().map(String::as_str));
                let shown: Vec<&str> = (field.one_of.iter().take(VALUES_SHOWN))
                    .map(String::as_str)
                    .collect();
                let more = match field.one_of.len().saturating_sub(VALUES_SHOWN) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                return Err(fault(
                    "not_one_of",
                    format!(
                        "`{}` is `{}`, which is not among its declared values `{}`{more}{near}",
                        field.name,
                        cut(t),
                        shown.join("`, `")
                    ),
                ));
            }
            Value::Text(t.clone())
        }
        (ValueType::Text, _) => return Err(wrong("text")),
        (ValueType::Time, Raw::Int(us)) => Value::Time(Micros(*us)),
        (ValueType::Time, Raw::Text(t)) => match t.parse::<jiff::Timestamp>() {
            Ok(at) => Value::Time(Micros(at.as_microsecond())),
            Err(_) => {
                return Err(wrong(
                    "a time as 2026-01-31T09:30:00+08:00, or integer microseconds since 1970",
                ));
            }
        },
        (ValueType::Time, _) => return Err(wrong("a time as 2026-01-31T09:30:00+08:00")),
    };
    Ok(value)
}

/// What to write for an amount: the integer that a decimal comes to, where that is sure.
fn minor_units(field: &Field, raw: &Raw<'_>) -> String {
    let currency = field.currency.as_deref().unwrap_or("its currency");
    let decimal = match raw {
        Raw::Text(t) if t.contains('.') => t.trim().to_owned(),
        Raw::Number(n) => n.to_string(),
        _ => String::new(),
    };
    money::minor_digits(currency)
        .and_then(|digits| money::minor_units(&decimal, digits).ok())
        .filter(|_| !decimal.is_empty())
        .map_or_else(
            || format!("an integer of minor units of {currency} (cents, fen), as 1250 for 12.50"),
            |minor| format!("{minor} (minor units of {currency})"),
        )
}

fn number(field: &Field, n: f64) -> std::result::Result<Value<'static>, Fault> {
    if n.is_finite() && n.abs() <= NUMBER_MAX {
        Ok(Value::Number(n))
    } else {
        Err(out_of_range(field, &n))
    }
}

fn out_of_range(field: &Field, found: &dyn std::fmt::Display) -> Fault {
    fault(
        "out_of_range",
        format!(
            "`{}` is {found}; write a number within ±{NUMBER_MAX:e}",
            field.name
        ),
    )
}

fn describe(raw: &Raw<'_>) -> String {
    match raw {
        Raw::Null => "null".into(),
        Raw::Bool(b) => format!("the boolean {b}"),
        Raw::Int(i) => format!("the integer {i}"),
        Raw::Number(n) => format!("the number {n}"),
        Raw::Text(t) => format!("the text `{}`", cut(t)),
        Raw::Compound(what) => format!("an {what}"),
    }
}

/// At most 64 characters of a text, for messages.
pub(crate) fn cut(text: &str) -> String {
    if text.chars().count() <= 64 {
        text.to_owned()
    } else {
        text.chars().take(64).chain("…".chars()).collect()
    }
}

impl Inner {
    /// A log time: the clock, but never behind a log time given before.
    pub(crate) fn log_time(&self) -> Micros {
        let now = self.env.now().0;
        let last = self
            .last_log_time
            .fetch_max(now, std::sync::atomic::Ordering::SeqCst);
        Micros(now.max(last))
    }

    pub(crate) fn refuse_when_behind(&self) -> Result<()> {
        let lag = self.fold_lag();
        if lag > self.limits.fold_lag_max {
            return Err(Refusal {
                code: "fold_lag",
                kind: RefusalKind::Busy,
                message: format!(
                    "{lag} log entries are not yet folded, the limit is {}; try again in a moment",
                    self.limits.fold_lag_max
                ),
            });
        }
        Ok(())
    }

    pub(crate) async fn ingest(
        &self,
        scene: &str,
        origin: Origin,
        inputs: &[Input<'_>],
    ) -> Result<IngestReceipt> {
        self.ingest_again(scene, origin, inputs, &[]).await
    }

    /// Takes inputs in; those in `again`, one for each or none at all, were in quarantine.
    pub(crate) async fn ingest_again(
        &self,
        scene: &str,
        origin: Origin,
        inputs: &[Input<'_>],
        again: &[Again],
    ) -> Result<IngestReceipt> {
        let scene = self.scenes.newest(scene)?;
        // Only now: what a caller wrote may be anything.
        tracing::Span::current().record("scene", scene.plan.name.as_str());
        if inputs.len() > EVENTS_PER_CALL_MAX {
            return Err(Refusal {
                code: "batch_too_large",
                kind: RefusalKind::TooLarge,
                message: format!(
                    "{} events in one call, the limit is {EVENTS_PER_CALL_MAX}; send several calls",
                    inputs.len()
                ),
            });
        }
        self.refuse_when_behind()?;
        let now = self.log_time();
        let taken_at = |i: usize, now| again.get(i).map_or(now, |a: &Again| a.at);
        let mut outcomes: Vec<Option<Outcome>> = vec![None; inputs.len()];
        let mut rows = Vec::new();
        let mut events: Vec<(usize, Event<'_>)> = Vec::with_capacity(inputs.len());
        for (i, input) in inputs.iter().enumerate() {
            let bad = match input {
                Ok(incoming) => match check(&scene, origin, now, taken_at(i, now), incoming) {
                    Ok(event) => {
                        events.push((i, event));
                        continue;
                    }
                    Err(f) => (f.code, f.reason, incoming.raw.as_ref()),
                },
                Err(unreadable) => (
                    unreadable.code,
                    unreadable.reason.clone(),
                    unreadable.raw.as_ref(),
                ),
            };
            let id = (again.get(i)).map_or_else(|| self.env.fresh_id(), |a| a.id);
            rows.push(quarantine::write(
                id,
                &scene.plan.name,
                taken_at(i, now),
                bad.0,
                &bad.1,
                origin,
                bad.2,
            ));
            outcomes[i] = Some(Outcome::Quarantined {
                quarantine_id: quarantine::id_text(id),
                code: bad.0.to_owned(),
                reason: bad.1,
            });
        }
        let quarantined = rows.len() as u64;
        self.commit_quarantine(rows).await?;
        let foreign: Vec<&str> = events
            .iter()
            .map(|(i, _)| customer_of(&inputs[*i]))
            .collect();
        let ids = self.resolve_or_create(&foreign).await?;
        for ((_, event), id) in events.iter_mut().zip(&ids) {
            event.identifier = *id;
        }
        let mut receipt = self
            .append_events(events, &mut outcomes, |id| id.partition())
            .await?;
        receipt.quarantined = quarantined;
        receipt.outcomes = outcomes.into_iter().flatten().collect();
        self.counters.accepted(receipt.accepted);
        self.counters.quarantined(quarantined);
        Ok(receipt)
    }

    /// Appends checked events, grouped by partition, and notes where each landed.
    pub(crate) async fn append_events(
        &self,
        events: Vec<(usize, Event<'_>)>,
        outcomes: &mut [Option<Outcome>],
        partition_of: impl Fn(IdentifierId) -> PartitionId,
    ) -> Result<IngestReceipt> {
        let mut receipt = IngestReceipt {
            accepted: events.len() as u64,
            ..IngestReceipt::default()
        };
        if events.is_empty() {
            return Ok(receipt);
        }
        let mut groups: BTreeMap<PartitionId, (Vec<usize>, Vec<Entry<'_>>)> = BTreeMap::new();
        for (i, event) in events {
            let group = groups.entry(partition_of(event.identifier)).or_default();
            group.0.push(i);
            group.1.push(Entry::Event(event));
        }
        let mut appends = Vec::with_capacity(groups.len());
        let mut indexes = Vec::with_capacity(groups.len());
        for (partition, (at, entries)) in &groups {
            // An event holds at most a megabyte, a message at most four: long groups go in several messages.
            for (at, entries) in at
                .chunks(MESSAGE_EVENTS)
                .zip(entries.chunks(MESSAGE_EVENTS))
            {
                let message = encode_message(entries);
                if message.len() <= luopan_store::log::MESSAGE_BYTES_MAX {
                    appends.push(Append {
                        partition: *partition,
                        count: entries.len() as u32,
                        message: Bytes::from(message),
                    });
                    indexes.push(at.to_vec());
                    continue;
                }
                for (at, entry) in at.iter().zip(entries) {
                    let message = encode_message(std::slice::from_ref(entry));
                    appends.push(Append {
                        partition: *partition,
                        count: 1,
                        message: Bytes::from(message),
                    });
                    indexes.push(vec![*at]);
                }
            }
        }
        let landed = self
            .to_the_end(move |inner| {
                let span = tracing::debug_span!("append", messages = appends.len());
                let append = async move {
                    let landed = inner.log.append(appends).await?;
                    inner.heads_moved(&landed);
                    Ok::<_, luopan_store::Error>(landed)
                };
                append.instrument(span)
            })
            .await??;
        for (appended, at) in landed.iter().zip(&indexes) {
            for (k, i) in at.iter().enumerate() {
                let position = Position(appended.first.0 + k as u64 + 1);
                outcomes[*i] = Some(Outcome::Accepted {
                    partition: appended.partition,
                    position,
                });
            }
            receipt.token.include(appended.partition, appended.end);
        }
        Ok(receipt)
    }

    /// Internal ids of foreign ones, from the bounded cache or the key store.
    pub(crate) async fn resolve_or_create(&self, foreign: &[&str]) -> Result<Vec<IdentifierId>> {
        let mut out = vec![None; foreign.len()];
        let mut unknown: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, text) in foreign.iter().enumerate() {
            match self.ids.get(text) {
                Some(id) => out[i] = Some(id),
                None => unknown.entry(text).or_default().push(i),
            }
        }
        if !unknown.is_empty() {
            let asked: Vec<_> = unknown
                .keys()
                .map(|text| luopan_store::ForeignId {
                    tenant: DEFAULT_TENANT,
                    text: (*text).to_owned(),
                })
                .collect();
            let fresh: Vec<_> = asked
                .iter()
                .map(|_| IdentifierId(self.env.fresh_id()))
                .collect();
            let span = tracing::debug_span!("resolve ids", ids = asked.len());
            let resolved = (self.keys.resolve_or_create(&asked, &fresh))
                .instrument(span)
                .await?;
            for ((text, at), found) in unknown.iter().zip(&resolved) {
                self.ids.put(text, found.id);
                for i in at {
                    out[*i] = Some(found.id);
                }
            }
        }
        Ok(out.into_iter().flatten().collect())
    }

    /// Sets catalogue items, through the environment partition.
    pub(crate) async fn import_items(
        &self,
        scene: &str,
        catalogue: &str,
        items: &[(String, Vec<(String, Raw<'static>)>)],
    ) -> Result<IngestReceipt> {
        let inputs: Vec<ProductInput> = (items.iter())
            .map(|(key, values)| ProductInput::Set {
                key: key.clone(),
                values: values.clone(),
            })
            .collect();
        self.change_products(scene, catalogue, &inputs).await
    }
}

/// Most events of one log message.
const MESSAGE_EVENTS: usize = 1_000;

fn customer_of<'a>(input: &'a Input<'_>) -> &'a str {
    match input {
        Ok(incoming) => incoming.customer.as_ref(),
        Err(_) => "",
    }
}
