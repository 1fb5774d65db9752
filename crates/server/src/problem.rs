//! Problem documents (RFC 9457): the one form in which this program refuses, over HTTP and on the command line alike. A
//! problem says what was found and what to write instead; it never carries personal data beyond what the caller sent.

use crate::codes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use luopan_engine::api::{Refusal, RefusalKind};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;

/// Seconds after which a caller who met a limit may try again.
pub const RETRY_AFTER_S: u32 = 1;

/// A refusal.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Link to the page of the code.
    #[serde(rename = "type")]
    pub link: String,
    /// What happened, in a few words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was found and what to write instead.
    pub detail: String,
    /// Stable code.
    pub code: String,
    /// Further members, by name: limits, what was already taken.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub members: Map<String, Value>,
}

/// Result of a call that may be refused.
pub type Result<T> = std::result::Result<T, Box<Problem>>;

impl Problem {
    /// A problem with the status and title of its code.
    #[must_use]
    pub fn new(word: &str, detail: impl Into<String>) -> Box<Self> {
        let known = codes::find(word);
        Box::new(Self {
            link: codes::page(word),
            title: known.map_or_else(|| word.replace('_', " "), |c| c.title.to_owned()),
            status: known.map_or(500, |c| c.status),
            detail: detail.into(),
            code: word.to_owned(),
            members: Map::new(),
        })
    }

    /// The same problem with one more member.
    #[must_use]
    pub fn with(mut self: Box<Self>, name: &str, value: impl Into<Value>) -> Box<Self> {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// A named limit was passed.
    #[must_use]
    pub fn limit(word: &str, detail: impl Into<String>, limit: u64) -> Box<Self> {
        Self::new(word, detail).with("limit", limit)
    }

    /// A fault of this program: `what` says what was tried.
    #[must_use]
    pub fn internal(what: impl fmt::Display) -> Box<Self> {
        Self::new(
            "internal",
            format!("{what}; this is a fault of the program, please report it"),
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail)
    }
}

impl std::error::Error for Problem {}

/// HTTP status of each kind of refusal.
fn status(kind: RefusalKind) -> u16 {
    match kind {
        RefusalKind::NotFound => 404,
        RefusalKind::Conflict => 409,
        RefusalKind::TooLarge => 413,
        RefusalKind::Invalid => 422,
        RefusalKind::Busy => 429,
        RefusalKind::Timeout | RefusalKind::Unavailable => 503,
    }
}

impl From<Refusal> for Box<Problem> {
    fn from(refusal: Refusal) -> Self {
        let mut problem = Problem::new(refusal.code, refusal.message);
        problem.status = status(refusal.kind);
        problem
    }
}

impl From<luopan_store::Error> for Box<Problem> {
    fn from(error: luopan_store::Error) -> Self {
        match error {
            luopan_store::Error::InUse(_) => Problem::new("data_in_use", error.to_string()),
            luopan_store::Error::Truncated { .. } => {
                Problem::new("log_truncated", error.to_string())
            }
            _ => Problem::new("data_unusable", error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(self.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(code) = codes::find(&self.code) {
            response.extensions_mut().insert(code);
        }
        response
    }
}

/// A boxed problem as an answer: `Result<_, Refused>` is what handlers return.
#[derive(Debug)]
pub struct Refused(pub Box<Problem>);

impl<T: Into<Box<Problem>>> From<T> for Refused {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_stands_beside_the_other_members() {
        let problem = Problem::limit("body_too_large", "the body is over 3 bytes", 3);
        let json = serde_json::to_value(&*problem).unwrap();
        let again = Problem::new("not_yet", "not yet").into_response();
        assert_eq!(again.headers()["retry-after"], "1");
        assert_eq!(json["limit"], 3);
        assert_eq!(json["status"], 413);
        assert!(
            json["type"]
                .as_str()
                .unwrap()
                .ends_with("docs/errors/body_too_large.md")
        );
    }
}
