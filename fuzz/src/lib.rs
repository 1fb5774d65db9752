//! Targets for fuzzing: functions from bytes to nothing, each of which reads something that comes from outside or from a store
//! and panics when a property does not hold. libFuzzer, the replay of the corpus and the seeded mutations call the same functions.
//!
//! The properties: nothing panics; memory stays in proportion to the input ([`memory_max`]); what was read and is written again reads
//! back as the same; a refusal says where. Nothing here may know an expected value.

mod formats;
mod incoming_target;
pub mod mutate;
mod packs;

// The server's parser and the cluster's frames by their sources: the crates around them are large, and these files stand alone.
#[allow(dead_code, missing_docs)]
#[path = "../../crates/server/src/incoming.rs"]
mod incoming;
#[allow(dead_code, missing_docs)]
mod jetstream;
#[allow(dead_code, missing_docs)]
#[path = "../../crates/server/src/time.rs"]
mod time;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// What it does with an input; true when the input was read, false when it was refused.
    pub run: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "event",
        run: incoming_target::event,
    },
    Target {
        name: "scene",
        run: packs::scene,
    },
    Target {
        name: "cel",
        run: packs::cel,
    },
    Target {
        name: "mapping",
        run: packs::mapping,
    },
    Target {
        name: "message",
        run: formats::message,
    },
    Target {
        name: "profile",
        run: formats::profile,
    },
    Target {
        name: "record",
        run: formats::record,
    },
    Target {
        name: "sample",
        run: formats::sample,
    },
    Target {
        name: "model",
        run: formats::model,
    },
    Target {
        name: "factors",
        run: formats::factors,
    },
    Target {
        name: "trees",
        run: formats::trees,
    },
    Target {
        name: "sequence",
        run: formats::sequence,
    },
    Target {
        name: "plan",
        run: formats::plan,
    },
    Target {
        name: "frame",
        run: formats::frame,
    },
    Target {
        name: "checkpoint",
        run: formats::checkpoint,
    },
];

/// Most bytes that a target may hold at once for an input of this length.
#[must_use]
pub fn memory_max(input: usize) -> usize {
    (32 << 20) + 2_000 * input
}

/// Runs a target and holds it to its memory; true when the input was read.
pub fn check(target: &Target, input: &[u8]) -> bool {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let is_read = (target.run)(input);
    let used = MEMORY.peak_usage().saturating_sub(before);
    let most = memory_max(input.len());
    assert!(
        used <= most,
        "{}: {used} bytes were held for an input of {}, at most {most} may be",
        target.name,
        input.len()
    );
    is_read
}
