//! Request bodies: read whole, within the named limits, unpacked when they come gzipped, and parsed from JSON with a clear
//! word about what does not fit. Nothing here knows what a request means.

use super::App;
use crate::incoming::said;
use crate::limits::{BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_TIME_MAX};
use crate::problem::{Problem, Result};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::io::Read;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body and its share of the bytes that may be held at once.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _share: Share,
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

/// The share of the bytes that may be held at once, taken as bytes arrive: a caller that only announces many keeps nobody
/// else out.
struct Share {
    bodies: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Share {
    fn new(bodies: &Arc<Semaphore>) -> Self {
        Self {
            bodies: bodies.clone(),
            permit: None,
            bytes: 0,
        }
    }

    /// Takes room for a body of `bytes` in all.
    fn grow(&mut self, bytes: usize) -> Result<()> {
        if bytes > BODY_BYTES_MAX {
            return Err(too_large());
        }
        let more = bytes
            .div_ceil(SHARE_BYTES)
            .saturating_sub(self.bytes.div_ceil(SHARE_BYTES));
        self.bytes = self.bytes.max(bytes);
        if more == 0 {
            return Ok(());
        }
        let permits = u32::try_from(more).unwrap_or(u32::MAX);
        let taken = self.bodies.clone().try_acquire_many_owned(permits).map_err(|_| {
            Problem::limit(
                "too_many_requests",
                format!(
                    "request bodies that are worked on now fill the {BODIES_BYTES_MAX} bytes kept for them; try again in a moment"
                ),
                BODIES_BYTES_MAX as u64,
            )
        })?;
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            none => *none = Some(taken),
        }
        Ok(())
    }
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
    let mut share = Share::new(&app.bodies);
    let arriving = tokio::time::timeout(BODY_TIME_MAX, whole(body, announced, &mut share));
    let mut bytes = arriving.await.map_err(|_| {
        Problem::limit(
            "body_too_slow",
            format!(
                "the body did not arrive within {} seconds",
                BODY_TIME_MAX.as_secs()
            ),
            BODY_TIME_MAX.as_secs(),
        )
    })??;
    if gzip {
        // Unpacking is work of the processor alone and would hold up everybody on this thread.
        let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes, share)).await;
        (bytes, share) = unpacked
            .map_err(|e| Problem::internal(format!("unpacking the body failed: {e}")))??;
    }
    // Some programs write a byte-order mark before UTF-8; it means nothing.
    if bytes.starts_with(UTF8_MARK) {
        bytes.advance(UTF8_MARK.len());
    }
    Ok(Held {
        bytes,
        _share: share,
    })
}

const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

async fn whole(body: Body, announced: Option<usize>, share: &mut Share) -> Result<Bytes> {
    let mut arriving = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(part) = arriving.next().await {
        let part = part
            .map_err(|e| Problem::new("malformed_request", format!("the body ended early: {e}")))?;
        share.grow(share.bytes + part.len())?;
        match &mut rest {
            None if first.is_empty() => first = part,
            None => {
                let mut all = BytesMut::with_capacity(
                    announced.unwrap_or_default().max(first.len() + part.len()),
                );
                all.extend_from_slice(&first);
                all.extend_from_slice(&part);
                rest = Some(all);
            }
            Some(all) => all.extend_from_slice(&part),
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
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

fn unpack(packed: &[u8], mut share: Share) -> Result<(Bytes, Share)> {
    let mut reader = flate2::read::MultiGzDecoder::new(packed);
    let mut out = Vec::with_capacity(packed.len());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = reader.read(&mut buffer).map_err(|e| {
            Problem::new(
                "body_not_gzip",
                format!("the body is announced as gzip and cannot be unpacked: {e}"),
            )
        })?;
        if n == 0 {
            return Ok((Bytes::from(out), share));
        }
        share.grow(out.len() + n)?;
        out.extend_from_slice(&buffer[..n]);
    }
}

/// The media type of the body; absent, it is JSON.
pub(super) fn media(headers: &HeaderMap) -> Result<Media> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Media::Json);
    };
    let given = given.to_str().unwrap_or("?");
    let mut parts = given.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        let utf8 = ["utf-8", "utf8", "us-ascii"]
            .iter()
            .any(|c| c.eq_ignore_ascii_case(value));
        if name.trim().eq_ignore_ascii_case("charset") && !utf8 {
            return Err(Problem::new(
                "unsupported_media_type",
                format!(
                    "charset `{value}` is not read here; send UTF-8, or import a file with `luopan import`"
                ),
            ));
        }
    }
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
    if bytes.trim_ascii().is_empty() {
        return Err(empty());
    }
    // An array would be read as the members in their order.
    if bytes.trim_ascii_start().starts_with(b"[")
        && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    {
        return Err(Problem::new(
            "malformed_request",
            "found an array; this route takes an object, and GET /openapi.json holds its shape",
        ));
    }
    serde_json::from_slice(bytes).map_err(|e| {
        let mut problem = json_fault(&e, bytes);
        // The parser does not say which member is at fault; reading it again does.
        let mut again = serde_json::Deserializer::from_slice(bytes);
        if let Err(at) = serde_path_to_error::deserialize::<_, T>(&mut again)
            && !matches!(at.path().to_string().as_str(), "." | "?")
        {
            problem.detail = format!("`{}`: {}", at.path(), problem.detail);
        }
        problem
    })
}

/// There is nothing to read.
pub(super) fn empty() -> Box<Problem> {
    Problem::new(
        "malformed_json",
        "the body is empty; send JSON, as GET /openapi.json describes it",
    )
    .with("line", 1)
    .with("column", 0)
}

/// Says what is wrong with JSON.
pub(super) fn json_fault(error: &serde_json::Error, bytes: &[u8]) -> Box<Problem> {
    let word = if error.is_data() {
        "malformed_request"
    } else {
        "malformed_json"
    };
    Problem::new(word, said(error, &String::from_utf8_lossy(bytes)))
        .with("line", error.line())
        .with("column", error.column())
}
