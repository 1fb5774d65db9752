//! Query parameters with a clear word about what does not fit, and the scene a request names.

use crate::incoming::plain;
use crate::problem::{Problem, Refused, Result};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::HeaderMap;
use axum::http::request;
use luopan_kernel::event::Origin;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Query parameters of the shape of `T`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(
        parts: &mut request::Parts,
        _: &S,
    ) -> std::result::Result<Self, Refused> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Refused(Problem::new(
                "malformed_request",
                format!("the query is not right: {}", words(&rejection.body_text())),
            ))),
        }
    }
}

/// What is wrong with a query, without the parser's own words.
fn words(said: &str) -> String {
    let said = said
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(said);
    match said.split_once(": ") {
        Some((name, fault)) if !name.contains(' ') => format!("`{name}`: {}", plain(fault)),
        _ => plain(said),
    }
}

/// `?scene=`.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SceneQuery {
    /// Scene; may be left out when only one is applied. The header `X-Luopan-Scene` says the same.
    pub(super) scene: Option<String>,
}

/// The scene named by the query or else by the header `X-Luopan-Scene`.
pub(super) fn named<'a>(query: Option<&'a str>, headers: &'a HeaderMap) -> Result<Option<&'a str>> {
    let header = headers
        .get("x-luopan-scene")
        .map(|v| {
            v.to_str().map_err(|_| {
                Problem::new(
                    "malformed_request",
                    "the header `X-Luopan-Scene` is not text",
                )
            })
        })
        .transpose()?;
    match (query, header) {
        (Some(q), Some(h)) if q != h => Err(Problem::new(
            "malformed_request",
            format!("the query names scene `{q}` and the header `{h}`; name one"),
        )),
        (q, h) => Ok(q.or(h)),
    }
}

/// The scene that the body names, when it does; the query or header must not name another.
pub(super) fn agreed<'a>(
    body: Option<&'a str>,
    beside: Option<&'a str>,
) -> Result<Option<&'a str>> {
    match (body, beside) {
        (Some(b), Some(q)) if b != q => Err(Problem::new(
            "malformed_request",
            format!("the body names scene `{b}`, the query or header `{q}`; name one"),
        )),
        (b, q) => Ok(b.or(q)),
    }
}

/// The origin written as its word; absent, it is live.
pub(super) fn origin(word: Option<&str>) -> Result<Origin> {
    let Some(word) = word else {
        return Ok(Origin::Live);
    };
    crate::answer::origin(word).ok_or_else(|| {
        Problem::new(
            "malformed_request",
            format!("`{word}` is no origin; write `live`, `import`, `simulated` or `dry_run`"),
        )
    })
}

/// The parameters of a path that has several.
#[derive(Debug)]
pub(super) struct Parts<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Parts<T> {
    type Rejection = Refused;

    async fn from_request_parts(
        parts: &mut request::Parts,
        state: &S,
    ) -> std::result::Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(found)) => Ok(Self(found)),
            Err(rejection) => Err(Refused(Problem::new(
                "malformed_request",
                format!("the path is not right: {}", rejection.body_text()),
            ))),
        }
    }
}

/// The one parameter of a path.
#[derive(Debug)]
pub(super) struct Part(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Refused;

    async fn from_request_parts(
        parts: &mut request::Parts,
        state: &S,
    ) -> std::result::Result<Self, Refused> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(part)) => Ok(Self(part)),
            Err(rejection) => Err(Refused(Problem::new(
                "malformed_request",
                format!("the path is not right: {}", rejection.body_text()),
            ))),
        }
    }
}
