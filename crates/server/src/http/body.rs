//! Request bodies: read whole, within the named limits, unpacked when they come gzipped, and parsed from JSON with a clear
//! word about what does not fit. Nothing here knows what a request means.

use super::App;
use crate::limits::{BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_TIME_MAX};
use crate::problem::{Problem, Result};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::io::Read;
use tokio::sync::OwnedSemaphorePermit;

/// A body and its share of the bytes that may be held at once.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

/// What a body says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Ndjson,
}

/// One permit of the body semaphore stands for this many bytes.
pub(super) const SHARE_BYTES: usize = 1024;

fn too_large() -> Box<Problem> {
    Problem::limit(
        "body_too_large",
        format!("the body has more than {BODY_BYTES_MAX} bytes; send it in several requests"),
        BODY_BYTES_MAX as u64,
    )
}

/// Reads the body whole.
pub(super) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Held> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|n| n > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let gzip = is_gzip(headers)?;
    let bytes = if gzip {
        BODY_BYTES_MAX
    } else {
        announced.unwrap_or(BODY_BYTES_MAX)
    };
    let permits = u32::try_from(bytes.div_ceil(SHARE_BYTES)).unwrap_or(u32::MAX);
    let share = app.bodies.clone().try_acquire_many_owned(permits).map_err(|_| {
        Problem::limit(
            "too_many_requests",
            format!("request bodies that are worked on now fill the {BODIES_BYTES_MAX} bytes kept for them; try again in a moment"),
            BODIES_BYTES_MAX as u64,
        )
    })?;
    let read = axum::body::to_bytes(body, BODY_BYTES_MAX);
    let bytes = match tokio::time::timeout(BODY_TIME_MAX, read).await {
        Err(_) => {
            return Err(Problem::limit(
                "body_too_slow",
                format!(
                    "the body did not arrive within {} seconds",
                    BODY_TIME_MAX.as_secs()
                ),
                BODY_TIME_MAX.as_secs(),
            ));
        }
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            // The limit and a broken connection come as one type; only the first has a caller left to tell.
            let error = error.into_inner();
            let over = error.to_string().contains("length limit");
            return Err(if over {
                too_large()
            } else {
                Problem::new(
                    "malformed_request",
                    format!("the body ended early: {error}"),
                )
            });
        }
    };
    let bytes = if gzip { unpack(&bytes)? } else { bytes };
    Ok(Held {
        bytes,
        _share: share,
    })
}

fn is_gzip(headers: &HeaderMap) -> Result<bool> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(|v| v.to_str().unwrap_or("?"))
    {
        None | Some("identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(other) => Err(Problem::new(
            "unsupported_media_type",
            format!("content encoding `{other}` is not read here; send `gzip` or none"),
        )),
    }
}

fn unpack(bytes: &[u8]) -> Result<Bytes> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(BODY_BYTES_MAX));
    flate2::read::MultiGzDecoder::new(bytes)
        .take(BODY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|e| {
            Problem::new(
                "body_not_gzip",
                format!("the body is announced as gzip and cannot be unpacked: {e}"),
            )
        })?;
    if out.len() > BODY_BYTES_MAX {
        return Err(too_large());
    }
    Ok(Bytes::from(out))
}

/// The media type of the body; absent, it is JSON.
pub(super) fn media(headers: &HeaderMap) -> Result<Media> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Media::Json);
    };
    let given = given.to_str().unwrap_or("?");
    let essence = given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(Media::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Media::Ndjson),
        _ => Err(Problem::new(
            "unsupported_media_type",
            format!(
                "media type `{given}` is not read here; send `application/json` or, to /v1/events, `application/x-ndjson`"
            ),
        )),
    }
}

/// The body as JSON of the shape of `T`.
pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T> {
    if media(headers)? != Media::Json {
        return Err(Problem::new(
            "unsupported_media_type",
            "lines of JSON are read at /v1/events only; send `application/json`",
        ));
    }
    serde_json::from_slice(bytes).map_err(|e| json_fault(&e))
}

/// Says what is wrong with JSON.
pub(super) fn json_fault(error: &serde_json::Error) -> Box<Problem> {
    let word = if error.is_data() {
        "malformed_request"
    } else {
        "malformed_json"
    };
    Problem::new(word, error.to_string())
        .with("line", error.line())
        .with("column", error.column())
}
