//! What is answered before the service is there: opening a large data folder takes its time, and whoever watches the process must
//! not take that for death. `/healthz` says up, everything else that it is not ready yet.

use super::ready::{Condition, not_ready};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::{Arc, OnceLock};
use tower::ServiceExt;

/// A service that comes later.
#[derive(Debug, Clone, Default)]
pub struct Later(Arc<OnceLock<Router>>);

impl Later {
    /// From now on requests go to `service`. Only the first call counts.
    pub fn set(&self, service: Router) {
        // It was set before: then it stays.
        let _ = self.0.set(service);
    }

    /// Answers for the service until it is there, and hands everything on from then on.
    pub fn router(&self) -> Router {
        let later = self.clone();
        Router::new().fallback(move |request: Request| async move {
            match later.0.get() {
                Some(service) => match service.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
                None => waiting(&request),
            }
        })
    }
}

fn waiting(request: &Request) -> Response {
    if request.uri().path() == "/healthz" {
        let up = json!({ "status": "up", "version": env!("CARGO_PKG_VERSION") });
        return axum::Json(up).into_response();
    }
    let what = "the stores are being opened and what was left to do is being done";
    not_ready(vec![Condition::new("starting", what)]).into_response()
}
