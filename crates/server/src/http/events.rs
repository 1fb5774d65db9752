//! `POST /v1/events`: one event, an array, or lines of JSON. A batch is cut into chunks; one bad event never stops the rest,
//! and what a refusal in the middle had already taken is said in the refusal.

use super::App;
use super::body::{self, Media};
use super::query::{self, Asked};
use crate::asked;
use crate::incoming;
use crate::limits::{BYTES_PER_CHUNK, EVENTS_PER_CHUNK, EVENTS_PER_REQUEST_MAX};
use crate::problem::{Problem, Refused, Result};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use luopan_engine::api::{
    EVENT_BYTES_MAX, IngestReceipt, Input, Outcome, PositionToken, Unreadable,
};
use luopan_kernel::event::Origin;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Scene; may be left out when only one is applied. The header `X-Luopan-Scene` says the same.
    scene: Option<String>,
    /// `live` (default), `import`, `simulated` or `dry_run`. Only `live` can lead to a send or a spend.
    origin: Option<String>,
    /// `all`: every input is listed; `quarantined`: only those that went to quarantine. Default: `all` for JSON,
    /// `quarantined` for lines.
    outcomes: Option<Listed>,
    /// Wait this many milliseconds at most, up to 30,000, until the events are folded, and say how many were duplicates.
    wait_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Listed {
    All,
    Quarantined,
}

/// An event. It is parsed by hand on the way in; this is its description.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)]
#[schema(as = Event)]
pub(super) struct EventDoc {
    /// The sender's id of the event, 1 to 128 bytes; the same id of the same customer is taken once.
    #[schema(min_length = 1, max_length = 128, example = "visit-000017")]
    id: String,
    /// Whose event, as the sender names them, 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128, example = "customer-42")]
    customer: String,
    /// Event type, as the scene declares it.
    #[schema(example = "visit")]
    r#type: String,
    /// When it happened: RFC 3339 text with a zone, or integer microseconds (not milliseconds) since 1970. Absent: the time
    /// of intake.
    occurred_at: Option<OccurredAt>,
    /// Properties, as the scene declares them for the type. Money is an integer of minor units: 1250 for 12.50 CNY (scene
    /// packs write the decimal). A duration is an integer of microseconds, a time is written as `occurred_at`.
    #[schema(value_type = Option<Object>)]
    properties: Option<()>,
    /// Context: device, page, place.
    #[schema(value_type = Option<Object>)]
    context: Option<()>,
    /// Id of the event that this one corrects; it carries the difference.
    corrects: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)]
#[serde(untagged)]
enum OccurredAt {
    Text(String),
    Microseconds(i64),
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)]
#[serde(untagged)]
pub(super) enum EventsDoc {
    One(EventDoc),
    Many(Vec<EventDoc>),
}

/// What became of one input.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EventOutcome {
    /// Number of the input in the request (array element, line), from 0; empty lines are not counted.
    index: usize,
    #[serde(flatten)]
    #[schema(inline)]
    outcome: OutcomeBody,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum OutcomeBody {
    /// Durable in the log. Whether it is a duplicate is known once it is folded.
    Accepted {
        /// Position to hand to `at_least`.
        position: String,
    },
    /// Durable in quarantine.
    Quarantined {
        /// Id in quarantine.
        quarantine_id: String,
        /// Stable code.
        code: String,
        /// What was found and what to write instead.
        reason: String,
    },
}

impl EventOutcome {
    fn new(index: usize, outcome: Outcome) -> Self {
        let outcome = match outcome {
            Outcome::Accepted {
                partition,
                position,
            } => {
                let mut token = PositionToken::default();
                token.include(partition, position);
                OutcomeBody::Accepted {
                    position: token.to_string(),
                }
            }
            Outcome::Quarantined {
                quarantine_id,
                code,
                reason,
            } => OutcomeBody::Quarantined {
                quarantine_id,
                code,
                reason,
            },
        };
        Self { index, outcome }
    }
}

/// The answer: everything counted here is durable.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct EventsAnswer {
    /// Events that stand in the log, duplicates among them.
    accepted: u64,
    /// Inputs that stand in quarantine.
    quarantined: u64,
    /// Of the accepted, those that had been taken before; only with `wait_ms`, and only when the wait was long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicates: Option<u64>,
    /// Hand this to `at_least` of a decision that must have seen these events; empty when none was accepted.
    position: String,
    /// What became of the inputs; see the parameter `outcomes`.
    outcomes: Vec<EventOutcome>,
}

impl EventsAnswer {
    /// The answer to one call of the engine.
    pub(super) fn of(receipt: IngestReceipt) -> Self {
        Self {
            accepted: receipt.accepted,
            quarantined: receipt.quarantined,
            duplicates: None,
            position: receipt.token.to_string(),
            outcomes: (receipt.outcomes.into_iter().enumerate())
                .map(|(i, o)| EventOutcome::new(i, o))
                .collect(),
        }
    }
}

/// Takes events: durable when the answer comes.
///
/// The body is one event, an array of events, or lines of JSON (`application/x-ndjson`), at most 64 MiB, also gzipped. What
/// does not fit goes to quarantine with the reason, and the rest goes through.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "events",
    params(EventsQuery),
    request_body(content(
        (EventsDoc = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, body = EventsAnswer),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn send(
    State(app): State<Arc<App>>,
    Asked(asked): Asked<EventsQuery>,
    headers: HeaderMap,
    request: Body,
) -> std::result::Result<Json<EventsAnswer>, Refused> {
    let scene = app.scene(query::named(asked.scene.as_deref(), &headers)?)?;
    let origin = query::origin(asked.origin.as_deref())?;
    let wait_us = asked.wait_ms.map(asked::wait_us).transpose()?;
    let media = body::media(&headers)?;
    let held = body::read(&app, &headers, request).await?;
    let listed = asked.outcomes.unwrap_or(match media {
        Media::Json => Listed::All,
        Media::Ndjson => Listed::Quarantined,
    });
    let mut batch = Batch::new(&app, &scene, origin, listed, asked.wait_ms.is_some());
    match media {
        Media::Ndjson => lines(&mut batch, &held.bytes).await?,
        Media::Json => json(&mut batch, &held.bytes).await?,
    }
    app.metrics.inputs(batch.taken);
    Ok(Json(batch.answer(wait_us).await?))
}

async fn lines<'a>(batch: &mut Batch<'a>, bytes: &'a [u8]) -> Result<()> {
    let lines = || {
        bytes
            .split(|b| *b == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|l| !l.is_empty())
    };
    let count = lines().take(EVENTS_PER_REQUEST_MAX + 1).count();
    limit(count)?;
    for line in lines() {
        batch.add(incoming::line(line), line.len()).await?;
    }
    batch.close().await
}

async fn json<'a>(batch: &mut Batch<'a>, bytes: &'a [u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Problem::new(
            "not_utf8",
            format!(
                "byte {} of the body is not UTF-8; send UTF-8",
                e.valid_up_to()
            ),
        )
    })?;
    if text.trim_ascii().is_empty() {
        return Err(body::empty());
    }
    if text.trim_ascii_start().starts_with('[') {
        let elements: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|e| body::json_fault(&e, bytes))?;
        limit(elements.len())?;
        for (index, element) in elements.into_iter().enumerate() {
            // Columns are counted within the element, so it is said which one it is.
            let input = incoming::event(element.get()).map_err(|unreadable| Unreadable {
                reason: format!("element {index} (from 0): {}", unreadable.reason),
                ..unreadable
            });
            batch.add(input, element.get().len()).await?;
        }
        return batch.close().await;
    }
    // One event: JSON that cannot be read, or too much of it, is a refusal of the whole request.
    let one: &RawValue = serde_json::from_str(text).map_err(|e| body::json_fault(&e, bytes))?;
    if one.get().len() > EVENT_BYTES_MAX {
        let reason = incoming::too_large(one.get()).reason;
        return Err(Problem::limit(
            "event_too_large",
            reason,
            EVENT_BYTES_MAX as u64,
        ));
    }
    batch
        .add(incoming::event(one.get()), one.get().len())
        .await?;
    batch.close().await
}

fn limit(count: usize) -> Result<()> {
    if count > EVENTS_PER_REQUEST_MAX {
        return Err(Problem::limit(
            "batch_too_large",
            format!(
                "the request holds more than {EVENTS_PER_REQUEST_MAX} events; send it in several requests"
            ),
            EVENTS_PER_REQUEST_MAX as u64,
        ));
    }
    Ok(())
}

/// Inputs on their way to the engine, a chunk at a time.
struct Batch<'a> {
    app: &'a App,
    scene: &'a str,
    origin: Origin,
    listed: Listed,
    keep: bool,
    chunk: Vec<Input<'a>>,
    chunk_bytes: usize,
    taken: usize,
    token: PositionToken,
    receipts: Vec<IngestReceipt>,
    answer: EventsAnswer,
}

impl<'a> Batch<'a> {
    fn new(app: &'a App, scene: &'a str, origin: Origin, listed: Listed, keep: bool) -> Self {
        Self {
            app,
            scene,
            origin,
            listed,
            keep,
            chunk: Vec::new(),
            chunk_bytes: 0,
            taken: 0,
            token: PositionToken::default(),
            receipts: Vec::new(),
            answer: EventsAnswer::default(),
        }
    }

    async fn add(&mut self, input: Input<'a>, bytes: usize) -> Result<()> {
        self.chunk.push(input);
        self.chunk_bytes += bytes;
        if self.chunk.len() >= EVENTS_PER_CHUNK || self.chunk_bytes >= BYTES_PER_CHUNK {
            self.close().await?;
        }
        Ok(())
    }

    /// Hands the chunk to the engine.
    async fn close(&mut self) -> Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.chunk_bytes = 0;
        let chunk = std::mem::take(&mut self.chunk);
        let begun = Instant::now();
        let taken = (self.app.engine)
            .ingest(self.scene, self.origin, &chunk)
            .await;
        self.app.metrics.intake(begun.elapsed());
        let receipt = match taken {
            Ok(receipt) => receipt,
            Err(refusal) => {
                // What came before stands; the caller may send the rest, or all of it again: ids are taken once.
                return Err(Box::<Problem>::from(refusal)
                    .with("inputs_taken", self.taken)
                    .with("accepted", self.answer.accepted)
                    .with("quarantined", self.answer.quarantined)
                    .with("position", self.token.to_string()));
            }
        };
        self.answer.accepted += receipt.accepted;
        self.answer.quarantined += receipt.quarantined;
        for (partition, position) in &receipt.token.0 {
            self.token.include(*partition, *position);
        }
        if receipt.quarantined > 0 {
            for outcome in &receipt.outcomes {
                if let Outcome::Quarantined { code, .. } = outcome {
                    self.app.metrics.quarantined(code);
                }
            }
        }
        let count = receipt.outcomes.len();
        if self.listed == Listed::All || receipt.quarantined > 0 {
            let first = self.taken;
            let outcomes = receipt.outcomes.iter().enumerate();
            let shown = outcomes.filter(|(_, o)| {
                self.listed == Listed::All || matches!(o, Outcome::Quarantined { .. })
            });
            self.answer
                .outcomes
                .extend(shown.map(|(i, o)| EventOutcome::new(first + i, o.clone())));
        }
        self.taken += count;
        if self.keep {
            self.receipts.push(receipt);
        }
        Ok(())
    }

    async fn answer(mut self, wait_us: Option<i64>) -> Result<EventsAnswer> {
        self.answer.position = self.token.to_string();
        if let Some(wait_us) = wait_us {
            // The events are durable whether they were folded in time or not, so a wait that ends early is no refusal.
            if self.app.engine.wait_for(&self.token, wait_us).await.is_ok() {
                self.answer.duplicates = Some(
                    self.receipts
                        .iter()
                        .map(|r| self.app.engine.duplicates(r))
                        .sum(),
                );
            }
        }
        Ok(self.answer)
    }
}
