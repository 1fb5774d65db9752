//! What senders write: JSON lines and elements to inputs of the engine, as the server parses them.

use crate::incoming;
use luopan_engine::api::{EVENT_BYTES_MAX, Input};

/// A line of `POST /v1/events`, and the same text as an element of an array.
pub(crate) fn event(bytes: &[u8]) -> bool {
    let is_read = look(&incoming::line(bytes), bytes.len());
    match std::str::from_utf8(bytes) {
        Ok(text) => look(&incoming::event(text), bytes.len()) || is_read,
        Err(_) => is_read,
    }
}

fn look(input: &Input<'_>, bytes: usize) -> bool {
    match input {
        Ok(event) => {
            assert!(event.raw.len() <= bytes, "more is kept than came");
            let owned = incoming::kept(event.clone());
            assert_eq!(owned, *event);
        }
        Err(refused) => {
            assert!(!refused.code.is_empty() && !refused.reason.is_empty());
            assert!(refused.raw.len() <= EVENT_BYTES_MAX.max(bytes * 3));
            // What cannot be shown is not carried on in full.
            assert!(refused.reason.len() < 4_096, "{}", refused.reason.len());
        }
    }
    input.is_ok()
}
