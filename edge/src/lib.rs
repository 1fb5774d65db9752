//! The kernel behind a byte interface, for phones, pages and every other host that can run wasm: a JSON request goes in as
//! bytes, a JSON answer comes out as bytes, and the same request gives the same bytes on every target.
//!
//! This room only carries: it must hold no rule of its own, keep nothing between two calls, and touch no clock, disk or
//! network. What it answers is what the kernel answers.
//!
//! A request is an object with `op` and the fields of that operation. The answer is `{"ok":...}`, or
//! `{"error":{"code":...,"message":...}}` with a stable code. See `conformance/README.md` for the cases that every host runs.
//!
//! | op | asks | kernel |
//! |---|---|---|
//! | `semantics` | the number of the kernel's meaning | [`luopan_kernel::SEMANTICS`] |
//! | `fold` | a profile after some events | [`luopan_kernel::fold::fold`] |
//! | `slots` | what linked profiles show at a moment | [`luopan_kernel::slots::CustomerSlots`] |
//! | `segments` | which segments a customer is in, and until when | [`luopan_kernel::segment::SegmentSet`] |
//! | `rule` | the value and truth of an expression | [`luopan_kernel::rule`] |
//! | `decide` | a decision | [`luopan_kernel::decide::decide`] |
//! | `learn`, `predict` | a model after some samples, and what it expects | [`luopan_kernel::learn`] |
//! | `assign` | the variant of a unit | [`luopan_kernel::assign::assign`] |
//!
//! Profiles and models go in and out in their stored form, as hexadecimal digits, so a host can keep them without knowing
//! what is in them. Plans are JSON as the scene room compiled them; one that it would have refused may end in a trap.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

#[cfg(target_arch = "wasm32")]
pub mod abi;
mod hex;
mod ops;

/// Bytes of the largest request that is read: a profile with its plan fits many times over.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Every operation, in the order in which an error lists them.
const OPS: [&str; 9] = [
    "semantics",
    "fold",
    "slots",
    "segments",
    "rule",
    "decide",
    "learn",
    "predict",
    "assign",
];

/// Why a request was not carried out.
#[derive(Debug, Serialize)]
struct Refusal {
    /// Stable name of the fault.
    code: &'static str,
    /// What was found and what to write instead.
    message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer<T> {
    Ok(T),
    Error(Refusal),
}

/// Only the operation's name: each operation reads its own fields from the same bytes, so no number passes through a type
/// that could round it.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
}

/// Carries out one request, `request` being JSON in UTF-8 of at most [`REQUEST_BYTES_MAX`] bytes, and answers in JSON. A
/// request that cannot be carried out is answered with an error object, never with a panic.
#[must_use]
pub fn call(request: &[u8]) -> Vec<u8> {
    match carry_out(request) {
        Ok(answer) => answer,
        Err(refusal) => written(&Answer::<()>::Error(refusal)),
    }
}

fn carry_out(request: &[u8]) -> Result<Vec<u8>, Refusal> {
    if request.len() > REQUEST_BYTES_MAX {
        return Err(Refusal {
            code: "request_too_large",
            message: format!(
                "the request has {} bytes: at most {REQUEST_BYTES_MAX} are read",
                request.len()
            ),
        });
    }
    let named: Named<'_> = read(request)?;
    match named.op.as_ref() {
        "semantics" => answered(ops::semantics(read(request)?)),
        "fold" => answered(ops::fold(read(request)?)?),
        "slots" => answered(ops::slots(read(request)?)?),
        "segments" => answered(ops::segments(read(request)?)?),
        "rule" => answered(ops::rule(&read(request)?)),
        "decide" => answered(ops::decide(read(request)?)?),
        "learn" => answered(ops::learn(&read(request)?)?),
        "predict" => answered(ops::predict(&read(request)?)?),
        "assign" => answered(ops::assign(&read(request)?)?),
        unknown => Err(Refusal::new(
            "unknown_op",
            format!("no op is called {unknown:?}: there are {}", OPS.join(", ")),
        )),
    }
}

fn answered<T: Serialize>(answer: T) -> Result<Vec<u8>, Refusal> {
    Ok(written(&Answer::Ok(answer)))
}

fn read<'a, T: Deserialize<'a>>(request: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(request).map_err(|error| Refusal {
        code: if error.is_data() {
            "bad_request"
        } else {
            "not_json"
        },
        message: error.to_string(),
    })
}

fn written<T: Serialize>(answer: &Answer<T>) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_else(|error| {
        // Reached only when a value cannot be JSON at all (a map whose keys are not strings); said, not hidden.
        serde_json::json!({ "error": { "code": "not_writable", "message": error.to_string() } })
            .to_string()
            .into_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&call(request.as_bytes())), expected);
    }

    #[test]
    fn bytes_that_are_not_json_are_refused_with_the_place() {
        check(
            "{\"op\":",
            r#"{"error":{"code":"not_json","message":"EOF while parsing a value at line 1 column 6"}}"#,
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_refused() {
        let answer = call(b"{\"op\":\"\xff\"}");
        assert!(String::from_utf8_lossy(&answer).starts_with(r#"{"error":{"code":"not_json""#));
    }

    #[test]
    fn a_request_over_the_limit_is_refused_with_the_limit() {
        let answer = call(&vec![b' '; REQUEST_BYTES_MAX + 1]);
        let expected = r#"{"error":{"code":"request_too_large","message":"the request has 4194305 bytes: at most 4194304 are read"}}"#;
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
}
