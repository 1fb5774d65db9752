//! What is read back from stores. Stored bytes are written by this program, but disks and hands change them: any bytes are read or
//! refused, and what was read is the same when it is written and read again.

use crate::jetstream::frame;
use bytes::Bytes;
use luopan_kernel::codec;
use luopan_kernel::event::{decode_message, encode_message};
use luopan_kernel::factors::Factors;
use luopan_kernel::learn::{ModelState, Sample};
use luopan_kernel::plan::ScenePlan;
use luopan_kernel::profile::Profile;
use luopan_kernel::record::DecisionRecord;
use luopan_kernel::sequence::SequenceModel;
use luopan_kernel::trees::Ensemble;
use std::fmt::Display;

/// Writes what was read, reads that, and writes it again: the bytes must be the same.
fn again<T, E: Display>(
    read: Result<T, E>,
    write: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Result<T, E>,
) -> bool {
    match read {
        Ok(first) => {
            let stored = write(&first);
            match decode(&stored) {
                Ok(second) => assert!(write(&second) == stored, "it changes when it is stored"),
                Err(e) => panic!("what was written is refused: {e}"),
            }
            true
        }
        Err(e) => {
            assert!(!e.to_string().is_empty());
            false
        }
    }
}

/// A refusal says where in the bytes.
fn placed<T>(read: codec::Result<T>, bytes: &[u8]) -> codec::Result<T> {
    if let Err(codec::Error::Short { at, .. } | codec::Error::Malformed { at, .. }) = &read {
        assert!(
            *at <= bytes.len(),
            "a fault at {at} of {} bytes",
            bytes.len()
        );
    }
    read
}

pub(crate) fn message(bytes: &[u8]) -> bool {
    match placed(decode_message(bytes), bytes) {
        Ok(entries) => {
            let stored = encode_message(&entries);
            let read = decode_message(&stored).expect("a message that was just written");
            assert!(
                encode_message(&read) == stored,
                "it changes when it is stored"
            );
            true
        }
        Err(e) => {
            assert!(!e.to_string().is_empty());
            false
        }
    }
}

pub(crate) fn profile(bytes: &[u8]) -> bool {
    again(
        placed(Profile::decode(bytes), bytes),
        Profile::encode,
        Profile::decode,
    )
}

pub(crate) fn record(bytes: &[u8]) -> bool {
    again(
        DecisionRecord::decode(bytes),
        DecisionRecord::encode,
        DecisionRecord::decode,
    )
}

pub(crate) fn sample(bytes: &[u8]) -> bool {
    again(
        placed(Sample::decode(bytes), bytes),
        Sample::encode,
        Sample::decode,
    )
}

pub(crate) fn model(bytes: &[u8]) -> bool {
    again(
        placed(ModelState::decode(bytes), bytes),
        ModelState::encode,
        ModelState::decode,
    )
}

pub(crate) fn factors(bytes: &[u8]) -> bool {
    again(
        placed(Factors::decode(bytes), bytes),
        Factors::encode,
        Factors::decode,
    )
}

pub(crate) fn trees(bytes: &[u8]) -> bool {
    again(
        placed(Ensemble::decode(bytes), bytes),
        Ensemble::encode,
        Ensemble::decode,
    )
}

pub(crate) fn sequence(bytes: &[u8]) -> bool {
    again(
        placed(SequenceModel::decode(bytes), bytes),
        SequenceModel::encode,
        SequenceModel::decode,
    )
}

pub(crate) fn plan(bytes: &[u8]) -> bool {
    again(
        ScenePlan::decode(bytes),
        ScenePlan::encode,
        ScenePlan::decode,
    )
}

/// A header's line, and the payload behind it.
fn split(bytes: &[u8]) -> (Option<&str>, &[u8]) {
    let (head, payload) = match bytes.iter().position(|b| *b == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (std::str::from_utf8(head).ok(), payload)
}

fn refused(e: &luopan_store::Error) {
    let words = e.to_string();
    assert!(words.contains("here") || words.contains("format"));
}

/// A frame: its label and its log messages.
pub(crate) fn frame(bytes: &[u8]) -> bool {
    let (head, payload) = split(bytes);
    let label = match frame::Label::decode("here", head) {
        Ok(label) => label,
        Err(e) => {
            refused(&e);
            return false;
        }
    };
    let read = frame::Label::decode("here", Some(&label.encode()));
    assert!(read.is_ok_and(|l| l.encode() == label.encode()));
    match frame::messages("here", &label, &Bytes::copy_from_slice(payload)) {
        Ok(messages) => {
            assert!(messages.len() == label.sections.len());
            for (section, messages) in label.sections.iter().zip(messages) {
                let mut parts = frame::Parts::default();
                for (count, message) in messages {
                    parts.push(count, message);
                }
                assert!(parts.entries() == section.entries);
            }
            true
        }
        Err(e) => {
            refused(&e);
            false
        }
    }
}

/// A checkpoint: what its header tells, and the heads.
pub(crate) fn checkpoint(bytes: &[u8]) -> bool {
    let (head, payload) = split(bytes);
    let told = frame::Told::decode("here", head);
    if let Ok(told) = &told {
        let read = frame::Told::decode("here", Some(&told.encode()));
        assert!(read.is_ok_and(|t| t == *told));
    }
    match frame::Checkpoint::decode("here", payload) {
        Ok(checkpoint) => {
            let read = frame::Checkpoint::decode("here", &checkpoint.encode());
            assert!(read.is_ok_and(|c| c == checkpoint));
            told.is_ok()
        }
        Err(e) => {
            refused(&e);
            false
        }
    }
}
