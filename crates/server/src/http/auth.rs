//! The door: everything under `/v1/` wants an API key as `Authorization: Bearer KEY`. Nothing behind it looks at keys.

use super::App;
use crate::problem::{Problem, Result};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Name of the key a request came with; the audit says who did what by it.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) String);

/// The caller behind the headers.
pub(super) fn caller(app: &App, headers: &HeaderMap) -> Result<Caller> {
    let refused = |detail: &str| Err(Problem::new("api_key_wanted", detail));
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return refused(
            "send the header `Authorization: Bearer KEY`; the first key is in the file `api-key` of the data folder",
        );
    };
    let Some(secret) = given.to_str().ok().and_then(|v| {
        let (scheme, secret) = v.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(secret.trim())
    }) else {
        return refused("the authorization is not of the form `Bearer KEY`");
    };
    match app.keys.read().name(secret) {
        Some(name) => Ok(Caller(name.to_owned())),
        None => refused("the key opens nothing here; keys are made with `luopan key create NAME`"),
    }
}

/// Lets requests with a key through.
pub(super) async fn door(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&app, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
