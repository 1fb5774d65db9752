//! The HTTP API: documents in and out. It turns requests into calls of the engine and answers back; nothing behind it knows
//! what a status code is, and nothing here decides anything about customers.

mod auth;
mod backups;
mod body;
mod contests;
mod customers;
mod decisions;
mod drift;
mod events;
mod health;
pub mod listen;
mod models;
mod products;
mod quarantine;
mod query;
mod ready;
mod scenes;
mod segments;
pub mod starting;

pub use backups::Backups;

use crate::codes::Code;
use crate::drift::Looks;
use crate::keys::Keys;
use crate::limits::{BODIES_BYTES_MAX, REQUESTS_MAX};
use crate::metrics::Metrics;
use crate::problem::{Problem, Result};
use crate::telemetry::traces;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Uri;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use luopan_engine::Engine;
use luopan_store::Stores;
use parking_lot::{Mutex, RwLock};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;
use tracing::field::Empty;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    engine: Arc<Engine>,
    stores: Stores,
    keys: RwLock<Keys>,
    pub(crate) metrics: Arc<Metrics>,
    metrics_keyed: bool,
    bodies: Arc<Semaphore>,
    in_flight: AtomicUsize,
    backups: OnceLock<Backups>,
    backing_up: Arc<Semaphore>,
    judging: Arc<Semaphore>,
    pub(crate) looks: Arc<Looks>,
    /// Inputs in quarantine, and when they were counted.
    quarantine: Mutex<Option<(Instant, usize)>>,
}

/// How often figures that nobody asks for are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

impl App {
    /// A server over an open engine. `metrics_keyed`: `/metrics` wants an API key too.
    ///
    /// # Errors
    /// The control plane's, while the API keys are read.
    pub async fn new(
        engine: Arc<Engine>,
        stores: Stores,
        metrics_keyed: bool,
    ) -> Result<Arc<Self>> {
        let metrics = Arc::new(Metrics::new(None).map_err(Problem::internal)?);
        Self::with(engine, stores, metrics, metrics_keyed).await
    }

    /// As [`App::new`], with figures that the stores note theirs in too ([`crate::watched`]).
    ///
    /// # Errors
    /// As [`App::new`].
    pub async fn with(
        engine: Arc<Engine>,
        stores: Stores,
        metrics: Arc<Metrics>,
        metrics_keyed: bool,
    ) -> Result<Arc<Self>> {
        let keys = RwLock::new(Keys::new(stores.control.api_keys().await?));
        // It ends soon after the figures are dropped.
        let noted = Arc::downgrade(&metrics);
        tokio::spawn(async move {
            while let Some(metrics) = noted.upgrade() {
                metrics.upkeep();
                drop(metrics);
                tokio::time::sleep(UPKEEP).await;
            }
        });
        Ok(Arc::new(Self {
            engine,
            stores,
            keys,
            metrics,
            metrics_keyed,
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX / body::SHARE_BYTES)),
            in_flight: AtomicUsize::new(0),
            backups: OnceLock::new(),
            backing_up: Arc::new(Semaphore::new(1)),
            judging: Arc::new(Semaphore::new(1)),
            looks: Arc::default(),
            quarantine: Mutex::default(),
        }))
    }

    /// Lets callers take backups. What was said first stays.
    pub fn allow_backups(&self, backups: Backups) {
        let _ = self.backups.set(backups);
    }

    /// Reads the API keys again: of several nodes another one may have made or removed some.
    ///
    /// # Errors
    /// The control plane's.
    pub async fn read_keys(&self) -> Result<()> {
        let keys = self.stores.control.api_keys().await?;
        *self.keys.write() = Keys::new(keys);
        Ok(())
    }

    /// Whoever judges what was logged does so alone: each reads the log from its beginning.
    fn judging(&self) -> std::result::Result<OwnedSemaphorePermit, Box<Problem>> {
        Arc::clone(&self.judging).try_acquire_owned().map_err(|_| {
            Problem::new(
                "judging",
                "another contest or version is being judged; one is judged at a time, wait until it is answered",
            )
        })
    }

    /// The scene a request is about: as named, else the only one there is.
    fn scene(&self, named: Option<&str>) -> Result<String> {
        if let Some(name) = named {
            return Ok(name.to_owned());
        }
        let mut scenes = self.engine.scenes();
        if scenes.len() == 1 {
            return Ok(scenes.remove(0).name);
        }
        let names: Vec<&str> = scenes.iter().map(|s| s.name.as_str()).collect();
        let detail = if names.is_empty() {
            "no scene is applied; apply one with `luopan scene apply PATH`".to_owned()
        } else {
            format!(
                "several scenes are applied; name one of them with `?scene=` or the header `X-Luopan-Scene`: {}",
                names.join(", ")
            )
        };
        Err(Problem::new("scene_wanted", detail))
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Luopan",
        description = "Events in, decisions out. Refusals are problem documents (RFC 9457) with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "http://127.0.0.1:7700")),
    security(("api_key" = [])),
    components(schemas(Problem)),
    modifiers(&Scheme)
)]
struct Api;

struct Scheme;

impl utoipa::Modify for Scheme {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "API key, made at first start or with `luopan key create NAME`",
            ))
            .build();
        api.components
            .get_or_insert_with(Default::default)
            .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Routes and their description are one thing, so that neither can forget the other.
fn routes() -> (OpenApiRouter<Arc<App>>, OpenApiRouter<Arc<App>>) {
    let open = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(ready::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::openapi));
    let keyed = OpenApiRouter::new()
        .routes(routes!(events::send))
        .routes(routes!(decisions::decide))
        .routes(routes!(decisions::get))
        .routes(routes!(decisions::explain))
        .routes(routes!(decisions::contributions))
        .routes(routes!(customers::get))
        .routes(routes!(customers::link))
        .routes(routes!(customers::unlink))
        .routes(routes!(segments::list))
        .routes(routes!(segments::members))
        .routes(routes!(segments::count))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::retry))
        .routes(routes!(scenes::list))
        .routes(routes!(models::list))
        .routes(routes!(models::promote))
        .routes(routes!(models::rollback))
        .routes(routes!(models::challenge))
        .routes(routes!(contests::get))
        .routes(routes!(drift::list))
        .routes(routes!(products::list))
        .routes(routes!(products::get))
        .routes(routes!(products::send))
        .routes(routes!(backups::take));
    (open, keyed)
}

/// The description of the API, as `luopan openapi` prints it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (open, keyed) = routes();
    open.merge(keyed).into_openapi()
}

/// The description as JSON text, ending with a line break.
#[must_use]
pub fn openapi_json() -> String {
    // The description holds only text and lists; writing it cannot fail.
    openapi().to_pretty_json().unwrap_or_default() + "\n"
}

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    let (open, keyed) = routes();
    let (open, _) = open.split_for_parts();
    let (keyed, _) = keyed.split_for_parts();
    let keyed = keyed.route_layer(middleware::from_fn_with_state(app.clone(), auth::door));
    open.merge(keyed)
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app)
}

async fn unknown_route(uri: Uri) -> Problem {
    let path = crate::incoming::cut(uri.path(), 200);
    *Problem::new(
        "unknown_route",
        format!("there is nothing at `{path}`; GET /openapi.json lists what there is"),
    )
}

async fn method_not_allowed(request: Request) -> Problem {
    *Problem::new(
        "method_not_allowed",
        format!(
            "`{}` is not allowed at `{}`; GET /openapi.json lists what is",
            request.method(),
            crate::incoming::cut(request.uri().path(), 200)
        ),
    )
}

/// Lets a request go when its limit allows, turns a panic into an answer, and notes how long it took.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    struct Flight<'a>(&'a AtomicUsize);
    impl Drop for Flight<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let before = app.in_flight.fetch_add(1, Ordering::Relaxed);
    let _flight = Flight(&app.in_flight);
    if before >= REQUESTS_MAX {
        app.metrics.refused("too_many_requests");
        return Problem::limit(
            "too_many_requests",
            format!("{REQUESTS_MAX} requests are worked on now; try again in a moment"),
            REQUESTS_MAX as u64,
        )
        .into_response();
    }
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::debug_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = Empty,
        luopan.code = Empty,
    );
    traces::follow(&span, request.headers());
    let work = next.run(request).instrument(span.clone());
    let answer = AssertUnwindSafe(work).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!(route, "a request ended with a panic");
        Problem::internal("working on the request stopped").into_response()
    });
    let took = started.elapsed();
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let code = response.extensions().get::<&'static Code>().copied();
    if let Some(code) = code {
        span.record("luopan.code", code.word);
        app.metrics.refused(code.word);
    }
    app.metrics.request(method.as_str(), route, status, took);
    let told = traces::told(&span);
    tracing::debug!(
        %method,
        route,
        status,
        code = code.map(|c| c.word),
        took_us = took.as_micros() as u64,
        trace = told.as_ref().and_then(|t| t.to_str().ok()),
        "request"
    );
    if let Some(told) = told {
        response.headers_mut().insert("traceresponse", told);
    }
    response
}
