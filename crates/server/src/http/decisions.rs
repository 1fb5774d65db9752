//! `/v1/decisions`: asking for decisions, reading them back, and explaining them.

use super::App;
use super::body;
use super::query::{self, Asked, Part, SceneQuery};
use crate::answer::{Contributed, Decision, Explained, Recorded};
use crate::asked::DecisionBody;
use crate::limits::DECISIONS_PER_REQUEST_MAX;
use crate::problem::{Problem, Refused, Result};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use luopan_engine::api::{DecideRequest, DecisionAnswer, PositionToken};
use luopan_kernel::id::DecisionId;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Many requests, decided together: one read and one durable commit.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionsBody {
    /// The requests, 1 to 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    requests: Vec<DecisionBody>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[allow(dead_code)]
#[serde(untagged)]
pub(super) enum DecideDoc {
    One(DecisionBody),
    Many(DecisionsBody),
}

/// What became of each request, in their order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DecisionsAnswer {
    /// One a request.
    answers: Vec<One>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum One {
    /// Decided, durably.
    Decided {
        /// The decision.
        decision: Box<Decision>,
    },
    /// Refused; the others stand.
    Refused {
        /// Why.
        problem: Box<Problem>,
    },
}

/// The answer to one request or to many.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(super) enum Decided {
    /// To one.
    One(Box<Decision>),
    /// To many.
    Many(DecisionsAnswer),
}

/// Decides: the answer comes when the decision is durable.
///
/// The same idempotency key gives the first decision again; with another request it is refused. The header
/// `Idempotency-Key` says the same as the member `idempotency_key`.
#[utoipa::path(
    post,
    path = "/v1/decisions",
    tag = "decisions",
    params(SceneQuery, ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 bytes")),
    request_body = DecideDoc,
    responses(
        (status = 200, body = Decided),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn decide(
    State(app): State<Arc<App>>,
    Asked(query): Asked<SceneQuery>,
    headers: HeaderMap,
    request: Body,
) -> std::result::Result<Json<Decided>, Refused> {
    #[derive(Deserialize)]
    struct Peek {
        requests: Option<IgnoredAny>,
    }
    let beside = query::named(query.scene.as_deref(), &headers)?;
    let held = body::read(&app, &headers, request).await?;
    if held.bytes.trim_ascii_start().starts_with(b"[")
        && serde_json::from_slice::<IgnoredAny>(&held.bytes).is_ok()
    {
        return Err(Problem::new(
            "malformed_request",
            "found an array; write `{\"requests\":[...]}` around many requests",
        )
        .into());
    }
    let peek: Peek = body::json(&headers, &held.bytes)?;
    let key = headers
        .get("idempotency-key")
        .map(|v| {
            v.to_str().map_err(|_| {
                Problem::new(
                    "bad_idempotency_key",
                    "the header `Idempotency-Key` is not text",
                )
            })
        })
        .transpose()?;
    if peek.requests.is_none() {
        let asked: DecisionBody = body::json(&headers, &held.bytes)?;
        let request = prepared(&app, beside, asked, key).await?;
        let scene = request.scene.clone();
        let begun = Instant::now();
        let answer = app.engine.decide(request).await;
        app.metrics.decide(begun.elapsed());
        let answer = answer?;
        return Ok(Json(Decided::One(Box::new(shown(&app, &scene, answer)))));
    }
    if key.is_some() {
        return Err(Problem::new(
            "malformed_request",
            "the header `Idempotency-Key` stands beside many requests; give each its own `idempotency_key`",
        )
        .into());
    }
    let asked: DecisionsBody = body::json(&headers, &held.bytes)?;
    many(&app, beside, asked.requests)
        .await
        .map(|answers| Json(Decided::Many(answers)))
        .map_err(Refused)
}

/// The request for the engine. `beside`: the scene that the query or a header names.
async fn prepared(
    app: &App,
    beside: Option<&str>,
    asked: DecisionBody,
    key: Option<&str>,
) -> Result<DecideRequest> {
    let scene = app.scene(query::agreed(asked.scene(), beside)?)?;
    let request = asked.request(scene, key)?;
    reachable(app, &request.at_least).await?;
    Ok(request)
}

/// How long another node's append may take to be known here.
const REACH_TIME: Duration = Duration::from_millis(500);
/// How often it is looked for meanwhile.
const REACH_PAUSE: Duration = Duration::from_millis(5);

/// Refuses positions that the log does not have: nothing has given them out, so waiting for them is of no use. What another
/// node has just given out is known here in a moment.
async fn reachable(app: &App, token: &PositionToken) -> Result<()> {
    let begun = Instant::now();
    loop {
        let known = has(app, token).await;
        if known.is_ok() || begun.elapsed() > REACH_TIME {
            return known;
        }
        tokio::time::sleep(REACH_PAUSE).await;
    }
}

async fn has(app: &App, token: &PositionToken) -> Result<()> {
    let partitions: Vec<_> = token.0.keys().copied().collect();
    if partitions.is_empty() {
        return Ok(());
    }
    let heads = app.stores.log.heads(&partitions).await?;
    for ((partition, position), head) in token.0.iter().zip(heads) {
        if *position > head {
            return Err(Problem::new(
                "malformed_request",
                format!(
                    "`at_least`: `{}:{}` lies behind the end of the log ({}); hand over the `position` of an answer of /v1/events as it came",
                    partition.0, position.0, head.0
                ),
            ));
        }
    }
    Ok(())
}

fn shown(app: &App, scene: &str, answer: DecisionAnswer) -> Decision {
    let plan = app.engine.plan(scene).ok();
    Decision::new(scene, plan.as_deref(), answer.record, answer.repeated)
}

async fn many(
    app: &App,
    beside: Option<&str>,
    asked: Vec<DecisionBody>,
) -> Result<DecisionsAnswer> {
    if asked.is_empty() || asked.len() > DECISIONS_PER_REQUEST_MAX {
        let word = if asked.is_empty() {
            "malformed_request"
        } else {
            "batch_too_large"
        };
        return Err(Problem::limit(
            word,
            format!(
                "`requests` holds {}; write 1 to {DECISIONS_PER_REQUEST_MAX}",
                asked.len()
            ),
            DECISIONS_PER_REQUEST_MAX as u64,
        ));
    }
    let mut answers: Vec<Option<One>> = Vec::new();
    let mut requests = Vec::new();
    for one in asked {
        match prepared(app, beside, one, None).await {
            Ok(request) => {
                requests.push(request);
                answers.push(None);
            }
            Err(problem) => answers.push(Some(One::Refused { problem })),
        }
    }
    // One wait for all, so that the whole request waits no longer than its longest part.
    let mut token = PositionToken::default();
    let mut wait_us = 0;
    for request in &mut requests {
        for (partition, position) in &request.at_least.0 {
            token.include(*partition, *position);
        }
        wait_us = wait_us.max(std::mem::take(&mut request.wait_us));
    }
    if !token.0.is_empty() {
        // A wait that ends early is told to those requests that it concerns, when they are decided.
        let _ = app.engine.wait_for(&token, wait_us).await;
    }
    let begun = Instant::now();
    let decided = app.engine.decide_many(&requests).await;
    app.metrics.decide(begun.elapsed());
    let mut decided = requests.iter().zip(decided);
    for answer in answers.iter_mut().filter(|a| a.is_none()) {
        *answer = decided.next().map(|(request, outcome)| match outcome {
            Ok(a) => One::Decided {
                decision: Box::new(shown(app, &request.scene, a)),
            },
            Err(refusal) => One::Refused {
                problem: refusal.into(),
            },
        });
    }
    let answers: Vec<One> = answers.into_iter().flatten().collect();
    for answer in &answers {
        if let One::Refused { problem } = answer {
            app.metrics.refused(&problem.code);
        }
    }
    Ok(DecisionsAnswer { answers })
}

fn id(text: &str) -> Result<DecisionId> {
    text.parse()
        .map_err(|e| Problem::new("bad_id", format!("{e}")))
}

/// A decision as recorded.
#[utoipa::path(
    get,
    path = "/v1/decisions/{id}",
    tag = "decisions",
    params(("id" = String, Path, description = "Decision")),
    responses(
        (status = 200, body = Recorded),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Part(text): Part,
) -> std::result::Result<Json<Recorded>, Refused> {
    let record = app.engine.decision(id(&text)?).await?;
    Ok(Json(Recorded::new(&app.engine, record)))
}

/// A decision, computed again from its record and compared with it.
#[utoipa::path(
    get,
    path = "/v1/decisions/{id}/explain",
    tag = "decisions",
    params(("id" = String, Path, description = "Decision")),
    responses(
        (status = 200, body = Explained),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Part(text): Part,
) -> std::result::Result<Json<Explained>, Refused> {
    let explanation = app.engine.explain(id(&text)?).await?;
    Ok(Json(Explained::new(&app.engine, explanation)))
}

/// Whoever takes a score apart.
static TAKING_APART: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// `?item=`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ItemQuery {
    /// Key of the item; what was chosen when left out.
    item: Option<String>,
}

/// What each thing that was known of the customer added to the score of what was chosen, against other customers.
#[utoipa::path(
    get,
    path = "/v1/decisions/{id}/contributions",
    tag = "decisions",
    params(("id" = String, Path, description = "Decision"), ItemQuery),
    responses(
        (status = 200, body = Contributed),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn contributions(
    State(app): State<Arc<App>>,
    Part(text): Part,
    Asked(asked): Asked<ItemQuery>,
) -> std::result::Result<Json<Contributed>, Refused> {
    let id = id(&text)?;
    // Tenths of a second of arithmetic: one at a time, and never on a thread that decides.
    let alone = TAKING_APART.acquire().await;
    let (engine, runtime) = (app.engine.clone(), tokio::runtime::Handle::current());
    let done = tokio::task::spawn_blocking(move || {
        runtime.block_on(engine.contributions(id, asked.item.as_deref()))
    });
    let found = (done.await)
        .map_err(|e| Problem::internal(format!("taking a score apart stopped: {e}")))?;
    drop(alone);
    Ok(Json(found?.into()))
}
